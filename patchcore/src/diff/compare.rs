//! Which lines of two texts differ, in time about linear in their length.
//!
//! The texts are read in lock-step. Where they part, lines that occur once in a window of each
//! text tell where they meet again; the window grows until there is one. Only what lies between is
//! left to `similar`, whose search has a deadline. Where that runs out, and where windows no
//! longer help, the answer is longer than it could be, never wrong.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp};

use crate::edit::{Edit, EditSet};
use crate::text::split_lines;

/// How long `similar` may search in all of one comparison.
const SEARCH: Duration = Duration::from_millis(1500);
/// Lines in the first window of each text.
const FIRST_WINDOW: usize = 16;
/// Lines in the last; beyond it the rest is compared as a whole.
const LAST_WINDOW: usize = 1 << 16;
/// Up to so many lines are compared as they are.
const FEW: usize = 64;
/// Lines that must agree for two texts to have met again, unless both end before.
const AGREEMENT: usize = 3;
/// Bytes that are compared at once.
const BLOCK: usize = 256;

/// The edits, of whole lines, that turn one text into another.
///
/// ```
/// use patchcore::diff::edits;
/// let set = edits(b"a\nb\nc\n", b"a\nB\nc\nd\n");
/// assert_eq!(set.as_slice().len(), 2);
/// assert_eq!(set.apply(b"a\nb\nc\n"), b"a\nB\nc\nd\n");
/// ```
#[must_use]
pub fn edits(old: &[u8], new: &[u8]) -> EditSet {
    let edits = changed_lines(old, new)
        .into_iter()
        .map(|(span, text)| Edit::replace(span, &new[text]))
        .collect();
    EditSet::new(edits, old.len()).expect("changed lines are disjoint and in order")
}

/// A byte range of whole lines in each of two texts.
pub(super) type Pair = (Range<usize>, Range<usize>);

/// The lines that differ, in order; between two of them lies at least one line that does not.
pub(super) fn changed_lines(old: &[u8], new: &[u8]) -> Vec<Pair> {
    let mut found = Pairs(Vec::new());
    let (mut at_old, mut at_new) = (0, 0);
    let mut deadline = None;
    loop {
        let same = common_lines(&old[at_old..], &new[at_new..]);
        (at_old, at_new) = (at_old + same, at_new + same);
        let (rest_old, rest_new) = (&old[at_old..], &new[at_new..]);
        if rest_old.is_empty() || rest_new.is_empty() {
            found.push(at_old..old.len(), at_new..new.len());
            return found.0;
        }
        if have_no_line_in_common(rest_old, rest_new) {
            found.push(at_old..old.len(), at_new..new.len());
            return found.0;
        }
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + SEARCH);
        let (gap_old, gap_new) = meeting(rest_old, rest_new).unwrap_or_else(|| {
            let same = common_last_lines(rest_old, rest_new);
            (rest_old.len() - same, rest_new.len() - same)
        });
        let (old_lines, new_lines): (Vec<_>, Vec<_>) = (
            split_lines(&rest_old[..gap_old]).collect(),
            split_lines(&rest_new[..gap_new]).collect(),
        );
        search(&old_lines, &new_lines, deadline, |old, new| {
            found.push(
                at_old + old.start..at_old + old.end,
                at_new + new.start..at_new + new.end,
            );
        });
        (at_old, at_new) = (at_old + gap_old, at_new + gap_new);
    }
}

/// Whether two texts of a few lines, as most edits are, share none. `false` for longer ones.
fn have_no_line_in_common(old: &[u8], new: &[u8]) -> bool {
    const LINES: usize = 8;
    fn lines(text: &[u8]) -> Option<([&[u8]; LINES], usize)> {
        let (mut lines, mut count) = ([&[][..]; LINES], 0);
        for line in split_lines(text) {
            *lines.get_mut(count)? = line;
            count += 1;
        }
        Some((lines, count))
    }
    let (Some((old, old_count)), Some((new, new_count))) = (lines(old), lines(new)) else {
        return false;
    };
    let (old, new) = (&old[..old_count], &new[..new_count]);
    !old.iter().any(|line| new.contains(line))
}

/// Collects pairs, joining those that touch.
struct Pairs(Vec<Pair>);

impl Pairs {
    fn push(&mut self, old: Range<usize>, new: Range<usize>) {
        if old.is_empty() && new.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some(last) if last.0.end == old.start && last.1.end == new.start => {
                (last.0.end, last.1.end) = (old.end, new.end);
            }
            _ => self.0.push((old, new)),
        }
    }
}

/// Length in bytes of the whole lines that both texts start with.
fn common_lines(old: &[u8], new: &[u8]) -> usize {
    let same = common_prefix(old, new);
    if same == old.len() && same == new.len() {
        return same;
    }
    crate::bytes::rfind(b'\n', &old[..same]).map_or(0, |newline| newline + 1)
}

