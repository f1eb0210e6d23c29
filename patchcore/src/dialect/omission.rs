//! Finds lines that stand for code that was left out: «… rest of the code unchanged …».

use crate::error::{Code, Hint, Refusal, excerpt};
use crate::path::RelPath;
use crate::text::split_lines;

/// Words one of which says that something stays.
const KEPT: [&str; 14] = [
    "rest of",
    "existing",
    "remaining",
    "previous",
    "unchanged",
    "remains the same",
    "remain the same",
    "same as before",
    "other code",
    "other method",
    "other function",
    "omitted",
    "as before",
    "stays the same",
];

/// Words one of which says that it is code.
const CODE: [&str; 20] = [
    "code",
    "file",
    "function",
    "method",
    "class",
    "implementation",
    "content",
    "import",
    "logic",
    "lines",
    "tests",
    "component",
    "unchanged",
    "the same",
    "same as",
    "omitted",
    "fields",
    "body",
    "definitions",
    "as before",
];

/// The first new line that stands for code left out, if any.
///
/// A line that the old text holds, too, is the author's and no omission.
pub(super) fn find<'l>(
    new: impl IntoIterator<Item = &'l [u8]>,
    mut in_old: impl FnMut(&[u8]) -> bool,
) -> Option<&'l [u8]> {
    new.into_iter()
        .find(|line| is_omission(line) && !in_old(line.trim_ascii()))
}

/// Refuses new text for a line that stands for code left out and that the old text lacks.
pub(super) fn check_new(file: &RelPath, new: &[u8], old: &[u8]) -> Result<(), Refusal> {
    check_new_in(file, new, || old)
}

/// As [`check_new`], for old text that is looked up only where it is asked for.
pub(crate) fn check_new_in<'o>(
    file: &RelPath,
    new: &[u8],
    old: impl Fn() -> &'o [u8],
) -> Result<(), Refusal> {
    let in_old = |line: &[u8]| split_lines(old()).any(|other| other.trim_ascii() == line);
    match find(split_lines(new), in_old) {
        Some(line) => Err(refusal(file, line)),
        None => Ok(()),
    }
}

/// The refusal that names the line.
pub(super) fn refusal(file: &dyn std::fmt::Display, line: &[u8]) -> Refusal {
    let shown = excerpt(line.trim_ascii(), 80);
    Refusal::new(
        Code::LazyOmission,
        format!("new text in {file} elides code: {shown:?}; write the code out"),
    )
    .with_hint(Hint::AllowOmission)
    .in_file(file)
}

/// Whether a line is a comment, or bare dots, that says that the rest stays as it is.
fn is_omission(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    // A long line is prose or code.
    if line.len() < 6 || line.len() > 120 {
        return false;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return false;
    };
    let comment = [
        "//", "#", "/*", "<!--", "--", ";", "%", "{/*", "*", "...", "\u{2026}", "[", "(", "'",
    ]
    .iter()
    .any(|opener| text.starts_with(opener));
    let told = |word: &[u8]| {
        line.windows(word.len())
            .any(|w| w.eq_ignore_ascii_case(word))
    };
    // Most comments are told by this alone, without the words being looked for.
    if !comment || !(told(b"...") || told("\u{2026}".as_bytes()) || told(b"rest of")) {
        return false;
    }
    let lower = text.to_lowercase();
    let dots = lower.contains("...") || lower.contains('\u{2026}');
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let stays = lower.contains("unchanged")
        || lower.contains("same as before")
        || lower.contains("the same")
        || lower.contains("omitted");
    says(&KEPT) && says(&CODE) && (dots || (stays && lower.contains("rest of")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_models_write_instead_of_code_is_found() {
        for line in [
            "// ... rest of the code unchanged ...",
            "    # ... existing code ...",
            "/* ... remaining methods stay the same ... */",
            "<!-- rest of the file unchanged -->",
            "{/* ... existing imports ... */}",
            "... rest of function ...",
            "# \u{2026} other methods omitted \u{2026}",
            "// Rest of the implementation remains the same",
        ] {
            assert!(is_omission(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn ordinary_comments_and_code_are_none() {
        for line in [
            "// use the existing code path",
            "# the rest of the file is parsed lazily",
            "fn rest(...) {}",
            "let x = [...existing];",
            "// ...",
            "print(\"... rest of the code unchanged ...\")",
        ] {
            assert!(!is_omission(line.as_bytes()), "{line}");
        }
    }
}
