//! How a change is said in each format.

use serde_json::{Value, json};

use super::model::{self, Change, Files, LINES};

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Native,
    Sequential,
    /// With the whole file as context.
    Diff,
    Codex,
    Blocks,
    StrReplace,
    Mcp,
    Lsp,
    Files,
}

pub(crate) const ENTRIES: [Entry; 9] = [
    Entry::Native,
    Entry::Sequential,
    Entry::Diff,
    Entry::Codex,
    Entry::Blocks,
    Entry::StrReplace,
    Entry::Mcp,
    Entry::Lsp,
    Entry::Files,
];

impl Entry {
    pub(crate) fn is_diff(self) -> bool {
        self == Self::Diff
    }
}

/// The input that says a change; `None` where the format has no words for it.
pub(crate) fn said(entry: Entry, change: &Change, files: &Files) -> Option<Vec<u8>> {
    match entry {
        Entry::Native => native(change, "original"),
        Entry::Sequential => native(change, "sequential"),
        Entry::Diff => diff(change, files),
        Entry::Codex => codex(change),
        Entry::Blocks => blocks(change),
        Entry::StrReplace => str_replace(change),
        Entry::Mcp => mcp(change),
        Entry::Lsp => lsp(change, files),
        Entry::Files => match change {
            Change::Write(name, text) => Some(bytes(&json!([{"path": name, "content": text}]))),
            Change::OfLink => Some(bytes(&json!([{"path": "link", "content": "x\n"}]))),
            _ => None,
        },
    }
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn native(change: &Change, coordinates: &str) -> Option<Vec<u8>> {
    let operation = match change {
        Change::Replace(line, new) => {
            json!({"op": "replace-block", "file": "f", "at": {"text": line}, "content": new.join("\n")})
        }
        Change::Insert(line, new) => {
            json!({"op": "insert-after", "file": "f", "at": {"text": line}, "content": new.join("\n")})
        }
        Change::Write(..) => return None,
        Change::Create(name, text) => {
            json!({"op": "create-file", "file": name, "content": text})
        }
        Change::Delete(name) => json!({"op": "delete-file", "file": name}),
        Change::Rename(from, to) => json!({"op": "rename-file", "file": from, "to": to}),
        Change::Copy(from, to) => json!({"op": "copy-file", "file": from, "to": to}),
        Change::Mode(name, executable) => {
            json!({"op": "set-mode", "file": name, "executable": executable})
        }
        Change::OfLink => json!({"op": "append", "file": "link", "content": "x"}),
    };
    Some(bytes(
        &json!({"coordinates": coordinates, "operations": [operation]}),
    ))
}

/// A hunk that shows all of a file before and after.
fn hunk(old: &[u8], new: &[u8]) -> Vec<u8> {
    let (before, after) = (model::lines(old), model::lines(new));
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(a, b)| a == b)
        .count();
    let below = before[same..]
        .iter()
        .rev()
        .zip(after[same..].iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let start = |lines: &[&[u8]]| usize::from(!lines.is_empty());
    let mut out = format!(
        "@@ -{},{} +{},{} @@\n",
        start(&before),
        before.len(),
        start(&after),
        after.len()
    )
    .into_bytes();
    let mut put = |mark: u8, line: &[u8]| {
        out.push(mark);
        out.extend_from_slice(line);
        if !line.ends_with(b"\n") {
            out.extend_from_slice(b"\n\\ No newline at end of file\n");
        }
    };
    before[..same].iter().for_each(|line| put(b' ', line));
    let removed = &before[same..before.len() - below];
    removed.iter().for_each(|line| put(b'-', line));
    let added = &after[same..after.len() - below];
    added.iter().for_each(|line| put(b'+', line));
    let kept = &before[before.len() - below..];
    kept.iter().for_each(|line| put(b' ', line));
    out
}

fn diff(change: &Change, files: &Files) -> Option<Vec<u8>> {
    let bytes_of = |name: &str| files.get(name).map(|(bytes, _)| &bytes[..]);
    let mode = |name: &str| match files.get(name) {
        Some((_, true)) => "100755",
        _ => "100644",
    };
    Some(match change {
        Change::Replace(line, new) | Change::Insert(line, new) => {
            let old = bytes_of("f")?;
            let keep = matches!(change, Change::Insert(..));
            let new = model::edited(old, model::index(old, line), keep, new);
            let mut out = b"diff --git a/f b/f\n--- a/f\n+++ b/f\n".to_vec();
            out.extend(hunk(old, new.first()?));
            out
        }
        Change::Write(..) => return None,
        Change::Create(name, text) => {
            let mut out = format!(
                "diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n"
            )
            .into_bytes();
            out.extend(hunk(b"", text.as_bytes()));
            out
        }
        Change::Delete(name) => {
            let old = bytes_of(name).unwrap_or(b"gone\n");
            let mode = mode(name);
            let mut out = format!(
                "diff --git a/{name} b/{name}\ndeleted file mode {mode}\n--- a/{name}\n+++ /dev/null\n"
            )
            .into_bytes();
            out.extend(hunk(old, b""));
            out
        }
        Change::Rename(from, to) if from != to => format!(
            "diff --git a/{from} b/{to}\nsimilarity index 100%\nrename from {from}\nrename to {to}\n"
        )
        .into_bytes(),
        Change::Copy(from, to) if from != to => format!(
            "diff --git a/{from} b/{to}\nsimilarity index 100%\ncopy from {from}\ncopy to {to}\n"
        )
        .into_bytes(),
        Change::Mode(name, true) if mode(name) == "100644" => {
            format!("diff --git a/{name} b/{name}\nold mode 100644\nnew mode 100755\n").into_bytes()
        }
        Change::OfLink => b"--- a/link\n+++ b/link\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n".to_vec(),
        _ => return None,
    })
}

fn codex(change: &Change) -> Option<Vec<u8>> {
    let body = match change {
        Change::Replace(line, new) => {
            let new: String = new.iter().map(|new| format!("+{new}\n")).collect();
            format!("*** Update File: f\n@@\n-{line}\n{new}")
        }
        Change::Insert(line, new) => {
            let new: String = new.iter().map(|new| format!("+{new}\n")).collect();
            format!("*** Update File: f\n@@\n {line}\n{new}")
        }
        Change::Write(name, text) if !text.contains('\r') => {
            let text: String = text.lines().map(|line| format!("+{line}\n")).collect();
            format!("*** Add File: {name}\n{text}")
        }
        Change::Delete(name) => format!("*** Delete File: {name}\n"),
        Change::OfLink => "*** Update File: link\n@@\n-two\n+TWO\n".to_owned(),
        _ => return None,
    };
    Some(format!("*** Begin Patch\n{body}*** End Patch\n").into_bytes())
}

/// The line below one of [`LINES`], as context.
fn below(line: &str) -> Option<&'static str> {
    let index = LINES.iter().position(|known| *known == line)?;
    LINES.get(index + 1).copied()
}

