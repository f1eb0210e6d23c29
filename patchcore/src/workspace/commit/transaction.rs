//! The transaction up to its commit point: stage, look again, write the journal.

use std::io;
use std::time::Instant;

use crate::digest::Digest;
use crate::error::{Error, Stop};
use crate::path::RelPath;
use crate::plan::FileChange;
use crate::workspace::Workspace;
use crate::workspace::commit::layout::{Layout, Restored, Wanted, layout};
use crate::workspace::commit::look::Look;
use crate::workspace::commit::memory::Memory;
use crate::workspace::commit::stage::{Staging, beside_name};
use crate::workspace::commit::survey::{Survey, survey};
use crate::workspace::disk::{Dir, FileKind, Meta};
use crate::workspace::options::ApplyOptions;
use crate::workspace::read::load::Loaded;
use crate::workspace::root::Root;
use crate::workspace::state::journal::{self, WriteFault};
use crate::workspace::state::record::{
    ChangeRecord, EditRecord, Identity, Journal, Method, Record, Step, TransactionState,
};
use crate::workspace::state::snapshot;
use crate::workspace::state::{CURRENT, Held, STATE, SavedConflict, TASKS, fail};

/// What is to be committed.
pub(crate) struct Work<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) root: &'a Root,
    pub(crate) held: &'a Held,
    pub(crate) options: &'a ApplyOptions<'a>,
    pub(crate) loaded: &'a Loaded,
    pub(crate) changes: &'a [FileChange],
    /// The task manifest's new bytes.
    pub(crate) tasks: Option<Vec<u8>>,
    /// What undoing knows beyond the changes.
    pub(crate) restored: Option<&'a Restored>,
    pub(crate) began: Instant,
}

/// A transaction behind its commit point, or taken back by verification.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) conflicts: Vec<SavedConflict>,
    /// Why something is left for the next run.
    pub(crate) unfinished: Option<Error>,
    /// What else is to be said.
    pub(crate) notes: Vec<String>,
}

/// From this many staged files on, one call syncs the whole file system.
const MANY_FILES: usize = 8;

