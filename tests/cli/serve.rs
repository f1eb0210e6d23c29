//! `serve`: the engine over HTTP, seen by a client that speaks it by hand.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// A running server.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Server {
    pub(crate) fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let all = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        Self::spawn(sandbox.command(&all))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut talk = BufReader::new(child.stderr.take().unwrap());
        talk.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("it does not listen: {line}"));
        let address = address.strip_prefix("http://").unwrap_or(address);
        let address = address.to_owned();
        // What it says later is nobody's to wait for.
        std::thread::spawn(move || std::io::copy(&mut talk, &mut std::io::sink()));
        Self { child, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    fn request(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            head.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).unwrap();
        // A server that refuses early does not read all of it.
        let _ = stream.write_all(body);
        answer(&mut stream)
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.request("GET", target, &[], b"")
    }

    pub(crate) fn post(&self, target: &str, body: &[u8]) -> Answer {
        self.request("POST", target, &[], body)
    }

    fn apply(&self, batch: &Value) -> Answer {
        self.post("/api/patches/apply", batch.to_string().as_bytes())
    }

    /// Asks it to end, and waits for that.
    fn stop(mut self) -> i32 {
        let id = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads an answer to its end.
fn answer(stream: &mut impl std::io::Read) -> Answer {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no answer: {line:?}"));
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    if status == 101 {
    } else if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut body).unwrap();
    } else {
        loop {
            let mut size = String::new();
            if reader.read_line(&mut size).unwrap_or(0) == 0 {
                break;
            }
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut part = vec![0; size + 2];
            if reader.read_exact(&mut part).is_err() || size == 0 {
                break;
            }
            body.extend_from_slice(&part[..size]);
        }
    }
    Answer {
        status,
        headers,
        body,
    }
}

fn append(file: &str, text: &str) -> Value {
    json!({"operations": [{"op": "append", "file": file, "content": text}]})
}

fn replace(file: &str, find: &str, content: &str) -> Value {
    json!({"operations": [{"op": "replace-text", "file": file, "find": find, "content": content}]})
}

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

/// Reads the events of a stream, as they come.
struct Events(BufReader<TcpStream>);

impl Events {
    fn open(server: &Server, target: &str, last: Option<&str>) -> Self {
        let mut stream = server.connect();
        let last = last
            .map(|id| format!("Last-Event-ID: {id}\r\n"))
            .unwrap_or_default();
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\n{last}\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.contains(" 200 "), "{line}");
        Self(reader)
    }

    fn next(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line).unwrap() > 0, "the stream ended");
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

/// A WebSocket, as far as a test needs one.
struct Socket(BufReader<TcpStream>);

impl Socket {
    fn open(server: &Server, target: &str) -> Result<Self, u16> {
        let mut stream = server.connect();
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.address
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status: u16 = line.split(' ').nth(1).unwrap().parse().unwrap();
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        if status == 101 {
            Ok(Self(reader))
        } else {
            Err(status)
        }
    }

    /// The next frame: its kind and what it holds.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        let length = match head[1] {
            126 => {
                let mut long = [0; 2];
                self.0.read_exact(&mut long).ok()?;
                usize::from(u16::from_be_bytes(long))
            }
            127 => {
                let mut long = [0; 8];
                self.0.read_exact(&mut long).ok()?;
                usize::try_from(u64::from_be_bytes(long)).unwrap()
            }
            short => usize::from(short),
        };
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).ok()?;
        Some((head[0] & 0x0f, body))
    }

    fn next(&mut self) -> Option<Value> {
        loop {
            match self.frame()? {
                (1, body) => return Some(serde_json::from_slice(&body).unwrap()),
                (8, _) => return None,
                _ => {}
            }
        }
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
fn r41_dns_rebinding_and_cross_site_requests_are_refused() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let batch = append("a.txt", "x").to_string();
    for target in [
        "/api/patches/apply",
        "/api/patches/undo",
        "/mcp",
        "/healthz",
        "/ws",
        "/openapi.json",
    ] {
        for headers in [
            &[("Host", "evil.example")][..],
            &[("Host", "127.0.0.1.evil.example")],
            &[("Origin", "http://evil.example")],
            &[("Origin", "null")],
            &[("Origin", "http://localhost:1")],
            &[("Sec-Fetch-Site", "cross-site")],
            &[("Host", "evil.example"), ("Host", "localhost")],
        ] {
            // What a form or a script without permission can send.
            for kind in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "application/json",
            ] {
                let headers = [headers, &[("Content-Type", kind)]].concat();
                let answer = server.request("POST", target, &headers, batch.as_bytes());
                assert_eq!(answer.status, 403, "{target} {headers:?}");
            }
        }
        let preflight = [
            ("Origin", "http://evil.example"),
            ("Access-Control-Request-Method", "POST"),
        ];
        let answer = server.request("OPTIONS", target, &preflight, b"");
        assert_eq!(answer.status, 403);
        let allows = |name: &String| name.starts_with("access-control-");
        assert!(!answer.headers.keys().any(allows), "{answer:?}");
    }
    assert_eq!(sandbox.read("a.txt"), "one\n");
    // A page of the server's own may call it.
    let own = format!("http://{}", server.address);
    let answer = server.request(
        "POST",
        "/api/patches/apply",
        &[("Origin", &own)],
        batch.as_bytes(),
    );
    assert_eq!(answer.status, 200);
}

