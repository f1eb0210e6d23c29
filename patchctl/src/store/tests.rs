use std::path::Path;

use super::*;

fn open(root: &Path) -> Opened {
    let workspace = Workspace::open(root).unwrap();
    Store::open(&workspace, Check::Pages, BUSY).unwrap()
}

fn entry(name: &str, total: usize, refused: bool) -> Entry {
    Entry {
        transaction: name.to_owned(),
        total,
        bytes: 100,
        refused,
    }
}

fn frozen(until: usize) -> Frozen {
    Frozen {
        id: format!("id-{until}"),
        until,
        body: vec![b'x'; until],
    }
}

#[test]
fn a_lane_keeps_its_request_until_it_is_delivered() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).store;
    store
        .add_entries(&[entry("a", 2, false), entry("b", 1, false)])
        .unwrap();
    store.add_entries(&[entry("a", 2, false)]).unwrap();
    assert_eq!(store.pending().unwrap().messages, 3);
    let lane = store.next_lane(now()).unwrap().unwrap();
    assert_eq!((lane.transaction.as_deref(), lane.position), (Some("a"), 0));
    store.freeze(lane.seq, &frozen(1)).unwrap();
    store.postpone(&lane, now() + 60_000, "told to").unwrap();
    drop(store);

    let mut store = open(root.path()).store;
    let other = store.next_lane(now()).unwrap().unwrap();
    assert_eq!(other.transaction.as_deref(), Some("b"));
    store.advance(&other, 1).unwrap();
    assert!(store.next_lane(now()).unwrap().is_none());
    assert_eq!(
        store.failing(9).unwrap(),
        [("a".into(), 1, "told to".into())]
    );
    store.reset_backoff().unwrap();
    let again = store.next_lane(now()).unwrap().unwrap();
    assert_eq!(again.frozen, Some(frozen(1)));
    assert_eq!(again.attempts, 1);
    store.advance(&again, 1).unwrap();
    let second = store.next_lane(now()).unwrap().unwrap();
    assert_eq!(
        (second.position, second.attempts, second.frozen),
        (1, 0, None)
    );
    assert_eq!(store.take_answers().unwrap().len(), 0);
}

#[test]
fn a_file_that_is_no_database_is_set_aside_and_replaced() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(open(root.path()).origin, Origin::New);
    assert_eq!(open(root.path()).origin, Origin::Kept);
    let file = root.path().join(".mission_control/store/outbox.db");
    // With its write-ahead log at hand, SQLite would mend the file from it.
    let without_log = || {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(
                root.path()
                    .join(format!(".mission_control/store/outbox.db{suffix}")),
            );
        }
    };
    without_log();
    let garbage = b"this is no database, and longer than a page\n".repeat(200);
    std::fs::write(&file, garbage).unwrap();
    let Origin::Replaced(aside) = open(root.path()).origin else {
        panic!("not replaced");
    };
    assert!(std::fs::read(aside).unwrap().starts_with(b"this is no"));
    assert_eq!(open(root.path()).origin, Origin::Kept);
    // What SQLite takes for an empty file is a new store, not one that was kept.
    without_log();
    std::fs::write(&file, b"").unwrap();
    assert_eq!(open(root.path()).origin, Origin::New);
}

#[test]
fn messages_and_dead_letters_outlive_damage_elsewhere() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).store;
    let message = Message {
        id: "m".into(),
        body: b"{}".to_vec(),
    };
    store
        .add_messages(LaneKind::OpsLog, &[message], Class::Kept)
        .unwrap();
    let file = root.path().join(".mission_control/store/outbox.db");
    // A damaged store is one whose table of lanes cannot be read, say; here it is copied whole.
    let copy = root.path().join("copy.db");
    store
        .db
        .execute("VACUUM INTO ?", [copy.to_str().unwrap()])
        .unwrap();
    drop(store);
    std::fs::remove_file(file).unwrap();
    let store = open(root.path()).store;
    let key = Workspace::open(root.path())
        .unwrap()
        .key()
        .unwrap()
        .unwrap();
    store.salvage(&copy, &key);
    let lane = store.next_lane(now()).unwrap().unwrap();
    assert_eq!(lane.kind, LaneKind::OpsLog);
    assert_eq!(store.message(lane.seq, 0).unwrap().unwrap().body, b"{}");
}

#[test]
fn a_store_of_a_later_version_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).store;
    store.db.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let error = Store::open(&Workspace::open(root.path()).unwrap(), Check::Header, BUSY)
        .err()
        .unwrap();
    assert!(matches!(error, StoreError::Newer(99)));
}

#[test]
fn r31_the_store_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path()).store;
    let mode = std::fs::metadata(store.directory.path_of("."))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn r40_a_full_log_drops_previews_then_refusals_and_counts_them() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).store;
    store
        .add_entries(&[
            entry("kept", 1, false),
            entry("refused", 2, true),
            entry("late", 2, true),
        ])
        .unwrap();
    let preview = Message {
        id: "p".into(),
        body: vec![0; 100],
    };
    store
        .add_messages(LaneKind::Events, &[preview], Class::Preview)
        .unwrap();
    assert_eq!(store.drop_class(Class::Preview, 400).unwrap(), 0);
    assert_eq!(store.drop_class(Class::Preview, 250).unwrap(), 1);
    assert_eq!(store.drop_class(Class::Refusal, 250).unwrap(), 2);
    assert_eq!(store.drop_class(Class::Refusal, 250).unwrap(), 0);
    assert_eq!(store.pending().unwrap().bytes, 200);
    assert_eq!(store.dropped().unwrap(), 3);
    let known = store.entries().unwrap();
    assert!(known["refused"] && !known["late"] && !known["kept"]);
}

