//! Batches that were made for an older state of their files.

use std::path::Path;
use std::sync::Arc;

use patchcore::batch::{self, Limits};
use patchcore::plan::{Entry, Outcome, Source, plan};
use patchcore::report::{Report, Status};
use patchcore::workspace::{ApplyOptions, Workspace};
use patchcore::{Code, Digest, Policy, RelPath, Tree};
use serde_json::{Value, json};

fn path(name: &str) -> RelPath {
    RelPath::new(name).unwrap()
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(|line| format!("line {line}\n")).collect()
}

/// A file of twenty lines, and what it became: three lines more above line 5, and one less.
fn drifted() -> (String, String) {
    let base = lines(1..21);
    let current = base
        .replace("line 5\n", "new\nnewer\nnewest\nline 5\n")
        .replace("line 2\n", "");
    (base, current)
}

fn tree(base: &str, current: &str) -> Tree {
    let mut tree = Tree::new();
    let source = |text: &str| Arc::new(Source::new(text.into(), false));
    tree.insert(path("f"), Entry::File(source(current)));
    tree.add_base(path("f"), source(base));
    tree
}

fn parsed(operation: &Value) -> patchcore::operation::Batch {
    let batch = json!({ "operations": [operation] });
    batch::parse(batch.to_string().as_bytes(), &Limits::default()).unwrap()
}

/// What comes of the file, by an operation that names its base, and from where to where it went.
fn rebased(base: &str, current: &str, mut operation: Value) -> Result<(String, Value), Code> {
    operation["file"] = "f".into();
    operation["base"] = Digest::of(base.as_bytes()).to_string().into();
    let mut policy = Policy::default();
    policy.rebase = true;
    let plan = plan(&parsed(&operation), &tree(base, current), &policy);
    let verdict = &plan.verdicts[0];
    if let Some(refusal) = &verdict.refusal {
        assert!(verdict.rebased.is_none());
        return Err(refusal.code);
    }
    assert_eq!(verdict.outcome, Outcome::Rebased);
    let bytes = plan.changes[0].chunks().flatten().copied().collect();
    let rebased = serde_json::to_value(verdict.rebased.as_ref().unwrap()).unwrap();
    Ok((String::from_utf8(bytes).unwrap(), rebased))
}

#[test]
fn each_kind_of_address_goes_where_its_lines_are() {
    let (base, current) = drifted();
    let at = |at: Value| json!({ "op": "replace-block", "at": at, "content": "X" });
    let to = |from: [u64; 2], to: [u64; 2]| json!({ "from": from, "to": to });
    let replaced = current.replace("line 12\n", "X\n");
    for address in [
        json!({ "line": 12 }),
        json!({ "text": "line 12" }),
        json!({ "match": "^line 12$" }),
        json!({ "match": "^line 1", "occurrence": 4 }),
        json!({ "between": ["^line 11$", "^line 13$"] }),
    ] {
        let result = rebased(&base, &current, at(address.clone()));
        let expected = (replaced.clone(), to([12, 12], [14, 14]));
        assert_eq!(result, Ok(expected), "{address}");
    }
    let result = rebased(&base, &current, at(json!({ "lines": [10, 12] })));
    let two = current.replace("line 10\nline 11\nline 12\n", "X\n");
    assert_eq!(result, Ok((two, to([10, 12], [12, 14]))));
    let text = json!({ "op": "replace-text", "find": "12\nline", "content": "12\nX" });
    let result = rebased(&base, &current, text);
    let changed = current.replace("line 13", "X 13");
    assert_eq!(result, Ok((changed, to([12, 13], [14, 15]))));
    let append = json!({ "op": "append", "content": "X" });
    let result = rebased(&base, &current, append);
    assert_eq!(
        result,
        Ok((format!("{current}X\n"), to([20, 20], [22, 22])))
    );
    for (op, result) in [
        ("insert-before", "X\nline 12\n"),
        ("insert-after", "line 12\nX\n"),
    ] {
        let insert = json!({ "op": op, "at": { "line": 12 }, "content": "X" });
        let there = current.replace("line 12\n", result);
        assert_eq!(
            rebased(&base, &current, insert),
            Ok((there, to([12, 12], [14, 14])))
        );
    }
}

#[test]
fn a_text_is_replaced_at_the_match_that_was_meant() {
    let base = "a = 1\nb\nc\nd\na = 1\ne\nf\n";
    let current = "a = 1\nx\ny\na = 1\nb\nc\nd\na = 1\ne\nf\n";
    let text = |which: Value| json!({ "op": "replace-text", "find": "1", "content": "2", "occurrence": which });
    let (result, _) = rebased(base, current, text(json!(2))).unwrap();
    assert_eq!(result, "a = 1\nx\ny\na = 1\nb\nc\nd\na = 2\ne\nf\n");
    // One more came in between: all of then are not all of now.
    assert_eq!(
        rebased(base, current, text(json!("all"))),
        Err(Code::BaseMismatch)
    );
}

