//! Operations and sources become a plan: what will stand where, with a verdict for each operation.
//!
//! Planning is pure: it reads a [`Batch`] and a [`Tree`] and touches no disk.

mod assemble;
mod change;
mod content;
mod encoding;
mod facts;
mod find;
mod growth;
mod history;
mod labelled;
mod link;
mod names;
pub(crate) mod omission;
mod original;
pub(crate) mod paths;
mod position;
mod render;
mod repository;
mod review;
mod script;
mod sequential;
mod settle;
mod stage;
mod stale;
mod tree;
mod work;

use std::borrow::Cow;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::Digest;
use crate::error::{Code, Refusal};
use crate::operation::{Allowances, Batch, Coordinates, Labels, Matched, Operation};
use crate::path::{Protect, RelPath};
use crate::rebase::Rebased;
use crate::text::LineNumber;
use crate::threads;

#[cfg(feature = "workspace")]
pub(crate) use change::show_replacements;
pub use change::{After, ChangeKind, FileChange, FileState, Touch};
pub(crate) use facts::Standing;
#[cfg(feature = "workspace")]
pub(crate) use facts::refusals as refusals_by_facts;
pub(crate) use growth::Growth;
pub use labelled::Labelled;
pub(crate) use names::not_found;
pub use review::Review;
pub use script::{Lowered, Missing, Notes, Part, Script};
pub(crate) use stage::{Onto, SharedBytes, Stage};
#[cfg(feature = "workspace")]
pub(crate) use stale::{is_doubtful, is_stale};
pub(crate) use tree::Obstacle;
#[cfg(feature = "workspace")]
pub(crate) use tree::Other;
pub use tree::{Entry, Holds, Source, Tree};
pub(crate) use work::Work;

/// How much a batch may grow unless the operator says otherwise: 256 MiB.
pub const MAX_GROWTH: u64 = 256 << 20;

/// What the operator allows beyond the defaults.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Policy {
    /// Let line-addressed operations and deletions pass without a guard, or with a weak one.
    pub allow_unguarded: bool,
    /// Let operations edit files that hold NUL bytes, and write them.
    pub allow_binary: bool,
    /// Let new text go into files that are in another encoding.
    pub allow_encoding_change: bool,
    /// Let files be moved, copied and created onto files that exist.
    pub overwrite: bool,
    /// Let new lines pass that stand for code that was left out.
    pub allow_omission: bool,
    /// Refuse such lines also where the sender's operation [allows](crate::operation::Allowance::Omission) them.
    pub forbid_omission: bool,
    /// Let operations that were made for an older state of their file land where their lines are
    /// now, if that is certain.
    pub rebase: bool,
    /// Apply the groups of files whose operations all pass, instead of all or nothing.
    pub partial: bool,
    /// Let files be created whose names look as if a mark, a quote, a remark or another system's
    /// spelling had got into them.
    pub allow_odd_names: bool,
    /// Paths, or directories, that are opened to edits although they are protected.
    pub allow_paths: Vec<RelPath>,
    /// Paths that are closed to edits beside those that always are.
    pub protect: Protect,
    /// Most bytes that a batch may make planning write beyond what it brings and edits: content at
    /// more than one place, indentation, copies of one file after the first. [`MAX_GROWTH`].
    pub max_growth: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            allow_unguarded: false,
            allow_binary: false,
            allow_encoding_change: false,
            overwrite: false,
            allow_omission: false,
            forbid_omission: false,
            allow_odd_names: false,
            partial: false,
            rebase: false,
            allow_paths: Vec::new(),
            protect: Protect::default(),
            max_growth: MAX_GROWTH,
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It landed.
    Applied,
    /// It landed at mapped lines.
    Rebased,
    /// There was nothing to do.
    AlreadyApplied,
    /// It is why the batch did not land.
    Refused,
    /// It is fine by itself, its batch was refused.
    NotApplied,
    /// It stands behind a refused one in sequential coordinates.
    NotEvaluated,
    /// It landed, then verification failed.
    RolledBack,
    /// It was taken back by `undo`.
    Undone,
    /// Only the outcome that applying would give was asked for.
    Previewed,
}

impl Outcome {
    /// Whether the operation lands.
    pub(crate) fn lands(self) -> bool {
        matches!(self, Self::Applied | Self::Rebased)
    }

    /// What an operation comes to that would have landed, in a batch that does not.
    pub(crate) fn held_back(self) -> Self {
        match self {
            Self::Applied | Self::Rebased | Self::Undone => Self::NotApplied,
            other => other,
        }
    }
}

