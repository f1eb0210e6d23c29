//! The report: what `apply`, `check` and `undo` say on standard output with `--output json`.

mod reading;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::Diagnostic;
use crate::digest::Digest;
use crate::error::{Code, Refusal};
use crate::operation::{Allowances, Batch, Matched};
use crate::path::RelPath;
use crate::plan::{ChangeKind, FileChange, Outcome, Plan, Verdict};
use crate::rebase::Rebased;
use crate::text::LineNumber;

pub use reading::{Endings, Excerpt, FileReading, Reading};

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// All of it landed.
    Applied,
    /// Some groups of files landed, others were refused.
    Partial,
    /// There was nothing to do.
    Unchanged,
    /// Nothing was to be written.
    Previewed,
    /// Nothing landed.
    Refused,
    /// It landed and was taken back.
    RolledBack,
}

/// What a batch did, or would do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Report {
    /// Always 1.
    pub version: u32,
    /// The sender's id, or the one that was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<String>,
    /// The transaction's id in the log; absent where nothing was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// How it ended.
    pub status: Status,
    /// SHA-256 over path, mode, before-hash and after-hash of every change.
    pub plan: Digest,
    /// The files that changed.
    pub files: Vec<FileReport>,
    /// The operations, in batch order.
    pub operations: Vec<OperationReport>,
    /// A refusal of the batch as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What is wrong with an input that cannot be read, in the order of the input, at most
    /// [`MAX_FAULTS`](crate::batch::MAX_FAULTS).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What a person should know: saved conflicts, folded white space, calls that edit nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Comments that stand without the placeholder or the task that they belong to, in the order of
    /// the files, each with its line and bytes; only where it was asked for (`inject --check`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<Refusal>,
    /// The files that the input asked to look at, as they are after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<FileReading>,
    /// Unified diff in git's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// What is wrong with a value of an input, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Fault {
    /// JSON path of the value, like `operations[3].at`; `$` for the input as a whole.
    pub path: String,
    /// Line of the input, from 1.
    pub line: usize,
    /// Column in that line, in characters from 1.
    pub column: usize,
    /// What is wrong, in lower case, without the place.
    pub message: String,
    /// The name that may be meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// Whether a report tells what was done or what would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The plan is carried out.
    Apply,
    /// Nothing is written.
    Preview,
}

impl Status {
    /// How a batch ends, or would end: decided here and nowhere else. `is_refused`: as a whole.
    pub(crate) fn of(plan: &Plan, is_refused: bool, mode: Mode) -> Self {
        let failed = is_refused || plan.has_refusal();
        match (failed, plan.changes.is_empty(), mode) {
            (true, true, _) => Self::Refused,
            (_, _, Mode::Preview) => Self::Previewed,
            (true, false, Mode::Apply) => Self::Partial,
            (false, true, Mode::Apply) => Self::Unchanged,
            (false, false, Mode::Apply) => Self::Applied,
        }
    }
}

impl Report {
    /// What a plan comes to, without diff and transaction.
    #[must_use]
    pub fn of(batch: &Batch, plan: &Plan, mode: Mode) -> Self {
        Self {
            batch_id: batch.id.clone(),
            status: Status::of(plan, false, mode),
            plan: plan.digest(),
            files: plan.changes.iter().map(FileReport::of).collect(),
            operations: OperationReport::list(&plan.verdicts, mode),
            ..Self::blank()
        }
    }

    /// A report on what could not be read as a batch.
    #[must_use]
    pub fn unread(refusal: Refusal) -> Self {
        Self {
            refusal: Some(refusal),
            ..Self::blank()
        }
    }

    /// A report on a batch of which nothing is known.
    pub(crate) fn blank() -> Self {
        Self {
            version: 1,
            batch_id: None,
            transaction: None,
            status: Status::Refused,
            plan: Digest::of(b""),
            files: Vec::new(),
            operations: Vec::new(),
            refusal: None,
            faults: Vec::new(),
            warnings: Vec::new(),
            orphans: Vec::new(),
            reads: Vec::new(),
            diff: None,
        }
    }

    /// A report on an input that could not be read, with every fault in it.
    #[must_use]
    pub fn faulty(diagnostic: &Diagnostic) -> Self {
        let mut all: Vec<&Diagnostic> = diagnostic.all().collect();
        all.sort_by_key(|fault| fault.span.start);
        let fault = |fault: &Diagnostic| Fault {
            path: fault.path.clone(),
            line: fault.line,
            column: fault.column,
            message: fault.message.clone(),
            suggestion: fault.near.clone(),
        };
        Self {
            faults: all.into_iter().map(fault).collect(),
            ..Self::unread(diagnostic.clone().into())
        }
    }

    /// The code that decides the exit status: the batch's own refusal, else that of the first
    /// refused operation.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        let of_operation = || self.operations.iter().find_map(|o| o.refusal.as_deref());
        self.refusal
            .as_ref()
            .or_else(of_operation)
            .map(|refusal| refusal.code)
    }
}

/// What happened to a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct FileReport {
    /// Path relative to the root; for a rename or copy, the new one.
    pub path: String,
    /// For a rename or copy, the old path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What happened.
    pub change: ChangeKind,
    /// Hash before; absent for a created file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// Hash after; absent for a deleted file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// Lines added.
    pub lines_added: usize,
    /// Lines removed.
    pub lines_removed: usize,
}

impl FileReport {
    fn of(change: &FileChange) -> Self {
        Self {
            path: change.path.to_string(),
            from: change.from.as_ref().map(RelPath::to_string),
            change: change.kind,
            before: match change.kind {
                ChangeKind::Renamed | ChangeKind::Copied => {
                    change.source.as_ref().map(|source| source.digest())
                }
                _ => change.state_before().map(|state| state.digest),
            },
            after: change.state_after().map(|state| state.digest),
            lines_added: change.lines_added,
            lines_removed: change.lines_removed,
        }
    }
}

/// What became of an operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OperationReport {
    /// Index in the batch, from 0.
    pub index: usize,
    /// The operation's name.
    pub op: Cow<'static, str>,
    /// The file it names.
    pub file: String,
    /// How it ended.
    pub outcome: Outcome,
    /// For a preview: the outcome that applying would give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would: Option<Outcome>,
    /// The lines of the new file that it wrote, both inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<[LineNumber; 2]>,
    /// Whether a guard holds it.
    pub guarded: bool,
    /// How a foreign format was read, where that is worth saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// By which step of the ladder a foreign format's place was found; absent where its text
    /// stands there exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<Matched>,
    /// Where its lines were and where they are, if they were mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebased: Option<Box<Rebased>>,
    /// What the sender let pass on its own responsibility.
    #[serde(default, skip_serializing_if = "Allowances::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Vec<crate::operation::Allowance>")
    )]
    pub allow: Allowances,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Arc<Refusal>>,
}

impl OperationReport {
    /// The reports on the operations of a batch.
    pub(crate) fn list(verdicts: &[Verdict], mode: Mode) -> Vec<Self> {
        let report = |(index, verdict): (usize, &Verdict)| Self {
            index,
            op: verdict.op.clone(),
            file: verdict.file.clone(),
            outcome: match mode {
                Mode::Apply => verdict.outcome,
                Mode::Preview => Outcome::Previewed,
            },
            would: (mode == Mode::Preview).then_some(verdict.outcome),
            lines: verdict.lines,
            guarded: verdict.guarded,
            note: verdict.note.clone(),
            matched: verdict.matched,
            rebased: verdict.rebased.clone(),
            allow: verdict.allow,
            refusal: verdict.refusal.clone(),
        };
        verdicts.iter().enumerate().map(report).collect()
    }
}
