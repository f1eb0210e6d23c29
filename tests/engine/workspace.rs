//! Batches on disk: what lands, what is refused, what the log says, and the way back.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use patchcore::operation::{Action, Batch, Lines, Operation};
use patchcore::plan::Outcome;
use patchcore::report::Status;
use patchcore::workspace::fault::{Fault, FaultKind, inject};
use patchcore::workspace::{Applied, ApplyOptions, Recovered, Retention, Verify, Workspace};
use patchcore::{Code, Digest, RelPath};
use tempfile::TempDir;

#[test]
fn an_id_that_is_empty_is_refused_and_no_two_batches_are_taken_for_one() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("a.txt"), "one\n").unwrap();
    let workspace = Workspace::open(root.path()).unwrap();
    for line in ["two", "three"] {
        let mut batch = batch(vec![append("a.txt", line)]);
        batch.id = Some(String::new());
        let options = ApplyOptions::default();
        let checked = workspace.check(&batch, &options).unwrap();
        let applied = workspace.apply(&batch, &options).unwrap();
        for report in [checked.report, applied.report] {
            assert_eq!(report.status, Status::Refused);
            assert_eq!(report.refusal.unwrap().code, Code::InvalidBatch);
        }
    }
    assert_eq!(fs::read(root.path().join("a.txt")).unwrap(), b"one\n");
}

pub(crate) fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

pub(crate) fn create(file: &str, content: &str) -> Operation {
    let action = Action::CreateFile {
        content: content.as_bytes().to_vec(),
        executable: false,
    };
    Operation::new(path(file), action)
}

pub(crate) fn append(file: &str, line: &str) -> Operation {
    Operation::new(path(file), Action::Append(Lines::new(line)))
}

pub(crate) fn delete(file: &str, expect: &str) -> Operation {
    let expect = Some(Lines::new(expect));
    Operation::new(path(file), Action::DeleteFile { expect })
}

pub(crate) fn rename(file: &str, to: &str) -> Operation {
    Operation::new(path(file), Action::RenameFile { to: path(to) })
}

pub(crate) fn batch(operations: Vec<Operation>) -> Batch {
    let content = Digest::of(format!("{operations:?}").as_bytes());
    Batch::new(operations, content)
}

/// A tree with files, and nothing else.
pub(crate) fn tree(files: &[(&str, &str)]) -> TempDir {
    // Memory where there is some to be had: thousands of small trees are made and thrown away.
    let dir = TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

/// Everything below a directory but the state: path, kind, mode, bytes.
pub(crate) fn snapshot(root: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let entries = walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.file_name() != ".mission_control");
    entries
        .skip(1)
        .map(|entry| {
            let entry = entry.unwrap();
            let meta = entry.path().symlink_metadata().unwrap();
            let bytes = if meta.is_file() {
                fs::read(entry.path()).unwrap()
            } else if meta.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap();
                target.into_os_string().into_encoded_bytes()
            } else {
                Vec::new()
            };
            let name = entry.path().strip_prefix(root).unwrap();
            (name.display().to_string(), meta.mode(), bytes)
        })
        .collect()
}

pub(crate) fn apply<'a>(root: &Path, batch: &'a Batch) -> Applied<'a> {
    let workspace = Workspace::open(root).unwrap();
    workspace.apply(batch, &ApplyOptions::default()).unwrap()
}

/// Applies a batch that nobody needs afterwards.
pub(crate) fn apply_new(root: &Path, batch: Batch) -> Applied<'static> {
    apply(root, Box::leak(Box::new(batch)))
}

fn names(root: &Path) -> Vec<String> {
    snapshot(root).into_iter().map(|(name, ..)| name).collect()
}

