//! The tree as it is by now: what the operations of a sequence have made of it so far.
//!
//! Dialects look at it to locate the next edit, planning carries the edits out on it. Whoever looks
//! at a text shares it; nothing is copied for a look.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Deref;
use std::sync::Arc;

use super::names::{exists, not_found};
use super::work::Work;
use super::{Entry, Policy, Source, Tree};
use crate::digest::Digest;
use crate::edit::EditSet;
use crate::error::Refusal;
use crate::path::RelPath;
use crate::text::{Encoding, Text, detect_encoding};

/// The bytes of a file at some time.
#[derive(Debug, Clone)]
pub(crate) enum SharedBytes {
    /// As they were loaded.
    Loaded(Arc<Source>),
    /// As an operation left them.
    Changed(Arc<Vec<u8>>),
}

impl SharedBytes {
    /// The bytes as lines.
    pub(super) fn text(&self) -> Text<'_> {
        match self {
            Self::Loaded(source) => source.text(),
            Self::Changed(bytes) => Text::new(bytes),
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        match self {
            Self::Loaded(source) => source.encoding(),
            Self::Changed(bytes) => detect_encoding(bytes),
        }
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Loaded(source) => source.bytes(),
            Self::Changed(bytes) => bytes,
        }
    }
}

/// A file in the course of the batch.
#[derive(Debug, Clone)]
pub(crate) struct Current<H> {
    /// The file of the tree that it comes from, with its path there; `None` for one that was
    /// created.
    pub(super) origin: Option<(RelPath, Arc<Source>)>,
    /// Whether it is a copy of that file.
    pub(super) copied: bool,
    pub(crate) content: SharedBytes,
    pub(super) executable: bool,
    /// What the user of the stage keeps about the file; it goes with it to other paths.
    pub(super) history: H,
}

impl<H> Current<H> {
    /// The hash that guards the file: that of its bytes before the batch. One that the batch made
    /// is known by what it is now.
    pub(crate) fn guard(&self) -> Digest {
        match &self.origin {
            Some((_, source)) => source.digest(),
            None => Digest::of(&self.content),
        }
    }
}

/// What may stand where a file is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onto {
    /// Nothing: a file there is refused.
    Nothing,
    /// A file, which gives way.
    File,
}

impl Onto {
    /// What the operator lets stand there.
    pub(crate) fn of(policy: &Policy) -> Self {
        match policy.overwrite {
            true => Self::File,
            false => Self::Nothing,
        }
    }
}

/// What is at a path in the course of the batch.
#[derive(Debug)]
pub(super) enum Slot<H> {
    /// Nothing, since this operation.
    Gone(usize),
    File(Box<Current<H>>),
}

/// A tree in the course of a batch.
#[derive(Debug)]
pub(crate) struct Stage<'t, H> {
    tree: &'t Tree,
    /// The paths that operations have touched.
    slots: HashMap<RelPath, Slot<H>>,
    /// The paths that a refused operation named: nothing more is known of them.
    spoiled: HashSet<RelPath>,
    work: Arc<Work>,
}

impl<'t, H: Default> Stage<'t, H> {
    pub(crate) fn new(tree: &'t Tree, work: Arc<Work>) -> Self {
        Self {
            tree,
            slots: HashMap::new(),
            spoiled: HashSet::new(),
            work,
        }
    }

