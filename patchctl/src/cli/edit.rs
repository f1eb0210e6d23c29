//! Options of the commands that plan and apply edits.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use patchcore::Digest;
use patchcore::workspace::{LOCK_WAIT, VERIFY_LIMIT};

use super::dialect::DialectOptions;
use super::labels::LabelArgs;
use super::orchestrator::Delivery;

/// Applies a batch, all or nothing.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) edit: EditArgs,
}

/// Tells what `apply` would do, and writes nothing.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    /// Exit with 5 where something would change
    #[arg(long)]
    pub(crate) detailed_exitcode: bool,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
}

/// How edits are planned, committed and shown.
#[derive(Debug, Args)]
#[command(next_help_heading = None::<&'static str>)]
pub(crate) struct EditArgs {
    /// Only show what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    // Last, as its heading in the help holds for whatever comes behind it.
    #[command(flatten)]
    pub(crate) commit: CommitArgs,
}

/// Where edits come from.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// File with the batch or patch; `-` or nothing for standard input
    #[arg(value_name = "BATCH")]
    pub(crate) batch: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) dialect: DialectOptions,
    /// Apply once more what was applied already: input without a batch id is known by its bytes
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) labels: LabelArgs,
}

/// What is let pass.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = None::<&'static str>)]
pub(crate) struct PolicyArgs {
    /// Let line-addressed operations and deletions pass without a guard, or with a weak one [env: PATCHCTL_ALLOW_UNGUARDED]
    #[arg(long)]
    pub(crate) allow_unguarded: bool,
    /// Let files be moved, copied and created onto files that exist, and comments that were edited by hand be replaced
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Let files be created whose names look like a mark, a remark or another system's path
    #[arg(long)]
    pub(crate) allow_odd_names: bool,
    /// Edit files that hold NUL bytes, and write them
    #[arg(long)]
    pub(crate) allow_binary: bool,
    /// Let new text go into files that are in another encoding
    #[arg(long)]
    pub(crate) allow_encoding_change: bool,
    /// Let new lines pass that stand for code that was left out
    #[arg(long)]
    pub(crate) allow_omission: bool,
    /// Refuse such lines also where the operation allows them by "allow": ["omission"]; the variable wins over --allow-omission [env: PATCHCTL_FORBID_OMISSION]
    #[arg(long, conflicts_with = "allow_omission")]
    pub(crate) forbid_omission: bool,
    /// Let operations that were made for an older state of their file land where their lines are
    /// now, if that is certain [env: PATCHCTL_REBASE]
    #[arg(long)]
    pub(crate) rebase: bool,
    /// Apply the groups of files whose operations all pass
    #[arg(long)]
    pub(crate) partial: bool,
    /// Refuse operations that name no task
    #[arg(long)]
    pub(crate) require_task: bool,
    /// Open a protected path, or a directory of them, to edits
    #[arg(long, value_name = "PATH")]
    pub(crate) allow_path: Vec<String>,
    /// Refuse edits of paths that match, too; `ci` stands for what runs in CI or instructs agents
    /// [env: PATCHCTL_PROTECT, separated by commas]
    #[arg(long, value_name = "GLOB")]
    pub(crate) protect: Vec<String>,
    /// Most bytes that a batch may write beyond what it brings and edits: content at many places,
    /// indentation, copies of one file after the first [default: 256 MiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_growth: Option<u64>,
    /// Refuse any plan but this one, as `check` printed it
    #[arg(long, value_name = "DIGEST")]
    pub(crate) plan: Option<Digest>,
    #[command(flatten)]
    pub(crate) replace: ReplaceArgs,
}

/// Which files are replaced although something stands against it.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ReplaceArgs {
    /// Replace the named link of a file that has several
    #[arg(long)]
    pub(crate) break_hard_links: bool,
    /// Replace files that are read-only
    #[arg(long)]
    pub(crate) force_read_only: bool,
    /// Go on where a file's owner cannot be kept
    #[arg(long)]
    pub(crate) allow_owner_change: bool,
}

/// How a batch is committed.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommitArgs {
    /// Answer only when a power cut cannot take the batch back
    #[arg(long)]
    pub(crate) durable: bool,
    /// Run a command on the changed tree; its failure takes the batch back
    #[arg(long, value_name = "CMD")]
    pub(crate) verify: Option<String>,
    /// Longest run of the command
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = seconds)]
    pub(crate) verify_timeout: Duration,
    /// Longest wait for another process that holds the tree
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) lock_wait: Duration,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
}

impl CommitArgs {
    /// The defaults, with this delivery: for commands that commit nothing.
    pub(crate) fn with_delivery(delivery: Delivery) -> Self {
        Self {
            durable: false,
            verify: None,
            verify_timeout: VERIFY_LIMIT,
            lock_wait: LOCK_WAIT,
            delivery,
        }
    }
}

/// What is shown.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ShowArgs {
    /// Leave the diff out
    #[arg(long)]
    pub(crate) no_diff: bool,
}

pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
