//! What the words of a comment say about the code that it stands for.

/// Words in lower case, or phrases of them.
pub(super) struct Words {
    all: &'static [&'static str],
    /// By length of the first word: which letters it begins with, bit by bit. Nearly every word of
    /// an ordinary comment is told by it; without it comments cost 3 % of a check of 6,000 edits.
    letters: [u32; LONGEST + 1],
}

/// Length of the longest first word.
const LONGEST: usize = 15;

impl Words {
    const fn new(all: &'static [&'static str]) -> Self {
        let mut letters = [0; LONGEST + 1];
        let mut at = 0;
        while at < all.len() {
            let bytes = all[at].as_bytes();
            let mut length = 0;
            while length < bytes.len() && bytes[length] != b' ' {
                length += 1;
            }
            letters[length] |= bit(bytes[0]);
            at += 1;
        }
        Self { all, letters }
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> &'static [&'static str] {
        self.all
    }

    /// Whether a word in any case may be one of them, or begin one.
    pub(super) fn may_hold(&self, word: &str) -> bool {
        let letters = self.letters.get(word.len()).copied().unwrap_or(0);
        word.as_bytes()
            .first()
            .is_some_and(|first| letters & bit(*first) != 0)
    }

    /// Whether a word in lower case is one of them.
    pub(super) fn contains(&self, word: &str) -> bool {
        self.may_hold(word) && self.all.contains(&word)
    }

    /// Whether these words are one of the phrases.
    pub(super) fn is_phrase(&self, words: &[&str]) -> bool {
        let may_be = words.first().is_some_and(|first| self.may_hold(first));
        may_be && (self.all.iter()).any(|phrase| phrase.split(' ').eq(words.iter().copied()))
    }
}

/// The bit of a letter in any case; what is no letter has none.
const fn bit(letter: u8) -> u32 {
    match letter.to_ascii_lowercase() {
        letter @ b'a'..=b'z' => 1 << (letter - b'a'),
        _ => 0,
    }
}

/// Words that say that something stays as it is.
pub(super) const KEPT: Words = Words::new(&[
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
    "more",
    "additional",
    "initial",
    "skipped",
    "snipped",
]);

/// Words among them that say it by themselves.
pub(super) const FIRM: Words = Words::new(&[
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
    "everything",
]);

/// Words that say that nothing changes.
pub(super) const STAYS: Words = Words::new(&[
    "unchanged",
    "omitted",
    "remains",
    "remain",
    "stays",
    "stay",
    "brevity",
    "elided",
    "truncated",
    "unmodified",
    "untouched",
    "snipped",
    "skipped",
]);

/// Words beside [`KEPT`] and [`STAYS`] one of which a comment has that says so: "everything else",
/// "no changes".
pub(super) const TELLING: Words = Words::new(&["everything", "no"]);

/// Comments that are nothing but one of these.
pub(super) const WHOLE: Words = Words::new(&[
    "unchanged",
    "omitted",
    "truncated",
    "snip",
    "snipped",
    "as before",
    "same as before",
    "no changes",
    "no changes here",
    "no changes needed",
    "no changes needed here",
    "code continues",
    "unchanged code",
]);

/// Comments that are nothing but one of these, between dots or in brackets.
pub(super) const GAPS: Words = Words::new(&[
    "skipped",
    "skip",
    "same",
    "rest",
    "the rest",
    "etc",
    "and so on",
    "implementation details",
    "continued from above",
]);

/// Parts that a comment without dots and brackets may speak of.
pub(super) const CODE: Words = Words::new(&[
    "code",
    "function",
    "functions",
    "method",
    "methods",
    "implementation",
    "implementations",
    "import",
    "imports",
    "logic",
    "content",
    "contents",
    "file",
    "body",
    "styles",
    "rules",
    "components",
    "routes",
    "fields",
    "properties",
    "tests",
    "sections",
    "handlers",
]);

/// What stays: parts of a text.
pub(super) const PARTS: Words = Words::new(&[
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
]);

/// How it stays.
pub(super) const STATES: Words = Words::new(&[
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
    "it",
    "continued",
    "unmodified",
]);

/// Words between them, which say nothing by themselves.
pub(super) const SMALL: Words = Words::new(&[
    "the",
    "of",
    "this",
    "that",
    "your",
    "my",
    "our",
    "all",
    "any",
    "and",
    "in",
    "from",
    "to",
    "with",
    "here",
    "these",
    "those",
    "its",
    "if",
    "a",
    "else",
    "no",
    "changes",
    "needed",
    "including",
    "details",
    "required",
    "needed",
    "exactly",
]);

/// Words that such a line begins with, beside those that say what stays.
pub(super) const FIRST: Words = Words::new(&[
    "the", "all", "keep", "your", "my", "this", "leave", "retain", "include", "insert", "add",
    "continue",
]);
