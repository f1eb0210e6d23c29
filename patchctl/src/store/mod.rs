//! The store: delivery state in SQLite, beside the log that it can be rebuilt from.
//!
//! The log is the truth about what happened. What only the store knows is how far delivery has
//! come; when it is lost, events go out again with the ids that they had.

mod answers;
mod bounds;
mod dead;
mod endpoint;
mod lanes;
mod schema;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

pub(crate) use bounds::Class;
pub(crate) use dead::DeadLetter;
pub(crate) use endpoint::Endpoint;
pub(crate) use lanes::{Entry, Frozen, Kind, Lane, Message};

/// How long one process waits for another's write.
const BUSY: Duration = Duration::from_secs(5);

/// The open database.
pub(crate) struct Store {
    db: Connection,
    directory: PathBuf,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Its files cannot be made, opened or locked.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// SQLite failed.
    #[error("the delivery store failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// A later version made it.
    #[error("the delivery store has version {0}, and this program reads up to version {known}", known = schema::VERSION)]
    Newer(i64),
}

impl StoreError {
    /// Whether the file is no database, or a broken one: it can only be set aside.
    pub(crate) fn is_damage(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
        )
    }
}

/// How well the file is looked at when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    /// As far as opening needs; on the way of an edit.
    Header,
    /// Every page; where nobody waits.
    Pages,
}

/// An opened store, and what happened to it.
pub(crate) struct Opened {
    pub(crate) store: Store,
    pub(crate) origin: Origin,
}

/// Where an opened store comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It was there.
    Kept,
    /// There was none.
    New,
    /// It was damaged and now lies under this name; this one is new.
    Replaced(PathBuf),
}

impl Store {
    /// Opens the store below `.mission_control`, or makes it; sets a damaged one aside.
    ///
    /// # Errors
    /// Where the disk fails, or a later version made the store.
    pub(crate) fn open(control: &Path, check: Check) -> Result<Opened, StoreError> {
        let directory = control.join("store");
        make_directory(control, &directory)?;
        // One process looks, replaces and migrates at a time.
        let guard = private_file(&directory.join("open.lock"))?;
        guard
            .lock()
            .map_err(|error| io("lock", &directory, error))?;
        let file = directory.join("outbox.db");
        make_private(&file)?;
        match Self::open_file(&directory, &file, check) {
            Ok(opened) => Ok(opened),
            Err(error) if error.is_damage() => {
                let aside = set_aside(&directory, &file)?;
                make_private(&file)?;
                let store = Self::open_file(&directory, &file, Check::Header)?.store;
                store.salvage(&aside);
                let origin = Origin::Replaced(aside);
                Ok(Opened { store, origin })
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the store if there is one.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_existing(control: &Path) -> Result<Option<Self>, StoreError> {
        if !Self::is_present(control)? {
            return Ok(None);
        }
        Self::open(control, Check::Header).map(|opened| Some(opened.store))
    }

    /// Makes the store's directory alone, at the cost of one system call: from then on the log
    /// keeps what is not delivered.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(crate) fn announce(control: &Path) -> Result<(), StoreError> {
        make_directory(control, &control.join("store"))
    }

    /// Whether anything is, or will be, delivered from here.
    ///
    /// # Errors
    /// Where the disk does not say.
    pub(crate) fn is_announced(control: &Path) -> Result<bool, StoreError> {
        let directory = control.join("store");
        directory
            .try_exists()
            .map_err(|error| io("look at", &directory, error))
    }

    /// Whether there is a store; opens nothing.
    ///
    /// # Errors
    /// Where the disk does not say.
    pub(crate) fn is_present(control: &Path) -> Result<bool, StoreError> {
        let file = control.join("store/outbox.db");
        file.try_exists()
            .map_err(|error| io("look at", &file, error))
    }

    fn open_file(directory: &Path, file: &Path, check: Check) -> Result<Opened, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut db = Connection::open_with_flags(file, flags)?;
        db.busy_timeout(BUSY)?;
        db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "NORMAL")?;
        if check == Check::Pages {
            let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if verdict != "ok" {
                let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
                return Err(rusqlite::Error::SqliteFailure(code, Some(verdict)).into());
            }
        }
        let origin = match schema::migrate(&mut db)? {
            0 => Origin::New,
            _ => Origin::Kept,
        };
        let store = Self {
            db,
            directory: directory.to_owned(),
        };
        Ok(Opened { store, origin })
    }

    /// The right to deliver, which one process has at a time; `None` while another has it. The
    /// kernel frees it when the holder dies.
    ///
    /// # Errors
    /// Where the lock's file cannot be opened.
    pub(crate) fn try_deliver(&self) -> Result<Option<DeliveryLock>, StoreError> {
        let path = self.directory.join("deliver.lock");
        let file = private_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(DeliveryLock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(io("lock", &path, error)),
        }
    }
}

/// Makes the store's directory, and the state's where nothing was done in the tree yet.
fn make_directory(control: &Path, directory: &Path) -> Result<(), StoreError> {
    let make = |path: &Path, mode| match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    };
    match make(directory, 0o700) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        result => return result.map_err(|error| io("create", directory, error)),
    }
    make(control, 0o777).map_err(|error| io("create", control, error))?;
    let ignore = control.join(".gitignore");
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&ignore)
    {
        Ok(mut file) => std::io::Write::write_all(&mut file, b"*\n!tasks.json\n")
            .map_err(|error| io("write", &ignore, error))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(io("create", &ignore, error)),
    }
    make(directory, 0o700).map_err(|error| io("create", directory, error))
}

/// Held while delivering.
pub(crate) struct DeliveryLock(#[expect(dead_code, reason = "closing it frees the lock")] File);

/// Makes the database's file where there is none: SQLite would make it readable for others, and it
/// gives its other files the same mode. One that is there is not opened, since closing it would
/// free the locks that another connection of this process has on it.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match made {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(io("make", path, error)),
        _ => Ok(()),
    }
}

fn private_file(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| io("open", path, error))
}

/// Renames a broken database out of the way, with what belongs to it.
fn set_aside(directory: &Path, file: &Path) -> Result<PathBuf, StoreError> {
    let name = format!("damaged-{}.db", jiff::Timestamp::now().as_millisecond());
    let aside = directory.join(name);
    std::fs::rename(file, &aside).map_err(|error| io("set aside", file, error))?;
    for suffix in ["-wal", "-shm"] {
        let with = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        match std::fs::rename(with(file), with(&aside)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(io("set aside", &with(file), error));
            }
            _ => {}
        }
    }
    Ok(aside)
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
