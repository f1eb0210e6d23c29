//! The internal operation: what every front end produces and [`plan`](crate::plan) works on.
//!
//! It speaks of bytes. The wire form (`batch`) and the foreign formats (`dialect`) are front ends
//! of it.

mod allowance;
mod reading;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::edit::Edit;
use crate::error::{Code, Refusal};
use crate::path::RelPath;

pub use allowance::{Allowance, Allowances};
pub use reading::{Findings, Matched, Older, OlderEdit, Reading, Spelling, TextEdit};

/// Operations that land together or not at all.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The sender's id; `None` where one is still to be made.
    pub id: Option<String>,
    /// Labels of the batch as a whole.
    pub labels: Arc<Labels>,
    /// Which tree the addresses speak of.
    pub coordinates: Coordinates,
    /// What to do, in the order given.
    pub operations: Vec<Operation>,
    /// Digest of the parsed content, `batch_id` aside: tells a replay from a reused id.
    pub content: Digest,
    /// Digest of the input that the batch was read from. By it a batch without an id is known
    /// again when the same input is sent once more; `None` for one that was put together
    /// otherwise, which is applied each time.
    pub received: Option<Digest>,
}

impl Batch {
    /// A batch without id and labels, in original coordinates.
    ///
    /// `content` tells a replay from a reused id; see [`Batch::content`].
    #[must_use]
    pub fn new(operations: Vec<Operation>, content: Digest) -> Self {
        Self {
            id: None,
            labels: Arc::default(),
            coordinates: Coordinates::Original,
            operations,
            content,
            received: None,
        }
    }

    /// Every path that the operations name, sorted, once each: what has to be loaded.
    #[must_use]
    pub fn paths(&self) -> Vec<RelPath> {
        let mut paths: Vec<RelPath> = Vec::with_capacity(self.operations.len());
        for operation in self
            .operations
            .iter()
            .filter(|o| o.reading.spelled.is_none())
        {
            if paths.last() != Some(&operation.file) {
                paths.push(operation.file.clone());
            }
            if let Action::RenameFile { to } | Action::CopyFile { to } = &operation.action {
                paths.push(to.clone());
            }
        }
        paths.sort_unstable();
        paths.dedup();
        paths
    }
}

/// Who asked for an operation, and for what; copied into its event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Labels {
    /// The order that the work belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub order_id: Option<String>,
    /// The task that the work belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub task_id: Option<String>,
    /// The factory that runs the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub factory: Option<String>,
    /// The phase of the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub phase: Option<String>,
    /// The agent that made the edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub agent: Option<String>,
}

impl Labels {
    /// The labels by name.
    pub(crate) fn fields(&self) -> [(&'static str, &Option<String>); 5] {
        let Self {
            order_id,
            task_id,
            factory,
            phase,
            agent,
        } = self;
        [
            ("order_id", order_id),
            ("task_id", task_id),
            ("factory", factory),
            ("phase", phase),
            ("agent", agent),
        ]
    }
}

/// Which tree the addresses of a batch speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Coordinates {
    /// The tree before the batch; operations commute.
    #[default]
    Original,
    /// The tree as the operations before left it.
    Sequential,
}

