//! The comment: text made safe for a language, laid out in lines, and found again above a line.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::Scanner;
use super::context::Context;
use super::injected;
use crate::digest::Hasher;

use super::style::{
    BLOCK, CSS, CommentStyle, GO, HASH, HTML, JSX_CHILD, PHP, PHP_TAG, SCRIPT, SLASHES, Trim,
};

/// What a comment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The placeholder belongs to the task with this id.
    Task(String),
    /// What an agent is to do at the placeholder.
    Prompt(String),
}

/// Starts the text of a comment that names a task.
pub(super) const TASK: &str = "TASK_ID:";
/// Ends it.
const TASK_END: &str = " – see .mission_control/tasks.json";
/// Starts the text of a comment that holds a prompt.
const PROMPT: &str = "agent:";

/// Which of the two comments it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommentKind {
    Task,
    Prompt,
}

impl Mark {
    pub(super) fn kind(&self) -> CommentKind {
        match self {
            Self::Task(_) => CommentKind::Task,
            Self::Prompt(_) => CommentKind::Prompt,
        }
    }

    /// The text; `name` is the placeholder's where the comment does not stand right above it.
    fn text(&self, name: Option<&str>) -> String {
        let name = name.map_or_else(String::new, |name| format!(" [{name}]"));
        match self {
            Self::Task(id) => format!("{TASK}{}{name}{TASK_END}", id.trim()),
            Self::Prompt(prompt) => format!("{PROMPT}{name} {}", prompt.trim()),
        }
    }
}

/// The lines of a comment, without indentation and endings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comment {
    lines: Vec<String>,
    style: &'static CommentStyle,
}

impl Comment {
    /// Lays a mark out in a style; `None` where a syntax of the scanner matches whatever is done
    /// to the text. Below documentation a comment is `plain`: no documentation itself.
    pub(super) fn new(
        mark: &Mark,
        name: Option<&str>,
        style: &'static CommentStyle,
        trim: Trim,
        plain: bool,
        scanner: &Scanner,
    ) -> Option<Self> {
        let prompt = matches!(mark, Mark::Prompt(_));
        let [open, close] = style.around(prompt && !plain, trim);
        let text = mark.text(name);
        let mut lines: Vec<String> = text_lines(&text)
            .enumerate()
            .filter(|(index, line)| *index == 0 || style.blanks || !line.trim().is_empty())
            .map(|(index, line)| {
                let mut safe = defuse(line, style.forbidden, index > 0);
                if index > 0 && style.documents() {
                    hide_tag(&mut safe);
                }
                let start = if index == 0 { open } else { style.next };
                let mut whole = format!("{start}{safe}");
                whole.truncate(whole.trim_end().len());
                whole
            })
            .collect();
        lines.last_mut()?.push_str(close);
        for line in &mut lines {
            break_placeholders(line, scanner)?;
        }
        Some(Self { lines, style })
    }

    /// The same, taking away what an older one takes away: what is printed around it stays.
    pub(super) fn in_form_of(&self, older: &[u8]) -> Self {
        let style = self.style;
        let mut lines = self.lines.clone();
        if style.trims.is_some() {
            let [open, close] = style.around(false, style.trim_of(older));
            for (line, is_first) in [(0, true), (lines.len() - 1, false)] {
                let text = lines[line].as_bytes();
                let text = match is_first {
                    true => style.strip_opener(text),
                    false => style.strip_closer(text),
                };
                let text = String::from_utf8_lossy(text.unwrap_or_default().trim_ascii_end());
                lines[line] = match is_first {
                    true => format!("{}{text}", open.trim_end()),
                    false => format!("{text}{close}"),
                };
            }
        }
        Self { lines, style }
    }

    /// The comment as bytes of a file, each line ended.
    pub(super) fn to_bytes(&self, indentation: &[u8], ending: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in &self.lines {
            bytes.extend_from_slice(indentation);
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(ending);
        }
        bytes
    }

