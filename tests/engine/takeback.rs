//! Taking back what was not verified, whatever the command did to the state, to the tree and to
//! itself; and doing without the calls that a system may not have.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use patchcore::operation::Batch;
use patchcore::plan::Lowered;
use patchcore::report::Status;
use patchcore::workspace::fault::{Call, Fault, FaultKind, inject, observe};
use patchcore::workspace::record::TransactionState;
use patchcore::workspace::{ApplyOptions, Recovered, Unfinished, Verify, Workspace};
use patchcore::{Code, Digest, Hint};

use crate::faults::{Scene, enumerate, judge, leftovers, recover};
use crate::workspace::{append, batch, create, delete, rename, snapshot, tree};

const EPERM: i32 = 1;
const EIO: i32 = 5;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const ENOSYS: i32 = 38;

/// What a command may do to the state; `$OUT` is a directory outside the root.
const RUINS: [&str; 19] = [
    "rm -rf .mission_control",
    "rm -rf .mission_control/txn",
    "rm -rf .mission_control/txn/current",
    "rm -rf .mission_control/log",
    "rm -rf .mission_control/log .mission_control/lock",
    "rm .mission_control/lock",
    "rm .mission_control/txn/current/manifest",
    "rm -f .mission_control/txn/current/0",
    "rm -f .mission_control/txn/current/[0-9]*",
    "for f in .mission_control/txn/current/[0-9]*; do echo scribble > $f; done",
    "mv .mission_control $OUT/state",
    "mv .mission_control $OUT/state; mkdir .mission_control",
    "mv .mission_control $OUT/state; ln -s $OUT/state .mission_control",
    "mv .mission_control/txn $OUT/txn; ln -s $OUT/txn .mission_control/txn",
    "rm -rf .mission_control/log; ln -s $OUT .mission_control/log",
    "rm -rf .mission_control; echo none > .mission_control",
    "cp -a .mission_control $OUT/s; rm -rf .mission_control; cp -a $OUT/s .mission_control",
    "rm -rf .mission_control/txn; mkdir -p .mission_control/txn/current; echo x > .mission_control/txn/current/0",
    "chmod 000 .mission_control .mission_control/*/",
];

fn two_files() -> Batch {
    batch(vec![append("a", "x"), append("sub/b", "x")])
}

/// A command with a directory outside the root for it.
fn command(ruin: &str, end: &str) -> (String, tempfile::TempDir) {
    let out = tree(&[]);
    let command = format!("OUT={}; {ruin}; {end}", out.path().display());
    (command, out)
}

#[test]
fn a_batch_is_taken_back_whatever_its_verification_did_to_the_state() {
    for scene in [Scene::of_one_file, Scene::of_two_files, Scene::of_types] {
        for ruin in RUINS {
            let (command, _out) = command(ruin, "false");
            let scene = scene().verified(&command);
            let dir = scene.tree();
            let root = dir.path();
            let old = snapshot(root);
            let applied = scene.apply(root).unwrap();
            assert_eq!(applied.report.status, Status::RolledBack, "{ruin}");
            assert_eq!(applied.report.code(), Some(Code::VerifyFailed), "{ruin}");
            assert!(snapshot(root) == old, "{ruin}");
            // The record is written all the same.
            let log = Workspace::open(root).unwrap().log().unwrap();
            let [transaction] = log.transactions().unwrap()[..] else {
                panic!("{ruin}: the log has no record");
            };
            let record = log.read(&transaction).unwrap().unwrap();
            assert_eq!(record.state, TransactionState::RolledBack, "{ruin}");
            assert_eq!(recover(root), Recovered::Nothing, "{ruin}");
            assert_eq!(leftovers(root), [""; 0], "{ruin}");
            // And the next batch goes through.
            let next = Workspace::open(root).unwrap();
            let applied = next.apply(&scene.batch, &ApplyOptions::default()).unwrap();
            assert_eq!(applied.report.status, Status::Applied, "{ruin}");
        }
    }
}

