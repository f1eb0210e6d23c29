//! The ledger: which transaction committed the batch of an id.
//!
//! It is an index of the log. Each entry is a symbolic link that nobody follows: its name is the
//! hash of the batch's id, its text the transaction and the batch's content. A link is made, read
//! and voided by one call each, and can never be torn.

use std::io;
use std::str::FromStr as _;

use super::disk::Dir;
use super::record::{Record, Redone, State as Stage, TransactionId};
use super::state::{Held, State, fail};
use crate::digest::Digest;
use crate::error::Error;

const LEDGER: &str = "ledger";
/// The link in a log entry that says which transaction took it back.
pub(super) const UNDONE: &[u8] = b"undone";

/// What the ledger knows of a batch's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) transaction: TransactionId,
    /// Digest of the content that was committed under the id.
    pub(super) content: Digest,
}

/// The commit of a batch's id, if there is one that counts.
pub(super) fn look_up(state: &State, batch_id: &str) -> Result<Option<Entry>, Error> {
    let Some(ledger) = state.part(LEDGER)? else {
        return Ok(None);
    };
    let text = ledger
        .read_link(entry_name(batch_id).as_bytes())
        .map_err(|error| fail("read", LEDGER, error))?;
    Ok(text.and_then(|text| parse(&text)))
}

/// Enters a committed record, and voids the entry of what it takes back.
///
/// A batch without an id of its own bears its transaction's, which nobody can send again by
/// chance: it needs no entry.
pub(super) fn enter(held: &Held, record: &Record) -> Result<(), Error> {
    if record.state != Stage::Committed {
        return Ok(());
    }
    let io = |error| fail("write", LEDGER, error);
    let durable = record.journal.durable;
    if record.has_own_id() && record.undoes.is_none() {
        let ledger = held.state.make_part(LEDGER)?;
        let name = entry_name(&record.batch_id);
        put(&ledger, &name, record.transaction, record.content).map_err(io)?;
        if durable {
            ledger.sync().map_err(io)?;
            held.state.dir.sync().map_err(io)?;
        }
    }
    if let Some(undone) = record.undoes {
        void(held, record, undone, durable)?;
    }
    if let Some(redone) = &record.redoes {
        reinstate(held, redone, durable)?;
    }
    Ok(())
}

/// Writes an entry, in the place of another one of its name.
fn put(ledger: &Dir, name: &str, transaction: TransactionId, content: Digest) -> io::Result<()> {
    let text = format!("{transaction} {content}");
    let text = text.as_bytes();
    match ledger.make_link(name.as_bytes(), text) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            if ledger.read_link(name.as_bytes())?.as_deref() != Some(text) {
                ledger.remove_file(name.as_bytes())?;
                ledger.make_link(name.as_bytes(), text)?;
            }
            Ok(())
        }
        result => result,
    }
}

/// A batch whose undo was undone counts again: its id is known, and it can be undone.
fn reinstate(held: &Held, redone: &Redone, durable: bool) -> Result<(), Error> {
    let io = |error| fail("write", LEDGER, error);
    if let Some(batch_id) = &redone.batch_id {
        let ledger = held.state.make_part(LEDGER)?;
        let name = entry_name(batch_id);
        put(&ledger, &name, redone.transaction, redone.content).map_err(io)?;
        if durable {
            ledger.sync().map_err(io)?;
        }
    }
    let log = |error| fail("write", "log", error);
    let entry = held.log.directory(&redone.transaction.to_string());
    if let Some(entry) = entry.map_err(log)? {
        entry.remove_file(UNDONE).map_err(log)?;
        if durable {
            entry.sync().map_err(log)?;
        }
    }
    Ok(())
}

fn void(held: &Held, record: &Record, undone: TransactionId, durable: bool) -> Result<(), Error> {
    let io = |error| fail("write", LEDGER, error);
    if let Some(batch_id) = &record.undoes_batch
        && let Some(entry) = look_up(&held.state, batch_id)?
        && entry.transaction == undone
        && let Some(ledger) = held.state.part(LEDGER)?
    {
        ledger
            .remove_file(entry_name(batch_id).as_bytes())
            .map_err(io)?;
        if durable {
            ledger.sync().map_err(io)?;
        }
    }
    let log = |error| fail("write", "log", error);
    if let Some(entry) = held.log.directory(&undone.to_string()).map_err(log)? {
        match entry.make_link(UNDONE, record.transaction.to_string().as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => result.map_err(log)?,
        }
        if durable {
            entry.sync().map_err(log)?;
        }
    }
    Ok(())
}

/// The transaction that took a log entry back.
pub(super) fn undone_by(entry: &Dir) -> io::Result<Option<TransactionId>> {
    let text = entry.read_link(UNDONE)?;
    Ok(text.and_then(|text| str::from_utf8(&text).ok()?.parse().ok()))
}

/// Removes the entries of transactions that are `old`.
pub(super) fn forget(state: &State, old: impl Fn(&TransactionId) -> bool) -> Result<(), Error> {
    let io = |error| fail("clean", LEDGER, error);
    let Some(ledger) = state.part(LEDGER)? else {
        return Ok(());
    };
    for name in ledger.names().map_err(io)? {
        let text = ledger.read_link(&name).map_err(io)?;
        if text
            .and_then(|text| parse(&text))
            .is_none_or(|entry| old(&entry.transaction))
        {
            ledger.remove_file(&name).map_err(io)?;
        }
    }
    Ok(())
}

fn parse(text: &[u8]) -> Option<Entry> {
    let (transaction, content) = str::from_utf8(text).ok()?.split_once(' ')?;
    Some(Entry {
        transaction: TransactionId::from_str(transaction).ok()?,
        content: content.parse().ok()?,
    })
}

fn entry_name(batch_id: &str) -> String {
    Digest::of(batch_id.as_bytes()).to_hex()
}
