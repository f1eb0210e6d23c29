//! How a patch in a foreign format is read.

use clap::Args;
use patchcore::dialect::{Dialect, Options};
use patchcore::{Refusal, RelPath};

/// Options of every command that reads a patch.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Reading the patch")]
pub(crate) struct DialectOptions {
    /// Format: batch, unified-diff, codex, search-replace, str-replace, mcp-edit, workspace-edit, files or hashline [default: detected]
    #[arg(long, value_name = "NAME", value_parser = dialect)]
    pub(crate) dialect: Option<Dialect>,
    /// Refuse whatever is not exactly as the format has it
    #[arg(long)]
    pub(crate) strict: bool,
    /// The file to patch, where the patch names none or another
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Option<String>,
    /// Change every match of a text to find
    #[arg(long)]
    pub(crate) all: bool,
    /// Take N leading components off the names in a diff [default: 1 with git's prefixes, else 0]
    #[arg(long, value_name = "N")]
    pub(crate) strip: Option<usize>,
    /// Apply a diff the other way around
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Put DIR before the names in a diff
    #[arg(long, value_name = "DIR")]
    pub(crate) directory: Option<String>,
    /// Do not believe the line counts of hunk headers
    #[arg(long)]
    pub(crate) recount: bool,
    /// Let the amount of white space differ between hunk and file
    #[arg(long)]
    pub(crate) ignore_whitespace: bool,
    /// Only change files whose name in the diff matches GLOB (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub(crate) include: Vec<String>,
    /// Leave out files whose name in the diff matches GLOB (repeatable)
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// Believe the line numbers of hunks without context
    #[arg(long)]
    pub(crate) unidiff_zero: bool,
}

impl DialectOptions {
    /// The library's options; paths are relative to the root.
    ///
    /// `root` is the root's absolute path.
    pub(crate) fn resolve(&self, root: Option<&std::path::Path>) -> Result<Options, Refusal> {
        let path = |path: &Option<String>| {
            path.as_ref()
                .map(|path| RelPath::new(path.trim_end_matches('/')))
                .transpose()
        };
        let mut options = Options::default();
        options.dialect = self.dialect;
        options.strict = self.strict;
        options.file = path(&self.file)?;
        options.all = self.all;
        options.strip = self.strip;
        options.reverse = self.reverse;
        options.directory = path(&self.directory)?;
        options.recount = self.recount;
        options.ignore_whitespace = self.ignore_whitespace;
        options.include.clone_from(&self.include);
        options.exclude.clone_from(&self.exclude);
        options.unidiff_zero = self.unidiff_zero;
        options.root = root.map(std::path::Path::to_path_buf);
        Ok(options)
    }
}

fn dialect(name: &str) -> Result<Dialect, String> {
    name.parse().map_err(|refusal: Refusal| refusal.message)
}
