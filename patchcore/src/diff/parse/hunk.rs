//! Hunk headers and bodies.

use super::header::is_extended;
use super::{Counts, Cursor, Doubt, Hunk, HunkLine, ParseError, Parser, Ranges, Role, is_blank};
use crate::error::Hint;
use crate::text::trim_ending;

/// What ended a body that was read without counts.
#[derive(PartialEq, Eq)]
enum End {
    /// A header, a fence, a signature.
    Clear,
    /// The end of the diff.
    OfInput,
    /// A line that no hunk can have.
    Junk,
}

impl<'a> Parser<'a> {
    /// Reads the hunk at the cursor.
    pub(super) fn hunk(&mut self) -> Result<Hunk<'a>, ParseError> {
        let line = self.cursor.line;
        let header = self.cursor.peek().expect("the caller saw a header");
        let (ranges, heading) = match ranges(header) {
            Header::Numbers(ranges, heading) => (Some(ranges), heading),
            Header::Free(heading) => {
                self.remark("a hunk header without line numbers");
                (None, heading)
            }
            Header::Malformed(why) => {
                return Err(self.error(format!("malformed hunk header: {why}")));
            }
        };
        self.cursor.advance();
        let mut hunk = Hunk {
            line,
            ranges,
            heading,
            lines: Vec::new(),
            doubt: None,
        };
        if !self.read_counted(&mut hunk)? {
            self.read_free(&mut hunk)?;
        }
        // Where the lines are counted anew, the changes were edited away: so git takes it, too.
        if self.options.counts == Counts::Checked
            && hunk.lines.iter().all(|line| line.role == Role::Context)
        {
            return Err(ParseError {
                line: hunk.line,
                message: "the hunk changes nothing: it has no line that starts with '+' or '-'"
                    .into(),
                hint: None,
            });
        }
        Ok(hunk)
    }

    /// Reads the hunk's lines as its header counts them, and what follows as doubtful; `false`,
    /// with nothing read, where the counts cannot be met.
    fn read_counted(&mut self, hunk: &mut Hunk<'a>) -> Result<bool, ParseError> {
        let Some(stated) = hunk.ranges else {
            return Ok(false);
        };
        if self.options.counts != Counts::Checked || !self.counted_body(&stated, &mut hunk.lines) {
            hunk.lines.clear();
            return Ok(false);
        }
        self.refuse_lost_header(hunk)?;
        let line = self.cursor.line;
        let mut lines = Vec::new();
        if self.cursor.peek().is_none_or(|line| line[0] != b'\\') {
            self.free_body(&mut lines)?;
        }
        if !lines.is_empty() {
            if let Some(last) = hunk.lines.last()
                && holds_hunk_header(last.text)
            {
                return Err(ParseError {
                    line: line - 1,
                    message: "a hunk header is joined to the end of this line; put it on a line of its own".into(),
                    hint: None,
                });
            }
            self.refuse_lost_header(hunk)?;
            // Of lines that may be the hunk's own, those that look like a header.
            for (index, doubtful) in lines.iter().enumerate() {
                let signs = |byte: &u8| b"-+*".contains(byte);
                let name = doubtful
                    .text
                    .iter()
                    .position(|byte| !signs(byte))
                    .unwrap_or(0);
                if name > 0 && doubtful.text[name] == b' ' {
                    self.note_name(doubtful.text, line + index);
                }
            }
            hunk.doubt = Some(Box::new(Doubt::Behind { line, lines }));
        }
        Ok(true)
    }

    /// Reads all lines that can be the hunk's, and corrects its counts.
    fn read_free(&mut self, hunk: &mut Hunk<'a>) -> Result<(), ParseError> {
        let end = self.free_body(&mut hunk.lines)?;
        self.refuse_lost_header(hunk)?;
        let (old, new) = hunk.counts();
        let stated = hunk.ranges;
        let fits = stated.is_some_and(|stated| (stated.old_count, stated.new_count) == (old, new));
        if end == End::Junk
            && !fits
            && let Some(line) = self.change_behind_junk()
        {
            return Err(ParseError {
                line,
                message: "a changed line after one that starts with none of ' ', '+', '-': it is unclear whether the hunk above goes on".into(),
                hint: None,
            });
        }
        let Some(stated) = stated else {
            return Ok(());
        };
        if self.options.counts == Counts::Checked && !fits {
            hunk.doubt = self.check_counts(hunk.line, stated, (old, new), &end)?;
        }
        hunk.recount();
        Ok(())
    }

    /// What to make of a header whose counts are not those of the lines found.
    fn check_counts(
        &mut self,
        line: usize,
        stated: Ranges,
        (old, new): (u64, u64),
        end: &End,
    ) -> Result<Option<Box<Doubt<'a>>>, ParseError> {
        let missing = (
            stated.old_count.checked_sub(old),
            stated.new_count.checked_sub(new),
        );
        let said = format!(
            "the header of the hunk says {} old and {} new lines, it has {old} and {new}",
            stated.old_count, stated.new_count
        );
        let refuse = |line: usize, why: &str| {
            let message = format!("{said}, and {why}");
            Err(ParseError {
                line,
                message,
                hint: Some(Hint::Recount),
            })
        };
        let doubt = match (end, missing) {
            (End::Junk, _) => {
                let why = "a line in it starts with none of ' ', '+', '-'";
                return refuse(self.cursor.line, why);
            }
            (End::OfInput, (Some(old), Some(new))) => Some(Box::new(Doubt::Short { old, new })),
            (End::OfInput, (None, Some(1..)) | (Some(1..), None)) => {
                return refuse(line, "the patch ends inside it");
            }
            (End::OfInput | End::Clear, _) => Some(Box::new(Doubt::Miscounted)),
        };
        self.diff.remarks.push(super::Remark { line, what: said });
        Ok(doubt)
    }

    /// Refuses a header of the next file that has lost its first line, or is joined to the last
    /// line of the hunk above it: its hunks would land in the file of that hunk.
    fn refuse_lost_header(&self, hunk: &Hunk<'_>) -> Result<(), ParseError> {
        let Some(next) = self.cursor.peek() else {
            return Ok(());
        };
        let joined = |what: &[u8]| {
            let last = hunk.lines.last().map_or(&b""[..], |line| line.text);
            memchr::memmem::find(last, what).is_some()
        };
        let is_extended = is_extended(next)
            || [&b"index "[..], b"similarity index ", b"--- "]
                .iter()
                .any(|prefix| next.starts_with(prefix));
        let names_new = next.starts_with(b"+++ ") && self.next_starts_with(b"@@");
        let (line, message) = if (names_new && joined(b"--- "))
            || (is_extended && joined(b"diff --git "))
        {
            (
                self.cursor.line - 1,
                "the header of the next file is joined to the end of this line; put it on lines of its own",
            )
        } else if names_new {
            (
                self.cursor.line,
                "a \"+++\" line without a \"---\" line above it, right after a hunk; write both lines of the file's header",
            )
        } else {
            return Ok(());
        };
        Err(ParseError {
            line,
            message: message.into(),
            hint: None,
        })
    }

    /// Reads as many lines as the header says; the cursor is behind them if they are there, else
    /// where it was. Git and GNU patch read this way, and nothing else.
    fn counted_body(&mut self, stated: &Ranges, lines: &mut Vec<HunkLine<'a>>) -> bool {
        let (mut old, mut new) = (stated.old_count, stated.new_count);
        let mut cursor = self.cursor;
        while old > 0 || new > 0 {
            let Some(line) = cursor.peek() else {
                return false;
            };
            if line[0] == b'\\' {
                if !mark_no_newline(lines) {
                    return false;
                }
                cursor.advance();
                continue;
            }
            let Some(read) = hunk_line(line) else {
                return false;
            };
            let takes_old = u64::from(read.role != Role::Added);
            let takes_new = u64::from(read.role != Role::Removed);
            if takes_old > old || takes_new > new {
                return false;
            }
            (old, new) = (old - takes_old, new - takes_new);
            lines.push(read);
            cursor.advance();
        }
        if cursor.peek().is_some_and(|line| line[0] == b'\\') && mark_no_newline(lines) {
            cursor.advance();
        }
        self.cursor = cursor;
        true
    }

    /// Reads lines as long as they can be the hunk's.
    fn free_body(&mut self, lines: &mut Vec<HunkLine<'a>>) -> Result<End, ParseError> {
        // Empty lines count as stripped context only if more of the hunk follows.
        let mut kept = (0, self.cursor);
        let end = loop {
            let Some(line) = self.cursor.peek() else {
                break End::OfInput;
            };
            if ends_body(&self.cursor) {
                break End::Clear;
            }
            if line[0] == b'\\' {
                if !mark_no_newline(lines) {
                    return Err(self.error("a line that starts with '\\' at the start of a hunk"));
                }
            } else {
                let Some(read) = hunk_line(line) else {
                    break End::Junk;
                };
                lines.push(read);
            }
            self.cursor.advance();
            if !matches!(line, b"\n" | b"\r\n") {
                kept = (lines.len(), self.cursor);
            }
        };
        lines.truncate(kept.0);
        self.cursor = kept.1;
        Ok(end)
    }

    /// The first line behind a body ended by junk that looks like a change. Where a line of the
    /// hunk has lost its first byte, what follows must not be left out without a word.
    fn change_behind_junk(&self) -> Option<usize> {
        let mut cursor = self.cursor;
        while let Some(line) = cursor.peek() {
            // Another mail has a line of three dashes, and a message that may hold a list.
            if ends_body(&cursor) || line.starts_with(b"From ") || trim_ending(line) == b"---" {
                return None;
            }
            if matches!(line[0], b'+' | b'-') {
                return Some(cursor.line);
            }
            cursor.advance();
        }
        None
    }
}

