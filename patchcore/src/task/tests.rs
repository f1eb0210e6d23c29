use std::sync::Arc;

use super::*;
use crate::digest::Digest;
use crate::error::Code;
use crate::operation::{Action, Address, Batch, Guard, Indent, Labels, Lines, Operation, Target};
use crate::path::RelPath;
use crate::placeholder::Scanner;
use crate::plan::{self, Outcome, Plan, Policy, Tree};

const MANIFEST: &str = r####"{
  "order_id": "ORD-1",
  "zeta": {"b": 1.50, "a": [1,2]},
  "tasks": [
    {"uuid": "A", "z": 1e400, "file_path": "a.ts", "placeholder": "ONE", "status": "pending"},
    {"uuid": "B", "file_path": "b.ts", "placeholder": "TWO", "status": "in_progress"},
    {"uuid": "C", "file_path": "c.ts", "placeholder": "THREE", "status": "complete"}
  ]
}"####;

fn manifest() -> Manifest {
    Manifest::parse(MANIFEST.as_bytes()).unwrap()
}

#[test]
fn a_manifest_comes_back_with_all_that_it_held_in_order() {
    let manifest = manifest();
    let written = String::from_utf8(manifest.to_bytes()).unwrap();
    let at = |text: &str| {
        written
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {written}"))
    };
    assert!(at("order_id") < at("zeta") && at("zeta") < at("tasks"));
    assert!(at("{\"b\": 1.50, \"a\": [1,2]}") > 0);
    assert!(at("\"z\": 1e400") < at("\"file_path\": \"a.ts\""));
    let again = Manifest::parse(written.as_bytes()).unwrap();
    assert_eq!(again, manifest);
    assert_eq!(again.to_bytes(), written.as_bytes());
    assert_eq!(manifest.order_id().as_deref(), Some("ORD-1"));
}

#[test]
fn a_bare_list_of_tasks_stays_one() {
    let text = b"[{\"uuid\": \"A\"}]";
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(manifest.tasks()[0].status(), TaskStatus::Pending);
    let written = manifest.to_bytes();
    assert!(written.starts_with(b"["));
    assert_eq!(Manifest::parse(&written).unwrap(), manifest);
}

#[test]
fn what_is_no_manifest_is_refused() {
    for text in [
        "",
        "{",
        "3",
        "{\"tasks\": 3}",
        "{\"tasks\": [{}]}",
        "{\"tasks\": [{\"uuid\": 1}]}",
        "{\"tasks\": [{\"uuid\": \"a\"}, {\"uuid\": \"a\"}]}",
        "{\"tasks\": [{\"uuid\": \"a\", \"status\": 3}]}",
    ] {
        let refusal = Manifest::parse(text.as_bytes()).unwrap_err();
        assert_eq!(refusal.code, Code::InvalidBatch, "{text}");
    }
}

#[test]
fn pulling_keeps_what_the_orchestrator_has_not_heard() {
    let mut local = manifest();
    local.get_mut("A").unwrap().set_status(TaskStatus::Blocked);
    local.get_mut("B").unwrap().remedy_file_path("moved.ts");
    let pulled: Vec<Task> = serde_json::from_str(
        r#"[{"uuid": "B", "file_path": "b.ts", "status": "pending"}, {"uuid": "A", "status": "pending"}, {"uuid": "N"}]"#,
    )
    .unwrap();
    local.take_over("ORD-1", pulled.clone());
    assert_eq!(local.get("A").unwrap().status(), TaskStatus::Blocked);
    assert!(local.get("A").unwrap().is_unsent());
    assert_eq!(local.get("B").unwrap().status(), TaskStatus::Pending);
    assert_eq!(local.get("B").unwrap().file_path(), "moved.ts");
    assert!(local.get("C").is_none() && local.get("N").is_some());
    local.get_mut("A").unwrap().mark_sent();
    local.take_over("ORD-1", pulled);
    assert_eq!(local.get("A").unwrap().status(), TaskStatus::Pending);
    assert_eq!(local.get("B").unwrap().file_path(), "moved.ts");
}

fn path(name: &str) -> RelPath {
    RelPath::new(name).unwrap()
}

fn tree() -> Tree {
    Tree::new()
        .with_file(path("a.ts"), "x\n  // ###ONE###\ny\n")
        .with_file(path("b.ts"), "x\n/** TWO **/\n")
        .with_file(path("c.ts"), "###THREE###\n")
        .with_file(path("free.ts"), "x\n")
}

fn judge(rules: &Rules, batch: &Batch) -> Plan {
    let policy = Policy::default();
    rules.judge(&manifest(), batch, plan::plan(batch, &tree(), &policy))
}

