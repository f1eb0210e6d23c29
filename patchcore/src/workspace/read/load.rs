//! Reading what a batch names: each file by one open, one stat and one read.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::digest::Digest;
use crate::error::{Code, Error, Refusal};
use crate::path::RelPath;
use crate::plan::{Entry, Holds, Other, Source, Standing, Tree};
use crate::threads;
use crate::workspace::disk::{File, FileKind, Meta};
use crate::workspace::fault;
use crate::workspace::read::large;
use crate::workspace::read::shelf::{Closed, Extent, ReadArena};
use crate::workspace::root::{self, Root};

/// Longest file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 30;
/// From this many files on, threads share the work.
pub(crate) const PARALLEL: usize = 16;
/// Files that a thread takes at a time.
pub(crate) const GRAIN: usize = 8;
/// More threads than this only wait for the directory locks of one another.
const MAX_THREADS: usize = 8;

/// Files as they were read, with what is needed to write them again.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) tree: Tree,
    /// By path.
    found: Vec<(RelPath, FileInfo)>,
    /// Where the last one that was asked for stands: they are mostly asked for in order.
    last: AtomicUsize,
    /// When reading began, in seconds and nanoseconds: a file that changed after it, or shortly
    /// before it, may hide a change behind an equal time.
    pub(crate) began: [i64; 2],
}

/// What a regular file or a symbolic link is beside its bytes.
#[derive(Debug, Clone)]
pub(crate) struct FileInfo {
    pub(crate) meta: Meta,
    /// Extended attributes, by name.
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// For a large file, when reading it began.
    began: Option<[i64; 2]>,
}

impl FileInfo {
    /// What a file that was read is beside its bytes.
    fn of(file: &File, meta: Meta, began: Option<[i64; 2]>) -> io::Result<Self> {
        Ok(Self {
            meta,
            attributes: file.attributes()?,
            began,
        })
    }

    fn is_executable(&self) -> bool {
        self.meta.mode & 0o100 != 0
    }
}

impl Loaded {
    /// The file at a path, if a regular file or a link was read there.
    pub(crate) fn found(&self, path: &RelPath) -> Option<&FileInfo> {
        let last = self.last.load(Ordering::Relaxed);
        let is_at = |index: &usize| matches!(self.found.get(*index), Some((at, _)) if at == path);
        let index = match [last, last + 1].into_iter().find(is_at) {
            Some(index) => index,
            None => (self.found.binary_search_by(|(known, _)| known.cmp(path))).ok()?,
        };
        self.last.store(index, Ordering::Relaxed);
        Some(&self.found[index].1)
    }
}

/// Reads the files at these paths.
pub(crate) fn load(root: &Root, paths: &[RelPath]) -> Result<Loaded, Error> {
    load_beside(root, paths, &BTreeSet::new())
}

/// Reads the files at these paths, where some directories may go although nothing is in them: what
/// is taken back made them.
pub(crate) fn load_beside(
    root: &Root,
    paths: &[RelPath],
    made: &BTreeSet<RelPath>,
) -> Result<Loaded, Error> {
    let began = now();
    let mut read: Vec<Read> = if paths.len() < PARALLEL {
        let shelf = Closed::default();
        let look = |path| look_at(root, path, None).map(|looked| looked.taken_from(&shelf));
        paths.iter().map(look).collect::<Result<_, _>>()?
    } else {
        in_parallel_with(
            paths.len(),
            GRAIN,
            ReadArena::default,
            |shelf, index| look_at(root, &paths[index], Some(shelf)),
            |shelf, looked| {
                let shelf = shelf.close();
                let taken = looked.into_iter().map(|looked| looked.taken_from(&shelf));
                taken.collect()
            },
        )?
    };
    read.sort_by(|a, b| a.path.cmp(&b.path));
    let mut found = Vec::with_capacity(read.len());
    let mut others = Vec::new();
    let mut tree: Tree = read
        .into_iter()
        .map(|read| {
            found.extend(read.found.map(|file| (read.path.clone(), file)));
            others.extend(read.other.map(|other| (read.path.clone(), other)));
            (read.path, read.entry)
        })
        .collect();
    let mut directories = Vec::new();
    for (path, other) in others {
        if matches!(other, Other::Directory(_)) {
            directories.push(path.clone());
        }
        tree.note(path, other);
    }
    for path in directories {
        let io = |error| Error::io("list", root.path.join(path.as_path()), error);
        let may_go = tree.below(&path).next().is_some() || made.contains(&path);
        if may_go && holds_loaded(root, &path, &tree, made).map_err(io)? {
            tree.note(path, Other::Directory(Holds::Loaded));
        }
    }
    // Where every file was read later than the first moment, that later moment tells more.
    let later = found
        .iter()
        .map(|(_, file): &(_, FileInfo)| file.began)
        .min();
    Ok(Loaded {
        tree,
        found,
        last: AtomicUsize::new(0),
        began: later.flatten().unwrap_or(began),
    })
}

