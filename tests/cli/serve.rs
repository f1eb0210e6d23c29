//! `serve`: the engine over HTTP, seen by a client that speaks it by hand.

mod bounds;
pub(crate) mod client;
mod drips;
mod hostile;
mod kills;
mod openapi;
mod user;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

pub(crate) use self::client::Server;
use self::client::{Answer, Events, Socket, answer, append, replace};
use crate::sandbox::Sandbox;

#[test]
fn statuses_tell_what_became_of_a_batch() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &["--max-body", "100000"]);
    let checked = server.post(
        "/api/patches/check",
        replace("a.txt", "one", "two").to_string().as_bytes(),
    );
    assert_eq!(
        (checked.status, &checked.json()["status"]),
        (200, &json!("previewed"))
    );
    assert_eq!(sandbox.read("a.txt"), "one\n");
    let applied = server.apply(&replace("a.txt", "one", "two"));
    assert_eq!(
        (applied.status, &applied.json()["status"]),
        (200, &json!("applied"))
    );
    assert!(applied.json()["diff"].as_str().unwrap().contains("+two"));
    assert_eq!(sandbox.read("a.txt"), "two\n");
    let again = server.apply(&replace("a.txt", "one", "two"));
    assert_eq!(
        (again.status, &again.json()["status"]),
        (200, &json!("unchanged"))
    );
    let refused = server.apply(&replace("a.txt", "three", "two"));
    assert_eq!(
        (refused.status, &refused.json()["status"]),
        (409, &json!("refused"))
    );
    assert_eq!(
        server
            .post("/api/patches/apply", b"{\"operations\": 1}")
            .status,
        400
    );
    assert_eq!(
        server
            .post("/api/patches/apply", &vec![b' '; 100_001])
            .status,
        413
    );
    assert_eq!(
        server.post("/api/patches/apply?policy=x", b"{}").status,
        400
    );
    assert_eq!(server.get("/api/patches/apply").status, 405);
    assert_eq!(server.get("/nothing").status, 404);
    let diff = b"--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-two\n+three\n";
    assert_eq!(
        server.post("/api/patches/apply?diff=false", diff).status,
        200
    );
    let undone = server.post("/api/patches/undo", b"");
    assert_eq!(
        (undone.status, &undone.json()["status"]),
        (200, &json!("applied"))
    );
    assert_eq!(sandbox.read("a.txt"), "two\n");
    assert_eq!(
        server
            .post("/api/patches/undo", b"{\"batch_id\": \"nothing\"}")
            .status,
        400
    );
    // Where the command line exits with 3.
    let held = sandbox.root().join(".mission_control/lock");
    let held = std::fs::File::options().write(true).open(held).unwrap();
    drop(server);
    let server = Server::start(&sandbox, &["--lock-wait", "0.05"]);
    held.lock().unwrap();
    let waited = server.apply(&append("a.txt", "x"));
    assert_eq!(waited.status, 503, "{}", waited.text());
    assert_eq!(waited.json()["refusal"]["code"], "LOCK_TIMEOUT");
}

#[test]
fn a_batch_that_is_sent_again_is_applied_once() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let keyed = |key: &str, batch: &Value| {
        let headers = [("Idempotency-Key", key)];
        server.request(
            "POST",
            "/api/patches/apply",
            &headers,
            batch.to_string().as_bytes(),
        )
    };
    let batch = append("a.txt", "x");
    assert_eq!(keyed("k1", &batch).json()["status"], "applied");
    server.apply(&append("a.txt", "between"));
    let again = keyed("\"k1\"", &batch);
    assert_eq!(
        (again.status, &again.json()["batch_id"]),
        (200, &json!("k1"))
    );
    assert_eq!(again.json()["status"], "unchanged");
    assert_eq!(keyed("k2", &batch).json()["status"], "applied");
    let other = keyed("k1", &append("a.txt", "other"));
    assert_eq!(
        (other.status, &other.json()["refusal"]["code"]),
        (409, &json!("BATCH_ID_REUSED"))
    );
    let mut own = append("a.txt", "own");
    own["batch_id"] = "b".into();
    assert_eq!(keyed("k3", &own).status, 400, "two names for one batch");
    assert_eq!(keyed("b", &own).status, 200);
    assert_eq!(server.apply(&own).json()["status"], "unchanged");
    assert_eq!(keyed("", &batch).status, 400);
    assert_eq!(sandbox.read("a.txt"), "one\nx\nbetween\nx\nown\n");
}