#[test]
fn creates_edits_renames_and_deletes_land_together_and_undo_takes_them_back() {
    let dir = tree(&[
        ("a.txt", "one\n"),
        ("sub/deep/b.txt", "b\n"),
        ("old.txt", "x\n"),
        ("alone/gone.txt", "gone\n"),
    ]);
    let root = dir.path();
    fs::set_permissions(root.join("a.txt"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(root.join("alone"), fs::Permissions::from_mode(0o750)).unwrap();
    let before = snapshot(root);
    let applied = apply_new(
        root,
        batch(vec![
            append("a.txt", "two"),
            create("new/dir/c.txt", "c\n"),
            rename("old.txt", "sub/renamed.txt"),
            append("old.txt", "y"),
            delete("alone/gone.txt", "gone\n"),
        ]),
    );
    assert_eq!(
        applied.report.status,
        Status::Applied,
        "{:?}",
        applied.report
    );
    assert!(applied.unfinished.is_none());
    assert_eq!(
        names(root),
        [
            "a.txt",
            "new",
            "new/dir",
            "new/dir/c.txt",
            "sub",
            "sub/deep",
            "sub/deep/b.txt",
            "sub/renamed.txt"
        ]
    );
    assert_eq!(fs::read(root.join("a.txt")).unwrap(), b"one\ntwo\n");
    assert_eq!(fs::read(root.join("sub/renamed.txt")).unwrap(), b"x\ny\n");
    assert_eq!(root.join("a.txt").metadata().unwrap().mode() & 0o777, 0o640);

    let workspace = Workspace::open(root).unwrap();
    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.status, Status::Applied, "{:?}", undone.report);
    assert!(
        undone
            .report
            .operations
            .iter()
            .all(|o| o.outcome == Outcome::Undone)
    );
    assert_eq!(snapshot(root), before);

    let again = workspace
        .undo(
            applied.report.transaction.as_deref(),
            &ApplyOptions::default(),
        )
        .unwrap();
    assert_eq!(again.report.status, Status::Unchanged);
    let redone = workspace
        .undo(
            undone.report.transaction.as_deref(),
            &ApplyOptions::default(),
        )
        .unwrap();
    assert_eq!(redone.report.status, Status::Applied, "{:?}", redone.report);
    assert_eq!(fs::read(root.join("sub/renamed.txt")).unwrap(), b"x\ny\n");
    assert!(!root.join("alone").try_exists().unwrap());
}

#[test]
fn a_swap_of_two_names_works_and_comes_back() {
    let dir = tree(&[("a", "A\n"), ("b", "B\n")]);
    let applied = apply_new(dir.path(), batch(vec![rename("a", "b"), rename("b", "a")]));
    assert_eq!(
        applied.report.status,
        Status::Applied,
        "{:?}",
        applied.report
    );
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"B\n");
    assert_eq!(fs::read(dir.path().join("b")).unwrap(), b"A\n");
    let workspace = Workspace::open(dir.path()).unwrap();
    workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"A\n");
}

#[test]
fn a_refused_batch_leaves_the_tree_as_it_was_and_one_record() {
    let dir = tree(&[("agent.ts", "a\n")]);
    let before = snapshot(dir.path());
    let refused = apply_new(
        dir.path(),
        batch(vec![append("agent.ts", "x"), append("agnet.ts", "y")]),
    );
    assert_eq!(refused.report.status, Status::Refused);
    let refusal = refused.report.operations[1].refusal.as_ref().unwrap();
    assert_eq!(refusal.code, Code::FileNotFound);
    assert_eq!(refusal.candidates[0].text, "agent.ts");
    assert_eq!(snapshot(dir.path()), before);
    let log = Workspace::open(dir.path()).unwrap().log().unwrap();
    let transactions = log.transactions().unwrap();
    assert_eq!(transactions.len(), 1);
    let record = log.read(&transactions[0]).unwrap().unwrap();
    assert_eq!(record, refused.record);
}

#[test]
fn an_id_counts_once_until_it_is_undone() {
    let dir = tree(&[("a", "a\n")]);
    let root = dir.path();
    let mut first = batch(vec![append("a", "x")]);
    first.id = Some("b-1".into());
    assert_eq!(apply(root, &first).report.status, Status::Applied);
    let modified = root.join("a").metadata().unwrap().modified().unwrap();
    let again = apply(root, &first);
    assert_eq!(again.report.status, Status::Unchanged);
    assert_eq!(again.report.operations[0].outcome, Outcome::AlreadyApplied);
    assert_eq!(
        root.join("a").metadata().unwrap().modified().unwrap(),
        modified
    );

    let mut other = batch(vec![append("a", "y")]);
    other.id = Some("b-1".into());
    let reused = apply(root, &other);
    assert_eq!(reused.report.code(), Some(Code::BatchIdReused));
    assert_eq!(fs::read(root.join("a")).unwrap(), b"a\nx\n");

    let workspace = Workspace::open(root).unwrap();
    let checked = workspace.check(&other, &ApplyOptions::default()).unwrap();
    assert_eq!(checked.report.code(), Some(Code::BatchIdReused));
    workspace
        .undo(Some("b-1"), &ApplyOptions::default())
        .unwrap();
    assert_eq!(apply(root, &other).report.status, Status::Applied);
    assert_eq!(fs::read(root.join("a")).unwrap(), b"a\ny\n");
}

