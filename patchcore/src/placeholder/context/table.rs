//! The lexer for languages that a row of a table describes: comments, strings, and a hook for what
//! is counted or depends on what is before.

use super::{Sink, end_of, line_end};

/// What a language writes over several lines.
#[derive(Debug)]
pub(super) struct Grammar {
    /// What starts a comment up to the end of the line.
    pub(super) line: &'static [&'static str],
    pub(super) block: &'static [Block],
    /// Longer quotes before the shorter that they start with.
    pub(super) strings: &'static [Quote],
    /// A byte that joins a line to the next where it is the line's last.
    pub(super) joins: Option<u8>,
    /// Whether that holds in a comment up to the end of the line, too.
    pub(super) comments_join: bool,
    /// Whether the hook reads strings with code in them.
    pub(super) holes: bool,
    pub(super) hook: Option<Hook>,
    /// The bytes at which the hook is asked.
    pub(super) hooked: &'static [u8],
}

/// Consumes what stands at the lexer's offset, or leaves it.
pub(super) type Hook = fn(&mut Lexer<'_>) -> bool;

#[derive(Debug)]
pub(super) struct Block {
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    pub(super) nests: bool,
}

#[derive(Debug)]
pub(super) struct Quote {
    pub(super) open: &'static str,
    pub(super) close: &'static str,
    /// The byte that takes the next one's meaning away; 0 for none.
    pub(super) escape: u8,
    pub(super) lines: Lines,
    /// What opens code in the string, and the bracket that closes it.
    pub(super) hole: Option<(&'static str, u8)>,
}

/// Over how many lines a string may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lines {
    One,
    Many,
}

/// Code in strings in code; deeper is not read.
const DEPTH: usize = 32;

pub(super) struct Lexer<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    pub(super) sink: &'a mut Sink,
    /// Where this part of the text starts.
    pub(super) start: usize,
    grammar: &'static Grammar,
    stops: [bool; 256],
    depth: usize,
}

/// Reads a text by a row of the table.
pub(super) fn lex(grammar: &'static Grammar, text: &[u8], start: usize, sink: &mut Sink) {
    let mut stops = [false; 256];
    let mut stop = |bytes: &[u8]| {
        for byte in bytes {
            stops[usize::from(*byte)] = true;
        }
    };
    for open in grammar.line {
        stop(&open.as_bytes()[..1]);
    }
    for block in grammar.block {
        stop(&block.open.as_bytes()[..1]);
    }
    for quote in grammar.strings {
        stop(&quote.open.as_bytes()[..1]);
    }
    stop(grammar.hooked);
    if let Some(byte) = grammar.joins {
        stop(&[byte]);
    }
    if grammar.holes || grammar.strings.iter().any(|quote| quote.hole.is_some()) {
        stop(b"(){}");
    }
    let mut lexer = Lexer {
        text,
        at: start,
        sink,
        start,
        grammar,
        stops,
        depth: 0,
    };
    lexer.code(None);
}

