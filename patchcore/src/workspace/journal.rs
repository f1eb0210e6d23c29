//! The journal's file, from its first byte to its place in the log.

use std::io;

use super::disk::Dir;
use super::ledger;
use super::record::{Record, TransactionId};
use super::root::{Parents, Root, is_no_directory};
use super::state::{CURRENT, Held, fail};
use crate::error::{Error, Stop};
use crate::path::RelPath;

mod relocate;

/// Name of the record in a transaction's directory.
pub(super) const MANIFEST: &[u8] = b"manifest";
const DRAFT: &[u8] = b"manifest.new";
/// Names of the staged files that lie outside the transaction's directory.
const OUTSIDE: &[u8] = b"outside";
/// Longest record that is read, in bytes.
pub(super) const MAX_RECORD: u64 = 1 << 30;

/// What a transaction's directory says of itself.
pub(super) enum Found {
    /// It did not come to its commit point: nothing of it is installed.
    Uncommitted,
    /// It did, and this is its record.
    Committed(Box<Record>),
    /// Nobody can tell.
    Hopeless(String),
}

/// How a journal failed to be written.
pub(super) enum WriteFault {
    /// It is as if it had not been written.
    Before(Stop),
    /// It may be valid: the next run will tell.
    Unknown(Error),
}

/// Writes the journal: once it is there, the transaction counts.
pub(super) fn write(current: &Dir, record: &Record) -> Result<(), WriteFault> {
    let before = |error| WriteFault::Before(fail("write", "txn/current/manifest", error).into());
    // What must survive a power cut gets its name when its bytes are safe; what need not is known
    // by its checksum.
    let durable = record.journal.durable;
    let name = if durable { DRAFT } else { MANIFEST };
    let file = current.create(name, 0o600).map_err(before)?;
    record.write_to(&file).map_err(before)?;
    if !durable {
        file.start_write_back();
        return Ok(());
    }
    file.sync().map_err(before)?;
    // Staged files have their names by now; they must not get lost behind the manifest's.
    current.sync().map_err(before)?;
    current.rename(DRAFT, current, MANIFEST).map_err(before)?;
    current
        .sync()
        .map_err(|error| match current.remove_file(MANIFEST) {
            Ok(_) => before(error),
            Err(_) => WriteFault::Unknown(fail("sync", "txn/current", error)),
        })
}

/// Replaces the journal by one of another state.
pub(super) fn rewrite(current: &Dir, record: &Record) -> Result<(), Error> {
    let replace = || -> io::Result<()> {
        current.remove_file(DRAFT)?;
        let file = current.create(DRAFT, 0o600)?;
        record.write_to(&file)?;
        if record.journal.durable {
            file.sync()?;
        } else {
            file.start_write_back();
        }
        current.rename(DRAFT, current, MANIFEST)?;
        if record.journal.durable {
            current.sync()?;
        }
        Ok(())
    };
    replace().map_err(|error| fail("write", "txn/current/manifest", error))
}

/// Opens the directory of the transaction that is being worked on; `None` where there is none, and
/// a refusal where it is no directory that can be opened.
pub(super) fn current(txn: &Dir) -> Result<Option<Dir>, Error> {
    txn.directory(CURRENT).map_err(|error| {
        if is_no_directory(&error) {
            hopeless("txn/current is not a directory")
        } else {
            fail("open", "txn/current", error)
        }
    })
}

/// Reads the journal in a transaction's directory.
pub(super) fn read(current: &Dir) -> Result<Found, Error> {
    let io = |error| fail("read", "txn/current/manifest", error);
    let Some(file) = current.file(MANIFEST).map_err(io)? else {
        return Ok(Found::Uncommitted);
    };
    let size = file.stat().map_err(io)?.size;
    let Some(bytes) = file.read(size, MAX_RECORD).map_err(io)? else {
        return Ok(Found::Hopeless("it is longer than 1 GiB".to_owned()));
    };
    Ok(match Record::from_bytes(&bytes) {
        Ok(record) => Found::Committed(Box::new(record)),
        // A record that was cut short never got its last line.
        Err(_) if !is_complete(&bytes) => Found::Uncommitted,
        Err(error) => Found::Hopeless(error.to_string()),
    })
}

