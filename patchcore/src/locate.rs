//! Finds blocks of whole lines in a text: one pass, whatever the number of blocks.

pub(crate) mod fold;
pub(crate) mod ladder;
pub(crate) mod landed;
pub(crate) mod replace;
mod sums;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use self::fold::Fold;
use self::sums::Sums;
use crate::error::{MAX_CANDIDATES, Refusal};
use crate::text::{BOM, LineNumber, Text, split_lines};

/// A place where a block stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its bytes, endings included.
    pub(crate) span: Range<usize>,
    /// Its first line.
    pub(crate) line: LineNumber,
}

/// Most places that are told apart for one block: one more than a refusal lists.
pub(crate) const ENOUGH: usize = MAX_CANDIDATES + 1;

/// Blocks that may be looked for by the same line, however often it is repeated.
const SHARED: usize = 64;

/// Texts of at least this many bytes are searched for the characters of a line: 4,500 SEARCH/REPLACE
/// blocks in 0.9 MB take 1.35 s instead of 4.4 s line by line. Short ones are not, since the first
/// such search of a process asks the processor what it can do (see [`bytes`](crate::bytes)).
const LONG: usize = 64 << 10;

/// Fewest characters by which lines are found so: fewer stand in too many lines.
const CORE: usize = 4;

/// Lines that are compared one by one, before a place is first asked for by its sum.
const COMPARED: usize = 1 << 20;

/// Where each block stands in the text, in order, up to a handful of places each.
///
/// An empty block stands nowhere. Lines are compared no more often than a multiple of those of the
/// text and the blocks, however much they repeat each other.
pub(crate) fn find_blocks(text: &[u8], blocks: &[&[&[u8]]], fold: Fold) -> Vec<Vec<Place>> {
    find(text, blocks, fold, Wanted::Few)
}

/// All places of a block that share no line, from the start on.
pub(crate) fn find_disjoint(text: &[u8], block: &[&[u8]], fold: Fold) -> Vec<Place> {
    let mut found = find(text, &[block], fold, Wanted::Disjoint);
    found.pop().unwrap_or_default()
}

/// Which places of a block are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The first [`ENOUGH`].
    Few,
    /// All that share no line.
    Disjoint,
}

fn find(text: &[u8], blocks: &[&[&[u8]]], fold: Fold, wanted: Wanted) -> Vec<Vec<Place>> {
    let folded: Vec<Folded<'_>> = blocks
        .iter()
        .map(|block| block.iter().map(|line| fold.of(line)).collect())
        .collect();
    let start = if text.starts_with(BOM) { BOM.len() } else { 0 };
    // Of blocks that are the same, one is looked for.
    let mut first_of: HashMap<&Folded<'_>, usize> = HashMap::new();
    let first: Vec<usize> = (folded.iter().enumerate())
        .map(|(index, block)| *first_of.entry(block).or_insert(index))
        .collect();
    let mut keys = keys(&folded, &first, &HashMap::new());
    if keys.values().any(|blocks| blocks.len() > SHARED) {
        keys = self::keys(&folded, &first, &counts(&text[start..], &folded, fold));
    }
    let mut looks = Looks::default();
    keys.keys().for_each(|key| looks.insert(key));
    let alone = match (blocks, keys.keys().next()) {
        ([_], Some(key)) if text.len() >= LONG => {
            let core = fold.core(key);
            (core.len() >= CORE).then(|| (core.to_vec(), key.to_vec()))
        }
        _ => None,
    };
    let mut search = Search {
        text,
        start,
        folded: &folded,
        fold,
        wanted,
        keys,
        compared: 0,
        sums: None,
        found: vec![Vec::new(); blocks.len()],
    };
    match alone {
        Some((core, key)) => lines_with(text, start, &core, |number, at, line| {
            if *fold.of(line) == *key {
                search.look_at(number, at, &key);
            }
        }),
        None => {
            let mut at = start;
            for (number, line) in split_lines(&text[start..]).enumerate() {
                let key = fold.of(line);
                if looks.may_hold(&key) {
                    search.look_at(number, at, &key);
                }
                at += line.len();
            }
        }
    }
    let mut found = search.found;
    for (index, first) in first.into_iter().enumerate() {
        if first != index {
            found[index] = found[first].clone();
        }
    }
    found
}

