//! Where the hunks of one file go.

mod decision;
mod evidence;
mod headings;
mod landed;
mod older;
mod readings;
mod refusal;

use std::cell::Cell;
use std::ops::Range;

use super::{HunkOptions, Section, ends};
use crate::diff::parse::{Hunk, HunkLine, Role};
use crate::edit::Edit;
use crate::error::Refusal;
use crate::locate;
use crate::locate::fold::Fold;
use crate::operation::Matched;
use crate::path::RelPath;
use crate::plan::omission;
use crate::text::{BOM, LineEnding, LineNumber, Text};

use decision::Decision;
pub(super) use landed::{Standing, landed};
pub(super) use older::older;

/// A hunk that has found its place.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    /// The changed lines.
    pub(super) edits: Vec<Edit>,
    /// All of its old lines, context included.
    span: Range<usize>,
    /// Whether all of its old lines stand there byte for byte, line endings aside.
    pub(super) exact: bool,
    /// What is worth saying about how it got there.
    pub(super) note: Option<String>,
    /// What was folded away to find its place.
    pub(super) matched: Option<Matched>,
}

impl Placed {
    /// A hunk that stands at a line already.
    pub(super) fn already(line: LineNumber) -> Self {
        Self {
            edits: Vec::new(),
            span: 0..0,
            exact: false,
            note: Some(crate::locate::landed::note(line)),
            matched: None,
        }
    }

    fn add_note(&mut self, note: String) {
        self.note = Some(match self.note.take() {
            Some(before) => format!("{before}; {note}"),
            None => note,
        });
    }
}

/// Places all hunks of a section in a file, of which the file may decide how they are read.
pub(super) fn place(
    text: Text<'_>,
    section: &Section<'_>,
    path: &RelPath,
    options: HunkOptions,
) -> Vec<Result<Placed, Box<Refusal>>> {
    let hunks = &section.hunks;
    if hunks.iter().all(|hunk| hunk.doubt.is_none()) {
        return place_read(text, hunks, section.index.as_ref(), path, options);
    }
    readings::place(text, hunks, section.index.as_ref(), path, options)
}

/// Places all hunks of a file, in one pass over it as long as they stand where they say.
fn place_read(
    text: Text<'_>,
    hunks: &[Hunk<'_>],
    index: Index<'_>,
    path: &RelPath,
    options: HunkOptions,
) -> Vec<Result<Placed, Box<Refusal>>> {
    let bytes = text.bytes();
    let file = File {
        bytes,
        text,
        index,
        path,
        options,
        compared: Cell::new(MOST_COMPARED),
    };
    let fold = if options.ignore_whitespace {
        Fold::SpaceRuns
    } else {
        Fold::Bytes
    };
    let mut how = How { fold, ending: None };
    if options.is_crlf && crate::bytes::find(b'\n', bytes).is_none() {
        // Endings of the way, not of the file.
        how = How {
            fold: Fold::Ending,
            ending: Some(LineEnding::Lf),
        };
    }
    let mut found: Vec<Option<Spot>> = hunks.iter().map(|hunk| file.stated(hunk, how)).collect();
    if found.contains(&None)
        && !options.strict
        && fold == Fold::Bytes
        && let (Some(theirs), Some(ours)) = (ends::of_hunks(hunks), LineEnding::throughout(bytes))
        && theirs != ours
    {
        how = How {
            fold: Fold::Ending,
            ending: Some(ours),
        };
        found = hunks.iter().map(|hunk| file.stated(hunk, how)).collect();
    }
    if let [hunk] = hunks
        && hunk.ranges.is_none()
        && bytes.is_empty()
        && hunk.lines.iter().all(|line| line.role == Role::Added)
    {
        // All of a new file: an empty text has one place.
        found = vec![Some(Spot {
            span: 0..0,
            moved: None,
        })];
    }
    let mut placed = file.search(hunks, found, how);
    refusal::refuse_overlaps(hunks, &mut placed, path);
    placed
}

/// How lines are compared, and what new lines end in where that is not as the diff has it.
#[derive(Debug, Clone, Copy)]
struct How {
    fold: Fold,
    ending: Option<LineEnding>,
}

impl How {
    /// The line's text as it goes into the file. Where a diff came in `\r\n` for a file in `\n`,
    /// its last line has a `\r` even if it is marked as without newline.
    fn text<'h>(self, line: &HunkLine<'h>) -> &'h [u8] {
        let is_foreign = match self.ending {
            Some(LineEnding::Lf) => true,
            Some(LineEnding::CrLf) => line.newline,
            None => false,
        };
        let bare = line.text.strip_suffix(b"\r").filter(|_| is_foreign);
        bare.unwrap_or(line.text)
    }
}

