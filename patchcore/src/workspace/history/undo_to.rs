//! Taking back everything since a point of the log, as one batch.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem::take;
use std::sync::Arc;
use std::time::Instant;

use crate::digest::Digest;
use crate::error::{Code, Error, Refusal, Stop};
use crate::path::RelPath;
use crate::plan::{FileChange, FileState, Outcome, Plan, Source};
use crate::report::Mode;
use crate::workspace::Workspace;
use crate::workspace::command::observe;
use crate::workspace::commit::apply::{Applied, finished, millis, new_record};
use crate::workspace::commit::layout::{Restored, Wanted};
use crate::workspace::commit::transaction::Done;
use crate::workspace::history::undo::{self, Back, Obstruction, Reversal};
use crate::workspace::options::ApplyOptions;
use crate::workspace::read::load;
use crate::workspace::state::chain::{self, End};
use crate::workspace::state::journal;
use crate::workspace::state::log::{Log, PreFile};
use crate::workspace::state::record::{
    ChangeRecord, Identity, Record, Redone, Step, TransactionId, TransactionState, Undone,
};
use crate::workspace::state::snapshot::{self, Listing, Row};
use crate::workspace::state::state_path;

/// A point of the log, which everything behind it is taken back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// Right after a batch: a transaction's id, or a sender's batch id.
    Batch(String),
    /// A moment, in milliseconds since 1970.
    Time(u64),
}

impl Point {
    /// Reads a point: a moment in RFC 3339, like `2026-05-01T12:00:00Z`, or else an id.
    ///
    /// ```
    /// use patchcore::workspace::Point;
    /// assert_eq!(Point::parse("1970-01-01T00:00:02Z"), Point::Time(2000));
    /// assert_eq!(Point::parse("batch-7"), Point::Batch("batch-7".to_owned()));
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let moment = text.parse::<jiff::Timestamp>().ok();
        match moment.and_then(|moment| u64::try_from(moment.as_millisecond()).ok()) {
            Some(millis) => Self::Time(millis),
            None => Self::Batch(text.to_owned()),
        }
    }
}

