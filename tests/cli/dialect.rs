//! Foreign patches through the program.

use std::fs;
use std::path::Path;

use crate::sandbox::Sandbox;

const OLD: &str = "one\ntwo\nthree\nfour\nfive\n";
const NEW: &str = "one\n2\nthree\nfour\nfive\n";
const DIFF: &str = "--- a/f\n+++ b/f\n@@ -1,4 +1,4 @@\n one\n-two\n+2\n three\n four\n";

/// The same change in every dialect that can say it.
const PATCHES: [(&str, &str); 8] = [
    ("unified-diff", DIFF),
    (
        "codex",
        "*** Begin Patch\n*** Update File: f\n@@\n one\n-two\n+2\n*** End Patch\n",
    ),
    (
        "search-replace",
        "f\n<<<<<<< SEARCH\ntwo\n=======\n2\n>>>>>>> REPLACE\n",
    ),
    (
        "str-replace",
        r#"{"command": "str_replace", "path": "f", "old_str": "two", "new_str": "2"}"#,
    ),
    (
        "mcp-edit",
        r#"{"path": "f", "edits": [{"oldText": "two", "newText": "2"}]}"#,
    ),
    (
        "workspace-edit",
        r#"{"changes": {"f": [{"range": {"start": {"line": 1, "character": 0}, "end": {"line": 1, "character": 3}}, "newText": "2"}]}}"#,
    ),
    (
        "files",
        r#"[{"path": "f", "content": "one\n2\nthree\nfour\nfive\n"}]"#,
    ),
    ("hashline", "[f#BD730CE8]\nSWAP 2.=2:\n+2\n"),
];

#[test]
fn every_dialect_is_told_and_applied_and_converted() {
    for (dialect, patch) in PATCHES {
        let sandbox = Sandbox::new(&[("f", OLD), ("patch", patch)]);
        let batch = sandbox
            .run(&["convert", "patch", "--to", "batch", "--allow-unguarded"])
            .exits(0)
            .out;
        let diff = sandbox
            .run(&[
                "convert",
                "patch",
                "--to",
                "unified-diff",
                "--allow-unguarded",
            ])
            .exits(0)
            .out;
        assert!(
            batch.contains("\"base\"") && batch.contains("sha256:"),
            "{dialect}: {batch}"
        );
        assert_eq!(sandbox.read("f"), OLD, "{dialect}: convert writes nothing");
        for input in [patch, &batch, &diff] {
            sandbox.write("f", OLD);
            sandbox.write("patch", input);
            sandbox
                .run(&["apply", "patch", "--no-diff", "--allow-unguarded"])
                .exits(0);
            assert_eq!(sandbox.read("f"), NEW, "{dialect}");
        }
        sandbox.write("f", OLD);
        sandbox.write("patch", patch);
        sandbox
            .run(&[
                "apply",
                "patch",
                "--dialect",
                dialect,
                "--strict",
                "--allow-unguarded",
                "--no-diff",
            ])
            .exits(0);
        assert_eq!(sandbox.read("f"), NEW, "{dialect}");
    }
}

#[test]
fn a_diff_is_taken_back_by_reverse_and_other_dialects_say_that_they_cannot_be() {
    let sandbox = Sandbox::new(&[("f", NEW), ("patch", DIFF), ("codex", PATCHES[1].1)]);
    sandbox
        .run(&["apply", "patch", "--reverse", "--no-diff"])
        .exits(0);
    assert_eq!(sandbox.read("f"), OLD);
    let said = sandbox.run(&["apply", "codex", "--reverse"]).exits(2);
    assert!(said.err.contains("cannot be reversed"), "{}", said.err);
}

#[test]
fn an_option_that_a_dialect_does_not_know_is_not_left_out_without_a_word() {
    let batch = r#"{"operations": [{"op": "append", "file": "f", "content": "more"}]}"#;
    let sandbox = Sandbox::new(&[("f", OLD)]);
    let mut refused = 0;
    for (dialect, text) in PATCHES.into_iter().chain([("batch", batch)]) {
        sandbox.write("patch", text);
        let of_diffs: &[&[&str]] = &[
            &["--reverse"],
            &["--include", "g"],
            &["--exclude", "f"],
            &["--directory", "sub"],
        ];
        let of_texts: &[&[&str]] = &[&["--all"]];
        let unknown = match dialect {
            "unified-diff" => of_texts.to_vec(),
            "search-replace" | "str-replace" | "mcp-edit" => of_diffs.to_vec(),
            _ => [of_diffs, of_texts].concat(),
        };
        for option in unknown {
            let arguments = [&["apply", "patch", "--dialect", dialect], option].concat();
            let said = sandbox.run(&arguments).exits(2);
            let is_named = said.err.contains(&format!("in the dialect {dialect} "));
            assert!(is_named, "{dialect} {option:?}: {}", said.err);
            assert_eq!(sandbox.read("f"), OLD, "{dialect} {option:?}");
            refused += 1;
        }
    }
    assert_eq!(refused, 1 + 3 * 4 + 5 * 5);
    // A file that is given has to be the one that is edited.
    for (dialect, text) in [("batch", batch), PATCHES[1]] {
        sandbox.write("patch", text);
        let check = |file| sandbox.run(&["check", "patch", "--dialect", dialect, "--file", file]);
        assert!(check("g").exits(2).err.contains("names its files itself"));
        check("f").exits(0);
    }
}