/// The blob names before and after, as the `index` line has them.
type Index<'a> = Option<&'a (Vec<u8>, Vec<u8>)>;

/// Where a hunk's old lines stand.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    span: Range<usize>,
    moved: Option<LineNumber>,
}

struct File<'a> {
    bytes: &'a [u8],
    text: Text<'a>,
    index: Index<'a>,
    path: &'a RelPath,
    options: HunkOptions,
    /// How many bytes may still be read to say what is most like a hunk that has no place.
    compared: Cell<usize>,
}

/// Bytes that are read to say what is most like the hunks of a file that have no place.
const MOST_COMPARED: usize = 8 << 20;

/// At which ends of the file a hunk must match, as git has it.
struct Anchors {
    start: bool,
    end: bool,
}

impl File<'_> {
    /// The hunk at its stated line, or at the end of the file that it must match.
    fn stated(&self, hunk: &Hunk<'_>, how: How) -> Option<Spot> {
        let ranges = hunk.ranges?;
        let anchors = self.anchors(hunk);
        let at = if anchors.start {
            self.first_line(hunk)
        } else if anchors.end {
            let nothing = hunk.lines.iter().filter(|line| is_nothing(line)).count() as u64;
            self.start_of_last(ranges.old_count.saturating_sub(nothing))?
        } else {
            self.offset(self.stated_index(hunk)?, hunk)?
        };
        let end = self.old_lines_at(at, hunk, how).ok()?;
        if anchors.end && end != self.bytes.len() {
            return None;
        }
        let stated = self.stated_index(hunk).map(LineNumber::from_index);
        let moved = if anchors.end && !anchors.start {
            Some(self.text.line_at(at)).filter(|line| Some(*line) != stated)
        } else {
            None
        };
        // Git lets a hunk without any context slide to the end of the file.
        let context = hunk.lines.iter().any(|line| line.role == Role::Context);
        if moved.is_some() && !context {
            return None;
        }
        Some(Spot {
            span: at..end,
            moved,
        })
    }

    /// How many lines stand before the hunk, by its header.
    fn stated_index(&self, hunk: &Hunk<'_>) -> Option<usize> {
        let ranges = hunk.ranges?;
        let index = if ranges.old_count == 0 {
            ranges.old_start
        } else {
            ranges.old_start.saturating_sub(1)
        };
        usize::try_from(index).ok()
    }

    fn anchors(&self, hunk: &Hunk<'_>) -> Anchors {
        let Some(ranges) = hunk.ranges else {
            return Anchors {
                start: false,
                end: false,
            };
        };
        let zero = self.options.unidiff_zero;
        let trailing = hunk
            .lines
            .last()
            .is_some_and(|line| line.role == Role::Context);
        Anchors {
            start: ranges.old_start == 0 || (ranges.old_start == 1 && !zero),
            end: (!zero && !trailing) || hunk.lines.iter().any(is_nothing),
        }
    }

    /// Where the first line starts: behind a BOM, unless the hunk has it, too.
    fn first_line(&self, hunk: &Hunk<'_>) -> usize {
        let first = hunk.lines.iter().find(|line| line.role != Role::Added);
        if first.is_some_and(|line| line.text.starts_with(BOM)) {
            0
        } else {
            self.text.bom_len()
        }
    }

    fn offset(&self, index: usize, hunk: &Hunk<'_>) -> Option<usize> {
        if index == 0 {
            return Some(self.first_line(hunk));
        }
        if let Some(line) = self.text.line(LineNumber::from_index(index)) {
            return Some(line.start);
        }
        // Behind the last line, where that has an ending.
        (index == self.text.line_count() && self.text.ends_in_newline()).then_some(self.bytes.len())
    }

    /// Where the last so many lines start.
    fn start_of_last(&self, count: u64) -> Option<usize> {
        let mut at = self.bytes.len();
        for _ in 0..count {
            if at <= self.text.bom_len() {
                return None;
            }
            at = self.text.line_start(at - 1);
        }
        Some(at)
    }

    /// The end of the hunk's old lines if they stand at the offset, else the first that does not.
    fn old_lines_at(&self, at: usize, hunk: &Hunk<'_>, how: How) -> Result<usize, usize> {
        let mut end = at;
        let old = hunk.lines.iter().filter(|line| line.role != Role::Added);
        for (index, want) in old.enumerate() {
            end = self.line_matches(end, want, how).ok_or(index)?;
        }
        let new_ends_open = hunk
            .lines
            .iter()
            .any(|line| line.role == Role::Added && !line.newline);
        if new_ends_open && end != self.bytes.len() {
            return Err(hunk.lines.len());
        }
        Ok(end)
    }

    fn line_matches(&self, at: usize, want: &HunkLine<'_>, how: How) -> Option<usize> {
        if is_nothing(want) {
            return (at == self.bytes.len()).then_some(at);
        }
        let rest = &self.bytes[at..];
        if how.fold == Fold::Bytes {
            let behind = rest.strip_prefix(want.text)?;
            // What stays as it is keeps its end, too.
            let stays = want.role == Role::Context && !self.options.strict;
            return match (want.newline, behind) {
                (true, [b'\n', ..]) => Some(at + want.text.len() + 1),
                (false, []) if !rest.is_empty() => Some(self.bytes.len()),
                (true, []) if stays && !rest.is_empty() => Some(self.bytes.len()),
                (false, [b'\n']) if stays => Some(self.bytes.len()),
                _ => None,
            };
        }
        let line = locate::line_at(self.bytes, at)?;
        let same_end = how.fold == Fold::SpaceRuns || want.newline == line.ends_with(b"\n");
        let want = &HunkLine {
            text: how.text(want),
            ..*want
        };
        (same_end && how.fold.of(line) == how.fold.of(&terminated(want))).then_some(at + line.len())
    }

    /// Looks for what is not where it says in all of the file, in one pass for all hunks.
    fn search(
        &self,
        hunks: &[Hunk<'_>],
        found: Vec<Option<Spot>>,
        how: How,
    ) -> Vec<Result<Placed, Box<Refusal>>> {
        let places = self.places(hunks, how);
        let decision = Decision::new(self, hunks, &found, &places, how);
        let places = found.into_iter().zip(places).enumerate();
        let spots: Vec<Result<Spot, Box<Refusal>>> = places
            .map(|(index, (stated, places))| decision.spot(index, stated, places))
            .collect();
        let moved = |spot: &Result<Spot, _>| spot.as_ref().is_ok_and(|spot| spot.moved.is_some());
        let any_moved = spots.iter().any(moved);
        let spots = spots.into_iter().enumerate();
        spots
            .map(|(index, spot)| decision.placed(index, spot?, any_moved))
            .collect()
    }

    /// Where the old lines of each hunk stand, in one pass over the file.
    fn places(&self, hunks: &[Hunk<'_>], how: How) -> Vec<Vec<locate::Place>> {
        let old: Vec<Vec<Vec<u8>>> = hunks
            .iter()
            .map(|hunk| {
                let lines = hunk
                    .lines
                    .iter()
                    .filter(|line| line.role != Role::Added && !is_nothing(line));
                lines.map(terminated).collect()
            })
            .collect();
        let blocks: Vec<Vec<&[u8]>> = old
            .iter()
            .map(|lines| lines.iter().map(Vec::as_slice).collect())
            .collect();
        let blocks: Vec<&[&[u8]]> = blocks.iter().map(Vec::as_slice).collect();
        let mut places = locate::find_blocks(self.bytes, &blocks, how.fold);
        for (hunk, places) in hunks.iter().zip(&mut places) {
            if places.is_empty()
                && let Some(place) = self.at_open_end(hunk, how)
            {
                places.push(place);
            }
        }
        places
    }

    /// The place of a hunk at the end of the file, where its last line is context and only one of the
    /// two ends in a newline.
    fn at_open_end(&self, hunk: &Hunk<'_>, how: How) -> Option<locate::Place> {
        let last = hunk.lines.last()?;
        if last.role != Role::Context || last.newline == self.text.ends_in_newline() {
            return None;
        }
        let at = self.start_of_last(hunk.counts().0)?;
        let end = self.old_lines_at(at, hunk, how).ok()?;
        (end == self.bytes.len()).then(|| locate::Place {
            span: at..end,
            line: self.text.line_at(at),
        })
    }

    /// What is worth saying about how a hunk got to its place.
    fn notes(&self, hunk: &Hunk<'_>, spot: &Spot, index: usize, how: How) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some(line) = spot.moved {
            notes.push(match self.stated_index(hunk) {
                Some(stated) => format!(
                    "hunk {} went to line {line}, its header says {}",
                    index + 1,
                    stated + 1
                ),
                None => format!("hunk {} went to line {line}", index + 1),
            });
        }
        if how.ending.is_some() {
            notes.push("line endings of the diff were taken for the file's".into());
        }
        if how.fold == Fold::SpaceRuns {
            notes.push("white space was ignored to find the place".into());
        }
        if spot.span.end == self.bytes.len()
            && let Some(last) = hunk.lines.last()
            && last.role == Role::Context
            && last.newline != self.text.ends_in_newline()
            && !is_nothing(last)
            && how.fold == Fold::Bytes
        {
            notes.push("the end of the file keeps its newline, or the lack of one".into());
        }
        notes
    }

    fn placed(&self, hunk: &Hunk<'_>, spot: Spot, index: usize, how: How) -> Placed {
        let mut edits: Vec<Edit> = Vec::new();
        let mut at = spot.span.start;
        let mut open = false;
        for line in &hunk.lines {
            let length = || locate::line_at(self.bytes, at).map_or(0, <[u8]>::len);
            if line.role == Role::Context {
                at += length();
                open = false;
                continue;
            }
            if !open {
                edits.push(Edit::replace(at..at, Vec::new()));
                open = true;
            }
            let edit = edits.last_mut().expect("an edit is open");
            if line.role == Role::Removed {
                at += length();
                edit.span.end = at;
            } else {
                edit.text.extend_from_slice(how.text(line));
                if line.newline {
                    let ending = how.ending.unwrap_or(LineEnding::Lf);
                    edit.text.extend_from_slice(ending.as_bytes());
                }
            }
        }
        let notes = self.notes(hunk, &spot, index, how);
        Placed {
            edits,
            span: spot.span,
            exact: how.fold != Fold::SpaceRuns || hunk.counts().0 == 0,
            note: (!notes.is_empty()).then(|| notes.join("; ")),
            matched: how.ending.is_some().then_some(Matched::LineEndings),
        }
    }
}

/// Whether the line is empty and without a newline: no line at all, but the end of the file. Some
/// tools write the end of a file that ends in a newline so.
fn is_nothing(line: &HunkLine<'_>) -> bool {
    line.text.is_empty() && !line.newline
}

/// The line with the newline that the hunk gives it.
fn terminated(line: &HunkLine<'_>) -> Vec<u8> {
    let mut bytes = line.text.to_vec();
    if line.newline {
        bytes.push(b'\n');
    }
    bytes
}

/// The first new line of the hunk that stands for code left out.
pub(super) fn omitted<'h>(hunk: &Hunk<'h>) -> Option<&'h [u8]> {
    let added = hunk
        .lines
        .iter()
        .filter(|line| line.role == Role::Added)
        .map(|line| line.text);
    let count = |role: Role| hunk.lines.iter().filter(|line| line.role == role).count();
    let shrinks = || count(Role::Added) < count(Role::Removed);
    let old = omission::Known::of(|| {
        let old = hunk.lines.iter().filter(|line| line.role != Role::Added);
        old.map(|line| line.text)
    });
    omission::find(added, |line| old.holds(line), shrinks)
}
