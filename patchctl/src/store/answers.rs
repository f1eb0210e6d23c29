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
        let transaction = self.db.transaction()?;
        let answers = {
            let query = "SELECT body FROM sealed_answers ORDER BY seq";
            let mut statement = transaction.prepare(query)?;
            let rows = statement.query_map([], |row| row.get(0))?;
            rows.collect::<Result<Vec<Vec<u8>>, _>>()?
        };
        transaction.execute("DELETE FROM answers", [])?;
        transaction.commit()?;
        Ok(answers)
    }
}
