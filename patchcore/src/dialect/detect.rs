//! Tells the dialect of a patch by its marks.

use super::calls::{self, Field};
use super::{Dialect, codex, hashline};
use crate::error::{Code, Hint, Refusal};
use crate::text::{split_lines, trim_ending};

/// Says in which dialect a patch is written.
///
/// JSON is told by its keys, everything else by the lines that only its own format has.
///
/// ```
/// use patchcore::dialect::{Dialect, detect};
/// assert_eq!(detect(b"*** Begin Patch\n*** End Patch\n")?, Dialect::Codex);
/// assert!(detect(b"hello").is_err());
/// # Ok::<(), patchcore::Refusal>(())
/// ```
///
/// # Errors
/// `INVALID_BATCH` where no dialect, or more than one, shows its marks.
pub fn detect(bytes: &[u8]) -> Result<Dialect, Refusal> {
    let body = bytes.strip_prefix(crate::text::BOM).unwrap_or(bytes);
    if let Some(text) = calls::string(body) {
        // What the string holds is read as what it is.
        return detect(text.as_bytes());
    }
    let mut first = split_lines(body).map(trim_ending);
    let is_section = hashline::opens(
        first.next().unwrap_or_default(),
        first.next().unwrap_or_default(),
    );
    if let Some(dialect) = json(body).filter(|_| !is_section) {
        return Ok(dialect);
    }
    if std::str::from_utf8(body).is_ok_and(|text| codex::unquoted(text).is_some()) {
        return Ok(Dialect::Codex);
    }
    let marks = match marks(body) {
        Ok(marks) => marks,
        Err(dialect) => return Ok(dialect),
    };
    match marks.seen[..] {
        [(dialect, _)] => Ok(dialect),
        [(first, a), (second, b), ..] => {
            let message = format!(
                "the patch mixes dialects: {first} at line {a} and {second} at line {b}; send them separately"
            );
            Err(Refusal::new(Code::InvalidBatch, message).with_hint(Hint::Dialect))
        }
        [] => match marks.json_at.and_then(|at| json_below(body, at)) {
            Some(dialect) => Ok(dialect),
            None => unmarked(body),
        },
    }
}

/// What the lines of a patch show.
#[derive(Default)]
struct Marks {
    /// Each dialect, and the line that its first mark is in.
    seen: Vec<(Dialect, usize)>,
    /// Where a line starts that may be JSON.
    json_at: Option<usize>,
}

/// Looks for the marks of dialects; fails with a dialect that needs no further look.
fn marks(body: &[u8]) -> Result<Marks, Dialect> {
    let may_be_mixed = may_be_mixed(body);
    let mut marks = Marks::default();
    let mut lines = split_lines(body).enumerate().peekable();
    // Lines inside a block or envelope are content, whatever they look like.
    let mut inside = None;
    while let Some((number, line)) = lines.next() {
        let line = trim_ending(line);
        if let Some(end) = inside {
            if ends(end, line) {
                inside = None;
            }
            continue;
        }
        let next = lines.peek().map(|(_, next)| *next).unwrap_or_default();
        if marks.seen.is_empty() && calls::opens(line) {
            return Err(Dialect::StrReplace);
        }
        if let Some(dialect) = mark(line, next) {
            if !may_be_mixed {
                return Err(dialect);
            }
            if has_end(dialect) {
                inside = Some(dialect);
            }
            if !marks.seen.iter().any(|(known, _)| *known == dialect) {
                marks.seen.push((dialect, number + 1));
            }
        } else if marks.json_at.is_none() && matches!(line.first(), Some(b'{' | b'[')) {
            marks.json_at = Some(offset_of(body, line));
        }
    }
    Ok(marks)
}

/// What is no patch: a batch where it is empty or can be nothing but JSON, or else refused with
/// what it comes nearest to.
fn unmarked(body: &[u8]) -> Result<Dialect, Refusal> {
    if matches!(body.trim_ascii_start().first(), None | Some(b'[' | b'"')) {
        return Ok(Dialect::Batch);
    }
    if let Some(damage) = super::unified::damage::find(body) {
        return Err(Refusal::new(Code::InvalidBatch, damage));
    }
    let why = near_format(body).unwrap_or("no known patch format found");
    Err(Refusal::new(Code::InvalidBatch, why).with_hint(Hint::Dialect))
}

