//! The log: what was done, and the pre-images to show it with or to take it back.

use std::io;

use crate::digest::Digest;
use crate::error::Error;
use crate::workspace::Workspace;
use crate::workspace::disk::{Dir, File, FileKind, Meta};
use crate::workspace::read::load::MAX_FILE;
use crate::workspace::root::is_no_directory;
use crate::workspace::state::journal::{MANIFEST, MAX_RECORD, slot_name};
use crate::workspace::state::key::Key;
use crate::workspace::state::ledger;
use crate::workspace::state::record::{LAST_LINE, Record, TransactionId, Unsealed};
use crate::workspace::state::removed;
use crate::workspace::state::{StateDir, fail};

/// The log of a workspace, as it is when it is asked.
///
/// ```
/// # use patchcore::workspace::Workspace;
/// # let root = tempfile::tempdir()?;
/// let workspace = Workspace::open(root.path())?;
/// for transaction in workspace.log()?.transactions()? {
///     println!("{transaction}");
/// }
/// # Ok::<(), patchcore::Error>(())
/// # .map_err(Box::<dyn std::error::Error>::from)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log {
    /// `None` where nothing was ever written.
    parts: Option<(StateDir, Dir)>,
}

impl Workspace {
    /// The log.
    ///
    /// # Errors
    /// `IO` where it cannot be opened.
    pub fn log(&self) -> Result<Log, Error> {
        let parts = match self.state()? {
            Some(state) => state.part("log")?.map(|log| (state, log)),
            None => None,
        };
        Ok(Log { parts })
    }
}

impl Log {
    /// The transactions in the log, in the order of their commits.
    ///
    /// # Errors
    /// `IO` where the log cannot be listed.
    pub fn transactions(&self) -> Result<Vec<TransactionId>, Error> {
        match &self.parts {
            Some((_, log)) => transactions(log),
            None => Ok(Vec::new()),
        }
    }

    /// A transaction's record; `None` where the log has none of it, or one that was not written
    /// here.
    ///
    /// # Errors
    /// `IO` where the record cannot be read or is damaged, `UNSUPPORTED_VERSION`.
    pub fn read(&self, transaction: &TransactionId) -> Result<Option<Record>, Error> {
        Ok(self
            .read_with_digest(transaction)?
            .map(|(record, _)| record))
    }

    /// A record with the digest in its last line.
    pub(crate) fn read_with_digest(
        &self,
        transaction: &TransactionId,
    ) -> Result<Option<(Record, Digest)>, Error> {
        match &self.parts {
            Some((state, log)) => read(log, state.key.as_ref(), transaction),
            None => Ok(None),
        }
    }

    /// Whether a transaction's record was written here. It may be damaged all the same.
    ///
    /// # Errors
    /// `IO` where it cannot be looked at.
    pub fn is_ours(&self, transaction: &TransactionId) -> Result<bool, Error> {
        let look = || -> io::Result<bool> {
            let Some((state, log)) = &self.parts else {
                return Ok(false);
            };
            let key = state.key.as_ref();
            let (Some(key), Some((file, size))) = (key, record_file(log, transaction)?) else {
                return Ok(false);
            };
            let mut end = [0; LAST_LINE];
            let filled = file.read_at(&mut end, size.saturating_sub(LAST_LINE as u64))?;
            Ok(Record::is_end_ours(&end[..filled], key))
        };
        look().map_err(|error| fail("read", &format!("log/{transaction}"), error))
    }

    /// How many entries were not written here, and are ignored.
    ///
    /// # Errors
    /// `IO` where the log cannot be read.
    pub fn foreign(&self) -> Result<usize, Error> {
        let mut foreign = 0;
        for transaction in self.transactions()? {
            foreign += usize::from(!self.is_ours(&transaction)? && !self.is_empty(&transaction)?);
        }
        Ok(foreign)
    }

    /// Whether an entry is a directory with nothing in it: what is left where a `gc` died.
    fn is_empty(&self, transaction: &TransactionId) -> Result<bool, Error> {
        let Some((_, log)) = &self.parts else {
            return Ok(true);
        };
        let names = match log.directory(&transaction.to_string()) {
            Ok(Some(entry)) => entry.names(),
            Ok(None) => return Ok(true),
            Err(error) if is_no_directory(&error) => return Ok(false),
            Err(error) => Err(error),
        };
        names
            .map(|names| names.is_empty())
            .map_err(|error| fail("list", &format!("log/{transaction}"), error))
    }

