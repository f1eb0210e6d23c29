//! The order of the log: each record names the one before it, and the head names the last one.
//!
//! The head is `.mission_control/head`, a symbolic link that nobody follows: its text is the id of
//! the last record, the digest in that record's last line, and a seal. It spares every run a look
//! through the whole log, and it shows where the last record was removed.
//!
//! It is replaced, by one call, before its record is moved into the log. A run that dies between
//! the two leaves the record in `txn/current`, which recovery moves, or complete in `txn/record`,
//! which the next run moves; so a head whose record is nowhere says that somebody removed it, and
//! the chain goes on from there. The head is a link and not a file since file systems keep the
//! order of such calls over a power cut: no record is in the log before the head that names it.

use std::cmp::Ordering;
use std::io;

use crate::digest::Digest;
use crate::error::Error;
use crate::workspace::disk;
use crate::workspace::root::is_no_directory;
use crate::workspace::state::journal::{self, MAX_RECORD, RECORD};
use crate::workspace::state::key::Key;
use crate::workspace::state::log;
use crate::workspace::state::record::{Previous, Record, TransactionId, Unsealed};
use crate::workspace::state::removed;
use crate::workspace::state::{Held, StateDir, fail};

const HEAD: &[u8] = b"head";
const DRAFT: &[u8] = b"head.new";
const PURPOSE: &str = "head";

/// The place of a new record.
pub(crate) struct Next {
    /// Its id, above all that are in the log.
    pub(crate) transaction: TransactionId,
    /// The record before it.
    pub(crate) previous: Option<Previous>,
}

/// The place behind the last record. Ask under the lock, when nothing is unfinished.
pub(crate) fn next(held: &Held) -> Result<Next, Error> {
    let last = last(held)?;
    let before = last.as_ref().map(|last| &last.transaction);
    match TransactionId::after(before, disk::unix_millis()) {
        Some(transaction) => Ok(Next {
            transaction,
            previous: last.and_then(Last::known),
        }),
        None => Err(Error::LimitExceeded(
            "no transaction id is left for this log".to_owned(),
        )),
    }
}

/// The last record of the log, under the lock.
pub(crate) fn previous(held: &Held) -> Result<Option<Previous>, Error> {
    Ok(last(held)?.and_then(Last::known))
}

/// Says that this record is the last one; it must be moved into the log next.
pub(crate) fn advance(
    held: &Held,
    record: &Record,
    digest: Digest,
    durable: bool,
) -> Result<(), Error> {
    let head = Previous {
        transaction: record.transaction,
        digest,
    };
    write(held, &head)?;
    if durable {
        let dir = &held.state.dir;
        dir.sync().map_err(|error| fail("sync", "head", error))?;
    }
    Ok(())
}

/// The head, as it was written last; `None` where there is none, or none that can be believed.
pub(crate) fn head(state: &StateDir) -> Result<Option<Previous>, Error> {
    let text = match state.dir.read_link(HEAD) {
        // It is no link.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => None,
        result => result.map_err(|error| fail("read", "head", error))?,
    };
    let head = text.and_then(|text| parse(&text, state.key.as_ref()?));
    Ok(head.filter(|head| head.transaction.has_room()))
}

/// Where the record that the head names is, if it is not in the log.
#[derive(Debug, Default)]
pub(crate) enum OnItsWay {
    /// It is not on its way.
    #[default]
    No,
    /// What is left of it cannot be read: a power cut took its bytes.
    Torn,
    /// It is written, but not moved.
    Written(Box<Record>),
}

/// Where the record of a transaction in `txn/current` stands to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind the last record: it is unfinished.
    Next,
    /// It is the last record: all that is left is to move it into the log.
    Last,
    /// It was finished before others were: somebody put it there.
    Past,
}

/// Tells an unfinished transaction of ours from a finished one that was put in its place. The head
/// names a record when all that it says is installed, and ids only rise.
pub(crate) fn place_of(held: &Held, record: &Record, digest: Digest) -> Result<Place, Error> {
    let last = match head(&held.state)? {
        Some(head) => Some(head.into()),
        None => rebuilt(held)?,
    };
    let Some(last) = last else {
        return Ok(Place::Next);
    };
    // In a state that was made anew meanwhile, the last record may be a later one.
    let follows = record.previous.is_some() && record.previous == last.known();
    Ok(match record.transaction.cmp(&last.transaction) {
        Ordering::Greater => Place::Next,
        Ordering::Equal if last.digest == Some(digest) => Place::Last,
        Ordering::Less if follows => Place::Next,
        Ordering::Equal | Ordering::Less => Place::Past,
    })
}