impl Work<'_> {
    /// Commits; `record` is filled up with what is known only now.
    ///
    /// An error leaves the tree as it was, or for the next run to take back.
    pub(crate) fn commit(&self, record: &mut Record) -> Result<Done, Stop> {
        let mut layout = layout(self.changes, self.loaded, self.restored);
        let mut old_tasks = None;
        if let Some(tasks) = &self.tasks {
            let path = RelPath::new(format!("{STATE}/{TASKS}")).expect("two plain components");
            old_tasks = self.old_tasks()?;
            let old = old_tasks.as_ref();
            let old = old.map(|(meta, bytes)| (*meta, Digest::of(bytes)));
            layout.add_state_file(path, old, tasks);
        }
        layout.find_directories(self.root, self.loaded, self.restored)?;
        let survey = survey(self.root, self.held, &layout)?;
        let txn = &self.held.txn;
        let io = |error| fail("make", "txn/current", error);
        txn.make_directory(CURRENT.as_bytes(), 0o700).map_err(io)?;
        let current = match txn.directory(CURRENT) {
            Ok(Some(current)) => current,
            Ok(None) => return Err(io(io::ErrorKind::NotFound.into()).into()),
            Err(error) => {
                // Nothing is in it.
                let _ = txn.remove_directory(CURRENT.as_bytes());
                return Err(io(error).into());
            }
        };
        match self.prepare(&current, &layout, &survey, record) {
            Ok(digest) => {
                let memory = Memory {
                    root: self.root,
                    transaction: record.transaction,
                    loaded: self.loaded,
                    tasks: old_tasks.map(|(meta, bytes)| (bytes, Wanted::as_it_was(&meta))),
                    durable: self.options.durable,
                };
                let mut done = self.carry_out(&current, &memory, record, digest)?;
                // The batch is committed; a command that runs meanwhile is less well recorded.
                if let Err(error) = snapshot::feed(self.held, self.changes) {
                    done.notes
                        .push(format!("the new bytes are in no snapshot: {error}"));
                }
                Ok(done)
            }
            Err(WriteFault::Unknown(error)) => Ok(Done {
                unfinished: Some(error),
                ..Done::default()
            }),
            Err(WriteFault::Before(error)) => {
                // What cannot be removed now is removed by the next run.
                let _ = journal::discard(self.root, self.held, &current);
                Err(error)
            }
        }
    }

    /// Everything up to the commit point. Gives the record's digest.
    fn prepare(
        &self,
        current: &Dir,
        layout: &Layout<'_>,
        survey: &Survey,
        record: &mut Record,
    ) -> Result<Digest, WriteFault> {
        let before = WriteFault::Before;
        let outside: Vec<RelPath> = layout
            .places
            .iter()
            .enumerate()
            .filter(|(slot, _)| survey.beside[*slot])
            .filter_map(|(slot, place)| outside(record, slot, place.path.as_ref()?))
            .collect();
        if !outside.is_empty() {
            journal::write_outside(self.held, current, &outside)
                .map_err(|error| before(error.into()))?;
        }
        let durable = self.options.durable;
        let many = layout.places.len() > MANY_FILES && outside.is_empty();
        let staging = Staging {
            root: self.root,
            current,
            transaction: record.transaction,
            sync: durable && !many,
            write_back: survey.delays_allocation,
            allow_owner_change: self.options.allow_owner_change,
            draft: false,
        };
        let staged = staging
            .all(&layout.places, &survey.beside)
            .map_err(before)?;
        if durable {
            self.sync(current, many)
                .map_err(|error| before(error.into()))?;
        }
        let look = Look {
            root: self.root,
            loaded: self.loaded,
            break_hard_links: self.options.break_hard_links,
        };
        look.verify_unchanged(layout).map_err(before)?;
        record.state = if self.options.verify.is_some() {
            TransactionState::Prepared
        } else {
            TransactionState::Committed
        };
        record.changes = change_records(self.changes, &layout.pre_images);
        record.journal = journal_of(layout, survey, &staged, durable);
        record.duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        journal::write(self.held, current, record)
    }

    /// The whole file system by one call for many files, or at least what the new directory hangs on.
    fn sync(&self, current: &Dir, many: bool) -> Result<(), Error> {
        let held = self.held;
        let first = match many {
            true => current.sync_all(),
            false => (held.state.dir.sync())
                .and_then(|()| held.log.sync())
                .and_then(|()| held.txn.sync()),
        };
        first
            .and_then(|()| Dir::sync(&self.root.dir))
            .map_err(|error| fail("sync", "txn", error))
    }

    fn old_tasks(&self) -> Result<Option<(Meta, Vec<u8>)>, Error> {
        let io = |error| fail("look at", TASKS, error);
        let dir = &self.held.state.dir;
        let Some(meta) = dir.stat(TASKS.as_bytes()).map_err(io)? else {
            return Ok(None);
        };
        let bytes = self.held.state.tasks()?.unwrap_or_default();
        Ok(Some((meta, bytes)))
    }
}

/// The records of changes, each with the slot of what its edits apply to.
pub(crate) fn change_records(
    changes: &[FileChange],
    pre_images: &[Option<u32>],
) -> Vec<ChangeRecord> {
    let changes = changes.iter().zip(pre_images);
    let records = changes.map(|(change, slot)| ChangeRecord {
        slot: *slot,
        edits: change.edits.as_slice().iter().map(EditRecord::of).collect(),
        ..ChangeRecord::of(change)
    });
    records.collect()
}

fn outside(record: &Record, slot: usize, path: &RelPath) -> Option<RelPath> {
    let mut bytes = path.parent().map_or_else(Vec::new, |parent| {
        let mut bytes = parent.as_bytes().to_vec();
        bytes.push(b'/');
        bytes
    });
    bytes.extend_from_slice(beside_name(&record.transaction, slot).as_bytes());
    RelPath::new(bytes).ok()
}

fn journal_of(
    layout: &Layout<'_>,
    survey: &Survey,
    staged: &[Option<Identity>],
    durable: bool,
) -> Journal {
    let steps = layout
        .places
        .iter()
        .enumerate()
        .filter_map(|(slot, place)| {
            Some(Step {
                path: place.path.clone()?,
                slot: u32::try_from(slot).expect("at most as many slots as operations"),
                beside: survey.beside[slot],
                old: place.old.as_ref().map(|(meta, digest)| Identity {
                    ino: meta.ino,
                    size: meta.size,
                    mtime: meta.mtime,
                    mode: meta.mode,
                    digest: *digest,
                    link: meta.kind == FileKind::Symlink,
                }),
                new: staged[slot],
            })
        });
    Journal {
        method: Method::Exchange,
        durable,
        made: layout.made.clone(),
        steps: steps.collect(),
        emptied: layout.emptied.clone(),
    }
}
