//! A script under labels that the operator gives.

use std::borrow::Cow;
use std::sync::Arc;

use crate::digest::{Digest, Hasher};
use crate::error::Refusal;
use crate::operation::{Batch, Labels};
use crate::path::RelPath;
use crate::report::Part;

use super::{Lowered, Script, Tree};

/// A script whose batch has labels and an id of the operator's, which go before its own.
///
/// So a patch in any format can be held to the rules of a task.
///
/// ```
/// use patchcore::dialect::{self, Options};
/// use patchcore::operation::Labels;
/// use patchcore::plan::{Labelled, Script as _};
/// use patchcore::{RelPath, Tree};
///
/// let patch = dialect::parse(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", &Options::default())?;
/// let labels = Labels { task_id: Some("A1F2".into()), ..Labels::default() };
/// let script = Labelled::new(&patch, labels, None);
/// let tree = Tree::new().with_file(RelPath::new("f")?, "a\n");
/// assert_eq!(script.lower(&tree)?.batch.labels.task_id.as_deref(), Some("A1F2"));
/// # Ok::<(), patchcore::Refusal>(())
/// ```
pub struct Labelled<'s> {
    script: &'s dyn Script,
    labels: Labels,
    id: Option<String>,
    /// The batch where the script is one; for a patch, what its id is looked up by.
    batch: Option<Batch>,
}

impl<'s> Labelled<'s> {
    /// A script under these labels; those that are `None` stay the script's own.
    #[must_use]
    pub fn new(script: &'s dyn Script, labels: Labels, id: Option<String>) -> Self {
        let mut labelled = Self {
            script,
            labels,
            id,
            batch: None,
        };
        labelled.batch = match (script.as_batch(), script.received()) {
            (Some(batch), _) => Some(labelled.relabelled(batch.clone())),
            (None, Some(received)) if labelled.id.is_some() => {
                Some(labelled.relabelled(Batch::new(Vec::new(), received)))
            }
            _ => None,
        };
        labelled
    }

    fn relabelled(&self, mut batch: Batch) -> Batch {
        let before = Arc::clone(&batch.labels);
        let common = Arc::new(self.over(&before));
        for operation in &mut batch.operations {
            operation.labels = match *operation.labels == *before {
                true => Arc::clone(&common),
                false => Arc::new(self.over(&operation.labels)),
            };
        }
        batch.labels = common;
        if self.id.is_some() {
            batch.id.clone_from(&self.id);
        }
        batch.received = batch.received.map(|received| self.digest(received));
        batch
    }

    fn over(&self, own: &Labels) -> Labels {
        let first = |operator: &Option<String>, own: &Option<String>| {
            operator.as_ref().or(own.as_ref()).cloned()
        };
        Labels {
            order_id: first(&self.labels.order_id, &own.order_id),
            task_id: first(&self.labels.task_id, &own.task_id),
            factory: first(&self.labels.factory, &own.factory),
            phase: first(&self.labels.phase, &own.phase),
            agent: first(&self.labels.agent, &own.agent),
        }
    }

    fn digest(&self, received: Digest) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(received.as_bytes());
        hasher.update(format!("{:?}", self.labels).as_bytes());
        hasher.finish()
    }

    fn is_batch(&self) -> bool {
        self.script.as_batch().is_some()
    }
}

impl Script for Labelled<'_> {
    fn paths(&self) -> Vec<RelPath> {
        self.script.paths()
    }

    fn as_batch(&self) -> Option<&Batch> {
        self.batch.as_ref()
    }

    fn received(&self) -> Option<Digest> {
        self.script.received().map(|received| self.digest(received))
    }

    fn reads(&self) -> Vec<(RelPath, Part)> {
        self.script.reads()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        if self.is_batch()
            && let Some(batch) = &self.batch
        {
            return Ok(batch.into());
        }
        let lowered = self.script.lower(tree)?;
        let mut batch = self.relabelled(lowered.batch.into_owned());
        // With an id, a patch is known again by what was sent, not by what it comes to in a tree.
        if let Some(known) = &self.batch {
            batch.content = known.content;
        }
        Ok(Lowered {
            batch: Cow::Owned(batch),
            notes: lowered.notes,
        })
    }
}
