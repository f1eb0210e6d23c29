//! The log, carried out again in another directory, and many writers of one log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use patchcore::operation::{Action, Occurrence, Operation};
use patchcore::report::Status;
use patchcore::workspace::{ApplyOptions, Rebuilt, Retention, Workspace};
use patchcore::{Code, Stop};

use crate::command::{options, start};
use crate::random::Random;
use crate::undo_to::{files, step};
use crate::workspace::{append, apply_new, batch, create, delete, path, tree};

fn rebuild(root: &Path, into: &Path) -> Result<Rebuilt, Stop> {
    Workspace::open(root).unwrap().rebuild(into)
}

fn take_snapshot(root: &Path) {
    let workspace = Workspace::open(root).unwrap();
    workspace.snapshot(&[], &options()).unwrap();
}

#[test]
fn any_history_is_rebuilt_from_the_first_snapshot() {
    let seeds = std::env::var("PATCHCORE_SEEDS").map_or(40, |text| text.parse().unwrap());
    for seed in 0..seeds {
        let dir = start();
        let root = dir.path();
        let mut random = Random(seed);
        if random.below(2) == 0 {
            apply_new(root, batch(vec![append("a.txt", "before")]));
        }
        take_snapshot(root);
        let first = apply_new(root, batch(vec![append("a.txt", "first")]));
        let mut points = vec![first.record.transaction.to_string()];
        for _ in 0..8 {
            points.extend(step(root, &mut random, &points));
        }
        // A later snapshot is not the first one.
        take_snapshot(root);
        let copy = tempfile::tempdir().unwrap();
        let rebuilt = rebuild(root, copy.path()).unwrap();
        assert!(rebuilt.from_snapshot, "seed {seed}");
        assert_eq!(rebuilt.foreign, [], "seed {seed}");
        assert_eq!(files(copy.path()), files(root), "seed {seed}");
        assert_eq!(rebuilt.files, files(root).len(), "seed {seed}");
    }
}

#[test]
fn without_a_snapshot_the_files_of_the_log_are_rebuilt() {
    let dir = tree(&[("a", "0\n"), ("untouched", "x\n")]);
    let root = dir.path();
    apply_new(root, batch(vec![append("a", "1"), create("b/c", "2\n")]));
    let copy = tempfile::tempdir().unwrap();
    let rebuilt = rebuild(root, copy.path()).unwrap();
    assert!(!rebuilt.from_snapshot);
    let names: Vec<String> = files(copy.path()).into_iter().map(|it| it.0).collect();
    assert_eq!(names, ["a", "b/c"]);
    assert_eq!(fs::read(copy.path().join("a")).unwrap(), b"0\n1\n");
    // Not over what is there.
    let code = rebuild(root, copy.path()).err().map(|stop| stop.code());
    assert_eq!(code, Some(Code::FileExists));
}

#[test]
fn what_others_changed_is_taken_over_and_told() {
    let dir = tree(&[("a", "0\n")]);
    let root = dir.path();
    take_snapshot(root);
    fs::write(root.join("a"), "theirs\n").unwrap();
    apply_new(root, batch(vec![append("a", "1")]));
    let copy = tempfile::tempdir().unwrap();
    let rebuilt = rebuild(root, copy.path()).unwrap();
    let foreign: Vec<_> = rebuilt.foreign.iter().map(|it| it.path.clone()).collect();
    assert_eq!(foreign, [path("a")]);
    assert_eq!(files(copy.path()), files(root));
    // What was changed since is not the log's.
    fs::write(root.join("a"), "theirs again\n").unwrap();
    let copy = tempfile::tempdir().unwrap();
    rebuild(root, copy.path()).unwrap();
    assert_eq!(fs::read(copy.path().join("a")).unwrap(), b"theirs\n1\n");
}

#[test]
fn large_texts_of_which_records_hold_a_part_are_kept_where_snapshots_are_in_use() {
    let dir = tree(&[("a", "0\n")]);
    let root = dir.path();
    take_snapshot(root);
    let large = "line of text\n".repeat(4000);
    apply_new(root, batch(vec![create("large", &large)]));
    fs::write(root.join("large"), "theirs\n").unwrap();
    Workspace::open(root)
        .unwrap()
        .gc(&Retention::default())
        .unwrap();
    let copy = tempfile::tempdir().unwrap();
    rebuild(root, copy.path()).unwrap();
    assert_eq!(
        fs::read_to_string(copy.path().join("large")).unwrap(),
        large
    );
}

#[test]
fn a_gap_and_a_changed_pre_image_are_found() {
    let dir = tree(&[("a", "0\n")]);
    let root = dir.path();
    take_snapshot(root);
    let made: Vec<String> = (0..3)
        .map(|_| apply_new(root, batch(vec![append("a", "1")])))
        .map(|applied| applied.record.transaction.to_string())
        .collect();
    let entry = root.join(".mission_control/log").join(&made[1]);
    let slot = entry.join("0");
    let bytes = fs::read(&slot).unwrap();
    fs::write(&slot, "X\n").unwrap();
    let code = || {
        let copy = tempfile::tempdir().unwrap();
        rebuild(root, copy.path()).err().map(|stop| stop.code())
    };
    assert_eq!(code(), Some(Code::SnapshotMissing));
    fs::write(&slot, bytes).unwrap();
    assert_eq!(code(), None);
    fs::remove_dir_all(entry).unwrap();
    assert_eq!(code(), Some(Code::SnapshotMissing));
}

