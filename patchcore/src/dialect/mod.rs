//! Foreign patch formats: every agent's dialect, applied through the one plan.
//!
//! [`parse`] reads bytes into a [`Patch`]. That is a [`Script`]: once its [`paths`](Script::paths)
//! are loaded, [`lower`](Script::lower) locates every hunk or block in them and yields exact
//! operations. A dialect is right or it refuses: where a block matches at no place, or at more
//! than one, its operation is refused, and nothing is ever placed by similarity.
//!
//! | dialect | from |
//! |---|---|
//! | [`Batch`](Dialect::Batch) | our own JSON |
//! | [`UnifiedDiff`](Dialect::UnifiedDiff) | git, GNU diff, and models that imitate them |
//! | [`Codex`](Dialect::Codex) | codex's `apply_patch` envelope |
//! | [`SearchReplace`](Dialect::SearchReplace) | aider's, Cline's and Roo's blocks |
//! | [`StrReplace`](Dialect::StrReplace) | the text-editor tool's commands |
//! | [`McpEdit`](Dialect::McpEdit) | the MCP file-system server's `edit_file` |
//! | [`WorkspaceEdit`](Dialect::WorkspaceEdit) | the Language Server Protocol |
//! | [`Files`](Dialect::Files) | whole files |
//! | [`Hashline`](Dialect::Hashline) | lines by number, under the tag of their listing |
//!
//! # How a text is found
//!
//! The lines to change are looked for in steps. The first step on which anything in the file
//! matches decides, and only if exactly one place does; the verdict names it
//! ([`Matched`](crate::operation::Matched)). [`strict`](Options::strict) stops at the first.
//!
//! | step | what is ignored | under these conditions | dialects |
//! |---|---|---|---|
//! | | nothing | | text, diffs |
//! | `line_endings` | `\r\n` for `\n` and the reverse | | text, diffs |
//! | `trailing_blanks` | white space at the end of lines | | text |
//! | `typography` | quotes, dashes and spaces of other code points | what both halves share keeps the form of the file | text |
//! | `indentation` | white space at the start of lines | below | text |
//! | `edge_blanks` | blank lines at the start or the end | both halves have equally many there | text |
//! | `escapes` | one level of JSON, HTML or backslash escaping | no added line changes by it | text |
//!
//! "Text" are SEARCH/REPLACE, `str_replace`, MCP and codex. Native addresses and LSP edits are
//! exact but for line endings, and unified diffs have further conditions of their own.
//!
//! New lines are indented as the file is where, blank lines aside, the same white space was added to
//! or removed from the start of every line (tabs and spaces are never converted); the first lines of
//! both halves have the same indentation as sent; a line of both halves has the same indentation in
//! both, or the new half is one line; a single line is replaced by a single line; the new half goes
//! back only to an indentation that it had before, or, if it moves no line of the old half,
//! that this has; it goes deeper only in
//! steps that the file or the old half takes; no new line would start inside a string that goes over
//! several lines, or a here-document; and the block stands nowhere as it is indented, without blank
//! lines at its edges.

mod blob;
mod calls;
mod codex;
mod convert;
mod desk;
mod detect;
mod exact;
mod files;
mod hashline;
mod json;
mod leftover;
mod marks;
mod search_replace;
mod shell;
mod unified;
mod unread;
mod whole;
mod workspace_edit;

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::str::FromStr;

use crate::batch::Limits;
use crate::bytes;
use crate::digest::{Digest, Hasher};
use crate::edit::Edit;
use crate::error::{Code, Refusal};
use crate::operation::Batch;
use crate::path::RelPath;
use crate::plan::{Lowered, Script, Tree};

pub use convert::{check_representable_as_diff, to_batch};
pub use detect::detect;
pub use unread::Unread;

/// A patch format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Our JSON batch.
    Batch,
    /// Unified diffs.
    UnifiedDiff,
    /// `*** Begin Patch` … `*** End Patch`.
    Codex,
    /// `<<<<<<< SEARCH` … `=======` … `>>>>>>> REPLACE`.
    SearchReplace,
    /// `{"command": "str_replace", …}`.
    StrReplace,
    /// `{"path": …, "edits": [{"oldText": …, "newText": …}]}`.
    McpEdit,
    /// The Language Server Protocol's `WorkspaceEdit`.
    WorkspaceEdit,
    /// `[{"path": …, "content": …}]`.
    Files,
    /// `[path#TAG]`, `SWAP 4.=6:`, `+new line`.
    Hashline,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Dialect; 9] = [
        Self::Batch,
        Self::UnifiedDiff,
        Self::Codex,
        Self::SearchReplace,
        Self::StrReplace,
        Self::McpEdit,
        Self::WorkspaceEdit,
        Self::Files,
        Self::Hashline,
    ];

    /// The name as options and reports spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::UnifiedDiff => "unified-diff",
            Self::Codex => "codex",
            Self::SearchReplace => "search-replace",
            Self::StrReplace => "str-replace",
            Self::McpEdit => "mcp-edit",
            Self::WorkspaceEdit => "workspace-edit",
            Self::Files => "files",
            Self::Hashline => "hashline",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = Refusal;

    fn from_str(name: &str) -> Result<Self, Refusal> {
        Self::ALL
            .into_iter()
            .find(|dialect| dialect.name() == name)
            .ok_or_else(|| {
                let names = Self::ALL.map(Dialect::name).join(", ");
                Refusal::new(
                    Code::InvalidBatch,
                    format!("{name:?} is not a dialect; the dialects are {names}"),
                )
            })
    }
}

