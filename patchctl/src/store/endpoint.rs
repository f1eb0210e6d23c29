//! What is known of an orchestrator: whether it answers, and when it may be asked again.

use rusqlite::{OptionalExtension as _, params};

use super::{Store, StoreError};

/// The state of one base URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Failures in a row.
    pub(crate) failures: u32,
    /// Not to be asked before this, milliseconds since 1970.
    pub(crate) next_try: i64,
    /// Whether it said 410: not to be asked until the operator says so.
    pub(crate) stopped: bool,
    /// What failed last.
    pub(crate) last_error: Option<String>,
    /// When it last took something, milliseconds since 1970.
    pub(crate) last_success: Option<i64>,
}

impl Store {
    /// The state of a URL; of one that was never asked, the default.
    pub(crate) fn endpoint(&self, url: &str) -> Result<Endpoint, StoreError> {
        let query = "SELECT failures, next_try, stopped, last_error, last_success
                     FROM sealed_endpoint WHERE url = ?";
        let mut statement = self.db.prepare_cached(query)?;
        let endpoint = statement
            .query_row([url], |row| {
                Ok(Endpoint {
                    failures: row.get(0)?,
                    next_try: row.get(1)?,
                    stopped: row.get(2)?,
                    last_error: row.get(3)?,
                    last_success: row.get(4)?,
                })
            })
            .optional()?;
        Ok(endpoint.unwrap_or_default())
    }

    /// Keeps the state of a URL.
    pub(crate) fn set_endpoint(&self, url: &str, state: &Endpoint) -> Result<(), StoreError> {
        let query = "INSERT OR REPLACE INTO
                     endpoint(url, failures, next_try, stopped, last_error, last_success)
                     VALUES (?, ?, ?, ?, ?, ?)";
        self.db.prepare_cached(query)?.execute(params![
            url,
            state.failures,
            state.next_try,
            state.stopped,
            state.last_error,
            state.last_success
        ])?;
        Ok(())
    }
}
