//! The journal's file, from its first byte to its place in the log.

use std::io;

use crate::digest::Digest;
use crate::error::{Error, Hint, Stop};
use crate::path::RelPath;
use crate::workspace::disk::{self, Dir, FileKind};
use crate::workspace::root::{Parents, Root, is_no_directory};
use crate::workspace::state::chain;
use crate::workspace::state::key::{Key, Seal};
use crate::workspace::state::ledger;
use crate::workspace::state::record::{Record, TransactionId, Unsealed};
use crate::workspace::state::{CURRENT, Held, StateDir, fail};

mod relocate;

pub(crate) use relocate::set_aside;

/// Name of the record in a transaction's directory.
pub(crate) const MANIFEST: &[u8] = b"manifest";
const DRAFT: &[u8] = b"manifest.new";
/// Name, beside the transaction, of the record of a batch that changes nothing, until it is moved
/// into the log.
pub(crate) const RECORD: &[u8] = b"record";
/// Its name while it is written.
const RECORD_DRAFT: &[u8] = b"record.new";
/// Names of the staged files that lie outside the transaction's directory.
const OUTSIDE: &[u8] = b"outside";
/// What the seal of that list is for.
const OUTSIDE_PURPOSE: &str = "outside";
/// Longest record that is read, in bytes.
pub(crate) const MAX_RECORD: u64 = 1 << 30;

/// Name of the slot in the journal's directory.
pub(crate) fn slot_name(slot: usize) -> String {
    slot.to_string()
}

/// What a transaction's directory says of itself.
pub(crate) enum JournalState {
    /// It did not come to its commit point: nothing of it is installed.
    Uncommitted,
    /// It did, and this is its record, with the digest in its last line.
    Committed(Box<Record>, Digest),
    /// Nobody can tell.
    Corrupt(String),
    /// It was not written here: nothing of it is acted on.
    Foreign,
}

/// How a journal failed to be written.
pub(crate) enum WriteFault {
    /// It is as if it had not been written.
    Before(Stop),
    /// It may be valid: the next run will tell.
    Unknown(Error),
}

/// Writes the journal: once it is there, the transaction counts. Gives the record's digest.
pub(crate) fn write(held: &Held, current: &Dir, record: &Record) -> Result<Digest, WriteFault> {
    let before = |error| WriteFault::Before(fail("write", "txn/current/manifest", error).into());
    // What must survive a power cut gets its name when its bytes are safe; what need not is known
    // by its checksum.
    let durable = record.journal.durable;
    let name = if durable { DRAFT } else { MANIFEST };
    let file = current.create(name, 0o600).map_err(before)?;
    let digest = record.write_to(&file, &held.key).map_err(before)?;
    if !durable {
        file.start_write_back();
        return Ok(digest);
    }
    file.sync().map_err(before)?;
    // Without its key the journal would not be ours.
    held.state
        .sync_key()
        .map_err(|error| WriteFault::Before(error.into()))?;
    // Staged files have their names by now; they must not get lost behind the manifest's.
    current.sync().map_err(before)?;
    current.rename(DRAFT, current, MANIFEST).map_err(before)?;
    current
        .sync()
        .map_err(|error| match current.remove_file(MANIFEST) {
            Ok(_) => before(error),
            Err(_) => WriteFault::Unknown(fail("sync", "txn/current", error)),
        })?;
    Ok(digest)
}

/// Replaces the journal by one of another state. Gives the record's digest.
pub(crate) fn rewrite(held: &Held, current: &Dir, record: &Record) -> Result<Digest, Error> {
    let replace = || -> io::Result<Digest> {
        current.clear(DRAFT)?;
        let file = current.create(DRAFT, 0o600)?;
        let digest = record.write_to(&file, &held.key)?;
        if record.journal.durable {
            file.sync()?;
        } else {
            file.start_write_back();
        }
        current.rename(DRAFT, current, MANIFEST)?;
        if record.journal.durable {
            current.sync()?;
        }
        Ok(digest)
    };
    replace().map_err(|error| fail("write", "txn/current/manifest", error))
}

/// Opens the directory of the transaction that is being worked on; `None` where there is none, and
/// `FOREIGN_STATE` where it is not a directory.
pub(crate) fn current(txn: &Dir) -> Result<Option<Dir>, Error> {
    txn.directory(CURRENT).map_err(|error| {
        if is_no_directory(&error) {
            // It was not made here.
            foreign()
        } else {
            fail("open", "txn/current", error)
        }
    })
}

/// Whether a directory holds a whole journal of ours.
pub(crate) fn is_there(current: &Dir, held: &Held) -> bool {
    matches!(
        read(current, Some(&held.key)),
        Ok(JournalState::Committed(..))
    )
}

