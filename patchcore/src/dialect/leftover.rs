//! Finds parts of an input that belong to a dialect other than the one that it was read in.
//!
//! Every dialect skips the prose around its patches. What it skips may be a patch of another
//! dialect, or a block whose marks are misspelt: an edit that would be dropped without a word. So
//! each input is looked through once more for all that opens a patch, and is refused where that is
//! not what was read.

use std::ops::Range;

use serde_json::Value;

use super::detect::{self, ends};
use super::{Dialect, calls, marks};
use crate::error::{Code, Refusal, excerpt};
use crate::text::{split_lines, trim_ending};

/// Texts that begin like JSON and are tried as such, at most: a bound on the work.
const ATTEMPTS: usize = 256;

/// Refuses an input that holds a patch of a dialect that it was not read in.
///
/// # Errors
/// `INVALID_BATCH`, naming the lines of both.
pub(super) fn check(bytes: &[u8], read: Dialect, spans: &[Range<usize>]) -> Result<(), Refusal> {
    let body = match spans {
        [] => bytes.strip_prefix(crate::text::BOM).unwrap_or(bytes),
        _ => bytes,
    };
    // A batch is JSON from its first byte to its last.
    if read == Dialect::Batch || (read == Dialect::UnifiedDiff && !may_hold_another(body)) {
        return Ok(());
    }
    let mut scan = Scan {
        body,
        read,
        spans,
        first: None,
        attempts: 0,
        in_message: false,
    };
    scan.run()
}

/// Whether a diff may hold another dialect's patch; a look at each line costs more than this.
fn may_hold_another(body: &[u8]) -> bool {
    let holds = |word: &[u8]| memchr::memmem::find(body, word).is_some();
    matches!(body.first(), Some(b'{' | b'[' | b'<'))
        || [
            &b"\n{"[..],
            b"\n[",
            b"{\"",
            b"\n<<<<<",
            b"\n------- ",
            b"*** ",
            // Quoted, indented, coloured, without context.
            b" @@ -",
            b"\t@@ -",
            b"|@@ -",
            b">@@ -",
            b"m@@ -",
            b"\n< ",
            b"\n> ",
            b"&lt;",
        ]
        .into_iter()
        .any(holds)
        || marks_anywhere(body)
}

fn marks_anywhere(body: &[u8]) -> bool {
    [
        marks::SEARCH,
        b" search",
        b" Search",
        b" ORIGINAL",
        b" original",
    ]
    .into_iter()
    .any(|word| memchr::memmem::find(body, word).is_some())
}

struct Scan<'a> {
    body: &'a [u8],
    read: Dialect,
    /// The calls that were read, in order.
    spans: &'a [Range<usize>],
    /// The line of the first patch in the dialect that was read, and what it is written in.
    first: Option<(usize, Form)>,
    attempts: usize,
    /// Whether the lines are those of a commit's message, which git indents and which may quote.
    in_message: bool,
}

/// What a patch is written in: an envelope may come as it is, or in the JSON of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

