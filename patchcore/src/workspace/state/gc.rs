//! Keeping the log within its bounds.

use std::time::Duration;

use crate::error::Error;
use crate::workspace::Workspace;
use crate::workspace::disk;
use crate::workspace::options::{ApplyOptions, Retention};
use crate::workspace::state::journal::MANIFEST;
use crate::workspace::state::ledger;
use crate::workspace::state::log::{Log, Weight};
use crate::workspace::state::record::{Record, TransactionId};
use crate::workspace::state::removed::{self, Removed};
use crate::workspace::state::snapshot;
use crate::workspace::state::{Held, fail};

/// What was removed from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Collected {
    /// Transactions that were removed.
    pub removed: usize,
    /// Bytes that they took.
    pub freed: u64,
    /// Transactions that are left.
    pub kept: usize,
    /// Bytes that these take.
    pub bytes: u64,
}

impl Workspace {
    /// Removes the oldest entries of the log until it is within its bounds.
    ///
    /// What was recorded while a command is being recorded stays until that is over.
    ///
    /// What is removed can no longer be shown or undone. That a batch was committed is remembered
    /// for the retention's whole age, whatever the log's size.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT` where another process works on the tree; `IO`.
    pub fn gc(&self, retention: &Retention) -> Result<Collected, Error> {
        let held = self.hold(crate::workspace::LOCK_WAIT)?;
        self.recovered(&held)?;
        collect(&self.log()?, &held, retention)
    }
}

/// Collects after one transaction in 64: the log grows by a bounded amount between two runs.
pub(crate) fn now_and_then(
    workspace: &Workspace,
    held: &Held,
    record: &Record,
    options: &ApplyOptions<'_>,
) {
    let is_due = record.transaction.as_bytes()[15].is_multiple_of(64);
    if let (true, Some(retention)) = (is_due, &options.retention) {
        // The batch is done; what could not be cleaned up is left for the next time.
        let _ = workspace
            .log()
            .and_then(|log| collect(&log, held, retention));
    }
}

/// An entry of the log.
struct Entry {
    transaction: TransactionId,
    size: u64,
    age: Duration,
}

/// What the log holds that is ours.
fn entries(
    log: &Log,
    held: &Held,
    before: Option<&Removed>,
    now: u64,
) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for transaction in log.transactions()? {
        // What others wrote is not ours to remove, and takes no room from what is ours.
        if !log.is_ours(&transaction)? {
            // But for what a run that died left of an entry: its directory, with nothing in it.
            if before.is_some_and(|it| it.covers(&transaction)) {
                let name = transaction.to_string();
                let _ = held.log.remove_directory(name.as_bytes());
            }
            continue;
        }
        let Weight { size, written } = log.weigh(&transaction)?;
        entries.push(Entry {
            transaction,
            size,
            age: age(&transaction, written, now),
        });
    }
    Ok(entries)
}

fn collect(log: &Log, held: &Held, retention: &Retention) -> Result<Collected, Error> {
    let before = removed::read(&held.state)?;
    let now = disk::unix_millis();
    let entries = entries(log, held, before.as_ref(), now)?;
    let mut collected = Collected {
        bytes: entries.iter().map(|entry| entry.size).sum(),
        ..Collected::default()
    };
    let head_of_runs = snapshot::head_of_runs(held)?;
    let (mut going, mut staying) = (Vec::new(), Vec::new());
    for entry in entries {
        // The run that was to remove it died.
        let is_left = before
            .as_ref()
            .is_some_and(|before| before.covers(&entry.transaction));
        let is_due = entry.age > retention.max_age || collected.bytes > retention.max_bytes;
        let is_kept = || {
            let keep = retention.keep.as_ref();
            // A command that is being recorded is told from others by what they recorded meanwhile.
            let is_meanwhile = head_of_runs.is_some_and(|head| Some(entry.transaction) > head);
            is_meanwhile || keep.is_some_and(|keep| keep(&entry.transaction))
        };
        if is_left || is_due && !is_kept() {
            collected.removed += 1;
            collected.freed += entry.size;
            collected.bytes -= entry.size;
            going.push(entry.transaction);
        } else {
            collected.kept += 1;
            staying.push(entry.transaction);
        }
    }
    if let Some(last) = going.last() {
        let lost = |lost: &TransactionId| age(lost, None, now) <= retention.max_age;
        let removed = removed_by(log, before, *last, &going, &staying, lost);
        removed::write(held, &removed)?;
        // What is left of the log does not begin where the first snapshot was taken.
        let head = snapshot::first(&held.state)?.map(|(header, _)| header.head);
        if head.is_some_and(|head| head.is_none_or(|head| *last > head)) {
            snapshot::forget_first(held)?;
        }
    }
    for transaction in &going {
        remove(held, transaction)?;
    }
    let (_, freed) = snapshot::forget(held, retention.max_bytes, retention.max_age)?;
    collected.freed += freed;
    ledger::forget(held, |transaction, written| {
        age(transaction, written, now) > retention.max_age
    })?;
    Ok(collected)
}

