//! Injection as a script: from a payload or a manifest to located operations.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

use super::{Manifest, Status, Task};
use crate::digest::{Digest, Hasher};
use crate::error::{Code, Refusal};
use crate::operation::{Action, Batch, Labels, Operation};
use crate::order::Payload;
use crate::path::RelPath;
use crate::placeholder::{Injected, Mark, Marked, Marker, Scanner};
use crate::plan::{Entry, Script, Tree};
use crate::threads;

/// Comments to be put above placeholders, in the form that the engine applies.
///
/// It is a [`Script`], so a dry run, a diff, all-or-nothing, events and undo are those of any
/// batch, and a review that notes in the manifest what was injected.
///
/// ```
/// use std::collections::BTreeMap;
/// use patchcore::order::Payload;
/// use patchcore::plan::{self, Script as _};
/// use patchcore::task::{Injection, Manifest};
/// use patchcore::{Policy, RelPath, Tree};
///
/// let path = RelPath::new("a.py")?;
/// let tree = Tree::new().with_file(path.clone(), "# ###INIT###\n");
/// let prompts = BTreeMap::from([("INIT".to_owned(), "start here".to_owned())]);
/// let injection = Injection::of_payload(Payload::new(prompts), vec![path], &Manifest::default());
/// let plan = plan::plan(&*injection.lower(&tree)?, &tree, &Policy::default());
/// let after: Vec<u8> = plan.changes[0].chunks().flatten().copied().collect();
/// assert_eq!(after, b"# agent: start here\n# ###INIT###\n");
/// # Ok::<(), patchcore::Refusal>(())
/// ```
#[derive(Debug)]
pub struct Injection {
    scanner: Scanner,
    wanted: Wanted,
    files: Vec<RelPath>,
    known: Injected,
    what: crate::placeholder::Task,
    overwrite: bool,
    leave_out_missing: bool,
    /// Tasks that name no place at all.
    nowhere: Vec<Missing>,
    labels: Arc<Labels>,
    found: Mutex<Found>,
}

#[derive(Debug)]
enum Wanted {
    Prompts(Payload),
    Tasks(HashMap<RelPath, Vec<Wish>>),
}

/// A task that is to be named above its placeholder.
#[derive(Debug, Clone)]
struct Wish {
    id: String,
    task: String,
    labels: Arc<Labels>,
}

/// What lowering found out.
#[derive(Debug, Default)]
struct Found {
    injected: Injected,
    missing: Vec<Missing>,
    tasks: Vec<Option<String>>,
    /// The ids that stand in some file.
    seen: HashSet<String>,
}

/// A placeholder that was to be marked and does not stand where it should.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Missing {
    /// The placeholder's id.
    pub id: String,
    /// The task that it belongs to.
    pub task: Option<String>,
    /// Why it cannot be marked.
    pub refusal: Refusal,
}

impl Injection {
    /// Puts the prompts of a payload above every placeholder of their ids in these files.
    #[must_use]
    pub fn of_payload(payload: Payload, mut files: Vec<RelPath>, manifest: &Manifest) -> Self {
        files.sort_unstable();
        files.dedup();
        Self::new(Wanted::Prompts(payload), files, manifest)
    }

    /// Names tasks above their placeholders in their files: of all that are not complete, those
    /// that `choose` takes.
    #[must_use]
    pub fn of_tasks(manifest: &Manifest, choose: impl Fn(&Task) -> bool) -> Self {
        let mut wishes: HashMap<RelPath, Vec<Wish>> = HashMap::new();
        let mut nowhere = Vec::new();
        for task in manifest.tasks() {
            let id = task.placeholder();
            if task.status() == Status::Complete || !choose(task) {
                continue;
            }
            let file = match task.file() {
                Ok(file) if !id.is_empty() => file,
                place => {
                    nowhere.push(Missing {
                        id,
                        task: Some(task.uuid().to_owned()),
                        refusal: no_place(task, place),
                    });
                    continue;
                }
            };
            let labels = Labels {
                order_id: task.order_id().or_else(|| manifest.order_id()),
                task_id: Some(task.uuid().to_owned()),
                ..Labels::default()
            };
            wishes.entry(file).or_default().push(Wish {
                id,
                task: task.uuid().to_owned(),
                labels: Arc::new(labels),
            });
        }
        let mut files: Vec<RelPath> = wishes.keys().cloned().collect();
        files.sort_unstable();
        let mut injection = Self::new(Wanted::Tasks(wishes), files, manifest);
        injection.nowhere = nowhere;
        injection
    }

    fn new(wanted: Wanted, files: Vec<RelPath>, manifest: &Manifest) -> Self {
        Self {
            scanner: Scanner::new(),
            wanted,
            files,
            known: manifest.injected().clone(),
            what: crate::placeholder::Task::Inject,
            overwrite: false,
            leave_out_missing: false,
            nowhere: Vec::new(),
            labels: Arc::default(),
            found: Mutex::default(),
        }
    }

