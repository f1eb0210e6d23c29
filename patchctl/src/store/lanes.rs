//! The outbox: what is to be delivered, in which order, and how far that has come.

use std::collections::HashMap;
use std::path::Path;

use patchcore::workspace::Key;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, params};

use super::bounds::Class;
use super::{Store, StoreError};

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LaneKind {
    Events,
    OpsLog,
    FactoryErrors,
}

impl LaneKind {
    /// The path that takes it.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Events => "/api/patches/events",
            Self::OpsLog => "/api/ops/log",
            Self::FactoryErrors => "/api/factory/errors",
        }
    }

    /// Its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::OpsLog => "ops_log",
            Self::FactoryErrors => "factory_errors",
        }
    }
}

impl ToSql for LaneKind {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.name().into())
    }
}

impl FromSql for LaneKind {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "events" => Ok(Self::Events),
            "ops_log" => Ok(Self::OpsLog),
            "factory_errors" => Ok(Self::FactoryErrors),
            _ => Err(rusqlite::types::FromSqlError::InvalidType),
        }
    }
}

/// What is delivered in order, one request after the other.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) seq: i64,
    pub(crate) kind: LaneKind,
    /// The entry of the log that its messages are rendered from; else they are in the store.
    pub(crate) transaction: Option<String>,
    /// How many messages it has.
    pub(crate) total: usize,
    /// The next one.
    pub(crate) position: usize,
    /// How often that one was tried.
    pub(crate) attempts: u32,
    /// Messages before this one are sent one by one.
    pub(crate) solo_until: usize,
    /// The request that was tried.
    pub(crate) frozen: Option<Frozen>,
}

/// A request as it was first tried: id and bytes never change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frozen {
    pub(crate) id: String,
    /// The position behind its last message.
    pub(crate) until: usize,
    pub(crate) body: Vec<u8>,
}

/// A message that is not in the log.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

/// An entry of the log, as far as the outbox has to know it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) transaction: String,
    /// How many events it gives.
    pub(crate) total: usize,
    /// What it holds on disk.
    pub(crate) bytes: u64,
    /// Whether nothing landed, so that it may go first when the log is full.
    pub(crate) refused: bool,
}

/// What waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    /// When the oldest of them may be tried, milliseconds since 1970.
    pub(crate) next_try: i64,
}

const COLUMNS: &str = "seq, kind, transaction_id, total, position, attempts, solo_until, \
                       frozen_id, frozen_until, frozen";

impl Store {
    /// Takes entries of the log in; those that are known stay as they are.
    pub(crate) fn add_entries(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let transaction = self.db.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO lanes(kind, transaction_id, total, bytes, class)
                 VALUES ('events', ?, ?, ?, ?)",
            )?;
            for entry in entries {
                let class = if entry.refused { 1 } else { 2 };
                insert.execute(params![
                    entry.transaction,
                    entry.total as i64,
                    i64::try_from(entry.bytes).unwrap_or(i64::MAX),
                    class
                ])?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// Puts messages that are not in the log into a lane of their own; gives its number.
    pub(crate) fn add_messages(
        &mut self,
        kind: LaneKind,
        messages: &[Message],
        class: Class,
    ) -> Result<i64, StoreError> {
        let transaction = self.db.transaction()?;
        let bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        transaction.execute(
            "INSERT INTO lanes(kind, total, bytes, class) VALUES (?, ?, ?, ?)",
            params![kind, messages.len() as i64, bytes as i64, class as i64],
        )?;
        let lane = transaction.last_insert_rowid();
        for (position, message) in messages.iter().enumerate() {
            transaction.execute(
                "INSERT INTO bodies(lane, position, id, body) VALUES (?, ?, ?, ?)",
                params![lane, position as i64, message.id, message.body],
            )?;
        }
        transaction.commit()?;
        Ok(lane)
    }

    /// A message that is not in the log.
    pub(crate) fn message(
        &self,
        lane: i64,
        position: usize,
    ) -> Result<Option<Message>, StoreError> {
        let query = "SELECT id, body FROM sealed_bodies WHERE lane = ? AND position = ?";
        let read = |row: &Row<'_>| {
            Ok(Message {
                id: row.get(0)?,
                body: row.get(1)?,
            })
        };
        let mut statement = self.db.prepare_cached(query)?;
        Ok(statement
            .query_row(params![lane, position as i64], read)
            .optional()?)
    }

