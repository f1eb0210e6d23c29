//! The Language Server Protocol's `WorkspaceEdit`.
//!
//! `documentChanges` go before `changes`, as the protocol has it, and follow one another; the
//! edits of one document are all in its text before them. Positions count UTF-16 code units, lines
//! from 0, and a character past the end of its line is the end of the line. Versions cannot be
//! checked here, since no document is open; a `textDocument` may carry the hash of the file as
//! `base` instead. See «Language Server Protocol Specification 3.17».

mod position;

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use self::position::{Lines, Range};
use super::desk::Desk;
use super::{Options, beneath_root, json};
use crate::digest::Digest;
use crate::edit::Edit;
use crate::error::{Code, Hint, Refusal};
use crate::path::RelPath;
use crate::plan::omission;
use crate::plan::{Lowered, Script, Tree};

/// A parsed edit.
pub(super) struct WorkspaceEdit {
    changes: Vec<Change>,
    allow_omission: bool,
    content: Digest,
}

enum Change {
    Edit {
        path: RelPath,
        edits: Vec<TextEdit>,
        note: Option<String>,
        /// The hash of the document that the positions were counted in.
        base: Option<Digest>,
    },
    Create {
        path: RelPath,
        options: FileOptions,
    },
    Rename {
        from: RelPath,
        to: RelPath,
        options: FileOptions,
    },
    Delete {
        path: RelPath,
        options: FileOptions,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    changes: Option<BTreeMap<String, Vec<TextEdit>>>,
    document_changes: Option<Vec<DocumentChange>>,
    #[serde(default)]
    change_annotations: BTreeMap<String, Annotation>,
    /// The edit, in a request, an answer or a code action.
    #[serde(
        default,
        alias = "params",
        alias = "result",
        deserialize_with = "json::parameters"
    )]
    edit: Option<Box<Raw>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DocumentChange {
    kind: Option<String>,
    text_document: Option<Document>,
    edits: Option<Vec<TextEdit>>,
    uri: Option<String>,
    old_uri: Option<String>,
    new_uri: Option<String>,
    #[serde(default)]
    options: FileOptions,
    annotation_id: Option<String>,
}

