//! The same batch through the command line, MCP and HTTP gives the same tree, record and report.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::corpus::Ready;
use crate::mcp::Client;
use crate::sandbox::Sandbox;
use crate::serve::Server;

/// The log's last entry, without what differs from run to run.
fn record(root: &Path, has_id: bool) -> Value {
    let listed = Command::new(env!("CARGO_BIN_EXE_patchctl"))
        .args(["history", "--all", "--output", "json", "-n", "1", "--root"])
        .arg(root)
        .output()
        .unwrap();
    let first = listed
        .stdout
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    let mut record: Value = serde_json::from_slice(first).unwrap_or_default();
    if let Some(record) = record.as_object_mut() {
        record.remove("transaction");
        record.remove("at");
        if !has_id {
            record.remove("batch_id");
        }
    }
    record
}

/// The options of a case that its operator starts a server with, and the plan that its caller
/// expects: that says something of one batch, so it goes along with the call.
fn options(case: &Ready) -> (Vec<&str>, Option<&str>) {
    let mut started = Vec::new();
    let mut plan = None;
    let mut args = case.args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "--plan" => plan = args.next(),
            _ => started.push(arg),
        }
    }
    (started, plan)
}

fn server(root: &Path, command: &str, case: &Ready) -> Command {
    let mut server = Command::new(env!("CARGO_BIN_EXE_patchctl"));
    server
        .arg(command)
        .args(options(case).0)
        .arg("--root")
        .arg(root);
    server.env_remove("PATCHCTL_ROOT");
    server
}

/// What a call came to: the exit status of `apply` that it says, as far as it does, and the report.
type Said = (Vec<i32>, Value);

fn over_http(root: &Path, case: &Ready) -> Said {
    let mut command = server(root, "serve", case);
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command);
    let mut call = "/api/patches/apply?diff=false".to_owned();
    if let Some(plan) = options(case).1 {
        call.push_str(&format!("&plan={plan}"));
    }
    for [name, value] in &case.said {
        call.push_str(&format!("&{name}={value}"));
    }
    let answer = server.post(&call, &case.batch);
    let exits = match answer.status {
        200 => vec![0, 4, 6],
        409 => vec![1],
        400 => vec![2],
        413 => vec![1, 2],
        503 => vec![3],
        status => panic!("{}: {status}", case.name),
    };
    (exits, answer.json())
}

fn over_mcp(root: &Path, case: &Ready, mut arguments: Value) -> Said {
    if let Some(plan) = options(case).1 {
        arguments["plan"] = plan.into();
    }
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "edit", "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("input");
    std::fs::write(&input, format!("{call}\n")).unwrap();
    let said = server(root, "mcp", case)
        .stdin(std::fs::File::open(&input).unwrap())
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&said.stdout).unwrap();
    let result = &answer["result"];
    let exits = match result["isError"] == true {
        true => vec![1, 2, 3],
        false => vec![0, 4, 6],
    };
    (exits, result["structuredContent"].clone())
}

/// The arguments of `edit` that carry a batch as it is. A message is text: what is no UTF-8 cannot
/// be in one. Nor does a tool take a format or file beside a patch.
fn as_patch(case: &Ready) -> Option<Value> {
    let patch = std::str::from_utf8(&case.batch).ok()?;
    case.said.is_empty().then(|| json!({"patch": patch}))
}

/// Those that carry its operations by themselves. Of a batch with faults they are another text, in
/// which these stand elsewhere; of equal keys, and of halves of a character, none is in a message.
fn as_operations(case: &Ready, report: &Value) -> Option<Value> {
    let batch: Value = serde_json::from_slice(&case.batch).ok()?;
    let mut names = batch.as_object()?.keys();
    let is_passed = |name: &String| ["operations", "base", "batch_id"].contains(&&**name);
    (names.all(is_passed) && report["faults"].is_null()).then_some(batch)
}

/// Its name, and the call that goes through it.
type Door<'a> = (&'static str, Box<dyn Fn(&Path) -> Said + 'a>);

