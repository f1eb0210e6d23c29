//! The diff that an event carries: the hunks of its operation alone.

use std::sync::Arc;

use super::{MAX_DIFF, PatchEvent, change_of};
use crate::diff::{Copies, DiffOptions};
use crate::edit::{Edit, EditSet};
use crate::workspace::record::{ChangeRecord, Record};

/// Puts the operation's hunks into its event: as `diff`, or as `diff_truncated` where they are
/// longer than [`MAX_DIFF`] bytes. `pre_image` gives the bytes in a slot of the record; where it
/// has none, the event stays without a diff.
pub fn add_diff(
    event: &mut PatchEvent,
    record: &Record,
    pre_image: &mut dyn FnMut(u32) -> Option<Arc<Vec<u8>>>,
) {
    let Some(index) = event.operation.as_ref().map(|operation| operation.index) else {
        return;
    };
    let touched: Vec<&ChangeRecord> = record
        .changes
        .iter()
        .filter(|change| change.touches.iter().any(|touch| touch.operation == index))
        .collect();
    let changes = if touched.is_empty() {
        change_of(record, index).into_iter().collect()
    } else {
        touched
    };
    let mut diff = Vec::new();
    for change in changes {
        let source = match change.slot.filter(|_| !change.edits.is_empty()) {
            Some(slot) => match pre_image(slot) {
                Some(bytes) => bytes,
                None => return,
            },
            None => Arc::default(),
        };
        let left = MAX_DIFF - diff.len();
        match hunks(change, index, &source, left) {
            Hunks::Whole(bytes) => diff.extend_from_slice(&bytes),
            Hunks::TooLong => {
                event.diff_truncated = true;
                return;
            }
            Hunks::Unknown => return,
        }
    }
    if !diff.is_empty() {
        event.diff = Some(String::from_utf8_lossy(&diff).into_owned());
    }
}

enum Hunks {
    Whole(Vec<u8>),
    TooLong,
    /// The record does not fit the pre-image.
    Unknown,
}

fn hunks(change: &ChangeRecord, operation: usize, source: &[u8], limit: usize) -> Hunks {
    let mut numbers: Vec<usize> = change
        .touches
        .iter()
        .filter(|touch| touch.operation == operation)
        .map(|touch| touch.edit)
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut edits = Vec::with_capacity(numbers.len());
    for number in numbers {
        match change.edits.get(number) {
            Some(edit) if edit.is_cut() => return Hunks::TooLong,
            Some(edit) => edits.push(Edit::replace(edit.span[0]..edit.span[1], edit.text.clone())),
            // An operation that only renamed, copied or set the mode made no edit.
            None => {}
        }
    }
    let Ok(edits) = EditSet::new(edits, source.len()) else {
        return Hunks::Unknown;
    };
    // The record of a copy holds no bytes to show.
    let options = DiffOptions {
        copies: Copies::Copied,
        ..DiffOptions::default()
    };
    let rendered = change.diff(source, &edits).render(&options, limit);
    if rendered.truncated {
        Hunks::TooLong
    } else {
        Hunks::Whole(rendered.diff)
    }
}
