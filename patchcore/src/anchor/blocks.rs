//! Where blocks of whole lines stand: one pass over the text, whatever their number.

use std::collections::HashMap;

use crate::text::{Text, split_lines, trim_ending};

/// Lines that may be compared in one search, before the batch is held to be hostile.
const COMPARE_BUDGET: usize = 100_000_000;

/// Places that may be found in one search: each takes 24 bytes.
const FOUND: usize = 1 << 22;

/// The places of a number of blocks in one text.
#[derive(Debug)]
pub(super) struct Places<'b> {
    index: HashMap<&'b [u8], usize>,
    /// Where the starts of each block begin in `starts`, and where the last ones end.
    bounds: Vec<usize>,
    /// Byte offsets, block by block, in order.
    starts: Vec<usize>,
    exhausted: bool,
}

/// A block that is looked for by its longest line, which is the rarest, most likely.
struct Wanted<'b> {
    block: &'b [u8],
    /// That line, and where it starts in the block.
    pivot: &'b [u8],
    at: usize,
    /// The next block with a pivot of the same hash, or `NONE`.
    next: usize,
}

const NONE: usize = usize::MAX;

impl<'b> Places<'b> {
    /// Finds blocks, line endings aside; an empty one stands nowhere.
    pub(super) fn find(text: &Text<'_>, blocks: &[&'b [u8]]) -> Self {
        let mut index = HashMap::with_capacity(blocks.len());
        let mut wanted: Vec<Wanted<'b>> = Vec::with_capacity(blocks.len());
        let mut by_hash: HashMap<u64, usize> = HashMap::with_capacity(blocks.len());
        let mut filter = Filter::new(blocks.len());
        for &block in blocks {
            if block.is_empty() || index.contains_key(block) {
                continue;
            }
            index.insert(block, wanted.len());
            let (pivot, at) = longest_line(block);
            filter.add(line_key(pivot));
            let next = by_hash.insert(line_hash(pivot), wanted.len());
            let next = next.unwrap_or(NONE);
            wanted.push(Wanted {
                block,
                pivot,
                at,
                next,
            });
        }
        let mut found: Vec<(usize, usize)> = Vec::new();
        let exhausted = search(text, &wanted, &by_hash, &filter, &mut found).is_none();
        found.sort_unstable();
        let starts = found.iter().map(|&(_, start)| start).collect();
        let bounds = (0..=wanted.len())
            .map(|block| found.partition_point(|&(owner, _)| owner < block))
            .collect();
        Self {
            index,
            bounds,
            starts,
            exhausted,
        }
    }

    /// Where a block starts, in order; `None` where the search was given up.
    pub(super) fn of(&self, block: &[u8]) -> Option<&[usize]> {
        if self.exhausted {
            return None;
        }
        let Some(&block) = self.index.get(block) else {
            return Some(&[]);
        };
        Some(&self.starts[self.bounds[block]..self.bounds[block + 1]])
    }
}

