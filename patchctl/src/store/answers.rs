//! Answers to error batches that went out by themselves: what to do about the errors.

use rusqlite::params;

use super::{Store, StoreError};

impl Store {
    /// Keeps the answer to an error batch until somebody acts on it.
    pub(crate) fn add_answer(&self, id: &str, body: &[u8]) -> Result<(), StoreError> {
        let query = "INSERT INTO answers(id, body) VALUES (?, ?)";
        self.db.execute(query, params![id, body])?;
        Ok(())
    }

    /// The answers to error batches that nobody has acted on, oldest first; they are gone then.
    pub(crate) fn take_answers(&mut self) -> Result<Vec<Vec<u8>>, StoreError> {
        let query = "DELETE FROM answers RETURNING seq, body";
        let mut statement = self.db.prepare(query)?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
        let mut answers = rows.collect::<Result<Vec<(i64, Vec<u8>)>, _>>()?;
        answers.sort_by_key(|(seq, _)| *seq);
        Ok(answers.into_iter().map(|(_, body)| body).collect())
    }
}
