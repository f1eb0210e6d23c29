//! Byte edits for lines that change between lines that stay.

use super::fold::{self, Fold};
use crate::edit::Edit;
use crate::locate;
use crate::text::{LineEnding, Text, split_lines, trim_ending};

/// A line of a located block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// Stays.
    Kept,
    /// Goes.
    Removed,
    /// Comes, without its ending.
    Added(&'a [u8]),
}

/// Whether the last line of a file ends in a newline afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// If it did before.
    Kept,
    /// Also if new lines are the last: they are written whole.
    Whole,
}

/// The edits of a block whose first old line starts at a byte offset.
///
/// New lines take the ending of their neighbours.
pub(crate) fn edits(bytes: &[u8], start: usize, lines: &[Line<'_>], tail: Tail) -> Vec<Edit> {
    let text = Text::new(bytes);
    let mut edits: Vec<Edit> = Vec::new();
    let mut at = start;
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let length = |at: usize| locate::line_at(bytes, at).map_or(0, <[u8]>::len);
        if *first == Line::Kept {
            at += length(at);
            rest = &rest[1..];
            continue;
        }
        let run = rest.iter().take_while(|line| **line != Line::Kept).count();
        let (changed, behind) = rest.split_at(run);
        rest = behind;
        let from = at;
        let mut removed = 0;
        let mut added: Vec<&[u8]> = Vec::new();
        for line in changed {
            match line {
                Line::Removed => {
                    at += length(at);
                    removed += 1;
                }
                Line::Added(new) => added.push(new),
                Line::Kept => {}
            }
        }
        edits.push(run_edit(&text, from, at, removed, &added, tail));
    }
    edits
}

