//! Edits with an orchestrator: what it is told, and what that costs the edit.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hand::{Hand, Ran};
use crate::orchestrator::hostile::{Act, Receiver};
use crate::orchestrator::{Fault, Orchestrator};

/// A tree of one file, `a.txt`.
fn tree() -> Hand {
    let hand = Hand::new();
    std::fs::write(hand.root().join("a.txt"), "one\ntwo\n").unwrap();
    hand
}

fn append(text: &str) -> Value {
    json!({ "operations": [{ "op": "append", "file": "a.txt", "content": text }] })
}

fn apply(hand: &Hand, batch: &Value, arguments: &[&str]) -> Ran {
    apply_in(hand, batch, arguments, &[])
}

fn apply_in(hand: &Hand, batch: &Value, arguments: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut child = hand
        .command(&["apply", "--output", "json"])
        .args(arguments)
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(batch.to_string().as_bytes()).unwrap();
    drop(stdin);
    Ran::of(child.wait_with_output().unwrap())
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["event"].as_str().unwrap())
        .collect()
}

#[test]
fn r32_an_edit_tells_what_landed_with_labels_hashes_and_its_own_hunks() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let batch = json!({
        "order_id": "ORD-1", "agent": "codex", "batch_id": "b-1",
        "operations": [
            { "op": "append", "file": "a.txt", "content": "three" },
            { "op": "create-file", "file": "b.txt", "content": "new\n", "phase": "plan" },
        ],
    });
    let ran = apply(&hand, &batch, &["--orchestrator", &orchestrator.url()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let events = orchestrator.events();
    assert_eq!(
        kinds(&events),
        ["PATCH_REQUESTED", "PATCH_APPLIED", "PATCH_APPLIED"]
    );
    let report = ran.json();
    for event in &events {
        assert_eq!(event["transaction"], report["transaction"]);
        assert_eq!(event["batch_id"], "b-1");
        assert_eq!(
            (&event["order_id"], &event["agent"]),
            (&"ORD-1".into(), &"codex".into())
        );
    }
    assert_eq!(events[0]["plan"], report["plan"]);
    assert_eq!(events[0]["counts"], json!({ "applied": 2 }));
    assert_eq!(events[1]["before"], report["files"][0]["before"]);
    assert_eq!(events[1]["after"], report["files"][0]["after"]);
    assert!(
        events[1]["diff"]
            .as_str()
            .unwrap()
            .ends_with(" two\n+three\n")
    );
    assert_eq!(events[2]["phase"], "plan");
    assert!(
        events[2]["diff"]
            .as_str()
            .unwrap()
            .contains("new file mode")
    );
}

#[test]
fn r32_a_refused_batch_and_one_that_failed_its_check_say_so() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    let batch = json!({ "operations": [
        { "op": "append", "file": "a.txt", "content": "three" },
        { "op": "replace-text", "file": "a.txt", "find": "nope", "content": "x" },
    ] });
    assert_eq!(
        apply(&hand, &batch, &["--orchestrator", &url]).code,
        Some(1)
    );
    let verify = ["--orchestrator", &url, "--verify", "false"];
    assert_eq!(apply(&hand, &append("x"), &verify).code, Some(1));
    let events = orchestrator.events();
    assert_eq!(
        kinds(&events),
        [
            "PATCH_REQUESTED",
            "PATCH_SKIPPED",
            "PATCH_REFUSED",
            "PATCH_REQUESTED",
            "PATCH_ROLLED_BACK"
        ]
    );
    assert_eq!(events[0]["status"], "refused");
    assert_eq!(events[1]["outcome"], "not_applied");
    assert_eq!(events[2]["refusal"]["code"], "ANCHOR_NOT_FOUND");
    assert_eq!(events[3]["status"], "rolled_back");
    assert_eq!(
        std::fs::read(hand.root().join("a.txt")).unwrap(),
        b"one\ntwo\n"
    );
}

