//! Search/replace blocks: aider's, Cline's and Roo's.
//!
//! A block's file is named above it, above or inside its fence, on the fence's own line, or in a
//! block before it, unless prose above it speaks of another. A name that may be prose creates no
//! file. Cline and Roo send it beside the patch, as [`file`](super::Options::file) does here, and
//! then names in the patch are not looked at.
//!
//! The lines to search must stand at exactly one place, on the first
//! rung of the ladder on which they stand at all; none of the three tools' similarity matching is
//! done. Roo's `:start_line:` decides between several exact places, if one of them starts there.
//! Lines that all bear their number, and a `-------` at the top without a line number above it, are
//! looked for as they are, then without.
//!
//! An empty search creates a file, or fills an empty one; Cline's overwriting of a whole file by
//! it is refused. aider's `...` lines in both halves stand for whatever is between.

mod lower;
mod names;
mod parse;

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::Refusal;
use crate::path::RelPath;
use crate::plan::{Lowered, Script, Tree};

pub(super) use parse::parse;

/// Parsed blocks.
pub(super) struct SearchReplace {
    blocks: Vec<Block>,
    all: bool,
    strict: bool,
    allow_omission: bool,
    max_growth: Option<u64>,
    content: Digest,
}

/// One block.
struct Block {
    /// The line of the patch where it starts, from 1.
    line: usize,
    path: RelPath,
    /// Files that may be meant as well.
    rivals: Vec<RelPath>,
    /// Its lines as they are.
    verbatim: Reading,
    /// Its lines without marks of Roo's that may as well be the file's text, if it has any.
    bare: Option<Reading>,
}

/// What the lines of a block say.
struct Reading {
    /// The line, from 1, where the lines to search start.
    start_line: Option<u64>,
    search: Vec<u8>,
    replace: Vec<u8>,
}

impl Script for SearchReplace {
    fn paths(&self) -> Vec<RelPath> {
        let blocks = self.blocks.iter();
        let paths = blocks.flat_map(|block| {
            // A file is often called by its name alone beside another of its directory.
            let parent = block.path.parent();
            let beside = block.rivals.iter().filter_map(move |rival| {
                let path = [parent.as_ref()?.as_bytes(), b"/", rival.as_bytes()].concat();
                RelPath::new(&path).ok()
            });
            let own = std::iter::once(&block.path).chain(&block.rivals);
            own.cloned().chain(beside)
        });
        let paths: BTreeSet<RelPath> = paths.collect();
        paths.into_iter().collect()
    }

    fn mentions(&self) -> Vec<RelPath> {
        let rivals = self.blocks.iter().flat_map(|block| &block.rivals);
        let rivals: BTreeSet<&RelPath> = rivals.collect();
        rivals.into_iter().cloned().collect()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        Ok(lower::lower(self, tree).into())
    }
}
