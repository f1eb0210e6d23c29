//! Cases: a tree before, a patch, and what has to come of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files by path.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// What has to come of a patch.
#[derive(Debug, Clone)]
pub(crate) enum Expected {
    /// Nothing: it must be refused.
    Refused,
    /// This tree.
    Tree(Files),
    /// Files with these blob names, as far as they are given.
    Blobs(Vec<(PathBuf, String)>),
}

impl Expected {
    /// Whether a tree is what has to come out.
    pub(crate) fn is(&self, after: &Files) -> bool {
        match self {
            Self::Refused => false,
            Self::Tree(files) => files == after,
            Self::Blobs(blobs) => blobs.iter().all(|(path, blob)| {
                let name = after.get(path).and_then(|bytes| blob_name(bytes));
                name.is_some_and(|name| name.starts_with(blob))
            }),
        }
    }
}

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) source: String,
    pub(crate) name: String,
    /// The dialect.
    pub(crate) format: String,
    pub(crate) strip: u64,
    pub(crate) before: Files,
    pub(crate) patch: Vec<u8>,
    pub(crate) expected: Expected,
    /// A line of both halves that is not as the file has it: what a refusal shows instead is sent
    /// in a second try.
    pub(crate) misquoted: Option<String>,
}

/// The cases of a folder of sources.
pub(crate) fn read(folder: &Path) -> Vec<Case> {
    let mut found = Vec::new();
    for source in directories(folder) {
        for case in directories(&source) {
            if let Some(case) = read_case(&source, &case) {
                found.push(case);
            }
        }
    }
    found
}

fn read_case(source: &Path, folder: &Path) -> Option<Case> {
    let json = fs::read(folder.join("case.json")).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("case.json is JSON");
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    let patch = fs::read(folder.join("patch")).expect("a case has a patch");
    let after = folder.join("after");
    let expected = if json["expect"] != "ok" {
        Expected::Refused
    } else if after.is_dir() {
        Expected::Tree(tree(&after))
    } else {
        Expected::Blobs(blobs(&patch))
    };
    Some(Case {
        source: name(source)?,
        name: name(folder)?,
        format: json["format"].as_str().unwrap_or("unified-diff").to_owned(),
        strip: json["flags"]["strip"].as_u64().unwrap_or(0),
        before: tree(&folder.join("before")),
        patch,
        expected,
        misquoted: json["misquoted"].as_str().map(str::to_owned),
    })
}

fn directories(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

/// The files below a directory, without the program's state.
pub(crate) fn tree(root: &Path) -> Files {
    let mut files = Files::new();
    let walk = walkdir::WalkDir::new(root).into_iter();
    let walk = walk.filter_entry(|entry| entry.file_name() != ".mission_control");
    for entry in walk.filter_map(Result::ok) {
        if entry.file_type().is_file() {
            let path = entry
                .path()
                .strip_prefix(root)
                .expect("it is below the root");
            files.insert(
                path.to_owned(),
                fs::read(entry.path()).expect("it can be read"),
            );
        }
    }
    files
}

/// Writes files, and nothing else, below a directory.
pub(crate) fn lay_out(files: &Files, root: &Path) {
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(root).expect("the directory is made");
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a directory"))
            .expect("the directory is made");
        fs::write(path, bytes).expect("the file is written");
    }
}

/// The blobs that the `index` lines of a diff name, by the path that stands above each.
fn blobs(patch: &[u8]) -> Vec<(PathBuf, String)> {
    let patch = String::from_utf8_lossy(patch);
    let mut path = None;
    let mut found = Vec::new();
    for line in patch.lines() {
        if let Some(names) = line.strip_prefix("diff --git a/") {
            path = names.split_once(" b/").map(|(_, name)| PathBuf::from(name));
        } else if let Some(names) = line.strip_prefix("index ")
            && let Some((_, new)) = names.split_once("..")
            && let Some(path) = path.take()
        {
            let new = new.split(' ').next().unwrap_or_default();
            found.push((path, new.to_owned()));
        }
    }
    found
}

/// The name that git gives to bytes; `None` without git.
fn blob_name(bytes: &[u8]) -> Option<String> {
    let mut git = Command::new("git")
        .args(["hash-object", "--no-filters", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    git.stdin.take()?.write_all(bytes).ok()?;
    let output = git.wait_with_output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
