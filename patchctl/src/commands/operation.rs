//! `replace-block`, `append` and the others: a batch of one operation.

use std::io::Read as _;
use std::path::Path;

use patchcore::Digest;
use patchcore::batch::{Limits, PatchBatch};
use patchcore::operation::Batch;
use serde_json::{Map, Value, json};

use super::edit::{Request, run as run_edit};
use super::place::{Place, read_bytes};
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
    let place = Place::of(&cli.global)?;
    let form = Form { place: &place };
    let (operation, run) = form.operation(command)?;
    let batch = batch(operation, run)?;
    let request = Request::of(&run.edit);
    run_edit(&place, &batch, &request, context)
}

/// The wire form, read by the parser of batches, so that one set of rules holds.
fn batch(operation: Map<String, Value>, run: &RunArgs) -> Result<Batch, Failure> {
    let mut batch = Map::new();
    for (name, value) in [
        ("batch_id", &run.batch_id),
        ("order_id", &run.order_id),
        ("task_id", &run.task_id),
        ("factory", &run.factory),
        ("phase", &run.phase),
        ("agent", &run.agent),
    ] {
        if let Some(value) = value {
            batch.insert(name.to_owned(), json!(value));
        }
    }
    batch.insert("operations".to_owned(), json!([operation]));
    let bytes = Value::Object(batch).to_string();
    let batch = PatchBatch::parse(bytes.as_bytes(), &Limits::default())
        .map_err(|diagnostic| Failure::Usage(diagnostic.message))?;
    Ok(batch.into())
}

struct Form<'a> {
    place: &'a Place,
}

impl Form<'_> {
    fn operation<'c>(
        &self,
        command: &'c OperationCommand,
    ) -> Result<(Map<String, Value>, &'c RunArgs), Failure> {
        use OperationCommand as Op;
        let mut fields = Map::new();
        let run = match command {
            Op::ReplaceBlock {
                target,
                content,
                pad,
                run,
            } => {
                self.target(&mut fields, "replace-block", target)?;
                self.content(&mut fields, content)?;
                fields.insert("pad".to_owned(), json!(pad));
                run
            }
            Op::InsertBefore {
                target,
                content,
                run,
            } => {
                self.target(&mut fields, "insert-before", target)?;
                self.content(&mut fields, content)?;
                run
            }
            Op::InsertAfter {
                target,
                content,
                run,
            } => {
                self.target(&mut fields, "insert-after", target)?;
                self.content(&mut fields, content)?;
                run
            }
            Op::Append { file, content, run } => {
                self.file(&mut fields, "append", file)?;
                self.content(&mut fields, content)?;
                run
            }
            Op::Prepend { file, content, run } => {
                self.file(&mut fields, "prepend", file)?;
                self.content(&mut fields, content)?;
                run
            }
            Op::ReplaceText {
                file,
                find,
                content,
                occurrence,
                run,
            } => {
                self.file(&mut fields, "replace-text", file)?;
                fields.insert("find".to_owned(), json!(find));
                fields.insert("occurrence".to_owned(), which(occurrence));
                self.content(&mut fields, content)?;
                run
            }
            Op::CreateFile {
                file,
                content,
                executable,
                run,
            } => {
                self.file(&mut fields, "create-file", file)?;
                fields.insert("executable".to_owned(), json!(executable));
                self.content(&mut fields, content)?;
                run
            }
            Op::DeleteFile { file, expect, run } => {
                self.file(&mut fields, "delete-file", file)?;
                if let Some(expect) = expect {
                    fields.insert("expect".to_owned(), json!(expect));
                }
                run
            }
            Op::RenameFile { file, to, run } => {
                self.file(&mut fields, "rename-file", file)?;
                fields.insert("to".to_owned(), json!(self.path(to)?));
                run
            }
            Op::CopyFile { file, to, run } => {
                self.file(&mut fields, "copy-file", file)?;
                fields.insert("to".to_owned(), json!(self.path(to)?));
                run
            }
            Op::SetMode {
                file,
                executable,
                run,
            } => {
                self.file(&mut fields, "set-mode", file)?;
                fields.insert("executable".to_owned(), json!(executable));
                run
            }
        };
        Ok((fields, run))
    }

    fn file(
        &self,
        fields: &mut Map<String, Value>,
        op: &str,
        file: &FileArgs,
    ) -> Result<(), Failure> {
        fields.insert("op".to_owned(), json!(op));
        fields.insert("file".to_owned(), json!(self.path(&file.file)?));
        if let Some(base) = &file.base {
            fields.insert("base".to_owned(), json!(Digest::to_string(base)));
        }
        Ok(())
    }

    fn target(
        &self,
        fields: &mut Map<String, Value>,
        op: &str,
        target: &TargetArgs,
    ) -> Result<(), Failure> {
        self.file(fields, op, &target.file)?;
        fields.insert("at".to_owned(), address(&target.address)?);
        for (name, lines) in [
            ("expect", &target.expect),
            ("before", &target.before),
            ("after", &target.after),
        ] {
            if let Some(lines) = lines {
                fields.insert(name.to_owned(), json!(lines));
            }
        }
        if target.indent {
            fields.insert("indent".to_owned(), json!("anchor"));
        }
        Ok(())
    }

    fn content(&self, fields: &mut Map<String, Value>, args: &ContentArgs) -> Result<(), Failure> {
        let content = match (&args.content, &args.content_file) {
            (Some(text), _) => patchcore::batch::Content::Text(text.clone()),
            (None, Some(file)) if file == Path::new("-") => {
                let mut bytes = Vec::new();
                std::io::stdin()
                    .read_to_end(&mut bytes)
                    .map_err(|error| patchcore::Error::io("read", "standard input", error))?;
                patchcore::batch::Content::new(bytes)
            }
            (None, Some(file)) => patchcore::batch::Content::new(read_bytes(file)?),
            (None, None) => return Err(Failure::Usage("no content is given".to_owned())),
        };
        if let Value::Object(content) = json!(content) {
            fields.extend(content);
        }
        Ok(())
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

/// The `at` of a batch.
fn address(args: &AddressArgs) -> Result<Value, Failure> {
    let mut at = Map::new();
    if let Some(lines) = &args.lines {
        at.insert("lines".to_owned(), json!(line_range(lines)?));
        return Ok(Value::Object(at));
    }
    for (name, value) in [
        ("text", &args.text),
        ("match", &args.r#match),
        ("placeholder", &args.placeholder),
    ] {
        if let Some(value) = value {
            at.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(between) = &args.between {
        at.insert("between".to_owned(), json!(between));
        at.insert("inclusive".to_owned(), json!(args.inclusive));
    }
    at.insert("occurrence".to_owned(), which(&args.occurrence));
    Ok(Value::Object(at))
}

/// `12` or `10-14`.
pub(super) fn line_range(text: &str) -> Result<[u64; 2], Failure> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => Ok([first, last]),
        _ => Err(Failure::Usage(format!(
            "{text:?} is no line and no range like 10-14"
        ))),
    }
}

fn which(occurrence: &str) -> Value {
    occurrence
        .parse::<u64>()
        .map_or_else(|_| json!(occurrence), |number| json!(number))
}
