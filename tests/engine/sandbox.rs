//! Nothing is written where it does not belong, and nothing is lost that somebody else wrote.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use patchcore::operation::{Batch, Operation};
use patchcore::plan::{ChangeKind, FileState, Plan};
use patchcore::report::Status;
use patchcore::workspace::fault::{Fault, Kind, inject, observe};
use patchcore::workspace::record::{ChangeRecord, Identity, Journal, Record, State, Step};
use patchcore::workspace::{
    ApplyOptions, Recovered, Review, Reviewed, TransactionId, Verify, Workspace,
};
use patchcore::{Code, Digest, Policy, Refusal, Tree};

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

/// A stranger who writes between plan and commit.
pub(crate) struct Meddler<F>(pub(crate) F);

impl<F: Fn()> Review for Meddler<F> {
    fn review(
        &self,
        _: &Batch,
        _: &Tree,
        plan: Plan,
        _: Option<&[u8]>,
    ) -> Result<Reviewed, Refusal> {
        (self.0)();
        Ok(Reviewed { plan, tasks: None })
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
            no_exchange: true,
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
                    at: Some((at, Kind::Stop)),
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
    let has_come = AtomicBool::new(false);
    let stranger = move |_: usize, step: &str| {
        if step == "exchange" && !has_come.swap(true, Ordering::SeqCst) {
            // One of each run that a thread may be at: its own waits for us.
            for number in [10, 74] {
                fs::write(root.join(format!("a/f{number:03}")), "a stranger's\n").unwrap();
            }
            fs::rename(root.join("z"), root.join("elsewhere")).unwrap();
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
        for no_openat2 in [false, true] {
            let fault = Fault {
                no_openat2,
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
    // The undo needs no new permission.
    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.status, Status::Applied, "{:?}", undone.report);
    assert_eq!(snapshot(dir.path()), []);
}

#[test]
fn r17_a_racer_that_swaps_a_directory_for_a_link_gets_nothing_outside() {
    const ROUNDS: usize = 300;
    for no_openat2 in [false, true] {
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
                no_openat2,
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

/// A journal at its commit point, as a forger would leave it.
fn forge(root: &Path, file: &str, slot: &[u8], journal: impl FnOnce(&mut Journal)) -> Record {
    apply_new(root, batch(vec![append("a", "x")]));
    let digest = Digest::of(b"evil\n");
    let transaction = TransactionId::now();
    let state = FileState {
        digest,
        executable: false,
        link: false,
    };
    let mut record = Workspace::open(root)
        .unwrap()
        .log()
        .map(|log| log.read(&log.transactions().unwrap()[0]).unwrap().unwrap())
        .unwrap();
    record.transaction = transaction;
    record.batch_id = transaction.to_string();
    record.state = State::Committed;
    record.changes = vec![ChangeRecord {
        path: path(file),
        from: None,
        kind: ChangeKind::Created,
        before: None,
        after: Some(state),
        slot: None,
        edits: Vec::new(),
        touches: Vec::new(),
        lines_added: 1,
        lines_removed: 0,
    }];
    record.journal = Journal {
        steps: vec![Step {
            path: path(file),
            slot: 0,
            beside: false,
            old: None,
            new: Some(Identity {
                ino: 1,
                size: slot.len() as u64,
                mtime: [0, 0],
                mode: 0o644,
                digest,
                link: false,
            }),
        }],
        ..Journal::default()
    };
    journal(&mut record.journal);
    let current = root.join(".mission_control/txn/current");
    fs::create_dir(&current).unwrap();
    fs::write(current.join("0"), slot).unwrap();
    fs::set_permissions(current.join("0"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(current.join("manifest"), record.to_bytes()).unwrap();
    record
}

#[test]
fn r13_a_forged_journal_writes_nothing_where_a_batch_could_not() {
    let outside = tree(&[]);
    for file in [".git/hooks/pre-commit", ".mission_control/lock", "link/x"] {
        let dir = tree(&[("a", "a\n"), (".git/hooks/x", "x\n")]);
        let root = dir.path();
        symlink(outside.path(), root.join("link")).unwrap();
        forge(root, file, b"evil\n", |_| {});
        let before = snapshot(root);
        let workspace = Workspace::open(root).unwrap();
        assert!(workspace.recover().is_err(), "{file}");
        assert_eq!(snapshot(root), before);
        assert_eq!(snapshot(outside.path()), []);
        assert!(!root.join(file).try_exists().unwrap() || file.ends_with("lock"));
        let Recovered::Abandoned { kept } = workspace.abandon().unwrap() else {
            panic!("not set aside");
        };
        assert!(root.join(kept).join("manifest").try_exists().unwrap());
        assert_eq!(workspace.recover().unwrap(), Recovered::Nothing);
    }
}

/// Every value of a JSON document that is no object or array, by its pointer.
fn leaves(value: &serde_json::Value, pointer: String, found: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| leaves(value, format!("{pointer}/{name}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, value)| leaves(value, format!("{pointer}/{index}"), found)),
        _ => found.push(pointer),
    }
}

#[test]
fn r13_r28_a_journal_with_any_value_replaced_stays_within_the_root() {
    use serde_json::{Value, json};
    let outside = tree(&[("secret", "s\n")]);
    let hostile = [
        json!("../secret"),
        json!("/etc/passwd"),
        json!(".git/hooks/x"),
        json!("link/secret"),
        json!("a"),
        json!(-1),
        json!(u64::MAX),
        json!(null),
        json!({"base64": "Li4vc2VjcmV0"}),
    ];
    let template = {
        let dir = tree(&[("a", "a\n")]);
        let record = forge(dir.path(), "new", b"evil\n", |_| {});
        let bytes = record.to_bytes();
        let body = &bytes[..bytes.iter().position(|&byte| byte == b'\n').unwrap()];
        serde_json::from_slice::<Value>(body).unwrap()
    };
    let mut pointers = Vec::new();
    leaves(&template, String::new(), &mut pointers);
    assert!(pointers.len() > 20);
    let mut followed = 0;
    for pointer in pointers {
        for value in &hostile {
            let dir = tree(&[("a", "a\n"), (".git/config", "c\n")]);
            let root = dir.path();
            symlink(outside.path(), root.join("link")).unwrap();
            forge(root, "new", b"evil\n", |_| {});
            let mut forged = template.clone();
            *forged.pointer_mut(&pointer).unwrap() = value.clone();
            let mut bytes = forged.to_string().into_bytes();
            bytes.push(b'\n');
            let checksum = Digest::of(&bytes);
            bytes.extend_from_slice(format!("{checksum}\n").as_bytes());
            fs::write(root.join(".mission_control/txn/current/manifest"), bytes).unwrap();
            let recovered = Workspace::open(root).unwrap().recover();
            followed += usize::from(recovered.is_ok());
            let what = format!("{pointer} = {value}: {recovered:?}");
            assert_eq!(snapshot(&root.join(".git")).len(), 1, "{what}");
            assert_eq!(
                fs::read(outside.path().join("secret")).unwrap(),
                b"s\n",
                "{what}"
            );
            assert_eq!(snapshot(outside.path()).len(), 1, "{what}");
        }
    }
    assert!(followed > 0);
}

#[test]
fn r13_a_slot_that_is_not_what_the_journal_says_is_not_installed() {
    let dir = tree(&[("a", "a\n")]);
    forge(dir.path(), "new", b"EVIL\n", |_| {});
    let workspace = Workspace::open(dir.path()).unwrap();
    let recovered = workspace.recover().unwrap();
    assert!(
        matches!(recovered, Recovered::Finished { .. }),
        "{recovered:?}"
    );
    assert!(!dir.path().join("new").try_exists().unwrap());
}

#[test]
fn r13_a_journal_that_was_damaged_is_not_thrown_away() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    forge(root, "new", b"evil\n", |_| {});
    let manifest = root.join(".mission_control/txn/current/manifest");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replacen("append", "prepend", 1)).unwrap();
    let workspace = Workspace::open(root).unwrap();
    let error = workspace.recover().unwrap_err();
    assert_eq!(error.code(), Code::Unfinished);
    assert!(error.to_string().contains("recover --abandon"), "{error}");
    // Readers say so, too.
    let work = batch(vec![append("a", "y")]);
    let options = ApplyOptions {
        lock_wait: std::time::Duration::from_millis(100),
        ..options()
    };
    assert_eq!(
        workspace.check(&work, &options).unwrap_err().code(),
        Code::Unfinished
    );
    // One that was cut short never came to its commit point.
    fs::write(&manifest, &text[..text.len() - 10]).unwrap();
    assert_eq!(workspace.recover().unwrap(), Recovered::Discarded);
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
        let error = Workspace::open(root)
            .unwrap()
            .apply(&work, &options())
            .unwrap_err();
        assert_eq!(error.code(), Code::Symlink, "{part}");
        assert_eq!(snapshot(outside.path()), []);
    }
}

#[test]
fn r14_the_task_manifest_changes_with_the_batch_or_not_at_all() {
    struct Tasks;
    impl Review for Tasks {
        fn review(
            &self,
            _: &Batch,
            _: &Tree,
            plan: Plan,
            tasks: Option<&[u8]>,
        ) -> Result<Reviewed, Refusal> {
            assert_eq!(tasks, Some(&b"old"[..]));
            let tasks = Some(b"new".to_vec());
            Ok(Reviewed { plan, tasks })
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
            at: Some((at, Kind::Stop)),
            ..Fault::default()
        };
        let _ = inject(stop, || workspace.apply(&work, &options));
        workspace.recover().unwrap();
        let now = state(dir.path());
        assert!(now == old || now == new, "stop at {at}: {now:?}");
    }
}
