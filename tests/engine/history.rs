//! The order of the log, and what an audit says of records that were tampered with.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use patchcore::report::Status;
use patchcore::workspace::fault::{Fault, FaultKind, at_time, inject};
use patchcore::workspace::{ApplyOptions, Record, Retention, TransactionId, Verify, Workspace};
use proptest::prelude::*;

use crate::workspace::{append, apply_new, batch, create, tree};

const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;

fn workspace(root: &Path) -> Workspace {
    Workspace::open(root).unwrap()
}

fn log(root: &Path) -> Vec<TransactionId> {
    workspace(root).log().unwrap().transactions().unwrap()
}

fn entry(root: &Path, transaction: &TransactionId) -> PathBuf {
    root.join(".mission_control/log")
        .join(transaction.to_string())
}

/// The file of a record: the entry itself, or the manifest in it.
fn record_file(root: &Path, transaction: &TransactionId) -> PathBuf {
    let entry = entry(root, transaction);
    match entry.is_dir() {
        true => entry.join("manifest"),
        false => entry,
    }
}

fn remove(root: &Path, transaction: &TransactionId) {
    let entry = entry(root, transaction);
    match entry.is_dir() {
        true => fs::remove_dir_all(entry).unwrap(),
        false => fs::remove_file(entry).unwrap(),
    }
}

#[track_caller]
fn assert_clean(root: &Path) {
    let audit = workspace(root).audit().unwrap();
    assert!(audit.is_clean(), "{audit:?}");
}

/// Asserts that an audit names one transaction, for a reason.
#[track_caller]
fn assert_names(root: &Path, transaction: &TransactionId, why: &str) {
    let audit = workspace(root).audit().unwrap();
    let damaged = audit.damaged.iter();
    let named: Vec<_> = damaged.map(|it| (it.transaction, &*it.why)).collect();
    assert!(
        named
            .iter()
            .any(|(id, text)| id == transaction && text.contains(why)),
        "{transaction} {why}: {named:?}"
    );
}

/// A run that goes into the log.
#[derive(Debug, Clone)]
enum Run {
    Commit(u8),
    Durable(u8),
    Refuse,
    Repeat,
    Nothing,
    RolledBack(u8),
    Undo,
    Gc {
        keep: u8,
        newest: u8,
    },
    /// A commit, or a refusal, that dies at a step.
    Die {
        at: usize,
        refused: bool,
    },
}

fn run() -> impl Strategy<Value = Run> {
    prop_oneof![
        5 => (0..4_u8).prop_map(Run::Commit),
        1 => (0..4_u8).prop_map(Run::Durable),
        2 => Just(Run::Refuse),
        1 => Just(Run::Repeat),
        1 => Just(Run::Nothing),
        1 => (0..4_u8).prop_map(Run::RolledBack),
        2 => Just(Run::Undo),
        1 => (0..3_u8, 0..6_u8).prop_map(|(keep, newest)| Run::Gc { keep, newest }),
        2 => (1..90_usize, any::<bool>()).prop_map(|(at, refused)| Run::Die { at, refused }),
    ]
}

/// What a clock says that jumps.
fn clock() -> impl Strategy<Value = u64> {
    const NOW: u64 = 56 * YEAR;
    prop_oneof![
        4 => NOW..NOW + 3,
        1 => Just(0),
        1 => Just(NOW - 10 * YEAR),
        1 => Just(NOW + 100 * YEAR),
        1 => Just(u64::MAX),
    ]
}

