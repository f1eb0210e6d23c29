//! What is said of a block that has no place.

use super::{Miss, Unclear};
use crate::anchor::near;
use crate::error::{Code, Refusal};
use crate::locate::{self, Place};
use crate::path::RelPath;

/// The refusal of a block that was found with punctuation folded and whose new lines do not say
/// what becomes of a character of the file; `line` counts the lines of the block from 0.
pub(crate) fn uncarried(
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
pub(crate) fn refusal(
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
            let refusal = Refusal::new(Code::AnchorNotFound, String::new()).in_file(path);
            with_nearest(refusal, &format!("{name} is not in {path}"), text, block)
        }
    }
}

/// A refusal that says which place is most like the block, and what is different there.
pub(crate) fn with_nearest(
    mut refusal: Refusal,
    said: &str,
    text: &[u8],
    block: &[&[u8]],
) -> Refusal {
    let Some(near) = near::nearest(text, block) else {
        refusal.message = format!("{said}, and nothing there is similar; read the file");
        return refusal;
    };
    refusal.message = format!(
        "{said}; {}; send the lines as they are in the file",
        near.describe(text, block)
    );
    near.show(refusal, text)
}

/// The refusal of a block that stands somewhere with other indentation, where it may not be put.
pub(crate) fn unclear(unclear: &Unclear, text: &[u8], path: &RelPath, name: &str) -> Refusal {
    match unclear {
        Unclear::Several(places) => {
            let lines: Vec<String> = places.iter().map(|place| place.line.to_string()).collect();
            let refusal = Refusal::new(
                Code::AnchorNotFound,
                format!(
                    "{name} is not in {path} as it is indented, and at {} places with other indentation, at lines {}; send the lines as they are in the file",
                    places.len(),
                    lines.join(", ")
                ),
            )
            .in_file(path);
            locate::with_places(refusal, text, places)
        }
        Unclear::Levels(place, why) => {
            let stands = &text[place.span.start..place.span.end];
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
