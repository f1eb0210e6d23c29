//! Parses unified diffs: git's extended format, GNU's, and what models make of them.
//!
//! The parser knows no files: it says what the diff says, in the order in which it says it, names
//! unquoted but not yet stripped. Everything that it had to read kindly is a [`Remark`], so that a
//! strict caller can refuse it. The formats are described in git's `diff-format` documentation and
//! in the manual of GNU diffutils, «Detailed Unified».

mod header;
mod hunk;

use std::collections::HashSet;

use crate::error::Hint;

/// A whole diff.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diff<'a> {
    /// Its files, in order; one file may come more than once.
    pub files: Vec<ParsedFile<'a>>,
    /// What was read kindly.
    pub remarks: Vec<Remark>,
}

/// Something that is not as the format has it, but could be read in one way only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The line of the diff, from 1.
    pub line: usize,
    /// What is odd about it.
    pub what: String,
}

/// Why bytes are no unified diff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the patch: {message}")]
pub struct ParseError {
    /// The line of the diff, from 1.
    pub line: usize,
    /// What is wrong, in lower case.
    pub message: String,
    /// The option that would let it pass, if there is one.
    pub hint: Option<Hint>,
}

/// A name in a `---` or `+++` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `/dev/null`: the file does not exist on this side.
    Null,
    /// A path, not yet stripped.
    Path {
        /// Its bytes, unquoted.
        bytes: Vec<u8>,
        /// Whether its time stamp is the epoch, by which GNU diff says that it does not exist.
        epoch: bool,
    },
}

/// What a diff says of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParsedFile<'a> {
    /// The line of the diff where it starts, from 1.
    pub line: usize,
    /// What follows `diff --git `, where there is such a line.
    pub git: Option<&'a [u8]>,
    /// The name in the `---` line.
    pub old: Option<Name>,
    /// The name in the `+++` line.
    pub new: Option<Name>,
    /// `rename from`, unquoted.
    pub rename_from: Option<Vec<u8>>,
    /// `rename to`, unquoted.
    pub rename_to: Option<Vec<u8>>,
    /// `copy from`, unquoted.
    pub copy_from: Option<Vec<u8>>,
    /// `copy to`, unquoted.
    pub copy_to: Option<Vec<u8>>,
    /// The mode before: of `old mode`, `deleted file mode` or `index`.
    pub old_mode: Option<u32>,
    /// The mode afterwards: of `new mode` or `new file mode`.
    pub new_mode: Option<u32>,
    /// Whether there is a `new file mode` line.
    pub created: bool,
    /// Whether there is a `deleted file mode` line.
    pub deleted: bool,
    /// The blob names of the `index` line.
    pub index: Option<(&'a [u8], &'a [u8])>,
    /// The hunks, in order.
    pub hunks: Vec<Hunk<'a>>,
    /// A `GIT binary patch`.
    pub binary: Option<Binary>,
    /// Whether it only says that binary files differ.
    pub binary_differs: bool,
    /// Whether its first line ends in `\r\n`.
    pub crlf: bool,
}

/// A run of changed lines with context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// The line of the diff where its header stands, from 1.
    pub line: usize,
    /// The ranges of its header; `None` for a number-less `@@ … @@`.
    pub ranges: Option<Ranges>,
    /// What stands behind the second `@@` of its header, mostly the function that it is in.
    pub heading: &'a [u8],
    /// Its lines.
    pub lines: Vec<HunkLine<'a>>,
    /// Why it can be read in more than one way, which only its file can decide.
    pub doubt: Option<Box<Doubt<'a>>>,
}

/// Why a hunk can be read in more than one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt<'a> {
    /// It has all lines that its header counts, and what follows could be more of them. Git drops
    /// what follows without a word.
    Behind {
        /// The line of the diff where they start, from 1.
        line: usize,
        /// The lines that follow, as lines of the hunk.
        lines: Vec<HunkLine<'a>>,
    },
    /// The diff ends before it has all lines that its header counts. Git and GNU patch refuse it,
    /// except that GNU patch supplies blank lines at the end.
    Short {
        /// How many old lines are missing.
        old: u64,
        /// How many new lines are missing.
        new: u64,
    },
    /// Its end is clear, and its header counts other lines than it has: they were miscounted, or
    /// some are lost. Git and GNU patch refuse it.
    Miscounted,
}