fn carry_out(root: &Path, run: &Run) {
    let workspace = workspace(root);
    let options = ApplyOptions {
        retention: None,
        durable: matches!(run, Run::Durable(_)),
        verify: matches!(run, Run::RolledBack(_)).then(|| Verify::new("false")),
        ..ApplyOptions::default()
    };
    let name = |file: u8| format!("f{file}");
    match run {
        Run::Commit(file) | Run::Durable(file) | Run::RolledBack(file) => {
            let work = batch(vec![append(&name(*file), "x")]);
            let applied = workspace.apply(&work, &options).unwrap();
            assert_ne!(applied.report.status, Status::Refused);
        }
        Run::Refuse => {
            let work = batch(vec![create("f0", "there\n")]);
            let applied = workspace.apply(&work, &options).unwrap();
            assert_eq!(applied.report.status, Status::Refused);
        }
        Run::Repeat => {
            let mut work = batch(vec![append("f0", "repeated")]);
            work.id = Some("repeated".into());
            workspace.apply(&work, &options).unwrap();
        }
        Run::Nothing => {
            let work = batch(Vec::new());
            workspace.apply(&work, &options).unwrap();
        }
        Run::Undo => {
            // There may be nothing to undo, or what there is may have changed since.
            let _ = workspace.undo(None, &options);
        }
        Run::Gc { keep, newest } => {
            let keep = *keep;
            let all = log(root);
            let room = all.iter().rev().take(usize::from(*newest));
            let log = workspace.log().unwrap();
            let retention = Retention {
                max_bytes: room.map(|id| log.size(id).unwrap()).sum(),
                max_age: Duration::MAX,
                keep: Some(std::sync::Arc::new(move |id: &TransactionId| {
                    keep > 0 && id.as_bytes()[15].is_multiple_of(keep + 1)
                })),
            };
            workspace.gc(&retention).unwrap();
        }
        Run::Die { at, refused } => {
            let work = match refused {
                true => batch(vec![create("f0", "there\n")]),
                false => batch(vec![append("f1", "died")]),
            };
            let fault = Fault {
                at: Some((*at, FaultKind::Stop)),
                ..Fault::default()
            };
            let _ = inject(fault, || workspace.apply(&work, &options));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done, and whatever the clock says meanwhile, ids grow with the commits and an
    /// audit finds nothing; and whatever is tampered with afterwards, it names the record.
    #[test]
    fn the_log_is_in_the_order_of_commits_and_only_tampering_shows(
        runs in prop::collection::vec((run(), clock()), 1..24),
        victim in any::<prop::sample::Index>(),
        way in 0..4_u8,
        after in prop::collection::vec((run(), clock()), 0..3),
    ) {
        let dir = tree(&[("f0", "0\n"), ("f1", "1\n"), ("f2", "2\n"), ("f3", "3\n")]);
        let root = dir.path();
        let mut last: Option<TransactionId> = None;
        let mut there: Vec<TransactionId> = Vec::new();
        for (run, clock) in &runs {
            at_time(*clock, || carry_out(root, run));
            workspace(root).recover().unwrap();
            let now = log(root);
            // What was the last one may have been collected meanwhile.
            let new = now.iter().filter(|id| !there.contains(id));
            for id in new {
                prop_assert!(last.is_none_or(|last| *id > last), "{run:?}: {id} {last:?}");
            }
            last = last.max(now.last().copied());
            there = now;
            let audit = workspace(root).audit().unwrap();
            prop_assert!(audit.is_clean(), "{run:?}: {audit:?}");
        }
        let all = log(root);
        prop_assume!(!all.is_empty());
        let index = victim.index(all.len());
        let victim = all[index];
        let file = record_file(root, &victim);
        let bytes = fs::read(&file).unwrap();
        match way {
            0 => remove(root, &victim),
            1 => fs::write(&file, &bytes[..bytes.len() / 2]).unwrap(),
            2 => {
                let mut bytes = bytes;
                bytes[40] ^= 1;
                fs::write(&file, bytes).unwrap();
            }
            _ => {
                let other = all[(index + 1) % all.len()];
                prop_assume!(other != victim);
                fs::write(&file, fs::read(record_file(root, &other)).unwrap()).unwrap();
            }
        }
        let audit = workspace(root).audit().unwrap();
        prop_assert!(
            audit.damaged.iter().any(|it| it.transaction == victim),
            "{way} {victim}: {audit:?}"
        );
        // Nor does it get lost behind what is done next.
        for (run, clock) in &after {
            // A journal that is cut short may be what a power cut left of the last record, which then
            // never came into the log: behind it, nobody knows whether that record was removed.
            let cuts = matches!(run, Run::Die { refused: false, .. });
            if !cuts && !matches!(run, Run::Gc { .. } | Run::Undo | Run::Repeat) {
                at_time(*clock, || carry_out(root, run));
                workspace(root).recover().unwrap();
            }
        }
        let audit = workspace(root).audit().unwrap();
        prop_assert!(
            audit.damaged.iter().any(|it| it.transaction == victim),
            "later, {way} {victim}: {audit:?}"
        );
    }
}

#[test]
fn undo_takes_back_the_last_commit_whatever_the_clock_says() {
    let dir = tree(&[("a", "a\n"), ("b", "b\n")]);
    let root = dir.path();
    for (clock, file) in [(60 * YEAR, "a"), (30 * YEAR, "b")] {
        at_time(clock, || apply_new(root, batch(vec![append(file, "x")])));
    }
    at_time(0, || {
        workspace(root)
            .undo(None, &ApplyOptions::default())
            .unwrap()
    });
    assert_eq!(fs::read(root.join("b")).unwrap(), b"b\n");
    assert_eq!(fs::read(root.join("a")).unwrap(), b"a\nx\n");
    assert_clean(root);
}

#[test]
fn a_planted_head_or_entry_at_the_end_of_all_ids_stops_nothing() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    let first = apply_new(root, batch(vec![append("a", "1")]));
    let first = first.record;
    let digest = first.content;
    let end = "ffffffff-ffff-7fff-bfff-ffffffffffff";
    let head = root.join(".mission_control/head");
    let late = "7fffffff-ffff-7fff-bfff-ffffffffffff";
    for id in [late, end, "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
        fs::write(root.join(".mission_control/log").join(id), "planted").unwrap();
        for plant in 0..4 {
            let _ = fs::remove_file(&head).or_else(|_| fs::remove_dir(&head));
            match plant {
                0 => std::os::unix::fs::symlink(format!("{id} {digest}"), &head).unwrap(),
                1 => std::os::unix::fs::symlink("../outside", &head).unwrap(),
                2 => fs::write(&head, "text").unwrap(),
                _ => fs::create_dir(&head).unwrap(),
            }
            let applied = apply_new(root, batch(vec![append("a", "2")]));
            assert_eq!(applied.report.status, Status::Applied);
            assert!(applied.unfinished.is_none(), "{:?}", applied.unfinished);
            let record = applied.record;
            assert!(record.transaction > first.transaction);
            assert!(*record.transaction.to_string() < *late);
        }
    }
}

/// What the head says, and how the log looks, after a death at each step.
#[test]
fn a_death_at_any_step_leaves_a_log_that_an_audit_finds_whole() {
    let commit = || batch(vec![append("a", "x"), create("n", "n\n")]);
    let refused = || batch(vec![create("a", "x")]);
    let works = [
        ("commit", commit(), false),
        ("durable", commit(), true),
        ("refused", refused(), false),
    ];
    for (what, work, durable) in works {
        for kind in [FaultKind::Stop, FaultKind::Tear, FaultKind::Fail(5)] {
            for at in 1.. {
                let dir = tree(&[("a", "a\n")]);
                let root = dir.path();
                apply_new(root, batch(vec![append("a", "first")]));
                let options = ApplyOptions {
                    durable,
                    ..ApplyOptions::default()
                };
                let fault = Fault {
                    at: Some((at, kind)),
                    ..Fault::default()
                };
                let opened = workspace(root);
                let died = inject(fault, || opened.apply(&work, &options));
                let name = died.steps.get(at - 1).copied();
                let context = format!("{what}, {kind:?} at {at} {name:?}");
                // Before the next run, where a reader may look at all, and after it.
                if let Ok(audit) = workspace(root).audit() {
                    assert!(audit.damaged.is_empty(), "{context}: {audit:?}");
                }
                let before = log(root);
                let next = apply_new(root, batch(vec![append("a", "next")]));
                let next = next.record;
                assert_eq!(log(root).last(), Some(&next.transaction), "{context}");
                assert!(log(root).len() > before.len(), "{context}");
                let audit = workspace(root).audit().unwrap();
                assert!(audit.is_clean(), "{context}: {audit:?}");
                if name.is_none() {
                    break;
                }
            }
        }
    }
}

/// A collection that dies leaves nothing that looks like tampering.
#[test]
fn a_collection_that_dies_at_any_step_is_no_alarm() {
    for keeping in [false, true] {
        for at in 1.. {
            let dir = tree(&[("a", "a\n"), ("b", "b\n")]);
            let root = dir.path();
            for number in 0..4 {
                let file = if number % 2 == 0 { "a" } else { "b" };
                apply_new(root, batch(vec![append(file, "x")]));
            }
            let second = log(root)[1];
            let retention = Retention {
                max_bytes: 0,
                keep: keeping.then(|| {
                    let keep = move |id: &TransactionId| *id == second;
                    std::sync::Arc::new(keep) as _
                }),
                ..Retention::default()
            };
            let fault = Fault {
                at: Some((at, FaultKind::Stop)),
                ..Fault::default()
            };
            let opened = workspace(root);
            let died = inject(fault, || opened.gc(&retention));
            assert_clean(root);
            let is_over = died.steps.len() < at;
            if is_over {
                assert_eq!(log(root).len(), usize::from(keeping));
            }
            apply_new(root, batch(vec![append("a", "next")]));
            assert_clean(root);
            let nothing_more = Retention {
                max_bytes: u64::MAX,
                ..retention
            };
            workspace(root).gc(&nothing_more).unwrap();
            assert_clean(root);
            let entries = fs::read_dir(root.join(".mission_control/log")).unwrap();
            for entry in entries {
                let mut inside = fs::read_dir(entry.unwrap().path()).unwrap();
                assert!(inside.next().is_some(), "stopped at {at}: an empty entry");
            }
            if keeping {
                remove(root, &second);
                assert_names(root, &second, "missing");
            }
            if is_over {
                break;
            }
        }
    }
}

#[test]
fn what_somebody_else_removed_stays_an_alarm_when_gc_passes_it() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    for _ in 0..6 {
        apply_new(root, batch(vec![append("a", "x")]));
    }
    let all = log(root);
    remove(root, &all[2]);
    assert_names(root, &all[2], "missing");
    let retention = |max_bytes| Retention {
        max_bytes,
        ..Retention::default()
    };
    let of_two = workspace(root).log().unwrap().size(&all[5]).unwrap() * 2;
    workspace(root).gc(&retention(of_two)).unwrap();
    assert_eq!(log(root).len(), 2);
    assert_names(root, &all[2], "missing");
    // The last one, and everything that was left.
    remove(root, &all[5]);
    assert_names(root, &all[5], "missing");
    workspace(root).gc(&retention(0)).unwrap();
    let audit = workspace(root).audit().unwrap();
    let mut named: Vec<_> = audit.damaged.iter().map(|it| it.transaction).collect();
    named.sort();
    assert_eq!(named, [all[2], all[5]], "{audit:?}");
}

