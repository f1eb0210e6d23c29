use proptest::prelude::*;

use super::*;
use crate::edit::EditSet;

fn path(name: &str) -> RelPath {
    RelPath::new(name).unwrap()
}

/// Marks every placeholder with one mark, and remembers it.
fn run(
    name: &str,
    source: &[u8],
    mark: &Mark,
    injected: &mut Injected,
    mode: MarkMode,
) -> Result<Vec<u8>, Refusal> {
    let scanner = Scanner::new();
    let known = injected.clone();
    let marker = Marker::new(&scanner, &known).in_mode(mode);
    let marked = marker.mark(&path(name), source, &|_| Some(mark.clone()));
    let mut edits = Vec::new();
    for one in marked {
        one.note(injected);
        if let Some(refusal) = one.refusal {
            return Err(refusal);
        }
        edits.extend(one.edits);
    }
    Ok(EditSet::new(edits, source.len()).unwrap().apply(source))
}

fn prompt(text: &str) -> Mark {
    Mark::Prompt(text.to_owned())
}

fn inject(name: &str, source: &str, mark: &Mark) -> String {
    let after = run(
        name,
        source.as_bytes(),
        mark,
        &mut Injected::default(),
        MarkMode::Inject,
    );
    String::from_utf8(after.unwrap()).unwrap()
}

fn refuse(name: &str, source: &str) -> Refusal {
    let mark = prompt("x");
    run(
        name,
        source.as_bytes(),
        &mark,
        &mut Injected::default(),
        MarkMode::Inject,
    )
    .unwrap_err()
}

