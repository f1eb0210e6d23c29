//! The scan: every placeholder of a text in one pass for each delimiter.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use crate::error::{Code, Refusal};
use crate::operation::MAX_REGEX;
use crate::text::LineNumber;

/// How a placeholder is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Syntax {
    /// `###NAME###`
    Hash,
    /// `/** NAME **/`
    Star,
    /// As one of the operator's regular expressions says.
    Custom,
}

/// A placeholder in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placeholder<'a> {
    /// Its name, without the delimiters.
    pub id: &'a str,
    /// How it is written.
    pub syntax: Syntax,
    /// Its bytes in the text, delimiters included.
    pub span: Range<usize>,
}

/// Finds the placeholders of the two built-in syntaxes, in the order of the text.
///
/// A name is an upper-case ASCII letter and then any number of those, digits and underscores. What
/// is found is what the regular expressions `###([A-Z][A-Z0-9_]*)###` and
/// `/\*\* ([A-Z][A-Z0-9_]*) \*\*/` match from left to right, without overlap.
#[must_use]
pub fn find(bytes: &[u8]) -> Vec<Placeholder<'_>> {
    Scanner::new().find(bytes)
}

/// Finds placeholders of the built-in syntaxes and of the operator's own.
///
/// ```
/// use patchcore::placeholder::Scanner;
/// let scanner = Scanner::new().with_syntax(r"\{\{(?<id>[a-z_]+)\}\}")?;
/// let ids: Vec<&str> = scanner.find(b"{{name}} ###NAME###").iter().map(|p| p.id).collect();
/// assert_eq!(ids, ["name", "NAME"]);
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Scanner {
    custom: Vec<Regex>,
}

/// Opens and closes a hash placeholder.
const HASHES: &[u8] = b"###";
/// Opens a star placeholder.
const STAR_OPEN: &[u8] = b"/** ";
/// Closes a star placeholder. It is looked for instead of the opening, which every documentation
/// comment shares.
const STAR_CLOSE: &[u8] = b" **/";

/// Made at the first search: most batches meet no task, and nothing is sought for them.
static HASH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(HASHES));
static STAR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(STAR_CLOSE));

impl Scanner {
    /// A scanner for the built-in syntaxes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a syntax: a regular expression with a group named `id`, in which `^` and `$` are the
    /// ends of a line.
    ///
    /// Where its match shares bytes with a placeholder of an earlier syntax, the earlier counts.
    ///
    /// # Errors
    /// `INVALID_BATCH` for a malformed expression or one without that group, `LIMIT_EXCEEDED` for
    /// one that compiles to more than [`MAX_REGEX`] bytes.
    pub fn with_syntax(mut self, source: &str) -> Result<Self, Refusal> {
        // The engine's own pattern type words what is wrong with an expression.
        crate::operation::Pattern::new(source)?;
        let invalid = |why: String| Refusal::new(Code::InvalidBatch, why);
        let regex = RegexBuilder::new(source)
            .multi_line(true)
            .size_limit(MAX_REGEX)
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        if !regex.capture_names().flatten().any(|name| name == "id") {
            return Err(invalid(format!(
                "syntax {source:?} has no group named \"id\"; write the name's part as (?<id>…)"
            )));
        }
        self.custom.push(regex);
        Ok(self)
    }

    /// The placeholders of a text, in its order.
    #[must_use]
    pub fn find<'a>(&self, bytes: &'a [u8]) -> Vec<Placeholder<'a>> {
        let mut found = Vec::new();
        self.find_hashes(bytes, &mut found);
        let hashes = found.len();
        self.find_stars(bytes, &mut found);
        if hashes > 0 && hashes < found.len() {
            found.sort_unstable_by_key(|placeholder| placeholder.span.start);
        }
        for regex in &self.custom {
            add_custom(regex, bytes, &mut found);
        }
        found
    }

    fn find_hashes<'a>(&self, bytes: &'a [u8], found: &mut Vec<Placeholder<'a>>) {
        let mut from = 0;
        while let Some(at) = HASH.find(&bytes[from..]) {
            let mut name = from + at + HASHES.len();
            // Of a longer run the last three open.
            while bytes.get(name) == Some(&b'#') {
                name += 1;
            }
            let end = name + name_len(&bytes[name..]);
            if end > name && bytes[end..].starts_with(HASHES) {
                from = end + HASHES.len();
                found.extend(placeholder(
                    bytes,
                    Syntax::Hash,
                    name..end,
                    name - HASHES.len()..from,
                ));
            } else {
                from = end;
            }
        }
    }

    fn find_stars<'a>(&self, bytes: &'a [u8], found: &mut Vec<Placeholder<'a>>) {
        // Where the placeholder before ends: its last slash opens no other.
        let mut floor = 0;
        let mut from = 0;
        while let Some(at) = STAR.find(&bytes[from..]) {
            let close = from + at;
            from = close + STAR_CLOSE.len();
            let name = close
                - bytes[floor..close]
                    .iter()
                    .rev()
                    .take_while(|&&byte| is_name_byte(byte))
                    .count();
            if name < close
                && bytes[name].is_ascii_uppercase()
                && bytes[floor..name].ends_with(STAR_OPEN)
            {
                found.extend(placeholder(
                    bytes,
                    Syntax::Star,
                    name..close,
                    name - STAR_OPEN.len()..from,
                ));
                floor = from;
            }
        }
    }
}

