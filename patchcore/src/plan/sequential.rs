//! Planning in sequential coordinates: each address speaks of the tree as the operations before it
//! left it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::anchor::Resolver;
use crate::diff::LineStats;
use crate::digest::Digest;
use crate::edit::{Edit, EditSet};
use crate::error::{Code, Hint, Refusal};
use crate::operation::{Action, Batch, Operation};
use crate::path::RelPath;
use crate::text::Text;

use super::assemble::{assemble, find_clashes};
use super::content::{self, Places};
use super::encoding;
use super::find::Finds;
use super::growth::Terms;
use super::history::History;
use super::names::{changed, check_deletion, has_gone, has_moved};
use super::position;
use super::stage::{self, Onto, Slot};
use super::{After, ChangeKind, FileChange, Outcome, Policy, Source, Tree, Verdict};

/// Steps and edits that copies may take over from what they are copied from, in all: about a second.
const HISTORY_BUDGET: usize = 1_000_000;

type Stage<'t> = stage::Stage<'t, History>;
type Current = stage::Current<History>;

/// Plans operation by operation; see [`super::original::plan`].
pub(super) fn plan(
    batch: &Batch,
    tree: &Tree,
    policy: &Policy,
    mut refused: HashMap<usize, Arc<Refusal>>,
) -> (Vec<FileChange>, Vec<Verdict>) {
    let terms = Terms::of(policy, tree);
    let mut planner = Planner {
        stage: Stage::new(tree, Arc::clone(&terms.work)),
        operations: &batch.operations,
        terms,
        copied: HashSet::new(),
        inherited: 0,
    };
    let mut verdicts = Vec::with_capacity(batch.operations.len());
    for (index, operation) in batch.operations.iter().enumerate() {
        let mut verdict = Verdict::passed(batch, operation);
        if let Action::DeleteFile { expect: None } = operation.action {
            verdict.guarded = operation.base.is_some();
        }
        let mut named = [Some(&operation.file), target(operation)]
            .into_iter()
            .flatten();
        if named.any(|path| planner.stage.is_spoiled(path)) {
            verdict.outcome = match operation.apart {
                true => Outcome::NotApplied,
                false => Outcome::NotEvaluated,
            };
        } else {
            let replaced = planner.stands_in_the_way(operation);
            let step = match refused.remove(&index) {
                Some(refusal) => Err(refusal),
                None => planner
                    .step(index, operation, &mut verdict)
                    .map_err(Arc::new),
            };
            match step {
                Ok(true) => {
                    if let Some(path) = replaced {
                        verdict.add_note(format!("replaces {path}"));
                    }
                }
                Ok(false) => verdict.outcome = Outcome::AlreadyApplied,
                Err(refusal) => {
                    verdict.refuse(refusal);
                    planner.stage.spoil(&operation.file);
                    target(operation)
                        .into_iter()
                        .for_each(|to| planner.stage.spoil(to));
                }
            }
        }
        verdicts.push(verdict);
    }
    let changes = changes(planner.stage, tree, &mut verdicts);
    (changes, verdicts)
}

/// The other path that an operation names.
fn target(operation: &Operation) -> Option<&RelPath> {
    match &operation.action {
        Action::RenameFile { to } | Action::CopyFile { to } => Some(to),
        _ => None,
    }
}

struct Planner<'a> {
    stage: Stage<'a>,
    operations: &'a [Operation],
    terms: Terms<'a>,
    /// The paths that were copied from.
    copied: HashSet<RelPath>,
    /// Steps and edits that copies took over.
    inherited: usize,
}

