//! Which of several places a hunk goes to, by all that speaks for one of them, and whether the only
//! place is credible.
//!
//! In order of weight: the blob name in the `index` line, if it is the file's: then line numbers
//! hold. The function that the hunk's header names. The order of the hunks, and the shift of those
//! around it. The stated line comes last, and says nothing where the blob name is another, or other
//! hunks have moved. Git and GNU patch take the place nearest to the stated line.

use std::cell::OnceCell;

use super::super::super::blob;
use super::headings::{Alike, Headings, opens};
use super::{File, How, Spot};
use crate::diff::parse::{Hunk, Role};
use crate::locate;
use crate::text::LineNumber;

/// Whether the file is the one that the patch was made for, by the `index` line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    Proven,
    Other,
    Unknown,
}

/// A hunk whose old lines stand at one place only.
#[derive(Debug, Clone, Copy)]
struct Sure {
    stated: usize,
    found: usize,
    start: usize,
    end: usize,
}

impl Sure {
    fn shift(self) -> i64 {
        shift(self.stated, self.found)
    }
}

fn shift(stated: usize, found: usize) -> i64 {
    i64::try_from(found).unwrap_or(i64::MAX) - i64::try_from(stated).unwrap_or(i64::MAX)
}

/// What is known about the hunks of a file.
pub(super) struct Evidence<'f, 'a> {
    file: &'f File<'a>,
    hunks: &'f [Hunk<'f>],
    sure: Vec<Option<Sure>>,
    /// Those whose place is sure, by the line that they state, with their number.
    by_line: Vec<(Sure, usize)>,
    /// Whether one of them has moved.
    has_moved: bool,
    base: OnceCell<Base>,
    headings: OnceCell<Headings<'f>>,
}

/// What speaks against the only place of a hunk.
pub(super) enum Against {
    /// It is not below the line that the header names.
    Heading,
    /// The hunks around it have moved by another number of lines, or the order is another.
    Neighbours,
}

