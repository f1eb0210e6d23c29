//! `init` against an orchestrator on loopback: every remediation, and a network that dies.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::orchestrator::{Fault, Orchestrator};
use crate::tree::{Said, Tree};

fn template() -> Tree {
    Tree::new(&[
        ("src/a.ts", "  // ###INIT###\n"),
        ("b.py", "# /** BODY **/\n"),
        ("data.json", "{\"x\": \"###DATA###\"}\n"),
        ("moved/c.ts", "###CONF###\n"),
    ])
}

fn init(tree: &Tree, orchestrator: &Orchestrator) -> Said {
    init_at(tree, &orchestrator.url())
}

fn init_at(tree: &Tree, url: &str) -> Said {
    tree.run(&[
        "init",
        "ORD-1",
        "--factory",
        "fab",
        "--orchestrator",
        url,
        "--output",
        "json",
    ])
}

/// How each task ended, by placeholder.
fn ended(said: &Said) -> Vec<(String, String)> {
    let answer = said.json();
    let text = |task: &Value, name: &str| task[name].as_str().unwrap_or_default().to_owned();
    let tasks = answer["tasks"].as_array().unwrap().iter();
    let mut ended: Vec<_> = tasks
        .map(|task| (text(task, "placeholder"), text(task, "outcome")))
        .collect();
    ended.sort();
    ended
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn a_whole_order_is_pulled_marked_and_logged() {
    let orchestrator = Orchestrator::start();
    let uuids = orchestrator.order("ORD-1", &[("src/a.ts", "INIT", "x"), ("b.py", "BODY", "y")]);
    let tree = template();
    let said = init(&tree, &orchestrator).exits(0);
    assert_eq!(
        ended(&said),
        pairs(&[("BODY", "injected"), ("INIT", "injected")])
    );
    assert_eq!(
        tree.read("src/a.ts"),
        format!(
            "  /* TASK_ID:{} – see .mission_control/tasks.json */\n  // ###INIT###\n",
            uuids[0]
        )
    );
    assert_eq!(tree.manifest()["order_id"], "ORD-1");
    assert_eq!(tree.manifest()["tasks"].as_array().unwrap().len(), 2);
    let logged: Vec<Value> = orchestrator.operations();
    let count = |name: &str| {
        logged
            .iter()
            .filter(|entry| entry["operation"] == name)
            .count()
    };
    assert_eq!((count("fetch_tasks"), count("inject_placeholder")), (1, 2));
    let mine = |event: &Value| event["event"] == "PATCH_APPLIED" && event["order_id"] == "ORD-1";
    let events = orchestrator.events();
    let tasks: Vec<&Value> = events
        .iter()
        .filter(|event| mine(event))
        .map(|event| &event["task_id"])
        .collect();
    assert_eq!(tasks.len(), 2);
    // Again: nothing changes.
    let files = tree.files();
    let said = init(&tree, &orchestrator).exits(0);
    assert_eq!(
        ended(&said),
        pairs(&[("BODY", "unchanged"), ("INIT", "unchanged")])
    );
    assert_eq!(tree.files(), files);
    assert!(orchestrator.errors().is_empty());
}

#[test]
fn failures_go_out_in_one_batch_and_each_remedy_is_acted_on() {
    let orchestrator = Orchestrator::start();
    orchestrator.order(
        "ORD-1",
        &[
            ("src/a.ts", "INIT", "fine"),
            ("c.ts", "CONF", "moved"),
            ("b.py", "LOST", "a batch brings it"),
            ("new.ts", "FRESH", "its file is made"),
            ("data.json", "DATA", "blocked"),
            ("gone.ts", "GONE", "nothing helps"),
            ("gone.ts", "ERR", "remediation fails"),
            ("x.ts", "EVIL", "out of the root"),
        ],
    );
    let tree = template();
    orchestrator.remediate(
        "CONF",
        json!({"action": "update_file_path", "note": "moved/c.ts"}),
    );
    orchestrator.remediate(
        "LOST",
        json!({"action": "patch_ready", "batch": {"operations": [
            {"op": "append", "file": "b.py", "content": "# ###LOST###"}
        ]}}),
    );
    orchestrator.remediate(
        "FRESH",
        json!({"action": "patch_ready", "content": "// ###FRESH###\n"}),
    );
    orchestrator.remediate(
        "DATA",
        json!({"action": "blocked", "note": "no comments in JSON"}),
    );
    orchestrator.remediate(
        "ERR",
        json!({"action": "remediation_error", "note": "model is down"}),
    );
    orchestrator.remediate(
        "EVIL",
        json!({"action": "update_file_path", "note": "../../etc/passwd"}),
    );
    let said = init(&tree, &orchestrator).exits(1);
    assert_eq!(
        ended(&said),
        pairs(&[
            ("CONF", "repaired"),
            ("DATA", "blocked"),
            ("ERR", "blocked"),
            ("EVIL", "blocked"),
            ("FRESH", "repaired"),
            ("GONE", "failed"),
            ("INIT", "injected"),
            ("LOST", "repaired"),
        ])
    );
    assert_eq!(orchestrator.seen_at("/api/factory/errors").len(), 1);
    let errors = orchestrator.errors();
    let code =
        |id: &str| errors.iter().find(|e| e["placeholder"] == id).unwrap()["error_code"].clone();
    assert_eq!(code("CONF"), "FILE_NOT_FOUND");
    assert_eq!(code("LOST"), "PLACEHOLDER_NOT_FOUND");
    assert_eq!(code("DATA"), "INJECT_FAILED");
    let lost = errors.iter().find(|e| e["placeholder"] == "LOST").unwrap();
    assert_eq!(lost["context"]["preview"], "# /** BODY **/\n");
    assert_eq!(
        (&lost["order_id"], &lost["factory"]),
        (&json!("ORD-1"), &json!("fab"))
    );
    assert!(tree.read("moved/c.ts").starts_with("/* TASK_ID:"));
    assert!(tree.read("b.py").contains("# TASK_ID:") && tree.read("b.py").contains("###LOST###"));
    assert!(tree.read("new.ts").starts_with("/* TASK_ID:"));
    assert_eq!(tree.read("data.json"), "{\"x\": \"###DATA###\"}\n");
    let manifest = tree.manifest();
    let task = |id: &str| {
        let tasks = manifest["tasks"].as_array().unwrap();
        tasks
            .iter()
            .find(|task| task["placeholder"] == id)
            .unwrap()
            .clone()
    };
    assert_eq!(task("CONF")["file_path"], "moved/c.ts");
    assert_eq!(task("DATA")["status"], "blocked");
    let uuid = task("ERR")["uuid"].as_str().unwrap().to_owned();
    assert_eq!(orchestrator.task(&uuid).unwrap()["status"], "blocked");
    // Again: what was repaired stays so, although the orchestrator still names the old path.
    let said = init(&tree, &orchestrator).exits(1);
    let again = ended(&said);
    assert_eq!(again[0], ("CONF".to_owned(), "unchanged".to_owned()));
    assert_eq!(again[1], ("DATA".to_owned(), "blocked".to_owned()));
}

#[test]
fn a_remedy_is_held_to_the_rules() {
    let orchestrator = Orchestrator::start();
    let uuids = orchestrator.order(
        "ORD-1",
        &[
            ("b.py", "BODY", "stays"),
            ("b.py", "LOST", "x"),
            ("src/a.ts", "OUT", "y"),
            ("moved/c.ts", "BAD", "z"),
        ],
    );
    let tree = template();
    // The whole file without another task's placeholder; a protected path; no batch at all.
    orchestrator.remediate(
        "LOST",
        json!({"action": "patch_ready", "content": "# ###LOST###\n"}),
    );
    orchestrator.remediate(
        "OUT",
        json!({"action": "patch_ready", "batch": {"operations": [
            {"op": "create-file", "file": ".git/hooks/x", "content": "###OUT###"}
        ]}}),
    );
    orchestrator.remediate(
        "BAD",
        json!({"action": "patch_ready", "batch": {"ops": []}}),
    );
    let said = init(&tree, &orchestrator).exits(1);
    let notes = said.out.clone();
    for expected in [
        "takes placeholder BODY",
        ".git/hooks/x",
        "the patch was refused",
    ] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    assert_eq!(
        ended(&said),
        pairs(&[
            ("BAD", "blocked"),
            ("BODY", "injected"),
            ("LOST", "blocked"),
            ("OUT", "blocked")
        ])
    );
    // The orchestrator hears that they cannot go on, and why.
    for uuid in &uuids[1..] {
        assert_eq!(orchestrator.task(uuid).unwrap()["status"], "blocked");
        let said = orchestrator.operations().into_iter().any(|operation| {
            let note = operation["details"]["note"].as_str().unwrap_or_default();
            operation["task_uuid"] == **uuid && note.contains("the patch was refused")
        });
        assert!(said, "{:?}", orchestrator.operations());
    }
    assert!(tree.read("b.py").contains("/** BODY **/"));
    assert!(!tree.root().join(".git/hooks").try_exists().unwrap());
}

#[test]
fn an_orchestrator_that_fails_once_leaves_a_state_to_go_on_from() {
    let tasks = [("src/a.ts", "INIT", "x"), ("c.ts", "CONF", "y")];
    for (prefix, fault, code) in [
        ("/api/tasks/", Fault::Status(500), 3),
        (
            "/api/tasks/",
            Fault::Body("{\"tasks\": [{}]}".to_owned()),
            3,
        ),
        ("/api/factory/errors", Fault::Status(401), 3),
        ("/api/factory/errors", Fault::Lost(502), 3),
        ("/api/factory/errors", Fault::Body("what".to_owned()), 3),
        ("/api/ops/log", Fault::Status(500), 0),
        ("/api/patches/events", Fault::Status(503), 0),
    ] {
        let orchestrator = Orchestrator::start();
        let what = format!("{prefix} {fault:?}");
        orchestrator.order("ORD-1", &tasks);
        orchestrator.remediate(
            "CONF",
            json!({"action": "update_file_path", "note": "moved/c.ts"}),
        );
        orchestrator.fail(prefix, [fault]);
        let tree = template();
        let before = tree.files();
        let said = init(&tree, &orchestrator);
        assert_eq!(said.code, code, "{what}: {} {}", said.out, said.err);
        if prefix == "/api/tasks/" {
            assert_eq!(tree.files(), before, "{what}");
        } else {
            assert!(tree.read("src/a.ts").contains("TASK_ID"), "{what}");
        }
        let said = init(&tree, &orchestrator);
        assert_eq!(said.code, 0, "{what}: {} {}", said.out, said.err);
        assert!(tree.read("moved/c.ts").contains("TASK_ID"), "{what}");
        assert_eq!(
            tree.read("src/a.ts").matches("TASK_ID").count(),
            1,
            "{what}"
        );
    }
}

#[test]
fn a_local_status_survives_until_the_orchestrator_has_it() {
    let orchestrator = Orchestrator::start();
    let uuids = orchestrator.order("ORD-1", &[("src/a.ts", "INIT", "x"), ("b.py", "BODY", "y")]);
    let tree = template();
    init(&tree, &orchestrator).exits(0);
    tree.run(&["task", "start", &uuids[0]]).exits(0);
    assert_eq!(orchestrator.task(&uuids[0]).unwrap()["status"], "pending");
    orchestrator.fail("/api/task/", [Fault::Status(500)]);
    init(&tree, &orchestrator).exits(0);
    assert_eq!(tree.manifest()["tasks"][0]["status"], "in_progress");
    assert_eq!(tree.manifest()["tasks"][0]["status_unsent"], true);
    init(&tree, &orchestrator).exits(0);
    assert_eq!(
        orchestrator.task(&uuids[0]).unwrap()["status"],
        "in_progress"
    );
    assert_eq!(tree.manifest()["tasks"][0]["status_unsent"], Value::Null);
}

/// A status stands once it is written: whatever fails then is told, and is no exit status that says
/// otherwise.
#[test]
fn a_status_that_was_told_but_could_not_be_noted_is_told_again() {
    let orchestrator = Orchestrator::start();
    let uuids = orchestrator.order("ORD-1", &[("src/a.ts", "INIT", "x"), ("b.py", "BODY", "y")]);
    let tree = template();
    init(&tree, &orchestrator).exits(0);
    let current = tree.root().join(".mission_control/txn/current");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let planted = current.clone();
    let answering = std::thread::spawn(move || {
        let mut near = listener.accept().unwrap().0;
        message(&mut near).unwrap();
        // The state cannot be written from now on.
        std::fs::create_dir_all(planted.join("manifest")).unwrap();
        let body = r#"{"status":"in_progress"}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
        write!(
            near,
            "{head}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    });
    let said = tree.run(&["task", "start", &uuids[0], "--orchestrator", &url]);
    answering.join().unwrap();
    let said = said.exits(0);
    assert_eq!(said.out, "in_progress\n");
    assert!(
        said.err.contains("once more") && said.err.contains("not written here"),
        "{}",
        said.err
    );
    assert_eq!(tree.manifest()["tasks"][0]["status"], "in_progress");
    assert_eq!(tree.manifest()["tasks"][0]["status_unsent"], true);
    // Where nothing could be written before, nothing is.
    let refused = tree.run(&["task", "start", &uuids[1]]).exits(3);
    assert!(refused.err.contains("FOREIGN_STATE"), "{}", refused.err);
    assert_eq!(tree.manifest()["tasks"][1]["status"], "pending");
    std::fs::remove_dir_all(&current).unwrap();
    init(&tree, &orchestrator).exits(0);
    assert_eq!(
        orchestrator.task(&uuids[0]).unwrap()["status"],
        "in_progress"
    );
    assert_eq!(tree.manifest()["tasks"][0]["status_unsent"], Value::Null);
}

/// A network that carries so many requests and then none: gives the URL at its near end.
fn network(orchestrator: &Orchestrator, requests: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let far = orchestrator
        .url()
        .strip_prefix("http://")
        .unwrap()
        .to_owned();
    std::thread::spawn(move || {
        let mut left = requests;
        for near in listener.incoming() {
            let mut near = near.unwrap();
            while left > 0 {
                let Some(request) = message(&mut near) else {
                    break;
                };
                let mut far = TcpStream::connect(&far).unwrap();
                far.write_all(&request).unwrap();
                let Some(answer) = message(&mut far) else {
                    break;
                };
                left -= 1;
                if near.write_all(&answer).is_err() {
                    break;
                }
            }
            // What is dropped here with bytes unread is reset.
            if left == 0 {
                return;
            }
        }
    });
    url
}

/// One HTTP message, its length announced.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some(head) = text.find("\r\n\r\n") {
            let announced = text[..head].split("content-length:").nth(1);
            let length: usize = announced
                .and_then(|rest| rest.lines().next()?.trim().parse().ok())
                .unwrap_or(0);
            if bytes.len() >= head + 4 + length {
                return Some(bytes);
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

#[test]
fn a_network_that_dies_after_any_request_loses_nothing() {
    let run = |requests: Option<usize>| {
        let orchestrator = Orchestrator::start();
        orchestrator.order(
            "ORD-1",
            &[
                ("src/a.ts", "INIT", "x"),
                ("c.ts", "CONF", "y"),
                ("b.py", "LOST", "z"),
                ("data.json", "DATA", "w"),
            ],
        );
        orchestrator.remediate(
            "CONF",
            json!({"action": "update_file_path", "note": "moved/c.ts"}),
        );
        orchestrator.remediate(
            "LOST",
            json!({"action": "patch_ready", "content": "# ###LOST###\n"}),
        );
        orchestrator.remediate("DATA", json!({"action": "blocked", "note": "no"}));
        let tree = template();
        let mut died = false;
        if let Some(requests) = requests {
            let said = init_at(&tree, &network(&orchestrator, requests));
            assert!(
                matches!(said.code, 1 | 3),
                "{requests}: {} {}",
                said.out,
                said.err
            );
            died = said.code == 3;
        }
        init(&tree, &orchestrator).exits(1);
        // Task ids differ from run to run.
        let files: Vec<(String, String)> = tree
            .files()
            .into_iter()
            .map(|(path, bytes)| {
                let text = String::from_utf8(bytes).unwrap();
                let lines = text.lines().map(|line| match line.find("TASK_ID:") {
                    Some(at) => &line[..at + 8],
                    None => line,
                });
                (path, lines.collect::<Vec<_>>().join("\n"))
            })
            .collect();
        let ends = ended(&init(&tree, &orchestrator));
        (files, ends, died)
    };
    let (files, ends, _) = run(None);
    assert!(
        files
            .iter()
            .any(|(path, text)| path == "moved/c.ts" && text.contains("TASK_ID"))
    );
    let mut deaths = 0;
    for requests in 0..8 {
        let after = run(Some(requests));
        assert_eq!(after.0, files, "after {requests} requests");
        assert_eq!(after.1, ends, "after {requests} requests");
        deaths += usize::from(after.2);
    }
    assert!(deaths >= 2);
}

#[test]
fn errors_show_nothing_of_files_that_are_kept_back() {
    let orchestrator = Orchestrator::start();
    let files = [
        ".env",
        "sub/.env.local",
        "ignored/x.txt",
        "plain.txt",
        "secret.txt",
    ];
    let tasks = files.map(|file| (file, "LOST", "x"));
    orchestrator.order("ORD-1", &tasks);
    let tree = Tree::new(&files.map(|file| (file, "hunter2\n")));
    std::fs::write(tree.root().join(".gitignore"), "ignored/\n").unwrap();
    let url = orchestrator.url();
    let protect = [
        "init",
        "ORD-1",
        "--factory",
        "f",
        "--orchestrator",
        &url,
        "--protect",
        "secret.*",
    ];
    tree.run(&protect).exits(1);
    let errors = orchestrator.errors();
    assert_eq!(errors.len(), files.len(), "{errors:?}");
    for error in errors {
        let shown = error.to_string().contains("hunter2");
        assert_eq!(shown, error["file_path"] == "plain.txt", "{error}");
    }
}

#[test]
fn a_remedy_is_held_to_what_the_operator_protects() {
    let orchestrator = Orchestrator::start();
    orchestrator.order("ORD-1", &[("src/a.ts", "OUT", "y")]);
    let tree = template();
    orchestrator.remediate(
        "OUT",
        json!({"action": "patch_ready", "batch": {"operations": [
            {"op": "create-file", "file": ".github/workflows/x.yml", "content": "on: push"}
        ]}}),
    );
    let url = orchestrator.url();
    let said = tree.run(&[
        "init",
        "ORD-1",
        "--factory",
        "f",
        "--orchestrator",
        &url,
        "--protect",
        "ci",
    ]);
    let said = said.exits(1);
    assert!(said.out.contains("the patch was refused"), "{}", said.out);
    assert!(!tree.root().join(".github").try_exists().unwrap());
}
