//! What cannot be read in a patch of several parts: every fault, with its line, in one run.

use patchcore::Code;
use patchcore::batch::MAX_FAULTS;
use patchcore::dialect::{Dialect, Options, parse};
use patchcore::path::RelPath;
use patchcore::plan::{Script as _, plan};

use super::{Files, policy, tree};

/// The line of every fault, and a part of its message.
type Told<'a> = Vec<(usize, &'a str)>;

/// The line and the message of every fault, in the order in which they are told.
fn faults(dialect: Dialect, patch: &str, strict: bool) -> Vec<(usize, String)> {
    let mut options = Options::default();
    options.dialect = Some(dialect);
    options.strict = strict;
    let unread = parse(patch.as_bytes(), &options).expect_err(patch);
    let diagnostic = unread.diagnostic().expect(patch);
    diagnostic
        .all()
        .map(|fault| (fault.line, fault.message.clone()))
        .collect()
}

#[test]
fn every_fault_of_a_patch_in_lines_is_told_in_one_run() {
    let block = "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n";
    let cases: Vec<(Dialect, String, Told<'_>)> = vec![
        (
            Dialect::SearchReplace,
            // No divider, no name in a good block between, no end.
            format!("a.py\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n\nb.py\n{block}\n../c.py\n{block}\nd.py\n<<<<<<< SEARCH\na\n=======\nb\n"),
            vec![
                (4, "where ======= is due"),
                (14, "../c.py"),
                (25, "ends inside a block"),
            ],
        ),
        (
            Dialect::SearchReplace,
            // The second block is of the same file, whichever that is: one fault.
            format!("{block}{block}b.py\n<<<<<<< SEARCH\na\n=======\nb\n=======\nc\n>>>>>>> REPLACE\n{block}>>>>>>> REPLACE\n"),
            vec![
                (1, "no file name above the block"),
                (16, "REPLACE mark is expected"),
                (24, "a mark outside of a block"),
            ],
        ),
        (
            Dialect::SearchReplace,
            // A block that the next one cuts off does not take that one with it.
            "a.py\n<<<<<<< SEARCH\na\n=======\nb\nb.py\n<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n".into(),
            vec![(7, "REPLACE mark is expected"), (9, "where ======= is due")],
        ),
        (
            Dialect::Codex,
            "*** Begin Patch\n*** Add File: a.py\n+a\nb\n*** Update File: /etc/b.py\n@@\n-a\n+b\n*** Update File: c.py\n@@\n@@\n*** Updat File: d.py\n@@\n-a\n+b\n*** Update File: e.py\n@@\n-a\n+b\n*** End of File\nfoo\n@@\n-c\n+d\n*** End Patch\n".into(),
            vec![
                (4, "starts with '+'"),
                (5, "/etc/b.py"),
                (10, "the chunk has no lines"),
                (12, "is not a header"),
                (21, "a chunk starts with a line"),
            ],
        ),
        (
            Dialect::Codex,
            "*** Begin Patch\n*** Update File: a.py\n@@\n*** End Patch\n*** End Patch\n*** Begin Patch\n*** Delete File: ../b\n".into(),
            vec![
                (3, "the chunk has no lines"),
                (5, "without \"*** Begin Patch\""),
                (7, "../b"),
                (8, "the patch ends without"),
            ],
        ),
        (
            Dialect::UnifiedDiff,
            // A header with faults of its own, hunks, names, and a header that has lost its first line.
            "diff --git a/a b/a\nold mode 100x44\nnew mode 100755\nrename from \"\\q\"\nrename to c\n--- a/b\n+++ /../b\n@@ -1,999999999999999999999 +1 @@\n-a\n+b\n@@ -5 +5 @@\n-a\n+b\n@@ -9 +9 @@\n same\n--- a/c\n+++ b/c\n@@ -1 +1 @@\n-a\n+b\n+++ b/d\n@@ -1 +1 @@\n-a\n+b\n@@ -3 +x @@\n-a\n+b\n--- /dev/null\n+++ b/e\n@@ -1 +1 @@\n-a\n+b\n".into(),
            vec![
                (1, "is absolute"),
                (2, "not an octal number"),
                (4, "malformed quoted name"),
                (8, "a line number is too large"),
                (14, "changes nothing"),
                (21, "without a \"---\" line"),
                (25, "a number is missing"),
                (28, "depends on old contents"),
            ],
        ),
        (
            Dialect::UnifiedDiff,
            // Hunks of one file that is not named, a merge, and then a mail whose lines say nothing.
            "@@ -1 +1 @@\n-a\n+b\n@@ -2 +2 @@\n-a\n+b\ndiff --cc f\n@@@ -1,1 -1,1 +1,1 @@@\n- a\n++b\ndiff --git a/../f b/../f\nnew file mode 160000\n--- a/../g\n+++ b/../g\n@@ -1 +1 @@\n-a\n+b\nFrom 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nContent-Transfer-Encoding: quoted-printable\n\n--- a/h\n+++ b/h\n@@ -1 +1,2 @@\n-=3D\n+b\n".into(),
            vec![
                (1, "without a file name"),
                (7, "combined diff"),
                (11, "a submodule"),
                (11, "../g"),
                (19, "quoted-printable"),
            ],
        ),
        (
            Dialect::Files,
            "[{\"path\": \"a\", \"content\": \"\"},\n{\"path\": \"a\", \"content\": \"\"},\n{\"path\": \"../b\", \"content\": \"\"},\n{\"path\": \"a\", \"content\": \"\"}]".into(),
            vec![(2, "a appears twice"), (3, "../b"), (4, "a appears twice")],
        ),
        (
            Dialect::Codex,
            // An envelope as an argument of the command that takes it.
            "apply_patch '*** Begin Patch\n*** Add File: a.py\n+a\nb\n*** Delete File: ../b\n*** End Patch'\n".into(),
            vec![(4, "starts with '+'"), (5, "../b")],
        ),
        (
            Dialect::Hashline,
            "[a.py#BD730CE8]\nSWAP x:\n+b\n[b.py#BD730CE8]\nDEL 0\n".into(),
            vec![(2, ""), (5, "")],
        ),
    ];
    for (dialect, patch, expected) in cases {
        let found = faults(dialect, &patch, false);
        let lines = |list: &[(usize, &str)]| list.iter().map(|(line, _)| *line).collect::<Vec<_>>();
        let told: Vec<usize> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(told, lines(&expected), "{dialect}\n{patch}\n{found:#?}");
        for ((_, message), (_, says)) in found.iter().zip(&expected) {
            assert!(message.contains(says), "{dialect}: {message}: {says}");
        }
    }
}

