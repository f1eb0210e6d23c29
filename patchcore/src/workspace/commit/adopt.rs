//! Adopting an unfinished transaction that was not written here: the operator looks at what it
//! would do, and says so.

use crate::digest::{Digest, Hasher};
use crate::error::{Code, Error, Hint, Refusal, Stop};
use crate::path::RelPath;
use crate::workspace::Workspace;
use crate::workspace::commit::recover::{self, Recovered};
use crate::workspace::disk::{Dir, FileKind};
use crate::workspace::options::ApplyOptions;
use crate::workspace::read::load;
use crate::workspace::state::chain;
use crate::workspace::state::journal;
use crate::workspace::state::record::{
    DirectoryRecord, Identity, Overrides, Record, TransactionId, TransactionState,
};
use crate::workspace::state::{CURRENT, StateDir, fail};

/// What following an unfinished transaction that was not written here would do.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Adoption {
    /// Identifies all that it says and holds: what [`Workspace::adopt`] has to be told.
    pub digest: Digest,
    /// Its record, as its writer left it.
    pub record: Record,
    /// Whether it would be taken back; else it would be finished.
    pub takes_back: bool,
    /// What would become of each file, by path.
    pub files: Vec<AdoptedFile>,
    /// Directories that would be made.
    pub made: Vec<DirectoryRecord>,
    /// Directories that would be removed if nothing else is in them.
    pub removed: Vec<DirectoryRecord>,
    /// Why it cannot be followed, as far as that is known without trying.
    pub obstacle: Option<String>,
}

/// What would become of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdoptedFile {
    /// The file, relative to the root.
    pub path: RelPath,
    /// What the transaction expects there; `None` for no file. Anything else is kept as a conflict.
    pub before: Option<Identity>,
    /// What would be there afterwards; `None` for no file.
    pub after: Option<Identity>,
    /// The hash of what is there now; `None` where that is not a file that can be read.
    pub found: Option<Digest>,
}

impl Workspace {
    /// Shows what following the unfinished transaction would do, if it was not written here;
    /// `None` where nothing is unfinished, or what is was written here. Writes nothing.
    ///
    /// # Errors
    /// `FOREIGN_STATE` where it has no journal that could be followed, `IO`.
    pub fn adoption(&self, options: &ApplyOptions<'_>) -> Result<Option<Adoption>, Error> {
        let Some(state) = self.state()? else {
            return Ok(None);
        };
        let Some((current, record)) = foreign(&state)? else {
            return Ok(None);
        };
        let takes_back = record.state == TransactionState::Prepared;
        let journal = &record.journal;
        let (made, removed) = match takes_back {
            true => (&journal.emptied, &journal.made),
            false => (&journal.made, &journal.emptied),
        };
        Ok(Some(Adoption {
            digest: digest(&current)?,
            takes_back,
            files: self.adopted_files(&record, takes_back)?,
            made: made.clone(),
            removed: removed.clone(),
            obstacle: recover::check(&record, &options.policy).err(),
            record,
        }))
    }

    /// Follows the unfinished transaction that was not written here, if it is still the one of
    /// this [digest](Adoption::digest). It goes by what `options` allow, not by what its writer
    /// allowed.
    ///
    /// # Errors
    /// `PLAN_MISMATCH` where it is another one; `UNFINISHED` where it cannot be followed;
    /// `FOREIGN_STATE`, `LOCK_TIMEOUT`, `IO`.
    pub fn adopt(&self, expected: Digest, options: &ApplyOptions<'_>) -> Result<Recovered, Stop> {
        let held = self.hold_whatever(options.lock_wait)?;
        let Some((current, mut record)) = foreign(&held.state)? else {
            return Ok(Recovered::Nothing);
        };
        let found = digest(&current)?;
        if found != expected {
            let message =
                format!("the unfinished transaction is {found}, not {expected}; look at it again");
            return Err(Refusal::new(Code::PlanMismatch, message)
                .with_hint(Hint::Adopt)
                .into());
        }
        recover::check(&record, &options.policy).map_err(|why| journal::corrupt(&why))?;
        // From here on it is ours, and a crash goes on with it.
        record.overrides = Overrides::of(options);
        let own_id = record.has_own_id();
        let place = chain::next(&held)?;
        record.previous = place.previous;
        if !record.journal.steps.iter().any(|step| step.beside) {
            record.transaction = place.transaction;
        } else {
            // The names of its files have the id in them, so it cannot get another one.
            check_id(record.transaction, &place).map_err(|why| journal::corrupt(&why))?;
        }
        if !own_id {
            record.batch_id = record.transaction.to_string();
        }
        let digest = journal::rewrite(&held, &current, &record)?;
        Ok(recover::follow(
            &self.root, &held, &current, record, digest,
        )?)
    }

