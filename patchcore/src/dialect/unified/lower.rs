//! A diff and a tree become operations.
//!
//! Renames, copies, creations and deletions speak of the tree before the diff, in whatever order
//! they come; a file that is changed in several sections is changed in their order. That is git's
//! reading.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::blob;
use super::hunks::{self, Placed};
use super::{HunkOptions, Kind, Section, Unified};
use crate::diff::blob_name;
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Refusal};
use crate::operation::{Action, Batch, Operation};
use crate::path::RelPath;
use crate::plan::{Entry, Holds, Obstacle, Source, Tree, parallel};
use crate::text::{Encoding, Text, detect_encoding};

/// Locates a diff in a tree.
pub(super) fn lower(diff: &Unified<'_>, tree: &Tree) -> Batch {
    let mut vacated = HashSet::new();
    let mut created = HashMap::new();
    for section in &diff.sections {
        match section.kind {
            Kind::Delete | Kind::Rename => {
                vacated.insert(&section.old);
            }
            Kind::Create => {
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
        ahead: Vec::new(),
        done: Vec::with_capacity(diff.sections.len()),
    };
    if diff.sections.len() >= MANY {
        lowering.ahead = parallel::map(&diff.sections, |section| ahead(diff, tree, section));
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
    }
    let operations = lowering
        .done
        .into_iter()
        .flat_map(|done| done.operations)
        .collect();
    Batch::new(operations, diff.content)
}

/// From this many sections on, hunks are placed on several threads before all else.
const MANY: usize = 16;

/// The operations of a section that changes a file as it stands.
fn ahead(diff: &Unified<'_>, tree: &Tree, section: &Section<'_>) -> Option<Vec<Operation>> {
    let is_plain = section.kind == Kind::Modify && section.binary.is_none();
    let source = tree
        .file(&section.old)
        .filter(|_| is_plain && section.other.is_none())?;
    Some(spliced(section, &section.old, source, diff.hunk_options))
}

/// Whether these are the bytes that stand at the path before the diff.
fn is_of(tree: &Tree, path: &RelPath, source: &Arc<Source>) -> bool {
    tree.file(path)
        .is_some_and(|there| Arc::ptr_eq(there, source))
}

/// One operation for each hunk.
fn spliced(
    section: &Section<'_>,
    path: &RelPath,
    source: &Source,
    options: HunkOptions,
) -> Vec<Operation> {
    let text = source.is_link() || is_text_to_git(source.bytes());
    hunks::place(source.text(), &section.hunks, path, options)
        .into_iter()
        .map(|placed| match placed {
            Ok(Placed { edits, note, .. }) => {
                let mut operation = on(source, path.clone(), Action::Splice(edits));
                operation.note = note;
                operation.binary = text;
                operation
            }
            Err(refusal) => Operation::new(path.clone(), Action::Refused(refusal)),
        })
        .collect()
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
    /// Paths that some section creates a file at, and whether that is a link.
    created: HashMap<&'d RelPath, bool>,
    standing: HashMap<&'d RelPath, Standing>,
    /// By section, the operations that it becomes if no earlier one has touched its file.
    ahead: Vec<Option<Vec<Operation>>>,
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
        let source = match self.found(section, path)? {
            None if section.kind == Kind::ModifyOrCreate => return self.create(section),
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
        self.standing.insert(path, Standing::From(self.done.len()));
        Ok(Done {
            operations,
            origin: Some(source),
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
            let splice = Action::Splice(merged.as_slice().to_vec());
            let mut operation = on(&origin, file.clone(), splice);
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
                _ if self.is_vacated(path) => false,
                Entry::Refused(refusal) => return Err((**refusal).clone()),
                // Git takes an empty file for none where the diff is not one of its own.
                Entry::File(_) => true,
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
        // Deleted and created anew is changed, for a file of one name and kind.
        let origin = self.tree.standing(path).cloned().filter(|source| {
            let mut sections = self.diff.sections.iter();
            let deleted = sections.any(|other| other.kind == Kind::Delete && other.old == *path);
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

    /// The target of a rename whose source is gone, if it is the very file that the rename was made
    /// of, by the name of its blob.
    fn renamed_already(&self, section: &Section<'_>) -> Option<Arc<Source>> {
        if self.standing.contains_key(&section.old)
            || self.standing.contains_key(&section.new)
            || self.created.contains_key(&section.old)
            || self.vacated.contains(&section.new)
            || !matches!(self.tree.get(&section.old), Entry::Absent)
        {
            return None;
        }
        let source = self.found(section, &section.new).ok()??;
        let (before, _) = section.index.as_ref()?;
        blob::is_named(source.bytes(), before).then_some(source)
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
                _ if self.is_vacated(path) => false,
                Entry::Refused(refusal) => return Err((**refusal).clone()),
                Entry::File(_) => true,
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

    /// Whether the patch takes away what stands at a path, or what is in the way there.
    fn is_vacated(&self, path: &RelPath) -> bool {
        match self.tree.obstacle(path) {
            None => self.vacated.contains(path),
            Some(Obstacle::File(above)) => self.vacated.contains(above),
            Some(Obstacle::Directory(Holds::Others)) => false,
            Some(Obstacle::Directory(Holds::Loaded)) => self
                .tree
                .below(path)
                .all(|gone| self.vacated.contains(gone)),
        }
    }

    /// What the section finds at a path, of the kind that it speaks of.
    fn found(&self, section: &Section<'_>, path: &RelPath) -> Result<Option<Arc<Source>>, Refusal> {
        match (self.tree.get(path), self.tree.link(path)) {
            (_, Some(link)) if section.takes_link() => Ok(Some(Arc::clone(link))),
            (Entry::File(_), _) if section.link == Some(true) => Err(self.refuse(
                section,
                Code::ExpectMismatch,
                format!("{path} is a regular file, and the patch takes it for a symbolic link"),
            )),
            (Entry::File(source), _) => Ok(Some(Arc::clone(source))),
            (Entry::Refused(refusal), _) => Err((**refusal).clone()),
            (Entry::Absent, _) => Ok(None),
        }
    }

    fn existing(&self, section: &Section<'_>, path: &RelPath) -> Result<Arc<Source>, Refusal> {
        self.found(section, path)?.ok_or_else(|| {
            self.refuse(
                section,
                Code::FileNotFound,
                format!("{path} does not exist"),
            )
        })
    }

    /// One operation for each hunk.
    fn edits(
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
            _ => spliced(section, path, source, self.diff.hunk_options),
        })
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
        for placed in hunks::place(
            Text::new(bytes),
            &section.hunks,
            path,
            self.diff.hunk_options,
        ) {
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
            null || blob_name(bytes, name.len())
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

/// An operation on what stands at a path, or comes from it.
fn on(source: &Source, path: RelPath, action: Action) -> Operation {
    let mut operation = Operation::new(path, action);
    operation.link = source.is_link();
    operation.binary = source.is_link();
    operation
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
