//! From changes and verdicts to the plan: all or nothing, or group by group.

use std::collections::HashMap;
use std::sync::Arc;

use crate::digest::{Digest, Hasher};
use crate::error::{Code, Refusal};
use crate::operation::{Action, Allowance, Batch, Operation, Target};
use crate::path::RelPath;
use crate::plan::omission;
use crate::text::split_lines;

use super::encoding;
use super::{FileChange, Outcome, Plan, Policy, Tree, Verdict};

/// The operations that need no look at the files: those that a front end refused, and those whose
/// new text is binary or stands for code that was left out.
pub(super) fn front_end_refusals<'b>(
    batch: &'b Batch,
    tree: &'b Tree,
    policy: &Policy,
) -> HashMap<usize, Arc<Refusal>> {
    let mut known = HashMap::new();
    let mut check_omission = |operation: &'b Operation| {
        let Some(text) = checked_for_omission(operation, policy) else {
            return Ok(());
        };
        let lines_of_file = move || {
            let file = tree.file(&operation.file);
            split_lines(file.map_or(&[][..], |file| file.bytes()))
        };
        // Few lines need it: a table for each operation would be a part of what a check takes.
        let is_old = |line: &[u8]| {
            let known = known.entry(&operation.file);
            let known = known.or_insert_with(|| omission::Known::of(lines_of_file));
            known.holds(line)
        };
        let shrinks = || shrinks(&operation.action, text);
        omission::check_new_in(&operation.file, text, is_old, shrinks)
    };
    let refused = batch
        .operations
        .iter()
        .enumerate()
        .filter_map(|(index, operation)| {
            let mut refusal = match &operation.action {
                Action::Refused(refusal) => Arc::clone(refusal),
                _ => encoding::check_nul(operation, policy)
                    .and_then(|()| check_omission(operation))
                    .err()?
                    .into(),
            };
            // Nobody is told of a way that is closed.
            if policy.forbid_omission && refusal.code == Code::LazyOmission {
                Arc::make_mut(&mut refusal).hint = None;
            }
            Some((index, refusal))
        });
    refused.collect()
}

/// The new text of an operation, where its lines may not stand for code that was left out.
fn checked_for_omission<'o>(operation: &'o Operation, policy: &Policy) -> Option<&'o [u8]> {
    let is_free = may_omit(operation, policy) || operation.link;
    encoding::new_text(&operation.action).filter(|_| !is_free)
}

/// Whether new lines may stand for code that was left out: by the operator's word or by the sender's,
/// where it is not forbidden.
fn may_omit(operation: &Operation, policy: &Policy) -> bool {
    let allowed = operation.allow.contains(Allowance::Omission);
    (policy.allow_omission || allowed) && !policy.forbid_omission
}

/// Whether an operation brings fewer lines than it says to replace.
fn shrinks(action: &Action, new: &[u8]) -> bool {
    let lines = |text: &[u8]| split_lines(text).count();
    let replaced = match action {
        Action::ReplaceBlock { at, guard, .. } => match (&guard.expect, &at.target) {
            (Some(expect), _) => lines(expect.as_bytes()),
            (None, Target::Lines { first, last }) => {
                usize::try_from(last.saturating_sub(*first).saturating_add(1)).unwrap_or(usize::MAX)
            }
            (None, Target::Text(text)) => lines(text.as_bytes()),
            (None, _) => 0,
        },
        Action::ReplaceText { find, .. } => lines(find),
        _ => 0,
    };
    lines(new) < replaced
}

/// Drops the changes that may not land, and says so in the verdicts.
pub(super) fn settle(
    batch: &Batch,
    mut changes: Vec<FileChange>,
    mut verdicts: Vec<Verdict>,
    policy: &Policy,
) -> Plan {
    let failed =
        |verdict: &Verdict| matches!(verdict.outcome, Outcome::Refused | Outcome::NotEvaluated);
    if verdicts.iter().any(failed) {
        let mut groups = Groups::default();
        for operation in &batch.operations {
            let here = groups.of(&operation.file);
            if let Action::RenameFile { to } | Action::CopyFile { to } = &operation.action {
                let there = groups.of(to);
                groups.join(here, there);
            }
        }
        groups.join_nested();
        let mut spoiled = vec![!policy.partial; groups.parents.len()];
        for (operation, verdict) in batch.operations.iter().zip(&verdicts) {
            if failed(verdict) {
                let group = groups.of(&operation.file);
                spoiled[group] = true;
            }
        }
        for (operation, verdict) in batch.operations.iter().zip(&mut verdicts) {
            if spoiled[groups.of(&operation.file)] {
                verdict.hold_back();
            }
        }
        changes.retain(|change| {
            let node = groups.index.get(change.path.as_bytes()).copied();
            node.is_some_and(|node| !spoiled[groups.root(node)])
        });
    }
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    Plan::new(changes, verdicts)
}

/// SHA-256 over path, mode, before-hash and after-hash of every change.
pub(super) fn digest(changes: &[FileChange]) -> Digest {
    let mut hasher = Hasher::default();
    for change in changes {
        for path in [Some(&change.path), change.from.as_ref()] {
            hasher.update(path.map_or(&[], RelPath::as_bytes));
            hasher.update(b"\0");
        }
        hasher.update(&[change.kind as u8]);
        for state in [change.state_before(), change.state_after()] {
            match state {
                None => hasher.update(b"-"),
                Some(state) => {
                    hasher.update(match (state.link, state.executable) {
                        (true, _) => b"l",
                        (false, true) => b"x",
                        (false, false) => b"f",
                    });
                    hasher.update(state.digest.as_bytes());
                }
            }
        }
    }
    hasher.finish()
}

/// Paths that renames and copies tie together.
#[derive(Default)]
struct Groups<'a> {
    index: HashMap<&'a [u8], usize>,
    parents: Vec<usize>,
}

impl<'a> Groups<'a> {
    fn of(&mut self, path: &'a RelPath) -> usize {
        let fresh = self.parents.len();
        let node = *self.index.entry(path.as_bytes()).or_insert(fresh);
        if node == fresh {
            self.parents.push(fresh);
        }
        self.root(node)
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parents[node] != node {
            // Each walk halves the way of those that come after it.
            self.parents[node] = self.parents[self.parents[node]];
            node = self.parents[node];
        }
        node
    }

    fn join(&mut self, one: usize, other: usize) {
        self.parents[one] = other;
    }

    /// A path and one above it stand for a file that becomes a directory, or the other way around.
    fn join_nested(&mut self) {
        let mut nested = Vec::new();
        for (path, &node) in &self.index {
            for slash in crate::bytes::positions(b'/', path) {
                nested.extend(self.index.get(&path[..slash]).map(|&above| (node, above)));
            }
        }
        for (node, above) in nested {
            let (node, above) = (self.root(node), self.root(above));
            self.join(node, above);
        }
    }
}
