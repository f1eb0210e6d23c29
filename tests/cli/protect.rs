//! R19: paths that the operator protects, and directories that git would take for repositories.

use std::os::unix::ffi::OsStrExt as _;

use serde_json::{Value, json};

use crate::sandbox::{Run, Sandbox};

fn apply(sandbox: &Sandbox, files: &[&str], arguments: &[&str]) -> Run {
    let operations: Vec<Value> = files
        .iter()
        .map(|file| match file.split_once(" -> ") {
            Some((from, to)) => json!({"op": "rename-file", "file": from, "to": to}),
            None => json!({"op": "create-file", "file": file, "content": "ref: refs/heads/main\n"}),
        })
        .collect();
    let batch = json!({ "operations": operations }).to_string();
    sandbox.run_with(batch, &[&["apply", "--no-diff"], arguments].concat())
}

/// Refused, with nothing changed.
fn refused(sandbox: &Sandbox, files: &[&str], arguments: &[&str]) {
    let before = sandbox.tree();
    let run = apply(sandbox, files, arguments);
    assert_eq!(run.code, 1, "{files:?} {arguments:?}: {run:?}");
    assert!(run.err.contains("PATH_PROTECTED"), "{files:?}: {run:?}");
    assert_eq!(sandbox.tree(), before, "{files:?}");
}

#[test]
fn a_pattern_of_the_operator_closes_paths_to_every_entry() {
    let sandbox = Sandbox::new(&[
        ("conftest.py", "x\n"),
        ("a.txt", "a\n"),
        ("docs/a.md", "a\n"),
    ]);
    let protect = ["--protect", "ci", "--protect", "docs/*.md"];
    for files in [
        &[".github/workflows/x.yml"][..],
        &["sub/.npmrc"],
        &[".ENV.local"],
        &["b.txt", "docs/new.md"],
        &["a.txt -> docs/b.md"],
        &["docs/a.md -> b.md"],
    ] {
        refused(&sandbox, files, &protect);
    }
    for arguments in [
        &["append", "conftest.py", "--content", "x"][..],
        &["delete-file", "docs/a.md", "--allow-unguarded"],
        &["copy-file", "a.txt", ".gitmodules"],
    ] {
        let run = sandbox.run(&[arguments, &protect].concat()).exits(1);
        assert!(run.err.contains("PATH_PROTECTED"), "{run:?}");
        // By the environment, too.
        let run = sandbox
            .command(arguments)
            .env("PATCHCTL_PROTECT", "nothing, ci,docs/*.md")
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        let variable = std::ffi::OsStr::from_bytes(b"ci,\xff");
        let run = sandbox
            .command(arguments)
            .env("PATCHCTL_PROTECT", variable)
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(2), "{run:?}");
        let said = String::from_utf8(run.stderr).unwrap();
        assert!(said.contains("PATCHCTL_PROTECT is not UTF-8"), "{said}");
    }
    let diff = "--- a/conftest.py\n+++ b/conftest.py\n@@ -1 +1 @@\n-x\n+y\n";
    let run = sandbox
        .run_with(diff, &["apply", "--no-diff", "--protect", "ci"])
        .exits(1);
    assert!(run.err.contains("PATH_PROTECTED"), "{run:?}");
    let link = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+.github/workflows\n\\ No newline at end of file\n";
    sandbox
        .run_with(link, &["apply", "--protect", "ci"])
        .exits(1);
    // What the operator opens is open.
    let open = [&protect[..], &["--allow-path", "docs"]].concat();
    apply(&sandbox, &["docs/new.md"], &open).exits(0);
    apply(&sandbox, &["src/main.rs", "docs/x/y.md"], &protect).exits(0);
}

#[test]
fn no_batch_makes_what_git_takes_for_a_repository() {
    for (there, files) in [
        (&[][..], &["docs/HEAD", "docs/objects/x", "docs/refs/x"][..]),
        (&[], &["HEAD", "objects/x", "refs/x"]),
        (&[], &["docs/head", "docs/Objects/x", "docs/REFS/x"]),
        (&["d/HEAD", "d/objects/x"], &["d/refs/x"]),
        (&["d/x", "d/objects/x", "d/refs/x"], &["d/x -> d/HEAD"]),
        (&["d/HEAD", "o/objects/x", "o/refs/x"], &["d/commondir"]),
        (&["d/HEAD", "d/objects/x", "d/refs/x"], &["d/config"]),
        (
            &["d/HEAD", "d/objects/x", "d/refs/x"],
            &["d/hooks/post-checkout"],
        ),
    ] {
        let there: Vec<(&str, &str)> = there
            .iter()
            .map(|file| (*file, "ref: refs/heads/x\n"))
            .collect();
        let sandbox = Sandbox::new(&there);
        refused(&sandbox, files, &[]);
        let open = files[0]
            .split(" -> ")
            .last()
            .unwrap()
            .split('/')
            .next()
            .unwrap();
        let opened = files.iter().all(|file| file.contains(&format!("{open}/")));
        if opened {
            apply(&sandbox, files, &["--allow-path", open]).exits(0);
        }
    }
}

#[test]
fn what_git_takes_for_no_repository_lands() {
    let sandbox = Sandbox::new(&[
        ("d/HEAD", "x\n"),
        ("d/objects/x", "x\n"),
        ("e/refs/x", "x\n"),
    ]);
    apply(&sandbox, &["objects/x", "refs/x", "config/HEAD/x"], &[]).exits(0);
    apply(
        &sandbox,
        &["e/HEAD", "d/objects/y", "src/hooks/use.ts"],
        &[],
    )
    .exits(0);
    apply(&sandbox, &["d/HEAD -> d/HEAD2", "d/refs/x"], &[]).exits(0);
}
