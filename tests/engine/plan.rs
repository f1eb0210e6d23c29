//! Planning, from batches over texts in memory to new bytes and verdicts.

use std::num::NonZeroU64;

use patchcore::dialect::{self, Options};
use patchcore::edit::Edit;
use patchcore::operation::{
    Action, Address, Batch, Coordinates, Guard, Indent, Insertion, Lines, Occurrence, Operation,
    Pattern, Target,
};
use patchcore::plan::{ChangeKind, Holds, Outcome, Plan, Script as _, plan};
use patchcore::{Code, Digest, Policy, Refusal, RelPath, Tree};

pub(crate) fn path(path: &str) -> RelPath {
    RelPath::new(path).unwrap()
}

fn lines(first: u64, last: u64) -> Address {
    Address::only(Target::Lines { first, last })
}

fn guard(expect: &str) -> Guard {
    Guard {
        expect: Some(Lines::new(expect)),
        ..Guard::default()
    }
}

fn replace(at: Address, guard: Guard, content: &str) -> Action {
    let (pad, indent) = (false, Indent::Verbatim);
    Action::ReplaceBlock {
        at,
        guard,
        content: Lines::new(content),
        pad,
        indent,
    }
}

fn insertion(at: Address, guard: Guard, content: &str) -> Insertion {
    Insertion {
        at,
        guard,
        content: Lines::new(content),
        indent: Indent::Verbatim,
    }
}

fn text(find: &str, content: &str, occurrence: Occurrence) -> Action {
    Action::ReplaceText {
        find: find.into(),
        content: content.into(),
        occurrence,
    }
}

fn batch(actions: Vec<(&str, Action)>) -> Batch {
    let operations = actions
        .into_iter()
        .map(|(file, action)| Operation::new(path(file), action));
    Batch::new(operations.collect(), Digest::of(b""))
}

fn on_one_file(before: &[u8], actions: Vec<Action>) -> Plan {
    let tree = Tree::new().with_file(path("f"), before);
    let batch = batch(actions.into_iter().map(|action| ("f", action)).collect());
    plan(&batch, &tree, &Policy::default())
}

fn after(plan: &Plan, file: &str) -> Vec<u8> {
    let change = plan
        .changes
        .iter()
        .find(|change| change.path == path(file))
        .expect("a change");
    let bytes: Vec<u8> = change.chunks().flatten().copied().collect();
    assert_eq!(change.state_after().unwrap().digest, Digest::of(&bytes));
    bytes
}

fn code(plan: &Plan, index: usize) -> Option<Code> {
    plan.verdicts[index]
        .refusal
        .as_ref()
        .map(|refusal| refusal.code)
}

/// Each case: the text before, the action, and the text after or the code of the refusal.
macro_rules! cases {
    ($($name:ident: $before:expr, [$($action:expr),+] => $expected:expr;)+) => {
        $(#[test]
        fn $name() {
            let plan = on_one_file($before, vec![$($action),+]);
            let expected: Result<&[u8], Code> = $expected;
            match expected {
                Ok(bytes) => {
                    let refusals: Vec<_> = plan.verdicts.iter().filter_map(|v| v.refusal.as_ref()).collect();
                    assert!(refusals.is_empty(), "{refusals:?}");
                    let got = after(&plan, "f");
                    assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(bytes));
                }
                Err(expected) => {
                    let codes: Vec<_> = (0..plan.verdicts.len()).filter_map(|i| code(&plan, i)).collect();
                    assert_eq!(codes, [expected]);
                    assert!(plan.changes.is_empty());
                }
            }
        })+
    };
}

const ABC: &[u8] = b"a\nb\nc\n";