fn common_prefix(old: &[u8], new: &[u8]) -> usize {
    let blocks = old.as_chunks().0.iter().zip(new.as_chunks().0);
    let start = blocks.take_while(|(a, b)| same_block(a, b)).count() * BLOCK;
    let rest = old[start..].iter().zip(&new[start..]);
    start + rest.take_while(|(a, b)| a == b).count()
}

/// Compares without a branch, so that the compiler makes vector instructions of it; not every
/// platform's `memcmp` is fast.
fn same_block(a: &[u8; BLOCK], b: &[u8; BLOCK]) -> bool {
    a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a ^ b)) == 0
}

/// Length in bytes of the whole lines that both texts end with.
fn common_last_lines(old: &[u8], new: &[u8]) -> usize {
    let blocks = old.as_rchunks().1.iter().rev();
    let blocks = blocks.zip(new.as_rchunks().1.iter().rev());
    let end = blocks.take_while(|(a, b)| same_block(a, b)).count() * BLOCK;
    let rest = old[..old.len() - end].iter().rev();
    let rest = rest.zip(new[..new.len() - end].iter().rev());
    let same = end + rest.take_while(|(a, b)| a == b).count();
    let starts_line = |text: &[u8]| same == text.len() || text[text.len() - same - 1] == b'\n';
    if starts_line(old) && starts_line(new) {
        return same;
    }
    let from = old.len() - same;
    crate::bytes::find(b'\n', &old[from..]).map_or(0, |newline| same - newline - 1)
}

/// Offsets, at line starts, from which two texts that start differently agree again; `None` where
/// no window shows them.
fn meeting(old: &[u8], new: &[u8]) -> Option<(usize, usize)> {
    let mut window = FIRST_WINDOW;
    loop {
        let old_lines = Lines::first(old, window);
        let new_lines = Lines::first(new, window);
        if old_lines.complete && new_lines.complete {
            return None;
        }
        if let Some(found) = anchor(&old_lines, &new_lines) {
            return Some(found);
        }
        if window >= LAST_WINDOW {
            return None;
        }
        window *= 4;
    }
}

/// The first lines of a text.
struct Lines<'a> {
    text: &'a [u8],
    lines: Vec<&'a [u8]>,
    /// Whether they are all.
    complete: bool,
}

impl<'a> Lines<'a> {
    fn first(text: &'a [u8], count: usize) -> Self {
        let lines: Vec<&[u8]> = split_lines(text).take(count).collect();
        let len: usize = lines.iter().map(|line| line.len()).sum();
        Self {
            text,
            complete: len == text.len(),
            lines,
        }
    }

    /// Where each line starts.
    fn starts(&self) -> impl Iterator<Item = (usize, &'a [u8])> {
        self.lines.iter().scan(0, |at, &line| {
            let start = *at;
            *at += line.len();
            Some((start, line))
        })
    }
}

/// The nearest line that occurs once in each window, with enough that agrees from there on.
fn anchor(old: &Lines<'_>, new: &Lines<'_>) -> Option<(usize, usize)> {
    // Where a line stands in the old window and in the new; `MANY` marks one that is repeated.
    const NONE: usize = usize::MAX;
    const MANY: usize = usize::MAX - 1;
    let mut seen: HashMap<&[u8], (usize, usize)> = HashMap::with_capacity(old.lines.len());
    for (start, line) in old.starts() {
        match seen.entry(line) {
            Entry::Vacant(slot) => {
                slot.insert((start, NONE));
            }
            Entry::Occupied(mut slot) => slot.get_mut().0 = MANY,
        }
    }
    for (start, line) in new.starts() {
        if let Some(places) = seen.get_mut(line) {
            places.1 = if places.1 == NONE { start } else { MANY };
        }
    }
    let mut best: Option<(usize, usize)> = None;
    for (start, line) in old.starts() {
        if best.is_some_and(|(a, b)| start >= a + b) {
            break;
        }
        if let Some(&(a, b)) = seen.get(line)
            && a < MANY
            && b < MANY
            && best.is_none_or(|best| a + b < best.0 + best.1)
            && agree(&old.text[a..], &new.text[b..])
        {
            best = Some((a, b));
        }
    }
    best
}

/// Whether enough lines at the start of two texts are the same.
fn agree(old: &[u8], new: &[u8]) -> bool {
    let (mut old, mut new) = (split_lines(old), split_lines(new));
    (0..AGREEMENT).all(|_| old.next() == new.next())
}

/// Reports the lines that differ, as byte ranges from the start of the first line on.
fn search(
    old: &[&[u8]],
    new: &[&[u8]],
    deadline: Instant,
    mut report: impl FnMut(Range<usize>, Range<usize>),
) {
    let (old_starts, new_starts) = (offsets(old), offsets(new));
    for op in operations(old, new, deadline) {
        if !matches!(op, DiffOp::Equal { .. }) {
            let (old, new) = (op.old_range(), op.new_range());
            report(
                old_starts[old.start]..old_starts[old.end],
                new_starts[new.start]..new_starts[new.end],
            );
        }
    }
}

