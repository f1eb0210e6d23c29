//! `replace-block`, `append` and the others: a batch of one operation.

use std::io::Read as _;
use std::path::Path;

use patchcore::batch::{
    Append, At, Content, CopyFile, CreateFile, DeleteFile, Expectation, InsertAfter, InsertBefore,
    PatchBatch, PatchOperation, Prepend, RenameFile, ReplaceBlock, ReplaceText, SetMode,
};
use patchcore::operation::{Batch, Indent, Labels, Occurrence, Pattern};
use patchcore::{Error, Refusal};

use super::edit::{Request, run as run_edit};
use crate::cli::Cli;
use crate::cli::operation::{AddressArgs, ContentArgs, OperationCommand, RunArgs, TargetArgs};
use crate::exit::{Exit, Failure};
use crate::place::{Location, read_bytes};
use crate::report::Context;

/// Runs one operation.
pub(crate) fn run(
    cli: &Cli,
    command: &OperationCommand,
    context: &Context,
) -> Result<Exit, Failure> {
    let place = Location::of(&cli.global)?;
    let operation = operation(&place, command)?;
    let run = command.run();
    let batch = batch(operation, run)?;
    let request = Request::of(&run.edit);
    run_edit(&place, &batch, &request, context)
}

fn batch(operation: PatchOperation, run: &RunArgs) -> Result<Batch, Failure> {
    let batch = PatchBatch {
        batch_id: run.labels.batch_id()?,
        labels: run.labels.labels()?,
        ..PatchBatch::new(vec![operation])
    };
    batch.try_into().map_err(usage)
}

/// What is wrong with a value of the command line.
pub(super) fn usage(refusal: Refusal) -> Failure {
    Failure::Usage(refusal.message)
}

/// The operation of a command. Long, for it is the table of commands.
fn operation(place: &Location, command: &OperationCommand) -> Result<PatchOperation, Failure> {
    use OperationCommand as Op;
    /// An operation of its own fields and those that every one has.
    macro_rules! operation {
        ($name:ident { $($field:ident: $value:expr),+ $(,)? } of $file:expr) => {
            PatchOperation::$name($name {
                file: path(place, &$file.file)?,
                $($field: $value,)+
                base: $file.base,
                allow: Vec::new(),
                labels: Labels::default(),
            })
        };
    }
    Ok(match command {
        Op::ReplaceBlock {
            target,
            content,
            pad,
            ..
        } => {
            operation!(ReplaceBlock {
                at: address(&target.address)?,
                guard: guard(target),
                content: read_content(content)?,
                pad: *pad,
                indent: indent(target),
            } of target.file)
        }
        Op::InsertBefore {
            target, content, ..
        } => {
            operation!(InsertBefore {
                at: address(&target.address)?,
                guard: guard(target),
                content: read_content(content)?,
                indent: indent(target),
            } of target.file)
        }
        Op::InsertAfter {
            target, content, ..
        } => {
            operation!(InsertAfter {
                at: address(&target.address)?,
                guard: guard(target),
                content: read_content(content)?,
                indent: indent(target),
            } of target.file)
        }
        Op::Append { file, content, .. } => {
            operation!(Append { content: read_content(content)? } of file)
        }
        Op::Prepend { file, content, .. } => {
            operation!(Prepend { content: read_content(content)? } of file)
        }
        Op::ReplaceText {
            file,
            find,
            content,
            occurrence,
            ..
        } => {
            operation!(ReplaceText {
                find: find.clone(),
                content: read_content(content)?,
                occurrence: which(occurrence)?,
            } of file)
        }
        Op::CreateFile {
            file,
            content,
            executable,
            ..
        } => {
            operation!(CreateFile {
                content: read_content(content)?,
                executable: *executable,
            } of file)
        }
        Op::DeleteFile { file, expect, .. } => {
            operation!(DeleteFile { expect: expect.clone() } of file)
        }
        Op::RenameFile { file, to, .. } => {
            operation!(RenameFile { to: path(place, to)? } of file)
        }
        Op::CopyFile { file, to, .. } => {
            operation!(CopyFile { to: path(place, to)? } of file)
        }
        Op::SetMode {
            file, executable, ..
        } => {
            operation!(SetMode { executable: *executable } of file)
        }
    })
}

/// A file named on the command line, relative to the root.
fn path(place: &Location, file: &Path) -> Result<String, Failure> {
    let path = place.relative(file)?;
    path.as_str().map(str::to_owned).ok_or_else(|| {
        Failure::Usage(format!(
            "the name {path} is not UTF-8; send the edit as a unified diff"
        ))
    })
}

fn guard(target: &TargetArgs) -> Expectation {
    Expectation {
        expect: target.expect.clone(),
        before: target.before.clone(),
        after: target.after.clone(),
    }
}

fn indent(target: &TargetArgs) -> Indent {
    match target.indent {
        true => Indent::Anchor,
        false => Indent::Verbatim,
    }
}

fn read_content(args: &ContentArgs) -> Result<Content, Failure> {
    match (&args.content, &args.content_file) {
        (Some(text), _) => Ok(Content::Text(text.clone())),
        (None, Some(file)) if file == Path::new("-") => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| Error::io("read", "standard input", error))?;
            Ok(Content::new(bytes))
        }
        (None, Some(file)) => Ok(Content::new(read_bytes(file)?)),
        (None, None) => Err(Failure::Usage("no content is given".to_owned())),
    }
}

/// The `at` of a batch.
fn address(args: &AddressArgs) -> Result<At, Failure> {
    let pattern = |source: &String| Pattern::new(source).map_err(usage);
    let occurrence = which(&args.occurrence)?;
    if let Some(lines) = &args.lines {
        if occurrence != Occurrence::Only {
            let message = "--occurrence cannot be combined with --lines, which is one place";
            return Err(Failure::Usage(message.to_owned()));
        }
        return line_range(lines);
    }
    if let Some(text) = args.text.clone() {
        return Ok(At::Text { text, occurrence });
    }
    if let Some(source) = &args.r#match {
        let pattern = pattern(source)?;
        return Ok(At::Match {
            pattern,
            occurrence,
        });
    }
    if let Some([start, end]) = args.between.as_deref() {
        return Ok(At::Between {
            between: [pattern(start)?, pattern(end)?],
            inclusive: args.inclusive,
            occurrence,
        });
    }
    match args.placeholder.clone() {
        Some(placeholder) => Ok(At::Placeholder {
            placeholder,
            occurrence,
        }),
        None => Err(Failure::Usage("no address is given".to_owned())),
    }
}

/// `12` or `10-14`.
pub(super) fn line_range(text: &str) -> Result<At, Failure> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => Ok(At::Lines {
            lines: [first, last],
        }),
        _ => Err(Failure::Usage(format!(
            "invalid line range {text:?}; expected 12 or 10-14"
        ))),
    }
}

fn which(occurrence: &str) -> Result<Occurrence, Failure> {
    occurrence.parse().map_err(usage)
}
