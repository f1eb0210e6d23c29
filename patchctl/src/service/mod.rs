//! What the servers offer. Each call becomes the request that the command line makes, goes through
//! the same function, and gives the same report; only how it comes in and goes out is a server's.
//!
//! Everything here blocks, and nothing here prints.

mod calls;
pub(crate) mod json;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

#[cfg(feature = "serve")]
use patchcore::event::PatchEvent;
use patchcore::operation::Labels;
use patchcore::{Code, Error, Report};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::cli::Global;
use crate::cli::labels::BATCH_ID;
use crate::cli::server::EngineArgs;
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::redact;
#[cfg(feature = "serve")]
use crate::report::{self, events::Delivery};

pub(crate) use calls::{Ask, Edit, History, Read, Scan, Tasks};
#[cfg(feature = "serve")]
pub(crate) use calls::{MAX_ENTRIES, MAX_FOUND, STATUSES, limit};

/// The engine on one tree, under one operator's rules.
pub(crate) struct Service {
    place: Location,
    args: EngineArgs,
    labels: Labels,
    running: Mutex<Running>,
}

/// The calls that run.
#[derive(Debug, Default)]
struct Running {
    calls: Vec<Weak<AtomicBool>>,
    /// Whether the server ends: no other call begins.
    is_over: bool,
}

/// What a call comes to.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// How the command would have ended.
    pub(crate) exit: Exit,
    /// Why nothing was done, if nothing was.
    #[cfg_attr(
        not(feature = "serve"),
        expect(dead_code, reason = "only HTTP has a status for each code")
    )]
    pub(crate) code: Option<Code>,
    /// JSON, without secrets.
    pub(crate) body: String,
}

impl Answer {
    /// An answer that is no report.
    pub(crate) fn of(exit: Exit, body: &impl Serialize) -> Self {
        let body = serde_json::to_string(body).expect("an answer serialises");
        Self {
            exit,
            code: None,
            body: redact::text(&body),
        }
    }

    /// Events, and whether there are more.
    #[cfg(feature = "serve")]
    pub(crate) fn events(events: &[(PatchEvent, Option<Delivery>)], more: bool) -> Self {
        #[derive(Serialize)]
        struct Page<'a> {
            events: Vec<report::events::Line<'a>>,
            more: bool,
        }
        let lines = events.iter().map(|(event, delivery)| report::events::Line {
            event,
            delivery: *delivery,
        });
        let events = lines.collect();
        Self::of(Exit::Done, &Page { events, more })
    }

    fn of_report(exit: Exit, report: &Report) -> Self {
        Self {
            code: report.code(),
            ..Self::of(exit, report)
        }
    }

    /// The answer to what makes no call.
    #[cfg(feature = "mcp")]
    pub(crate) fn refused(report: &Report) -> Self {
        Self::of_report(report.code().map_or(Exit::Code(1), Exit::of), report)
    }

    /// The answer to a call that failed.
    pub(crate) fn of_failure(failure: &Failure) -> Self {
        let exit = match failure.exit() {
            // No pipe of a caller's is closed here.
            Exit::Done => Exit::Code(3),
            exit => exit,
        };
        Self::of_report(exit, &Report::unread(failure.to_refusal()))
    }

    /// How the call ended, in a word.
    #[cfg(feature = "serve")]
    pub(crate) fn ended(&self) -> &'static str {
        match self.exit {
            Exit::Done | Exit::Code(4..) => "done",
            Exit::Code(1) => "refused",
            Exit::Code(2) => "invalid",
            Exit::Code(_) => "failed",
        }
    }

    /// Whether what was asked for was not done.
    pub(crate) fn is_error(&self) -> bool {
        matches!(self.exit, Exit::Code(1..=3))
    }
}

/// Ends what a call runs when nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Nobody waits for the call any more: a command that verifies is ended, and its batch taken
    /// back. A batch that is past that is committed.
    #[cfg(feature = "mcp")]
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    #[cfg(feature = "mcp")]
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a call may have to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The lock of the tree, and commands that verify.
    Tree,
    /// The same, with a patch of so many bytes.
    Edit(usize),
    /// Nothing but the disk.
    Look,
    /// The orchestrator.
    Ask,
}

/// Calls that look at the log or the tasks at a time, and those that ask.
const BESIDE: usize = 4;

/// Whose turn it is. Calls that wait for different things do not wait for each other: while all
/// edits wait for one that verifies, the log can be read.
#[derive(Debug, Clone)]
pub(crate) struct Turns {
    tree: Arc<Semaphore>,
    /// Turns of `tree`.
    most: usize,
    look: Arc<Semaphore>,
    ask: Arc<Semaphore>,
}

