//! The ledger: which transaction committed the batch of an id, or the input that came without one.
//!
//! It is an index of the log. Each entry is a symbolic link that nobody follows: its name is the
//! hash of the batch's id, or that of the request, its text the transaction and the batch's content, with a seal. A link is
//! made, read and voided by one call each, and can never be torn.

use std::io;

use rustix::io::Errno;

use crate::digest::Digest;
use crate::error::Error;
use crate::workspace::disk::Dir;
use crate::workspace::state::key::{Key, Seal};
use crate::workspace::state::record::{Record, Redone, TransactionId, TransactionState};
use crate::workspace::state::{Held, StateDir, fail};

/// Name of the ledger, and what the seals of its entries are for.
const LEDGER: &str = "ledger";
/// The link in a log entry that says which transaction took it back.
pub(crate) const UNDONE: &[u8] = b"undone";
/// What the seal of that link is for.
const UNDONE_PURPOSE: &str = "undone";

/// What the ledger knows of a batch's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) transaction: TransactionId,
    /// Digest of the content that was committed under the id; for a request, that of the plan which
    /// was carried out.
    pub(crate) content: Digest,
}

/// The commit of a batch's id, if there is one that counts.
pub(crate) fn look_up(state: &StateDir, batch_id: &str) -> Result<Option<Entry>, Error> {
    look_up_name(state, &entry_name(batch_id))
}

/// The last commit of a request that came without an id. Whether it still counts is the log's to
/// say.
pub(crate) fn look_up_request(state: &StateDir, request: Digest) -> Result<Option<Entry>, Error> {
    look_up_name(state, &request_name(request))
}

fn look_up_name(state: &StateDir, name: &str) -> Result<Option<Entry>, Error> {
    let Some(ledger) = state.part(LEDGER)? else {
        return Ok(None);
    };
    let text = read_entry(&ledger, name.as_bytes());
    let Some(text) = text.map_err(|error| fail("read", LEDGER, error))? else {
        return Ok(None);
    };
    let entry = Entry::unseal(name, &text, state.key.as_ref());
    if entry.is_none() {
        state.meet_foreign();
    }
    Ok(entry)
}

/// The text of a link; empty for a file or a directory, which is never made here.
fn read_entry(dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    match dir.read_link(name) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => Ok(Some(Vec::new())),
        result => result,
    }
}

impl Entry {
    /// The text of an entry's link.
    fn seal(&self, name: &str, key: &Key) -> String {
        let Self {
            transaction,
            content,
        } = self;
        let seal = key.seal(LEDGER, &self.parts(name));
        format!("{transaction} {content} {seal}")
    }

    /// Reads the text of an entry's link, if the key's holder wrote it.
    fn unseal(name: &str, text: &[u8], key: Option<&Key>) -> Option<Self> {
        let mut words = str::from_utf8(text).ok()?.split(' ');
        let entry = Self {
            transaction: words.next()?.parse().ok()?,
            content: words.next()?.parse().ok()?,
        };
        let seal: Seal = words.next()?.parse().ok()?;
        let is_ours = words.next().is_none() && key?.verify(&seal, LEDGER, &entry.parts(name));
        is_ours.then_some(entry)
    }

    /// What is sealed.
    fn parts<'a>(&'a self, name: &'a str) -> [&'a [u8]; 3] {
        [
            name.as_bytes(),
            self.transaction.as_bytes(),
            self.content.as_bytes(),
        ]
    }
}

/// Enters a committed record, and voids the entry of what it takes back.
///
/// A batch without an id of its own is entered by the request that it came as, if it is to be known
/// again by that.
pub(crate) fn enter(held: &Held, record: &Record) -> Result<(), Error> {
    if record.state != TransactionState::Committed {
        return Ok(());
    }
    let io = |error| fail("write", LEDGER, error);
    let durable = record.journal.durable;
    let known_by = match record.request {
        _ if record.undoes.is_some() => None,
        _ if record.has_own_id() => Some((entry_name(&record.batch_id), record.content)),
        request => request.map(|request| (request_name(request), record.plan)),
    };
    if let Some((name, content)) = known_by {
        let ledger = held.state.make_part(LEDGER)?;
        let entry = Entry {
            transaction: record.transaction,
            content,
        };
        put(&ledger, &name, &entry, &held.key).map_err(io)?;
        if durable {
            ledger.sync().map_err(io)?;
            held.state.dir.sync().map_err(io)?;
        }
    }
    if let Some(undone) = record.undoes {
        let batch_id = record.undoes_batch.as_deref();
        void(held, undone, batch_id, record.transaction, durable)?;
    }
    for undone in &record.undoes_also {
        let batch_id = undone.batch_id.as_deref();
        void(
            held,
            undone.transaction,
            batch_id,
            record.transaction,
            durable,
        )?;
    }
    if let Some(redone) = &record.redoes {
        reinstate(held, redone, durable)?;
        follow(held, redone.transaction, durable)?;
    }
    for redone in &record.redoes_also {
        reinstate(held, redone, durable)?;
    }
    Ok(())
}

