//! What validation says of a value is what the reader says of its text.

use proptest::option;
use proptest::prelude::*;

use super::key;
use crate::batch::wire::*;
use crate::batch::{Limits, parse};
use crate::digest::Digest;
use crate::error::Code;
use crate::operation::{Batch, Coordinates, Indent, Labels, Occurrence, Pattern};

/// Short texts, the empty one among them.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![2 => Just(String::new()), 3 => "[a\n\"\\\\é]{1,3}"]
}

/// Spellings of few files, and what is not a path.
fn file() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "./a", "b", "d/a", "d//a", "", "../x", "/a"])
        .prop_map(str::to_owned)
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<u8>().prop_map(|byte| Digest::of(&[byte]))
}

fn labels() -> impl Strategy<Value = Labels> {
    let label = || option::weighted(0.2, text());
    (label(), label(), label(), label(), label()).prop_map(
        |(order_id, task_id, factory, phase, agent)| Labels {
            order_id,
            task_id,
            factory,
            phase,
            agent,
        },
    )
}

fn occurrence() -> impl Strategy<Value = Occurrence> {
    prop_oneof![
        4 => Just(Occurrence::Only),
        1 => Just(Occurrence::First),
        1 => Just(Occurrence::Last),
        1 => Just(Occurrence::All),
        1 => any::<std::num::NonZeroU64>().prop_map(Occurrence::Nth),
    ]
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop::sample::select(vec!["", "a", "^$", "[^\"]"])
        .prop_map(|source| Pattern::new(source).unwrap())
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![
        any::<u64>().prop_map(|line| At::Line { line }),
        any::<[u64; 2]>().prop_map(|lines| At::Lines { lines }),
        (text(), occurrence()).prop_map(|(text, occurrence)| At::Text { text, occurrence }),
        (pattern(), occurrence()).prop_map(|(pattern, occurrence)| At::Match {
            pattern,
            occurrence
        }),
        (pattern(), pattern(), any::<bool>(), occurrence()).prop_map(
            |(start, end, inclusive, occurrence)| At::Between {
                between: [start, end],
                inclusive,
                occurrence,
            }
        ),
        (text(), occurrence()).prop_map(|(placeholder, occurrence)| At::Placeholder {
            placeholder,
            occurrence,
        }),
    ]
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        text().prop_map(Content::Text),
        prop::collection::vec(any::<u8>(), 0..4).prop_map(Content::Base64),
    ]
}

/// Any operation, by the name at an index.
fn operation() -> impl Strategy<Value = PatchOperation> {
    let guard = || {
        let lines = || option::weighted(0.4, text());
        (lines(), lines(), lines()).prop_map(|(expect, before, after)| Expectation {
            expect,
            before,
            after,
        })
    };
    let indent = prop_oneof![Just(Indent::Verbatim), Just(Indent::Anchor)];
    (
        (0..PatchOperation::NAMES.len(), file(), file(), text()),
        (
            at(),
            guard(),
            content(),
            indent,
            any::<bool>(),
            occurrence(),
        ),
        (option::weighted(0.3, digest()), labels()),
    )
        .prop_map(
            |(
                (kind, file, to, find),
                (at, guard, content, indent, flag, occurrence),
                (base, labels),
            )| {
                use PatchOperation as Op;
                let executable = flag;
                match PatchOperation::NAMES[kind] {
                    "replace-block" => Op::ReplaceBlock(ReplaceBlock {
                        file,
                        at,
                        guard,
                        content,
                        pad: flag,
                        indent,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "insert-before" => Op::InsertBefore(InsertBefore {
                        file,
                        at,
                        guard,
                        content,
                        indent,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "insert-after" => Op::InsertAfter(InsertAfter {
                        file,
                        at,
                        guard,
                        content,
                        indent,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "append" => Op::Append(Append {
                        file,
                        content,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "prepend" => Op::Prepend(Prepend {
                        file,
                        content,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "replace-text" => Op::ReplaceText(ReplaceText {
                        file,
                        find,
                        content,
                        occurrence,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "create-file" => Op::CreateFile(CreateFile {
                        file,
                        content,
                        executable,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "delete-file" => Op::DeleteFile(DeleteFile {
                        file,
                        expect: guard.expect,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "rename-file" => Op::RenameFile(RenameFile {
                        file,
                        to,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "copy-file" => Op::CopyFile(CopyFile {
                        file,
                        to,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    "set-mode" => Op::SetMode(SetMode {
                        file,
                        executable,
                        base,
                        allow: Vec::new(),
                        labels,
                    }),
                    other => panic!("{other} has no strategy"),
                }
            },
        )
}

fn batch() -> impl Strategy<Value = PatchBatch> {
    let version = prop_oneof![9 => Just(1), 1 => any::<u32>()];
    let coordinates = prop_oneof![Just(Coordinates::Original), Just(Coordinates::Sequential)];
    let base = prop::collection::btree_map(file(), digest(), 0..3);
    let operations = prop::collection::vec(operation(), 0..5);
    (
        version,
        option::of(text()),
        labels(),
        base,
        coordinates,
        operations,
    )
        .prop_map(
            |(version, batch_id, labels, base, coordinates, operations)| PatchBatch {
                version,
                batch_id,
                labels,
                base,
                coordinates,
                operations,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn a_value_is_judged_as_its_text_is(batch in batch()) {
        let limits = Limits { operations: 3, ..Limits::default() };
        let json = serde_json::to_vec(&batch).unwrap();
        let read = PatchBatch::parse(&json, &limits);
        match (batch.validate(&limits), read) {
            (Ok(()), Ok(read)) => {
                let mut expected = batch.clone();
                let base = batch.base.iter();
                expected.base = base
                    .map(|(path, digest)| (key(path).into_owned(), *digest))
                    .collect();
                prop_assert_eq!(read, expected);
                let parsed = parse(&json, &limits).unwrap();
                let lowered = Batch::try_from(batch).unwrap();
                prop_assert_eq!(parsed.content, lowered.content);
                let bases = |batch: &Batch| -> Vec<_> { batch.operations.iter().map(|o| o.base).collect() };
                prop_assert_eq!(bases(&parsed), bases(&lowered));
            }
            (Err(refusal), Err(fault)) => {
                prop_assert_eq!(refusal.code, fault.code, "{} / {}", refusal, fault);
                prop_assert!(refusal.message.contains(&fault.message), "{} / {}", refusal, fault);
            }
            (value, text) => prop_assert!(false, "value: {:?}, text: {:?}", value, text.map(|_| ())),
        }
    }
}

#[test]
fn a_value_that_breaks_a_rule_is_refused_with_its_path() {
    let find = ReplaceText {
        file: "a".to_owned(),
        find: String::new(),
        content: Content::Text("x".to_owned()),
        occurrence: Occurrence::Only,
        base: None,
        allow: Vec::new(),
        labels: Labels::default(),
    };
    let refusal = Batch::try_from(PatchBatch::new(vec![PatchOperation::ReplaceText(find)]))
        .expect_err("there is nothing to find");
    assert_eq!(refusal.code, Code::InvalidBatch);
    assert_eq!(
        refusal.message,
        "operations[0].find: \"find\" is never empty"
    );
}