/// One change of one file.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The file, named as the batch's coordinates say.
    pub file: RelPath,
    /// What to do with it.
    pub action: Action,
    /// The hash that the file must have; goes before every other guard.
    pub base: Option<Digest>,
    /// The operation's own labels over the batch's.
    pub labels: Arc<Labels>,
    /// What the sender lets pass on its own responsibility, unless the operator forbids it.
    pub allow: Allowances,
    /// Which step of the ladder found the place of an [`Action::Splice`]; `None` where the text
    /// stands there exactly, and for every other action.
    pub matched: Option<Matched>,
    /// Whether an [`Action::Splice`] may edit bytes that are no text: a hash has already guarded
    /// both its ends.
    pub binary: bool,
    /// Whether the sender's text is in the file's own encoding, as old lines of it prove that are
    /// not UTF-8 and stand in the file.
    pub encoded: bool,
    /// Whether the sender's hashes prove the bytes before and after: they may be of any kind.
    pub proven: bool,
    /// Whether an [`Action::Splice`] writes the whole file anew, as UTF-8 text in the file's form.
    pub rewrites: bool,
    /// Whether the operation means a symbolic link itself, whose bytes are its target: a created
    /// file is one, and any other may be. Without it every link is refused.
    pub link: bool,
    /// Whether the places of an [`Action::Splice`] are known by their positions alone, so that
    /// nothing says which text the sender meant.
    pub bare: bool,
    /// Whether the front end judged it on the tree without a refused operation before it, and found
    /// nothing wrong: it is then not applied, instead of not evaluated.
    pub apart: bool,
    /// Whether [`base`](Self::base) is what its agent was shown last, not what the sender named: such
    /// a base guards the operation, and nothing is mapped by it.
    pub shown: bool,
    /// Whether it is a deletion in a format that has no way to say which text goes: it passes without
    /// a guard, unless its agent was shown another text.
    pub guardless: bool,
    /// Whether the sender's format writes names so that no mark, quote or remark can be taken for
    /// a part of one, as git quotes them.
    pub exact_name: bool,
    /// What else a front end found out while it read the operation.
    pub reading: Reading,
}

impl Operation {
    /// An operation without guard by hash and without labels.
    #[must_use]
    pub fn new(file: RelPath, action: Action) -> Self {
        Self::with_labels(file, action, Arc::default())
    }

    /// An operation with these labels, which a run of operations may share.
    pub(crate) fn with_labels(file: RelPath, action: Action, labels: Arc<Labels>) -> Self {
        Self {
            file,
            action,
            base: None,
            labels,
            allow: Allowances::default(),
            matched: None,
            binary: false,
            encoded: false,
            proven: false,
            rewrites: false,
            link: false,
            bare: false,
            apart: false,
            exact_name: false,
            shown: false,
            guardless: false,
            reading: Reading::default(),
        }
    }

    /// Adds to what the verdict says of how the operation was read.
    pub(crate) fn add_note(&mut self, note: String) {
        let said = &mut self.reading.note;
        *said = Some(match said.take() {
            Some(before) => format!("{before}; {note}"),
            None => note,
        });
    }

    /// An operation whose file, or target, is no path below the root: it has no place in a plan,
    /// only a verdict.
    #[must_use]
    pub fn refused(op: &'static str, file: &str, refusal: Refusal) -> Self {
        let name: String = file
            .chars()
            .map(|c| if matches!(c, '/' | '\0') { '\\' } else { c })
            .take(40)
            .collect();
        let stand_in = RelPath::new(format!(".mission_control/refused/={name}"))
            .expect("one short component below a directory");
        let mut refused = Self::new(stand_in, Action::Refused(refusal.into()));
        let file = file.to_owned();
        refused.reading.spelled = Some(Box::new(Spelling { op, file }));
        refused
    }

    /// Whether nothing says which text its position is meant for: neither a hash nor lines that
    /// have to stand there.
    #[cfg(feature = "workspace")]
    pub(crate) fn lacks_guard(&self) -> bool {
        let by_number = |at: &Address, guard: &Guard| {
            matches!(at.target, Target::Lines { .. }) && guard.expect.is_none()
        };
        self.base.is_none()
            && match &self.action {
                Action::Splice(_) => self.bare,
                Action::ReplaceBlock { at, guard, .. } => by_number(at, guard),
                Action::InsertBefore(insertion) | Action::InsertAfter(insertion) => {
                    by_number(&insertion.at, &insertion.guard)
                }
                Action::DeleteFile { expect } => expect.is_none(),
                _ => false,
            }
    }

    /// The operation's name as batches and reports spell it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        let spelled = self.reading.spelled.as_ref().map(|spelled| spelled.op);
        let meant = spelled.or(self.reading.meant);
        meant.unwrap_or_else(|| self.action.name())
    }

    /// The file as reports show it: what the sender wrote where that is no path.
    #[must_use]
    pub fn shown_file(&self) -> std::borrow::Cow<'_, str> {
        match &self.reading.spelled {
            Some(spelled) => spelled.file.as_str().into(),
            None => self.file.shown(),
        }
    }
}

