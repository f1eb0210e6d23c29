//! What a row of the table does not describe: delimiters that are counted or named, and quotes
//! whose meaning depends on what is before them.

use super::table::{Lexer, Lines, Quote};
use super::{end_of, is_word, line_end};

/// Counts a byte from an offset on.
fn run(text: &[u8], from: usize, byte: u8) -> usize {
    text[from.min(text.len())..]
        .iter()
        .take_while(|b| **b == byte)
        .count()
}

/// `'a'`, `'\n'` and what only starts so: a lifetime, a type variable, a name's prime.
pub(super) fn character(lexer: &mut Lexer<'_>) -> bool {
    let rest = &lexer.text[lexer.at + 1..];
    let len = match rest.first() {
        Some(b'\\') => {
            let line = &rest[..line_end(rest, 0)];
            let from = 2.min(line.len());
            line[from..]
                .iter()
                .position(|b| *b == b'\'')
                .map(|at| from + at)
        }
        Some(&byte) => {
            let width = match byte {
                0..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                _ => 4,
            };
            (rest.get(width) == Some(&b'\'')).then_some(width)
        }
        None => None,
    };
    // A prime behind a name opens nothing.
    let len = len.filter(|_| !is_word(lexer.before(1)));
    lexer.at += len.map_or(1, |len| len + 2);
    true
}

/// Characters, lifetimes and raw strings.
pub(super) fn rust(lexer: &mut Lexer<'_>) -> bool {
    if lexer.text[lexer.at] == b'\'' {
        // `b'x'` is one, too.
        let prefixed = lexer.before(1) == b'b' && !is_word(lexer.before(2));
        if prefixed || !is_word(lexer.before(1)) {
            let saved = lexer.at;
            if prefixed {
                let rest = &lexer.text[saved + 1..];
                let skip = if rest.first() == Some(&b'\\') { 2 } else { 1 };
                let end = line_end(rest, 0);
                if let Some(at) = rest[skip.min(end)..end].iter().position(|b| *b == b'\'') {
                    lexer.at += 1 + skip + at + 1;
                    return true;
                }
            }
            return character(lexer);
        }
        lexer.at += 1;
        return true;
    }
    let prefix = matches!(lexer.before(1), b'b' | b'c') && !is_word(lexer.before(2));
    if is_word(lexer.before(1)) && !prefix {
        return false;
    }
    let hashes = run(lexer.text, lexer.at + 1, b'#');
    let open = lexer.at + 1 + hashes;
    if lexer.text.get(open) != Some(&b'"') {
        return false;
    }
    let close = [&b"\""[..], &vec![b'#'; hashes]].concat();
    let end = end_of(lexer.text, open + 1, &close);
    lexer.take(end, "a raw string")
}

/// `R"x(…)x"`, and the quotes that group digits.
pub(super) fn cpp(lexer: &mut Lexer<'_>) -> bool {
    if lexer.text[lexer.at] == b'\'' {
        let mut start = lexer.at;
        while start > lexer.start
            && (is_word(lexer.text[start - 1]) || lexer.text[start - 1] == b'\'')
        {
            start -= 1;
        }
        let groups = lexer.text[start].is_ascii_digit()
            && lexer
                .text
                .get(lexer.at + 1)
                .is_some_and(|b| b.is_ascii_hexdigit());
        if groups {
            lexer.at += 1;
        }
        return groups;
    }
    let before: Vec<u8> = (1..=3).map(|back| lexer.before(back)).collect();
    let prefixed = matches!(before[0], b'u' | b'U' | b'L') && !is_word(before[1])
        || before[0] == b'8' && before[1] == b'u' && !is_word(before[2]);
    if is_word(before[0]) && !prefixed || lexer.text.get(lexer.at + 1) != Some(&b'"') {
        return false;
    }
    let name = lexer.at + 2;
    let limit = (name + 17).min(lexer.text.len());
    let Some(paren) = crate::bytes::find(b'(', &lexer.text[name..limit]) else {
        return false;
    };
    let close = [&b")"[..], &lexer.text[name..name + paren], b"\""].concat();
    let end = end_of(lexer.text, name + paren + 1, &close);
    lexer.take(end, "a raw string")
}

