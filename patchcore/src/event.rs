//! Events: what a batch's record tells the orchestrator, one message for the batch and one for
//! each operation.
//!
//! Events are rendered from the log's [`Record`] alone, so that the same record gives the same
//! events, ids included, whoever renders them and however often.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::digest::Digest;
use crate::error::Refusal;
use crate::operation::{Allowances, Labels, Matched};
use crate::path::RelPath;
use crate::plan::Outcome;
pub use crate::rebase::Rebased;
use crate::report::Status;
use crate::workspace::record::{ChangeRecord, Record, TransactionState};

mod hunks;

pub use hunks::add_diff;

/// Most bytes of a diff that an event carries.
pub const MAX_DIFF: usize = 16 << 10;

/// The version of the form.
pub const VERSION: u32 = 1;

/// The name space of event ids (UUID v5); fixed for ever, since consumers deduplicate by them.
const NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_6e0a_9d51_4b6e_8f57_31a2_c0de_ba7c);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum EventKind {
    /// A batch was received; says how it ended as a whole.
    PatchRequested,
    /// An operation landed.
    PatchApplied,
    /// An operation had nothing to do, or was held back with its batch.
    PatchSkipped,
    /// An operation was refused.
    PatchRefused,
    /// An operation landed, and was taken back because verification failed.
    PatchRolledBack,
    /// An operation was taken back by `undo`.
    PatchUndone,
    /// An operation was only tried.
    PatchPreviewed,
}

impl EventKind {
    /// The event's name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PatchRequested => "PATCH_REQUESTED",
            Self::PatchApplied => "PATCH_APPLIED",
            Self::PatchSkipped => "PATCH_SKIPPED",
            Self::PatchRefused => "PATCH_REFUSED",
            Self::PatchRolledBack => "PATCH_ROLLED_BACK",
            Self::PatchUndone => "PATCH_UNDONE",
            Self::PatchPreviewed => "PATCH_PREVIEWED",
        }
    }

    /// The event that tells of an outcome.
    #[must_use]
    pub fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Applied | Outcome::Rebased => Self::PatchApplied,
            Outcome::AlreadyApplied | Outcome::NotApplied | Outcome::NotEvaluated => {
                Self::PatchSkipped
            }
            Outcome::Refused => Self::PatchRefused,
            Outcome::RolledBack => Self::PatchRolledBack,
            Outcome::Undone => Self::PatchUndone,
            Outcome::Previewed => Self::PatchPreviewed,
        }
    }
}

/// What the orchestrator is told of a batch, or of one of its operations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct PatchEvent {
    /// Always 1.
    pub version: u32,
    /// What happened.
    pub event: EventKind,
    /// A UUID made from transaction, operation and event: the key by which consumers deduplicate.
    pub event_id: String,
    /// When work on the batch began, RFC 3339, UTC.
    pub at: String,
    /// The transaction's id in the log.
    pub transaction: String,
    /// The sender's id of the batch, or the transaction's where there was none.
    pub batch_id: String,
    /// Order, task, factory, phase and agent, as batch or operation named them.
    #[serde(flatten)]
    pub labels: Labels,
    /// The operation; absent on the batch's own event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationName>,
    /// The file that the operation names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How the operation ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Whether a guard held the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guarded: Option<bool>,
    /// By which step of the ladder the operation's place was found; absent where its text stands
    /// there exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<Matched>,
    /// What the sender let pass on its own responsibility.
    #[serde(default, skip_serializing_if = "Allowances::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Vec<crate::operation::Allowance>")
    )]
    pub allow: Allowances,
    /// Where the operation's lines were and where they are, if they were mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebased: Option<Rebased>,
    /// The file's hash before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Digest>,
    /// The file's hash afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Digest>,
    /// Lines that the operation, or the batch, added.
    pub lines_added: usize,
    /// Lines that the operation, or the batch, removed.
    pub lines_removed: usize,
    /// The operation's hunks as a unified diff, at most 16 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// Whether the diff was left out because it is longer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub diff_truncated: bool,
    /// Why the operation, or the batch as a whole, was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// Whether nothing was to be written.
    #[serde(default)]
    pub dry_run: bool,
    /// How long the batch took to its commit point, in milliseconds.
    pub duration_ms: u64,
    /// How the batch ended; on its own event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The plan's digest; on the batch's own event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Digest>,
    /// How many operations had which outcome; on the batch's own event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<BTreeMap<String, usize>>,
}

/// Which operation of a batch an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OperationName {
    /// Index in the batch, from 0.
    pub index: usize,
    /// The operation's name.
    pub op: String,
}

/// How many events a record gives: one for the batch, and one for each operation.
///
/// None for a batch that is not decided yet, and none for a transaction that is no batch of
/// anybody's: one without operations and without an id, by which the task manifest changes.
#[must_use]
pub fn count(record: &Record) -> usize {
    let is_batch =
        !record.operations.is_empty() || record.batch_id != record.transaction.to_string();
    if record.state == TransactionState::Prepared || !is_batch {
        return 0;
    }
    record.operations.len() + 1
}

/// The event at a position, without its diff: 0 is the batch's, 1 that of the first operation.
///
/// `None` past the last one; see [`count`].
#[must_use]
pub fn event(record: &Record, position: usize) -> Option<PatchEvent> {
    if position >= count(record) {
        return None;
    }
    match position.checked_sub(1) {
        None => Some(of_batch(record)),
        Some(index) => of_operation(record, index),
    }
}

