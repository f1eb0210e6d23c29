//! Taking a batch back: a batch of its own, made from the record and its pre-images.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;
use std::time::Instant;

use crate::digest::Digest;
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Error, Refusal, Stop};
use crate::path::RelPath;
use crate::placeholder::Scanner;
use crate::plan::{
    self, After, ChangeKind, FileChange, FileState, Holds, Obstacle, Outcome, Plan, Source, Touch,
    Verdict,
};
use crate::task::{self, Manifest};
use crate::workspace::Workspace;
use crate::workspace::commit::apply::{Applied, finished, millis, new_record};
use crate::workspace::commit::layout::{Restored, Wanted};
use crate::workspace::commit::recover::Recovered;
use crate::workspace::commit::survey;
use crate::workspace::commit::transaction::{Done, Work};
use crate::workspace::disk::FileKind;
use crate::workspace::history::undo_to::{redone_of, undone_of};
use crate::workspace::options::ApplyOptions;
use crate::workspace::read::load::{self, Loaded};
use crate::workspace::state::journal;
use crate::workspace::state::log::{Log, PreFile};
use crate::workspace::state::record::{
    ChangeRecord, Identity, Record, Redone, TransactionId, TransactionState,
};
use crate::workspace::state::{Held, STATE, TASKS};

impl Workspace {
    /// Takes a batch back: bytes, modes, names and directories. `name` is a transaction's id or a
    /// batch's; without one it is the last batch that is neither undone nor an undo itself.
    ///
    /// Where a file has changed since, the report refuses with `CHANGED_SINCE` and the tree stays
    /// as it is. A batch that was taken back already is left alone.
    ///
    /// # Errors
    /// `INVALID_BATCH` where the log has no such batch, or none that changed anything;
    /// `LOCK_TIMEOUT`, `UNFINISHED`, `IO`.
    pub fn undo(
        &self,
        name: Option<&str>,
        options: &ApplyOptions<'_>,
    ) -> Result<Applied<'static>, Stop> {
        let began = Instant::now();
        let held = self.hold(options.lock_wait)?;
        let recovered = self.recovered(&held)?;
        let log = self.log()?;
        let undone = match name {
            Some(name) => by_name(&log, name)?,
            None => last(&log)?,
        };
        self.record_open_runs(&held, &paths_of(&undone), options)?;
        let mut record = mirror(&held, &undone, options)?;
        record.redoes = redone(&log, &undone)?;
        settle_others(&log, &undone, &mut record)?;
        let mut plan = Plan::new(Vec::new(), turned_round(&undone.operations));
        if log.undone_by(&undone.transaction)?.is_some() {
            for verdict in &mut plan.verdicts {
                verdict.outcome = Outcome::AlreadyApplied;
            }
            record.judge(&plan, None);
            record.undoes = None;
            record.redoes = None;
            (record.undoes_also, record.redoes_also) = (Vec::new(), Vec::new());
            journal::log_only(&held, &record, options.durable)?;
            return Ok(finished(&held, record, plan, &recovered, Done::default()));
        }
        let mut back = Back::default();
        match self.reverse(&log, &undone, options) {
            Ok(mut reversal) => {
                plan = Plan::new(take(&mut reversal.changes), plan.verdicts.into());
                record.judge(&plan, None);
                back = self.go_back(&held, options, &reversal, &mut plan, &mut record, began)?;
            }
            Err(Obstruction::Refused(refusals)) => refuse(&mut plan, &mut record, refusals),
            Err(Obstruction::Failed(error)) => return Err(error.into()),
        }
        if record.state == TransactionState::Refused {
            record.duration_ms = millis(began);
            journal::log_only(&held, &record, options.durable)?;
        }
        Ok(back.told(&held, record, plan, &recovered))
    }

    /// Commits the way back. Where the tree has changed meanwhile, the record is a refusal.
    pub(crate) fn go_back(
        &self,
        held: &Held,
        options: &ApplyOptions<'_>,
        reversal: &Reversal,
        plan: &mut Plan,
        record: &mut Record,
        began: Instant,
    ) -> Result<Back, Error> {
        let Settled {
            reopened,
            completed,
            bytes: tasks,
        } = self.settle_tasks(held, record, &plan.changes)?;
        let work = Work {
            workspace: self,
            root: &self.root,
            held,
            options,
            loaded: &reversal.loaded,
            changes: &plan.changes,
            tasks,
            restored: Some(&reversal.restored),
            began,
        };
        match work.commit(record) {
            Ok(mut done) => {
                done.notes.extend(reversal.notes.iter().cloned());
                Ok(Back {
                    done,
                    reopened,
                    completed,
                })
            }
            Err(Stop::Refused(refusal)) => {
                refuse(plan, record, vec![*refusal]);
                Ok(Back::default())
            }
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// The changes that lead back from a record.
    fn reverse(
        &self,
        log: &Log,
        undone: &Record,
        options: &ApplyOptions<'_>,
    ) -> Result<Reversal, Obstruction> {
        let paths = paths_of(undone);
        check_protected(paths.iter(), options)?;
        let mut restored = Restored::default();
        let journal = &undone.journal;
        restored.made = journal.made.iter().map(|made| made.path.clone()).collect();
        let loaded = load::load_beside(&self.root, &paths, &restored.made)?;
        unless_refused(changed_since(undone, &loaded, options))?;
        for emptied in &journal.emptied {
            restored
                .directories
                .insert(emptied.path.clone(), emptied.mode);
        }
        let (mut refusals, mut notes) = (Vec::new(), Vec::new());
        let mut changes = Vec::with_capacity(undone.changes.len());
        for change in &undone.changes {
            let pre = pre_file(log, undone, change)?;
            let back_at = change
                .from
                .as_ref()
                .filter(|_| change.kind == ChangeKind::Renamed);
            if let Some(pre) = &pre {
                let mut wanted = Wanted {
                    mode: pre.meta.mode,
                    owner: Some((pre.meta.uid, pre.meta.gid)),
                    attributes: pre.attributes.clone(),
                };
                let path = back_at.unwrap_or(&change.path);
                let (left, old) = (left_at(undone, &change.path), old_in(undone, change.slot));
                let mode = kept_mode(&change.path, left, old, &loaded);
                if !mode.apply(path, &mut wanted, &mut notes) {
                    refusals.push(has_other_mode(&change.path, undone.transaction));
                }
                restored.files.insert(path.clone(), wanted);
            }
            changes.push(invert(change, &loaded, pre));
        }
        unless_refused(refusals)?;
        plan::show_replacements(&mut changes);
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        notes.extend(stays_away(undone));
        Ok(Reversal {
            changes,
            loaded,
            restored,
            notes,
        })
    }
}

/// What a way back makes of the task manifest.
#[derive(Default)]
struct Settled {
    /// The tasks that are open again.
    reopened: Vec<String>,
    /// The tasks that are complete again.
    completed: Vec<String>,
    /// The manifest, where it changes.
    bytes: Option<Vec<u8>>,
}

impl Workspace {
    /// Completed tasks whose placeholders come back are open again; those that an undo opened so, and
    /// that is taken back, are complete again. A manifest that cannot be read is left alone: taking
    /// back files does not depend on it.
    fn settle_tasks(
        &self,
        held: &Held,
        record: &Record,
        changes: &[FileChange],
    ) -> Result<Settled, Error> {
        let tasks = held.state.tasks()?;
        let Some(Ok(mut manifest)) = tasks.map(|bytes| Manifest::parse(&bytes)) else {
            return Ok(Settled::default());
        };
        let scanner = Scanner::new();
        let reopened = task::reopen(&mut manifest, &scanner, changes);
        let mut completed = Vec::new();
        let also = record.undoes_also.iter().map(|undone| &undone.transaction);
        for transaction in record.undoes.iter().chain(also) {
            if let Some(before) = self.tasks_before(transaction)? {
                let more = task::complete_again(&mut manifest, &before, &scanner, changes);
                completed.extend(more);
            }
        }
        let is_other = !reopened.is_empty() || !completed.is_empty();
        Ok(Settled {
            reopened,
            completed,
            bytes: is_other.then(|| manifest.to_bytes()),
        })
    }

    /// The task manifest before an undo that changed it.
    fn tasks_before(&self, transaction: &TransactionId) -> Result<Option<Manifest>, Error> {
        let log = self.log()?;
        let Some(undo) = log.read(transaction)?.filter(|it| it.undoes.is_some()) else {
            return Ok(None);
        };
        let name = format!("{STATE}/{TASKS}");
        let mut steps = undo.journal.steps.iter();
        let Some(step) = steps.find(|step| step.path.as_bytes() == name.as_bytes()) else {
            return Ok(None);
        };
        let bytes = log.pre_image(transaction, step.slot)?;
        Ok(bytes.and_then(|bytes| Manifest::parse(&bytes).ok()))
    }
}

/// What the way back took.
#[derive(Default)]
pub(crate) struct Back {
    done: Done,
    /// The tasks that are open again.
    reopened: Vec<String>,
    /// The tasks that are complete again.
    completed: Vec<String>,
}

impl Back {
    /// The report on it.
    pub(crate) fn told(
        self,
        held: &Held,
        record: Record,
        plan: Plan,
        recovered: &Recovered,
    ) -> Applied<'static> {
        let mut applied = finished(held, record, plan, recovered, self.done);
        for task in self.reopened {
            let warning = format!("task {task} is open again: its placeholder is back");
            applied.report.warnings.push(warning);
        }
        for task in self.completed {
            let warning = format!("task {task} is complete again: its placeholder is gone");
            applied.report.warnings.push(warning);
        }
        applied
    }
}