impl Lexer<'_> {
    /// The byte so far before the offset; a newline at the start.
    pub(super) fn before(&self, back: usize) -> u8 {
        match self.at.checked_sub(back) {
            Some(at) if at >= self.start => self.text[at],
            _ => b'\n',
        }
    }

    pub(super) fn starts_with(&self, mark: &str) -> bool {
        self.text[self.at..].starts_with(mark.as_bytes())
    }

    /// Notes everything up to an offset as one, and goes on there.
    pub(super) fn take(&mut self, end: usize, what: &'static str) -> bool {
        self.sink.add(self.text, self.at..end, what);
        self.at = end.min(self.text.len());
        true
    }

    /// Code up to the end, or up to the bracket that closes a hole in a string.
    fn code(&mut self, closer: Option<u8>) {
        let mut open = 0usize;
        while let Some(skip) = self.text[self.at..]
            .iter()
            .position(|byte| self.stops[usize::from(*byte)])
        {
            self.at += skip;
            let byte = self.text[self.at];
            if let Some(closer) = closer {
                let opener = if closer == b')' { b'(' } else { b'{' };
                if byte == closer && open == 0 {
                    self.at += 1;
                    return;
                }
                if byte == closer {
                    open -= 1;
                } else if byte == opener {
                    open += 1;
                }
            }
            if !self.token(byte) {
                self.at += 1;
            }
        }
        self.at = self.text.len();
    }

    fn token(&mut self, byte: u8) -> bool {
        let grammar = self.grammar;
        if grammar.hooked.contains(&byte)
            && let Some(hook) = grammar.hook
            && hook(self)
        {
            return true;
        }
        if Some(byte) == grammar.joins && self.ends_line(self.at + 1) {
            let newline = line_end(self.text, self.at);
            self.sink.join(self.at, newline, "a line that goes on");
            self.at = (newline + 1).min(self.text.len());
            return true;
        }
        for block in grammar.block {
            if self.starts_with(block.open) {
                self.block(block);
                return true;
            }
        }
        for open in grammar.line {
            if self.starts_with(open) {
                self.line_comment();
                return true;
            }
        }
        for quote in grammar.strings {
            if self.starts_with(quote.open) {
                self.string(quote);
                return true;
            }
        }
        false
    }

    /// Whether only the line's ending is behind an offset.
    fn ends_line(&self, at: usize) -> bool {
        let rest = &self.text[at..];
        rest.starts_with(b"\n") || rest.starts_with(b"\r\n")
    }

    pub(super) fn line_comment(&mut self) {
        let start = self.at;
        let mut end = line_end(self.text, start);
        while self.grammar.comments_join
            && end < self.text.len()
            && crate::text::trim_ending(&self.text[start..=end]).ends_with(b"\\")
        {
            end = line_end(self.text, end + 1);
        }
        self.take(end, "a comment");
    }

    fn block(&mut self, block: &Block) {
        let (open, close) = (block.open.as_bytes(), block.close.as_bytes());
        let mut at = self.at + open.len();
        let mut depth = 1usize;
        while depth > 0 {
            let end = end_of(self.text, at, close);
            if block.nests
                && let Some(inner) = memchr::memmem::find(&self.text[at..end], open)
            {
                depth += 1;
                at += inner + open.len();
                continue;
            }
            depth -= 1;
            at = end;
            if end == self.text.len() {
                break;
            }
        }
        self.take(at, "a comment");
    }

    /// A string from its opening quote on.
    pub(super) fn string(&mut self, quote: &Quote) {
        let start = self.at;
        self.at += quote.open.len();
        let (close, hole) = (quote.close.as_bytes(), quote.hole);
        while let Some(&byte) = self.text.get(self.at) {
            let rest = &self.text[self.at..];
            if quote.escape != 0 && byte == quote.escape {
                if let Some((open, closer)) = hole
                    && rest.starts_with(open.as_bytes())
                {
                    self.hole(open, closer);
                    continue;
                }
                self.at += if rest.starts_with(b"\\\r\n") { 3 } else { 2 };
            } else if rest.starts_with(close) {
                self.at += close.len();
                // Of a longer run the last quotes close.
                while close.len() > 1
                    && close.iter().all(|b| *b == close[0])
                    && self.text.get(self.at) == Some(&close[0])
                {
                    self.at += 1;
                }
                break;
            } else if byte == b'\n' && quote.lines == Lines::One {
                break;
            } else if let Some((open, closer)) = hole
                && rest.starts_with(open.as_bytes())
            {
                self.hole(open, closer);
            } else {
                self.at += 1;
            }
        }
        self.at = self.at.min(self.text.len());
        self.sink.add(self.text, start..self.at, "a string");
    }

    fn hole(&mut self, open: &str, closer: u8) {
        self.at += open.len();
        if self.depth == DEPTH {
            self.sink.lose(self.at);
            self.at = self.text.len();
            return;
        }
        self.depth += 1;
        self.code(Some(closer));
        self.depth -= 1;
    }
}
