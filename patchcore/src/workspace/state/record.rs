//! The record of a batch: what was asked, what became of it, and how to finish or undo it.
//!
//! One form serves twice. While a batch is being installed it is the journal from which a crash is
//! recovered; afterwards it is the log's entry, from which events, diffs, history and undo are
//! made. On disk it is one JSON document and a last line with the document's SHA-256 and the seal of
//! that: a record without a valid last line does not exist, and one that is not sealed by the
//! workspace's key was written by somebody else.

use std::io;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::edit::Edit;
use crate::error::{Error, Refusal};
use crate::operation::Labels;
use crate::path::RelPath;
use crate::plan::{ChangeKind, FileChange, FileState, Outcome, Plan, Touch, Verdicts};
use crate::report::{FileReport, Mode, OperationReport, Report, Status};
use crate::threads;

use crate::workspace::disk::{File, file_size_limit};
use crate::workspace::options::ApplyOptions;
use crate::workspace::state::key::Key;

pub(crate) mod form;

pub use crate::workspace::transaction_id::{InvalidTransactionId, TransactionId};

/// The version of the form that this library writes and reads.
pub const VERSION: u32 = 1;
/// Length of the last line: `sha256:` and 64 digits, a space and 64 digits, a newline.
pub(crate) const LAST_LINE: usize = 137;
/// Most bytes of an edit's replacement text that a record keeps.
pub const MAX_TEXT: usize = 16 << 10;

/// Everything that is known of a batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Always [`VERSION`].
    pub version: u32,
    /// The transaction's id, unique and sorted by time: the name of the log's entry.
    pub transaction: TransactionId,
    /// The sender's id, or the transaction's where there was none.
    pub batch_id: String,
    /// Digest of the batch's parsed content.
    pub content: Digest,
    /// Digest of the input with the options and permissions that it was sent with, where it came
    /// without an id: by it the same input is known again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
    /// The batch's labels.
    #[serde(default)]
    pub labels: Labels,
    /// How far it came.
    pub state: TransactionState,
    /// How it ended.
    pub status: Status,
    /// The plan's digest.
    pub plan: Digest,
    /// When work on it began, RFC 3339, UTC.
    pub at: String,
    /// How long it took to the commit point, in milliseconds.
    pub duration_ms: u64,
    /// What the operator allowed beyond the defaults.
    #[serde(default, skip_serializing_if = "Overrides::is_default")]
    pub overrides: Overrides,
    /// A refusal of the batch as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// The record before this one in the log, so that one that is missing, moved or rewritten
    /// shows; absent for the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// The transaction that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<TransactionId>,
    /// The sender's id of the batch that this one takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes_batch: Option<String>,
    /// Other transactions that this one takes back, where it takes back several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undoes_also: Vec<Undone>,
    /// Other batches that count again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redoes_also: Vec<Redone>,
    /// The batch that counts again, where the transaction that this one takes back was its undo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redoes: Option<Redone>,
    /// The command that made the changes, where they were found out afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandRecord>,
    /// A verdict for each operation, in batch order.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::plan::Verdict>"))]
    pub operations: Verdicts,
    /// What changed, by path.
    pub changes: Vec<ChangeRecord>,
    /// How it is installed, in order; for recovery.
    #[serde(default, skip_serializing_if = "Journal::is_empty")]
    pub journal: Journal,
}

/// A record as the one after it knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Previous {
    /// Its transaction.
    pub transaction: TransactionId,
    /// The digest in its last line.
    pub digest: Digest,
}

/// A command that changed the tree by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CommandRecord {
    /// The run's id.
    pub id: TransactionId,
    /// The program and its arguments, as they are shown.
    pub argv: Vec<String>,
    /// When the snapshot was taken that the tree was compared with, RFC 3339, UTC.
    pub began: String,
    /// The exit status; 128 and the signal's number where a signal ended it, absent where nobody
    /// knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// Whether the process that attended to the command died before its end.
    #[serde(default, skip_serializing_if = "is_false")]
    pub interrupted: bool,
    /// Whether the command was still running: this is what it had done to files that another batch
    /// was about to change. What else it did is in later records with the same `id`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub runs_on: bool,
    /// Files and directories that were not looked at (ignored by git, unreadable, or no regular
    /// files), at most 100 of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "form::paths")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<form::Bytes<'static>>"))]
    pub left_out: Vec<RelPath>,
    /// What was not looked at when the snapshot was taken and is not there any more, where files came
    /// that are older than the run, so that they may have come of it; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "form::paths")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<form::Bytes<'static>>"))]
    pub gone: Vec<RelPath>,
    /// Other commands that ran at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<TransactionId>,
}

/// A batch that does not count any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Undone {
    /// Its transaction.
    pub transaction: TransactionId,
    /// The sender's id, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
}

