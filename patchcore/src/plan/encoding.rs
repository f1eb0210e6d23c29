//! Which new text a file takes: a file keeps to one encoding, and text has no NUL.
//!
//! Every entry passes here: what a front end writes is judged as new text of an operation, whatever
//! format it came in.

use std::ops::Range;

use crate::error::{Code, Hint, Refusal};
use crate::operation::{Action, Operation};
use crate::path::RelPath;

use super::Policy;
use super::content::Piece;

/// Refuses an operation whose new text holds a NUL byte, unless the operator takes binary files, or
/// the patch itself proves by hashes that it means them.
pub(super) fn check_nul(operation: &Operation, policy: &Policy) -> Result<(), Refusal> {
    if policy.allow_binary || operation.proven || operation.link {
        return Ok(());
    }
    let has_nul = |text: &[u8]| crate::bytes::find(0, text).is_some();
    let found = match &operation.action {
        Action::Splice(edits) => edits.iter().any(|edit| has_nul(&edit.text)),
        action => new_text(action).is_some_and(has_nul),
    };
    if !found {
        return Ok(());
    }
    let path = &operation.file;
    let message = format!("the new text for {path} contains a NUL byte, which makes it binary");
    Err(Refusal::new(Code::BinaryFile, message)
        .in_file(path)
        .with_hint(Hint::AllowBinary))
}

/// The text that an operation brings, where it comes as text.
pub(super) fn new_text(action: &Action) -> Option<&[u8]> {
    Some(match action {
        Action::ReplaceBlock { content, .. }
        | Action::Append(content)
        | Action::Prepend(content) => content.as_bytes(),
        Action::InsertBefore(insertion) | Action::InsertAfter(insertion) => {
            insertion.content.as_bytes()
        }
        Action::ReplaceText { content, .. } | Action::CreateFile { content, .. } => content,
        _ => return None,
    })
}

/// The operations whose new text is in another encoding than the file that it goes into: UTF-8
/// beyond ASCII in a file that is not UTF-8, or the other way around.
///
/// A file without bytes has no encoding yet.
pub(super) fn mixed(
    path: &RelPath,
    old: &[u8],
    pieces: &[Piece],
    operations: &[Operation],
    policy: &Policy,
) -> Vec<(usize, Refusal)> {
    let suspect = |piece: &&Piece| {
        let operation = &operations[piece.operation];
        let is_text = !operation.proven && !operation.link;
        is_text && (operation.rewrites || !is_plain(old, piece))
    };
    if policy.allow_encoding_change || old.is_empty() || !pieces.iter().any(|piece| suspect(&piece))
    {
        return Vec::new();
    }
    let is_utf8 = str::from_utf8(old).is_ok();
    let refusal = |piece: &Piece| {
        let operation = &operations[piece.operation];
        let message = match is_utf8 {
            true if is_utf8_beside(old, piece) => return None,
            true => format!("{path} is UTF-8, and the new text is not; send it as UTF-8"),
            false if operation.rewrites => format!(
                "{path} is not UTF-8 and would be overwritten by UTF-8 text; edit its lines instead, or delete it first"
            ),
            false if operation.encoded || !is_utf8_text(old, piece) => return None,
            false => format!(
                "{path} is not UTF-8, and the new text has characters beyond ASCII; the file would be valid in no encoding"
            ),
        };
        let refusal = Refusal::new(Code::UnsupportedEncoding, message)
            .in_file(path)
            .with_hint(Hint::AllowEncodingChange);
        Some((piece.operation, refusal))
    };
    let mut refused: Vec<_> = pieces.iter().filter(suspect).filter_map(refusal).collect();
    refused.dedup_by_key(|(operation, _)| *operation);
    refused
}

/// Whether a piece is right in every encoding that has ASCII in it, and cuts no character of UTF-8.
fn is_plain(old: &[u8], piece: &Piece) -> bool {
    let is_inside = |at: usize| matches!(old.get(at), Some(0x80..=0xbf));
    piece.text.is_ascii() && !is_inside(piece.span.start) && !is_inside(piece.span.end)
}

/// The rest of the lines that a piece leaves on both sides of itself.
fn around(old: &[u8], piece: &Piece) -> [Range<usize>; 2] {
    let (start, end) = (
        piece.span.start.min(old.len()),
        piece.span.end.min(old.len()),
    );
    let first = crate::bytes::rfind(b'\n', &old[..start]).map_or(0, |newline| newline + 1);
    let last = crate::bytes::find(b'\n', &old[end..]).map_or(old.len(), |newline| end + newline);
    [first..start, end..last]
}

/// Whether the lines that a piece becomes part of are UTF-8.
fn is_utf8_beside(old: &[u8], piece: &Piece) -> bool {
    let [above, below] = around(old, piece);
    let lines = [&old[above], &piece.text, &old[below]].concat();
    str::from_utf8(&lines).is_ok()
}

/// Whether a piece is text of UTF-8 beyond ASCII: by itself, or where it is only a part of a
/// character, with what it becomes part of.
fn is_utf8_text(old: &[u8], piece: &Piece) -> bool {
    let is_ascii = piece.text.is_ascii();
    !is_ascii && (str::from_utf8(&piece.text).is_ok() || is_utf8_beside(old, piece))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::Edit;

    fn is_refused(old: &[u8], edit: Edit) -> bool {
        let path = RelPath::new("f").unwrap();
        let piece = Piece {
            span: edit.span.clone(),
            text: edit.text.clone(),
            operation: 0,
        };
        let operations = [Operation::new(path.clone(), Action::Splice(vec![edit]))];
        !mixed(&path, old, &[piece], &operations, &Policy::default()).is_empty()
    }

    #[test]
    fn a_file_keeps_to_one_encoding() {
        for (old, span, new, refused) in [
            // Not UTF-8.
            (&b"\xe9 a\n"[..], 2..3, &b"b"[..], false),
            (b"\xe9 a\n", 2..3, b"\xc3\xa9", true),
            (b"\xe9 a\n", 2..3, b"\xe8", false),
            (b"\xe9 a\n", 0..1, b"e", false),
            // Half of a character of UTF-8 on a line of its own.
            (b"\xe9\n\xc3\xa9\n", 3..4, b"\xa8", true),
            // UTF-8.
            (b"\xc3\xa9 a\n", 3..4, b"\xc3\xa8", false),
            (b"\xc3\xa9 a\n", 3..4, b"\xe8", true),
            (b"\xc3\xa9 a\n", 1..2, b"\xa8", false),
            (b"\xc3\xa9 a\n", 1..2, b"", true),
            (b"\xc3\xa9 a\n", 0..2, b"", false),
            (b"a\n", 0..1, b"\xe9", true),
            (b"", 0..0, b"\xe9", false),
        ] {
            let edit = Edit::replace(span.clone(), new);
            assert_eq!(is_refused(old, edit), refused, "{old:?} {span:?} {new:?}");
        }
    }
}
