//! Options of `diff`.

use std::path::PathBuf;

use clap::Args;

use super::edit::{InputArgs, PolicyArgs};

/// Shows the diff that a batch would make, or that leads from one file or tree to another.
///
/// The diff is in git's format: `git apply` and `patch -p1` take it. Nothing is written.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// With this, both arguments are files or directories to compare: the old and the new
    #[arg(value_name = "NEW")]
    pub(crate) new: Option<PathBuf>,
    /// Unchanged lines around each change
    #[arg(short = 'U', long, value_name = "N", default_value_t = 3)]
    pub(crate) unified: usize,
    /// Exit with 5 where there is a difference
    #[arg(long)]
    pub(crate) exit_code: bool,
}
