//! Hunks that can be read in more than one way: their file decides, or nobody does.

use super::super::super::blob;
use super::{Index, Placed, place_read, terminated};
use crate::dialect::unified::HunkOptions;
use crate::diff::parse::{Doubt, Hunk, HunkLine, Role};
use crate::edit::EditSet;
use crate::error::{Code, Hint, Refusal};
use crate::locate;
use crate::locate::fold::Fold;
use crate::path::RelPath;
use crate::text::{Text, trim_ending};

/// How many lines of context tools write below the changes of a hunk, unless the file ends there.
const CONTEXT: u64 = 3;

/// What was decided on a hunk.
enum Decision<'a> {
    /// It is read like this, and the note says so.
    Read(Hunk<'a>, Option<String>),
    Refused(Box<Refusal>),
}

/// Places all hunks of a file, of which some can be read in more than one way.
pub(super) fn place(
    text: Text<'_>,
    hunks: &[Hunk<'_>],
    index: Index<'_>,
    path: &RelPath,
    options: HunkOptions,
) -> Vec<Result<Placed, Box<Refusal>>> {
    let bytes = text.bytes();
    let file = Doubtful {
        bytes,
        index,
        path,
        options,
    };
    let mut read = hunks.to_vec();
    let (mut decided, mut miscounted) = (Vec::new(), Vec::new());
    for at in 0..read.len() {
        let decision = match read[at].doubt.take().map(|doubt| *doubt) {
            None => continue,
            Some(Doubt::Miscounted) => {
                miscounted.push(at);
                continue;
            }
            Some(Doubt::Behind { line, lines }) => file.behind(&read, at, line, &lines),
            Some(Doubt::Short { old, new }) => file.short(&read, at, old, new),
        };
        match decision {
            Decision::Read(hunk, note) => {
                read[at] = hunk;
                decided.push((at, Ok(note)));
            }
            Decision::Refused(refusal) => decided.push((at, Err(refusal))),
        }
    }
    let mut placed = place_read(Text::new(bytes), &read, index, path, options);
    for (at, decision) in decided {
        match (decision, &mut placed[at]) {
            (Err(refusal), slot) => *slot = Err(refusal),
            (Ok(Some(note)), Ok(placed)) => placed.add_note(note),
            _ => {}
        }
    }
    if !miscounted.is_empty() && file.is_base() && file.becomes_named(&placed) == Some(false) {
        for at in miscounted {
            let why = "counts other lines than it has, and what it makes of the file is not the blob that the index line names: a line is lost or damaged; send it again";
            if let Decision::Refused(refusal) = file.recount(at, read[at].line, why) {
                placed[at] = Err(refusal);
            }
        }
    }
    placed
}

struct Doubtful<'a> {
    bytes: &'a [u8],
    index: Index<'a>,
    path: &'a RelPath,
    options: HunkOptions,
}

