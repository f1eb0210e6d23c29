//! Clients that do everything, a little at a time.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::client::Server;
use crate::sandbox::Sandbox;

/// Between two bytes.
const PAUSE: Duration = Duration::from_millis(50);
const APPLY: &str = "/api/patches/apply?diff=false";

/// The only place is taken by a client that is never idle for long: whoever comes behind it is
/// served when it has lost the place.
fn drip(sandbox: &Sandbox, request: impl Fn(&str) -> String, reads: bool) {
    let options = ["--client-timeout", "1s", "--max-connections", "1"];
    let server = Server::start(sandbox, &options);
    let mut stream = server.connect();
    let host = format!("Host: {}\r\n", server.address);
    stream.write_all(request(&host).as_bytes()).unwrap();
    let mut byte = *b" ";
    if reads {
        stream.read_exact(&mut byte).unwrap();
    }
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // Where it has lost its place, that is for others to see.
                let _ = match reads {
                    true => stream.read_exact(&mut byte),
                    false => stream.write_all(&byte),
                };
                std::thread::sleep(PAUSE);
            }
        });
        let next = std::panic::catch_unwind(|| server.get("/healthz").status);
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(next.ok(), Some(200));
    });
}

#[test]
fn r41_a_client_that_sends_its_head_by_drips_loses_its_place() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let head = |host: &str| format!("GET /healthz HTTP/1.1\r\n{host}X-Drip: ");
    drip(&sandbox, head, false);
}

#[test]
fn r41_a_client_that_sends_its_body_by_drips_loses_its_place() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let head =
        |host: &str| format!("POST {APPLY} HTTP/1.1\r\n{host}Content-Length: 1000000\r\n\r\n");
    drip(&sandbox, head, false);
}

#[test]
fn r41_a_client_that_reads_its_answer_by_drips_loses_its_place() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    // More than the system takes in for a client that does not read.
    let content = "0123456789abcde\n".repeat(900);
    let create = |n| json!({"op": "create-file", "file": format!("f/{n}"), "content": content});
    let batch = json!({"operations": (0..900).map(create).collect::<Vec<_>>()});
    let server = Server::start(&sandbox, &[]);
    let applied = server.post(APPLY, batch.to_string().as_bytes());
    assert_eq!(applied.status, 200);
    drop(server);
    let logs = |host: &str| format!("GET /api/patches/logs?limit=1000 HTTP/1.1\r\n{host}\r\n");
    drip(&sandbox, logs, true);
}
