//! Reads the envelope.

use super::{Chunk, Codex, FileAction, FileHunk, Role, path};
use crate::dialect::{Options, detect};
use crate::digest::Digest;
use crate::error::{Code, Refusal, excerpt};
use crate::text::{split_lines, trim_ending};

const BEGIN: &[u8] = b"*** Begin Patch";
const END: &[u8] = b"*** End Patch";

/// Reads every envelope among the bytes; what stands around them is prose.
pub(in crate::dialect) fn parse<'a>(
    bytes: &'a [u8],
    options: &Options,
) -> Result<Codex<'a>, Refusal> {
    let body = bytes.strip_prefix(crate::text::BOM).unwrap_or(bytes);
    let lines: Vec<&[u8]> = split_lines(body).map(trim_ending).collect();
    let mut reader = Reader {
        lines,
        at: 0,
        options,
        hunks: Vec::new(),
    };
    let mut envelopes = 0;
    while let Some(line) = reader.peek() {
        match line.trim_ascii() {
            BEGIN => {
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
                return Err(reader.invalid("text around the patch; --strict refuses that"));
            }
            _ => {
                let next = reader.lines.get(reader.at + 1).copied().unwrap_or_default();
                if let Some(other) = detect::mark(line, next) {
                    return Err(reader.invalid(format!(
                        "a {other} patch beside the codex patch; send them apart"
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
                return Err(self.invalid("white space before a header; --strict refuses that"));
            }
            if let Some(name) = value(b"*** Add File:") {
                let path = path(name, self.options)?;
                self.at += 1;
                let content = self.added()?;
                self.hunks.push(FileHunk {
                    path,
                    action: FileAction::Add(content),
                });
            } else if let Some(name) = value(b"*** Delete File:") {
                let path = path(name, self.options)?;
                self.at += 1;
                self.hunks.push(FileHunk {
                    path,
                    action: FileAction::Delete,
                });
            } else if let Some(name) = value(b"*** Update File:") {
                let path = path(name, self.options)?;
                self.at += 1;
                self.update(path)?;
            } else {
                return Err(self.invalid(format!(
                    "{:?} is no header; a file starts with \"*** Add File: \", \"*** Delete File: \" or \"*** Update File: \"",
                    excerpt(header, 80)
                )));
            }
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

    fn update(&mut self, path: crate::path::RelPath) -> Result<(), Refusal> {
        let to = match self
            .peek()
            .and_then(|line| line.trim_ascii().strip_prefix(b"*** Move to:"))
        {
            Some(name) => {
                let to = super::path(name.trim_ascii(), self.options)?;
                self.at += 1;
                Some(to)
            }
            None => None,
        };
        let mut chunks: Vec<Chunk<'a>> = Vec::new();
        while let Some(line) = self.peek() {
            if is_header(line) {
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
                    return Err(
                        self.invalid("line numbers in a chunk header; --strict refuses that")
                    );
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
            if line.trim_ascii() == b"*** End of File" {
                end_of_file = true;
                self.at += 1;
                break;
            }
            if line.starts_with(b"@@") || is_header(line) {
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
        let rest = &self.lines[self.at..];
        rest.iter()
            .find(|line| !line.trim_ascii().is_empty())
            .is_none_or(|line| is_header(line) || line.starts_with(b"@@"))
    }
}

fn is_header(line: &[u8]) -> bool {
    let header = line.trim_ascii();
    header == END
        || [
            &b"*** Add File:"[..],
            b"*** Delete File:",
            b"*** Update File:",
        ]
        .iter()
        .any(|prefix| header.starts_with(prefix))
        || (line.starts_with(b"*** ") && header != b"*** End of File")
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