pub(crate) struct Reversal {
    pub(crate) changes: Vec<FileChange>,
    pub(crate) loaded: Loaded,
    pub(crate) restored: Restored,
    /// What a person should know.
    pub(crate) notes: Vec<String>,
}

/// What becomes of a file's permission bits on the way back.
pub(crate) enum Mode {
    /// They are as they were left: those from before come back.
    AsLeft,
    /// Somebody else changed them, but what is taken back did not: these stay.
    Kept(u32),
    /// Both did.
    Lost,
}

impl Mode {
    /// Says which mode a file is to have that comes back; false where none is right.
    pub(crate) fn apply(
        self,
        path: &RelPath,
        wanted: &mut Wanted,
        notes: &mut Vec<String>,
    ) -> bool {
        if let Self::Kept(mode) = self {
            notes.push(keeps_mode(path, mode));
            wanted.mode = mode;
        }
        !matches!(self, Self::Lost)
    }
}

/// Compares the permission bits of a file with those that a transaction left and found.
pub(crate) fn kept_mode(
    path: &RelPath,
    left: Option<Identity>,
    old: Option<Identity>,
    loaded: &Loaded,
) -> Mode {
    let (Some(left), Some(old), Some(now)) = (left, old, loaded.found(path)) else {
        return Mode::AsLeft;
    };
    if left.link || now.meta.kind != FileKind::File || now.meta.mode == left.mode {
        return Mode::AsLeft;
    }
    match !old.link && old.mode == left.mode {
        true => Mode::Kept(now.meta.mode),
        false => Mode::Lost,
    }
}