    /// The words of the comment: formatters change its white space, and how its lines start.
    pub(super) fn words(&self) -> String {
        words(self.lines.iter().map(String::as_bytes), self.style)
    }
}

/// The words of a comment, from its lines, without what makes them a comment.
fn words<'a>(lines: impl Iterator<Item = &'a [u8]>, style: &'static CommentStyle) -> String {
    let mut words = Words::new(style);
    lines.for_each(|line| words.add(line));
    words.text
}

/// Collects the words of a comment, line by line: each line is read once, however many forms the
/// comment may have.
struct Words {
    style: &'static CommentStyle,
    lines: usize,
    text: String,
    /// Of the first bytes of the text.
    hasher: Hasher,
    hashed: usize,
}

impl Words {
    fn new(style: &'static CommentStyle) -> Self {
        Self {
            style,
            lines: 0,
            text: String::new(),
            hasher: Hasher::default(),
            hashed: 0,
        }
    }

    fn add(&mut self, line: &[u8]) {
        let style = self.style;
        let next = style.next.trim_ascii().as_bytes();
        let mut line = line.trim_ascii();
        if self.lines == 0 || style.is_line() {
            line = style.strip_opener(line).unwrap_or(line);
        }
        if !style.is_line()
            && let Some(rest) = style.strip_closer(line)
        {
            line = rest.strip_suffix(b"*").unwrap_or(rest);
        }
        line = line.trim_ascii();
        if !style.is_line() && !next.is_empty() {
            line = line.strip_prefix(next).unwrap_or(line);
        }
        for word in line
            .split(u8::is_ascii_whitespace)
            .filter(|w| !w.is_empty())
        {
            if !self.text.is_empty() {
                self.text.push(' ');
            }
            self.text.push_str(&String::from_utf8_lossy(word));
        }
        self.lines += 1;
    }

    /// The checksum of the words so far.
    fn sum(&mut self) -> String {
        self.hasher.update(&self.text.as_bytes()[self.hashed..]);
        self.hashed = self.text.len();
        injected::shortened(self.hasher.clone().finish())
    }
}

/// The comment with the white space at both ends of its lines aside: by this, manifests of earlier
/// versions know it.
#[derive(Default)]
struct Normal {
    hasher: Hasher,
    is_begun: bool,
}

impl Normal {
    fn add(&mut self, line: &[u8]) {
        if self.is_begun {
            self.hasher.update(b"\n");
        }
        let line = String::from_utf8_lossy(line.trim_ascii());
        self.hasher.update(line.as_bytes());
        self.is_begun |= !line.is_empty();
    }

    fn sum(&self) -> String {
        injected::shortened(self.hasher.clone().finish())
    }
}

/// Splits at everything that some language takes for the end of a line.
fn text_lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let is_end = |c| {
            matches!(
                c,
                '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
            )
        };
        let Some(at) = text.find(is_end) else {
            rest = None;
            return Some(text);
        };
        let ending = match &text[at..] {
            tail if tail.starts_with("\r\n") => 2,
            tail => tail.chars().next().map_or(1, char::len_utf8),
        };
        rest = Some(&text[at + ending..]);
        Some(&text[..at])
    })
}

/// Sequences that mean something to a CI system wherever they stand in a line.
const COMMANDS: [&str; 2] = ["##[", "##vso["];

/// What compilers, linters, editors and coverage tools look for in any comment.
const DIRECTIVES: [&str; 36] = [
    "coding:",
    "coding=",
    "-*-",
    "vim:",
    "vi:",
    "ex:",
    "frozen_string_literal",
    "frozen-string-literal",
    "shareable_constant_value",
    "warn_indent",
    "eslint",
    "tslint",
    "jshint",
    "jslint",
    "biome-ignore",
    "deno-",
    "prettier-ignore",
    "stylelint",
    "istanbul",
    "c8 ignore",
    "v8 ignore",
    "node:coverage",
    "webpack",
    "sourceMappingURL",
    "sourceURL",
    "pragma",
    "PRAGMA",
    "noqa",
    "nosec",
    "pylint:",
    "rubocop:",
    "shellcheck",
    "luacheck",
    "NOLINT",
    "nolint",
    "NOSONAR",
];

