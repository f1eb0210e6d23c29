//! Planning in sequential coordinates: each address speaks of the tree as the operations before it
//! left it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::anchor::Resolver;
use crate::diff::LineStats;
use crate::digest::Digest;
use crate::edit::{Edit, EditSet, Side};
use crate::error::{Code, Refusal};
use crate::operation::{Action, Batch, Operation};
use crate::path::RelPath;
use crate::text::{LineNumber, Text, detect_encoding};

use super::assemble::{assemble, find_clashes};
use super::content;
use super::names::{check_deletion, not_found};
use super::{After, ChangeKind, Entry, FileChange, Outcome, Policy, Source, Touch, Tree, Verdict};

/// Bytes that the intermediate texts of one batch may come to: 64 GiB.
const COPY_BUDGET: usize = 1 << 36;

/// Plans operation by operation; see [`super::original::plan`].
pub(super) fn plan(
    batch: &Batch,
    tree: &Tree,
    policy: &Policy,
    mut refused: HashMap<usize, Refusal>,
) -> (Vec<FileChange>, Vec<Verdict>) {
    let mut stage = Stage {
        tree,
        policy,
        slots: BTreeMap::new(),
        spoiled: Vec::new(),
        copied: 0,
    };
    let mut verdicts = Vec::with_capacity(batch.operations.len());
    for (index, operation) in batch.operations.iter().enumerate() {
        let mut verdict = Verdict::passed(operation);
        if let Action::DeleteFile { expect: None } = operation.action {
            verdict.guarded = operation.base.is_some();
        }
        let named = named_paths(operation);
        if named.iter().any(|path| stage.spoiled.contains(path)) {
            verdict.outcome = Outcome::NotEvaluated;
        } else {
            let step = match refused.remove(&index) {
                Some(refusal) => Err(refusal),
                None => stage.step(index, operation, &mut verdict),
            };
            match step {
                Ok(true) => {}
                Ok(false) => verdict.outcome = Outcome::AlreadyApplied,
                Err(refusal) => {
                    verdict.refuse(refusal);
                    stage.spoiled.extend(named);
                }
            }
        }
        verdicts.push(verdict);
    }
    let changes = stage.finish(&mut verdicts);
    (changes, verdicts)
}

fn named_paths(operation: &Operation) -> Vec<RelPath> {
    match &operation.action {
        Action::RenameFile { to } | Action::CopyFile { to } => {
            vec![operation.file.clone(), to.clone()]
        }
        _ => vec![operation.file.clone()],
    }
}

/// What stands at a path in the course of the batch.
enum Slot {
    Gone(usize),
    File(Box<Current>),
}

/// A file in the course of the batch.
#[derive(Clone)]
struct Current {
    /// Where its source stands in the tree; `None` for one that was created.
    origin: Option<RelPath>,
    copied: bool,
    source: Arc<Source>,
    /// From the source to `bytes`.
    edits: EditSet,
    /// The text now; `None` while it is the source's.
    bytes: Option<Arc<Vec<u8>>>,
    executable: bool,
    /// What each operation did to the text before it.
    log: Vec<Logged>,
}

#[derive(Clone)]
struct Logged {
    operation: usize,
    edits: Arc<EditSet>,
    /// In the text after it.
    landed: Option<usize>,
    added: usize,
    removed: usize,
}

impl Current {
    fn bytes(&self) -> &[u8] {
        self.bytes
            .as_ref()
            .map_or(self.source.bytes(), |bytes| bytes)
    }

    fn log(&mut self, operation: usize) {
        self.log.push(Logged {
            operation,
            edits: Arc::default(),
            landed: None,
            added: 0,
            removed: 0,
        });
    }
}

struct Stage<'a> {
    tree: &'a Tree,
    policy: &'a Policy,
    slots: BTreeMap<RelPath, Slot>,
    /// Paths that a refused operation named.
    spoiled: Vec<RelPath>,
    copied: usize,
}

