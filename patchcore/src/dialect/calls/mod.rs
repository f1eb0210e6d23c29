//! Calls of edit tools, as agents and the interfaces of their models send them.
//!
//! An input is JSON, alone, in a list, in lines or among prose, or tags with the parameters inside.
//! In it stand calls: parameters alone, a call with its tool's name, whole messages with several
//! calls, or what an agent's own program printed while it worked. All edits are carried out in
//! order. A call that edits nothing is named in the report and is no mistake; one that the agent
//! has carried out itself is not done again.
//!
//! | parameters | of |
//! |---|---|
//! | `path`, `old_str` and `new_str`, with a `command` or without | text-editor tools, Edit, replace |
//! | `path`, `edits` with old and new text each | `edit_file`, MultiEdit |
//! | `path`, `content` | Write, `write_file` |
//! | `path`, `diff` | `apply_diff`: blocks or a unified diff |
//! | `input`, `patch` or a command with an envelope | `apply_patch` |
//!
//! Each parameter is known in every spelling in use; see [`fields`]. A call may carry the hash of
//! the file that it was made for as `base`: it guards an edit by line numbers alone. As in those tools `create`
//! does not overwrite, `insert` counts lines from 0 (before the first) and inserts a final newline
//! of its text as a further, blank line, and the old text must match at one place unless
//! `replace_all` is set. `undo_edit` takes back an edit of the same input.

mod artifact;
mod edits;
mod envelope;
mod fields;
mod find;
mod lines;
mod look;
mod markup;
mod node;
mod patch;
mod read;
mod rest;
mod run;
#[cfg(test)]
mod tests;
mod tokens;
mod tools;
mod whole_files;
mod write;

use std::collections::BTreeSet;

use super::exact::Matches;
use super::{Dialect, Options, Unread, parse_text, whole};
use crate::batch::diagnostic::{Diagnostic, Fault, Span};
use crate::digest::Digest;
use crate::error::{Code, Refusal};
use crate::operation::Allowance;
use crate::path::RelPath;
use crate::plan::Part;
use crate::plan::{Lowered, Script, Tree};
use crate::text::BOM;
use fields::Input;
pub(super) use fields::{Field, field};
use find::Found;
pub(super) use find::name_above;
use read::Outcome;
pub(super) use tokens::thoughts;
pub(super) use whole_files::{WholeFile, whole_files};

/// What is said of an input that is the parts of messages.
pub(super) const IN_PIECES: &str = "a stream that brings its messages in pieces, of which none is a whole call; send the whole message (the output of the agent without partial messages)";

/// Keys of the messages of a model, and of what an agent prints.
pub(super) const MESSAGES: [&str; 18] = [
    "role",
    "tool_calls",
    "toolCalls",
    "choices",
    "candidates",
    "functionCall",
    "function_call",
    "tool_use",
    "toolUse",
    "tool_uses",
    "tool_input",
    "response",
    "item",
    "message",
    "messages",
    "name",
    "type",
    "tool",
];

/// Parsed calls.
pub(super) struct Calls {
    steps: Vec<Step>,
    options: Options,
    content: Digest,
    /// What is said of calls that edit nothing.
    remarks: Vec<String>,
    /// What calls ask to look at.
    reads: Vec<(RelPath, Part)>,
    /// The byte ranges that were read.
    pub(super) read: Vec<std::ops::Range<usize>>,
}

/// One thing to be done.
struct Step {
    /// The file; `None` where the patch of the step names it.
    path: Option<RelPath>,
    act: Act,
    /// What its sender lets pass.
    allow: Vec<Allowance>,
    /// How its parameters were read, where that is worth saying.
    notes: Vec<String>,
    /// The hash of the file that the call was made for.
    base: Option<Digest>,
    /// The lines that its text has to be on.
    lines: Option<lines::Lines>,
    span: Span,
}

enum Act {
    /// Writes a file that does not exist.
    Create(String),
    /// Writes the whole file, whether it exists or not.
    Write(String, whole::Form),
    Append(String),
    /// Puts text before the first line, or behind the one that names the interpreter.
    Prepend(String),
    Replace {
        old: String,
        new: String,
        matches: Matches,
        may_create: bool,
    },
    Insert {
        line: u64,
        text: String,
    },
    Undo,
    Delete,
    Rename(RelPath),
    /// A patch in another dialect.
    Patch(Box<Patch>),
}

struct Patch {
    dialect: Dialect,
    text: String,
    options: Options,
}

impl Step {
    fn patch(dialect: Dialect, text: String, options: Options, call: &find::Call) -> Self {
        Self::of_patch(dialect, text, options, call.arguments.span)
    }

    fn of_patch(dialect: Dialect, text: String, options: Options, span: Span) -> Self {
        let patch = Patch {
            dialect,
            text,
            options,
        };
        Self {
            path: None,
            act: Act::Patch(Box::new(patch)),
            allow: Vec::new(),
            notes: Vec::new(),
            base: None,
            lines: None,
            span,
        }
    }
}

impl Step {
    /// Adds what its sender lets pass.
    fn allow(&mut self, allow: &[Allowance], options: &Options) {
        for one in allow {
            if !self.allow.contains(one) {
                self.allow.push(*one);
            }
        }
        if let Act::Patch(patch) = &mut self.act
            && self.allow.contains(&Allowance::Omission)
            && !options.forbid_omission
        {
            patch.options.allow_omission = true;
        }
    }
}