/// Verbatim, interpolated and raw strings.
pub(super) fn csharp(lexer: &mut Lexer<'_>) -> bool {
    let marks = [lexer.before(1), lexer.before(2)];
    let quotes = run(lexer.text, lexer.at, b'"');
    let interpolated = marks[0] == b'$' || marks[1] == b'$' && marks[0] == b'@';
    let verbatim = marks[0] == b'@' || marks[1] == b'@' && marks[0] == b'$';
    if quotes >= 3 && !verbatim {
        let close = vec![b'"'; quotes];
        let end = end_of(lexer.text, lexer.at + quotes, &close);
        let end = end + run(lexer.text, end, b'"');
        return lexer.take(end, "a raw string");
    }
    let hole = interpolated.then_some(("{", b'}'));
    if verbatim {
        let quote = Quote {
            open: "\"",
            close: "\"",
            escape: 0,
            lines: Lines::Many,
            hole,
        };
        lexer.string(&quote);
        // Two quotes are one: another string that starts at once.
        while lexer.text.get(lexer.at) == Some(&b'"') {
            lexer.string(&quote);
        }
        return true;
    }
    if !interpolated {
        return false;
    }
    // `{{` is a brace, and the hole that it seems to open closes with `}}`.
    lexer.string(&Quote {
        open: "\"",
        close: "\"",
        escape: b'\\',
        lines: Lines::One,
        hole,
    });
    true
}

/// Verbatim strings, characters, and the operator that looks like a comment.
pub(super) fn fsharp(lexer: &mut Lexer<'_>) -> bool {
    match lexer.text[lexer.at] {
        b'\'' => character(lexer),
        b'(' if lexer.starts_with("(*)") => {
            lexer.at += 3;
            true
        }
        b'@' if lexer.starts_with("@\"") => {
            let end = end_of(lexer.text, lexer.at + 2, b"\"");
            lexer.take(end, "a string")
        }
        _ => false,
    }
}

/// `#"…"#`, `#"""…"""#` and `#/…/#`, with any number of hashes.
pub(super) fn swift(lexer: &mut Lexer<'_>) -> bool {
    let hashes = run(lexer.text, lexer.at, b'#');
    let open = lexer.at + hashes;
    let quotes = run(lexer.text, open, b'"');
    let close = match lexer.text.get(open) {
        Some(b'"') if quotes >= 3 => &b"\"\"\""[..],
        Some(b'"') => b"\"",
        Some(b'/') => b"/",
        _ => {
            lexer.at = open;
            return true;
        }
    };
    let from = open + close.len();
    let close = [close, &vec![b'#'; hashes]].concat();
    let end = end_of(lexer.text, from, &close);
    // One of a line that is not closed there is none.
    let line = line_end(lexer.text, from);
    if close[0] == b'"' && quotes < 3 && end > line {
        lexer.at = from;
        return true;
    }
    lexer.take(end, "a string")
}

/// `r"…"`, in which nothing is escaped.
pub(super) fn dart(lexer: &mut Lexer<'_>) -> bool {
    if is_word(lexer.before(1)) {
        return false;
    }
    for quote in ["\"\"\"", "'''", "\"", "'"] {
        if lexer.text[lexer.at + 1..].starts_with(quote.as_bytes()) {
            lexer.at += 1;
            lexer.string(&Quote {
                open: quote,
                close: quote,
                escape: 0,
                lines: if quote.len() > 1 {
                    Lines::Many
                } else {
                    Lines::One
                },
                hole: None,
            });
            return true;
        }
    }
    false
}

/// Lines that start with `\\` and follow each other are one string.
pub(super) fn zig(lexer: &mut Lexer<'_>) -> bool {
    if !lexer.starts_with("\\\\") {
        return false;
    }
    let mut end = line_end(lexer.text, lexer.at);
    while end < lexer.text.len() {
        let next = line_end(lexer.text, end + 1);
        if !lexer.text[end + 1..next]
            .trim_ascii_start()
            .starts_with(b"\\\\")
        {
            break;
        }
        end = next;
    }
    lexer.take(end, "a string")
}

