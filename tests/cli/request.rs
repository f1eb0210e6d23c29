//! R33, R39: what a request to the orchestrator bears: signature, token, headers.

use std::time::Duration;

use crate::hand::{Hand, SECRET, ids};
use crate::orchestrator::hostile::{Act, Receiver};
use crate::orchestrator::{Options, Orchestrator};

#[test]
fn r33_the_signature_is_over_the_bytes_and_new_each_time() {
    let hand = Hand::new();
    let record = hand.batch(1);
    let receiver = Receiver::start(&[Act::Status(500), Act::Status(204)]);
    let url = receiver.url();
    let flush = |resume: &[&str]| {
        let mut command = hand.command(&["events", "flush", "--orchestrator", &url]);
        command
            .args(resume)
            .env("ORCHESTRATOR_WEBHOOK_SECRET", SECRET);
        command.output().unwrap()
    };
    flush(&[]);
    // Time stamps are in seconds.
    std::thread::sleep(Duration::from_millis(1100));
    flush(&["--resume"]);
    let seen: Vec<_> = receiver
        .seen()
        .into_iter()
        .map(|(request, _)| request)
        .collect();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[0].header("webhook-id"), Some(&*ids(&record)[0]));
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert_ne!(
        seen[0].header("webhook-timestamp"),
        seen[1].header("webhook-timestamp")
    );
    assert_ne!(
        seen[0].header("webhook-signature"),
        seen[1].header("webhook-signature")
    );
}

#[test]
fn r33_signatures_verify_in_another_language() {
    const PYTHON: &str = "
import base64, hashlib, hmac, sys
secret, message, timestamp, signature = sys.argv[1:]
key = base64.b64decode(secret.removeprefix('whsec_'))
signed = f'{message}.{timestamp}.'.encode() + sys.stdin.buffer.read()
mac = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
sys.exit(0 if hmac.compare_digest('v1,' + mac, signature) else 1)";
    let hand = Hand::new();
    hand.batch(3);
    let receiver = Receiver::start(&[Act::Status(204)]);
    let mut command = hand.command(&["events", "flush", "--orchestrator", &receiver.url()]);
    command.env("ORCHESTRATOR_WEBHOOK_SECRET", SECRET);
    assert!(command.output().unwrap().status.success());
    for (request, _) in receiver.seen() {
        let header = |name| request.header(name).unwrap().to_owned();
        let mut python = std::process::Command::new("python3")
            .args(["-c", PYTHON, SECRET])
            .args([header("webhook-id"), header("webhook-timestamp")])
            .arg(header("webhook-signature"))
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("this test needs python3");
        std::io::Write::write_all(&mut python.stdin.take().unwrap(), &request.body).unwrap();
        assert!(python.wait().unwrap().success());
    }
}

#[test]
fn the_orchestrator_checks_token_and_signature() {
    let hand = Hand::new();
    let record = hand.batch(2);
    let orchestrator = Orchestrator::start_with(Options {
        token: Some("t0ken".to_owned()),
        secret: Some(SECRET.to_owned()),
        ..Options::default()
    });
    let url = orchestrator.url();
    let flush = |token: &str, secret: &str| {
        let mut command = hand.command(&["events", "flush", "--resume", "--orchestrator", &url]);
        command.env("ORCHESTRATOR_TOKEN", token);
        command.env("ORCHESTRATOR_WEBHOOK_SECRET", secret);
        crate::hand::Ran::of(command.output().unwrap())
    };
    let wrong = flush("other", SECRET);
    assert_eq!(wrong.code, Some(4));
    assert!(
        wrong.err.contains("401") && wrong.err.contains("ORCHESTRATOR_TOKEN"),
        "{wrong:?}"
    );
    assert_eq!(
        flush("t0ken", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").code,
        Some(4)
    );
    assert!(orchestrator.events().is_empty());
    assert_eq!(flush("t0ken", SECRET).code, Some(0));
    let events = orchestrator.events();
    let found: Vec<_> = events
        .iter()
        .map(|e| e["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, ids(&record));
}

#[test]
fn cloud_event_headers_and_the_trace_go_along() {
    const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let hand = Hand::new();
    hand.batch(1);
    let receiver = Receiver::start(&[Act::Status(204)]);
    let mut command = hand.command(&["events", "flush", "--orchestrator", &receiver.url()]);
    command.env("TRACEPARENT", TRACE);
    command.env("ORCHESTRATOR_TOKEN", "t0ken");
    assert!(command.output().unwrap().status.success());
    let (request, _) = &receiver.seen()[1];
    let event = request.json();
    assert_eq!(request.path, "/api/patches/events");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("ce-specversion"), Some("1.0"));
    assert_eq!(request.header("ce-id"), event["event_id"].as_str());
    assert_eq!(request.header("ce-type"), Some("patchctl.patch_applied"));
    assert_eq!(request.header("ce-source"), Some("urn:patchctl"));
    assert_eq!(request.header("ce-time"), event["at"].as_str());
    assert_eq!(request.header("ce-subject"), Some("src/0.txt"));
    assert_eq!(request.header("traceparent"), Some(TRACE));
    assert_eq!(request.header("authorization"), Some("Bearer t0ken"));
    assert_eq!(request.header("webhook-signature"), None);
}

#[test]
fn r39_a_secret_never_crosses_plain_http_unasked() {
    let hand = Hand::new();
    hand.batch(0);
    let url = "http://orchestrator.invalid";
    let mut command = hand.command(&["events", "flush", "--orchestrator", url]);
    command.env("ORCHESTRATOR_TOKEN", "canary-31");
    let ran = crate::hand::Ran::of(command.output().unwrap());
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.err.contains("--insecure-http") && !ran.err.contains("canary"),
        "{ran:?}"
    );
    command.arg("--insecure-http");
    assert_eq!(command.output().unwrap().status.code(), Some(4));
}
