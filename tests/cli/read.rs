//! `read` and `snapshot`, and edits by line numbers that are held to what was read.

use crate::sandbox::Sandbox;

fn sandbox() -> Sandbox {
    Sandbox::new(&[
        ("a.txt", "one\ntwo\nthree\n"),
        ("src/dos.txt", "x\r\ny"),
        ("t.ts", "1\n2\n// ###HERE###\n4\n5\n"),
    ])
}

fn insert(file: &str, line: usize, more: &str) -> String {
    format!(r#"{{"command":"insert","path":"{file}","insert_line":{line},"new_str":"new"{more}}}"#)
}

#[test]
fn people_see_numbered_lines_below_the_hash() {
    let sandbox = sandbox();
    let run = sandbox.run(&["read", "a.txt", "src/dos.txt"]).exits(0);
    let base = |bytes: &[u8]| patchcore::Digest::of(bytes).to_string();
    assert_eq!(
        run.out,
        format!(
            "a.txt: 3 lines, base {}\n1\tone\n2\ttwo\n3\tthree\n\
             src/dos.txt: 2 lines, base {}, CRLF line endings, no newline at the end\n1\tx\n2\ty\n",
            base(b"one\ntwo\nthree\n"),
            base(b"x\r\ny"),
        )
    );
    assert_eq!(run.err, "");
    let run = sandbox.run(&["read", "a.txt", "--lines", "2-9"]).exits(0);
    assert!(run.out.starts_with("a.txt: lines 2-3 of 3, base sha256:"));
    assert!(run.out.ends_with("\n2\ttwo\n3\tthree\n"), "{}", run.out);
    let around = ["read", "t.ts", "--around", "HERE", "--context", "1"];
    let run = sandbox.run(&around).exits(0);
    assert!(
        run.out.ends_with("\n2\t2\n3\t// ###HERE###\n4\t4\n"),
        "{}",
        run.out
    );
    let run = sandbox.run(&["read", "a.txt", "--hashline"]).exits(0);
    let tag = patchcore::rebase::Tag::of(b"one\ntwo\nthree\n");
    assert_eq!(run.out, format!("[a.txt#{tag}]\n1:one\n2:two\n3:three\n"));
}

#[test]
fn what_cannot_be_shown_is_said_beside_what_can() {
    let sandbox = sandbox();
    sandbox.write("odd", b"caf\xe9\n\x1b[2J\nplain\n");
    let run = sandbox.run(&["read", "a.tx", "a.txt"]).exits(1);
    assert!(run.out.contains("2\ttwo"), "{}", run.out);
    assert!(
        run.err.contains("FILE_NOT_FOUND") && run.err.contains("a.txt"),
        "{}",
        run.err
    );
    let run = sandbox.run(&["read", "odd"]).exits(0);
    assert!(
        run.out.contains("lines 1 2 shown with \\x escapes"),
        "{}",
        run.out
    );
    assert!(
        run.out.ends_with("1\tcaf\\xe9\n2\t\\x1b[2J\n3\tplain\n"),
        "{}",
        run.out
    );
    let run = sandbox.run(&["read", "a.txt", "--lines", "7-9"]).exits(1);
    assert!(
        run.err
            .contains("line 7 is past the end of a.txt, which has 3 lines"),
        "{}",
        run.err
    );
    let run = sandbox.run(&["read", "../x"]).exits(1);
    assert!(run.err.contains("PATH_ESCAPE"), "{}", run.err);
    sandbox
        .run(&["read", "a.txt", "t.ts", "--lines", "1"])
        .exits(2);
    let missing = sandbox
        .run(&["read", "none", "--output", "json"])
        .exits(1)
        .json();
    assert_eq!(missing["files"][0]["refusal"]["code"], "FILE_NOT_FOUND");
}

/// The listing costs an agent little more than the numbered lines alone.
#[test]
fn a_listing_is_short() {
    let sandbox = sandbox();
    for (size, lines) in [(1500, 40), (4000, 120), (40_000, 1000)] {
        let line = "x".repeat(size / lines - 1);
        let text = format!("{line}\n").repeat(lines);
        sandbox.write("f", &text);
        let plain: usize = (1..=lines)
            .map(|number| format!("{number}\t{line}\n").len())
            .sum();
        let shown = sandbox.run(&["read", "f"]).exits(0).out.len();
        assert!(shown * 10 <= plain * 11, "{shown} for {plain}");
    }
}

#[test]
fn a_position_alone_is_held_to_what_its_agent_read_last() {
    let sandbox = sandbox();
    let apply = |input: &str, agent: &str| {
        sandbox.run_with(input, &["apply", "--agent", agent, "--output", "json"])
    };
    let code = |input: &str, agent: &str| {
        apply(input, agent).exits(1).json()["operations"][0]["refusal"]["code"].clone()
    };
    assert_eq!(code(&insert("a.txt", 1, ""), "codex"), "UNGUARDED");
    sandbox.run(&["read", "a.txt", "--agent", "codex"]).exits(0);
    // Nobody else was shown it.
    assert_eq!(code(&insert("a.txt", 1, ""), "claude"), "UNGUARDED");
    let report = apply(&insert("a.txt", 1, ""), "codex").exits(0).json();
    assert_eq!(report["operations"][0]["guarded"], true);
    assert_eq!(sandbox.read("a.txt"), "one\nnew\ntwo\nthree\n");
    // What was read is not what stands there any more, whoever changed it.
    let second = insert("a.txt", 2, "");
    assert_eq!(code(&second, "codex"), "BASE_MISMATCH");
    sandbox
        .run(&["read", "a.txt", "--lines", "1", "--agent", "codex"])
        .exits(0);
    apply(&second, "codex").exits(0);
    assert_eq!(sandbox.read("a.txt"), "one\nnew\nnew\ntwo\nthree\n");
    // The same goes for a batch.
    let batch = r#"{"operations": [
        {"op": "insert-after", "file": "t.ts", "at": {"line": 1}, "content": "new"},
        {"op": "delete-file", "file": "src/dos.txt"}
    ]}"#;
    assert_eq!(code(batch, "codex"), "UNGUARDED");
    sandbox
        .run(&["read", "t.ts", "src/dos.txt", "--agent", "codex"])
        .exits(0);
    apply(batch, "codex").exits(0);
}

