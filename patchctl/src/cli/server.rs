//! Options of the servers: `mcp` and `serve`. All that decides what an edit may do is the
//! operator's, and said here; no caller can change it.

use clap::Args;

use super::edit::{CommitArgs, PolicyArgs};
use super::labels::LabelArgs;

/// How the calls of a server are carried out.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = None::<&'static str>)]
#[command(mut_arg("plan", |arg| arg.hide(true)), mut_arg("batch_id", |arg| arg.hide(true)))]
pub(crate) struct EngineArgs {
    #[command(flatten)]
    pub(crate) labels: LabelArgs,
    /// Refuse whatever is not exactly as its format has it
    #[arg(long)]
    pub(crate) strict: bool,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
    // Last, as its heading in the help holds for whatever comes behind it.
    #[command(flatten)]
    pub(crate) commit: CommitArgs,
}

/// Offers the engine to an agent over the Model Context Protocol, on standard input and output.
///
/// The agent gets a few tools: it can read, edit, check, take its last edit back, look at the
/// history, at placeholders and tasks, and ask for help. What an edit may do is decided by the
/// options given here, not by the agent.
#[cfg(feature = "mcp")]
#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
}