/// What such tools look for at the start of a comment: a line of one that ends with its line.
const STARTS: [&str; 42] = [
    "type:",
    "mypy:",
    "pyright:",
    "pyre-",
    "ruff:",
    "flake8",
    "isort:",
    "fmt:",
    "fmt off",
    "fmt on",
    "yapf:",
    "bandit:",
    "line ",
    "go:",
    "+build",
    "lint:",
    "export ",
    "extern ",
    "cgo ",
    "clang-format",
    "IWYU",
    "global ",
    "globals ",
    "exported ",
    "syntax",
    "escape",
    "check=",
    "yaml-language-server",
    "yamllint",
    "renovate:",
    "checkov:",
    "tfsec:",
    "tflint",
    "trivy:",
    "swiftlint:",
    "swift-",
    "ktlint",
    "sorbet",
    "typed:",
    "steep:",
    "endregion",
    "region",
];

/// Breaks up what documentation comments take for tags: `@type`, `@ts-ignore`, `@jsx`.
fn break_tags(text: &mut String) {
    if !text.contains('@') {
        return;
    }
    let mut broken = String::with_capacity(text.len() + 8);
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        broken.push(c);
        let tag = c == '@' && !before.is_alphanumeric();
        if tag && rest.peek().is_some_and(|next| !next.is_whitespace()) {
            broken.push(' ');
        }
        before = c;
    }
    *text = broken;
}

/// Hides what starts a tag at the start of a line of documentation, a blank behind it or not.
fn hide_tag(text: &mut String) {
    let start = text.trim_start().trim_start_matches(['*', ' ', '\t']);
    if start.starts_with('@') {
        let at = text.len() - start.len();
        text.replace_range(at..=at, "<U+0040>");
    }
}

/// Breaks up what means something at the start of a comment.
fn break_start(text: &mut String) {
    let at = text.len() - text.trim_start().len();
    // Behind a mark of documentation, too.
    let start =
        text[at..].trim_start_matches(['#', '/', '!', '*', '-', ';', '|', ' ', '\t', ':', '+']);
    let start = text.len() - start.len();
    let marked = text[at..start].contains('+') && text[start..].starts_with("build");
    if marked || STARTS.iter().any(|word| text[start..].starts_with(word)) {
        let first = text[start..].chars().next().map_or(0, char::len_utf8);
        text.insert(start + first, ' ');
    }
}

