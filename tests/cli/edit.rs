//! `apply`, `check`, and a command for each operation, as a person or an agent types them.

use serde_json::json;

use crate::sandbox::Sandbox;

const AGENT: &str = "import a\n\nfn main() {\n    start();\n}\n";

/// One operation by its command: the text before, the arguments behind the file, the text after.
macro_rules! commands {
    ($($name:ident: $before:expr, $command:literal [$($argument:expr),*] => $after:expr;)+) => {
        $(#[test]
        fn $name() {
            let sandbox = Sandbox::new(&[("f", $before)]);
            let mut arguments = vec![$command, "f", $($argument),*];
            let preview = [&arguments[..], &["--dry-run"]].concat();
            let shown = sandbox.run(&preview).exits(0);
            assert_eq!(sandbox.read("f"), $before, "a dry run writes nothing");
            arguments.push("--no-diff");
            let run = sandbox.run(&arguments).exits(0);
            assert_eq!(sandbox.read("f"), $after);
            assert!(shown.err.starts_with("would apply 1 operation to 1 file"), "{}", shown.err);
            assert!(run.err.starts_with("applied 1 operation to 1 file"), "{}", run.err);
            assert_eq!(run.out, "");
        })+
    };
}

commands! {
    replace_block: "a\nb\n", "replace-block" ["--lines", "2", "--expect", "b", "--content", "x"] => "a\nx\n";
    replace_block_of_a_range: "a\nb\nc\n", "replace-block" ["--lines", "1-2", "--expect", "a\nb", "--content", ""] => "c\n";
    replace_padded: "a\nb\nc\n", "replace-block" ["--lines", "1-2", "--expect", "a\nb", "--content", "x", "--pad"] => "x\n\nc\n";
    insert_before_a_match: "a\nb\n", "insert-before" ["--match", "^b$", "--content", "x"] => "a\nx\nb\n";
    insert_after_the_last: "a\na\n", "insert-after" ["--text", "a", "--occurrence", "last", "--content", "-x"] => "a\na\n-x\n";
    insert_between: "<\n>\n", "insert-after" ["--between", "<", ">", "--content", "x"] => "<\nx\n>\n";
    insert_at_a_placeholder: "  ###ID###\n", "insert-before" ["--placeholder", "ID", "--indent", "--content", "x"] => "  x\n  ###ID###\n";
    append: "a\n", "append" ["--content", "b"] => "a\nb\n";
    prepend: "#!/bin/sh\na\n", "prepend" ["--content", "b"] => "#!/bin/sh\nb\na\n";
    replace_text: "a.b\n", "replace-text" ["--find", ".", "--content", "->"] => "a->b\n";
    replace_every_text: "aa\n", "replace-text" ["--find", "a", "--occurrence", "all", "--content", "b"] => "bb\n";
}

#[test]
fn files_come_move_and_go() {
    let sandbox = Sandbox::new(&[("a", "A\n")]);
    sandbox
        .run_with(
            "new\n",
            &[
                "create-file",
                "dir/new.sh",
                "--content-file",
                "-",
                "--executable",
            ],
        )
        .exits(0);
    sandbox.run(&["rename-file", "a", "b"]).exits(0);
    sandbox.run(&["copy-file", "b", "c"]).exits(0);
    sandbox
        .run(&["set-mode", "dir/new.sh", "--executable", "false"])
        .exits(0);
    let unguarded = sandbox.run(&["delete-file", "c"]).exits(1);
    assert!(unguarded.err.contains("UNGUARDED"), "{}", unguarded.err);
    sandbox.run(&["delete-file", "c", "--expect", "A"]).exits(0);
    let tree: Vec<(String, u32)> = sandbox
        .tree()
        .into_iter()
        .map(|(path, (_, mode))| {
            (
                path.strip_prefix(sandbox.root())
                    .unwrap()
                    .display()
                    .to_string(),
                mode & 0o111,
            )
        })
        .collect();
    assert_eq!(tree, [("b".to_owned(), 0), ("dir/new.sh".to_owned(), 0)]);
}

