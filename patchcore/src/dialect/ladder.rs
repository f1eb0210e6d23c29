//! The ladder by which agents' blocks are located: exactly, then with trailing white space and
//! typographic punctuation folded. The first rung on which anything matches decides, and only if
//! exactly one place does.

use std::ops::Range;

use super::fold::{Fold, LADDER};
use super::locate::{self, Place};
use crate::error::{Code, Refusal};
use crate::path::RelPath;

/// A block's one place.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) fold: Fold,
}

/// Why a block has none.
#[derive(Debug, Clone)]
pub(super) enum Miss {
    Nowhere,
    Ambiguous(Vec<Place>),
}

/// How far a block may be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rungs {
    /// All of [`LADDER`].
    All,
    /// Exact lines only.
    Exact,
}

/// The one place of a block of lines in a part of the text.
pub(super) fn find(
    text: &[u8],
    part: Range<usize>,
    block: &[&[u8]],
    rungs: Rungs,
) -> Result<Found, Miss> {
    let (mut places, fold) = all(text, part, block, rungs);
    match places.len() {
        0 => Err(Miss::Nowhere),
        1 => Ok(Found {
            place: places.remove(0),
            fold,
        }),
        _ => Err(Miss::Ambiguous(places)),
    }
}

/// All places on the first rung that has any, and that rung.
pub(super) fn all(
    text: &[u8],
    part: Range<usize>,
    block: &[&[u8]],
    rungs: Rungs,
) -> (Vec<Place>, Fold) {
    let ladder = if rungs == Rungs::All {
        &LADDER[..]
    } else {
        &LADDER[..1]
    };
    for &fold in ladder {
        let places = locate::find_in(text, part.clone(), block, fold);
        if !places.is_empty() {
            return (places, fold);
        }
    }
    (Vec::new(), Fold::Ending)
}

/// The refusal of a block that was found with punctuation folded and whose new lines do not say
/// what becomes of a character of the file; `line` counts the lines of the block from 0.
pub(super) fn uncarried(
    text: &[u8],
    path: &RelPath,
    place: &Place,
    line: usize,
    name: &str,
) -> Refusal {
    let at = crate::text::LineNumber::from_index(place.line.index() + line);
    let stands = locate::lines_from(text, place.span.start)
        .nth(line)
        .unwrap_or_default();
    let shown = crate::error::excerpt(crate::text::trim_ending(stands), 120);
    Refusal::new(
        Code::AnchorNotFound,
        format!("{name} writes quotes, dashes or spaces otherwise than line {at} of {path}, and its new text does not say which of them stay; send the characters of the file: {shown:?}"),
    )
    .in_file(path)
    .at_line(at)
    .with_found(stands)
}

/// The refusal of a block that has no place, or too many; `name` says which block.
pub(super) fn refusal(
    miss: &Miss,
    text: &[u8],
    path: &RelPath,
    block: &[&[u8]],
    name: &str,
) -> Refusal {
    match miss {
        Miss::Ambiguous(places) => {
            let lines: Vec<String> = places.iter().map(|place| place.line.to_string()).collect();
            let refusal = Refusal::new(
                Code::AnchorAmbiguous,
                format!(
                    "{name} matches {} places in {path}, at lines {}; give more lines around it",
                    places.len(),
                    lines.join(", ")
                ),
            )
            .in_file(path);
            locate::with_places(refusal, text, places)
        }
        Miss::Nowhere => {
            let near = locate::nearest(text, block);
            let mut message = format!("{name} matches nothing in {path}");
            let mut refusal = Refusal::new(Code::AnchorNotFound, String::new()).in_file(path);
            if let Some(first) = near.first() {
                let start = first.span.start;
                let wrong = locate::block_at(text, start, block, Fold::Ending)
                    .err()
                    .unwrap_or(0);
                let at = crate::text::LineNumber::from_index(first.line.index() + wrong);
                let stands = locate::lines_from(text, start)
                    .nth(wrong)
                    .unwrap_or_default();
                let wanted = block.get(wrong).copied().unwrap_or_default();
                message.push_str(&format!(
                    "; nearest is line {}, where line {at} is {:?} and the block has {:?}",
                    first.line,
                    crate::error::excerpt(crate::text::trim_ending(stands), 120),
                    crate::error::excerpt(crate::text::trim_ending(wanted), 120)
                ));
                refusal = refusal.at_line(at).with_found(stands);
            }
            message.push_str("; send the lines as they stand in the file");
            refusal.message = message;
            locate::with_places(refusal, text, &near)
        }
    }
}
