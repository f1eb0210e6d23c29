//! A fault at every step of the disk seam: the tree is old or new after the next run, never a mix.

use std::path::Path;

use patchcore::edit::Edit;
use patchcore::operation::{Action, Batch, Operation};
use patchcore::report::Status;
use patchcore::workspace::fault::{Call, Fault, FaultKind, inject};
use patchcore::workspace::{Applied, ApplyOptions, Recovered, Verify, Workspace};
use patchcore::{Code, Digest, Error};
use tempfile::TempDir;

use crate::workspace::{append, batch, create, delete, path, rename, snapshot, tree};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

pub(crate) type Snapshot = Vec<(String, u32, Vec<u8>)>;

/// A batch, a tree for it, and how it is applied.
pub(crate) struct Scene {
    pub(crate) files: Vec<(&'static str, &'static str)>,
    pub(crate) links: Vec<(&'static str, &'static str)>,
    pub(crate) batch: Batch,
    pub(crate) options: ApplyOptions<'static>,
    pub(crate) fault: Fault,
}

impl Scene {
    pub(crate) fn of_one_file() -> Self {
        Self {
            files: vec![("a", "a\n")],
            links: Vec::new(),
            batch: batch(vec![append("a", "x")]),
            options: ApplyOptions::default(),
            fault: Fault::default(),
        }
    }

    pub(crate) fn of_two_files() -> Self {
        let mut batch = batch(vec![
            append("keep/a", "x"),
            delete("gone/b", "b\n"),
            create("new/c", "c\n"),
            rename("d", "moved/d"),
        ]);
        batch.id = Some("two".into());
        Self {
            files: vec![("keep/a", "a\n"), ("gone/b", "b\n"), ("d", "d\n")],
            batch,
            ..Self::of_one_file()
        }
    }

    fn of_twenty_files() -> Self {
        let name = |number: usize| &*Box::leak(format!("f{number:02}").into_boxed_str());
        let set_mode = Action::SetMode { executable: true };
        let mut operations: Vec<Operation> = (0..18).map(|n| append(name(n), "x")).collect();
        operations.push(Operation::new(path(name(18)), set_mode));
        operations.push(create("f19", "new\n"));
        Self {
            files: (0..19).map(|number| (name(number), "line\n")).collect(),
            batch: batch(operations),
            ..Self::of_one_file()
        }
    }

    /// As many files as threads share.
    fn of_many_files() -> Self {
        let leak = |name: String| &*Box::leak(name.into_boxed_str());
        let name = |number: usize| leak(format!("d{:02}/f{number:03}", number % 40));
        let gone = |number: usize| leak(format!("gone/g{number}"));
        let mut files: Vec<_> = (0..310).map(|number| (name(number), "line\n")).collect();
        files.extend((0..20).map(|number| (gone(number), "gone\n")));
        let mut operations: Vec<Operation> = (0..300).map(|n| append(name(n), "x")).collect();
        operations.extend((300..310).map(|n| rename(name(n), &format!("moved/f{n}"))));
        operations.extend((0..20).map(|n| delete(gone(n), "gone\n")));
        operations.extend((0..20).map(|n| create(&format!("new/n{n}"), "new\n")));
        Self {
            files,
            batch: batch(operations),
            ..Self::of_one_file()
        }
    }

    /// Links that come, change and go; files and directories that become one another.
    pub(crate) fn of_types() -> Self {
        let on_link = |operation: Operation| Operation {
            link: true,
            ..operation
        };
        let delete_link = |file: &str, target: &str| {
            let mut operation = delete(file, target);
            operation.base = Some(Digest::of(target.as_bytes()));
            on_link(operation)
        };
        let retarget = Action::Splice(vec![Edit::replace(0..1, "keep/b")]);
        Self {
            files: vec![
                ("keep/a", "a\n"),
                ("file", "f\n"),
                ("dir/in/x", "x\n"),
                ("t", "t\n"),
            ],
            links: vec![("led", "a"), ("gone", "a"), ("sub/l", "../t"), ("u", "t")],
            batch: batch(vec![
                on_link(Operation::new(path("led"), retarget)),
                delete_link("gone", "a"),
                on_link(create("sub/new", "../keep/a")),
                on_link(rename("sub/l", "moved/l")),
                delete("file", "f\n"),
                create("file/sub/y", "y\n"),
                delete("dir/in/x", "x\n"),
                create("dir", "d\n"),
                delete("t", "t\n"),
                on_link(create("t", "keep")),
                delete_link("u", "t"),
                create("u", "u\n"),
            ]),
            ..Self::of_one_file()
        }
    }

