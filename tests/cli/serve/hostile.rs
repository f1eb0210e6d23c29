//! Clients that mean no good, or are slow: R41 and R42 by name.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use serde_json::json;

use super::client::{Events, Server, Socket, answer, append};
use crate::sandbox::Sandbox;

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
fn r41_what_comes_by_drips_is_given_up() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &["--client-timeout", "1s"]);
    // Each byte comes in time; the whole does not.
    let head = format!("Host: {}\r\nContent-Length: 100000\r\n\r\n", server.address);
    let begun = format!("POST /api/patches/apply HTTP/1.1\r\n{head}");
    for (begun, drip) in [("GET /healthz HTTP/1.1\r\nX-Drip: ", "x"), (&begun, " ")] {
        let mut stream = server.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut reader = stream.try_clone().unwrap();
        let heard = std::thread::spawn(move || {
            let mut heard = Vec::new();
            // A connection that is cut off is over, too.
            let _ = reader.read_to_end(&mut heard);
            String::from_utf8_lossy(&heard).into_owned()
        });
        while !heard.is_finished() {
            std::thread::sleep(Duration::from_millis(100));
            let _ = stream.write_all(drip.as_bytes());
        }
        let heard = heard.join().unwrap();
        assert!(heard.is_empty() || heard.contains(" 408 "), "{heard}");
        assert_eq!(server.get("/healthz").status, 200);
    }
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
fn every_refusal_is_json_that_says_why() {
    let sandbox = Sandbox::new(&[("a.txt", "one\n")]);
    let server = Server::start(&sandbox, &[]);
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "12"),
    ];
    for (method, target, headers, status) in [
        ("GET", "/nothing", &[][..], 404),
        ("PUT", "/healthz", &[][..], 405),
        ("GET", "/ws", &[][..], 400),
        ("GET", "/ws", &upgrade[..], 400),
        ("GET", "/api/tasks/%ff", &[][..], 400),
        ("POST", "/api/tasks/%ff/complete", &[][..], 400),
        ("GET", "/api/patches/trends", &[][..], 400),
        ("GET", "/healthz", &[("Host", "evil.example")][..], 403),
        #[cfg(feature = "mcp")]
        ("GET", "/mcp", &[][..], 405),
        #[cfg(feature = "mcp")]
        ("POST", "/mcp", &[("Accept", "text/html")][..], 406),
    ] {
        let answer = server.request(method, target, headers, b"");
        assert_eq!(answer.status, status, "{method} {target}: {answer:?}");
        let kind = &answer.headers["content-type"];
        assert_eq!(kind, "application/json", "{method} {target}");
        let why = answer.json()["error"].clone();
        assert!(why.as_str().is_some_and(|why| why.len() > 8), "{answer:?}");
    }
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
