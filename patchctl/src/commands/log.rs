//! `recover`, `status`, `history`, `show`, `undo`, `audit`, `gc`: what was done, and the way back.

use patchcore::report::Mode;
use patchcore::workspace::record::TransactionState;
use patchcore::workspace::{LOCK_WAIT, Log, Point, Record, Retention, TransactionId};
use patchcore::{Code, Error, Refusal};

use super::edit::{self, Done, Request};
use crate::cli::Global;
use crate::cli::edit::PolicyArgs;
use crate::cli::log::{GcArgs, HistoryArgs, RecoverArgs, ShowBatchArgs, UndoArgs};
use crate::delivery;
use crate::exit::{Exit, Failure};
use crate::place::Location;
use crate::report::{self, Context};

/// `recover`.
pub(crate) fn recover(
    global: &Global,
    args: &RecoverArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let workspace = place.open()?;
    let recovered = match args.adopt {
        Some(digest) => {
            let policy = PolicyArgs {
                allow_path: args.allow_path.clone(),
                ..PolicyArgs::default()
            };
            let options = edit::options(&place, &policy, None)?;
            match digest {
                Some(digest) => workspace.adopt(digest, &options)?,
                None => {
                    return report::adopt::adoption(
                        workspace.adoption(&options)?.as_ref(),
                        context,
                    );
                }
            }
        }
        None if args.abandon => workspace.abandon()?,
        None => workspace.recover()?,
    };
    report::warn_of_notes(&workspace, context);
    report::log::recovered(&recovered, context)
}

/// `status`.
pub(crate) fn status(global: &Global, context: &Context) -> Result<Exit, Failure> {
    let workspace = Location::of(global)?.open()?;
    report::log::status(&workspace.status()?, context)
}

/// `history`.
pub(crate) fn history(
    global: &Global,
    args: &HistoryArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    if let Some(into) = &args.replay {
        let workspace = place.open()?;
        std::fs::create_dir_all(into).map_err(|error| Error::io("make", into, error))?;
        return report::log::rebuilt(&workspace.rebuild(into)?, into, context);
    }
    let log = each_entry(&place, args, &mut |entry| match entry {
        Entry::Record(record, undone_by) => report::log::entry(&record, undone_by, context),
        Entry::Damaged(transaction, error) => report::log::damaged(&transaction, &error, context),
    })?;
    report::log::foreign(&log, context)?;
    Ok(Exit::Done)
}

/// What `history` lists.
pub(crate) enum Entry {
    /// A record, and what took it back.
    Record(Box<Record>, Option<TransactionId>),
    /// An entry that cannot be read.
    Damaged(TransactionId, Error),
}

/// Goes through the entries of the log that are asked for, newest first.
pub(crate) fn each_entry(
    place: &Location,
    args: &HistoryArgs,
    take: &mut dyn FnMut(Entry) -> Result<(), Failure>,
) -> Result<Log, Failure> {
    let log = place.open()?.log()?;
    let mut shown = 0;
    for transaction in log.transactions()?.into_iter().rev() {
        if shown >= args.limit {
            break;
        }
        let record = match log.read(&transaction) {
            Ok(Some(record)) => record,
            // Removed meanwhile.
            Ok(None) => continue,
            Err(error) => {
                take(Entry::Damaged(transaction, error))?;
                continue;
            }
        };
        if args.all || record.state != TransactionState::Refused {
            let undone_by = log.undone_by(&transaction)?;
            take(Entry::Record(Box::new(record), undone_by))?;
            shown += 1;
        }
    }
    Ok(log)
}

/// `show`.
pub(crate) fn show(
    global: &Global,
    args: &ShowBatchArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    let log = Location::of(global)?.open()?.log()?;
    report::log::foreign(&log, context)?;
    let record = match &args.batch {
        Some(name) => named(&log, name)?,
        None => last(&log)?,
    };
    let mut diff = Vec::new();
    if !args.show.no_diff {
        log.write_diff(&record, &mut diff)?;
    }
    let undone_by = log.undone_by(&record.transaction)?;
    report::log::show(&record, undone_by, &diff, context)
}

fn named(log: &Log, name: &str) -> Result<Record, Failure> {
    let record = match log.find(name)? {
        Some(transaction) => log.read(&transaction)?,
        None => None,
    };
    record.ok_or_else(|| none(format!("the log has no batch {name:?}; see history --all")))
}

fn last(log: &Log) -> Result<Record, Failure> {
    for transaction in log.transactions()?.into_iter().rev() {
        if let Some(record) = log.read(&transaction)?
            && !record.changes.is_empty()
        {
            return Ok(record);
        }
    }
    Err(none(
        "the log has no batch that changed something".to_owned(),
    ))
}

fn none(message: String) -> Failure {
    Refusal::new(Code::InvalidBatch, message).into()
}

/// `undo`.
pub(crate) fn undo(global: &Global, args: &UndoArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let policy = PolicyArgs {
        allow_path: args.allow_path.clone(),
        replace: args.replace.clone(),
        ..PolicyArgs::default()
    };
    let request = Request {
        policy: &policy,
        commit: Some(&args.commit),
        show: &args.show,
        preview: args.dry_run,
        detailed_exitcode: false,
        again: false,
        interrupt: None,
    };
    let done = match &args.to {
        Some(point) => take_back_to(&place, &Point::parse(point), &request)?,
        None => take_back(&place, args.batch.as_deref(), &request)?,
    };
    edit::present(&done, &request, context)
}

/// Takes a batch back, and delivers the events of it.
pub(crate) fn take_back(
    place: &Location,
    batch: Option<&str>,
    request: &Request<'_>,
) -> Result<Done<'static>, Failure> {
    let workspace = place.open()?;
    let orchestrator = edit::orchestrator(place, request)?;
    let options = request.options(place)?;
    let undone = workspace.undo(batch, &options)?;
    Ok(edit::conclude(
        place,
        undone,
        request,
        orchestrator.as_ref(),
    ))
}

/// Takes back everything since a point, and delivers the events of it.
fn take_back_to(
    place: &Location,
    point: &Point,
    request: &Request<'_>,
) -> Result<Done<'static>, Failure> {
    let workspace = place.open()?;
    let orchestrator = edit::orchestrator(place, request)?;
    let options = request.options(place)?;
    let mode = match request.preview {
        true => Mode::Preview,
        false => Mode::Apply,
    };
    let undone = workspace.undo_to(point, mode, &options)?;
    Ok(edit::conclude(
        place,
        undone,
        request,
        orchestrator.as_ref(),
    ))
}

/// `audit`.
pub(crate) fn audit(global: &Global, context: &Context) -> Result<Exit, Failure> {
    let workspace = Location::of(global)?.open()?;
    report::log::foreign(&workspace.log()?, context)?;
    report::log::audit(&workspace.audit()?, context)
}

/// `gc`.
pub(crate) fn gc(global: &Global, args: &GcArgs, context: &Context) -> Result<Exit, Failure> {
    let place = Location::of(global)?;
    let retention = Retention {
        max_bytes: args.max_size,
        max_age: args.max_age,
        ..delivery::retention(&place, LOCK_WAIT)
    };
    let workspace = place.open()?;
    let collected = workspace.gc(&retention)?;
    report::warn_of_notes(&workspace, context);
    report::log::collected(&collected, context)
}