impl Turns {
    /// Turns for as many calls at a time that read, scan or edit files.
    pub(crate) fn new(tree: usize) -> Self {
        Self {
            tree: Arc::new(Semaphore::new(tree)),
            most: tree,
            look: Arc::new(Semaphore::new(BESIDE)),
            ask: Arc::new(Semaphore::new(BESIDE)),
        }
    }

    /// Threads that all of them may take.
    pub(crate) fn threads(tree: usize) -> usize {
        tree + 2 * BESIDE
    }

    /// Waits for a turn, which lasts until what is returned is dropped.
    ///
    /// A patch takes one more for each of its MiB: a report says why each operation is refused, which
    /// may take a hundred times the patch's bytes (1.1 GB for 10 MB of 400,000 hunks).
    pub(crate) async fn take(&self, kind: Kind) -> Option<OwnedSemaphorePermit> {
        let (turns, count) = match kind {
            Kind::Tree => (&self.tree, 1),
            Kind::Edit(bytes) => (&self.tree, self.most.min(1 + (bytes >> 20))),
            Kind::Look => (&self.look, 1),
            Kind::Ask => (&self.ask, 1),
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        // Nobody closes them.
        turns.clone().acquire_many_owned(count).await.ok()
    }
}

/// How often a signal is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until a signal sets the flag.
pub(crate) async fn asked_to_end(flag: &AtomicBool) {
    while !flag.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

impl Service {
    /// The engine on the tree that the options name.
    pub(crate) fn new(global: &Global, args: EngineArgs) -> Result<Self, Failure> {
        if args.policy.plan.is_some() || args.labels.batch_id.is_some() {
            let message = "--plan and --batch-id say something of one batch; a server takes them with each call";
            return Err(Failure::Usage(message.to_owned()));
        }
        let place = Location::of_server(global)?;
        // Whether the root can be worked in is found out now.
        place.open()?;
        Ok(Self {
            place,
            labels: args.labels.labels()?,
            args,
            running: Mutex::default(),
        })
    }

    /// What the environment says that a server does not use.
    pub(crate) fn unused() -> Option<String> {
        let is_set = std::env::var_os(BATCH_ID).is_some_and(|value| !value.is_empty());
        is_set.then(|| format!("{BATCH_ID} is not used: it names one batch, and a server has many"))
    }

    /// Remembers a call that runs, so that [`stop`](Self::stop) ends it.
    ///
    /// # Errors
    /// Where the server ends.
    fn enter(&self, interrupt: &Interrupt) -> Result<(), Failure> {
        let mut running = self.running.lock().unwrap_or_else(|held| held.into_inner());
        if running.is_over {
            let error = std::io::Error::other("the server ends");
            return Err(Error::io("begin", "the call", error).into());
        }
        running.calls.retain(|call| call.strong_count() > 0);
        running.calls.push(Arc::downgrade(&interrupt.0));
        Ok(())
    }

    /// Ends the verification commands of all calls that run, whose batches are taken back, and lets
    /// no other begin.
    pub(crate) fn stop(&self) {
        let mut running = self.running.lock().unwrap_or_else(|held| held.into_inner());
        running.is_over = true;
        for call in running.calls.iter().filter_map(Weak::upgrade) {
            call.store(true, Ordering::Relaxed);
        }
    }

    /// The root that the server works in.
    #[cfg(feature = "serve")]
    pub(crate) fn place(&self) -> &Location {
        &self.place
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    /// The turn, if it has come.
    fn now(turns: &Turns, kind: Kind) -> Option<OwnedSemaphorePermit> {
        let waiting = pin!(turns.take(kind));
        match waiting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => turn,
            Poll::Pending => None,
        }
    }

    #[test]
    fn large_patches_take_the_turns_of_several_calls() {
        let turns = Turns::new(4);
        let small = now(&turns, Kind::Edit(100)).expect("four are free");
        let larger = now(&turns, Kind::Edit(1 << 20)).expect("three are free");
        assert!(now(&turns, Kind::Edit(1 << 20)).is_none());
        let read = now(&turns, Kind::Tree).expect("one is free");
        assert!(now(&turns, Kind::Tree).is_none());
        assert!(now(&turns, Kind::Look).is_some(), "others have their own");
        drop((small, larger));
        assert!(now(&turns, Kind::Edit(1 << 30)).is_none(), "one reads");
        drop(read);
        let huge = now(&turns, Kind::Edit(1 << 30)).expect("all are free");
        assert!(now(&turns, Kind::Edit(0)).is_none());
        drop(huge);
    }
}
