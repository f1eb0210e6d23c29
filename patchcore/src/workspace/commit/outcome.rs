//! The transaction behind its journal: install, verify, record, or take back.
//!
//! The verification command may do anything to the tree, and to the state beside it: [`standing`]
//! makes again what it removes.
//!
//! [`standing`]: super::standing

use crate::digest::Digest;
use crate::error::{Error, Refusal};
use crate::workspace::commit::install::Install;
use crate::workspace::commit::memory::Memory;
use crate::workspace::commit::standing::Standing;
use crate::workspace::commit::transaction::{Done, Work};
use crate::workspace::commit::verify::{self, Judgement};
use crate::workspace::disk::Dir;
use crate::workspace::disk::earlier;
use crate::workspace::options::Verify;
use crate::workspace::state::journal::{self, JournalState};
use crate::workspace::state::record::{Record, TransactionState};
use crate::workspace::state::{Held, TASKS, fail};

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
            (Ok(()), None) => {
                let again = Install {
                    conflicts: install.conflicts.clone(),
                    ..install
                };
                let done = self.end(Judged::Passed(digest), self.held, install, record)?;
                return match &done.unfinished {
                    Some(_) if !self.can_be_finished(&again) => {
                        let standing = Standing::new(self, &again);
                        self.settle(Ok(()), Vec::new(), standing, record)
                    }
                    _ => Ok(done),
                };
            }
            (Err(error), None) if self.can_be_finished(&install) => Judged::Unfinished(error),
            (Err(error), None) => return self.give_up(&error, &install, record),
            (Err(error), Some(_)) => Judged::Failed(error.to_refusal()),
        };
        self.end(judged, self.held, install, record)
    }

    /// Whether the next run will find what it takes to go on where this one stopped.
    fn can_be_finished(&self, install: &Install<'_>) -> bool {
        // Where nobody can look, nothing is known to be gone.
        let has_journal = matches!(
            journal::read(install.current, Some(&self.held.key)),
            Ok(JournalState::Committed(..)) | Err(_)
        );
        let held = self.held;
        has_journal
            && held.leads_to(self.root, install.current, &install.transaction)
            && install.can_go_on()
    }

    /// Takes a batch back that nobody can finish, since somebody removed its journal or its new
    /// files meanwhile.
    fn give_up(
        &self,
        error: &Error,
        install: &Install<'_>,
        record: &mut Record,
    ) -> Result<Done, Error> {
        record.state = TransactionState::Prepared;
        let mut notes = Vec::new();
        let mut standing = Standing::new(self, install);
        standing.renew(record, &mut notes);
        let held = standing.held();
        let install = standing.install_again();
        // The next run takes it back if this one dies.
        let _ = journal::rewrite(held, install.current, record);
        let message = format!(
            "{error}; somebody removed what the batch was to be finished from, so it is taken back"
        );
        let refusal = Refusal::new(error.code(), message);
        told(
            self.end(Judged::Failed(refusal), held, install, record),
            notes,
        )
    }

    /// Runs the verification command; its success is the commit.
    fn judge(
        &self,
        command: &Verify,
        install: Install<'_>,
        record: &mut Record,
    ) -> Result<Done, Error> {
        let interrupt = self.options.interrupt.as_deref();
        let transaction = record.transaction;
        let mut standing = Standing::new(self, &install);
        let Judgement { verdict, notes } =
            verify::run(command, &self.root.path, &transaction, interrupt, || {
                standing.watch(record)
            });
        self.settle(verdict, notes, standing, record)
    }

    /// Brings an installed batch to its end, whatever became of the state meanwhile.
    fn settle(
        &self,
        verdict: Result<(), Refusal>,
        mut notes: Vec<String>,
        mut standing: Standing<'_>,
        record: &mut Record,
    ) -> Result<Done, Error> {
        standing.renew(record, &mut notes);
        let held = standing.held();
        let mut install = standing.install_again();
        // Where the journal is gone, too, it comes before the old files: who dies between the two
        // leaves a batch that is told of, and one that was verified stays.
        let has_journal = journal::is_there(install.current, held);
        // One error is not enough to lose anything.
        let refill = |install: &mut Install<'_>| install.refill().or_else(|_| install.refill());
        let judged = match verdict {
            Ok(()) => {
                let early = has_journal.then(|| refill(&mut install));
                let judged = self.commit_verified(held, &install, record);
                if let Err(error) = early.unwrap_or_else(|| refill(&mut install)) {
                    notes.push(format!("the batch cannot be undone: {error}"));
                }
                judged
            }
            Err(refusal) => {
                // The next run takes it back if this one dies. Where it cannot be written, this one
                // does what it can.
                if !has_journal {
                    let _ = journal::rewrite(held, install.current, record);
                }
                let _ = refill(&mut install);
                Judged::Failed(refusal)
            }
        };
        told(self.end(judged, held, install, record), notes)
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
                    // Without a journal nobody else knows of the batch.
                    let advice = match journal::read(install.current, Some(&held.key)) {
                        Ok(JournalState::Uncommitted) => {
                            "no journal could be left for recover, so put these files right by hand"
                        }
                        _ => "fix that, then run recover",
                    };
                    let message = format!(
                        "the batch failed ({}) and rolling it back failed: {error}; {advice}",
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

/// Adds what else is to be said.
fn told(ended: Result<Done, Error>, notes: Vec<String>) -> Result<Done, Error> {
    match ended {
        Ok(done) => Ok(Done { notes, ..done }),
        Err(error) if notes.is_empty() => Err(error),
        Err(error) => Err(Error::Unfinished {
            message: format!("{error}; {}", notes.join("; ")),
            hint: error.hint(),
        }),
    }
}