#[test]
fn what_was_changed_has_no_place_and_the_refusal_says_so() {
    let (base, current) = drifted();
    let current = current.replace("line 12\n", "line twelve\n");
    let at = |at: Value| json!({ "op": "replace-block", "at": at, "content": "X" });
    for address in [
        json!({ "line": 12 }),
        json!({ "line": 11 }),
        json!({ "lines": [9, 15] }),
    ] {
        assert_eq!(
            rebased(&base, &current, at(address)),
            Err(Code::BaseMismatch)
        );
    }
    let operation = json!({
        "op": "replace-block", "file": "f", "at": { "line": 12 }, "content": "X",
        "base": Digest::of(base.as_bytes()).to_string(),
    });
    for rebase in [true, false] {
        let mut policy = Policy::default();
        policy.rebase = rebase;
        let plan = plan(&parsed(&operation), &tree(&base, &current), &policy);
        let refusal = plan.verdicts[0].refusal.as_ref().unwrap();
        let why = "these lines, or those next to them, were changed meanwhile";
        assert!(refusal.message.ends_with(why), "{}", refusal.message);
        assert_eq!(refusal.suggestion, None);
    }
}

#[test]
fn what_is_expected_must_stand_at_the_place() {
    let (base, current) = drifted();
    let expecting = |expect: &str, before: &str| {
        json!({
            "op": "replace-block", "at": { "line": 12 }, "content": "X",
            "expect": expect, "before": before,
        })
    };
    assert!(rebased(&base, &current, expecting("line 12", "line 11")).is_ok());
    for (expect, before) in [("line 11", "line 11"), ("line 12", "line 10")] {
        let result = rebased(&base, &current, expecting(expect, before));
        assert_eq!(result, Err(Code::ExpectMismatch));
    }
}

/// Applies an RFC 7396 merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in fields {
        match value {
            Value::Null => {
                target.as_object_mut().unwrap().remove(name);
            }
            value => merge(&mut target[name], value),
        }
    }
}

struct Place {
    root: tempfile::TempDir,
    workspace: Workspace,
}

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(root.path().join(name), text).unwrap();
        }
        let workspace = Workspace::open(root.path()).unwrap();
        Self { root, workspace }
    }

    fn path(&self) -> &Path {
        self.root.path()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap()
    }

    fn send(&self, operations: &[Value], rebase: bool) -> Report {
        let batch = json!({ "operations": operations });
        let batch = batch::parse(batch.to_string().as_bytes(), &Limits::default()).unwrap();
        let mut options = ApplyOptions::default();
        options.policy.rebase = rebase;
        self.workspace.apply(&batch, &options).unwrap().report
    }

    /// Sends an operation that is refused, and again with the suggestion; what was suggested.
    fn retried(&self, mut operation: Value) -> Option<Value> {
        let report = self.send(std::slice::from_ref(&operation), false);
        assert_eq!(report.status, Status::Refused);
        let refusal = report.operations[0].refusal.as_ref().unwrap();
        let size = serde_json::to_string(refusal).unwrap().len();
        assert!(size <= 1000, "{size}");
        let suggestion = refusal.suggestion.as_deref()?.clone();
        merge(&mut operation, &suggestion);
        let report = self.send(&[operation], false);
        assert_eq!(report.status, Status::Applied, "{report:?}");
        Some(suggestion)
    }

    /// Puts lines above line 5 of the file, through the engine.
    fn drift(&self) {
        let insert = json!({
            "op": "insert-before", "file": "f", "at": { "text": "line 5" }, "content": "new\nnewer",
        });
        assert_eq!(self.send(&[insert], false).status, Status::Applied);
    }
}

#[test]
fn a_batch_for_the_state_before_the_last_commit_lands_and_is_undone() {
    let base = lines(1..21);
    let place = Place::with(&[("f", &base)]);
    place.drift();
    let before = place.read("f");
    let operation = json!({
        "op": "replace-block", "file": "f", "at": { "line": 12 }, "content": "X",
        "base": Digest::of(base.as_bytes()).to_string(),
    });
    let report = place.send(std::slice::from_ref(&operation), false);
    assert_eq!(report.status, Status::Refused);
    let report = place.send(&[operation], true);
    assert_eq!(report.operations[0].outcome, Outcome::Rebased);
    let rebased = report.operations[0].rebased.clone().unwrap();
    assert_eq!((rebased.from[0].get(), rebased.to[0].get()), (12, 14));
    assert_eq!(place.read("f"), before.replace("line 12\n", "X\n"));

    let log = place.workspace.log().unwrap();
    let transaction = *log.transactions().unwrap().last().unwrap();
    let record = log.read(&transaction).unwrap().unwrap();
    assert_eq!(record.operations[0].rebased, Some(rebased.clone()));
    let events = patchcore::event::events(&record);
    let of_operation = { events }.find(|event| event.operation.is_some());
    assert_eq!(of_operation.unwrap().rebased, Some(*rebased));
}

