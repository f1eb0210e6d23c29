//! What was read, and the bytes of what edits were made for.

use std::fs;
use std::path::Path;
use std::time::Duration;

use patchcore::plan::Part;
use patchcore::workspace::{BaseName, ReadFiles, Retention, Workspace};
use patchcore::{Code, Digest};

use crate::workspace::{append, apply_new, batch, create, path, rename, tree};

const WAIT: Duration = Duration::from_secs(5);

fn read(root: &Path, file: &str, agent: &str) -> ReadFiles {
    let workspace = Workspace::open(root).unwrap();
    let wanted = vec![(path(file), Part::Whole)];
    workspace.read(wanted, agent, WAIT).unwrap()
}

fn base(root: &Path, file: &str, name: &BaseName) -> Option<Vec<u8>> {
    let workspace = Workspace::open(root).unwrap();
    let base = workspace.base(&path(file), name).unwrap();
    base.map(|base| {
        assert_eq!(Digest::of(&base.bytes), base.digest);
        base.bytes
    })
}

/// By each kind of name that the bytes have.
fn bases(root: &Path, file: &str, bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
    let digest = Digest::of(bytes);
    let git = patchcore::diff::BlobName::of(bytes);
    let short: patchcore::diff::BlobName = git.to_string()[..7].parse().unwrap();
    let names = [
        BaseName::Content(digest),
        BaseName::Tag((&digest).into()),
        BaseName::Blob(git),
        BaseName::Blob(short),
    ];
    names.iter().map(|name| base(root, file, name)).collect()
}

#[test]
fn what_was_read_is_found_when_the_file_has_moved_on() {
    let dir = tree(&[("a.txt", "one\n"), ("b.txt", "other\n")]);
    let shown = read(dir.path(), "a.txt", "codex");
    assert_eq!(shown.warnings, [] as [&str; 0]);
    fs::write(dir.path().join("a.txt"), "two\n").unwrap();
    let found = Some(b"one\n".to_vec());
    assert_eq!(bases(dir.path(), "a.txt", b"one\n"), vec![found; 4]);
    // Nobody read that, and by its hash alone a content is found whatever file it was of.
    assert_eq!(bases(dir.path(), "a.txt", b"two\n"), vec![None; 4]);
    assert_eq!(bases(dir.path(), "b.txt", b"one\n")[1..], vec![None; 3]);
}

#[test]
fn the_log_has_what_stood_before_and_behind_each_batch_under_every_name() {
    let dir = tree(&[("a.txt", "one\n")]);
    let root = dir.path();
    apply_new(root, batch(vec![append("a.txt", "two")]));
    apply_new(root, batch(vec![rename("a.txt", "b.txt")]));
    apply_new(root, batch(vec![append("b.txt", "three")]));
    apply_new(root, batch(vec![create("c.txt", "new\n")]));
    // Somebody else's work, of which the log knows nothing.
    fs::write(root.join("b.txt"), "gone\n").unwrap();
    for state in ["one\n", "one\ntwo\n", "one\ntwo\nthree\n"] {
        let found = Some(state.as_bytes().to_vec());
        assert_eq!(bases(root, "b.txt", state.as_bytes()), vec![found; 4]);
    }
    let found = Some(b"one\n".to_vec());
    assert_eq!(bases(root, "a.txt", b"one\n"), vec![found; 4]);
    let found = Some(b"new\n".to_vec());
    assert_eq!(bases(root, "c.txt", b"new\n"), vec![found; 4]);
    assert_eq!(bases(root, "c.txt", b"one\n")[1..], vec![None; 3]);
}

#[test]
fn what_was_changed_in_the_store_is_not_believed() {
    let dir = tree(&[("a.txt", "one\n")]);
    read(dir.path(), "a.txt", "");
    let digest = Digest::of(b"one\n").to_hex();
    let object = format!(
        ".mission_control/snapshots/objects/{}/{}",
        &digest[..2],
        &digest[2..]
    );
    let object = dir.path().join(object);
    assert_eq!(fs::read(&object).unwrap(), b"one\n");
    fs::write(&object, "One\n").unwrap();
    assert_eq!(bases(dir.path(), "a.txt", b"one\n"), vec![None; 4]);
    // It is written again when it is read again.
    read(dir.path(), "a.txt", "");
    let found = Some(b"one\n".to_vec());
    assert_eq!(bases(dir.path(), "a.txt", b"one\n"), vec![found; 4]);
}

#[test]
fn each_agent_has_its_own_last_read() {
    let dir = tree(&[("a.txt", "one\n")]);
    let workspace = Workspace::open(dir.path()).unwrap();
    let last = |agent: &str| {
        let last = workspace.last_read(agent, &path("a.txt")).unwrap();
        last.map(|last| last.digest)
    };
    assert_eq!(last("codex"), None);
    read(dir.path(), "a.txt", "codex");
    fs::write(dir.path().join("a.txt"), "two\n").unwrap();
    read(dir.path(), "a.txt", "claude");
    assert_eq!(last("codex"), Some(Digest::of(b"one\n")));
    assert_eq!(last("claude"), Some(Digest::of(b"two\n")));
    assert_eq!(last(""), None);
    read(dir.path(), "a.txt", "codex");
    assert_eq!(last("codex"), Some(Digest::of(b"two\n")));
    // An entry of another agent is none of ours, and what is no link was not made here.
    let reads = dir.path().join(".mission_control/snapshots/reads");
    let hash = |text: &str| Digest::of(text.as_bytes()).to_hex();
    let entry = |agent: &str| reads.join(hash(agent)).join(hash("a.txt"));
    fs::create_dir(reads.join(hash("thief"))).unwrap();
    std::os::unix::fs::symlink(fs::read_link(entry("codex")).unwrap(), entry("thief")).unwrap();
    assert_eq!(last("thief"), None);
    fs::remove_file(entry("codex")).unwrap();
    fs::write(entry("codex"), "x").unwrap();
    assert_eq!(last("codex"), None);
    read(dir.path(), "a.txt", "codex");
    assert_eq!(last("codex"), Some(Digest::of(b"two\n")));
}

