//! Short tags that bind line numbers to the text in which they were counted.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;
use crate::path::RelPath;

/// The first 32 bits of a file's SHA-256, written as eight upper-case hexadecimal digits.
///
/// A listing with tags opens with `[path#TAG]`, and below it each line stands behind its number:
/// `12:text`. An edit that names lines by their numbers carries the tag of the listing from which
/// it took them, and lands only in a file of the same tag.
///
/// ```
/// use patchcore::rebase::Tag;
/// use patchcore::{Digest, RelPath};
/// let tag = Tag::of(b"one\ntwo\n");
/// assert_eq!(tag.header(&RelPath::new("a.txt")?), format!("[a.txt#{tag}]"));
/// assert_eq!(tag.to_string().parse(), Ok(tag));
/// assert!(tag.names(&Digest::of(b"one\ntwo\n")));
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(u32);

impl Tag {
    /// How many hexadecimal digits a tag has.
    pub const DIGITS: usize = 8;

    /// The tag of a file with these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from(&Digest::of(bytes))
    }

    /// Whether a file with this hash has the tag.
    #[must_use]
    pub fn names(self, digest: &Digest) -> bool {
        self == Self::from(digest)
    }

    /// The line above a listing: `[path#TAG]`, without a line ending. A path that git quotes in
    /// diffs is quoted in the same way.
    #[must_use]
    pub fn header(self, path: &RelPath) -> String {
        let quoted = crate::path::quote(path.as_bytes());
        format!("[{}#{self}]", String::from_utf8_lossy(&quoted))
    }
}

impl From<&Digest> for Tag {
    fn from(digest: &Digest) -> Self {
        let bytes = digest.as_bytes();
        Self(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", self.0)
    }
}

/// Why a string is no [`Tag`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag is eight hexadecimal digits")]
pub struct InvalidTag;

impl FromStr for Tag {
    type Err = InvalidTag;

    /// Reads a tag in upper or lower case.
    fn from_str(text: &str) -> Result<Self, InvalidTag> {
        let is_tag = text.len() == Self::DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        let value = is_tag.then(|| u32::from_str_radix(text, 16).ok());
        value.flatten().map(Self).ok_or(InvalidTag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_start_of_the_hash_and_reads_back() {
        let digest = Digest::of(b"");
        let tag = Tag::from(&digest);
        assert_eq!(tag.to_string(), "E3B0C442");
        assert_eq!(tag, Tag::of(b""));
        assert_eq!("e3b0c442".parse(), Ok(tag));
        assert!(tag.names(&digest) && !tag.names(&Digest::of(b"\n")));
        for text in ["", "E3B0", "E3B0C4421", "+3B0C442", "E3B0C44G"] {
            assert_eq!(text.parse::<Tag>(), Err(InvalidTag), "{text}");
        }
    }

    #[test]
    fn a_header_quotes_what_git_quotes() {
        let tag = Tag::of(b"");
        let header = |path: &str| tag.header(&RelPath::new(path).unwrap());
        assert_eq!(header("a b/c]#d"), "[a b/c]#d#E3B0C442]");
        assert_eq!(header("a\nb"), "[\"a\\nb\"#E3B0C442]");
    }
}
