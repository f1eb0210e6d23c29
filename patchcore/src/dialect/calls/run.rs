//! Carries the steps out, each on the text that those before it left.

use std::collections::HashMap;
use std::sync::Arc;

use super::lines::Move;
use super::{Act, Calls, Patch, Step};
use crate::dialect::desk::Desk;
use crate::dialect::exact::{self, Find, Matches};
use crate::dialect::{minimal_edit, whole};
use crate::edit::Edit;
use crate::error::{Code, Refusal};
use crate::locate::ladder::Rungs;
use crate::locate::landed::Landed;
use crate::operation::{Action, Allowance, Batch, Coordinates, Operation};
use crate::path::RelPath;
use crate::plan::omission;
use crate::plan::{Entry, Lowered, Script, SharedBytes, Tree};
use crate::text::{LineNumber, Text};

/// What takes back each step so far, for the files of which a step is taken back.
struct History(HashMap<RelPath, Vec<Back>>);

/// What takes back a step on a file.
enum Back {
    /// The edit, if anything was changed.
    Edit(Option<Edit>),
    /// The file was not there.
    Delete,
}

impl History {
    fn of(calls: &Calls) -> Self {
        let undone = calls
            .steps
            .iter()
            .filter(|step| matches!(step.act, Act::Undo));
        let paths = undone.filter_map(|step| step.path.clone());
        Self(paths.map(|path| (path, Vec::new())).collect())
    }

    /// The files that a step may change, of those that matter, as they are before it.
    fn before(&self, step: &Step, desk: &Desk<'_>) -> Vec<(RelPath, Option<SharedBytes>)> {
        let paths = match &step.act {
            _ if self.0.is_empty() => Vec::new(),
            Act::Undo => Vec::new(),
            Act::Patch(patch) => patch.parsed().paths(),
            _ => step.path.iter().cloned().collect(),
        };
        let kept = paths.into_iter().filter(|path| self.0.contains_key(path));
        let texts = kept.map(|path| {
            let text = text_at(&path, desk);
            (path, text)
        });
        texts.collect()
    }

    /// Keeps what takes back a step that was carried out.
    fn record(&mut self, before: Vec<(RelPath, Option<SharedBytes>)>, desk: &Desk<'_>) {
        for (path, before) in before {
            let back = match (before, text_at(&path, desk)) {
                (None, _) => Back::Delete,
                (Some(before), Some(now)) => Back::Edit(minimal_edit(&now, &before)),
                (Some(_), None) => Back::Edit(None),
            };
            self.0.entry(path).or_default().push(back);
        }
    }
}

/// What the edits of a file before have done to its lines.
type Moves = HashMap<RelPath, Vec<Move>>;

/// A patch that is all of its input.
pub(super) fn alone<'a>(script: &dyn Script, tree: &Tree) -> Result<Lowered<'a>, Refusal> {
    let lowered = script.lower(tree)?;
    let mut owned: Lowered<'a> = lowered.batch.into_owned().into();
    owned.notes = lowered.notes;
    Ok(owned)
}

/// Locates the steps in a tree.
pub(super) fn run(calls: &Calls, tree: &Tree) -> Batch {
    let mut desk = Desk::new(tree).growing_up_to(calls.options.max_growth);
    let mut history = History::of(calls);
    let mut moves = Moves::new();
    let has_lines = calls.steps.iter().any(|step| step.lines.is_some());
    for (index, step) in calls.steps.iter().enumerate() {
        let name = format!("edit {}", index + 1);
        let before = desk.len();
        let texts = history.before(step, &desk);
        match (&step.act, &step.path) {
            (Act::Patch(patch), _) => {
                patched(patch, step, &moves, &mut desk);
                history.record(texts, &desk);
            }
            (Act::Undo, Some(path)) if desk.is_spoiled(path) => desk.skip(path),
            (_, Some(path)) => {
                let step = Running {
                    calls,
                    step,
                    path,
                    name: &name,
                    moves: moves.get(path).map(Vec::as_slice).unwrap_or_default(),
                };
                let old = if has_lines {
                    text_at(path, &desk)
                } else {
                    None
                };
                if desk.is_spoiled(path) {
                    desk.judge_apart(path, |desk| step.run(desk, &mut history));
                } else {
                    match step.run(&mut desk, &mut history) {
                        Ok(()) => history.record(texts, &desk),
                        Err(refusal) => desk.refuse(path, refusal),
                    }
                }
                if let Some(old) = old
                    && let Some(new) = text_at(path, &desk)
                {
                    let all = moves.entry(path.clone()).or_default();
                    all.push(Move::between(&old, &new));
                }
            }
            (_, None) => {}
        }
        desk.note(before, &step.notes);
        desk.hold_to(before, step.base);
        desk.allow(before, &step.allow);
    }
    desk.into_batch(calls.content)
}

