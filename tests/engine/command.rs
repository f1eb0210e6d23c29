//! Commands that change the tree by themselves: whatever they do is recorded, and taken back.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use patchcore::plan::ChangeKind;
use patchcore::report::Status;
use patchcore::workspace::fault::{Fault, FaultKind, inject};
use patchcore::workspace::{Applied, ApplyOptions, Command, Ending, Retention, Workspace};
use patchcore::{Code, Stop};
use tempfile::TempDir;

use crate::random::Random;
use crate::workspace::{append, apply, batch, path, snapshot, tree};

const FILES: [&str; 8] = [
    "a.txt", "b.txt", "empty", "d/one", "d/two", "d/e/deep", "latin1", "binary",
];

pub(crate) fn start() -> TempDir {
    let dir = tree(&[
        ("a.txt", "one\ntwo\nthree\n"),
        ("b.txt", "dos\r\nlines\r\n"),
        ("empty", ""),
        ("d/one", "no newline"),
        ("d/two", "same\n"),
        ("d/e/deep", "same\n"),
    ]);
    fs::write(dir.path().join("latin1"), b"caf\xe9\n").unwrap();
    fs::write(dir.path().join("binary"), b"\0\x01\xff\n\0").unwrap();
    symlink("a.txt", dir.path().join("link")).unwrap();
    mode(&dir.path().join("b.txt"), 0o755);
    mode(&dir.path().join("d/one"), 0o600);
    dir
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

pub(crate) fn options() -> ApplyOptions<'static> {
    ApplyOptions {
        // A command may leave a file read-only.
        force_read_only: true,
        ..ApplyOptions::default()
    }
}

/// Records what `work` does.
pub(crate) fn record(root: &Path, work: impl FnOnce()) -> Option<Applied<'static>> {
    let workspace = Workspace::open(root).unwrap();
    let open = workspace
        .begin_command(&Command::default(), true, &options())
        .unwrap();
    work();
    let ending = Ending::Exited(Some(0));
    let ended = workspace.end_command(&open.id, ending, &options());
    ended.unwrap().applied
}

/// One thing that a command may do; what cannot be done here is left.
pub(crate) fn edit(root: &Path, random: &mut Random) {
    let mut one = |names: &[&str]| {
        let index = random.below(names.len() as u64);
        root.join(names[usize::try_from(index).unwrap()])
    };
    let places = [&FILES[..], &["link", "new", "d/new", "n/m/new", "x/y"]].concat();
    let (from, to) = (one(&places), one(&places));
    match random.below(12) {
        0 => drop(fs::remove_file(from)),
        1 | 2 => {
            fs::create_dir_all(to.parent().unwrap()).ok();
            drop(fs::rename(from, to));
        }
        3 => {
            fs::create_dir_all(to.parent().unwrap()).ok();
            if !from.is_symlink() {
                drop(fs::copy(from, to));
            }
        }
        4 | 5 => {
            fs::create_dir_all(to.parent().unwrap()).ok();
            let text = format!("text {}\nsame\n", random.below(9));
            drop(fs::write(to, text));
        }
        6 => {
            if let Ok(mut bytes) = fs::read(&from) {
                bytes.extend_from_slice(b"more\n");
                drop(fs::write(from, bytes));
            }
        }
        7 => {
            if let Ok(bytes) = fs::read(&from) {
                drop(fs::write(from, &bytes[bytes.len() / 2..]));
            }
        }
        8 => {
            if from.is_file() && !from.is_symlink() {
                mode(
                    &from,
                    [0o600, 0o644, 0o755, 0o400][usize::try_from(random.below(4)).unwrap()],
                );
            }
        }
        9 => {
            drop(fs::remove_file(&to));
            drop(symlink("b.txt", to));
        }
        10 => {
            drop(fs::remove_dir_all(root.join("d")));
        }
        _ => {
            drop(fs::remove_file(root.join("d/e")));
            drop(fs::rename(root.join("d"), root.join("moved")));
        }
    }
}