impl Scan<'_> {
    fn run(&mut self) -> Result<(), Refusal> {
        self.thoughts()?;
        let mut at = 0;
        let mut number = 1;
        let (mut line_end, mut next_end) = (0, 0);
        let mut inside = None;
        let mut hunk = Hunk::default();
        while at < self.body.len() {
            let rest = &self.body[at..];
            // A line may hold many calls: it is measured once.
            if at >= line_end {
                let length = |rest| split_lines(rest).next().map_or(0, <[u8]>::len);
                line_end = at + length(rest);
                next_end = line_end + length(&self.body[line_end..]);
            }
            let whole = &self.body[at..line_end];
            let line = trim_ending(whole);
            let next = &self.body[line_end..next_end];
            let mut used = whole.len();
            let blank = rest.len() - rest.trim_ascii_start().len();
            if let Some((span, behind)) = self.spans.split_first()
                && (at + blank >= span.start || span.start < at + whole.len())
            {
                self.spans = behind;
                if span.start > at + blank {
                    self.prose(&rest[..span.start - at], at, number)?;
                }
                self.found(self.read, number, Form::Json)?;
                used = span.end.max(at) - at;
            } else if let Some(dialect) = inside {
                if ends(dialect, line) {
                    inside = None;
                }
            } else if (self.read == Dialect::Hashline && line.starts_with(b"+"))
                || (self.read == Dialect::UnifiedDiff && hunk.holds(line))
            {
            } else if let Some(dialect) = self.mark(line, next) {
                self.in_message = false;
                self.found(dialect, number, Form::Text)?;
                if dialect == Dialect::UnifiedDiff {
                    hunk.opened(line);
                } else if detect::has_end(dialect) {
                    inside = Some(dialect);
                }
            } else if let Some(length) = self.json_at(at, number)? {
                used = length;
            } else {
                self.prose(line, at, number)?;
            }
            number += crate::bytes::count(b'\n', &rest[..used]);
            at += used;
        }
        Ok(())
    }

    /// Refuses a patch in what a model thought before it answered, which calls are read behind.
    fn thoughts(&self) -> Result<(), Refusal> {
        let starts = self.body.trim_ascii_start().starts_with(b"<");
        let text = || std::str::from_utf8(self.body).ok();
        if is_call(self.read) || !starts {
            return Ok(());
        }
        let Some(end) = text().and_then(calls::thoughts) else {
            return Ok(());
        };
        let mut lines = split_lines(&self.body[..end]).map(trim_ending).peekable();
        let mut number = 0;
        while let Some(line) = lines.next() {
            number += 1;
            let next = lines.peek().copied().unwrap_or_default();
            if self.mark(line, next).is_some() {
                let why =
                    "is in what the model thought before it answered; send what stands behind that";
                return Err(left_over(number, line, why));
            }
        }
        Ok(())
    }

    fn mark(&self, line: &[u8], next: &[u8]) -> Option<Dialect> {
        // In a diff an indented line is context.
        if self.read == Dialect::UnifiedDiff && line.starts_with(b" ") {
            return None;
        }
        detect::mark(line, next)
    }

    fn found(&mut self, dialect: Dialect, line: usize, form: Form) -> Result<(), Refusal> {
        let read = self.read;
        // Both are read in order.
        let same = dialect == read || (is_call(read) && dialect == Dialect::Files);
        match self.first {
            Some((first, _)) if !same => Err(mixed((read, first), (dialect, line))),
            None if !same => {
                // What was read may come further below.
                let first = self.first_below(line);
                Err(mixed((dialect, line), (read, first)))
            }
            Some((first, other)) if read == Dialect::Codex && other != form => {
                Err(mixed((read, first), (dialect, line)))
            }
            Some(_) => Ok(()),
            None => {
                self.first = Some((line, form));
                Ok(())
            }
        }
    }

    /// The line of the first mark of what was read, below a line; that line where there is none.
    fn first_below(&self, line: usize) -> usize {
        let lines: Vec<&[u8]> = split_lines(self.body).map(trim_ending).collect();
        let opens = |at: &usize| {
            let next = lines.get(at + 1).copied().unwrap_or_default();
            let text = lines[*at].trim_ascii_start();
            detect::mark(lines[*at], next) == Some(self.read)
                || (text.starts_with(b"{") && detect::json(text) == Some(self.read))
        };
        (line..lines.len()).find(opens).map_or(line, |at| at + 1)
    }

    /// The length of the JSON that starts on the line at an offset, up to the end of its last line.
    fn json_at(&mut self, at: usize, number: usize) -> Result<Option<usize>, Refusal> {
        let rest = &self.body[at..];
        let blank = match self.read {
            Dialect::UnifiedDiff => 0,
            _ => rest.iter().take_while(|b| b" \t".contains(b)).count(),
        };
        let text = &rest[blank..];
        if !matches!(text.first(), Some(b'{' | b'[')) {
            return Ok(None);
        }
        let Some((value, length)) = self.value(text) else {
            return self.broken(text, number);
        };
        for value in value.as_array().unwrap_or(&vec![value.clone()]) {
            if let Some(dialect) = call(value) {
                self.found(dialect, number, Form::Json)?;
            }
        }
        let mut end = blank + length;
        // More values on its last line are read, too, unless they hide behind other text.
        if !matches!(
            rest[end..].trim_ascii_start().first(),
            Some(b'{' | b'[' | b',')
        ) {
            let tail = split_lines(&rest[end..]).next().unwrap_or_default();
            let above = crate::bytes::count(b'\n', &rest[..end]);
            if tail.trim_ascii().is_empty() {
                end += tail.len();
            } else {
                self.prose(trim_ending(tail), at + end, number + above)?;
                end += tail.len();
            }
        }
        Ok(Some(end))
    }

    fn value(&mut self, text: &[u8]) -> Option<(Value, usize)> {
        self.attempts += 1;
        if self.attempts > ATTEMPTS {
            return None;
        }
        let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
        let value = values.next()?.ok()?;
        Some((value, values.byte_offset()))
    }

    /// A call whose JSON does not parse is left over beside a patch that is no JSON.
    fn broken(&self, text: &[u8], number: usize) -> Result<Option<usize>, Refusal> {
        let is_object = text[1..].trim_ascii_start().starts_with(b"\"");
        let line = split_lines(text).next().unwrap_or_default();
        let call = detect::json(line).filter(|dialect| is_object && *dialect != Dialect::Batch);
        match (call, self.first) {
            (Some(dialect), Some((first, _))) => Err(mixed((self.read, first), (dialect, number))),
            _ => Ok(None),
        }
    }

    /// A line that no dialect reads: a misspelt mark, or a call in the middle of a line.
    fn prose(&mut self, line: &[u8], at: usize, number: usize) -> Result<(), Refusal> {
        self.in_message |= is_commit(line);
        if let Some(why) = hidden(line).filter(|_| !self.in_message) {
            return Err(left_over(number, line, why));
        }
        let below = || split_lines(&self.body[at..]).nth(1).unwrap_or_default();
        if is_normal_command(line) && [b"< ", b"> "].iter().any(|sign| below().starts_with(*sign)) {
            return Err(left_over(
                number,
                line,
                "is a change of a diff without context, which is not read; send a unified diff (diff -u)",
            ));
        }
        if marks::is_odd_opener(line) {
            return Err(left_over(
                number,
                line,
                "looks like the mark of a block and was not read; a block opens with <<<<<<< SEARCH",
            ));
        }
        if is_codex_header(line) && self.read != Dialect::UnifiedDiff {
            return Err(left_over(
                number,
                line,
                "is outside of an envelope; put it between \"*** Begin Patch\" and \"*** End Patch\"",
            ));
        }
        for brace in memchr::memmem::find_iter(line, b"{\"") {
            let start = at + brace;
            let Some((value, _)) = self.value(&self.body[start..]) else {
                continue;
            };
            if call(&value).is_some() {
                return Err(left_over(
                    number,
                    &line[brace..],
                    "is a call in the middle of a line, which was not read; put it on a line of its own",
                ));
            }
        }
        Ok(())
    }
}

