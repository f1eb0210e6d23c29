//! Git's binary patches: unpacked, applied as a delta.

use std::io::Read as _;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::diff::BlobName;
use crate::diff::parse::BinaryHunk;
use crate::plan::MAX_GROWTH;

/// Largest result, in bytes.
const MAX_BLOB: u64 = 1 << 30;

/// Whether bytes are the name of a blob, cut to seven digits at least as git does, and not the name
/// of none.
pub(super) fn is_name(name: &[u8]) -> bool {
    parse(name).is_some()
}

/// Whether a blob name, cut to seven digits at least as git does, is that of the bytes.
pub(super) fn is_named(bytes: &[u8], name: &[u8]) -> bool {
    parse(name).is_some_and(|name| name.is_of(bytes))
}

fn parse(name: &[u8]) -> Option<BlobName> {
    str::from_utf8(name).ok()?.parse().ok()
}

/// Why a binary patch makes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is not what it says.
    Malformed(&'static str),
    /// It would take more memory than it may.
    TooLarge(&'static str),
}

/// How much more than they bring the binary patches of one input may unpack to.
#[derive(Debug, Default)]
pub(super) struct Unpacked(AtomicU64);

impl Unpacked {
    /// Allows so many bytes where so many are brought or edited.
    fn grow(&self, bytes: u64, brought: u64) -> Result<(), Fault> {
        let more = bytes.saturating_sub(brought);
        let before = self.0.fetch_add(more.min(MAX_GROWTH), Ordering::Relaxed);
        match before.saturating_add(more) <= MAX_GROWTH {
            true => Ok(()),
            false => Err(Fault::TooLarge(
                "binary patches unpack to more than 256 MiB beyond what they bring",
            )),
        }
    }
}

/// The new bytes that one direction of a binary patch makes of the old ones.
pub(super) fn apply(hunk: &BinaryHunk, old: &[u8], unpacked: &Unpacked) -> Result<Vec<u8>, Fault> {
    if hunk.size > MAX_BLOB {
        return Err(Fault::TooLarge("it is larger than 1 GiB"));
    }
    unpacked.grow(hunk.size, hunk.data.len() as u64)?;
    let mut data = Vec::new();
    flate2::read::ZlibDecoder::new(&hunk.data[..])
        .take(hunk.size + 1)
        .read_to_end(&mut data)
        .map_err(|_| Fault::Malformed("its data cannot be unpacked"))?;
    if data.len() as u64 != hunk.size {
        return Err(Fault::Malformed("its data has another size than it says"));
    }
    if !hunk.delta {
        return Ok(data);
    }
    const MISFIT: Fault = Fault::Malformed("its delta does not fit the old file");
    let (_, rest) = size(&data).ok_or(MISFIT)?;
    let (new_size, _) = size(rest).ok_or(MISFIT)?;
    unpacked.grow(new_size, (data.len() + old.len()) as u64)?;
    delta(&data, old).ok_or(MISFIT)
}

/// Applies a delta as packs have it: copies from the old bytes, and new bytes.
fn delta(delta: &[u8], old: &[u8]) -> Option<Vec<u8>> {
    let (old_size, delta) = size(delta)?;
    let (new_size, mut delta) = size(delta)?;
    if old_size != old.len() as u64 || new_size > MAX_BLOB {
        return None;
    }
    // No more than it says is kept.
    let mut new = Vec::with_capacity(usize::try_from(new_size).ok()?);
    while let Some((&command, rest)) = delta.split_first() {
        delta = rest;
        let room = usize::try_from(new_size).ok()?.checked_sub(new.len())?;
        if command & 0x80 != 0 {
            let mut operand = |bits: std::ops::Range<u8>| -> Option<usize> {
                let mut value = 0;
                for (shift, bit) in bits.enumerate() {
                    if command & (1 << bit) != 0 {
                        let (&byte, rest) = delta.split_first()?;
                        delta = rest;
                        value |= usize::from(byte) << (8 * shift);
                    }
                }
                Some(value)
            };
            let offset = operand(0..4)?;
            let length = match operand(4..7)? {
                0 => 0x10000,
                length => length,
            };
            if length > room {
                return None;
            }
            new.extend_from_slice(old.get(offset..offset.checked_add(length)?)?);
        } else if command != 0 {
            let (bytes, rest) = delta.split_at_checked(usize::from(command))?;
            if bytes.len() > room {
                return None;
            }
            new.extend_from_slice(bytes);
            delta = rest;
        } else {
            return None;
        }
    }
    (new.len() as u64 == new_size).then_some(new)
}

/// A little-endian number of seven bits a byte.
fn size(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zipped(data: &[u8]) -> Vec<u8> {
        use std::io::Read as _;
        let mut zipped = Vec::new();
        let best = flate2::Compression::best();
        flate2::read::ZlibEncoder::new(data, best)
            .read_to_end(&mut zipped)
            .unwrap();
        zipped
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused_before_it_does() {
        let zeros = zipped(&vec![0; 1 << 20]);
        let hunk = |delta, size: u64, data: &[u8]| BinaryHunk {
            delta,
            size,
            data: data.to_vec(),
        };
        let is_too_large =
            |result: Result<Vec<u8>, Fault>| matches!(result, Err(Fault::TooLarge(_)));
        let one = hunk(false, 1 << 20, &zeros);
        assert_eq!(
            apply(&one, b"", &Unpacked::default()).unwrap().len(),
            1 << 20
        );
        assert!(is_too_large(apply(
            &hunk(false, 1 << 29, &zeros),
            b"",
            &Unpacked::default()
        )));
        // Many that are each small enough.
        let unpacked = Unpacked::default();
        let ended = (0..300).find(|_| is_too_large(apply(&one, b"", &unpacked)));
        assert_eq!(ended, Some(256));
        // A delta that copies the old file again and again.
        let old = vec![7; 1 << 16];
        let mut copies = vec![0x80, 0x80, 4, 0x80, 0x80, 0x80, 0x80, 2];
        copies.extend(std::iter::repeat_n(0x80, 8192));
        let copying = hunk(true, copies.len() as u64, &zipped(&copies));
        assert!(is_too_large(apply(&copying, &old, &Unpacked::default())));
    }

    #[test]
    fn deltas_copy_and_insert_and_never_leave_the_old_bytes() {
        // "hello" to "hellos": copy 5 from 0, insert "s".
        let bytes = [5, 6, 0x80 | 0x10, 5, 1, b's'];
        assert_eq!(delta(&bytes, b"hello"), Some(b"hellos".to_vec()));
        assert_eq!(delta(&bytes, b"hell"), None);
        assert_eq!(delta(&[5, 6, 0x80 | 0x11, 3, 5, 1, b's'], b"hello"), None);
        assert_eq!(delta(&[5, 6, 0], b"hello"), None);
    }
}
