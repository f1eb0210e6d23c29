//! Staging: every new file is written in full, with owner, mode and attributes, before the first
//! one takes its place.

use std::io;
use std::sync::Mutex;

use rustix::io::Errno;

use crate::error::{Code, Error, Hint, Refusal, Stop};
use crate::path::RelPath;
use crate::workspace::commit::layout::{Content, Placement, Wanted};
use crate::workspace::disk::{Dir, File, Meta};
use crate::workspace::read::load::{self, GRAIN, PARALLEL};
use crate::workspace::root::{Parents, Root};
use crate::workspace::state;
use crate::workspace::state::journal::slot_name;
use crate::workspace::state::record::{Identity, TransactionId};

/// How staged files are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Staging<'a> {
    pub(crate) root: &'a Root,
    /// `txn/current`.
    pub(crate) current: &'a Dir,
    pub(crate) transaction: TransactionId,
    /// Each file is synced by itself.
    pub(crate) sync: bool,
    /// Writing each file to the disk is begun.
    pub(crate) write_back: bool,
    pub(crate) allow_owner_change: bool,
    /// Slots are staged under another name first.
    pub(crate) draft: bool,
}

/// Name of the slot beside its target.
pub(crate) fn beside_name(transaction: &TransactionId, slot: usize) -> String {
    format!(".patchctl-{transaction}-{slot}")
}

