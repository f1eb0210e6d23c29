//! Unified diffs in git's format, straight from edits.
//!
//! [`FileDiff`] is what a diff says of one file: names, modes, and edits over the old bytes. Its
//! hunks are made from the edits, so the new text is never put together and nothing is searched
//! for but the lines that differ within an edit. [`edits`] makes such edits for two texts of which
//! nothing else is known.
//!
//! `git apply` and `patch -p1` turn the old tree into the new one with these diffs, and back with
//! `-R`. The bytes of a file pass through as they are, NUL among them: there is no binary form.

mod blob;
mod change;
mod compare;
mod file;
mod hunk;
pub mod parse;

pub(crate) use blob::blob_name;
pub use blob::{BlobName, InvalidBlobName};
pub use change::LineStats;
pub use compare::edits;
pub(crate) use compare::parts;
pub use file::{FileDiff, Origin, Rendered, Side};

/// How a diff is written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DiffOptions {
    /// Unchanged lines shown on either side of a change.
    pub context: usize,
    /// Which way the diff leads.
    pub direction: Direction,
    /// How copied files are shown.
    pub copies: Copies,
}

impl Default for DiffOptions {
    /// Three lines of context, from old to new, copies as new files.
    fn default() -> Self {
        Self {
            context: 3,
            direction: Direction::Forward,
            copies: Copies::Created,
        }
    }
}

/// How copied files are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Copies {
    /// As new files with all of their lines, as `git diff` does by default: `git apply -R` cannot
    /// take back the other form.
    #[default]
    Created,
    /// As `copy from` and `copy to`, and the lines that differ, as `git diff -C` does.
    Copied,
}

/// Which way a diff leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From old to new.
    #[default]
    Forward,
    /// From new back to old.
    Reverse,
}

#[cfg(test)]
mod tests;
