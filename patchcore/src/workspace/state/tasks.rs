//! Changing the task manifest by itself, under the lock.

use std::time::Duration;

use crate::error::Error;
use crate::workspace::Workspace;
use crate::workspace::state::{TASKS, fail};

impl Workspace {
    /// The task manifest's bytes, `.mission_control/tasks.json`; `None` where there is none.
    ///
    /// # Errors
    /// `IO` where it cannot be read.
    pub fn tasks(&self) -> Result<Option<Vec<u8>>, Error> {
        match self.state()? {
            Some(state) => state.tasks(),
            None => Ok(None),
        }
    }

    /// Replaces the task manifest in one step, under the lock. `update` gets the bytes that stand
    /// there and gives the new ones, or `None` to leave it.
    ///
    /// # Errors
    /// What `update` fails with; `LOCK_TIMEOUT`, `UNFINISHED`, `IO`.
    pub fn update_tasks<E: From<Error>>(
        &self,
        lock_wait: Duration,
        update: impl FnOnce(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        let held = self.hold(lock_wait)?;
        self.recovered(&held)?;
        let old = held.state.tasks()?;
        let Some(new) = update(old.as_deref())? else {
            return Ok(());
        };
        const DRAFT: &[u8] = b"tasks.draft";
        let write = || {
            held.txn.clear(DRAFT)?;
            let file = held.txn.create(DRAFT, 0o666)?;
            file.write_chunks([&*new].into_iter())?;
            file.sync()?;
            held.txn.rename(DRAFT, &held.state.dir, TASKS.as_bytes())
        };
        Ok(write().map_err(|error| fail("write", TASKS, error))?)
    }
}
