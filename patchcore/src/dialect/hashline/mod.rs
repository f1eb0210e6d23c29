//! Hashline: lines by their numbers, under the tag of the listing that counted them.
//!
//! A section opens with `[path#TAG]`, as a listing with tags does ([`Tag`]), and holds commands:
//!
//! | command | means |
//! |---|---|
//! | `SWAP 4.=6:` or `PUT 4.=6:` | the lines give way to the rows below |
//! | `DEL 4.=6` or `CUT 4.=6` | the lines go |
//! | `INS.PRE 4:` or `PUT <4:` | the rows come before the line |
//! | `INS.POST 4:` or `PUT >4:` | the rows come behind the line |
//! | `INS.HEAD:`, `INS.TAIL:` | the rows come at the start or the end of the file |
//! | `REM` | the file goes |
//! | `MV path` | the file is renamed |
//!
//! A row is `+` and the new line. Numbers speak of the file before the patch. The format is that
//! of oh-my-pi; commands that name a block by its first line need a parser of the file's language
//! and are refused, and so are registers.
//!
//! A tag of eight digits guards every command of its section like a hash of the file. One of four
//! digits, as other tools print them, and none at all guard nothing: the commands are then as
//! unguarded as any bare line number.

mod lower;
mod parse;
mod words;

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::Refusal;
use crate::path::RelPath;
use crate::plan::{Lowered, Script, Tree};
use crate::rebase::Tag;

pub(super) use parse::parse;

/// A parsed patch.
pub(super) struct Hashline {
    sections: Vec<Section>,
    content: Digest,
}

/// What is done to one file.
struct Section {
    path: RelPath,
    tag: Tagged,
    commands: Vec<Command>,
}

/// The tag of a section's header.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tagged {
    /// It names the bytes of the file.
    By(Tag),
    /// It is another tool's, or there is none.
    Foreign(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Command {
    /// Lines, both inclusive, give way to others; none deletes.
    Swap {
        first: u64,
        last: u64,
        rows: Vec<u8>,
    },
    Before {
        line: u64,
        rows: Vec<u8>,
    },
    Behind {
        line: u64,
        rows: Vec<u8>,
    },
    Head(Vec<u8>),
    Tail(Vec<u8>),
    Remove,
    Move(RelPath),
}

impl Script for Hashline {
    fn paths(&self) -> Vec<RelPath> {
        let mut paths = BTreeSet::new();
        for section in &self.sections {
            paths.insert(&section.path);
            for command in &section.commands {
                if let Command::Move(to) = command {
                    paths.insert(to);
                }
            }
        }
        paths.into_iter().cloned().collect()
    }

    fn sources(&self) -> Vec<RelPath> {
        let paths: BTreeSet<&RelPath> = self.sections.iter().map(|one| &one.path).collect();
        paths.into_iter().cloned().collect()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        Ok(lower::lower(self, tree).into())
    }
}

/// Whether a line opens a section, given the line below it, which has to be a command.
pub(super) fn opens(line: &[u8], next: &[u8]) -> bool {
    let text = |line| std::str::from_utf8(line).ok();
    let header = text(line).and_then(words::header);
    header.is_some() && text(next).is_some_and(|next| words::verb(next).is_some())
}

/// Whether an envelope holds sections, and not the hunks of another format.
pub(super) fn is_in_envelope(next: &[u8]) -> bool {
    let header = std::str::from_utf8(next).ok().and_then(words::header);
    header.is_some_and(|header| header.tag.is_some())
}

/// Whether a text has a line that opens a section.
pub(super) fn is_in(text: &str) -> bool {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        if line.starts_with('[') && opens(line.as_bytes(), next.as_bytes()) {
            return true;
        }
    }
    false
}
