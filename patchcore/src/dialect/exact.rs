//! Exact characters in a file, as `str_replace` and `edit_file` look for them.

use super::fold::Fold;
use super::ladder::{self, Miss, Rungs};
use super::locate::Place;
use super::replace::{self, Tail};
use crate::edit::Edit;
use crate::error::{Code, MAX_CANDIDATES, Refusal};
use crate::path::RelPath;
use crate::text::{Text, split_lines, trim_ending};

/// How many matches may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Matches {
    One,
    All,
    Exactly(u64),
}

/// Text to find and what comes instead.
pub(super) struct Find<'a> {
    pub(super) old: &'a str,
    pub(super) new: &'a str,
    pub(super) matches: Matches,
    pub(super) rungs: Rungs,
}

/// Edits that replace text in a file, and how its place was found.
///
/// The characters are looked for as they are, `\n` standing for the file's line ending; where they
/// are nowhere, as whole lines with trailing white space, then punctuation folded.
pub(super) fn edits(
    text: &[u8],
    find: &Find<'_>,
    path: &RelPath,
    name: &str,
) -> Result<(Vec<Edit>, Fold), Refusal> {
    if find.old == find.new {
        return Err(Refusal::new(
            Code::InvalidBatch,
            format!("{name} replaces text in {path} by the same text"),
        )
        .in_file(path));
    }
    let mut old = find.old.as_bytes().to_vec();
    let mut found = occurrences(text, &old);
    if found.is_empty() {
        for other in [
            find.old.replace("\r\n", "\n"),
            find.old.replace("\r\n", "\n").replace('\n', "\r\n"),
        ] {
            if other.as_bytes() != find.old.as_bytes() {
                found = occurrences(text, other.as_bytes());
                if !found.is_empty() {
                    old = other.into_bytes();
                    break;
                }
            }
        }
    }
    if found.is_empty() {
        return folded(text, find, path, name);
    }
    let wanted = match find.matches {
        Matches::One => found.len() == 1,
        Matches::All => true,
        Matches::Exactly(count) => disjoint(&found, old.len()).len() as u64 == count,
    };
    if !wanted {
        return Err(refuse_count(text, &found, find, path, name));
    }
    let lines = Text::new(text);
    let edits = disjoint(&found, old.len()).into_iter().map(|at| {
        let new = with_ending(&lines, at, find.new);
        Edit::replace(at..at + old.len(), new)
    });
    Ok((edits.collect(), Fold::Bytes))
}

/// Where the bytes stand, overlapping places counted.
fn occurrences(text: &[u8], find: &[u8]) -> Vec<usize> {
    let finder = memchr::memmem::Finder::new(find);
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = finder.find(&text[from..]) {
        found.push(from + at);
        from += at + 1;
    }
    found
}

fn disjoint(found: &[usize], length: usize) -> Vec<usize> {
    let mut end = 0;
    found
        .iter()
        .copied()
        .filter(|&at| {
            let free = at >= end;
            if free {
                end = at + length;
            }
            free
        })
        .collect()
}

/// New text with the line ending that the file has at the place.
fn with_ending(text: &Text<'_>, at: usize, new: &str) -> Vec<u8> {
    let plain = new.replace("\r\n", "\n");
    if !plain.contains('\n') || !text.bytes().contains(&b'\n') {
        return new.as_bytes().to_vec();
    }
    match text.ending_near(at) {
        crate::text::LineEnding::Lf => plain.into_bytes(),
        crate::text::LineEnding::CrLf => plain.replace('\n', "\r\n").into_bytes(),
    }
}

/// The lower rungs: whole lines, folded.
fn folded(
    text: &[u8],
    find: &Find<'_>,
    path: &RelPath,
    name: &str,
) -> Result<(Vec<Edit>, Fold), Refusal> {
    let old: Vec<&[u8]> = split_lines(find.old.as_bytes()).map(trim_ending).collect();
    let blank = find.old.trim().is_empty();
    let (places, fold) = if blank || find.rungs == Rungs::Exact {
        (Vec::new(), Fold::Ending)
    } else {
        ladder::all(text, 0..text.len(), &old, Rungs::All)
    };
    match places.len() {
        1 if matches!(
            find.matches,
            Matches::One | Matches::All | Matches::Exactly(1)
        ) =>
        {
            let lines = replace::between(&old, find.new.as_bytes());
            let start = places[0].span.start;
            replace::folded_edits(text, start, &old, &lines, Tail::Kept, fold)
                .map(|edits| (edits, fold))
                .map_err(|line| ladder::uncarried(text, path, &places[0], line, name))
        }
        0 => Err(ladder::refusal(&Miss::Nowhere, text, path, &old, name)),
        _ => Err(ladder::refusal(
            &Miss::Ambiguous(places),
            text,
            path,
            &old,
            name,
        )),
    }
}

fn refuse_count(
    text: &[u8],
    found: &[usize],
    find: &Find<'_>,
    path: &RelPath,
    name: &str,
) -> Refusal {
    let lines = Text::new(text);
    let places: Vec<Place> = found
        .iter()
        .take(MAX_CANDIDATES)
        .map(|&at| Place {
            span: lines.line_start(at)..at,
            line: lines.line_at(at),
        })
        .collect();
    let old: Vec<&[u8]> = split_lines(find.old.as_bytes()).collect();
    let mut refusal = ladder::refusal(&Miss::Ambiguous(places), text, path, &old, name);
    if let Matches::Exactly(count) = find.matches {
        refusal.message = format!(
            "{name} expects {count} matches in {path}, there are {}",
            disjoint(found, find.old.len()).len()
        );
    }
    refusal
}
