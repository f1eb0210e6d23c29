//! The names that git gives to contents.

use sha2::{Digest as _, Sha256};

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
