//! Commands that change the tree by themselves: what one did is found out afterwards, and recorded
//! as a batch like any other.
//!
//! Under the lock a snapshot of the tree is taken; the command runs without the lock, so that it may
//! call us; under the lock again the tree is compared with the snapshot. What the log shows to have
//! been committed meanwhile is somebody else's doing and taken into the snapshot first. The
//! difference goes into the log with the old bytes as pre-images. Nothing is installed: the tree is
//! already as the record says.
//!
//! Where another batch is about to touch a file that the command has changed already, that change is
//! recorded before the batch, by [`earlier`]: else the batch would hide it.
//!
//! What is written after the end of the command, by a daemon that it left behind, is nobody's.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Refusal, Stop};
use crate::operation::Labels;
use crate::path::RelPath;
use crate::workspace::Workspace;
use crate::workspace::commit::apply::Applied;
use crate::workspace::commit::recover::{self, Recovered};
use crate::workspace::disk::{self, Dir, File};
use crate::workspace::options::ApplyOptions;
use crate::workspace::state::chain;
use crate::workspace::state::record::{Record, TransactionId, form};
use crate::workspace::state::snapshot::{self, Listing, Objects};
use crate::workspace::state::{Held, fail};

mod earlier;
pub(crate) mod observe;
mod write;

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

/// What a command did.
#[derive(Debug)]
#[non_exhaustive]
pub struct EndedCommand {
    /// The batch of what was not recorded before its end; `None` where there is nothing.
    pub applied: Option<Applied<'static>>,
    /// The batches of what it had done to files before other batches changed them, oldest first.
    pub earlier: Vec<Record>,
    /// What a person should know where there is no batch; else the batch's report says it.
    pub warnings: Vec<String>,
    /// Whether something that it did breaks a rule of the review.
    pub breaks_rules: bool,
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

impl Header {
    /// How the run is called in what people are told.
    fn shown(&self) -> String {
        match self.argv.as_slice() {
            [] => format!("the run {}", self.id),
            argv => {
                let command = crate::error::excerpt(argv.join(" ").as_bytes(), 100);
                format!("the command {command:?}")
            }
        }
    }
}

/// A command that is being recorded, with the tree from before it.
struct Run {
    header: Header,
    listing: Listing,
}

impl Workspace {
    /// Takes a snapshot for a command that runs from now on. Ask for the result by
    /// [`end_command`](Self::end_command).
    ///
    /// With `attended`, the run ends with this process at the latest; without it, another process
    /// may end it, within a day.
    ///
    /// # Errors
    /// `INVALID_BATCH` where a label is empty, as of a batch; `LOCK_TIMEOUT`, `UNFINISHED`,
    /// `FOREIGN_STATE`, `IO`.
    pub fn begin_command(
        &self,
        command: &Command,
        attended: bool,
        options: &ApplyOptions<'_>,
    ) -> Result<OpenCommand, Stop> {
        command.labels.check()?;
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
    /// can be undone.
    ///
    /// What it had done to a file before another batch changed that file was recorded then, as a
    /// batch of its own.
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
    ) -> Result<EndedCommand, Stop> {
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
        let run = Run { header, listing };
        let mut ended = self.record_run(&held, &runs, run, ending, &recovered, options)?;
        if ended.applied.is_none() {
            ended.warnings.extend(self.notes());
        }
        Ok(ended)
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
            let run = Run { header, listing };
            let command = run.header.shown();
            let ending = Ending::Interrupted;
            let note = match self.record_run(held, runs, run, ending, &nothing, &options) {
                Ok(EndedCommand {
                    applied: Some(applied),
                    ..
                }) => format!(
                    "{command} was interrupted; what it had done is recorded as batch {}",
                    applied.record.batch_id
                ),
                Ok(_) => return Ok(true),
                // Its run is over all the same, and nobody's edit has to wait for it.
                Err(Error::Damaged { why, .. }) => {
                    format!("{command} was interrupted, and {why}")
                }
                Err(error) => return Err(error),
            };
            held.state.note(note);
        }
        Ok(is_over)
    }
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
