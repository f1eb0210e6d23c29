use std::fmt::Write as _;

use proptest::prelude::*;

use super::{Diagnostic, Limits, PatchBatch, digest, parse};
use crate::error::{Code, Refusal, Stop};
use crate::operation::{Action, Batch, Occurrence, Target};

/// Parses what is wrong, and checks that both entry points say so alike.
fn fault(json: impl AsRef<[u8]>) -> Diagnostic {
    let json = json.as_ref();
    let fault = parse(json, &Limits::default()).expect_err("a fault");
    assert_eq!(
        PatchBatch::parse(json, &Limits::default()),
        Err(fault.clone())
    );
    fault
}

/// A batch of one operation, which starts at line 2, column 1.
fn one(operation: &str) -> String {
    format!("{{\"operations\": [\n{operation}\n]}}")
}

macro_rules! faults {
    ($($name:ident: $json:expr => $line:literal, $column:literal, $path:literal, $message:literal;)+) => {
        $(#[test]
        fn $name() {
            let fault = fault($json);
            let place = (fault.line, fault.column, fault.path.as_str(), fault.message.as_str());
            assert_eq!(place, ($line, $column, $path, $message));
            assert!(fault.others.is_empty(), "{:?}", fault.others);
        })+
    };
}

faults! {
    empty: "" => 1, 1, "$", "the batch is empty";
    white_space_alone: "\u{feff} \n" => 2, 1, "$", "the batch is empty";
    no_json: "hello" => 1, 1, "$", "expected a value, found \"h\"";
    an_array: "[]" => 1, 1, "$", "expected a batch, which is an object, found an array";
    no_operations: "\n {}" => 2, 2, "$", "a batch needs \"operations\"";
    operations_of_wrong_type: r#"{"operations": {}}"#
        => 1, 16, "operations", "expected an array of operations, found an object";
    cut_short: "{\"operations\": [\n" => 2, 1, "operations[0]", "the batch ends where a value is expected";
    cut_in_a_string: r#"{"operations": [{"op": "app"#
        => 1, 28, "operations[0].op", "the batch ends where the string's closing quote is expected";
    trailing_data: "{\"operations\": []}\n x" => 2, 2, "$", "more data after the batch";
    second_batch: r#"{"operations": []}{"operations": []}"# => 1, 19, "$", "more data after the batch";
    trailing_comma: r#"{"operations": [],}"# => 1, 19, "$", "a comma with nothing after it";
    missing_comma: r#"{"batch_id": "x" "operations": []}"# => 1, 18, "$", "expected \",\" or \"}\", found \"\\\"\"";
    missing_colon: r#"{"operations" []}"# => 1, 15, "$", "expected \":\", found \"[\"";
    single_quotes: "{'operations': []}" => 1, 2, "$", "expected a field's name in double quotes, found \"'\"";
    comment: "{ // why\n\"operations\": []}" => 1, 3, "$", "expected a field's name in double quotes, found \"/\"";
    unknown_field: r#"{"operations": [], "batchId": "x"}"#
        => 1, 20, "batchId", "unknown field \"batchId\" of a batch; did you mean \"batch_id\"?";
    unknown_field_that_resembles_none: r#"{"operations": [], "zzz": {"a": [1, "x\"]"]}}"#
        => 1, 20, "zzz", "unknown field \"zzz\" of a batch; it takes version, batch_id, order_id, task_id, factory, phase, agent, base, coordinates, operations";
    duplicate_key: "{\"operations\": [],\n\"operations\": []}" => 2, 1, "operations", "\"operations\" appears twice";
    duplicate_key_spelt_with_escapes: r#"{"agent": "a", "\u0061gent": "b", "operations": []}"#
        => 1, 16, "agent", "\"agent\" appears twice";
    version_as_fraction: r#"{"operations": [], "version": 1.0}"#
        => 1, 31, "version", "expected the version 1; 1.0 is written as a fraction or with an exponent; write whole numbers in digits";
    wrong_label: r#"{"operations": [], "agent": ["codex"]}"#
        => 1, 29, "agent", "expected a string, found an array";
    wrong_coordinates: r#"{"operations": [], "coordinates": "Original"}"#
        => 1, 35, "coordinates", "expected one of \"original\", \"sequential\", found \"Original\"";
    line_break_in_string: "{\"operations\": [], \"agent\": \"a\nb\"}"
        => 1, 31, "agent", "a line ends inside a string; write the line break as \\n";
    control_in_string: "{\"operations\": [], \"agent\": \"é\u{1}\"}"
        => 1, 31, "agent", "a control character inside a string; write it as \\u0001";
    unknown_escape: r#"{"operations": [], "agent": "a\q"}"#
        => 1, 31, "agent", "\"\\q\" is not a JSON escape; a backslash itself is \"\\\\\"";
    cut_escape: r#"{"operations": [], "agent": "\u12"}"#
        => 1, 30, "agent", "\\u needs four hexadecimal digits";
    lone_surrogate: r#"{"operations": [], "agent": "x\ud800y"}"#
        => 1, 31, "agent", "\\ud800 is half of a surrogate pair";
    lone_low_surrogate: r#"{"operations": [], "agent": "\uDC00"}"#
        => 1, 30, "agent", "\\udc00 is half of a surrogate pair";
    two_high_surrogates: r#"{"operations": [], "agent": "\ud800\ud800"}"#
        => 1, 30, "agent", "\\ud800 is half of a surrogate pair";
    surrogate_in_key: r#"{"\ud800": 1, "operations": []}"#
        => 1, 3, "$", "\\ud800 is half of a surrogate pair";
    operation_of_wrong_type: one("null")
        => 2, 1, "operations[0]", "expected an operation, which is an object, found null";
    operation_without_name: one(r#"{"file": "a"}"#)
        => 2, 1, "operations[0]", "an operation needs \"op\", one of replace-block, insert-before, insert-after, append, prepend, replace-text, create-file, delete-file, rename-file, copy-file, set-mode";
    unknown_operation: one(r#"{"file": "a", "op": "replace_block"}"#)
        => 2, 21, "operations[0].op", "unknown operation \"replace_block\"; did you mean \"replace-block\"?";
    operation_without_file: one(r#"{"op": "append", "content": ""}"#)
        => 2, 1, "operations[0]", "append needs \"file\"";
    operation_without_content: one(r#" {"op": "append", "file": "a"}"#)
        => 2, 2, "operations[0]", "append needs \"content\"";
    null_is_no_content: one(r#"{"op": "append", "file": "a", "content": null}"#)
        => 2, 42, "operations[0].content", "expected a value, found null";
    misspelt_field: one(r#"{"op": "append", "file": "a", "content": "", "cotnent": ""}"#)
        => 2, 46, "operations[0].cotnent", "unknown field \"cotnent\" of append; did you mean \"content\"?";
    misspelt_field_is_not_missing_as_well: one(r#"{"op": "append", "file": "a", "cotnent": ""}"#)
        => 2, 31, "operations[0].cotnent", "unknown field \"cotnent\" of append; did you mean \"content\"?";
    field_of_another_operation: one(r#"{"find": "x", "op": "append", "file": "a", "content": ""}"#)
        => 2, 2, "operations[0].find", "\"find\" cannot be used with append, which takes file, content, content_base64";
    two_contents: one(r#"{"op": "append", "file": "a", "content": "", "content_base64": ""}"#)
        => 2, 46, "operations[0].content_base64", "stands beside \"content\", which it stands for";
    no_base64: one(r#"{"op": "append", "file": "a", "content_base64": "a*=="}"#)
        => 2, 49, "operations[0].content_base64", "not base 64: invalid symbol 42, offset 1";
    empty_expect: one(r#"{"op": "delete-file", "file": "a", "expect": ""}"#)
        => 2, 46, "operations[0].expect", "\"expect\" is never empty; a blank line is \"\\n\"";
    empty_expect_beside_another_files_hash: "{\"operations\": [\n{\"op\": \"delete-file\", \"file\": \"a\", \"expect\": \"\"}], \"base\": {\"b\": \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"}}"
        => 2, 46, "operations[0].expect", "\"expect\" is never empty; a blank line is \"\\n\"";
    empty_find: one(r#"{"op": "replace-text", "file": "a", "find": "", "content": ""}"#)
        => 2, 45, "operations[0].find", "\"find\" is never empty";
    mode_without_value: one(r#"{"op": "set-mode", "file": "a"}"#)
        => 2, 1, "operations[0]", "set-mode needs \"executable\"";
    rename_without_target: one(r#"{"op": "rename-file", "file": "a"}"#)
        => 2, 1, "operations[0]", "rename-file needs \"to\"";
    executable_as_string: one(r#"{"op": "set-mode", "file": "a", "executable": "yes"}"#)
        => 2, 47, "operations[0].executable", "expected true or false, found a string";
    half_a_word: one(r#"{"op": "set-mode", "file": "a", "executable": truey}"#)
        => 2, 47, "operations[0].executable", "expected a value, found \"t\"";
    wrong_hash: one(r#"{"op": "append", "file": "a", "content": "", "base": "sha256:12"}"#)
        => 2, 54, "operations[0].base", "a hash is \"sha256:\" and 64 hexadecimal digits";
    wrong_hash_of_batch: r#"{"base": {"src/a.ts": 12}, "operations": []}"#
        => 1, 23, "base[\"src/a.ts\"]", "expected a hash, \"sha256:\" and 64 hexadecimal digits, found a number";
    address_without_form: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {}}"#)
        => 2, 58, "operations[0].at", "an address needs one of line, lines, text, match, between, placeholder";
    address_with_two_forms: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"text": "x", "line": 1}}"#)
        => 2, 72, "operations[0].at.line", "an address has one form; \"line\" and \"text\" are two";
    address_as_number: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": 5}"#)
        => 2, 58, "operations[0].at", "expected an address, like {\"lines\": [10, 14]}, found a number";
    address_with_unknown_field: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"regex": "x", "line": 1}}"#)
        => 2, 59, "operations[0].at.regex", "unknown field \"regex\" of an address; did you mean \"match\"?";
    one_line_of_two: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"lines": [4]}}"#)
        => 2, 68, "operations[0].at.lines", "expected two line numbers, found 1 in the array";
    three_lines: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"lines": [4, 5, 6]}}"#)
        => 2, 68, "operations[0].at.lines", "expected two line numbers, found 3 in the array";
    line_as_fraction: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"lines": [1.0, 2]}}"#)
        => 2, 69, "operations[0].at.lines[0]", "expected a line number; 1.0 is written as a fraction or with an exponent; write whole numbers in digits";
    line_beyond_all_numbers: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"line": 18446744073709551616}}"#)
        => 2, 67, "operations[0].at.line", "expected a line number; 18446744073709551616 is beyond 18446744073709551615";
    negative_line: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"line": -1}}"#)
        => 2, 67, "operations[0].at.line", "expected a line number; -1 is negative";
    huge_exponent: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"line": 1e999999999}}"#)
        => 2, 67, "operations[0].at.line", "expected a line number; 1e999999999 is written as a fraction or with an exponent; write whole numbers in digits";
    leading_zero: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"line": 012}}"#)
        => 2, 67, "operations[0].at.line", "expected a line number; 012 is written with a leading zero";
    line_as_string: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"line": "12"}}"#)
        => 2, 67, "operations[0].at.line", "expected a line number, found a string";
    occurrence_of_a_line: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"line": 1, "occurrence": 1}}"#)
        => 2, 70, "operations[0].at.occurrence", "\"occurrence\" does not go with \"line\", which is one place";
    occurrence_zero: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"text": "x", "occurrence": 0}}"#)
        => 2, 86, "operations[0].at.occurrence", "occurrences are counted from 1";
    all_of_an_address: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"text": "x", "occurrence": "all"}}"#)
        => 2, 86, "operations[0].at.occurrence", "\"all\" goes with replace-text alone";
    unknown_occurrence: one(r#"{"op": "replace-text", "file": "a", "find": "x", "content": "", "occurrence": "frist"}"#)
        => 2, 79, "operations[0].occurrence", "expected one of \"only\", \"first\", \"last\", \"all\", found \"frist\"";
    inclusive_of_text: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"inclusive": true, "text": "x"}}"#)
        => 2, 59, "operations[0].at.inclusive", "\"inclusive\" goes with \"between\", not with \"text\"";
    broken_regex: one(r#"{"op": "insert-after", "file": "a", "content": "", "at": {"between": ["a", "("]}}"#)
        => 2, 76, "operations[0].at.between[1]", "\"(\" is not a valid regular expression: unclosed group";
}