#[test]
fn what_gc_removed_is_no_part_of_a_rebuilt_tree() {
    let dir = tree(&[("a", "0\n"), ("b", "0\n")]);
    let root = dir.path();
    take_snapshot(root);
    apply_new(root, batch(vec![append("a", "1")]));
    let nothing = Retention {
        max_bytes: 0,
        ..Retention::default()
    };
    Workspace::open(root).unwrap().gc(&nothing).unwrap();
    apply_new(root, batch(vec![append("a", "2")]));
    let copy = tempfile::tempdir().unwrap();
    assert!(!rebuild(root, copy.path()).unwrap().from_snapshot);
    take_snapshot(root);
    apply_new(root, batch(vec![append("b", "3")]));
    let copy = tempfile::tempdir().unwrap();
    assert!(rebuild(root, copy.path()).unwrap().from_snapshot);
    assert_eq!(files(copy.path()), files(root));
}

/// `PATCHCORE_WRITES` edits by each of 16 writers: of lines of one file that are each writer's own,
/// of one line that all of them count on, and of files of their own.
#[test]
fn many_writers_lose_nothing_and_the_log_has_them_in_one_order() {
    const WRITERS: usize = 16;
    let writes = std::env::var("PATCHCORE_WRITES").map_or(12, |text| text.parse().unwrap());
    let lines: String = (0..WRITERS)
        .map(|writer| format!("writer {writer}: 0.\n"))
        .collect();
    let dir = tree(&[("shared", &lines), ("count", "start\n")]);
    let root = dir.path();
    take_snapshot(root);
    let options = || ApplyOptions {
        lock_wait: std::time::Duration::from_secs(600),
        // Nothing is removed while we look.
        retention: None,
        ..ApplyOptions::default()
    };
    let applied = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (options, applied) = (&options, &applied);
            scope.spawn(move || {
                let workspace = Workspace::open(root).unwrap();
                for write in 0..writes {
                    let replace = Action::ReplaceText {
                        find: format!("writer {writer}: {write}.").into_bytes(),
                        content: format!("writer {writer}: {}.", write + 1).into_bytes(),
                        occurrence: Occurrence::Only,
                    };
                    let edits = batch(vec![
                        Operation::new(path("shared"), replace),
                        append("count", &format!("{writer} {write}")),
                        create(&format!("own/{writer}/{write}"), "x\n"),
                    ]);
                    let done = workspace.apply(&edits, &options()).unwrap();
                    assert_eq!(done.report.status, Status::Applied, "{:?}", done.report);
                    applied.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(applied.into_inner(), WRITERS * writes);
    let ended: String = (0..WRITERS)
        .map(|writer| format!("writer {writer}: {writes}.\n"))
        .collect();
    assert_eq!(fs::read_to_string(root.join("shared")).unwrap(), ended);
    let count = fs::read_to_string(root.join("count")).unwrap();
    assert_eq!(count.lines().count(), 1 + WRITERS * writes);
    let workspace = Workspace::open(root).unwrap();
    assert_eq!(
        workspace.log().unwrap().transactions().unwrap().len(),
        WRITERS * writes
    );
    assert!(workspace.audit().unwrap().is_clean());
    let copy = tempfile::tempdir().unwrap();
    let rebuilt = rebuild(root, copy.path()).unwrap();
    assert_eq!(rebuilt.records, WRITERS * writes);
    assert_eq!(rebuilt.foreign, []);
    assert_eq!(files(copy.path()), files(root));
}

#[test]
fn a_directory_that_somebody_else_made_of_a_file_is_taken_over_and_so_is_the_reverse() {
    let dir = tree(&[
        ("f", "0\n"),
        ("d/x", "0\n"),
        ("d/y/z", "0\n"),
        ("d-e", "0\n"),
    ]);
    let root = dir.path();
    take_snapshot(root);
    apply_new(root, batch(vec![append("f", "1"), append("d/x", "1")]));
    fs::remove_file(root.join("f")).unwrap();
    fs::create_dir(root.join("f")).unwrap();
    fs::remove_dir_all(root.join("d")).unwrap();
    fs::write(root.join("d"), "now a file\n").unwrap();
    apply_new(
        root,
        batch(vec![create("f/below", "2\n"), append("d", "2")]),
    );
    let copy = tempfile::tempdir().unwrap();
    let rebuilt = rebuild(root, copy.path()).unwrap();
    assert_eq!(files(copy.path()), files(root));
    let foreign: Vec<_> = rebuilt
        .foreign
        .iter()
        .map(|it| it.path.to_string())
        .collect();
    assert_eq!(foreign, ["d/x", "d/y/z", "f"]);
}

#[test]
fn a_directory_that_an_edit_made_has_the_mode_that_it_came_to_have() {
    let dir = tree(&[("a", "0\n"), ("open/x", "0\n"), ("shut/x", "0\n")]);
    let root = dir.path();
    let set = |name: &str, bits: u32| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(bits)).unwrap();
    };
    let mode = |root: &Path, name: &str| root.join(name).metadata().unwrap().permissions().mode();
    set("open", 0o777);
    set("shut", 0o700);
    take_snapshot(root);
    apply_new(root, batch(vec![create("new/deep/x", "1\n")]));
    let work = vec![delete("open/x", "0\n"), delete("shut/x", "0\n")];
    apply_new(root, batch(work));
    assert!(!root.join("open").try_exists().unwrap());
    Workspace::open(root)
        .unwrap()
        .undo(None, &options())
        .unwrap();
    assert_eq!(mode(root, "open") & 0o777, 0o777);
    assert_eq!(mode(root, "shut") & 0o777, 0o700);
    let copy = tempfile::tempdir().unwrap();
    rebuild(root, copy.path()).unwrap();
    for name in ["new", "new/deep", "open", "shut"] {
        assert_eq!(mode(copy.path(), name), mode(root, name), "{name}");
    }
}