/// The lines of a block as they are compared.
type Folded<'a> = Vec<Cow<'a, [u8]>>;

/// By a line of theirs, the blocks that are looked for, and how many of their lines stand above it.
type Keys<'f> = HashMap<&'f [u8], Vec<(usize, usize)>>;

/// A block is looked for by its longest line, which is the one least likely to be repeated; where it
/// is known how `often` lines are, by the one that is in fact repeated least.
fn keys<'f>(folded: &'f [Folded<'_>], first: &[usize], often: &HashMap<&[u8], usize>) -> Keys<'f> {
    let rank = |line: &Cow<'_, [u8]>| {
        let often = often.get(line.as_ref()).copied().unwrap_or_default();
        (std::cmp::Reverse(often), line.len())
    };
    let mut keys = Keys::new();
    for (index, block) in folded.iter().enumerate() {
        let lines = block.iter().enumerate();
        if first[index] == index
            && let Some((at, key)) = lines.max_by_key(|(_, line)| rank(line))
        {
            keys.entry(key).or_default().push((index, at));
        }
    }
    keys
}

/// A search for blocks, line by line.
struct Search<'a, 'f> {
    text: &'a [u8],
    start: usize,
    folded: &'f [Folded<'a>],
    fold: Fold,
    wanted: Wanted,
    keys: Keys<'f>,
    /// Lines that were compared one by one.
    compared: usize,
    sums: Option<Sums>,
    found: Vec<Vec<Place>>,
}

impl Search<'_, '_> {
    /// Looks whether blocks stand around a line: its number from 0, its offset and how it is compared.
    fn look_at(&mut self, number: usize, at: usize, key: &[u8]) {
        let Some(hits) = self.keys.get_mut(key) else {
            return;
        };
        let (text, start, wanted) = (self.text, self.start, self.wanted);
        if self.compared > COMPARED && self.sums.is_none() {
            self.sums = Some(Sums::of(text, start, self.folded, self.fold));
        }
        hits.retain(|&(index, before)| {
            let first = number
                .checked_sub(before)
                .and_then(|number| match &self.sums {
                    Some(sums) => sums.start_of(number, index),
                    None => {
                        self.compared += before;
                        back(text, start, at, before)
                    }
                });
            let (found, block) = (&mut self.found[index], &self.folded[index]);
            let last = found.last().filter(|_| wanted == Wanted::Disjoint);
            let is_free = |first: usize| last.is_none_or(|last| last.span.end <= first);
            if let Some(first) = first
                && is_free(first)
                && let Some(end) = matches_at(text, first, block, self.fold, &mut self.compared)
            {
                found.push(Place {
                    span: first..end,
                    line: LineNumber::from_index(number - before),
                });
            }
            // A block with enough places is looked for no further.
            found.len() < ENOUGH || wanted == Wanted::Disjoint
        });
    }
}

/// Looks at the lines of a text that hold some characters, with their numbers and the offsets where
/// they start.
fn lines_with<'t>(
    text: &'t [u8],
    start: usize,
    characters: &[u8],
    mut look_at: impl FnMut(usize, usize, &'t [u8]),
) {
    let finder = memchr::memmem::Finder::new(characters);
    let (mut number, mut at) = (0, start);
    while let Some(found) = finder.find(&text[at..]) {
        let above = &text[at..at + found];
        number += crate::bytes::count(b'\n', above);
        at += crate::bytes::rfind(b'\n', above).map_or(0, |newline| newline + 1);
        let line = line_at(text, at).unwrap_or_default();
        look_at(number, at, line);
        number += 1;
        at += line.len();
    }
}

