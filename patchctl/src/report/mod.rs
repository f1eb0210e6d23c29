//! Everything that is printed.

pub(crate) mod adopt;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod edit;
mod escape;
pub(crate) mod events;
pub(crate) mod frame;
mod hint;
pub(crate) mod log;
pub(crate) mod placeholder;
pub(crate) mod progress;
pub(crate) mod read;
mod refusal;
pub(crate) mod run;
pub(crate) mod task;

use std::io::Write as _;

use patchcore::workspace::Workspace;
use patchcore::{Refusal, Report};

use crate::cli::{Color, Global, Output};
use crate::exit::{Exit, Failure};
use crate::redact::Redacting;

pub(crate) use escape::{one_line, printable, printable_json};
pub(crate) use frame::input_fault;

/// Most refusals, notes or warnings that are printed unless more is asked for.
const MOST: usize = 20;
/// How to see what a list leaves out.
const ALL: &str = "`-v` or `--output json` shows all";

/// How to print.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) output: Output,
    pub(crate) color: anstream::ColorChoice,
    /// 0 by default, higher with `-v`, lower with `-q`.
    pub(crate) verbosity: i8,
    /// Whether lists are printed to their end.
    pub(crate) whole: bool,
}

impl Context {
    /// Resolves the options.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            output: global.output,
            color: match global.color {
                Color::Auto => anstream::ColorChoice::Auto,
                Color::Always => anstream::ColorChoice::Always,
                Color::Never => anstream::ColorChoice::Never,
            },
            verbosity: i8::try_from(global.verbose).unwrap_or(9)
                - i8::try_from(global.quiet).unwrap_or(9),
            whole: global.verbose > 0,
        }
    }

    /// What of a list is printed, and what is only counted.
    fn cut<'a, T>(&self, list: &'a [T]) -> (&'a [T], &'a [T]) {
        let most = if self.whole { list.len() } else { MOST };
        list.split_at(most.min(list.len()))
    }

    /// Standard output, coloured or not.
    pub(crate) fn stdout(&self) -> Redacting<anstream::AutoStream<std::io::StdoutLock<'static>>> {
        let stdout = std::io::stdout().lock();
        Redacting::new(anstream::AutoStream::new(stdout, self.color))
    }

    /// Standard error, coloured or not.
    pub(crate) fn stderr(&self) -> Redacting<anstream::AutoStream<std::io::StderrLock<'static>>> {
        let stderr = std::io::stderr().lock();
        Redacting::new(anstream::AutoStream::new(stderr, self.color))
    }
}

/// Prints what ended a command early, and tells how to exit.
pub(crate) fn failure(failure: &Failure, context: &Context) -> Exit {
    let exit = failure.exit();
    if exit == Exit::Done {
        return exit;
    }
    // Where an output is gone there is nobody left to tell.
    let _ = match failure {
        Failure::Core(error) => refused(&error.to_refusal(), context),
        other => {
            writeln!(context.stderr(), "error: {}", printable(&other.to_string()))
        }
    };
    exit
}

/// Prints a refusal that stands alone.
fn refused(refusal: &Refusal, context: &Context) -> std::io::Result<()> {
    if context.output == Output::Json {
        let mut out = context.stdout();
        serde_json::to_writer(&mut out, &Report::unread(refusal.clone()))?;
        return writeln!(out);
    }
    refusal::explain(refusal, None, None, &mut context.stderr())
}

/// Prints what a person should know beside the result, as far as it is not too much.
pub(crate) fn warn_of_all(texts: &[String], context: &Context) {
    let (shown, left) = context.cut(texts);
    for text in shown {
        warn(text, context);
    }
    if !left.is_empty() {
        let more = edit::count(left.len(), "more warning");
        warn(&format!("{more}; {ALL}"), context);
    }
}

/// Says that state was met which was not written here, if it was.
pub(crate) fn warn_of_notes(workspace: &Workspace, context: &Context) {
    warn_of_all(&workspace.notes(), context);
}

/// Prints what a person should know beside the result.
pub(crate) fn warn(text: &str, context: &Context) {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    // Where standard error is gone there is nobody left to tell.
    let _ = writeln!(
        context.stderr(),
        "{style}warning{style:#}: {}",
        printable(text)
    );
}