    /// The newest transaction that goes by this name: a transaction's id or a sender's batch id.
    ///
    /// # Errors
    /// `IO` where the log cannot be read.
    pub fn find(&self, name: &str) -> Result<Option<TransactionId>, Error> {
        let Some((state, log)) = &self.parts else {
            return Ok(None);
        };
        let is_there = |transaction: &TransactionId| {
            let name = transaction.to_string();
            log.stat(name.as_bytes())
                .map(|meta| meta.is_some())
                .map_err(|error| fail("look at", "log", error))
        };
        if let Ok(transaction) = name.parse()
            && is_there(&transaction)?
        {
            return Ok(Some(transaction));
        }
        if let Some(entry) = ledger::look_up(state, name)?
            && is_there(&entry.transaction)?
        {
            return Ok(Some(entry.transaction));
        }
        // Refused, replayed and undone batches are in the log alone.
        for transaction in self.transactions()?.into_iter().rev() {
            if let Ok(Some(record)) = self.read(&transaction)
                && record.batch_id == name
            {
                return Ok(Some(transaction));
            }
        }
        Ok(None)
    }

    /// The transaction of this name, where `gc` removed its record.
    pub(crate) fn removed(&self, name: &str) -> Result<Option<TransactionId>, Error> {
        let Some((state, _)) = &self.parts else {
            return Ok(None);
        };
        let named = match name.parse() {
            Ok(transaction) => Some(transaction),
            Err(_) => ledger::look_up(state, name)?.map(|entry| entry.transaction),
        };
        let removed = removed::read(state)?;
        Ok(named.filter(|named| removed.is_some_and(|removed| removed.covers(named))))
    }

    /// The state that the log is a part of; `None` where nothing was ever written.
    pub(crate) fn state(&self) -> Option<&StateDir> {
        self.parts.as_ref().map(|(state, _)| state)
    }

    /// The transaction that took this one back, if one did.
    ///
    /// # Errors
    /// `IO` where the log cannot be read.
    pub fn undone_by(&self, transaction: &TransactionId) -> Result<Option<TransactionId>, Error> {
        match self.entry(transaction)? {
            Some(entry) => {
                let key = self
                    .parts
                    .as_ref()
                    .and_then(|(state, _)| state.key.as_ref());
                ledger::undone_by(&entry, transaction, key)
                    .map_err(|error| fail("read", "log", error))
            }
            None => Ok(None),
        }
    }

    /// The bytes that a slot of a transaction holds; see
    /// [`ChangeRecord::slot`](crate::workspace::state::record::ChangeRecord::slot). `None` where they are gone.
    ///
    /// # Errors
    /// `IO` where they cannot be read.
    pub fn pre_image(
        &self,
        transaction: &TransactionId,
        slot: u32,
    ) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.pre_file(transaction, slot)?.map(|file| file.bytes))
    }

    /// A pre-image with what it was beside its bytes.
    pub(crate) fn pre_file(
        &self,
        transaction: &TransactionId,
        slot: u32,
    ) -> Result<Option<PreFile>, Error> {
        let Some(entry) = self.entry(transaction)? else {
            return Ok(None);
        };
        let read = || -> io::Result<Option<PreFile>> {
            // Earlier versions kept the old file so where files could not change places.
            let aside = format!("{slot}.old");
            match open(&entry, aside.as_bytes())? {
                Some(file) => Ok(Some(file)),
                None => open(&entry, slot_name(slot as usize).as_bytes()),
            }
        };
        read().map_err(|error| fail("read", &format!("log/{transaction}/{slot}"), error))
    }

    /// How many bytes a transaction takes in the log; 0 where the log has none of it.
    ///
    /// # Errors
    /// `IO` where the entry cannot be looked at.
    pub fn size(&self, transaction: &TransactionId) -> Result<u64, Error> {
        Ok(self.weigh(transaction)?.size)
    }

    /// How large an entry is, and how old.
    pub(crate) fn weigh(&self, transaction: &TransactionId) -> Result<Weight, Error> {
        let io = |error| fail("look at", "log", error);
        let mut weight = Weight::default();
        let Some((_, log)) = &self.parts else {
            return Ok(weight);
        };
        let name = transaction.to_string();
        let Some(entry) = self.entry(transaction)? else {
            if let Some(meta) = log.stat(name.as_bytes()).map_err(io)? {
                weight.size = meta.size;
                weight.written = meta.written();
            }
            return Ok(weight);
        };
        for name in entry.names().map_err(io)? {
            if let Some(meta) = entry.stat(&name).map_err(io)? {
                weight.size += meta.size;
                if name == MANIFEST {
                    weight.written = meta.written();
                }
            }
        }
        Ok(weight)
    }

    fn entry(&self, transaction: &TransactionId) -> Result<Option<Dir>, Error> {
        let Some((_, log)) = &self.parts else {
            return Ok(None);
        };
        match log.directory(&transaction.to_string()) {
            Err(error) if is_no_directory(&error) => Ok(None),
            result => result.map_err(|error| fail("open", "log", error)),
        }
    }
}