fn operation(task: Option<&str>, file: &str, action: Action) -> Operation {
    let mut operation = Operation::new(path(file), action);
    operation.labels = Arc::new(Labels {
        task_id: task.map(str::to_owned),
        ..Labels::default()
    });
    operation
}

fn append() -> Action {
    Action::Append(Lines::new("more"))
}

fn cut(text: &str) -> Action {
    Action::ReplaceBlock {
        at: Address::only(Target::Text(Lines::new(text))),
        guard: Guard::default(),
        content: Lines::new("done"),
        pad: false,
        indent: Indent::Verbatim,
    }
}

fn codes(operations: Vec<Operation>) -> Vec<Option<Code>> {
    let batch = Batch::new(operations, Digest::of(b""));
    let plan = judge(&Rules::new(Policy::default()), &batch);
    let refused = plan
        .verdicts
        .iter()
        .any(|verdict| verdict.refusal.is_some());
    assert_eq!(refused, plan.changes.is_empty());
    let code = |verdict: &plan::Verdict| verdict.refusal.as_ref().map(|refusal| refusal.code);
    plan.verdicts.iter().map(code).collect()
}

macro_rules! rules {
    ($($label:ident: [$($operation:expr),+] => [$($code:expr),+];)+) => {
        $(#[test] fn $label() { assert_eq!(codes(vec![$($operation),+]), [$($code),+]); })+
    };
}

rules! {
    an_open_task_works_in_its_file: [operation(Some("A"), "a.ts", append())] => [None];
    a_task_may_touch_a_file_that_is_nobodys: [operation(Some("A"), "free.ts", append())] => [None];
    no_task_is_fine_by_default: [operation(None, "a.ts", append())] => [None];
    an_unknown_task: [operation(Some("X"), "free.ts", append())] => [Some(Code::TaskUnknown)];
    a_closed_task: [operation(Some("C"), "c.ts", append())] => [Some(Code::TaskClosed)];
    anothers_file: [operation(Some("A"), "b.ts", append())] => [Some(Code::TaskFileMismatch)];
    anothers_file_by_a_rename: [operation(Some("A"), "free.ts", Action::RenameFile { to: path("b.ts") })]
        => [Some(Code::FileExists)];
    its_own_placeholder: [operation(Some("A"), "a.ts", cut("  // ###ONE###"))] => [None];
    anothers_placeholder: [operation(None, "a.ts", cut("  // ###ONE###")), operation(None, "free.ts", append())]
        => [Some(Code::PlaceholderLost), None];
    a_completed_tasks_placeholder: [operation(None, "c.ts", cut("###THREE###"))] => [None];
    anothers_file_deleted: [operation(None, "b.ts", Action::DeleteFile { expect: Some(Lines::new("x\n/** TWO **/")) })]
        => [Some(Code::PlaceholderLost)];
    a_placeholder_moved_to_another_file: [
        operation(None, "a.ts", cut("  // ###ONE###")),
        operation(None, "free.ts", Action::Append(Lines::new("###ONE###")))
    ] => [None, None];
    a_renamed_file_keeps_its_placeholder: [operation(None, "a.ts", Action::RenameFile { to: path("z.ts") })] => [None];
}

#[test]
fn a_required_task_is_demanded_of_each_operation() {
    let operations = vec![
        operation(None, "free.ts", append()),
        operation(Some("A"), "a.ts", append()),
    ];
    let batch = Batch::new(operations, Digest::of(b""));
    let plan = judge(&Rules::new(Policy::default()).require_task(), &batch);
    assert_eq!(
        plan.verdicts[0].refusal.as_ref().unwrap().code,
        Code::TaskRequired
    );
    assert_eq!(plan.verdicts[1].outcome, Outcome::NotApplied);
    assert!(plan.changes.is_empty());
}

#[test]
fn a_task_whose_placeholder_stands_is_not_complete() {
    let manifest = manifest();
    let task = manifest.get("A").unwrap();
    let check = |bytes, forced| check_completion(task, &Scanner::new(), bytes, forced);
    let refusal = check(Some(&b"x\n ###ONE###"[..]), Forced::No).unwrap_err();
    assert_eq!(
        (refusal.code, refusal.line.unwrap().get()),
        (Code::TaskUnfinished, 2)
    );
    assert!(check(Some(&b"x\n ###ONE###"[..]), Forced::Yes).is_ok());
    assert!(check(Some(&b"###TWO###"[..]), Forced::No).is_ok());
    assert!(check(None, Forced::No).is_ok());
}