/// The line numbers of a hunk header. After [`parse`] the counts are those of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranges {
    /// First old line, from 1; 0 or the line before where `old_count` is 0.
    pub old_start: u64,
    /// How many old lines there are.
    pub old_count: u64,
    /// First new line.
    pub new_start: u64,
    /// How many new lines there are.
    pub new_count: u64,
}

/// The role of a line in a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// In both files.
    Context,
    /// Only in the old file.
    Removed,
    /// Only in the new file.
    Added,
}

/// A line of a hunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HunkLine<'a> {
    /// Where it stands.
    pub role: Role,
    /// Its bytes without the newline; a carriage return before it is kept.
    pub text: &'a [u8],
    /// Whether a newline follows in the file.
    pub newline: bool,
}

impl<'a> Hunk<'a> {
    /// The same hunk the other way around.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let flipped = |lines: &[HunkLine<'a>]| -> Vec<HunkLine<'a>> {
            let flip = |line: &HunkLine<'a>| HunkLine {
                role: line.role.reversed(),
                ..*line
            };
            lines.iter().map(flip).collect()
        };
        let mut lines = flipped(&self.lines);
        // Lines added stand behind the lines removed, as everywhere.
        let mut at = 0;
        while at < lines.len() {
            let run = lines[at..]
                .iter()
                .take_while(|line| line.role != Role::Context)
                .count();
            lines[at..at + run].sort_by_key(|line| line.role == Role::Added);
            at += run.max(1);
        }
        Self {
            line: self.line,
            ranges: self.ranges.map(|ranges| Ranges {
                old_start: ranges.new_start,
                old_count: ranges.new_count,
                new_start: ranges.old_start,
                new_count: ranges.old_count,
            }),
            heading: self.heading,
            lines,
            doubt: self.doubt.as_deref().map(|doubt| {
                Box::new(match doubt {
                    Doubt::Behind { line, lines } => Doubt::Behind {
                        line: *line,
                        lines: flipped(lines),
                    },
                    Doubt::Short { old, new } => Doubt::Short {
                        old: *new,
                        new: *old,
                    },
                    Doubt::Miscounted => Doubt::Miscounted,
                })
            }),
        }
    }
}

impl Role {
    /// The role of the line the other way around.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Context => Self::Context,
            Self::Removed => Self::Added,
            Self::Added => Self::Removed,
        }
    }
}

impl ParsedFile<'_> {
    /// Whether nothing stands below git's header lines.
    fn has_no_body(&self) -> bool {
        let has_names = self.old.is_some() || self.new.is_some();
        !has_names && self.hunks.is_empty() && self.binary.is_none() && !self.binary_differs
    }

    /// Whether its header says more than names and blobs.
    pub(crate) fn says_anything(&self) -> bool {
        self.created
            || self.deleted
            || self.new_mode.is_some()
            || self.rename_to.is_some()
            || self.copy_to.is_some()
            || self.binary.is_some()
            || self.binary_differs
    }

    /// The same change the other way around; a copy, which has no opposite, stays a copy.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            line: self.line,
            git: self.git,
            old: self.new.clone(),
            new: self.old.clone(),
            rename_from: self.rename_to.clone(),
            rename_to: self.rename_from.clone(),
            copy_from: self.copy_to.clone(),
            copy_to: self.copy_from.clone(),
            old_mode: self.new_mode.or(self.old_mode),
            new_mode: self
                .old_mode
                .filter(|_| self.new_mode.is_some() || self.deleted),
            created: self.deleted,
            deleted: self.created,
            index: self.index.map(|(old, new)| (new, old)),
            hunks: self.hunks.iter().map(Hunk::reversed).collect(),
            binary: self.binary.as_ref().map(|binary| Binary {
                line: binary.line,
                forward: binary.reverse.clone(),
                reverse: binary.forward.clone(),
            }),
            binary_differs: self.binary_differs,
            crlf: self.crlf,
        }
    }
}

