//! R15 to R22: no path leads out of the root or to what is protected, through whatever it comes.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// Paths that no operation may name, whether or not something stands there.
const FORBIDDEN: &[(&str, &str)] = &[
    ("../evil", "PATH_ESCAPE"),
    ("/tmp/evil-patchctl", "PATH_ESCAPE"),
    ("a/../../evil", "PATH_ESCAPE"),
    ("../root-evil/x", "PATH_ESCAPE"),
    (".", "PATH_ESCAPE"),
    ("dir/", "PATH_ESCAPE"),
    ("dir", "NOT_A_FILE"),
    ("fifo", "NOT_A_FILE"),
    ("link", "SYMLINK"),
    ("dangling", "SYMLINK"),
    ("loop", "SYMLINK"),
    ("linkdir/x", "SYMLINK"),
    (".git/config", "PATH_PROTECTED"),
    ("sub/.GIT/hooks/x", "PATH_PROTECTED"),
    ("git~1/x", "PATH_PROTECTED"),
    (".mission_control/tasks.json", "PATH_PROTECTED"),
    (".claude/settings.json", "PATH_PROTECTED"),
    ("x/.vscode/tasks.json", "PATH_PROTECTED"),
    (".envrc", "PATH_PROTECTED"),
    (".Mcp.json", "PATH_PROTECTED"),
];

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(&[("dir/f", "a\n"), ("f", "a\nb\n"), ("g", "a\n")]);
    let root = sandbox.root();
    std::fs::write(sandbox.outside().join("secret"), "a\n").unwrap();
    std::fs::create_dir(sandbox.outside().join("root-evil")).unwrap();
    symlink("../secret", root.join("link")).unwrap();
    symlink("nowhere", root.join("dangling")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("..", root.join("linkdir")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(root.join("fifo"))
            .status()
            .unwrap()
            .success()
    );
    sandbox
}

/// All that stands around the root, links not followed.
fn outside(sandbox: &Sandbox) -> Vec<(std::path::PathBuf, u64)> {
    let mut entries: Vec<_> = walkdir::WalkDir::new(sandbox.outside())
        .into_iter()
        .filter_entry(|entry| entry.file_name() != "root")
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.path().to_owned(),
                entry.path().symlink_metadata().unwrap().len(),
            )
        })
        .collect();
    entries.sort();
    entries
}

/// The names below the root, links not followed.
fn names(sandbox: &Sandbox) -> Vec<std::path::PathBuf> {
    let files = walkdir::WalkDir::new(sandbox.root()).into_iter();
    let mut names: Vec<_> = files
        .filter_entry(|entry| entry.file_name() != ".mission_control")
        .map(|entry| entry.unwrap().into_path())
        .collect();
    names.sort();
    names
}

fn batch(operation: Value) -> String {
    json!({ "operations": [{ "op": "append", "file": "f", "content": "never" }, operation] })
        .to_string()
}

#[test]
fn r15_r16_r18_r19_every_operation_refuses_every_forbidden_path() {
    let sandbox = sandbox();
    let (before, around) = (names(&sandbox), outside(&sandbox));
    for (path, code) in FORBIDDEN {
        let operations = [
            json!({ "op": "append", "file": path, "content": "x" }),
            json!({ "op": "prepend", "file": path, "content": "x" }),
            json!({ "op": "replace-block", "file": path, "at": { "line": 1 }, "expect": "a", "content": "x" }),
            json!({ "op": "insert-before", "file": path, "at": { "text": "a" }, "content": "x" }),
            json!({ "op": "insert-after", "file": path, "at": { "match": "a" }, "content": "x" }),
            json!({ "op": "replace-text", "file": path, "find": "a", "content": "x" }),
            json!({ "op": "create-file", "file": path, "content": "x" }),
            json!({ "op": "delete-file", "file": path, "expect": "a" }),
            json!({ "op": "rename-file", "file": path, "to": "n" }),
            json!({ "op": "rename-file", "file": "g", "to": path }),
            json!({ "op": "copy-file", "file": path, "to": "n" }),
            json!({ "op": "copy-file", "file": "g", "to": path }),
            json!({ "op": "set-mode", "file": path, "executable": true }),
        ];
        for operation in operations {
            let report = sandbox
                .run_with(batch(operation.clone()), &["apply", "--output", "json"])
                .exits(1)
                .json();
            assert_eq!(
                report["operations"][1]["refusal"]["code"], *code,
                "{operation}: {report}"
            );
            assert_eq!(report["operations"][0]["outcome"], "not_applied");
        }
    }
    assert_eq!(sandbox.read("f"), "a\nb\n");
    assert_eq!(names(&sandbox), before);
    assert_eq!(outside(&sandbox), around);
    assert_eq!(
        std::fs::read(sandbox.outside().join("secret")).unwrap(),
        b"a\n"
    );
}