    /// Takes placeholders of other syntaxes, too.
    #[must_use]
    pub fn with_scanner(mut self, scanner: Scanner) -> Self {
        self.scanner = scanner;
        self
    }

    /// Labels the operations that have no task of their own.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = Arc::new(labels);
        self
    }

    /// Takes the comments out instead.
    #[must_use]
    pub fn removing(mut self) -> Self {
        self.what = crate::placeholder::Task::Remove;
        self
    }

    /// Replaces comments that were edited by hand, too.
    #[must_use]
    pub fn overwriting(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// Leaves out what does not stand where it should, and lists it in [`missing`](Self::missing),
    /// instead of refusing.
    #[must_use]
    pub fn leaving_out_missing(mut self) -> Self {
        self.leave_out_missing = true;
        self
    }

    /// What was left out.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        self.found().missing.clone()
    }

    /// The task of each operation, in batch order.
    #[must_use]
    pub fn tasks(&self) -> Vec<Option<String>> {
        self.found().tasks.clone()
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().expect("no holder panics")
    }

    fn content(&self) -> Digest {
        let mut hasher = Hasher::default();
        let mut add = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        match &self.wanted {
            Wanted::Prompts(payload) => payload.iter().for_each(|(id, prompt)| {
                add(id);
                add(prompt);
            }),
            Wanted::Tasks(tasks) => {
                for file in &self.files {
                    for wish in &tasks[file] {
                        add(&file.to_string());
                        add(&wish.id);
                        add(&wish.task);
                    }
                }
            }
        }
        hasher.finish()
    }

    /// The tasks that are to be named in a file.
    fn wishes(&self, file: &RelPath) -> &[Wish] {
        match &self.wanted {
            Wanted::Prompts(_) => &[],
            Wanted::Tasks(tasks) => tasks.get(file).map_or(&[], Vec::as_slice),
        }
    }

    /// What is to be done in a file; nothing where there is none.
    fn mark_file(&self, file: &RelPath, tree: &Tree) -> Vec<Marked> {
        let Entry::File(source) = tree.get(file) else {
            return Vec::new();
        };
        let wishes = self.wishes(file);
        let mut marker = Marker::new(&self.scanner, &self.known).doing(self.what);
        if self.overwrite {
            marker = marker.overwriting();
        }
        let mark = |id: &str| match &self.wanted {
            Wanted::Prompts(payload) => payload.get(id).map(|text| Mark::Prompt(text.to_owned())),
            Wanted::Tasks(_) => {
                let wish = wishes.iter().find(|wish| wish.id == id);
                wish.map(|wish| Mark::Task(wish.task.clone()))
            }
        };
        marker.mark(file, source.bytes(), &mark)
    }

    /// The operations on one file.
    fn add_file(
        &self,
        file: &RelPath,
        marked: Vec<Marked>,
        tree: &Tree,
        found: &mut Found,
        out: &mut Vec<Operation>,
    ) {
        let wishes = self.wishes(file);
        let Entry::File(source) = tree.get(file) else {
            self.push_unreadable(file, tree.get(file), wishes, found, out);
            return;
        };
        let mut seen: HashSet<String> = HashSet::new();
        for marked in marked {
            marked.note(&mut found.injected);
            let action = match marked.refusal {
                Some(refusal) => Action::Refused(Box::new(refusal)),
                None => Action::Splice(marked.edits),
            };
            let wish = wishes.iter().find(|wish| wish.id == marked.id);
            out.push(self.operation(file, action, wish));
            found.tasks.push(wish.map(|wish| wish.task.clone()));
            seen.insert(marked.id);
        }
        for wish in wishes.iter().filter(|wish| !seen.contains(&wish.id)) {
            let refusal = not_found(file, &wish.id, &self.scanner, source.bytes());
            self.push_missing(file, wish, refusal, found, out);
        }
        found.seen.extend(seen);
    }

    fn push_unreadable(
        &self,
        file: &RelPath,
        entry: &Entry,
        wishes: &[Wish],
        found: &mut Found,
        out: &mut Vec<Operation>,
    ) {
        let refusal = match entry {
            Entry::Refused(refusal) => (**refusal).clone(),
            _ => Refusal::new(Code::FileNotFound, format!("{file} does not exist")).in_file(file),
        };
        for wish in wishes {
            self.push_missing(file, wish, refusal.clone(), found, out);
        }
    }

    fn push_missing(
        &self,
        file: &RelPath,
        wish: &Wish,
        refusal: Refusal,
        found: &mut Found,
        out: &mut Vec<Operation>,
    ) {
        if self.leave_out_missing {
            found.missing.push(Missing {
                id: wish.id.clone(),
                task: Some(wish.task.clone()),
                refusal,
            });
        } else {
            out.push(self.operation(file, Action::Refused(Box::new(refusal)), Some(wish)));
            found.tasks.push(Some(wish.task.clone()));
        }
    }

    fn operation(&self, file: &RelPath, action: Action, wish: Option<&Wish>) -> Operation {
        let mut operation = Operation::new(file.clone(), action);
        operation.labels = wish.map_or_else(|| self.labels.clone(), |wish| wish.labels.clone());
        operation
    }
}

