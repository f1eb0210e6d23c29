//! Going back to a point of the log.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use patchcore::Code;
use patchcore::operation::{Action, Operation};
use patchcore::plan::Outcome;
use patchcore::report::{Mode, Status};
use patchcore::workspace::{Applied, Point, Retention, TransactionId, Workspace};

use crate::command::{edit, options, record, start};
use crate::random::Random;
use crate::workspace::{append, apply_new, batch, create, delete, path, rename, snapshot, tree};

pub(crate) type Files = Vec<(String, u32, Vec<u8>)>;

/// The files; a directory alone is in no record of a command.
pub(crate) fn files(root: &Path) -> Files {
    let all = snapshot(root).into_iter();
    all.filter(|it| it.1 & 0o170_000 != 0o040_000).collect()
}

fn go(root: &Path, point: &str, mode: Mode) -> Applied<'static> {
    let workspace = Workspace::open(root).unwrap();
    let point = Point::parse(point);
    workspace.undo_to(&point, mode, &options()).unwrap()
}

/// Which transactions count.
fn counting(root: &Path) -> BTreeMap<TransactionId, bool> {
    let log = Workspace::open(root).unwrap().log().unwrap();
    let transactions = log.transactions().unwrap().into_iter();
    let counts = |id: &TransactionId| log.undone_by(id).unwrap().is_none();
    transactions.map(|id| (id, counts(&id))).collect()
}

fn name(applied: &Applied<'_>) -> String {
    applied.record.transaction.to_string()
}

/// One step of a history; `None` where it came to nothing.
pub(crate) fn step(root: &Path, random: &mut Random, known: &[String]) -> Option<String> {
    let workspace = Workspace::open(root).unwrap();
    let any = |random: &mut Random| {
        let index = random.below(known.len() as u64);
        known[usize::try_from(index).unwrap()].clone()
    };
    let applied = match random.below(8) {
        0..=2 => record(root, || {
            for _ in 0..=random.below(3) {
                edit(root, random);
            }
        })?,
        3 => apply_new(root, batch(vec![append("a.txt", "more")])),
        4 => {
            let file = format!("made/{}/x", random.below(3));
            apply_new(root, batch(vec![create(&file, "new\n")]))
        }
        5 => apply_new(root, batch(vec![rename("d/one", "d/renamed")])),
        6 => workspace.undo(Some(&any(random)), &options()).ok()?,
        _ => go(root, &any(random), Mode::Apply),
    };
    (!applied.record.changes.is_empty()).then(|| name(&applied))
}

#[test]
fn any_history_goes_back_to_any_point_of_it() {
    let seeds = std::env::var("PATCHCORE_SEEDS").map_or(40, |text| text.parse().unwrap());
    let mut gone: u64 = 0;
    for seed in 0..seeds {
        let dir = start();
        let root = dir.path();
        let mut random = Random(seed);
        let first = apply_new(root, batch(vec![append("a.txt", "first")]));
        let mut points = vec![name(&first)];
        let mut then = vec![files(root)];
        for _ in 0..10 {
            if let Some(point) = step(root, &mut random, &points) {
                points.push(point);
                then.push(files(root));
            }
        }
        let now = files(root);
        let counted = counting(root);
        let index = usize::try_from(random.below(points.len() as u64)).unwrap();
        let point = &points[index];
        let preview = go(root, point, Mode::Preview);
        assert_eq!(files(root), now, "seed {seed}");
        let undone = go(root, point, Mode::Apply);
        assert_eq!(
            undone.report.code(),
            None,
            "seed {seed}: {:?}",
            undone.report
        );
        assert_eq!(undone.report.plan, preview.report.plan, "seed {seed}");
        assert_eq!(files(root), then[index], "seed {seed} to {index}");
        let workspace = Workspace::open(root).unwrap();
        let audit = workspace.audit().unwrap();
        assert!(audit.is_clean(), "seed {seed}: {audit:?}");
        if undone.record.changes.is_empty() {
            continue;
        }
        gone += 1;
        // What is behind the point counts no more.
        let after = counting(root);
        let point: TransactionId = point.parse().unwrap();
        let behind = counted.keys().filter(|id| **id > point);
        let log = workspace.log().unwrap();
        for id in behind {
            let changed = !log.read(id).unwrap().unwrap().changes.is_empty();
            assert!(!changed || !after[id], "seed {seed}: {id}");
        }
        // The undo is a batch like any other.
        let again = workspace.undo(Some(&name(&undone)), &options()).unwrap();
        assert_eq!(again.report.code(), None, "seed {seed}: {:?}", again.report);
        assert_eq!(files(root), now, "seed {seed}");
        let mut restored = counting(root);
        restored.retain(|id, _| counted.contains_key(id));
        assert_eq!(restored, counted, "seed {seed}");
        let third = workspace.undo(Some(&name(&again)), &options()).unwrap();
        assert_eq!(third.report.code(), None, "seed {seed}: {:?}", third.report);
        assert_eq!(files(root), then[index], "seed {seed}");
        let mut restored = counting(root);
        restored.retain(|id, _| counted.contains_key(id));
        let mut after = after;
        after.retain(|id, _| counted.contains_key(id));
        assert_eq!(restored, after, "seed {seed}");
    }
    assert!(gone * 2 > seeds, "{gone}");
}

