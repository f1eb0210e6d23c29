//! The rules for the values of a batch that its types do not state.
//!
//! The reader of text and [`PatchBatch::validate`] share them: one adds positions, the other the
//! JSON path.

use std::borrow::Cow;
use std::collections::HashSet;
#[cfg(feature = "workspace")]
use std::sync::Arc;

use super::Limits;
use super::diagnostic::MAX_FAULTS;
use super::reader::short;
use super::wire::{At, Expectation, PatchBatch, PatchOperation};
use crate::error::{Code, Refusal};
#[cfg(feature = "workspace")]
use crate::operation::Batch;
use crate::operation::{Labels, Occurrence};
use crate::path::RelPath;

#[cfg(test)]
mod tests;

/// A rule that a value breaks.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) code: Code,
    pub(super) message: String,
}

type Checked = Result<(), Broken>;

fn check(holds: bool, code: Code, message: impl FnOnce() -> String) -> Checked {
    match holds {
        true => Ok(()),
        false => Err(Broken {
            code,
            message: message(),
        }),
    }
}

pub(super) fn version(version: u64) -> Checked {
    check(version == 1, Code::UnsupportedVersion, || {
        format!("version {version} is not supported; this program reads version 1")
    })
}

/// Whether one more operation is allowed after so many.
pub(super) fn one_more(operations: usize, limits: &Limits) -> Checked {
    check(operations < limits.operations, Code::LimitExceeded, || {
        format!("more operations than the limit of {}", limits.operations)
    })
}

/// What is looked for, or guards, has at least one character.
pub(super) fn not_empty(field: &str, text: &str) -> Checked {
    check(!text.is_empty(), Code::InvalidBatch, || {
        let hint = match field {
            "expect" | "before" | "after" | "text" => "; a blank line is \"\\n\"",
            "batch_id" => "; leave it out to have one made",
            "order_id" | "task_id" | "factory" | "phase" | "agent" => "; leave it out for none",
            _ => "",
        };
        format!("{field:?} is never empty{hint}")
    })
}

/// An address is one place.
pub(super) fn one_place(occurrence: Occurrence) -> Checked {
    check(occurrence != Occurrence::All, Code::InvalidBatch, || {
        "\"all\" goes with replace-text alone".to_owned()
    })
}

/// A file has one hash: `known` are the paths that have one already.
pub(super) fn one_hash(path: &str, is_known: bool) -> Checked {
    check(!is_known, Code::InvalidBatch, || {
        format!("{:?} appears twice in \"base\"", short(path))
    })
}

/// The name under which a hash guards a file: all spellings of one path have the same. What is not
/// a path guards nothing, under its own name.
pub(super) fn key(path: &str) -> Cow<'_, str> {
    match RelPath::new(path) {
        Ok(known) if known.as_bytes() != path.as_bytes() => known.to_string().into(),
        _ => path.into(),
    }
}

#[cfg(feature = "workspace")]
impl Batch {
    /// Checks the rules for what did not come with the operations: an id, by which only a log knows a
    /// batch again, may be set beside them.
    ///
    /// # Errors
    /// `INVALID_BATCH`.
    pub(crate) fn check_header(&self) -> Result<(), Refusal> {
        let mut faults = Faults::default();
        if let Some(id) = &self.id {
            faults.add("batch_id", not_empty("batch_id", id));
        }
        labels(&self.labels, |field, checked| faults.add(field, checked));
        // Operations mostly share their labels.
        let mut last = &self.labels;
        for (index, operation) in self.operations.iter().enumerate() {
            let own = &operation.labels;
            if Arc::ptr_eq(last, own) || faults.0.len() >= MAX_FAULTS {
                continue;
            }
            last = own;
            // What it has of the batch's was judged with them.
            if *own != self.labels {
                labels(own, |field, checked| {
                    faults.add(&format!("operations[{index}].{field}"), checked);
                });
            }
        }
        faults.finish()
    }
}

#[cfg(feature = "workspace")]
impl Labels {
    /// Checks the rule for labels that come without a batch.
    ///
    /// # Errors
    /// `INVALID_BATCH` where one is empty.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        let mut faults = Faults::default();
        labels(self, |field, checked| faults.add(field, checked));
        faults.finish()
    }
}

