//! Options of `run`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use patchcore::workspace::TransactionId;

use super::edit::seconds;
use super::orchestrator::Delivery;

/// Runs a command, and records what it does to the tree as one batch that `undo` takes back
///
/// The command gets the terminal, standard input and signals, and its exit status is passed on: 128
/// and the signal's number where a signal ended it. 125, 126 and 127 are this program's own: it
/// failed, the command cannot be run, there is no such command. What git ignores is not looked at,
/// nor is what the command's daemons write after its end.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["begin", "end", "hook", "command"])))]
pub(crate) struct CommandArgs {
    /// Take the snapshot, print an id, and leave the rest to `run --end ID`, which must come within a
    /// day: for agents that call a hook before and after a tool
    #[arg(long)]
    pub(crate) begin: bool,
    /// Record what was done since `run --begin` printed this id
    #[arg(long, value_name = "ID")]
    pub(crate) end: Option<TransactionId>,
    /// Begin or end as an agent's hook asks on standard input: JSON with `hook_event_name`
    /// (`PreToolUse` begins, anything else ends), `session_id` and `tool_use_id`
    #[arg(long)]
    pub(crate) hook: bool,
    /// Exit status of the command that ended, for the record
    #[arg(long, value_name = "N", requires = "end")]
    pub(crate) exit_status: Option<i32>,
    /// The order that the work belongs to
    #[arg(long, value_name = "ID", conflicts_with = "end", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) order_id: Option<String>,
    /// The task that the work belongs to
    #[arg(long, value_name = "ID", conflicts_with = "end", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) task_id: Option<String>,
    /// The factory that runs the agent
    #[arg(long, value_name = "NAME", conflicts_with = "end", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) factory: Option<String>,
    /// The phase of the order
    #[arg(long, value_name = "NAME", conflicts_with = "end", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) phase: Option<String>,
    /// The agent that runs the command
    #[arg(long, value_name = "NAME", conflicts_with = "end", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) agent: Option<String>,
    /// Record this file or directory although git ignores it
    #[arg(long, value_name = "PATH", conflicts_with = "end")]
    pub(crate) also: Vec<PathBuf>,
    /// What becomes of changes that break the rules of the tasks
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Violation::Report, conflicts_with = "begin")]
    pub(crate) on_violation: Violation,
    /// Answer only when a power cut cannot take the record back
    #[arg(long)]
    pub(crate) durable: bool,
    /// Longest wait for another process that holds the tree
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) lock_wait: Duration,
    /// Show the diff of what was done, on standard error
    #[arg(long, conflicts_with = "begin")]
    pub(crate) diff: bool,
    #[command(flatten)]
    pub(crate) delivery: Delivery,
    /// The command and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
}

/// What becomes of changes that break a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Violation {
    /// They stay, and are told; exit status 1 unless the command failed.
    Report,
    /// All that the command did is taken back.
    Undo,
}
