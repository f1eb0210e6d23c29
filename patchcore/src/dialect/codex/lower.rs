//! Locates the chunks.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{Chunk, Codex, FileAction, FileHunk, Role};
use crate::dialect::desk::Desk;
use crate::dialect::whole;
use crate::edit::Edit;
use crate::error::{Code, Refusal};
use crate::locate::fold::{Fold, LADDER};
use crate::locate::ladder::{self, Found, Miss, Rungs, Sought};
use crate::locate::landed::{self, Landed, Standing};
use crate::locate::replace::{self, Line, Tail};
use crate::locate::{self, Place};
use crate::operation::{Batch, Coordinates, Matched, TextEdit};
use crate::path::RelPath;
use crate::plan::omission;
use crate::plan::{Entry, Tree};
use crate::text::{LineNumber, Text};

/// Locates an envelope in a tree.
pub(super) fn lower(codex: &Codex<'_>, tree: &Tree) -> Batch {
    let desk = Desk::with(tree, coordinates(codex, tree));
    let mut desk = desk.growing_up_to(codex.max_growth);
    let rewritten = rewritten(&codex.hunks);
    for (index, hunk) in codex.hunks.iter().enumerate() {
        if rewritten.contains(&index) {
            continue;
        }
        if desk.is_spoiled(&hunk.path) {
            match hunk.action {
                // Its chunks are judged one by one.
                FileAction::Update { .. } => {
                    if file(codex, hunk, &mut desk).is_err() {
                        desk.skip(&hunk.path);
                    }
                }
                _ => desk.judge_apart(&hunk.path, |desk| file(codex, hunk, desk)),
            }
        } else if let Err(refusal) = file(codex, hunk, &mut desk) {
            desk.refuse(&hunk.path, refusal);
        }
    }
    desk.into_batch(codex.content)
}

