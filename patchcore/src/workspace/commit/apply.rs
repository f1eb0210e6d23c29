//! A batch from end to end: lock, recover, ledger, load, lower, plan, commit, record.

use std::borrow::Cow;
use std::time::Instant;

use crate::digest::Digest;
use crate::error::{Code, Error, Refusal, Stop};
use crate::operation::{Batch, Labels};
use crate::path::RelPath;
use crate::plan::{self, Hashing, Lowered, Notes, Outcome, Plan, Policy, Script, Tree, Verdicts};
use crate::report::{Report, Status};
use crate::workspace::SavedConflict;
use crate::workspace::Workspace;
use crate::workspace::commit::recover::Recovered;
use crate::workspace::commit::replay;
use crate::workspace::commit::replay::{Asked, Judged};
use crate::workspace::commit::survey;
use crate::workspace::commit::transaction::{Done, Work};
use crate::workspace::now;
use crate::workspace::options::ApplyOptions;
use crate::workspace::read::load::{self, Loaded};
use crate::workspace::read::near_names;
use crate::workspace::seen::view::ReadFiles;
use crate::workspace::state::chain;
use crate::workspace::state::chain::Next;
use crate::workspace::state::gc;
use crate::workspace::state::journal;
use crate::workspace::state::record::{
    ChangeRecord, Journal, Overrides, Record, TransactionId, TransactionState, VERSION,
};
use crate::workspace::state::{Held, StateDir};

/// What became of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct Applied<'a> {
    /// What to tell the sender; the diff is left to render from [`plan`](Self::plan).
    pub report: Report,
    /// The plan that was, or would be, carried out; its changes are empty where nothing is.
    pub plan: Plan,
    /// The operations, located in the files; `None` for an undo, and where a foreign patch could
    /// not be located at all.
    pub batch: Option<Cow<'a, Batch>>,
    /// What lowering found out beside the operations.
    pub notes: Notes,
    /// The record in the log; that of a preview is [`TransactionState::Previewed`] and in no
    /// log.
    pub record: Record,
    /// The batch is committed, but something is left for the next run to finish.
    pub unfinished: Option<Error>,
    /// The files that the script asked to look at, as they are after it; `None` where it asked for
    /// none.
    pub read: Option<ReadFiles>,
}

/// What would become of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub struct Preview<'a> {
    /// The plan that would be carried out.
    pub plan: Plan,
    /// The operations, located in the files; `None` where a foreign patch could not be located at
    /// all.
    pub batch: Option<Cow<'a, Batch>>,
    /// What lowering found out beside the operations.
    pub notes: Notes,
    /// Why the batch would be refused as a whole, beside what is wrong with its operations.
    pub refusal: Option<Refusal>,
    overrides: Overrides,
}

impl Preview<'_> {
    /// Whether the batch, or a part of it, would be refused.
    #[must_use]
    pub fn has_refusal(&self) -> bool {
        self.refusal.is_some() || self.plan.has_refusal()
    }

    /// The record that the batch would have; hashes what is not hashed yet.
    #[must_use]
    pub fn record(&self) -> Record {
        let mut record = blank_record(TransactionId::now(), self.overrides.clone());
        record.state = TransactionState::Previewed;
        record.changes = self.plan.changes.iter().map(ChangeRecord::of).collect();
        describe(
            &mut record,
            self.batch.as_deref(),
            &self.plan,
            self.refusal.as_ref(),
        );
        record
    }
}

