//! The lines of a file by which it is told in which part of it a place is.

use std::collections::HashMap;
use std::ops::Range;

use crate::text::{LineIndex, split_lines};

/// The lines of a file that the headings of its hunks may mean, and those that look like them: found
/// in a few passes, however many hunks there are.
pub(super) struct Headings<'a> {
    text: &'a [u8],
    index: LineIndex,
    /// The lines that start with each heading, white space in front aside: the first, and whether
    /// there are more.
    named: HashMap<&'a [u8], Named<'a>>,
    /// For each form of those lines, all that have it, and those that occur once.
    forms: HashMap<Form<'a>, [Vec<usize>; 2]>,
}

/// A line that starts with a heading.
#[derive(Debug, Clone, Copy)]
struct Named<'a> {
    line: &'a [u8],
    number: usize,
    is_only: bool,
}

/// In what a line that opens a part of a file is like another.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Form<'a> {
    /// Its level, and its first word.
    Word(usize, &'a [u8]),
    /// Its level, and the sign at its end.
    Sign(usize, u8),
}

/// Whether there are lines that look as if they started a part of the file as another one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alike {
    None,
    /// One of them occurs once in the file.
    Unique,
    /// Each occurs several times: somebody may have copied it.
    Repeated,
}

impl<'a> Headings<'a> {
    /// Looks for headings in a text.
    pub(super) fn of(text: &'a [u8], headings: impl Iterator<Item = &'a [u8]>) -> Self {
        let named = named(text, headings);
        let mut forms: HashMap<Form<'_>, [Vec<usize>; 2]> = HashMap::new();
        let all = named.values().flat_map(|named| forms_of(named.line));
        forms.extend(
            all.flatten()
                .map(|form| (form, <[Vec<usize>; 2]>::default())),
        );
        let mut count: HashMap<&[u8], usize> = HashMap::new();
        for (number, line) in split_lines(text).enumerate() {
            let alike = forms_of(line).into_iter().flatten();
            for form in alike.filter(|_| may_open(line)) {
                if let Some([all, _]) = forms.get_mut(&form) {
                    all.push(number);
                    count.insert(line, 0);
                }
            }
        }
        for line in split_lines(text) {
            if let Some(count) = count.get_mut(line) {
                *count += 1;
            }
        }
        for (number, line) in split_lines(text).enumerate() {
            if count.get(line) != Some(&1) {
                continue;
            }
            for form in forms_of(line).into_iter().flatten() {
                if let Some([_, once]) = forms.get_mut(&form) {
                    once.push(number);
                }
            }
        }
        Self {
            text,
            index: LineIndex::new(text),
            named,
            forms,
        }
    }

    /// How many lines stand above an offset, or start before it.
    pub(super) fn line_at(&self, offset: usize) -> usize {
        let above = self.index.newlines_before(self.text, offset);
        let is_amid = offset > 0 && self.text[offset - 1] != b'\n';
        above + usize::from(is_amid)
    }

    /// The first line that starts with a heading.
    pub(super) fn first(&self, heading: &[u8]) -> Option<&'a [u8]> {
        self.named.get(heading).map(|named| named.line)
    }

    /// The only line that starts with a heading, and its number.
    pub(super) fn only(&self, heading: &[u8]) -> Option<(usize, &'a [u8])> {
        let named = self.named.get(heading).filter(|named| named.is_only)?;
        Some((named.number, named.line))
    }

    /// The last line above another that looks as if it started a part as a heading does.
    pub(super) fn last_alike(&self, heading: &[u8], line: usize) -> Option<usize> {
        let last = |form| {
            let [all, _] = self.forms.get(&form)?;
            all[..all.partition_point(|&other| other < line)].last()
        };
        forms_of(heading)
            .into_iter()
            .flatten()
            .filter_map(last)
            .max()
            .copied()
    }

    /// Whether lines look as if they started a part as a heading does.
    pub(super) fn between(&self, heading: &[u8], lines: Range<usize>) -> Alike {
        let mut found = Alike::None;
        for form in forms_of(heading).into_iter().flatten() {
            let Some([all, once]) = self.forms.get(&form) else {
                continue;
            };
            let holds = |numbers: &[usize]| {
                let next = numbers[numbers.partition_point(|&line| line < lines.start)..].first();
                next.is_some_and(|&line| line < lines.end)
            };
            if holds(once) {
                return Alike::Unique;
            }
            if holds(all) {
                found = Alike::Repeated;
            }
        }
        found
    }
}