/// The dialect of JSON at an offset; below the name of a tool it is a call.
fn json_below(body: &[u8], at: usize) -> Option<Dialect> {
    let dialect = json(&body[at..])?;
    let above = std::str::from_utf8(&body[..at]).unwrap_or_default();
    match dialect {
        Dialect::Files if calls::name_above(above).is_some() => Some(Dialect::StrReplace),
        dialect => Some(dialect),
    }
}

/// The format that a text is nearest to, and what it lacks.
fn near_format(body: &[u8]) -> Option<&'static str> {
    let lines: Vec<&[u8]> = split_lines(body).map(trim_ending).collect();
    let starts = |mark: &str| lines.iter().any(|line| line.starts_with(mark.as_bytes()));
    let is_fence = |line: &&[u8]| line.starts_with(b"```");
    let command = std::str::from_utf8(body).ok();
    if let Some(why) = command.and_then(codex::not_unquoted) {
        return Some(why);
    }
    if starts("data: {") || starts("data:{") {
        return Some(
            "this looks like a stream of events, in which a call comes in pieces; send the whole message that the stream brings",
        );
    }
    if starts("*** End Patch") || starts("*** Update File: ") || starts("*** Add File: ") {
        return Some(
            "this looks like an envelope without its first line; put \"*** Begin Patch\" above it",
        );
    }
    if starts("=======") && starts(">>>>>>>") {
        return Some(
            "this looks like a search/replace block without its first line; put \"<<<<<<< SEARCH\" above it",
        );
    }
    if starts("@@") {
        return Some(
            "this looks like hunks of a diff without the names of their file; put \"--- a/FILE\" and \"+++ b/FILE\" above them",
        );
    }
    let fenced = lines.iter().filter(|line| is_fence(line)).count();
    (fenced >= 2).then_some("this looks like a file or code in a fence, which does not say what becomes of it; send {\"path\": …, \"content\": …} for a whole file, or a search/replace block")
}

/// Whether a text may hold marks of more than one dialect; a short one may always, since a look
/// at its lines costs least.
fn may_be_mixed(body: &[u8]) -> bool {
    const LONG: usize = 64 << 10;
    let holds = |word: &[u8]| memchr::memmem::find(body, word).is_some();
    body.len() < LONG || holds(codex::BEGIN) || holds(super::marks::SEARCH)
}

/// The dialect that a line opens, given the line below it.
pub(super) fn mark(line: &[u8], next: &[u8]) -> Option<Dialect> {
    let trimmed = line.trim_ascii();
    if trimmed == codex::BEGIN {
        if hashline::is_in_envelope(next) {
            return Some(Dialect::Hashline);
        }
        return Some(Dialect::Codex);
    }
    if super::marks::is_search(line) {
        return Some(Dialect::SearchReplace);
    }
    let context = line.starts_with(b"*** ") && next.starts_with(b"--- ");
    if line.starts_with(b"diff --git ")
        || (line.starts_with(b"--- ") && next.starts_with(b"+++ "))
        || (line.starts_with(b"@@ -") && line[3..].windows(2).any(|pair| pair == b"@@"))
        || context
    {
        return Some(Dialect::UnifiedDiff);
    }
    hashline::opens(line, next).then_some(Dialect::Hashline)
}

/// Whether a patch of the dialect goes on up to a mark that ends it, whatever its lines look like.
pub(super) fn has_end(dialect: Dialect) -> bool {
    !matches!(dialect, Dialect::UnifiedDiff | Dialect::Hashline)
}

/// Whether a line ends what an opening mark of the dialect began.
pub(super) fn ends(dialect: Dialect, line: &[u8]) -> bool {
    match dialect {
        // An indented one may be a line of the file.
        Dialect::Codex => line.trim_ascii_end() == b"*** End Patch",
        _ => super::marks::is_replace(line),
    }
}

fn offset_of(body: &[u8], line: &[u8]) -> usize {
    line.as_ptr().addr() - body.as_ptr().addr()
}

