//! What can be planned, and what lowering makes of it.

use std::borrow::Cow;

use crate::digest::Digest;
use crate::error::Refusal;
use crate::operation::Batch;
use crate::path::RelPath;
use crate::placeholder::Injected;

use super::Tree;

/// What can be planned: a batch, or a foreign patch that has yet to be located in the files.
pub trait Script {
    /// Every path that has to be loaded before [`lower`](Self::lower).
    fn paths(&self) -> Vec<RelPath>;

    /// The files that the script edits, by the names that they have before it: all of
    /// [`paths`](Self::paths), unless it says which of them are only arrived at.
    fn sources(&self) -> Vec<RelPath> {
        self.paths()
    }

    /// Names of files that text around the edits speaks of, whole paths or their last components:
    /// the files of the workspace that are called so are loaded as well, since an edit may be meant
    /// for one of them.
    fn mentions(&self) -> Vec<RelPath> {
        Vec::new()
    }

    /// The batch, where the script is one already, or what stands in for it: only a script that
    /// has one has an id by which the ledger knows it before anything is loaded.
    fn as_batch(&self) -> Option<&Batch> {
        None
    }

    /// Digest of the input that the script was read from, and of all that decides how it is read.
    /// By it a script without an id is known again; `None` for one that is applied each time.
    fn received(&self) -> Option<Digest> {
        None
    }

    /// Digest of the bytes that the script was read from, where reading them took one.
    fn content(&self) -> Option<Digest> {
        None
    }

    /// What the script asks to look at, beside what it edits.
    fn reads(&self) -> Vec<(RelPath, Part)> {
        Vec::new()
    }

    /// The operations, located in the loaded files. Lowering has no effect beyond its result: the
    /// same tree gives the same batch and notes.
    ///
    /// # Errors
    /// A refusal of the whole; what concerns one operation is an
    /// [`Action::Refused`](crate::operation::Action::Refused) in its place.
    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal>;
}

/// A script, located in the loaded files.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lowered<'a> {
    /// The operations.
    pub batch: Cow<'a, Batch>,
    /// What was found out beside them.
    pub notes: Notes,
}

/// What lowering found out beside the operations.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Notes {
    /// The comments above placeholders as they are after the batch, for the task manifest.
    pub injected: Injected,
    /// What the script left out.
    pub missing: Vec<Missing>,
    /// What the report says beside the operations: of parts of the input that edit nothing.
    pub remarks: Vec<String>,
}

/// A placeholder that was to be marked and is not where it should be.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Missing {
    /// The placeholder's id.
    pub id: String,
    /// The task that it belongs to.
    pub task: Option<String>,
    /// Why it cannot be marked.
    pub refusal: Refusal,
}

impl Script for Batch {
    fn paths(&self) -> Vec<RelPath> {
        Batch::paths(self)
    }

    fn as_batch(&self) -> Option<&Batch> {
        Some(self)
    }

    fn received(&self) -> Option<Digest> {
        self.received
    }

    fn lower(&self, _: &Tree) -> Result<Lowered<'_>, Refusal> {
        Ok(self.into())
    }
}

impl From<Batch> for Lowered<'_> {
    fn from(batch: Batch) -> Self {
        Self {
            batch: Cow::Owned(batch),
            notes: Notes::default(),
        }
    }
}

impl<'a> From<&'a Batch> for Lowered<'a> {
    fn from(batch: &'a Batch) -> Self {
        Self {
            batch: Cow::Borrowed(batch),
            notes: Notes::default(),
        }
    }
}

/// What of a file is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Part {
    /// All of it.
    #[default]
    Whole,
    /// Lines from 1, both inclusive. What lies beyond the last line is left out.
    Lines(u64, u64),
    /// The line with a placeholder, and so many lines on either side.
    Around {
        /// The placeholder's id, which has to stand at one place.
        placeholder: String,
        /// Lines shown above and below it.
        context: u64,
    },
}
