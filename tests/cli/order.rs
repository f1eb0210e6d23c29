//! Orders at the orchestrator.

use crate::hand::Hand;
use crate::orchestrator::{Fault, Orchestrator};

const ORDER: &str = r#"{"factory": "f", "files": [
    {"file_path": "src/a.ts", "instructions": {"INIT": "set up", "RUN": "go"}}]}"#;

#[test]
fn an_order_is_made_and_its_placeholders_are_fetched() {
    let hand = Hand::new();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    let file = hand.root().join("order.json");
    std::fs::write(&file, ORDER).unwrap();
    let file = file.to_str().unwrap();
    let made = hand.run(&["order", "create", file, "--orchestrator", &url]);
    assert_eq!(made.code, Some(0), "{made:?}");
    assert_eq!(made.json()["tasks_created"], 2);
    let id = made.json()["order_id"].as_str().unwrap().to_owned();
    let fetched = hand.run(&["order", "placeholders", &id, "--orchestrator", &url]);
    let expected = serde_json::json!({ "INIT": "set up", "RUN": "go" });
    assert_eq!(fetched.json(), expected, "{fetched:?}");
    let missing = hand.run(&["order", "placeholders", "../x", "--orchestrator", &url]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
    assert!(missing.err.contains("404"), "{missing:?}");
}

#[test]
fn r29_an_answer_cannot_move_the_cursor_and_a_malformed_one_is_named() {
    let hand = Hand::new();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    let evil = "{\"A\": \"x\u{202e}y\u{9b}2J\"}".to_owned();
    let bodies = [
        Fault::Body(evil),
        Fault::Body("not JSON \u{1b}[2J".to_owned()),
    ];
    orchestrator.fail("/api/orders", bodies);
    let fetch = || hand.run(&["order", "placeholders", "O", "--orchestrator", &url]);
    let ran = fetch();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.out.contains(['\u{202e}', '\u{9b}']), "{ran:?}");
    let ran = fetch();
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.err.contains("malformed") && !ran.err.contains('\u{1b}'),
        "{ran:?}"
    );
}

#[test]
fn errors_that_could_not_be_reported_wait_in_the_outbox_and_their_answer_is_acted_on() {
    let hand = Hand::new();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    orchestrator.order("ORD-1", &[("old.ts", "CONF", "set it up")]);
    let moved = serde_json::json!({ "action": "update_file_path", "note": "new.ts" });
    orchestrator.remediate("CONF", moved);
    std::fs::write(hand.root().join("new.ts"), "###CONF###\n").unwrap();
    orchestrator.fail("/api/factory/errors", [Fault::Status(503)]);
    let init = ["init", "ORD-1", "--factory", "f", "--orchestrator", &url];
    // Everything waits: the error batch comes before the operations log and the events.
    let init_alone = [&init[..], &["--deliver-within", "0"]].concat();
    assert_eq!(hand.run(&init_alone).code, Some(3));
    assert!(orchestrator.errors().is_empty());
    let ran = hand.flush(&url, &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(orchestrator.errors().len(), 1);
    let ran = hand.run(&init);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = std::fs::read_to_string(hand.root().join("new.ts")).unwrap();
    assert!(text.contains("TASK_ID"), "{text}");
    // The first answer was enough.
    assert_eq!(orchestrator.errors().len(), 1);
    assert_eq!(
        orchestrator.operations().len(),
        hand_operations(&orchestrator)
    );
}

/// How many entries of the operations log came in, counted by their requests.
fn hand_operations(orchestrator: &Orchestrator) -> usize {
    let seen = orchestrator.seen_at("/api/ops/log");
    let mut ids: Vec<_> = seen.iter().filter_map(|r| r.header("webhook-id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() > 1);
    ids.len()
}
