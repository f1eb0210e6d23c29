//! Where the lines of a file start: in code, or inside something that goes on over them.
//!
//! A lexer for each language runs once over the file and notes the [stretches](Stretch) in which no
//! comment can stand: strings, comments, heredocs, tags, scalars. A line that starts in none of them
//! starts in code. Where a lexer cannot know (is a slash a regular expression or a division?) it
//! follows both readings, and the stretches of both count: what is uncertain is taken as large as it
//! can be.

mod fork;
mod head;
mod hooks;
mod lines;
mod markdown;
mod markup;
mod perl;
mod rows;
mod ruby;
mod script;
mod shell;
mod table;
mod yaml;

use std::ops::Range;

use super::language::Language;
use super::style::{CommentStyle, JSX_CHILD, Trim};

/// Lines above that are looked at for one where a comment prints nothing.
const MOST_UP: usize = 64;

/// Notes the stretches of the text from an offset to its end.
pub(super) type Lex = fn(text: &[u8], start: usize, sink: &mut Sink);

pub(super) use rows::{host_of, lexer};

/// Bytes that belong together: no comment can stand above a line that starts behind the first and
/// before the end.
#[derive(Debug, Clone)]
struct Stretch {
    start: usize,
    end: usize,
    what: &'static str,
}

/// A part of the file that has a comment style of its own.
#[derive(Debug, Clone)]
struct Region {
    range: Range<usize>,
    style: &'static CommentStyle,
}

/// What a lexer finds out.
#[derive(Debug, Clone, Default)]
pub(super) struct Sink {
    stretches: Vec<Stretch>,
    /// Text between the tags of JSX elements, where a comment is a child in braces.
    children: Vec<Range<usize>>,
    regions: Vec<Region>,
    /// Where the state is not known any more.
    lost: Option<usize>,
    /// Behind here nobody asks: a lexer may stop.
    enough: Option<usize>,
    /// White space that tags of a template take away, and which of a tag it is.
    trims: Vec<(Range<usize>, Trim)>,
    /// The ends of tags behind which a newline may be printed or not, as the engine is told.
    breaks: Vec<usize>,
    /// All that was added, within lines, too, for those who ask for it.
    all: Option<Vec<(Range<usize>, &'static str)>>,
}

impl Sink {
    /// One that keeps all that is added.
    fn keeping() -> Self {
        Self {
            all: Some(Vec::new()),
            ..Self::default()
        }
    }

    /// Blanks out what was added and satisfies a test; lines stay where they are.
    fn blanked(&mut self, text: &[u8], is_blanked: impl Fn(&str) -> bool) -> Vec<u8> {
        let mut blanked = text.to_vec();
        for (range, what) in self.all.take().unwrap_or_default() {
            if is_blanked(what) {
                let end = range.end.min(text.len());
                let bytes = blanked[range.start..end].iter_mut();
                bytes.filter(|b| **b != b'\n').for_each(|b| *b = b' ');
            }
        }
        blanked
    }

    /// Notes a stretch; one within a line says nothing.
    fn add(&mut self, text: &[u8], range: Range<usize>, what: &'static str) {
        if let Some(all) = &mut self.all {
            all.push((range.clone(), what));
        }
        let end = range.end.min(text.len());
        if range.start < end && crate::bytes::find(b'\n', &text[range.start..end]).is_some() {
            self.stretches.push(Stretch {
                start: range.start,
                end: range.end,
                what,
            });
        }
    }

    /// Where the stretch starts that a line is in, of those noted so far in their order.
    fn start_of_stretch(&self, line: usize) -> Option<usize> {
        let next = self.stretches.partition_point(|s| s.start < line);
        let stretch = self.stretches[..next].last()?;
        (line < stretch.end).then_some(stretch.start)
    }

    /// Notes that the line behind the newline at an offset belongs to the line before.
    fn join(&mut self, from: usize, newline: usize, what: &'static str) {
        self.stretches.push(Stretch {
            start: from,
            end: newline + 2,
            what,
        });
    }

    /// Notes that nothing is known of what is behind an offset.
    fn lose(&mut self, at: usize) {
        self.lost = Some(self.lost.map_or(at, |lost| lost.min(at)));
    }

    /// Adds what another found out.
    fn merge(&mut self, mut other: Self) {
        self.stretches.append(&mut other.stretches);
        self.children.append(&mut other.children);
        self.regions.append(&mut other.regions);
        if let Some(at) = other.lost {
            self.lose(at);
        }
    }

    /// Whether another learns nothing from it.
    fn is_empty(&self) -> bool {
        let Self {
            stretches,
            children,
            regions,
            lost,
            ..
        } = self;
        stretches.is_empty() && children.is_empty() && regions.is_empty() && lost.is_none()
    }

    fn region(&mut self, range: Range<usize>, style: &'static CommentStyle) {
        self.regions.push(Region { range, style });
    }
}

/// Where the comment for a line goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The start of the line that it goes above.
    pub(super) at: usize,
    pub(super) style: &'static CommentStyle,
    /// Which white space the comment takes away.
    pub(super) trim: Trim,
}

