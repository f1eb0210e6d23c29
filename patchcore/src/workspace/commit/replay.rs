//! Batches that were committed before: known by their id, or by the input that they came as.
//!
//! A batch with an id is known by that alone. Input without one is known where the same bytes came
//! with the same options, labels and permissions, were committed in full and not taken back, and
//! every file that they touched is still as they left it.

use crate::digest::{Digest, Hasher};
use crate::error::{Code, Error, Refusal};
use crate::operation::Batch;
use crate::path::RelPath;
use crate::plan::{self, FileChange, Hashing, Lowered, Outcome, Plan, Script, Tree, Verdict};
use crate::report::Status;
use crate::workspace::Workspace;
use crate::workspace::commit::apply::Prepared;
use crate::workspace::options::ApplyOptions;
use crate::workspace::read::load::{self, Loaded};
use crate::workspace::read::near_names;
use crate::workspace::state::StateDir;
use crate::workspace::state::ledger;
use crate::workspace::state::record::{ChangeRecord, Record, TransactionId, TransactionState};

/// The digest of what is asked: input, options and permissions. `None` for a script that is not
/// known by it.
pub(crate) fn request(script: &dyn Script, options: &ApplyOptions<'_>) -> Option<Digest> {
    if script.as_batch().is_some_and(|batch| batch.id.is_some()) {
        return None;
    }
    let received = script.received()?;
    let ApplyOptions {
        policy,
        break_hard_links,
        force_read_only,
        allow_owner_change,
        ..
    } = options;
    let permissions = (
        policy,
        break_hard_links,
        force_read_only,
        allow_owner_change,
    );
    let mut hasher = Hasher::default();
    hasher.update(received.as_bytes());
    hasher.update(format!("{permissions:?}").as_bytes());
    Some(hasher.finish())
}

/// A script, and the digest of what is asked by it.
pub(crate) struct Asked<'a> {
    pub(crate) script: &'a dyn Script,
    pub(crate) request: Option<Digest>,
}

/// A script that was planned.
pub(crate) enum Judged<'a> {
    /// It has yet to be applied.
    New(Prepared<'a>),
    /// It was committed before, and this is what is said of it.
    Known(Prepared<'a>),
}

impl Workspace {
    /// Plans a script, or recalls what became of it where it was committed before.
    pub(crate) fn judge<'a>(
        &self,
        state: Option<&StateDir>,
        asked: &Asked<'a>,
        options: &ApplyOptions<'_>,
        hashing: Hashing,
    ) -> Result<Judged<'a>, Error> {
        let Asked { script, request } = *asked;
        if let (Some(state), Some(batch)) = (state, script.as_batch())
            && let Some(id) = &batch.id
            && let Some(entry) = ledger::look_up(state, id)?
        {
            return self.by_id(batch, entry).map(Judged::Known);
        }
        let known = match (state, request) {
            (Some(state), Some(request)) if !options.again => {
                let entry = ledger::look_up_request(state, request)?;
                entry.map(|entry| (entry, request))
            }
            _ => None,
        };
        let prepared = self.prepare(script, options, hashing, state);
        if let Some((entry, request)) = known
            && !prepared.as_ref().is_ok_and(|it| is_as_before(it, &entry))
            && let Some(known) = self.by_request(script, &entry.transaction, request)?
        {
            return Ok(Judged::Known(known));
        }
        let mut prepared = prepared?;
        near_names::add(&self.root, self.path(), &mut prepared.plan);
        Ok(Judged::New(prepared))
    }

    /// What is said of a request that was committed before and still stands.
    fn by_request<'a>(
        &self,
        script: &'a dyn Script,
        transaction: &TransactionId,
        request: Digest,
    ) -> Result<Option<Prepared<'a>>, Error> {
        let Some(record) = self.standing(transaction, request)? else {
            return Ok(None);
        };
        let lowered = match script.as_batch() {
            Some(batch) => batch.into(),
            None => stand_in(&record).into(),
        };
        let note = format!(
            "the same input was applied as batch {}, and its files are as that left them; allow it again, or give it an id, to apply it once more",
            record.batch_id
        );
        let replayed = |verdict: &Verdict| Verdict {
            outcome: Outcome::AlreadyApplied,
            lines: None,
            note: Some(note.clone()),
            ..verdict.clone()
        };
        let verdicts = record.operations.iter().map(replayed).collect();
        Ok(Some(prepared(lowered, verdicts, None)))
    }

    /// What is said of a batch whose id was committed before, by the record of that commit. Where
    /// its record was cleaned up or is damaged, the ledger still knows that the batch was committed.
    fn by_id<'a>(&self, batch: &'a Batch, known: ledger::Entry) -> Result<Prepared<'a>, Error> {
        let earlier = known.transaction;
        let same = known.content == batch.content;
        let operations = batch.operations.iter();
        let mut verdicts: Vec<_> = operations.map(|it| Verdict::passed(batch, it)).collect();
        for verdict in &mut verdicts {
            verdict.note = None;
            verdict.outcome = match same {
                true => Outcome::AlreadyApplied,
                false => verdict.outcome.held_back(),
            };
        }
        if same && let Some(record) = sound(self.log()?.read(&earlier))? {
            for (verdict, operation) in verdicts.iter_mut().zip(Vec::from(record.operations)) {
                verdict.guarded = operation.guarded;
                verdict.note = operation.note;
                verdict.matched = operation.matched;
                verdict.rebased = operation.rebased;
                verdict.refusal = operation.refusal;
                if !operation.outcome.lands() {
                    verdict.outcome = operation.outcome;
                }
            }
        }
        let refusal = (!same).then(|| {
            let message = format!(
                "the batch's id was committed with other content by transaction {earlier}; give new content a new id"
            );
            Refusal::new(Code::BatchIdReused, message)
        });
        Ok(prepared(batch.into(), verdicts, refusal))
    }

    /// The record of a commit of the request, where it was in full, still counts, and the files are
    /// as it left them.
    fn standing(
        &self,
        transaction: &TransactionId,
        request: Digest,
    ) -> Result<Option<Record>, Error> {
        let log = self.log()?;
        let Some(record) = sound(log.read(transaction))? else {
            return Ok(None);
        };
        let counts = record.request == Some(request)
            && record.state == TransactionState::Committed
            && record.status == Status::Applied
            && log.undone_by(transaction)?.is_none();
        if !counts {
            return Ok(None);
        }
        let touched = |change: &ChangeRecord| [Some(change.path.clone()), left(change).cloned()];
        let mut paths: Vec<RelPath> = record.changes.iter().flat_map(touched).flatten().collect();
        paths.sort_unstable();
        paths.dedup();
        let loaded = load::load(&self.root, &paths)?;
        Ok(is_as_left(&record, &loaded.tree).then_some(record))
    }
}

