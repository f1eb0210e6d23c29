//! What the operations of a sequence did to one file, and what that comes to in the end.

use std::sync::Arc;

use crate::edit::{Bias, EditSet};
use crate::text::{LineNumber, Text};

use super::assemble::Assembled;
use super::{Touch, Verdict};

/// What each operation so far did to the text that it found.
#[derive(Debug, Clone, Default)]
pub(super) struct History(Vec<Step>);

#[derive(Debug, Clone)]
struct Step {
    operation: usize,
    edits: Arc<EditSet>,
    /// Where the first line that it wrote starts, or it deleted, in the text behind it.
    landed: Option<usize>,
    added: usize,
    removed: usize,
}

/// All steps as one.
#[derive(Debug)]
pub(super) struct Whole {
    steps: Vec<Step>,
    /// From the text before the first step to the one after the last.
    pub(super) edits: EditSet,
    /// Where steps landed, as far as that is still there: offsets in the last text, in order, with
    /// the steps' indices.
    landed: Vec<(usize, usize)>,
}

impl History {
    /// How many steps and edits a copy takes over.
    pub(super) fn size(&self) -> usize {
        let edits = self.0.iter().map(|step| step.edits.as_slice().len());
        self.0.len() + edits.sum::<usize>()
    }

    /// Notes an operation that leaves the text as it is.
    pub(super) fn note(&mut self, operation: usize) {
        self.edit(operation, Assembled::default(), b"");
    }

    /// Notes an operation that edits the text.
    pub(super) fn edit(&mut self, operation: usize, assembled: Assembled, text: &[u8]) {
        let Assembled { edits, touches, .. } = assembled;
        let landed = edits.as_slice().first().map(|edit| {
            let at = edit.span.start;
            // Behind a last line without an ending, the line's ending comes first.
            let is_open = at == text.len() && !text.is_empty() && !text.ends_with(b"\n");
            match &edit.text[..] {
                [b'\n', ..] if is_open => at + 1,
                [b'\r', b'\n', ..] if is_open => at + 2,
                _ => at,
            }
        });
        self.0.push(Step {
            operation,
            landed,
            added: touches.iter().map(|touch| touch.added).sum(),
            removed: touches.iter().map(|touch| touch.removed).sum(),
            edits: Arc::new(edits),
        });
    }

    pub(super) fn finish(self) -> Whole {
        let (edits, landed) = join(&self.0, 0);
        Whole {
            steps: self.0,
            edits,
            landed,
        }
    }
}

/// Joins steps half by half, so that each edit is looked at a few times, however many steps there
/// are. `first` is the index of the first of them.
fn join(steps: &[Step], first: usize) -> (EditSet, Vec<(usize, usize)>) {
    match steps {
        [] => Default::default(),
        [step] => {
            let landed = step.landed.map(|at| (at, first));
            (EditSet::clone(&step.edits), landed.into_iter().collect())
        }
        _ => {
            let (earlier, later) = steps.split_at(steps.len() / 2);
            let (one, landed) = join(earlier, first);
            let (other, landed_later) = join(later, first + earlier.len());
            // What is inserted right there comes before what landed.
            let moved = other.map_all(landed.iter().map(|(at, _)| *at), Bias::After);
            let mut all: Vec<(usize, usize)> = moved
                .zip(&landed)
                .filter_map(|(at, (_, step))| Some((at?, *step)))
                .chain(landed_later)
                .collect();
            // Two runs that are sorted already.
            all.sort();
            (one.compose(&other), all)
        }
    }
}

impl Whole {
    /// Sets the lines that each operation wrote and that are still there.
    pub(super) fn say_lines(&self, now: &[u8], verdicts: &mut [Verdict]) {
        let text = Text::new(now);
        for &(at, step) in &self.landed {
            let step = &self.steps[step];
            if step.added == 0 {
                continue;
            }
            let first = text.line_at(at);
            let last = LineNumber::from_index(first.index() + step.added - 1);
            verdicts[step.operation].lines = Some([first, last]);
        }
    }

    /// Which of the edits that lead to the last text each operation has a part in: the one whose
    /// result holds the place where it landed, or is the nearest before it.
    pub(super) fn touches(&self, edits: &EditSet) -> Vec<Touch> {
        let mut touches: Vec<Touch> = self
            .steps
            .iter()
            .map(|step| Touch {
                operation: step.operation,
                edit: 0,
                added: step.added,
                removed: step.removed,
            })
            .collect();
        let edits = edits.as_slice();
        let (mut near, mut shift) = (0, 0isize);
        for &(at, step) in &self.landed {
            while let Some(next) = edits.get(near + 1) {
                let edit = &edits[near];
                let behind = shift + edit.text.len() as isize - edit.span.len() as isize;
                if next.span.start.wrapping_add_signed(behind) > at {
                    break;
                }
                (near, shift) = (near + 1, behind);
            }
            touches[step].edit = near;
        }
        touches
    }
}