#[test]
fn bytes_that_are_not_utf8_are_found_where_they_stand() {
    let mut json = one(r#"{"op": "append", "file": "a", "content": "?"}"#).into_bytes();
    let at = json.iter().position(|&byte| byte == b'?').unwrap();
    json[at] = 0xff;
    let fault = fault(&json);
    assert_eq!((fault.line, fault.column, fault.span.start), (2, 43, at));
    assert_eq!(fault.path, "operations[0].content");
    assert!(fault.message.starts_with("not UTF-8"), "{fault}");

    let trailing = super::tests::fault(b"{\"operations\": []}\n\xc3\x28");
    assert_eq!((trailing.line, trailing.column), (2, 1));
}

#[test]
fn columns_count_characters() {
    let fault = fault("{\"agent\": \"é😀\", \"x\": 1, \"operations\": []}");
    assert_eq!((fault.column, fault.span), (17, 20..23));
}

#[test]
fn another_version_is_told_before_what_follows_from_it() {
    let fault = fault(r#"{"patches": [], "version": 2}"#);
    assert_eq!(fault.code, Code::UnsupportedVersion);
    assert_eq!((fault.path.as_str(), fault.column), ("version", 28));
    assert_eq!(fault.others.len(), 2);
}

#[test]
fn one_run_finds_all_faults() {
    let fault = fault(
        r#"{"operations": [
            {"op": "append", "file": "a"},
            {"op": "replace-block", "file": 5, "at": {"lines": [1, "x"]}, "content": "", "colour": 1},
            {"op": "append", "file": "a", "content": "fine"},
            {"op": "apend"}
        ], "phase": 1}"#,
    );
    let places: Vec<_> = fault
        .all()
        .map(|fault| (fault.line, &*fault.path))
        .collect();
    assert_eq!(
        places,
        [
            (2, "operations[0]"),
            (3, "operations[1].file"),
            (3, "operations[1].at.lines[1]"),
            (3, "operations[1].colour"),
            (5, "operations[3].op"),
            (6, "phase"),
        ]
    );
    let refusal = Refusal::from(fault);
    assert_eq!(refusal.line.map(|line| line.get()), Some(2));
    assert!(refusal.message.contains("operations[3].op"), "{refusal}");
}

