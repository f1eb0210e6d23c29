//! From the wire form to the operations that planning works on, and back where that can be said.

use std::collections::HashMap;
use std::sync::Arc;

use super::read::Header;
use super::wire::{
    Append, At, Content, CopyFile, CreateFile, DeleteFile, Expectation, InsertAfter, InsertBefore,
    PatchBatch, PatchOperation, Prepend, RenameFile, ReplaceBlock, ReplaceText, SetMode,
};
use crate::digest::Digest;
use crate::error::{Code, Refusal, excerpt};
use crate::operation::{
    Action, Address, Batch, Guard, Insertion, Labels, Lines, Operation, Target,
};
use crate::path::RelPath;

/// Most bytes of a path that is none which its refusal repeats.
const MAX_SHOWN: usize = 200;

impl From<PatchBatch> for Batch {
    fn from(batch: PatchBatch) -> Self {
        let mut lower = Lowering::default();
        let operations = batch.operations.into_iter();
        let operations = operations.map(|operation| lower.lower(operation)).collect();
        let header = Header {
            batch_id: batch.batch_id,
            labels: batch.labels,
            base: batch.base,
            coordinates: batch.coordinates,
        };
        lower.finish(header, operations)
    }
}

/// Turns operations as they come; what the batch says for all of them goes in at the end.
#[derive(Default)]
pub(super) struct Lowering {
    /// The last file: operations on one file tend to stand together.
    last: Option<(String, RelPath)>,
}

impl Lowering {
    pub(super) fn lower(&mut self, operation: PatchOperation) -> Operation {
        let op = operation.name();
        let (file, action, base, labels) = lower_action(operation);
        let file = match self.path(file) {
            Ok(file) => file,
            Err((spelled, refusal)) => {
                let refusal = refusal.in_file(excerpt(spelled.as_bytes(), MAX_SHOWN));
                return Operation {
                    base,
                    labels: shared(labels),
                    ..Operation::refused(op, &spelled, refusal)
                };
            }
        };
        let action = match action {
            Ok(action) => action,
            Err(refusal) => {
                return Operation {
                    base,
                    labels: shared(labels),
                    ..Operation::refused(op, &file.to_string(), refusal)
                };
            }
        };
        Operation {
            base,
            labels: shared(labels),
            ..Operation::new(file, action)
        }
    }

    fn path(&mut self, spelled: String) -> Result<RelPath, (String, Refusal)> {
        if let Some((last, path)) = &self.last
            && *last == spelled
        {
            return Ok(path.clone());
        }
        match RelPath::new(&spelled) {
            Ok(path) => {
                self.last = Some((spelled, path.clone()));
                Ok(path)
            }
            Err(refusal) => Err((spelled, refusal)),
        }
    }

    pub(super) fn finish(self, header: Header, mut operations: Vec<Operation>) -> Batch {
        let labels = Arc::new(header.labels);
        let base: HashMap<RelPath, Digest> = header
            .base
            .into_iter()
            .filter_map(|(path, digest)| Some((RelPath::new(path).ok()?, digest)))
            .collect();
        for operation in &mut operations {
            if operation.base.is_none() && !base.is_empty() {
                operation.base = base.get(&operation.file).copied();
            }
            if *operation.labels == Labels::default() {
                operation.labels = Arc::clone(&labels);
            } else {
                let own = Arc::make_mut(&mut operation.labels);
                for (own, common) in fields(own).into_iter().zip(fields(&mut (*labels).clone())) {
                    if own.is_none() {
                        *own = common.take();
                    }
                }
            }
        }
        let mut batch = Batch {
            id: header.batch_id,
            labels,
            coordinates: header.coordinates,
            operations,
            content: Digest::of(b""),
        };
        batch.content = super::digest(&batch);
        batch
    }
}

fn shared(labels: Labels) -> Arc<Labels> {
    if labels == Labels::default() {
        return Arc::default();
    }
    Arc::new(labels)
}

fn fields(labels: &mut Labels) -> [&mut Option<String>; 5] {
    let Labels {
        order_id,
        task_id,
        factory,
        phase,
        agent,
    } = labels;
    [order_id, task_id, factory, phase, agent]
}

type Lowered = (String, Result<Action, Refusal>, Option<Digest>, Labels);

fn lower_action(operation: PatchOperation) -> Lowered {
    let target = |to: String| {
        RelPath::new(&to).map_err(|refusal| refusal.in_file(excerpt(to.as_bytes(), MAX_SHOWN)))
    };
    match operation {
        PatchOperation::ReplaceBlock(o) => {
            let action = Action::ReplaceBlock {
                at: o.at.into(),
                guard: o.guard.into(),
                content: Lines::new(o.content.into_bytes()),
                pad: o.pad,
                indent: o.indent,
            };
            (o.file, Ok(action), o.base, o.labels)
        }
        PatchOperation::InsertBefore(o) => {
            let insertion = Insertion {
                at: o.at.into(),
                guard: o.guard.into(),
                content: Lines::new(o.content.into_bytes()),
                indent: o.indent,
            };
            (
                o.file,
                Ok(Action::InsertBefore(insertion)),
                o.base,
                o.labels,
            )
        }
        PatchOperation::InsertAfter(o) => {
            let insertion = Insertion {
                at: o.at.into(),
                guard: o.guard.into(),
                content: Lines::new(o.content.into_bytes()),
                indent: o.indent,
            };
            (o.file, Ok(Action::InsertAfter(insertion)), o.base, o.labels)
        }
        PatchOperation::Append(o) => {
            let lines = Lines::new(o.content.into_bytes());
            (o.file, Ok(Action::Append(lines)), o.base, o.labels)
        }
        PatchOperation::Prepend(o) => {
            let lines = Lines::new(o.content.into_bytes());
            (o.file, Ok(Action::Prepend(lines)), o.base, o.labels)
        }
        PatchOperation::ReplaceText(o) => {
            let action = Action::ReplaceText {
                find: o.find.into_bytes(),
                content: o.content.into_bytes(),
                occurrence: o.occurrence,
            };
            (o.file, Ok(action), o.base, o.labels)
        }
        PatchOperation::CreateFile(o) => {
            let action = Action::CreateFile {
                content: o.content.into_bytes(),
                executable: o.executable,
            };
            (o.file, Ok(action), o.base, o.labels)
        }
        PatchOperation::DeleteFile(o) => {
            let expect = o.expect.map(Lines::new);
            (o.file, Ok(Action::DeleteFile { expect }), o.base, o.labels)
        }
        PatchOperation::RenameFile(o) => {
            let action = target(o.to).map(|to| Action::RenameFile { to });
            (o.file, action, o.base, o.labels)
        }
        PatchOperation::CopyFile(o) => {
            let action = target(o.to).map(|to| Action::CopyFile { to });
            (o.file, action, o.base, o.labels)
        }
        PatchOperation::SetMode(o) => {
            let executable = o.executable;
            (o.file, Ok(Action::SetMode { executable }), o.base, o.labels)
        }
    }
}

