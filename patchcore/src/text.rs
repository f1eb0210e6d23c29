//! Bytes as lines: split on `\n` only, with their endings, the BOM and the final newline.

use std::num::NonZeroU64;
use std::ops::Range;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// A line's number, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LineNumber(NonZeroU64);

impl LineNumber {
    /// The first line.
    pub const FIRST: Self = Self(NonZeroU64::MIN);

    /// The line with this number; `None` for 0.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// The line behind `index` others.
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        Self(NonZeroU64::MIN.saturating_add(index as u64))
    }

    /// The number, from 1.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// How many lines stand before it.
    #[must_use]
    pub fn index(self) -> usize {
        usize::try_from(self.0.get() - 1).unwrap_or(usize::MAX)
    }
}

impl std::fmt::Display for LineNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// How a line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnding {
    /// `\n`
    Lf,
    /// `\r\n`
    CrLf,
}

impl LineEnding {
    /// The bytes of the ending.
    #[must_use]
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Self::Lf => b"\n",
            Self::CrLf => b"\r\n",
        }
    }

    /// The ending of a line given with it; `None` for a last line without one.
    #[must_use]
    pub fn of_line(line: &[u8]) -> Option<Self> {
        match line {
            [.., b'\r', b'\n'] => Some(Self::CrLf),
            [.., b'\n'] => Some(Self::Lf),
            _ => None,
        }
    }

    /// The ending that all lines of a text have; `None` where they differ, or there are none.
    pub(crate) fn throughout(bytes: &[u8]) -> Option<Self> {
        let ends = crate::bytes::positions(b'\n', bytes);
        let mut endings = ends.map(|at| match at > 0 && bytes[at - 1] == b'\r' {
            true => Self::CrLf,
            false => Self::Lf,
        });
        let first = endings.next()?;
        endings.all(|ending| ending == first).then_some(first)
    }

    /// A text whose lines end in this. A last line without an ending stays one.
    pub(crate) fn set(self, bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::with_capacity(bytes.len());
        for line in split_lines(bytes) {
            match Self::of_line(line) {
                Some(ending) => {
                    text.extend_from_slice(&line[..line.len() - ending.as_bytes().len()]);
                    text.extend_from_slice(self.as_bytes());
                }
                None => text.extend_from_slice(line),
            }
        }
        text
    }
}

/// The blanks and tabs in front of a line.
pub(crate) fn lead(line: &[u8]) -> &[u8] {
    let end = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
    &line[..end.count()]
}

/// A line without its ending, be it `\n`, `\r\n` or none.
#[must_use]
pub fn trim_ending(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., b'\r', b'\n'] | [rest @ .., b'\n'] => rest,
        _ => line,
    }
}

/// Splits behind each `\n`; the last piece may lack one, and none is empty.
pub fn split_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = crate::bytes::find(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let (line, behind) = rest.split_at(end);
        rest = behind;
        Some(line)
    })
}

/// The endings that the lines of a new text take at several places, in order. One holds up to the
/// next newline: a long line is not searched for each place in it.
pub(crate) struct Endings<'t> {
    text: &'t Text<'t>,
    is_asked: bool,
    ending: LineEnding,
    until: usize,
}

impl<'t> Endings<'t> {
    pub(crate) fn of(text: &'t Text<'t>, new: &[u8]) -> Self {
        Self {
            text,
            is_asked: crate::bytes::find(b'\n', new).is_some(),
            ending: LineEnding::Lf,
            until: 0,
        }
    }

    /// The ending near an offset; any where the new text has no newline.
    pub(crate) fn near(&mut self, offset: usize) -> LineEnding {
        if self.is_asked && offset >= self.until {
            self.ending = self.text.ending_near(offset);
            let newline = crate::bytes::find(b'\n', &self.text.bytes()[offset..]);
            self.until = newline.map_or(usize::MAX, |at| offset + at + 1);
        }
        self.ending
    }
}

/// What the bytes of a file are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Text in any encoding that keeps ASCII: UTF-8, Latin-1, Shift JIS, …
    Text,
    /// UTF-16 or UTF-32, by its byte order mark.
    Wide,
    /// Something that holds NUL bytes; the first stands at this byte offset.
    Binary(usize),
}

/// Tells text from what is no text to us.
#[must_use]
pub fn detect_encoding(bytes: &[u8]) -> Encoding {
    if bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        || bytes.starts_with(b"\0\0\xfe\xff")
    {
        return Encoding::Wide;
    }
    crate::bytes::find(0, bytes).map_or(Encoding::Text, Encoding::Binary)
}

/// UTF-8's byte order mark.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// How many newlines stand before each piece of a text, so that a line is found by looking at one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LineIndex {
    /// Newlines before the start of each piece, and in all.
    newlines: Vec<usize>,
}

