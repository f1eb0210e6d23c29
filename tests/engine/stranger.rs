//! R9: what somebody else writes meanwhile is a conflict, or kept and reported, never lost.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use patchcore::plan::Review;
use patchcore::plan::{Lowered, Plan};
use patchcore::report::Status;
use patchcore::workspace::fault::{Call, Fault, FaultKind, inject, observe};
use patchcore::workspace::{ApplyOptions, Workspace};
use patchcore::{Code, Refusal, Tree};

use crate::workspace::{append, batch, create, delete, path, rename, snapshot, tree};

fn options() -> ApplyOptions<'static> {
    ApplyOptions::default()
}

/// A stranger who writes between plan and commit.
pub(crate) struct Meddler<F>(pub(crate) F);

impl<F: Fn()> Review for Meddler<F> {
    fn review(
        &self,
        _: &Lowered<'_>,
        _: &Tree,
        _: &mut Plan,
        _: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        (self.0)();
        Ok(None)
    }
}

#[test]
fn r9_what_changes_between_plan_and_commit_is_a_conflict() {
    type Meddling = fn(&Path);
    let cases: [(&str, Meddling); 7] = [
        ("bytes", |root| {
            fs::write(root.join("a"), "stranger\n").unwrap()
        }),
        ("same length", |root| {
            fs::write(root.join("a"), "b\n").unwrap()
        }),
        ("replaced", |root| {
            fs::write(root.join("t"), "a\n").unwrap();
            fs::rename(root.join("t"), root.join("a")).unwrap();
        }),
        ("mode", |root| {
            fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("gone", |root| fs::remove_file(root.join("a")).unwrap()),
        ("linked", |root| {
            fs::hard_link(root.join("a"), root.join("l")).unwrap()
        }),
        ("created", |root| {
            fs::write(root.join("n"), "stranger\n").unwrap()
        }),
    ];
    for (name, meddle) in cases {
        let dir = tree(&[("a", "a\n")]);
        let root = dir.path();
        let meddler = Meddler(|| meddle(root));
        let options = ApplyOptions {
            review: Some(&meddler),
            ..options()
        };
        let batch = batch(vec![append("a", "x"), create("n", "n\n")]);
        let applied = Workspace::open(root)
            .unwrap()
            .apply(&batch, &options)
            .unwrap();
        assert_eq!(applied.report.code(), Some(Code::Conflict), "{name}");
        let expected = tree(&[("a", "a\n")]);
        meddle(expected.path());
        assert_eq!(snapshot(root), snapshot(expected.path()), "{name}");
        assert!(
            !root
                .join(".mission_control/txn/current")
                .try_exists()
                .unwrap()
        );
    }
}

#[test]
fn r9_what_a_stranger_writes_between_crash_and_recovery_is_never_lost() {
    let files = [("a", "a\n"), ("gone", "g\n"), ("old", "o\n")];
    let work = || {
        batch(vec![
            append("a", "x"),
            create("n", "n\n"),
            delete("gone", "g\n"),
            rename("old", "new"),
        ])
    };
    for fault in [
        Fault::default(),
        Fault {
            missing: &[Call::Renameat2],
            ..Fault::default()
        },
    ] {
        let dir = tree(&files);
        let workspace = Workspace::open(dir.path()).unwrap();
        let steps = inject(fault, || workspace.apply(&work(), &options()).map(|_| ()));
        let commit = steps
            .steps
            .iter()
            .rposition(|step| *step == "write")
            .unwrap();
        for at in commit + 2..=steps.steps.len() {
            for place in ["a", "n", "gone", "old", "new"] {
                let dir = tree(&files);
                let root = dir.path();
                let stop = Fault {
                    at: Some((at, FaultKind::Stop)),
                    ..fault
                };
                let work = work();
                let workspace = Workspace::open(root).unwrap();
                let _ = inject(stop, || workspace.apply(&work, &options()));
                fs::write(root.join(place), "stranger\n").unwrap();
                workspace.recover().unwrap();
                let kept = walkdir::WalkDir::new(root)
                    .into_iter()
                    .filter_map(|entry| fs::read(entry.unwrap().path()).ok())
                    .filter(|bytes| bytes == b"stranger\n")
                    .count();
                // A link that was put aside as pre-image may show it a second time.
                assert!(kept > 0, "stop at {at}, {place} is lost");
                let in_tree = fs::read(root.join(place)).is_ok_and(|b| b == b"stranger\n");
                let saved = workspace.status().unwrap().conflicts;
                assert_eq!(saved.len(), usize::from(!in_tree), "stop at {at}, {place}");
                if let [saved] = &saved[..] {
                    assert_eq!(saved.path, path(place));
                    assert_eq!(fs::read(root.join(&saved.kept)).unwrap(), b"stranger\n");
                }
            }
        }
    }
}

/// One thread keeps what a stranger wrote, another one fails.
#[test]
fn r9_what_is_kept_is_reported_also_where_another_step_of_the_batch_fails() {
    let names: Vec<String> = (0..300).map(|number| format!("a/f{number:03}")).collect();
    let mut files: Vec<_> = names.iter().map(|name| (&**name, "line\n")).collect();
    files.push(("z/last", "line\n"));
    let dir = tree(&files);
    let root = dir.path().to_owned();
    let batch = batch(files.iter().map(|(name, _)| append(name, "x")).collect());
    let options = options();
    let once = Once::new();
    let stranger = move |_: usize, step: &str| {
        if step == "exchange" {
            // Every thread waits here at its first exchange until the stranger is done.
            once.call_once(|| {
                for number in [10, 74] {
                    fs::write(root.join(format!("a/f{number:03}")), "a stranger's\n").unwrap();
                }
                fs::rename(root.join("z"), root.join("elsewhere")).unwrap();
            });
        }
    };
    let workspace = Workspace::open(dir.path()).unwrap();
    let applied = observe(stranger, || workspace.apply(&batch, &options)).unwrap();
    assert!(applied.unfinished.is_some());
    let saved = workspace.status().unwrap().conflicts;
    assert!(!saved.is_empty());
    for kept in saved {
        let warnings = &applied.report.warnings;
        let is_reported = warnings.iter().any(|warning| warning.contains(&kept.kept));
        assert!(is_reported, "{}: {warnings:?}", kept.kept);
    }
}

#[test]
fn r9_what_a_stranger_writes_in_the_last_moment_is_kept_and_reported() {
    type Meddling = fn(&Path);
    let cases: [(&str, &str, Meddling); 5] = [
        ("exchange", "in place", |root| {
            fs::write(root.join("a"), "stranger\n").unwrap()
        }),
        ("exchange", "same length", |root| {
            fs::write(root.join("a"), "A\n").unwrap()
        }),
        ("exchange", "replaced", |root| {
            fs::write(root.join("t"), "stranger\n").unwrap();
            fs::rename(root.join("t"), root.join("a")).unwrap();
        }),
        ("exchange", "gone", |root| {
            fs::remove_file(root.join("a")).unwrap()
        }),
        ("rename-new", "created", |root| {
            fs::write(root.join("n"), "stranger\n").unwrap()
        }),
    ];
    for (moment, what, meddle) in cases {
        let dir = tree(&[("a", "a\n")]);
        let root = dir.path().to_owned();
        let workspace = Workspace::open(&root).unwrap();
        let work = batch(vec![append("a", "x"), create("n", "n\n")]);
        let hook = {
            let (root, done) = (root.clone(), AtomicBool::new(false));
            move |_: usize, step: &'static str| {
                if step == moment && !done.swap(true, Ordering::Relaxed) {
                    meddle(&root);
                }
            }
        };
        let applied = observe(hook, || workspace.apply(&work, &options()).unwrap());
        assert_eq!(applied.report.status, Status::Applied, "{what}");
        assert!(
            applied.unfinished.is_none(),
            "{what}: {:?}",
            applied.unfinished
        );
        assert_eq!(fs::read(root.join("a")).unwrap(), b"a\nx\n", "{what}");
        assert_eq!(fs::read(root.join("n")).unwrap(), b"n\n", "{what}");
        let saved = workspace.status().unwrap().conflicts;
        assert_eq!(saved.len(), usize::from(what != "gone"), "{what}");
        assert_eq!(applied.report.warnings.len(), saved.len(), "{what}");
        if let [saved] = &saved[..] {
            let kept = fs::read(root.join(&saved.kept)).unwrap();
            assert!(
                [&b"stranger\n"[..], b"A\n"].contains(&&*kept),
                "{what}: {kept:?}"
            );
        }
    }
}
