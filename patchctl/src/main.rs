//! `patchctl`: applies, checks and shows batches of code edits.

mod cli;
mod commands;
mod delivery;
mod exit;
#[cfg(feature = "mcp")]
mod mcp;
mod orchestrator;
mod place;
mod redact;
mod report;
#[cfg(feature = "serve")]
mod serve;
#[cfg(any(feature = "mcp", feature = "serve"))]
mod service;
mod store;

use std::process::ExitCode;

use cli::{Cli, Command};
use exit::{Exit, Failure};
use report::Context;

/// Quick to start, and quick where threads share it, which musl's own is not.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    let context = Context::new(&cli.global);
    match run(&cli, &context) {
        Ok(exit) => exit.into(),
        Err(failure) => report::failure(&failure, &context).into(),
    }
}

/// Runs the command.
fn run(cli: &Cli, context: &Context) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Apply(args) => commands::edit::apply(cli, args, context),
        Command::Check(args) => commands::edit::check(cli, args, context),
        Command::Convert(args) => commands::convert::run(cli, args, context),
        Command::Diff(args) => commands::diff::run(cli, args, context),
        Command::Operation(command) => commands::operation::run(cli, command, context),
        Command::Read(args) => commands::read::run(&cli.global, args, context),
        Command::Resolve(args) => commands::resolve::run(&cli.global, args, context),
        Command::Scan(args) => commands::scan::run(&cli.global, args, context),
        Command::Inject(args) => commands::inject::run(&cli.global, args, context),
        Command::Init(args) => commands::init::run(&cli.global, args, context),
        Command::Task(args) => commands::task::run(&cli.global, &args.command, context),
        Command::Ask(args) => commands::task::clarify(args, context),
        Command::Order(args) => commands::order::run(args, context),
        Command::Demo(args) => commands::demo::run(cli, args, context),
        Command::Schema(args) => commands::meta::schema(args, context),
        Command::Completions(args) => commands::meta::completions(args, context),
        Command::Man(args) => commands::meta::man(args, context),
        Command::Events(args) => commands::events::run(cli, args, context),
        Command::Doctor(args) => commands::doctor::run(cli, args, context),
        Command::Recover(args) => commands::log::recover(&cli.global, args, context),
        Command::Status(_) => commands::log::status(&cli.global, context),
        Command::History(args) => commands::log::history(&cli.global, args, context),
        Command::Show(args) => commands::log::show(&cli.global, args, context),
        Command::Undo(args) => commands::log::undo(&cli.global, args, context),
        Command::Run(args) => commands::run::run(&cli.global, args, context),
        Command::Snapshot(args) => commands::snapshot::run(&cli.global, args, context),
        Command::Audit(_) => commands::log::audit(&cli.global, context),
        Command::Gc(args) => commands::log::gc(&cli.global, args, context),
        #[cfg(feature = "mcp")]
        Command::Mcp(args) => mcp::run(&cli.global, args, context),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(&cli.global, args, context),
    }
}
