//! Commands that change the tree by themselves: what one did is found out afterwards, and recorded
//! as a batch like any other.
//!
//! Under the lock a snapshot of the tree is taken; the command runs without the lock, so that it may
//! call us; under the lock again the tree is compared with the snapshot. What the log shows to have
//! been committed meanwhile is somebody else's doing and taken into the snapshot first. The
//! difference goes into the log with the old bytes as pre-images. Nothing is installed: the tree is
//! already as the record says.
//!
//! What is written after the end of the command, by a daemon that it left behind, is nobody's.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Code, Error, Refusal, Stop};
use crate::operation::Labels;
use crate::path::RelPath;
use crate::plan::{Lowered, Outcome, Plan, Tree};
use crate::report::Status;
use crate::workspace::Workspace;
use crate::workspace::commit::apply::{Applied, finished, millis, new_record};
use crate::workspace::commit::recover::{self, Recovered};
use crate::workspace::commit::stage::Staging;
use crate::workspace::commit::transaction::{Done, change_records};
use crate::workspace::disk::{self, Dir, File};
use crate::workspace::options::ApplyOptions;
use crate::workspace::state::chain;
use crate::workspace::state::gc;
use crate::workspace::state::journal::{self, WriteFault};
use crate::workspace::state::record::{
    CommandRecord, Journal, Method, Record, TransactionId, TransactionState, form,
};
use crate::workspace::state::snapshot::{self, Listing, Objects};
use crate::workspace::state::{CURRENT, Held, fail};

pub(crate) mod observe;

/// A run that nobody attends to is given up after this time.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Most paths that a record lists as left out.
const MAX_LEFT_OUT: usize = 100;

/// A command whose doing is to be recorded.
#[derive(Debug, Clone, Default)]
pub struct Command {
    /// The program and its arguments, as they are shown.
    pub argv: Vec<String>,
    /// Whom the batch is for.
    pub labels: Labels,
    /// Files and directories that are recorded although git ignores them.
    pub also: Vec<RelPath>,
    /// A name by which [`Workspace::command_named`] finds the run while it is open.
    pub name: Option<String>,
}

/// A command that is being recorded. While this value lives, the run is attended to: when its
/// process dies, the next command that writes records what was done until then.
#[derive(Debug)]
pub struct OpenCommand {
    /// By which [`Workspace::end_command`] knows the run.
    pub id: TransactionId,
    /// `None` for a run that outlives this process.
    _lock: Option<File>,
}

/// What a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Snapshot {
    /// Always 1.
    pub version: u32,
    /// Regular files and symbolic links.
    pub files: usize,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Files and directories that were not looked at: ignored by git, unreadable, or no regular
    /// files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this exit status; 128 and the signal's number where a signal ended it. `None` where
    /// nobody knows.
    Exited(Option<i32>),
    /// The process that attended to it died.
    Interrupted,
}

/// The first line of a run's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    id: TransactionId,
    at: String,
    argv: Vec<String>,
    #[serde(default)]
    labels: Labels,
    #[serde(with = "form::paths")]
    also: Vec<RelPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The last record when the snapshot was taken.
    head: Option<TransactionId>,
    /// Runs that were open then.
    overlaps: Vec<TransactionId>,
    attended: bool,
}

impl Workspace {
    /// Takes a snapshot for a command that runs from now on. Ask for the result by
    /// [`end_command`](Self::end_command).
    ///
    /// With `attended`, the run ends with this process at the latest; without it, another process
    /// may end it, within a day.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT`, `UNFINISHED`, `FOREIGN_STATE`, `IO`.
    pub fn begin_command(
        &self,
        command: &Command,
        attended: bool,
        options: &ApplyOptions<'_>,
    ) -> Result<OpenCommand, Error> {
        let held = self.hold(options.lock_wait)?;
        self.recovered(&held)?;
        let objects = Objects::open(&held.state)?;
        let runs = &objects.runs;
        let id = TransactionId::now();
        let header = Header {
            id,
            at: crate::workspace::now(),
            argv: command.argv.clone(),
            labels: command.labels.clone(),
            also: command.also.clone(),
            name: command.name.clone(),
            head: chain::previous(&held)?.map(|previous| previous.transaction),
            overlaps: open_ids(runs)?,
            attended,
        };
        let listing = snapshot::take(&self.root, &held, &objects, None, &command.also)?;
        let first = serde_json::to_string(&header).expect("plain values");
        let name = id.to_string();
        listing.write(runs, &name, &first, &held)?;
        let lock = attended.then(|| lock_of(runs, &name)).transpose()?;
        Ok(OpenCommand {
            id,
            _lock: lock.flatten(),
        })
    }

