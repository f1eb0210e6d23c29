//! Who is let have the cases.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::cases::Case;

/// A way to apply a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Contestant {
    /// The program.
    Ours,
    /// `git apply`.
    Git,
    /// GNU `patch`.
    Patch,
    /// Replaces searched text that is in the file exactly once.
    ExactUnique,
    /// Replaces the first place where the searched lines are, white space around them aside.
    FirstMatch,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    Applied,
    Refused {
        /// The refusal's code, of ours.
        code: Option<String>,
        /// What the refusal shows.
        found: Option<String>,
    },
}

impl Contestant {
    pub(crate) const ALL: [Self; 5] = [
        Self::Ours,
        Self::Git,
        Self::Patch,
        Self::ExactUnique,
        Self::FirstMatch,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Git => "git apply",
            Self::Patch => "GNU patch",
            Self::ExactUnique => "exact, unique",
            Self::FirstMatch => "first match",
        }
    }

    /// Applies a patch to a tree; `None` where it cannot read the format, or is not installed.
    pub(crate) fn run(self, case: &Case, sent: &[u8], root: &Path, patch: &Path) -> Option<Ended> {
        let strip = format!("-p{}", case.strip);
        let is_diff = case.format == "unified-diff";
        match self {
            Self::Ours => Some(ours(case, root, patch)),
            Self::Git if is_diff => {
                plain(root, Command::new("git").args(["apply", &strip]).arg(patch))
            }
            Self::Patch if is_diff => plain(
                root,
                Command::new("patch")
                    .args(["--batch", "--no-backup-if-mismatch", "-r-", &strip, "-i"])
                    .arg(patch),
            ),
            Self::ExactUnique if case.format == "search-replace" => {
                Some(naive(sent, root, exact_unique))
            }
            Self::FirstMatch if case.format == "search-replace" => {
                Some(naive(sent, root, first_match))
            }
            _ => None,
        }
    }
}

fn output(root: &Path, command: &mut Command) -> Option<Output> {
    let command = command
        .current_dir(root)
        .env("GIT_CEILING_DIRECTORIES", root.parent()?)
        .stdin(Stdio::null());
    match command.output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("cannot run {command:?}: {error}"),
    }
}

fn plain(root: &Path, command: &mut Command) -> Option<Ended> {
    let refused = Ended::Refused {
        code: None,
        found: None,
    };
    let done = output(root, command)?.status.success();
    Some(if done { Ended::Applied } else { refused })
}

fn ours(case: &Case, root: &Path, patch: &Path) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchctl"));
    command.args([
        "apply",
        "--no-diff",
        "--output",
        "json",
        "--dialect",
        &case.format,
    ]);
    if case.format == "unified-diff" {
        command.args(["--strip", &case.strip.to_string()]);
    }
    command.arg("--root").arg(root).arg(patch);
    let output = output(root, &mut command).expect("the program is built");
    if output.status.success() {
        return Ended::Applied;
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let operations = report["operations"].as_array();
    let refusal = operations
        .into_iter()
        .flatten()
        .map(|operation| &operation["refusal"])
        .find(|refusal| refusal.is_object())
        .unwrap_or(&report["refusal"]);
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    Ended::Refused {
        code: text(&refusal["code"]),
        found: text(&refusal["found"]),
    }
}

/// What makes a new text of a text, the searched lines and those that replace them.
type Method = fn(&str, &str, &str) -> Option<String>;

/// Applies blocks by a method, all or nothing.
fn naive(sent: &[u8], root: &Path, method: Method) -> Ended {
    let applied = || -> Option<()> {
        let mut changed = Vec::new();
        for (file, search, replace) in blocks(std::str::from_utf8(sent).ok()?)? {
            let path = root.join(file);
            let known = changed.iter().rposition(|(other, _)| *other == path);
            let text = match known {
                Some(at) => changed.remove(at).1,
                None => fs::read_to_string(&path).ok()?,
            };
            changed.push((path, method(&text, &search, &replace)?));
        }
        for (path, text) in changed {
            fs::write(path, text).expect("the file is written");
        }
        Some(())
    };
    match applied() {
        Some(()) => Ended::Applied,
        None => Ended::Refused {
            code: None,
            found: None,
        },
    }
}

/// File, searched and replacing lines of each block.
fn blocks(patch: &str) -> Option<Vec<(&str, String, String)>> {
    let mut found = Vec::new();
    let mut file = "";
    let mut lines = patch.lines();
    while let Some(line) = lines.next() {
        if line == "<<<<<<< SEARCH" {
            let mut half = |end: &str| {
                let mut text = String::new();
                for line in lines.by_ref() {
                    if line == end {
                        return Some(text);
                    }
                    text.push_str(line);
                    text.push('\n');
                }
                None
            };
            let (search, replace) = (half("=======")?, half(">>>>>>> REPLACE")?);
            found.push((file, search, replace));
        } else if !line.is_empty() && !line.starts_with("```") && !line.starts_with('<') {
            file = line;
        }
    }
    (!found.is_empty()).then_some(found)
}

fn exact_unique(text: &str, search: &str, replace: &str) -> Option<String> {
    let once = text.matches(search).count() == 1;
    once.then(|| text.replacen(search, replace, 1))
}

fn first_match(text: &str, search: &str, replace: &str) -> Option<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let wanted: Vec<&str> = search.lines().map(str::trim).collect();
    let at = lines.windows(wanted.len().max(1)).position(|lines| {
        lines
            .iter()
            .map(|line| line.trim())
            .eq(wanted.iter().copied())
    })?;
    let behind = &lines[at + wanted.len()..];
    Some([&lines[..at].concat(), replace, &behind.concat()].concat())
}
