//! What the tree held at a moment: which files stood where, and their bytes by hash.
//!
//! `.mission_control/snapshots/` holds
//!
//! | entry | holds |
//! |---|---|
//! | `objects/HH/HASH` | the bytes of a file, or the target of a link, by their SHA-256 |
//! | `index` | the listing of the last snapshot: what did not change since is not read again |
//! | `first` | the listing of the first snapshot that the log leads on from |
//! | `runs/ID` | the listing from before a command that is being recorded |
//! | `reads/AGENT/FILE` | the hash of the bytes that an agent read last of a file |
//!
//! Listings are sealed by the workspace's key; one that is not ours is as good as none. An object is
//! hashed again whenever it is used, so a torn or changed one is never taken for the file. Objects
//! are copies (or reflinks, where the file system has them), never other names of living files.

mod listing;
mod objects;
mod reads;
mod rules;
mod take;
mod tracked;
mod within;

pub(crate) use listing::{Listing, Row};
pub(crate) use objects::{Objects, Stored};
pub use reads::LastRead;
pub(crate) use reads::{last as last_read, remember as remember_read};
pub(crate) use take::{take, take_of, take_within};
pub(crate) use within::Within;

use std::collections::HashSet;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;
use crate::path::RelPath;
use crate::plan::FileChange;
use crate::workspace::disk::{Dir, File, FileKind, unix_millis};
use crate::workspace::root::is_no_directory;
use crate::workspace::state::log;
use crate::workspace::state::record::{MAX_TEXT, TransactionId};
use crate::workspace::state::{Held, StateDir, fail};

/// Name of the directory in the state.
pub(crate) const SNAPSHOTS: &str = "snapshots";
/// Name of the directory of listings that commands are compared with.
pub(crate) const RUNS: &str = "runs";

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
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    parent
        .directory(name)
        .map_err(io)?
        .ok_or_else(|| io(io::ErrorKind::NotFound.into()))
}

/// Opens a regular file for reading, with its size; `None` where there is none, and where what stands
/// there cannot be opened as one, which was not made here.
fn regular_file(dir: &Dir, name: &[u8]) -> io::Result<Option<(File, u64)>> {
    let file = match dir.file(name) {
        Err(error) if is_no_file(&error) => None,
        result => result?,
    };
    let Some(file) = file else { return Ok(None) };
    let meta = file.stat()?;
    Ok((meta.kind == FileKind::File).then_some((file, meta.size)))
}

fn is_no_file(error: &io::Error) -> bool {
    // Ours can be read by us.
    is_no_directory(error)
        || matches!(
            Errno::from_io_error(error),
            Some(Errno::NXIO | Errno::NODEV | Errno::ACCESS)
        )
}

/// Sets a directory aside that has the name of a file: it was not made here.
fn make_way(state: &StateDir, dir: &Dir, name: &str) -> Result<(), Error> {
    let there = dir.stat(name.as_bytes());
    match there.map_err(|error| fail("look at", SNAPSHOTS, error))? {
        Some(meta) if meta.kind == FileKind::Directory => state.set_aside_in(dir, name),
        _ => Ok(()),
    }
}

/// Name of the listing of the first snapshot.
const FIRST: &str = "first";

/// The first line of the first snapshot.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstHeader {
    /// The moment, sorted among transactions.
    pub(crate) id: TransactionId,
    /// The last record in the log then.
    pub(crate) head: Option<TransactionId>,
}

/// The first snapshot of the whole tree, from which the log leads on; no lock is needed.
pub(crate) fn first(state: &StateDir) -> Result<Option<(FirstHeader, Listing)>, Error> {
    let (Some(snapshots), Some(key)) = (state.part(SNAPSHOTS)?, &state.key) else {
        return Ok(None);
    };
    let Some((line, listing)) = Listing::read(&snapshots, FIRST, key)? else {
        return Ok(None);
    };
    Ok((serde_json::from_str(&line).ok()).map(|header| (header, listing)))
}

/// Keeps a listing of the whole tree as the first one, if there is none.
pub(crate) fn begin(
    held: &Held,
    objects: &Objects<'_>,
    header: &FirstHeader,
    listing: &Listing,
) -> Result<(), Error> {
    if Listing::read(&objects.dir, FIRST, &held.key)?.is_some() {
        return Ok(());
    }
    let line = serde_json::to_string(header).expect("plain values");
    listing.write(&objects.dir, FIRST, &line, held)
}