/// Goes through each door in a tree of its own; gives the names of those that were tried.
fn compare(case: &Ready) -> Result<Vec<&'static str>, String> {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str, call: &dyn Fn(&Path) -> Said| {
        // The same path each time: messages name it.
        let root = dir.path().join("tree");
        case.lay_out(&root);
        let (exits, report) = call(&root);
        let report = case.normal(report, &root);
        let state = (report, Ready::files(&root), record(&root, case.has_id()));
        std::fs::rename(&root, dir.path().join(name)).unwrap();
        (exits, state)
    };
    let (exit, expected) = run("cli", &|root| {
        let (exit, report) = case.apply(root);
        (vec![exit], report)
    });
    let mcp = |arguments: Value| move |root: &Path| over_mcp(root, case, arguments.clone());
    let http = |root: &Path| over_http(root, case);
    let mut doors: Vec<Door<'_>> = vec![("http", Box::new(http))];
    if let Some(arguments) = as_patch(case) {
        doors.push(("mcp", Box::new(mcp(arguments))));
    }
    if let Some(arguments) = as_operations(case, &expected.0) {
        doors.push(("operations", Box::new(mcp(arguments))));
    }
    for (name, call) in &doors {
        let (exits, found) = run(name, &**call);
        if found.0 != expected.0 {
            let [found, expected] = [found.0, expected.0];
            return Err(format!("{name} reports {found:#?}, not {expected:#?}"));
        }
        if !exits.contains(&exit[0]) {
            return Err(format!("{name} ends as {exits:?}, not {exit:?}"));
        }
        if found.1 != expected.1 {
            return Err(format!("{name} makes another tree"));
        }
        if found.2 != expected.2 {
            return Err(format!("{name} records {}, not {}", found.2, expected.2));
        }
    }
    Ok(doors.into_iter().map(|(name, _)| name).collect())
}