/// The state of a file's language at the start of each of its lines.
#[derive(Debug)]
pub(super) struct Context {
    base: Option<&'static CommentStyle>,
    name: &'static str,
    /// In order, without overlap.
    stretches: Vec<Stretch>,
    children: Vec<Range<usize>>,
    regions: Vec<Region>,
    /// In order of where they start.
    trims: Vec<(Range<usize>, Trim)>,
    /// In order.
    breaks: Vec<usize>,
    /// Where the front matter ends, or the text starts.
    front: usize,
    lost: Option<usize>,
    /// Where the lines end that have to stay the first.
    head: usize,
    /// Whether the language is known well enough for lines that are no comment.
    known: bool,
}

impl Context {
    /// Reads a file once, up to `enough` at least: of lines behind it nobody asks.
    pub(super) fn of(
        language: &'static Language,
        name: &str,
        bytes: &[u8],
        enough: Option<usize>,
    ) -> Self {
        let start = crate::text::Text::new(bytes).bom_len();
        let head = head::end(language.name, bytes, start);
        let template = is_template(language.name);
        let mut sink = match template {
            true => Sink::keeping(),
            false => Sink {
                enough: enough.map(|enough| enough.max(head)),
                ..Sink::default()
            },
        };
        let lex = lexer(language.name);
        let mut from = start;
        if template {
            from = markdown::lex_front_matter(bytes, start, &mut sink).min(bytes.len());
        }
        if let Some(lex) = lex {
            lex(bytes, from, &mut sink);
        }
        if template {
            lines::trimmed(language.name, bytes, from, &mut sink);
        }
        if let Some(host) = host_of(language.name, name, &bytes[..from]) {
            // The comments are those of the template engine, wherever they stand; the host does not
            // see its tags.
            let mut below = Sink::default();
            host(&sink.blanked(bytes, |_| true), from, &mut below);
            below.regions.clear();
            below.children.clear();
            sink.merge(below);
        }
        sink.trims.sort_by_key(|(range, _)| range.start);
        Self {
            base: language.style,
            name: language.name,
            stretches: merged(sink.stretches),
            children: sorted(sink.children),
            regions: sink.regions,
            trims: sink.trims,
            breaks: sink.breaks,
            front: from,
            lost: sink.lost,
            head,
            known: lex.is_some(),
        }
    }

    /// Where the comment for the line that starts at an offset goes: above that line, or above the
    /// nearest one before it that starts in code.
    ///
    /// # Errors
    /// Why there is no such place, as the end of a sentence about the line.
    pub(super) fn place(&self, bytes: &[u8], line: usize) -> Result<Place, String> {
        let Some(base) = self.base else {
            return Err(format!("{} has no comments", self.name));
        };
        if let Some(lost) = self.lost
            && line > lost
        {
            let number = crate::text::Text::new(bytes).line_at(lost);
            return Err(format!(
                "what {} means from line {number} on is not certain",
                self.name
            ));
        }
        if self.is_child_comment(bytes, line) {
            return Ok(Place {
                at: line,
                style: &JSX_CHILD,
                trim: Trim::None,
            });
        }
        if line < self.head {
            return self.below_head(bytes);
        }
        let mut at = line;
        let mut inside = None;
        while let Some(stretch) = self.stretch_at(at) {
            inside.get_or_insert(stretch.what);
            at = line_start(bytes, stretch.start);
        }
        if at < self.head {
            return match inside {
                Some(what) if self.head > line => Err(format!("it is inside {what}")),
                _ => self.below_head(bytes),
            };
        }
        let style = self.style_at(at).unwrap_or(base);
        if !self.known && !is_comment_line(bytes, at, style) {
            return Err(format!(
                "it is not in a comment of its own, and what is around it is not certain in {}",
                self.name
            ));
        }
        let (at, trim) = self.unprinted(bytes, at, style);
        Ok(Place { at, style, trim })
    }

    /// Where a comment for the line at an offset prints nothing, and which white space it takes away
    /// there: above that line, or above the nearest one before it where that can be.
    fn unprinted(&self, bytes: &[u8], line: usize, style: &CommentStyle) -> (usize, Trim) {
        let mut at = line;
        for _ in 0..MOST_UP {
            if let Some(trim) = self.trim_at(bytes, at, style) {
                return (at, trim);
            }
            if at <= self.front.max(self.head) {
                break;
            }
            at = line_start(bytes, at - 1);
            while let Some(stretch) = self.stretch_at(at) {
                at = line_start(bytes, stretch.start);
            }
        }
        (line, Trim::None)
    }