impl Hunk<'_> {
    /// How many old and how many new lines the hunk has.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let count = |gone: Role| self.lines.iter().filter(|l| l.role != gone).count() as u64;
        (count(Role::Added), count(Role::Removed))
    }

    /// Makes the counts of the ranges those of the lines.
    pub(crate) fn recount(&mut self) {
        let (old, new) = self.counts();
        if let Some(ranges) = &mut self.ranges {
            *ranges = Ranges {
                old_start: start_for(ranges.old_start, ranges.old_count, old),
                old_count: old,
                new_start: start_for(ranges.new_start, ranges.new_count, new),
                new_count: new,
            };
        }
    }
}

/// The start of a range whose count is mended: one of no lines names the line before.
fn start_for(stated: u64, stated_count: u64, count: u64) -> u64 {
    match (stated_count, count) {
        (1.., 0) => stated.saturating_sub(1),
        (0, 1..) if stated > 0 => stated + 1,
        _ => stated,
    }
}

/// Whether the line here cannot be part of the hunk above it, although its first byte would fit.
fn ends_body(cursor: &Cursor<'_>) -> bool {
    let Some(line) = cursor.peek() else {
        return true;
    };
    line.starts_with(b"@@")
        || line.starts_with(b"diff ")
        || line.starts_with(b"Index: ")
        || line.starts_with(b"```")
        || is_signature(cursor)
        || (line.starts_with(b"+++ ")
            && cursor.nth(1).is_some_and(|next| next.starts_with(b"@@ -")))
        || (line.starts_with(b"--- ")
            && cursor.nth(1).is_some_and(|next| next.starts_with(b"+++ ")))
}