    /// All entries of the log that are known, and whether each is delivered.
    pub(crate) fn entries(&self) -> Result<HashMap<String, bool>, StoreError> {
        let query = "SELECT transaction_id, position >= total FROM sealed_lanes
                     WHERE transaction_id IS NOT NULL";
        let mut statement = self.db.prepare_cached(query)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether all events of an entry are delivered, or dead.
    pub(crate) fn is_delivered(&self, transaction: &str) -> Result<bool, StoreError> {
        let query = "SELECT position >= total FROM sealed_lanes WHERE transaction_id = ?";
        let mut statement = self.db.prepare_cached(query)?;
        let delivered = statement
            .query_row([transaction], |row| row.get(0))
            .optional()?;
        Ok(delivered.unwrap_or(false))
    }

    /// Whether a lane has messages left.
    pub(crate) fn is_waiting(&self, lane: i64) -> Result<bool, StoreError> {
        let query = "SELECT position < total FROM sealed_lanes WHERE seq = ?";
        let mut statement = self.db.prepare_cached(query)?;
        let waiting = statement.query_row([lane], |row| row.get(0)).optional()?;
        Ok(waiting.unwrap_or(false))
    }

    /// How far the events of an entry have come; `None` where the entry is not known.
    pub(crate) fn position(&self, transaction: &str) -> Result<Option<usize>, StoreError> {
        let query = "SELECT position FROM sealed_lanes WHERE transaction_id = ?";
        let mut statement = self.db.prepare_cached(query)?;
        let position: Option<i64> = statement
            .query_row([transaction], |row| row.get(0))
            .optional()?;
        Ok(position.map(|n| n as usize))
    }

    /// Forgets a delivered entry that the log no longer has.
    pub(crate) fn forget(&self, transaction: &str) -> Result<(), StoreError> {
        let query = "DELETE FROM lanes WHERE transaction_id = ? AND position >= total";
        self.db.prepare_cached(query)?.execute([transaction])?;
        Ok(())
    }

    /// The lane to work on: the first whose time has come.
    pub(crate) fn next_lane(&self, now: i64) -> Result<Option<Lane>, StoreError> {
        let query = format!(
            "SELECT {COLUMNS} FROM sealed_lanes WHERE position < total AND next_try <= ? ORDER BY seq LIMIT 1"
        );
        let mut statement = self.db.prepare_cached(&query)?;
        Ok(statement.query_row([now], lane).optional()?)
    }

    /// Keeps the request that is about to be tried.
    pub(crate) fn freeze(&self, seq: i64, frozen: &Frozen) -> Result<(), StoreError> {
        let query = "UPDATE lanes SET frozen_id = ?, frozen_until = ?, frozen = ? WHERE seq = ?";
        self.db.prepare_cached(query)?.execute(params![
            frozen.id,
            frozen.until as i64,
            frozen.body,
            seq
        ])?;
        Ok(())
    }

    /// Goes on behind what was delivered, or set aside.
    pub(crate) fn advance(&self, lane: &Lane, until: usize) -> Result<(), StoreError> {
        let query = "UPDATE lanes SET position = ?, attempts = 0, next_try = 0, frozen_id = NULL,
                     frozen_until = NULL, frozen = NULL, last_error = NULL WHERE seq = ?";
        self.db
            .prepare_cached(query)?
            .execute(params![until as i64, lane.seq])?;
        if lane.transaction.is_none() {
            let delivered = "DELETE FROM bodies WHERE lane = ? AND position < ?";
            self.db
                .prepare_cached(delivered)?
                .execute(params![lane.seq, until as i64])?;
            let done = "DELETE FROM lanes WHERE seq = ? AND position >= total";
            self.db.prepare_cached(done)?.execute([lane.seq])?;
        }
        Ok(())
    }

    /// Notes a failure.
    pub(crate) fn postpone(
        &self,
        lane: &Lane,
        next_try: i64,
        error: &str,
    ) -> Result<(), StoreError> {
        let query = "UPDATE lanes SET attempts = attempts + 1, next_try = ?, last_error = ?
                     WHERE seq = ?";
        self.db
            .prepare_cached(query)?
            .execute(params![next_try, error, lane.seq])?;
        Ok(())
    }

    /// Takes a request of several messages apart: they go one by one.
    pub(crate) fn unbundle(&self, lane: &Lane, until: usize) -> Result<(), StoreError> {
        let query = "UPDATE lanes SET solo_until = ?, attempts = 0, frozen_id = NULL,
                     frozen_until = NULL, frozen = NULL WHERE seq = ?";
        self.db
            .prepare_cached(query)?
            .execute(params![until as i64, lane.seq])?;
        Ok(())
    }

    /// Lets everything that waits be tried at once.
    pub(crate) fn reset_backoff(&self) -> Result<(), StoreError> {
        self.db
            .execute("UPDATE lanes SET next_try = 0 WHERE position < total", [])?;
        Ok(())
    }

    /// What waits.
    pub(crate) fn pending(&self) -> Result<Pending, StoreError> {
        let query = "SELECT coalesce(sum(total - position), 0), coalesce(sum(bytes), 0),
                     coalesce(min(next_try), 0) FROM sealed_lanes WHERE position < total";
        Ok(self.db.query_row(query, [], |row| {
            Ok(Pending {
                messages: unsigned(row, 0)?,
                bytes: unsigned(row, 1)?,
                next_try: row.get(2)?,
            })
        })?)
    }

    /// The first lanes that wait because they failed: what and why.
    pub(crate) fn failing(&self, most: usize) -> Result<Vec<(String, u32, String)>, StoreError> {
        let query = "SELECT coalesce(transaction_id, kind), attempts, coalesce(last_error, '')
                     FROM sealed_lanes WHERE position < total AND attempts > 0 ORDER BY seq LIMIT ?";
        let mut statement = self.db.prepare_cached(query)?;
        let rows = statement.query_map([most as i64], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Saves from a damaged store what the log does not have: messages and dead letters that
    /// can still be read. Whatever fails is left where it is, in the file that was set aside.
    pub(super) fn salvage(&self, damaged: &Path, key: &Key) {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let Ok(old) = Connection::open_with_flags(damaged, flags) else {
            return;
        };
        if super::harden(&old).is_err() || super::seal::install(&old, key).is_err() {
            return;
        }
        let _ = salvage_messages(&old, &self.db);
        let _ = super::dead::salvage(&old, &self.db);
    }
}

fn salvage_messages(old: &Connection, new: &Connection) -> rusqlite::Result<()> {
    let query = "SELECT lanes.kind, bodies.id, bodies.body FROM sealed_bodies bodies
                 JOIN sealed_lanes lanes ON lanes.seq = bodies.lane
                 ORDER BY bodies.lane, bodies.position";
    let mut select = old.prepare(query)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (kind, id, body): (LaneKind, String, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        new.execute(
            "INSERT INTO lanes(kind, total, bytes) VALUES (?, 1, ?)",
            params![kind, body.len() as i64],
        )?;
        new.execute(
            "INSERT INTO bodies(lane, position, id, body) VALUES (?, 0, ?, ?)",
            params![new.last_insert_rowid(), id, body],
        )?;
    }
    Ok(())
}

/// A count; SQLite's integers are signed.
pub(super) fn unsigned(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(index).map(|n| n.max(0) as u64)
}

fn lane(row: &Row<'_>) -> rusqlite::Result<Lane> {
    let number = |index| row.get::<_, i64>(index).map(|n| n.max(0) as usize);
    let frozen = match row.get::<_, Option<Vec<u8>>>(9)? {
        Some(body) => Some(Frozen {
            id: row.get(7)?,
            until: number(8)?,
            body,
        }),
        None => None,
    };
    Ok(Lane {
        seq: row.get(0)?,
        kind: row.get(1)?,
        transaction: row.get(2)?,
        total: number(3)?,
        position: number(4)?,
        attempts: row.get(5)?,
        solo_until: number(6)?,
        frozen,
    })
}