    /// Which white space a comment above the line at an offset has to take away so that what is
    /// printed stays the same; `None` where no comment there can do so.
    fn trim_at(&self, bytes: &[u8], at: usize, style: &CommentStyle) -> Option<Trim> {
        let Some(trims) = style.trims else {
            return Some(Trim::None);
        };
        let next = self.trims.partition_point(|(range, _)| range.start <= at);
        // Between two tags both may take it.
        let taken = self.trims[next.saturating_sub(2)..next]
            .iter()
            .rfind(|(range, _)| at <= range.end);
        match taken {
            Some((_, trim)) => return Some(*trim),
            None if !trims.prints => return Some(Trim::None),
            None => {}
        }
        const BOM: char = '\u{feff}';
        // It would take all white space, and more than one newline cannot be given back.
        let is_blank =
            |c: Option<char>| c.is_none_or(|c| c.is_whitespace() || c.is_control() || c == BOM);
        let below = &bytes[at..bytes.len().min(at + 4)];
        if !is_blank(String::from_utf8_lossy(below).chars().next()) {
            return Some(Trim::Below);
        }
        let above = bytes.get(self.front..at)?.strip_suffix(b"\n")?;
        let above = above.strip_suffix(b"\r").unwrap_or(above);
        let last = &above[above.len().saturating_sub(4)..];
        if is_blank(String::from_utf8_lossy(last).chars().next_back()) {
            return None;
        }
        let end = self.front + above.len();
        match self.breaks.binary_search(&end) {
            Ok(_) => Some(Trim::Above),
            Err(_) => Some(Trim::Line),
        }
    }

    /// The style of a comment that starts on the line at an offset; `None` where none can.
    pub(super) fn style_of_line(&self, bytes: &[u8], line: usize) -> Option<&'static CommentStyle> {
        let base = self.base?;
        if self.is_child_comment(bytes, line) {
            return Some(&JSX_CHILD);
        }
        let is_free = self.stretch_at(line).is_none();
        is_free.then(|| self.style_at(line).unwrap_or(base))
    }

    /// Below the lines that have to stay the first.
    fn below_head(&self, bytes: &[u8]) -> Result<Place, String> {
        let why = || "line 1 has to stay the first".to_owned();
        let base = self.base.ok_or_else(why)?;
        let ends = self.head == 0 || bytes.get(self.head - 1) == Some(&b'\n');
        if !ends || self.stretch_at(self.head).is_some() {
            return Err(why());
        }
        let style = self.style_at(self.head).unwrap_or(base);
        Ok(Place {
            at: self.head,
            style,
            trim: self.trim_at(bytes, self.head, style).unwrap_or(Trim::None),
        })
    }

    fn stretch_at(&self, line: usize) -> Option<&Stretch> {
        let next = self
            .stretches
            .partition_point(|stretch| stretch.start < line);
        let stretch = self.stretches[..next].last()?;
        (line < stretch.end).then_some(stretch)
    }

    fn style_at(&self, line: usize) -> Option<&'static CommentStyle> {
        let next = self.regions.partition_point(|r| r.range.start < line);
        let region = self.regions[..next].last()?;
        (line <= region.range.end).then_some(region.style)
    }

    fn is_child_comment(&self, bytes: &[u8], line: usize) -> bool {
        let next = self.children.partition_point(|range| range.start < line);
        let Some(range) = self.children[..next].last() else {
            return false;
        };
        line < range.end && bytes[line..].trim_ascii_start().starts_with(b"{/*")
    }
}

/// Whether a line holds nothing but a comment.
fn is_comment_line(bytes: &[u8], line: usize, style: &CommentStyle) -> bool {
    let text = bytes[line..].trim_ascii_start();
    let text = &text[..crate::bytes::find(b'\n', text).unwrap_or(text.len())];
    let [task, prompt] = [style.task[0].trim_end(), style.prompt[0].trim_end()];
    text.starts_with(task.as_bytes()) || text.starts_with(prompt.as_bytes())
}

/// Whether the language is that of templates for another.
fn is_template(name: &str) -> bool {
    matches!(name, "Handlebars" | "Jinja" | "Twig" | "ERB" | "Liquid")
}

fn sorted(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    ranges
}

/// In order, those that share bytes made one.
fn merged(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    stretches.sort_by_key(|stretch| stretch.start);
    let mut merged: Vec<Stretch> = Vec::with_capacity(stretches.len());
    for stretch in stretches {
        match merged.last_mut() {
            Some(last) if stretch.start < last.end => last.end = last.end.max(stretch.end),
            _ => merged.push(stretch),
        }
    }
    merged
}

fn line_start(bytes: &[u8], offset: usize) -> usize {
    crate::text::Text::new(bytes).line_start(offset)
}

/// The end of the line at an offset, its newline left out.
fn line_end(text: &[u8], offset: usize) -> usize {
    crate::bytes::find(b'\n', &text[offset..]).map_or(text.len(), |at| offset + at)
}

/// Where a needle ends behind an offset; the end of the text where it does not occur.
fn end_of(text: &[u8], from: usize, needle: &[u8]) -> usize {
    let from = from.min(text.len());
    memchr::memmem::find(&text[from..], needle).map_or(text.len(), |at| from + at + needle.len())
}

/// Whether a byte can be part of a name.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
