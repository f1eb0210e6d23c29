//! R32 to R40: delivery to receivers of every kind.

use std::time::{Duration, Instant};

use crate::hand::{Hand, ids};
use crate::orchestrator::hostile::{Act, Receiver};
use crate::orchestrator::{Fault, Orchestrator};

/// The acts of a receiver, then success: all events arrive, in order, each with one id and one
/// body however often it was sent.
fn survives(acts: &[Act]) -> Receiver {
    let hand = Hand::new();
    let record = hand.batch(2);
    let mut all = acts.to_vec();
    all.push(Act::Status(204));
    let receiver = Receiver::start(&all);
    let ran = hand.flush(&receiver.url(), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["delivered"], 3, "{ran:?}");
    let seen = receiver.seen();
    let mut order: Vec<String> = Vec::new();
    for (request, _) in &seen {
        let id = request.header("webhook-id").unwrap().to_owned();
        assert_eq!(request.json()["event_id"], *id);
        let first = seen
            .iter()
            .find(|(other, _)| other.header("webhook-id") == Some(&id));
        assert_eq!(first.unwrap().0.body, request.body, "a body changed");
        if !order.contains(&id) {
            order.push(id);
        }
    }
    assert_eq!(order, ids(&record));
    assert!(!receiver.robbed());
    receiver
}

/// As [`survives`], and the failed attempts were attempts.
fn retried(act: Act, times: usize) {
    let receiver = survives(&vec![act; times]);
    assert_eq!(receiver.count(), 3 + times);
}

macro_rules! retried {
    ($($name:ident: $act:expr;)+) => {$(
        #[test]
        fn $name() {
            retried($act, 2);
        }
    )+};
}

retried! {
    r34_500_is_retried: Act::Status(500);
    r34_408_is_retried: Act::Status(408);
    r34_429_is_retried: Act::Status(429);
    r34_503_is_retried: Act::Status(503);
    r34_429_with_retry_after_is_retried: Act::RetryAfter(429, "0".to_owned());
    r34_401_is_retried: Act::Status(401);
    r34_403_is_retried: Act::Status(403);
    r35_301_is_not_followed_but_retried: Act::Status(301);
    r35_307_is_not_followed_but_retried: Act::Status(307);
    r38_a_connection_that_is_reset_before_it_is_read_is_retried: Act::Close;
    r38_an_answer_that_is_reset_in_the_middle_is_retried: Act::Reset;
    r38_a_lost_acknowledgement_means_the_same_id_again: Act::ReadReset;
    r37_a_header_of_a_mebibyte_is_not_read_and_retried: Act::BadHeader;
}

#[test]
fn r34_200_and_204_are_success() {
    assert_eq!(survives(&[Act::Status(200)]).count(), 3);
    assert_eq!(survives(&[]).count(), 3);
}

#[test]
fn r34_an_answer_before_the_body_is_read_is_no_loss() {
    let hand = Hand::new();
    let record = hand.batch(3);
    let receiver = Receiver::start(&[Act::Early, Act::Early, Act::Status(204)]);
    let ran = hand.flush(&receiver.url(), &[]);
    assert_eq!(ran.json()["delivered"], 4, "{ran:?}");
    // The answer may come through before the reset does: then it is success.
    let failed = ran.json()["failed_attempts"].as_u64().unwrap();
    // And the reset may come before the receiver has seen a request.
    assert!(
        (4..=4 + failed).contains(&(receiver.count() as u64)),
        "{ran:?}"
    );
    let last = receiver.seen().pop().unwrap().0;
    assert_eq!(
        last.header("webhook-id"),
        ids(&record).last().map(String::as_str)
    );
}

