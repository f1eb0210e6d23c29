//! Whether a place is in the part of a file that a line above it opens.

use crate::text::split_lines;

/// Words that start no function, type or section, though their lines may end as if they did.
const STATEMENTS: [&[u8]; 16] = [
    b"if", b"else", b"elif", b"for", b"while", b"do", b"try", b"except", b"catch", b"finally",
    b"with", b"switch", b"case", b"match", b"return", b"default",
];

/// Whether an offset is below a line, from `opener` on, in what that line opens: no line between
/// them opens another such part, those aside that `is_new` says an edit has brought.
///
/// A line that opens nothing is just above.
pub(crate) fn is_below(
    text: &[u8],
    opener: usize,
    at: usize,
    is_new: impl Fn(&[u8]) -> bool,
) -> bool {
    let Some(between) = text.get(opener..at) else {
        return false;
    };
    let mut lines = split_lines(between);
    let Some(head) = lines.next().filter(|head| head.ends_with(b"\n")) else {
        return false;
    };
    let lines: Vec<&[u8]> = lines.collect();
    let mut inner = split_lines(&text[opener..]).skip(1);
    let inner = inner.find(|line| !line.trim_ascii().is_empty());
    let opens = matches!(last(head), Some(b'{' | b'(' | b':' | b'='))
        || inner.is_some_and(|line| level(line) > level(head) || line.trim_ascii() == b"{");
    !opens
        || !lines
            .iter()
            .any(|line| ends_part(line, head) && !is_new(line))
}

/// Whether a line starts another part than the one that a line above it opens.
fn ends_part(line: &[u8], head: &[u8]) -> bool {
    let trimmed = line.trim_ascii();
    let is_word = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'$' | 0x80..);
    if !trimmed.first().is_some_and(is_word) || level(line) > level(head) {
        return false;
    }
    let first = word(line);
    if first == word(head) {
        return true;
    }
    let sign = last(line);
    let opens = matches!(sign, Some(b'{' | b'(' | b')' | b':' | b'='));
    // Further left it need not look the same, and may be a label.
    let is_alike = match level(line) < level(head) {
        true => trimmed.strip_suffix(b":") != Some(first),
        false => sign == last(head),
    };
    opens && is_alike && !STATEMENTS.contains(&first)
}

fn level(line: &[u8]) -> usize {
    line.len() - line.trim_ascii_start().len()
}

fn last(line: &[u8]) -> Option<u8> {
    line.trim_ascii_end().last().copied()
}

fn word(line: &[u8]) -> &[u8] {
    let line = line.trim_ascii_start();
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let end = line.iter().position(|byte| !is_word(byte));
    &line[..end.unwrap_or(line.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_below_the_line_that_opens_its_part() {
        let file = "def alpha(x):\n    a\n\ndef beta(x):\n    b\n    c\nif x:\n    d\n";
        let c = "int bar(void)\n{\n\tb;\nout:\n\tc;\n}\nstatic void foo(void)\n{\n\tf;\n}\n";
        let class = "class A:\n    def f(self):\n        a\n    def g(self):\n        b\nx = 1\n";
        for (text, head, place, expected) in [
            (file, "def alpha", "    a", true),
            (file, "def alpha", "    b", false),
            (file, "def beta", "    a", false),
            (file, "def beta", "    c", true),
            (file, "def beta", "    d", true),
            (file, "    a", "    b", true),
            (c, "int bar", "\tc", true),
            (c, "int bar", "\tf", false),
            (c, "static", "\tf", true),
            (class, "class", "        b", true),
            (class, "    def f", "        b", false),
            (class, "    def g", "        b", true),
            (class, "    def g", "x = 1", true),
            (class, "    def f", "x = 1", false),
        ] {
            let at = |part: &str| text.find(part).unwrap();
            let (opener, at) = (at(head), at(place));
            let judged = is_below(text.as_bytes(), opener, at, |_| false);
            assert_eq!(judged, expected, "{head:?} {place:?} in {text:?}");
        }
        let added = |line: &[u8]| line.starts_with(b"def beta");
        let at = |part: &str| file.find(part).unwrap();
        assert!(is_below(file.as_bytes(), 0, at("    b"), added));
    }
}