impl Workspace {
    /// Applies a batch, or a foreign patch, all or nothing.
    ///
    /// A batch that is refused is no error: the report says so, and the tree is as it was.
    ///
    /// ```
    /// use patchcore::operation::{Action, Batch, Lines, Operation};
    /// use patchcore::report::Status;
    /// use patchcore::workspace::{ApplyOptions, Workspace};
    /// use patchcore::{Digest, RelPath};
    /// # let root = tempfile::tempdir()?;
    /// # std::fs::write(root.path().join("notes.txt"), "one\n")?;
    /// let workspace = Workspace::open(root.path())?;
    /// let append = Action::Append(Lines::new("two"));
    /// let operations = vec![Operation::new(RelPath::new("notes.txt")?, append)];
    /// let batch = Batch::new(operations, Digest::of(b"append two"));
    /// let applied = workspace.apply(&batch, &ApplyOptions::default())?;
    /// assert_eq!(applied.report.status, Status::Applied);
    /// assert_eq!(std::fs::read(root.path().join("notes.txt"))?, b"one\ntwo\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `IO`, `LOCK_TIMEOUT` and `UNFINISHED`: the environment's. The tree is as it was.
    pub fn apply<'a>(
        &self,
        script: &'a dyn Script,
        options: &ApplyOptions<'_>,
    ) -> Result<Applied<'a>, Error> {
        let mut applied = self.apply_edits(script, options)?;
        self.read_for(script, &mut applied, options, true)?;
        Ok(applied)
    }

    /// As [`apply`](Self::apply), without what the script asks to look at.
    fn apply_edits<'a>(
        &self,
        script: &'a dyn Script,
        options: &ApplyOptions<'_>,
    ) -> Result<Applied<'a>, Error> {
        let began = Instant::now();
        let held = self.hold(options.lock_wait)?;
        let recovered = self.recovered(&held)?;
        self.record_open_runs(&held, &script.paths(), options)?;
        let mut record = new_record(&held, options)?;
        record.request = replay::request(script, options);
        let asked = Asked {
            script,
            request: record.request,
        };
        let judged = self.judge(Some(&held.state), &asked, options, Hashing::Now)?;
        let mut prepared = match judged {
            Judged::Known(prepared) => return replay(&held, record, prepared, &recovered),
            Judged::New(prepared) => prepared,
        };
        prepared.describe(&mut record);
        let mut done = Done::default();
        if prepared.is_accepted(options) {
            if prepared.plan.changes.is_empty() && prepared.tasks.is_none() {
                record.state = TransactionState::Committed;
                record.duration_ms = millis(began);
                journal::log_only(&held, &record, options.durable)?;
            } else {
                let work = Work {
                    workspace: self,
                    root: &self.root,
                    held: &held,
                    options,
                    loaded: &prepared.loaded,
                    changes: &prepared.plan.changes,
                    tasks: prepared.tasks.take(),
                    restored: None,
                    began,
                };
                match work.commit(&mut record) {
                    Ok(committed) => done = committed,
                    Err(Stop::Refused(refusal)) => {
                        prepared.refuse(*refusal);
                        prepared.describe(&mut record);
                    }
                    Err(Stop::Failed(error)) => return Err(error),
                }
            }
        }
        if record.state == TransactionState::Refused {
            record.duration_ms = millis(began);
            journal::log_only(&held, &record, options.durable)?;
        } else {
            gc::now_and_then(self, &held, &record, options);
        }
        let applied = finished(&held, record, prepared.plan, &recovered, done);
        Ok(applied.of(prepared.lowered))
    }

    /// Says what [`apply`](Self::apply) would do, and writes nothing. No lock is needed.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT` where another process installs or verifies a batch all the while, `UNFINISHED`
    /// where one left the tree half installed, `IO`.
    pub fn check<'a>(
        &self,
        script: &'a dyn Script,
        options: &ApplyOptions<'_>,
    ) -> Result<Applied<'a>, Error> {
        let previewed = self.preview_with(script, options, Hashing::Now)?;
        let record = previewed.record();
        let mut report = record.report();
        report.warnings.clone_from(&previewed.notes.remarks);
        let mut applied = Applied {
            report,
            plan: previewed.plan,
            batch: previewed.batch,
            notes: previewed.notes,
            record,
            unfinished: None,
            read: None,
        };
        self.read_for(script, &mut applied, options, false)?;
        Ok(applied)
    }

    /// As [`check`](Self::check), with nothing hashed that no guard asks for: all that the diff of
    /// a batch takes.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn preview<'a>(
        &self,
        script: &'a dyn Script,
        options: &ApplyOptions<'_>,
    ) -> Result<Preview<'a>, Error> {
        self.preview_with(script, options, Hashing::AtNeed)
    }

    fn preview_with<'a>(
        &self,
        script: &'a dyn Script,
        options: &ApplyOptions<'_>,
        hashing: Hashing,
    ) -> Result<Preview<'a>, Error> {
        let asked = Asked {
            script,
            request: replay::request(script, options),
        };
        let prepared = self.read_steadily(options.lock_wait, |state| {
            match self.judge(state, &asked, options, hashing)? {
                Judged::Known(prepared) | Judged::New(prepared) => Ok(prepared),
            }
        })?;
        let (batch, notes) = apart(prepared.lowered);
        Ok(Preview {
            plan: prepared.plan,
            batch,
            notes,
            refusal: prepared.refusal,
            overrides: Overrides::of(options),
        })
    }

    /// From a script to a judged plan. What may be meant by a path where nothing stands is not looked
    /// for yet.
    pub(crate) fn prepare<'a>(
        &self,
        script: &'a dyn Script,
        options: &ApplyOptions<'_>,
        hashing: Hashing,
        state: Option<&StateDir>,
    ) -> Result<Prepared<'a>, Error> {
        let mut paths = script.paths();
        let called = near_names::called(self.path(), &script.mentions());
        if !called.is_empty() {
            paths.extend(called);
            paths.sort();
            paths.dedup();
        }
        let mut loaded = load::load(&self.root, &paths)?;
        let lowered = match self.lower(script, &mut loaded.tree)? {
            Ok(mut lowered) => {
                self.guard_by_last_read(&mut lowered, &loaded.tree, &options.policy)?;
                lowered
            }
            Err(refusal) => {
                return Ok(Prepared {
                    lowered: None,
                    plan: Plan::new(Vec::new(), Vec::new()),
                    refusal: Some(refusal),
                    tasks: None,
                    loaded,
                });
            }
        };
        survey::restrict(&mut loaded, &lowered.batch, options);
        let planned = |tree: &Tree| plan::plan_with(&lowered.batch, tree, &options.policy, hashing);
        let mut plan = planned(&loaded.tree);
        if self.ask_of_missing(&plan, &lowered.batch, &mut loaded.tree)? {
            plan = planned(&loaded.tree);
        }
        if self.add_bases(&lowered.batch, &plan, &mut loaded.tree)? {
            plan = planned(&loaded.tree);
        }
        plan = self.refuse_by_facts(plan, &lowered.batch, &options.policy)?;
        if hashing == Hashing::Now {
            // Whatever becomes of the plan, its digest is told.
            let _ = plan.digest();
        }
        let mut prepared = Prepared {
            lowered: Some(lowered),
            plan,
            refusal: None,
            tasks: None,
            loaded,
        };
        prepared.review(options, state)?;
        prepared.check_expected(options);
        Ok(prepared)
    }

    /// Refuses what a plan may not leave behind, by what else is on disk. What is left of a batch
    /// without it is judged again, since links may lead through one another.
    fn refuse_by_facts(
        &self,
        mut plan: Plan,
        batch: &Batch,
        policy: &Policy,
    ) -> Result<Plan, Error> {
        loop {
            let standing = |path: &RelPath| load::standing_at(&self.root, path);
            let refused = plan::refusals_by_facts(&plan.changes, policy, standing)?;
            let before = plan.changes.len();
            plan = plan.refuse(batch, refused, policy);
            if plan.changes.len() == before {
                return Ok(plan);
            }
        }
    }
}

