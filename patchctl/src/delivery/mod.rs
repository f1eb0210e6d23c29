//! Delivery: at least once, in order per batch, whatever dies in between.
//!
//! What happened is in the log before anybody is told. An edit waits for delivery within its
//! budget, and not at all while a back-off is pending; `events flush` and `events watch` deliver
//! the rest. Without an orchestrator none of this is touched.

mod flush;
mod journal;
mod message;
mod queue;
mod retry;
mod sync;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use patchcore::event::PatchEvent;
use patchcore::workspace::{Retention, TransactionId};
use patchcore::{Code, Refusal};

use crate::cli::orchestrator::{Delivery, EventForm};
use crate::exit::Failure;
use crate::orchestrator::{Client, Config};
use crate::place::Location;
use crate::redact;
use crate::store::{
    Check, Class, LaneKind, Message, Opened, Origin, SHORT_WAIT, Store, StoreError,
};

pub(crate) use flush::{DeliveryPolicy, End, Flusher, Tally};
pub(crate) use journal::{Diffs, EventLog};
pub(crate) use queue::{queue_errors, queue_operations, take_remediations};
pub(crate) use retry::Backoff;

/// Edits that leave delivery to others, between two looks at what waits.
const LOOK_EVERY: u64 = 32;

impl DeliveryPolicy {
    /// How events of this form are delivered.
    pub(crate) fn new(form: &EventForm, backoff: Backoff, timeout: Duration) -> Self {
        Self {
            backoff,
            timeout,
            bundle: form.event_batch.get(),
            diffs: if form.no_event_diff {
                Diffs::LeftOut
            } else {
                Diffs::Carried
            },
        }
    }
}

/// What became of a batch's events when its command ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Whether all of them were taken. Always, where no orchestrator is configured.
    pub(crate) complete: bool,
    /// What people should know.
    pub(crate) notes: Vec<String>,
}

/// Before an edit: whether the log has room for what it will have to tell. When it is full,
/// previews go first, then refusals, commits never. A store that cannot be looked at stops no
/// edit.
///
/// # Errors
/// `LIMIT_EXCEEDED` where undelivered commits fill the log.
pub(crate) fn before_commit(
    place: &Location,
    config: Option<&Config>,
    options: &Delivery,
    wait: Duration,
) -> Result<(), Refusal> {
    if config.is_none() {
        return Ok(());
    }
    let limit = options.max_undelivered;
    // The edit itself waits for the tree alone.
    let wait = wait.min(SHORT_WAIT);
    // With no time for delivery there is none for looking at each edit, either: the bound may be
    // passed by some batches.
    if options.deliver_within.is_zero() {
        let announced = || -> Result<u64, Failure> { Ok(Store::announce(&place.open()?, wait)?) };
        match announced() {
            Ok(edits) if edits % LOOK_EVERY == 0 => {}
            // Where this fails, so will the edit, and say why.
            _ => return Ok(()),
        }
    }
    let Ok(waiting) = make_room(place, limit, wait) else {
        return Ok(());
    };
    if waiting <= limit {
        return Ok(());
    }
    Err(Refusal::new(
        Code::LimitExceeded,
        format!(
            "{waiting} bytes of the log wait for the orchestrator, and the limit is {limit}: \
             deliver them with `patchctl events flush`, see `patchctl doctor`, or raise \
             --max-undelivered"
        ),
    ))
}

/// Drops what may be dropped, until no more than `limit` bytes wait; gives how many do.
fn make_room(place: &Location, limit: u64, wait: Duration) -> Result<u64, Failure> {
    let mut journal = EventLog::open(place)?;
    let mut store = Store::open(&place.open()?, Check::Header, wait)?.store;
    sync::sync(&mut store, &mut journal, &mut |_| {})?;
    // What is dropped is counted, and `doctor` shows it.
    store.drop_class(Class::Preview, limit)?;
    store.drop_class(Class::Refusal, limit)?;
    Ok(store.pending()?.bytes)
}

/// What the log has to keep, for the options of an edit: entries that are not yet delivered.
/// Nothing is opened unless the log is about to be cleaned up.
pub(crate) fn retention(place: &Location, wait: Duration) -> Retention {
    let place = place.clone();
    let wait = wait.min(SHORT_WAIT);
    let known = std::sync::OnceLock::new();
    let keep = move |id: &TransactionId| {
        let known = known.get_or_init(|| match delivered(&place, wait) {
            Ok(None) => Known::Nothing,
            Ok(Some(entries)) => Known::Entries(entries),
            Err(_) => Known::Unreadable,
        });
        match known {
            Known::Nothing => false,
            Known::Unreadable => true,
            Known::Entries(entries) => !entries.get(&id.to_string()).copied().unwrap_or(false),
        }
    };
    Retention {
        keep: Some(Arc::new(keep)),
        ..Retention::default()
    }
}

