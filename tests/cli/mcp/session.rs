//! An agent's whole session, with all that goes wrong in one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Client;
use crate::numbers::Numbers;
use crate::sandbox::Sandbox;

fn edit(n: u64) -> Value {
    json!({
        "operations": [{"op": "append", "file": "log.txt", "content": format!("line {n}")}],
        "batch_id": format!("call-{n}"),
    })
}

/// Sends a call and kills the server, which may have done nothing, half of it or all.
fn call_and_kill(mut client: Client, arguments: &Value, pause: u64) {
    let call = json!({"jsonrpc": "2.0", "id": "k", "method": "tools/call", "params": {
        "name": "edit", "arguments": arguments,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }});
    client.send(&call.to_string());
    std::thread::sleep(std::time::Duration::from_micros(pause));
    client.child.kill().unwrap();
    client.child.wait().unwrap();
}

#[test]
fn a_session_of_200_calls_with_faults_and_kills_loses_nothing() {
    let sandbox = Sandbox::new(&[("log.txt", "start\n"), ("note.txt", "one\n")]);
    let options = ["--agent", "codex", "--lock-wait", "60"];
    let start = || Client::start(&sandbox, &options);
    let mut client = start();
    let mut numbers = Numbers(19);
    let mut expected = BTreeSet::new();
    for n in 0..200 {
        match numbers.below(10) {
            // A server that is killed in the middle; the call is sent again to the next one.
            0 | 1 => {
                call_and_kill(client, &edit(n), numbers.below(40_000));
                client = start();
                let (failed, said) = client.call("edit", edit(n));
                assert!(!failed, "{said}");
                let status = said["status"].as_str().unwrap();
                assert!(["applied", "unchanged"].contains(&status), "{said}");
                expected.insert(format!("line {n}"));
            }
            // A refusal shows what is there, and the call that is mended by it lands.
            2 => {
                let line = |expect: &Value| {
                    json!({"operations": [{"op": "replace-block", "file": "note.txt",
                        "at": {"lines": [1, 1]}, "expect": expect, "content": format!("note {n}")}]})
                };
                let (failed, said) = client.call("edit", line(&json!("wrong")));
                assert!(failed, "{said}");
                let found = said["operations"][0]["refusal"]["found"].clone();
                let (failed, said) = client.call("edit", line(&found));
                assert!(!failed, "{said}");
                assert_eq!(sandbox.read("note.txt"), format!("note {n}\n"));
            }
            // What cannot be read is answered, and the session goes on.
            3 => {
                client.send(r#"{"jsonrpc":"2.0","id":"bad","method":"#);
                assert_eq!(client.receive().unwrap()["error"]["code"], -32700);
            }
            // An edit that is taken back.
            4 => {
                assert!(!client.call("edit", edit(n)).0);
                let (failed, said) = client.call("undo", json!({"batch_id": format!("call-{n}")}));
                assert!(!failed, "{said}");
            }
            // Somebody else works beside it.
            5 => {
                let line = format!("other {n}");
                sandbox
                    .run(&["append", "log.txt", "--content", &line, "--agent", "other"])
                    .exits(0);
                expected.insert(line);
            }
            6 => {
                let (failed, said) = client.call("read", json!({"file": "log.txt"}));
                assert!(!failed, "{said}");
                assert_eq!(said["files"][0]["text"], json!(sandbox.read("log.txt")));
            }
            _ => {
                let (failed, said) = client.call("edit", edit(n));
                assert!(!failed, "{said}");
                // An answer that was lost: the same call is answered and not applied.
                assert_eq!(client.call("edit", edit(n)).1["status"], "unchanged");
                expected.insert(format!("line {n}"));
            }
        }
    }
    assert_eq!(client.end(), 0);
    let log = sandbox.read("log.txt");
    let lines: Vec<_> = log.lines().skip(1).map(str::to_owned).collect();
    assert_eq!(lines.len(), expected.len(), "each line once");
    assert_eq!(lines.into_iter().collect::<BTreeSet<_>>(), expected);
    sandbox.run(&["audit"]).exits(0);
    sandbox.run(&["status"]).exits(0);
}
