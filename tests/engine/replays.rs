//! Input that was applied before: in which cases it is known again, through every entry.

use std::fs;

use patchcore::batch::{Limits, PatchBatch};
use patchcore::dialect::{self, Dialect, Options, Patch};
use patchcore::operation::Batch;
use patchcore::plan::{Outcome, Script};
use patchcore::report::{Report, Status};
use patchcore::workspace::{ApplyOptions, Workspace};
use tempfile::TempDir;

use crate::workspace::{snapshot, tree};

const BEFORE: &str = "import a\nx\n";

/// An input in each dialect that would do something once more if it were not known.
const INPUTS: [(Dialect, &str); 8] = [
    (
        Dialect::Batch,
        r#"{"operations":[{"op":"insert-after","file":"f","at":{"text":"import a"},"content":"import b"}]}"#,
    ),
    (
        Dialect::UnifiedDiff,
        "--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n import a\n+import b\n x\n",
    ),
    (
        Dialect::Codex,
        "*** Begin Patch\n*** Update File: f\n@@\n+import b\n*** End Patch\n",
    ),
    (
        Dialect::SearchReplace,
        "f\n<<<<<<< SEARCH\nimport a\n=======\nimport a\nimport b\n>>>>>>> REPLACE\n",
    ),
    (
        Dialect::StrReplace,
        r#"{"command":"insert","path":"f","insert_line":0,"insert_text":"zz"}"#,
    ),
    (
        Dialect::McpEdit,
        r#"{"path":"f","edits":[{"oldText":"x","newText":"y"}]}"#,
    ),
    (
        Dialect::WorkspaceEdit,
        r#"{"changes":{"f":[{"range":{"start":{"line":0,"character":0},"end":{"line":0,"character":0}},"newText":"X"}]}}"#,
    ),
    (Dialect::Files, r#"[{"path":"f","content":"new\n"}]"#),
];

fn options() -> ApplyOptions<'static> {
    let mut options = ApplyOptions::default();
    options.policy.allow_unguarded = true;
    options
}

fn read(dialect: Dialect, input: &str) -> Patch<'_> {
    let mut options = Options::default();
    options.dialect = Some(dialect);
    dialect::parse(input.as_bytes(), &options).unwrap()
}

/// A tree to which an input was applied once.
fn applied(script: &dyn Script) -> (TempDir, Workspace, Report) {
    let dir = tree(&[("f", BEFORE)]);
    let workspace = Workspace::open(dir.path()).unwrap();
    let report = workspace.apply(script, &options()).unwrap().report;
    assert_eq!(report.status, Status::Applied, "{report:?}");
    (dir, workspace, report)
}

/// Whether a script is known to have been applied; by `check`, too.
fn is_known(workspace: &Workspace, script: &dyn Script, options: &ApplyOptions<'_>) -> bool {
    let known = |report: &Report, outcome: fn(&_) -> Outcome| {
        let is_known = |operation: &patchcore::report::OperationReport| {
            outcome(operation) == Outcome::AlreadyApplied
                && (operation.note.as_deref())
                    .is_some_and(|note| note.starts_with("the same input was applied as batch "))
        };
        report.operations.iter().all(is_known) && !report.operations.is_empty()
    };
    let checked = workspace.check(script, options).unwrap().report;
    let checked = known(&checked, |operation| operation.would.unwrap());
    let applied = workspace.apply(script, options).unwrap().report;
    let applied = known(&applied, |operation| operation.outcome);
    assert_eq!(checked, applied);
    applied
}

#[test]
fn the_same_input_is_known_and_names_the_batch() {
    for (dialect, input) in INPUTS {
        let patch = read(dialect, input);
        let (dir, workspace, first) = applied(&patch);
        let before = snapshot(dir.path());
        let modified = fs::metadata(dir.path().join("f")).unwrap().modified();
        let again = workspace.apply(&patch, &options()).unwrap().report;
        assert_eq!(again.status, Status::Unchanged, "{dialect}: {again:?}");
        let note = again.operations[0].note.as_deref().unwrap();
        let batch = first.batch_id.as_deref().unwrap();
        assert!(note.contains(batch), "{dialect}: {note}");
        assert!(is_known(&workspace, &patch, &options()), "{dialect}");
        assert_eq!(snapshot(dir.path()), before, "{dialect}");
        let now = fs::metadata(dir.path().join("f")).unwrap().modified();
        assert_eq!(now.unwrap(), modified.unwrap(), "{dialect}");
        assert!(workspace.audit().unwrap().is_clean(), "{dialect}");
    }
}

#[test]
fn what_was_taken_back_is_applied_again_and_what_counts_again_is_known() {
    for (dialect, input) in INPUTS {
        let patch = read(dialect, input);
        let (dir, workspace, _) = applied(&patch);
        let after = snapshot(dir.path());
        let undo = workspace.undo(None, &options()).unwrap().report;
        let redo = workspace
            .undo(undo.transaction.as_deref(), &options())
            .unwrap()
            .report;
        assert_eq!(redo.status, Status::Applied, "{dialect}");
        assert!(is_known(&workspace, &patch, &options()), "{dialect}");
        workspace
            .undo(redo.transaction.as_deref(), &options())
            .unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("f")).unwrap(), BEFORE);
        assert!(!is_known(&workspace, &patch, &options()), "{dialect}");
        assert_eq!(snapshot(dir.path()), after, "{dialect}");
        assert!(is_known(&workspace, &patch, &options()), "{dialect}");
    }
}