/// What became, or will become, of one operation: planning decides it, the record keeps it, report
/// and events show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// The operation's name.
    pub op: Cow<'static, str>,
    /// The file it names, as the batch spelled it.
    pub file: String,
    /// How it ended; in a plan [`Applied`](Outcome::Applied) means that it will land.
    pub outcome: Outcome,
    /// The lines of the new file that it wrote, both inclusive; absent where it wrote none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<[LineNumber; 2]>,
    /// Whether a guard holds it, or its address is by content.
    pub guarded: bool,
    /// How a foreign format was read, where that is worth saying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// By which step of the ladder a foreign format's place was found; absent where its text
    /// stands there exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<Matched>,
    /// What the sender let pass on its own responsibility.
    #[serde(default, skip_serializing_if = "Allowances::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Vec<crate::operation::Allowance>")
    )]
    pub allow: Allowances,
    /// Where its lines were and where they are, if they were mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebased: Option<Box<Rebased>>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Arc<Refusal>>,
    /// The operation's own labels over the batch's; absent where it has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Box<Labels>>,
}

/// The verdicts of a batch, which its plan, its record and its report share: a copy costs nothing
/// until it is changed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Verdicts(Arc<Vec<Verdict>>);

impl Deref for Verdicts {
    type Target = Vec<Verdict>;

    fn deref(&self) -> &Vec<Verdict> {
        &self.0
    }
}

impl DerefMut for Verdicts {
    fn deref_mut(&mut self) -> &mut Vec<Verdict> {
        Arc::make_mut(&mut self.0)
    }
}

impl From<Vec<Verdict>> for Verdicts {
    fn from(verdicts: Vec<Verdict>) -> Self {
        Self(Arc::new(verdicts))
    }
}

impl From<Verdicts> for Vec<Verdict> {
    fn from(verdicts: Verdicts) -> Self {
        Arc::unwrap_or_clone(verdicts.0)
    }
}

impl FromIterator<Verdict> for Verdicts {
    fn from_iter<I: IntoIterator<Item = Verdict>>(verdicts: I) -> Self {
        Vec::from_iter(verdicts).into()
    }
}

impl<'a> IntoIterator for &'a Verdicts {
    type Item = &'a Verdict;
    type IntoIter = std::slice::Iter<'a, Verdict>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Verdicts {
    type Item = &'a mut Verdict;
    type IntoIter = std::slice::IterMut<'a, Verdict>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl Serialize for Verdicts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Verdicts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from)
    }
}

/// What a batch will do to a tree.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The files that change, by path; empty where the batch is refused or changes nothing.
    pub changes: Vec<FileChange>,
    /// A verdict for each operation, in batch order.
    pub verdicts: Verdicts,
    digest: OnceLock<Digest>,
}

impl Plan {
    /// A plan of these changes, in the order of their paths.
    pub(crate) fn new(changes: Vec<FileChange>, verdicts: Vec<Verdict>) -> Self {
        Self {
            changes,
            verdicts: verdicts.into(),
            digest: OnceLock::new(),
        }
    }

    /// SHA-256 over path, mode, before-hash and after-hash of every change, as the changes are at
    /// the first call, which hashes what is not hashed yet.
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| settle::digest(&self.changes))
    }

    /// Whether any operation is refused.
    #[must_use]
    pub fn has_refusal(&self) -> bool {
        self.verdicts
            .iter()
            .any(|verdict| verdict.refusal.is_some())
    }

    /// Whether the batch, or with [`Policy::partial`] a part of it, may be committed.
    #[must_use]
    pub fn is_accepted(&self, policy: &Policy) -> bool {
        !self.has_refusal() || policy.partial && !self.changes.is_empty()
    }
}

impl Plan {
    /// Refuses operations that a rule beyond planning forbids, and all that may not land without
    /// them. An operation that is refused already keeps its first reason.
    #[must_use]
    pub fn refuse(
        mut self,
        batch: &Batch,
        refusals: impl IntoIterator<Item = (usize, Refusal)>,
        policy: &Policy,
    ) -> Self {
        let mut any = false;
        for (index, refusal) in refusals {
            if let Some(verdict) = self.verdicts.get_mut(index)
                && verdict.refusal.is_none()
            {
                verdict.refuse(refusal);
                any = true;
            }
        }
        match any {
            true => settle::settle(batch, self.changes, self.verdicts.into(), policy),
            false => self,
        }
    }
}

