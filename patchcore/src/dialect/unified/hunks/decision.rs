//! Which of the places where a hunk's lines stand it means.

use super::evidence::{Against, Evidence};
use super::{File, How, Placed, Spot, is_nothing, omitted};
use crate::diff::parse::{Hunk, Role};
use crate::edit::Edit;
use crate::error::Refusal;
use crate::locate::Place;
use crate::plan::omission;

/// What the hunks of a file are judged by, all of them together.
pub(super) struct Decision<'f, 'a> {
    file: &'f File<'a>,
    hunks: &'f [Hunk<'f>],
    how: How,
    evidence: Evidence<'f, 'a>,
    /// Where hunks that should stand at the end stand instead.
    in_place: Vec<Option<Spot>>,
    names: Vec<String>,
}

impl<'f, 'a> Decision<'f, 'a> {
    /// `found` has the places of hunks that stand where their headers say, `places` all places of
    /// the old lines of each.
    pub(super) fn new(
        file: &'f File<'a>,
        hunks: &'f [Hunk<'f>],
        found: &[Option<Spot>],
        places: &[Vec<Place>],
        how: How,
    ) -> Self {
        let in_place = hunks.iter().zip(found);
        let in_place = in_place.map(|(hunk, spot)| match spot {
            None if file.anchors(hunk).end => file.in_place(hunk, how),
            _ => None,
        });
        let names = hunks.iter().enumerate().map(|(index, hunk)| {
            let (number, line) = (index + 1, hunk.line);
            format!("hunk {number} of {} (line {line} of the patch)", file.path)
        });
        Self {
            file,
            hunks,
            how,
            evidence: Evidence::of(file, hunks, places),
            in_place: in_place.collect(),
            names: names.collect(),
        }
    }

    /// The place that a hunk means. `stated` is where it stands by its header, `places` is where
    /// its old lines stand.
    pub(super) fn spot(
        &self,
        index: usize,
        stated: Option<Spot>,
        mut places: Vec<Place>,
    ) -> Result<Spot, Box<Refusal>> {
        let (file, hunk, how) = (self.file, &self.hunks[index], self.how);
        if let Some(spot) = stated.as_ref().filter(|spot| spot.moved.is_none()) {
            // By the end of the file, or by a line that nothing else could be.
            if places.len() < 2 || file.anchors(hunk).end || file.believes_numbers(hunk) {
                return Ok(spot.clone());
            }
            let chosen = self.evidence.choose(index, Some(spot), &places, how);
            return chosen.ok_or_else(|| self.ambiguous(index, &places, true));
        }
        if (file.options.strict && hunk.ranges.is_some()) || !self.is_free(index, stated.as_ref()) {
            places.clear();
        }
        let here = stated.or_else(|| self.in_place[index].clone());
        match (places.as_slice(), here) {
            ([place], Some(spot)) if spot.span == place.span => {
                match self.evidence.against(index, spot.span.start) {
                    Some(against @ Against::Heading) => {
                        Err(self.incredible(index, &spot, &against))
                    }
                    _ => Ok(spot),
                }
            }
            ([place], None) => self.moved(index, place),
            ([], None) if self.evidence.proves_number(hunk) => {
                file.at_number(hunk).ok_or_else(|| self.mismatch(index))
            }
            ([] | [_], _) => Err(self.mismatch(index)),
            (_, None) if hunk.ranges.is_some() => {
                let chosen = self.evidence.choose(index, None, &places, how);
                chosen.ok_or_else(|| self.ambiguous(index, &places, false))
            }
            _ => Err(self.ambiguous(index, &places, false)),
        }
    }

    /// Whether a hunk may stand elsewhere than at the end of the file that it has to match.
    fn is_free(&self, index: usize, stated: Option<&Spot>) -> bool {
        let anchors = self.file.anchors(&self.hunks[index]);
        match stated {
            None => !(anchors.start || anchors.end) || self.in_place[index].is_some(),
            Some(spot) => spot.moved.is_some(),
        }
    }

    /// A hunk at the only place of its lines, which is not where it says.
    fn moved(&self, index: usize, place: &Place) -> Result<Spot, Box<Refusal>> {
        let spot = Spot {
            span: place.span.clone(),
            moved: Some(place.line),
        };
        let start = spot.span.start;
        // The newline that a new last line lacks can only be missing at the end.
        let there = self.file.old_lines_at(start, &self.hunks[index], self.how);
        if there.is_err() {
            return Err(self.mismatch(index));
        }
        match self.evidence.against(index, start) {
            Some(against) => Err(self.incredible(index, &spot, &against)),
            None => Ok(spot),
        }
    }

    /// The edits of a hunk at its place, if they may be made there.
    pub(super) fn placed(
        &self,
        index: usize,
        spot: Spot,
        any_moved: bool,
    ) -> Result<Placed, Box<Refusal>> {
        let (file, hunk, name) = (self.file, &self.hunks[index], &self.names[index]);
        if ends_amid(hunk) {
            return Err(Box::new(file.ends_twice(name)));
        }
        if any_moved && file.stands_by_number_alone(hunk) {
            return Err(Box::new(file.number_is_off(name)));
        }
        if !file.options.allow_omission
            && let Some(line) = omitted(hunk)
        {
            return Err(Box::new(omission::refusal(file.path, line)));
        }
        let placed = file.placed(hunk, spot, index, self.how);
        if placed.edits.iter().any(|edit| file.joins_lines(edit)) {
            return Err(Box::new(file.behind_open_end(name)));
        }
        Ok(placed)
    }

    fn mismatch(&self, index: usize) -> Box<Refusal> {
        let (hunk, name) = (&self.hunks[index], &self.names[index]);
        Box::new(self.file.mismatch(hunk, name, self.how))
    }

    fn ambiguous(&self, index: usize, places: &[Place], is_stated: bool) -> Box<Refusal> {
        let (hunk, name) = (&self.hunks[index], &self.names[index]);
        Box::new(self.file.ambiguous(hunk, name, places, is_stated))
    }

    fn incredible(&self, index: usize, spot: &Spot, against: &Against) -> Box<Refusal> {
        let (hunk, name) = (&self.hunks[index], &self.names[index]);
        Box::new(self.file.incredible(hunk, name, spot, against))
    }
}

