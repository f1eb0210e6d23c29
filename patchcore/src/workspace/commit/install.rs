//! Installing a journal, and taking it back: each step tells by what it finds whether it is done,
//! so that another process can go on where one died.
//!
//! A slot holds the new file before its step and the old one behind it. What is neither was put
//! there by a stranger, in the moment between the last look and the exchange or after a crash: the
//! step is done only when that is kept under `conflicts/`.
//!
//! On the way back a slot may be empty that should hold the old file, since the verification
//! command removed it. The process that runs has the old bytes in its [`Memory`] and stages them
//! again; the target itself says whether it has to. Another process has not, and says which files
//! could not be taken back.

use std::io;
use std::sync::{Arc, Mutex};

use crate::error::Error;
use crate::workspace::commit::memory::Memory;
use crate::workspace::commit::stage::beside_name;
use crate::workspace::disk::{Dir, FileKind, copy};
use crate::workspace::read::load;
use crate::workspace::root::{Parents, Root, is_no_directory};
use crate::workspace::state::journal::slot_name;
use crate::workspace::state::record::{DirectoryRecord, Journal, Step, TransactionId};
use crate::workspace::state::{SavedConflict, StateDir};

mod directories;
mod keep;
mod left;
mod step;
mod swap;
mod turns;

pub(crate) use left::Left;
use turns::TypeChanges;

/// The installation of one journal.
pub(crate) struct Install<'a> {
    pub(crate) root: &'a Root,
    pub(crate) state: &'a StateDir,
    /// `txn/current`.
    pub(crate) current: &'a Dir,
    pub(crate) transaction: TransactionId,
    pub(crate) journal: &'a Journal,
    /// A file that was last modified before this moment is known by its inode, length and time;
    /// any other by its hash. `None` for a journal that another process wrote.
    pub(crate) trust_before: Option<[i64; 2]>,
    /// What was read before the batch, in the process that read it.
    pub(crate) memory: Option<&'a Memory<'a>>,
    pub(crate) conflicts: Vec<SavedConflict>,
}

