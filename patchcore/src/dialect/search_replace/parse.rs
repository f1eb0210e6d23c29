//! Reads the blocks.

use std::collections::BTreeSet;

use super::super::unread::{AtLine, Misread, Misreads};
use super::super::{Options, Unread, beneath_root, detect, marks};
use super::{Block, Reading, SearchReplace, names};
use crate::digest::Digest;
use crate::error::{Code, Hint, Refusal};
use crate::path::RelPath;
use crate::text::{split_lines, trim_ending};

/// Reads every block among the bytes; what stands around them is prose. Behind a fault it goes on
/// with the next block, so that one run tells every fault.
pub(in crate::dialect) fn parse(bytes: &[u8], options: &Options) -> Result<SearchReplace, Unread> {
    let body = bytes.strip_prefix(crate::text::BOM).unwrap_or(bytes);
    let mut reader = Reader {
        lines: split_lines(body).collect(),
        at: 0,
        options,
        last: None,
        ended: 0,
        is_nameless: false,
        faults: Misreads::default(),
    };
    let mut blocks = Vec::new();
    let mut in_prose = false;
    while let Some(line) = reader.peek() {
        if marks::is_search(line) {
            in_prose = false;
            match reader.block() {
                Ok(block) => blocks.extend(block),
                Err(fault) => reader.skip_at(fault),
            }
            continue;
        }
        if marks::is_replace(line) || marks::is_near_word(line) {
            reader.skip_as(
                "a mark outside of a block; a block is SEARCH, =======, REPLACE, in this order",
            );
            continue;
        }
        if options.strict && !reader.may_stand_outside(line) {
            let fault =
                reader.invalid_strict("text around the blocks is not allowed in strict mode");
            // A paragraph is one fault.
            if !std::mem::replace(&mut in_prose, true) {
                reader.faults.push(fault);
            }
        } else {
            in_prose = false;
        }
        let next = reader.lines.get(reader.at + 1).copied().unwrap_or_default();
        match detect::mark(line, next) {
            Some(other) => reader.skip_as(format!(
                "a {other} patch together with search/replace blocks; send them separately"
            )),
            None => reader.at += 1,
        }
    }
    reader.faults.check(bytes)?;
    if blocks.is_empty() {
        let why = "the patch holds no block that starts with <<<<<<< SEARCH or ------- SEARCH";
        return Err(Refusal::new(Code::InvalidBatch, why).into());
    }
    Ok(SearchReplace {
        blocks,
        all: options.all,
        strict: options.strict,
        allow_omission: options.allow_omission,
        max_growth: options.max_growth,
        content: Digest::of(bytes),
    })
}

/// Words of prose above one block that are looked at as names.
const MOST_WORDS: usize = 200;

/// The file of a block.
struct Named {
    path: RelPath,
    /// Whether its name may be something else, see [`names::is_doubtful`].
    doubtful: bool,
    /// Files that the text since the block before speaks of, and that may be meant instead.
    rivals: Vec<RelPath>,
}

struct Reader<'a, 'o> {
    /// With their endings.
    lines: Vec<&'a [u8]>,
    at: usize,
    options: &'o Options,
    /// The file of the block before.
    last: Option<RelPath>,
    /// The line below the block before.
    ended: usize,
    /// Whether the file of the block before could not be told: a block below it without a name is
    /// no fault of its own.
    is_nameless: bool,
    faults: Misreads,
}

