//! How much text the edits of a batch may be located in and carried out on, one after the other.

use crate::error::{Code, Refusal};
use crate::path::RelPath;

/// Bytes of the texts that edits in sequence may be located in and make anew, 4 GiB: one to two
/// seconds.
const BUDGET: usize = 4 << 30;

/// What the edits of a batch have taken of that.
#[derive(Debug, Default)]
pub(crate) struct Work {
    bytes: usize,
    /// The operation that took the last of it.
    exceeded: Option<usize>,
}

impl Work {
    /// Takes so many bytes for an operation.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED`, for this and all later ones, where that is more than a batch may take.
    pub(crate) fn spend(
        &mut self,
        bytes: usize,
        operation: usize,
        path: &RelPath,
    ) -> Result<(), Refusal> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > BUDGET {
            self.exceeded.get_or_insert(operation);
        }
        self.check(path)
    }

    /// Whether anything is left.
    ///
    /// # Errors
    /// As [`spend`](Self::spend).
    pub(crate) fn check(&self, path: &RelPath) -> Result<(), Refusal> {
        let Some(operation) = self.exceeded else {
            return Ok(());
        };
        let message = format!(
            "the operations up to {operation} search and rewrite more than 4 GiB in sequence; send fewer at once, or a batch in original coordinates"
        );
        Err(Refusal::new(Code::LimitExceeded, message).in_file(path))
    }

    /// Almost all of it is taken: what is left for a test.
    #[cfg(test)]
    pub(super) fn left(bytes: usize) -> Self {
        Self {
            bytes: BUDGET - bytes,
            exceeded: None,
        }
    }
}