#[derive(Deserialize)]
struct Document {
    uri: String,
    base: Option<Digest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TextEdit {
    range: Range,
    new_text: Option<String>,
    annotation_id: Option<String>,
    snippet: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct FileOptions {
    overwrite: bool,
    ignore_if_exists: bool,
    ignore_if_not_exists: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Annotation {
    label: String,
    #[serde(default)]
    needs_confirmation: bool,
}

/// Reads an edit.
pub(super) fn parse(bytes: &[u8], options: &Options) -> Result<WorkspaceEdit, Refusal> {
    let mut changes = Vec::new();
    for mut raw in json::values::<Raw>(bytes, options)? {
        while let Some(edit) = raw.edit.take() {
            raw = *edit;
        }
        read(raw, options, &mut changes)?;
    }
    if changes.is_empty() {
        return Err(Refusal::new(
            Code::InvalidBatch,
            "the workspace edit changes nothing",
        ));
    }
    Ok(WorkspaceEdit {
        changes,
        allow_omission: options.allow_omission,
        content: Digest::of(bytes),
    })
}

/// Refuses a change that asks for confirmation, in strict mode.
fn check_unconfirmed(
    notes: &BTreeMap<String, Annotation>,
    options: &Options,
) -> Result<(), Refusal> {
    if let Some(label) = notes
        .values()
        .find(|note| note.needs_confirmation)
        .map(|note| &note.label)
        && options.strict
    {
        return Err(Refusal::new(
            Code::InvalidBatch,
            format!(
                "the change {label:?} asks for confirmation, which is not allowed in strict mode"
            ),
        )
        .with_hint(Hint::Lenient));
    }
    Ok(())
}

/// The labels of some annotations.
fn labels(
    notes: &BTreeMap<String, Annotation>,
    ids: &mut dyn Iterator<Item = &String>,
) -> Option<String> {
    let labels: BTreeSet<&str> = ids
        .filter_map(|id| notes.get(id))
        .map(|note| note.label.as_str())
        .collect();
    (!labels.is_empty()).then(|| labels.into_iter().collect::<Vec<_>>().join("; "))
}

fn read(raw: Raw, options: &Options, changes: &mut Vec<Change>) -> Result<(), Refusal> {
    let notes = &raw.change_annotations;
    check_unconfirmed(notes, options)?;
    let note = |ids: &mut dyn Iterator<Item = &String>| labels(notes, ids);
    let Some(documents) = raw.document_changes else {
        for (uri, edits) in raw.changes.unwrap_or_default() {
            let note = note(&mut edits.iter().filter_map(|edit| edit.annotation_id.as_ref()));
            changes.push(Change::Edit {
                path: path(&uri, options)?,
                edits,
                note,
                base: None,
            });
        }
        return Ok(());
    };
    for (index, change) in documents.into_iter().enumerate() {
        let missing = |name: &str| {
            Refusal::new(
                Code::InvalidBatch,
                format!("documentChanges[{index}]: {name:?} is missing"),
            )
        };
        let uri =
            |uri: Option<String>, name: &str| path(&uri.ok_or_else(|| missing(name))?, options);
        changes.push(match change.kind.as_deref() {
            None => {
                let document = change.text_document.ok_or_else(|| missing("textDocument"))?;
                let edits = change.edits.ok_or_else(|| missing("edits"))?;
                let note = note(&mut edits.iter().filter_map(|edit| edit.annotation_id.as_ref()).chain(&change.annotation_id));
                Change::Edit { path: path(&document.uri, options)?, edits, note, base: document.base }
            }
            Some("create") => Change::Create { path: uri(change.uri, "uri")?, options: change.options },
            Some("rename") => Change::Rename {
                from: uri(change.old_uri, "oldUri")?,
                to: uri(change.new_uri, "newUri")?,
                options: change.options,
            },
            Some("delete") => Change::Delete { path: uri(change.uri, "uri")?, options: change.options },
            Some(other) => {
                return Err(Refusal::new(
                    Code::InvalidBatch,
                    format!("documentChanges[{index}]: {other:?} is not a kind of change; the kinds are create, rename and delete"),
                ));
            }
        });
    }
    Ok(())
}

/// The path of a `file:` URI, or of a plain relative path.
fn path(uri: &str, options: &Options) -> Result<RelPath, Refusal> {
    if let Some(file) = &options.file {
        return Ok(file.clone());
    }
    let Some(rest) = uri.strip_prefix("file://") else {
        if uri.contains("://") {
            return Err(Refusal::new(
                Code::PathEscape,
                format!("{uri:?} is not a file on this machine"),
            ));
        }
        return RelPath::new(uri);
    };
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let decoded = decode(rest.as_bytes()).ok_or_else(|| {
        Refusal::new(
            Code::InvalidBatch,
            format!("{uri:?} has a malformed percent escape"),
        )
    })?;
    RelPath::new(beneath_root(&decoded, options))
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|byte| (*byte as char).to_digit(16));
        let value = digit()? * 16 + digit()?;
        out.push(u8::try_from(value).ok()?);
    }
    Some(out)
}

impl Script for WorkspaceEdit {
    fn paths(&self) -> Vec<RelPath> {
        let mut paths = BTreeSet::new();
        for change in &self.changes {
            match change {
                Change::Edit { path, .. }
                | Change::Create { path, .. }
                | Change::Delete { path, .. } => {
                    paths.insert(path);
                }
                Change::Rename { from, to, .. } => {
                    paths.insert(from);
                    paths.insert(to);
                }
            }
        }
        paths.into_iter().cloned().collect()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        let mut desk = Desk::new(tree);
        for change in &self.changes {
            let path = match change {
                Change::Edit { path, .. }
                | Change::Create { path, .. }
                | Change::Delete { path, .. } => path,
                Change::Rename { from, .. } => from,
            };
            if desk.is_spoiled(path) {
                desk.judge_apart(path, |desk| self.apply(change, desk));
            } else if let Err(refusal) = self.apply(change, &mut desk) {
                desk.refuse(path, refusal);
            }
        }
        Ok(desk.into_batch(self.content).into())
    }
}

impl WorkspaceEdit {
    fn apply(&self, change: &Change, desk: &mut Desk<'_>) -> Result<(), Refusal> {
        match change {
            Change::Edit {
                path,
                edits,
                note,
                base,
            } => {
                let text = desk.file(path)?;
                let edits = self.edits(&text, edits, path)?;
                let from = desk.len();
                desk.splice_bare(path, edits, note.clone())?;
                desk.hold_to(from, *base);
                Ok(())
            }
            // `overwrite` is the sender's word; what counts is the operator's, which planning knows.
            Change::Create { path, options } => {
                let FileOptions {
                    overwrite,
                    ignore_if_exists,
                    ..
                } = *options;
                if ignore_if_exists && !overwrite && desk.text(path)?.is_some() {
                    return Ok(());
                }
                desk.create(path, Vec::new())
            }
            Change::Rename { from, to, options } => {
                let FileOptions {
                    overwrite,
                    ignore_if_exists,
                    ..
                } = *options;
                if ignore_if_exists && !overwrite && from != to && desk.text(to)?.is_some() {
                    return Ok(());
                }
                desk.rename(from, to)
            }
            Change::Delete { path, options } => match desk.text(path)? {
                None if options.ignore_if_not_exists => Ok(()),
                _ => desk.delete(path, None),
            },
        }
    }

    fn edits(&self, text: &[u8], edits: &[TextEdit], path: &RelPath) -> Result<Vec<Edit>, Refusal> {
        let lines = Lines::new(text, path);
        let mut located = Vec::with_capacity(edits.len());
        for (index, edit) in edits.iter().enumerate() {
            let name = format!("edit {} of {path}", index + 1);
            let Some(new) = edit.new_text.as_ref().filter(|_| edit.snippet.is_none()) else {
                return Err(Refusal::new(
                    Code::InvalidBatch,
                    format!("{name} has no \"newText\"; snippets need an editor"),
                )
                .in_file(path));
            };
            let span = lines.span(&edit.range, &name)?;
            if !self.allow_omission {
                omission::check_new(path, new.as_bytes(), &text[span.clone()])?;
            }
            let new = lines.with_ending(span.start, new);
            located.push(Edit::replace(span, new));
        }
        Ok(located)
    }
}
