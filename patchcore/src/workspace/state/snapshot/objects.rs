//! The bytes of files, each once, under the name of their hash.

use std::collections::HashSet;
use std::io;

use super::{RUNS, SNAPSHOTS, make_way, regular_file, subdirectory};
use crate::digest::Digest;
use crate::error::Error;
use crate::workspace::STATE;
use crate::workspace::disk::{Dir, FileKind};
use crate::workspace::read::load::MAX_FILE;
use crate::workspace::root::is_no_directory;
use crate::workspace::state::{StateDir, fail};

/// Name of an object while it is written. One writer holds the lock.
const DRAFT: &str = "draft";

/// The store.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    state: &'a StateDir,
    /// `snapshots`.
    pub(crate) dir: Dir,
    objects: Dir,
    /// The listings that commands are compared with.
    pub(crate) runs: Dir,
}

impl<'a> Objects<'a> {
    /// Opens the store, making it where it does not exist.
    pub(crate) fn open(state: &'a StateDir) -> Result<Self, Error> {
        let dir = state.make_part(SNAPSHOTS)?;
        let objects = subdirectory(state, &dir, "objects")?;
        let runs = subdirectory(state, &dir, RUNS)?;
        Ok(Self {
            state,
            dir,
            objects,
            runs,
        })
    }

    /// Keeps bytes whose hash this is.
    pub(crate) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        let (shard, name) = place(digest);
        let dir = subdirectory(self.state, &self.objects, &shard)?;
        let there = dir
            .stat(name.as_bytes())
            .map_err(|error| fail("look at", "snapshots/objects", error))?;
        // What lies there may have been torn, or come with the tree.
        if there.is_some() && self.get(digest)?.is_some() {
            return Ok(());
        }
        make_way(self.state, &dir, DRAFT)?;
        make_way(self.state, &dir, &name)?;
        let put = || -> io::Result<()> {
            dir.remove_file(DRAFT.as_bytes())?;
            let file = dir.create(DRAFT.as_bytes(), 0o600)?;
            file.write_chunks([bytes].into_iter())?;
            dir.rename(DRAFT.as_bytes(), &dir, name.as_bytes())
        };
        put().map_err(|error| {
            // On a full disk, each one that fails would take a part of what is left.
            let _ = dir.remove_file(DRAFT.as_bytes());
            fail("write", "snapshots/objects", error)
        })
    }

    /// Where an object lies, from the root on.
    pub(crate) fn shown(digest: &Digest) -> String {
        let (shard, name) = place(digest);
        format!("{STATE}/{SNAPSHOTS}/objects/{shard}/{name}")
    }

    /// The bytes of that hash; `None` where they are gone, or no longer what they were.
    pub(crate) fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        get(&self.objects, digest)
    }

    /// How many bytes an object takes; 0 where there is none.
    pub(super) fn size(&self, digest: &Digest) -> Result<u64, Error> {
        let io = |error| fail("look at", "snapshots/objects", error);
        let (shard, name) = place(digest);
        let dir = match self.objects.directory(&shard) {
            Err(error) if is_no_directory(&error) => None,
            result => result.map_err(io)?,
        };
        let Some(dir) = dir else { return Ok(0) };
        let meta = dir.stat(name.as_bytes()).map_err(io)?;
        Ok(meta.map_or(0, |meta| meta.size))
    }

    /// Removes all objects but these; gives how many went and how many bytes they took.
    pub(crate) fn keep_only(&self, wanted: &HashSet<Digest>) -> Result<(usize, u64), Error> {
        let io = |error| fail("remove", "snapshots/objects", error);
        let names: HashSet<(String, String)> = wanted.iter().map(place).collect();
        let (mut removed, mut freed) = (0, 0);
        for shard in self.objects.names().map_err(io)? {
            let Ok(shard) = String::from_utf8(shard) else {
                continue;
            };
            let dir = match self.objects.directory(&shard) {
                // It was not made here, and holds nothing.
                Err(error) if is_no_directory(&error) => {
                    self.objects.remove_file(shard.as_bytes()).map_err(io)?;
                    None
                }
                result => result.map_err(io)?,
            };
            let Some(dir) = dir else { continue };
            for name in dir.names().map_err(io)? {
                let is_wanted = String::from_utf8(name.clone())
                    .is_ok_and(|name| names.contains(&(shard.clone(), name)));
                if is_wanted {
                    continue;
                }
                let meta = dir.stat(&name).map_err(io)?;
                if meta.is_some_and(|meta| meta.kind == FileKind::Directory) {
                    if let Ok(name) = str::from_utf8(&name) {
                        self.state.set_aside_in(&dir, name)?;
                    }
                    continue;
                }
                if dir.remove_file(&name).map_err(io)? {
                    removed += 1;
                    freed += meta.map_or(0, |meta| meta.size);
                }
            }
        }
        Ok((removed, freed))
    }
}

/// The store as a reader sees it, without the lock.
#[derive(Debug)]
pub(crate) struct Stored(Dir);

impl Stored {
    /// Opens the store; `None` where there is none.
    pub(crate) fn open(state: &StateDir) -> Result<Option<Self>, Error> {
        let Some(snapshots) = state.part(SNAPSHOTS)? else {
            return Ok(None);
        };
        match snapshots.directory("objects") {
            Err(error) if is_no_directory(&error) => Ok(None),
            Err(error) => Err(fail("open", "snapshots/objects", error)),
            Ok(objects) => Ok(objects.map(Self)),
        }
    }

    /// As [`Objects::get`].
    pub(crate) fn get(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        get(&self.0, digest)
    }
}

fn get(objects: &Dir, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
    let io = |error| fail("read", "snapshots/objects", error);
    let (shard, name) = place(digest);
    let dir = match objects.directory(&shard) {
        Err(error) if is_no_directory(&error) => None,
        result => result.map_err(io)?,
    };
    let Some(dir) = dir else { return Ok(None) };
    let file = regular_file(&dir, name.as_bytes()).map_err(io)?;
    let Some((file, size)) = file else {
        return Ok(None);
    };
    let bytes = file.read(size, MAX_FILE).map_err(io)?;
    Ok(bytes.filter(|bytes| Digest::of(bytes) == *digest))
}

/// The directory and the name of an object.
fn place(digest: &Digest) -> (String, String) {
    let text = digest.to_string();
    let hex = text.rsplit_once(':').map_or(&*text, |(_, hex)| hex);
    let (shard, name) = hex.split_at(2);
    (shard.to_owned(), name.to_owned())
}