#[test]
fn a_batch_stays_and_can_be_undone_whatever_its_verification_did_to_the_state() {
    for scene in [Scene::of_one_file, Scene::of_two_files, Scene::of_types] {
        let (old, new, _) = scene().measure();
        for ruin in RUINS {
            let (command, _out) = command(ruin, "true");
            let scene = scene().verified(&command);
            let dir = scene.tree();
            let root = dir.path();
            let applied = scene.apply(root).unwrap();
            assert_eq!(applied.report.status, Status::Applied, "{ruin}");
            assert!(applied.unfinished.is_none(), "{ruin}");
            assert!(snapshot(root) == new, "{ruin}");
            assert_eq!(recover(root), Recovered::Nothing, "{ruin}");
            assert_eq!(leftovers(root), [""; 0], "{ruin}");
            let id = applied.report.transaction.unwrap();
            let workspace = Workspace::open(root).unwrap();
            let undone = workspace.undo(Some(&id), &ApplyOptions::default()).unwrap();
            assert_eq!(undone.report.status, Status::Applied, "{ruin}");
            assert!(snapshot(root) == old, "{ruin}: undone to something else");
        }
    }
}

/// A batch without a verification has no time in which anybody is expected to remove its journal.
#[test]
fn what_is_told_of_a_batch_is_true_whenever_somebody_removes_its_journal() {
    let scene = Scene::of_two_files();
    let (old, new, steps) = scene.measure();
    for ruin in [
        "rm -rf .mission_control",
        "rm -rf .mission_control/txn",
        "rm -rf .mission_control/txn/current",
        "rm -f .mission_control/txn/current/[0-9]*",
        "rm -f .mission_control/txn/current/1 .mission_control/txn/current/manifest",
        "mv .mission_control $OUT/state",
    ] {
        for at in 1..=steps {
            let (command, _out) = command(ruin, "true");
            let dir = scene.tree();
            let root = dir.path().to_owned();
            let stranger = {
                let root = root.clone();
                move |step: usize, _: &'static str| {
                    if step == at {
                        let mut shell = std::process::Command::new("sh");
                        let done = shell.args(["-c", &command]).current_dir(&root).output();
                        done.unwrap();
                    }
                }
            };
            let result = observe(stranger, || scene.apply(&root));
            let what = format!("{ruin} at {at}: {result:?}");
            let told = match &result {
                Ok(applied) if applied.report.status == Status::Applied => &new,
                _ => &old,
            };
            if matches!(&result, Ok(applied) if applied.unfinished.is_some()) {
                recover(&root);
            }
            assert!(snapshot(&root) == *told, "{what}");
            assert_eq!(recover(&root), Recovered::Nothing, "{what}");
            assert!(snapshot(&root) == *told, "{what}");
        }
    }
}

/// The same where the state is removed over and over.
#[test]
fn what_is_told_of_a_batch_is_true_while_somebody_keeps_removing_the_state() {
    for (scene, end) in [
        (Scene::of_two_files(), ""),
        (
            Scene::of_two_files().verified("true"),
            " where it is verified",
        ),
        (Scene::of_two_files().verified("false"), " where it is not"),
    ] {
        let (old, new, steps) = scene.measure();
        for at in 1..=steps {
            let dir = scene.tree();
            let root = dir.path();
            let state = root.join(".mission_control");
            let stranger = move |step: usize, _: &'static str| {
                if step >= at {
                    let _ = fs::remove_dir_all(&state);
                }
            };
            let result = observe(stranger, || scene.apply(root));
            let what = format!("from step {at} on{end}: {result:?}");
            let told = match &result {
                Ok(applied) if applied.report.status == Status::Applied => &new,
                Err(error) if error.code() == Code::Unfinished => continue,
                _ => &old,
            };
            assert!(snapshot(root) == *told, "{what}");
            assert_eq!(recover(root), Recovered::Nothing, "{what}");
            assert!(snapshot(root) == *told, "{what}");
        }
    }
}