#[test]
fn r40_one_process_delivers_at_a_time() {
    let root = tempfile::tempdir().unwrap();
    let (one, two) = (open(root.path()).store, open(root.path()).store);
    let held = one.try_deliver().unwrap();
    assert!(held.is_some());
    assert!(two.try_deliver().unwrap().is_none());
    drop(held);
    assert!(two.try_deliver().unwrap().is_some());
}

#[test]
fn a_dead_letter_goes_back_with_its_id_and_body() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).store;
    let letter = DeadLetter {
        id: "e".into(),
        kind: LaneKind::Events,
        transaction: Some("t".into()),
        position: 3,
        body: Some(b"{\"a\":1}".to_vec()),
        reason: "422".into(),
        attempts: 1,
        at: 0,
    };
    store.add_dead_letter(&letter).unwrap();
    assert_eq!(store.dead_count().unwrap(), 1);
    assert_eq!(store.dead_of("t").unwrap(), [3]);
    assert!(store.dead(9, 0).unwrap()[0].at > 0);
    assert!(!store.revive("other").unwrap());
    assert!(store.revive("e").unwrap());
    let lane = store.next_lane(now()).unwrap().unwrap();
    let frozen = lane.frozen.clone().unwrap();
    assert_eq!(
        (frozen.id.as_str(), frozen.body.as_slice()),
        ("e", &b"{\"a\":1}"[..])
    );
    store.advance(&lane, 1).unwrap();
    assert_eq!(store.pending().unwrap().messages, 0);
    store.add_dead_letter(&letter).unwrap();
    assert_eq!(store.take_dead_letter("e").unwrap().unwrap().reason, "422");
    assert_eq!(store.dead_count().unwrap(), 0);
}

/// What is planted, and what must not be seen of it.
#[test]
fn rows_that_were_not_written_here_are_set_aside() {
    let root = tempfile::tempdir().unwrap();
    let mut store = open(root.path()).store;
    store
        .add_entries(&[entry("told", 1, false), entry("next", 1, false)])
        .unwrap();
    let message = Message {
        id: "m".into(),
        body: b"{}".to_vec(),
    };
    let lane = store
        .add_messages(LaneKind::OpsLog, &[message], Class::Kept)
        .unwrap();
    store.add_answer("a", b"{}").unwrap();
    let file = store.directory.path_of(DATABASE);
    drop(store);
    // As somebody does it who has the file and not the key.
    let stranger = Connection::open(&file).unwrap();
    stranger
        .execute_batch(
            "UPDATE lanes SET position = total WHERE transaction_id = 'told';
             UPDATE lanes SET total = 'many' WHERE transaction_id = 'next';
             UPDATE bodies SET body = x'2222';
             INSERT INTO lanes(kind, total, frozen_id, frozen_until, frozen)
             VALUES ('events', 1, 'planted', 1, x'7b7d');
             INSERT INTO lanes(kind, transaction_id, total, position)
             VALUES ('events', 'other', 1, 1);
             INSERT INTO answers(id, body) VALUES ('planted', x'7b7d');
             INSERT INTO dead(id, kind, position, body, reason, attempts, at)
             VALUES ('planted', 'events', 0, x'7b7d', '', 1, 1);
             INSERT INTO endpoint(url, failures, next_try, stopped) VALUES ('u', 1, 1, 1);
             CREATE TRIGGER planted AFTER INSERT ON lanes BEGIN
             INSERT INTO answers(id, body) VALUES ('planted', x'7b7d'); END;",
        )
        .unwrap();
    drop(stranger);
    let mut store = open(root.path()).store;
    assert_eq!(store.foreign().unwrap(), 8);
    assert_eq!(store.entries().unwrap().len(), 0);
    assert!(store.message(lane, 0).unwrap().is_none());
    assert_eq!(store.dead_count().unwrap(), 0);
    assert!(!store.revive("planted").unwrap());
    assert_eq!(store.endpoint("u").unwrap(), Endpoint::default());
    store
        .add_entries(&[entry("told", 1, false), entry("next", 1, false)])
        .unwrap();
    assert_eq!(store.take_answers().unwrap(), [b"{}"]);
    // The lane of the message, whose body is gone, and the two entries.
    assert_eq!(store.pending().unwrap().messages, 3);
    assert_eq!(open(root.path()).store.foreign().unwrap(), 8);
}

#[test]
fn a_copy_of_a_store_has_nothing_to_deliver() {
    let (root, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut store = open(root.path()).store;
    store.add_entries(&[entry("a", 1, false)]).unwrap();
    drop(open(copy.path()));
    let target = Workspace::open(copy.path()).unwrap();
    let target = target
        .private_dir(DIRECTORY)
        .unwrap()
        .unwrap()
        .path_of(DATABASE);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{end}", target.display()));
    }
    store
        .db
        .execute("VACUUM INTO ?", [target.to_str().unwrap()])
        .unwrap();
    let copied = open(copy.path()).store;
    assert_eq!(copied.pending().unwrap().messages, 0);
    assert_eq!(copied.foreign().unwrap(), 1);
}
