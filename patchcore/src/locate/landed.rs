//! Text edits that have landed already: nothing is left to do.
//!
//! An agent that sends an edit again, or makes one that somebody made before, means what is there.
//! That is believed where the new text stands at exactly one place and
//!
//! - the text to find stands nowhere but inside it, or
//! - the text to find is gone, old and new text have a line with a word in common (white space
//!   aside; a long one may be a part of the other), what the new text adds has a word that no old
//!   line quotes, and the new text has at least [`ENOUGH`] characters that are not blank; or the log shows this very edit,
//!   which the workspace looks up where lowering asks for it ([`Tree::has_landed`]).
//!
//! A new text of characters that ends, or starts, in the middle of a word or number of the file is
//! not there: what stands there is something longer. Where the text to find cut that word before,
//! too, only the log can tell.
//!
//! An edit that names the function or part of the file that it is for has landed only there.
//!
//! A deletion leaves nothing that could be found again: it is never held for one that has landed.

mod edge;
mod heading;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use super::fold::{Fold, LADDER};
use super::ladder::Rungs;
use crate::error::{Code, Refusal};
use crate::locate::{self, Place};
use crate::path::RelPath;
use crate::text::{BOM, LineNumber, Text, split_lines};

use edge::{Edge, edges, is_cut};
pub(crate) use heading::is_below;

/// Fewest characters that are not blank by which a new text is known again.
const ENOUGH: usize = 16;

/// New lines that are looked for in the old ones, at most.
const LOOKED_AT: usize = 64;

/// Bytes of lines that are looked for within others at once: each takes about 45 bytes of memory
/// meanwhile. Of more, only what is the same is held for common.
const SHARED: usize = 4 << 20;

/// What the file says of an edit whose new text may stand there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Landed {
    /// Nothing: it has to be carried out, or refused.
    No,
    /// It has landed, at this place.
    Yes(Place),
    /// The text to find is gone and the new text stands at this line alone, which may be chance.
    Maybe(Place),
    /// The new text stands at this line alone, as a part of a longer word: only the log can tell.
    Part(Place),
    /// The new text stands at this line alone, outside of the function or part of the file that the
    /// edit names: another edit has brought it there.
    Elsewhere(Place),
}

impl Landed {
    /// Holds an edit to the part of the file that it names; `is_below` says of an offset whether it
    /// is there.
    pub(crate) fn within(self, is_below: impl Fn(&Range<usize>) -> bool) -> Self {
        match self {
            Self::Yes(place) | Self::Maybe(place) if !is_below(&place.span) => {
                Self::Elsewhere(place)
            }
            other => other,
        }
    }
}

/// What the verdict on an edit says that has landed at a line.
pub(crate) fn note(line: LineNumber) -> String {
    format!("the new text is there already, at line {line}")
}

/// Says in the refusal of an edit whose text is not found where its new text stands.
pub(crate) fn mention(mut refusal: Refusal, landed: &Landed) -> Refusal {
    if let Landed::Maybe(Place { line, .. }) | Landed::Elsewhere(Place { line, .. }) = landed {
        let stands = format!("; what it would replace that by stands at line {line} already");
        refusal.message.push_str(&stands);
    }
    refusal
}

/// The refusal of an edit whose text stands only where its new text stands, as a part of a longer
/// word; `None` where that is not what is known of it.
pub(crate) fn unclear(landed: &Landed, path: &RelPath, name: &str) -> Option<Refusal> {
    let Landed::Part(Place { line, .. }) = landed else {
        return None;
    };
    let message = format!(
        "{name} stands in {path} only within its new text, at line {line}, which goes on there in the same word: whether the edit has landed cannot be told; send the whole word or line that gives way"
    );
    let refusal = Refusal::new(Code::AnchorAmbiguous, message).in_file(path);
    Some(refusal.at_line(*line))
}

/// The lines of a text, by which most edits of many are told not to have landed: to look for each
/// takes several passes over the text.
pub(crate) struct Standing<'t>(HashSet<Cow<'t, [u8]>>);

impl<'t> Standing<'t> {
    pub(crate) fn of(text: &'t [u8]) -> Self {
        let text = text.strip_prefix(BOM).unwrap_or(text);
        Self(split_lines(text).map(Self::fold).collect())
    }

