//! Finds lines that stand for code that was left out: «… rest of the code unchanged …».

use crate::error::{Code, Hint, Refusal, excerpt};
use crate::path::RelPath;
use crate::text::split_lines;

/// Words that say that something stays as it is.
const KEPT: &[&str] = &[
    "rest",
    "remainder",
    "existing",
    "remaining",
    "previous",
    "unchanged",
    "other",
    "others",
    "original",
    "same",
    "omitted",
    "elided",
    "truncated",
    "unmodified",
];

/// What stays: parts of a text.
const PARTS: &[&str] = &[
    "code",
    "file",
    "files",
    "function",
    "functions",
    "method",
    "methods",
    "class",
    "classes",
    "implementation",
    "implementations",
    "content",
    "contents",
    "import",
    "imports",
    "logic",
    "line",
    "lines",
    "test",
    "tests",
    "component",
    "components",
    "field",
    "fields",
    "body",
    "definition",
    "definitions",
    "property",
    "properties",
    "attribute",
    "attributes",
    "setup",
    "config",
    "configuration",
    "handler",
    "handlers",
    "route",
    "routes",
    "style",
    "styles",
    "rule",
    "rules",
    "option",
    "options",
    "case",
    "cases",
    "items",
    "entries",
    "section",
    "sections",
    "statement",
    "statements",
    "variable",
    "variables",
    "parameter",
    "parameters",
    "constant",
    "constants",
    "type",
    "types",
    "interface",
    "interfaces",
    "struct",
    "enum",
    "module",
    "script",
    "document",
    "markup",
    "jsx",
    "html",
    "css",
    "block",
    "blocks",
    "part",
    "parts",
    "stuff",
    "things",
    "everything",
    "all",
    "declarations",
    "members",
    "getters",
    "setters",
    "constructor",
    "state",
    "hooks",
    "props",
    "elements",
    "layout",
    "text",
    "template",
    "helpers",
    "utilities",
    "properties",
    "values",
    "keys",
    "columns",
    "queries",
    "schema",
    "model",
    "models",
    "views",
];

/// How it stays.
const STATES: &[&str] = &[
    "remains",
    "remain",
    "stays",
    "stay",
    "is",
    "are",
    "goes",
    "go",
    "here",
    "as",
    "before",
    "the",
    "same",
    "unchanged",
    "omitted",
    "for",
    "brevity",
    "continues",
    "continue",
    "follows",
    "above",
    "below",
    "untouched",
    "intact",
    "not",
    "shown",
    "kept",
    "identical",
    "like",
];

/// Words between them, which say nothing by themselves.
const SMALL: &[&str] = &[
    "the", "of", "this", "that", "your", "my", "our", "all", "any", "and", "in", "from", "to",
    "with", "here", "these", "those", "its", "if", "a",
];

/// Words that such a line begins with, beside those that say what stays.
const FIRST: &[&str] = &[
    "the", "all", "keep", "your", "my", "this", "and", "leave", "retain", "include", "insert",
];

/// How many lines an edit takes and brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Balance {
    /// It brings fewer lines than it replaces.
    Shrinks,
    /// It brings at least as many, or it is not known.
    Grows,
}

impl Balance {
    /// The balance of an edit that replaces so many lines by so many.
    pub(crate) fn of(replaced: usize, brought: usize) -> Self {
        match brought < replaced {
            true => Self::Shrinks,
            false => Self::Grows,
        }
    }
}

/// The first new line that stands for code left out, if any.
///
/// A line that the old text holds, too, is the author's and no omission. One that might be an
/// ordinary comment is an omission only where the edit brings fewer lines than it replaces.
pub(super) fn find<'l>(
    new: impl IntoIterator<Item = &'l [u8]>,
    mut in_old: impl FnMut(&[u8]) -> bool,
    balance: Balance,
) -> Option<&'l [u8]> {
    new.into_iter().find(|line| {
        let told = match told(line) {
            Told::Nothing => false,
            Told::Perhaps => balance == Balance::Shrinks,
            Told::Omission => true,
        };
        told && !in_old(line.trim_ascii())
    })
}

