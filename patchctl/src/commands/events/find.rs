//! Finding events in the log.

use std::cell::RefCell;
use std::collections::HashMap;

use patchcore::event::{self, PatchEvent};

use crate::cli::events::Filter;
use crate::delivery::EventLog;
use crate::exit::Failure;
use crate::place::Location;
use crate::report::events::Delivery;
use crate::store::{SHORT_WAIT, Store};

/// Which events are wanted.
pub(super) struct Matcher<'a> {
    filter: &'a Filter,
    outcome: Option<String>,
    text: Option<String>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(filter: &'a Filter) -> Self {
        let outcome = filter.outcome.as_ref();
        Self {
            filter,
            outcome: outcome.cloned(),
            text: filter.text.as_ref().map(|text| text.to_lowercase()),
        }
    }

    pub(super) fn matches(&self, event: &PatchEvent) -> bool {
        let Filter {
            task,
            order,
            file,
            since,
            until,
            ..
        } = self.filter;
        let same =
            |wanted: &Option<String>, found: &Option<String>| wanted.is_none() || wanted == found;
        let at = || event.at.parse::<jiff::Timestamp>().ok();
        same(task, &event.labels.task_id)
            && same(order, &event.labels.order_id)
            && file.as_ref().is_none_or(|wanted| is_in(event, wanted))
            && self.outcome.as_ref().is_none_or(|wanted| {
                let kind = event.event.as_str().to_ascii_lowercase();
                let outcome = event.outcome.and_then(|o| serde_json::to_value(o).ok());
                kind == *wanted
                    || kind.strip_prefix("patch_") == Some(wanted)
                    || outcome.is_some_and(|outcome| outcome == wanted.as_str())
            })
            && since.is_none_or(|since| at().is_none_or(|at| at >= since))
            && until.is_none_or(|until| at().is_none_or(|at| at <= until))
            && self.text.as_ref().is_none_or(|text| {
                let all = serde_json::to_string(event).unwrap_or_default();
                all.to_lowercase().contains(text)
            })
    }
}

/// Whether an event is about a path or something below it.
fn is_in(event: &PatchEvent, wanted: &str) -> bool {
    let plain = |path: &'_ str| {
        path.trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned()
    };
    let wanted = plain(wanted);
    event.file.as_ref().is_some_and(|file| {
        let file = plain(file);
        let below = file.strip_prefix(&wanted);
        below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// Goes through the log backwards, while `take` says so. What cannot be read is left out: `doctor`
/// shows it.
pub(super) fn newest_first(
    journal: &mut EventLog,
    matcher: &Matcher<'_>,
    take: &mut dyn FnMut(PatchEvent) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    for id in journal.entries()?.into_iter().rev() {
        // Work on a batch begins when its id is made.
        let made = i64::try_from(id.unix_millis()).unwrap_or(i64::MAX);
        if let Some(since) = matcher.filter.since
            && made < since.as_millisecond() - 60_000
        {
            return Ok(());
        }
        let Ok(Some(record)) = journal.record(&id) else {
            continue;
        };
        for position in (0..event::count(&record)).rev() {
            let Some(event) = event::event(&record, position) else {
                continue;
            };
            if matcher.matches(&event) && !take(event)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Goes through the log from its oldest entry, while `take` says so. What cannot be read is left
/// out: `doctor` shows it.
#[cfg(feature = "serve")]
pub(super) fn oldest_first(
    journal: &mut EventLog,
    matcher: &Matcher<'_>,
    take: &mut dyn FnMut(PatchEvent) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    for id in journal.entries()? {
        let Ok(Some(record)) = journal.record(&id) else {
            continue;
        };
        for event in event::events(&record) {
            if matcher.matches(&event) && !take(event)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// How far delivery has come, where there is a store.
pub(super) struct Deliveries {
    store: Option<Store>,
    known: RefCell<HashMap<String, (usize, Vec<usize>)>>,
}

impl Deliveries {
    pub(super) fn open(place: &Location) -> Result<Self, Failure> {
        Ok(Self {
            store: Store::open_existing(&place.open()?, SHORT_WAIT)?,
            known: RefCell::default(),
        })
    }

    pub(super) fn of(&self, event: &PatchEvent) -> Result<Option<Delivery>, Failure> {
        let Some(store) = &self.store else {
            return Ok(None);
        };
        let mut known = self.known.borrow_mut();
        if !known.contains_key(&event.transaction) {
            let position = store.position(&event.transaction)?.unwrap_or(0);
            let dead = store.dead_of(&event.transaction)?;
            known.insert(event.transaction.clone(), (position, dead));
        }
        let (reached, dead) = &known[&event.transaction];
        let position = event.operation.as_ref().map_or(0, |o| o.index + 1);
        Ok(Some(if dead.contains(&position) {
            Delivery::Dead
        } else if position < *reached {
            Delivery::Delivered
        } else {
            Delivery::Waiting
        }))
    }
}
