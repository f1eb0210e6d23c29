//! `scan`, `inject`, `task` and `order` through the program.

use serde_json::json;

use crate::orchestrator::{Fault, Orchestrator};
use crate::tree::Tree;

const PAYLOAD: &str = r#"{"INIT": "set it up", "BODY": "fill in\nthe body"}"#;

fn template() -> Tree {
    Tree::new(&[
        ("src/a.ts", "import x\r\n\t// ###INIT###\r\n"),
        ("b.py", "def f():\n    # /** BODY **/\n    # ###INIT###"),
        (".hidden/c.md", "###OTHER###\n"),
        ("node_modules/d.ts", "###INIT###\n"),
        (".gitignore", ".hidden\n"),
        ("payload.json", PAYLOAD),
    ])
}

#[test]
fn scan_lists_places_and_what_the_payload_knows() {
    let tree = template();
    let said = tree.run(&["scan", "--payload", "payload.json"]).exits(0);
    assert_eq!(
        said.out,
        ".hidden/c.md:1:1: OTHER unknown\nb.py:2:7: BODY\nb.py:3:7: INIT duplicate\nsrc/a.ts:2:5: INIT duplicate\n"
    );
    assert!(
        said.err.contains("4 placeholders of 3 ids in 3 files"),
        "{}",
        said.err
    );
    let said = tree
        .run(&[
            "scan",
            "--output",
            "json",
            "src",
            "--payload",
            "payload.json",
        ])
        .exits(0);
    assert_eq!(
        said.json(),
        json!({"id": "INIT", "syntax": "hash", "file": "src/a.ts", "line": 2, "column": 5, "status": "known"})
    );
    assert_eq!(
        tree.run(&["scan", "--all-directories", "--include", "*.ts"])
            .exits(0)
            .out
            .lines()
            .count(),
        2
    );
    let said = tree
        .run(&[
            "scan",
            "--exclude",
            "*.py",
            "--syntax",
            "import (?<id>[a-z])",
        ])
        .exits(0);
    assert!(said.out.contains("src/a.ts:1:1: x\n"), "{}", said.out);
    tree.write("ids", "BODY\nGONE\n");
    let said = tree.run(&["scan", "--ids", "ids"]).exits(0);
    assert_eq!(said.out, "b.py:2:7: BODY\n");
    assert!(said.err.contains("missing: GONE"), "{}", said.err);
    tree.run(&["scan", "nowhere"]).exits(1);
    tree.run(&["scan", "--syntax", "x"]).exits(2);
    assert!(!tree.root().join(".mission_control").try_exists().unwrap());
}

