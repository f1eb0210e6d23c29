//! Finds lines that stand for code that was left out: «… rest of the code unchanged …».

mod tongues;
mod words;

use std::cell::OnceCell;
use std::collections::HashSet;

use self::words::{
    BETWEEN, CODE, FIRM, FIRST, GAPS, GAPS_TOO, KEPT, MARKS, PARTS, SAYING, SMALL, STATES, STAYS,
    WHOLE, WHOLE_TOO, Words,
};
use crate::error::{Code, Hint, Refusal, excerpt};
use crate::path::RelPath;
use crate::text::split_lines;

/// The first new line that stands for code left out, if any.
///
/// A line that the old text holds, too, is the author's and no omission. One that might be an
/// ordinary comment is an omission only where the edit shrinks: it brings fewer lines than it
/// replaces.
pub(crate) fn find<'l>(
    new: impl IntoIterator<Item = &'l [u8]>,
    mut is_old: impl FnMut(&[u8]) -> bool,
    shrinks: impl Fn() -> bool,
) -> Option<&'l [u8]> {
    let shrinking = OnceCell::new();
    new.into_iter().find(|line| {
        let told = match told(line) {
            Told::Nothing => false,
            Told::Perhaps => *shrinking.get_or_init(&shrinks),
            Told::Omission => true,
        };
        told && !is_old(line.trim_ascii())
    })
}

/// The lines of an old text that look as if they stood for code left out: gathered when the first
/// one is asked for, however many new ones there are.
pub(crate) struct Known<'o, F> {
    lines: F,
    known: OnceCell<HashSet<&'o [u8]>>,
}

impl<'o, F: Fn() -> L, L: Iterator<Item = &'o [u8]>> Known<'o, F> {
    pub(crate) fn of(lines: F) -> Self {
        Self {
            lines,
            known: OnceCell::new(),
        }
    }

    /// Whether one of them is this one, which has no blanks around it.
    pub(crate) fn holds(&self, line: &[u8]) -> bool {
        let known = self.known.get_or_init(|| {
            let lines = (self.lines)().filter(|line| told(line) != Told::Nothing);
            lines.map(<[u8]>::trim_ascii).collect()
        });
        known.contains(line)
    }
}

/// Refuses new text for a line that stands for code left out and that the old text lacks.
pub(crate) fn check_new(file: &RelPath, new: &[u8], old: &[u8]) -> Result<(), Refusal> {
    let lines = |text| split_lines(text).count();
    let known = Known::of(|| split_lines(old));
    let is_old = |line: &[u8]| known.holds(line);
    check_new_in(file, new, is_old, || lines(new) < lines(old))
}

/// As [`check_new`], for an old text that others are checked against, too.
pub(crate) fn check_new_in(
    file: &RelPath,
    new: &[u8],
    is_old: impl FnMut(&[u8]) -> bool,
    shrinks: impl Fn() -> bool,
) -> Result<(), Refusal> {
    match find(split_lines(new), is_old, shrinks) {
        Some(line) => Err(refusal(file, line)),
        None => Ok(()),
    }
}

