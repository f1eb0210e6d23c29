//! One file for each command: resolve the arguments, call the library, hand the result to `report`.

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use crate::report::Context;

/// Runs the command.
pub(crate) fn run(cli: Cli, _context: &Context) -> Result<Exit, Failure> {
    match cli.command {}
}