/// So many directories that threads share them.
fn widen(root: &Path) {
    for number in 0..40 {
        let inner = root.join(format!("w{number}/inner"));
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("file"), format!("{number}\n")).unwrap();
        fs::write(inner.join(".gitignore"), "*\n!file\n!.gitignore\n").unwrap();
    }
}

#[test]
fn whatever_a_command_does_is_recorded_and_taken_back() {
    let mut changed: u64 = 0;
    let seeds = std::env::var("PATCHCORE_SEEDS").map_or(150, |text| text.parse().unwrap());
    for seed in 0..seeds {
        let dir = start();
        let root = dir.path();
        let is_wide = seed % 5 == 0;
        if is_wide {
            widen(root);
        }
        let before = snapshot(root);
        let mut random = Random(seed);
        let Some(applied) = record(root, || {
            if is_wide {
                fs::write(root.join("w7/inner/file"), "other\n").unwrap();
                fs::remove_dir_all(root.join("w20")).unwrap();
                fs::rename(root.join("w30"), root.join("d/w")).unwrap();
            }
            for _ in 0..=random.below(6) {
                edit(root, &mut random);
            }
        }) else {
            // A directory alone, with no file in it, is no change.
            let is_file = |it: &(String, u32, Vec<u8>)| it.1 & 0o170_000 != 0o040_000;
            let after: Vec<_> = snapshot(root).into_iter().filter(is_file).collect();
            let before: Vec<_> = before.into_iter().filter(is_file).collect();
            assert_eq!(after, before, "seed {seed}");
            continue;
        };
        changed += 1;
        assert_eq!(applied.report.status, Status::Applied, "seed {seed}");
        assert_eq!(applied.report.warnings, Vec::<String>::new(), "seed {seed}");
        let after = snapshot(root);
        let workspace = Workspace::open(root).unwrap();
        let audit = workspace.audit().unwrap();
        assert!(audit.changed.is_empty(), "seed {seed}: {audit:?}");
        let undone = workspace.undo(None, &options()).unwrap();
        assert_eq!(
            undone.report.code(),
            None,
            "seed {seed}: {:?}",
            undone.report
        );
        assert_eq!(snapshot(root), before, "seed {seed}");
        let again = workspace
            .undo(undone.report.transaction.as_deref(), &options())
            .unwrap();
        assert_eq!(again.report.code(), None, "seed {seed}: {:?}", again.report);
        assert_eq!(snapshot(root), after, "seed {seed}");
    }
    assert!(changed * 10 > seeds * 8, "{changed}");
}

#[test]
fn a_file_that_moves_is_a_rename_and_one_that_stays_no_change() {
    let dir = start();
    let root = dir.path();
    let applied = record(root, || {
        fs::rename(root.join("d/one"), root.join("moved")).unwrap();
        // Written anew with the same bytes.
        fs::write(root.join("a.txt"), "one\ntwo\nthree\n").unwrap();
    })
    .unwrap();
    let changes = &applied.record.changes;
    let [change] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!(change.kind, ChangeKind::Renamed);
    assert_eq!(change.from.as_ref(), Some(&path("d/one")));
}

#[test]
fn what_is_committed_meanwhile_is_not_the_commands_doing() {
    let dir = start();
    let root = dir.path();
    let applied = record(root, || {
        fs::write(root.join("d/two"), "theirs\n").unwrap();
        apply(root, &batch(vec![append("a.txt", "ours")]));
        apply(root, &batch(vec![append("b.txt", "ours")]));
        fs::write(root.join("b.txt"), "theirs\n").unwrap();
    })
    .unwrap();
    let record = applied.record;
    let changed: Vec<_> = record
        .changes
        .iter()
        .map(|it| it.path.to_string())
        .collect();
    assert_eq!(changed, ["b.txt", "d/two"]);
    let workspace = Workspace::open(root).unwrap();
    workspace.undo(None, &options()).unwrap();
    assert_eq!(
        fs::read(root.join("b.txt")).unwrap(),
        b"dos\r\nlines\r\nours\r\n"
    );
    assert_eq!(
        fs::read(root.join("a.txt")).unwrap(),
        b"one\ntwo\nthree\nours\n"
    );
}

