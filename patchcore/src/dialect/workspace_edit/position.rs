//! Positions in a document: lines from 0, characters in UTF-16 code units.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde::Deserialize;

use crate::error::{Code, Refusal};
use crate::path::RelPath;
use crate::text::{LineEnding, Text};

/// A span of a document; its end is exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Range {
    pub(super) start: Position,
    pub(super) end: Position,
}

/// A place between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Position {
    line: u64,
    character: u64,
}

/// A document's lines as the protocol splits them: at `\n`, `\r\n` and `\r`.
pub(super) struct Lines<'a> {
    text: Text<'a>,
    path: &'a RelPath,
    /// Where each line starts; one more than there are endings.
    starts: Vec<usize>,
    /// For each line that was asked for, how many code units stand before some of its bytes, about
    /// [`PIECE`] apart; `None` where it is not UTF-8.
    marks: RefCell<HashMap<usize, Option<Marks>>>,
}

type Marks = Rc<[(u64, usize)]>;

/// Code units that are counted for a position: a long line is gone through once, not for each edit.
const PIECE: u64 = 1024;

impl<'a> Lines<'a> {
    pub(super) fn new(bytes: &'a [u8], path: &'a RelPath) -> Self {
        let text = Text::new(bytes);
        let mut starts = vec![text.bom_len()];
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            let pair = bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n');
            if !pair {
                starts.push(at + 1);
            }
        }
        Self {
            text,
            path,
            starts,
            marks: RefCell::default(),
        }
    }

    fn marks(&self, index: usize, line: &[u8]) -> Option<Marks> {
        let mut known = self.marks.borrow_mut();
        let marks = known.entry(index).or_insert_with(|| {
            let line = std::str::from_utf8(line).ok()?;
            let (mut marks, mut units) = (vec![(0, 0)], 0);
            for (at, c) in line.char_indices() {
                if marks.last().is_some_and(|(last, _)| units >= last + PIECE) {
                    marks.push((units, at));
                }
                units += c.len_utf16() as u64;
            }
            Some(marks.into())
        });
        marks.clone()
    }

    /// The bytes of a range.
    pub(super) fn span(
        &self,
        range: &Range,
        name: &str,
    ) -> Result<std::ops::Range<usize>, Refusal> {
        if range.start > range.end {
            return Err(self.refuse(
                Code::LineOutOfRange,
                format!("{name} ends before it starts"),
                range.start.line,
            ));
        }
        let start = self.offset(range.start, name)?;
        // Whole documents are replaced up to a line that surely is behind the last.
        let whole = range.start
            == Position {
                line: 0,
                character: 0,
            };
        let end = if whole && range.end.line >= self.starts.len() as u64 {
            self.text.bytes().len()
        } else {
            self.offset(range.end, name)?
        };
        Ok(start..end)
    }

    fn offset(&self, position: Position, name: &str) -> Result<usize, Refusal> {
        let bytes = self.text.bytes();
        let index = usize::try_from(position.line)
            .ok()
            .filter(|index| *index < self.starts.len());
        let Some(index) = index else {
            let count = self.starts.len();
            return Err(self.refuse(
                Code::LineOutOfRange,
                format!(
                    "{name} names line {}, counted from 0, and the document has {count}",
                    position.line
                ),
                count as u64 - 1,
            ));
        };
        let start = self.starts[index];
        let end = self.starts.get(index + 1).copied().unwrap_or(bytes.len());
        let line = without_ending(&bytes[start..end]);
        let Some(marks) = self.marks(index, line) else {
            return Err(self.refuse(
                Code::UnsupportedEncoding,
                format!("{name} counts characters in a line that is not UTF-8"),
                position.line,
            ));
        };
        let next = marks.partition_point(|(units, _)| *units <= position.character);
        let (units, from) = marks[next - 1];
        let to = marks.get(next).map_or(line.len(), |(_, at)| *at);
        let piece = std::str::from_utf8(&line[from..to]).unwrap_or_default();
        let mut left = position.character - units;
        for (at, c) in piece.char_indices() {
            if left == 0 {
                return Ok(start + from + at);
            }
            left = left.checked_sub(c.len_utf16() as u64).ok_or_else(|| {
                self.refuse(
                    Code::LineOutOfRange,
                    format!("{name} splits a character"),
                    position.line,
                )
            })?;
        }
        Ok(start + to)
    }

    /// New text with the line ending that the document has at a place.
    pub(super) fn with_ending(&self, at: usize, new: &str) -> Vec<u8> {
        if !new.contains('\n') || crate::bytes::find(b'\n', self.text.bytes()).is_none() {
            return new.as_bytes().to_vec();
        }
        let plain = new.replace("\r\n", "\n");
        match self.text.ending_near(at) {
            LineEnding::Lf => plain.into_bytes(),
            LineEnding::CrLf => plain.replace('\n', "\r\n").into_bytes(),
        }
    }

    fn refuse(&self, code: Code, message: String, line: u64) -> Refusal {
        let mut refusal = Refusal::new(code, message).in_file(self.path);
        refusal.line = crate::text::LineNumber::new(line.saturating_add(1));
        refusal
    }
}

fn without_ending(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n' | b'\r'] => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(text: &str, range: [u64; 4]) -> Result<std::ops::Range<usize>, Code> {
        let path = RelPath::new("f").unwrap();
        let at = |line, character| Position { line, character };
        let range = Range {
            start: at(range[0], range[1]),
            end: at(range[2], range[3]),
        };
        Lines::new(text.as_bytes(), &path)
            .span(&range, "edit 1")
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn characters_are_utf_16_code_units() {
        let text = "a\u{1f600}b\u{e9}c\r\nnext\rlast";
        assert_eq!(span(text, [0, 1, 0, 3]), Ok(1..5));
        assert_eq!(span(text, [0, 4, 0, 5]), Ok(6..8));
        assert_eq!(span(text, [0, 2, 0, 3]), Err(Code::LineOutOfRange));
        assert_eq!(span(text, [0, 99, 0, 99]), Ok(9..9));
        assert_eq!(span(text, [1, 0, 2, 0]), Ok(11..16));
        assert_eq!(span(text, [2, 4, 2, 4]), Ok(20..20));
    }

    #[test]
    fn lines_past_the_end_are_refused_but_for_whole_documents() {
        assert_eq!(span("a\n", [1, 0, 1, 0]), Ok(2..2));
        assert_eq!(span("a\n", [2, 0, 2, 0]), Err(Code::LineOutOfRange));
        assert_eq!(span("a\n", [0, 0, 99, 0]), Ok(0..2));
        assert_eq!(span("a\n", [0, 1, 0, 0]), Err(Code::LineOutOfRange));
        assert_eq!(span("\u{feff}a\n", [0, 0, 0, 1]), Ok(3..4));
    }

    #[test]
    fn many_positions_in_one_long_line_are_those_of_a_short_one() {
        let line = "a\u{e9}\u{1f600}".repeat(100_000);
        let path = RelPath::new("f").unwrap();
        let lines = Lines::new(line.as_bytes(), &path);
        let offset = |character| lines.offset(Position { line: 0, character }, "edit").ok();
        for n in 0..100_000 {
            let expected = [0, 1, 3].map(|at| Some(n as usize * 7 + at));
            assert_eq!([0, 1, 2].map(|at| offset(n * 4 + at)), expected);
            assert_eq!(offset(n * 4 + 3), None, "half of a character");
        }
        assert_eq!(offset(400_000), Some(line.len()));
        assert_eq!(offset(500_000), Some(line.len()));
    }
}