impl LineIndex {
    /// Newlines are counted for each piece of this many bytes.
    pub(crate) const PIECE: usize = 1024;

    /// Counts the newlines of a text.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self::from_counts(bytes.len(), Self::counts(bytes))
    }

    /// How many newlines each piece of a text holds.
    pub(crate) fn counts(bytes: &[u8]) -> impl Iterator<Item = usize> {
        let pieces = bytes.chunks(Self::PIECE);
        pieces.map(|piece| crate::bytes::count(b'\n', piece))
    }

    /// Adds up the counts of the pieces of a text of `len` bytes.
    pub(crate) fn from_counts(len: usize, counts: impl IntoIterator<Item = usize>) -> Self {
        let mut newlines = Vec::with_capacity(len / Self::PIECE + 2);
        let mut count = 0;
        newlines.push(0);
        for piece in counts {
            count += piece;
            newlines.push(count);
        }
        Self { newlines }
    }

    /// How many newlines stand before a byte offset; `bytes` is the text that was counted.
    #[must_use]
    pub fn newlines_before(&self, bytes: &[u8], offset: usize) -> usize {
        let offset = offset.min(bytes.len());
        let piece = offset / Self::PIECE;
        let within = crate::bytes::count(b'\n', &bytes[piece * Self::PIECE..offset]);
        self.newlines[piece] + within
    }
}

/// A text with cheap translation between lines and bytes.
///
/// Nothing is indexed until a line is asked for, and then only the newlines of each KiB are
/// counted. A BOM is no part of line 1.
///
/// ```
/// use patchcore::text::{LineNumber, Text};
/// let text = Text::new(b"one\r\ntwo");
/// let second = LineNumber::new(2).expect("2 is not 0");
/// assert_eq!(text.line_count(), 2);
/// assert_eq!(text.line(second), Some(5..8));
/// assert_eq!(text.line_at(6), second);
/// ```
#[derive(Debug)]
pub struct Text<'a> {
    bytes: &'a [u8],
    index: Index<'a>,
}

#[derive(Debug)]
enum Index<'a> {
    Own(OnceLock<LineIndex>),
    Shared(&'a OnceLock<LineIndex>),
}