#[test]
fn faults_without_end_are_cut() {
    let mut json = String::from("{\"operations\": [");
    for _ in 0..10_000 {
        json.push_str("{\"op\": 1},");
    }
    let fault = fault(json);
    assert_eq!(fault.all().count(), super::MAX_FAULTS);
    assert!(Refusal::from(fault).message.len() < 1000);
}

#[test]
fn limits_are_named() {
    let deep = "[".repeat(1_000_000);
    let deep_in_field = format!(
        "{{\"operations\": [], \"x\": {}",
        "{\"a\":".repeat(1_000_000)
    );
    for json in [&deep, &deep_in_field] {
        let fault = fault(json);
        assert_eq!(fault.code, Code::LimitExceeded);
        assert_eq!(fault.message, "nested deeper than the limit of 64 levels");
    }
    assert_eq!(fault(&deep).column, 65);

    let limits = Limits {
        operations: 2,
        ..Limits::default()
    };
    let json = r#"{"operations": [{}, {}, {}]}"#;
    let fault = parse(json.as_bytes(), &limits).unwrap_err();
    assert_eq!(fault.code, Code::LimitExceeded);
    assert_eq!((fault.path.as_str(), fault.column), ("operations[2]", 25));
    assert_eq!(fault.message, "more operations than the limit of 2");

    let limits = Limits {
        bytes: 10,
        ..Limits::default()
    };
    let fault = parse(b"{\"operations\": []}", &limits).unwrap_err();
    assert_eq!(fault.message, "larger than the limit of 10 bytes");
    let error = limits.read(std::io::repeat(b' '), "-").unwrap_err();
    assert!(matches!(error, Stop::Refused(refusal) if refusal.code == Code::LimitExceeded));
    assert_eq!(limits.read(&b"0123456789"[..], "-").unwrap(), b"0123456789");

    let regex =
        one(r#"{"op": "append", "file": "a", "content": "", "at": {"match": "(\\w{200}){200}"}}"#);
    let fault = super::tests::fault(regex);
    assert_eq!(fault.code, Code::LimitExceeded);
    assert_eq!(fault.path, "operations[0].at.match");
}

#[test]
fn duplicate_paths_of_base_are_found_in_every_spelling() {
    let hash = crate::Digest::of(b"");
    let json = format!(r#"{{"operations": [], "base": {{"a/b": "{hash}", "./a//b": "{hash}"}}}}"#);
    let fault = fault(json);
    assert_eq!(fault.path, "base[\"./a//b\"]");
    assert_eq!(fault.message, "\"./a//b\" appears twice in \"base\"");
}

const CONTRACT: &str = r##"{
  "version": 1,
  "batch_id": "0199", "order_id": "ORD-abc123", "task_id": "A1F2", "factory": "agent-factory",
  "phase": "implement", "agent": "codex",
  "base": { "./src/agent.ts": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" },
  "coordinates": "original",
  "operations": [
    { "op": "replace-block", "file": "src/agent.ts", "at": { "lines": [10, 14] }, "expect": "old\nlines", "content": "new\nlines" },
    { "op": "insert-before", "file": "src/agent.ts", "at": { "placeholder": "AGENT_INIT" }, "content": "// here", "phase": "own" },
    { "op": "insert-after", "file": "src/agent.ts", "at": { "match": "^import ", "occurrence": "last" }, "content": "import x" },
    { "op": "insert-after", "file": "src/agent.ts", "at": { "between": ["a", "b"], "inclusive": true, "occurrence": 2 }, "content": "import x", "indent": "anchor" },
    { "op": "append", "file": "README.md", "content": "One more line" },
    { "op": "prepend", "file": "src/agent.ts", "content": "// header" },
    { "op": "replace-text", "file": "src/agent.ts", "find": "foo(", "content": "bar(", "occurrence": "all" },
    { "op": "create-file", "file": "src/new.ts", "content": "…", "executable": false },
    { "op": "create-file", "file": "latin1.txt", "content_base64": "6Q==", "executable": true },
    { "op": "delete-file", "file": "src/old.ts", "expect": "a\nb", "base": "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" },
    { "op": "rename-file", "file": "src/a.ts", "to": "src/b.ts" },
    { "op": "copy-file", "file": "src/b0.ts", "to": "src/b1.ts" },
    { "op": "set-mode", "file": "run.sh", "executable": true },
    { "op": "replace-block", "file": "x", "at": { "line": 3 }, "content": "", "pad": true, "before": "a", "after": "b", "expect": "\n" },
    { "op": "replace-block", "file": "x", "at": { "text": "a\nb" }, "content": "" }
  ]
}"##;

#[test]
fn what_the_batch_says_for_all_holds_for_each() {
    let batch = parse(CONTRACT.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(batch.id.as_deref(), Some("0199"));
    let first = &batch.operations[0];
    assert!(first.base.is_some());
    assert_eq!(first.labels.phase.as_deref(), Some("implement"));
    let own = &batch.operations[1].labels;
    assert_eq!(own.phase.as_deref(), Some("own"));
    assert_eq!(own.task_id.as_deref(), Some("A1F2"));
    assert!(batch.operations[4].base.is_none());
    let Action::InsertAfter(insertion) = &batch.operations[2].action else {
        panic!("{first:?}");
    };
    assert_eq!(insertion.at.occurrence, Occurrence::Last);
    assert!(
        matches!(&insertion.at.target, Target::Match(pattern) if pattern.as_str() == "^import ")
    );
}

#[test]
fn a_path_that_leads_out_is_the_operations_refusal() {
    let json = r#"{"operations": [
        {"op": "append", "file": "../x", "content": "", "agent": "me"},
        {"op": "rename-file", "file": "a", "to": "/etc/x"},
        {"op": "append", "file": "a", "content": ""}
    ]}"#;
    let batch = parse(json.as_bytes(), &Limits::default()).unwrap();
    for (operation, name, shown, named) in [
        (&batch.operations[0], "append", "../x", "../x"),
        (&batch.operations[1], "rename-file", "a", "/etc/x"),
    ] {
        assert_eq!((operation.name(), &*operation.shown_file()), (name, shown));
        let Action::Refused(refusal) = &operation.action else {
            panic!("{operation:?}");
        };
        assert_eq!(refusal.code, Code::PathEscape);
        assert_eq!(refusal.file.as_deref(), Some(named));
    }
    assert_eq!(batch.operations[0].labels.agent.as_deref(), Some("me"));
    assert_eq!(batch.paths().len(), 1);
    PatchBatch::try_from(&batch).expect_err("a refused operation has no wire form");
}

#[test]
fn the_digest_sees_content_and_not_spelling() {
    let digest_of = |json: &str| parse(json.as_bytes(), &Limits::default()).unwrap().content;
    let plain = digest_of(r#"{"operations": [{"op": "append", "file": "a/b", "content": "x"}]}"#);
    for same in [
        r#"{"batch_id": "1", "operations": [{"op": "append", "file": "a/b", "content": "x"}]}"#,
        r#"{"version": 1, "agent": null, "operations": [{"content": "\u0078\n", "op": "append", "file": "./a//b"}], "coordinates": "original"}"#,
        r#"{"operations": [{"op": "append", "file": "a/b", "content_base64": "eA=="}]}"#,
    ] {
        assert_eq!(digest_of(same), plain, "{same}");
    }
    for other in [
        r#"{"operations": [{"op": "prepend", "file": "a/b", "content": "x"}]}"#,
        r#"{"operations": [{"op": "append", "file": "a/c", "content": "x"}]}"#,
        r#"{"operations": [{"op": "append", "file": "a/b", "content": "y"}]}"#,
        r#"{"operations": [{"op": "append", "file": "a/b", "content": "x", "task_id": "1"}]}"#,
        r#"{"operations": [{"op": "append", "file": "a/b", "content": "x"}], "coordinates": "sequential"}"#,
        r#"{"operations": [{"op": "append", "file": "a/b", "content": "x"}, {"op": "append", "file": "a/b", "content": "x"}]}"#,
    ] {
        assert_ne!(digest_of(other), plain, "{other}");
    }
}

#[test]
fn strings_hold_what_their_escapes_say() {
    let json =
        "{\"operations\": [], \"agent\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00é\"}";
    let batch = PatchBatch::parse(json.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(
        batch.labels.agent.as_deref(),
        Some("\"\\/\u{8}\u{c}\n\r\té😀é")
    );
}

#[test]
fn the_wire_form_survives_the_way_there_and_back() {
    let wire = PatchBatch::parse(CONTRACT.as_bytes(), &Limits::default()).unwrap();
    let json = serde_json::to_vec(&wire).unwrap();
    assert_eq!(
        PatchBatch::parse(&json, &Limits::default()),
        Ok(wire.clone())
    );
    assert_eq!(serde_json::from_slice::<PatchBatch>(&json).unwrap(), wire);

    let batch = Batch::try_from(wire).unwrap();
    assert_eq!(
        batch.content,
        parse(&json, &Limits::default()).unwrap().content
    );
    let raised = PatchBatch::try_from(&batch).unwrap();
    let again = Batch::try_from(raised).unwrap();
    assert_eq!((again.content, again.id), (batch.content, batch.id));
}

/// Text with the pieces in it that a batch is made of.
fn jsonish() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\n", "null", "true", "1", "-1", "1.5",
            "\"op\"", "\"append\"", "\"file\"", "\"content\"", "\"at\"", "\"lines\"", "\"operations\"",
            "\"base\"", "\"version\"", "{\"operations\":[", "\\u", "d800", "\"x\"",
        ])
        .prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn operation() -> impl Strategy<Value = String> {
    let text = "[a-c\"\\\\\n\r\té😀 ]{1,12}".prop_map(|text| serde_json::to_string(&text).unwrap());
    let occurrence = prop::sample::select(vec!["\"only\"", "\"first\"", "\"last\"", "7"]);
    let at = (text.clone(), occurrence.clone(), any::<u64>(), 0..6).prop_map(
        |(text, occurrence, line, form)| match form {
            0 => format!("{{\"line\": {line}}}"),
            1 => format!("{{\"lines\": [{line}, 3]}}"),
            2 => format!("{{\"text\": {text}, \"occurrence\": {occurrence}}}"),
            3 => format!("{{\"match\": \"^a.b\", \"occurrence\": {occurrence}}}"),
            4 => r#"{"between": ["a", "b+"], "inclusive": true}"#.to_owned(),
            _ => format!("{{\"occurrence\": {occurrence}, \"placeholder\": {text}}}"),
        },
    );
    let name = prop::sample::select(super::PatchOperation::NAMES);
    (name, at, text.clone(), text, occurrence, any::<bool>()).prop_map(
        |(op, at, content, other, occurrence, flag)| {
            let mut json = format!("{{\"file\": {other}, \"op\": \"{op}\"");
            let _ = match op {
                "rename-file" | "copy-file" => write!(json, ", \"to\": {content}"),
                "set-mode" => write!(json, ", \"executable\": {flag}"),
                "delete-file" => write!(json, ", \"expect\": {other}"),
                "replace-text" => write!(json, ", \"find\": {other}, \"content\": {content}, \"occurrence\": {occurrence}"),
                "create-file" => write!(json, ", \"content\": {content}, \"executable\": {flag}"),
                "append" | "prepend" => write!(json, ", \"content\": {content}"),
                "replace-block" => write!(json, ", \"at\": {at}, \"content\": {content}, \"pad\": {flag}, \"expect\": {other}"),
                _ => write!(json, ", \"at\": {at}, \"content\": {content}, \"indent\": \"anchor\", \"after\": {other}"),
            };
            json.push('}');
            json
        },
    )
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes, &Limits::default());
    }

    #[test]
    fn what_resembles_a_batch_never_panics(text in jsonish()) {
        if let Err(fault) = parse(text.as_bytes(), &Limits::default()) {
            prop_assert!(fault.span.start <= text.len());
            prop_assert!(fault.line >= 1 && fault.column >= 1);
        } else {
            // What is taken for a batch is JSON to others, too.
            let text = text.trim_start_matches('\u{feff}');
            prop_assert!(serde_json::from_str::<serde_json::Value>(text).is_ok());
        }
    }

    #[test]
    fn a_batch_cut_anywhere_is_refused(operations in prop::collection::vec(operation(), 0..3), at in any::<prop::sample::Index>()) {
        let json = format!("{{\"operations\": [{}]}}", operations.join(","));
        let cut = json.floor_char_boundary(at.index(json.len()));
        let fault = parse(&json.as_bytes()[..cut], &Limits::default()).unwrap_err();
        prop_assert_eq!(fault.code, Code::InvalidBatch);
        prop_assert!(fault.all().any(|fault| fault.span.end >= cut), "{}", fault);
    }

    #[test]
    fn batches_survive_the_way_there_and_back(operations in prop::collection::vec(operation(), 0..6)) {
        let json = format!("{{\"operations\": [{}]}}", operations.join(","));
        let wire = PatchBatch::parse(json.as_bytes(), &Limits::default()).unwrap();
        let again = serde_json::to_vec(&wire).unwrap();
        prop_assert_eq!(PatchBatch::parse(&again, &Limits::default()).unwrap(), wire.clone());
        let batch = parse(json.as_bytes(), &Limits::default()).unwrap();
        prop_assert_eq!(digest(&batch), Batch::try_from(wire).unwrap().content);
    }
}

