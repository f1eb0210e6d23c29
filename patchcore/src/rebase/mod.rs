//! Where lines of an older state of a file are in its newer one, or that they are not there.
//!
//! An agent edits the file that it last saw, its base. Others have changed the file meanwhile. A
//! [`Map`] aligns the two states line by line, endings aside, and answers for a range of lines of
//! the base which lines of the current file they are. It answers only where there is one answer:
//!
//! - every longest common subsequence of the two states matches the range with the same lines; and
//! - the two lines above the range and the two below it, as far as the base has them, stand around
//!   those lines too; and
//! - no more places than in the base have those two lines above and those two below close to each
//!   other with something else in between. One more may be the range itself, changed, and what looks
//!   like the range a copy of it.
//!
//! A range of which a line was changed has no place, wherever a copy of it may stand. The same
//! holds for a range whose neighbours were changed, and for one that has two places alike: it is
//! for the sender to look again. What a formatter laid out anew is found by its tokens, with
//! `Policy::rebase` and in languages of which it is known what a string is.
//!
//! ```
//! use patchcore::rebase::{Lost, Map};
//! let base = b"a\nb\nc\nd\ne\n";
//! let current = b"new\na\nb\nc\nd\ne\n";
//! let map = Map::new(base, current);
//! assert_eq!(map.range(2..3), Ok(3..4));
//!
//! let changed = Map::new(base, b"a\nb\nC\nd\ne\n");
//! assert_eq!(changed.range(2..3), Err(Lost::Changed));
//! ```

mod align;
mod name;
mod tag;
mod tokens;

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::text::{BOM, LineNumber, split_lines, trim_ending};
use align::{Alignment, BUDGET, Place};
pub use name::{BaseName, InvalidBaseName};
pub use tag::{InvalidTag, Tag};
pub(crate) use tokens::{Laid, Layouts};

/// Lines on each side of a range that must be the same in both states.
pub const NEIGHBOURS: usize = 2;

/// Where mapped lines were and where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rebased {
    /// The lines that the operation addressed in its base, both inclusive.
    pub from: [LineNumber; 2],
    /// The lines that they are now.
    pub to: [LineNumber; 2],
}

/// Why a range of the base has no place in the current file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// A line of the range, or of the two on each side of it, was changed or is gone.
    Changed,
    /// The range may be at more than one place.
    Ambiguous,
    /// The files are so long and so repetitive that comparing them would take too long.
    TooLarge,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changed => "these lines, or those next to them, were changed meanwhile",
            Self::Ambiguous => "these lines may be at more than one place by now",
            Self::TooLarge => "the files are too long and too repetitive to be compared",
        })
    }
}

/// Two states of a file, ready to be compared.
#[derive(Debug)]
pub struct Map {
    /// The lines of the base, equal numbers for equal lines.
    base: Vec<u32>,
    /// Those of the current file.
    current: Vec<u32>,
}

impl Map {
    /// Reads both states as lines. A byte order mark is no part of the first line.
    #[must_use]
    pub fn new(base: &[u8], current: &[u8]) -> Self {
        let mut numbers: HashMap<&[u8], u32> = HashMap::new();
        let mut read = |bytes| {
            lines(bytes)
                .map(|line| {
                    let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                    *numbers.entry(line).or_insert(next)
                })
                .collect()
        };
        Self {
            base: read(base),
            current: read(current),
        }
    }

    /// Where a range of lines of the base is in the current file; lines count from 0.
    ///
    /// An empty range lies between two lines, which must still be next to each other. One at the
    /// start or the end of the base is at that end of the current file, or nowhere.
    ///
    /// # Errors
    /// Why it has no place. A range past the end of the base is [`Lost::Changed`].
    pub fn range(&self, range: Range<usize>) -> Result<Range<usize>, Lost> {
        let mut places = self.ranges(std::slice::from_ref(&range));
        places.pop().unwrap_or(Err(Lost::Changed))
    }

    /// As [`range`](Self::range), for many ranges at less cost than one by one.
    #[must_use]
    pub fn ranges(&self, ranges: &[Range<usize>]) -> Vec<Result<Range<usize>, Lost>> {
        let place = self.placed(ranges);
        let pairs = [Pairs::of(&self.base), Pairs::of(&self.current)];
        let mut budget = BUDGET;
        let ranges = ranges.iter();
        ranges
            .map(|range| match self.holds(range) {
                true => {
                    let to = self.judge(range, &place)?;
                    self.refuse_copies(range, &pairs, &mut budget)?;
                    Ok(to)
                }
                false => Err(Lost::Changed),
            })
            .collect()
    }

    /// Where ranges are that have lines, by these alone: what stands next to them says nothing.
    pub(crate) fn of_themselves(&self, ranges: &[Range<usize>]) -> Vec<Result<Range<usize>, Lost>> {
        let place = self.placed(ranges);
        let judge = |range: &Range<usize>| {
            let is_held = self.holds(range) && !range.is_empty();
            let start = is_held.then(|| place(range.start)).ok_or(Lost::Changed)??;
            let there = start..start + range.len();
            let is_same = self.current.get(there.clone()) == Some(&self.base[range.clone()]);
            let is_last = place(range.end - 1)? + 1 == there.end;
            (is_same && is_last).then_some(there).ok_or(Lost::Changed)
        };
        ranges.iter().map(judge).collect()
    }

