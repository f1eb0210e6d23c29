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

/// A diff of line 12 of [`lines`] that names its blob.
fn diff(base: &str, content: &str) -> String {
    let blob = patchcore::diff::BlobName::of(base.as_bytes()).to_string();
    let context = |lines: std::ops::RangeInclusive<u32>| -> String {
        lines.map(|line| format!(" line {line}\n")).collect()
    };
    format!(
        "diff --git a/f b/f\nindex {}..1234567 100644\n--- a/f\n+++ b/f\n@@ -9,7 +9,7 @@\n{}-line 12\n+{content}\n{}",
        &blob[..7],
        context(9..=11),
        context(13..=15),
    )
}

/// The file as it was read, with lines above and a line of the hunk's context changed.
fn drifted(sandbox: &Sandbox) -> String {
    sandbox.run(&["read", "f"]).exits(0);
    let drifted = lines()
        .replace("line 5\n", "new\nline 5\n")
        .replace("line 9\n", "LINE 9\n");
    sandbox.write("f", &drifted);
    drifted
}

/// Refused without the permission, and the tree left alone; with it the line is replaced, and
/// everything comes back.
fn lands_with_the_permission(sandbox: &Sandbox, patch: &str, hint: &str) {
    let drifted = sandbox.read("f");
    let refused = sandbox.run_with(patch, &["apply"]).exits(1);
    assert!(refused.err.contains(hint), "{}", refused.err);
    assert_eq!(sandbox.read("f"), drifted);
    let applied = ["apply", "--rebase", "--output", "json"];
    let applied = sandbox.run_with(patch, &applied).exits(0);
    let rebased = &applied.json()["operations"][0]["rebased"];
    assert_eq!(
        *rebased,
        json!({ "from": [12, 12], "to": [13, 13] }),
        "{}",
        applied.out
    );
    assert_eq!(sandbox.read("f"), drifted.replace("line 12\n", "X\n"));
    sandbox.run(&["audit"]).exits(0);
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(sandbox.read("f"), drifted);
}

#[test]
fn a_diff_whose_blob_is_known_lands_where_its_lines_are_now() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    drifted(&sandbox);
    let hint = "in the file that the diff was made for it is about line 12, by now line 13";
    lands_with_the_permission(&sandbox, &diff(&lines(), "X"), hint);
}

#[test]
fn a_listing_whose_tag_is_known_lands_where_its_lines_are_now() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    drifted(&sandbox);
    let tag = patchcore::rebase::Tag::of(lines().as_bytes());
    let patch = format!("[f#{tag}]\nSWAP 12.=12:\n+X\n");
    lands_with_the_permission(&sandbox, &patch, "\"lines\":[13,13]");
}

#[test]
fn a_diff_or_listing_inside_a_call_lands_likewise() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    drifted(&sandbox);
    let call = json!({ "path": "f", "patch": diff(&lines(), "X") }).to_string();
    lands_with_the_permission(&sandbox, &call, "by now line 13");
}

#[test]
fn a_diff_whose_target_is_gone_does_not_go_to_a_copy() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    sandbox.run(&["read", "f"]).exits(0);
    let copy: String = (10..=14).map(|line| format!("line {line}\n")).collect();
    let gone = lines().replace("line 12\n", "");
    let gone = format!("{gone}{copy}{copy}");
    sandbox.write("f", &gone);
    let tag = patchcore::rebase::Tag::of(lines().as_bytes());
    for patch in [
        diff(&lines(), "X"),
        format!("[f#{tag}]\nSWAP 12.=12:\n+X\n"),
    ] {
        for permission in [&["apply"][..], &["apply", "--rebase"]] {
            let refused = sandbox.run_with(&patch, permission).exits(1);
            let why = "these lines, or those next to them, were changed meanwhile";
            assert!(refused.err.contains(why), "{}", refused.err);
            assert_eq!(sandbox.read("f"), gone);
        }
    }
}

#[test]
fn a_diff_of_a_blob_that_nobody_kept_is_refused_as_before() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    sandbox.run(&["read", "f"]).exits(0);
    let drifted = lines().replace("line 9\n", "LINE 9\n");
    sandbox.write("f", &drifted);
    let other = lines().replace("line 40\n", "other\n");
    let refused = sandbox.run_with(diff(&other, "X"), &["apply", "--rebase"]);
    let refused = refused.exits(1);
    assert!(!refused.err.contains("by now"), "{}", refused.err);
    assert_eq!(sandbox.read("f"), drifted);
}

#[test]
fn lines_of_a_diff_keep_to_the_bytes_of_their_neighbours() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    sandbox.run(&["read", "f"]).exits(0);
    let mixed = lines()
        .replace("line 9\n", "LINE 9\n")
        .replace("line 11\n", "line 11\r\n");
    sandbox.write("f", &mixed);
    let applied = sandbox.run_with(diff(&lines(), "X"), &["apply", "--rebase"]);
    applied.exits(1);
    assert_eq!(sandbox.read("f"), mixed);
}