#[test]
fn what_git_ignores_is_left_out_whatever_becomes_of_the_rules() {
    let dir = start();
    let root = dir.path();
    fs::create_dir(root.join("build")).unwrap();
    fs::write(root.join("build/out"), "1").unwrap();
    fs::write(root.join("x.log"), "1").unwrap();
    fs::write(root.join(".gitignore"), "build/\n*.log\n").unwrap();
    let applied = record(root, || {
        fs::write(root.join("build/out"), "2").unwrap();
        // What was ignored is not new, and what will be was not deleted.
        fs::write(root.join(".gitignore"), "*.txt\n").unwrap();
    })
    .unwrap();
    let record = applied.record;
    let changed: Vec<_> = record
        .changes
        .iter()
        .map(|it| it.path.to_string())
        .collect();
    assert_eq!(changed, [".gitignore"]);
    let left_out = record.command.unwrap().left_out;
    let left_out: Vec<_> = left_out.iter().map(ToString::to_string).collect();
    assert_eq!(left_out, ["build", "x.log"]);
}

#[test]
fn overlapping_runs_record_each_change_once_and_name_one_another() {
    let dir = start();
    let root = dir.path();
    let workspace = Workspace::open(root).unwrap();
    let begin = || {
        workspace
            .begin_command(&Command::default(), true, &options())
            .unwrap()
    };
    let outer = begin();
    fs::write(root.join("a.txt"), "outer\n").unwrap();
    let inner = begin();
    fs::write(root.join("b.txt"), "inner\n").unwrap();
    let ending = Ending::Exited(Some(0));
    let end = |id| {
        let ended = workspace.end_command(id, ending, &options()).unwrap();
        ended.applied.unwrap().record
    };
    let inner_record = end(&inner.id);
    fs::write(root.join("d/two"), "outer\n").unwrap();
    let outer_record = end(&outer.id);
    let names = |record: &patchcore::workspace::Record| -> Vec<String> {
        record
            .changes
            .iter()
            .map(|it| it.path.to_string())
            .collect()
    };
    assert_eq!(names(&inner_record), ["b.txt"]);
    assert_eq!(names(&outer_record), ["a.txt", "d/two"]);
    assert_eq!(inner_record.command.unwrap().overlaps, [outer.id]);
    assert!(workspace.audit().unwrap().changed.is_empty());
}

#[test]
fn a_run_whose_process_died_is_recorded_by_the_next_writer() {
    let dir = start();
    let root = dir.path();
    let workspace = Workspace::open(root).unwrap();
    let open = workspace
        .begin_command(&Command::default(), true, &options())
        .unwrap();
    fs::write(root.join("a.txt"), "half done\n").unwrap();
    let ids = || workspace.log().unwrap().transactions().unwrap();
    apply(root, &batch(vec![append("b.txt", "meanwhile")]));
    assert_eq!(ids().len(), 1, "its process lives");
    drop(open);
    let work = batch(vec![append("b.txt", "afterwards")]);
    let afterwards = apply(root, &work);
    let log = workspace.log().unwrap();
    let records: Vec<_> = ids()
        .iter()
        .map(|id| log.read(id).unwrap().unwrap())
        .collect();
    assert_eq!(records.len(), 3);
    let told = afterwards.report.warnings.join("\n");
    assert!(
        told.contains("was interrupted; what it had done is recorded"),
        "{told}"
    );
    let command = records[1].command.as_ref().unwrap();
    assert!(command.interrupted && command.exit.is_none());
    assert_eq!(records[1].changes.len(), 1);
}