pub(crate) fn keeps_mode(path: &RelPath, mode: u32) -> String {
    format!("{path} keeps mode {mode:04o}, which somebody else gave it")
}

pub(crate) fn has_other_mode(path: &RelPath, since: TransactionId) -> Refusal {
    let message = format!(
        "{path} has another mode since transaction {since}; undo what came later first, or restore it by hand"
    );
    Refusal::new(Code::ChangedSince, message).in_file(path)
}

/// What a transaction left at a path.
fn left_at(record: &Record, path: &RelPath) -> Option<Identity> {
    let mut steps = record.journal.steps.iter();
    steps.find(|step| step.path == *path)?.new
}

/// What a slot of a transaction holds.
fn old_in(record: &Record, slot: Option<u32>) -> Option<Identity> {
    let mut steps = record.journal.steps.iter();
    steps.find(|step| Some(step.slot) == slot)?.old
}

/// What does not come back where a command took away what is no part of its record.
pub(crate) fn stays_away(record: &Record) -> Option<String> {
    let command = record.command.as_ref()?;
    let gone = command.gone.first()?;
    Some(format!(
        "{gone} was there before the command, but is not recorded, and does not come back; files that came of it are kept in the log until gc removes them"
    ))
}

/// Why a batch cannot be taken back.
pub(crate) enum Obstruction {
    Refused(Vec<Refusal>),
    Failed(Error),
}

