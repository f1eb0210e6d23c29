//! What a scan found, for people.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use patchcore::placeholder::Syntax;
use patchcore::text::LineNumber;
use patchcore::workspace::Walked;
use serde::Serialize;

use super::{Context, one_line};
use crate::cli::Output;

const PLACE: Style = AnsiColor::Magenta.on_default();
const UNKNOWN: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
/// A placeholder of the tree.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Hit {
    pub(crate) id: String,
    pub(crate) syntax: Syntax,
    pub(crate) file: String,
    pub(crate) line: LineNumber,
    pub(crate) column: u64,
    /// What the payload or manifest at hand says; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Standing>,
}

/// What is known of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// It is expected, and stands in one place.
    Known,
    /// Nobody expects it.
    Unknown,
    /// It stands in several places.
    Duplicate,
}

/// What a scan found.
pub(crate) struct Found {
    /// By file, line and column.
    pub(crate) hits: Vec<Hit>,
    /// The ids that were looked for in vain.
    pub(crate) missing: Vec<String>,
    pub(crate) walked: Walked,
}

/// Most missing ids and unread files that are listed.
const MOST: usize = 10;

/// A line for each placeholder: place, id, what is known of it.
pub(crate) fn hits(hits: &[Hit], context: &Context) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(context.stdout());
    for hit in hits {
        let (file, line, column) = (one_line(&hit.file), hit.line, hit.column);
        let id = one_line(&hit.id);
        write!(out, "{PLACE}{file}{PLACE:#}:{line}:{column}: {id}")?;
        match hit.status {
            Some(Standing::Unknown) => writeln!(out, " {UNKNOWN}unknown{UNKNOWN:#}")?,
            Some(Standing::Duplicate) => writeln!(out, " {DIM}duplicate{DIM:#}")?,
            Some(Standing::Known) | None => writeln!(out)?,
        }
    }
    out.flush()
}

/// The talk after a scan: what is missing, what could not be read, how much there was.
pub(crate) fn scanned(found: &Found, context: &Context) -> std::io::Result<()> {
    let Found {
        hits,
        missing,
        walked,
    } = found;
    unread(walked, context)?;
    if context.verbosity < 0 {
        return Ok(());
    }
    let mut err = context.stderr();
    for id in missing.iter().take(MOST) {
        writeln!(err, "{WARNING}missing{WARNING:#}: {}", one_line(id))?;
    }
    if missing.len() > MOST {
        writeln!(err, "… and {} more are missing", missing.len() - MOST)?;
    }
    if context.output == Output::Human {
        let mut ids: Vec<&str> = hits.iter().map(|hit| hit.id.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut files: Vec<&str> = hits.iter().map(|hit| hit.file.as_str()).collect();
        files.dedup();
        writeln!(
            err,
            "{} placeholders of {} ids in {} files; {} files read, {:.1} MB",
            hits.len(),
            ids.len(),
            files.len(),
            walked.files,
            walked.bytes as f64 / 1e6,
        )?;
    }
    Ok(())
}

/// Warns of what a walk could not read.
pub(crate) fn unread(walked: &Walked, context: &Context) -> std::io::Result<()> {
    let mut err = context.stderr();
    for error in walked.failures.iter().take(MOST) {
        let error = error.to_string();
        writeln!(err, "{WARNING}warning{WARNING:#}: {}", one_line(&error))?;
    }
    if walked.failures.len() > MOST {
        let more = walked.failures.len() - MOST;
        writeln!(
            err,
            "{WARNING}warning{WARNING:#}: {more} more could not be read"
        )?;
    }
    Ok(())
}
