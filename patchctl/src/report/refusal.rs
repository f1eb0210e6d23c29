//! Refusals for people: what is wrong, and what is there.

use std::collections::BTreeMap;
use std::io::Write;

use anstyle::{AnsiColor, Style};
use patchcore::operation::{Action, Batch, Guard};
use patchcore::report::{OperationReport, Report};
use patchcore::text::LineNumber;
use patchcore::{Code, Refusal};

use super::edit::{ADDED, BOLD, DIM, REMOVED, count};
use super::{ALL, Context, hint, one_line, printable};

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// Prints the operations that were refused: the first ones in full, and how many more there are.
pub(super) fn list(
    report: &Report,
    batch: Option<&Batch>,
    context: &Context,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let refused: Vec<_> = report
        .operations
        .iter()
        .filter_map(|operation| operation.refusal.as_ref().zip(Some(operation)))
        .collect();
    let (shown, left) = context.cut(&refused);
    for (refusal, operation) in shown {
        let guard = batch
            .and_then(|batch| batch.operations.get(operation.index))
            .and_then(|operation| guard(&operation.action));
        explain(refusal, Some(operation), guard, out)?;
    }
    if left.is_empty() {
        return Ok(());
    }
    let mut codes: BTreeMap<Code, usize> = BTreeMap::new();
    for (refusal, _) in left {
        *codes.entry(refusal.code).or_default() += 1;
    }
    let by_code: Vec<String> = codes
        .iter()
        .map(|(code, number)| format!("{number} {code}"))
        .collect();
    let more = count(left.len(), "more operation");
    let by_code = by_code.join(", ");
    writeln!(out, "{ERROR}refused{ERROR:#}: {more}: {by_code}; {ALL}")
}

fn guard(action: &Action) -> Option<&Guard> {
    match action {
        Action::ReplaceBlock { guard, .. } => Some(guard),
        Action::InsertBefore(insertion) | Action::InsertAfter(insertion) => Some(&insertion.guard),
        _ => None,
    }
}

/// Prints a refusal: what is wrong, what was expected and what is there, where else it may be.
pub(crate) fn explain(
    refusal: &Refusal,
    operation: Option<&OperationReport>,
    guard: Option<&Guard>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    writeln!(
        out,
        "{ERROR}refused[{}]{ERROR:#}{BOLD}: {}{BOLD:#}",
        refusal.code,
        one_line(&refusal.message)
    )?;
    locate(refusal, operation, out)?;
    let expected = guard
        .filter(|_| refusal.code == Code::ExpectMismatch)
        .and_then(|g| g.expect.as_ref());
    if let Some(expected) = expected {
        writeln!(out, "   {DIM}|{DIM:#} expected")?;
        frame(
            &String::from_utf8_lossy(expected.as_bytes()),
            None,
            REMOVED,
            out,
        )?;
    }
    if let Some(found) = &refusal.found {
        writeln!(out, "   {DIM}|{DIM:#} found")?;
        // A listing brings its own numbers.
        let first = refusal.line.filter(|_| !is_listing(found));
        frame(found, first.map(LineNumber::get), ADDED, out)?;
    }
    if !refusal.candidates.is_empty() {
        writeln!(out, "   {DIM}={DIM:#} may be meant:")?;
        for candidate in &refusal.candidates {
            let line = candidate
                .line
                .map_or_else(String::new, |line| format!("line {line}: "));
            writeln!(out, "       {line}{}", printable(candidate.text.trim_end()))?;
        }
    }
    if let Some(suggestion) = &refusal.suggestion {
        writeln!(
            out,
            "   {DIM}={DIM:#} send instead: {}",
            printable(&suggestion.to_string())
        )?;
    }
    if let Some(hint) = refusal.hint {
        writeln!(out, "   {DIM}={DIM:#} hint: {}", hint::words(hint))?;
    }
    Ok(())
}

/// Prints where a refusal is: its file and line, and the operation.
fn locate(
    refusal: &Refusal,
    operation: Option<&OperationReport>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let line = refusal
        .line
        .map_or_else(String::new, |line| format!(":{line}"));
    let file = refusal
        .file
        .as_deref()
        .or(operation.map(|o| o.file.as_str()))
        .unwrap_or_default();
    match operation {
        Some(operation) => writeln!(
            out,
            "  {DIM}-->{DIM:#} {}{line} (operation {}, {})",
            one_line(file),
            operation.index,
            operation.op
        )?,
        None if !file.is_empty() => writeln!(out, "  {DIM}-->{DIM:#} {}{line}", one_line(file))?,
        None => {}
    }
    Ok(())
}

/// Whether text is a listing with tags: its header, and lines that bear their numbers.
fn is_listing(text: &str) -> bool {
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let is_numbered = |line: &str| {
        let number = line.split_once(':').map(|(number, _)| number);
        number.is_some_and(|number| number.parse::<u64>().is_ok())
    };
    header.starts_with('[') && header.ends_with(']') && lines.next().is_some_and(is_numbered)
}

/// Lines with their numbers, or without where they stand nowhere.
fn frame(
    text: &str,
    first: Option<u64>,
    style: Style,
    out: &mut impl Write,
) -> std::io::Result<()> {
    const MOST: usize = 8;
    let lines: Vec<&str> = text.lines().collect();
    for (offset, line) in lines.iter().take(MOST).enumerate() {
        let number = first.map_or_else(String::new, |first| (first + offset as u64).to_string());
        let short: String = line.chars().take(160).collect();
        writeln!(
            out,
            "{DIM}{number:>5} |{DIM:#} {style}{}{style:#}",
            printable(&short)
        )?;
    }
    if lines.len() > MOST {
        writeln!(
            out,
            "{DIM}      | … {} more{DIM:#}",
            count(lines.len() - MOST, "line")
        )?;
    }
    Ok(())
}