#[test]
fn logs_statistics_trends_and_reports_come_from_the_log() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n"), ("dir/<b>.txt", "x\n")]);
    let server = Server::start(&sandbox, &[]);
    for n in 0..5 {
        let mut batch = append("a.txt", &format!("line {n}"));
        batch["order_id"] = format!("ORD-{}", n % 2).into();
        batch["factory"] = "f".into();
        batch["phase"] = "build".into();
        assert_eq!(server.apply(&batch).status, 200);
    }
    let mut hostile = append("dir/<b>.txt", "y");
    hostile["order_id"] = "<script>".into();
    server.apply(&hostile);
    server.apply(&replace("a.txt", "nowhere", "x"));
    let page = server
        .get("/api/patches/logs?outcome=applied&limit=2")
        .json();
    assert_eq!(
        (page["events"].as_array().unwrap().len(), &page["more"]),
        (2, &json!(true))
    );
    assert_eq!(page["events"][0]["file"], "dir/<b>.txt");
    let oldest = server
        .get("/api/patches/logs?outcome=applied&sort=oldest&limit=4&offset=2")
        .json();
    let files: Vec<_> = oldest["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["file"].clone())
        .collect();
    assert_eq!(files, ["a.txt", "a.txt", "a.txt", "dir/<b>.txt"]);
    assert_eq!(oldest["more"], false);
    let of_order = server
        .get("/api/patches/logs?order=ORD-1&outcome=PATCH_APPLIED&from=1h&text=a.txt")
        .json();
    assert_eq!(of_order["events"].as_array().unwrap().len(), 2);
    assert_eq!(server.get("/api/patches/logs?from=soon").status, 400);
    assert_eq!(server.get("/api/patches/logs?nonsense=1").status, 400);
    let stats = server.get("/api/patches/stats").json();
    assert_eq!(stats["total"]["applied"], 6);
    assert_eq!(stats["by_error"]["ANCHOR_NOT_FOUND"], 1);
    assert_eq!(stats["by_factory"]["f"]["batches"], 5);
    let trends = server.get("/api/patches/trends?group=order").json();
    assert_eq!(trends["groups"]["ORD-0"]["applied"], 3);
    assert_eq!(server.get("/api/patches/trends?group=moon").status, 400);
    let reports = server.get("/api/delivery/reports").json();
    assert_eq!(reports["groups"].as_object().unwrap().len(), 3);
    let one = server
        .get("/api/delivery/reports?order_id=ORD-1&generate=true")
        .json();
    assert_eq!(
        (&one["total"]["batches"], &one["files"]),
        (&json!(2), &json!(["a.txt"]))
    );
    let text = server.get("/api/delivery/reports?order_id=%3Cscript%3E&format=markdown");
    assert!(text.headers["content-type"].starts_with("text/markdown"));
    assert!(!text.text().contains("<script>"), "{}", text.text());
    assert_eq!(
        server.get("/api/delivery/reports?order_id=none").status,
        404
    );
    let history = server.get("/api/patches/history?limit=2").json();
    assert_eq!(history["entries"].as_array().unwrap().len(), 2);
    let read = server.get("/api/files?path=a.txt&from=1&to=1").json();
    assert_eq!(read["files"][0]["text"], "one\n");
    assert_eq!(
        server.get("/api/placeholders").json()["placeholders"],
        json!([])
    );
    assert_eq!(server.get("/api/tasks").json()["tasks"], json!([]));
    assert_eq!(server.post("/api/tasks/none/complete", b"").status, 404);
    let counters = server.get("/metrics").text();
    assert!(
        counters.contains("patchctl_calls_total{call=\"apply\",ended=\"refused\"} 1"),
        "{counters}"
    );
}

/// A reader of the format knows a counter by its name without `_total`: of two families with one
/// name it takes one.
#[test]
fn counters_are_told_in_the_format_of_prometheus() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    server.apply(&append("a.txt", "x"));
    server.apply(&replace("a.txt", "nowhere", "x"));
    let answer = server.get("/metrics");
    assert!(answer.headers["content-type"].starts_with("text/plain; version=0.0.4"));
    let text = answer.text();
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text}");
    let (mut families, mut samples) = (Vec::new(), Vec::new());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let name = line
            .strip_prefix("# HELP ")
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let kind = lines
            .next()
            .unwrap()
            .strip_prefix(&format!("# TYPE {name} "));
        assert_eq!(
            kind.unwrap() == "counter",
            name.ends_with("_total"),
            "{name}"
        );
        families.push(name.trim_end_matches("_total"));
        while let Some(sample) = lines.next_if(|line| !line.starts_with('#')) {
            let (labelled, value) = sample.rsplit_once(' ').unwrap();
            assert_eq!(labelled.split('{').next(), Some(name));
            assert!(value.parse::<f64>().unwrap() >= 0.0, "{sample}");
            samples.push(labelled);
        }
    }
    for (what, names) in [("families", &mut families), ("samples", &mut samples)] {
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{what} that are there twice: {text}");
    }
}

