//! Exact characters in a file, as `str_replace` and `edit_file` look for them.

use std::borrow::Cow;
use std::ops::Range;

use crate::bytes;
use crate::edit::Edit;
use crate::error::{Code, MAX_CANDIDATES, Refusal};
use crate::locate::Place;
use crate::locate::fold::Fold;
use crate::locate::ladder::{self, Miss, Rungs, Sought};
use crate::locate::landed::{self, Landed};
use crate::locate::replace::{self, Tail};
use crate::operation::{Matched, TextEdit};
use crate::path::RelPath;
use crate::text::{Endings, LineEnding, Text, split_lines, trim_ending};

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

impl Find<'_> {
    /// Whether the edit has landed already.
    pub(super) fn landed(&self, text: &[u8]) -> Landed {
        landed::characters(text, self.old.as_bytes(), self.new.as_bytes(), self.rungs)
    }

    /// What gives way to what.
    pub(super) fn edit(&self) -> TextEdit {
        TextEdit {
            old: self.old.as_bytes().to_vec(),
            new: self.new.as_bytes().to_vec(),
        }
    }
}

/// Edits that replace text in a file, and how its place was found.
///
/// The characters are looked for as they are, `\n` standing for the file's line ending; where they
/// are nowhere, as whole lines with trailing white space, then punctuation folded. `repeat` allows so
/// many places.
pub(super) fn edits(
    text: &[u8],
    find: &Find<'_>,
    path: &RelPath,
    name: &str,
    repeat: impl Fn(usize) -> Result<(), Refusal>,
) -> Result<(Vec<Edit>, Option<Matched>), Refusal> {
    if find.old == find.new {
        return Err(Refusal::new(
            Code::InvalidBatch,
            format!("{name} replaces text in {path} by the same text"),
        )
        .in_file(path));
    }
    let mut old = find.old.as_bytes().to_vec();
    let mut found = bytes::occurrences(text, &old);
    let mut matched = None;
    if found.is_empty() && find.rungs == Rungs::All {
        for other in [
            find.old.replace("\r\n", "\n"),
            find.old.replace("\r\n", "\n").replace('\n', "\r\n"),
        ] {
            if other.as_bytes() != find.old.as_bytes() {
                found = bytes::occurrences(text, other.as_bytes());
                if !found.is_empty() {
                    old = other.into_bytes();
                    matched = Some(Matched::LineEndings);
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
    let all = find.matches == Matches::All && found.len() > 1;
    if !all && memchr::memmem::find(find.new.as_bytes(), find.old.as_bytes()).is_some() {
        let name = format!("the text that {name} looks for");
        if let Some(refusal) = landed::unclear(&find.landed(text), path, &name) {
            return Err(refusal);
        }
    }
    let places = disjoint(&found, old.len());
    repeat(places.len())?;
    let lines = Text::new(text);
    let mut new = New::of(&lines, find.new);
    let edits = places
        .into_iter()
        .map(|at| Edit::replace(span(text, &old, at), new.at(at)));
    Ok((edits.collect(), matched))
}

/// The bytes of a text at a place, with each line ending whole: a newline that it starts with takes
/// along the carriage return before it, which would be left alone.
fn span(text: &[u8], old: &[u8], at: usize) -> Range<usize> {
    let is_split = old.starts_with(b"\n") && !old.ends_with(b"\r") && text[..at].ends_with(b"\r");
    at - usize::from(is_split)..at + old.len()
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

/// New text with the line ending that the file has at each of some places, in order.
struct New<'t> {
    as_sent: &'t str,
    /// With newlines alone, where the file has lines of its own.
    plain: Option<String>,
    endings: Endings<'t>,
}

impl<'t> New<'t> {
    fn of(text: &'t Text<'t>, new: &'t str) -> Self {
        let plain = new.replace("\r\n", "\n");
        let endings = Endings::of(text, plain.as_bytes());
        let has_lines = plain.contains('\n') && bytes::find(b'\n', text.bytes()).is_some();
        Self {
            as_sent: new,
            plain: has_lines.then_some(plain),
            endings,
        }
    }

    fn at(&mut self, place: usize) -> Vec<u8> {
        match (&self.plain, self.endings.near(place)) {
            (None, _) => self.as_sent.as_bytes().to_vec(),
            (Some(plain), LineEnding::Lf) => plain.as_bytes().to_vec(),
            (Some(plain), LineEnding::CrLf) => plain.replace('\n', "\r\n").into_bytes(),
        }
    }
}

/// The lower rungs: whole lines, folded.
fn folded(
    text: &[u8],
    find: &Find<'_>,
    path: &RelPath,
    name: &str,
) -> Result<(Vec<Edit>, Option<Matched>), Refusal> {
    let old: Vec<&[u8]> = split_lines(find.old.as_bytes()).map(trim_ending).collect();
    let new = new_lines(find, text);
    let lines = replace::between(&old, &new);
    let kindly = !find.old.trim().is_empty() && find.rungs == Rungs::All;
    let (places, fold) = if kindly {
        ladder::all(text, 0..text.len(), &old, Rungs::All)
    } else {
        (Vec::new(), Fold::Ending)
    };
    let one = matches!(
        find.matches,
        Matches::One | Matches::All | Matches::Exactly(1)
    );
    match &places[..] {
        [place] if one => {
            let matched = ladder::matched(text, place, &old, fold);
            replace::folded_edits(text, place.span.start, &old, &lines, Tail::Kept, fold)
                .map(|edits| (edits, matched))
                .map_err(|line| ladder::uncarried(text, path, place, line, name))
        }
        [] => {
            let sought = Sought {
                path,
                text,
                old: &old,
                lines: &lines,
                tail: Tail::Kept,
            };
            if kindly && one {
                let unclear = |unclear| ladder::unclear(&unclear, text, path, name);
                if let Some(fit) = ladder::beyond(&sought).map_err(unclear)? {
                    return Ok((fit.edits, Some(fit.matched)));
                }
                if let Some(edits) = unescaped(text, find, &sought) {
                    return Ok((edits, Some(Matched::Escapes)));
                }
            }
            let refusal = ladder::refusal(&Miss::Nowhere, text, path, &old, name);
            Err(landed::mention(refusal, &find.landed(text)))
        }
        _ => Err(ladder::refusal(
            &Miss::Ambiguous(places),
            text,
            path,
            &old,
            name,
        )),
    }
}

/// The new text as whole lines. Where the old text ends within its last line, the rest of that line
/// stays, and a newline that the new text ends in comes before it: a blank line is left.
fn new_lines<'n>(find: &Find<'n>, text: &[u8]) -> Cow<'n, [u8]> {
    let ends_within = !find.old.ends_with('\n') && text.ends_with(b"\n");
    match ends_within && find.new.ends_with('\n') {
        true => Cow::Owned(format!("{}\n", find.new).into_bytes()),
        false => Cow::Borrowed(find.new.as_bytes()),
    }
}

/// The edit of characters inside lines that stand at one place with one level of escaping undone; no
/// edit where it has landed.
fn unescaped(text: &[u8], find: &Find<'_>, sought: &Sought<'_>) -> Option<Vec<Edit>> {
    let open = !find.old.ends_with('\n');
    let is_completed = !find.new.ends_with('\n') || new_lines(find, text).len() > find.new.len();
    let file = Text::new(text);
    let mut found = Vec::new();
    for (mut old, mut new) in ladder::undone(sought.old, sought.lines) {
        if open {
            old.pop();
        }
        if is_completed {
            new.pop();
        }
        if matches!(
            landed::characters(text, &old, &new, Rungs::Exact),
            Landed::Yes(_)
        ) {
            found.push(Vec::new());
            continue;
        }
        match bytes::occurrences(text, &old)[..] {
            [] => {}
            [at] => {
                let new = std::str::from_utf8(&new).ok()?;
                let new = New::of(&file, new).at(at);
                found.push(vec![Edit::replace(span(text, &old, at), new)]);
            }
            _ => return None,
        }
    }
    let first = found.pop()?;
    found.is_empty().then_some(first)
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