#[test]
fn r37_what_is_announced_or_sent_beyond_64_kib_is_not_waited_for() {
    let began = Instant::now();
    // 200 is 200: the event counts as taken, and the rest of the answer is nobody's business.
    for act in [Act::Huge, Act::Lie, Act::Bomb] {
        let hand = Hand::new();
        hand.batch(0);
        let receiver = Receiver::start(&[act.clone(), Act::Status(204)]);
        let ran = hand.flush(&receiver.url(), &[]);
        assert_eq!(ran.json()["delivered"], 1, "{act:?} {ran:?}");
        assert_eq!(receiver.count(), 1, "{act:?}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "an answer was waited for"
    );
}

#[test]
fn r36_an_endpoint_that_hangs_or_drips_is_left_at_the_deadline_and_tried_again() {
    for act in [Act::Hang, Act::Drip] {
        let hand = Hand::new();
        hand.batch(1);
        let receiver = Receiver::start(&[act.clone(), act.clone(), Act::Status(204)]);
        let began = Instant::now();
        let ran = hand.flush(&receiver.url(), &["--timeout", "100ms"]);
        assert_eq!(ran.json()["delivered"], 2, "{act:?} {ran:?}");
        assert_eq!(ran.json()["failed_attempts"], 2, "{act:?} {ran:?}");
        assert!(began.elapsed() < Duration::from_secs(10), "{act:?}");
        let seen = receiver.seen();
        assert_eq!(seen[0].0.body, seen[2].0.body);
    }
}

#[test]
fn r34_a_date_in_retry_after_is_honoured() {
    let hand = Hand::new();
    hand.batch(0);
    let far = "Fri, 01 Jan 2100 00:00:00 GMT".to_owned();
    let receiver = Receiver::start(&[Act::RetryAfter(503, far), Act::Status(204)]);
    assert_eq!(hand.try_once(&receiver.url()).code, Some(4));
    // An hour is the most that an orchestrator can ask for.
    let ran = hand.flush(&receiver.url(), &[]);
    assert_eq!((ran.code, receiver.count()), (Some(4), 1), "{ran:?}");
    let ran = hand.flush(&receiver.url(), &["--resume"]);
    assert_eq!((ran.code, receiver.count()), (Some(0), 2), "{ran:?}");
}

#[test]
fn r34_410_stops_until_the_operator_resumes() {
    let hand = Hand::new();
    hand.batch(1);
    let receiver = Receiver::start(&[Act::Status(410), Act::Status(204)]);
    let ran = hand.flush(&receiver.url(), &[]);
    assert_eq!((ran.code, receiver.count()), (Some(4), 1), "{ran:?}");
    assert!(ran.err.contains("410"), "{ran:?}");
    assert_eq!(hand.flush(&receiver.url(), &[]).code, Some(4));
    assert_eq!(receiver.count(), 1);
    let ran = hand.flush(&receiver.url(), &["--resume"]);
    assert_eq!(ran.json()["delivered"], 2, "{ran:?}");
}

#[test]
fn r34_other_4xx_are_dead_letters_and_the_rest_goes_on() {
    for status in [400, 404, 413, 422] {
        let hand = Hand::new();
        let record = hand.batch(2);
        let dead = &ids(&record)[1];
        let receiver = Receiver::start(&[
            Act::Status(204),
            Act::Status(status),
            Act::Status(204),
            Act::Status(500),
            Act::Status(204),
        ]);
        let ran = hand.flush(&receiver.url(), &[]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(
            (&ran.json()["delivered"], &ran.json()["dead"]),
            (&2.into(), &1.into())
        );
        let list = hand
            .run(&["events", "dead", "list", "--output", "json"])
            .lines();
        assert_eq!(list[0]["id"], **dead);
        assert!(
            list[0]["reason"]
                .as_str()
                .unwrap()
                .contains(&status.to_string())
        );
        let again = hand.run(&["events", "dead", "retry", dead]);
        assert_eq!(again.code, Some(0), "{again:?}");
        assert_eq!(hand.flush(&receiver.url(), &[]).json()["delivered"], 1);
        let seen = receiver.seen();
        let bodies: Vec<_> = seen
            .iter()
            .filter(|(request, _)| request.header("webhook-id") == Some(dead))
            .map(|(request, _)| &request.body)
            .collect();
        assert_eq!(bodies.len(), 3);
        assert!(bodies.iter().all(|body| *body == bodies[0]));
    }
}

#[test]
fn a_dead_letter_can_be_dropped() {
    let hand = Hand::new();
    hand.batch(0);
    let receiver = Receiver::start(&[Act::Status(400)]);
    assert_eq!(hand.flush(&receiver.url(), &[]).json()["dead"], 1);
    assert_eq!(hand.run(&["events", "dead", "drop", "none"]).code, Some(2));
    assert_eq!(hand.run(&["events", "dead", "drop", "--all"]).code, Some(0));
    assert_eq!(hand.run(&["events", "dead", "list"]).out, "");
}

#[test]
fn several_events_in_one_request_keep_their_order_and_their_company() {
    let hand = Hand::new();
    let record = hand.batch(9);
    let receiver = Receiver::start(&[
        Act::ReadReset,
        Act::Status(204),
        Act::Status(500),
        Act::Status(204),
    ]);
    let ran = hand.flush(&receiver.url(), &["--event-batch", "4"]);
    assert_eq!(ran.json()["delivered"], 10, "{ran:?}");
    let seen: Vec<_> = receiver
        .seen()
        .into_iter()
        .map(|(request, _)| request)
        .collect();
    assert_eq!(seen.len(), 5);
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[2].body, seen[3].body);
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    let mut found = Vec::new();
    for request in [&seen[0], &seen[2], &seen[4]] {
        for event in request.json()["events"]
            .as_array()
            .unwrap_or(&vec![request.json()])
        {
            found.push(event["event_id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(found, ids(&record));
}

#[test]
fn one_bad_event_among_several_does_not_take_the_others_along() {
    let hand = Hand::new();
    hand.batch(3);
    let receiver = Receiver::start(&[
        Act::Status(422),
        Act::Status(204),
        Act::Status(422),
        Act::Status(204),
    ]);
    let ran = hand.flush(&receiver.url(), &["--event-batch", "10"]);
    assert_eq!(ran.json()["delivered"], 3, "{ran:?}");
    assert_eq!(ran.json()["dead"], 1, "{ran:?}");
}

#[test]
fn r38_refused_connections_and_unknown_hosts_are_retried() {
    let hand = Hand::new();
    hand.batch(0);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for url in [closed.as_str(), "http://does-not-exist.invalid"] {
        let ran = hand.run(&[
            "events",
            "flush",
            "--resume",
            "--output",
            "json",
            "--orchestrator",
            url,
        ]);
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert_eq!(ran.json()["failed_attempts"], 1, "{ran:?}");
        assert!(ran.err.contains("cannot reach the orchestrator"), "{ran:?}");
    }
    let receiver = Receiver::start(&[Act::Status(204)]);
    assert_eq!(hand.flush(&receiver.url(), &["--resume"]).code, Some(0));
}

#[test]
fn r40_a_corrupt_entry_is_set_aside_and_the_others_go_on() {
    let hand = Hand::new();
    let first = hand.batch(1);
    let second = hand.batch(1);
    let third = hand.batch(1);
    let log = hand.root().join(".mission_control/log");
    let path = log.join(second.transaction.to_string());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[30] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let receiver = Receiver::start(&[Act::Status(204)]);
    let ran = hand.flush(&receiver.url(), &[]);
    assert_eq!(ran.json()["delivered"], 4, "{ran:?}");
    assert!(ran.err.contains(&second.transaction.to_string()), "{ran:?}");
    let found: Vec<_> = receiver
        .seen()
        .iter()
        .map(|(request, _)| request.header("webhook-id").unwrap().to_owned())
        .collect();
    assert_eq!(found, [ids(&first), ids(&third)].concat());
}

#[test]
fn r40_two_flushers_never_send_one_event_at_once() {
    let hand = Hand::new();
    for _ in 0..20 {
        hand.batch(4);
    }
    let receiver = Receiver::start(&[Act::Status(204)]);
    let url = receiver.url();
    let mut children: Vec<_> = (0..4)
        .map(|_| {
            let flush = ["events", "flush", "--wait", "20s", "--orchestrator", &url];
            hand.command(&flush)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(receiver.count(), 100);
}

#[test]
fn a_store_that_is_lost_is_rebuilt_with_a_warning_and_the_same_ids() {
    for damage in [false, true] {
        let hand = Hand::new();
        hand.batch(2);
        let receiver = Receiver::start(&[Act::Status(204)]);
        assert_eq!(hand.flush(&receiver.url(), &[]).json()["delivered"], 3);
        let store = hand.root().join(".mission_control/store");
        if damage {
            for name in ["outbox.db-wal", "outbox.db-shm"] {
                let _ = std::fs::remove_file(store.join(name));
            }
            std::fs::write(store.join("outbox.db"), b"garbage\n".repeat(999)).unwrap();
        } else {
            std::fs::remove_dir_all(&store).unwrap();
        }
        let ran = hand.flush(&receiver.url(), &[]);
        assert_eq!(ran.json()["delivered"], 3, "{ran:?}");
        assert!(ran.err.contains("warning"), "{ran:?}");
        let seen = receiver.seen();
        for (first, again) in seen[..3].iter().zip(&seen[3..]) {
            assert_eq!(first.0.header("webhook-id"), again.0.header("webhook-id"));
            assert_eq!(first.0.body, again.0.body);
        }
    }
}

#[test]
fn faults_of_a_real_server_are_survived_too() {
    let hand = Hand::new();
    let record = hand.batch(5);
    let orchestrator = Orchestrator::start();
    orchestrator.fail(
        "/api/patches/events",
        [
            Fault::Lost(500),
            Fault::Pass,
            Fault::Status(502),
            Fault::Redirect("http://127.0.0.1:1/stolen".to_owned()),
            Fault::Slow(Duration::from_millis(50)),
            Fault::RetryAfter(429, "0".to_owned()),
            Fault::Lost(503),
        ],
    );
    let ran = hand.flush(&orchestrator.url(), &[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let events = orchestrator.events();
    let found: Vec<_> = events
        .iter()
        .map(|e| e["event_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, ids(&record));
}
