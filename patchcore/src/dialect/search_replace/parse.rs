//! Reads the blocks.

use super::super::{Options, beneath_root, detect, marks};
use super::{Block, SearchReplace, names};
use crate::digest::Digest;
use crate::error::{Code, Refusal};
use crate::path::RelPath;
use crate::text::{split_lines, trim_ending};

/// Reads every block among the bytes; what stands around them is prose.
pub(in crate::dialect) fn parse(bytes: &[u8], options: &Options) -> Result<SearchReplace, Refusal> {
    let body = bytes.strip_prefix(crate::text::BOM).unwrap_or(bytes);
    let mut reader = Reader {
        lines: split_lines(body).collect(),
        at: 0,
        options,
        last: None,
    };
    let mut blocks = Vec::new();
    while let Some(line) = reader.peek() {
        if marks::is_search(line) {
            blocks.push(reader.block()?);
            continue;
        }
        if marks::is_replace(line) || marks::is_near_word(line) {
            return Err(reader.invalid(
                "a mark outside of a block; a block is SEARCH, =======, REPLACE, in this order",
            ));
        }
        if options.strict && !reader.may_stand_outside(line) {
            return Err(reader.invalid("text around the blocks; --strict refuses that"));
        }
        let next = reader.lines.get(reader.at + 1).copied().unwrap_or_default();
        if let Some(other) = detect::mark(line, next) {
            return Err(reader.invalid(format!(
                "a {other} patch beside search/replace blocks; send them apart"
            )));
        }
        reader.at += 1;
    }
    if blocks.is_empty() {
        return Err(Refusal::new(
            Code::InvalidBatch,
            "the patch holds no block that starts with <<<<<<< SEARCH or ------- SEARCH",
        ));
    }
    Ok(SearchReplace {
        blocks,
        all: options.all,
        strict: options.strict,
        allow_omission: options.allow_omission,
        content: Digest::of(bytes),
    })
}

/// The file of a block.
struct Named {
    path: RelPath,
    /// Whether its name may be something else, see [`names::is_doubtful`].
    doubtful: bool,
}

struct Reader<'a, 'o> {
    /// With their endings.
    lines: Vec<&'a [u8]>,
    at: usize,
    options: &'o Options,
    /// The file of the block before.
    last: Option<RelPath>,
}

impl<'a> Reader<'a, '_> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.lines.get(self.at).map(|line| trim_ending(line))
    }

    fn invalid(&self, message: impl std::fmt::Display) -> Refusal {
        Refusal::new(
            Code::InvalidBatch,
            format!("line {} of the patch: {message}", self.at + 1),
        )
    }

    fn may_stand_outside(&self, line: &[u8]) -> bool {
        let line = line.trim_ascii();
        line.is_empty() || names::is_fence(line) || names::name(line).is_some()
    }

    fn block(&mut self) -> Result<Block, Refusal> {
        let line = self.at + 1;
        let Named { path, doubtful } = self.path()?;
        let sign = self.lines[self.at][0];
        self.at += 1;
        let start_line = self.start_line()?;
        let mut search = Vec::new();
        loop {
            let Some(line) = self.peek() else {
                return Err(self.invalid("the patch ends inside a block, before its ======="));
            };
            if marks::is_divider(line) {
                break;
            }
            if self.is_misplaced(line) {
                return Err(self.invalid("a mark where ======= is due; a line of the file that looks like one is written with a backslash before it"));
            }
            search.extend_from_slice(unescaped(self.lines[self.at]));
            self.at += 1;
        }
        if doubtful && search.trim_ascii().is_empty() {
            return Err(Refusal::new(
                Code::InvalidBatch,
                format!(
                    "line {line} of the patch: the block creates a file, and {path} above it may be no name; write the name in backticks, or say it with --file"
                ),
            ));
        }
        self.at += 1;
        let mut replace = Vec::new();
        loop {
            let Some(line) = self.peek() else {
                // Cline's last block may lack its end, where nothing follows it.
                if sign == b'-' && !self.options.strict {
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
            if self.is_misplaced(line) || marks::is_divider(line) {
                return Err(self.invalid("a mark where the block's REPLACE mark is due; a line of the file that looks like one is written with a backslash before it"));
            }
            replace.extend_from_slice(unescaped(self.lines[self.at]));
            self.at += 1;
        }
        self.last = Some(path.clone());
        let (mut search, mut start_line) = (search, start_line);
        if let Some((first, stripped)) = numbered(&search) {
            search = stripped;
            start_line = start_line.or(Some(first));
            if let Some((_, stripped)) = numbered(&replace) {
                replace = stripped;
            }
        }
        Ok(Block {
            line,
            path,
            start_line,
            search,
            replace,
        })
    }

    /// Whether a line is some mark, or nearly one.
    fn is_misplaced(&self, line: &[u8]) -> bool {
        marks::is_search(line) || marks::is_replace(line) || marks::is_near(line)
    }

    /// Roo's `:start_line:N` and the `-------` below it.
    fn start_line(&mut self) -> Result<Option<u64>, Refusal> {
        let mut start = None;
        while let Some(line) = self.peek() {
            let line = line.trim_ascii();
            let value = line
                .strip_prefix(b":start_line:")
                .or(line.strip_prefix(b":end_line:"));
            match value {
                Some(value) => {
                    let number = std::str::from_utf8(value.trim_ascii())
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
                None if line == b"-------" => {
                    self.at += 1;
                    break;
                }
                None => break,
            }
        }
        Ok(start.filter(|start| *start > 0))
    }

    /// The file of the block at the cursor.
    fn path(&self) -> Result<Named, Refusal> {
        let certain = |path: &RelPath| Named {
            path: path.clone(),
            doubtful: false,
        };
        if let Some(path) = &self.options.file {
            return Ok(certain(path));
        }
        // The three lines above, as aider looks at them: a name, or a fence and a name above it.
        let mut apart = false;
        for back in 1..=3 {
            let Some(above) = self.at.checked_sub(back).and_then(|at| self.lines.get(at)) else {
                break;
            };
            let above = trim_ending(above);
            if marks::is_replace(above) {
                break;
            }
            apart |= above.trim_ascii().is_empty();
            if let Some(name) = names::name(above)
                && (!apart || names::is_certain(above))
            {
                return Ok(Named {
                    path: RelPath::new(beneath_root(name, self.options))?,
                    doubtful: names::is_doubtful(above, name),
                });
            }
            if let (Some(last), Some(other)) = (&self.last, names::mentioned(above))
                && !names::is_fence(above)
                && !last.as_bytes().ends_with(other)
            {
                return Err(self.invalid(format!(
                    "the line above the block speaks of {}, the block before was for {last}; write the path alone on the line above",
                    crate::error::excerpt(other, 120)
                )));
            }
            if !names::is_fence(above) && !above.trim_ascii().is_empty() {
                break;
            }
        }
        match &self.last {
            Some(path) => Ok(certain(path)),
            None => Err(self.invalid(
                "no file name stands above the block; write the path alone on the line before it or its fence, or say it with --file",
            )),
        }
    }
}

/// Roo writes a line that looks like a mark with a backslash before it.
fn unescaped(line: &[u8]) -> &[u8] {
    match line {
        [b'\\', rest @ ..]
            if marks::is_search(rest)
                || marks::is_near(trim_ending(rest))
                || marks::is_replace(trim_ending(rest))
                || marks::is_divider(trim_ending(rest)) =>
        {
            rest
        }
        _ => line,
    }
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