    pub(crate) fn tree(&self) -> TempDir {
        let dir = tree(&self.files);
        for (name, target) in &self.links {
            let at = dir.path().join(name);
            std::fs::create_dir_all(at.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(target, at).unwrap();
        }
        dir
    }

    pub(crate) fn verified(mut self, command: &str) -> Self {
        self.options.verify = Some(Verify::new(command));
        self
    }

    pub(crate) fn durable(mut self) -> Self {
        self.options.durable = true;
        self
    }

    fn without_exchange(self) -> Self {
        self.without(&[Call::Renameat2], 0)
    }

    /// Where calls are missing, which is said by this error number.
    pub(crate) fn without(mut self, missing: &'static [Call], errno: i32) -> Self {
        self.fault.missing = missing;
        self.fault.missing_errno = errno;
        self
    }

    pub(crate) fn apply(&self, root: &Path) -> Result<Applied<'_>, Error> {
        Workspace::open(root)?.apply(&self.batch, &self.options)
    }

    /// The tree before and after, and how many steps lie between.
    pub(crate) fn measure(&self) -> (Snapshot, Snapshot, usize) {
        let dir = self.tree();
        let old = snapshot(dir.path());
        let run = inject(self.fault, || self.apply(dir.path()));
        let applied = run.result.unwrap();
        assert!(applied.unfinished.is_none(), "{:?}", applied.unfinished);
        (old, snapshot(dir.path()), run.steps.len())
    }
}

pub(crate) fn recover(root: &Path) -> Recovered {
    Workspace::open(root).unwrap().recover().unwrap()
}

pub(crate) fn leftovers(root: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let in_txn = entry.path().parent().is_some_and(|p| p.ends_with("txn"));
        if name.starts_with(".patchctl-") || in_txn && name == "current" {
            left.push(entry.path().display().to_string());
        }
    }
    left
}

/// One run with a fault, and what must hold after it and after the next run.
pub(crate) fn judge(
    scene: &Scene,
    at: usize,
    kind: FaultKind,
    old: &Snapshot,
    new: &Snapshot,
) -> TempDir {
    let dir = scene.tree();
    let root = dir.path();
    let fault = Fault {
        at: Some((at, kind)),
        ..scene.fault
    };
    let run = inject(fault, || scene.apply(root));
    let name = run.steps.get(at - 1).copied().unwrap_or("none");
    let what = format!("{kind:?} at step {at}, {name}");
    let died = matches!(kind, FaultKind::Stop | FaultKind::Tear);
    let expected = match &run.result {
        Ok(applied) if applied.unfinished.is_some() => None,
        Ok(applied) => match applied.report.status {
            Status::Applied => Some(new),
            _ => Some(old),
        },
        Err(_) => Some(old),
    };
    // What fails while a batch waits for its verification may be left for the next run to take back.
    let is_half = run.result.is_err() && scene.options.verify.is_some();
    if let (Some(expected), false, false) = (expected, died, is_half) {
        assert_eq!(&snapshot(root), expected, "{what}: {:?}", run.result);
        if matches!(kind, FaultKind::Fail(_)) && run.result.is_err() {
            assert_eq!(leftovers(root), [""; 0], "{what}");
        }
    }
    recover(root);
    let now = snapshot(root);
    assert!(now == *old || now == *new, "{what}: a mix after recovery");
    match &run.result {
        Ok(applied) if applied.unfinished.is_some() => {
            assert_eq!(&now, new, "{what}: committed, and lost");
        }
        _ if died => {}
        _ => assert_eq!(Some(&now), expected.or(Some(&now)), "{what}"),
    }
    assert_eq!(leftovers(root), [""; 0], "{what}");
    // Whatever happened, the next batch goes through.
    let again = Workspace::open(root).unwrap();
    assert_eq!(again.recover().unwrap(), Recovered::Nothing);
    dir
}

pub(crate) fn enumerate(scene: &Scene, kinds: &[FaultKind]) {
    let (old, new, steps) = scene.measure();
    assert!(steps > 20, "{steps} steps: the seam is not seen");
    for &kind in kinds {
        for at in 1..=steps {
            judge(scene, at, kind, &old, &new);
        }
    }
}

