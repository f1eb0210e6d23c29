//! The report: what `apply`, `check` and `undo` say on standard output with `--output json`.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Code, Refusal};
use crate::plan::{ChangeKind, Outcome};
use crate::text::LineNumber;

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
    /// What a person should know: saved conflicts, folded white space.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Unified diff in git's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

impl Report {
    /// The code that decides the exit status: the batch's own refusal, else that of the first
    /// refused operation.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        let of_operation = || self.operations.iter().find_map(|o| o.refusal.as_ref());
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

/// What became of an operation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct OperationReport {
    /// Index in the batch, from 0.
    pub index: usize,
    /// The operation's name.
    pub op: String,
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
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
}
