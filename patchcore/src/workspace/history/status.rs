//! What the state beside a tree looks like.

use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::Workspace;
use crate::workspace::state::journal::{self, JournalState};
use crate::workspace::state::record::{TransactionId, TransactionState};
use crate::workspace::state::{STATE, SavedConflict, StateDir, fail};

/// The state of a workspace, as `patchctl status` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkspaceStatus {
    /// A transaction that is not finished.
    pub unfinished: Option<Unfinished>,
    /// Whether another process holds the lock.
    pub locked: bool,
    /// What strangers wrote where batches were being installed, oldest first.
    pub conflicts: Vec<SavedConflict>,
    /// Transactions that were set aside, relative to the root.
    pub abandoned: Vec<String>,
    /// How many transactions the log holds.
    pub entries: usize,
    /// How many bytes they take.
    pub bytes: u64,
    /// How many more entries of the log were not written here, and are ignored.
    pub foreign: usize,
}

/// A transaction that is not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfinished {
    /// Nothing of it is installed; the next run removes what it staged.
    Staging,
    /// It may be half installed; the next run finishes it.
    Committed(TransactionId),
    /// It is installed, but not verified; the next run takes it back.
    Prepared(TransactionId),
    /// Its journal is damaged, for the reason given; only setting it aside helps.
    Corrupt(String),
    /// It was not written here; it is adopted or set aside by the operator alone.
    Foreign,
}

impl Workspace {
    /// Looks at the state, without the lock.
    ///
    /// # Errors
    /// `IO` where it cannot be read.
    pub fn status(&self) -> Result<WorkspaceStatus, Error> {
        let Some(state) = self.state()? else {
            return Ok(WorkspaceStatus::default());
        };
        let log = self.log()?;
        let transactions = log.transactions()?;
        let mut bytes = 0;
        let mut entries = 0;
        for transaction in &transactions {
            if log.is_ours(transaction)? {
                entries += 1;
                bytes += log.size(transaction)?;
            }
        }
        Ok(WorkspaceStatus {
            unfinished: unfinished(&state)?,
            locked: state.is_locked()?,
            conflicts: self.saved_conflicts(&state)?,
            abandoned: names(&state, "abandoned")?
                .into_iter()
                .map(|name| format!("{STATE}/abandoned/{name}"))
                .collect(),
            entries,
            bytes,
            foreign: log.foreign()?,
        })
    }

    fn saved_conflicts(&self, state: &StateDir) -> Result<Vec<SavedConflict>, Error> {
        let log = self.log()?;
        let mut saved = Vec::new();
        for name in names(state, "conflicts")? {
            let kept = format!("{STATE}/conflicts/{name}");
            // The name begins with the transaction and the slot; its record knows the path.
            let place = name.split_at_checked(36).and_then(|(id, rest)| {
                let transaction: TransactionId = id.parse().ok()?;
                let slot: u32 = rest.split('-').nth(1)?.parse().ok()?;
                let record = log.read(&transaction).ok()??;
                let steps = &record.journal.steps;
                let step = steps.iter().find(|step| step.slot == slot)?;
                Some(step.path.clone())
            });
            let path = place.or_else(|| RelPath::new(&name).ok());
            saved.extend(path.map(|path| SavedConflict { path, kept }));
        }
        Ok(saved)
    }
}

fn unfinished(state: &StateDir) -> Result<Option<Unfinished>, Error> {
    let Some(txn) = state.part("txn")? else {
        return Ok(None);
    };
    let current = match journal::current(&txn) {
        Ok(Some(current)) => current,
        Ok(None) => return Ok(None),
        Err(Error::Foreign { .. }) => return Ok(Some(Unfinished::Foreign)),
        Err(error) => return Err(error),
    };
    Ok(Some(match journal::read(&current, state.key.as_ref())? {
        JournalState::Uncommitted => Unfinished::Staging,
        JournalState::Corrupt(why) => Unfinished::Corrupt(why),
        JournalState::Foreign => Unfinished::Foreign,
        JournalState::Committed(record, _) if record.state == TransactionState::Prepared => {
            Unfinished::Prepared(record.transaction)
        }
        JournalState::Committed(record, _) => Unfinished::Committed(record.transaction),
    }))
}

fn names(state: &StateDir, part: &str) -> Result<Vec<String>, Error> {
    let Some(dir) = state.part(part)? else {
        return Ok(Vec::new());
    };
    let names = dir.names().map_err(|error| fail("list", part, error))?;
    let mut names: Vec<String> = names
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort();
    Ok(names)
}
