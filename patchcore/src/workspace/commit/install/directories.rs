//! The directories that an installation makes, removes and syncs.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::Install;
use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::disk::Dir;
use crate::workspace::root::{Parents, is_no_directory};
use crate::workspace::state::fail;
use crate::workspace::state::record::DirectoryRecord;

/// From this many directories on, one call for the whole file system is cheaper.
const MANY_DIRECTORIES: usize = 8;

impl Install<'_> {
    /// Makes directories, parents first. They reach the disk before anything is moved into them:
    /// what moves leaves its slot, and would be lost with a directory that a power cut takes.
    pub(super) fn make_directories<'r>(
        &self,
        directories: impl Iterator<Item = &'r DirectoryRecord> + Clone,
    ) -> Result<(), Error> {
        for directory in directories.clone() {
            self.make_directory(directory)?;
        }
        if !self.journal.durable {
            return Ok(());
        }
        let parents: BTreeSet<Option<RelPath>> = directories
            .map(|directory| directory.path.parent())
            .collect();
        parents
            .iter()
            .try_for_each(|parent| self.sync_directory(parent.as_ref()))
    }

    fn make_directory(&self, directory: &DirectoryRecord) -> Result<(), Error> {
        let make = || -> io::Result<()> {
            let parent = Parents::new(self.root).of(&directory.path)?;
            let name = directory.path.file_name();
            match parent.make_directory(name, directory.mode) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                // What the umask took away comes back, for a directory that was there before.
                Ok(()) if directory.exact || directory.mode != 0o777 => {
                    parent.set_directory_mode(name, directory.mode)
                }
                result => result,
            }
        };
        make().map_err(|error| self.root.error("make", &directory.path, error))
    }

    /// Makes the directories above a file that is to come back.
    pub(super) fn make_parents(&self, path: &RelPath) -> io::Result<()> {
        let mut above: Vec<_> = std::iter::successors(path.parent(), RelPath::parent).collect();
        above.reverse();
        for directory in above {
            let parent = Parents::new(self.root).of(&directory)?;
            match parent.make_directory(directory.file_name(), 0o777) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// Removes a directory unless it is in use after all.
    pub(super) fn remove_directory(&self, directory: &DirectoryRecord) -> Result<(), Error> {
        let remove = || -> io::Result<()> {
            let parent = Parents::new(self.root).of(&directory.path)?;
            parent.remove_directory(directory.path.file_name())?;
            Ok(())
        };
        match remove() {
            Err(error)
                if matches!(
                    Errno::from_io_error(&error),
                    Some(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY)
                ) || is_no_directory(&error) =>
            {
                Ok(())
            }
            result => result.map_err(|error| self.root.error("remove", &directory.path, error)),
        }
    }

    /// Waits until the tree's new shape has reached the disk, where that was asked for.
    pub(super) fn sync(&self) -> Result<(), Error> {
        if !self.journal.durable {
            return Ok(());
        }
        let paths = self.journal.steps.iter().map(|step| &step.path);
        let directories = self.journal.made.iter().chain(&self.journal.emptied);
        let paths = paths.chain(directories.map(|directory| &directory.path));
        let touched: BTreeSet<Option<RelPath>> = paths.map(RelPath::parent).collect();
        let beside = self.journal.steps.iter().any(|step| step.beside);
        if touched.len() > MANY_DIRECTORIES && !beside {
            return self
                .current
                .sync_all()
                .map_err(|error| fail("sync", "txn/current", error));
        }
        for parent in &touched {
            self.sync_directory(parent.as_ref())?;
        }
        match self.current.sync() {
            // The verification command removed it, and nothing that was moved lies there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|error| fail("sync", "txn/current", error)),
        }
    }

    /// Waits until a directory's entries have reached the disk, if it is still there.
    fn sync_directory(&self, path: Option<&RelPath>) -> Result<(), Error> {
        let dir = match self.root.directory(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_directory(&error) => {
                return Ok(());
            }
            dir => dir,
        };
        dir.and_then(|dir: Arc<Dir>| dir.sync()).map_err(|error| {
            Error::io(
                "sync",
                path.map_or(&*self.root.path, RelPath::as_path),
                error,
            )
        })
    }
}
