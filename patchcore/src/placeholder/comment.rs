//! The comment: text made safe for a language, laid out in lines, and found again above a line.

use std::ops::Range;

use super::Scanner;
use super::style::CommentStyle;

/// What a comment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The placeholder belongs to the task with this id.
    Task(String),
    /// What an agent is to do at the placeholder.
    Prompt(String),
}

/// Starts the text of a comment that names a task.
const TASK: &str = "TASK_ID:";
/// Ends it.
const TASK_END: &str = " – see .mission_control/tasks.json";
/// Starts the text of a comment that holds a prompt.
const PROMPT: &str = "agent:";

/// Which of the two comments it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Task,
    Prompt,
}

impl Mark {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Task(_) => Kind::Task,
            Self::Prompt(_) => Kind::Prompt,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Task(id) => format!("{TASK}{}{TASK_END}", id.trim()),
            Self::Prompt(prompt) => format!("{PROMPT} {}", prompt.trim()),
        }
    }
}

/// The lines of a comment, without indentation and endings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Comment {
    lines: Vec<String>,
}

impl Comment {
    /// Lays a mark out in a style; `None` where a syntax of the scanner matches whatever is done
    /// to the text.
    pub(super) fn new(mark: &Mark, style: &CommentStyle, scanner: &Scanner) -> Option<Self> {
        let [open, close] = match mark {
            Mark::Task(_) => style.task,
            Mark::Prompt(_) => style.prompt,
        };
        let text = mark.text();
        let mut lines: Vec<String> = text_lines(&text)
            .enumerate()
            .map(|(index, line)| {
                let safe = defuse(line, style.forbidden, index > 0);
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
        Some(Self { lines })
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

    /// The comment with the white space at both ends of its lines aside: a formatter may move it.
    pub(super) fn normal(&self) -> String {
        normal(self.lines.iter().map(String::as_bytes))
    }
}

fn normal<'a>(lines: impl Iterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for line in lines {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&String::from_utf8_lossy(line.trim_ascii()));
    }
    text
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
    for sequence in pairs.chain(&COMMANDS) {
        break_sequence(&mut text, sequence);
    }
    // A backslash or caret at the end would take the next line into the comment.
    if text.ends_with(['\\', '^']) {
        text.push_str(" .");
    }
    // CI systems take a line that starts so for a command, indented or not.
    if continuation && text.trim_start().starts_with("::") {
        let at = text.len() - text.trim_start().len();
        text.insert(at + 1, ' ');
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

/// A comment that looks like one of ours, above a line.
#[derive(Debug)]
pub(super) struct Existing {
    /// Its lines, endings included.
    pub(super) span: Range<usize>,
    pub(super) kind: Kind,
    /// As [`Comment::normal`].
    pub(super) normal: String,
}

impl Existing {
    /// The task that it names, if nobody edited it.
    pub(super) fn task_id(&self) -> Option<&str> {
        let (_, rest) = self.normal.split_once(TASK)?;
        rest.split_once(TASK_END).map(|(id, _)| id)
    }
}

/// The comments right above the line that starts at `line_start`, the nearest first; `floor` is
/// where the lines start that may hold them.
pub(super) fn comments_above(
    bytes: &[u8],
    floor: usize,
    line_start: usize,
    style: &CommentStyle,
) -> Vec<Existing> {
    let mut at = line_start;
    let mut found = Vec::new();
    while let Some(existing) = comment_above(bytes, floor, at, style) {
        at = existing.span.start;
        found.push(existing);
    }
    found
}

fn comment_above(bytes: &[u8], floor: usize, end: usize, style: &CommentStyle) -> Option<Existing> {
    if let Some(inside) = style.inside
        && let Some(existing) = comment_above(bytes, floor, end, inside)
    {
        return Some(existing);
    }
    let opener = style.opener().as_bytes();
    let closer = style.closer().as_bytes();
    let next = style.next.trim_end().as_bytes();
    let mut start = end;
    let mut last = true;
    loop {
        start = line_above(bytes, floor, start)?;
        let line = bytes[start..end]
            .split(|&b| b == b'\n')
            .next()?
            .trim_ascii();
        if !closer.is_empty() && last != line.ends_with(closer) {
            return None;
        }
        if let Some(kind) = line.strip_prefix(opener).and_then(kind_of) {
            let lines = bytes[start..end].strip_suffix(b"\n").unwrap_or(&[]);
            return Some(Existing {
                span: start..end,
                kind,
                normal: normal(lines.split(|&b| b == b'\n')),
            });
        }
        let goes_on = if style.is_line() {
            let hanging = line.strip_prefix(next);
            hanging.is_some_and(|text| text.is_empty() || text.starts_with(b"  "))
        } else {
            !line.starts_with(opener)
        };
        if !goes_on {
            return None;
        }
        last = false;
    }
}

/// Whether text behind an opener starts as ours does.
fn kind_of(text: &[u8]) -> Option<Kind> {
    let text = text.trim_ascii_start();
    let text = text.strip_prefix(b"*").unwrap_or(text).trim_ascii_start();
    if text.starts_with(TASK.as_bytes()) {
        Some(Kind::Task)
    } else {
        text.starts_with(PROMPT.as_bytes()).then_some(Kind::Prompt)
    }
}

fn line_above(bytes: &[u8], floor: usize, end: usize) -> Option<usize> {
    if end <= floor {
        return None;
    }
    let above = crate::bytes::rfind(b'\n', &bytes[floor..end - 1]);
    Some(above.map_or(floor, |at| floor + at + 1))
}
