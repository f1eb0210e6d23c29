//! Perl: quotes with any delimiter, heredocs, documentation, and slashes that may be either.

use super::fork::{Machine, Step, run};
use super::{Sink, is_word, line_end};

pub(super) fn lex(text: &[u8], start: usize, sink: &mut Sink) {
    let mut state = State {
        at: start,
        before: Before::Operator,
        heredocs: Vec::new(),
    };
    let perl = Perl { text };
    perl.line(&mut state, sink);
    run(&perl, state, sink);
}

/// Bytes of what may be a regular expression or a division.
const LONGEST_REGEX: usize = 4096;

struct Perl<'a> {
    text: &'a [u8],
}

#[derive(Debug, Clone, PartialEq)]
struct State {
    at: usize,
    before: Before,
    heredocs: Vec<Heredoc>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    Operand,
    /// A bare word or a closed brace, which an operand or an operator may follow.
    Either,
    Operator,
    /// `->` or a sigil: what follows is a name.
    Name,
}

#[derive(Debug, Clone, PartialEq)]
struct Heredoc {
    from: usize,
    name: Vec<u8>,
    indented: bool,
}

impl Machine for Perl<'_> {
    type State = State;

    fn at(state: &State) -> usize {
        state.at
    }

    fn step(&self, state: &mut State, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        let at = state.at;
        let Some(&byte) = text.get(at) else {
            return Step::End;
        };
        let next = text.get(at + 1).copied().unwrap_or(0);
        match byte {
            b'\n' => return self.newline(state, sink),
            b' ' | b'\t' | b'\r' => state.at += 1,
            b'#' => state.at = line_end(text, at),
            b'"' | b'\'' | b'`' => {
                if state.before == Before::Name && byte == b'\'' {
                    state.at += 1;
                } else {
                    self.delimited(state, at, at, 1, "a string", sink);
                }
            }
            b'$' | b'@' | b'%' | b'&' => return self.sigil(state, byte, next),
            b'/' | b'?' if byte == b'/' => return self.slash(state, sink),
            b'<' if next == b'<' => return self.heredoc(state),
            b'-' if next == b'>' => {
                state.at += 2;
                state.before = Before::Name;
            }
            // A file test, as `-s $file`.
            b'-' if state.before != Before::Operand
                && next.is_ascii_alphabetic()
                && !text.get(at + 2).is_some_and(|b| is_word(*b)) =>
            {
                state.at += 2;
                state.before = Before::Operator;
            }
            b')' | b']' => {
                state.at += 1;
                state.before = Before::Operand;
            }
            b'}' => {
                state.at += 1;
                state.before = Before::Either;
            }
            _ if is_word(byte) => return self.word(state, sink),
            _ => {
                state.at += 1;
                state.before = Before::Operator;
            }
        }
        Step::Go
    }
}

