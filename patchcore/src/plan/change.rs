//! What happens to files: the values that planning ends with and everything after it works on.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::Source;
use crate::diff::LineStats;
use crate::digest::Digest;
use crate::edit::{Edit, EditSet};
use crate::path::RelPath;
use crate::text::Text;

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Its bytes change, and maybe its mode.
    Modified,
    /// It comes into being.
    Created,
    /// It goes away.
    Deleted,
    /// It comes from another path, which is free afterwards unless another change fills it.
    Renamed,
    /// It comes from another path, which stays.
    Copied,
    /// Its mode alone changes.
    Mode,
}

/// What stands at a path, by hash, mode and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileState {
    /// Hash of the bytes.
    pub digest: Digest,
    /// Whether the owner can execute it.
    pub executable: bool,
    /// Whether it is a symbolic link, whose bytes are its target.
    #[serde(default, skip_serializing_if = "is_false")]
    pub link: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The part of an operation in the change of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Touch {
    /// Index of the operation in its batch.
    pub operation: usize,
    /// Index of the edit in the change's [`EditSet`]; two operations may share one.
    pub edit: usize,
    /// Lines that it added.
    pub added: usize,
    /// Lines that it removed.
    pub removed: usize,
}

/// A file that will stand somewhere, beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct After {
    /// Whether the owner can execute it.
    pub executable: bool,
    /// Whether it is a symbolic link, whose bytes are its target.
    pub link: bool,
    digest: OnceLock<Digest>,
}

impl After {
    /// A file whose bytes are hashed at the first question for the hash.
    #[must_use]
    pub fn new(executable: bool) -> Self {
        Self {
            executable,
            ..Self::default()
        }
    }

    /// A symbolic link.
    #[must_use]
    pub fn link() -> Self {
        Self {
            link: true,
            ..Self::default()
        }
    }

    /// A file whose hash is known.
    #[must_use]
    pub fn hashed(state: FileState) -> Self {
        Self {
            executable: state.executable,
            link: state.link,
            digest: state.digest.into(),
        }
    }
}

/// What will stand at a path, and what it is made from.
#[derive(Debug, Clone)]
pub struct FileChange {
    /// The path; for a rename or copy, the new one.
    pub path: RelPath,
    /// For a rename or copy, the path that the bytes come from.
    pub from: Option<RelPath>,
    /// What happens.
    pub kind: ChangeKind,
    /// The bytes that `edits` apply to; `None` stands for no bytes (a created file, all of whose
    /// content is one insertion).
    pub source: Option<Arc<Source>>,
    /// The file whose mode, owner and attributes this one gets, where that is neither `from` nor
    /// the one at `path`.
    pub dressed_as: Option<RelPath>,
    /// From `source` to the new bytes. A deletion has one edit that removes all.
    pub edits: EditSet,
    /// What stands at `path` before.
    pub before: Option<Arc<Source>>,
    /// What will stand at `path`; `None` for a deletion.
    pub after: Option<After>,
    /// Which operation made which edit, in batch order.
    pub touches: Vec<Touch>,
    /// Lines that the edits add.
    pub lines_added: usize,
    /// Lines that the edits remove.
    pub lines_removed: usize,
}

impl FileChange {
    /// All of a file goes away, by an operation of that index.
    pub(crate) fn deletion(path: RelPath, source: &Arc<Source>, operation: usize) -> Self {
        let len = source.bytes().len();
        let removed = Text::new(source.bytes()).line_count();
        let edits = if len == 0 {
            Vec::new()
        } else {
            vec![Edit::delete(0..len)]
        };
        Self {
            path,
            from: None,
            kind: ChangeKind::Deleted,
            source: Some(source.clone()),
            dressed_as: None,
            edits: EditSet::new(edits, len).expect("one edit of all bytes"),
            before: Some(source.clone()),
            after: None,
            touches: vec![Touch {
                operation,
                edit: 0,
                added: 0,
                removed,
            }],
            lines_added: 0,
            lines_removed: removed,
        }
    }

    /// The bytes that the edits apply to.
    #[must_use]
    pub fn source_bytes(&self) -> &[u8] {
        self.source.as_ref().map_or(&[], |source| source.bytes())
    }

    /// Hash and mode of what stands at the path before.
    #[must_use]
    pub fn state_before(&self) -> Option<FileState> {
        self.before.as_ref().map(|source| source.state())
    }

    /// Hash and mode of what will stand at the path; the first call hashes it.
    #[must_use]
    pub fn state_after(&self) -> Option<FileState> {
        let after = self.after.as_ref()?;
        let digest = after.digest.get_or_init(|| match self.edits.is_empty() {
            true => (self.source.as_ref()).map_or_else(|| Digest::of(b""), |it| it.digest()),
            false => Digest::of_chunks(self.chunks()),
        });
        Some(FileState {
            digest: *digest,
            executable: after.executable,
            link: after.link,
        })
    }

