//! What was done, for people and machines: a line of JSON for each thing, or a table.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;

use anstyle::{AnsiColor, Style};
use indicatif::HumanBytes;
use patchcore::Error;
use patchcore::report::Status;
use patchcore::workspace::{
    Audit, Collected, ForeignChange, Log, Rebuilt, Record, Recovered, SavedConflict, TransactionId,
    Unfinished, WorkspaceStatus,
};
use serde_json::{Value, json};

use super::edit::{colored_diff, verdicts};
use super::refusal::explain;
use super::{Context, one_line, printable};
use crate::cli::Output;
use crate::exit::{Exit, Failure};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Prints one thing in the form that was asked for.
pub(super) fn print(
    context: &Context,
    json: impl FnOnce() -> Value,
    human: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = context.stdout();
    match context.output {
        Output::Json => writeln!(out, "{}", json()),
        Output::Human => human(&mut out),
    }
    .map_err(Failure::Output)
}

/// What `recover` did.
pub(crate) fn recovered(recovered: &Recovered, context: &Context) -> Result<Exit, Failure> {
    let (name, transaction, conflicts, text) = match recovered {
        Recovered::Nothing => (
            "nothing",
            None,
            &[][..],
            "nothing was unfinished".to_owned(),
        ),
        Recovered::Discarded => (
            "discarded",
            None,
            &[][..],
            "a batch had not come to its commit point: what it had staged is removed".to_owned(),
        ),
        Recovered::Finished {
            transaction,
            conflicts,
        } => (
            "finished",
            Some(transaction),
            &conflicts[..],
            format!("transaction {transaction} is finished"),
        ),
        Recovered::TakenBack {
            transaction,
            conflicts,
        } => (
            "taken_back",
            Some(transaction),
            &conflicts[..],
            format!("transaction {transaction} was not verified: it is taken back"),
        ),
        Recovered::Abandoned { kept } => (
            "abandoned",
            None,
            &[][..],
            format!("the unfinished transaction is set aside as {kept}"),
        ),
        _ => ("done", None, &[][..], "done".to_owned()),
    };
    let json = || {
        json!({
            "version": 1,
            "recovered": name,
            "transaction": transaction.map(ToString::to_string),
            "conflicts": conflicts.iter().map(conflict).collect::<Vec<_>>(),
        })
    };
    print(context, json, |out| {
        writeln!(out, "{}", printable(&text))?;
        conflicts.iter().try_for_each(|saved| kept(saved, out))
    })?;
    Ok(Exit::Done)
}

/// How an unfinished transaction is called, which it is, and what becomes of it.
fn unfinished(unfinished: &Unfinished) -> (&'static str, Option<&TransactionId>, String) {
    match unfinished {
        Unfinished::Staging => ("staging", None, "a batch was being staged; the next run removes what is left of it".to_owned()),
        Unfinished::Committed(transaction) => (
            "committed",
            Some(transaction),
            format!("transaction {transaction} may be half installed; the next run, or recover, finishes it"),
        ),
        Unfinished::Prepared(transaction) => (
            "prepared",
            Some(transaction),
            format!("transaction {transaction} is installed but not verified; the next run, or recover, takes it back"),
        ),
        Unfinished::Corrupt(why) => ("hopeless", None, why.clone()),
        Unfinished::Foreign => (
            "foreign",
            None,
            "a transaction that was not written here; recover --adopt shows what it would do, recover --abandon sets it aside".to_owned(),
        ),
        _ => ("unknown", None, "a transaction is unfinished".to_owned()),
    }
}

/// What `status` found.
pub(crate) fn status(status: &WorkspaceStatus, context: &Context) -> Result<Exit, Failure> {
    let unfinished = status.unfinished.as_ref().map(unfinished);
    let json = || {
        json!({
            "version": 1,
            "unfinished": unfinished.as_ref().map(|(state, transaction, message)| json!({
                "state": state,
                "transaction": transaction.map(ToString::to_string),
                "message": message,
            })),
            "locked": status.locked,
            "conflicts": status.conflicts.iter().map(conflict).collect::<Vec<_>>(),
            "abandoned": status.abandoned,
            "entries": status.entries,
            "bytes": status.bytes,
            "foreign": status.foreign,
        })
    };
    print(context, json, |out| {
        match &unfinished {
            Some((_, _, message)) if status.locked => {
                writeln!(out, "{BOLD}at work{BOLD:#}: {}", one_line(message))?;
            }
            Some((_, _, message)) => {
                writeln!(out, "{BAD}unfinished{BAD:#}: {}", one_line(message))?
            }
            None => writeln!(out, "{GOOD}clean{GOOD:#}: nothing is unfinished")?,
        }
        if status.locked {
            writeln!(out, "locked: another process works on the tree")?;
        }
        status
            .conflicts
            .iter()
            .try_for_each(|saved| kept(saved, out))?;
        for name in &status.abandoned {
            writeln!(out, "set aside: {}", one_line(name))?;
        }
        let size = HumanBytes(status.bytes);
        writeln!(
            out,
            "log: {} in {size}",
            count(status.entries, "entry", "entries")
        )?;
        match status.foreign {
            0 => Ok(()),
            foreign => writeln!(out, "not written here, and ignored: {}", of_log(foreign)),
        }
    })?;
    Ok(Exit::Done)
}

