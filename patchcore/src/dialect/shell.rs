//! What a shell makes of the text between the lines of a command.
//!
//! A patch that stands in a here-document whose word is not quoted, or in double quotes, is not what
//! its lines say: the shell puts something in for `$NAME`, `$(…)` and backquotes, and takes
//! backslashes away. No shell runs here, so such a patch is refused; one with nothing to put in is
//! the same either way.

use std::collections::HashMap;

use super::unread::{Misread, Misreads};
use super::{Dialect, Unread, detect};
use crate::error::{Code, Refusal, excerpt};
use crate::text::{BOM, split_lines, trim_ending};

/// How a command holds the lines below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held<'a> {
    /// In a here-document that ends with the word, which is quoted or not.
    Document { word: &'a str, is_quoted: bool },
    /// In double quotes.
    Quotes,
}

/// Refuses a patch in lines of which a shell would make something else.
pub(super) fn check(bytes: &[u8], dialect: Dialect) -> Result<(), Unread> {
    let body = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let mut first = split_lines(body).map(trim_ending);
    let first = (
        first.next().unwrap_or_default(),
        first.next().unwrap_or_default(),
    );
    if dialect != Dialect::Codex && detect::mark(first.0, first.1) == Some(dialect) {
        return Ok(());
    }
    let lines: Vec<&[u8]> = split_lines(body).map(trim_ending).collect();
    let ends = Ends::of(&lines);
    let mut faults = Misreads::default();
    let mut from = 0;
    while let Some(mark) = (from..lines.len()).find(|at| {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        detect::mark(lines[*at], next) == Some(dialect)
    }) {
        let above = (from..mark).rev();
        let command = above
            .filter_map(|at| held(lines[at]).map(|held| (at, held)))
            .find_map(|(at, held)| Some((held, ends.end(&lines, at, mark, held)?)));
        let Some((held, end)) = command else {
            // What follows is the patch's own, but for another envelope.
            let close = lines[mark..].iter().position(|line| is_end(line));
            match close {
                Some(close) if dialect == Dialect::Codex => from = mark + close + 1,
                _ => break,
            }
            continue;
        };
        let is_literal = matches!(
            held,
            Held::Document {
                is_quoted: true,
                ..
            }
        );
        if !is_literal
            && let Some((line, sign)) =
                (mark..end).find_map(|at| Some((at, expansion(lines[at], held)?)))
        {
            faults.push(Misread::new(
                line,
                Refusal::new(Code::InvalidBatch, why(held, sign)),
            ));
        }
        from = end;
    }
    faults.check(bytes)
}

fn why(held: Held<'_>, sign: &[u8]) -> String {
    let shown = excerpt(sign, 40);
    match held {
        Held::Document { word, .. } => format!(
            "a shell puts something else in for {shown:?}, since the word of the here-document is not quoted; quote it: <<'{word}'"
        ),
        Held::Quotes => format!(
            "a shell puts something else in for {shown:?}, since the patch stands in double quotes; send it in a here-document whose word is quoted: apply_patch <<'EOF'"
        ),
    }
}

fn is_end(line: &[u8]) -> bool {
    line.trim_ascii() == b"*** End Patch"
}

/// The lines that may end what a command holds, so that none is looked for twice.
struct Ends {
    /// Where each word stands alone, but for quotes and brackets that end with it.
    words: HashMap<Vec<u8>, Vec<usize>>,
    /// Lines that are no more than the end of a quoted text.
    quotes: Vec<usize>,
}

impl Ends {
    fn of(lines: &[&[u8]]) -> Self {
        let (mut words, mut quotes) = (HashMap::<_, Vec<_>>::new(), Vec::new());
        for (at, line) in lines.iter().map(|line| line.trim_ascii()).enumerate() {
            if line == b"\"" {
                quotes.push(at);
            }
            let closing = line.iter().rev().take_while(|byte| b"'\")".contains(byte));
            let word = &line[..line.len() - closing.count()];
            if !word.is_empty() && !word.contains(&b' ') {
                words.entry(word.to_vec()).or_default().push(at);
            }
        }
        Self { words, quotes }
    }

    /// The first of the lines, which are in order, below a line.
    fn below(lines: &[usize], at: usize) -> Option<usize> {
        lines
            .get(lines.partition_point(|line| *line <= at))
            .copied()
    }

    /// The line behind the last that a command on the line `at` holds; `None` where it does not
    /// hold the line `mark` below it, or is no command.
    fn end(&self, lines: &[&[u8]], at: usize, mark: usize, held: Held<'_>) -> Option<usize> {
        match held {
            Held::Document { word, .. } => {
                let word = self.words.get(word.as_bytes());
                match word.and_then(|word| Self::below(word, at)) {
                    Some(end) => (end > mark).then_some(end),
                    None => takes_patch(lines[at]).then_some(lines.len()),
                }
            }
            Held::Quotes => {
                let is_closed = Self::below(&self.quotes, at).is_some_and(|end| end < mark);
                if is_closed || !takes_patch(lines[at]) {
                    return None;
                }
                let is_quote = |at: &usize| self.quotes.binary_search(at).is_ok();
                let end = (mark..lines.len()).find(|at| is_end(lines[*at]) || is_quote(at));
                Some(end.map_or(lines.len(), |end| end + 1))
            }
        }
    }
}

