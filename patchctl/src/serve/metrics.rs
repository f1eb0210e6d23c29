//! What the server counts of itself, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Mutex;
use std::time::Duration;

/// Counters since the start.
#[derive(Default)]
pub(super) struct Metrics {
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: BTreeMap<u16, u64>,
    /// By the call and how it ended.
    calls: BTreeMap<(&'static str, &'static str), u64>,
    seconds: BTreeMap<&'static str, f64>,
    streams: u64,
}

impl Metrics {
    fn with<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.counts.lock().unwrap_or_else(|held| held.into_inner()))
    }

    /// A request was answered.
    pub(super) fn request(&self, status: u16) {
        self.with(|counts| *counts.requests.entry(status).or_default() += 1);
    }

    /// A call of the engine ended.
    pub(super) fn call(&self, name: &'static str, ended: &'static str, took: Duration) {
        self.with(|counts| {
            *counts.calls.entry((name, ended)).or_default() += 1;
            *counts.seconds.entry(name).or_default() += took.as_secs_f64();
        });
    }

    /// An event stream was opened.
    pub(super) fn stream(&self) {
        self.with(|counts| counts.streams += 1);
    }

    /// All of it.
    pub(super) fn text(&self, open_streams: usize) -> String {
        let mut text = String::new();
        self.with(|counts| {
            let mut family = |name: &str, kind: &str, help: &str, lines: Vec<(String, f64)>| {
                let _ = writeln!(
                    text,
                    "# HELP patchctl_{name} {help}\n# TYPE patchctl_{name} {kind}"
                );
                for (labels, value) in lines {
                    let _ = writeln!(text, "patchctl_{name}{labels} {value}");
                }
            };
            let requests = counts.requests.iter();
            let requests =
                requests.map(|(status, n)| (format!("{{status=\"{status}\"}}"), *n as f64));
            family(
                "requests_total",
                "counter",
                "Requests answered.",
                requests.collect(),
            );
            let calls = counts.calls.iter().map(|((call, ended), n)| {
                (format!("{{call=\"{call}\",ended=\"{ended}\"}}"), *n as f64)
            });
            family(
                "calls_total",
                "counter",
                "Calls of the engine.",
                calls.collect(),
            );
            let seconds = counts.seconds.iter();
            let seconds = seconds.map(|(call, time)| (format!("{{call=\"{call}\"}}"), *time));
            family(
                "call_seconds_total",
                "counter",
                "Time spent in calls.",
                seconds.collect(),
            );
            let streams = vec![(String::new(), counts.streams as f64)];
            let opened = "Event streams opened.";
            family("streams_opened_total", "counter", opened, streams);
            let open = vec![(String::new(), open_streams as f64)];
            family("streams", "gauge", "Event streams that are open.", open);
        });
        text
    }
}
