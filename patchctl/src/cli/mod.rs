//! The command line, as clap reads it; nothing is resolved here.

pub(crate) mod dialect;
pub(crate) mod orchestrator;

pub(crate) mod convert;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod edit;
pub(crate) mod events;
pub(crate) mod labels;
pub(crate) mod log;
pub(crate) mod meta;
pub(crate) mod operation;
pub(crate) mod placeholder;
mod plain;
pub(crate) mod read;
pub(crate) mod resolve;
pub(crate) mod run;
#[cfg(any(feature = "mcp", feature = "serve"))]
pub(crate) mod server;
pub(crate) mod snapshot;
pub(crate) mod task;

use std::ffi::OsString;
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

impl Cli {
    /// Reads the arguments.
    ///
    /// Most runs are edits by an agent, and clap takes longer to lay out forty commands than a
    /// small edit takes in all: a plain call is read without it, and where the first argument names
    /// a frequent command, that one is laid out alone. What is not understood so goes to the whole,
    /// which knows help and hints.
    pub(crate) fn read() -> Self {
        let all: Vec<OsString> = std::env::args_os().collect();
        let plain = || plain::read(all.get(2..).unwrap_or_default());
        let frequent = match all.get(1).and_then(|name| name.to_str()) {
            Some("apply") => match plain() {
                Some(plain) => Some(plain.into_apply()),
                None => Alone::read(&all, Command::Apply),
            },
            Some("check") => match plain() {
                Some(plain) => Some(plain.into_check()),
                None => Alone::read(&all, Command::Check),
            },
            Some("diff") => Alone::read(&all, Command::Diff),
            Some("read") => Alone::read(&all, Command::Read),
            // Prints it and exits; with anything else on the line the whole decides.
            Some("--version" | "-V") if all.len() == 2 => {
                Bare::parse();
                None
            }
            _ => None,
        };
        frequent.unwrap_or_else(Self::parse)
    }
}

/// The program without its commands.
#[derive(Debug, Parser)]
#[command(name = "patchctl", version)]
struct Bare {}

/// One command with its options.
#[derive(Debug, Parser)]
struct Alone<T: Args> {
    #[command(flatten)]
    global: Global,
    #[command(flatten)]
    command: T,
}

impl<T: Args> Alone<T> {
    /// Reads all but the command's name; `None` where the arguments ask for help or make no sense.
    fn read(all: &[OsString], command: impl FnOnce(T) -> Command) -> Option<Cli> {
        let (program, arguments) = all.split_first()?;
        let all = std::iter::once(program).chain(arguments.iter().skip(1));
        let alone = Self::try_parse_from(all).ok()?;
        Some(Cli {
            global: alone.global,
            command: command(alone.command),
        })
    }
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Root of the tree [default: nearest directory upward with .mission_control or .git, else the current one]
    #[arg(long, global = true, env = "PATCHCTL_ROOT", value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Keep the key by which state is recognized in this file, outside of the root [default: .mission_control/key]
    #[arg(long, global = true, env = "PATCHCTL_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
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
    Convert(convert::ConvertArgs),
    Diff(diff::DiffArgs),
    #[command(flatten)]
    Operation(operation::OperationCommand),
    Read(read::ReadArgs),
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
    Run(run::CommandArgs),
    Snapshot(snapshot::SnapshotArgs),
    Audit(log::AuditArgs),
    Gc(log::GcArgs),
    #[cfg(feature = "mcp")]
    Mcp(server::McpArgs),
    #[cfg(feature = "serve")]
    Serve(server::ServeArgs),
}