#[test]
fn without_an_orchestrator_no_store_is_made() {
    let hand = tree();
    assert_eq!(apply(&hand, &append("x"), &[]).code, Some(0));
    assert!(
        !hand
            .root()
            .join(".mission_control/store")
            .try_exists()
            .unwrap()
    );
}

#[test]
fn r36_a_hanging_endpoint_is_left_alone_within_no_budget_and_during_back_off() {
    let hand = tree();
    let receiver = Receiver::start(&[Act::Hang]);
    let url = receiver.url();
    let none = ["--orchestrator", &url, "--deliver-within", "0"];
    assert_eq!(apply(&hand, &append("x"), &none).code, Some(0));
    assert_eq!(receiver.count(), 0);
    let some = ["--orchestrator", &url, "--deliver-within", "200ms"];
    assert_eq!(apply(&hand, &append("y"), &some).code, Some(0));
    assert_eq!(receiver.count(), 1);
    // The back-off is at least half a second, and this takes less.
    assert_eq!(apply(&hand, &append("z"), &some).code, Some(0));
    assert_eq!(receiver.count(), 1);
    assert_eq!(
        std::fs::read(hand.root().join("a.txt")).unwrap(),
        b"one\ntwo\nx\ny\nz\n"
    );
    // All of it goes out once somebody answers.
    let orchestrator = Orchestrator::start();
    let ran = hand.flush(&orchestrator.url(), &["--resume"]);
    assert_eq!(ran.json()["delivered"], 6, "{ran:?}");
}

#[test]
fn required_delivery_fails_with_4_and_the_edit_stays() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    orchestrator.fail("/api/patches/events", [Fault::Status(500)]);
    let required = ["--orchestrator", &url, "--require-delivery"];
    let ran = apply(&hand, &append("x"), &required);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert_eq!(ran.json()["status"], "applied");
    assert_eq!(
        std::fs::read(hand.root().join("a.txt")).unwrap(),
        b"one\ntwo\nx\n"
    );
    assert_eq!(hand.flush(&url, &["--resume"]).code, Some(0));
    assert_eq!(apply(&hand, &append("y"), &required).code, Some(0));
    assert_eq!(orchestrator.events().len(), 4);
}

#[test]
fn what_one_edit_left_the_next_one_takes_along() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    assert_eq!(apply(&hand, &append("x"), &[]).code, Some(0));
    assert_eq!(
        apply(&hand, &append("y"), &["--orchestrator", &url]).code,
        Some(0)
    );
    assert_eq!(orchestrator.events().len(), 4);
}

#[test]
fn events_go_without_diffs_where_the_operator_says_so() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let arguments = ["--orchestrator", &orchestrator.url(), "--no-event-diff"];
    assert_eq!(apply(&hand, &append("x"), &arguments).code, Some(0));
    assert!(
        orchestrator
            .events()
            .iter()
            .all(|event| event["diff"].is_null())
    );
}

#[test]
fn a_diff_beyond_16_kib_is_left_out_and_that_is_said() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let arguments = ["--orchestrator", &orchestrator.url()];
    assert_eq!(
        apply(&hand, &append(&"long\n".repeat(5000)), &arguments).code,
        Some(0)
    );
    let event = &orchestrator.events()[1];
    assert_eq!(event["diff_truncated"], true);
    assert!(event["diff"].is_null());
    assert_eq!(event["lines_added"], 5000);
}

#[test]
fn a_replay_is_skipped_and_undoing_is_told() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    let mut batch = append("x");
    batch["batch_id"] = "b-1".into();
    assert_eq!(
        apply(&hand, &batch, &["--orchestrator", &url]).code,
        Some(0)
    );
    let replay = apply(&hand, &batch, &["--orchestrator", &url]);
    assert_eq!(replay.code, Some(0), "{replay:?}");
    for event in &orchestrator.events()[2..] {
        let kind = event["event"].as_str().unwrap();
        assert!(
            kind == "PATCH_REQUESTED" || kind == "PATCH_SKIPPED",
            "{event}"
        );
    }
}