fn text_at(path: &RelPath, desk: &Desk<'_>) -> Option<SharedBytes> {
    desk.text(path).ok().flatten()
}

struct Running<'r> {
    calls: &'r Calls,
    step: &'r Step,
    path: &'r RelPath,
    name: &'r str,
    moves: &'r [Move],
}

impl Running<'_> {
    fn check(&self, new: &str, old: &[u8]) -> Result<(), Refusal> {
        let options = &self.calls.options;
        let allowed = self.step.allow.contains(&Allowance::Omission) && !options.forbid_omission;
        match options.allow_omission || allowed {
            true => Ok(()),
            false => omission::check_new(self.path, new.as_bytes(), old),
        }
    }

    fn run(&self, desk: &mut Desk<'_>, history: &mut History) -> Result<(), Refusal> {
        let (path, name) = (self.path, self.name);
        let before = desk.text(path)?;
        let exists = |message| Err(Refusal::new(Code::FileExists, message).in_file(path));
        match &self.step.act {
            Act::Create(_) if before.is_some() => {
                return exists(format!(
                    "{name} creates {path}, which exists already; change it with str_replace"
                ));
            }
            Act::Create(text) => {
                self.check(text, b"")?;
                desk.write(path, text.clone().into_bytes(), whole::Form::OfFile)?;
            }
            Act::Write(text, form) => {
                self.check(text, before.as_deref().unwrap_or_default())?;
                desk.write(path, text.clone().into_bytes(), *form)?;
            }
            Act::Replace {
                new,
                may_create: true,
                ..
            } => {
                if before.as_ref().is_some_and(|text| !text.is_empty()) {
                    return exists(format!(
                        "{name} has nothing to find, which creates a file, and {path} exists already"
                    ));
                }
                self.check(new, b"")?;
                desk.write(path, new.clone().into_bytes(), whole::Form::OfFile)?;
            }
            Act::Replace {
                old, new, matches, ..
            } => self.replace(old, new, *matches, desk)?,
            Act::Insert { line, text } => {
                self.check(text, b"")?;
                let edit = insert(&desk.file(path)?, *line, text, path, name)?;
                if *line == 0 {
                    desk.splice(path, vec![edit], None)?;
                } else {
                    desk.splice_bare(path, vec![edit], None)?;
                }
            }
            Act::Append(text) => {
                let count = |file: &Text<'_>| file.line_count() as u64;
                self.add(text, count, desk)?;
            }
            Act::Prepend(text) => {
                let above =
                    |file: &Text<'_>| u64::from(file.bytes()[file.bom_len()..].starts_with(b"#!"));
                self.add(text, above, desk)?;
            }
            Act::Undo => undo(path, name, desk, history.0.entry(path.clone()).or_default())?,
            Act::Delete => desk.delete(path, None)?,
            Act::Rename(to) => desk.rename(path, to)?,
            Act::Patch(_) => {}
        }
        Ok(())
    }

    /// Adds lines below so many of the file.
    fn add(
        &self,
        text: &str,
        below: impl Fn(&Text<'_>) -> u64,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refusal> {
        self.check(text, b"")?;
        let file = desk.file(self.path)?;
        let line = below(&Text::new(&file));
        let text = text.strip_suffix('\n').unwrap_or(text);
        let edit = insert(&file, line, text, self.path, self.name)?;
        desk.splice(self.path, vec![edit], None)
    }

    fn replace(
        &self,
        old: &str,
        new: &str,
        matches: Matches,
        desk: &mut Desk<'_>,
    ) -> Result<(), Refusal> {
        self.check(new, old.as_bytes())?;
        let text = desk.file(self.path)?;
        let find = Find {
            old,
            new,
            matches,
            rungs: Rungs::of(self.calls.options.strict),
        };
        let landed = desk.settle(self.path, find.landed(&text), find.edit());
        if let Landed::Yes(place) = landed {
            return desk.landed(self.path, place.line);
        }
        let repeat = |places| desk.repeat(self.path, new.len(), places);
        let (edits, matched) = exact::edits(&text, &find, self.path, self.name, repeat)
            .map_err(|refusal| desk.gone(self.path, old.as_bytes(), refusal))?;
        if let Some(lines) = &self.step.lines {
            lines.check(&text, &edits, self.moves, self.path)?;
        }
        desk.splice_found(self.path, edits, matched)
    }
}

