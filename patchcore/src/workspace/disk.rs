//! The seam to the disk: every file-system call of the workspace is made here.
//!
//! Each call that changes something, and each that decides, is a step of the fault injector
//! (feature `fault-injection`), so that a test which enumerates steps cannot miss one. Names are
//! single components, relative to an open directory; [`Root`](crate::workspace::root::Root) turns paths into
//! directories. Only `ENOENT` means absent.

mod copy;
mod file;
mod meta;

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::{Errno, retry_on_intr};

use crate::workspace::fault::{self, Call};
use meta::stat;

pub(crate) use copy::copy;
pub(crate) use file::File;
pub(crate) use meta::{FileKind, Meta, TICK, earlier};

/// An open directory.
#[derive(Debug)]
pub(crate) struct Dir(pub(crate) OwnedFd);

/// How a path is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// A file, to be read; a FIFO or device does not block.
    Read,
    /// A directory, as a place to work in.
    Directory,
}

impl Open {
    pub(crate) fn flags(self) -> OFlags {
        let common = OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match self {
            Self::Read => common | OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
            Self::Directory => common | OFlags::DIRECTORY | OFlags::PATH,
        }
    }
}

impl Dir {
    /// Opens a directory by the caller's own path, links included: the root is the operator's word.
    pub(crate) fn open_root(path: &std::path::Path) -> io::Result<Self> {
        fault::step("open")?;
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::PATH;
        Ok(Self(retry_on_intr(|| {
            rustix::fs::open(path, flags, Mode::empty())
        })?))
    }

