//! `events list|show|tail|watch` and `doctor`, with and without an orchestrator.

use patchcore::Code;
use patchcore::operation::Labels;
use patchcore::workspace::record::Record;

use crate::hand::{Hand, Ran, SECRET, ids, record, refused};
use crate::orchestrator::Orchestrator;
use crate::orchestrator::hostile::{Act, Receiver};

/// Three batches: one of task A1 in order O1, one refused, one plain.
fn filled() -> (Hand, [Record; 3]) {
    let hand = Hand::new();
    let mut first = record(2);
    first.labels = Labels {
        task_id: Some("A1".into()),
        order_id: Some("O1".into()),
        ..Labels::default()
    };
    first.at = "2026-01-02T03:04:05Z".into();
    let mut second = refused(Code::AnchorNotFound);
    second.operations[0].file = "docs/read.md".into();
    let third = record(1);
    for record in [&first, &second, &third] {
        hand.add(record);
    }
    (hand, [first, second, third])
}

fn listed(hand: &Hand, arguments: &[&str]) -> Vec<String> {
    let mut all = vec!["events", "list", "--output", "json"];
    all.extend_from_slice(arguments);
    let ran = hand.run(&all);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let id = |event: serde_json::Value| event["event_id"].as_str().unwrap().to_owned();
    ran.lines().into_iter().map(id).collect()
}

#[test]
fn events_are_listed_from_the_log_alone_newest_first() {
    let (hand, records) = filled();
    let mut all: Vec<String> = records.iter().flat_map(ids).collect();
    all.reverse();
    assert_eq!(listed(&hand, &[]), all);
    assert!(
        !hand
            .root()
            .join(".mission_control/store")
            .try_exists()
            .unwrap()
    );
    assert_eq!(listed(&hand, &["--limit", "2"]), all[..2]);
    assert_eq!(listed(&hand, &["--limit", "3", "--skip", "2"]), all[2..5]);
    assert_eq!(listed(&hand, &["--skip", "99"]).len(), 0);
}

#[test]
fn events_are_filtered() {
    let (hand, [first, second, third]) = filled();
    let newest_first = |record: &Record| {
        let mut ids = ids(record);
        ids.reverse();
        ids
    };
    let of_first = newest_first(&first);
    assert_eq!(listed(&hand, &["--task", "A1"]), of_first);
    assert_eq!(listed(&hand, &["--order", "O1"]), of_first);
    assert_eq!(listed(&hand, &["--task", "A2"]).len(), 0);
    let refusal = vec![ids(&second)[1].clone()];
    assert_eq!(listed(&hand, &["--outcome", "refused"]), refusal);
    assert_eq!(listed(&hand, &["--outcome", "PATCH_REFUSED"]), refusal);
    assert_eq!(listed(&hand, &["--text", "anchor_not_found"]), refusal);
    assert_eq!(listed(&hand, &["--file", "docs"]), refusal);
    assert_eq!(listed(&hand, &["--file", "./docs/read.md"]), refusal);
    assert_eq!(listed(&hand, &["--file", "doc"]).len(), 0);
    assert_eq!(listed(&hand, &["--until", "2026-01-03T00:00:00Z"]).len(), 3);
    let recent = [newest_first(&third), newest_first(&second)].concat();
    assert_eq!(listed(&hand, &["--since", "1h"]), recent);
}

#[test]
fn events_are_shown_by_the_id_of_event_transaction_or_batch() {
    let (hand, [first, ..]) = filled();
    let id = &ids(&first)[1];
    let one = hand
        .run(&["events", "show", id, "--output", "json"])
        .lines();
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["event_id"], **id);
    assert_eq!(one[0]["task_id"], "A1");
    let whole = first.transaction.to_string();
    assert_eq!(
        hand.run(&["events", "show", &whole, "--output", "json"])
            .lines()
            .len(),
        3
    );
    let human = hand.run(&["events", "show", id]);
    assert!(
        human.out.contains("PATCH_APPLIED") && human.out.contains(id),
        "{human:?}"
    );
    assert_eq!(hand.run(&["events", "show", "nothing"]).code, Some(2));
}

#[test]
fn tail_shows_the_newest_last() {
    let (hand, records) = filled();
    let ran = hand.run(&["events", "tail", "-n", "3", "--output", "json"]);
    let found: Vec<_> = ran
        .lines()
        .iter()
        .map(|e| e["event_id"].as_str().unwrap().to_owned())
        .collect();
    let all: Vec<String> = records.iter().flat_map(ids).collect();
    assert_eq!(found, all[all.len() - 3..]);
}

#[test]
fn r29_what_an_agent_named_cannot_move_the_cursor() {
    let hand = Hand::new();
    let mut evil = record(1);
    evil.labels.task_id = Some("\u{1b}[2J\r\nx\u{202e}".into());
    evil.operations[0].file = "a\u{1b}]0;b\u{7}".into();
    hand.add(&evil);
    for arguments in [
        &["events", "list"][..],
        &["events", "tail"],
        &["events", "show", &evil.batch_id],
    ] {
        let ran = hand.run(arguments);
        assert_eq!(ran.code, Some(0));
        assert!(
            !ran.out.contains(['\u{1b}', '\r', '\u{7}', '\u{202e}']),
            "{ran:?}"
        );
    }
}

#[test]
fn a_listing_says_how_far_delivery_has_come() {
    let hand = Hand::new();
    hand.batch(2);
    let acts = [Act::Status(204), Act::Status(400), Act::Status(500)];
    let receiver = Receiver::start(&acts);
    hand.try_once(&receiver.url());
    let ran = hand.run(&["events", "list", "--output", "json"]);
    let states: Vec<_> = ran.lines().iter().map(|e| e["delivery"].clone()).collect();
    assert_eq!(states, ["waiting", "dead", "delivered"]);
}