#[test]
fn hashes_of_a_batch_that_was_built_guard_files_however_they_are_spelt() {
    let json = br#"{"operations": [
        {"op": "append", "file": "a/b", "content": "x"},
        {"op": "append", "file": "c", "content": "x"}
    ]}"#;
    let mut wire = PatchBatch::parse(json, &Limits::default()).unwrap();
    let hash = crate::Digest::of(b"b");
    wire.base.insert("./a//b".to_owned(), hash);
    wire.base.insert("../c".to_owned(), hash);
    let batch = Batch::try_from(wire).unwrap();
    let guards: Vec<_> = batch.operations.iter().map(|o| o.base).collect();
    assert_eq!(guards, [Some(hash), None]);
}

/// A batch so long that two threads read it; line `n + 2` holds operation `n`.
fn long(change: impl Fn(usize, &mut String)) -> String {
    let mut json = String::from("{\"base\": {}, \"operations\": [\n");
    for index in 0..4000 {
        let mut operation = format!(
            r#"{{"op":"replace-block","file":"src/{}.rs","at":{{"line":{}}},"expect":"a \"quoted\" line {index} \\","content":"ü{index}\n"}}"#,
            index / 3,
            index % 7 + 1,
        );
        change(index, &mut operation);
        json.push_str(&operation);
        json.push_str(if index < 3999 { ",\n" } else { "\n" });
    }
    json.push_str("], \"agent\": \"x\"}");
    assert!(json.len() > 300 << 10);
    json
}

