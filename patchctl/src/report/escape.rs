//! Text of unknown origin, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes what could move the cursor, change colours or reorder text: C0 but newline and tab,
/// DEL, C1 and bidirectional controls.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if !is_unsafe(c) {
            safe.push(c);
        } else if (c as u32) < 0x100 {
            let _ = write!(safe, "\\x{:02x}", c as u32);
        } else {
            let _ = write!(safe, "\\u{{{:x}}}", c as u32);
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn controls_are_escaped_and_text_is_not() {
        assert_eq!(printable("a\tb\ncafé 😀"), "a\tb\ncafé 😀");
        assert_eq!(
            printable("\u{1b}[2J\r\u{9b}\u{7f}\u{202e}"),
            "\\x1b[2J\\x0d\\x9b\\x7f\\u{202e}"
        );
    }
}
