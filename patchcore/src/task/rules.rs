//! What the manifest demands of a batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Manifest, Task, TaskStatus};
use crate::error::{Code, Hint, Refusal};
use crate::operation::{Action, Batch};
use crate::path::RelPath;
use crate::placeholder::{Balance, Scanner};
use crate::plan::{ChangeKind, FileChange, Plan, Policy};

/// The rules for the tasks that operations name, and for the placeholders of all others.
///
/// - An operation's task is in the manifest (`TASK_UNKNOWN`) and open (`TASK_CLOSED`).
/// - It touches no file that belongs to other tasks and not to it (`TASK_FILE_MISMATCH`).
/// - No operation takes away the placeholder of a task, unless it is its own or complete
///   (`PLACEHOLDER_LOST`). One that stands elsewhere afterwards was moved, not lost.
/// - With [`require_task`](Self::require_task), each operation names a task (`TASK_REQUIRED`).
///
/// A manifest without tasks sets none of the first three.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    policy: Policy,
    scanner: Scanner,
    require_task: bool,
}

impl Rules {
    /// The rules under the policy that the batch is planned with.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            ..Self::default()
        }
    }

    /// Refuses operations that name no task.
    #[must_use]
    pub fn require_task(mut self) -> Self {
        self.require_task = true;
        self
    }

    /// Takes placeholders of other syntaxes for placeholders, too.
    #[must_use]
    pub fn with_scanner(mut self, scanner: Scanner) -> Self {
        self.scanner = scanner;
        self
    }

    /// Judges a plan: what breaks a rule is refused, and with it what it takes along.
    #[must_use]
    pub fn judge(&self, manifest: &Manifest, batch: &Batch, plan: Plan) -> Plan {
        let mut refusals = self.operations(manifest, batch);
        for (index, refusal) in self.placeholders(manifest, batch, &plan.changes) {
            refusals.entry(index).or_insert(refusal);
        }
        plan.refuse(batch, refusals, &self.policy)
    }

    fn operations(&self, manifest: &Manifest, batch: &Batch) -> BTreeMap<usize, Refusal> {
        let owners = Owners::new(manifest);
        let mut refusals = BTreeMap::new();
        for (index, operation) in batch.operations.iter().enumerate() {
            let refused = match task_of(batch, index) {
                None if self.require_task => Some(Refusal::new(
                    Code::TaskRequired,
                    format!(
                        "operation {index} on {} names no task; give its \"task_id\"",
                        operation.file
                    ),
                )),
                Some(id) if !manifest.tasks().is_empty() => match manifest.require(id) {
                    Err(refusal) => Some(refusal),
                    Ok(task) => closed(task)
                        .or_else(|| owners.mismatch(task, &operation.file, &operation.action)),
                },
                _ => None,
            };
            if let Some(refusal) = refused {
                refusals.insert(index, refusal.in_file(&operation.file));
            }
        }
        refusals
    }

    fn placeholders(
        &self,
        manifest: &Manifest,
        batch: &Batch,
        changes: &[FileChange],
    ) -> Vec<(usize, Refusal)> {
        // The tasks that still need their placeholders, by file.
        let mut waiting: HashMap<RelPath, Vec<&Task>> = HashMap::new();
        for task in manifest.tasks() {
            if task.status().as_str() != "complete"
                && !task.placeholder().is_empty()
                && let Ok(path) = task.file()
            {
                waiting.entry(path).or_default().push(task);
            }
        }
        if waiting.is_empty() {
            return Vec::new();
        }
        let mut sum = Balance::default();
        let mut lost: Vec<(&FileChange, &Task)> = Vec::new();
        for change in changes {
            let balance = Balance::of(&self.scanner, change.source_bytes(), &change.edits);
            if change.kind == crate::plan::ChangeKind::Copied {
                sum.add_text(&self.scanner, change.source_bytes());
            }
            sum.add(&balance);
            if balance.is_kept() {
                continue;
            }
            let here = waiting.get(change.from.as_ref().unwrap_or(&change.path));
            for task in here.into_iter().flatten() {
                if balance.get(&task.placeholder()) < 0 {
                    lost.push((change, task));
                }
            }
        }
        let mut refusals = Vec::new();
        for (change, task) in lost {
            let id = task.placeholder();
            if sum.get(&id) >= 0 {
                continue;
            }
            for index in self.guilty(batch, change, task, &id) {
                let message = format!(
                    "operation {index} takes placeholder {id} of task {} out of {}; keep it, or work under that task",
                    task.uuid(),
                    change.path
                );
                refusals.push((
                    index,
                    Refusal::new(Code::PlaceholderLost, message).in_file(&change.path),
                ));
            }
        }
        refusals
    }

    /// The operations that took a placeholder away, unless one of them works for its task.
    fn guilty(&self, batch: &Batch, change: &FileChange, task: &Task, id: &str) -> BTreeSet<usize> {
        let mut guilty = BTreeSet::new();
        let parts = Balance::parts(&self.scanner, change.source_bytes(), &change.edits);
        for (edits, balance) in parts {
            if balance.get(id) >= 0 {
                continue;
            }
            let mut operations: BTreeSet<usize> = change
                .touches
                .iter()
                .filter(|touch| edits.contains(&touch.edit))
                .map(|touch| touch.operation)
                .collect();
            if operations.is_empty() {
                let all = batch.operations.iter().enumerate();
                operations.extend(
                    all.filter(|(_, operation)| operation.file == change.path)
                        .map(|(index, _)| index),
                );
            }
            let is_own = |&index: &usize| task_of(batch, index) == Some(task.uuid());
            if !operations.iter().any(is_own) {
                guilty.append(&mut operations);
            }
        }
        guilty
    }
}

