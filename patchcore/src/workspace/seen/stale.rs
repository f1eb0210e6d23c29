//! What the log and the snapshots know of the files whose operations were refused as stale.

use std::collections::HashSet;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Code, Error};
use crate::operation::{Batch, Coordinates, Operation};
use crate::path::RelPath;
use crate::plan::{ChangeKind, Plan, Source, Tree, is_doubtful, is_stale};
use crate::workspace::BaseName;
use crate::workspace::Workspace;
use crate::workspace::read::load;
use crate::workspace::state::log::Log;
use crate::workspace::state::record::{ChangeRecord, Record, TransactionState};
use crate::workspace::state::snapshot::{self, Stored};

/// Most operations of a batch for which states are looked for.
const MAX_ASKED: usize = 10_000;
/// Most files of a batch whose states are looked for.
const MAX_FILES: usize = 64;
/// Most transactions that are looked through, the newest first, where no state is named.
const LOOKED_THROUGH: usize = 200;
/// Most states of a file that are tried where none is named.
const MAX_STATES: usize = 8;
/// Most bytes of such a state.
const MAX_STATE: usize = 4 << 20;

impl Workspace {
    /// Adds to a tree the older states that the refused operations of a plan may have been made
    /// for; whether there are any.
    pub(crate) fn add_bases(
        &self,
        batch: &Batch,
        plan: &Plan,
        tree: &mut Tree,
    ) -> Result<bool, Error> {
        if batch.coordinates == Coordinates::Sequential {
            return Ok(false);
        }
        let operations = batch.operations.iter().zip(&plan.verdicts);
        let stale =
            operations.filter_map(|(operation, verdict)| match verdict.refusal.as_deref() {
                Some(refusal) if is_stale(operation, refusal) => {
                    Some((operation, Some(refusal.code)))
                }
                None if is_doubtful(operation) => Some((operation, None)),
                _ => None,
            });
        let mut asked = HashSet::new();
        let mut files = HashSet::new();
        let mut any = false;
        for (operation, code) in stale.take(MAX_ASKED) {
            let path = &operation.file;
            if operation.reading.spelled.is_some()
                || code == Some(Code::BaseMismatch) && tree.file(path).is_none()
            {
                continue;
            }
            let labels = [&operation.labels, &batch.labels];
            let agent = labels.iter().find_map(|labels| labels.agent.as_deref());
            let named = operation.reading.older.as_ref().map(|older| &older.base);
            let is_new = asked.insert((path.clone(), operation.base, named, agent));
            files.insert(path);
            if !is_new || files.len() > MAX_FILES {
                continue;
            }
            if code == Some(Code::FileNotFound) {
                any |= self.add_moved(path, tree)?;
                if tree.moved_to(path).is_none() {
                    continue;
                }
            }
            for base in self.bases_of(operation, agent)? {
                tree.add_base(path.clone(), Arc::new(Source::new(base, false)));
                any = true;
            }
        }
        Ok(any)
    }

    /// The state that an operation names, or that its agent was shown last, or else all that are
    /// known.
    fn bases_of(&self, operation: &Operation, agent: Option<&str>) -> Result<Vec<Vec<u8>>, Error> {
        let path = &operation.file;
        let by = |name: &BaseName| {
            let found = self.base(path, name);
            found.map(|base| base.map(|base| base.bytes))
        };
        if let Some(older) = &operation.reading.older {
            return Ok(by(&older.base)?.into_iter().collect());
        }
        let named = |digest| by(&BaseName::Content(digest));
        if let Some(digest) = operation.base {
            return Ok(named(digest)?.into_iter().collect());
        }
        let shown = agent.map(|agent| self.last_read(agent, path)).transpose()?;
        if let Some(read) = shown.flatten() {
            return Ok(named(read.digest)?.into_iter().collect());
        }
        self.states(path)
    }

    /// The states of a file that snapshots and log have, the newest of the log first.
    fn states(&self, path: &RelPath) -> Result<Vec<Vec<u8>>, Error> {
        let mut states = States::default();
        let log = self.log()?;
        for record in committed(&log)? {
            let steps = record.journal.steps.iter();
            for step in steps.filter(|step| step.path == *path) {
                if let Some(old) = step.old.filter(|old| !old.link) {
                    let load = || log.pre_image(&record.transaction, step.slot);
                    states.add(old.digest, load)?;
                }
            }
            let changes = record.changes.iter();
            for change in changes.filter(|change| change.path == *path) {
                if let Some(after) = change.after.filter(|after| !after.link) {
                    states.add(after.digest, || log.post_image(&record, change))?;
                }
            }
        }
        if let Some(state) = self.state()?
            && let Some(stored) = Stored::open(&state)?
        {
            for digest in snapshot::known_of(&state, path)? {
                states.add(digest, || stored.get(&digest))?;
            }
        }
        Ok(states.found)
    }

    /// Adds where the file is by now that was at a path, as far as the log shows renames.
    fn add_moved(&self, path: &RelPath, tree: &mut Tree) -> Result<bool, Error> {
        let log = self.log()?;
        let renamed = |change: &ChangeRecord| {
            let from = (change.kind == ChangeKind::Renamed).then_some(change.from.as_ref())??;
            Some((from.clone(), change.path.clone()))
        };
        let mut renames: Vec<(RelPath, RelPath)> = committed(&log)?
            .iter()
            .flat_map(|record| record.changes.iter().filter_map(renamed))
            .collect();
        let Some(last) = renames.iter().position(|(from, _)| from == path) else {
            return Ok(false);
        };
        renames.truncate(last + 1);
        let mut there = path.clone();
        for (from, to) in renames.into_iter().rev() {
            if from == there {
                there = to;
            }
        }
        let loaded = load::load(&self.root, std::slice::from_ref(&there))?;
        let Some(source) = loaded.tree.file(&there) else {
            return Ok(false);
        };
        tree.add_base(path.clone(), source.clone());
        tree.add_moved(path.clone(), there, source.clone());
        Ok(true)
    }
}

/// The commits of the log, the newest first; what is damaged says nothing.
fn committed(log: &Log) -> Result<Vec<Record>, Error> {
    let newest = log.transactions()?.into_iter().rev().take(LOOKED_THROUGH);
    let read = newest.filter_map(|transaction| log.read(&transaction).ok().flatten());
    Ok(read
        .filter(|record| record.state == TransactionState::Committed)
        .collect())
}

/// States that were found, each once.
#[derive(Default)]
struct States {
    known: HashSet<Digest>,
    found: Vec<Vec<u8>>,
}

impl States {
    fn add(
        &mut self,
        digest: Digest,
        load: impl FnOnce() -> Result<Option<Vec<u8>>, Error>,
    ) -> Result<(), Error> {
        if self.found.len() == MAX_STATES || !self.known.insert(digest) {
            return Ok(());
        }
        let found = load()?.filter(|bytes| bytes.len() <= MAX_STATE);
        self.found
            .extend(found.filter(|bytes| Digest::of(bytes) == digest));
        Ok(())
    }
}
