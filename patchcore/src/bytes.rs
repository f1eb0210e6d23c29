//! Bytes sought and compared by vector instructions that every processor of the target has.
//!
//! The `memchr` crate asks the processor at its first call what else it can do. In a virtual
//! machine each such question is a trap, and together they take longer than a small batch.

#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
mod search {
    use memchr::arch::x86_64::sse2::memchr::One;

    fn one(byte: u8) -> One {
        One::new(byte).expect("the target has SSE2")
    }

    pub(super) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
        one(byte).find(bytes)
    }

    pub(super) fn rfind(byte: u8, bytes: &[u8]) -> Option<usize> {
        one(byte).rfind(bytes)
    }

    pub(super) fn count(byte: u8, bytes: &[u8]) -> usize {
        one(byte).count(bytes)
    }
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
mod search {
    pub(super) use memchr::{memchr as find, memrchr as rfind};

    pub(super) fn count(byte: u8, bytes: &[u8]) -> usize {
        memchr::memchr_iter(byte, bytes).count()
    }
}

/// Offset of the first such byte.
#[inline]
pub(crate) fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    search::find(byte, bytes)
}

/// Offset of the last such byte.
#[inline]
pub(crate) fn rfind(byte: u8, bytes: &[u8]) -> Option<usize> {
    search::rfind(byte, bytes)
}

/// How many such bytes there are.
#[inline]
pub(crate) fn count(byte: u8, bytes: &[u8]) -> usize {
    search::count(byte, bytes)
}

/// Offsets of all such bytes.
pub(crate) fn positions(byte: u8, bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = at + find(byte, &bytes[at..])?;
        at = found + 1;
        Some(found)
    })
}

/// Offsets of all such bytes, the last one first.
pub(crate) fn rpositions(byte: u8, bytes: &[u8]) -> impl Iterator<Item = usize> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let found = rfind(byte, rest)?;
        rest = &rest[..found];
        Some(found)
    })
}

/// Where a needle starts, overlapping occurrences included. Takes time in proportion to both lengths,
/// also where both repeat one letter.
pub(crate) fn occurrences(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    match needle {
        [] => return Vec::new(),
        [byte] => return positions(*byte, bytes).collect(),
        _ => {}
    }
    let finder = memchr::memmem::Finder::new(needle);
    let mut period = None;
    let mut found: Vec<usize> = Vec::new();
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
        let mut at = from + at;
        let overlaps = found.last().is_some_and(|last| at - last < needle.len());
        found.push(at);
        if overlaps {
            // A search from the next byte on would compare the whole needle for each occurrence.
            // The next one can start a period later, and has only its end to be compared. Where it
            // does not, the next is about half a needle away, or further.
            let period = *period.get_or_insert_with(|| smallest_period(needle));
            let end = &needle[needle.len() - period..];
            while bytes[at + needle.len()..].starts_with(end) {
                at += period;
                found.push(at);
            }
        }
        from = at + 1;
    }
    found
}

/// The shortest distance at which a needle can overlap itself; its length where it cannot.
fn smallest_period(needle: &[u8]) -> usize {
    // By the longest start of the needle that ends each of its prefixes (Knuth, Morris, Pratt).
    let mut borders: Vec<usize> = vec![0; needle.len()];
    let mut border = 0;
    for at in 1..needle.len() {
        while border > 0 && needle[border] != needle[at] {
            border = borders[border - 1];
        }
        border += usize::from(needle[border] == needle[at]);
        borders[at] = border;
    }
    needle.len() - border
}

/// Bytes that are compared at once.
const BLOCK: usize = 256;

/// How many bytes both start with.
pub(crate) fn common_start(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.as_chunks().0.iter().zip(b.as_chunks().0);
    let start = blocks.take_while(|(a, b)| same_block(a, b)).count() * BLOCK;
    let rest = a[start..].iter().zip(&b[start..]);
    start + rest.take_while(|(a, b)| a == b).count()
}

/// How many bytes both end with.
pub(crate) fn common_end(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.as_rchunks().1.iter().rev();
    let blocks = blocks.zip(b.as_rchunks().1.iter().rev());
    let end = blocks.take_while(|(a, b)| same_block(a, b)).count() * BLOCK;
    let rest = a[..a.len() - end].iter().rev();
    let rest = rest.zip(b[..b.len() - end].iter().rev());
    end + rest.take_while(|(a, b)| a == b).count()
}

/// Compares without a branch, so that the compiler makes vector instructions of it; not every
/// platform's `memcmp` is fast.
fn same_block(a: &[u8; BLOCK], b: &[u8; BLOCK]) -> bool {
    a.iter().zip(b).fold(0, |bits, (a, b)| bits | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_found_wherever_they_stand() {
        for len in 0..200 {
            let bytes: Vec<u8> = (0..len).map(|at| (at % 7) as u8).collect();
            let expected: Vec<usize> = (0..len).filter(|at| at % 7 == 3).collect();
            assert_eq!(positions(3, &bytes).collect::<Vec<_>>(), expected);
            assert_eq!(count(3, &bytes), expected.len());
            assert!(rpositions(3, &bytes).eq(expected.iter().rev().copied()));
            assert_eq!(find(3, &bytes), expected.first().copied());
            assert_eq!(rfind(3, &bytes), expected.last().copied());
        }
    }
}
