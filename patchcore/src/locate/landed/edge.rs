//! Where a new text ends in a file, and whether it ends there with a word or line.

use std::ops::Range;

/// How a new text ends in the file, at an end at which it has more than the text to find.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edge {
    /// With a word, or the text to find ends with it.
    Whole,
    /// Within a word that the text to find cuts as well, or within a name of several words.
    Part,
    /// Within something longer, with which the text to find has nothing to do.
    Open,
}

/// The worse of both ends of a new text that stands in a file, around the text to find.
pub(super) fn edges(text: &[u8], part: &Range<usize>, there: &Range<usize>) -> Edge {
    let is_break = |at: usize| matches!(text.get(at), Some(b'\n' | b'\r'));
    let start = part.start > there.start && !is_break(there.start);
    let start = start.then(|| {
        let line = text[..there.start].rsplit(|byte| *byte == b'\n').next();
        let added = &text[there.start..part.start];
        match added.contains(&b'\n') && !starts_line(line.unwrap_or_default()) {
            true => Edge::Open,
            false if !is_joined(text, there.start) => Edge::Whole,
            false if is_joined(text, part.start) => Edge::Part,
            false => Edge::Open,
        }
    });
    let end = part.end < there.end && !is_break(there.end - 1);
    let end = end.then(|| {
        let line = text[there.end..].split(|byte| *byte == b'\n').next();
        let added = &text[part.end..there.end];
        match added.contains(&b'\n') && !ends_line(line.unwrap_or_default()) {
            true => Edge::Open,
            false if is_joined(text, there.end) && is_joined(text, part.end) => Edge::Part,
            false if is_joined(text, there.end) => Edge::Open,
            false if is_in_name(text, there.end) => Edge::Part,
            false => Edge::Whole,
        }
    });
    start.max(end).unwrap_or(Edge::Whole)
}

/// Whether a part of a text starts or ends in the middle of a word or number.
pub(super) fn is_cut(text: &[u8], place: &Range<usize>) -> bool {
    !place.is_empty() && (is_joined(text, place.start) || is_joined(text, place.end))
}

/// The characters before and behind an offset; bytes that are no UTF-8 count as letters.
fn around(text: &[u8], at: usize) -> (Option<char>, Option<char>) {
    let (before, behind) = text.split_at(at);
    let before = String::from_utf8_lossy(&before[before.len().saturating_sub(4)..]);
    let behind = String::from_utf8_lossy(&behind[..behind.len().min(4)]);
    (before.chars().last(), behind.chars().next())
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | char::REPLACEMENT_CHARACTER)
}

/// Whether what stands before and behind an offset is one word or number.
fn is_joined(text: &[u8], at: usize) -> bool {
    let (before, behind) = text.split_at(at);
    if let ([.., a, b'.'], [b, ..]) | ([.., a], [b'.', b, ..]) = (before, behind) {
        return a.is_ascii_digit() && b.is_ascii_digit();
    }
    let (before, behind) = around(text, at);
    before.is_some_and(is_of_word) && behind.is_some_and(is_of_word)
}

/// Whether a word before an offset goes on behind it by a sign that makes one name of words.
fn is_in_name(text: &[u8], at: usize) -> bool {
    let signs: [&[u8]; 6] = [b"::", b"->", b".", b"-", b"/", b":"];
    let behind = &text[at..];
    let sign = signs.into_iter().find(|sign| behind.starts_with(sign));
    let next = |sign: &[u8]| around(text, at + sign.len()).1;
    around(text, at).0.is_some_and(is_of_word) && sign.and_then(next).is_some_and(is_of_word)
}

/// Whether a new line may start behind this start of a line of the file.
fn starts_line(line: &[u8]) -> bool {
    let last = line.trim_ascii_end().last();
    last.is_none_or(|byte| b"([{,;=\"'`>".contains(byte))
}

/// Whether a new line may end before this end of a line of the file: a comment, or what closes.
fn ends_line(line: &[u8]) -> bool {
    let rest = line.trim_ascii();
    let comments: [&[u8]; 4] = [b"#", b"//", b"/*", b"--"];
    let is_comment = rest.len() < line.len() && comments.iter().any(|mark| rest.starts_with(mark));
    let first = rest.first();
    is_comment || first.is_none_or(|byte| b")]},;\"'`<".contains(byte))
}
