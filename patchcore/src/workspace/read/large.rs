//! Reading large files: by two threads, and looking at each piece while it is near.
//!
//! Fresh memory costs more than the copy into it, and both are shared out here. What planning
//! wants to know of all bytes, newlines and NUL, is found without a second way through memory.

use std::io;
use std::sync::Mutex;

use crate::plan::Source;
use crate::text::{Encoding, LineIndex, detect_encoding};
use crate::threads;
use crate::workspace::disk::TICK;
use crate::workspace::disk::{File, FileKind, Meta};
use crate::workspace::fault;
use crate::workspace::read::load::{MAX_FILE, now};

/// From this size on, in bytes, the second thread is worth its start.
const LARGE: u64 = 4 << 20;
/// Bytes read at once; newlines are counted in whole parts of it.
const PIECE: usize = 256 * LineIndex::PIECE;
/// More threads than this only wait for memory.
const THREADS: usize = 4;

/// Reads a large file; `None` for one that is not, or whose size is not what it was said to be.
pub(crate) fn read(file: &File, size: u64, executable: bool) -> io::Result<Option<Source>> {
    let (Ok(len), true) = (usize::try_from(size), (LARGE..=MAX_FILE).contains(&size)) else {
        return Ok(None);
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if threads < 2 {
        return Ok(None);
    }
    fault::step("read")?;
    let mut bytes = vec![0; len];
    let pieces = Mutex::new(bytes.chunks_mut(PIECE).enumerate());
    let work = || -> io::Result<Option<Vec<Piece>>> {
        let mut done = Vec::with_capacity(len / PIECE / 2 + 1);
        loop {
            let next = pieces.lock().expect("no thread panics with it").next();
            let Some((index, room)) = next else {
                return Ok(Some(done));
            };
            if file.read_at(room, (index * PIECE) as u64)? < room.len() {
                return Ok(None);
            }
            done.push(Piece {
                index,
                newlines: LineIndex::counts(room).collect(),
                nul: crate::bytes::find(0, room),
            });
        }
    };
    let parts = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(THREADS))
            .map_while(|_| threads::spawn(scope, work))
            .collect();
        let mut parts = vec![work()];
        for other in others {
            match other.join() {
                Ok(part) => parts.push(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        parts
    });
    let mut all = Vec::with_capacity(len / PIECE + 1);
    for part in parts {
        match part? {
            Some(part) => all.extend(part),
            None => return Ok(None),
        }
    }
    if file.read_at(&mut [0], size)? != 0 {
        return Ok(None);
    }
    Ok(Some(joined(bytes, all, executable)))
}

/// A file of what was found out about all of its pieces.
fn joined(bytes: Vec<u8>, mut all: Vec<Piece>, executable: bool) -> Source {
    all.sort_unstable_by_key(|piece| piece.index);
    let nul = all
        .iter()
        .find_map(|piece| Some(piece.index * PIECE + piece.nul?));
    let encoding = match detect_encoding(&bytes[..4]) {
        Encoding::Wide => Encoding::Wide,
        _ => nul.map_or(Encoding::Text, Encoding::Binary),
    };
    let lines = LineIndex::from_counts(
        bytes.len(),
        all.into_iter().flat_map(|piece| piece.newlines),
    );
    Source::scanned(bytes, executable, encoding, lines)
}

/// Lets a large file that has just changed grow older than a tick of the file system's clock, and
/// tells when reading it may begin; `None` for a file that is not large.
///
/// Whatever changes it from then on shows in its times, so that its bytes need not be compared
/// again, which would cost far more than the wait.
pub(crate) fn settle(file: &File, meta: &mut Meta) -> io::Result<Option<[i64; 2]>> {
    if meta.kind != FileKind::File || meta.size < LARGE {
        return Ok(None);
    }
    let nanos =
        |[seconds, nanos]: [i64; 2]| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let age = nanos(now()) - nanos(meta.mtime.max(meta.ctime));
    let tick = i128::from(TICK);
    if (0..=tick).contains(&age) {
        let wait = u64::try_from(tick - age).unwrap_or_default() + 1_000_000;
        std::thread::sleep(std::time::Duration::from_nanos(wait));
        *meta = file.stat()?;
    }
    Ok(Some(now()))
}

/// What was seen in a piece.
struct Piece {
    index: usize,
    /// In each part of it.
    newlines: Vec<usize>,
    /// Where the first NUL stands in it.
    nul: Option<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RelPath;
    use crate::workspace::Workspace;

    /// Writes bytes to a file and loads it.
    fn loaded(bytes: &[u8]) -> std::sync::Arc<Source> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), bytes).unwrap();
        let path = RelPath::new("f").unwrap();
        let tree = Workspace::open(dir.path())
            .unwrap()
            .load(std::slice::from_ref(&path))
            .unwrap();
        tree.file(&path).unwrap().clone()
    }

    #[test]
    fn a_large_file_is_read_whole_and_its_lines_are_counted() {
        let line = b"a line of some length, and no even one\r\n";
        let mut bytes = line.repeat((LARGE as usize + 3 * PIECE) / line.len());
        bytes.extend_from_slice(b"the last");
        let source = loaded(&bytes);
        assert!(source.bytes() == bytes);
        assert_eq!(source.line_index(), Some(&LineIndex::new(&bytes)));
        assert_eq!(source.encoding(), Encoding::Text);
        bytes[LARGE as usize + 12_345] = 0;
        bytes[LARGE as usize + 2 * PIECE] = 0;
        let expected = Encoding::Binary(LARGE as usize + 12_345);
        assert_eq!(loaded(&bytes).encoding(), expected);
        bytes[..2].copy_from_slice(b"\xff\xfe");
        assert_eq!(loaded(&bytes).encoding(), Encoding::Wide);
    }
}