    /// Whether [`lines`] may find that an edit with these new lines has landed.
    pub(crate) fn may_hold(&self, new: &[&[u8]]) -> bool {
        let mut telling = new.iter().filter(|line| !is_blank(line));
        telling.all(|line| self.0.contains(&Self::fold(line)))
    }

    /// What no step folds less of.
    fn fold(line: &[u8]) -> Cow<'_, [u8]> {
        Fold::Indentation.of(line)
    }
}

/// Judges an edit of whole lines.
pub(crate) fn lines(text: &[u8], old: &[&[u8]], new: &[&[u8]], rungs: Rungs) -> Landed {
    if old.is_empty() || new.iter().all(|line| is_blank(line)) {
        return Landed::No;
    }
    let searched = places(text, old, rungs);
    // Only what is part of the new lines can stand inside them.
    if !searched.is_empty() && !holds(new, old) {
        return Landed::No;
    }
    let (there, shift) = match &places(text, new, rungs)[..] {
        [there] => (there.clone(), Shift::default()),
        [] if rungs == Rungs::All => match shifted(text, new) {
            Some(found) => found,
            None => return Landed::No,
        },
        _ => return Landed::No,
    };
    let place = place(text, &there);
    // Both halves are off by the same indentation, or it is another edit.
    let moved: Vec<Vec<u8>> = old.iter().filter_map(|line| shift.of(line)).collect();
    if moved.len() < old.len() {
        return Landed::No;
    }
    let moved: Vec<&[u8]> = moved.iter().map(Vec::as_slice).collect();
    let inside = places(text, &moved, rungs);
    if !inside.is_empty() {
        return match inside.iter().all(|part| is_inside(part, &there)) {
            true => Landed::Yes(place),
            false => Landed::No,
        };
    }
    if !searched.is_empty() {
        return Landed::No;
    }
    // Lines that were wrapped stand inside the new ones, indented deeper than they are sought. Only
    // the log can tell whether this edit did it.
    let wrapped = match rungs {
        Rungs::Exact => Vec::new(),
        Rungs::All => at_step(text, old, Fold::Indentation),
    };
    if !wrapped.is_empty() {
        return match wrapped.iter().all(|part| is_inside(part, &there)) && holds(new, old) {
            true => Landed::Maybe(place),
            false => Landed::No,
        };
    }
    match shift.is_none() && is_telling(old, new) {
        true => Landed::Yes(place),
        false => Landed::Maybe(place),
    }
}

/// By what the lines of a block are indented deeper in the file than in the patch, or less deep.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shift {
    added: Vec<u8>,
    removed: Vec<u8>,
}

impl Shift {
    /// What leads from the indentation of a line as it was sent to that of the file's line.
    fn between(sent: &[u8], file: &[u8]) -> Option<Self> {
        let depth = |line: &[u8]| {
            let blanks = line.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
            blanks.count()
        };
        let (sent, file) = (&sent[..depth(sent)], &file[..depth(file)]);
        let added = file.strip_suffix(sent).map(|added| Self {
            added: added.to_vec(),
            removed: Vec::new(),
        });
        added.or_else(|| {
            sent.strip_suffix(file).map(|removed| Self {
                added: Vec::new(),
                removed: removed.to_vec(),
            })
        })
    }

    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// A line that was sent, with the file's indentation.
    fn of(&self, line: &[u8]) -> Option<Vec<u8>> {
        if is_blank(line) {
            return Some(line.to_vec());
        }
        let rest = line.strip_prefix(&self.removed[..])?;
        Some([&self.added, rest].concat())
    }
}

/// The one place of lines that are all off by the same indentation.
fn shifted(text: &[u8], block: &[&[u8]]) -> Option<(Range<usize>, Shift)> {
    let [there] = &at_step(text, block, Fold::Indentation)[..] else {
        return None;
    };
    let file = locate::lines_from(text, there.start);
    let pairs = block.iter().zip(file).filter(|(sent, _)| !is_blank(sent));
    let mut shifts = pairs.map(|(sent, file)| Shift::between(sent, file));
    let first = shifts.next()??;
    let is_same = |shift: Option<Shift>| shift.as_ref() == Some(&first);
    shifts.all(is_same).then(|| (there.clone(), first))
}

