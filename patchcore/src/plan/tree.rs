//! The loaded part of a tree: what planning sees of the disk, or of an embedder's memory.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use super::FileState;
use crate::digest::Digest;
use crate::error::Refusal;
use crate::path::RelPath;
use crate::text::{Encoding, LineIndex, Text, detect_encoding};

/// A file's bytes and the part of its mode that patches speak of.
#[derive(Debug)]
pub struct Source {
    bytes: Vec<u8>,
    executable: bool,
    digest: OnceLock<Digest>,
    encoding: OnceLock<Encoding>,
    lines: OnceLock<LineIndex>,
}

impl Source {
    /// A file as it is before the batch.
    #[must_use]
    pub fn new(bytes: Vec<u8>, executable: bool) -> Self {
        Self {
            bytes,
            executable,
            digest: OnceLock::new(),
            encoding: OnceLock::new(),
            lines: OnceLock::new(),
        }
    }

    /// A file whose bytes were looked at while they were read.
    #[cfg(feature = "workspace")]
    pub(crate) fn scanned(
        bytes: Vec<u8>,
        executable: bool,
        encoding: Encoding,
        lines: LineIndex,
    ) -> Self {
        Self {
            encoding: encoding.into(),
            lines: lines.into(),
            ..Self::new(bytes, executable)
        }
    }

    /// All bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether its owner can execute it.
    #[must_use]
    pub fn executable(&self) -> bool {
        self.executable
    }

    /// Hash and mode.
    #[must_use]
    pub fn state(&self) -> FileState {
        FileState {
            digest: self.digest(),
            executable: self.executable,
        }
    }

    /// The hash of the bytes; computed at the first call.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Digest::of(&self.bytes))
    }

    /// What the bytes are taken for; found out at the first call.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        *self.encoding.get_or_init(|| detect_encoding(&self.bytes))
    }

    /// The bytes as lines; they are counted once, at the first need.
    #[must_use]
    pub fn text(&self) -> Text<'_> {
        Text::sharing(&self.bytes, &self.lines)
    }

    /// The newlines, where they have been counted.
    #[must_use]
    pub fn line_index(&self) -> Option<&LineIndex> {
        self.lines.get()
    }
}

/// What stands at a path.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Nothing.
    Absent,
    /// A regular file.
    File(Arc<Source>),
    /// Something that no operation may touch, with the reason.
    Refused(Box<Refusal>),
}

/// What stands at each path that a batch names.
///
/// ```
/// use patchcore::{RelPath, Tree};
/// let tree = Tree::new().with_file(RelPath::new("a.txt")?, "one\ntwo\n");
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tree {
    entries: BTreeMap<RelPath, Entry>,
}

impl Tree {
    /// A tree of which nothing is loaded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file that is not executable.
    #[must_use]
    pub fn with_file(mut self, path: RelPath, bytes: impl Into<Vec<u8>>) -> Self {
        self.insert(
            path,
            Entry::File(Arc::new(Source::new(bytes.into(), false))),
        );
        self
    }

    /// Says what stands at a path.
    pub fn insert(&mut self, path: RelPath, entry: Entry) {
        self.entries.insert(path, entry);
    }

    /// What stands at a path; a path that was not loaded is [`Entry::Absent`].
    #[must_use]
    pub fn get(&self, path: &RelPath) -> &Entry {
        self.entries.get(path).unwrap_or(&Entry::Absent)
    }

    /// The file at a path, if a regular file stands there.
    #[must_use]
    pub fn file(&self, path: &RelPath) -> Option<&Arc<Source>> {
        match self.get(path) {
            Entry::File(source) => Some(source),
            _ => None,
        }
    }

    /// All paths that were loaded, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&RelPath, &Entry)> {
        self.entries.iter()
    }
}

impl FromIterator<(RelPath, Entry)> for Tree {
    fn from_iter<I: IntoIterator<Item = (RelPath, Entry)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
        }
    }
}