/// Whether a mail's signature starts here. A removed line can look the same: then more of its hunk
/// follows, or the next header right behind it.
fn is_signature(cursor: &Cursor<'_>) -> bool {
    if !matches!(cursor.peek().map(trim_ending), Some(b"-- " | b"--")) {
        return false;
    }
    let mut behind = *cursor;
    behind.advance();
    if behind
        .peek()
        .is_some_and(|line| line.starts_with(b"@@") || line.starts_with(b"diff "))
    {
        return false;
    }
    while behind.peek().is_some_and(is_blank) {
        behind.advance();
    }
    !behind
        .peek()
        .is_some_and(|line| matches!(line[0], b' ' | b'+' | b'-' | b'\\'))
}

/// Says that no newline follows the last line; `false` where there is none.
fn mark_no_newline(lines: &mut [HunkLine<'_>]) -> bool {
    match lines.last_mut() {
        Some(last) => {
            last.newline = false;
            true
        }
        None => false,
    }
}

fn hunk_line(line: &[u8]) -> Option<HunkLine<'_>> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let (role, text) = match text {
        [] => (Role::Context, text),
        // An editor or a mailer took the space of an empty context line.
        b"\r" => (Role::Context, text),
        [b' ', rest @ ..] => (Role::Context, rest),
        [b'-', rest @ ..] => (Role::Removed, rest),
        [b'+', rest @ ..] => (Role::Added, rest),
        _ => return None,
    };
    Some(HunkLine {
        role,
        text,
        newline: true,
    })
}

