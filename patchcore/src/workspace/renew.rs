//! The state after somebody removed or replaced parts of it while it was held.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Workspace;
use super::disk::{Dir, Kind, Meta};
use super::install::SavedConflict;
use super::record::TransactionId;
use super::root::Root;
use super::state::{self, Held, STATE, State, fail, state_path};
use crate::error::Error;
use crate::path::RelPath;

/// The directories in the state that a batch may need.
const PARTS: [&str; 5] = ["txn", "log", "ledger", "conflicts", "abandoned"];

/// A state that was made again.
#[derive(Debug)]
pub(super) struct Renewed {
    pub(super) held: Held,
    /// What was in the way, and where it is kept.
    pub(super) moved: Vec<SavedConflict>,
}

impl Workspace {
    /// The state as it is now; `None` where it is still the one that we hold.
    ///
    /// What was removed is made again, and what is no directory of its own is moved out of the way.
    pub(super) fn renewed(
        &self,
        known: &Held,
        transaction: TransactionId,
        wait: Duration,
    ) -> Result<Option<Renewed>, Error> {
        let root = &self.root;
        let mut moved = Moved::new(transaction);
        let io = |error| root.error("look at", &state_path(), error);
        root.dir.open_up(STATE.as_bytes()).map_err(io)?;
        moved.aside(&root.dir, STATE).map_err(io)?;
        let state = self.make_state()?;
        let own = |name: &str, error| fail("look at", name, error);
        for name in PARTS {
            let io = |error| own(name, error);
            state.dir.open_up(name.as_bytes()).map_err(io)?;
            moved.aside(&state.dir, name).map_err(io)?;
        }
        let stays = |name: &str, was: io::Result<Meta>| -> Result<bool, Error> {
            let io = |error| own(name, error);
            let there = state.dir.stat(name.as_bytes()).map_err(io)?;
            let was = was.map_err(io)?;
            Ok(there.is_some_and(|there| there.is_same_file(&was)))
        };
        let keeps_lock = stays("lock", known.lock.stat())?;
        if keeps_lock
            && moved.is_empty()
            && state.key.as_ref().is_some_and(|key| key.is(&known.key))
            && stays("txn", known.txn.stat_self())?
            && stays("log", known.log.stat_self())?
        {
            return Ok(None);
        }
        let lock = if keeps_lock {
            Arc::clone(&known.lock)
        } else {
            Arc::new(state::lock(&state.dir, wait)?)
        };
        let held = self.hold_locked(state, lock, Some(&known.key))?;
        let moved = moved.keep(root, &held.state)?;
        Ok(Some(Renewed { held, moved }))
    }
}

/// What stood where a directory of the state should be.
struct Moved {
    transaction: TransactionId,
    /// In the root, or in the state.
    names: Vec<&'static str>,
}

impl Moved {
    fn new(transaction: TransactionId) -> Self {
        Self {
            transaction,
            names: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Gives what is no directory another name.
    fn aside(&mut self, dir: &Dir, name: &'static str) -> io::Result<()> {
        match dir.stat(name.as_bytes())? {
            Some(there) if there.kind != Kind::Directory => {}
            _ => return Ok(()),
        }
        let aside = self.aside_name(name);
        dir.rename_new(name.as_bytes(), dir, aside.as_bytes())?;
        self.names.push(name);
        Ok(())
    }

    /// Moves all of it to the conflicts.
    fn keep(self, root: &Root, state: &State) -> Result<Vec<SavedConflict>, Error> {
        let mut kept = Vec::new();
        for &name in &self.names {
            let conflicts = state.make_part("conflicts")?;
            let dir = if name == STATE {
                &*root.dir
            } else {
                &state.dir
            };
            let aside = self.aside_name(name);
            let new = format!("{}-{name}", self.transaction);
            dir.rename_new(aside.as_bytes(), &conflicts, new.as_bytes())
                .map_err(|error| fail("keep", name, error))?;
            let path = match name {
                STATE => state_path(),
                _ => RelPath::new(format!("{STATE}/{name}")).expect("two plain components"),
            };
            kept.push(SavedConflict {
                path,
                kept: format!("{STATE}/conflicts/{new}"),
            });
        }
        Ok(kept)
    }

    fn aside_name(&self, name: &str) -> String {
        format!("{name}.{}", self.transaction)
    }
}
