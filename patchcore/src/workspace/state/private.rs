//! A directory of the state for code that opens files by their paths, as a database does.
//!
//! The library opens the directory and looks at each file in it: a regular file of our own that
//! has one name. What else lies there is never opened. A path cannot hold on to a directory, so
//! the other code is asked to open the path between two looks at it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::error::Error;
use crate::workspace::Workspace;
use crate::workspace::disk::{self, Dir, File, FileKind, Meta};
use crate::workspace::state::{STATE, StateDir, fail};

/// A directory of the state that its owner alone can use.
#[derive(Debug)]
pub struct PrivateDir {
    dir: Dir,
    /// Relative to the root.
    name: PathBuf,
    path: PathBuf,
}

/// A lock on a file of a [`PrivateDir`]; the kernel frees it when the holder dies.
#[derive(Debug)]
pub struct PrivateLock(#[expect(dead_code, reason = "closing it frees the lock")] File);

impl Workspace {
    /// Whether anything was ever written beside the tree.
    ///
    /// # Errors
    /// `SYMLINK` where a link has the place of the state, `IO`.
    pub fn has_state(&self) -> Result<bool, Error> {
        Ok(self.state()?.is_some())
    }

    /// Opens a directory of the state; `None` where there is none.
    ///
    /// # Errors
    /// `SYMLINK` where a link or a file has its name, `FOREIGN_STATE` where another user owns it,
    /// `IO`.
    pub fn private_dir(&self, name: &str) -> Result<Option<PrivateDir>, Error> {
        match self.state()? {
            Some(state) => self.open_private(&state, name),
            None => Ok(None),
        }
    }

    /// Opens a directory of the state, and makes it, and the state, where there is none. What is
    /// no directory is set aside.
    ///
    /// # Errors
    /// `FOREIGN_STATE` where another user owns it, `LOCK_TIMEOUT` where it has to be made and
    /// another process holds the state's lock for longer than `lock_wait`, `IO`.
    pub fn make_private_dir(&self, name: &str, lock_wait: Duration) -> Result<PrivateDir, Error> {
        match self.private_dir(name) {
            Ok(Some(dir)) => return Ok(dir),
            Ok(None) | Err(Error::Redirected { .. }) => {}
            Err(error) => return Err(error),
        }
        let state = self.hold(lock_wait)?.state;
        state.make_part(name)?;
        self.open_private(&state, name)?
            .ok_or_else(|| fail("open", name, Errno::NOENT.into()))
    }

    fn open_private(&self, state: &StateDir, name: &str) -> Result<Option<PrivateDir>, Error> {
        let dir = state.dir.directory(name);
        let Some(dir) = dir.map_err(|error| fail("open", name, error))? else {
            return Ok(None);
        };
        let failed = |error| fail("look at", name, error);
        let meta = dir.stat_self().map_err(failed)?;
        if let Some(why) = foreign_owner(&meta) {
            return Err(refused(Path::new(STATE).join(name), &why));
        }
        if meta.mode & 0o077 != 0 {
            // A file system without modes keeps none.
            let _ = state.dir.set_directory_mode(name.as_bytes(), 0o700);
        }
        Ok(Some(PrivateDir {
            dir,
            name: Path::new(STATE).join(name),
            path: self.root.path.join(STATE).join(name),
        }))
    }
}

impl PrivateDir {
    /// Where a file of the directory is, for code that opens it by its path. What is opened is
    /// in this directory if [`is_at_its_path`](Self::is_at_its_path) before and after.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether the directory's path still leads to it.
    ///
    /// # Errors
    /// `IO`.
    pub fn is_at_its_path(&self) -> Result<bool, Error> {
        let same = || -> io::Result<bool> {
            let (held, named) = (self.dir.stat_self()?, Dir::open_root(&self.path)?);
            let named = named.stat_self()?;
            Ok((held.device, held.ino) == (named.device, named.ino))
        };
        match same() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            result => result.map_err(|error| Error::io("look at", &self.path, error)),
        }
    }

    /// Whether there is a file of that name.
    ///
    /// # Errors
    /// `FOREIGN_STATE` where that is not a regular file of our own with one name, `IO`.
    pub fn has_file(&self, name: &str) -> Result<bool, Error> {
        let failed = |error| self.failed("look at", name, error);
        let Some(meta) = self.dir.stat(name.as_bytes()).map_err(failed)? else {
            return Ok(false);
        };
        match self.why_foreign(&meta) {
            Some(why) => Err(self.foreign(name, &why)),
            None => Ok(true),
        }
    }

    /// Makes an empty file for the owner alone, unless there is one.
    ///
    /// # Errors
    /// As [`has_file`](Self::has_file).
    pub fn make_file(&self, name: &str) -> Result<(), Error> {
        if self.has_file(name)? {
            return Ok(());
        }
        match self.dir.create(name.as_bytes(), 0o600) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.has_file(name).map(|_| ())
            }
            result => result
                .map(|_| ())
                .map_err(|error| self.failed("make", name, error)),
        }
    }

    /// Renames what has a name, whatever that is, if anything has; gives whether something had.
    ///
    /// # Errors
    /// `IO`.
    pub fn set_aside(&self, name: &str, aside: &str) -> Result<bool, Error> {
        let (from, to) = (name.as_bytes(), aside.as_bytes());
        match self.dir.rename_new(from, &self.dir, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.failed("set aside", name, error)),
            Ok(()) => Ok(true),
        }
    }

    /// Counts: makes a file longer by one byte, and gives its length. It is made where it is
    /// missing, and starts again at 64 KiB.
    ///
    /// # Errors
    /// As [`has_file`](Self::has_file).
    pub fn count(&self, name: &str) -> Result<u64, Error> {
        const MOST: u64 = 64 << 10;
        let file = self.open(name)?;
        let count = || -> io::Result<u64> {
            let size = file.stat()?.size;
            if size >= MOST {
                file.truncate()?;
            }
            file.append(b".")?;
            Ok(size % MOST + 1)
        };
        count().map_err(|error| self.failed("write", name, error))
    }

    /// Takes the lock on a file, which is made where it is missing; `None` where another process
    /// has held it for longer than `wait`.
    ///
    /// # Errors
    /// As [`has_file`](Self::has_file).
    pub fn lock(&self, name: &str, wait: Duration) -> Result<Option<PrivateLock>, Error> {
        const PAUSE: Duration = Duration::from_millis(2);
        let began = Instant::now();
        loop {
            let file = self.open(name)?;
            let lock = || -> io::Result<(bool, bool)> {
                // One that was removed meanwhile keeps nobody out.
                Ok((file.try_lock()?, self.dir.still_has(name, &file.stat()?)?))
            };
            if let (true, true) = lock().map_err(|error| self.failed("lock", name, error))? {
                return Ok(Some(PrivateLock(file)));
            }
            let left = wait.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(left.min(PAUSE));
        }
    }

    /// Opens a file to read and write it, and makes it where it is missing.
    fn open(&self, name: &str) -> Result<File, Error> {
        // What is not a file is not opened.
        self.has_file(name)?;
        let failed = |error| self.failed("open", name, error);
        let file = self.dir.lock_file(name).map_err(failed)?;
        match self.why_foreign(&file.stat().map_err(failed)?) {
            Some(why) => Err(self.foreign(name, &why)),
            None => Ok(file),
        }
    }

    /// Why something in the directory is not to be opened.
    fn why_foreign(&self, meta: &Meta) -> Option<String> {
        match meta.kind {
            FileKind::File if meta.links > 1 => Some(format!("has {} names", meta.links)),
            FileKind::File => foreign_owner(meta),
            FileKind::Directory => Some("is a directory".to_owned()),
            FileKind::Symlink => Some("is a symbolic link".to_owned()),
            FileKind::Fifo => Some("is a FIFO".to_owned()),
            FileKind::Socket => Some("is a socket".to_owned()),
            FileKind::Device => Some("is a device".to_owned()),
        }
    }

    fn foreign(&self, name: &str, why: &str) -> Error {
        refused(self.name.join(name), why)
    }

    fn failed(&self, action: &'static str, name: &str, error: io::Error) -> Error {
        match Errno::from_io_error(&error) {
            Some(Errno::LOOP) => self.foreign(name, "is a symbolic link"),
            _ => Error::io(action, self.path.join(name), error),
        }
    }
}

fn foreign_owner(meta: &Meta) -> Option<String> {
    (!disk::is_ours(meta.uid)).then(|| format!("belongs to user {}", meta.uid))
}

fn refused(path: PathBuf, why: &str) -> Error {
    let why = format!("{why}; it is not used: remove it");
    Error::Foreign {
        path,
        why,
        hint: None,
    }
}