impl AtLine for Reader<'_, '_> {
    fn line(&self) -> usize {
        self.at
    }
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.lines.get(self.at).map(|line| trim_ending(line))
    }

    /// Goes to the mark that opens the next block, from which on the patch can be read again.
    fn skip_to_block(&mut self) {
        let rest = self.lines.iter().skip(self.at);
        let before = rest.take_while(|line| !marks::is_search(trim_ending(line)));
        self.at += before.count();
        self.ended = self.at;
    }

    /// Records what is at the cursor as a fault and goes on with the next block.
    fn skip_as(&mut self, fault: impl Into<String>) {
        let fault = self.invalid(fault);
        self.skip_at(fault);
    }

    /// Records a fault and goes on with the next block.
    fn skip_at(&mut self, fault: Misread) {
        self.faults.push(fault);
        self.skip_to_block();
    }

    fn may_stand_outside(&self, line: &[u8]) -> bool {
        let line = line.trim_ascii();
        line.is_empty() || names::is_fence(line) || names::name(line).is_some()
    }

    /// The block at the cursor; `None` where its file cannot be told, which is recorded.
    fn block(&mut self) -> Result<Option<Block>, Misread> {
        let line = self.at + 1;
        let named = self.file();
        let opener = self.peek().unwrap_or_default();
        self.at += 1;
        let start_line = self.start_line()?.or(marks::line_of(opener));
        let divider = self.divider(opener);
        let search = self.old_half(opener, divider)?;
        if let Some(Named { path, .. }) = named.as_ref().filter(|named| named.doubtful)
            && search.trim_ascii().is_empty()
        {
            let refusal = Refusal::new(
                Code::InvalidBatch,
                format!(
                    "the block creates a file, and {path} above it may not be a file name; write the name in backticks"
                ),
            );
            let refusal = refusal.with_hint(Hint::File);
            self.faults.push(Misread::new(line - 1, refusal));
        }
        self.at += 1;
        let replace = self.new_half(opener, divider)?;
        self.ended = self.at;
        let verbatim = Reading {
            start_line,
            search,
            replace,
        };
        Ok(named.map(|named| Block {
            line,
            path: named.path,
            rivals: named.rivals,
            bare: bare(&verbatim),
            verbatim,
        }))
    }

    /// The file of the block at the cursor; `None` where it cannot be told.
    fn file(&mut self) -> Option<Named> {
        match self.path() {
            Ok(named) => {
                self.is_nameless = named.is_none();
                if let Some(Named { path, .. }) = &named {
                    self.last = Some(path.clone());
                }
                named
            }
            Err(fault) => {
                self.faults.push(fault);
                self.last = None;
                self.is_nameless = true;
                None
            }
        }
    }

    /// The lines up to the one that divides the block.
    fn old_half(&mut self, opener: &[u8], divider: Option<usize>) -> Result<Vec<u8>, Misread> {
        let mut search = Vec::new();
        loop {
            let Some(line) = self.peek() else {
                return Err(self.invalid("the patch ends inside a block, before its ======="));
            };
            if divides(opener, line) {
                if divider.is_none_or(|at| at == self.at) {
                    break;
                }
            } else if self.is_misplaced(line) {
                return Err(self.invalid("a mark where ======= is due; a line of the file that looks like one is written with a backslash before it"));
            }
            search.extend_from_slice(marks::unescaped(self.lines[self.at]));
            self.at += 1;
        }
        Ok(search)
    }

    /// The lines up to the mark that ends the block, and that.
    fn new_half(&mut self, opener: &[u8], divider: Option<usize>) -> Result<Vec<u8>, Misread> {
        let mut replace = Vec::new();
        loop {
            let Some(line) = self.peek() else {
                // Cline's last block may lack its end, where nothing follows it.
                if opener.starts_with(b"-") && !self.options.strict {
                    if !replace.is_empty() && !replace.ends_with(b"\n") {
                        replace.push(b'\n');
                    }
                    break;
                }
                return Err(self.invalid("the patch ends inside a block, before its REPLACE mark"));
            };
            if marks::is_replace(line) {
                self.at += 1;
                break;
            }
            let is_mark = if divides(opener, line) {
                divider.is_none()
            } else {
                self.is_misplaced(line) || marks::is_line_number(line)
            };
            if is_mark {
                return Err(self.invalid("a mark where the block's REPLACE mark is expected; a line of the file that looks like one is written with a backslash before it"));
            }
            replace.extend_from_slice(marks::unescaped(self.lines[self.at]));
            self.at += 1;
        }
        Ok(replace)
    }

    /// The line that divides the halves of the block at the cursor, where lines of the file look
    /// like one, as underlines of headings do: the only one that is written as the formats have it,
    /// with seven signs.
    fn divider(&self, opener: &[u8]) -> Option<usize> {
        let signs = |line: &[u8]| line.iter().take_while(|byte| **byte == line[0]).count();
        if signs(opener) != 7 {
            return None;
        }
        let lines = (self.at..self.lines.len()).map(|at| (at, trim_ending(self.lines[at])));
        let lines =
            lines.take_while(|(_, line)| !marks::is_replace(line) && !marks::is_search(line));
        let mut found = None;
        for (at, line) in lines.filter(|(_, line)| divides(opener, line)) {
            match signs(line) {
                7 if found.is_some() => return None,
                7 => found = Some(at),
                // Near enough to be meant as the divider, if it lines no title.
                5..=9 => {
                    let width = |at: usize| {
                        let text = self.lines.get(at).copied().unwrap_or_default();
                        String::from_utf8_lossy(trim_ending(text)).chars().count()
                    };
                    if width(at - 1) != signs(line) && width(at + 1) != signs(line) {
                        return None;
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Whether a line is some mark, or nearly one.
    fn is_misplaced(&self, line: &[u8]) -> bool {
        marks::is_search(line) || marks::is_replace(line) || marks::is_near(line)
    }

    /// Roo's `:start_line:N` and the `-------` below it.
    fn start_line(&mut self) -> Result<Option<u64>, Misread> {
        let mut start = None;
        let mut numbered = false;
        while let Some(line) = self.peek().map(<[u8]>::trim_ascii) {
            if !marks::is_line_number(line) {
                // Without a number it may be a line of the file.
                self.at += usize::from(numbered && line == b"-------");
                break;
            }
            numbered = true;
            let value = line.rsplit(|byte| *byte == b':').next().unwrap_or_default();
            let value = value.trim_ascii();
            // Some models keep the brackets of the tool's description.
            let value = value
                .strip_prefix(b"[")
                .and_then(|value| value.strip_suffix(b"]"))
                .unwrap_or(value);
            let number = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok());
            let Some(number) = number else {
                return Err(self.invalid("a line number that is none"));
            };
            if line.starts_with(b":start_line:") {
                start = Some(number);
            }
            self.at += 1;
        }
        Ok(start.filter(|start| *start > 0))
    }

    fn named(&self, line: &[u8], name: &[u8]) -> Result<Option<Named>, Misread> {
        let path = RelPath::new(beneath_root(name, self.options));
        Ok(Some(Named {
            path: path.map_err(|refusal| self.misread(refusal))?,
            doubtful: names::is_doubtful(line, name) && names::alone(line) != Some(name)
                || names::is_extension(name),
            rivals: Vec::new(),
        }))
    }

    /// The file that is named right above the block at the cursor.
    fn named_above(&self) -> Result<Option<Named>, Misread> {
        // The three lines above, as aider looks at them: a name, or a fence and a name above it.
        let mut apart = false;
        let above = self.lines[..self.at].iter().rev();
        let above = above.map(|line| trim_ending(line));
        for above in above.filter(|line| !names::is_tag(line)).take(3) {
            if marks::is_replace(above) {
                break;
            }
            apart |= above.trim_ascii().is_empty();
            if let Some(name) = names::alone(above) {
                return self.named(above, name);
            }
            if let Some(name) = names::name(above)
                && (!apart || names::is_certain(above))
            {
                return self.named(above, name);
            }
            if let (Some(last), Some(other)) = (&self.last, names::mentioned(above))
                && !names::is_fence(above)
                && !names::ends(last.as_bytes(), other)
            {
                return Err(self.invalid(format!(
                    "the line above the block names {}, the block before was for {last}; write the path alone on the line above",
                    crate::error::excerpt(other, 120)
                )));
            }
            if !names::is_fence(above) && !above.trim_ascii().is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// The file of the block at the cursor; `None` where that is the file of the block before, and
    /// that could not be told.
    fn path(&self) -> Result<Option<Named>, Misread> {
        let certain = |path: &RelPath| Named {
            path: path.clone(),
            doubtful: false,
            rivals: Vec::new(),
        };
        if let Some(path) = &self.options.file {
            return Ok(Some(certain(path)));
        }
        if let Some(named) = self.named_above()? {
            return Ok(Some(named));
        }
        let text = &self.lines[self.ended..self.at];
        let text = text.iter().rev().map(|line| trim_ending(line));
        if let Some((line, name)) = text
            .clone()
            .find_map(|line| Some((line, names::far(line)?)))
        {
            return self.named(line, name);
        }
        match &self.last {
            Some(path) => {
                let others = text.clone().flat_map(names::all_mentioned);
                let others = others.filter_map(|other| RelPath::new(other).ok());
                let words = text.flat_map(names::words).take(MOST_WORDS);
                let others = others.chain(words.flat_map(|word| names::meant_beside(path, word)));
                let others = others.filter(|other| !names::ends(path.as_bytes(), other.as_bytes()));
                let others: BTreeSet<RelPath> = others.collect();
                Ok(Some(Named {
                    rivals: others.into_iter().collect(),
                    ..certain(path)
                }))
            }
            None if self.is_nameless => Ok(None),
            None => {
                let refusal = Refusal::new(
                    Code::InvalidBatch,
                    "no file name above the block; write the path alone on the line before it or its fence",
                );
                Err(self.misread(refusal.with_hint(Hint::File)))
            }
        }
    }
}

/// Whether a line can divide the halves of a block: in aider's and Roo's also with white space
/// behind it, in Cline's not.
fn divides(opener: &[u8], line: &[u8]) -> bool {
    marks::is_divider(if opener.starts_with(b"<") {
        line.trim_ascii_end()
    } else {
        line
    })
}

/// The lines of a block without Roo's marks that may be among them.
fn bare(verbatim: &Reading) -> Option<Reading> {
    let Reading {
        start_line,
        search,
        replace,
    } = verbatim;
    let lines = match split_lines(search).next() {
        Some(first) if start_line.is_none() && trim_ending(first) == b"-------" => {
            &search[first.len()..]
        }
        _ => &search[..],
    };
    let (number, bare, replace) = match numbered(lines) {
        Some((first, bare)) => {
            let replace = numbered(replace).map_or_else(|| replace.clone(), |(_, bare)| bare);
            (Some(first), bare, replace)
        }
        None => (None, lines.to_vec(), replace.clone()),
    };
    (bare != *search && !bare.trim_ascii().is_empty()).then_some(Reading {
        start_line: start_line.or(number),
        search: bare,
        replace,
    })
}

/// Lines that all bear their number, `12 | text`, in ascending order: the first number, and the
/// lines without.
fn numbered(text: &[u8]) -> Option<(u64, Vec<u8>)> {
    let mut first = None;
    let mut next = 0u64;
    let mut stripped = Vec::with_capacity(text.len());
    for line in split_lines(text) {
        let rest = line.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number: u64 = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        let rest = rest[digits..].trim_ascii_start().strip_prefix(b"|")?;
        if first.is_some() && number != next {
            return None;
        }
        first.get_or_insert(number);
        next = number.checked_add(1)?;
        stripped.extend_from_slice(rest.strip_prefix(b" ").unwrap_or(rest));
    }
    first.map(|first| (first, stripped))
}
