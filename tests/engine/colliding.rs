//! Batches whose operations meet at one name: what lands can be taken back, taken back again, is
//! known to the audit, and git makes the same of the diff that is shown.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use patchcore::operation::{Action, Batch, Coordinates, Lines, Operation};
use patchcore::plan::Outcome;
use patchcore::report::Status;
use patchcore::workspace::{ApplyOptions, Workspace};
use patchcore::{Digest, Policy, diff};
use tempfile::TempDir;

use crate::random::Random;
use crate::workspace::{append, create, path, rename, snapshot, tree};

const NAMES: [&str; 4] = ["a", "b", "c", "new"];

/// Three files that differ in bytes and mode, and a free name.
fn start() -> TempDir {
    let dir = tree(&[("a", "A1\nA2\n"), ("b", "B1\nB2\nB3\n"), ("c", "C1")]);
    for (name, mode) in [("a", 0o644), ("b", 0o755), ("c", 0o600)] {
        fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    dir
}

/// Every operation on every name.
fn operations() -> Vec<Operation> {
    let mut all = Vec::new();
    for from in NAMES {
        all.push(create(from, "N1\nN2\n"));
        all.push(append(from, "appended"));
        let action = Action::DeleteFile { expect: None };
        all.push(Operation::new(path(from), action));
        let action = Action::SetMode { executable: true };
        all.push(Operation::new(path(from), action));
        for to in NAMES {
            all.push(rename(from, to));
            let action = Action::CopyFile { to: path(to) };
            all.push(Operation::new(path(from), action));
        }
    }
    all.push(Operation::new(
        path("a"),
        Action::Prepend(Lines::new("first")),
    ));
    all
}

fn options() -> ApplyOptions<'static> {
    let mut policy = Policy::default();
    policy.allow_unguarded = true;
    policy.overwrite = true;
    ApplyOptions {
        policy,
        ..ApplyOptions::default()
    }
}

/// What `git apply` makes of a diff in a copy of the starting tree.
fn by_git(patch: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
    let dir = start();
    let mut git = Command::new("git")
        .args(["apply", "--unidiff-zero", "-"])
        .current_dir(dir.path())
        .env("GIT_CEILING_DIRECTORIES", "/")
        .env("GIT_DIR", "/dev/null")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut git.stdin.take().unwrap(), patch).unwrap();
    let output = git.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(patch)
    );
    contents(dir.path())
}

/// A tree as git knows it: names, bytes, and whether the owner can execute a file.
fn contents(root: &Path) -> Vec<(String, u32, Vec<u8>)> {
    let files = snapshot(root);
    let plain = files
        .into_iter()
        .map(|(name, mode, bytes)| (name, mode & 0o100, bytes));
    plain.collect()
}

/// Applies a batch, and tries the way back and forth again; `false` where it is refused.
fn holds(batch: &Batch) -> bool {
    let dir = start();
    let workspace = Workspace::open(dir.path()).unwrap();
    let before = snapshot(dir.path());
    let applied = workspace.apply(batch, &options()).unwrap();
    if applied.report.status != Status::Applied {
        assert_eq!(snapshot(dir.path()), before, "{batch:?}");
        return false;
    }
    let after = snapshot(dir.path());
    let mut shown = Vec::new();
    applied
        .plan
        .write_diff(&diff::DiffOptions::default(), &mut shown)
        .unwrap();
    assert_eq!(by_git(&shown), contents(dir.path()), "{batch:?}");
    assert!(workspace.audit().unwrap().is_clean(), "{batch:?}");
    let undone = workspace.undo(None, &options()).unwrap();
    assert_eq!(undone.report.status, Status::Applied, "{batch:?}");
    assert_eq!(snapshot(dir.path()), before, "{batch:?}");
    assert!(workspace.audit().unwrap().is_clean(), "{batch:?}");
    let undo = undone.report.transaction.unwrap();
    let redone = workspace.undo(Some(&undo), &options()).unwrap();
    assert_eq!(redone.report.status, Status::Applied, "{batch:?}");
    assert_eq!(snapshot(dir.path()), after, "{batch:?}");
    assert!(workspace.audit().unwrap().is_clean(), "{batch:?}");
    // The batch counts again: it is known by its id, and can be taken back.
    let again = workspace.apply(batch, &options()).unwrap();
    let known = again.report.operations.iter();
    assert!(
        known
            .into_iter()
            .all(|o| o.outcome == Outcome::AlreadyApplied),
        "{batch:?}"
    );
    assert_eq!(snapshot(dir.path()), after, "{batch:?}");
    workspace.undo(None, &options()).unwrap();
    assert_eq!(snapshot(dir.path()), before, "{batch:?}");
    true
}

fn batch(operations: Vec<Operation>, coordinates: Coordinates) -> Batch {
    let content = Digest::of(format!("{operations:?}").as_bytes());
    let mut batch = Batch::new(operations, content);
    batch.id = Some("colliding".to_owned());
    batch.coordinates = coordinates;
    batch
}

#[test]
fn any_two_operations_that_meet_at_a_name_can_be_taken_back_and_forth() {
    let all = operations();
    let mut landed = 0;
    for one in &all {
        for other in &all {
            // Every pair that touches a common name, once in each kind of coordinates.
            let batch = batch(vec![one.clone(), other.clone()], Coordinates::Original);
            landed += usize::from(holds(&batch));
        }
    }
    assert!(landed > 300, "{landed}");
}

#[test]
fn any_row_of_operations_can_be_taken_back_and_forth() {
    let all = operations();
    let mut random = Random(7);
    let mut landed = 0;
    for round in 0..600 {
        let count = 2 + random.below(3);
        let picked = (0..count).map(|_| all[random.below(all.len() as u64) as usize].clone());
        let coordinates = match round % 2 {
            0 => Coordinates::Original,
            _ => Coordinates::Sequential,
        };
        landed += usize::from(holds(&batch(picked.collect(), coordinates)));
    }
    assert!(landed > 80, "{landed}");
}
