//! Edits by text, deletions and renames that the log shows: sent again, they have landed.

use std::collections::HashMap;

use crate::edit::{Edit, EditSet};
use crate::error::{Code, Error, Refusal};
use crate::operation::{Action, Batch, TextEdit};
use crate::path::RelPath;
use crate::plan::{ChangeKind, Lowered, Plan, Script, Tree, Verdict};
use crate::workspace::Workspace;
use crate::workspace::state::log::Log;
use crate::workspace::state::record::{ChangeRecord, Record, TransactionState};

/// Most transactions that are looked through, the newest first.
const LOOKED_THROUGH: usize = 200;

impl Workspace {
    /// Lowers a script; where an edit is refused whose new text is there, the log is asked whether
    /// it has landed.
    pub(crate) fn lower<'a>(
        &self,
        script: &'a dyn Script,
        tree: &mut Tree,
    ) -> Result<Result<Lowered<'a>, Refusal>, Error> {
        loop {
            let lowered = match script.lower(tree) {
                Ok(lowered) => lowered,
                Err(refusal) => return Ok(Err(refusal)),
            };
            if let Err(refusal) = lowered.batch.check_header() {
                return Ok(Err(refusal));
            }
            let operations = lowered.batch.operations.iter();
            let doubts = operations.filter_map(|operation| {
                Some((
                    operation.file.clone(),
                    (**operation.reading.doubt.as_ref()?).clone(),
                ))
            });
            let doubts: Vec<_> = doubts.collect();
            // Each round knows of an edit more.
            if !self.ask_log(tree, doubts)? {
                return Ok(Ok(lowered));
            }
        }
    }

    /// Asks the log of the edits by text of a batch that its plan does not find in their files;
    /// whether it shows one that was not known.
    pub(crate) fn ask_of_missing(
        &self,
        plan: &Plan,
        batch: &Batch,
        tree: &mut Tree,
    ) -> Result<bool, Error> {
        let missing = |verdict: &Verdict| {
            let refusal = verdict.refusal.as_deref();
            refusal.is_some_and(|refusal| {
                matches!(refusal.code, Code::AnchorNotFound | Code::AnchorAmbiguous)
            })
        };
        let operations = batch.operations.iter().zip(&plan.verdicts);
        let doubts = operations.filter_map(|(operation, verdict)| match &operation.action {
            Action::ReplaceText { find, content, .. } if missing(verdict) => {
                let (old, new) = (find.clone(), content.clone());
                Some((operation.file.clone(), TextEdit { old, new }))
            }
            _ => None,
        });
        let shown = self.ask_log(tree, doubts.collect())?;
        Ok(self.ask_of_gone(plan, batch, tree)? || shown)
    }

    /// Asks the log of files that a batch deletes or renames and that its plan does not find: whether
    /// the last transaction that counts and had to do with the path did the same. Whether it shows
    /// one.
    fn ask_of_gone(&self, plan: &Plan, batch: &Batch, tree: &mut Tree) -> Result<bool, Error> {
        let is_missing = |verdict: &Verdict| {
            let refusal = verdict.refusal.as_deref();
            refusal.is_some_and(|refusal| refusal.code == Code::FileNotFound)
        };
        let operations = batch.operations.iter().zip(&plan.verdicts);
        let mut wanted: HashMap<&RelPath, Option<&RelPath>> = HashMap::new();
        for (operation, _) in operations.filter(|(_, verdict)| is_missing(verdict)) {
            match &operation.action {
                Action::DeleteFile { .. } => wanted.insert(&operation.file, None),
                Action::RenameFile { to } => wanted.insert(&operation.file, Some(to)),
                _ => continue,
            };
        }
        if wanted.is_empty() {
            return Ok(false);
        }
        let mut shown = false;
        let log = self.log()?;
        let newest = log.transactions()?.into_iter().rev().take(LOOKED_THROUGH);
        for transaction in newest {
            let Ok(Some(record)) = log.read(&transaction) else {
                continue;
            };
            let counts = record.state == TransactionState::Committed && record.undoes.is_none();
            if !counts || log.undone_by(&transaction)?.is_some() {
                continue;
            }
            let mut settled = Vec::new();
            for change in &record.changes {
                let from = change.from.as_ref();
                let from = from.filter(|_| change.kind == ChangeKind::Renamed);
                let did_so = match (from, change.kind) {
                    (Some(_), _) => Some(Some(&change.path)),
                    (None, ChangeKind::Deleted) => Some(None),
                    _ => None,
                };
                let went = from.unwrap_or(&change.path);
                if let Some(to) = wanted.get(went)
                    && did_so == Some(*to)
                {
                    shown |= !tree.has_gone(went, *to);
                    tree.add_gone(went.clone(), to.cloned());
                }
                settled.extend([went, &change.path]);
            }
            for path in settled {
                wanted.remove(path);
            }
            if wanted.is_empty() {
                break;
            }
        }
        Ok(shown)
    }

    /// Asks the log of edits, and notes those that it shows; whether there is one.
    fn ask_log(&self, tree: &mut Tree, edits: Vec<(RelPath, TextEdit)>) -> Result<bool, Error> {
        let mut shown = false;
        for (path, edit) in edits {
            if !tree.has_landed(&path, &edit) && self.log_shows(&path, &edit)? {
                tree.add_landed(path, edit);
                shown = true;
            }
        }
        Ok(shown)
    }

    /// Whether a transaction that counts replaced this text by that one in the file.
    fn log_shows(&self, path: &RelPath, edit: &TextEdit) -> Result<bool, Error> {
        let log = self.log()?;
        let newest = log.transactions()?.into_iter().rev().take(LOOKED_THROUGH);
        for transaction in newest {
            let Ok(Some(record)) = log.read(&transaction) else {
                continue;
            };
            let counts = record.state == TransactionState::Committed && record.undoes.is_none();
            let change = record.changes.iter().find(|change| change.path == *path);
            if let (true, Some(change)) = (counts, change)
                && has_made(&log, &record, change, edit)?
                && log.undone_by(&transaction)?.is_none()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a change turned the old text, where it stood, into the new one.
fn has_made(
    log: &Log,
    record: &Record,
    change: &ChangeRecord,
    edit: &TextEdit,
) -> Result<bool, Error> {
    let Some(slot) = change.slot else {
        return Ok(false);
    };
    if change.edits.iter().any(|edit| edit.is_cut()) {
        return Ok(false);
    }
    let Some(before) = log.pre_image(&record.transaction, slot)? else {
        return Ok(false);
    };
    let edits = change.edits.iter();
    let edits = edits.map(|edit| Edit::replace(edit.span[0]..edit.span[1], edit.text.clone()));
    let Ok(edits) = EditSet::new(edits.collect(), before.len()) else {
        return Ok(false);
    };
    let after = edits.apply(&before);
    let delta = |edit: &Edit| edit.text.len() as isize - edit.span.len() as isize;
    // By how much the text behind each number of edits has moved.
    let shifts: Vec<isize> = std::iter::once(0)
        .chain(edits.as_slice().iter().scan(0, |shift, edit| {
            *shift += delta(edit);
            Some(*shift)
        }))
        .collect();
    let moved = |at: usize, is_end: bool| {
        let all = edits.as_slice();
        let above = all.partition_point(|edit| edit.span.end < at);
        let here = all[above..].iter().take_while(|edit| edit.span.end == at);
        let here = here.filter(|edit| is_end || !edit.span.is_empty());
        at.checked_add_signed(shifts[above] + here.map(delta).sum::<isize>())
    };
    let new = plain(&edit.new);
    let old = plain(&edit.old);
    let with_cr = with_cr(&old);
    for old in [old, with_cr] {
        if old.is_empty() {
            continue;
        }
        for start in memchr::memmem::find_iter(&before, &old) {
            let end = start + old.len();
            let there = moved(start, false).zip(moved(end, true));
            let made = there.and_then(|(start, end)| after.get(start..end));
            if made.is_some_and(|made| plain(made) == new) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A text without carriage returns.
fn plain(text: &[u8]) -> Vec<u8> {
    let bytes = text.iter().copied();
    bytes.filter(|byte| *byte != b'\r').collect()
}

/// A text without carriage returns, with one at the end of each line.
fn with_cr(plain: &[u8]) -> Vec<u8> {
    plain.iter().fold(Vec::new(), |mut text, byte| {
        if *byte == b'\n' {
            text.push(b'\r');
        }
        text.push(*byte);
        text
    })
}
