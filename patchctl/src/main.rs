//! `patchctl`: applies, checks and shows batches of code edits.

mod cli;
mod commands;
mod delivery;
mod exit;
#[cfg(feature = "mcp")]
mod mcp;
mod orchestrator;
mod redact;
mod report;
#[cfg(feature = "serve")]
mod serve;
#[cfg(any(feature = "mcp", feature = "serve"))]
mod service;
mod store;

use std::process::ExitCode;

/// Quick to start, and quick where threads share it, which musl's own is not.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::read();
    let context = report::Context::new(&cli.global);
    match commands::run(&cli, &context) {
        Ok(exit) => exit.into(),
        Err(failure) => report::failure(&failure, &context).into(),
    }
}
