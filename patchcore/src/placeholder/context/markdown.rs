//! Markdown: a comment goes only above a block of the top level; anywhere else it would split what
//! is around it.

use super::{Sink, end_of, line_end, yaml};
use crate::placeholder::style::HASH;

/// Where the front matter starts and ends, its marks left out, and whether it is YAML or TOML.
pub(super) fn front_matter(text: &[u8], start: usize) -> Option<(usize, usize, u8)> {
    let mark = match text.get(start)? {
        b'-' => &b"---"[..],
        b'+' => b"+++",
        _ => return None,
    };
    let first = line_end(text, start);
    if text[start..first].trim_ascii_end() != mark {
        return None;
    }
    let mut at = first + 1;
    while at < text.len() {
        let end = line_end(text, at);
        let line = text[at..end].trim_ascii_end();
        if line == mark || mark[0] == b'-' && line == b"..." {
            return Some((first + 1, at, mark[0]));
        }
        at = end + 1;
    }
    None
}

/// Reads front matter in its own language; where what it is before starts.
pub(super) fn lex_front_matter(text: &[u8], start: usize, sink: &mut Sink) -> usize {
    let Some((from, to, mark)) = front_matter(text, start) else {
        return start;
    };
    if mark == b'-' {
        yaml::lex(&text[..to], from, sink);
    } else if let Some(toml) = super::lexer("TOML") {
        toml(&text[..to], from, sink);
    }
    sink.region(start..to, &HASH);
    line_end(text, to) + 1
}

#[derive(Clone, Copy, PartialEq)]
enum Block {
    /// A paragraph, table, quote: whatever a blank line ends.
    Paragraph,
    /// HTML up to a blank line, in which a comment is like the rest.
    Html,
    /// A list or footnote, which indented and further items carry on behind blank lines.
    List,
    /// Complete with its line.
    Line,
}

/// A line that is not blank.
struct Line<'t> {
    trimmed: &'t [u8],
    /// The spaces before it.
    indentation: usize,
    /// Whether it is as far in as code.
    deep: bool,
}

impl<'t> Line<'t> {
    /// `None` for a blank one.
    fn of(line: &'t [u8]) -> Option<Self> {
        let trimmed = line.trim_ascii();
        let indentation = line.iter().take_while(|b| **b == b' ').count();
        let deep = indentation >= 4 || line.starts_with(b"\t");
        (!trimmed.is_empty()).then_some(Self {
            trimmed,
            indentation,
            deep,
        })
    }

    /// Whether it goes on with the block above it, behind blank lines or not.
    fn carries_on(&self, block: Block, blank: bool) -> bool {
        match block {
            Block::Paragraph => !blank || self.deep,
            Block::Html => !blank,
            Block::List => !blank || self.indentation > 0 || self.deep || is_item(self.trimmed),
            Block::Line => false,
        }
    }

    /// The block that it opens, or is all of.
    fn block(&self, rule: bool, complete: bool) -> Block {
        if is_item(self.trimmed) && !rule {
            Block::List
        } else if self.trimmed[0] == b'>' {
            // What a quote holds may be complete; the quote goes on.
            Block::Paragraph
        } else if complete || rule {
            Block::Line
        } else if self.trimmed[0] == b'<' {
            Block::Html
        } else {
            Block::Paragraph
        }
    }
}

pub(super) fn markdown(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Expressions::No, sink);
}

/// Markdown with expressions in braces, which a comment is one of.
pub(super) fn mdx(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Expressions::Yes, sink);
}

#[derive(Clone, Copy, PartialEq)]
enum Expressions {
    Yes,
    No,
}

fn lex(text: &[u8], start: usize, expressions: Expressions, sink: &mut Sink) {
    let mut at = lex_front_matter(text, start, sink);
    // Where the block that goes on started; `None` between blocks.
    let mut open: Option<(usize, Block)> = None;
    let mut blank = true;
    while at < text.len() {
        let end = line_end(text, at);
        let Some(line) = Line::of(&text[at..end]) else {
            blank = true;
            at = end + 1;
            continue;
        };
        let Line {
            trimmed,
            indentation,
            deep,
        } = line;
        let heading = is_heading(trimmed) && !deep && indentation < 2;
        let mut close = block_end(text, at, trimmed);
        let interrupts = heading || (close.is_some() && matches!(trimmed[0], b'<' | b'`' | b'~'));
        if expressions == Expressions::Yes && trimmed.starts_with(b"{/*") {
            let end = end_of(text, at, b"*/}");
            close = Some(line_end(text, end));
        }
        let stays = |kind| {
            let may_end = matches!(kind, Block::Paragraph | Block::Line);
            line.carries_on(kind, blank) && !(interrupts && indentation == 0 && may_end)
        };
        open = open.filter(|(_, kind)| stays(*kind));
        let from = open.map_or(at, |(from, _)| from);
        let paragraph = match open {
            Some((from, Block::Paragraph)) if !deep => Some(from),
            _ => None,
        };
        let opens = paragraph.is_some() && opens_html(trimmed);
        // A quote ends before it.
        let ends = |from: usize| !text[from..].trim_ascii_start().starts_with(b">");
        let rule =
            !deep && (is_rule(trimmed) || paragraph.is_some_and(ends) && underlines(trimmed));
        let kind = line.block(rule, close.is_some() || heading);
        let end = close.unwrap_or(end).min(text.len());
        if from < at || close.is_some() {
            sink.add(text, from..end, "a block of the text");
            // What the mark of its end stands behind is inside it still.
        }
        if open.is_none() {
            open = Some((from, kind));
        } else if let Some((_, kept)) = &mut open {
            match (*kept, kind) {
                (_, Block::List) => *kept = Block::List,
                (Block::Paragraph, _) if opens => *kept = Block::Html,
                // It underlines the paragraph, or stands for itself.
                (Block::Paragraph, Block::Line) if rule => *kept = Block::Line,
                _ => {}
            }
        }
        blank = false;
        at = end + 1;
    }
}