#[test]
fn a_hunk_that_fails_leaves_the_tree_and_no_rej_or_orig() {
    let diff = format!("{DIFF}--- a/g\n+++ b/g\n@@ -1,2 +1,2 @@\n missing\n-x\n+y\n");
    let sandbox = Sandbox::new(&[("f", OLD), ("g", "a\nx\n"), ("patch", &diff)]);
    let said = sandbox.run(&["apply", "patch"]).exits(1);
    assert!(
        said.err.contains("hunk 1 of g (line 11 of the patch)"),
        "{}",
        said.err
    );
    assert!(
        said.err
            .contains("line 1 is \"a\", the hunk has \"missing\""),
        "{}",
        said.err
    );
    assert_eq!(
        (sandbox.read("f").as_str(), sandbox.read("g").as_str()),
        (OLD, "a\nx\n")
    );
    let mut names: Vec<String> = fs::read_dir(sandbox.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    assert_eq!(names, ["f", "g", "patch"]);
}

/// R21: nothing is run for an ed script, whatever stands in it.
#[test]
fn ed_scripts_and_context_diffs_are_refused() {
    let context = "*** a/f\n--- b/f\n***************\n*** 1 ****\n! one\n--- 1 ----\n! 1\n";
    for script in ["1c\n1\n.\n", "--- a/f\n+++ b/f\n1!touch pwned\n", context] {
        let sandbox = Sandbox::new(&[("f", OLD), ("patch", script)]);
        sandbox
            .run(&["apply", "patch", "--dialect", "unified-diff"])
            .exits(2);
        assert_eq!(sandbox.read("f"), OLD);
        assert!(!sandbox.root().join("pwned").try_exists().unwrap());
    }
}

/// R16 and R21: no patch leads through a symbolic link, be it its own.
#[test]
fn symbolic_links_are_never_followed() {
    let sandbox = Sandbox::new(&[("real/f", OLD), ("patch", &DIFF.replace("/f", "/link/f"))]);
    std::os::unix::fs::symlink("real", sandbox.root().join("link")).unwrap();
    sandbox.run(&["apply", "patch"]).exits(1);
    assert_eq!(sandbox.read("real/f"), OLD);
    for target in ["/etc", "..", "real"] {
        let link = LINK.replace("TARGET", target);
        let below = "diff --git a/l/x b/l/x\nnew file mode 100644\n--- /dev/null\n+++ b/l/x\n@@ -0,0 +1 @@\n+x\n";
        sandbox.write("patch", &(link + below));
        sandbox.run(&["apply", "patch"]).exits(1);
        assert!(fs::symlink_metadata(sandbox.root().join("l")).is_err());
    }
}

const LINK: &str = "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+TARGET\n\\ No newline at end of file\n";

#[test]
fn a_symbolic_link_is_made_and_shown_and_taken_back() {
    let link = LINK.replace("TARGET", "real/f");
    let sandbox = Sandbox::new(&[("real/f", OLD), ("patch", &link)]);
    let root = sandbox.root().to_owned();
    sandbox.run(&["convert", "patch", "--to", "batch"]).exits(2);
    let shown = sandbox.run(&["convert", "patch", "--to", "unified-diff"]);
    assert_eq!(shown.exits(0).out, link);
    sandbox.run(&["apply", "patch"]).exits(0);
    let target = || fs::read_link(root.join("l")).unwrap();
    assert_eq!(target(), Path::new("real/f"));
    assert!(sandbox.run(&["show"]).exits(0).out.contains(&link));
    sandbox.run(&["audit"]).exits(0);
    let append = ["append", "l", "--content", "x"];
    sandbox.run(&append).exits(1);
    sandbox.run(&["apply", "patch", "--reverse"]).exits(0);
    assert!(fs::symlink_metadata(root.join("l")).is_err());
    sandbox.run(&["undo"]).exits(0);
    assert_eq!(target(), Path::new("real/f"));
    assert_eq!(sandbox.read("real/f"), OLD);
}

#[test]
fn absolute_paths_below_the_root_are_taken() {
    let sandbox = Sandbox::new(&[("f", OLD)]);
    let root = sandbox.root().canonicalize().unwrap();
    let patch = PATCHES[3]
        .1
        .replace("\"f\"", &format!("{:?}", root.join("f").to_str().unwrap()));
    sandbox.write("patch", &patch);
    sandbox.run(&["apply", "patch", "--no-diff"]).exits(0);
    assert_eq!(sandbox.read("f"), NEW);
}

#[test]
fn what_was_folded_is_said() {
    let sandbox = Sandbox::new(&[("f", "one  \ntwo\n"), ("patch", PATCHES[1].1)]);
    let said = sandbox
        .run(&["apply", "patch", "--output", "json"])
        .exits(0);
    let note = said.json()["operations"][0]["note"].clone();
    assert_eq!(note, "trailing white space was ignored to find the place");
    assert_eq!(sandbox.read("f"), "one  \n2\n");
}

#[test]
fn the_operators_labels_go_before_those_of_any_input() {
    let native = r#"{"task_id": "own", "phase": "plan", "batch_id": "own", "operations": [{"op": "replace-text", "file": "f", "find": "two", "content": "2", "task_id": "inner"}]}"#;
    for patch in PATCHES.iter().map(|(_, patch)| *patch).chain([native]) {
        let sandbox = Sandbox::new(&[("f", OLD), ("patch", patch)]);
        let args = [
            "apply",
            "patch",
            "--allow-unguarded",
            "--task-id",
            "T1",
            "--order-id",
            "O1",
            "--batch-id",
            "B1",
            "--output",
            "json",
        ];
        let report = sandbox.run(&args).exits(0).json();
        assert_eq!(report["batch_id"], "B1", "{patch}");
        assert_eq!(report["status"], "applied", "{patch}");
        let history = sandbox.run(&["history", "--output", "json"]).exits(0);
        let is_told = history.out.contains("T1") && !history.out.contains("inner");
        assert!(
            is_told && !history.out.contains("\"own\""),
            "{}",
            history.out
        );
        // The same input under the same id is known again.
        assert_eq!(sandbox.run(&args).exits(0).json()["status"], "unchanged");
    }
}

#[test]
fn labels_come_from_the_environment_too() {
    let sandbox = Sandbox::new(&[("f", OLD), ("patch", DIFF)]);
    let output = sandbox
        .command(&["apply", "patch", "--output", "json"])
        .env("PATCHCTL_BATCH_ID", "B2")
        .env("PATCHCTL_AGENT", "")
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["batch_id"], "B2");
}

