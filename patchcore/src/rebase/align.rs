//! What all longest common subsequences of two sequences agree on.
//!
//! The lengths for a prefix of one sequence against all prefixes of the other are a row of bits:
//! bit `j` is clear where the length grows by one at item `j`. A row comes of the row before it by
//! an addition over the words that hold matches (Hyyrö, "Bit-parallel LCS-length computation
//! revisited"); words without a match and without a carry stay as they are. A row from the start and
//! one from the end, met at one line, say which items it can be matched with, and whether it can be
//! left out.

/// Words that comparing two files may touch in all: a second of work, or less.
pub(super) const BUDGET: usize = 1 << 28;
/// Words of rows that are kept at a time: 64 MiB.
const KEPT: usize = 1 << 23;
/// Items from which on what both ends have in common is left out.
const LONG: usize = 1 << 17;
/// How much of what both ends have in common is kept nevertheless.
const MARGIN: usize = 1 << 12;

/// What a line is matched with by the longest common subsequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Each of them matches it with this one.
    One(usize),
    /// Some leave it out and nothing is equal to it, or all leave it out.
    None,
    /// They do not agree.
    Many,
    /// It would take too long to find out.
    Unknown,
}

/// Two sequences that are compared.
pub(super) struct Alignment<'a> {
    old: &'a [u32],
    new: &'a [u32],
    /// How many items at both starts are equal and left out, and how many at both ends.
    prefix: usize,
    suffix: usize,
}

impl<'a> Alignment<'a> {
    pub(super) fn of(old: &'a [u32], new: &'a [u32]) -> Self {
        let (mut prefix, mut suffix) = (0, 0);
        if old.len() + new.len() > LONG {
            let equal = |(a, b): &(&u32, &u32)| a == b;
            let start = old.iter().zip(new).take_while(equal).count();
            prefix = start.saturating_sub(MARGIN);
            let (old, new) = (&old[start..], &new[start..]);
            let end = old.iter().rev().zip(new.iter().rev());
            suffix = end.take_while(equal).count().saturating_sub(MARGIN);
        }
        Self {
            old,
            new,
            prefix,
            suffix,
        }
    }

    /// The places of items of the old sequence, which are in order and given once each.
    /// `budget` is how many words may be touched.
    pub(super) fn places(&self, wanted: &[usize], mut budget: usize) -> Vec<Place> {
        let end = self.old.len() - self.suffix;
        let core = wanted.partition_point(|&item| item < self.prefix)
            ..wanted.partition_point(|&item| item < end);
        let (before, rest) = wanted.split_at(core.start);
        let (inside, behind) = rest.split_at(core.len());
        let mut places = Vec::with_capacity(wanted.len());
        places.extend(before.iter().map(|&item| self.far(item, item, &mut budget)));
        let trimmed = Trimmed::of(
            &self.old[self.prefix..end],
            &self.new[self.prefix..self.new.len() - self.suffix],
        );
        let inside: Vec<usize> = inside.iter().map(|item| item - self.prefix).collect();
        let found = trimmed.places(&inside, &mut budget);
        places.extend(found.into_iter().map(|place| match place {
            Place::One(item) => Place::One(item + self.prefix),
            other => other,
        }));
        places.extend(behind.iter().map(|&item| {
            let there = self.new.len() - (self.old.len() - item);
            self.far(item, there, &mut budget)
        }));
        places
    }

    /// The place of an item far away from all that differs: where it is, if it and what is around
    /// it stand only there.
    fn far(&self, item: usize, there: usize, budget: &mut usize) -> Place {
        const AROUND: usize = 2;
        let start = item.saturating_sub(AROUND);
        let window = &self.old[start..(item + AROUND + 1).min(self.old.len())];
        let cost = self.old.len() + self.new.len();
        if *budget < cost {
            return Place::Unknown;
        }
        *budget -= cost;
        let is_once = |items: &[u32]| {
            let mut windows = items.windows(window.len()).filter(|other| *other == window);
            windows.next().is_some() && windows.next().is_none()
        };
        match is_once(self.old) && is_once(self.new) {
            true => Place::One(there),
            false => Place::Many,
        }
    }
}

/// What is left of two sequences without their common ends.
struct Trimmed<'a> {
    old: &'a [u32],
    new: &'a [u32],
    forward: Masks,
    backward: Masks,
}

impl<'a> Trimmed<'a> {
    fn of(old: &'a [u32], new: &'a [u32]) -> Self {
        let numbers = old
            .iter()
            .chain(new)
            .max()
            .map_or(0, |&max| max as usize + 1);
        Self {
            old,
            new,
            forward: Masks::of(new.iter().copied(), new.len(), numbers),
            backward: Masks::of(new.iter().rev().copied(), new.len(), numbers),
        }
    }

    fn places(&self, wanted: &[usize], budget: &mut usize) -> Vec<Place> {
        let words = self.new.len() / 64 + 1;
        let mut places = Vec::with_capacity(wanted.len());
        for some in wanted.chunks((KEPT / words / 2).max(1)) {
            places.extend(self.some_places(some, budget));
        }
        places
    }

