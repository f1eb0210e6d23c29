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

/// Bytes that may be looked at for one file's operations in all, before the batch is held to be
/// hostile: 4 GiB, one to two seconds.
const SCAN_BUDGET: usize = 4 << 30;

/// What a regular expression takes for a byte, measured by what copying takes.
const MATCHED: usize = 4;

/// What a place takes that is made for one operation alone, measured by what copying bytes takes.
const PLACE: usize = 64;

/// Resolves the addresses and guards of one file's operations.
#[derive(Debug)]
pub struct Resolver<'a> {
    path: &'a RelPath,
    text: &'a Text<'a>,
    /// Where each block that was asked for stands, by the block's bytes.
    blocks: Places<'a>,
    /// Lines that match a pattern, by its source.
    matches: HashMap<String, Vec<Range<usize>>>,
    /// Lines with a placeholder, by its name.
    placeholders: Option<HashMap<&'a str, Vec<Range<usize>>>>,
    /// What was looked at so far, in bytes.
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
            placeholders: None,
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
                let start = |index: usize| starts[index];
                self.choose(starts.len(), start, address.occurrence, "the text")
                    .map(|index| self.located(self.block_span(starts[index], block)))
                    .map_err(|refusal| self.with_nearest(refusal, block.as_bytes()))
            }
            Target::Match(pattern) => {
                self.match_lines(pattern)?;
                let what = format!("a match of {pattern:?}");
                self.choose_span(&self.matches[pattern.as_str()], address.occurrence, &what)
            }
            Target::Between {
                start,
                end,
                inclusive,
            } => {
                let spans = self.spans_between(start, end, *inclusive)?;
                let what = format!("a range between {start:?} and {end:?}");
                let located = self.choose_span(&spans, address.occurrence, &what)?;
                // Its lines are counted.
                self.scan(located.span.len())?;
                Ok(located)
            }
            Target::Placeholder(id) => {
                self.find_placeholders();
                let lines = self
                    .placeholders
                    .as_ref()
                    .and_then(|lines| lines.get(id.as_str()));
                let spans = lines.map(Vec::as_slice).unwrap_or_default();
                let what = format!("placeholder {id}");
                self.choose_span(spans, address.occurrence, &what)
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

    /// From each match of one pattern to the next of the other.
    fn spans_between(
        &mut self,
        start: &Pattern,
        end: &Pattern,
        inclusive: bool,
    ) -> Result<Vec<Range<usize>>, Refusal> {
        self.match_lines(start)?;
        self.match_lines(end)?;
        self.scan(PLACE.saturating_mul(self.matches[start.as_str()].len()))?;
        let ends = &self.matches[end.as_str()];
        let starts = self.matches[start.as_str()].iter();
        let spans = starts.filter_map(|opening| {
            let next = ends.partition_point(|closing| closing.start < opening.end);
            let closing = ends.get(next)?;
            Some(match inclusive {
                true => opening.start..closing.end,
                false => opening.end..closing.start,
            })
        });
        Ok(spans.collect())
    }

    /// Takes note that so many bytes are looked at for one operation alone.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` where that is more than a batch may ask for.
    pub(crate) fn scan(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.scanned = self.scanned.saturating_add(bytes);
        match self.scanned > SCAN_BUDGET {
            true => Err(self.too_much_work()),
            false => Ok(()),
        }
    }

    /// Takes note that so many places were made for one operation alone.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub(crate) fn scan_places(&mut self, places: usize) -> Result<(), Refusal> {
        self.scan(PLACE.saturating_mul(places))
    }

    /// How many bytes were looked at so far.
    pub(crate) fn scanned(&self) -> usize {
        self.scanned
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

    fn choose_span(
        &self,
        spans: &[Range<usize>],
        occurrence: Occurrence,
        what: &str,
    ) -> Result<Located, Refusal> {
        let start = |index: usize| spans[index].start;
        let index = self.choose(spans.len(), start, occurrence, what)?;
        Ok(self.located(spans[index].clone()))
    }

    fn located(&self, span: Range<usize>) -> Located {
        let first = self.text.line_at(span.start).index();
        let count = split_lines(self.shown(&span)).count();
        Located { span, first, count }
    }

    /// Which of several places an operation means.
    fn choose(
        &self,
        count: usize,
        start: impl Fn(usize) -> usize,
        occurrence: Occurrence,
        what: &str,
    ) -> Result<usize, Refusal> {
        let path = self.path;
        let first_ones = || -> Vec<usize> { (0..count.min(MAX_CANDIDATES)).map(&start).collect() };
        let index = match occurrence {
            Occurrence::Only if count > 1 => {
                let refusal = Refusal::new(
                    Code::AnchorAmbiguous,
                    format!(
                        "{what} is found at {count} places of {path}; say which by \"occurrence\""
                    ),
                );
                return Err(self.list(refusal.in_file(path), &first_ones()));
            }
            Occurrence::Only | Occurrence::First | Occurrence::All => Some(0),
            Occurrence::Last => count.checked_sub(1),
            Occurrence::Nth(n) => usize::try_from(n.get() - 1).ok(),
        };
        match index {
            Some(index) if index < count => Ok(index),
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
                Err(self.list(refusal.in_file(path), &first_ones()))
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

    /// Finds the lines that match a pattern, if it was not asked for before.
    fn match_lines(&mut self, pattern: &Pattern) -> Result<(), Refusal> {
        if self.matches.contains_key(pattern.as_str()) {
            return Ok(());
        }
        self.scan(MATCHED.saturating_mul(self.text.bytes().len()))?;
        let mut at = self.text.bom_len();
        let mut spans = Vec::new();
        for line in split_lines(&self.text.bytes()[at..]) {
            if pattern.is_match(trim_ending(line)) {
                spans.push(at..at + line.len());
            }
            at += line.len();
        }
        self.matches.insert(pattern.as_str().to_owned(), spans);
        Ok(())
    }

    /// Finds the lines that bear each placeholder, when the first is asked for.
    fn find_placeholders(&mut self) {
        if self.placeholders.is_some() {
            return;
        }
        let text = self.text;
        let mut lines: HashMap<&str, Vec<Range<usize>>> = HashMap::new();
        for placeholder in crate::placeholder::find(text.bytes()) {
            let spans = lines.entry(placeholder.id).or_default();
            if let Some(span) = text.line(text.line_at(placeholder.span.start))
                && spans.last() != Some(&span)
            {
                spans.push(span);
            }
        }
        self.scanned = self.scanned.saturating_add(text.bytes().len());
        self.placeholders = Some(lines);
    }

    /// Lists the placeholders that are in the file, those with the nearest names first.
    fn with_placeholders(&mut self, mut refusal: Refusal, id: &str) -> Refusal {
        const COMPARED: usize = 1000;
        let is_told = !refusal.candidates.is_empty() || id.len() > 100;
        if is_told || self.is_done_comparing() {
            return refusal;
        }
        self.compared += 1;
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