/// A line of text that cannot leave the comment.
fn defuse(line: &str, forbidden: &[&str], continuation: bool) -> String {
    let mut text = String::with_capacity(line.len() + 8);
    for c in line.trim_end().chars() {
        if is_unsafe(c) || forbidden.iter().any(|f| f.len() == 1 && f.starts_with(c)) {
            text.push_str(&format!("<U+{:04X}>", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    let pairs = forbidden.iter().filter(|sequence| sequence.len() > 1);
    for sequence in pairs.chain(&COMMANDS).chain(&DIRECTIVES) {
        break_sequence(&mut text, sequence);
    }
    break_tags(&mut text);
    if continuation {
        break_start(&mut text);
    }
    // A backslash or caret at the end would take the next line into the comment.
    if text.ends_with(['\\', '^']) {
        text.push_str(" .");
    }
    // CI systems take a line that starts so for a command, indented or not; the others would look
    // like another comment of ours.
    if continuation
        && ["::", TASK, PROMPT].iter().any(|start| {
            text.trim_start()
                .trim_start_matches(['*', ' '])
                .starts_with(start)
        })
    {
        let start = text
            .find(|c: char| !c.is_whitespace() && c != '*')
            .unwrap_or(0);
        text.insert(start + 1, ' ');
    }
    text
}

/// Puts a space behind the first character of each occurrence, in one pass.
fn break_sequence(text: &mut String, sequence: &str) {
    let first = sequence.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    if !text.contains(sequence) {
        return;
    }
    let mut broken = String::with_capacity(text.len() + 8);
    while let Some(at) = text[from..].find(sequence) {
        broken.push_str(&text[from..from + at + first]);
        broken.push(' ');
        from += at + first;
    }
    broken.push_str(&text[from..]);
    *text = broken;
}

/// Characters that no comment should hold: controls but the tab, those that reorder text, and what
/// is no character in XML.
fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Breaks up what the scanner would take for a placeholder; `None` where that does not help.
fn break_placeholders(line: &mut String, scanner: &Scanner) -> Option<()> {
    // Each pass shortens the longest run of delimiters by one at least.
    for _ in 0..=line.len().min(1000) {
        let starts: Vec<usize> = {
            let found = scanner.find(line.as_bytes());
            found
                .iter()
                .map(|placeholder| placeholder.span.start)
                .collect()
        };
        if starts.is_empty() {
            return Some(());
        }
        for start in starts.into_iter().rev() {
            let first = line[start..].chars().next().map_or(1, char::len_utf8);
            line.insert(start + first, ' ');
        }
    }
    None
}

/// A comment that looks like one of ours.
#[derive(Debug)]
pub(super) struct Existing {
    pub(super) kind: CommentKind,
    /// The starts of its lines and the end of the last; behind `own` lines it may go on, if a
    /// formatter laid it out again.
    ends: Vec<usize>,
    own: usize,
    style: &'static CommentStyle,
}

impl Existing {
    /// Its lines, endings included.
    pub(super) fn span(&self) -> Range<usize> {
        self.ends[0]..self.ends[self.own]
    }

    /// What it says in as many lines as it has by its layout, and then in as many as it may have
    /// after a formatter laid it out again, the most first.
    pub(super) fn forms(&self, bytes: &[u8]) -> Forms {
        let mut words = Words::new(self.style);
        let mut normal = Normal::default();
        let mut forms: Vec<Form> = Vec::with_capacity(self.ends.len());
        let mut own = 0;
        for (index, ends) in self.ends.windows(2).enumerate() {
            let text = &bytes[ends[0]..ends[1]];
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            for line in text.split(|&b| b == b'\n') {
                words.add(line);
                normal.add(line);
            }
            let is_bare = |text: &[u8]| {
                self.style.is_line() && text.trim_ascii() == self.style.opener().as_bytes()
            };
            // Our text ends with a word: a last line without one is somebody else's.
            if index > 0 && is_bare(text) && index + 1 != self.own {
                continue;
            }
            if index + 1 == self.own {
                own = forms.len();
            }
            // But where a formatter puts one: right below ours is the placeholder's line, or code.
            let below = self.ends.get(index + 2).copied();
            let below = below.filter(|below| {
                self.style.bare_below && index > 0 && is_bare(&bytes[ends[1]..*below])
            });
            forms.push(Form {
                end: below.unwrap_or(ends[1]),
                words: words.text.len(),
                sums: [words.sum(), normal.sum()],
                is_short: index < MORE_LINES,
            });
        }
        let own = forms.remove(own);
        forms.push(own);
        forms.reverse();
        Forms {
            text: words.text,
            forms,
        }
    }
}

/// What a comment says, in each number of lines that it may have; by its layout first.
#[derive(Debug)]
pub(super) struct Forms {
    /// The words of all lines.
    text: String,
    forms: Vec<Form>,
}

/// What a comment says in so many lines.
#[derive(Debug)]
pub(super) struct Form {
    /// Where its last line ends.
    pub(super) end: usize,
    /// The checksum of its words, and that of the form of earlier versions.
    pub(super) sums: [String; 2],
    /// The bytes of its words.
    words: usize,
    /// Whether it has few lines.
    is_short: bool,
}

impl Forms {
    pub(super) fn iter(&self) -> std::slice::Iter<'_, Form> {
        self.forms.iter()
    }

    /// The words in as many lines as the comment has by its layout.
    pub(super) fn words(&self) -> &str {
        &self.text[..self.forms[0].words]
    }

    /// The task that the comment names in one of its forms, and its placeholder.
    pub(super) fn task_of(&self, form: &Form) -> Option<(&str, Option<&str>)> {
        // It is one line of ours, whatever a formatter makes of it.
        form.is_short.then(|| task_of(&self.text[..form.words]))?
    }
}

/// The task that a comment of these words names, and its placeholder, if nobody edited it.
pub(super) fn task_of(words: &str) -> Option<(&str, Option<&str>)> {
    let text = words.strip_prefix(TASK)?.strip_suffix(TASK_END)?;
    match text.split_once(" [") {
        Some((task, name)) => Some((task, Some(name.strip_suffix(']')?))),
        None => Some((text, None)),
    }
}

/// The placeholder that a comment of these words may name.
pub(super) fn name_of(words: &str) -> Option<&str> {
    let rest = match words.strip_prefix(PROMPT) {
        Some(rest) => rest.strip_prefix(" [")?,
        None => words.split_once(" [")?.1,
    };
    rest.split_once(']').map(|(name, _)| name)
}

/// Lines behind a comment that may be its, too.
const MORE_LINES: usize = 64;

/// All comments of a file that look like ours, in its order.
pub(super) fn all(bytes: &[u8], context: &Context) -> Vec<Existing> {
    let mut found: Vec<Existing> = Vec::new();
    let mut closers = Closers::new(bytes);
    let mut floor = 0;
    for line in starts(bytes) {
        if line < floor {
            continue;
        }
        let Some(style) = context.style_of_line(bytes, line) else {
            continue;
        };
        // Styles of earlier versions.
        let former = match style {
            _ if *style == SLASHES || *style == GO => Some(&BLOCK),
            _ if *style == PHP_TAG => Some(&HTML),
            _ => None,
        };
        let styles = [Some(style), former];
        let is_free = |at: usize| context.style_of_line(bytes, at).is_some();
        let existing = styles
            .into_iter()
            .flatten()
            .find_map(|style| comment_at(&mut closers, line, style, &is_free));
        if let Some(existing) = existing {
            floor = existing.span().end;
            found.push(existing);
        }
    }
    found
}

/// Whether a text may hold comments like ours.
pub(super) fn may_hold(bytes: &[u8]) -> bool {
    let has = |mark: &str| memchr::memmem::find(bytes, mark.as_bytes()).is_some();
    has(TASK) || has(PROMPT)
}

/// The text without what comments of these checksums say, for those who look for structure in it:
/// a prompt may hold any mark of the language, and must not be read as one where it is not certain
/// what a comment is. `None` where there is no such comment.
pub(super) fn masked(
    bytes: &[u8],
    base: Option<&'static CommentStyle>,
    known: &HashSet<String>,
) -> Option<Vec<u8>> {
    if known.is_empty() {
        return None;
    }
    let embedded = [&SCRIPT, &CSS, &PHP, &JSX_CHILD, &HASH, &HTML, &BLOCK].map(Some);
    let styles = || [base].into_iter().chain(embedded).flatten();
    let mut masked: Option<Vec<u8>> = None;
    let mut closers = Closers::new(bytes);
    let mut floor = 0;
    let starts = starts(bytes);
    // The lines that open a comment like ours, of each style.
    let opened = styles().map(|style| -> Vec<usize> {
        let lines = starts.iter().copied();
        lines
            .filter(|line| opens(bytes, *line, style).is_some())
            .collect()
    });
    let opened: Vec<_> = opened.collect();
    for line in starts {
        if line < floor {
            continue;
        }
        let found = styles().zip(&opened).find_map(|(style, opened)| {
            let existing = comment_at(&mut closers, line, style, &|_| true)?;
            // No text of ours opens another.
            let next = opened.get(opened.partition_point(|other| *other <= line));
            if next.is_some_and(|next| *next < existing.span().end) {
                return None;
            }
            let forms = existing.forms(bytes);
            let is_known = |form: &&Form| form.sums.iter().any(|sum| known.contains(sum));
            let form = forms.iter().find(is_known)?;
            Some((style, form.end))
        });
        let Some((style, end)) = found else {
            continue;
        };
        floor = end;
        let masked = masked.get_or_insert_with(|| bytes.to_vec());
        blank(masked, line..end, style);
    }
    masked
}

/// Overwrites what a comment says with blanks, and leaves what opens and closes it.
fn blank(bytes: &mut [u8], comment: Range<usize>, style: &CommentStyle) {
    let Range { start, end } = comment;
    let mut from = start;
    while from < end {
        let next = crate::bytes::find(b'\n', &bytes[from..end]).map_or(end, |n| from + n + 1);
        let text = &bytes[from..next];
        let indent = text.len() - text.trim_ascii_start().len();
        let trimmed = from + text.trim_ascii_end().len();
        let keeps = style.is_line() || from == start;
        let bare = text.trim_ascii();
        let opened = style.strip_opener(bare).filter(|_| keeps);
        let first = from + indent + bare.len() - opened.unwrap_or(bare).len();
        let closed = style.strip_closer(bare).filter(|_| next == end);
        let close = bare.len() - closed.unwrap_or(bare).len();
        if first < trimmed.saturating_sub(close) {
            bytes[first..trimmed - close].fill(b' ');
        }
        from = next;
    }
}

/// Lines above that are looked at for documentation.
const MOST_ABOVE: usize = 64;

/// Whether documentation (`/** … */`) stands above an offset, with nothing but the start of what it
/// documents between them. Another such comment there would take its place.
pub(super) fn is_below_documentation(bytes: &[u8], at: usize) -> bool {
    let mut above = &bytes[..at];
    for _ in 0..MOST_ABOVE {
        above = above.trim_ascii_end();
        if let Some(inner) = above.strip_suffix(b"*/") {
            let Some(open) = memchr::memmem::rfind(inner, b"/*") else {
                return false;
            };
            let comment = &inner[open + 2..];
            if comment.starts_with(b"*") && kind_of(comment).is_none() {
                return true;
            }
            above = &above[..open];
            continue;
        }
        let start = crate::bytes::rfind(b'\n', above).map_or(0, |newline| newline + 1);
        let line = &above[start..];
        let from = memchr::memmem::rfind(line, b"*/").map_or(0, |close| close + 2);
        let text = line[from..].trim_ascii_start();
        let remark = text.starts_with(b"//") || text.starts_with(b"#") && !text.starts_with(b"#[");
        let ends_statement = |byte: &u8| matches!(byte, b';' | b'{' | b'}');
        if !remark && text.iter().any(ends_statement) {
            return false;
        }
        above = &above[..start + from];
    }
    false
}

/// The starts of the lines in which comments like ours may begin, in their order.
fn starts(bytes: &[u8]) -> Vec<usize> {
    let mut marks: Vec<usize> = [TASK, PROMPT]
        .iter()
        .flat_map(|mark| memchr::memmem::find_iter(bytes, mark.as_bytes()))
        .collect();
    marks.sort_unstable();
    let mut starts = Vec::new();
    let mut end = 0;
    for mark in marks {
        if mark >= end {
            starts.push(crate::text::Text::new(bytes).line_start(mark));
            let line = crate::bytes::find(b'\n', &bytes[mark..]);
            end = line.map_or(bytes.len(), |at| mark + at + 1);
        }
    }
    starts
}

/// What a comment like ours that begins on a line is of, and where its text starts.
fn opens(bytes: &[u8], line: usize, style: &CommentStyle) -> Option<(CommentKind, usize)> {
    let first = bytes[line..].trim_ascii_start();
    let inner = style.strip_opener(first)?;
    Some((kind_of(inner)?, bytes.len() - inner.len()))
}

/// The ends of comments, looked for once in each style: of many comments that are not closed, each
/// would be searched to the end of the file.
struct Closers<'b> {
    bytes: &'b [u8],
    ends: HashMap<&'static str, Vec<usize>>,
    /// Where a comment was closed, and where the line ends if nothing else is on it.
    last: Option<(usize, Option<usize>)>,
}

impl<'b> Closers<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self {
            bytes,
            ends: HashMap::new(),
            last: None,
        }
    }

    /// The end of the line on which a comment ends whose text starts at an offset; `None` where it
    /// does not end, or something else is on that line.
    fn line_end(&mut self, style: &'static CommentStyle, at: usize) -> Option<usize> {
        let bytes = self.bytes;
        let tail = style.tail();
        let ends = self.ends.entry(tail).or_insert_with(|| {
            let found = memchr::memmem::find_iter(bytes, tail.as_bytes());
            found.map(|at| at + tail.len()).collect()
        });
        let first = ends.partition_point(|end| *end < at + tail.len());
        let close = style.end_from(bytes, at, &ends[first..])?;
        if let Some((_, end)) = self.last.filter(|(last, _)| *last == close) {
            return end;
        }
        let rest = &bytes[close..];
        let end = crate::bytes::find(b'\n', rest);
        let end = end.filter(|end| rest[..*end].trim_ascii().is_empty());
        let end = end.map(|end| close + end + 1);
        self.last = Some((close, end));
        end
    }
}