/// Whoever is told that a command could not be recorded can rely on it, and on the next writer.
#[test]
fn r45_an_error_at_any_step_of_a_record_is_one_before_it_and_the_next_writer_records() {
    for at in 1.. {
        let dir = start();
        let root = dir.path();
        let workspace = Workspace::open(root).unwrap();
        let old = snapshot(root);
        let begun = workspace.begin_command(&Command::default(), true, &options());
        let open = begun.unwrap();
        fs::write(root.join("a.txt"), "x".repeat(100_000)).unwrap();
        fs::remove_file(root.join("b.txt")).unwrap();
        let fault = Fault {
            at: Some((at, FaultKind::Fail(5))),
            ..Fault::default()
        };
        let end = || workspace.end_command(&open.id, Ending::Exited(Some(0)), &options());
        let run = inject(fault, end);
        drop(open);
        let ids = || workspace.log().unwrap().transactions().unwrap();
        let ended = run.result.map(|ended| ended.applied.is_some());
        assert_eq!(ids().len(), usize::from(ended.is_ok()), "{at}: {ended:?}");
        assert_ne!(
            ended.ok(),
            Some(false),
            "{at}: it says that nothing was done"
        );
        // A child that another test starts holds the run's lock, too, until it is another program.
        let is_recorded = || {
            workspace.recover().unwrap();
            ids().len() == 1
        };
        let mut tries = 0..500;
        while !is_recorded() {
            assert!(tries.next().is_some(), "{at}: nobody records it");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(workspace.audit().unwrap().is_clean(), "{at}");
        workspace.undo(None, &options()).unwrap();
        assert!(snapshot(root) == old, "{at}: undone to something else");
        if run.steps.len() < at {
            break;
        }
    }
}

#[test]
fn a_snapshot_that_was_tampered_with_is_not_used() {
    let dir = start();
    let root = dir.path();
    let snapshots = root.join(".mission_control/snapshots");
    let damage = |below: &str| {
        for entry in walkdir::WalkDir::new(snapshots.join(below)) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                let mut bytes = fs::read(entry.path()).unwrap();
                bytes.push(b'!');
                fs::write(entry.path(), bytes).unwrap();
            }
        }
    };
    let applied = record(root, || {
        damage("objects");
        fs::write(root.join("a.txt"), "changed\n").unwrap();
        fs::write(root.join("new"), "new\n").unwrap();
    })
    .unwrap();
    let record = applied.record;
    assert_eq!(record.changes.len(), 1, "{:?}", record.changes);
    assert!(applied.report.warnings[0].contains("a.txt changed, but"));
    let workspace = Workspace::open(root).unwrap();
    let open = workspace
        .begin_command(&Command::default(), true, &options())
        .unwrap();
    damage("runs");
    let ended = workspace.end_command(&open.id, Ending::Exited(None), &options());
    assert!(ended.is_err());
}

#[test]
fn a_protected_file_that_is_committed_meanwhile_is_no_new_one() {
    let dir = start();
    let root = dir.path();
    fs::create_dir(root.join(".vscode")).unwrap();
    fs::write(root.join(".vscode/s.json"), "{}\n").unwrap();
    let recorded = record(root, || {
        let mut options = options();
        options.policy.allow_paths = vec![path(".vscode")];
        let work = batch(vec![append(".vscode/s.json", "ours")]);
        let applied = Workspace::open(root).unwrap().apply(&work, &options);
        assert_eq!(applied.unwrap().report.status, Status::Applied);
    });
    assert!(recorded.is_none(), "{recorded:?}");
}

#[test]
fn a_command_of_which_nothing_could_be_recorded_is_no_command_that_did_nothing() {
    let dir = start();
    let root = dir.path();
    let workspace = Workspace::open(root).unwrap();
    let open = workspace
        .begin_command(&Command::default(), true, &options())
        .unwrap();
    fs::remove_dir_all(root.join(".mission_control/snapshots/objects")).unwrap();
    fs::write(root.join("a.txt"), "changed\n").unwrap();
    let ended = workspace.end_command(&open.id, Ending::Exited(Some(0)), &options());
    let said = ended.unwrap_err().to_string();
    assert!(
        said.contains("a.txt changed, but its bytes from before are gone"),
        "{said}"
    );
}