/// What lines look like, so that most others are told from them without a hash: hashes of lines are
/// 9 % of the instructions of a check of 6,000 hunks, those that hash whole files aside.
#[derive(Default)]
struct Looks([u64; 16]);

impl Looks {
    fn insert(&mut self, line: &[u8]) {
        let bit = Self::of(line);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    /// Whether a line looks like one of them.
    fn may_hold(&self, line: &[u8]) -> bool {
        let bit = Self::of(line);
        self.0[bit / 64] & 1 << (bit % 64) != 0
    }

    /// Length and two bytes: below 1,024.
    fn of(line: &[u8]) -> usize {
        let byte = |at: Option<&u8>| at.copied().map_or(0, usize::from);
        let (middle, last) = (byte(line.get(line.len() / 2)), byte(line.last()));
        (line.len() ^ middle << 2 ^ last << 5) % 1024
    }
}

/// How often the text has each line of the blocks.
fn counts<'b>(
    text: &[u8],
    blocks: &'b [Vec<Cow<'_, [u8]>>],
    fold: Fold,
) -> HashMap<&'b [u8], usize> {
    let lines = blocks.iter().flatten();
    let mut counts: HashMap<&[u8], usize> = lines.map(|line| (line.as_ref(), 0)).collect();
    for line in split_lines(text) {
        if let Some(count) = counts.get_mut(fold.of(line).as_ref()) {
            *count += 1;
        }
    }
    counts
}

/// Where one block stands in a part of the text that starts with a line, see [`find_blocks`].
pub(crate) fn find_in(text: &[u8], part: Range<usize>, block: &[&[u8]], fold: Fold) -> Vec<Place> {
    let above = crate::bytes::count(b'\n', &text[..part.start]);
    let places = find_blocks(&text[part.clone()], &[block], fold)
        .pop()
        .unwrap_or_default();
    places
        .into_iter()
        .map(|place| Place {
            span: place.span.start + part.start..place.span.end + part.start,
            line: LineNumber::from_index(place.line.index() + above),
        })
        .collect()
}

/// The lines from a byte offset on, endings included.
pub(crate) fn lines_from(text: &[u8], at: usize) -> impl Iterator<Item = &[u8]> {
    split_lines(text.get(at..).unwrap_or_default())
}

/// The end of the block if it stands at a byte offset where a line starts.
pub(crate) fn block_at(
    text: &[u8],
    at: usize,
    block: &[&[u8]],
    fold: Fold,
) -> Result<usize, usize> {
    let mut end = at;
    for (index, want) in block.iter().enumerate() {
        match line_at(text, end) {
            Some(line) if fold.of(line) == fold.of(want) => end += line.len(),
            _ => return Err(index),
        }
    }
    Ok(end)
}

/// The line that starts at a byte offset; `None` at the end.
pub(crate) fn line_at(text: &[u8], at: usize) -> Option<&[u8]> {
    let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
    let end = crate::bytes::find(b'\n', rest).map_or(rest.len(), |at| at + 1);
    Some(&rest[..end])
}

/// Lists the places in a refusal.
pub(crate) fn with_places(mut refusal: Refusal, text: &[u8], places: &[Place]) -> Refusal {
    for place in places {
        let shown = line_at(text, place.span.start).unwrap_or_default();
        refusal = refusal.with_candidate(Some(place.line), crate::text::trim_ending(shown));
    }
    refusal
}

