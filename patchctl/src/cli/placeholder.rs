//! Options of the commands that find and mark placeholders.

use std::path::PathBuf;

use clap::Args;

use super::edit::EditArgs;

/// Lists the placeholders of the tree.
///
/// Prints each with its place, and whether the payload or task manifest at hand knows it
/// (`known`, `unknown`) or it stands in several places (`duplicate`). Hidden and ignored files
/// are read like others.
#[derive(Debug, Args)]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) syntax: SyntaxArgs,
    /// Look only for these ids: one on each line of the file, or a JSON list or object of them
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
    /// Payload (or order) that says which ids are known [default: the task manifest]
    #[arg(long, value_name = "FILE")]
    pub(crate) payload: Option<PathBuf>,
}

/// Marks placeholders with their prompts or tasks, all or nothing.
///
/// One comment goes above each placeholder, in the language of its file. Doing it again changes
/// nothing; a prompt that changed renews its comment; a comment that somebody edited is refused.
#[derive(Debug, Args)]
pub(crate) struct InjectArgs {
    #[command(flatten)]
    pub(crate) walk: WalkArgs,
    #[command(flatten)]
    pub(crate) syntax: SyntaxArgs,
    #[command(flatten)]
    pub(crate) what: WhatArgs,
    /// Take the comments out instead
    #[arg(long)]
    pub(crate) remove: bool,
    /// Change nothing; exit with 5 where a comment is missing, out of date or edited by hand, or
    /// stands without its placeholder or task, or a placeholder is not found
    #[arg(long, conflicts_with_all = ["remove", "dry_run"])]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) edit: EditArgs,
}

/// What is injected.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhatArgs {
    /// Mini prompts by placeholder id: a JSON object, or an order that holds one
    #[arg(long, value_name = "FILE")]
    pub(crate) payload: Option<PathBuf>,
    /// The tasks of the manifest
    #[arg(long)]
    pub(crate) tasks: bool,
}

/// Which files are read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct WalkArgs {
    /// Files and directories [default: the whole tree]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// Read only files that match
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out files and directories that match
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Enter .git, .mission_control, node_modules and target, too
    #[arg(long)]
    pub(crate) all_directories: bool,
}

/// What a placeholder looks like.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct SyntaxArgs {
    /// One more way to write placeholders: a regular expression with a group named `id`
    #[arg(long, value_name = "REGEX")]
    pub(crate) syntax: Vec<String>,
}