    /// Finds the places of the lines that decide where ranges are.
    fn placed(&self, ranges: &[Range<usize>]) -> impl Fn(usize) -> Result<usize, Lost> + use<> {
        let mut wanted: Vec<usize> = ranges
            .iter()
            .filter(|range| self.holds(range))
            .flat_map(|range| self.corners(range))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let places = Alignment::of(&self.base, &self.current).places(&wanted, BUDGET);
        move |line| {
            let found = wanted.binary_search(&line);
            match found.map_or(Place::None, |index| places[index]) {
                Place::One(place) => Ok(place),
                Place::None => Err(Lost::Changed),
                Place::Many => Err(Lost::Ambiguous),
                Place::Unknown => Err(Lost::TooLarge),
            }
        }
    }

    /// Whether the base has these lines.
    fn holds(&self, range: &Range<usize>) -> bool {
        range.start <= range.end && range.end <= self.base.len()
    }

    /// The lines whose places decide: the first and the last of a range, or those around an empty
    /// one.
    fn corners(&self, range: &Range<usize>) -> impl Iterator<Item = usize> + use<> {
        let len = self.base.len();
        let pair = match range.is_empty() {
            true => [range.start.checked_sub(1), Some(range.end)],
            false => [Some(range.start), Some(range.end - 1)],
        };
        pair.into_iter().flatten().filter(move |&line| line < len)
    }

    fn judge(
        &self,
        range: &Range<usize>,
        at: &dyn Fn(usize) -> Result<usize, Lost>,
    ) -> Result<Range<usize>, Lost> {
        let start = match (range.is_empty(), self.corners(range).next()) {
            // An empty base: there is no line that a place could go by.
            (_, None) => match self.current.is_empty() {
                true => 0,
                false => return Err(Lost::Changed),
            },
            (true, Some(above)) if above < range.start => at(above)? + 1,
            (_, Some(first)) => at(first)?,
        };
        let mapped = start..start + range.len();
        if range.is_empty() {
            let at_start = range.start == 0 && mapped.start != 0;
            let at_end = range.end == self.base.len() && mapped.end != self.current.len();
            if at_start || at_end {
                return Err(Lost::Changed);
            }
        } else if at(range.end - 1)? + 1 != mapped.end {
            return Err(Lost::Changed);
        }
        let above = range.start.min(NEIGHBOURS);
        let below = (self.base.len() - range.end).min(NEIGHBOURS);
        let window = self
            .current
            .get(mapped.start.wrapping_sub(above)..mapped.end + below);
        if window != Some(&self.base[range.start - above..range.end + below]) {
            return Err(Lost::Changed);
        }
        if range.is_empty() && range.end < self.base.len() && at(range.end)? != mapped.end {
            return Err(Lost::Changed);
        }
        Ok(mapped)
    }
}

impl Map {
    /// Refuses a range between neighbours that have something else in between at more places than
    /// in the base.
    fn refuse_copies(
        &self,
        range: &Range<usize>,
        [base, current]: &[Pairs; 2],
        budget: &mut usize,
    ) -> Result<(), Lost> {
        /// Lines that a changed copy may have more than the range.
        const LONGER: usize = 8;
        let pair = |start: Option<usize>| {
            let lines = self.base.get(start?..start? + NEIGHBOURS)?;
            Some([lines[0], lines[1]])
        };
        let (above, below) = (
            pair(range.start.checked_sub(NEIGHBOURS)),
            pair(Some(range.end)),
        );
        let (Some(above), Some(below)) = (above, below) else {
            return Ok(());
        };
        let work = base.at(above).len() + current.at(above).len();
        *budget = budget.checked_sub(work).ok_or(Lost::TooLarge)?;
        let reach = range.len() + LONGER;
        let between = &self.base[range.clone()];
        let count = |pairs: &Pairs, lines: &[u32]| {
            let (above, below) = (pairs.at(above), pairs.at(below));
            close(above, NEIGHBOURS, below, reach)
                .filter(|place| &lines[place.clone()] != between)
                .count()
        };
        match count(current, &self.current) > count(base, &self.base) {
            true => Err(Lost::Ambiguous),
            false => Ok(()),
        }
    }
}

/// Where each two neighbouring lines stand.
struct Pairs(HashMap<[u32; NEIGHBOURS], Vec<usize>>);

impl Pairs {
    fn of(lines: &[u32]) -> Self {
        let mut pairs: HashMap<[u32; NEIGHBOURS], Vec<usize>> = HashMap::new();
        for (at, pair) in lines.windows(NEIGHBOURS).enumerate() {
            pairs.entry([pair[0], pair[1]]).or_default().push(at);
        }
        Self(pairs)
    }

    fn at(&self, pair: [u32; NEIGHBOURS]) -> &[usize] {
        self.0.get(&pair).map_or(&[], |places| places)
    }
}

/// What is between two sequences where the second follows the first with at most so many items in
/// between; both are given by where they start, in order, and the first by its length.
fn close<'a>(
    above: &'a [usize],
    length: usize,
    below: &'a [usize],
    reach: usize,
) -> impl Iterator<Item = Range<usize>> + 'a {
    above.iter().filter_map(move |at| {
        let end = at + length;
        let next = below.partition_point(|&other| other < end);
        let next = *below.get(next)?;
        (next <= end + reach).then_some(end..next)
    })
}

/// The lines of a text, without endings and byte order mark.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let body = bytes.strip_prefix(BOM).unwrap_or(bytes);
    split_lines(body).map(trim_ending)
}

#[cfg(test)]
mod tests;
