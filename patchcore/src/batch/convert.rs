//! From the wire form to the operations that planning works on.

use std::collections::HashMap;
use std::sync::Arc;

use super::Limits;
use super::read::Header;
use super::rules;
use super::wire::{At, Common, Content, Expectation, PatchBatch, PatchOperation};
use crate::digest::Digest;
use crate::error::{Refusal, excerpt};
use crate::operation::{
    Action, Address, Batch, Guard, Insertion, Labels, Lines, Operation, Target,
};
use crate::path::RelPath;

/// Most bytes of a path that is none which its refusal repeats.
const MAX_SHOWN: usize = 200;

impl TryFrom<PatchBatch> for Batch {
    type Error = Refusal;

    /// The operations of a batch that [`PatchBatch::validate`] passes within the default limits.
    ///
    /// # Errors
    /// As `validate`.
    fn try_from(batch: PatchBatch) -> Result<Self, Refusal> {
        batch.validate(&Limits::default())?;
        let mut lower = Lowering::default();
        let operations = batch.operations.into_iter();
        let operations = operations.map(|operation| lower.lower(operation)).collect();
        let base = batch.base.iter();
        let header = Header {
            batch_id: batch.batch_id,
            labels: batch.labels,
            base: base
                .map(|(path, digest)| (rules::key(path).into_owned(), *digest))
                .collect(),
            coordinates: batch.coordinates,
        };
        Ok(finish(header, operations))
    }
}

/// Turns operations as they come.
#[derive(Default)]
pub(super) struct Lowering {
    /// The last file: operations on one file tend to stand together.
    last: Option<(String, RelPath)>,
    /// What operations without labels of their own share.
    no_labels: Arc<Labels>,
}

impl Lowering {
    pub(super) fn lower(&mut self, mut operation: PatchOperation) -> Operation {
        let op = operation.name();
        let Common {
            file,
            base,
            allow,
            labels,
        } = operation.take_common();
        let action = lower_action(operation);
        let labels = match labels == Labels::default() {
            true => Arc::clone(&self.no_labels),
            false => Arc::new(labels),
        };
        let refused = |spelled: &str, refusal, labels| Operation {
            labels,
            ..Operation::refused(op, spelled, refusal)
        };
        let lowered = match (self.path(file), action) {
            (Ok(file), Ok(action)) => Operation::with_labels(file, action, labels),
            (Ok(file), Err(refusal)) => refused(&file.to_string(), refusal, labels),
            (Err((spelled, refusal)), _) => {
                let shown = excerpt(spelled.as_bytes(), MAX_SHOWN);
                refused(&spelled, refusal.in_file(shown), labels)
            }
        };
        Operation {
            base,
            allow: allow.into_iter().collect(),
            ..lowered
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
///
/// The keys of the header's hashes are spelt as [`RelPath`]s are.
pub(super) fn finish(header: Header, mut operations: Vec<Operation>) -> Batch {
    let Header { base, labels, .. } = header;
    if !base.is_empty() {
        guard_by(&base, &mut operations);
    }
    let labels = Arc::new(labels);
    if *labels != Labels::default() {
        for operation in &mut operations {
            take_over(&labels, &mut operation.labels);
        }
    }
    let mut batch = Batch {
        id: header.batch_id,
        labels,
        coordinates: header.coordinates,
        operations,
        content: Digest::of(b""),
        received: None,
    };
    batch.content = super::digest(&batch);
    batch
}

/// Operations without a hash of their own take the one that the batch has for their file.
fn guard_by(base: &HashMap<String, Digest>, operations: &mut [Operation]) {
    // Operations of one file mostly follow each other.
    let mut last: Option<(RelPath, Option<Digest>)> = None;
    for operation in operations.iter_mut().filter(|o| o.base.is_none()) {
        let known = last.take().filter(|(file, _)| *file == operation.file);
        let (file, digest) = known.unwrap_or_else(|| {
            let digest = operation.file.as_str().and_then(|file| base.get(file));
            (operation.file.clone(), digest.copied())
        });
        operation.base = digest;
        last = Some((file, digest));
    }
}

/// An operation's own labels go before the batch's.
fn take_over(common: &Arc<Labels>, own: &mut Arc<Labels>) {
    if **own == Labels::default() {
        *own = Arc::clone(common);
        return;
    }
    let own = fields(Arc::make_mut(own));
    for (own, common) in own.into_iter().zip(fields(&mut (**common).clone())) {
        if own.is_none() {
            *own = common.take();
        }
    }
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

/// What an operation does: its own fields. Fails where a target is not a path.
fn lower_action(operation: PatchOperation) -> Result<Action, Refusal> {
    let target = |to: String| {
        RelPath::new(&to).map_err(|refusal| refusal.in_file(excerpt(to.as_bytes(), MAX_SHOWN)))
    };
    let lines = |content: Content| Lines::new(content.into_bytes());
    let insertion = |at: At, guard: Expectation, content, indent| Insertion {
        at: at.into(),
        guard: guard.into(),
        content: lines(content),
        indent,
    };
    Ok(match operation {
        PatchOperation::ReplaceBlock(o) => Action::ReplaceBlock {
            at: o.at.into(),
            guard: o.guard.into(),
            content: lines(o.content),
            pad: o.pad,
            indent: o.indent,
        },
        PatchOperation::InsertBefore(o) => {
            Action::InsertBefore(insertion(o.at, o.guard, o.content, o.indent))
        }
        PatchOperation::InsertAfter(o) => {
            Action::InsertAfter(insertion(o.at, o.guard, o.content, o.indent))
        }
        PatchOperation::Append(o) => Action::Append(lines(o.content)),
        PatchOperation::Prepend(o) => Action::Prepend(lines(o.content)),
        PatchOperation::ReplaceText(o) => Action::ReplaceText {
            find: o.find.into_bytes(),
            content: o.content.into_bytes(),
            occurrence: o.occurrence,
        },
        PatchOperation::CreateFile(o) => Action::CreateFile {
            content: o.content.into_bytes(),
            executable: o.executable,
        },
        PatchOperation::DeleteFile(o) => Action::DeleteFile {
            expect: o.expect.map(Lines::new),
        },
        PatchOperation::RenameFile(o) => Action::RenameFile { to: target(o.to)? },
        PatchOperation::CopyFile(o) => Action::CopyFile { to: target(o.to)? },
        PatchOperation::SetMode(o) => Action::SetMode {
            executable: o.executable,
        },
    })
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