/// Who waits for a lock gets one that keeps others out, in the state that stands in the root by then.
#[test]
fn who_waits_while_a_verification_ruins_the_state_works_on_what_stands_there_then() {
    // Where it does not come true, the threads must end all the same.
    let until = |is_true: &dyn Fn() -> bool| {
        let tries = (0..10_000).map(|_| std::thread::sleep(Duration::from_millis(1)));
        { tries }.any(|()| is_true())
    };
    for ruin in RUINS {
        let (ruined, out) = command(&format!("{}; {ruin}", wait_for("waits")), "true");
        let (held, held_out) = command(&wait_for("goes on"), "true");
        let dir = tree(&[("a", "a\n"), ("b", "b\n"), ("c", "c\n")]);
        let root = dir.path();
        let apply = |file: &str, verify: Option<&str>, wait: u64| {
            let options = ApplyOptions {
                verify: verify.map(Verify::new),
                lock_wait: Duration::from_secs(wait),
                ..ApplyOptions::default()
            };
            let workspace = Workspace::open(root).unwrap();
            let work = batch(vec![append(file, "x")]);
            let applied = workspace.apply(&work, &options);
            applied.map(|applied| applied.report.status)
        };
        let journal = root.join(".mission_control/txn/current/manifest");
        std::thread::scope(|scope| {
            let first = scope.spawn(|| apply("a", Some(&ruined), 30).unwrap());
            let installs = until(&|| journal.symlink_metadata().is_ok());
            let second = scope.spawn(|| apply("b", Some(&held), 30).unwrap());
            let waits = until(&|| open_locks(root) == 2);
            fs::write(out.path().join("waits"), "").unwrap();
            let first = first.join().unwrap();
            let verifies = until(&|| journal.symlink_metadata().is_ok());
            let third = apply("c", None, 0);
            fs::write(held_out.path().join("goes on"), "").unwrap();
            assert!(installs && waits && verifies, "{ruin}");
            assert_eq!(first, Status::Applied, "{ruin}");
            assert_eq!(third.unwrap_err().code(), Code::LockTimeout, "{ruin}");
            assert_eq!(second.join().unwrap(), Status::Applied, "{ruin}");
        });
        // A child that another test starts has the lock, too, until it is another program.
        apply("c", None, 30).unwrap();
        for file in ["a", "b", "c"] {
            let text = fs::read_to_string(root.join(file)).unwrap();
            assert_eq!(text, format!("{file}\nx\n"), "{ruin}");
        }
        let workspace = Workspace::open(root).unwrap();
        assert!(workspace.audit().unwrap().is_clean(), "{ruin}");
        assert_eq!(
            workspace.log().unwrap().transactions().unwrap().len(),
            3,
            "{ruin}"
        );
    }
}

/// A command that waits for a file outside the root.
fn wait_for(file: &str) -> String {
    format!("until [ -e \"$OUT/{file}\" ]; do sleep 0.01; done")
}

/// How often this process has the lock of a root open.
fn open_locks(root: &Path) -> usize {
    let lock = root.join(".mission_control/lock");
    let files = fs::read_dir("/proc/self/fd").unwrap();
    let files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    files.filter(|file| *file == lock).count()
}

