//! JavaScript, TypeScript and JSX. Whether a slash divides or opens a regular expression depends on
//! what is before it; behind a brace that is not known here, and both are followed.

use super::fork::{Machine, Step, run};
use super::{Sink, end_of, is_word, line_end};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Elements {
    /// `<` at the start of an expression opens an element.
    Jsx,
    /// It may open type parameters, too.
    Tsx,
    None,
}

pub(super) fn typescript(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Elements::None, sink);
}

pub(super) fn jsx(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Elements::Jsx, sink);
}

pub(super) fn tsx(text: &[u8], start: usize, sink: &mut Sink) {
    lex(text, start, Elements::Tsx, sink);
}

fn lex(text: &[u8], start: usize, elements: Elements, sink: &mut Sink) {
    let start = match text[start..].starts_with(b"#!") {
        true => line_end(text, start),
        false => start,
    };
    let script = Script { text, elements };
    run(&script, State::new(start), sink);
}

/// Reads an expression in a page up to the brace that closes it; where that ends. Only what is
/// inside brackets of the expression is code: at its own level not every tool takes a comment.
pub(super) fn expression(text: &[u8], start: usize, sink: &mut Sink) -> usize {
    let script = Script {
        text,
        elements: Elements::None,
    };
    let mut state = State::new(start);
    state.stack.push(Frame::Hole { from: start - 1 });
    let end = run(&script, state, sink);
    sink.add(text, start - 1..start, "an expression");
    end
}

/// Bytes of a regular expression; so many slashes may look like the start of one.
const LONGEST_REGEX: usize = 4096;
/// Brackets in brackets; deeper is not read.
const DEPTH: usize = 256;

struct Script<'a> {
    text: &'a [u8],
    elements: Elements,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    at: usize,
    before: Before,
    stack: Vec<Frame>,
}

/// What the token before was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The end of an operand: a slash divides.
    Operand,
    /// Anything that an operand follows.
    Operator,
    /// A dot: the next word is a name.
    Dot,
    /// A word whose parentheses a statement follows.
    Head,
    /// A closed brace, of a block or an object.
    Brace,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Frame {
    Paren {
        head: bool,
    },
    Bracket,
    Brace,
    /// `${` in a template literal.
    Template,
    /// `{` in an element's text or tag.
    Braced,
    /// A tag.
    Tag {
        from: usize,
        closing: bool,
    },
    /// The text between an element's tags.
    Text {
        from: usize,
    },
    /// The braces around an expression in a page.
    Hole {
        from: usize,
    },
}

impl State {
    fn new(at: usize) -> Self {
        Self {
            at,
            before: Before::Operator,
            stack: Vec::new(),
        }
    }
}

impl Machine for Script<'_> {
    type State = State;

    fn at(state: &State) -> usize {
        state.at
    }

    /// Elements, and the braces in a page, are noted when they end.
    fn is_settled(state: &State) -> bool {
        let is_open = |frame: &Frame| {
            matches!(
                frame,
                Frame::Braced | Frame::Tag { .. } | Frame::Text { .. } | Frame::Hole { .. }
            )
        };
        !state.stack.iter().any(is_open)
    }

    fn step(&self, state: &mut State, sink: &mut Sink) -> Step<State> {
        if state.stack.len() > DEPTH {
            sink.lose(state.at);
            return Step::End;
        }
        match state.stack.last() {
            Some(Frame::Tag { from, closing }) => {
                let (from, closing) = (*from, *closing);
                self.tag(state, from, closing, sink)
            }
            Some(Frame::Text { from }) => {
                let from = *from;
                self.children(state, from, sink)
            }
            _ => self.code(state, sink),
        }
    }
}

