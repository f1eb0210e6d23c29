//! Commands that are being recorded while others change the same files: each change is in one
//! record, in the order in which they were made.

use std::fs;
use std::path::Path;

use patchcore::Code;
use patchcore::operation::{Action, Operation};
use patchcore::plan::ChangeKind;
use patchcore::report::{Mode, Status};
use patchcore::workspace::{
    ApplyOptions, Command, EndedCommand, Ending, Point, Record, TransactionId, Workspace,
};

use crate::command::{edit, options, start};
use crate::random::Random;
use crate::undo_to::files;
use crate::workspace::{append, apply, apply_new, batch, create, delete, path, snapshot, tree};

fn begin(root: &Path) -> TransactionId {
    let workspace = Workspace::open(root).unwrap();
    let open = workspace.begin_command(&Command::default(), false, &options());
    open.unwrap().id
}

fn end(root: &Path, id: &TransactionId) -> EndedCommand {
    let workspace = Workspace::open(root).unwrap();
    let ending = Ending::Exited(Some(0));
    workspace.end_command(id, ending, &options()).unwrap()
}

fn records(root: &Path) -> Vec<Record> {
    let log = Workspace::open(root).unwrap().log().unwrap();
    let ids = log.transactions().unwrap().into_iter();
    ids.map(|id| log.read(&id).unwrap().unwrap()).collect()
}

/// Takes back every record that changed something, the last one first.
fn undo_all(root: &Path) {
    let workspace = Workspace::open(root).unwrap();
    for record in records(root).into_iter().rev() {
        let counts = workspace
            .log()
            .unwrap()
            .undone_by(&record.transaction)
            .unwrap()
            .is_none();
        if record.changes.is_empty() || record.undoes.is_some() || !counts {
            continue;
        }
        let undone = workspace.undo(Some(&record.transaction.to_string()), &options());
        let report = undone.unwrap().report;
        assert_eq!(report.code(), None, "{report:?}");
    }
}

#[test]
fn two_runs_that_change_one_file_in_turn_have_a_record_each() {
    let dir = tree(&[("f", "0\n")]);
    let root = dir.path();
    let first = begin(root);
    fs::write(root.join("f"), "0\na\n").unwrap();
    let second = begin(root);
    fs::write(root.join("f"), "0\na\nb\n").unwrap();
    let ended = end(root, &second);
    let record = ended.applied.unwrap().record;
    assert_eq!((record.changes[0].lines_added, ended.earlier.len()), (1, 0));
    let ended = end(root, &first);
    assert!(ended.applied.is_none());
    assert_eq!(ended.earlier.len(), 1);
    assert!(
        ended.warnings[0].contains("what it had done to f"),
        "{:?}",
        ended.warnings
    );
    let command = |record: &Record| record.command.clone().unwrap();
    let [earlier, later] = &records(root)[..] else {
        panic!("{:?}", records(root));
    };
    assert_eq!(
        (command(earlier).id, command(earlier).runs_on),
        (first, true)
    );
    assert_eq!(command(earlier).overlaps, [second]);
    assert_eq!((command(later).id, command(later).runs_on), (second, false));
    undo_all(root);
    assert_eq!(fs::read(root.join("f")).unwrap(), b"0\n");
}

/// What a command does to `f`, and a batch then; what is told when the batch is applied.
fn hidden(content: &str, work: impl FnOnce(&Path), then: Operation) {
    let dir = tree(&[("f", content), ("other", "x\n")]);
    let root = dir.path();
    let before = snapshot(root);
    let run = begin(root);
    work(root);
    let applied = apply_new(root, batch(vec![then]));
    assert_eq!(
        applied.report.status,
        Status::Applied,
        "{:?}",
        applied.report
    );
    let told = applied.report.warnings.join("\n");
    assert!(
        told.contains(&format!("what the run {run} had done to")),
        "{told}"
    );
    let after = snapshot(root);
    let ended = end(root, &run);
    assert!(ended.applied.is_none());
    assert_eq!(ended.earlier.len(), 1);
    let workspace = Workspace::open(root).unwrap();
    assert!(workspace.audit().unwrap().is_clean());
    let point = Point::parse("2001-01-01T00:00:00Z");
    let back = workspace.undo_to(&point, Mode::Apply, &options()).unwrap();
    assert_eq!(back.report.code(), None, "{:?}", back.report);
    assert_eq!(snapshot(root), before);
    let name = back.record.transaction.to_string();
    workspace.undo(Some(&name), &options()).unwrap();
    assert_eq!(snapshot(root), after);
    undo_all(root);
    assert_eq!(snapshot(root), before);
}

