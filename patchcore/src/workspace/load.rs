//! Reading what a batch names: each file by one open, one stat and one read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::disk::{Kind, Meta};
use super::fault;
use super::large;
use super::root::{self, Root};
use crate::error::{Code, Error, Refusal};
use crate::path::RelPath;
use crate::plan::{Entry, Source, Tree};

/// Longest file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 30;
/// From this many files on, threads share the work.
pub(super) const PARALLEL: usize = 16;
/// More threads than this only wait for the directory locks of one another.
const MAX_THREADS: usize = 8;

/// Files as they were read, with what is needed to write them again.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) tree: Tree,
    /// By path.
    found: Vec<(RelPath, Found)>,
    /// When reading began, in seconds and nanoseconds: a file that changed after it, or shortly
    /// before it, may hide a change behind an equal time.
    pub(super) began: [i64; 2],
}

/// What a regular file is beside its bytes.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) meta: Meta,
    /// Extended attributes, by name.
    pub(super) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// For a large file, when reading it began.
    began: Option<[i64; 2]>,
}

impl Loaded {
    /// The file at a path, if a regular file was read there.
    pub(super) fn found(&self, path: &RelPath) -> Option<&Found> {
        let index = self.found.binary_search_by(|(known, _)| known.cmp(path));
        index.ok().map(|index| &self.found[index].1)
    }
}

/// Reads the files at these paths.
pub(super) fn load(root: &Root, paths: &[RelPath]) -> Result<Loaded, Error> {
    let began = now();
    let mut read: Vec<(RelPath, Entry, Option<Found>)> = if paths.len() < PARALLEL {
        let read = paths.iter().map(|path| read_one(root, path));
        read.collect::<Result<_, _>>()?
    } else {
        let parts = in_parallel(paths.len(), |index| {
            let read = read_one(root, &paths[index])?;
            if let (_, Entry::File(source), _) = &read {
                // The hash is wanted of nearly every file, and here it costs half.
                let _ = source.digest();
            }
            Ok(read)
        });
        parts?
    };
    read.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    let mut found = Vec::with_capacity(read.len());
    let tree = read
        .into_iter()
        .map(|(path, entry, file)| {
            found.extend(file.map(|file| (path.clone(), file)));
            (path, entry)
        })
        .collect();
    // Where every file was read later than the first moment, that later moment tells more.
    let later = found.iter().map(|(_, file): &(_, Found)| file.began).min();
    Ok(Loaded {
        tree,
        found,
        began: later.flatten().unwrap_or(began),
    })
}

/// Runs `work` for each index below `count`, on a few threads; the first error wins.
///
/// The results come in no order.
pub(super) fn in_parallel<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T, Error> + Sync,
) -> Result<Vec<T>, Error> {
    const GRAIN: usize = 8;
    let next = AtomicUsize::new(0);
    let run = || {
        let mut done = Vec::with_capacity(count / 2 + GRAIN);
        loop {
            let from = next.fetch_add(GRAIN, Ordering::Relaxed);
            if from >= count {
                return Ok(done);
            }
            for index in from..count.min(from + GRAIN) {
                match work(index) {
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
            .map(|_| {
                scope.spawn(|| {
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
pub(super) fn now() -> [i64; 2] {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    [
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        since.subsec_nanos().into(),
    ]
}

type Read = (RelPath, Entry, Option<Found>);

fn read_one(root: &Root, path: &RelPath) -> Result<Read, Error> {
    let refused = |refusal: Refusal| (path.clone(), Entry::Refused(Box::new(refusal)), None);
    let io = |error| Error::io("read", root.path.join(path.as_path()), error);
    let file = match root.file(path) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok((path.clone(), Entry::Absent, None)),
        Err(error) => {
            return match root::refusal(path, &error) {
                Some(refusal) => Ok(refused(refusal)),
                None => Err(io(error)),
            };
        }
    };
    let mut meta = file.stat().map_err(io)?;
    if let Some(refusal) = not_a_file(path, meta.kind) {
        return Ok(refused(refusal));
    }
    let began = large::settle(&file, &mut meta).map_err(io)?;
    let executable = meta.mode & 0o100 != 0;
    let source = match large::read(&file, meta.size, executable).map_err(io)? {
        Some(source) => Some(source),
        None => {
            let bytes = file.read(meta.size, MAX_FILE).map_err(io)?;
            bytes.map(|bytes| Source::new(bytes, executable))
        }
    };
    let Some(source) = source else {
        return Ok(refused(
            Refusal::new(
                Code::LimitExceeded,
                format!("{path} is longer than 1 GiB, the limit for a file"),
            )
            .in_file(path),
        ));
    };
    let attributes = file.attributes().map_err(io)?;
    let found = Found {
        meta,
        attributes,
        began,
    };
    Ok((path.clone(), Entry::File(Arc::new(source)), Some(found)))
}

fn not_a_file(path: &RelPath, kind: Kind) -> Option<Refusal> {
    let what = match kind {
        Kind::File => return None,
        Kind::Directory => "a directory",
        Kind::Fifo => "a FIFO",
        Kind::Socket => "a socket",
        Kind::Device => "a device",
        // Never opened, but never followed either.
        Kind::Symlink => "a symbolic link",
    };
    let message = format!("{path} is {what}, not a regular file");
    Some(Refusal::new(Code::NotAFile, message).in_file(path))
}
