//! Options of `convert`.

use clap::{Args, ValueEnum};

use super::edit::{InputArgs, PolicyArgs};

/// Shows what a patch in any format means here, as a batch or a unified diff.
///
/// The batch carries the hash of every file that it changes. Applied to the same tree, both come
/// to the same bytes; what the format cannot say is refused. Nothing is written.
#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    /// What to convert to
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) to: Target,
}

/// A format that patches are converted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// A JSON batch, guarded by the files' hashes.
    Batch,
    /// A diff in git's format.
    UnifiedDiff,
}