/// Compares all cases; gives the name of each with the doors that it went through.
fn compare_all(cases: Vec<Ready>) -> Vec<(String, Vec<&'static str>)> {
    let queue = Mutex::new(cases);
    let failures = Mutex::new(Vec::new());
    let passed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some(case) = next else { break };
                    match compare(&case) {
                        Ok(doors) => passed.lock().unwrap().push((case.name, doors)),
                        Err(why) => {
                            let why = format!("{}: {why}", case.name);
                            failures.lock().unwrap().push(why);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{} differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    passed.into_inner().unwrap()
}

/// The names of those that did not go through a door.
fn without<'a>(passed: &'a [(String, Vec<&str>)], door: &str) -> Vec<&'a str> {
    let others = passed.iter().filter(|(_, doors)| !doors.contains(&door));
    others.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn the_corpus_is_the_same_through_every_door() {
    let cases = Ready::all();
    assert!(cases.len() > 150);
    assert!(cases.iter().any(|case| options(case).1.is_some()));
    let passed = compare_all(cases);
    assert!(without(&passed, "http").is_empty());
    assert_eq!(without(&passed, "mcp"), ["invalid-utf8"]);
    let apart = without(&passed, "operations").len();
    assert!(apart * 5 < passed.len(), "{apart} not sent by operations");
}

#[test]
fn patches_in_foreign_formats_are_the_same_through_every_door() {
    let cases = Ready::foreign();
    assert!(cases.len() > 300, "{}", cases.len());
    let said = cases.iter().filter(|case| !case.said.is_empty()).count();
    let passed = compare_all(cases);
    assert!(without(&passed, "http").is_empty());
    // One is no UTF-8.
    assert_eq!(without(&passed, "mcp").len(), said + 1);
}

/// What a batch comes to through each door, in a tree of its own each time.
fn through_every_door(options: &[&str], batch: &Value) -> Vec<(&'static str, i32, Value)> {
    let sandbox = || Sandbox::new(&[("a.txt", "one\n")]);
    let text = batch.to_string();
    let mut answers = Vec::new();
    let here = sandbox();
    std::fs::write(here.outside().join("batch.json"), &text).unwrap();
    let file = here.outside().join("batch.json");
    let apply = ["apply", file.to_str().unwrap(), "--output", "json"];
    let done = here.run(&[&apply[..], options].concat());
    answers.push((
        "cli",
        done.code,
        serde_json::from_str(&done.out).unwrap_or_else(|_| json!(done.err)),
    ));
    let here = sandbox();
    let server = Server::start(&here, options);
    let said = server.apply(batch);
    answers.push(("http", said.status.into(), said.json()));
    let here = sandbox();
    let mut client = Client::start(&here, options);
    let (failed, said) = client.call("edit", json!({"patch": text}));
    answers.push(("mcp", failed.into(), said));
    client.end();
    answers
}

#[test]
fn labels_that_go_before_the_batchs_own_do_so_with_a_word_through_every_door() {
    let options = ["--task-id", "T-1", "--agent", "codex"];
    let append =
        |task: &str| json!({"op": "append", "file": "a.txt", "content": "x", "task_id": task});
    let batch = json!({"agent": "codex", "task_id": "T-2", "operations": [
        append("T-3"), append("T-1"), append("T-2")]});
    for (door, status, said) in through_every_door(&options, &batch) {
        assert!([0, 200].contains(&status), "{door}: {said}");
        let warnings = said["warnings"].to_string();
        assert!(
            warnings.contains(r#"task_id is \"T-1\" here"#)
                && warnings.contains(r#"not \"T-2\", \"T-3\" as in it"#),
            "{door}: {warnings}"
        );
        assert!(!warnings.contains("agent"), "the same: {door}: {warnings}");
    }
    let quiet = json!({"task_id": "T-1", "operations": [append("T-1")]});
    for (door, status, said) in through_every_door(&options, &quiet) {
        assert!([0, 200].contains(&status), "{door}: {said}");
        assert_eq!(said["warnings"], Value::Null, "{door}");
    }
    // What a caller says beside its batch is held to the same rule.
    let here = Sandbox::new(&[("a.txt", "one\n")]);
    let operations = json!([{"op": "append", "file": "a.txt", "content": "x"}]);
    let mut client = Client::start(&here, &options);
    let call = json!({"operations": operations, "task_id": "T-9"});
    let (failed, said) = client.call("edit", call);
    assert!(!failed, "{said}");
    assert!(
        said["warnings"][0].as_str().unwrap().contains("T-9"),
        "{said}"
    );
    client.end();
    let server = Server::start(&here, &options);
    let batch = json!({"operations": operations, "batch_id": "two"}).to_string();
    let said = server
        .post("/api/patches/apply?task_id=T-9", batch.as_bytes())
        .json();
    assert!(
        said["warnings"][0].as_str().unwrap().contains("T-9"),
        "{said}"
    );
    let of = |task: &str| {
        here.run(&["events", "list", "--task", task, "--output", "json"])
            .out
    };
    assert!(of("T-1").contains("two"), "{}", of("T-1"));
    assert_eq!(of("T-9"), "");
}

#[test]
fn an_empty_id_names_no_batch_through_any_door() {
    let batch = json!({"batch_id": "", "operations": [
        {"op": "append", "file": "a.txt", "content": "x"}]});
    for (door, status, said) in through_every_door(&[], &batch) {
        assert!([1, 2, 400].contains(&status), "{door}: {status} {said}");
        let said = said.to_string();
        assert!(
            said.contains("batch_id") && said.contains("never empty"),
            "{door}: {said}"
        );
    }
    let wire = serde_json::from_value::<patchcore::batch::PatchBatch>(batch);
    assert!(wire.is_err());
    // Nor where it comes beside a batch or a patch.
    let diff = "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n";
    let operations = json!([{"op": "append", "file": "a.txt", "content": "x"}]);
    let here = Sandbox::new(&[("a.txt", "one\n")]);
    let mut client = Client::start(&here, &[]);
    for call in [
        json!({"patch": diff, "batch_id": ""}),
        json!({"operations": operations, "batch_id": ""}),
    ] {
        for tool in ["check", "edit"] {
            let (failed, said) = client.call(tool, call.clone());
            assert!(failed, "{tool}: {said}");
            assert!(said.to_string().contains("batch_id"), "{tool}: {said}");
        }
    }
    client.end();
    assert_eq!(here.read("a.txt"), "one\n");
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let done = sandbox.run(&["append", "a.txt", "--content", "x", "--batch-id", ""]);
    assert_eq!(done.code, 2, "{}", done.err);
    assert_eq!(sandbox.read("a.txt"), "one\n");
}

/// A label that is empty would be taken for one, or for none, without a word.
#[test]
fn an_empty_label_is_refused_through_every_door() {
    let append = json!({"op": "append", "file": "a.txt", "content": "x"});
    for label in ["order_id", "task_id", "factory", "phase", "agent"] {
        let mut of_one = append.clone();
        of_one[label] = json!("");
        for batch in [
            json!({label: "", "operations": [append]}),
            json!({"operations": [append, of_one]}),
        ] {
            for (door, status, said) in through_every_door(&[], &batch) {
                assert!([1, 2, 400].contains(&status), "{door}: {status} {said}");
                let said = said.to_string();
                let named = said.contains(label) && said.contains("never empty");
                assert!(named, "{door} {label}: {said}");
            }
            let wire = serde_json::from_value::<patchcore::batch::PatchBatch>(batch);
            assert!(wire.is_err(), "{label}");
        }
        let option = format!("--{}", label.replace('_', "-"));
        let here = Sandbox::new(&[("a.txt", "one\n"), ("b.json", r#"{"operations": []}"#)]);
        for command in [
            &["append", "a.txt", "--content", "x", &option, ""][..],
            &["apply", "b.json", &option, ""],
            &["run", &option, "", "--", "true"],
            &["serve", "--listen", "127.0.0.1:0", &option, ""],
            &["mcp", &option, ""],
        ] {
            let done = here.run(command);
            assert_eq!(done.code, 2, "{command:?}: {}", done.err);
        }
        assert_eq!(here.read("a.txt"), "one\n");
    }
}

#[test]
fn what_is_looked_for_is_never_empty() {
    let here = Sandbox::new(&[("a.txt", "one\n")]);
    for command in [
        &["events", "list", "--task", ""][..],
        &["events", "list", "--order", ""],
        &["events", "list", "--file", ""],
        &["events", "list", "--text", ""],
        &["task", "list", "--order-id", ""],
        &["task", "list", "--status", "done"],
        &["task", "ask", "T-1", "--question", ""],
        &["ask", "--order-id", "", "--question", "why"],
        &["init", "", "--factory", "f"],
        &["init", "ORD-1", "--factory", ""],
        &["order", "placeholders", ""],
    ] {
        let done = here.run(command);
        assert_eq!(done.code, 2, "{command:?}: {}", done.err);
        assert!(done.err.contains("value"), "{command:?}: {}", done.err);
    }
}

/// What an operator approved, and nothing else, is carried out.
#[test]
fn a_plan_goes_along_with_a_call_and_holds_for_it_alone() {
    let here = Sandbox::new(&[("a.txt", "one\n")]);
    let operations = |text: &str| json!([{"op": "append", "file": "a.txt", "content": text}]);
    let mut client = Client::start(&here, &[]);
    let (_, shown) = client.call("check", json!({"operations": operations("two")}));
    let plan = shown["plan"].as_str().unwrap().to_owned();
    let call = |text: &str| json!({"operations": operations(text), "plan": plan});
    let (failed, said) = client.call("edit", call("three"));
    assert!(failed, "{said}");
    assert_eq!(said["refusal"]["code"], "PLAN_MISMATCH", "{said}");
    let (failed, said) = client.call("edit", call("two"));
    assert!(!failed, "{said}");
    let (failed, said) = client.call("edit", json!({"operations": operations("three")}));
    assert!(!failed, "{said}");
    client.end();
    assert_eq!(here.read("a.txt"), "one\ntwo\nthree\n");

    let server = Server::start(&here, &[]);
    let post = |to: &str, text: &str| {
        let batch = json!({"operations": operations(text)}).to_string();
        server.post(to, batch.as_bytes())
    };
    let shown = post("/api/patches/check", "four").json();
    let plan = shown["plan"].as_str().unwrap();
    let apply = format!("/api/patches/apply?plan={plan}");
    assert_eq!(post(&apply, "five").status, 409);
    assert_eq!(post(&apply, "four").status, 200);
    let said = post("/api/patches/apply?plan=four", "four");
    assert_eq!(said.status, 400);
    assert!(said.json()["error"].as_str().unwrap().contains("`plan`"));
    assert_eq!(here.read("a.txt"), "one\ntwo\nthree\nfour\n");
}

/// The variable holds for one batch: a server has many, and says so.
#[test]
fn what_of_the_environment_a_server_does_not_use_is_named() {
    let here = Sandbox::new(&[("a.txt", "one\n")]);
    let start = |name: &str, value: &str| {
        let mut mcp = here.command(&["mcp"]);
        let mcp = mcp.env(name, value).stdin(std::process::Stdio::null());
        String::from_utf8(mcp.output().unwrap().stderr).unwrap()
    };
    let said = start("PATCHCTL_BATCH_ID", "B1");
    assert!(said.contains("PATCHCTL_BATCH_ID is not used"), "{said}");
    assert_eq!(start("PATCHCTL_BATCH_ID", ""), "");
    assert_eq!(start("PATCHCTL_AGENT", "codex"), "");
}

#[test]
fn a_label_of_the_environment_that_is_no_text_is_not_passed_over() {
    use std::os::unix::ffi::OsStrExt as _;
    let here = Sandbox::new(&[("a.txt", "one\n")]);
    let value = std::ffi::OsStr::from_bytes(b"T\xff");
    let mut append = here.command(&["append", "a.txt", "--content", "x"]);
    let done = append.env("PATCHCTL_TASK_ID", value).output().unwrap();
    assert_eq!(done.status.code(), Some(2));
    assert_eq!(here.read("a.txt"), "one\n");
}