/// Goes over the text once; `None` where that is too much work.
fn search(
    text: &Text<'_>,
    wanted: &[Wanted<'_>],
    by_hash: &HashMap<u64, usize>,
    filter: &Filter,
    found: &mut Vec<(usize, usize)>,
) -> Option<()> {
    if wanted.is_empty() {
        return Some(());
    }
    let (bytes, floor) = (text.bytes(), text.bom_len());
    let mut compared = 0;
    let mut at = floor;
    for line in split_lines(&bytes[floor..]) {
        let trimmed = trim_ending(line);
        let mut candidate = match filter.may_hold(line_key(trimmed)) {
            true => by_hash.get(&line_hash(trimmed)).copied().unwrap_or(NONE),
            false => NONE,
        };
        while let Some(Wanted {
            block,
            pivot,
            at: before,
            next,
        }) = wanted.get(candidate)
        {
            compared += 1;
            if *pivot == trimmed
                && let Some(start) = ends_at(bytes, floor, at, &block[..*before], &mut compared)
                && starts_at(bytes, at, &block[*before..], &mut compared)
            {
                found.push((candidate, start));
            }
            if compared > COMPARE_BUDGET || found.len() > FOUND {
                return None;
            }
            candidate = *next;
        }
        at += line.len();
    }
    Some(())
}

/// The longest line of a block, without its ending, and where it starts.
fn longest_line(block: &[u8]) -> (&[u8], usize) {
    let mut at = 0;
    let mut longest = (&block[..0], 0);
    for line in split_lines(block) {
        let trimmed = trim_ending(line);
        if trimmed.len() > longest.0.len() || at == 0 {
            longest = (trimmed, at);
        }
        at += line.len();
    }
    longest
}

/// Where `lines` start, if they stand right before `end`, which is a line's start.
fn ends_at(
    bytes: &[u8],
    floor: usize,
    mut end: usize,
    mut lines: &[u8],
    compared: &mut usize,
) -> Option<usize> {
    while !lines.is_empty() {
        *compared += 1;
        if end <= floor {
            return None;
        }
        let start = last_line(&bytes[floor..end]) + floor;
        let wanted = last_line(lines);
        if trim_ending(&bytes[start..end]) != trim_ending(&lines[wanted..]) {
            return None;
        }
        (end, lines) = (start, &lines[..wanted]);
    }
    Some(end)
}

/// Where the last line of some lines starts.
fn last_line(lines: &[u8]) -> usize {
    let body = lines.strip_suffix(b"\n").unwrap_or(lines);
    crate::bytes::rfind(b'\n', body).map_or(0, |newline| newline + 1)
}

fn starts_at(bytes: &[u8], start: usize, lines: &[u8], compared: &mut usize) -> bool {
    let mut here = split_lines(&bytes[start..]);
    split_lines(lines).all(|line| {
        *compared += 1;
        here.next()
            .is_some_and(|found| trim_ending(found) == trim_ending(line))
    })
}

/// A cheap key of a line, by which most are told apart: its length and both its ends.
fn line_key(line: &[u8]) -> u64 {
    let head = word(&line[..line.len().min(8)]);
    let tail = word(&line[line.len().saturating_sub(8)..]);
    mix(head ^ tail.rotate_left(29) ^ line.len() as u64)
}

/// A hash of all of a line: in tables and logs most have the same length and the same ends.
fn line_hash(line: &[u8]) -> u64 {
    let words = line.chunks(8).map(word);
    words.fold(line.len() as u64, |hash, word| {
        mix(hash.rotate_left(29) ^ word)
    })
}

fn mix(word: u64) -> u64 {
    let mixed = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 32
}

/// Up to eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

/// Nearly every line of a large file is none that is looked for: a bit tells.
struct Filter {
    bits: Vec<u64>,
}

impl Filter {
    /// Room for a number of keys: about 16 bits for each.
    fn new(keys: usize) -> Self {
        Self {
            bits: vec![0; (keys / 4).next_power_of_two().clamp(64, 1 << 20)],
        }
    }

    fn word(&self, key: u64) -> usize {
        (key >> 6) as usize & (self.bits.len() - 1)
    }

    fn add(&mut self, key: u64) {
        let word = self.word(key);
        self.bits[word] |= 1 << (key & 63);
    }

    fn may_hold(&self, key: u64) -> bool {
        self.bits[self.word(key)] & 1 << (key & 63) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(text: &[u8], block: &str) -> Vec<usize> {
        let text = Text::new(text);
        Places::find(&text, &[b"zzz\n", block.as_bytes()])
            .of(block.as_bytes())
            .unwrap()
            .to_vec()
    }

    #[test]
    fn blocks_are_whole_lines_whatever_their_endings() {
        assert_eq!(starts(b"a\nlong\r\nb", "a\nlong\nb\n"), [0]);
        assert_eq!(starts(b"xa\na\n", "a\n"), [3]);
        assert_eq!(starts(b"a\na\na\n", "a\na\n"), [0, 2]);
        assert_eq!(starts(b"\xef\xbb\xbfa\nb\n", "a\nb\n"), [3]);
        assert_eq!(starts(b"a\n\n\nb\n", "\n"), [2, 3]);
        assert_eq!(starts(b"b\nc\n", "a\nb\n"), Vec::<usize>::new());
        assert_eq!(starts(b"a\n", "a\n\n"), Vec::<usize>::new());
        assert_eq!(starts(b"", "a\n"), Vec::<usize>::new());
    }

    #[test]
    fn the_lines_of_a_table_are_told_apart() {
        let lines: Vec<String> = (10_000..40_000)
            .map(|number| format!("INSERT INTO t VALUES ({number}, 'a name');\n"))
            .collect();
        let bytes = lines.concat().into_bytes();
        let blocks: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        let places = Places::find(&Text::new(&bytes), &blocks);
        for (index, block) in blocks.iter().enumerate().step_by(1000) {
            assert_eq!(places.of(block), Some(&[index * block.len()][..]));
        }
    }

    #[test]
    fn the_same_lines_are_found_as_by_looking_at_every_place() {
        let text = b"a\nb\nab\na\n\nb\na\nb\n".repeat(3);
        let lines: Vec<&[u8]> = split_lines(&text).collect();
        for size in 1..4 {
            for window in lines.windows(size) {
                let block = window.concat();
                let mut at = 0;
                let mut expected = Vec::new();
                for (index, line) in lines.iter().enumerate() {
                    if lines[index..].starts_with(window) {
                        expected.push(at);
                    }
                    at += line.len();
                }
                let text = Text::new(&text);
                assert_eq!(
                    Places::find(&text, &[&block]).of(&block),
                    Some(&expected[..])
                );
            }
        }
    }
}