#[test]
fn injecting_twice_is_once_and_undo_and_removal_restore_every_byte() {
    let tree = template();
    let before = tree.files();
    let dry = tree
        .run(&["inject", "--payload", "payload.json", "--dry-run"])
        .exits(0);
    assert!(
        dry.out
            .contains("+    # agent: fill in\n+    #   the body\n"),
        "{}",
        dry.out
    );
    assert_eq!(tree.files(), before);
    let report = tree
        .run(&["inject", "--payload", "payload.json", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(report["status"], "applied");
    assert_eq!(report["operations"].as_array().unwrap().len(), 3);
    assert_eq!(
        tree.read("src/a.ts"),
        "import x\r\n\t/** agent: set it up **/\r\n\t// ###INIT###\r\n"
    );
    assert_eq!(
        tree.read("b.py"),
        "def f():\n    # agent: fill in\n    #   the body\n    # /** BODY **/\n    # agent: set it up\n    # ###INIT###"
    );
    let once = tree.files();
    for _ in 0..3 {
        let report = tree
            .run(&["inject", "--payload", "payload.json", "--output", "json"])
            .exits(0)
            .json();
        assert_eq!(report["status"], "unchanged");
        assert_eq!(report["operations"][0]["outcome"], "already_applied");
    }
    assert_eq!(tree.files(), once);
    tree.run(&["inject", "--payload", "payload.json", "--remove"])
        .exits(0);
    assert_eq!(tree.files(), before);
}

#[test]
fn a_changed_prompt_is_renewed_and_an_edited_comment_refused() {
    let tree = template();
    tree.run(&["inject", "--payload", "payload.json"]).exits(0);
    tree.write(
        "new.json",
        r#"{"INIT": "another", "BODY": "fill in\nthe body"}"#,
    );
    tree.run(&["inject", "--payload", "new.json"]).exits(0);
    assert!(
        tree.read("src/a.ts")
            .contains("\t/** agent: another **/\r\n\t// ###INIT###")
    );
    assert!(!tree.read("b.py").contains("set it up"));
    tree.write(
        "src/a.ts",
        &tree.read("src/a.ts").replace("another", "mine"),
    );
    let before = tree.files();
    let said = tree.run(&["inject", "--payload", "payload.json"]).exits(1);
    assert!(
        said.err.contains("COMMENT_EDITED") && said.err.contains("src/a.ts line 2"),
        "{}",
        said.err
    );
    assert_eq!(tree.files(), before);
    // The part that can be renewed is, if the operator says so.
    tree.run(&["inject", "--payload", "payload.json", "--partial"])
        .exits(6);
    assert!(tree.read("b.py").contains("set it up") && tree.read("src/a.ts").contains("mine"));
    tree.run(&["inject", "--payload", "payload.json", "--overwrite"])
        .exits(0);
    assert!(tree.read("src/a.ts").contains("set it up"));
    // A fresh clone has the manifest alone of our state, and still knows what was injected.
    let manifest = tree.read(".mission_control/tasks.json");
    std::fs::remove_dir_all(tree.root().join(".mission_control")).unwrap();
    tree.write(".mission_control/tasks.json", &manifest);
    tree.run(&["inject", "--payload", "new.json"]).exits(0);
    assert!(tree.read("src/a.ts").contains("another"));
}

#[test]
fn what_cannot_be_marked_refuses_the_whole() {
    let tree = template();
    tree.write("data.json", "{\"x\": \"###BODY###\"}\n");
    let before = tree.files();
    let said = tree.run(&["inject", "--payload", "payload.json"]).exits(1);
    assert!(
        said.err.contains("NO_COMMENT_SYNTAX") && said.err.contains("data.json line 1"),
        "{}",
        said.err
    );
    assert_eq!(tree.files(), before);
    tree.run(&["inject", "--payload", "payload.json", "--exclude", "*.json"])
        .exits(0);
    tree.write("more.json", r#"{"INIT": "x", "NOWHERE": "y"}"#);
    let said = tree.run(&["inject", "--payload", "more.json"]).exits(1);
    assert!(
        said.err.contains("PLACEHOLDER_NOT_FOUND") && said.err.contains("NOWHERE"),
        "{}",
        said.err
    );
    let said = tree
        .run(&["inject", "--payload", "more.json", "--partial"])
        .exits(6);
    assert!(said.err.contains("NOWHERE"), "{}", said.err);
    assert!(tree.read("src/a.ts").contains("agent: x"));
    tree.write("bad.json", r#"{"low": 1}"#);
    assert!(
        tree.run(&["inject", "--payload", "bad.json"])
            .exits(2)
            .err
            .contains("$.low")
    );
}

#[test]
fn placeholders_of_an_own_syntax_are_marked() {
    let tree = Tree::new(&[
        ("a.py", "x = '{{ name }}'\n"),
        ("p.json", r#"{"name": "say {{ name }} or {{ other }}"}"#),
    ]);
    let syntax = [
        "--syntax",
        r"\{\{ (?<id>[a-z]+) \}\}",
        "--payload",
        "p.json",
    ];
    let known = tree
        .run(&[&["scan", "--include", "*.py"][..], &syntax].concat())
        .exits(0);
    assert_eq!(known.out, "a.py:1:6: name\n");
    let inject = [&["inject", "--include", "*.py"][..], &syntax].concat();
    tree.run(&inject).exits(0);
    assert_eq!(
        tree.read("a.py"),
        "# agent: say { { name }} or { { other }}\nx = '{{ name }}'\n"
    );
    tree.run(&inject).exits(0);
    assert_eq!(tree.read("a.py").matches("agent").count(), 1);
    // Without it such a name is a mistake.
    tree.run(&["inject", "--payload", "p.json"]).exits(2);
}

const TASKS: &str = r####"{"order_id": "ORD-1", "tasks": [
  {"uuid": "u-1", "order_id": "ORD-1", "file_path": "src/a.ts", "placeholder": "INIT", "instruction": "do\nit", "status": "pending", "extra": 1.50},
  {"uuid": "u-2", "order_id": "ORD-1", "file_path": "b.py", "placeholder": "BODY", "status": "pending"}
]}"####;

fn with_tasks() -> Tree {
    let tree = template();
    tree.write(".mission_control/tasks.json", TASKS);
    tree
}

#[test]
fn tasks_are_marked_and_their_rules_hold() {
    let tree = with_tasks();
    tree.run(&["inject", "--tasks"]).exits(0);
    assert!(
        tree.read("src/a.ts")
            .contains("\t/* TASK_ID:u-1 – see .mission_control/tasks.json */\r\n\t// ###INIT###")
    );
    assert!(tree.read("b.py").contains("    # TASK_ID:u-2 – see"));
    let status = tree
        .run(&["inject", "--tasks", "--output", "json"])
        .exits(0)
        .json()["status"]
        .clone();
    assert_eq!(status, "unchanged");
    // Removing another task's placeholder is refused, one's own is not.
    let line = [
        "replace-text",
        "src/a.ts",
        "--find",
        "###INIT###",
        "--content",
        "done",
    ];
    let said = tree.run(&line).exits(1);
    assert!(
        said.err.contains("PLACEHOLDER_LOST") && said.err.contains("u-1"),
        "{}",
        said.err
    );
    let with = |task| [&line[..], &["--task-id", task]].concat();
    assert!(
        tree.run(&with("u-2"))
            .exits(1)
            .err
            .contains("TASK_FILE_MISMATCH")
    );
    assert!(tree.run(&with("u-9")).exits(1).err.contains("TASK_UNKNOWN"));
    let said = tree.run(&["task", "complete", "u-1"]).exits(1);
    assert!(
        said.err.contains("TASK_UNFINISHED") && said.err.contains("src/a.ts line 3"),
        "{}",
        said.err
    );
    tree.run(&with("u-1")).exits(0);
    tree.run(&["task", "complete", "u-1"]).exits(0);
    assert!(
        tree.run(&["append", "src/a.ts", "--content", "x", "--task-id", "u-1"])
            .exits(1)
            .err
            .contains("TASK_CLOSED")
    );
    assert!(
        tree.run(&["append", "payload.json", "--content", "x", "--require-task"])
            .exits(1)
            .err
            .contains("TASK_REQUIRED")
    );
    tree.run(&["task", "complete", "u-2", "--force"]).exits(0);
    let bad = r#"{"tasks": [{"uuid": "u", "file_path": "../x", "placeholder": "A"}, {"uuid": "v", "file_path": "b.py"}]}"#;
    tree.write(".mission_control/tasks.json", bad);
    assert!(
        tree.run(&["inject", "--tasks"])
            .exits(1)
            .err
            .contains("PATH_ESCAPE")
    );
    let said = tree.run(&["inject", "--tasks", "--partial"]).exits(6);
    assert!(
        said.err.contains("task v names no placeholder of b.py"),
        "{}",
        said.err
    );
}

#[test]
fn completing_a_task_takes_its_comments_out() {
    let tree = with_tasks();
    let before = tree.read("src/a.ts");
    tree.run(&["inject", "--tasks"]).exits(0);
    tree.run(&["inject", "--payload", "payload.json"]).exits(0);
    assert!(
        tree.read("src/a.ts").contains("agent: ") && tree.read("src/a.ts").contains("TASK_ID:u-1")
    );
    // A formatter may have been there, and other code with the placeholder's.
    let done = tree
        .read("src/a.ts")
        .replace("// ###INIT###", "start();")
        .replace("\t/** agent", "\r\n    /** agent");
    tree.write("src/a.ts", &done);
    tree.run(&["task", "complete", "u-1"]).exits(0);
    let cleared = before
        .replace("// ###INIT###", "start();")
        .replace("\tstart", "\r\n\tstart");
    assert_eq!(tree.read("src/a.ts"), cleared);
    tree.run(&["undo"]).exits(0);
    assert_eq!(tree.read("src/a.ts"), done);
    // Again, and twice is once.
    tree.run(&["task", "complete", "u-1"]).exits(0);
    tree.run(&["task", "complete", "u-1"]).exits(0);
    assert_eq!(tree.read("src/a.ts"), cleared);
    // One that somebody edited stays.
    let edited = tree
        .read("b.py")
        .replace("TASK_ID:u-2", "TASK_ID:u-2 (mine)")
        .replace("# /** BODY **/", "pass");
    tree.write("b.py", &edited);
    let said = tree.run(&["task", "complete", "u-2"]).exits(0);
    assert!(
        said.err.contains("b.py line 2") && said.err.contains("edited by hand"),
        "{}",
        said.err
    );
    let left = edited.replace("    # agent: fill in\n    #   the body\n", "");
    assert!(left != edited && left.contains("(mine)") && left.contains("set it up"));
    assert_eq!(tree.read("b.py"), left);
    assert_eq!(
        tree.run(&["task", "status", "u-2"]).exits(0).out,
        "complete\n"
    );
}

#[test]
fn a_check_tells_what_is_out_of_date() {
    let tree = template();
    let check = ["inject", "--payload", "payload.json", "--check"];
    let before = tree.files();
    tree.run(&check).exits(5);
    assert_eq!(tree.files(), before);
    tree.run(&["inject", "--payload", "payload.json"]).exits(0);
    tree.run(&check).exits(0);
    tree.write(
        "src/a.ts",
        &tree.read("src/a.ts").replace("set it up", "mine"),
    );
    tree.run(&check).exits(5);
    tree.run(&["inject", "--payload", "payload.json", "--overwrite"])
        .exits(0);
    tree.run(&check).exits(0);
    tree.write("more.json", r#"{"INIT": "set it up", "NOWHERE": "y"}"#);
    tree.run(&["inject", "--payload", "more.json", "--check"])
        .exits(5);
    tree.write("data.json", "{\"x\": \"###BODY###\"}\n");
    tree.run(&check).exits(1);
    tree.run(&["inject", "--payload", "payload.json", "--check", "--remove"])
        .exits(2);
}

#[test]
fn a_check_tells_of_comments_without_placeholder_or_task() {
    let tree = with_tasks();
    tree.write("data/mine.py", "# agent: mine, nobody injected it\nx = 1\n");
    tree.run(&["inject", "--payload", "payload.json"]).exits(0);
    tree.run(&["inject", "--tasks"]).exits(0);
    let checks = [
        ["inject", "--payload", "payload.json", "--check"].as_slice(),
        &["inject", "--tasks", "--check"],
    ];
    for check in checks {
        let said = tree.run(check).exits(0);
        assert!(!said.err.contains("orphaned"), "{}", said.err);
    }
    // A placeholder that is gone, and one that still stands elsewhere.
    let text = tree.read("src/a.ts");
    tree.write("src/a.ts", &text.replace("// ###INIT###", "start();"));
    tree.write("c.py", "# ###INIT###\n");
    tree.run(&["inject", "--payload", "payload.json"]).exits(0);
    let said = tree.run(checks[0]).exits(5);
    assert!(
        said.err.contains("src/a.ts line") && said.err.contains("placeholder INIT, which is not"),
        "{}",
        said.err
    );
    let in_json = |check: &[&str]| {
        let json = tree
            .run(&[check, &["--output", "json"]].concat())
            .exits(5)
            .json();
        let schema = patchcore::schema::of("Report").unwrap();
        assert!(jsonschema::is_valid(&schema, &json), "{json:#}");
        json["orphans"].clone()
    };
    let said = in_json(checks[0]);
    let [orphan, task] = said.as_array().unwrap().as_slice() else {
        panic!("{said:#}");
    };
    assert_eq!(orphan["code"], "PLACEHOLDER_NOT_FOUND");
    assert_eq!(task["line"], 3);
    assert_eq!(
        (&orphan["file"], &orphan["line"]),
        (&json!("src/a.ts"), &json!(2))
    );
    assert!(
        orphan["found"].to_string().contains("agent: set it up"),
        "{orphan:#}"
    );
    // One that somebody edited besides is known by its name, or is nobody's.
    tree.write("src/a.ts", &text);
    tree.run(checks[0]).exits(0);
    tree.write("src/a.ts", &text.replace("set it up", "mine"));
    let json = tree
        .run(&[checks[0], &["--output", "json"]].concat())
        .exits(5)
        .json();
    assert_eq!(
        json["operations"][3]["refusal"]["code"], "COMMENT_EDITED",
        "{json:#}"
    );
    assert_eq!(json.get("orphans"), None);
    tree.write("src/a.ts", &text);
    tree.run(checks[0]).exits(0);
    // A task that is done, whose comment somebody brought back.
    let before = tree.read("b.py");
    tree.run(&["task", "complete", "u-2", "--force"]).exits(0);
    tree.write("b.py", &before);
    let said = tree.run(checks[1]).exits(5);
    assert!(
        said.err.contains("b.py line 4") && said.err.contains("task u-2, which is not open"),
        "{}",
        said.err
    );
    let said = in_json(checks[1]);
    assert_eq!(
        (&said[0]["file"], &said[0]["line"]),
        (&json!("b.py"), &json!(4))
    );
    assert_eq!(said.as_array().unwrap().len(), 1);
}

#[test]
fn task_commands_read_and_write_the_manifest() {
    let tree = with_tasks();
    assert_eq!(
        tree.run(&["task", "list"]).exits(0).out,
        "u-1\tpending\tsrc/a.ts\tINIT\tdo\nu-2\tpending\tb.py\tBODY\t\n"
    );
    assert_eq!(
        tree.run(&["task", "start", "u-2"]).exits(0).out,
        "in_progress\n"
    );
    assert_eq!(
        tree.run(&["task", "list", "--status", "pending"])
            .exits(0)
            .out
            .lines()
            .count(),
        1
    );
    assert!(
        tree.run(&["task", "get", "u-1", "--output", "json"])
            .exits(0)
            .out
            .contains("\"extra\":1.50")
    );
    assert!(
        tree.run(&["task", "get", "u-1"])
            .exits(0)
            .out
            .contains("instruction\tdo it\n")
    );
    assert_eq!(
        tree.run(&["task", "status", "u-2"]).exits(0).out,
        "in_progress\n"
    );
    tree.run(&["task", "block", "u-2"]).exits(0);
    assert_eq!(
        tree.run(&["task", "status", "u-2", "--output", "json"])
            .json()["status"],
        "blocked"
    );
    assert!(
        tree.run(&["task", "get", "u"])
            .exits(1)
            .err
            .contains("TASK_UNKNOWN")
    );
    assert!(
        tree.read(".mission_control/tasks.json")
            .contains("\"extra\": 1.50")
    );
    tree.run(&["task", "status", "u-2", "dancing"]).exits(2);
}

#[test]
fn the_orchestrator_hears_of_changes_sooner_or_later() {
    let orchestrator = Orchestrator::start();
    let uuids = orchestrator.order("ORD-1", &[("src/a.ts", "INIT", "x"), ("b.py", "BODY", "y")]);
    let tree = template();
    let url = orchestrator.url();
    tree.run(&["init", "ORD-1", "--factory", "f", "--orchestrator", &url])
        .exits(0);
    orchestrator.fail("/api/task/", [Fault::Status(503)]);
    let start = ["task", "start", &uuids[0], "--orchestrator", &url];
    let said = tree
        .run(&[&start[..], &["--require-delivery"]].concat())
        .exits(4);
    assert!(said.err.contains("was not told"), "{}", said.err);
    assert_eq!(orchestrator.task(&uuids[0]).unwrap()["status"], "pending");
    // The next change takes it along.
    tree.run(&["task", "block", &uuids[1], "--orchestrator", &url])
        .exits(0);
    assert_eq!(
        orchestrator.task(&uuids[0]).unwrap()["status"],
        "in_progress"
    );
    assert_eq!(orchestrator.task(&uuids[1]).unwrap()["status"], "blocked");
    assert!(!tree.read(".mission_control/tasks.json").contains("unsent"));
}

#[test]
fn questions_reach_the_orchestrator() {
    let orchestrator = Orchestrator::start();
    let uuids = orchestrator.order("ORD-1", &[("src/a.ts", "INIT", "x")]);
    let tree = template();
    let url = orchestrator.url();
    let question = ["--question", "how?", "--orchestrator", &url];
    let said = tree.run(
        &[
            &["task", "ask", &uuids[0], "--agent", "codex", "--error", "E"][..],
            &question,
        ]
        .concat(),
    );
    assert!(said.exits(0).out.contains("About «how?»"));
    let asked = orchestrator.seen_at(&format!("/api/task/{}/help", uuids[0]))[0].json();
    assert_eq!(
        asked,
        json!({"agent_name": "codex", "question": "how?", "error": "E"})
    );
    orchestrator.fail(
        "/api/ai-provider/clarify",
        [Fault::RetryAfter(503, "0".to_owned())],
    );
    let ask = [
        &[
            "ask",
            "--order-id",
            "ORD-1",
            "--context",
            "{\"file\": \"a.ts\"}",
        ][..],
        &question,
    ]
    .concat();
    let said = tree.run(&ask).exits(0);
    assert_eq!(said.json()["answer"], "Yes.");
    assert_eq!(orchestrator.seen_at("/api/ai-provider/clarify").len(), 2);
    assert_eq!(
        orchestrator.seen_at("/api/ai-provider/clarify")[1].json()["file"],
        "a.ts"
    );
    orchestrator.fail("/api/ai-provider/clarify", [Fault::Status(400)]);
    tree.run(&ask).exits(3);
    assert_eq!(orchestrator.seen_at("/api/ai-provider/clarify").len(), 3);
}

#[test]
fn an_order_is_validated_with_paths() {
    let tree = Tree::new(&[(
        "o.json",
        r#"{"id": "", "placeholder_payload": {"INIT": 3}}"#,
    )]);
    let said = tree.run(&["order", "validate", "o.json"]).exits(2);
    assert!(
        said.out.contains("$.id: is empty\n")
            && said
                .out
                .contains("$.placeholder_payload.INIT: must be text")
    );
    let said = tree
        .run(&["order", "validate", "o.json", "--output", "json"])
        .exits(2);
    assert_eq!(said.json()["valid"], false);
    tree.write("p.json", PAYLOAD);
    tree.run(&["order", "validate", "--payload", "p.json"])
        .exits(0);
    for name in ["Order", "Task", "Payload"] {
        assert_eq!(tree.run(&["schema", name]).exits(0).json()["title"], name);
    }
}
