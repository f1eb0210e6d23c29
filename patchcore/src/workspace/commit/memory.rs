//! What a process knows of the tree before its batch: all that taking it back needs where the
//! journal's slots were removed.

use std::io;

use crate::digest::Digest;
use crate::workspace::commit::layout::{Content, Placement, Wanted};
use crate::workspace::commit::stage::Staging;
use crate::workspace::disk::{Dir, FileKind};
use crate::workspace::read::load::Loaded;
use crate::workspace::root::Root;
use crate::workspace::state::record::{Step, TransactionId};
use crate::workspace::state::{STATE, TASKS};

/// The files as they were read.
#[derive(Debug)]
pub(crate) struct Memory<'a> {
    pub(crate) root: &'a Root,
    pub(crate) transaction: TransactionId,
    pub(crate) loaded: &'a Loaded,
    /// The task manifest, with its permission bits and its owner.
    pub(crate) tasks: Option<(Vec<u8>, Wanted)>,
    pub(crate) durable: bool,
}

impl Memory<'_> {
    /// Stages the old file of a step in its slot, which is empty.
    pub(crate) fn stage(&self, step: &Step, current: &Dir) -> io::Result<()> {
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