/// The sections that delete a file only to add it anew: that writes the whole file, as adding it
/// over itself does.
fn rewritten(hunks: &[FileHunk<'_>]) -> HashSet<usize> {
    let mut found = HashSet::new();
    // The next section below that names a path, and whether it adds the file.
    let mut next: HashMap<&RelPath, bool> = HashMap::new();
    for (index, hunk) in hunks.iter().enumerate().rev() {
        let is_deleted = matches!(hunk.action, FileAction::Delete);
        if is_deleted && next.get(&hunk.path) == Some(&true) {
            found.insert(index);
        }
        next.insert(&hunk.path, matches!(hunk.action, FileAction::Add(_)));
        if let FileAction::Update { to: Some(to), .. } = &hunk.action {
            next.insert(to, false);
        }
    }
    found
}

/// Chunks speak of their file before the patch. That is said as it is where every file comes once,
/// so that a large file need not be rewritten for each chunk.
fn coordinates(codex: &Codex<'_>, tree: &Tree) -> Coordinates {
    let mut seen = HashSet::new();
    let once = codex.hunks.iter().all(|hunk| {
        let target = match &hunk.action {
            FileAction::Update { to: Some(to), .. } => {
                if !matches!(tree.get(to), Entry::Absent) {
                    return false;
                }
                Some(to)
            }
            _ => None,
        };
        seen.insert(&hunk.path) && target.is_none_or(|to| seen.insert(to))
    });
    if once {
        Coordinates::Original
    } else {
        Coordinates::Sequential
    }
}

fn file(codex: &Codex<'_>, hunk: &FileHunk<'_>, desk: &mut Desk<'_>) -> Result<(), Refusal> {
    let path = &hunk.path;
    match &hunk.action {
        FileAction::Add(content) => {
            let old = desk.text(path)?;
            if !codex.allow_omission {
                let old = old.as_deref().unwrap_or_default();
                omission::check_new(path, content, old)?;
            }
            desk.write(path, content.clone(), whole::Form::OfFile)
        }
        FileAction::Delete => desk.delete(path, None),
        FileAction::Update { to, chunks } => {
            update(codex, path, chunks, desk)?;
            let Some(to) = to.as_ref().filter(|to| *to != path) else {
                return Ok(());
            };
            if desk.is_spoiled(path) {
                return Ok(());
            }
            desk.rename(path, to)
        }
    }
}

/// One operation for each chunk; all are located in the text before the first.
fn update(
    codex: &Codex<'_>,
    path: &RelPath,
    chunks: &[Chunk<'_>],
    desk: &mut Desk<'_>,
) -> Result<(), Refusal> {
    let text = desk.file(path)?;
    let sequential = desk.coordinates() == Coordinates::Sequential;
    let changed = Changed::by(chunks);
    let standing = OnceCell::new();
    let mut cursor = 0;
    let mut before: Vec<Edit> = Vec::new();
    for (index, (chunk, exact)) in chunks.iter().zip(exact_places(&text, chunks)).enumerate() {
        let name = format!("chunk {} (line {} of the patch)", index + 1, chunk.line);
        let place = Search {
            text: &text,
            path,
            name: &name,
            strict: codex.strict,
            changed: &changed,
            standing: &standing,
        };
        if desk.is_spoiled(path) && !desk.spend(path) {
            leave_out(desk, path, &name);
            continue;
        }
        let checked = check(codex, path, chunk);
        if checked.is_ok()
            && let Landed::Yes(there) =
                desk.settle(path, place.landed(cursor, chunk), text_edit(chunk))
            && there.span.start >= cursor
            && (!chunk.end_of_file || there.span.end == text.len())
        {
            cursor = there.span.end;
            desk.landed(path, there.line)?;
            continue;
        }
        let located = checked.and_then(|()| place.locate(cursor, chunk, exact));
        let (mut edits, end, matched) = match located {
            Ok(located) => located,
            Err(_) if sequential && desk.is_spoiled(path) => {
                desk.skip(path);
                continue;
            }
            Err(refusal) => {
                desk.refuse(path, refusal);
                continue;
            }
        };
        cursor = end;
        join_tail(&text, &before, &mut edits);
        splice(desk, path, &mut before, edits, matched)?;
    }
    Ok(())
}

/// Passes over a chunk behind too many that have no place.
fn leave_out(desk: &mut Desk<'_>, path: &RelPath, name: &str) {
    if desk.coordinates() == Coordinates::Sequential {
        return desk.skip(path);
    }
    let message = format!("{name} is not looked for: too many before it have no place");
    let refusal = Refusal::new(Code::LimitExceeded, message).in_file(path);
    desk.refuse(path, refusal);
}

/// Adds the edits of a chunk, which are those of the text before the first chunk, and so are those
/// of the chunks before it.
fn splice(
    desk: &mut Desk<'_>,
    path: &RelPath,
    before: &mut Vec<Edit>,
    edits: Vec<Edit>,
    matched: Option<Matched>,
) -> Result<(), Refusal> {
    let sequential = desk.coordinates() == Coordinates::Sequential;
    let moved = if sequential {
        edits.iter().map(|edit| shifted(edit, before)).collect()
    } else {
        edits.clone()
    };
    before.extend(edits);
    if sequential && desk.is_spoiled(path) {
        desk.judge_apart(path, |desk| desk.splice_found(path, moved, matched));
        return Ok(());
    }
    desk.splice_found(path, moved, matched)
}

/// The edit in the text that earlier ones of the same original have left.
fn shifted(edit: &Edit, before: &[Edit]) -> Edit {
    let is_above = |other: &&Edit| {
        other.span.end <= edit.span.start
            && (other.span.start, other.span.end) <= (edit.span.start, edit.span.end)
    };
    let delta = |other: &Edit| other.text.len() as isize - other.span.len() as isize;
    let shift: isize = before.iter().filter(is_above).map(delta).sum();
    let moved = |at: usize| at.wrapping_add_signed(shift);
    Edit::replace(
        moved(edit.span.start)..moved(edit.span.end),
        edit.text.clone(),
    )
}

/// Lines behind an open last line bring its ending with them, but only the first that are added
/// there.
fn join_tail(text: &[u8], before: &[Edit], edits: &mut [Edit]) {
    let at_end = |edit: &Edit| edit.span == (text.len()..text.len());
    if text.is_empty() || text.ends_with(b"\n") || !before.iter().any(at_end) {
        return;
    }
    for edit in edits.iter_mut().filter(|edit| at_end(edit)) {
        let ending = crate::text::LineEnding::of_line(&edit.text);
        if let Some(ending) = ending
            && edit.text.starts_with(ending.as_bytes())
        {
            edit.text.drain(..ending.as_bytes().len());
        }
    }
}

/// What a chunk replaces by what.
fn text_edit(chunk: &Chunk<'_>) -> TextEdit {
    let side = |left_out: Role| {
        let lines = chunk.lines.iter().filter(|(role, _)| *role != left_out);
        lines
            .flat_map(|(_, text)| [*text, &b"\n"[..]])
            .flatten()
            .copied()
            .collect()
    };
    TextEdit {
        old: side(Role::Added),
        new: side(Role::Removed),
    }
}

/// The lines that a chunk wants to find.
fn old_lines<'a>(chunk: &Chunk<'a>) -> Vec<&'a [u8]> {
    let old = chunk.lines.iter().filter(|(role, _)| *role != Role::Added);
    old.map(|(_, text)| *text).collect()
}

