//! The record of what a command did.

use std::sync::Arc;
use std::time::Instant;

use super::observe::{self, Observed, Since};
use super::{EndedCommand, Ending, Header, MAX_LEFT_OUT, Run, open_ids, remove_run};
use crate::digest::Digest;
use crate::error::{Error, Refusal, Stop};
use crate::path::RelPath;
use crate::plan::{Lowered, Outcome, Plan, Tree};
use crate::workspace::Workspace;
use crate::workspace::commit::apply::{finished, millis, new_record};
use crate::workspace::commit::recover::Recovered;
use crate::workspace::commit::stage::Staging;
use crate::workspace::commit::transaction::{Done, change_records};
use crate::workspace::disk::Dir;
use crate::workspace::options::ApplyOptions;
use crate::workspace::state::gc;
use crate::workspace::state::journal::{self, WriteFault};
use crate::workspace::state::record::{
    CommandRecord, Journal, Method, Record, TransactionId, TransactionState,
};
use crate::workspace::state::snapshot::{self, Listing, Objects, Row};
use crate::workspace::state::{CURRENT, Held, fail};

/// What became of a run, and between which listings.
pub(super) struct Found<'a> {
    pub(super) header: &'a Header,
    /// How it ended; `None` where it runs on.
    pub(super) ending: Option<Ending>,
    /// The runs that are open, itself among them.
    pub(super) open: Vec<TransactionId>,
    pub(super) base: &'a Listing,
    pub(super) now: &'a Listing,
    pub(super) observed: Observed,
}

impl Found<'_> {
    /// What the record says of the command.
    fn command(&self) -> CommandRecord {
        let header = self.header;
        let others = self.open.iter().filter(|id| **id != header.id);
        let mut overlaps: Vec<_> = header.overlaps.iter().chain(others).copied().collect();
        overlaps.sort_unstable();
        overlaps.dedup();
        let gone = observe::gone(self.base, self.now).take(MAX_LEFT_OUT);
        let left_out = self.now.left_out.iter().take(MAX_LEFT_OUT);
        CommandRecord {
            id: header.id,
            argv: header.argv.clone(),
            began: header.at.clone(),
            exit: match self.ending {
                Some(Ending::Exited(status)) => status,
                Some(Ending::Interrupted) | None => None,
            },
            interrupted: self.ending == Some(Ending::Interrupted),
            runs_on: self.ending.is_none(),
            gone: gone.cloned().collect(),
            left_out: left_out.cloned().collect(),
            overlaps,
        }
    }
}

/// A record of what a command did.
pub(super) struct Written {
    pub(super) record: Record,
    plan: Plan,
    notes: Vec<String>,
    breaks_rules: bool,
}

impl Workspace {
    pub(super) fn record_run(
        &self,
        held: &Held,
        runs: &Dir,
        run: Run,
        ending: Ending,
        recovered: &Recovered,
        options: &ApplyOptions<'_>,
    ) -> Result<EndedCommand, Error> {
        let began = Instant::now();
        let objects = Objects::open(&held.state)?;
        let Run { header, listing } = run;
        let Since {
            listing: base,
            earlier,
            hidden,
        } = observe::with_commits(listing, &self.log()?, &header)?;
        let now = snapshot::take(&self.root, held, &objects, Some(&base), &header.also)?;
        let mut observed = observe::compare(&base, &now, &objects)?;
        keep_hidden(held, &objects, hidden, &mut observed)?;
        let (told, mut breaks_rules) = judged(&earlier, &objects, held, options)?;
        if observed.changes.is_empty() {
            remove_run(runs, &header.id.to_string())?;
            without_changes(&observed)?;
            return Ok(EndedCommand {
                applied: None,
                earlier,
                warnings: told,
                breaks_rules,
            });
        }
        let paths = observed.paths();
        self.record_earlier_runs(held, &paths, &header.id, &base, options)?;
        let found = Found {
            header: &header,
            ending: Some(ending),
            open: open_ids(runs)?,
            base: &base,
            now: &now,
            observed,
        };
        let written = self.write_run(held, &objects, found, began, options)?;
        // It is in the log. Whoever looks at the run again finds nothing more.
        let removed = remove_run(runs, &header.id.to_string()).err();
        gc::now_and_then(self, held, &written.record, options);
        breaks_rules |= written.breaks_rules;
        let removed = removed.map(|error| format!("the next run tidies up: {error}"));
        let notes = written.notes.into_iter().chain(told).chain(removed);
        let done = Done {
            notes: notes.collect(),
            ..Done::default()
        };
        let (record, plan) = (written.record, written.plan);
        Ok(EndedCommand {
            applied: Some(finished(held, record, plan, recovered, done)),
            earlier,
            warnings: Vec::new(),
            breaks_rules,
        })
    }