#[test]
fn events_come_as_they_commit_and_again_from_the_last_one_that_is_known() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    server.apply(&append("a.txt", "before"));
    let mut stream = Events::open(&server, "/api/events", None);
    let mut socket = Socket::open(&server, "/ws").ok().unwrap();
    server.apply(&append("a.txt", "through the server"));
    // Another process commits, too.
    sandbox
        .run(&["append", "a.txt", "--content", "through the command line"])
        .exits(0);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let event = stream.next();
        assert_eq!(
            Some(&event),
            socket.next().as_ref(),
            "both streams tell the same"
        );
        seen.push(event);
    }
    let diffs: Vec<_> = seen
        .iter()
        .filter_map(|event| event["diff"].as_str())
        .collect();
    assert_eq!(diffs.len(), 2);
    assert!(
        diffs[0].contains("+through the server") && diffs[1].contains("+through the command line")
    );
    // A client that was away goes on behind the last that it has, whichever way it says so.
    let id = seen[1]["event_id"].as_str().unwrap();
    let mut back = Events::open(&server, "/api/events?after=0", Some(id));
    let mut back_too = Socket::open(&server, &format!("/ws?after={id}"))
        .ok()
        .unwrap();
    for event in &seen[2..] {
        assert_eq!(&back.next(), event);
        assert_eq!(back_too.next().as_ref(), Some(event));
    }
    // All that the log has, each once.
    let mut all = Socket::open(&server, "/ws?after=0").ok().unwrap();
    let all: Vec<_> = (0..6).map(|_| all.next().unwrap()).collect();
    assert_eq!(&all[2..], &seen);
    let listed = sandbox
        .run(&["events", "list", "--output", "json"])
        .exits(0)
        .out;
    assert_eq!(listed.lines().count(), 6);
    // What the log has lost cannot be told, and that is said.
    assert_eq!(
        server
            .get("/api/events?after=0199e0f0-0000-5000-8000-000000000000")
            .status,
        410
    );
    assert_eq!(Socket::open(&server, "/ws?after=nonsense").err(), Some(410));
    // The end of the server ends the streams in order.
    let waiting = std::thread::spawn(move || (socket.next(), back_too.next()));
    assert_eq!(server.stop(), 0);
    assert_eq!(waiting.join().unwrap(), (None, None));
}