impl From<Error> for Obstruction {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

fn by_name(log: &Log, name: &str) -> Result<Record, Stop> {
    let found = match log.find(name)? {
        Some(transaction) => log.read(&transaction)?,
        None => None,
    };
    let shown = crate::error::excerpt(name.as_bytes(), 100);
    match found {
        Some(record) if is_undoable(&record) => Ok(record),
        Some(_) => Err(no_such(format!(
            "batch {shown:?} changed nothing, so there is nothing to undo"
        ))),
        None => match log.removed(name)? {
            Some(transaction) => Err(removed(transaction).into()),
            None => Err(no_such(format!(
                "the log has no batch {shown:?}; see history"
            ))),
        },
    }
}

/// The refusal of a transaction whose record is too old.
pub(crate) fn removed(transaction: TransactionId) -> Refusal {
    let message = format!("gc removed the record of transaction {transaction} from the log");
    Refusal::new(Code::SnapshotMissing, message)
}

fn last(log: &Log) -> Result<Record, Stop> {
    for transaction in log.transactions()?.into_iter().rev() {
        if let Some(record) = log.read(&transaction)?
            && is_undoable(&record)
            && record.undoes.is_none()
            && log.undone_by(&transaction)?.is_none()
        {
            return Ok(record);
        }
    }
    Err(no_such(
        "the log has no batch that could be undone".to_owned(),
    ))
}

/// The batch that counts again when an undo is taken back; `None` where the log has lost it, so that
/// nothing of it could be sent again or undone.
fn redone(log: &Log, undone: &Record) -> Result<Option<Redone>, Error> {
    match undone.undoes {
        Some(transaction) => redone_of(log, transaction),
        None => Ok(None),
    }
}

/// What else no longer counts, and counts again, where an undo of several batches is taken back.
fn settle_others(log: &Log, undone: &Record, record: &mut Record) -> Result<(), Error> {
    for again in &undone.redoes_also {
        record.undoes_also.push(undone_of(log, again.transaction)?);
    }
    for gone in &undone.undoes_also {
        (record.redoes_also).extend(redone_of(log, gone.transaction)?);
    }
    Ok(())
}

/// The paths that a record's changes name.
fn paths_of(record: &Record) -> Vec<RelPath> {
    let changes = record.changes.iter();
    let named = changes.flat_map(|change| [Some(&change.path), change.from.as_ref()]);
    let mut paths: Vec<RelPath> = named.flatten().cloned().collect();
    paths.sort();
    paths.dedup();
    paths
}

fn is_undoable(record: &Record) -> bool {
    record.state == TransactionState::Committed && !record.changes.is_empty()
}

fn no_such(message: String) -> Stop {
    Refusal::new(Code::InvalidBatch, message).into()
}

/// The record of an undo, before anything is known of how it ends.
fn mirror(held: &Held, undone: &Record, options: &ApplyOptions<'_>) -> Result<Record, Error> {
    let mut record = new_record(held, options)?;
    record.content = Digest::of(undone.transaction.as_bytes());
    record.labels = undone.labels.clone();
    record.undoes = Some(undone.transaction);
    record.undoes_batch = undone.has_own_id().then(|| undone.batch_id.clone());
    Ok(record)
}

/// What becomes of a batch's operations when it is taken back.
fn turned_round(operations: &[Verdict]) -> Vec<Verdict> {
    let mut verdicts = operations.to_vec();
    for verdict in &mut verdicts {
        verdict.refusal = None;
        verdict.lines = None;
        // They tell of the way there.
        verdict.note = None;
        verdict.matched = None;
        verdict.rebased = None;
        verdict.outcome = match verdict.outcome {
            Outcome::Applied | Outcome::Rebased | Outcome::Undone => Outcome::Undone,
            _ => Outcome::NotApplied,
        };
    }
    verdicts
}

/// Refuses the way back: each file's first operation is blamed for its refusal.
fn refuse(plan: &mut Plan, record: &mut Record, refusals: Vec<Refusal>) {
    let mut unplaced = None;
    for refusal in refusals {
        let mut verdicts = plan.verdicts.iter_mut();
        let blamed = verdicts.find(|verdict| {
            verdict.refusal.is_none() && Some(&*verdict.file) == refusal.file.as_deref()
        });
        match blamed {
            Some(verdict) => {
                verdict.outcome = Outcome::Refused;
                verdict.refusal = Some(Box::new(refusal));
            }
            None => {
                unplaced.get_or_insert(refusal);
            }
        }
    }
    plan.changes.clear();
    plan.verdicts.iter_mut().for_each(Verdict::hold_back);
    record.state = TransactionState::Refused;
    record.judge(plan, unplaced);
}

/// What stands elsewhere than the record left it, a refusal for each path.
fn changed_since(undone: &Record, loaded: &Loaded, options: &ApplyOptions<'_>) -> Vec<Refusal> {
    let mut left: BTreeMap<&RelPath, Option<FileState>> = BTreeMap::new();
    for change in &undone.changes {
        if let (ChangeKind::Renamed, Some(from)) = (change.kind, &change.from) {
            left.entry(from).or_insert(None);
        }
        let state = left.entry(&change.path).or_insert(None);
        *state = change.after.or(*state);
    }
    changed(&left, undone.transaction, loaded, options)
}

/// What stands elsewhere than a transaction left it, a refusal for each path.
pub(crate) fn changed(
    left: &BTreeMap<&RelPath, Option<FileState>>,
    since: TransactionId,
    loaded: &Loaded,
    options: &ApplyOptions<'_>,
) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for (&path, &expected) in left {
        let standing = loaded.tree.standing(path);
        let there = standing.map(|source| source.state());
        // Where nothing was left, a directory or file of the batch's own may be in the way.
        let in_the_way = loaded.tree.obstacle(path);
        let may_go = expected.is_none()
            && in_the_way.is_some_and(|it| it != Obstacle::Directory(Holds::Others));
        if let (plan::Entry::Refused(refusal), None, false) =
            (loaded.tree.get(path), standing, may_go)
        {
            refusals.push((**refusal).clone());
        } else if there != expected {
            let why = match (there, expected) {
                (None, _) => "is gone",
                (Some(_), None) => "was created",
                (Some(now), Some(then)) if now.link != then.link => "has another type",
                (Some(now), Some(then)) if now.digest == then.digest => "has another mode",
                _ => "has changed",
            };
            let message = format!(
                "{path} {why} since transaction {}; undo what came later first, or restore it by hand",
                since
            );
            refusals.push(Refusal::new(Code::ChangedSince, message).in_file(path));
        } else if let Some(found) = loaded.found(path) {
            refusals.extend(survey::irreplaceable(path, &found.meta, options));
        }
    }
    refusals
}

