//! What stands at a path when a section comes to it, by the tree and the sections before.

use std::sync::Arc;

use super::super::super::blob;
use super::super::{Section, SectionKind};
use super::Lowering;
use crate::error::{Code, Refusal};
use crate::path::RelPath;
use crate::plan::{Entry, Holds, Obstacle, Source};

/// What an earlier section left at a path.
#[derive(Clone, Copy)]
pub(super) enum Standing {
    /// The result of that section.
    From(usize),
    /// Nothing.
    Gone,
}

impl Lowering<'_, '_> {
    /// The target of a rename whose source is gone, if it is the very file that the rename was made
    /// of, or leads to, by the name of its blob.
    pub(super) fn renamed_already(&self, section: &Section<'_>) -> Option<Arc<Source>> {
        if self.standing.contains_key(&section.old)
            || self.standing.contains_key(&section.new)
            || self.created.contains_key(&section.old)
            || self.vacated.contains(&section.new)
            || !matches!(self.tree.get(&section.old), Entry::Absent)
        {
            return None;
        }
        let source = self.found(section, &section.new).ok()??;
        let (before, after) = section.index.as_ref()?;
        let is = |name: &[u8]| blob::is_named(source.bytes(), name);
        (is(before) || is(after)).then_some(source)
    }

    /// Whether a section changes the path in place.
    pub(super) fn changed_again(&self, path: &RelPath) -> bool {
        let in_place = |kind| matches!(kind, SectionKind::Modify | SectionKind::ModifyOrCreate);
        self.diff
            .sections
            .iter()
            .any(|section| in_place(section.kind) && section.old == *path)
    }

    /// The target of a rename or copy has to be free of what the patch itself leaves there.
    pub(super) fn free(&self, section: &Section<'_>) -> Result<(), Refusal> {
        let path = &section.new;
        if self.is_taken(path)? && section.old != section.new {
            return Err(self.refuse(
                section,
                Code::FileExists,
                format!(
                    "{path} exists already, and the patch makes it of {}",
                    section.old
                ),
            ));
        }
        Ok(())
    }

    /// Whether an earlier section left a file at a path.
    pub(super) fn is_taken(&self, path: &RelPath) -> Result<bool, Refusal> {
        match self.standing.get(path) {
            Some(Standing::From(_)) => Ok(true),
            Some(Standing::Gone) => Ok(false),
            None => match self.tree.get(path) {
                Entry::Absent => Ok(false),
                _ if self.is_vacated(path) => Ok(false),
                Entry::Refused(refusal) => Err((**refusal).clone()),
                // Whether it may give way, planning decides.
                Entry::File(_) => Ok(false),
            },
        }
    }

    /// Whether the patch takes away what stands at a path, or what is in the way there.
    fn is_vacated(&self, path: &RelPath) -> bool {
        match self.tree.obstacle(path) {
            None => self.vacated.contains(path),
            Some(Obstacle::File(above)) => self.vacated.contains(above),
            Some(Obstacle::Directory(Holds::Others)) => false,
            Some(Obstacle::Directory(Holds::Loaded)) => self
                .tree
                .below(path)
                .all(|gone| self.vacated.contains(gone)),
        }
    }

    /// What the section finds at a path, of the kind that it speaks of.
    pub(super) fn found(
        &self,
        section: &Section<'_>,
        path: &RelPath,
    ) -> Result<Option<Arc<Source>>, Refusal> {
        match (self.tree.get(path), self.tree.link(path)) {
            (_, Some(link)) if section.takes_link() => Ok(Some(Arc::clone(link))),
            (Entry::File(_), _) if section.link == Some(true) => Err(self.refuse(
                section,
                Code::ExpectMismatch,
                format!("{path} is a regular file, and the patch takes it for a symbolic link"),
            )),
            (Entry::File(source), _) => Ok(Some(Arc::clone(source))),
            (Entry::Refused(refusal), _) => Err((**refusal).clone()),
            (Entry::Absent, _) => Ok(None),
        }
    }

    pub(super) fn existing(
        &self,
        section: &Section<'_>,
        path: &RelPath,
    ) -> Result<Arc<Source>, Refusal> {
        self.found(section, path)?.ok_or_else(|| {
            self.refuse(
                section,
                Code::FileNotFound,
                format!("{path} does not exist"),
            )
        })
    }
}
