//! Code frames: a few lines of a text with marks under the places that matter.
//!
//! What is shown comes from files and batches of any origin, so each line is escaped and cut to a
//! window around its mark before it is laid out.

use std::io::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DEFAULT_TERM_WIDTH;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use patchcore::Report;
use patchcore::batch::Diagnostic;

use super::{Context, hint, printable};
use crate::cli::Output;
use crate::exit::Exit;

/// Most faults of a batch that are drawn.
const MAX_DRAWN: usize = 5;
/// Characters of a line before its mark that are shown.
const BEFORE: usize = 50;
/// Characters of a line from its mark on that are shown.
const BEHIND: usize = 70;

/// Prints what is wrong with a batch, and tells how to exit.
pub(crate) fn input_fault(fault: &Diagnostic, name: &str, input: &[u8], context: &Context) -> Exit {
    let exit = Exit::of(fault.code);
    if context.output == Output::Json {
        let report = Report::faulty(fault);
        let mut out = context.stdout();
        // Whether or not somebody listens, the batch is refused.
        let _ = serde_json::to_writer(&mut out, &report)
            .map_err(std::io::Error::from)
            .and_then(|()| writeln!(out));
        return exit;
    }
    let mut err = context.stderr();
    for fault in fault.all().take(MAX_DRAWN) {
        // Where standard error is gone there is nobody left to tell.
        let _ = writeln!(err, "{}", draw(fault, name, input));
    }
    let drawn = fault.all().count().min(MAX_DRAWN);
    let left = fault.all().count() - drawn;
    if left > 0 {
        let _ = writeln!(err, "error: and {left} more");
    }
    exit
}

/// Draws a fault with the line that it stands on, in colour; the stream drops the colour where
/// there is none.
fn draw(fault: &Diagnostic, name: &str, input: &[u8]) -> String {
    let place = LineSpan::of(input, &fault.span);
    let (shown, span) = window(place.line, &place.span);
    let mut mark = AnnotationKind::Primary.span(span);
    // All of the input is no place in it; lines have no paths.
    if fault.path != "$" {
        mark = mark.label(printable(&fault.path));
    }
    let snippet = Snippet::source(shown.as_str())
        .line_start(place.number)
        .annotation(mark);
    let origin = Origin::path(printable(name))
        .line(place.number)
        .char_column(place.column);
    let title = Level::ERROR
        .primary_title(printable(&fault.message))
        .id(fault.code.as_str());
    let mut group: Group<'_> = title.element(origin).element(snippet);
    if let Some(hint) = fault.hint {
        group = group.element(Level::HELP.message(hint::words(hint)));
    }
    let renderer = Renderer::styled().term_width(DEFAULT_TERM_WIDTH.max(BEFORE + BEHIND + 20));
    // The origin has its own line and column, as the window does not start where the line does;
    // the library then puts in a line that says that the snippet is another place.
    let drawn = renderer.render(&[group]);
    let lines = drawn
        .lines()
        .filter(|line| anstream::adapter::strip_str(line).to_string().trim() != ":::");
    lines.collect::<Vec<_>>().join("\n")
}

/// The line that holds the start of a span.
struct LineSpan<'a> {
    line: &'a [u8],
    /// From 1.
    number: usize,
    /// In characters from 1.
    column: usize,
    /// The span within the line.
    span: Range<usize>,
}

impl<'a> LineSpan<'a> {
    fn of(text: &'a [u8], span: &Range<usize>) -> Self {
        let start = span.start.min(text.len());
        let before = &text[..start];
        let line_start = before
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at + 1);
        let rest = &text[line_start..];
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(rest.len());
        let line = &rest[..length];
        let from = start - line_start;
        let continues = |byte: &&u8| **byte & 0xc0 == 0x80;
        Self {
            line,
            number: 1 + before.iter().filter(|&&byte| byte == b'\n').count(),
            column: 1 + from - line[..from].iter().filter(continues).count(),
            span: from..(span.end.saturating_sub(line_start)).clamp(from, length),
        }
    }
}

