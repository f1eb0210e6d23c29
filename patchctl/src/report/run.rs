//! What a command did, for people and machines. Standard output is the command's own: people are
//! told on standard error, machines by the last line of standard output.

use std::io::{self, Write};

use patchcore::plan::{ChangeKind, Plan};
use patchcore::report::{FileReport, Report};
use patchcore::workspace::{EndedCommand, TransactionId};
use serde_json::json;

use super::edit::{self, DIM, Details, count};
use super::{ALL, Context, one_line};
use crate::cli::Output;
use crate::exit::Failure;

/// Prints the id of a run that was begun.
pub(crate) fn begun(id: &TransactionId, context: &Context) -> Result<(), Failure> {
    let mut out = context.stdout();
    match context.output {
        Output::Json => writeln!(out, "{}", json!({ "run": id.to_string() })),
        Output::Human => writeln!(out, "{id}"),
    }
    .map_err(Failure::Output)
}

/// There is nothing to record: the command changed nothing, or what it did is recorded already.
pub(crate) fn nothing(ended: &EndedCommand, context: &Context) -> Result<(), Failure> {
    let earlier: Vec<&str> = (ended.earlier.iter())
        .map(|record| &*record.batch_id)
        .collect();
    match context.output {
        Output::Json => {
            let report = match earlier.is_empty() {
                true => json!({ "status": "unchanged" }),
                false => json!({ "status": "applied", "earlier": earlier }),
            };
            writeln!(context.stdout(), "{report}")
        }
        Output::Human if context.verbosity > 0 && earlier.is_empty() => {
            writeln!(context.stderr(), "the command changed no file")
        }
        Output::Human => Ok(()),
    }
    .map_err(Failure::Output)
}

/// Prints what was recorded.
pub(crate) fn recorded(
    report: &Report,
    plan: &Plan,
    diff: bool,
    context: &Context,
) -> Result<(), Failure> {
    let print = || -> io::Result<()> {
        if context.output == Output::Json {
            let details = Details {
                batch: None,
                plan,
                diff,
            };
            return edit::json(report, &details, context);
        }
        super::warn_of_all(&report.warnings, context);
        let mut out = context.stderr();
        if diff {
            edit::write_diff(plan, &mut out)?;
        }
        if context.verbosity < 0 {
            return Ok(());
        }
        let (shown, left) = context.cut(&report.files);
        for file in shown {
            writeln!(out, "{DIM}{}{DIM:#}", line(file))?;
        }
        if !left.is_empty() {
            let more = count(left.len(), "more file");
            writeln!(out, "{DIM}{more}; {ALL}{DIM:#}")?;
        }
        let id = report.batch_id.as_deref().unwrap_or_default();
        writeln!(
            out,
            "recorded {} as {id}; `patchctl undo {id}` takes them back",
            count(report.files.len(), "changed file"),
        )
    };
    print().map_err(Failure::Output)
}

/// Says that what was recorded is taken back.
pub(crate) fn taken_back(report: &Report, context: &Context) -> Result<(), Failure> {
    let print = || -> io::Result<()> {
        if context.output == Output::Json {
            let mut out = context.stdout();
            serde_json::to_writer(&mut out, report)?;
            return writeln!(out);
        }
        let mut out = context.stderr();
        super::refusal::list(report, None, context, &mut out)?;
        match report.code() {
            None => writeln!(out, "what the command did is taken back"),
            Some(_) => writeln!(out, "what the command did cannot be taken back"),
        }
    };
    print().map_err(Failure::Output)
}

fn line(file: &FileReport) -> String {
    let change = match file.change {
        ChangeKind::Created => "created",
        ChangeKind::Deleted => "deleted",
        ChangeKind::Renamed => "renamed",
        ChangeKind::Copied => "copied",
        ChangeKind::Mode => "mode of",
        ChangeKind::Modified => "modified",
    };
    let path = one_line(&file.path);
    match &file.from {
        Some(from) => format!("{change} {} to {path}", one_line(from)),
        None => format!(
            "{change} {path} (+{} −{})",
            file.lines_added, file.lines_removed
        ),
    }
}
