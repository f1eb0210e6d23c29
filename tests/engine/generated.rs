//! Trees of every kind, edits of every kind, through every entry, and every way on from there: what
//! a plain model of the contract predicts, and what git makes of the diff that is shown.
//!
//! A few seconds by default; `PATCHCORE_CAMPAIGN=N` tries N times as many.

mod entry;
mod model;
mod tasks;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use patchcore::dialect::{self, Options};
use patchcore::plan::{Outcome, Script};
use patchcore::report::{Report, Status};
use patchcore::workspace::fault::{Fault, FaultKind, inject};
use patchcore::workspace::{ApplyOptions, Workspace};
use patchcore::{Code, diff};
use tempfile::TempDir;

use crate::random::Random;
use crate::workspace::{snapshot, tree};

use entry::{ENTRIES, Entry};
use model::{Change, FORMS, Files, Form, Predicted};

/// How many times the default amount is tried.
fn times() -> usize {
    let wanted = std::env::var("PATCHCORE_CAMPAIGN").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A tree on disk.
fn laid_out(files: &Files) -> TempDir {
    let dir = tree(&[]);
    for (name, (bytes, executable)) in files {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        let mode = if *executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::symlink("f", dir.path().join("link")).unwrap();
    dir
}

/// The files below a directory, links and the state aside.
fn contents(root: &Path) -> Files {
    let file = |(name, mode, bytes): (String, u32, Vec<u8>)| (name, (bytes, mode & 0o100 != 0));
    let all = snapshot(root).into_iter();
    all.filter(|(name, ..)| name != "link").map(file).collect()
}

/// What `git apply` makes of a diff in a tree of its own.
fn by_git(files: &Files, patch: &[u8]) -> Files {
    let dir = laid_out(files);
    let mut git = Command::new("git")
        .args(["apply", "--unidiff-zero", "--whitespace=nowarn", "-"])
        .current_dir(dir.path())
        .env("GIT_CEILING_DIRECTORIES", "/")
        .env("GIT_DIR", "/dev/null")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut git.stdin.take().unwrap(), patch).unwrap();
    let output = git.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let patch = String::from_utf8_lossy(patch);
    assert!(output.status.success(), "{said}\n{patch}");
    contents(dir.path())
}

fn options() -> ApplyOptions<'static> {
    let mut options = ApplyOptions::default();
    options.policy.allow_unguarded = true;
    options
}

/// One case: a tree, a change of it, and how it is said.
struct Case {
    form: Form,
    change: Change,
    entry: Entry,
    overwrite: bool,
}

impl Case {
    fn shown(&self, input: &[u8]) -> String {
        format!(
            "{:?} {:?} by {:?}, overwrite: {}\n{}",
            self.form,
            self.change,
            self.entry,
            self.overwrite,
            String::from_utf8_lossy(input)
        )
    }

    /// Applies the case, and goes on from there; whether it landed. `None` where the entry cannot
    /// say the change.
    fn hold(&self, random: &mut Random) -> Option<bool> {
        let files = self.form.files();
        let input = entry::said(self.entry, &self.change, &files)?;
        let what = self.shown(&input);
        let predicted = model::predict(&self.change, self.entry, &files, self.overwrite);
        let mut options = options();
        options.policy.overwrite = self.overwrite;
        let dir = laid_out(&files);
        let root = dir.path();
        let before = snapshot(root);
        let workspace = Workspace::open(root).unwrap();
        let patch = match dialect::parse(&input, &Options::default()) {
            Ok(patch) => patch,
            Err(refusal) => panic!("{refusal}\n{what}"),
        };
        let applied = workspace.apply(&patch, &options).unwrap();
        let report = &applied.report;
        let wanted = match predicted {
            Predicted::Refused(code) => {
                assert_eq!(report.code(), Some(code), "{report:?}\n{what}");
                assert_eq!(snapshot(root), before, "{what}");
                return Some(false);
            }
            Predicted::Lands(wanted) => wanted,
        };
        assert_eq!(report.code(), None, "{report:?}\n{what}");
        let now = contents(root);
        assert!(
            wanted.contains(&now),
            "came out as {}\ninstead of {}\n{what}",
            model::shown(&now),
            model::shown(&wanted[0])
        );
        if report.status == Status::Unchanged {
            assert_eq!(snapshot(root), before, "{what}");
            return Some(true);
        }
        let after = snapshot(root);
        let mut shown = Vec::new();
        let to = &mut shown;
        applied
            .plan
            .write_diff(&diff::DiffOptions::default(), to)
            .unwrap();
        assert_eq!(by_git(&files, &shown), now, "{what}");
        assert!(workspace.audit().unwrap().is_clean(), "{what}");
        // Sent again it is known, and nothing is touched.
        let again = workspace.apply(&patch, &options).unwrap().report;
        assert!(is_known(&again), "{again:?}\n{what}");
        assert_eq!(snapshot(root), after, "{what}");
        match random.below(4) {
            0 => there_and_back(&workspace, root, &before, &after, &patch, &options, &what),
            1 => self.reversed(&files, &shown, &what),
            2 => self.in_part(&patch, &files, &now, &options, &what),
            _ => crashed(&patch, &files, &before, &after, &options, random, &what),
        }
        Some(true)
    }