impl Workspace {
    /// Takes back everything that was committed since a point of the log, whatever it was: edits,
    /// undos, what commands did. It becomes one batch, all or nothing, which can be undone itself.
    ///
    /// Where a file is not as the log left it, then or now, the report refuses with `CHANGED_SINCE`
    /// and the tree stays as it is: what nobody recorded is not thrown away. With
    /// [`Mode::Preview`] nothing is written.
    ///
    /// # Errors
    /// `INVALID_BATCH` where the log has no such batch; `SNAPSHOT_MISSING` where the log does not go
    /// back that far, or has a gap; `LOCK_TIMEOUT`, `UNFINISHED`, `IO`.
    pub fn undo_to(
        &self,
        point: &Point,
        mode: Mode,
        options: &ApplyOptions<'_>,
    ) -> Result<Applied<'static>, Stop> {
        let began = Instant::now();
        let held = self.hold(options.lock_wait)?;
        let recovered = self.recovered(&held)?;
        let log = self.log()?;
        let mut since = Since::new(&log, point)?;
        // What they did is behind the point, too.
        if mode == Mode::Apply && self.record_open_runs(&held, &since.paths(), options)? {
            since = Since::new(&log, point)?;
        }
        let mut record = new_record(&held, options)?;
        record.content = Digest::of(format!("{point:?}").as_bytes());
        let mut plan = Plan::new(Vec::new(), Vec::new());
        let mut back = Back::default();
        match self.reverse_all(&log, &since, options) {
            Ok(reversal) if mode == Mode::Preview => {
                plan = planned(reversal.changes, &mut record);
            }
            Ok(reversal) if since.changing.is_empty() => {
                plan = planned(reversal.changes, &mut record);
                journal::log_only(&held, &record, options.durable)?;
                return Ok(finished(&held, record, plan, &recovered, Done::default()));
            }
            Ok(mut reversal) => {
                plan = planned(take(&mut reversal.changes), &mut record);
                since.settle(&log, &mut record)?;
                back = self.go_back(&held, options, &reversal, &mut plan, &mut record, began)?;
            }
            Err(Obstruction::Refused(refusals)) => refuse(&plan, &mut record, refusals),
            Err(Obstruction::Failed(error)) => return Err(error.into()),
        }
        if mode == Mode::Preview {
            record.changes = plan.changes.iter().map(ChangeRecord::of).collect();
            record.state = TransactionState::Previewed;
            let refusal = record.refusal.take();
            record.judge(&plan, refusal);
        } else if record.state == TransactionState::Refused {
            record.duration_ms = millis(began);
            (record.undoes, record.undoes_batch) = (None, None);
            (record.undoes_also, record.redoes_also) = (Vec::new(), Vec::new());
            journal::log_only(&held, &record, options.durable)?;
        }
        let is_refused = record.state == TransactionState::Refused;
        let mut applied = back.told(&held, record, plan, &recovered);
        if !is_refused {
            applied.report.warnings.extend(since.kept());
        }
        Ok(applied)
    }

    /// The changes that lead back to the point.
    fn reverse_all(
        &self,
        log: &Log,
        since: &Since,
        options: &ApplyOptions<'_>,
    ) -> Result<Reversal, Obstruction> {
        let history = since.files()?;
        undo::check_protected(history.keys(), options)?;
        let paths: Vec<RelPath> = history.keys().cloned().collect();
        let mut restored = since.directories();
        let loaded = load::load_beside(&self.root, &paths, &restored.made)?;
        if let Some(newest) = since.changing.last().map(|record| record.transaction) {
            let left = history.iter();
            let left = left.map(|(path, file)| (path, file.left.as_ref().map(state)));
            undo::unless_refused(undo::changed(&left.collect(), newest, &loaded, options))?;
        }
        let (mut refusals, mut notes) = (Vec::new(), Vec::new());
        let mut changes = Vec::new();
        for (path, file) in history.iter().filter(|(_, file)| !file.is_as_it_was()) {
            let current = loaded.tree.standing(path);
            let Some((transaction, slot, old)) = file.before else {
                changes.extend(current.map(|it| FileChange::deletion(path.clone(), it, 0)));
                continue;
            };
            let pre = pre_file(log, path, transaction, slot, &old)?;
            let mut wanted = Wanted {
                mode: pre.meta.mode,
                owner: Some((pre.meta.uid, pre.meta.gid)),
                attributes: pre.attributes,
            };
            let mode = undo::kept_mode(path, file.left, Some(old), &loaded);
            if !mode.apply(path, &mut wanted, &mut notes) {
                refusals.push(undo::has_other_mode(path, file.last));
            }
            restored.files.insert(path.clone(), wanted);
            let then = Arc::new(match old.link {
                true => Source::link(pre.bytes),
                false => Source::new(pre.bytes, old.mode & 0o100 != 0),
            });
            changes.push(match current {
                Some(current) => observe::modification(path, current, &then),
                None => observe::creation(path, &then),
            });
        }
        undo::unless_refused(refusals)?;
        for (index, change) in changes.iter_mut().enumerate() {
            for touch in &mut change.touches {
                touch.operation = index;
            }
        }
        notes.extend(since.changing.iter().filter_map(undo::stays_away));
        Ok(Reversal {
            changes,
            loaded,
            restored,
            notes,
        })
    }
}

/// The plan of the changes, and what the record says of them.
fn planned(changes: Vec<FileChange>, record: &mut Record) -> Plan {
    let batch = observe::batch(&changes, record);
    let mut verdicts = observe::verdicts(&batch);
    for verdict in &mut verdicts {
        verdict.outcome = Outcome::Undone;
    }
    let plan = Plan::new(changes, verdicts);
    record.state = TransactionState::Committed;
    record.judge(&plan, None);
    plan
}

/// Refuses as a whole: the first reason, which says how many more there are.
fn refuse(plan: &Plan, record: &mut Record, mut refusals: Vec<Refusal>) {
    let more = refusals.len() - 1;
    let mut refusal = refusals.swap_remove(0);
    if more > 0 {
        let files = match more {
            1 => "1 more file".to_owned(),
            more => format!("{more} more files"),
        };
        refusal.message = format!("{}; the same goes for {files}", refusal.message);
    }
    record.state = TransactionState::Refused;
    record.judge(plan, Some(refusal));
}

