//! Batches for a state of their file that a formatter laid out anew since.

use std::sync::Arc;

use patchcore::batch::{self, Limits};
use patchcore::plan::{Entry, Plan, Source, plan};
use patchcore::{Code, Digest, Policy, RelPath, Tree};
use serde_json::{Value, json};

/// Plans an operation on lines of an older state of a file.
fn planned(name: &str, base: &str, current: &str, mut operation: Value, rebase: bool) -> Plan {
    operation["file"] = name.into();
    operation["base"] = Digest::of(base.as_bytes()).to_string().into();
    let source = |text: &str| Arc::new(Source::new(text.into(), false));
    let path = RelPath::new(name).unwrap();
    let mut tree = Tree::new();
    tree.insert(path.clone(), Entry::File(source(current)));
    tree.add_base(path, source(base));
    let batch = json!({ "operations": [operation] }).to_string();
    let batch = batch::parse(batch.as_bytes(), &Limits::default()).unwrap();
    let mut policy = Policy::default();
    policy.rebase = rebase;
    plan(&batch, &tree, &policy)
}

/// What the file becomes, or why not.
fn rebased(name: &str, base: &str, current: &str, operation: Value) -> Result<String, Code> {
    let plan = planned(name, base, current, operation, true);
    let verdict = &plan.verdicts[0];
    if let Some(refusal) = &verdict.refusal {
        return Err(refusal.code);
    }
    assert!(verdict.rebased.is_some());
    let bytes = plan.changes[0].chunks().flatten().copied().collect();
    Ok(String::from_utf8(bytes).unwrap())
}

fn replace(first: usize, last: usize, content: &str) -> Value {
    json!({ "op": "replace-block", "at": { "lines": [first, last] }, "content": content })
}

const PY: &str = "\
import os
def run(a, b):
    first = call(a, 'x', b)
    if a: return first
    second = {'k': [a,
                    b]}
    # what is left
    return  second
";

/// As black writes it with short lines.
const BLACK: &str = "\
import os


def run(a, b):
    first = call(
        a,
        \"x\",
        b,
    )
    if a:
        return first
    second = {
        \"k\": [a, b]
    }
    # what is left
    return second
";

#[test]
fn lines_that_were_joined_split_and_quoted_otherwise_are_found() {
    let lands = |first, last, from: &str| {
        let result = rebased("f.py", PY, BLACK, replace(first, last, "    new\n"));
        assert_eq!(
            result.as_deref(),
            Ok(&*BLACK.replace(from, "    new\n")),
            "{first}"
        );
    };
    lands(
        3,
        3,
        "    first = call(\n        a,\n        \"x\",\n        b,\n    )\n",
    );
    lands(4, 4, "    if a:\n        return first\n");
    lands(5, 6, "    second = {\n        \"k\": [a, b]\n    }\n");
    lands(7, 7, "    # what is left\n");
    lands(8, 8, "    return second\n");
    // A part of a line is none.
    let inside = rebased("f.py", PY, BLACK, replace(6, 6, "    new\n"));
    assert_eq!(inside, Err(Code::BaseMismatch));
    let insertion = json!({
        "op": "insert-after", "at": { "line": 4 }, "content": "    new\n", "expect": "    if a: return first\n",
    });
    let below = BLACK.replace("return first\n", "return first\n    new\n");
    assert_eq!(rebased("f.py", PY, BLACK, insertion), Ok(below));
}

#[test]
fn what_is_expected_is_held_against_the_base() {
    let mut operation = replace(4, 4, "    new\n");
    operation["expect"] = "    if a: return first\n".into();
    assert!(rebased("f.py", PY, BLACK, operation.clone()).is_ok());
    operation["expect"] = "    if b: return first\n".into();
    assert!(rebased("f.py", PY, BLACK, operation).is_err());
}

#[test]
fn tokens_that_changed_are_a_change() {
    let operation = || replace(4, 4, "    new\n");
    for (from, to) in [
        ("if a:", "if b:"),
        ("return first", "return  # first"),
        ("\"x\"", "\"x \""),
        ("call(\n", "call(*\n"),
        ("\"k\"", "k"),
        ("        return first\n", ""),
    ] {
        let current = BLACK.replace(from, to);
        let result = rebased("f.py", PY, &current, operation());
        assert_eq!(result, Err(Code::BaseMismatch), "{from} -> {to}");
    }
    // A language of which it is not known what a string is.
    let result = rebased("f.unknown", PY, BLACK, operation());
    assert_eq!(result, Err(Code::BaseMismatch));
}