#[test]
fn a_file_that_was_removed_and_made_again_has_its_old_bytes_in_the_log() {
    let remove = |root: &Path| fs::remove_file(root.join("f")).unwrap();
    hidden("old\n", remove, create("f", "new\n"));
}

#[test]
fn a_change_before_an_edit_of_the_same_file_is_recorded_before_it() {
    let change = |root: &Path| fs::write(root.join("f"), "ONE\ntwo\n").unwrap();
    hidden("one\ntwo\n", change, append("f", "three"));
    hidden("one\ntwo\n", change, delete("f", "ONE\ntwo\n"));
    let mode = Operation::new(path("f"), Action::SetMode { executable: true });
    hidden("one\ntwo\n", change, mode);
}

#[test]
fn a_file_that_came_in_a_new_directory_is_recorded_before_it_is_edited() {
    let make = |root: &Path| {
        fs::create_dir_all(root.join("d/e")).unwrap();
        fs::write(root.join("d/e/new"), "1\n").unwrap();
    };
    hidden("one\n", make, append("d/e/new", "2"));
}

#[test]
fn a_directory_in_the_place_of_a_file_is_recorded_before_it_is_filled() {
    let make = |root: &Path| {
        fs::remove_file(root.join("f")).unwrap();
        fs::create_dir(root.join("f")).unwrap();
    };
    hidden("one\n", make, create("f/below", "2\n"));
}

#[test]
fn what_is_not_touched_by_the_batch_is_left_to_the_end() {
    let dir = tree(&[("f", "0\n"), ("g", "0\n"), ("h", "0\n")]);
    let root = dir.path();
    let run = begin(root);
    fs::write(root.join("f"), "run\n").unwrap();
    fs::write(root.join("g"), "run\n").unwrap();
    apply(root, &batch(vec![append("h", "1")]));
    assert_eq!(records(root).len(), 1);
    apply(root, &batch(vec![append("f", "1")]));
    // The same file once more: nothing was done to it in between.
    apply(root, &batch(vec![append("f", "2")]));
    fs::write(root.join("f"), "run again\n").unwrap();
    let ended = end(root, &run);
    let names = |record: &Record| -> Vec<String> {
        let changes = record.changes.iter();
        changes.map(|change| change.path.to_string()).collect()
    };
    assert_eq!(ended.earlier.iter().map(names).collect::<Vec<_>>(), [["f"]]);
    assert_eq!(names(&ended.applied.unwrap().record), ["f", "g"]);
    assert_eq!(records(root).len(), 5);
    undo_all(root);
    assert!(files(root).iter().all(|it| it.2 == b"0\n"));
}

#[test]
fn what_git_ignores_is_no_runs_doing_either_way() {
    let dir = tree(&[(".gitignore", "*.log\n"), ("a.log", "0\n")]);
    let root = dir.path();
    let run = begin(root);
    fs::write(root.join("a.log"), "1\n").unwrap();
    fs::write(root.join("b.log"), "1\n").unwrap();
    apply(
        root,
        &batch(vec![append("a.log", "2"), append("b.log", "2")]),
    );
    assert_eq!(records(root).len(), 1);
    let ended = end(root, &run);
    assert!(ended.applied.is_none() && ended.earlier.is_empty());
}

/// What is written between the look at a file and the batch is in no record, but it is told.
#[test]
fn what_slips_between_is_told_and_its_bytes_are_kept() {
    let dir = tree(&[("f", "0\n")]);
    let root = dir.path();
    let run = begin(root);
    fs::write(root.join("f"), "run\n").unwrap();
    // A batch of one that does not know of runs: they are put back when it is done.
    let runs = root.join(".mission_control/snapshots/runs");
    let aside = root.join(".mission_control/aside");
    fs::rename(&runs, &aside).unwrap();
    apply(root, &batch(vec![append("f", "1")]));
    fs::rename(&aside, &runs).unwrap();
    let workspace = Workspace::open(root).unwrap();
    let ended = workspace.end_command(&run, Ending::Exited(Some(0)), &options());
    let said = ended.unwrap_err().to_string();
    assert!(said.contains("f was changed before transaction"), "{said}");
    workspace
        .gc(&patchcore::workspace::Retention::default())
        .unwrap();
    let kept = root.join(said.split("kept as ").nth(1).unwrap().trim());
    assert_eq!(fs::read(&kept).unwrap(), b"0\n", "{said}");
}

