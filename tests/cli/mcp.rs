//! `mcp`: the engine as tools over the Model Context Protocol, seen by a client.

mod session;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::orchestrator::Orchestrator;
use crate::sandbox::Sandbox;

/// A client that speaks the protocol of 2026, where every request stands alone.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    next: i64,
}

impl Client {
    pub(crate) fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        Self::spawn(sandbox.command(&[&["mcp"], arguments].concat()))
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            next: 0,
        }
    }

    fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
        input.flush().unwrap();
    }

    /// The next message; `None` where the server is gone.
    fn receive(&mut self) -> Option<Value> {
        let mut line = String::new();
        if self.output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// Sends a request, and waits for its answer.
    fn ask(&mut self, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        self.next += 1;
        let id = self.next;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&request.to_string());
        loop {
            let message = self.receive().expect("an answer");
            if message["id"] == id {
                return message;
            }
        }
    }

    /// Calls a tool: whether it is an error, and what it says.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> (bool, Value) {
        let answer = self.ask("tools/call", json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        let text = result["content"][0]["text"].as_str();
        let text = text.unwrap_or_else(|| panic!("no text: {answer}"));
        let said: Value = serde_json::from_str(text).unwrap();
        assert_eq!(
            said, result["structuredContent"],
            "text and structure agree"
        );
        (result["isError"] == true, said)
    }

    /// Ends the input, and waits for the server's end.
    pub(crate) fn end(mut self) -> i32 {
        drop(self.input.take());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

fn replace(file: &str, find: &str, content: &str) -> Value {
    json!({"operations": [{"op": "replace-text", "file": file, "find": find, "content": content}]})
}

#[test]
fn an_agent_reads_edits_is_refused_mends_and_undoes() {
    let sandbox = Sandbox::new(&[("a.txt", "one\ntwo\n"), ("b.txt", "x\n")]);
    let before = sandbox.tree();
    let mut client = Client::start(&sandbox, &["--agent", "codex"]);
    let (_, read) = client.call("read", json!({"file": "a.txt", "lines": [2, 2]}));
    assert_eq!(read["files"][0]["text"], "two\n");
    let base = &read["files"][0]["base"];
    let line = |expect: &str| {
        json!({"operations": [{"op": "replace-block", "file": "a.txt", "at": {"lines": [2, 2]},
                               "expect": expect, "content": "zwei"}]})
    };
    let (failed, refused) = client.call("edit", line("tow"));
    assert!(failed);
    let refusal = &refused["operations"][0]["refusal"];
    assert_eq!(refusal["code"], "EXPECT_MISMATCH");
    assert_eq!(refusal["found"], "two\n", "it shows what stands there");
    let mut guarded = line("two");
    guarded["base"] = json!({"a.txt": base});
    let (failed, checked) = client.call("check", guarded.clone());
    assert!(!failed);
    assert_eq!(checked["status"], "previewed");
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
    let (failed, edited) = client.call("edit", guarded.clone());
    assert!(!failed, "{edited}");
    assert_eq!(edited["status"], "applied");
    assert_eq!(sandbox.read("a.txt"), "one\nzwei\n");
    // Sent again, it is known.
    assert_eq!(client.call("edit", guarded).1["status"], "unchanged");
    let patch = "--- a/b.txt\n+++ b/b.txt\n@@ -1 +1 @@\n-x\n+y\n";
    assert!(!client.call("edit", json!({"patch": patch})).0);
    assert_eq!(sandbox.read("b.txt"), "y\n");
    let (_, history) = client.call("history", json!({"limit": 5}));
    assert_eq!(history["entries"][0]["labels"]["agent"], "codex");
    // The log is the one that the command line reads.
    let listed = sandbox.run(&["history", "--output", "json"]).exits(0).out;
    let first: Value = serde_json::from_str(listed.lines().next().unwrap()).unwrap();
    assert_eq!(history["entries"][0], first);
    // Somebody else's edit is not what the agent takes back.
    let other = [
        "create-file",
        "c.txt",
        "--content",
        "z\n",
        "--agent",
        "other",
    ];
    sandbox.run(&other).exits(0);
    for _ in 0..2 {
        assert_eq!(client.call("undo", json!({})).1["status"], "applied");
    }
    let (failed, none) = client.call("undo", json!({}));
    assert!(failed, "{none}");
    let after: Vec<_> = sandbox.tree().into_iter().collect();
    for (path, file) in before {
        assert!(
            after.contains(&(path.clone(), file)),
            "{path:?} is as it was"
        );
    }
    assert_eq!(sandbox.read("c.txt"), "z\n");
    assert_eq!(client.end(), 0);
}

#[test]
fn a_patch_in_any_format_is_held_to_the_base_that_comes_with_it() {
    let sandbox = Sandbox::new(&[("a.txt", "one\ntwo\n")]);
    let mut client = Client::start(&sandbox, &[]);
    let (_, read) = client.call("read", json!({"file": "a.txt"}));
    let base = json!({"./a.txt": read["files"][0]["base"]});
    // Somebody else edits meanwhile; each of these would still find its place.
    sandbox
        .run(&["append", "a.txt", "--content", "three"])
        .exits(0);
    let now = client.call("read", json!({"file": "a.txt"})).1;
    for patch in [
        "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+eins\n",
        "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+eins\n*** End Patch\n",
        r#"{"operations": [{"op": "replace-text", "file": "a.txt", "find": "one", "content": "eins"}]}"#,
    ] {
        let (failed, refused) = client.call("edit", json!({"patch": patch, "base": base}));
        assert!(failed, "{patch}: {refused}");
        assert_eq!(
            refused["operations"][0]["refusal"]["code"], "BASE_MISMATCH",
            "{refused}"
        );
        assert_eq!(sandbox.read("a.txt"), "one\ntwo\nthree\n");
        let base = json!({"a.txt": now["files"][0]["base"]});
        let (failed, applied) = client.call("edit", json!({"patch": patch, "base": base}));
        assert!(!failed, "{patch}: {applied}");
        assert_eq!(sandbox.read("a.txt"), "eins\ntwo\nthree\n");
        assert!(!client.call("undo", json!({})).0);
    }
    client.end();
}

#[test]
fn the_protocol_of_2026_demands_its_metadata_and_that_of_2025_its_handshake() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&sandbox, &[]);
    client.send(r#"{"jsonrpc":"2.0","id":"x","method":"tools/list","params":{}}"#);
    let answer = client.receive().unwrap();
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!("x"), &json!(-32602))
    );
    // No discovery is needed before a call.
    assert!(!client.call("read", json!({"file": "a.txt"})).0);
    let found = client.ask("server/discover", json!({}));
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")) && versions.contains(&json!("2025-11-25")));
    assert_eq!(client.end(), 0);

    let mut client = Client::start(&sandbox, &[]);
    client.send(
        &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        }})
        .to_string(),
    );
    let answer = client.receive().unwrap();
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    client.send(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#);
    let answer = client.receive().unwrap();
    assert_eq!(answer["result"]["tools"].as_array().unwrap().len(), 9);
    assert_eq!(client.end(), 0);
}