    /// Opens a path beneath the directory by `openat2`, through no link.
    #[cfg(target_os = "linux")]
    pub(crate) fn open_beneath(&self, path: &[u8], how: Open) -> io::Result<OwnedFd> {
        use rustix::fs::ResolveFlags;
        fault::refused(Call::Openat2)?;
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
    pub(crate) fn open_beneath(&self, _: &[u8], _: Open) -> io::Result<OwnedFd> {
        Err(Errno::NOSYS.into())
    }

    /// Opens what stands at a name, if that is no link.
    pub(crate) fn open_at(&self, name: &[u8], how: Open) -> io::Result<OwnedFd> {
        fault::step("openat")?;
        Ok(retry_on_intr(|| {
            rustix::fs::openat(&self.0, name, how.flags(), Mode::empty())
        })?)
    }

    /// Opens a directory in this one; `None` where there is none.
    pub(crate) fn directory(&self, name: &str) -> io::Result<Option<Dir>> {
        absent(self.open_at(name.as_bytes(), Open::Directory)).map(|fd| fd.map(Dir))
    }

    /// Opens a regular file in this directory; `None` where there is none.
    pub(crate) fn file(&self, name: &[u8]) -> io::Result<Option<File>> {
        absent(self.open_at(name, Open::Read)).map(|fd| fd.map(File))
    }

    /// Makes a new file; what stands there already is an error.
    pub(crate) fn create(&self, name: &[u8], mode: u32) -> io::Result<File> {
        fault::step("create")?;
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::CREATE | OFlags::EXCL;
        let mode = Mode::from_raw_mode(mode);
        Ok(File(retry_on_intr(|| {
            rustix::fs::openat(&self.0, name, flags | OFlags::WRONLY, mode)
        })?))
    }

    /// Opens a file to lock it, making it where it is missing.
    pub(crate) fn lock_file(&self, name: &str) -> io::Result<File> {
        fault::step("create")?;
        let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CREATE;
        let mode = Mode::from_raw_mode(0o600);
        Ok(File(retry_on_intr(|| {
            rustix::fs::openat(&self.0, name, flags | OFlags::RDWR, mode)
        })?))
    }

    /// Makes a directory.
    pub(crate) fn make_directory(&self, name: &[u8], mode: u32) -> io::Result<()> {
        fault::step("mkdir")?;
        Ok(rustix::fs::mkdirat(
            &self.0,
            name,
            Mode::from_raw_mode(mode),
        )?)
    }

    /// Sets a directory's permission bits, whatever the umask.
    pub(crate) fn set_directory_mode(&self, name: &[u8], mode: u32) -> io::Result<()> {
        fault::step("chmod")?;
        let dir = self.open_at(name, Open::Directory)?;
        // A handle that is only a path cannot be changed; one that can be read can.
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY;
        let dir = rustix::fs::openat(&dir, ".", flags, Mode::empty())?;
        Ok(rustix::fs::fchmod(dir, Mode::from_raw_mode(mode))?)
    }

    /// Lets the owner in again where a directory's permission bits keep them out.
    pub(crate) fn open_up(&self, name: &[u8]) -> io::Result<()> {
        match self.stat(name)? {
            Some(meta) if meta.kind == FileKind::Directory && meta.mode & 0o700 != 0o700 => {
                fault::step("chmod")?;
                let mode = Mode::from_raw_mode(meta.mode | 0o700);
                Ok(rustix::fs::chmodat(&self.0, name, mode, AtFlags::empty())?)
            }
            _ => Ok(()),
        }
    }

    /// What stands at a name, the link itself where it is one; `None` where nothing does.
    pub(crate) fn stat(&self, name: &[u8]) -> io::Result<Option<Meta>> {
        fault::step("stat")?;
        absent(stat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// Whether a file or directory that was opened under a name still has it.
    pub(crate) fn still_has(&self, name: &str, opened: &Meta) -> io::Result<bool> {
        let there = self.stat(name.as_bytes())?;
        Ok(there.is_some_and(|there| there.is_same_file(opened)))
    }

    /// The directory itself.
    pub(crate) fn stat_self(&self) -> io::Result<Meta> {
        fault::step("stat")?;
        stat(&self.0, b"", AtFlags::EMPTY_PATH)
    }

    /// Whether files can be made and replaced in the directory at this path.
    pub(crate) fn is_writable(&self, path: &[u8]) -> io::Result<bool> {
        fault::step("access")?;
        let want = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        let answer = fault::refused(Call::Faccessat2)
            .and_then(|()| rustix::fs::accessat(&self.0, path, want, AtFlags::EACCESS));
        match answer {
            Ok(()) => Ok(true),
            Err(Errno::ACCESS | Errno::ROFS) => Ok(false),
            // An old kernel or a sandbox only has the call that asks for the real user.
            Err(Errno::NOSYS | Errno::INVAL | Errno::PERM) => {
                match rustix::fs::accessat(&self.0, path, want, AtFlags::empty()) {
                    Ok(()) => Ok(true),
                    Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) if is_real_user() => Ok(false),
                    // What it cannot tell shows when staging.
                    Err(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NOSYS) => Ok(true),
                    Err(error) => Err(error.into()),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Two files change places in one call; [`is_missing_call`] of the error where kernel, sandbox
    /// or file system do not have it.
    pub(crate) fn exchange(&self, name: &[u8], other: &Dir, to: &[u8]) -> io::Result<()> {
        fault::step("exchange")?;
        fault::refused(Call::Renameat2)?;
        Ok(rustix::fs::renameat_with(
            &self.0,
            name,
            &other.0,
            to,
            RenameFlags::EXCHANGE,
        )?)
    }

    /// Moves a file over whatever stands at the other name.
    pub(crate) fn rename(&self, name: &[u8], other: &Dir, to: &[u8]) -> io::Result<()> {
        fault::step("rename")?;
        fault::refused_move(name)?;
        Ok(rustix::fs::renameat(&self.0, name, &other.0, to)?)
    }

    /// Moves a file to a name where nothing stands; `EEXIST` where something does.
    ///
    /// Without a call for it, a second name is made and the first one removed: a crash between
    /// leaves both. Where files have one name only, the other one is looked at first.
    pub(crate) fn rename_new(&self, name: &[u8], other: &Dir, to: &[u8]) -> io::Result<()> {
        fault::step("rename-new")?;
        fault::refused_move(name)?;
        let flags = RenameFlags::NOREPLACE;
        let result = fault::refused(Call::Renameat2)
            .and_then(|()| rustix::fs::renameat_with(&self.0, name, &other.0, to, flags));
        match result {
            Err(error) if is_missing_call(&error.into()) => {}
            result => return Ok(result?),
        }
        match self.link(name, other, to) {
            Ok(()) => match self.remove_file(name) {
                Ok(_) => Ok(()),
                Err(error) => {
                    // One file under two names is neither the old state nor the new one.
                    let _ = other.remove_file(to);
                    Err(error)
                }
            },
            Err(error) if may_lack_links(&error) => {
                if other.stat(to)?.is_some() {
                    return Err(Errno::EXIST.into());
                }
                self.rename(name, other, to)
            }
            result => result,
        }
    }

    /// Gives a file a second name.
    pub(crate) fn link(&self, name: &[u8], other: &Dir, to: &[u8]) -> io::Result<()> {
        fault::step("link")?;
        fault::refused(Call::Link)?;
        Ok(rustix::fs::linkat(
            &self.0,
            name,
            &other.0,
            to,
            AtFlags::empty(),
        )?)
    }

    /// Removes a file; whether there was one.
    pub(crate) fn remove_file(&self, name: &[u8]) -> io::Result<bool> {
        fault::step("unlink")?;
        let result = rustix::fs::unlinkat(&self.0, name, AtFlags::empty());
        absent(result.map_err(Into::into)).map(|done| done.is_some())
    }

    /// Takes away what has the name of a draft: a file is removed. A directory, which was never made
    /// here, gets another name.
    pub(crate) fn clear(&self, name: &[u8]) -> io::Result<()> {
        match self.remove_file(name) {
            Err(error) if is_directory(&error) => {
                let aside = format!(".{}", uuid::Uuid::now_v7());
                self.rename_new(name, self, &[name, aside.as_bytes()].concat())
            }
            result => result.map(|_| ()),
        }
    }

    /// Removes an empty directory; whether there was one.
    pub(crate) fn remove_directory(&self, name: &[u8]) -> io::Result<bool> {
        fault::step("rmdir")?;
        let result = rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR);
        absent(result.map_err(Into::into)).map(|done| done.is_some())
    }

    /// Makes a symbolic link, whose text is what counts; `EEXIST` where something stands.
    pub(crate) fn make_link(&self, name: &[u8], text: &[u8]) -> io::Result<()> {
        fault::step("symlink")?;
        Ok(rustix::fs::symlinkat(text, &self.0, name)?)
    }

    /// The text of a symbolic link; `None` where nothing stands.
    pub(crate) fn read_link(&self, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        fault::step("readlink")?;
        match rustix::fs::readlinkat(&self.0, name, Vec::new()) {
            Ok(text) => Ok(Some(text.into_bytes())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a symbolic link to another owner.
    pub(crate) fn set_link_owner(&self, name: &[u8], uid: u32, gid: u32) -> io::Result<()> {
        fault::step("chown")?;
        let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        Ok(rustix::fs::chownat(
            &self.0,
            name,
            Some(uid),
            Some(gid),
            flags,
        )?)
    }

    /// The names in the directory, `.` and `..` aside, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<Vec<u8>>> {
        fault::step("readdir")?;
        let fd = self.readable()?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::new(fd)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Waits until the directory's entries have reached the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        fault::step("fsync")?;
        // An fsync that failed is never retried: the kernel may have dropped what it could not
        // write, and would then report success.
        Ok(rustix::fs::fsync(self.readable()?)?)
    }

    /// Waits until everything on the directory's file system has reached the disk.
    #[cfg(target_os = "linux")]
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        fault::step("syncfs")?;
        Ok(rustix::fs::syncfs(self.readable()?)?)
    }

    /// Waits until everything has reached the disk.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        fault::step("syncfs")?;
        rustix::fs::sync();
        Ok(())
    }

    /// Whether the file system puts off choosing blocks, so that a power cut may leave a renamed
    /// file empty unless its write-back was begun.
    #[cfg(target_os = "linux")]
    pub(crate) fn delays_allocation(&self) -> bool {
        use rustix::fs::FsWord;
        const EXT4: FsWord = 0xef53;
        const XFS: FsWord = 0x5846_5342;
        const BTRFS: FsWord = 0x9123_683e;
        const F2FS: FsWord = 0xf2f5_2010;
        const BCACHEFS: FsWord = 0xca45_1a4e;
        let kind = rustix::fs::fstatfs(&self.0).map_or(0, |stat| stat.f_type);
        matches!(kind, EXT4 | XFS | BTRFS | F2FS | BCACHEFS)
    }

    /// There is no way to ask.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn delays_allocation(&self) -> bool {
        false
    }

    /// The directory itself as a file that can be locked.
    pub(crate) fn lockable(&self) -> io::Result<File> {
        fault::step("open")?;
        Ok(File(self.readable()?))
    }

    fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY;
        Ok(retry_on_intr(|| {
            rustix::fs::openat(&self.0, ".", flags, Mode::empty())
        })?)
    }
}

/// Whether a file was to be removed or replaced where a directory stands.
pub(crate) fn is_directory(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::ISDIR | Errno::PERM)
    )
}

/// The time, in milliseconds since 1970; 0 for a clock that is before.
pub(crate) fn unix_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| since.as_millis());
    fault::clock(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Whether an error says that kernel, sandbox or file system do not have a call or its flags.
pub(crate) fn is_missing_call(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP)
    )
}