/// The edits of a block that was found with something folded away; `old` are its old lines as the
/// patch has them.
///
/// What old and new lines have in common keeps the file's form, inside changed lines too; so does the
/// indentation of new lines, where that of an old one is written with other spaces than the file's.
///
/// # Errors
/// The number of the old line, from 0, of which a character can neither be kept nor left.
pub(crate) fn folded_edits(
    bytes: &[u8],
    start: usize,
    old: &[&[u8]],
    lines: &[Line<'_>],
    tail: Tail,
    fold: Fold,
) -> Result<Vec<Edit>, usize> {
    if fold != Fold::Punctuation {
        return Ok(edits(bytes, start, lines, tail));
    }
    let mut carried = carried(bytes, start, old, lines)?;
    let file = locate::lines_from(bytes, start);
    if old
        .iter()
        .zip(file)
        .any(|(old, file)| fold::is_indented_otherwise(old, file))
    {
        for line in &mut carried {
            *line = fold::indented_plainly(line);
        }
    }
    let mut next = carried.iter();
    let lines: Vec<Line<'_>> = lines
        .iter()
        .map(|line| match (line, next.len()) {
            (Line::Added(_), 1..) => next.next().map_or(*line, |new| Line::Added(new)),
            _ => *line,
        })
        .collect();
    Ok(edits(bytes, start, &lines, tail))
}

/// The added lines, in order, in the file's form.
fn carried(
    bytes: &[u8],
    start: usize,
    old: &[&[u8]],
    lines: &[Line<'_>],
) -> Result<Vec<Vec<u8>>, usize> {
    let mut file = locate::lines_from(bytes, start).map(trim_ending);
    let mut old = old.iter().map(|line| trim_ending(line));
    let mut carried = Vec::new();
    let mut above = 0;
    for run in lines.chunk_by(|a, b| (*a == Line::Kept) == (*b == Line::Kept)) {
        let removed = run.iter().filter(|line| **line != Line::Kept);
        let removed = removed.filter(|line| **line == Line::Removed).count();
        if run.first() == Some(&Line::Kept) {
            above += run.len();
            let _ = file.by_ref().take(run.len()).count();
            let _ = old.by_ref().take(run.len()).count();
            continue;
        }
        let added = run.iter().filter_map(|line| match line {
            Line::Added(new) => Some(*new),
            Line::Kept | Line::Removed => None,
        });
        let run = fold::Run {
            file: file.by_ref().take(removed).collect(),
            old: old.by_ref().take(removed).collect(),
            new: added.collect(),
        };
        carried.extend(run.carry().map_err(|line| above + line)?);
        above += removed;
    }
    Ok(carried)
}

fn run_edit(
    text: &Text<'_>,
    from: usize,
    to: usize,
    removed: usize,
    added: &[&[u8]],
    tail: Tail,
) -> Edit {
    let bytes = text.bytes();
    let ending = ending_at(text, from).as_bytes();
    let mut new = Vec::new();
    // Behind a last line without an ending, that ending comes first.
    let open_above =
        from == bytes.len() && from > 0 && !bytes.ends_with(b"\n") && !added.is_empty();
    if open_above {
        new.extend_from_slice(ending);
    }
    for line in added {
        new.extend_from_slice(line);
        new.extend_from_slice(ending);
    }
    let was_open = to == bytes.len() && !bytes.is_empty() && !bytes.ends_with(b"\n");
    let keeps_open = tail == Tail::Kept || (removed > 0 && added.len() <= removed);
    // An empty line is one by its ending alone.
    let ends_in_text = added.last().is_some_and(|line| !line.is_empty());
    if was_open && keeps_open && ends_in_text {
        new.truncate(new.len() - ending.len());
    }
    Edit::replace(from..to, new)
}

/// The ending for new lines at an offset: of the line there, else of the one above.
fn ending_at(text: &Text<'_>, at: usize) -> LineEnding {
    text.ending_near(at)
}

/// Old and new lines as one block: what both begin and end with stays.
pub(crate) fn between<'n>(old: &[&[u8]], new: &'n [u8]) -> Vec<Line<'n>> {
    let new: Vec<&[u8]> = split_lines(new).map(trim_ending).collect();
    let same = |(old, new): &(&&[u8], &&[u8])| trim_ending(old) == **new;
    let above = old.iter().zip(&new).take_while(same).count();
    let below = old[above..]
        .iter()
        .rev()
        .zip(new[above..].iter().rev())
        .take_while(same)
        .count();
    let mut lines = vec![Line::Kept; above];
    lines.extend(vec![Line::Removed; old.len() - above - below]);
    lines.extend(
        new[above..new.len() - below]
            .iter()
            .map(|line| Line::Added(line)),
    );
    lines.extend(vec![Line::Kept; below]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::EditSet;

    fn changed(bytes: &str, start: usize, lines: &[Line<'_>], tail: Tail) -> String {
        let edits = edits(bytes.as_bytes(), start, lines, tail);
        let set = EditSet::new(edits, bytes.len()).unwrap();
        String::from_utf8(set.apply(bytes.as_bytes())).unwrap()
    }

    #[test]
    fn new_lines_take_the_endings_around_them_and_the_tail_keeps_its_own() {
        let replace = [Line::Kept, Line::Removed, Line::Added(b"B")];
        assert_eq!(
            changed("a\r\nb\r\nc\r\n", 0, &replace, Tail::Kept),
            "a\r\nB\r\nc\r\n"
        );
        assert_eq!(changed("a\nb", 0, &replace, Tail::Kept), "a\nB");
        assert_eq!(changed("a\nb", 0, &replace, Tail::Whole), "a\nB");
        let append = [Line::Kept, Line::Kept, Line::Added(b"c")];
        assert_eq!(changed("a\nb", 0, &append, Tail::Kept), "a\nb\nc");
        assert_eq!(changed("a\nb", 0, &append, Tail::Whole), "a\nb\nc\n");
        assert_eq!(changed("a\nb\n", 0, &append, Tail::Kept), "a\nb\nc\n");
        let two = [Line::Removed, Line::Added(b"x"), Line::Added(b"y")];
        assert_eq!(changed("a", 0, &two, Tail::Whole), "x\ny\n");
        assert_eq!(changed("", 0, &[Line::Added(b"x")], Tail::Kept), "x\n");
    }

    #[test]
    fn lines_that_both_sides_share_stay() {
        let old: [&[u8]; 3] = [b"a", b"b", b"c"];
        assert_eq!(
            between(&old, b"a\nX\nc\n"),
            [Line::Kept, Line::Removed, Line::Added(b"X"), Line::Kept]
        );
        assert_eq!(between(&old, b""), [Line::Removed; 3]);
        assert_eq!(between(&[b"a"], b"a\na\n"), [Line::Kept, Line::Added(b"a")]);
    }
}
