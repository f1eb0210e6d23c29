//! codex's `apply_patch` envelope, all or nothing.
//!
//! A chunk's old lines are looked for behind the chunk before it, and behind its `@@` anchors if
//! it has any. Where codex takes the first match, this takes the only one: among several, the only
//! one in the block that the anchor opens (by indentation), else the chunk is refused. `*** End of
//! File` ties a chunk to the end. A chunk without old lines goes to the end of the file if it has
//! no anchor, and is refused if it has one, which codex would not look at.
//!
//! An envelope may come as it is, with prose, fences and a shell's command around it, or as an
//! argument of that command; [`calls`](super::calls) reads those in the JSON of a tool call.
//!
//! Names in an envelope behind `cd DIRECTORY && apply_patch <<` are from that directory on.
//!
//! As in codex, `*** Add File` replaces a file that is there, and an added file ends in a newline;
//! `*** Move to` onto a file that exists is refused unless the operator lets it be overwritten. (The TypeScript program before it left that out; its envelopes look the same,
//! so nothing tells which was meant.) Lines that a chunk keeps are kept as the file has them; so is
//! a last line without a newline, to which codex adds one. See `codex-rs/apply-patch` in
//! openai/codex.

mod command;
mod lower;
mod parse;

use std::collections::BTreeSet;

use super::{Options, Unread};
use crate::digest::Digest;
use crate::error::Refusal;
use crate::path::RelPath;
use crate::plan::{Lowered, Script, Tree};
use crate::text::split_lines;

pub(super) use command::{Beside, beside, not_unquoted, unquoted};
pub(super) use parse::{BEGIN, is_root};

/// Reads an envelope, or a command that has one as its argument.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    options: &Options,
) -> Result<Box<dyn Script + 'a>, Unread> {
    let argument = std::str::from_utf8(bytes).ok().and_then(unquoted);
    let Some(envelope) = argument else {
        return Ok(Box::new(parse::parse(bytes, options)?));
    };
    parse::parse(envelope.as_bytes(), options)
        .map_err(|unread| unread.moved(|line| command::place(bytes, &envelope, line), bytes))?;
    Ok(Box::new(Argument {
        envelope,
        options: options.clone(),
    }))
}

/// Whether JSON with these keys may be a call with an envelope, and no other dialect's.
pub(super) fn may_be_called(body: &[u8], has: impl Fn(&str) -> bool) -> bool {
    let ours = [
        "input",
        "patch",
        "patchText",
        "patch_text",
        "arguments",
        "command",
        "cmd",
    ];
    let others = [
        "operations",
        "documentChanges",
        "changes",
        "edits",
        "path",
        "file_path",
        "content",
        "old_str",
        "old_string",
        "oldText",
        "old_text",
    ];
    ours.into_iter().any(&has)
        && !others.into_iter().any(&has)
        && memchr::memmem::find(body, BEGIN).is_some()
}

/// Whether a line opens an envelope.
pub(super) fn opens(bytes: &[u8]) -> bool {
    split_lines(bytes).any(|line| line.trim_ascii() == BEGIN)
}

/// An envelope of its own, taken out of a command.
struct Argument {
    envelope: String,
    options: Options,
}

impl Argument {
    fn parsed(&self) -> Codex<'_> {
        parse::parse(self.envelope.as_bytes(), &self.options).expect("it was read before")
    }
}

impl Script for Argument {
    fn paths(&self) -> Vec<RelPath> {
        self.parsed().paths()
    }

    fn sources(&self) -> Vec<RelPath> {
        self.parsed().sources()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        Ok(lower::lower(&self.parsed(), tree).into())
    }
}

/// A parsed envelope.
pub(super) struct Codex<'a> {
    hunks: Vec<FileHunk<'a>>,
    allow_omission: bool,
    max_growth: Option<u64>,
    strict: bool,
    content: Digest,
}

/// What the envelope does to one file.
struct FileHunk<'a> {
    path: RelPath,
    action: FileAction<'a>,
}

enum FileAction<'a> {
    Add(Vec<u8>),
    Delete,
    Update {
        to: Option<RelPath>,
        chunks: Vec<Chunk<'a>>,
    },
}

/// A line of a chunk: what becomes of it, and its text.
type ChunkLine<'a> = (Role, &'a [u8]);

/// A run of changed lines with context.
struct Chunk<'a> {
    /// The line of the patch where it starts, from 1.
    line: usize,
    anchors: Vec<&'a [u8]>,
    lines: Vec<ChunkLine<'a>>,
    end_of_file: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Context,
    Removed,
    Added,
}

impl Script for Codex<'_> {
    fn paths(&self) -> Vec<RelPath> {
        let mut paths = BTreeSet::new();
        for hunk in &self.hunks {
            paths.insert(&hunk.path);
            if let FileAction::Update { to: Some(to), .. } = &hunk.action {
                paths.insert(to);
            }
        }
        paths.into_iter().cloned().collect()
    }

    fn sources(&self) -> Vec<RelPath> {
        let paths: BTreeSet<&RelPath> = self.hunks.iter().map(|hunk| &hunk.path).collect();
        paths.into_iter().cloned().collect()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        Ok(lower::lower(self, tree).into())
    }
}
