//! Delivering what waits: one flusher at a time, in order within each lane.

use std::time::{Duration, Instant};

use ureq::http::Method;
use uuid::Uuid;

use super::journal::{Diffs, EventLog, Rendered};
use super::message;
use super::retry::Backoff;
use super::verdict::DeliveryVerdict;
use crate::orchestrator::{Client, DATA_ANSWER, EVENT_ANSWER, Request};
use crate::store::{DeadLetter, Endpoint, Frozen, Lane, LaneKind, Store, StoreError, now};

/// Most bytes of events in one request.
const BUNDLE: usize = 1 << 20;
/// The name space of ids of requests that hold several events (UUID v5).
const NAMESPACE: Uuid = Uuid::from_u128(0x0f8d_41b7_3a86_4d0c_9c35_6b1e_d0e5_5e11);

/// How to deliver.
#[derive(Debug, Clone)]
pub(crate) struct DeliveryPolicy {
    /// Waits between attempts.
    pub(crate) backoff: Backoff,
    /// The longest that one request takes.
    pub(crate) timeout: Duration,
    /// Most events in one request.
    pub(crate) bundle: usize,
    /// Whether events carry diffs.
    pub(crate) diffs: Diffs,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing waits.
    Drained,
    /// Something waits, and is not to be tried before this long from now.
    BackOff(Duration),
    /// The time was up.
    OutOfTime,
    /// The orchestrator said that it takes nothing any more.
    Stopped,
}

/// What a run did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// Messages that were taken.
    pub(crate) delivered: u64,
    /// Messages that became dead letters.
    pub(crate) dead: u64,
    /// Attempts that failed.
    pub(crate) failed: u64,
    /// Why the last of them did.
    pub(crate) last_error: Option<String>,
    /// What people should know, once each.
    pub(crate) notes: Vec<String>,
}

impl Tally {
    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Delivers. The caller holds the delivery lock.
pub(crate) struct Flusher<'a> {
    pub(crate) store: &'a mut Store,
    pub(crate) journal: &'a mut EventLog,
    pub(crate) client: &'a Client,
    pub(crate) policy: DeliveryPolicy,
}