/// The lines of a hunk that are still to come.
#[derive(Default)]
struct Hunk {
    old: usize,
    new: usize,
}

impl Hunk {
    fn opened(&mut self, line: &[u8]) {
        let Some(ranges) = line.strip_prefix(b"@@ -") else {
            return;
        };
        let count = |range: Option<&[u8]>| -> usize {
            let Some(range) = range else { return 0 };
            let Some(comma) = range.iter().position(|b| *b == b',') else {
                return 1;
            };
            let digits = std::str::from_utf8(&range[comma + 1..]).unwrap_or_default();
            digits.parse().unwrap_or_default()
        };
        let mut words = ranges.split(|byte| *byte == b' ');
        self.old = count(words.next());
        self.new = count(words.next());
    }

    /// Whether the line belongs to the hunk.
    fn holds(&mut self, line: &[u8]) -> bool {
        let (old, new) = match line.first() {
            Some(b' ') | None => (1, 1),
            Some(b'-') => (1, 0),
            Some(b'+') => (0, 1),
            Some(b'\\') => (0, 0),
            _ => return false,
        };
        if self.old + self.new == 0 || (old > self.old && new > self.new) {
            return false;
        }
        self.old = self.old.saturating_sub(old);
        self.new = self.new.saturating_sub(new);
        true
    }
}

