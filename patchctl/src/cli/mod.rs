//! The command line, as clap reads it; nothing is resolved here.

pub(crate) mod dialect;
pub(crate) mod orchestrator;

pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod events;
pub(crate) mod log;
pub(crate) mod meta;
pub(crate) mod operation;
pub(crate) mod placeholder;
pub(crate) mod resolve;
pub(crate) mod task;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Applies, checks and shows batches of code edits, all or nothing.
#[derive(Debug, Parser)]
#[command(name = "patchctl", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Root of the tree [default: nearest directory upward with .mission_control or .git, else the current one]
    #[arg(long, global = true, env = "PATCHCTL_ROOT", value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// What to print on standard output
    #[arg(long, global = true, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Say less; twice, only errors
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) quiet: u8,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The form of the data on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Human,
    /// For machines.
    Json,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Apply(edit::ApplyArgs),
    Check(edit::CheckArgs),
    Diff(diff::DiffArgs),
    #[command(flatten)]
    Operation(operation::OperationCommand),
    Resolve(resolve::ResolveArgs),
    Scan(placeholder::ScanArgs),
    Inject(placeholder::InjectArgs),
    Init(task::InitArgs),
    Task(task::TaskArgs),
    Ask(task::AskArgs),
    Order(task::OrderArgs),
    Demo(demo::DemoArgs),
    Schema(meta::Schema),
    Completions(meta::Completions),
    Man(meta::Man),
    Events(events::EventsArgs),
    Doctor(events::DoctorArgs),
    Recover(log::RecoverArgs),
    Status(log::StatusArgs),
    History(log::HistoryArgs),
    Show(log::ShowBatchArgs),
    Undo(log::UndoArgs),
    Audit(log::AuditArgs),
    Gc(log::GcArgs),
}
