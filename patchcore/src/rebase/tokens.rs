//! Where lines are that a formatter laid out anew.
//!
//! A formatter joins, splits and indents lines, and keeps their tokens, but for a `,` or `;` at an
//! end and for parentheses that group nothing. So the tokens of a range and of two lines on each
//! side of it are looked for, each line of a comment or string as one token. The range has a place
//! if these tokens stand once in the base and once in the current file, and are whole lines in both.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;

use super::align::BUDGET;
use super::{Lost, NEIGHBOURS, close};
use crate::literals::{self, Kind, Language};
use crate::path::RelPath;
use crate::text::{BOM, lead, split_lines, trim_ending};

/// Optional tokens among which the like of one is looked for.
const RUN: usize = 64;
/// Bytes of the longest file that is read as tokens: those of both states take 300 MB at most.
const LONGEST: usize = 1 << 22;

/// Two states of a file as tokens.
pub(crate) struct Layouts<'t> {
    base: Layout<'t>,
    current: Layout<'t>,
    /// How many tokens may still be looked at.
    budget: Cell<usize>,
}

/// Where a range is now, and how its lines are indented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Laid<'t> {
    pub(crate) lines: Range<usize>,
    pub(crate) levels: Levels<'t>,
}

/// What indentation became of what: of more, more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Levels<'t>(Vec<(&'t [u8], &'t [u8])>);

impl<'t> Levels<'t> {
    /// `None` where lines of one level are at two, or lines of two at one.
    fn of(mut pairs: Vec<(&'t [u8], &'t [u8])>) -> Option<Self> {
        pairs.sort_unstable();
        pairs.dedup();
        let rises = |pair: &[(&[u8], &[u8])]| {
            let [(from, to), (next, then)] = [pair[0], pair[1]];
            from != next && next.starts_with(from) && then.starts_with(to) && then != to
        };
        pairs.windows(2).all(rises).then_some(Self(pairs))
    }

    pub(crate) fn are_same(&self) -> bool {
        self.0.iter().all(|(from, to)| from == to)
    }

    /// Lines of the base, indented as lines of their levels are now; `None` where a level is not
    /// known, or would become one with another.
    ///
    /// What a line has more than a known level, it has as many steps more, where two levels tell how
    /// long one is, and else as it is.
    pub(crate) fn apply(&self, text: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut levels = self.0.clone();
        let mut moved = Vec::new();
        for line in split_lines(text) {
            let level = lead(line);
            let is_blank = line.trim_ascii().is_empty();
            moved.push(match is_blank {
                true => line.to_vec(),
                false => [&self.level(level)?, &line[level.len()..]].concat(),
            });
        }
        let now = split_lines(text).zip(&moved);
        let now = now.filter(|(line, _)| !line.trim_ascii().is_empty());
        levels.extend(now.map(|(line, moved)| (lead(line), lead(moved))));
        Levels::of(levels).map(drop)?;
        Some(moved)
    }

    fn level(&self, level: &[u8]) -> Option<Vec<u8>> {
        let known = self.0.iter().rposition(|(from, _)| level.starts_with(from));
        let Some(known) = known else {
            return self.are_same().then(|| level.to_vec());
        };
        let (from, to) = self.0[known];
        let more = &level[from.len()..];
        let near = match known {
            0 => self.0.get(1).map(|next| (self.0[0], *next)),
            _ => Some((self.0[known - 1], self.0[known])),
        };
        let steps = near.and_then(|((from, to), (next, then))| {
            let (step, now) = (&next[from.len()..], &then[to.len()..]);
            let count = more.len() / step.len();
            (more == step.repeat(count)).then(|| now.repeat(count))
        });
        Some([to, &*steps.unwrap_or_else(|| more.to_vec())].concat())
    }
}

struct Layout<'t> {
    language: Language,
    lines: Vec<&'t [u8]>,
    tokens: Vec<Token>,
    /// The tokens that a formatter keeps: where they are among all, and their numbers.
    kept: Vec<usize>,
    numbers: Vec<u32>,
}