/// Which entries are delivered; `None` where nobody was ever to be told anything.
fn delivered(place: &Location, wait: Duration) -> Result<Option<HashMap<String, bool>>, Failure> {
    let workspace = place.open()?;
    if !Store::is_announced(&workspace)? {
        return Ok(None);
    }
    let store = Store::open(&workspace, Check::Header, wait)?.store;
    Ok(Some(store.entries()?))
}

enum Known {
    Nothing,
    Unreadable,
    Entries(HashMap<String, bool>),
}

/// After an edit: tells the orchestrator, within the budget. Call it with the transaction of the
/// report, once the library has returned; it never fails an edit that is committed.
pub(crate) fn after_commit(
    place: &Location,
    config: Option<&Config>,
    options: &Delivery,
    transaction: Option<&str>,
) -> Delivered {
    let (Some(config), Some(transaction)) = (config, transaction) else {
        return Delivered {
            complete: true,
            notes: Vec::new(),
        };
    };
    if options.deliver_within.is_zero() {
        // The log has it; the next flush finds it there.
        return Delivered::default();
    }
    let until = Instant::now() + options.deliver_within;
    let told = WaitFor::Transaction(transaction);
    deliver_now(place, config, options, &told, until).unwrap_or_else(failed)
}

/// After a preview whose events were asked for: they are not in the log, so they go into the
/// outbox, and out within the budget.
pub(crate) fn after_preview(
    place: &Location,
    config: Option<&Config>,
    options: &Delivery,
    wait: Duration,
    events: &[PatchEvent],
) -> Delivered {
    let Some(config) = config else {
        return Delivered {
            complete: true,
            notes: Vec::new(),
        };
    };
    let until = Instant::now() + options.deliver_within;
    let queue = || -> Result<Delivered, Failure> {
        let messages: Vec<Message> = events
            .iter()
            .map(|event| Message {
                id: event.event_id.clone(),
                body: redact::bytes(&serde_json::to_vec(event).expect("an event serialises"))
                    .into_owned(),
            })
            .collect();
        let mut store = Store::open(&place.open()?, Check::Header, wait)?.store;
        let lane = store.add_messages(LaneKind::Events, &messages, Class::Preview)?;
        if options.deliver_within.is_zero() {
            return Ok(Delivered::default());
        }
        deliver_now(place, config, options, &WaitFor::Lane(lane), until)
    };
    queue().unwrap_or_else(failed)
}

fn failed(error: Failure) -> Delivered {
    Delivered {
        complete: false,
        notes: vec![error.to_string()],
    }
}

fn deliver_now(
    place: &Location,
    config: &Config,
    options: &Delivery,
    told: &WaitFor<'_>,
    until: Instant,
) -> Result<Delivered, Failure> {
    let mut journal = EventLog::open(place)?;
    let wait = until.saturating_duration_since(Instant::now());
    let Opened { mut store, origin } = Store::open(&place.open()?, Check::Header, wait)?;
    let endpoint = store.endpoint(&config.base)?;
    if endpoint.stopped || endpoint.next_try > crate::store::now() {
        return Ok(Delivered::default());
    }
    let _lock = loop {
        if let Some(lock) = store.try_deliver()? {
            break lock;
        }
        // Whoever else delivers takes these events along; only who needs to know waits for it.
        if !options.require_delivery || Instant::now() >= until {
            return Ok(Delivered::default());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let client = Client::new(config)?;
    let mut tally = Tally::default();
    tally.notes.extend(origin_note(&origin));
    let mut flusher = Flusher {
        store: &mut store,
        journal: &mut journal,
        client: &client,
        policy: DeliveryPolicy::new(&options.form, Backoff::default(), options.deliver_within),
    };
    flusher.sync(&mut tally)?;
    flusher.run(Some(until), &|| false, &mut tally)?;
    let complete = match told {
        WaitFor::Transaction(transaction) => {
            store.is_delivered(transaction)? && store.dead_of(transaction)?.is_empty()
        }
        WaitFor::Lane(lane) => tally.dead == 0 && !store.is_waiting(*lane)?,
    };
    Ok(Delivered {
        complete,
        notes: tally.notes,
    })
}

/// What a command waits for.
enum WaitFor<'a> {
    Transaction(&'a str),
    Lane(i64),
}

/// What to say of a store that was not just there.
pub(crate) fn origin_note(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Kept | Origin::New => None,
        Origin::Replaced(aside) => Some(format!(
            "the delivery store was damaged and now lies at {}; it is rebuilt from the log, so \
             events may go out again, with the ids that they had",
            aside.display()
        )),
    }
}

/// Waits, but no longer than it takes `stop` to say so.
pub(crate) fn pause(time: Duration, stop: &dyn Fn() -> bool) {
    let until = Instant::now() + time;
    while !stop() {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
