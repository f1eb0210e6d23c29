//! Diffs that git itself makes, of trees with everything in them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use patchcore::dialect::{Dialect, Options};

use super::{Files, applied, read_tree, shown};
use crate::random::Random;

fn git(root: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "core.autocrlf=false",
        ])
        .args(arguments)
        .current_dir(root)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

impl Random {
    fn text(&mut self, lines: u64) -> Vec<u8> {
        let mut text = Vec::new();
        for line in 0..lines {
            let ending = if self.0.is_multiple_of(7) {
                "\r\n"
            } else {
                "\n"
            };
            text.extend_from_slice(format!("line {line} {}{ending}", self.below(5)).as_bytes());
        }
        if self.below(3) == 0 {
            text.pop();
        }
        text
    }

    fn edit(&mut self, text: &[u8]) -> Vec<u8> {
        let mut new = Vec::new();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            match self.below(12) {
                0 => {}
                1 => new.extend_from_slice(b"changed\n"),
                2 => {
                    new.extend_from_slice(line);
                    if !line.ends_with(b"\n") {
                        new.push(b'\n');
                    }
                    new.extend_from_slice(b"new\n");
                }
                _ => new.extend_from_slice(line),
            }
        }
        new
    }
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

#[test]
fn what_git_diffs_comes_out_as_git_has_it_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut random = Random(20_260);
    git(root, &["init", "-q"]);
    for index in 0..40 {
        let lines = 5 + random.below(60);
        let text = random.text(lines);
        write(root, &format!("dir {}/f{index}.txt", index % 3), &text);
    }
    write(root, "tab\tand \"quote\"/\u{e9}.txt", b"a\nb\nc\n");
    let bytes: Vec<u8> = (0..3000).map(|_| random.below(256) as u8).collect();
    write(root, "binary", &bytes);
    write(root, "gone", b"\0binary");
    write(root, "empty", b"");
    git(root, &["add", "-A"]);
    git(root, &["commit", "-qm", "before"]);
    let before = files(root);
    for index in 0..40u64 {
        let name = format!("dir {}/f{index}.txt", index % 3);
        let old = fs::read(root.join(&name)).unwrap();
        let new = random.edit(&old);
        match index % 8 {
            0 => {
                fs::remove_file(root.join(&name)).unwrap();
                if random.below(2) == 0 {
                    write(root, &format!("moved/{index}"), &old);
                }
            }
            1 => write(root, &format!("copy {index}"), &old),
            2 => {
                write(root, &name, &new);
                fs::set_permissions(root.join(&name), fs::Permissions::from_mode(0o755)).unwrap();
            }
            _ => write(root, &name, &new),
        }
    }
    write(root, "tab\tand \"quote\"/\u{e9}.txt", b"a\nB\nc\n");
    let mut changed = bytes.clone();
    changed.splice(100..110, *b"\0\0\0");
    write(root, "binary", &changed);
    write(root, "new binary", &bytes[..200]);
    fs::remove_file(root.join("gone")).unwrap();
    fs::remove_file(root.join("empty")).unwrap();
    write(root, "also empty", b"");
    git(root, &["add", "-A"]);
    let after = files(root);
    for arguments in [
        &[
            "diff",
            "--cached",
            "--binary",
            "--full-index",
            "-M",
            "-C",
            "--find-copies-harder",
        ][..],
        &["diff", "--cached", "--binary", "--no-renames", "-U1"][..],
        &[
            "diff",
            "--cached",
            "--binary",
            "--no-prefix",
            "--no-renames",
        ][..],
        &["diff", "--cached", "--binary", "--minimal", "-M", "-U0"][..],
    ] {
        let diff = git(root, arguments);
        let mut options = Options::default();
        options.dialect = Some(Dialect::UnifiedDiff);
        options.strict = true;
        options.unidiff_zero = arguments.contains(&"-U0");
        let there = applied(&diff, &before, &options)
            .unwrap_or_else(|refusal| panic!("{arguments:?}: {refusal}"));
        assert_same(&there, &after, arguments);
        // Git has no opposite of a copy.
        if !arguments.contains(&"-C") {
            options.reverse = true;
            let back = applied(&diff, &after, &options)
                .unwrap_or_else(|refusal| panic!("{arguments:?}: {refusal}"));
            assert_same(&back, &before, arguments);
        }
    }
}

fn assert_same(got: &Files, want: &Files, arguments: &[&str]) {
    let differs = |path: &&Vec<u8>| got.get(*path) != want.get(*path);
    if let Some(path) = got.keys().chain(want.keys()).find(differs) {
        let only = |files: &Files| {
            shown(
                &files
                    .get(path)
                    .map(|file| (path.clone(), file.clone()))
                    .into_iter()
                    .collect(),
            )
        };
        panic!("{arguments:?}: got {}, want {}", only(got), only(want));
    }
}

fn files(root: &Path) -> Files {
    let mut files = read_tree(root);
    files.retain(|path, _| !path.starts_with(b".git/"));
    files
}