#[test]
fn watch_delivers_what_comes_and_ends_in_order() {
    let hand = Hand::new();
    let orchestrator = Orchestrator::start();
    let url = orchestrator.url();
    let child = hand
        .command(&[
            "events",
            "watch",
            "--output",
            "json",
            "--orchestrator",
            &url,
        ])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let record = hand.batch(3);
    let began = std::time::Instant::now();
    while orchestrator.events().len() < 4 {
        assert!(began.elapsed() < std::time::Duration::from_secs(30));
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["delivered"], 4);
    let events = orchestrator.events();
    let found: Vec<_> = events
        .iter()
        .map(|e| e["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, ids(&record));
}

#[test]
fn r36_watch_ends_within_its_bound_whatever_hangs() {
    let hand = Hand::new();
    hand.batch(1);
    let receiver = Receiver::start(&[Act::Hang]);
    let url = receiver.url();
    let watch = ["events", "watch", "--timeout", "5m", "--grace", "100ms"];
    let mut child = hand
        .command(&watch)
        .args(["--orchestrator", &url])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    while receiver.seen().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    // Without the bound this takes as long as the receiver hangs, a minute.
    let began = std::time::Instant::now();
    assert!(child.wait().unwrap().success());
    assert!(began.elapsed() < std::time::Duration::from_secs(30));
}

#[test]
fn doctor_says_what_is_well() {
    let hand = Hand::new();
    hand.batch(1);
    let orchestrator = Orchestrator::start();
    hand.flush(&orchestrator.url(), &[]);
    let ran = hand.run(&[
        "doctor",
        "--output",
        "json",
        "--orchestrator",
        &orchestrator.url(),
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for finding in ran.lines() {
        assert_ne!(finding["level"], "bad", "{finding}");
    }
    let checks: Vec<_> = ran.lines().iter().map(|f| f["check"].clone()).collect();
    for check in [
        "configuration",
        "orchestrator",
        "tls",
        "clock",
        "transaction",
        "log",
        "outbox",
    ] {
        assert!(checks.contains(&check.into()), "{check}: {ran:?}");
    }
}

#[test]
fn doctor_says_what_to_do_about_each_fault() {
    let hand = Hand::new();
    hand.batch(0);
    let broken = hand.batch(0);
    let log = hand.root().join(".mission_control/log");
    std::fs::write(log.join(broken.transaction.to_string()), "broken").unwrap();
    std::fs::create_dir_all(hand.root().join(".mission_control/txn/current")).unwrap();
    let receiver = Receiver::start(&[Act::Status(422), Act::Status(500)]);
    hand.try_once(&receiver.url());
    let ran = hand.run(&[
        "doctor",
        "--output",
        "json",
        "--orchestrator",
        &receiver.url(),
    ]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let bad: Vec<_> = ran
        .lines()
        .into_iter()
        .filter(|f| f["level"] == "bad")
        .collect();
    for check in ["orchestrator", "transaction", "log", "dead letters"] {
        let finding = bad.iter().find(|f| f["check"] == check);
        let finding = finding.unwrap_or_else(|| panic!("{check}: {ran:?}"));
        assert!(finding["todo"].as_str().unwrap().len() > 5);
    }
}

#[test]
fn doctor_works_without_an_orchestrator() {
    let hand = Hand::new();
    let ran = hand.run(&["doctor"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("no orchestrator"), "{ran:?}");
    let ran = hand.run(&["events", "flush"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("ORCHESTRATOR_URL"), "{ran:?}");
}

#[test]
fn r31_a_canary_in_the_environment_appears_nowhere() {
    const CANARY: &str = "CANARYcanaryCANARYcanaryCANARYca";
    let (hand, _) = filled();
    let receiver = Receiver::start(&[
        Act::Status(401),
        Act::Status(500),
        Act::Status(422),
        Act::Status(204),
    ]);
    let url = receiver.url();
    let mut said = String::new();
    let commands: [&[&str]; 7] = [
        &[
            "events",
            "flush",
            "--resume",
            "-v",
            "-v",
            "--orchestrator",
            &url,
        ],
        &[
            "events",
            "flush",
            "--resume",
            "--orchestrator",
            "http://example.invalid",
        ],
        &["doctor", "-v", "--orchestrator", &url],
        &["doctor", "--orchestrator", "ftp://x"],
        &["events", "list"],
        &["events", "dead", "list", "--output", "json"],
        &["--help"],
    ];
    for arguments in commands {
        for secret in [
            SECRET.to_owned(),
            CANARY.to_owned(),
            format!("whsec_{CANARY}"),
        ] {
            let mut command = hand.command(arguments);
            command.env("ORCHESTRATOR_TOKEN", CANARY);
            command.env("ORCHESTRATOR_WEBHOOK_SECRET", secret);
            let ran = Ran::of(command.output().unwrap());
            said.push_str(&ran.out);
            said.push_str(&ran.err);
        }
    }
    assert!(!said.contains("CANARY"), "{said}");
    for (request, _) in receiver.seen() {
        for (name, value) in &request.headers {
            assert!(
                name == "authorization" || !value.contains("CANARY"),
                "{name}"
            );
        }
        assert!(!String::from_utf8_lossy(&request.body).contains("CANARY"));
    }
    let mut directories = vec![hand.root().to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(6).any(|window| window == b"CANARY");
                assert!(!found, "{}", path.display());
            }
        }
    }
}
