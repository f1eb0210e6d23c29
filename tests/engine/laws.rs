//! Laws of planning and of edits, over random texts and operations.

use patchcore::edit::{Bias, Edit, EditSet};
use patchcore::operation::{
    Action, Address, Batch, Coordinates, Guard, Indent, Insertion, Lines, Operation, Target,
};
use patchcore::plan::{Outcome, Plan, Script, plan};
use patchcore::text::{BOM, Text, split_lines, trim_ending};
use patchcore::{Digest, Policy, RelPath, Tree, dialect};
use proptest::prelude::*;

use crate::random::Random;

fn file() -> RelPath {
    RelPath::new("f").unwrap()
}

/// A text over all that a text may be made of.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        "[ab ]{0,4}".prop_map(String::into_bytes),
        Just(b"caf\xe9 \xff".to_vec()),
        Just("naïve 😀".as_bytes().to_vec()),
        Just(b"a\rb".to_vec()),
        "[a-z]{6}".prop_map(String::into_bytes),
    ];
    let ending = prop_oneof![4 => Just(&b"\n"[..]), 2 => Just(&b"\r\n"[..])];
    let lines = prop::collection::vec((line, ending), 0..12);
    (any::<bool>(), lines, any::<bool>()).prop_map(|(bom, lines, final_newline)| {
        let mut text = if bom { BOM.to_vec() } else { Vec::new() };
        for (line, ending) in &lines {
            text.extend_from_slice(line);
            text.extend_from_slice(ending);
        }
        if let (false, Some((_, ending))) = (final_newline, lines.last()) {
            text.truncate(text.len() - ending.len());
        }
        text
    })
}

/// What to do at a line: 0 replaces, 1 inserts before, 2 inserts after, 3 deletes.
type Wish = (u8, String);

fn wishes() -> impl Strategy<Value = Vec<Option<Wish>>> {
    prop::collection::vec(
        prop::option::of((0..4u8, "[xyz]{1,3}(\n[xyz]{0,2}){0,2}")),
        12,
    )
}

/// One guarded operation for each wish whose line exists.
fn operations(text: &[u8], wishes: &[Option<Wish>]) -> Vec<Operation> {
    let base = Digest::of(text);
    let count = Text::new(text).line_count() as u64;
    let at = |line| {
        Address::only(Target::Lines {
            first: line,
            last: line,
        })
    };
    let operations = (1..=count).zip(wishes).filter_map(|(line, wish)| {
        let (kind, content) = wish.as_ref()?;
        let content = Lines::new(if *kind == 3 { "" } else { content.as_str() });
        let (guard, indent) = (Guard::default(), Indent::Verbatim);
        let action = match kind {
            1 => Action::InsertBefore(Insertion {
                at: at(line),
                guard,
                content,
                indent,
            }),
            2 => Action::InsertAfter(Insertion {
                at: at(line),
                guard,
                content,
                indent,
            }),
            _ => Action::ReplaceBlock {
                at: at(line),
                guard,
                content,
                pad: false,
                indent,
            },
        };
        let mut operation = Operation::new(file(), action);
        operation.base = Some(base);
        Some(operation)
    });
    operations.collect()
}

fn planned(text: &[u8], operations: Vec<Operation>, coordinates: Coordinates) -> Plan {
    let tree = Tree::new().with_file(file(), text);
    let mut batch = Batch::new(operations, Digest::of(b""));
    batch.coordinates = coordinates;
    let plan = plan(&batch, &tree, &Policy::default());
    assert!(!plan.has_refusal(), "{:?}", plan.verdicts);
    plan
}

fn result(plan: &Plan, before: &[u8]) -> Vec<u8> {
    match plan.changes.as_slice() {
        [] => before.to_vec(),
        [change] => change.chunks().flatten().copied().collect(),
        more => panic!("{} changes of one file", more.len()),
    }
}

/// The naive way: lines in a vector, from the last operation to the first.
fn model(text: &[u8], wishes: &[Option<Wish>]) -> Vec<Vec<u8>> {
    let body = text.strip_prefix(BOM).unwrap_or(text);
    let mut lines: Vec<Vec<u8>> = split_lines(body)
        .map(|line| trim_ending(line).to_vec())
        .collect();
    let count = lines.len();
    for (index, wish) in wishes.iter().enumerate().take(count).rev() {
        let Some((kind, content)) = wish else {
            continue;
        };
        let new: Vec<Vec<u8>> = match kind {
            3 => Vec::new(),
            _ => Lines::new(content.as_str())
                .iter()
                .map(<[u8]>::to_vec)
                .collect(),
        };
        match kind {
            1 => drop(lines.splice(index..index, new)),
            2 => drop(lines.splice(index + 1..=index, new)),
            _ => drop(lines.splice(index..=index, new)),
        }
    }
    lines
}