/// A record of the log; `None` where it is gone or damaged.
fn sound(read: Result<Option<Record>, Error>) -> Result<Option<Record>, Error> {
    match read {
        Err(Error::Damaged { .. } | Error::UnsupportedVersion { .. }) => Ok(None),
        result => result,
    }
}

/// Whether a file is as it was before the commit of a request, so that the commit's record need not
/// be asked: the same plan was carried out then, and it changes the file.
fn is_as_before(prepared: &Prepared<'_>, known: &ledger::Entry) -> bool {
    let plan = &prepared.plan;
    let differs = |change: &FileChange| {
        change.from.is_none() && change.state_before() != change.state_after()
    };
    plan.changes.iter().any(differs) && plan.digest() == known.content
}

/// The path that a renamed file left.
fn left(change: &ChangeRecord) -> Option<&RelPath> {
    (change.kind == plan::ChangeKind::Renamed)
        .then_some(change.from.as_ref())
        .flatten()
}

/// Whether all that a record changed is as it was afterwards.
fn is_as_left(record: &Record, tree: &Tree) -> bool {
    let stands = |path: &RelPath| tree.standing(path).map(|source| source.state());
    let as_left = |change: &ChangeRecord| stands(&change.path) == change.after;
    let is_taken = |path: &RelPath| record.changes.iter().any(|change| change.path == *path);
    let is_gone = |path: &RelPath| is_taken(path) || stands(path).is_none();
    let mut changes = record.changes.iter();
    changes.all(|change| as_left(change) && left(change).is_none_or(is_gone))
}

/// What a record says of its batch beside the verdicts.
fn stand_in(record: &Record) -> Batch {
    let mut batch = Batch::new(Vec::new(), record.content);
    batch.id = Some(record.batch_id.clone());
    batch.labels = record.labels.clone().into();
    batch
}

fn prepared(
    lowered: Lowered<'_>,
    verdicts: Vec<Verdict>,
    refusal: Option<Refusal>,
) -> Prepared<'_> {
    Prepared {
        lowered: Some(lowered),
        plan: Plan::new(Vec::new(), verdicts),
        refusal,
        tasks: None,
        loaded: Loaded::default(),
    }
}