/// A file in the time since the point.
#[derive(Debug)]
struct FileHistory {
    /// What stood there at the point, and where it is kept; `None` where nothing stood there.
    before: Option<(TransactionId, u32, Identity)>,
    /// What the last transaction left.
    left: Option<Identity>,
    last: TransactionId,
}

impl FileHistory {
    fn is_as_it_was(&self) -> bool {
        let before = self.before.as_ref().map(|(_, _, old)| known(old));
        before == self.left.as_ref().map(known)
    }
}

/// By what a file is known to be as it was left.
fn known(identity: &Identity) -> (Digest, bool, u32) {
    let mode = if identity.link { 0 } else { identity.mode };
    (identity.digest, identity.link, mode)
}

fn state(identity: &Identity) -> FileState {
    FileState {
        digest: identity.digest,
        executable: !identity.link && identity.mode & 0o100 != 0,
        link: identity.link,
    }
}

/// What the log holds behind the point.
struct Since {
    /// Committed records that changed something, the oldest first.
    changing: Vec<Record>,
    /// As what the log, or the first snapshot, left files before the point.
    known: Known,
}

/// What was left at a path, and by which transaction.
type Left = (TransactionId, Option<(Digest, bool, u32)>);
/// What was left at each path.
type Known = BTreeMap<RelPath, Left>;

fn as_listed(id: TransactionId, listing: Listing) -> impl Iterator<Item = (RelPath, Left)> {
    let known = |row: Row| (row.digest, row.link, if row.link { 0 } else { row.mode });
    let files = listing.files.into_iter();
    files.map(move |(path, row)| (path, (id, Some(known(row)))))
}

fn as_left(id: TransactionId, steps: Vec<Step>) -> impl Iterator<Item = (RelPath, Left)> {
    let steps = steps.into_iter();
    steps.map(move |step| (step.path, (id, step.new.as_ref().map(known))))
}

/// The transaction of a point's name.
fn found(log: &Log, name: &str) -> Result<TransactionId, Stop> {
    if let Some(transaction) = log.find(name)? {
        return Ok(transaction);
    }
    if let Some(removed) = log.removed(name)? {
        return Err(undo::removed(removed).into());
    }
    let shown = crate::error::excerpt(name.as_bytes(), 100);
    let message =
        format!("the log has no batch {shown:?}, and that is no moment in RFC 3339; see history");
    Err(Refusal::new(Code::InvalidBatch, message).into())
}

fn missing(message: String) -> Stop {
    Refusal::new(Code::SnapshotMissing, message).into()
}

/// Refuses where records behind the point are missing at the end of the log.
fn check_end(
    log: &Log,
    last: Option<TransactionId>,
    is_behind: impl Fn(&TransactionId) -> bool,
) -> Result<(), Stop> {
    let end = match log.state() {
        Some(state) => chain::end(state, last)?,
        None => End::Whole,
    };
    match end {
        End::Removed(last) if is_behind(&last) => Err(missing(format!(
            "gc removed the records up to transaction {last} from the log"
        ))),
        End::Missing(last) if is_behind(&last) => Err(missing(format!(
            "transaction {last} is missing in the log, though it was the last one"
        ))),
        _ => Ok(()),
    }
}

