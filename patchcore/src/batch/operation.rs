//! One operation of a batch, whatever the order of its fields.

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

use super::address::{read_at, read_occurrence};
use super::diagnostic::Span;
use super::names::nearest;
use super::read::label_of;
use super::reader::{Reader, Step, short};
use super::scan::TokenKind;
use super::wire::{At, Common, Content, Expectation, PatchOperation, with_common};
use crate::digest::Digest;
use crate::operation::{Allowance, Indent, Labels, Occurrence};

/// Every field of every operation; the position is the bit in `seen`.
const FIELDS: &[&str] = &[
    "op",
    "file",
    "base",
    "order_id",
    "task_id",
    "factory",
    "phase",
    "agent",
    "allow",
    "at",
    "expect",
    "before",
    "after",
    "content",
    "content_base64",
    "pad",
    "indent",
    "find",
    "occurrence",
    "executable",
    "to",
];
/// So many of them go with every operation.
const COMMON: usize = 9;

/// The fields that go with an operation beside the common ones.
fn takes(op: &str) -> &'static [&'static str] {
    match op {
        "replace-block" => &[
            "at",
            "expect",
            "before",
            "after",
            "content",
            "content_base64",
            "pad",
            "indent",
        ],
        "insert-before" | "insert-after" => &[
            "at",
            "expect",
            "before",
            "after",
            "content",
            "content_base64",
            "indent",
        ],
        "append" | "prepend" => &["content", "content_base64"],
        "replace-text" => &["find", "content", "content_base64", "occurrence"],
        "create-file" => &["content", "content_base64", "executable"],
        "delete-file" => &["expect"],
        "rename-file" | "copy-file" => &["to"],
        _ => &["executable"],
    }
}

/// What was read of an operation before it was known which one it is.
#[derive(Default)]
struct Raw {
    op: Option<&'static str>,
    file: Option<String>,
    base: Option<Digest>,
    labels: Labels,
    allow: Vec<Allowance>,
    at: Option<At>,
    guard: Expectation,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
    pad: bool,
    indent: Indent,
    find: Option<String>,
    occurrence: Occurrence,
    executable: Option<bool>,
    to: Option<String>,
}

/// Reads the operation that is next; `None` where a fault was recorded.
pub(super) fn read_operation(r: &mut Reader<'_>) -> Step<Option<PatchOperation>> {
    let kind = r.kind()?;
    if kind != TokenKind::Object {
        r.wrong("an operation, which is an object", kind)?;
        return Ok(None);
    }
    let faults = r.faults();
    let start = r.scan.offset();
    let mut raw = Raw::default();
    let mut seen = 0;
    let mut keys = [Span::default(); FIELDS.len()];
    r.object(|r, key, span| {
        let owner = || match raw.op {
            Some(op) => (op, [&FIELDS[..COMMON], takes(op)].concat()),
            None => ("an operation", FIELDS.to_vec()),
        };
        let Some(field) = r.known(FIELDS, &key, span, &mut seen, owner)? else {
            return Ok(());
        };
        keys[seen_index(field)] = span;
        r.field(field, |r| raw.read(r, field))
    })?;

    let span = Span::at(start);
    if seen & 1 == 0 {
        let names = PatchOperation::NAMES.join(", ");
        r.fault(span, format!("an operation needs \"op\", one of {names}"))?;
    }
    let Some(op) = raw.op else {
        return Ok(None);
    };
    // What is misspelt is not missing as well.
    let meant = (0..FIELDS.len())
        .filter(|&index| r.was_meant(faults, FIELDS[index]))
        .fold(seen, |meant, index| meant | 1 << index);
    check_fields(r, op, seen, &keys)?;
    check_missing(r, op, meant, span)?;
    Ok(if r.faults() > faults {
        None
    } else {
        raw.build(op)
    })
}

fn seen_index(field: &str) -> usize {
    FIELDS
        .iter()
        .position(|known| *known == field)
        .expect("the field was found among them")
}

/// Records fields that do not go with the operation, or with each other.
fn check_fields(
    r: &mut Reader<'_>,
    op: &'static str,
    seen: u32,
    keys: &[Span; FIELDS.len()],
) -> Step<()> {
    let takes = takes(op);
    for (index, &field) in FIELDS.iter().enumerate().skip(COMMON) {
        if seen & (1 << index) != 0 && !takes.contains(&field) {
            let near = nearest(field, takes);
            let takes = takes.join(", ");
            let message = format!("{field:?} cannot be used with {op}, which takes file, {takes}");
            r.field(field, |r| r.record_near(keys[index], message, near))?;
        }
    }
    let has = |field: &str| seen & (1 << seen_index(field)) != 0;
    if takes.contains(&"content") && has("content") && has("content_base64") {
        let key = keys[seen_index("content_base64")];
        r.field("content_base64", |r| {
            r.fault(key, "stands beside \"content\", which it stands for")
        })?;
    }
    Ok(())
}