/// The part of a line around a span, fit for a terminal, and the span in it; at a line's end the
/// span takes one column behind it.
fn window(line: &[u8], span: &Range<usize>) -> (String, Range<usize>) {
    // No character is longer than four bytes.
    let from = span.start.saturating_sub(4 * BEFORE);
    let to = line.len().min(span.start + 4 * BEHIND);
    let before = String::from_utf8_lossy(&line[from..span.start]);
    let skipped = before.chars().count().saturating_sub(BEFORE);
    let mut shown = String::new();
    if from > 0 || skipped > 0 {
        shown.push('…');
    }
    push(&mut shown, before.chars().skip(skipped));
    let start = shown.len();

    let marked = String::from_utf8_lossy(&line[span.start..span.end.min(to)]);
    push(&mut shown, marked.chars().take(BEHIND));
    let end = shown.len();
    let room = BEHIND.saturating_sub(marked.chars().count());
    let behind = String::from_utf8_lossy(&line[span.end.min(to)..to]);
    push(&mut shown, behind.chars().take(room));
    if to < line.len() || behind.chars().count() > room || marked.chars().count() > BEHIND {
        shown.push('…');
    }
    if start == end {
        // Nothing is marked by itself: the character that stands there, or the line's end.
        if shown.len() == start {
            shown.push(' ');
        }
        let width = shown[start..].chars().next().map_or(0, char::len_utf8);
        return (shown, start..start + width);
    }
    (shown, start..end)
}

fn push(shown: &mut String, chars: impl Iterator<Item = char>) {
    let text: String = chars.map(|c| if c == '\t' { ' ' } else { c }).collect();
    shown.push_str(&printable(text.trim_end_matches('\r')));
}

#[cfg(test)]
mod tests {
    use super::*;
    use patchcore::batch::{self, Limits};

    fn plain(fault: &Diagnostic, input: &[u8]) -> String {
        anstream::adapter::strip_str(&draw(fault, "batch\u{7f}.json", input)).to_string()
    }

    fn drawn(input: &[u8]) -> String {
        let fault = batch::parse(input, &Limits::default()).expect_err("a fault");
        plain(&fault, input)
    }

    #[test]
    fn a_fault_is_marked_where_it_stands() {
        let input = b"{\n  \"operations\": [],\n  \"batchId\": \"x\"\n}";
        insta::assert_snapshot!(drawn(input));
    }

    #[test]
    fn the_end_can_be_marked() {
        insta::assert_snapshot!(drawn(b"{\"operations\": [\n"));
    }

    #[test]
    fn a_long_line_shows_a_window() {
        let mut input = b"{\"operations\": [], \"agent\": \"".to_vec();
        input.extend("é\u{202e}".repeat(100_000).bytes());
        input.extend(b"\x1b[2J\", \"x\": 1}");
        let shown = drawn(&input);
        assert!(shown.len() < 2000, "{shown}");
        assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
        assert!(shown.contains("\\x1b[2J"), "{shown}");
    }

    #[test]
    fn any_bytes_and_any_span_can_be_drawn() {
        let text = "a\té\r\n\u{9b}😀\n\n\u{202e}x".as_bytes();
        let mut broken = text.to_vec();
        broken.extend([0xff, 0xc3, 0x28, 0, b'\n', b'z']);
        let mut fault = batch::parse(b"", &Limits::default()).expect_err("a fault");
        fault.message = "t\u{1b}".to_owned();
        fault.path = "l\u{85}".to_owned();
        for start in 0..broken.len() + 2 {
            for end in start..broken.len() + 3 {
                fault.span = start..end;
                let shown = plain(&fault, &broken);
                let unsafe_char = |c: char| c.is_control() && c != '\n';
                assert!(!shown.contains(unsafe_char), "{start}..{end}: {shown:?}");
            }
        }
    }
}
