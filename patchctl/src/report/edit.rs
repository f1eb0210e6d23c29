//! What a batch did or would do, for people and machines.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use patchcore::diff;
use patchcore::operation::Batch;
use patchcore::plan::{Outcome, Plan};
use patchcore::rebase::Rebased;
use patchcore::report::{OperationReport, Report, Status};
use patchcore::text::LineNumber;

use super::{ALL, Context, one_line, printable, refusal};
use crate::cli::Output;
use crate::exit::Failure;

pub(super) const ADDED: Style = AnsiColor::Green.on_default();
pub(super) const REMOVED: Style = AnsiColor::Red.on_default();
const HUNK: Style = AnsiColor::Cyan.on_default();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();

/// What is printed beside the report itself.
pub(crate) struct Details<'a> {
    /// The operations, where their guards are to be shown.
    pub(crate) batch: Option<&'a Batch>,
    /// What they come to.
    pub(crate) plan: &'a Plan,
    /// Whether the diff is shown.
    pub(crate) diff: bool,
}

/// Prints a report.
pub(crate) fn print(
    report: &Report,
    details: &Details<'_>,
    context: &Context,
) -> Result<(), Failure> {
    match context.output {
        Output::Json => json(report, details, context),
        Output::Human => human(report, details, context),
    }
    .map_err(Failure::Output)
}

pub(super) fn json(
    report: &Report,
    details: &Details<'_>,
    context: &Context,
) -> std::io::Result<()> {
    let report = whole(report, details)?;
    let mut out = context.stdout();
    serde_json::to_writer(&mut out, &report)?;
    writeln!(out)
}

/// The report with its diff, where one is to be shown.
pub(crate) fn whole(report: &Report, details: &Details<'_>) -> std::io::Result<Report> {
    let mut report = report.clone();
    if details.diff {
        let mut bytes = Vec::new();
        write_diff(details.plan, &mut bytes)?;
        report.diff = Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(report)
}

/// Writes the diff of a plan, in git's format.
pub(crate) fn write_diff(plan: &Plan, out: &mut impl Write) -> std::io::Result<()> {
    plan.write_diff(&diff::DiffOptions::default(), out)
}

fn human(report: &Report, details: &Details<'_>, context: &Context) -> std::io::Result<()> {
    if details.diff && context.verbosity >= 0 {
        let mut bytes = Vec::new();
        write_diff(details.plan, &mut bytes)?;
        colored_diff(&bytes, &mut context.stdout())?;
    }
    let mut out = context.stderr();
    refusal::list(report, details.batch, context, &mut out)?;
    if let Some(refusal) = &report.refusal {
        refusal::explain(refusal, None, None, &mut out)?;
    }
    super::warn_of_all(&report.warnings, context);
    if context.verbosity >= 0 {
        notes(&report.operations, context, &mut out)?;
        if context.verbosity > 0 {
            verdicts(report, &mut out)?;
        }
        writeln!(out, "{}", summary(report))?;
    }
    Ok(())
}

/// How operations were read, where that is worth saying.
fn notes(
    operations: &[OperationReport],
    context: &Context,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let noted: Vec<_> = operations
        .iter()
        .filter_map(|operation| Some((note(operation)?, operation)))
        .collect();
    let (shown, left) = context.cut(&noted);
    for (note, operation) in shown {
        let (index, file) = (operation.index, one_line(&operation.file));
        writeln!(
            out,
            "{DIM}note{DIM:#}: operation {index} on {file}: {}",
            one_line(note)
        )?;
    }
    if !left.is_empty() {
        let more = count(left.len(), "more note");
        writeln!(out, "{DIM}note{DIM:#}: {more}; {ALL}")?;
    }
    Ok(())
}

/// How an operation was read, and where its lines were.
fn note(operation: &OperationReport) -> Option<String> {
    let rebased = operation.rebased.as_deref().map(|Rebased { from, to }| {
        let lines = |[first, last]: [LineNumber; 2]| match first == last {
            true => format!("line {first}"),
            false => format!("lines {first} to {last}"),
        };
        let are = if from[0] == from[1] { "is" } else { "are" };
        match from == to {
            true => format!("the file has changed, but not at {}", lines(*to)),
            false => format!(
                "the file has changed: {} {are} now {}",
                lines(*from),
                lines(*to)
            ),
        }
    });
    let both: Vec<String> = operation.note.clone().into_iter().chain(rebased).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

/// One line for each operation.
pub(crate) fn verdicts(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    for operation in &report.operations {
        let outcome = name(operation.would.unwrap_or(operation.outcome));
        let lines = operation
            .lines
            .map_or_else(String::new, |[first, last]| format!(":{first}-{last}"));
        let (index, op, file) = (operation.index, &operation.op, one_line(&operation.file));
        writeln!(out, "{index:>4} {outcome:<16} {op} {file}{lines}")?;
    }
    Ok(())
}

/// An outcome as reports spell it.
fn name(outcome: Outcome) -> String {
    serde_json::to_value(outcome)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn summary(report: &Report) -> String {
    let operations = report.operations.len();
    let refused = report
        .operations
        .iter()
        .filter(|o| o.refusal.is_some())
        .count();
    let files = report.files.len();
    let (added, removed) = report.files.iter().fold((0, 0), |(added, removed), file| {
        (added + file.lines_added, removed + file.lines_removed)
    });
    let of_files = format!("{} (+{added} \u{2212}{removed})", count(files, "file"));
    let mut line = match report.status {
        Status::Applied => format!("applied {} to {of_files}", count(operations, "operation")),
        Status::Partial => {
            format!(
                "applied a part: {refused} of {} refused, {of_files} changed",
                count(operations, "operation")
            )
        }
        Status::Unchanged if operations == 0 => "nothing to do: the input edits no file".to_owned(),
        Status::Unchanged => "nothing to do: all of it is there already".to_owned(),
        Status::Previewed if files == 0 => "would change nothing".to_owned(),
        Status::Previewed => format!(
            "would apply {} to {of_files}; nothing was written",
            count(operations, "operation")
        ),
        Status::Refused if refused > 0 => {
            format!(
                "refused: {refused} of {}; the tree is as it was",
                count(operations, "operation")
            )
        }
        Status::RolledBack => "rolled back: the tree is as it was".to_owned(),
        _ => "refused; the tree is as it was".to_owned(),
    };
    if matches!(report.status, Status::Applied | Status::Partial)
        && let Some(batch) = &report.batch_id
    {
        line.push_str(&format!("  [batch {}]", one_line(batch)));
    }
    if report.status == Status::Previewed {
        line.push_str(&format!("  [plan {}]", report.plan));
    }
    line
}

pub(crate) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Prints a diff in colour, unable to move the cursor.
pub(crate) fn colored_diff(bytes: &[u8], out: &mut impl Write) -> std::io::Result<()> {
    let mut in_header = true;
    for line in patchcore::text::split_lines(bytes) {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let (text, carriage_return) = match text.strip_suffix('\r') {
            Some(text) => (text, "^M"),
            None => (text, ""),
        };
        if text.starts_with("diff --git ") {
            in_header = true;
        } else if text.starts_with("@@ ") {
            in_header = false;
        }
        let style = match text.as_bytes().first() {
            _ if in_header => BOLD,
            Some(b'@') => HUNK,
            Some(b'+') => ADDED,
            Some(b'-') => REMOVED,
            Some(b'\\') => DIM,
            _ => Style::new(),
        };
        writeln!(
            out,
            "{style}{}{style:#}{DIM}{carriage_return}{DIM:#}",
            printable(text)
        )?;
    }
    Ok(())
}
