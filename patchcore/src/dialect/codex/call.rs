//! An envelope in a tool call: a string somewhere in JSON, as the interfaces of codex's models send
//! it. `{"input": "*** Begin Patch …"}`, `{"command": ["apply_patch", "*** Begin Patch …"]}`, or
//! either as the text of a call's arguments.

use serde_json::Value;

use super::lower;
use super::parse::{BEGIN, parse};
use crate::dialect::{Options, json};
use crate::error::{Code, Refusal};
use crate::path::RelPath;
use crate::plan::{Lowered, Script, Tree};
use crate::text::split_lines;

/// Keys whose value the command of a call is run in.
const DIRECTORIES: [&str; 4] = ["workdir", "cwd", "working_dir", "working_directory"];
/// Texts of JSON inside each other that are looked into.
const DEPTH: usize = 3;

/// Whether JSON with these keys may be a call with an envelope, and no other dialect's.
pub(in crate::dialect) fn may_be(body: &[u8], has: impl Fn(&str) -> bool) -> bool {
    let ours = ["input", "patch", "arguments", "command", "cmd"];
    let others = [
        "operations",
        "documentChanges",
        "changes",
        "edits",
        "path",
        "file_path",
        "content",
        "old_str",
        "old_string",
        "oldText",
        "old_text",
    ];
    ours.into_iter().any(&has)
        && !others.into_iter().any(&has)
        && memchr::memmem::find(body, BEGIN).is_some()
}

/// A patch that was sent in a call.
pub(super) struct Called {
    envelope: String,
    options: Options,
}

impl Called {
    /// The patch in a call; `None` where the bytes are none, but may hold an envelope themselves.
    pub(super) fn read(bytes: &[u8], options: &Options) -> Result<Option<Self>, Refusal> {
        let opens = |text: &[u8]| matches!(text.trim_ascii_start().first(), Some(b'{' | b'['));
        if holds_envelope(bytes) || !split_lines(bytes).any(opens) {
            return Ok(None);
        }
        let calls = match json::values::<Value>(bytes, options) {
            // Behind other text it may be anything.
            Err(_) if !opens(bytes) => return Ok(None),
            calls => calls?,
        };
        let mut envelopes = Vec::new();
        for call in &calls {
            look(call, options, DEPTH, &mut envelopes)?;
        }
        let envelope = match envelopes.len() {
            1 => envelopes.remove(0),
            0 => return Ok(None),
            number => {
                return Err(invalid(format!(
                    "the call holds {number} envelopes; send one"
                )));
            }
        };
        // Of two fields of one name a reader of JSON keeps the last.
        let begins = |text: &[u8]| memchr::memmem::find_iter(text, BEGIN).count();
        if begins(bytes) > begins(envelope.as_bytes()) {
            return Err(invalid(
                "the call has \"*** Begin Patch\" outside of its envelope, too; send the envelope alone".into(),
            ));
        }
        parse(envelope.as_bytes(), options)?;
        Ok(Some(Self {
            envelope,
            options: options.clone(),
        }))
    }

    fn parsed(&self) -> super::Codex<'_> {
        parse(self.envelope.as_bytes(), &self.options).expect("it was read before")
    }
}

impl Script for Called {
    fn paths(&self) -> Vec<RelPath> {
        self.parsed().paths()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        Ok(lower::lower(&self.parsed(), tree).into())
    }
}

fn holds_envelope(bytes: &[u8]) -> bool {
    split_lines(bytes).any(|line| line.trim_ascii() == BEGIN)
}

/// Collects the strings that hold an envelope.
fn look(
    value: &Value,
    options: &Options,
    depth: usize,
    envelopes: &mut Vec<String>,
) -> Result<(), Refusal> {
    match value {
        Value::String(text) if holds_envelope(text.as_bytes()) => envelopes.push(text.clone()),
        Value::String(text) if depth > 0 && text.trim_start().starts_with(['{', '[']) => {
            // What is no JSON is some other text of the call.
            if let Ok(inner) = serde_json::from_str(text) {
                look(&inner, options, depth - 1, envelopes)?;
            }
        }
        Value::Array(values) => {
            for value in values {
                look(value, options, depth, envelopes)?;
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                if DIRECTORIES.contains(&key.as_str()) && !is_root(value, options) {
                    return Err(invalid(format!(
                        "the call is to run in the directory {value} ({key}); send names from the root, without it"
                    )));
                }
                look(value, options, depth, envelopes)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_root(directory: &Value, options: &Options) -> bool {
    match directory {
        Value::Null => true,
        Value::String(path) => {
            matches!(path.as_str(), "" | "." | "./")
                || super::parse::is_root(path.as_bytes(), options)
        }
        _ => false,
    }
}

fn invalid(message: String) -> Refusal {
    Refusal::new(Code::InvalidBatch, message)
}
