//! The last look before the commit point: what was read must still stand there.

use std::io;

use crate::digest::Digest;
use crate::error::{Code, Refusal, Stop};
use crate::path::RelPath;
use crate::workspace::commit::layout::{Layout, Placement};
use crate::workspace::disk::FileKind;
use crate::workspace::disk::earlier;
use crate::workspace::read::load::{self, Loaded, MAX_FILE};
use crate::workspace::root::{Parents, Root, is_no_directory};

/// What is compared with what stands there.
pub(crate) struct Look<'a> {
    pub(crate) root: &'a Root,
    pub(crate) loaded: &'a Loaded,
    /// A file may have got other names, or lost some.
    pub(crate) break_hard_links: bool,
}

impl Look<'_> {
    /// Checks that everything still stands as it was when it was read.
    pub(crate) fn verify_unchanged(&self, layout: &Layout<'_>) -> Result<(), Stop> {
        /// Places that one thread looks at in a row.
        const RUN: usize = 64;
        if layout.places.len() < 2 * RUN {
            return self.at(layout, &layout.places);
        }
        let runs: Vec<_> = layout.places.chunks(RUN).collect();
        load::in_parallel(runs.len(), 1, |index| self.at(layout, runs[index]))?;
        Ok(())
    }

    fn at(&self, layout: &Layout<'_>, places: &[Placement<'_>]) -> Result<(), Stop> {
        let mut parents = Parents::new(self.root);
        // In order of their paths, neighbours share an open directory.
        for place in places {
            let Some(path) = &place.path else { continue };
            let io = |error| self.root.stop("look at", path, error);
            let now = match parents.of(path) {
                Ok(parent) => parent.stat(path.file_name()).map_err(io)?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                // The file above it is still there.
                Err(error) if is_no_directory(&error) && layout.lies_below_turning(path) => None,
                Err(error) => return Err(io(error)),
            };
            let unchanged = match (&place.old, now) {
                (None, None) => true,
                (None, Some(now)) => {
                    now.kind == FileKind::Directory && layout.turning.contains(path)
                }
                (Some((old, digest)), Some(now)) => {
                    let mut same = *old;
                    // A link more or less, where that is allowed, changes this time alone.
                    same.ctime = now.ctime;
                    same.links = now.links;
                    let is_settled =
                        old.ctime == now.ctime && old.ctime < earlier(self.loaded.began);
                    same == now
                        && (old.links == now.links || self.break_hard_links)
                        && (is_settled || self.hash(path, old.kind)? == Some(*digest))
                }
                _ => false,
            };
            if !unchanged {
                return Err(Refusal::new(
                    Code::Conflict,
                    format!(
                        "{path} changed on disk while the batch was being applied; send it again"
                    ),
                )
                .in_file(path)
                .into());
            }
        }
        Ok(())
    }

    fn hash(&self, path: &RelPath, kind: FileKind) -> Result<Option<Digest>, Stop> {
        let read = || -> io::Result<Option<Digest>> {
            if kind == FileKind::Symlink {
                let parent = Parents::new(self.root).of(path)?;
                let target = parent.read_link(path.file_name())?;
                return Ok(target.map(|target| Digest::of(&target)));
            }
            let Some(file) = self.root.file(path)? else {
                return Ok(None);
            };
            let size = file.stat()?.size;
            Ok(file.read(size, MAX_FILE)?.map(|bytes| Digest::of(&bytes)))
        };
        read().map_err(|error| self.root.stop("read", path, error))
    }
}