impl Doubtful<'_> {
    fn refused<'h>(&self, code: Code, at: usize, line: usize, why: &str) -> Decision<'h> {
        let name = format!(
            "hunk {} of {} (line {line} of the patch)",
            at + 1,
            self.path
        );
        Decision::Refused(Box::new(
            Refusal::new(code, format!("{name} {why}")).in_file(self.path),
        ))
    }

    /// As [`refused`](Self::refused), where counting the hunk's lines anew would let it pass.
    fn recount<'h>(&self, at: usize, line: usize, why: &str) -> Decision<'h> {
        match self.refused(Code::InvalidBatch, at, line, why) {
            Decision::Refused(refusal) => {
                Decision::Refused(Box::new(refusal.with_hint(Hint::Recount)))
            }
            read => read,
        }
    }

    fn placed(&self, hunks: &[Hunk<'_>], at: usize) -> Result<Placed, Box<Refusal>> {
        place_read(
            Text::new(self.bytes),
            hunks,
            self.index,
            self.path,
            self.options,
        )
        .swap_remove(at)
    }

    /// The hunk at `at` with more lines, if it has a place then.
    fn longer<'h>(
        &self,
        hunks: &[Hunk<'h>],
        at: usize,
        more: impl IntoIterator<Item = HunkLine<'h>>,
    ) -> Option<(Hunk<'h>, Placed)> {
        let mut hunks = hunks.to_vec();
        hunks[at].lines.extend(more);
        hunks[at].recount();
        let placed = self.placed(&hunks, at).ok()?;
        Some((hunks.swap_remove(at), placed))
    }

    /// A hunk with all lines that its header counts, and more that could be its own behind them.
    fn behind<'h>(
        &self,
        hunks: &[Hunk<'h>],
        at: usize,
        line: usize,
        tail: &[HunkLine<'h>],
    ) -> Decision<'h> {
        let hunk = &hunks[at];
        let whole = || {
            let (longer, _) = self.longer(hunks, at, tail.iter().copied())?;
            let note = format!(
                "the header of hunk {} counts too few lines; those from line {line} of the patch on are part of it",
                at + 1
            );
            Some(Decision::Read(longer, Some(note)))
        };
        let Ok(placed) = self.placed(hunks, at) else {
            return whole().unwrap_or_else(|| Decision::Read(hunk.clone(), None));
        };
        // More context changes nothing about what the hunk does.
        if tail.iter().all(|line| line.role == Role::Context)
            && let Some(decision) = whole()
        {
            return decision;
        }
        if self.goes_on(placed.span.end, tail) {
            let why = format!(
                "has all lines that its header counts, and line {line} of the patch could be one more; remove it if it is text"
            );
            return self.recount(at, hunk.line, &why);
        }
        if let Some(place) = self.stands_elsewhere(tail) {
            let why = format!(
                "has all lines that its header counts, and those from line {line} of the patch on stand at line {place} of the file; write a hunk header above them"
            );
            return self.refused(Code::InvalidBatch, at, hunk.line, &why);
        }
        let note = format!(
            "line {line} of the patch is text: hunk {} has all lines that its header counts, and the file has no such line there",
            at + 1
        );
        let is_odd = tail.first().is_some_and(|line| !is_blank(line.text));
        Decision::Read(hunk.clone(), is_odd.then_some(note))
    }

    /// Whether the lines behind a hunk could go on in the file where its old lines end.
    fn goes_on(&self, mut end: usize, tail: &[HunkLine<'_>]) -> bool {
        for want in tail {
            if want.role == Role::Added {
                return true;
            }
            let Some(line) = locate::line_at(self.bytes, end) else {
                return false;
            };
            if trim_ending(line) != want.text.strip_suffix(b"\r").unwrap_or(want.text) {
                return false;
            }
            if !is_blank(want.text) {
                return true;
            }
            end += line.len();
        }
        false
    }

    /// Where in the file the old lines behind a hunk stand: then they are a hunk without header.
    fn stands_elsewhere(&self, tail: &[HunkLine<'_>]) -> Option<crate::text::LineNumber> {
        let changes = tail.iter().any(|line| line.role != Role::Context);
        let old: Vec<Vec<u8>> = tail
            .iter()
            .filter(|line| line.role != Role::Added)
            .map(terminated)
            .collect();
        if !changes || old.iter().all(|line| is_blank(line)) {
            return None;
        }
        let block: Vec<&[u8]> = old.iter().map(Vec::as_slice).collect();
        let places = locate::find_blocks(self.bytes, &[&block], Fold::Bytes);
        Some(places.first()?.first()?.line)
    }

    /// A hunk that the end of the patch cuts off, by its header, so many old and new lines short.
    ///
    /// Blank lines at the end of a patch are lost easily, as they are lines of one blank. Any other
    /// line can only be missing where the file ends, or with three lines of context below it.
    fn short<'h>(&self, hunks: &[Hunk<'h>], at: usize, old: u64, new: u64) -> Decision<'h> {
        let hunk = &hunks[at];
        let trailing = hunk.lines.iter().rev();
        let trailing = trailing
            .take_while(|line| line.role == Role::Context)
            .count() as u64;
        let placed = self.placed(hunks, at);
        let len = self.bytes.len();
        if old == new && trailing > 0 && old <= CONTEXT {
            let blank = HunkLine {
                role: Role::Context,
                text: b"",
                newline: true,
            };
            let blanks = std::iter::repeat_n(blank, usize::try_from(old).unwrap_or(0));
            let longer = self.longer(hunks, at, blanks);
            if let Some((longer, placed)) = longer
                && (trailing + old == CONTEXT || placed.span.end == len)
            {
                let note = format!(
                    "hunk {} lacked {old} blank {} of context at the end of the patch; the file has them",
                    at + 1,
                    if old == 1 { "line" } else { "lines" }
                );
                return self.proven(hunks, at, longer, note);
            }
        }
        let note = || {
            format!(
                "the header of hunk {} counts {old} old and {new} new lines more than the hunk has",
                at + 1
            )
        };
        if let Ok(placed) = &placed {
            let whole = match old == new {
                true => trailing + old > CONTEXT && old <= CONTEXT,
                false => old.min(new) < CONTEXT,
            };
            let beyond = locate::lines_from(self.bytes, placed.span.end);
            let beyond = beyond.take(CONTEXT as usize + 1).count() as u64;
            let is_read = whole && trailing >= CONTEXT && beyond != old.min(CONTEXT + 1);
            if is_read || self.names_result(hunks, at, hunk) == Some(true) {
                return self.proven(hunks, at, hunk.clone(), note());
            }
        }
        let (has_old, has_new) = hunk.counts();
        let why = format!(
            "has {has_old} old and {has_new} new lines, its header says {} and {}, and the patch ends inside it",
            has_old + old,
            has_new + new
        );
        self.recount(at, hunk.line, &why)
    }

    /// The reading, unless the blob names of the `index` line contradict it.
    fn proven<'h>(
        &self,
        hunks: &[Hunk<'h>],
        at: usize,
        read: Hunk<'h>,
        note: String,
    ) -> Decision<'h> {
        if self.is_base() && self.names_result(hunks, at, &read) == Some(false) {
            let why = "is cut off: what it makes of the file is not the blob that the index line names; send the whole patch";
            return self.refused(Code::InvalidBatch, at, read.line, why);
        }
        Decision::Read(read, Some(note))
    }

    /// Whether the file becomes the blob that the `index` line names, if the hunk at `at` is read
    /// so; `None` where that cannot be said.
    fn names_result(&self, hunks: &[Hunk<'_>], at: usize, read: &Hunk<'_>) -> Option<bool> {
        let mut hunks = hunks.to_vec();
        hunks[at] = read.clone();
        let text = Text::new(self.bytes);
        self.becomes_named(&place_read(
            text,
            &hunks,
            self.index,
            self.path,
            self.options,
        ))
    }

    /// Whether the file becomes the blob that the `index` line names.
    fn becomes_named(&self, placed: &[Result<Placed, Box<Refusal>>]) -> Option<bool> {
        let (_, new) = self.index?;
        let mut edits = Vec::new();
        for placed in placed {
            edits.extend(placed.as_ref().ok()?.edits.iter().cloned());
        }
        let set = EditSet::new(edits, self.bytes.len()).ok()?;
        Some(blob::is_named(&set.apply(self.bytes), new))
    }

    /// Whether the file is the one that the diff was made for, and the `index` line names what comes
    /// of it. Who makes up a header has the name of the empty blob at hand.
    fn is_base(&self) -> bool {
        let is_new = |name: &[u8]| self.bytes.is_empty() && name.iter().all(|digit| *digit == b'0');
        self.index.is_some_and(|(old, new)| {
            let is_known = blob::is_name(new) && !(is_new(old) && blob::is_named(b"", new));
            is_known && (is_new(old) || blob::is_named(self.bytes, old))
        })
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}
