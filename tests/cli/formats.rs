//! Patches in other formats, and listings for those who write them, through the binary.

use serde_json::json;

use crate::sandbox::Sandbox;

#[test]
fn a_file_that_never_was_is_neither_deleted_nor_renamed() {
    let sandbox = Sandbox::new(&[("nape.txt", "a\n"), ("b", "b\n")]);
    let hashline = "[nope.txt]\nREM\n";
    for arguments in [
        &["delete-file", "nope.txt"][..],
        &["delete-file", "nope.txt", "--allow-unguarded"],
        &["rename-file", "nope.txt", "b"],
        &["apply", "--allow-unguarded"],
    ] {
        let run = sandbox.run_with(hashline, arguments).exits(1);
        assert!(run.err.contains("FILE_NOT_FOUND"), "{}", run.err);
        assert!(run.err.contains("nape.txt"), "{}", run.err);
    }
    // What the log shows has happened.
    sandbox.run(&["rename-file", "b", "c"]).exits(0);
    sandbox
        .run(&["delete-file", "nape.txt", "--expect", "a"])
        .exits(0);
    for arguments in [&["rename-file", "b", "c"][..], &["delete-file", "nape.txt"]] {
        let run = sandbox.run(arguments).exits(0);
        assert!(run.err.contains("is not there"), "{}", run.err);
    }
    sandbox.run(&["rename-file", "b", "nape.txt"]).exits(1);
    // Undone, it has not.
    sandbox.run(&["undo"]).exits(0);
    sandbox.run(&["delete-file", "nape.txt"]).exits(1);
}

#[test]
fn a_deletion_in_another_format_is_held_to_what_its_agent_read() {
    let envelope = "*** Begin Patch\n*** Delete File: f\n*** End Patch\n";
    let call = r#"{"name": "delete_file", "input": {"path": "f"}}"#;
    let apply = &["apply", "--agent", "codex", "--output", "json"][..];
    for input in [envelope, call] {
        let sandbox = Sandbox::new(&[("f", "a\n")]);
        sandbox.run(&["read", "f", "--agent", "codex"]).exits(0);
        sandbox.write("f", "b\n");
        let report = sandbox.run_with(input, apply).exits(1).json();
        let refusal = &report["operations"][0]["refusal"];
        assert_eq!(refusal["code"], "BASE_MISMATCH", "{report}");
        assert_eq!(sandbox.read("f"), "b\n");
        // Without anything read it is unguarded, and says so.
        let other = &["apply", "--output", "json"];
        let report = sandbox.run_with(input, other).exits(0).json();
        assert_eq!(report["operations"][0]["guarded"], false, "{report}");
    }
}

#[test]
fn a_file_that_prose_names_is_found_wherever_it_is() {
    let block =
        |old: &str, new: &str| format!("<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n");
    let sandbox = Sandbox::new(&[("src/f.py", "a\nb\n"), ("lib/g.py", "b\n")]);
    let patch = format!(
        "src/f.py\n{}\nIn g.py do:\n\n{}",
        block("a", "A"),
        block("b", "B")
    );
    let run = sandbox.run_with(&patch, &["apply"]).exits(1);
    assert!(run.err.contains("names lib/g.py"), "{}", run.err);
    assert_eq!(sandbox.read("src/f.py"), "a\nb\n");
}

#[test]
fn what_the_environment_forbids_no_option_allows() {
    let sandbox = Sandbox::new(&[("f.py", "def f():\n    a()\n    b()\n    c()\n")]);
    let batch = json!({"operations": [{
        "op": "replace-text", "file": "f.py", "find": "    a()\n    b()\n    c()\n",
        "content": "    a()\n    # ... rest of the code unchanged ...\n",
    }]});
    let envelope = "*** Begin Patch\n*** Update File: f.py\n@@\n-    a()\n-    b()\n-    c()\n+    a()\n+    # ... rest of the code unchanged ...\n*** End Patch\n";
    for input in [batch.to_string(), envelope.to_owned()] {
        sandbox.write("patch", &input);
        let mut apply = sandbox.command(&["apply", "patch", "--allow-omission"]);
        apply.env("PATCHCTL_FORBID_OMISSION", "1");
        let output = apply.output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("LAZY_OMISSION"), "{err}");
        sandbox
            .run_with(&input, &["check", "--allow-omission"])
            .exits(0);
    }
}

#[test]
fn a_stale_listing_is_refused_with_the_lines_as_they_are() {
    let text: String = (1..=12).map(|line| format!("line {line}\n")).collect();
    let sandbox = Sandbox::new(&[("f", text.as_str())]);
    for (command, op, line, found) in [
        ("SWAP 8:\n+x\n", "replace-block", 8, "6:line 6"),
        ("INS.TAIL:\n+x\n", "append", 12, "10:line 10"),
        ("REM\n", "delete-file", 1, "1:line 1"),
        ("MV g\n", "rename-file", 1, "1:line 1"),
    ] {
        let patch = format!("[f#00000000]\n{command}");
        let apply = &["apply", "--output", "json"];
        let report = sandbox.run_with(&patch, apply).exits(1).json();
        let operation = &report["operations"][0];
        assert_eq!(operation["op"], op, "{report}");
        let refusal = &operation["refusal"];
        assert_eq!(refusal["code"], "BASE_MISMATCH", "{report}");
        assert_eq!(refusal["line"], line, "{report}");
        let shown = refusal["found"].as_str().unwrap();
        assert_eq!(shown.lines().nth(1), Some(found), "{report}");
        // With one number before each line.
        let run = sandbox.run_with(&patch, &["apply"]).exits(1);
        assert!(
            run.err.contains(&format!("      | {found}\n")),
            "{}",
            run.err
        );
    }
    for command in ["SWAP 8:\n+x\n", "REM\n"] {
        let run = sandbox
            .run_with(format!("[f]\n{command}"), &["apply"])
            .exits(1);
        assert!(run.err.contains("UNGUARDED"), "{}", run.err);
        assert!(
            run.err.contains("read the file as a listing with tags"),
            "{}",
            run.err
        );
        assert!(!run.err.contains("\"base\""), "{}", run.err);
    }
}

#[test]
fn a_name_forges_no_line_and_only_what_is_escaped_is_called_so() {
    let odd = "a\n9\tfake";
    let sandbox = Sandbox::new(&[
        (odd, "1\n"),
        ("f.rs", "use std::fmt;\n## x\n"),
        ("g.rs", "a\n\u{1b}[2J\n"),
    ]);
    let run = sandbox.run(&["read", odd]).exits(0);
    assert!(
        run.out.starts_with("a\\x0a9\\x09fake: 1 line"),
        "{}",
        run.out
    );
    let run = sandbox.run(&["read", "f.rs"]).exits(0);
    assert!(!run.out.contains("escapes"), "{}", run.out);
    for form in [&["read", "g.rs"][..], &["read", "g.rs", "--hashline"]] {
        let run = sandbox.run(form).exits(0);
        assert!(
            run.out.contains("line 2 shown with \\x escapes"),
            "{}",
            run.out
        );
    }
    let run = sandbox.run(&["run", "--", "rm", odd]).exits(0);
    let show = sandbox.run(&["show"]).exits(0);
    for shown in [run.err, show.out] {
        assert!(!shown.contains("\n9\tfake"), "{shown}");
    }
}
