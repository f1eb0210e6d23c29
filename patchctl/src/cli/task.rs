//! Options of the commands about tasks and orders.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use super::edit::CommitArgs;
use super::orchestrator::Connection;
use super::placeholder::SyntaxArgs;

/// Shows tasks, and changes how far they are.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    pub(crate) command: TaskCommand,
}

/// What to do about tasks.
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    List(ListArgs),
    Get(GetArgs),
    Status(StatusArgs),
    Start(ChangeArgs),
    Complete(CompleteArgs),
    Block(ChangeArgs),
    Ask(HelpArgs),
}

/// The tasks of the manifest, tab-separated: id, status, file, placeholder, instruction
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those of this status
    #[arg(long, value_name = "STATUS", value_parser = ["pending", "in_progress", "complete", "blocked"])]
    pub(crate) status: Vec<String>,
    /// Only those of this order
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) order_id: Option<String>,
}

/// One task
#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The task's id
    pub(crate) uuid: String,
    /// Ask the orchestrator, not the manifest
    #[arg(long)]
    pub(crate) remote: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// The status of a task, or a new one for it
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The task's id
    pub(crate) uuid: String,
    /// pending, in_progress, complete or blocked
    #[arg(value_parser = ["pending", "in_progress", "complete", "blocked"])]
    pub(crate) status: Option<String>,
    #[command(flatten)]
    pub(crate) closing: ClosingArgs,
}

/// Sets the task's status
#[derive(Debug, Args)]
pub(crate) struct ChangeArgs {
    /// The task's id
    pub(crate) uuid: String,
    #[command(flatten)]
    pub(crate) tell: TellArgs,
}

/// Sets the task's status to complete, unless its placeholder still stands
///
/// Its comments are taken out of its file, as a batch that `undo` takes back; one that somebody
/// edited stays.
#[derive(Debug, Args)]
pub(crate) struct CompleteArgs {
    /// The task's id
    pub(crate) uuid: String,
    #[command(flatten)]
    pub(crate) closing: ClosingArgs,
}

/// How a task may be completed.
#[derive(Debug, Args)]
pub(crate) struct ClosingArgs {
    /// Complete it although its placeholder still stands
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) syntax: SyntaxArgs,
    #[command(flatten)]
    pub(crate) tell: TellArgs,
}

/// How the orchestrator hears of a change.
#[derive(Debug, Args)]
pub(crate) struct TellArgs {
    /// Exit with 4 where the orchestrator could not be told
    #[arg(long)]
    pub(crate) require_delivery: bool,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Asks for help with a task
#[derive(Debug, Args)]
pub(crate) struct HelpArgs {
    /// The task's id
    pub(crate) uuid: String,
    /// What is asked
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) question: String,
    /// What went wrong
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) error: Option<String>,
    /// Who asks
    #[arg(long, value_name = "NAME", default_value = "patchctl", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) agent: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Asks for clarification of an order; the answer is JSON.
#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    /// The order
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) order_id: String,
    /// What is asked
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) question: String,
    /// What else helps to answer, as JSON members of the request
    #[arg(long, value_name = "OBJECT")]
    pub(crate) context: Option<String>,
    /// How often to try again while the orchestrator cannot be reached
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) retries: u32,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Pulls an order's tasks and marks their placeholders.
///
/// Goes on file by file; what fails is reported to the orchestrator, and its remedies are tried.
/// Run it again after an interruption: it goes on.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The order
    #[arg(value_name = "ORDER", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) order: String,
    /// The factory that works on it
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) factory: String,
    /// Replace comments that were edited by hand, too
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Refuse edits of paths that match, too; `ci` stands for what runs in CI or instructs agents
    /// [env: PATCHCTL_PROTECT, separated by commas]
    #[arg(long, value_name = "GLOB")]
    pub(crate) protect: Vec<String>,
    #[command(flatten)]
    pub(crate) syntax: SyntaxArgs,
    #[command(flatten)]
    pub(crate) commit: CommitArgs,
}

/// Looks after orders.
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    #[command(subcommand)]
    pub(crate) command: OrderCommand,
}

/// What to do about orders.
#[derive(Debug, Subcommand)]
pub(crate) enum OrderCommand {
    Validate(ValidateArgs),
    Create(CreateArgs),
    Placeholders(PlaceholdersArgs),
}

/// Makes an order at the orchestrator, and prints its answer as JSON
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// `{"factory", "files": [{"file_path", "instructions": {PLACEHOLDER: text}}]}`; `-` for
    /// standard input
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Prints an order's placeholders as JSON, for `inject --payload`
#[derive(Debug, Args)]
pub(crate) struct PlaceholdersArgs {
    /// The order's id
    #[arg(value_name = "ORDER", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) order: String,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// Tells everything that is wrong with an order, or a payload, each with its JSON path
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The file; `-` for standard input
    pub(crate) file: PathBuf,
    /// It is a payload alone: prompts by placeholder id
    #[arg(long)]
    pub(crate) payload: bool,
}
