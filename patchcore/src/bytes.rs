//! Single bytes sought in bytes, by vector instructions that every processor of the target has.
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
