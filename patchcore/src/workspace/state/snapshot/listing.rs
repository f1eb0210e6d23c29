//! A listing of the files of a tree, and its form on the disk.
//!
//! A listing is its moment and a list of rows. A row is the byte of its kind, its fields, and the
//! path, which NUL ends; numbers have a fixed length, lowest byte first: to write and read them as
//! digits took a seventh of a run on 10,000 files. The seal over all of it is its end. Its file begins
//! with a seal over name and length, so that of what others made nothing else is read.

use std::collections::BTreeMap;
use std::io;

use super::{make_way, regular_file};
use crate::digest::Digest;
use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::disk::{Dir, FileKind, Meta};
use crate::workspace::state::journal::MAX_RECORD;
use crate::workspace::state::key::{Key, Seal};
use crate::workspace::state::{Held, fail};

const HEAD: &[u8] = b"snapshot 2\0";
const PURPOSE: &str = "snapshot";
/// What the seal at the beginning of a file is for.
const FRONT: &str = "snapshot front";
const DRAFT: &str = "draft";

/// What stood in the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// When looking began, in seconds and nanoseconds.
    pub(crate) began: [i64; 2],
    /// Regular files and symbolic links.
    pub(crate) files: BTreeMap<RelPath, Row>,
    /// Directories with their permission bits.
    pub(crate) directories: BTreeMap<RelPath, u32>,
    /// What was not looked at: ignored, no regular file, or not readable.
    pub(crate) left_out: Vec<RelPath>,
}

/// What is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) link: bool,
    pub(crate) mode: u32,
    /// User and group; `None` where nobody knows.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) size: u64,
    pub(crate) ino: u64,
    pub(crate) mtime: [i64; 2],
    pub(crate) ctime: [i64; 2],
    pub(crate) digest: Digest,
}

impl Row {
    pub(crate) fn new(meta: &Meta, digest: Digest) -> Self {
        Self {
            link: meta.kind == FileKind::Symlink,
            mode: meta.mode,
            owner: Some((meta.uid, meta.gid)),
            size: meta.size,
            ino: meta.ino,
            mtime: meta.mtime,
            ctime: meta.ctime,
            digest,
        }
    }

    /// Whether the file is, by all that can be told without reading it, the one of this row.
    pub(crate) fn is_of(&self, meta: &Meta) -> bool {
        *self == Self::new(meta, self.digest)
    }

    /// Whether the same bytes, with the same permission bits, stand in both.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.digest, self.link, self.mode) == (other.digest, other.link, other.mode)
    }
}

