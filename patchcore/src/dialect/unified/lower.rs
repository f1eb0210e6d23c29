//! A diff and a tree become operations.
//!
//! Renames, copies, creations and deletions speak of the tree before the diff, in whatever order
//! they come; a file that is changed in several sections is changed in their order. That is git's
//! reading.

mod content;
mod standing;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::blob;
use super::{Section, SectionKind, Unified};
use crate::edit::EditSet;
use crate::error::{Code, Refusal};
use crate::operation::{Action, Batch, Operation};
use crate::path::RelPath;
use crate::plan::{Entry, Source, Tree, Work};
use crate::threads;

use content::{MANY, ahead, edit_set, replacement, splices};
use standing::Standing;

/// Locates a diff in a tree.
pub(super) fn lower(diff: &Unified<'_>, tree: &Tree) -> Batch {
    let mut vacated = HashSet::new();
    let mut created = HashMap::new();
    for section in &diff.sections {
        match section.kind {
            SectionKind::Delete | SectionKind::Rename => {
                vacated.insert(&section.old);
            }
            SectionKind::Create => {
                created.insert(&section.new, section.takes_link());
            }
            _ => {}
        }
    }
    let mut lowering = Lowering {
        diff,
        tree,
        vacated,
        created,
        standing: HashMap::new(),
        unpacked: blob::Unpacked::default(),
        ahead: Vec::new(),
        done: Vec::with_capacity(diff.sections.len()),
        work: Work::default(),
    };
    if diff.sections.len() >= MANY {
        lowering.ahead = threads::map(&diff.sections, |section| ahead(diff, tree, section));
    }
    for section in &diff.sections {
        let done = lowering.section(section).unwrap_or_else(|refusal| Done {
            operations: vec![Operation::new(
                section.old.clone(),
                Action::Refused(Box::new(refusal)),
            )],
            origin: None,
        });
        lowering.done.push(done);
        lowering.remark(section);
    }
    let operations = lowering
        .done
        .into_iter()
        .flat_map(|done| done.operations)
        .collect();
    Batch::new(operations, diff.content)
}

/// What a section became.
struct Done {
    operations: Vec<Operation>,
    /// The file whose bytes the splices among the operations are edits of.
    origin: Option<Arc<Source>>,
}

struct Lowering<'d, 't> {
    diff: &'d Unified<'d>,
    tree: &'t Tree,
    /// Paths that some section deletes or renames away.
    vacated: HashSet<&'d RelPath>,
    /// Paths that some section creates a file at, and whether that is a link.
    created: HashMap<&'d RelPath, bool>,
    standing: HashMap<&'d RelPath, Standing>,
    /// What binary patches have unpacked to.
    unpacked: blob::Unpacked,
    /// By section, the operations that it becomes if no earlier one has touched its file.
    ahead: Vec<Option<Vec<Operation>>>,
    done: Vec<Done>,
    /// What sections took that change a file once more.
    work: Work,
}

