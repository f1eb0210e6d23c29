//! The events of a preview, which leaves no record.

use super::{PatchEvent, VERSION, events};
use crate::digest::Digest;
use crate::operation::{Batch, Labels};
use crate::path::RelPath;
use crate::plan::FileState;
use crate::report::{FileReport, OperationReport, Report};
use crate::workspace::TransactionId;
use crate::workspace::record::{ChangeRecord, Journal, OperationRecord, Overrides, Record, State};

/// The events of a preview, in order: nothing of it is in the log, and each preview has ids of its
/// own. `batch` gives the labels.
#[must_use]
pub fn previews(report: &Report, batch: Option<&Batch>) -> Vec<PatchEvent> {
    let record = previewed(report, batch);
    events(&record)
        .map(|event| PatchEvent {
            dry_run: true,
            ..event
        })
        .collect()
}

/// The record that a preview would have, if it had one.
fn previewed(report: &Report, batch: Option<&Batch>) -> Record {
    let transaction = TransactionId::now();
    let state = |digest: Digest| FileState {
        digest,
        executable: false,
        link: false,
    };
    let operation = |operation: &OperationReport| OperationRecord {
        op: operation.op.clone(),
        file: operation.file.clone(),
        outcome: operation.outcome,
        lines: operation.lines,
        guarded: operation.guarded,
        note: None,
        matched: operation.matched,
        refusal: operation.refusal.clone(),
        labels: batch
            .and_then(|batch| batch.operations.get(operation.index))
            .map(|operation| (*operation.labels).clone())
            .filter(|labels| *labels != Labels::default())
            .map(Box::new),
    };
    let change = |file: &FileReport| {
        let path = |path: &String| RelPath::new(path.as_bytes()).ok();
        Some(ChangeRecord {
            path: path(&file.path)?,
            from: file.from.as_ref().and_then(path),
            kind: file.change,
            before: file.before.map(state),
            after: file.after.map(state),
            slot: None,
            edits: Vec::new(),
            touches: Vec::new(),
            lines_added: file.lines_added,
            lines_removed: file.lines_removed,
        })
    };
    Record {
        version: VERSION,
        transaction,
        batch_id: report
            .batch_id
            .clone()
            .unwrap_or_else(|| transaction.to_string()),
        content: batch.map_or_else(|| Digest::of(b""), |batch| batch.content),
        labels: batch.map_or_else(Labels::default, |batch| (*batch.labels).clone()),
        state: State::Refused,
        status: report.status,
        plan: report.plan,
        at: jiff::Timestamp::now().to_string(),
        duration_ms: 0,
        overrides: Overrides::default(),
        refusal: report.refusal.clone(),
        previous: None,
        undoes: None,
        undoes_batch: None,
        redoes: None,
        command: None,
        operations: report.operations.iter().map(operation).collect(),
        changes: report.files.iter().filter_map(change).collect(),
        journal: Journal::default(),
    }
}