/// The refusal that names the line.
pub(crate) fn refusal(file: &dyn std::fmt::Display, line: &[u8]) -> Refusal {
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

/// The text of a line, from its comment on, that may say so.
fn sayable(line: &[u8]) -> Option<&str> {
    let line = line.trim_ascii();
    // A long line is prose or code.
    if line.len() < 4 || line.len() > 120 {
        return None;
    }
    let line = match may_open(line) {
        true => line,
        false => only_comment(line)?,
    };
    std::str::from_utf8(line).ok().filter(|_| may_say(line))
}

/// Whether a line is a comment, or bare text behind dots, that says that the rest stays as it is.
///
/// All of its words have to say that: a sentence with another verb is an ordinary comment.
fn told(line: &[u8]) -> Told {
    let Some(text) = sayable(line) else {
        return Told::Nothing;
    };
    let Some((body, form)) = uncommented(text) else {
        return Told::Nothing;
    };
    let mut frame = Frame::default();
    let inner = frame.peel(body);
    let inner = ["TODO:", "NOTE:", "Note:"]
        .iter()
        .find_map(|word| inner.strip_prefix(word))
        .map_or(inner, |rest| frame.peel(rest));
    if is_code(form, &frame, body, inner) {
        return Told::Nothing;
    }
    if inner.is_empty() {
        let dots = frame.dots_before + frame.dots_behind;
        return match form {
            Form::Comment if (3..=6).contains(&dots) => Told::Perhaps,
            _ => Told::Nothing,
        };
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || " '-_(),/&`:<>".contains(c);
    let is_open = frame.leads() || frame.brackets > 0;
    let told = if !inner.chars().all(plain) {
        match inner.is_ascii() {
            true => Told::Nothing,
            false => tongues::told(inner, is_open),
        }
    } else if !frame.leads() && !words_of(inner).any(|word| SAYING.may_hold(word.as_bytes())) {
        return Told::Nothing;
    } else {
        let lower = inner.to_ascii_lowercase();
        let words: Vec<&str> = words_of(&lower).collect();
        match weigh(&words, &frame) {
            Told::Nothing if may_be_left_out(&words, inner, &frame) => Told::Perhaps,
            Told::Nothing if is_open => tongues::told(inner, is_open),
            told => told,
        }
    };
    match (form, told) {
        // Between dots it is no prose.
        (Form::Bare, Told::Perhaps) if frame.leads() && frame.trails() => told,
        // What documents the code, and text in brackets, is prose more often than other comments.
        (Form::Bare | Form::Doc, Told::Perhaps) => Told::Nothing,
        (_, told) => told,
    }
}

/// Whether text without a mark of its own is rather code.
fn is_code(form: Form, frame: &Frame, body: &str, inner: &str) -> bool {
    match form {
        Form::Bare => {
            // Bare dots before a word are syntax in some languages.
            frame.brackets == 0 && (!frame.leads() || !body.contains([' ', '\t']))
                || frame.is_tight
                // A list in brackets is code.
                || !frame.leads() && inner.contains(',')
        }
        Form::Quote => !frame.leads(),
        _ => false,
    }
}

/// What surrounds the words of a line: dots, brackets, rules.
#[derive(Debug, Default)]
struct Frame {
    dots_before: usize,
    dots_behind: usize,
    brackets: usize,
    /// Whether dots and the first word touch.
    is_tight: bool,
    /// Whether something is to follow.
    is_heading: bool,
}

impl Frame {
    fn leads(&self) -> bool {
        self.dots_before >= 2
    }

    fn trails(&self) -> bool {
        self.dots_behind >= 2
    }

    /// The words alone.
    fn peel<'t>(&mut self, text: &'t str) -> &'t str {
        const PAIRS: [(char, char); 4] = [('[', ']'), ('(', ')'), ('<', '>'), ('{', '}')];
        let is_dot = |c: char| c == '.' || c == '\u{2026}';
        let is_rule = |c: char| "-=*~#>_".contains(c);
        let worth = |c: char| if c == '.' { 1 } else { 3 };
        let mut rest = text.trim();
        self.is_heading = rest.ends_with(':');
        loop {
            let before = rest;
            if let Some(inner) = rest.strip_prefix(is_dot) {
                self.dots_before += rest.chars().next().map_or(0, worth);
                self.is_tight = !inner.starts_with([' ', '\t']);
                rest = inner.trim_start();
            }
            if let Some(inner) = rest.strip_suffix(is_dot) {
                self.dots_behind += rest.chars().next_back().map_or(0, worth);
                rest = inner.trim_end();
            }
            for (open, close) in PAIRS {
                let inner = rest
                    .strip_prefix(open)
                    .and_then(|rest| rest.strip_suffix(close));
                if let Some(inner) = inner.filter(|inner| !inner.contains([open, close])) {
                    self.brackets += 1;
                    rest = inner.trim();
                }
            }
            if rest.len() > 4 && rest.starts_with(is_rule) {
                rest = rest.trim_start_matches(is_rule).trim_start();
            }
            if rest.len() > 4 && rest.ends_with(['-', '=', '*', '~', '<']) {
                rest = rest.trim_end_matches(['-', '=', '*', '~', '<']).trim_end();
            }
            if rest == before {
                return rest;
            }
        }
    }
}

fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Whether a line may stand for code left out, by a look at its bytes: what says so has one of some
/// words, dots, no words at all, or is in another language than English.
fn may_say(line: &[u8]) -> bool {
    let (mut dots, mut has_words, mut at) = (0, false, 0);
    while let Some(&byte) = line.get(at) {
        let rest = &line[at..];
        let word = rest.iter().take_while(|b| b.is_ascii_alphanumeric());
        let word = &rest[..word.count()];
        dots += usize::from(byte == b'.');
        if dots == 2 || !byte.is_ascii() || SAYING.may_hold(word) {
            return true;
        }
        has_words |= !(word.is_empty() || MARKS.may_hold(word));
        at += word.len().max(1);
    }
    !has_words
}