struct Token {
    /// Equal for equal tokens.
    number: u32,
    /// The byte of one that a formatter may add or drop.
    optional: Option<u8>,
    kind: Option<Kind>,
    /// Whether it is a further line of a string.
    in_text: bool,
    line: usize,
    is_word: bool,
    /// The number of the bracket that it is in.
    inside: Option<u32>,
    /// The bracket that opens or closes what this one closes or opens.
    partner: Option<usize>,
}

/// The tokens of a range, and those of the range with its neighbours.
struct Window {
    range: Range<usize>,
    all: Range<usize>,
}

impl<'t> Layouts<'t> {
    /// `None` for a language of which it is not known what a string is, and for a file that is too
    /// long.
    pub(crate) fn new(path: &RelPath, base: &'t [u8], current: &'t [u8]) -> Option<Self> {
        let mut numbers = HashMap::new();
        if base.len().max(current.len()) > LONGEST {
            return None;
        }
        let base = Layout::of(path, base, &mut numbers)?;
        let current = Layout::of(path, current, &mut numbers)?;
        Some(Self {
            base,
            current,
            budget: Cell::new(BUDGET),
        })
    }

    /// Where a range of lines of the base is; lines count from 0.
    pub(crate) fn range(&self, range: &Range<usize>) -> Result<Laid<'t>, Lost> {
        let (base, current) = (&self.base, &self.current);
        let work = base.tokens.len() + current.tokens.len();
        let budget = self.budget.get().checked_sub(work);
        self.budget.set(budget.ok_or(Lost::TooLarge)?);
        let window = base.window(range).ok_or(Lost::Changed)?;
        let wanted = base.kept_in(&window.all);
        let core = base.kept_in(&window.range);
        let sought = &base.numbers[wanted.clone()];
        let found = match (
            places(&base.numbers, sought),
            places(&current.numbers, sought),
        ) {
            (_, Places::None) => return Err(Lost::Changed),
            (Places::One(_), Places::One(place)) => place,
            _ => return Err(Lost::Ambiguous),
        };
        let is_end = |layout: &Layout<'_>, place: usize| {
            (place == 0, place + sought.len() == layout.numbers.len())
        };
        let at_ends = is_end(base, wanted.start);
        let ends_now = is_end(current, found);
        if (window.all.start == 0 && !ends_now.0)
            || (window.all.end == base.tokens.len() && !ends_now.1)
            || core.is_empty()
        {
            return Err(Lost::Changed);
        }
        if at_ends == (false, false) {
            self.refuse_copies(&wanted, &core)?;
        }
        let there = current.kept[found]..current.kept[found + sought.len() - 1] + 1;
        let here = base.kept[wanted.start]..base.kept[wanted.end - 1] + 1;
        let pairs = self.pair(here, there).ok_or(Lost::Changed)?;
        let lines = self.lines(&window, &pairs).ok_or(Lost::Changed)?;
        let levels = self.levels(range, &lines, &window, &pairs);
        let levels = levels.ok_or(Lost::Changed)?;
        Ok(Laid { lines, levels })
    }

    /// As for lines: refuses a range between neighbours that have something else in between at more
    /// places than in the base.
    fn refuse_copies(&self, wanted: &Range<usize>, core: &Range<usize>) -> Result<(), Lost> {
        /// Tokens that a changed copy may have more than the range.
        const LONGER: usize = 64;
        let numbers = &self.base.numbers;
        let (above, below) = (wanted.start..core.start, core.end..wanted.end);
        if above.is_empty() || below.is_empty() {
            return Ok(());
        }
        let between = &numbers[core.clone()];
        let count = |layout: &Layout<'_>| {
            let starts = all_places(&layout.numbers, &numbers[above.clone()]);
            let ends = all_places(&layout.numbers, &numbers[below.clone()]);
            close(&starts, above.len(), &ends, core.len() + LONGER)
                .filter(|place| &layout.numbers[place.clone()] != between)
                .count()
        };
        match count(&self.current) > count(&self.base) {
            true => Err(Lost::Ambiguous),
            false => Ok(()),
        }
    }

    /// Which token is which, from the first to the last of a window that a formatter keeps.
    fn pair(&self, base: Range<usize>, current: Range<usize>) -> Option<Vec<(usize, usize)>> {
        let (mut here, mut there) = (base.start, current.start);
        let mut pairs = Vec::with_capacity(base.len());
        while here < base.end && there < current.end {
            let (old, new) = (&self.base.tokens[here], &self.current.tokens[there]);
            // Of two parentheses that look alike, one may group and the other not.
            let goes = [self.base.may_go(here), self.current.may_go(there)];
            if old.number == new.number && goes[0] == goes[1] {
                pairs.push((here, there));
                here += 1;
                there += 1;
                continue;
            }
            // Of two that may come and go, the one goes whose like comes later. Where a `;` goes, what
            // is behind it starts a line or closes a block.
            let run = self.current.tokens[there..current.end].iter();
            let mut run = run.take(RUN).take_while(|token| token.optional.is_some());
            let is_added = match goes {
                [true, true] => run.any(|token| token.number == old.number),
                [_, is_added] => is_added,
            };
            let (layout, at, other, next) = match is_added {
                true => (&self.current, &mut there, &self.base, here),
                false => (&self.base, &mut here, &self.current, there),
            };
            let is_apart = other.starts_line(next) || other.is(next, CLOSING);
            let is_end = layout.tokens[*at].optional == Some(b';');
            if goes == [false, false] || (is_end && !is_apart) {
                return None;
            }
            *at += 1;
        }
        (here == base.end && there == current.end).then_some(pairs)
    }

    /// The lines of the current file that have what the range has, and nothing else.
    fn lines(&self, window: &Window, pairs: &[(usize, usize)]) -> Option<Range<usize>> {
        let tokens = &self.current.tokens;
        let is_new = |at: usize| pairs.binary_search_by_key(&at, |pair| pair.1).is_err();
        let inside = |pair: &&(usize, usize)| window.range.contains(&pair.0);
        let mut start = pairs.iter().find(inside)?.1;
        let mut end = pairs.iter().rfind(inside)?.1 + 1;
        let same_line = |at: usize| tokens[at].line == tokens[at - 1].line;
        while start > 0 && same_line(start) && self.current.may_go(start - 1) && is_new(start - 1) {
            start -= 1;
        }
        let depth = |tokens: &mut dyn Iterator<Item = &Token>| {
            tokens.fold(0_i32, |depth, token| match token.optional {
                Some(b'(') => depth + 1,
                Some(b')') => depth - 1,
                _ => depth,
            })
        };
        let mut open = depth(&mut tokens[start..end].iter());
        let wanted = depth(&mut self.base.tokens[window.range.clone()].iter());
        while end < tokens.len()
            && is_new(end)
            && self.current.may_go(end)
            && (same_line(end) || (open > wanted && tokens[end].optional == Some(b')')))
        {
            open += depth(&mut tokens[end..=end].iter());
            end += 1;
        }
        if open != wanted || (start > 0 && same_line(start)) {
            return None;
        }
        if end < tokens.len() && same_line(end) {
            return None;
        }
        Some(tokens[start].line..tokens[end - 1].line + 1)
    }

    /// How the range's lines and those next to it are indented.
    ///
    /// Lines inside brackets go on with one above them: where a formatter puts those says nothing,
    /// but for those of a range that has no others. Lines of a string are as they were.
    fn levels(
        &self,
        range: &Range<usize>,
        lines: &Range<usize>,
        window: &Window,
        pairs: &[(usize, usize)],
    ) -> Option<Levels<'t>> {
        let (base, current) = (&self.base, &self.current);
        let goes_on = |at: usize| !base.is_in_block(at);
        let first = goes_on(window.range.start);
        let is_text = base.tokens[window.range.start].in_text;
        let counts = |at: usize| match first && !is_text {
            _ if base.tokens[at].in_text => false,
            true => window.range.contains(&at),
            false => !goes_on(at),
        };
        let both = pairs.iter().filter(|&&(old, new)| {
            counts(old) && base.starts_line(old) && current.starts_line(new)
        });
        let lines_of =
            |&(old, new): &(usize, usize)| (base.tokens[old].line, current.tokens[new].line);
        let own = (range.start, lines.start);
        let leads = std::iter::once(own).chain(both.map(lines_of));
        let leads = leads.map(|(old, new)| (lead(base.lines[old]), lead(current.lines[new])));
        let levels = Levels::of(leads.collect())?;
        // New lines of a string stay as they are sent.
        (levels.are_same() || !is_text).then_some(levels)
    }

    /// The current lines of a range.
    pub(crate) fn text(&self, lines: &Range<usize>) -> Vec<u8> {
        self.current.lines[lines.clone()].concat()
    }
}