/// All events of a record, without their diffs, in the order in which they are to be told.
pub fn events(record: &Record) -> impl Iterator<Item = PatchEvent> {
    (0..count(record)).filter_map(|position| event(record, position))
}

/// The id of the event at a position of a record, `None` as for [`event`].
#[must_use]
pub fn event_id(record: &Record, position: usize) -> Option<String> {
    if position >= count(record) {
        return None;
    }
    let kind = match position.checked_sub(1) {
        None => EventKind::PatchRequested,
        Some(index) => EventKind::of(record.outcome(index)?),
    };
    Some(id(record, position, kind))
}

fn id(record: &Record, position: usize, kind: EventKind) -> String {
    let name = match position.checked_sub(1) {
        None => format!("{}/batch/{}", record.transaction, kind.as_str()),
        Some(index) => format!("{}/{index}/{}", record.transaction, kind.as_str()),
    };
    Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string()
}

fn of_batch(record: &Record) -> PatchEvent {
    let mut counts = BTreeMap::new();
    for outcome in (0..record.operations.len()).filter_map(|index| record.outcome(index)) {
        *counts.entry(name(outcome).to_owned()).or_insert(0) += 1;
    }
    let sum = |lines: fn(&ChangeRecord) -> usize| record.changes.iter().map(lines).sum();
    PatchEvent {
        lines_added: sum(|change| change.lines_added),
        lines_removed: sum(|change| change.lines_removed),
        refusal: record.refusal.clone(),
        status: Some(record.status),
        plan: Some(record.plan),
        counts: Some(counts),
        ..blank(record, 0, EventKind::PatchRequested, &record.labels)
    }
}

fn of_operation(record: &Record, index: usize) -> Option<PatchEvent> {
    let operation = record.operations.get(index)?;
    let outcome = record.outcome(index)?;
    let kind = EventKind::of(outcome);
    let change = change_of(record, index);
    let touches = record
        .changes
        .iter()
        .flat_map(|change| &change.touches)
        .filter(|touch| touch.operation == index);
    let (lines_added, lines_removed) = touches.fold((0, 0), |(added, removed), touch| {
        (added + touch.added, removed + touch.removed)
    });
    Some(PatchEvent {
        operation: Some(OperationName {
            index,
            op: operation.op.clone().into_owned(),
        }),
        file: Some(operation.file.clone()),
        outcome: Some(outcome),
        guarded: Some(operation.guarded),
        matched: operation.matched,
        rebased: operation.rebased.as_deref().copied(),
        allow: operation.allow,
        before: change.and_then(|change| Some(change.before?.digest)),
        after: change.and_then(|change| Some(change.after?.digest)),
        lines_added,
        lines_removed,
        refusal: operation.refusal.as_deref().cloned(),
        ..blank(record, index + 1, kind, record.labels_of(index))
    })
}

fn blank(record: &Record, position: usize, kind: EventKind, labels: &Labels) -> PatchEvent {
    PatchEvent {
        version: VERSION,
        event: kind,
        event_id: id(record, position, kind),
        at: record.at.clone(),
        transaction: record.transaction.to_string(),
        batch_id: record.batch_id.clone(),
        labels: labels.clone(),
        operation: None,
        file: None,
        outcome: None,
        guarded: None,
        matched: None,
        allow: Allowances::default(),
        rebased: None,
        before: None,
        after: None,
        lines_added: 0,
        lines_removed: 0,
        diff: None,
        diff_truncated: false,
        refusal: None,
        dry_run: record.state == TransactionState::Previewed,
        duration_ms: record.duration_ms,
        status: None,
        plan: None,
        counts: None,
    }
}

/// The change that an operation is part of: one that it touched, else the one of its file.
fn change_of(record: &Record, index: usize) -> Option<&ChangeRecord> {
    let operation = record.operations.get(index)?;
    if !matches!(
        EventKind::of(record.outcome(index)?),
        EventKind::PatchApplied
            | EventKind::PatchUndone
            | EventKind::PatchRolledBack
            | EventKind::PatchPreviewed
    ) {
        return None;
    }
    let touched = |change: &&ChangeRecord| change.touches.iter().any(|t| t.operation == index);
    if let Some(change) = record.changes.iter().find(touched) {
        return Some(change);
    }
    let file = RelPath::new(operation.file.as_bytes()).ok()?;
    let from = |change: &&ChangeRecord| change.from.as_ref() == Some(&file);
    let at = |change: &&ChangeRecord| change.path == file;
    match &*operation.op {
        "rename-file" | "copy-file" => record.changes.iter().find(from),
        _ => None,
    }
    .or_else(|| record.changes.iter().find(at))
}

fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Applied => "applied",
        Outcome::Rebased => "rebased",
        Outcome::AlreadyApplied => "already_applied",
        Outcome::Refused => "refused",
        Outcome::NotApplied => "not_applied",
        Outcome::NotEvaluated => "not_evaluated",
        Outcome::RolledBack => "rolled_back",
        Outcome::Undone => "undone",
        Outcome::Previewed => "previewed",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

#[cfg(test)]
mod tests;
