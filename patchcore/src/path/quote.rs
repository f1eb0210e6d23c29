//! File names in diffs, quoted as git quotes them with `core.quotePath` at its default.
//!
//! A name that holds a control character, `"`, `\` or a byte outside ASCII stands in double quotes
//! with C escapes; three octal digits stand for every byte that has no letter of its own. See
//! `quote.c` in git and the description of `core.quotePath` in `git-config(1)`.

use std::borrow::Cow;

/// Quotes a name where git would.
///
/// ```
/// use patchcore::path::quote;
/// assert_eq!(quote(b"a/b c.txt"), &b"a/b c.txt"[..]);
/// assert_eq!(quote("a/é".as_bytes()), &br#""a/\303\251""#[..]);
/// ```
#[must_use]
pub fn quote(name: &[u8]) -> Cow<'_, [u8]> {
    if !name.iter().copied().any(needs_escape) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(in_quotes(name))
}

/// Puts a name in quotes, whether or not it needs them.
pub(crate) fn in_quotes(name: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(name.len() + 16);
    quoted.push(b'"');
    for &byte in name {
        if !needs_escape(byte) {
            quoted.push(byte);
            continue;
        }
        quoted.push(b'\\');
        match LETTERS.iter().find(|(escaped, _)| *escaped == byte) {
            Some((_, letter)) => quoted.push(*letter),
            None => quoted.extend([6, 3, 0].map(|shift| b'0' + (byte >> shift & 7))),
        }
    }
    quoted.push(b'"');
    quoted
}

/// Reads a quoted name from its opening quote on: the name, and how many bytes it took up, both
/// quotes included. `None` where it is malformed.
///
/// ```
/// use patchcore::path::unquote;
/// assert_eq!(unquote(br#""a/\303\251" b"#), Some(("a/é".as_bytes().to_vec(), 12)));
/// assert_eq!(unquote(b"plain"), None);
/// ```
#[must_use]
pub fn unquote(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut name = Vec::new();
    let mut bytes = text.iter().copied().enumerate();
    if bytes.next() != Some((0, b'"')) {
        return None;
    }
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((name, at + 1)),
            b'\\' => {
                let (_, escape) = bytes.next()?;
                if let Some((byte, _)) = LETTERS.iter().find(|(_, letter)| *letter == escape) {
                    name.push(*byte);
                } else if matches!(escape, b'0'..=b'3') {
                    let mut value = escape - b'0';
                    for _ in 0..2 {
                        let (_, digit @ b'0'..=b'7') = bytes.next()? else {
                            return None;
                        };
                        value = value << 3 | (digit - b'0');
                    }
                    name.push(value);
                } else {
                    return None;
                }
            }
            byte => name.push(byte),
        }
    }
    None
}

/// Bytes with an escape of one letter.
const LETTERS: [(u8, u8); 9] = [
    (0x07, b'a'),
    (0x08, b'b'),
    (b'\t', b't'),
    (b'\n', b'n'),
    (0x0b, b'v'),
    (0x0c, b'f'),
    (b'\r', b'r'),
    (b'"', b'"'),
    (b'\\', b'\\'),
];

fn needs_escape(byte: u8) -> bool {
    !(0x20..0x7f).contains(&byte) || byte == b'"' || byte == b'\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_survives_quoting() {
        let name: Vec<u8> = (1..=255).collect();
        let quoted = quote(&name);
        assert!(quoted.is_ascii());
        assert_eq!(unquote(&quoted), Some((name.clone(), quoted.len())));
        assert_eq!(quote(b"\t\x01\x7f"), &br#""\t\001\177""#[..]);
    }

    #[test]
    fn malformed_quotes_are_no_names() {
        for text in [
            &br#""a"#[..],
            br#""\"#,
            br#""\8""#,
            br#""\40""#,
            br#""\400""#,
            br#""\x""#,
            b"",
        ] {
            assert_eq!(unquote(text), None, "{text:?}");
        }
    }
}