/// What the words inside a frame say. Long, for it is one rule, whose conditions lean on the same
/// few facts.
fn weigh(words: &[&str], frame: &Frame) -> Told {
    let any = |list: Words| words.iter().any(|word| list.contains(word));
    let one_of = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let follow = |pair: [&str; 2]| words.windows(2).any(|found| found == pair);
    let Some(first) = words.first() else {
        return Told::Nothing;
    };
    let (leads, trails) = (frame.leads(), frame.trails());
    let is_framed = leads || frame.brackets > 0;
    if leads && GAPS_TOO.is_phrase(words) {
        return Told::Perhaps;
    }
    let is_gap = GAPS.is_phrase(words);
    if is_gap || WHOLE.is_phrase(words) || WHOLE_TOO.is_phrase(words) {
        return match (is_framed, leads && trails) {
            (_, true) => Told::Omission,
            (false, _) if is_gap => Told::Nothing,
            _ => Told::Perhaps,
        };
    }
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let is_else = follow(["everything", "else"]) || follow(["no", "changes"]);
    let is_counted = one_of(&["lines", "line", "methods", "functions", "fields", "tests"])
        && words.iter().any(|word| is_number(word));
    if !(KEPT.contains(first)
        || FIRST.contains(first)
        || is_else
        || is_counted
        || PARTS.contains(first) && (is_framed || any(STAYS))
        || STATES.contains(first) && leads)
        || !(any(KEPT) || any(STAYS) || is_else)
    {
        return Told::Nothing;
    }
    let is_known = |word: &&&str| {
        is_number(word)
            || [KEPT, PARTS, STATES, STAYS, SMALL, FIRST]
                .iter()
                .any(|list| list.contains(word))
    };
    let unknown = words.iter().filter(|word| !is_known(word)).count();
    let stays =
        any(STAYS) || follow(["as", "before"]) || follow(["the", "same"]) || follow(["same", "as"]);
    let is_rest = one_of(&["rest", "remainder"]);
    // A name may say whose code it is.
    let allowed = match (leads, trails) {
        (true, true) => 2,
        _ => usize::from(is_framed || (is_rest && stays)),
    };
    if unknown > allowed {
        return Told::Nothing;
    }
    let is_part = any(PARTS);
    let rest = is_rest || one_of(&["existing"]) || follow(["everything", "else"]);
    // Words that only add to what is there are ordinary where nothing else is said.
    if !any(FIRM) && !stays && !is_else {
        return match leads && (trails || any(PARTS)) {
            true => Told::Perhaps,
            false => Told::Nothing,
        };
    }
    let is_omission = match (is_framed, trails) {
        (true, true) => is_part || stays || rest,
        (true, false) => (is_part && (stays || rest)) || (stays && (rest || is_counted)),
        (false, _) => is_part && stays && is_rest && unknown == 0,
    };
    // Without dots and brackets a comment is a heading or a sentence, if it is not about code.
    let is_sentence = frame.dots_behind == 1 || frame.is_heading;
    let is_left_out = one_of(&["omitted", "truncated", "brevity"]);
    let is_held = matches!(*first, "keep" | "leave" | "retain");
    let is_plain = match (stays || is_held, any(CODE)) {
        (true, _) => rest || is_else || (is_part && any(FIRM)) || (is_left_out && any(CODE)),
        (false, true) => !is_sentence || is_rest,
        (false, false) => trails && is_part && (rest || one_of(&["remaining"])),
    };
    match (is_omission, is_framed || is_plain) {
        (true, _) => Told::Omission,
        (false, true) => Told::Perhaps,
        (false, false) => Told::Nothing,
    }
}

