use std::collections::HashSet;
use std::sync::Arc;

use super::*;
use crate::plan::{ChangeKind, FileState, Touch, Verdict};
use crate::workspace::TransactionId;
use crate::workspace::record::EditRecord;

const OUTCOMES: [(Outcome, EventKind); 9] = [
    (Outcome::Applied, EventKind::PatchApplied),
    (Outcome::Rebased, EventKind::PatchApplied),
    (Outcome::AlreadyApplied, EventKind::PatchSkipped),
    (Outcome::Refused, EventKind::PatchRefused),
    (Outcome::NotApplied, EventKind::PatchSkipped),
    (Outcome::NotEvaluated, EventKind::PatchSkipped),
    (Outcome::RolledBack, EventKind::PatchRolledBack),
    (Outcome::Undone, EventKind::PatchUndone),
    (Outcome::Previewed, EventKind::PatchPreviewed),
];

fn operation(outcome: Outcome, file: &str) -> Verdict {
    Verdict {
        op: "append".into(),
        file: file.into(),
        outcome,
        lines: None,
        guarded: true,
        note: None,
        matched: None,
        rebased: None,
        allow: crate::operation::Allowances::default(),
        refusal: None,
        labels: None,
    }
}

fn record(operations: Vec<Verdict>) -> Record {
    Record {
        version: 1,
        transaction: TransactionId::now(),
        batch_id: "b-1".into(),
        content: Digest::of(b"content"),
        request: None,
        labels: Labels {
            task_id: Some("A1F2".into()),
            ..Labels::default()
        },
        state: TransactionState::Committed,
        status: Status::Applied,
        plan: Digest::of(b"plan"),
        at: "2026-01-02T03:04:05Z".into(),
        duration_ms: 3,
        overrides: Default::default(),
        refusal: None,
        previous: None,
        undoes: None,
        undoes_batch: None,
        redoes: None,
        undoes_also: Vec::new(),
        redoes_also: Vec::new(),
        command: None,
        operations: operations.into(),
        changes: Vec::new(),
        journal: Default::default(),
    }
}

#[test]
fn each_outcome_has_its_event_and_the_batch_counts_them() {
    let record = record(OUTCOMES.iter().map(|(o, _)| operation(*o, "a")).collect());
    let all: Vec<PatchEvent> = events(&record).collect();
    assert_eq!(all.len(), count(&record));
    assert_eq!(all[0].event, EventKind::PatchRequested);
    assert_eq!(all[0].counts.as_ref().unwrap().len(), OUTCOMES.len());
    for ((outcome, kind), event) in OUTCOMES.iter().zip(&all[1..]) {
        assert_eq!(event.event, *kind);
        assert_eq!(event.outcome, Some(*outcome));
        let spelt = serde_json::to_value(kind).unwrap();
        assert_eq!(spelt, kind.as_str());
        let counted = serde_json::to_value(outcome).unwrap();
        assert_eq!(counted, name(*outcome));
    }
    assert!(event(&record, all.len()).is_none());
}

#[test]
fn ids_are_the_same_each_time_and_different_for_each_event() {
    let record = record((0..50).map(|_| operation(Outcome::Applied, "a")).collect());
    let ids: Vec<String> = events(&record).map(|event| event.event_id).collect();
    let again: Vec<String> = (0..51).filter_map(|n| event_id(&record, n)).collect();
    assert_eq!(ids, again);
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 51);
    let other = Record {
        transaction: TransactionId::now(),
        ..record
    };
    assert!(events(&other).all(|event| !ids.contains(&event.event_id)));
}

#[test]
fn r32_a_batch_that_is_not_decided_has_no_events() {
    let mut record = record(vec![operation(Outcome::Applied, "a")]);
    record.state = TransactionState::Prepared;
    assert_eq!(events(&record).count(), 0);
}

#[test]
fn r32_a_change_of_the_manifest_alone_is_no_batch_and_has_no_events() {
    let mut record = record(Vec::new());
    assert_eq!(events(&record).count(), 1);
    record.batch_id = record.transaction.to_string();
    assert_eq!((events(&record).count(), event_id(&record, 0)), (0, None));
}