cases! {
    replaces_lines: ABC, [replace(lines(2, 2), guard("b"), "x\ny")] => Ok(b"a\nx\ny\nc\n");
    deletes_lines: ABC, [replace(lines(1, 2), guard("a\nb"), "")] => Ok(b"c\n");
    content_may_be_a_blank_line: ABC, [replace(lines(2, 2), guard("b"), "\n")] => Ok(b"a\n\nc\n");
    inserts_before: ABC, [Action::InsertBefore(insertion(lines(1, 1), guard("a"), "x"))] => Ok(b"x\na\nb\nc\n");
    inserts_after_a_range: ABC, [Action::InsertAfter(insertion(lines(1, 2), guard("a\nb"), "x"))] => Ok(b"a\nb\nx\nc\n");
    one_expected_line_guards_an_insertion_at_a_range: ABC, [Action::InsertAfter(insertion(lines(1, 2), guard("b"), "x"))] => Ok(b"a\nb\nx\nc\n");
    appends: ABC, [Action::Append(Lines::new("d"))] => Ok(b"a\nb\nc\nd\n");
    prepends_behind_a_shebang: b"#!/bin/sh\na\n", [Action::Prepend(Lines::new("x"))] => Ok(b"#!/bin/sh\nx\na\n");
    prepends_behind_a_bom: b"\xef\xbb\xbfa\n", [Action::Prepend(Lines::new("x"))] => Ok(b"\xef\xbb\xbfx\na\n");
    prepends_behind_a_lone_shebang_without_newline: b"#!/bin/sh", [Action::Prepend(Lines::new("x"))] => Ok(b"#!/bin/sh\nx");

    appends_without_adding_a_final_newline: b"a\nb", [Action::Append(Lines::new("c"))] => Ok(b"a\nb\nc");
    replaces_a_last_line_without_newline: b"a\nb", [replace(lines(2, 2), guard("b"), "x\ny")] => Ok(b"a\nx\ny");
    deletes_a_last_line_without_newline: b"a\nb", [replace(lines(2, 2), guard("b"), "")] => Ok(b"a");
    deletes_all_of_a_text_without_newline: b"a\nb", [replace(lines(1, 2), guard("a\nb"), "")] => Ok(b"");
    replaces_and_appends_at_the_end: b"a\nb", [replace(lines(2, 2), guard("b"), "x"), Action::Append(Lines::new("y"))] => Ok(b"a\nx\ny");
    deletes_and_appends_at_the_end: b"a\nb", [replace(lines(2, 2), guard("b"), ""), Action::Append(Lines::new("y"))] => Ok(b"a\ny");
    edits_the_line_before_a_deleted_last_one: b"a\nb", [replace(lines(1, 1), guard("a"), "x"), replace(lines(2, 2), guard("b"), "")] => Ok(b"x");
    an_empty_file_comes_to_end_in_a_newline: b"", [Action::Append(Lines::new("a"))] => Ok(b"a\n");
    a_file_of_a_bom_alone_is_empty: b"\xef\xbb\xbf", [Action::Append(Lines::new("a"))] => Ok(b"\xef\xbb\xbfa\n");

    new_lines_take_their_neighbours_ending: b"a\r\nb\nc\r\n", [
        Action::InsertAfter(insertion(lines(2, 2), guard("b"), "x\ny")),
        replace(lines(3, 3), guard("c"), "z\nw")
    ] => Ok(b"a\r\nb\nx\ny\nz\r\nw\r\n");
    crlf_content_and_expectation_are_lines: b"a\nb\n", [replace(lines(1, 1), guard("a\r\n"), "x\r\n")] => Ok(b"x\nb\n");
    appends_to_crlf: b"a\r\nb", [Action::Append(Lines::new("c"))] => Ok(b"a\r\nb\r\nc");
    a_lone_cr_is_no_line_ending: b"a\rb\nc\n", [replace(lines(2, 2), guard("c"), "x")] => Ok(b"a\rb\nx\n");
    bytes_that_are_not_utf8_pass_through: b"caf\xe9\nb\n\xff\n", [replace(lines(2, 2), guard("b"), "x")] => Ok(b"caf\xe9\nx\n\xff\n");

    by_text: ABC, [replace(Address::only(Target::Text(Lines::new("b\nc"))), Guard::default(), "x")] => Ok(b"a\nx\n");
    by_match: ABC, [replace(Address::only(Target::Match(Pattern::new("^[bz]$").unwrap())), Guard::default(), "x")] => Ok(b"a\nx\nc\n");
    between_two_markers: b"<\n1\n2\n>\n", [replace(between(false), Guard::default(), "x")] => Ok(b"<\nx\n>\n");
    between_inclusive: b"<\n1\n2\n>\n", [replace(between(true), Guard::default(), "x")] => Ok(b"x\n");
    between_nothing_can_be_inserted_into: b"<\n>\n", [Action::InsertAfter(insertion(between(false), Guard::default(), "x"))] => Ok(b"<\nx\n>\n");
    by_placeholder: b"a\n  ###ID###\nb\n", [replace(Address::only(Target::Placeholder("ID".into())), Guard::default(), "x")] => Ok(b"a\nx\nb\n");
    indented_as_the_anchor: b"a\n\t ###ID###\nb\n", [indented("x\n\ny")] => Ok(b"a\n\t x\n\n\t y\n\t ###ID###\nb\n");

    text_within_a_line: ABC, [text("b", "foo", Occurrence::Only)] => Ok(b"a\nfoo\nc\n");
    text_over_crlf_lines: b"a\r\nb\r\n", [text("a\nb", "x\ny\nz", Occurrence::Only)] => Ok(b"x\r\ny\r\nz\r\n");
    all_texts: b"aXbX\nX\n", [text("X", "Y", Occurrence::All)] => Ok(b"aYbY\nY\n");
    last_text: b"aXbX\nX\n", [text("X", "Y", Occurrence::Last)] => Ok(b"aXbX\nY\n");
    text_at_the_bom_leaves_it: b"\xef\xbb\xbfa\n", [text("a", "b", Occurrence::Only)] => Ok(b"\xef\xbb\xbfb\n");
    newlines_alone_are_found: b"a\n\nb\n", [text("\n\n", "\n", Occurrence::Only)] => Ok(b"a\nb\n");

    insertions_at_one_point_keep_batch_order: ABC, [
        Action::InsertAfter(insertion(lines(1, 1), guard("a"), "1")),
        Action::InsertBefore(insertion(lines(2, 2), guard("b"), "2")),
        replace(lines(2, 2), guard("b"), "B"),
        Action::InsertAfter(insertion(lines(1, 1), guard("a"), "3"))
    ] => Ok(b"a\n1\n2\n3\nB\nc\n");

    unguarded: ABC, [replace(lines(2, 2), Guard::default(), "x")] => Err(Code::Unguarded);
    weak_guard: b"}\na\n}\n", [replace(lines(1, 1), guard("}"), "x")] => Err(Code::WeakGuard);
    widened_guard: b"}\na\n}\n", [replace(lines(3, 3), widened("}", Some("a"), None), "x")] => Ok(b"}\na\nx\n");
    expect_mismatch: ABC, [replace(lines(2, 2), guard("c"), "x")] => Err(Code::ExpectMismatch);
    after_mismatch: ABC, [replace(lines(2, 2), widened("b", None, Some("d")), "x")] => Err(Code::ExpectMismatch);
    line_zero: ABC, [replace(lines(0, 2), guard("b"), "x")] => Err(Code::LineOutOfRange);
    past_the_end: ABC, [replace(lines(3, 4), guard("b"), "x")] => Err(Code::LineOutOfRange);
    far_past_the_end: ABC, [replace(lines(u64::MAX, u64::MAX), guard("b"), "x")] => Err(Code::LineOutOfRange);
    reversed: ABC, [replace(lines(2, 1), guard("b"), "x")] => Err(Code::LineOutOfRange);
    ambiguous_text: b"a\nb\na\n", [replace(Address::only(Target::Text(Lines::new("a"))), Guard::default(), "x")] => Err(Code::AnchorAmbiguous);
    overlapping_texts_count: b"a\na\na\n", [replace(Address::only(Target::Text(Lines::new("a\na"))), Guard::default(), "x")] => Err(Code::AnchorAmbiguous);
    missing_text: ABC, [replace(Address::only(Target::Text(Lines::new("z"))), Guard::default(), "x")] => Err(Code::AnchorNotFound);
    a_text_is_whole_lines: b"xa\n", [replace(Address::only(Target::Text(Lines::new("a"))), Guard::default(), "y")] => Err(Code::AnchorNotFound);
    missing_placeholder: ABC, [replace(Address::only(Target::Placeholder("NO".into())), Guard::default(), "x")] => Err(Code::PlaceholderNotFound);
    ambiguous_characters: b"aa\n", [text("a", "x", Occurrence::Only)] => Err(Code::AnchorAmbiguous);
    shared_line: ABC, [replace(lines(1, 2), guard("a\nb"), "x"), replace(lines(2, 3), guard("b\nc"), "y")] => Err(Code::Overlap);
    insertion_inside_a_range: ABC, [replace(lines(1, 2), guard("a\nb"), "x"), Action::InsertAfter(insertion(lines(1, 1), guard("a"), "y"))] => Err(Code::Overlap);
    nul: b"a\0\nb\n", [replace(lines(2, 2), guard("b"), "x")] => Err(Code::BinaryFile);
    utf16: b"\xff\xfea\0", [Action::Append(Lines::new("x"))] => Err(Code::UnsupportedEncoding);
}

