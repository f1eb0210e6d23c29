//! Nothing is written where it does not belong, and what a file is beside its bytes survives.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use patchcore::operation::Operation;
use patchcore::plan::Review;
use patchcore::plan::{Lowered, Plan};
use patchcore::report::Status;
use patchcore::workspace::fault::{Call, Fault, FaultKind, inject};
use patchcore::workspace::{ApplyOptions, Verify, Workspace};
use patchcore::{Code, Policy, Refusal, Tree};

use crate::workspace::{append, apply_new, batch, create, delete, path, rename, snapshot, tree};

fn options() -> ApplyOptions<'static> {
    ApplyOptions::default()
}

/// The code that refuses a batch of these operations, which leaves the tree as it was.
fn refused(root: &Path, operations: Vec<Operation>, options: &ApplyOptions<'_>) -> Code {
    let before = snapshot(root);
    let batch = batch(operations);
    let applied = Workspace::open(root)
        .unwrap()
        .apply(&batch, options)
        .unwrap();
    assert_eq!(
        applied.report.status,
        Status::Refused,
        "{:?}",
        applied.report
    );
    assert_eq!(snapshot(root), before);
    applied.report.code().unwrap()
}

#[test]
fn r10_mode_owner_and_attributes_survive_and_setuid_is_never_added() {
    let dir = tree(&[("a", "a\n"), ("s", "s\n"), ("r", "r\n")]);
    let root = dir.path();
    let mode = |name: &str| root.join(name).metadata().unwrap().mode() & 0o7777;
    let chmod = |name: &str, mode| {
        fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("a", 0o754);
    chmod("s", 0o4711);
    chmod("r", 0o602);
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(root.join("a"), Some(1234), Some(4321)).unwrap();
    }
    let flags = rustix::fs::XattrFlags::empty();
    let has_attributes = rustix::fs::setxattr(root.join("a"), "user.note", b"kept", flags).is_ok();
    let applied = apply_new(
        root,
        batch(vec![
            append("a", "x"),
            append("s", "x"),
            rename("r", "d/r2"),
        ]),
    );
    assert_eq!(
        applied.report.status,
        Status::Applied,
        "{:?}",
        applied.report
    );
    assert_eq!((mode("a"), mode("s"), mode("d/r2")), (0o754, 0o4711, 0o602));
    if is_root {
        let meta = root.join("a").metadata().unwrap();
        assert_eq!((meta.uid(), meta.gid()), (1234, 4321));
    }
    if has_attributes {
        let mut value = [0; 16];
        let len = rustix::fs::getxattr(root.join("a"), "user.note", &mut value).unwrap();
        assert_eq!(&value[..len], b"kept");
    }
}

#[test]
fn r11_a_hard_linked_file_is_refused_and_never_written_through() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    fs::hard_link(root.join("a"), root.join("b")).unwrap();
    let code = refused(root, vec![append("a", "x")], &options());
    assert_eq!(code, Code::HardLinked);
    let options = ApplyOptions {
        break_hard_links: true,
        ..options()
    };
    let work = batch(vec![append("a", "x")]);
    let applied = Workspace::open(root)
        .unwrap()
        .apply(&work, &options)
        .unwrap();
    assert_eq!(
        applied.report.status,
        Status::Applied,
        "{:?}",
        applied.report
    );
    assert_eq!(fs::read(root.join("a")).unwrap(), b"a\nx\n");
    assert_eq!(fs::read(root.join("b")).unwrap(), b"a\n");
}

#[test]
fn r12_a_read_only_file_is_refused_unless_forced() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o444)).unwrap();
    assert_eq!(
        refused(root, vec![append("a", "x")], &options()),
        Code::ReadOnly
    );
    let options = ApplyOptions {
        force_read_only: true,
        ..options()
    };
    let work = batch(vec![append("a", "x")]);
    let applied = Workspace::open(root)
        .unwrap()
        .apply(&work, &options)
        .unwrap();
    assert_eq!(applied.report.status, Status::Applied);
    assert_eq!(root.join("a").metadata().unwrap().mode() & 0o777, 0o444);
}

