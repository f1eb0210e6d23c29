//! R21 and R23 to R27: input that means harm, or was made by a machine that went astray.

use serde_json::json;

use crate::sandbox::{Run, Sandbox};

fn apply(sandbox: &Sandbox, input: impl AsRef<[u8]>) -> Run {
    let before = sandbox.tree();
    let run = sandbox.run_with(input, &["apply"]);
    if run.code != 0 {
        assert_eq!(sandbox.tree(), before);
    }
    run
}

#[test]
fn r21_formats_that_hide_what_they_do_are_refused() {
    let sandbox = Sandbox::new(&[("f", "a\nb\n"), ("g", "g\n")]);
    for patch in [
        "*** f\n--- f\n***************\n*** 1,2 ****\n! a\n  b\n--- 1,2 ----\n! x\n  b\n",
        "1c\nx\n.\nw f\n!touch pwned\nq\n",
        "Index: f\n1c1\n< a\n---\n> x\n",
        "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n",
        "diff --git a/s b/s\nnew file mode 160000\n--- /dev/null\n+++ b/s\n@@ -0,0 +1 @@\n+Subproject commit 0123456789012345678901234567890123456789\n",
        "--- a/f\n+++ b/f\n@@ -1,99999999999999999999999 +1 @@\n-a\n+x\n",
        "--- a/f\n+++ b/f\n@@ -18446744073709551615,1 +1 @@\n-a\n+x\n",
        "--- a/f\n+++ b/f\n@@ -2 +2 @@\n-a\n+x\n@@ -1 +1 @@\n-zzz\n+y\n",
    ] {
        let run = apply(&sandbox, patch);
        assert!(matches!(run.code, 1 | 2), "{patch}: {run:?}");
    }
    let names: Vec<_> = sandbox.tree().into_keys().collect();
    assert_eq!(names.len(), 2, "no .rej, no .orig, nothing else: {names:?}");
}

#[test]
fn r21_a_link_made_by_an_earlier_file_of_the_diff_is_not_followed() {
    let sandbox = Sandbox::new(&[("f", "a\n")]);
    let diff = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+..\n\\ No newline at end of file\n\
        diff --git a/l/evil b/l/evil\nnew file mode 100644\n--- /dev/null\n+++ b/l/evil\n@@ -0,0 +1 @@\n+x\n";
    apply(&sandbox, diff).exits(1);
    assert!(!sandbox.outside().join("evil").try_exists().unwrap());
}

#[test]
fn r23_every_fault_has_a_position() {
    let sandbox = Sandbox::new(&[("f", "a\n")]);
    let one = |line: &str| {
        format!(
            "{{\"operations\": [\n{{\"op\": \"replace-block\", \"file\": \"f\", \"at\": {{\"line\": {line}}}, \"expect\": \"a\", \"content\": \"b\"}}]}}"
        )
    };
    let mut inputs: Vec<Vec<u8>> = [
        "1e999999999",
        "18446744073709551616",
        "-1",
        "1.0",
        "\"1\"",
        "1, \"line\": 1",
        "1, \"lien\": 2",
    ]
    .map(|line| one(line).into_bytes())
    .to_vec();
    inputs.push(one("1").replace("\"a\"", "\"\\ud800\"").into_bytes());
    inputs.push([one("1").as_bytes(), b"x"].concat());
    inputs.push(one("1").replace("\"b\"", "\"\u{0}\"").into_bytes());
    let mut invalid = one("1").into_bytes();
    let quote = invalid.len() - 4;
    invalid[quote] = 0xff;
    inputs.push(invalid);
    inputs.push(
        ["{\"operations\":\n", &"[".repeat(1_000_000)]
            .concat()
            .into_bytes(),
    );
    inputs.push("{\"version\": 2,\n\"operations\": []}".into());
    for input in inputs {
        let shown = String::from_utf8_lossy(&input[..input.len().min(200)]).into_owned();
        let run = apply(&sandbox, &input).exits(2);
        assert!(run.err.contains("standard input:"), "{shown}: {}", run.err);
        let report = sandbox
            .run_with(&input, &["apply", "--output", "json"])
            .exits(2)
            .json();
        assert!(report["refusal"]["line"].is_u64(), "{shown}: {report}");
    }
}