/// Some steps of a batch of many files, evenly spread, with the last ones. Threads make the order
/// of its steps vary, and their number with it.
fn sample(scene: &Scene, kinds: &[FaultKind], points: usize) {
    let (old, new, steps) = scene.measure();
    for (round, &kind) in kinds.iter().enumerate() {
        let stride = steps / points + 1;
        let early = (1 + round..steps).step_by(stride);
        for at in early.chain(steps.saturating_sub(8)..=steps + 1) {
            judge(scene, at, kind, &old, &new);
        }
    }
}

const CRASHES: [FaultKind; 3] = [FaultKind::Stop, FaultKind::Tear, FaultKind::Short];
const ERRORS: [FaultKind; 4] = [
    FaultKind::Fail(EIO),
    FaultKind::Fail(ENOSPC),
    FaultKind::Stick(EIO),
    FaultKind::Stick(ENOSPC),
];

#[test]
fn r1_a_crash_at_any_step_leaves_old_or_new() {
    enumerate(&Scene::of_one_file(), &CRASHES);
    enumerate(&Scene::of_two_files(), &CRASHES);
    enumerate(&Scene::of_twenty_files(), &[FaultKind::Stop]);
}

#[test]
fn r1_a_crash_of_a_batch_that_threads_share_leaves_old_or_new() {
    sample(&Scene::of_many_files(), &CRASHES, 12);
    let scene = Scene::of_many_files();
    sample(&scene.without_exchange(), &[FaultKind::Stop], 8);
    let scene = Scene::of_many_files().verified("false");
    let (old, new, steps) = scene.measure();
    assert_eq!(old, new);
    for at in (1..=steps).step_by(steps / 16) {
        judge(&scene, at, FaultKind::Stop, &old, &old);
    }
}

#[test]
fn r3_an_error_in_a_batch_that_threads_share_leaves_old_or_is_finished_by_the_next_run() {
    sample(&Scene::of_many_files(), &ERRORS, 8);
    sample(
        &Scene::of_many_files().durable(),
        &[FaultKind::Fail(EIO)],
        8,
    );
    let scene = Scene::of_many_files().verified("true");
    sample(&scene, &[FaultKind::Fail(EIO), FaultKind::Stick(EIO)], 8);
}

#[test]
fn r1_a_crash_at_any_step_of_a_change_of_types_leaves_old_or_new() {
    enumerate(&Scene::of_types(), &CRASHES);
    enumerate(&Scene::of_types().durable(), &[FaultKind::Stop]);
    enumerate(&Scene::of_types().without_exchange(), &[FaultKind::Stop]);
    for scene in [
        Scene::of_types().verified("false"),
        Scene::of_types().verified("false").without_exchange(),
    ] {
        let (old, new, steps) = scene.measure();
        assert_eq!(old, new);
        for at in 1..=steps {
            judge(&scene, at, FaultKind::Stop, &old, &old);
        }
    }
}

#[test]
fn r3_an_error_at_any_step_of_a_change_of_types_leaves_old_or_is_finished_by_the_next_run() {
    enumerate(&Scene::of_types(), &ERRORS);
    enumerate(&Scene::of_types().durable(), &[FaultKind::Fail(EIO)]);
}

#[test]
fn r1_a_crash_at_any_step_without_exchange_leaves_old_or_new() {
    enumerate(&Scene::of_two_files().without_exchange(), &CRASHES);
}

#[test]
fn r1_an_unverified_batch_never_stays() {
    let scene = Scene::of_two_files().verified("true");
    enumerate(
        &scene,
        &[FaultKind::Stop, FaultKind::Fail(EIO), FaultKind::Stick(EIO)],
    );
    let scene = Scene::of_two_files().verified("false");
    let (old, new, steps) = scene.measure();
    assert_eq!(old, new);
    for at in 1..=steps {
        for kind in [FaultKind::Stop, FaultKind::Fail(EIO)] {
            judge(&scene, at, kind, &old, &old);
        }
    }
    let scene = scene.without_exchange();
    for at in 1..=scene.measure().2 {
        judge(&scene, at, FaultKind::Stop, &old, &old);
    }
}

