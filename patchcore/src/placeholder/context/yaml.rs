//! YAML: scalars of several lines, by indentation.

use super::{Sink, line_end};

pub(super) fn lex(text: &[u8], start: usize, sink: &mut Sink) {
    let mut yaml = Yaml {
        text,
        sink,
        at: start,
        parent: -1,
    };
    while yaml.at < text.len() {
        yaml.line();
    }
}

struct Yaml<'a> {
    text: &'a [u8],
    sink: &'a mut Sink,
    at: usize,
    /// The column of the innermost key or dash of the last line that had one.
    parent: isize,
}

impl Yaml<'_> {
    fn line(&mut self) {
        let text = self.text;
        let start = self.at;
        let end = line_end(text, start);
        let mut at = start + blanks(&text[start..end]);
        let column = |at: usize| isize::try_from(at - start).unwrap_or(isize::MAX);
        let line = &text[at..end];
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            self.at = end + 1;
            return;
        }
        if at == start && (line.starts_with(b"---") || line.starts_with(b"...")) {
            self.parent = -1;
            if line.trim_ascii().len() == 3 {
                self.at = end + 1;
                return;
            }
            if line.get(3) == Some(&b' ') {
                at += 3 + blanks(&text[at + 3..end]);
            }
        } else if at == start && line.starts_with(b"%") {
            self.at = end + 1;
            return;
        }
        let indentation = column(start + blanks(&text[start..end]));
        let mut keyed = false;
        // Dashes, question marks and keys, as many as the line has.
        loop {
            let rest = &text[at..end];
            let mark = matches!(rest.first(), Some(b'-' | b'?' | b':'))
                && rest.get(1).is_none_or(u8::is_ascii_whitespace);
            if mark {
                self.parent = column(at);
                keyed = true;
                at += 1 + blanks(&text[at + 1..end]);
                continue;
            }
            if let Some(colon) = key_end(rest) {
                self.parent = column(at);
                keyed = true;
                at += colon + 1;
                at += blanks(&text[at..end]);
                // A key has one value; what is behind it is no other key.
                break;
            }
            break;
        }
        // A scalar on a line of its own goes on as far as it is deeper than what it belongs to.
        let parent = match keyed {
            true => self.parent,
            false => self.parent.min(indentation - 1),
        };
        self.value(start, at, end, parent);
    }

    /// A value, from an offset in its first line on.
    fn value(&mut self, start: usize, mut at: usize, end: usize, parent: isize) {
        let text = self.text;
        // Anchors and tags are before it.
        while matches!(text.get(at), Some(b'&' | b'!')) && at < end {
            let len = text[at..end]
                .iter()
                .take_while(|b| !b.is_ascii_whitespace())
                .count();
            at += len;
            at += blanks(&text[at..end]);
        }
        let rest = text[at..end].trim_ascii();
        self.at = end + 1;
        match rest.first() {
            None | Some(b'#') => {}
            Some(b'|' | b'>') if is_block_header(rest) => self.block(start, end, parent, rest),
            Some(&quote @ (b'"' | b'\'')) => {
                let close = quoted_end(text, at, quote);
                self.sink.add(text, at..close, "a quoted scalar");
                if close > end {
                    self.at = line_end(text, close) + 1;
                }
            }
            Some(b'{' | b'[') => self.flow(at, end),
            Some(_) => self.plain(at, end, parent),
        }
    }

    fn block(&mut self, start: usize, end: usize, parent: isize, header: &[u8]) {
        let text = self.text;
        let digit = header.iter().take(3).find(|b| b.is_ascii_digit());
        let mut wanted = digit.map(|digit| parent.max(0) + isize::from(*digit as i8 - b'0' as i8));
        let mut last = end;
        let mut at = end + 1;
        while at < text.len() {
            let line = line_end(text, at);
            let indentation = isize::try_from(spaces(&text[at..line])).unwrap_or(isize::MAX);
            if !text[at..line].trim_ascii().is_empty() {
                let least = *wanted.get_or_insert_with(|| indentation.max(parent + 1));
                if indentation < least {
                    break;
                }
                last = line;
            }
            at = line + 1;
        }
        // Blank lines behind it may be its, too.
        let close = if at > text.len() { text.len() + 1 } else { at };
        let _ = start;
        self.sink.add(
            text,
            end.saturating_sub(1)..close.max(last),
            "a block scalar",
        );
        self.at = at;
    }

    fn plain(&mut self, from: usize, end: usize, parent: isize) {
        let text = self.text;
        let mut last = end;
        // A comment ends it.
        let mut commented = memchr::memmem::find(&text[from..end], b" #").is_some();
        let mut at = end + 1;
        while !commented && at < text.len() {
            let line = line_end(text, at);
            let here = &text[at..line];
            let trimmed = here.trim_ascii();
            let indentation = isize::try_from(spaces(here)).unwrap_or(isize::MAX);
            if !trimmed.is_empty() {
                let markers =
                    indentation == 0 && (here.starts_with(b"---") || here.starts_with(b"..."));
                if indentation <= parent || markers || trimmed.starts_with(b"#") {
                    break;
                }
                commented = memchr::memmem::find(here, b" #").is_some();
                last = line;
                self.at = line + 1;
            }
            at = line + 1;
        }
        self.sink.add(text, from..last, "a plain scalar");
    }

    /// A flow collection: a comment may stand in it behind a comma or a bracket.
    fn flow(&mut self, from: usize, end: usize) {
        let text = self.text;
        let mut depth = 0usize;
        let mut at = from;
        // What was last, white space and comments aside.
        let mut before = b'[';
        while let Some(&byte) = text.get(at) {
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        at += 1;
                        break;
                    }
                }
                b'"' | b'\'' if matches!(before, b'[' | b'{' | b',' | b':') => {
                    let close = quoted_end(text, at, byte);
                    self.sink.add(text, at..close, "a quoted scalar");
                    at = close;
                    before = byte;
                    continue;
                }
                b'#' if text[at - 1].is_ascii_whitespace() => {
                    at = line_end(text, at);
                    continue;
                }
                b'\n' if !matches!(before, b'[' | b'{' | b',') => {
                    self.sink.join(at, at, "a flow collection");
                }
                _ => {}
            }
            if !byte.is_ascii_whitespace() {
                before = byte;
            }
            at += 1;
        }
        if at > end {
            self.at = line_end(text, at.min(text.len())) + 1;
        }
    }
}