/// A batch that counts again, since its undo was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Redone {
    /// Its transaction.
    pub transaction: TransactionId,
    /// The sender's id, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// Digest of its parsed content.
    pub content: Digest,
    /// Digest of the input that it came as, where there was no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Digest>,
}

/// How far a transaction came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TransactionState {
    /// It is installed for verification; recovery takes it back.
    Prepared,
    /// It counts; recovery finishes it.
    Committed,
    /// It was installed and taken back.
    RolledBack,
    /// It was refused, and nothing was installed.
    Refused,
    /// Nothing was to be written: such a record is never in the log.
    #[serde(skip_deserializing)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    Previewed,
}

/// What the operator allowed when the batch was applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Overrides {
    /// Operations without a guard.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_unguarded: bool,
    /// Files that hold NUL bytes.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_binary: bool,
    /// New text in another encoding than its file's.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_encoding_change: bool,
    /// New lines that stand for code that was left out.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_omission: bool,
    /// Files onto files that exist.
    #[serde(skip_serializing_if = "is_false")]
    pub overwrite: bool,
    /// Leaving out what is refused.
    #[serde(skip_serializing_if = "is_false")]
    pub partial: bool,
    /// Protected paths that were opened to edits.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "form::paths")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<form::Bytes<'static>>"))]
    pub allow_paths: Vec<RelPath>,
    /// Replacing one name of a file that has several.
    #[serde(skip_serializing_if = "is_false")]
    pub break_hard_links: bool,
    /// Replacing read-only files.
    #[serde(skip_serializing_if = "is_false")]
    pub force_read_only: bool,
    /// Files whose owner could not be kept.
    #[serde(skip_serializing_if = "is_false")]
    pub allow_owner_change: bool,
}

/// What changed at a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangeRecord {
    /// The path; for a rename or copy, the new one.
    #[serde(with = "form::path")]
    #[cfg_attr(feature = "schema", schemars(with = "form::Bytes<'static>"))]
    pub path: RelPath,
    /// For a rename or copy, the path that the bytes come from.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "form::optional_path"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<form::Bytes<'static>>"))]
    pub from: Option<RelPath>,
    /// What happened.
    pub kind: ChangeKind,
    /// What stood at `path` before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<FileState>,
    /// What stands at `path` afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FileState>,
    /// The slot of the bytes that `edits` apply to: `Log::pre_image`
    /// reads it. Absent where there are none (a created file) or where nothing is edited (a copy).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// From the pre-image to the new bytes, sorted and disjoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<EditRecord>,
    /// Which operation made which edit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub touches: Vec<Touch>,
    /// Lines that were added.
    pub lines_added: usize,
    /// Lines that were removed.
    pub lines_removed: usize,
}

/// An edit of a pre-image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EditRecord {
    /// First byte that gives way, and the first one behind.
    pub span: [usize; 2],
    /// Length of the replacement, in bytes.
    pub len: usize,
    /// The replacement, cut to [`MAX_TEXT`] bytes.
    #[serde(with = "form::text")]
    #[cfg_attr(feature = "schema", schemars(with = "form::Bytes<'static>"))]
    pub text: Vec<u8>,
}

impl EditRecord {
    /// Whether `text` is only the start of the replacement.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.text.len() < self.len
    }

    pub(crate) fn of(edit: &Edit) -> Self {
        Self {
            span: [edit.span.start, edit.span.end],
            len: edit.text.len(),
            text: edit.text[..edit.text.len().min(MAX_TEXT)].to_vec(),
        }
    }
}

/// How a transaction is installed, so that another process can finish it or take it back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// How a file gives way to another.
    pub method: Method,
    /// Whether the answer waits until everything is on the disk.
    #[serde(skip_serializing_if = "is_false")]
    pub durable: bool,
    /// Directories that come into being, parents first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<DirectoryRecord>,
    /// What happens at each path.
    pub steps: Vec<Step>,
    /// Directories that become empty and go, children first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub emptied: Vec<DirectoryRecord>,
}

impl Journal {
    fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// How a staged file and the one that it replaces change places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// By one `renameat2(RENAME_EXCHANGE)` where that can be called, else by renames in turn.
    #[default]
    Exchange,
    /// The old file was linked or copied aside before the commit point: earlier versions wrote this.
    Aside,
    /// Nothing is installed: the tree was as the record says before it was written.
    Observed,
}

/// A directory that comes or goes with a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DirectoryRecord {
    /// The directory.
    #[serde(with = "form::path")]
    #[cfg_attr(feature = "schema", schemars(with = "form::Bytes<'static>"))]
    pub path: RelPath,
    /// Its permission bits.
    pub mode: u32,
    /// Whether it has just these bits when it has come; else the umask takes some away.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exact: bool,
}

