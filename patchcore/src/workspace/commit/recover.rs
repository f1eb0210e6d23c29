//! Finishing what another run began: forward behind its commit point, back before it.

use crate::digest::Digest;
use crate::error::{Error, Hint};
use crate::path::RelPath;
use crate::plan::Policy;
use crate::plan::paths;
use crate::workspace::STATE;
use crate::workspace::Workspace;
use crate::workspace::commit::install::Install;
use crate::workspace::disk::Dir;
use crate::workspace::root::Root;
use crate::workspace::state::chain::{self, Place};
use crate::workspace::state::journal::{self, JournalState};
use crate::workspace::state::record::{Method, Record, TransactionId, TransactionState};
use crate::workspace::state::{CURRENT, Held, SavedConflict, TASKS, fail};

/// What was found unfinished, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recovered {
    /// Nothing was unfinished.
    Nothing,
    /// A transaction had not come to its commit point; its staged files are gone.
    Discarded,
    /// A committed transaction was finished.
    Finished {
        /// Which one.
        transaction: TransactionId,
        /// What strangers wrote meanwhile, and where it is kept.
        conflicts: Vec<SavedConflict>,
    },
    /// A transaction that was not verified was taken back.
    TakenBack {
        /// Which one.
        transaction: TransactionId,
        /// What strangers wrote meanwhile, and where it is kept.
        conflicts: Vec<SavedConflict>,
    },
    /// A transaction was set aside; the tree is as it was found.
    Abandoned {
        /// Where it is kept, relative to the root.
        kept: String,
    },
}

impl Workspace {
    /// Finishes or takes back what another run left unfinished. Every command that writes does
    /// this first.
    ///
    /// # Errors
    /// `UNFINISHED` where the journal is damaged: see [`abandon`](Self::abandon). `FOREIGN_STATE`
    /// where it was not written here: see [`adoption`](Self::adoption). `LOCK_TIMEOUT` where
    /// another process works on the tree; `IO`.
    pub fn recover(&self) -> Result<Recovered, Error> {
        let held = self.hold(crate::workspace::LOCK_WAIT)?;
        self.recovered(&held)
    }

    /// Sets an unfinished transaction aside, whatever its state, and leaves the tree as it is.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT` where another process works on the tree; `IO`.
    pub fn abandon(&self) -> Result<Recovered, Error> {
        let held = self.hold_whatever(crate::workspace::LOCK_WAIT)?;
        // Whatever it is, or whatever keeps us from looking into it.
        let there = held.txn.stat(CURRENT.as_bytes());
        if there
            .map_err(|error| fail("look at", "txn/current", error))?
            .is_none()
        {
            return Ok(Recovered::Nothing);
        }
        journal::abandon(&held).map(|kept| Recovered::Abandoned { kept })
    }
}

/// Recovers under the lock.
pub(crate) fn recover(root: &Root, held: &Held) -> Result<Recovered, Error> {
    let Some(current) = journal::current(&held.txn)? else {
        return Ok(Recovered::Nothing);
    };
    let (record, digest) = match journal::read(&current, Some(&held.key))? {
        JournalState::Corrupt(why) => return Err(journal::corrupt(&why)),
        JournalState::Foreign => return Err(journal::foreign()),
        JournalState::Uncommitted => {
            // A power cut can take a record's bytes and leave the head that names it.
            let manifest = current.stat(journal::MANIFEST);
            if manifest
                .map_err(|error| fail("look at", "txn/current/manifest", error))?
                .is_some()
            {
                chain::retreat(held, None)?;
            }
            journal::discard(root, held, &current)?;
            return Ok(Recovered::Discarded);
        }
        JournalState::Committed(record, digest) => (*record, digest),
    };
    match chain::place_of(held, &record, digest)? {
        Place::Next => {}
        Place::Last => {
            // It was installed, so nothing of it is done again.
            journal::finish(held, &record, digest)?;
            return Ok(finished(&record, Vec::new()));
        }
        Place::Past => return Err(journal::misplaced(&record.transaction)),
    }
    // What the operator had opened for the batch is open for its recovery.
    let policy = Policy {
        allow_paths: record.overrides.allow_paths.clone(),
        ..Policy::default()
    };
    check(&record, &policy).map_err(|why| journal::corrupt(&why))?;
    follow(root, held, &current, record, digest)
}

/// Finishes a transaction of ours, or takes it back.
///
/// An error that may leave the tree half installed is `UNFINISHED`, whatever it comes from.
pub(crate) fn follow(
    root: &Root,
    held: &Held,
    current: &Dir,
    mut record: Record,
    digest: Digest,
) -> Result<Recovered, Error> {
    let is_observed = record.journal.method == Method::Observed;
    let (what, hint) = match record.state {
        TransactionState::Committed if !is_observed => ("is committed, but not finished", None),
        TransactionState::Prepared => (
            "was not verified and is to be rolled back",
            Some(Hint::Abandon),
        ),
        _ => return carry_on(root, held, current, &mut record, digest),
    };
    carry_on(root, held, current, &mut record, digest).map_err(|error| Error::Unfinished {
        message: format!(
            "transaction {} {what}, so {} may be as before it or as after it: {error}; fix that and run recover again{}",
            record.transaction,
            record.names(),
            hint.map_or("", |_| ", or set the transaction aside")
        ),
        hint,
    })
}

fn carry_on(
    root: &Root,
    held: &Held,
    current: &Dir,
    record: &mut Record,
    mut digest: Digest,
) -> Result<Recovered, Error> {
    let transaction = record.transaction;
    let journal = record.journal.clone();
    let mut install = Install {
        root,
        state: &held.state,
        current,
        transaction,
        journal: &journal,
        trust_before: None,
        memory: None,
        conflicts: Vec::new(),
    };
    if record.state == TransactionState::Committed {
        if journal.method != Method::Observed {
            install.forward()?;
            install.gather()?;
        }
        journal::finish(held, record, digest)?;
        return Ok(finished(record, install.conflicts));
    }
    if record.state == TransactionState::Prepared {
        install.back()?;
        record.roll_back();
        digest = journal::rewrite(held, current, record)?;
    }
    install.clean()?;
    journal::finish(held, record, digest)?;
    Ok(finished(record, install.conflicts))
}

/// What became of a transaction that came into the log.
fn finished(record: &Record, conflicts: Vec<SavedConflict>) -> Recovered {
    let transaction = record.transaction;
    match record.state {
        TransactionState::Committed => Recovered::Finished {
            transaction,
            conflicts,
        },
        _ => Recovered::TakenBack {
            transaction,
            conflicts,
        },
    }
}

/// A journal is only followed where a batch could have gone under this policy; else why not.
pub(crate) fn check(record: &Record, policy: &Policy) -> Result<(), String> {
    let tasks = RelPath::new(format!("{STATE}/{TASKS}")).expect("two plain components");
    let journal = &record.journal;
    let directories = journal.made.iter().chain(&journal.emptied);
    let paths = journal.steps.iter().map(|step| &step.path);
    for path in paths.chain(directories.map(|directory| &directory.path)) {
        if *path != tasks
            && let Some(refusal) = paths::protected(path, policy)
        {
            return Err(refusal.message);
        }
    }
    if record.state == TransactionState::Refused {
        return Err("its journal says that it was refused".to_owned());
    }
    Ok(())
}