#[test]
fn what_a_verification_removes_or_replaces_is_said() {
    let scene = Scene::of_one_file();
    for (ruin, kept) in [
        (RUINS[0], 0),
        (
            "rm -rf .mission_control; echo precious > .mission_control",
            1,
        ),
        (
            "rm -rf .mission_control/log; echo precious > .mission_control/log",
            1,
        ),
        ("echo precious > .mission_control/txn/current/0", 1),
        ("echo precious > .mission_control/txn/current/notes", 1),
    ] {
        for end in ["true", "false"] {
            let dir = scene.tree();
            let root = dir.path();
            let options = ApplyOptions {
                verify: Some(Verify::new(format!("{ruin}; {end}"))),
                ..ApplyOptions::default()
            };
            let workspace = Workspace::open(root).unwrap();
            let applied = workspace.apply(&scene.batch, &options).unwrap();
            let warnings = applied.report.warnings.join("\n");
            let saved = workspace.status().unwrap().conflicts;
            // What nobody expects in the journal goes with it into the log.
            let expected = if ruin.ends_with("notes") && end == "true" {
                0
            } else {
                kept
            };
            assert_eq!(saved.len(), expected, "{ruin}; {end}: {saved:?}");
            for saved in saved {
                let bytes = fs::read(root.join(&saved.kept)).unwrap();
                assert_eq!(bytes, b"precious\n", "{ruin}; {end}");
                assert!(warnings.contains(&saved.kept), "{ruin}: {warnings}");
            }
            if !ruin.contains("current") {
                assert!(warnings.contains("verification command"), "{warnings}");
            }
        }
    }
}

/// What a command does to the files of the batch is somebody's work too.
#[test]
fn what_a_verification_writes_into_the_files_of_its_batch_is_kept() {
    let cases = [
        ("echo precious > a", 1),
        ("echo precious >> a", 1),
        ("rm a; mkdir a; echo precious > a/x", 1),
        ("rm a", 0),
        ("rm -r sub", 0),
        ("rm -r sub; rm -rf .mission_control", 0),
        ("echo precious > sub/b; rm -rf .mission_control", 1),
        ("rm -f a sub/b .mission_control/txn/current/[0-9]*", 0),
        ("echo precious > gone", 1),
        ("echo precious > new/c", 1),
        ("rm -r new", 0),
        ("rm -r new; rm -rf .mission_control", 0),
        ("rm -r new; echo precious > new", 0),
        ("mkdir gone; echo precious > gone/x", 1),
    ];
    for (meddling, kept) in cases {
        for missing in [&[][..], &[Call::Renameat2], &[Call::Renameat2, Call::Link]] {
            let dir = tree(&[("a", "a\n"), ("sub/b", "b\n"), ("gone", "g\n")]);
            let root = dir.path();
            let before = snapshot(root);
            let batch = batch(vec![
                append("a", "x"),
                append("sub/b", "x"),
                delete("gone", "g\n"),
                create("new/c", "c\n"),
            ]);
            let options = ApplyOptions {
                verify: Some(Verify::new(format!("{meddling}; false"))),
                ..ApplyOptions::default()
            };
            let fault = Fault {
                missing,
                ..Fault::default()
            };
            let workspace = Workspace::open(root).unwrap();
            let applied = inject(fault, || workspace.apply(&batch, &options)).result;
            let applied = applied.unwrap();
            assert_eq!(applied.report.status, Status::RolledBack, "{meddling}");
            let mut now = snapshot(root);
            now.retain(|(name, ..)| name != "new");
            assert!(now == before, "{meddling}: {now:?}");
            let saved = workspace.status().unwrap().conflicts;
            assert_eq!(saved.len(), kept, "{meddling}: {saved:?}");
            let lives = |at: &Path| {
                walkdir::WalkDir::new(at).into_iter().any(|entry| {
                    fs::read(entry.unwrap().path())
                        .is_ok_and(|bytes| bytes.ends_with(b"precious\n"))
                })
            };
            assert_eq!(lives(root), meddling.contains("precious"), "{meddling}");
        }
    }
}

