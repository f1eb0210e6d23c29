//! Dead letters: what the orchestrator will not have, kept and shown until somebody decides.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::lanes::{LaneKind, unsigned};
use super::{Store, StoreError, now};

/// A message that was refused for good, or cannot be made.
#[derive(Debug, Clone)]
pub(crate) struct DeadLetter {
    pub(crate) id: String,
    pub(crate) kind: LaneKind,
    pub(crate) transaction: Option<String>,
    pub(crate) position: usize,
    /// What was sent; `None` where it could not be made.
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) reason: String,
    pub(crate) attempts: u32,
    /// When it was set aside, milliseconds since 1970.
    pub(crate) at: i64,
}

const COLUMNS: &str = "id, kind, transaction_id, position, body, reason, attempts, at";

impl Store {
    /// Sets a message aside.
    pub(crate) fn add_dead_letter(&self, letter: &DeadLetter) -> Result<(), StoreError> {
        insert(&self.db, letter)?;
        Ok(())
    }

    /// Dead letters, oldest first.
    pub(crate) fn dead(&self, most: usize, skip: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM sealed_dead ORDER BY seq LIMIT ? OFFSET ?");
        let mut statement = self.db.prepare_cached(&query)?;
        let rows = statement.query_map(params![most as i64, skip as i64], letter)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The positions of an entry's messages that are dead.
    pub(crate) fn dead_of(&self, transaction: &str) -> Result<Vec<usize>, StoreError> {
        let query = "SELECT position FROM sealed_dead WHERE transaction_id = ?";
        let mut statement = self.db.prepare_cached(query)?;
        let rows = statement.query_map([transaction], |row| row.get::<_, i64>(0))?;
        rows.map(|row| Ok(row? as usize)).collect()
    }

    /// How many dead letters there are.
    pub(crate) fn dead_count(&self) -> Result<u64, StoreError> {
        let count = "SELECT count(*) FROM sealed_dead";
        Ok(self.db.query_row(count, [], |row| unsigned(row, 0))?)
    }

    /// Takes a dead letter out; `None` where there is none of that id.
    pub(crate) fn take_dead_letter(&self, id: &str) -> Result<Option<DeadLetter>, StoreError> {
        let query = format!("SELECT {COLUMNS} FROM sealed_dead WHERE id = ?");
        let mut statement = self.db.prepare_cached(&query)?;
        let letter = statement.query_row([id], letter).optional()?;
        self.db.execute("DELETE FROM dead WHERE id = ?", [id])?;
        Ok(letter)
    }

    /// Puts a dead letter back into the outbox, with its id and body; false where there is none
    /// of that id, or nothing to send.
    pub(crate) fn revive(&mut self, id: &str) -> Result<bool, StoreError> {
        let transaction = self.db.transaction()?;
        let query = "SELECT kind, body FROM sealed_dead WHERE id = ? AND body IS NOT NULL";
        let row = transaction
            .query_row(query, [id], |row| {
                Ok((row.get::<_, LaneKind>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let Some((kind, body)) = row else {
            return Ok(false);
        };
        transaction.execute("DELETE FROM dead WHERE id = ?", [id])?;
        transaction.execute(
            "INSERT INTO lanes(kind, total, bytes, frozen_id, frozen_until, frozen)
             VALUES (?, 1, ?, ?, 1, ?)",
            params![kind, body.len() as i64, id, body],
        )?;
        transaction.execute(
            "INSERT INTO bodies(lane, position, id, body) VALUES (?, 0, ?, ?)",
            params![transaction.last_insert_rowid(), id, body],
        )?;
        transaction.commit()?;
        Ok(true)
    }
}

fn insert(db: &Connection, letter: &DeadLetter) -> rusqlite::Result<()> {
    let query = format!("INSERT OR REPLACE INTO dead({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)");
    let at = if letter.at == 0 { now() } else { letter.at };
    db.execute(
        &query,
        params![
            letter.id,
            letter.kind,
            letter.transaction,
            letter.position as i64,
            letter.body,
            letter.reason,
            letter.attempts,
            at
        ],
    )?;
    Ok(())
}

pub(super) fn salvage(old: &Connection, new: &Connection) -> rusqlite::Result<()> {
    let query = format!("SELECT {COLUMNS} FROM sealed_dead ORDER BY seq");
    let mut select = old.prepare(&query)?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        insert(new, &letter(row)?)?;
    }
    Ok(())
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        id: row.get(0)?,
        kind: row.get(1)?,
        transaction: row.get(2)?,
        position: row.get::<_, i64>(3)? as usize,
        body: row.get(4)?,
        reason: row.get(5)?,
        attempts: row.get(6)?,
        at: row.get(7)?,
    })
}