/// Whether a hunk header with line numbers stands in the text.
fn holds_hunk_header(text: &[u8]) -> bool {
    memchr::memmem::find_iter(text, b"@@ -")
        .any(|at| matches!(ranges(&text[at..]), Header::Numbers(..)))
}

enum Header<'a> {
    /// The ranges, and what follows the second `@@`.
    Numbers(Ranges, &'a [u8]),
    /// No numbers, and what may be a line of the file.
    Free(&'a [u8]),
    Malformed(&'static str),
}

/// `@@ -0,0 +0,0 @@`, which no tool writes.
const NOTHING: Ranges = Ranges {
    old_start: 0,
    old_count: 0,
    new_start: 0,
    new_count: 0,
};

/// Reads `@@ -a,b +c,d @@`.
fn ranges(line: &[u8]) -> Header<'_> {
    let rest = line[2..].trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b"-") else {
        let rest = rest.trim_ascii_end();
        let heading = rest.strip_suffix(b"@@").unwrap_or(rest).trim_ascii_end();
        let has_letter = heading.iter().any(u8::is_ascii_alphabetic);
        return Header::Free(if has_letter { heading } else { b"" });
    };
    if !rest.first().is_some_and(u8::is_ascii_digit) {
        return Header::Free(b"");
    }
    let read = || {
        let (old_start, old_count, rest) = range(rest)?;
        let rest = rest
            .trim_ascii_start()
            .strip_prefix(b"+")
            .ok_or("no new range, which starts with '+'")?;
        let (new_start, new_count, rest) = range(rest)?;
        let heading = rest
            .trim_ascii_start()
            .strip_prefix(b"@@")
            .ok_or("no \"@@\" after the ranges")?;
        if matches!(heading, [b'+' | b'-', ..]) {
            return Err("the first line of the hunk is joined to it");
        }
        let fits = |start: u64, count: u64| {
            start
                .checked_add(count)
                .is_some_and(|end| end <= i64::MAX as u64)
        };
        if !fits(old_start, old_count) || !fits(new_start, new_count) {
            return Err("a line number is too large");
        }
        let ranges = Ranges {
            old_start,
            old_count,
            new_start,
            new_count,
        };
        Ok((ranges, heading.trim_ascii()))
    };
    match read() {
        // Written by a model that knows no numbers.
        Ok((ranges, heading)) if ranges == NOTHING => Header::Free(heading),
        Ok((ranges, heading)) => Header::Numbers(ranges, heading),
        Err(why) => Header::Malformed(why),
    }
}

fn range(text: &[u8]) -> Result<(u64, u64, &[u8]), &'static str> {
    let (start, rest) = number(text)?;
    match rest.strip_prefix(b",") {
        Some(rest) => {
            let (count, rest) = number(rest)?;
            Ok((start, count, rest))
        }
        None => Ok((start, 1, rest)),
    }
}

fn number(text: &[u8]) -> Result<(u64, &[u8]), &'static str> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 {
        return Err("a number is missing");
    }
    let mut value = 0u64;
    for digit in &text[..digits] {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_add(u64::from(digit - b'0')))
            .ok_or("a line number is too large")?;
    }
    Ok((value, &text[digits..]))
}