/// Where the old lines of each chunk stand exactly; `None` where there are too many places to list.
fn exact_places(text: &[u8], chunks: &[Chunk<'_>]) -> Vec<Option<Vec<Place>>> {
    let old: Vec<Vec<&[u8]>> = chunks.iter().map(old_lines).collect();
    let blocks: Vec<&[&[u8]]> = old.iter().map(Vec::as_slice).collect();
    let places = locate::find_blocks(text, &blocks, Fold::Ending);
    places
        .into_iter()
        .map(|places| (places.len() < locate::ENOUGH).then_some(places))
        .collect()
}

fn check(codex: &Codex<'_>, path: &RelPath, chunk: &Chunk<'_>) -> Result<(), Refusal> {
    if codex.allow_omission {
        return Ok(());
    }
    let of = |wanted: Role| chunk.lines.iter().filter(move |(role, _)| *role == wanted);
    let added = of(Role::Added).map(|(_, text)| *text);
    let shrinks = || of(Role::Added).count() < of(Role::Removed).count();
    let old = omission::Known::of(|| {
        let old = chunk.lines.iter().filter(|(role, _)| *role != Role::Added);
        old.map(|(_, text)| *text)
    });
    match omission::find(added, |line| old.holds(line), shrinks) {
        Some(line) => Err(omission::refusal(path, line)),
        None => Ok(()),
    }
}

type Located = (Vec<Edit>, usize, Option<Matched>);

/// What a chunk is looked for in, and how it is called.
struct Search<'a, 't> {
    text: &'t [u8],
    path: &'a RelPath,
    name: &'a str,
    strict: bool,
    changed: &'a Changed<'a>,
    standing: &'a OnceCell<Standing<'t>>,
}

/// The lines that the chunks of a file take away and add, without the white space around them.
struct Changed<'a> {
    removed: HashSet<&'a [u8]>,
    added: HashSet<&'a [u8]>,
}

impl<'a> Changed<'a> {
    fn by(chunks: &[Chunk<'a>]) -> Self {
        let of = |wanted: Role| {
            let lines = chunks.iter().flat_map(|chunk| &chunk.lines);
            let lines = lines.filter(|(role, _)| *role == wanted);
            lines.map(|(_, line)| line.trim_ascii()).collect()
        };
        Self {
            removed: of(Role::Removed),
            added: of(Role::Added),
        }
    }
}

impl Search<'_, '_> {
    /// Whether a chunk has landed already.
    fn landed(&self, cursor: usize, chunk: &Chunk<'_>) -> Landed {
        let new = chunk
            .lines
            .iter()
            .filter(|(role, _)| *role != Role::Removed);
        let new: Vec<&[u8]> = new.map(|(_, text)| *text).collect();
        let standing = self.standing.get_or_init(|| Standing::of(self.text));
        if !standing.may_hold(&new) {
            return Landed::No;
        }
        let landed = landed::lines(self.text, &old_lines(chunk), &new, self.rungs());
        landed.within(|span| self.is_below_anchor(cursor, chunk, span))
    }