/// Adds the matches of an expression that share no byte with what was found before; keeps order.
fn add_custom<'a>(regex: &Regex, bytes: &'a [u8], found: &mut Vec<Placeholder<'a>>) {
    let before = found.len();
    for captures in regex.captures_iter(bytes) {
        let (Some(whole), Some(id)) = (captures.get(0), captures.name("id")) else {
            continue;
        };
        let span = whole.range();
        let next =
            found[..before].partition_point(|placeholder| placeholder.span.end <= span.start);
        let free = next == before || found[next].span.start >= span.end;
        if free && !span.is_empty() {
            found.extend(placeholder(bytes, Syntax::Custom, id.range(), span));
        }
    }
    found.sort_by_key(|placeholder| placeholder.span.start);
}

fn placeholder(
    bytes: &[u8],
    syntax: Syntax,
    id: Range<usize>,
    span: Range<usize>,
) -> Option<Placeholder<'_>> {
    let id = std::str::from_utf8(&bytes[id]).ok()?;
    (!id.is_empty()).then_some(Placeholder { id, syntax, span })
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'
}

/// Length of the name at the start of the bytes, 0 where there is none.
fn name_len(bytes: &[u8]) -> usize {
    if bytes.first().is_some_and(u8::is_ascii_uppercase) {
        bytes.iter().take_while(|&&byte| is_name_byte(byte)).count()
    } else {
        0
    }
}

/// Where a placeholder starts, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: LineNumber,
    /// The column in bytes, from 1; a byte order mark is no part of line 1.
    pub column: u64,
}

/// The positions of placeholders that stand in the order of the text, in one pass over it.
pub fn positions<'a>(
    bytes: &'a [u8],
    placeholders: &'a [Placeholder<'_>],
) -> impl Iterator<Item = Position> + 'a {
    let bom = crate::text::Text::new(bytes).bom_len();
    let (mut line, mut line_start, mut at) = (0, bom, bom);
    placeholders.iter().map(move |placeholder| {
        let start = placeholder.span.start.max(at);
        for newline in crate::bytes::positions(b'\n', &bytes[at..start]) {
            line += 1;
            line_start = at + newline + 1;
        }
        at = start;
        Position {
            line: LineNumber::from_index(line),
            column: (start - line_start) as u64 + 1,
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(text: &str) -> Vec<&str> {
        find(text.as_bytes()).iter().map(|p| p.id).collect()
    }

    #[test]
    fn both_syntaxes_are_found_in_the_order_of_the_text() {
        let text = "/** B_2 **/ x\n# ###A### y /** C **/###D###\n";
        assert_eq!(ids(text), ["B_2", "A", "C", "D"]);
        let found = find(text.as_bytes());
        assert_eq!(&text[found[0].span.clone()], "/** B_2 **/");
        assert_eq!(&text[found[1].span.clone()], "###A###");
    }

    #[test]
    fn what_only_resembles_a_placeholder_is_none() {
        for text in [
            "#### not a tag ####",
            "### Notes",
            "###lower###",
            "###1A###",
            "###A##",
            "###A_b###",
            "###A ###",
            "/** @type {Foo} **/",
            "/** A */",
            "/* A **/",
            "/**  A **/",
            "/** _A **/",
            "/** 1A **/",
            "######",
            " **/",
        ] {
            assert!(ids(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn delimiters_are_not_shared() {
        assert_eq!(ids("###A###B###"), ["A"]);
        assert_eq!(ids("###A######B###"), ["A", "B"]);
        assert_eq!(ids("/** A **/** B **/"), ["A"]);
        assert_eq!(ids("#####A#####"), ["A"]);
        assert_eq!(ids("###A#B###C###"), ["C"]);
    }

    #[test]
    fn positions_count_lines_and_bytes_from_1_behind_a_bom() {
        let text = "\u{feff}###A###\r\n\n  é ###B### ###C###";
        let found = find(text.as_bytes());
        let at: Vec<(u64, u64)> = positions(text.as_bytes(), &found)
            .map(|position| (position.line.get(), position.column))
            .collect();
        assert_eq!(at, [(1, 1), (3, 6), (3, 14)]);
    }

    #[test]
    fn an_own_syntax_needs_its_group_and_yields_to_the_built_in_ones() {
        assert!(Scanner::new().with_syntax("x").is_err());
        assert!(Scanner::new().with_syntax("(").is_err());
        let scanner = Scanner::new().with_syntax(r"#(?<id>[A-Z]+)#?").unwrap();
        let found = scanner.find(b"#X# ###A### #B");
        let ids: Vec<_> = found.iter().map(|p| (p.id, p.syntax)).collect();
        assert_eq!(
            ids,
            [
                ("X", Syntax::Custom),
                ("A", Syntax::Hash),
                ("B", Syntax::Custom)
            ]
        );
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_a_naive_regex(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec![
                    "#", "##", "###", "A", "B_1", "a", " ", "/**", "**/", "/** ", " **/", "*", "/", "\n",
                    "\r\n", "é", "/** N **/", "###N###",
                ]),
                0..40,
            ),
        ) {
            let text = pieces.concat();
            let naive = Regex::new(
                r"###(?<h>[A-Z][A-Z0-9_]*)###|/\*\* (?<s>[A-Z][A-Z0-9_]*) \*\*/",
            ).unwrap();
            let expected: Vec<Range<usize>> =
                naive.find_iter(text.as_bytes()).map(|m| m.range()).collect();
            let found: Vec<Range<usize>> =
                find(text.as_bytes()).into_iter().map(|p| p.span).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