impl Staging<'_> {
    /// Stages every place that has a new file; in the order of the places.
    ///
    /// `beside` says which slots cannot lie in the journal's directory.
    pub(crate) fn all(
        &self,
        places: &[Placement<'_>],
        beside: &[bool],
    ) -> Result<Vec<Option<Identity>>, Stop> {
        self.check_size(places)?;
        let one = |slot: usize| self.one(slot, &places[slot], beside[slot]);
        if places.len() < PARALLEL {
            return (0..places.len()).map(one).collect();
        }
        let staged = Mutex::new(vec![None; places.len()]);
        load::in_parallel(places.len(), GRAIN, |slot| {
            let one = one(slot)?;
            staged.lock().expect("no thread panics with it")[slot] = one;
            Ok::<_, Stop>(())
        })?;
        Ok(staged.into_inner().expect("all threads have ended"))
    }

    /// A file past the process's own limit would end the process instead of the write.
    fn check_size(&self, places: &[Placement<'_>]) -> Result<(), Stop> {
        let longest = places
            .iter()
            .filter_map(|place| Some((place.new.as_ref()?.0.len(), place.path.as_ref()?)))
            .max_by_key(|(len, _)| *len);
        match longest {
            Some((len, path)) if len > crate::workspace::disk::file_size_limit() => {
                let path = self.root.path.join(path.as_path());
                Err(Error::io("write", path, Errno::FBIG).into())
            }
            _ => Ok(()),
        }
    }

    /// Stages a place again whose slot was emptied while the journal is valid: the slot is never
    /// seen half written.
    pub(crate) fn again(
        &self,
        slot: usize,
        place: &Placement<'_>,
        beside: bool,
    ) -> Result<(), Stop> {
        let path = place.path.as_ref();
        let io = |error| match path {
            Some(path) => self.root.error("stage", path, error),
            None => state::fail("write", "txn/current", error),
        };
        let parent = match (beside, path) {
            (true, Some(path)) => Some(Parents::new(self.root).of(path).map_err(io)?),
            _ => None,
        };
        let dir = parent.as_deref().unwrap_or(self.current);
        let draft = self.name(slot, beside);
        dir.remove_file(draft.as_bytes()).map_err(io)?;
        self.one(slot, place, beside)?;
        let name = Self {
            draft: false,
            ..*self
        }
        .name(slot, beside);
        dir.rename_new(draft.as_bytes(), dir, name.as_bytes())
            .map_err(io)?;
        Ok(())
    }

    fn name(&self, slot: usize, beside: bool) -> String {
        let mut name = if beside {
            beside_name(&self.transaction, slot)
        } else {
            slot_name(slot)
        };
        if self.draft {
            name.push_str(".draft");
        }
        name
    }

    fn one(
        &self,
        slot: usize,
        place: &Placement<'_>,
        beside: bool,
    ) -> Result<Option<Identity>, Stop> {
        let Some((content, wanted)) = &place.new else {
            return Ok(None);
        };
        let mode = match wanted {
            Some(wanted) => wanted.mode & 0o777,
            None if place.path.is_none() => 0o600,
            None if place.executable => 0o777,
            None => 0o666,
        };
        let shown = place.path.as_ref();
        if let (true, Some(path)) = (content.is_link(), shown) {
            return self
                .link(slot, path, *content, wanted.as_ref(), beside)
                .map(Some);
        }
        let io = |error| match shown {
            Some(path) => Error::io("stage", self.root.path.join(path.as_path()), error),
            None => state::fail("write", "txn/current", error),
        };
        let file = if let (true, Some(path)) = (beside, shown) {
            let parent = Parents::new(self.root).of(path).map_err(io)?;
            parent.create(self.name(slot, true).as_bytes(), mode)
        } else {
            self.current.create(self.name(slot, false).as_bytes(), mode)
        };
        let file = file.map_err(io)?;
        match content {
            Content::Change(change) => file.write_chunks(change.chunks()),
            Content::Source(source) => file.write_chunks([source.bytes()].into_iter()),
            Content::Bytes(bytes, _) | Content::Link(bytes, _) => {
                file.write_chunks([*bytes].into_iter())
            }
        }
        .map_err(io)?;
        let mut meta = file.stat().map_err(io)?;
        if let (Some(wanted), Some(path)) = (wanted, shown) {
            self.apply_metadata(&file, &mut meta, wanted, path)?;
        }
        if self.sync {
            file.sync().map_err(io)?;
        } else if self.write_back {
            file.start_write_back();
        }
        Ok(Some(Identity {
            ino: meta.ino,
            size: meta.size,
            mtime: meta.mtime,
            mode: meta.mode,
            digest: content.digest(),
            link: false,
        }))
    }

    /// Stages a symbolic link, which reaches the disk with its directory.
    fn link(
        &self,
        slot: usize,
        path: &RelPath,
        content: Content<'_>,
        wanted: Option<&Wanted>,
        beside: bool,
    ) -> Result<Identity, Stop> {
        let make = || -> io::Result<Result<Identity, Refusal>> {
            let parent;
            let dir = if beside {
                parent = Parents::new(self.root).of(path)?;
                &*parent
            } else {
                self.current
            };
            let name = self.name(slot, beside);
            let name = name.as_bytes();
            dir.make_link(name, &content.to_vec())?;
            let mut meta = dir.stat(name)?.ok_or(Errno::NOENT)?;
            let owner = wanted.and_then(|wanted| wanted.owner);
            if let Some((uid, gid)) = owner.filter(|owner| *owner != (meta.uid, meta.gid)) {
                match dir.set_link_owner(name, uid, gid) {
                    Ok(()) => meta = dir.stat(name)?.ok_or(Errno::NOENT)?,
                    Err(error) if is_denied(&error) && self.allow_owner_change => {}
                    Err(error) if is_denied(&error) => {
                        return Ok(Err(lost(path, &format!("owner {uid}:{gid}"))));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(Ok(Identity {
                ino: meta.ino,
                size: meta.size,
                mtime: meta.mtime,
                mode: meta.mode,
                digest: content.digest(),
                link: true,
            }))
        };
        let made = make()
            .map_err(|error| Error::io("stage", self.root.path.join(path.as_path()), error))?;
        Ok(made?)
    }

    /// Gives a staged file its owner, then its mode (a new owner clears the set-id bits), then its
    /// attributes.
    fn apply_metadata(
        &self,
        file: &File,
        meta: &mut Meta,
        wanted: &Wanted,
        path: &RelPath,
    ) -> Result<(), Stop> {
        let io = |error| Error::io("stage", self.root.path.join(path.as_path()), error);
        let mut mode = wanted.mode;
        if let Some((uid, gid)) = wanted.owner
            && (uid, gid) != (meta.uid, meta.gid)
        {
            match file.set_owner(uid, gid) {
                Ok(()) => (meta.uid, meta.gid, meta.mode) = (uid, gid, u32::MAX),
                Err(error) if is_denied(&error) && self.allow_owner_change => {
                    // Another owner's file must not lend its privileges to ours.
                    if uid != meta.uid {
                        mode &= !0o4000;
                    }
                    if gid != meta.gid {
                        mode &= !0o2000;
                    }
                }
                Err(error) if is_denied(&error) => {
                    return Err(lost(path, &format!("owner {uid}:{gid}")).into());
                }
                Err(error) => return Err(io(error).into()),
            }
        }
        if meta.mode != mode {
            file.set_mode(mode).map_err(io)?;
            meta.mode = mode;
        }
        for (name, value) in &wanted.attributes {
            match file.set_attribute(name, value) {
                Ok(()) => {}
                Err(error) if is_denied(&error) && is_systems_own(name) => {}
                Err(error) if is_denied(&error) && self.allow_owner_change => {}
                Err(error) if is_denied(&error) => {
                    let name = String::from_utf8_lossy(name);
                    return Err(lost(path, &format!("attribute {name:?}")).into());
                }
                Err(error) => return Err(io(error).into()),
            }
        }
        Ok(())
    }
}

fn lost(path: &RelPath, what: &str) -> Refusal {
    Refusal::new(
        Code::Ownership,
        format!("{path} has {what}, which cannot be preserved"),
    )
    .with_hint(Hint::AllowOwnerChange)
    .in_file(path)
}

fn is_denied(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::PERM | Errno::ACCESS | Errno::OPNOTSUPP | Errno::INVAL)
    )
}

/// Labels that the system gives every file by itself, and lets few processes set.
fn is_systems_own(name: &[u8]) -> bool {
    [&b"security.selinux"[..], b"security.ima", b"security.evm"].contains(&name)
}
