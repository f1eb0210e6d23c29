//! What is left of a server that is killed: the tree of some edits, and a log that knows which.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Server, append};
use crate::sandbox::Sandbox;

const CLIENTS: usize = 20;
const EDITS: usize = 4;

/// An edit of two files, which both have it or neither.
fn edit(name: &str) -> Value {
    json!({
        "batch_id": name,
        "operations": [
            {"op": "append", "file": "a.txt", "content": name},
            {"op": "append", "file": "b.txt", "content": name},
        ],
    })
}

fn lines(sandbox: &Sandbox, file: &str) -> Vec<String> {
    let text = sandbox.read(file);
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Sends a batch to a server that may die meanwhile: whether it answered that it did it.
fn is_done(address: &str, batch: &Value) -> bool {
    let body = batch.to_string();
    let request = format!(
        "POST /api/patches/apply?diff=false HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let Ok(mut stream) = std::net::TcpStream::connect(address) else {
        return false;
    };
    let mut said = Vec::new();
    let _ = stream.write_all(request.as_bytes());
    let _ = std::io::Read::read_to_end(&mut stream, &mut said);
    let said = String::from_utf8_lossy(&said);
    said.starts_with("HTTP/1.1 200 ") && said.contains("\"status\":\"applied\"")
}

#[test]
fn a_server_that_is_killed_under_twenty_clients_loses_nothing_that_it_confirmed() {
    let sandbox = Sandbox::new(&[("a.txt", "start\n"), ("b.txt", "start\n")]);
    let options = ["--lock-wait", "60"];
    let mut confirmed = BTreeSet::new();
    let mut sent = BTreeSet::new();
    // Each round is killed when another number of edits has landed.
    for (round, landed) in [2, 9, 25].into_iter().enumerate() {
        let mut server = Server::start(&sandbox, &options);
        let address = server.address.clone();
        let before = lines(&sandbox, "a.txt").len();
        let done: Vec<_> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let address = &address;
                    scope.spawn(move || {
                        let name = |n| format!("{round}/{client}/{n}");
                        let names = (0..EDITS).map(name);
                        names
                            .map(|name| (is_done(address, &edit(&name)), name))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            while lines(&sandbox, "a.txt").len() < before + landed {
                std::thread::sleep(Duration::from_millis(1));
            }
            server.child.kill().unwrap();
            server.child.wait().unwrap();
            let done = clients.into_iter().map(|client| client.join().unwrap());
            done.flatten().collect()
        });
        for (is_done, name) in done {
            if is_done {
                confirmed.insert(name.clone());
            }
            sent.insert(name);
        }
    }
    assert!(confirmed.len() < sent.len(), "nothing was interrupted");
    // The next server finishes or takes back what was at work, and knows all that was confirmed:
    // whatever is sent again lands once.
    let server = Server::start(&sandbox, &options);
    for name in &sent {
        let answer = server.apply(&edit(name));
        let status = answer.json()["status"].clone();
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let expected: &[&str] = match confirmed.contains(name) {
            true => &["unchanged"],
            false => &["applied", "unchanged"],
        };
        assert!(
            expected.contains(&status.as_str().unwrap()),
            "{name}: {status}"
        );
    }
    for file in ["a.txt", "b.txt"] {
        let found = lines(&sandbox, file);
        assert_eq!(found.len(), sent.len(), "{file}: each line once");
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), sent, "{file}");
    }
    assert_eq!(lines(&sandbox, "a.txt"), lines(&sandbox, "b.txt"));
    assert_eq!(server.apply(&append("a.txt", "on")).status, 200);
    assert_eq!(server.stop(), 0);
    sandbox.run(&["audit"]).exits(0);
    sandbox.run(&["status"]).exits(0);
    // An event of each edit that landed, for whoever reads them from the start.
    let listed = sandbox
        .run(&["events", "list", "--limit", "100000", "--output", "json"])
        .exits(0);
    let of: BTreeSet<String> = listed
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "PATCH_APPLIED")
        .map(|event| event["batch_id"].as_str().unwrap().to_owned())
        .collect();
    let missing: Vec<_> = sent.difference(&of).collect();
    assert!(missing.is_empty(), "no event of {missing:?}");
}

/// The verification that a server waits for removes the state; then the server is killed, or asked
/// to end.
#[test]
fn a_server_whose_verification_removed_the_state_loses_nothing_when_it_ends() {
    for is_killed in [true, false] {
        let sandbox = Sandbox::new(&[("a.txt", "one\n"), ("b.txt", "one\n")]);
        let before = sandbox.tree();
        let command = "rm -r .mission_control
            until [ -e .mission_control/txn/current/1 ]; do sleep 0.05; done
            touch ../again; sleep 10";
        let mut server = Server::start(&sandbox, &["--verify", command, "--grace", "200ms"]);
        let address = server.address.clone();
        let client = std::thread::spawn(move || is_done(&address, &edit("x")));
        while !sandbox.outside().join("again").try_exists().unwrap() {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(lines(&sandbox, "a.txt"), ["x"]);
        if is_killed {
            server.child.kill().unwrap();
            server.child.wait().unwrap();
            let status = sandbox.run(&["status", "--output", "json"]).exits(0);
            assert_eq!(status.json()["unfinished"]["state"], "prepared");
            sandbox.run(&["recover"]).exits(0);
        } else {
            assert_eq!(server.stop(), 0);
        }
        assert!(!client.join().unwrap());
        assert_eq!(sandbox.tree(), before);
        let history = sandbox.run(&["history", "--output", "json"]).exits(0);
        assert_eq!(history.json()["status"], "rolled_back");
        sandbox.run(&["audit"]).exits(0);
    }
}
