//! What goes wrong: a [`Refusal`] is the verdict on an operation and part of every report, an
//! [`Error`] is the environment's.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::text::LineNumber;

mod hint;

pub use hint::Hint;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why an operation, a batch or a command was refused; stable names for machines.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            /// The code as reports spell it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

codes! {
    /// A line-addressed operation or a deletion without a guard.
    Unguarded = "UNGUARDED",
    /// The guard's lines stand at more than one place of the file.
    WeakGuard = "WEAK_GUARD",
    /// The file's hash is not the one that the batch was made for.
    BaseMismatch = "BASE_MISMATCH",
    /// Other lines stand at the address than those expected.
    ExpectMismatch = "EXPECT_MISMATCH",
    /// A line number is 0, past the end, or a range is reversed.
    LineOutOfRange = "LINE_OUT_OF_RANGE",
    /// Nothing in the file matches the address.
    AnchorNotFound = "ANCHOR_NOT_FOUND",
    /// More than one place matches the address.
    AnchorAmbiguous = "ANCHOR_AMBIGUOUS",
    /// Two operations claim the same lines or the same file.
    Overlap = "OVERLAP",
    /// The file does not exist.
    FileNotFound = "FILE_NOT_FOUND",
    /// The file exists already.
    FileExists = "FILE_EXISTS",
    /// A directory, FIFO, socket or device stands there.
    NotAFile = "NOT_A_FILE",
    /// The file holds NUL bytes.
    BinaryFile = "BINARY_FILE",
    /// The file is UTF-16 or UTF-32.
    UnsupportedEncoding = "UNSUPPORTED_ENCODING",
    /// The path leads out of the root or is malformed.
    PathEscape = "PATH_ESCAPE",
    /// The path is one that only the operator can open to edits.
    PathProtected = "PATH_PROTECTED",
    /// Two paths of the batch may be one file.
    PathCollision = "PATH_COLLISION",
    /// The path leads through or to a symbolic link.
    Symlink = "SYMLINK",
    /// A file system is mounted on the file.
    MountPoint = "MOUNT_POINT",
    /// The file has more than one hard link.
    HardLinked = "HARD_LINKED",
    /// The file or its directory cannot be written.
    ReadOnly = "READ_ONLY",
    /// The file's owner cannot be kept.
    Ownership = "OWNERSHIP",
    /// The file bears no such placeholder.
    PlaceholderNotFound = "PLACEHOLDER_NOT_FOUND",
    /// The batch would remove another task's placeholder.
    PlaceholderLost = "PLACEHOLDER_LOST",
    /// The file's language has no comments to inject.
    NoCommentSyntax = "NO_COMMENT_SYNTAX",
    /// An injected comment was edited by hand.
    CommentEdited = "COMMENT_EDITED",
    /// No such task in the manifest.
    TaskUnknown = "TASK_UNKNOWN",
    /// The task is complete or blocked.
    TaskClosed = "TASK_CLOSED",
    /// The task's placeholder still stands, so the task cannot be complete.
    TaskUnfinished = "TASK_UNFINISHED",
    /// The operation names no task, and one is required.
    TaskRequired = "TASK_REQUIRED",
    /// The file belongs to other tasks.
    TaskFileMismatch = "TASK_FILE_MISMATCH",
    /// New lines stand for code that was left out.
    LazyOmission = "LAZY_OMISSION",
    /// The plan is not the one that was approved.
    PlanMismatch = "PLAN_MISMATCH",
    /// The batch id was committed with other content.
    BatchIdReused = "BATCH_ID_REUSED",
    /// The base of a rebase is not at hand.
    SnapshotMissing = "SNAPSHOT_MISSING",
    /// The verification command failed.
    VerifyFailed = "VERIFY_FAILED",
    /// A file changed since the batch that is to be undone.
    ChangedSince = "CHANGED_SINCE",
    /// A file changed on disk while the batch was worked on.
    Conflict = "CONFLICT",
    /// The batch is not one, or its patch is malformed.
    InvalidBatch = "INVALID_BATCH",
    /// The version is not supported.
    UnsupportedVersion = "UNSUPPORTED_VERSION",
    /// A limit was passed.
    LimitExceeded = "LIMIT_EXCEEDED",
    /// Another process held the lock for too long.
    LockTimeout = "LOCK_TIMEOUT",
    /// The tree is half installed; `recover` finishes it.
    Unfinished = "UNFINISHED",
    /// State that is not ours: another user's, or a journal that was not written here.
    ForeignState = "FOREIGN_STATE",
    /// The file system failed.
    Io = "IO",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A place that may have been meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Candidate {
    /// The line, for a place in a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineNumber>,
    /// What stands there, a line or two; for a path, the path.
    pub text: String,
}

/// Why something was refused, and what may help. At most about 1 kB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Refusal {
    /// The stable code.
    pub code: Code,
    /// One sentence, lower case, that names path and line.
    pub message: String,
    /// The file, relative to the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineNumber>,
    /// What stands there, from the first line that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Places that may be meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
    /// An RFC 7396 merge patch on the operation that makes it pass; only where that is proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Box<serde_json::Value>>,
    /// The permission or option that would let it pass, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

/// Most candidates that a refusal lists.
pub const MAX_CANDIDATES: usize = 5;
/// Most bytes of the tree that a refusal shows in `found`.
pub const MAX_FOUND: usize = 400;
const MAX_CANDIDATE: usize = 60;

impl Refusal {
    /// A refusal that names no place.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            file: None,
            line: None,
            found: None,
            candidates: Vec::new(),
            suggestion: None,
            hint: None,
        }
    }

    /// Names the file.
    #[must_use]
    pub fn in_file(mut self, path: impl fmt::Display) -> Self {
        self.file = Some(path.to_string());
        self
    }

    /// Names the line.
    #[must_use]
    pub fn at_line(mut self, line: LineNumber) -> Self {
        self.line = Some(line);
        self
    }

    /// Shows what stands there, cut to [`MAX_FOUND`] bytes.
    #[must_use]
    pub fn with_found(self, bytes: &[u8]) -> Self {
        self.with_found_up_to(bytes, MAX_FOUND)
    }

    /// Shows what stands there, cut to so many bytes.
    pub(crate) fn with_found_up_to(mut self, bytes: &[u8], limit: usize) -> Self {
        self.found = Some(excerpt(bytes, limit));
        self
    }

    /// Names the permission or option that would let it pass.
    #[must_use]
    pub fn with_hint(mut self, hint: Hint) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Lists a place in the file that may be meant; past [`MAX_CANDIDATES`] it is dropped.
    #[must_use]
    pub fn with_candidate(mut self, line: Option<LineNumber>, text: &[u8]) -> Self {
        if self.candidates.len() < MAX_CANDIDATES {
            self.candidates.push(Candidate {
                line,
                text: excerpt(text, MAX_CANDIDATE),
            });
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Refusal {}

/// Bytes as text of at most `limit` bytes, cut at a character and marked `…` where it is cut.
#[must_use]
pub fn excerpt(bytes: &[u8], limit: usize) -> String {
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(limit + 4)]).into_owned();
    if text.len() > limit {
        let cut = text.floor_char_boundary(limit);
        text.truncate(cut);
        text.push('…');
    }
    text
}

