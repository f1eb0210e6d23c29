//! Whole files: `[{"path": …, "content": …}]`, as the output of a phase.
//!
//! A file that does not exist is created. One that exists becomes the content by the smallest
//! edits, guarded by its hash.

use std::collections::BTreeSet;

use super::calls::{self, WholeFile};
use super::{Options, Unread, whole};
use crate::digest::Digest;
use crate::error::Refusal;
use crate::operation::{Action, Batch, Operation};
use crate::path::RelPath;
use crate::plan::omission;
use crate::plan::{Entry, Lowered, Script, Tree};

/// Parsed files.
pub(super) struct Files {
    files: Vec<WholeFile>,
    allow_omission: bool,
    content: Digest,
}

/// Reads files.
pub(super) fn parse(bytes: &[u8], options: &Options) -> Result<Files, Unread> {
    let files = calls::whole_files(bytes, options)?;
    Ok(Files {
        files,
        allow_omission: options.allow_omission,
        content: Digest::of(bytes),
    })
}

impl Script for Files {
    fn paths(&self) -> Vec<RelPath> {
        let paths: BTreeSet<&RelPath> = self.files.iter().map(|file| &file.path).collect();
        paths.into_iter().cloned().collect()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        let mut operations = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let before = operations.len();
            self.lower_file(file, tree, &mut operations);
            for operation in &mut operations[before..] {
                let notes = operation.reading.note.iter().chain(&file.notes);
                let notes: Vec<&str> = notes.map(String::as_str).collect();
                operation.reading.note = (!notes.is_empty()).then(|| notes.join("; "));
            }
        }
        Ok(Batch::new(operations, self.content).into())
    }
}

impl Files {
    fn lower_file(&self, file: &WholeFile, tree: &Tree, operations: &mut Vec<Operation>) {
        let path = &file.path;
        let mut push = |action: Action| operations.push(Operation::new(path.clone(), action));
        let old = match tree.get(path) {
            Entry::Refused(refusal) => return push(Action::Refused(refusal.clone().into())),
            Entry::Absent => None,
            Entry::File(source) => Some(source),
        };
        let new = file.content.as_bytes();
        let before = old.map(|source| source.bytes()).unwrap_or_default();
        if !self.allow_omission
            && let Err(refusal) = omission::check_new(path, new, before)
        {
            return push(Action::Refused(refusal.into()));
        }
        let Some(source) = old else {
            return push(Action::CreateFile {
                content: new.to_vec(),
                executable: file.executable.unwrap_or(false),
            });
        };
        let form = whole::Form::of(file.verbatim);
        let (edits, note) = whole::edits(before, new, form);
        let mut operation = Operation::new(path.clone(), Action::Splice(edits));
        operation.reading.note = Some(note);
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