#[test]
fn a_replay_is_answered_from_the_record_of_the_first_run() {
    let dir = tree(&[("a", "a\n"), ("b", "b\n")]);
    let root = dir.path();
    let mut work = batch(vec![append("a", "x"), append("missing", "y")]);
    work.id = Some("b-1".into());
    let mut options = ApplyOptions::default();
    options.policy.partial = true;
    let workspace = Workspace::open(root).unwrap();
    let first = workspace.apply(&work, &options).unwrap();
    assert_eq!(first.report.status, Status::Partial);
    let outcomes = |applied: &Applied<'_>| -> Vec<_> {
        let operations = applied.report.operations.iter();
        operations
            .map(|o| (o.outcome, o.refusal.as_ref().map(|r| r.code)))
            .collect()
    };
    // What did not land the first time is not said to have landed.
    let expected = [
        (Outcome::AlreadyApplied, None),
        (Outcome::Refused, Some(Code::FileNotFound)),
    ];
    let again = workspace.apply(&work, &options).unwrap();
    assert_eq!(outcomes(&again), expected);
    let checked = workspace.check(&work, &options).unwrap();
    assert_eq!(
        checked.report.operations[1].refusal,
        again.report.operations[1].refusal
    );
    assert_eq!(fs::read(root.join("a")).unwrap(), b"a\nx\n");

    // Without the record the ledger still knows that the batch was committed.
    let transaction = first.record.transaction;
    let entry = root
        .join(".mission_control/log")
        .join(transaction.to_string());
    fs::remove_dir_all(&entry).unwrap();
    let known = workspace.apply(&work, &options).unwrap();
    assert_eq!(known.report.status, Status::Unchanged);
    assert_eq!(outcomes(&known), [(Outcome::AlreadyApplied, None); 2]);
    assert_eq!(fs::read(root.join("a")).unwrap(), b"a\nx\n");
}

#[test]
fn an_id_counts_whichever_entry_read_the_batch() {
    let dir = tree(&[("a", "a\n")]);
    let json =
        br#"{"batch_id": "b-1", "operations": [{"op": "append", "file": "a", "content": "x"}]}"#;
    let options = patchcore::dialect::Options::default();
    for status in [Status::Applied, Status::Unchanged] {
        let patch = patchcore::dialect::parse(json, &options).unwrap();
        let workspace = Workspace::open(dir.path()).unwrap();
        let applied = workspace.apply(&patch, &ApplyOptions::default()).unwrap();
        assert_eq!(applied.report.status, status);
    }
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"a\nx\n");
}

#[test]
fn a_check_says_what_apply_would_do_and_writes_nothing() {
    let dir = tree(&[("a", "a\n")]);
    let work = batch(vec![append("a", "x")]);
    let workspace = Workspace::open(dir.path()).unwrap();
    let checked = workspace.check(&work, &ApplyOptions::default()).unwrap();
    assert_eq!(checked.report.status, Status::Previewed);
    assert_eq!(checked.report.operations[0].would, Some(Outcome::Applied));
    assert!(!dir.path().join(".mission_control").try_exists().unwrap());
    let options = ApplyOptions {
        expected_plan: Some(checked.report.plan),
        ..ApplyOptions::default()
    };
    fs::write(dir.path().join("a"), "b\n").unwrap();
    let refused = workspace.apply(&work, &options).unwrap();
    assert_eq!(refused.report.code(), Some(Code::PlanMismatch));
    fs::write(dir.path().join("a"), "a\n").unwrap();
    let applied = workspace.apply(&work, &options).unwrap();
    assert_eq!(applied.report.status, Status::Applied);
}

#[test]
fn a_failed_verification_takes_the_batch_back() {
    let dir = tree(&[("a", "a\n")]);
    let before = snapshot(dir.path());
    let workspace = Workspace::open(dir.path()).unwrap();
    let work = batch(vec![append("a", "x"), create("d/new", "n\n")]);
    let mut options = ApplyOptions {
        verify: Some(Verify::new(
            "grep -q x a && test -f d/new && echo no good >&2; exit 3",
        )),
        ..ApplyOptions::default()
    };
    let failed = workspace.apply(&work, &options).unwrap();
    assert_eq!(failed.report.status, Status::RolledBack);
    assert_eq!(failed.report.code(), Some(Code::VerifyFailed));
    let refusal = failed.report.refusal.as_ref().unwrap();
    assert_eq!(refusal.found.as_deref(), Some("no good\n"));
    assert!(
        refusal.message.contains("exit status 3"),
        "{}",
        refusal.message
    );
    assert_eq!(failed.report.operations[0].outcome, Outcome::RolledBack);
    assert_eq!(snapshot(dir.path()), before);
    assert_eq!(workspace.recover().unwrap(), Recovered::Nothing);

    options.verify = Some(Verify::new("test -f d/new"));
    let passed = workspace.apply(&work, &options).unwrap();
    assert_eq!(passed.report.status, Status::Applied);
}

