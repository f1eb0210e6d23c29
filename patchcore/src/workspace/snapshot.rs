//! What the tree held at a moment: which files stood where, and their bytes by hash.
//!
//! `.mission_control/snapshots/` holds
//!
//! | entry | holds |
//! |---|---|
//! | `objects/HH/HASH` | the bytes of a file, or the target of a link, by their SHA-256 |
//! | `index` | the listing of the last snapshot: what did not change since is not read again |
//! | `runs/ID` | the listing from before a command that is being recorded |
//!
//! Listings are sealed by the workspace's key; one that is not ours is as good as none. An object is
//! hashed again whenever it is used, so a torn or changed one is never taken for the file. Objects
//! are copies (or reflinks, where the file system has them), never other names of living files.

mod listing;
mod objects;
mod rules;
mod take;

pub(super) use listing::{Listing, Row};
pub(super) use objects::Objects;
pub(super) use take::take;

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use super::disk::{Dir, FileKind};
use super::root::is_no_directory;
use super::state::{Held, StateDir, fail};
use crate::error::Error;
use crate::plan::FileChange;

/// Name of the directory in the state.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// Name of the directory of listings that commands are compared with.
pub(super) const RUNS: &str = "runs";

/// Opens a directory in another one, making it where it does not exist. What is no directory was not
/// made here, and is set aside.
fn subdirectory(state: &StateDir, parent: &Dir, name: &str) -> Result<Dir, Error> {
    let io = |error| fail("open", &format!("{SNAPSHOTS}/{name}"), error);
    match parent.directory(name) {
        Ok(Some(dir)) => return Ok(dir),
        Ok(None) => {}
        Err(error) if is_no_directory(&error) => state.set_aside_in(parent, name)?,
        Err(error) => return Err(io(error)),
    }
    match parent.make_directory(name.as_bytes(), 0o700) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    parent
        .directory(name)
        .map_err(io)?
        .ok_or_else(|| io(std::io::ErrorKind::NotFound.into()))
}

/// The names of the commands that are being recorded.
pub(super) fn open_runs(state: &StateDir) -> Result<Option<(Dir, Vec<String>)>, Error> {
    let Some(snapshots) = state.part(SNAPSHOTS)? else {
        return Ok(None);
    };
    let io = |error| fail("list", "snapshots/runs", error);
    let runs = match snapshots.directory(RUNS) {
        // What is no directory was not made here.
        Err(error) if is_no_directory(&error) => {
            state.meet_foreign();
            None
        }
        result => result.map_err(io)?,
    };
    let Some(runs) = runs else { return Ok(None) };
    let names = runs.names().map_err(io)?;
    let mut names: Vec<String> = names
        .into_iter()
        .filter_map(|name| String::from_utf8(name).ok())
        .collect();
    names.sort();
    Ok(Some((runs, names)))
}

/// Keeps the new bytes of a commit while a command is being recorded: what the command does to them
/// afterwards is compared with them.
pub(super) fn feed(held: &Held, changes: &[FileChange]) -> Result<(), Error> {
    if !held.state.records_commands.load(Ordering::Relaxed) {
        return Ok(());
    }
    let objects = Objects::open(&held.state)?;
    for change in changes {
        if let Some(after) = change.state_after() {
            let bytes: Vec<u8> = change.chunks().flatten().copied().collect();
            objects.put(&after.digest, &bytes)?;
        }
    }
    Ok(())
}

/// Removes the bytes that no listing names: neither that of the last snapshot nor one that a command
/// will be compared with. Those of the last snapshot go as well where they are more than `most`
/// bytes; gives how many objects went, and their bytes.
pub(super) fn forget(held: &Held, most: u64) -> Result<(usize, u64), Error> {
    let Some((runs, names)) = open_runs(&held.state)? else {
        return Ok((0, 0));
    };
    let objects = Objects::open(&held.state)?;
    let mut wanted = HashSet::new();
    for name in names {
        if let Some((_, listing)) = Listing::read(&runs, &name, &held.key)? {
            wanted.extend(listing.files.values().map(|row| row.digest));
        }
    }
    if let Some((_, last)) = Listing::read(&objects.dir, take::INDEX, &held.key)? {
        let size: u64 = last.files.values().map(|row| row.size).sum();
        if size <= most {
            wanted.extend(last.files.values().map(|row| row.digest));
        } else {
            // Without the index, the next snapshot looks at every file again.
            let removed = objects.dir.remove_file(take::INDEX.as_bytes());
            removed.map_err(|error| fail("remove", "snapshots/index", error))?;
        }
    }
    objects.keep_only(&wanted)
}

/// Whether a kind of entry is part of a snapshot.
fn is_kept(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::Symlink)
}