/// Whether a line calls a command that takes a patch.
fn takes_patch(line: &[u8]) -> bool {
    let calls: [&[u8]; 4] = [b"apply_patch", b"applypatch", b"git apply", b"patch -p"];
    calls
        .iter()
        .any(|call| memchr::memmem::find(line, call).is_some())
}

/// How a line holds those below it, read as a shell does.
fn held(line: &[u8]) -> Option<Held<'_>> {
    let line = std::str::from_utf8(line).ok()?;
    if !line.contains("<<") && !line.contains('"') {
        return None;
    }
    let bytes = line.as_bytes();
    // The quotes that are open, with those around each `$(…)`.
    let mut open: Vec<Option<u8>> = vec![None];
    let mut document = None;
    let mut at = 0;
    let mut quoted_from = 0;
    while at < bytes.len() {
        let is_inner = open.len() > 1;
        let quote = open.last_mut()?;
        match (bytes[at], *quote) {
            (b'\'', Some(b'\'')) => *quote = None,
            (_, Some(b'\'')) => {}
            (b'\\', _) => at += 1,
            (b'$', _) if bytes.get(at + 1) == Some(&b'(') => {
                open.push(None);
                at += 1;
            }
            (b')', None) if is_inner => drop(open.pop()),
            (b'"', Some(_)) => *quote = None,
            (b'"', None) => *quote = Some(b'"'),
            (b'\'', None) => {
                *quote = Some(b'\'');
                quoted_from = at + 1;
            }
            (b'<', None) if bytes[at..].starts_with(b"<<<") => at += 2,
            (b'<', None) if bytes[at..].starts_with(b"<<") => {
                document = word(&line[at + 2..]).or(document);
                at += 1;
            }
            _ => {}
        }
        at += 1;
    }
    match open.last().copied().flatten() {
        // The text in single quotes is the command of another shell.
        Some(b'\'') => document.or_else(|| held(&bytes[quoted_from..])),
        Some(_) => Some(Held::Quotes),
        None => document,
    }
}

/// The word behind the `<<` of a here-document.
fn word(text: &str) -> Option<Held<'_>> {
    let text = text.strip_prefix('-').unwrap_or(text).trim_start();
    let ends = |c: char| c.is_whitespace() || "|&;<>()".contains(c);
    let word = &text[..text.find(ends).unwrap_or(text.len())];
    let is_quote = |c: char| matches!(c, '\'' | '"' | '\\');
    let bare = word.trim_matches(is_quote);
    let is_name = bare.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && bare
            .chars()
            .all(|c| c.is_alphanumeric() || "_-.".contains(c));
    is_name.then_some(Held::Document {
        word: bare,
        is_quoted: word.contains(is_quote),
    })
}

