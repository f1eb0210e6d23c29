//! Two files or two trees that nobody has edits for, compared byte for byte.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use crate::diff::{self, DiffOptions, FileDiff, Origin, Side};
use crate::error::{Code, Error, Refusal, Stop};
use crate::threads;
use crate::workspace::MAX_FILE;

/// Files compared before their diffs are handed out.
const RUN: usize = 2048;
/// From this size on, in bytes, the two files of a pair are read at once.
const LARGE: u64 = 4 << 20;
/// Directories that are no part of a tree: git's and our own.
const LEFT_OUT: [&[u8]; 2] = [b".git", b".mission_control"];

/// The differences between two files or two trees, file by file in the order of their paths.
///
/// Every item is the diff of one file that differs. Symbolic links in a tree are compared as what
/// they are, by their targets; special files are skipped, and so are `.git` and `.mission_control`.
///
/// ```
/// use patchcore::diff::DiffOptions;
/// use patchcore::workspace::Comparison;
/// # let dir = tempfile::tempdir()?;
/// # let (old, new) = (dir.path().join("old"), dir.path().join("new"));
/// # for (tree, text) in [(&old, "one\n"), (&new, "two\n")] {
/// #     std::fs::create_dir(tree)?;
/// #     std::fs::write(tree.join("a.txt"), text)?;
/// # }
/// let comparison = Comparison::new(&old, &new, DiffOptions::default())?;
/// let diffs = comparison.collect::<Result<Vec<_>, _>>()?;
/// assert!(diffs[0].starts_with(b"diff --git a/a.txt b/a.txt\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Comparison {
    old: PathBuf,
    new: PathBuf,
    options: DiffOptions,
    pairs: std::vec::IntoIter<Pair>,
    ready: VecDeque<Vec<u8>>,
    skipped: Vec<PathBuf>,
}

/// A path below both roots, and what stands there in each of them.
#[derive(Debug)]
struct Pair {
    path: Vec<u8>,
    old: Option<EntryKind>,
    new: Option<EntryKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum EntryKind {
    File,
    Link,
}

impl Comparison {
    /// Lists what is to be compared: two directories, or two files. `/dev/null` is an absent file.
    ///
    /// In a diff of two files both sides bear the old one's path, so that it turns that file into
    /// the other.
    ///
    /// # Errors
    /// `IO` where a path cannot be looked at, `NOT_A_FILE` where one is a directory and the other
    /// is not.
    pub fn new(old: &Path, new: &Path, options: DiffOptions) -> Result<Self, Stop> {
        let mut comparison = Self {
            old: old.to_owned(),
            new: new.to_owned(),
            options,
            pairs: Vec::new().into_iter(),
            ready: VecDeque::new(),
            skipped: Vec::new(),
        };
        let is_dir = |path: &Path| match fs::metadata(path) {
            Ok(meta) => Ok(meta.is_dir()),
            Err(error) => Err(Error::io("look at", path, error)),
        };
        match (is_dir(old)?, is_dir(new)?) {
            (true, true) => {
                let mut pairs = Vec::new();
                comparison.list(&mut Vec::new(), [true, true], &mut pairs)?;
                comparison.pairs = pairs.into_iter();
            }
            (false, false) => {
                let absent = |path: &Path| path == Path::new("/dev/null");
                let named = if absent(old) { new } else { old };
                let pair = Pair {
                    path: plain_name(named),
                    old: (!absent(old)).then_some(EntryKind::File),
                    new: (!absent(new)).then_some(EntryKind::File),
                };
                let diff = compare(&pair, old, new, &comparison.options)?;
                comparison.ready.extend(diff);
            }
            (first, _) => {
                let (dir, file) = if first { (old, new) } else { (new, old) };
                return Err(Refusal::new(
                    Code::NotAFile,
                    format!(
                        "{} is a directory and {} is not; compare two files or two directories",
                        dir.display(),
                        file.display()
                    ),
                )
                .in_file(dir.display())
                .into());
            }
        }
        Ok(comparison)
    }

    /// Special files, which were not looked at.
    #[must_use]
    pub fn skipped(&self) -> &[PathBuf] {
        &self.skipped
    }

