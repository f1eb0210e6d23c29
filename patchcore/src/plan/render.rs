//! Changes as diffs.

use std::io::{self, Write};

use super::{ChangeKind, FileChange, Plan};
use crate::diff::{DiffOptions, FileDiff, Origin, Side};

impl FileChange {
    /// What a diff says of this change.
    #[must_use]
    pub fn diff(&self) -> FileDiff<'_> {
        let new = Side {
            path: self.path.as_bytes(),
            executable: self.after.as_ref().is_some_and(|after| after.executable),
            link: self.is_link(),
        };
        let old = Side {
            path: self.from.as_ref().unwrap_or(&self.path).as_bytes(),
            executable: match &self.source {
                Some(source) => source.executable(),
                None => self
                    .before
                    .as_ref()
                    .is_some_and(|before| before.executable()),
            },
            link: match &self.source {
                Some(source) => source.is_link(),
                None => self.before.as_ref().is_some_and(|before| before.is_link()),
            },
        };
        FileDiff {
            old: (self.kind != ChangeKind::Created).then_some(old),
            new: (self.kind != ChangeKind::Deleted).then_some(new),
            origin: match self.kind {
                ChangeKind::Renamed => Origin::Renamed,
                ChangeKind::Copied => Origin::Copied,
                _ => Origin::Same,
            },
            source: self.source_bytes(),
            edits: self.edits.as_slice(),
            lines: self.source.as_ref().and_then(|source| source.line_index()),
        }
    }
}

impl Plan {
    /// Writes all changes as one unified diff in git's format.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn write_diff(&self, options: &DiffOptions, out: &mut impl Write) -> io::Result<()> {
        self.changes
            .iter()
            .try_for_each(|change| change.diff().write(options, out))
    }
}
