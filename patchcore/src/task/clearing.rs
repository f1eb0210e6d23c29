//! Taking the comments of a task out when it is done, as a script.

use std::sync::Arc;

use super::{Manifest, Task};
use crate::digest::Digest;
use crate::error::Refusal;
use crate::operation::{Action, Batch, Labels, Operation};
use crate::path::RelPath;
use crate::placeholder::{Injected, Marker, Scanner};
use crate::plan::{Entry, Lowered, Missing, Script, Tree};

/// The comments that mark a task, taken out of its file.
///
/// They are found by what the manifest says was injected, so that the placeholder may be gone. One
/// that somebody edited stays, and is listed in the [notes](Lowered::notes).
///
/// ```
/// use patchcore::plan::Script as _;
/// use patchcore::task::{Clearing, Manifest};
/// use patchcore::{RelPath, Tree};
///
/// let text = br#"{"tasks": [{"uuid": "u-1", "file_path": "a.ts", "placeholder": "INIT"}]}"#;
/// let manifest = Manifest::parse(text)?;
/// let source = "/* TASK_ID:u-1 \u{2013} see .mission_control/tasks.json */\nstart();\n";
/// let tree = Tree::new().with_file(RelPath::new("a.ts")?, source);
/// let clearing = Clearing::of(&manifest, manifest.require("u-1")?)?;
/// assert_eq!(clearing.lower(&tree)?.batch.operations.len(), 1);
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[derive(Debug)]
pub struct Clearing {
    file: RelPath,
    id: String,
    task: String,
    scanner: Scanner,
    known: Injected,
    labels: Arc<Labels>,
}

impl Clearing {
    /// The comments of a task of a manifest.
    ///
    /// # Errors
    /// Where the task names no path that is one.
    pub fn of(manifest: &Manifest, task: &Task) -> Result<Self, Refusal> {
        let labels = Labels {
            order_id: task.order_id().or_else(|| manifest.order_id()),
            task_id: Some(task.uuid().to_owned()),
            ..Labels::default()
        };
        Ok(Self {
            file: task.file()?,
            id: task.placeholder(),
            task: task.uuid().to_owned(),
            scanner: Scanner::new(),
            known: manifest.injected().clone(),
            labels: Arc::new(labels),
        })
    }

    /// Takes placeholders of other syntaxes, too.
    #[must_use]
    pub fn with_scanner(mut self, scanner: Scanner) -> Self {
        self.scanner = scanner;
        self
    }
}

impl Script for Clearing {
    fn paths(&self) -> Vec<RelPath> {
        vec![self.file.clone()]
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        let content = Digest::of(format!("{}\0{}\0{}", self.file, self.id, self.task).as_bytes());
        let mut operations = Vec::new();
        let mut edited = Vec::new();
        if let Entry::File(source) = tree.get(&self.file) {
            let marker = Marker::new(&self.scanner, &self.known);
            let cleared = marker.clear(&self.file, source.bytes(), &self.id, &self.task);
            edited = cleared.edited;
            operations = cleared
                .edits
                .into_iter()
                .map(|edit| {
                    let action = Action::Splice(vec![edit]);
                    Operation::with_labels(self.file.clone(), action, Arc::clone(&self.labels))
                })
                .collect();
        }
        let mut batch = Batch::new(operations, content);
        batch.labels = Arc::clone(&self.labels);
        let mut lowered = Lowered::from(batch);
        let missing = edited.into_iter().map(|refusal| Missing {
            id: self.id.clone(),
            task: Some(self.task.clone()),
            refusal,
        });
        lowered.notes.missing = missing.collect();
        Ok(lowered)
    }
}
