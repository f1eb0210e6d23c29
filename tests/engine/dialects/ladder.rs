//! The steps of the ladder, through every dialect that finds its places by text.

use patchcore::Code;
use patchcore::dialect::{Dialect, Options, parse};
use patchcore::operation::Matched;
use patchcore::plan::{Outcome, Script, plan};

use super::{Files, changed, first_refusal, policy, tree};

/// An edit in every dialect that says it by the text that goes and the text that comes.
fn patches(file: &str, old: &str, new: &str) -> Vec<(Dialect, String)> {
    let text = |text: &str| serde_json::to_string(text).unwrap();
    let (path, old_text, new_text) = (text(file), text(old), text(new));
    let signed = |sign: &str, half: &str| {
        let lines = half.split_inclusive('\n');
        lines
            .map(|line| format!("{sign}{line}"))
            .collect::<String>()
    };
    vec![
        (
            Dialect::SearchReplace,
            format!("{file}\n<<<<<<< SEARCH\n{old}=======\n{new}>>>>>>> REPLACE\n"),
        ),
        (
            Dialect::StrReplace,
            format!(
                r#"{{"file_path": {path}, "old_string": {old_text}, "new_string": {new_text}}}"#
            ),
        ),
        (
            Dialect::McpEdit,
            format!(
                r#"{{"path": {path}, "edits": [{{"oldText": {old_text}, "newText": {new_text}}}]}}"#
            ),
        ),
        (
            Dialect::Codex,
            format!(
                "*** Begin Patch\n*** Update File: {file}\n@@\n{}{}*** End Patch\n",
                signed("-", old),
                signed("+", new)
            ),
        ),
    ]
}

/// What comes of an edit: the new text and the step, or the refusal's code and message.
fn outcome(
    dialect: Dialect,
    patch: &str,
    file: &str,
    before: &str,
    strict: bool,
) -> Result<(String, Option<Matched>), (Code, String)> {
    let mut options = Options::default();
    options.dialect = Some(dialect);
    options.strict = strict;
    let files = Files::from([(
        file.as_bytes().to_vec(),
        (before.as_bytes().to_vec(), false),
    )]);
    let refused = |refusal: patchcore::Refusal| (refusal.code, refusal.message);
    let script = parse(patch.as_bytes(), &options).map_err(|unread| refused(unread.into()))?;
    let tree = tree(&files, &script.paths());
    let batch = script.lower(&tree).map_err(refused)?.batch;
    let plan = plan(&batch, &tree, &policy(&options));
    if let Some(refusal) = first_refusal(&plan) {
        return Err(refused(refusal));
    }
    assert_eq!(plan.verdicts[0].outcome, Outcome::Applied);
    let after = &changed(&files, &plan)[file.as_bytes()].0;
    let matched = plan.verdicts[0].matched;
    Ok((String::from_utf8(after.clone()).unwrap(), matched))
}