/// Judges an edit of characters, which may lie inside lines.
pub(crate) fn characters(text: &[u8], old: &[u8], new: &[u8], rungs: Rungs) -> Landed {
    match is_blank(new) {
        true => Landed::No,
        false => characters_at(text, &occurrences(text, old), old, new, rungs),
    }
}

/// Judges an edit of characters that stand at these places.
pub(crate) fn characters_at(
    text: &[u8],
    searched: &[Range<usize>],
    old: &[u8],
    new: &[u8],
    rungs: Rungs,
) -> Landed {
    if is_blank(new) {
        return Landed::No;
    }
    if searched.is_empty() {
        return characters_gone(text, old, new, rungs);
    }
    // A line break at either end is there in any case.
    let inner = |text: &[u8]| {
        let text = bare(text);
        let is_break = |byte: &&u8| **byte == b'\n';
        let edges = text.iter().take_while(is_break).count();
        let edges = edges + text.iter().rev().take_while(is_break).count();
        text.len().saturating_sub(edges)
    };
    let Some(first) = searched.first().filter(|_| inner(new) > inner(old)) else {
        return Landed::No;
    };
    if !stands_around(text, first, new) {
        return Landed::No;
    }
    let [there] = &occurrences(text, new)[..] else {
        return Landed::No;
    };
    if !searched.iter().all(|place| is_inside(place, there)) {
        return Landed::No;
    }
    let edges = searched.iter().map(|part| edges(text, part, there));
    match edges.max() {
        Some(Edge::Open) => Landed::No,
        Some(Edge::Part) => Landed::Part(place(text, there)),
        Some(Edge::Whole) | None => Landed::Yes(place(text, there)),
    }
}

/// Whether a new text may stand around what is in its middle: most edits are told so from those that
/// have landed without another look at all of the text.
pub(crate) fn stands_around(text: &[u8], place: &Range<usize>, new: &[u8]) -> bool {
    let most = new.len() + crate::bytes::count(b'\n', new);
    let around = place.start.saturating_sub(most)..text.len().min(place.end + most);
    !occurrences(&text[around], new).is_empty()
}

/// Judges an edit of characters that are not in the text.
fn characters_gone(text: &[u8], old: &[u8], new: &[u8], rungs: Rungs) -> Landed {
    let (old, new): (Vec<_>, Vec<_>) = (split_lines(old).collect(), split_lines(new).collect());
    if !places(text, &old, rungs).is_empty() {
        return Landed::No;
    }
    if !at_step(text, &old, Fold::Indentation).is_empty() {
        return match lines(text, &old, &new, rungs) {
            landed @ (Landed::Yes(_) | Landed::Maybe(_)) => landed,
            _ => Landed::No,
        };
    }
    let found = occurrences(text, &new.concat());
    let whole = found.iter().filter(|place| !is_cut(text, place));
    match (&whole.collect::<Vec<_>>()[..], &found[..]) {
        ([there], _) => {
            let place = place(text, there);
            match is_telling(&old, &new) {
                true => Landed::Yes(place),
                false => Landed::Maybe(place),
            }
        }
        ([], found) => match (lines(text, &old, &new, rungs), found) {
            (Landed::No, [there]) => Landed::Part(place(text, there)),
            (landed, _) => landed,
        },
        _ => Landed::No,
    }
}

fn place(text: &[u8], span: &Range<usize>) -> Place {
    Place {
        line: Text::new(text).line_at(span.start),
        span: span.clone(),
    }
}

/// Text whose lines end in `\n` alone.
fn bare(text: &[u8]) -> Vec<u8> {
    let lines = split_lines(text).map(|line| match line.strip_suffix(b"\r\n") {
        Some(line) => [line, b"\n"].concat(),
        None => line.to_vec(),
    });
    lines.collect::<Vec<_>>().concat()
}

fn is_inside(place: &Range<usize>, there: &Range<usize>) -> bool {
    there.start <= place.start && place.end <= there.end
}

