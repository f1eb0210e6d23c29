//! The ladder by which agents' blocks are located. The first step on which anything matches
//! decides, and only if exactly one place does:
//!
//! 1. exactly; 2. line endings aside; 3. trailing white space aside; 4. typographic punctuation
//!    aside ([`all`]);
//! 5. indentation aside ([`shift`]); 6. without blank lines at the edges of both halves; 7. with one
//!    level of escaping undone ([`beyond`]).

mod escapes;
mod refusal;
mod shift;

use std::ops::Range;

pub(crate) use escapes::Escaping;
pub(crate) use refusal::{refusal, uncarried, unclear};

use super::fold::{Fold, LADDER};
use super::replace::{self, Line, Tail};
use crate::edit::Edit;
use crate::locate::landed::{self, Landed};
use crate::locate::{self, Place};
use crate::operation::Matched;
use crate::path::RelPath;
use crate::text::{split_lines, trim_ending};

/// A block's one place.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) place: Place,
    pub(crate) fold: Fold,
}

/// A block's one place, and what it does there: no edit where that has been done.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    pub(crate) place: Place,
    pub(crate) matched: Matched,
    pub(crate) edits: Vec<Edit>,
}

/// Why a block has no place.
#[derive(Debug, Clone)]
pub(crate) enum Miss {
    Nowhere,
    Ambiguous(Vec<Place>),
}

/// Why a block that stands somewhere with other indentation has no place.
#[derive(Debug, Clone)]
pub(crate) enum Unclear {
    /// It stands at several places so.
    Several(Vec<Place>),
    /// Why its lines do not tell how the new ones are to be indented.
    Levels(Place, &'static str),
}

/// How far a block may be folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rungs {
    /// All of the ladder.
    All,
    /// Exact lines only.
    Exact,
}

impl Rungs {
    /// The rungs for patches that are read strictly, or kindly.
    pub(crate) fn of(strict: bool) -> Self {
        if strict { Self::Exact } else { Self::All }
    }
}

/// A block to find, and what becomes of its lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sought<'a> {
    pub(crate) path: &'a RelPath,
    pub(crate) text: &'a [u8],
    /// The lines to find.
    pub(crate) old: &'a [&'a [u8]],
    /// What becomes of them.
    pub(crate) lines: &'a [Line<'a>],
    pub(crate) tail: Tail,
}