/// Both directions of a `GIT binary patch`, still packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    /// The line of the diff where it starts, from 1.
    pub line: usize,
    /// From old to new.
    pub forward: Option<BinaryHunk>,
    /// From new to old.
    pub reverse: Option<BinaryHunk>,
}

/// One direction of a binary patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryHunk {
    /// Whether `data` is a delta on the old bytes, instead of all new bytes.
    pub delta: bool,
    /// Length of the unpacked data, in bytes, as stated.
    pub size: u64,
    /// The packed (zlib) data.
    pub data: Vec<u8>,
}

/// How hunk headers are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Counts {
    /// They are checked against the body, and mended where the body's end is clear.
    #[default]
    Checked,
    /// They are ignored, and the lines counted again.
    Recount,
}

/// How to parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ParseOptions {
    /// How the counts of hunk headers are taken.
    pub counts: Counts,
    /// Whether hunks may come without a file header, since the caller knows the file.
    pub headerless: bool,
}

/// Parses a unified diff, prose and fences around it included.
///
/// A diff without any file is fine here and has no files.
///
/// ```
/// use patchcore::diff::parse::{ParseOptions, parse};
/// let diff = parse(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", ParseOptions::default())?;
/// assert_eq!(diff.files[0].hunks[0].lines.len(), 2);
/// # Ok::<(), patchcore::diff::parse::ParseError>(())
/// ```
///
/// # Errors
/// [`ParseError`] for what cannot be read in one way: overflowing or truncated hunks, headers that
/// contradict one another, hunks without a file, combined and context diffs.
pub fn parse(bytes: &[u8], options: ParseOptions) -> Result<Diff<'_>, ParseError> {
    let (diff, faults) = parse_all(bytes, options, 1);
    match faults.all.into_iter().next() {
        None => Ok(diff),
        Some(first) => Err(first),
    }
}

/// Parses a unified diff, and goes on behind each fault with the next hunk or file, until there are
/// `most`: what could be read, and the faults in the order of their lines.
pub(crate) fn parse_all(bytes: &[u8], options: ParseOptions, most: usize) -> (Diff<'_>, Faults) {
    let mut parser = Parser {
        cursor: Cursor::new(bytes),
        options,
        diff: Diff::default(),
        current: None,
        between: None,
        is_lost: false,
        faults: Faults {
            all: Vec::new(),
            files: HashSet::new(),
            most,
        },
    };
    parser.run();
    parser.faults.all.sort_by_key(|fault| fault.line);
    (parser.diff, parser.faults)
}

/// What could not be read of a diff.
pub(crate) struct Faults {
    pub(crate) all: Vec<ParseError>,
    /// The lines where the files start that the faults are in.
    pub(crate) files: HashSet<usize>,
    most: usize,
}

impl Faults {
    fn push(&mut self, fault: ParseError) {
        if !self.is_full() {
            self.all.push(fault);
        }
    }

    fn is_full(&self) -> bool {
        self.all.len() >= self.most
    }
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    options: ParseOptions,
    diff: Diff<'a>,
    /// Whether a hunk met now belongs to the last file.
    current: Option<Current>,
    /// A line below the last hunk for which a hunk met now may belong to another file, or another
    /// one be lost, and what it is.
    between: Option<(usize, String)>,
    /// Whether a hunk without a file was met, to which the hunks below it belong.
    is_lost: bool,
    faults: Faults,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Current {
    /// Right behind its header or a hunk.
    Adjacent,
    /// Something stands between.
    Apart,
}

impl<'a> Parser<'a> {
    fn run(&mut self) {
        while !self.faults.is_full()
            && let Some(line) = self.cursor.peek()
        {
            let start = self.cursor.at;
            if let Err(fault) = self.part(line) {
                self.faults.push(fault);
                let file = self.diff.files.last();
                self.faults.files.extend(file.map(|file| file.line));
                if self.cursor.at == start {
                    self.cursor.advance();
                }
                self.skip_to_part();
            }
        }
    }

