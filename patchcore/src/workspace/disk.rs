//! The seam to the disk: every file-system call of the workspace is made here.
//!
//! Each call that changes something, and each that decides, is a step of the fault injector
//! (feature `fault-injection`), so that a test which enumerates steps cannot miss one. Names are
//! single components, relative to an open directory; [`Root`](super::root::Root) turns paths into
//! directories. Only `ENOENT` means absent.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, RenameFlags, StatxAttributes, StatxFlags, Uid,
};
use rustix::io::{Errno, retry_on_intr};

use super::fault;

/// What is known of a file or directory without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) kind: Kind,
    pub(super) ino: u64,
    /// The mount where the kernel tells, else the device.
    pub(super) mount: u64,
    pub(super) device: u64,
    /// Permission bits, set-id and sticky bits included.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) size: u64,
    /// Seconds and nanoseconds.
    pub(super) mtime: [i64; 2],
    pub(super) ctime: [i64; 2],
    /// Neither root nor owner may change it.
    pub(super) frozen: bool,
    /// Something is mounted right here.
    pub(super) mount_root: bool,
}

/// What stands at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    Device,
}

impl Kind {
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

/// What a file system is known to do.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Habits {
    /// It puts off choosing blocks, so that a power cut may leave a renamed file empty unless its
    /// write-back was begun.
    pub(super) delays_allocation: bool,
    /// Two files can change places in one call.
    pub(super) exchanges: bool,
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir(pub(super) OwnedFd);

/// An open file.
#[derive(Debug)]
pub(super) struct File(OwnedFd);

/// How a path is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// A file, to be read; a FIFO or device does not block.
    Read,
    /// A directory, as a place to work in.
    Directory,
}

impl Open {
    pub(super) fn flags(self) -> OFlags {
        let common = OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match self {
            Self::Read => common | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
            Self::Directory => common | OFlags::DIRECTORY | OFlags::PATH,
        }
    }
}

impl Dir {
    /// Opens a directory by the caller's own path, links included: the root is the operator's word.
    pub(super) fn open_root(path: &std::path::Path) -> io::Result<Self> {
        fault::step("open")?;
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::PATH;
        Ok(Self(retry_on_intr(|| {
            rustix::fs::open(path, flags, Mode::empty())
        })?))
    }