/// What counts again may be an undo: what that took back does not count, and so on down the row.
fn follow(held: &Held, counting: TransactionId, durable: bool) -> Result<(), Error> {
    let read = |transaction: &TransactionId| -> Result<Option<Record>, Error> {
        let record = crate::workspace::state::log::read(&held.log, Some(&held.key), transaction);
        match record {
            Ok(record) => Ok(record.map(|(record, _)| record)),
            Err(Error::Damaged { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    };
    let mut undo = read(&counting)?;
    while let Some(record) = undo
        && let Some(undone) = record.undoes
    {
        let batch_id = record.undoes_batch.as_deref();
        void(held, undone, batch_id, record.transaction, durable)?;
        let Some(redone) = &record.redoes else {
            return Ok(());
        };
        reinstate(held, redone, durable)?;
        undo = read(&redone.transaction)?;
    }
    Ok(())
}

/// Writes an entry, in the place of another one of its name.
fn put(ledger: &Dir, name: &str, entry: &Entry, key: &Key) -> io::Result<()> {
    let text = entry.seal(name, key);
    let text = text.as_bytes();
    match ledger.make_link(name.as_bytes(), text) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            ledger.clear(name.as_bytes())?;
            ledger.make_link(name.as_bytes(), text)
        }
        result => result,
    }
}

/// A batch whose undo was undone counts again: its id is known, and it can be undone.
fn reinstate(held: &Held, redone: &Redone, durable: bool) -> Result<(), Error> {
    let io = |error| fail("write", LEDGER, error);
    let id = redone.batch_id.as_deref().map(entry_name);
    if let Some(name) = id.or_else(|| redone.request.map(request_name)) {
        let ledger = held.state.make_part(LEDGER)?;
        let entry = Entry {
            transaction: redone.transaction,
            content: redone.content,
        };
        put(&ledger, &name, &entry, &held.key).map_err(io)?;
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

/// A batch that the transaction `by` took back does not count.
fn void(
    held: &Held,
    undone: TransactionId,
    batch_id: Option<&str>,
    by: TransactionId,
    durable: bool,
) -> Result<(), Error> {
    let io = |error| fail("write", LEDGER, error);
    if let Some(batch_id) = batch_id
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
        let seal = held.key.seal(UNDONE_PURPOSE, &mark_parts(&undone, &by));
        let text = format!("{by} {seal}");
        match entry.make_link(UNDONE, text.as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if undone_by(&entry, &undone, Some(&held.key))
                    .map_err(log)?
                    .is_none()
                {
                    // Somebody else's mark.
                    entry.remove_file(UNDONE).map_err(log)?;
                    entry.make_link(UNDONE, text.as_bytes()).map_err(log)?;
                }
            }
            result => result.map_err(log)?,
        }
        if durable {
            entry.sync().map_err(log)?;
        }
    }
    Ok(())
}

/// The transaction that took a log entry back, as far as the key's holder knows.
pub(crate) fn undone_by(
    entry: &Dir,
    undone: &TransactionId,
    key: Option<&Key>,
) -> io::Result<Option<TransactionId>> {
    let text = read_entry(entry, UNDONE)?;
    let unseal = |text: Vec<u8>| {
        let (by, seal) = str::from_utf8(&text).ok()?.split_once(' ')?;
        let (by, seal) = (by.parse().ok()?, seal.parse().ok()?);
        let is_ours = key?.verify(&seal, UNDONE_PURPOSE, &mark_parts(undone, &by));
        is_ours.then_some(by)
    };
    Ok(text.and_then(unseal))
}

/// What is sealed of the mark in an entry that was taken back.
fn mark_parts<'a>(undone: &'a TransactionId, by: &'a TransactionId) -> [&'a [u8]; 2] {
    [undone.as_bytes(), by.as_bytes()]
}

/// Removes the entries of transactions that are `old`, by their id and by when the entry was made,
/// in milliseconds since 1970. What others wrote is left alone.
pub(crate) fn forget(
    held: &Held,
    old: impl Fn(&TransactionId, Option<u64>) -> bool,
) -> Result<(), Error> {
    let io = |error| fail("clean", LEDGER, error);
    let Some(ledger) = held.state.part(LEDGER)? else {
        return Ok(());
    };
    for name in ledger.names().map_err(io)? {
        let text = read_entry(&ledger, &name).map_err(io)?;
        let entry = text.and_then(|text| {
            let name = str::from_utf8(&name).ok()?;
            Entry::unseal(name, &text, Some(&held.key))
        });
        let written = ledger.stat(&name).map_err(io)?;
        let written = written.and_then(|meta| meta.written());
        if entry.is_some_and(|entry| old(&entry.transaction, written)) {
            ledger.remove_file(&name).map_err(io)?;
        }
    }
    Ok(())
}

fn entry_name(batch_id: &str) -> String {
    Digest::of(batch_id.as_bytes()).to_hex()
}

/// No id's entry has such a name.
fn request_name(request: Digest) -> String {
    format!("request-{}", request.to_hex())
}