/// The places where most lines of the block stand, as information for whoever sent it: never fit
/// to be edited.
pub(crate) fn nearest(text: &[u8], block: &[&[u8]]) -> Vec<Place> {
    const SHOWN: usize = 3;
    let mut wanted: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (index, line) in block.iter().enumerate() {
        let line = line.trim_ascii();
        // A lone brace says nothing.
        if line.len() > 2 {
            // A line that is repeated often says little about where the block belongs.
            let indices = wanted.entry(line).or_default();
            if indices.len() < 4 {
                indices.push(index);
            }
        }
    }
    let mut votes: HashMap<usize, usize> = HashMap::new();
    for (number, line) in split_lines(text).enumerate() {
        for &index in wanted.get(line.trim_ascii()).into_iter().flatten() {
            if let Some(first) = number.checked_sub(index)
                && votes.len() < 10_000
            {
                *votes.entry(first).or_default() += 1;
            }
        }
    }
    let mut votes: Vec<_> = votes.into_iter().collect();
    votes.sort_by_key(|(first, count)| (std::cmp::Reverse(*count), *first));
    let lines = Text::new(text);
    votes
        .into_iter()
        .take(SHOWN)
        .filter_map(|(first, _)| {
            let line = LineNumber::from_index(first);
            let start = lines.line(line)?.start;
            Some(Place {
                span: start..start,
                line,
            })
        })
        .collect()
}