#[test]
fn r41_another_address_needs_a_token() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let open = sandbox.run(&["serve", "--listen", "0.0.0.0:0"]).exits(2);
    assert!(open.err.contains("--token-file"), "{}", open.err);
    let short = sandbox.outside().join("short");
    std::fs::write(&short, "secret\n").unwrap();
    sandbox
        .run(&["serve", "--token-file", short.to_str().unwrap()])
        .exits(2);
    let token = sandbox.outside().join("token");
    std::fs::write(&token, "0123456789abcdef\n").unwrap();
    let server = Server::start(&sandbox, &["--token-file", token.to_str().unwrap()]);
    let with = |token: &str| {
        server
            .request("GET", "/healthz", &[("Authorization", token)], b"")
            .status
    };
    let without = server.get("/healthz");
    assert_eq!(without.status, 401);
    assert_eq!(without.headers["www-authenticate"], "Bearer");
    assert_eq!(with("Bearer 0123456789abcdef"), 200);
    assert_eq!(with("Bearer 0123456789abcdeF"), 401);
    // The token is in no answer.
    let said = server.request(
        "POST",
        "/api/patches/apply",
        &[("Authorization", "Bearer 0123456789abcdef")],
        append("0123456789abcdef", "x").to_string().as_bytes(),
    );
    assert!(!said.text().contains("0123456789abcdef"), "{}", said.text());
}

#[test]
fn r41_slow_clients_hold_nothing_up() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(
        &sandbox,
        &["--client-timeout", "1s", "--max-connections", "8"],
    );
    let mut slow: Vec<_> = (0..6)
        .map(|n| {
            let mut stream = server.connect();
            let begun = match n % 3 {
                0 => "GET /healthz HTTP/1.1\r\nHo".to_owned(),
                1 => format!(
                    "POST /api/patches/apply HTTP/1.1\r\nHost: {}\r\nContent-Length: 100\r\n\r\n{{",
                    server.address
                ),
                _ => String::new(),
            };
            stream.write_all(begun.as_bytes()).unwrap();
            stream
        })
        .collect();
    // Others are served meanwhile.
    assert_eq!(server.get("/healthz").status, 200);
    // Those that begin nothing, or do not go on, lose their connection: more than there is room
    // for come by.
    for _ in 0..20 {
        slow.push(server.connect());
    }
    assert_eq!(server.get("/healthz").status, 200);
    let mut rest = Vec::new();
    slow[0].read_to_end(&mut rest).unwrap();
    slow[1].read_to_end(&mut rest).unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("408"), "{rest:?}");
    assert_eq!(sandbox.read("a.txt"), "one\n");
}

