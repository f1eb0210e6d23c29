//! Options of `resolve`.

use std::path::PathBuf;

use clap::Args;

/// Tells where an address stands in a file, with the guards that a batch would need.
#[derive(Debug, Args)]
pub(crate) struct ResolveArgs {
    /// The file, relative to the current directory
    pub(crate) file: PathBuf,
    /// The address: `12`, `10-14`, `/regex/`, a placeholder's ID, or the JSON form of a batch's `at`
    pub(crate) address: String,
}