/// Looks for the record that the head names beside the log.
pub(crate) fn on_its_way(state: &StateDir, head: &Previous) -> Result<OnItsWay, Error> {
    let Some(txn) = state.part("txn")? else {
        return Ok(OnItsWay::No);
    };
    Ok(match draft(&txn, state.key.as_ref())? {
        Draft::Torn => OnItsWay::Torn,
        Draft::Complete(record, digest) if is(&record, digest, head) => OnItsWay::Written(record),
        Draft::None | Draft::Complete(..) => OnItsWay::No,
    })
}

/// Whether the log ends where its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It does, or nobody knows better.
    Whole,
    /// `gc` removed the records from behind the last one up to this one.
    Removed(TransactionId),
    /// Somebody removed this record, the last one.
    Missing(TransactionId),
}

/// Compares the last record that was read with the head.
pub(crate) fn end(state: &StateDir, last: Option<TransactionId>) -> Result<End, Error> {
    let removed = removed::read(state)?;
    let Some(head) = head(state)? else {
        let removed = removed.map(|removed| removed.last);
        return Ok(match removed {
            Some(removed) if Some(removed) > last => End::Removed(removed),
            _ => End::Whole,
        });
    };
    if last >= Some(head.transaction) {
        return Ok(End::Whole);
    }
    if removed.is_some_and(|removed| removed.covers(&head.transaction)) {
        return Ok(End::Removed(head.transaction));
    }
    Ok(match on_its_way(state, &head)? {
        OnItsWay::No => End::Missing(head.transaction),
        OnItsWay::Torn | OnItsWay::Written(_) => End::Whole,
    })
}

/// Whether a record is the one that the head names.
fn is(record: &Record, digest: Digest, head: &Previous) -> bool {
    (record.transaction, digest) == (head.transaction, head.digest)
}

/// The last record of the log.
#[derive(Debug, Clone, Copy)]
struct Last {
    transaction: TransactionId,
    /// `None` for a record that was removed when it could not be read any more.
    digest: Option<Digest>,
}

impl Last {
    fn known(self) -> Option<Previous> {
        let digest = self.digest?;
        Some(Previous {
            transaction: self.transaction,
            digest,
        })
    }
}

impl From<Previous> for Last {
    fn from(previous: Previous) -> Self {
        Self {
            transaction: previous.transaction,
            digest: Some(previous.digest),
        }
    }
}

/// The last record of the log.
fn last(held: &Held) -> Result<Option<Last>, Error> {
    let Some(head) = head(&held.state)? else {
        return rebuilt(held);
    };
    let name = head.transaction.to_string();
    let there = held.log.stat(name.as_bytes());
    if there
        .map_err(|error| fail("look at", "log", error))?
        .is_some()
    {
        return Ok(Some(head.into()));
    }
    if was_removed(held, &head.transaction)? {
        return Ok(Some(head.into()));
    }
    match draft(&held.txn, Some(&held.key))? {
        Draft::Complete(record, digest) if is(&record, digest, &head) => {
            journal::place_record(held, &head.transaction, false)?;
            Ok(Some(head.into()))
        }
        // A power cut took its bytes: it never came into the log.
        Draft::Torn => {
            rewind(held)?;
            rebuilt(held)
        }
        // Somebody removed it: the next record says so by naming it.
        Draft::None | Draft::Complete(..) => Ok(Some(head.into())),
    }
}

/// Sets the head back to what the log itself says: the record that it named never came there.
fn rewind(held: &Held) -> Result<(), Error> {
    match rebuilt(held)?.and_then(Last::known) {
        Some(last) => write(held, &last),
        None => remove(held),
    }
}

