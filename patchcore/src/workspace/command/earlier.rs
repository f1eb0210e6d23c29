//! What commands that are being recorded did to files that another batch is about to change.
//!
//! The batch finds the files as the commands left them. Its record must come behind one of theirs:
//! else it would hide what they did, and their own record could not tell it any more. So before a
//! batch is planned, and before another run is recorded, each open run whose snapshot has such a
//! file otherwise gets a record of that much. Of two runs, the older one did what the snapshot of
//! the younger one has already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::observe::{self, Since};
use super::write::Found;
use super::{Run, open_ids, read_run};
use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::Workspace;
use crate::workspace::disk::Dir;
use crate::workspace::options::ApplyOptions;
use crate::workspace::state::Held;
use crate::workspace::state::log::Log;
use crate::workspace::state::record::{TransactionId, TransactionState};
use crate::workspace::state::snapshot::{self, Listing, Objects, Row, Within};

impl Workspace {
    /// Records what open runs did to these files, which a batch is about to change. Ask before the
    /// batch's own record is begun; gives whether anything was recorded.
    pub(crate) fn record_open_runs(
        &self,
        held: &Held,
        paths: &[RelPath],
        options: &ApplyOptions<'_>,
    ) -> Result<bool, Error> {
        if !held.state.records_commands.load(Ordering::Relaxed) || paths.is_empty() {
            return Ok(false);
        }
        let Some((dir, names)) = snapshot::open_runs(&held.state)? else {
            return Ok(false);
        };
        let runs = read_runs(&dir, &names, None, held)?;
        let Some(last) = runs.last() else {
            return Ok(false);
        };
        let within = Within::new(paths);
        let objects = Objects::open(&held.state)?;
        let (base, also) = (&last.listing, &last.header.also);
        let now = snapshot::take_within(&self.root, held, &objects, base, also, &within)?;
        let log = self.log()?;
        let record = || -> Result<bool, Error> {
            for run in &runs {
                if !is_known(run, &now, &within, &log)? {
                    return self.record_in_turn(held, &dir, runs, now, &within, options);
                }
            }
            Ok(false)
        };
        record().or_else(|error| match error {
            // What a log that is damaged hides keeps nobody from editing.
            Error::Damaged { what, why } => {
                held.state.note(format!(
                    "what the commands that are being recorded did to these files is not recorded: {what}: {why}"
                ));
                Ok(false)
            }
            error => Err(error),
        })
    }

    /// Records what runs that were begun before another one did to these files before that one's
    /// snapshot, which is `base` by now.
    pub(super) fn record_earlier_runs(
        &self,
        held: &Held,
        paths: &[RelPath],
        before: &TransactionId,
        base: &Listing,
        options: &ApplyOptions<'_>,
    ) -> Result<(), Error> {
        let Some((dir, names)) = snapshot::open_runs(&held.state)? else {
            return Ok(());
        };
        let runs = read_runs(&dir, &names, Some(before), held)?;
        if !runs.is_empty() {
            let within = Within::new(paths);
            let now = within.part(base);
            self.record_in_turn(held, &dir, runs, now, &within, options)?;
        }
        Ok(())
    }

    /// Records for each run what lies between its snapshot and the next one's; behind the last one
    /// is `now`.
    fn record_in_turn(
        &self,
        held: &Held,
        dir: &Dir,
        runs: Vec<Run>,
        now: Listing,
        within: &Within,
        options: &ApplyOptions<'_>,
    ) -> Result<bool, Error> {
        let log = self.log()?;
        let objects = Objects::open(&held.state)?;
        let mut parts = Vec::with_capacity(runs.len());
        for Run { header, listing } in runs {
            let Since { listing, .. } = observe::with_commits(listing, &log, &header)?;
            parts.push((header, within.part(&listing)));
        }
        let next = parts.iter().skip(1).map(|(_, part)| part.clone());
        let next: Vec<Listing> = next.chain([now]).collect();
        let mut is_any = false;
        for ((header, base), now) in parts.iter().zip(&next) {
            let observed = observe::compare(base, now, &objects)?;
            let shown = header.shown();
            for warning in &observed.warnings {
                held.state.note(format!("{shown}: {warning}"));
            }
            if observed.changes.is_empty() {
                continue;
            }
            let found = Found {
                header,
                ending: None,
                open: open_ids(dir)?,
                base,
                now,
                observed,
            };
            let written = self.write_run(held, &objects, found, Instant::now(), options)?;
            held.state.note(format!(
                "what {shown} had done to {} is recorded as batch {}, before this one",
                written.record.names(),
                written.record.batch_id
            ));
            is_any = true;
        }
        Ok(is_any)
    }
}

/// The runs that are open, the oldest first; those alone that were begun before another one.
fn read_runs(
    dir: &Dir,
    names: &[String],
    before: Option<&TransactionId>,
    held: &Held,
) -> Result<Vec<Run>, Error> {
    let mut runs = Vec::new();
    for name in names {
        // What is not ours is not acted on.
        if let Some((header, listing)) = read_run(dir, name, held)?
            && before.is_none_or(|before| header.id < *before)
        {
            runs.push(Run { header, listing });
        }
    }
    runs.sort_by_key(|run| run.header.id);
    Ok(runs)
}

/// Whether all files of a part of the tree are as the run's snapshot has them, or as the log left
/// them since.
fn is_known(run: &Run, now: &Listing, within: &Within, log: &Log) -> Result<bool, Error> {
    let base = within.part(&run.listing);
    let same = |a: Option<&Row>, b: Option<&Row>| match (a, b) {
        (Some(a), Some(b)) => a.is_same(b),
        (a, b) => a.is_none() && b.is_none(),
    };
    let paths: BTreeSet<&RelPath> = base.files.keys().chain(now.files.keys()).collect();
    let differs = |path: &&RelPath| !same(base.files.get(*path), now.files.get(*path));
    let mut unknown: BTreeMap<RelPath, Option<&Row>> = (paths.into_iter())
        .filter(differs)
        .map(|path| (path.clone(), now.files.get(path)))
        .collect();
    let transactions = log.transactions()?.into_iter().rev();
    let since = transactions.take_while(|it| run.header.head.is_none_or(|head| *it > head));
    for transaction in since {
        if unknown.is_empty() {
            break;
        }
        let record = log.read(&transaction)?;
        let committed = |record: &super::Record| record.state == TransactionState::Committed;
        for step in record
            .filter(committed)
            .iter()
            .flat_map(|it| &it.journal.steps)
        {
            if let Some(now) = unknown.remove(&step.path) {
                let left = step.new.map(|new| observe::row(&new, None));
                if !same(left.as_ref(), now) {
                    return Ok(false);
                }
            }
        }
    }
    Ok(unknown.is_empty())
}