/// A patch among other steps, on the files as they are by then.
fn patched(patch: &Patch, step: &Step, moves: &Moves, desk: &mut Desk<'_>) {
    let script = patch.parsed();
    let mut tree = Tree::new();
    let paths = script.paths();
    for path in &paths {
        match desk.text(path) {
            Ok(Some(text)) => tree = tree.with_file(path.clone(), text.to_vec()),
            Ok(None) => {}
            Err(refusal) => tree.insert(path.clone(), Entry::Refused(Box::new(refusal))),
        }
    }
    let lowered = match script.lower(&tree) {
        Ok(lowered) => lowered.batch.into_owned(),
        Err(refusal) => {
            if let Some(path) = paths.first() {
                desk.refuse(path, refusal);
            }
            return;
        }
    };
    let joins = lowered.coordinates == Coordinates::Original;
    let mut operations = lowered.operations.into_iter().peekable();
    while let Some(mut operation) = operations.next() {
        // Edits of one file speak of one text.
        while joins
            && let Action::Splice(edits) = &mut operation.action
            && let Some(next) = operations.next_if(|next| {
                next.file == operation.file && matches!(next.action, Action::Splice(_))
            })
            && let Action::Splice(more) = next.action
        {
            edits.extend(more);
        }
        let path = operation.file.clone();
        if desk.is_spoiled(&path) {
            desk.skip(&path);
        } else if let Some(lines) = &step.lines
            && let Action::Splice(edits) = &operation.action
            && let Some(text) = text_at(&path, desk)
            && let moves = moves.get(&path).map(Vec::as_slice).unwrap_or_default()
            && let Err(refusal) = lines.check(&text, edits, moves, &path)
        {
            desk.refuse(&path, refusal);
        } else if let Err(refusal) = carry_out(operation, desk) {
            desk.refuse(&path, refusal);
        }
    }
}

fn carry_out(operation: Operation, desk: &mut Desk<'_>) -> Result<(), Refusal> {
    let path = operation.file;
    match operation.action {
        Action::Splice(edits) => {
            if operation.bare {
                desk.splice_bare(&path, edits, operation.reading.note.clone())?;
            } else {
                desk.splice(&path, edits, operation.reading.note.clone())?;
            }
            desk.mark(operation.matched, operation.rewrites);
            Ok(())
        }
        Action::CreateFile { content, .. } => desk.write(&path, content, whole::Form::Verbatim),
        Action::DeleteFile { .. } => desk.delete(&path, operation.reading.note.clone()),
        Action::RenameFile { to } => desk.rename(&path, &to),
        Action::Refused(refusal) => Err(Arc::unwrap_or_clone(refusal)),
        _ => {
            let message = format!(
                "the patch changes {path} in a way that cannot be combined with other calls; send it separately"
            );
            Err(Refusal::new(Code::InvalidBatch, message).in_file(&path))
        }
    }
}

/// Lines behind line number `line`; 0 is before the first.
fn insert(bytes: &[u8], line: u64, new: &str, path: &RelPath, name: &str) -> Result<Edit, Refusal> {
    let text = Text::new(bytes);
    let count = text.line_count() as u64;
    if line > count {
        return Err(Refusal::new(
            Code::LineOutOfRange,
            format!("{name} inserts after line {line} of {path}, which has {count} lines"),
        )
        .in_file(path));
    }
    let at = match LineNumber::new(line) {
        None => text.bom_len(),
        Some(above) => text.line(above).map_or(bytes.len(), |span| span.end),
    };
    let ending = text.ending_near(at).as_bytes();
    let open = at == bytes.len() && !text.ends_in_newline();
    let mut inserted = Vec::new();
    for line in new.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).as_bytes();
        if open {
            inserted.extend_from_slice(ending);
            inserted.extend_from_slice(line);
        } else {
            inserted.extend_from_slice(line);
            inserted.extend_from_slice(ending);
        }
    }
    Ok(Edit::insert(at, inserted))
}

/// Takes back the last step of this patch on the file.
fn undo(
    path: &RelPath,
    name: &str,
    desk: &mut Desk<'_>,
    history: &mut Vec<Back>,
) -> Result<(), Refusal> {
    match history.pop() {
        Some(Back::Edit(edit)) => desk.splice(path, edit.into_iter().collect(), None),
        Some(Back::Delete) => desk.delete(path, None),
        None => Err(Refusal::new(
            Code::InvalidBatch,
            format!("{name} takes back an edit of {path}, and the patch has none before it; take back an earlier transaction with `patchctl undo`"),
        )
        .in_file(path)),
    }
}
