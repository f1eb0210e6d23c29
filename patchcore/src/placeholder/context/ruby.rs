//! Ruby: strings with code in them, `%` literals, heredocs, and slashes that may be either.

use std::cell::Cell;

use super::fork::{Machine, Step, run};
use super::{Sink, end_of, is_word, line_end};

pub(super) fn lex(text: &[u8], start: usize, sink: &mut Sink) {
    let state = State {
        at: start,
        before: Before::Operator,
        spaced: true,
        stack: Vec::new(),
        heredocs: Vec::new(),
    };
    let mut state = state;
    let ruby = Ruby {
        text,
        deaths: Cell::new(0),
    };
    ruby.line(&mut state, sink);
    run(&ruby, state, sink);
}

/// Brackets in brackets; deeper is not read.
const DEPTH: usize = 256;
/// Heredocs that turned out to be none; more are not tried.
const DEATHS: u32 = 64;

struct Ruby<'a> {
    text: &'a [u8],
    deaths: Cell<u32>,
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    at: usize,
    before: Before,
    /// Whether white space is right before.
    spaced: bool,
    stack: Vec<Frame>,
    heredocs: Vec<Heredoc>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Operand,
    /// A name, which may be a method that takes what follows.
    Name,
    Operator,
    /// A dot or `def`: what follows is a name.
    Dot,
}

#[derive(Debug, Clone, PartialEq)]
enum Frame {
    Brace,
    /// Code in a string, which goes on behind it.
    Hole(Literal),
}

/// A literal up to its closing byte.
#[derive(Debug, Clone, PartialEq)]
struct Literal {
    from: usize,
    /// Nests, where it differs from the closing byte.
    open: u8,
    close: u8,
    depth: usize,
    holes: bool,
    what: &'static str,
}

#[derive(Debug, Clone, PartialEq)]
struct Heredoc {
    from: usize,
    name: Vec<u8>,
    indented: bool,
}

impl Machine for Ruby<'_> {
    type State = State;

    fn at(state: &State) -> usize {
        state.at
    }

    /// Long, for it is the table of what a byte of code opens.
    fn step(&self, state: &mut State, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        let at = state.at;
        let Some(&byte) = text.get(at) else {
            return Step::End;
        };
        let next = text.get(at + 1).copied().unwrap_or(0);
        if state.stack.len() > DEPTH || self.deaths.get() > DEATHS {
            sink.lose(at);
            return Step::End;
        }
        let spaced = std::mem::replace(&mut state.spaced, false);
        match byte {
            b'\n' => return self.newline(state, sink),
            b' ' | b'\t' | b'\r' => {
                state.at += 1;
                state.spaced = true;
            }
            b'\\' if next == b'\n' || next == b'\r' => {
                sink.join(at, line_end(text, at), "a line that goes on");
                state.at += 2;
                state.spaced = true;
            }
            b'#' => state.at = line_end(text, at),
            b'"' | b'`' if state.before == Before::Dot && byte == b'`' => state.at += 1,
            b'"' | b'`' => self.literal(state, at, (byte, byte), true, "a string", sink),
            b'\'' => self.literal(state, at, (byte, byte), false, "a string", sink),
            b':' if next == b'"' => {
                state.at += 1;
                self.literal(state, at + 1, (b'"', b'"'), true, "a symbol", sink);
            }
            b':' if next == b':' => {
                state.at += 2;
                state.before = Before::Dot;
            }
            b':' if is_word(next) => {
                state.at += 1 + self.word_len(at + 1);
                state.before = Before::Operand;
            }
            b'?' if state.before == Before::Operator && !next.is_ascii_whitespace() => {
                // A character; as an operator it has an operand before it.
                let behind = text.get(at + 2).copied().unwrap_or(b'\n');
                if next == b'\\' {
                    state.at = (at + 3).min(text.len());
                } else if is_word(behind) && next.is_ascii() {
                    state.at += 1;
                } else {
                    state.at += 2;
                }
                state.before = Before::Operand;
            }
            b'/' => return self.slash(state, spaced, sink),
            b'%' => return self.percent(state, spaced, sink),
            b'<' if next == b'<' => return self.heredoc(state, spaced),
            b'{' => {
                state.at += 1;
                state.stack.push(Frame::Brace);
                state.before = Before::Operator;
            }
            b'}' => {
                state.at += 1;
                state.before = Before::Operand;
                if let Some(Frame::Hole(literal)) = state.stack.pop() {
                    self.go_on(state, literal, sink);
                }
            }
            b')' | b']' => {
                state.at += 1;
                state.before = Before::Operand;
            }
            b'.' => {
                state.at += 1;
                state.before = Before::Dot;
                if next == b'.' {
                    state.at += 1;
                    state.before = Before::Operator;
                }
            }
            b'$' => {
                // `$'`, `$"` and others name what a match left.
                let len = self.word_len(at + 1).max(1);
                state.at = (at + 1 + len).min(text.len());
                state.before = Before::Operand;
            }
            _ if is_word(byte) || byte == b'@' => self.word(state),
            _ => {
                state.at += 1;
                state.before = Before::Operator;
            }
        }
        Step::Go
    }
}

