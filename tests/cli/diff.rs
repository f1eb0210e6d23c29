//! `diff`: of a batch, of two files, of two trees.

use crate::sandbox::Sandbox;

const BATCH: &str = r#"{"operations": [
    {"op": "replace-text", "file": "a b", "find": "two", "content": "2"},
    {"op": "create-file", "file": "new", "content": "n\n", "executable": true}
]}"#;

const OF_BATCH: &str = "diff --git a/a b b/a b\n--- a/a b\t\n+++ b/a b\t\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n\
    diff --git a/new b/new\nnew file mode 100755\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+n\n";

#[test]
fn the_diff_of_a_batch_is_all_that_is_printed_and_nothing_is_written() {
    let sandbox = Sandbox::new(&[("a b", "one\ntwo\nthree\n")]);
    let before = sandbox.tree();
    let run = sandbox.run_with(BATCH, &["diff"]).exits(0);
    assert_eq!((run.out.as_str(), run.err.as_str()), (OF_BATCH, ""));
    let narrow = sandbox.run_with(BATCH, &["diff", "-", "-U0"]).exits(0);
    assert!(
        narrow.out.contains("@@ -2 +2 @@\n-two\n+2\n"),
        "{}",
        narrow.out
    );
    sandbox.run_with(BATCH, &["diff", "--exit-code"]).exits(5);
    let json = sandbox
        .run_with(BATCH, &["diff", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(json["diff"], OF_BATCH);
    assert_eq!(sandbox.tree(), before);
}

#[test]
fn a_refused_batch_has_no_diff() {
    let sandbox = Sandbox::new(&[("a b", "one\n")]);
    let run = sandbox.run_with(BATCH, &["diff"]).exits(1);
    assert_eq!(run.out, "");
    assert!(run.err.contains("ANCHOR_NOT_FOUND"), "{}", run.err);
}

#[test]
fn files_and_trees_are_compared() {
    let sandbox = Sandbox::new(&[
        ("old/same", "x\n"),
        ("new/same", "x\n"),
        ("old/f", "a\n"),
        ("new/f", "b\n"),
        ("new/\u{e9}", "n"),
    ]);
    let run = sandbox.run(&["diff", "old", "new"]).exits(0);
    let expected = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n\
        diff --git \"a/\\303\\251\" \"b/\\303\\251\"\nnew file mode 100644\n--- /dev/null\n\
        +++ \"b/\\303\\251\"\n@@ -0,0 +1 @@\n+n\n\\ No newline at end of file\n";
    assert_eq!((run.out.as_str(), run.err.as_str()), (expected, ""));
    sandbox.run(&["diff", "old", "old", "--exit-code"]).exits(0);
    sandbox
        .run(&["diff", "old/f", "new/f", "--exit-code"])
        .exits(5);
    let json = sandbox
        .run(&["diff", "old/f", "new/f", "--output", "json"])
        .exits(0)
        .json();
    assert!(json["diff"].as_str().unwrap().contains("-a\n+b\n"));
    sandbox.run(&["diff", "old", "new/f"]).exits(1);
    sandbox.run(&["diff", "old", "none"]).exits(3);
}

#[test]
fn what_a_file_holds_cannot_move_the_cursor_where_people_look() {
    let sandbox = Sandbox::new(&[("old", "a\n"), ("new", "\u{1b}[2J\n")]);
    let shown = sandbox
        .run(&["diff", "old", "new", "--color", "always"])
        .exits(0);
    assert!(shown.out.contains("\\x1b[2J"), "{}", shown.out);
    let piped = sandbox.run(&["diff", "old", "new"]).exits(0);
    assert!(piped.out.contains("+\u{1b}[2J\n"), "{}", piped.out);
}