/// Whether a link failed in a way in which a rename may not: there are none on the file system,
/// none of directories, or no more of this file.
fn may_lack_links(error: &io::Error) -> bool {
    is_missing_call(error)
        || matches!(
            Errno::from_io_error(error),
            Some(Errno::MLINK | Errno::ACCESS | Errno::ISDIR)
        )
}

/// Whether files are accessed by the right of the user who started the process.
fn is_real_user() -> bool {
    rustix::process::getuid().as_raw() == effective_user()
}

/// The longest file that this process may write.
pub(crate) fn file_size_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    limit.current.unwrap_or(u64::MAX)
}

/// The user whom file access is judged for.
pub(crate) fn effective_user() -> u32 {
    // Asked once: it is wanted for each file, and a process that changes it starts anew.
    static USER: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *USER.get_or_init(|| rustix::process::geteuid().as_raw())
}

/// Whether what belongs to a user is ours: the user's whom file access is judged for, and for root
/// also the one's who became root by `sudo`.
pub(crate) fn is_ours(uid: u32) -> bool {
    static BEHIND_SUDO: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
    let behind_sudo = || {
        let uid = std::env::var("SUDO_UID").ok()?.parse().ok();
        uid.filter(|_| effective_user() == 0)
    };
    uid == effective_user() || *BEHIND_SUDO.get_or_init(behind_sudo) == Some(uid)
}

