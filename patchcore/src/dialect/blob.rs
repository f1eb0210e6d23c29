//! Git's binary patches: unpacked, applied as a delta.

use std::io::Read as _;

use crate::diff::blob_name;
use crate::diff::parse::BinaryHunk;

/// Largest result, in bytes.
const MAX_BLOB: u64 = 1 << 30;

/// Whether bytes are the name of a blob, cut to seven digits at least as git does, and not the name
/// of none.
pub(super) fn is_name(name: &[u8]) -> bool {
    name.len() >= 7
        && name.iter().all(u8::is_ascii_hexdigit)
        && name.iter().any(|digit| *digit != b'0')
}

/// Whether a blob name, cut to seven digits at least as git does, is that of the bytes.
pub(super) fn is_named(bytes: &[u8], name: &[u8]) -> bool {
    if !is_name(name) {
        return false;
    }
    [40, 64].iter().any(|&digits| {
        blob_name(bytes, digits)
            .and_then(|made| {
                made.as_bytes()
                    .get(..name.len())
                    .map(|cut| cut.eq_ignore_ascii_case(name))
            })
            .unwrap_or_default()
    })
}

/// The new bytes that one direction of a binary patch makes of the old ones.
pub(super) fn apply(hunk: &BinaryHunk, old: &[u8]) -> Result<Vec<u8>, &'static str> {
    if hunk.size > MAX_BLOB {
        return Err("it is larger than 1 GiB");
    }
    let mut data = Vec::new();
    flate2::read::ZlibDecoder::new(&hunk.data[..])
        .take(hunk.size + 1)
        .read_to_end(&mut data)
        .map_err(|_| "its data cannot be unpacked")?;
    if data.len() as u64 != hunk.size {
        return Err("its data has another size than it says");
    }
    if hunk.delta {
        delta(&data, old).ok_or("its delta does not fit the old file")
    } else {
        Ok(data)
    }
}

/// Applies a delta as packs have it: copies from the old bytes, and new bytes.
fn delta(delta: &[u8], old: &[u8]) -> Option<Vec<u8>> {
    let (old_size, delta) = size(delta)?;
    let (new_size, mut delta) = size(delta)?;
    if old_size != old.len() as u64 || new_size > MAX_BLOB {
        return None;
    }
    let mut new = Vec::new();
    while let Some((&command, rest)) = delta.split_first() {
        delta = rest;
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
            new.extend_from_slice(old.get(offset..offset.checked_add(length)?)?);
        } else if command != 0 {
            let (bytes, rest) = delta.split_at_checked(usize::from(command))?;
            new.extend_from_slice(bytes);
            delta = rest;
        } else {
            return None;
        }
        if new.len() as u64 > new_size {
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