#[test]
fn a_long_batch_is_read_as_its_operations_are_one_by_one() {
    let json = long(|_, _| {});
    let whole = PatchBatch::parse(json.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(whole.labels.agent.as_deref(), Some("x"));
    let lines = json.lines().skip(1).take(4000);
    let alone = lines.map(|line| {
        let alone = one(line.trim_end_matches(','));
        PatchBatch::parse(alone.as_bytes(), &Limits::default())
            .unwrap()
            .operations
            .remove(0)
    });
    assert_eq!(whole.operations, alone.collect::<Vec<_>>());
    let batch = parse(json.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(batch.content, digest(&Batch::try_from(whole).unwrap()));
}

#[test]
fn faults_of_a_long_batch_come_in_order_wherever_they_stand() {
    let bad = [3, 1500, 1999, 2000, 2001, 3999];
    let fault = fault(long(|index, operation| {
        if bad.contains(&index) {
            *operation = operation.replace("\"content\"", "\"kontent\"");
        }
    }));
    let all = std::iter::once(&fault).chain(&fault.others);
    let places: Vec<(usize, String)> = all.map(|it| (it.line, it.path.clone())).collect();
    let expected = bad.map(|index| (index + 2, format!("operations[{index}].kontent")));
    assert_eq!(places, expected);
    for index in [10, 3990] {
        let missing = self::fault(long(|at, operation| {
            if at == index {
                *operation = operation.replace("\"expect\":", "\"expect\":\"\",\"after\":");
            }
        }));
        assert_eq!(missing.path, format!("operations[{index}].expect"));
        let cut = long(|_, _| {});
        let cut = &cut[..cut.len() * index / 4000];
        assert!(self::fault(cut).message.starts_with("the batch ends"));
    }
}

#[test]
fn a_long_batch_has_the_limits_of_a_short_one() {
    let json = long(|_, _| {});
    for (limit, is_fine) in [(4000, true), (3999, false), (2500, false), (10, false)] {
        let limits = Limits {
            operations: limit,
            ..Limits::default()
        };
        let parsed = parse(json.as_bytes(), &limits);
        assert_eq!(parsed.is_ok(), is_fine);
        if let Err(fault) = parsed {
            assert_eq!(fault.code, Code::LimitExceeded);
            assert_eq!(fault.line, limit + 2);
        }
    }
}
