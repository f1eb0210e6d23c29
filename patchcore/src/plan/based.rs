//! A script whose sender says what the files were like.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::digest::{Digest, Hasher};
use crate::error::Refusal;
use crate::operation::Batch;
use crate::path::RelPath;
use crate::report::Part;

use super::{Lowered, Script, Tree};

/// A script that lands only on files with these hashes, as if each of its operations without a
/// `base` of its own had the one of its file.
///
/// So a patch in any format can be held to what its sender was shown.
///
/// ```
/// use patchcore::dialect::{self, Options};
/// use patchcore::plan::{Based, plan};
/// use patchcore::plan::Script as _;
/// use patchcore::{Code, Digest, Policy, RelPath, Tree};
///
/// let patch = dialect::parse(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", &Options::default())?;
/// let file = RelPath::new("f")?;
/// let script = Based::new(&patch, [(file.clone(), Digest::of(b"a\n"))].into());
/// let tree = Tree::new().with_file(file, "a\nsince\n");
/// let planned = plan(&script.lower(&tree)?.batch, &tree, &Policy::default());
/// let refusal = planned.verdicts[0].refusal.as_ref().expect("the file has moved on");
/// assert_eq!(refusal.code, Code::BaseMismatch);
/// # Ok::<(), patchcore::Refusal>(())
/// ```
pub struct Based<'s> {
    script: &'s dyn Script,
    bases: BTreeMap<RelPath, Digest>,
    /// The batch, where the script is one.
    batch: Option<Batch>,
}

impl<'s> Based<'s> {
    /// A script held to these hashes. A file that no operation names has no say.
    #[must_use]
    pub fn new(script: &'s dyn Script, bases: BTreeMap<RelPath, Digest>) -> Self {
        let mut based = Self {
            script,
            bases,
            batch: None,
        };
        based.batch = script.as_batch().map(|batch| based.guarded(batch.clone()));
        based
    }

    fn guarded(&self, mut batch: Batch) -> Batch {
        for operation in &mut batch.operations {
            let base = self.bases.get(&operation.file).copied();
            operation.base = operation.base.or(base);
        }
        // Held to other hashes it is another batch.
        batch.content = self.digest(batch.content);
        batch.received = batch.received.map(|received| self.digest(received));
        batch
    }

    fn digest(&self, of: Digest) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(of.as_bytes());
        for (path, digest) in &self.bases {
            hasher.update(&path.as_bytes().len().to_le_bytes());
            hasher.update(path.as_bytes());
            hasher.update(digest.as_bytes());
        }
        hasher.finish()
    }
}

impl Script for Based<'_> {
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
        if let Some(batch) = &self.batch {
            return Ok(batch.into());
        }
        let lowered = self.script.lower(tree)?;
        Ok(Lowered {
            batch: Cow::Owned(self.guarded(lowered.batch.into_owned())),
            notes: lowered.notes,
        })
    }
}