    /// Writes the record of changes that were observed.
    pub(super) fn write_run(
        &self,
        held: &Held,
        objects: &Objects<'_>,
        found: Found<'_>,
        began: Instant,
        options: &ApplyOptions<'_>,
    ) -> Result<Written, Error> {
        let mut record = new_record(held, options)?;
        record.command = Some(found.command());
        let Found {
            header,
            ending,
            base,
            now,
            observed,
            ..
        } = found;
        record.labels = header.labels.clone();
        record.content = Digest::of(header.id.as_bytes());
        let batch = observe::batch(&observed.changes, &record);
        let plan = Plan::new(observed.changes, observe::verdicts(&batch));
        record.state = TransactionState::Committed;
        record.judge(&plan, None);
        let mut notes = observed.warnings;
        if let Some(gone) = record.command.as_ref().and_then(|it| it.gone.first()) {
            notes.push(format!(
                "{gone} is gone, which was not looked at before: what came of it is recorded as new, and undo removes it but does not bring {gone} back"
            ));
        }
        let mut breaks_rules = false;
        // What a command that runs on did is judged at its end, by the rules that it was begun with.
        if ending.is_some() {
            for (index, refusal) in broken_rules(batch, &plan, held, options)? {
                let note = format!("breaks a rule: {}", refusal.message);
                notes.push(format!("{}: {note}", record.operations[index].file));
                record.operations[index].note = Some(note);
                breaks_rules = true;
            }
        }
        record.duration_ms = millis(began);
        let directories = observe::directories(base, now);
        self.write_observed(held, &mut record, &plan, base, now, directories, options)?;
        // It is recorded: what fails now is no reason to say that it is not.
        if let Err(error) = snapshot::keep(held, objects, &plan.changes) {
            notes.push(format!("the new bytes are in no snapshot: {error}"));
        }
        Ok(Written {
            record,
            plan,
            notes,
            breaks_rules,
        })
    }

    /// Writes the record and its pre-images into the log.
    #[expect(clippy::too_many_arguments, reason = "all that a record is made from")]
    fn write_observed(
        &self,
        held: &Held,
        record: &mut Record,
        plan: &Plan,
        base: &Listing,
        now: &Listing,
        (made, emptied): observe::Directories,
        options: &ApplyOptions<'_>,
    ) -> Result<(), Error> {
        let io = |error| fail("make", "txn/current", error);
        held.txn
            .make_directory(CURRENT.as_bytes(), 0o700)
            .map_err(io)?;
        let current = held
            .txn
            .directory(CURRENT)
            .map_err(io)?
            .ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))?;
        let write = || -> Result<Digest, WriteFault> {
            let before = WriteFault::Before;
            let layout =
                observe::layout(&self.root, &plan.changes, base, now).map_err(|error| {
                    before(fail("read attributes for", "txn/current", error).into())
                })?;
            let staging = Staging {
                root: &self.root,
                current: &current,
                transaction: record.transaction,
                sync: options.durable,
                write_back: !options.durable && current.delays_allocation(),
                // Whoever owned it, its bytes are kept.
                allow_owner_change: true,
                draft: false,
            };
            let beside = vec![false; layout.places.len()];
            let staged = staging.all(&layout.places, &beside).map_err(before)?;
            record.changes = change_records(&plan.changes, &layout.pre_images);
            record.journal = Journal {
                method: Method::Observed,
                durable: options.durable,
                made,
                steps: layout.steps(&staged),
                emptied,
            };
            journal::write(held, &current, record)
        };
        match write() {
            Ok(digest) => journal::finish(held, record, digest),
            Err(WriteFault::Unknown(error)) => Err(error),
            Err(WriteFault::Before(stop)) => {
                let _ = journal::discard(&self.root, held, &current);
                Err(match stop {
                    Stop::Failed(error) => error,
                    Stop::Refused(refusal) => Error::LimitExceeded(refusal.message),
                })
            }
        }
    }
}