#[test]
fn what_undo_puts_back_keeps_owner_and_attributes() {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let dir = start();
    let root = dir.path();
    // Root alone can give a file away, and not every file system has attributes.
    let given = chown(root.join("a.txt"), Some(1), Some(2)).is_ok();
    let attribute = |name: &str| {
        let mut value = [0; 16];
        let read = rustix::fs::getxattr(root.join(name), "user.kept", &mut value);
        read.ok().map(|len| value[..len].to_vec())
    };
    let flags = rustix::fs::XattrFlags::empty();
    let marked = rustix::fs::setxattr(root.join("a.txt"), "user.kept", b"yes", flags).is_ok();
    record(root, || {
        apply(root, &batch(vec![append("a.txt", "ours")]));
        fs::write(root.join("a.txt"), "theirs\n").unwrap();
    })
    .unwrap();
    let workspace = Workspace::open(root).unwrap();
    let undone = workspace.undo(None, &options()).unwrap();
    assert_eq!(undone.report.code(), None);
    let meta = root.join("a.txt").metadata().unwrap();
    if given {
        assert_eq!((meta.uid(), meta.gid()), (1, 2));
    }
    if marked {
        assert_eq!(attribute("a.txt").as_deref(), Some(&b"yes"[..]));
    }
    assert!(
        fs::read_to_string(root.join("a.txt"))
            .unwrap()
            .ends_with("ours\n")
    );
}

/// What a file became that cannot be recorded, alone and beside a change that can.
#[test]
fn what_cannot_be_recorded_is_said() {
    let fifo = |path: &Path| {
        fs::remove_file(path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let huge = |path: &Path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len((1 << 30) + 1).unwrap();
    };
    let ways: [&dyn Fn(&Path); 2] = [&fifo, &huge];
    for way in ways {
        let dir = start();
        let root = dir.path();
        let workspace = Workspace::open(root).unwrap();
        let open = workspace
            .begin_command(&Command::default(), true, &options())
            .unwrap();
        way(&root.join("a.txt"));
        let ended = workspace.end_command(&open.id, Ending::Exited(Some(0)), &options());
        let said = ended.unwrap_err().to_string();
        assert!(
            said.contains("a.txt is not a regular file any more"),
            "{said}"
        );
        // It is over: no edit waits for it.
        let batch = batch(vec![append("b.txt", "x")]);
        let added = workspace.apply(&batch, &options());
        assert_eq!(added.unwrap().report.status, Status::Applied);
        let dir = start();
        let root = dir.path();
        let applied = record(root, || {
            way(&root.join("a.txt"));
            fs::write(root.join("b.txt"), "changed\n").unwrap();
        })
        .unwrap();
        assert_eq!(applied.record.changes.len(), 1);
        let warning = &applied.report.warnings[0];
        assert!(warning.contains("its change is not recorded"), "{warning}");
    }
}

#[test]
fn what_was_planted_among_the_snapshots_stops_nothing() {
    let dir = start();
    let root = dir.path();
    record(root, || fs::write(root.join("a.txt"), "1\n").unwrap()).unwrap();
    let snapshots = root.join(".mission_control/snapshots");
    let object = |name: &str| snapshots.join("objects").join(name);
    let id = "01a21e68-2684-72e8-aac2-497371c0b0a4";
    let huge = |path: &Path| fs::File::create(path).unwrap().set_len(1 << 33).unwrap();
    huge(&snapshots.join("runs").join(id));
    huge(&snapshots.join("index"));
    let sockets = [snapshots.join("runs/socket"), object("aa-socket")];
    let _bound = sockets.map(|path| std::os::unix::net::UnixListener::bind(path).unwrap());
    fs::create_dir(snapshots.join("runs/directory")).unwrap();
    symlink("/", snapshots.join("runs/link")).unwrap();
    fs::write(object("file"), "").unwrap();
    symlink("/", object("link")).unwrap();
    fs::create_dir_all(object("zz/directory/below")).unwrap();
    let workspace = Workspace::open(root).unwrap();
    let batch = batch(vec![append("b.txt", "x")]);
    let added = workspace.apply(&batch, &options());
    assert_eq!(added.unwrap().report.status, Status::Applied);
    let applied = record(root, || fs::write(root.join("a.txt"), "2\n").unwrap()).unwrap();
    assert_eq!(applied.record.changes.len(), 1);
    workspace.gc(&Retention::default()).unwrap();
    assert!(!object("file").try_exists().unwrap() && !object("link").is_symlink());
    workspace.undo(None, &options()).unwrap();
    assert_eq!(fs::read_to_string(root.join("a.txt")).unwrap(), "1\n");
    assert!(workspace.audit().unwrap().is_clean());
}

#[test]
fn what_was_ignored_and_is_moved_into_sight_is_told_at_both_ends() {
    let dir = start();
    let root = dir.path();
    fs::create_dir(root.join("build")).unwrap();
    fs::write(root.join("build/out"), "only copy\n").unwrap();
    fs::write(root.join(".gitignore"), "build/\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    let applied = record(root, || {
        fs::rename(root.join("build"), root.join("seen")).unwrap();
    })
    .unwrap();
    let told = applied.report.warnings.join("\n");
    assert!(
        told.contains("undo removes it but does not bring build back"),
        "{told}"
    );
    let workspace = Workspace::open(root).unwrap();
    let undone = workspace.undo(None, &options()).unwrap();
    let told = undone.report.warnings.join("\n");
    assert!(
        told.contains("build was there before the command"),
        "{told}"
    );
    // What is new is no reason for it.
    fs::create_dir(root.join("build")).unwrap();
    fs::write(root.join("build/out"), "x\n").unwrap();
    let applied = record(root, || {
        fs::remove_dir_all(root.join("build")).unwrap();
        fs::write(root.join("new"), "new\n").unwrap();
    })
    .unwrap();
    assert_eq!(applied.report.warnings, Vec::<String>::new());
}