#[cfg(feature = "workspace")]
impl crate::plan::Review for Rules {
    fn review(
        &self,
        lowered: &crate::plan::Lowered<'_>,
        _: &crate::plan::Tree,
        plan: &mut Plan,
        tasks: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        // A manifest may hold no more than what was injected: that is not read for nothing.
        let has_tasks =
            tasks.is_some_and(|bytes| memchr::memmem::find(bytes, b"\"uuid\"").is_some());
        if has_tasks || self.require_task {
            let manifest = Manifest::parse_or_default(tasks)?;
            let unjudged = std::mem::replace(plan, Plan::new(Vec::new(), Vec::new()));
            *plan = self.judge(&manifest, &lowered.batch, unjudged);
        }
        Ok(None)
    }
}

/// The task that an operation works for.
fn task_of(batch: &Batch, index: usize) -> Option<&str> {
    let own = batch.operations[index].labels.task_id.as_deref();
    own.or(batch.labels.task_id.as_deref())
}

fn closed(task: &Task) -> Option<Refusal> {
    let status = task.status();
    (!status.is_open()).then(|| {
        Refusal::new(
            Code::TaskClosed,
            format!(
                "task {} is {status}; start it again to work on it",
                task.uuid()
            ),
        )
    })
}

/// Which tasks a file belongs to.
struct Owners<'a>(HashMap<RelPath, Vec<&'a str>>);

impl<'a> Owners<'a> {
    fn new(manifest: &'a Manifest) -> Self {
        let mut owners: HashMap<RelPath, Vec<&str>> = HashMap::new();
        for task in manifest.tasks() {
            if let Ok(path) = task.file() {
                owners.entry(path).or_default().push(task.uuid());
            }
        }
        Self(owners)
    }

    fn mismatch(&self, task: &Task, file: &RelPath, action: &Action) -> Option<Refusal> {
        let touched = match action {
            Action::RenameFile { to } => vec![file, to],
            // What is copied stays as it is.
            Action::CopyFile { to } => vec![to],
            _ => vec![file],
        };
        touched.into_iter().find_map(|path| {
            let owners = self.0.get(path)?;
            if owners.contains(&task.uuid()) {
                return None;
            }
            let message = format!(
                "{path} belongs to task {}, not to {}; its file is {:?}",
                owners[0],
                task.uuid(),
                task.file_path()
            );
            Some(Refusal::new(Code::TaskFileMismatch, message))
        })
    }
}

