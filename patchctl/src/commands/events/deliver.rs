//! `events flush` and `events watch`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use patchcore::workspace::Workspace;

use crate::cli::events::{DeliverArgs, FlushArgs, WatchArgs};
use crate::delivery::{self, Backoff, DeliveryPolicy, End, EventLog, Flusher, Tally};
use crate::exit::{Exit, Failure};
use crate::orchestrator::{Client, Config};
use crate::place::Location;
use crate::report::Context;
use crate::report::events as report;
use crate::store::{Check, Endpoint, Opened, Origin, SHORT_WAIT, Store};

/// How often `watch` looks for new entries of the log.
const LOOK: Duration = Duration::from_millis(250);
/// How long `watch` waits after something went wrong on this side.
const SETBACK: Duration = Duration::from_secs(1);
/// How long a process waits before it asks for the delivery lock again.
const LOCK: Duration = Duration::from_millis(20);

struct Deliverer {
    journal: EventLog,
    client: Client,
    policy: DeliveryPolicy,
    workspace: Workspace,
    tally: Tally,
}

/// `events flush`.
pub(super) fn flush(
    place: &Location,
    args: &FlushArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let config = Config::require(&args.deliver.connection)?;
    let Some(mut deliverer) = Deliverer::new(place, &config, &args.deliver)? else {
        report::flushed(&Tally::default(), 0, context)?;
        return Ok(Exit::Done);
    };
    let mut store = deliverer.start(&config, &args.deliver)?;
    let until = Instant::now() + args.wait;
    let limit = (!args.wait.is_zero()).then_some(until);
    let left = loop {
        let (wait, why) = match store.try_deliver()? {
            Some(_lock) => match deliverer.round(&mut store, limit, &|| false)? {
                End::BackOff(wait) => (wait, backing_off(&store, &config, wait)?),
                _ => break None,
            },
            None => (LOCK, "another process delivers right now".to_owned()),
        };
        if Instant::now() + wait > until {
            break Some(why);
        }
        delivery::pause(wait, &|| false);
    };
    let pending = store.pending()?.messages;
    if pending > 0 {
        deliverer.tally.notes.extend(left);
    }
    report::flushed(&deliverer.tally, pending, context)?;
    Ok(if pending == 0 {
        Exit::Done
    } else {
        Exit::Code(4)
    })
}

/// Why nothing is tried before this long from now.
fn backing_off(store: &Store, config: &Config, wait: Duration) -> Result<String, Failure> {
    let error = store.endpoint(&config.base)?.last_error;
    let after = error.map_or_else(String::new, |error| format!(" because {error}"));
    Ok(format!(
        "delivery was put off{after}; the next try is in {} s, `--resume` tries at once",
        wait.as_secs_f64().ceil()
    ))
}

/// `events watch`.
pub(super) fn watch(
    place: &Location,
    args: &WatchArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let config = Config::require(&args.deliver.connection)?;
    let stop = Arc::new(AtomicBool::new(false));
    let deaf = |error| Failure::Usage(format!("cannot wait for signals: {error}"));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(deaf)?;
    }
    let stopped = || stop.load(Ordering::Relaxed);
    end_in_time(Arc::clone(&stop), args.grace).map_err(deaf)?;
    // A tree that nothing was done to yet has no state: wait for the first batch.
    let mut deliverer = loop {
        if let Some(deliverer) = Deliverer::new(place, &config, &args.deliver)? {
            break deliverer;
        }
        if stopped() {
            return Ok(Exit::Done);
        }
        delivery::pause(LOOK, &stopped);
    };
    let mut store = deliverer.start(&config, &args.deliver)?;
    let mut said = 0;
    while !stopped() {
        let round = match store.try_deliver() {
            Ok(Some(_lock)) => deliverer.round(&mut store, None, &stopped).map(drop),
            // Another process delivers.
            Ok(None) => Ok(()),
            Err(error) => Err(error.into()),
        };
        // A full disk, or a damaged store, is no reason to stop: it may pass, and opening the
        // store again mends what can be mended.
        if let Err(error) = round {
            let note = error.to_string();
            if deliverer.tally.notes.last() != Some(&note) {
                deliverer.tally.notes.push(note);
            }
            delivery::pause(SETBACK, &stopped);
            if let Ok(opened) = deliverer.open() {
                store = opened;
            }
        }
        report::notes(&deliverer.tally.notes[said..], context)?;
        said = deliverer.tally.notes.len();
        delivery::pause(LOOK, &stopped);
    }
    last_round(&mut deliverer, &mut store, args.grace)?;
    let pending = store.pending()?.messages;
    deliverer.tally.notes.drain(..said);
    report::flushed(&deliverer.tally, pending, context)?;
    Ok(Exit::Done)
}

