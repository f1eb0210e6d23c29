//! Locates the blocks.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::{Block, Reading, SearchReplace, names};
use crate::dialect::desk::Desk;
use crate::dialect::whole;
use crate::edit::Edit;
use crate::error::{Code, Refusal};
use crate::locate::fold::Fold;
use crate::locate::ladder::{self, Miss, Rungs, Sought};
use crate::locate::landed::{self, Landed};
use crate::locate::replace::{self, Line, Tail};
use crate::locate::{self, Place};
use crate::operation::{Batch, TextEdit};
use crate::path::RelPath;
use crate::plan::omission;
use crate::plan::{Entry, Tree};
use crate::text::{LineNumber, Text, split_lines, trim_ending};

/// Locates blocks in a tree, each in the text that those before it left.
pub(super) fn lower(script: &SearchReplace, tree: &Tree) -> Batch {
    let mut desk = Desk::new(tree).growing_up_to(script.max_growth);
    let blocks = Blocks {
        script,
        named: Named::new(script, tree),
        rungs: rungs(script),
    };
    let mut moves: HashMap<&RelPath, Moves> = HashMap::new();
    for (index, block) in script.blocks.iter().enumerate() {
        let name = format!("block {} (line {} of the patch)", index + 1, block.line);
        let moves = moves.entry(&block.path).or_default();
        if desk.is_spoiled(&block.path) {
            desk.judge_apart(&block.path, |desk| blocks.apply(block, &name, moves, desk));
            continue;
        }
        if let Err(refusal) = blocks.apply(block, &name, moves, &mut desk) {
            desk.refuse(&block.path, refusal);
        }
    }
    desk.into_batch(script.content)
}

fn rungs(script: &SearchReplace) -> Rungs {
    if script.strict {
        Rungs::Exact
    } else {
        Rungs::All
    }
}

/// The files that are there, or that a block may make, by their names without directories: a text
/// may call thousands of files that are not there.
struct Named<'a>(HashMap<&'a [u8], Vec<&'a RelPath>>);

impl<'a> Named<'a> {
    fn new(script: &'a SearchReplace, tree: &'a Tree) -> Self {
        let there = tree
            .iter()
            .filter(|(_, entry)| !matches!(entry, Entry::Absent));
        let there = there.map(|(path, _)| path);
        let made = script.blocks.iter().map(|block| &block.path);
        let mut named: HashMap<&[u8], Vec<&RelPath>> = HashMap::new();
        for path in there.chain(made).collect::<BTreeSet<_>>() {
            named.entry(path.file_name()).or_default().push(path);
        }
        Self(named)
    }

    /// The files that end in one of these names, in the order of their paths.
    fn ending_in(&self, names: &[RelPath]) -> BTreeSet<&'a RelPath> {
        let files = names.iter().flat_map(|name| {
            let alike = self.0.get(name.file_name()).into_iter().flatten();
            alike.filter(|path| names::ends(path.as_bytes(), name.as_bytes()))
        });
        files.copied().collect()
    }
}

/// By how many lines the blocks so far have moved the lines below them.
#[derive(Default)]
struct Moves(Vec<(u64, i64)>);

impl Moves {
    /// Where a line of the file before the patch stands now.
    fn now(&self, line: u64) -> u64 {
        self.0.iter().fold(line, |line, (at, delta)| {
            if *at < line {
                line.saturating_add_signed(*delta)
            } else {
                line
            }
        })
    }
}

/// What all blocks of a script are located by.
struct Blocks<'a> {
    script: &'a SearchReplace,
    named: Named<'a>,
    rungs: Rungs,
}

/// What a block searches for, and where it stands.
struct Search<'b> {
    reading: &'b Reading,
    lines: Vec<&'b [u8]>,
    places: Vec<Place>,
    fold: Fold,
}

impl<'b> Search<'b> {
    /// By the block's lines as they are, or without Roo's marks where they are not in the text.
    fn of(block: &'b Block, text: &[u8], rungs: Rungs) -> Self {
        let by = |reading: &'b Reading| {
            let lines: Vec<&[u8]> = split_lines(&reading.search).collect();
            let (places, fold) = ladder::all(text, 0..text.len(), &lines, rungs);
            Self {
                reading,
                lines,
                places,
                fold,
            }
        };
        let verbatim = by(&block.verbatim);
        match &block.bare {
            Some(bare) if verbatim.places.is_empty() => by(bare),
            _ => verbatim,
        }
    }

    /// By how many lines the block makes the file longer.
    fn grown(&self) -> i64 {
        split_lines(&self.reading.replace).count() as i64 - self.lines.len() as i64
    }
}

