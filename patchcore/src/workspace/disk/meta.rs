//! What stands at a name, without a look into it.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::AtFlags;
#[cfg(target_os = "linux")]
use rustix::fs::{StatxAttributes, StatxFlags};
#[cfg(target_os = "linux")]
use rustix::io::Errno;

#[cfg(target_os = "linux")]
use crate::workspace::fault::{self, Call};

/// A file that changed so shortly before it was read, in nanoseconds, may have changed again
/// within the same tick of the file system's clock.
pub(crate) const TICK: i64 = 20_000_000;

/// What is known of a file or directory without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) kind: FileKind,
    pub(crate) ino: u64,
    /// The mount where the kernel tells, else the device.
    pub(crate) mount: u64,
    pub(crate) device: u64,
    /// Permission bits, set-id and sticky bits included.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u32,
    pub(crate) size: u64,
    /// Seconds and nanoseconds.
    pub(crate) mtime: [i64; 2],
    pub(crate) ctime: [i64; 2],
    /// When the file was made, where the file system knows.
    pub(crate) born: Option<[i64; 2]>,
    /// Neither root nor owner may change it.
    pub(crate) frozen: bool,
    /// Something is mounted right here.
    pub(crate) mount_root: bool,
}

impl Meta {
    /// When its bytes were written, in milliseconds since 1970; `None` for a time before.
    pub(crate) fn written(&self) -> Option<u64> {
        let [seconds, nanoseconds] = self.mtime.map(|part| u64::try_from(part).ok());
        seconds?
            .checked_mul(1000)?
            .checked_add(nanoseconds? / 1_000_000)
    }
}

#[cfg(test)]
impl Meta {
    /// A file of nobody's, for tests.
    pub(crate) fn sample() -> Self {
        Self {
            kind: FileKind::File,
            ino: 0,
            mount: 0,
            device: 0,
            mode: 0o600,
            uid: 0,
            gid: 0,
            links: 1,
            size: 0,
            mtime: [0; 2],
            ctime: [0; 2],
            born: None,
            frozen: false,
            mount_root: false,
        }
    }
}

impl Meta {
    /// Whether both are of one file, under whatever names.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.ino, self.device) == (other.ino, other.device)
    }
}

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    Device,
}

impl FileKind {
    fn of(mode: u32) -> Self {
        match mode & 0o170_000 {
            0o100_000 => Self::File,
            0o040_000 => Self::Directory,
            0o120_000 => Self::Symlink,
            0o010_000 => Self::Fifo,
            0o140_000 => Self::Socket,
            _ => Self::Device,
        }
    }
}

#[cfg(target_os = "linux")]
pub(super) fn stat(fd: &OwnedFd, name: &[u8], flags: AtFlags) -> io::Result<Meta> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    let answer =
        fault::refused(Call::Statx).and_then(|()| rustix::fs::statx(fd, name, flags, mask));
    let stat = match answer {
        // Sandboxes refuse what they do not know with EPERM, which the call itself never says.
        Err(Errno::NOSYS | Errno::PERM) => return plain_stat(fd, name, flags),
        result => result?,
    };
    let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
    let has_mount = stat.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    let is_born = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    let frozen = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    Ok(Meta {
        kind: FileKind::of(u32::from(stat.stx_mode)),
        ino: stat.stx_ino,
        mount: if has_mount { stat.stx_mnt_id } else { device },
        device,
        mode: u32::from(stat.stx_mode) & 0o7777,
        uid: stat.stx_uid,
        gid: stat.stx_gid,
        links: stat.stx_nlink,
        size: stat.stx_size,
        mtime: [stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into()],
        ctime: [stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec.into()],
        born: is_born.then(|| [stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec.into()]),
        frozen: stat.stx_attributes.intersects(frozen),
        mount_root: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    })
}

#[cfg(not(target_os = "linux"))]
pub(super) fn stat(fd: &OwnedFd, name: &[u8], flags: AtFlags) -> io::Result<Meta> {
    plain_stat(fd, name, flags)
}

/// The portable call: it tells neither mounts nor attributes.
fn plain_stat(fd: &OwnedFd, name: &[u8], flags: AtFlags) -> io::Result<Meta> {
    let stat = if name.is_empty() {
        rustix::fs::fstat(fd)?
    } else {
        rustix::fs::statat(fd, name, flags)?
    };
    Ok(Meta {
        kind: FileKind::of(stat.st_mode as u32),
        ino: stat.st_ino as u64,
        mount: stat.st_dev as u64,
        device: stat.st_dev as u64,
        mode: stat.st_mode as u32 & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: stat.st_nlink as u32,
        size: stat.st_size as u64,
        mtime: [stat.st_mtime as i64, stat.st_mtime_nsec as i64],
        ctime: [stat.st_ctime as i64, stat.st_ctime_nsec as i64],
        #[cfg(target_vendor = "apple")]
        born: Some([stat.st_birthtime as i64, stat.st_birthtime_nsec as i64]),
        #[cfg(not(target_vendor = "apple"))]
        born: None,
        frozen: false,
        mount_root: false,
    })
}

/// The moment before which a file system's clock can tell two changes apart.
pub(crate) fn earlier([seconds, nanos]: [i64; 2]) -> [i64; 2] {
    if nanos >= TICK {
        [seconds, nanos - TICK]
    } else {
        [seconds - 1, nanos + 1_000_000_000 - TICK]
    }
}
