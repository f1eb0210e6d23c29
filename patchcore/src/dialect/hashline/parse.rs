//! Reads sections; every fault of the patch is told in one run.

use super::words::{self, Said};
use super::{Command, Hashline, Section, Tagged};
use crate::batch::Diagnostic;
use crate::batch::diagnostic::{Fault, MAX_FAULTS, Span};
use crate::dialect::{Dialect, Options, Unread, beneath_root, detect};
use crate::diff::unquote;
use crate::digest::Digest;
use crate::error::{Code, Hint, Refusal, excerpt};
use crate::path::RelPath;
use crate::text::{BOM, split_lines, trim_ending};

/// Reads a patch.
pub(in crate::dialect) fn parse(bytes: &[u8], options: &Options) -> Result<Hashline, Unread> {
    let mut reader = Reader {
        options,
        sections: Vec::new(),
        is_open: false,
        pending: None,
        faults: Vec::new(),
    };
    let body = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let mut at = bytes.len() - body.len();
    let mut lines = split_lines(body).peekable();
    while let Some(whole) = lines.next() {
        let next = lines.peek().copied().unwrap_or_default();
        let span = Span {
            start: at,
            end: at + trim_ending(whole).len(),
        };
        at += whole.len();
        if reader.line(trim_ending(whole), trim_ending(next), span) == Flow::Ended {
            break;
        }
    }
    reader.flush();
    reader.check_removals();
    if !reader.faults.is_empty() {
        return Err(Unread::of(Diagnostic::of_patch(reader.faults, bytes)));
    }
    if reader.sections.is_empty() {
        let message = "the patch holds no section; a section opens with [path#TAG]";
        return Err(Refusal::new(Code::InvalidBatch, message).into());
    }
    let sections = reader.sections.into_iter().map(|open| open.section);
    Ok(Hashline {
        sections: sections.collect(),
        content: Digest::of(bytes),
    })
}

#[derive(PartialEq, Eq)]
enum Flow {
    On,
    Ended,
}

struct Open {
    section: Section,
    span: Span,
}

/// A command whose rows are being read.
struct Pending<'b> {
    said: Said<'b>,
    span: Span,
    rows: Vec<(Row<'b>, Span)>,
}

