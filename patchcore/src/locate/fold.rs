//! How lines are compared: byte for byte, or with something folded away.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::diff;
use crate::operation::Matched;
use crate::text::trim_ending;

/// What two lines may differ in and still be held for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
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
    /// The same, and white space in front.
    Indentation,
}

impl Fold {
    /// The longest part of a folded line that every line has, as it is, that folds to it.
    pub(crate) fn core(self, folded: &[u8]) -> &[u8] {
        match self {
            Self::Bytes | Self::Ending | Self::TrailingSpace => folded,
            Self::SpaceRuns | Self::Punctuation | Self::Indentation => {
                let is_folded = |byte: &u8| {
                    byte.is_ascii_whitespace() || !byte.is_ascii() || b"-'\".".contains(byte)
                };
                let parts = folded.split(is_folded);
                parts.max_by_key(|part| part.len()).unwrap_or_default()
            }
        }
    }

    /// The line as far as it counts; lines that are held for the same give the same bytes.
    pub(crate) fn of(self, line: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Bytes => Cow::Borrowed(line),
            Self::Ending => Cow::Borrowed(trim_ending(line)),
            Self::SpaceRuns => squeeze(line),
            Self::TrailingSpace => Cow::Borrowed(line.trim_ascii_end()),
            Self::Punctuation => match punctuation(line) {
                Cow::Borrowed(line) => Cow::Borrowed(line.trim_ascii_end()),
                Cow::Owned(line) => Cow::Owned(line.trim_ascii_end().to_vec()),
            },
            Self::Indentation => match punctuation(line) {
                Cow::Borrowed(line) => Cow::Borrowed(line.trim_ascii()),
                Cow::Owned(line) => Cow::Owned(line.trim_ascii().to_vec()),
            },
        }
    }
}

/// What a verdict says where a step of the ladder was needed to find the place.
pub(crate) fn note(matched: Matched) -> Option<&'static str> {
    Some(match matched {
        Matched::LineEndings => return None,
        Matched::TrailingBlanks => "trailing white space was ignored to find the place",
        Matched::Typography => {
            "quotes, dashes and spaces of other code points were taken for ASCII to find the place"
        }
        Matched::Indentation => {
            "indentation was ignored to find the place; the new lines were indented as the lines there are"
        }
        Matched::EdgeBlanks => {
            "blank lines at the edges of the block were left out to find the place"
        }
        Matched::Escapes => "one level of escaping was undone to find the place",
    })
}

/// The rungs of the ladder that agents' formats are located by.
pub(crate) const LADDER: [Fold; 3] = [Fold::Ending, Fold::TrailingSpace, Fold::Punctuation];

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

/// Whether the patch indents a line with typographic spaces, and the file with plain ones.
pub(crate) fn is_indented_otherwise(patch: &[u8], file: &[u8]) -> bool {
    !indentation(patch).is_ascii() && indentation(file).is_ascii()
}

/// A line with plain spaces in front.
pub(crate) fn indented_plainly(line: &[u8]) -> Vec<u8> {
    let (white, text) = line.split_at(indentation(line).len());
    [&punctuation(white), text].concat()
}

/// The white space in front of a line.
fn indentation(line: &[u8]) -> &[u8] {
    let text = line.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    &line[..text.len() - text.trim_start().len()]
}

/// Lines of a file that are changed, as the file and as the patch has them, and what comes instead.
pub(crate) struct Run<'a> {
    /// Without endings.
    pub(crate) file: Vec<&'a [u8]>,
    /// The same but for what [`Fold::Punctuation`] folds.
    pub(crate) old: Vec<&'a [u8]>,
    pub(crate) new: Vec<&'a [u8]>,
}

/// A part of a line that is kept or goes as a whole: a word, or another character.
struct Token<'a> {
    /// As the patch writes it.
    text: &'a str,
    /// As the file writes it.
    file: &'a str,
    line: usize,
}

