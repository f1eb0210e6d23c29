//! Applies batches of line edits to text deterministically, all or nothing.
#![cfg_attr(not(test), warn(clippy::print_stdout, clippy::print_stderr))]

pub mod anchor;
pub mod batch;
pub mod dialect;
pub mod diff;
pub mod digest;
pub mod edit;
pub mod error;
#[cfg(feature = "workspace")]
pub mod event;
pub mod operation;
pub mod path;
pub mod placeholder;
pub mod plan;
pub mod report;
#[cfg(feature = "schema")]
pub mod schema;
pub mod text;
#[cfg(feature = "workspace")]
pub mod workspace;

pub use digest::Digest;
pub use error::{Code, Error, Refusal};
pub use path::RelPath;
pub use plan::{Policy, Tree};
pub use report::Report;