/// Refuses new text for a line that stands for code left out and that the old text lacks.
pub(super) fn check_new(file: &RelPath, new: &[u8], old: &[u8]) -> Result<(), Refusal> {
    let lines = |text| split_lines(text).count();
    check_new_in(file, new, || old, Balance::of(lines(old), lines(new)))
}

/// As [`check_new`], for old text that is looked up only where it is asked for.
pub(crate) fn check_new_in<'o>(
    file: &RelPath,
    new: &[u8],
    old: impl Fn() -> &'o [u8],
    balance: Balance,
) -> Result<(), Refusal> {
    let in_old = |line: &[u8]| split_lines(old()).any(|other| other.trim_ascii() == line);
    match find(split_lines(new), in_old, balance) {
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

/// What a line says by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It is code, or an ordinary comment.
    Nothing,
    /// It may stand for code left out.
    Perhaps,
    /// It stands for code left out.
    Omission,
}

/// Whether a line is a comment, or bare text behind dots, that says that the rest stays as it is.
///
/// All of its words have to say that: a sentence with another verb is an ordinary comment.
fn told(line: &[u8]) -> Told {
    let line = line.trim_ascii();
    // A long line is prose or code.
    if line.len() < 5 || line.len() > 120 || !may_open(line) {
        return Told::Nothing;
    }
    let Ok(text) = std::str::from_utf8(line) else {
        return Told::Nothing;
    };
    let Some((body, is_comment)) = uncommented(text) else {
        return Told::Nothing;
    };
    let is_dot = |c: char| c == '.' || c == '\u{2026}';
    let opened = body.trim_start_matches(is_dot);
    let inner = opened.trim_end_matches(is_dot).trim();
    let dots = |cut: usize| cut >= 3;
    let leads = dots(body.len() - opened.len());
    let trails = dots(opened.trim_end().len() - opened.trim_end().trim_end_matches(is_dot).len());
    // Bare dots before a word are syntax in some languages.
    if !is_comment && (!leads || !opened.starts_with([' ', '\t'])) {
        return Told::Nothing;
    }
    if inner.is_empty() {
        return if is_comment && leads {
            Told::Perhaps
        } else {
            Told::Nothing
        };
    }
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(
                c,
                ' ' | '\'' | '-' | '_' | '(' | ')' | ',' | '/' | '&' | '`'
            )
    };
    if !inner.chars().all(plain) {
        return Told::Nothing;
    }
    let lower = inner.to_ascii_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
        .collect();
    weigh(&words, leads, trails)
}

/// What the words between the dots say.
fn weigh(words: &[&str], leads: bool, trails: bool) -> Told {
    let any = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let Some(first) = words.first() else {
        return Told::Nothing;
    };
    if !(KEPT.contains(first) || FIRST.contains(first) || STATES.contains(first) && leads)
        || !any(KEPT)
    {
        return Told::Nothing;
    }
    let is_known = |word: &&&str| {
        [KEPT, PARTS, STATES, SMALL, FIRST]
            .iter()
            .any(|list| list.contains(*word))
    };
    let unknown = words.iter().filter(|word| !is_known(word)).count();
    // A name may say whose code it is.
    if unknown
        > if leads && trails {
            2
        } else {
            usize::from(leads)
        }
    {
        return Told::Nothing;
    }
    let stays = any(&[
        "unchanged",
        "omitted",
        "remains",
        "remain",
        "stays",
        "stay",
        "brevity",
        "elided",
    ]) || words
        .windows(2)
        .any(|pair| matches!(pair, ["as", "before"] | ["the", "same"] | ["same", "as"]));
    let is_part = any(PARTS);
    // A heading of one word is none.
    if !is_part && !leads && !trails && !matches!(*first, "keep" | "leave" | "retain") {
        return Told::Nothing;
    }
    let rest = any(&["rest", "remainder", "existing"]);
    let is_omission = match (leads, trails) {
        (true, true) => is_part || stays || rest,
        (true, false) => is_part && (stays || rest),
        (false, _) => is_part && stays && unknown == 0 && any(&["rest", "remainder"]),
    };
    match is_omission {
        true => Told::Omission,
        false => Told::Perhaps,
    }
}