macro_rules! layouts {
    ($($label:ident: $name:literal, $source:literal, $mark:expr => $after:literal;)+) => {
        $(#[test] fn $label() { assert_eq!(inject($name, $source, &$mark), $after); })+
    };
}

layouts! {
    typescript_prompt: "a.ts", "a\n  ###A###\n", prompt("do it")
        => "a\n  /** agent: do it **/\n  ###A###\n";
    typescript_task: "a.ts", "/** A **/", Mark::Task("0199-u".to_owned())
        => "/* TASK_ID:0199-u – see .mission_control/tasks.json */\n/** A **/";
    several_lines_in_a_block: "a.ts", "\t/** A **/\r\n", prompt("one\n\n  two\r\nthree\n")
        => "\t/** agent: one\r\n\t *\r\n\t *    two\r\n\t *  three **/\r\n\t/** A **/\r\n";
    several_lines_of_hashes: "a.py", "  # ###A###\n", prompt("one\n\ntwo")
        => "  # agent: one\n  #\n  #   two\n  # ###A###\n";
    markdown: "a.md", "###A###\n", prompt("a --> b\nc") => "<!-- agent: a - -> b\n     c -->\n###A###\n";
    sql: "a.sql", "-- ###A###\n", prompt("x") => "-- agent: x\n-- ###A###\n";
    jsx_child: "a.tsx", "<p>\n  {/* ###A### */}\n</p>\n", prompt("x")
        => "<p>\n  {/** agent: x **/}\n  {/* ###A### */}\n</p>\n";
    script_in_a_page: "a.html", "<script>\n###A###\n</script>\n###B###\n", prompt("</script>")
        => "<script>\n/** agent: < /script> **/\n###A###\n</script>\n<!-- agent: </script> -->\n###B###\n";
    php_inside_and_out: "a.php", "###A###\n<?php\n# ###B###\n", prompt("?>")
        => "<!-- agent: ? > -->\n###A###\n<?php\n/** agent: ? > **/\n# ###B###\n";
    within_a_block_comment: "a.ts", "/*\n * ###A###\n */\n", prompt("x")
        => "/*\n // agent: x\n * ###A###\n */\n";
    behind_a_bom: "a.ts", "\u{feff}###A###\n", prompt("x") => "\u{feff}/** agent: x **/\n###A###\n";
    two_on_one_line: "a.ts", "###A### ###B### ###A###\n", prompt("x")
        => "/** agent: x **/\n/** agent: x **/\n###A### ###B### ###A###\n";
    adjacent_lines: "a.ts", "###A###\n###B###\n", prompt("x")
        => "/** agent: x **/\n###A###\n/** agent: x **/\n###B###\n";
    looks_like_a_placeholder: "a.py", "# ###A###\n", prompt("###B### /** C **/ ####D###")
        => "# agent: # ##B### / ** C **/ ## ##D###\n# ###A###\n";
    unicode_escapes_in_java: "a.java", "###A###\n", prompt("\\u002a/ \\")
        => "/** agent: \\ u002a/ \\ . **/\n###A###\n";
    carriage_returns_and_separators: "a.sh", "# ###A###\n", prompt("a\rb\u{2028}c\u{1b}[2J")
        => "# agent: a\n#   b\n#   c<U+001B>[2J\n# ###A###\n";
    empty: "a.ts", "###A###\n", prompt(" \n") => "/** agent: **/\n###A###\n";
}

#[test]
fn what_cannot_be_marked_says_why() {
    for (name, source, code, says) in [
        (
            "a.json",
            "{}\n\"###A###\"",
            Code::NoCommentSyntax,
            "a.json line 2, placeholder A, cannot be marked: JSON has no comments",
        ),
        (
            "a.what",
            "###A###",
            Code::NoCommentSyntax,
            "no language is known",
        ),
        (
            "a.html",
            "<script type=\"application/json\">\n###A###",
            Code::NoCommentSyntax,
            "JSON",
        ),
        (
            "run",
            "#!/bin/sh ###A###\n",
            Code::NoCommentSyntax,
            "line 1 has to stay",
        ),
        (
            "a.xml",
            "<?xml ###A###?>",
            Code::NoCommentSyntax,
            "line 1 has to stay",
        ),
        (
            "a.css",
            "/*\n###A###\n*/",
            Code::NoCommentSyntax,
            "line 1 opens a comment",
        ),
        (
            "a.sh",
            "x \\\n  ###A###\n",
            Code::NoCommentSyntax,
            "line above goes on",
        ),
        ("a.ts", "\0###A###\n", Code::BinaryFile, "NUL"),
    ] {
        let refusal = refuse(name, source);
        assert_eq!(refusal.code, code, "{name}");
        assert!(refusal.message.contains(says), "{}", refusal.message);
    }
}

#[test]
fn a_changed_prompt_is_renewed_and_an_edited_comment_is_not() {
    let mut injected = Injected::default();
    let source = b"# ###A###\n";
    let mut step =
        |text: &[u8], mark: &Mark| run("a.py", text, mark, &mut injected, MarkMode::Inject);
    let one = step(source, &prompt("one\ntwo")).unwrap();
    let two = step(&one, &prompt("three")).unwrap();
    assert_eq!(two, b"# agent: three\n# ###A###\n");
    let back = step(&two, &prompt("one\ntwo")).unwrap();
    assert_eq!(back, one);
    let indented = String::from_utf8(back)
        .unwrap()
        .replace("#   two", "   #   two  ");
    assert_eq!(step(indented.as_bytes(), &prompt("three")).unwrap(), two);
    let edited = String::from_utf8(two).unwrap().replace("three", "four");
    for mark in [prompt("three"), prompt("five")] {
        let refusal = step(edited.as_bytes(), &mark).unwrap_err();
        assert_eq!(refusal.code, Code::CommentEdited);
        assert_eq!(refusal.line, Some(LineNumber::FIRST));
    }
    assert_eq!(
        step(edited.as_bytes(), &prompt("four")).unwrap(),
        edited.as_bytes()
    );
    let scanner = Scanner::new();
    let known = Injected::default();
    let marked =
        Marker::new(&scanner, &known)
            .overwriting()
            .mark(&path("a.py"), edited.as_bytes(), &|_| Some(prompt("five")));
    assert_eq!(marked[0].edits[0].text, b"# agent: five\n");
}

#[test]
fn a_task_comment_says_by_itself_whether_it_was_edited() {
    let task = |id: &str| Mark::Task(id.to_owned());
    let one = inject("a.ts", "###A###\n", &task("u-1"));
    assert_eq!(inject("a.ts", &one, &task("u-1")), one);
    let two = inject("a.ts", &one, &task("u-2"));
    assert_eq!(two, one.replace("u-1", "u-2"));
    let refusal = |text: &str| {
        run(
            "a.ts",
            text.as_bytes(),
            &task("u-3"),
            &mut Injected::default(),
            MarkMode::Inject,
        )
        .unwrap_err()
    };
    assert_eq!(
        refusal(&one.replace("see", "look into")).code,
        Code::CommentEdited
    );
    assert_eq!(
        refusal(&one.replace("u-1", "u-1 (mine)")).code,
        Code::CommentEdited
    );
}

#[test]
fn both_kinds_stand_above_one_placeholder() {
    let task = Mark::Task("u".to_owned());
    let both = inject("a.ts", &inject("a.ts", "###A###\n", &task), &prompt("x"));
    assert_eq!(
        both,
        "/* TASK_ID:u – see .mission_control/tasks.json */\n/** agent: x **/\n###A###\n"
    );
    assert_eq!(inject("a.ts", &both, &task), both);
    assert_eq!(inject("a.ts", &both, &prompt("x")), both);
}

#[test]
fn ids_on_one_line_keep_their_own_comments() {
    let scanner = Scanner::new();
    let mut known = Injected::default();
    let mut text = b"###A### ###B###\n".to_vec();
    let mut step = |a: Option<&str>, b: Option<&str>| {
        let snapshot = known.clone();
        let marked = Marker::new(&scanner, &snapshot).mark(&path("a.ts"), &text, &|id| {
            if id == "A" {
                a.map(prompt)
            } else {
                b.map(prompt)
            }
        });
        let mut edits = Vec::new();
        for one in marked {
            assert_eq!(one.refusal, None);
            one.note(&mut known);
            edits.extend(one.edits);
        }
        text = EditSet::new(edits, text.len()).unwrap().apply(&text);
        String::from_utf8(text.clone()).unwrap()
    };
    step(Some("a"), None);
    assert_eq!(
        step(None, Some("b")),
        "/** agent: a **/\n/** agent: b **/\n###A### ###B###\n"
    );
    assert_eq!(
        step(Some("a2"), Some("b")),
        "/** agent: a2 **/\n/** agent: b **/\n###A### ###B###\n"
    );
}

fn nasty() -> Vec<String> {
    let mut prompts: Vec<String> = [
        "*/",
        "-->",
        "\"\"\"",
        "'''",
        "\n::set-env name=x::y",
        "x\n  ::error::y",
        "\r",
        "a\rb",
        "--}}",
        "#}",
        "%>",
        "*)",
        "(*",
        "/*",
        "<!--",
        "--!>",
        "]]",
        "]=]",
        "-}",
        "{-",
        "#>",
        "<#",
        "\\",
        "^",
        "x\\\ny",
        "?>",
        "</script>",
        "\0",
        "\u{1b}[31m",
        "\u{202e}x",
        "\u{2028}y",
        "\u{85}z",
        "\u{b}w",
        "###A###",
        "/** A **/",
        "######A######",
        "\\u002a/",
        "##[error]x",
        "##vso[task.x]",
        "%PATH%",
        "${{ x }}",
        "`",
        "{|",
        "\"",
        "=begin",
        "\n=end\n",
        "\n\n",
        "",
        " ",
        "\ttab",
        "*",
        "/",
        "*\n/",
        "-",
        "->",
        "#=",
        "agent: agent:",
        "TASK_ID:x",
        "*/ agent: y /*",
        "\n*/\n",
        "\n-->\n",
    ]
    .map(str::to_owned)
    .to_vec();
    prompts.push("😀".repeat(2560));
    prompts.push("👩‍👩‍👧‍👦\n".repeat(400));
    prompts.push("*/\n-->\n\"\"\"\n".repeat(50));
    prompts
}

#[test]
fn no_text_leaves_its_comment_in_any_language() {
    let mut styles = 0;
    for language in Language::all() {
        let Some(style) = language.style else {
            continue;
        };
        styles += 1;
        let name = language.sample_name();
        for text in nasty() {
            for mark in [prompt(&text), Mark::Task(text.clone())] {
                check(&name, style, &mark, &text);
            }
        }
    }
    assert!(styles >= 80);
}

fn check(name: &str, style: &CommentStyle, mark: &Mark, text: &str) {
    let what = || format!("{name}: {text:?}");
    let source = "first\n  ###A### x\nlast";
    let mut injected = Injected::default();
    let after = run(
        name,
        source.as_bytes(),
        mark,
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    let after = String::from_utf8(after).unwrap();
    let comment = after
        .strip_prefix("first\n")
        .and_then(|rest| rest.strip_suffix("  ###A### x\nlast"))
        .unwrap_or_else(|| panic!("{}", what()));
    assert!(
        comment.ends_with('\n') && comment.starts_with("  "),
        "{}",
        what()
    );
    assert!(
        super::super::find(comment.as_bytes()).is_empty(),
        "{}",
        what()
    );
    for line in comment.lines() {
        let bare = line.trim_start();
        assert!(
            !bare.starts_with("::") && !bare.contains("##["),
            "{}",
            what()
        );
        assert!(
            !bare.contains(|c: char| c.is_control() && c != '\t'),
            "{}",
            what()
        );
        assert!(!bare.ends_with(['\\', '^']), "{}", what());
        if style.is_line() {
            assert!(bare.starts_with(style.opener()), "{}", what());
        }
        for sequence in style.forbidden {
            let inside = bare
                .trim_start_matches(style.prompt[0])
                .trim_start_matches(style.task[0])
                .trim_end_matches(style.prompt[1])
                .trim_end_matches(style.task[1]);
            assert!(!inside.contains(sequence), "{} {sequence}", what());
        }
    }
    if !style.is_line() {
        assert_eq!(comment.matches(style.closer()).count(), 1, "{}", what());
        assert!(comment.trim_end().ends_with(style.closer()), "{}", what());
    }
    let again = run(
        name,
        after.as_bytes(),
        mark,
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    assert_eq!(String::from_utf8(again).unwrap(), after, "{}", what());
    let removed = run(
        name,
        after.as_bytes(),
        mark,
        &mut injected,
        MarkMode::Remove,
    )
    .unwrap();
    assert_eq!(String::from_utf8(removed).unwrap(), source, "{}", what());
    let renewed = run(
        name,
        after.as_bytes(),
        &prompt("new"),
        &mut injected,
        MarkMode::Inject,
    )
    .unwrap();
    let expected = match mark {
        Mark::Prompt(_) => inject(name, source, &prompt("new")),
        Mark::Task(_) => inject(name, &after, &prompt("new")),
    };
    assert_eq!(String::from_utf8(renewed).unwrap(), expected, "{}", what());
}

proptest! {
    #[test]
    fn injecting_twice_is_once_and_removal_restores_every_byte(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "###A###", "/** B **/", " ", "\t", "\n", "\r\n", "x", "// y", "# z", "/*", "*/", "/** agent",
                "# agent: other", "\\", "é", "<!--", "-->", "#   ", " *  ",
            ]),
            0..30,
        ),
        text in proptest::sample::select(nasty()),
        name in proptest::sample::select(vec!["a.ts", "a.py", "a.html", "a.c", "a.sh", "a.css", "a.rs", "a.md"]),
        bom in any::<bool>(),
    ) {
        let source = format!("{}{}", if bom { "\u{feff}" } else { "" }, pieces.concat());
        let mark = prompt(&text);
        let mut injected = Injected::default();
        if let Ok(once) = run(name, source.as_bytes(), &mark, &mut injected, MarkMode::Inject) {
            let count = |bytes: &[u8]| super::super::find(bytes).len();
            prop_assert_eq!(count(&once), count(source.as_bytes()));
            let twice = run(name, &once, &mark, &mut injected, MarkMode::Inject).unwrap();
            prop_assert_eq!(&twice, &once);
            let removed = run(name, &once, &mark, &mut injected, MarkMode::Remove).unwrap();
            prop_assert_eq!(removed, source.as_bytes());
        }
    }
}