/// The error of a journal that cannot be followed.
pub(super) fn hopeless(why: &str) -> Error {
    Error::Unfinished(format!(
        "the unfinished transaction cannot be recovered: {why}; look at the tree, then set it aside by recover --abandon"
    ))
}

fn is_complete(bytes: &[u8]) -> bool {
    let last = bytes.len().checked_sub(72).map(|at| &bytes[at..]);
    last.and_then(|last| std::str::from_utf8(last).ok())
        .and_then(|last| last.strip_suffix('\n'))
        .is_some_and(|last| last.parse::<crate::Digest>().is_ok())
}

/// Says, before they are staged, which files will lie outside the transaction's directory.
pub(super) fn write_outside(current: &Dir, paths: &[RelPath]) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend_from_slice(path.as_bytes());
        bytes.push(0);
    }
    let write = || {
        let file = current.create(OUTSIDE, 0o600)?;
        file.write_chunks([&*bytes].into_iter())?;
        file.sync()
    };
    write().map_err(|error| fail("write", "txn/current/outside", error))
}

/// Removes a transaction that did not come to its commit point.
pub(super) fn discard(root: &Root, held: &Held, current: &Dir) -> Result<(), Error> {
    let io = |error| fail("remove", "txn/current", error);
    // The manifest first: without the rest it would be one that cannot be followed.
    current.remove_file(MANIFEST).map_err(io)?;
    if let Some(file) = current.file(OUTSIDE).map_err(io)? {
        let size = file.stat().map_err(io)?.size;
        let bytes = file.read(size, MAX_RECORD).map_err(io)?.unwrap_or_default();
        for path in bytes.split(|&byte| byte == 0) {
            remove_outside(root, path)?;
        }
    }
    for name in current.names().map_err(io)? {
        current.remove_file(&name).map_err(io)?;
    }
    held.txn
        .remove_directory(CURRENT.as_bytes())
        .map_err(io)
        .map(|_| ())
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

/// Gives an installed (or taken back) transaction its place in the log.
pub(super) fn finish(held: &Held, record: &Record) -> Result<(), Error> {
    let io = |error| fail("write", "log", error);
    let durable = record.journal.durable;
    ledger::enter(held, record)?;
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
pub(super) fn log_only(held: &Held, record: &Record, durable: bool) -> Result<(), Error> {
    const DRAFT: &[u8] = b"record";
    let io = |error| fail("write", "log", error);
    let create = || match held.txn.create(DRAFT, 0o600) {
        // Left by a run that died.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            held.txn.remove_file(DRAFT)?;
            held.txn.create(DRAFT, 0o600)
        }
        result => result,
    };
    let file = create().map_err(io)?;
    record.write_to(&file).map_err(io)?;
    if durable {
        file.sync().map_err(io)?;
    }
    ledger::enter(held, record)?;
    let name = record.transaction.to_string();
    held.txn
        .rename(DRAFT, &held.log, name.as_bytes())
        .map_err(io)?;
    if durable {
        held.log.sync().map_err(io)?;
    }
    Ok(())
}

/// Sets a transaction aside, whatever there is of it; its new name relative to the root.
pub(super) fn abandon(held: &Held) -> Result<String, Error> {
    let name = TransactionId::now().to_string();
    let abandoned = held.state.make_part("abandoned")?;
    relocate::set_aside(&held.txn, CURRENT.as_bytes(), &abandoned, name.as_bytes())
        .map_err(|error| fail("move", "txn/current", error))?;
    Ok(format!("{}/abandoned/{name}", super::STATE))
}