/// Logs that a batch was committed before.
fn replay<'a>(
    held: &Held,
    mut record: Record,
    prepared: Prepared<'a>,
    recovered: &Recovered,
) -> Result<Applied<'a>, Error> {
    prepared.describe(&mut record);
    // It is no commit: the first one's entry in the ledger stays.
    journal::log_only(held, &record, false)?;
    let applied = finished(held, record, prepared.plan, recovered, Done::default());
    Ok(applied.of(prepared.lowered))
}

/// A batch, located, planned and judged.
pub(crate) struct Prepared<'a> {
    /// `None` where a foreign patch could not be located at all.
    pub(crate) lowered: Option<Lowered<'a>>,
    pub(crate) plan: Plan,
    /// A refusal of the whole.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) tasks: Option<Vec<u8>>,
    pub(crate) loaded: Loaded,
}

impl Prepared<'_> {
    fn is_accepted(&self, options: &ApplyOptions<'_>) -> bool {
        self.refusal.is_none() && self.plan.is_accepted(&options.policy)
    }

    /// Has the rules of the caller judge what may land, and takes the task manifest that goes with it.
    fn review(
        &mut self,
        options: &ApplyOptions<'_>,
        state: Option<&StateDir>,
    ) -> Result<(), Error> {
        if let (Some(review), Some(lowered)) = (options.review, &self.lowered) {
            let tasks = state.map_or(Ok(None), StateDir::tasks)?;
            match review.review(lowered, &self.loaded.tree, &mut self.plan, tasks.as_deref()) {
                Ok(tasks) => self.tasks = tasks,
                Err(refusal) => self.refuse(refusal),
            }
        }
        Ok(())
    }

    /// Refuses a plan that is not the one that was approved.
    fn check_expected(&mut self, options: &ApplyOptions<'_>) {
        if let Some(expected) = options.expected_plan
            && expected != self.plan.digest()
            && self.is_accepted(options)
        {
            let message = format!(
                "the plan is {}, not {expected}: the tree or the batch changed since it was approved; check it again",
                self.plan.digest()
            );
            self.refuse(Refusal::new(Code::PlanMismatch, message));
        }
    }

    /// Refuses what was accepted: the operations on the refusal's file, or the whole.
    fn refuse(&mut self, refusal: Refusal) {
        self.plan.changes.clear();
        let operations = self
            .lowered
            .as_ref()
            .map_or(&[][..], |lowered| &lowered.batch.operations);
        let mut blamed = false;
        for (operation, verdict) in operations.iter().zip(&mut self.plan.verdicts) {
            let is_why = verdict.outcome.lands()
                && refusal.code != Code::PlanMismatch
                && refusal.file.as_deref() == Some(&*operation.shown_file());
            if is_why {
                verdict.outcome = Outcome::Refused;
                verdict.lines = None;
                verdict.refusal = Some(refusal.clone().into());
                blamed = true;
            } else {
                verdict.hold_back();
            }
        }
        if !blamed {
            self.refusal = Some(refusal);
        }
    }

    /// Fills in what the record says of batch and verdicts.
    fn describe(&self, record: &mut Record) {
        let batch = self.lowered.as_ref().map(|lowered| &*lowered.batch);
        describe(record, batch, &self.plan, self.refusal.as_ref());
        record.state = TransactionState::Refused;
    }
}

