//! `events`: what happened, straight from the log; and its delivery.

mod deliver;
mod find;

use std::time::Duration;

use patchcore::event::{self, PatchEvent};
use patchcore::workspace::TransactionId;

use crate::cli::Cli;
#[cfg(feature = "serve")]
use crate::cli::events::Filter;
use crate::cli::events::{DeadCommand, EventsArgs, EventsCommand, ListArgs, TailArgs, Which};
use crate::delivery::{Diffs, EventLog};
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::Context;
use crate::report::events::{self as report, Delivery};
use crate::store::{SHORT_WAIT, Store};

use find::{Deliveries, Matcher};

/// How often `tail --follow` looks at the log.
const LOOK: Duration = Duration::from_millis(250);

/// `events`.
pub(crate) fn run(cli: &Cli, args: &EventsArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(&cli.global)?;
    match &args.command {
        EventsCommand::List(args) => list(&place, args, context),
        EventsCommand::Show { id } => show(&place, id, context),
        EventsCommand::Tail(args) => tail(&place, args, context),
        EventsCommand::Flush(args) => deliver::flush(&place, args, context),
        EventsCommand::Watch(args) => deliver::watch(&place, args, context),
        EventsCommand::Dead(args) => dead(&place, &args.command, context),
    }
}

fn list(place: &Location, args: &ListArgs, context: &Context) -> Result<Exit, Failure> {
    report::list(&page(place, args)?, context)?;
    Ok(Exit::Done)
}

/// An event, and how far its delivery has come.
type Listed = (PatchEvent, Option<Delivery>);

/// The events that are asked for, newest first, with how far their delivery has come.
pub(crate) fn page(place: &Location, args: &ListArgs) -> Result<Vec<Listed>, Failure> {
    let mut journal = EventLog::open(place)?;
    let deliveries = Deliveries::open(place)?;
    let matcher = Matcher::new(&args.filter);
    let mut left = args.skip;
    let mut lines = Vec::new();
    find::newest_first(&mut journal, &matcher, &mut |event| {
        if left > 0 {
            left -= 1;
            return Ok(true);
        }
        if lines.len() == args.limit {
            return Ok(false);
        }
        let state = deliveries.of(&event)?;
        lines.push((event, state));
        Ok(true)
    })?;
    Ok(lines)
}

/// The events that are asked for, oldest first, with how far their delivery has come, and whether
/// there are more.
#[cfg(feature = "serve")]
pub(crate) fn oldest(place: &Location, args: &ListArgs) -> Result<(Vec<Listed>, bool), Failure> {
    let mut journal = EventLog::open(place)?;
    let deliveries = Deliveries::open(place)?;
    let matcher = Matcher::new(&args.filter);
    let mut left = args.skip;
    let mut lines = Vec::new();
    let mut more = false;
    find::oldest_first(&mut journal, &matcher, &mut |event| {
        if left > 0 {
            left -= 1;
            return Ok(true);
        }
        if lines.len() == args.limit {
            more = true;
            return Ok(false);
        }
        let state = deliveries.of(&event)?;
        lines.push((event, state));
        Ok(true)
    })?;
    Ok((lines, more))
}

/// Goes through the events that are asked for, newest first, while `take` says so.
#[cfg(feature = "serve")]
pub(crate) fn each(
    place: &Location,
    filter: &Filter,
    take: &mut dyn FnMut(PatchEvent) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let mut journal = EventLog::open(place)?;
    find::newest_first(&mut journal, &Matcher::new(filter), take)
}

fn tail(place: &Location, args: &TailArgs, context: &Context) -> Result<Exit, Failure> {
    let mut journal = EventLog::open(place)?;
    let matcher = Matcher::new(&args.filter);
    let mut seen = journal.entries()?;
    let mut last: Vec<PatchEvent> = Vec::new();
    find::newest_first(&mut journal, &matcher, &mut |event| {
        if last.len() == args.lines {
            return Ok(false);
        }
        last.push(event);
        Ok(true)
    })?;
    last.reverse();
    let lines: Vec<_> = last.into_iter().map(|event| (event, None)).collect();
    report::list(&lines, context)?;
    if !args.follow {
        return Ok(Exit::Done);
    }
    loop {
        std::thread::sleep(LOOK);
        let all = journal.entries()?;
        let new: Vec<TransactionId> = all
            .iter()
            .filter(|id| !seen.contains(id))
            .copied()
            .collect();
        for id in new {
            let Ok(Some(record)) = journal.record(&id) else {
                continue;
            };
            let events = event::events(&record).filter(|event| matcher.matches(event));
            let lines: Vec<_> = events.map(|event| (event, None)).collect();
            report::list(&lines, context)?;
        }
        seen = all;
    }
}

fn show(place: &Location, id: &str, context: &Context) -> Result<Exit, Failure> {
    let mut journal = EventLog::open(place)?;
    let deliveries = Deliveries::open(place)?;
    for transaction in journal.entries()?.into_iter().rev() {
        let Ok(Some(record)) = journal.record(&transaction) else {
            continue;
        };
        let whole = transaction.to_string() == id || record.batch_id == id;
        let mut events = Vec::new();
        for position in 0..event::count(&record) {
            if whole || event::event_id(&record, position).as_deref() == Some(id) {
                let rendered = journal
                    .event(&transaction.to_string(), position, Diffs::Carried)
                    .map_err(Failure::Usage)?;
                let state = deliveries.of(&rendered)?;
                events.push((rendered, state));
            }
        }
        if !events.is_empty() {
            report::show(&events, context)?;
            return Ok(Exit::Done);
        }
    }
    Err(Failure::Usage(format!(
        "no event, transaction or batch {id} is in the log; `patchctl events list` shows what is"
    )))
}

fn dead(place: &Location, command: &DeadCommand, context: &Context) -> Result<Exit, Failure> {
    let Some(mut store) = Store::open_existing(&place.open()?, SHORT_WAIT)? else {
        return match command {
            DeadCommand::Retry(which) | DeadCommand::Drop(which) if !which.all => {
                Err(unknown(which.ids.first().map_or("", String::as_str)))
            }
            _ => Ok(Exit::Done),
        };
    };
    match command {
        DeadCommand::List { limit, skip } => {
            report::dead(&store.dead(*limit, *skip)?, context)?;
        }
        DeadCommand::Retry(which) => {
            for id in ids(&store, which)? {
                if store.revive(&id)? {
                    report::done(&format!("{id} goes out with the next delivery"), context)?;
                } else if !which.all {
                    return Err(unknown(&id));
                }
            }
        }
        DeadCommand::Drop(which) => {
            for id in ids(&store, which)? {
                if store.take_dead_letter(&id)?.is_none() {
                    return Err(unknown(&id));
                }
                report::done(&format!("{id} is dropped"), context)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn ids(store: &Store, which: &Which) -> Result<Vec<String>, Failure> {
    if !which.all {
        return Ok(which.ids.clone());
    }
    let letters = store.dead(usize::MAX >> 1, 0)?;
    Ok(letters.into_iter().map(|letter| letter.id).collect())
}

fn unknown(id: &str) -> Failure {
    Failure::Usage(format!(
        "no dead letter {id} can be sent or dropped; `patchctl events dead list` shows them"
    ))
}
