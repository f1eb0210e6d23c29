//! An open file: reading, writing, and what it is beside its bytes.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FlockOperation, Gid, Mode, Uid};
use rustix::io::Errno;

use super::meta::{Meta, stat};
use crate::workspace::fault;

/// An open file.
#[derive(Debug)]
pub(crate) struct File(pub(super) OwnedFd);

impl File {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(crate) fn stat(&self) -> io::Result<Meta> {
        fault::step("stat")?;
        stat(&self.0, b"", AtFlags::EMPTY_PATH)
    }

    /// Reads to the end; `size` is what to expect, `limit` where to stop (`None` past it).
    pub(crate) fn read(&self, size: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
        fault::step("read")?;
        if size > limit {
            return Ok(None);
        }
        // One byte more than expected, so that the end shows without another call.
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(usize::MAX) + 1);
        loop {
            let room = bytes.capacity() - bytes.len();
            let spare = rustix::buffer::spare_capacity(&mut bytes);
            match rustix::io::read(&self.0, spare) {
                Ok(0) => return Ok(Some(bytes)),
                Ok(count) if count < room && bytes.len() as u64 == size => return Ok(Some(bytes)),
                Ok(_) if bytes.len() as u64 > limit => return Ok(None),
                Ok(_) if bytes.len() == bytes.capacity() => bytes.reserve(64 << 10),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads from the start into what room there is behind the bytes, and tells how much that was.
    /// What is read by other means is as if this had not been.
    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        fault::step("read")?;
        loop {
            let spare = rustix::buffer::spare_capacity(bytes);
            match rustix::io::pread(&self.0, spare, 0) {
                Err(Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
    }

    /// Reads what stands at an offset; fewer bytes than there is room for at the end alone.
    pub(crate) fn read_at(&self, room: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < room.len() {
            match rustix::io::pread(&self.0, &mut room[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(filled)
    }

    /// Writes all of the pieces.
    pub(crate) fn write_chunks<'a>(
        &self,
        chunks: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        const PIECES: usize = 64;
        let mut pieces = [IoSlice::new(&[]); PIECES];
        let mut filled = 0;
        for chunk in chunks {
            pieces[filled] = IoSlice::new(chunk);
            filled += 1;
            if filled == PIECES {
                self.write_pieces(&mut pieces)?;
                filled = 0;
            }
        }
        self.write_pieces(&mut pieces[..filled])
    }

    fn write_pieces(&self, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
        while !pieces.is_empty() {
            fault::step("write")?;
            let written = match fault::torn(pieces) {
                Some(start) => rustix::io::write(&self.0, start),
                None if pieces.len() == 1 => rustix::io::write(&self.0, &pieces[0]),
                None => rustix::io::writev(&self.0, pieces),
            };
            match written {
                Ok(0) if pieces.iter().any(|piece| !piece.is_empty()) => {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(count) => IoSlice::advance_slices(&mut pieces, count),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    pub(crate) fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        fault::step("chown")?;
        Ok(rustix::fs::fchown(
            &self.0,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
        )?)
    }

    pub(crate) fn set_mode(&self, mode: u32) -> io::Result<()> {
        fault::step("chmod")?;
        Ok(rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode))?)
    }

    /// The extended attributes; none where the file system has none.
    pub(crate) fn attributes(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        fault::step("listxattr")?;
        let mut names = [0_u8; 1024];
        let length = match rustix::fs::flistxattr(&self.0, &mut names[..]) {
            Ok(0) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
            Err(Errno::RANGE) => return self.many_attributes(),
            result => result?,
        };
        self.read_attributes(&names[..length])
    }

    fn many_attributes(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        // The kernel's own bound.
        let mut names = vec![0; 64 << 10];
        let length = rustix::fs::flistxattr(&self.0, &mut names[..])?;
        self.read_attributes(&names[..length])
    }

    fn read_attributes(&self, names: &[u8]) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let mut attributes = Vec::new();
        for name in names.split(|&byte| byte == 0) {
            if name.is_empty() {
                continue;
            }
            let mut value = vec![0; 64 << 10];
            match rustix::fs::fgetxattr(&self.0, name, &mut value[..]) {
                Ok(length) => value.truncate(length),
                Err(Errno::NODATA) => continue,
                Err(error) => return Err(error.into()),
            }
            attributes.push((name.to_vec(), value));
        }
        Ok(attributes)
    }

    pub(crate) fn set_attribute(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        fault::step("setxattr")?;
        let flags = rustix::fs::XattrFlags::empty();
        Ok(rustix::fs::fsetxattr(&self.0, name, value, flags)?)
    }

    /// Waits until the file has reached the disk. A failure is final: see [`Dir::sync`].
    pub(crate) fn sync(&self) -> io::Result<()> {
        fault::step("fsync")?;
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Begins writing the file to the disk, without waiting.
    #[cfg(target_os = "linux")]
    pub(crate) fn start_write_back(&self) {
        const PAGE: u64 = 4096;
        const SMALL: u64 = 16 * PAGE;
        // The kernel starts to write what it is told not to need. It is a hint, so nothing fails.
        let hint = |start, len| {
            let len = std::num::NonZeroU64::new(len);
            let _ = rustix::fs::fadvise(&self.0, start, len, rustix::fs::Advice::DontNeed);
        };
        match rustix::fs::fstat(&self.0).map(|stat| u64::try_from(stat.st_size).unwrap_or(0)) {
            // A whole page that is not needed is also dropped from the cache, which waits for every
            // processor; for a part of one the writing is all that happens.
            Ok(size) if size <= SMALL => {
                (0..size.div_ceil(PAGE)).for_each(|page| hint(page * PAGE, 1));
            }
            _ => hint(0, 0),
        }
    }

    /// There is no such hint.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn start_write_back(&self) {}

    /// Writes behind the end, wherever that is by now.
    pub(crate) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        fault::step("write")?;
        rustix::fs::fcntl_setfl(&self.0, rustix::fs::OFlags::APPEND)?;
        match rustix::io::write(&self.0, bytes)? {
            count if count == bytes.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    /// Takes all bytes away.
    pub(crate) fn truncate(&self) -> io::Result<()> {
        fault::step("truncate")?;
        Ok(rustix::fs::ftruncate(&self.0, 0)?)
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        fault::step("flock")?;
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
