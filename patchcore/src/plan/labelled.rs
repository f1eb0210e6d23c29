//! A script under labels and hashes that do not come with it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::digest::{Digest, Hasher};
use crate::error::{Refusal, excerpt};
use crate::operation::{Batch, Labels};
use crate::path::RelPath;

use super::{Lowered, Part, Script, Tree};

/// Most labels of one kind that a remark repeats, and most characters of each.
const MAX_SHOWN: usize = 3;
const MAX_LABEL: usize = 100;

/// A script whose batch has labels and an id of the operator's, which go before its own. A remark
/// says which of its own it loses by that.
///
/// So a patch in any format can be held to the rules of a task, and to what its sender was shown
/// ([`with_bases`](Self::with_bases)).
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
    bases: BTreeMap<RelPath, Digest>,
    /// The batch where the script is one; for a patch, what its id is looked up by.
    batch: Option<Batch>,
}

impl<'s> Labelled<'s> {
    /// A script under these labels; those that are `None` stay the script's own.
    #[must_use]
    pub fn new(script: &'s dyn Script, labels: Labels, id: Option<String>) -> Self {
        let bases = BTreeMap::new();
        Self {
            script,
            labels,
            id,
            bases,
            batch: None,
        }
        .with_batch()
    }

    /// Lands only on files with these hashes, as if each operation without a `base` of its own had
    /// the one of its file. A file that no operation names has no say.
    ///
    /// ```
    /// use patchcore::dialect::{self, Options};
    /// use patchcore::operation::Labels;
    /// use patchcore::plan::{Labelled, Script as _, plan};
    /// use patchcore::{Code, Digest, Policy, RelPath, Tree};
    ///
    /// let patch = dialect::parse(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", &Options::default())?;
    /// let file = RelPath::new("f")?;
    /// let shown = [(file.clone(), Digest::of(b"a\n"))].into();
    /// let script = Labelled::new(&patch, Labels::default(), None).with_bases(shown);
    /// let tree = Tree::new().with_file(file, "a\nsince\n");
    /// let planned = plan(&script.lower(&tree)?.batch, &tree, &Policy::default());
    /// let refusal = planned.verdicts[0].refusal.as_ref().expect("the file has moved on");
    /// assert_eq!(refusal.code, Code::BaseMismatch);
    /// # Ok::<(), patchcore::Refusal>(())
    /// ```
    #[must_use]
    pub fn with_bases(self, bases: BTreeMap<RelPath, Digest>) -> Self {
        match bases.is_empty() {
            true => self,
            false => Self { bases, ..self }.with_batch(),
        }
    }

    fn with_batch(mut self) -> Self {
        self.batch = match (self.script.as_batch(), self.script.received()) {
            (Some(batch), _) => Some(self.labelled(batch.clone())),
            (None, Some(received)) if self.id.is_some() => {
                Some(self.labelled(Batch::new(Vec::new(), received)))
            }
            _ => None,
        };
        self
    }

    fn labelled(&self, mut batch: Batch) -> Batch {
        let before = Arc::clone(&batch.labels);
        let common = Arc::new(self.over(&before));
        for operation in &mut batch.operations {
            operation.labels = match *operation.labels == *before {
                true => Arc::clone(&common),
                false => Arc::new(self.over(&operation.labels)),
            };
            let base = self.bases.get(&operation.file).copied();
            operation.base = operation.base.or(base);
        }
        if !self.bases.is_empty() {
            // Held to other hashes it is another batch.
            batch.content = self.held(batch.content);
        }
        batch.labels = common;
        if self.id.is_some() {
            batch.id.clone_from(&self.id);
        }
        batch.received = batch.received.map(|received| self.digest(received));
        batch
    }

    /// What the labels of a batch are that others go before, a remark for each kind.
    fn replaced(&self, batch: &Batch) -> Vec<String> {
        if self.labels == Labels::default() {
            return Vec::new();
        }
        let mut lost = vec![BTreeSet::new(); self.labels.fields().len()];
        let mut last: Option<&Arc<Labels>> = None;
        let operations = batch.operations.iter().map(|operation| &operation.labels);
        for own in std::iter::once(&batch.labels).chain(operations) {
            // Operations mostly share their labels.
            if last.is_some_and(|last| Arc::ptr_eq(last, own)) {
                continue;
            }
            last = Some(own);
            let pairs = self.labels.fields().into_iter().zip(own.fields());
            for (((_, given), (_, own)), lost) in pairs.zip(&mut lost) {
                if let (Some(given), Some(own)) = (given, own)
                    && given != own
                {
                    lost.insert(own.clone());
                }
            }
        }
        let mut remarks = Vec::new();
        for ((name, given), lost) in self.labels.fields().into_iter().zip(lost) {
            let Some(given) = given.as_ref().filter(|_| !lost.is_empty()) else {
                continue;
            };
            let quoted = |label: &String| format!("{:?}", excerpt(label.as_bytes(), MAX_LABEL));
            let mut shown: Vec<_> = lost.iter().take(MAX_SHOWN).map(quoted).collect();
            if lost.len() > MAX_SHOWN {
                shown.push(format!("{} more", lost.len() - MAX_SHOWN));
            }
            remarks.push(format!(
                "{name} is {} here, as given beside the input, not {} as in it",
                quoted(given),
                shown.join(", ")
            ));
        }
        remarks
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
        self.held(hasher.finish())
    }

    fn held(&self, of: Digest) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(of.as_bytes());
        for (path, digest) in &self.bases {
            hasher.update(&path.as_bytes().len().to_le_bytes());
            hasher.update(path.as_bytes());
            hasher.update(digest.as_bytes());
        }
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

    fn mentions(&self) -> Vec<RelPath> {
        self.script.mentions()
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
        let mut lowered = self.script.lower(tree)?;
        let replaced = self.replaced(&lowered.batch);
        lowered.notes.remarks.extend(replaced);
        if self.is_batch()
            && let Some(batch) = &self.batch
        {
            return Ok(Lowered {
                batch: Cow::Borrowed(batch),
                notes: lowered.notes,
            });
        }
        let mut batch = self.labelled(lowered.batch.into_owned());
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