impl<'a> Planner<'a> {
    /// The path at which an operation puts a file, where one stands now.
    fn stands_in_the_way(&self, operation: &'a Operation) -> Option<&'a RelPath> {
        let path = match &operation.action {
            Action::CreateFile { .. } => &operation.file,
            Action::RenameFile { to } | Action::CopyFile { to } if *to != operation.file => to,
            _ => return None,
        };
        let there = self.stage.look(path);
        there.is_ok_and(|text| text.is_some()).then_some(path)
    }

    /// Carries an operation out; whether there was anything to do.
    fn step(
        &mut self,
        index: usize,
        operation: &'a Operation,
        verdict: &mut Verdict,
    ) -> Result<bool, Refusal> {
        let path = &operation.file;
        let onto = Onto::of(self.terms.policy);
        let stage = &mut self.stage;
        if operation.link {
            let message = format!("{path} is a symbolic link, which only a diff can change");
            return Err(Refusal::new(Code::Symlink, message).in_file(path));
        }
        // The sender's base is the file before the batch; one of a deletion may be that before it.
        if let Some(base) = operation.base
            && let Action::RenameFile { .. } | Action::CopyFile { .. } | Action::SetMode { .. } =
                operation.action
            && let Some(there) = stage.get(path)?
            && base != there.guard()
        {
            return Err(changed(path, there.guard()));
        }
        let touched = match &operation.action {
            Action::CreateFile {
                content,
                executable,
            } => match stage.get(path)? {
                Some(there) if *there.content == **content && there.executable == *executable => {
                    return Ok(false);
                }
                _ => stage.create(path, content.clone(), *executable, onto)?,
            },
            Action::DeleteFile { .. } => return self.delete(index, operation, verdict),
            Action::RenameFile { to } if to == path => {
                stage.file(path)?;
                return Ok(false);
            }
            Action::RenameFile { to } => {
                if self.is_renamed(operation, to, verdict)? {
                    return Ok(false);
                }
                self.stage.rename(path, to, index, onto)?
            }
            Action::CopyFile { to } => self.copy(index, path, to, onto)?,
            Action::SetMode { executable } => {
                let there = stage.file(path)?;
                if there.executable == *executable {
                    return Ok(false);
                }
                there.executable = *executable;
                there
            }
            _ => return self.edit(index, operation, verdict),
        };
        touched.history.note(index);
        Ok(true)
    }

    /// Deletes a file; whether it was there.
    fn delete(
        &mut self,
        index: usize,
        operation: &Operation,
        verdict: &mut Verdict,
    ) -> Result<bool, Refusal> {
        let (path, stage) = (&operation.file, &mut self.stage);
        let Some(there) = stage.get(path)? else {
            // An operation before has done it, or it was so before the batch.
            if !stage.has_taken(path) {
                verdict.add_note(has_gone(operation, stage.tree())?);
            }
            return Ok(false);
        };
        if operation.base.is_none_or(|base| base != there.guard()) {
            let now = Source::new(there.content.to_vec(), there.executable);
            check_deletion(operation, &now, self.terms.policy)?;
        }
        stage.delete(path, index)?;
        Ok(true)
    }

    /// Whether a file that is to be renamed has the new name already.
    fn is_renamed(
        &mut self,
        operation: &Operation,
        to: &RelPath,
        verdict: &mut Verdict,
    ) -> Result<bool, Refusal> {
        let (path, stage) = (&operation.file, &mut self.stage);
        if stage.look(path)?.is_some() {
            return Ok(false);
        }
        let there = stage.get(to)?.map(|there| there.guard());
        if !stage.has_taken(path) || there.is_none() {
            verdict.add_note(has_moved(operation, to, there, stage.tree())?);
            return Ok(true);
        }
        // If it is what the sender knows, an operation before has done it.
        Ok(operation.base.is_none_or(|base| Some(base) == there))
    }

    /// Copies a file, as long as what copies take over stays bounded.
    fn copy(
        &mut self,
        index: usize,
        path: &RelPath,
        to: &RelPath,
        onto: Onto,
    ) -> Result<&mut Current, Refusal> {
        let source = self.stage.file(path)?;
        let is_copy = source.copied;
        self.inherited = self.inherited.saturating_add(source.history.size());
        if self.inherited > HISTORY_BUDGET {
            let message = format!(
                "the operations up to {index} copy what {HISTORY_BUDGET} edits and copies before them made; copy the original files"
            );
            return Err(Refusal::new(Code::LimitExceeded, message).in_file(path));
        }
        let copy = self.stage.copy(path, to, onto)?;
        if is_copy || !self.copied.insert(path.clone()) {
            self.terms
                .growth
                .grow(index, path, copy.content.len() as u64)?;
        }
        Ok(copy)
    }

    fn edit(
        &mut self,
        index: usize,
        operation: &Operation,
        verdict: &mut Verdict,
    ) -> Result<bool, Refusal> {
        let path = &operation.file;
        let there = self.stage.file(path)?;
        let content = there.content.clone();
        let text = content.text();
        if !operation.binary {
            content::check_editable(path, content.encoding(), self.terms.policy)?;
        }
        let blocks = content::wanted_blocks(operation);
        let mut resolver = Resolver::new(path, &text, blocks.iter().map(|block| &**block));
        // The sender's base is the file before the batch.
        if let Some(base) = operation.base {
            let now = there.guard();
            if base != now {
                let resolver = &mut resolver;
                return Err(content::base_mismatch(operation, path, now, resolver));
            }
        }
        if !self.terms.policy.allow_unguarded
            && let Some((_, origin)) = &there.origin
        {
            check_position(operation, origin.bytes(), &text)?;
        }
        let now = || Digest::of(&content);
        let mut places = Places {
            resolver: &mut resolver,
            finds: &Finds::default(),
        };
        let (places, terms) = (&mut places, &self.terms);
        let resolution = content::resolve(index, operation, path, &text, places, terms, &now)?;
        verdict.guarded = resolution.guarded;
        if let Some(note) = resolution.note {
            verdict.add_note(note);
        }
        let mut pieces = resolution.pieces;
        if pieces.is_empty() {
            return Ok(false);
        }
        let policy = self.terms.policy;
        let mixed = encoding::mixed(path, &content, &pieces, self.operations, policy);
        if let Some((_, refusal)) = mixed.into_iter().next() {
            return Err(refusal);
        }
        if !find_clashes(&mut pieces).is_empty() {
            let message = format!("operation {index} edits the same bytes of {path} twice");
            return Err(Refusal::new(Code::Overlap, message).in_file(path));
        }
        let assembled = assemble(&text, pieces);
        let there = self.stage.edit(path, &assembled.edits, index)?;
        there.history.edit(index, assembled, &content);
        Ok(true)
    }
}

/// A position alone speaks of the file before the batch as much as of the file by now: it has to be
/// the same place in both.
fn check_position(operation: &Operation, before: &[u8], text: &Text<'_>) -> Result<(), Refusal> {
    let Action::Splice(edits) = &operation.action else {
        return Ok(());
    };
    if !operation.bare || operation.base.is_none() {
        return Ok(());
    }
    let is_moved = |edit: &&Edit| !position::is_same(before, text.bytes(), &edit.span);
    let Some(moved) = edits.iter().find(is_moved) else {
        return Ok(());
    };
    let path = &operation.file;
    let line = text.line_at(moved.span.start);
    let message = format!(
        "line {line} of {path} is addressed by its number alone, and an operation before this one \
         may have moved it; send the operations from the bottom of the file upwards, or this one \
         after reading the file again"
    );
    Err(Refusal::new(Code::Unguarded, message)
        .with_hint(Hint::AllowUnguarded)
        .in_file(path)
        .at_line(line))
}

/// Compares where the batch ends with where it began.
fn changes(stage: Stage<'_>, tree: &Tree, verdicts: &mut [Verdict]) -> Vec<FileChange> {
    let slots = stage.into_slots();
    let mut moved: HashSet<RelPath> = HashSet::new();
    for (path, slot) in &slots {
        if let Slot::File(current) = slot
            && let Some((origin, _)) = &current.origin
            && origin != path
            && !current.copied
        {
            moved.insert(origin.clone());
        }
    }
    let mut changes = Vec::new();
    for (path, slot) in slots {
        let before = tree.file(&path);
        match slot {
            Slot::File(current) => changes.extend(change_of(&path, *current, before, verdicts)),
            Slot::Gone(operation) => {
                if let Some(source) = before.filter(|_| !moved.contains(&path)) {
                    changes.push(FileChange::deletion(path, source, operation));
                }
            }
        }
    }
    changes
}

fn change_of(
    path: &RelPath,
    current: Current,
    before: Option<&Arc<Source>>,
    verdicts: &mut [Verdict],
) -> Option<FileChange> {
    let now = &current.content;
    let mut whole = current.history.finish();
    whole.say_lines(now, verdicts);
    let (kind, from, source, edits) = match (current.origin, before) {
        (Some((origin, source)), _) => {
            let stays = origin == *path && !current.copied;
            let kind = match (stays, current.copied) {
                (true, _) if whole.edits.is_empty() => ChangeKind::Mode,
                (true, _) => ChangeKind::Modified,
                (false, true) => ChangeKind::Copied,
                (false, false) => ChangeKind::Renamed,
            };
            let from = (!stays).then_some(origin);
            (kind, from, Some(source), std::mem::take(&mut whole.edits))
        }
        (None, Some(old)) => {
            let len = old.bytes().len();
            let edits = EditSet::new(vec![Edit::replace(0..len, &**now)], len);
            let edits = edits.expect("one edit of all bytes");
            (ChangeKind::Modified, None, Some(old.clone()), edits)
        }
        (None, None) => {
            let all = (!now.is_empty()).then(|| Edit::insert(0, &**now));
            let edits = EditSet::new(all.into_iter().collect(), 0).expect("one insertion");
            (ChangeKind::Created, None, None, edits)
        }
    };
    let stats = LineStats::of(source.as_ref().map_or(&[], |s| s.bytes()), edits.as_slice());
    let change = FileChange {
        path: path.clone(),
        from,
        kind,
        source,
        dressed_as: None,
        touches: whole.touches(&edits),
        edits,
        before: before.cloned(),
        after: Some(After::new(current.executable)),
        lines_added: stats.added,
        lines_removed: stats.removed,
    };
    (!change.is_noop()).then_some(change)
}