fn blocks(change: &Change) -> Option<Vec<u8>> {
    let (file, search, replace) = match change {
        Change::Replace(line, new) => {
            let below = below(line)?;
            ("f", vec![*line, below], [*new, &[below][..]].concat())
        }
        Change::Insert(line, new) => ("f", vec![*line], [&[*line][..], new].concat()),
        Change::OfLink => ("link", vec!["two"], vec!["TWO"]),
        _ => return None,
    };
    let text = |lines: &[&str]| {
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let (search, replace) = (text(&search), text(&replace));
    Some(
        format!("{file}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n").into_bytes(),
    )
}

/// Text to find and to put there, which is one line and more.
fn found_and_new(change: &Change) -> Option<(&'static str, String, String)> {
    Some(match change {
        Change::Replace(line, new) if !new.is_empty() => ("f", (*line).to_owned(), new.join("\n")),
        Change::Insert(line, new) => (
            "f",
            (*line).to_owned(),
            format!("{line}\n{}", new.join("\n")),
        ),
        Change::OfLink => ("link", "two".to_owned(), "TWO".to_owned()),
        _ => return None,
    })
}

fn str_replace(change: &Change) -> Option<Vec<u8>> {
    if let Change::Write(name, text) = change {
        return Some(bytes(&json!({"file_path": name, "content": text})));
    }
    let (file, old, new) = found_and_new(change)?;
    Some(bytes(
        &json!({"command": "str_replace", "path": file, "old_str": old, "new_str": new}),
    ))
}

fn mcp(change: &Change) -> Option<Vec<u8>> {
    let (file, old, new) = found_and_new(change)?;
    Some(bytes(
        &json!({"path": file, "edits": [{"oldText": old, "newText": new}]}),
    ))
}

fn lsp(change: &Change, files: &Files) -> Option<Vec<u8>> {
    let resource = |value: Value| Some(bytes(&json!({"documentChanges": [value]})));
    match change {
        Change::Replace(line, new) if !new.is_empty() => {
            let at = model::index(&files["f"].0, line);
            let range = json!({
                "start": {"line": at, "character": 0},
                "end": {"line": at, "character": line.len()}
            });
            let edits = json!([{"range": range, "newText": new.join("\n")}]);
            Some(bytes(&json!({"changes": {"f": edits}})))
        }
        Change::Create(name, "") => resource(json!({"kind": "create", "uri": name})),
        Change::Delete(name) => resource(json!({"kind": "delete", "uri": name})),
        Change::Rename(from, to) => {
            resource(json!({"kind": "rename", "oldUri": from, "newUri": to}))
        }
        _ => None,
    }
}
