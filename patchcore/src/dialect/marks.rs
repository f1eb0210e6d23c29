//! The lines that set off the parts of search/replace blocks.
//!
//! aider writes `<<<<<<< SEARCH`, `=======` and `>>>>>>> REPLACE` with five to nine signs, Cline
//! `------- SEARCH` and `+++++++ REPLACE` with three or more, Roo aider's with a `-------` below
//! the line number that it may give.

/// What stands behind the signs of a line that opens a block.
pub(super) const SEARCH: &[u8] = b" SEARCH";

/// Whether the line opens a block.
pub(super) fn is_search(line: &[u8]) -> bool {
    signs_and_word(without_line(line).0, b"<-", SEARCH)
}

/// The number of the line that the opener of a block gives, as Zed's does: `<<<<<<< SEARCH line=12`.
pub(super) fn line_of(opener: &[u8]) -> Option<u64> {
    without_line(opener).1
}

fn without_line(line: &[u8]) -> (&[u8], Option<u64>) {
    let end = line.trim_ascii_end();
    let digits = end
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (before, digits) = end.split_at(end.len() - digits);
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok());
    match (before.strip_suffix(b" line="), number) {
        (Some(opener), Some(number)) if line.starts_with(b"<") => (opener, Some(number)),
        _ => (line, None),
    }
}

/// Whether the line ends a block.
pub(super) fn is_replace(line: &[u8]) -> bool {
    signs_and_word(line, b">+", b" REPLACE")
}

/// Whether the line stands between the two halves of a block.
pub(super) fn is_divider(line: &[u8]) -> bool {
    line.len() >= 3 && line.iter().all(|byte| *byte == b'=')
}

/// Whether the line gives a line number, as Roo does at the top of a block.
pub(super) fn is_line_number(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.starts_with(b":start_line:") || line.starts_with(b":end_line:")
}

/// The line of the file that a line stands for: Roo writes one that looks like a mark, or like one
/// of git's, with a backslash before it.
pub(super) fn unescaped(line: &[u8]) -> &[u8] {
    let [b'\\', rest @ ..] = line else {
        return line;
    };
    let mark = crate::text::trim_ending(rest);
    let begins: [&[u8]; 6] = [
        b"<<<<<<<",
        b"=======",
        b">>>>>>>",
        b"-------",
        b":start_line:",
        b":end_line:",
    ];
    let is_mark = is_search(mark) || is_divider(mark) || is_replace(mark) || is_near(mark);
    if is_mark || begins.iter().any(|begin| mark.starts_with(begin)) {
        rest
    } else {
        line
    }
}

/// Whether the line has the word of a mark and yet is none: most likely a mark misspelt.
pub(super) fn is_near_word(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let signs = line
        .iter()
        .take_while(|byte| b"<-=+>".contains(byte))
        .count();
    let word = line[signs..].trim_ascii();
    signs >= 2 && matches!(word, b"SEARCH" | b"REPLACE" | b"SEARCH>" | b"REPLACE>")
}

/// Whether a line outside of any block looks as if it opened or ended one, in the signs or words of
/// another format: `<<<<<<< ORIGINAL`, `------- search`.
pub(super) fn is_odd_opener(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let Some(&sign) = line.first().filter(|sign| b"<-+>".contains(sign)) else {
        return false;
    };
    let signs = line.iter().take_while(|byte| **byte == sign).count();
    let word = line[signs..].trim_ascii();
    let word = word.strip_suffix(b">").unwrap_or(word);
    let known: [&[u8]; 6] = [
        b"search",
        b"replace",
        b"original",
        b"updated",
        b"before",
        b"after",
    ];
    let is_known = known.iter().any(|known| word.eq_ignore_ascii_case(known));
    (signs >= 3 && is_known) || (sign == b'<' && (5..=9).contains(&signs))
}

/// Whether the line has words or signs of a mark and yet is none.
///
/// Signs alone that are indented are text, such as the underline of a heading in a doc string.
pub(super) fn is_near(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    is_near_word(line)
        || (line.ends_with(b" =======") && line.starts_with(b"---"))
        || (line.len() >= 5 && line.iter().all(|byte| *byte == b'='))
}

fn signs_and_word(line: &[u8], signs: &[u8], word: &[u8]) -> bool {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Some(&sign) = line.first().filter(|first| signs.contains(first)) else {
        return false;
    };
    let count = line.iter().take_while(|byte| **byte == sign).count();
    let rest = line[count..].trim_ascii_end();
    count >= 3 && rest.strip_suffix(b">").unwrap_or(rest) == word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backslash_goes_from_what_looks_like_a_mark() {
        for (line, stands_for) in [
            ("\\<<<<<<< HEAD\n", "<<<<<<< HEAD\n"),
            ("\\=======\r\n", "=======\r\n"),
            ("\\>>>>>>> topic", ">>>>>>> topic"),
            ("\\-------", "-------"),
            ("\\:start_line:5", ":start_line:5"),
            ("\\------- SEARCH", "------- SEARCH"),
            ("\\n", "\\n"),
            ("\\--", "\\--"),
            (" \\=======", " \\======="),
            ("\\\\=======", "\\\\======="),
        ] {
            assert_eq!(unescaped(line.as_bytes()), stands_for.as_bytes(), "{line}");
        }
    }

    #[test]
    fn marks_are_told_from_what_only_looks_like_one() {
        for line in [
            "<<<<<<< SEARCH",
            "------- SEARCH",
            "----- SEARCH",
            "<<<<<<< SEARCH>",
        ] {
            assert!(is_search(line.as_bytes()), "{line}");
        }
        for line in [
            "-- SEARCH",
            "-------SEARCH",
            "<<<<<<< search",
            "<<<<--- SEARCH",
            "SEARCH",
        ] {
            assert!(!is_search(line.as_bytes()), "{line}");
        }
        assert!(is_replace(b">>>>>>> REPLACE") && is_replace(b"+++++++ REPLACE"));
        assert!(is_divider(b"=======") && !is_divider(b"======= ") && !is_divider(b"=="));
        assert!(is_near(b"-------SEARCH") && is_near(b"======= ") && is_near(b"------- ======="));
        assert!(!is_near(b"- search") && !is_near(b"-- x"));
        assert!(!is_near(b"    =======") && !is_near(b"\t----- ======="));
    }
}
