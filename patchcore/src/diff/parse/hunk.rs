//! Hunk headers and bodies.

use super::{Counts, Cursor, Hunk, HunkLine, ParseError, Parser, Ranges, Role, is_blank};
use crate::text::trim_ending;

/// How a body was read.
enum Body {
    /// As the header says.
    Exact,
    /// The counts of the header do not fit.
    Unfit,
}

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
        let ranges = match ranges(header) {
            Header::Numbers(ranges) => Some(ranges),
            Header::Free => {
                self.remark("a hunk header without line numbers");
                None
            }
            Header::Malformed(why) => {
                return Err(self.error(format!("malformed hunk header: {why}")));
            }
        };
        self.cursor.advance();
        let start = self.cursor;
        let mut lines = Vec::new();
        if let Some(stated) = ranges
            && self.options.counts == Counts::Checked
        {
            if let Body::Exact = self.counted_body(&stated, &mut lines) {
                return self.finish(Hunk {
                    line,
                    ranges,
                    lines,
                });
            }
            self.cursor = start;
            lines.clear();
        }
        let end = self.free_body(&mut lines)?;
        let count = |role: Role| lines.iter().filter(|l| l.role != role).count() as u64;
        let (old, new) = (count(Role::Added), count(Role::Removed));
        let fits = ranges.is_some_and(|stated| (stated.old_count, stated.new_count) == (old, new));
        if end == End::Junk
            && !fits
            && let Some(line) = self.change_behind_junk()
        {
            return Err(ParseError {
                line,
                message: "a changed line behind one that starts with none of ' ', '+', '-': it is unclear whether the hunk above goes on".into(),
            });
        }
        let ranges = match ranges {
            Some(stated) => {
                if self.options.counts == Counts::Checked {
                    let fewer = old < stated.old_count || new < stated.new_count;
                    let why = match end {
                        End::OfInput if fewer => Some("the patch ends inside it"),
                        End::Junk => Some("a line in it starts with none of ' ', '+', '-'"),
                        _ => None,
                    };
                    if let Some(why) = why {
                        let message = format!(
                            "the hunk has {old} old and {new} new lines, its header says {} and {}, and {why}",
                            stated.old_count, stated.new_count
                        );
                        return Err(if end == End::OfInput {
                            ParseError { line, message }
                        } else {
                            self.error(message)
                        });
                    }
                    self.diff.remarks.push(super::Remark {
                        line,
                        what: format!(
                            "the header of the hunk says {} old and {} new lines, it has {old} and {new}",
                            stated.old_count, stated.new_count
                        ),
                    });
                }
                Some(Ranges {
                    old_start: start_for(stated.old_start, stated.old_count, old),
                    old_count: old,
                    new_start: start_for(stated.new_start, stated.new_count, new),
                    new_count: new,
                })
            }
            None => None,
        };
        self.finish(Hunk {
            line,
            ranges,
            lines,
        })
    }

    fn finish(&mut self, hunk: Hunk<'a>) -> Result<Hunk<'a>, ParseError> {
        // Where the lines are counted anew, the changes were edited away: so git takes it, too.
        if self.options.counts == Counts::Checked
            && hunk.lines.iter().all(|line| line.role == Role::Context)
        {
            return Err(ParseError {
                line: hunk.line,
                message: "the hunk changes nothing: it has no line that starts with '+' or '-'"
                    .into(),
            });
        }
        Ok(hunk)
    }

    /// Reads as many lines as the header says; the cursor is behind them if they are there.
    fn counted_body(&mut self, stated: &Ranges, lines: &mut Vec<HunkLine<'a>>) -> Body {
        let (mut old, mut new) = (stated.old_count, stated.new_count);
        let mut cursor = self.cursor;
        while old > 0 || new > 0 {
            let Some(line) = cursor.peek() else {
                return Body::Unfit;
            };
            if line[0] == b'\\' {
                if !mark_no_newline(lines) {
                    return Body::Unfit;
                }
                cursor.advance();
                continue;
            }
            let Some(read) = hunk_line(line) else {
                return Body::Unfit;
            };
            let takes_old = u64::from(read.role != Role::Added);
            let takes_new = u64::from(read.role != Role::Removed);
            if takes_old > old || takes_new > new {
                return Body::Unfit;
            }
            (old, new) = (old - takes_old, new - takes_new);
            lines.push(read);
            cursor.advance();
        }
        if cursor.peek().is_some_and(|line| line[0] == b'\\') && mark_no_newline(lines) {
            cursor.advance();
        }
        // More of the same right behind: the header counts too few.
        if let Some(next) = cursor.peek()
            && matches!(next[0], b'+' | b'-' | b' ')
            && !is_blank(next)
            && !ends_body(&cursor)
        {
            return Body::Unfit;
        }
        self.cursor = cursor;
        Body::Exact
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

enum Header {
    Numbers(Ranges),
    Free,
    Malformed(&'static str),
}

/// Reads `@@ -a,b +c,d @@`.
fn ranges(line: &[u8]) -> Header {
    let rest = line[2..].trim_ascii_start();
    let Some(rest) = rest.strip_prefix(b"-") else {
        return Header::Free;
    };
    if !rest.first().is_some_and(u8::is_ascii_digit) {
        return Header::Free;
    }
    let read = || {
        let (old_start, old_count, rest) = range(rest)?;
        let rest = rest
            .trim_ascii_start()
            .strip_prefix(b"+")
            .ok_or("no new range, which starts with '+'")?;
        let (new_start, new_count, rest) = range(rest)?;
        if !rest.trim_ascii_start().starts_with(b"@@") {
            return Err("no \"@@\" behind the ranges");
        }
        let fits = |start: u64, count: u64| {
            start
                .checked_add(count)
                .is_some_and(|end| end <= i64::MAX as u64)
        };
        if !fits(old_start, old_count) || !fits(new_start, new_count) {
            return Err("a line number is too large");
        }
        Ok(Ranges {
            old_start,
            old_count,
            new_start,
            new_count,
        })
    };
    match read() {
        Ok(ranges) => Header::Numbers(ranges),
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
