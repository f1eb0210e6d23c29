//! Reads the envelope.

use std::os::unix::ffi::OsStrExt as _;

use super::{Chunk, Codex, FileAction, FileHunk, Role, command};
use crate::dialect::{Options, beneath_root, detect};
use crate::digest::Digest;
use crate::error::{Code, Hint, Refusal, excerpt};
use crate::path::RelPath;
use crate::text::{split_lines, trim_ending};

pub(in crate::dialect) const BEGIN: &[u8] = b"*** Begin Patch";
const END: &[u8] = b"*** End Patch";

/// Reads every envelope among the bytes; what stands around them is prose.
pub(super) fn parse<'a>(bytes: &'a [u8], options: &Options) -> Result<Codex<'a>, Refusal> {
    let body = bytes.strip_prefix(crate::text::BOM).unwrap_or(bytes);
    let lines: Vec<&[u8]> = split_lines(body).map(trim_ending).collect();
    let mut reader = Reader {
        lines,
        at: 0,
        options,
        directory: Vec::new(),
        hunks: Vec::new(),
    };
    let mut envelopes = 0;
    while let Some(line) = reader.peek() {
        match line.trim_ascii() {
            BEGIN => {
                reader.directory = reader.directory_of_command()?;
                reader.at += 1;
                reader.envelope()?;
                envelopes += 1;
                continue;
            }
            END => {
                return Err(
                    reader.invalid("\"*** End Patch\" without \"*** Begin Patch\" above it")
                );
            }
            b"" => {}
            _ if options.strict => {
                return Err(reader
                    .invalid("text around the patch is not allowed in strict mode")
                    .with_hint(Hint::Lenient));
            }
            _ => {
                let next = reader.lines.get(reader.at + 1).copied().unwrap_or_default();
                if let Some(other) = detect::mark(line, next) {
                    return Err(reader.invalid(format!(
                        "a {other} patch together with the codex patch; send them separately"
                    )));
                }
            }
        }
        reader.at += 1;
    }
    if envelopes == 0 {
        return Err(Refusal::new(
            Code::InvalidBatch,
            "the patch has no \"*** Begin Patch\" line",
        ));
    }
    if reader.hunks.is_empty() {
        return Err(Refusal::new(
            Code::InvalidBatch,
            "the patch changes no file",
        ));
    }
    Ok(Codex {
        hunks: reader.hunks,
        allow_omission: options.allow_omission,
        strict: options.strict,
        content: Digest::of(bytes),
    })
}