#[test]
fn r1_a_crash_of_the_recovery_itself_leaves_old_or_new() {
    for scene in [
        Scene::of_two_files(),
        Scene::of_two_files().without_exchange(),
        Scene::of_two_files().verified("false"),
        Scene::of_types(),
        Scene::of_types().verified("false"),
    ] {
        let (old, new, steps) = scene.measure();
        for at in (1..=steps).step_by(2) {
            for within in 1.. {
                let dir = scene.tree();
                let root = dir.path();
                let stop = |at| Fault {
                    at: Some((at, FaultKind::Stop)),
                    ..scene.fault
                };
                let _ = inject(stop(at), || scene.apply(root));
                let run = inject(stop(within), || Workspace::open(root)?.recover());
                recover(root);
                let now = snapshot(root);
                assert!(now == old || now == new, "stop at {at}, then at {within}");
                assert_eq!(leftovers(root), [""; 0]);
                if run.result.is_ok() {
                    break;
                }
            }
        }
    }
}

#[test]
fn r3_a_recovery_that_fails_calls_the_tree_unfinished_unless_it_is_as_it_was() {
    for scene in [
        Scene::of_two_files(),
        Scene::of_two_files().verified("false"),
    ] {
        let (_, _, steps) = scene.measure();
        let mut failed_half_way = 0;
        for at in (1..=steps).step_by(6) {
            for within in 1.. {
                let dir = scene.tree();
                let root = dir.path();
                let fault = |at, kind| Fault {
                    at: Some((at, kind)),
                    ..scene.fault
                };
                let _ = inject(fault(at, FaultKind::Stop), || scene.apply(root));
                let before = snapshot(root);
                let fault = fault(within, FaultKind::Fail(EIO));
                let run = inject(fault, || Workspace::open(root)?.recover());
                // What fails behind its end leaves a whole tree.
                let status = Workspace::open(root).unwrap().status().unwrap();
                if let Err(error) = run.result
                    && snapshot(root) != before
                    && status.unfinished.is_some()
                {
                    failed_half_way += 1;
                    assert_eq!(error.code(), Code::Unfinished, "{at}, {within}: {error}");
                    let names_a_file = error.to_string().contains("more file");
                    assert!(names_a_file, "{at}, {within}: {error}");
                }
                recover(root);
                if run.steps.len() < within {
                    break;
                }
            }
        }
        assert!(failed_half_way > 5, "{failed_half_way}");
    }
}

/// A power cut may keep the removal of a directory and lose the moves out of it.
#[test]
fn r2_what_leaves_a_directory_is_synced_before_it_goes() {
    let apart = |number: usize| format!("d{number}/file");
    for (directories, expected) in [(1, &["fsync"; 3][..]), (12, &["syncfs"])] {
        let names: Vec<String> = (0..directories).map(apart).collect();
        let files = names
            .iter()
            .map(|name| (&**name, "line\n"))
            .collect::<Vec<_>>();
        let gone = names.iter().map(|name| delete(name, "line\n"));
        let made = names.iter().map(|name| create(name, "line\n"));
        // The directories that a batch empties, and those that taking it back empties.
        for (files, batch, verify) in [
            (&files[..], batch(gone.collect()), None),
            (
                &files[..0],
                batch(made.collect()),
                Some(Verify::new("false")),
            ),
        ] {
            let dir = tree(files);
            let options = ApplyOptions {
                durable: true,
                verify,
                ..ApplyOptions::default()
            };
            let workspace = Workspace::open(dir.path()).unwrap();
            let run = inject(Fault::default(), || workspace.apply(&batch, &options));
            run.result.unwrap();
            let goes = run.steps.iter().position(|step| *step == "rmdir").unwrap();
            let (before, after) = run.steps.split_at(goes);
            let moved = before
                .iter()
                .rposition(|step| *step == "rename-new")
                .unwrap();
            let between = before[moved..].iter().copied();
            let syncs: Vec<_> = between.filter(|step| step.contains("sync")).collect();
            assert_eq!(syncs, expected, "{directories} directories");
            assert!(after.iter().any(|step| step.contains("sync")));
            assert_eq!(snapshot(dir.path()), []);
        }
    }
}

#[test]
fn r3_an_error_at_any_step_leaves_old_or_is_finished_by_the_next_run() {
    enumerate(&Scene::of_two_files(), &ERRORS);
    enumerate(&Scene::of_one_file().durable(), &[FaultKind::Fail(EIO)]);
    enumerate(&Scene::of_two_files().without_exchange(), &ERRORS[1..3]);
    enumerate(&Scene::of_twenty_files(), &[FaultKind::Fail(EIO)]);
}

