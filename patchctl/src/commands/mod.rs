//! One file for each command: resolve the arguments, call the library, hand the result to `report`.

pub(crate) mod convert;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod events;
pub(crate) mod init;
pub(crate) mod inject;
pub(crate) mod log;
pub(crate) mod manifest;
pub(crate) mod meta;
pub(crate) mod operation;
pub(crate) mod order;
pub(crate) mod place;
pub(crate) mod read;
pub(crate) mod resolve;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod snapshot;
pub(crate) mod task;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::report::Context;

/// Runs the command.
pub(crate) fn run(cli: &Cli, context: &Context) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Apply(args) => edit::apply(cli, args, context),
        Command::Check(args) => edit::check(cli, args, context),
        Command::Convert(args) => convert::run(cli, args, context),
        Command::Diff(args) => diff::run(cli, args, context),
        Command::Operation(command) => operation::run(cli, command, context),
        Command::Read(args) => read::run(&cli.global, args, context),
        Command::Resolve(args) => resolve::run(&cli.global, args, context),
        Command::Scan(args) => scan::run(&cli.global, args, context),
        Command::Inject(args) => inject::run(&cli.global, args, context),
        Command::Init(args) => init::run(&cli.global, args, context),
        Command::Task(args) => task::run(&cli.global, &args.command, context),
        Command::Ask(args) => task::clarify(args, context),
        Command::Order(args) => order::run(args, context),
        Command::Demo(args) => demo::run(cli, args, context),
        Command::Schema(args) => meta::schema(args, context),
        Command::Completions(args) => meta::completions(args, context),
        Command::Man(args) => meta::man(args, context),
        Command::Events(args) => events::run(cli, args, context),
        Command::Doctor(args) => doctor::run(cli, args, context),
        Command::Recover(args) => log::recover(&cli.global, args, context),
        Command::Status(_) => log::status(&cli.global, context),
        Command::History(args) => log::history(&cli.global, args, context),
        Command::Show(args) => log::show(&cli.global, args, context),
        Command::Undo(args) => log::undo(&cli.global, args, context),
        Command::Run(args) => run::run(&cli.global, args, context),
        Command::Snapshot(args) => snapshot::run(&cli.global, args, context),
        Command::Audit(_) => log::audit(&cli.global, context),
        Command::Gc(args) => log::gc(&cli.global, args, context),
        #[cfg(feature = "mcp")]
        Command::Mcp(args) => crate::mcp::run(&cli.global, args, context),
        #[cfg(feature = "serve")]
        Command::Serve(args) => crate::serve::run(&cli.global, args, context),
    }
}