/// How a patch is read. What a dialect has no use for is ignored.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The format; `None` has it detected.
    pub dialect: Option<Dialect>,
    /// Refuse whatever is not exactly as the format has it, instead of reading it kindly.
    pub strict: bool,
    /// The file to patch, where the patch names none or another.
    pub file: Option<RelPath>,
    /// Change every match of a text to find, instead of refusing more than one.
    pub all: bool,
    /// How many leading components are taken off the names in a diff; `None` takes one off names
    /// that have git's prefixes.
    pub strip: Option<usize>,
    /// Apply the patch the other way around (unified diffs).
    pub reverse: bool,
    /// A directory to put before the names in a diff.
    pub directory: Option<RelPath>,
    /// Do not believe the line counts of hunk headers.
    pub recount: bool,
    /// Let white space differ in amount between the lines of a hunk and the file's.
    pub ignore_whitespace: bool,
    /// Only change files whose name matches one of these globs.
    pub include: Vec<String>,
    /// Leave out files whose name matches one of these globs.
    pub exclude: Vec<String>,
    /// Believe the line numbers of hunks without context that nothing else proves.
    pub unidiff_zero: bool,
    /// Let new lines pass that stand for code that was left out.
    pub allow_omission: bool,
    /// Refuse such lines also where the sender allows them.
    pub forbid_omission: bool,
    /// Bytes that a text which comes at many places may make the files grow by;
    /// [`MAX_GROWTH`](crate::plan::MAX_GROWTH) where nothing is said. The policy's holds for the rest.
    pub max_growth: Option<u64>,
    /// The root's absolute path: absolute paths below it are taken as relative to it.
    pub root: Option<PathBuf>,
}

impl Options {
    /// Checks that the options which choose what is edited hold for a script that was read in this
    /// dialect. [`parse`] does; a caller of [`batch::parse`](crate::batch::parse) has to.
    ///
    /// Those that only say how a diff is read (`strip`, `recount`, `ignore_whitespace`,
    /// `unidiff_zero`) mean nothing to the other dialects.
    ///
    /// # Errors
    /// `INVALID_BATCH` for `reverse`, `include`, `exclude`, `directory`, `file` or `all` where the
    /// dialect does not know it: the edit would land as if it had not been given.
    pub fn check(&self, dialect: Dialect, script: &dyn Script) -> Result<(), Refusal> {
        use Dialect::{Batch, Codex, McpEdit, SearchReplace, StrReplace, UnifiedDiff};
        let is_diff = dialect == UnifiedDiff;
        let is_found_by_text = matches!(dialect, SearchReplace | StrReplace | McpEdit);
        let is_of_another = |file| script.sources().iter().any(|path| path != file);
        let is_filtered = !self.include.is_empty() || !self.exclude.is_empty();
        let fault = if self.reverse && !is_diff {
            "cannot be reversed; undo it instead"
        } else if is_filtered && !is_diff {
            "cannot be applied in part: file names are only matched in a unified diff"
        } else if self.directory.is_some() && !is_diff {
            "takes no directory: one is only put before the names in a unified diff"
        } else if matches!(dialect, Batch | Codex) && self.file.as_ref().is_some_and(is_of_another)
        {
            "names its files itself, and another than the one that is given for it"
        } else if self.all && !is_found_by_text {
            "has no text to find of which every match could be changed"
        } else {
            return Ok(());
        };
        let message = format!("a patch in the dialect {dialect} {fault}");
        Err(Refusal::new(Code::InvalidBatch, message))
    }
}

/// A parsed patch in some dialect.
pub struct Patch<'a> {
    dialect: Dialect,
    script: Box<dyn Script + 'a>,
    received: Digest,
}

impl Patch<'_> {
    /// The format it was read as.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }
}

impl Script for Patch<'_> {
    fn paths(&self) -> Vec<RelPath> {
        self.script.paths()
    }

    fn sources(&self) -> Vec<RelPath> {
        self.script.sources()
    }

    fn mentions(&self) -> Vec<RelPath> {
        self.script.mentions()
    }

    fn as_batch(&self) -> Option<&Batch> {
        self.script.as_batch()
    }

    fn received(&self) -> Option<Digest> {
        Some(self.received)
    }

    fn reads(&self) -> Vec<(RelPath, crate::plan::Part)> {
        self.script.reads()
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        self.script.lower(tree)
    }
}

