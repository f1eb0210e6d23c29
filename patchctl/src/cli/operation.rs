//! One command for each operation of a batch.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

use patchcore::Digest;

use super::edit::EditArgs;
use super::labels::LabelArgs;

/// The commands that make a batch of one operation.
#[derive(Debug, Subcommand)]
pub(crate) enum OperationCommand {
    /// Replaces lines of a file; empty content deletes them
    ReplaceBlock {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        content: ContentArgs,
        /// Fill shorter content up with blank lines
        #[arg(long)]
        pad: bool,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Inserts lines before an address
    InsertBefore {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        content: ContentArgs,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Inserts lines after an address
    InsertAfter {
        #[command(flatten)]
        target: TargetArgs,
        #[command(flatten)]
        content: ContentArgs,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Adds lines at the end of a file
    Append {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        content: ContentArgs,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Adds lines at the start of a file, behind a BOM and a `#!` line
    Prepend {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        content: ContentArgs,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Replaces exact characters
    ReplaceText {
        #[command(flatten)]
        file: FileArgs,
        /// What to look for; it may span lines
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        find: String,
        #[command(flatten)]
        content: ContentArgs,
        /// Which match: only, first, last, all, or a number from 1
        #[arg(long, value_name = "WHICH", default_value = "only")]
        occurrence: String,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Creates a file with exactly this content
    CreateFile {
        #[command(flatten)]
        file: FileArgs,
        #[command(flatten)]
        content: ContentArgs,
        /// Make it executable
        #[arg(long)]
        executable: bool,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Deletes a file
    DeleteFile {
        #[command(flatten)]
        file: FileArgs,
        /// All lines that the file must have
        #[arg(long, value_name = "LINES", allow_hyphen_values = true)]
        expect: Option<String>,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Renames a file
    RenameFile {
        #[command(flatten)]
        file: FileArgs,
        /// The new name
        to: PathBuf,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Copies a file
    CopyFile {
        #[command(flatten)]
        file: FileArgs,
        /// The copy's name
        to: PathBuf,
        #[command(flatten)]
        run: RunArgs,
    },
    /// Sets or clears a file's executable bit
    SetMode {
        #[command(flatten)]
        file: FileArgs,
        /// Whether it can be executed
        #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
        executable: bool,
        #[command(flatten)]
        run: RunArgs,
    },
}

impl OperationCommand {
    /// How it is run, and for whom.
    pub(crate) fn run(&self) -> &RunArgs {
        match self {
            Self::ReplaceBlock { run, .. }
            | Self::InsertBefore { run, .. }
            | Self::InsertAfter { run, .. }
            | Self::Append { run, .. }
            | Self::Prepend { run, .. }
            | Self::ReplaceText { run, .. }
            | Self::CreateFile { run, .. }
            | Self::DeleteFile { run, .. }
            | Self::RenameFile { run, .. }
            | Self::CopyFile { run, .. }
            | Self::SetMode { run, .. } => run,
        }
    }
}

/// The file of an operation.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// The file, relative to the current directory
    pub(crate) file: PathBuf,
    /// SHA-256 that the file must have
    #[arg(long, value_name = "sha256:HEX")]
    pub(crate) base: Option<Digest>,
}

/// A place in a file, and what must stand there.
#[derive(Debug, Args)]
pub(crate) struct TargetArgs {
    #[command(flatten)]
    pub(crate) file: FileArgs,
    #[command(flatten)]
    pub(crate) address: AddressArgs,
    /// The lines that must stand at the address
    #[arg(long, value_name = "LINES", allow_hyphen_values = true)]
    pub(crate) expect: Option<String>,
    /// The lines that must stand right above them
    #[arg(long, value_name = "LINES", allow_hyphen_values = true)]
    pub(crate) before: Option<String>,
    /// The lines that must stand right below them
    #[arg(long, value_name = "LINES", allow_hyphen_values = true)]
    pub(crate) after: Option<String>,
    /// Indent content like the addressed line
    #[arg(long)]
    pub(crate) indent: bool,
}

/// A place in a file.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("address").required(true).args(["lines", "text", "match", "between", "placeholder"]))]
pub(crate) struct AddressArgs {
    /// A line or a range of lines, counted from 1: `12` or `10-14`
    #[arg(long, visible_alias = "line", value_name = "N[-M]")]
    pub(crate) lines: Option<String>,
    /// These whole lines
    #[arg(long, value_name = "LINES", allow_hyphen_values = true)]
    pub(crate) text: Option<String>,
    /// A line that holds a match
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    pub(crate) r#match: Option<String>,
    /// The lines between a line that matches START and the next that matches END
    #[arg(long, num_args = 2, value_names = ["START", "END"], allow_hyphen_values = true)]
    pub(crate) between: Option<Vec<String>>,
    /// Take in the two lines that match, too
    #[arg(long, requires = "between")]
    pub(crate) inclusive: bool,
    /// The line that bears a placeholder
    #[arg(long, value_name = "ID")]
    pub(crate) placeholder: Option<String>,
    /// Which match: only, first, last, or a number from 1
    #[arg(long, value_name = "WHICH", default_value = "only")]
    pub(crate) occurrence: String,
}

/// New content.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("new").required(true).args(["content", "content_file"]))]
pub(crate) struct ContentArgs {
    /// The content itself
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) content: Option<String>,
    /// A file that holds the content; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) content_file: Option<PathBuf>,
}

/// How the operation is run, and for whom.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) labels: LabelArgs,
    #[command(flatten)]
    pub(crate) edit: EditArgs,
}