impl Listing {
    /// Whether a path is a file, or a directory with files, of the listing.
    pub(crate) fn has_at_or_below(&self, path: &RelPath) -> bool {
        if self.files.contains_key(path) {
            return true;
        }
        let mut below = path.as_bytes().to_vec();
        below.push(b'/');
        let Ok(first) = RelPath::new([&below[..], b"\x01"].concat()) else {
            return false;
        };
        self.files
            .range(first..)
            .next()
            .is_some_and(|(found, _)| found.as_bytes().starts_with(&below))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = HEAD.to_vec();
        put_moment(&mut bytes, self.began);
        for (path, file) in &self.files {
            let Row {
                link,
                mode,
                owner,
                size,
                ino,
                mtime,
                ctime,
                digest,
            } = file;
            // What was looked at has an owner.
            let (uid, gid) = owner.unwrap_or_default();
            bytes.push(if *link { b'l' } else { b'f' });
            for number in [*mode, uid, gid] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            for number in [*size, *ino] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            put_moment(&mut bytes, *mtime);
            put_moment(&mut bytes, *ctime);
            bytes.extend_from_slice(digest.as_bytes());
            put_path(&mut bytes, path);
        }
        for (path, mode) in &self.directories {
            bytes.push(b'd');
            bytes.extend_from_slice(&mode.to_le_bytes());
            put_path(&mut bytes, path);
        }
        for path in &self.left_out {
            bytes.push(b'o');
            put_path(&mut bytes, path);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = Fields(bytes.strip_prefix(HEAD)?);
        let mut listing = Self {
            began: rest.moment()?,
            ..Self::default()
        };
        // They are in order: a map is built from them in a fifth of the time that inserting takes.
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        while let Some(kind) = rest.array() {
            match kind {
                [kind @ (b'f' | b'l')] => {
                    let row = Row {
                        link: kind == b'l',
                        mode: rest.number()?,
                        owner: Some((rest.number()?, rest.number()?)),
                        size: u64::from_le_bytes(rest.array()?),
                        ino: u64::from_le_bytes(rest.array()?),
                        mtime: rest.moment()?,
                        ctime: rest.moment()?,
                        digest: Digest::from_bytes(rest.array()?),
                    };
                    files.push((rest.path()?, row));
                }
                [b'd'] => {
                    let mode = rest.number()?;
                    directories.push((rest.path()?, mode));
                }
                [b'o'] => listing.left_out.push(rest.path()?),
                _ => return None,
            }
        }
        listing.files = files.into_iter().collect();
        listing.directories = directories.into_iter().collect();
        Some(listing)
    }

    /// Writes the listing, behind a line of its own, into a file that it replaces.
    pub(crate) fn write(
        &self,
        dir: &Dir,
        name: &str,
        first: &str,
        held: &Held,
    ) -> Result<(), Error> {
        make_way(&held.state, dir, DRAFT)?;
        make_way(&held.state, dir, name)?;
        let body = self.to_bytes();
        let seal = held
            .key
            .seal(PURPOSE, &[name.as_bytes(), first.as_bytes(), &body]);
        let seal = seal.to_string();
        let size = 2 * Seal::TEXT + first.len() + 1 + body.len();
        let front = front(name, size as u64, &held.key).to_string();
        let write = || -> io::Result<()> {
            dir.remove_file(DRAFT.as_bytes())?;
            let file = dir.create(DRAFT.as_bytes(), 0o600)?;
            let pieces = [
                front.as_bytes(),
                first.as_bytes(),
                b"\n",
                &body,
                seal.as_bytes(),
            ];
            file.write_chunks(pieces.into_iter())?;
            dir.rename(DRAFT.as_bytes(), dir, name.as_bytes())
        };
        write().map_err(|error| fail("write", "snapshots", error))
    }

    /// Reads a listing and the line before it; `None` where there is none that this key sealed.
    pub(crate) fn read(dir: &Dir, name: &str, key: &Key) -> Result<Option<(String, Self)>, Error> {
        let io = |error| fail("read", "snapshots", error);
        let file = regular_file(dir, name.as_bytes()).map_err(io)?;
        let Some((file, size)) = file else {
            return Ok(None);
        };
        // What others planted may be of any length: it is not read.
        let mut front = [0; Seal::TEXT];
        let filled = file.read_at(&mut front, 0).map_err(io)?;
        if !is_front_ours(&front[..filled], name, size, key) {
            return Ok(None);
        }
        let bytes = file.read(size, MAX_RECORD).map_err(io)?;
        let rest = bytes.as_deref().and_then(|bytes| bytes.get(Seal::TEXT..));
        Ok(rest.and_then(|rest| unseal(rest, name, key)))
    }
}

/// The seal that a file begins with: over its name and its length.
fn front(name: &str, size: u64, key: &Key) -> Seal {
    key.seal(FRONT, &[name.as_bytes(), &size.to_le_bytes()])
}

fn is_front_ours(text: &[u8], name: &str, size: u64, key: &Key) -> bool {
    let seal = str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    seal.is_some_and(|seal| key.verify(&seal, FRONT, &[name.as_bytes(), &size.to_le_bytes()]))
}

fn unseal(bytes: &[u8], name: &str, key: &Key) -> Option<(String, Listing)> {
    let (rest, seal) = bytes.split_at(bytes.len().checked_sub(Seal::TEXT)?);
    let seal = str::from_utf8(seal).ok()?.parse().ok()?;
    let at = memchr::memchr(b'\n', rest)?;
    let (first, body) = (&rest[..at], &rest[at + 1..]);
    let is_ours = key.verify(&seal, PURPOSE, &[name.as_bytes(), first, body]);
    let first = String::from_utf8(first.to_vec()).ok()?;
    let listing = Listing::from_bytes(body).filter(|_| is_ours)?;
    Some((first, listing))
}

fn put_moment(bytes: &mut Vec<u8>, moment: [i64; 2]) {
    for number in moment {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
}

fn put_path(bytes: &mut Vec<u8>, path: &RelPath) {
    bytes.extend_from_slice(path.as_bytes());
    bytes.push(0);
}

/// The fields of rows, of which each call takes the next.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn moment(&mut self) -> Option<[i64; 2]> {
        let mut number = || self.array().map(i64::from_le_bytes);
        Some([number()?, number()?])
    }

    fn path(&mut self) -> Option<RelPath> {
        let end = memchr::memchr(0, self.0)?;
        let (path, rest) = (&self.0[..end], &self.0[end + 1..]);
        self.0 = rest;
        RelPath::new(path).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Listing {
        let row = Row {
            link: false,
            mode: 0o755,
            owner: Some((1, 2)),
            size: 3,
            ino: 4,
            mtime: [-5, 6],
            ctime: [7, 8],
            digest: Digest::of(b"one"),
        };
        let path = |name: &str| RelPath::new(name).expect("a path");
        let mut listing = Listing {
            began: [9, 10],
            ..Listing::default()
        };
        listing.files.insert(path("a b/c\n d"), row);
        listing.files.insert(path("l"), Row { link: true, ..row });
        listing.directories.insert(path("a b"), 0o700);
        listing.left_out.push(path("target"));
        listing
    }

    #[test]
    fn a_listing_reads_what_it_writes() {
        let listing = sample();
        assert_eq!(Listing::from_bytes(&listing.to_bytes()), Some(listing));
    }

    #[test]
    fn what_was_cut_short_or_sealed_by_another_key_is_none() {
        let listing = sample();
        let bytes = listing.to_bytes();
        for end in 0..bytes.len() {
            let cut = Listing::from_bytes(&bytes[..end]);
            assert!(cut.is_none_or(|cut| cut.files.len() + cut.directories.len() < 4));
        }
        let key = Key::sample(1);
        let seal = key.seal(PURPOSE, &[b"n", b"first", &bytes]).to_string();
        let whole = [b"first\n", &bytes[..], seal.as_bytes()].concat();
        assert!(unseal(&whole, "n", &key).is_some());
        assert!(unseal(&whole, "other", &key).is_none());
        assert!(unseal(&whole, "n", &Key::sample(2)).is_none());
        for end in 0..whole.len() {
            assert!(unseal(&whole[..end], "n", &key).is_none());
        }
    }

    #[test]
    fn a_directory_is_known_by_the_files_below_it() {
        let listing = sample();
        let has = |name: &str| listing.has_at_or_below(&RelPath::new(name).expect("a path"));
        assert!(has("a b") && has("l"));
        assert!(!has("a") && !has("a c"));
    }
}