#[test]
fn r41_a_stream_that_nobody_reads_is_closed() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &["--client-timeout", "1s"]);
    // More than the system takes in for a client that does not.
    let content = "0123456789abcde\n".repeat(900);
    let create = |n| json!({"op": "create-file", "file": format!("f/{n}"), "content": content});
    let batch = json!({"operations": (0..800).map(create).collect::<Vec<_>>()});
    assert_eq!(
        server
            .post(
                "/api/patches/apply?diff=false",
                batch.to_string().as_bytes()
            )
            .status,
        200
    );
    let streams = || {
        let counters = server.get("/metrics").text();
        let line = counters
            .lines()
            .find(|line| line.starts_with("patchctl_streams "));
        line.and_then(|line| line.split(' ').nth(1))
            .map(str::to_owned)
    };
    let stream = Events::open(&server, "/api/events?after=0", None);
    let socket = Socket::open(&server, "/ws?after=0").ok().unwrap();
    while streams().as_deref() != Some("0") {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop((stream, socket));
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn r41_huge_heads_and_bodies_are_cut_off() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &["--max-body", "1000000"]);
    let long = "x".repeat(200_000);
    let head = server.request("GET", "/healthz", &[("X-Long", &long)], b"");
    assert_eq!(head.status, 431);
    // The length that is said is not believed, and neither is one that is not said.
    let body = append("a.txt", &"y".repeat(2_000_000)).to_string();
    assert_eq!(
        server.post("/api/patches/apply", body.as_bytes()).status,
        413
    );
    let mut stream = server.connect();
    let head = format!(
        "POST /api/patches/apply HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    let part = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..100 {
        if stream.write_all(part.as_bytes()).is_err() {
            break;
        }
    }
    drop(stream);
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(sandbox.read("a.txt"), "one\n");
    // Of two equal keys none is dropped without a word.
    let twice = br#"{"batch_id": "a", "batch_id": "b"}"#;
    assert_eq!(server.post("/api/patches/undo", twice).status, 400);
    assert_eq!(server.post("/api/ask", &b"[".repeat(100_000)).status, 400);
}

#[test]
fn r41_ten_thousand_requests_are_answered() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let (threads, each) = (10, 1000);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut stream = server.connect();
                let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
                for _ in 0..each {
                    stream.write_all(request.as_bytes()).unwrap();
                    assert_eq!(answer(&mut stream).status, 200);
                }
            });
        }
    });
    let counters = server.get("/metrics").text();
    assert!(
        counters.contains("patchctl_requests_total{status=\"200\"} 10000"),
        "{counters}"
    );
}

#[test]
fn r42_path_tricks_in_urls_are_refused() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n"), (".git/config", "x\n")]);
    std::fs::write(sandbox.outside().join("secret"), "secret\n").unwrap();
    std::os::unix::fs::symlink("../secret", sandbox.root().join("link")).unwrap();
    sandbox.run(&["append", "a.txt", "--content", "x"]).exits(0);
    let server = Server::start(&sandbox, &[]);
    for path in [
        "../secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "a/../../secret",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "link",
        "a.txt%00",
        "",
        ".",
        ".mission_control/key",
        ".MISSION_CONTROL/key",
        "a.txt/",
        "%ff",
        "..%5csecret",
    ] {
        let answer = server.get(&format!("/api/files?path={path}"));
        assert!((400..500).contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.text().contains("secret\\n"), "{path}");
    }
    for path in [
        "/../etc/passwd",
        "/api/../../etc/passwd",
        "//etc/passwd",
        "/api/tasks/..%2f..%2fx/complete",
        "/%2e%2e/x",
    ] {
        let status = server.get(path).status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    for file in ["%2e%2e/secret", "../secret", ".git/config", "link"] {
        let target = format!("/api/patches/apply?file={file}");
        let answer = server.post(&target, b"@@ -1 +1 @@\n-x\n+y\n");
        assert!((400..500).contains(&answer.status), "{file}: {answer:?}");
    }
    let scan = server.get("/api/placeholders?path=../");
    assert_eq!(scan.status, 409);
}

