//! What happens to files: the values that planning ends with and everything after it works on.

use std::collections::HashMap;
use std::sync::Arc;

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

/// What stands at a path, by hash and mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FileState {
    /// Hash of the bytes.
    pub digest: Digest,
    /// Whether the owner can execute it.
    pub executable: bool,
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
    /// From `source` to the new bytes. A deletion has one edit that removes all.
    pub edits: EditSet,
    /// What stands at `path` before.
    pub before: Option<FileState>,
    /// What will stand at `path`; `None` for a deletion.
    pub after: Option<FileState>,
    /// Which operation made which edit, in batch order.
    pub touches: Vec<Touch>,
    /// Lines that the edits add.
    pub lines_added: usize,
    /// Lines that the edits remove.
    pub lines_removed: usize,
}

impl FileChange {
    /// All of a file goes away, by an operation of that index.
    pub(super) fn deletion(path: RelPath, source: &Arc<Source>, operation: usize) -> Self {
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
            edits: EditSet::new(edits, len).expect("one edit of all bytes"),
            before: Some(source.state()),
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

    /// The new bytes in pieces; none for a deletion.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.edits.chunks(self.source_bytes())
    }
}

/// Where a deleted or renamed file's path is taken by another, says so in the latter's change;
/// a file deleted and created again is one that is modified.
pub(super) fn merge_recreated(changes: &mut Vec<FileChange>) {
    let mut leaving: HashMap<_, (Arc<Source>, Option<Touch>)> = HashMap::new();
    for change in changes.iter() {
        let Some(source) = &change.source else {
            continue;
        };
        match (change.kind, &change.from) {
            (ChangeKind::Deleted, _) => {
                leaving.insert(
                    change.path.clone(),
                    (source.clone(), change.touches.first().copied()),
                );
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
    let mut replaced: Vec<_> = Vec::new();
    for change in changes.iter_mut() {
        let arrives = matches!(
            change.kind,
            ChangeKind::Created | ChangeKind::Copied | ChangeKind::Renamed
        );
        let Some((source, deleted_by)) = leaving.get(&change.path).filter(|_| arrives) else {
            continue;
        };
        change.before = Some(source.state());
        let Some(touch) = deleted_by else { continue };
        replaced.push(change.path.clone());
        if change.kind == ChangeKind::Created {
            let content: Vec<u8> = change.chunks().flatten().copied().collect();
            let len = source.bytes().len();
            change.kind = ChangeKind::Modified;
            change.edits = EditSet::new(vec![Edit::replace(0..len, content)], len)
                .expect("one edit of all bytes");
            change.source = Some(source.clone());
            change.touches.push(*touch);
            let stats = LineStats::of(source.bytes(), change.edits.as_slice());
            (change.lines_added, change.lines_removed) = (stats.added, stats.removed);
        }
    }
    changes.retain(|change| change.kind != ChangeKind::Deleted || !replaced.contains(&change.path));
    changes.retain(|change| change.kind != ChangeKind::Modified || change.before != change.after);
}
