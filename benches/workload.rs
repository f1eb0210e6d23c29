//! Generated work: texts that look like source, and batches of edits spread over them.

use std::fmt::Write as _;

use patchcore::plan::Entry;
use patchcore::{Digest, RelPath, Tree};
use serde_json::{Value, json};

/// A file that a batch edits.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Files, and a batch of edits over them.
pub(crate) struct Workload {
    pub(crate) files: Vec<File>,
    /// The batch in its wire form.
    pub(crate) batch: String,
}

impl Workload {
    /// `edits` one-line replacements spread evenly over each of `files` files of `lines` lines.
    pub(crate) fn new(files: usize, lines: usize, edits: usize) -> Self {
        let files: Vec<File> = (0..files)
            .map(|index| File {
                path: format!("src/{}/module_{index}.ts", index % 20),
                text: text(lines, index),
            })
            .collect();
        let mut base = serde_json::Map::new();
        let mut operations = Vec::new();
        for file in &files {
            let digest = Digest::of(file.text.as_bytes()).to_string();
            base.insert(file.path.clone(), Value::String(digest));
            let all: Vec<&str> = file.text.lines().collect();
            for edit in 0..edits {
                let index = edit * lines / edits + lines / edits / 2;
                operations.push(json!({
                    "op": "replace-block",
                    "file": file.path,
                    "at": { "line": index + 1 },
                    "expect": all[index],
                    "content": format!("{} // edit {edit}", all[index]),
                }));
            }
        }
        let batch = json!({ "version": 1, "base": base, "operations": operations });
        Self {
            files,
            batch: batch.to_string(),
        }
    }

    /// The files in memory.
    pub(crate) fn tree(&self) -> Tree {
        let entry = |file: &File| {
            let path = RelPath::new(&file.path).expect("generated paths are sound");
            let source = patchcore::plan::Source::new(file.text.clone().into_bytes(), false);
            (path, Entry::File(source.into()))
        };
        self.files.iter().map(entry).collect()
    }

    /// Bytes in all files.
    pub(crate) fn bytes(&self) -> usize {
        self.files.iter().map(|file| file.text.len()).sum()
    }
}

/// A text of so many lines, about 32 bytes each; nearly half of them stand in it more than once.
pub(crate) fn text(lines: usize, seed: usize) -> String {
    let mut text = String::with_capacity(lines * 36);
    for line in 0..lines {
        let _ = match line % 8 {
            0 => writeln!(text, "export function step{line}(input: Input): Output {{"),
            1 => writeln!(text, "  const value = input.values[{}];", line % 97),
            2 | 5 => writeln!(text, "  if (value === undefined) {{"),
            3 => writeln!(text, "    throw new Error(\"no value {line} of {seed}\");"),
            4 | 6 => writeln!(text, "  }}"),
            _ => writeln!(text, "}}"),
        };
    }
    text
}
