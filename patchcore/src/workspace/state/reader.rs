//! Reading a tree that somebody may be installing into.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::workspace::Workspace;
use crate::workspace::disk::Meta;
use crate::workspace::state::journal::{self, JournalState, MANIFEST};
use crate::workspace::state::{StateDir, fail, locked};

/// What a reader compares: a transaction that comes or goes changes the directories of journal
/// and log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    parts: [Option<Meta>; 2],
    /// A transaction is, or may be, half installed.
    installing: bool,
}

impl Workspace {
    /// Reads without the lock, and again where a batch was installed meanwhile. Waits for a writer
    /// at work, but not for one that died.
    pub(crate) fn read_steadily<T>(
        &self,
        wait: Duration,
        mut read: impl FnMut(Option<&StateDir>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        loop {
            let state = self.state()?;
            let before = mark(state.as_ref())?;
            if !before.installing {
                let result = read(state.as_ref())?;
                let state = match state {
                    Some(state) => Some(state),
                    None => self.state()?,
                };
                if mark(state.as_ref())? == before {
                    return Ok(result);
                }
            } else if let Some(state) = &state
                && !state.is_locked()?
                && mark(Some(state))? == before
            {
                return Err(left_behind(state)?);
            }
            if began.elapsed() >= wait {
                let state = self.state()?;
                let is_locked = state.as_ref().map_or(Ok(false), StateDir::is_locked)?;
                // Where nothing is half installed, batches have followed one another all the while.
                return Err(match before.installing && !is_locked {
                    true => unfinished(),
                    false => locked(wait),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The error of a reader that meets a journal whose writer is gone.
fn left_behind(state: &StateDir) -> Result<Error, Error> {
    let found = match state.part("txn")? {
        Some(txn) => journal::current(&txn)?
            .map(|current| journal::read(&current, state.key.as_ref()))
            .transpose()?,
        None => None,
    };
    Ok(match found {
        Some(JournalState::Foreign) => journal::foreign(),
        _ => unfinished(),
    })
}

/// The error of a reader that meets a half-installed tree.
fn unfinished() -> Error {
    Error::unfinished("a batch is half installed, so the tree is neither old nor new; run recover")
}

fn mark(state: Option<&StateDir>) -> Result<Mark, Error> {
    let Some(state) = state else {
        return Ok(Mark {
            parts: [None; 2],
            installing: false,
        });
    };
    let io = |error| fail("look at", "txn", error);
    // Times may be too coarse to tell two transactions apart: lengths and link counts, which the
    // log's entries change, mostly can.
    let look =
        |part: &str| -> Result<Option<Meta>, Error> { state.dir.stat(part.as_bytes()).map_err(io) };
    let parts = [look("txn")?, look("log")?];
    let current = match state.part("txn")? {
        Some(txn) => journal::current(&txn)?,
        None => None,
    };
    let installing = match current {
        Some(current) => current.stat(MANIFEST).map_err(io)?.is_some(),
        None => false,
    };
    Ok(Mark { parts, installing })
}