/// Forgets the first snapshot, from which the log does not lead on any more.
pub(crate) fn forget_first(held: &Held) -> Result<(), Error> {
    let Some(snapshots) = held.state.part(SNAPSHOTS)? else {
        return Ok(());
    };
    snapshots
        .clear(FIRST.as_bytes())
        .map_err(|error| fail("remove", "snapshots/first", error))
}

/// The names of the commands that are being recorded; under the lock.
pub(crate) fn open_runs(state: &StateDir) -> Result<Option<(Dir, Vec<String>)>, Error> {
    let io = |error| fail("list", "snapshots/runs", error);
    // What is no directory was not made here.
    let snapshots = match state.dir.directory(SNAPSHOTS) {
        Err(error) if is_no_directory(&error) => return state.set_aside(SNAPSHOTS).map(|()| None),
        result => result.map_err(io)?,
    };
    let Some(snapshots) = snapshots else {
        return Ok(None);
    };
    let runs = match snapshots.directory(RUNS) {
        Err(error) if is_no_directory(&error) => {
            return state.set_aside_in(&snapshots, RUNS).map(|()| None);
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

/// Keeps the new bytes of a commit that cannot be had otherwise.
///
/// While a command is being recorded these are all: what the command does to them afterwards is
/// compared with them. Else they are those whose record holds only a part of the new text, where
/// snapshots are in use at all: every other one is made again from its pre-image.
pub(crate) fn feed(held: &Held, changes: &[FileChange]) -> Result<(), Error> {
    let records_commands = held.state.records_commands.load(Ordering::Relaxed);
    let is_fed = |change: &&FileChange| records_commands || is_cut(change);
    let mut fed = changes.iter().filter(is_fed).peekable();
    let is_used = || Ok(records_commands || held.state.part(SNAPSHOTS)?.is_some());
    if fed.peek().is_none() || !is_used()? {
        return Ok(());
    }
    let objects = Objects::open(&held.state)?;
    for change in fed {
        if let Some(after) = change.state_after() {
            let bytes: Vec<u8> = change.chunks().flatten().copied().collect();
            objects.put(&after.digest, &bytes)?;
        }
    }
    keep(held, &objects, changes)
}

/// Whether the record of a change does not hold all of its new text.
fn is_cut(change: &FileChange) -> bool {
    let edits = change.edits.as_slice();
    edits.iter().any(|edit| edit.text.len() > MAX_TEXT)
}

/// Keeps the objects of changes whose records do not hold all of their new text from being forgotten
/// before their time.
pub(crate) fn keep(
    held: &Held,
    objects: &Objects<'_>,
    changes: &[FileChange],
) -> Result<(), Error> {
    for change in changes.iter().filter(|change| is_cut(change)) {
        if let Some(after) = change.state_after() {
            pin(held, objects, after.digest)?;
        }
    }
    Ok(())
}

/// Keeps an object as long as what somebody has read.
pub(crate) fn pin(held: &Held, objects: &Objects<'_>, digest: Digest) -> Result<(), Error> {
    /// No agent has this name.
    const NOBODY: &str = "\0";
    // An entry for each content, whatever the file.
    let place = RelPath::new(digest.to_hex()).expect("one plain component");
    reads::remember(held, &objects.dir, NOBODY, &place, digest)
}

/// Removes the bytes that are not needed any more. Kept are those of a command that is being recorded,
/// of the first and the last snapshot, and what was read within `max_age`, the last first; but for the first, no
/// more than `most` bytes of each. Gives how many objects went, and their bytes.
pub(crate) fn forget(held: &Held, most: u64, max_age: Duration) -> Result<(usize, u64), Error> {
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
    if let Some(head) = head_of_runs(held)? {
        wanted.extend(left_since(held, head)?);
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
    if let Some((_, first)) = Listing::read(&objects.dir, FIRST, &held.key)? {
        let size: u64 = first.files.values().map(|row| row.size).sum();
        match size <= most {
            true => wanted.extend(first.files.values().map(|row| row.digest)),
            false => forget_first(held)?,
        }
    }
    wanted.extend(forget_reads(held, &objects, most, max_age)?);
    objects.keep_only(&wanted)
}

/// Of the first line of a run's listing, the last record in the log when it was taken.
#[derive(Deserialize)]
struct RunHead {
    head: Option<TransactionId>,
}

/// The last record in the log when the first of the commands that are being recorded began; the
/// records behind it say what was not theirs.
pub(crate) fn head_of_runs(held: &Held) -> Result<Option<Option<TransactionId>>, Error> {
    let Some((runs, names)) = open_runs(&held.state)? else {
        return Ok(None);
    };
    let mut heads = Vec::new();
    for name in names {
        if let Some((line, _)) = Listing::read(&runs, &name, &held.key)? {
            let run: Option<RunHead> = serde_json::from_str(&line).ok();
            heads.extend(run.map(|run| run.head));
        }
    }
    Ok(heads.into_iter().min())
}

/// The hashes that transactions behind one have left: what commands that are being recorded did to
/// these files is told by them.
fn left_since(held: &Held, head: Option<TransactionId>) -> Result<HashSet<Digest>, Error> {
    let mut left = HashSet::new();
    for transaction in log::transactions(&held.log)? {
        if Some(transaction) <= head {
            continue;
        }
        // What cannot be read cannot be compared with, either.
        if let Ok(Some((record, _))) = log::read(&held.log, Some(&held.key), &transaction) {
            let steps = record.journal.steps.iter();
            left.extend(steps.filter_map(|step| Some(step.new?.digest)));
        }
    }
    Ok(left)
}

/// Forgets what was read too long ago, and what is too much; gives the hashes that stay.
fn forget_reads(
    held: &Held,
    objects: &Objects<'_>,
    most: u64,
    max_age: Duration,
) -> Result<HashSet<Digest>, Error> {
    /// Most entries that are kept.
    const MOST_READS: usize = 1 << 16;
    let now = unix_millis();
    let mut all = reads::all(held, &objects.dir)?;
    all.sort_unstable_by_key(|read| std::cmp::Reverse(read.order));
    let mut stay: HashSet<TransactionId> = HashSet::new();
    let (mut wanted, mut room) = (HashSet::new(), most);
    for read in all.into_iter().take(MOST_READS) {
        let age = Duration::from_millis(now.saturating_sub(read.order.unix_millis()));
        if age > max_age {
            continue;
        }
        if !wanted.contains(&read.digest) {
            let size = objects.size(&read.digest)?;
            if size > room {
                continue;
            }
            room -= size;
            wanted.insert(read.digest);
        }
        stay.insert(read.order);
    }
    reads::retain(held, &objects.dir, |read| stay.contains(&read.order))?;
    Ok(wanted)
}

/// The hashes that the snapshots know of a file: of the last snapshot, of those before commands that
/// are being recorded, and of what was read.
pub(crate) fn known_of(state: &StateDir, path: &RelPath) -> Result<Vec<Digest>, Error> {
    let mut known = reads::of_file(state, path)?;
    let (Some(key), Some(snapshots)) = (&state.key, state.part(SNAPSHOTS)?) else {
        return Ok(known);
    };
    let mut take_from = |dir: &Dir, name: &str| -> Result<(), Error> {
        let read = Listing::read(dir, name, key)?;
        let row = read.and_then(|(_, listing)| listing.files.get(path).copied());
        known.extend(row.filter(|row| !row.link).map(|row| row.digest));
        Ok(())
    };
    take_from(&snapshots, take::INDEX)?;
    let runs = match snapshots.directory(RUNS) {
        Err(error) if is_no_directory(&error) => None,
        result => result.map_err(|error| fail("open", "snapshots/runs", error))?,
    };
    if let Some(runs) = runs {
        let names = runs
            .names()
            .map_err(|error| fail("list", "snapshots/runs", error))?;
        for name in names.iter().filter_map(|name| str::from_utf8(name).ok()) {
            take_from(&runs, name)?;
        }
    }
    known.dedup();
    Ok(known)
}

/// Whether a kind of entry is part of a snapshot.
fn is_kept(kind: FileKind) -> bool {
    matches!(kind, FileKind::File | FileKind::Symlink)
}