#[test]
fn what_cannot_be_taken_back_is_said_with_the_place_of_its_bytes() {
    for ruin in ["true", "rm -rf .mission_control"] {
        let dir = tree(&[("a", "a\n"), ("sub/b", "b\n")]);
        let root = dir.path();
        let before = snapshot(root);
        let options = ApplyOptions {
            verify: Some(Verify::new(format!(
                "rm -r sub; echo x > sub; {ruin}; false"
            ))),
            ..ApplyOptions::default()
        };
        let workspace = Workspace::open(root).unwrap();
        let work = two_files();
        let error = workspace.apply(&work, &options).unwrap_err();
        assert_eq!(error.code(), Code::Unfinished);
        let message = error.to_string();
        let kept = ".mission_control/txn/current/1";
        for part in ["verification", "1 of 2 files", "sub/b", kept] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert_eq!(fs::read(root.join(kept)).unwrap(), b"b\n");
        // The rest was taken back.
        assert_eq!(fs::read(root.join("a")).unwrap(), b"a\n");
        // It stays that way until somebody has seen to it.
        assert_eq!(workspace.recover().unwrap_err().code(), Code::Unfinished);
        fs::remove_file(root.join("sub")).unwrap();
        assert!(matches!(
            workspace.recover().unwrap(),
            Recovered::TakenBack { .. }
        ));
        assert_eq!(snapshot(root), before);
    }
}

/// The process dies, or the disk fails, at any step behind a command that has removed the state.
#[test]
fn r1_a_fault_behind_a_verification_that_cleans_leaves_old_or_new_and_never_lies() {
    for (ruin, end) in [
        (RUINS[0], "false"),
        (RUINS[0], "true"),
        (RUINS[1], "false"),
        (RUINS[7], "false"),
        (RUINS[7], "true"),
    ] {
        for base in [Scene::of_two_files, Scene::of_types] {
            let scene = base().verified(&format!("{ruin}; {end}"));
            let (_, new, _) = base().measure();
            let steps = scene.measure().2;
            for kind in [
                FaultKind::Stop,
                FaultKind::Fail(EIO),
                FaultKind::Stick(ENOSPC),
            ] {
                for at in 1..=steps {
                    let what = format!("{ruin}; {end}: {kind:?} at {at}");
                    let dir = scene.tree();
                    let root = dir.path();
                    let fault = Fault {
                        at: Some((at, kind)),
                        ..scene.fault
                    };
                    let old = snapshot(root);
                    let run = inject(fault, || scene.apply(root));
                    let now = snapshot(root);
                    if !matches!(kind, FaultKind::Stop) {
                        match &run.result {
                            Ok(applied) if applied.unfinished.is_some() => {}
                            Ok(applied) if applied.report.status == Status::Applied => {
                                assert!(now == new, "{what}: said to be applied");
                            }
                            Ok(_) => assert!(now == old, "{what}: said to be taken back"),
                            // One error is not enough to lose anything.
                            Err(error)
                                if error.code() == Code::Unfinished
                                    && matches!(kind, FaultKind::Fail(_)) =>
                            {
                                recover(root);
                                assert!(snapshot(root) == old, "{what}: {error}");
                            }
                            Err(error) if error.code() == Code::Unfinished => {
                                let message = error.to_string();
                                for entry in old.iter().filter(|entry| !now.contains(entry)) {
                                    assert!(message.contains(&entry.0), "{what}: {message}");
                                }
                                let found = Workspace::open(root).unwrap().recover();
                                assert!(
                                    message.contains("run recover")
                                        || matches!(found, Ok(Recovered::Nothing)),
                                    "{what}: {message}, then {found:?}"
                                );
                                continue;
                            }
                            Err(error) => assert!(now == old, "{what}: {error}"),
                        }
                    }
                    let current = root.join(".mission_control/txn/current");
                    let has_old_files = fs::read_dir(current).is_ok_and(|names| {
                        let mut names = names.map(|entry| entry.unwrap().file_name());
                        names.any(|name| name.as_encoded_bytes()[0].is_ascii_digit())
                    });
                    match Workspace::open(root).unwrap().recover() {
                        Ok(_) => {
                            let now = snapshot(root);
                            assert!(now == old || now == new, "{what}: a mix");
                            // Old files that were made again are not thrown away.
                            assert!(
                                now == old || end == "true" || !has_old_files,
                                "{what}: the batch stays without a word"
                            );
                        }
                        Err(error) => assert_eq!(error.code(), Code::Unfinished, "{what}"),
                    }
                }
            }
        }
    }
}