#[test]
fn fifty_clients_at_once_lose_no_update() {
    let sandbox = Sandbox::new(&[("count.txt", "0\n"), ("log.txt", "start\n")]);
    let server = Server::start(&sandbox, &[]);
    // `PATCHCTL_TEST_EDITS=200` makes 10,000 of it.
    let each = std::env::var("PATCHCTL_TEST_EDITS").map_or(8, |edits| edits.parse().unwrap());
    let (clients, counted) = (50, 2);
    std::thread::scope(|scope| {
        for client in 0..clients {
            let server = &server;
            scope.spawn(move || {
                for n in 0..each {
                    let line = format!("{client}/{n}");
                    assert_eq!(server.apply(&append("log.txt", &line)).status, 200);
                    let target = [
                        "/api/files?path=log.txt&from=1&to=1",
                        "/api/patches/history?limit=5",
                        "/api/patches/logs?limit=5",
                        "/api/tasks",
                        "/healthz",
                    ][(client + n) % 5];
                    assert_eq!(server.get(target).status, 200, "{target}");
                    // Read, add one, write: an edit of what another has changed is refused.
                    if n >= counted {
                        continue;
                    }
                    loop {
                        let read = server.get("/api/files?path=count.txt").json();
                        let file = &read["files"][0];
                        let count: u32 = file["text"].as_str().unwrap().trim().parse().unwrap();
                        let edit = json!({"operations": [{
                            "op": "replace-block", "file": "count.txt", "at": {"line": 1},
                            "base": file["base"], "content": (count + 1).to_string(),
                        }]});
                        match server.apply(&edit) {
                            answer
                                if answer.status == 200 && answer.json()["status"] == "applied" =>
                            {
                                break;
                            }
                            // Another came first, or made the same of it.
                            answer => assert!([200, 409].contains(&answer.status), "{answer:?}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(
        sandbox.read("count.txt"),
        format!("{}\n", clients * counted)
    );
    let log = sandbox.read("log.txt");
    let mut lines: Vec<_> = log.lines().skip(1).collect();
    assert_eq!(lines.len(), clients * each);
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), clients * each, "each line once");
    sandbox.run(&["audit"]).exits(0);
}

#[test]
fn a_server_that_is_asked_to_end_finishes_what_it_began() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &["--verify", "sleep 1"]);
    let mut stream = server.connect();
    let body = append("a.txt", "x").to_string();
    let head = format!(
        "POST /api/patches/apply HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // The batch is at work when its verification runs.
    while !sandbox.read("a.txt").contains('x') {
        std::thread::sleep(Duration::from_millis(10));
    }
    let ended = std::thread::spawn(move || server.stop());
    assert_eq!(answer(&mut stream).json()["status"], "applied");
    assert_eq!(ended.join().unwrap(), 0);
    assert_eq!(sandbox.read("a.txt"), "one\nx\n");
    // One that takes longer than the grace is taken back.
    let server = Server::start(&sandbox, &["--verify", "sleep 60", "--grace", "200ms"]);
    let mut stream = server.connect();
    let body = append("a.txt", "y").to_string();
    let head = format!(
        "POST /api/patches/apply HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    while !sandbox.read("a.txt").contains('y') {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.stop(), 0);
    assert_eq!(sandbox.read("a.txt"), "one\nx\n");
    sandbox.run(&["status"]).exits(0);
}

/// An edit over HTTP, beside one of the command line: printed for whoever looks on.
#[test]
fn many_edits_over_one_connection_are_all_in_the_log() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let mut stream = server.connect();
    let began = Instant::now();
    for n in 0..200 {
        let body = append("a.txt", &n.to_string()).to_string();
        let request = format!(
            "POST /api/patches/apply?diff=false HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
            server.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).status, 200);
    }
    eprintln!("{:?} for an edit over HTTP", began.elapsed() / 200);
    assert_eq!(sandbox.read("a.txt").lines().count(), 201);
    let history = server.get("/api/patches/history?limit=1000").json();
    assert_eq!(history["entries"].as_array().unwrap().len(), 200);
}

#[cfg(feature = "mcp")]
fn mcp(server: &Server, headers: &[(&str, &str)], message: &str) -> Answer {
    let own = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
    ];
    server.request(
        "POST",
        "/mcp",
        &[&own, headers].concat(),
        message.as_bytes(),
    )
}

#[cfg(feature = "mcp")]
#[test]
fn the_tools_are_served_over_http_too() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let call = |edit: &Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "edit", "arguments": edit,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }})
        .to_string()
    };
    let headers = [("Mcp-Method", "tools/call"), ("Mcp-Name", "edit")];
    let applied = mcp(&server, &headers, &call(&replace("a.txt", "one", "two")));
    assert_eq!(applied.status, 200, "{}", applied.text());
    assert_eq!(
        applied.json()["result"]["structuredContent"]["status"],
        "applied"
    );
    let refused = mcp(
        &server,
        &headers,
        &call(&replace("a.txt", "one", "two three")),
    )
    .json();
    assert_eq!(refused["result"]["isError"], true);
    let twice = call(&append("a.txt", "x")).replacen("\"op\"", "\"op\":\"append\",\"op\"", 1);
    for (unread, code) in [
        (&*twice, -32600),
        ("{", -32700),
        ("[]", -32600),
        ("\u{0}", -32700),
    ] {
        let answer = mcp(&server, &headers, unread);
        let said = answer.json()["error"]["code"].clone();
        assert_eq!((answer.status, said), (400, json!(code)), "{unread}");
    }
    for hostile in [("Host", "evil.example"), ("Origin", "http://evil.example")] {
        let headers = [&headers[..], &[hostile]].concat();
        assert_eq!(
            mcp(&server, &headers, &call(&append("a.txt", "x"))).status,
            403
        );
    }
    assert_eq!(sandbox.read("a.txt"), "two\n");
}

#[cfg(feature = "mcp")]
#[test]
fn the_python_sdk_works_over_http_too() {
    let python = std::env::var("PATCHCTL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_sdk = Command::new(&python).args(["-c", "import mcp"]).output();
    if !has_sdk.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {python} has no package mcp");
        return;
    }
    let sandbox = Sandbox::new(&[("a.txt", "one\ntwo\n")]);
    let server = Server::start(&sandbox, &["--agent", "py"]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cli/clients/client.py");
    let done = Command::new(python)
        .arg(script)
        .arg(format!("http://{}/mcp", server.address))
        .arg(sandbox.root())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let talk = String::from_utf8_lossy(&done.stderr);
    assert!(
        said.contains("9 tools, refused, applied, undone"),
        "{said}{talk}"
    );
}