/// Fills in what a record says of batch and verdicts.
fn describe(record: &mut Record, batch: Option<&Batch>, plan: &Plan, refusal: Option<&Refusal>) {
    record.judge(plan, refusal.cloned());
    if let Some(batch) = batch {
        if let Some(id) = &batch.id {
            record.batch_id.clone_from(id);
        }
        record.content = batch.content;
        record.labels = (*batch.labels).clone();
    }
}

impl<'a> Applied<'a> {
    fn of(mut self, lowered: Option<Lowered<'a>>) -> Self {
        let (batch, notes) = apart(lowered);
        self.report.warnings.extend(notes.remarks.iter().cloned());
        Self {
            batch,
            notes,
            ..self
        }
    }
}

fn apart(lowered: Option<Lowered<'_>>) -> (Option<Cow<'_, Batch>>, Notes) {
    lowered.map_or_else(Default::default, |lowered| {
        (Some(lowered.batch), lowered.notes)
    })
}

pub(crate) fn finished<'a>(
    held: &Held,
    record: Record,
    plan: Plan,
    recovered: &Recovered,
    done: Done,
) -> Applied<'a> {
    let mut report = record.report();
    report.warnings.extend(held.state.foreign_note());
    report.warnings.extend(held.state.take_notes());
    let earlier: &[SavedConflict] = match recovered {
        Recovered::Finished {
            transaction,
            conflicts,
        } => {
            let warning = format!("transaction {transaction} had been interrupted; it is finished");
            report.warnings.push(warning);
            conflicts
        }
        Recovered::TakenBack {
            transaction,
            conflicts,
        } => {
            let warning = format!(
                "transaction {transaction} had been interrupted while it was verified; it is taken back"
            );
            report.warnings.push(warning);
            conflicts
        }
        _ => &[],
    };
    for SavedConflict { path, kept } in earlier.iter().chain(&done.conflicts) {
        report.warnings.push(format!(
            "{path} was changed by another program while the batch was installed; what it wrote is kept as {kept}"
        ));
    }
    report.warnings.extend(done.notes);
    if let Some(error) = &done.unfinished {
        report.warnings.push(format!(
            "the batch is committed, but the next run has to finish it: {error}"
        ));
    }
    Applied {
        report,
        plan,
        batch: None,
        notes: Notes::default(),
        record,
        unfinished: done.unfinished,
        read: None,
    }
}

/// The record of a batch of which nothing is known yet but its place in the log.
pub(crate) fn new_record(held: &Held, options: &ApplyOptions<'_>) -> Result<Record, Error> {
    let Next {
        transaction,
        previous,
    } = chain::next(held)?;
    Ok(Record {
        previous,
        ..blank_record(transaction, Overrides::of(options))
    })
}

fn blank_record(transaction: TransactionId, overrides: Overrides) -> Record {
    Record {
        version: VERSION,
        transaction,
        batch_id: transaction.to_string(),
        content: Digest::of(b""),
        request: None,
        labels: Labels::default(),
        state: TransactionState::Refused,
        status: Status::Refused,
        plan: Digest::of(b""),
        at: now(),
        duration_ms: 0,
        overrides,
        refusal: None,
        previous: None,
        undoes: None,
        undoes_batch: None,
        redoes: None,
        undoes_also: Vec::new(),
        redoes_also: Vec::new(),
        command: None,
        operations: Verdicts::default(),
        changes: Vec::new(),
        journal: Journal::default(),
    }
}

pub(crate) fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