/// The parts of an envelope in one line of quotes have their columns.
#[test]
fn faults_of_an_envelope_in_escapes_have_columns() {
    for (before, behind) in [("apply_patch \"", "\""), ("", "")] {
        let lines = [
            "*** Begin Patch",
            "*** Add File: a",
            "+a",
            "b",
            "*** Delete File: ../b",
            "*** End Patch",
        ];
        let patch = format!("{before}{}{behind}", lines.join("\\n"));
        let mut options = Options::default();
        options.dialect = Some(Dialect::Codex);
        let unread = parse(patch.as_bytes(), &options).expect_err(&patch);
        let diagnostic = unread.diagnostic().expect(&patch);
        let found: Vec<&str> = diagnostic
            .all()
            .map(|fault| &patch[fault.span.clone()])
            .collect();
        assert_eq!(found, ["b", "*** Delete File: ../b"], "{patch}");
        assert!(
            diagnostic
                .all()
                .all(|fault| fault.line == 1 && fault.column > 30)
        );
    }
}

/// A paragraph around the parts is one fault under `strict`, and hides none.
#[test]
fn of_more_faults_than_can_be_read_the_first_are_told() {
    let parts: [(Dialect, &str, &str); 6] = [
        (
            Dialect::UnifiedDiff,
            "--- a/../f\n+++ b/../f\n@@ -1 +1 @@\n-a\n+b\n",
            "",
        ),
        (
            Dialect::UnifiedDiff,
            "diff --git a/f b/f\nold mode zz\nnew mode qq\n",
            "",
        ),
        (
            Dialect::UnifiedDiff,
            "--- a/f\n+++ b/f\n@@ -1,2 +1 @@\n-a\n+b\n",
            "",
        ),
        (
            Dialect::SearchReplace,
            "../f\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n",
            "",
        ),
        (
            Dialect::Codex,
            "*** Add File: ../f\n+a\n",
            "*** Begin Patch\n",
        ),
        (
            Dialect::Files,
            "{\"path\": \"f\", \"content\": \"x\"}\n",
            "",
        ),
    ];
    for (dialect, part, head) in parts {
        let patch = format!("{head}{}", part.repeat(1000));
        let told = faults(dialect, &patch, false);
        assert_eq!(told.len(), MAX_FAULTS, "{dialect}: {told:?}");
        assert!(told.is_sorted_by_key(|(line, _)| *line), "{told:?}");
        assert!(told[0].0 <= 12, "{told:?}");
    }
}

