//! A diff as the only output: for people in colour, for programs byte for byte.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;

use super::{ALL, Context, edit, one_line};
use crate::cli::Output;
use crate::exit::Failure;
use crate::redact::Redacting;

/// Takes a diff in pieces and prints it.
pub(crate) struct DiffOutput<'a> {
    context: &'a Context,
    sink: Sink,
}

enum Sink {
    /// Byte for byte, so that it can be applied.
    Plain(BufWriter<Redacting<io::StdoutLock<'static>>>),
    /// To be coloured, made safe for a terminal, or put into JSON.
    Whole(Vec<u8>),
}

impl<'a> DiffOutput<'a> {
    /// Decides by where standard output goes.
    pub(crate) fn new(context: &'a Context) -> Self {
        let stdout = io::stdout();
        let colored = match context.color {
            anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => true,
            _ => stdout.is_terminal(),
        };
        let sink = if colored || context.output == Output::Json {
            Sink::Whole(Vec::new())
        } else {
            Sink::Plain(BufWriter::with_capacity(
                1 << 16,
                Redacting::new(stdout.lock()),
            ))
        };
        Self { context, sink }
    }

    /// Takes the next piece.
    pub(crate) fn write(&mut self, diff: &[u8]) -> Result<(), Failure> {
        self.write_all(diff).map_err(Failure::Output)
    }

    /// Prints what is left, and on standard error what was not compared.
    pub(crate) fn finish(self, skipped: &[PathBuf]) -> Result<(), Failure> {
        let context = self.context;
        let printed = match self.sink {
            Sink::Plain(mut out) => out.flush(),
            Sink::Whole(diff) if context.output == Output::Json => {
                let document = serde_json::json!({
                    "version": 1,
                    "diff": String::from_utf8_lossy(&diff),
                    "skipped": skipped.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
                });
                writeln!(context.stdout(), "{document}")
            }
            Sink::Whole(diff) => edit::colored_diff(&diff, &mut context.stdout()),
        };
        printed.map_err(Failure::Output)?;
        if context.verbosity >= 0 && context.output == Output::Human {
            let (shown, left) = context.cut(skipped);
            for path in shown {
                let path = path.display().to_string();
                // Where standard error is gone there is nobody left to tell.
                let _ = writeln!(
                    context.stderr(),
                    "skipped: {} is not a regular file",
                    one_line(&path)
                );
            }
            if !left.is_empty() {
                let more = edit::count(left.len(), "more path");
                let _ = writeln!(context.stderr(), "skipped: {more}; {ALL}");
            }
        }
        Ok(())
    }
}

impl Write for DiffOutput<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.sink {
            Sink::Plain(out) => out.write(bytes),
            Sink::Whole(diff) => diff.write(bytes),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::Plain(out) => out.write_all(bytes),
            Sink::Whole(diff) => diff.write_all(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
