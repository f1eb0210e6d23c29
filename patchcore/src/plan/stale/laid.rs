//! Operations on lines that a formatter laid out anew.

use std::ops::Range;

use serde_json::{Value, json};

use super::{Pair, patch_address, shown};
use crate::anchor::Resolver;
use crate::literals;
use crate::operation::{Action, Guard, Indent, Insertion, Lines, Operation};
use crate::rebase::{Laid, Layouts, Rebased};

/// Lines of the base, and where they are now.
pub(super) struct Place<'a, 't> {
    pub(super) from: &'a Range<usize>,
    pub(super) laid: Laid<'t>,
    pub(super) layouts: &'a Layouts<'t>,
}

impl Pair<'_> {
    /// The operation at that place, and the merge patch that makes the one of the other, if that
    /// need not touch content or guard. `None` where it cannot be said there.
    ///
    /// What the operation expects stands in the base: what has the same tokens stands here.
    pub(super) fn relay(
        &self,
        operation: &Operation,
        place: &Place<'_, '_>,
        resolver: &mut Resolver<'_>,
    ) -> Option<(Operation, Option<Value>)> {
        let laid = &place.laid;
        let digest = self.current.digest();
        let mut moved = operation.clone();
        moved.file = self.named.clone();
        moved.base = Some(digest);
        moved.reading.rebased = Some(Rebased {
            from: shown(std::iter::once(place.from.clone()))?,
            to: shown(std::iter::once(laid.lines.clone()))?,
        });
        let (at, guard, content, indent) = match &mut moved.action {
            Action::ReplaceBlock {
                at,
                guard,
                content,
                indent,
                ..
            }
            | Action::InsertBefore(Insertion {
                at,
                guard,
                content,
                indent,
            })
            | Action::InsertAfter(Insertion {
                at,
                guard,
                content,
                indent,
            }) => (at, guard, content, *indent),
            _ => return None,
        };
        let mut patch = json!({ "base": digest.to_string() });
        if self.named != self.path {
            patch["file"] = self.named.to_string().into();
        }
        patch_address(at, &laid.lines, resolver, &mut patch)?;
        let is_as_sent = guard.is_empty() && laid.levels.are_same();
        let expect = guard.expect.is_some();
        *guard = Guard {
            expect: expect.then(|| Lines::new(place.layouts.text(&laid.lines))),
            ..Guard::default()
        };
        let mut note = "the lines there have another layout and the same tokens".to_owned();
        if !laid.levels.are_same() && indent == Indent::Verbatim && !content.as_bytes().is_empty() {
            *content = self.shifted(content, laid)?;
            note.push_str("; the new lines were indented as they are");
        }
        moved.add_note(note);
        Some((moved, is_as_sent.then_some(patch)))
    }

    /// Content, indented as the lines of its place are by now; `None` where the level of a line is
    /// not known there, or the line is in a string.
    fn shifted(&self, content: &Lines, laid: &Laid<'_>) -> Option<Lines> {
        let lines = laid.levels.apply(content.as_bytes())?;
        let text = self.current.text();
        let above = super::line_start(&text, laid.lines.start)?;
        let mut there = text.bytes()[..above].to_vec();
        let mut starts = Vec::new();
        for line in &lines {
            if !line.trim_ascii().is_empty() {
                starts.push(there.len());
            }
            there.extend_from_slice(line);
        }
        let rest = super::line_start(&text, laid.lines.end).unwrap_or(text.bytes().len());
        there.extend_from_slice(&text.bytes()[rest..]);
        let in_string = literals::any_inside(self.named, &there, &starts);
        (!in_string).then(|| Lines::new(lines.concat()))
    }
}