/// Sorted, disjoint edits of a text of the given length.
fn edit_set(len: usize) -> impl Strategy<Value = EditSet> {
    let edit = (0..=len, 0..4usize, "[A-Z]{0,3}");
    prop::collection::vec(edit, 0..6).prop_map(move |wanted| {
        let mut edits: Vec<Edit> = Vec::new();
        for (start, width, new) in wanted {
            let span = start..(start + width).min(len);
            let free = edits
                .iter()
                .all(|edit| edit.span.end < span.start || span.end < edit.span.start);
            if free {
                edits.push(Edit::replace(span, new));
            }
        }
        EditSet::new(edits, len).expect("they are disjoint")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn line_operations_do_what_they_do_to_a_list_of_lines(text in text(), wishes in wishes()) {
        let operations = operations(&text, &wishes);
        let after = result(&planned(&text, operations, Coordinates::Original), &text);
        let body = after.strip_prefix(BOM).unwrap_or(&after);
        let lines: Vec<Vec<u8>> = split_lines(body).map(|line| trim_ending(line).to_vec()).collect();
        // A last line that is blank and has no ending is no line at all.
        let mut expected = model(&text, &wishes);
        let ends_in_newline = Text::new(&text).ends_in_newline();
        if !ends_in_newline && expected.last().is_some_and(Vec::is_empty) {
            expected.pop();
        }
        prop_assert_eq!(lines, expected);
        prop_assert_eq!(text.starts_with(BOM), after.starts_with(BOM));
        if !Text::new(&after).is_empty() && !expected_is_blank_end(&text, &wishes) {
            prop_assert_eq!(Text::new(&after).ends_in_newline(), ends_in_newline);
        }
    }

    #[test]
    fn operations_in_original_coordinates_commute(text in text(), wishes in wishes(), seed in any::<u64>()) {
        let one_way = operations(&text, &wishes);
        // Insertions at one point keep batch order, so only one of two neighbours may be there.
        let one_way: Vec<Operation> = one_way
            .into_iter()
            .enumerate()
            .filter(|(index, operation)| index % 2 == 0 || matches!(operation.action, Action::ReplaceBlock { .. }))
            .map(|(_, operation)| operation)
            .collect();
        let distinct = !one_way.windows(2).any(|pair| {
            matches!(pair[0].action, Action::InsertAfter(_)) && matches!(pair[1].action, Action::InsertBefore(_))
        });
        prop_assume!(distinct);
        let mut other_way = one_way.clone();
        let mut state = seed | 1;
        for i in (1..other_way.len()).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            other_way.swap(i, (state >> 33) as usize % (i + 1));
        }
        let first = planned(&text, one_way, Coordinates::Original);
        let second = planned(&text, other_way, Coordinates::Original);
        prop_assert_eq!(result(&first, &text), result(&second, &text));
        prop_assert_eq!(first.digest(), second.digest());
    }

    #[test]
    fn sequential_from_the_bottom_up_is_the_same_as_original(text in text(), wishes in wishes()) {
        let operations = operations(&text, &wishes);
        let original = planned(&text, operations.clone(), Coordinates::Original);
        let mut upward = operations;
        upward.reverse();
        // Two insertions at one point come out in the other order from below.
        let distinct = !upward.windows(2).any(|pair| {
            matches!(pair[1].action, Action::InsertAfter(_)) && matches!(pair[0].action, Action::InsertBefore(_))
        });
        prop_assume!(distinct);
        // Deleting the last lines of a text that ends in none, one by one, is no line operation on
        // the text as it was.
        prop_assume!(Text::new(&text).ends_in_newline());
        let sequential = planned(&text, upward, Coordinates::Sequential);
        prop_assert_eq!(result(&sequential, &text), result(&original, &text));
    }

    #[test]
    fn bytes_outside_of_the_edits_are_untouched(text in text(), wishes in wishes()) {
        let plan = planned(&text, operations(&text, &wishes), Coordinates::Original);
        let mut at = 0;
        for change in &plan.changes {
            let after = result(&plan, &text);
            let mut from = 0;
            for edit in change.edits.as_slice() {
                let kept = edit.span.start - at;
                prop_assert_eq!(&after[from..from + kept], &text[at..edit.span.start]);
                from += kept + edit.text.len();
                at = edit.span.end;
            }
            prop_assert_eq!(&after[from..], &text[at..]);
        }
    }

    #[test]
    fn one_refusal_leaves_nothing_to_do(text in text(), wishes in wishes()) {
        let mut operations = operations(&text, &wishes);
        let past = Target::Lines { first: 1 << 40, last: 1 << 40 };
        operations.push(Operation::new(file(), Action::ReplaceBlock {
            at: Address::only(past),
            guard: Guard::default(),
            content: Lines::new("x"),
            pad: false,
            indent: Indent::Verbatim,
        }));
        let tree = Tree::new().with_file(file(), text);
        let plan = plan(&Batch::new(operations, Digest::of(b"")), &tree, &Policy::default());
        prop_assert!(plan.changes.is_empty());
        prop_assert!(plan.verdicts.iter().all(|v| v.outcome != Outcome::Applied));
    }

    #[test]
    fn composed_edits_do_what_both_do(
        (text, first, second) in "[a-z]{0,20}".prop_flat_map(|text| {
            let len = text.len();
            (Just(text), edit_set(len)).prop_flat_map(move |(text, first)| {
                let after = first.output_len(text.len());
                (Just(text), Just(first), edit_set(after))
            })
        })
    ) {
        let step = first.apply(text.as_bytes());
        prop_assert_eq!(first.compose(&second).apply(text.as_bytes()), second.apply(&step));
    }

    #[test]
    fn edits_compose_alike_however_they_are_grouped(
        (first, second, third) in (0..20usize).prop_flat_map(|len| {
            edit_set(len).prop_flat_map(move |first| {
                let after = first.output_len(len);
                (Just(first), edit_set(after)).prop_flat_map(move |(first, second)| {
                    let after = second.output_len(after);
                    (Just(first), Just(second), edit_set(after))
                })
            })
        })
    ) {
        let from_the_left = first.compose(&second).compose(&third);
        prop_assert_eq!(first.compose(&second.compose(&third)), from_the_left);
    }

    #[test]
    fn each_operation_of_a_sequence_knows_the_lines_that_it_wrote(
        text in text(),
        steps in prop::collection::vec((0..4u8, any::<prop::sample::Index>()), 1..24),
    ) {
        let mut operations: Vec<Operation> = Vec::new();
        for (index, (kind, earlier)) in steps.iter().enumerate() {
            let content = Lines::new(format!("new {index}"));
            let beside = || Insertion {
                at: Address::only(Target::Text(Lines::new(format!("new {}", earlier.index(index))))),
                guard: Guard::default(),
                content: content.clone(),
                indent: Indent::Verbatim,
            };
            let action = match kind {
                1 if index > 0 => Action::InsertBefore(beside()),
                2 if index > 0 => Action::InsertAfter(beside()),
                3 => Action::Prepend(content),
                _ => Action::Append(content),
            };
            operations.push(Operation::new(file(), action));
        }
        let plan = planned(&text, operations, Coordinates::Sequential);
        let after = result(&plan, &text);
        let after = Text::new(&after);
        for (index, verdict) in plan.verdicts.iter().enumerate() {
            let [first, last] = verdict.lines.expect("it wrote a line that is still there");
            prop_assert_eq!(first, last);
            let line = after.line(first).expect("the line is there");
            let line = trim_ending(&after.bytes()[line]);
            prop_assert_eq!(String::from_utf8_lossy(line), format!("new {index}"));
        }
    }

    #[test]
    fn inverted_edits_lead_back((text, edits) in "[a-z]{0,20}".prop_flat_map(|text| {
        let len = text.len();
        (Just(text), edit_set(len))
    })) {
        let after = edits.apply(text.as_bytes());
        prop_assert_eq!(after.len(), edits.output_len(text.len()));
        let back = edits.invert(text.as_bytes());
        prop_assert_eq!(back.apply(&after), text.as_bytes());
    }

    #[test]
    fn a_kept_byte_maps_to_itself((text, edits) in "[a-z]{1,20}".prop_flat_map(|text| {
        let len = text.len();
        (Just(text), edit_set(len))
    })) {
        let after = edits.apply(text.as_bytes());
        for offset in 0..text.len() {
            let kept = !edits.as_slice().iter().any(|edit| edit.span.contains(&offset));
            if kept {
                let at = edits.map(offset, Bias::After).expect("it is kept");
                prop_assert_eq!(after[at], text.as_bytes()[offset]);
            }
        }
    }
}

/// Inputs of every dialect on the files `f` and `g`.
const INPUTS: [&str; 12] = [
    r#"{"operations":[{"op":"replace-block","file":"f","at":{"lines":[1,2]},"expect":"a\nb","content":"x\n"},{"op":"append","file":"g","content":"y"}]}"#,
    r#"{"coordinates":"sequential","operations":[{"op":"rename-file","file":"f","to":"h"},{"op":"insert-after","file":"h","at":{"match":"^b"},"content":"y","indent":"anchor"}]}"#,
    r#"{"operations":[{"op":"replace-text","file":"f","find":"b","content":"","occurrence":"all"},{"op":"copy-file","file":"f","to":"n"},{"op":"delete-file","file":"g","expect":"g"}]}"#,
    r#"{"operations":[{"op":"insert-before","file":"f","at":{"between":["a","c"],"inclusive":true},"content_base64":"6Q=="},{"op":"create-file","file":"n","content":"n"}]}"#,
    "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n",
    "diff --git a/f b/n\nsimilarity index 100%\nrename from f\nrename to n\ndiff --git a/g b/g\ndeleted file mode 100644\n--- a/g\n+++ /dev/null\n@@ -1 +0,0 @@\n-g\n",
    "*** Begin Patch\n*** Update File: f\n@@ a\n-b\n+B\n*** Delete File: g\n*** Add File: n\n+n\n*** End Patch\n",
    "f\n<<<<<<< SEARCH\nb\n=======\nB\n>>>>>>> REPLACE\n",
    r#"{"command":"str_replace","path":"f","old_str":"b","new_str":"B"}"#,
    r#"{"path":"f","edits":[{"oldText":"b","newText":"B"},{"oldText":"c","newText":"b"}]}"#,
    r#"{"documentChanges":[{"textDocument":{"uri":"f","version":1},"edits":[{"range":{"start":{"line":1,"character":0},"end":{"line":1,"character":1}},"newText":"B"}]},{"kind":"rename","oldUri":"g","newUri":"h"}]}"#,
    r#"[{"path":"f","content":"new\n"},{"path":"n","content":"n"}]"#,
];

/// Input with bytes changed, taken out, doubled and put in.
fn mutated(random: &mut Random) -> Vec<u8> {
    const BYTES: &[u8] = b"0129-+@ \n\r\t\"\\{}[],:/*<>=#abfg\0\x80\xc3\xff";
    let mut pick = |count: usize| random.below(count as u64) as usize;
    let mut bytes = INPUTS[pick(INPUTS.len())].as_bytes().to_vec();
    for _ in 0..pick(3) {
        let at = pick(bytes.len());
        let end = (at + 1 + pick(12)).min(bytes.len());
        match pick(5) {
            0 => bytes[at] = BYTES[pick(BYTES.len())],
            1 => bytes.insert(at, BYTES[pick(BYTES.len())]),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                let to = pick(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => bytes.truncate(bytes.len().min(end.max(8))),
        }
        if bytes.is_empty() {
            bytes.push(b'x');
        }
    }
    bytes
}

/// Whatever comes in, planning says for each operation what becomes of it, and a refused batch
/// changes nothing. Most of the input reaches planning, or this would be a law of the parsers alone.
#[test]
fn random_bytes_are_planned_or_refused() {
    const ROUNDS: usize = 6000;
    let mut random = Random(11);
    let mut planned = 0;
    for round in 0..ROUNDS {
        let bytes = mutated(&mut random);
        let shown = String::from_utf8_lossy(&bytes);
        let Ok(patch) = dialect::parse(&bytes, &dialect::Options::default()) else {
            continue;
        };
        let mut tree = Tree::new();
        for path in patch.paths() {
            let text: &[u8] = match (path.as_bytes(), round % 3) {
                (b"f", 0) => b"a\nb\nc\n",
                (b"f", 1) => b"\xef\xbb\xbfa\r\nb\r\nc",
                (b"f", _) => b"a\nb\nc\xe9\nb\n",
                (b"g", _) => b"g\n",
                _ => continue,
            };
            tree = tree.with_file(path, text);
        }
        let Ok(lowered) = patch.lower(&tree) else {
            continue;
        };
        planned += 1;
        let mut policy = Policy::default();
        policy.allow_unguarded = random.below(2) == 0;
        policy.overwrite = random.below(2) == 0;
        let plan = plan(&lowered.batch, &tree, &policy);
        assert_eq!(
            plan.verdicts.len(),
            lowered.batch.operations.len(),
            "{shown}"
        );
        if plan.has_refusal() {
            assert!(plan.changes.is_empty(), "{shown}");
        }
        for change in &plan.changes {
            let bytes: Vec<u8> = change.chunks().flatten().copied().collect();
            let after = change.state_after().map(|state| state.digest);
            assert_eq!(
                after,
                change.after.as_ref().map(|_| Digest::of(&bytes)),
                "{shown}"
            );
        }
    }
    assert!(
        planned > ROUNDS / 3,
        "{planned} of {ROUNDS} inputs were planned"
    );
}

/// Whether the wanted last line is blank, in a text that shall not end in a newline.
fn expected_is_blank_end(text: &[u8], wishes: &[Option<Wish>]) -> bool {
    !Text::new(text).ends_in_newline() && model(text, wishes).last().is_some_and(Vec::is_empty)
}