#[test]
fn a_log_of_which_everything_was_collected_goes_on_where_it_was() {
    for lose_head in [false, true] {
        let dir = tree(&[("a", "a\n")]);
        let root = dir.path();
        let last = at_time(90 * YEAR, || apply_new(root, batch(vec![append("a", "x")])));
        let last = last.record;
        let nothing = Retention {
            max_bytes: 0,
            ..Retention::default()
        };
        workspace(root).gc(&nothing).unwrap();
        assert_eq!(log(root), []);
        assert_clean(root);
        if lose_head {
            fs::remove_file(root.join(".mission_control/head")).unwrap();
        }
        let next = at_time(YEAR, || apply_new(root, batch(vec![append("a", "y")])));
        let next = next.record;
        assert!(next.transaction > last.transaction);
        let previous = next.previous.unwrap();
        assert_eq!(previous.transaction, last.transaction);
        let bytes = last.to_bytes(None);
        let end = std::str::from_utf8(&bytes[bytes.len() - 72..]).unwrap();
        assert_eq!(previous.digest.to_string(), end.trim_end());
        assert_clean(root);
    }
}

/// A refused batch that died may have left its record beside the log. That record, too, says which
/// one came before it.
#[test]
fn a_record_that_was_removed_before_one_on_its_way_is_named() {
    let mut on_its_way = 0;
    for at in 1..60 {
        let dir = tree(&[("f0", "0\n"), ("f1", "1\n")]);
        let root = dir.path();
        let first = apply_new(root, batch(vec![append("f1", "x")]));
        let first = first.record.transaction;
        carry_out(root, &Run::Die { at, refused: true });
        on_its_way += usize::from(
            root.join(".mission_control/txn/record")
                .try_exists()
                .unwrap(),
        );
        assert_clean(root);
        remove(root, &first);
        assert_names(root, &first, "missing");
    }
    assert!(on_its_way > 0);
}