    /// Reads what starts at the cursor: a header, a hunk, a line that is no part of the diff.
    fn part(&mut self, line: &'a [u8]) -> Result<(), ParseError> {
        if line.starts_with(b"diff --git ") {
            self.git_file();
        } else if line.starts_with(b"diff --cc ") || line.starts_with(b"diff --combined ") {
            let fault = self.error(
                "a combined diff of a merge cannot be applied; send one against a single parent",
            );
            self.skip_while(|line| !line.starts_with(b"diff "));
            return Err(fault);
        } else if opens_plain_file(&self.cursor) {
            self.plain_file();
        } else if line.starts_with(b"*** ")
            && self.next_starts_with(b"--- ")
            && self.cursor.nth(2).is_some_and(|l| l.starts_with(b"*****"))
        {
            let fault = self.error("this is a context diff; send a unified diff (diff -u)");
            // All of its files are in that form.
            self.skip_while(|_| true);
            return Err(fault);
        } else if line.starts_with(b"@@@") {
            let fault = self.error(
                "a combined diff of a merge cannot be applied; send one against a single parent",
            );
            self.skip_while(|line| !line.starts_with(b"diff "));
            return Err(fault);
        } else if line.starts_with(b"@@") {
            self.hunk_at_cursor()?;
        } else if let Err(fault) = self.check_mail_header(line) {
            // Its lines are none of a diff, up to the next mail.
            self.skip_while(|line| !line.starts_with(b"From "));
            return Err(fault);
        } else {
            self.check_stray_header(line)?;
            self.skip_prose(line);
        }
        Ok(())
    }

    /// Refuses a line of git's header that something stands above: what it says of the file would be
    /// left out.
    fn check_stray_header(&self, line: &[u8]) -> Result<(), ParseError> {
        let is_open = |file: &ParsedFile<'_>| file.git.is_some() && file.has_no_body();
        match header::is_extended(line) && self.diff.files.last().is_some_and(is_open) {
            true => Err(self.error(
                "a line of a file's header that does not stand right below the others; take out what is between",
            )),
            false => Ok(()),
        }
    }

    /// Goes to the next line that opens a hunk or a file, from which on the diff can be read again.
    fn skip_to_part(&mut self) {
        self.between = None;
        while let Some(line) = self.cursor.peek() {
            if line.starts_with(b"@@")
                || line.starts_with(b"diff ")
                || line.starts_with(b"Index: ")
                || line.starts_with(b"From ")
                || opens_plain_file(&self.cursor)
            {
                return;
            }
            self.cursor.advance();
        }
    }

    /// Goes on behind the line at the cursor and those below it that are like that.
    fn skip_while(&mut self, is_part: impl Fn(&[u8]) -> bool) {
        self.cursor.advance();
        while self.cursor.peek().is_some_and(&is_part) {
            self.cursor.advance();
        }
    }

    fn hunk_at_cursor(&mut self) -> Result<(), ParseError> {
        if let Some((line, what)) = self.between.take().filter(|_| self.current.is_some()) {
            return Err(self.error(format!(
                "a hunk below {what} on line {line}; write the header that is missing above it"
            )));
        }
        match self.current {
            Some(Current::Adjacent) => {}
            Some(Current::Apart) => self.remark("there is text between the hunks of a file"),
            None if self.options.headerless => {
                self.diff.files.push(ParsedFile {
                    line: self.cursor.line,
                    ..ParsedFile::default()
                });
            }
            None => {
                let fault = "a hunk without a file name above it; write --- and +++ lines first";
                let fault = self.error(fault);
                self.cursor.advance();
                // Those below it lack the same name.
                if std::mem::replace(&mut self.is_lost, true) {
                    self.skip_to_part();
                    return Ok(());
                }
                return Err(fault);
            }
        }
        self.current = Some(Current::Adjacent);
        let hunk = self.hunk()?;
        let file = self.diff.files.last_mut().expect("a hunk has a file");
        file.hunks.push(hunk);
        Ok(())
    }