/// Records fields that the operation lacks.
fn check_missing(r: &mut Reader<'_>, op: &'static str, seen: u32, start: Span) -> Step<()> {
    let takes = takes(op);
    let has = |field: &str| seen & (1 << seen_index(field)) != 0;
    let required = ["file", "at", "find", "to"]
        .into_iter()
        .chain((op == "set-mode").then_some("executable"))
        .filter(|field| *field == "file" || takes.contains(field));
    for field in required {
        if !has(field) {
            r.fault(start, format!("{op} needs {field:?}"))?;
        }
    }
    if takes.contains(&"content") && !has("content") && !has("content_base64") {
        r.fault(start, format!("{op} needs \"content\""))?;
    }
    Ok(())
}

impl Raw {
    fn read(&mut self, r: &mut Reader<'_>, field: &'static str) -> Step<()> {
        match field {
            "op" => self.op = read_op(r)?,
            "file" => self.file = r.required(Reader::text)?,
            "base" => self.base = r.digest()?,
            "allow" => self.allow = read_allow(r)?,
            "at" => self.at = r.required(read_at)?,
            "expect" => self.guard.expect = r.expected()?,
            "before" => self.guard.before = r.nonempty(field)?,
            "after" => self.guard.after = r.nonempty(field)?,
            "content" => self.text = r.required(Reader::text)?,
            "content_base64" => self.bytes = r.required(read_base64)?,
            "pad" => self.pad = r.boolean()?.unwrap_or_default(),
            "indent" => self.indent = r.choice(INDENTS)?.unwrap_or_default(),
            "find" => self.find = r.required(|r| r.nonempty("find"))?,
            "occurrence" => self.occurrence = read_occurrence(r, true)?.unwrap_or_default(),
            "executable" => self.executable = r.boolean()?,
            "to" => self.to = r.required(Reader::text)?,
            label => *label_of(&mut self.labels, label) = r.nonempty(label)?,
        }
        Ok(())
    }

    /// The operation; `None` where a field that it needs is missing, which is recorded by now.
    fn build(self, op: &'static str) -> Option<PatchOperation> {
        let common = Common {
            file: self.file?,
            base: self.base,
            allow: self.allow,
            labels: self.labels,
        };
        let Self { guard, indent, .. } = self;
        let text = self.text.map(Content::Text);
        let content = text.or(self.bytes.map(Content::Base64));
        Some(match op {
            "replace-block" => with_common!(ReplaceBlock {
                at: self.at?,
                guard,
                content: content?,
                pad: self.pad,
                indent,
            } from common),
            "insert-before" => with_common!(InsertBefore {
                at: self.at?,
                guard,
                content: content?,
                indent,
            } from common),
            "insert-after" => with_common!(InsertAfter {
                at: self.at?,
                guard,
                content: content?,
                indent,
            } from common),
            "append" => with_common!(Append { content: content? } from common),
            "prepend" => with_common!(Prepend { content: content? } from common),
            "replace-text" => with_common!(ReplaceText {
                find: self.find?,
                content: content?,
                occurrence: self.occurrence,
            } from common),
            "create-file" => with_common!(CreateFile {
                content: content?,
                executable: self.executable.unwrap_or_default(),
            } from common),
            "delete-file" => with_common!(DeleteFile { expect: guard.expect } from common),
            "rename-file" => with_common!(RenameFile { to: self.to? } from common),
            "copy-file" => with_common!(CopyFile { to: self.to? } from common),
            _ => with_common!(SetMode { executable: self.executable? } from common),
        })
    }
}

fn read_op(r: &mut Reader<'_>) -> Step<Option<&'static str>> {
    let start = r.scan.offset();
    let Some(op) = r.required(|r| r.string("an operation's name"))? else {
        return Ok(None);
    };
    let known = PatchOperation::NAMES.iter().find(|name| **name == op);
    if known.is_none() {
        let near = nearest(&op, PatchOperation::NAMES);
        let hint = match near {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("there are {}", PatchOperation::NAMES.join(", ")),
        };
        let message = format!("unknown operation {:?}; {hint}", short(&op));
        let span = r.since(start);
        r.record_near(span, message, near)?;
    }
    Ok(known.copied())
}

fn read_allow(r: &mut Reader<'_>) -> Step<Vec<Allowance>> {
    let mut allow = Vec::new();
    match r.kind()? {
        TokenKind::Null => r.null()?,
        TokenKind::Array => r.array(|r, _| {
            let one = r.required(|r| r.choice(&Allowance::NAMES))?;
            allow.extend(one.filter(|one| !allow.contains(one)));
            Ok(())
        })?,
        kind => r.wrong("an array of what may pass", kind)?,
    }
    Ok(allow)
}

fn read_base64(r: &mut Reader<'_>) -> Step<Option<Vec<u8>>> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let start = r.scan.offset();
    let Some(text) = r.string("a string in base 64")? else {
        return Ok(None);
    };
    match LENIENT.decode(text.as_bytes()) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => {
            let span = r.since(start);
            let error = error.to_string().to_lowercase();
            r.fault(
                span,
                format!("not base 64: {}", error.trim_end_matches('.')),
            )?;
            Ok(None)
        }
    }
}

const INDENTS: &[(&str, Indent)] = &[("verbatim", Indent::Verbatim), ("anchor", Indent::Anchor)];