/// The pre-image of a change, whole and unaltered; `None` where the change has none.
fn pre_file(
    log: &Log,
    undone: &Record,
    change: &ChangeRecord,
) -> Result<Option<PreFile>, Obstruction> {
    let Some(slot) = change.slot.filter(|_| change.kind != ChangeKind::Copied) else {
        return Ok(None);
    };
    let steps = &undone.journal.steps;
    let old = steps
        .iter()
        .find(|step| step.slot == slot)
        .and_then(|step| step.old);
    let pre = log.pre_file(&undone.transaction, slot)?;
    match (pre, old) {
        (Some(pre), Some(old))
            if Digest::of(&pre.bytes) == old.digest && pre.is_link() == old.link =>
        {
            Ok(Some(pre))
        }
        _ => {
            let message = format!(
                "the log no longer holds {} as it was before transaction {}",
                change.path, undone.transaction
            );
            let refusal = Refusal::new(Code::SnapshotMissing, message).in_file(&change.path);
            Err(Obstruction::Refused(vec![refusal]))
        }
    }
}

/// Refuses where there is anything to refuse.
pub(super) fn unless_refused(refusals: Vec<Refusal>) -> Result<(), Obstruction> {
    match refusals.is_empty() {
        true => Ok(()),
        false => Err(Obstruction::Refused(refusals)),
    }
}