/// Whether new lines may stand for code that was left out: the sender says so in the operation,
/// and the operator has the last word.
#[test]
fn a_sender_allows_an_omission_unless_the_operator_forbids_it() {
    let line = "// ... rest of the code unchanged ...";
    let batch = |allow: &str| {
        format!(
            r#"{{"operations": [{{"op": "replace-text", "file": "f", "find": "two\nthree\nfour", "content": "{line}"{allow}}}]}}"#
        )
    };
    let call = |allow: &str| {
        format!(r#"{{"path": "f", "old_str": "two\nthree\nfour", "new_str": "{line}"{allow}}}"#)
    };
    let edits = |allow: &str| {
        format!(
            r#"{{"path": "f", "edits": [{{"oldText": "two\nthree\nfour", "newText": "{line}"{allow}}}]}}"#
        )
    };
    let diff = |allow: &str| {
        format!(
            r#"{{"path": "f", "diff": "<<<<<<< SEARCH\ntwo\nthree\nfour\n=======\n{line}\n>>>>>>> REPLACE\n"{allow}}}"#
        )
    };
    let whole = |allow: &str| format!(r#"{{"file_path": "f", "content": "one\n{line}\n"{allow}}}"#);
    let allow = r#", "allow": ["omission"]"#;
    let forms: [&dyn Fn(&str) -> String; 5] = [&batch, &call, &edits, &diff, &whole];
    for form in forms {
        let sandbox = Sandbox::new(&[("f", OLD), ("plain", &form("")), ("allowed", &form(allow))]);
        let refused = sandbox.run(&["apply", "plain"]).exits(1);
        assert!(refused.err.contains("--allow-omission"), "{}", refused.err);
        for forbid in ["1", "true"] {
            let run = sandbox
                .command(&["apply", "allowed"])
                .env("PATCHCTL_FORBID_OMISSION", forbid)
                .output()
                .unwrap();
            assert_eq!(run.status.code(), Some(1));
        }
        let forbidden = sandbox
            .run(&["apply", "allowed", "--forbid-omission"])
            .exits(1);
        let refusal = forbidden.err;
        assert!(refusal.contains("LAZY_OMISSION"), "{refusal}");
        assert!(!refusal.contains("allow"), "{refusal}");
        let report = sandbox
            .run(&["apply", "allowed", "--output", "json"])
            .exits(0)
            .out;
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!(report["operations"][0]["allow"][0], "omission", "{report}");
        let record = sandbox
            .run(&["events", "list", "--output", "json"])
            .exits(0)
            .out;
        assert!(record.contains("\"omission\""), "{record}");
    }
    let wrong = r#", "allow": ["omissions", 1]"#;
    for form in forms {
        let sandbox = Sandbox::new(&[("f", OLD), ("wrong", &form(wrong))]);
        let refused = sandbox.run(&["apply", "wrong"]).exits(2).err;
        assert!(refused.contains("\"omission\""), "{refused}");
    }
}

/// A patch in hashline in the calls of the tools that take it, and what a stale tag shows.
#[test]
fn hashline_comes_in_calls_and_a_stale_tag_shows_the_lines_as_they_are() {
    let patch = r"[f#BD730CE8]\nSWAP 2.=2:\n+2\n";
    for call in [
        format!(r#"{{"input": "{patch}"}}"#),
        format!(r#"{{"name": "edit", "input": {{"input": "{patch}"}}}}"#),
        format!(r#"{{"name": "edit", "arguments": {{"path": "f", "patch": "{patch}"}}}}"#),
        format!(r#"{{"path": "f", "diff": "{patch}"}}"#),
        format!(r#"{{"input": "*** Begin Patch\n{patch}*** End Patch\n"}}"#),
        format!("\"{patch}\""),
    ] {
        let sandbox = Sandbox::new(&[("f", OLD), ("patch", &call)]);
        sandbox.run(&["apply", "patch"]).exits(0);
        assert_eq!(sandbox.read("f"), NEW, "{call}");
        let stale = sandbox
            .run(&["apply", "patch", "--again", "--output", "json"])
            .exits(1)
            .json();
        let refusal = &stale["operations"][0]["refusal"];
        assert_eq!(refusal["code"], "BASE_MISMATCH");
        let found = refusal["found"].as_str().unwrap();
        let header = found.lines().next().unwrap();
        assert!(found.ends_with("]\n1:one\n2:2\n3:three\n4:four"), "{found}");
        // What the refusal shows is what lands.
        sandbox.write("next", format!("{header}\nDEL 2.=2\n"));
        sandbox.run(&["apply", "next"]).exits(0);
        assert_eq!(sandbox.read("f"), "one\nthree\nfour\nfive\n");
    }
    for (tag, note) in [("#BD73", "too few digits"), ("", "no tag")] {
        let patch = format!("[f{tag}]\nSWAP 2.=2:\n+2\n");
        let sandbox = Sandbox::new(&[("f", OLD), ("patch", &patch)]);
        let refused = sandbox
            .run(&["apply", "patch", "--output", "json"])
            .exits(1)
            .json();
        let operation = &refused["operations"][0];
        assert_eq!(operation["refusal"]["code"], "UNGUARDED");
        let said = operation["note"].as_str().unwrap();
        assert!(
            said.contains(note) && said.contains("[f#BD730CE8]"),
            "{said}"
        );
        sandbox
            .run(&["apply", "patch", "--allow-unguarded"])
            .exits(0);
        assert_eq!(sandbox.read("f"), NEW);
    }
}

/// Every fault of a patch in lines stands in the report, and nothing is written.
#[test]
fn faults_of_a_patch_in_lines_are_all_in_the_report() {
    for (dialect, patch, lines) in [
        (
            "search-replace",
            "f\n<<<<<<< SEARCH\none\n=======\n1\n>>>>>>> REPLACE\nf\n<<<<<<< SEARCH\ntwo\n>>>>>>> REPLACE\nf\n<<<<<<< SEARCH\nthree\n=======\n3\n",
            vec![10, 16],
        ),
        (
            "codex",
            "*** Begin Patch\n*** Update File: f\n@@\n-one\n+1\n*** Add File: g\nx\n*** Delete File: ../h\n*** End Patch\n",
            vec![7, 8],
        ),
        (
            "hashline",
            "[f#BD730CE8]\nSWAP x:\n+b\n[f#BD730CE8]\nDEL 0\n",
            vec![2, 5],
        ),
    ] {
        let sandbox = Sandbox::new(&[("f", OLD)]);
        let report = sandbox
            .run_with(patch, &["apply", "-", "--output", "json"])
            .exits(2)
            .json();
        let faults = report["faults"].as_array().unwrap();
        let told: Vec<u64> = faults
            .iter()
            .map(|fault| fault["line"].as_u64().unwrap())
            .collect();
        assert_eq!(told, lines, "{dialect}: {report:#}");
        assert!(
            faults
                .iter()
                .all(|fault| fault["column"].is_u64() && fault["message"].is_string())
        );
        assert_eq!(sandbox.read("f"), OLD, "{dialect}");
    }
}