/// Whether a line starts a commit with its message, as `git log` and `git format-patch` print it.
fn is_commit(line: &[u8]) -> bool {
    let name = line
        .strip_prefix(b"commit ")
        .or(line.strip_prefix(b"From "));
    let digits = name.unwrap_or_default().iter();
    digits.take_while(|byte| byte.is_ascii_hexdigit()).count() >= 40
}

/// Why an opener in a line was not read, if there is one behind what the way of the text, or its
/// display, has put before it: a hunk, an envelope, the mark of a block.
fn hidden(line: &[u8]) -> Option<&'static str> {
    let mut rest = line;
    let mut why = None;
    loop {
        let before = rest.len();
        if let [b'\x1b', b'[', tail @ ..] = rest {
            let end = tail.iter().position(u8::is_ascii_alphabetic)?;
            (rest, why) = (
                &tail[end + 1..],
                Some("has the colours of a terminal in it and was not read; remove them"),
            );
        } else if let [b'>' | b'|', tail @ ..] = rest
            && !tail.starts_with(b">")
        {
            (rest, why) = (
                tail,
                Some(
                    "is quoted, as in a reply, and was not read; remove the marks of quotation, or the lines",
                ),
            );
        } else if let [b' ' | b'\t', tail @ ..] = rest {
            rest = tail;
            why = why.or(Some(
                "is indented and was not read; remove the indentation, or the lines",
            ));
        }
        if rest.len() == before {
            break;
        }
    }
    let entities: [&[u8]; 2] = [b"&lt;&lt;&lt;&lt;&lt;", b"&lt;&lt;&lt;&lt; "];
    if entities.iter().any(|signs| rest.starts_with(signs)) && has_word(rest) {
        return Some(
            "looks like the mark of a block in entities of HTML and was not read; send it as plain text",
        );
    }
    let is_hunk = rest.starts_with(b"@@ -") && rest[3..].windows(2).any(|pair| pair == b"@@");
    let opens = is_hunk || marks::is_search(rest) || rest.trim_ascii() == b"*** Begin Patch";
    why.filter(|_| opens)
}

/// Whether a line is a command of the format that diff has by default: `7c7`, `3,4d2`.
fn is_normal_command(line: &[u8]) -> bool {
    let is_range = |text: &[u8]| {
        !text.is_empty()
            && text
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b',')
    };
    let letter = line
        .iter()
        .position(|byte| matches!(byte, b'a' | b'c' | b'd'));
    letter.is_some_and(|at| is_range(&line[..at]) && is_range(&line[at + 1..]))
}

fn has_word(line: &[u8]) -> bool {
    let holds = |word: &[u8]| memchr::memmem::find(line, word).is_some();
    holds(b"SEARCH") || holds(b"search")
}

fn is_codex_header(line: &[u8]) -> bool {
    let headers: [&[u8]; 3] = [
        b"*** Update File: ",
        b"*** Add File: ",
        b"*** Delete File: ",
    ];
    headers.iter().any(|header| line.starts_with(header))
}

fn is_call(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::StrReplace | Dialect::McpEdit)
}

/// The dialect of a call in JSON, if it is one that changes files.
fn call(value: &Value) -> Option<Dialect> {
    if !value.is_object() {
        return None;
    }
    let text = serde_json::to_vec(value).ok()?;
    let dialect = detect::json(&text)?;
    let keys = detect::keys(&text);
    let has = |key: &[u8]| keys.iter().any(|known| known == key);
    let names_a_file = || has(b"path") || has(b"file_path");
    let changes = match dialect {
        Dialect::Batch => has(b"operations"),
        Dialect::StrReplace => {
            // In a call, the parameters may be text, in which no keys are seen.
            let edits: [&[u8]; 5] = [
                b"old_str",
                b"old_string",
                b"content",
                b"file_text",
                b"insert_line",
            ];
            names_a_file() && edits.into_iter().any(has)
        }
        Dialect::McpEdit => has(b"edits"),
        _ => true,
    };
    (changes && !is_view(value)).then_some(dialect)
}