impl<'d> Lowering<'d, '_> {
    /// Says how a section was read on the operation that it became, or the one that it is part of.
    fn remark(&mut self, section: &Section<'_>) {
        let encoded = section.has_old_lines_beyond_utf8();
        let proven = section.binary.is_some();
        if section.quoted || encoded || proven {
            for operation in self.made_of(section) {
                operation.exact_name |= section.quoted;
                operation.encoded |= encoded;
                operation.proven |= proven;
            }
        }
        if section.remarks.is_empty() {
            return;
        }
        let text = section.remarks.join("; ");
        let is_at = |operation: &&mut Operation| {
            operation.file == section.old || operation.file == section.new
        };
        let mut operations = self
            .done
            .iter_mut()
            .rev()
            .flat_map(|done| &mut done.operations);
        if let Some(operation) = operations.find(is_at) {
            operation.add_note(text);
        }
    }

    /// The operations of the last section, and of those before it that its files come from.
    fn made_of(&mut self, section: &Section<'_>) -> impl Iterator<Item = &mut Operation> {
        let standing = |path| match self.standing.get(path) {
            Some(Standing::From(index)) => Some(*index),
            Some(Standing::Gone) | None => None,
        };
        let indices = [
            standing(&section.old),
            standing(&section.new),
            self.done.len().checked_sub(1),
        ];
        let first = indices.into_iter().flatten().min().unwrap_or_default();
        let done = self.done[first..].iter_mut().enumerate();
        let done = done.filter(move |(at, _)| indices.contains(&Some(first + at)));
        let operations = done.flat_map(|(_, done)| &mut done.operations);
        operations.filter(|o| o.file == section.old || o.file == section.new)
    }

    fn section(&mut self, section: &'d Section<'d>) -> Result<Done, Refusal> {
        match section.kind {
            SectionKind::Modify | SectionKind::ModifyOrCreate => self.modify(section),
            SectionKind::Create => self.create(section),
            SectionKind::Delete => self.delete(section),
            SectionKind::Rename => self.rename(section),
            SectionKind::Copy => self.copy(section),
        }
    }

    fn modify(&mut self, section: &'d Section<'d>) -> Result<Done, Refusal> {
        let mut path = &section.old;
        if let Some(other) = &section.other
            && matches!(self.tree.get(path), Entry::Absent)
            && !self.standing.contains_key(path)
            && !matches!(self.tree.get(other), Entry::Absent)
        {
            path = other;
        }
        match self.standing.get(path) {
            Some(Standing::Gone) => {
                return Err(self.refuse(
                    section,
                    Code::FileNotFound,
                    format!("{path} is deleted or renamed earlier in the patch"),
                ));
            }
            Some(Standing::From(earlier)) => return self.again(section, path, *earlier),
            None => {}
        }
        let source = match self.found(section, path)? {
            None if section.kind == SectionKind::ModifyOrCreate => return self.create(section),
            None => {
                return Err(self.refuse(
                    section,
                    Code::FileNotFound,
                    format!("{path} does not exist"),
                ));
            }
            Some(source) => source,
        };
        let mut operations = self.edits(section, path, &source)?;
        self.mode(section, path, &source, &mut operations);
        if let (Some(note), Some(first)) = (two_names(section, path), operations.first_mut()) {
            first.add_note(note);
        }
        self.standing.insert(path, Standing::From(self.done.len()));
        Ok(Done {
            operations,
            origin: Some(source),
        })
    }

    /// How often a text is read, as fast as it is copied, to change it once more.
    const PASSES: usize = 2;

    /// Changes what an earlier section made of the file.
    fn again(
        &mut self,
        section: &'d Section<'d>,
        path: &'d RelPath,
        earlier: usize,
    ) -> Result<Done, Refusal> {
        let index = earlier;
        let said = |done: &Done| -> usize {
            let notes = done.operations.iter();
            let notes = notes.filter_map(|operation| operation.reading.note.as_ref());
            notes.map(String::len).sum()
        };
        let done = &self.done[index];
        let length = done.origin.as_ref().map_or(0, |it| it.bytes().len()) + said(done);
        self.work
            .spend(length * Self::PASSES, self.done.len(), path)?;
        let made = self.made(index);
        let Some(made) = made else {
            // The earlier section was refused; so is what builds on it.
            return Err(self.refuse(
                section,
                Code::FileNotFound,
                format!("an earlier change of {path} in the patch is refused"),
            ));
        };
        let (edits, note) = self.all_edits(section, path, &made)?;
        let later = edit_set(edits, made.len()).map_err(|()| self.overlap(section, path))?;
        let done = &mut self.done[index];
        let is_create = done
            .operations
            .iter()
            .any(|o| matches!(o.action, Action::CreateFile { .. }));
        if is_create {
            for operation in &mut done.operations {
                if let Action::CreateFile {
                    content,
                    executable,
                } = &mut operation.action
                {
                    *content = later.apply(content);
                    *executable = section.executable.unwrap_or(*executable);
                    note.clone()
                        .into_iter()
                        .for_each(|note| operation.add_note(note));
                }
            }
        } else {
            self.merge(section, path, index, &later, note)?;
        }
        Ok(Done {
            operations: Vec::new(),
            origin: None,
        })
    }

    /// Makes one change of an earlier section's and what a later one does to its outcome.
    fn merge(
        &mut self,
        section: &'d Section<'d>,
        path: &'d RelPath,
        index: usize,
        later: &EditSet,
        note: Option<String>,
    ) -> Result<(), Refusal> {
        const SEVERAL: &str = "several sections of the patch change the file";
        let done = &self.done[index];
        let origin = Arc::clone(done.origin.as_ref().expect("a changed file has an origin"));
        let first = splices(&done.operations);
        let first =
            edit_set(first, origin.bytes().len()).map_err(|()| self.overlap(section, path))?;
        let merged = first.compose(later);
        let done = &mut self.done[index];
        let file = done
            .operations
            .first()
            .map_or_else(|| path.clone(), |o| o.file.clone());
        let mut said = Vec::new();
        done.operations.retain(|operation| {
            let is_splice = matches!(operation.action, Action::Splice(_));
            said.extend(operation.reading.note.clone().filter(|_| is_splice));
            !is_splice
        });
        said.extend(note);
        if !said.iter().any(|said| said.contains(SEVERAL)) {
            said.insert(0, SEVERAL.to_owned());
        }
        let splice = Action::Splice(merged.as_slice().to_vec());
        let mut operation = on(&origin, file.clone(), splice);
        operation.reading.note = Some(said.join("; "));
        done.operations.insert(0, operation);
        if let Some(executable) = section.executable {
            done.operations
                .retain(|o| !matches!(o.action, Action::SetMode { .. }));
            if executable != origin.executable() {
                done.operations
                    .push(Operation::new(file, Action::SetMode { executable }));
            }
        }
        Ok(())
    }

    fn create(&mut self, section: &'d Section<'d>) -> Result<Done, Refusal> {
        let path = &section.new;
        if self.is_taken(path)? {
            return Err(self.refuse(
                section,
                Code::FileExists,
                format!("{path} exists already, and the patch creates it"),
            ));
        }
        let content = self.content(section, path, &[])?;
        let executable = section.executable.unwrap_or(false);
        // Deleted and created anew is changed, for a file of one name and kind.
        let origin = self.tree.standing(path).cloned().filter(|source| {
            let mut sections = self.diff.sections.iter();
            let deleted =
                sections.any(|other| other.kind == SectionKind::Delete && other.old == *path);
            deleted && source.is_link() == section.takes_link()
        });
        let operations = match &origin {
            Some(source) => {
                let splice = replacement(source.bytes(), &content);
                let mut operations = vec![on(source, path.clone(), splice)];
                if executable != source.executable() {
                    operations.push(Operation::new(path.clone(), Action::SetMode { executable }));
                }
                operations
            }
            None => {
                let action = Action::CreateFile {
                    content,
                    executable,
                };
                let mut operation = Operation::new(path.clone(), action);
                operation.link = section.takes_link();
                vec![operation]
            }
        };
        self.standing.insert(path, Standing::From(self.done.len()));
        Ok(Done { operations, origin })
    }

    fn delete(&mut self, section: &'d Section<'d>) -> Result<Done, Refusal> {
        let path = &section.old;
        match self.standing.get(path) {
            Some(Standing::Gone) => {
                return Err(self.refuse(
                    section,
                    Code::FileNotFound,
                    format!("{path} is deleted or renamed earlier in the patch"),
                ));
            }
            Some(Standing::From(_)) if !self.created.contains_key(path) => {
                return Err(self.refuse(
                    section,
                    Code::Overlap,
                    format!("{path} is changed and deleted in one patch"),
                ));
            }
            _ => {}
        }
        let source = self.existing(section, path)?;
        let left = self.content(section, path, source.bytes())?;
        if !left.is_empty() {
            return Err(self.refuse(
                section,
                Code::ExpectMismatch,
                format!("the patch deletes {path}, but the file holds more than the patch takes out of it"),
            ));
        }
        match self.created.get(path) {
            Some(&link) if link == source.is_link() => {
                return Ok(Done {
                    operations: Vec::new(),
                    origin: None,
                });
            }
            Some(_) => {}
            None => {
                self.standing.insert(path, Standing::Gone);
            }
        }
        let mut operation = on(&source, path.clone(), Action::DeleteFile { expect: None });
        operation.base = Some(source.digest());
        Ok(Done {
            operations: vec![operation],
            origin: None,
        })
    }

    fn rename(&mut self, section: &'d Section<'d>) -> Result<Done, Refusal> {
        if let Some(source) = self.renamed_already(section) {
            let path = &section.new;
            let mut operations = self.edits(section, path, &source)?;
            self.mode(section, path, &source, &mut operations);
            if let Some(first) = operations.first_mut() {
                first
                    .reading
                    .note
                    .get_or_insert_with(|| format!("{} is renamed already", section.old));
            }
            self.standing.insert(path, Standing::From(self.done.len()));
            return Ok(Done {
                operations,
                origin: Some(source),
            });
        }
        let source = self.existing(section, &section.old)?;
        if self.standing.contains_key(&section.old)
            && !self.created.contains_key(&section.old)
            && !matches!(self.standing.get(&section.old), Some(Standing::From(by)) if self.diff.sections[*by].new == section.old && self.diff.sections[*by].kind == SectionKind::Rename)
        {
            return Err(self.refuse(
                section,
                Code::Overlap,
                format!(
                    "{} is changed and renamed in two sections of the patch",
                    section.old
                ),
            ));
        }
        self.free(section)?;
        let mut operations = self.edits(section, &section.old, &source)?;
        self.mode(section, &section.old, &source, &mut operations);
        let rename = Action::RenameFile {
            to: section.new.clone(),
        };
        operations.push(on(&source, section.old.clone(), rename));
        if !self.standing.contains_key(&section.old) {
            self.standing.insert(&section.old, Standing::Gone);
        }
        self.standing
            .insert(&section.new, Standing::From(self.done.len()));
        Ok(Done {
            operations,
            origin: Some(source),
        })
    }

    fn copy(&mut self, section: &'d Section<'d>) -> Result<Done, Refusal> {
        let source = self.existing(section, &section.old)?;
        self.free(section)?;
        self.standing
            .insert(&section.new, Standing::From(self.done.len()));
        let executable = section.executable.unwrap_or(source.executable());
        let pure = section.hunks.is_empty()
            && section.binary.is_none()
            && executable == source.executable();
        let operation = if pure && !self.changed_again(&section.new) {
            let copy = Action::CopyFile {
                to: section.new.clone(),
            };
            on(&source, section.old.clone(), copy)
        } else {
            let content = self.content(section, &section.old, source.bytes())?;
            let create = Action::CreateFile {
                content,
                executable,
            };
            on(&source, section.new.clone(), create)
        };
        Ok(Done {
            operations: vec![operation],
            origin: None,
        })
    }

    fn mode(
        &self,
        section: &Section<'_>,
        path: &RelPath,
        source: &Source,
        operations: &mut Vec<Operation>,
    ) {
        if let Some(executable) = section.executable
            && (executable != source.executable()
                || operations.is_empty() && section.kind != SectionKind::Rename)
        {
            operations.push(Operation::new(path.clone(), Action::SetMode { executable }));
        }
    }

    fn overlap(&self, section: &Section<'_>, path: &RelPath) -> Refusal {
        self.refuse(
            section,
            Code::Overlap,
            format!("two hunks change the same lines of {path}"),
        )
    }

    fn refuse(&self, section: &Section<'_>, code: Code, message: String) -> Refusal {
        let mut message = message;
        message.push_str(&format!(" (line {} of the patch)", section.line));
        Refusal::new(code, message).in_file(&section.old)
    }
}

/// What to say of a plain diff whose names are those of two files, of which one is changed: it may
/// have been renamed, which only git's headers say. `file.orig` and `file` are one.
fn two_names(section: &Section<'_>, path: &RelPath) -> Option<String> {
    let other = section.other.as_ref()?;
    let last = |path: &'_ RelPath| {
        path.as_bytes()
            .rsplit(|byte| *byte == b'/')
            .next()
            .map(<[u8]>::to_vec)
    };
    let (this, that) = (last(&section.old)?, last(other)?);
    let are_two = !this.starts_with(&that) && !that.starts_with(&this);
    are_two.then(|| {
        let name = if path == other { &section.old } else { other };
        format!("the patch calls the file {name}, too; it is changed and not renamed")
    })
}

/// An operation on what stands at a path, or comes from it.
fn on(source: &Source, path: RelPath, action: Action) -> Operation {
    let mut operation = Operation::new(path, action);
    operation.link = source.is_link();
    operation.binary = source.is_link();
    operation
}