impl Script for Injection {
    fn paths(&self) -> Vec<RelPath> {
        self.files.clone()
    }

    fn lower(&self, tree: &Tree) -> Result<Cow<'_, Batch>, Refusal> {
        if let (false, Some(missing)) = (self.leave_out_missing, self.nowhere.first()) {
            return Err(missing.refusal.clone());
        }
        let mut found = Found {
            missing: self.nowhere.clone(),
            ..Found::default()
        };
        let mut operations = Vec::new();
        let marked = threads::map(&self.files, |file| self.mark_file(file, tree));
        for (file, marked) in self.files.iter().zip(marked) {
            self.add_file(file, marked, tree, &mut found, &mut operations);
        }
        if let Wanted::Prompts(payload) = &self.wanted {
            let seen = std::mem::take(&mut found.seen);
            let missing = payload.iter().filter(|(id, _)| !seen.contains(*id));
            found.missing.extend(missing.map(|(id, _)| Missing {
                id: id.to_owned(),
                task: None,
                refusal: nowhere(&[id]),
            }));
            if !self.leave_out_missing && !found.missing.is_empty() {
                let ids: Vec<&str> = found.missing.iter().map(|missing| &*missing.id).collect();
                return Err(nowhere(&ids));
            }
        }
        // Without files there is nothing to find out: only the operations' number is asked for.
        if tree.iter().next().is_some() || self.files.is_empty() {
            *self.found() = found;
        }
        let mut batch = Batch::new(operations, self.content());
        batch.labels = self.labels.clone();
        Ok(Cow::Owned(batch))
    }
}

#[cfg(feature = "workspace")]
impl crate::workspace::Review for Injection {
    /// Notes in the manifest what is injected. The task rules have nothing to say here: a comment
    /// takes no placeholder away.
    fn review(
        &self,
        _: &Batch,
        _: &Tree,
        plan: crate::plan::Plan,
        tasks: Option<&[u8]>,
    ) -> Result<crate::workspace::Reviewed, Refusal> {
        let mut manifest = Manifest::parse_or_default(tasks)?;
        let injected = std::mem::take(&mut self.found().injected);
        let changed =
            self.what == crate::placeholder::Task::Inject && manifest.add_injected(injected);
        let tasks = changed.then(|| manifest.to_bytes());
        Ok(crate::workspace::Reviewed { plan, tasks })
    }
}

/// Why a task cannot be looked for.
fn no_place(task: &Task, file: Result<RelPath, Refusal>) -> Refusal {
    match file {
        Err(mut refusal) => {
            refusal.message = format!("task {}: {}", task.uuid(), refusal.message);
            refusal
        }
        Ok(file) => {
            let message = format!("task {} names no placeholder of {file}", task.uuid());
            Refusal::new(Code::PlaceholderNotFound, message).in_file(file)
        }
    }
}

fn nowhere(ids: &[&str]) -> Refusal {
    let shown = ids[..ids.len().min(5)].join(", ");
    let more = match ids.len() {
        0..=5 => String::new(),
        n => format!(" and {} more", n - 5),
    };
    let noun = if ids.len() == 1 {
        "placeholder"
    } else {
        "placeholders"
    };
    let stand = if ids.len() == 1 { "stands" } else { "stand" };
    Refusal::new(
        Code::PlaceholderNotFound,
        format!(
            "{noun} {shown}{more} {stand} in none of the files; take them out of the payload, or use --partial"
        ),
    )
}

/// The refusal for a placeholder that a file does not bear; it lists those that it does.
#[must_use]
pub fn not_found(file: &RelPath, id: &str, scanner: &Scanner, bytes: &[u8]) -> Refusal {
    let message = format!("{file} bears no placeholder {id}");
    let mut refusal = Refusal::new(Code::PlaceholderNotFound, message).in_file(file);
    let text = crate::text::Text::new(bytes);
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for placeholder in scanner.find(bytes) {
        others
            .entry(placeholder.id)
            .or_insert(placeholder.span.start);
    }
    for (other, at) in others {
        refusal = refusal.with_candidate(Some(text.line_at(at)), other.as_bytes());
    }
    refusal
}
