//! Which lines of two texts differ, in time about linear in their length.
//!
//! The texts are read in lock-step. Where they part, lines that occur once in a window of each
//! text tell where they meet again; the window grows until there is one. Only what lies between is
//! left to `similar`, whose search has a deadline. Where that runs out, and where windows no
//! longer help, the answer is longer than it could be, never wrong.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
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
/// How much of what is left between parts that occur once [`parts`] compares, all with all.
const COMPARED: usize = 1 << 16;
/// Up to so many lines are compared as they are.
const FEW: usize = 64;
/// Lines that must agree for two texts to have met again, unless both end before.
const AGREEMENT: usize = 3;

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
pub(crate) type Pair = (Range<usize>, Range<usize>);

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
        let effort = Effort::Until(deadline);
        search(&old_lines, &new_lines, effort, |old, new| {
            found.push(
                at_old + old.start..at_old + old.end,
                at_new + new.start..at_new + new.end,
            );
        });
        (at_old, at_new) = (at_old + gap_old, at_new + gap_new);
    }
}

/// The parts that differ, in order, each with all that gives way to it. Long stretches that nothing
/// unique divides are held for different as a whole.
pub(crate) fn parts(old: &[&str], new: &[&str]) -> Vec<Pair> {
    let mut numbers: HashMap<&str, u32> = HashMap::with_capacity(old.len());
    let mut number = |part| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(part).or_insert(next)
    };
    let old: Vec<u32> = old.iter().copied().map(&mut number).collect();
    let new: Vec<u32> = new.iter().copied().map(&mut number).collect();
    let mut found = Pairs(Vec::new());
    let mut report = |old, new| found.push(old, new);
    split(&old, &new, (0, 0), 0, Effort::Pairs(COMPARED), &mut report);
    found.0
}

/// How long what nothing unique divides is compared.
#[derive(Debug, Clone, Copy)]
enum Effort {
    Until(Instant),
    /// As long as it takes, if there are no more pairs.
    Pairs(usize),
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
    let same = crate::bytes::common_start(old, new);
    if same == old.len() && same == new.len() {
        return same;
    }
    crate::bytes::rfind(b'\n', &old[..same]).map_or(0, |newline| newline + 1)
}

/// Length in bytes of the whole lines that both texts end with.
fn common_last_lines(old: &[u8], new: &[u8]) -> usize {
    let same = crate::bytes::common_end(old, new);
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
    effort: Effort,
    mut report: impl FnMut(Range<usize>, Range<usize>),
) {
    let (old_starts, new_starts) = (offsets(old), offsets(new));
    let mut differ = |old: Range<usize>, new: Range<usize>| {
        report(
            old_starts[old.start]..old_starts[old.end],
            new_starts[new.start]..new_starts[new.end],
        );
    };
    if old.len().max(new.len()) <= FEW {
        few(old, new, (0, 0), effort, &mut differ);
        return;
    }
    // Numbers stand for lines: they compare faster.
    let mut numbers: HashMap<&[u8], u32> = HashMap::with_capacity(old.len());
    let mut number = |line| {
        let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
        *numbers.entry(line).or_insert(next)
    };
    let old: Vec<u32> = old.iter().copied().map(&mut number).collect();
    let new: Vec<u32> = new.iter().copied().map(&mut number).collect();
    split(&old, &new, (0, 0), 0, effort, &mut differ);
}

/// Reports what differs between lines that occur once in each text and keep their order: what they
/// leave is short, as a rule, where `similar` would compare all with all until its time is over: the
/// diff of 10,000 lines, of which every second one changes, takes 0.1 s instead of 1.8 s.
fn split(
    old: &[u32],
    new: &[u32],
    at: (usize, usize),
    depth: usize,
    effort: Effort,
    report: &mut impl FnMut(Range<usize>, Range<usize>),
) {
    /// Each level may find lines that are unique only in its part.
    const DEPTH: usize = 8;
    let same = |(a, b): &(&u32, &u32)| a == b;
    let above = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[above..], &new[above..]);
    let below = old.iter().rev().zip(new.iter().rev());
    let below = below.take_while(same).count();
    let (old, new) = (&old[..old.len() - below], &new[..new.len() - below]);
    let at = (at.0 + above, at.1 + above);
    if old.len().max(new.len()) <= FEW {
        return few(old, new, at, effort, report);
    }
    let marks = match depth < DEPTH {
        true => unique_in_order(old, new),
        false => Vec::new(),
    };
    if marks.is_empty() {
        return all(old, new, at, effort, report);
    }
    let ends = std::iter::once((old.len(), new.len()));
    let (mut from_old, mut from_new) = (0, 0);
    for (to_old, to_new) in marks.into_iter().chain(ends) {
        let (old, new) = (&old[from_old..to_old], &new[from_new..to_new]);
        let at = (at.0 + from_old, at.1 + from_new);
        split(old, new, at, depth + 1, effort, report);
        (from_old, from_new) = (to_old + 1, to_new + 1);
    }
}