impl File<'_> {
    /// Where a hunk that should stand at the end of the file stands instead: at its stated line.
    ///
    /// Git takes a hunk without trailing context for the last of its file. One that was cut short,
    /// or made without context, is not; it proves its place itself if two old lines or more stand
    /// at the very line that it states and, as [`Decision`] sees to, nowhere else. It
    /// has to change what it finds, too: lines that are only added would be added once more each
    /// time, and behind lines of somebody else that the file has grown by.
    fn in_place(&self, hunk: &Hunk<'_>, how: How) -> Option<Spot> {
        let ranges = hunk.ranges?;
        if self.options.strict
            || ranges.old_start == 0
            || hunk.lines.iter().any(is_nothing)
            || (ranges.old_count < 2 && hunk.lines.iter().any(|line| line.role == Role::Context))
            || ranges.old_count == 0
            || only_adds(hunk)
        {
            return None;
        }
        let at = self.offset(self.stated_index(hunk)?, hunk)?;
        let end = self.old_lines_at(at, hunk, how).ok()?;
        Some(Spot {
            span: at..end,
            moved: None,
        })
    }

    /// The place between lines that the header of a hunk without old lines says.
    fn at_number(&self, hunk: &Hunk<'_>) -> Option<Spot> {
        let at = self.offset(self.stated_index(hunk)?, hunk)?;
        Some(Spot {
            span: at..at,
            moved: None,
        })
    }

    /// Whether the operator has said that the line number of a hunk without context holds.
    fn believes_numbers(&self, hunk: &Hunk<'_>) -> bool {
        let has_context = hunk.lines.iter().any(|line| line.role == Role::Context);
        self.options.unidiff_zero && !has_context
    }

    /// Whether new lines would go on in a last line that stays and has no newline.
    fn joins_lines(&self, edit: &Edit) -> bool {
        let at = edit.span.start;
        !edit.text.is_empty() && at > self.text.bom_len() && self.bytes[at - 1] != b'\n'
    }

    /// Whether nothing but its line number says where the hunk goes. Where another hunk of the file
    /// has moved, that number is off.
    fn stands_by_number_alone(&self, hunk: &Hunk<'_>) -> bool {
        let anchors = self.anchors(hunk);
        hunk.ranges.is_some()
            && !anchors.start
            && !anchors.end
            && hunk.lines.iter().all(|line| line.role == Role::Added)
    }
}

/// Whether an added line has no newline, and yet another new line follows.
pub(super) fn ends_amid(hunk: &Hunk<'_>) -> bool {
    let new = hunk.lines.iter().filter(|line| line.role != Role::Removed);
    let mut behind =
        new.skip_while(|line| line.role != Role::Added || line.newline || is_nothing(line));
    behind.next().is_some() && behind.any(|line| !is_nothing(line))
}

/// Whether all old lines are still there afterwards, in one run or around the added ones.
fn only_adds(hunk: &Hunk<'_>) -> bool {
    let side = |gone: Role| {
        let lines = hunk.lines.iter().filter(move |line| line.role != gone);
        lines.map(|line| (line.text, line.newline))
    };
    let (old, new) = (side(Role::Added).count(), side(Role::Removed).count());
    let above = side(Role::Added).zip(side(Role::Removed));
    let above = above.take_while(|(a, b)| a == b).count();
    let below = side(Role::Added).rev().zip(side(Role::Removed).rev());
    let below = below.take(old.min(new) - above);
    let below = below.take_while(|(a, b)| a == b).count();
    above + below == old
}