impl<'t> Layout<'t> {
    fn of(
        path: &RelPath,
        text: &'t [u8],
        numbers: &mut HashMap<Cow<'t, [u8]>, u32>,
    ) -> Option<Self> {
        let language = literals::language(path)?;
        let body = text.strip_prefix(BOM).unwrap_or(text);
        let lines: Vec<&[u8]> = split_lines(body).collect();
        if numbers.is_empty() {
            let marks = MARKS.iter().map(|mark| Cow::Borrowed(mark.as_bytes()));
            numbers.extend(marks.zip(0..));
        }
        let mut reader = Reader {
            text: body,
            at: 0,
            line: 0,
            open: Vec::new(),
            numbers,
            tokens: Vec::new(),
        };
        for literal in literals::literals(path, body)? {
            reader.code(literal.span.start);
            reader.literal(literal.span.end, literal.kind);
        }
        reader.code(body.len());
        let tokens = reader.tokens;
        let kept = tokens.iter().enumerate();
        let kept: Vec<usize> = kept
            .filter(|(_, token)| token.optional.is_none())
            .map(|(at, _)| at)
            .collect();
        let numbers = kept.iter().map(|&at| tokens[at].number).collect();
        Some(Self {
            language,
            lines,
            tokens,
            kept,
            numbers,
        })
    }

