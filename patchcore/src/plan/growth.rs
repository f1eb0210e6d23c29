//! How much the operations of a batch may write beyond what they bring and edit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::work::Work;
use super::{Policy, Tree};
use crate::error::{Code, Refusal};
use crate::path::RelPath;

/// What a place that an operation edits takes in memory, whatever is written there.
const PLACE: u64 = 128;

/// How much the operations of a batch have written so far beyond what they bring, and may.
#[derive(Debug)]
pub(crate) struct Growth {
    limit: u64,
    taken: AtomicU64,
}

impl Clone for Growth {
    fn clone(&self) -> Self {
        Self {
            limit: self.limit,
            taken: AtomicU64::new(self.taken.load(Ordering::Relaxed)),
        }
    }
}

impl Growth {
    pub(crate) fn up_to(limit: u64) -> Self {
        Self {
            limit,
            taken: AtomicU64::new(0),
        }
    }

    /// Allows an operation to write so many bytes that it does not bring. Asked before they take
    /// memory.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` where that is more than the batch may grow.
    pub(crate) fn grow(&self, operation: usize, path: &RelPath, by: u64) -> Result<(), Refusal> {
        let limit = self.limit;
        let before = self
            .taken
            .fetch_add(by.min(limit.saturating_add(1)), Ordering::Relaxed);
        if before.saturating_add(by) <= limit {
            return Ok(());
        }
        let message = format!(
            "operation {operation} on {path} makes the batch grow by more than {limit} bytes beyond what it brings"
        );
        Err(Refusal::new(Code::LimitExceeded, message).in_file(path))
    }

    /// As [`grow`](Self::grow), for the same bytes at many places; they are brought once.
    ///
    /// # Errors
    /// As `grow`.
    pub(crate) fn repeat(
        &self,
        operation: usize,
        path: &RelPath,
        bytes: usize,
        places: usize,
    ) -> Result<(), Refusal> {
        match (places as u64).checked_sub(1) {
            None | Some(0) => Ok(()),
            Some(more) => self.grow(operation, path, more.saturating_mul(bytes as u64 + PLACE)),
        }
    }

    fn is_exceeded(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > self.limit
    }
}

/// What the operator allows, with what is left of it.
#[derive(Debug)]
pub(super) struct Terms<'p> {
    pub(super) policy: &'p Policy,
    /// The tree before the batch, with what the log shows of it.
    pub(super) tree: &'p Tree,
    /// What locating and rewriting have taken.
    pub(super) work: Arc<Work>,
    pub(super) growth: Growth,
}

impl Clone for Terms<'_> {
    fn clone(&self) -> Self {
        Self {
            policy: self.policy,
            tree: self.tree,
            work: Arc::new(Work::clone(&self.work)),
            growth: self.growth.clone(),
        }
    }
}

impl<'p> Terms<'p> {
    pub(super) fn of(policy: &'p Policy, tree: &'p Tree) -> Self {
        Self {
            policy,
            tree,
            work: Arc::default(),
            growth: Growth::up_to(policy.max_growth),
        }
    }

    /// Whether an operation was not allowed to grow or to search.
    pub(super) fn is_exceeded(&self) -> bool {
        self.growth.is_exceeded() || self.work.is_exceeded()
    }
}
