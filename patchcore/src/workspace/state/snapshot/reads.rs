//! What was shown to whom: for each agent and file, the hash of the bytes that it read last.
//!
//! `snapshots/reads/AGENT/FILE` is a symbolic link that nobody follows. Its name is made of the
//! hashes of the agent's name and the path, its text of the moment, the hash of the bytes and a
//! seal. It is replaced by one call, so it is never torn.

use std::io;

use super::{SNAPSHOTS, make_way, subdirectory};
use crate::digest::Digest;
use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::disk::Dir;
use crate::workspace::root::is_no_directory;
use crate::workspace::state::key::{Key, Seal};
use crate::workspace::state::record::TransactionId;
use crate::workspace::state::{Held, StateDir, fail};

/// Name of the directory in the snapshots.
const READS: &str = "reads";
/// Name of a link while it is made. One writer holds the lock.
const DRAFT: &str = "draft";
const PURPOSE: &str = "read";

/// The bytes of a file that an agent was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastRead {
    /// Sorted by time: later reads have larger ones.
    pub order: TransactionId,
    /// Hash of the whole file, as it was then.
    pub digest: Digest,
}

/// Where an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    agent: String,
    file: String,
}

impl Place {
    fn new(agent: &str, path: &RelPath) -> Self {
        Self {
            agent: Digest::of(agent.as_bytes()).to_hex(),
            file: Digest::of(path.as_bytes()).to_hex(),
        }
    }

    fn seal(&self, key: &Key, read: &LastRead) -> Seal {
        key.seal(PURPOSE, &self.parts(read))
    }

    fn parts<'a>(&'a self, read: &'a LastRead) -> [&'a [u8]; 4] {
        [
            self.agent.as_bytes(),
            self.file.as_bytes(),
            read.order.as_bytes(),
            read.digest.as_bytes(),
        ]
    }

    fn unseal(&self, text: &[u8], key: &Key) -> Option<LastRead> {
        let mut words = str::from_utf8(text).ok()?.split(' ');
        let read = LastRead {
            order: words.next()?.parse().ok()?,
            digest: words.next()?.parse().ok()?,
        };
        let seal: Seal = words.next()?.parse().ok()?;
        let is_ours = words.next().is_none() && key.verify(&seal, PURPOSE, &self.parts(&read));
        is_ours.then_some(read)
    }
}

/// Remembers that an agent was shown a file; under the lock. The empty name stands for somebody
/// who gave none.
pub(crate) fn remember(
    held: &Held,
    snapshots: &Dir,
    agent: &str,
    path: &RelPath,
    digest: Digest,
) -> Result<(), Error> {
    let place = Place::new(agent, path);
    let reads = subdirectory(&held.state, snapshots, READS)?;
    let dir = subdirectory(&held.state, &reads, &place.agent)?;
    let read = LastRead {
        order: TransactionId::now(),
        digest,
    };
    let text = format!("{} {digest} {}", read.order, place.seal(&held.key, &read));
    make_way(&held.state, &dir, DRAFT)?;
    make_way(&held.state, &dir, &place.file)?;
    let put = || -> io::Result<()> {
        dir.remove_file(DRAFT.as_bytes())?;
        dir.make_link(DRAFT.as_bytes(), text.as_bytes())?;
        dir.rename(DRAFT.as_bytes(), &dir, place.file.as_bytes())
    };
    put().map_err(|error| fail("write", "snapshots/reads", error))
}

/// What an agent was shown last of a file; no lock is needed.
pub(crate) fn last(
    state: &StateDir,
    agent: &str,
    path: &RelPath,
) -> Result<Option<LastRead>, Error> {
    let (Some(reads), Some(key)) = (reads(state)?, &state.key) else {
        return Ok(None);
    };
    read(&reads, &Place::new(agent, path), key)
}

