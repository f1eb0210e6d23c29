//! Shells: quotes, heredocs, and commands in both.

use super::{Sink, end_of, line_end};

/// Commands in strings in commands; deeper is not read.
const DEPTH: usize = 32;
/// Bytes of an arithmetic expression; longer ones are read as commands.
const LONGEST: usize = 4096;

pub(super) fn lex(text: &[u8], start: usize, sink: &mut Sink) {
    let mut shell = Shell {
        text,
        at: start,
        start,
        sink,
        heredocs: Vec::new(),
        depth: 0,
    };
    shell.commands(false);
}

struct Shell<'a> {
    text: &'a [u8],
    at: usize,
    start: usize,
    sink: &'a mut Sink,
    /// Those whose bodies start behind the next newline.
    heredocs: Vec<Heredoc>,
    depth: usize,
}

struct Heredoc {
    from: usize,
    name: Vec<u8>,
    strips: bool,
}

impl Shell<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Whether a word may start here.
    fn is_word_start(&self) -> bool {
        self.at == self.start
            || matches!(
                self.text[self.at - 1],
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&' | b'|' | b'(' | b')'
            )
    }

    /// Commands up to the end, or up to the parenthesis that closes them.
    fn commands(&mut self, substituted: bool) {
        let (mut open, mut cases) = (0usize, 0usize);
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'#' if self.is_word_start() => self.at = line_end(self.text, self.at),
                b'\n' => self.newline(),
                b'\\' => self.escape(),
                b'\'' => self.single(),
                b'"' => self.double(),
                b'`' => self.backticks(),
                b'$' => self.dollar(),
                b'<' if self.peek(1) == b'<' && self.peek(2) != b'<' => self.heredoc(),
                b'<' if self.peek(1) == b'<' => self.at += 3,
                b'(' if self.peek(1) == b'(' && self.is_word_start() => {
                    if !self.arithmetic(self.at) {
                        self.at += 1;
                        open += 1;
                    }
                }
                b'(' => {
                    self.at += 1;
                    open += 1;
                }
                b')' => {
                    self.at += 1;
                    if open > 0 {
                        open -= 1;
                    } else if substituted && cases == 0 {
                        return;
                    }
                }
                b'c' | b'e' if self.is_word_start() => {
                    let len = self.text[self.at..]
                        .iter()
                        .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_')
                        .count();
                    match &self.text[self.at..self.at + len] {
                        b"case" => cases += 1,
                        b"esac" => cases = cases.saturating_sub(1),
                        _ => {}
                    }
                    self.at += len.max(1);
                }
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) {
        let rest = &self.text[self.at + 1..];
        if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            let newline = line_end(self.text, self.at);
            self.sink.join(self.at, newline, "a line that goes on");
            self.at = newline;
            if self.heredocs.is_empty() {
                self.at += 1;
            } else {
                self.newline();
            }
        } else {
            self.at = (self.at + 2).min(self.text.len());
        }
    }

    fn newline(&mut self) {
        for heredoc in std::mem::take(&mut self.heredocs) {
            // The name alone on a line, its tabs aside where they are stripped.
            loop {
                let from = (self.at + 1).min(self.text.len());
                let end = line_end(self.text, from);
                let mut line = crate::text::trim_ending(&self.text[from..end]);
                if heredoc.strips {
                    let tabs = line.iter().take_while(|b| **b == b'\t').count();
                    line = &line[tabs..];
                }
                let found = line == heredoc.name;
                self.at = end;
                if found || end == self.text.len() {
                    break;
                }
            }
            self.sink.add(self.text, heredoc.from..self.at, "a heredoc");
        }
        self.at = (self.at + 1).min(self.text.len());
    }

    fn heredoc(&mut self) {
        let from = self.at;
        let strips = self.peek(2) == b'-';
        let mut at = from + 2 + usize::from(strips);
        while matches!(self.text.get(at), Some(b' ' | b'\t')) {
            at += 1;
        }
        let mut name = Vec::new();
        while let Some(&byte) = self.text.get(at) {
            match byte {
                b'\'' | b'"' => {
                    let line = line_end(self.text, at);
                    let rest = &self.text[at + 1..line.max(at + 1)];
                    let len = crate::bytes::find(byte, rest).unwrap_or(rest.len());
                    name.extend_from_slice(&rest[..len]);
                    at += len + 1;
                }
                b'\\' => {
                    name.extend(self.text.get(at + 1));
                    at += 1;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')'
                | b'`' => break,
                _ => name.push(byte),
            }
            at += 1;
        }
        self.at = at.min(self.text.len());
        if !name.is_empty() {
            self.heredocs.push(Heredoc { from, name, strips });
        }
    }

    fn single(&mut self) {
        let end = end_of(self.text, self.at + 1, b"'");
        self.sink.add(self.text, self.at..end, "a string");
        self.at = end;
    }

    /// A double-quoted string; the commands in it are code.
    fn double(&mut self) {
        let mut from = self.at;
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    break;
                }
                b'\\' => self.at += 2,
                b'`' => self.backticks(),
                b'$' if self.peek(1) == b'(' && !self.is_arithmetic() => {
                    let open = self.at + 2;
                    self.sink.add(self.text, from..open, "a string");
                    self.dollar();
                    from = self.at.saturating_sub(1);
                }
                b'$' if matches!(self.peek(1), b'(' | b'{') => self.dollar(),
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
        self.sink.add(self.text, from..self.at, "a string");
    }

    fn backticks(&mut self) {
        let from = self.at;
        self.at += 1;
        while let Some(&byte) = self.text.get(self.at) {
            self.at += match byte {
                b'\\' => 2,
                _ => 1,
            };
            if byte == b'`' {
                break;
            }
        }
        self.at = self.at.min(self.text.len());
        self.sink
            .add(self.text, from..self.at, "a command in backticks");
    }

    fn is_arithmetic(&self) -> bool {
        self.peek(1) == b'(' && self.peek(2) == b'(' && self.arithmetic_end(self.at + 1).is_some()
    }

    fn dollar(&mut self) {
        if self.depth == DEPTH {
            self.sink.lose(self.at);
            self.at = self.text.len();
            return;
        }
        self.depth += 1;
        match self.peek(1) {
            b'\'' => {
                let from = self.at;
                self.at += 2;
                while let Some(&byte) = self.text.get(self.at) {
                    self.at += if byte == b'\\' { 2 } else { 1 };
                    if byte == b'\'' {
                        break;
                    }
                }
                self.at = self.at.min(self.text.len());
                self.sink.add(self.text, from..self.at, "a string");
            }
            b'(' if self.peek(2) == b'(' && self.arithmetic(self.at + 1) => {}
            b'(' => {
                self.at += 2;
                // The heredocs of the line around it start behind that line.
                let outer = std::mem::take(&mut self.heredocs);
                self.commands(true);
                let inner = std::mem::replace(&mut self.heredocs, outer);
                self.heredocs.extend(inner);
            }
            b'{' => self.parameter(),
            b'$' | b'#' | b'?' | b'!' => self.at += 2,
            _ => self.at += 1,
        }
        self.at = self.at.min(self.text.len());
        self.depth -= 1;
    }

    /// `${…}`, with the strings and commands in it.
    fn parameter(&mut self) {
        let from = self.at;
        self.at += 2;
        let name = self.text[self.at..]
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || b"_[]@*!?#".contains(b))
            .count();
        // Behind `:-` and its kin a single quote in double ones is a character.
        let operator = self.text.get(self.at + name).copied().unwrap_or(b'}');
        let quotes = matches!(operator, b'#' | b'%' | b'/' | b'^' | b',');
        self.at += name;
        let mut open = 0usize;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                b'}' if open == 0 => {
                    self.at += 1;
                    break;
                }
                b'}' => {
                    open -= 1;
                    self.at += 1;
                }
                b'\\' => self.at += 2,
                b'\'' if quotes => self.single(),
                b'"' => self.double(),
                b'`' => self.backticks(),
                b'$' => self.dollar(),
                _ => self.at += 1,
            }
        }
        self.at = self.at.min(self.text.len());
        self.sink.add(self.text, from..self.at, "a parameter");
    }

    /// `((…))` at an offset; `false` where it is two subshells.
    fn arithmetic(&mut self, open: usize) -> bool {
        let Some(end) = self.arithmetic_end(open) else {
            return false;
        };
        self.sink.add(self.text, self.at..end, "arithmetic");
        self.at = end;
        true
    }

    fn arithmetic_end(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        for (at, byte) in self.text.iter().enumerate().skip(open).take(LONGEST) {
            match byte {
                b'(' => depth += 1,
                b')' if depth == 2 => {
                    return (self.text.get(at + 1) == Some(&b')')).then_some(at + 2);
                }
                b')' => depth -= 1,
                // Commands hold these.
                b'"' | b'\'' => return None,
                _ => {}
            }
        }
        None
    }
}
