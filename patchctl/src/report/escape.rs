//! Text of unknown origin, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes what could move the cursor, change colours or reorder text: C0 but newline and tab,
/// DEL, C1 and bidirectional controls; and what CI systems take for a command: `::` at the start of
/// a line, indented or not, and `##[` and `##vso[` anywhere.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |safe, c| {
        let _ = match c as u32 {
            code @ ..0x100 => write!(safe, "\\x{code:02x}"),
            code => write!(safe, "\\u{{{code:x}}}"),
        };
    })
}

/// As [`printable`], for what belongs on one line, as names do: line feeds and tabs, which could forge
/// another line or column, are escaped as well.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    let breaks = |c: char| matches!(c, '\n' | '\t' | '\u{2028}' | '\u{2029}');
    let safe = printable(text);
    if !safe.contains(breaks) {
        return safe;
    }
    let mut line = String::with_capacity(safe.len() + 16);
    for c in safe.chars() {
        match c as u32 {
            code @ ..0x100 if breaks(c) => {
                let _ = write!(line, "\\x{code:02x}");
            }
            code if breaks(c) => {
                let _ = write!(line, "\\u{{{code:x}}}");
            }
            _ => line.push(c),
        }
    }
    Cow::Owned(line)
}

/// As [`printable`], for JSON: the escapes are those of JSON, and mean the same to every reader.
pub(crate) fn printable_json(json: &str) -> Cow<'_, str> {
    escaped(json, |safe, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(safe, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, escape: impl Fn(&mut String, char)) -> Cow<'_, str> {
    let is_command = text.contains("::") || text.contains("##");
    if !is_command && !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut in_indentation = true;
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        let commands = (in_indentation && rest.starts_with("::"))
            || rest.starts_with("##[")
            || rest.starts_with("##vso[");
        in_indentation = c == '\n' || (in_indentation && (c.is_whitespace() || is_unsafe(c)));
        match commands || is_unsafe(c) {
            true => escape(&mut safe, c),
            false => safe.push(c),
        }
    }
    match safe == text {
        true => Cow::Borrowed(text),
        false => Cow::Owned(safe),
    }
}

fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{one_line, printable, printable_json};

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(
            one_line("a\n9\tfake\u{2028}\u{1b}"),
            "a\\x0a9\\x09fake\\u{2028}\\x1b"
        );
        assert_eq!(one_line("src/é b.rs"), "src/é b.rs");
    }

    #[test]
    fn what_is_not_changed_is_not_taken_for_escaped() {
        for text in ["a::b ## c", "use std::fmt;", "#[x]"] {
            assert!(matches!(printable(text), Cow::Borrowed(_)), "{text}");
        }
        assert!(matches!(printable("::x"), Cow::Owned(_)));
    }

    #[test]
    fn escaped_json_means_the_same() {
        let text = "\"a\u{202e}b\u{9b}c\u{7f} é 😀 ##[error] ::\"";
        let safe = printable_json(text);
        assert_eq!(safe, "\"a\\u202eb\\u009bc\\u007f é 😀 \\u0023#[error] ::\"");
        let read = |json: &str| serde_json::from_str::<String>(json).unwrap();
        assert_eq!(read(&safe), read(text));
    }

    #[test]
    fn no_line_is_a_command_to_ci() {
        assert_eq!(
            printable("::set-env\na::b\n \t::error::x\n\u{1b}::y"),
            "\\x3a:set-env\na::b\n \t\\x3a:error::x\n\\x1b\\x3a:y"
        );
        assert_eq!(
            printable("a ##[x] ##vso[y] ## z"),
            "a \\x23#[x] \\x23#vso[y] ## z"
        );
    }

    #[test]
    fn controls_are_escaped_and_text_is_not() {
        assert_eq!(printable("a\tb\ncafé 😀"), "a\tb\ncafé 😀");
        assert_eq!(
            printable("\u{1b}[2J\r\u{9b}\u{7f}\u{202e}"),
            "\\x1b[2J\\x0d\\x9b\\x7f\\u{202e}"
        );
    }
}