#[test]
fn r4_a_failed_fsync_is_not_tried_again_and_aborts_before_the_commit_point() {
    let scene = Scene::of_one_file().durable();
    let dir = scene.tree();
    let run = inject(scene.fault, || scene.apply(dir.path()));
    let syncs: Vec<usize> = (1..=run.steps.len())
        .filter(|at| run.steps[at - 1].contains("sync"))
        .collect();
    assert!(syncs.len() >= 5, "{:?}", run.steps);
    let (old, new, _) = scene.measure();
    let mut aborted = 0;
    for at in syncs {
        let dir = scene.tree();
        let fault = Fault {
            at: Some((at, FaultKind::Fail(EIO))),
            ..Fault::default()
        };
        let run = inject(fault, || scene.apply(dir.path()));
        // A file that has grown older than a tick meanwhile is looked at less often.
        if !(run.steps.get(at - 1)).is_some_and(|step| step.contains("sync")) {
            continue;
        }
        match run.result {
            Err(_) => {
                aborted += 1;
                assert_eq!(snapshot(dir.path()), old);
                // What follows is cleaning up, never another sync.
                let later = &run.steps[at..];
                assert!(!later.iter().any(|step| step.contains("sync")), "{later:?}");
            }
            Ok(applied) => {
                assert!(applied.unfinished.is_some(), "sync {at}");
                recover(dir.path());
                assert_eq!(snapshot(dir.path()), new);
            }
        }
    }
    assert!(aborted >= 3);
}

#[test]
fn r5_only_enoent_means_absent() {
    const EACCES: i32 = 13;
    let scene = Scene {
        batch: batch(vec![create("n", "n\n")]),
        ..Scene::of_one_file()
    };
    let dir = scene.tree();
    let run = inject(scene.fault, || scene.apply(dir.path()));
    let is_look = |step: &&str| ["openat2", "openat", "stat", "readlink"].contains(step);
    let looks: Vec<usize> = (1..=run.steps.len())
        .filter(|at| is_look(&run.steps[at - 1]))
        .collect();
    for at in looks {
        let dir = scene.tree();
        let fault = Fault {
            at: Some((at, FaultKind::Fail(EACCES))),
            ..Fault::default()
        };
        let run = inject(fault, || scene.apply(dir.path()));
        // A file that has grown older than a tick meanwhile is looked at less often.
        if !run.steps.get(at - 1).is_some_and(is_look) {
            continue;
        }
        let error = match run.result {
            Err(error) => error,
            Ok(applied) => applied.unfinished.expect("an error that nobody noticed"),
        };
        assert_eq!(error.code(), Code::Io);
    }
}

#[test]
fn r17_the_walk_by_components_does_what_openat2_does() {
    let scene = Scene::of_two_files();
    let (_, new, _) = scene.measure();
    let dir = scene.tree();
    let fault = Fault {
        missing: &[Call::Openat2],
        ..Fault::default()
    };
    let run = inject(fault, || scene.apply(dir.path()));
    assert!(!run.steps.contains(&"openat2"));
    assert_eq!(run.result.unwrap().report.status, Status::Applied);
    assert_eq!(snapshot(dir.path()), new);
}

/// A call that is not made through the seam would be one that no test above can fail.
#[test]
fn every_file_system_call_of_the_transaction_is_made_through_the_seam() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/workspace");
    let mut seen = 0;
    for entry in walkdir::WalkDir::new(&sources) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(&sources).unwrap();
        // The seam; walking and comparing trees, which only read; finding the root before there
        // is one; looking at processes.
        let exempt = [
            "disk.rs",
            "read/walk.rs",
            "read/compare.rs",
            "read/large.rs",
            "mod.rs",
            "commit/verify/stray.rs",
        ];
        let is_seam = name.starts_with("disk") || name.starts_with("fault");
        if !entry.file_type().is_file()
            || is_seam
            || exempt.iter().any(|file| name == Path::new(file))
        {
            continue;
        }
        let source = std::fs::read_to_string(entry.path()).unwrap();
        // A file's own tests stand at its end.
        let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let source: String = source.lines().filter(is_code).collect();
        for call in ["rustix::fs", "std::fs", "fs::", "File::open", "OpenOptions"] {
            assert!(!source.contains(call), "{} calls {call}", name.display());
        }
        seen += 1;
    }
    assert!(seen > 15);
}