    /// Whether a symbolic link will stand at the path.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.after.as_ref().is_some_and(|after| after.link)
    }

    /// Whether a file comes to the path from elsewhere, or into being.
    fn arrives(&self) -> bool {
        matches!(
            self.kind,
            ChangeKind::Created | ChangeKind::Copied | ChangeKind::Renamed
        )
    }

    /// Whether the same bytes and mode stand at the same path afterwards.
    pub(super) fn is_noop(&self) -> bool {
        let stays = matches!(self.kind, ChangeKind::Modified | ChangeKind::Mode);
        match (&self.before, &self.after) {
            (Some(before), Some(after)) if stays => {
                before.executable() == after.executable
                    && before.is_link() == after.link
                    && self.edits.is_noop(self.source_bytes())
            }
            _ => false,
        }
    }

    /// The new bytes in pieces; none for a deletion.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.edits.chunks(self.source_bytes())
    }
}

impl FileChange {
    /// Makes of a file that arrives at a path the new bytes of the file that it replaces there, by
    /// one edit.
    fn replace(&mut self, old: &Arc<Source>) {
        let content: Vec<u8> = self.chunks().flatten().copied().collect();
        let len = old.bytes().len();
        self.kind = ChangeKind::Modified;
        self.dressed_as = self.from.take();
        self.edits =
            EditSet::new(vec![Edit::replace(0..len, content)], len).expect("one edit of all bytes");
        self.source = Some(old.clone());
        self.before = Some(old.clone());
        for touch in &mut self.touches {
            touch.edit = 0;
        }
        let stats = LineStats::of(old.bytes(), self.edits.as_slice());
        (self.lines_added, self.lines_removed) = (stats.added, stats.removed);
    }
}

/// Where a deleted or renamed file's path is taken by another, says so in the latter's change: the
/// change knows what stands at its path before, and whoever deleted that has a part in it.
pub(super) fn merge_recreated(changes: &mut Vec<FileChange>) {
    let mut leaving: HashMap<_, (Arc<Source>, Option<Touch>)> = HashMap::new();
    for change in changes.iter() {
        let Some(source) = &change.source else {
            continue;
        };
        match (change.kind, &change.from) {
            (ChangeKind::Deleted, _) => {
                let deleted_by = change.touches.first().copied();
                leaving.insert(change.path.clone(), (source.clone(), deleted_by));
            }
            (ChangeKind::Renamed, Some(from)) => {
                leaving.insert(from.clone(), (source.clone(), None));
            }
            _ => {}
        }
    }
    if leaving.is_empty() {
        return;
    }
    let mut replaced: HashSet<RelPath> = HashSet::new();
    for change in changes.iter_mut().filter(|change| change.arrives()) {
        let Some((source, deleted_by)) = leaving.get(&change.path) else {
            continue;
        };
        change.before = Some(source.clone());
        if let Some(touch) = deleted_by {
            change.touches.push(*touch);
            replaced.insert(change.path.clone());
        }
    }
    changes.retain(|change| change.kind != ChangeKind::Deleted || !replaced.contains(&change.path));
}

/// A file that arrives at a path replaces the one that stands there, unless that goes on to another
/// path. Such a change is one of the file at the path, as git shows it and as it can be taken back:
/// its old lines go, its new ones come. A rename onto it is then a deletion of the old name as well,
/// which in turn may make a replacement of what arrives there.
pub(crate) fn show_replacements(changes: &mut Vec<FileChange>) {
    let arrivals: HashMap<RelPath, usize> = changes
        .iter()
        .enumerate()
        .filter(|(_, change)| change.arrives())
        .map(|(index, change)| (change.path.clone(), index))
        .collect();
    let goes_on: HashSet<RelPath> = changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Renamed)
        .filter_map(|change| change.from.clone())
        .collect();
    let mut waiting: Vec<usize> = arrivals
        .iter()
        .filter(|(path, index)| changes[**index].before.is_some() && !goes_on.contains(path))
        .map(|(_, index)| *index)
        .collect();
    if waiting.is_empty() {
        return;
    }
    // A file that is replaced at its own path says there what goes.
    let stays: HashSet<RelPath> = changes
        .iter()
        .filter(|change| !change.arrives() && change.after.is_some())
        .map(|change| change.path.clone())
        .collect();
    let mut deleted = Vec::new();
    while let Some(index) = waiting.pop() {
        let change = &mut changes[index];
        let Some(old) = change.before.clone() else {
            continue;
        };
        let (kind, from, source) = (change.kind, change.from.clone(), change.source.clone());
        change.replace(&old);
        let (ChangeKind::Renamed, Some(from), Some(source)) = (kind, from, source) else {
            continue;
        };
        let operation = change.touches.first().map_or(0, |touch| touch.operation);
        match arrivals.get(&from) {
            Some(&other) => {
                changes[other].before = Some(source);
                waiting.push(other);
            }
            None if stays.contains(&from) => {}
            None => deleted.push(FileChange::deletion(from, &source, operation)),
        }
    }
    changes.append(&mut deleted);
    changes.retain(|change| !change.is_noop());
}