/// `url(…)` without quotes, and the values of custom properties, which are kept as they are.
pub(super) fn css(lexer: &mut Lexer<'_>) -> bool {
    if lexer.text[lexer.at] == b'u' {
        if !lexer.starts_with("url(") || is_word(lexer.before(1)) {
            return false;
        }
        let rest = lexer.text[lexer.at + 4..].trim_ascii_start();
        let line = &rest[..line_end(rest, 0)];
        if matches!(rest.first(), Some(b'"' | b'\'')) || !line.contains(&b')') {
            lexer.at += 4;
            return true;
        }
        let end = end_of(lexer.text, lexer.at, b")");
        return lexer.take(end, "a URL");
    }
    let is_start = matches!(lexer.before(1), b'{' | b';' | b' ' | b'\t' | b'\n');
    if !is_start || !lexer.starts_with("--") {
        return false;
    }
    let name = lexer.text[lexer.at + 2..]
        .iter()
        .take_while(|b| is_word(**b) || **b == b'-')
        .count();
    let colon = lexer.at + 2 + name;
    if name == 0 || lexer.text.get(colon) != Some(&b':') {
        return false;
    }
    let mut depth = 0usize;
    let mut end = colon + 1;
    while let Some(byte) = lexer.text.get(end) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' if depth == 0 => break,
            b'}' | b')' | b']' => depth -= 1,
            b';' if depth == 0 => break,
            b'/' if lexer.text[end..].starts_with(b"/*") => {
                end = end_of(lexer.text, end + 2, b"*/");
                continue;
            }
            b'"' | b'\'' => {
                let line = line_end(lexer.text, end);
                let close = lexer.text[end + 1..line].iter().position(|b| b == byte);
                end += close.map_or(0, |at| at + 1);
            }
            _ => {}
        }
        end += 1;
    }
    lexer.take(end, "the value of a custom property")
}

/// `''…''`, in which a third quote, a dollar or a backslash behind the two takes their meaning away.
pub(super) fn nix(lexer: &mut Lexer<'_>) -> bool {
    if !lexer.starts_with("''") || is_word(lexer.before(1)) {
        lexer.at += 1;
        return true;
    }
    let mut end = lexer.at + 2;
    loop {
        end = end_of(lexer.text, end, b"''");
        match lexer.text.get(end) {
            Some(b'\'' | b'$') => end += 1,
            Some(b'\\') => end += 2,
            _ => break,
        }
    }
    lexer.take(end, "a string")
}

/// `[[…]]` and `#[[…]]`, with any number of `=` between the brackets.
pub(super) fn cmake(lexer: &mut Lexer<'_>) -> bool {
    let comment = lexer.text[lexer.at] == b'#';
    let open = lexer.at + usize::from(comment);
    match long_bracket(lexer.text, open) {
        Some(end) => lexer.take(
            end,
            if comment {
                "a comment"
            } else {
                "a bracket argument"
            },
        ),
        None => false,
    }
}

/// The end of a `[=[…]=]` that starts at an offset.
fn long_bracket(text: &[u8], open: usize) -> Option<usize> {
    if text.get(open) != Some(&b'[') {
        return None;
    }
    let equals = run(text, open + 1, b'=');
    if text.get(open + 1 + equals) != Some(&b'[') {
        return None;
    }
    let close = [&b"]"[..], &vec![b'='; equals], b"]"].concat();
    Some(end_of(text, open + 2 + equals, &close))
}

/// The end of a quoted string, in which `\z` takes white space away, newlines, too.
fn lua_string(text: &[u8], from: usize, quote: u8) -> usize {
    let mut at = from + 1;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'\\' if text.get(at + 1) == Some(&b'z') => {
                let rest = &text[at + 2..];
                at += 2 + rest.len() - rest.trim_ascii_start().len();
            }
            b'\\' if text[at..].starts_with(b"\\\r\n") => at += 3,
            b'\\' => at += 2,
            b'\n' => break,
            _ => {
                at += 1;
                if byte == quote {
                    break;
                }
            }
        }
    }
    at.min(text.len())
}

