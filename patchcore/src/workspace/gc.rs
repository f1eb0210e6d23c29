//! Keeping the log within its bounds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Workspace;
use super::journal::MANIFEST;
use super::ledger;
use super::log::Log;
use super::options::{ApplyOptions, Retention};
use super::record::{Record, TransactionId};
use super::state::{Held, fail};
use crate::error::Error;

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
    /// What is removed can no longer be shown or undone. That a batch was committed is remembered
    /// for the retention's whole age, whatever the log's size.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT` where another process works on the tree; `IO`.
    pub fn gc(&self, retention: &Retention) -> Result<Collected, Error> {
        let held = self.hold(super::LOCK_WAIT)?;
        super::recover::recover(&self.root, &held)?;
        collect(&self.log()?, &held, retention)
    }
}

/// Collects after one transaction in 64: the log grows by a bounded amount between two runs.
pub(super) fn now_and_then(
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

fn collect(log: &Log, held: &Held, retention: &Retention) -> Result<Collected, Error> {
    let mut collected = Collected::default();
    let mut entries = Vec::new();
    for transaction in log.transactions()? {
        let size = log.size(&transaction)?;
        collected.bytes += size;
        entries.push((transaction, size));
    }
    collected.kept = entries.len();
    for (transaction, size) in entries {
        let is_old = age(&transaction) > retention.max_age;
        if !is_old && collected.bytes <= retention.max_bytes {
            break;
        }
        if retention
            .keep
            .as_ref()
            .is_some_and(|keep| keep(&transaction))
        {
            continue;
        }
        remove(held, &transaction)?;
        collected.removed += 1;
        collected.kept -= 1;
        collected.freed += size;
        collected.bytes -= size;
    }
    ledger::forget(&held.state, |transaction| {
        age(transaction) > retention.max_age
    })?;
    Ok(collected)
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

fn age(transaction: &TransactionId) -> Duration {
    let made = UNIX_EPOCH + Duration::from_millis(transaction.unix_millis());
    // A clock that was set back makes nothing old.
    SystemTime::now().duration_since(made).unwrap_or_default()
}
