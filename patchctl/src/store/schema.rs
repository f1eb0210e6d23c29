//! The tables, and how an older store gets the newer ones.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// The version that this program writes: how many steps there are.
pub(super) const VERSION: i64 = STEPS.len() as i64;

/// Step N leads from version N to N + 1; steps are only ever added.
const STEPS: &[&str] = &[
    "
-- A lane is what is delivered in order: the events of one transaction, or one other message.
CREATE TABLE lanes(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  transaction_id TEXT UNIQUE,           -- events are rendered from this entry of the log
  total INTEGER NOT NULL,               -- messages in the lane
  position INTEGER NOT NULL DEFAULT 0,  -- the next one; all before it are delivered or dead
  attempts INTEGER NOT NULL DEFAULT 0,  -- of the next one
  next_try INTEGER NOT NULL DEFAULT 0,  -- milliseconds since 1970
  solo_until INTEGER NOT NULL DEFAULT 0,-- messages before this go one by one
  frozen_id TEXT,                       -- of the request that was first tried
  frozen_until INTEGER,                 -- the position behind it
  frozen BLOB,                          -- its body
  bytes INTEGER NOT NULL DEFAULT 0,     -- what the undelivered rest holds on disk
  class INTEGER NOT NULL DEFAULT 2,     -- 0 preview, 1 refusal, 2 what must not be dropped
  last_error TEXT);
CREATE INDEX waiting ON lanes(seq) WHERE position < total;
-- Messages that are not in the log.
CREATE TABLE bodies(
  lane INTEGER NOT NULL, position INTEGER NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
  PRIMARY KEY(lane, position)) WITHOUT ROWID;
-- Answers to error batches, until they are acted on.
CREATE TABLE answers(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE dead(
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  transaction_id TEXT, position INTEGER NOT NULL, body BLOB, reason TEXT NOT NULL,
  attempts INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE TABLE endpoint(
  url TEXT PRIMARY KEY, failures INTEGER NOT NULL, next_try INTEGER NOT NULL,
  stopped INTEGER NOT NULL, last_error TEXT, last_success INTEGER);
CREATE TABLE counts(name TEXT PRIMARY KEY, value INTEGER NOT NULL);
",
    "
-- By the key of the workspace, over all other columns; rows without it are not ours.
ALTER TABLE lanes ADD COLUMN seal TEXT;
ALTER TABLE bodies ADD COLUMN seal TEXT;
ALTER TABLE answers ADD COLUMN seal TEXT;
ALTER TABLE dead ADD COLUMN seal TEXT;
ALTER TABLE endpoint ADD COLUMN seal TEXT;
ALTER TABLE counts ADD COLUMN seal TEXT;
-- Rows that are not ours, as SQL literals.
CREATE TABLE aside(seq INTEGER PRIMARY KEY, source TEXT NOT NULL, content TEXT NOT NULL);
",
];

/// Brings the tables up to date, in one transaction; gives the version that was found, 0 for an
/// empty file.
pub(super) fn migrate(db: &mut Connection) -> Result<i64, StoreError> {
    let version = |db: &Connection| -> rusqlite::Result<i64> {
        db.pragma_query_value(None, "user_version", |row| row.get(0))
    };
    let found = version(db)?;
    if found == VERSION {
        return Ok(found);
    }
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let steps = usize::try_from(found).ok().and_then(|n| STEPS.get(n..));
    let Some(steps) = steps else {
        return Err(StoreError::Newer(found));
    };
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()?;
    Ok(found)
}