impl Blocks<'_> {
    fn apply(
        &self,
        block: &Block,
        name: &str,
        moves: &mut Moves,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refusal> {
        let path = &block.path;
        let last = block.bare.as_ref().unwrap_or(&block.verbatim);
        if !self.script.allow_omission {
            omission::check_new(path, &last.replace, &last.search)?;
        }
        if block.verbatim.search.trim_ascii().is_empty() {
            return create(block, name, desk);
        }
        let text = desk.file(path)?;
        let search = Search::of(block, &text, self.rungs);
        if search.places.is_empty() && search.lines.iter().any(|line| is_dots(line)) {
            let first = pieces(&search.reading.search)
                .into_iter()
                .find(|piece| !piece.is_empty())
                .unwrap_or_default();
            let first: Vec<&[u8]> = split_lines(&search.reading.search[first]).collect();
            self.check_rivals(block, &first, name, desk)?;
            let edits = dotted(&text, path, search.reading, name, self.rungs)?;
            return desk.splice(path, edits, None);
        }
        if !search.places.is_empty() {
            self.check_rivals(block, &search.lines, name, desk)?;
        }
        let new: Vec<&[u8]> = split_lines(&search.reading.replace).collect();
        let edit = TextEdit {
            old: search.lines.concat(),
            new: search.reading.replace.clone(),
        };
        let landed = landed::lines(&text, &search.lines, &new, self.rungs);
        let landed = desk.settle(path, landed, edit);
        if let Landed::Yes(place) = landed {
            return desk.landed(path, place.line);
        }
        if search.places.is_empty() {
            return self.beyond(block, &search, &text, &landed, name, moves, desk);
        }
        let chosen = self.choose(block, &search, &text, name, moves)?;
        for place in chosen.iter().rev() {
            moves.0.push((place.line.get(), search.grown()));
        }
        replace_at(path, &search, &text, &chosen, name, desk)
    }

    /// A block that stands nowhere as it is: by the steps of the ladder that change its text.
    #[expect(clippy::too_many_arguments, reason = "what `apply` knows by then")]
    fn beyond(
        &self,
        block: &Block,
        search: &Search<'_>,
        text: &[u8],
        landed: &Landed,
        name: &str,
        moves: &mut Moves,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refusal> {
        let path = &block.path;
        let sought = Sought {
            path,
            text,
            old: &search.lines,
            lines: &replace::between(&search.lines, &search.reading.replace),
            tail: Tail::Kept,
        };
        let fit = match self.rungs {
            Rungs::All => ladder::beyond(&sought)
                .map_err(|unclear| ladder::unclear(&unclear, text, path, name))?,
            Rungs::Exact => None,
        };
        let Some(fit) = fit else {
            let refusal = ladder::refusal(&Miss::Nowhere, text, path, &search.lines, name);
            let refusal = landed::mention(refusal, landed);
            return Err(desk.gone(path, &search.lines.concat(), refusal));
        };
        self.check_rivals(block, &search.lines, name, desk)?;
        moves.0.push((fit.place.line.get(), search.grown()));
        desk.splice_found(path, fit.edits, Some(fit.matched))
    }

    /// Which of the places the block means.
    fn choose(
        &self,
        block: &Block,
        search: &Search<'_>,
        text: &[u8],
        name: &str,
        moves: &Moves,
    ) -> Result<Vec<Place>, Refusal> {
        let Search { lines, places, .. } = search;
        if places.len() == 1 {
            return Ok(places.clone());
        }
        if self.script.all {
            return Ok(locate::find_disjoint(text, lines, search.fold));
        }
        let stated = search.reading.start_line.map(|line| moves.now(line));
        match stated.and_then(|line| stands_at(text, line, lines, search.fold)) {
            Some(place) => Ok(vec![place]),
            None => {
                let miss = Miss::Ambiguous(places.clone());
                Err(ladder::refusal(&miss, text, &block.path, lines, name))
            }
        }
    }

    /// Refuses a block that the text above it may mean for another file, which has its lines, too.
    fn check_rivals(
        &self,
        block: &Block,
        search: &[&[u8]],
        name: &str,
        desk: &Desk<'_>,
    ) -> Result<(), Refusal> {
        let has_lines = |text: &[u8]| {
            let all = 0..text.len();
            !ladder::all(text, all.clone(), search, self.rungs)
                .0
                .is_empty()
                || (self.rungs == Rungs::All
                    && !locate::find_in(text, all, search, Fold::Indentation).is_empty())
        };
        for rival in self.named.ending_in(&block.rivals) {
            if *rival == block.path {
                continue;
            }
            let Ok(Some(text)) = desk.text(rival) else {
                continue;
            };
            if has_lines(&text) {
                let path = &block.path;
                return Err(Refusal::new(
                    Code::AnchorAmbiguous,
                    format!("{name} names no file; the block before was for {path}, the text above names {rival}, and both have its lines; write the path alone on the line above the block"),
                )
                .in_file(path));
            }
        }
        Ok(())
    }
}

/// A block that searches for nothing: it makes a file.
fn create(block: &Block, name: &str, desk: &mut Desk<'_>) -> Result<(), Refusal> {
    let path = &block.path;
    match desk.text(path)? {
        Some(text) if !text.trim_ascii().is_empty() => Err(Refusal::new(
            Code::FileExists,
            format!("{name} searches for nothing, which creates a file, and {path} exists; search for the lines to change"),
        )
        .in_file(path)),
        _ => desk.write(path, block.verbatim.replace.clone(), whole::Form::OfFile),
    }
}

/// Puts the new lines where the old ones stand.
fn replace_at(
    path: &RelPath,
    search: &Search<'_>,
    text: &[u8],
    chosen: &[Place],
    name: &str,
    desk: &mut Desk<'_>,
) -> Result<(), Refusal> {
    let matched = chosen
        .iter()
        .find_map(|place| ladder::matched(text, place, &search.lines, search.fold));
    desk.repeat(path, search.reading.replace.len(), chosen.len())?;
    let lines = replace::between(&search.lines, &search.reading.replace);
    let mut edits = Vec::new();
    for place in chosen {
        let start = place.span.start;
        edits.extend(
            replace::folded_edits(text, start, &search.lines, &lines, Tail::Kept, search.fold)
                .map_err(|line| ladder::uncarried(text, path, place, line, name))?,
        );
    }
    desk.splice_found(path, edits, matched)
}

/// The block at a line, if it stands there.
fn stands_at(text: &[u8], line: u64, search: &[&[u8]], fold: Fold) -> Option<Place> {
    let line = LineNumber::new(line)?;
    let start = Text::new(text).line(line)?.start;
    let end = locate::block_at(text, start, search, fold).ok()?;
    Some(Place {
        span: start..end,
        line,
    })
}

fn is_dots(line: &[u8]) -> bool {
    trim_ending(line).trim_ascii() == b"..."
}

/// aider's `...`: the pieces between the dots of both halves are replaced one by one, in order.
fn dotted(
    text: &[u8],
    path: &RelPath,
    reading: &Reading,
    name: &str,
    rungs: Rungs,
) -> Result<Vec<Edit>, Refusal> {
    let old = pieces(&reading.search);
    let new = pieces(&reading.replace);
    if old.len() != new.len() {
        return Err(Refusal::new(
            Code::InvalidBatch,
            format!(
                "{name} has {} \"...\" lines to search and {} to replace; they must be the same",
                old.len() - 1,
                new.len() - 1
            ),
        )
        .in_file(path));
    }
    let mut edits = Vec::new();
    let mut from = 0;
    for (old, new) in old.iter().zip(&new) {
        let search: Vec<&[u8]> = split_lines(&reading.search[old.clone()]).collect();
        let replacement = &reading.replace[new.clone()];
        if search.is_empty() {
            if replacement.trim_ascii().is_empty() {
                continue;
            }
            return Err(Refusal::new(
                Code::AnchorNotFound,
                format!("{name} adds lines beside a \"...\" with nothing to find their place by"),
            )
            .in_file(path));
        }
        let found = ladder::find(text, from..text.len(), &search, rungs).map_err(|miss| {
            ladder::refusal(&miss, text, path, &search, &format!("a part of {name}"))
        })?;
        let lines: Vec<Line<'_>> = replace::between(&search, replacement);
        let start = found.place.span.start;
        edits.extend(
            replace::folded_edits(text, start, &search, &lines, Tail::Kept, found.fold)
                .map_err(|line| ladder::uncarried(text, path, &found.place, line, name))?,
        );
        from = found.place.span.end;
    }
    Ok(edits)
}

/// The byte ranges between lines of dots.
fn pieces(text: &[u8]) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let (mut start, mut at) = (0, 0);
    for line in split_lines(text) {
        if is_dots(line) {
            pieces.push(start..at);
            start = at + line.len();
        }
        at += line.len();
    }
    pieces.push(start..at);
    pieces
}