fn matches_at(
    text: &[u8],
    at: usize,
    block: &[Cow<'_, [u8]>],
    fold: Fold,
    compared: &mut usize,
) -> Option<usize> {
    let mut end = at;
    for want in block {
        *compared += 1;
        let line = line_at(text, end)?;
        if fold.of(line) != *want {
            return None;
        }
        end += line.len();
    }
    Some(end)
}

/// The start of the line that stands `lines` above the one that starts at `at`.
fn back(text: &[u8], start: usize, mut at: usize, lines: usize) -> Option<usize> {
    for _ in 0..lines {
        if at <= start {
            return None;
        }
        at = crate::bytes::rfind(b'\n', &text[start..at - 1])
            .map_or(start, |newline| start + newline + 1);
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find_block(text: &[u8], block: &[&[u8]], fold: Fold) -> Vec<Place> {
        find_in(text, 0..text.len(), block, fold)
    }

    fn lines(block: &str) -> Vec<&[u8]> {
        split_lines(block.as_bytes()).collect()
    }

    #[test]
    fn every_place_is_found_also_where_places_overlap() {
        let text = b"\xef\xbb\xbfa\na\na\nb\n";
        let places = find_block(text, &lines("a\na\n"), Fold::Bytes);
        let starts: Vec<_> = places
            .iter()
            .map(|place| (place.line.get(), place.span.clone()))
            .collect();
        assert_eq!(starts, [(1, 3..7), (2, 5..9)]);
        assert!(find_block(text, &lines("b"), Fold::Bytes).is_empty());
        assert_eq!(find_block(text, &lines("b"), Fold::Ending).len(), 1);
        assert!(find_block(text, &[], Fold::Bytes).is_empty());
    }

    #[test]
    fn places_that_share_no_line_are_all_found_from_the_start_on() {
        let text = "a\n".repeat(100_001) + "b\n";
        for (block, count) in [("a\n", 100_001), ("a\na\n", 50_000), ("a\nb\n", 1)] {
            let places = find_disjoint(text.as_bytes(), &lines(block), Fold::Ending);
            assert_eq!(places.len(), count, "{block}");
            let apart = places
                .windows(2)
                .all(|two| two[0].span.end <= two[1].span.start);
            assert!(apart && places[0].line.index() == if count == 1 { 100_000 } else { 0 });
        }
        let long = "a\n".repeat(40_000);
        let places = find_disjoint(text.as_bytes(), &lines(&long), Fold::Ending);
        assert_eq!(places.len(), 2);
    }

    #[test]
    fn the_key_line_may_stand_anywhere_in_its_block() {
        let text = b"x\nlonger\ny\nx\nlonger\nz\n";
        for block in ["x\nlonger\nz\n", "longer\nz\n"] {
            assert_eq!(
                find_block(text, &lines(block), Fold::Bytes).len(),
                1,
                "{block}"
            );
        }
    }

    /// Long blocks of a repeated line cost no more than a multiple of the text, and are found as
    /// they are where lines are compared one by one.
    #[test]
    fn repeated_lines_are_not_compared_over_and_over() {
        let text = "a\n".repeat(60_000) + "b\n" + &"a\n".repeat(20_000);
        let long = "a\n".repeat(20_000);
        for (block, places) in [
            (format!("{long}c\n"), vec![]),
            (format!("c\n{long}"), vec![]),
            (format!("{long}b\na\n"), vec![40_000]),
            (format!("{long}b\n{long}"), vec![40_000]),
            (format!("{long}b\n{long}a\n"), vec![]),
        ] {
            let lines = lines(&block);
            for fold in [Fold::Bytes, Fold::Ending] {
                let found = find_block(text.as_bytes(), &lines, fold);
                let found: Vec<_> = found.iter().map(|place| place.line.index()).collect();
                assert_eq!(found, places);
            }
        }
    }

    /// A block is found in a long text by its characters where it is found line by line.
    #[test]
    fn a_long_text_is_searched_as_a_short_one() {
        let part = "\u{feff}a line\nb line\r\n\n  a line  \nb line\nxa line\na linex\nsay \u{201c}so\u{201d} \u{2014} or not\u{2026}\na  line\nlast line";
        let long = "filler\n".repeat(LONG / 7 + 1);
        for block in [
            "a line\nb line\n",
            "b line\n",
            "  a line  \nb line\n",
            "line\n",
            "a line\n",
            "\n  a line\n",
            "last line\n",
            "last line",
            "b line\nnowhere\n",
            "say \"so\" - or not...\n",
            "say \u{201c}so\u{201d} - or not...\na line\n",
            "a\u{a0}line\n",
        ] {
            let block = lines(block);
            for fold in [
                Fold::Bytes,
                Fold::Ending,
                Fold::SpaceRuns,
                Fold::TrailingSpace,
                Fold::Punctuation,
                Fold::Indentation,
            ] {
                let short = find_block(part.as_bytes(), &block, fold);
                let behind = [part, "\n", &long].concat();
                let expected = match part.ends_with('\n') {
                    true => short,
                    false => find_block([part, "\n"].concat().as_bytes(), &block, fold),
                };
                assert_eq!(find_block(behind.as_bytes(), &block, fold), expected);
                let above = [&long, part].concat();
                let moved = find_block(above.as_bytes(), &block, fold);
                let short = find_block(format!("filler\n{part}").as_bytes(), &block, fold);
                let lines = long.len() / 7 - 1;
                let back = moved.into_iter().map(|place| Place {
                    span: place.span.start - lines * 7..place.span.end - lines * 7,
                    line: LineNumber::from_index(place.line.index() - lines),
                });
                assert_eq!(back.collect::<Vec<_>>(), short);
            }
        }
    }

    /// Many blocks at once are found where each alone is, whichever line they are looked for by.
    #[test]
    fn many_blocks_are_found_as_each_alone() {
        let mut text = Vec::new();
        for at in 0..400_u32 {
            text.extend_from_slice(if at % 3 == 0 { b"aa\n" } else { b"bb\n" });
            text.extend_from_slice(format!("{}\n", at % 10).as_bytes());
        }
        let blocks: Vec<String> = (0..300)
            .map(|at| match at % 4 {
                0 => "aa\n1\nbb\n".to_owned(),
                1 => format!("{}\naa\n", at % 10),
                2 => format!("bb\n{}\nbb\n{}\n", at % 10, (at + 1) % 10),
                _ => format!("aa\nnowhere {at}\n"),
            })
            .collect();
        let blocks: Vec<Vec<&[u8]>> = blocks.iter().map(|block| lines(block)).collect();
        let blocks: Vec<&[&[u8]]> = blocks.iter().map(Vec::as_slice).collect();
        for fold in [Fold::Bytes, Fold::Ending, Fold::Indentation] {
            let found = find_blocks(&text, &blocks, fold);
            assert!(found.iter().any(|places| places.len() == ENOUGH));
            for (block, places) in blocks.iter().zip(found) {
                assert_eq!(places, find_block(&text, block, fold));
            }
        }
    }
}
