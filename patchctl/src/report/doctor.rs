//! Findings of `doctor` as they are printed.

use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{Context, printable};
use crate::cli::Output;
use crate::exit::Failure;

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Finding {
    /// What was looked at.
    pub(crate) check: &'static str,
    /// How it is.
    pub(crate) level: Level,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) todo: Option<&'static str>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Good,
    /// Worth a word; nothing fails.
    Odd,
    /// Something has to be done.
    Bad,
}

impl Finding {
    pub(crate) fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            level: Level::Good,
            found: found.into(),
            todo: None,
        }
    }

    pub(crate) fn odd(check: &'static str, found: impl Into<String>, todo: &'static str) -> Self {
        Self {
            check,
            level: Level::Odd,
            found: found.into(),
            todo: Some(todo),
        }
    }

    pub(crate) fn bad(check: &'static str, found: impl Into<String>, todo: &'static str) -> Self {
        Self {
            check,
            level: Level::Bad,
            found: found.into(),
            todo: Some(todo),
        }
    }
}

/// Prints findings, a line each, and what to do below.
pub(crate) fn print(findings: &[Finding], context: &Context) -> Result<(), Failure> {
    let mut out = context.stdout();
    let mut print = || -> std::io::Result<()> {
        for finding in findings {
            if context.output == Output::Json {
                serde_json::to_writer(&mut out, finding)?;
                writeln!(out)?;
                continue;
            }
            let (word, color) = match finding.level {
                Level::Good => ("ok  ", AnsiColor::Green),
                Level::Odd => ("note", AnsiColor::Yellow),
                Level::Bad => ("BAD ", AnsiColor::Red),
            };
            let style = Style::new().fg_color(Some(color.into()));
            let found = printable(&finding.found);
            writeln!(out, "{style}{word}{style:#}  {:<14} {found}", finding.check)?;
            if let Some(todo) = finding.todo {
                writeln!(out, "                      → {todo}")?;
            }
        }
        Ok(())
    };
    print().map_err(Failure::Output)
}