    /// The tree before the batch.
    pub(crate) fn tree(&self) -> &'t Tree {
        self.tree
    }

    /// The bytes at a path now; `None` where there is no file.
    pub(crate) fn look(&self, path: &RelPath) -> Result<Option<SharedBytes>, Refusal> {
        self.work.check(path)?;
        match self.slots.get(path) {
            Some(Slot::File(current)) => Ok(Some(current.content.clone())),
            Some(Slot::Gone(_)) => Ok(None),
            None => match self.tree.get(path) {
                Entry::Absent => Ok(None),
                Entry::Refused(refusal) => Err((**refusal).clone()),
                Entry::File(source) => Ok(Some(SharedBytes::Loaded(Arc::clone(source)))),
            },
        }
    }

    /// Whether the batch itself took away or moved what stood at a path.
    pub(crate) fn has_taken(&self, path: &RelPath) -> bool {
        matches!(self.slots.get(path), Some(Slot::Gone(_)))
    }

    /// The bytes at a path before the batch; `None` where there was no file.
    pub(crate) fn before(&self, path: &RelPath) -> Option<SharedBytes> {
        match self.tree.get(path) {
            Entry::File(source) => Some(SharedBytes::Loaded(Arc::clone(source))),
            Entry::Absent | Entry::Refused(_) => None,
        }
    }

    /// The file at a path now.
    pub(crate) fn get(&mut self, path: &RelPath) -> Result<Option<&mut Current<H>>, Refusal> {
        if !self.slots.contains_key(path) {
            let source = match self.tree.get(path) {
                Entry::Absent => return Ok(None),
                Entry::Refused(refusal) => return Err((**refusal).clone()),
                Entry::File(source) => source,
            };
            let current = Current {
                origin: Some((path.clone(), Arc::clone(source))),
                copied: false,
                content: SharedBytes::Loaded(Arc::clone(source)),
                executable: source.executable(),
                history: H::default(),
            };
            self.put(path, current);
        }
        Ok(match self.slots.get_mut(path) {
            Some(Slot::File(current)) => Some(current),
            Some(Slot::Gone(_)) | None => None,
        })
    }

    /// The file at a path now, which has to exist.
    pub(crate) fn file(&mut self, path: &RelPath) -> Result<&mut Current<H>, Refusal> {
        self.get(path)?.ok_or_else(|| not_found(path))
    }

    /// Creates a file.
    pub(crate) fn create(
        &mut self,
        path: &RelPath,
        content: Vec<u8>,
        executable: bool,
        onto: Onto,
    ) -> Result<&mut Current<H>, Refusal> {
        self.check(path, onto)?;
        let new = Current {
            origin: None,
            copied: false,
            content: SharedBytes::Changed(Arc::new(content)),
            executable,
            history: H::default(),
        };
        Ok(self.put(path, new))
    }

    /// Edits a file, by the operation with this index.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` where the batch edits too long texts too often, for this and all later looks.
    pub(crate) fn edit(
        &mut self,
        path: &RelPath,
        edits: &EditSet,
        operation: usize,
    ) -> Result<&mut Current<H>, Refusal> {
        let length = self.file(path)?.content.len();
        self.work.spend(length, operation, path)?;
        let file = self.file(path)?;
        file.content = SharedBytes::Changed(Arc::new(edits.apply(&file.content)));
        Ok(file)
    }

    /// Takes note that a file was read so many times more to find the place of an edit, by the
    /// operation with this index.
    ///
    /// # Errors
    /// As [`edit`](Self::edit).
    pub(crate) fn searched(
        &mut self,
        path: &RelPath,
        times: usize,
        operation: usize,
    ) -> Result<(), Refusal> {
        let length = self.look(path)?.map_or(0, |text| text.len());
        self.work
            .spend(length.saturating_mul(times), operation, path)
    }

    /// Takes a file away, by the operation with this index.
    pub(crate) fn delete(&mut self, path: &RelPath, operation: usize) -> Result<(), Refusal> {
        self.file(path)?;
        self.slots.insert(path.clone(), Slot::Gone(operation));
        Ok(())
    }

    /// Moves a file, by the operation with this index.
    pub(crate) fn rename(
        &mut self,
        path: &RelPath,
        to: &RelPath,
        operation: usize,
        onto: Onto,
    ) -> Result<&mut Current<H>, Refusal> {
        self.file(path)?;
        self.check(to, onto)?;
        match self.slots.insert(path.clone(), Slot::Gone(operation)) {
            Some(Slot::File(moved)) => Ok(self.put(to, *moved)),
            Some(Slot::Gone(_)) | None => Err(not_found(path)),
        }
    }

    /// Copies a file.
    pub(crate) fn copy(
        &mut self,
        path: &RelPath,
        to: &RelPath,
        onto: Onto,
    ) -> Result<&mut Current<H>, Refusal>
    where
        H: Clone,
    {
        let mut copy = self.file(path)?.clone();
        self.check(to, onto)?;
        copy.copied = true;
        Ok(self.put(to, copy))
    }

    /// Whether the batch itself created the file at a path.
    pub(crate) fn has_created(&self, path: &RelPath) -> bool {
        matches!(self.slots.get(path), Some(Slot::File(current)) if current.origin.is_none())
    }

    /// Whether an operation on a path was refused; later ones cannot be judged.
    pub(crate) fn is_spoiled(&self, path: &RelPath) -> bool {
        self.spoiled.contains(path)
    }

    pub(crate) fn spoil(&mut self, path: &RelPath) {
        self.spoiled.insert(path.clone());
    }

    /// The paths that operations have touched, in order, with what is there now.
    pub(super) fn into_slots(self) -> BTreeMap<RelPath, Slot<H>> {
        self.slots.into_iter().collect()
    }

    fn check(&self, path: &RelPath, onto: Onto) -> Result<(), Refusal> {
        match self.look(path)? {
            Some(_) if onto == Onto::Nothing => Err(exists(path)),
            _ => Ok(()),
        }
    }

    fn put(&mut self, path: &RelPath, file: Current<H>) -> &mut Current<H> {
        let slot = self
            .slots
            .entry(path.clone())
            .insert_entry(Slot::File(Box::new(file)));
        match slot.into_mut() {
            Slot::File(current) => current,
            Slot::Gone(_) => unreachable!("a file was just put there"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Edit;
    use crate::error::Code;

    #[test]
    fn a_batch_that_has_rewritten_too_much_looks_at_nothing_more() {
        let path = |name: &str| RelPath::new(name).unwrap();
        let (long, other) = (path("long"), path("other"));
        let tree = (Tree::new().with_file(long.clone(), "text")).with_file(other.clone(), "x");
        let mut stage: Stage<'_, ()> = Stage::new(&tree, Arc::new(Work::left(4)));
        let edits = |length| EditSet::new(vec![Edit::insert(0, b"a".to_vec())], length).unwrap();
        stage.edit(&long, &edits(4), 6).unwrap();
        let refusal = stage.edit(&long, &edits(5), 7).unwrap_err();
        assert_eq!(refusal.code, Code::LimitExceeded);
        assert!(refusal.message.contains("up to 7"), "{}", refusal.message);
        let later = stage.look(&other).unwrap_err();
        assert!(later.message.contains("up to 7"), "{}", later.message);
        let slots = stage.into_slots();
        let Some(Slot::File(file)) = slots.get(&long) else {
            panic!("{slots:?}");
        };
        assert_eq!(&*file.content, b"atext");
    }
}