#[test]
fn directories_come_back_and_go_with_their_files() {
    let dir = tree(&[("a/b/one", "1\n"), ("top", "0\n")]);
    let root = dir.path();
    let first = apply_new(root, batch(vec![append("top", "1")]));
    let then = snapshot(root);
    apply_new(root, batch(vec![delete("a/b/one", "1\n")]));
    apply_new(root, batch(vec![create("n/m/two", "2\n")]));
    apply_new(root, batch(vec![rename("n/m/two", "o/two")]));
    assert!(!root.join("a").try_exists().unwrap());
    let undone = go(root, &name(&first), Mode::Apply);
    assert_eq!(undone.report.code(), None, "{:?}", undone.report);
    assert_eq!(snapshot(root), then);
    let outcomes = undone.report.operations.iter();
    assert!(outcomes.clone().all(|it| it.outcome == Outcome::Undone));
    assert_eq!(outcomes.count(), 2, "{:?}", undone.report);
}

#[test]
fn a_moment_is_a_point() {
    let dir = tree(&[("a", "0\n")]);
    let root = dir.path();
    apply_new(root, batch(vec![append("a", "1")]));
    std::thread::sleep(std::time::Duration::from_millis(5));
    let moment = jiff_now();
    std::thread::sleep(std::time::Duration::from_millis(5));
    apply_new(root, batch(vec![append("a", "2")]));
    apply_new(root, batch(vec![create("b", "3\n")]));
    let undone = go(root, &moment, Mode::Apply);
    assert_eq!(undone.report.status, Status::Applied);
    assert_eq!(
        files(root),
        [("a".to_owned(), files(root)[0].1, b"0\n1\n".to_vec())]
    );
    // Before all of it.
    go(root, "2001-01-01T00:00:00Z", Mode::Apply);
    assert_eq!(fs::read(root.join("a")).unwrap(), b"0\n");
    let nothing = go(root, "2901-01-01T00:00:00Z", Mode::Apply);
    assert_eq!(nothing.report.status, Status::Unchanged);
}

/// This moment, as the log writes it.
fn jiff_now() -> String {
    let dir = tree(&[("x", "x\n")]);
    let applied = apply_new(dir.path(), batch(vec![append("x", "y")]));
    applied.record.at
}

#[test]
fn what_nobody_recorded_is_not_thrown_away() {
    let dir = tree(&[("a", "0\n"), ("b", "0\n")]);
    let root = dir.path();
    let first = name(&apply_new(root, batch(vec![append("a", "1")])));
    let second = name(&apply_new(
        root,
        batch(vec![append("a", "2"), append("b", "2")]),
    ));
    fs::write(root.join("a"), "theirs\n").unwrap();
    let before = files(root);
    let code = |point: &str| {
        let refused = go(root, point, Mode::Apply);
        assert_eq!(files(root), before);
        assert_eq!(refused.report.status, Status::Refused);
        refused.report.code()
    };
    assert_eq!(code(&first), Some(Code::ChangedSince));
    // Nor what a later batch found there.
    let third = name(&apply_new(root, batch(vec![append("a", "3")])));
    let before = files(root);
    let refused = go(root, &first, Mode::Apply);
    assert_eq!(refused.report.code(), Some(Code::ChangedSince));
    let message = refused.report.refusal.unwrap().message;
    assert!(
        message.contains(&format!("go back to {second} at most")),
        "{message}"
    );
    assert_eq!(files(root), before);
    let undone = go(root, &second, Mode::Apply);
    assert_eq!(undone.report.code(), None);
    assert_eq!(fs::read(root.join("a")).unwrap(), b"theirs\n");
    assert_eq!(go(root, &third, Mode::Preview).report.code(), None);
}

