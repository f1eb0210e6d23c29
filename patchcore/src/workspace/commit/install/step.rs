//! One step: a file comes, goes, or takes the place of another.

use std::io;

use super::keep::Holds;
use super::{Install, Spot};
use crate::error::Error;
use crate::workspace::commit::memory::Memory;
use crate::workspace::commit::stage::beside_name;
use crate::workspace::root::Parents;
use crate::workspace::state::record::{Identity, Step};

/// How often a step is begun anew since a stranger was faster.
const TRIES: usize = 16;

impl Install<'_> {
    pub(super) fn step_forward(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let Some(new) = &step.new else {
            if slot.stat(slot_name)?.is_none() && !move_out(spot)? {
                return Ok(());
            }
            return self.keep_what_is_not(step.old.as_ref(), step, spot);
        };
        // Straight after staging the slot needs no look: nobody else knows of it.
        if self.trust_before.is_none() {
            match self.holds(slot, slot_name, new)? {
                Holds::Expected => {}
                Holds::Other => return self.keep_what_is_not(step.old.as_ref(), step, spot),
                Holds::Nothing => return self.check_is_in_place(step, spot),
            }
        }
        let expects_file = step.old.is_some();
        if self.put(step, spot, expects_file)? {
            self.keep_what_is_not(step.old.as_ref(), step, spot)
        } else {
            Ok(())
        }
    }

    /// The slot's file takes its place; whether it changed places with another one.
    ///
    /// Whether one is expected there only decides what is tried first.
    fn put(&mut self, step: &Step, spot: &Spot<'_>, expects_file: bool) -> io::Result<bool> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        let mut swaps = expects_file;
        for _ in 0..TRIES {
            let result = if swaps {
                self.swap(step, spot)
            } else {
                slot.rename_new(slot_name, target, name)
            };
            match result {
                // A stranger removed it.
                Err(error) if swaps && error.kind() == io::ErrorKind::NotFound => swaps = false,
                // A stranger made one.
                Err(error) if !swaps && error.kind() == io::ErrorKind::AlreadyExists => {
                    swaps = true;
                }
                result => return result.map(|()| swaps),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another program keeps removing and making it",
        ))
    }

    /// An empty slot says that its step is done, unless the old file still stands at the target:
    /// then the new one is lost.
    fn check_is_in_place(&self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        let (target, name) = spot.target;
        match (&step.old, &step.new) {
            (Some(old), Some(new))
                if self.holds(target, name, new)? != Holds::Expected
                    && self.holds(target, name, old)? == Holds::Expected =>
            {
                Err(gone("its new bytes are gone"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn step_back(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        match (&step.old, &step.new) {
            (Some(old), new) => self.bring_back(step, spot, old, new.as_ref()),
            (None, Some(new)) => self.take_away(step, spot, new),
            (None, None) => Ok(()),
        }
    }

    /// The old file comes back to where the new one stands, or nothing.
    fn bring_back(
        &mut self,
        step: &Step,
        spot: &Spot<'_>,
        old: &Identity,
        new: Option<&Identity>,
    ) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        match self.holds(slot, slot_name, old)? {
            Holds::Expected => return self.put_back(step, spot, new),
            Holds::Nothing => {}
            Holds::Other => {
                if self.holds_expected(spot.slot, new)? {
                    // The step was not done, or is taken back.
                    return Ok(());
                }
                // A stranger's file, that a step met at the target.
                let is_forward = match new {
                    Some(_) => self.holds_expected(spot.target, new)?,
                    None => target.stat(name)?.is_none(),
                };
                if is_forward {
                    return self.put_back(step, spot, new);
                }
                self.keep_slot(step, spot)?;
            }
        }
        if self.holds_expected(spot.target, Some(old))? {
            return Ok(());
        }
        let kept = self.first_conflict(step)?;
        let is_forward = match new {
            Some(_) => self.holds_expected(spot.target, new)?,
            None => target.stat(name)?.is_none(),
        };
        if let (Some((conflicts, kept)), true) = (&kept, is_forward) {
            // It stood there when the batch came.
            conflicts.rename_new(kept.as_bytes(), slot, slot_name)?;
            self.forget(kept);
            return self.put_back(step, spot, new);
        }
        if let Some(memory) = self.memory {
            return match memory.stage(step, self.current) {
                Ok(()) => self.put_back(step, spot, new),
                // The journal's directory is gone, and could not be made again.
                Err(_) => self.put_back_from_beside(step, spot, new, memory),
            };
        }
        // What is kept there came back into the slot when the old file left it.
        if kept.is_some() {
            return Ok(());
        }
        Err(gone("its old bytes are gone"))
    }

    fn put_back(&mut self, step: &Step, spot: &Spot<'_>, new: Option<&Identity>) -> io::Result<()> {
        if self.put(step, spot, new.is_some())? {
            self.keep_what_is_not(new, step, spot)
        } else {
            Ok(())
        }
    }

    /// As [`put_back`](Self::put_back), by a slot beside the target.
    fn put_back_from_beside(
        &mut self,
        step: &Step,
        spot: &Spot<'_>,
        new: Option<&Identity>,
        memory: &Memory<'_>,
    ) -> io::Result<()> {
        let step = Step {
            beside: true,
            ..step.clone()
        };
        memory.stage(&step, self.current)?;
        let name = self.slot_name(&step);
        let slot = (spot.target.0, name.as_bytes());
        let beside = Spot {
            target: spot.target,
            slot,
        };
        self.put_back(&step, &beside, new).map_err(|error| {
            io::Error::other(format!(
                "{error}; what was not put in its place is in {name} beside it"
            ))
        })?;
        // What changed places with the old file is the batch's own.
        slot.0.remove_file(slot.1).map(|_| ())
    }

    /// Stages the old files again whose slots the verification command emptied or changed.
    ///
    /// What a step found in the old file's place is kept, and nothing was in the slot then.
    pub(crate) fn refill(&mut self) -> Result<(), Error> {
        let (journal, Some(memory)) = (self.journal, self.memory) else {
            return Ok(());
        };
        let mut first = Ok(());
        for step in &journal.steps {
            if let Err(error) = self.refill_slot(step, memory)
                && first.is_ok()
            {
                first = Err(self.root.error("keep", &step.path, error));
            }
        }
        first
    }

    fn refill_slot(&mut self, step: &Step, memory: &Memory<'_>) -> io::Result<()> {
        let Some(old) = &step.old else {
            return Ok(());
        };
        let parent;
        let dir = if step.beside {
            self.make_parents(&step.path)?;
            parent = Parents::new(self.root).of(&step.path)?;
            &*parent
        } else {
            self.current
        };
        let name = self.slot_name(step);
        match self.holds(dir, name.as_bytes(), old)? {
            Holds::Expected => return Ok(()),
            Holds::Nothing if self.first_conflict(step)?.is_some() => return Ok(()),
            Holds::Nothing => {}
            Holds::Other => self.keep(step, (dir, name.as_bytes()))?,
        }
        memory.stage(step, self.current)
    }

    /// What was created goes again.
    fn take_away(&mut self, step: &Step, spot: &Spot<'_>, new: &Identity) -> io::Result<()> {
        let (slot, slot_name) = spot.slot;
        let (target, name) = spot.target;
        match self.holds(slot, slot_name, new)? {
            // The step was not done, or is taken back.
            Holds::Expected => return Ok(()),
            // A stranger's file, that the step met at the target.
            Holds::Other if self.holds_expected(spot.target, Some(new))? => {
                return self.put_back(step, spot, Some(new));
            }
            Holds::Other => return self.keep_slot(step, spot),
            Holds::Nothing => {}
        }
        match move_out(spot) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.take_away_beside(step, spot, new);
            }
            Err(error) => return Err(error),
        }
        if self.holds(slot, slot_name, new)? == Holds::Other {
            return self.keep_slot(step, spot);
        }
        if let Some((conflicts, kept)) = self.first_conflict(step)? {
            // It stood there when the batch came.
            match conflicts.rename_new(kept.as_bytes(), target, name) {
                Ok(()) => self.forget(&kept),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// As [`take_away`](Self::take_away), by a slot beside the target, since the journal's directory
    /// is gone. Another program's file stays.
    fn take_away_beside(&self, step: &Step, spot: &Spot<'_>, new: &Identity) -> io::Result<()> {
        let (target, name) = spot.target;
        let beside = beside_name(&self.transaction, step.slot as usize);
        target.rename_new(name, target, beside.as_bytes())?;
        if self.holds(target, beside.as_bytes(), new)? == Holds::Expected {
            return target.remove_file(beside.as_bytes()).map(|_| ());
        }
        target.rename_new(beside.as_bytes(), target, name)?;
        Err(io::Error::other("another program's file stands there"))
    }
}

/// Moves what stands at the target into the slot; whether anything stood there. `NotFound` is an
/// error: then the slot's directory is gone.
fn move_out(spot: &Spot<'_>) -> io::Result<bool> {
    let (slot, slot_name) = spot.slot;
    let (target, name) = spot.target;
    match target.rename_new(name, slot, slot_name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && target.stat(name)?.is_none() => {
            Ok(false)
        }
        result => result.map(|()| true),
    }
}

fn gone(what: &'static str) -> io::Error {
    io::Error::other(what)
}
