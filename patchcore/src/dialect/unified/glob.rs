//! `--include` and `--exclude`, with the globs of `git apply`: `*` and `?` also match `/`.

use super::super::Options;
use crate::path::{RelPath, glob};

/// Whether the options let a file be changed: the first list that matches decides, exclusions
/// first; with inclusions, what matches none is left out.
pub(super) fn wanted(path: &RelPath, options: &Options) -> bool {
    let matches = |globs: &[String]| {
        globs
            .iter()
            .any(|glob| glob::matches(glob.as_bytes(), path.as_bytes()))
    };
    !matches(&options.exclude) && (options.include.is_empty() || matches(&options.include))
}
