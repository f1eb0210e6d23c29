//! Reads sections; every fault of the patch is told in one run.

use super::words::{self, Said};
use super::{Command, Hashline, Section, Tagged};
use crate::batch::Diagnostic;
use crate::batch::diagnostic::{Fault, MAX_FAULTS, Span};
use crate::dialect::{Dialect, Options, Unread, beneath_root, detect};
use crate::digest::Digest;
use crate::error::{Code, Hint, Refusal, excerpt};
use crate::path::RelPath;
use crate::path::unquote;
use crate::text::{BOM, split_lines, trim_ending};

/// Reads a patch.
pub(in crate::dialect) fn parse(bytes: &[u8], options: &Options) -> Result<Hashline, Unread> {
    let mut reader = Reader {
        options,
        sections: Vec::new(),
        under: Under::Nothing,
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

/// What a command stands under.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Under {
    /// No header, or a fence, prose or the end of an envelope below it: which file is meant is open.
    Nothing,
    /// The header of the last section.
    Header,
    /// What is at fault and told already.
    Fault,
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
    under: Under,
    pending: Option<Pending<'b>>,
    faults: Vec<Fault>,
}

impl<'b> Reader<'b, '_> {
    fn line(&mut self, line: &'b [u8], next: &[u8], span: Span) -> Flow {
        if let Some(row) = line.strip_prefix(b"+") {
            match &mut self.pending {
                Some(pending) => pending.rows.push((Row::New(row), span)),
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
        } else if line.starts_with(b"```") {
            self.flush();
            // A header may stand right above the fence of its commands.
            if !self.is_waiting() {
                self.close();
            }
        } else if matches!(line.trim_ascii(), b"*** Begin Patch" | b"*** End Patch") {
            self.flush();
            self.close();
        } else if line.trim_ascii() == b"*** Abort" {
            self.fault(span, "the patch was given up by its sender");
        } else if let Some(pending) = &mut self.pending {
            let row = match line.trim_ascii() {
                [] => Row::Blank,
                _ => Row::Other(line),
            };
            pending.rows.push((row, span));
        } else if !line.trim_ascii().is_empty() {
            self.prose(line, span);
        }
        Flow::On
    }

    /// Whether the last section is open and has no command yet.
    fn is_waiting(&self) -> bool {
        let last = self.sections.last();
        self.under == Under::Header && last.is_some_and(|open| open.section.commands.is_empty())
    }

    /// Commands need a header again, unless all are of one file.
    fn close(&mut self) {
        if self.options.file.is_none() {
            self.under = Under::Nothing;
        }
    }

    /// A line that is no part of a section.
    fn prose(&mut self, line: &[u8], span: Span) {
        let text = std::str::from_utf8(line).unwrap_or_default();
        let shown = excerpt(line.trim_ascii(), 60);
        if words::header(text).is_some_and(|header| header.path.contains(['.', '/', '#'])) {
            self.fault(span, format!("{shown:?} looks like a header and opens no section; put its commands right below it, or give it the tag of a listing: [path#TAG]"));
            self.under = Under::Fault;
            return;
        }
        if words::is_odd_command(text) {
            self.fault(span, format!("{shown:?} looks like a command and is none; commands are SWAP, DEL, INS.PRE, INS.POST, INS.HEAD, INS.TAIL, REM and MV, each at the start of its line"));
            self.under = Under::Fault;
            return;
        }
        if self.options.strict {
            let message = "text outside of a section is not allowed in strict mode";
            self.fault(span, message);
            if let Some(fault) = self.faults.last_mut() {
                fault.hint = Some(Hint::Lenient);
            }
        }
        self.close();
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
        self.under = match path {
            Some(_) => Under::Header,
            None => Under::Fault,
        };
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
        if self.under == Under::Nothing {
            self.under = Under::Fault;
            match self.options.file.clone() {
                Some(path) => {
                    self.under = Under::Header;
                    let section = Section {
                        path,
                        tag: Tagged::Foreign(String::new()),
                        commands: Vec::new(),
                    };
                    self.sections.push(Open { section, span });
                }
                None if self.sections.is_empty() => {
                    self.fault(span, format!("{verb} stands under no header; put [path#TAG] above it, as the listing has it"));
                }
                None => {
                    self.fault(span, format!("{verb} stands under no header: a fence, text or the end of the patch is between it and the section above; repeat [path#TAG] above it"));
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
        let is_open = self.under == Under::Header;
        if let Some(open) = self.sections.last_mut().filter(|_| is_open) {
            open.section.commands.push(command);
        }
        // Below a command without rows, behind a blank line.
        for (row, span) in &pending.rows {
            if let Row::Other(line) = row {
                self.prose(line, *span);
            }
        }
    }

    /// Whether nothing stands under a command that takes no rows; what follows a blank line is prose.
    fn no_rows(&mut self, rows: &[(Row<'b>, Span)]) -> bool {
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
            return false;
        }
        true
    }

    /// The rows of a command, as lines; `None` after a fault.
    fn rows(&mut self, pending: &Pending<'b>) -> Option<Vec<u8>> {
        let mut rows = &pending.rows[..];
        while let Some((Row::Blank, _)) = rows.last() {
            rows = &rows[..rows.len() - 1];
        }
        if !pending.said.takes_rows() {
            return self.no_rows(rows).then(Vec::new);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of commands of each section, or what is wrong.
    fn read(patch: &str, options: &Options) -> Result<Vec<(String, usize)>, String> {
        let options = Options {
            dialect: Some(Dialect::Hashline),
            ..options.clone()
        };
        // With the look at what is left over.
        crate::dialect::parse(patch.as_bytes(), &options)
            .map_err(|unread| format!("{unread:?}"))?;
        let options = &options;
        match parse(patch.as_bytes(), options) {
            Ok(patch) => Ok(patch
                .sections
                .iter()
                .map(|section| (section.path.to_string(), section.commands.len()))
                .collect()),
            Err(unread) => Err(format!("{unread:?}")),
        }
    }

    #[test]
    fn a_command_needs_a_header_behind_a_fence_prose_and_an_envelope() {
        let first = "[f.txt#911169DD]\nSWAP 1:\n+P\n";
        let delete = "[f.txt#911169DD]\nDEL 1\n";
        for rest in [
            "```\nIn g.txt:\n```\nDEL 1\n",
            "```\n```\nDEL 1\n",
            "```\n[g.txt]\n```\nSWAP 1:\n+Q\n",
            "```\n[g.txt]\n\nSWAP 1:\n+Q\n",
            "```\n[g.txt#12]\n",
            "```\n[g.txt#911169DD] is next:\nDEL 1\n",
            "```\n+Q\n",
            "*** End Patch\nDEL 4\n",
            "*** End Patch\n+Q\n",
            "*** End Patch\n*** Begin Patch\nDEL 4\n",
        ] {
            for strict in [false, true] {
                let options = Options {
                    strict,
                    ..Options::default()
                };
                for start in [first, delete] {
                    let patch = format!("{start}{rest}");
                    assert!(read(&patch, &options).is_err(), "{patch}");
                }
            }
        }
        for rest in [
            "\nAnd in g.txt:\nDEL 2\n",
            "\n[g.txt]\n\nDEL 2\n",
            "\ndel 2\n",
            "\n> DEL 2\n",
            "\nDELETE 2-3\n",
            "\nINSERT 2:\n",
            "\nrem\n",
        ] {
            let patch = format!("{delete}{rest}");
            assert!(read(&patch, &Options::default()).is_err(), "{patch}");
        }
        let above = format!("+X\n{first}");
        assert!(read(&above, &Options::default()).is_err());
    }

    #[test]
    fn a_header_below_an_envelope_or_prose_is_read() {
        let g = "[g.txt#911169DD]\nDEL 1\n";
        for (patch, expected) in [
            (
                format!("*** Begin Patch\n[f.txt#911169DD]\nDEL 1\n*** End Patch\n{g}"),
                2,
            ),
            (
                format!(
                    "*** Begin Patch\n[f.txt#911169DD]\nDEL 1\n*** End Patch\n\n*** Begin Patch\n{g}*** End Patch\n"
                ),
                2,
            ),
            (format!("Here:\n```\n{g}```\nand [1]\n"), 1),
            ("[g.txt#911169DD]\n```\nDEL 1\n```\n".to_owned(), 1),
        ] {
            let sections = read(&patch, &Options::default()).unwrap();
            assert_eq!(sections.len(), expected, "{patch}");
            assert!(sections.iter().all(|(_, count)| *count == 1), "{patch}");
        }
        // Every command is of the file that is named outside of the patch.
        let options = Options {
            file: Some(RelPath::new("f.txt").unwrap()),
            ..Options::default()
        };
        let sections = read("DEL 1\n```\nThen:\n```\nDEL 2\n", &options).unwrap();
        assert_eq!(sections, [("f.txt".to_owned(), 2)]);
    }
}