#[test]
fn r9_what_a_stranger_saves_during_verification_survives_a_death_at_any_step() {
    let work = || {
        batch(vec![
            append("a", "x"),
            create("n", "n\n"),
            delete("gone", "g\n"),
            rename("old", "new"),
        ])
    };
    let files = [("a", "a\n"), ("gone", "g\n"), ("old", "o\n")];
    for missing in [&[][..], &[Call::Renameat2], &[Call::Renameat2, Call::Link]] {
        for place in ["a", "n", "gone", "old", "new"] {
            let options = ApplyOptions {
                verify: Some(Verify::new(format!("echo precious >> {place}; false"))),
                ..ApplyOptions::default()
            };
            let run = |root: &Path, at| {
                let fault = Fault {
                    at,
                    missing,
                    ..Fault::default()
                };
                let (work, workspace) = (work(), Workspace::open(root).unwrap());
                inject(fault, || workspace.apply(&work, &options).map(|_| ())).steps
            };
            let steps = run(tree(&files).path(), None).len();
            for kind in [
                FaultKind::Stop,
                FaultKind::Fail(ENOSPC),
                FaultKind::Stick(EIO),
            ] {
                let mut runs = 0;
                for at in 1..=steps {
                    let dir = tree(&files);
                    let root = dir.path();
                    run(root, Some((at, kind)));
                    let workspace = Workspace::open(root).unwrap();
                    let wrote = |root: &Path| {
                        walkdir::WalkDir::new(root).into_iter().any(|entry| {
                            fs::read(entry.unwrap().path())
                                .is_ok_and(|bytes| bytes.ends_with(b"precious\n"))
                        })
                    };
                    let has_run = wrote(root);
                    workspace.recover().unwrap();
                    let what = format!("{missing:?}, {kind:?} at {at}, {place}");
                    assert_eq!(wrote(root), has_run, "{what}");
                    for (name, bytes) in &files {
                        let there = fs::read(root.join(name)).unwrap();
                        assert!(
                            there.starts_with(bytes.as_bytes()) || *name == place,
                            "{what}"
                        );
                    }
                    runs += usize::from(has_run);
                }
                assert!(runs > 10, "{missing:?}, {kind:?}, {place}: {runs}");
            }
        }
    }
}

/// What was taken back or not, it is as if the stranger's file had been there all along.
#[test]
fn r9_what_a_stranger_wrote_just_before_the_batch_comes_back_with_the_way_back() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use patchcore::workspace::fault::observe;

    for (moment, place) in [("exchange", "a"), ("rename-new", "n")] {
        let dir = tree(&[("a", "a\n")]);
        let root = dir.path().to_owned();
        let operation = match place {
            "a" => append("a", "x"),
            _ => create("n", "n\n"),
        };
        let work = batch(vec![operation]);
        let options = ApplyOptions {
            verify: Some(Verify::new("false")),
            ..ApplyOptions::default()
        };
        let hook = {
            let (root, done) = (root.clone(), AtomicBool::new(false));
            move |_: usize, step: &'static str| {
                if step == moment && !done.swap(true, Ordering::Relaxed) {
                    fs::write(root.join(place), "stranger\n").unwrap();
                }
            }
        };
        let workspace = Workspace::open(&root).unwrap();
        let applied = observe(hook, || workspace.apply(&work, &options).unwrap());
        assert_eq!(applied.report.status, Status::RolledBack);
        assert_eq!(
            fs::read(root.join(place)).unwrap(),
            b"stranger\n",
            "{place}"
        );
        assert_eq!(workspace.status().unwrap().conflicts, []);
    }
}

