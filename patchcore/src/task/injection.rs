//! Injection as a script: from a payload or a manifest to located operations.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{Manifest, Task, TaskStatus};
use crate::digest::{Digest, Hasher};
use crate::error::{Code, Hint, Refusal};
use crate::operation::{Action, Batch, Labels, Operation};
use crate::order::Payload;
use crate::path::RelPath;
use crate::placeholder::{Injected, Mark, MarkMode, Marked, Marker, Scanner};
use crate::plan::{Entry, Lowered, Missing, Notes, Script, Tree};
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
/// let plan = plan::plan(&injection.lower(&tree)?.batch, &tree, &Policy::default());
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
    mode: MarkMode,
    overwrite: bool,
    leave_out_missing: bool,
    /// Tasks that name no place at all.
    nowhere: Vec<Missing>,
    labels: Arc<Labels>,
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
            if task.status() == TaskStatus::Complete || !choose(task) {
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
            mode: MarkMode::Inject,
            overwrite: false,
            leave_out_missing: false,
            nowhere: Vec::new(),
            labels: Arc::default(),
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
        self.mode = MarkMode::Remove;
        self
    }

    /// Replaces comments that were edited by hand, too.
    #[must_use]
    pub fn overwriting(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// Leaves out what does not stand where it should, and lists it in the [notes](Lowered::notes), instead
    /// of refusing.
    #[must_use]
    pub fn leaving_out_missing(mut self) -> Self {
        self.leave_out_missing = true;
        self
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
        let mut marker = Marker::new(&self.scanner, &self.known).in_mode(self.mode);
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

    fn operation(&self, file: &RelPath, action: Action, wish: Option<&Wish>) -> Operation {
        let labels = wish.map_or(&self.labels, |wish| &wish.labels);
        Operation::with_labels(file.clone(), action, Arc::clone(labels))
    }
}

/// The operations and notes of an injection, file by file.
struct Lowering<'a> {
    injection: &'a Injection,
    operations: Vec<Operation>,
    notes: Notes,
    /// The ids that were found in some file.
    seen: HashSet<String>,
}

impl Lowering<'_> {
    fn add_file(&mut self, file: &RelPath, marked: Vec<Marked>, entry: &Entry) {
        let wishes = self.injection.wishes(file);
        let source = match entry {
            Entry::File(source) => source,
            Entry::Refused(refusal) => return self.add_missing(file, wishes, refusal),
            Entry::Absent => {
                let message = format!("{file} does not exist");
                let refusal = Refusal::new(Code::FileNotFound, message).in_file(file);
                return self.add_missing(file, wishes, &refusal);
            }
        };
        let mut seen: HashSet<String> = HashSet::new();
        for marked in marked {
            marked.note(&mut self.notes.injected);
            let action = match marked.refusal {
                Some(refusal) => Action::Refused(refusal.into()),
                None => Action::Splice(marked.edits),
            };
            let wish = wishes.iter().find(|wish| wish.id == marked.id);
            self.operations
                .push(self.injection.operation(file, action, wish));
            seen.insert(marked.id);
        }
        for wish in wishes.iter().filter(|wish| !seen.contains(&wish.id)) {
            let refusal = not_found(file, &wish.id, &self.injection.scanner, source.bytes());
            self.add_missing(file, std::slice::from_ref(wish), &refusal);
        }
        self.seen.extend(seen);
    }

    /// What cannot be marked is left out or refused.
    fn add_missing(&mut self, file: &RelPath, wishes: &[Wish], refusal: &Refusal) {
        for wish in wishes {
            if self.injection.leave_out_missing {
                self.notes.missing.push(Missing {
                    id: wish.id.clone(),
                    task: Some(wish.task.clone()),
                    refusal: refusal.clone(),
                });
            } else {
                let action = Action::Refused(refusal.clone().into());
                self.operations
                    .push(self.injection.operation(file, action, Some(wish)));
            }
        }
    }

    /// Prompts whose placeholder is in none of the files.
    fn check_all_seen(&mut self, payload: &Payload) -> Result<(), Refusal> {
        let ids = payload.iter().map(|(id, _)| id);
        let missing: Vec<&str> = ids.filter(|id| !self.seen.contains(*id)).collect();
        if !missing.is_empty() && !self.injection.leave_out_missing {
            return Err(nowhere(&missing));
        }
        self.notes
            .missing
            .extend(missing.into_iter().map(|id| Missing {
                id: id.to_owned(),
                task: None,
                refusal: nowhere(&[id]),
            }));
        Ok(())
    }
}

impl Script for Injection {
    fn paths(&self) -> Vec<RelPath> {
        self.files.clone()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        if let (false, Some(missing)) = (self.leave_out_missing, self.nowhere.first()) {
            return Err(missing.refusal.clone());
        }
        let mut lowering = Lowering {
            injection: self,
            operations: Vec::new(),
            notes: Notes::default(),
            seen: HashSet::new(),
        };
        lowering.notes.missing.clone_from(&self.nowhere);
        let marked = threads::map(&self.files, |file| self.mark_file(file, tree));
        for (file, marked) in self.files.iter().zip(marked) {
            lowering.add_file(file, marked, tree.get(file));
        }
        if let Wanted::Prompts(payload) = &self.wanted {
            lowering.check_all_seen(payload)?;
        }
        let mut batch = Batch::new(lowering.operations, self.content());
        batch.labels = self.labels.clone();
        let mut lowered = Lowered::from(batch);
        lowered.notes = lowering.notes;
        Ok(lowered)
    }
}

#[cfg(feature = "workspace")]
impl crate::plan::Review for Injection {
    /// Notes in the manifest what is injected. The task rules have nothing to say here: a comment
    /// takes no placeholder away.
    fn review(
        &self,
        lowered: &Lowered<'_>,
        _: &Tree,
        _: &mut crate::plan::Plan,
        tasks: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, Refusal> {
        let mut manifest = Manifest::parse_or_default(tasks)?;
        let changed =
            self.mode == MarkMode::Inject && manifest.add_injected(lowered.notes.injected.clone());
        Ok(changed.then(|| manifest.to_bytes()))
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
    Refusal::new(
        Code::PlaceholderNotFound,
        format!("{noun} {shown}{more} not found in any file; remove them from the payload"),
    )
    .with_hint(Hint::Partial)
}

/// The refusal for a placeholder that is not in a file; it lists those that are.
#[must_use]
pub fn not_found(file: &RelPath, id: &str, scanner: &Scanner, bytes: &[u8]) -> Refusal {
    let message = format!("placeholder {id} not found in {file}");
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
