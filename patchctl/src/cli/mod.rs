//! The command line, as clap reads it; nothing is resolved here.

pub(crate) mod dialect;
pub(crate) mod orchestrator;

pub(crate) mod convert;
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

use std::ffi::OsStr;
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
    /// small edit takes in all: where the first argument names a frequent command, that one is
    /// laid out alone. What it cannot make sense of goes to the whole, which knows help and hints.
    pub(crate) fn read() -> Self {
        let mut arguments = std::env::args_os();
        let program = arguments.next().unwrap_or_else(|| "patchctl".into());
        let frequent = match arguments.next().as_deref().and_then(|name| name.to_str()) {
            Some("apply") => Alone::read(&program, arguments, Command::Apply),
            Some("check") => Alone::read(&program, arguments, Command::Check),
            Some("diff") => Alone::read(&program, arguments, Command::Diff),
            // Prints it and exits; with anything else on the line the whole decides.
            Some("--version" | "-V") if arguments.len() == 0 => {
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
    /// `None` where the arguments ask for help or make no sense.
    fn read(
        program: &OsStr,
        arguments: std::env::ArgsOs,
        command: fn(T) -> Command,
    ) -> Option<Cli> {
        let all = std::iter::once(program.to_owned()).chain(arguments);
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
#[expect(
    clippy::large_enum_variant,
    reason = "there is one command in a process"
)]
pub(crate) enum Command {
    Apply(edit::ApplyArgs),
    Check(edit::CheckArgs),
    Convert(convert::ConvertArgs),
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
