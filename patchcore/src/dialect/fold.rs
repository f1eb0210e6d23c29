//! How lines are compared: byte for byte, or with something folded away.

use std::borrow::Cow;

use crate::text::trim_ending;

/// What two lines may differ in and still be held for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fold {
    /// Nothing.
    Bytes,
    /// The line ending.
    Ending,
    /// The amount of white space where there is some, and the line ending.
    SpaceRuns,
    /// White space at the end.
    TrailingSpace,
    /// White space at the end, and the code points of quotes, dashes and spaces.
    Punctuation,
}

impl Fold {
    /// The line as far as it counts; lines that are held for the same give the same bytes.
    pub(super) fn of(self, line: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Bytes => Cow::Borrowed(line),
            Self::Ending => Cow::Borrowed(trim_ending(line)),
            Self::SpaceRuns => squeeze(line),
            Self::TrailingSpace => Cow::Borrowed(line.trim_ascii_end()),
            Self::Punctuation => match punctuation(line) {
                Cow::Borrowed(line) => Cow::Borrowed(line.trim_ascii_end()),
                Cow::Owned(line) => Cow::Owned(line.trim_ascii_end().to_vec()),
            },
        }
    }

    /// What a verdict says where this was needed.
    pub(super) fn note(self) -> Option<&'static str> {
        match self {
            Self::Bytes | Self::Ending => None,
            Self::SpaceRuns => Some("white space was ignored to find the place"),
            Self::TrailingSpace => Some("trailing white space was ignored to find the place"),
            Self::Punctuation => Some(
                "quotes, dashes and spaces of other code points were taken for ASCII to find the place",
            ),
        }
    }
}

/// The rungs of the ladder that agents' formats are located by.
pub(super) const LADDER: [Fold; 3] = [Fold::Ending, Fold::TrailingSpace, Fold::Punctuation];

fn squeeze(line: &[u8]) -> Cow<'_, [u8]> {
    let line = match line {
        [rest @ .., b'\n'] => rest,
        _ => line,
    };
    let end = line.len() - line.iter().rev().take_while(|byte| **byte == b'\r').count();
    let mut out = Vec::with_capacity(end);
    for &byte in &line[..end] {
        if byte.is_ascii_whitespace() {
            if out.last() != Some(&b' ') {
                out.push(b' ');
            }
        } else {
            out.push(byte);
        }
    }
    Cow::Owned(out)
}

/// Text with typographic quotes, dashes and spaces as ASCII; bytes that are not UTF-8 stay.
fn punctuation(text: &[u8]) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match ascii(c) {
                Some(ascii) => out.extend_from_slice(ascii.as_bytes()),
                None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        out.extend_from_slice(chunk.invalid());
    }
    Cow::Owned(out)
}

/// The ASCII spelling of a typographic character.
fn ascii(c: char) -> Option<&'static str> {
    Some(match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "-",
        '\u{2018}'..='\u{201b}' => "'",
        '\u{201c}'..='\u{201f}' => "\"",
        '\u{2026}' => "...",
        '\u{a0}' | '\u{2002}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => " ",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fold_forgets_what_it_says_and_no_more() {
        let same = |fold: Fold, a: &str, b: &str| fold.of(a.as_bytes()) == fold.of(b.as_bytes());
        assert!(same(Fold::Ending, "a\r\n", "a\n") && same(Fold::Ending, "a\n", "a"));
        assert!(!same(Fold::Bytes, "a\n", "a") && !same(Fold::Ending, "a \n", "a\n"));
        assert!(same(Fold::SpaceRuns, "a  \tb\r\n", "a b\n"));
        assert!(!same(Fold::SpaceRuns, "ab", "a b") && !same(Fold::SpaceRuns, " a", "a"));
        assert!(same(Fold::TrailingSpace, "a \t\r\n", "a\n"));
        assert!(!same(Fold::TrailingSpace, " a", "a"));
        assert!(same(
            Fold::Punctuation,
            "\u{201c}it\u{2019}s\u{201d} \u{2013}\u{a0}x \n",
            "\"it's\" - x\n"
        ));
        assert!(!same(Fold::Punctuation, "\u{e9}", "e"));
    }
}
