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
use super::place::{Location, read_bytes};
use crate::cli::Cli;
use crate::cli::operation::{
    AddressArgs, ContentArgs, FileArgs, OperationCommand, RunArgs, TargetArgs,
};
use crate::exit::{Exit, Failure};
use crate::report::Context;

/// Runs one operation.
pub(crate) fn run(
    cli: &Cli,
    command: &OperationCommand,
    context: &Context,
) -> Result<Exit, Failure> {
    let place = Location::of(&cli.global)?;
    let form = Form { place: &place };
    let (operation, run) = form.operation(command)?;
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

struct Form<'a> {
    place: &'a Location,
}

impl Form<'_> {
    fn operation<'c>(
        &self,
        command: &'c OperationCommand,
    ) -> Result<(PatchOperation, &'c RunArgs), Failure> {
        use OperationCommand as Op;
        let labels = Labels::default();
        Ok(match command {
            Op::ReplaceBlock {
                target,
                content,
                pad,
                run,
            } => {
                let operation = ReplaceBlock {
                    file: self.file(&target.file)?,
                    at: address(&target.address)?,
                    guard: guard(target),
                    content: read_content(content)?,
                    pad: *pad,
                    indent: indent(target),
                    base: target.file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::ReplaceBlock(operation), run)
            }
            Op::InsertBefore {
                target,
                content,
                run,
            } => {
                let operation = InsertBefore {
                    file: self.file(&target.file)?,
                    at: address(&target.address)?,
                    guard: guard(target),
                    content: read_content(content)?,
                    indent: indent(target),
                    base: target.file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::InsertBefore(operation), run)
            }
            Op::InsertAfter {
                target,
                content,
                run,
            } => {
                let operation = InsertAfter {
                    file: self.file(&target.file)?,
                    at: address(&target.address)?,
                    guard: guard(target),
                    content: read_content(content)?,
                    indent: indent(target),
                    base: target.file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::InsertAfter(operation), run)
            }
            Op::Append { file, content, run } => {
                let operation = Append {
                    file: self.file(file)?,
                    content: read_content(content)?,
                    base: file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::Append(operation), run)
            }
            Op::Prepend { file, content, run } => {
                let operation = Prepend {
                    file: self.file(file)?,
                    content: read_content(content)?,
                    base: file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::Prepend(operation), run)
            }
            Op::ReplaceText {
                file,
                find,
                content,
                occurrence,
                run,
            } => {
                let operation = ReplaceText {
                    file: self.file(file)?,
                    find: find.clone(),
                    content: read_content(content)?,
                    occurrence: which(occurrence)?,
                    base: file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::ReplaceText(operation), run)
            }
            Op::CreateFile {
                file,
                content,
                executable,
                run,
            } => {
                let operation = CreateFile {
                    file: self.file(file)?,
                    content: read_content(content)?,
                    executable: *executable,
                    base: file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::CreateFile(operation), run)
            }
            Op::DeleteFile { file, expect, run } => {
                let operation = DeleteFile {
                    file: self.file(file)?,
                    expect: expect.clone(),
                    base: file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::DeleteFile(operation), run)
            }
            Op::RenameFile { file, to, run } => {
                let operation = RenameFile {
                    file: self.file(file)?,
                    to: self.path(to)?,
                    base: file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::RenameFile(operation), run)
            }
            Op::CopyFile { file, to, run } => {
                let operation = CopyFile {
                    file: self.file(file)?,
                    to: self.path(to)?,
                    base: file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::CopyFile(operation), run)
            }
            Op::SetMode {
                file,
                executable,
                run,
            } => {
                let operation = SetMode {
                    file: self.file(file)?,
                    executable: *executable,
                    base: file.base,
                    allow: Vec::new(),
                    labels,
                };
                (PatchOperation::SetMode(operation), run)
            }
        })
    }

    fn file(&self, file: &FileArgs) -> Result<String, Failure> {
        self.path(&file.file)
    }

    /// A file named on the command line, relative to the root.
    fn path(&self, file: &Path) -> Result<String, Failure> {
        let path = self.place.relative(file)?;
        path.as_str().map(str::to_owned).ok_or_else(|| {
            Failure::Usage(format!(
                "the name {path} is not UTF-8; send the edit as a unified diff"
            ))
        })
    }
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