/// Comments, strings and long brackets.
pub(super) fn lua(lexer: &mut Lexer<'_>) -> bool {
    if lexer.text[lexer.at] == b'[' {
        return match long_bracket(lexer.text, lexer.at) {
            Some(end) => lexer.take(end, "a string"),
            None => false,
        };
    }
    if let quote @ (b'"' | b'\'') = lexer.text[lexer.at] {
        return lexer.take(lua_string(lexer.text, lexer.at, quote), "a string");
    }
    if !lexer.starts_with("--") {
        return false;
    }
    let end = long_bracket(lexer.text, lexer.at + 2);
    let end = end.unwrap_or_else(|| line_end(lexer.text, lexer.at));
    lexer.take(end, "a comment")
}

/// `r"---(…)---"`.
pub(super) fn r(lexer: &mut Lexer<'_>) -> bool {
    if is_word(lexer.before(1)) || lexer.before(1) == b'.' {
        return false;
    }
    let Some(&quote @ (b'"' | b'\'')) = lexer.text.get(lexer.at + 1) else {
        return false;
    };
    let dashes = run(lexer.text, lexer.at + 2, b'-');
    let bracket = lexer.at + 2 + dashes;
    let close = match lexer.text.get(bracket) {
        Some(b'(') => b')',
        Some(b'[') => b']',
        Some(b'{') => b'}',
        _ => return false,
    };
    let close = [&[close][..], &vec![b'-'; dashes], &[quote]].concat();
    let end = end_of(lexer.text, bracket + 1, &close);
    lexer.take(end, "a raw string")
}

/// Here-strings, comments, and the backtick that takes a quote's meaning away.
pub(super) fn powershell(lexer: &mut Lexer<'_>) -> bool {
    match lexer.text[lexer.at] {
        b'@' => {
            let close = match lexer.text.get(lexer.at + 1) {
                Some(b'"') => &b"\n\"@"[..],
                Some(b'\'') => b"\n'@",
                _ => return false,
            };
            let line = line_end(lexer.text, lexer.at + 2);
            if !lexer.text[lexer.at + 2..line].trim_ascii().is_empty() {
                return false;
            }
            let end = end_of(lexer.text, line, close);
            lexer.take(end, "a here-string")
        }
        // In `a#b` it is part of the word.
        b'#' => {
            let starts = !is_word(lexer.before(1)) && lexer.before(1) != b'`';
            if starts {
                lexer.line_comment();
            }
            starts
        }
        _ => {
            let rest = &lexer.text[lexer.at + 1..];
            if rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
                return false;
            }
            lexer.at = (lexer.at + 2).min(lexer.text.len());
            true
        }
    }
}

/// `<<EOT` and `<<-EOT`.
pub(super) fn terraform(lexer: &mut Lexer<'_>) -> bool {
    if !lexer.starts_with("<<") {
        return false;
    }
    let from = lexer.at + 2 + usize::from(lexer.text.get(lexer.at + 2) == Some(&b'-'));
    let word = lexer.text[from..]
        .iter()
        .take_while(|b| is_word(**b))
        .count();
    if word == 0 {
        return false;
    }
    let name = &lexer.text[from..from + word];
    let end = heredoc_end(lexer.text, line_end(lexer.text, from), name);
    lexer.take(end, "a heredoc")
}

/// Where the line ends that holds the name alone, behind the newline at an offset.
pub(super) fn heredoc_end(text: &[u8], newline: usize, name: &[u8]) -> usize {
    let mut at = newline;
    while at < text.len() {
        let end = line_end(text, at + 1);
        if text[at + 1..end].trim_ascii() == name {
            return end;
        }
        at = end;
    }
    text.len()
}

