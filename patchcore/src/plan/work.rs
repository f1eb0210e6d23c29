//! How much text the edits of a batch may be located in and carried out on, one after the other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::{Code, Refusal};
use crate::path::RelPath;

/// Bytes of the texts that edits may be located in, each alone, and make anew, 4 GiB: one to two
/// seconds.
const BUDGET: usize = 4 << 30;

/// What the edits of a batch have taken of that.
#[derive(Debug, Default)]
pub(crate) struct Work {
    bytes: AtomicUsize,
    /// The operation that took the last of it.
    exceeded: OnceLock<usize>,
}

impl Clone for Work {
    fn clone(&self) -> Self {
        Self {
            bytes: AtomicUsize::new(self.bytes.load(Ordering::Relaxed)),
            exceeded: self.exceeded.clone(),
        }
    }
}

impl Work {
    /// Takes so many bytes for an operation.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED`, for this and all later ones, where that is more than a batch may take.
    pub(crate) fn spend(
        &self,
        bytes: usize,
        operation: usize,
        path: &RelPath,
    ) -> Result<(), Refusal> {
        let bytes = bytes.min(BUDGET + 1);
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > BUDGET {
            self.exceeded.get_or_init(|| operation);
        }
        self.check(path)
    }

    /// Whether an operation took more than there is.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.exceeded.get().is_some()
    }

    /// Whether anything is left.
    ///
    /// # Errors
    /// As [`spend`](Self::spend).
    pub(crate) fn check(&self, path: &RelPath) -> Result<(), Refusal> {
        let Some(operation) = self.exceeded.get() else {
            return Ok(());
        };
        let message = format!(
            "the operations up to {operation} search and rewrite more than 4 GiB; send fewer at once, or a batch in original coordinates"
        );
        Err(Refusal::new(Code::LimitExceeded, message).in_file(path))
    }

    /// Almost all of it is taken: what is left for a test.
    #[cfg(test)]
    pub(super) fn left(bytes: usize) -> Self {
        Self {
            bytes: AtomicUsize::new(BUDGET - bytes),
            exceeded: OnceLock::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_that_takes_too_much_is_named_whoever_asks_then() {
        let path = RelPath::new("f").unwrap();
        let work = Work::left(5);
        work.spend(5, 0, &path).unwrap();
        assert!(!work.is_exceeded());
        for operation in [1, 2] {
            let refusal = work.spend(usize::MAX, operation, &path).unwrap_err();
            assert_eq!(refusal.code, Code::LimitExceeded);
            assert!(refusal.message.contains("up to 1 "), "{}", refusal.message);
        }
        assert!(work.clone().check(&path).is_err());
    }
}
