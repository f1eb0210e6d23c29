//! The log: what was done, and the pre-images to show it with or to take it back.

use std::io;

use super::Workspace;
use super::disk::{Dir, Kind, Meta};
use super::journal::{MANIFEST, MAX_RECORD};
use super::ledger;
use super::load::MAX_FILE;
use super::record::{Record, TransactionId};
use super::root::is_no_directory;
use super::stage::slot_name;
use super::state::{State, fail};
use crate::error::Error;

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
    parts: Option<(State, Dir)>,
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
    /// The transactions in the log, oldest first.
    ///
    /// # Errors
    /// `IO` where the log cannot be listed.
    pub fn transactions(&self) -> Result<Vec<TransactionId>, Error> {
        let Some((_, log)) = &self.parts else {
            return Ok(Vec::new());
        };
        let names = log.names().map_err(|error| fail("list", "log", error))?;
        let mut transactions: Vec<TransactionId> = names
            .iter()
            .filter_map(|name| std::str::from_utf8(name).ok()?.parse().ok())
            .collect();
        transactions.sort_unstable();
        Ok(transactions)
    }

    /// A transaction's record; `None` where the log has none of it.
    ///
    /// # Errors
    /// `IO` where the record cannot be read or is damaged, `UNSUPPORTED_VERSION`.
    pub fn read(&self, transaction: &TransactionId) -> Result<Option<Record>, Error> {
        let io = |error| fail("read", &format!("log/{transaction}"), error);
        let Some((_, log)) = &self.parts else {
            return Ok(None);
        };
        let name = transaction.to_string();
        let file = match log.directory(&name) {
            Ok(Some(entry)) => entry.file(MANIFEST),
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => log.file(name.as_bytes()),
            Err(error) => Err(error),
        };
        let Some(file) = file.map_err(io)? else {
            return Ok(None);
        };
        let size = file.stat().map_err(io)?.size;
        let bytes = file.read(size, MAX_RECORD).map_err(io)?;
        let bytes = bytes.ok_or_else(|| io(io::ErrorKind::FileTooLarge.into()))?;
        let mut record = Record::from_bytes(&bytes).map_err(|mut error| {
            if let Error::Damaged { what, .. } | Error::UnsupportedVersion { what, .. } = &mut error
            {
                *what = format!("log entry {transaction}");
            }
            error
        })?;
        // An entry is known by its name: one that was put in another's place is none.
        record.transaction = *transaction;
        Ok(Some(record))
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

    /// The transaction that took this one back, if one did.
    ///
    /// # Errors
    /// `IO` where the log cannot be read.
    pub fn undone_by(&self, transaction: &TransactionId) -> Result<Option<TransactionId>, Error> {
        match self.entry(transaction)? {
            Some(entry) => ledger::undone_by(&entry).map_err(|error| fail("read", "log", error)),
            None => Ok(None),
        }
    }

    /// The bytes that a slot of a transaction holds; see
    /// [`ChangeRecord::slot`](super::record::ChangeRecord::slot). `None` where they are gone.
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
    pub(super) fn pre_file(
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
        let io = |error| fail("look at", "log", error);
        let Some((_, log)) = &self.parts else {
            return Ok(0);
        };
        let name = transaction.to_string();
        let Some(entry) = self.entry(transaction)? else {
            let meta = log.stat(name.as_bytes()).map_err(io)?;
            return Ok(meta.map_or(0, |meta| meta.size));
        };
        let mut size = 0;
        for name in entry.names().map_err(io)? {
            size += entry.stat(&name).map_err(io)?.map_or(0, |meta| meta.size);
        }
        Ok(size)
    }

    fn entry(&self, transaction: &TransactionId) -> Result<Option<Dir>, Error> {
        let Some((_, log)) = &self.parts else {
            return Ok(None);
        };
        match log.directory(&transaction.to_string()) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            result => result.map_err(|error| fail("open", "log", error)),
        }
    }
}

/// A file as it stood before a transaction.
#[derive(Debug)]
pub(super) struct PreFile {
    pub(super) bytes: Vec<u8>,
    pub(super) meta: Meta,
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl PreFile {
    pub(super) fn is_link(&self) -> bool {
        self.meta.kind == Kind::Symlink
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
