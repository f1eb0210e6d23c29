//! The digest that tells a replay from a reused id.

use crate::digest::{Digest, Hasher};
use crate::operation::{
    Action, Address, Batch, Coordinates, Guard, Indent, Insertion, Labels, Lines, Occurrence,
    Operation, Target,
};
use crate::threads;

/// Operations that are hashed in a row; threads share the runs of a long batch.
const RUN: usize = 512;

/// Hashes what a batch says, its id aside: spelling, field order and defaults make no difference.
///
/// It is what [`Batch::content`] holds: the hash over the batch's own fields and the hashes of its
/// operations, 512 by 512.
#[must_use]
pub fn digest(batch: &Batch) -> Digest {
    let mut sink = Sink::default();
    sink.tag(1);
    sink.tag(match batch.coordinates {
        Coordinates::Original => 0,
        Coordinates::Sequential => 1,
    });
    sink.labels(&batch.labels);
    let runs: Vec<&[Operation]> = batch.operations.chunks(RUN).collect();
    for run in threads::map_heavy(&runs, |run| digest_of_run(run)) {
        sink.bytes(run.as_bytes());
    }
    sink.finish()
}

fn digest_of_run(operations: &[Operation]) -> Digest {
    let mut sink = Sink::default();
    for operation in operations {
        sink.operation(operation);
    }
    sink.finish()
}

/// Collects small pieces: the hash is cheap per byte, not per call.
#[derive(Default)]
struct Sink {
    buffer: Vec<u8>,
    hasher: Hasher,
}

impl Sink {
    const FULL: usize = 1 << 16;

    fn tag(&mut self, tag: u8) {
        self.buffer.push(tag);
    }

    fn number(&mut self, number: u64) {
        self.buffer.extend_from_slice(&number.to_le_bytes());
    }

    /// Bytes behind their length, so that no two lists of pieces look alike.
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        if bytes.len() >= Self::FULL {
            self.flush();
            self.hasher.update(bytes);
            return;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= Self::FULL {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.hasher.update(&self.buffer);
        self.buffer.clear();
    }

    fn finish(mut self) -> Digest {
        self.flush();
        self.hasher.finish()
    }

    fn optional(&mut self, bytes: Option<&[u8]>) {
        self.tag(u8::from(bytes.is_some()));
        if let Some(bytes) = bytes {
            self.bytes(bytes);
        }
    }

    fn labels(&mut self, labels: &Labels) {
        let Labels {
            order_id,
            task_id,
            factory,
            phase,
            agent,
        } = labels;
        for label in [order_id, task_id, factory, phase, agent] {
            self.optional(label.as_deref().map(str::as_bytes));
        }
    }

    /// One operation. Long, for it is the table of what is hashed of each: the tags are part of
    /// digests in logs and never change.
    fn operation(&mut self, operation: &Operation) {
        match &operation.reading.spelled {
            Some(spelled) => self.bytes(spelled.file.as_bytes()),
            None => self.bytes(operation.file.as_bytes()),
        }
        self.optional(
            operation
                .base
                .as_ref()
                .map(|base| base.as_bytes().as_slice()),
        );
        self.labels(&operation.labels);
        // Operations that allow nothing keep the digest that they had before there was such a
        // field.
        for allowance in operation.allow.iter() {
            self.tag(u8::MAX);
            self.bytes(allowance.as_str().as_bytes());
        }
        match &operation.action {
            Action::ReplaceBlock {
                at,
                guard,
                content,
                pad,
                indent,
            } => {
                self.tag(1);
                self.address(at);
                self.guard(guard);
                self.bytes(content.as_bytes());
                self.tag(u8::from(*pad));
                self.indent(*indent);
            }
            Action::InsertBefore(insertion) => self.insertion(2, insertion),
            Action::InsertAfter(insertion) => self.insertion(3, insertion),
            Action::Append(lines) => {
                self.tag(4);
                self.bytes(lines.as_bytes());
            }
            Action::Prepend(lines) => {
                self.tag(5);
                self.bytes(lines.as_bytes());
            }
            Action::ReplaceText {
                find,
                content,
                occurrence,
            } => {
                self.tag(6);
                self.bytes(find);
                self.bytes(content);
                self.occurrence(*occurrence);
            }
            Action::CreateFile {
                content,
                executable,
            } => {
                self.tag(7);
                self.bytes(content);
                self.tag(u8::from(*executable));
            }
            Action::DeleteFile { expect } => {
                self.tag(8);
                self.optional(expect.as_ref().map(Lines::as_bytes));
            }
            Action::RenameFile { to } => {
                self.tag(9);
                self.bytes(to.as_bytes());
            }
            Action::CopyFile { to } => {
                self.tag(10);
                self.bytes(to.as_bytes());
            }
            Action::SetMode { executable } => {
                self.tag(11);
                self.tag(u8::from(*executable));
            }
            Action::Splice(edits) => {
                self.tag(12);
                self.number(edits.len() as u64);
                for edit in edits {
                    self.number(edit.span.start as u64);
                    self.number(edit.span.end as u64);
                    self.bytes(&edit.text);
                }
            }
            Action::Refused(refusal) => {
                self.tag(13);
                self.bytes(operation.name().as_bytes());
                self.bytes(refusal.message.as_bytes());
            }
        }
    }

    fn insertion(&mut self, tag: u8, insertion: &Insertion) {
        self.tag(tag);
        self.address(&insertion.at);
        self.guard(&insertion.guard);
        self.bytes(insertion.content.as_bytes());
        self.indent(insertion.indent);
    }

    fn indent(&mut self, indent: Indent) {
        self.tag(match indent {
            Indent::Verbatim => 0,
            Indent::Anchor => 1,
        });
    }

    fn guard(&mut self, guard: &Guard) {
        for lines in [&guard.expect, &guard.before, &guard.after] {
            self.optional(lines.as_ref().map(Lines::as_bytes));
        }
    }

    fn occurrence(&mut self, occurrence: Occurrence) {
        match occurrence {
            Occurrence::Only => self.tag(0),
            Occurrence::First => self.tag(1),
            Occurrence::Last => self.tag(2),
            Occurrence::All => self.tag(3),
            Occurrence::Nth(number) => {
                self.tag(4);
                self.number(number.get());
            }
        }
    }

    fn address(&mut self, address: &Address) {
        self.occurrence(address.occurrence);
        match &address.target {
            Target::Lines { first, last } => {
                self.tag(1);
                self.number(*first);
                self.number(*last);
            }
            Target::Text(lines) => {
                self.tag(2);
                self.bytes(lines.as_bytes());
            }
            Target::Match(pattern) => {
                self.tag(3);
                self.bytes(pattern.as_str().as_bytes());
            }
            Target::Between {
                start,
                end,
                inclusive,
            } => {
                self.tag(4);
                self.bytes(start.as_str().as_bytes());
                self.bytes(end.as_str().as_bytes());
                self.tag(u8::from(*inclusive));
            }
            Target::Placeholder(id) => {
                self.tag(5);
                self.bytes(id.as_bytes());
            }
        }
    }
}