/// Says how many entries of the log were not written here, if any.
pub(crate) fn foreign(log: &Log, context: &Context) -> Result<(), Failure> {
    let foreign = log.foreign()?;
    if foreign > 0 {
        let ignored = of_log(foreign);
        let verb = if foreign == 1 { "was" } else { "were" };
        let note =
            format!("{ignored} {verb} not written here (a clone, an archive or a copy); ignored");
        super::warn(&note, context);
    }
    Ok(())
}

fn of_log(entries: usize) -> String {
    count(entries, "entry of the log", "entries of the log")
}

/// One line of `history`.
pub(crate) fn entry(
    record: &Record,
    undone_by: Option<TransactionId>,
    context: &Context,
) -> Result<(), Failure> {
    let (added, removed) = lines(record);
    let json = || entry_json(record, undone_by);
    print(context, json, |out| {
        let files = count(record.changes.len(), "file", "files");
        write!(
            out,
            "{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}  {:<11} {files} (+{added} \u{2212}{removed})",
            record.transaction,
            record.at.get(..19).unwrap_or(&record.at),
            status_name(record.status),
        )?;
        if record.has_own_id() {
            write!(out, "  batch {}", one_line(&record.batch_id))?;
        }
        for label in [&record.labels.task_id, &record.labels.agent]
            .into_iter()
            .flatten()
        {
            write!(out, "  {DIM}{}{DIM:#}", one_line(label))?;
        }
        match (record.undoes, undone_by) {
            (Some(id), _) => writeln!(out, "  undoes {id}"),
            (None, Some(id)) => writeln!(out, "  undone by {id}"),
            (None, None) => writeln!(out),
        }
    })
}

/// An entry of `history`, as JSON.
pub(crate) fn entry_json(record: &Record, undone_by: Option<TransactionId>) -> Value {
    let (added, removed) = lines(record);
    json!({
        "version": 1,
        "transaction": record.transaction.to_string(),
        "batch_id": record.batch_id,
        "at": record.at,
        "status": record.status,
        "operations": record.operations.len(),
        "files": record.changes.len(),
        "lines_added": added,
        "lines_removed": removed,
        "labels": record.labels,
        "undoes": record.undoes.map(|id| id.to_string()),
        "undone_by": undone_by.map(|id| id.to_string()),
    })
}

/// A log entry that cannot be read, as JSON.
pub(crate) fn damaged_json(transaction: &TransactionId, error: &Error) -> Value {
    json!({
        "version": 1,
        "transaction": transaction.to_string(),
        "damaged": error.to_string(),
    })
}

/// A log entry that cannot be read.
pub(crate) fn damaged(
    transaction: &TransactionId,
    error: &Error,
    context: &Context,
) -> Result<(), Failure> {
    let json = || damaged_json(transaction, error);
    print(context, json, |out| {
        let why = error.to_string();
        writeln!(
            out,
            "{BOLD}{transaction}{BOLD:#}  {BAD}damaged{BAD:#}: {}",
            one_line(&why)
        )
    })
}

/// What `show` shows.
pub(crate) fn show(
    record: &Record,
    undone_by: Option<TransactionId>,
    diff: &[u8],
    context: &Context,
) -> Result<Exit, Failure> {
    let mut report = record.report();
    if context.output == Output::Json {
        report.diff = (!diff.is_empty()).then(|| String::from_utf8_lossy(diff).into_owned());
        let mut out = context.stdout();
        serde_json::to_writer(&mut out, &report)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
            .map_err(Failure::Output)?;
        return Ok(Exit::Done);
    }
    entry(record, undone_by, context)?;
    let mut out = context.stdout();
    let mut write = || -> io::Result<()> {
        verdicts(&report, &mut out)?;
        for operation in &report.operations {
            if let Some(refusal) = &operation.refusal {
                explain(refusal, Some(operation), None, &mut out)?;
            }
        }
        if let Some(refusal) = &report.refusal {
            explain(refusal, None, None, &mut out)?;
        }
        colored_diff(diff, &mut out)
    };
    write().map_err(Failure::Output)?;
    Ok(Exit::Done)
}