struct Case {
    file: &'static str,
    before: &'static str,
    old: &'static str,
    new: &'static str,
    /// What it comes to, and by which step; `None` where it is refused.
    after: Option<(&'static str, Matched)>,
}

const PYTHON: &str = "class A:\n    def f(self):\n        a = 1\n        if a:\n            return a\n\n    def g(self):\n        return 2\n";

fn check(case: &Case, but: &[Dialect]) {
    for (dialect, patch) in patches(case.file, case.old, case.new) {
        if but.contains(&dialect) {
            continue;
        }
        let got = outcome(dialect, &patch, case.file, case.before, false);
        match (&got, case.after) {
            (Ok((text, matched)), Some((after, step))) => {
                assert_eq!(text, after, "{dialect}: {patch}");
                assert_eq!(*matched, Some(step), "{dialect}: {patch}");
            }
            (Err((code, _)), None) => {
                let codes = [Code::AnchorNotFound, Code::AnchorAmbiguous];
                assert!(codes.contains(code), "{dialect}: {code} of {patch}");
            }
            _ => panic!("{dialect}: {got:?} of {patch}"),
        }
        let strict = outcome(dialect, &patch, case.file, case.before, true);
        assert!(strict.is_err(), "{dialect}, strict: {strict:?} of {patch}");
    }
}

#[test]
fn indentation_is_carried_over_where_the_lines_tell_how() {
    let step = Matched::Indentation;
    for (old, new, after) in [
        // One line by one.
        ("a = 1\n", "a = 3\n", Some("        a = 3\n")),
        // A line of both halves.
        (
            "a = 1\nif a:\n",
            "a = 1\nb = 2\nif b:\n",
            Some("        a = 1\n        b = 2\n        if b:\n"),
        ),
        (
            "            a = 1\n",
            "            a = 3\n",
            Some("        a = 3\n"),
        ),
        // The new half alone is indented as the file is.
        ("a = 1\n", "        a = 3\n", None),
        ("a = 1\nif a:\n", "        a = 1\n        if b:\n", None),
        // A single line does not tell how several are indented.
        ("a = 1\n", "a = 1\nb = 2\n", None),
        // No line of both halves at one level.
        ("a = 1\nif a:\n", "b = 1\nif b:\n", None),
        ("a = 1\nif a:\n", "with x:\n    a = 1\n    if a:\n", None),
        // Nothing tells.
        ("a = 1\n", "", None),
        // Back to where nothing above is.
        (
            "    a = 1\n    if a:\n",
            "    a = 1\nb = 2\n    if a:\n",
            None,
        ),
        // Not one shift.
        (
            "    a = 1\n    if a:\n      return a\n",
            "    a = 1\n    if b:\n      return a\n",
            None,
        ),
    ] {
        let replaced = |lines: &str| {
            let count = old.lines().count();
            let kept: Vec<&str> = PYTHON.split_inclusive('\n').collect();
            [&kept[..2].concat(), lines, &kept[2 + count..].concat()].concat()
        };
        let after: Option<&'static str> = after.map(|lines| &*replaced(lines).leak());
        check(
            &Case {
                file: "a.py",
                before: PYTHON,
                old,
                new,
                after: after.map(|after| (after, step)),
            },
            // A single line inside a line is a match of characters.
            if old.lines().count() == 1 && !old.starts_with(' ') {
                &[Dialect::StrReplace, Dialect::McpEdit]
            } else {
                &[]
            },
        );
    }
}

#[test]
fn indentation_is_no_guess() {
    for (file, before, old, new) in [
        // Two places, at whatever level.
        ("f", "    a\n    b\n  a\n  b\n", "a\nb\n", "a\nc\n"),
        // A single line with other white space at its end, too.
        ("f", "a\n  b  \n", "b\n", "c\n"),
        // Tabs are no spaces.
        (
            "f",
            "\ta\n\t\tb\n",
            "    a\n        b\n",
            "    a\n        c\n",
        ),
        // New lines that have less than would have to go.
        ("f", "a\nb\n", "    a\n    b\n", "    a\n\tb\n"),
        // New lines would start in a string.
        (
            "a.py",
            "def f():\n    x()\n    y()\n",
            "x()\ny()\n",
            "x('''\nz\n''')\ny()\n",
        ),
    ] {
        check(
            &Case {
                file,
                before,
                old,
                new,
                after: None,
            },
            &[],
        );
    }
}

#[test]
fn the_steps_are_named() {
    let cases = [
        (
            "a \nb\n",
            "a\nb\n",
            "a\nc\n",
            "a \nc\n",
            Matched::TrailingBlanks,
        ),
        (
            "x\nsay \u{201c}a\u{201d}\nz\n",
            "x\nsay \"a\"\n",
            "x\nsay \"b\"\n",
            "x\nsay \u{201c}b\u{201d}\nz\n",
            Matched::Typography,
        ),
        (
            "a\nb\nc\n",
            "\na\nb\n",
            "\na\nx\n",
            "a\nx\nc\n",
            Matched::EdgeBlanks,
        ),
        (
            "a\nb\nc\n",
            "a\nb\n\n",
            "x\nb\n\n",
            "x\nb\nc\n",
            Matched::EdgeBlanks,
        ),
        (
            "if a < b && c:\n    d\n",
            "if a &lt; b &amp;&amp; c:\n    d\n",
            "if a:\n    d\n",
            "if a:\n    d\n",
            Matched::Escapes,
        ),
        (
            "say(\"a\")\nb\n",
            "say(\\\"a\\\")\nb\n",
            "say()\nb\n",
            "say()\nb\n",
            Matched::Escapes,
        ),
    ];
    for (before, old, new, after, step) in cases {
        check(
            &Case {
                file: "f",
                before,
                old,
                new,
                after: Some((after, step)),
            },
            // The text of codex's lines that stand in both halves goes and comes.
            &[Dialect::Codex],
        );
    }
    // What a line of codex's ends in is not said.
    for (dialect, patch) in patches("f", "a\nb\n", "a\nc\n") {
        let (after, matched) = outcome(dialect, &patch, "f", "a\r\nb\r\n", false).unwrap();
        assert_eq!(after, "a\r\nc\r\n", "{dialect}");
        let step = (dialect != Dialect::Codex).then_some(Matched::LineEndings);
        assert_eq!(matched, step, "{dialect}");
        let (_, matched) = outcome(dialect, &patch, "f", "a\nb\n", false).unwrap();
        assert_eq!(matched, None, "{dialect}");
    }
}

#[test]
fn edges_and_escapes_are_no_guess() {
    for (before, old, new) in [
        // Not equally many blank lines.
        ("a\nb\n", "\na\n", "\n\nx\n"),
        ("a\nb\n", "\na\n", "x\n"),
        // Undoing it would change an added line.
        ("if a < b:\n    c\n", "if a &lt; b:\n", "if a &lt; c:\n"),
        // Two levels.
        ("if a < b:\n", "if a &amp;lt; b:\n", "if a:\n"),
    ] {
        check(
            &Case {
                file: "f",
                before,
                old,
                new,
                after: None,
            },
            &[],
        );
    }
}

#[test]
fn what_comes_behind_a_refused_edit_is_judged_without_it() {
    let blocks = |edits: &[(&str, &str)]| {
        let block = |(old, new): &(&str, &str)| {
            format!("f\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n")
        };
        edits.iter().map(block).collect::<String>()
    };
    let commands = |edits: &[(&str, &str)]| {
        let command = |(old, new): &(&str, &str)| {
            format!(r#"{{"file_path": "f", "old_string": "{old}", "new_string": "{new}"}}"#)
        };
        format!(
            "[{}]",
            edits.iter().map(command).collect::<Vec<_>>().join(", ")
        )
    };
    let mcp = |edits: &[(&str, &str)]| {
        let edit =
            |(old, new): &(&str, &str)| format!(r#"{{"oldText": "{old}", "newText": "{new}"}}"#);
        let edits = edits.iter().map(edit).collect::<Vec<_>>().join(", ");
        format!(r#"{{"path": "f", "edits": [{edits}]}}"#)
    };
    let edits = [
        ("one", "eins"),
        ("missing", "x"),
        ("two", "zwei"),
        ("x", "y"),
        ("three", "drei"),
    ];
    for patch in [blocks(&edits), commands(&edits), mcp(&edits)] {
        let files = Files::from([(b"f".to_vec(), (b"one\ntwo\nthree\n".to_vec(), false))]);
        let script = parse(patch.as_bytes(), &Options::default()).unwrap();
        let tree = tree(&files, &script.paths());
        let batch = script.lower(&tree).unwrap().batch;
        let plan = plan(&batch, &tree, &policy(&Options::default()));
        let outcomes: Vec<Outcome> = plan.verdicts.iter().map(|v| v.outcome).collect();
        assert_eq!(
            outcomes,
            [
                Outcome::NotApplied,
                Outcome::Refused,
                Outcome::NotApplied,
                // It is about what the refused one would have brought.
                Outcome::NotEvaluated,
                Outcome::NotApplied,
            ],
            "{patch}"
        );
    }
}

#[test]
fn a_refusal_shows_where_the_text_nearly_is() {
    let before = "def f(a, b):\n    total = compute(a,b)\n    return total\n";
    let (old, new) = ("    total = compute(a, b)\n", "    total = 1\n");
    for (dialect, patch) in patches("f", old, new) {
        let (code, message) = outcome(dialect, &patch, "f", before, false).unwrap_err();
        assert_eq!(code, Code::AnchorNotFound);
        assert!(
            message.contains(
                "line 2: only white space differs: the file has \"    total = compute(a,b)\""
            ),
            "{dialect}: {message}"
        );
    }
    let twice = "f\n<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n\n<<<<<<< SEARCH\na\n=======\nc\n>>>>>>> REPLACE\n";
    let (_, message) = outcome(Dialect::SearchReplace, twice, "f", "a\nx\n", false).unwrap_err();
    assert!(
        message.starts_with("operation 0 of the patch has changed"),
        "{message}"
    );
}

#[test]
fn chunks_behind_a_refused_one_are_judged_without_it() {
    // The file comes twice, so that the second section follows the first.
    let patch = "*** Begin Patch\n*** Update File: f\n@@\n-a\n+A\n*** Update File: f\n@@\n-missing\n+x\n@@\n-b\n+B\n@@\n-x\n+y\n*** End Patch\n";
    let files = Files::from([(b"f".to_vec(), (b"a\nb\n".to_vec(), false))]);
    let script = parse(patch.as_bytes(), &Options::default()).unwrap();
    let tree = tree(&files, &script.paths());
    let batch = script.lower(&tree).unwrap().batch;
    let plan = plan(&batch, &tree, &policy(&Options::default()));
    let outcomes: Vec<Outcome> = plan.verdicts.iter().map(|v| v.outcome).collect();
    let expected = [
        Outcome::NotApplied,
        Outcome::Refused,
        Outcome::NotApplied,
        Outcome::NotEvaluated,
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn a_hunk_shows_the_place_that_is_most_like_it_though_its_number_is_off() {
    let lines = |from: u32, to: u32| {
        (from..to)
            .map(|n| format!("let value_{n} = compute({n});\n"))
            .collect::<String>()
    };
    let before = lines(0, 40);
    let patch = "--- a/f\n+++ b/f\n@@ -3,3 +3,3 @@\n let value_20 = compute(20);\n-let value_21 =\tcompute(21);\n+let value_21 = 0;\n let value_22 = compute(22);\n";
    let (code, message) = outcome(Dialect::UnifiedDiff, patch, "f", &before, false).unwrap_err();
    assert_eq!(code, Code::AnchorNotFound);
    assert!(
        message
            .contains("most similar is line 21, where line 22 differs: only white space differs"),
        "{message}"
    );
    assert!(message.contains("=\\tcompute(21)"), "{message}");
}

#[test]
fn a_refusal_is_at_most_a_kilobyte() {
    let before = "let value = compute(of, very, many, arguments, that, make, the, line, long, enough, to, be, cut);\n"
        .repeat(50)
        .replacen("value", "other", 3);
    let old = "let value = compute(of, very, many, arguments, that, make, tee, line, long, enough, to, be, cut);\n".repeat(30);
    for (dialect, patch) in patches("f", &old, "x\n") {
        let files = Files::from([(b"f".to_vec(), (before.as_bytes().to_vec(), false))]);
        let mut options = Options::default();
        options.dialect = Some(dialect);
        let script = parse(patch.as_bytes(), &options).unwrap();
        let tree = tree(&files, &script.paths());
        let batch = script.lower(&tree).unwrap().batch;
        let refusal = first_refusal(&plan(&batch, &tree, &policy(&options))).unwrap();
        let size = serde_json::to_vec(&refusal).unwrap().len();
        assert!(size <= 1024, "{dialect}: {size} bytes: {refusal:?}");
        assert!(refusal.found.is_some_and(|found| found.len() > 200));
    }
}

/// An edit that a step of the ladder has carried out is not carried out again by it: its lines are
/// found inside of their new lines, indented, without blank lines at the edges, or not escaped.
#[test]
fn what_has_landed_on_a_step_does_not_land_on_it_again() {
    let cases = [
        (
            "<div>\n<b>x</b>\n</div>\n",
            "<div>\n<b>x</b>\n</div>\n",
            "<div>\n  <div>\n  <b>x</b>\n  </div>\n</div>\n",
        ),
        (
            "list(\n    one,\n)\n",
            "list(\n    one,\n)\n",
            "list(\n    list(\n        one,\n    )\n)\n",
        ),
        ("foo()\n", "\nfoo()\n\n", "\nfoo()\nbar()\n\n"),
        (
            "say \"a b\"\n",
            "say \\\"a b\\\"\n",
            "say \\\"a b\\\"\nmore()\n",
        ),
        ("a < b\n", "a &lt; b\n", "first()\na &lt; b\n"),
        (
            "    one()\n    two()\n",
            "one()\ntwo()\n",
            "one()\ntwo()\nthree()\n",
        ),
    ];
    for (stands, old, new) in cases {
        for (dialect, patch) in patches("f.html", old, new) {
            let before = format!("<p>\n{stands}end of it\n");
            let after = match outcome(dialect, &patch, "f.html", &before, false) {
                Ok((after, _)) => after,
                // All lines go there, none is kept.
                Err(_) if dialect == Dialect::Codex => continue,
                Err(refused) => panic!("{dialect}: {refused:?}\n{patch}"),
            };
            assert_ne!(after, before);
            let mut options = Options::default();
            options.dialect = Some(dialect);
            let script = parse(patch.as_bytes(), &options).expect(&patch);
            let file = (b"f.html".to_vec(), (after.into_bytes(), false));
            let tree = tree(&Files::from([file]), &script.paths());
            let lowered = script.lower(&tree).expect(&patch);
            let again = plan(&lowered.batch, &tree, &policy(&options));
            let outcomes: Vec<Outcome> = again.verdicts.iter().map(|v| v.outcome).collect();
            // Whether lines are wrapped once more, only the log can tell.
            let is_wrapped = new.contains("\n  ");
            match is_wrapped {
                true => assert_eq!(outcomes, [Outcome::Refused], "{dialect}\n{patch}"),
                false => assert_eq!(outcomes, [Outcome::AlreadyApplied], "{dialect}\n{patch}"),
            }
        }
    }
}

/// A newline that a text of characters ends in, or starts with, is one of the file's, on every step.
#[test]
fn newlines_at_the_edges_of_a_text_are_whole() {
    let file = "{\n    x = \"1\"\n\n    y\n}\n";
    let after = "{\n    x = \"1\"\n\n}\n";
    let crlf = "a\r\n\r\nb\r\n";
    for (before, old, new, after) in [
        (file, "    x = \"1\"\n\n    y", "    x = \"1\"\n", after),
        (file, "    x = \"1\"  \n\n    y", "    x = \"1\"\n", after),
        (file, "  x = \"1\"\n\n  y", "  x = \"1\"\n", after),
        (
            file,
            "    x = \u{201c}1\u{201d}\n\n    y",
            "    x = \u{201c}1\u{201d}\n",
            after,
        ),
        (
            file,
            "    x = &quot;1&quot;\n\n    y",
            "    x = &quot;1&quot;\n",
            after,
        ),
        (crlf, "\nb", "\nc", "a\r\n\r\nc\r\n"),
        (crlf, "\nb", "c", "a\r\nc\r\n"),
        (crlf, "\n\nb", "\nc", "a\r\nc\r\n"),
    ] {
        for (dialect, patch) in patches("f.txt", old, new) {
            if matches!(dialect, Dialect::StrReplace | Dialect::McpEdit) {
                let got = outcome(dialect, &patch, "f.txt", before, false);
                let got = got.map(|(text, _)| text);
                assert_eq!(got.as_deref(), Ok(after), "{dialect}: {old:?}");
            }
        }
    }
}

/// Spaces of other code points in the indentation of old lines are in that of new ones by mistake.
#[test]
fn new_lines_are_indented_with_the_spaces_of_the_file() {
    let wide = |text: &str| text.replace("    ", "\u{a0}   ");
    let (old, new) = ("    a\n    b\n", "    a\n    c\u{a0}d\n    b\n");
    let before = format!("f:\n{old}");
    for (dialect, patch) in patches("f.txt", &wide(old), &wide(new)) {
        let got = outcome(dialect, &patch, "f.txt", &before, false);
        let got = got.map(|(text, _)| text);
        assert_eq!(got.as_deref(), Ok(&*format!("f:\n{new}")), "{dialect}");
    }
}

/// New lines may go back to a level of the old half, and go deeper only as the file does.
#[test]
fn levels_are_those_of_the_old_half_or_steps_of_the_file() {
    let file = "a {\n    b {\n        c();\n    }\n    d();\n}\n";
    let deeper = "a {\n    b {\n        c();\n        if (x) {\n            e();\n        }\n    }\n    d();\n}\n";
    for (old, new, after) in [
        // It starts inside of a block and goes out of it.
        (
            "    c();\n}\nd();\n",
            "    c();\n}\ne();\n",
            Some(file.replace("d()", "e()")),
        ),
        (
            "    c();\n}\n",
            "    c();\n    if (x) {\n        e();\n    }\n}\n",
            Some(deeper.to_owned()),
        ),
        // Two are half of what the file takes; the model may have halved all of it.
        (
            "  b {\n      c();\n",
            "  b {\n      if (x)\n        c();\n",
            None,
        ),
        ("    c();\n}\n", "    c();\n  e();\n}\n", None),
        // Others are moved deeper above it.
        ("    c();\n}\nd();\n", "    c();\n    d();\n}\n", None),
    ] {
        for (dialect, patch) in patches("f.c", old, new) {
            let got = outcome(dialect, &patch, "f.c", file, false);
            match &after {
                Some(after) => assert_eq!(
                    got,
                    Ok((after.clone(), Some(Matched::Indentation))),
                    "{dialect}: {old:?}"
                ),
                None => assert!(got.is_err(), "{dialect}: {got:?}"),
            }
        }
    }
}

/// Blank lines at the edges of a block tell no copy with other indentation from the block itself.
#[test]
fn a_copy_with_other_indentation_is_not_chosen_by_its_blank_lines() {
    let before = "x\na();\nb();\ny\n\n    a();\n    b();\n\nz\n";
    let (old, new) = ("\na();\nb();\n\n", "\na();\nc();\n\n");
    for (dialect, patch) in patches("f.c", old, new) {
        let got = outcome(dialect, &patch, "f.c", before, false);
        assert!(got.is_err(), "{dialect}: {got:?}");
    }
}

/// Lines that are deleted and misquoted are no edit that has landed.
#[test]
fn a_misquoted_deletion_has_not_landed() {
    let before = "first(argument);\nsecond(argument);\nthird(argument);\n";
    let new = "second(argument);\nthird(argument);\n";
    for old in [
        "1| first(argument);\n2| second(argument);\n3| third(argument);\n",
        "1\tfirst(argument);\n2\tsecond(argument);\n3\tthird(argument);\n",
        "first(argument);\\nsecond(argument);\\nthird(argument);\n",
    ] {
        for (dialect, patch) in patches("f.c", old, new) {
            let got = outcome_or_landed(dialect, &patch, "f.c", before);
            // Blocks are read without the numbers.
            let is_known = matches!(got, Err(_) | Ok(Outcome::Applied));
            assert!(is_known, "{dialect}: {got:?} of {old:?}");
        }
    }
}

/// The refusal of an edit, or else what is said of it.
fn outcome_or_landed(
    dialect: Dialect,
    patch: &str,
    file: &str,
    before: &str,
) -> Result<Outcome, Code> {
    let mut options = Options::default();
    options.dialect = Some(dialect);
    let files = Files::from([(
        file.as_bytes().to_vec(),
        (before.as_bytes().to_vec(), false),
    )]);
    let script = parse(patch.as_bytes(), &options).map_err(|unread| unread.refusal().code)?;
    let tree = tree(&files, &script.paths());
    let batch = script.lower(&tree).map_err(|refusal| refusal.code)?.batch;
    let plan = plan(&batch, &tree, &policy(&options));
    match first_refusal(&plan) {
        Some(refusal) => Err(refusal.code),
        None => Ok(plan.verdicts[0].outcome),
    }
}