    /// The tokens of a range of lines; `None` if these are not whole lines with a token in the first
    /// and one in the last.
    fn window(&self, range: &Range<usize>) -> Option<Window> {
        let tokens = &self.tokens;
        let start = tokens.partition_point(|token| token.line < range.start);
        let end = tokens.partition_point(|token| token.line < range.end);
        let (first, last) = (tokens[..end].get(start)?, &tokens[end - 1]);
        let is_whole = first.line == range.start && last.line + 1 == range.end;
        if !is_whole {
            return None;
        }
        let (mut from, mut to) = (start, end);
        for _ in 0..NEIGHBOURS {
            if let Some(above) = from.checked_sub(1) {
                let line = tokens[above].line;
                from = tokens[..from].partition_point(|token| token.line < line);
            }
            if let Some(below) = tokens.get(to) {
                let line = below.line;
                to += tokens[to..].partition_point(|token| token.line <= line);
            }
        }
        Some(Window {
            range: start..end,
            all: from..to,
        })
    }

    /// Those of some tokens that a formatter keeps.
    fn kept_in(&self, tokens: &Range<usize>) -> Range<usize> {
        let before = |at: usize| self.kept.partition_point(|&kept| kept < at);
        before(tokens.start)..before(tokens.end)
    }

    fn starts_line(&self, at: usize) -> bool {
        at == 0 || self.tokens[at - 1].line < self.tokens[at].line
    }

    fn is(&self, at: usize, marks: &[u32]) -> bool {
        let token = self.tokens.get(at);
        token.is_some_and(|token| marks.contains(&token.number))
    }

    /// Whether a token is in no bracket, or in one of statements.
    fn is_in_block(&self, at: usize) -> bool {
        match self.tokens[at].inside {
            None => true,
            Some(bracket) => bracket == OPENING_BRACE && !self.language.is_indented,
        }
    }

    /// Whether a formatter could have put a token there, or taken it away.
    fn may_go(&self, at: usize) -> bool {
        let token = &self.tokens[at];
        match (token.optional, token.partner) {
            (Some(b','), _) => self.ends_list(at),
            (Some(b';'), _) => self.is_in_block(at),
            (Some(b'('), Some(close)) => self.groups_nothing(at, close),
            (Some(b')'), Some(open)) => self.groups_nothing(open, at),
            _ => false,
        }
    }

