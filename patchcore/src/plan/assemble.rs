//! The pieces of all operations on one text become one set of edits, or conflicts.

use crate::edit::{Edit, EditSet};
use crate::text::{LineEnding, LineNumber, Text};

use super::Touch;
use super::content::{Piece, virtual_len};

/// Two operations that claim the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clash {
    /// Both do the same to the same range; the second has nothing left to do.
    Duplicate { of: usize, operation: usize },
    /// They differ.
    Overlap { with: usize, operation: usize },
}

/// One set of edits, and which operation made which.
#[derive(Debug, Default)]
pub(super) struct Assembled {
    pub(super) edits: EditSet,
    pub(super) touches: Vec<Touch>,
    /// By operation, the first and last line of the new text that it wrote.
    pub(super) landed: Vec<(usize, [LineNumber; 2])>,
}

/// Sorts pieces by where they stand, insertions at one point in batch order, and finds clashes.
///
/// Duplicates are dropped from `pieces`; pieces that overlap stay, and the set cannot be made.
pub(super) fn find_clashes(pieces: &mut Vec<Piece>) -> Vec<Clash> {
    pieces.sort_by_key(|piece| (piece.span.start, piece.span.end, piece.operation));
    let mut clashes = Vec::new();
    let mut widest: Option<(usize, usize)> = None;
    let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces.drain(..) {
        if let Some((end, owner)) = widest
            && end > piece.span.start
        {
            let (first, second) = (owner.min(piece.operation), owner.max(piece.operation));
            let same = kept.last().is_some_and(|last| {
                last.operation == owner && last.span == piece.span && last.text == piece.text
            });
            if same {
                clashes.push(Clash::Duplicate {
                    of: first,
                    operation: second,
                });
                if let Some(last) = kept.last_mut() {
                    last.operation = first;
                }
                widest = Some((end, first));
                continue;
            }
            clashes.push(Clash::Overlap {
                with: first,
                operation: second,
            });
        }
        if widest.is_none_or(|(end, _)| piece.span.end > end) && !piece.span.is_empty() {
            widest = Some((piece.span.end, piece.operation));
        }
        kept.push(piece);
    }
    *pieces = kept;
    clashes
}

/// Makes the edits of sorted pieces that do not clash.
pub(super) fn assemble(text: &Text<'_>, pieces: Vec<Piece>) -> Assembled {
    let mut assembled = Assembled::default();
    let mut edits: Vec<Edit> = Vec::with_capacity(pieces.len());
    let mut shift = 0isize;
    let tail = tail_start(text, &pieces);
    for (index, piece) in pieces.into_iter().enumerate() {
        let (removed, added) = line_counts(text, &piece);
        let first = line_index(text, piece.span.start).wrapping_add_signed(shift);
        shift += added as isize - removed as isize;
        if added > 0 {
            let last = LineNumber::from_index(first + added - 1);
            assembled
                .landed
                .push((piece.operation, [LineNumber::from_index(first), last]));
        }
        // Past `tail` all pieces are one edit, so that the final newline can be settled once.
        let edit = index.min(tail);
        assembled.touches.push(Touch {
            operation: piece.operation,
            edit,
            added,
            removed,
        });
        match edits.get_mut(edit) {
            Some(joined) => {
                joined.span.end = piece.span.end;
                joined.text.extend_from_slice(&piece.text);
            }
            None => edits.push(Edit::replace(piece.span, piece.text)),
        }
    }
    if tail != usize::MAX {
        settle_final_newline(text, &mut edits);
    }
    assembled.touches.sort_by_key(|touch| touch.operation);
    assembled.edits = EditSet::new(edits, text.bytes().len()).expect("pieces do not clash");
    assembled
}

/// Index of the first piece of the run that reaches the imagined final newline.
fn tail_start(text: &Text<'_>, pieces: &[Piece]) -> usize {
    let end = virtual_len(text);
    if text.ends_in_newline() || pieces.last().is_none_or(|last| last.span.end != end) {
        return usize::MAX;
    }
    let mut start = pieces.len() - 1;
    while start > 0 && pieces[start - 1].span.end == pieces[start].span.start {
        start -= 1;
    }
    start
}

/// Takes the imagined final newline back: the text goes on not to end in one.
fn settle_final_newline(text: &Text<'_>, edits: &mut [Edit]) {
    let bytes = text.bytes();
    let floor = edits
        .len()
        .checked_sub(2)
        .map_or(text.bom_len(), |i| edits[i].span.end);
    let Some(last) = edits.last_mut() else { return };
    if last.span.start > bytes.len() {
        // Behind the last line: that line gets an ending, the new last one gives its up.
        let ending = text.ending_near(bytes.len());
        last.text.splice(0..0, ending.as_bytes().iter().copied());
        last.span = bytes.len()..bytes.len();
    }
    last.span.end = bytes.len();
    match LineEnding::of_line(&last.text) {
        Some(ending) => last
            .text
            .truncate(last.text.len() - ending.as_bytes().len()),
        None if last.text.is_empty() => {
            // The last lines are deleted: what is the last line now gives its ending up.
            let kept = &bytes[floor..last.span.start];
            let ending = LineEnding::of_line(kept).map_or(0, |ending| ending.as_bytes().len());
            last.span.start -= ending;
        }
        None => {}
    }
}

fn line_index(text: &Text<'_>, at: usize) -> usize {
    if at > text.bytes().len() {
        text.line_count()
    } else {
        text.line_at(at).index()
    }
}

/// How many lines a piece removes and adds; a line that is changed within counts as both.
fn line_counts(text: &Text<'_>, piece: &Piece) -> (usize, usize) {
    let bytes = text.bytes();
    let (start, end) = (piece.span.start, piece.span.end.min(bytes.len()));
    let newlines = |bytes: &[u8]| crate::bytes::count(b'\n', bytes);
    let replaced = if start < end { &bytes[start..end] } else { &[] };
    let imagined = usize::from(piece.span.end > bytes.len() && start <= bytes.len());
    let (removed, added) = (newlines(replaced) + imagined, newlines(&piece.text));
    let at_line_start = |at: usize| {
        at >= bytes.len() && text.ends_in_newline()
            || at > bytes.len()
            || at <= text.bom_len()
            || bytes[at - 1] == b'\n'
    };
    let whole = at_line_start(start)
        && at_line_start(piece.span.end)
        && (piece.text.is_empty() || piece.text.ends_with(b"\n"));
    if whole {
        (removed, added)
    } else {
        (removed + 1, added + 1)
    }
}