#[test]
fn r42_what_a_browser_gets_is_data() {
    let sandbox = Sandbox::new(&[(
        "<img src=x onerror=alert(1)>.txt",
        "<script>alert(1)</script>\n",
    )]);
    let server = Server::start(&sandbox, &[]);
    for target in [
        "/",
        "/healthz",
        "/metrics",
        "/openapi.json",
        "/api/patches/logs",
        "/<script>alert(1)</script>",
        "/%3Cscript%3E",
        "/api/files?path=%3Cimg%20src=x%20onerror=alert(1)%3E.txt",
        "/api/patches/logs?%3Cscript%3E=1",
    ] {
        let answer = server.get(target);
        let none = String::new();
        let kind = answer.headers.get("content-type").unwrap_or(&none);
        // A target that no browser sends is answered with nothing.
        if answer.body.is_empty() && answer.status == 400 {
            continue;
        }
        assert!(
            kind == "application/json" || kind.starts_with("text/plain"),
            "{target}: {kind}"
        );
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert!(answer.headers["content-security-policy"].contains("default-src 'none'"));
    }
}

#[test]
fn fifty_clients_at_once_lose_no_update() {
    let sandbox = Sandbox::new(&[("count.txt", "0\n"), ("log.txt", "start\n")]);
    let server = Server::start(&sandbox, &[]);
    let (clients, each, counted) = (50, 6, 2);
    std::thread::scope(|scope| {
        for client in 0..clients {
            let server = &server;
            scope.spawn(move || {
                for n in 0..each {
                    let line = format!("{client}/{n}");
                    assert_eq!(server.apply(&append("log.txt", &line)).status, 200);
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

/// Sends a request over a Unix socket.
fn over(socket: &Path, request: &str) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(request.as_bytes())?;
    Ok(answer(&mut stream))
}

#[test]
fn a_unix_socket_is_opened_to_those_who_may_write_to_it() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let path = sandbox.outside().join("socket");
    let arguments = ["serve", "--socket", path.to_str().unwrap()];
    let server = Server::spawn(sandbox.command(&arguments));
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let health = over(&path, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(health.status, 200);
    // A second server does not take the place of one that listens.
    assert_eq!(sandbox.run(&arguments).code, 3);
    assert_eq!(server.stop(), 0);
    assert!(!path.try_exists().unwrap(), "it goes with its server");
    // What a killed one left is replaced.
    let server = Server::spawn(sandbox.command(&arguments));
    drop(server);
    assert!(path.try_exists().unwrap());
    let _server =
        Server::spawn(sandbox.command(&[&arguments[..], &["--socket-mode", "666"]].concat()));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
    // A file that is no socket stays.
    let file = sandbox.outside().join("file");
    std::fs::write(&file, "x").unwrap();
    assert_eq!(
        sandbox
            .run(&["serve", "--socket", file.to_str().unwrap()])
            .code,
        3
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "x");
}

#[test]
fn an_agent_that_is_another_user_can_ask_and_nothing_else() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    use std::os::unix::process::CommandExt as _;
    const SERVER: u32 = 65_531;
    const AGENT: u32 = 65_532;
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be two users");
        return;
    }
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let socket = sandbox.outside().join("run/socket");
    std::fs::create_dir(socket.parent().unwrap()).unwrap();
    std::fs::set_permissions(sandbox.outside(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for path in [
        sandbox.root(),
        sandbox.root().join("a.txt"),
        socket.parent().unwrap().to_owned(),
    ] {
        chown(path, Some(SERVER), Some(SERVER)).unwrap();
    }
    let mut command = sandbox.command(&[
        "serve",
        "--socket",
        socket.to_str().unwrap(),
        "--socket-mode",
        "666",
    ]);
    command.uid(SERVER).gid(SERVER);
    let _server = Server::spawn(command);
    // As the agent: the socket answers, the tree and its state do not open.
    let body = append("a.txt", "asked").to_string();
    let script = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); b = sys.argv[2].encode()
s.sendall(b"POST /api/patches/apply HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(b) + b)
print(s.recv(1 << 16).decode().split("\r\n")[0])
for name in sys.argv[3:]:
    for mode in ("r", "a"):
        try:
            open(name, mode); print("opened", name, mode)
        except PermissionError:
            pass
"#;
    let root = sandbox.root();
    let state = root.join(".mission_control");
    let mut agent = Command::new("python3");
    agent.args(["-c", script]).arg(&socket).arg(&body);
    for name in ["key", "lock", "log"] {
        agent.arg(state.join(name));
    }
    let Ok(said) = agent.uid(AGENT).gid(AGENT).output() else {
        eprintln!("skipped: there is no python3 for another user");
        return;
    };
    let talk = String::from_utf8_lossy(&said.stderr);
    if talk.contains("Permission denied") && said.stdout.is_empty() {
        eprintln!("skipped: another user cannot run python3: {talk}");
        return;
    }
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert_eq!(said.trim(), "HTTP/1.1 200 OK", "{talk}");
    assert_eq!(sandbox.read("a.txt"), "one\nasked\n");
    // It cannot write to the tree by itself, either.
    let direct = Command::new(env!("CARGO_BIN_EXE_patchctl"))
        .args(["append", "a.txt", "--content", "x", "--root"])
        .arg(&root)
        .current_dir("/")
        .uid(AGENT)
        .gid(AGENT)
        .output();
    assert!(!direct.is_ok_and(|output| output.status.success()));
    assert_eq!(sandbox.read("a.txt"), "one\nasked\n");
}

#[test]
fn the_openapi_document_is_valid_and_says_what_the_server_does() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let document = server.get("/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    // Every reference leads somewhere.
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in &references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
    let schema_of = |target: &str, method: &str, status: u16| -> Option<Value> {
        let path = target.split('?').next().unwrap();
        let path = match path {
            "/api/tasks/none/complete" => "/api/tasks/{uuid}/complete",
            "/api/tasks/none" => "/api/tasks/{uuid}",
            path => path,
        };
        let response = &document["paths"][path][method]["responses"][status.to_string()];
        assert!(
            response["description"].is_string(),
            "{method} {target} may give {status}"
        );
        let mut schema = response["content"]["application/json"]["schema"].clone();
        if schema.is_null() {
            return None;
        }
        schema["components"] = document["components"].clone();
        Some(schema)
    };
    let edit = append("a.txt", "x").to_string();
    let calls: [(&str, &str, &str); 21] = [
        ("post", "/api/patches/apply", &edit),
        ("post", "/api/patches/apply", "{\"operations\": 3}"),
        (
            "post",
            "/api/patches/apply",
            "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-nothing\n+x\n",
        ),
        ("post", "/api/patches/apply?nonsense=1", ""),
        ("post", "/api/patches/check", &edit),
        ("post", "/api/patches/undo", ""),
        ("post", "/api/patches/undo", "{\"batch_id\": \"none\"}"),
        ("get", "/api/patches/history", ""),
        ("get", "/api/patches/logs?limit=3", ""),
        ("get", "/api/patches/stats", ""),
        ("get", "/api/patches/trends?group=week", ""),
        ("get", "/api/delivery/reports", ""),
        ("get", "/api/delivery/reports?order_id=none", ""),
        ("get", "/api/files?path=a.txt", ""),
        ("get", "/api/files?path=none", ""),
        ("get", "/api/files?path=../x", ""),
        ("get", "/api/placeholders", ""),
        ("get", "/api/tasks", ""),
        ("get", "/api/tasks/none", ""),
        ("post", "/api/tasks/none/complete", ""),
        ("get", "/healthz", ""),
    ];
    for (method, target, body) in calls {
        let answer = server.request(&method.to_ascii_uppercase(), target, &[], body.as_bytes());
        let Some(schema) = schema_of(target, method, answer.status) else {
            continue;
        };
        let validator = jsonschema::validator_for(&schema).unwrap();
        let said = answer.json();
        let errors: Vec<_> = validator
            .iter_errors(&said)
            .map(|error| error.to_string())
            .collect();
        assert!(
            errors.is_empty(),
            "{method} {target} {}: {errors:?}: {said}",
            answer.status
        );
    }
    // Each path of the document is there.
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["operationId"].is_string());
            let target = path.replace("{uuid}", "none");
            if target == "/api/events" {
                continue;
            }
            let status = server
                .request(&method.to_ascii_uppercase(), &target, &[], b"")
                .status;
            assert!(
                ![404, 405].contains(&status) || path.contains("{uuid}"),
                "{method} {path}: {status}"
            );
        }
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(reference)) = object.get("$ref") {
                references.push(reference.clone());
            }
            object.values().for_each(|value| collect(value, references));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
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
    assert_eq!(mcp(&server, &headers, &twice).status, 400);
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
