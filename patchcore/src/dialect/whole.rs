//! The one action of every dialect that writes a whole file over one that exists.
//!
//! Byte-order mark and mode stay; a file whose lines all end in `\r\n` keeps them where the new
//! text has only `\n`. The sender can ask for exact bytes, which is how line endings are repaired.
//! Planning refuses to write UTF-8 text over a file that is not UTF-8.

use crate::edit::Edit;
use crate::text::BOM;

/// How the new text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Form {
    /// In the form of the file that is there.
    #[default]
    OfFile,
    /// Byte for byte as it was sent.
    Verbatim,
}

impl Form {
    /// The form that a sender's flag asks for.
    pub(super) fn of(verbatim: bool) -> Self {
        match verbatim {
            true => Self::Verbatim,
            false => Self::OfFile,
        }
    }
}

/// The edits that write a text over a file, and what the verdict says of it.
pub(super) fn edits(old: &[u8], new: &[u8], form: Form) -> (Vec<Edit>, String) {
    let mut note = String::from("replaces the whole file");
    if form == Form::Verbatim {
        note.push_str(", byte for byte");
        return (diff(old, new), note);
    }
    let mut written = Vec::with_capacity(new.len());
    if old.starts_with(BOM) && !new.starts_with(BOM) {
        written.extend_from_slice(BOM);
        note.push_str("; its byte-order mark stays");
    }
    if is_crlf(old) && new.contains(&b'\n') && !new.contains(&b'\r') {
        for line in new.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(text) => written.extend_from_slice(&[text, b"\r\n"].concat()),
                None => written.extend_from_slice(line),
            }
        }
        note.push_str("; its CRLF line endings stay");
    } else {
        written.extend_from_slice(new);
    }
    (diff(old, &written), note)
}

fn diff(old: &[u8], new: &[u8]) -> Vec<Edit> {
    crate::diff::edits(old, new).as_slice().to_vec()
}

/// Whether every line of a text ends in `\r\n`, and there is one.
fn is_crlf(text: &[u8]) -> bool {
    let newlines = crate::bytes::count(b'\n', text);
    newlines > 0 && memchr::memmem::find_iter(text, b"\r\n").count() == newlines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::EditSet;

    fn written(old: &[u8], new: &[u8], form: Form) -> Vec<u8> {
        let (edits, note) = edits(old, new, form);
        assert!(note.starts_with("replaces the whole file"));
        EditSet::new(edits, old.len()).unwrap().apply(old)
    }

    #[test]
    fn the_form_of_the_file_stays() {
        for (old, new, expected) in [
            (&b"a\r\nb\r\n"[..], &b"a\nB"[..], &b"a\r\nB"[..]),
            (b"a\r\nb\r\n", b"a\r\nB\n", b"a\r\nB\n"),
            (b"a\r\nb\n", b"a\nB\n", b"a\nB\n"),
            (b"\xef\xbb\xbfa\n", b"b\n", b"\xef\xbb\xbfb\n"),
            (b"\xef\xbb\xbfa\n", b"\xef\xbb\xbfb\n", b"\xef\xbb\xbfb\n"),
            (b"", b"b\n", b"b\n"),
            (b"a\r\n", b"", b""),
        ] {
            assert_eq!(written(old, new, Form::OfFile), expected);
            assert_eq!(written(old, new, Form::Verbatim), new);
        }
    }
}
