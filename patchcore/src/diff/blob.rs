//! The names that git gives to contents.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// The name that git gives to the content of a file, as the `index` line of a diff has it: whole (40
/// digits by SHA-1, 64 by SHA-256), or cut to seven digits at least.
///
/// ```
/// use patchcore::diff::BlobName;
/// let name: BlobName = "e69de29".parse()?;
/// assert!(name.is_of(b""));
/// assert!("0000000".parse::<BlobName>().is_err(), "that stands for no file");
/// # Ok::<(), patchcore::diff::InvalidBlobName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BlobName(String);

/// Why a string is no [`BlobName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the name of a blob is 7 to 64 hexadecimal digits, not all of them 0")]
pub struct InvalidBlobName;

impl BlobName {
    /// Fewest digits: git cuts no name further by itself.
    const FEWEST: usize = 7;
    const MOST: usize = 64;

    /// The whole name of bytes, by SHA-1.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(blob_name(bytes, 40).expect("git has names of 40 digits"))
    }

    /// Whether the bytes have this name, in either hash.
    #[must_use]
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        [40, 64].iter().any(|&digits| {
            let name = blob_name(bytes, digits);
            name.is_some_and(|name| name.starts_with(&self.0))
        })
    }

    /// Whether it may be the name of several contents.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        !matches!(self.0.len(), 40 | 64)
    }
}

impl FromStr for BlobName {
    type Err = InvalidBlobName;

    fn from_str(name: &str) -> Result<Self, InvalidBlobName> {
        let digits = name.as_bytes();
        let is_name = (Self::FEWEST..=Self::MOST).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_hexdigit)
            && digits.iter().any(|digit| *digit != b'0');
        match is_name {
            true => Ok(Self(name.to_ascii_lowercase())),
            false => Err(InvalidBlobName),
        }
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The blob name of bytes, in the hash that a full name of this many digits is of.
pub(crate) fn blob_name(bytes: &[u8], digits: usize) -> Option<String> {
    let header = format!("blob {}\0", bytes.len());
    match digits {
        40 => {
            let mut hasher = sha1_smol::Sha1::new();
            hasher.update(header.as_bytes());
            hasher.update(bytes);
            Some(hasher.digest().to_string())
        }
        64 => {
            let mut hasher = Sha256::new();
            hasher.update(header.as_bytes());
            hasher.update(bytes);
            let hex = |byte: &u8| format!("{byte:02x}");
            Some(hasher.finalize().iter().map(hex).collect())
        }
        _ => None,
    }
}

/// The start of a blob name, as an `index` line has it.
pub(super) fn short_name(bytes: &[u8]) -> String {
    let mut name = blob_name(bytes, 40).expect("git has names of 40 digits");
    name.truncate(7);
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_names_are_gits() {
        assert_eq!(
            blob_name(b"", 40).unwrap(),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        assert_eq!(
            blob_name(b"", 64).unwrap(),
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
        );
        assert_eq!(blob_name(b"", 7), None);
        assert_eq!(short_name(b"target1"), "12a8d8a");
    }
}