/// What `gc` removed before a record on its way says nothing of the files any more.
#[test]
fn a_gap_before_a_record_on_its_way_is_no_alarm() {
    for at in 1..60 {
        let dir = tree(&[("f0", "0\n"), ("f1", "1\n"), ("f2", "2\n")]);
        let root = dir.path();
        let kept = apply_new(root, batch(vec![append("f2", "x")]));
        let kept = kept.record.transaction;
        apply_new(root, batch(vec![append("f2", "y")]));
        let retention = Retention {
            max_bytes: 0,
            max_age: Duration::MAX,
            keep: Some(std::sync::Arc::new(move |id: &TransactionId| *id == kept)),
        };
        workspace(root).gc(&retention).unwrap();
        carry_out(root, &Run::Die { at, refused: true });
        assert_clean(root);
    }
}

/// A record whose checksum was made to hold again is still another record.
#[test]
fn a_record_that_was_rewritten_or_put_in_between_is_named() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    for _ in 0..3 {
        apply_new(root, batch(vec![append("a", "x")]));
    }
    // A process of the same user can seal what it forges.
    let key = workspace(root).key().unwrap().unwrap();
    let all = log(root);
    for (index, victim) in all.iter().enumerate() {
        let file = record_file(root, victim);
        let kept = fs::read(&file).unwrap();
        let mut record = Record::from_bytes(&kept).unwrap();
        record.labels.agent = Some("mallory".into());
        fs::write(&file, record.to_bytes(Some(&key))).unwrap();
        assert_names(root, victim, "rewritten");
        // Who cannot seal it has replaced it.
        fs::write(&file, record.to_bytes(None)).unwrap();
        assert_names(root, victim, "replaced");
        fs::write(&file, kept).unwrap();
        assert_clean(root);
        if index > 0 {
            // One of the same millisecond, made out of the one before.
            let bytes = fs::read(record_file(root, &all[index - 1])).unwrap();
            let mut forged = Record::from_bytes(&bytes).unwrap();
            let mut id = all[index - 1].to_string().into_bytes();
            id[35] = if id[35] == b'f' { b'e' } else { b'f' };
            let id: TransactionId = String::from_utf8(id).unwrap().parse().unwrap();
            if id > all[index - 1] {
                forged.transaction = id;
                forged.changes.clear();
                forged.journal = Default::default();
                fs::write(entry(root, &id), forged.to_bytes(Some(&key))).unwrap();
                assert_names(root, &id, "no place");
                remove(root, &id);
            }
        }
    }
    assert_clean(root);
}