#[test]
fn a_copy_is_not_taken_for_lines_that_the_base_has_elsewhere() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    sandbox.run(&["read", "f"]).exits(0);
    let copy: String = (9..=15).map(|line| format!("line {line}\n")).collect();
    let copied = lines().replace("line 12\n", "changed\n") + &copy;
    sandbox.write("f", &copied);
    let hunk = diff(&lines(), "X");
    for permission in [&["apply"][..], &["apply", "--rebase"]] {
        let refused = sandbox.run_with(&hunk, permission).exits(1);
        let why = "stands at one place, which is not where its lines are";
        assert!(refused.err.contains(why), "{}", refused.err);
        assert_eq!(sandbox.read("f"), copied);
    }
    // What only moved lands as before, and is no rebase.
    let moved = format!("new\n{}", lines());
    sandbox.write("f", &moved);
    sandbox.run_with(&hunk, &["apply"]).exits(0);
    assert_eq!(sandbox.read("f"), moved.replace("line 12\n", "X\n"));
}

#[test]
fn a_diff_lands_at_its_lines_and_not_at_a_whole_copy() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    sandbox.run(&["read", "f"]).exits(0);
    let copy: String = (9..=15).map(|line| format!("line {line}\n")).collect();
    let copied = lines().replace("line 9\n", "LINE 9\n") + "between\n" + &copy;
    sandbox.write("f", &copied);
    let hunk = diff(&lines(), "X");
    let refused = sandbox.run_with(&hunk, &["apply"]).exits(1);
    assert!(refused.err.contains("by now line 12"), "{}", refused.err);
    sandbox.run_with(&hunk, &["apply", "--rebase"]).exits(0);
    assert_eq!(sandbox.read("f"), copied.replacen("line 12\n", "X\n", 1));
}

/// A diff of a file of forty lines, with so many lines of context.
fn diff_of(context: u32, options: &str) -> String {
    let blob = patchcore::diff::BlobName::of(lines().as_bytes()).to_string();
    let shown = |lines: std::ops::Range<u32>| -> String {
        lines.map(|line| format!(" line {line}\n")).collect()
    };
    let (above, below) = (shown(12 - context..12), shown(13..13 + context));
    let (start, count) = (12 - context, 2 * context + 1);
    let body = match options {
        "insert" => "@@ -12,0 +13 @@\n+X\n".to_owned(),
        _ => format!("@@ -{start},{count} +{start},{count} @@\n{above}-line 12\n+X\n{below}"),
    };
    format!(
        "diff --git a/f b/f\nindex {}..1234567 100644\n--- a/f\n+++ b/f\n{body}",
        &blob[..7]
    )
}

#[test]
fn a_hunk_without_context_goes_by_the_blob_and_not_by_its_number() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    let drifted = drifted(&sandbox);
    let bare = diff_of(0, "insert");
    let refused = sandbox
        .run_with(&bare, &["apply", "--unidiff-zero"])
        .exits(1);
    assert!(
        refused.err.contains("which is not where its lines are"),
        "{}",
        refused.err
    );
    assert_eq!(sandbox.read("f"), drifted);
    let rebased = ["apply", "--unidiff-zero", "--rebase"];
    let there = drifted.replace("line 12\n", "line 12\nX\n");
    for options in [&[][..], &["--strict"], &["--ignore-whitespace"]] {
        sandbox
            .run_with(&bare, &[&rebased[..], options].concat())
            .exits(0);
        assert_eq!(sandbox.read("f"), there, "{options:?}");
        sandbox.run(&["undo"]).exits(0);
    }
    // Nobody knows that blob: the number is believed, as it was asked for.
    let unknown = bare.replace("index ", "index 1");
    sandbox
        .run_with(&unknown, &["apply", "--unidiff-zero"])
        .exits(0);
    assert_eq!(
        sandbox.read("f"),
        drifted.replace("line 11\n", "line 11\nX\n")
    );
}

#[test]
fn a_hunk_with_little_context_does_not_go_to_a_copy_of_its_lines() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    sandbox.run(&["read", "f"]).exits(0);
    for context in 0..=1 {
        let hunk = diff_of(context, "");
        let copy: String = (11..=13).map(|line| format!("line {line}\n")).collect();
        let gone = lines().replace("line 12\n", "") + &copy;
        sandbox.write("f", &gone);
        for permission in [&["apply"][..], &["apply", "--rebase"]] {
            let refused = sandbox.run_with(&hunk, permission).exits(1);
            // Without any it cannot move at all.
            let why = ["it cannot move", "which is not where its lines are"][context as usize];
            assert!(refused.err.contains(why), "{}", refused.err);
            assert_eq!(sandbox.read("f"), gone);
        }
        // What changed beyond its own lines says nothing.
        let near = lines()
            .replace("line 10\n", "LINE 10\n")
            .replace("line 14\n", "");
        sandbox.write("f", &near);
        sandbox.run_with(&hunk, &["apply"]).exits(0);
        assert_eq!(sandbox.read("f"), near.replace("line 12\n", "X\n"));
        sandbox.run(&["undo"]).exits(0);
    }
}

#[test]
fn a_diff_lands_in_the_line_endings_that_the_file_has_by_now() {
    let sandbox = Sandbox::new(&[("f", &lines())]);
    drifted(&sandbox);
    let drifted = sandbox.read("f").replace('\n', "\r\n");
    let hunk = diff(&lines(), "X");
    for patch in [hunk.clone(), hunk.replace('\n', "\r\n")] {
        sandbox.write("f", &drifted);
        sandbox.run_with(&patch, &["apply"]).exits(1);
        sandbox.run_with(&patch, &["apply", "--rebase"]).exits(0);
        assert_eq!(sandbox.read("f"), drifted.replace("line 12\r\n", "X\r\n"));
        sandbox.run(&["undo"]).exits(0);
    }
}
