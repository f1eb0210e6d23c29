//! The root, and the one way from a path to a file: beneath the root, through no link.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;

use crate::error::{Code, Error, Refusal, Stop};
use crate::path::RelPath;
use crate::workspace::disk::{Dir, File, Open};

/// The directory that nothing leaves.
///
/// A path is resolved by `openat2` with `RESOLVE_BENEATH` and `RESOLVE_NO_SYMLINKS`; where the
/// kernel or a sandbox does not let us, component by component with `O_NOFOLLOW`. Both say `ELOOP`
/// for a link, wherever in the path it stands.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) dir: Arc<Dir>,
    pub(crate) path: PathBuf,
    walks: AtomicBool,
}

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let dir = Dir::open_root(path).map_err(|error| Error::io("open", path, error))?;
        Ok(Self {
            dir: Arc::new(dir),
            path: path.to_owned(),
            walks: AtomicBool::new(false),
        })
    }

    /// Opens what stands at a path.
    pub(crate) fn open_path(&self, path: &RelPath, how: Open) -> io::Result<OwnedFd> {
        if !self.walks.load(Ordering::Relaxed) {
            match self.dir.open_beneath(path.as_bytes(), how) {
                Err(error) if is_refused(&error) => self.walks.store(true, Ordering::Relaxed),
                // Renames kept getting in the way; the walk takes no notice of them.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
        let mut components = path.components();
        let last = components.next_back().unwrap_or(path.as_bytes());
        let mut at: Option<Dir> = None;
        for component in components {
            let here = at.as_ref().unwrap_or(&self.dir);
            at = Some(Dir(self.walk(here, component, Open::Directory)?));
        }
        self.walk(at.as_ref().unwrap_or(&self.dir), last, how)
    }

    /// One step down. A link opened as a directory is reported as `ENOTDIR` by the kernel, and
    /// must not be taken for a file.
    fn walk(&self, dir: &Dir, name: &[u8], how: Open) -> io::Result<OwnedFd> {
        match dir.open_at(name, how) {
            Err(error) if error.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => {
                match dir.stat(name)? {
                    Some(meta) if meta.kind == crate::workspace::disk::FileKind::Symlink => {
                        Err(Errno::LOOP.into())
                    }
                    _ => Err(error),
                }
            }
            result => result,
        }
    }

    /// Opens a file to read it; `None` where nothing stands.
    pub(crate) fn file(&self, path: &RelPath) -> io::Result<Option<File>> {
        match self.open_path(path, Open::Read) {
            Ok(fd) => Ok(Some(File::new(fd))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a directory; `None` stands for the root.
    pub(crate) fn directory(&self, path: Option<&RelPath>) -> io::Result<Arc<Dir>> {
        match path {
            None => Ok(Arc::clone(&self.dir)),
            Some(path) => Ok(Arc::new(Dir(self.open_path(path, Open::Directory)?))),
        }
    }

    /// An error on a path below the root: a refusal where the path is at fault, else the
    /// environment's.
    pub(crate) fn stop(&self, action: &'static str, path: &RelPath, error: io::Error) -> Stop {
        match refusal(path, &error) {
            Some(refusal) => refusal.into(),
            None => self.error(action, path, error).into(),
        }
    }

    /// An error on a path below the root.
    pub(crate) fn error(&self, action: &'static str, path: &RelPath, error: io::Error) -> Error {
        Error::io(action, self.path.join(path.as_path()), error)
    }
}

/// What an error of opening a path means for an operation on it; `None` where the environment
/// is at fault.
pub(crate) fn refusal(path: &RelPath, error: &io::Error) -> Option<Refusal> {
    let errno = Errno::from_io_error(error)?;
    let (code, message) = match errno {
        Errno::LOOP => (
            Code::Symlink,
            format!("{path} is a symbolic link or lies behind one; name the file itself"),
        ),
        Errno::NOTDIR => (
            Code::NotAFile,
            format!("{path} lies below a file, not below a directory"),
        ),
        Errno::ISDIR => (Code::NotAFile, format!("{path} is a directory")),
        Errno::NXIO | Errno::NODEV => (
            Code::NotAFile,
            format!("{path} is a socket or a device, not a regular file"),
        ),
        Errno::XDEV => (
            Code::PathEscape,
            format!("{path} leads out of the root; use a path below it"),
        ),
        _ => return None,
    };
    Some(Refusal::new(code, message).in_file(path))
}

/// Whether a directory was expected where there is none: a file, or a link.
pub(crate) fn is_no_directory(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::NOTDIR | Errno::LOOP))
}

/// Whether the kernel, or a sandbox in front of it, does not let us call `openat2`.
fn is_refused(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG)
    )
}

/// The parents of paths in order: neighbours share one, so the last one stays open.
pub(crate) struct Parents<'a> {
    root: &'a Root,
    last: Option<(Option<RelPath>, Arc<Dir>)>,
}

impl<'a> Parents<'a> {
    pub(crate) fn new(root: &'a Root) -> Self {
        Self { root, last: None }
    }

    /// The directory that holds the path's last component.
    pub(crate) fn of(&mut self, path: &RelPath) -> io::Result<Arc<Dir>> {
        if let Some((known, dir)) = &self.last
            && path.is_in(known.as_ref())
        {
            return Ok(Arc::clone(dir));
        }
        let parent = path.parent();
        let dir = self.root.directory(parent.as_ref())?;
        self.last = Some((parent, Arc::clone(&dir)));
        Ok(dir)
    }
}