#[test]
fn a_file_that_is_as_it_was_before_makes_it_new_input() {
    for (dialect, input) in INPUTS {
        let patch = read(dialect, input);
        let (dir, workspace, _) = applied(&patch);
        let after = snapshot(dir.path());
        for _ in 0..2 {
            fs::write(dir.path().join("f"), BEFORE).unwrap();
            assert!(!is_known(&workspace, &patch, &options()), "{dialect}");
            assert_eq!(snapshot(dir.path()), after, "{dialect}");
            assert!(is_known(&workspace, &patch, &options()), "{dialect}");
        }
    }
}

/// The same plan leads from a swap of like files to the same files.
#[test]
fn a_swap_of_like_files_is_known() {
    let dir = tree(&[("f", BEFORE), ("g", BEFORE)]);
    let workspace = Workspace::open(dir.path()).unwrap();
    let swap = r#"{"operations":[{"op":"rename-file","file":"f","to":"g"},{"op":"rename-file","file":"g","to":"f"}]}"#;
    let patch = read(Dialect::Batch, swap);
    let first = workspace.apply(&patch, &options()).unwrap().report;
    assert_eq!(first.status, Status::Applied, "{first:?}");
    assert!(is_known(&workspace, &patch, &options()));
}

#[test]
fn a_file_that_changed_since_makes_it_new_input() {
    for (dialect, input) in INPUTS {
        let patch = read(dialect, input);
        let (dir, workspace, _) = applied(&patch);
        fs::write(dir.path().join("f"), "import a\nx\nmore\n").unwrap();
        assert!(!is_known(&workspace, &patch, &options()), "{dialect}");
    }
}

#[test]
fn other_permissions_options_and_bytes_make_it_new_input() {
    for (dialect, input) in INPUTS {
        let patch = read(dialect, input);
        let (_dir, workspace, _) = applied(&patch);
        let mut permitted = options();
        permitted.policy.allow_binary = true;
        assert!(!is_known(&workspace, &patch, &permitted), "{dialect}");
    }
    let (dialect, input) = INPUTS[3];
    let (_dir, workspace, _) = applied(&read(dialect, input));
    let mut strict = Options::default();
    strict.strict = true;
    let other = dialect::parse(input.as_bytes(), &strict).unwrap();
    assert!(!is_known(&workspace, &other, &options()));
    let longer = format!("{input}\n");
    assert!(!is_known(&workspace, &read(dialect, &longer), &options()));
}

#[test]
fn who_asks_again_gets_it_again() {
    let patch = read(INPUTS[2].0, INPUTS[2].1);
    let (dir, workspace, _) = applied(&patch);
    let mut again = options();
    again.again = true;
    let report = workspace.apply(&patch, &again).unwrap().report;
    assert_eq!(report.status, Status::Applied);
    let text = fs::read_to_string(dir.path().join("f")).unwrap();
    assert_eq!(text, format!("{BEFORE}import b\nimport b\n"));
    // What was asked for again is known as well.
    assert!(is_known(&workspace, &patch, &options()));
}

#[test]
fn labels_belong_to_the_input() {
    let labelled = |task: &str| {
        INPUTS[0]
            .1
            .replacen('{', &format!(r#"{{"agent":"{task}","#), 1)
    };
    let (one, other) = (labelled("one"), labelled("other"));
    let one = read(Dialect::Batch, &one);
    let (_dir, workspace, _) = applied(&one);
    assert!(is_known(&workspace, &one, &options()));
    assert!(!is_known(
        &workspace,
        &read(Dialect::Batch, &other),
        &options()
    ));
}

#[test]
fn a_part_that_was_applied_is_not_the_whole() {
    let input = r#"{"operations":[
        {"op":"append","file":"f","content":"x"},
        {"op":"append","file":"gone","content":"x"}]}"#;
    let patch = read(Dialect::Batch, input);
    let dir = tree(&[("f", BEFORE)]);
    let workspace = Workspace::open(dir.path()).unwrap();
    let mut partial = options();
    partial.policy.partial = true;
    for round in 1..3 {
        let report = workspace.apply(&patch, &partial).unwrap().report;
        assert_eq!(report.status, Status::Partial);
        let text = fs::read_to_string(dir.path().join("f")).unwrap();
        assert_eq!(text, format!("{BEFORE}{}", "x\n".repeat(round)));
    }
}

#[test]
fn a_batch_that_was_not_read_from_input_is_applied_each_time() {
    let wire = PatchBatch::parse(INPUTS[0].1.as_bytes(), &Limits::default()).unwrap();
    let batch = Batch::try_from(wire).unwrap();
    let (dir, workspace, _) = applied(&batch);
    let report = workspace.apply(&batch, &options()).unwrap().report;
    assert_eq!(report.status, Status::Applied);
    let text = fs::read_to_string(dir.path().join("f")).unwrap();
    assert_eq!(text, "import a\nimport b\nimport b\nx\n");
    // One with an id is known by that.
    let batch = Batch {
        id: Some("b1".to_owned()),
        ..batch
    };
    assert_eq!(
        workspace.apply(&batch, &options()).unwrap().report.status,
        Status::Applied
    );
    let known = workspace.apply(&batch, &options()).unwrap().report;
    assert_eq!(known.status, Status::Unchanged);
}

#[test]
fn renamed_and_deleted_files_have_to_be_as_they_were_left() {
    let input = r#"{"operations":[
        {"op":"rename-file","file":"f","to":"g"},
        {"op":"create-file","file":"n","content":"n\n"}]}"#;
    let patch = read(Dialect::Batch, input);
    for (touch, known) in [("other", true), ("f", false), ("g", false), ("n", false)] {
        let (dir, workspace, _) = applied(&patch);
        fs::write(dir.path().join(touch), "else\n").unwrap();
        let before = snapshot(dir.path());
        assert_eq!(is_known(&workspace, &patch, &options()), known, "{touch}");
        if known {
            assert_eq!(snapshot(dir.path()), before);
        }
    }
}