#[test]
fn a_batch_with_an_id_that_was_rebased_is_applied_once() {
    let base = lines(1..21);
    let place = Place::with(&[("f", &base)]);
    place.drift();
    let batch = json!({ "batch_id": "once", "operations": [{
        "op": "insert-after", "file": "f", "at": { "line": 12 }, "content": "X",
        "base": Digest::of(base.as_bytes()).to_string(),
    }] });
    let batch = batch::parse(batch.to_string().as_bytes(), &Limits::default()).unwrap();
    let mut options = ApplyOptions::default();
    options.policy.rebase = true;
    let outcomes = [Outcome::Rebased, Outcome::AlreadyApplied];
    for outcome in outcomes {
        let applied = place.workspace.apply(&batch, &options).unwrap();
        assert_eq!(applied.report.operations[0].outcome, outcome);
    }
    assert_eq!(place.read("f").matches('X').count(), 1);
}

#[test]
fn a_refusal_carries_the_merge_patch_that_lands_the_operation() {
    let base = lines(1..21);
    let digest = Digest::of(base.as_bytes()).to_string();
    let replace = |at: Value, more: Value| {
        let mut operation = json!({ "op": "replace-block", "file": "f", "at": at, "content": "X" });
        merge(&mut operation, &more);
        operation
    };
    let cases = [
        (
            "base",
            replace(json!({ "line": 12 }), json!({ "base": digest })),
        ),
        (
            "base, lines",
            replace(json!({ "lines": [12, 12] }), json!({ "base": digest })),
        ),
        (
            "text",
            replace(json!({ "text": "line 12" }), json!({ "base": digest })),
        ),
        (
            "match",
            replace(
                json!({ "match": "line", "occurrence": 12 }),
                json!({ "base": digest }),
            ),
        ),
        (
            "expect",
            replace(json!({ "line": 12 }), json!({ "expect": "line 12" })),
        ),
    ];
    for (name, operation) in cases {
        let place = Place::with(&[("f", &base)]);
        place.drift();
        let expected = place.read("f").replace("line 12\n", "X\n");
        let suggestion = place.retried(operation);
        assert!(suggestion.is_some(), "{name}");
        assert_eq!(place.read("f"), expected, "{name}");
    }
}

#[test]
fn a_line_past_the_end_and_a_text_at_two_places_are_found_by_the_log() {
    let base = lines(1..21);
    let place = Place::with(&[("f", &base)]);
    let cut = json!({
        "op": "replace-block", "file": "f",
        "at": { "text": "line 2\nline 3\nline 4" }, "content": "",
    });
    place.send(&[cut], false);
    let past = json!({
        "op": "replace-block", "file": "f", "at": { "line": 19 }, "expect": "line 19",
        "content": "X",
    });
    assert!(place.retried(past).is_some());
    assert_eq!(place.read("f").lines().nth(15), Some("X"));

    let copied = json!({
        "op": "insert-before", "file": "f", "at": { "text": "line 6" }, "content": "line 14",
    });
    place.send(&[copied], false);
    let ambiguous = json!({
        "op": "replace-block", "file": "f", "at": { "text": "line 14" }, "content": "Y",
    });
    assert!(place.retried(ambiguous).is_some());
    assert_eq!(place.read("f").matches("line 14").count(), 1);
    assert!(place.read("f").contains("line 13\nY\nline 15"));
}

#[test]
fn a_file_that_was_renamed_since_is_named_by_the_suggestion() {
    let base = lines(1..21);
    let place = Place::with(&[("f", &base)]);
    let rename = json!({ "op": "rename-file", "file": "f", "to": "g" });
    assert_eq!(place.send(&[rename], false).status, Status::Applied);
    let operation = json!({
        "op": "replace-block", "file": "f", "at": { "line": 12 }, "expect": "line 12",
        "content": "X",
    });
    let suggestion = place.retried(operation).unwrap();
    assert_eq!(suggestion["file"], "g");
    assert_eq!(place.read("g"), base.replace("line 12\n", "X\n"));
}

#[test]
fn where_the_target_is_gone_nothing_is_suggested() {
    let base = lines(1..21);
    let place = Place::with(&[("f", &base)]);
    let change = json!({
        "op": "replace-block", "file": "f", "at": { "text": "line 12" }, "content": "line twelve",
    });
    place.send(&[change], false);
    place.drift();
    for more in [
        json!({ "base": Digest::of(base.as_bytes()).to_string() }),
        json!({ "expect": "line 12" }),
    ] {
        let mut operation = json!({
            "op": "replace-block", "file": "f", "at": { "line": 12 }, "content": "X",
        });
        merge(&mut operation, &more);
        assert_eq!(place.retried(operation), None);
    }
}