#[test]
fn parentheses_that_group_are_tokens_and_those_around_all_are_none() {
    let base = "a1 = 1\na2 = 2\nx = (p + q) * r\nreturn u\nb1 = 1\nb2 = 2\n";
    let line = || replace(3, 3, "new\n");
    let grouped = base
        .replace("(p + q) * r", "p + q * r")
        .replace("a1 = 1", "a1  = 1");
    assert!(rebased("f.py", base, &grouped, line()).is_err());
    let around = base.replace("(p + q) * r", "(\n    (p + q) * r\n)");
    let expected = around.replace("x = (\n    (p + q) * r\n)\n", "new\n");
    assert_eq!(rebased("f.py", base, &around, line()), Ok(expected));
    let around = base.replace("return u", "return (\n    u\n)");
    let expected = around.replace("return (\n    u\n)\n", "new\n");
    assert_eq!(
        rebased("f.py", base, &around, replace(4, 4, "new\n")),
        Ok(expected)
    );
    // The other way round, a part of the parentheses is no whole.
    let base = around;
    let current = base.replace("return (\n    u\n)", "return u");
    let expected = current.replace("return u", "new");
    assert_eq!(
        rebased("f.py", &base, &current, replace(4, 6, "new\n")),
        Ok(expected)
    );
    assert!(rebased("f.py", &base, &current, replace(4, 5, "new\n")).is_err());
}

/// Whether a line is found that was written in one way and is in another.
fn is_found(name: &str, was: &str, now: &str) -> bool {
    let around = |line: &str| format!("a1 = 1\na2 = 2\n{line}\nb1 = 1\nb2 = 2\n");
    let count = was.lines().count();
    let operation = replace(3, 2 + count, "new\n");
    match rebased(name, &around(was), &around(now), operation) {
        Ok(result) => {
            assert_eq!(result, around("new"), "{was} -> {now}");
            true
        }
        Err(code) => {
            assert_eq!(code, Code::BaseMismatch);
            false
        }
    }
}

#[test]
fn a_mark_that_a_formatter_leaves_alone_is_a_token() {
    for (name, one, other) in [
        ("f.py", "x = (a,)", "x = (a)"),
        ("f.py", "x = '%s' % (a,)", "x = '%s' % (a)"),
        ("f.py", "x = f(a),", "x = f(a)"),
        ("f.py", "x = {1: 2},", "x = {1: 2}"),
        ("f.py", "x = [(a, b), c]", "x = [a, b, c]"),
        ("f.py", "f((a, b))", "f(a, b)"),
        ("f.py", "f(x=(a, b))", "f(x=a, b)"),
        ("f.py", "assert (a, b)", "assert a, b"),
        ("f.py", "x = (a + b)[0]", "x = a + b[0]"),
        ("f.py", "x = not (a or b)", "x = not a or b"),
        ("f.py", "x = (a, b) in c", "x = a, b in c"),
        ("f.py", "return ()", "return"),
        ("f.py", "f()", "f"),
        (
            "f.py",
            "if (a or b\n        and c):\n    pass",
            "if (\n    (a or b)\n    and c\n):\n    pass",
        ),
        ("f.js", "x = (a || b)\n  && c", "x = a || b\n  && c"),
        ("f.js", "x = (a, b)", "x = a, b"),
        ("f.js", "x = [a,,]", "x = [a,]"),
        ("f.js", "x = [,]", "x = []"),
        ("f.rs", "let x = (a,);", "let x = (a);"),
        ("f.rs", "let x = (a);", "let x = a;"),
        ("f.sh", "echo a; rm b", "echo a rm b"),
        ("f.sh", "(cd x)", "cd x"),
    ] {
        assert!(!is_found(name, one, other), "{one} -> {other}");
        assert!(!is_found(name, other, one), "{other} -> {one}");
    }
}

#[test]
fn a_mark_that_a_formatter_adds_or_drops_is_none() {
    for (name, one, other) in [
        ("f.py", "return (a, b)", "return a, b"),
        ("f.py", "for x in (a, b): pass", "for x in a, b:\n    pass"),
        ("f.py", "f((a))", "f(a)"),
        ("f.py", "f(a, b)", "f(\n    a,\n    b,\n)"),
        ("f.py", "f(a)", "f(\n    a,\n)"),
        ("f.py", "x = [a]", "x = [\n    a,\n]"),
        ("f.py", "from a import b", "from a import (\n    b,\n)"),
        ("f.py", "if a: b", "if (\n    a\n):\n    b"),
        ("f.js", "if (a)\n  b()", "if (a) b();"),
        ("f.py", "a; b", "a\nb"),
        ("f.js", "f = x => y", "f = (x) => y;"),
        ("f.js", "x = {a, b}", "x = {\n  a,\n  b,\n};"),
        ("f.rs", "f(a);", "f(\n    a,\n);"),
        (
            "f.rs",
            "match a { b => {}, c => d }",
            "match a {\n    b => {}\n    c => d,\n}",
        ),
    ] {
        assert!(is_found(name, one, other), "{one} -> {other}");
        assert!(is_found(name, other, one), "{other} -> {one}");
    }
}