impl<'a> Text<'a> {
    /// Takes bytes as lines.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            index: Index::Own(OnceLock::new()),
        }
    }

    /// Takes bytes as lines and shares the index of them, which is made at the first need.
    pub(crate) fn sharing(bytes: &'a [u8], index: &'a OnceLock<LineIndex>) -> Self {
        Self {
            bytes,
            index: Index::Shared(index),
        }
    }

    /// All bytes, the BOM among them.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of the BOM in bytes, 0 where there is none: where line 1 starts.
    #[must_use]
    pub fn bom_len(&self) -> usize {
        if self.bytes.starts_with(BOM) {
            BOM.len()
        } else {
            0
        }
    }

    /// Whether there is no line.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() == self.bom_len()
    }

    /// Whether the last line has an ending; true of a text without lines.
    #[must_use]
    pub fn ends_in_newline(&self) -> bool {
        self.is_empty() || self.bytes.ends_with(b"\n")
    }

    /// How many lines there are; a last one without an ending counts.
    #[must_use]
    pub fn line_count(&self) -> usize {
        let newlines = self.newlines().last().copied().unwrap_or(0);
        newlines + usize::from(!self.ends_in_newline())
    }

    /// The byte range of a line, its ending included; `None` past the last line.
    #[must_use]
    pub fn line(&self, number: LineNumber) -> Option<Range<usize>> {
        let start = self.start_of(number.index())?;
        if start == self.bytes.len() {
            return None;
        }
        let end = crate::bytes::find(b'\n', &self.bytes[start..])
            .map_or(self.bytes.len(), |at| start + at + 1);
        Some(start..end)
    }

    /// The byte range of the lines `first..=last`, endings included; `None` where it leaves the
    /// text or is reversed.
    #[must_use]
    pub fn lines(&self, first: LineNumber, last: LineNumber) -> Option<Range<usize>> {
        if first > last {
            return None;
        }
        let start = self.line(first)?;
        let end = if first == last {
            start.end
        } else {
            self.line(last)?.end
        };
        Some(start.start..end)
    }

    /// The line that holds a byte offset; for the end of the text, the line that would follow.
    #[must_use]
    pub fn line_at(&self, offset: usize) -> LineNumber {
        LineNumber::from_index(self.index().newlines_before(self.bytes, offset))
    }

    /// Where the line that holds a byte offset starts.
    #[must_use]
    pub fn line_start(&self, offset: usize) -> usize {
        crate::bytes::rfind(b'\n', &self.bytes[..offset])
            .map_or(self.bom_len().min(offset), |at| at + 1)
    }

    /// The ending that new lines beside `offset` take: the one of the line there, else of the line
    /// before it, else the prevailing one.
    #[must_use]
    pub fn ending_near(&self, offset: usize) -> LineEnding {
        let here = crate::bytes::find(b'\n', &self.bytes[offset..]).map(|at| offset + at);
        let newline = here.or_else(|| crate::bytes::rfind(b'\n', &self.bytes[..offset]));
        match newline {
            Some(at) if at > 0 && self.bytes[at - 1] == b'\r' => LineEnding::CrLf,
            _ => LineEnding::Lf,
        }
    }

    /// The ending that most lines have; `\n` where there is none or a draw.
    #[must_use]
    pub fn prevailing_ending(&self) -> LineEnding {
        let all = self.newlines().last().copied().unwrap_or(0);
        let crlf = memchr::memmem::find_iter(self.bytes, b"\r\n").count();
        if crlf * 2 > all {
            LineEnding::CrLf
        } else {
            LineEnding::Lf
        }
    }

    /// Where the line behind `index` others starts; the end of the text for one past the last.
    fn start_of(&self, index: usize) -> Option<usize> {
        if index == 0 {
            return Some(self.bom_len());
        }
        let newlines = self.newlines();
        // The piece that holds newline number `index`.
        let piece = newlines
            .partition_point(|&before| before < index)
            .checked_sub(1)?;
        let base = piece * LineIndex::PIECE;
        let rest = self.bytes.get(base..)?;
        crate::bytes::positions(b'\n', rest)
            .nth(index - newlines[piece] - 1)
            .map(|at| base + at + 1)
    }

    /// The newlines counted.
    #[must_use]
    pub fn index(&self) -> &LineIndex {
        let index = match &self.index {
            Index::Own(index) => index,
            Index::Shared(index) => index,
        };
        index.get_or_init(|| LineIndex::new(self.bytes))
    }

    fn newlines(&self) -> &[usize] {
        &self.index().newlines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> LineNumber {
        LineNumber::new(number).unwrap()
    }

    #[test]
    fn lines_split_on_newlines_alone() {
        let text = Text::new(b"a\rb\r\n\nc");
        assert_eq!(text.line(at(1)), Some(0..5));
        assert_eq!(text.line(at(2)), Some(5..6));
        assert_eq!(text.line(at(3)), Some(6..7));
        assert_eq!(text.line(at(4)), None);
        assert_eq!(text.line(at(u64::MAX)), None);
        assert_eq!(text.line_count(), 3);
        assert_eq!(text.lines(at(2), at(3)), Some(5..7));
        assert_eq!(text.lines(at(3), at(2)), None);
    }

    #[test]
    fn a_bom_is_no_part_of_line_1() {
        let text = Text::new(b"\xef\xbb\xbfa\n");
        assert_eq!(text.line(at(1)), Some(3..5));
        assert_eq!(text.line_start(4), 3);
        assert!(Text::new(BOM).is_empty());
        assert_eq!(Text::new(BOM).line(at(1)), None);
        assert_eq!(Text::new(BOM).line_count(), 0);
    }

    #[test]
    fn lines_and_offsets_agree_across_pieces() {
        let bytes = "0123456789abcde\n".repeat(1000);
        let text = Text::new(bytes.as_bytes());
        for index in [0, 1, 255, 256, 257, 511, 512, 999] {
            let line = LineNumber::from_index(index);
            assert_eq!(text.line(line), Some(index * 16..index * 16 + 16));
            assert_eq!(text.line_at(index * 16), line);
            assert_eq!(text.line_at(index * 16 + 15), line);
        }
        assert_eq!(text.line_at(16_000), at(1001));
        assert_eq!(text.line(at(1001)), None);
    }

    #[test]
    fn the_prevailing_ending_is_the_majority_and_a_neighbour_goes_first() {
        let text = Text::new(b"a\r\nb\r\nc\nd");
        assert_eq!(text.prevailing_ending(), LineEnding::CrLf);
        assert_eq!(text.ending_near(7), LineEnding::Lf);
        assert_eq!(text.ending_near(0), LineEnding::CrLf);
        assert_eq!(text.ending_near(8), LineEnding::Lf);
    }

    #[test]
    fn wide_and_binary_bytes_are_told_from_text() {
        assert_eq!(detect_encoding(b"\xff\xfea\0"), Encoding::Wide);
        assert_eq!(detect_encoding(b"ab\0"), Encoding::Binary(2));
        assert_eq!(detect_encoding(b"caf\xe9\n"), Encoding::Text);
    }
}
