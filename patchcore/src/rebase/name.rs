//! By what senders name the state of a file that their edits were made for.

use std::fmt;

use super::tag::Tag;
use crate::diff::BlobName;
use crate::digest::Digest;

/// By what a base is known.
///
/// ```
/// use patchcore::rebase::BaseName;
/// let by_git: BaseName = "e69de29".parse()?;
/// assert!(by_git.is_of(b""));
/// assert!(BaseName::Content(patchcore::Digest::of(b"one")).is_of(b"one"));
/// # Ok::<(), patchcore::rebase::InvalidBaseName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BaseName {
    /// The SHA-256 of its bytes.
    Content(Digest),
    /// What git calls it, as the `index` line of a diff does.
    Blob(BlobName),
    /// The start of its SHA-256, as a listing with tags has it.
    Tag(Tag),
}

/// Why a string is no [`BaseName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a base is \"sha256:\" and 64 hexadecimal digits, or the 7 to 64 of git's name of a blob")]
pub struct InvalidBaseName;

impl BaseName {
    /// Whether the bytes have this name.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Content(digest) => Digest::of(bytes) == *digest,
            Self::Blob(name) => name.is_of(bytes),
            Self::Tag(tag) => *tag == Tag::of(bytes),
        }
    }

    /// Whether bytes with this hash may have the name.
    #[cfg(feature = "workspace")]
    pub(crate) fn may_be(&self, digest: &Digest) -> bool {
        match self {
            Self::Content(wanted) => wanted == digest,
            Self::Blob(_) => true,
            Self::Tag(tag) => tag.names(digest),
        }
    }

    /// Whether several contents may have the name.
    #[cfg(feature = "workspace")]
    pub(crate) fn is_cut(&self) -> bool {
        match self {
            Self::Content(_) => false,
            Self::Blob(name) => name.is_cut(),
            Self::Tag(_) => true,
        }
    }
}

/// Reads a whole hash or git's name; a tag looks like the latter.
impl std::str::FromStr for BaseName {
    type Err = InvalidBaseName;

    fn from_str(text: &str) -> Result<Self, InvalidBaseName> {
        let blob = |_| text.parse().map(Self::Blob);
        let content = text.parse().map(Self::Content);
        content.or_else(blob).map_err(|_| InvalidBaseName)
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(digest) => digest.fmt(f),
            Self::Blob(name) => name.fmt(f),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}
