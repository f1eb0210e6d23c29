//! Sums over lines, by which a long block is told from a part of a text without comparing it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use super::fold::Fold;
use crate::text::split_lines;

/// The prime that sums are taken modulo.
const PRIME: u64 = (1 << 61) - 1;

/// The sums of the lines of a text, and of blocks. The lines are the digits of a number whose base
/// is drawn by chance, so that nobody can make blocks that have the sum of other lines.
pub(super) struct Sums {
    /// Of the first lines of the text, as many as the index says.
    sums: Vec<u64>,
    /// Where each line starts.
    starts: Vec<usize>,
    /// For each block its sum, the power of the base behind it, and its lines.
    blocks: Vec<(u64, u64, usize)>,
}

impl Sums {
    pub(super) fn of(text: &[u8], start: usize, blocks: &[Vec<Cow<'_, [u8]>>], fold: Fold) -> Self {
        let base = RandomState::new().hash_one(0) % (PRIME - 2) + 2;
        let mut digits: HashMap<&[u8], u64> = HashMap::new();
        let mut added = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (mut sum, mut power) = (0, 1);
            for line in block {
                let next = digits.len() as u64 + 1;
                let digit = *digits.entry(line).or_insert(next);
                sum = push(sum, base, digit);
                power = product(power, base);
            }
            added.push((sum, power, block.len()));
        }
        let (mut sums, mut starts) = (vec![0], Vec::new());
        let (mut sum, mut at) = (0, start);
        for line in split_lines(&text[start..]) {
            // Lines of no block are all the same one.
            let digit = digits.get(fold.of(line).as_ref()).copied().unwrap_or(0);
            sum = push(sum, base, digit);
            sums.push(sum);
            starts.push(at);
            at += line.len();
        }
        Self {
            sums,
            starts,
            blocks: added,
        }
    }

    /// Where the line with an index starts, if the lines from there on have the sum of a block.
    pub(super) fn start_of(&self, number: usize, block: usize) -> Option<usize> {
        let (sum, power, lines) = *self.blocks.get(block)?;
        let before = product(*self.sums.get(number)?, power);
        let behind = *self.sums.get(number + lines)?;
        let is_same = (before + sum) % PRIME == behind;
        is_same.then(|| self.starts.get(number).copied()).flatten()
    }
}

fn push(sum: u64, base: u64, digit: u64) -> u64 {
    (product(sum, base) + digit) % PRIME
}

fn product(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b) % u128::from(PRIME);
    // It is less than the prime.
    wide as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_stands_where_its_lines_do() {
        let text = b"\xef\xbb\xbfa\nb\nx\na\nb\r\nb";
        let block = |lines: &[&'static str]| -> Vec<Cow<'static, [u8]>> {
            lines
                .iter()
                .map(|line| Cow::Borrowed(line.as_bytes()))
                .collect()
        };
        let blocks = [
            block(&["a", "b"]),
            block(&["b", "b"]),
            block(&["b", "c"]),
            block(&["b"]),
        ];
        let sums = Sums::of(text, 3, &blocks, Fold::Ending);
        let places = |block| -> Vec<usize> {
            (0..8)
                .filter_map(|number| sums.start_of(number, block))
                .collect()
        };
        assert_eq!(places(0), [3, 9]);
        assert_eq!(places(1), [11]);
        assert!(places(2).is_empty());
        assert_eq!(places(3), [5, 11, 14]);
    }
}