/// Runs `work` for each index below `count`, on a few threads, each of which takes `grain` in a
/// row; the first error wins.
///
/// The results come in no order.
pub(crate) fn in_parallel<T: Send, E: Send>(
    count: usize,
    grain: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let nothing = || ();
    in_parallel_with(
        count,
        grain,
        nothing,
        |(), index| work(index),
        |(), all| all,
    )
}

/// As [`in_parallel`], with something that each thread makes for itself, and that has a part in
/// what its results come to.
fn in_parallel_with<S, T, U: Send, E: Send>(
    count: usize,
    grain: usize,
    start: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<T, E> + Sync,
    end: impl Fn(S, Vec<T>) -> Vec<U> + Sync,
) -> Result<Vec<U>, E> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut own = start();
        let mut done = Vec::with_capacity(count / 2 + grain);
        loop {
            let from = next.fetch_add(grain, Ordering::Relaxed);
            if from >= count {
                return Ok(end(own, done));
            }
            for index in from..count.min(from + grain) {
                match work(&mut own, index) {
                    Ok(value) => done.push(value),
                    Err(error) => {
                        next.store(count, Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let inherit = fault::inherit();
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.clamp(2, MAX_THREADS))
            .map_while(|_| {
                threads::spawn(scope, || {
                    inherit();
                    run()
                })
            })
            .collect();
        let mut all = run()?;
        for other in others {
            match other.join() {
                Ok(part) => all.extend(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

/// This moment, in seconds and nanoseconds.
pub(crate) fn now() -> [i64; 2] {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    [
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        since.subsec_nanos().into(),
    ]
}

/// What was read at a path.
struct Read {
    path: RelPath,
    entry: Entry,
    found: Option<FileInfo>,
    other: Option<Other>,
}

/// What was read, while the shelf that its bytes may lie on is in use.
enum Looked {
    Read(Read),
    Shelved {
        path: RelPath,
        found: FileInfo,
        place: Extent,
        digest: Digest,
    },
}

impl Looked {
    fn taken_from(self, shelf: &Closed) -> Read {
        let (path, found, place, digest) = match self {
            Self::Read(read) => return read,
            Self::Shelved {
                path,
                found,
                place,
                digest,
            } => (path, found, place, digest),
        };
        let (block, range) = shelf.take(place);
        let source = Source::among(block, range, found.is_executable(), digest);
        Read {
            path,
            entry: Entry::File(Arc::new(source)),
            found: Some(found),
            other: None,
        }
    }
}

fn look_at(root: &Root, path: &RelPath, shelf: Option<&mut ReadArena>) -> Result<Looked, Error> {
    let read = |entry, found, other| {
        Ok(Looked::Read(Read {
            path: path.clone(),
            entry,
            found,
            other,
        }))
    };
    let refused = |refusal: Refusal| Entry::Refused(Box::new(refusal));
    let io = |error| Error::io("read", root.path.join(path.as_path()), error);
    let file = match root.file(path) {
        Ok(Some(file)) => file,
        Ok(None) => return read(Entry::Absent, None, None),
        Err(error) => {
            let Some(refusal) = root::refusal(path, &error) else {
                return Err(io(error));
            };
            let (found, link) = read_link(root, path).map_err(io)?.unzip();
            return read(refused(refusal), found, link);
        }
    };
    let mut meta = file.stat().map_err(io)?;
    if let Some(refusal) = not_a_file(path, meta.kind) {
        // What it holds is looked at when all else is loaded.
        let directory =
            (meta.kind == FileKind::Directory).then_some(Other::Directory(Holds::Others));
        return read(refused(refusal), None, directory);
    }
    let began = large::settle(&file, &mut meta).map_err(io)?;
    let is_shared = shelf.is_some();
    if let Some(shelf) = shelf
        && let Some(place) = shelf.read(&file, meta.size).map_err(io)?
    {
        // The hash is wanted of nearly every file, and here it costs half.
        let digest = Digest::of(shelf.bytes(&place));
        return Ok(Looked::Shelved {
            path: path.clone(),
            found: FileInfo::of(&file, meta, began).map_err(io)?,
            place,
            digest,
        });
    }
    let found = FileInfo::of(&file, meta, began).map_err(io)?;
    let executable = found.is_executable();
    let source = read_whole(&file, meta.size, executable).map_err(io)?;
    let Some(source) = source else {
        let refusal = Refusal::new(
            Code::LimitExceeded,
            format!("{path} is longer than 1 GiB, the limit for a file"),
        );
        return read(refused(refusal.in_file(path)), None, None);
    };
    if is_shared {
        let _ = source.digest();
    }
    read(Entry::File(Arc::new(source)), Some(found), None)
}

/// Reads a file; `None` for one that is longer than [`MAX_FILE`].
fn read_whole(file: &File, size: u64, executable: bool) -> io::Result<Option<Source>> {
    if let Some(source) = large::read(file, size, executable)? {
        return Ok(Some(source));
    }
    let bytes = file.read(size, MAX_FILE)?;
    Ok(bytes.map(|bytes| Source::new(bytes, executable)))
}

/// Whether a directory holds nothing but files and links of the tree, at any depth.
fn holds_loaded(
    root: &Root,
    path: &RelPath,
    tree: &Tree,
    made: &BTreeSet<RelPath>,
) -> io::Result<bool> {
    let dir = root.directory(Some(path))?;
    let names = dir.names()?;
    // One that is empty was so before, and is not the batch's to remove; but what was made with it.
    if names.is_empty() {
        return Ok(made.contains(path));
    }
    for name in names {
        let child = [path.as_bytes(), b"/", &name].concat();
        let Ok(child) = RelPath::new(child) else {
            return Ok(false);
        };
        if tree.standing(&child).is_some() {
            continue;
        }
        let is_directory = dir
            .stat(&name)?
            .is_some_and(|meta| meta.kind == FileKind::Directory);
        if !is_directory || !holds_loaded(root, &child, tree, made)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The symbolic link at a path; `None` where there is none, or it lies behind one itself.
fn read_link(root: &Root, path: &RelPath) -> io::Result<Option<(FileInfo, Other)>> {
    let Ok(parent) = root.directory(path.parent().as_ref()) else {
        return Ok(None);
    };
    let name = path.file_name();
    let Some(meta) = parent.stat(name)? else {
        return Ok(None);
    };
    if meta.kind != FileKind::Symlink {
        return Ok(None);
    }
    let found = FileInfo {
        meta,
        attributes: Vec::new(),
        began: None,
    };
    let target = parent.read_link(name)?;
    Ok(target.map(|target| (found, Other::Link(Arc::new(Source::link(target))))))
}

/// What stands at a path.
pub(crate) fn standing_at(root: &Root, path: &RelPath) -> Result<Standing, Error> {
    let io = |error| Error::io("read", root.path.join(path.as_path()), error);
    let parent = match root.directory(path.parent().as_ref()) {
        Ok(parent) => parent,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Standing::Nothing),
        Err(error) if root::is_no_directory(&error) => return Ok(Standing::Nothing),
        Err(error) => return Err(io(error)),
    };
    Ok(match parent.stat(path.file_name()).map_err(io)? {
        None => Standing::Nothing,
        Some(meta) if meta.kind == FileKind::Symlink => {
            let target = parent.read_link(path.file_name()).map_err(io)?;
            target.map_or(Standing::Nothing, Standing::Link)
        }
        Some(_) => Standing::Other,
    })
}

fn not_a_file(path: &RelPath, kind: FileKind) -> Option<Refusal> {
    let what = match kind {
        FileKind::File => return None,
        FileKind::Directory => "a directory",
        FileKind::Fifo => "a FIFO",
        FileKind::Socket => "a socket",
        FileKind::Device => "a device",
        // Never opened, but never followed either.
        FileKind::Symlink => "a symbolic link",
    };
    let message = format!("{path} is {what}, not a regular file");
    Some(Refusal::new(Code::NotAFile, message).in_file(path))
}