/// Whether a line may open a comment, or with dots: most lines are told by their first byte.
fn may_open(line: &[u8]) -> bool {
    matches!(
        line[0],
        b'/' | b'#' | b'<' | b'-' | b';' | b'%' | b'{' | b'*' | b'.' | b'[' | b'('
    ) || line.starts_with("\u{2026}".as_bytes())
}

/// The text of a comment that is all of its line, and whether it is one; text that opens with dots
/// is taken as it is.
fn uncommented(text: &str) -> Option<(&str, bool)> {
    const PAIRS: &[(&str, &str)] = &[
        ("{/*", "*/}"),
        ("<!--", "-->"),
        ("/**", "*/"),
        ("/*", "*/"),
        ("[", "]"),
        ("(", ")"),
    ];
    for (open, close) in PAIRS {
        if let Some(rest) = text.strip_prefix(open) {
            let inner = rest.trim_end().strip_suffix(close);
            let is_bracket = open.len() == 1;
            return match inner {
                Some(inner) => Some((inner.trim(), !is_bracket)),
                // It may go on below.
                None if !is_bracket => Some((rest.trim(), true)),
                None => None,
            };
        }
    }
    for open in ["///", "//", "##", "#", "--", ";;", ";", "%", "*"] {
        if let Some(rest) = text.strip_prefix(open) {
            return Some((rest.trim(), true));
        }
    }
    text.starts_with(['.', '\u{2026}']).then_some((text, false))
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
            "// ... rest of the UserService class ...",
            "// ...existing code...",
            "-- ... rest of the schema unchanged",
            "[... rest of the file unchanged ...]",
            "// ... (rest of the code remains the same)",
            "# ... rest of the methods",
        ] {
            assert_eq!(told(line.as_bytes()), Told::Omission, "{line}");
        }
    }

    #[test]
    fn what_may_be_an_ordinary_comment_is_one_where_lines_are_added() {
        for line in [
            "// Other functions stay here",
            "<!-- keep existing -->",
            "/* previous code here */",
            "// existing code...",
            "// Remaining methods",
            "# the rest of the file",
            "// ...",
        ] {
            assert_eq!(told(line.as_bytes()), Told::Perhaps, "{line}");
            let path = RelPath::new("f").unwrap();
            let new = format!("a\n{line}\n");
            assert!(
                check_new(&path, new.as_bytes(), b"a\nb\n").is_ok(),
                "{line}"
            );
            assert!(
                check_new(&path, new.as_bytes(), b"a\nb\nc\nd\n").is_err(),
                "{line}"
            );
            let old = format!("a\nb\nc\n{line}\n");
            assert!(
                check_new(&path, new.as_bytes(), old.as_bytes()).is_ok(),
                "{line}"
            );
        }
    }

    #[test]
    fn ordinary_comments_and_code_are_none() {
        for line in [
            "// use the existing code path",
            "# the rest of the file is parsed lazily",
            "fn rest(...) {}",
            "let x = [...existing];",
            "...existing,",
            "...rest",
            "[...rest]",
            "    ...",
            "print(\"... rest of the code unchanged ...\")",
            "# Loading existing config file...",
            "// Check existing files...",
            "# Remove remaining lines...",
            "# Reuse the existing implementation...",
            "// Merge with existing content...",
            "# Clean up previous test files...",
            "-- Drop existing functions...",
            "'Import existing file...',",
            "(\"Overwrite existing file...\")",
            "[Import existing content...](x.md)",
            "// TODO: handle remaining methods...",
            "# Fetching remaining content...",
            "    // Skip rest of the line, the same as before",
            "// Wait for the remaining requests to finish",
            "# Copy the other files, if there are any.",
            "* the original request is kept for retries",
            "// same as above, but with a lock",
        ] {
            assert_eq!(told(line.as_bytes()), Told::Nothing, "{line}");
        }
    }
}
