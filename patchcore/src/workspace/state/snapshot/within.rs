//! A part of the tree: some paths, what lies below them, and what they lie in.

use std::collections::BTreeSet;

use super::Listing;
use crate::path::RelPath;

/// Some paths, what lies below them, and what they lie in.
#[derive(Debug, Default)]
pub(crate) struct Within {
    paths: BTreeSet<RelPath>,
    above: BTreeSet<RelPath>,
}

impl Within {
    pub(crate) fn new(paths: &[RelPath]) -> Self {
        let mut above = BTreeSet::new();
        for path in paths {
            let mut directory = path.parent();
            while let Some(path) = directory {
                directory = path.parent();
                if !above.insert(path) {
                    break;
                }
            }
        }
        Self {
            paths: paths.iter().cloned().collect(),
            above,
        }
    }

    /// Whether a path is one of them, lies below one, or is a directory that one lies in.
    pub(crate) fn covers(&self, path: &RelPath) -> bool {
        let mut directories = std::iter::successors(Some(path.clone()), RelPath::parent);
        self.above.contains(path) || directories.any(|path| self.paths.contains(&path))
    }

    /// The part of a listing.
    pub(crate) fn part(&self, listing: &Listing) -> Listing {
        let files = listing.files.iter();
        let directories = listing.directories.iter();
        let left_out = listing.left_out.iter();
        Listing {
            began: listing.began,
            files: (files.filter(|(path, _)| self.covers(path)))
                .map(|(path, row)| (path.clone(), *row))
                .collect(),
            directories: (directories.filter(|(path, _)| self.covers(path)))
                .map(|(path, mode)| (path.clone(), *mode))
                .collect(),
            left_out: left_out.filter(|path| self.covers(path)).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_down_and_up_but_not_beside() {
        let path = |name: &str| RelPath::new(name).unwrap();
        let within = Within::new(&[path("a/b"), path("a/c/d")]);
        for name in ["a", "a/b", "a/b/x/y", "a/c", "a/c/d", "a/c/d/e"] {
            assert!(within.covers(&path(name)), "{name}");
        }
        for name in ["b", "a/x", "a/c/x", "ab"] {
            assert!(!within.covers(&path(name)), "{name}");
        }
    }
}
