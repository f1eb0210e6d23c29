//! The same batch through the command line, MCP and HTTP gives the same tree, record and report.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serde_json::{Value, json};

use crate::corpus::Ready;
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

fn server(root: &Path, command: &str, case: &Ready) -> Command {
    let mut server = Command::new(env!("CARGO_BIN_EXE_patchctl"));
    server.arg(command).args(&case.args).arg("--root").arg(root);
    server.env_remove("PATCHCTL_ROOT");
    server
}

fn over_http(root: &Path, case: &Ready) -> Value {
    let mut command = server(root, "serve", case);
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Server::spawn(command);
    server
        .post("/api/patches/apply?diff=false", &case.batch)
        .json()
}

fn over_mcp(root: &Path, case: &Ready) -> Option<Value> {
    let patch = std::str::from_utf8(&case.batch).ok()?;
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "edit", "arguments": {"patch": patch},
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
    Some(answer["result"]["structuredContent"].clone())
}

fn compare(case: &Ready) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let has_id = String::from_utf8_lossy(&case.batch).contains("batch_id");
    let run = |name: &str, call: &dyn Fn(&Path) -> Option<Value>| {
        // The same path each time: messages name it.
        let root = dir.path().join("tree");
        case.lay_out(&root);
        let report = call(&root).map(|report| case.normal(report, &root));
        let state = (report.clone(), Ready::files(&root), record(&root, has_id));
        std::fs::rename(&root, dir.path().join(name)).unwrap();
        report.map(|_| state)
    };
    let expected = run("cli", &|root| Some(case.apply(root))).unwrap();
    for (name, found) in [
        ("http", run("http", &|root| Some(over_http(root, case)))),
        ("mcp", run("mcp", &|root| over_mcp(root, case))),
    ] {
        let Some(found) = found else { continue };
        if found.0 != expected.0 {
            return Err(format!(
                "{name} reports {:#?}, not {:#?}",
                found.0, expected.0
            ));
        }
        if found.1 != expected.1 {
            return Err(format!("{name} makes another tree"));
        }
        if found.2 != expected.2 {
            return Err(format!("{name} records {}, not {}", found.2, expected.2));
        }
    }
    Ok(())
}

#[test]
fn the_corpus_is_the_same_through_every_door() {
    // The digest of one batch is nothing that a server is started with.
    let cases: Vec<Ready> = Ready::all()
        .into_iter()
        .filter(|case| !case.args.contains(&"--plan".to_owned()))
        .collect();
    assert!(cases.len() > 150);
    let queue = Mutex::new(cases);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap().pop();
                    let Some(case) = next else { break };
                    if let Err(why) = compare(&case) {
                        failures
                            .lock()
                            .unwrap()
                            .push(format!("{}: {why}", case.name));
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
}
