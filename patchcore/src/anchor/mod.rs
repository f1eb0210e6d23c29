//! Addresses and guards against a text: the lines meant, or a refusal that shows what is there.

mod blocks;
pub(crate) mod near;

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use crate::error::{Code, Hint, MAX_CANDIDATES, Refusal};
use crate::operation::{Address, Guard, Lines, Occurrence, Pattern, Target};
use crate::path::RelPath;
use blocks::Places;

use crate::text::{LineNumber, Text, split_lines, trim_ending};

/// Whole lines of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Their bytes, endings included.
    pub span: Range<usize>,
    /// How many lines stand before the first.
    pub first: usize,
    /// How many lines there are; none for the empty range between two neighbouring markers.
    pub count: usize,
}

impl Located {
    /// The number of the first line, or of the line behind an empty range.
    #[must_use]
    pub fn line(&self) -> LineNumber {
        LineNumber::from_index(self.first)
    }
}

/// Which part of a range an operation works at, and so which lines its guard speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// All of the range.
    Whole,
    /// Its first line.
    First,
    /// Its last line.
    Last,
}

/// Bytes that regular expressions may scan for one file's operations in all, before the batch is
/// held to be hostile: 16 GiB.
const SCAN_BUDGET: usize = 1 << 34;

/// Resolves the addresses and guards of one file's operations.
#[derive(Debug)]
pub struct Resolver<'a> {
    path: &'a RelPath,
    text: &'a Text<'a>,
    /// Where each block that was asked for stands, by the block's bytes.
    blocks: Places<'a>,
    /// Lines that match a pattern, by its source.
    matches: HashMap<String, Vec<Range<usize>>>,
    scanned: usize,
    /// How many refusals show the most similar place.
    compared: usize,
}

impl<'a> Resolver<'a> {
    /// Prepares a text: finds all of `blocks` in one pass over it.
    ///
    /// A block that is looked up later must be among them.
    pub fn new(
        path: &'a RelPath,
        text: &'a Text<'a>,
        blocks: impl IntoIterator<Item = &'a Lines>,
    ) -> Self {
        let wanted: Vec<&[u8]> = blocks.into_iter().map(Lines::as_bytes).collect();
        let blocks = Places::find(text, &wanted);
        Self {
            path,
            text,
            blocks,
            matches: HashMap::new(),
            scanned: 0,
            compared: 0,
        }
    }

    /// The lines that an address means.
    ///
    /// # Errors
    /// `LINE_OUT_OF_RANGE`, `ANCHOR_NOT_FOUND`, `ANCHOR_AMBIGUOUS`, `PLACEHOLDER_NOT_FOUND`;
    /// `LIMIT_EXCEEDED` where a batch asks for an absurd amount of searching.
    pub fn locate(&mut self, address: &Address) -> Result<Located, Refusal> {
        match &address.target {
            Target::Lines { first, last } => self.lines(*first, *last),
            Target::Text(block) => {
                let starts = self.occurrences(block)?;
                let spans = starts
                    .iter()
                    .map(|&start| self.block_span(start, block))
                    .collect();
                self.choose(spans, address.occurrence, "the text")
                    .map_err(|refusal| self.with_nearest(refusal, block.as_bytes()))
            }
            Target::Match(pattern) => {
                let spans = self.matching_lines(pattern)?.to_vec();
                self.choose(
                    spans,
                    address.occurrence,
                    &format!("a match of {pattern:?}"),
                )
            }
            Target::Between {
                start,
                end,
                inclusive,
            } => {
                let starts = self.matching_lines(start)?.to_vec();
                let ends = self.matching_lines(end)?;
                let spans = starts
                    .iter()
                    .filter_map(|opening| {
                        let next = ends.partition_point(|closing| closing.start < opening.end);
                        let closing = ends.get(next)?;
                        Some(match inclusive {
                            true => opening.start..closing.end,
                            false => opening.end..closing.start,
                        })
                    })
                    .collect();
                let what = format!("a range between {start:?} and {end:?}");
                self.choose(spans, address.occurrence, &what)
            }
            Target::Placeholder(id) => {
                let spans = self.placeholder_lines(id);
                let what = format!("placeholder {id}");
                self.choose(spans, address.occurrence, &what)
                    .map_err(|mut refusal| {
                        if refusal.code == Code::AnchorNotFound {
                            refusal.code = Code::PlaceholderNotFound;
                            refusal = self.with_placeholders(refusal, id);
                        }
                        refusal
                    })
            }
        }
    }

