//! Tasks and answers, as scripts and people like them.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use patchcore::task::{Task, TaskStatus};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, printable};
use crate::cli::Output;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// How a task ended.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub(crate) uuid: String,
    pub(crate) file: String,
    pub(crate) placeholder: String,
    #[serde(rename = "outcome")]
    pub(crate) ended: TaskOutcome,
    /// Why, or what was remedied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

/// What became of a task's placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskOutcome {
    /// It is marked now.
    Injected,
    /// It was marked before.
    Unchanged,
    /// It is marked now, after a remedy.
    Repaired,
    /// The task cannot go on by itself.
    Blocked,
    /// It could not be marked, and nothing helped.
    Failed,
    /// The task is done.
    Complete,
}

impl TaskOutcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Unchanged => "unchanged",
            Self::Repaired => "repaired",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
            Self::Complete => "complete",
        }
    }
}

/// A line for each task, tab-separated: id, status, file, placeholder, first line of instruction.
pub(crate) fn list(tasks: &[Task], context: &Context) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(context.stdout());
    if context.output == Output::Json {
        // Written directly, so that numbers keep their spelling.
        #[derive(serde::Serialize)]
        struct Tasks<'a> {
            tasks: &'a [Task],
        }
        serde_json::to_writer(&mut out, &Tasks { tasks })?;
        writeln!(out)?;
        return out.flush();
    }
    for task in tasks {
        let instruction = task.instruction().unwrap_or_default();
        let first = instruction.lines().next().unwrap_or_default();
        let fields = [
            task.uuid(),
            task.status().as_str(),
            &task.file_path(),
            &task.placeholder(),
            first,
        ]
        .map(cell);
        writeln!(out, "{}", fields.join("\t"))?;
    }
    out.flush()
}

/// All members of a task, a line each.
pub(crate) fn one(task: &Task, context: &Context) -> std::io::Result<()> {
    let mut out = context.stdout();
    if context.output == Output::Json {
        serde_json::to_writer(&mut out, task)?;
        return writeln!(out);
    }
    for name in task.fields().names() {
        let value = match task.fields().get::<Value>(name) {
            Some(Value::String(text)) => text,
            _ => task.fields().raw(name).unwrap_or_default().to_owned(),
        };
        writeln!(out, "{}\t{}", cell(name), cell(&value))?;
    }
    Ok(())
}

/// A task's status.
pub(crate) fn status(uuid: &str, status: &TaskStatus, context: &Context) -> std::io::Result<()> {
    let mut out = context.stdout();
    match context.output {
        Output::Json => {
            serde_json::to_writer(&mut out, &json!({ "uuid": uuid, "status": status }))?;
            writeln!(out)
        }
        Output::Human => writeln!(out, "{}", printable(status.as_str())),
    }
}

/// What the orchestrator answered.
pub(crate) fn answer(answer: &Value, context: &Context) -> std::io::Result<()> {
    let mut out = context.stdout();
    match (context.output, answer["ai_guidance"].as_str()) {
        (Output::Human, Some(guidance)) => {
            writeln!(out, "{}", printable(guidance))?;
            match answer["summary"].as_str() {
                Some(summary) => writeln!(out, "{DIM}{}{DIM:#}", printable(summary)),
                None => Ok(()),
            }
        }
        _ => {
            serde_json::to_writer(&mut out, answer)?;
            writeln!(out)
        }
    }
}

/// How `init` ended, task by task.
pub(crate) fn table(order: &str, rows: &[Row], context: &Context) -> std::io::Result<()> {
    let count = |ended: TaskOutcome| rows.iter().filter(|row| row.ended == ended).count();
    let mut out = std::io::BufWriter::new(context.stdout());
    if context.output == Output::Json {
        let answer = json!({
            "order_id": order,
            "injected": count(TaskOutcome::Injected),
            "unchanged": count(TaskOutcome::Unchanged),
            "repaired": count(TaskOutcome::Repaired),
            "blocked": count(TaskOutcome::Blocked),
            "failed": count(TaskOutcome::Failed),
            "tasks": rows,
        });
        serde_json::to_writer(&mut out, &answer)?;
        writeln!(out)?;
        return out.flush();
    }
    let width = |of: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| printable(of(row)).chars().count())
            .max()
            .unwrap_or(0)
            .min(60)
    };
    let (file, placeholder) = (width(|row| &row.file), width(|row| &row.placeholder));
    if context.verbosity >= 0 {
        for row in rows {
            let style = match row.ended {
                TaskOutcome::Blocked | TaskOutcome::Failed => BAD,
                TaskOutcome::Unchanged | TaskOutcome::Complete => DIM,
                TaskOutcome::Injected | TaskOutcome::Repaired => GOOD,
            };
            let note = row.note.as_deref().unwrap_or_default();
            let line = format!(
                "{style}{:<9}{style:#}  {:<file$}  {:<placeholder$}  {}",
                row.ended.as_str(),
                cell(&row.file),
                cell(&row.placeholder),
                cell(note),
            );
            writeln!(out, "{}", line.trim_end())?;
        }
    }
    writeln!(
        out,
        "order {}: {} injected, {} unchanged, {} repaired, {} blocked, {} failed",
        printable(order),
        count(TaskOutcome::Injected),
        count(TaskOutcome::Unchanged),
        count(TaskOutcome::Repaired),
        count(TaskOutcome::Blocked),
        count(TaskOutcome::Failed),
    )?;
    out.flush()
}

/// Text as one field of a line.
fn cell(text: &str) -> String {
    printable(text).replace(['\t', '\n'], " ")
}