/// Where lines stand that occur once in each of two texts: the most that have the same order in both.
fn unique_in_order(old: &[u32], new: &[u32]) -> Vec<(usize, usize)> {
    // Where a line stands in the old text and in the new one; `MANY` marks one that is repeated.
    const NONE: usize = usize::MAX;
    const MANY: usize = usize::MAX - 1;
    let mut seen: HashMap<u32, (usize, usize)> = HashMap::with_capacity(old.len());
    for (at, line) in old.iter().enumerate() {
        let places = seen.entry(*line).or_insert((NONE, NONE));
        places.0 = if places.0 == NONE { at } else { MANY };
    }
    for (at, line) in new.iter().enumerate() {
        if let Some(places) = seen.get_mut(line) {
            places.1 = if places.1 == NONE { at } else { MANY };
        }
    }
    let unique = old.iter().filter_map(|line| {
        let (old, new) = seen[line];
        (old < MANY && new < MANY).then_some((old, new))
    });
    let unique: Vec<(usize, usize)> = unique.collect();
    // The longest run that rises in the new text: of the runs of each length, the one that ends
    // first, and for each line the one before it in its run.
    let mut last_of: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(unique.len());
    for (index, (_, place)) in unique.iter().enumerate() {
        let length = last_of.partition_point(|&last| unique[last].1 < *place);
        before.push(length.checked_sub(1).map(|shorter| last_of[shorter]));
        match last_of.get_mut(length) {
            Some(last) => *last = index,
            None => last_of.push(index),
        }
    }
    let mut next = last_of.last().copied();
    let mut run: Vec<(usize, usize)> = std::iter::from_fn(|| {
        let index = next?;
        next = before[index];
        Some(unique[index])
    })
    .collect();
    run.reverse();
    run
}

/// Reports what differs between two texts of a few lines.
fn few<L: Hash + Ord>(
    old: &[L],
    new: &[L],
    at: (usize, usize),
    effort: Effort,
    report: &mut impl FnMut(Range<usize>, Range<usize>),
) {
    match old.is_empty() || new.is_empty() || old.len().max(new.len()) == 1 {
        true => report_at(0..old.len(), 0..new.len(), at, report),
        false => compare(Algorithm::Histogram, old, new, at, effort, report),
    }
}

/// Reports what differs between two texts of many lines.
fn all(
    old: &[u32],
    new: &[u32],
    at: (usize, usize),
    effort: Effort,
    report: &mut impl FnMut(Range<usize>, Range<usize>),
) {
    let known: HashSet<u32> = old.iter().copied().collect();
    if !new.iter().any(|line| known.contains(line)) {
        return report_at(0..old.len(), 0..new.len(), at, report);
    }
    if let Effort::Pairs(most) = effort
        && old.len().saturating_mul(new.len()) > most
    {
        return report_at(0..old.len(), 0..new.len(), at, report);
    }
    let algorithm = if old.len().max(new.len()) > LAST_WINDOW {
        Algorithm::Myers
    } else {
        Algorithm::Histogram
    };
    compare(algorithm, old, new, at, effort, report);
}

fn compare<L: Hash + Ord>(
    algorithm: Algorithm,
    old: &[L],
    new: &[L],
    at: (usize, usize),
    effort: Effort,
    report: &mut impl FnMut(Range<usize>, Range<usize>),
) {
    let deadline = match effort {
        Effort::Until(deadline) => Some(deadline),
        Effort::Pairs(_) => None,
    };
    for op in similar::capture_diff_slices_deadline(algorithm, old, new, deadline) {
        if !matches!(op, DiffOp::Equal { .. }) {
            report_at(op.old_range(), op.new_range(), at, report);
        }
    }
}

/// Reports ranges that are counted from `at`.
fn report_at(
    old: Range<usize>,
    new: Range<usize>,
    at: (usize, usize),
    report: &mut impl FnMut(Range<usize>, Range<usize>),
) {
    if !old.is_empty() || !new.is_empty() {
        report(
            at.0 + old.start..at.0 + old.end,
            at.1 + new.start..at.1 + new.end,
        );
    }
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

    /// Lines that stay between two that change are found however many there are, and the same ones on
    /// every machine.
    #[test]
    fn every_second_line_may_change() {
        let old = numbered(0..60_000);
        let mut new = old.clone();
        new.iter_mut()
            .step_by(2)
            .for_each(|line| line.push_str("changed\n"));
        new.iter_mut()
            .step_by(2)
            .for_each(|line| line.insert(0, 'x'));
        let (old, new) = (old.concat(), new.concat());
        assert_eq!(cost(old.as_bytes(), new.as_bytes()), 3 * 30_000);
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