#[test]
fn tools_say_what_they_do_and_resources_hold_the_schemas() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&sandbox, &[]);
    let tools = client.ask("tools/list", json!({}));
    for tool in tools["result"]["tools"].as_array().unwrap() {
        let looks = ["read", "check", "history", "scan", "tasks", "ask"];
        let is_read_only = looks.contains(&tool["name"].as_str().unwrap());
        assert_eq!(tool["annotations"]["readOnlyHint"], is_read_only, "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
    }
    let listed = client.ask("resources/list", json!({}));
    for resource in listed["result"]["resources"].as_array().unwrap() {
        let read = client.ask("resources/read", json!({"uri": resource["uri"]}));
        let text = read["result"]["contents"][0]["text"].as_str().unwrap();
        let schema: Value = serde_json::from_str(text).unwrap();
        let name = resource["name"].as_str().unwrap();
        assert_eq!(sandbox.run(&["schema", name]).exits(0).json(), schema);
    }
    let missing = client.ask("resources/read", json!({"uri": "patchctl://schema/../x"}));
    assert_eq!(missing["error"]["code"], -32602);
    client.end();
}

#[test]
fn what_cannot_be_read_is_answered_and_nothing_is_done() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let before = sandbox.tree();
    let mut client = Client::start(&sandbox, &[]);
    let mut code = |line: &str| {
        client.send(line);
        let answer = client.receive().unwrap();
        (answer["id"].clone(), answer["error"]["code"].clone())
    };
    assert_eq!(code("{"), (Value::Null, json!(-32700)));
    assert_eq!(
        code(r#"{"id":3,"method":"\ud800"}"#),
        (json!(3), json!(-32700))
    );
    assert_eq!(code("[]"), (Value::Null, json!(-32600)));
    assert_eq!(code(r#"{"id":4}"#), (json!(4), json!(-32600)));
    // Of two equal keys one would be dropped without a word.
    let twice = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"edit","arguments":
        {"operations":[{"op":"append","file":"a.txt","content":"x","content":"y"}]}}}"#;
    assert_eq!(code(&twice.replace('\n', " ")), (json!(5), json!(-32600)));
    let deep = format!(
        "{{\"id\":6,\"x\":{}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(code(&deep).0, json!(6));
    // Read, this would take a hundred times its room.
    let many = format!(
        r#"{{"jsonrpc":"2.0","id":8,"method":"x","params":[{}0]}}"#,
        "[],".repeat(2_000_000)
    );
    assert_eq!(code(&many), (json!(8), json!(-32600)));
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"x","params":"{}"}}"#,
        "x".repeat(17 << 20)
    );
    assert_eq!(code(&long), (json!(7), json!(-32600)));
    for arguments in [
        json!({}),
        json!({"operations": [{"op": "nonsense"}]}),
        json!({"operations": "[]"}),
        json!({"operations": [{"op": "append", "file": "../x", "content": "x"}]}),
        json!({"operations": [{"op": "append", "file": ".git/config", "content": "x"}], "allow_path": [".git"]}),
    ] {
        let (failed, said) = client.call("edit", arguments.clone());
        assert!(failed, "{arguments}: {said}");
        assert_eq!(said["status"], "refused");
    }
    let unknown = client.ask("tools/call", json!({"name": "shell", "arguments": {}}));
    assert_eq!(unknown["error"]["code"], -32602);
    client.end();
    let mut after = sandbox.tree();
    after.retain(|path, _| before.contains_key(path));
    assert_eq!(after, before);
}