fn between(inclusive: bool) -> Address {
    let marker = |source| Pattern::new(source).unwrap();
    Address::only(Target::Between {
        start: marker("^<$"),
        end: marker("^>$"),
        inclusive,
    })
}

fn widened(expect: &str, before: Option<&str>, after: Option<&str>) -> Guard {
    Guard {
        before: before.map(Lines::new),
        after: after.map(Lines::new),
        ..guard(expect)
    }
}

fn indented(content: &str) -> Action {
    let at = Address::only(Target::Placeholder("ID".into()));
    let insertion = insertion(at, Guard::default(), content);
    Action::InsertBefore(Insertion {
        indent: Indent::Anchor,
        ..insertion
    })
}

#[test]
fn identical_replacements_collapse_and_the_second_has_nothing_to_do() {
    let twice = || replace(lines(2, 2), guard("b"), "x");
    let plan = on_one_file(ABC, vec![twice(), twice()]);
    assert_eq!(after(&plan, "f"), b"a\nx\nc\n");
    assert_eq!(plan.verdicts[1].outcome, Outcome::AlreadyApplied);
}

#[test]
fn content_that_stands_there_already_changes_nothing() {
    let plan = on_one_file(ABC, vec![replace(lines(2, 2), guard("old"), "b")]);
    assert_eq!(plan.verdicts[0].outcome, Outcome::AlreadyApplied);
    assert!(plan.changes.is_empty());
}

#[test]
fn verdicts_tell_where_operations_landed() {
    let plan = on_one_file(
        b"a\nb\nc\nd\n",
        vec![
            replace(lines(3, 3), guard("c"), "x\ny"),
            Action::InsertBefore(insertion(lines(1, 1), guard("a"), "1\n2")),
            replace(lines(4, 4), guard("d"), ""),
        ],
    );
    let landed: Vec<_> = plan
        .verdicts
        .iter()
        .map(|v| v.lines.map(|[a, b]| (a.get(), b.get())))
        .collect();
    assert_eq!(landed, [Some((5, 6)), Some((1, 2)), None]);
}