#[test]
fn r15_r16_r19_every_dialect_refuses_every_forbidden_path() {
    let sandbox = sandbox();
    let (before, around) = (names(&sandbox), outside(&sandbox));
    for (path, _) in FORBIDDEN
        .iter()
        .filter(|(path, _)| !matches!(*path, "." | "dir/"))
    {
        let patches = [
            format!(
                "diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x\n"
            ),
            format!(
                "diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n@@ -1 +1 @@\n-a\n+x\n"
            ),
            format!(
                "diff --git a/f b/{path}\nsimilarity index 100%\nrename from f\nrename to {path}\n"
            ),
            format!(
                "diff --git a/f b/{path}\nsimilarity index 100%\ncopy from f\ncopy to {path}\n"
            ),
            format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n"),
            format!(
                "*** Begin Patch\n*** Update File: f\n*** Move to: {path}\n@@\n-a\n+x\n*** End Patch\n"
            ),
            format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch\n"),
            format!("{path}\n```\n<<<<<<< SEARCH\na\n=======\nx\n>>>>>>> REPLACE\n```\n"),
            json!({ "command": "create", "path": path, "file_text": "x" }).to_string(),
            json!({ "command": "str_replace", "path": path, "old_str": "a", "new_str": "x" })
                .to_string(),
            json!({ "path": path, "edits": [{ "oldText": "a", "newText": "x" }] }).to_string(),
            json!([{ "path": path, "content": "x" }]).to_string(),
        ];
        for patch in patches {
            // Behind a stripped `a/` nothing is left of a path's root.
            if path.starts_with('/') && patch.starts_with("diff") {
                continue;
            }
            let run = sandbox.run_with(&patch, &["apply"]);
            assert!(matches!(run.code, 1 | 2), "{patch}: {run:?}");
        }
    }
    let block = "<<<<<<< SEARCH\na\n=======\nx\n>>>>>>> REPLACE\n";
    for (path, _) in FORBIDDEN {
        let run = sandbox.run_with(block, &["apply", "--file", path]);
        assert!(matches!(run.code, 1 | 2), "{path}: {run:?}");
    }
    assert_eq!(sandbox.read("f"), "a\nb\n");
    assert_eq!(names(&sandbox), before);
    assert_eq!(outside(&sandbox), around);
}

#[test]
fn r15_r16_r18_commands_refuse_forbidden_paths() {
    let sandbox = sandbox();
    let (before, around) = (names(&sandbox), outside(&sandbox));
    for (path, _) in FORBIDDEN {
        for arguments in [
            vec!["append", path, "--content", "x"],
            vec!["create-file", path, "--content", "x"],
            vec!["rename-file", "f", path],
            vec!["copy-file", "f", path],
            vec!["delete-file", path, "--expect", "a"],
        ] {
            let run = sandbox.run(&arguments);
            assert_eq!(run.code, 1, "{arguments:?}: {run:?}");
        }
    }
    for path in ["../secret", "link", "fifo", "dir", "linkdir/secret"] {
        sandbox.run(&["resolve", path, "1"]).exits(1);
    }
    assert_eq!(names(&sandbox), before);
    assert_eq!(outside(&sandbox), around);
}

#[test]
fn r19_the_operator_alone_opens_a_protected_path() {
    let sandbox = Sandbox::new(&[(".vscode/settings.json", "{}\n"), ("f", "a\n")]);
    let operation = json!({ "op": "append", "file": ".vscode/settings.json", "content": "x" });
    sandbox
        .run_with(batch(operation.clone()), &["apply"])
        .exits(1);
    let other = ["apply", "--allow-path", ".vscode/tasks.json"];
    sandbox.run_with(batch(operation.clone()), &other).exits(1);
    sandbox
        .run_with(
            batch(operation),
            &["apply", "--allow-path", ".vscode/settings.json"],
        )
        .exits(0);
    assert_eq!(sandbox.read(".vscode/settings.json"), "{}\nx\n");
    // Other hidden files are ordinary.
    let hidden = json!({ "op": "create-file", "file": ".github/workflows/ci.yml", "content": "x" });
    sandbox.run_with(batch(hidden), &["apply"]).exits(0);
}

#[test]
fn r20_names_that_may_be_one_file_are_refused() {
    let sandbox = Sandbox::new(&[("f", "a\n")]);
    for (one, other) in [
        ("New.txt", "new.txt"),
        ("caf\u{e9}", "cafe\u{301}"),
        ("d/x", "D/x"),
    ] {
        let batch = json!({ "operations": [
            { "op": "create-file", "file": one, "content": "1" },
            { "op": "create-file", "file": other, "content": "2" },
        ] });
        let run = sandbox.run_with(batch.to_string(), &["apply"]).exits(1);
        assert!(
            run.err.contains("PATH_COLLISION"),
            "{one} {other}: {}",
            run.err
        );
    }
    let both = json!({ "operations": [
        { "op": "create-file", "file": "a", "content": "1" },
        { "op": "create-file", "file": "a/b", "content": "2" },
    ] });
    sandbox.run_with(both.to_string(), &["apply"]).exits(1);
    assert_eq!(sandbox.tree().len(), 1);
}

#[test]
fn r22_names_that_are_not_utf8_pass_through_diffs() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::new(&[]);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    std::fs::write(sandbox.root().join(name), "a\n").unwrap();
    let diff = "diff --git \"a/caf\\351\" \"b/caf\\351\"\n--- \"a/caf\\351\"\n+++ \"b/caf\\351\"\n@@ -1 +1 @@\n-a\n+b\n";
    let run = sandbox.run_with(diff, &["apply"]).exits(0);
    assert!(run.out.contains("caf\\351"), "{}", run.out);
    assert_eq!(std::fs::read(sandbox.root().join(name)).unwrap(), b"b\n");
    sandbox.run(&["history"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(std::fs::read(sandbox.root().join(name)).unwrap(), b"a\n");
}
