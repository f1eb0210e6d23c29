//! What one client does is no other's loss, and what becomes of the tree is nobody else's.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Events, Server, Socket, append};
use crate::sandbox::Sandbox;

#[test]
fn r41_a_client_that_floods_a_websocket_is_closed_and_holds_nothing_up() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let create = |n| json!({"op": "create-file", "file": format!("f/{n}"), "content": "x\n"});
    let batch = json!({"operations": (0..2000).map(create).collect::<Vec<_>>()});
    assert_eq!(server.apply(&batch).status, 200);
    let mut socket = Socket::open(&server, "/ws?after=0").ok().unwrap();
    let mut sender = socket.0.get_ref().try_clone().unwrap();
    // Small text messages, masked by zeros.
    let flood = [0x81, 0x81, 0, 0, 0, 0, b'x'].repeat(1000);
    let flooding = std::thread::spawn(move || while sender.write_all(&flood).is_ok() {});
    while socket.next().is_some() {}
    flooding.join().unwrap();
    assert_eq!(server.get("/api/patches/stats").status, 200);
    assert_eq!(server.apply(&append("a.txt", "x")).status, 200);
    let counters = server.get("/metrics").text();
    assert!(counters.contains("patchctl_streams 0"), "{counters}");
}

#[test]
fn what_a_client_says_does_not_keep_events_from_it() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    for n in 0..40 {
        server.apply(&append("a.txt", &n.to_string()));
    }
    let mut socket = Socket::open(&server, "/ws?after=0").ok().unwrap();
    let mut sender = socket.0.get_ref().try_clone().unwrap();
    let talking = std::thread::spawn(move || {
        for _ in 0..500 {
            sender.write_all(&[0x89, 0x80, 0, 0, 0, 0]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let seen: Vec<Value> = (0..80).map(|_| socket.next().unwrap()).collect();
    talking.join().unwrap();
    let mut ids: Vec<_> = seen
        .iter()
        .map(|event| event["event_id"].as_str())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 80, "each event once");
}

#[test]
fn pages_from_the_oldest_event_do_not_move_while_others_commit() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    for n in 0..8 {
        server.apply(&append("a.txt", &n.to_string()));
    }
    let page = || {
        let page = server
            .get("/api/patches/logs?sort=oldest&offset=3&limit=7")
            .json();
        assert_eq!(page["more"], true);
        page["events"].clone()
    };
    let before = page();
    assert_eq!(before.as_array().unwrap().len(), 7);
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 0..20 {
                server.apply(&append("a.txt", &format!("more {n}")));
            }
        });
        while !writing.is_finished() {
            assert_eq!(page(), before);
        }
    });
}

#[test]
fn a_stream_from_which_gc_takes_what_it_has_still_to_send_ends() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    // More than the system takes in for a client that does not read.
    let content = "0123456789abcde\n".repeat(900);
    for dir in ["f", "g"] {
        let create =
            |n| json!({"op": "create-file", "file": format!("{dir}/{n}"), "content": content});
        let batch = json!({"operations": (0..800).map(create).collect::<Vec<_>>()});
        assert_eq!(server.apply(&batch).status, 200);
    }
    let mut stream = Events::open(&server, "/api/events?after=0", None);
    let mut last = stream.next()["event_id"].clone();
    sandbox.run(&["gc", "--max-size", "1"]).exits(0);
    let mut seen = 1;
    let mut line = String::new();
    // The chunk that ends a body.
    while line != "0\r\n" {
        line.clear();
        assert!(stream.0.read_line(&mut line).unwrap() > 0);
        if let Some(id) = line.strip_prefix("id: ") {
            last = id.trim().into();
            seen += 1;
        }
    }
    assert!(seen < 1602, "all was sent");
    // Whoever comes back for the rest hears that it is gone.
    let back = format!("/api/events?after={}", last.as_str().unwrap());
    assert_eq!(server.get(&back).status, 410);
}

#[test]
fn last_event_ids_that_cannot_be_read_are_refused() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    for headers in [
        &[("Last-Event-ID", "\u{e9}")][..],
        &[("Last-Event-ID", "0"), ("Last-Event-ID", "1")],
    ] {
        let answer = server.request("GET", "/api/events", headers, b"");
        assert_eq!(answer.status, 400, "{headers:?}");
    }
}

#[test]
fn the_log_is_read_while_all_edits_wait() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let go = sandbox.outside().join("go");
    let verify = format!("until test -e {}; do sleep 0.05; done", go.display());
    let server = Server::start(&sandbox, &["--verify", &verify, "--lock-wait", "600"]);
    std::thread::scope(|scope| {
        let edits: Vec<_> = (0..12)
            .map(|n| {
                scope.spawn({
                    let server = &server;
                    move || server.apply(&append("a.txt", &n.to_string())).status
                })
            })
            .collect();
        while sandbox.read("a.txt") == "one\n" {
            std::thread::sleep(Duration::from_millis(10));
        }
        // All of these would wait for the verification, which waits for the file.
        for target in [
            "/api/patches/history",
            "/api/patches/logs",
            "/api/patches/stats",
            "/api/patches/trends?group=week",
            "/api/delivery/reports",
            "/api/tasks",
            "/metrics",
        ] {
            assert_eq!(server.get(target).status, 200, "{target}");
        }
        std::fs::write(&go, "").unwrap();
        for edit in edits {
            assert_eq!(edit.join().unwrap(), 200);
        }
    });
    assert_eq!(sandbox.read("a.txt").lines().count(), 13);
}