#[test]
fn padding_keeps_the_lines_below_in_place() {
    let padded = |content: &str| Action::ReplaceBlock {
        at: lines(1, 3),
        guard: guard("a\nb\nc"),
        content: Lines::new(content),
        pad: true,
        indent: Indent::Verbatim,
    };
    let plan = on_one_file(b"a\nb\nc\nd\n", vec![padded("x")]);
    assert_eq!(after(&plan, "f"), b"x\n\n\nd\n");
    let plan = on_one_file(b"a\nb\nc\nd\n", vec![padded("1\n2\n3\n4")]);
    assert_eq!(code(&plan, 0), Some(Code::LineOutOfRange));
}

#[test]
fn a_base_goes_before_every_other_guard() {
    let tree = Tree::new().with_file(path("f"), ABC);
    let mut stale = batch(vec![("f", replace(lines(2, 2), guard("nonsense"), "x"))]);
    stale.operations[0].base = Some(Digest::of(b"other"));
    let plan_stale = plan(&stale, &tree, &Policy::default());
    let refusal = plan_stale.verdicts[0].refusal.as_ref().unwrap();
    assert_eq!(
        (refusal.code, refusal.found.as_deref()),
        (Code::BaseMismatch, Some("b\n"))
    );
    let mut fresh = batch(vec![("f", replace(lines(2, 2), Guard::default(), "x"))]);
    fresh.operations[0].base = Some(Digest::of(ABC));
    assert!(!plan(&fresh, &tree, &Policy::default()).has_refusal());
}

#[test]
fn beside_a_hash_joined_lines_may_lack_a_last_blank_one() {
    let text = b"a\n\nb\n\n";
    let tree = Tree::new().with_file(path("f"), &text[..]);
    for (first, last, expect) in [(2, 2, ""), (1, 2, "a\n"), (2, 4, "\nb\n")] {
        let mut guarded = batch(vec![("f", replace(lines(first, last), guard(expect), "x"))]);
        guarded.operations[0].base = Some(Digest::of(text));
        assert!(!plan(&guarded, &tree, &Policy::default()).has_refusal());
        guarded.operations[0].base = None;
        assert!(plan(&guarded, &tree, &Policy::default()).has_refusal());
    }
}

#[test]
fn one_refusal_keeps_all_from_landing_unless_partial() {
    let tree = Tree::new()
        .with_file(path("f"), ABC)
        .with_file(path("g"), ABC);
    let batch = batch(vec![
        ("f", Action::Append(Lines::new("d"))),
        ("g", replace(lines(9, 9), guard("b"), "x")),
    ]);
    let all = plan(&batch, &tree, &Policy::default());
    assert_eq!(all.verdicts[0].outcome, Outcome::NotApplied);
    assert!(all.changes.is_empty());
    let mut policy = Policy::default();
    policy.partial = true;
    let some = plan(&batch, &tree, &policy);
    assert_eq!(some.verdicts[0].outcome, Outcome::Applied);
    assert_eq!(after(&some, "f"), b"a\nb\nc\nd\n");
    assert_eq!(some.changes.len(), 1);
}

fn create(content: &str) -> Action {
    Action::CreateFile {
        content: content.into(),
        executable: false,
    }
}

fn rename(to: &str) -> Action {
    Action::RenameFile { to: path(to) }
}

#[test]
fn names_speak_of_the_old_tree() {
    let tree = Tree::new()
        .with_file(path("a"), "A\n")
        .with_file(path("b"), "B\n");
    let swap = batch(vec![
        ("a", rename("b")),
        ("b", rename("a")),
        ("a", Action::Append(Lines::new("1"))),
        ("new", Action::Append(Lines::new("2"))),
        ("new", create("N\n")),
        ("b", Action::CopyFile { to: path("copy") }),
    ]);
    let plan = plan(&swap, &tree, &Policy::default());
    assert!(!plan.has_refusal(), "{:?}", plan.verdicts);
    assert_eq!(after(&plan, "b"), b"A\n1\n");
    assert_eq!(after(&plan, "a"), b"B\n");
    assert_eq!(after(&plan, "new"), b"N\n2\n");
    assert_eq!(after(&plan, "copy"), b"B\n");
    let kinds: Vec<_> = plan.changes.iter().map(|change| change.kind).collect();
    use ChangeKind::{Copied, Created, Renamed};
    assert_eq!(kinds, [Renamed, Renamed, Copied, Created]);
}