#[test]
fn prose_is_one_fault_a_paragraph_in_strict_mode() {
    let block = "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n";
    let patch = format!("Some words here.\nAnd some more.\n\na.py\n{block}Then other ones.\n");
    let lines = |dialect, patch: &str| {
        let found = faults(dialect, patch, true);
        found.into_iter().map(|(line, _)| line).collect::<Vec<_>>()
    };
    assert_eq!(lines(Dialect::SearchReplace, &patch), [1, 10]);
    let envelope =
        "Some words.\nAnd more.\n*** Begin Patch\n*** Delete File: a\n*** End Patch\nEnd.\n";
    assert_eq!(lines(Dialect::Codex, envelope), [1, 6]);
}

/// The message of the whole names every fault, at most so many, and its place.
#[test]
fn the_refusal_of_the_whole_names_the_faults() {
    let block = "<<<<<<< SEARCH\na\n>>>>>>> REPLACE\n";
    let patch = format!("a.py\n{block}").repeat(100);
    let unread = parse(patch.as_bytes(), &Options::default()).expect_err("no block is whole");
    assert_eq!(unread.code, Code::InvalidBatch);
    assert_eq!(unread.line.map(patchcore::text::LineNumber::get), Some(4));
    assert!(
        unread.message.starts_with("patch line 4, column 1: a mark"),
        "{unread}"
    );
    assert!(
        unread.message.contains("; patch line 8, column 1: "),
        "{unread}"
    );
    assert!(unread.message.len() < 1000, "{unread}");
}

/// What passes behind a refused part would be applied without it, in dialects whose parts are told
/// apart by line, range or file, too.
#[test]
fn hunks_ranges_and_files_behind_a_refused_one_are_judged_without_it() {
    use patchcore::plan::Outcome::{NotApplied, Refused};

    let before = Files::from([
        (b"f".to_vec(), (b"a\nb\nc\n".to_vec(), false)),
        (b"g".to_vec(), (b"a\n".to_vec(), false)),
    ]);
    let hunks = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-x\n+y\n@@ -3 +3 @@\n-c\n+C\n--- a/g\n+++ b/g\n@@ -1 +1 @@\n-a\n+b\n";
    let ranges = r#"{"changes": {"f": [{"range": {"start": {"line": 900, "character": 0}, "end": {"line": 900, "character": 1}}, "newText": "x"}], "g": [{"range": {"start": {"line": 0, "character": 0}, "end": {"line": 0, "character": 1}}, "newText": "x"}]}}"#;
    let files = r#"[{"path": "f", "content": "// ... existing code ...\n"}, {"path": "g", "content": "x\n"}]"#;
    for (dialect, patch, expected) in [
        (
            Dialect::UnifiedDiff,
            hunks,
            vec![Refused, NotApplied, NotApplied],
        ),
        (Dialect::WorkspaceEdit, ranges, vec![Refused, NotApplied]),
        (Dialect::Files, files, vec![Refused, NotApplied]),
    ] {
        let mut options = Options::default();
        options.dialect = Some(dialect);
        options.unidiff_zero = true;
        let script = parse(patch.as_bytes(), &options).unwrap();
        let tree = tree(&before, &script.paths());
        let batch = script.lower(&tree).unwrap().batch;
        let mut policy = policy(&options);
        policy.allow_unguarded = true;
        let plan = plan(&batch, &tree, &policy);
        let outcomes: Vec<_> = plan.verdicts.iter().map(|v| v.outcome).collect();
        assert_eq!(outcomes, expected, "{dialect}");
    }
}