    /// Whether lines of the file stand below the last line that a chunk's `@@` names; without such
    /// a line they do. Another chunk may have changed it.
    fn is_below_anchor(&self, cursor: usize, chunk: &Chunk<'_>, span: &Range<usize>) -> bool {
        let anchors = chunk.anchors.iter().copied();
        let anchors: Vec<&[u8]> = anchors
            .filter(|anchor| !self.changed.removed.contains(anchor.trim_ascii()))
            .collect();
        if anchors.is_empty() {
            return true;
        }
        let Ok(part) = behind_anchors(self.text, cursor, &anchors, self.path, self.name) else {
            return false;
        };
        let is_new = |line: &[u8]| self.changed.added.contains(line.trim_ascii());
        landed::is_below(self.text, part.opener, span.start, is_new)
    }

    fn rungs(&self) -> Rungs {
        match self.strict {
            true => Rungs::Exact,
            false => Rungs::All,
        }
    }

    /// Finds a chunk behind the cursor; `exact` are all exact places of it in the text, if known.
    fn locate(
        &self,
        cursor: usize,
        chunk: &Chunk<'_>,
        exact: Option<Vec<Place>>,
    ) -> Result<Located, Refusal> {
        let Self {
            text, path, name, ..
        } = *self;
        let old = old_lines(chunk);
        let lines: Vec<Line<'_>> = chunk
            .lines
            .iter()
            .map(|(role, text)| match role {
                Role::Context => Line::Kept,
                Role::Removed => Line::Removed,
                Role::Added => Line::Added(text),
            })
            .collect();
        if old.is_empty() {
            // As in codex, what follows is not looked for behind them.
            return Ok((self.addition(chunk, &lines)?, cursor, None));
        }
        let part = behind_anchors(text, cursor, &chunk.anchors, path, name)?;
        if chunk.end_of_file {
            return self.locate_at_end(chunk, &part, old, lines);
        }
        let behind = exact.map(|mut places| {
            places.retain(|place| place.span.start >= part.from);
            places
        });
        let (places, fold) = match behind {
            Some(places) if !places.is_empty() => (places, Fold::Ending),
            _ => ladder::all(text, part.from..text.len(), &old, self.rungs()),
        };
        match self.choose(places, &part, &old)? {
            Some(place) => {
                self.check_part(chunk, &part, &place)?;
                self.located(&old, &lines, &Found { place, fold })
            }
            None => self.locate_beyond(cursor, chunk, &part, &old, &lines),
        }
    }

    /// The edits of a chunk that keeps no line: it goes to the end of the file.
    fn addition(&self, chunk: &Chunk<'_>, lines: &[Line<'_>]) -> Result<Vec<Edit>, Refusal> {
        let Self { path, name, .. } = self;
        if !chunk.anchors.is_empty() && !chunk.end_of_file {
            return Err(Refusal::new(
                Code::AnchorNotFound,
                format!("{name} only adds lines and keeps none, so its place after its @@ line in {path} is not said; repeat the line above or below as context"),
            )
            .in_file(path));
        }
        Ok(replace::edits(
            self.text,
            self.text.len(),
            lines,
            Tail::Whole,
        ))
    }

    fn locate_at_end(
        &self,
        chunk: &Chunk<'_>,
        part: &Part,
        mut old: Vec<&[u8]>,
        mut lines: Vec<Line<'_>>,
    ) -> Result<Located, Refusal> {
        loop {
            if let Some(found) = at_end(self.text, part.from, &old, self.rungs()) {
                self.check_part(chunk, part, &found.place)?;
                return self.located(&old, &lines, &found);
            }
            // The empty line that stands for the final newline.
            let last = old.last().copied();
            if last != Some(b"") || old.len() == 1 || lines.last() != Some(&Line::Kept) {
                return Err(self.not_at_end(&old));
            }
            old.pop();
            lines.pop();
        }
    }