#[test]
fn a_reader_knows_a_writer_at_work_from_one_that_died() {
    let dir = start();
    let root = dir.path();
    apply(root, &batch(vec![append("a.txt", "x")]));
    let current = root.join(".mission_control/txn/current");
    fs::create_dir(&current).unwrap();
    fs::write(current.join("manifest"), "half written").unwrap();
    let workspace = Workspace::open(root).unwrap();
    let audit = || {
        let options = ApplyOptions {
            lock_wait: std::time::Duration::from_millis(50),
            ..options()
        };
        let batch = batch(vec![append("a.txt", "x")]);
        workspace.check(&batch, &options).unwrap_err().code()
    };
    let lock = fs::File::open(root.join(".mission_control/lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(audit(), patchcore::Code::LockTimeout);
    drop(lock);
    assert_eq!(audit(), patchcore::Code::Unfinished);
}

#[test]
fn a_run_that_was_interrupted_is_told_whoever_records_it() {
    let dir = start();
    let root = dir.path();
    let ways: [&dyn Fn(&Workspace); 4] = [
        &|workspace| drop(workspace.snapshot(&[], &options()).unwrap()),
        &|workspace| {
            workspace.gc(&Retention::default()).unwrap();
        },
        &|workspace| drop(workspace.recover().unwrap()),
        &|workspace| {
            let begun = workspace.begin_command(&Command::default(), true, &options());
            drop(begun.unwrap());
        },
    ];
    for (round, way) in ways.iter().enumerate() {
        let workspace = Workspace::open(root).unwrap();
        let begun = workspace.begin_command(&Command::default(), true, &options());
        let open = begun.unwrap();
        fs::write(root.join("a.txt"), format!("{round}\n")).unwrap();
        drop(open);
        way(&workspace);
        let notes = workspace.notes();
        assert_eq!(notes.len(), 1, "{round}: {notes:?}");
        assert!(notes[0].contains("was interrupted"), "{notes:?}");
    }
}

/// A command has its labels from whoever begins it, as a batch has: none of them is empty.
#[test]
fn an_empty_label_of_a_command_is_refused() {
    let dir = start();
    let workspace = Workspace::open(dir.path()).unwrap();
    for label in ["order_id", "task_id", "factory", "phase", "agent"] {
        let labels = serde_json::from_str(&format!(r#"{{"{label}": ""}}"#)).unwrap();
        let command = Command {
            labels,
            ..Command::default()
        };
        let refused = workspace.begin_command(&command, false, &options());
        let Err(Stop::Refused(refusal)) = refused else {
            panic!("{label}: {refused:?}");
        };
        assert_eq!(refusal.code, Code::InvalidBatch);
        assert!(refusal.message.contains(label), "{}", refusal.message);
    }
    // Nothing was begun: what is written now is nobody's.
    fs::write(dir.path().join("a.txt"), "by hand\n").unwrap();
    drop(workspace.snapshot(&[], &options()).unwrap());
    assert!(workspace.notes().is_empty());
}

#[test]
fn what_git_tracks_is_recorded_though_a_rule_ignores_it() {
    let git = |root: &Path, arguments: &str| {
        let status = std::process::Command::new("sh")
            .args([
                "-c",
                &format!("git -c user.name=t -c user.email=t@t {arguments}"),
            ])
            .current_dir(root)
            .env("GIT_CEILING_DIRECTORIES", root.parent().unwrap())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .status();
        assert!(status.unwrap().success(), "git {arguments}");
    };
    for setting in [
        "init -q .",
        "init -q . && git config index.version 3",
        "init -q . && git config index.version 4",
        "init -q --object-format=sha256 .",
    ] {
        let dir = start();
        let root = dir.path();
        fs::create_dir_all(root.join("build/deep")).unwrap();
        fs::create_dir_all(root.join("inner/out")).unwrap();
        for name in [
            "build/a",
            "build/kept",
            "build/deep/kept",
            "kept.log",
            "b.log",
            "inner/out/kept",
        ] {
            fs::write(root.join(name), "one\n").unwrap();
        }
        fs::write(root.join(".gitignore"), "build/\n*.log\nout/\n").unwrap();
        git(root, setting);
        git(&root.join("inner"), "init -q .");
        git(&root.join("inner"), "add -f out/kept");
        git(root, "add -f a.txt build/kept build/deep/kept kept.log");
        let kept = [
            "build/kept",
            "build/deep/kept",
            "kept.log",
            "inner/out/kept",
        ];
        let applied = record(root, || {
            for name in kept.iter().chain(&["build/a", "b.log"]) {
                fs::write(root.join(name), "two\n").unwrap();
            }
            // Tracked since: it stood there before, and nobody looked at it.
            git(root, "add -f build/a");
        });
        let mut names: Vec<String> = (applied.unwrap().record.changes.iter())
            .map(|change| change.path.to_string())
            .collect();
        names.sort();
        let mut kept = kept;
        kept.sort_unstable();
        assert_eq!(names, kept, "{setting}");
        Workspace::open(root)
            .unwrap()
            .undo(None, &options())
            .unwrap();
        for name in kept {
            assert_eq!(
                fs::read_to_string(root.join(name)).unwrap(),
                "one\n",
                "{name}"
            );
        }
        assert_eq!(fs::read_to_string(root.join("build/a")).unwrap(), "two\n");
    }
}

/// A draft for each attempt would fill the rest of a disk that is full already.
#[test]
fn an_object_that_cannot_be_written_leaves_nothing_behind() {
    for at in 1.. {
        let dir = start();
        let root = dir.path();
        let workspace = Workspace::open(root).unwrap();
        let fault = Fault {
            at: Some((at, FaultKind::Fail(28))),
            ..Fault::default()
        };
        let begin = || workspace.begin_command(&Command::default(), true, &options());
        let is_done = inject(fault, begin).result.is_ok();
        let objects = root.join(".mission_control/snapshots/objects");
        for entry in walkdir::WalkDir::new(objects).into_iter().flatten() {
            assert_ne!(entry.file_name(), "draft", "at step {at}");
        }
        if is_done {
            break;
        }
    }
}