#[test]
fn a_batch_that_is_taken_back_may_be_sent_again() {
    let dir = tree(&[("a", "0\n")]);
    let root = dir.path();
    let first = name(&apply_new(root, batch(vec![append("a", "1")])));
    let send = || {
        let mut sent = batch(vec![append("a", "2")]);
        sent.id = Some("mine".to_owned());
        apply_new(root, sent).report.status
    };
    assert_eq!(send(), Status::Applied);
    apply_new(root, batch(vec![append("a", "3")]));
    assert_eq!(send(), Status::Unchanged);
    let undone = name(&go(root, &first, Mode::Apply));
    assert_eq!(fs::read(root.join("a")).unwrap(), b"0\n1\n");
    assert_eq!(send(), Status::Applied);
    go(root, &undone, Mode::Apply);
    let workspace = Workspace::open(root).unwrap();
    workspace.undo(Some(&undone), &options()).unwrap();
    assert_eq!(fs::read(root.join("a")).unwrap(), b"0\n1\n2\n3\n");
    assert_eq!(send(), Status::Unchanged);
}

#[test]
fn a_log_with_a_gap_leads_back_to_the_gap_at_most() {
    let dir = tree(&[("a", "0\n"), ("b", "0\n")]);
    let root = dir.path();
    let first = name(&apply_new(root, batch(vec![append("a", "1")])));
    let second = name(&apply_new(root, batch(vec![append("b", "2")])));
    apply_new(root, batch(vec![append("a", "3")]));
    fs::remove_dir_all(root.join(".mission_control/log").join(&second)).unwrap();
    let workspace = Workspace::open(root).unwrap();
    for (point, mode) in [(&first, Mode::Apply), (&second, Mode::Preview)] {
        let refused = workspace.undo_to(&Point::parse(point), mode, &options());
        let stop = refused.err().map(|stop| stop.code());
        assert!(
            [Some(Code::SnapshotMissing), Some(Code::InvalidBatch)].contains(&stop),
            "{stop:?}"
        );
    }
}

#[test]
fn a_log_that_gc_removed_leads_nowhere() {
    let dir = tree(&[("a", "0\n")]);
    let root = dir.path();
    apply_new(root, batch(vec![append("a", "1")]));
    let last = name(&apply_new(root, batch(vec![append("a", "2")])));
    let workspace = Workspace::open(root).unwrap();
    let retention = Retention {
        max_bytes: 0,
        ..Retention::default()
    };
    workspace.gc(&retention).unwrap();
    for mode in [Mode::Apply, Mode::Preview] {
        for point in ["2001-01-01T00:00:00Z", &last] {
            let stop = workspace.undo_to(&Point::parse(point), mode, &options());
            let stop = stop.unwrap_err();
            assert_eq!(stop.code(), Code::SnapshotMissing, "{point}: {stop}");
            assert!(stop.to_string().contains("gc removed"), "{stop}");
        }
    }
    let stop = workspace.undo(Some(&last), &options()).unwrap_err();
    assert_eq!(stop.code(), Code::SnapshotMissing, "{stop}");
    // Behind what is gone there is nothing.
    let nothing = go(root, "2901-01-01T00:00:00Z", Mode::Apply);
    assert_eq!(nothing.report.status, Status::Unchanged);
}

#[test]
fn a_last_record_that_somebody_removed_is_missed() {
    let dir = tree(&[("a", "0\n"), ("b", "0\n")]);
    let root = dir.path();
    let first = name(&apply_new(root, batch(vec![append("a", "1")])));
    let last = name(&apply_new(root, batch(vec![append("b", "2")])));
    fs::remove_dir_all(root.join(".mission_control/log").join(&last)).unwrap();
    let workspace = Workspace::open(root).unwrap();
    for point in ["2001-01-01T00:00:00Z", &first] {
        let stop = workspace.undo_to(&Point::parse(point), Mode::Apply, &options());
        let stop = stop.unwrap_err();
        assert_eq!(stop.code(), Code::SnapshotMissing, "{point}: {stop}");
        assert!(stop.to_string().contains(&last), "{stop}");
    }
    let copy = tempfile::tempdir().unwrap();
    let stop = workspace.rebuild(copy.path()).unwrap_err();
    assert_eq!(stop.code(), Code::SnapshotMissing, "{stop}");
    assert!(stop.to_string().contains(&last), "{stop}");
}