#[test]
fn a_position_alone_is_held_to_the_base_that_it_carries() {
    let sandbox = sandbox();
    let base = sandbox
        .run(&["read", "a.txt", "--output", "json"])
        .exits(0)
        .json();
    let base = base["files"][0]["base"].as_str().unwrap().to_owned();
    let with_base = format!(r#","base":"{base}""#);
    let uri = format!("file://{}/a.txt", sandbox.root().display());
    let lsp = format!(
        r#"{{"documentChanges":[{{"textDocument":{{"uri":"{uri}","version":1{with_base}}},"edits":[{{"range":{{"start":{{"line":0,"character":0}},"end":{{"line":0,"character":3}}}},"newText":"ONE"}}]}}]}}"#
    );
    sandbox.run_with(&lsp, &["apply"]).exits(0);
    assert_eq!(sandbox.read("a.txt"), "ONE\ntwo\nthree\n");
    let other = lsp.replace("ONE", "Two");
    for stale in [other, insert("a.txt", 2, &with_base)] {
        let report = sandbox
            .run_with(&stale, &["apply", "--output", "json"])
            .exits(1)
            .json();
        assert_eq!(report["operations"][0]["refusal"]["code"], "BASE_MISMATCH");
    }
    sandbox.write("a.txt", "one\ntwo\nthree\n");
    sandbox
        .run_with(insert("a.txt", 2, &with_base), &["apply"])
        .exits(0);
    assert_eq!(sandbox.read("a.txt"), "one\ntwo\nnew\nthree\n");
    let wrong = insert("a.txt", 2, r#","base":"md5:00""#);
    let run = sandbox.run_with(wrong, &["apply"]).exits(2);
    assert!(run.err.contains("a hash is"), "{}", run.err);
}

/// From one view, the first insert moves the lines below it: there the two readings of the second
/// differ.
#[test]
fn two_positions_of_one_view_land_where_they_do_not_move_one_another() {
    let sandbox = sandbox();
    let run = |lines: [usize; 2]| {
        sandbox.write("a.txt", "1\n2\n3\n4\n5\n6\n");
        sandbox.run(&["read", "a.txt", "--agent", "codex"]).exits(0);
        let calls = lines.map(|line| insert("a.txt", line, ""));
        sandbox.run_with(
            calls.join("\n"),
            &["apply", "--agent", "codex", "--output", "json"],
        )
    };
    let report = run([2, 4]).exits(1).json();
    assert_eq!(report["operations"][1]["refusal"]["code"], "UNGUARDED");
    assert_eq!(sandbox.read("a.txt"), "1\n2\n3\n4\n5\n6\n");
    run([4, 2]).exits(0);
    assert_eq!(sandbox.read("a.txt"), "1\n2\nnew\n3\n4\nnew\n5\n6\n");
}

#[test]
fn a_call_that_looks_shows_the_file_and_counts_as_read() {
    let sandbox = sandbox();
    for view in [
        r#"{"command":"view","path":"a.txt","view_range":[2,-1]}"#,
        r#"{"name":"Read","input":{"file_path":"a.txt","offset":2,"limit":5}}"#,
    ] {
        let arguments = ["apply", "--agent", "codex"];
        let run = sandbox.run_with(view, &arguments).exits(0);
        assert!(
            run.out.contains("a.txt: lines 2-3 of 3, base sha256:"),
            "{}",
            run.out
        );
        assert!(run.out.ends_with("2\ttwo\n3\tthree\n"), "{}", run.out);
        let run = sandbox
            .run_with(view, &["check", "--output", "json"])
            .exits(0)
            .json();
        assert_eq!(run["reads"][0]["text"], "two\nthree\n");
    }
    sandbox
        .run_with(insert("a.txt", 1, ""), &["apply", "--agent", "codex"])
        .exits(0);
    // Only what was shown before counts: the view beside an edit shows what the edit left.
    let both = format!(
        "{}\n{}",
        r#"{"command":"view","path":"t.ts"}"#,
        insert("t.ts", 1, "")
    );
    sandbox
        .run_with(&both, &["apply", "--agent", "codex"])
        .exits(1);
    sandbox
        .run_with(&both, &["apply", "--agent", "codex"])
        .exits(0);
    assert_eq!(sandbox.read("t.ts"), "1\nnew\n2\n// ###HERE###\n4\n5\n");
}

#[test]
fn a_reader_needs_no_lock_to_see() {
    let sandbox = sandbox();
    sandbox.run(&["read", "a.txt"]).exits(0);
    let mut holder = sandbox
        .command(&["append", "a.txt", "--content", "x", "--verify", "sleep 30"])
        .spawn()
        .unwrap();
    let lock = sandbox.root().join(".mission_control/lock");
    while std::fs::File::open(&lock).unwrap().try_lock().is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    // While it is verified the tree is neither old nor new; else only remembering needs the lock.
    let run = sandbox.run(&["read", "t.ts", "--lock-wait", "0"]);
    assert!([0, 3].contains(&run.code), "{run:?}");
    if run.code == 0 {
        assert!(run.err.contains("could not be remembered"), "{run:?}");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn a_snapshot_keeps_the_tree_or_what_is_named() {
    let sandbox = sandbox();
    sandbox.write(".gitignore", "out\n");
    sandbox.write("out/x", "ignored\n");
    let whole = sandbox
        .run(&["snapshot", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(whole["files"], 4);
    assert_eq!(whole["left_out"], serde_json::json!(["out"]));
    let named = sandbox
        .run(&["snapshot", "out", "a.txt", "--output", "json"])
        .exits(0)
        .json();
    assert_eq!(named["files"], 2);
    assert_eq!(
        sandbox.run(&["snapshot", "out"]).exits(0).out,
        "kept 1 file, 8 bytes\n"
    );
    let run = sandbox.run(&["snapshot", "none"]).exits(1);
    assert!(run.err.contains("FILE_NOT_FOUND"), "{}", run.err);
}