impl Script<'_> {
    fn code(&self, state: &mut State, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        let from = state.at;
        let is_plain = |byte: &u8| match MEANS[usize::from(*byte)] {
            Means::Nothing => true,
            Means::Angle => self.elements == Elements::None,
            Means::Something => false,
        };
        let rest = text[from..].iter();
        let at = from + rest.take_while(|byte| is_plain(byte)).count();
        if at < text.len() {
            return self.token(state, at, sink);
        }
        let run = text[from..].trim_ascii_end();
        if !run.is_empty() {
            state.before = behind(state.before, run);
            state.at = from + run.len();
            return Step::Go;
        }
        state.at = at;
        // What is open still is no program, or this reading is wrong.
        match state.stack.is_empty() {
            true => Step::End,
            false => Step::Dead,
        }
    }

    /// Reads the words and operators up to an offset, and the quote, bracket or slash there.
    fn token(&self, state: &mut State, at: usize, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        let run = &text[state.at..at];
        let before = || behind(state.before, run);
        let next = text.get(at + 1).copied().unwrap_or(0);
        match text[at] {
            b'/' if next == b'/' => {
                state.before = before();
                state.at = line_end(text, at);
            }
            b'/' if next == b'*' => {
                state.before = before();
                state.at = end_of(text, at + 2, b"*/");
                sink.add(text, at..state.at, "a comment");
            }
            b'/' => {
                state.before = before();
                state.at = at;
                return self.slash(state);
            }
            quote @ (b'"' | b'\'') => {
                state.at = quoted(text, at, quote);
                sink.add(text, at..state.at, "a string");
                state.before = Before::Operand;
            }
            b'`' => self.template(state, at, sink),
            b'<' if self.opens_element(at, before()) => {
                state.stack.push(Frame::Tag {
                    from: at,
                    closing: false,
                });
                state.at = at + 1;
            }
            byte @ (b'(' | b'[' | b'{') => {
                let head = byte == b'(' && may_be_head(run) && before() == Before::Head;
                state.at = at;
                self.open(state, byte, head, sink);
            }
            byte @ (b')' | b']' | b'}') => {
                state.at = at;
                return self.close(state, byte, sink);
            }
            _ => {
                state.before = Before::Operator;
                state.at = at + 1;
            }
        }
        Step::Go
    }

    fn slash(&self, state: &mut State) -> Step<State> {
        let division = |state: &mut State| {
            state.at += 1;
            state.before = Before::Operator;
        };
        match (state.before, regex(self.text, state.at)) {
            (Before::Operand | Before::Dot, _) | (_, None) => division(state),
            (Before::Brace, Some(end)) => {
                let mut other = state.clone();
                division(&mut other);
                state.at = end;
                state.before = Before::Operand;
                return Step::Fork(other);
            }
            (_, Some(end)) => {
                state.at = end;
                state.before = Before::Operand;
            }
        }
        Step::Go
    }

    /// A template literal from an offset on, up to its end or to the code in it.
    fn template(&self, state: &mut State, from: usize, sink: &mut Sink) {
        let text = self.text;
        let mut at = from + 1;
        loop {
            match text.get(at) {
                Some(b'\\') => at += 2,
                Some(b'`') => {
                    at += 1;
                    state.before = Before::Operand;
                    break;
                }
                Some(b'$') if text.get(at + 1) == Some(&b'{') => {
                    at += 2;
                    state.stack.push(Frame::Template);
                    state.before = Before::Operator;
                    break;
                }
                Some(_) => at += 1,
                None => {
                    state.stack.push(Frame::Template);
                    break;
                }
            }
        }
        state.at = at.min(text.len());
        sink.add(text, from..state.at, "a template literal");
    }

    fn open(&self, state: &mut State, byte: u8, head: bool, sink: &mut Sink) {
        if let Some(Frame::Hole { from }) = state.stack.last() {
            sink.add(self.text, *from..state.at + 1, "an expression");
        }
        state.stack.push(match byte {
            b'(' => Frame::Paren { head },
            b'[' => Frame::Bracket,
            _ => Frame::Brace,
        });
        state.at += 1;
        state.before = Before::Operator;
    }

    fn close(&self, state: &mut State, byte: u8, sink: &mut Sink) -> Step<State> {
        let at = state.at;
        state.at += 1;
        let matches = match state.stack.last() {
            Some(Frame::Paren { .. }) => byte == b')',
            Some(Frame::Bracket) => byte == b']',
            Some(_) => byte == b'}',
            None => true,
        };
        // What does not match is skipped: the text is no program, or this reading is wrong.
        if !matches {
            state.before = Before::Operand;
            return Step::Go;
        }
        match state.stack.pop() {
            Some(Frame::Paren { head }) => {
                state.before = if head {
                    Before::Operator
                } else {
                    Before::Operand
                };
            }
            Some(Frame::Template) => self.template(state, at, sink),
            Some(Frame::Braced) => {
                // The text or tag goes on.
                if let Some(Frame::Tag { from, .. } | Frame::Text { from }) = state.stack.last_mut()
                {
                    *from = at;
                }
            }
            Some(Frame::Hole { from }) => {
                sink.add(self.text, from..state.at, "an expression");
                return Step::End;
            }
            _ => {
                state.before = if byte == b'}' {
                    Before::Brace
                } else {
                    Before::Operand
                };
            }
        }
        if let Some(Frame::Hole { from }) = state.stack.last_mut() {
            *from = at;
        }
        Step::Go
    }

    fn opens_element(&self, at: usize, before: Before) -> bool {
        if matches!(before, Before::Operand | Before::Dot | Before::Brace) {
            return false;
        }
        let rest = &self.text[at + 1..];
        let starts = rest
            .first()
            .is_some_and(|b| is_word(*b) && !b.is_ascii_digit() || matches!(b, b'>' | b'$'));
        if !starts || self.elements == Elements::Jsx {
            return starts;
        }
        // `<T,>(x) => x` and `<T extends U>(x) => x`.
        let name = rest.iter().take_while(|b| is_word(**b)).count();
        let behind = rest[name..].trim_ascii_start();
        let parameters = behind.starts_with(b",") || behind.starts_with(b"extends ");
        !parameters
    }

    fn tag(&self, state: &mut State, from: usize, closing: bool, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        let at = state.at;
        let Some(skip) = text[at..]
            .iter()
            .position(|b| matches!(b, b'"' | b'\'' | b'{' | b'<' | b'>' | b'/'))
        else {
            state.at = text.len();
            sink.add(text, from..state.at, "a tag");
            return Step::End;
        };
        let at = at + skip;
        state.at = at + 1;
        match text[at] {
            quote @ (b'"' | b'\'') => {
                let end = crate::bytes::find(quote, &text[at + 1..]);
                state.at = end.map_or(text.len(), |end| at + end + 2);
            }
            b'{' => {
                sink.add(text, from..state.at, "a tag");
                state.stack.push(Frame::Braced);
                state.before = Before::Operator;
            }
            // An element as the value of an attribute; otherwise type arguments.
            b'<' => {
                if text[..at].trim_ascii_end().ends_with(b"=") {
                    state.stack.push(Frame::Tag {
                        from: at,
                        closing: false,
                    });
                } else if let Some(end) = angle_end(text, at) {
                    state.at = end;
                }
            }
            b'/' => match text.get(at + 1) {
                Some(b'/') => state.at = line_end(text, at),
                Some(b'*') => state.at = end_of(text, at + 2, b"*/"),
                Some(b'>') => {
                    state.at = at + 2;
                    state.stack.pop();
                    self.after_element(state, from, sink);
                }
                _ => {}
            },
            // `=>` ends no tag; it stands in none, either.
            _ => {
                state.stack.pop();
                if closing {
                    // The text of the element that it closes.
                    state.stack.pop();
                    self.after_element(state, from, sink);
                } else {
                    sink.add(text, from..state.at, "a tag");
                    state.stack.push(Frame::Text { from: at });
                }
            }
        }
        Step::Go
    }

    /// Goes on behind an element.
    fn after_element(&self, state: &mut State, from: usize, sink: &mut Sink) {
        sink.add(self.text, from..state.at, "a tag");
        match state.stack.last_mut() {
            Some(Frame::Text { from } | Frame::Tag { from, .. }) => *from = state.at - 1,
            _ => state.before = Before::Operand,
        }
    }

    fn children(&self, state: &mut State, from: usize, sink: &mut Sink) -> Step<State> {
        let text = self.text;
        let end = memchr::memchr2(b'<', b'{', &text[state.at..]);
        let end = end.map_or(text.len(), |end| state.at + end);
        let stop = (end + 1).min(text.len());
        if crate::bytes::find(b'\n', &text[from..stop]).is_some() {
            sink.add(text, from..stop, "the text of an element");
            sink.children.push(from..stop);
        }
        state.at = stop;
        match text.get(end) {
            Some(b'<') => state.stack.push(Frame::Tag {
                from: end,
                closing: text.get(end + 1) == Some(&b'/'),
            }),
            Some(_) => {
                state.stack.push(Frame::Braced);
                state.before = Before::Operator;
            }
            None => return Step::End,
        }
        if text.get(end + 1) == Some(&b'/') && text[end] == b'<' {
            state.at += 1;
        }
        Step::Go
    }
}