/// What the environment did: nothing about the input is wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file system call failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "rename".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process held the lock for too long.
    #[error("another process has held {} for {} seconds; try again, or wait longer", path.display(), waited.as_secs())]
    LockTimeout {
        /// The lock's file, relative to the root.
        path: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
    /// A transaction is half installed, or cannot be followed.
    #[error("{message}")]
    Unfinished {
        /// What is unfinished, and why it stays so.
        message: String,
        /// What would go on.
        hint: Option<Hint>,
    },
    /// A directory or file of the state is a link, or something else that was not made there.
    #[error("{} is a link, or something else that was not made there; remove it", path.display())]
    Redirected {
        /// The directory or file, relative to the root.
        path: PathBuf,
    },
    /// State that another user or another workspace wrote; it is not acted on.
    #[error("{} {why}", path.display())]
    Foreign {
        /// What it is.
        path: PathBuf,
        /// Whose it is, and what to do.
        why: String,
        /// What would go on.
        hint: Option<Hint>,
    },
    /// A file of the state is not what was written.
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// What it is: "log entry 0199…".
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// What a command did is nothing that can be recorded.
    #[error("nothing of what the command did can be recorded: {0}")]
    Unrecorded(String),
    /// A file of the state has a form that another version of this library wrote.
    #[error("{what} has version {found}, and this program reads version {known}")]
    UnsupportedVersion {
        /// What it is: "log entry 0199…".
        what: String,
        /// The version it names.
        found: u32,
        /// The version that this library reads.
        known: u32,
    },
    /// A limit was passed: what was read is larger than the operator lets it be.
    #[error("{0}")]
    LimitExceeded(String),
}

impl Error {
    /// An I/O error with its path.
    pub fn io(action: &'static str, path: impl AsRef<Path>, source: impl Into<io::Error>) -> Self {
        Self::Io {
            action,
            path: path.as_ref().to_owned(),
            source: source.into(),
        }
    }

    /// A transaction that is half installed.
    #[cfg(feature = "workspace")]
    pub(crate) fn unfinished(message: impl Into<String>) -> Self {
        Self::Unfinished {
            message: message.into(),
            hint: None,
        }
    }

    /// The permission or option that would let the work go on, if there is one.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Unfinished { hint, .. } | Self::Foreign { hint, .. } => *hint,
            _ => None,
        }
    }

    /// The code that reports give it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Io { .. } | Self::Damaged { .. } | Self::Unrecorded(_) => Code::Io,
            Self::LockTimeout { .. } => Code::LockTimeout,
            Self::Redirected { .. } => Code::Symlink,
            Self::Unfinished { .. } => Code::Unfinished,
            Self::Foreign { .. } => Code::ForeignState,
            Self::UnsupportedVersion { .. } => Code::UnsupportedVersion,
            Self::LimitExceeded(_) => Code::LimitExceeded,
        }
    }

    /// The form in which reports and records show it.
    #[must_use]
    pub fn to_refusal(&self) -> Refusal {
        let mut shown = Refusal::new(self.code(), self.to_string());
        shown.hint = self.hint();
        match self {
            Self::Io { path, .. } | Self::Redirected { path } | Self::Foreign { path, .. } => {
                shown.in_file(path.display())
            }
            _ => shown,
        }
    }
}

/// What ends a step early that both the input and the environment can end.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// The input is refused.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The environment failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl Stop {
    /// The code that reports give it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Failed(error) => error.code(),
        }
    }

    /// The refusal, or the form in which reports show the error.
    #[must_use]
    pub fn to_refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => (**refusal).clone(),
            Self::Failed(error) => error.to_refusal(),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
