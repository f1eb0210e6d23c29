//! Options of `demo`.

use std::path::PathBuf;

use clap::Args;

/// Lays out a small template, applies a batch to it, and says what to try next.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// An empty directory, or a name for a new one [default: a new temporary one]
    pub(crate) dir: Option<PathBuf>,
}
