//! R31: secrets of the operator come out nowhere.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::sandbox::Sandbox;

const TOKEN: &str = "canary/SE+CRET=token";
const BATCH: &str = r#"{"operations":[{"op":"append","file":"a.txt","content":"x"}]}"#;

/// Whether any file of the root, the state included, holds a text.
fn is_stored(sandbox: &Sandbox, text: &str) -> bool {
    let files = walkdir::WalkDir::new(sandbox.root())
        .into_iter()
        .map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file())
        .any(|entry| {
            let bytes = std::fs::read(entry.path()).unwrap();
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
}

/// Answers every request with this status and the request itself.
fn echo(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.windows(4).any(|part| part == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count @ 1..) => request.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            let head = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                request.len()
            );
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&request);
        }
    });
    url
}

#[test]
fn an_answer_that_echoes_the_request_does_not_show_the_token() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
    for status in [400, 401, 500] {
        let url = echo(status);
        for arguments in [
            &["init", "--factory", "f", "ORD1"][..],
            &[
                "ask",
                "--order-id",
                "o",
                "--question",
                "q",
                "--retries",
                "0",
            ],
            &["apply", "--no-diff", "-"],
            &["events", "flush"],
            &["events", "dead", "list", "--output", "json"],
            &["doctor"],
        ] {
            let mut child = sandbox
                .command(arguments)
                .env("ORCHESTRATOR_URL", &url)
                .env("ORCHESTRATOR_TOKEN", TOKEN)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let _ = child.stdin.take().unwrap().write_all(BATCH.as_bytes());
            let output = child.wait_with_output().unwrap();
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8_lossy(&printed);
            assert!(
                !printed.contains("canary"),
                "{status} {arguments:?}: {printed}"
            );
        }
        assert!(!is_stored(&sandbox, "canary"), "{status}");
    }
}

#[test]
fn what_a_verification_prints_of_a_secret_is_neither_shown_nor_kept() {
    let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
    for said in [
        format!("printf %s '{TOKEN}'"),
        format!("printf %s '{TOKEN}' | base64"),
        format!("printf %s 'user:{TOKEN}' | base64 -w0"),
        "printf %s canary%2FSE%2BCRET%3Dtoken".to_owned(),
        "tr '\\0' '\\n' < /proc/$PPID/environ".to_owned(),
    ] {
        for format in ["human", "json"] {
            let verify = format!("{said}; {said} >&2; false");
            let arguments = [
                "append",
                "a.txt",
                "--content",
                "x",
                "--verify",
                &verify,
                "--output",
                format,
            ];
            let output = sandbox
                .command(&arguments)
                .env("ORCHESTRATOR_TOKEN", TOKEN)
                .env("ORCHESTRATOR_URL", "http://127.0.0.1:9")
                .output()
                .unwrap();
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8_lossy(&printed);
            assert_eq!(output.status.code(), Some(1), "{printed}");
            for form in [
                TOKEN,
                "Y2FuYXJ5L1NFK0NSRVQ9dG9r",
                "canary%2F",
                "FuYXJ5L1NFK0NSRVQ9",
            ] {
                assert!(!printed.contains(form), "{said}: {printed}");
            }
        }
    }
    let log = sandbox.root().join(".mission_control");
    for entry in walkdir::WalkDir::new(log).into_iter().map(Result::unwrap) {
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(
                !String::from_utf8_lossy(&bytes).contains(TOKEN),
                "{entry:?}"
            );
        }
    }
}

fn is_running(sleep: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes.filter_map(Result::ok).any(|entry| {
        std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| {
            line.split(|&byte| byte == 0)
                .any(|part| part == sleep.as_bytes())
        })
    })
}

#[test]
#[cfg(target_os = "linux")]
fn what_leaves_the_group_of_a_failed_verification_is_killed() {
    for (ends, code, stays) in [
        ("false", 1, false),
        ("sleep 600", 1, false),
        ("true", 0, true),
    ] {
        let sandbox = Sandbox::new(&[("a.txt", "a\n")]);
        let pause = format!(
            "3{}.{}",
            std::process::id(),
            code * 7 + i32::from(ends.len() > 5)
        );
        let verify = format!("setsid sleep {pause} >/dev/null 2>&1 & sleep 0.3; {ends}");
        let arguments = [
            "append",
            "a.txt",
            "--content",
            "x",
            "--verify",
            &verify,
            "--verify-timeout",
            "2",
        ];
        let run = sandbox.run(&arguments).exits(code);
        assert!(
            run.err.contains("left processes running"),
            "{ends}: {run:?}"
        );
        assert!(run.err.contains("sleep ("), "{ends}: {run:?}");
        let began = Instant::now();
        while is_running(&pause) != stays && began.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(is_running(&pause), stays, "{ends}");
        if stays {
            let pids = std::process::Command::new("pgrep")
                .args(["-f", &pause])
                .output()
                .unwrap();
            for pid in String::from_utf8_lossy(&pids.stdout).lines() {
                std::process::Command::new("kill")
                    .arg(pid)
                    .status()
                    .unwrap();
            }
        }
    }
}
