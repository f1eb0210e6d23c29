//! Hunks that stand in the file already.

use std::collections::HashSet;
use std::ops::Range;

use super::super::super::blob;
use super::super::{Section, SectionKind};
use crate::diff::parse::{Hunk, Role};
use crate::locate::ladder::Rungs;
use crate::locate::landed::{self, Landed};
use crate::operation::TextEdit;
use crate::text::{LineNumber, split_lines};

/// A hunk of which the file holds what it leads to.
#[derive(Debug)]
pub(in super::super) struct Standing {
    /// Where that is.
    pub(in super::super) landed: Landed,
    /// What the hunk replaces by what.
    pub(in super::super) edit: TextEdit,
}

/// What says that every hunk of a section stands in the file, one below the other; `None` where one
/// of them does not, or the `index` line names the file as the one that the hunks are yet to change.
///
/// Where that line names the file as the one that they lead to, nothing else has to.
pub(in super::super) fn landed(bytes: &[u8], section: &Section<'_>) -> Option<Vec<Standing>> {
    let in_place = !matches!(
        section.kind,
        SectionKind::Create | SectionKind::Delete | SectionKind::Copy
    );
    let is = |name: &[u8]| blob::is_named(bytes, name);
    let (is_old, is_new) = match &section.index {
        Some((old, new)) => (is(old), is(new)),
        None => (false, false),
    };
    if !in_place || is_old || section.hunks.iter().any(|hunk| hunk.doubt.is_some()) {
        return None;
    }
    let changed = Changed::by(section);
    let mut end = 0;
    let judge = |hunk: &Hunk<'_>| {
        let edit = TextEdit {
            old: side(hunk, Role::Added).concat(),
            new: side(hunk, Role::Removed).concat(),
        };
        if is_new {
            let line = hunk.ranges.map_or(1, |ranges| ranges.new_start.max(1));
            let line = LineNumber::from_index(usize::try_from(line - 1).ok()?);
            let span = 0..0;
            let landed = Landed::Yes(super::locate::Place { span, line });
            return Some(Standing { landed, edit });
        }
        let (old, new) = (side(hunk, Role::Added), side(hunk, Role::Removed));
        let landed = match landed::lines(bytes, &lines(&old), &lines(&new), Rungs::Exact) {
            // With context on both sides, what it adds may be meant once more right there.
            Landed::Yes(place) if is_between(hunk) && landed::stand(bytes, &lines(&old)) => {
                Landed::Maybe(place)
            }
            landed => landed,
        };
        let landed = landed.within(|span| is_below_heading(bytes, &changed, hunk, span));
        let (Landed::Yes(place) | Landed::Maybe(place) | Landed::Elsewhere(place)) = &landed else {
            return None;
        };
        let in_order = place.span.start >= end;
        end = place.span.end;
        in_order.then_some(Standing { landed, edit })
    };
    section.hunks.iter().map(judge).collect()
}

/// The lines that the hunks of a section take away and add, without the white space around them.
struct Changed<'a> {
    removed: HashSet<&'a [u8]>,
    added: HashSet<&'a [u8]>,
}

impl<'a> Changed<'a> {
    fn by(section: &Section<'a>) -> Self {
        let of = |wanted: Role| {
            let lines = section.hunks.iter().flat_map(|hunk| &hunk.lines);
            let lines = lines.filter(|line| line.role == wanted);
            lines.map(|line| line.text.trim_ascii()).collect()
        };
        Self {
            removed: of(Role::Removed),
            added: of(Role::Added),
        }
    }
}

/// Whether lines of a file stand below the line that the hunk's header names, or hold it; without
/// such a name they do. Another hunk may have changed that line.
fn is_below_heading(
    bytes: &[u8],
    changed: &Changed<'_>,
    hunk: &Hunk<'_>,
    span: &Range<usize>,
) -> bool {
    let is_named = |line: &[u8]| line.trim_ascii_start().starts_with(hunk.heading);
    if hunk.heading.is_empty() || split_lines(&bytes[span.clone()]).any(is_named) {
        return true;
    }
    let mut at = 0;
    let mut opener = None;
    for line in split_lines(&bytes[..span.start]) {
        if is_named(line) {
            opener = Some(at);
        }
        at += line.len();
    }
    match opener {
        Some(opener) => {
            let is_new = |line: &[u8]| changed.added.contains(line.trim_ascii());
            landed::is_below(bytes, opener, span.start, is_new)
        }
        // What stands there instead of numbers may be anything.
        None => hunk.ranges.is_none() || changed.removed.iter().any(|line| is_named(line)),
    }
}

/// Whether a hunk has context above and below what it changes.
fn is_between(hunk: &Hunk<'_>) -> bool {
    let ends = [hunk.lines.first(), hunk.lines.last()];
    ends.iter()
        .all(|line| line.is_some_and(|line| line.role == Role::Context))
}

/// The lines of a hunk but for those of one role.
fn side(hunk: &Hunk<'_>, but: Role) -> Vec<Vec<u8>> {
    let lines = hunk.lines.iter().filter(|line| line.role != but);
    lines.map(super::terminated).collect()
}

fn lines(side: &[Vec<u8>]) -> Vec<&[u8]> {
    side.iter().map(Vec::as_slice).collect()
}