/// The one place of a block of lines in a part of the text.
pub(crate) fn find(
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
pub(crate) fn all(
    text: &[u8],
    part: Range<usize>,
    block: &[&[u8]],
    rungs: Rungs,
) -> (Vec<Place>, Fold) {
    for fold in LADDER {
        let mut places = locate::find_in(text, part.clone(), block, fold);
        // Among lines that differ in their endings alone the kind reading tells none apart.
        if rungs == Rungs::Exact {
            places.retain(|place| matched(text, place, block, fold).is_none());
        }
        if !places.is_empty() {
            return (places, fold);
        }
        if rungs == Rungs::Exact {
            break;
        }
    }
    (Vec::new(), Fold::Ending)
}

/// Which step of the ladder a place was found on; `None` where the block stands there exactly.
///
/// A line of the block without an ending, and the last line of a file without one, have any.
pub(crate) fn matched(text: &[u8], place: &Place, block: &[&[u8]], fold: Fold) -> Option<Matched> {
    match fold {
        Fold::Bytes | Fold::SpaceRuns | Fold::Indentation => None,
        Fold::TrailingSpace => Some(Matched::TrailingBlanks),
        Fold::Punctuation => Some(Matched::Typography),
        Fold::Ending => {
            let same = |(file, sent): (&[u8], &&[u8])| {
                let open = !file.ends_with(b"\n") || !sent.ends_with(b"\n");
                open || file.ends_with(b"\r\n") == sent.ends_with(b"\r\n")
            };
            let file = locate::lines_from(text, place.span.start);
            (!file.zip(block).all(same)).then_some(Matched::LineEndings)
        }
    }
}

/// The place of a block that matches nowhere with lines as they are, on the steps behind those of
/// [`all`]. Every place in the text counts.
///
/// # Errors
/// Why a block that is there with other indentation cannot be put there.
pub(crate) fn beyond(sought: &Sought<'_>) -> Result<Option<Fit>, Unclear> {
    let Sought { text, old, .. } = *sought;
    if !all(text, 0..text.len(), old, Rungs::All).0.is_empty() {
        return Ok(None);
    }
    if let Some((place, edits)) = shift::fit(sought)? {
        let matched = Matched::Indentation;
        return Ok(Some(Fit {
            place,
            matched,
            edits,
        }));
    }
    Ok(without_edges(sought).or_else(|| unescaped(sought)))
}

/// The block without the blank lines with which both halves start and end.
fn without_edges(sought: &Sought<'_>) -> Option<Fit> {
    let Sought { old, lines, .. } = *sought;
    let is_blank = |line: &[u8]| line.trim_ascii().is_empty();
    let is_edge = |(line, old): &(&Line<'_>, &&[u8])| **line == Line::Kept && is_blank(old);
    let above = lines.iter().zip(old).take_while(is_edge).count();
    let below = lines.iter().rev().zip(old.iter().rev());
    let below = below.take_while(is_edge).count();
    if above + below == 0 || above + below >= old.len() {
        return None;
    }
    let core = Sought {
        old: &old[above..old.len() - below],
        lines: &lines[above..lines.len() - below],
        ..*sought
    };
    // Both halves must have equally many blank lines there.
    let new = new_half(core.old, core.lines);
    let starts_blank = [core.old.first(), new.first()];
    let ends_blank = [core.old.last(), new.last()];
    let is_even = |lines: [Option<&&[u8]>; 2]| {
        lines
            .into_iter()
            .all(|line| line.is_some_and(|line| !is_blank(line)))
    };
    if (above > 0 && !is_even(starts_blank)) || (below > 0 && !is_even(ends_blank)) {
        return None;
    }
    fold_fit(&core, Matched::EdgeBlanks)
}

/// The block with one level of escaping undone that changes no added line.
fn unescaped(sought: &Sought<'_>) -> Option<Fit> {
    let mut fits: Vec<Fit> = Vec::new();
    for (old, new) in undone(sought.old, sought.lines) {
        let old: Vec<&[u8]> = split_lines(&old).collect();
        let lines = replace::between(&old, &new);
        let core = Sought {
            old: &old,
            lines: &lines,
            ..*sought
        };
        if !all(core.text, 0..core.text.len(), &old, Rungs::All)
            .0
            .is_empty()
        {
            fits.push(fold_fit(&core, Matched::Escapes)?);
        }
    }
    // Readings that differ and both fit tell nothing.
    let first = fits.pop()?;
    let same = |fit: &Fit| fit.place == first.place && fit.edits == first.edits;
    fits.iter().all(same).then_some(first)
}

/// Old and new text with each level of escaping undone that leaves the added lines as they are.
pub(crate) fn undone(old: &[&[u8]], lines: &[Line<'_>]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut joined = Vec::new();
    for line in old {
        joined.extend_from_slice(trim_ending(line));
        joined.push(b'\n');
    }
    let undo = |escaping: Escaping| {
        let undone = escaping.undone(&joined)?;
        let mut at = old.iter();
        let mut new = Vec::new();
        for line in lines {
            match line {
                Line::Kept => {
                    let kept = trim_ending(at.next()?);
                    new.extend(escaping.undone(kept).unwrap_or_else(|| kept.to_vec()));
                    new.push(b'\n');
                }
                Line::Removed => {
                    at.next()?;
                }
                Line::Added(added) => {
                    if escaping.undone(added).is_some() {
                        return None;
                    }
                    new.extend_from_slice(added);
                    new.push(b'\n');
                }
            }
        }
        Some((undone, new))
    };
    let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for one in Escaping::ALL.into_iter().filter_map(undo) {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    found
}

/// The lines of a block as they are to be.
fn new_half<'a>(old: &[&'a [u8]], lines: &[Line<'a>]) -> Vec<&'a [u8]> {
    let mut old = old.iter();
    let new = lines.iter().filter_map(|line| match line {
        Line::Kept => old.next().copied(),
        Line::Removed => {
            old.next();
            None
        }
        Line::Added(new) => Some(*new),
    });
    new.collect()
}

/// The one place of lines that were rewritten, on the steps of [`all`].
fn fold_fit(sought: &Sought<'_>, matched: Matched) -> Option<Fit> {
    let Sought { text, old, .. } = *sought;
    // What has landed on this step before would be found inside its new lines.
    if let Landed::Yes(place) = landed::lines(text, old, &new_half(old, sought.lines), Rungs::All) {
        return Some(Fit {
            place,
            matched,
            edits: Vec::new(),
        });
    }
    let Found { place, fold } = find(text, 0..text.len(), old, Rungs::All).ok()?;
    let start = place.span.start;
    let edits = replace::folded_edits(text, start, old, sought.lines, sought.tail, fold).ok()?;
    Some(Fit {
        place,
        matched,
        edits,
    })
}
