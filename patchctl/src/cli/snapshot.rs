//! Options of `snapshot`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::edit::seconds;

/// Keeps the bytes of all files, or of these, so that an edit that was made for what stands there
/// now is known when they have changed
///
/// What git ignores is left out unless it is named.
#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// Files and directories, relative to the current directory [default: the whole tree]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Longest wait for another process that holds the tree
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) lock_wait: Duration,
}
