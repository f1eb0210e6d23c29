//! What the hunks or the binary patch of a section make of a file's bytes.

use std::cell::LazyCell;
use std::sync::Arc;

use super::super::super::{blob, minimal_edit};
use super::super::hunks::{self, Placed, Standing};
use super::super::{HunkOptions, Section, SectionKind, Unified};
use super::{Lowering, on};
use crate::diff::blob_name;
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Refusal};
use crate::locate::landed::{self, Landed};
use crate::operation::{Action, Operation, TextEdit};
use crate::path::RelPath;
use crate::plan::{Source, Tree};
use crate::text::{Encoding, Text, detect_encoding};

/// From this many sections on, hunks are placed on several threads before all else.
pub(super) const MANY: usize = 16;

/// The operations of a section that changes a file as it stands.
pub(super) fn ahead(
    diff: &Unified<'_>,
    tree: &Tree,
    section: &Section<'_>,
) -> Option<Vec<Operation>> {
    let is_plain = section.kind == SectionKind::Modify && section.binary.is_none();
    let source = tree
        .file(&section.old)
        .filter(|_| is_plain && section.other.is_none())?;
    Some(spliced(
        tree,
        section,
        &section.old,
        source,
        diff.hunk_options,
    ))
}

/// Whether these are the bytes that stand at the path before the diff.
fn is_of(tree: &Tree, path: &RelPath, source: &Arc<Source>) -> bool {
    tree.file(path)
        .is_some_and(|there| Arc::ptr_eq(there, source))
}

/// One operation for each hunk.
fn spliced(
    tree: &Tree,
    section: &Section<'_>,
    path: &RelPath,
    source: &Source,
    options: HunkOptions,
) -> Vec<Operation> {
    let options = section.options(options);
    let text = source.is_link() || is_text_to_git(source.bytes());
    let mut placed = hunks::place(source.text(), section, path, options);
    let doubts = already(tree, source.bytes(), section, path, &mut placed);
    // Whether the diff was made for another state of the file.
    let is_other = LazyCell::new(|| {
        let index = section.index.as_ref();
        index.is_some_and(|(old, _)| blob::is_name(old) && !blob::is_named(source.bytes(), old))
    });
    let older = |index: usize| {
        let hunk = section.hunks.get(index)?;
        hunks::older(hunk, section.index.as_ref(), options).map(Box::new)
    };
    let placed = placed.into_iter().enumerate();
    let operations = placed.map(|(index, placed)| match placed {
        Ok(Placed {
            edits,
            note,
            matched,
            exact,
            ..
        }) => {
            let mut operation = on(source, path.clone(), Action::Splice(edits));
            operation.reading.say(note);
            operation.matched = matched;
            operation.binary = text;
            if exact && *is_other {
                operation.reading.older = older(index);
            }
            operation
        }
        Err(refusal) => {
            let mut operation = on(source, path.clone(), Action::Refused(refusal));
            operation.binary = text;
            if let Some(older) = older(index) {
                operation.reading.older = Some(older);
            }
            operation
        }
    });
    let mut operations: Vec<Operation> = operations.collect();
    for (operation, doubt) in operations.iter_mut().zip(doubts) {
        operation.reading.doubt = Some(Box::new(doubt));
    }
    operations
}

/// Takes hunks that have no place for landed where all of the section stand in the file already.
/// The edits of those of which only the log can tell come back.
fn already(
    tree: &Tree,
    bytes: &[u8],
    section: &Section<'_>,
    path: &RelPath,
    placed: &mut [Result<Placed, Box<Refusal>>],
) -> Vec<TextEdit> {
    if placed.iter().all(Result::is_ok) {
        return Vec::new();
    }
    let Some(standing) = hunks::landed(bytes, section) else {
        return Vec::new();
    };
    let shown = |edit: &TextEdit| tree.has_landed(path, edit);
    let line = |Standing { landed, edit }: &Standing| match landed {
        Landed::Yes(place) => Some(place.line),
        Landed::Maybe(place) if shown(edit) => Some(place.line),
        _ => None,
    };
    let lines: Option<Vec<_>> = standing.iter().map(line).collect();
    match lines {
        Some(lines) => {
            for (placed, line) in placed.iter_mut().zip(lines) {
                *placed = Ok(Placed::already(line));
            }
            Vec::new()
        }
        None => {
            for (placed, Standing { landed, .. }) in placed.iter_mut().zip(&standing) {
                if let Err(refusal) = placed {
                    **refusal = landed::mention((**refusal).clone(), landed);
                }
            }
            standing.into_iter().map(|standing| standing.edit).collect()
        }
    }
}

impl Lowering<'_, '_> {
    /// One operation for each hunk.
    pub(super) fn edits(
        &mut self,
        section: &Section<'_>,
        path: &RelPath,
        source: &Arc<Source>,
    ) -> Result<Vec<Operation>, Refusal> {
        if section.binary.is_some() {
            let content = self.unpacked(section, path, source.bytes())?;
            let splice = replacement(source.bytes(), &content);
            let mut operation = on(source, path.clone(), splice);
            operation.binary = true;
            return Ok(vec![operation]);
        }
        let ahead = self.ahead.get_mut(self.done.len()).and_then(Option::take);
        Ok(match ahead {
            Some(operations) if is_of(self.tree, path, source) => operations,
            _ => spliced(self.tree, section, path, source, self.diff.hunk_options),
        })
    }