/// Comments of any number of dashes, primes and quasi-quotes.
pub(super) fn haskell(lexer: &mut Lexer<'_>) -> bool {
    match lexer.text[lexer.at] {
        b'\'' => character(lexer),
        b'-' => {
            let dashes = run(lexer.text, lexer.at, b'-');
            let symbol = |b: u8| b"!#$%&*+./<=>?@\\^|~:".contains(&b);
            let next = lexer.text.get(lexer.at + dashes).copied().unwrap_or(b'\n');
            if dashes >= 2 && !symbol(next) && !symbol(lexer.before(1)) {
                lexer.line_comment();
            } else {
                lexer.at += dashes;
            }
            true
        }
        _ => {
            let name = &lexer.text[lexer.at + 1..];
            let len = name
                .iter()
                .take_while(|b| is_word(**b) || **b == b'.')
                .count();
            if len == 0 || name.get(len) != Some(&b'|') {
                return false;
            }
            // A list comprehension looks the same up to there.
            let line = &name[..line_end(name, 0)];
            if memchr::memmem::find(line, b"<-").is_some() {
                return false;
            }
            let end = end_of(lexer.text, lexer.at + len + 2, b"|]");
            lexer.take(end, "a quasi-quote")
        }
    }
}

/// Characters, type variables and `{id|…|id}`.
pub(super) fn ocaml(lexer: &mut Lexer<'_>) -> bool {
    if lexer.text[lexer.at] == b'\'' {
        return character(lexer);
    }
    let name = &lexer.text[lexer.at + 1..];
    let len = name
        .iter()
        .take_while(|b| b.is_ascii_lowercase() || **b == b'_')
        .count();
    if name.get(len) != Some(&b'|') {
        return false;
    }
    let close = [&b"|"[..], &name[..len], b"}"].concat();
    let end = end_of(lexer.text, lexer.at + len + 2, &close);
    lexer.take(end, "a string")
}

/// `#\x` and `?x`, and names in bars.
pub(super) fn lisp(lexer: &mut Lexer<'_>) -> bool {
    match lexer.text[lexer.at] {
        b'#' if lexer.starts_with("#\\") => {
            lexer.at = (lexer.at + 3).min(lexer.text.len());
            true
        }
        b'?' if !is_word(lexer.before(1)) => {
            let skip = if lexer.starts_with("?\\") { 3 } else { 2 };
            lexer.at = (lexer.at + skip).min(lexer.text.len());
            true
        }
        b'|' => {
            let end = end_of(lexer.text, lexer.at + 1, b"|");
            let end = if end > line_end(lexer.text, lexer.at) {
                lexer.at + 1
            } else {
                end
            };
            lexer.take(end, "a name")
        }
        _ => false,
    }
}

/// `\x`.
pub(super) fn clojure(lexer: &mut Lexer<'_>) -> bool {
    lexer.at = (lexer.at + 2).min(lexer.text.len());
    true
}

/// `$x`.
pub(super) fn erlang(lexer: &mut Lexer<'_>) -> bool {
    let skip = if lexer.starts_with("$\\") { 3 } else { 2 };
    lexer.at = (lexer.at + skip).min(lexer.text.len());
    true
}

/// `{{{{raw}}}} … {{{{/raw}}}}`, in which nothing is a tag.
pub(super) fn handlebars(lexer: &mut Lexer<'_>) -> bool {
    let starts_with = |marks: &[&str]| marks.iter().any(|mark| lexer.starts_with(mark));
    let (text, at) = (lexer.text, lexer.at);
    if starts_with(&["{{{{"]) && !starts_with(&["{{{{/"]) {
        let close = end_of(text, at, b"{{{{/");
        return lexer.take(end_of(text, close, b"}}}}"), "a raw block");
    }
    if starts_with(&["{{!--", "{{~!--"]) {
        let mut end = end_of(text, at, b"}}");
        let closes = |end: usize| {
            let inner = &text[at..end];
            inner.ends_with(b"--}}") || inner.ends_with(b"--~}}")
        };
        while end < text.len() && !closes(end) {
            end = end_of(text, end, b"}}");
        }
        return lexer.take(end, "a comment");
    }
    if starts_with(&["{{!", "{{~!"]) {
        return lexer.take(end_of(text, at, b"}}"), "a comment");
    }
    starts_with(&["{{"]) && lexer.take(end_of_tag(text, at + 2, b"}}"), "a tag")
}