#[test]
fn r24_lines_that_cannot_be_are_refused_without_wrap_around() {
    let sandbox = Sandbox::new(&[("f", "a\nb\nc\n")]);
    let max = u64::MAX;
    for at in [
        json!({ "line": 0 }),
        json!({ "line": 4 }),
        json!({ "line": max }),
        json!({ "lines": [3, 2] }),
        json!({ "lines": [0, max] }),
        json!({ "lines": [1, max] }),
    ] {
        let batch = json!({ "operations": [
            { "op": "replace-block", "file": "f", "at": at, "expect": "a", "content": "x" },
        ] });
        let run = apply(&sandbox, batch.to_string()).exits(1);
        assert!(run.err.contains("LINE_OUT_OF_RANGE"), "{}", run.err);
    }
}

#[test]
fn r25_a_great_many_operations_on_one_file() {
    const LINES: usize = 20_000;
    let text: String = (0..LINES).map(|line| format!("line {line}\n")).collect();
    let sandbox = Sandbox::new(&[("f", &text)]);
    let operations: Vec<_> = (0..LINES)
        .map(|line| {
            json!({ "op": "replace-block", "file": "f", "at": { "line": line + 1 },
                "expect": format!("line {line}"), "content": format!("new {line}") })
        })
        .collect();
    let batch = json!({ "operations": operations }).to_string();
    sandbox
        .run_with(batch, &["apply", "-q", "--no-diff"])
        .exits(0);
    assert!(sandbox.read("f").ends_with("new 19998\nnew 19999\n"));
    let too_many = format!("{{\"operations\": [{}1]}}", "1,".repeat(1_000_000));
    let run = sandbox.run_with(too_many, &["check"]).exits(2);
    assert!(
        run.err.contains("LIMIT_EXCEEDED") || run.err.contains("INVALID_BATCH"),
        "{}",
        run.err
    );
}

#[test]
fn r26_binary_files_are_refused_unless_the_operator_opts_in() {
    let sandbox = Sandbox::new(&[("f", "a\0b\nc\n"), ("w", "\u{0}")]);
    sandbox.write("w", b"\xff\xfea\0\n\0");
    let append = |file: &str| {
        json!({ "operations": [{ "op": "append", "file": file, "content": "x" }] }).to_string()
    };
    assert!(
        apply(&sandbox, append("f"))
            .exits(1)
            .err
            .contains("BINARY_FILE")
    );
    assert!(
        apply(&sandbox, append("w"))
            .exits(1)
            .err
            .contains("UNSUPPORTED_ENCODING")
    );
    sandbox
        .run_with(append("w"), &["apply", "--allow-binary"])
        .exits(1);
    sandbox
        .run_with(append("f"), &["apply", "--allow-binary"])
        .exits(0);
    assert_eq!(sandbox.read("f"), "a\0b\nc\nx\n");
}

#[test]
fn r27_regular_expressions_are_linear_and_limited() {
    let sandbox = Sandbox::new(&[("f", &format!("{}!\n", "a".repeat(100_000)))]);
    let at = |regex: &str| {
        json!({ "operations": [
            { "op": "insert-after", "file": "f", "at": { "match": regex }, "content": "x" },
        ] })
        .to_string()
    };
    // Exponential where expressions backtrack.
    apply(&sandbox, at("^(a+)+$")).exits(1);
    let huge = apply(&sandbox, at("(a{1000}){1000}")).exits(2);
    assert!(huge.err.contains("LIMIT_EXCEEDED"), "{}", huge.err);
    let looks_back = apply(&sandbox, at("(a)\\1")).exits(2);
    assert!(
        looks_back.err.contains("INVALID_BATCH"),
        "{}",
        looks_back.err
    );
}

#[test]
fn code_left_out_is_refused_in_batches_and_dialects_alike() {
    let sandbox = Sandbox::new(&[("f.ts", "a\nb\n// ... existing code ...\n")]);
    let lazy = "x\n// ... rest of the code unchanged ...";
    let batch =
        json!({ "operations": [{ "op": "append", "file": "f.ts", "content": lazy }] }).to_string();
    let replace = json!({ "command": "str_replace", "path": "f.ts", "old_str": "b\n", "new_str": format!("{lazy}\n") }).to_string();
    for input in [&batch, &replace] {
        let run = apply(&sandbox, input).exits(1);
        assert!(run.err.contains("LAZY_OMISSION"), "{}", run.err);
        sandbox
            .run_with(input, &["check", "--allow-omission"])
            .exits(0);
    }
    // What the file says already is its author's.
    let kept = json!({ "operations": [
        { "op": "replace-block", "file": "f.ts", "at": { "lines": [2, 3] }, "expect": "b\n// ... existing code ...",
          "content": "c\n// ... existing code ..." },
    ] });
    apply(&sandbox, kept.to_string()).exits(0);
}