enum Row<'b> {
    New(&'b [u8]),
    Blank,
    Other(&'b [u8]),
}

struct Reader<'b, 'o> {
    options: &'o Options,
    sections: Vec<Open>,
    /// Whether commands go to the last section: not behind a header that is at fault.
    is_open: bool,
    pending: Option<Pending<'b>>,
    faults: Vec<Fault>,
}

impl<'b> Reader<'b, '_> {
    fn line(&mut self, line: &'b [u8], next: &[u8], span: Span) -> Flow {
        if let Some(row) = line.strip_prefix(b"+") {
            match &mut self.pending {
                Some(pending) => pending.rows.push((Row::New(row), span)),
                None if self.sections.is_empty() && !self.options.strict => {}
                None => self.fault(span, "a row of new text stands under no command"),
            }
            return Flow::On;
        }
        // What is left is another dialect's, which is told apart from this one as a whole.
        if detect::mark(line, next).is_some_and(|dialect| dialect != Dialect::Hashline)
            && !self.sections.is_empty()
        {
            return Flow::Ended;
        }
        let text = std::str::from_utf8(line).unwrap_or_default();
        let header =
            words::header(text).filter(|header| header.tag.is_some() || super::opens(line, next));
        if let Some(header) = header {
            self.flush();
            self.open(&header, span);
        } else if let Some((verb, rest)) = words::verb(text) {
            self.flush();
            self.command(verb, rest, span);
        } else if line.starts_with(b"```") || line.trim_ascii() == b"*** Begin Patch" {
            self.flush();
        } else if line.trim_ascii() == b"*** End Patch" {
            self.flush();
            return Flow::Ended;
        } else if line.trim_ascii() == b"*** Abort" {
            self.fault(span, "the patch was given up by its sender");
        } else if let Some(pending) = &mut self.pending {
            let row = match line.trim_ascii() {
                [] => Row::Blank,
                _ => Row::Other(line),
            };
            pending.rows.push((row, span));
        } else if self.options.strict && !line.trim_ascii().is_empty() {
            let message = "text outside of a section is not allowed in strict mode";
            self.fault(span, message);
            if let Some(fault) = self.faults.last_mut() {
                fault.hint = Some(Hint::Lenient);
            }
        }
        Flow::On
    }

    fn fault(&mut self, span: Span, message: impl Into<String>) {
        self.record(Fault::new(Code::InvalidBatch, span, message));
    }

    fn record(&mut self, fault: Fault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    fn path(&mut self, spelt: &str, span: Span) -> Option<RelPath> {
        let spelt = spelt.trim();
        let name = match unquote(spelt.as_bytes()) {
            Some((name, used)) if used == spelt.len() => name,
            _ => spelt.trim_matches('\'').as_bytes().to_vec(),
        };
        match RelPath::new(beneath_root(&name, self.options)) {
            Ok(path) => Some(path),
            Err(refusal) => {
                self.record(Fault::new(refusal.code, span, refusal.message));
                None
            }
        }
    }

    fn open(&mut self, header: &words::Header<'_>, span: Span) {
        let own = self.options.file.clone();
        let path = own.or_else(|| self.path(header.path, span));
        let tag = match header.tag {
            Some(tag) => match tag.parse() {
                Ok(tag) => Tagged::By(tag),
                Err(_) => Tagged::Foreign(tag.to_owned()),
            },
            None => Tagged::Foreign(String::new()),
        };
        self.is_open = path.is_some();
        if let Some(path) = path {
            let section = Section {
                path,
                tag,
                commands: Vec::new(),
            };
            self.sections.push(Open { section, span });
        }
    }

    fn command(&mut self, verb: &str, rest: &'b str, span: Span) {
        if self.sections.is_empty() && self.faults.is_empty() {
            match self.options.file.clone() {
                Some(path) => {
                    self.is_open = true;
                    let section = Section {
                        path,
                        tag: Tagged::Foreign(String::new()),
                        commands: Vec::new(),
                    };
                    self.sections.push(Open { section, span });
                }
                None => {
                    self.fault(span, format!("{verb} stands under no header; put [path#TAG] above it, as the listing has it"));
                }
            }
        }
        match words::command(verb, rest, self.options.strict) {
            Ok(said) => {
                self.pending = Some(Pending {
                    said,
                    span,
                    rows: Vec::new(),
                });
            }
            Err(message) => {
                self.fault(span, message);
                // Its rows are nobody's.
                self.pending = Some(Pending {
                    said: Said::Tail,
                    span: Span::default(),
                    rows: Vec::new(),
                });
            }
        }
    }

    /// Takes in the command that is complete by now.
    fn flush(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        if pending.span == Span::default() {
            return;
        }
        let Some(rows) = self.rows(&pending) else {
            return;
        };
        let command = match pending.said {
            Said::Swap(first, last) => Command::Swap { first, last, rows },
            Said::Delete(first, last) => Command::Swap {
                first,
                last,
                rows: Vec::new(),
            },
            Said::Before(line) => Command::Before { line, rows },
            Said::Behind(line) => Command::Behind { line, rows },
            Said::Head => Command::Head(rows),
            Said::Tail => Command::Tail(rows),
            Said::Remove => Command::Remove,
            Said::Move(to) => match self.path(to, pending.span) {
                Some(to) => Command::Move(to),
                None => return,
            },
        };
        if let Some(open) = self.sections.last_mut().filter(|_| self.is_open) {
            open.section.commands.push(command);
        }
    }

    /// The rows of a command, as lines; `None` after a fault.
    fn rows(&mut self, pending: &Pending<'b>) -> Option<Vec<u8>> {
        let mut rows = &pending.rows[..];
        while let Some((Row::Blank, _)) = rows.last() {
            rows = &rows[..rows.len() - 1];
        }
        if !pending.said.takes_rows() {
            // What follows a blank line is prose.
            let touching = rows
                .iter()
                .take_while(|(row, _)| !matches!(row, Row::Blank));
            let first = touching.into_iter().next();
            let new = rows.iter().find(|(row, _)| matches!(row, Row::New(_)));
            if let Some((_, span)) = new.or(first) {
                self.fault(
                    *span,
                    "rows stand under a command that takes none; only SWAP, PUT and INS take rows",
                );
                return None;
            }
            return Some(Vec::new());
        }
        if rows.is_empty() {
            self.fault(pending.span, "the command has no rows below it; a row is \"+\" and the new line, and DEL deletes lines");
            return None;
        }
        let faults = self.faults.len();
        let mut lines = Vec::new();
        for (row, span) in rows {
            match row {
                Row::New(line) => {
                    lines.extend_from_slice(line);
                    lines.push(b'\n');
                }
                Row::Blank => {
                    self.fault(
                        *span,
                        "a blank line stands among the rows; a blank row is \"+\" alone",
                    );
                }
                Row::Other(line) => {
                    let shown = excerpt(line.trim_ascii(), 60);
                    let message = match line.first() {
                        Some(b'-') => format!(
                            "{shown:?} is an old line, which is not sent: the numbers say which lines go"
                        ),
                        _ => format!(
                            "{shown:?} does not start with \"+\", as every row of new text does"
                        ),
                    };
                    self.fault(*span, message);
                }
            }
        }
        let first = match pending.said {
            Said::Swap(first, _) | Said::Before(first) => first,
            Said::Behind(line) => line + 1,
            _ => 1,
        };
        let numbered = |(index, (row, _)): (usize, &(Row<'_>, Span))| {
            let number = format!("{}:", first + index as u64);
            matches!(row, Row::New(line) if line.starts_with(number.as_bytes()))
        };
        if rows.iter().enumerate().all(numbered) {
            let message =
                "the rows have the line numbers of a listing in front; send the text alone";
            self.fault(rows[0].1, message);
        }
        (self.faults.len() == faults).then_some(lines)
    }

    /// A section does something, and a file that goes is not edited as well.
    fn check_removals(&mut self) {
        let mut faults = Vec::new();
        for Open { section, span } in &self.sections {
            let commands = &section.commands;
            if commands.is_empty() && self.faults.is_empty() {
                faults.push((*span, "the section has no command".to_owned()));
            }
            let whole = |command: &&Command| matches!(command, Command::Remove | Command::Move(_));
            if commands.contains(&Command::Remove) && commands.len() > 1 {
                let path = &section.path;
                faults.push((
                    *span,
                    format!("{path} is removed and changed in one section; send one of both"),
                ));
            } else if commands.iter().filter(whole).count() > 1 {
                let path = &section.path;
                faults.push((*span, format!("{path} is moved twice in one section")));
            }
        }
        for (span, message) in faults {
            self.fault(span, message);
        }
    }
}
