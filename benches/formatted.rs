//! Batches for files that a formatter laid out anew since they were read: does an edit of lines land
//! on the same code?
//!
//! The formatter is the judge. The edit renames a word in one to three lines of the file as it was.
//! What the formatter makes of the file edited that way, and what it makes of the result, must be the
//! same; where it keeps a layout that it would not choose, the same but for white space, `,`, `;`
//! and parentheses.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use patchcore::batch::{self, Limits};
use patchcore::plan::{Entry, Source, plan};
use patchcore::{Digest, Policy, RelPath, Tree};
use serde_json::json;

use super::trial::Random;

/// Edits of each file.
const EDITS: usize = 10;

/// A formatter that reads standard input.
struct Formatter {
    extension: &'static str,
    command: &'static [&'static str],
}

const FORMATTERS: [Formatter; 4] = [
    Formatter {
        extension: "rs",
        command: &["rustfmt", "--edition", "2024", "--config", "max_width=80"],
    },
    Formatter {
        extension: "py",
        command: &["black", "-q", "-C", "-l", "70", "-"],
    },
    Formatter {
        extension: "py",
        command: &["ruff", "format", "-q", "--line-length", "70", "-"],
    },
    Formatter {
        extension: "js",
        command: &[
            "prettier",
            "--stdin-filepath",
            "f.js",
            "--print-width",
            "70",
        ],
    },
];

impl Formatter {
    /// `None` where it does not take the text.
    fn format(&self, text: &str) -> Option<String> {
        let mut child = Command::new(self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut stdin = child.stdin.take()?;
        let text = text.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output().ok()?;
        writer.join().ok()?.ok()?;
        let formatted = String::from_utf8(output.stdout).ok()?;
        output.status.success().then_some(formatted)
    }
}

/// What came of the edits of one kind of target.
#[derive(Default)]
struct Tally {
    right: usize,
    same_tokens: usize,
    refused: usize,
    wrong: usize,
}

/// Runs so many edits with each formatter that there is, on the files of a folder.
pub(crate) fn run(folder: &Path, count: usize) {
    for formatter in &FORMATTERS {
        let name = formatter.command[0];
        if formatter.format("").is_none() {
            println!("{name}: not found");
            continue;
        }
        let mut random = Random(18);
        let mut files = files(folder, formatter.extension);
        let mut whole = Tally::default();
        let mut parts = Tally::default();
        let mut done = 0;
        while done < count && !files.is_empty() {
            let file = files.swap_remove(random.below(files.len()));
            done += edit(formatter, &file, &mut random, &mut whole, &mut parts);
        }
        for (kind, tally) in [("whole lines", whole), ("parts of lines", parts)] {
            println!(
                "{name}, {kind}: {} right, {} with the same tokens, {} refused, {} wrong",
                tally.right, tally.same_tokens, tally.refused, tally.wrong
            );
        }
    }
}

/// Edits a file that the formatter changes; how often.
fn edit(
    formatter: &Formatter,
    file: &Path,
    random: &mut Random,
    whole: &mut Tally,
    parts: &mut Tally,
) -> usize {
    let Ok(base) = std::fs::read_to_string(file) else {
        return 0;
    };
    let current = formatter.format(&base);
    let Some(current) = current.filter(|it| *it != base && solid(it) == solid(&base)) else {
        return 0;
    };
    let lines: Vec<&str> = base.split_inclusive('\n').collect();
    let mut done = 0;
    for _ in 0..EDITS {
        let length = 1 + random.below(3);
        let start = random.below(lines.len().saturating_sub(length));
        let old = lines[start..start + length].concat();
        let words: Vec<&str> = old
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| word.len() > 3 && word.starts_with(|c: char| c.is_ascii_alphabetic()))
            .collect();
        if words.is_empty() {
            continue;
        }
        let word = words[random.below(words.len())];
        let new = old.replacen(word, &format!("zz{word}"), 1);
        let edited = lines[..start].concat() + &new + &lines[start + length..].concat();
        // A keyword that was renamed is no edit of code.
        let Some(expected) = formatter.format(&edited) else {
            continue;
        };
        done += 1;
        let before = solid(&lines[..start].concat()).len();
        let tally = match is_whole(&current, before..before + solid(&old).len()) {
            true => &mut *whole,
            false => &mut *parts,
        };
        let Some(result) = rebased(
            formatter,
            &base,
            &current,
            [start + 1, start + length],
            &new,
        ) else {
            tally.refused += 1;
            continue;
        };
        match formatter.format(&result) {
            Some(formatted) if formatted == expected => tally.right += 1,
            Some(formatted) if solid(&formatted) == solid(&expected) => tally.same_tokens += 1,
            _ => tally.wrong += 1,
        }
    }
    done
}

/// What the engine makes of the edit.
fn rebased(
    formatter: &Formatter,
    base: &str,
    current: &str,
    lines: [usize; 2],
    content: &str,
) -> Option<String> {
    let path = RelPath::new(format!("f.{}", formatter.extension)).ok()?;
    let source = |text: &str| Arc::new(Source::new(text.into(), false));
    let mut tree = Tree::new();
    tree.insert(path.clone(), Entry::File(source(current)));
    tree.add_base(path.clone(), source(base));
    let batch = json!({ "operations": [{
        "op": "replace-block", "file": path.to_string(), "at": { "lines": lines },
        "content": content, "base": Digest::of(base.as_bytes()).to_string(),
    }]});
    let batch = batch::parse(batch.to_string().as_bytes(), &Limits::default()).ok()?;
    let mut policy = Policy::default();
    policy.rebase = true;
    policy.allow_omission = true;
    let plan = plan(&batch, &tree, &policy);
    let bytes = plan.changes.first()?.chunks().flatten().copied().collect();
    String::from_utf8(bytes).ok()
}

/// What a formatter keeps of a text.
fn solid(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace() && !",;()".contains(*c))
        .map(|c| if c == '\'' { '"' } else { c })
        .collect()
}

/// Whether a part of what a formatter keeps is on lines of its own.
fn is_whole(text: &str, part: std::ops::Range<usize>) -> bool {
    let mut at = 0;
    let (mut starts, mut ends) = (false, false);
    for line in text.lines() {
        let length = solid(line).len();
        starts |= length > 0 && at == part.start;
        at += length;
        ends |= length > 0 && at == part.end;
    }
    starts && ends && !part.is_empty()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| {
            let size = entry.metadata().map_or(0, |metadata| metadata.len());
            (3_000..60_000).contains(&size)
        })
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .collect();
    files.sort();
    files
}