/// No label is empty: it would be taken for one, or for none, without a word.
fn labels(labels: &Labels, mut add: impl FnMut(&str, Checked)) {
    for (field, label) in labels.fields() {
        if let Some(label) = label
            && let broken @ Err(_) = not_empty(field, label)
        {
            add(field, broken);
        }
    }
}

impl PatchBatch {
    /// Checks the rules that the types do not state: those by which [`parse`](super::parse) judges
    /// a batch beyond its JSON.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED`, `UNSUPPORTED_VERSION` or `INVALID_BATCH`, with the JSON path of each
    /// value that breaks a rule, at most [`MAX_FAULTS`] of them.
    pub fn validate(&self, limits: &Limits) -> Result<(), Refusal> {
        let mut faults = Faults::default();
        if let Some(last) = self.operations.len().checked_sub(1) {
            faults.add("operations", one_more(last, limits));
        }
        faults.add("version", version(self.version.into()));
        if let Some(id) = &self.batch_id {
            faults.add("batch_id", not_empty("batch_id", id));
        }
        labels(&self.labels, |field, checked| faults.add(field, checked));
        let mut guarded = HashSet::new();
        for path in self.base.keys() {
            let fresh = guarded.insert(key(path));
            faults.add("base", one_hash(path, !fresh));
        }
        for (index, operation) in self.operations.iter().enumerate() {
            if faults.0.len() == MAX_FAULTS {
                break;
            }
            let mut add = |field: &str, checked: Checked| {
                if checked.is_err() {
                    faults.add(&format!("operations[{index}].{field}"), checked);
                }
            };
            labels(operation.labels(), &mut add);
            operation.check(&mut add);
            if operation.expect() == Some("")
                && operation.base().is_none()
                && !guarded.contains(&key(operation.file()))
            {
                add("expect", not_empty("expect", ""));
            }
        }
        faults.finish()
    }
}

impl PatchOperation {
    /// Checks what needs no more than the operation.
    fn check(&self, add: &mut impl FnMut(&str, Checked)) {
        let (at, guard) = match self {
            Self::ReplaceBlock(o) => (&o.at, &o.guard),
            Self::InsertBefore(o) => (&o.at, &o.guard),
            Self::InsertAfter(o) => (&o.at, &o.guard),
            Self::ReplaceText(o) => return add("find", not_empty("find", &o.find)),
            _ => return,
        };
        match at {
            At::Line { .. } | At::Lines { .. } | At::Match { .. } | At::Between { .. } => {}
            At::Text { text, .. } => add("at.text", not_empty("text", text)),
            At::Placeholder { placeholder, .. } => {
                add("at.placeholder", not_empty("placeholder", placeholder));
            }
        }
        add("at.occurrence", one_place(at.occurrence()));
        let Expectation { before, after, .. } = guard;
        for (field, lines) in [("before", before), ("after", after)] {
            if let Some(lines) = lines {
                add(field, not_empty(field, lines));
            }
        }
    }

    fn expect(&self) -> Option<&str> {
        match self {
            Self::ReplaceBlock(o) => o.guard.expect.as_deref(),
            Self::InsertBefore(o) => o.guard.expect.as_deref(),
            Self::InsertAfter(o) => o.guard.expect.as_deref(),
            Self::DeleteFile(o) => o.expect.as_deref(),
            _ => None,
        }
    }
}

impl At {
    fn occurrence(&self) -> Occurrence {
        match self {
            Self::Line { .. } | Self::Lines { .. } => Occurrence::Only,
            Self::Text { occurrence, .. }
            | Self::Match { occurrence, .. }
            | Self::Between { occurrence, .. }
            | Self::Placeholder { occurrence, .. } => *occurrence,
        }
    }
}

#[derive(Default)]
struct Faults(Vec<(Code, String)>);

impl Faults {
    fn add(&mut self, path: &str, checked: Checked) {
        if let Err(Broken { code, message }) = checked {
            self.0.push((code, format!("{path}: {message}")));
        }
    }

    fn finish(self) -> Result<(), Refusal> {
        let Some((code, _)) = self.0.first() else {
            return Ok(());
        };
        let messages: Vec<&str> = self.0.iter().map(|(_, message)| &**message).collect();
        Err(Refusal::new(*code, messages.join("; ")))
    }
}