#[test]
fn what_has_happened_is_already_applied() {
    let mut tree = Tree::new().with_file(path("b"), "B\n");
    tree.add_gone(path("gone"), None);
    tree.add_gone(path("a"), Some(path("b")));
    let expected = Action::DeleteFile {
        expect: Some(Lines::new("x")),
    };
    let again = batch(vec![
        ("b", create("B\n")),
        ("gone", Action::DeleteFile { expect: None }),
        ("known", expected),
        ("a", rename("b")),
        ("b", Action::SetMode { executable: false }),
    ]);
    for coordinates in [Coordinates::Original, Coordinates::Sequential] {
        let mut again = again.clone();
        again.coordinates = coordinates;
        let plan = plan(&again, &tree, &Policy::default());
        assert!(
            plan.verdicts
                .iter()
                .all(|v| v.outcome == Outcome::AlreadyApplied),
            "{:?}",
            plan.verdicts
        );
        assert!(plan.changes.is_empty());
        for index in [1, 2, 3] {
            let note = plan.verdicts[index].note.as_deref().unwrap_or_default();
            assert!(note.contains("is not there"), "{note}");
        }
    }
}

#[test]
fn what_never_was_has_not_happened() {
    let mut tree = Tree::new().with_file(path("b"), "B\n");
    tree.add_gone(path("gone"), Some(path("c")));
    tree.add_gone(path("moved"), Some(path("c")));
    let mut of_another = Operation::new(path("a"), rename("b"));
    of_another.base = Some(Digest::of(b"A\n"));
    for operation in [
        Operation::new(path("gone"), Action::DeleteFile { expect: None }),
        Operation::new(path("moved"), rename("b")),
        Operation::new(path("a"), rename("b")),
        of_another,
    ] {
        for coordinates in [Coordinates::Original, Coordinates::Sequential] {
            for policy in [false, true] {
                let mut batch = Batch::new(vec![operation.clone()], Digest::of(b""));
                batch.coordinates = coordinates;
                let mut terms = Policy::default();
                terms.allow_unguarded = policy;
                let plan = plan(&batch, &tree, &terms);
                assert_eq!(code(&plan, 0), Some(Code::FileNotFound), "{operation:?}");
            }
        }
    }
    // What the batch itself took away is gone.
    let mut twice = batch(vec![
        ("n", create("x")),
        (
            "n",
            Action::DeleteFile {
                expect: Some(Lines::new("x")),
            },
        ),
        ("n", Action::DeleteFile { expect: None }),
        ("b", rename("c")),
        ("b", rename("c")),
    ]);
    twice.coordinates = Coordinates::Sequential;
    let plan = plan(&twice, &tree, &Policy::default());
    assert_eq!(code(&plan, 2), None);
    assert_eq!(plan.verdicts[2].outcome, Outcome::AlreadyApplied);
    assert_eq!(plan.verdicts[4].outcome, Outcome::AlreadyApplied);
}

#[test]
fn names_that_cannot_be_had_are_refused() {
    let tree = Tree::new()
        .with_file(path("a"), "A\n")
        .with_file(path("b"), "B\n");
    for (actions, expected) in [
        (vec![("a", create("x"))], Code::FileExists),
        (vec![("a", rename("b"))], Code::FileExists),
        (vec![("z", rename("y"))], Code::FileNotFound),
        (
            vec![("z", Action::Append(Lines::new("x")))],
            Code::FileNotFound,
        ),
        (vec![("n", create("x")), ("n", create("y"))], Code::Overlap),
        (vec![("a", rename("n")), ("n", create("y"))], Code::Overlap),
        (vec![("a", rename("n")), ("b", rename("n"))], Code::Overlap),
        (
            vec![("a", Action::DeleteFile { expect: None })],
            Code::Unguarded,
        ),
        (
            vec![(
                "a",
                Action::DeleteFile {
                    expect: Some(Lines::new("B")),
                },
            )],
            Code::ExpectMismatch,
        ),
    ] {
        let plan = plan(&batch(actions), &tree, &Policy::default());
        let codes: Vec<_> = (0..plan.verdicts.len())
            .filter_map(|i| code(&plan, i))
            .collect();
        assert_eq!(codes, [expected]);
    }
    let delete = Action::DeleteFile {
        expect: Some(Lines::new("A")),
    };
    let edited = batch(vec![
        ("a", Action::Append(Lines::new("x"))),
        ("a", delete.clone()),
    ]);
    assert_eq!(
        code(&plan(&edited, &tree, &Policy::default()), 0),
        Some(Code::Overlap)
    );
    let replaced = batch(vec![("a", create("new\n")), ("a", delete)]);
    let plan = plan(&replaced, &tree, &Policy::default());
    assert_eq!(after(&plan, "a"), b"new\n");
    assert_eq!(plan.changes[0].kind, ChangeKind::Modified);
}

#[test]
fn sequential_addresses_speak_of_the_tree_so_far() {
    let tree = Tree::new().with_file(path("a"), ABC);
    let mut batch = batch(vec![
        (
            "a",
            Action::InsertBefore(insertion(lines(1, 1), guard("a"), "0")),
        ),
        ("a", replace(lines(1, 2), guard("0\na"), "zero\nA\nA2")),
        ("a", rename("b")),
        ("b", replace(lines(5, 5), guard("c"), "C")),
        ("b", text("A2", "A3", Occurrence::Only)),
        ("n", create("x\n")),
        ("n", Action::Splice(vec![Edit::insert(0, "y\n")])),
    ]);
    batch.coordinates = Coordinates::Sequential;
    let plan = plan(&batch, &tree, &Policy::default());
    assert!(!plan.has_refusal(), "{:?}", plan.verdicts);
    assert_eq!(after(&plan, "b"), b"zero\nA\nA3\nb\nC\n");
    assert_eq!(after(&plan, "n"), b"y\nx\n");
    assert_eq!(plan.changes[0].kind, ChangeKind::Renamed);
    assert_eq!(
        plan.verdicts[3].lines.map(|[a, b]| (a.get(), b.get())),
        Some((5, 5))
    );
}