/// What a byte is in code.
#[derive(Clone, Copy)]
enum Means {
    /// A part of a word, a number, an operator, or a blank.
    Nothing,
    /// It may open an element, in languages that have them.
    Angle,
    /// A quote, a bracket or a slash.
    Something,
}

/// What each byte is in code.
const MEANS: [Means; 256] = {
    let mut means = [Means::Nothing; 256];
    let bytes = b"/\"'`([{)]}";
    let mut index = 0;
    while index < bytes.len() {
        means[bytes[index] as usize] = Means::Something;
        index += 1;
    }
    means[b'<' as usize] = Means::Angle;
    means
};

/// What the last token is behind a run of words, numbers, operators and blanks, with `before` before
/// the run. It is read from its end: most runs are never asked about.
fn behind(before: Before, run: &[u8]) -> Before {
    /// What the token that was read last makes of the one before it.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Keeps {
        All,
        /// `x++` and `x!` are operands as `x` is.
        Operand,
        /// The parentheses of `for await (` are those of `for`.
        Head,
    }
    let mut keeps = Keeps::All;
    let mut run = run;
    let found = loop {
        run = run.trim_ascii_end();
        let Some(&last) = run.last() else {
            break before;
        };
        let (rest, now) = match last {
            b'#' | b'@' | b'\\' => (&run[..run.len() - 1], keeps),
            b'.' => {
                break match () {
                    () if run.ends_with(b"...") => Before::Operator,
                    () if ends_with_number(&run[..run.len() - 1]) => Before::Operand,
                    () => Before::Dot,
                };
            }
            b'!' => (&run[..run.len() - 1], Keeps::Operand),
            b'+' | b'-' => {
                let same = run.iter().rev().take_while(|b| **b == last).count();
                if same % 2 == 1 {
                    break Before::Operator;
                }
                (&run[..run.len() - same], Keeps::Operand)
            }
            _ if is_name(last) => {
                let (rest, word) = last_word(run);
                if is_behind_dot(before, rest) {
                    break Before::Operand;
                }
                match word {
                    b"if" | b"while" | b"for" | b"with" => break Before::Head,
                    b"await" => (rest, Keeps::Head),
                    b"return" | b"typeof" | b"instanceof" | b"in" | b"of" | b"new" | b"delete"
                    | b"void" | b"throw" | b"case" | b"do" | b"else" | b"yield" | b"default"
                    | b"extends" => break Before::Operator,
                    _ => break Before::Operand,
                }
            }
            _ => break Before::Operator,
        };
        if keeps != Keeps::All && now != keeps {
            return Before::Operator;
        }
        (run, keeps) = (rest, now);
    };
    match (keeps, found) {
        (Keeps::All, _) | (Keeps::Operand, Before::Operand) | (Keeps::Head, Before::Head) => found,
        _ => Before::Operator,
    }
}