impl Run<'_> {
    /// The new lines, in which all that the patch keeps has the file's form.
    ///
    /// # Errors
    /// The line, from 0, with a character that the patch writes otherwise than the file, of which
    /// it is unclear whether the new lines keep it.
    pub(crate) fn carry(&self) -> Result<Vec<Vec<u8>>, usize> {
        let as_sent = || Ok(self.new.iter().map(|line| line.to_vec()).collect());
        let same = |(file, old): (&&[u8], &&[u8])| file.trim_ascii_end() == old.trim_ascii_end();
        if self.new.is_empty() || self.file.iter().zip(&self.old).all(same) {
            return as_sent();
        }
        let Some(old) = self.tokens() else {
            return Err(0);
        };
        let joined = self.new.join(&b'\n');
        let Ok(new) = std::str::from_utf8(&joined) else {
            return Err(0);
        };
        let new: Vec<&str> = words(new).collect();
        let texts: Vec<&str> = old.iter().map(|token| token.text).collect();
        let mut out = String::new();
        // What of the old lines goes and differs in form, and what comes that is not of them.
        let mut lost: Vec<&Token<'_>> = Vec::new();
        let mut fresh: HashSet<&str> = HashSet::new();
        let mut from = 0;
        let all = diff::parts(&texts, &new).into_iter();
        for (gone, comes) in all.chain([(old.len()..old.len(), 0..0)]) {
            let kept = &old[from..gone.start];
            out.extend(kept.iter().map(|token| token.file));
            from = gone.end;
            let gone = &old[gone];
            lost.extend(gone.iter().filter(|token| token.text != token.file));
            out.extend(new[comes.clone()].iter().copied());
            fresh.extend(&new[comes]);
        }
        // It goes with the words around it, unless the new lines have one like it.
        if let Some(token) = lost.iter().find(|token| fresh.contains(token.text)) {
            return Err(token.line);
        }
        Ok(out
            .split('\n')
            .map(|line| line.as_bytes().to_vec())
            .collect())
    }

    /// The old lines in parts; `None` where they are not text.
    fn tokens(&self) -> Option<Vec<Token<'_>>> {
        let mut tokens = Vec::new();
        for (line, (file, old)) in self.file.iter().zip(&self.old).enumerate() {
            if line > 0 {
                tokens.push(Token {
                    text: "\n",
                    file: "\n",
                    line,
                });
            }
            let old = std::str::from_utf8(old.trim_ascii_end()).ok()?;
            let mut file = std::str::from_utf8(file.trim_ascii_end()).ok()?;
            for text in words(old) {
                let used = match spelled(text, file) {
                    Some(used) => used,
                    // Blanks at the end of a line of the patch that the file has otherwise.
                    None if text.trim().is_empty() => 0,
                    None => return None,
                };
                let (form, rest) = file.split_at(used);
                tokens.push(Token {
                    text,
                    file: form,
                    line,
                });
                file = rest;
            }
        }
        Some(tokens)
    }
}

/// How many bytes of the file's text fold to the same as a part of the patch's.
fn spelled(text: &str, file: &str) -> Option<usize> {
    let folded = punctuation(text.as_bytes());
    let mut rest = &folded[..];
    let mut used = 0;
    let mut chars = file.chars();
    while !rest.is_empty() {
        let c = chars.next()?;
        let mut buffer = [0; 4];
        let form = match ascii(c) {
            Some(ascii) => ascii.as_bytes(),
            None => c.encode_utf8(&mut buffer).as_bytes(),
        };
        rest = rest.strip_prefix(form)?;
        used += c.len_utf8();
    }
    Some(used)
}

/// Text in words, dots that may stand for an ellipsis, and single characters.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let length = if rest.starts_with("...") {
            3
        } else if first.is_alphanumeric() {
            rest.find(|c: char| !c.is_alphanumeric())
                .unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, behind) = rest.split_at(length);
        rest = behind;
        Some(word)
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

    #[test]
    fn what_is_kept_has_the_form_of_the_file() {
        for (file, old, new, expected) in [
            ("l\u{2019}x a", "l'x a", "l'x b", Some("l\u{2019}x b")),
            (
                "w\u{2026} + x",
                "w... + x",
                "w... + y",
                Some("w\u{2026} + y"),
            ),
            (
                "10\u{a0}km far",
                "10 km far",
                "10 km near",
                Some("10\u{a0}km near"),
            ),
            (
                "a \u{2014} b",
                "a - b",
                "a - c\nd - e",
                Some("a \u{2014} c\nd - e"),
            ),
            (
                "\u{201c}Hi\u{201d}, 1",
                "\"Hi\", 1",
                "\"Hi\", \"x\"",
                Some("\u{201c}Hi\u{201d}, \"x\""),
            ),
            // It goes with the words around it.
            ("a \u{2014} b", "a - b", "c", Some("c")),
            ("say \u{201c}a\u{201d}", "say \"a\"", "say a", Some("say a")),
            // The patch means the file's form where it writes that itself.
            (
                "it\u{2019}s",
                "it's",
                "it\u{2019}s not",
                Some("it\u{2019}s not"),
            ),
        ] {
            let run = Run {
                file: file.split('\n').map(str::as_bytes).collect(),
                old: old.split('\n').map(str::as_bytes).collect(),
                new: new.split('\n').map(str::as_bytes).collect(),
            };
            let carried = run.carry().ok().map(|lines| lines.join(&b'\n'));
            let carried = carried.map(|text| String::from_utf8(text).unwrap());
            assert_eq!(carried.as_deref(), expected, "{file}");
        }
    }

    #[test]
    fn what_may_be_kept_or_not_is_refused() {
        let run = Run {
            file: vec!["\u{2019}a 1 2 3 4".as_bytes()],
            old: vec![b"'a 1 2 3 4"],
            new: vec![b"1 2 3 4 'a"],
        };
        assert!(run.carry().is_err());
    }

    /// As many words as fit into a patch, in another order, take no time to speak of.
    #[test]
    fn long_lines_are_carried_too() {
        let words = |step: usize| -> Vec<String> {
            (0..60_000)
                .map(|at| format!("w{}", at * step % 60_000))
                .collect()
        };
        let file = format!("\u{201c}{}\u{201d}", words(1).join(" "));
        let old = file.replace(['\u{201c}', '\u{201d}'], "\"");
        for new in [
            words(7).join(" "),
            "a b c d ".repeat(60_000),
            words(1).join(" "),
        ] {
            let run = Run {
                file: vec![file.as_bytes()],
                old: vec![old.as_bytes()],
                new: vec![new.as_bytes()],
            };
            assert_eq!(run.carry().unwrap(), [new.as_bytes()]);
        }
    }
}
