//! A diff and a tree become operations.
//!
//! Renames, copies, creations and deletions speak of the tree before the diff, in whatever order
//! they come; a file that is changed in several sections is changed in their order. That is git's
//! reading.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::blob;
use super::hunks::{self, Placed};
use super::{Kind, Section, Unified};
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Refusal};
use crate::operation::{Action, Batch, Operation};
use crate::path::RelPath;
use crate::plan::{Entry, Source, Tree};
use crate::text::{Encoding, detect_encoding};

/// Locates a diff in a tree.
pub(super) fn lower(diff: &Unified<'_>, tree: &Tree) -> Batch {
    let mut vacated = HashSet::new();
    let mut created = HashSet::new();
    for section in &diff.sections {
        match section.kind {
            Kind::Delete | Kind::Rename => {
                vacated.insert(&section.old);
            }
            Kind::Create => {
                created.insert(&section.new);
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
        done: Vec::with_capacity(diff.sections.len()),
    };
    for section in &diff.sections {
        let done = lowering.section(section).unwrap_or_else(|refusal| Done {
            operations: vec![Operation::new(
                section.old.clone(),
                Action::Refused(Box::new(refusal)),
            )],
            origin: None,
        });
        lowering.done.push(done);
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

/// What an earlier section left at a path.
#[derive(Clone, Copy)]
enum Standing {
    /// The result of that section.
    From(usize),
    /// Nothing.
    Gone,
}

struct Lowering<'d, 't> {
    diff: &'d Unified<'d>,
    tree: &'t Tree,
    /// Paths that some section deletes or renames away.
    vacated: HashSet<&'d RelPath>,
    created: HashSet<&'d RelPath>,
    standing: HashMap<&'d RelPath, Standing>,
    done: Vec<Done>,
}

impl<'d> Lowering<'d, '_> {
    fn section(&mut self, section: &'d Section<'d>) -> Result<Done, Refusal> {
        match section.kind {
            Kind::Modify | Kind::ModifyOrCreate => self.modify(section),
            Kind::Create => self.create(section),
            Kind::Delete => self.delete(section),
            Kind::Rename => self.rename(section),
            Kind::Copy => self.copy(section),
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
        let source = match self.tree.get(path) {
            Entry::Absent if section.kind == Kind::ModifyOrCreate => return self.create(section),
            Entry::Absent => {
                return Err(self.refuse(
                    section,
                    Code::FileNotFound,
                    format!("{path} does not exist"),
                ));
            }
            Entry::Refused(refusal) => return Err((**refusal).clone()),
            Entry::File(source) => source,
        };
        let mut operations = self.edits(section, path, source)?;
        self.mode(section, path, source, &mut operations);
        self.standing.insert(path, Standing::From(self.done.len()));
        Ok(Done {
            operations,
            origin: Some(Arc::clone(source)),
        })
    }

    /// Changes what an earlier section made of the file.
    fn again(
        &mut self,
        section: &'d Section<'d>,
        path: &'d RelPath,
        earlier: usize,
    ) -> Result<Done, Refusal> {
        let index = earlier;
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
                }
            }
        } else {
            let origin = Arc::clone(done.origin.as_ref().expect("a changed file has an origin"));
            let first = splices(&done.operations);
            let first =
                edit_set(first, origin.bytes().len()).map_err(|()| self.overlap(section, path))?;
            let merged = first.compose(&later);
            let done = &mut self.done[index];
            let file = done
                .operations
                .first()
                .map_or_else(|| path.clone(), |o| o.file.clone());
            done.operations
                .retain(|o| !matches!(o.action, Action::Splice(_)));
            let mut operation =
                Operation::new(file.clone(), Action::Splice(merged.as_slice().to_vec()));
            operation.note = Some("several sections of the patch change the file".into());
            done.operations.insert(0, operation);
            if let Some(executable) = section.executable {
                done.operations
                    .retain(|o| !matches!(o.action, Action::SetMode { .. }));
                if executable != origin.executable() {
                    done.operations
                        .push(Operation::new(file, Action::SetMode { executable }));
                }
            }
        }
        let _ = note;
        Ok(Done {
            operations: Vec::new(),
            origin: None,
        })
    }

    fn create(&mut self, section: &'d Section<'d>) -> Result<Done, Refusal> {
        let path = &section.new;
        let exists = match self.standing.get(path) {
            Some(Standing::From(_)) => true,
            Some(Standing::Gone) => false,
            None => match self.tree.get(path) {
                Entry::Absent => false,
                Entry::Refused(refusal) => return Err((**refusal).clone()),
                // Git takes an empty file for none where the diff is not one of its own.
                Entry::File(_) => !self.vacated.contains(path),
            },
        };
        if exists {
            return Err(self.refuse(
                section,
                Code::FileExists,
                format!("{path} exists already, and the patch creates it"),
            ));
        }
        let content = self.content(section, path, &[])?;
        let executable = section.executable.unwrap_or(false);
        // Deleted and created anew is changed, for a file of one name.
        let deleted = |kind: Kind| kind == Kind::Delete;
        let replaces = self
            .diff
            .sections
            .iter()
            .any(|other| deleted(other.kind) && other.old == *path);
        let operations = match self.tree.file(path) {
            Some(source) if replaces => {
                let mut operations = vec![Operation::new(
                    path.clone(),
                    replacement(source.bytes(), &content),
                )];
                if executable != source.executable() {
                    operations.push(Operation::new(path.clone(), Action::SetMode { executable }));
                }
                operations
            }
            _ => vec![Operation::new(
                path.clone(),
                Action::CreateFile {
                    content,
                    executable,
                },
            )],
        };
        let origin = if replaces {
            self.tree.file(path).cloned()
        } else {
            None
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
            Some(Standing::From(_)) if !self.created.contains(path) => {
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
        if self.created.contains(path) {
            return Ok(Done {
                operations: Vec::new(),
                origin: None,
            });
        }
        self.standing.insert(path, Standing::Gone);
        let mut operation = Operation::new(path.clone(), Action::DeleteFile { expect: None });
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
            && !self.created.contains(&section.old)
            && !matches!(self.standing.get(&section.old), Some(Standing::From(by)) if self.diff.sections[*by].new == section.old && self.diff.sections[*by].kind == Kind::Rename)
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
        operations.push(Operation::new(
            section.old.clone(),
            Action::RenameFile {
                to: section.new.clone(),
            },
        ));
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
            Operation::new(
                section.old.clone(),
                Action::CopyFile {
                    to: section.new.clone(),
                },
            )
        } else {
            let content = self.content(section, &section.old, source.bytes())?;
            Operation::new(
                section.new.clone(),
                Action::CreateFile {
                    content,
                    executable,
                },
            )
        };
        Ok(Done {
            operations: vec![operation],
            origin: None,
        })
    }

    /// The target of a rename whose source is gone, if it is the very file that the rename was made
    /// of, by the name of its blob.
    fn renamed_already(&self, section: &Section<'_>) -> Option<Arc<Source>> {
        if self.standing.contains_key(&section.old)
            || self.standing.contains_key(&section.new)
            || self.created.contains(&section.old)
            || !matches!(self.tree.get(&section.old), Entry::Absent)
        {
            return None;
        }
        let source = self.tree.file(&section.new)?;
        let (before, _) = section.index.as_ref()?;
        blob::is_named(source.bytes(), before).then(|| Arc::clone(source))
    }

    /// Whether a section changes the path in place.
    fn changed_again(&self, path: &RelPath) -> bool {
        let in_place = |kind| matches!(kind, Kind::Modify | Kind::ModifyOrCreate);
        self.diff
            .sections
            .iter()
            .any(|section| in_place(section.kind) && section.old == *path)
    }

    /// The target of a rename or copy has to be free.
    fn free(&self, section: &Section<'_>) -> Result<(), Refusal> {
        let path = &section.new;
        let taken = match self.standing.get(path) {
            Some(Standing::From(_)) => true,
            Some(Standing::Gone) => false,
            None => match self.tree.get(path) {
                Entry::Absent => false,
                Entry::Refused(refusal) => return Err((**refusal).clone()),
                Entry::File(_) => !self.vacated.contains(path),
            },
        };
        if taken && section.old != section.new {
            return Err(self.refuse(
                section,
                Code::FileExists,
                format!(
                    "{path} exists already, and the patch makes it of {}",
                    section.old
                ),
            ));
        }
        Ok(())
    }

    fn existing(&self, section: &Section<'_>, path: &RelPath) -> Result<Arc<Source>, Refusal> {
        match self.tree.get(path) {
            Entry::Absent => Err(self.refuse(
                section,
                Code::FileNotFound,
                format!("{path} does not exist"),
            )),
            Entry::Refused(refusal) => Err((**refusal).clone()),
            Entry::File(source) => Ok(Arc::clone(source)),
        }
    }

    /// One operation for each hunk.
    fn edits(
        &self,
        section: &Section<'_>,
        path: &RelPath,
        source: &Source,
    ) -> Result<Vec<Operation>, Refusal> {
        if section.binary.is_some() {
            let content = self.unpacked(section, path, source.bytes())?;
            let mut operation = Operation::new(path.clone(), replacement(source.bytes(), &content));
            operation.binary = true;
            return Ok(vec![operation]);
        }
        let text = is_text_to_git(source.bytes());
        let placed = hunks::place(source.bytes(), &section.hunks, path, self.diff.hunk_options);
        Ok(placed
            .into_iter()
            .map(|placed| match placed {
                Ok(Placed { edits, note, .. }) => {
                    let mut operation = Operation::new(path.clone(), Action::Splice(edits));
                    operation.note = note;
                    operation.binary = text;
                    operation
                }
                Err(refusal) => Operation::new(path.clone(), Action::Refused(refusal)),
            })
            .collect())
    }

    /// The edits of all hunks, or the refusal of the first that has no place.
    fn all_edits(
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
        let mut note = None;
        for placed in hunks::place(bytes, &section.hunks, path, self.diff.hunk_options) {
            let placed = placed.map_err(|refusal| *refusal)?;
            edits.extend(placed.edits);
            note = note.or(placed.note);
        }
        Ok((edits, note))
    }

    /// What the section makes of bytes.
    fn content(
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
    fn made(&self, index: usize) -> Option<Vec<u8>> {
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

    fn mode(
        &self,
        section: &Section<'_>,
        path: &RelPath,
        source: &Source,
        operations: &mut Vec<Operation>,
    ) {
        if let Some(executable) = section.executable
            && (executable != source.executable()
                || operations.is_empty() && section.kind != Kind::Rename)
        {
            operations.push(Operation::new(path.clone(), Action::SetMode { executable }));
        }
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
            null || blob::name(bytes, name.len())
                .is_some_and(|made| made.as_bytes().eq_ignore_ascii_case(name))
        };
        if !is(old, old_name) {
            return Err(refuse(
                Code::BaseMismatch,
                "the file is not the one that it was made for".into(),
            ));
        }
        let new = blob::apply(hunk, old).map_err(|why| refuse(Code::InvalidBatch, why.into()))?;
        if !is(&new, new_name) {
            return Err(refuse(
                Code::InvalidBatch,
                "the result is not what its index line says".into(),
            ));
        }
        Ok(new)
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

/// Whether git makes hunks of the file although it may hold NUL bytes: it looks for them among its
/// first 8,000 bytes alone. Hunks that match to the byte are no danger to such a file.
fn is_text_to_git(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(8000)];
    detect_encoding(head) == Encoding::Text
}

/// All splices among the operations, as edits of one text.
fn splices(operations: &[Operation]) -> Vec<Edit> {
    operations
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Splice(edits) => Some(edits.clone()),
            _ => None,
        })
        .flatten()
        .collect()
}

fn edit_set(edits: Vec<Edit>, len: usize) -> Result<EditSet, ()> {
    EditSet::new(edits, len).map_err(|_| ())
}

/// The smallest single edit that turns the old bytes into the new ones.
pub(super) fn replacement(old: &[u8], new: &[u8]) -> Action {
    Action::Splice(super::super::minimal_edit(old, new).into_iter().collect())
}
