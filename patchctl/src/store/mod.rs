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
mod seal;

use std::path::PathBuf;
use std::time::Duration;

use patchcore::Code;
use patchcore::workspace::{Key, PrivateDir, PrivateLock, Workspace};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

pub(crate) use bounds::Class;
pub(crate) use dead::DeadLetter;
pub(crate) use endpoint::Endpoint;
pub(crate) use lanes::{Entry, Frozen, Lane, LaneKind, Message};

/// Longest wait for another process's write.
const BUSY: Duration = Duration::from_secs(5);
/// Longest that a command which only looks, or an edit, waits for the store.
pub(crate) const SHORT_WAIT: Duration = Duration::from_secs(2);
/// The store's directory in the state.
const DIRECTORY: &str = "store";
const DATABASE: &str = "outbox.db";
/// What SQLite opens beside the database, by their ends.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];
/// Held while the database is looked at, replaced or migrated.
const OPEN_LOCK: &str = "open.lock";
/// Has a byte for each edit that left delivery to others.
const EDITS: &str = "edits";
/// Held while delivering.
const DELIVER_LOCK: &str = "deliver.lock";

/// The open database.
pub(crate) struct Store {
    db: Connection,
    directory: PrivateDir,
}

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Its directory or one of its files cannot be made or opened, or must not be.
    #[error(transparent)]
    State(#[from] patchcore::Error),
    /// Another process has the store.
    #[error(
        "another process has held {DIRECTORY}/{OPEN_LOCK} of the delivery store for {} ms; try again", .0.as_millis()
    )]
    Held(Duration),
    /// Its directory was replaced while it was opened.
    #[error("the directory of the delivery store was replaced while it was opened")]
    Moved,
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
            // A database of other tables fails by what it does not have.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown)
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
    /// Opens the store in the state of a workspace, or makes it; sets a damaged one aside. Waits
    /// no longer than `wait` for another process that opens it.
    ///
    /// # Errors
    /// Where the disk fails, something else has the place of a file of the store, another process
    /// holds the store, or a later version made it.
    pub(crate) fn open(
        workspace: &Workspace,
        check: Check,
        wait: Duration,
    ) -> Result<Opened, StoreError> {
        let directory = workspace.make_private_dir(DIRECTORY, wait)?;
        let key = workspace.make_key(wait)?;
        // One process looks, replaces and migrates at a time.
        let guard = directory.lock(OPEN_LOCK, wait)?;
        let _guard = guard.ok_or(StoreError::Held(wait))?;
        if has_foreign_files(&directory)? {
            let aside = set_aside(&directory)?;
            let store = Self::open_new(directory, &key, wait)?;
            let origin = Origin::Replaced(aside);
            return Ok(Opened { store, origin });
        }
        directory.make_file(DATABASE)?;
        match Self::connect(&directory, &key, check, wait) {
            Ok((db, origin)) => {
                let store = Self { db, directory };
                Ok(Opened { store, origin })
            }
            Err(error) if error.is_damage() => {
                let aside = set_aside(&directory)?;
                let store = Self::open_new(directory, &key, wait)?;
                store.salvage(&aside, &key);
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
    pub(crate) fn open_existing(
        workspace: &Workspace,
        wait: Duration,
    ) -> Result<Option<Self>, StoreError> {
        if !Self::is_present(workspace)? {
            return Ok(None);
        }
        Self::open(workspace, Check::Header, wait).map(|opened| Some(opened.store))
    }

    /// Makes the store's directory alone: from then on the log keeps what is not delivered. Gives
    /// how often that was done.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub(crate) fn announce(workspace: &Workspace, wait: Duration) -> Result<u64, StoreError> {
        let directory = workspace.make_private_dir(DIRECTORY, wait)?;
        Ok(directory.count(EDITS)?)
    }

    /// Whether anything is, or will be, delivered from here.
    ///
    /// # Errors
    /// Where something else has the place of the store's directory.
    pub(crate) fn is_announced(workspace: &Workspace) -> Result<bool, StoreError> {
        Ok(workspace.private_dir(DIRECTORY)?.is_some())
    }

    /// Whether there is a store; opens nothing. What has the place of its database is one that
    /// will be set aside.
    ///
    /// # Errors
    /// Where something else has the place of the store's directory.
    pub(crate) fn is_present(workspace: &Workspace) -> Result<bool, StoreError> {
        Ok(match workspace.private_dir(DIRECTORY)? {
            Some(directory) => is_foreign(directory.has_file(DATABASE))?.unwrap_or(true),
            None => false,
        })
    }

    fn open_new(directory: PrivateDir, key: &Key, wait: Duration) -> Result<Self, StoreError> {
        directory.make_file(DATABASE)?;
        let (db, _) = Self::connect(&directory, key, Check::Header, wait)?;
        Ok(Self { db, directory })
    }

    fn connect(
        directory: &PrivateDir,
        key: &Key,
        check: Check,
        wait: Duration,
    ) -> Result<(Connection, Origin), StoreError> {
        if !directory.is_at_its_path()? {
            return Err(StoreError::Moved);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut db = Connection::open_with_flags(directory.path_of(DATABASE), flags)?;
        if !directory.is_at_its_path()? {
            return Err(StoreError::Moved);
        }
        db.busy_timeout(BUSY.min(wait))?;
        harden(&db)?;
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
        seal::install(&db, key)?;
        seal::set_foreign_rows_aside(&mut db)?;
        Ok((db, origin))
    }

    /// The right to deliver, which one process has at a time; `None` while another has it. The
    /// kernel frees it when the holder dies.
    ///
    /// # Errors
    /// Where the lock's file cannot be opened.
    pub(crate) fn try_deliver(&self) -> Result<Option<PrivateLock>, StoreError> {
        Ok(self.directory.lock(DELIVER_LOCK, Duration::ZERO)?)
    }
}

/// Takes away from the database what it could do by itself: nothing in it runs.
fn harden(db: &Connection) -> Result<(), StoreError> {
    for (option, value) in [
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        // Those of the database; our own are temporary.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        db.set_db_config(option, value)?;
    }
    Ok(())
}

/// Whether something that SQLite must not open has the place of one of its files.
fn has_foreign_files(directory: &PrivateDir) -> Result<bool, StoreError> {
    for end in std::iter::once("").chain(COMPANIONS) {
        let looked = directory.has_file(&format!("{DATABASE}{end}"));
        if is_foreign(looked)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `None` for what is there and must not be opened.
fn is_foreign(looked: Result<bool, patchcore::Error>) -> Result<Option<bool>, StoreError> {
    match looked {
        Ok(is_there) => Ok(Some(is_there)),
        Err(error) if error.code() == Code::ForeignState => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Renames a database out of the way, with what belongs to it; gives its new path.
fn set_aside(directory: &PrivateDir) -> Result<PathBuf, StoreError> {
    let aside = format!("damaged-{}.db", uuid::Uuid::now_v7());
    for end in std::iter::once("").chain(COMPANIONS) {
        directory.set_aside(&format!("{DATABASE}{end}"), &format!("{aside}{end}"))?;
    }
    Ok(directory.path_of(&aside))
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests;