fn is_heading(line: &[u8]) -> bool {
    let hashes = line.iter().take_while(|b| **b == b'#').count();
    (1..=6).contains(&hashes) && line.get(hashes).is_none_or(u8::is_ascii_whitespace)
}

/// Whether a line is a rule, wherever it stands.
fn is_rule(line: &[u8]) -> bool {
    let marks = || line.iter().filter(|b| !b.is_ascii_whitespace());
    matches!(line[0], b'-' | b'*' | b'_') && marks().all(|b| *b == line[0]) && marks().count() >= 3
}

/// Whether a line makes a heading of the paragraph above it.
fn underlines(line: &[u8]) -> bool {
    matches!(line[0], b'-' | b'=') && line.iter().all(|b| *b == line[0])
}

/// The elements of HTML that start a block in the middle of a paragraph.
const BLOCKS: &str = " address article aside base basefont blockquote body caption center col \
    colgroup dd details dialog dir div dl dt fieldset figcaption figure footer form frame frameset \
    h1 h2 h3 h4 h5 h6 head header hr html iframe legend li link main menu menuitem nav noframes ol \
    optgroup option p param search section summary table tbody td tfoot th thead title tr track ul ";

fn opens_html(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"<") else {
        return false;
    };
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let len = rest
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric())
        .count();
    let name = String::from_utf8_lossy(&rest[..len]).to_ascii_lowercase();
    len > 0 && BLOCKS.contains(&format!(" {name} "))
}

/// Whether a line starts an item of a list, or a footnote.
fn is_item(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
    let mark = match line.get(digits) {
        Some(b'-' | b'*' | b'+') if digits == 0 => 1,
        Some(b'.' | b')') if digits > 0 => digits + 1,
        Some(b'[') if digits == 0 && line.starts_with(b"[^") => return true,
        Some(b':') if digits == 0 => 1,
        _ => return false,
    };
    line.get(mark).is_none_or(u8::is_ascii_whitespace)
}

/// The end of what a line opens and a mark closes, blank lines or not: fences, comments, raw HTML.
fn block_end(text: &[u8], at: usize, line: &[u8]) -> Option<usize> {
    // A quote or an item may open one, too.
    let inner = line.trim_start_with_marks();
    let quoted = line.starts_with(b">");
    let item = !quoted && inner.len() < line.len();
    for fence in [b'`', b'~'] {
        let count = inner.iter().take_while(|b| **b == fence).count();
        if count >= 3 && !(fence == b'`' && inner[count..].contains(&b'`')) {
            let mut from = line_end(text, at) + 1;
            while from < text.len() {
                let end = line_end(text, from);
                let here = &text[from..end];
                // The end of the quote or item is that of its fence.
                let left = item && here.first().is_some_and(|b| !b.is_ascii_whitespace());
                if left || quoted && !here.trim_ascii().starts_with(b">") {
                    return Some(from - 1);
                }
                let close = here.trim_ascii().trim_start_with_marks();
                let run = close.iter().take_while(|b| **b == fence).count();
                if run >= count && close[run..].trim_ascii().is_empty() {
                    return Some(end);
                }
                from = end + 1;
            }
            return Some(text.len() + 1);
        }
    }
    if inner.starts_with(b"$$") && inner.len() == 2 {
        return Some(line_end(text, end_of(text, line_end(text, at), b"$$")));
    }
    let rest = inner.strip_prefix(b"<")?;
    let close: &[u8] = match rest {
        _ if rest.starts_with(b"!--") => b"-->",
        _ if rest.starts_with(b"?") => b"?>",
        _ if rest.starts_with(b"![CDATA[") => b"]]>",
        _ if rest.starts_with(b"!") => b">",
        _ => {
            let len = rest
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric())
                .count();
            match &rest[..len].to_ascii_lowercase()[..] {
                b"script" => b"</script>",
                b"pre" => b"</pre>",
                b"style" => b"</style>",
                b"textarea" => b"</textarea>",
                _ => return None,
            }
        }
    };
    let end = end_of(text, at + 1, close);
    let end = line_end(text, end.saturating_sub(1).max(at));
    // One that its own line closes is a line like others, which a comment may follow.
    Some(end)
}

trait Marks {
    /// The line behind the marks of quotes and items that it starts with.
    fn trim_start_with_marks(&self) -> &[u8];
}

impl Marks for [u8] {
    fn trim_start_with_marks(&self) -> &[u8] {
        let mut line = self;
        loop {
            line = line.trim_ascii_start();
            if let Some(rest) = line.strip_prefix(b">") {
                line = rest;
            } else if is_item(line) && !line.starts_with(b"[^") && !line.starts_with(b":") {
                let mark = line.iter().take_while(|b| !b.is_ascii_whitespace()).count();
                line = &line[mark..];
            } else {
                return line;
            }
        }
    }
}