#[test]
fn an_operation_tells_its_own_lines_and_its_file_s_hashes() {
    let mut record = record(vec![
        operation(Outcome::Applied, "a"),
        operation(Outcome::Applied, "./b"),
        operation(Outcome::AlreadyApplied, "a"),
    ]);
    let state = |bytes: &[u8]| FileState {
        digest: Digest::of(bytes),
        executable: false,
        link: false,
    };
    let change = |path: &str, touches| ChangeRecord {
        path: RelPath::new(path).unwrap(),
        from: None,
        kind: ChangeKind::Modified,
        before: Some(state(b"old")),
        after: Some(state(path.as_bytes())),
        slot: None,
        edits: vec![],
        touches,
        lines_added: 5,
        lines_removed: 2,
    };
    let touch = Touch {
        operation: 0,
        edit: 0,
        added: 3,
        removed: 1,
    };
    record.changes = vec![change("a", vec![touch]), change("b", vec![])];
    record.operations[1].labels = Some(Box::new(Labels {
        task_id: Some("other".into()),
        ..Labels::default()
    }));
    let all: Vec<PatchEvent> = events(&record).collect();
    assert_eq!((all[0].lines_added, all[0].lines_removed), (10, 4));
    assert_eq!((all[1].lines_added, all[1].lines_removed), (3, 1));
    assert_eq!(all[1].before, Some(Digest::of(b"old")));
    assert_eq!(all[1].after, Some(Digest::of(b"a")));
    assert_eq!(all[1].labels.task_id.as_deref(), Some("A1F2"));
    assert_eq!(all[2].after, Some(Digest::of(b"b")));
    assert_eq!(all[2].labels.task_id.as_deref(), Some("other"));
    assert_eq!(all[3].after, None);
}

#[test]
fn an_event_reads_back_as_it_was_written() {
    let record = record(vec![operation(Outcome::Applied, "a")]);
    for event in events(&record) {
        let text = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<PatchEvent>(&text).unwrap(), event);
    }
}

#[test]
fn an_event_carries_the_hunks_of_its_own_operation() {
    let old = "one\ntwo\nthree\n".repeat(10);
    let mut record = record(vec![
        operation(Outcome::Applied, "a"),
        operation(Outcome::Applied, "a"),
        operation(Outcome::Applied, "a"),
    ]);
    let touch = |operation| Touch {
        operation,
        edit: operation,
        added: 1,
        removed: 1,
    };
    let edit = |start: usize, text: &[u8]| EditRecord {
        span: [start, start + 3],
        len: text.len(),
        text: text.to_vec(),
    };
    let mut long = edit(14, b"");
    long.len = 1 << 20;
    record.changes = vec![ChangeRecord {
        path: RelPath::new("a").unwrap(),
        from: None,
        kind: ChangeKind::Modified,
        before: None,
        after: Some(FileState {
            digest: Digest::of(b"new"),
            executable: false,
            link: false,
        }),
        slot: Some(7),
        edits: vec![edit(0, b"1"), edit(4, b"\xff"), long],
        touches: vec![touch(0), touch(1), touch(2)],
        lines_added: 3,
        lines_removed: 3,
    }];
    let bytes = Arc::new(old.into_bytes());
    let mut pre_image = |slot| (slot == 7).then(|| Arc::clone(&bytes));
    let mut with_diff = |position| {
        let mut event = event(&record, position).unwrap();
        add_diff(&mut event, &record, &mut pre_image);
        event
    };
    assert_eq!(with_diff(0).diff, None);
    let first = with_diff(1).diff.unwrap();
    assert!(first.contains("-one\n+1\n two\n"), "{first}");
    assert!(!first.contains("-two"), "{first}");
    let second = with_diff(2).diff.unwrap();
    assert!(second.contains("-two\n+\u{fffd}\n"), "{second}");
    let third = with_diff(3);
    assert!(third.diff_truncated && third.diff.is_none());

    let mut none = event(&record, 1).unwrap();
    add_diff(&mut none, &record, &mut |_| None);
    assert!(none.diff.is_none() && !none.diff_truncated);
    let mut wrong = event(&record, 1).unwrap();
    add_diff(&mut wrong, &record, &mut |_| Some(Arc::default()));
    assert!(wrong.diff.is_none());
}