/// The transactions in the log's directory, in the order of their commits.
pub(crate) fn transactions(log: &Dir) -> Result<Vec<TransactionId>, Error> {
    let names = log.names().map_err(|error| fail("list", "log", error))?;
    let mut transactions: Vec<TransactionId> = names
        .iter()
        .filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok())
        .collect();
    transactions.sort_unstable();
    Ok(transactions)
}

/// The record of a transaction in the log's directory, with the digest in its last line; `None`
/// where there is none, or one that the key's holder did not write.
pub(crate) fn read(
    log: &Dir,
    key: Option<&Key>,
    transaction: &TransactionId,
) -> Result<Option<(Record, Digest)>, Error> {
    let io = |error| fail("read", &format!("log/{transaction}"), error);
    let Some((file, size)) = record_file(log, transaction).map_err(io)? else {
        return Ok(None);
    };
    let bytes = file.read(size, MAX_RECORD).map_err(io)?;
    let bytes = bytes.ok_or_else(|| io(io::ErrorKind::FileTooLarge.into()))?;
    let entry = || format!("log entry {transaction}");
    match Record::unseal(&bytes, key) {
        // An entry is known by its name: one that was put in another's place is not one.
        Unsealed::Ours(record, digest) if record.transaction == *transaction => {
            Ok(Some((*record, digest)))
        }
        Unsealed::Ours(record, _) => Err(Error::Damaged {
            what: entry(),
            why: format!("it holds the record of transaction {}", record.transaction),
        }),
        Unsealed::Damaged(mut error) => {
            if let Error::Damaged { what, .. } | Error::UnsupportedVersion { what, .. } = &mut error
            {
                *what = entry();
            }
            Err(error)
        }
        Unsealed::Foreign => Ok(None),
        Unsealed::Torn if key.is_none() => Ok(None),
        Unsealed::Torn => Err(Error::Damaged {
            what: entry(),
            why: "it has no last line with a checksum".to_owned(),
        }),
    }
}

/// The file of a transaction's record, with its length; `None` where there is not a regular file.
fn record_file(log: &Dir, transaction: &TransactionId) -> io::Result<Option<(File, u64)>> {
    let name = transaction.to_string();
    let file = match log.directory(&name) {
        Ok(Some(entry)) => entry.file(MANIFEST),
        Ok(None) => return Ok(None),
        Err(error) if is_no_directory(&error) => log.file(name.as_bytes()),
        Err(error) => Err(error),
    };
    let file = match file {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error) if is_no_directory(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let meta = file.stat()?;
    Ok((meta.kind == FileKind::File).then_some((file, meta.size)))
}

/// What an entry of the log takes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weight {
    /// Bytes.
    pub(crate) size: u64,
    /// When its record was written, in milliseconds since 1970, by the file system's clock.
    pub(crate) written: Option<u64>,
}

/// A file as it stood before a transaction.
#[derive(Debug)]
pub(crate) struct PreFile {
    pub(crate) bytes: Vec<u8>,
    pub(crate) meta: Meta,
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl PreFile {
    pub(crate) fn is_link(&self) -> bool {
        self.meta.kind == FileKind::Symlink
    }
}

/// Reads what stands at a name in a log entry: a file, or a symbolic link.
fn open(entry: &Dir, name: &[u8]) -> io::Result<Option<PreFile>> {
    let file = match entry.file(name) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error) if is_no_directory(&error) => return open_link(entry, name),
        Err(error) => return Err(error),
    };
    let meta = file.stat()?;
    let attributes = file.attributes()?;
    let bytes = file
        .read(meta.size, MAX_FILE)?
        .ok_or(io::ErrorKind::FileTooLarge)?;
    Ok(Some(PreFile {
        bytes,
        meta,
        attributes,
    }))
}

fn open_link(entry: &Dir, name: &[u8]) -> io::Result<Option<PreFile>> {
    let (Some(meta), Some(bytes)) = (entry.stat(name)?, entry.read_link(name)?) else {
        return Ok(None);
    };
    Ok(Some(PreFile {
        bytes,
        meta,
        attributes: Vec::new(),
    }))
}