    /// Adds the files below a directory that stands in the trees that `present` tells.
    fn list(
        &mut self,
        dir: &mut Vec<u8>,
        present: [bool; 2],
        pairs: &mut Vec<Pair>,
    ) -> Result<(), Stop> {
        let mut names: Vec<(Vec<u8>, usize, EntryKind)> = Vec::new();
        for (side, root) in [&self.old, &self.new].into_iter().enumerate() {
            if present[side] {
                let path = root.join(std::ffi::OsStr::from_bytes(dir));
                read_dir(&path, side, &mut names, &mut self.skipped)?;
            }
        }
        names.sort_unstable();
        let mut names = names.into_iter().peekable();
        while let Some((name, side, kind)) = names.next() {
            let mut found = [None; 2];
            found[side] = Some(kind);
            while let Some((_, other, kind)) = names.next_if(|(next, ..)| *next == name) {
                found[other] = Some(kind);
            }
            let len = dir.len();
            dir.extend_from_slice(&name);
            if name.ends_with(b"/") {
                self.list(dir, found.map(|kind| kind.is_some()), pairs)?;
            } else {
                pairs.push(Pair {
                    path: dir.clone(),
                    old: found[0],
                    new: found[1],
                });
            }
            dir.truncate(len);
        }
        Ok(())
    }
}

impl Iterator for Comparison {
    type Item = Result<Vec<u8>, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() {
            let run: Vec<Pair> = self.pairs.by_ref().take(RUN).collect();
            if run.is_empty() {
                return None;
            }
            let diffs = threads::map(&run, |pair| {
                let path = Path::new(std::ffi::OsStr::from_bytes(&pair.path));
                compare(
                    pair,
                    &self.old.join(path),
                    &self.new.join(path),
                    &self.options,
                )
            });
            for diff in diffs {
                match diff {
                    Ok(diff) => self.ready.extend(diff),
                    Err(error) => return Some(Err(error)),
                }
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Lists one directory; the names of directories end in a slash, by which they also sort.
fn read_dir(
    path: &Path,
    side: usize,
    names: &mut Vec<(Vec<u8>, usize, EntryKind)>,
    skipped: &mut Vec<PathBuf>,
) -> Result<(), Stop> {
    let failed = |error| Error::io("list", path, error);
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let kind = entry.file_type().map_err(failed)?;
        let mut name = entry.file_name().into_vec();
        let mut is = EntryKind::File;
        if kind.is_symlink() {
            is = EntryKind::Link;
        } else if kind.is_dir() {
            if LEFT_OUT.contains(&&name[..]) {
                continue;
            }
            name.push(b'/');
        } else if !kind.is_file() {
            skipped.push(entry.path());
            continue;
        }
        names.push((name, side, is));
    }
    Ok(())
}

/// A path as a diff names it: below the current directory, or else below `/`.
fn plain_name(path: &Path) -> Vec<u8> {
    use std::path::Component;
    let mut name = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => {
                if !name.is_empty() {
                    name.push(b'/');
                }
                name.extend_from_slice(part.as_bytes());
            }
            Component::ParentDir => {
                return path.file_name().unwrap_or_default().as_bytes().to_vec();
            }
            _ => {}
        }
    }
    name
}

thread_local! {
    /// The bytes of the pair at hand; kept, since fresh memory costs more than reading into it.
    static BUFFERS: RefCell<[Vec<u8>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// The diff of one pair, where it differs.
fn compare(
    pair: &Pair,
    old: &Path,
    new: &Path,
    options: &DiffOptions,
) -> Result<Option<Vec<u8>>, Stop> {
    BUFFERS.with_borrow_mut(|[old_bytes, new_bytes]| {
        let old_file = pair.old.map(|kind| open(old, kind)).transpose()?;
        let new_file = pair.new.map(|kind| open(new, kind)).transpose()?;
        let size = |file: &Option<Opened<'_>>| file.as_ref().map_or(0, Opened::size);
        let (old_mode, new_mode) = if size(&old_file).min(size(&new_file)) >= LARGE {
            let (old, new) =
                threads::join(|| read(old_file, old_bytes), || read(new_file, new_bytes));
            (old?, new?)
        } else {
            (read(old_file, old_bytes)?, read(new_file, new_bytes)?)
        };
        let same_kind = pair.old == pair.new;
        if same_kind && old_mode == new_mode && old_bytes == new_bytes {
            return Ok(None);
        }
        let edits = diff::edits(old_bytes, new_bytes);
        let side = |mode: Option<bool>, kind| {
            mode.map(|executable| Side {
                path: &pair.path,
                executable,
                link: kind == Some(EntryKind::Link),
            })
        };
        let diff = FileDiff {
            old: side(old_mode, pair.old),
            new: side(new_mode, pair.new),
            origin: Origin::Same,
            source: old_bytes,
            edits: edits.as_slice(),
            lines: None,
        };
        let mut out = Vec::new();
        diff.write(options, &mut out)
            .map_err(|error| Error::io("show the diff of", old, error))?;
        Ok(Some(out))
    })
}

enum Opened<'a> {
    File(OpenedFile<'a>),
    Link(Vec<u8>),
}

struct OpenedFile<'a> {
    file: File,
    path: &'a Path,
    size: u64,
    executable: bool,
}

impl Opened<'_> {
    fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size,
            Self::Link(target) => target.len() as u64,
        }
    }
}

fn open(path: &Path, kind: EntryKind) -> Result<Opened<'_>, Stop> {
    let failed = |error| Error::io("read", path, error);
    if kind == EntryKind::Link {
        let target = fs::read_link(path).map_err(failed)?;
        return Ok(Opened::Link(target.into_os_string().into_vec()));
    }
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    Ok(Opened::File(OpenedFile {
        file,
        path,
        size: meta.len(),
        executable: meta.mode() & 0o100 != 0,
    }))
}

/// Reads a file into a buffer, and tells whether it can be executed; `None` where there is none.
fn read(opened: Option<Opened<'_>>, buffer: &mut Vec<u8>) -> Result<Option<bool>, Stop> {
    let opened = match opened {
        Some(Opened::File(file)) => file,
        Some(Opened::Link(target)) => {
            *buffer = target;
            return Ok(Some(false));
        }
        None => {
            buffer.clear();
            return Ok(None);
        }
    };
    let too_long = || {
        Refusal::new(
            Code::LimitExceeded,
            format!("{} is longer than {MAX_FILE} bytes", opened.path.display()),
        )
        .in_file(opened.path.display())
    };
    let expected = usize::try_from(opened.size.min(MAX_FILE)).map_err(|_| too_long())?;
    buffer.clear();
    // One byte more than there should be, so that a full read shows that there is more.
    buffer.reserve(expected + 1);
    loop {
        match rustix::io::read(&opened.file, spare_capacity(buffer)) {
            Ok(0) => break,
            // A regular file gives fewer bytes than asked for at its end alone.
            Ok(_) if expected > 0 && buffer.len() == expected => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Error::io("read", opened.path, error).into()),
        }
        if buffer.len() as u64 > MAX_FILE {
            return Err(too_long().into());
        }
        if buffer.len() == buffer.capacity() {
            buffer.reserve(buffer.len());
        }
    }
    Ok(Some(opened.executable))
}