/// What is known to be removed once `going` are.
///
/// What others removed was not removed by `gc`: it stays on the list of what must be there while
/// it `matters`.
fn removed_by(
    log: &Log,
    before: Option<Removed>,
    last: TransactionId,
    going: &[TransactionId],
    staying: &[TransactionId],
    matters: impl Fn(&TransactionId) -> bool,
) -> Removed {
    let floor = before.as_ref().map(|before| before.last);
    let is_there =
        |id: &TransactionId| staying.binary_search(id).is_ok() || going.binary_search(id).is_ok();
    let is_accounted = |id: &TransactionId| {
        is_there(id) || before.as_ref().is_some_and(|before| *id <= before.last)
    };
    let mut digest = None;
    let mut lost = Vec::new();
    for transaction in going.iter().chain(staying) {
        let is_new = *transaction <= last && floor.is_none_or(|floor| *transaction > floor);
        if let (true, Ok(Some((record, own)))) = (is_new, log.read_with_digest(transaction)) {
            if *transaction == last {
                digest = Some(own);
            }
            lost.extend(
                record
                    .previous
                    .map(|previous| previous.transaction)
                    .filter(|previous| !is_accounted(previous)),
            );
        }
    }
    if let Some(before) = before {
        lost.extend(before.kept.iter().filter(|id| !is_there(id)));
        if before.last > last {
            digest = before.digest;
        }
    }
    let last = floor.map_or(last, |floor| floor.max(last));
    let staying = staying.iter().filter(|id| **id <= last).copied();
    let mut kept: Vec<TransactionId> = lost.into_iter().filter(matters).chain(staying).collect();
    kept.sort_unstable();
    kept.dedup();
    Removed::new(last, digest, kept)
}

/// Removes an entry, its record last: without it nothing would say what the rest is.
fn remove(held: &Held, transaction: &TransactionId) -> Result<(), Error> {
    let io = |error| fail("remove", "log", error);
    let name = transaction.to_string();
    match held.log.directory(&name) {
        Ok(Some(entry)) => {
            for name in entry.names().map_err(io)? {
                if name != MANIFEST {
                    entry.remove_file(&name).map_err(io)?;
                }
            }
            entry.remove_file(MANIFEST).map_err(io)?;
            held.log.remove_directory(name.as_bytes()).map_err(io)?;
        }
        Ok(None) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            held.log.remove_file(name.as_bytes()).map_err(io)?;
        }
        Err(error) => return Err(io(error)),
    }
    Ok(())
}

/// How old an entry is: by its id, or by the file system where the clock had been ahead when the
/// id was made. A clock that was set back makes nothing old.
fn age(transaction: &TransactionId, written: Option<u64>, now: u64) -> Duration {
    let made = transaction.unix_millis();
    let made = written.map_or(made, |written| made.min(written));
    Duration::from_millis(now.saturating_sub(made))
}
