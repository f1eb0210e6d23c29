//! Reading a tree that somebody may be installing into.

use std::time::{Duration, Instant};

use super::Workspace;
use super::journal::MANIFEST;
use super::load::now;
use super::state::{CURRENT, State, fail};
use crate::error::{Code, Error, Refusal};

/// What a reader compares: a transaction that comes or goes changes the journal's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    modified: [i64; 2],
    /// A transaction is, or may be, half installed.
    installing: bool,
}

impl Workspace {
    /// Reads without the lock, and again where a batch was installed meanwhile. Waits for a writer
    /// at work, but not for one that died.
    pub(super) fn read_steadily<T>(
        &self,
        wait: Duration,
        mut read: impl FnMut(Option<&State>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        loop {
            let state = State::open(&self.root)?;
            let before = mark(state.as_ref())?;
            if !before.installing {
                let result = read(state.as_ref())?;
                let state = match state {
                    Some(state) => Some(state),
                    None => State::open(&self.root)?,
                };
                if mark(state.as_ref())? == before && is_settled(before.modified) {
                    return Ok(result);
                }
            } else if let Some(state) = &state
                && !state.is_locked()?
                && mark(Some(state))? == before
            {
                return Err(unfinished());
            }
            if began.elapsed() >= wait {
                return Err(unfinished());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The refusal of a reader that meets a half-installed tree.
fn unfinished() -> Error {
    Refusal::new(
        Code::Unfinished,
        "a batch is half installed, so the tree is neither old nor new; run recover",
    )
    .into()
}

fn mark(state: Option<&State>) -> Result<Mark, Error> {
    let none = Mark {
        modified: [0; 2],
        installing: false,
    };
    let Some(state) = state else {
        return Ok(none);
    };
    let Some(txn) = state.part("txn")? else {
        return Ok(none);
    };
    let io = |error| fail("look at", "txn", error);
    let modified = txn.stat_self().map_err(io)?.mtime;
    let installing = match txn.directory(CURRENT).map_err(io)? {
        Some(current) => current.stat(MANIFEST).map_err(io)?.is_some(),
        None => false,
    };
    Ok(Mark {
        modified,
        installing,
    })
}

/// Whether the directory's time is old enough to show the next change.
fn is_settled([seconds, nanos]: [i64; 2]) -> bool {
    const TICK: i64 = 10_000_000;
    let [now_seconds, now_nanos] = now();
    (now_seconds - seconds) * 1_000_000_000 + now_nanos - nanos > TICK || seconds == 0
}