#[test]
fn r15_r16_r18_r19_r20_paths_that_lead_elsewhere_are_refused() {
    let outside = tree(&[("secret", "s\n")]);
    let dir = tree(&[
        ("a", "a\n"),
        ("d/f", "f\n"),
        ("free", "f\n"),
        (".git/config", "g\n"),
    ]);
    let root = dir.path();
    symlink(outside.path().join("secret"), root.join("link")).unwrap();
    symlink(outside.path(), root.join("linked")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("d", root.join("inner")).unwrap();
    symlink("/proc/self/fd", root.join("fds")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let cases = [
        ("link", Code::Symlink),
        ("linked/secret", Code::Symlink),
        ("linked/new", Code::Symlink),
        ("dangling", Code::Symlink),
        ("dangling/x", Code::Symlink),
        ("loop", Code::Symlink),
        ("loop/x", Code::Symlink),
        ("inner/f", Code::Symlink),
        ("fds/0", Code::Symlink),
        ("fifo", Code::NotAFile),
        ("socket", Code::NotAFile),
        ("d", Code::NotAFile),
        ("a/below", Code::NotAFile),
        (".git/config", Code::PathProtected),
        (".GIT/config", Code::PathProtected),
        ("sub/.mission_control/x", Code::PathProtected),
        (".husky/pre-commit", Code::PathProtected),
    ];
    for (file, code) in cases {
        for missing in [&[][..], &[Call::Openat2]] {
            let fault = Fault {
                missing,
                ..Fault::default()
            };
            let run = |operations| inject(fault, || refused(root, operations, &options())).result;
            assert_eq!(run(vec![create(file, "x\n")]), code, "create {file}");
            assert_eq!(run(vec![append(file, "x")]), code, "append {file}");
            assert_eq!(run(vec![rename("free", file)]), code, "rename to {file}");
            if code != Code::NotAFile || file == "d" {
                assert_eq!(run(vec![delete(file, "x\n")]), code, "delete {file}");
            }
        }
    }
    let both = vec![create("N", "n\n"), create("n", "n\n")];
    assert_eq!(refused(root, both, &options()), Code::PathCollision);
    assert_eq!(snapshot(outside.path()).len(), 1);
}

#[test]
fn r19_the_operator_can_open_a_protected_path() {
    let dir = tree(&[]);
    let mut policy = Policy::default();
    policy.allow_paths = vec![path(".vscode")];
    let options = ApplyOptions {
        policy,
        ..options()
    };
    let work = batch(vec![create(".vscode/settings.json", "{}\n")]);
    let workspace = Workspace::open(dir.path()).unwrap();
    assert_eq!(
        workspace.apply(&work, &options).unwrap().report.status,
        Status::Applied
    );
    // What the record was allowed then says nothing of today.
    let before = snapshot(dir.path());
    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.code(), Some(Code::PathProtected));
    assert_eq!(snapshot(dir.path()), before);
    let undone = workspace.undo(None, &options).unwrap();
    assert_eq!(undone.report.status, Status::Applied, "{:?}", undone.report);
    assert_eq!(snapshot(dir.path()), []);
}

#[test]
fn r17_a_racer_that_swaps_a_directory_for_a_link_gets_nothing_outside() {
    const ROUNDS: usize = 300;
    for missing in [&[][..], &[Call::Openat2]] {
        let outside = tree(&[]);
        let dir = tree(&[("d/f", "f\n"), ("spare/x", "x\n")]);
        let root = dir.path();
        symlink(outside.path(), root.join("trap")).unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let flags = rustix::fs::RenameFlags::EXCHANGE;
                    let cwd = rustix::fs::CWD;
                    let (d, trap) = (root.join("d"), root.join("trap"));
                    rustix::fs::renameat_with(cwd, &d, cwd, &trap, flags).unwrap();
                }
            });
            let workspace = Workspace::open(root).unwrap();
            let fault = Fault {
                missing,
                ..Fault::default()
            };
            for round in 0..ROUNDS {
                let name = format!("d/new{round}");
                let work = batch(vec![append("d/f", "x"), create(&name, "n\n")]);
                // Whatever becomes of it, and of the recovery of what it left.
                let _ = inject(fault, || workspace.apply(&work, &options()));
            }
            over.store(true, Ordering::Relaxed);
        });
        assert_eq!(snapshot(outside.path()), []);
    }
}