    /// Whether a `,` is the last of a list, and does not make one of a single value; or, where blocks
    /// have braces, stands behind one.
    fn ends_list(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1) else {
            return false;
        };
        if !self.is(at + 1, CLOSING) {
            return self.is(before, BRACE) && !self.language.is_indented;
        }
        let Some(open) = self.tokens[at + 1].partner else {
            return false;
        };
        let is_empty = self.is(before, COMMA) || before == open;
        let is_call = open.checked_sub(1).is_some_and(|name| {
            let token = &self.tokens[name];
            let is_name = token.is_word && token.number >= GROUPED;
            is_name || self.is(name, CLOSING) || self.is(name, IMPORT)
        });
        let is_value = self.is(open, PARENTHESIS) && !is_call && !self.has_comma(open, at);
        !is_empty && !is_value
    }

    /// Whether parentheses stand around all of a value: behind a mark or word that one follows, and in
    /// front of what ends it.
    fn groups_nothing(&self, open: usize, close: usize) -> bool {
        let Some(before) = open.checked_sub(1) else {
            return false;
        };
        if !self.language.has_free_parentheses || open + 1 == close {
            return false;
        }
        let ends = self.ends_statement(close);
        match self.has_comma(open, close) {
            // Of several values only those that are a statement's whole.
            true => {
                let is_whole = self.is_in_block(open) && (ends || self.is(close + 1, COLON));
                let listed = LISTED[usize::from(!self.language.is_indented)];
                self.is(before, listed) && is_whole
            }
            false => {
                let number = self.tokens[before].number;
                let is_begun = match self.language.is_indented {
                    true => (FREE.start..GROUPED).contains(&number),
                    false => FREE.contains(&number),
                };
                is_begun && (ends || self.is(close + 1, ENDING))
            }
        }
    }

    /// Whether brackets have a `,` of their own inside, up to a token.
    fn has_comma(&self, open: usize, end: usize) -> bool {
        let mut at = open + 1;
        while at < end {
            if self.is(at, COMMA) {
                return true;
            }
            at = match self.tokens[at].partner {
                Some(close) if close > at => close + 1,
                _ => at + 1,
            };
        }
        false
    }

    /// Whether a statement ends behind a token: its line does, and the next goes on with nothing.
    fn ends_statement(&self, at: usize) -> bool {
        let mut behind = self.tokens[at + 1..].iter();
        let next = behind.find(|token| token.kind != Some(Kind::Comment));
        self.is_in_block(at)
            && next.is_none_or(|next| {
                let goes_on = !next.is_word && next.kind.is_none() && next.number > CLOSING[2];
                next.line > self.tokens[at].line && (self.language.is_indented || !goes_on)
            })
    }
}

/// Reads a text as tokens.
struct Reader<'t, 'n> {
    text: &'t [u8],
    at: usize,
    line: usize,
    /// Where the brackets are that are open.
    open: Vec<usize>,
    numbers: &'n mut HashMap<Cow<'t, [u8]>, u32>,
    tokens: Vec<Token>,
}

/// Brackets, and tokens that a value follows; their numbers are their places.
const MARKS: [&str; 24] = [
    ")", "]", "}", "(", "[", "{", ",", ";", ":", "=", "return", "throw", "case", "yield", "async",
    "in", "del", "import", "with", "if", "elif", "while", "for", "assert",
];
const CLOSING: &[u32] = &[0, 1, 2];
const BRACE: &[u32] = &[2];
const PARENTHESIS: &[u32] = &[3];
const OPENING_BRACE: u32 = 5;
const COMMA: &[u32] = &[6];
const COLON: &[u32] = &[8];
/// What may stand behind a value.
const ENDING: &[u32] = &[0, 1, 2, 6, 7, 8, 9];
/// What a value follows wherever it may stand in parentheses; what is behind that in [`MARKS`] is
/// followed by parentheses that must be there, but in Python.
const FREE: Range<u32> = 3..16;
/// What several values follow, with parentheses around them or without: in Python, and elsewhere.
const LISTED: [&[u32]; 2] = [&[9, 10, 13, 15, 16, 17, 18], &[10, 11]];
const IMPORT: &[u32] = &[17];
const GROUPED: u32 = MARKS.len() as u32;