    /// Records what a command did since [`begin_command`](Self::begin_command), as one batch that
    /// can be undone; `None` where it changed nothing.
    ///
    /// Where `options` has a review, an operation that breaks one of its rules says so in its note;
    /// it was done all the same.
    ///
    /// # Errors
    /// `INVALID_BATCH` where no such command is being recorded; `LOCK_TIMEOUT`, `UNFINISHED`, `IO`.
    pub fn end_command(
        &self,
        id: &TransactionId,
        ending: Ending,
        options: &ApplyOptions<'_>,
    ) -> Result<Option<Applied<'static>>, Stop> {
        let held = self.hold(options.lock_wait)?;
        let recovered = recover::recover(&self.root, &held)?;
        let read = |runs: &Dir| read_run(runs, &id.to_string(), &held);
        let run = match snapshot::open_runs(&held.state)? {
            Some((runs, _)) => read(&runs)?.map(|(header, listing)| (runs, header, listing)),
            None => None,
        };
        let Some((runs, header, listing)) = run else {
            let message = format!(
                "no command is being recorded as {id}; if one was, the snapshot from before it is gone, and what it did is not recorded"
            );
            return Err(Refusal::new(Code::InvalidBatch, message).into());
        };
        Ok(self.record_run(&held, &runs, header, listing, ending, &recovered, options)?)
    }

    /// The last run that was begun under a name and is still open.
    ///
    /// # Errors
    /// `LOCK_TIMEOUT`, `FOREIGN_STATE`, `IO`.
    pub fn command_named(
        &self,
        name: &str,
        lock_wait: Duration,
    ) -> Result<Option<TransactionId>, Error> {
        let held = self.hold(lock_wait)?;
        let Some((runs, files)) = snapshot::open_runs(&held.state)? else {
            return Ok(None);
        };
        for file in files.iter().rev() {
            match read_run(&runs, file, &held)? {
                Some((header, _)) if header.name.as_deref() == Some(name) => {
                    return Ok(Some(header.id));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Takes a snapshot of the tree, or of these files and directories alone, so that what stands
    /// there now can be told from what will: its bytes are kept, and [`base`](Self::base) finds them.
    ///
    /// What git ignores is left out unless `paths` names it.
    ///
    /// # Errors
    /// `FILE_NOT_FOUND` where a path leads to no file; else as
    /// [`begin_command`](Self::begin_command).
    pub fn snapshot(
        &self,
        paths: &[RelPath],
        options: &ApplyOptions<'_>,
    ) -> Result<Snapshot, Stop> {
        let held = self.hold(options.lock_wait)?;
        self.recovered(&held)?;
        let objects = Objects::open(&held.state)?;
        let listing = match paths {
            [] => {
                let listing = snapshot::take(&self.root, &held, &objects, None, &[])?;
                let header = snapshot::FirstHeader {
                    id: TransactionId::now(),
                    head: chain::previous(&held)?.map(|previous| previous.transaction),
                };
                snapshot::begin(&held, &objects, &header, &listing)?;
                listing
            }
            paths => {
                let listing = snapshot::take_of(&self.root, &held, &objects, paths)?;
                let missing = paths.iter().find(|path| !listing.has_at_or_below(path));
                if let Some(path) = missing {
                    return Err(crate::plan::not_found(path).into());
                }
                for (path, row) in listing.files.iter().filter(|(_, row)| !row.link) {
                    snapshot::remember_read(&held, &objects.dir, "", path, row.digest)?;
                }
                listing
            }
        };
        Ok(Snapshot {
            version: 1,
            files: listing.files.len(),
            bytes: listing.files.values().map(|row| row.size).sum(),
            left_out: listing.left_out.iter().map(RelPath::to_string).collect(),
        })
    }

    /// Finishes what another process left behind: its transaction, and the commands that it
    /// attended to.
    pub(crate) fn recovered(&self, held: &Held) -> Result<Recovered, Error> {
        let recovered = recover::recover(&self.root, held)?;
        if let Some((runs, names)) = snapshot::open_runs(&held.state)? {
            for name in names {
                if !self.settle_run(held, &runs, &name)? {
                    held.state.records_commands.store(true, Ordering::Relaxed);
                }
            }
        }
        Ok(recovered)
    }

    /// Records a run whose process died, or that is too old; whether nothing more will come of it.
    fn settle_run(&self, held: &Held, runs: &Dir, name: &str) -> Result<bool, Error> {
        // What is not ours is not acted on.
        let Some((header, listing)) = read_run(runs, name, held)? else {
            return Ok(true);
        };
        let age = disk::unix_millis().saturating_sub(header.id.unix_millis());
        let is_over = if header.attended {
            lock_of(runs, name)?.is_some()
        } else {
            Duration::from_millis(age) > LONGEST
        };
        if is_over {
            let (nothing, options) = (Recovered::Nothing, ApplyOptions::default());
            let command = crate::error::excerpt(header.argv.join(" ").as_bytes(), 100);
            let ending = Ending::Interrupted;
            let note = match self
                .record_run(held, runs, header, listing, ending, &nothing, &options)
            {
                Ok(Some(applied)) => format!(
                    "the command {command:?} was interrupted; what it had done is recorded as batch {}",
                    applied.record.batch_id
                ),
                Ok(None) => return Ok(true),
                // Its run is over all the same, and nobody's edit has to wait for it.
                Err(Error::Damaged { why, .. }) => {
                    format!("the command {command:?} was interrupted, and {why}")
                }
                Err(error) => return Err(error),
            };
            held.state.note(note);
        }
        Ok(is_over)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that is known of a run at its end"
    )]
    fn record_run(
        &self,
        held: &Held,
        runs: &Dir,
        header: Header,
        base: Listing,
        ending: Ending,
        recovered: &Recovered,
        options: &ApplyOptions<'_>,
    ) -> Result<Option<Applied<'static>>, Error> {
        let began = Instant::now();
        let objects = Objects::open(&held.state)?;
        let log = self.log()?;
        let base = observe::with_commits(base, &log, header.head.as_ref())?;
        let now = snapshot::take(&self.root, held, &objects, Some(&base), &header.also)?;
        let observed = observe::compare(&base, &now, &objects)?;
        let name = header.id.to_string();
        if observed.changes.is_empty() {
            remove_run(runs, &name)?;
            if observed.warnings.is_empty() {
                return Ok(None);
            }
            return Err(Error::Damaged {
                what: "the record of the command".to_owned(),
                why: observed.warnings.join("; "),
            });
        }
        let mut record = new_record(held, options)?;
        let others = open_ids(runs)?.into_iter().filter(|id| *id != header.id);
        let mut overlaps: Vec<_> = header.overlaps.iter().copied().chain(others).collect();
        overlaps.sort_unstable();
        overlaps.dedup();
        record.command = Some(CommandRecord {
            id: header.id,
            argv: header.argv,
            began: header.at,
            exit: match ending {
                Ending::Exited(status) => status,
                Ending::Interrupted => None,
            },
            interrupted: ending == Ending::Interrupted,
            left_out: now.left_out.iter().take(MAX_LEFT_OUT).cloned().collect(),
            overlaps,
        });
        record.labels = header.labels;
        record.content = Digest::of(header.id.as_bytes());
        let batch = observe::batch(&observed.changes, &record);
        let plan = Plan::new(observed.changes, observe::verdicts(&batch));
        record.plan = plan.digest();
        record.status = Status::Applied;
        record.state = TransactionState::Committed;
        record.operations.clone_from(&plan.verdicts);
        let broken = broken_rules(batch, &plan, held, options)?;
        let mut notes = observed.warnings;
        for (index, refusal) in broken {
            let note = format!("breaks a rule: {}", refusal.message);
            notes.push(format!("{}: {note}", record.operations[index].file));
            record.operations[index].note = Some(note);
        }
        record.duration_ms = millis(began);
        let directories = observe::directories(&base, &now);
        self.write_observed(held, &mut record, &plan, &base, &now, directories, options)?;
        snapshot::keep(held, &objects, &plan.changes)?;
        remove_run(runs, &name)?;
        gc::now_and_then(self, held, &record, options);
        let done = Done {
            notes,
            ..Done::default()
        };
        Ok(Some(finished(held, record, plan, recovered, done)))
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
    let judged = review.review(&lowered, &Tree::new(), plan.clone(), tasks.as_deref());
    Ok(match judged {
        Ok(judged) => {
            let verdicts = judged.plan.verdicts.into_iter().enumerate();
            verdicts
                .filter(|(_, verdict)| verdict.outcome == Outcome::Refused)
                .filter_map(|(index, verdict)| Some((index, *verdict.refusal?)))
                .collect()
        }
        Err(refusal) => vec![(0, refusal)],
    })
}

fn read_run(runs: &Dir, name: &str, held: &Held) -> Result<Option<(Header, Listing)>, Error> {
    let read = Listing::read(runs, name, &held.key)?;
    Ok(read.and_then(|(first, listing)| Some((serde_json::from_str(&first).ok()?, listing))))
}

/// Takes the lock of a run's file; `None` where a process attends to the run.
fn lock_of(runs: &Dir, name: &str) -> Result<Option<File>, Error> {
    let io = |error| fail("lock", "snapshots/runs", error);
    let file = runs.lock_file(name).map_err(io)?;
    Ok(file.try_lock().map_err(io)?.then_some(file))
}

fn remove_run(runs: &Dir, name: &str) -> Result<(), Error> {
    let removed = runs.remove_file(name.as_bytes());
    removed
        .map(|_| ())
        .map_err(|error| fail("remove", "snapshots/runs", error))
}

fn open_ids(runs: &Dir) -> Result<Vec<TransactionId>, Error> {
    let names = runs
        .names()
        .map_err(|error| fail("list", "snapshots/runs", error))?;
    let ids = names
        .iter()
        .filter_map(|name| str::from_utf8(name).ok()?.parse().ok());
    Ok(ids.collect())
}