#[test]
fn behind_a_refusal_the_same_file_is_not_evaluated() {
    let tree = Tree::new()
        .with_file(path("a"), ABC)
        .with_file(path("b"), ABC);
    let mut batch = batch(vec![
        ("a", replace(lines(9, 9), guard("x"), "y")),
        ("a", Action::Append(Lines::new("z"))),
        ("b", Action::Append(Lines::new("z"))),
    ]);
    batch.coordinates = Coordinates::Sequential;
    let outcomes: Vec<_> = plan(&batch, &tree, &Policy::default())
        .verdicts
        .iter()
        .map(|v| v.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [Outcome::Refused, Outcome::NotEvaluated, Outcome::NotApplied]
    );
}

#[test]
fn links_and_directories_in_memory_are_refused_but_to_those_that_mean_them() {
    let refusal = |code| Refusal::new(code, "in the way");
    let gone = Operation {
        link: true,
        base: Some(Digest::of(b"a")),
        ..Operation::new(path("d/l"), Action::DeleteFile { expect: None })
    };
    for (link, holds, passes) in [
        (true, Holds::Loaded, true),
        (false, Holds::Loaded, false),
        (true, Holds::Others, false),
    ] {
        let mut tree = Tree::new();
        tree.insert_link(path("d/l"), b"a".to_vec(), refusal(Code::Symlink));
        tree.insert_directory(path("d"), holds, refusal(Code::NotAFile));
        let create = Action::CreateFile {
            content: b"new\n".to_vec(),
            executable: false,
        };
        let gone = Operation {
            link,
            ..gone.clone()
        };
        let operations = vec![Operation::new(path("d"), create), gone];
        let batch = Batch::new(operations, Digest::of(b""));
        let planned = plan(&batch, &tree, &Policy::default());
        assert_eq!(!planned.has_refusal(), passes, "{link} {holds:?}");
        assert_eq!(planned.changes.len(), if passes { 2 } else { 0 });
    }
}

#[test]
fn a_partial_batch_takes_a_file_and_what_comes_below_its_name_together() {
    let create = |file: &str| {
        let action = Action::CreateFile {
            content: b"new\n".to_vec(),
            executable: false,
        };
        Operation::new(path(file), action)
    };
    let delete = |expect: &str| {
        let expect = Some(Lines::new(expect));
        Operation::new(path("foo"), Action::DeleteFile { expect })
    };
    let tree = Tree::new().with_file(path("foo"), "old\n");
    let mut policy = Policy::default();
    policy.partial = true;
    for (expect, landed) in [("old", 3), ("other", 1)] {
        let operations = vec![create("foo/bar"), delete(expect), create("else")];
        let batch = Batch::new(operations, Digest::of(b""));
        let planned = plan(&batch, &tree, &policy);
        assert_eq!(planned.changes.len(), landed, "{expect}");
    }
}

/// One action of each kind on `f`, whose text is `a\nb\n`.
fn one_of_each_kind() -> Vec<Action> {
    let at = || lines(1, 1);
    let to = |to| path(to);
    vec![
        replace(at(), Guard::default(), "x"),
        Action::InsertBefore(insertion(at(), Guard::default(), "x")),
        Action::InsertAfter(insertion(at(), Guard::default(), "x")),
        Action::Append(Lines::new("x")),
        Action::Prepend(Lines::new("x")),
        text("a", "x", Occurrence::Only),
        Action::DeleteFile { expect: None },
        Action::RenameFile { to: to("g") },
        Action::CopyFile { to: to("g") },
        Action::SetMode { executable: true },
        Action::Splice(vec![Edit::insert(0, "x")]),
    ]
}

#[test]
fn a_hash_holds_every_kind_of_operation_in_either_coordinates() {
    let before = "a\nb\n";
    let tree = Tree::new().with_file(path("f"), before);
    for coordinates in [Coordinates::Original, Coordinates::Sequential] {
        for action in one_of_each_kind() {
            let judge = |base: &[u8]| {
                let mut batch = batch(vec![("f", action.clone())]);
                batch.coordinates = coordinates;
                batch.operations[0].base = Some(Digest::of(base));
                code(&plan(&batch, &tree, &Policy::default()), 0)
            };
            assert_eq!(judge(before.as_bytes()), None, "{coordinates:?} {action:?}");
            let other = judge(b"another text");
            assert_eq!(
                other,
                Some(Code::BaseMismatch),
                "{coordinates:?} {action:?}"
            );
        }
    }
}

