//! The step of the ladder on which a block is found whatever its indentation.

use std::collections::HashSet;

use super::{Rungs, Sought, Unclear};
use crate::edit::Edit;
use crate::literals;
use crate::locate::fold::Fold;
use crate::locate::landed::{self, Landed};
use crate::locate::replace::{self, Line};
use crate::locate::{self, Place};
use crate::text::{lead, trim_ending};

/// Bytes of indentation that the new lines of one block may get in all, 4 MiB: more is no source.
const MOST_ADDED: usize = 4 << 20;

/// By how much the lines of the file are indented otherwise than those of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shift<'a> {
    /// They have this in front.
    More(&'a [u8]),
    /// They lack this in front.
    Less(&'a [u8]),
}

/// The place of a block that stands at exactly one place of the text if indentation is left out of
/// account, and the edits by which its new lines, shifted likewise, come there.
///
/// `Ok(None)` where it stands nowhere even so.
///
/// # Errors
/// Why the lines do not tell how the new ones are to be indented.
pub(crate) fn fit(sought: &Sought<'_>) -> Result<Option<(Place, Vec<Edit>)>, Unclear> {
    let text = sought.text;
    if sought.old.iter().all(|line| is_blank(line)) {
        return Ok(None);
    }
    let mut places = locate::find_in(text, 0..text.len(), sought.old, Fold::Indentation);
    if places.len() > 1 {
        return Err(Unclear::Several(places));
    }
    let Some(place) = places.pop() else {
        return Ok(None);
    };
    let because = |why| Unclear::Levels(place.clone(), why);
    let new = super::new_half(sought.old, sought.lines);
    if let Landed::Maybe(there) = landed::lines(text, sought.old, &new, Rungs::All)
        && there.span.start <= place.span.start
        && place.span.end <= there.span.end
    {
        return Err(because("the new lines stand around it already"));
    }
    let Some(shift) = shift(sought, &place) else {
        return Err(because(
            "they differ from those of the file in more than one shift of all lines",
        ));
    };
    check_levels(sought).map_err(because)?;
    if let Shift::More(more) = shift
        && more.len().saturating_mul(sought.lines.len()) > MOST_ADDED
    {
        return Err(because("they are indented too deep there"));
    }
    let Some(added) = shifted(sought, shift) else {
        return Err(because(
            "new lines have less indentation than would have to go",
        ));
    };
    let mut next = added.iter();
    let lines: Vec<Line<'_>> = sought
        .lines
        .iter()
        .map(|line| match line {
            Line::Added(_) => next.next().map_or(*line, |new| Line::Added(new)),
            _ => *line,
        })
        .collect();
    let edits = replace::edits(text, place.span.start, &lines, sought.tail);
    if starts_in_string(sought, &edits) {
        return Err(because("new lines would start inside a string"));
    }
    Ok(Some((place, edits)))
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

/// The one shift that explains every line that is not blank.
fn shift<'a>(sought: &Sought<'a>, place: &Place) -> Option<Shift<'a>> {
    let mut found = None;
    let file = locate::lines_from(sought.text, place.span.start);
    for (file, old) in file.zip(sought.old) {
        if is_blank(old) {
            continue;
        }
        // Other steps fold more than white space; two differences at once are none of this one's. A
        // single line is little to go by: it must have the same end, too.
        let (stands, sent) = (trim_ending(file), trim_ending(old));
        let (stands, sent) = match sought.old.len() {
            1 => (stands.trim_ascii_start(), sent.trim_ascii_start()),
            _ => (stands.trim_ascii(), sent.trim_ascii()),
        };
        if stands != sent {
            return None;
        }
        let (stands, sent) = (lead(file), lead(old));
        let shift = if let Some(more) = stands.strip_suffix(sent) {
            Shift::More(more)
        } else {
            Shift::Less(sent.strip_suffix(stands)?)
        };
        if *found.get_or_insert(shift) != shift {
            return None;
        }
    }
    found.filter(|shift| !matches!(shift, Shift::More(b"")))
}

/// Whether the indentation of the new half can be read beside that of the old.
fn check_levels(sought: &Sought<'_>) -> Result<(), &'static str> {
    let old: Vec<&[u8]> = solid(sought.old.iter().copied()).collect();
    let new = super::new_half(sought.old, sought.lines);
    let new: Vec<&[u8]> = solid(new.into_iter()).collect();
    let (Some(first_old), Some(first_new)) = (old.first(), new.first()) else {
        return Err("there are no new lines beside which to read them");
    };
    if lead(first_old) != lead(first_new) {
        return Err("the first lines of both halves are indented otherwise");
    }
    if new.len() > 1 {
        if old.len() == 1 {
            return Err("a single line to search does not show how several new ones are indented");
        }
        let known: HashSet<&[u8]> = new.iter().copied().collect();
        if !old.iter().any(|line| known.contains(line)) {
            return Err("no line of both halves has the same indentation in them");
        }
    }
    let mut levels: Vec<&[u8]> = Vec::new();
    for line in new {
        let lead = lead(line);
        if levels.last().is_none_or(|top| lead.len() > top.len()) {
            if levels.last().is_some_and(|top| !lead.starts_with(top)) {
                return Err("the new lines mix tabs and spaces");
            }
            levels.push(lead);
            continue;
        }
        while levels.pop_if(|top| top.len() > lead.len()).is_some() {}
        if levels.last() != Some(&lead) {
            return Err("the new lines go back to an indentation that none above them has");
        }
    }
    Ok(())
}

/// The lines that are not blank, without white space at the end.
fn solid<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    lines
        .map(<[u8]>::trim_ascii_end)
        .filter(|line| !line.is_empty())
}

/// The added lines with the shift; `None` where one has not what is to go.
fn shifted(sought: &Sought<'_>, shift: Shift<'_>) -> Option<Vec<Vec<u8>>> {
    let added = sought.lines.iter().filter_map(|line| match line {
        Line::Added(new) => Some(*new),
        Line::Kept | Line::Removed => None,
    });
    added
        .map(|line| match shift {
            _ if is_blank(line) => Some(line.to_vec()),
            Shift::More(more) => Some([more, line].concat()),
            Shift::Less(less) => Some(line.strip_prefix(less)?.to_vec()),
        })
        .collect()
}

/// Whether an added line starts inside a string or a here-document of the text as it will be.
fn starts_in_string(sought: &Sought<'_>, edits: &[Edit]) -> bool {
    let mut new = Vec::with_capacity(sought.text.len());
    let mut starts = Vec::new();
    let mut at = 0;
    for edit in edits {
        new.extend_from_slice(&sought.text[at..edit.span.start]);
        for line in crate::text::split_lines(&edit.text) {
            if !is_blank(trim_ending(line)) {
                starts.push(new.len());
            }
            new.extend_from_slice(line);
        }
        at = edit.span.end;
    }
    // What closes a string may stand below it.
    new.extend_from_slice(&sought.text[at..]);
    literals::any_inside(sought.path, &new, &starts)
}