    fn some_places(&self, wanted: &[usize], budget: &mut usize) -> Vec<Place> {
        let (len, count) = (self.old.len(), self.new.len());
        let before = rows(
            self.old.iter().copied(),
            &self.forward,
            count,
            wanted.iter().copied(),
            budget,
        );
        let behind = rows(
            self.old.iter().rev().copied(),
            &self.backward,
            count,
            wanted.iter().rev().map(|item| len - item - 1),
            budget,
        );
        let (Some(before), Some(mut behind)) = (before, behind) else {
            return vec![Place::Unknown; wanted.len()];
        };
        behind.reverse();
        let rows = before.iter().zip(&behind);
        wanted
            .iter()
            .zip(rows)
            .map(|(&item, (before, behind))| {
                let work = 2 * before.words.len();
                if *budget < work {
                    return Place::Unknown;
                }
                *budget -= work;
                self.place(self.old[item], before, behind)
            })
            .collect()
    }

    /// What an item can be matched with, by the row in front of it and the one behind it.
    fn place(&self, number: u32, before: &Row, behind: &Row) -> Place {
        let count = self.new.len();
        let upto = |at: usize| before.length(at);
        let from = |at: usize| behind.length(count - at);
        let mut longest = 0;
        let mut found = None;
        let mut is_many = false;
        let mut is_left_out = false;
        // Once to find the length, once to find who has it. A stretch of a word cannot have more
        // than the length at its end before it, and the length at its start behind it.
        let stretches = || {
            (0..=count / 64).map(|word| {
                let (start, end) = (word * 64, (word * 64 + 63).min(count));
                (start, end, upto((end + 1).min(count)) + from(start) + 1)
            })
        };
        let is_match = |at: usize| at < count && self.new[at] == number;
        for (start, end, bound) in stretches() {
            if bound <= longest {
                continue;
            }
            for at in start..=end {
                longest = longest.max(upto(at) + from(at));
                if is_match(at) {
                    longest = longest.max(upto(at) + 1 + from(at + 1));
                }
            }
        }
        for (start, end, bound) in stretches() {
            if bound < longest {
                continue;
            }
            for at in start..=end {
                is_left_out |= upto(at) + from(at) == longest;
                if is_match(at) && upto(at) + 1 + from(at + 1) == longest {
                    is_many |= found.is_some();
                    found = Some(at);
                }
            }
        }
        match found {
            None => Place::None,
            Some(_) if is_many || is_left_out => Place::Many,
            Some(at) => Place::One(at),
        }
    }
}

/// Where each number stands in a sequence, as bits: the words that have any, in order.
struct Masks(Vec<Vec<(u32, u64)>>);

impl Masks {
    fn of(items: impl Iterator<Item = u32>, len: usize, numbers: usize) -> Self {
        debug_assert!(u32::try_from(len).is_ok());
        let mut masks: Vec<Vec<(u32, u64)>> = vec![Vec::new(); numbers];
        for (at, number) in items.enumerate() {
            let word = u32::try_from(at / 64).unwrap_or(u32::MAX);
            let bit = 1 << (at % 64);
            let mask = &mut masks[number as usize];
            match mask.last_mut() {
                Some((last, bits)) if *last == word => *bits |= bit,
                _ => mask.push((word, bit)),
            }
        }
        Self(masks)
    }
}

/// The lengths of a prefix of one sequence against all prefixes of the other.
struct Row {
    words: Vec<u64>,
    /// How many bits are clear in front of each word.
    clear: Vec<u32>,
}

impl Row {
    fn of(words: &[u64]) -> Self {
        let mut sum = 0;
        let clear = words
            .iter()
            .map(|word| {
                let before = sum;
                sum += word.count_zeros();
                before
            })
            .collect();
        Self {
            words: words.to_vec(),
            clear,
        }
    }

    /// The length against a prefix of so many items.
    fn length(&self, at: usize) -> usize {
        let (word, bits) = (at / 64, at % 64);
        let inside = !self.words[word] & ((1 << bits) - 1);
        self.clear[word] as usize + inside.count_ones() as usize
    }
}

/// The rows behind so many items each, in rising order; `None` where that takes too long.
fn rows(
    items: impl Iterator<Item = u32>,
    masks: &Masks,
    len: usize,
    wanted: impl Iterator<Item = usize>,
    budget: &mut usize,
) -> Option<Vec<Row>> {
    let mut words = vec![u64::MAX; len / 64 + 1];
    // All words from here on are untouched.
    let mut used = 0;
    let mut rows = Vec::new();
    let mut items = items.enumerate();
    let mut done = 0;
    for next in wanted {
        while done < next {
            let (at, number) = items.next()?;
            let work = step(&mut words, &masks.0[number as usize], &mut used) + 1;
            *budget = budget.checked_sub(work)?;
            done = at + 1;
        }
        *budget = budget.checked_sub(words.len())?;
        rows.push(Row::of(&words));
    }
    Some(rows)
}

/// The next row; how many words were looked at.
fn step(words: &mut [u64], mask: &[(u32, u64)], used: &mut usize) -> usize {
    let mut work = 0;
    let mut carry = false;
    let mut masks = mask.iter().peekable();
    let mut at = 0;
    loop {
        if !carry {
            match masks.peek() {
                Some(&&(word, _)) => at = word as usize,
                None => break,
            }
        }
        if carry && at >= *used {
            // From here on all bits are set, and a carry leaves them so.
            break;
        }
        let bits = masks.next_if(|(word, _)| *word as usize == at);
        let bits = bits.map_or(0, |&(_, bits)| bits);
        let word = words[at];
        let matched = word & bits;
        let (sum, over) = word.overflowing_add(matched);
        let (sum, more) = sum.overflowing_add(u64::from(carry));
        words[at] = sum | (word & !bits);
        if words[at] != u64::MAX {
            *used = (*used).max(at + 1);
        }
        carry = over || more;
        at += 1;
        work += 1;
    }
    work
}
