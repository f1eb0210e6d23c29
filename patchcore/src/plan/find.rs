//! Where exact characters stand in a text, a newline standing for any line ending.

use std::ops::Range;

use crate::text::{LineEnding, Text};

/// Every place where exact characters stand, overlapping ones included; a newline in `find`
/// matches any line ending.
pub(super) fn find_text(text: &Text<'_>, find: &[u8]) -> Vec<Range<usize>> {
    let (bytes, floor) = (text.bytes(), text.bom_len());
    let parts: Vec<&[u8]> = {
        let mut parts: Vec<&[u8]> = find.split(|&byte| byte == b'\n').collect();
        let last = parts.len() - 1;
        for part in &mut parts[..last] {
            *part = part.strip_suffix(b"\r").unwrap_or(part);
        }
        parts
    };
    // The longest part is the rarest, most likely. An empty one stands before every newline.
    let pivot = (0..parts.len())
        .rev()
        .max_by_key(|&i| parts[i].len())
        .unwrap_or(0);
    let mut places = Vec::new();
    let mut try_at = |at: usize| {
        if let Some(start) = parts_end_at(bytes, floor, at, &parts[..pivot])
            && let Some(end) = parts_start_at(bytes, at + parts[pivot].len(), &parts[pivot + 1..])
        {
            places.push(start..end);
        }
    };
    if parts[pivot].is_empty() {
        for newline in crate::bytes::positions(b'\n', &bytes[floor..]) {
            let at = floor + newline;
            let carriage_return = at > floor && bytes[at - 1] == b'\r';
            try_at(at - usize::from(carriage_return));
        }
        return places;
    }
    let finder = memchr::memmem::Finder::new(parts[pivot]);
    let mut from = floor;
    while let Some(at) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
        try_at(from + at);
        from += at + 1;
    }
    places
}

/// Where `parts`, each followed by a line ending, start if they stand right before `end`.
fn parts_end_at(bytes: &[u8], floor: usize, end: usize, parts: &[&[u8]]) -> Option<usize> {
    let mut end = end;
    for part in parts.iter().rev() {
        let here = bytes[floor..end].strip_suffix(b"\n")?;
        let plain = here
            .ends_with(part)
            .then(|| floor + here.len() - part.len());
        let crlf = here
            .strip_suffix(b"\r")
            .filter(|here| here.ends_with(part))
            .map(|here| floor + here.len() - part.len());
        end = crlf.or(plain)?;
    }
    Some(end)
}

/// Where `parts`, each behind a line ending, end if they stand right behind `start`.
fn parts_start_at(bytes: &[u8], start: usize, parts: &[&[u8]]) -> Option<usize> {
    let mut start = start;
    for part in parts {
        let rest = &bytes[start..];
        let ending = LineEnding::of_line(
            rest.get(..2)
                .filter(|two| two == b"\r\n")
                .or(rest.get(..1))?,
        )?;
        start += ending.as_bytes().len();
        if !bytes[start..].starts_with(part) {
            return None;
        }
        start += part.len();
    }
    Some(start)
}