fn changed(change: &ForeignChange) -> String {
    let what = match (change.expected, change.found) {
        (Some(_), None) => "is gone",
        (None, Some(_)) => "came into being",
        _ => "was changed",
    };
    let until = change.until.map_or_else(
        || "now".to_owned(),
        |transaction| format!("transaction {transaction}"),
    );
    format!(
        "{} {what} by somebody else between transaction {} and {until}",
        one_line(&change.path.to_string()),
        change.since,
    )
}

/// What `audit` found; exit 1 where log and tree do not agree.
pub(crate) fn audit(audit: &Audit, context: &Context) -> Result<Exit, Failure> {
    let json = || {
        let changed = audit.changed.iter().map(|change| {
            json!({
                "path": change.path.to_string(),
                "since": change.since.to_string(),
                "until": change.until.map(|id| id.to_string()),
                "expected": change.expected,
                "found": change.found,
            })
        });
        let damaged = audit.damaged.iter().map(
            |damage| json!({"transaction": damage.transaction.to_string(), "why": damage.why}),
        );
        json!({
            "version": 1,
            "files": audit.files,
            "records": audit.records,
            "changed": changed.collect::<Vec<_>>(),
            "damaged": damaged.collect::<Vec<_>>(),
        })
    };
    print(context, json, |out| {
        for change in &audit.changed {
            writeln!(out, "{BAD}changed{BAD:#}: {}", changed(change))?;
        }
        for damage in &audit.damaged {
            writeln!(
                out,
                "{BAD}damaged{BAD:#}: {}: {}",
                damage.transaction,
                one_line(&damage.why)
            )?;
        }
        let files = count(audit.files, "file", "files");
        let records = count(audit.records, "record", "records");
        let verdict = if audit.is_clean() {
            "they agree"
        } else {
            "they do not agree"
        };
        writeln!(
            out,
            "{files} of the tree against {records} of the log: {verdict}"
        )
    })?;
    Ok(if audit.is_clean() {
        Exit::Done
    } else {
        Exit::Code(1)
    })
}

/// What was rebuilt from the log.
pub(crate) fn rebuilt(rebuilt: &Rebuilt, into: &Path, context: &Context) -> Result<Exit, Failure> {
    let into = into.display().to_string();
    let json = || {
        let foreign = rebuilt.foreign.iter().map(|change| change.path.to_string());
        json!({
            "version": 1,
            "directory": into,
            "records": rebuilt.records,
            "files": rebuilt.files,
            "from_snapshot": rebuilt.from_snapshot,
            "foreign": foreign.collect::<Vec<_>>(),
        })
    };
    print(context, json, |out| {
        let files = count(rebuilt.files, "file", "files");
        let records = count(rebuilt.records, "record", "records");
        writeln!(out, "rebuilt {files} from {records} in {}", one_line(&into))
    })?;
    if !rebuilt.from_snapshot {
        let note = "there is no snapshot that the log leads on from: files that no batch touched are left out; `patchctl snapshot` takes one";
        super::warn(note, context);
    }
    for change in &rebuilt.foreign {
        let note = format!(
            "{} was changed by somebody else; it is taken over as the log found it",
            change.path
        );
        super::warn(&note, context);
    }
    Ok(Exit::Done)
}

/// What `gc` removed.
pub(crate) fn collected(collected: &Collected, context: &Context) -> Result<Exit, Failure> {
    let json = || {
        json!({
            "version": 1,
            "removed": collected.removed,
            "freed": collected.freed,
            "kept": collected.kept,
            "bytes": collected.bytes,
        })
    };
    print(context, json, |out| {
        let removed = count(collected.removed, "entry", "entries");
        let kept = count(collected.kept, "entry", "entries");
        let (freed, left) = (HumanBytes(collected.freed), HumanBytes(collected.bytes));
        writeln!(out, "removed {removed} ({freed}), kept {kept} ({left})")
    })?;
    Ok(Exit::Done)
}

fn conflict(saved: &SavedConflict) -> Value {
    json!({"path": saved.path.to_string(), "kept": saved.kept})
}

fn kept(saved: &SavedConflict, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "conflict: what another program wrote to {} is kept as {}",
        one_line(&saved.path.to_string()),
        one_line(&saved.kept)
    )
}

fn lines(record: &Record) -> (usize, usize) {
    let changes = record.changes.iter();
    changes.fold((0, 0), |(added, removed), change| {
        (added + change.lines_added, removed + change.lines_removed)
    })
}

fn status_name(status: Status) -> String {
    serde_json::to_value(status)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn count(number: usize, one: impl Display, many: impl Display) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}