impl Stage<'_> {
    fn step(
        &mut self,
        index: usize,
        operation: &Operation,
        verdict: &mut Verdict,
    ) -> Result<bool, Refusal> {
        let path = &operation.file;
        if operation.link {
            let message = format!("{path} is a symbolic link, which only a diff can change");
            return Err(Refusal::new(Code::Symlink, message).in_file(path));
        }
        match &operation.action {
            Action::CreateFile {
                content,
                executable,
            } => {
                if let Some(there) = self.current(path)? {
                    let identical = there.bytes() == content && there.executable == *executable;
                    return if identical {
                        Ok(false)
                    } else {
                        Err(exists(path))
                    };
                }
                let mut new = Current {
                    origin: None,
                    copied: false,
                    source: Arc::new(Source::new(Vec::new(), false)),
                    edits: EditSet::default(),
                    bytes: Some(Arc::new(content.clone())),
                    executable: *executable,
                    log: Vec::new(),
                };
                new.log(index);
                self.slots.insert(path.clone(), Slot::File(Box::new(new)));
                Ok(true)
            }
            Action::DeleteFile { .. } => {
                let Some(there) = self.current(path)? else {
                    return Ok(false);
                };
                let now = Source::new(there.bytes().to_vec(), there.executable);
                check_deletion(operation, &now, self.policy)?;
                self.slots.insert(path.clone(), Slot::Gone(index));
                Ok(true)
            }
            Action::RenameFile { to } if to == path => Ok(false),
            Action::RenameFile { to } => {
                let Some(there) = self.current(path)? else {
                    let happened = self.current(to)?.is_some();
                    return if happened {
                        Ok(false)
                    } else {
                        Err(not_found(path))
                    };
                };
                let mut moved = there.clone();
                if self.current(to)?.is_some() {
                    return Err(exists(to));
                }
                moved.log(index);
                self.slots.insert(path.clone(), Slot::Gone(index));
                self.slots.insert(to.clone(), Slot::File(Box::new(moved)));
                Ok(true)
            }
            Action::CopyFile { to } => {
                let Some(there) = self.current(path)? else {
                    return Err(not_found(path));
                };
                let mut copy = there.clone();
                if self.current(to)?.is_some() {
                    return Err(exists(to));
                }
                copy.copied = true;
                copy.log(index);
                self.slots.insert(to.clone(), Slot::File(Box::new(copy)));
                Ok(true)
            }
            Action::SetMode { executable } => {
                let Some(there) = self.current(path)? else {
                    return Err(not_found(path));
                };
                if there.executable == *executable {
                    return Ok(false);
                }
                there.executable = *executable;
                there.log(index);
                Ok(true)
            }
            _ => self.edit(index, operation, verdict),
        }
    }

    /// The file at a path now.
    fn current(&mut self, path: &RelPath) -> Result<Option<&mut Current>, Refusal> {
        if !self.slots.contains_key(path) {
            let source = match self.tree.get(path) {
                Entry::Absent => return Ok(None),
                Entry::Refused(refusal) => return Err((**refusal).clone()),
                Entry::File(source) => source.clone(),
            };
            let current = Current {
                origin: Some(path.clone()),
                copied: false,
                executable: source.executable(),
                source,
                edits: EditSet::default(),
                bytes: None,
                log: Vec::new(),
            };
            self.slots
                .insert(path.clone(), Slot::File(Box::new(current)));
        }
        Ok(match self.slots.get_mut(path) {
            Some(Slot::File(current)) => Some(current),
            Some(Slot::Gone(_)) | None => None,
        })
    }

    fn edit(
        &mut self,
        index: usize,
        operation: &Operation,
        verdict: &mut Verdict,
    ) -> Result<bool, Refusal> {
        let path = &operation.file;
        let policy = self.policy;
        let Some(there) = self.current(path)? else {
            return Err(not_found(path));
        };
        let text = Text::new(there.bytes());
        if !operation.binary {
            content::check_editable(path, detect_encoding(text.bytes()), policy)?;
        }
        let blocks = content::wanted_blocks(operation);
        let mut resolver = Resolver::new(path, &text, blocks.iter().map(|block| &**block));
        // The sender's base is the file before the batch.
        let digest = there.source.digest();
        if operation.base.is_some_and(|base| base != digest) {
            return Err(content::base_mismatch(
                operation,
                path,
                digest,
                &mut resolver,
            ));
        }
        let now = || Digest::of(text.bytes());
        let resolution =
            content::resolve(index, operation, path, &text, &mut resolver, policy, &now)?;
        verdict.guarded = resolution.guarded;
        let mut pieces = resolution.pieces;
        if pieces.is_empty() {
            return Ok(false);
        }
        if !find_clashes(&mut pieces).is_empty() {
            let message = format!("operation {index} edits the same bytes of {path} twice");
            return Err(Refusal::new(Code::Overlap, message).in_file(path));
        }
        let assembled = assemble(&text, pieces);
        let bytes = assembled.edits.apply(text.bytes());
        let landed = assembled
            .edits
            .as_slice()
            .first()
            .map(|edit| edit.span.start);
        let (added, removed) = assembled
            .touches
            .iter()
            .fold((0, 0), |(added, removed), touch| {
                (added + touch.added, removed + touch.removed)
            });
        let work = bytes.len();
        if there.origin.is_some() {
            there.edits = there.edits.compose(&assembled.edits);
        }
        let edits = Arc::new(assembled.edits);
        there.log.push(Logged {
            operation: index,
            edits,
            landed,
            added,
            removed,
        });
        there.bytes = Some(Arc::new(bytes));
        self.copied = self.copied.saturating_add(work);
        if self.copied > COPY_BUDGET {
            let message = format!(
                "the operations up to {index} rewrite more than 64 GiB in sequence; use original coordinates"
            );
            return Err(Refusal::new(Code::LimitExceeded, message).in_file(path));
        }
        Ok(true)
    }

    /// Compares where the batch ends with where it began.
    fn finish(self, verdicts: &mut [Verdict]) -> Vec<FileChange> {
        let mut changes = Vec::new();
        let mut moved: Vec<RelPath> = Vec::new();
        for (path, slot) in &self.slots {
            if let Slot::File(current) = slot
                && let Some(origin) = &current.origin
                && origin != path
                && !current.copied
            {
                moved.push(origin.clone());
            }
        }
        for (path, slot) in self.slots {
            let before = self.tree.file(&path);
            match slot {
                Slot::File(current) => {
                    changes.extend(change_of(&path, *current, before, verdicts));
                }
                Slot::Gone(operation) => {
                    if let Some(source) = before.filter(|_| !moved.contains(&path)) {
                        changes.push(FileChange::deletion(path, source, operation));
                    }
                }
            }
        }
        changes
    }
}