    /// Refuses a mail whose lines are not those of the diff in it. `git am` decodes it, `git apply`
    /// and GNU patch take its lines as they are.
    fn check_mail_header(&self, line: &[u8]) -> Result<(), ParseError> {
        let is_header = line
            .first()
            .is_some_and(|byte| matches!(byte, b'C' | b'c' | b' ' | b'\t'));
        if !is_header || line.len() > 998 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        let what = if let Some(encoding) = lower.strip_prefix(b"content-transfer-encoding:") {
            let rest = &self.cursor.bytes[self.cursor.at + line.len()..];
            match encoding.trim_ascii() {
                b"quoted-printable" if rest.contains(&b'=') => "in quoted-printable",
                b"base64" => "in base64",
                _ => return Ok(()),
            }
        } else if is_content_type(&lower) {
            match memchr::memmem::find(&lower, b"format=flowed") {
                Some(_) if self.current.is_none() => "in format=flowed",
                _ => return Ok(()),
            }
        } else {
            return Ok(());
        };
        Err(self.error(format!(
            "the patch is a mail {what}, whose lines are not those of the patch; decode it with git mailinfo, or send the patch itself"
        )))
    }

    /// Skips a line that is no part of the diff.
    fn skip_prose(&mut self, line: &'a [u8]) {
        if line.starts_with(b"Property changes on: ") {
            self.remark("changes of properties are not applied");
            let is_bare = |file: &ParsedFile<'_>| !file.says_anything() && file.hunks.is_empty();
            // A header whose file has nothing but its properties changed.
            if self.diff.files.last().is_some_and(is_bare) {
                self.diff.files.pop();
                self.current = None;
            }
        }
        self.note_name(line, self.cursor.line);
        if matches!(line[0], b'+' | b'-') && self.between.is_none() {
            self.between = Some((self.cursor.line, "a change that belongs to no hunk".into()));
        }
        if self.current == Some(Current::Adjacent) && !is_blank(line) {
            self.current = Some(Current::Apart);
        }
        if line.trim_ascii_start().starts_with(b"```") {
            self.remark("there is a fence around the diff");
            // What follows a fence starts anew.
            self.current = None;
        }
        self.cursor.advance();
    }

    /// Notes a name of another file in a line that is no part of a hunk.
    fn note_name(&mut self, line: &'a [u8], number: usize) {
        let Some(file) = self.diff.files.last().filter(|_| self.between.is_none()) else {
            return;
        };
        let is_known = |name: &[u8]| {
            let of = |side: &Option<Name>| match side {
                Some(Name::Path { bytes, .. }) => ends_in_name(bytes, name),
                _ => false,
            };
            let in_git = |git: &[u8]| memchr::memmem::find(git, name).is_some();
            of(&file.old) || of(&file.new) || file.git.is_some_and(in_git)
        };
        let name = names_in(line).find(|name| !is_known(name));
        let name = name.map(String::from_utf8_lossy);
        self.between =
            name.map(|name| (number, format!("text that names another file, {name:?},")));
    }

    fn next_starts_with(&self, prefix: &[u8]) -> bool {
        self.cursor
            .nth(1)
            .is_some_and(|line| line.starts_with(prefix))
    }