/// What an operation does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Lines give way to other lines; none deletes.
    ReplaceBlock {
        /// Which lines.
        at: Address,
        /// What must stand there.
        guard: Guard,
        /// What comes instead.
        content: Lines,
        /// Fill shorter content up with blank lines, refuse longer.
        pad: bool,
        /// How content is indented.
        indent: Indent,
    },
    /// Lines before the first line of a range.
    InsertBefore(Insertion),
    /// Lines behind the last line of a range.
    InsertAfter(Insertion),
    /// Lines at the end of the file.
    Append(Lines),
    /// Lines at the start of the file, behind a BOM and a `#!` line.
    Prepend(Lines),
    /// Exact characters inside lines; `\n` in both texts stands for the file's line ending.
    ReplaceText {
        /// What to look for; never empty.
        find: Vec<u8>,
        /// What comes instead.
        content: Vec<u8>,
        /// Which of the matches.
        occurrence: Occurrence,
    },
    /// A new file, verbatim.
    CreateFile {
        /// All of its bytes.
        content: Vec<u8>,
        /// Whether it can be executed.
        executable: bool,
    },
    /// The file goes away.
    DeleteFile {
        /// All of its lines, where no hash guards it.
        expect: Option<Lines>,
    },
    /// The file gets another name.
    RenameFile {
        /// The new name.
        to: RelPath,
    },
    /// The file, as it was before the batch, gets a copy.
    CopyFile {
        /// The copy's name.
        to: RelPath,
    },
    /// The file's executable bit is set or cleared.
    SetMode {
        /// Whether it can be executed.
        executable: bool,
    },
    /// Byte edits that a front end has already located in the loaded file, which guards them.
    Splice(Vec<Edit>),
    /// What a front end refused while it located the operation.
    Refused(Arc<Refusal>),
}

impl Action {
    /// The operation's name as batches and reports spell it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReplaceBlock { .. } | Self::Splice(_) | Self::Refused(_) => "replace-block",
            Self::InsertBefore(_) => "insert-before",
            Self::InsertAfter(_) => "insert-after",
            Self::Append(_) => "append",
            Self::Prepend(_) => "prepend",
            Self::ReplaceText { .. } => "replace-text",
            Self::CreateFile { .. } => "create-file",
            Self::DeleteFile { .. } => "delete-file",
            Self::RenameFile { .. } => "rename-file",
            Self::CopyFile { .. } => "copy-file",
            Self::SetMode { .. } => "set-mode",
        }
    }
}

/// Lines to insert beside an address.
#[derive(Debug, Clone)]
pub struct Insertion {
    /// Where.
    pub at: Address,
    /// What must stand there.
    pub guard: Guard,
    /// What to insert.
    pub content: Lines,
    /// How it is indented.
    pub indent: Indent,
}

/// How inserted lines are indented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Indent {
    /// As given.
    #[default]
    Verbatim,
    /// Each line that is not blank takes the addressed line's indentation in front.
    Anchor,
}

/// Where an operation works, and which match it takes where there are several.
#[derive(Debug, Clone)]
pub struct Address {
    /// What is looked for.
    pub target: Target,
    /// Which match is taken.
    pub occurrence: Occurrence,
}

impl Address {
    /// An address that must match at one place.
    #[must_use]
    pub fn only(target: Target) -> Self {
        Self {
            target,
            occurrence: Occurrence::Only,
        }
    }
}

/// What an address looks for.
#[derive(Debug, Clone)]
pub enum Target {
    /// Line numbers from 1, both inclusive; checked against the file, not here.
    Lines {
        /// The first line.
        first: u64,
        /// The last line.
        last: u64,
    },
    /// These whole lines, line endings aside.
    Text(Lines),
    /// A line that holds a match.
    Match(Pattern),
    /// The lines between a line that matches `start` and the next that matches `end`.
    Between {
        /// Matches the line before the range.
        start: Pattern,
        /// Matches the line behind it.
        end: Pattern,
        /// Whether the range takes in both marker lines.
        inclusive: bool,
    },
    /// The line that bears the placeholder.
    Placeholder(String),
}

/// Which of several matches is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Occurrence {
    /// The only one; more than one is an ambiguity.
    #[default]
    Only,
    /// The first.
    First,
    /// The last.
    Last,
    /// All of them (`replace-text` alone).
    All,
    /// The one with this number, from 1.
    Nth(std::num::NonZeroU64),
}