#[test]
fn a_batch_grows_by_no_more_than_the_operator_allows() {
    let many = "a\n".repeat(100_000);
    let indented = format!("{}a\n", " ".repeat(1 << 16));
    let tree = Tree::new()
        .with_file(path("many"), many)
        .with_file(path("indented"), indented);
    let million = "x".repeat(1_000_000);
    let anchored = Insertion {
        indent: Indent::Anchor,
        ..insertion(
            Address::only(Target::Match(Pattern::new("a").unwrap())),
            Guard::default(),
            &"x\n".repeat(1 << 16),
        )
    };
    let copies = (0..400).map(|i| {
        (
            "many",
            Action::CopyFile {
                to: path(&format!("c{i}")),
            },
        )
    });
    let cases = [
        (
            "content at many places",
            vec![("many", text("a", &million, Occurrence::All))],
            0,
        ),
        (
            "indentation",
            vec![("indented", Action::InsertAfter(anchored))],
            0,
        ),
        ("copies", copies.collect(), 1 + (256 << 20) / 200_000 / 4),
    ];
    for coordinates in [Coordinates::Original, Coordinates::Sequential] {
        for (what, actions, first) in &cases {
            let mut batch = batch(actions.clone());
            batch.coordinates = coordinates;
            let mut policy = Policy::default();
            if *what == "copies" {
                policy.max_growth /= 4;
            }
            let refused = plan(&batch, &tree, &policy);
            let at = (0..actions.len()).find(|&index| code(&refused, index).is_some());
            assert_eq!(at, Some(*first), "{what}");
            assert_eq!(code(&refused, *first), Some(Code::LimitExceeded), "{what}");
            assert!(refused.changes.is_empty(), "{what}");
        }
    }
    // What an operation brings is no growth, and the limit is the operator's.
    let mut policy = Policy::default();
    policy.max_growth = 0;
    let once = batch(vec![("many", Action::Append(Lines::new(million)))]);
    assert!(!plan(&once, &tree, &policy).has_refusal());
}

/// A text that comes at many places, and indentation that it gets there.
#[test]
fn text_at_many_places_is_growth_in_foreign_formats_too() {
    let deep = " ".repeat(100_000);
    let tree = Tree::new()
        .with_file(path("f"), "a\n".repeat(5_000))
        .with_file(path("deep"), format!("{deep}one\n{deep}two\n"));
    let long = "x".repeat(1_000_000);
    let lines = "x\n".repeat(5_000);
    let call = format!(
        r#"{{"path": "f", "old_string": "a", "new_string": "{long}", "replace_all": true}}"#
    );
    let block = format!("<<<<<<< SEARCH\na\n=======\n{long}\n>>>>>>> REPLACE\n");
    let chunk = format!(
        "*** Begin Patch\n*** Update File: deep\n@@\n one\n{} two\n*** End Patch\n",
        lines.replace("x\n", "+x\n")
    );
    for (patch, all, small, expected) in [
        (&call, false, "x", Code::LimitExceeded),
        (&block, true, "x", Code::LimitExceeded),
        (&chunk, false, "+x\n", Code::AnchorNotFound),
    ] {
        let planned = |patch: &str, max_growth| {
            let mut options = Options::default();
            options.file = (all).then(|| path("f"));
            options.all = all;
            options.max_growth = max_growth;
            let script = dialect::parse(patch.as_bytes(), &options).unwrap();
            let lowered = script.lower(&tree).unwrap();
            code(&plan(&lowered.batch, &tree, &Policy::default()), 0)
        };
        assert_eq!(planned(patch, None), Some(expected));
        // A little of it is no harm, unless the operator says so.
        let most = if small == "x" {
            &long
        } else {
            &lines.replace("x\n", "+x\n")
        };
        let less = patch.replace(most.as_str(), small);
        assert_eq!(planned(&less, None), None, "{less}");
        let limited = planned(&less, Some(1_000));
        assert_eq!(limited, Some(Code::LimitExceeded), "{less}");
    }
}