#[test]
fn requests_of_another_form_are_told_from_methods_that_are_not_there() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&sandbox, &[]);
    for params in [
        json!({"name": 1}),
        json!({"name": "read", "arguments": []}),
        json!({"name": "read", "arguments": "x"}),
        json!({}),
    ] {
        let answer = client.ask("tools/call", params.clone());
        assert_eq!(answer["error"]["code"], -32602, "{params}: {answer}");
    }
    // A request that says its version has no handshake.
    for method in ["tools/shell", "initialize"] {
        let answer = client.ask(method, json!({}));
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
    }
    let answer = client.ask("resources/read", json!({"uri": "patchctl://schema/None"}));
    let uri = &answer["error"]["data"]["uri"];
    assert_eq!(uri, "patchctl://schema/None", "{answer}");
    client.end();
}

#[test]
fn a_request_whose_id_is_in_use_is_answered_and_not_carried_out() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&sandbox, &["--verify", "sleep 1"]);
    let call = |text: &str| {
        json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
            "name": "edit",
            "arguments": {"operations": [{"op": "append", "file": "a.txt", "content": text}]},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }})
        .to_string()
    };
    client.send(&call("first"));
    client.send(&call("second"));
    let refused = client.receive().unwrap();
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!(7), &json!(-32600))
    );
    let applied = client.receive().unwrap();
    assert_eq!(applied["result"]["structuredContent"]["status"], "applied");
    assert_eq!(client.end(), 0);
    assert_eq!(sandbox.read("a.txt"), "one\nfirst\n");
}

#[test]
fn a_client_that_has_its_answer_may_use_the_id_again() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&sandbox, &[]);
    for _ in 0..500 {
        client.next = 0;
        let answer = client.ask("resources/list", json!({}));
        assert!(answer["result"].is_object(), "{answer}");
    }
    assert_eq!(client.end(), 0);
}

#[test]
fn no_batch_of_another_agent_is_taken_back() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let other = [
        "append",
        "a.txt",
        "--content",
        "x",
        "--agent",
        "other",
        "--output",
        "json",
    ];
    let id = sandbox.run(&other).exits(0).json()["batch_id"].clone();
    for agent in [&["--agent", "codex"][..], &[]] {
        let mut client = Client::start(&sandbox, agent);
        let (failed, said) = client.call("undo", json!({}));
        assert!(failed, "{agent:?}: {said}");
        if !agent.is_empty() {
            let (failed, said) = client.call("undo", json!({"batch_id": id}));
            assert!(failed, "{said}");
        }
        client.end();
    }
    assert_eq!(sandbox.read("a.txt"), "one\nx\n");
}