impl Verdict {
    /// The verdict on an operation with which nothing is wrong.
    pub(crate) fn passed(batch: &Batch, operation: &Operation) -> Self {
        let labels = &operation.labels;
        let has_own = **labels != *batch.labels && **labels != Labels::default();
        Self {
            op: operation.name().into(),
            file: operation.shown_file().into_owned(),
            note: operation.reading.note.clone(),
            matched: operation.matched,
            allow: operation.allow,
            labels: has_own.then(|| Box::new((**labels).clone())),
            ..Self::unnamed()
        }
    }

    /// The verdict that nothing is wrong, on an operation that is named elsewhere.
    fn unnamed() -> Self {
        Self {
            op: Cow::Borrowed(""),
            file: String::new(),
            outcome: Outcome::Applied,
            lines: None,
            guarded: true,
            note: None,
            matched: None,
            rebased: None,
            allow: Allowances::default(),
            refusal: None,
            labels: None,
        }
    }

    /// Says of an operation that would have landed that it does not, since its batch does not.
    pub(crate) fn hold_back(&mut self) {
        let held_back = self.outcome.held_back();
        if held_back != self.outcome {
            self.rebased = None;
            self.outcome = held_back;
            self.lines = None;
        }
    }

    fn add_note(&mut self, note: String) {
        self.note = Some(match self.note.take() {
            Some(before) => format!("{before}; {note}"),
            None => note,
        });
    }

    fn refuse(&mut self, refusal: impl Into<Arc<Refusal>>) {
        let refusal = refusal.into();
        self.outcome = Outcome::Refused;
        self.lines = None;
        self.rebased = None;
        self.guarded &= refusal.code != Code::Unguarded;
        self.refusal = Some(refusal);
    }
}

/// Plans a batch: what will stand where, and a verdict for each operation.
///
/// One refused operation keeps all others from landing, unless [`Policy::partial`] lets the groups
/// of files pass whose operations all pass.
///
/// ```
/// use patchcore::operation::{Action, Batch, Lines, Operation};
/// use patchcore::{Digest, Policy, RelPath, Tree, plan};
///
/// let path = RelPath::new("notes.txt")?;
/// let tree = Tree::new().with_file(path.clone(), "one\n");
/// let append = Operation::new(path, Action::Append(Lines::new("two")));
/// let batch = Batch::new(vec![append], Digest::of(b"my batch"));
/// let plan = plan::plan(&batch, &tree, &Policy::default());
/// let new: Vec<u8> = plan.changes[0].chunks().flatten().copied().collect();
/// assert_eq!(new, b"one\ntwo\n");
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[must_use]
pub fn plan(batch: &Batch, tree: &Tree, policy: &Policy) -> Plan {
    plan_with(batch, tree, policy, Hashing::AtNeed)
}

/// When what a change comes to is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hashing {
    /// With the planning, while the bytes are at hand, and beside other work.
    Now,
    /// When the hash is asked for.
    AtNeed,
}

pub(crate) fn plan_with(batch: &Batch, tree: &Tree, policy: &Policy, hashing: Hashing) -> Plan {
    let plan = plan_once(batch, tree, policy, hashing);
    stale::replan(plan, batch, tree, policy, hashing)
}

/// Plans a batch as it is, whatever is known of older states of the files.
fn plan_once(batch: &Batch, tree: &Tree, policy: &Policy, hashing: Hashing) -> Plan {
    /// From this many operations on, a second thread is worth its start.
    const MANY: usize = 1024;
    let front_end = || settle::front_end_refusals(batch, tree, policy);
    let by_path = || {
        let mut refused = paths::refusals(batch, policy);
        refused.extend(paths::odd_names(batch, tree, policy));
        refused
    };
    let (mut refused, by_path) = match batch.operations.len() >= MANY {
        true => threads::join(front_end, by_path),
        false => (front_end(), by_path()),
    };
    for (index, refusal) in by_path {
        refused.entry(index).or_insert_with(|| refusal.into());
    }
    let (mut changes, mut verdicts) = match batch.coordinates {
        Coordinates::Original => original::plan(batch, tree, policy, hashing, refused),
        Coordinates::Sequential => sequential::plan(batch, tree, policy, refused),
    };
    change::show_replacements(&mut changes);
    let known = |path: &RelPath| {
        Ok::<_, std::convert::Infallible>(match (tree.link(path), tree.get(path)) {
            (Some(link), _) => Standing::Link(link.bytes().to_vec()),
            (None, Entry::Absent) => Standing::Nothing,
            (None, _) => Standing::Other,
        })
    };
    let Ok(by_facts) = facts::refusals(&changes, policy, known);
    for (index, refusal) in by_facts {
        if verdicts[index].refusal.is_none() {
            verdicts[index].refuse(refusal);
        }
    }
    settle::settle(batch, changes, verdicts, policy)
}
