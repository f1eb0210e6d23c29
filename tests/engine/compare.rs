//! Trees compared on disk.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use patchcore::Code;
use patchcore::diff::DiffOptions;
use patchcore::workspace::Comparison;

use crate::diff::{Files, GIT, run, write};

fn files(entries: &[(&str, &str, bool)]) -> Files {
    let file = |(name, text, executable): &(&str, &str, bool)| {
        ((*name).into(), ((*text).into(), *executable))
    };
    entries.iter().map(file).collect()
}

fn compare(old: &Path, new: &Path) -> Vec<u8> {
    let comparison = Comparison::new(old, new, DiffOptions::default()).unwrap();
    comparison.map(Result::unwrap).collect::<Vec<_>>().concat()
}

#[test]
fn the_diff_of_two_trees_turns_one_into_the_other() {
    let before = files(&[
        ("same/a", "a\n", false),
        ("a.txt", "one\ntwo\n", false),
        ("a/gone", "x\n", true),
        ("is/a/dir", "x\n", false),
        ("run.sh", "#!/bin/sh\n", false),
        ("empty", "", false),
    ]);
    let after = files(&[
        ("same/a", "a\n", false),
        ("a.txt", "one\n2\n", false),
        ("a/come", "x\n", true),
        ("run.sh", "#!/bin/sh\n", true),
        ("z", "", false),
        (".hidden/z", "\u{feff}z\r\n", false),
    ]);
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    write(&old, &before);
    write(&new, &after);
    for left_out in [".git/config", ".mission_control/tasks.json"] {
        write(&new, &files(&[(left_out, "x\n", false)]));
    }
    let _socket = UnixListener::bind(new.join("socket")).unwrap();
    let comparison = Comparison::new(&old, &new, DiffOptions::default()).unwrap();
    assert_eq!(comparison.skipped(), [new.join("socket")]);
    let diff = compare(&old, &new);
    assert_eq!(run(&GIT, &before, &diff), after);
    assert_eq!(run(&GIT, &after, &compare(&new, &old)), before);
    assert_eq!(compare(&old, &old), b"");
    let names: Vec<String> = String::from_utf8_lossy(&diff)
        .lines()
        .filter_map(|line| line.strip_prefix("diff --git a/"))
        .map(|line| line.split(" b/").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            ".hidden/z",
            "a.txt",
            "a/come",
            "a/gone",
            "empty",
            "is/a/dir",
            "run.sh",
            "z"
        ]
    );
}

#[test]
fn two_files_bear_the_name_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    fs::write(&old, "a\n").unwrap();
    fs::write(&new, "b\n").unwrap();
    let name = old.strip_prefix("/").unwrap().display().to_string();
    let expected =
        format!("diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-a\n+b\n");
    assert_eq!(String::from_utf8(compare(&old, &new)).unwrap(), expected);
    let created = compare(Path::new("/dev/null"), &new);
    assert!(
        String::from_utf8(created)
            .unwrap()
            .contains("new file mode 100644\n--- /dev/null\n")
    );
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "a\n").unwrap();
    let code = |old: &Path, new: &Path| {
        Comparison::new(old, new, DiffOptions::default())
            .map(|_| ())
            .unwrap_err()
            .code()
    };
    assert_eq!(code(dir.path(), &file), Code::NotAFile);
    assert_eq!(code(&file, &dir.path().join("none")), Code::Io);
}