/// What anybody was shown last of a file, each hash once; no lock is needed.
pub(crate) fn of_file(state: &StateDir, path: &RelPath) -> Result<Vec<Digest>, Error> {
    let (Some(reads), Some(key)) = (reads(state)?, &state.key) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for agent in names(&reads)? {
        let place = Place {
            agent,
            ..Place::new("", path)
        };
        found.extend(read(&reads, &place, key)?.map(|read| read.digest));
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Removes the entries that are not to be kept, and what is no entry of ours; under the lock. Gives
/// the entries that stay.
pub(super) fn retain(
    held: &Held,
    snapshots: &Dir,
    mut keep: impl FnMut(&LastRead) -> bool,
) -> Result<(), Error> {
    let Some(reads) = directory(snapshots, READS)? else {
        return Ok(());
    };
    for agent in names(&reads)? {
        let Some(dir) = directory(&reads, &agent)? else {
            continue;
        };
        let mut left = false;
        for file in names(&dir)? {
            let place = Place {
                agent: agent.clone(),
                file,
            };
            match read_in(&dir, &place, &held.key)? {
                Some(read) if keep(&read) => left = true,
                _ => {
                    let removed = dir.clear(place.file.as_bytes());
                    removed.map_err(|error| fail("remove", "snapshots/reads", error))?;
                }
            }
        }
        if !left {
            // What others put there stays.
            let _ = reads.remove_directory(agent.as_bytes());
        }
    }
    Ok(())
}

/// All entries; under the lock.
pub(super) fn all(held: &Held, snapshots: &Dir) -> Result<Vec<LastRead>, Error> {
    let mut all = Vec::new();
    let Some(reads) = directory(snapshots, READS)? else {
        return Ok(all);
    };
    for agent in names(&reads)? {
        let Some(dir) = directory(&reads, &agent)? else {
            continue;
        };
        for file in names(&dir)? {
            let place = Place {
                agent: agent.clone(),
                file,
            };
            all.extend(read_in(&dir, &place, &held.key)?);
        }
    }
    Ok(all)
}

fn reads(state: &StateDir) -> Result<Option<Dir>, Error> {
    match state.part(SNAPSHOTS)? {
        Some(snapshots) => directory(&snapshots, READS),
        None => Ok(None),
    }
}

/// What is no directory was not made here.
fn directory(dir: &Dir, name: &str) -> Result<Option<Dir>, Error> {
    match dir.directory(name) {
        Err(error) if is_no_directory(&error) => Ok(None),
        result => result.map_err(|error| fail("open", "snapshots/reads", error)),
    }
}

fn names(dir: &Dir) -> Result<Vec<String>, Error> {
    let names = dir
        .names()
        .map_err(|error| fail("list", "snapshots/reads", error))?;
    let names = names.into_iter();
    Ok(names
        .filter_map(|name| String::from_utf8(name).ok())
        .collect())
}

fn read(reads: &Dir, place: &Place, key: &Key) -> Result<Option<LastRead>, Error> {
    match directory(reads, &place.agent)? {
        Some(dir) => read_in(&dir, place, key),
        None => Ok(None),
    }
}

fn read_in(dir: &Dir, place: &Place, key: &Key) -> Result<Option<LastRead>, Error> {
    match dir.read_link(place.file.as_bytes()) {
        // A file or a directory: it was not made here.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
        Err(error) => Err(fail("read", "snapshots/reads", error)),
        Ok(text) => Ok(text.and_then(|text| place.unseal(&text, key))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_counts_in_its_place_alone() {
        let path = RelPath::new("a/b").unwrap();
        let place = Place::new("codex", &path);
        let read = LastRead {
            order: TransactionId::now(),
            digest: Digest::of(b"one"),
        };
        let key = Key::sample(1);
        let text = format!("{} {} {}", read.order, read.digest, place.seal(&key, &read));
        assert_eq!(place.unseal(text.as_bytes(), &key), Some(read));
        let elsewhere = [
            Place::new("claude", &path),
            Place::new("codex", &RelPath::new("a").unwrap()),
        ];
        for other in elsewhere {
            assert_eq!(other.unseal(text.as_bytes(), &key), None);
        }
        assert_eq!(place.unseal(text.as_bytes(), &Key::sample(2)), None);
        assert_eq!(place.unseal(format!("{text} x").as_bytes(), &key), None);
        for end in 0..text.len() {
            assert_eq!(place.unseal(&text.as_bytes()[..end], &key), None);
        }
    }
}