/// What many operations look for in one text stands at more places than anybody could go through.
#[test]
fn many_searches_that_find_much_are_bounded_in_all() {
    const MANY: usize = 3_000;
    let letters = "a".repeat(1_000_000);
    let lines = "x\n".repeat(20_000);
    let marks = "###P###\n".repeat(10_000);
    let tree = Tree::new()
        .with_file(path("letters"), letters.clone())
        .with_file(path("lines"), lines)
        .with_file(path("marks"), marks);
    let nth = |index: usize| {
        let index = NonZeroU64::new(index as u64 + 1).unwrap();
        Occurrence::Nth(index)
    };
    let insert = |target, occurrence| {
        let at = Address { target, occurrence };
        Action::InsertAfter(insertion(at, Guard::default(), "y"))
    };
    let block = || Target::Text(Lines::new("x\nx"));
    let cases: Vec<(&str, &str, Vec<Action>, Option<Code>)> = vec![
        (
            "the same letter",
            "letters",
            (0..MANY).map(|n| text("a", "b", nth(n))).collect(),
            None,
        ),
        (
            "a letter that is ambiguous",
            "letters",
            (0..MANY)
                .map(|_| text("a", "b", Occurrence::Only))
                .collect(),
            Some(Code::AnchorAmbiguous),
        ),
        (
            "patterns",
            "letters",
            (0..1_100)
                .map(|n| Target::Match(Pattern::new(&format!("z{n}")).unwrap()))
                .map(|target| insert(target, Occurrence::Only))
                .collect(),
            Some(Code::LimitExceeded),
        ),
        (
            "the same lines",
            "lines",
            (0..MANY).map(|n| insert(block(), nth(2 * n))).collect(),
            None,
        ),
        (
            "a placeholder",
            "marks",
            (0..MANY)
                .map(|n| insert(Target::Placeholder("P".into()), nth(n)))
                .collect(),
            None,
        ),
    ];
    for (what, file, actions, expected) in cases {
        let batch = batch(actions.into_iter().map(|action| (file, action)).collect());
        let planned = plan(&batch, &tree, &Policy::default());
        let mut codes = (0..batch.operations.len()).map(|index| code(&planned, index));
        match expected {
            Some(_) => assert!(codes.any(|code| code == expected), "{what}"),
            None => assert!(codes.all(|code| code.is_none()), "{what}"),
        }
    }
}

#[test]
fn a_long_sequence_takes_time_in_proportion() {
    const MANY: usize = 20_000;
    const EDITS: u64 = 2_000;
    let name = |i: usize| format!("r{i}");
    let mut operations: Vec<Operation> = (0..MANY)
        .map(|i| {
            Operation::new(
                path(&name(i)),
                Action::RenameFile {
                    to: path(&name(i + 1)),
                },
            )
        })
        .collect();
    let edits = (0..MANY).map(|_| Operation::new(path("e"), Action::Prepend(Lines::new("x"))));
    operations.extend(edits.take(EDITS as usize));
    let mut batch = Batch::new(operations, Digest::of(b""));
    batch.coordinates = Coordinates::Sequential;
    let tree = Tree::new()
        .with_file(path("r0"), "x\n")
        .with_file(path("e"), "y\n");
    let plan = plan(&batch, &tree, &Policy::default());
    assert!(!plan.has_refusal());
    let renamed = plan
        .changes
        .iter()
        .find(|change| change.kind == ChangeKind::Renamed);
    let renamed = renamed.expect("the file is renamed");
    assert_eq!(renamed.path, path(&name(MANY)));
    assert_eq!(renamed.from, Some(path("r0")));
    assert_eq!(renamed.touches.len(), MANY);
    // The first of the lines that were put in front of each other is the last of them.
    let first = plan.verdicts[MANY]
        .lines
        .expect("it is there")
        .map(|line| line.get());
    assert_eq!(first, [EDITS, EDITS]);
}

#[test]
fn many_places_in_one_long_line_take_time_in_proportion() {
    let mut operations = vec![Operation::new(
        path("f"),
        Action::CreateFile {
            content: b"aa".to_vec(),
            executable: false,
        },
    )];
    let double = || text("a", "aa", Occurrence::All);
    operations.extend((0..16).map(|_| Operation::new(path("f"), double())));
    let mut doublings = Batch::new(operations, Digest::of(b""));
    doublings.coordinates = Coordinates::Sequential;
    let doubled = plan(&doublings, &Tree::new(), &Policy::default());
    assert_eq!(after(&doubled, "f").len(), 1 << 17);
    let tree = Tree::new().with_file(path("f"), "a".repeat(1 << 16));
    let lines = batch(vec![("f", text("a", "b\n", Occurrence::All))]);
    let split = plan(&lines, &tree, &Policy::default());
    assert_eq!(after(&split, "f"), "b\n".repeat(1 << 16).as_bytes());
}

/// A copy takes over what was done to the file that it is made of, and its bytes are new ones.
#[test]
fn copies_of_copies_are_bounded() {
    let chain = |length: usize| {
        let names: Vec<String> = (0..=length).map(|at| format!("f{at}")).collect();
        let copies = names.windows(2).map(|pair| {
            let to = RelPath::new(&*pair[1]).unwrap();
            Operation::new(RelPath::new(&*pair[0]).unwrap(), Action::CopyFile { to })
        });
        let mut batch = Batch::new(copies.collect(), Digest::of(b""));
        batch.coordinates = Coordinates::Sequential;
        batch
    };
    let first = |tree: &Tree, length: usize| {
        let plan = plan(&chain(length), tree, &Policy::default());
        (0..length).find(|&index| code(&plan, index) == Some(Code::LimitExceeded))
    };
    let small = Tree::new().with_file(RelPath::new("f0").unwrap(), "x\n");
    assert_eq!(first(&small, 1000), None);
    assert!(first(&small, 3000).is_some());
    let large = Tree::new().with_file(RelPath::new("f0").unwrap(), vec![b'x'; 64 << 20]);
    assert_eq!(first(&large, 5), None);
    assert_eq!(first(&large, 10), Some(5));
}