/// A block without a name, below prose that calls another file with the same lines by less than its
/// name, is for neither.
#[test]
fn prose_that_calls_another_file_by_less_than_its_name_is_heard() {
    let file = |text: &str| (text.as_bytes().to_vec(), false);
    let before = Files::from([
        (b"shop/views.py".to_vec(), file("import os\nx = 1\n")),
        (b"billing/views.py".to_vec(), file("x = 1\n")),
        (b"shop/settings.py".to_vec(), file("x = 1\n")),
        (b"shop/other.py".to_vec(), file("y = 1\n")),
    ]);
    let first = "shop/views.py\n<<<<<<< SEARCH\nimport os\n=======\nimport sys\n>>>>>>> REPLACE\n";
    let second = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n";
    for (prose, is_clear) in [
        ("And then:\n", true),
        ("Likewise in views:\n", true),
        ("In the other module, nothing changes.\n", true),
        ("Likewise in the billing app:\n", false),
        ("Likewise in billing/:\n", false),
        ("The same in `settings`:\n", false),
        ("Settings need it, too.\n\n", false),
        ("The module shop.settings has it, too:\n", false),
        ("Now shop/settings:\n", false),
    ] {
        let patch = format!("{first}\n{prose}{second}");
        let mut options = Options::default();
        options.dialect = Some(Dialect::SearchReplace);
        let script = parse(patch.as_bytes(), &options).expect(&patch);
        // Workspaces load what is mentioned; here all of it is there.
        let all: Vec<RelPath> = before
            .keys()
            .map(|path| RelPath::new(path).unwrap())
            .collect();
        let tree = tree(&before, &all);
        let lowered = script.lower(&tree).expect(&patch);
        let plan = plan(&lowered.batch, &tree, &policy(&options));
        let refused: Vec<&str> = plan
            .verdicts
            .iter()
            .filter_map(|verdict| verdict.refusal.as_deref())
            .map(|refusal| &*refusal.message)
            .collect();
        assert_eq!(refused.is_empty(), is_clear, "{prose}: {refused:?}");
        assert!(
            refused
                .iter()
                .all(|message| message.contains("names no file")),
            "{refused:?}"
        );
    }
}

/// A call that comes in pieces is named; beside the whole one the pieces are left out.
#[test]
fn streams_in_pieces_are_named() {
    let piece = r#"{"type": "stream_event", "event": {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"file_path\": \"f\""}}}"#;
    let start = r#"{"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "Edit", "input": {}}}"#;
    let delta =
        r#"{"type": "response.function_call_arguments.delta", "item_id": "i", "delta": "{"}"#;
    let chunk = r#"{"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": "a"}}]}"#;
    let whole = r#"{"type": "assistant", "message": {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Edit", "input": {"file_path": "f", "old_string": "a", "new_string": "b"}}]}}"#;
    for pieces in [piece, start, delta, chunk] {
        let stream = format!("{pieces}\n{pieces}\n");
        let list = format!("[{pieces}, {pieces}]");
        for input in [&stream, &list] {
            let mut options = Options::default();
            options.dialect = Some(Dialect::StrReplace);
            let unread = parse(input.as_bytes(), &options).expect_err(input);
            assert!(unread.message.contains("in pieces"), "{input}: {unread}");
            assert_eq!(unread.diagnostic().expect(input).all().count(), 1);
            let input = format!("{input}\n{whole}\n");
            let script = parse(input.as_bytes(), &options).expect(&input);
            assert_eq!(script.paths().len(), 1);
        }
        let events = format!("event: x\ndata: {pieces}\n\n");
        let unread = parse(events.as_bytes(), &Options::default()).expect_err(&events);
        assert!(unread.message.contains("in pieces"), "{events}: {unread}");
    }
}
