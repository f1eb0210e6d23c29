//! Where a file and a directory take each other's place, which the order of the steps depends on.

use std::collections::BTreeSet;

use crate::path::RelPath;
use crate::workspace::state::record::{DirectoryRecord, Journal, Step};

/// The steps at which a file gives way to a directory, or the other way around.
pub(super) struct TypeChanges<'a> {
    /// A file goes where a directory comes.
    pub(super) files: Vec<&'a Step>,
    /// A file comes where a directory goes.
    pub(super) directories: Vec<&'a Step>,
    /// Where they are.
    paths: BTreeSet<&'a RelPath>,
}

impl<'a> TypeChanges<'a> {
    pub(super) fn of(journal: &'a Journal) -> Self {
        let at = |directories: &'a [DirectoryRecord]| -> Vec<&'a Step> {
            let directories: BTreeSet<&RelPath> = directories
                .iter()
                .map(|directory| &directory.path)
                .collect();
            if directories.is_empty() {
                return Vec::new();
            }
            let steps = journal.steps.iter();
            steps
                .filter(|step| directories.contains(&step.path))
                .collect()
        };
        let (files, directories) = (at(&journal.made), at(&journal.emptied));
        let paths = files.iter().chain(&directories).map(|step| &step.path);
        Self {
            paths: paths.collect(),
            files,
            directories,
        }
    }

    pub(super) fn has(&self, step: &Step) -> bool {
        !self.paths.is_empty() && self.paths.contains(&step.path)
    }

    /// Whether what stands above a path may be no directory at one end of the batch.
    pub(super) fn lie_above(&self, path: &RelPath) -> bool {
        std::iter::successors(path.parent(), RelPath::parent)
            .any(|above| self.paths.contains(&above))
    }
}
