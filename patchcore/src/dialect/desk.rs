//! Operations in the making, beside the tree that they lead to.

use std::sync::Arc;

use super::whole;
use crate::bytes;
use crate::digest::Digest;
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Refusal};
use crate::locate::fold;
use crate::locate::landed::{self, Landed};
use crate::operation::{Action, Allowance, Batch, Coordinates, Matched, Operation, TextEdit};
use crate::path::RelPath;
use crate::plan::{Growth, MAX_GROWTH, Onto, SharedBytes, Stage, Tree, not_found};
use crate::text::LineNumber;

/// Collects operations, and carries each out on the tree as it is by then.
pub(super) struct Desk<'t> {
    stage: Stage<'t, ()>,
    coordinates: Coordinates,
    operations: Vec<Operation>,
    /// The edit that is about to be refused, if the log may show it.
    doubt: Option<Box<TextEdit>>,
    /// What is left of [`APART`].
    apart: usize,
    growth: Growth,
}

/// How much text operations behind a refused one may be judged by, in all, in lines; two bytes of a
/// line count as one more. Each may be looked for in its whole file, on every step: about a second.
const APART: usize = 4_000_000;

impl<'t> Desk<'t> {
    /// A desk for operations that follow one another.
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self::with(tree, Coordinates::Sequential)
    }

    /// A desk; in original coordinates no path may be worked on twice but by edits.
    pub(super) fn with(tree: &'t Tree, coordinates: Coordinates) -> Self {
        Self {
            stage: Stage::new(tree, Arc::default()),
            coordinates,
            operations: Vec::new(),
            doubt: None,
            apart: APART,
            growth: Growth::up_to(MAX_GROWTH),
        }
    }

    /// The desk where text that comes at many places may take so many bytes.
    pub(super) fn growing_up_to(mut self, limit: Option<u64>) -> Self {
        self.growth = Growth::up_to(limit.unwrap_or(MAX_GROWTH));
        self
    }

    /// Allows the same bytes to be put at many places; asked before they take memory.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` where files would grow by more than the operator allows.
    pub(super) fn repeat(
        &self,
        path: &RelPath,
        bytes: usize,
        places: usize,
    ) -> Result<(), Refusal> {
        let operation = self.operations.len();
        self.growth.repeat(operation, path, bytes, places)
    }

    /// Which text the edits are of.
    pub(super) fn coordinates(&self) -> Coordinates {
        self.coordinates
    }

    /// The bytes at a path now; `None` where there is no file.
    pub(super) fn text(&self, path: &RelPath) -> Result<Option<SharedBytes>, Refusal> {
        self.stage.look(path)
    }

    /// The bytes of a file that has to exist.
    pub(super) fn file(&self, path: &RelPath) -> Result<SharedBytes, Refusal> {
        self.text(path)?.ok_or_else(|| not_found(path))
    }

    /// Whether an operation on the path was refused; later ones cannot be judged.
    pub(super) fn is_spoiled(&self, path: &RelPath) -> bool {
        self.stage.is_spoiled(path)
    }

    /// Adds an edit whose places are known by their positions alone; a text that the patch has
    /// written itself is known.
    pub(super) fn splice_bare(
        &mut self,
        path: &RelPath,
        edits: Vec<Edit>,
        note: Option<String>,
    ) -> Result<(), Refusal> {
        let written = self.stage.has_created(path);
        self.splice(path, edits, note)?;
        if let Some(operation) = self.operations.last_mut() {
            operation.bare = !written;
        }
        Ok(())
    }

    /// Adds an edit of a file in its present text.
    pub(super) fn splice(
        &mut self,
        path: &RelPath,
        edits: Vec<Edit>,
        note: Option<String>,
    ) -> Result<(), Refusal> {
        if self.coordinates == Coordinates::Original {
            self.push(path, Action::Splice(edits), note);
            return Ok(());
        }
        let length = self.stage.file(path)?.content.len();
        let set = EditSet::new(edits, length).map_err(|_| {
            Refusal::new(Code::Overlap, format!("edits of {path} overlap")).in_file(path)
        })?;
        self.stage.edit(path, &set, self.operations.len())?;
        self.push(path, Action::Splice(set.into_vec()), note);
        Ok(())
    }

    /// Whether an edit has landed, the log included: where the new text is there, and no more is
    /// known, the log is asked before the patch is lowered again.
    pub(super) fn settle(&mut self, path: &RelPath, landed: Landed, edit: TextEdit) -> Landed {
        match landed {
            Landed::Maybe(place) | Landed::Part(place)
                if self.stage.tree().has_landed(path, &edit) =>
            {
                Landed::Yes(place)
            }
            Landed::Maybe(_) | Landed::Part(_) => {
                self.doubt = Some(Box::new(edit));
                landed
            }
            other => other,
        }
    }

    /// Adds an edit that has landed already, at a line.
    pub(super) fn landed(&mut self, path: &RelPath, line: LineNumber) -> Result<(), Refusal> {
        self.splice(path, Vec::new(), Some(landed::note(line)))
    }

    /// How often a text is read, as fast as it is copied, to find a place on a step behind the
    /// first two.
    const PASSES: usize = 4;

    /// Adds an edit whose place a step of the ladder found.
    pub(super) fn splice_found(
        &mut self,
        path: &RelPath,
        edits: Vec<Edit>,
        matched: Option<Matched>,
    ) -> Result<(), Refusal> {
        if matched.is_some_and(|step| step > Matched::LineEndings) {
            let operation = self.operations.len();
            self.stage.searched(path, Self::PASSES, operation)?;
            // New lines may have got more indentation than they bring.
            let written = edits.iter().map(|edit| edit.text.len() as u64).sum();
            self.growth.grow(operation, path, written)?;
        }
        let note = matched.and_then(fold::note).map(String::from);
        self.splice(path, edits, note)?;
        if let Some(operation) = self.operations.last_mut() {
            operation.matched = matched;
        }
        Ok(())
    }

    /// The refusal of text that is not in a file; where an operation before it took the text away,
    /// it says so.
    pub(super) fn gone(&self, path: &RelPath, old: &[u8], mut refusal: Refusal) -> Refusal {
        let old = old.strip_suffix(b"\n").unwrap_or(old);
        let finds = |text: &[u8]| memchr::memmem::find(text, old).is_some();
        let before = self.stage.before(path).filter(|text| finds(text));
        let (Code::AnchorNotFound, Some(before)) = (refusal.code, before) else {
            return refusal;
        };
        let mut text = before.to_vec();
        for (index, operation) in self.operations.iter().enumerate() {
            let Action::Splice(edits) = &operation.action else {
                continue;
            };
            if operation.file != *path {
                continue;
            }
            let Ok(edits) = EditSet::new(edits.clone(), text.len()) else {
                return refusal;
            };
            text = edits.apply(&text);
            if !finds(&text) {
                refusal.message = format!(
                    "operation {index} of the patch has changed this text before it is looked for; {}",
                    refusal.message
                );
                return refusal;
            }
        }
        refusal
    }

    /// Writes a whole file, whether it exists or not; see [`whole`].
    pub(super) fn write(
        &mut self,
        path: &RelPath,
        content: Vec<u8>,
        form: whole::Form,
    ) -> Result<(), Refusal> {
        if let Some(text) = self.text(path)? {
            let (edits, note) = whole::edits(&text, &content, form);
            self.splice(path, edits, Some(note))?;
            if let Some(operation) = self.operations.last_mut() {
                operation.rewrites = form == whole::Form::OfFile;
            }
            return Ok(());
        }
        self.create(path, content)
    }

    /// Deletes a file that has to exist; which text it has, the sender has not said.
    pub(super) fn delete(&mut self, path: &RelPath, note: Option<String>) -> Result<(), Refusal> {
        self.stage.delete(path, self.operations.len())?;
        self.push(path, Action::DeleteFile { expect: None }, note)
            .guardless = true;
        Ok(())
    }

    /// Creates a file. What stands there would give way: whether it may, planning decides.
    pub(super) fn create(&mut self, path: &RelPath, content: Vec<u8>) -> Result<(), Refusal> {
        let executable = false;
        self.stage
            .create(path, content.clone(), executable, Onto::File)?;
        let action = Action::CreateFile {
            content,
            executable,
        };
        self.push(path, action, None);
        Ok(())
    }

    /// Renames a file. What stands at the new path would give way: whether it may, planning decides.
    pub(super) fn rename(&mut self, path: &RelPath, to: &RelPath) -> Result<(), Refusal> {
        self.file(path)?;
        if path != to {
            self.stage
                .rename(path, to, self.operations.len(), Onto::File)?;
        }
        self.push(path, Action::RenameFile { to: to.clone() }, None);
        Ok(())
    }

    /// Adds a refused operation.
    pub(super) fn refuse(&mut self, path: &RelPath, refusal: Refusal) {
        self.stage.spoil(path);
        let doubt = self.doubt.take();
        let operation = self.push(path, Action::Refused(refusal.into()), None);
        if doubt.is_some() {
            operation.reading.doubt = doubt;
        }
    }

    /// Judges an operation that comes after a refused one on its file by the text without that one:
    /// it would pass, or nothing is known of it. Where many were judged so, no more are.
    pub(super) fn judge_apart(
        &mut self,
        path: &RelPath,
        judge: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) {
        if !self.spend(path) {
            self.skip(path);
            return;
        }
        let from = self.operations.len();
        if judge(self).is_ok() {
            for operation in &mut self.operations[from..] {
                operation.apart = true;
            }
        } else {
            self.operations.truncate(from);
            self.skip(path);
        }
    }

    /// Whether one more operation behind a refused one on its file may be looked for there.
    pub(super) fn spend(&mut self, path: &RelPath) -> bool {
        let text = self.text(path).ok().flatten();
        let work = text.map_or(0, |text| bytes::count(b'\n', &text) + text.len() / 2);
        let left = self.apart.checked_sub(work + 1);
        self.apart = left.unwrap_or(self.apart);
        left.is_some()
    }

    /// Adds an operation that comes after a refused one on its file.
    pub(super) fn skip(&mut self, path: &RelPath) {
        self.push(path, Action::Splice(Vec::new()), None);
    }

    /// Says how the last edit was found, and whether it writes its whole file.
    pub(super) fn mark(&mut self, matched: Option<Matched>, rewrites: bool) {
        if let Some(operation) = self.operations.last_mut() {
            operation.matched = matched;
            operation.rewrites = rewrites;
        }
    }

    /// How many operations there are.
    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// Holds the operation with that index, and those behind it, to a state of their files from
    /// before the patch.
    pub(super) fn hold_to(&mut self, from: usize, base: Option<Digest>) {
        for operation in &mut self.operations[from..] {
            operation.base = base.or(operation.base);
        }
    }

    /// Adds remarks to the operation with that index, and to those behind it.
    pub(super) fn note(&mut self, from: usize, remarks: &[String]) {
        if remarks.is_empty() {
            return;
        }
        for operation in &mut self.operations[from..] {
            let own = operation.reading.note.take();
            let all: Vec<&str> = own.iter().chain(remarks).map(String::as_str).collect();
            operation.reading.note = Some(all.join("; "));
        }
    }

    /// Says of the operation with that index, and of those behind it, what the sender lets pass.
    pub(super) fn allow(&mut self, from: usize, allow: &[Allowance]) {
        if allow.is_empty() {
            return;
        }
        for operation in &mut self.operations[from..] {
            operation.allow = allow.iter().copied().collect();
        }
    }

    pub(super) fn into_batch(self, content: Digest) -> Batch {
        let mut batch = Batch::new(self.operations, content);
        batch.coordinates = self.coordinates;
        batch
    }

    fn push(&mut self, path: &RelPath, action: Action, note: Option<String>) -> &mut Operation {
        let mut operation = Operation::new(path.clone(), action);
        operation.reading.say(note);
        self.doubt = None;
        self.operations.push(operation);
        self.operations.last_mut().expect("one was just added")
    }
}