impl fmt::Debug for Patch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patch({})", self.dialect)
    }
}

/// Reads a patch.
///
/// ```
/// use patchcore::dialect::{Dialect, Options, parse};
/// let patch = parse(b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n", &Options::default())?;
/// assert_eq!(patch.dialect(), Dialect::UnifiedDiff);
/// # Ok::<(), patchcore::Refusal>(())
/// ```
///
/// # Errors
/// `INVALID_BATCH` for what is malformed, or not clear enough; `PATH_ESCAPE` for names that lead
/// out of the root. For calls in JSON, every fault has its line, column and JSON path; for unified
/// diffs, SEARCH/REPLACE blocks, codex envelopes and hashline, its line and column: reading goes on
/// with the next part behind a fault.
pub fn parse<'a>(bytes: &'a [u8], options: &Options) -> Result<Patch<'a>, Unread> {
    // What is forbidden is not allowed, whoever allows it.
    let dialect = match options.dialect {
        Some(dialect) => dialect,
        None => detect(bytes)?,
    };
    let options = &Options {
        allow_omission: options.allow_omission && !options.forbid_omission,
        dialect: Some(dialect),
        ..options.clone()
    };
    let script = parse_text(dialect, bytes, options)?;
    options.check(dialect, &*script)?;
    let content = script.content().unwrap_or_else(|| Digest::of(bytes));
    Ok(Patch {
        dialect,
        script,
        received: received(content, options),
    })
}

/// Reads a patch whose dialect is known.
fn parse_text<'a>(
    dialect: Dialect,
    bytes: &'a [u8],
    options: &Options,
) -> Result<Box<dyn Script + 'a>, Unread> {
    let is_called = match dialect {
        Dialect::StrReplace | Dialect::McpEdit => true,
        Dialect::Codex => detect::is_codex_call(bytes),
        Dialect::UnifiedDiff | Dialect::SearchReplace | Dialect::Hashline => {
            calls::is_string(bytes)
        }
        _ => false,
    };
    if is_called {
        let calls = calls::parse(bytes, options)?;
        leftover::check(bytes, dialect, &calls.read)?;
        return Ok(Box::new(calls));
    }
    let is_argument = dialect == Dialect::Codex
        && std::str::from_utf8(bytes).is_ok_and(|text| codex::unquoted(text).is_some());
    let is_in_lines = matches!(
        dialect,
        Dialect::Codex | Dialect::Hashline | Dialect::SearchReplace | Dialect::UnifiedDiff
    );
    if is_in_lines && !is_argument {
        shell::check(bytes, dialect)?;
    }
    let script: Box<dyn Script + 'a> = match dialect {
        Dialect::Batch => Box::new(crate::batch::parse(bytes, &Limits::default())?),
        Dialect::UnifiedDiff => Box::new(unified::parse(bytes, options)?),
        Dialect::Codex => codex::parse(bytes, options)?,
        Dialect::SearchReplace => Box::new(search_replace::parse(bytes, options)?),
        Dialect::WorkspaceEdit => Box::new(workspace_edit::parse(bytes, options)?),
        Dialect::Files => Box::new(files::parse(bytes, options)?),
        Dialect::Hashline => Box::new(hashline::parse(bytes, options)?),
        Dialect::StrReplace | Dialect::McpEdit => unreachable!("they are calls"),
    };
    if !is_argument {
        leftover::check(bytes, dialect, &[])?;
    }
    Ok(script)
}

/// The digest by which the same input, read in the same way, is known again.
fn received(content: Digest, options: &Options) -> Digest {
    let mut hasher = Hasher::default();
    hasher.update(format!("{options:?}\0").as_bytes());
    hasher.update(content.as_bytes());
    hasher.finish()
}

/// A path as it is named beneath the root; only one that is absolute changes.
fn beneath_root<'p>(path: &'p [u8], options: &Options) -> &'p [u8] {
    let Some(root) = options.root.as_ref().filter(|_| path.starts_with(b"/")) else {
        return path;
    };
    let root = root.as_os_str().as_bytes();
    match path.strip_prefix(root.strip_suffix(b"/").unwrap_or(root)) {
        Some([b'/', rest @ ..]) => rest,
        _ => path,
    }
}

/// The smallest single edit that turns the old bytes into the new ones; none where they are equal.
fn minimal_edit(old: &[u8], new: &[u8]) -> Option<Edit> {
    if old == new {
        return None;
    }
    let prefix = bytes::common_start(old, new);
    let (old_rest, new_rest) = (&old[prefix..], &new[prefix..]);
    let suffix = bytes::common_end(old_rest, new_rest);
    Some(Edit::replace(
        prefix..old.len() - suffix,
        &new_rest[..new_rest.len() - suffix],
    ))
}