#[test]
fn r31_the_state_is_private_and_a_verification_sees_no_secret() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    let options = ApplyOptions {
        verify: Some(Verify::new("! env | grep -q ^ORCHESTRATOR_")),
        ..options()
    };
    let mut work = batch(vec![append("a", "x")]);
    work.id = Some("b".into());
    let applied = Workspace::open(root)
        .unwrap()
        .apply(&work, &options)
        .unwrap();
    assert_eq!(
        applied.report.status,
        Status::Applied,
        "{:?}",
        applied.report
    );
    let state = root.join(".mission_control");
    for part in ["txn", "log", "ledger"] {
        let mode = state.join(part).metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o700, "{part}");
    }
    let ignored = fs::read_to_string(state.join(".gitignore")).unwrap();
    assert_eq!(ignored, "*\n!tasks.json\n");
}

#[test]
fn r16_the_state_is_not_kept_behind_a_link() {
    let outside = tree(&[]);
    for part in [
        ".mission_control",
        ".mission_control/txn",
        ".mission_control/log",
    ] {
        let dir = tree(&[("a", "a\n")]);
        let root = dir.path();
        if part != ".mission_control" {
            fs::create_dir(root.join(".mission_control")).unwrap();
        }
        symlink(outside.path(), root.join(part)).unwrap();
        let work = batch(vec![append("a", "x")]);
        let applied = Workspace::open(root).unwrap().apply(&work, &options());
        if part == ".mission_control" {
            assert_eq!(applied.unwrap_err().code(), Code::Symlink);
        } else {
            // It was not made here: it is set aside, with a note, and the edit goes on.
            let report = applied.unwrap().report;
            assert_eq!(report.status, Status::Applied, "{part}");
            assert!(report.warnings[0].contains("not written here"), "{part}");
            assert!(!root.join(part).is_symlink(), "{part}");
        }
        assert_eq!(snapshot(outside.path()), []);
    }
}

#[test]
fn r14_the_task_manifest_changes_with_the_batch_or_not_at_all() {
    struct Tasks;
    impl Review for Tasks {
        fn review(
            &self,
            _: &Lowered<'_>,
            _: &Tree,
            _: &mut Plan,
            tasks: Option<&[u8]>,
        ) -> Result<Option<Vec<u8>>, Refusal> {
            assert_eq!(tasks, Some(&b"old"[..]));
            Ok(Some(b"new".to_vec()))
        }
    }
    let files = [("a", "a\n"), (".mission_control/tasks.json", "old")];
    let work = batch(vec![append("a", "x")]);
    let options = ApplyOptions {
        review: Some(&Tasks),
        ..options()
    };
    let state = |root: &Path| {
        let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
        (read("a"), read(".mission_control/tasks.json"))
    };
    let old = ("a\n".to_owned(), "old".to_owned());
    let new = ("a\nx\n".to_owned(), "new".to_owned());
    let count = {
        let dir = tree(&files);
        let workspace = Workspace::open(dir.path()).unwrap();
        let run = inject(Fault::default(), || {
            workspace.apply(&work, &options).map(|_| ())
        });
        run.result.unwrap();
        assert_eq!(state(dir.path()), new);
        run.steps.len()
    };
    for at in 1..=count {
        let dir = tree(&files);
        let workspace = Workspace::open(dir.path()).unwrap();
        let stop = Fault {
            at: Some((at, FaultKind::Stop)),
            ..Fault::default()
        };
        let _ = inject(stop, || workspace.apply(&work, &options));
        workspace.recover().unwrap();
        let now = state(dir.path());
        assert!(now == old || now == new, "stop at {at}: {now:?}");
    }
}
