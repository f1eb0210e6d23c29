//! The state beside the tree while a verification command runs, and behind it.
//!
//! `git clean -fdx` removes all of the state, and with it the journal and the old files. As long as
//! the process lives it knows them. So that its death loses nothing either, both are written anew
//! while the command still runs, once they have been gone for a moment.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::workspace::commit::install::Install;
use crate::workspace::commit::recover;
use crate::workspace::commit::transaction::Work;
use crate::workspace::disk::{Dir, FileKind};
use crate::workspace::state::chain;
use crate::workspace::state::journal::{self, JournalState, MANIFEST};
use crate::workspace::state::record::Record;
use crate::workspace::state::{CURRENT, Held, STATE, SavedConflict, fail};

/// How long the journal is to be missing, and nothing else to be removed, before it is written anew:
/// a command that is removing the rest of the state must not find new files in it.
const SETTLED: Duration = Duration::from_secs(1);
/// The same where all of the state is gone: who puts a copy back does so at once.
const GONE: Duration = Duration::from_millis(50);

/// The state as it stands.
pub(crate) struct Standing<'a> {
    work: &'a Work<'a>,
    install: &'a Install<'a>,
    /// The state that was made again.
    held: Option<Held>,
    /// The journal's directory that was made again.
    current: Option<Dir>,
    /// What stood in the place of either.
    conflicts: Vec<SavedConflict>,
    missing: Option<(Instant, Rest)>,
}

/// What is left of the state where the journal is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    /// Its directory is gone, which is removed last.
    Nothing,
    /// When entries of the state, of `txn` and of `log` were last made or removed.
    Parts([Option<[i64; 2]>; 3]),
}

impl Rest {
    fn patience(self) -> Duration {
        match self {
            Self::Nothing => GONE,
            Self::Parts(_) => SETTLED,
        }
    }
}

impl<'a> Standing<'a> {
    pub(crate) fn new(work: &'a Work<'a>, install: &'a Install<'a>) -> Self {
        Self {
            work,
            install,
            held: None,
            current: None,
            conflicts: Vec::new(),
            missing: None,
        }
    }

    /// The state, made again or not.
    pub(crate) fn held(&self) -> &Held {
        self.held.as_ref().unwrap_or(self.work.held)
    }

    fn current(&self) -> &Dir {
        self.current.as_ref().unwrap_or(self.install.current)
    }

    /// The installation, in the state as it stands.
    pub(crate) fn install_again(&self) -> Install<'_> {
        Install {
            state: &self.held().state,
            current: self.current(),
            conflicts: [&self.install.conflicts[..], &self.conflicts].concat(),
            ..*self.install
        }
    }

    /// Writes journal and old files anew once they are gone. A journal that was only moved is left
    /// where it is until the command has ended: it may come back.
    pub(crate) fn watch(&mut self, record: &mut Record) {
        if !matches!(self.current().stat(MANIFEST), Ok(None)) {
            self.missing = None;
            return;
        }
        let rest = self.rest();
        match self.missing {
            Some((since, before)) if before == rest => {
                if since.elapsed() >= rest.patience() {
                    // What does not succeed now is tried again later, and when the command has
                    // ended.
                    self.missing = None;
                    let _ = self.restore(record);
                }
            }
            _ => self.missing = Some((Instant::now(), rest)),
        }
    }

    fn rest(&self) -> Rest {
        if let Ok(None) = self.work.root.dir.stat(STATE.as_bytes()) {
            return Rest::Nothing;
        }
        let Held {
            state, txn, log, ..
        } = self.held();
        let changed = |dir: &Dir| dir.stat_self().ok().map(|meta| meta.mtime);
        Rest::Parts([&state.dir, txn, log].map(changed))
    }

    fn restore(&mut self, record: &mut Record) -> Result<(), Error> {
        // The command must not wait for anybody.
        self.renew_state(record, Duration::ZERO)?;
        self.renew_current(record)?;
        journal::rewrite(self.held(), self.current(), record)?;
        let mut install = Install {
            state: &self.held().state,
            current: self.current(),
            conflicts: Vec::new(),
            ..*self.install
        };
        let refilled = install.refill();
        let conflicts = install.conflicts;
        self.conflicts.extend(conflicts);
        refilled
    }

    /// Looks at the state when the command has ended, and makes again what is gone.
    pub(crate) fn renew(&mut self, record: &mut Record, notes: &mut Vec<String>) {
        let wait = self.work.options.lock_wait;
        // Too much hangs on it to give up at the first error.
        let renewed = self.renew_state(record, wait);
        if let Err(error) = renewed.or_else(|_| self.renew_state(record, wait)) {
            notes.push(format!(
                "the state beside the tree cannot be used, so there is no record of the batch: {error}"
            ));
        }
        let renewed = self.renew_current(record);
        if let Err(error) = renewed.or_else(|_| self.renew_current(record)) {
            notes.push(format!("the journal's directory cannot be used: {error}"));
        }
        if self.held.is_some() {
            let who = match self.work.options.verify {
                Some(_) => "the verification command",
                None => "another program",
            };
            notes.push(format!(
                "{who} removed or replaced {STATE} or a part of it; what this batch needs was made again"
            ));
        }
    }

    fn renew_state(&mut self, record: &mut Record, wait: Duration) -> Result<(), Error> {
        let workspace = self.work.workspace;
        let Some(renewed) = (self.held()).renewed(workspace, record.transaction, wait)? else {
            return Ok(());
        };
        // The log that the record goes into may be another one.
        if let Ok(previous) = chain::previous(&renewed.held) {
            record.previous = previous;
        }
        self.conflicts.extend(renewed.moved);
        self.held = Some(renewed.held);
        Ok(())
    }

    fn renew_current(&mut self, record: &Record) -> Result<(), Error> {
        if let Some(current) = self.current_again(self.held(), self.current(), record)? {
            self.current = Some(current);
        }
        Ok(())
    }

    /// The journal's directory as it is now; `None` where it is still the one that we have.
    fn current_again(
        &self,
        held: &Held,
        known: &Dir,
        record: &Record,
    ) -> Result<Option<Dir>, Error> {
        let io = |error| fail("open", "txn/current", error);
        let name = CURRENT.as_bytes();
        held.txn.open_up(name).map_err(io)?;
        let known = known.stat_self().map_err(io)?;
        if let Some(there) = held.txn.stat(name).map_err(io)? {
            if there.is_same_file(&known) {
                return Ok(None);
            }
            if there.kind == FileKind::Directory {
                let dir = held.txn.directory(CURRENT).map_err(io)?;
                // Moved away and back, or copied.
                if let Some(dir) = dir
                    && let Ok(JournalState::Committed(found, _)) =
                        journal::read(&dir, Some(&held.key))
                    && found.transaction == record.transaction
                {
                    return Ok(Some(dir));
                }
            }
            // Another process began a batch in the new state, and died.
            let _ = recover::recover(self.work.root, held);
            if held.txn.stat(name).map_err(io)?.is_some() {
                journal::abandon(held)?;
            }
        }
        held.txn.make_directory(name, 0o700).map_err(io)?;
        if record.journal.durable {
            let sync = || {
                held.txn.sync()?;
                held.state.dir.sync()?;
                self.work.root.dir.sync()
            };
            sync().map_err(io)?;
        }
        held.txn.directory(CURRENT).map_err(io)
    }
}