/// The first line of a text that starts with each heading.
fn named<'a>(
    text: &'a [u8],
    headings: impl Iterator<Item = &'a [u8]>,
) -> HashMap<&'a [u8], Named<'a>> {
    let mut headings: Vec<&[u8]> = headings.filter(|heading| !heading.is_empty()).collect();
    headings.sort_unstable();
    headings.dedup();
    let shorter = Shorter::of(&headings);
    let mut found: HashMap<&[u8], Named<'_>> = HashMap::new();
    for (number, line) in split_lines(text).enumerate() {
        let start = line.trim_ascii_start();
        // The last one that is not behind the line, or one that it starts with, starts the line, if
        // any does.
        let behind = headings.partition_point(|heading| *heading <= start);
        let Some(last) = behind.checked_sub(1) else {
            continue;
        };
        let common = crate::bytes::common_start(headings[last], start);
        let mut next = shorter.up_to(common, last, &headings);
        while let Some(at) = next {
            let first = Named {
                line,
                number,
                is_only: true,
            };
            found
                .entry(headings[at])
                .and_modify(|named| named.is_only = false)
                .or_insert(first);
            next = shorter.0[at].map(|other| other.next);
        }
    }
    found
}

/// For each heading of a sorted list the longest other one that it starts with, if there is one.
struct Shorter(Vec<Option<Other>>);

#[derive(Clone, Copy)]
struct Other {
    next: usize,
    /// One much shorter than that, so that few steps lead to any that is shorter still.
    far: usize,
    /// How many there are, itself included.
    depth: usize,
}

impl Shorter {
    fn of(headings: &[&[u8]]) -> Self {
        let mut all: Vec<Option<Other>> = Vec::with_capacity(headings.len());
        for (at, heading) in headings.iter().enumerate() {
            let before = at.checked_sub(1);
            let found = before.and_then(|last| {
                let common = crate::bytes::common_start(headings[last], heading);
                Self::first_up_to(&all, common, last, headings)
            });
            let depth = |at: usize| all[at].map_or(0, |other| other.depth);
            let far = |at: usize| all[at].map_or(at, |other| other.far);
            all.push(found.map(|next| {
                let (near, beyond) = (far(next), far(far(next)));
                let is_even = depth(next) - depth(near) == depth(near) - depth(beyond);
                Other {
                    next,
                    far: if is_even { beyond } else { next },
                    depth: depth(next) + 1,
                }
            }));
        }
        Self(all)
    }

    /// The longest that has at most so many bytes, of a heading and those that it starts with.
    fn up_to(&self, length: usize, at: usize, headings: &[&[u8]]) -> Option<usize> {
        Self::first_up_to(&self.0, length, at, headings)
    }

    fn first_up_to(
        all: &[Option<Other>],
        length: usize,
        mut at: usize,
        headings: &[&[u8]],
    ) -> Option<usize> {
        while headings[at].len() > length {
            let other = all[at]?;
            let is_far = headings[other.far].len() > length;
            at = if is_far { other.far } else { other.next };
        }
        Some(at)
    }
}

/// What a line that starts a part as this one does has in common with it: at the same level, the
/// first word, or the sign at its end.
fn forms_of(line: &[u8]) -> [Option<Form<'_>>; 2] {
    let trimmed = line.trim_ascii_start();
    let level = line.len() - trimmed.len();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let word = &trimmed[..trimmed.iter().take_while(|byte| is_word(byte)).count()];
    let sign = line.trim_ascii_end().last();
    [
        (!word.is_empty()).then_some(Form::Word(level, word)),
        sign.filter(|_| opens(line))
            .map(|sign| Form::Sign(level, *sign)),
    ]
}

