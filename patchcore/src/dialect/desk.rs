//! The files that a dialect works on, as its operations so far have left them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::whole;
use crate::digest::Digest;
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Refusal};
use crate::operation::{Action, Batch, Coordinates, Operation};
use crate::path::RelPath;
use crate::plan::{Entry, Source, Tree};

/// Operations in the making, with the texts that they lead to.
pub(super) struct Desk<'t> {
    tree: &'t Tree,
    coordinates: Coordinates,
    texts: HashMap<RelPath, Option<Text>>,
    /// For paths that the patch put files to: the hash of the file that it comes from, if any.
    origins: HashMap<RelPath, Option<Digest>>,
    /// Files of which an operation was refused: nothing more is known of them.
    spoiled: HashSet<RelPath>,
    operations: Vec<Operation>,
}

#[derive(Clone)]
enum Text {
    Loaded(Arc<Source>),
    Changed(Arc<Vec<u8>>),
}

impl<'t> Desk<'t> {
    /// A desk for operations that follow one another.
    pub(super) fn new(tree: &'t Tree) -> Self {
        Self::with(tree, Coordinates::Sequential)
    }

    /// A desk; in original coordinates no path may be worked on twice but by edits.
    pub(super) fn with(tree: &'t Tree, coordinates: Coordinates) -> Self {
        Self {
            tree,
            coordinates,
            texts: HashMap::new(),
            origins: HashMap::new(),
            spoiled: HashSet::new(),
            operations: Vec::new(),
        }
    }

    /// Which text the edits are of.
    pub(super) fn coordinates(&self) -> Coordinates {
        self.coordinates
    }

    /// The bytes at a path now; `None` where nothing stands.
    pub(super) fn text(&self, path: &RelPath) -> Result<Option<Cow<'t, [u8]>>, Refusal> {
        match self.texts.get(path) {
            Some(Some(Text::Changed(bytes))) => Ok(Some(Cow::Owned(bytes.to_vec()))),
            Some(Some(Text::Loaded(source))) => Ok(Some(Cow::Owned(source.bytes().to_vec()))),
            Some(None) => Ok(None),
            None => match self.tree.get(path) {
                Entry::Absent => Ok(None),
                Entry::File(source) => Ok(Some(Cow::Borrowed(source.bytes()))),
                Entry::Refused(refusal) => Err((**refusal).clone()),
            },
        }
    }

    /// The bytes of a file that has to exist.
    pub(super) fn file(&self, path: &RelPath) -> Result<Cow<'t, [u8]>, Refusal> {
        self.text(path)?.ok_or_else(|| {
            Refusal::new(Code::FileNotFound, format!("{path} does not exist")).in_file(path)
        })
    }

    /// Whether an operation on the path was refused; later ones cannot be judged.
    pub(super) fn is_spoiled(&self, path: &RelPath) -> bool {
        self.spoiled.contains(path)
    }

    /// Adds an edit whose places are known by their positions alone; a text that the patch has
    /// written itself is known.
    pub(super) fn splice_bare(
        &mut self,
        path: &RelPath,
        edits: Vec<Edit>,
        note: Option<String>,
    ) -> Result<(), Refusal> {
        let written = matches!(self.origins.get(path), Some(None));
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
        let text = self.file(path)?;
        let set = EditSet::new(edits, text.len()).map_err(|_| {
            Refusal::new(Code::Overlap, format!("edits of {path} overlap")).in_file(path)
        })?;
        let changed = set.apply(&text);
        let edits = set.as_slice().to_vec();
        self.texts
            .insert(path.clone(), Some(Text::Changed(Arc::new(changed))));
        self.push(path, Action::Splice(edits), note);
        Ok(())
    }

    /// Writes a whole file, whether it exists or not; see [`whole`].
    pub(super) fn write(
        &mut self,
        path: &RelPath,
        content: Vec<u8>,
        form: whole::Form,
    ) -> Result<(), Refusal> {
        if let Some(text) = self.text(path)? {
            let (edits, note) = whole::edits(path, &text, &content, form)?;
            return self.splice(path, edits, Some(note));
        }
        self.origins.insert(path.clone(), None);
        self.texts
            .insert(path.clone(), Some(Text::Changed(Arc::new(content.clone()))));
        self.push(
            path,
            Action::CreateFile {
                content,
                executable: false,
            },
            None,
        );
        Ok(())
    }

    /// Deletes a file that has to exist.
    pub(super) fn delete(&mut self, path: &RelPath, note: Option<String>) -> Result<(), Refusal> {
        self.file(path)?;
        // A hash speaks of the file before the patch.
        let base = self.origin(path)?;
        self.texts.insert(path.clone(), None);
        self.push(path, Action::DeleteFile { expect: None }, note);
        let operation = self.operations.last_mut().expect("one was just added");
        operation.base = base;
        Ok(())
    }

    /// Renames a file to a path that has to be free, unless the operator lets it be overwritten.
    pub(super) fn rename(
        &mut self,
        path: &RelPath,
        to: &RelPath,
        overwrite: bool,
    ) -> Result<(), Refusal> {
        self.file(path)?;
        if self.text(to)?.is_some() && path != to {
            if !overwrite {
                return Err(Refusal::new(
                    Code::FileExists,
                    format!("{to} exists already and would be replaced by {path}; delete it in the patch first, or allow it with --overwrite"),
                )
                .in_file(to));
            }
            self.delete(to, Some(format!("replaced by {path}")))?;
        }
        let text = match self.texts.get(path) {
            Some(text) => text.clone(),
            None => self
                .tree
                .file(path)
                .map(|source| Text::Loaded(Arc::clone(source))),
        };
        let origin = match self.origins.get(path) {
            Some(origin) => *origin,
            None => self.origin(path)?,
        };
        self.origins.insert(to.clone(), origin);
        self.texts.insert(to.clone(), text);
        self.texts.insert(path.clone(), None);
        self.push(path, Action::RenameFile { to: to.clone() }, None);
        Ok(())
    }

    /// The hash that guards what stands at a path: of its bytes before the patch edited them.
    fn origin(&self, path: &RelPath) -> Result<Option<Digest>, Refusal> {
        Ok(match self.origins.get(path) {
            Some(Some(origin)) => Some(*origin),
            // Made by the patch: planning knows it by what it is now.
            Some(None) => self.text(path)?.map(|text| Digest::of(&text)),
            None => self.tree.file(path).map(|source| source.digest()),
        })
    }

    /// Adds a refused operation.
    pub(super) fn refuse(&mut self, path: &RelPath, refusal: Refusal) {
        self.spoiled.insert(path.clone());
        self.push(path, Action::Refused(Box::new(refusal)), None);
    }

    /// Adds an operation that stands behind a refused one of its file.
    pub(super) fn skip(&mut self, path: &RelPath) {
        self.push(path, Action::Splice(Vec::new()), None);
    }

    pub(super) fn into_batch(self, content: Digest) -> Batch {
        let mut batch = Batch::new(self.operations, content);
        batch.coordinates = self.coordinates;
        batch
    }

    fn push(&mut self, path: &RelPath, action: Action, note: Option<String>) {
        let mut operation = Operation::new(path.clone(), action);
        operation.note = note;
        self.operations.push(operation);
    }
}
