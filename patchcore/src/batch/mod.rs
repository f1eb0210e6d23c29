//! The batch on the wire: JSON of unknown origin in, [`operation::Batch`](crate::operation::Batch)
//! out, or the exact place of what is wrong.
//!
//! [`parse`] is the way for an engine: it reads text straight into operations. [`PatchBatch`] and
//! the types below it are the JSON form itself, to build a batch or to look at one.
//!
//! ```
//! use patchcore::batch::{self, Limits};
//! let json = br#"{"operations": [
//!     {"op": "replace-text", "file": "src/agent.ts", "find": "foo(", "content": "bar("}
//! ]}"#;
//! let batch = batch::parse(json, &Limits::default())?;
//! assert_eq!(batch.operations[0].name(), "replace-text");
//! # Ok::<(), patchcore::batch::Diagnostic>(())
//! ```

mod address;
mod canonical;
mod convert;
pub(crate) mod diagnostic;
pub(crate) mod names;
mod operation;
mod raise;
mod read;
mod reader;
mod rules;
pub(crate) mod scan;
#[cfg(feature = "schema")]
mod schema;
#[cfg(test)]
mod tests;
mod wire;

use std::io::Read;

use crate::error::{Code, Error, Stop};
use crate::operation::Batch;

pub use canonical::digest;
pub use diagnostic::{Diagnostic, MAX_FAULTS};
pub use wire::{
    Append, At, Content, CopyFile, CreateFile, DeleteFile, Expectation, InsertAfter, InsertBefore,
    PatchBatch, PatchOperation, Prepend, RenameFile, ReplaceBlock, ReplaceText, SetMode,
};
pub(crate) use wire::{Common, with_common};

/// How large a batch may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes.
    pub bytes: u64,
    /// Most objects and arrays inside each other.
    pub depth: usize,
    /// Most operations.
    pub operations: usize,
}

impl Default for Limits {
    /// 256 MiB, 64 levels, 1,000,000 operations.
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            depth: 64,
            operations: 1_000_000,
        }
    }
}

impl Limits {
    /// Reads a batch's bytes, and no more of them than are allowed; `name` stands in errors.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED`, or that reading failed.
    pub fn read(&self, input: impl Read, name: &str) -> Result<Vec<u8>, Stop> {
        self.read_sized(input, name, None)
    }

    /// As [`read`](Self::read), for input whose length is known: one that is too long is not read.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_sized(
        &self,
        input: impl Read,
        name: &str,
        len: Option<u64>,
    ) -> Result<Vec<u8>, Stop> {
        if len.is_some_and(|len| len > self.bytes) {
            return Err(self.too_long().into());
        }
        let room = len.and_then(|len| usize::try_from(len + 1).ok());
        let mut bytes = Vec::with_capacity(room.unwrap_or(0));
        input
            .take(self.bytes.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|error| Error::io("read", name, error))?;
        if bytes.len() as u64 > self.bytes {
            return Err(self.too_long().into());
        }
        Ok(bytes)
    }

    fn too_long(&self) -> Diagnostic {
        let message = format!("larger than the limit of {} bytes", self.bytes);
        Diagnostic::whole(Code::LimitExceeded, message)
    }
}

/// Reads a batch.
///
/// A path that leads out of the root is no fault of the batch: its operation becomes an
/// [`Action::Refused`](crate::operation::Action::Refused).
///
/// # Errors
/// The first fault, with the others behind it. `INVALID_BATCH`, `UNSUPPORTED_VERSION`, or
/// `LIMIT_EXCEEDED`, which says the limit.
pub fn parse(input: &[u8], limits: &Limits) -> Result<Batch, Diagnostic> {
    let (header, operations) = read::read_batch(input, limits, || {
        let mut lower = convert::Lowering::default();
        move |operation| lower.lower(operation)
    })?;
    let mut batch = convert::finish(header, operations);
    batch.received = Some(batch.content);
    Ok(batch)
}

impl PatchBatch {
    /// A batch without id, labels and hashes, in original coordinates.
    #[must_use]
    pub fn new(operations: Vec<PatchOperation>) -> Self {
        Self {
            version: 1,
            batch_id: None,
            labels: crate::operation::Labels::default(),
            base: std::collections::BTreeMap::new(),
            coordinates: crate::operation::Coordinates::Original,
            operations,
        }
    }

    /// Reads a batch and keeps the wire form.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn parse(input: &[u8], limits: &Limits) -> Result<Self, Diagnostic> {
        let (header, operations) = read::read_batch(input, limits, || |operation| operation)?;
        Ok(Self {
            version: 1,
            batch_id: header.batch_id,
            labels: header.labels,
            base: header.base.into_iter().collect(),
            coordinates: header.coordinates,
            operations,
        })
    }
}
