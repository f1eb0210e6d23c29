//! Installing a journal, and taking it back: each step tells by what it finds whether it is done,
//! so that another process can go on where one died.
//!
//! A slot holds the new file before its step and the old one behind it. What is neither was put
//! there by a stranger, in the moment between the last look and the exchange or after a crash: it
//! is kept under `conflicts/`, never overwritten.

use std::io;
use std::sync::Mutex;

use rustix::io::Errno;

use super::disk::{Dir, Kind};
use super::load;
use super::record::{DirectoryRecord, Identity, Journal, Method, Step, TransactionId};
use super::root::{Parents, Root, is_no_directory};
use super::stage::{beside_name, slot_name};
use super::state::State;
use crate::digest::Digest;
use crate::error::Error;
use crate::path::RelPath;

mod directories;
mod turns;

use turns::Turns;

/// What a stranger wrote where a batch was being installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedConflict {
    /// The path where it stood.
    pub path: RelPath,
    /// Where it is kept, relative to the root.
    pub kept: String,
}

/// The installation of one journal.
pub(super) struct Install<'a> {
    pub(super) root: &'a Root,
    pub(super) state: &'a State,
    /// `txn/current`.
    pub(super) current: &'a Dir,
    pub(super) transaction: TransactionId,
    pub(super) journal: &'a Journal,
    /// A file that was last modified before this moment is known by its inode, length and time;
    /// any other by its hash. `None` for a journal that another process wrote.
    pub(super) trust_before: Option<[i64; 2]>,
    pub(super) conflicts: Vec<SavedConflict>,
}

/// What a slot or target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Expected,
    Other,
}

