//! Whole files: `[{"path": …, "content": …}]`, as the output of a phase.
//!
//! A file that does not exist is created. One that exists becomes the content by the smallest
//! edits, guarded by its hash.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Options, beneath_root, json, omission, whole};
use crate::digest::Digest;
use crate::error::{Code, Hint, Refusal};
use crate::operation::{Action, Batch, Operation};
use crate::path::RelPath;
use crate::plan::{Entry, Lowered, Script, Tree};

/// Parsed files.
pub(super) struct Files {
    files: Vec<(RelPath, RawFile)>,
    allow_omission: bool,
    content: Digest,
}

/// A file, or a list of them.
#[derive(Deserialize)]
struct Raw {
    files: Option<Vec<RawFile>>,
    #[serde(alias = "file_path", alias = "file")]
    path: Option<String>,
    content: Option<String>,
    executable: Option<bool>,
    /// Write it byte for byte, whatever line endings are there.
    verbatim: Option<bool>,
}

#[derive(Deserialize)]
struct RawFile {
    #[serde(alias = "file_path", alias = "file")]
    path: Option<String>,
    content: String,
    executable: Option<bool>,
    /// Write it byte for byte, whatever line endings are there.
    verbatim: Option<bool>,
}

/// Reads files.
pub(super) fn parse(bytes: &[u8], options: &Options) -> Result<Files, Refusal> {
    let raw = json::values::<Raw>(bytes, options)?;
    let mut all = Vec::new();
    for raw in raw {
        match (raw.files, raw.content) {
            (Some(files), _) => all.extend(files),
            (None, Some(content)) => all.push(RawFile {
                path: raw.path,
                content,
                executable: raw.executable,
                verbatim: raw.verbatim,
            }),
            (None, None) => {
                return Err(Refusal::new(
                    Code::InvalidBatch,
                    "\"content\" is missing; a file is {\"path\": …, \"content\": …}",
                ));
            }
        }
    }
    let mut files: Vec<(RelPath, RawFile)> = Vec::new();
    let mut seen = BTreeSet::new();
    for file in all {
        let path = match (&options.file, &file.path) {
            (Some(path), _) => path.clone(),
            (None, Some(path)) => RelPath::new(beneath_root(path.as_bytes(), options))?,
            (None, None) => {
                return Err(
                    Refusal::new(Code::InvalidBatch, "\"path\" is missing").with_hint(Hint::File)
                );
            }
        };
        if !seen.insert(path.clone()) {
            return Err(Refusal::new(
                Code::Overlap,
                format!("{path} comes twice; send each file once"),
            )
            .in_file(path));
        }
        files.push((path, file));
    }
    Ok(Files {
        files,
        allow_omission: options.allow_omission,
        content: Digest::of(bytes),
    })
}

impl Script for Files {
    fn paths(&self) -> Vec<RelPath> {
        let paths: BTreeSet<&RelPath> = self.files.iter().map(|(path, _)| path).collect();
        paths.into_iter().cloned().collect()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        let mut operations = Vec::with_capacity(self.files.len());
        for (path, file) in &self.files {
            self.lower_file(path, file, tree, &mut operations);
        }
        Ok(Batch::new(operations, self.content).into())
    }
}

impl Files {
    fn lower_file(
        &self,
        path: &RelPath,
        file: &RawFile,
        tree: &Tree,
        operations: &mut Vec<Operation>,
    ) {
        let mut push = |action: Action| operations.push(Operation::new(path.clone(), action));
        let old = match tree.get(path) {
            Entry::Refused(refusal) => return push(Action::Refused(refusal.clone())),
            Entry::Absent => None,
            Entry::File(source) => Some(source),
        };
        let new = file.content.as_bytes();
        let before = old.map(|source| source.bytes()).unwrap_or_default();
        if !self.allow_omission
            && let Err(refusal) = omission::check_new(path, new, before)
        {
            return push(Action::Refused(Box::new(refusal)));
        }
        let Some(source) = old else {
            return push(Action::CreateFile {
                content: new.to_vec(),
                executable: file.executable.unwrap_or(false),
            });
        };
        let form = whole::Form::of(file.verbatim.unwrap_or_default());
        let (edits, note) = whole::edits(before, new, form);
        let mut operation = Operation::new(path.clone(), Action::Splice(edits));
        operation.note = Some(note);
        operation.rewrites = form == whole::Form::OfFile;
        operations.push(operation);
        if let Some(executable) = file
            .executable
            .filter(|executable| *executable != source.executable())
        {
            let mode = Action::SetMode { executable };
            operations.push(Operation::new(path.clone(), mode));
        }
        for operation in operations
            .iter_mut()
            .rev()
            .take_while(|operation| operation.file == *path)
        {
            operation.base = Some(source.digest());
        }
    }
}