/// Fills a buffer with random bytes.
#[cfg(target_os = "linux")]
pub(crate) fn fill_with_random(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += retry_on_intr(|| rustix::rand::getrandom(&mut bytes[filled..], flags))?;
    }
    Ok(())
}

/// Fills a buffer with random bytes.
#[cfg(not(target_os = "linux"))]
pub(crate) fn fill_with_random(bytes: &mut [u8]) -> io::Result<()> {
    use std::io::Read as _;
    std::fs::File::open("/dev/urandom")?.read_exact(bytes)
}

/// What the system drew at random for this boot, or else for this machine.
pub(crate) fn boot_id() -> Option<String> {
    const PLACES: [&str; 2] = ["/proc/sys/kernel/random/boot_id", "/etc/machine-id"];
    PLACES.iter().find_map(|path| {
        let text = std::fs::read_to_string(path).ok()?;
        let text = text.trim();
        let is_plain = text.len() >= 32 && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then(|| text.to_owned())
    })
}

/// The owner of what has a path, the link itself where it is one; `None` where nothing has.
pub(crate) fn owner_of(path: &std::path::Path) -> io::Result<Option<u32>> {
    use std::os::unix::fs::MetadataExt as _;
    absent(std::fs::symlink_metadata(path).map(|meta| meta.uid()))
}

/// A path without links, as the operator's own paths are compared.
pub(crate) fn real_path(path: &std::path::Path) -> io::Result<std::path::PathBuf> {
    std::fs::canonicalize(path)
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