impl Since {
    fn new(log: &Log, point: &Point) -> Result<Self, Stop> {
        let from = match point {
            Point::Time(_) => None,
            Point::Batch(name) => Some(found(log, name)?),
        };
        let is_behind = |transaction: &TransactionId| match point {
            Point::Time(millis) => transaction.unix_millis() > *millis,
            Point::Batch(_) => from.is_some_and(|from| *transaction > from),
        };
        let mut snapshot = match log.state() {
            Some(state) => snapshot::first(state)?,
            None => None,
        };
        let mut changing = Vec::new();
        let mut known = Known::default();
        let mut before = None;
        for transaction in log.transactions()? {
            // What was not written here says nothing.
            let Some(record) = log.read(&transaction)? else {
                continue;
            };
            let is_behind = is_behind(&transaction);
            let previous = record.previous.map(|previous| previous.transaction);
            if previous != before {
                if is_behind {
                    return Err(missing(match before {
                        None => format!("the log goes back to transaction {transaction} only"),
                        Some(before) => format!(
                            "the log has a gap between transactions {before} and {transaction}"
                        ),
                    }));
                }
                // What happened between is not known any more.
                known.clear();
            }
            before = Some(transaction);
            if is_behind {
                if record.state == TransactionState::Committed
                    && !(record.changes.is_empty() && record.journal.steps.is_empty())
                {
                    changing.push(record);
                }
                continue;
            }
            let is_next =
                |(header, _): &mut (snapshot::FirstHeader, Listing)| header.id < transaction;
            if let Some((header, listing)) = snapshot.take_if(is_next) {
                known.extend(as_listed(header.id, listing));
            }
            if record.state == TransactionState::Committed {
                known.extend(as_left(transaction, record.journal.steps));
            }
        }
        if let Some((header, listing)) = snapshot.filter(|(header, _)| !is_behind(&header.id)) {
            known.extend(as_listed(header.id, listing));
        }
        check_end(log, before, is_behind)?;
        Ok(Self { changing, known })
    }

    /// What somebody else did to files between the point and the first transaction behind it that
    /// touched them: no record tells on which side of the point it lies, and it stays.
    fn kept(&self) -> Vec<String> {
        let mut kept = Vec::new();
        let mut seen = BTreeSet::new();
        for record in &self.changing {
            for step in &record.journal.steps {
                if !seen.insert(&step.path) {
                    continue;
                }
                if let Some((last, left)) = self.known.get(&step.path)
                    && *left != step.old.as_ref().map(known)
                {
                    kept.push(format!(
                        "{} was changed by somebody else between {last} and transaction {}; that change is in no record, and stays",
                        step.path, record.transaction
                    ));
                }
            }
        }
        kept
    }

    /// The files that were touched.
    fn paths(&self) -> Vec<RelPath> {
        let steps = self.changing.iter().flat_map(|it| &it.journal.steps);
        let paths: BTreeSet<&RelPath> = steps.map(|step| &step.path).collect();
        paths.into_iter().cloned().collect()
    }

    /// What became of each file.
    fn files(&self) -> Result<BTreeMap<RelPath, FileHistory>, Obstruction> {
        let mut files: BTreeMap<RelPath, FileHistory> = BTreeMap::new();
        let mut refusals = Vec::new();
        let state = state_path();
        for record in &self.changing {
            let transaction = record.transaction;
            let steps = record.journal.steps.iter();
            for step in steps.filter(|step| !step.path.lies_below(&state)) {
                let Some(file) = files.get_mut(&step.path) else {
                    let before = step.old.map(|old| (transaction, step.slot, old));
                    let file = FileHistory {
                        before,
                        left: step.new,
                        last: transaction,
                    };
                    files.insert(step.path.clone(), file);
                    continue;
                };
                if file.left.as_ref().map(known) != step.old.as_ref().map(known) {
                    let (path, last) = (&step.path, file.last);
                    let message = format!(
                        "{path} was changed by somebody else between transactions {last} and {transaction}, which going back would lose; go back to {last} at most"
                    );
                    refusals.push(Refusal::new(Code::ChangedSince, message).in_file(path));
                }
                (file.left, file.last) = (step.new, transaction);
            }
        }
        match refusals.is_empty() {
            true => Ok(files),
            false => Err(Obstruction::Refused(refusals)),
        }
    }

    /// The directories that have to go and to come back: what happened to one first tells whether
    /// it was there.
    fn directories(&self) -> Restored {
        let mut restored = Restored::default();
        let mut seen: BTreeSet<&RelPath> = BTreeSet::new();
        for record in &self.changing {
            let journal = &record.journal;
            // A transaction removes directories before it makes any.
            for emptied in &journal.emptied {
                if seen.insert(&emptied.path) {
                    (restored.directories).insert(emptied.path.clone(), emptied.mode);
                }
            }
            for made in &journal.made {
                if seen.insert(&made.path) {
                    restored.made.insert(made.path.clone());
                }
            }
        }
        restored
    }