/// A command that looks at a file and changes nothing.
fn is_view(value: &Value) -> bool {
    value.get("command").and_then(Value::as_str) == Some("view")
}

fn mixed(one: (Dialect, usize), other: (Dialect, usize)) -> Refusal {
    let (first, second) = if one.1 <= other.1 {
        (one, other)
    } else {
        (other, one)
    };
    let message = if first.0 == second.0 {
        format!(
            "the patch mixes {} as it is and in a JSON call, at lines {} and {}; send them separately",
            first.0, first.1, second.1
        )
    } else {
        format!(
            "the patch mixes dialects: {} at line {} and {} at line {}; send them separately",
            first.0, first.1, second.0, second.1
        )
    };
    Refusal::new(Code::InvalidBatch, message)
}

fn left_over(number: usize, line: &[u8], why: &str) -> Refusal {
    let shown = excerpt(line.trim_ascii(), 80);
    Refusal::new(
        Code::InvalidBatch,
        format!("line {number} of the patch: {shown:?} {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Options, parse};
    use super::*;

    /// A patch in each dialect that skips text around it.
    const PATCHES: [(Dialect, &str); 7] = [
        (
            Dialect::UnifiedDiff,
            "--- a/f.txt\n+++ b/f.txt\n@@ -1,2 +1,2 @@\n-a\n+A\n b\n",
        ),
        (
            Dialect::Codex,
            "*** Begin Patch\n*** Update File: f.txt\n@@\n-a\n+A\n*** End Patch\n",
        ),
        (
            Dialect::SearchReplace,
            "f.txt\n<<<<<<< SEARCH\na\n=======\nA\n>>>>>>> REPLACE\n",
        ),
        (
            Dialect::StrReplace,
            "{\"command\":\"str_replace\",\"path\":\"f.txt\",\"old_str\":\"a\",\"new_str\":\"A\"}\n",
        ),
        (
            Dialect::McpEdit,
            "{\"path\":\"f.txt\",\"edits\":[{\"oldText\":\"a\",\"newText\":\"A\"}]}\n",
        ),
        (
            Dialect::WorkspaceEdit,
            "{\"changes\":{\"f.txt\":[{\"range\":{\"start\":{\"line\":0,\"character\":0},\"end\":{\"line\":0,\"character\":1}},\"newText\":\"A\"}]}}\n",
        ),
        (Dialect::Hashline, "[f.txt#911169DD]\nSWAP 1.=1:\n+A\n"),
    ];

    #[test]
    fn two_dialects_in_one_input_are_refused_in_either_order() {
        for (one, first) in PATCHES {
            for (other, second) in PATCHES {
                for fence in ["", "```\n"] {
                    let both = format!("{fence}{first}{fence}\nAnd:\n\n{fence}{second}{fence}");
                    let mut options = Options::default();
                    let found = parse(both.as_bytes(), &options);
                    // Nothing but a mark ends rows, so that prose below them may be one.
                    if one == other && one == Dialect::Hashline && fence.is_empty() {
                        assert!(found.is_err(), "{both}");
                        continue;
                    }
                    // Calls of every kind are read in order.
                    if one == other || (is_call(one) && is_call(other)) {
                        assert!(found.is_ok(), "{both}: {:?}", found.err());
                        continue;
                    }
                    let refusal = found.expect_err(&both);
                    assert!(refusal.message.contains("line"), "{refusal}");
                    // Saying which does not drop the other.
                    for dialect in [one, other] {
                        options.dialect = Some(dialect);
                        assert!(
                            parse(both.as_bytes(), &options).is_err(),
                            "{dialect}: {both}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn what_opens_a_patch_and_was_not_read_is_refused() {
        for (_, patch) in PATCHES {
            for rest in [
                "f.txt\n<<<<<<< search\nb\n=======\nB\n>>>>>>> replace\n",
                "f.txt\n<<<<<<< ORIGINAL\nb\n=======\nB\n>>>>>>> UPDATED\n",
                "f.txt\n------- Search\nb\n=======\nB\n+++++++ Replace\n",
                "Then: {\"path\": \"f.txt\", \"edits\": [{\"oldText\": \"b\", \"newText\": \"B\"}]}\n",
                "{\"command\": \"create\", \"path\": \"g\", \"file_text\":",
            ] {
                for input in [format!("{patch}\n{rest}"), format!("{rest}\n\n{patch}")] {
                    assert!(
                        parse(input.as_bytes(), &Options::default()).is_err(),
                        "{input}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_opener_that_the_way_has_changed_is_refused() {
        let hunk = "--- a/g\n+++ b/g\n@@ -1,2 +1,2 @@\n-a\n+A\n b\n";
        let block = "g\n<<<<<<< SEARCH\na\n=======\nA\n>>>>>>> REPLACE\n";
        let with = |mark: &str, text: &str| -> String {
            text.lines().map(|line| format!("{mark}{line}\n")).collect()
        };
        let coloured = hunk
            .replace("@@ -1,2 +1,2 @@", "\x1b[36m@@ -1,2 +1,2 @@\x1b[m")
            .replace("--- ", "\x1b[1m--- ")
            .replace("+++ ", "\x1b[1m+++ ");
        let mut rests = vec![coloured, "7c7\n< a\n---\n> A\n".into(), "3a4\n> A\n".into()];
        for mark in ["> ", ">", "> > ", "| ", "    ", "\t"] {
            rests.push(with(mark, hunk));
            if !mark.trim().is_empty() {
                rests.push(with(mark, block));
            }
        }
        rests.push(block.replace('<', "&lt;").replace('>', "&gt;"));
        for (dialect, patch) in PATCHES {
            for rest in &rests {
                for input in [format!("{patch}\n{rest}"), format!("{rest}\nSo:\n{patch}")] {
                    let read = parse(input.as_bytes(), &Options::default());
                    assert!(read.is_err(), "{dialect}: {input}");
                }
            }
        }
        // In the message of a commit it is told, not sent.
        let commit = "0123456789012345678901234567890123456789";
        for first in [
            format!("commit {commit}"),
            format!("From {commit} Mon Sep 17 00:00:00 2001"),
        ] {
            let input = format!(
                "{first}\nSubject: x\n\n{}\n{}",
                with("    ", hunk),
                PATCHES[0].1
            );
            let read = parse(input.as_bytes(), &Options::default());
            assert!(read.is_ok(), "{input}: {:?}", read.err());
        }
    }

    #[test]
    fn the_text_of_files_and_prose_is_no_patch() {
        for patch in [
            "--- a/f\n+++ b/f\n@@ -1,3 +1,4 @@\n {\"path\": \"f\", \"edits\": []}\n *** Begin Patch\n---- SEARCH\n++<<<<<<< HEAD\n+{\"changes\": {}}\n",
            "*** Begin Patch\n*** Add File: f\n+*** Begin Patch\n+<<<<<<< SEARCH\n+{\"changes\": {}}\n*** End Patch\n",
            "f\n<<<<<<< SEARCH\n{\"changes\": {}}\n=======\n*** Add File: x\n>>>>>>> REPLACE\n",
            "{\"command\":\"create\",\"path\":\"f\",\"file_text\":\"{\\\"changes\\\": {}}\\n*** Begin Patch\\n\"}",
            "It returns {\"ok\": true}, [1] and `{}`:\n\nTitle\n=====\n\n*** Begin Patch\n*** Add File: f\n+x\n*** End Patch\n\n{\n  \"note\": 1\n}\n",
        ] {
            let options = Options {
                dialect: patch.starts_with("---").then_some(Dialect::UnifiedDiff),
                ..Options::default()
            };
            let read = parse(patch.as_bytes(), &options);
            assert!(read.is_ok(), "{patch}: {:?}", read.err());
        }
    }
}
