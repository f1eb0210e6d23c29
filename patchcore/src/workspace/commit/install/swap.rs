//! How two files change places, whatever the file system can do.
//!
//! One call does it where it is there: `renameat2(RENAME_EXCHANGE)`. Where it is not, the file at
//! the target moves aside, the one in the slot takes its place, and the first one moves on into the
//! slot. Nothing is ever renamed over, so nothing that a stranger wrote is lost; a crash in between
//! leaves a file aside, which says how far it came.

use std::io;

use super::{Install, Spot};
use crate::workspace::disk::{self, FileKind, Meta};
use crate::workspace::state::record::Step;

/// How often the slot's file is put to a place that a stranger keeps filling.
const TRIES: usize = 16;

impl Install<'_> {
    /// Slot and target change places; `ENOENT` where one of them is empty.
    pub(super) fn swap(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        match slot.exchange(slot_name, target, name) {
            Err(error) if disk::is_missing_call(&error) => self.swap_in_turn(step, spot),
            result => result,
        }
    }

    fn swap_in_turn(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        let aside = aside_name(slot_name);
        // What is not to be swapped must not move at all.
        if slot.stat(slot_name)?.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        target.rename_new(name, slot, &aside)?;
        if self.journal.durable {
            slot.sync()?;
        }
        if let Err(error) = self.fill(step, spot) {
            // The next run does the same, but may be a long time coming.
            let _ = slot.rename_new(&aside, target, name);
            return Err(error);
        }
        if self.journal.durable {
            target.sync()?;
        }
        slot.rename_new(&aside, slot, slot_name)
    }

    /// The slot's file goes to the target, which is empty unless a stranger was there.
    fn fill(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        let mut result = Ok(());
        for _ in 0..TRIES {
            result = slot.rename_new(slot_name, target, name);
            match &result {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.keep_target(step, spot)?;
                }
                _ => break,
            }
        }
        result
    }

    /// Ends or undoes what a crash may have left half done at a step: a file under two names, or
    /// one that is aside.
    pub(super) fn settle(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        let mut staged = slot.stat(slot_name)?;
        let there = target.stat(name)?;
        if is_same(staged, there) {
            slot.remove_file(slot_name)?;
            staged = None;
        }
        let aside_name = aside_name(slot_name);
        let aside = slot.stat(&aside_name)?;
        if aside.is_none() {
            return Ok(());
        }
        if is_same(aside, there) || is_same(aside, staged) {
            return slot.remove_file(&aside_name).map(|_| ());
        }
        if staged.is_none() {
            // The other one is in its place already.
            return slot.rename_new(&aside_name, slot, slot_name);
        }
        if there.is_some() {
            self.keep_target(step, spot)?;
        }
        slot.rename_new(&aside_name, target, name)
    }
}

/// Name of the file that is on its way from the target to the slot.
fn aside_name(slot: &[u8]) -> Vec<u8> {
    [slot, b".old"].concat()
}

/// Whether two names are of one file.
pub(super) fn is_same(one: Option<Meta>, other: Option<Meta>) -> bool {
    matches!((one, other), (Some(one), Some(other))
        if one.is_same_file(&other) && one.kind != FileKind::Directory)
}