    /// Says in the record which batches no longer count, and which ones count again.
    fn settle(&self, log: &Log, record: &mut Record) -> Result<(), Error> {
        let first = self.changing.first().map(|first| first.transaction);
        let is_since = |transaction: &TransactionId| first.is_some_and(|it| *transaction >= it);
        let mut counts: HashMap<TransactionId, bool> = HashMap::new();
        let mut before: HashMap<TransactionId, bool> = HashMap::new();
        for record in self.changing.iter().rev() {
            let own = (record.transaction, false);
            let (voided, reinstated) = effects(log, record)?;
            let back = voided.into_iter().map(|it| (it, true));
            let gone = reinstated.into_iter().map(|it| (it, false));
            for (transaction, then) in [own].into_iter().chain(back).chain(gone) {
                if let Entry::Vacant(unknown) = before.entry(transaction) {
                    unknown.insert(log.undone_by(&transaction)?.is_none());
                }
                counts.insert(transaction, then);
            }
        }
        let mut undone: Vec<TransactionId> = Vec::new();
        let mut redone: Vec<TransactionId> = Vec::new();
        for (transaction, then) in counts {
            let then = then && !is_since(&transaction);
            match (before[&transaction], then) {
                (true, false) => undone.push(transaction),
                (false, true) => redone.push(transaction),
                _ => {}
            }
        }
        undone.sort_unstable();
        redone.sort_unstable();
        record.undoes = undone.pop();
        record.undoes_batch = match record.undoes {
            Some(undone) => undone_of(log, undone)?.batch_id,
            None => None,
        };
        let also = undone.into_iter().map(|undone| undone_of(log, undone));
        record.undoes_also = also.collect::<Result<_, _>>()?;
        for transaction in redone {
            record.redoes_also.extend(redone_of(log, transaction)?);
        }
        Ok(())
    }
}

/// Which transactions a record voided, and which ones it reinstated.
fn effects(log: &Log, record: &Record) -> Result<(Vec<TransactionId>, Vec<TransactionId>), Error> {
    let mut voided: Vec<TransactionId> = record.undoes.into_iter().collect();
    voided.extend(record.undoes_also.iter().map(|undone| undone.transaction));
    let mut reinstated: Vec<TransactionId> = Vec::new();
    // What counts again may be an undo, whose own effects come with it.
    let mut next = record.redoes.as_ref().map(|redone| redone.transaction);
    while let Some(transaction) = next.take() {
        reinstated.push(transaction);
        if let Some(again) = log.read(&transaction)?
            && let Some(undone) = again.undoes
        {
            voided.push(undone);
            next = again.redoes.as_ref().map(|redone| redone.transaction);
        }
    }
    reinstated.extend(record.redoes_also.iter().map(|redone| redone.transaction));
    Ok((voided, reinstated))
}

/// A batch that does not count any more.
pub(crate) fn undone_of(log: &Log, transaction: TransactionId) -> Result<Undone, Error> {
    let record = log.read(&transaction)?;
    Ok(Undone {
        transaction,
        batch_id: record
            .filter(Record::has_own_id)
            .map(|record| record.batch_id),
    })
}

/// A batch that counts again; `None` where the log has lost it.
pub(crate) fn redone_of(log: &Log, transaction: TransactionId) -> Result<Option<Redone>, Error> {
    let batch = log.read(&transaction)?;
    Ok(batch.map(|batch| Redone {
        transaction,
        batch_id: batch.has_own_id().then(|| batch.batch_id.clone()),
        content: batch.content,
        request: batch.request,
    }))
}

/// The file that stood at a path, whole and unaltered.
fn pre_file(
    log: &Log,
    path: &RelPath,
    transaction: TransactionId,
    slot: u32,
    old: &Identity,
) -> Result<PreFile, Obstruction> {
    match log.pre_file(&transaction, slot)? {
        Some(pre) if Digest::of(&pre.bytes) == old.digest && pre.is_link() == old.link => Ok(pre),
        _ => {
            let message = format!(
                "the log no longer holds {path} as it was before transaction {transaction}"
            );
            let refusal = Refusal::new(Code::SnapshotMissing, message).in_file(path);
            Err(Obstruction::Refused(vec![refusal]))
        }
    }
}
