//! What git tracks: it ignores nothing of that, whatever its ignore files say.

use crate::path::RelPath;

/// The names of the files in an index of git, in order.
#[derive(Debug)]
pub(super) struct Tracked(Vec<Vec<u8>>);

impl Tracked {
    /// Reads an index; `None` where it is none that git writes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        // The length of hashes stands in the repository's configuration alone.
        [20, 32]
            .into_iter()
            .find_map(|hash| names(bytes, hash))
            .map(Self)
    }

    /// Whether a file, or a file in a directory, is tracked; the path is as the repository has it.
    pub(super) fn has_at_or_below(&self, path: &[u8]) -> bool {
        let has = |sought: &[u8], is_it: fn(&[u8], &[u8]) -> bool| {
            let at = self.0.partition_point(|name| &name[..] < sought);
            self.0.get(at).is_some_and(|name| is_it(name, sought))
        };
        has(path, |name, sought| name == sought)
            || has(&[path, b"/"].concat(), |name, sought| {
                name.starts_with(sought)
            })
    }

    /// As [`has_at_or_below`](Self::has_at_or_below), for a path of a tree that has the repository in
    /// a directory; `None` stands for the root.
    pub(super) fn has(&self, repository: Option<&RelPath>, path: &RelPath) -> bool {
        let path = path.as_bytes();
        let below = match repository {
            None => Some(path),
            Some(repository) => {
                (path.strip_prefix(repository.as_bytes())).and_then(|rest| rest.strip_prefix(b"/"))
            }
        };
        below.is_some_and(|path| self.has_at_or_below(path))
    }
}

/// The names in an index whose hashes have so many bytes.
fn names(bytes: &[u8], hash: usize) -> Option<Vec<Vec<u8>>> {
    /// What is known of a file, in front of its hash.
    const STAT: usize = 40;
    const EXTENDED: u16 = 0x4000;
    /// How many times its own length the names of an index may take: version 4 leaves out what a name
    /// shares with the one before, so that names made for it could take all memory. An entry has 65
    /// bytes or more, so that names of 1,000 bytes on average pass.
    const MOST: usize = 16;
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (version, count) = (number(4)?, number(8)?);
    if !bytes.starts_with(b"DIRC") || !(2..=4).contains(&version) {
        return None;
    }
    let mut names: Vec<Vec<u8>> = Vec::new();
    let (mut at, mut total) = (12, 0);
    for _ in 0..count {
        let start = at;
        let flags = bytes.get(start + STAT + hash..start + STAT + hash + 2)?;
        let is_extended = u16::from_be_bytes(flags.try_into().ok()?) & EXTENDED != 0;
        at += STAT + hash + if is_extended { 4 } else { 2 };
        let mut name = Vec::new();
        if version == 4 {
            let (dropped, behind) = varint(bytes, at)?;
            let last = names.last().map_or(&[][..], Vec::as_slice);
            name.extend_from_slice(&last[..last.len().checked_sub(dropped)?]);
            at = behind;
        }
        let rest = bytes.get(at..)?;
        let length = crate::bytes::find(0, rest)?;
        name.extend_from_slice(&rest[..length]);
        at += length + 1;
        if version < 4 {
            at = start + (at - start).next_multiple_of(8);
        }
        total += name.len();
        let is_in_order = names.last().is_none_or(|last| *last <= name);
        (is_in_order && !name.is_empty() && total / MOST <= bytes.len())
            .then(|| names.push(name))?;
    }
    (bytes.len() >= at + hash).then_some(names)
}

/// A number as git writes offsets, and where it ends.
fn varint(bytes: &[u8], mut at: usize) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    loop {
        let byte = *bytes.get(at)?;
        at += 1;
        value = value
            .checked_mul(128)?
            .checked_add(usize::from(byte & 127))?;
        if byte & 128 == 0 {
            return Some((value, at));
        }
        value += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_has_not_written_is_no_index() {
        let header = |count: u8| [b"DIRC\0\0\0\x02\0\0\0".as_slice(), &[count]].concat();
        let none = Tracked::parse(&[header(0), vec![0; 20]].concat()).unwrap();
        assert!(!none.has_at_or_below(b"a"));
        for bytes in [
            Vec::new(),
            header(0),
            [header(1), vec![0; 100]].concat(),
            [header(255), vec![b'a'; 500]].concat(),
            b"DIRC\0\0\0\x04\xff\xff\xff\xff".to_vec(),
        ] {
            assert!(Tracked::parse(&bytes).is_none(), "{bytes:?}");
        }
        // Each name is the one before and a letter.
        let growing = |count: u32| {
            let entry = [&[0; 62][..], b"\0x\0"].concat();
            let entries = entry.repeat(count as usize);
            let header = [&b"DIRC\0\0\0\x04"[..], &count.to_be_bytes()].concat();
            Tracked::parse(&[header, entries, vec![0; 20]].concat())
        };
        assert!(growing(500).is_some_and(|names| names.has_at_or_below(&[b'x'; 500])));
        assert!(growing(5000).is_none());
        assert_eq!(varint(&[0x80, 0x00], 0), Some((128, 2)));
        assert_eq!(varint(&[0xff; 30], 0), None);
    }
}