#[test]
fn what_a_batch_left_is_known_after_gc_too() {
    let dir = tree(&[("f", "0\n")]);
    let root = dir.path();
    let run = begin(root);
    apply(root, &batch(vec![append("f", "1")]));
    let workspace = Workspace::open(root).unwrap();
    let everything = patchcore::workspace::Retention {
        max_bytes: 0,
        ..patchcore::workspace::Retention::default()
    };
    assert_eq!(workspace.gc(&everything).unwrap().removed, 0);
    fs::write(root.join("f"), "run\n").unwrap();
    let ended = end(root, &run);
    let record = ended.applied.unwrap().record;
    assert_eq!(record.changes[0].lines_removed, 2);
    undo_all(root);
    assert_eq!(fs::read(root.join("f")).unwrap(), b"0\n");
}

#[test]
fn any_course_of_runs_and_batches_is_taken_back_record_by_record() {
    let seeds = std::env::var("PATCHCORE_SEEDS").map_or(60, |text| text.parse().unwrap());
    let mut earlier: u64 = 0;
    for seed in 0..seeds {
        let dir = start();
        let root = dir.path();
        let workspace = Workspace::open(root).unwrap();
        workspace.snapshot(&[], &options()).unwrap();
        let before = files(root);
        let mut random = Random(seed);
        let mut open: Vec<TransactionId> = Vec::new();
        for _ in 0..12 {
            match random.below(8) {
                0 => open.push(begin(root)),
                1 if !open.is_empty() => {
                    let index = usize::try_from(random.below(open.len() as u64)).unwrap();
                    end(root, &open.remove(index));
                }
                2 => drop(apply_new(root, batch(vec![append("a.txt", "more")]))),
                3 => drop(apply_new(root, batch(vec![append("d/two", "more")]))),
                4 => drop(apply_new(root, batch(vec![create("n/m/new", "made\n")]))),
                // Nobody records what is done while no command is being recorded.
                _ if !open.is_empty() => edit(root, &mut random),
                _ => {}
            }
        }
        for id in open.drain(..) {
            let ended = end(root, &id);
            earlier += ended.earlier.len() as u64;
        }
        let audit = workspace.audit().unwrap();
        assert!(audit.is_clean(), "seed {seed}: {audit:?}");
        let copy = tempfile::tempdir().unwrap();
        let rebuilt = workspace.rebuild(copy.path()).unwrap();
        assert_eq!(rebuilt.foreign, [], "seed {seed}");
        assert_eq!(files(copy.path()), files(root), "seed {seed}");
        for record in records(root).into_iter().rev() {
            if record.changes.is_empty() {
                continue;
            }
            let name = record.transaction.to_string();
            let undone = workspace.undo(Some(&name), &options()).unwrap();
            assert_eq!(
                undone.report.code(),
                None,
                "seed {seed}: {:?}",
                undone.report
            );
        }
        assert_eq!(files(root), before, "seed {seed}");
    }
    assert!(earlier * 8 > seeds, "{earlier}");
}

#[test]
fn an_undo_finds_what_a_run_did_in_the_log() {
    let dir = tree(&[("f", "0\n")]);
    let root = dir.path();
    let first = apply_new(root, batch(vec![append("f", "1")]));
    let run = begin(root);
    fs::write(root.join("f"), "run\n").unwrap();
    let workspace = Workspace::open(root).unwrap();
    let name = first.record.transaction.to_string();
    let refused = workspace
        .undo(Some(&name), &ApplyOptions::default())
        .unwrap();
    assert_eq!(refused.report.code(), Some(Code::ChangedSince));
    let earlier = &records(root)[1];
    assert_eq!(earlier.command.as_ref().unwrap().id, run);
    assert_eq!(earlier.changes[0].kind, ChangeKind::Modified);
    // What came later first.
    for name in [earlier.transaction.to_string(), name] {
        let undone = workspace.undo(Some(&name), &options()).unwrap();
        assert_eq!(undone.report.code(), None, "{:?}", undone.report);
    }
    assert_eq!(fs::read(root.join("f")).unwrap(), b"0\n");
    assert!(end(root, &run).applied.is_none());
}