/// Reads the journal in a transaction's directory, as the holder of a key; without one it is
/// somebody else's, whatever it is.
pub(crate) fn read(current: &Dir, key: Option<&Key>) -> Result<JournalState, Error> {
    let io = |error| fail("read", "txn/current", error);
    if key.is_none() {
        let is_empty = current.names().map_err(io)?.is_empty();
        return Ok(if is_empty {
            JournalState::Uncommitted
        } else {
            JournalState::Foreign
        });
    }
    let Some(bytes) = bytes(current)? else {
        return Ok(JournalState::Uncommitted);
    };
    let Some(bytes) = bytes else {
        return Ok(JournalState::Foreign);
    };
    Ok(match Record::unseal(&bytes, key) {
        Unsealed::Ours(record, digest) => JournalState::Committed(record, digest),
        Unsealed::Damaged(error) => JournalState::Corrupt(error.to_string()),
        Unsealed::Foreign => JournalState::Foreign,
        // A record that was cut short never got its last line.
        Unsealed::Torn => JournalState::Uncommitted,
    })
}

/// The bytes of the journal: `None` where there is none, `Some(None)` where what stands there is
/// nothing that was ever written here.
pub(crate) fn bytes(current: &Dir) -> Result<Option<Option<Vec<u8>>>, Error> {
    let io = |error| fail("read", "txn/current/manifest", error);
    let file = match current.file(MANIFEST) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error) if is_no_directory(&error) => return Ok(Some(None)),
        Err(error) => return Err(io(error)),
    };
    let meta = file.stat().map_err(io)?;
    if meta.kind != FileKind::File {
        return Ok(Some(None));
    }
    file.read(meta.size, MAX_RECORD).map_err(io).map(Some)
}

/// Refuses a state without a key in which an unfinished transaction lies.
pub(crate) fn foreign_if_left(state: &StateDir) -> Result<(), Error> {
    let Some(txn) = state.part("txn")? else {
        return Ok(());
    };
    let found = current(&txn)?.map(|current| read(&current, None));
    match found.transpose()? {
        Some(JournalState::Foreign) => Err(foreign()),
        _ => Ok(()),
    }
}

/// The error of a transaction that was not written here.
pub(crate) fn foreign() -> Error {
    Error::Foreign {
        path: std::path::Path::new(crate::workspace::STATE).join("txn").join(CURRENT),
        why: "holds an unfinished transaction that was not written here (it came with a clone, an archive or a copy)".to_owned(),
        hint: Some(Hint::Adopt),
    }
}

/// The error of a finished transaction in the place of an unfinished one.
pub(crate) fn misplaced(transaction: &TransactionId) -> Error {
    Error::Foreign {
        path: std::path::Path::new(crate::workspace::STATE)
            .join("txn")
            .join(CURRENT),
        why: format!(
            "holds transaction {transaction}, which was finished before others in the log: somebody put it there, so it is not followed"
        ),
        hint: Some(Hint::Abandon),
    }
}

/// The error of a journal that cannot be followed.
pub(crate) fn corrupt(why: &str) -> Error {
    Error::Unfinished {
        message: format!(
            "the unfinished transaction cannot be recovered: {why}; check the tree, then set the transaction aside"
        ),
        hint: Some(Hint::Abandon),
    }
}

/// Says, before they are staged, which files will lie outside the transaction's directory.
pub(crate) fn write_outside(held: &Held, current: &Dir, paths: &[RelPath]) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend_from_slice(path.as_bytes());
        bytes.push(0);
    }
    let seal = held.key.seal(OUTSIDE_PURPOSE, &[&bytes]);
    bytes.extend_from_slice(seal.to_string().as_bytes());
    let write = || {
        let file = current.create(OUTSIDE, 0o600)?;
        file.write_chunks([&*bytes].into_iter())?;
        file.sync()
    };
    write().map_err(|error| fail("write", "txn/current/outside", error))
}

/// Removes a transaction that did not come to its commit point.
pub(crate) fn discard(root: &Root, held: &Held, current: &Dir) -> Result<(), Error> {
    let io = |error| fail("remove", "txn/current", error);
    // The manifest first: without the rest it would be one that cannot be followed.
    current.clear(MANIFEST).map_err(io)?;
    let outside = match current.file(OUTSIDE) {
        Err(error) if is_no_directory(&error) => None,
        result => result.map_err(io)?,
    };
    if let Some(file) = outside
        && file.stat().map_err(io)?.kind == FileKind::File
    {
        let size = file.stat().map_err(io)?.size;
        let bytes = file.read(size, MAX_RECORD).map_err(io)?.unwrap_or_default();
        // A list that was cut short came before what it would have named.
        for path in unseal_outside(&bytes, &held.key).split(|&byte| byte == 0) {
            remove_outside(root, path)?;
        }
    }
    for name in current.names().map_err(io)? {
        match current.remove_file(&name) {
            // There are no directories in what was made here.
            Err(error) if disk::is_directory(&error) => {
                return held.state.set_aside_in(&held.txn, CURRENT);
            }
            result => result.map_err(io)?,
        };
    }
    held.txn
        .remove_directory(CURRENT.as_bytes())
        .map_err(io)
        .map(|_| ())
}

