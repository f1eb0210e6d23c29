//! Commands about the program itself.

use clap::Args;
use clap_complete::Shell;

/// The JSON Schema of what travels
///
/// Without a name, the names are listed.
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// PatchBatch, Report, PatchEvent, …
    pub(crate) name: Option<String>,
}

/// Completions for a shell
#[derive(Debug, Args)]
pub(crate) struct Completions {
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// The manual page, in roff: `patchctl man | man -l -`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// The command to describe, if not the program as a whole
    pub(crate) command: Vec<String>,
}