#[test]
fn r39_a_batch_cannot_name_the_orchestrator() {
    let hand = tree();
    let receiver = Receiver::start(&[Act::Status(204)]);
    let mut batch = append("x");
    batch["orchestrator"] = receiver.url().into();
    assert_eq!(apply(&hand, &batch, &[]).code, Some(2));
    assert_eq!(receiver.count(), 0);
}

#[test]
fn a_wrong_configuration_stops_an_edit_before_it_lands() {
    let hand = tree();
    let ran = apply(&hand, &append("x"), &["--orchestrator", "nonsense"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(
        std::fs::read(hand.root().join("a.txt")).unwrap(),
        b"one\ntwo\n"
    );
}

#[test]
fn r31_a_canary_reaches_no_child_no_file_and_no_report() {
    const CANARY: &str = "CANARYcanaryCANARYcanaryCANARYca";
    let hand = tree();
    let secrets = TempDir::new().unwrap();
    let file = secrets.path().join("token");
    std::fs::write(&file, format!("{CANARY}\n")).unwrap();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    let secret = format!("whsec_{CANARY}");
    let env = [
        ("ORCHESTRATOR_TOKEN_FILE", file.to_str().unwrap()),
        ("ORCHESTRATOR_WEBHOOK_SECRET", &secret),
    ];
    let arguments = [
        "--orchestrator",
        &url,
        "--verify",
        "env > env.txt; env",
        "-v",
        "-v",
    ];
    let ran = apply_in(&hand, &append("x"), &arguments, &env);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!format!("{ran:?}").contains("CANARY"), "{ran:?}");
    let inherited = std::fs::read_to_string(hand.root().join("env.txt")).unwrap();
    assert!(inherited.contains("PATH=") && !inherited.contains("CANARY"));
    assert!(!inherited.contains("ORCHESTRATOR_TOKEN"));
    for seen in orchestrator.seen() {
        assert!(!String::from_utf8_lossy(&seen.body).contains("CANARY"));
    }
}

#[test]
fn the_log_keeps_what_is_not_delivered_when_it_is_cleaned_up() {
    let hand = tree();
    let receiver = Receiver::start(&[Act::Status(500)]);
    let url = receiver.url();
    let first = apply(&hand, &append("x"), &["--orchestrator", &url]);
    let transaction = first.json()["transaction"].as_str().unwrap().to_owned();
    let entry = hand.root().join(".mission_control/log").join(&transaction);
    let is_there = || std::fs::symlink_metadata(&entry).is_ok();
    let clean_up = || hand.run(&["gc", "--max-age", "0", "--max-size", "0"]);
    let ran = clean_up();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(is_there(), "{ran:?}");
    // Nor is what was to be delivered by others alone.
    let other = tree();
    let later = ["--orchestrator", &url, "--deliver-within", "0"];
    assert_eq!(apply(&other, &append("x"), &later).code, Some(0));
    let ran = other.run(&["gc", "--max-age", "0", "--max-size", "0"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        other
            .run(&["events", "list", "--output", "json"])
            .lines()
            .len(),
        2
    );
    let orchestrator = Orchestrator::start();
    let ran = hand.flush(&orchestrator.url(), &["--resume"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(orchestrator.events().len(), 2);
    clean_up();
    assert!(!is_there());
    assert_eq!(hand.flush(&orchestrator.url(), &[]).json()["delivered"], 0);
}

#[test]
fn r32_undoing_is_told_too() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    assert_eq!(
        apply(&hand, &append("x"), &["--orchestrator", &url]).code,
        Some(0)
    );
    let ran = hand.run(&["undo", "--orchestrator", &url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        std::fs::read(hand.root().join("a.txt")).unwrap(),
        b"one\ntwo\n"
    );
    let events = orchestrator.events();
    assert_eq!(kinds(&events)[2..], ["PATCH_REQUESTED", "PATCH_UNDONE"]);
    assert!(
        events[3]["diff"].as_str().unwrap().contains("-x"),
        "{}",
        events[3]
    );
}

#[test]
fn previews_are_told_only_if_that_is_asked_for_and_write_nothing() {
    let hand = tree();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    let dry = ["--dry-run", "--orchestrator", &url];
    assert_eq!(apply(&hand, &append("x"), &dry).code, Some(0));
    assert!(orchestrator.seen().is_empty());
    let told = ["--dry-run", "--orchestrator", &url, "--preview-events"];
    assert_eq!(apply(&hand, &append("x"), &told).code, Some(0));
    let events = orchestrator.events();
    assert_eq!(kinds(&events), ["PATCH_REQUESTED", "PATCH_PREVIEWED"]);
    assert!(events.iter().all(|event| event["dry_run"] == true));
    assert_eq!(events[0]["status"], "previewed");
    assert_eq!(
        std::fs::read(hand.root().join("a.txt")).unwrap(),
        b"one\ntwo\n"
    );
    assert_eq!(hand.run(&["events", "list"]).out, "");
}

#[test]
fn r40_a_full_log_refuses_edits_but_drops_refusals_first() {
    let hand = tree();
    let receiver = Receiver::start(&[Act::Status(500)]);
    let url = receiver.url();
    let nope = json!({ "operations": [
        { "op": "replace-text", "file": "a.txt", "find": "nope", "content": "x" },
    ] });
    let limited = [
        "--again",
        "--orchestrator",
        &url,
        "--max-undelivered",
        "2000",
    ];
    for _ in 0..5 {
        // Each leaves a record; with them alone the log never counts as full.
        assert_eq!(apply(&hand, &nope, &limited).code, Some(1));
    }
    let mut applied = 0;
    let full = loop {
        let ran = apply(&hand, &append("x"), &limited);
        if ran.code != Some(0) {
            break ran;
        }
        applied += 1;
        assert!(applied < 20);
    };
    assert_eq!(full.code, Some(2), "{full:?}");
    assert!(full.out.contains("LIMIT_EXCEEDED"), "{full:?}");
    let text = std::fs::read_to_string(hand.root().join("a.txt")).unwrap();
    assert_eq!(text.matches('x').count(), applied);
    let doctor = hand.run(&["doctor", "--output", "json"]);
    assert!(doctor.out.contains("were dropped"), "{doctor:?}");
    let orchestrator = Orchestrator::start();
    let ran = hand.flush(&orchestrator.url(), &["--resume"]);
    assert_eq!(ran.json()["delivered"], 2 * applied, "{ran:?}");
    assert_eq!(apply(&hand, &append("y"), &limited).code, Some(0));
}

#[test]
fn r32_r33_an_edit_that_is_killed_while_it_delivers_loses_no_event_and_changes_none() {
    let hand = tree();
    let receiver = Receiver::start(&[Act::Hang]);
    let url = receiver.url();
    std::fs::create_dir(hand.root().join(".git")).unwrap();
    let batch = hand.root().join(".git/batch.json");
    std::fs::write(&batch, append("x").to_string()).unwrap();
    let mut child = hand
        .command(&["apply", batch.to_str().unwrap(), "--orchestrator", &url])
        .args(["--deliver-within", "60s"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while receiver.seen().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        std::fs::read(hand.root().join("a.txt")).unwrap(),
        b"one\ntwo\nx\n"
    );
    let other = Receiver::start(&[Act::Status(204)]);
    let ran = hand.flush(&other.url(), &[]);
    assert_eq!(ran.json()["delivered"], 2, "{ran:?}");
    let (before, after) = (receiver.seen(), other.seen());
    assert_eq!(before[0].0.body, after[0].0.body);
    assert_eq!(
        before[0].0.header("webhook-id"),
        after[0].0.header("webhook-id")
    );
}
