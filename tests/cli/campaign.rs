//! Many events through many failures.

use std::collections::{HashMap, HashSet};

use crate::hand::{Hand, ids};
use crate::orchestrator::hostile::{Act, Receiver};

/// How many events: 10,000 where `PATCHCTL_CAMPAIGN` is set to that, fewer by default.
fn size() -> usize {
    let wanted = std::env::var("PATCHCTL_CAMPAIGN").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(1_000)
}

/// A number that looks random, the same in every run.
fn scatter(n: usize) -> usize {
    let mixed = (n as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 27)) >> 11) as usize
}

#[test]
fn events_get_through_thirty_per_cent_of_failures_once_each_and_in_order() {
    let hand = Hand::new();
    let records: Vec<_> = (0..size() / 20).map(|_| hand.batch(19)).collect();
    let receiver = Receiver::with(|n| match scatter(n) % 100 {
        0..6 => Act::Status(500),
        6..12 => Act::RetryAfter(429, "0".to_owned()),
        12..18 => Act::Reset,
        18..24 => Act::ReadReset,
        24..30 => Act::Close,
        _ => Act::Status(204),
    });
    let ran = hand.run(&[
        "events",
        "flush",
        "--output",
        "json",
        "--orchestrator",
        &receiver.url(),
        "--wait",
        "5m",
        "--backoff-min",
        "1ms",
        "--backoff-max",
        "2ms",
    ]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let expected: usize = records.iter().map(|record| ids(record).len()).sum();
    assert_eq!(ran.json()["delivered"], expected);
    assert_eq!(ran.json()["dead"], 0);

    // What a consumer has that drops ids that it knows.
    let mut bodies: HashMap<String, Vec<u8>> = HashMap::new();
    let mut effective: HashMap<String, Vec<String>> = HashMap::new();
    let mut acknowledged = HashSet::new();
    for (request, act) in receiver.seen() {
        let id = request.header("webhook-id").unwrap().to_owned();
        let event = request.json();
        match bodies.get(&id) {
            Some(body) => assert_eq!(*body, request.body),
            None => {
                let transaction = event["transaction"].as_str().unwrap().to_owned();
                effective.entry(transaction).or_default().push(id.clone());
                bodies.insert(id.clone(), request.body);
            }
        }
        if act == Act::Status(204) {
            assert!(acknowledged.insert(id), "sent again after it was taken");
        }
    }
    assert_eq!(acknowledged.len(), expected);
    for record in &records {
        assert_eq!(effective[&record.transaction.to_string()], ids(record));
    }
}
