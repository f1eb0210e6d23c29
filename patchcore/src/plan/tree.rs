//! The loaded part of a tree: what planning sees of the disk, or of an embedder's memory.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::Deref;
#[cfg(feature = "workspace")]
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::FileState;
use crate::digest::Digest;
use crate::error::Refusal;
use crate::operation::TextEdit;
use crate::path::RelPath;
use crate::text::{Encoding, LineIndex, Text, detect_encoding};

/// A file's bytes and the part of its mode that patches speak of. The bytes of a symbolic link are
/// its target.
#[derive(Debug)]
pub struct Source {
    bytes: Bytes,
    executable: bool,
    link: bool,
    digest: OnceLock<Digest>,
    encoding: OnceLock<Encoding>,
    lines: OnceLock<LineIndex>,
}

impl Source {
    /// A file as it is before the batch.
    #[must_use]
    pub fn new(bytes: Vec<u8>, executable: bool) -> Self {
        Self::of(Bytes::Own(bytes), executable)
    }

    fn of(bytes: Bytes, executable: bool) -> Self {
        Self {
            bytes,
            executable,
            link: false,
            digest: OnceLock::new(),
            encoding: OnceLock::new(),
            lines: OnceLock::new(),
        }
    }

    /// A symbolic link as it is before the batch, by its target.
    #[must_use]
    pub fn link(target: Vec<u8>) -> Self {
        Self {
            link: true,
            ..Self::new(target, false)
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

    /// A file among others in a block, with its hash. The block stays as long as any of them.
    #[cfg(feature = "workspace")]
    pub(crate) fn among(
        block: Arc<Vec<u8>>,
        range: Range<usize>,
        executable: bool,
        digest: Digest,
    ) -> Self {
        Self {
            digest: digest.into(),
            ..Self::of(Bytes::Among(block, range), executable)
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

    /// Whether it is a symbolic link.
    #[must_use]
    pub fn is_link(&self) -> bool {
        self.link
    }

    /// Hash, mode and kind.
    #[must_use]
    pub fn state(&self) -> FileState {
        FileState {
            digest: self.digest(),
            executable: self.executable,
            link: self.link,
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

#[derive(Debug)]
enum Bytes {
    Own(Vec<u8>),
    #[cfg(feature = "workspace")]
    Among(Arc<Vec<u8>>, Range<usize>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            #[cfg(feature = "workspace")]
            Self::Among(block, range) => &block[range.clone()],
        }
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

/// What no ordinary operation may touch, known well enough for those that change types.
#[derive(Debug, Clone)]
pub(crate) enum Other {
    Link(Arc<Source>),
    Directory(Holds),
}

/// What a directory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Nothing but files and links of the tree.
    Loaded,
    /// More than that.
    Others,
}

/// What keeps a file from standing at a path, and would not if something went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle<'a> {
    /// A directory stands there.
    Directory(Holds),
    /// This path above it is a file or a link.
    File(&'a RelPath),
}

/// What stands at each path that a batch names.
///
/// Links and directories are [`Entry::Refused`] to all that does not ask for them by name.
///
/// ```
/// use patchcore::{RelPath, Tree};
/// let tree = Tree::new().with_file(RelPath::new("a.txt")?, "one\ntwo\n");
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tree {
    entries: BTreeMap<RelPath, Entry>,
    others: BTreeMap<RelPath, Other>,
    /// Edits that the log shows.
    landed: HashSet<(RelPath, TextEdit)>,
    /// Deletions and renames that the log shows, with the new path.
    gone: HashSet<(RelPath, Option<RelPath>)>,
    /// Older states of files, the newest first.
    bases: BTreeMap<RelPath, Vec<Arc<Source>>>,
    /// Files that are called otherwise by now.
    moved: BTreeMap<RelPath, (RelPath, Arc<Source>)>,
}

impl Tree {
    /// A tree of which nothing is loaded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of paths of which it is known what stands there.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
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
        self.others.remove(&path);
        self.entries.insert(path, entry);
    }

    /// Says that a symbolic link with this target stands at a path, which operations that do not
    /// mean the link itself are refused for this reason.
    pub fn insert_link(&mut self, path: RelPath, target: Vec<u8>, refusal: Refusal) {
        self.insert(path.clone(), Entry::Refused(Box::new(refusal)));
        self.note(path, Other::Link(Arc::new(Source::link(target))));
    }

    /// Says that a directory stands at a path, which operations that leave it there are refused
    /// for this reason. A file can take its place where all that it holds goes.
    pub fn insert_directory(&mut self, path: RelPath, holds: Holds, refusal: Refusal) {
        self.insert(path.clone(), Entry::Refused(Box::new(refusal)));
        self.note(path, Other::Directory(holds));
    }

    /// Notes an edit by text that the log shows: what it left need not be done again.
    pub fn add_landed(&mut self, path: RelPath, edit: TextEdit) {
        self.landed.insert((path, edit));
    }

    /// Whether the log shows an edit by text, as far as it was asked.
    #[must_use]
    pub fn has_landed(&self, path: &RelPath, edit: &TextEdit) -> bool {
        !self.landed.is_empty() && self.landed.contains(&(path.clone(), edit.clone()))
    }

    /// Notes that the log shows how the file at a path went: it was renamed to another, or deleted.
    pub fn add_gone(&mut self, path: RelPath, to: Option<RelPath>) {
        self.gone.insert((path, to));
    }

    /// Whether the log shows that the file at a path was renamed to another, or, without one, that it
    /// was deleted, as far as it was asked.
    #[must_use]
    pub fn has_gone(&self, path: &RelPath, to: Option<&RelPath>) -> bool {
        !self.gone.is_empty() && self.gone.contains(&(path.clone(), to.cloned()))
    }

    /// Adds an older state of a file: what operations were made for that name its hash, or in
    /// which nothing is wrong with them. The newest is added first.
    pub fn add_base(&mut self, path: RelPath, base: Arc<Source>) {
        let known = self.bases.entry(path).or_default();
        if !known.iter().any(|other| other.digest() == base.digest()) {
            known.push(base);
        }
    }

    /// Says that the file that stood at a path is now at another, with these bytes.
    pub fn add_moved(&mut self, from: RelPath, to: RelPath, source: Arc<Source>) {
        self.moved.insert(from, (to, source));
    }

    /// Whether anything is known of older states.
    pub(crate) fn has_bases(&self) -> bool {
        !self.bases.is_empty()
    }

    /// The older state of a file that has this hash.
    pub(crate) fn base(&self, path: &RelPath, digest: Digest) -> Option<&Arc<Source>> {
        self.bases(path).find(|base| base.digest() == digest)
    }

    /// The older states of a file, the newest first.
    pub(crate) fn bases(&self, path: &RelPath) -> impl Iterator<Item = &Arc<Source>> {
        self.bases.get(path).into_iter().flatten()
    }

    /// What became of the file that stood at a path where none is now.
    pub(crate) fn moved_to(&self, path: &RelPath) -> Option<(&RelPath, &Arc<Source>)> {
        self.moved.get(path).map(|(to, source)| (to, source))
    }

    /// Says what it is that is refused at a path.
    pub(crate) fn note(&mut self, path: RelPath, other: Other) {
        self.others.insert(path, other);
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

    /// The symbolic link at a path, if one stands there.
    #[must_use]
    pub fn link(&self, path: &RelPath) -> Option<&Arc<Source>> {
        match self.others.get(path) {
            Some(Other::Link(link)) => Some(link),
            _ => None,
        }
    }

    /// The regular file or symbolic link at a path.
    pub(crate) fn standing(&self, path: &RelPath) -> Option<&Arc<Source>> {
        self.file(path).or_else(|| self.link(path))
    }

    /// The files and links below a directory.
    pub(crate) fn below<'t>(&'t self, directory: &'t RelPath) -> impl Iterator<Item = &'t RelPath> {
        let behind = self
            .entries
            .range::<RelPath, _>((Excluded(directory), Unbounded));
        let near = behind.take_while(|(path, _)| path.as_bytes().starts_with(directory.as_bytes()));
        let below = near.filter(|(path, _)| path.lies_below(directory));
        below.filter_map(|(path, _)| self.standing(path).map(|_| path))
    }

    /// What is in the way of a file at a path where none stands, if that is a directory, or a file
    /// or link further up.
    pub(crate) fn obstacle(&self, path: &RelPath) -> Option<Obstacle<'_>> {
        match self.others.get(path) {
            Some(Other::Link(_)) => return None,
            Some(Other::Directory(holds)) => return Some(Obstacle::Directory(*holds)),
            None => {}
        }
        if !matches!(self.get(path), Entry::Refused(_)) {
            return None;
        }
        let mut above = path.parent();
        while let Some(directory) = above {
            if let Some((known, entry)) = self.entries.get_key_value(&directory)
                && (matches!(entry, Entry::File(_)) || self.link(known).is_some())
            {
                return Some(Obstacle::File(known));
            }
            above = directory.parent();
        }
        None
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
            ..Self::default()
        }
    }
}
