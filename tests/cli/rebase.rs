//! `--rebase`: batches that were made for an older state of their files.

use serde_json::json;

use crate::sandbox::Sandbox;

fn lines() -> String {
    (1..=40).map(|line| format!("line {line}\n")).collect()
}

/// A replacement of one line, for the state with this hash.
fn batch(base: &str, line: usize, content: &str) -> String {
    json!({ "operations": [{
        "op": "replace-block", "file": "f", "at": { "line": line }, "content": content, "base": base,
    }] })
    .to_string()
}

fn hash(text: &str) -> String {
    patchcore::Digest::of(text.as_bytes()).to_string()
}

#[test]
fn a_stale_batch_lands_with_the_permission_and_is_undone() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    let insert = [
        "insert-before",
        "f",
        "--match",
        "^line 5$",
        "--content",
        "new",
    ];
    sandbox.run(&insert).exits(0);
    let drifted = sandbox.read("f");
    let batch = batch(&hash(&lines()), 12, "X");
    let refused = sandbox.run_with(&batch, &["apply"]).exits(1);
    assert!(refused.err.contains("BASE_MISMATCH"), "{}", refused.err);
    assert!(refused.err.contains("\"lines\":[13,13]"), "{}", refused.err);
    let applied = sandbox.run_with(&batch, &["apply", "--rebase"]).exits(0);
    let note = "the file has changed: line 12 is now line 13";
    assert!(applied.err.contains(note), "{}", applied.err);
    assert_eq!(sandbox.read("f"), drifted.replace("line 12\n", "X\n"));
    // The same input is known again.
    sandbox.run_with(&batch, &["apply", "--rebase"]).exits(0);
    assert_eq!(sandbox.read("f").matches('X').count(), 1);
    let shown = sandbox
        .run(&["events", "list", "--output", "json"])
        .exits(0);
    assert!(
        shown
            .out
            .contains("\"rebased\":{\"from\":[12,12],\"to\":[13,13]}"),
        "{}",
        shown.out
    );
    sandbox.run(&["audit"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.read("f"), drifted);
}

#[test]
fn one_operation_is_rebased_by_the_environment() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    let insert = [
        "insert-before",
        "f",
        "--match",
        "^line 5$",
        "--content",
        "new",
    ];
    sandbox.run(&insert).exits(0);
    let base = hash(&lines());
    let replace = [
        "replace-block",
        "f",
        "--lines",
        "12",
        "--base",
        &base,
        "--content",
        "X",
        "--no-diff",
    ];
    sandbox.run(&replace).exits(1);
    let mut command = sandbox.command(&replace);
    let output = command.env("PATCHCTL_REBASE", "1").output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(sandbox.read("f").contains("line 11\nX\nline 13"));
}

#[test]
fn many_writers_of_one_state_all_land() {
    const WRITERS: usize = 8;
    const EDITS: usize = 4;
    let text: String = (0..WRITERS * EDITS * 5)
        .map(|line| format!("line {line}\n"))
        .collect();
    let sandbox = Sandbox::new(&[("f", &text)]);
    let base = hash(&text);
    let landed: usize = std::thread::scope(|scope| {
        let write = |writer: usize| {
            let (sandbox, base) = (&sandbox, &base);
            scope.spawn(move || {
                let edits = (0..EDITS).map(|edit| edit * WRITERS + writer);
                let one = |edit: usize| {
                    let content = format!("edit {edit}\nand more");
                    let batch = batch(base, edit * 5 + 3, &content);
                    sandbox.run_with(&batch, &["apply", "--rebase"]).code == 0
                };
                edits.filter(|&edit| one(edit)).count()
            })
        };
        let writers: Vec<_> = (0..WRITERS).map(write).collect();
        writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum()
    });
    assert_eq!(landed, WRITERS * EDITS);
    let mut expected = text;
    for edit in 0..WRITERS * EDITS {
        let line = format!("\nline {}\n", edit * 5 + 2);
        expected = expected.replacen(&line, &format!("\nedit {edit}\nand more\n"), 1);
    }
    assert_eq!(sandbox.read("f"), expected);
    sandbox.run(&["audit"]).exits(0);
}