/// The dialect of JSON, by the keys that stand near its start.
pub(super) fn json(body: &[u8]) -> Option<Dialect> {
    let body = body.trim_ascii_start();
    let first = *body.first()?;
    if first != b'{' && first != b'[' {
        return None;
    }
    // Only the keys of the first object matter, at whatever depth they stand.
    let keys = keys(body);
    let has = |key: &str| keys.iter().any(|known| known == key.as_bytes());
    let fields = std::cell::LazyCell::new(|| -> Vec<Field> {
        let names = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
        names.filter_map(calls::field).collect()
    });
    let means = |wanted: Field| fields.contains(&wanted);
    Some(if codex::may_be_called(body, has) {
        Dialect::Codex
    } else if first == b'{' && has("operations") && !(has("name") && has("arguments")) {
        Dialect::Batch
    } else if has("documentChanges")
        || (has("changes")
            && !means(Field::Old)
            && !means(Field::Path)
            && !has("item")
            && !has("payload"))
    {
        Dialect::WorkspaceEdit
    } else if has("oldText") || has("old_text") {
        Dialect::McpEdit
    } else if is_edit_call(has, means) || (means(Field::Patch) && is_hashline_call(body)) {
        Dialect::StrReplace
    } else if has("edits") {
        Dialect::McpEdit
    } else if has("content") && has("path") {
        Dialect::Files
    } else if let Some(arguments) = has("arguments").then(|| arguments(body)).flatten() {
        return json(arguments.as_bytes());
    } else if calls::MESSAGES.into_iter().any(has) {
        Dialect::StrReplace
    } else if first == b'{' {
        // What opens like a batch is told what is wrong with it as one.
        Dialect::Batch
    } else {
        return None;
    })
}

/// Whether JSON with these keys, which mean these fields, is a call of a tool that edits.
fn is_edit_call(has: impl Fn(&str) -> bool, means: impl Fn(Field) -> bool) -> bool {
    const NAMES: [&str; 5] = ["name", "tool", "tool_name", "toolName", "recipient_name"];
    // What a list of whole files cannot say.
    const TOLD: [Field; 7] = [
        Field::Range,
        Field::Append,
        Field::Overwrite,
        Field::OnlyNew,
        Field::IfExists,
        Field::Base,
        Field::Allow,
    ];
    const TOLD_BY_NAME: [&str; 7] = [
        "operation",
        "op",
        "input",
        "arguments",
        "args",
        "params",
        "parameters",
    ];
    let is_of_tool = || {
        NAMES.into_iter().any(&has)
            || TOLD.into_iter().any(&means)
            || TOLD_BY_NAME.into_iter().any(&has)
            || !has("path") && !has("file")
    };
    means(Field::Old)
        || (means(Field::Path) && means(Field::New))
        || means(Field::InsertLine)
        || means(Field::Sketch)
        || has("command")
        // Of a tool that writes whole files.
        || (means(Field::Path) && means(Field::Content) && !has("files") && is_of_tool())
        || (means(Field::Path) && ["diff", "patch", "mode"].into_iter().any(&has))
}

/// Whether JSON may hold sections of [`hashline`] as text.
fn is_hashline_call(body: &[u8]) -> bool {
    let holds = |word: &[u8]| memchr::memmem::find(body, word).is_some();
    holds(b"]\\n")
        && [
            &b"\\nSWAP "[..],
            b"\\nPUT ",
            b"\\nDEL ",
            b"\\nCUT ",
            b"\\nINS.",
            b"\\nREM",
            b"\\nMV ",
        ]
        .into_iter()
        .any(holds)
}

/// Whether an envelope is in a call, and not as it is.
pub(super) fn is_codex_call(bytes: &[u8]) -> bool {
    let opens = |line: &[u8]| matches!(line.trim_ascii_start().first(), Some(b'{' | b'['));
    calls::string(bytes).is_some() || (!codex::opens(bytes) && split_lines(bytes).any(opens))
}

/// The arguments of a call, where they are sent as text.
fn arguments(body: &[u8]) -> Option<String> {
    let mut values = serde_json::Deserializer::from_slice(body).into_iter::<serde_json::Value>();
    let call = values.next()?.ok()?;
    let call = call.get(0).unwrap_or(&call);
    let call = call.get("function").unwrap_or(call);
    call.get("arguments")?.as_str().map(String::from)
}

