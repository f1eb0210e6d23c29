//! Unified diffs in git's format, straight from edits.

mod quote;

pub use quote::{quote, unquote};