#[test]
fn the_operators_rules_hold_and_no_caller_changes_them() {
    let sandbox = Sandbox::new(&[
        (".git/config", "x\n"),
        ("a.txt", "one\n"),
        ("ci.yml", "x\n"),
    ]);
    let options = [
        "--allow-path",
        ".git/config",
        "--protect",
        "*.yml",
        "--task-id",
        "T1",
        "--verify",
        "! grep -q bad a.txt",
    ];
    let mut client = Client::start(&sandbox, &options);
    let append = |file: &str, text: &str| json!({"operations": [{"op": "append", "file": file, "content": text}], "task_id": "T2"});
    let (_, said) = client.call("edit", append(".git/config", "y"));
    assert_eq!(said["status"], "applied", "{said}");
    let (_, history) = client.call("history", json!({}));
    assert_eq!(history["entries"][0]["labels"]["task_id"], "T1");
    assert!(client.call("edit", append("ci.yml", "y")).0);
    let (failed, said) = client.call("edit", append("a.txt", "bad"));
    assert!(failed);
    assert_eq!(said["refusal"]["code"], "VERIFY_FAILED");
    assert_eq!(sandbox.read("a.txt"), "one\n");
    client.end();
    let plan = format!("sha256:{}", "0".repeat(64));
    assert_eq!(sandbox.run(&["mcp", "--plan", &plan]).code, 2);
}

#[test]
fn a_call_that_is_taken_back_leaves_the_tree_old_or_new() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&sandbox, &["--verify", "sleep 60"]);
    let call = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {
        "name": "edit", "arguments": replace("a.txt", "one", "two"),
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "progressToken": "p",
        },
    }});
    client.send(&call.to_string());
    // The call is at work when the first progress comes.
    let progress = client.receive().unwrap();
    assert_eq!(progress["method"], "notifications/progress");
    assert_eq!(progress["params"]["progressToken"], "p");
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":9}}"#);
    // The next edit waits for what is left of the first.
    let mut after = json!({"limit": 1, "all": true});
    after["all"] = true.into();
    loop {
        let (_, history) = client.call("history", after.clone());
        if let Some(entry) = history["entries"].get(0) {
            assert_eq!(entry["status"], "rolled_back");
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(sandbox.read("a.txt"), "one\n");
    client.end();
}

#[test]
fn a_server_that_is_asked_to_end_takes_back_what_it_verifies() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&sandbox, &["--verify", "sleep 60"]);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "edit", "arguments": replace("a.txt", "one", "two"),
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    client.send(&call.to_string());
    while sandbox.read("a.txt") == "one\n" {
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = i32::try_from(client.child.id()).unwrap();
    let pid = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(client.child.wait().unwrap().success());
    assert_eq!(sandbox.read("a.txt"), "one\n");
}

#[test]
fn tasks_are_listed_completed_and_asked_about() {
    let orchestrator = Orchestrator::start();
    let sandbox = Sandbox::new(&[("a.ts", "// ###INIT###\nlet x = 1;\n")]);
    let uuids = orchestrator.order("ORD-1", &[("a.ts", "INIT", "make it so")]);
    let url = orchestrator.url();
    sandbox
        .run(&["init", "ORD-1", "--factory", "f", "--orchestrator", &url])
        .exits(0);
    let mut client = Client::start(&sandbox, &["--orchestrator", &url]);
    let (_, tasks) = client.call("tasks", json!({"status": ["pending", "in_progress"]}));
    assert_eq!(tasks["tasks"][0]["uuid"], uuids[0].as_str());
    let (_, scan) = client.call("scan", json!({}));
    assert_eq!(scan["placeholders"][0]["id"], "INIT");
    assert_eq!(scan["placeholders"][0]["status"], "known");
    let (failed, said) = client.call("task_done", json!({"task_id": uuids[0]}));
    assert!(failed, "its placeholder still stands: {said}");
    let mut edit = replace("a.ts", "###INIT###", "done");
    edit["task_id"] = uuids[0].as_str().into();
    assert!(!client.call("edit", edit).0);
    let (failed, done) = client.call("task_done", json!({"task_id": uuids[0]}));
    assert!(!failed, "{done}");
    assert_eq!(done["status"], "complete");
    let (failed, answer) = client.call("ask", json!({"task_id": uuids[0], "question": "why?"}));
    assert!(!failed, "{answer}");
    let (failed, answer) = client.call("ask", json!({"question": "why?"}));
    assert!(failed, "{answer}");
    client.end();
}