/// Whether a comment that is no sentence may stand for code all the same: it names code and says
/// that it stays, or where it goes on.
fn may_be_left_out(words: &[&str], inner: &str, frame: &Frame) -> bool {
    let (Some(first), Some(last)) = (words.first(), words.last()) else {
        return false;
    };
    let one_of = |list: &[&str]| words.iter().any(|word| list.contains(word));
    let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let lists = [&KEPT, &PARTS, &STATES, &STAYS, &SMALL, &FIRST, &BETWEEN];
    let is_known = |word: &str| is_number(word) || lists.iter().any(|list| list.contains(word));
    let unknown = words.iter().filter(|word| !is_known(word)).count();
    if frame.leads() && frame.trails() && words.len() <= 6 && unknown <= 1 {
        return words.iter().any(|word| BETWEEN.contains(word));
    }
    // The code's name, and that it stays.
    let named = TAILS.iter().filter_map(|tail| words.strip_suffix(*tail));
    if let Some(mut name) = named.min_by_key(|name| name.len()) {
        if let [
            rest @ ..,
            "is" | "are" | "remains" | "remain" | "stays" | "stay" | "left",
        ] = name
        {
            name = rest;
        }
        let of_code = |word: &str| PARTS.contains(word) || SMALL.contains(word);
        let names = name.iter().filter(|word| !of_code(word)).count();
        let is_marked = inner.split([' ', '\t']).take(name.len()).any(is_identifier);
        let is_name = names == 0 && name.iter().any(|word| PARTS.contains(word))
            || names == 1 && is_marked
            || matches!(name, [count, "line" | "lines"] if is_number(count));
        // Or which part of the code it is, however that is called.
        let opens = |word: &str| KEPT.contains(word) || FIRST.contains(word);
        let is_kept = name.iter().take(3).any(|word| FIRM.contains(word));
        let is_part = name.first().is_some_and(|first| opens(first)) && is_kept && unknown <= 2;
        if name.len() <= 3 && is_name || name.len() <= 7 && is_part {
            return true;
        }
    }
    // Where it is to go on.
    let is_rest = one_of(&["rest", "remainder", "remaining", "existing"]);
    let is_yours = one_of(&["your", "my"]);
    let goes_on = matches!(*last, "here" | "below" | "follows");
    let is_part = words.iter().any(|word| PARTS.contains(word));
    let opens = KEPT.contains(first) || FIRST.contains(first);
    opens && is_rest && (goes_on && unknown <= 2 || is_yours && (unknown == 0 && is_part))
}

/// How a comment ends which says that code stays, or is left out.
const TAILS: [&[&str]; 14] = [
    &["unchanged"],
    &["unmodified"],
    &["untouched"],
    &["unaltered"],
    &["the", "same"],
    &["same", "as", "before"],
    &["as", "before"],
    &["as", "is"],
    &["identical"],
    &["omitted"],
    &["elided"],
    &["not", "shown"],
    &["for", "brevity"],
    &["as", "it", "was"],
];

/// Whether a word is spelled as names in code are.
fn is_identifier(word: &str) -> bool {
    let inner = word.trim_matches(['`', '(', ')']);
    let mut letters = inner.chars();
    let is_mixed = letters.next().is_some_and(char::is_alphabetic)
        && letters.clone().any(|c| c.is_ascii_uppercase())
        && letters.any(|c| c.is_ascii_lowercase());
    inner.len() > 1 && (inner.len() < word.len() || inner.contains('_') || is_mixed)
}

/// Whether a line may open a comment, or with dots: most lines are told by their first byte.
fn may_open(line: &[u8]) -> bool {
    match line[0] {
        b'/' | b'#' | b'<' | b'-' | b';' | b'%' | b'{' | b'*' | b'.' | b'[' | b'(' => true,
        b'\'' | b'"' | b'!' => line[1] == b' ',
        b'R' | b'r' => line[..4].eq_ignore_ascii_case(b"rem "),
        b'p' => line.starts_with(b"pass "),
        _ => line.starts_with("\u{2026}".as_bytes()),
    }
}

/// The comment that is all of a body which ends the line: `run() { /* unchanged */ }`.
fn only_comment(line: &[u8]) -> Option<&[u8]> {
    let body = line.strip_suffix(b"}")?.trim_ascii_end();
    let inner = body.strip_suffix(b"*/")?;
    let at = inner.windows(2).rposition(|bytes| bytes == b"/*")?;
    let opens = line[..at].trim_ascii_end().ends_with(b"{");
    opens.then(|| &body[at..])
}

/// What kind of line holds the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Comment,
    /// A comment that documents what is below it.
    Doc,
    /// A comment behind a mark that opens strings, too, or is an operator.
    Quote,
    /// Text without a mark.
    Bare,
}