    /// Opens a path beneath the directory by `openat2`, through no link.
    #[cfg(target_os = "linux")]
    pub(super) fn open_beneath(&self, path: &[u8], how: Open) -> io::Result<OwnedFd> {
        use rustix::fs::ResolveFlags;
        fault::step("openat2")?;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        // With this flag a link at the end would be opened as such, and found to be no directory.
        let flags = how.flags() - OFlags::NOFOLLOW;
        // A rename anywhere in the system may make the kernel give up: EAGAIN.
        for _ in 0..64 {
            match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return Ok(result?),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// There is no such call: the caller walks.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn open_beneath(&self, _: &[u8], _: Open) -> io::Result<OwnedFd> {
        Err(Errno::NOSYS.into())
    }

    /// Opens what stands at a name, if that is no link.
    pub(super) fn open_at(&self, name: &[u8], how: Open) -> io::Result<OwnedFd> {
        fault::step("openat")?;
        Ok(retry_on_intr(|| {
            rustix::fs::openat(&self.0, name, how.flags(), Mode::empty())
        })?)
    }

    /// Opens a directory in this one; `None` where there is none.
    pub(super) fn directory(&self, name: &str) -> io::Result<Option<Dir>> {
        absent(self.open_at(name.as_bytes(), Open::Directory)).map(|fd| fd.map(Dir))
    }

    /// Opens a regular file in this directory; `None` where there is none.
    pub(super) fn file(&self, name: &[u8]) -> io::Result<Option<File>> {
        absent(self.open_at(name, Open::Read)).map(|fd| fd.map(File))
    }

    /// Makes a new file; what stands there already is an error.
    pub(super) fn create(&self, name: &[u8], mode: u32) -> io::Result<File> {
        fault::step("create")?;
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::CREATE | OFlags::EXCL;
        let mode = Mode::from_raw_mode(mode);
        Ok(File(retry_on_intr(|| {
            rustix::fs::openat(&self.0, name, flags | OFlags::WRONLY, mode)
        })?))
    }

    /// Opens a file to lock it, making it where it is missing.
    pub(super) fn lock_file(&self, name: &str) -> io::Result<File> {
        fault::step("create")?;
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CREATE;
        let mode = Mode::from_raw_mode(0o600);
        Ok(File(retry_on_intr(|| {
            rustix::fs::openat(&self.0, name, flags | OFlags::RDWR, mode)
        })?))
    }

    /// Makes a directory.
    pub(super) fn make_directory(&self, name: &[u8], mode: u32) -> io::Result<()> {
        fault::step("mkdir")?;
        Ok(rustix::fs::mkdirat(
            &self.0,
            name,
            Mode::from_raw_mode(mode),
        )?)
    }

    /// Sets a directory's permission bits, whatever the umask.
    pub(super) fn set_directory_mode(&self, name: &[u8], mode: u32) -> io::Result<()> {
        fault::step("chmod")?;
        let dir = self.open_at(name, Open::Directory)?;
        // A handle that is only a path cannot be changed; one that can be read can.
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY;
        let dir = rustix::fs::openat(&dir, ".", flags, Mode::empty())?;
        Ok(rustix::fs::fchmod(dir, Mode::from_raw_mode(mode))?)
    }

    /// What stands at a name, the link itself where it is one; `None` where nothing does.
    pub(super) fn stat(&self, name: &[u8]) -> io::Result<Option<Meta>> {
        fault::step("stat")?;
        absent(stat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// The directory itself.
    pub(super) fn stat_self(&self) -> io::Result<Meta> {
        fault::step("stat")?;
        stat(&self.0, b"", AtFlags::EMPTY_PATH)
    }

    /// Whether files can be made and replaced in the directory at this path.
    pub(super) fn is_writable(&self, path: &[u8]) -> io::Result<bool> {
        fault::step("access")?;
        let want = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        match rustix::fs::accessat(&self.0, path, want, AtFlags::EACCESS) {
            Ok(()) => Ok(true),
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Ok(false),
            // An old kernel only knows the real user: what it cannot tell shows when staging.
            Err(Errno::NOSYS | Errno::INVAL) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Two files change places in one call.
    pub(super) fn exchange(&self, name: &[u8], other: &Dir, to: &[u8]) -> io::Result<()> {
        fault::step("exchange")?;
        fault::refuse_exchange()?;
        Ok(rustix::fs::renameat_with(
            &self.0,
            name,
            &other.0,
            to,
            RenameFlags::EXCHANGE,
        )?)
    }

    /// Moves a file over whatever stands at the other name.
    pub(super) fn rename(&self, name: &[u8], other: &Dir, to: &[u8]) -> io::Result<()> {
        fault::step("rename")?;
        Ok(rustix::fs::renameat(&self.0, name, &other.0, to)?)
    }

    /// Moves a file to a name where nothing stands; `EEXIST` where something does.
    pub(super) fn rename_new(&self, name: &[u8], other: &Dir, to: &[u8]) -> io::Result<()> {
        fault::step("rename-new")?;
        let result = match fault::refuse_exchange() {
            Ok(()) => {
                rustix::fs::renameat_with(&self.0, name, &other.0, to, RenameFlags::NOREPLACE)
            }
            Err(_) => Err(Errno::INVAL),
        };
        match result {
            // The file system does not know the flag: a link is refused where something stands.
            Err(Errno::INVAL | Errno::NOSYS) => {}
            result => return Ok(result?),
        }
        if other.stat(to)?.is_some() {
            return Err(Errno::EXIST.into());
        }
        self.rename(name, other, to)
    }

    /// Gives a file a second name.
    pub(super) fn link(&self, name: &[u8], other: &Dir, to: &[u8]) -> io::Result<()> {
        fault::step("link")?;
        Ok(rustix::fs::linkat(
            &self.0,
            name,
            &other.0,
            to,
            AtFlags::empty(),
        )?)
    }

    /// Removes a file; whether there was one.
    pub(super) fn remove_file(&self, name: &[u8]) -> io::Result<bool> {
        fault::step("unlink")?;
        let result = rustix::fs::unlinkat(&self.0, name, AtFlags::empty());
        absent(result.map_err(Into::into)).map(|done| done.is_some())
    }

    /// Removes an empty directory; whether there was one.
    pub(super) fn remove_directory(&self, name: &[u8]) -> io::Result<bool> {
        fault::step("rmdir")?;
        let result = rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR);
        absent(result.map_err(Into::into)).map(|done| done.is_some())
    }

    /// Makes a symbolic link, whose text is what counts; `EEXIST` where something stands.
    pub(super) fn make_link(&self, name: &[u8], text: &str) -> io::Result<()> {
        fault::step("symlink")?;
        Ok(rustix::fs::symlinkat(text, &self.0, name)?)
    }

    /// The text of a symbolic link; `None` where nothing stands.
    pub(super) fn read_link(&self, name: &[u8]) -> io::Result<Option<String>> {
        fault::step("readlink")?;
        match rustix::fs::readlinkat(&self.0, name, Vec::new()) {
            Ok(text) => Ok(Some(text.to_string_lossy().into_owned())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The names in the directory, `.` and `..` aside, in no order.
    pub(super) fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        fault::step("readdir")?;
        let fd = self.readable()?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(fd)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Waits until the directory's entries have reached the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        fault::step("fsync")?;
        // An fsync that failed is never retried: the kernel may have dropped what it could not
        // write, and would then report success.
        Ok(rustix::fs::fsync(self.readable()?)?)
    }

    /// Waits until everything on the directory's file system has reached the disk.
    #[cfg(target_os = "linux")]
    pub(super) fn sync_all(&self) -> io::Result<()> {
        fault::step("syncfs")?;
        Ok(rustix::fs::syncfs(self.readable()?)?)
    }

    /// Waits until everything has reached the disk.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn sync_all(&self) -> io::Result<()> {
        fault::step("syncfs")?;
        rustix::fs::sync();
        Ok(())
    }

    /// What the file system is known to do.
    #[cfg(target_os = "linux")]
    pub(super) fn habits(&self) -> Habits {
        use rustix::fs::FsWord;
        const EXT4: FsWord = 0xef53;
        const XFS: FsWord = 0x5846_5342;
        const BTRFS: FsWord = 0x9123_683e;
        const F2FS: FsWord = 0xf2f5_2010;
        const BCACHEFS: FsWord = 0xca45_1a4e;
        const TMPFS: FsWord = 0x0102_1994;
        const OVERLAYFS: FsWord = 0x794c_7630;
        let kind = rustix::fs::fstatfs(&self.0).map_or(0, |stat| stat.f_type);
        let delays_allocation = matches!(kind, EXT4 | XFS | BTRFS | F2FS | BCACHEFS);
        Habits {
            delays_allocation,
            exchanges: fault::refuse_exchange().is_ok()
                && (delays_allocation || matches!(kind, TMPFS | OVERLAYFS)),
        }
    }

    /// There is no way to ask.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn habits(&self) -> Habits {
        Habits::default()
    }

    fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY;
        Ok(retry_on_intr(|| {
            rustix::fs::openat(&self.0, ".", flags, Mode::empty())
        })?)
    }
}

impl File {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self(fd)
    }

    pub(super) fn stat(&self) -> io::Result<Meta> {
        fault::step("stat")?;
        stat(&self.0, b"", AtFlags::EMPTY_PATH)
    }

    /// Reads to the end; `size` is what to expect, `limit` where to stop (`None` past it).
    pub(super) fn read(&self, size: u64, limit: u64) -> io::Result<Option<Vec<u8>>> {
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

    /// Reads what stands at an offset; fewer bytes than there is room for at the end alone.
    pub(super) fn read_at(&self, room: &mut [u8], offset: u64) -> io::Result<usize> {
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
    pub(super) fn write_chunks<'a>(
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

    pub(super) fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        fault::step("chown")?;
        Ok(rustix::fs::fchown(
            &self.0,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
        )?)
    }

    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        fault::step("chmod")?;
        Ok(rustix::fs::fchmod(&self.0, Mode::from_raw_mode(mode))?)
    }

    /// The extended attributes; none where the file system has none.
    pub(super) fn attributes(&self) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
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

    pub(super) fn set_attribute(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        fault::step("setxattr")?;
        let flags = rustix::fs::XattrFlags::empty();
        Ok(rustix::fs::fsetxattr(&self.0, name, value, flags)?)
    }

    /// Waits until the file has reached the disk. A failure is final: see [`Dir::sync`].
    pub(super) fn sync(&self) -> io::Result<()> {
        fault::step("fsync")?;
        Ok(rustix::fs::fsync(&self.0)?)
    }

    /// Begins writing the file to the disk, without waiting.
    #[cfg(target_os = "linux")]
    pub(super) fn start_write_back(&self) {
        // The kernel starts to write what it is told not to need. It is a hint, so nothing fails.
        let _ = rustix::fs::fadvise(&self.0, 0, None, rustix::fs::Advice::DontNeed);
    }

    /// There is no such hint.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn start_write_back(&self) {}

    /// Takes the lock if it is free.
    pub(super) fn try_lock(&self) -> io::Result<bool> {
        fault::step("flock")?;
        match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// The longest file that this process may write.
pub(super) fn file_size_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    limit.current.unwrap_or(u64::MAX)
}

/// The user whom file access is judged for.
pub(super) fn effective_user() -> u32 {
    // Asked once: it is wanted for each file, and a process that changes it starts anew.
    static USER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *USER.get_or_init(|| rustix::process::geteuid().as_raw())
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(target_os = "linux")]
fn stat(fd: &OwnedFd, name: &[u8], flags: AtFlags) -> io::Result<Meta> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let stat = match rustix::fs::statx(fd, name, flags, mask) {
        Err(Errno::NOSYS) => return plain_stat(fd, name, flags),
        result => result?,
    };
    let device = u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor);
    let has_mount = stat.stx_mask & StatxFlags::MNT_ID.bits() != 0;
    let frozen = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    Ok(Meta {
        kind: Kind::of(u32::from(stat.stx_mode)),
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
        frozen: stat.stx_attributes.intersects(frozen),
        mount_root: stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
    })
}

#[cfg(not(target_os = "linux"))]
fn stat(fd: &OwnedFd, name: &[u8], flags: AtFlags) -> io::Result<Meta> {
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
        kind: Kind::of(stat.st_mode as u32),
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
        frozen: false,
        mount_root: false,
    })
}