    fn remark(&mut self, what: impl Into<String>) {
        self.diff.remarks.push(Remark {
            line: self.cursor.line,
            what: what.into(),
        });
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError {
            line: self.cursor.line,
            message: message.into(),
            hint: None,
        }
    }
}

/// Whether a `---` and a `+++` line stand at the cursor; one of them may be missing.
fn opens_plain_file(cursor: &Cursor<'_>) -> bool {
    let next_is = |prefix: &[u8]| cursor.nth(1).is_some_and(|line| line.starts_with(prefix));
    let is_old = |line: &[u8]| line.starts_with(b"--- ");
    cursor.peek().is_some_and(|line| {
        (is_old(line) && next_is(b"+++ "))
            || ((is_old(line) || line.starts_with(b"+++ ")) && next_is(b"@@ -"))
    })
}

/// The words of a line that look like the name of a file: with a slash, or an extension, or behind
/// a word that says so.
fn names_in(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_labelled = [&b"Index: "[..], b"File: ", b"file: "]
        .iter()
        .any(|label| line.starts_with(label));
    let words = line.split(|byte| byte.is_ascii_whitespace() || b"`\"',()[]<>".contains(byte));
    let words = words.map(bare_word).filter(|word| !word.is_empty());
    let named = words
        .enumerate()
        .filter(move |(index, word)| (is_labelled && *index == 1) || looks_like_a_name(word));
    named.map(|(_, word)| word)
}

/// A word without the signs around it.
fn bare_word(word: &[u8]) -> &[u8] {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || *byte == b'_';
    let starts = |byte: &u8| is_letter(byte) || matches!(byte, b'.' | b'/');
    let start = word.iter().position(starts).unwrap_or(word.len());
    let end = word
        .iter()
        .rposition(is_letter)
        .map_or(start, |last| last + 1);
    word.get(start..end).unwrap_or_default()
}

fn looks_like_a_name(word: &[u8]) -> bool {
    let has = |what: &[u8]| memchr::memmem::find(word, what).is_some();
    if word.len() < 3 || has(b"://") || has(b"@") || matches!(word, b"and/or" | b"e.g" | b"i.e") {
        return false;
    }
    let last = word.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let extension = last
        .iter()
        .rposition(|byte| *byte == b'.')
        .map(|dot| &last[dot + 1..]);
    let is_extension = |extension: &[u8]| {
        (1..=8).contains(&extension.len())
            && extension[0].is_ascii_alphabetic()
            && extension.iter().all(u8::is_ascii_alphanumeric)
    };
    let slash = word.contains(&b'/') && word.iter().any(u8::is_ascii_alphabetic);
    slash || extension.is_some_and(is_extension)
}

/// Whether a path ends in a name, or is the end of one that has a component more in front.
fn ends_in_name(path: &[u8], name: &[u8]) -> bool {
    let below = |long: &[u8], short: &[u8]| {
        long.strip_suffix(short)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
    };
    let inner = name.iter().position(|byte| *byte == b'/');
    below(path, name) || inner.is_some_and(|slash| below(path, &name[slash + 1..]))
}

/// Whether a line in lower case is a mail's header for its type, or goes on with one.
fn is_content_type(line: &[u8]) -> bool {
    let parameter = line.trim_ascii_start();
    line.starts_with(b"content-type:")
        || (parameter.len() < line.len()
            && [&b"format="[..], b"charset=", b"delsp="]
                .iter()
                .any(|name| parameter.starts_with(name)))
}

/// A place in the diff, by bytes and lines.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Cursor<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let at = if bytes.starts_with(crate::text::BOM) {
            3
        } else {
            0
        };
        Self { bytes, at, line: 1 }
    }

    /// The line here, its newline included; `None` at the end.
    fn peek(&self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        if rest.is_empty() {
            return None;
        }
        let end = crate::bytes::find(b'\n', rest).map_or(rest.len(), |at| at + 1);
        Some(&rest[..end])
    }

    /// The line that many lines further on.
    fn nth(mut self, count: usize) -> Option<&'a [u8]> {
        for _ in 0..count {
            self.advance();
        }
        self.peek()
    }

    fn advance(&mut self) {
        if let Some(line) = self.peek() {
            self.at += line.len();
            self.line += 1;
        }
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.trim_ascii().is_empty()
}

#[cfg(test)]
#[path = "parse/tests.rs"]
mod tests;