/// Refuses files that are protected now: what the operator opened for the batch is not open for
/// ever.
pub(super) fn check_protected<'a>(
    paths: impl Iterator<Item = &'a RelPath>,
    options: &ApplyOptions<'_>,
) -> Result<(), Obstruction> {
    let protected = paths.filter_map(|path| plan::paths::protected(path, &options.policy));
    unless_refused(protected.collect())
}

/// What a change did where, turned round.
fn swapped(touches: &[Touch], single: bool) -> Vec<Touch> {
    let touch = |touch: &Touch| Touch {
        operation: touch.operation,
        edit: if single { 0 } else { touch.edit },
        added: touch.removed,
        removed: touch.added,
    };
    touches.iter().map(touch).collect()
}

/// The change that takes a change back.
fn invert(change: &ChangeRecord, loaded: &Loaded, pre: Option<PreFile>) -> FileChange {
    let current = loaded.tree.standing(&change.path).cloned();
    let mut back = FileChange {
        path: change.path.clone(),
        from: None,
        kind: change.kind,
        source: current.clone(),
        dressed_as: None,
        edits: EditSet::default(),
        before: current.clone(),
        after: None,
        touches: swapped(&change.touches, true),
        lines_added: change.lines_removed,
        lines_removed: change.lines_added,
    };
    let Some(pre) = pre else {
        let len = current.map_or(0, |source| source.bytes().len());
        back.kind = ChangeKind::Deleted;
        back.edits = whole(0..len, Vec::new(), len);
        back.lines_removed = back.source.as_ref().map_or(0, |source| {
            crate::text::Text::new(source.bytes()).line_count()
        });
        back.lines_added = 0;
        return back;
    };
    back.after = Some(After::hashed(FileState {
        digest: Digest::of(&pre.bytes),
        executable: !pre.is_link() && pre.meta.mode & 0o100 != 0,
        link: pre.is_link(),
    }));
    match (change.kind, current) {
        (ChangeKind::Deleted, _) | (_, None) => {
            back.kind = ChangeKind::Created;
            (back.source, back.before) = (None, None);
            back.edits = whole(0..0, pre.bytes, 0);
        }
        (kind, Some(current)) => {
            if kind == ChangeKind::Renamed
                && let Some(from) = &change.from
            {
                back.path.clone_from(from);
                back.from = Some(change.path.clone());
                back.before = None;
            }
            let edits = inverted_edits(change, &current, &pre.bytes);
            back.touches = swapped(&change.touches, edits.is_none());
            let len = current.bytes().len();
            back.edits = edits.unwrap_or_else(|| whole(0..len, pre.bytes, len));
        }
    }
    back
}

/// The edits of the record, turned round; `None` where they do not lead to the pre-image.
fn inverted_edits(change: &ChangeRecord, current: &Arc<Source>, pre: &[u8]) -> Option<EditSet> {
    let mut shift = 0_isize;
    let mut edits = Vec::with_capacity(change.edits.len());
    for edit in &change.edits {
        let [start, end] = edit.span;
        let at = start.checked_add_signed(shift)?;
        edits.push(Edit::replace(
            at..at.checked_add(edit.len)?,
            pre.get(start..end)?,
        ));
        shift = shift
            .checked_add_unsigned(edit.len)?
            .checked_sub_unsigned(end - start)?;
    }
    let edits = EditSet::new(edits, current.bytes().len()).ok()?;
    (Digest::of_chunks(edits.chunks(current.bytes())) == Digest::of(pre)).then_some(edits)
}

fn whole(span: std::ops::Range<usize>, text: Vec<u8>, len: usize) -> EditSet {
    let edits = if span.is_empty() && text.is_empty() {
        Vec::new()
    } else {
        vec![Edit::replace(span, text)]
    };
    EditSet::new(edits, len).expect("one edit of all bytes")
}