impl<'f, 'a> Evidence<'f, 'a> {
    /// Gathers the evidence of all places, of which each hunk has some.
    pub(super) fn of(
        file: &'f File<'a>,
        hunks: &'f [Hunk<'f>],
        places: &[Vec<locate::Place>],
    ) -> Self {
        let sure: Vec<Option<Sure>> = hunks
            .iter()
            .zip(places)
            .map(|(hunk, places)| match places.as_slice() {
                [place] => Some(Sure {
                    stated: file.stated_index(hunk)?,
                    found: place.line.index(),
                    start: place.span.start,
                    end: place.span.end,
                }),
                _ => None,
            })
            .collect();
        let all = sure.iter().enumerate();
        let mut by_line: Vec<(Sure, usize)> = all
            .filter_map(|(index, sure)| Some(((*sure)?, index)))
            .collect();
        by_line.sort_by_key(|(sure, _)| sure.stated);
        Self {
            file,
            hunks,
            has_moved: by_line.iter().any(|(sure, _)| sure.shift() != 0),
            sure,
            by_line,
            base: OnceCell::new(),
            headings: OnceCell::new(),
        }
    }

    /// The lines of the file that may open a part of it.
    fn headings(&self) -> &Headings<'f> {
        let headings = || self.hunks.iter().map(|hunk| hunk.heading);
        (self.headings).get_or_init(|| Headings::of(self.file.bytes, headings()))
    }

    fn base(&self) -> Base {
        *self.base.get_or_init(|| match self.file.index {
            Some((old, _)) if blob::is_named(self.file.bytes, old) => Base::Proven,
            Some((old, _)) if blob::is_name(old) => Base::Other,
            _ => Base::Unknown,
        })
    }

    /// Whether the line number of a hunk without old lines holds.
    pub(super) fn proves_number(&self, hunk: &Hunk<'_>) -> bool {
        hunk.counts().0 == 0
            && hunk.ranges.is_some_and(|ranges| ranges.old_start > 0)
            && self.base() == Base::Proven
    }

    /// The place of a hunk among several, of which `stated` is the one that its header says.
    pub(super) fn choose(
        &self,
        index: usize,
        stated: Option<&Spot>,
        places: &[locate::Place],
        how: How,
    ) -> Option<Spot> {
        if self.base() == Base::Proven
            && let Some(spot) = stated
        {
            return Some(spot.clone());
        }
        let hunk = &self.hunks[index];
        let (before, behind) = self.neighbours(index);
        let line = self.file.stated_index(hunk);
        if let (Some(before), Some(behind), Some(line)) = (before, behind, line)
            && before.shift() == behind.shift()
        {
            let expected = i64::try_from(line).ok()? + before.shift();
            let spot = self.spot_at(usize::try_from(expected).ok()?, hunk, how)?;
            let fits = self.is_below_heading(hunk, spot.span.start) != Some(false);
            return fits.then(|| self.as_moved(spot, stated));
        }
        if places.len() < locate::ENOUGH {
            let credible: Vec<&locate::Place> = places
                .iter()
                .filter(|place| {
                    before.is_none_or(|before| before.end <= place.span.start)
                        && behind.is_none_or(|behind| place.span.end <= behind.start)
                })
                .collect();
            let only = match credible.as_slice() {
                [only] => Some(*only),
                _ => self.by_heading(hunk, &credible, stated),
            };
            if let Some(place) = only {
                let spot = Spot {
                    span: place.span.clone(),
                    moved: Some(place.line),
                };
                let contradicted = self.base() == Base::Unknown
                    && stated.is_some_and(|stated| stated.span != spot.span);
                return (!contradicted).then(|| self.as_moved(spot, stated));
            }
        }
        let stated = stated.filter(|_| self.base() == Base::Unknown && !self.has_moved)?;
        let fits = self.is_below_heading(hunk, stated.span.start) != Some(false);
        fits.then(|| stated.clone())
    }

    /// The place in the function that the hunk's header names, if all others are in functions of
    /// their own, at the same distance from where those start, or if it is where the header says.
    ///
    /// A function whose first line is gone, and a copy of it elsewhere, must not be taken for it.
    fn by_heading<'p>(
        &self,
        hunk: &Hunk<'_>,
        places: &[&'p locate::Place],
        stated: Option<&Spot>,
    ) -> Option<&'p locate::Place> {
        let below = |place: &locate::Place| self.is_below_heading(hunk, place.span.start);
        let mut inside = places.iter().filter(|place| below(place) != Some(false));
        let (Some(chosen), None) = (inside.next(), inside.next()) else {
            return None;
        };
        if below(chosen) != Some(true) {
            return None;
        }
        let headings = self.headings();
        let heading = headings.first(hunk.heading).filter(|line| opens(line))?;
        let depth = |place: &locate::Place| {
            let above = headings.last_alike(heading, place.line.index())?;
            Some(place.line.index() - above)
        };
        let same_form = places.iter().all(|place| depth(place) == depth(chosen));
        let is_stated = stated.is_some_and(|stated| stated.span == chosen.span);
        (same_form || is_stated).then_some(*chosen)
    }

    /// What speaks against the only place of a hunk, which is not the one that its header says.
    pub(super) fn against(&self, index: usize, start: usize) -> Option<Against> {
        let below = || self.is_below_heading(&self.hunks[index], start);
        let heading = || (below() == Some(false)).then_some(Against::Heading);
        let Some(sure) = self.sure[index] else {
            // Without a number the heading is all that says where it goes.
            return heading();
        };
        if sure.shift() == 0 || self.base() == Base::Proven {
            return None;
        }
        let (before, behind) = self.neighbours(index);
        let in_order = before.is_none_or(|before| before.end <= sure.start)
            && behind.is_none_or(|behind| sure.end <= behind.start);
        let alone = match (before, behind) {
            (Some(before), Some(behind)) => {
                before.shift() == behind.shift() && before.shift() != sure.shift()
            }
            _ => false,
        };
        if !in_order || alone {
            return Some(Against::Neighbours);
        }
        heading()
    }

    /// The nearest hunks above and below, by their headers, whose place is sure.
    fn neighbours(&self, index: usize) -> (Option<Sure>, Option<Sure>) {
        let Some(line) = self.file.stated_index(&self.hunks[index]) else {
            return (None, None);
        };
        let above = self.by_line.partition_point(|(sure, _)| sure.stated < line);
        let below = self
            .by_line
            .partition_point(|(sure, _)| sure.stated <= line);
        let before = self.by_line[..above].last().map(|(sure, _)| *sure);
        let behind = self.by_line[below..].first().map(|(sure, _)| *sure);
        (before, behind)
    }

    fn spot_at(&self, line: usize, hunk: &Hunk<'_>, how: How) -> Option<Spot> {
        let at = self.file.offset(line, hunk)?;
        let end = self.file.old_lines_at(at, hunk, how).ok()?;
        Some(Spot {
            span: at..end,
            moved: Some(LineNumber::from_index(line)),
        })
    }

    fn as_moved(&self, spot: Spot, stated: Option<&Spot>) -> Spot {
        match stated {
            Some(stated) if stated.span == spot.span => stated.clone(),
            _ => spot,
        }
    }

    /// Whether a place is in the function that the hunk's header names; `None` where that cannot be
    /// said. A line that somebody has copied proves nothing.
    fn is_below_heading(&self, hunk: &Hunk<'_>, at: usize) -> Option<bool> {
        let mut old = hunk.lines.iter().filter(|line| line.role != Role::Added);
        if hunk.heading.is_empty()
            || old.any(|line| line.text.trim_ascii_start().starts_with(hunk.heading))
        {
            return None;
        }
        let headings = self.headings();
        let (named, heading) = headings.only(hunk.heading)?;
        let above = headings.line_at(at);
        if above <= named {
            return Some(false);
        }
        match headings.between(heading, named + 1..above) {
            Alike::None => Some(true),
            Alike::Unique => Some(false),
            Alike::Repeated => None,
        }
    }
}
