//! The transaction behind its journal: install, verify, record, or take back.
//!
//! The verification command may do anything to the tree, and to the state beside it: `git clean
//! -fdx` removes all of it. So when it has ended, the state is looked at, made again where it is
//! gone, and what it held is written anew from what the process knows.

use crate::digest::Digest;
use crate::error::{Error, Refusal};
use crate::workspace::commit::install::Install;
use crate::workspace::commit::memory::Memory;
use crate::workspace::commit::recover;
use crate::workspace::commit::transaction::{Done, Work};
use crate::workspace::commit::verify::{self, Judgement};
use crate::workspace::disk::earlier;
use crate::workspace::disk::{Dir, FileKind};
use crate::workspace::options::Verify;
use crate::workspace::state::chain;
use crate::workspace::state::journal::{self, JournalState};
use crate::workspace::state::record::{Record, TransactionState};
use crate::workspace::state::{CURRENT, Held, STATE, TASKS, fail};

/// What an installed batch is worth.
enum Judged {
    /// It stays; this is its record's digest.
    Passed(Digest),
    /// It is committed; the rest is left for the next run.
    Unfinished(Error),
    /// It does not stay.
    Failed(Refusal),
}

impl Work<'_> {
    /// Everything behind the journal. What fails behind the commit point is left for the next run;
    /// what fails before it, since it was to be verified, is taken back.
    pub(crate) fn carry_out(
        &self,
        current: &Dir,
        memory: &Memory<'_>,
        record: &mut Record,
        digest: Digest,
    ) -> Result<Done, Error> {
        let journal = record.journal.clone();
        let mut install = Install {
            root: self.root,
            state: &self.held.state,
            current,
            transaction: record.transaction,
            journal: &journal,
            trust_before: Some(earlier(self.loaded.began)),
            memory: Some(memory),
            conflicts: Vec::new(),
        };
        let judged = match (install.forward(), &self.options.verify) {
            (Ok(()), Some(command)) => return self.judge(command, install, record),
            (Ok(()), None) => Judged::Passed(digest),
            (Err(error), _) if record.state == TransactionState::Committed => {
                Judged::Unfinished(error)
            }
            (Err(error), _) => Judged::Failed(error.to_refusal()),
        };
        self.end(judged, self.held, install, record)
    }

    /// Runs the verification command; its success is the commit.
    fn judge(
        &self,
        command: &Verify,
        install: Install<'_>,
        record: &mut Record,
    ) -> Result<Done, Error> {
        let interrupt = self.options.interrupt.as_deref();
        let Judgement { verdict, mut notes } =
            verify::run(command, &self.root.path, &record.transaction, interrupt);
        let wait = self.options.lock_wait;
        let renew = || self.held.renewed(self.workspace, record.transaction, wait);
        // Too much hangs on it to give up at the first error.
        let renewed = renew().or_else(|_| renew()).unwrap_or_else(|error| {
            notes.push(format!(
                "the state beside the tree cannot be used, so there is no record of the batch: {error}"
            ));
            None
        });
        let held = renewed.as_ref().map_or(self.held, |renewed| &renewed.held);
        let open = || self.current_again(held, install.current, record);
        let current = open().or_else(|_| open()).unwrap_or_else(|error| {
            notes.push(format!("the journal's directory cannot be used: {error}"));
            None
        });
        let mut install = Install {
            state: &held.state,
            current: current.as_ref().unwrap_or(install.current),
            ..install
        };
        if let Some(renewed) = &renewed {
            // The log that the record goes into may be another one.
            if let Ok(previous) = chain::previous(&renewed.held) {
                record.previous = previous;
            }
            install.conflicts.extend(renewed.moved.iter().cloned());
            notes.push(format!(
                "the verification command removed or replaced {STATE} or a part of it; what this batch needs was made again"
            ));
        }
        let refilled = install.refill();
        let judged = match verdict {
            Ok(()) => {
                if let Err(error) = refilled {
                    notes.push(format!("the batch cannot be undone: {error}"));
                }
                self.commit_verified(held, &install, record)
            }
            Err(refusal) => {
                // The next run takes it back if this one dies. Where it cannot be written, this one
                // does what it can.
                if !matches!(
                    journal::read(install.current, Some(&held.key)),
                    Ok(JournalState::Committed(..))
                ) {
                    let _ = journal::rewrite(held, install.current, record);
                }
                Judged::Failed(refusal)
            }
        };
        match self.end(judged, held, install, record) {
            Ok(done) => Ok(Done { notes, ..done }),
            Err(error) if notes.is_empty() => Err(error),
            Err(error) => Err(Error::Unfinished {
                message: format!("{error}; {}", notes.join("; ")),
                hint: error.hint(),
            }),
        }
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
            let _ = recover::recover(self.root, held);
            if held.txn.stat(name).map_err(io)?.is_some() {
                journal::abandon(held)?;
            }
        }
        held.txn.make_directory(name, 0o700).map_err(io)?;
        if record.journal.durable {
            let sync = || {
                held.txn.sync()?;
                held.state.dir.sync()?;
                self.root.dir.sync()
            };
            sync().map_err(io)?;
        }
        held.txn.directory(CURRENT).map_err(io)
    }

    /// The batch was verified: from here on it counts.
    fn commit_verified(&self, held: &Held, install: &Install<'_>, record: &mut Record) -> Judged {
        record.state = TransactionState::Committed;
        let written = self
            .write_lost_tasks(install)
            .and_then(|()| journal::rewrite(held, install.current, record));
        let error = match written {
            Ok(digest) => return Judged::Passed(digest),
            Err(error) => error,
        };
        // The next run goes by what stands there now.
        match journal::read(install.current, Some(&held.key)) {
            Ok(JournalState::Committed(there, _)) if there.state == TransactionState::Committed => {
                Judged::Unfinished(error)
            }
            _ => {
                record.state = TransactionState::Prepared;
                Judged::Failed(error.to_refusal())
            }
        }
    }

    /// Writes the batch's task manifest once more, where it went with the state.
    fn write_lost_tasks(&self, install: &Install<'_>) -> Result<(), Error> {
        const DRAFT: &[u8] = b"tasks.json.new";
        let Some(tasks) = &self.tasks else {
            return Ok(());
        };
        let dir = &install.state.dir;
        let write = || {
            if dir.stat(TASKS.as_bytes())?.is_some() {
                return Ok(());
            }
            dir.clear(DRAFT)?;
            let file = dir.create(DRAFT, 0o666)?;
            file.write_chunks([&**tasks].into_iter())?;
            if self.options.durable {
                file.sync()?;
            }
            dir.rename(DRAFT, dir, TASKS.as_bytes())
        };
        write().map_err(|error| fail("write", TASKS, error))
    }

    fn end(
        &self,
        judged: Judged,
        held: &Held,
        mut install: Install<'_>,
        record: &mut Record,
    ) -> Result<Done, Error> {
        let result = match judged {
            Judged::Passed(digest) => install
                .gather()
                .and_then(|()| journal::finish(held, record, digest)),
            Judged::Unfinished(error) => Err(error),
            Judged::Failed(refusal) => {
                // The command may have changed what was installed: look closely.
                install.trust_before = None;
                install.back().map_err(|error| {
                    let message = format!(
                        "the batch failed ({}) and rolling it back failed: {error}; fix that, then run recover",
                        refusal.message
                    );
                    Error::unfinished(message)
                })?;
                record.roll_back();
                record.refusal = Some(refusal);
                // The tree is as it was. What cannot be written down now, the next run does.
                let _ = journal::rewrite(held, install.current, record)
                    .and_then(|digest| install.clean().map(|()| digest))
                    .and_then(|digest| journal::finish(held, record, digest));
                Ok(())
            }
        };
        Ok(Done {
            conflicts: install.conflicts,
            unfinished: result.err(),
            notes: Vec::new(),
        })
    }
}