impl Patch {
    fn parse(&self) -> Result<Box<dyn Script + '_>, Unread> {
        parse_text(self.dialect, self.text.as_bytes(), &self.options)
    }

    fn parsed(&self) -> Box<dyn Script + '_> {
        self.parse()
            .unwrap_or_else(|_| unreachable!("it was read before"))
    }
}

/// Reads calls.
pub(super) fn parse(bytes: &[u8], options: &Options) -> Result<Calls, Unread> {
    let (mut input, beyond) = Input::of(bytes, options);
    let found = find::find(&mut input, beyond);
    input.end(beyond);
    let mut steps = Vec::new();
    let (mut remarks, mut reads) = (Vec::new(), Vec::new());
    for (index, call) in found.calls.iter().enumerate() {
        match read::call(call, options, &mut input, &mut steps) {
            Outcome::Edit => {}
            Outcome::Nothing(why) => remarks.push(format!("call {}: {why}", index + 1)),
            Outcome::Look(why, read) => {
                remarks.push(format!("call {}: {why}", index + 1));
                reads.push(read);
            }
        }
    }
    prose(&found, options, &mut input, &mut steps, &mut remarks);
    check_patches(&steps, &mut input);
    if !found.answers.is_empty() && found.calls.is_empty() && steps.is_empty() {
        remarks.push("the answer of an agent holds no edit".to_owned());
    }
    let is_nothing = steps.is_empty() && remarks.is_empty();
    if let Some(span) = found.pieces {
        match is_nothing {
            true => input.fault(span, "", IN_PIECES),
            false => remarks.push("parts of a stream are not read; the whole messages are".into()),
        }
    }
    for (span, shown) in &found.others {
        // Events and figures beside calls are part of what an agent prints.
        if is_nothing && input.faults.is_empty() {
            input.fault(*span, "", format!("{shown} is not a known edit; send \"path\", \"old_string\" and \"new_string\", \"edits\", or \"content\" for the whole file"));
        } else if !found.is_transcript {
            remarks.push(format!("{shown} is not a call and edits nothing"));
        }
    }
    if !input.faults.is_empty() {
        return Err(Unread::of(Diagnostic::of_patch(input.faults, bytes)));
    }
    if is_nothing {
        return Err(Refusal::new(
            Code::InvalidBatch,
            "the patch holds no JSON value that changes a file",
        )
        .into());
    }
    Ok(Calls {
        steps,
        options: options.clone(),
        content: Digest::of(bytes),
        remarks,
        reads,
        read: found.read.iter().map(|span| span.start..span.end).collect(),
    })
}

/// Reads the patches that calls bring, and records what is wrong with them.
fn check_patches(steps: &[Step], input: &mut Input<'_>) {
    for step in steps {
        if let Act::Patch(patch) = &step.act
            && let Err(unread) = patch.parse()
        {
            let refusal = unread.refusal();
            input.record(
                Fault::new(refusal.code, step.span, refusal.message.clone()),
                "",
            );
        }
    }
}

/// Patches in the text of messages: the one that is sent, or what is told of work that is done.
fn prose(
    found: &Found,
    options: &Options,
    input: &mut Input<'_>,
    steps: &mut Vec<Step>,
    remarks: &mut Vec<String>,
) {
    for (index, prose) in found.prose.iter().enumerate() {
        let dialect = prose.dialect;
        if found.is_transcript && !found.calls.is_empty() {
            remarks.push(format!("a text of the agent shows a patch in the dialect {dialect}, which is not applied: the agent has edited files itself"));
        } else if !found.calls.is_empty() || index > 0 {
            let message = format!(
                "a text with a patch in the dialect {dialect} is mixed with other edits; send them separately"
            );
            input.fault(prose.span, "", message);
        } else {
            let options = Options {
                dialect: Some(dialect),
                ..options.clone()
            };
            steps.push(Step::of_patch(
                dialect,
                prose.text.clone(),
                options,
                prose.span,
            ));
        }
    }
}

impl Script for Calls {
    fn paths(&self) -> Vec<RelPath> {
        let mut paths = BTreeSet::new();
        for step in &self.steps {
            paths.extend(step.path.clone());
            match &step.act {
                Act::Patch(patch) => paths.extend(patch.parsed().paths()),
                Act::Rename(to) => {
                    paths.insert(to.clone());
                }
                _ => {}
            }
        }
        paths.into_iter().collect()
    }

    fn reads(&self) -> Vec<(RelPath, Part)> {
        self.reads.clone()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        let mut lowered = match &self.steps[..] {
            [
                Step {
                    act: Act::Patch(patch),
                    allow,
                    notes,
                    base: None,
                    lines: None,
                    ..
                },
            ] if notes.is_empty() && allow.is_empty() => run::alone(&*patch.parsed(), tree)?,
            _ => run::run(self, tree).into(),
        };
        lowered.notes.remarks.extend(self.remarks.iter().cloned());
        Ok(lowered)
    }
}

/// Whether a line opens a call: by its tag, or behind a token of a model's template.
pub(super) fn opens(line: &[u8]) -> bool {
    markup::is_opening_tag(line) || std::str::from_utf8(line).is_ok_and(tokens::opens)
}

/// The text of an input that is a string of JSON and nothing else.
pub(super) fn string(bytes: &[u8]) -> Option<String> {
    let body = bytes.strip_prefix(BOM).unwrap_or(bytes).trim_ascii();
    if body.first() != Some(&b'"') {
        return None;
    }
    serde_json::from_slice(body).ok()
}

/// Whether an input is a string of JSON.
pub(super) fn is_string(bytes: &[u8]) -> bool {
    string(bytes).is_some()
}