impl From<At> for Address {
    fn from(at: At) -> Self {
        let (target, occurrence) = match at {
            At::Line { line } => {
                return Self::only(Target::Lines {
                    first: line,
                    last: line,
                });
            }
            At::Lines {
                lines: [first, last],
            } => {
                return Self::only(Target::Lines { first, last });
            }
            At::Text { text, occurrence } => (Target::Text(Lines::new(text)), occurrence),
            At::Match {
                pattern,
                occurrence,
            } => (Target::Match(pattern), occurrence),
            At::Between {
                between: [start, end],
                inclusive,
                occurrence,
            } => (
                Target::Between {
                    start,
                    end,
                    inclusive,
                },
                occurrence,
            ),
            At::Placeholder {
                placeholder,
                occurrence,
            } => (Target::Placeholder(placeholder), occurrence),
        };
        Self { target, occurrence }
    }
}

impl From<Expectation> for Guard {
    fn from(guard: Expectation) -> Self {
        Self {
            expect: guard.expect.map(Lines::new),
            before: guard.before.map(Lines::new),
            after: guard.after.map(Lines::new),
        }
    }
}

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

fn raise(operation: &Operation, common: &Labels) -> Raised<PatchOperation> {
    let path = |path: &RelPath| {
        let text = path.as_str().ok_or("names a file whose name is not UTF-8");
        text.map(str::to_owned)
    };
    let base = operation.base;
    let mut labels = (*operation.labels).clone();
    for (own, common) in fields(&mut labels)
        .into_iter()
        .zip(fields(&mut common.clone()))
    {
        if *own == *common {
            *own = None;
        }
    }
    if let Action::Refused(_) = operation.action {
        return Err("was refused where it was read");
    }
    let file = path(&operation.file)?;
    let lines = |lines: &Lines| Content::new(lines.as_bytes().to_vec());
    Ok(match &operation.action {
        Action::ReplaceBlock {
            at,
            guard,
            content,
            pad,
            indent,
        } => PatchOperation::ReplaceBlock(ReplaceBlock {
            file,
            at: raise_address(at)?,
            guard: raise_guard(guard)?,
            content: lines(content),
            pad: *pad,
            indent: *indent,
            base,
            labels,
        }),
        Action::InsertBefore(insertion) => PatchOperation::InsertBefore(InsertBefore {
            file,
            at: raise_address(&insertion.at)?,
            guard: raise_guard(&insertion.guard)?,
            content: lines(&insertion.content),
            indent: insertion.indent,
            base,
            labels,
        }),
        Action::InsertAfter(insertion) => PatchOperation::InsertAfter(InsertAfter {
            file,
            at: raise_address(&insertion.at)?,
            guard: raise_guard(&insertion.guard)?,
            content: lines(&insertion.content),
            indent: insertion.indent,
            base,
            labels,
        }),
        Action::Append(content) => PatchOperation::Append(Append {
            file,
            content: lines(content),
            base,
            labels,
        }),
        Action::Prepend(content) => PatchOperation::Prepend(Prepend {
            file,
            content: lines(content),
            base,
            labels,
        }),
        Action::ReplaceText {
            find,
            content,
            occurrence,
        } => {
            let find = std::str::from_utf8(find).map_err(|_| "looks for text that is not UTF-8")?;
            PatchOperation::ReplaceText(ReplaceText {
                file,
                find: find.to_owned(),
                content: Content::new(content.clone()),
                occurrence: *occurrence,
                base,
                labels,
            })
        }
        Action::CreateFile {
            content,
            executable,
        } => PatchOperation::CreateFile(CreateFile {
            file,
            content: Content::new(content.clone()),
            executable: *executable,
            base,
            labels,
        }),
        Action::DeleteFile { expect } => PatchOperation::DeleteFile(DeleteFile {
            file,
            expect: expect.as_ref().map(raise_lines).transpose()?,
            base,
            labels,
        }),
        Action::RenameFile { to } => PatchOperation::RenameFile(RenameFile {
            file,
            to: path(to)?,
            base,
            labels,
        }),
        Action::CopyFile { to } => PatchOperation::CopyFile(CopyFile {
            file,
            to: path(to)?,
            base,
            labels,
        }),
        Action::SetMode { executable } => PatchOperation::SetMode(SetMode {
            file,
            executable: *executable,
            base,
            labels,
        }),
        Action::Splice(_) => return Err("edits bytes that are already located"),
        Action::Refused(_) => return Err("was refused where it was read"),
    })
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