#[test]
fn a_session_of_200_calls_with_faults_and_kills_loses_nothing() {
    let sandbox = Sandbox::new(&[("log.txt", "start\n")]);
    let mut client = Client::start(&sandbox, &["--agent", "codex"]);
    let mut expected = vec!["start".to_owned()];
    for n in 0..200 {
        let line = format!("line {n}");
        let edit = json!({
            "operations": [{"op": "append", "file": "log.txt", "content": line}],
            "batch_id": format!("b-{n}"),
        });
        match n % 5 {
            // A fault of the model's.
            1 => assert!(client.call("edit", replace("log.txt", "nowhere", "x")).0),
            // The server is killed while it works; the agent sends the call again.
            3 => {
                let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
                    "name": "edit", "arguments": edit.clone(),
                    "_meta": {
                        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                        "io.modelcontextprotocol/clientCapabilities": {},
                    },
                }});
                client.send(&call.to_string());
                std::thread::sleep(Duration::from_micros(u64::try_from(n).unwrap() * 40));
                client.child.kill().unwrap();
                client.child.wait().unwrap();
                client = Client::start(&sandbox, &["--agent", "codex"]);
            }
            _ => {}
        }
        let (failed, said) = client.call("edit", edit);
        assert!(!failed, "{said}");
        expected.push(line);
    }
    client.end();
    assert_eq!(
        sandbox.read("log.txt").lines().collect::<Vec<_>>(),
        expected
    );
    sandbox.run(&["audit"]).exits(0);
    let listed = sandbox
        .run(&["history", "-n", "1000", "--output", "json"])
        .out;
    assert_eq!(listed.lines().count(), 200, "each edit is in the log once");
}

#[test]
fn arguments_that_are_empty_or_out_of_range_are_refused_by_their_name() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&sandbox, &[]);
    let with = |name: &str| {
        json!({"operations": [
        {"op": "append", "file": "a.txt", "content": "x"}], name: ""})
    };
    for (tool, arguments, name) in [
        ("edit", with("task_id"), "task_id"),
        ("edit", with("batch_id"), "batch_id"),
        ("check", with("batch_id"), "batch_id"),
        ("undo", json!({"batch_id": ""}), "batch_id"),
        ("history", json!({"limit": 0}), "limit"),
        ("history", json!({"limit": 1001}), "limit"),
        ("history", json!({"limit": -1}), "limit"),
        ("scan", json!({"limit": 0}), "limit"),
        ("scan", json!({"limit": 10001}), "limit"),
        ("scan", json!({"paths": [""]}), "path"),
        ("tasks", json!({"limit": 0}), "limit"),
        ("tasks", json!({"status": ["done"]}), "status"),
        ("tasks", json!({"order_id": ""}), "order_id"),
        ("task_done", json!({"task_id": ""}), "task_id"),
        ("ask", json!({"question": ""}), "question"),
        ("ask", json!({"question": "x", "task_id": ""}), "task_id"),
        (
            "ask",
            json!({"question": "x", "task_id": "t", "order_id": "o"}),
            "order_id",
        ),
        (
            "ask",
            json!({"question": "x", "order_id": "o", "error": "E"}),
            "error",
        ),
        ("read", json!({"file": "a.txt", "around": ""}), "around"),
        ("read", json!({"file": "a.txt", "lines": [1]}), "lines"),
    ] {
        let (failed, said) = client.call(tool, arguments.clone());
        assert!(failed, "{tool} {arguments}: {said}");
        let why = said.to_string();
        assert!(why.contains(name), "{tool} {arguments}: {said}");
    }
    client.end();
    assert_eq!(sandbox.read("a.txt"), "one\n");
}

/// Runs a client of somebody else's against the server.
fn foreign(mut command: Command, script: &str, what: &str) {
    let sandbox = Sandbox::new(&[("a.txt", "one\ntwo\n")]);
    let root = sandbox.root();
    let done = command
        .arg(script)
        .arg(env!("CARGO_BIN_EXE_patchctl"))
        .arg(&root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let talk = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{what}: {said}{talk}");
    assert!(
        said.contains("9 tools, refused, applied, undone"),
        "{what}: {said}"
    );
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\n");
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cli/clients")
}

#[test]
fn the_python_sdk_edits_is_refused_mends_its_call_and_undoes() {
    let python = std::env::var("PATCHCTL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_sdk = Command::new(&python).args(["-c", "import mcp"]).output();
    if !has_sdk.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no package mcp");
        return;
    }
    let script = scripts().join("client.py");
    foreign(Command::new(python), script.to_str().unwrap(), "python");
}

#[test]
fn the_typescript_sdk_edits_is_refused_mends_its_call_and_undoes() {
    let modules = std::env::var_os("PATCHCTL_TEST_NODE_MODULES").map(PathBuf::from);
    let has_sdk = |modules: &PathBuf| modules.join("@modelcontextprotocol/client").is_dir();
    let Some(modules) = modules.filter(has_sdk) else {
        eprintln!(
            "skipped: PATCHCTL_TEST_NODE_MODULES names no node_modules with @modelcontextprotocol/client"
        );
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(modules, dir.path().join("node_modules")).unwrap();
    let script = dir.path().join("client.mjs");
    std::fs::copy(scripts().join("client.mjs"), &script).unwrap();
    foreign(Command::new("node"), script.to_str().unwrap(), "node");
}
