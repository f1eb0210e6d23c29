//! What a slot or target holds, and keeping it where it is a stranger's.

use std::io;

use super::swap::is_same;
use super::{Install, Spot};
use crate::digest::Digest;
use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::STATE;
use crate::workspace::disk::{Dir, FileKind, copy};
use crate::workspace::root::Parents;
use crate::workspace::state::journal::MANIFEST;
use crate::workspace::state::record::{Identity, Step};
use crate::workspace::state::{CURRENT, SavedConflict, fail};

/// What a slot or target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Nothing,
    Expected,
    Other,
}

impl Install<'_> {
    pub(super) fn holds(&self, dir: &Dir, name: &[u8], identity: &Identity) -> io::Result<Holds> {
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
            FileKind::Symlink
        } else {
            FileKind::File
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
                .read(meta.size, crate::workspace::MAX_FILE)?
                .is_some_and(|bytes| Digest::of(&bytes) == identity.digest),
            None => return Ok(Holds::Nothing),
        };
        Ok(if same { Holds::Expected } else { Holds::Other })
    }

    /// Whether a place holds this very file; none is never held.
    pub(super) fn holds_expected(
        &self,
        (dir, name): (&Dir, &[u8]),
        identity: Option<&Identity>,
    ) -> io::Result<bool> {
        identity.map_or(Ok(false), |identity| {
            Ok(self.holds(dir, name, identity)? == Holds::Expected)
        })
    }

    /// Keeps what the slot holds if it is not the file that should be there.
    pub(super) fn keep_what_is_not(
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
        match holds {
            Holds::Other => self.keep_slot(step, spot),
            Holds::Nothing | Holds::Expected => Ok(()),
        }
    }

    /// Keeps what the slot holds.
    pub(super) fn keep_slot(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        self.keep(step, spot.slot)
    }

    /// Keeps what stands at the target.
    pub(super) fn keep_target(&mut self, step: &Step, spot: &Spot<'_>) -> io::Result<()> {
        self.keep(step, spot.target)
    }

    pub(super) fn keep(&mut self, step: &Step, (dir, name): (&Dir, &[u8])) -> io::Result<()> {
        let kept = format!("{}-{}", self.conflict_prefix(step), shown_name(&step.path));
        self.keep_as(step.path.clone(), dir, name, kept)
    }

    /// Moves a file to `conflicts/` under a name that nothing has there.
    fn keep_as(
        &mut self,
        path: RelPath,
        dir: &Dir,
        name: &[u8],
        mut kept: String,
    ) -> io::Result<()> {
        let conflicts = self
            .state
            .make_part("conflicts")
            .map_err(|error| io::Error::other(error.to_string()))?;
        while let Err(error) = move_to(dir, name, &conflicts, &kept) {
            if error.kind() != io::ErrorKind::AlreadyExists {
                return Err(error);
            }
            if is_same(dir.stat(name)?, conflicts.stat(kept.as_bytes())?) {
                // A crash came between its new name and the end of the old one.
                dir.remove_file(name)?;
                break;
            }
            kept.push('+');
        }
        if self.journal.durable {
            conflicts.sync()?;
            self.state.dir.sync()?;
        }
        self.conflicts.push(SavedConflict {
            path,
            kept: format!("{STATE}/conflicts/{kept}"),
        });
        Ok(())
    }

    fn conflict_prefix(&self, step: &Step) -> String {
        format!("{}-{}", self.transaction, step.slot)
    }

    /// What this transaction kept first of what it met at a step.
    pub(super) fn first_conflict(&self, step: &Step) -> io::Result<Option<(Dir, String)>> {
        let Some(conflicts) = self.state.dir.directory("conflicts")? else {
            return Ok(None);
        };
        let kept = format!("{}-{}", self.conflict_prefix(step), shown_name(&step.path));
        let is_there = conflicts.stat(kept.as_bytes())?.is_some();
        Ok(is_there.then_some((conflicts, kept)))
    }

    /// What was kept is back in the tree.
    pub(super) fn forget(&mut self, kept: &str) {
        let kept = format!("{STATE}/conflicts/{kept}");
        self.conflicts.retain(|conflict| conflict.kept != kept);
    }

    /// Removes what a transaction that was taken back leaves behind, which is what it staged. What
    /// it did not, nor found in the tree, is somebody else's and is kept.
    pub(crate) fn clean(&mut self) -> Result<(), Error> {
        let io = |error| fail("clean", "txn/current", error);
        let journal = self.journal;
        for step in journal.steps.iter().filter(|step| step.beside) {
            // Where the directory went with the batch, it went empty.
            if let Ok(dir) = Parents::new(self.root).of(&step.path) {
                let name = self.slot_name(step);
                self.clean_slot(step, &dir, name.as_bytes()).map_err(io)?;
            }
        }
        for name in self.current.names().map_err(io)? {
            if name == MANIFEST {
                continue;
            }
            let shown = String::from_utf8_lossy(&name).into_owned();
            let slot = shown.strip_suffix(".old").unwrap_or(&shown);
            let slot = slot.parse::<u32>().ok();
            let mut steps = journal.steps.iter();
            let step = slot.and_then(|slot| steps.find(|step| step.slot == slot));
            let cleaned = match (slot, step) {
                (_, Some(step)) => self.clean_slot(step, self.current, &name),
                // Bytes that were staged for the record alone, or half of what was being written.
                (Some(_), None) => self.current.remove_file(&name).map(|_| ()),
                (None, None) if is_ours(&shown) => self.current.remove_file(&name).map(|_| ()),
                (None, None) => {
                    let kept = format!("{}-{}", self.transaction, shown_name_of(&name));
                    let path = [STATE.as_bytes(), b"/txn/", CURRENT.as_bytes(), b"/", &name];
                    match RelPath::new(path.concat()) {
                        Ok(path) => self.keep_as(path, self.current, &name, kept),
                        Err(_) => Ok(()),
                    }
                }
            };
            cleaned.map_err(io)?;
        }
        Ok(())
    }

    fn clean_slot(&mut self, step: &Step, dir: &Dir, name: &[u8]) -> io::Result<()> {
        let place = (dir, name);
        if self.holds_expected(place, step.new.as_ref())?
            || self.holds_expected(place, step.old.as_ref())?
        {
            dir.remove_file(name).map(|_| ())
        } else if dir.stat(name)?.is_some() {
            self.keep(step, place)
        } else {
            Ok(())
        }
    }
}

/// Whether a transaction writes files of this name beside its slots.
fn is_ours(name: &str) -> bool {
    ["manifest.new", "outside"].contains(&name) || name.ends_with(".draft")
}

fn shown_name(path: &RelPath) -> String {
    shown_name_of(path.file_name())
}

fn shown_name_of(name: &[u8]) -> String {
    String::from_utf8_lossy(name).chars().take(40).collect()
}

/// Moves a file to a name in another directory where nothing stands, whatever file system that is
/// on; `EEXIST` where something does.
fn move_to(from: &Dir, name: &[u8], to: &Dir, new: &str) -> io::Result<()> {
    match from.rename_new(name, to, new.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            if to.stat(new.as_bytes())?.is_some() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            copy(from, name, to, new, crate::workspace::MAX_FILE)?;
            from.remove_file(name).map(|_| ())
        }
        result => result,
    }
}