/// An error where something was done of which nothing can be recorded.
fn without_changes(observed: &Observed) -> Result<(), Error> {
    if observed.warnings.is_empty() {
        return Ok(());
    }
    Err(Error::Unrecorded(observed.warnings.join("; ")))
}

/// What is to be said of batches that hold what the command did before its end, and whether one
/// breaks a rule.
fn judged(
    earlier: &[Record],
    objects: &Objects<'_>,
    held: &Held,
    options: &ApplyOptions<'_>,
) -> Result<(Vec<String>, bool), Error> {
    let (mut told, mut breaks_rules) = (Vec::new(), false);
    for record in earlier {
        told.push(format!(
            "what it had done to {} before another batch changed it is recorded as {}",
            record.names(),
            record.batch_id
        ));
        let (base, now) = observe::around(record);
        let observed = observe::compare(&base, &now, objects)?;
        let batch = observe::batch(&observed.changes, record);
        let plan = Plan::new(observed.changes, observe::verdicts(&batch));
        let files: Vec<String> = (plan.verdicts.iter())
            .map(|verdict| verdict.file.to_string())
            .collect();
        for (index, refusal) in broken_rules(batch, &plan, held, options)? {
            told.push(format!(
                "{}: breaks a rule: {}",
                files[index], refusal.message
            ));
            breaks_rules = true;
        }
    }
    Ok((told, breaks_rules))
}

/// What breaks the rules of the review, by operation.
fn broken_rules(
    batch: crate::operation::Batch,
    plan: &Plan,
    held: &Held,
    options: &ApplyOptions<'_>,
) -> Result<Vec<(usize, Refusal)>, Error> {
    let Some(review) = options.review else {
        return Ok(Vec::new());
    };
    let tasks = held.state.tasks()?;
    let lowered = Lowered::from(batch);
    let mut judged = plan.clone();
    let reviewed = review.review(&lowered, &Tree::new(), &mut judged, tasks.as_deref());
    Ok(match reviewed {
        Ok(_) => {
            let verdicts = Vec::from(judged.verdicts).into_iter().enumerate();
            verdicts
                .filter(|(_, verdict)| verdict.outcome == Outcome::Refused)
                .filter_map(|(index, verdict)| {
                    Some((index, Arc::unwrap_or_clone(verdict.refusal?)))
                })
                .collect()
        }
        Err(refusal) => vec![(0, refusal)],
    })
}

/// Keeps the bytes of changes that another commit changed again before they were recorded.
fn keep_hidden(
    held: &Held,
    objects: &Objects<'_>,
    hidden: Vec<(RelPath, Row, TransactionId)>,
    observed: &mut Observed,
) -> Result<(), Error> {
    for (path, row, transaction) in hidden {
        snapshot::pin(held, objects, row.digest)?;
        observed.warnings.push(format!(
            "{path} was changed before transaction {transaction} changed it again; that first change is in no record, and its bytes from before are kept as {}",
            Objects::shown(&row.digest)
        ));
    }
    Ok(())
}