#[test]
fn r1_a_crash_at_any_step_leaves_old_or_new_whatever_call_is_missing() {
    let all: [&'static [Call]; 6] = [
        &[Call::Renameat2],
        &[Call::Renameat2, Call::Link],
        &[Call::Openat2],
        &[Call::Statx],
        &[Call::Faccessat2],
        &[
            Call::Renameat2,
            Call::Openat2,
            Call::Statx,
            Call::Faccessat2,
        ],
    ];
    for missing in all {
        for errno in [EINVAL, ENOSYS, EPERM] {
            // `statx` and `faccessat2` have no flags that could be missing.
            if errno == EINVAL && (missing.contains(&Call::Statx) || missing == [Call::Openat2]) {
                continue;
            }
            enumerate(
                &Scene::of_two_files().without(missing, errno),
                &[FaultKind::Stop],
            );
        }
    }
    let renames: &[Call] = &[Call::Renameat2, Call::Link];
    let scene = Scene::of_types().without(renames, ENOSYS);
    enumerate(&scene, &[FaultKind::Stop, FaultKind::Fail(EIO)]);
    let scene = Scene::of_types().without(renames, ENOSYS).durable();
    enumerate(&scene, &[FaultKind::Stop]);
    for missing in [&[Call::Renameat2][..], renames] {
        let scene = Scene::of_types().verified("false").without(missing, EPERM);
        let (old, _, steps) = scene.measure();
        for at in 1..=steps {
            judge(&scene, at, FaultKind::Stop, &old, &old);
        }
    }
}

/// The kernel that recovers is not the one that the batch died on.
#[test]
fn r1_a_batch_that_died_with_exchange_is_recovered_without_and_the_other_way_around() {
    const NONE: &[Call] = &[];
    const RENAMES: &[Call] = &[Call::Renameat2];
    const LINKS: &[Call] = &[Call::Renameat2, Call::Link];
    for (first, then) in [
        (NONE, RENAMES),
        (NONE, LINKS),
        (RENAMES, NONE),
        (RENAMES, LINKS),
        (LINKS, NONE),
    ] {
        for command in [None, Some("false")] {
            let mut scene = Scene::of_two_files().without(first, EINVAL);
            let (old, new, _) = scene.measure();
            if let Some(command) = command {
                scene = scene.verified(command);
            }
            let steps = scene.measure().2;
            for at in 1..=steps {
                let dir = scene.tree();
                let root = dir.path();
                let fault = Fault {
                    at: Some((at, FaultKind::Stop)),
                    ..scene.fault
                };
                let _ = inject(fault, || scene.apply(root));
                let fault = Fault {
                    missing: then,
                    ..Fault::default()
                };
                inject(fault, || Workspace::open(root).unwrap().recover().unwrap());
                let now = snapshot(root);
                assert!(
                    now == old || now == new,
                    "{first:?}, {then:?}, stop at {at}"
                );
                assert_eq!(leftovers(root), [""; 0]);
            }
        }
    }
}

/// A transaction in the lower layer of an overlay: its directory cannot be renamed.
#[test]
fn r1_a_transaction_whose_directory_cannot_be_moved_is_recovered_by_copy() {
    let missing: &[Call] = &[Call::MoveJournal];
    enumerate(
        &Scene::of_two_files().without(missing, 0),
        &[FaultKind::Stop, FaultKind::Fail(EIO)],
    );
    let scene = Scene::of_two_files().verified("false").without(missing, 0);
    let (old, _, steps) = scene.measure();
    for at in 1..=steps {
        judge(&scene, at, FaultKind::Stop, &old, &old);
    }
    // What is in the log is whole: it can be undone.
    let scene = Scene::of_two_files().without(missing, 0);
    let dir = scene.tree();
    let root = dir.path();
    let before = snapshot(root);
    inject(scene.fault, || scene.apply(root).unwrap());
    let workspace = Workspace::open(root).unwrap();
    workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(snapshot(root), before);
}