fn operations(old: &[&[u8]], new: &[&[u8]], deadline: Instant) -> Vec<DiffOp> {
    let differ = || {
        vec![DiffOp::Replace {
            old_index: 0,
            old_len: old.len(),
            new_index: 0,
            new_len: new.len(),
        }]
    };
    if old.is_empty() || new.is_empty() || old.len().max(new.len()) == 1 {
        return differ();
    }
    if old.len().max(new.len()) <= FEW {
        return similar::capture_diff_slices_deadline(
            Algorithm::Histogram,
            old,
            new,
            Some(deadline),
        );
    }
    // Numbers stand for lines: they compare faster, and show at once when none is shared.
    let mut numbers: HashMap<&[u8], u32> = HashMap::with_capacity(old.len());
    let mut number = |line| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(line).or_insert(next)
    };
    let old_numbers: Vec<u32> = old.iter().copied().map(&mut number).collect();
    let first_of_new = old_numbers.iter().max().map_or(0, |last| last + 1);
    let new_numbers: Vec<u32> = new.iter().copied().map(&mut number).collect();
    if new_numbers.iter().all(|&number| number >= first_of_new) {
        return differ();
    }
    let algorithm = if old.len().max(new.len()) > LAST_WINDOW {
        Algorithm::Myers
    } else {
        Algorithm::Histogram
    };
    similar::capture_diff_slices_deadline(algorithm, &old_numbers, &new_numbers, Some(deadline))
}

/// Where each line starts, and where the last one ends.
fn offsets(lines: &[&[u8]]) -> Vec<usize> {
    let mut at = 0;
    let ends = lines.iter().map(|line| {
        at += line.len();
        at
    });
    std::iter::once(0).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks that the changes lead from one text to the other, and tells how many lines they take.
    fn cost(old: &[u8], new: &[u8]) -> usize {
        let set = edits(old, new);
        assert!(set.apply(old) == new, "the edits do not give the new text");
        let lines = |bytes: &[u8]| split_lines(bytes).count();
        let edits = set.as_slice().iter();
        edits
            .map(|edit| lines(&old[edit.span.clone()]) + lines(&edit.text))
            .sum()
    }

    fn numbered(range: Range<usize>) -> Vec<String> {
        range.map(|n| format!("line {n}\n")).collect()
    }

    #[test]
    fn small_texts_differ_in_the_fewest_lines() {
        for (old, new, expected) in [
            ("", "", 0),
            ("", "a\n", 1),
            ("a\n", "", 1),
            ("a\n", "a", 2),
            ("a", "a\n", 2),
            ("a\nb", "a\nbc", 2),
            ("a\nb\nc\n", "a\nc\n", 1),
            ("a\nb\n", "x\na\nb\n", 1),
            ("a\nb\n", "b\n", 1),
            ("x\nb\n", "y\nab\nb\n", 3),
            ("a\rb\n", "a\nb\n", 3),
            ("a\r\n", "a\n", 2),
        ] {
            assert_eq!(
                cost(old.as_bytes(), new.as_bytes()),
                expected,
                "{old:?} {new:?}"
            );
        }
    }

    #[test]
    fn local_changes_in_a_long_text_stay_local() {
        let mut lines = numbered(0..200_000);
        let old = lines.concat();
        lines[10] = "other\n".to_owned();
        lines[70_000].clear();
        lines.insert(150_000, "new\n".repeat(500));
        lines.drain(170_000..180_000);
        lines.truncate(189_990);
        let new = lines.concat();
        let expected = 2 + 1 + 500 + 10_000 + (200_001 - 10_000 - 189_990);
        assert_eq!(cost(old.as_bytes(), new.as_bytes()), expected);
        assert_eq!(cost(new.as_bytes(), old.as_bytes()), expected);
    }

    #[test]
    fn texts_without_a_common_line_are_replaced_as_a_whole() {
        let (old, new) = (numbered(0..100_000), numbered(100_000..200_000));
        let (old, new) = (old.concat(), new.concat());
        assert_eq!(edits(old.as_bytes(), new.as_bytes()).as_slice().len(), 1);
    }

    #[test]
    fn texts_of_few_different_lines_are_compared_to_the_end() {
        let old = "a\nb\n".repeat(50_000);
        let new = "b\na\na\n".repeat(40_000);
        cost(old.as_bytes(), new.as_bytes());
        assert_eq!(cost(old.as_bytes(), &old.as_bytes()["a\n".len()..]), 1);
    }

    proptest::proptest! {
        #[test]
        fn the_edits_always_give_the_new_text(old in "[abc\n\r]{0,60}", new in "[abc\n\r]{0,60}") {
            cost(old.as_bytes(), new.as_bytes());
        }

        #[test]
        fn so_they_do_where_windows_are_outgrown(
            old in proptest::collection::vec(0..300u16, 0..400),
            new in proptest::collection::vec(0..300u16, 0..400),
            shared in 0..400usize,
        ) {
            let text = |lines: &[u16]| lines.iter().map(|n| format!("{n}\n")).collect::<String>();
            let shared = old.len().min(shared);
            let new = format!("{}{}", text(&new), text(&old[shared..]));
            cost(text(&old).as_bytes(), new.as_bytes());
        }
    }
}