    /// The edits of all hunks, or the refusal of the first that has no place.
    pub(super) fn all_edits(
        &self,
        section: &Section<'_>,
        path: &RelPath,
        bytes: &[u8],
    ) -> Result<(Vec<Edit>, Option<String>), Refusal> {
        if section.binary.is_some() {
            let content = self.unpacked(section, path, bytes)?;
            let Action::Splice(edits) = replacement(bytes, &content) else {
                return Ok((Vec::new(), None));
            };
            return Ok((edits, None));
        }
        let mut edits = Vec::new();
        let mut notes = Vec::new();
        let options = section.options(self.diff.hunk_options);
        let mut placed = hunks::place(Text::new(bytes), section, path, options);
        already(self.tree, bytes, section, path, &mut placed);
        for placed in placed {
            let placed = placed.map_err(|refusal| *refusal)?;
            edits.extend(placed.edits);
            notes.extend(placed.note);
        }
        Ok((edits, (!notes.is_empty()).then(|| notes.join("; "))))
    }

    /// What the section makes of bytes.
    pub(super) fn content(
        &self,
        section: &Section<'_>,
        path: &RelPath,
        bytes: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let (edits, _) = self.all_edits(section, path, bytes)?;
        let set = edit_set(edits, bytes.len()).map_err(|()| self.overlap(section, path))?;
        Ok(set.apply(bytes))
    }

    /// The bytes that an earlier section made; `None` where it was refused.
    pub(super) fn made(&self, index: usize) -> Option<Vec<u8>> {
        let done = &self.done[index];
        if done
            .operations
            .iter()
            .any(|o| matches!(o.action, Action::Refused(_)))
        {
            return None;
        }
        for operation in &done.operations {
            if let Action::CreateFile { content, .. } = &operation.action {
                return Some(content.clone());
            }
        }
        let origin = done.origin.as_ref()?;
        let set = edit_set(splices(&done.operations), origin.bytes().len()).ok()?;
        Some(set.apply(origin.bytes()))
    }

    /// Unpacks a binary patch and checks both ends of it.
    fn unpacked(
        &self,
        section: &Section<'_>,
        path: &RelPath,
        old: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        let refuse = |code: Code, why: String| {
            self.refuse(
                section,
                code,
                format!("the binary patch of {path} cannot be applied: {why}"),
            )
        };
        let binary = section.binary.as_ref().expect("the caller saw it");
        let Some(hunk) = &binary.forward else {
            return Err(refuse(
                Code::InvalidBatch,
                "it has no data for this direction; make it with git diff --binary".into(),
            ));
        };
        let full =
            |name: &[u8]| matches!(name.len(), 40 | 64) && name.iter().all(u8::is_ascii_hexdigit);
        let Some((old_name, new_name)) = section
            .index
            .as_ref()
            .filter(|(old, new)| full(old) && full(new))
        else {
            return Err(refuse(Code::InvalidBatch, "its index line has no full blob names; make it with git diff --binary --full-index".into()));
        };
        let is = |bytes: &[u8], name: &[u8]| {
            let null = bytes.is_empty() && name.iter().all(|digit| *digit == b'0');
            null || blob_name(bytes, name.len())
                .is_some_and(|made| made.as_bytes().eq_ignore_ascii_case(name))
        };
        if !is(old, old_name) {
            return Err(refuse(
                Code::BaseMismatch,
                "the file is not the one that it was made for".into(),
            ));
        }
        let new = blob::apply(hunk, old, &self.unpacked).map_err(|fault| match fault {
            blob::Fault::Malformed(why) => refuse(Code::InvalidBatch, why.into()),
            blob::Fault::TooLarge(why) => refuse(Code::LimitExceeded, why.into()),
        })?;
        if !is(&new, new_name) {
            return Err(refuse(
                Code::InvalidBatch,
                "the result is not what its index line says".into(),
            ));
        }
        Ok(new)
    }
}

/// Whether git makes hunks of the file although it may hold NUL bytes: it looks for them among its
/// first 8,000 bytes alone. Hunks that match to the byte are no danger to such a file.
fn is_text_to_git(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(8000)];
    detect_encoding(head) == Encoding::Text
}

/// All splices among the operations, as edits of one text.
pub(super) fn splices(operations: &[Operation]) -> Vec<Edit> {
    operations
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Splice(edits) => Some(edits.clone()),
            _ => None,
        })
        .flatten()
        .collect()
}

pub(super) fn edit_set(edits: Vec<Edit>, len: usize) -> Result<EditSet, ()> {
    EditSet::new(edits, len).map_err(|_| ())
}

/// The smallest single edit that turns the old bytes into the new ones.
pub(super) fn replacement(old: &[u8], new: &[u8]) -> Action {
    Action::Splice(minimal_edit(old, new).into_iter().collect())
}