#[test]
fn a_batch_that_was_set_aside_leaves_no_gap() {
    for at in 1.. {
        let dir = tree(&[("a", "a\n")]);
        let root = dir.path();
        apply_new(root, batch(vec![append("a", "first")]));
        let work = batch(vec![append("a", "x")]);
        let fault = Fault {
            at: Some((at, FaultKind::Stop)),
            ..Fault::default()
        };
        let opened = workspace(root);
        let died = inject(fault, || opened.apply(&work, &ApplyOptions::default()));
        workspace(root).abandon().unwrap();
        let audit = workspace(root).audit().unwrap();
        assert!(audit.damaged.is_empty(), "{at}: {audit:?}");
        apply_new(root, batch(vec![create("n", "n\n")]));
        let audit = workspace(root).audit().unwrap();
        assert!(audit.damaged.is_empty(), "{at}: {audit:?}");
        if died.result.is_ok() {
            break;
        }
    }
}

#[test]
fn an_old_entry_goes_by_when_it_was_written_where_the_clock_had_been_ahead() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    // Once the clock was far ahead, ids stay there.
    for clock in [200 * YEAR, YEAR] {
        at_time(clock, || apply_new(root, batch(vec![append("a", "x")])));
    }
    let old = fs::FileTimes::new()
        .set_modified(std::time::SystemTime::now() - Duration::from_secs(40 * 24 * 60 * 60));
    let [_, last] = log(root)[..] else { panic!() };
    let manifest = fs::File::options()
        .write(true)
        .open(record_file(root, &last))
        .unwrap();
    manifest.set_times(old).unwrap();
    let collected = workspace(root).gc(&Retention::default()).unwrap();
    assert_eq!(collected.removed, 1);
    assert!(!log(root).contains(&last));
    assert_clean(root);
}