impl Perl<'_> {
    fn word_len(&self, at: usize) -> usize {
        let rest = &self.text[at.min(self.text.len())..];
        rest.iter().take_while(|b| is_word(**b)).count()
    }

    fn sigil(&self, state: &mut State, byte: u8, next: u8) -> Step<State> {
        let text = self.text;
        let at = state.at;
        // `%` and `&` are operators behind an operand.
        if matches!(byte, b'%' | b'&') && matches!(state.before, Before::Operand | Before::Either) {
            state.at += 1;
            state.before = Before::Operator;
            return Step::Go;
        }
        let word = self.word_len(at + 1);
        state.before = Before::Operand;
        if word > 0 || next == b':' && text.get(at + 2) == Some(&b':') {
            let mut end = at + 1 + word;
            while text[end..].starts_with(b"::") {
                end += 2 + self.word_len(end + 2);
            }
            state.at = end;
        } else if byte == b'$' && next == b'#' {
            // The last index of an array.
            state.at += 2;
            if matches!(text.get(state.at), Some(b'{' | b'$')) {
                state.before = Before::Operator;
            }
        } else if next == b'{' || next == b'$' || next == b'^' {
            state.at += 1;
            state.before = Before::Name;
            if next == b'^' {
                state.at += 2;
                state.before = Before::Operand;
            } else if next == b'{' {
                // `${name}` and `@{…}`.
                state.at += 1;
                state.before = Before::Operator;
                let word = self.word_len(state.at);
                if text.get(state.at + word) == Some(&b'}') {
                    state.at += word + 1;
                    state.before = Before::Operand;
                }
            }
        } else if byte == b'$' && !next.is_ascii_whitespace() && next != 0 {
            // `$'`, `$"`, `$/` and the others.
            state.at += 2;
        } else {
            state.at += 1;
            state.before = Before::Operator;
        }
        Step::Go
    }

    fn word(&self, state: &mut State, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        let at = state.at;
        let len = self.word_len(at);
        let word = &text[at..at + len];
        let behind = &text[at + len..];
        let key = {
            let rest = behind.trim_ascii_start();
            rest.starts_with(b"=>") || behind.starts_with(b"}") && text[..at].ends_with(b"{")
        };
        let parts = match word {
            b"q" | b"qq" | b"qw" | b"qr" | b"qx" | b"m" => 1,
            b"s" | b"tr" | b"y" => 2,
            _ => 0,
        };
        if parts > 0
            && !key
            && state.before != Before::Name
            && text.get(at.wrapping_sub(1)) != Some(&b'-')
        {
            let blank = behind.len() - behind.trim_ascii_start().len();
            let delimiter = behind.get(blank).copied().unwrap_or(b' ');
            // Behind white space a `#` is a comment, and `=`, `,` and `;` go with a name.
            let is_quote = match delimiter {
                b'#' => blank == 0,
                b'=' | b',' | b';' | b')' => false,
                other => !other.is_ascii_whitespace() && (!is_word(other) || blank > 0),
            };
            if is_quote && !(is_word(delimiter) && blank == 0) {
                let what = match parts {
                    2 => "a substitution",
                    _ => "a string",
                };
                self.delimited(state, at, at + len + blank, parts, what, sink);
                return Step::Go;
            }
        }
        state.at = at + len;
        if text[state.at..].starts_with(b"::") {
            state.at += 2;
        } else if text.get(state.at) == Some(&b'\'') && state.before == Before::Name {
            state.at += 1;
        }
        let is_number = word[0].is_ascii_digit();
        state.before = match word {
            _ if state.before == Before::Name && !is_number => Before::Either,
            _ if is_number => Before::Operand,
            b"if" | b"unless" | b"while" | b"until" | b"and" | b"or" | b"not" | b"return"
            | b"split" | b"grep" | b"map" | b"join" | b"push" | b"unshift" | b"x" | b"lt"
            | b"gt" | b"le" | b"ge" | b"eq" | b"ne" | b"cmp" | b"print" | b"die" | b"when"
            | b"xor" => Before::Operator,
            b"sub" => Before::Name,
            _ => Before::Either,
        };
        Step::Go
    }

    /// A quote from its operator on: one part, or two where something is replaced.
    fn delimited(
        &self,
        state: &mut State,
        from: usize,
        open: usize,
        parts: usize,
        what: &'static str,
        sink: &mut Sink,
    ) {
        let text = self.text;
        let mut at = open;
        let first = text[open];
        let last = closing(first);
        for part in 0..parts {
            if part > 0 && last != first {
                // The second part has delimiters of its own, behind white space and comments.
                loop {
                    let rest = &text[at.min(text.len())..];
                    let blank = rest.len() - rest.trim_ascii_start().len();
                    at += blank;
                    if blank > 0 && text.get(at) == Some(&b'#') {
                        at = line_end(text, at);
                    } else {
                        break;
                    }
                }
                let Some(&second) = text.get(at) else { break };
                at = self.part(at + 1, second, closing(second));
            } else {
                let start = if part == 0 { at + 1 } else { at };
                at = self.part(start, first, last);
            }
        }
        at += self.word_len(at);
        state.at = at.min(text.len());
        sink.add(text, from..state.at, what);
        state.before = Before::Operand;
    }

    fn part(&self, from: usize, open: u8, close: u8) -> usize {
        let text = self.text;
        let mut depth = 0usize;
        let mut at = from;
        while let Some(&byte) = text.get(at) {
            if byte == b'\\' && close != b'\\' {
                at += 1;
            } else if byte == close {
                if depth == 0 {
                    return at + 1;
                }
                depth -= 1;
            } else if byte == open {
                depth += 1;
            }
            at += 1;
        }
        text.len()
    }

    fn slash(&self, state: &mut State, sink: &mut Sink) -> Step<State> {
        let at = state.at;
        let operator = |state: &mut State| {
            // `//` and `//=` are one operator.
            state.at += if self.text[at..].starts_with(b"//") {
                2
            } else {
                1
            };
            state.before = Before::Operator;
        };
        match state.before {
            Before::Operator => {
                self.delimited(state, at, at, 1, "a regular expression", sink);
                Step::Go
            }
            Before::Either => {
                let mut other = state.clone();
                operator(&mut other);
                // Rather no regular expression where it does not end on its line.
                let line = &self.text[at + 1..line_end(self.text, at)];
                let near = &line[..line.len().min(LONGEST_REGEX)];
                if crate::bytes::find(b'/', near).is_none() {
                    *state = other;
                    return Step::Go;
                }
                self.delimited(state, at, at, 1, "a regular expression", sink);
                Step::Fork(other)
            }
            _ => {
                operator(state);
                Step::Go
            }
        }
    }

    fn heredoc(&self, state: &mut State) -> Step<State> {
        let text = self.text;
        let at = state.at;
        let indented = text.get(at + 2) == Some(&b'~');
        let name_at = at + 2 + usize::from(indented);
        let first = text.get(name_at).copied().unwrap_or(b' ');
        let (name, end) = match first {
            b'"' | b'\'' => {
                let line = line_end(text, name_at);
                match crate::bytes::find(first, &text[name_at + 1..line]) {
                    Some(len) => (&text[name_at + 1..name_at + 1 + len], name_at + len + 2),
                    None => (&text[..0], at + 2),
                }
            }
            _ if is_word(first) && !first.is_ascii_digit() => {
                let len = self.word_len(name_at);
                (&text[name_at..name_at + len], name_at + len)
            }
            _ => (&text[..0], at + 2),
        };
        if name.is_empty() || state.before == Before::Operand {
            state.at = at + 2;
            state.before = Before::Operator;
            return Step::Go;
        }
        state.heredocs.push(Heredoc {
            from: at,
            name: name.to_vec(),
            indented,
        });
        state.at = end;
        state.before = Before::Operand;
        Step::Go
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
                if found || end == text.len() {
                    break;
                }
            }
            sink.add(text, heredoc.from..state.at, "a heredoc");
        }
        state.at = (state.at + 1).min(text.len());
        self.line(state, sink);
        Step::Go
    }

    /// What counts only at the start of a line.
    fn line(&self, state: &mut State, sink: &mut Sink) {
        let (text, at) = (self.text, state.at);
        let rest = &text[at..];
        if rest.starts_with(b"=") && rest.get(1).is_some_and(u8::is_ascii_alphabetic) {
            let mut end = at;
            loop {
                let line = line_end(text, end);
                let here = &text[end..line];
                end = line;
                if here.starts_with(b"=cut") || line == text.len() {
                    break;
                }
                end += 1;
            }
            let end = if end == text.len() { end + 1 } else { end };
            sink.add(text, at..end, "documentation");
            state.at = end.min(text.len());
        } else if rest.starts_with(b"__END__") || rest.starts_with(b"__DATA__") {
            sink.add(text, at..text.len() + 1, "data");
            state.at = text.len();
        } else if rest.starts_with(b"format ")
            && rest[..line_end(rest, 0)].trim_ascii_end().ends_with(b"=")
        {
            let end = super::end_of(text, at, b"\n.\n");
            sink.add(text, at..end - usize::from(end < text.len()), "a format");
            state.at = end;
        }
    }
}

fn closing(open: u8) -> u8 {
    match open {
        b'(' => b')',
        b'[' => b']',
        b'{' => b'}',
        b'<' => b'>',
        other => other,
    }
}