/// What happens at one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The path.
    #[serde(with = "form::path")]
    #[cfg_attr(feature = "schema", schemars(with = "form::Bytes<'static>"))]
    pub path: RelPath,
    /// The slot: it holds the new file before the step, the old one behind it.
    pub slot: u32,
    /// Whether the slot lies beside the target, on another mount than the journal.
    #[serde(default, skip_serializing_if = "is_false")]
    pub beside: bool,
    /// The file that stands there before the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<Identity>,
    /// The file that stands there afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Identity>,
}

/// By what a file is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Inode number.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Modification time: seconds and nanoseconds.
    pub mtime: [i64; 2],
    /// Permission bits.
    pub mode: u32,
    /// Hash of the bytes.
    pub digest: Digest,
    /// Whether it is a symbolic link, whose bytes are its target.
    #[serde(default, skip_serializing_if = "is_false")]
    pub link: bool,
}

/// What the bytes of a record's file are to the holder of a key.
#[derive(Debug)]
pub(crate) enum Unsealed {
    /// The record, as this key's holder wrote it, with the digest in its last line.
    Ours(Box<Record>, Digest),
    /// This key's holder wrote it, but it is no longer what was written, or of another version.
    Damaged(Error),
    /// Somebody else wrote it.
    Foreign,
    /// It does not end as a record does.
    Torn,
}

impl Record {
    /// The files that it changes, for people: the first one, and how many more.
    pub(crate) fn names(&self) -> String {
        match &*self.changes {
            [] => "no file".to_owned(),
            [change] => change.path.to_string(),
            [change, _] => format!("{} and 1 more file", change.path),
            [change, more @ ..] => format!("{} and {} more files", change.path, more.len()),
        }
    }

    /// Takes over what a plan came to. Here and in [`roll_back`](Self::roll_back), and nowhere else,
    /// a record gets its status; its state says whether the plan is carried out.
    pub(crate) fn judge(&mut self, plan: &Plan, refusal: Option<Refusal>) {
        let mode = match self.state {
            TransactionState::Previewed => Mode::Preview,
            _ => Mode::Apply,
        };
        self.plan = plan.digest();
        self.status = Status::of(plan, refusal.is_some(), mode);
        self.operations.clone_from(&plan.verdicts);
        self.refusal = refusal;
    }

    /// Says that what landed was taken back.
    pub(crate) fn roll_back(&mut self) {
        self.state = TransactionState::RolledBack;
        self.status = Status::RolledBack;
        for operation in &mut self.operations {
            if matches!(
                operation.outcome,
                Outcome::Applied | Outcome::Rebased | Outcome::Undone
            ) {
                operation.outcome = Outcome::RolledBack;
            }
        }
    }