/// Whether lines are a part of others, white space around them aside.
fn holds(new: &[&[u8]], old: &[&[u8]]) -> bool {
    let joined = |lines: &[&[u8]]| {
        let mut joined = vec![b'\n'];
        for line in lines {
            joined.extend_from_slice(&Fold::Punctuation.of(line.trim_ascii()));
            joined.push(b'\n');
        }
        joined
    };
    new.len() > old.len() && memchr::memmem::find(&joined(new), &joined(old)).is_some()
}

/// Whether an edit is so much of its own that finding its new text is no chance.
fn is_telling(old: &[&[u8]], new: &[&[u8]]) -> bool {
    let squeezed = |line: &&[u8]| -> Vec<u8> {
        let bytes = line.iter().copied();
        bytes.filter(|byte| !byte.is_ascii_whitespace()).collect()
    };
    let has_word = |line: &[u8]| {
        let mut bytes = line.iter();
        bytes.any(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
    };
    let old: Vec<Vec<u8>> = old.iter().map(squeezed).collect();
    let new: Vec<Vec<u8>> = new.iter().map(squeezed).collect();
    // Of lines that are repeated, those beyond the old ones are new.
    let mut left: HashMap<&[u8], usize> = HashMap::new();
    for line in &old {
        *left.entry(line).or_default() += 1;
    }
    let added = new.iter().filter(|line| {
        let left = left.get_mut(&line[..]).filter(|left| **left > 0);
        left.map(|left| *left -= 1).is_none()
    });
    let mut added = added.filter(|line| has_word(line)).take(LOOKED_AT);
    let adds_word = added.any(|line| !is_quoted_in(line, &old));
    let continues = |byte: &&u8| (**byte & 0xc0) != 0x80;
    let characters = new.iter().flatten().filter(continues).count();
    let worded: Vec<&[u8]> = (new.iter().map(Vec::as_slice))
        .filter(|line| has_word(line))
        .collect();
    let old: Vec<&[u8]> = old.iter().map(Vec::as_slice).collect();
    adds_word && characters >= ENOUGH && share(&worded, &old)
}

/// Whether a line is an old one without the number in front of it, or one of those that an old one
/// has with escapes between them: no new text, but the file's line, which the patch misquotes.
fn is_quoted_in(line: &[u8], old: &[Vec<u8>]) -> bool {
    let is_number = |front: &[u8]| {
        let front = front.strip_prefix(b"L").unwrap_or(front);
        let digits = front
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let behind = &front[digits..];
        digits > 0
            && (matches!(behind, b"" | b"|" | b":" | b".") || behind == "\u{2192}".as_bytes())
    };
    old.iter().any(|old| {
        old.strip_suffix(line).is_some_and(is_number)
            || (memchr::memmem::find(old, b"\\n").is_some()
                && memchr::memmem::find(old, line).is_some())
    })
}

/// Whether a line is one of some others, or a long one is a part of one of them or has one in it.
fn share(lines: &[&[u8]], others: &[&[u8]]) -> bool {
    let known: HashSet<&[u8]> = others.iter().copied().collect();
    let holds = |wholes: &[&[u8]], parts: &[&[u8]]| {
        let parts = || parts.iter().filter(|part| part.len() >= ENOUGH);
        if parts().map(|part| part.len()).sum::<usize>() > SHARED {
            return false;
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(parts());
        automaton.is_ok_and(|parts| wholes.iter().any(|whole| parts.is_match(*whole)))
    };
    lines.iter().any(|line| known.contains(line)) || holds(lines, others) || holds(others, lines)
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// Whether lines are in a text exactly.
pub(crate) fn stand(text: &[u8], block: &[&[u8]]) -> bool {
    !places(text, block, Rungs::Exact).is_empty()
}

/// Where lines stand, at the first step of the ladder at which they stand anywhere.
fn places(text: &[u8], block: &[&[u8]], rungs: Rungs) -> Vec<Range<usize>> {
    let steps = match rungs {
        Rungs::Exact => &LADDER[..1],
        Rungs::All => &LADDER[..],
    };
    let found = steps.iter().map(|&step| at_step(text, block, step));
    found
        .into_iter()
        .find(|places| !places.is_empty())
        .unwrap_or_default()
}

fn at_step(text: &[u8], block: &[&[u8]], step: Fold) -> Vec<Range<usize>> {
    let found = locate::find_in(text, 0..text.len(), block, step);
    found.into_iter().map(|place| place.span).collect()
}

/// Where characters stand, `\n` standing for the file's line ending.
fn occurrences(text: &[u8], find: &[u8]) -> Vec<Range<usize>> {
    let plain = bare(find);
    let crlf = split_lines(&plain).map(|line| match line.strip_suffix(b"\n") {
        Some(line) => [line, b"\r\n"].concat(),
        None => line.to_vec(),
    });
    let crlf = crlf.collect::<Vec<_>>().concat();
    for form in [find, &plain, &crlf] {
        let found = crate::bytes::occurrences(text, form);
        if !found.is_empty() {
            let places = found.into_iter().map(|at| at..at + form.len());
            return places.collect();
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
            Landed::Maybe(place) => Some(Err(place.line.get())),
            Landed::Part(place) => Some(Err(place.line.get() + PART)),
            Landed::Elsewhere(_) => unreachable!("no part is named"),
        }
    }

    /// Added to the line of what is a part of a longer word.
    const PART: u64 = 100;

    fn at(line: u64) -> Option<Result<u64, u64>> {
        Some(Ok(line))
    }

    fn maybe(line: u64) -> Option<Result<u64, u64>> {
        Some(Err(line))
    }

    /// Whatever repeats itself, and however many lines there are.
    #[test]
    fn long_texts_are_judged_in_time_in_proportion() {
        let letters = "a".repeat(2_000_000);
        let judged = |text: &str, old: &str, new: &str| {
            characters(text.as_bytes(), old.as_bytes(), new.as_bytes(), Rungs::All)
        };
        assert_eq!(judged(&letters, "z", &letters[..100_000]), Landed::No);
        let behind = format!("b{letters}");
        assert_eq!(judged(&behind, "b", &letters[..100_000]), Landed::No);
        let numbered = |start: &str| -> String {
            (0..60_000)
                .map(|n| format!("{start} line of many {n}\n"))
                .collect()
        };
        let new = numbered("new");
        assert_eq!(line(of_lines(&new, &numbered("old"), &new)), maybe(1));
        let part = numbered("new")
            .replace(" line", " \tline")
            .replace('\n', " and more\n");
        assert_eq!(line(of_lines(&new, &part, &new)), at(1));
        let alike = "x\n".repeat(60_000);
        let text = format!("{alike}y\n");
        assert_eq!(of_lines(&text, &text, &alike.repeat(2)), Landed::No);
    }

    proptest! {
        #[test]
        fn lines_share_what_they_share_one_by_one(
            lines in prop::collection::vec("[ab]{0,3}[ab]{0,20}", 0..5),
            others in prop::collection::vec("[ab]{0,3}[ab]{0,20}", 0..5),
            shift in 0..20usize,
        ) {
            let mut lines = lines;
            if let (Some(line), Some(other)) = (lines.first_mut(), others.first()) {
                *line = other[shift.min(other.len())..].to_owned();
            }
            let holds = |a: &String, b: &String| b.len() >= ENOUGH && a.contains(b);
            let expected = lines.iter().any(|a| {
                others.iter().any(|b| a == b || holds(a, b) || holds(b, a))
            });
            let bytes = |lines: &[String]| -> Vec<Vec<u8>> {
                lines.iter().map(|line| line.clone().into_bytes()).collect()
            };
            let (lines, others) = (bytes(&lines), bytes(&others));
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            let others: Vec<&[u8]> = others.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(share(&lines, &others), expected);
        }
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
                let judged =
                    characters(text.as_bytes(), old.as_bytes(), new.as_bytes(), Rungs::All);
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
                line(characters(
                    file.as_bytes(),
                    old.as_bytes(),
                    new.as_bytes(),
                    Rungs::All
                )),
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
    fn a_new_text_that_goes_on_in_the_file_is_not_there() {
        let class = "class U:\n    id: int\n    name_full: str\n";
        let name = ("    id: int", "    id: int\n    name");
        let import = ("import logging", "import logging\nimport requests");
        for (text, old, new, expected) in [
            (class, name.0, name.1, None),
            ("    id: int\n    name: str\n", name.0, name.1, None),
            ("    id: int\n    name = 5\n", name.0, name.1, None),
            ("    id: int\n    name # x\n", name.0, name.1, at(1)),
            (
                "import logging\nimport requests_mock\n",
                import.0,
                import.1,
                None,
            ),
            (
                "import logging\nimport requests.adapters\n",
                import.0,
                import.1,
                None,
            ),
            (
                "import logging\nimport requests\n",
                import.0,
                import.1,
                at(1),
            ),
            ("f([1,\n2])\n", "1", "1,\n2", at(1)),
            // At its start.
            (
                "# import os\nimport sys\n",
                "import sys",
                "import os\nimport sys",
                None,
            ),
            (
                "  import os\nimport sys\n",
                "import sys",
                "import os\nimport sys",
                at(1),
            ),
            ("xlog\n", "g", "log", maybe(1 + PART)),
            ("x_(log)\n", "(log)", "_(log)", None),
            // A word that was cut before.
            ("timeout=100\n", "timeout=1", "timeout=10", maybe(1 + PART)),
            ("timeout=10.5\n", "timeout=1", "timeout=10", maybe(1 + PART)),
            ("timeout=10\n", "timeout=1", "timeout=10", at(1)),
            (
                "def get_all_users\n",
                "def get_",
                "def get_all_",
                maybe(1 + PART),
            ),
            // Where both end, nothing was added.
            ("console.logger\n", "log", "console.log", at(1)),
            // A name of several words.
            (
                "x = api.v2.get()\n",
                "x = api",
                "x = api.v2",
                maybe(1 + PART),
            ),
            ("x = api.v2()\n", "x = api", "x = api.v2", at(1)),
            // Without the text to find.
            ("the colors\n", "colour", "color", maybe(1 + PART)),
            ("the color\n", "colour", "color", maybe(1)),
            (
                "return compute(100)\n",
                "return compute(2",
                "return compute(1",
                maybe(1 + PART),
            ),
            ("colors, color\n", "colour", "color", maybe(1)),
        ] {
            let judged = characters(text.as_bytes(), old.as_bytes(), new.as_bytes(), Rungs::All);
            assert_eq!(line(judged), expected, "{text:?} {old:?} {new:?}");
        }
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
            let judged = characters(text.as_bytes(), old.as_bytes(), new.as_bytes(), Rungs::All);
            assert_eq!(line(judged), expected, "{text:?} {old:?} {new:?}");
        }
    }

    proptest! {
        /// Of lines that stand nowhere no edit has landed.
        #[test]
        fn what_does_not_stand_has_not_landed(
            text in lines_of(8), old in lines_of(3), new in lines_of(4), exact in any::<bool>(),
        ) {
            let rungs = if exact { Rungs::Exact } else { Rungs::All };
            let text = text.concat();
            let bytes = |lines: &[&'static str]| -> Vec<&'static [u8]> {
                lines.iter().map(|line| line.trim_end_matches(['\r', '\n']).as_bytes()).collect()
            };
            let (old, new) = (bytes(&old), bytes(&new));
            let landed = lines(text.as_bytes(), &old, &new, rungs);
            let may_hold = Standing::of(text.as_bytes()).may_hold(&new);
            prop_assert!(may_hold || landed == Landed::No, "{:?}", landed);
        }
    }

    /// Lines that some steps hold for the same.
    fn lines_of(most: usize) -> impl Strategy<Value = Vec<&'static str>> {
        let line = prop::sample::select(vec![
            "\u{feff}let name = 1;\n",
            "let name = 1;\n",
            "let name = 1; \r\n",
            "    let name = 1;\n",
            "\tlet name = 1;\n",
            "say \"a long word\";\n",
            "say \u{201c}a long word\u{201d};\n",
            "  say \u{201c}a long word\u{201d};\r\n",
            "other lines here\n",
            "other\u{a0}lines here\n",
            "\n",
            "  \n",
            "}\n",
        ]);
        prop::collection::vec(line, 1..=most)
    }
}