impl Install<'_> {
    /// Brings the tree to where the journal wants it.
    pub(crate) fn forward(&mut self) -> Result<(), Error> {
        let turns = TypeChanges::of(self.journal);
        // What a directory takes the place of goes before it comes, and is safe where it went.
        self.steps(turns.files.iter().copied(), &turns, Way::Forward)?;
        if !turns.files.is_empty() {
            self.sync()?;
        }
        self.make_directories(self.journal.made.iter())?;
        let ordinary = self.journal.steps.iter().filter(|step| !turns.has(step));
        self.many_steps(&ordinary.collect::<Vec<_>>(), &turns)?;
        self.sync_unless_empty(&self.journal.emptied)?;
        for emptied in &self.journal.emptied {
            self.remove_directory(emptied)?;
        }
        // What takes the place of a directory comes when that has gone.
        if !turns.directories.is_empty() {
            self.sync()?;
        }
        self.steps(turns.directories.iter().copied(), &turns, Way::Forward)?;
        self.sync()
    }

    /// Whether the new file of each step that is not done is in its slot.
    pub(crate) fn can_go_on(&self) -> bool {
        let mut parents = Parents::new(self.root);
        let mut has_new = |step: &Step| -> io::Result<bool> {
            let parent = parents.of(&step.path);
            let slot = match (step.beside, &parent) {
                (false, _) => self.current.stat(self.slot_name(step).as_bytes())?,
                (true, Ok(dir)) => dir.stat(self.slot_name(step).as_bytes())?,
                (true, Err(_)) => None,
            };
            match (slot, parent) {
                (Some(_), _) => Ok(true),
                (None, Ok(dir)) => {
                    self.holds_expected((&dir, step.path.file_name()), step.new.as_ref())
                }
                (None, Err(_)) => Ok(false),
            }
        };
        // Where nobody can look, nothing is known to be gone.
        let arrives = self.journal.steps.iter().filter(|step| step.new.is_some());
        { arrives }.all(|step| has_new(step).unwrap_or(true))
    }

    /// Brings the tree back to where it was. What cannot be taken back does not keep the rest from
    /// it; it is told in the end.
    pub(crate) fn back(&mut self) -> Result<(), Error> {
        let mut left = Left::default();
        let turns = TypeChanges::of(self.journal);
        self.steps_back(turns.directories.iter().rev().copied(), &turns, &mut left);
        if !turns.directories.is_empty() {
            self.sync()?;
        }
        left.note(self.make_directories(self.journal.emptied.iter().rev()));
        let ordinary = self.journal.steps.iter().rev();
        let ordinary = ordinary.filter(|step| !turns.has(step));
        self.steps_back(ordinary, &turns, &mut left);
        self.sync_unless_empty(&self.journal.made)?;
        for made in self.journal.made.iter().rev() {
            left.note(self.remove_directory(made));
        }
        if !turns.files.is_empty() {
            self.sync()?;
        }
        self.steps_back(turns.files.iter().rev().copied(), &turns, &mut left);
        left.into_result(self)?;
        self.sync()
    }

    fn steps_back<'s>(
        &mut self,
        steps: impl Iterator<Item = &'s Step>,
        turns: &TypeChanges<'_>,
        left: &mut Left,
    ) {
        let mut parents = Parents::new(self.root);
        for step in steps {
            if let Err(error) = self.step(step, &mut parents, turns, Way::Back) {
                left.add(self, step, &error);
                // A parent that could not be used may be another one for the next step.
                parents = Parents::new(self.root);
            }
        }
    }

    /// Steps forward that do not depend on one another; threads share them where they are many.
    fn many_steps(&mut self, steps: &[&Step], turns: &TypeChanges<'_>) -> Result<(), Error> {
        /// Steps that one thread takes in a row; neighbours share a directory.
        const RUN: usize = 64;
        if steps.len() < 4 * RUN {
            return self.steps(steps.iter().copied(), turns, Way::Forward);
        }
        let runs: Vec<_> = steps.chunks(RUN).collect();
        let this = &*self;
        // Also what one thread keeps while another one fails is reported.
        let conflicts = Mutex::new(Vec::new());
        let result = load::in_parallel(runs.len(), 1, |index| {
            let mut part = Install {
                conflicts: Vec::new(),
                ..*this
            };
            let result = part.steps(runs[index].iter().copied(), turns, Way::Forward);
            let mut conflicts = conflicts.lock().expect("no thread panics with it");
            conflicts.append(&mut part.conflicts);
            result
        });
        let mut conflicts = conflicts.into_inner().expect("all threads have ended");
        conflicts.sort_by(|a, b| a.path.cmp(&b.path));
        self.conflicts.append(&mut conflicts);
        result.map(|_| ())
    }

    fn steps<'s>(
        &mut self,
        steps: impl Iterator<Item = &'s Step>,
        turns: &TypeChanges<'_>,
        way: Way,
    ) -> Result<(), Error> {
        let mut parents = Parents::new(self.root);
        for step in steps {
            self.step(step, &mut parents, turns, way)?;
        }
        Ok(())
    }

    /// What was moved out of directories is safe elsewhere before they go: a power cut may keep
    /// their removal and lose the moves, and with them the only name of a pre-image.
    fn sync_unless_empty(&self, going: &[DirectoryRecord]) -> Result<(), Error> {
        if going.is_empty() {
            Ok(())
        } else {
            self.sync()
        }
    }

    /// Moves the pre-images that lie beside their targets to the journal's directory.
    pub(crate) fn gather(&self) -> Result<(), Error> {
        for (slot, step) in self.beside() {
            let io = |error| self.root.error("move aside", &step.path, error);
            let Ok(dir) = Parents::new(self.root).of(&step.path) else {
                // Its directory went with the batch, so the slot was gathered before.
                continue;
            };
            let name = beside_name(&self.transaction, slot);
            if dir.stat(name.as_bytes()).map_err(io)?.is_some() {
                copy(
                    &dir,
                    name.as_bytes(),
                    self.current,
                    &slot_name(slot),
                    load::MAX_FILE,
                )
                .map_err(io)?;
                dir.remove_file(name.as_bytes()).map_err(io)?;
            }
        }
        Ok(())
    }

    fn beside(&self) -> impl Iterator<Item = (usize, &Step)> {
        let steps = self.journal.steps.iter().filter(|step| step.beside);
        steps.map(|step| (step.slot as usize, step))
    }

    /// The directory that a step works in; `None` where nothing is left to do in it.
    fn parent_of(
        &mut self,
        step: &Step,
        parents: &mut Parents<'_>,
        turns: &TypeChanges<'_>,
        way: Way,
    ) -> io::Result<Option<Arc<Dir>>> {
        let error = match parents.of(&step.path) {
            Ok(parent) => return Ok(Some(parent)),
            Err(error) => error,
        };
        let is_missing = error.kind() == io::ErrorKind::NotFound;
        match way {
            // It was removed since the batch was installed.
            Way::Back if is_missing && step.old.is_some() => {
                self.make_parents(&step.path)?;
                parents.of(&step.path).map(Some)
            }
            // What was put there is taken back already, and its directory with it; or somebody
            // removed both.
            Way::Back if (is_missing || is_no_directory(&error)) && step.old.is_none() => Ok(None),
            // Nothing is there to take away.
            Way::Forward
                if (is_missing || is_no_directory(&error) && turns.lie_above(&step.path))
                    && step.new.is_none() =>
            {
                Ok(None)
            }
            _ => Err(error),
        }
    }

    fn step(
        &mut self,
        step: &Step,
        parents: &mut Parents<'_>,
        turns: &TypeChanges<'_>,
        way: Way,
    ) -> Result<(), Error> {
        let io = |error| self.root.error("install", &step.path, error);
        let Some(parent) = self.parent_of(step, parents, turns, way).map_err(io)? else {
            return Ok(());
        };
        let slot_name = self.slot_name(step);
        let slot_dir = if step.beside { &*parent } else { self.current };
        let spot = Spot {
            target: (&*parent, step.path.file_name()),
            slot: (slot_dir, slot_name.as_bytes()),
        };
        // Straight after staging nothing was begun.
        if self.trust_before.is_none() {
            self.settle(step, &spot).map_err(io)?;
        }
        let leaves = match way {
            Way::Forward => step.new.is_none(),
            Way::Back => step.old.is_none(),
        };
        if leaves && turns.has(step) && self.has_made_way(step, &spot).map_err(io)? {
            return Ok(());
        }
        match way {
            Way::Forward => self.step_forward(step, &spot),
            Way::Back => self.step_back(step, &spot),
        }
        .map_err(io)
    }

    /// Whether a file has made way for a directory, that is whether one stands there. What stands
    /// there instead when the file is in its slot is a stranger's, and is kept.
    fn has_made_way(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<bool> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        match target.stat(name)? {
            Some(there) if there.kind == FileKind::Directory => return Ok(true),
            Some(_) if slot.stat(slot_name)?.is_some() => {}
            _ => return Ok(false),
        }
        self.keep_target(step, spot)?;
        Ok(false)
    }

    fn slot_name(&self, step: &Step) -> String {
        if step.beside {
            beside_name(&self.transaction, step.slot as usize)
        } else {
            slot_name(step.slot as usize)
        }
    }
}

/// Which way a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Back,
}

/// Where a step works.
struct Spot<'a> {
    target: (&'a Dir, &'a [u8]),
    slot: (&'a Dir, &'a [u8]),
}