    /// The diff that was shown leads back the other way around.
    fn reversed(&self, files: &Files, shown: &[u8], what: &str) {
        let mut reverse = Options::default();
        reverse.reverse = true;
        let dir = laid_out(&by_git(files, shown));
        let workspace = Workspace::open(dir.path()).unwrap();
        let patch = dialect::parse(shown, &reverse).unwrap();
        let mut options = options();
        // A file that was in Latin-1 may come back whole.
        options.policy.allow_encoding_change = true;
        let report = workspace.apply(&patch, &options).unwrap().report;
        assert_eq!(report.code(), None, "{report:?}\n{what}");
        assert_eq!(contents(dir.path()), *files, "{what}");
    }

    /// Beside an operation that is refused: all or nothing, then what passes, then the same again.
    fn in_part(
        &self,
        patch: &dyn Script,
        files: &Files,
        now: &Files,
        options: &ApplyOptions<'_>,
        what: &str,
    ) {
        let dir = laid_out(files);
        let workspace = Workspace::open(dir.path()).unwrap();
        let loaded = workspace.load(&patch.paths()).unwrap();
        let mut batch = patch.lower(&loaded).unwrap().batch.into_owned();
        batch
            .operations
            .push(crate::workspace::append("missing", "x"));
        let before = snapshot(dir.path());
        let refused = workspace.apply(&batch, options).unwrap().report;
        assert_eq!(
            refused.code(),
            Some(Code::FileNotFound),
            "{refused:?}\n{what}"
        );
        assert_eq!(snapshot(dir.path()), before, "{what}");
        let mut partial = options.clone();
        partial.policy.partial = true;
        let report = workspace.apply(&batch, &partial).unwrap().report;
        assert_eq!(report.status, Status::Partial, "{report:?}\n{what}");
        assert_eq!(contents(dir.path()), *now, "{what}");
        // The part does not make the whole known.
        let last = report.operations.last().unwrap();
        assert_eq!(last.outcome, Outcome::Refused, "{what}");
        workspace.undo(None, options).unwrap();
        assert_eq!(snapshot(dir.path()), before, "{what}");
    }
}

fn is_known(report: &Report) -> bool {
    let mut operations = report.operations.iter();
    report.status == Status::Unchanged
        && operations.all(|operation| operation.outcome == Outcome::AlreadyApplied)
}

type Snapshot = Vec<(String, u32, Vec<u8>)>;

/// Undo, undo of the undo, and so on; sent again at the end.
fn there_and_back(
    workspace: &Workspace,
    root: &Path,
    before: &Snapshot,
    after: &Snapshot,
    patch: &dyn Script,
    options: &ApplyOptions<'_>,
    what: &str,
) {
    let mut last = None;
    for round in 0..3 {
        let report = workspace.undo(last.as_deref(), options).unwrap().report;
        assert_eq!(report.status, Status::Applied, "{report:?}\n{what}");
        let expected = if round % 2 == 0 { before } else { after };
        assert_eq!(&snapshot(root), expected, "round {round}\n{what}");
        assert!(workspace.audit().unwrap().is_clean(), "{what}");
        last = report.transaction;
    }
    let report = workspace.apply(patch, options).unwrap().report;
    assert_eq!(report.status, Status::Applied, "{report:?}\n{what}");
    assert_eq!(&snapshot(root), after, "{what}");
}

/// A death at some step leaves old or new, and sending the patch again makes it new, once.
fn crashed(
    patch: &dyn Script,
    files: &Files,
    before: &Snapshot,
    after: &Snapshot,
    options: &ApplyOptions<'_>,
    random: &mut Random,
    what: &str,
) {
    let dir = laid_out(files);
    let at = 1 + random.below(70) as usize;
    let kind = match random.below(2) {
        0 => FaultKind::Stop,
        _ => FaultKind::Tear,
    };
    let fault = Fault {
        at: Some((at, kind)),
        ..Fault::default()
    };
    let open = || Workspace::open(dir.path()).unwrap();
    let attempt =
        || Workspace::open(dir.path()).and_then(|workspace| workspace.apply(patch, options));
    let run = inject(fault, attempt);
    drop(run);
    open().recover().unwrap();
    let now = snapshot(dir.path());
    assert!(now == *before || now == *after, "{kind:?} at {at}\n{what}");
    let report = open().apply(patch, options).unwrap().report;
    assert_eq!(report.code(), None, "{report:?}\n{what}");
    assert_eq!(&snapshot(dir.path()), after, "{kind:?} at {at}\n{what}");
}

#[test]
fn every_change_of_every_tree_through_every_entry_is_as_the_model_has_it() {
    let mut random = Random(23);
    let changes = model::changes();
    let rounds = 700 * times();
    let (mut landed, mut refused, mut failed) = (0, 0, 0);
    for round in 0..rounds {
        let mut pick = |count: usize| random.below(count as u64) as usize;
        let case = Case {
            form: FORMS[round % FORMS.len()],
            entry: ENTRIES[pick(ENTRIES.len())],
            change: changes[pick(changes.len())].clone(),
            overwrite: pick(4) == 0,
        };
        // One fault does not hide the next one.
        let hold = std::panic::AssertUnwindSafe(|| case.hold(&mut random));
        match std::panic::catch_unwind(hold) {
            Ok(Some(true)) => landed += 1,
            Ok(Some(false)) => refused += 1,
            Ok(None) => {}
            Err(_) => failed += 1,
        }
        assert!(failed < 20, "{failed} of {round} cases failed");
    }
    assert_eq!(failed, 0, "of {rounds} cases failed");
    assert!(landed > rounds / 5, "{landed} of {rounds} landed");
    assert!(refused > rounds / 50, "{refused} of {rounds} were refused");
}