impl Occurrence {
    /// The names of those that are not numbers.
    pub(crate) const NAMES: [(&str, Self); 4] = [
        ("only", Self::Only),
        ("first", Self::First),
        ("last", Self::Last),
        ("all", Self::All),
    ];
}

impl std::str::FromStr for Occurrence {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let named = Self::NAMES.iter().find(|(name, _)| *name == text);
        let number = || text.parse().ok().map(Self::Nth);
        named
            .map(|(_, named)| *named)
            .or_else(number)
            .ok_or_else(|| {
                let message = format!(
                    "expected only, first, last, all or a number from 1, found {:?}",
                    crate::error::excerpt(text.as_bytes(), 64)
                );
                Refusal::new(Code::InvalidBatch, message)
            })
    }
}

/// Lines that must stand at an address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// The addressed lines.
    pub expect: Option<Lines>,
    /// The lines right above them.
    pub before: Option<Lines>,
    /// The lines right below them.
    pub after: Option<Lines>,
}

impl Guard {
    /// Whether nothing is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.expect.is_none() && self.before.is_none() && self.after.is_none()
    }
}

/// Largest compiled form of a regular expression, in bytes.
pub const MAX_REGEX: usize = 1 << 20;

/// A linear-time regular expression over bytes, limited in size; `^` and `$` are the line's ends.
#[derive(Clone)]
pub struct Pattern(regex::bytes::Regex);

impl Pattern {
    /// Compiles an expression.
    ///
    /// # Errors
    /// `INVALID_BATCH` for a malformed expression, `LIMIT_EXCEEDED` for one that compiles to more
    /// than [`MAX_REGEX`] bytes.
    pub fn new(source: &str) -> Result<Self, Refusal> {
        regex::bytes::RegexBuilder::new(source)
            .size_limit(MAX_REGEX)
            .dfa_size_limit(MAX_REGEX)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(limit) => Refusal::new(
                    Code::LimitExceeded,
                    format!("regular expression compiles to more than {limit} bytes"),
                ),
                // The library draws a picture over several lines; its last one says what is wrong.
                other => {
                    let text = other.to_string();
                    let why = text.lines().last().unwrap_or_default().trim();
                    let why = why.strip_prefix("error: ").unwrap_or(why);
                    Refusal::new(
                        Code::InvalidBatch,
                        format!("{source:?} is not a valid regular expression: {why}"),
                    )
                }
            })
    }

    /// The expression as given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether a line, without its ending, holds a match.
    #[must_use]
    pub fn is_match(&self, line: &[u8]) -> bool {
        self.0.is_match(line)
    }
}

impl PartialEq for Pattern {
    /// Whether the expressions are spelt alike.
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.as_str())
    }
}

/// Whole lines, each ended by `\n`, whatever they ended in before.
///
/// One final newline ends the last line and starts no other: `"a\nb"` and `"a\nb\n"` are the same
/// two lines, `""` is no line and `"\n"` is one blank line.
///
/// ```
/// use patchcore::operation::Lines;
/// assert_eq!(Lines::new("a\r\nb"), Lines::new("a\nb\n"));
/// assert_eq!(Lines::new("\n").count(), 1);
/// assert_eq!(Lines::new("").count(), 0);
/// ```
#[derive(Clone, PartialEq, Eq, Default, Hash)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Takes text as lines.
    #[must_use]
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        let mut bytes = text.into();
        // A search for the one byte is the faster one, and there is hardly ever one.
        if crate::bytes::find(b'\r', &bytes).is_some()
            && memchr::memmem::find(&bytes, b"\r\n").is_some()
        {
            let mut folded = Vec::with_capacity(bytes.len());
            for line in crate::text::split_lines(&bytes) {
                folded.extend_from_slice(crate::text::trim_ending(line));
                folded.push(b'\n');
            }
            bytes = folded;
        } else if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        Self(bytes)
    }

    /// The lines, each ended by `\n`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many lines there are.
    #[must_use]
    pub fn count(&self) -> usize {
        crate::bytes::count(b'\n', &self.0)
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines without their endings.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        crate::text::split_lines(&self.0).map(|line| &line[..line.len() - 1])
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}
