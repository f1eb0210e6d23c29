//! The step of the ladder on which a block is found whatever its indentation.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};

use super::{Rungs, Sought, Unclear};
use crate::edit::Edit;
use crate::literals;
use crate::locate::fold::Fold;
use crate::locate::landed::{self, Landed};
use crate::locate::replace::{self, Line};
use crate::locate::{self, Place};
use crate::text::{lead, split_lines, trim_ending};

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
    if let Some(exact) = without_edges(sought).pop() {
        return Err(Unclear::Several(vec![place, exact]));
    }
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

/// Where the block stands as it is indented, but for blank lines at its edges: that is the place as
/// much as another that has these, and is indented otherwise.
fn without_edges(sought: &Sought<'_>) -> Vec<Place> {
    let (old, text) = (sought.old, sought.text);
    let above = old.iter().take_while(|line| is_blank(line)).count();
    let below = old.iter().rev().take_while(|line| is_blank(line)).count();
    match above + below {
        0 => Vec::new(),
        _ => {
            super::all(
                text,
                0..text.len(),
                &old[above..old.len() - below],
                Rungs::All,
            )
            .0
        }
    }
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
    let sent: HashSet<&[u8]> = old.iter().map(|line| lead(line)).collect();
    let steps = LazyCell::new(|| Steps::of(sought));
    let keeps_levels = LazyCell::new(|| keeps_levels(&old, &new));
    let mut levels: Vec<&[u8]> = Vec::new();
    for line in &new {
        let lead = lead(line);
        let goes_back = levels.last().is_some_and(|top| lead.len() <= top.len());
        while levels.pop_if(|top| top.len() > lead.len()).is_some() {}
        if levels.last() == Some(&lead) {
            continue;
        }
        if goes_back && !(sent.contains(lead) && *keeps_levels) {
            return Err("the new lines go back to an indentation that none above them has");
        }
        let step = match levels.last() {
            Some(top) => lead.strip_prefix(*top),
            None => Some(&b""[..]),
        };
        let Some(step) = step else {
            return Err("the new lines mix tabs and spaces");
        };
        if !step.is_empty() && !sent.contains(lead) && !steps.have(step) {
            return Err("the new lines are indented in steps that the file has not");
        }
        levels.push(lead);
    }
    Ok(())
}

/// Whether no line with a word in it is in the new half as in the old but for its indentation.
fn keeps_levels(old: &[&[u8]], new: &[&[u8]]) -> bool {
    let whole: HashSet<&[u8]> = old.iter().copied().collect();
    let texts: HashSet<&[u8]> = old.iter().map(|line| line.trim_ascii_start()).collect();
    let has_word = |line: &[u8]| line.iter().any(u8::is_ascii_alphanumeric);
    let is_moved = |line: &&[u8]| {
        let text = line.trim_ascii_start();
        !whole.contains(line) && texts.contains(text) && has_word(text)
    };
    !new.iter().any(is_moved)
}

/// By how much lines are indented deeper than the one above: in the file, and how often, and in the
/// block.
struct Steps<'a> {
    file: HashMap<&'a [u8], usize>,
    block: HashSet<&'a [u8]>,
}

impl<'a> Steps<'a> {
    /// A step that is taken less often than this part of the most frequent one aligns something.
    const RARE: usize = 8;

    fn of(sought: &Sought<'a>) -> Self {
        let mut file = HashMap::new();
        for step in steps(split_lines(sought.text)) {
            *file.entry(step).or_default() += 1;
        }
        let block = steps(sought.old.iter().copied()).collect();
        Self { file, block }
    }

    fn have(&self, step: &[u8]) -> bool {
        // Of those that are as frequent, always the same.
        let rank = self.file.iter().map(|(step, count)| (*count, *step)).max();
        let Some((count, most)) = rank else {
            return true;
        };
        let is_multiple = step.chunks(most.len()).all(|part| part == most);
        let often = self.file.get(step).copied().unwrap_or_default();
        is_multiple || self.block.contains(step) || often * Self::RARE >= count
    }
}

/// What lines have in front beyond the line before, where that is more.
fn steps<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let mut above: Option<&[u8]> = None;
    solid(lines).filter_map(move |line| {
        let lead = lead(line);
        let step = above.and_then(|above| lead.strip_prefix(above));
        above = Some(lead);
        step.filter(|step| !step.is_empty())
    })
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