impl Ruby<'_> {
    fn word_len(&self, at: usize) -> usize {
        let rest = &self.text[at.min(self.text.len())..];
        rest.iter().take_while(|b| is_word(**b)).count()
    }

    fn word(&self, state: &mut State) {
        let text = self.text;
        let at = state.at;
        let signs = text[at..].iter().take_while(|b| **b == b'@').count();
        let mut len = signs + self.word_len(at + signs);
        let is_name = text[at].is_ascii_lowercase() || text[at] == b'_';
        if matches!(text.get(at + len), Some(b'?' | b'!')) && text.get(at + len + 1) != Some(&b'=')
        {
            // `a ?b` and `a? b`; a colon behind makes it a key.
            len += usize::from(is_name);
        }
        let word = &text[at..at + len.max(1)];
        state.at = at + len.max(1);
        if text.get(state.at) == Some(&b':') && text.get(state.at + 1) != Some(&b':') {
            // A key.
            state.at += 1;
            state.before = Before::Operator;
            return;
        }
        state.before = match word {
            _ if state.before == Before::Dot => Before::Name,
            b"def" | b"alias" | b"undef" => Before::Dot,
            b"if" | b"unless" | b"while" | b"until" | b"and" | b"or" | b"not" | b"return"
            | b"when" | b"in" | b"do" | b"then" | b"else" | b"elsif" | b"case" | b"begin"
            | b"rescue" | b"ensure" | b"yield" | b"puts" | b"raise" | b"super" => Before::Operator,
            b"end" | b"self" | b"true" | b"false" | b"nil" => Before::Operand,
            _ if is_name => Before::Name,
            _ => Before::Operand,
        };
    }

    fn newline(&self, state: &mut State, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        for heredoc in std::mem::take(&mut state.heredocs) {
            loop {
                let from = (state.at + 1).min(text.len());
                let end = line_end(text, from);
                let mut line = crate::text::trim_ending(&text[from..end]);
                if heredoc.indented {
                    line = line.trim_ascii_start();
                }
                let found = line == heredoc.name;
                state.at = end;
                if found {
                    break;
                }
                if end == text.len() {
                    // Where the other reading has no such heredoc, that is the right one.
                    self.deaths.set(self.deaths.get() + 1);
                    return Step::Dead;
                }
            }
            sink.add(text, heredoc.from..state.at, "a heredoc");
        }
        state.at = (state.at + 1).min(text.len());
        state.spaced = true;
        if state.before != Before::Dot {
            state.before = Before::Operator;
        }
        self.line(state, sink);
        Step::Go
    }

    /// What counts only at the start of a line.
    fn line(&self, state: &mut State, sink: &mut Sink) {
        let (text, at) = (self.text, state.at);
        let rest = &text[at..];
        let ends = |word: &[u8]| {
            rest.starts_with(word) && rest.get(word.len()).is_none_or(u8::is_ascii_whitespace)
        };
        if ends(b"=begin") {
            let end = end_of(text, at, b"\n=end");
            let end = line_end(text, end);
            sink.add(text, at..end, "a comment");
            state.at = end;
        } else if ends(b"__END__") && state.stack.is_empty() {
            sink.add(text, at..text.len() + 1, "data");
            state.at = text.len();
        }
    }

    /// A literal whose opening byte stands at an offset.
    fn literal(
        &self,
        state: &mut State,
        open: usize,
        (first, last): (u8, u8),
        holes: bool,
        what: &'static str,
        sink: &mut Sink,
    ) {
        let literal = Literal {
            from: state.at,
            open: first,
            close: last,
            depth: 0,
            holes,
            what,
        };
        state.at = open + 1;
        self.go_on(state, literal, sink);
    }

    fn go_on(&self, state: &mut State, mut literal: Literal, sink: &mut Sink) {
        let text = self.text;
        while let Some(&byte) = text.get(state.at) {
            if byte == b'\\' {
                state.at += 2;
            } else if byte == literal.close && literal.depth == 0 {
                state.at += 1;
                break;
            } else if byte == b'#' && literal.holes && text.get(state.at + 1) == Some(&b'{') {
                // The whole of it is one, with the code in it.
                state.at += 2;
                state.stack.push(Frame::Hole(literal));
                state.before = Before::Operator;
                return;
            } else {
                if literal.open != literal.close && byte == literal.close {
                    literal.depth -= 1;
                } else if literal.open != literal.close && byte == literal.open {
                    literal.depth += 1;
                }
                state.at += 1;
            }
        }
        state.at = state.at.min(text.len());
        if literal.what == "a regular expression" {
            state.at += text[state.at..]
                .iter()
                .take_while(|b| b.is_ascii_lowercase())
                .count();
        }
        sink.add(text, literal.from..state.at, literal.what);
        state.before = Before::Operand;
    }

    fn slash(&self, state: &mut State, spaced: bool, sink: &mut Sink) -> Step<State> {
        let at = state.at;
        let next = self.text.get(at + 1).copied().unwrap_or(b' ');
        let tight = !next.is_ascii_whitespace() && next != b'=';
        let regex = |state: &mut State, sink: &mut Sink| {
            self.literal(state, at, (b'/', b'/'), true, "a regular expression", sink);
        };
        match state.before {
            Before::Operator => regex(state, sink),
            Before::Name if spaced && tight => {
                let mut other = state.clone();
                other.at += 1;
                other.before = Before::Operator;
                regex(state, sink);
                // One that runs on over lines is rather no regular expression.
                return Step::Fork(other);
            }
            _ => {
                state.at += 1;
                state.before = Before::Operator;
            }
        }
        Step::Go
    }

    fn percent(&self, state: &mut State, spaced: bool, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        let at = state.at;
        let kind = text.get(at + 1).copied().unwrap_or(b' ');
        let (open, kind) = if b"qQwWiIrsx".contains(&kind) {
            (at + 2, kind)
        } else {
            (at + 1, b'Q')
        };
        let first = text.get(open).copied().unwrap_or(b' ');
        let is_literal =
            first.is_ascii_punctuation() && (first != b'=' || state.before == Before::Operator);
        let last = match first {
            b'(' => b')',
            b'[' => b']',
            b'{' => b'}',
            b'<' => b'>',
            other => other,
        };
        let what = if kind == b'r' {
            "a regular expression"
        } else {
            "a string"
        };
        let holes = matches!(kind, b'Q' | b'W' | b'I' | b'r' | b'x');
        let operator = |state: &mut State| {
            state.at += 1;
            state.before = Before::Operator;
        };
        match state.before {
            Before::Operator if is_literal => {
                self.literal(state, open, (first, last), holes, what, sink);
            }
            Before::Name if is_literal && spaced => {
                let mut other = state.clone();
                operator(&mut other);
                self.literal(state, open, (first, last), holes, what, sink);
                return Step::Fork(other);
            }
            _ => operator(state),
        }
        Step::Go
    }

    fn heredoc(&self, state: &mut State, spaced: bool) -> Step<State> {
        let text = self.text;
        let at = state.at;
        let operator = |state: &mut State| {
            state.at = at + 2;
            state.before = Before::Operator;
        };
        let mark = text.get(at + 2).copied().unwrap_or(b' ');
        let indented = matches!(mark, b'~' | b'-');
        let name_at = at + 2 + usize::from(indented);
        let first = text.get(name_at).copied().unwrap_or(b' ');
        let (name, end) = if matches!(first, b'"' | b'\'' | b'`') {
            let line = line_end(text, name_at);
            match crate::bytes::find(first, &text[name_at + 1..line]) {
                Some(len) => (&text[name_at + 1..name_at + 1 + len], name_at + len + 2),
                None => (&text[..0], at + 2),
            }
        } else {
            let len = self.word_len(name_at);
            (&text[name_at..name_at + len], name_at + len)
        };
        let named = !name.is_empty() && !first.is_ascii_digit();
        let possible = match state.before {
            Before::Operator => named,
            Before::Name => named && spaced,
            Before::Operand => named && indented && spaced,
            Before::Dot => false,
        };
        if !possible {
            operator(state);
            return Step::Go;
        }
        let mut other = state.clone();
        operator(&mut other);
        let certain = state.before == Before::Operator || indented;
        state.heredocs.push(Heredoc {
            from: at,
            name: name.to_vec(),
            indented,
        });
        state.at = end;
        state.before = Before::Operand;
        if certain { Step::Go } else { Step::Fork(other) }
    }
}