    /// Checks that what a guard expects stands at the lines.
    ///
    /// # Errors
    /// `EXPECT_MISMATCH` with what stands there from the first line that differs, and where the
    /// expected lines stand instead.
    pub fn check(&self, guard: &Guard, at: &Located, edge: Edge) -> Result<(), Refusal> {
        let Some(expect) = &guard.expect else {
            return self.check_around(guard, &at.span);
        };
        let span = self.guarded_span(expect, at, edge);
        if let Some(refusal) = self.differs(expect, &span, at.line()) {
            return Err(self.with_places(refusal, expect));
        }
        self.check_around(guard, &span)
    }

    /// Checks that a guard's whole block stands at one place of the text only.
    ///
    /// `block` is what [`guard_block`] gives for the guard, and was given to [`Resolver::new`].
    ///
    /// # Errors
    /// `WEAK_GUARD` with the places.
    pub fn check_unique(&self, block: &Lines, at: &Located) -> Result<(), Refusal> {
        let places = self.occurrences(block)?;
        if places.len() < 2 {
            return Ok(());
        }
        let (path, line, count) = (self.path, at.line(), places.len());
        let refusal = Refusal::new(
            Code::WeakGuard,
            format!(
                "the lines expected at line {line} of {path} are at {count} places; widen the \
                 guard with \"before\" or \"after\", or send the file's hash as \"base\""
            ),
        );
        Err(self.list(
            refusal
                .with_hint(Hint::AllowUnguarded)
                .in_file(path)
                .at_line(line),
            places,
        ))
    }