/// Whether a line may start a part of a file at all.
fn may_open(line: &[u8]) -> bool {
    let first = line.trim_ascii_start().first();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$'))
}

/// Whether a line ends as one does that starts a function, and an import does not.
pub(super) fn opens(line: &[u8]) -> bool {
    matches!(
        line.trim_ascii_end().last(),
        Some(b'{' | b':' | b')' | b'(')
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        b"fn a() {\n    x\n}\nfn ab() {\n    x\n}\n\nfn c() {\n  fn a() {\n}\nfn c() {\n";

    fn headings(headings: &'static [&'static str]) -> Headings<'static> {
        Headings::of(TEXT, headings.iter().map(|heading| heading.as_bytes()))
    }

    #[test]
    fn a_heading_is_the_start_of_a_line_also_where_one_is_the_start_of_another() {
        let headings = headings(&["fn ab() {", "fn a", "fn", "fn c() {", "fn nowhere", ""]);
        assert_eq!(headings.only(b"fn ab() {"), Some((3, &b"fn ab() {\n"[..])));
        assert_eq!(headings.first(b"fn a"), Some(&b"fn a() {\n"[..]));
        for several in ["fn a", "fn", "fn c() {", "fn nowhere", ""] {
            assert_eq!(headings.only(several.as_bytes()), None, "{several}");
        }
    }

    #[test]
    fn lines_alike_are_those_of_the_same_level_that_start_or_end_alike() {
        let headings = headings(&["fn ab() {"]);
        let (_, line) = headings.only(b"fn ab() {").unwrap();
        assert_eq!(headings.between(line, 4..7), Alike::None);
        assert_eq!(headings.between(line, 4..8), Alike::Repeated);
        assert_eq!(headings.between(line, 0..4), Alike::Unique);
        assert_eq!(headings.last_alike(line, 10), Some(7));
        assert_eq!(headings.last_alike(line, 0), None);
        assert_eq!(
            (
                headings.line_at(0),
                headings.line_at(9),
                headings.line_at(10)
            ),
            (0, 1, 2)
        );
    }

    #[test]
    fn many_headings_that_start_alike_are_told_from_many_lines() {
        let headings: Vec<String> = (1..2_000).map(|n| "d".repeat(n)).collect();
        let text = format!("ddd\n{}d\n", "e\n".repeat(1_000_000));
        let all = headings.iter().map(|heading| heading.as_bytes());
        let found = Headings::of(text.as_bytes(), all);
        assert_eq!(found.only(b"ddd"), Some((0, &b"ddd\n"[..])));
        assert_eq!(found.only(b"d"), None);
        assert_eq!(found.first(b"d"), Some(&b"ddd\n"[..]));
        assert_eq!(found.first(b"dddd"), None);
    }

    proptest::proptest! {
        #[test]
        fn a_heading_means_the_lines_that_start_with_it(
            text in "[ab\n ]{0,40}",
            headings in proptest::collection::vec("[ab]{0,5}", 0..12),
        ) {
            let all = headings.iter().map(|heading| heading.as_bytes());
            let found = Headings::of(text.as_bytes(), all);
            for heading in headings.iter().filter(|heading| !heading.is_empty()) {
                let lines = text.split_inclusive('\n').enumerate();
                let named: Vec<_> = lines
                    .filter(|(_, line)| line.trim_start_matches([' ', '\n']).starts_with(heading))
                    .map(|(number, line)| (number, line.as_bytes()))
                    .collect();
                let heading = heading.as_bytes();
                proptest::prop_assert_eq!(found.first(heading), named.first().map(|named| named.1));
                let only = (named.len() == 1).then(|| named[0]);
                proptest::prop_assert_eq!(found.only(heading), only);
            }
        }
    }
}