impl<'t> Reader<'t, '_> {
    /// Reads up to an offset what is no literal.
    fn code(&mut self, end: usize) {
        while self.at < end {
            let rest = &self.text[self.at..end];
            let length = length(rest);
            match rest[0] {
                b'\n' => {
                    self.line += 1;
                    self.at += 1;
                }
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => self.push(self.at + length, Cow::Borrowed(&rest[..length]), None),
            }
        }
    }

    /// Reads a comment or a string up to an offset: each of its lines is a token.
    fn literal(&mut self, end: usize, kind: Kind) {
        for (number, line) in split_lines(&self.text[self.at..end]).enumerate() {
            let key = key(line, kind, number > 0);
            let next = self.at + line.len();
            if number > 0 && kind == Kind::Comment && key == FURTHER {
                self.at = next;
            } else {
                self.push(next, key, Some(kind));
                if let Some(token) = self.tokens.last_mut() {
                    token.in_text = number > 0 && kind == Kind::Text;
                }
            }
            self.line += usize::from(line.ends_with(b"\n"));
        }
    }

    /// Adds the token from where the reader is up to an offset, which is on one line.
    fn push(&mut self, end: usize, key: Cow<'t, [u8]>, kind: Option<Kind>) {
        self.at = end;
        let byte = (key.len() == 1 && kind.is_none()).then(|| key[0]);
        let at = self.tokens.len();
        let partner = match byte {
            Some(b')' | b']' | b'}') => self.open.pop(),
            _ => None,
        };
        if let Some(open) = partner {
            self.tokens[open].partner = Some(at);
        }
        let inside = self.open.last().map(|&open| self.tokens[open].number);
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
        let is_word = kind.is_none() && is_word(key[0]);
        self.tokens.push(Token {
            number: *self.numbers.entry(key).or_insert(next),
            optional: byte.filter(|byte| b",;()".contains(byte)),
            kind,
            in_text: false,
            line: self.line,
            is_word,
            inside,
            partner,
        });
        if matches!(byte, Some(b'(' | b'[' | b'{')) {
            self.open.push(at);
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The length of the token at the start of a text: a word, a run of one operator's byte, or a byte.
fn length(rest: &[u8]) -> usize {
    let run = |test: &dyn Fn(u8) -> bool| rest.iter().take_while(|byte| test(**byte)).count();
    match rest[0] {
        byte if is_word(byte) => run(&is_word),
        byte if b"+-*/%&|^=<>!?:.~@".contains(&byte) => run(&|other| other == byte),
        _ => 1,
    }
}

/// What a further line of a literal has in front, which no other token has.
const FURTHER: &[u8] = b"\n";

/// What is the same for lines of literals that a formatter does not tell apart.
fn key(line: &[u8], kind: Kind, is_further: bool) -> Cow<'_, [u8]> {
    match kind {
        Kind::Comment if is_further => Cow::Owned([FURTHER, line.trim_ascii()].concat()),
        Kind::Comment => {
            let mark = line.iter().take_while(|byte| b"#/*-!".contains(byte));
            let (mark, words) = line.split_at(mark.count());
            Cow::Owned([mark, b" ", words.trim_ascii()].concat())
        }
        Kind::Text if is_further => Cow::Owned([FURTHER, b"\"", trim_ending(line)].concat()),
        Kind::Text => Cow::Borrowed(trim_ending(line)),
        Kind::Quoted => {
            let inside = &line[1..line.len() - 1];
            match inside.iter().any(|byte| b"'\"".contains(byte)) {
                true => Cow::Borrowed(line),
                false => Cow::Owned([b"\"", inside, b"\""].concat()),
            }
        }
    }
}

enum Places {
    None,
    One(usize),
    Many,
}

fn places(numbers: &[u32], sought: &[u32]) -> Places {
    let mut found = (numbers.windows(sought.len().max(1)).enumerate())
        .filter(|(_, window)| *window == sought)
        .map(|(at, _)| at);
    match (found.next(), found.next()) {
        (None, _) => Places::None,
        (Some(at), None) => Places::One(at),
        (Some(_), Some(_)) => Places::Many,
    }
}

fn all_places(numbers: &[u32], sought: &[u32]) -> Vec<usize> {
    let windows = numbers.windows(sought.len()).enumerate();
    windows
        .filter(|(_, window)| *window == sought)
        .map(|(at, _)| at)
        .collect()
}