impl Flusher<'_> {
    /// Takes in what the log has and the store does not know; gives the number of entries.
    pub(crate) fn sync(&mut self, tally: &mut Tally) -> Result<usize, StoreError> {
        super::sync::sync(self.store, self.journal, &mut |note| tally.note(note))
    }

    /// Delivers until nothing is left, a wait is due, or the time is up.
    pub(crate) fn run(
        &mut self,
        until: Option<Instant>,
        stop: &dyn Fn() -> bool,
        tally: &mut Tally,
    ) -> Result<End, StoreError> {
        let url = self.client.config().base.clone();
        let mut endpoint = self.store.endpoint(&url)?;
        loop {
            if endpoint.stopped {
                tally.note(format!(
                    "the orchestrator at {url} answered 410: it takes no more events; \
                     `patchctl events flush --resume` tries it again"
                ));
                return Ok(End::Stopped);
            }
            let now = now();
            if endpoint.next_try > now {
                return Ok(End::BackOff(millis(endpoint.next_try - now)));
            }
            let Some(lane) = self.store.next_lane(now)? else {
                let pending = self.store.pending()?;
                return Ok(if pending.messages == 0 {
                    End::Drained
                } else {
                    End::BackOff(millis(pending.next_try - now))
                });
            };
            let timeout = self.policy.timeout;
            let left = until.map_or(timeout, |until| {
                until.saturating_duration_since(Instant::now()).min(timeout)
            });
            if left < Duration::from_millis(1) || stop() {
                return Ok(End::OutOfTime);
            }
            self.deliver(&lane, left, &mut endpoint, tally)?;
        }
    }

    fn deliver(
        &mut self,
        lane: &Lane,
        within: Duration,
        endpoint: &mut Endpoint,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let frozen = match lane.frozen.clone() {
            Some(frozen) => frozen,
            None => match self.render(lane)? {
                Ok(frozen) => {
                    self.store.freeze(lane.seq, &frozen)?;
                    frozen
                }
                Err(reason) => {
                    tally.note(reason.clone());
                    return self.add_dead_letter(lane, None, lane.position + 1, reason, tally);
                }
            },
        };
        let result = self.client.call(&Request {
            method: Method::POST,
            path: lane.kind.path(),
            body: Some(&frozen.body),
            headers: message::headers(
                self.client.config(),
                lane.kind,
                &frozen.id,
                &frozen.body,
                now() / 1000,
            ),
            within,
            limit: match lane.kind {
                LaneKind::Events | LaneKind::OpsLog => EVENT_ANSWER,
                LaneKind::FactoryErrors => DATA_ANSWER,
            },
        });
        let mut verdict = DeliveryVerdict::of(&result);
        if verdict == DeliveryVerdict::Delivered
            && lane.kind == LaneKind::FactoryErrors
            && let Ok(response) = result
        {
            match response.body {
                Ok(body) => self
                    .store
                    .add_answer(&frozen.id, &crate::redact::bytes(&body))?,
                // The answer says what to do about the errors: without it they go out again.
                Err(error) => {
                    verdict = DeliveryVerdict::Retry {
                        after: None,
                        reason: error.to_string(),
                    };
                }
            }
        }
        self.settle(lane, frozen, verdict, endpoint, tally)
    }

    fn settle(
        &mut self,
        lane: &Lane,
        frozen: Frozen,
        verdict: DeliveryVerdict,
        endpoint: &mut Endpoint,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let count = frozen.until - lane.position;
        match verdict {
            DeliveryVerdict::Delivered => {
                self.store.advance(lane, frozen.until)?;
                tally.delivered += count as u64;
                self.answered(endpoint)
            }
            DeliveryVerdict::Dead { reason } if count > 1 => {
                tally.note(format!(
                    "{reason} to {count} events at once: they go one by one"
                ));
                self.store.unbundle(lane, frozen.until)?;
                self.answered(endpoint)
            }
            DeliveryVerdict::Dead { reason } => {
                tally.note(format!(
                    "{reason} to message {}: see `patchctl events dead list`",
                    frozen.id
                ));
                let until = frozen.until;
                self.add_dead_letter(lane, Some(frozen), until, reason, tally)?;
                self.answered(endpoint)
            }
            DeliveryVerdict::Retry { after, reason } => {
                let own = self
                    .policy
                    .backoff
                    .after(lane.attempts + 1, fastrand::f64());
                let all = self
                    .policy
                    .backoff
                    .after(endpoint.failures + 1, fastrand::f64());
                let (own, all) = (after.unwrap_or(own), after.unwrap_or(all));
                self.failed(lane, own, all, &reason, endpoint, tally)
            }
            DeliveryVerdict::RetrySlowly { reason } => {
                tally.note(format!(
                    "{reason}: check ORCHESTRATOR_TOKEN; events wait and are tried now and then"
                ));
                let wait = self.policy.backoff.most;
                self.failed(lane, wait, wait, &reason, endpoint, tally)
            }
            DeliveryVerdict::Gone => {
                endpoint.stopped = true;
                endpoint.last_error = Some("410".to_owned());
                tally.failed += 1;
                self.keep(endpoint)
            }
        }
    }

    /// The orchestrator answers, whatever it makes of the message.
    fn answered(&mut self, endpoint: &mut Endpoint) -> Result<(), StoreError> {
        let now = now();
        let was_failing = endpoint.failures > 0;
        endpoint.failures = 0;
        endpoint.next_try = 0;
        endpoint.last_error = None;
        // One write a second is enough to say when it last answered.
        if was_failing || endpoint.last_success.is_none_or(|at| at + 1000 < now) {
            endpoint.last_success = Some(now);
            self.keep(endpoint)?;
        }
        Ok(())
    }

    fn failed(
        &mut self,
        lane: &Lane,
        own: Duration,
        all: Duration,
        reason: &str,
        endpoint: &mut Endpoint,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let now = now();
        tally.failed += 1;
        tally.last_error = Some(reason.to_owned());
        self.store.postpone(lane, now + wait(own), reason)?;
        endpoint.failures += 1;
        endpoint.next_try = now + wait(all);
        endpoint.last_error = Some(reason.to_owned());
        self.keep(endpoint)
    }

    fn keep(&mut self, endpoint: &Endpoint) -> Result<(), StoreError> {
        self.store
            .set_endpoint(&self.client.config().base, endpoint)
    }

    fn add_dead_letter(
        &mut self,
        lane: &Lane,
        frozen: Option<Frozen>,
        until: usize,
        reason: String,
        tally: &mut Tally,
    ) -> Result<(), StoreError> {
        let (id, body) = match frozen {
            Some(frozen) => (frozen.id, Some(frozen.body)),
            None => (format!("lane-{}-{}", lane.seq, lane.position), None),
        };
        self.store.add_dead_letter(&DeadLetter {
            id,
            kind: lane.kind,
            transaction: lane.transaction.clone(),
            position: lane.position,
            body,
            reason,
            attempts: lane.attempts + 1,
            at: now(),
        })?;
        self.store.advance(lane, until)?;
        tally.dead += 1;
        Ok(())
    }

    /// The next request of a lane; `Err` says why it cannot be made.
    fn render(&mut self, lane: &Lane) -> Result<Result<Frozen, String>, StoreError> {
        let first = match self.one(lane, lane.position)? {
            Ok(first) => first,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut until = lane.position + 1;
        let bundled = lane.kind == LaneKind::Events
            && self.policy.bundle > 1
            && lane.position >= lane.solo_until
            && lane.total - lane.position > 1;
        if !bundled {
            let (id, body) = (first.id, first.body);
            return Ok(Ok(Frozen { id, until, body }));
        }
        let mut ids = first.id;
        let mut body = br#"{"events":["#.to_vec();
        body.extend_from_slice(&first.body);
        while until < lane.total
            && until - lane.position < self.policy.bundle
            && body.len() < BUNDLE
            && let Ok(next) = self.one(lane, until)?
        {
            ids.push(' ');
            ids.push_str(&next.id);
            body.push(b',');
            body.extend_from_slice(&next.body);
            until += 1;
        }
        body.extend_from_slice(b"]}");
        let id = Uuid::new_v5(&NAMESPACE, ids.as_bytes()).to_string();
        Ok(Ok(Frozen { id, until, body }))
    }

    fn one(
        &mut self,
        lane: &Lane,
        position: usize,
    ) -> Result<Result<Rendered, String>, StoreError> {
        if let Some(transaction) = &lane.transaction {
            return Ok(self
                .journal
                .render(transaction, position, self.policy.diffs));
        }
        Ok(match self.store.message(lane.seq, position)? {
            Some(message) => Ok(Rendered {
                id: message.id,
                body: message.body,
            }),
            None => Err(format!("message {position} of lane {} is gone", lane.seq)),
        })
    }
}

fn wait(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

fn millis(time: i64) -> Duration {
    Duration::from_millis(u64::try_from(time).unwrap_or(0))
}