impl Install<'_> {
    /// Brings the tree to where the journal wants it.
    pub(super) fn forward(&mut self) -> Result<(), Error> {
        let turns = Turns::of(self.journal);
        // What a directory takes the place of goes before it comes, and is safe where it went.
        self.steps(turns.files.iter().copied(), &turns, Way::Forward)?;
        if !turns.files.is_empty() {
            self.sync()?;
        }
        self.make_directories(self.journal.made.iter())?;
        let ordinary = self.journal.steps.iter().filter(|step| !turns.has(step));
        self.many_steps(&ordinary.collect::<Vec<_>>(), &turns)?;
        self.sync_before(&self.journal.emptied)?;
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

    /// Brings the tree back to where it was.
    pub(super) fn back(&mut self) -> Result<(), Error> {
        let turns = Turns::of(self.journal);
        self.steps(turns.directories.iter().rev().copied(), &turns, Way::Back)?;
        if !turns.directories.is_empty() {
            self.sync()?;
        }
        self.make_directories(self.journal.emptied.iter().rev())?;
        let ordinary = self.journal.steps.iter().rev();
        self.steps(ordinary.filter(|step| !turns.has(step)), &turns, Way::Back)?;
        self.sync_before(&self.journal.made)?;
        for made in self.journal.made.iter().rev() {
            self.remove_directory(made)?;
        }
        if !turns.files.is_empty() {
            self.sync()?;
        }
        self.steps(turns.files.iter().rev().copied(), &turns, Way::Back)?;
        self.sync()
    }

    /// Steps forward that do not depend on one another; threads share them where they are many.
    fn many_steps(&mut self, steps: &[&Step], turns: &Turns<'_>) -> Result<(), Error> {
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
        turns: &Turns<'_>,
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
    fn sync_before(&self, going: &[DirectoryRecord]) -> Result<(), Error> {
        if going.is_empty() {
            Ok(())
        } else {
            self.sync()
        }
    }

    /// Moves the pre-images that lie beside their targets to the journal's directory.
    pub(super) fn gather(&self) -> Result<(), Error> {
        for (slot, step) in self.beside() {
            let io = |error| self.root.error("move aside", &step.path, error);
            let Ok(dir) = Parents::new(self.root).of(&step.path) else {
                // Its directory went with the batch, so the slot was gathered before.
                continue;
            };
            let name = beside_name(&self.transaction, slot);
            if dir.stat(name.as_bytes()).map_err(io)?.is_some() {
                copy(&dir, name.as_bytes(), self.current, &slot_name(slot)).map_err(io)?;
                dir.remove_file(name.as_bytes()).map_err(io)?;
            }
        }
        Ok(())
    }

    fn beside(&self) -> impl Iterator<Item = (usize, &Step)> {
        let steps = self.journal.steps.iter().filter(|step| step.beside);
        steps.map(|step| (step.slot as usize, step))
    }

    fn step(
        &mut self,
        step: &Step,
        parents: &mut Parents<'_>,
        turns: &Turns<'_>,
        way: Way,
    ) -> Result<(), Error> {
        let io = |error| self.root.error("install", &step.path, error);
        let parent = match parents.of(&step.path) {
            Ok(parent) => parent,
            // Nothing is there to take away; or what was put there is taken back already, and its
            // directory with it.
            Err(error)
                if (error.kind() == io::ErrorKind::NotFound
                    || is_no_directory(&error) && turns.lie_above(&step.path))
                    && (step.new.is_none() || (way == Way::Back && step.old.is_none())) =>
            {
                return Ok(());
            }
            Err(error) => return Err(io(error)),
        };
        let slot_name = if step.beside {
            beside_name(&self.transaction, step.slot as usize)
        } else {
            slot_name(step.slot as usize)
        };
        let slot_dir = if step.beside { &*parent } else { self.current };
        let spot = Spot {
            target: (&*parent, step.path.file_name()),
            slot: (slot_dir, slot_name.as_bytes()),
        };
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
            Some(there) if there.kind == Kind::Directory => return Ok(true),
            Some(_) if slot.stat(slot_name)?.is_some() => {}
            _ => return Ok(false),
        }
        let (conflicts, mut kept) = self.conflict(step)?;
        while conflicts.stat(kept.as_bytes())?.is_some() {
            kept.push('+');
        }
        move_to(target, name, &conflicts, &kept)?;
        self.report(step, &kept);
        Ok(false)
    }

    fn step_forward(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        let Some(new) = &step.new else {
            if slot.stat(slot_name)?.is_none() {
                match target.rename_new(name, slot, slot_name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    result => result?,
                }
            }
            return self.keep_what_is_not(step.old.as_ref(), step, spot);
        };
        // Straight after staging the slot needs no look: nobody else knows of it.
        let is_staged =
            self.trust_before.is_some() || self.holds(slot, slot_name, new)? == Holds::Expected;
        if is_staged {
            match (&step.old, self.journal.method) {
                (Some(old), Method::Aside) => {
                    if self.holds(target, name, old)? == Holds::Other {
                        self.keep_copy(step, spot)?;
                    }
                    slot.rename(slot_name, target, name)?;
                    return Ok(());
                }
                (Some(_), Method::Exchange) => match slot.exchange(slot_name, target, name) {
                    // A stranger removed it. The batch goes on: it has another file to put there.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        slot.rename_new(slot_name, target, name)?;
                    }
                    result => result?,
                },
                (None, _) => match slot.rename_new(slot_name, target, name) {
                    // A stranger made one.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        self.swap(spot, step)?;
                    }
                    result => {
                        result?;
                        // The slot is empty now.
                        return Ok(());
                    }
                },
            }
        }
        self.keep_what_is_not(step.old.as_ref(), step, spot)
    }

    fn step_back(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        match (&step.old, &step.new) {
            (Some(_), Some(new)) if self.journal.method == Method::Aside => {
                let aside = aside_name(step.slot as usize);
                if self.holds(slot, slot_name, new)? != Holds::Nothing
                    || self.current.stat(aside.as_bytes())?.is_none()
                {
                    return Ok(());
                }
                if self.holds(target, name, new)? == Holds::Other {
                    self.keep_copy(step, spot)?;
                }
                if step.beside {
                    copy(
                        self.current,
                        aside.as_bytes(),
                        slot,
                        &beside_name(&self.transaction, step.slot as usize),
                    )?;
                    slot.rename(slot_name, target, name)?;
                    self.current.remove_file(aside.as_bytes())?;
                    return Ok(());
                }
                self.current.rename(aside.as_bytes(), target, name)
            }
            (Some(old), Some(new)) => {
                if self.holds(slot, slot_name, old)? != Holds::Expected {
                    return Ok(());
                }
                match slot.exchange(slot_name, target, name) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        return slot.rename_new(slot_name, target, name);
                    }
                    result => result?,
                }
                self.keep_what_is_not(Some(new), step, spot)
            }
            (None, Some(new)) => {
                if slot.stat(slot_name)?.is_none() {
                    match target.rename_new(name, slot, slot_name) {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                        result => result?,
                    }
                }
                self.keep_what_is_not(Some(new), step, spot)
            }
            (Some(old), None) => {
                if self.holds(slot, slot_name, old)? != Holds::Expected {
                    return Ok(());
                }
                match slot.rename_new(slot_name, target, name) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        self.swap(spot, step)?;
                        self.keep_what_is_not(None, step, spot)
                    }
                    result => result,
                }
            }
            (None, None) => Ok(()),
        }
    }

    /// Slot and target change places, whatever the file system knows.
    fn swap(&mut self, spot: &Spot<'_>, step: &Step) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        if self.journal.method == Method::Exchange {
            return slot.exchange(slot_name, target, name);
        }
        let there = target.stat(name)?;
        if there.is_some_and(|there| there.kind == Kind::Directory) {
            // One that was to go, and that a stranger works in.
            let (conflicts, kept) = self.conflict(step)?;
            target.rename(name, &conflicts, kept.as_bytes())?;
            self.report(step, &kept);
            return slot.rename_new(slot_name, target, name);
        }
        self.keep_copy(step, spot)?;
        slot.rename(slot_name, target, name)
    }

    /// Saves what the slot holds if it is not the file that should be there.
    fn keep_what_is_not(
        &mut self,
        expected: Option<&Identity>,
        step: &Step,
        spot: &Spot<'_>,
    ) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let holds = match expected {
            Some(identity) => self.holds(slot, slot_name, identity)?,
            None if slot.stat(slot_name)?.is_some() => Holds::Other,
            None => Holds::Nothing,
        };
        if holds != Holds::Other {
            return Ok(());
        }
        let (conflicts, name) = self.conflict(step)?;
        move_to(slot, slot_name, &conflicts, &name)?;
        self.report(step, &name);
        Ok(())
    }

    /// Saves a copy of what the target holds.
    fn keep_copy(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (target, name) = spot.target;
        let (conflicts, kept) = self.conflict(step)?;
        copy(target, name, &conflicts, &kept)?;
        self.report(step, &kept);
        Ok(())
    }

    fn conflict(&self, step: &Step) -> io::Result<(Dir, String)> {
        let conflicts = self
            .state
            .make_part("conflicts")
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok((conflicts, conflict_name(&self.transaction, step)))
    }

    fn report(&mut self, step: &Step, name: &str) {
        self.conflicts.push(SavedConflict {
            path: step.path.clone(),
            kept: format!("{}/conflicts/{name}", super::STATE),
        });
    }

    fn holds(&self, dir: &Dir, name: &[u8], identity: &Identity) -> io::Result<Holds> {
        let Some(meta) = dir.stat(name)? else {
            return Ok(Holds::Nothing);
        };
        let is_trusted = self.trust_before.is_some_and(|before| {
            identity.mtime < before
                && (meta.ino, meta.size, meta.mtime)
                    == (identity.ino, identity.size, identity.mtime)
        });
        if is_trusted {
            return Ok(Holds::Expected);
        }
        let kind = if identity.link {
            Kind::Symlink
        } else {
            Kind::File
        };
        if meta.kind != kind || meta.size != identity.size || meta.mode != identity.mode {
            return Ok(Holds::Other);
        }
        if identity.link {
            return Ok(match dir.read_link(name)? {
                Some(target) if Digest::of(&target) == identity.digest => Holds::Expected,
                Some(_) => Holds::Other,
                None => Holds::Nothing,
            });
        }
        let same = match dir.file(name)? {
            Some(file) => file
                .read(meta.size, super::MAX_FILE)?
                .is_some_and(|bytes| Digest::of(&bytes) == identity.digest),
            None => return Ok(Holds::Nothing),
        };
        Ok(if same { Holds::Expected } else { Holds::Other })
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

/// Name of the old file that is kept aside where files cannot change places.
pub(super) fn aside_name(slot: usize) -> String {
    format!("{slot}.old")
}

fn conflict_name(transaction: &TransactionId, step: &Step) -> String {
    let name = String::from_utf8_lossy(step.path.file_name());
    let name: String = name.chars().take(40).collect();
    format!("{transaction}-{}-{name}", step.slot)
}

/// Moves a file to another directory, whatever file system that is on.
fn move_to(from: &Dir, name: &[u8], to: &Dir, new: &str) -> io::Result<()> {
    match from.rename(name, to, new.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy(from, name, to, new)?;
            from.remove_file(name).map(|_| ())
        }
        result => result,
    }
}

