//! What a process knows of the tree before its batch: all that taking it back needs where the
//! journal's slots were removed.

use std::io;

use super::disk::{Dir, FileKind};
use super::layout::{Content, Placement, Wanted};
use super::load::Loaded;
use super::record::{Step, TransactionId};
use super::root::Root;
use super::stage::Staging;
use super::state::{STATE, TASKS};
use crate::digest::Digest;

/// The files as they were read.
#[derive(Debug)]
pub(super) struct Memory<'a> {
    pub(super) root: &'a Root,
    pub(super) transaction: TransactionId,
    pub(super) loaded: &'a Loaded,
    /// The task manifest, with its permission bits and its owner.
    pub(super) tasks: Option<(Vec<u8>, Wanted)>,
    pub(super) durable: bool,
}

impl Memory<'_> {
    /// Stages the old file of a step in its slot, which is empty.
    pub(super) fn stage(&self, step: &Step, current: &Dir) -> io::Result<()> {
        let staging = Staging {
            root: self.root,
            current,
            transaction: self.transaction,
            sync: self.durable,
            write_back: false,
            // Whoever owned it, its bytes come back.
            allow_owner_change: true,
            draft: true,
        };
        let new = self.old(step).ok_or(io::ErrorKind::NotFound)?;
        let place = Placement {
            path: Some(step.path.clone()),
            old: None,
            new: Some(new),
            executable: false,
        };
        staging
            .again(step.slot as usize, &place, step.beside)
            .map_err(io::Error::other)
    }

    fn old(&self, step: &Step) -> Option<(Content<'_>, Option<Wanted>)> {
        if step.path.as_bytes() == format!("{STATE}/{TASKS}").as_bytes() {
            let (bytes, wanted) = self.tasks.as_ref()?;
            return Some((
                Content::Bytes(bytes, Digest::of(bytes)),
                Some(wanted.clone()),
            ));
        }
        let source = self.loaded.tree.standing(&step.path)?;
        let found = self.loaded.found(&step.path)?;
        let wanted = Wanted {
            mode: found.meta.mode,
            owner: Some((found.meta.uid, found.meta.gid)),
            attributes: found.attributes.clone(),
        };
        let bytes = source.bytes();
        let content = match found.meta.kind {
            FileKind::Symlink => Content::Link(bytes, source.digest()),
            _ => Content::Bytes(bytes, source.digest()),
        };
        Some((content, Some(wanted)))
    }
}