#[test]
fn edits_that_wait_do_not_keep_a_server_from_its_end() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let options = [
        "--verify",
        "sleep 600",
        "--lock-wait",
        "600",
        "--grace",
        "100ms",
    ];
    let server = Server::start(&sandbox, &options);
    let body = append("a.txt", "x").to_string();
    let request = format!(
        "POST /api/patches/apply HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    let waiting: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    while sandbox.read("a.txt") == "one\n" {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(server.stop(), 0);
    drop(waiting);
    assert_eq!(sandbox.read("a.txt"), "one\n");
    sandbox.run(&["status"]).exits(0);
}

#[test]
fn a_directory_that_takes_the_place_of_the_root_is_not_edited() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    assert_eq!(server.apply(&append("a.txt", "x")).status, 200);
    let (root, kept) = (sandbox.root(), sandbox.outside().join("kept"));
    std::fs::rename(&root, &kept).unwrap();
    let gone = server.apply(&append("a.txt", "y"));
    assert_eq!(
        (gone.status, &gone.json()["refusal"]["code"]),
        (503, &json!("IO"))
    );
    let other = sandbox.outside().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("a.txt"), "another\n").unwrap();
    std::os::unix::fs::symlink(&other, &root).unwrap();
    let calls = || {
        for answer in [
            server.apply(&append("a.txt", "y")),
            server.get("/api/files?path=a.txt"),
            server.get("/api/patches/stats"),
            server.post("/api/patches/undo", b""),
        ] {
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(
                answer.text().contains("another directory"),
                "{}",
                answer.text()
            );
        }
    };
    calls();
    std::fs::remove_file(&root).unwrap();
    std::fs::rename(&other, &root).unwrap();
    calls();
    assert_eq!(
        std::fs::read_dir(&root).unwrap().count(),
        1,
        "nothing is written"
    );
    assert_eq!(sandbox.read("a.txt"), "another\n");
    // Where the first one is back, it goes on.
    std::fs::remove_dir_all(&root).unwrap();
    std::fs::rename(&kept, &root).unwrap();
    assert_eq!(server.apply(&append("a.txt", "y")).status, 200);
    assert_eq!(sandbox.read("a.txt"), "one\nx\ny\n");
}

#[test]
fn an_undo_is_safe_to_send_again_by_the_id_of_its_batch_alone() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let first = server.apply(&append("a.txt", "x")).json();
    server.apply(&append("a.txt", "y"));
    let key = [("Idempotency-Key", "u1")];
    let undo = |body: &Value| {
        server.request(
            "POST",
            "/api/patches/undo",
            &key,
            body.to_string().as_bytes(),
        )
    };
    let refused = undo(&json!({}));
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("batch_id"), "{}", refused.text());
    assert_eq!(sandbox.read("a.txt"), "one\nx\ny\n");
    server.post("/api/patches/undo", b"");
    for status in ["applied", "unchanged"] {
        let undone = undo(&json!({"batch_id": first["batch_id"]}));
        assert_eq!(
            (undone.status, &undone.json()["status"]),
            (200, &json!(status))
        );
    }
    assert_eq!(sandbox.read("a.txt"), "one\n");
}

#[test]
fn only_the_servers_own_agent_is_taken_back_and_nothing_that_is_protected() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n"), ("b.cfg", "x\n")]);
    let by = |agent: &[&str], file: &str| {
        let edit = ["append", file, "--content", "other", "--output", "json"];
        let report = sandbox.run(&[&edit[..], agent].concat()).exits(0).json();
        report["batch_id"].clone()
    };
    let protected = by(&["--agent", "codex"], "b.cfg");
    let anothers = by(&["--agent", "other"], "a.txt");
    let nobodys = by(&[], "a.txt");
    let server = Server::start(&sandbox, &["--agent", "codex", "--protect", "*.cfg"]);
    let undo = |server: &Server, body: Value| {
        server.post("/api/patches/undo", body.to_string().as_bytes())
    };
    for id in [&anothers, &nobodys] {
        let refused = undo(&server, json!({"batch_id": id}));
        assert_eq!(refused.status, 400, "{}", refused.text());
        assert!(
            refused.text().contains("its own agent"),
            "{}",
            refused.text()
        );
    }
    for body in [json!({"batch_id": protected}), json!({})] {
        let refused = undo(&server, body);
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(
            refused.text().contains("PATH_PROTECTED"),
            "{}",
            refused.text()
        );
    }
    assert_eq!(sandbox.read("a.txt"), "one\nother\nother\n");
    assert_eq!(sandbox.read("b.cfg"), "x\nother\n");
    drop(server);
    // Without an agent: the last of nobody, another's by its id alone.
    let server = Server::start(&sandbox, &[]);
    assert_eq!(undo(&server, json!({})).status, 200);
    assert_eq!(sandbox.read("a.txt"), "one\nother\n");
    assert_eq!(undo(&server, json!({})).status, 400);
    assert_eq!(undo(&server, json!({"batch_id": anothers})).status, 200);
    assert_eq!(sandbox.read("a.txt"), "one\n");
}

#[test]
fn options_that_make_no_server_are_refused() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    for option in [
        ["--host", ""],
        ["--host", "*"],
        ["--host", "name:80"],
        ["--host", "http://name"],
        ["--socket-mode", "660"],
        ["--max-connections", "0"],
        ["--max-connections", "18446744073709551615"],
    ] {
        let refused = sandbox.run(&[&["serve", "--listen", "127.0.0.1:0"], &option[..]].concat());
        assert_eq!(refused.code, 2, "{option:?}: {}", refused.err);
    }
    let server = Server::start(&sandbox, &["--host", "Agents.Example", "--host", "fe80::1"]);
    for host in ["agents.example:80", "AGENTS.EXAMPLE", "[fe80::1]:8000"] {
        let answer = server.request("GET", "/healthz", &[("Host", host)], b"");
        assert_eq!(answer.status, 200, "{host}");
    }
}