    /// What stands at a line, for a refusal.
    #[must_use]
    pub fn shown(&self, span: &Range<usize>) -> &'a [u8] {
        &self.text.bytes()[span.clone()]
    }

    fn lines(&self, first: u64, last: u64) -> Result<Located, Refusal> {
        let path = self.path;
        let refuse =
            |message: String| Err(Refusal::new(Code::LineOutOfRange, message).in_file(path));
        let (Some(from), Some(to)) = (LineNumber::new(first), LineNumber::new(last)) else {
            return refuse(format!(
                "line 0 of {path} does not exist: lines count from 1"
            ));
        };
        if from > to {
            return refuse(format!("lines {first} to {last} of {path} are reversed"));
        }
        let Some(span) = self.text.lines(from, to) else {
            let count = self.text.line_count();
            let beyond = if from.index() >= count { first } else { last };
            return refuse(format!(
                "line {beyond} is past the end of {path}, which has {count} lines"
            ));
        };
        Ok(Located {
            span,
            first: from.index(),
            count: to.index() - from.index() + 1,
        })
    }

    fn choose(
        &self,
        mut spans: Vec<Range<usize>>,
        occurrence: Occurrence,
        what: &str,
    ) -> Result<Located, Refusal> {
        let path = self.path;
        let (count, index) = match occurrence {
            Occurrence::Only if spans.len() > 1 => {
                let count = spans.len();
                let refusal = Refusal::new(
                    Code::AnchorAmbiguous,
                    format!(
                        "{what} is found at {count} places of {path}; say which by \"occurrence\""
                    ),
                );
                let starts: Vec<usize> = spans.iter().map(|span| span.start).collect();
                return Err(self.list(refusal.in_file(path), &starts));
            }
            Occurrence::Only | Occurrence::First | Occurrence::All => (spans.len(), Some(0)),
            Occurrence::Last => (spans.len(), spans.len().checked_sub(1)),
            Occurrence::Nth(n) => (spans.len(), usize::try_from(n.get() - 1).ok()),
        };
        match index {
            Some(index) if index < count => {
                let span = spans.swap_remove(index);
                let first = self.text.line_at(span.start).index();
                let count = split_lines(self.shown(&span)).count();
                Ok(Located { span, first, count })
            }
            _ if count == 0 => Err(Refusal::new(
                Code::AnchorNotFound,
                format!("{what} is not found in {path}"),
            )
            .in_file(path)),
            _ => {
                let refusal = Refusal::new(
                    Code::AnchorNotFound,
                    format!(
                        "{what} is found {count} times in {path}, fewer than \"occurrence\" asks for"
                    ),
                );
                let starts: Vec<usize> = spans.iter().map(|span| span.start).collect();
                Err(self.list(refusal.in_file(path), &starts))
            }
        }
    }

    fn occurrences(&self, block: &Lines) -> Result<&[usize], Refusal> {
        self.blocks
            .of(block.as_bytes())
            .ok_or_else(|| self.too_much_work())
    }

    fn block_span(&self, start: usize, block: &Lines) -> Range<usize> {
        let lines = split_lines(&self.text.bytes()[start..]).take(block.count());
        start..start + lines.map(<[u8]>::len).sum::<usize>()
    }

    fn matching_lines(&mut self, pattern: &Pattern) -> Result<&[Range<usize>], Refusal> {
        if !self.matches.contains_key(pattern.as_str()) {
            self.scanned = self.scanned.saturating_add(self.text.bytes().len());
            if self.scanned > SCAN_BUDGET {
                return Err(self.too_much_work());
            }
            let mut at = self.text.bom_len();
            let mut spans = Vec::new();
            for line in split_lines(&self.text.bytes()[at..]) {
                if pattern.is_match(trim_ending(line)) {
                    spans.push(at..at + line.len());
                }
                at += line.len();
            }
            self.matches.insert(pattern.as_str().to_owned(), spans);
        }
        Ok(&self.matches[pattern.as_str()])
    }

    fn placeholder_lines(&self, id: &str) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for placeholder in crate::placeholder::find(self.text.bytes()) {
            if placeholder.id != id {
                continue;
            }
            let line = self.text.line_at(placeholder.span.start);
            if let Some(span) = self.text.line(line)
                && spans.last() != Some(&span)
            {
                spans.push(span);
            }
        }
        spans
    }

    /// Lists the placeholders that are in the file, those with the nearest names first.
    fn with_placeholders(&self, mut refusal: Refusal, id: &str) -> Refusal {
        const COMPARED: usize = 1000;
        if !refusal.candidates.is_empty() || id.len() > 100 {
            return refusal;
        }
        let found = crate::placeholder::find(self.text.bytes())
            .into_iter()
            .take(COMPARED);
        let mut found: Vec<(usize, usize, &str)> = found
            .filter(|other| other.id.len() <= 100)
            .map(|other| {
                (
                    strsim::osa_distance(id, other.id),
                    other.span.start,
                    other.id,
                )
            })
            .collect();
        found.sort_unstable();
        found.dedup_by_key(|(.., other)| *other);
        for (_, at, other) in found.into_iter().take(MAX_CANDIDATES) {
            refusal = refusal.with_candidate(Some(self.text.line_at(at)), other.as_bytes());
        }
        refusal
    }

    /// The lines that `expect` speaks of: for an insertion beside a longer range, the one line
    /// that it goes next to.
    fn guarded_span(&self, expect: &Lines, at: &Located, edge: Edge) -> Range<usize> {
        if edge == Edge::Whole || at.count < 2 || expect.count() != 1 {
            return at.span.clone();
        }
        let bytes = self.shown(&at.span);
        match edge {
            Edge::Last => {
                let body = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                let cut = crate::bytes::rfind(b'\n', body).map_or(0, |newline| newline + 1);
                at.span.start + cut..at.span.end
            }
            Edge::Whole | Edge::First => {
                let end = split_lines(bytes).next().map_or(0, <[u8]>::len);
                at.span.start..at.span.start + end
            }
        }
    }

    fn check_around(&self, guard: &Guard, span: &Range<usize>) -> Result<(), Refusal> {
        if let Some(before) = &guard.before {
            let above = self.lines_above(span.start, before.count());
            let line = self.text.line_at(above.start);
            if let Some(refusal) = self.differs(before, &above, line) {
                return Err(refusal);
            }
        }
        if let Some(after) = &guard.after {
            let below = self.block_span(span.end, after);
            let line = self.text.line_at(below.start);
            if let Some(refusal) = self.differs(after, &below, line) {
                return Err(refusal);
            }
        }
        Ok(())
    }

    fn lines_above(&self, end: usize, count: usize) -> Range<usize> {
        let bytes = self.text.bytes();
        let floor = self.text.bom_len();
        let mut start = end;
        for _ in 0..count {
            if start <= floor {
                break;
            }
            start = self.text.line_start(start - 1).max(floor);
        }
        debug_assert!(start <= end && end <= bytes.len());
        start..end
    }

    /// A refusal where other lines stand in `span` than those expected.
    fn differs(&self, expect: &Lines, span: &Range<usize>, line: LineNumber) -> Option<Refusal> {
        let mut at = span.start;
        let mut found = split_lines(self.shown(span));
        let mut expected = expect.iter();
        let mut number = line.index();
        loop {
            match (found.next(), expected.next()) {
                (None, None) => return None,
                (Some(here), Some(wanted)) if trim_ending(here) == wanted => {
                    at += here.len();
                    number += 1;
                }
                (here, wanted) => {
                    let (path, line) = (self.path, LineNumber::from_index(number));
                    let message = match (here, wanted) {
                        (None, _) => {
                            format!(
                                "more lines are expected than there are at line {line} of {path}"
                            )
                        }
                        (_, None) => {
                            format!(
                                "fewer lines are expected than there are at line {line} of {path}"
                            )
                        }
                        _ => format!("line {line} of {path} is not the one expected"),
                    };
                    let rest = at..span.end.max(at);
                    return Some(
                        Refusal::new(Code::ExpectMismatch, message)
                            .in_file(path)
                            .at_line(line)
                            .with_found(self.shown(&rest)),
                    );
                }
            }
        }
    }

    /// Adds where the expected lines stand instead.
    fn with_places(&self, refusal: Refusal, expect: &Lines) -> Refusal {
        self.list(
            refusal,
            self.blocks.of(expect.as_bytes()).unwrap_or_default(),
        )
    }

    /// Whether so many texts were nowhere that no more are compared with the lines that are there.
    pub(crate) fn is_done_comparing(&self) -> bool {
        const MOST: usize = 20;
        self.compared == MOST
    }

    /// Adds to a refusal of text that is nowhere which place is most similar, and what differs.
    ///
    /// A batch of many such texts is told of the first few.
    pub(crate) fn with_nearest(&mut self, mut refusal: Refusal, sent: &[u8]) -> Refusal {
        let is_told = refusal.code != Code::AnchorNotFound || refusal.line.is_some();
        if is_told || self.is_done_comparing() {
            return refusal;
        }
        self.compared += 1;
        let text = self.text.bytes();
        let block: Vec<&[u8]> = split_lines(sent).collect();
        let Some(near) = near::nearest(text, &block) else {
            return refusal;
        };
        refusal.message = format!("{}; {}", refusal.message, near.describe(text, &block));
        near.show(refusal, text)
    }

    fn list(&self, mut refusal: Refusal, starts: &[usize]) -> Refusal {
        for &start in starts.iter().take(MAX_CANDIDATES) {
            let line = self.text.line_at(start);
            let shown = self.text.line(line).unwrap_or(start..start);
            refusal = refusal.with_candidate(Some(line), trim_ending(self.shown(&shown)));
        }
        refusal
    }

    fn too_much_work(&self) -> Refusal {
        Refusal::new(
            Code::LimitExceeded,
            format!(
                "the addresses in {} take more searching than the limit allows",
                self.path
            ),
        )
        .in_file(self.path)
    }
}

/// The lines whose uniqueness makes a guard strong: `before`, `expect` and `after` in one block.
///
/// `None` where nothing is expected of the addressed lines.
#[must_use]
pub fn guard_block(guard: &Guard) -> Option<Cow<'_, Lines>> {
    let expect = guard.expect.as_ref()?;
    if guard.before.is_none() && guard.after.is_none() {
        return Some(Cow::Borrowed(expect));
    }
    let parts = [guard.before.as_ref(), Some(expect), guard.after.as_ref()];
    let block: Vec<&[u8]> = parts.into_iter().flatten().map(Lines::as_bytes).collect();
    Some(Cow::Owned(Lines::new(block.concat())))
}