fn exists(path: &RelPath) -> Refusal {
    let message = format!("{path} exists already; delete or rename it first, or edit it");
    Refusal::new(Code::FileExists, message).in_file(path)
}

fn change_of(
    path: &RelPath,
    current: Current,
    before: Option<&Arc<Source>>,
    verdicts: &mut [Verdict],
) -> Option<FileChange> {
    let touches = touches(&current, verdicts);
    let now = current.bytes();
    let (kind, from, source, edits) = match (&current.origin, before) {
        (Some(origin), _) if origin == path && !current.copied => {
            let kind = if current.edits.is_empty() {
                ChangeKind::Mode
            } else {
                ChangeKind::Modified
            };
            (
                kind,
                None,
                Some(current.source.clone()),
                current.edits.clone(),
            )
        }
        (Some(origin), _) => {
            let kind = if current.copied {
                ChangeKind::Copied
            } else {
                ChangeKind::Renamed
            };
            (
                kind,
                Some(origin.clone()),
                Some(current.source.clone()),
                current.edits.clone(),
            )
        }
        (None, Some(old)) => {
            let whole = Edit::replace(0..old.bytes().len(), now);
            let edits =
                EditSet::new(vec![whole], old.bytes().len()).expect("one edit of all bytes");
            (ChangeKind::Modified, None, Some(old.clone()), edits)
        }
        (None, None) => {
            let whole = if now.is_empty() {
                Vec::new()
            } else {
                vec![Edit::insert(0, now)]
            };
            (
                ChangeKind::Created,
                None,
                None,
                EditSet::new(whole, 0).expect("one insertion"),
            )
        }
    };
    let stats = LineStats::of(source.as_ref().map_or(&[], |s| s.bytes()), edits.as_slice());
    let change = FileChange {
        path: path.clone(),
        from,
        kind,
        source,
        dressed_as: None,
        edits,
        before: before.cloned(),
        after: Some(After::new(current.executable)),
        touches,
        lines_added: stats.added,
        lines_removed: stats.removed,
    };
    (!change.is_idle()).then_some(change)
}

/// Where each operation's edit lies in the end; sets the lines of its verdict.
fn touches(current: &Current, verdicts: &mut [Verdict]) -> Vec<Touch> {
    let text = Text::new(current.bytes());
    let mut touches = Vec::with_capacity(current.log.len());
    for (place, logged) in current.log.iter().enumerate() {
        let later = &current.log[place + 1..];
        let mut at = logged.landed;
        for next in later {
            at = at.and_then(|at| next.edits.map(at, Side::Before));
        }
        if let (Some(at), true) = (at, logged.added > 0) {
            // An insertion behind a last line without an ending starts with that line's ending.
            let at = if at > 0 && text.bytes().get(at) == Some(&b'\n') && logged.removed == 0 {
                at + 1
            } else {
                at
            };
            let first = text.line_at(at);
            let last = LineNumber::from_index(first.index() + logged.added - 1);
            verdicts[logged.operation].lines = Some([first, last]);
        }
        touches.push(Touch {
            operation: logged.operation,
            edit: at.map_or(0, |at| edit_near(&current.edits, at)),
            added: logged.added,
            removed: logged.removed,
        });
    }
    touches
}

/// The edit whose result holds a byte offset of the new text, or is nearest before it.
fn edit_near(edits: &EditSet, at: usize) -> usize {
    let mut shift = 0isize;
    let mut near = 0;
    for (index, edit) in edits.as_slice().iter().enumerate() {
        if edit.span.start.wrapping_add_signed(shift) > at {
            break;
        }
        near = index;
        shift += edit.text.len() as isize - edit.span.len() as isize;
    }
    near
}