/// Copies a file or link to a name that is made anew, whatever a crash left there.
pub(super) fn copy(from: &Dir, name: &[u8], to: &Dir, new: &str) -> io::Result<()> {
    let draft = format!("{new}.draft");
    let file = match from.file(name) {
        Ok(Some(file)) => file,
        Ok(None) => return Err(Errno::NOENT.into()),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::LOOP) => {
            let target = from.read_link(name)?.ok_or(Errno::NOENT)?;
            to.remove_file(draft.as_bytes())?;
            to.make_link(draft.as_bytes(), &target)?;
            return to.rename(draft.as_bytes(), to, new.as_bytes());
        }
        Err(error) => return Err(error),
    };
    let meta = file.stat()?;
    if meta.kind != Kind::File {
        return Err(Errno::INVAL.into());
    }
    let bytes = file
        .read(meta.size, super::MAX_FILE)?
        .ok_or(io::ErrorKind::FileTooLarge)?;
    to.remove_file(draft.as_bytes())?;
    let copy = to.create(draft.as_bytes(), meta.mode & 0o777)?;
    copy.write_chunks([&*bytes].into_iter())?;
    let made = copy.stat()?;
    if (made.uid, made.gid) != (meta.uid, meta.gid) {
        // Best effort: what cannot be given away is kept as ours.
        let _ = copy.set_owner(meta.uid, meta.gid);
    }
    copy.set_mode(meta.mode & 0o777)?;
    copy.sync()?;
    to.rename(draft.as_bytes(), to, new.as_bytes())
}
