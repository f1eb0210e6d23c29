//! Text edits that have landed already: nothing is left to do.
//!
//! An agent that sends an edit again, or makes one that somebody made before, means what is there.
//! That is believed where the new text stands at exactly one place and
//!
//! - the text to find stands nowhere but inside it, or
//! - the text to find is gone, and the log shows this very edit, or old and new text have a line
//!   with a word in common, what the new text adds has a word, and the new text has at least
//!   [`ENOUGH`] characters that are not blank.
//!
//! A deletion leaves nothing that could be found again: it is never held for one that has landed.

use std::ops::Range;

use super::fold::{Fold, LADDER};
use super::ladder::Rungs;
use super::locate::{self, Place};
use crate::error::Refusal;
use crate::text::{LineNumber, Text, split_lines};

/// Fewest characters that are not blank by which a new text is known again.
const ENOUGH: usize = 16;

/// What the file says of an edit whose new text may stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Landed {
    /// Nothing: it has to be carried out, or refused.
    No,
    /// It has landed, at this place.
    Yes(Place),
    /// The text to find is gone and the new text stands at this line alone, which may be chance.
    Maybe(LineNumber),
}

/// What the verdict on an edit says that has landed at a line.
pub(super) fn note(line: LineNumber) -> String {
    format!("the new text is there already, at line {line}")
}

/// Says in the refusal of an edit whose text is not found where its new text stands.
pub(super) fn mention(mut refusal: Refusal, landed: &Landed) -> Refusal {
    if let Landed::Maybe(line) = landed {
        let stands = format!("; what it would replace that by stands at line {line} already");
        refusal.message.push_str(&stands);
    }
    refusal
}

/// Judges an edit of whole lines.
pub(super) fn lines(text: &[u8], old: &[&[u8]], new: &[&[u8]], rungs: Rungs) -> Landed {
    if old.is_empty() || new.iter().all(|line| is_blank(line)) {
        return Landed::No;
    }
    let searched = places(text, old, rungs);
    // Only what is part of the new lines can stand inside them.
    if !searched.is_empty() && !holds(new, old) {
        return Landed::No;
    }
    let [there] = &places(text, new, rungs)[..] else {
        return Landed::No;
    };
    let place = place(text, there);
    match searched[..] {
        [] if is_telling(old, new) => Landed::Yes(place),
        [] => Landed::Maybe(place.line),
        _ if searched.iter().all(|part| is_inside(part, there)) => Landed::Yes(place),
        _ => Landed::No,
    }
}

/// Judges an edit of characters, which may lie inside lines.
pub(super) fn characters(text: &[u8], old: &str, new: &str, rungs: Rungs) -> Landed {
    if new.trim().is_empty() {
        return Landed::No;
    }
    let searched = occurrences(text, old);
    if searched.is_empty() {
        let (old, new): (Vec<_>, Vec<_>) = (
            split_lines(old.as_bytes()).collect(),
            split_lines(new.as_bytes()).collect(),
        );
        if !places(text, &old, rungs).is_empty() {
            return Landed::No;
        }
        let found = occurrences(text, &joined(&new));
        return match found[..] {
            [ref there] => {
                let place = place(text, there);
                match is_telling(&old, &new) {
                    true => Landed::Yes(place),
                    false => Landed::Maybe(place.line),
                }
            }
            [] => lines(text, &old, &new, rungs),
            _ => Landed::No,
        };
    }
    // A line break at either end is there in any case.
    let is_more = new.replace("\r\n", "\n").trim_matches('\n').len()
        > old.replace("\r\n", "\n").trim_matches('\n').len();
    let [there] = &occurrences(text, new)[..] else {
        return Landed::No;
    };
    match is_more && searched.iter().all(|place| is_inside(place, there)) {
        true => Landed::Yes(place(text, there)),
        false => Landed::No,
    }
}

fn place(text: &[u8], span: &Range<usize>) -> Place {
    Place {
        line: Text::new(text).line_at(span.start),
        span: span.clone(),
    }
}

fn joined(lines: &[&[u8]]) -> String {
    String::from_utf8_lossy(&lines.concat()).into_owned()
}

fn is_inside(place: &Range<usize>, there: &Range<usize>) -> bool {
    there.start <= place.start && place.end <= there.end
}

/// Whether lines are a part of others, white space around them aside.
fn holds(new: &[&[u8]], old: &[&[u8]]) -> bool {
    let same = |part: &[&[u8]]| {
        let mut pairs = part.iter().zip(old);
        pairs.all(|(a, b)| {
            Fold::Punctuation.of(a.trim_ascii()) == Fold::Punctuation.of(b.trim_ascii())
        })
    };
    new.len() > old.len() && new.windows(old.len()).any(same)
}