#[test]
fn whatever_is_there_instead_of_a_transaction_can_be_set_aside() {
    type Make = fn(&Path);
    let cases: [(&str, Make); 5] = [
        ("file", |at| fs::write(at, "x").unwrap()),
        ("link", |at| symlink("/nowhere", at).unwrap()),
        ("link to a directory", |at| symlink("..", at).unwrap()),
        ("directories", |at| {
            fs::create_dir_all(at.join("in/deep")).unwrap();
            fs::write(at.join("in/deep/x"), "x").unwrap();
            fs::write(at.join("manifest"), "no record\n").unwrap();
        }),
        ("record of another version", |at| {
            let json = "{\"version\":99}\n";
            let digest = Digest::of(json.as_bytes());
            fs::create_dir(at).unwrap();
            fs::write(at.join("manifest"), format!("{json}{digest}\n")).unwrap();
        }),
    ];
    for (what, make) in cases {
        for missing in [&[][..], &[Call::MoveJournal], &[Call::Renameat2]] {
            let scene = Scene::of_one_file();
            let dir = scene.tree();
            let root = dir.path();
            fs::create_dir_all(root.join(".mission_control/txn")).unwrap();
            let current = root.join(".mission_control/txn/current");
            make(&current);
            let before = snapshot(root);
            let workspace = Workspace::open(root).unwrap();
            if !what.starts_with("directories") {
                let error = workspace.recover().unwrap_err();
                // What is no journal of ours is somebody else's.
                let codes = [Code::Unfinished, Code::ForeignState];
                assert!(codes.contains(&error.code()), "{what}: {error}");
                let hints = [Some(Hint::Abandon), Some(Hint::Adopt)];
                assert!(hints.contains(&error.hint()), "{what}: {error}");
                let unfinished = workspace.status().unwrap().unfinished;
                assert!(
                    matches!(
                        unfinished,
                        Some(Unfinished::Corrupt(_) | Unfinished::Foreign)
                    ),
                    "{what}"
                );
            }
            let fault = Fault {
                missing,
                ..Fault::default()
            };
            let abandoned = inject(fault, || workspace.abandon().unwrap()).result;
            let Recovered::Abandoned { kept } = abandoned else {
                panic!("{what}: {abandoned:?}");
            };
            assert!(root.join(&kept).symlink_metadata().is_ok(), "{what}");
            if what == "directories" {
                assert_eq!(fs::read(root.join(kept).join("in/deep/x")).unwrap(), b"x");
            }
            assert!(current.symlink_metadata().is_err(), "{what}");
            assert_eq!(snapshot(root), before, "{what}");
            scene.apply(root).unwrap();
        }
    }
}

/// The task manifest lies in the state, and is part of the batch.
#[test]
fn the_task_manifest_goes_the_way_of_its_batch_also_where_the_state_was_removed() {
    struct Completes;
    impl patchcore::plan::Review for Completes {
        fn review(
            &self,
            _: &Lowered<'_>,
            _: &patchcore::Tree,
            _: &mut patchcore::plan::Plan,
            _: Option<&[u8]>,
        ) -> Result<Option<Vec<u8>>, patchcore::Refusal> {
            Ok(Some(b"new\n".to_vec()))
        }
    }
    for (end, expected) in [("true", "new\n"), ("false", "old\n")] {
        for ruin in ["true", RUINS[0], "rm .mission_control/tasks.json"] {
            let dir = tree(&[("a", "a\n"), (".mission_control/tasks.json", "old\n")]);
            let root = dir.path();
            let options = ApplyOptions {
                verify: Some(Verify::new(format!("{ruin}; {end}"))),
                review: Some(&Completes),
                ..ApplyOptions::default()
            };
            let work = batch(vec![append("a", "x")]);
            let workspace = Workspace::open(root).unwrap();
            workspace.apply(&work, &options).unwrap();
            let tasks = fs::read_to_string(root.join(".mission_control/tasks.json"));
            assert_eq!(tasks.unwrap(), expected, "{ruin}; {end}");
        }
    }
}