#[test]
fn new_lines_are_indented_as_their_place_is() {
    let base =
        "function f() {\n    if (a) {\n        one()\n        two()\n    }\n    three()\n}\n";
    let halved = base.replace("    ", "  ").replace("()\n", "();\n");
    let operation = replace(3, 4, "        for (;;) {\n            zero()\n        }\n");
    let expected = halved.replace(
        "    one();\n    two();\n",
        "    for (;;) {\n      zero()\n    }\n",
    );
    assert_eq!(rebased("f.js", base, &halved, operation), Ok(expected));
    let tabs = base.replace("    ", "\t").replace("()\n", "();\n");
    let expected = tabs.replace("\t\tone();\n", "\t\tnew()\n\t\t\tmore()\n");
    let operation = replace(3, 3, "        new()\n            more()\n");
    assert_eq!(rebased("f.js", base, &tabs, operation), Ok(expected));
    // Levels that are not known there, and two that would become one.
    let deep = "        1()\n        2()\n        3()\n        4()\n        5()\n";
    let deeper = format!("f() {{\n    if (a) {{\n{deep}    }}\n}}\n");
    let halved = deeper.replace("    ", "  ");
    let lands = |content| rebased("f.js", &deeper, &halved, replace(5, 5, content));
    assert_eq!(lands("        x()\n"), Ok(halved.replace("3()", "x()")));
    assert!(lands("    out()\n").is_err());
    let two = "        a()\n          b()\n            c()\n";
    assert!(
        rebased(
            "f.js",
            base,
            &base.replace("    ", "  "),
            replace(3, 4, two)
        )
        .is_err()
    );
    // The text of a string keeps its own.
    let operation = replace(3, 3, "        new(`\n            more`)\n");
    assert!(rebased("f.js", base, &tabs, operation).is_err());
}

#[test]
fn a_statement_that_left_its_block_has_changed() {
    let base = "def f():\n    if a:\n        one()\n        two()\n    three()\n    four()\n";
    let left = base.replace("        two()", "    two()");
    for line in 3..6 {
        let result = rebased("f.py", base, &left, replace(line, line, "        new()\n"));
        assert_eq!(result, Err(Code::BaseMismatch), "{line}");
    }
    let wider = base.replace("    ", "  ");
    let expected = wider.replace("    two()", "    new()");
    let result = rebased("f.py", base, &wider, replace(4, 4, "        new()\n"));
    assert_eq!(result, Ok(expected));
}

#[test]
fn lines_of_a_long_string_and_of_a_comment_are_found_one_by_one() {
    let base =
        "def f(a,b):\n    '''One.\n\n    Two  words.\n    '''\n    return  a\n\n\n\nx = 1\ny = 2\n";
    let current = base
        .replace("(a,b)", "(a, b)")
        .replace("return  a", "return a");
    let expected = current.replace("Two  words.", "More:\n      words.");
    let operation = replace(4, 4, "    More:\n      words.\n");
    assert_eq!(
        rebased("f.py", base, &current, operation.clone()),
        Ok(expected)
    );
    let words = current.replace("Two  words", "Two words");
    assert!(rebased("f.py", base, &words, operation).is_err());
    let base = "a( 1)\n    /**\n     * One.\n     * Two.\n     */\n    b( 2)\nc( 3)\n";
    let current = "a(1);\n/**\n * One.\n * Two.\n */\nb(2);\nc(3);\n";
    let operation = replace(4, 4, "     * New.\n");
    let expected = current.replace("Two", "New");
    assert_eq!(rebased("f.js", base, current, operation), Ok(expected));
}

#[test]
fn a_copy_does_not_stand_for_lines_that_were_changed() {
    let block = "one( 1)\ntwo( 2)\nmid( 3)\nfour( 4)\nfive( 5)\n";
    let base = format!("head\n{block}tail\n");
    let laid = |text: &str| text.replace("( ", "(");
    let changed = block.replace("mid", "other");
    let current = laid(&format!("head\n{block}\n{changed}tail\n"));
    let result = rebased("f.js", &base, &current, replace(4, 4, "new()\n"));
    assert!(result.is_err());
    let twice = laid(&format!("head\n{block}\n{block}tail\n"));
    assert!(rebased("f.js", &base, &twice, replace(4, 4, "new()\n")).is_err());
}

#[test]
fn without_permission_the_refusal_suggests_what_needs_no_other_content() {
    let suggestion = |operation: Value| {
        let plan = planned("f.py", PY, BLACK, operation, false);
        let refusal = plan.verdicts[0].refusal.as_deref().unwrap();
        refusal.suggestion.as_deref().cloned()
    };
    let found = suggestion(replace(4, 4, "    new\n")).unwrap();
    assert_eq!(found["at"]["lines"], json!([10, 11]));
    let mut expecting = replace(4, 4, "    new\n");
    expecting["expect"] = "    if a: return first\n".into();
    assert_eq!(suggestion(expecting), None);
}