/// The first keys of a JSON text, each once, without parsing it.
pub(super) fn keys(body: &[u8]) -> Vec<Vec<u8>> {
    const ENOUGH: usize = 64;
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let mut seen = 0;
    let mut at = 0;
    while at < body.len() && seen < ENOUGH {
        if body[at] != b'"' {
            at += 1;
            continue;
        }
        let start = at + 1;
        let mut end = start;
        while end < body.len() && body[end] != b'"' {
            end += if body[end] == b'\\' { 2 } else { 1 };
        }
        let rest = body.get(end + 1..).unwrap_or_default();
        if rest.trim_ascii_start().starts_with(b":") {
            let key = &body[start..end.min(body.len())];
            if keys.iter().all(|known| known != key) {
                keys.push(key.to_vec());
            }
            seen += 1;
        }
        at = end + 1;
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_dialect_is_told_by_its_marks() {
        for (patch, dialect) in [
            ("{\"version\": 1, \"operations\": []}", Dialect::Batch),
            (
                "```diff\n--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n```\n",
                Dialect::UnifiedDiff,
            ),
            (
                "Sure!\ndiff --git a/x b/y\nrename from x\nrename to y\n",
                Dialect::UnifiedDiff,
            ),
            (
                "f.txt\n<<<<<<< SEARCH\n--- a\n+++ b\n=======\nx\n>>>>>>> REPLACE\n",
                Dialect::SearchReplace,
            ),
            (
                "------- SEARCH\nx\n=======\ny\n+++++++ REPLACE",
                Dialect::SearchReplace,
            ),
            (
                "{\"command\": \"create\", \"path\": \"x\", \"file_text\": \"\"}",
                Dialect::StrReplace,
            ),
            ("{\"path\": \"x\", \"edits\": []}", Dialect::McpEdit),
            (
                "{\"file_path\": \"x\", \"edits\": [{\"old_string\": \"a\", \"new_string\": \"b\"}]}",
                Dialect::StrReplace,
            ),
            (
                "{\"name\": \"Write\", \"input\": {\"file_path\": \"x\", \"content\": \"\"}}",
                Dialect::StrReplace,
            ),
            (
                "{\"function\": {\"arguments\": \"{\\\"path\\\": \\\"x\\\", \\\"edits\\\": []}\"}}",
                Dialect::McpEdit,
            ),
            ("{\"arguments\": \"{}\"}", Dialect::Batch),
            ("{\"changes\": {}}", Dialect::WorkspaceEdit),
            ("[{\"path\": \"x\", \"content\": \"\"}]", Dialect::Files),
            (
                "Here it is:\n```json\n[{\"path\": \"x\", \"content\": \"\"}]\n```\n",
                Dialect::Files,
            ),
        ] {
            assert_eq!(detect(patch.as_bytes()).unwrap(), dialect, "{patch}");
        }
    }

    #[test]
    fn a_long_text_is_read_like_a_short_one() {
        let diff = "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n".repeat(4000);
        assert_eq!(detect(diff.as_bytes()).unwrap(), Dialect::UnifiedDiff);
        let quoted = format!("{diff}+*** Begin Patch\n+<<<<<<< SEARCH\n");
        assert_eq!(detect(quoted.as_bytes()).unwrap(), Dialect::UnifiedDiff);
        for other in ["*** Begin Patch\n", "<<<<<<< SEARCH\n"] {
            let mixed = format!("{diff}{other}");
            let refusal = detect(mixed.as_bytes()).unwrap_err();
            assert!(refusal.message.contains("mixes"), "{other}");
        }
    }

    #[test]
    fn mixed_dialects_and_none_are_refused() {
        let mixed = "*** Begin Patch\n*** End Patch\n--- a\n+++ b\n@@ -1 +1 @@\n";
        assert!(
            detect(mixed.as_bytes())
                .unwrap_err()
                .message
                .contains("mixes")
        );
        assert_eq!(detect(b"").unwrap(), Dialect::Batch);
        assert!(detect(b"hello\n").is_err());
        assert_eq!(detect(b"{\"foo\": 1}").unwrap(), Dialect::Batch);
    }
}
