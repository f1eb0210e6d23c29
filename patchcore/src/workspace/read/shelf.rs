//! Reading many small files: into blocks that they share.
//!
//! A buffer for each would have to be allocated while other threads allocate theirs, and they would
//! wait for each other, or for the kernel to hand out memory page by page.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use crate::workspace::disk::File;

/// Bytes in a block.
const BLOCK: usize = 256 << 10;
/// Longest file that shares one, in bytes.
const SMALL: u64 = BLOCK as u64 / 8;

/// The blocks of one thread.
#[derive(Debug, Default)]
pub(crate) struct ReadArena {
    full: Vec<Vec<u8>>,
    open: Vec<u8>,
}

/// Where a file's bytes lie.
#[derive(Debug)]
pub(crate) struct Extent {
    block: usize,
    range: Range<usize>,
}

impl ReadArena {
    /// Reads a file; `None` for one that is not small, or whose size is not what it was said to be.
    /// That one is then as if nothing had been read of it.
    pub(crate) fn read(&mut self, file: &File, size: u64) -> io::Result<Option<Extent>> {
        if size > SMALL {
            return Ok(None);
        }
        // Where one byte more has room, the end of the file shows.
        if (self.open.capacity() - self.open.len()) as u64 <= size {
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(BLOCK));
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        let start = self.open.len();
        if file.append_to(&mut self.open)? as u64 != size {
            self.open.truncate(start);
            return Ok(None);
        }
        Ok(Some(Extent {
            block: self.full.len(),
            range: start..self.open.len(),
        }))
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, place: &Extent) -> &[u8] {
        let block = self.full.get(place.block).unwrap_or(&self.open);
        &block[place.range.clone()]
    }

    /// No more is read: the files can go their ways.
    pub(crate) fn close(mut self) -> Closed {
        self.full.push(self.open);
        Closed(self.full.into_iter().map(Arc::new).collect())
    }
}

/// Blocks that do not change any more.
#[derive(Debug, Default)]
pub(crate) struct Closed(Vec<Arc<Vec<u8>>>);

impl Closed {
    /// The block that a file lies in, and where in it.
    pub(crate) fn take(&self, place: Extent) -> (Arc<Vec<u8>>, Range<usize>) {
        (Arc::clone(&self.0[place.block]), place.range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::disk::Dir;

    /// A new file with these bytes, to be read.
    fn file(root: &Dir, name: &str, bytes: &[u8]) -> File {
        let file = root.create(name.as_bytes(), 0o600).unwrap();
        file.write_chunks([bytes].into_iter()).unwrap();
        root.file(name.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn files_share_blocks_and_keep_their_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let root = Dir::open_root(dir.path()).unwrap();
        let sizes = [0, 1, SMALL as usize, 5000, SMALL as usize];
        let mut shelf = ReadArena::default();
        let mut read = Vec::new();
        for (index, size) in sizes.into_iter().cycle().take(40).enumerate() {
            let bytes = vec![index as u8; size];
            let name = index.to_string();
            let file = file(&root, &name, &bytes);
            let place = shelf.read(&file, size as u64).unwrap().unwrap();
            assert_eq!(shelf.bytes(&place), bytes);
            read.push((place, bytes));
        }
        let closed = shelf.close();
        assert!(closed.0.len() > 1);
        for (place, bytes) in read {
            let (block, range) = closed.take(place);
            assert_eq!(block[range], bytes);
        }
    }

    #[test]
    fn a_file_of_another_size_is_left_to_be_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let root = Dir::open_root(dir.path()).unwrap();
        let file = file(&root, "f", b"four");
        let mut shelf = ReadArena::default();
        for size in [3, 5, SMALL + 1] {
            assert!(shelf.read(&file, size).unwrap().is_none(), "{size}");
        }
        assert_eq!(file.read(4, 10).unwrap().unwrap(), b"four");
    }
}