/// What opens a comment that ends with its line.
const OPENS: &[(&str, Form)] = &[
    ("///", Form::Doc),
    ("//!", Form::Doc),
    ("//", Form::Comment),
    ("##", Form::Comment),
    ("#", Form::Comment),
    ("-- |", Form::Doc),
    ("--", Form::Comment),
    (";;", Form::Comment),
    (";", Form::Comment),
    ("%", Form::Comment),
    ("*", Form::Doc),
    ("REM ", Form::Comment),
    ("Rem ", Form::Comment),
    ("rem ", Form::Comment),
    ("' ", Form::Quote),
    ("! ", Form::Quote),
    ("\" ", Form::Quote),
];

/// The text of a comment that is all of its line, and its kind; text that opens with dots or in
/// brackets is taken as it is.
fn uncommented(text: &str) -> Option<(&str, Form)> {
    const PAIRS: &[(&str, &str)] = &[
        ("{/*", "*/}"),
        ("{{!--", "--}}"),
        ("{{/*", "*/}}"),
        ("{#", "#}"),
        ("<%--", "--%>"),
        ("<%#", "%>"),
        ("<!--", "-->"),
        ("<#", "#>"),
        ("(*", "*)"),
        ("{-", "-}"),
        ("/**", "*/"),
        ("/*", "*/"),
    ];
    // The gap of a body, with a comment that says so.
    let gap = ["...", "pass"].iter().find_map(|gap| {
        let rest = text.strip_prefix(gap)?;
        rest.trim_start().strip_prefix('#')
    });
    if let Some(rest) = gap {
        return Some((rest.trim(), Form::Comment));
    }
    for (open, close) in PAIRS {
        if let Some(rest) = text.strip_prefix(open) {
            // It may go on below.
            let inner = rest.trim_end();
            return Some((
                inner.strip_suffix(close).unwrap_or(inner).trim(),
                Form::Comment,
            ));
        }
    }
    for &(open, form) in OPENS {
        if let Some(rest) = text.strip_prefix(open) {
            let is_string = form == Form::Quote && rest.trim_end().ends_with(open.trim_end());
            return (!is_string).then_some((rest.trim(), form));
        }
    }
    let is_bare = text.starts_with(['.', '\u{2026}', '[', '(', '<']);
    is_bare.then_some((text, Form::Bare))
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
            "render() { /* ... rest of the method unchanged ... */ }",
        ] {
            assert_eq!(told(line.as_bytes()), Told::Omission, "{line}");
        }
    }

    #[test]
    fn many_lines_that_the_old_text_holds_are_its_own() {
        let line = |n: usize| format!("// ... existing code {n} ...\n");
        let old: String = (0..60_000).map(line).collect();
        let new: String = (0..60_000).rev().map(line).collect();
        let path = RelPath::new("f").unwrap();
        assert!(check_new(&path, new.as_bytes(), old.as_bytes()).is_ok());
        let more = new + &line(60_000);
        assert!(check_new(&path, more.as_bytes(), old.as_bytes()).is_err());
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
            "constructor(props) { /* existing code */ }",
            "// handleSubmit remains unchanged",
            "# Rest of the billing pipeline stays as is",
            "// 其余代码保持不变",
            "# ... resto del código ...",
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
            "(body, rest)",
            "[existing, content]",
            "let a = { /* the rest of the buffer is zero */ }",
            "// 其他语言保持不变的原因见下文，这里只说明默认值的来历",
            "# El resto del archivo se lee después",
        ] {
            assert_eq!(told(line.as_bytes()), Told::Nothing, "{line}");
        }
    }

    #[test]
    fn what_says_it_is_seen_in_any_case() {
        for word in ["everything", "No"] {
            assert!(may_say(word.as_bytes()), "{word}");
        }
        for list in [KEPT, STAYS, WHOLE, GAPS] {
            for phrase in list.all() {
                let first = phrase.split(' ').next().unwrap();
                for line in [first.to_owned(), first.to_uppercase()] {
                    let line = format!("// a window: {line}");
                    assert!(may_say(line.as_bytes()), "{line}");
                }
                assert!(
                    list.is_phrase(&phrase.split(' ').collect::<Vec<_>>()),
                    "{phrase}"
                );
            }
        }
        assert!(!may_say(b"// a window") && may_say(b"// --- TODO:") && may_say(b"# ..."));
    }
}