    /// Of several places the one in the block that the anchor opens; `None` where there is none.
    fn choose(
        &self,
        mut places: Vec<Place>,
        part: &Part,
        old: &[&[u8]],
    ) -> Result<Option<Place>, Refusal> {
        if places.len() < 2 {
            return Ok(places.pop());
        }
        let mut inside = places
            .iter()
            .filter(|place| place.span.start < part.block_end);
        if let (Some(only), None) = (inside.next(), inside.next()) {
            return Ok(Some(only.clone()));
        }
        let miss = Miss::Ambiguous(places);
        Err(ladder::refusal(&miss, self.text, self.path, old, self.name))
    }

    /// Finds a chunk whose lines are nowhere behind its anchors by what else its place can be told
    /// from.
    fn locate_beyond(
        &self,
        cursor: usize,
        chunk: &Chunk<'_>,
        part: &Part,
        old: &[&[u8]],
        lines: &[Line<'_>],
    ) -> Result<Located, Refusal> {
        let Self {
            text, path, name, ..
        } = *self;
        let sought = Sought {
            path,
            text,
            old,
            lines,
            tail: Tail::Whole,
        };
        let unclear = |unclear| ladder::unclear(&unclear, text, path, name);
        if !self.strict
            && let Some(fit) = ladder::beyond(&sought).map_err(unclear)?
            && fit.place.span.start >= part.from
        {
            self.check_part(chunk, part, &fit.place)?;
            return Ok((fit.edits, fit.place.span.end, Some(fit.matched)));
        }
        let mut refusal = ladder::refusal(&Miss::Nowhere, text, path, old, name);
        let (above, _) = ladder::all(text, 0..part.from, old, Rungs::Exact);
        if let Some(place) = above.first() {
            refusal.message = format!(
                "{name} matches line {} of {path}, which is above the chunk or anchor before it; send chunks in the file's order",
                place.line
            );
            return Err(refusal);
        }
        Err(landed::mention(refusal, &self.landed(cursor, chunk)))
    }

    /// Refuses a place behind the part of the file that the last `@@` line of a chunk opens.
    fn check_part(&self, chunk: &Chunk<'_>, part: &Part, place: &Place) -> Result<(), Refusal> {
        let Some(anchor) = chunk.anchors.last() else {
            return Ok(());
        };
        if landed::is_below(self.text, part.opener, place.span.start, |_| false) {
            return Ok(());
        }
        let Self { path, name, .. } = self;
        let opener = Text::new(self.text).line_at(part.opener);
        let message = format!(
            "{name} matches line {} of {path}, which is behind what its @@ line {:?} opens at line {opener}; send the @@ line of the part that is meant",
            place.line,
            crate::error::excerpt(anchor.trim_ascii(), 60)
        );
        let refusal = Refusal::new(Code::AnchorNotFound, message).in_file(path);
        Err(locate::with_places(
            refusal,
            self.text,
            std::slice::from_ref(place),
        ))
    }

    /// The refusal of a chunk that has to end the file and does not.
    fn not_at_end(&self, old: &[&[u8]]) -> Refusal {
        let Self {
            text, path, name, ..
        } = *self;
        let (places, _) = ladder::all(text, 0..text.len(), old, Rungs::All);
        let Some(place) = places.last() else {
            return ladder::refusal(&Miss::Nowhere, text, path, old, name);
        };
        let behind = LineNumber::from_index(place.line.index() + old.len());
        let rest = locate::line_at(text, place.span.end).unwrap_or_default();
        Refusal::new(
            Code::AnchorNotFound,
            format!(
                "{name} must end the file, as its \"*** End of File\" says; its lines are at line {} of {path}, and the file goes on with line {behind}; remove that mark, or send the lines up to the end",
                place.line
            ),
        )
        .in_file(path)
        .at_line(behind)
        .with_found(rest)
    }

    fn located(
        &self,
        old: &[&[u8]],
        lines: &[Line<'_>],
        found: &Found,
    ) -> Result<Located, Refusal> {
        let Found { place, fold } = found;
        let start = place.span.start;
        let edits = replace::folded_edits(self.text, start, old, lines, Tail::Whole, *fold)
            .map_err(|line| ladder::uncarried(self.text, self.path, place, line, self.name))?;
        let matched = ladder::matched(self.text, place, old, *fold);
        Ok((edits, place.span.end, matched))
    }
}

/// The block at the very end of the text.
fn at_end(text: &[u8], from: usize, old: &[&[u8]], rungs: Rungs) -> Option<Found> {
    let mut at = text.len();
    for _ in 0..old.len() {
        if at <= from {
            return None;
        }
        at = crate::bytes::rfind(b'\n', &text[..at - 1]).map_or(0, |newline| newline + 1);
    }
    if at < from {
        return None;
    }
    let ladder = match rungs {
        Rungs::Exact => &LADDER[..1],
        Rungs::All => &LADDER[..],
    };
    ladder.iter().find_map(|&fold| {
        let end = locate::block_at(text, at, old, fold).ok()?;
        let line = LineNumber::from_index(crate::bytes::count(b'\n', &text[..at]));
        (end == text.len()).then_some(Found {
            place: Place {
                span: at..end,
                line,
            },
            fold,
        })
    })
}

/// Where a chunk is looked for.
struct Part {
    from: usize,
    /// Where the line of the last anchor starts; equal to `from` without an anchor.
    opener: usize,
    /// Where the block ends that the last anchor opens; equal to `from` without an anchor.
    block_end: usize,
}

fn behind_anchors(
    text: &[u8],
    cursor: usize,
    anchors: &[&[u8]],
    path: &RelPath,
    name: &str,
) -> Result<Part, Refusal> {
    let mut from = cursor;
    let mut opener = cursor;
    let mut block_end = cursor;
    let mut limit = text.len();
    for anchor in anchors {
        let block = [*anchor];
        let span: Range<usize> = match ladder::find(text, from..limit, &block, Rungs::All) {
            Ok(found) => found.place.span,
            Err(Miss::Ambiguous(places)) => {
                return Err(ladder::refusal(
                    &Miss::Ambiguous(places),
                    text,
                    path,
                    &block,
                    &format!("the @@ line of {name}"),
                ));
            }
            Err(Miss::Nowhere) => match indented(text, from..limit, anchor)[..] {
                [(start, end)] => start..end,
                [] => {
                    return Err(ladder::refusal(
                        &Miss::Nowhere,
                        text,
                        path,
                        &block,
                        &format!("the @@ line of {name}"),
                    ));
                }
                _ => {
                    return Err(Refusal::new(
                        Code::AnchorAmbiguous,
                        format!("the @@ line of {name} matches more than one line of {path}; write it with its indentation"),
                    )
                    .in_file(path));
                }
            },
        };
        (opener, from) = (span.start, span.end);
        block_end = block_of(text, span);
        limit = limit.min(block_end.max(from));
    }
    Ok(Part {
        from,
        opener,
        block_end,
    })
}

/// The lines that are the anchor but for white space around them, up to two of them.
fn indented(text: &[u8], part: Range<usize>, anchor: &[u8]) -> Vec<(usize, usize)> {
    let mut at = part.start;
    let mut found = Vec::new();
    for line in locate::lines_from(&text[..part.end], part.start) {
        if line.trim_ascii() == anchor.trim_ascii() && found.len() < 2 {
            found.push((at, at + line.len()));
        }
        at += line.len();
    }
    found
}

/// The end of the block that a line opens: the next line that is not indented deeper, that line
/// included, since it may close the block.
fn block_of(text: &[u8], opener: Range<usize>) -> usize {
    let depth = |line: &[u8]| {
        line.iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count()
    };
    let own = depth(&text[opener.clone()]);
    let mut at = opener.end;
    for line in locate::lines_from(text, opener.end) {
        at += line.len();
        if !line.trim_ascii().is_empty() && depth(line) <= own {
            return at;
        }
    }
    at
}
