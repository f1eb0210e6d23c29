//! Reads the envelope.

use std::os::unix::ffi::OsStrExt as _;

use super::{Chunk, ChunkLine, Codex, FileAction, FileHunk, Role, command};
use crate::dialect::unread::{AtLine, Misread, Misreads};
use crate::dialect::{Options, Unread, beneath_root, detect};
use crate::digest::Digest;
use crate::error::{Code, Refusal, excerpt};
use crate::path::RelPath;
use crate::text::{split_lines, trim_ending};

pub(in crate::dialect) const BEGIN: &[u8] = b"*** Begin Patch";
const END: &[u8] = b"*** End Patch";

/// Reads every envelope among the bytes; what stands around them is prose. Behind a fault it goes on
/// with the next chunk, file or envelope, so that one run tells every fault.
pub(super) fn parse<'a>(bytes: &'a [u8], options: &Options) -> Result<Codex<'a>, Unread> {
    let body = bytes.strip_prefix(crate::text::BOM).unwrap_or(bytes);
    let lines: Vec<&[u8]> = split_lines(body).map(trim_ending).collect();
    let mut reader = Reader {
        lines,
        at: 0,
        options,
        directory: Vec::new(),
        hunks: Vec::new(),
        faults: Misreads::default(),
    };
    let mut envelopes = 0;
    let mut in_prose = false;
    while let Some(line) = reader.peek() {
        let was_prose = std::mem::take(&mut in_prose);
        match line.trim_ascii() {
            BEGIN => {
                reader.envelope();
                envelopes += 1;
                continue;
            }
            END => {
                let fault =
                    reader.invalid("\"*** End Patch\" without \"*** Begin Patch\" above it");
                reader.faults.push(fault);
            }
            b"" => {}
            _ if options.strict => {
                // A paragraph is one fault.
                in_prose = true;
                if !was_prose {
                    let fault = reader
                        .invalid_strict("text around the patch is not allowed in strict mode");
                    reader.faults.push(fault);
                }
            }
            _ if reader.skip_other_dialect(line) => continue,
            _ => {}
        }
        reader.at += 1;
    }
    reader.faults.check(bytes)?;
    let nothing = |message| Err(Refusal::new(Code::InvalidBatch, message).into());
    if envelopes == 0 {
        return nothing("the patch has no \"*** Begin Patch\" line");
    }
    if reader.hunks.is_empty() {
        return nothing("the patch changes no file");
    }
    Ok(Codex {
        hunks: reader.hunks,
        allow_omission: options.allow_omission,
        max_growth: options.max_growth,
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
    faults: Misreads,
}

impl AtLine for Reader<'_, '_> {
    fn line(&self) -> usize {
        self.at
    }
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.lines.get(self.at).copied()
    }

    /// Records a patch of another dialect between envelopes and goes on at the next of them.
    fn skip_other_dialect(&mut self, line: &[u8]) -> bool {
        let next = self.lines.get(self.at + 1).copied().unwrap_or_default();
        let Some(other) = detect::mark(line, next) else {
            return false;
        };
        let fault = self.invalid(format!(
            "a {other} patch together with the codex patch; send them separately"
        ));
        self.faults.push(fault);
        self.skip_until(|line| line.trim_ascii() == BEGIN);
        true
    }

    /// Goes on from the first line, at or below the cursor, where the patch can be read again.
    fn skip_until(&mut self, is_start: impl Fn(&[u8]) -> bool) {
        let rest = self.lines.iter().skip(self.at);
        self.at += rest.take_while(|line| !is_start(line)).count();
    }

    /// The envelope whose first line is above the cursor.
    fn envelope(&mut self) {
        self.directory = self.directory_of_command().unwrap_or_else(|fault| {
            self.faults.push(fault);
            Vec::new()
        });
        self.at += 1;
        if let Err(fault) = self.environment() {
            self.faults.push(fault);
            self.at += 1;
        }
        loop {
            let Some(line) = self.peek() else {
                let fault = self.invalid("the patch ends without \"*** End Patch\"");
                return self.faults.push(fault);
            };
            let header = line.trim_ascii();
            if header == END {
                self.at += 1;
                return;
            }
            if header.is_empty() {
                self.at += 1;
                continue;
            }
            let start = self.at;
            if let Err(fault) = self.file(line, header) {
                self.faults.push(fault);
                self.at = self.at.max(start + 1);
                self.skip_until(|line| opens_file(line) || line.trim_ascii() == END);
            }
        }
    }

    /// What the header at the cursor says of a file, and the lines below it.
    fn file(&mut self, line: &[u8], header: &'a [u8]) -> Result<(), Misread> {
        let value = |prefix: &[u8]| header.strip_prefix(prefix).map(<[u8]>::trim_ascii);
        if self.options.strict && line != header {
            return Err(
                self.invalid_strict("white space before a header is not allowed in strict mode")
            );
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
        Ok(())
    }

    /// The directory that the shell command on the line above the envelope changes to.
    fn directory_of_command(&self) -> Result<Vec<u8>, Misread> {
        let back = |lines| {
            let line = self.at.checked_sub(lines).and_then(|at| self.lines.get(at));
            line.copied().unwrap_or_default()
        };
        let above = |refusal| Misread::new(self.at.saturating_sub(1), refusal);
        let invalid = |message: String| above(Refusal::new(Code::InvalidBatch, message));
        let named = match command::directory(back(1), back(2)) {
            Ok(named) => named,
            Err(command::NotUnderstood) => {
                return Err(invalid(
                    "a command changes the directory for the patch, in another way than \"cd DIRECTORY && apply_patch <<\"; send the patch alone, with names from the root".to_owned(),
                ));
            }
        };
        if command::runs_more(back(1)) {
            return Err(invalid(
                "the command runs more than apply_patch, which is not run here; send the patch alone".to_owned(),
            ));
        }
        if let Some(other) = command::neighbour(&self.lines, self.at) {
            return Err(invalid(format!(
                "the command {:?} beside apply_patch changes files, too, and is not run here; send the patch alone",
                excerpt(other, 80)
            )));
        }
        let Some(named) = named else {
            return Ok(Vec::new());
        };
        let beneath = match named {
            b"." | b"./" => return Ok(Vec::new()),
            _ if is_root(named, self.options) => return Ok(Vec::new()),
            _ => RelPath::new(beneath_root(named, self.options)).map_err(above)?,
        };
        Ok([beneath.as_bytes(), b"/"].concat())
    }

    fn path(&self, name: &[u8]) -> Result<RelPath, Misread> {
        let path = if name.starts_with(b"/") || name.is_empty() {
            RelPath::new(beneath_root(name, self.options))
        } else {
            let name = name.strip_prefix(b"./").unwrap_or(name);
            RelPath::new([&self.directory, name].concat())
        };
        path.map_err(|refusal| self.misread(refusal))
    }

    /// The line that says to which of codex's environments the envelope goes, first in it. Where
    /// that is has been settled by whoever applies it here.
    fn environment(&mut self) -> Result<(), Misread> {
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
    fn added(&mut self) -> Result<Vec<u8>, Misread> {
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

    fn update(&mut self, path: RelPath) -> Result<(), Misread> {
        let to = match self
            .peek()
            .and_then(|line| line.strip_prefix(b"*** Move to:"))
        {
            Some(name) => {
                let to = self.path(name.trim_ascii());
                let to = to.map_err(|fault| self.faults.push(fault)).ok();
                self.at += 1;
                to
            }
            None => None,
        };
        let mut chunks: Vec<Chunk<'a>> = Vec::new();
        let mut is_first = true;
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
            let start = self.at;
            match self.chunk(std::mem::take(&mut is_first)) {
                Ok(chunk) => chunks.push(chunk),
                Err(fault) => {
                    self.faults.push(fault);
                    self.at = self.at.max(start + 1);
                    let rest = (self.at..self.lines.len()).take_while(|at| {
                        !self.lines[*at].starts_with(b"@@") && !is_header(&self.lines, *at)
                    });
                    self.at += rest.count();
                }
            }
        }
        if is_first && (to.is_none() || self.options.strict) {
            return Err(self.invalid(format!("the update of {path} has no lines")));
        }
        self.hunks.push(FileHunk {
            path,
            action: FileAction::Update { to, chunks },
        });
        Ok(())
    }

    fn chunk(&mut self, first: bool) -> Result<Chunk<'a>, Misread> {
        let start = self.at + 1;
        let anchors = self.anchors(first)?;
        let (mut lines, end_of_file) = self.chunk_lines()?;
        // Empty lines before the next header only set it off.
        if !end_of_file {
            let read = &self.lines[..self.at];
            let blank = read.iter().rev().take_while(|line| line.is_empty()).count();
            lines.truncate(lines.len() - blank.min(lines.len().saturating_sub(1)));
        }
        if lines.is_empty() {
            let refusal = Refusal::new(Code::InvalidBatch, "the chunk has no lines");
            return Err(Misread::new(start - 1, refusal));
        }
        Ok(Chunk {
            line: start,
            anchors,
            lines,
            end_of_file,
        })
    }

    /// The lines that name the part of the file, behind `@@`.
    fn anchors(&mut self, first: bool) -> Result<Vec<&'a [u8]>, Misread> {
        let mut anchors = Vec::new();
        let mut marked = false;
        while let Some(rest) = self.peek().and_then(|line| line.strip_prefix(b"@@")) {
            marked = true;
            self.at += 1;
            let anchor = rest.strip_prefix(b" ").unwrap_or(rest).trim_ascii_end();
            if is_ranges(anchor) || anchor.is_empty() || anchor == b"@@" {
                if !anchor.is_empty() && self.options.strict {
                    return Err(self.invalid_strict(
                        "line numbers in a chunk header are not allowed in strict mode",
                    ));
                }
                continue;
            }
            anchors.push(anchor.strip_suffix(b" @@").unwrap_or(anchor));
        }
        match marked || first {
            true => Ok(anchors),
            false => Err(self.invalid("a chunk starts with a line \"@@\"")),
        }
    }

    /// The lines of a chunk, and whether they end the file.
    fn chunk_lines(&mut self) -> Result<(Vec<ChunkLine<'a>>, bool), Misread> {
        let mut lines: Vec<ChunkLine<'a>> = Vec::new();
        while let Some(line) = self.peek() {
            if line.trim_ascii_end() == b"*** End of File" {
                self.at += 1;
                return Ok((lines, true));
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
        Ok((lines, false))
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

/// Whether a line opens a file's section, or an envelope.
fn opens_file(line: &[u8]) -> bool {
    const OPENERS: [&[u8]; 4] = [
        b"*** Add File:",
        b"*** Delete File:",
        b"*** Update File:",
        BEGIN,
    ];
    let line = line.trim_ascii();
    OPENERS.iter().any(|opener| line.starts_with(opener))
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