    /// Reads a record from the bytes of its file, whoever wrote it.
    ///
    /// # Errors
    /// `IO` where the checksum does not hold or the document is no record, `UNSUPPORTED_VERSION`
    /// for a record of another version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        form::read(bytes)
    }

    /// The bytes of the record's file, sealed if there is a key.
    #[must_use]
    pub fn to_bytes(&self, key: Option<&Key>) -> Vec<u8> {
        let mut pieces = form::write(self);
        pieces.push(form::last_line(form::digest(&pieces), key));
        pieces.concat()
    }

    /// Reads a record from the bytes of its file, if this key sealed it.
    pub(crate) fn unseal(bytes: &[u8], key: Option<&Key>) -> Unsealed {
        match (form::Split::of(bytes), key) {
            (None, _) if form::is_torn(bytes) => Unsealed::Torn,
            (Some(split), Some(key)) if split.is_sealed_by(key) => match split.record() {
                Ok(record) => Unsealed::Ours(Box::new(record), split.digest),
                Err(error) => Unsealed::Damaged(error),
            },
            _ => Unsealed::Foreign,
        }
    }

    /// Whether the last bytes of a record's file, [`LAST_LINE`] of them, are sealed by this key, or
    /// are of a record that was cut short.
    pub(crate) fn is_end_ours(end: &[u8], key: &Key) -> bool {
        match form::Split::of(end) {
            Some(split) => split.is_sealed_by(key),
            None => form::is_torn(end),
        }
    }

    /// Writes the record into an empty file, and gives the digest that is sealed. The last line,
    /// without which there is no record, goes last.
    pub(crate) fn write_to(&self, file: &File, key: &Key) -> io::Result<Digest> {
        /// From this many pieces on, another thread makes out the digest meanwhile.
        const MANY: usize = 8;
        let pieces = form::write(self);
        // A file past the process's own limit would end the process instead of the write.
        let len: usize = pieces.iter().map(Vec::len).sum();
        if (len + LAST_LINE) as u64 > file_size_limit() {
            return Err(rustix::io::Errno::FBIG.into());
        }
        let write = || file.write_chunks(pieces.iter().map(|piece| &**piece));
        let digest = if pieces.len() < MANY {
            write()?;
            form::digest(&pieces)
        } else {
            let (written, digest) = threads::join(write, || form::digest(&pieces));
            written?;
            digest
        };
        let last = form::last_line(digest, Some(key));
        file.write_chunks([&*last].into_iter())?;
        Ok(digest)
    }

    /// The record without what grows with the batch.
    fn head(&self) -> Self {
        Self {
            version: self.version,
            transaction: self.transaction,
            batch_id: self.batch_id.clone(),
            content: self.content,
            request: self.request,
            labels: self.labels.clone(),
            state: self.state,
            status: self.status,
            plan: self.plan,
            at: self.at.clone(),
            duration_ms: self.duration_ms,
            overrides: self.overrides.clone(),
            refusal: self.refusal.clone(),
            previous: self.previous,
            undoes: self.undoes,
            undoes_batch: self.undoes_batch.clone(),
            redoes: self.redoes.clone(),
            undoes_also: self.undoes_also.clone(),
            redoes_also: self.redoes_also.clone(),
            command: self.command.clone(),
            operations: Verdicts::default(),
            changes: Vec::new(),
            journal: Journal::default(),
        }
    }

    /// Whether the sender gave the batch an id.
    #[must_use]
    pub fn has_own_id(&self) -> bool {
        self.batch_id != self.transaction.to_string()
    }

    /// The labels of an operation: its own over the batch's.
    #[must_use]
    pub fn labels_of(&self, operation: usize) -> &Labels {
        self.operations
            .get(operation)
            .and_then(|operation| operation.labels.as_deref())
            .unwrap_or(&self.labels)
    }

    /// How an operation ended: where nothing was to be written, all are only previewed.
    #[must_use]
    pub fn outcome(&self, operation: usize) -> Option<Outcome> {
        let verdict = self.operations.get(operation)?;
        Some(match self.state {
            TransactionState::Previewed => Outcome::Previewed,
            _ => verdict.outcome,
        })
    }

    /// The report that the batch's sender gets, without its diff.
    #[must_use]
    pub fn report(&self) -> Report {
        let is_preview = self.state == TransactionState::Previewed;
        let mode = match is_preview {
            true => Mode::Preview,
            false => Mode::Apply,
        };
        Report {
            batch_id: (!is_preview || self.has_own_id()).then(|| self.batch_id.clone()),
            transaction: (!is_preview).then(|| self.transaction.to_string()),
            status: self.status,
            plan: self.plan,
            files: self.changes.iter().map(ChangeRecord::report).collect(),
            operations: OperationReport::list(&self.operations, mode),
            refusal: self.refusal.clone(),
            ..Report::blank()
        }
    }
}

impl ChangeRecord {
    /// The record of a change, without its edits and the slot of its pre-image.
    pub(crate) fn of(change: &FileChange) -> Self {
        Self {
            path: change.path.clone(),
            from: change.from.clone(),
            kind: change.kind,
            before: change.state_before(),
            after: change.state_after(),
            slot: None,
            edits: Vec::new(),
            touches: change.touches.clone(),
            lines_added: change.lines_added,
            lines_removed: change.lines_removed,
        }
    }

    /// The state of what came from elsewhere: what stood in its new place says nothing of its kind.
    pub(crate) fn moved(&self, before: FileState) -> FileState {
        let link = match (&self.from, self.after) {
            (Some(_), Some(after)) => after.link,
            _ => before.link,
        };
        FileState { link, ..before }
    }

    fn report(&self) -> FileReport {
        FileReport {
            path: self.path.to_string(),
            from: self.from.as_ref().map(ToString::to_string),
            change: self.kind,
            before: self.before.map(|state| state.digest),
            after: self.after.map(|state| state.digest),
            lines_added: self.lines_added,
            lines_removed: self.lines_removed,
        }
    }
}

impl Overrides {
    pub(crate) fn of(options: &ApplyOptions<'_>) -> Self {
        Self {
            allow_unguarded: options.policy.allow_unguarded,
            allow_binary: options.policy.allow_binary,
            allow_encoding_change: options.policy.allow_encoding_change,
            allow_omission: options.policy.allow_omission,
            overwrite: options.policy.overwrite,
            partial: options.policy.partial,
            allow_paths: options.policy.allow_paths.clone(),
            break_hard_links: options.break_hard_links,
            force_read_only: options.force_read_only,
            allow_owner_change: options.allow_owner_change,
        }
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::Damaged {
        what: "the record".to_owned(),
        why: why.to_string(),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests;