/// Whether an edit is so much of its own that finding its new text is no chance.
fn is_telling(old: &[&[u8]], new: &[&[u8]]) -> bool {
    let has_word = |line: &[u8]| {
        line.iter()
            .any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
    };
    let stays = |line: &&[u8]| {
        old.iter()
            .any(|other| other.trim_ascii() == line.trim_ascii())
    };
    let (kept, added): (Vec<&[u8]>, Vec<&[u8]>) = new.iter().copied().partition(stays);
    let blank = |byte: &&u8| !byte.is_ascii_whitespace() && (**byte & 0xc0) != 0x80;
    let characters: usize = new
        .iter()
        .map(|line| line.iter().filter(blank).count())
        .sum();
    kept.into_iter().any(has_word) && added.into_iter().any(has_word) && characters >= ENOUGH
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// The steps on which new text is known again.
const STEPS: [Fold; 4] = [LADDER[0], LADDER[1], LADDER[2], Fold::Indentation];

/// Where lines stand, at the first step at which they stand anywhere.
fn places(text: &[u8], block: &[&[u8]], rungs: Rungs) -> Vec<Range<usize>> {
    let steps = match rungs {
        Rungs::Exact => &LADDER[..1],
        Rungs::All => &STEPS[..],
    };
    for &fold in steps {
        let found = locate::find_in(text, 0..text.len(), block, fold);
        if !found.is_empty() {
            return found.into_iter().map(|place| place.span).collect();
        }
    }
    Vec::new()
}

/// Where characters stand, `\n` standing for the file's line ending.
fn occurrences(text: &[u8], find: &str) -> Vec<Range<usize>> {
    let plain = find.replace("\r\n", "\n");
    let mut forms = vec![find.to_owned()];
    forms.extend([plain.clone(), plain.replace('\n', "\r\n")]);
    for form in forms {
        let finder = memchr::memmem::Finder::new(&form);
        let mut found = Vec::new();
        let mut from = 0;
        while !form.is_empty()
            && let Some(at) = finder.find(&text[from..])
        {
            found.push(from + at..from + at + form.len());
            from += at + 1;
        }
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_lines(text: &str, old: &str, new: &str) -> Landed {
        let old: Vec<&[u8]> = split_lines(old.as_bytes()).collect();
        let new: Vec<&[u8]> = split_lines(new.as_bytes()).collect();
        lines(text.as_bytes(), &old, &new, Rungs::All)
    }

    /// The line, without the place.
    fn line(landed: Landed) -> Option<Result<u64, u64>> {
        match landed {
            Landed::No => None,
            Landed::Yes(place) => Some(Ok(place.line.get())),
            Landed::Maybe(line) => Some(Err(line.get())),
        }
    }

    fn at(line: u64) -> Option<Result<u64, u64>> {
        Some(Ok(line))
    }

    fn maybe(line: u64) -> Option<Result<u64, u64>> {
        Some(Err(line))
    }

    #[test]
    fn what_stands_only_inside_its_replacement_has_landed() {
        for (text, old, new, expected) in [
            (
                "import a\nimport b\nx\n",
                "import a\n",
                "import a\nimport b\n",
                at(1),
            ),
            ("import a\nx\n", "import a\n", "import a\nimport b\n", None),
            // Elsewhere, too: it is not known which is meant.
            ("a\nb\na\n", "a\n", "a\nb\n", None),
            ("a\nb\na\nb\n", "a\n", "a\nb\n", None),
            // In the file's form.
            (
                "  import a\r\n  import b\r\n",
                "import a\n",
                "import a\nimport b\n",
                at(1),
            ),
            // A deletion.
            ("a\nb\n", "a\nx\nb\n", "a\nb\n", maybe(1)),
            ("a\nb\n", "x\n", "", None),
        ] {
            assert_eq!(
                line(of_lines(text, old, new)),
                expected,
                "{text:?} {old:?} {new:?}"
            );
            if !text.contains("  ") {
                let judged = characters(text.as_bytes(), old, new, Rungs::All);
                assert_eq!(line(judged), expected, "{text:?} {old:?} {new:?}");
            }
        }
    }

    #[test]
    fn what_is_gone_has_landed_where_its_replacement_is_telling() {
        let file = "def f():\n    return compute(1)\n";
        for (old, new, expected) in [
            (
                "def f():\n    return 0\n",
                "def f():\n    return compute(1)\n",
                at(1),
            ),
            // No line in common.
            ("    return 0\n", "    return compute(1)\n", maybe(2)),
            // Nothing added but what is not a word.
            (
                "def f():\n}\n    return compute(1)\n",
                "def f():\n    return compute(1)\n",
                maybe(1),
            ),
            // Not there.
            (
                "def f():\n    return 0\n",
                "def f():\n    return compute(2)\n",
                None,
            ),
        ] {
            assert_eq!(line(of_lines(file, old, new)), expected, "{old:?} {new:?}");
            assert_eq!(
                line(characters(file.as_bytes(), old, new, Rungs::All)),
                expected,
                "{old:?} {new:?}"
            );
        }
        assert_eq!(
            line(of_lines("a:\n  b\n", "a:\n  c\n", "a:\n  b\n")),
            maybe(1)
        );
    }

    #[test]
    fn characters_inside_a_line_have_landed_where_they_stand_only_inside_the_new_ones() {
        for (text, old, new, expected) in [
            ("f(a, b)\n", "f(a", "f(a, b", at(1)),
            ("f(a)\n", "f(a", "f(a, b", None),
            ("f(a, b) f(a)\n", "f(a", "f(a, b", None),
            // The end of the line is there in any case.
            ("x\ny\n", "x", "x\n", None),
            (
                "import a\r\nimport b\r\n",
                "import a",
                "import a\nimport b",
                at(1),
            ),
        ] {
            let judged = characters(text.as_bytes(), old, new, Rungs::All);
            assert_eq!(line(judged), expected, "{text:?} {old:?} {new:?}");
        }
    }
}