/// The first part of a line that a shell puts something in for.
fn expansion<'a>(line: &'a [u8], held: Held<'_>) -> Option<&'a [u8]> {
    let mut at = 0;
    while let Some(found) = memchr::memchr3(b'$', b'`', b'\\', &line[at..]) {
        let start = at + found;
        let next = line.get(start + 1).copied();
        let is_sign = match (line[start], next) {
            (b'`', _) => true,
            (b'$', Some(next)) => next.is_ascii_alphanumeric() || b"_{([@*#?$!-".contains(&next),
            (b'\\', Some(b'"')) => held == Held::Quotes,
            // At the end it takes the line's ending away.
            (b'\\', next) => matches!(next, None | Some(b'$' | b'`' | b'\\')),
            _ => false,
        };
        if is_sign {
            let rest = &line[start..];
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let name = rest.iter().skip(1).take_while(|byte| is_name(byte)).count();
            let shown = match rest[0] {
                b'$' => (1 + name).max(2),
                b'\\' => 2,
                _ => 1 + crate::bytes::find(b'`', &rest[1..]).map_or(0, |at| at + 1),
            };
            return Some(&rest[..shown.min(rest.len())]);
        }
        at = start + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{Held, check, expansion, held};
    use crate::dialect::{Options, detect, parse};

    #[test]
    fn a_line_holds_what_is_below_it_as_in_a_shell() {
        let document = |word, is_quoted| Some(Held::Document { word, is_quoted });
        for (line, expected) in [
            ("apply_patch <<EOF", document("EOF", false)),
            ("$ cd a && apply_patch << EOF", document("EOF", false)),
            ("apply_patch <<-EOF 2>&1", document("EOF", false)),
            ("apply_patch <<'EOF'", document("EOF", true)),
            ("apply_patch <<\"EOF\"", document("EOF", true)),
            ("apply_patch <<\\EOF", document("EOF", true)),
            ("cat <<EOF | apply_patch", document("EOF", false)),
            ("apply_patch \"$(cat <<EOF", document("EOF", false)),
            ("apply_patch \"$(cat <<'EOF'", document("EOF", true)),
            ("bash -lc 'apply_patch <<EOF", document("EOF", false)),
            ("bash -lc 'apply_patch <<\"EOF\"", document("EOF", true)),
            ("bash -lc \"apply_patch <<'EOF'", Some(Held::Quotes)),
            ("apply_patch \"", Some(Held::Quotes)),
            ("apply_patch <<< \"", Some(Held::Quotes)),
            ("apply_patch '", None),
            ("apply_patch \"a\"", None),
            ("1 << 2", None),
            ("<<<<<<< SEARCH", None),
        ] {
            assert_eq!(held(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn only_what_a_shell_replaces_is_an_expansion() {
        let document = Held::Document {
            word: "EOF",
            is_quoted: false,
        };
        for (line, found) in [
            ("+a $HOME/b", Some("$HOME")),
            ("+${a}", Some("${")),
            ("+$(a)", Some("$(")),
            ("+a `b` c", Some("`b`")),
            ("+a \\\\ b", Some("\\\\")),
            ("+a \\$b", Some("\\$")),
            ("+a \\", Some("\\")),
            ("+$1", Some("$1")),
            ("+^a$", None),
            ("+costs 5$ each", None),
            ("+a\\n\\t", None),
            ("+say \\\"a\\\"", None),
        ] {
            let shown = expansion(line.as_bytes(), document);
            assert_eq!(shown, found.map(str::as_bytes), "{line}");
        }
        let escaped = expansion(b"+say \\\"a\\\"", Held::Quotes);
        assert_eq!(escaped, Some(&b"\\\""[..]));
    }

    #[test]
    fn a_patch_that_a_shell_changes_is_refused_in_each_dialect() {
        let codex = "*** Begin Patch\n*** Add File: f\n+X\n*** End Patch\n";
        let diff = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+X\n";
        let tagged = "[f#0123abcd]\nSWAP 1.=1:\n+X\n";
        let block = "f\n<<<<<<< SEARCH\na\n=======\nX\n>>>>>>> REPLACE\n";
        for patch in [codex, diff, tagged, block] {
            for (before, behind, is_literal) in [
                ("apply_patch <<EOF\n", "EOF\n", false),
                ("apply_patch <<EOF\n\n", "EOF\n", false),
                ("apply_patch <<EOF\n", "", false),
                ("cat <<EOF | apply_patch\n", "EOF\n", false),
                ("bash -lc 'apply_patch <<EOF\n", "EOF'\n", false),
                ("bash -lc \"apply_patch <<'EOF'\n", "EOF\"\n", false),
                ("apply_patch <<'EOF'\n", "EOF\n", true),
                ("apply_patch \"$(cat <<'EOF'\n", "EOF\n)\"\n", true),
                ("Costs $HOME:\n", "", true),
                ("", "", true),
            ] {
                let text = |new: &str| format!("{before}{}{behind}", patch.replace('X', new));
                let judged = |text: &str| {
                    let dialect = detect(text.as_bytes()).unwrap();
                    check(text.as_bytes(), dialect)
                };
                assert!(judged(&text("plain $ text")).is_ok(), "{before}{patch}");
                let text = text("b $HOME");
                match judged(&text) {
                    Ok(()) => assert!(is_literal, "{text}"),
                    Err(unread) => {
                        assert!(!is_literal, "{text}: {unread}");
                        let fault = unread.diagnostic().unwrap();
                        let line = text.lines().nth(fault.line - 1).unwrap();
                        assert!(line.contains("$HOME"), "{line}");
                        assert!(fault.message.contains("<<'EOF'"), "{}", fault.message);
                        assert!(parse(text.as_bytes(), &Options::default()).is_err());
                    }
                }
            }
        }
    }

    /// Lines that hold nothing are not each followed to the end of the input.
    #[test]
    fn many_lines_that_hold_nothing_cost_no_more_than_their_number() {
        let patch = "*** Begin Patch\n*** Add File: f\n+$a\n*** End Patch\n";
        for line in ["x <<EOF\n", "x \"\n"] {
            let text = line.repeat(200_000) + patch;
            assert!(check(text.as_bytes(), crate::dialect::Dialect::Codex).is_ok());
        }
        let text = "apply_patch \"\n\"\n".repeat(100_000) + patch;
        assert!(check(text.as_bytes(), crate::dialect::Dialect::Codex).is_ok());
    }

    #[test]
    fn each_envelope_is_judged_by_its_own_command() {
        let one = |word: &str, new: &str| {
            format!(
                "apply_patch <<{word}\n*** Begin Patch\n*** Add File: f\n+{new}\n*** End Patch\nEOF\n"
            )
        };
        let dialect = crate::dialect::Dialect::Codex;
        let second = one("'EOF'", "$a") + &one("EOF", "$b");
        let unread = check(second.as_bytes(), dialect).unwrap_err();
        assert_eq!(unread.diagnostic().unwrap().line, 10);
        let text = one("'EOF'", "apply_patch <<EOF") + &one("'EOF'", "$b");
        assert!(check(text.as_bytes(), dialect).is_ok());
    }
}
