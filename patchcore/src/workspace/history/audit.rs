//! The log against the tree: who else changed what, and whether the log itself is whole.

mod chain;

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::Error;
use crate::path::RelPath;
use crate::plan::{Entry, Source};
use crate::workspace::Workspace;
use crate::workspace::read::load;
use crate::workspace::state::log::Log;
use crate::workspace::state::record::{Identity, Record, TransactionId, TransactionState};

use chain::Chain;

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Audit {
    /// Files that the log knows of.
    pub files: usize,
    /// Records that were read.
    pub records: usize,
    /// Files that somebody else changed, by path.
    pub changed: Vec<ForeignChange>,
    /// Log entries that are not what was written.
    pub damaged: Vec<Damage>,
}

/// A change that is in no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChange {
    /// The file.
    pub path: RelPath,
    /// The transaction that knew the file last.
    pub since: TransactionId,
    /// The transaction that found it changed; `None` where that is the tree as it is now.
    pub until: Option<TransactionId>,
    /// The hash that `since` left; `None` where it left no file.
    pub expected: Option<Digest>,
    /// The hash that was found; `None` where no file was.
    pub found: Option<Digest>,
}

/// A log entry that is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which one.
    pub transaction: TransactionId,
    /// What is wrong with it.
    pub why: String,
}

/// What a transaction left at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Left {
    digest: Digest,
    link: bool,
}

impl Left {
    fn of(source: &Source) -> Self {
        Self {
            digest: source.digest(),
            link: source.is_link(),
        }
    }
}

/// What each path was left as, and by which transaction.
type Known = BTreeMap<RelPath, (TransactionId, Option<Left>)>;

/// The log as far as it was followed.
#[derive(Debug, Default)]
pub(crate) struct History {
    known: Known,
}

impl History {
    /// Takes note of a file that is known otherwise.
    pub(crate) fn knows(
        &mut self,
        path: &RelPath,
        since: TransactionId,
        digest: Digest,
        link: bool,
    ) {
        let left = Some(Left { digest, link });
        self.known.insert(path.clone(), (since, left));
    }

    /// Follows the next record, and tells what it found changed by somebody else.
    pub(crate) fn follow(&mut self, record: &Record, changed: &mut Vec<ForeignChange>) {
        if record.state != TransactionState::Committed {
            return;
        }
        for step in &record.journal.steps {
            // The manifest of tasks is not the batches' alone.
            if step
                .path
                .as_bytes()
                .starts_with(crate::workspace::STATE.as_bytes())
            {
                continue;
            }
            let left = |identity: Identity| Left {
                digest: identity.digest,
                link: identity.link,
            };
            let (old, new) = (step.old.map(left), step.new.map(left));
            let now = (record.transaction, new);
            if let Some((since, expected)) = self.known.insert(step.path.clone(), now)
                && expected != old
            {
                changed.push(ForeignChange {
                    path: step.path.clone(),
                    since,
                    until: Some(record.transaction),
                    expected: expected.map(|left| left.digest),
                    found: old.map(|left| left.digest),
                });
            }
        }
    }

    /// Takes note of a file that somebody else removed before a transaction, which did not touch it.
    pub(crate) fn lose(
        &mut self,
        path: &RelPath,
        until: TransactionId,
        changed: &mut Vec<ForeignChange>,
    ) {
        let before = self.known.insert(path.clone(), (until, None));
        if let Some((since, Some(expected))) = before {
            changed.push(ForeignChange {
                path: path.clone(),
                since,
                until: Some(until),
                expected: Some(expected.digest),
                found: None,
            });
        }
    }

    /// Forgets all: what happened between is not known any more.
    fn clear(&mut self) {
        self.known.clear();
    }
}

impl Workspace {
    /// Compares the log with the tree, and its records and pre-images with their hashes.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT` where another process installs or verifies a batch all the while, `UNFINISHED`
    /// where one left the tree half installed, `IO`.
    pub fn audit(&self) -> Result<Audit, Error> {
        self.read_steadily(crate::workspace::LOCK_WAIT, |state| {
            let log = self.log()?;
            let mut audit = Audit::default();
            let mut history = History::default();
            let mut chain = Chain::open(state)?;
            for transaction in log.transactions()? {
                // What is left of an entry whose removal was cut short says nothing any more.
                let is_going = chain.was_removed(&transaction);
                match log.read_with_digest(&transaction) {
                    Ok(Some((record, digest))) => {
                        audit.records += 1;
                        if chain.follow(&record, digest, &mut audit) {
                            // What happened between is not known any more.
                            history.clear();
                        }
                        history.follow(&record, &mut audit.changed);
                        if !is_going {
                            audit.check_pre_images(&log, &record)?;
                        }
                    }
                    Ok(None) => chain.pass(transaction),
                    Err(_) if is_going => {}
                    Err(error) => {
                        chain.skip(transaction);
                        audit.damage(transaction, error.to_string());
                    }
                }
            }
            if chain.end(&mut audit) {
                history.clear();
            }
            self.compare(&mut audit, history.known)?;
            Ok(audit)
        })
    }

    fn compare(&self, audit: &mut Audit, known: Known) -> Result<(), Error> {
        audit.files = known.len();
        let known: Vec<_> = known.into_iter().collect();
        // A part at a time: the tree's bytes need not all be in memory at once.
        for part in known.chunks(256) {
            let paths: Vec<RelPath> = part.iter().map(|(path, _)| path.clone()).collect();
            let tree = load::load(&self.root, &paths)?.tree;
            for (path, (since, expected)) in part {
                let found = tree.standing(path).map(|source| Left::of(source));
                // What no batch could read is no file of ours; a directory is no file at all.
                let is_known = found.is_some()
                    || matches!(tree.get(path), Entry::Absent)
                    || tree.obstacle(path).is_some();
                if !is_known || found != *expected {
                    audit.changed.push(ForeignChange {
                        path: path.clone(),
                        since: *since,
                        until: None,
                        expected: expected.map(|left| left.digest),
                        found: found.map(|left| left.digest),
                    });
                }
            }
        }
        audit.changed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(())
    }
}

impl Audit {
    /// Whether log and tree agree.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.changed.is_empty() && self.damaged.is_empty()
    }

    fn damage(&mut self, transaction: TransactionId, why: impl Into<String>) {
        self.damaged.push(Damage {
            transaction,
            why: why.into(),
        });
    }

    fn is_damaged(&self, transaction: &TransactionId) -> bool {
        self.damaged
            .iter()
            .any(|damage| damage.transaction == *transaction)
    }

    fn check_pre_images(&mut self, log: &Log, record: &Record) -> Result<(), Error> {
        if record.state != TransactionState::Committed {
            return Ok(());
        }
        for step in &record.journal.steps {
            let Some(old) = step.old else { continue };
            let why = match log.pre_image(&record.transaction, step.slot)? {
                Some(bytes) if Digest::of(&bytes) == old.digest => continue,
                Some(_) => "was altered",
                None => "is missing",
            };
            let why = format!("the pre-image of {} {why}", step.path);
            self.damage(record.transaction, why);
        }
        Ok(())
    }
}