#[test]
fn what_somebody_else_did_right_behind_the_point_stays_and_is_told() {
    let dir = tree(&[("a", "0\n"), ("b", "0\n")]);
    let root = dir.path();
    let workspace = Workspace::open(root).unwrap();
    workspace.snapshot(&[], &options()).unwrap();
    fs::write(root.join("b"), "theirs\n").unwrap();
    let first = name(&apply_new(root, batch(vec![append("a", "1")])));
    fs::write(root.join("a"), "theirs\n").unwrap();
    apply_new(root, batch(vec![append("a", "2"), append("b", "2")]));
    for mode in [Mode::Preview, Mode::Apply] {
        let undone = go(root, &first, mode);
        assert_eq!(undone.report.code(), None);
        let told = &undone.report.warnings;
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].starts_with("a was changed by somebody else"),
            "{told:?}"
        );
        assert!(
            told[1].starts_with("b was changed by somebody else"),
            "{told:?}"
        );
    }
    assert_eq!(fs::read(root.join("a")).unwrap(), b"theirs\n");
}

#[test]
fn a_mode_that_somebody_else_gave_stays_where_the_batch_gave_none() {
    let dir = tree(&[("a", "0\n"), ("b", "0\n"), ("c", "0\n")]);
    let root = dir.path();
    let set = |name: &str, bits: u32| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(bits)).unwrap();
    };
    let mode = |name: &str| root.join(name).metadata().unwrap().permissions().mode() & 0o7777;
    for name in ["a", "b", "c"] {
        set(name, 0o644);
    }
    let workspace = Workspace::open(root).unwrap();
    let executable = Operation::new(path("b"), Action::SetMode { executable: true });
    let change = || vec![append("a", "1"), rename("c", "d")];
    apply_new(root, batch(change()));
    set("a", 0o600);
    set("d", 0o640);
    let undone = workspace.undo(None, &options()).unwrap();
    assert_eq!(undone.report.code(), None, "{:?}", undone.report);
    assert_eq!((mode("a"), mode("c")), (0o600, 0o640));
    let told = undone.report.warnings.join("\n");
    assert!(told.contains("a keeps mode 0600"), "{told}");
    assert!(told.contains("c keeps mode 0640"), "{told}");
    // By what the undo left, it can be taken back again.
    let name = undone.record.transaction.to_string();
    let again = workspace.undo(Some(&name), &options()).unwrap();
    assert_eq!(again.report.code(), None, "{:?}", again.report);
    assert_eq!((mode("a"), mode("d")), (0o600, 0o640));
    set("a", 0o400);
    let back = go(root, "2001-01-01T00:00:00Z", Mode::Apply);
    assert_eq!(
        back.report.code(),
        Some(Code::ChangedSince),
        "between the batches"
    );
    apply_new(root, batch(vec![append("b", "1")]));
    set("b", 0o600);
    let then = before_last(root);
    let back = go(root, &then, Mode::Apply);
    assert_eq!(back.report.code(), None, "{:?}", back.report);
    assert_eq!(
        (mode("b"), fs::read(root.join("b")).unwrap()),
        (0o600, b"0\n".to_vec())
    );
    // Both changed it.
    apply_new(root, batch(vec![executable]));
    assert_eq!(mode("b"), 0o700);
    set("b", 0o711);
    for undone in [
        workspace.undo(None, &options()).unwrap(),
        go(root, &before_last(root), Mode::Apply),
    ] {
        assert_eq!(undone.report.code(), Some(Code::ChangedSince));
    }
    assert_eq!(mode("b"), 0o711);
}

/// The transaction before the last one that changed something.
fn before_last(root: &Path) -> String {
    let log = Workspace::open(root).unwrap().log().unwrap();
    let transactions = log.transactions().unwrap().into_iter();
    let changed = |id: &TransactionId| !log.read(id).unwrap().unwrap().changes.is_empty();
    let all: Vec<TransactionId> = transactions.filter(changed).collect();
    all[all.len() - 2].to_string()
}
