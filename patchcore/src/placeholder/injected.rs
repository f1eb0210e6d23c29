//! What was injected before: by it an older prompt is told from an edit by hand.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// For each placeholder id, checksums of the comments that were ever injected for it.
///
/// The task manifest carries it, so that a fresh clone knows them too. A checksum is the first 16
/// hexadecimal digits of the SHA-256 of the comment's words, one blank between them: formatters
/// change white space.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Injected(BTreeMap<String, BTreeSet<String>>);

impl Injected {
    /// Whether nothing was ever injected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what another knows; whether that was more.
    pub fn merge(&mut self, other: Self) -> bool {
        let mut grown = false;
        for (id, sums) in other.0 {
            match self.0.get_mut(&id) {
                Some(known) => {
                    for sum in sums {
                        grown |= known.insert(sum);
                    }
                }
                None => {
                    grown |= !sums.is_empty();
                    self.0.insert(id, sums);
                }
            }
        }
        grown
    }

    pub(super) fn insert(&mut self, id: &str, comment: &str) {
        let sums = match self.0.get_mut(id) {
            Some(sums) => sums,
            None => self.0.entry(id.to_owned()).or_default(),
        };
        sums.insert(checksum(comment));
    }

    /// Each id with each of its checksums.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .flat_map(|(id, sums)| sums.iter().map(move |sum| (id.as_str(), sum.as_str())))
    }

    /// The checksums of what was injected for a placeholder.
    pub(super) fn sums(&self, id: &str) -> impl Iterator<Item = &str> {
        self.0.get(id).into_iter().flatten().map(String::as_str)
    }
}

/// The checksum of a comment's words.
pub(super) fn checksum(comment: &str) -> String {
    shortened(Digest::of(comment.as_bytes()))
}

/// The checksum of a comment whose words have a digest.
pub(super) fn shortened(digest: Digest) -> String {
    let mut hex = digest.to_hex();
    hex.truncate(16);
    hex
}