/// Leading white space.
fn blanks(line: &[u8]) -> usize {
    line.iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count()
}

fn spaces(line: &[u8]) -> usize {
    line.iter().take_while(|b| **b == b' ').count()
}

/// Where the colon stands behind the key that a line starts with.
fn key_end(line: &[u8]) -> Option<usize> {
    let is_end = |at: usize| line.get(at + 1).is_none_or(u8::is_ascii_whitespace);
    match line.first()? {
        &quote @ (b'"' | b'\'') => {
            let close = quoted_end(line, 0, quote);
            let blank = blanks(&line[close.min(line.len())..]);
            let colon = close + blank;
            (line.get(colon) == Some(&b':') && is_end(colon)).then_some(colon)
        }
        b'[' | b'{' | b'#' | b'|' | b'>' | b'%' | b'@' | b'`' => None,
        _ => {
            let end = memchr::memmem::find(line, b" #").unwrap_or(line.len());
            (0..end).find(|&at| line[at] == b':' && is_end(at))
        }
    }
}

/// Whether a value is the header of a block scalar alone, a comment aside.
fn is_block_header(rest: &[u8]) -> bool {
    let word = rest.iter().take_while(|b| !b.is_ascii_whitespace()).count();
    let behind = rest[word..].trim_ascii_start();
    rest[1..word]
        .iter()
        .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-'))
        && (behind.is_empty() || behind.starts_with(b"#"))
}

/// Where a quoted scalar ends.
fn quoted_end(text: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from + 1;
    while let Some(&byte) = text.get(at) {
        if byte == b'\\' && quote == b'"' {
            at += 1;
        } else if byte == quote {
            if quote == b'\'' && text.get(at + 1) == Some(&b'\'') {
                at += 1;
            } else {
                return at + 1;
            }
        }
        at += 1;
    }
    text.len()
}
