//! From the wire form to the operations that planning works on.

use std::collections::HashMap;
use std::sync::Arc;

use super::read::Header;
use super::wire::{At, Expectation, PatchBatch, PatchOperation};
use crate::digest::Digest;
use crate::error::{Refusal, excerpt};
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
        finish(header, operations)
    }
}

/// Turns operations as they come.
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
}

/// What the batch says for all of its operations goes into each.
pub(super) fn finish(header: Header, mut operations: Vec<Operation>) -> Batch {
    let labels = Arc::new(header.labels);
    let base: HashMap<RelPath, Digest> = header
        .base
        .into_iter()
        .filter_map(|(path, digest)| Some((RelPath::new(path).ok()?, digest)))
        .collect();
    // Operations of one file mostly follow each other.
    let mut last: Option<(RelPath, Option<Digest>)> = None;
    for operation in &mut operations {
        if operation.base.is_none() && !base.is_empty() {
            let known = last.take().filter(|(file, _)| *file == operation.file);
            let (file, digest) = known
                .unwrap_or_else(|| (operation.file.clone(), base.get(&operation.file).copied()));
            operation.base = digest;
            last = Some((file, digest));
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

fn shared(labels: Labels) -> Arc<Labels> {
    if labels == Labels::default() {
        return Arc::default();
    }
    Arc::new(labels)
}

pub(super) fn fields(labels: &mut Labels) -> [&mut Option<String>; 5] {
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