/// Whether a rule holds even against the operator's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forced {
    /// The rule holds.
    #[default]
    No,
    /// The operator knows better.
    Yes,
}

/// Opens the completed tasks again whose placeholders changes bring back; their ids.
pub fn reopen(manifest: &mut Manifest, scanner: &Scanner, changes: &[FileChange]) -> Vec<String> {
    let is_back = |task: &Task| {
        let (id, Ok(path)) = (task.placeholder(), task.file()) else {
            return false;
        };
        let mut here = changes.iter().filter(|change| change.path == path);
        here.any(|change| {
            let arrives = change.from.as_ref().is_some_and(|from| *from != path);
            let holds = || {
                let bytes = change.chunks().collect::<Vec<_>>().concat();
                scanner.find(&bytes).iter().any(|found| found.id == id)
            };
            let gains = || Balance::of(scanner, change.source_bytes(), &change.edits).get(&id) > 0;
            change.after.is_some() && if arrives { holds() } else { gains() }
        })
    };
    let completed = manifest.tasks().iter().filter(|task| {
        task.status() == TaskStatus::Complete && !task.placeholder().is_empty() && is_back(task)
    });
    let back: Vec<String> = completed.map(|task| task.uuid().to_owned()).collect();
    for uuid in &back {
        if let Some(task) = manifest.get_mut(uuid) {
            task.set_status(TaskStatus::Pending);
        }
    }
    back
}

/// Completes the tasks again that were complete before, are open since their placeholders came back,
/// and whose placeholders changes take away again; their ids.
pub fn complete_again(
    manifest: &mut Manifest,
    before: &Manifest,
    scanner: &Scanner,
    changes: &[FileChange],
) -> Vec<String> {
    let was_complete = |task: &Task| {
        let then = before.get(task.uuid());
        then.is_some_and(|then| then.status() == TaskStatus::Complete)
    };
    let is_gone = |task: &Task| {
        let (id, Ok(path)) = (task.placeholder(), task.file()) else {
            return false;
        };
        changes.iter().any(|change| {
            let leaves = change.kind == ChangeKind::Renamed && change.from.as_ref() == Some(&path);
            let loses = || Balance::of(scanner, change.source_bytes(), &change.edits).get(&id) < 0;
            leaves || (change.path == path && (change.after.is_none() || loses()))
        })
    };
    let open = manifest.tasks().iter().filter(|task| {
        task.status() == TaskStatus::Pending
            && !task.placeholder().is_empty()
            && was_complete(task)
            && is_gone(task)
    });
    let gone: Vec<String> = open.map(|task| task.uuid().to_owned()).collect();
    for uuid in &gone {
        if let Some(task) = manifest.get_mut(uuid) {
            task.set_status(TaskStatus::Complete);
        }
    }
    gone
}

/// Whether a task may be completed: its placeholder no longer stands in its file, whose bytes are
/// given (`None` where it does not exist).
///
/// # Errors
/// `TASK_UNFINISHED` where it still stands, and nobody forces it.
pub fn check_completion(
    task: &Task,
    scanner: &Scanner,
    bytes: Option<&[u8]>,
    forced: Forced,
) -> Result<(), Refusal> {
    let id = task.placeholder();
    let Some(bytes) = bytes.filter(|_| forced == Forced::No && !id.is_empty()) else {
        return Ok(());
    };
    let found = scanner.find(bytes);
    let Some(position) = found.iter().position(|placeholder| placeholder.id == id) else {
        return Ok(());
    };
    let line = crate::text::Text::new(bytes).line_at(found[position].span.start);
    let path = task.file_path();
    let message = format!(
        "placeholder {id} of task {} is still at {path} line {line}; replace it first",
        task.uuid()
    );
    let refusal = Refusal::new(Code::TaskUnfinished, message).with_hint(Hint::Force);
    Err(refusal.in_file(path).at_line(line))
}
