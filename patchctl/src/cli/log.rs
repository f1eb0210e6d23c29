//! Commands about what was done: the log, its way back, and what a crash left.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use patchcore::Digest;

use super::edit::{CommitArgs, ReplaceArgs, ShowArgs};

/// Finishes, or takes back, what a crash left unfinished
///
/// Every command that writes does this first.
#[derive(Debug, Args)]
pub(crate) struct RecoverArgs {
    /// Set the unfinished transaction aside instead, and leave the tree as it is
    #[arg(long, conflicts_with = "adopt")]
    pub(crate) abandon: bool,
    /// Show what following a transaction that was not written here would do, and its digest; with
    /// that digest, follow it
    #[arg(long, value_name = "DIGEST", num_args = 0..=1)]
    pub(crate) adopt: Option<Option<Digest>>,
    /// Open a protected path, or a directory of them, to the transaction that is adopted
    #[arg(long, value_name = "PATH", requires = "adopt")]
    pub(crate) allow_path: Vec<String>,
}

/// Shows an unfinished transaction, saved conflicts and the log's size
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {}

/// Lists what was done, newest first
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// At most so many batches
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Refused and replayed batches, too
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Carry the log out again in this directory, which is new or empty: from the first snapshot of
    /// the whole tree, or else the files that the log knows
    #[arg(long, value_name = "DIR", conflicts_with_all = ["limit", "all"])]
    pub(crate) replay: Option<PathBuf>,
}

/// Shows a batch's diff and verdicts
#[derive(Debug, Args)]
pub(crate) struct ShowBatchArgs {
    /// The batch's id, or its transaction's [default: the last batch that changed something]
    pub(crate) batch: Option<String>,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
}

/// Takes a batch back: bytes, modes, names and directories
#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// The batch's id, or its transaction's [default: the last that is neither undone nor an undo]
    pub(crate) batch: Option<String>,
    /// Take back everything that came after this batch, or after this moment (RFC 3339, like
    /// 2026-05-01T12:00:00Z), as one batch
    #[arg(long, value_name = "ID|TIME", conflicts_with = "batch")]
    pub(crate) to: Option<String>,
    /// Show what would be taken back, and write nothing
    #[arg(long, requires = "to")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    /// Open a protected path, or a directory of them, to the undo
    #[arg(long, value_name = "PATH")]
    pub(crate) allow_path: Vec<String>,
    #[command(flatten)]
    pub(crate) replace: ReplaceArgs,
    #[command(flatten)]
    pub(crate) commit: CommitArgs,
}

/// Compares the log with the tree: who else changed what, and whether a record was tampered with
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {}

/// Removes the oldest entries of the log until it is within its bounds
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Most bytes of records and pre-images, with k, M or G behind the number
    #[arg(long, value_name = "SIZE", default_value = "64M", value_parser = size)]
    pub(crate) max_size: u64,
    /// Longest age
    #[arg(long, value_name = "DAYS", default_value = "30", value_parser = days)]
    pub(crate) max_age: Duration,
}

fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| "not a number of bytes".to_owned())
}

fn days(text: &str) -> Result<Duration, String> {
    const DAY: f64 = 24.0 * 60.0 * 60.0;
    let days: f64 = text
        .parse()
        .map_err(|_| "not a number of days".to_owned())?;
    Duration::try_from_secs_f64(days * DAY).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes_and_a_bound() {
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("17"), Ok(17));
        assert!(size("99999999999G").is_err());
        assert!(size("M").is_err());
        assert_eq!(days("0.5"), Ok(Duration::from_secs(43_200)));
        assert!(days("-1").is_err());
    }
}