struct Reader<'a, 'o> {
    lines: Vec<&'a [u8]>,
    at: usize,
    options: &'o Options,
    /// What goes before the relative names in the envelope: nothing, or a directory and its `/`.
    directory: Vec<u8>,
    hunks: Vec<FileHunk<'a>>,
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.lines.get(self.at).copied()
    }

    fn invalid(&self, message: impl std::fmt::Display) -> Refusal {
        Refusal::new(
            Code::InvalidBatch,
            format!("line {} of the patch: {message}", self.at + 1),
        )
    }

    fn envelope(&mut self) -> Result<(), Refusal> {
        self.environment()?;
        loop {
            let Some(line) = self.peek() else {
                return Err(self.invalid("the patch ends without \"*** End Patch\""));
            };
            let header = line.trim_ascii();
            if header == END {
                self.at += 1;
                return Ok(());
            }
            if header.is_empty() {
                self.at += 1;
                continue;
            }
            let value = |prefix: &[u8]| header.strip_prefix(prefix).map(<[u8]>::trim_ascii);
            if self.options.strict && line != header {
                return Err(self
                    .invalid("white space before a header is not allowed in strict mode")
                    .with_hint(Hint::Lenient));
            }
            if let Some(name) = value(b"*** Add File:") {
                let path = self.path(name)?;
                self.at += 1;
                let content = self.added()?;
                self.hunks.push(FileHunk {
                    path,
                    action: FileAction::Add(content),
                });
            } else if let Some(name) = value(b"*** Delete File:") {
                let path = self.path(name)?;
                self.at += 1;
                self.hunks.push(FileHunk {
                    path,
                    action: FileAction::Delete,
                });
            } else if let Some(name) = value(b"*** Update File:") {
                let path = self.path(name)?;
                self.at += 1;
                self.update(path)?;
            } else {
                return Err(self.invalid(format!(
                    "{:?} is not a header; a file starts with \"*** Add File: \", \"*** Delete File: \" or \"*** Update File: \"",
                    excerpt(header, 80)
                )));
            }
        }
    }

    /// The directory that the shell command on the line above the envelope changes to.
    fn directory_of_command(&self) -> Result<Vec<u8>, Refusal> {
        let back = |lines| {
            let line = self.at.checked_sub(lines).and_then(|at| self.lines.get(at));
            line.copied().unwrap_or_default()
        };
        let named = match command::directory(back(1), back(2)) {
            Ok(named) => named,
            Err(command::NotUnderstood) => {
                return Err(Refusal::new(
                    Code::InvalidBatch,
                    format!(
                        "line {} of the patch: a command changes the directory for the patch, in another way than \"cd DIRECTORY && apply_patch <<\"; send the patch alone, with names from the root",
                        self.at
                    ),
                ));
            }
        };
        if command::runs_more(back(1)) {
            return Err(Refusal::new(
                Code::InvalidBatch,
                format!(
                    "line {} of the patch: the command runs more than apply_patch, which is not run here; send the patch alone",
                    self.at
                ),
            ));
        }
        if let Some(other) = command::neighbour(&self.lines, self.at) {
            return Err(Refusal::new(
                Code::InvalidBatch,
                format!(
                    "line {} of the patch: the command {:?} beside apply_patch changes files, too, and is not run here; send the patch alone",
                    self.at,
                    excerpt(other, 80)
                ),
            ));
        }
        let Some(named) = named else {
            return Ok(Vec::new());
        };
        let beneath = match named {
            b"." | b"./" => return Ok(Vec::new()),
            _ if is_root(named, self.options) => return Ok(Vec::new()),
            _ => RelPath::new(beneath_root(named, self.options))?,
        };
        Ok([beneath.as_bytes(), b"/"].concat())
    }

    fn path(&self, name: &[u8]) -> Result<RelPath, Refusal> {
        if name.starts_with(b"/") || name.is_empty() {
            return RelPath::new(beneath_root(name, self.options));
        }
        let name = name.strip_prefix(b"./").unwrap_or(name);
        RelPath::new([&self.directory, name].concat())
    }

    /// The line that says to which of codex's environments the envelope goes, first in it. Where
    /// that is has been settled by whoever applies it here.
    fn environment(&mut self) -> Result<(), Refusal> {
        let id = self
            .peek()
            .and_then(|line| line.trim_ascii().strip_prefix(b"*** Environment ID:"));
        match id.map(<[u8]>::trim_ascii) {
            Some(b"") => Err(self.invalid("the environment's id is empty")),
            Some(_) => {
                self.at += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The lines of a new file, each behind a `+`.
    fn added(&mut self) -> Result<Vec<u8>, Refusal> {
        let mut content = Vec::new();
        while let Some(line) = self.peek() {
            match line {
                [b'+', text @ ..] => {
                    content.extend_from_slice(text);
                    content.push(b'\n');
                }
                _ if line.trim_ascii().is_empty()
                    || line.trim_ascii_start().starts_with(b"***") =>
                {
                    break;
                }
                _ => return Err(self.invalid("a line of a new file starts with '+'")),
            }
            self.at += 1;
        }
        Ok(content)
    }

    fn update(&mut self, path: RelPath) -> Result<(), Refusal> {
        let to = match self
            .peek()
            .and_then(|line| line.strip_prefix(b"*** Move to:"))
        {
            Some(name) => {
                let to = self.path(name.trim_ascii())?;
                self.at += 1;
                Some(to)
            }
            None => None,
        };
        let mut chunks: Vec<Chunk<'a>> = Vec::new();
        while let Some(line) = self.peek() {
            if is_header(&self.lines, self.at) {
                break;
            }
            if line.trim_ascii().is_empty() && self.only_blank_before_header() {
                while self.peek().is_some_and(|line| line.trim_ascii().is_empty()) {
                    self.at += 1;
                }
                continue;
            }
            chunks.push(self.chunk(chunks.is_empty())?);
        }
        if chunks.is_empty() && (to.is_none() || self.options.strict) {
            return Err(self.invalid(format!("the update of {path} has no lines")));
        }
        self.hunks.push(FileHunk {
            path,
            action: FileAction::Update { to, chunks },
        });
        Ok(())
    }

    fn chunk(&mut self, first: bool) -> Result<Chunk<'a>, Refusal> {
        let start = self.at + 1;
        let mut anchors = Vec::new();
        let mut marked = false;
        while let Some(line) = self.peek() {
            let Some(rest) = line.strip_prefix(b"@@") else {
                break;
            };
            marked = true;
            self.at += 1;
            let anchor = rest.strip_prefix(b" ").unwrap_or(rest).trim_ascii_end();
            if is_ranges(anchor) || anchor.is_empty() || anchor == b"@@" {
                if !anchor.is_empty() && self.options.strict {
                    return Err(self
                        .invalid("line numbers in a chunk header are not allowed in strict mode")
                        .with_hint(Hint::Lenient));
                }
                continue;
            }
            anchors.push(anchor.strip_suffix(b" @@").unwrap_or(anchor));
        }
        if !marked && !first {
            return Err(self.invalid("a chunk starts with a line \"@@\""));
        }
        let mut lines: Vec<(Role, &'a [u8])> = Vec::new();
        let mut end_of_file = false;
        while let Some(line) = self.peek() {
            if line.trim_ascii_end() == b"*** End of File" {
                end_of_file = true;
                self.at += 1;
                break;
            }
            if line.starts_with(b"@@") || is_header(&self.lines, self.at) {
                break;
            }
            lines.push(match line {
                [] => (Role::Context, line),
                [b' ', text @ ..] => (Role::Context, text),
                [b'-', text @ ..] => (Role::Removed, text),
                [b'+', text @ ..] => (Role::Added, text),
                _ if lines.is_empty() || self.options.strict => {
                    return Err(self.invalid(format!(
                        "{:?} starts with none of ' ', '-' and '+'",
                        excerpt(line, 80)
                    )));
                }
                // The space of a kept line was left out.
                _ => (Role::Context, line),
            });
            self.at += 1;
        }
        // Empty lines before the next header only set it off.
        if !end_of_file {
            let read = &self.lines[..self.at];
            let blank = read.iter().rev().take_while(|line| line.is_empty()).count();
            lines.truncate(lines.len() - blank.min(lines.len().saturating_sub(1)));
        }
        if lines.is_empty() {
            return Err(Refusal::new(
                Code::InvalidBatch,
                format!("line {start} of the patch: the chunk has no lines"),
            ));
        }
        Ok(Chunk {
            line: start,
            anchors,
            lines,
            end_of_file,
        })
    }

    fn only_blank_before_header(&self) -> bool {
        let rest = self.lines.iter().enumerate().skip(self.at);
        let mut rest = rest.filter(|(_, line)| !line.trim_ascii().is_empty());
        rest.next()
            .is_none_or(|(at, line)| line.starts_with(b"@@") || is_header(&self.lines, at))
    }
}

/// Whether an absolute path is the root's own.
pub(in crate::dialect) fn is_root(path: &[u8], options: &Options) -> bool {
    options.root.as_ref().is_some_and(|root| {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        path == root.as_os_str().as_bytes()
    })
}

/// Whether a line among those of an update ends it. One that is indented is a line of the file
/// which looks like a header, but for an indented end of the envelope that has no other end.
fn is_header(lines: &[&[u8]], at: usize) -> bool {
    let line = lines[at];
    if line.starts_with(b"*** ") {
        return line.trim_ascii_end() != b"*** End of File";
    }
    line.trim_ascii() == END
        && !lines[at + 1..]
            .iter()
            .take_while(|line| line.trim_ascii_end() != BEGIN)
            .any(|line| line.trim_ascii() == END)
}

/// Whether an anchor is a unified diff's line numbers.
fn is_ranges(anchor: &[u8]) -> bool {
    let Some(rest) = anchor.strip_prefix(b"-") else {
        return false;
    };
    let digits = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit() || **byte == b',')
        .count();
    digits > 0
        && rest[digits..].trim_ascii_start().starts_with(b"+")
        && anchor.windows(2).any(|pair| pair == b"@@")
}