fn comment_at(
    closers: &mut Closers<'_>,
    start: usize,
    style: &'static CommentStyle,
    is_free: &dyn Fn(usize) -> bool,
) -> Option<Existing> {
    let bytes = closers.bytes;
    let opener = style.opener().as_bytes();
    let line_end = |at: usize| crate::bytes::find(b'\n', &bytes[at..]).map(|end| at + end + 1);
    let (kind, text) = opens(bytes, start, style)?;
    let mut ends = vec![start];
    if !style.is_line() {
        ends.push(closers.line_end(style, text)?);
        return Some(Existing {
            kind,
            ends,
            own: 1,
            style,
        });
    }
    let next = style.next.trim_end().as_bytes();
    let mut at = line_end(start)?;
    ends.push(at);
    let mut own = None;
    while ends.len() < MORE_LINES || own.is_none() {
        let line = &bytes[at..];
        let line = line[..crate::bytes::find(b'\n', line).unwrap_or(line.len())].trim_ascii();
        if !line.starts_with(opener) || line.strip_prefix(opener).and_then(kind_of).is_some() {
            break;
        }
        let hanging = line.strip_prefix(next);
        if !hanging.is_some_and(|text| text.is_empty() || text.starts_with(b"  ")) {
            own.get_or_insert(ends.len() - 1);
        }
        let (Some(end), true) = (line_end(at), is_free(at)) else {
            break;
        };
        at = end;
        ends.push(at);
    }
    let mut own = own.unwrap_or(ends.len() - 1);
    // Our text ends with a word: a bare line behind it is somebody else's.
    while own > 1 && bytes[ends[own - 1]..ends[own]].trim_ascii() == opener {
        own -= 1;
    }
    Some(Existing {
        kind,
        ends,
        own,
        style,
    })
}

/// Whether a line starts a comment like ours, or is another line of one.
pub(super) fn is_mark(line: &[u8], style: Option<&'static CommentStyle>) -> bool {
    let Some(style) = style else {
        return false;
    };
    let Some(text) = style.strip_opener(line) else {
        return false;
    };
    kind_of(text).is_some() || line.starts_with(style.next.trim_end().as_bytes())
}

/// Whether text behind an opener starts as ours does.
fn kind_of(text: &[u8]) -> Option<CommentKind> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"*").unwrap_or(text).trim_ascii_start();
    if text.starts_with(TASK.as_bytes()) {
        Some(CommentKind::Task)
    } else {
        text.starts_with(PROMPT.as_bytes())
            .then_some(CommentKind::Prompt)
    }
}