/// Takes back what [`advance`] said, if it did, for the transaction of ours in `txn/current`, which
/// will not come into the log. `record` is its record, if it can be read.
pub(crate) fn retreat(held: &Held, record: Option<&Record>) -> Result<(), Error> {
    let Some(head) = head(&held.state)? else {
        return Ok(());
    };
    let name = head.transaction.to_string();
    let there = held.log.stat(name.as_bytes());
    let is_there = there
        .map_err(|error| fail("look at", "log", error))?
        .is_some();
    let is_other = record.is_some_and(|record| record.transaction != head.transaction);
    if is_there || is_other || was_removed(held, &head.transaction)? {
        return Ok(());
    }
    match record.and_then(|record| record.previous) {
        Some(previous) => write(held, &previous),
        None => rewind(held),
    }
}

fn was_removed(held: &Held, transaction: &TransactionId) -> Result<bool, Error> {
    let removed = removed::read(&held.state)?;
    Ok(removed.is_some_and(|removed| removed.covers(transaction)))
}

/// The last record, from the log itself and from what is known of records that were removed.
fn rebuilt(held: &Held) -> Result<Option<Last>, Error> {
    let removed = removed::read(&held.state)?.map(|removed| Last {
        transaction: removed.last,
        digest: removed.digest,
    });
    for transaction in log::transactions(&held.log)?.into_iter().rev() {
        if removed.is_some_and(|removed| removed.transaction > transaction) {
            break;
        }
        if let (true, Ok(Some((_, digest)))) = (
            transaction.has_room(),
            log::read(&held.log, Some(&held.key), &transaction),
        ) {
            return Ok(Some(Last {
                transaction,
                digest: Some(digest),
            }));
        }
    }
    Ok(removed)
}

/// What lies in `txn/record`.
enum Draft {
    None,
    Torn,
    Complete(Box<Record>, Digest),
}

fn draft(txn: &disk::Dir, key: Option<&Key>) -> Result<Draft, Error> {
    let io = |error| fail("read", "txn/record", error);
    let file = match txn.file(RECORD) {
        Err(error) if is_no_directory(&error) => None,
        result => result.map_err(io)?,
    };
    let Some(file) = file else {
        return Ok(Draft::None);
    };
    let meta = file.stat().map_err(io)?;
    if meta.kind != disk::FileKind::File {
        return Ok(Draft::None);
    }
    let bytes = file.read(meta.size, MAX_RECORD).map_err(io)?;
    Ok(match Record::unseal(&bytes.unwrap_or_default(), key) {
        Unsealed::Ours(record, digest) => Draft::Complete(record, digest),
        Unsealed::Foreign => Draft::None,
        Unsealed::Torn | Unsealed::Damaged(_) => Draft::Torn,
    })
}

fn write(held: &Held, head: &Previous) -> Result<(), Error> {
    let dir = &held.state.dir;
    let named = format!("{} {}", head.transaction, head.digest);
    let seal = held.key.seal(PURPOSE, &[named.as_bytes()]);
    let text = format!("{named} {seal}");
    let replace = || -> io::Result<()> {
        match dir.make_link(DRAFT, text.as_bytes()) {
            // Left by a run that died.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                dir.clear(DRAFT)?;
                dir.make_link(DRAFT, text.as_bytes())?;
            }
            result => result?,
        }
        match dir.rename(DRAFT, dir, HEAD) {
            // Nothing that was ever made here.
            Err(error) if disk::is_directory(&error) => {
                dir.clear(HEAD)?;
                dir.rename(DRAFT, dir, HEAD)
            }
            result => result,
        }
    };
    match replace() {
        Ok(()) => Ok(()),
        // Without a head the log itself is asked: a full disk, or a file system without links,
        // stops nothing.
        Err(error) => match remove(held) {
            Err(_) if self::head(&held.state)?.is_some() => Err(fail("write", "head", error)),
            _ => Ok(()),
        },
    }
}

fn remove(held: &Held) -> Result<(), Error> {
    let removed = held.state.dir.remove_file(HEAD);
    removed
        .map(|_| ())
        .map_err(|error| fail("remove", "head", error))
}

fn parse(text: &[u8], key: &Key) -> Option<Previous> {
    let (named, seal) = str::from_utf8(text).ok()?.rsplit_once(' ')?;
    if !key.verify(&seal.parse().ok()?, PURPOSE, &[named.as_bytes()]) {
        return None;
    }
    let (transaction, digest) = named.split_once(' ')?;
    Some(Previous {
        transaction: transaction.parse().ok()?,
        digest: digest.parse().ok()?,
    })
}