/// Whether a word is the name of a member, by what is before it.
fn is_behind_dot(before: Before, rest: &[u8]) -> bool {
    let is_between = |b: &u8| b.is_ascii_whitespace() || matches!(b, b'#' | b'@' | b'\\');
    let end = rest.iter().rposition(|b| !is_between(b));
    match end.map(|end| &rest[..=end]) {
        None => before == Before::Dot,
        Some(rest) if rest.ends_with(b"...") => false,
        Some([number @ .., b'.']) => !ends_with_number(number),
        Some(_) => false,
    }
}

/// Whether [`behind`] may be [`Before::Head`]: most runs before a parenthesis end otherwise.
fn may_be_head(run: &[u8]) -> bool {
    let run = run.trim_ascii_end();
    let ends_in = |words: &[&[u8]]| words.iter().any(|word| run.ends_with(word));
    match run.last() {
        None | Some(b'#' | b'@' | b'\\') => true,
        Some(b'f' | b'r' | b'e' | b'h' | b't') => {
            ends_in(&[b"if", b"for", b"while", b"with", b"await"])
        }
        Some(_) => false,
    }
}

fn ends_with_number(run: &[u8]) -> bool {
    last_word(run).1.first().is_some_and(u8::is_ascii_digit)
}

/// Divides a run before the word that it ends with.
fn last_word(run: &[u8]) -> (&[u8], &[u8]) {
    let start = run.iter().rposition(|b| !is_name(*b));
    run.split_at(start.map_or(0, |at| at + 1))
}