#[test]
fn undo_tells_nothing_of_the_way_there() {
    let dir = tree(&[("a", "one\n")]);
    let mut operation = append("a", "two");
    operation.reading.note = Some("read without its fence".into());
    let applied = apply_new(dir.path(), batch(vec![operation]));
    assert!(applied.report.operations[0].note.is_some());
    let workspace = Workspace::open(dir.path()).unwrap();
    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.operations[0].outcome, Outcome::Undone);
    assert_eq!(undone.report.operations[0].note, None);
    assert_eq!(undone.report.operations[0].rebased, None);
    let redone = workspace.undo(
        undone.report.transaction.as_deref(),
        &ApplyOptions::default(),
    );
    assert_eq!(redone.unwrap().report.operations[0].note, None);
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"one\ntwo\n");
}

#[test]
fn undo_refuses_what_changed_since() {
    let dir = tree(&[("a", "a\n"), ("b", "b\n")]);
    apply_new(dir.path(), batch(vec![append("a", "x"), append("b", "y")]));
    fs::write(dir.path().join("a"), "mine\n").unwrap();
    let before = snapshot(dir.path());
    let workspace = Workspace::open(dir.path()).unwrap();
    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.code(), Some(Code::ChangedSince));
    assert_eq!(snapshot(dir.path()), before);
    let audit = workspace.audit().unwrap();
    assert_eq!(audit.changed.len(), 1);
    assert_eq!(audit.changed[0].path, path("a"));
}

#[test]
fn an_audit_finds_what_was_tampered_with() {
    let dir = tree(&[("a", "a\n")]);
    let applied = apply_new(dir.path(), batch(vec![append("a", "x")]));
    let workspace = Workspace::open(dir.path()).unwrap();
    assert!(workspace.audit().unwrap().is_clean());
    let entry = dir
        .path()
        .join(".mission_control/log")
        .join(applied.report.transaction.unwrap());
    fs::write(entry.join("0"), "b\n").unwrap();
    let audit = workspace.audit().unwrap();
    assert!(audit.damaged[0].why.contains("altered"), "{audit:?}");
    let manifest = fs::read_to_string(entry.join("manifest")).unwrap();
    fs::write(
        entry.join("manifest"),
        manifest.replacen("append", "prepend", 1),
    )
    .unwrap();
    let audit = workspace.audit().unwrap();
    assert!(audit.damaged[0].why.contains("checksum"), "{audit:?}");
}

#[test]
fn gc_keeps_the_log_within_its_bounds_and_the_ledger_in_memory() {
    let dir = tree(&[("a", "a\n")]);
    let mut first = batch(vec![append("a", "x")]);
    first.id = Some("b-1".into());
    apply(dir.path(), &first);
    apply_new(dir.path(), batch(vec![append("a", "y")]));
    let workspace = Workspace::open(dir.path()).unwrap();
    let all = workspace.gc(&Retention::default()).unwrap();
    assert_eq!((all.removed, all.kept), (0, 2));
    let retention = Retention {
        max_bytes: all.bytes - 1,
        ..Retention::default()
    };
    let some = workspace.gc(&retention).unwrap();
    assert_eq!((some.removed, some.kept), (1, 1));
    assert_eq!(apply(dir.path(), &first).report.status, Status::Unchanged);
}

#[test]
fn r1_a_gc_that_dies_or_fails_leaves_nothing_that_looks_like_somebody_elses() {
    let retention = Retention {
        max_bytes: 0,
        ..Retention::default()
    };
    for kind in [FaultKind::Stop, FaultKind::Fail(5), FaultKind::Stick(28)] {
        for at in 1.. {
            let dir = tree(&[("a", "a\n")]);
            for text in ["x", "y", "z"] {
                apply_new(dir.path(), batch(vec![append("a", text)]));
            }
            let workspace = Workspace::open(dir.path()).unwrap();
            let fault = Fault {
                at: Some((at, kind)),
                ..Fault::default()
            };
            let steps = inject(fault, || workspace.gc(&retention).map(|_| ())).steps;
            let what = format!("{kind:?} at {at}");
            assert_eq!(workspace.status().unwrap().foreign, 0, "{what}");
            let audit = workspace.audit().unwrap();
            assert!(audit.is_clean(), "{what}: {audit:?}");
            workspace.gc(&retention).unwrap();
            let log = std::fs::read_dir(dir.path().join(".mission_control/log")).unwrap();
            assert_eq!(log.count(), 0, "{what}");
            assert_eq!(
                std::fs::read(dir.path().join("a")).unwrap(),
                b"a\nx\ny\nz\n"
            );
            if at > steps.len() {
                break;
            }
        }
    }
}
