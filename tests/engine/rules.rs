//! Rules that hold for new text and new places, whatever entry an edit comes through.

use std::fs;

use patchcore::batch::{Limits, PatchBatch};
use patchcore::dialect::{self, Options};
use patchcore::operation::{Batch, Labels};
use patchcore::plan::{Labelled, Script};
use patchcore::report::Status;
use patchcore::workspace::{ApplyOptions, Workspace};
use patchcore::{Code, Policy};
use tempfile::TempDir;

use crate::workspace::tree;

/// One entry: an input that puts `NEW` where `old` stands on the second line of three.
struct Entry {
    name: &'static str,
    input: Vec<u8>,
}

fn replace(template: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.windows(old.len()).position(|window| window == old) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(new);
        rest = &rest[at + old.len()..];
    }
    out.extend_from_slice(rest);
    out
}

/// Every entry that takes text, with `new` in it as it is, or as JSON has it.
fn entries(new: &str) -> Vec<Entry> {
    let json = serde_json::to_string(new).unwrap();
    let json = &json[1..json.len() - 1];
    let native = [
        r#"{"op":"replace-block","file":"f","at":{"line":2},"expect":"old","content":"NEW"}"#,
        r#"{"op":"insert-before","file":"f","at":{"text":"old"},"content":"NEW"}"#,
        r#"{"op":"insert-after","file":"f","at":{"text":"old"},"content":"NEW"}"#,
        r#"{"op":"append","file":"f","content":"NEW"}"#,
        r#"{"op":"prepend","file":"f","content":"NEW"}"#,
        r#"{"op":"replace-text","file":"f","find":"old","content":"NEW"}"#,
    ];
    let mut all = Vec::new();
    for operation in native {
        for coordinates in ["original", "sequential"] {
            let input = format!(r#"{{"coordinates":"{coordinates}","operations":[{operation}]}}"#);
            all.push((operation, input.replace("NEW", json)));
        }
    }
    let foreign = [
        (
            "str_replace",
            r#"{"command":"str_replace","path":"f","old_str":"old","new_str":"NEW"}"#,
        ),
        (
            "Edit",
            r#"{"file_path":"f","old_string":"old","new_string":"NEW"}"#,
        ),
        (
            "insert",
            r#"{"command":"insert","path":"f","insert_line":0,"insert_text":"NEW"}"#,
        ),
        (
            "mcp",
            r#"{"path":"f","edits":[{"oldText":"old","newText":"NEW"}]}"#,
        ),
        (
            "lsp",
            r#"{"changes":{"f":[{"range":{"start":{"line":1,"character":0},"end":{"line":1,"character":3}},"newText":"NEW"}]}}"#,
        ),
    ];
    for (name, input) in foreign {
        all.push((name, input.replace("NEW", json)));
    }
    let text = [
        (
            "codex",
            "*** Begin Patch\n*** Update File: f\n@@\n-old\n+NEW\n last\n*** End Patch\n",
        ),
        (
            "blocks",
            "f\n<<<<<<< SEARCH\nold\n=======\nNEW\n>>>>>>> REPLACE\n",
        ),
        (
            "diff",
            "--- a/f\n+++ b/f\n@@ -2,2 +2,2 @@\n-old\n+NEW\n last\n",
        ),
    ];
    for (name, input) in text {
        all.push((name, input.replace("NEW", new)));
    }
    let entry = |(name, input): (&'static str, String)| Entry {
        name,
        input: input.into_bytes(),
    };
    all.into_iter().map(entry).collect()
}

/// Whole files over one that exists.
fn whole_files(new: &str) -> Vec<Entry> {
    let json = serde_json::to_string(&format!("{new}\n")).unwrap();
    vec![
        Entry {
            name: "files",
            input: format!(r#"[{{"path":"f","content":{json}}}]"#).into_bytes(),
        },
        Entry {
            name: "Write",
            input: format!(r#"{{"file_path":"f","content":{json}}}"#).into_bytes(),
        },
        Entry {
            name: "Add File",
            input: format!("*** Begin Patch\n*** Add File: f\n+{new}\n*** End Patch\n")
                .into_bytes(),
        },
        Entry {
            name: "delete and add",
            input: format!(
                "*** Begin Patch\n*** Delete File: f\n*** Add File: f\n+{new}\n*** End Patch\n"
            )
            .into_bytes(),
        },
    ]
}

fn unguarded() -> Policy {
    let mut policy = Policy::default();
    policy.allow_unguarded = true;
    policy
}

fn start(bytes: &[u8]) -> (TempDir, Workspace) {
    let dir = tree(&[]);
    fs::write(dir.path().join("f"), bytes).unwrap();
    let workspace = Workspace::open(dir.path()).unwrap();
    (dir, workspace)
}

/// Applies an input; the code of its refusal, or the bytes of the file. What lands is taken back.
fn run(input: &[u8], before: &[u8], policy: &Policy) -> Result<Vec<u8>, Code> {
    let script = dialect::parse(input, &Options::default()).map_err(|refusal| refusal.code)?;
    let landed = carry_out(&script, before, policy);
    // A batch is judged alike where it is built from the wire types.
    if let Ok(wire) = PatchBatch::parse(input, &Limits::default()) {
        let batch = Batch::try_from(wire).unwrap();
        assert_eq!(carry_out(&batch, before, policy), landed);
    }
    landed
}

fn carry_out(script: &dyn Script, before: &[u8], policy: &Policy) -> Result<Vec<u8>, Code> {
    let (dir, workspace) = start(before);
    let options = ApplyOptions {
        policy: policy.clone(),
        ..ApplyOptions::default()
    };
    let report = workspace.apply(script, &options).unwrap().report;
    let file = dir.path().join("f");
    let after = fs::read(&file).unwrap();
    if let Some(code) = report.code() {
        assert_eq!(after, before);
        return Err(code);
    }
    assert_eq!(report.status, Status::Applied);
    // Undo brings back what was there, whatever its encoding.
    let undone = workspace.undo(None, &ApplyOptions::default()).unwrap();
    assert_eq!(undone.report.status, Status::Applied);
    assert_eq!(fs::read(&file).unwrap(), before);
    Ok(after)
}

const LATIN: &[u8] = b"\xa9 first\nold\nlast\n";

#[test]
fn text_of_utf8_never_goes_into_a_file_that_is_not() {
    for Entry { name, input } in entries("\u{e9}") {
        let refused = run(&input, LATIN, &unguarded());
        assert_eq!(refused, Err(Code::UnsupportedEncoding), "{name}");
        // The operator can let it pass, and text in ASCII always does.
        let mut permitted = unguarded();
        permitted.allow_encoding_change = true;
        let landed = run(&input, LATIN, &permitted).unwrap();
        assert!(landed.windows(2).any(|two| two == b"\xc3\xa9"), "{name}");
    }
    for Entry { name, input } in entries("new") {
        let landed = run(&input, LATIN, &unguarded()).unwrap();
        assert!(
            landed.starts_with(b"\xa9") || landed.starts_with(b"new"),
            "{name}"
        );
    }
}

#[test]
fn whole_files_are_not_written_over_a_file_in_another_encoding() {
    for new in ["\u{e9}", "new"] {
        for Entry { name, input } in whole_files(new) {
            let refused = run(&input, LATIN, &unguarded());
            assert_eq!(refused, Err(Code::UnsupportedEncoding), "{name}");
            let mut permitted = unguarded();
            permitted.allow_encoding_change = true;
            let landed = run(&input, LATIN, &permitted).unwrap();
            assert_eq!(landed, format!("{new}\n").as_bytes(), "{name}");
        }
    }
}

#[test]
fn bytes_beyond_utf8_never_go_into_a_file_of_utf8() {
    // Only formats of bytes can say them.
    let base64 = r#"{"operations":[{"op":"append","file":"f","content_base64":"6Q=="}]}"#;
    let diff = b"--- a/f\n+++ b/f\n@@ -2,2 +2,2 @@\n-old\n+\xe9\n last\n";
    let codex = b"*** Begin Patch\n*** Update File: f\n@@\n-old\n+\xe9\n last\n*** End Patch\n";
    let block = b"f\n<<<<<<< SEARCH\nold\n=======\n\xe9\n>>>>>>> REPLACE\n";
    for input in [base64.as_bytes(), diff, codex, block] {
        let shown = String::from_utf8_lossy(input);
        for before in ["\u{e9} first\nold\nlast\n", "first\nold\nlast\n"] {
            let refused = run(input, before.as_bytes(), &unguarded());
            assert_eq!(refused, Err(Code::UnsupportedEncoding), "{shown}");
        }
        let landed = run(input, LATIN, &unguarded());
        assert!(landed.unwrap().contains(&b'\xe9'), "{shown}");
    }
}

#[test]
fn a_diff_whose_context_proves_the_encoding_of_the_file_passes() {
    // In Latin-1 the new line is two characters, which happen to be valid as UTF-8, too.
    let template = b"--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n CONTEXT first\n-old\n+\xc3\xa9\n last\n";
    let diff = replace(template, b"CONTEXT", b"\xa9");
    let landed = run(&diff, LATIN, &unguarded()).unwrap();
    assert_eq!(landed, b"\xa9 first\n\xc3\xa9\nlast\n");
}

#[test]
fn a_nul_in_new_text_is_the_operators_to_allow() {
    for Entry { name, input } in entries("a\0b").into_iter().chain(whole_files("a\0b")) {
        let refused = run(&input, b"first\nold\nlast\n", &unguarded());
        assert_eq!(refused, Err(Code::BinaryFile), "{name}");
        let mut permitted = unguarded();
        permitted.allow_binary = true;
        let landed = run(&input, b"first\nold\nlast\n", &permitted).unwrap();
        assert!(landed.contains(&0), "{name}");
    }
    let create = r#"{"operations":[{"op":"create-file","file":"n","content":"a\u0000b"}]}"#;
    assert_eq!(
        run(create.as_bytes(), b"f", &unguarded()),
        Err(Code::BinaryFile)
    );
}

/// Every entry that puts a file onto `f`; `g` holds `moved`.
const ONTO: [(&str, &str); 10] = [
    (
        "rename",
        r#"{"operations":[{"op":"rename-file","file":"g","to":"f"}]}"#,
    ),
    (
        "copy",
        r#"{"operations":[{"op":"copy-file","file":"g","to":"f"}]}"#,
    ),
    (
        "create",
        r#"{"operations":[{"op":"create-file","file":"f","content":"moved\n"}]}"#,
    ),
    (
        "rename in sequence",
        r#"{"coordinates":"sequential","operations":[{"op":"rename-file","file":"g","to":"f"}]}"#,
    ),
    (
        "copy in sequence",
        r#"{"coordinates":"sequential","operations":[{"op":"copy-file","file":"g","to":"f"}]}"#,
    ),
    (
        "codex",
        "*** Begin Patch\n*** Update File: g\n*** Move to: f\n@@\n-moved\n+moved\n*** End Patch\n",
    ),
    (
        "git rename",
        "diff --git a/g b/f\nsimilarity index 100%\nrename from g\nrename to f\n",
    ),
    (
        "git copy",
        "diff --git a/g b/f\nsimilarity index 100%\ncopy from g\ncopy to f\n",
    ),
    (
        "git new file",
        "diff --git a/f b/f\nnew file mode 100644\n--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+moved\n",
    ),
    (
        "lsp",
        r#"{"documentChanges":[{"kind":"rename","oldUri":"g","newUri":"f","options":{"overwrite":true}}]}"#,
    ),
];

#[test]
fn a_file_is_put_onto_another_where_the_operator_says_so() {
    for (name, input) in ONTO {
        let script = dialect::parse(input.as_bytes(), &Options::default()).unwrap();
        let (dir, workspace) = start(b"precious\n");
        fs::write(dir.path().join("g"), "moved\n").unwrap();
        let before = crate::workspace::snapshot(dir.path());
        let refused = workspace.apply(&script, &ApplyOptions::default()).unwrap();
        assert_eq!(refused.report.code(), Some(Code::FileExists), "{name}");
        assert_eq!(crate::workspace::snapshot(dir.path()), before, "{name}");
        let mut options = ApplyOptions::default();
        options.policy.overwrite = true;
        let applied = workspace.apply(&script, &options).unwrap();
        assert_eq!(applied.report.status, Status::Applied, "{name}");
        assert_eq!(
            fs::read(dir.path().join("f")).unwrap(),
            b"moved\n",
            "{name}"
        );
        let notes: Vec<_> = (applied.report.operations.iter())
            .filter_map(|operation| operation.note.as_deref())
            .collect();
        assert!(
            notes.iter().any(|note| note.contains("replaces f")),
            "{name}: {notes:?}"
        );
        assert!(applied.record.overrides.overwrite, "{name}");
        assert!(workspace.audit().unwrap().is_clean(), "{name}");
        workspace.undo(None, &ApplyOptions::default()).unwrap();
        assert_eq!(crate::workspace::snapshot(dir.path()), before, "{name}");
    }
}

/// An edit that puts a line below `import a`, through every entry that finds its place by text; the
/// bytes differ each time, so that none is known by them.
fn insertions(round: usize) -> Vec<(&'static str, String)> {
    let blank = "\n".repeat(round);
    vec![
        (
            "str_replace",
            format!(
                r#"{{"command":"str_replace","path":"f","old_str":"import a","new_str":"import a\nimport b"}}{blank}"#
            ),
        ),
        (
            "Edit",
            format!(
                r#"{{"file_path":"f","old_string":"import a\n","new_string":"import a\nimport b\n"}}{blank}"#
            ),
        ),
        (
            "mcp",
            format!(
                r#"{{"path":"f","edits":[{{"oldText":"import a","newText":"import a\nimport b"}}]}}{blank}"#
            ),
        ),
        (
            "codex",
            format!(
                "*** Begin Patch\n*** Update File: f\n@@\n import a\n+import b\n*** End Patch\n{blank}"
            ),
        ),
        (
            "blocks",
            format!(
                "f\n<<<<<<< SEARCH\nimport a\n=======\nimport a\nimport b\n>>>>>>> REPLACE\n{blank}"
            ),
        ),
        (
            "native",
            format!(
                r#"{{"operations":[{{"op":"replace-text","file":"f","find":"import a","content":"import a\nimport b"}}]}}{blank}"#
            ),
        ),
    ]
}

/// A script of any format, the native one among them.
fn script_of(input: &str) -> Box<dyn Script + '_> {
    if input.contains("\"operations\"") {
        return Box::new(patchcore::batch::parse(input.as_bytes(), &Limits::default()).unwrap());
    }
    Box::new(dialect::parse(input.as_bytes(), &Options::default()).unwrap())
}

#[test]
fn what_is_there_already_does_not_land_twice() {
    for before in ["import a\nx\n", "import a\r\nx\r\n"] {
        let first = insertions(0).into_iter();
        for ((name, once), (_, twice)) in first.zip(insertions(1)) {
            let (dir, workspace) = start(before.as_bytes());
            let apply = |input: &str| {
                let options = ApplyOptions::default();
                let script = script_of(input);
                workspace.apply(&*script, &options).unwrap().report
            };
            assert_eq!(apply(&once).status, Status::Applied, "{name}");
            let after = fs::read(dir.path().join("f")).unwrap();
            // Elsewhere in the file something has changed since.
            let changed = [&after[..], b"more\n"].concat();
            fs::write(dir.path().join("f"), &changed).unwrap();
            let report = apply(&twice);
            assert_eq!(report.status, Status::Unchanged, "{name}: {report:?}");
            let note = report.operations[0].note.as_deref();
            assert_eq!(
                note,
                Some("the new text is there already, at line 1"),
                "{name}"
            );
            assert_eq!(fs::read(dir.path().join("f")).unwrap(), changed, "{name}");
            // Elsewhere once more: which one is meant is not known.
            let ending = if before.contains('\r') { "\r\n" } else { "\n" };
            let doubled = [&changed[..], b"import a", ending.as_bytes()].concat();
            fs::write(dir.path().join("f"), &doubled).unwrap();
            let code = apply(&twice).code();
            assert_eq!(code, Some(Code::AnchorAmbiguous), "{name}");
        }
    }
}

#[test]
fn what_the_log_shows_does_not_land_twice() {
    // Nothing in common, and too short to be known by itself.
    let inputs = [
        r#"{"command":"str_replace","path":"f","old_str":"a = 1","new_str":"a = 2"}"#,
        r#"{"path":"f","edits":[{"oldText":"a = 1","newText":"a = 2"}]}"#,
        "*** Begin Patch\n*** Update File: f\n@@\n-a = 1\n+a = 2\n*** End Patch\n",
        "f\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE\n",
        "--- f\n+++ f\n@@ -1,2 +1,2 @@\n-a = 1\n+a = 2\n x\n",
        r#"{"operations":[{"op":"replace-text","file":"f","find":"a = 1","content":"a = 2"}]}"#,
    ];
    for before in ["a = 1\nx\n", "a = 1\r\nx\r\n"] {
        for input in inputs {
            let (dir, workspace) = start(before.as_bytes());
            let file = dir.path().join("f");
            let apply = |input: &str| {
                let options = ApplyOptions::default();
                let script = script_of(input);
                workspace.apply(&*script, &options).unwrap().report
            };
            assert_eq!(apply(input).status, Status::Applied, "{input}");
            let changed = [&fs::read(&file).unwrap()[..], b"more\n"].concat();
            fs::write(&file, &changed).unwrap();
            let again = apply(input);
            assert_eq!(again.status, Status::Unchanged, "{input}: {again:?}");
            assert_eq!(fs::read(&file).unwrap(), changed, "{input}");
            // One that the log does not show is refused, with the line.
            fs::write(&file, "b = 2\nx\n").unwrap();
            let other = apply(&input.replace("a = ", "b = "));
            let refusal = other.operations[0].refusal.as_deref().unwrap();
            assert_eq!(refusal.code, Code::AnchorNotFound, "{input}");
            let says = "what it would replace that by stands at line 1 already";
            assert!(refusal.message.contains(says), "{}", refusal.message);
        }
    }
}

#[test]
fn a_diff_that_is_in_the_file_already_does_not_land_twice() {
    let old: String = (1..30)
        .map(|line| format!("line {line} of the file\n"))
        .collect();
    let new = old.replace("line 5 of", "the fifth line of").replace(
        "line 20 of the file\n",
        "line 20 of the file\nand one more line\n",
    );
    let diff = "--- a/f\n+++ b/f\n@@ -4,3 +4,3 @@\n line 4 of the file\n-line 5 of the file\n\
                +the fifth line of the file\n line 6 of the file\n@@ -19,3 +19,4 @@\n \
                line 19 of the file\n line 20 of the file\n+and one more line\n \
                line 21 of the file\n";
    let apply = |before: &str, diff: &str, strict: bool| {
        let (dir, workspace) = start(before.as_bytes());
        let mut options = Options::default();
        options.strict = strict;
        let script = dialect::parse(diff.as_bytes(), &options).unwrap();
        let report = workspace.apply(&script, &ApplyOptions::default());
        (
            report.unwrap().report,
            fs::read(dir.path().join("f")).unwrap(),
        )
    };
    assert_eq!(apply(&old, diff, false).1, new.as_bytes());
    let moved = format!("above\n{new}below\n");
    let as_crlf = moved.replace('\n', "\r\n");
    let sections = diff.replace("@@ -19", "--- a/f\n+++ b/f\n@@ -19");
    for (before, diff) in [
        (&*new, diff),
        (&moved, diff),
        (&as_crlf, diff),
        (&moved, &*sections),
    ] {
        for strict in [false, true] {
            let (report, after) = apply(before, diff, strict);
            assert_eq!(report.status, Status::Unchanged, "{report:?}");
            assert_eq!(after, before.as_bytes());
            let note = report.operations[0].note.as_deref().unwrap();
            assert!(
                note.contains("the new text is there already, at line"),
                "{note}"
            );
        }
    }
    // Half of it is there, or it is there twice, or it takes lines away: that is for the sender.
    let half = old.replace("line 5 of", "the fifth line of");
    let twice = format!("{new}{new}");
    let takes = "--- a/f\n+++ b/f\n@@ -4,3 +4,2 @@\n line 4 of the file\n-line 5 of the file\n \
                 line 6 of the file\n";
    let gone = old.replace("line 5 of the file\n", "");
    for (before, diff) in [(&*half, diff), (&twice, diff), (&gone, takes)] {
        let (report, after) = apply(before, diff, false);
        assert_eq!(report.code(), Some(Code::AnchorNotFound), "{report:?}");
        assert_eq!(after, before.as_bytes());
    }
    // The names of the blobs say which of the two files it is.
    let name = |text: &str| {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("f"), text).unwrap();
        let mut git = std::process::Command::new("git");
        let git = git.args(["hash-object", "f"]).current_dir(dir.path());
        let said = String::from_utf8(git.output().unwrap().stdout).unwrap();
        said.trim().to_owned()
    };
    let named = |diff: &str, old: &str, new: &str| {
        let header = format!("index {}..{} 100644\n--- a/f", name(old), name(new));
        format!("diff --git a/f b/f\n{}", diff.replace("--- a/f", &header))
    };
    let (report, _) = apply(&gone, &named(takes, &old, &gone), false);
    assert_eq!(report.status, Status::Unchanged, "{report:?}");
    let again = "@@ -1 +1,2 @@\n a\n+a\n";
    let again = format!("--- a/f\n+++ b/f\n{again}");
    let (report, after) = apply("a\n", &named(&again, "a\n", "a\na\n"), false);
    assert_eq!((report.status, &*after), (Status::Applied, &b"a\na\n"[..]));
}

/// Nothing of a sender's or an operator's is labelled with nothing, whatever format it comes in.
#[test]
fn an_empty_label_beside_a_script_is_refused() {
    let dir = tree(&[("f", "one\nold\nthree\n")]);
    let workspace = Workspace::open(dir.path()).unwrap();
    let labels = Labels {
        task_id: Some(String::new()),
        ..Labels::default()
    };
    for Entry { name, input } in entries("new") {
        let script = dialect::parse(&input, &Options::default()).unwrap();
        let script = Labelled::new(&script, labels.clone(), None);
        let applied = workspace.apply(&script, &ApplyOptions::default()).unwrap();
        let refusal = applied.report.refusal.as_ref();
        let refusal = refusal.unwrap_or_else(|| panic!("{name} is not refused"));
        assert_eq!(refusal.code, Code::InvalidBatch, "{name}");
        assert!(refusal.message.contains("task_id"), "{name}: {refusal:?}");
        assert_eq!(
            fs::read(dir.path().join("f")).unwrap(),
            b"one\nold\nthree\n"
        );
    }
}
