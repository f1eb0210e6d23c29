//! Events, dead letters and deliveries as they are printed.

use std::io::Write as _;

use patchcore::event::{EventKind, PatchEvent};
use serde::Serialize;
use serde_json::json;

use super::{Context, one_line, printable};
use crate::cli::Output;
use crate::delivery::Tally;
use crate::exit::Failure;
use crate::store::DeadLetter;

/// Whether an event was taken by the orchestrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Delivery {
    Delivered,
    Waiting,
    Dead,
}

/// An event as a line of JSON: all of its own fields, and its delivery where there is a store.
#[derive(Serialize)]
pub(crate) struct Line<'a> {
    #[serde(flatten)]
    pub(crate) event: &'a PatchEvent,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delivery: Option<Delivery>,
}

/// Prints events, a line each.
pub(crate) fn list(
    events: &[(PatchEvent, Option<Delivery>)],
    context: &Context,
) -> Result<(), Failure> {
    let mut out = context.stdout();
    let mut print = || -> std::io::Result<()> {
        for (event, delivery) in events {
            match context.output {
                Output::Json => {
                    let delivery = *delivery;
                    serde_json::to_writer(&mut out, &Line { event, delivery })?;
                    writeln!(out)?;
                }
                Output::Human => writeln!(out, "{}", one_line(&line(event, *delivery)))?,
            }
        }
        out.flush()
    };
    print().map_err(Failure::Output)
}

/// Prints events with all that they say.
pub(crate) fn show(
    events: &[(PatchEvent, Option<Delivery>)],
    context: &Context,
) -> Result<(), Failure> {
    if context.output == Output::Json {
        return list(events, context);
    }
    let mut out = context.stdout();
    let mut print = || -> std::io::Result<()> {
        for (event, delivery) in events {
            writeln!(out, "{}", one_line(&line(event, *delivery)))?;
            writeln!(out, "  event_id     {}", event.event_id)?;
            writeln!(out, "  transaction  {}", event.transaction)?;
            writeln!(out, "  batch_id     {}", one_line(&event.batch_id))?;
            if let Some(refusal) = &event.refusal {
                writeln!(out, "  refusal      {}", one_line(&refusal.to_string()))?;
            }
            for (name, hash) in [("before", event.before), ("after", event.after)] {
                if let Some(hash) = hash {
                    writeln!(out, "  {name:<12} {hash}")?;
                }
            }
            if event.diff_truncated {
                writeln!(out, "  the diff is too long for an event")?;
            }
            if let Some(diff) = &event.diff {
                writeln!(out, "{}", printable(diff.trim_end_matches('\n')))?;
            }
        }
        Ok(())
    };
    print().map_err(Failure::Output)
}

/// Prints dead letters.
pub(crate) fn dead(letters: &[DeadLetter], context: &Context) -> Result<(), Failure> {
    let mut out = context.stdout();
    let mut print = || -> std::io::Result<()> {
        for letter in letters {
            let at = jiff::Timestamp::from_millisecond(letter.at).unwrap_or_default();
            match context.output {
                Output::Json => {
                    let body = letter.body.as_deref();
                    let body = body
                        .and_then(|body| serde_json::from_slice::<serde_json::Value>(body).ok());
                    let line = json!({
                        "id": letter.id, "kind": letter.kind.name(), "at": at.to_string(),
                        "transaction": letter.transaction, "reason": letter.reason,
                        "attempts": letter.attempts, "body": body,
                    });
                    writeln!(out, "{line}")?;
                }
                Output::Human => {
                    let text = format!(
                        "{at:.0}  {}  {}  {}",
                        letter.id,
                        letter.kind.name(),
                        letter.reason
                    );
                    writeln!(out, "{}", one_line(&text))?;
                }
            }
        }
        Ok(())
    };
    print().map_err(Failure::Output)
}

/// Prints what a delivery did, and what people should know of it.
pub(crate) fn flushed(tally: &Tally, pending: u64, context: &Context) -> Result<(), Failure> {
    notes(&tally.notes, context)?;
    if pending > 0
        && let Some(error) = &tally.last_error
    {
        notes(&[format!("the last attempt failed: {error}")], context)?;
    }
    let Tally {
        delivered,
        dead,
        failed,
        ..
    } = tally;
    let text = match context.output {
        Output::Json => json!({
            "delivered": delivered, "dead": dead, "failed_attempts": failed, "waiting": pending,
        })
        .to_string(),
        Output::Human => format!(
            "{delivered} delivered, {pending} waiting, {dead} dead, {failed} failed attempts"
        ),
    };
    if context.output == Output::Human && context.verbosity < 0 {
        return Ok(());
    }
    writeln!(context.stdout(), "{text}").map_err(Failure::Output)
}

/// Prints what people should know, on standard error.
pub(crate) fn notes(notes: &[String], context: &Context) -> Result<(), Failure> {
    for note in notes {
        let text = one_line(note);
        writeln!(context.stderr(), "warning: {text}").map_err(Failure::Output)?;
    }
    Ok(())
}

/// Prints that something was done.
pub(crate) fn done(what: &str, context: &Context) -> Result<(), Failure> {
    if context.verbosity < 0 {
        return Ok(());
    }
    writeln!(context.stderr(), "{}", printable(what)).map_err(Failure::Output)
}

fn line(event: &PatchEvent, delivery: Option<Delivery>) -> String {
    let mut line = format!("{}  {:<17}", event.at, event.event.as_str());
    if let Some(operation) = &event.operation {
        line.push_str(&format!(
            "  {}  {} #{}",
            event.file.as_deref().unwrap_or("-"),
            operation.op,
            operation.index
        ));
    } else {
        line.push_str(&format!("  batch {}", event.batch_id));
    }
    if let Some(counts) = &event.counts {
        let all: Vec<String> = counts
            .iter()
            .map(|(name, n)| format!("{n} {name}"))
            .collect();
        line.push_str(&format!("  {}", all.join(", ")));
    }
    if event.lines_added + event.lines_removed > 0 && event.event != EventKind::PatchRefused {
        line.push_str(&format!(
            "  +{} -{}",
            event.lines_added, event.lines_removed
        ));
    }
    if let Some(refusal) = &event.refusal {
        line.push_str(&format!("  {}", refusal.code));
    }
    if let Some(task) = &event.labels.task_id {
        line.push_str(&format!("  task {task}"));
    }
    match delivery {
        Some(Delivery::Waiting) => line.push_str("  (waiting)"),
        Some(Delivery::Dead) => line.push_str("  (dead letter)"),
        Some(Delivery::Delivered) | None => {}
    }
    // A line is a line.
    line.replace(['\n', '\t'], " ")
}