/// Whether a byte can be part of a name, a word or a number.
fn is_name(byte: u8) -> bool {
    is_word(byte) || byte == b'$'
}

/// The end of a string of one line, which a backslash may carry over to the next.
fn quoted(text: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if text[at..].starts_with(b"\\\r\n") => at += 3,
            b'\\' => at += 2,
            b'\n' => return at,
            _ if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The end of a regular expression that starts at an offset; `None` where none does.
fn regex(text: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    let mut class = false;
    loop {
        if at - from > LONGEST_REGEX {
            return None;
        }
        match text.get(at)? {
            b'\n' => return None,
            b'\\' if text.get(at + 1) == Some(&b'\n') => return None,
            b'\\' => at += 1,
            b'[' => class = true,
            b']' => class = false,
            b'/' if !class => return Some(at + 1),
            _ => {}
        }
        at += 1;
    }
}

/// The end of type arguments.
fn angle_end(text: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (at, byte) in text.iter().enumerate().skip(from).take(1000) {
        match byte {
            b'<' => depth += 1,
            b'>' if text.get(at - 1) != Some(&b'=') => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::Language;
    use super::super::Context;
    use super::*;

    #[test]
    fn the_last_token_is_read_from_the_end() {
        use Before::{Brace, Dot, Head, Operand, Operator};
        for (before, run, is) in [
            (Brace, "  ", Brace),
            (Operand, " if ", Head),
            (Dot, "if", Operand),
            (Dot, " \n#if", Operand),
            (Operator, "a.if", Operand),
            (Operator, "...if", Head),
            (Operator, "for await", Head),
            (Head, "await", Head),
            (Operand, "await ", Operator),
            (Operator, "x = await", Operator),
            (Operator, "return", Operator),
            (Operator, "a.return", Operand),
            (Operator, "a++", Operand),
            (Operand, "--", Operand),
            (Operator, "= ++", Operator),
            (Operator, "a +++", Operator),
            (Operator, "a!", Operand),
            (Operator, "= !", Operator),
            (Operator, "a!=", Operator),
            (Operator, "1.5", Operand),
            (Operator, "1.", Operand),
            (Operator, "a?.", Dot),
            (Operator, "...", Operator),
            (Operator, "$é", Operand),
        ] {
            assert_eq!(behind(before, run.as_bytes()), is, "{before:?} {run:?}");
            let may = may_be_head(run.as_bytes());
            assert!(may || is != Head, "{run:?}");
        }
    }

    proptest! {
        /// Of the lines before it, a reading that stops knows what one to the end knows.
        #[test]
        fn to_stop_where_nobody_asks_changes_nothing(
            name in prop::sample::select(vec!["a.ts", "a.jsx", "a.tsx"]),
            tokens in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "if", "return", " ", "\n", "\n", "\n", ".", "1", "(", ")", "[", "]", "{",
                    "}", "/", "//", "/*", "*/", "\"", "'", "`", "${", "<b>", "</b>", "<b ", "/>",
                    "<", ">", "=", "++", "!", "\\",
                ]),
                1..60,
            ),
        ) {
            let text = tokens.concat().into_bytes();
            let path = crate::path::RelPath::new(name).unwrap();
            let language = Language::of(&path, &text).unwrap();
            let whole = Context::of(language, name, &text, None);
            let lines = memchr::memchr_iter(b'\n', &text).map(|at| at + 1);
            for line in [0].into_iter().chain(lines) {
                let part = Context::of(language, name, &text, Some(line));
                prop_assert_eq!(part.place(&text, line), whole.place(&text, line), "line at {}", line);
            }
        }
    }
}
