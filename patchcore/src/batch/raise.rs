//! Back to the wire form, where it can say what is meant.

use super::convert::fields;
use super::wire::{At, Common, Content, Expectation, PatchBatch, PatchOperation, with_common};
use crate::error::{Code, Refusal};
use crate::operation::{Action, Address, Batch, Guard, Labels, Lines, Operation, Target};
use crate::path::RelPath;

impl TryFrom<&Batch> for PatchBatch {
    type Error = Refusal;

    /// The wire form of a batch.
    ///
    /// # Errors
    /// `INVALID_BATCH` where the wire form cannot say it: a path, an address or a guard that is
    /// not UTF-8, byte edits, and what was refused already.
    fn try_from(batch: &Batch) -> Result<Self, Refusal> {
        let mut operations = Vec::with_capacity(batch.operations.len());
        for (index, operation) in batch.operations.iter().enumerate() {
            let raised = raise(operation, &batch.labels).map_err(|why| {
                let file = operation.shown_file();
                let message =
                    format!("operation {index} on {file} {why}, which a batch cannot say");
                Refusal::new(Code::InvalidBatch, message).in_file(file)
            })?;
            operations.push(raised);
        }
        Ok(Self {
            batch_id: batch.id.clone(),
            labels: (*batch.labels).clone(),
            coordinates: batch.coordinates,
            ..Self::new(operations)
        })
    }
}

type Raised<T> = Result<T, &'static str>;

/// One operation. Long, for it is the table of actions.
fn raise(operation: &Operation, common: &Labels) -> Raised<PatchOperation> {
    let path = |path: &RelPath| {
        let text = path.as_str().ok_or("names a file whose name is not UTF-8");
        text.map(str::to_owned)
    };
    if let Action::Refused(_) = operation.action {
        return Err("was refused where it was read");
    }
    let common = Common {
        file: path(&operation.file)?,
        base: operation.base,
        allow: operation.allow.iter().collect(),
        labels: own_labels(&operation.labels, common),
    };
    let lines = |lines: &Lines| Content::new(lines.as_bytes().to_vec());
    Ok(match &operation.action {
        Action::ReplaceBlock {
            at,
            guard,
            content,
            pad,
            indent,
        } => with_common!(ReplaceBlock {
            at: raise_address(at)?,
            guard: raise_guard(guard)?,
            content: lines(content),
            pad: *pad,
            indent: *indent,
        } from common),
        Action::InsertBefore(insertion) => with_common!(InsertBefore {
            at: raise_address(&insertion.at)?,
            guard: raise_guard(&insertion.guard)?,
            content: lines(&insertion.content),
            indent: insertion.indent,
        } from common),
        Action::InsertAfter(insertion) => with_common!(InsertAfter {
            at: raise_address(&insertion.at)?,
            guard: raise_guard(&insertion.guard)?,
            content: lines(&insertion.content),
            indent: insertion.indent,
        } from common),
        Action::Append(content) => with_common!(Append { content: lines(content) } from common),
        Action::Prepend(content) => with_common!(Prepend { content: lines(content) } from common),
        Action::ReplaceText {
            find,
            content,
            occurrence,
        } => {
            let find = std::str::from_utf8(find).map_err(|_| "looks for text that is not UTF-8")?;
            with_common!(ReplaceText {
                find: find.to_owned(),
                content: Content::new(content.clone()),
                occurrence: *occurrence,
            } from common)
        }
        Action::CreateFile {
            content,
            executable,
        } => with_common!(CreateFile {
            content: Content::new(content.clone()),
            executable: *executable,
        } from common),
        Action::DeleteFile { expect } => with_common!(DeleteFile {
            expect: expect.as_ref().map(raise_lines).transpose()?,
        } from common),
        Action::RenameFile { to } => with_common!(RenameFile { to: path(to)? } from common),
        Action::CopyFile { to } => with_common!(CopyFile { to: path(to)? } from common),
        Action::SetMode { executable } => {
            with_common!(SetMode { executable: *executable } from common)
        }
        Action::Splice(_) => return Err("edits bytes that are already located"),
        Action::Refused(_) => return Err("was refused where it was read"),
    })
}

/// The labels of an operation but for those that are its batch's.
fn own_labels(labels: &Labels, common: &Labels) -> Labels {
    let mut labels = labels.clone();
    let common = &mut common.clone();
    for (own, common) in fields(&mut labels).into_iter().zip(fields(common)) {
        if *own == *common {
            *own = None;
        }
    }
    labels
}

fn raise_lines(lines: &Lines) -> Raised<String> {
    std::str::from_utf8(lines.as_bytes())
        .map(str::to_owned)
        .map_err(|_| "expects lines that are not UTF-8")
}

fn raise_guard(guard: &Guard) -> Raised<Expectation> {
    let lines = |lines: &Option<Lines>| lines.as_ref().map(raise_lines).transpose();
    Ok(Expectation {
        expect: lines(&guard.expect)?,
        before: lines(&guard.before)?,
        after: lines(&guard.after)?,
    })
}

fn raise_address(address: &Address) -> Raised<At> {
    let occurrence = address.occurrence;
    Ok(match &address.target {
        Target::Lines { first, last } if first == last => At::Line { line: *first },
        Target::Lines { first, last } => At::Lines {
            lines: [*first, *last],
        },
        Target::Text(text) => At::Text {
            text: raise_lines(text)?,
            occurrence,
        },
        Target::Match(pattern) => At::Match {
            pattern: pattern.clone(),
            occurrence,
        },
        Target::Between {
            start,
            end,
            inclusive,
        } => At::Between {
            between: [start.clone(), end.clone()],
            inclusive: *inclusive,
            occurrence,
        },
        Target::Placeholder(id) => At::Placeholder {
            placeholder: id.clone(),
            occurrence,
        },
    })
}