/// `{{ … }}` and `{% … %}`, and what is between `{% raw %}` and `{% endraw %}`.
pub(super) fn jinja(lexer: &mut Lexer<'_>) -> bool {
    tag(lexer, true)
}

/// The same without strings: the first mark of an end is one.
pub(super) fn liquid(lexer: &mut Lexer<'_>) -> bool {
    tag(lexer, false)
}

fn tag(lexer: &mut Lexer<'_>, strings: bool) -> bool {
    let close: &[u8] = match lexer.text.get(lexer.at + 1) {
        Some(b'%') => b"%}",
        Some(b'{') => b"}}",
        _ => return false,
    };
    let end = match strings {
        true => end_of_tag(lexer.text, lexer.at + 2, close),
        false => end_of(lexer.text, lexer.at + 2, close),
    };
    if close == b"}}" {
        return lexer.take(end, "a tag");
    }
    let tag = &lexer.text[lexer.at + 2..end];
    let word = tag.iter().skip_while(|b| !is_word(**b));
    let word: Vec<u8> = word.take_while(|b| is_word(**b)).copied().collect();
    let close: &[u8] = match &word[..] {
        b"raw" => b"endraw",
        b"verbatim" => b"endverbatim",
        b"comment" => b"endcomment",
        _ => b"",
    };
    let end = if close.is_empty() {
        end
    } else {
        end_of(lexer.text, end_of(lexer.text, end, close), b"%}")
    };
    lexer.take(end, "a tag")
}

/// Where a tag ends, which may hold what ends it in a string.
fn end_of_tag(text: &[u8], from: usize, close: &[u8]) -> usize {
    let plain = end_of(text, from, close);
    // Without a bound each of many tags would be searched to the end of the text.
    let most = text.len().min(plain + LONGEST_REST);
    let mut quote = None;
    let mut at = from;
    while at < most {
        let byte = text[at];
        match quote {
            Some(_) if byte == b'\\' => at += 1,
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if text[at..].starts_with(close) => return at + close.len(),
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            None => {}
        }
        at += 1;
    }
    // No string: the quote is text, or a mistake.
    plain
}

/// Of a tag that goes on behind what would end it, were that not in a string.
const LONGEST_REST: usize = 4096;

/// `$tag$…$tag$`, `E'…'`, and the rows behind `COPY … FROM stdin;`.
pub(super) fn sql(lexer: &mut Lexer<'_>) -> bool {
    match lexer.text[lexer.at] {
        b'$' => {
            if is_word(lexer.before(1)) {
                return false;
            }
            let name = &lexer.text[lexer.at + 1..];
            let len = name.iter().take_while(|b| is_word(**b)).count();
            if name.get(len) != Some(&b'$') || name[0].is_ascii_digit() {
                return false;
            }
            let close = &lexer.text[lexer.at..lexer.at + len + 2];
            let end = end_of(lexer.text, lexer.at + close.len(), close);
            lexer.take(end, "a dollar-quoted string")
        }
        b'e' | b'E' => {
            if is_word(lexer.before(1)) || lexer.text.get(lexer.at + 1) != Some(&b'\'') {
                return false;
            }
            lexer.at += 1;
            lexer.string(&Quote {
                open: "'",
                close: "'",
                escape: b'\\',
                lines: Lines::Many,
                hole: None,
            });
            true
        }
        _ => {
            let line = line_end(lexer.text, lexer.at);
            let here = lexer.text[lexer.at..line].trim_ascii_end();
            if is_word(lexer.before(1)) || !here.eq_ignore_ascii_case(b"from stdin;") {
                return false;
            }
            let end = end_of(lexer.text, line, b"\n\\.");
            lexer.take(end, "copied rows")
        }
    }
}