#[test]
fn a_file_argument_is_relative_to_the_current_directory() {
    let sandbox = Sandbox::new(&[("sub/f", "a\n")]);
    let mut command = sandbox.command(&["append", "f", "--content", "b"]);
    assert!(
        command
            .current_dir(sandbox.root().join("sub"))
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(sandbox.read("sub/f"), "a\nb\n");
    let outside = sandbox.run(&["append", "../f", "--content", "b"]).exits(1);
    assert!(outside.err.contains("PATH_ESCAPE"), "{}", outside.err);
}

fn stale() -> String {
    json!({ "operations": [
        { "op": "replace-block", "file": "f", "at": { "line": 4 }, "expect": "    begin();", "content": "x" },
        { "op": "append", "file": "g", "content": "never" },
    ] })
    .to_string()
}

#[test]
fn check_and_apply_say_the_same_and_check_writes_nothing() {
    let batch = json!({ "operations": [
        { "op": "replace-text", "file": "f", "find": "start", "content": "run" },
        { "op": "create-file", "file": "n", "content": "n" },
        { "op": "append", "file": "f", "content": "// end" },
    ] })
    .to_string();
    let sandbox = Sandbox::new(&[("f", AGENT)]);
    let before = sandbox.tree();
    let check = sandbox
        .run_with(&batch, &["check", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(sandbox.tree(), before);
    assert!(
        !sandbox
            .root()
            .join(".mission_control")
            .try_exists()
            .unwrap(),
        "a check leaves no state"
    );
    sandbox
        .run_with(&batch, &["check", "--detailed-exitcode"])
        .exits(5);
    let plan = check["plan"].as_str().unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    let refused = sandbox
        .run_with(&batch, &["apply", "--plan", &other])
        .exits(1);
    assert!(refused.err.contains("PLAN_MISMATCH"), "{}", refused.err);
    assert_eq!(sandbox.tree(), before);
    let apply = sandbox
        .run_with(&batch, &["apply", "--output", "json", "--plan", plan])
        .exits(0)
        .json();
    for key in ["plan", "files", "diff"] {
        assert_eq!(check[key], apply[key], "{key}");
    }
    for (one, other) in check["operations"]
        .as_array()
        .unwrap()
        .iter()
        .zip(apply["operations"].as_array().unwrap())
    {
        assert_eq!(one["would"], other["outcome"]);
        assert_eq!(one["lines"], other["lines"]);
    }
    assert_eq!(
        (check["status"].as_str(), apply["status"].as_str()),
        (Some("previewed"), Some("applied"))
    );
    assert_eq!(
        sandbox.read("f"),
        "import a\n\nfn main() {\n    run();\n}\n// end\n"
    );
    sandbox
        .run_with(&batch, &["check", "--detailed-exitcode"])
        .exits(0);
    // The log shows that the text was replaced, and the file is there as sent; a line at the end is
    // one more each time.
    let again = &[
        "check",
        "--detailed-exitcode",
        "--again",
        "--output",
        "json",
    ];
    let again = sandbox.run_with(&batch, again).exits(5).json();
    let would = [0, 1, 2].map(|index| again["operations"][index]["would"].as_str());
    assert_eq!(
        would,
        [
            Some("already_applied"),
            Some("already_applied"),
            Some("applied")
        ]
    );
}

#[test]
fn a_refusal_shows_what_was_expected_and_what_is_there() {
    let sandbox = Sandbox::new(&[("f", AGENT), ("g", "g\n")]);
    let before = sandbox.tree();
    let run = sandbox.run_with(stale(), &["apply"]).exits(1);
    assert_eq!(sandbox.tree(), before);
    insta::assert_snapshot!(run.err, @r"
    refused[EXPECT_MISMATCH]: line 4 of f is not the one expected
      --> f:4 (operation 0, replace-block)
       | expected
          |     begin();
       | found
        4 |     start();
    refused: 1 of 2 operations; the tree is as it was
    ");
    let report = sandbox
        .run_with(stale(), &["apply", "--output", "json"])
        .exits(1)
        .json();
    assert_eq!(
        report["operations"][0]["refusal"]["found"],
        "    start();\n"
    );
    assert_eq!(report["operations"][1]["outcome"], "not_applied");
    assert_eq!(report["status"], "refused");
    let part = sandbox.run_with(stale(), &["apply", "--partial"]).exits(6);
    assert!(
        part.err
            .contains("applied a part: 1 of 2 operations refused"),
        "{}",
        part.err
    );
    assert_eq!(sandbox.read("g"), "g\nnever\n");
}

/// A batch of 25 operations that are all refused, for two reasons.
fn corrupt() -> String {
    let stale = json!({ "op": "replace-block", "file": "f", "at": { "line": 4 }, "expect": "x", "content": "y" });
    let mut operations = vec![stale; 22];
    operations.resize(
        25,
        json!({ "op": "append", "file": "../f", "content": "y" }),
    );
    json!({ "operations": operations }).to_string()
}

#[test]
fn people_see_the_first_refusals_and_how_many_more_there_are() {
    let sandbox = Sandbox::new(&[("f", AGENT)]);
    let drawn = |err: &str| err.matches("\n  --> ").count();
    for command in ["apply", "check", "diff"] {
        let run = sandbox.run_with(corrupt(), &[command]).exits(1);
        assert_eq!(drawn(&run.err), 20, "{}", run.err);
        let more = "\nrefused: 5 more operations: 2 EXPECT_MISMATCH, 3 PATH_ESCAPE; \
                    `-v` or `--output json` shows all\n";
        assert!(run.err.contains(more), "{}", run.err);
        let all = sandbox.run_with(corrupt(), &[command, "-v"]).exits(1);
        assert_eq!(drawn(&all.err), 25, "{}", all.err);
        assert!(!all.err.contains("more operations"), "{}", all.err);
        let report = sandbox
            .run_with(corrupt(), &[command, "--output", "json"])
            .exits(1)
            .json();
        let operations = report["operations"].as_array().unwrap();
        assert!(operations.iter().all(|o| o["refusal"].is_object()));
        assert_eq!(operations.len(), 25);
    }
}

#[test]
fn people_see_the_first_notes_and_how_many_more_there_are() {
    let names: Vec<String> = (0..21).map(|number| format!("f{number}")).collect();
    let files: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.as_str(), "new\nnew\na\nb\nc\nd\n"))
        .collect();
    let sandbox = Sandbox::new(&files);
    let diff: String = names
        .iter()
        .map(|name| format!("--- a/{name}\n+++ b/{name}\n@@ -2,4 +2,4 @@\n a\n-b\n+x\n c\n d\n"))
        .collect();
    let run = sandbox.run_with(&diff, &["check"]).exits(0);
    let notes = |err: &str| err.matches("note: operation ").count();
    assert_eq!(notes(&run.err), 20, "{}", run.err);
    let more = "\nnote: 1 more note; `-v` or `--output json` shows all\n";
    assert!(run.err.contains(more), "{}", run.err);
    let all = sandbox.run_with(&diff, &["check", "-v"]).exits(0);
    assert_eq!(notes(&all.err), 21, "{}", all.err);
}

#[test]
fn a_batch_sent_twice_is_applied_once() {
    let sandbox = Sandbox::new(&[("f", "a\n")]);
    let batch = |content: &str| {
        json!({ "batch_id": "one", "operations": [{ "op": "append", "file": "f", "content": content }] }).to_string()
    };
    sandbox.run_with(batch("b"), &["apply"]).exits(0);
    let modified = sandbox
        .root()
        .join("f")
        .metadata()
        .unwrap()
        .modified()
        .unwrap();
    let again = sandbox
        .run_with(batch("b"), &["apply", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(again["operations"][0]["outcome"], "already_applied");
    assert_eq!(again["status"], "unchanged");
    assert_eq!(
        sandbox
            .root()
            .join("f")
            .metadata()
            .unwrap()
            .modified()
            .unwrap(),
        modified
    );
    let reused = sandbox.run_with(batch("c"), &["apply"]).exits(1);
    assert!(reused.err.contains("BATCH_ID_REUSED"), "{}", reused.err);
    assert_eq!(sandbox.read("f"), "a\nb\n");
}

#[test]
fn r29_nothing_from_files_or_batches_moves_the_cursor() {
    let nasty = "a\u{1b}[2J\u{9b}31m\u{202e}\r\u{7f}b\n";
    let sandbox = Sandbox::new(&[("f", nasty), ("na\u{1b}]0;me", "x\n")]);
    let batch = json!({ "operations": [
        { "op": "replace-block", "file": "f", "at": { "line": 1 }, "expect": "\u{1b}[5m", "content": nasty },
        { "op": "append", "file": "na\u{1b}]0;me", "content": nasty },
        { "op": "append", "file": "no\u{1b}[1mfile", "content": "x" },
    ] })
    .to_string();
    let refused = sandbox.run_with(&batch, &["apply", "-v"]).exits(1);
    let bad = format!(
        "{{\"operations\": [{{\"op\": \"{}\"}}]}}",
        "\\u001b[2J\u{9b}"
    );
    let fault = sandbox.run_with(bad, &["apply"]).exits(2);
    let shown = sandbox
        .run(&["append", "na\u{1b}]0;me", "--content", nasty])
        .exits(0);
    let colored = sandbox
        .run(&[
            "append",
            "f",
            "--content",
            nasty,
            "--color",
            "never",
            "--dry-run",
        ])
        .exits(0);
    for run in [refused, fault, shown, colored] {
        for text in [run.out, run.err] {
            let unsafe_character = text.chars().find(|&c| {
                c.is_control() && c != '\n' && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}')
            });
            assert_eq!(unsafe_character, None, "{text:?}");
        }
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let sandbox = Sandbox::new(&[("f", &"line\n".repeat(10_000))]);
    let mut command = sandbox.command(&[
        "replace-text",
        "f",
        "--find",
        "line",
        "--occurrence",
        "all",
        "--content",
        "x",
    ]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(sandbox.read("f").starts_with("x\nx\n"));
}

#[test]
fn resolve_tells_where_an_address_stands() {
    let sandbox = Sandbox::new(&[("f", "a\n<\n>\n  ###ID###\n")]);
    let resolve = |address: &str| sandbox.run(&["resolve", "f", address]);
    let place = resolve("ID").exits(0).json();
    assert_eq!(place["mode"], "existing");
    assert_eq!(place["span"], json!({ "first_line": 4, "last_line": 4 }));
    assert_eq!(place["expect"], "  ###ID###\n");
    let empty = resolve(r#"{"between": ["<", ">"]}"#).exits(0).json();
    assert_eq!(empty["insert_before_line"], 3);
    assert_eq!(
        sandbox.run(&["resolve", "new", "1"]).exits(0).json(),
        json!({ "mode": "new" })
    );
    let missing = resolve("/zzz/").exits(1);
    assert!(missing.err.contains("ANCHOR_NOT_FOUND"), "{}", missing.err);
    resolve("lower case").exits(2);
}

#[test]
fn demo_runs_and_all_that_it_says_to_try_next_works() {
    let sandbox = Sandbox::new(&[]);
    let run = sandbox.run(&["demo", "tour"]).exits(0);
    assert!(
        run.out.contains("+  private readonly id: string;"),
        "{}",
        run.out
    );
    assert!(
        run.err.contains("applied 8 operations to 5 files"),
        "{}",
        run.err
    );
    let (_, next) = run.err.split_once("Try next:").unwrap();
    let commands: Vec<&str> = next
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .collect();
    assert_eq!(commands.len(), 6);
    for line in commands {
        let status = std::process::Command::new("sh")
            .args(["-c", line])
            .current_dir(sandbox.root())
            .output()
            .unwrap();
        let expected = if line.contains("stale.json") { 1 } else { 0 };
        assert_eq!(status.status.code(), Some(expected), "{line}: {status:?}");
    }
    sandbox.run(&["demo", "tour"]).exits(2);
}

#[test]
fn input_that_was_applied_is_known_until_it_is_asked_for_again() {
    const ENVELOPE: &str = "*** Begin Patch\n*** Update File: f\n@@\n+// end\n*** End Patch\n";
    let sandbox = Sandbox::new(&[("f", AGENT)]);
    let apply = ["apply", "-", "--output", "json"];
    let first = sandbox.run_with(ENVELOPE, &apply).exits(0).json();
    let after = sandbox.read("f");
    let second = sandbox.run_with(ENVELOPE, &apply).exits(0).json();
    assert_eq!(second["status"], "unchanged");
    assert_eq!(second["batch_id"], first["batch_id"]);
    assert_eq!(second["operations"][0]["outcome"], "already_applied");
    assert_eq!(sandbox.read("f"), after);
    let check = ["check", "-", "--detailed-exitcode"];
    sandbox.run_with(ENVELOPE, &check).exits(0);
    let check = ["check", "-", "--detailed-exitcode", "--again"];
    sandbox.run_with(ENVELOPE, &check).exits(5);
    let again = ["apply", "-", "--again"];
    sandbox.run_with(ENVELOPE, &again).exits(0);
    assert_ne!(sandbox.read("f"), after);
}

#[test]
fn a_command_of_one_operation_is_carried_out_each_time() {
    let sandbox = Sandbox::new(&[("f", "a\n")]);
    for _ in 0..2 {
        sandbox.run(&["append", "f", "--content", "b"]).exits(0);
    }
    assert_eq!(sandbox.read("f"), "a\nb\nb\n");
}