#[test]
fn what_was_read_long_ago_or_is_too_much_is_forgotten() {
    let dir = tree(&[("a.txt", "12345678"), ("b.txt", "abcdefgh")]);
    let root = dir.path();
    read(root, "a.txt", "codex");
    read(root, "b.txt", "codex");
    let workspace = Workspace::open(root).unwrap();
    let keep = |max_bytes, seconds| {
        let retention = Retention {
            max_bytes,
            max_age: Duration::from_secs(seconds),
            ..Retention::default()
        };
        workspace.gc(&retention).unwrap();
        ["a.txt", "b.txt"].map(|file| {
            let last = workspace.last_read("codex", &path(file)).unwrap();
            let bytes = fs::read(root.join(file)).unwrap();
            let base = BaseName::Content(Digest::of(&bytes));
            assert_eq!(base_is(root, file, &base), last.is_some());
            last.is_some()
        })
    };
    assert_eq!(keep(16, 60), [true, true]);
    // The last ones stay.
    assert_eq!(keep(15, 60), [false, true]);
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(keep(15, 1), [false, false]);
}

fn base_is(root: &Path, file: &str, name: &BaseName) -> bool {
    base(root, file, name).is_some()
}

#[test]
fn what_is_no_text_or_no_file_is_said_and_not_remembered() {
    let dir = tree(&[("a.txt", "one\ntwo\n"), ("empty", "")]);
    let root = dir.path();
    fs::write(root.join("binary"), b"a\0b").unwrap();
    fs::write(root.join("wide"), b"\xff\xfea\0").unwrap();
    fs::write(root.join("latin1"), b"caf\xe9\n").unwrap();
    std::os::unix::fs::symlink("a.txt", root.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
    rustix_fifo(&root.join("fifo"));
    let workspace = Workspace::open(root).unwrap();
    let code = |file: &str, part: Part| {
        let read = workspace
            .read(vec![(path(file), part)], "codex", WAIT)
            .unwrap();
        let code = read.report().code();
        if code.is_some() {
            assert_eq!(
                workspace.last_read("codex", &path(file)).unwrap(),
                None,
                "{file}"
            );
        }
        code
    };
    for (file, expected) in [
        ("binary", Code::BinaryFile),
        ("wide", Code::UnsupportedEncoding),
        ("link", Code::Symlink),
        ("out/passwd", Code::Symlink),
        ("fifo", Code::NotAFile),
        ("a.tx", Code::FileNotFound),
        (".mission_control/key", Code::PathProtected),
        (".mission_control", Code::PathProtected),
    ] {
        assert_eq!(code(file, Part::Whole), Some(expected), "{file}");
    }
    let around = |id: &str| Part::Around {
        placeholder: id.to_owned(),
        context: 1,
    };
    assert_eq!(code("a.txt", Part::Lines(3, 4)), Some(Code::LineOutOfRange));
    assert_eq!(code("a.txt", Part::Lines(2, 1)), Some(Code::LineOutOfRange));
    assert_eq!(code("a.txt", Part::Lines(0, 1)), Some(Code::LineOutOfRange));
    assert_eq!(code("empty", Part::Lines(1, 1)), Some(Code::LineOutOfRange));
    assert_eq!(code("a.txt", around("X")), Some(Code::PlaceholderNotFound));
    assert_eq!(code("empty", Part::Whole), None);
    assert_eq!(code("latin1", Part::Whole), None);
    assert_eq!(code("a.txt", Part::Lines(1, u64::MAX)), None);
}

fn rustix_fifo(at: &Path) {
    let made = std::process::Command::new("mkfifo").arg(at).status();
    assert!(made.unwrap().success());
}

#[test]
fn a_reading_has_what_an_edit_needs() {
    let dir = tree(&[(
        "a.ts",
        "\u{feff}one\r\ntwo\r\n// ###HERE###\r\nfour\r\nfive",
    )]);
    let workspace = Workspace::open(dir.path()).unwrap();
    let part = Part::Around {
        placeholder: "HERE".to_owned(),
        context: 1,
    };
    let wanted = vec![(path("a.ts"), part), (path("a.ts"), Part::Lines(1, 1))];
    let read = workspace.read(wanted, "", WAIT).unwrap();
    let told = serde_json::to_value(read.report()).unwrap();
    let bytes = fs::read(dir.path().join("a.ts")).unwrap();
    let base = Digest::of(&bytes).to_string();
    assert_eq!(
        told,
        serde_json::json!({ "version": 1, "files": [
            { "path": "a.ts", "base": base, "line_count": 5, "lines": [2, 4],
              "text": "two\r\n// ###HERE###\r\nfour\r\n", "line_endings": "crlf",
              "no_final_newline": true, "bom": true },
            { "path": "a.ts", "base": base, "line_count": 5, "lines": [1, 1], "text": "one\r\n",
              "line_endings": "crlf", "no_final_newline": true, "bom": true },
        ] })
    );
}
