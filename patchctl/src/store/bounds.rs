//! What the outbox drops when the log is full.

use rusqlite::OptionalExtension as _;

use super::lanes::unsigned;
use super::{Store, StoreError};

/// What may be dropped when the log is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Preview = 0,
    Refusal = 1,
    Kept = 2,
}

impl Store {
    /// Drops undelivered lanes of a class, oldest first, until no more than `limit` bytes wait;
    /// gives how many messages went. They are counted.
    pub(crate) fn drop_class(&mut self, class: Class, limit: u64) -> Result<u64, StoreError> {
        let mut bytes = self.pending()?.bytes;
        if bytes <= limit {
            return Ok(0);
        }
        let transaction = self.db.transaction()?;
        let mut dropped = 0u64;
        {
            let query = "SELECT seq, total - position, bytes FROM sealed_lanes
                         WHERE position < total AND class = ? ORDER BY seq";
            let mut select = transaction.prepare(query)?;
            let mut rows = select.query([class as i64])?;
            while bytes > limit
                && let Some(row) = rows.next()?
            {
                let seq: i64 = row.get(0)?;
                let (messages, size) = (unsigned(row, 1)?, unsigned(row, 2)?);
                transaction.execute(
                    "UPDATE lanes SET position = total, frozen = NULL WHERE seq = ?",
                    [seq],
                )?;
                transaction.execute("DELETE FROM bodies WHERE lane = ?", [seq])?;
                bytes -= size.min(bytes);
                dropped += messages;
            }
            transaction.execute(
                "INSERT INTO counts(name, value) VALUES ('dropped', ?1)
                 ON CONFLICT(name) DO UPDATE SET value = value + ?1",
                [dropped as i64],
            )?;
        }
        transaction.commit()?;
        Ok(dropped)
    }

    /// How many rows were set aside because this engine did not write them here.
    pub(crate) fn foreign(&self) -> Result<u64, StoreError> {
        let query = "SELECT count(*) FROM main.aside";
        Ok(self.db.query_row(query, [], |row| unsigned(row, 0))?)
    }

    /// How many messages were ever dropped because the log was full.
    pub(crate) fn dropped(&self) -> Result<u64, StoreError> {
        let query = "SELECT value FROM sealed_counts WHERE name = 'dropped'";
        let count = self
            .db
            .query_row(query, [], |row| unsigned(row, 0))
            .optional()?;
        Ok(count.unwrap_or(0))
    }
}