    fn adopted_files(&self, record: &Record, takes_back: bool) -> Result<Vec<AdoptedFile>, Error> {
        let steps = &record.journal.steps;
        let mut paths: Vec<RelPath> = steps.iter().map(|step| step.path.clone()).collect();
        paths.sort();
        paths.dedup();
        let tree = load::load(&self.root, &paths)?.tree;
        let mut files: Vec<AdoptedFile> = steps
            .iter()
            .map(|step| {
                let (before, after) = match takes_back {
                    true => (step.new, step.old),
                    false => (step.old, step.new),
                };
                AdoptedFile {
                    path: step.path.clone(),
                    before,
                    after,
                    found: tree.standing(&step.path).map(|source| source.digest()),
                }
            })
            .collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

/// The unfinished transaction, if it was not written by the holder of the state's key.
fn foreign(state: &StateDir) -> Result<Option<(Dir, Record)>, Error> {
    let Some(txn) = state.part("txn")? else {
        return Ok(None);
    };
    let unfit = |why: String| Error::Foreign {
        path: std::path::Path::new(crate::workspace::STATE)
            .join("txn")
            .join(CURRENT),
        why: format!("was not written here, and {why}"),
        hint: Some(Hint::Abandon),
    };
    let current = match journal::current(&txn) {
        Ok(Some(current)) => current,
        Ok(None) => return Ok(None),
        Err(Error::Foreign { .. }) => return Err(unfit("it is not a directory".to_owned())),
        Err(error) => return Err(error),
    };
    let bytes = journal::bytes(&current)?;
    let key = state.key.as_ref();
    match journal::read(&current, key)? {
        journal::JournalState::Foreign => {}
        _ => return Ok(None),
    }
    let Some(Some(bytes)) = bytes else {
        return Err(unfit("it has no journal to follow".to_owned()));
    };
    match Record::from_bytes(&bytes) {
        Ok(record) => Ok(Some((current, record))),
        Err(error) => Err(unfit(format!("cannot be followed: {error}"))),
    }
}

/// Checks that an id fits between the last record of the log and now.
fn check_id(id: TransactionId, place: &chain::Next) -> Result<(), String> {
    match place.previous {
        Some(previous) if previous.transaction >= id => Err(format!(
            "its id is not above {}, the last one of the log",
            previous.transaction
        )),
        _ if id >= place.transaction => Err("its id is later than now".to_owned()),
        _ => Ok(()),
    }
}

/// The digest of all that lies in a transaction's directory.
fn digest(current: &Dir) -> Result<Digest, Error> {
    let io = |error| fail("read", "txn/current", error);
    let mut names = current.names().map_err(io)?;
    names.sort();
    let mut all = Hasher::default();
    for name in names {
        let Some(meta) = current.stat(&name).map_err(io)? else {
            continue;
        };
        let bytes = match meta.kind {
            FileKind::Symlink => current.read_link(&name).map_err(io)?,
            FileKind::File => match current.file(&name).map_err(io)? {
                Some(file) => file.read(meta.size, journal::MAX_RECORD).map_err(io)?,
                None => None,
            },
            _ => None,
        };
        let bytes = Digest::of(&bytes.unwrap_or_default());
        all.update(Digest::of(&name).as_bytes());
        all.update(format!("{:?} {:o} {}\n", meta.kind, meta.mode, meta.uid).as_bytes());
        all.update(bytes.as_bytes());
    }
    Ok(all.finish())
}
