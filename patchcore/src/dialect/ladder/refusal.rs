//! What is said of a block that has no place.

use super::{Miss, Unclear};
use crate::dialect::fold::Fold;
use crate::dialect::locate::{self, Place};
use crate::error::{Code, Refusal};
use crate::path::RelPath;

/// The refusal of a block that was found with punctuation folded and whose new lines do not say
/// what becomes of a character of the file; `line` counts the lines of the block from 0.
pub(in crate::dialect) fn uncarried(
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
pub(in crate::dialect) fn refusal(
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

/// The refusal of a block that stands somewhere with other indentation, where it may not be put.
pub(in crate::dialect) fn unclear(
    unclear: &Unclear,
    text: &[u8],
    path: &RelPath,
    block: &[&[u8]],
    name: &str,
) -> Refusal {
    match unclear {
        Unclear::Several(places) => {
            let lines: Vec<String> = places.iter().map(|place| place.line.to_string()).collect();
            let refusal = Refusal::new(
                Code::AnchorNotFound,
                format!(
                    "{name} matches nothing in {path} as it is indented, and {} places with other indentation, at lines {}; send the lines as they are in the file",
                    places.len(),
                    lines.join(", ")
                ),
            )
            .in_file(path);
            locate::with_places(refusal, text, places)
        }
        Unclear::Levels(place, why) => {
            let stands = &text[place.span.start..place.span.end];
            let _ = block;
            Refusal::new(
                Code::AnchorNotFound,
                format!(
                    "{name} is at line {} of {path} with other indentation, which cannot be carried over to the new lines: {why}; send both halves with the indentation of the file",
                    place.line
                ),
            )
            .in_file(path)
            .at_line(place.line)
            .with_found(stands)
        }
    }
}