/// The list of files outside, if it is ours; else an empty one.
fn unseal_outside<'a>(bytes: &'a [u8], key: &Key) -> &'a [u8] {
    let list = bytes.len().checked_sub(Seal::TEXT).and_then(|at| {
        let (list, seal) = bytes.split_at(at);
        let seal = std::str::from_utf8(seal).ok()?.parse().ok()?;
        key.verify(&seal, OUTSIDE_PURPOSE, &[list]).then_some(list)
    });
    list.unwrap_or_default()
}

fn remove_outside(root: &Root, path: &[u8]) -> Result<(), Error> {
    let Ok(path) = RelPath::new(path) else {
        return Ok(());
    };
    if !path.file_name().starts_with(b".patchctl-") {
        return Ok(());
    }
    let remove = || Parents::new(root).of(&path)?.remove_file(path.file_name());
    match remove() {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(root.error("remove", &path, error))
        }
        _ => Ok(()),
    }
}

/// Gives an installed (or taken back) transaction its place in the log. `digest` is its record's.
pub(crate) fn finish(held: &Held, record: &Record, digest: Digest) -> Result<(), Error> {
    let io = |error| fail("write", "log", error);
    let durable = record.journal.durable;
    ledger::enter(held, record)?;
    chain::advance(held, record, digest, durable)?;
    let name = record.transaction.to_string();
    match held
        .txn
        .rename(CURRENT.as_bytes(), &held.log, name.as_bytes())
    {
        // Also where a crash came behind the copy.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::CrossesDevices
                    | io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::AlreadyExists
            ) =>
        {
            relocate::copy_to_log(held, &name).map_err(io)?;
        }
        result => result.map_err(io)?,
    }
    if durable {
        held.log.sync().map_err(io)?;
        held.txn.sync().map_err(io)?;
    }
    Ok(())
}

/// Writes the record of a batch that changed nothing into the log.
pub(crate) fn log_only(held: &Held, record: &Record, durable: bool) -> Result<(), Error> {
    let io = |error| fail("write", "log", error);
    let create = || match held.txn.create(RECORD_DRAFT, 0o600) {
        // Left by a run that died.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            held.txn.clear(RECORD_DRAFT)?;
            held.txn.create(RECORD_DRAFT, 0o600)
        }
        result => result,
    };
    let file = create().map_err(io)?;
    let digest = record.write_to(&file, &held.key).map_err(io)?;
    if durable {
        file.sync().map_err(io)?;
    }
    // It gets its name when it is whole: without a power cut, what lies there can be read.
    match held.txn.rename(RECORD_DRAFT, &held.txn, RECORD) {
        // Nothing that was ever made here.
        Err(error) if disk::is_directory(&error) => {
            let again = || {
                held.txn.clear(RECORD)?;
                held.txn.rename(RECORD_DRAFT, &held.txn, RECORD)
            };
            again().map_err(io)?;
        }
        result => result.map_err(io)?,
    }
    ledger::enter(held, record)?;
    chain::advance(held, record, digest, durable)?;
    place_record(held, &record.transaction, durable)
}

/// Gives the record that is written in `txn/record` its place in the log.
pub(crate) fn place_record(
    held: &Held,
    transaction: &TransactionId,
    durable: bool,
) -> Result<(), Error> {
    let io = |error| fail("write", "log", error);
    let name = transaction.to_string();
    held.txn
        .rename(RECORD, &held.log, name.as_bytes())
        .map_err(io)?;
    if durable {
        held.log.sync().map_err(io)?;
    }
    Ok(())
}

/// Sets a transaction aside, whatever there is of it; its new name relative to the root.
pub(crate) fn abandon(held: &Held) -> Result<String, Error> {
    let name = TransactionId::now().to_string();
    let abandoned = held.state.make_part("abandoned")?;
    if let Ok(Some(current)) = held.txn.directory(CURRENT) {
        // Whatever comes of it, nothing keeps a transaction from being set aside.
        let _ = match read(&current, Some(&held.key)) {
            Ok(JournalState::Committed(record, _)) => chain::retreat(held, Some(&record)),
            Ok(JournalState::Corrupt(_)) => chain::retreat(held, None),
            _ => Ok(()),
        };
    }
    relocate::set_aside(&held.txn, CURRENT.as_bytes(), &abandoned, name.as_bytes())
        .map_err(|error| fail("move", "txn/current", error))?;
    Ok(format!("{}/abandoned/{name}", crate::workspace::STATE))
}