/// Delivers once more what can be delivered so soon.
fn last_round(
    deliverer: &mut Deliverer,
    store: &mut Store,
    grace: Duration,
) -> Result<(), Failure> {
    let until = Instant::now() + grace;
    while Instant::now() < until {
        if let Some(_lock) = store.try_deliver()? {
            return deliverer.round(store, Some(until), &|| false).map(drop);
        }
        std::thread::sleep(LOCK);
    }
    Ok(())
}

/// Sees to it that this process ends soon after it was told to, whatever request hangs: what it
/// leaves is what a killed process leaves.
fn end_in_time(stop: Arc<AtomicBool>, grace: Duration) -> std::io::Result<()> {
    let end = move || {
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK);
        }
        std::thread::sleep(grace);
        // Whoever prints the last line needs a moment for it.
        std::thread::sleep(LOOK);
        std::process::exit(0);
    };
    std::thread::Builder::new().spawn(end).map(|_| ())
}

impl Deliverer {
    /// `None` where the tree has no state, so that there is nothing to deliver.
    fn new(place: &Location, config: &Config, args: &DeliverArgs) -> Result<Option<Self>, Failure> {
        let workspace = place.open()?;
        if !workspace.has_state()? {
            return Ok(None);
        }
        let backoff = Backoff {
            first: args.attempts.backoff_min,
            most: args.attempts.backoff_max,
        };
        Ok(Some(Self {
            journal: EventLog::open(place)?,
            client: Client::new(config)?,
            policy: DeliveryPolicy::new(&args.form, backoff, args.attempts.timeout),
            workspace,
            tally: Tally::default(),
        }))
    }

    /// Opens the store, and forgets earlier failures if that is asked for.
    fn start(&mut self, config: &Config, args: &DeliverArgs) -> Result<Store, Failure> {
        let store = self.open()?;
        if args.attempts.resume {
            store.set_endpoint(&config.base, &Endpoint::default())?;
            store.reset_backoff()?;
        }
        Ok(store)
    }

    fn open(&mut self) -> Result<Store, Failure> {
        let Opened { store, origin } = Store::open(&self.workspace, Check::Pages, SHORT_WAIT)?;
        self.tally.notes.extend(delivery::origin_note(&origin));
        let entries = self.journal.entries()?.len();
        if origin == Origin::New && entries > 0 {
            self.tally.notes.push(format!(
                "there was no delivery store: all {entries} entries of the log are delivered, \
                 events that went out before with the ids that they had"
            ));
        }
        Ok(store)
    }

    /// Takes new entries in and delivers what can be delivered now.
    fn round(
        &mut self,
        store: &mut Store,
        until: Option<Instant>,
        stop: &dyn Fn() -> bool,
    ) -> Result<End, Failure> {
        let mut flusher = Flusher {
            store,
            journal: &mut self.journal,
            client: &self.client,
            policy: self.policy.clone(),
        };
        flusher.sync(&mut self.tally)?;
        Ok(flusher.run(until, stop, &mut self.tally)?)
    }
}
