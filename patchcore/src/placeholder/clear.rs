//! The comments of a task that is done, found without its placeholder.

use std::collections::BTreeSet;

use super::comment::{self, CommentKind, Existing};
use super::context::Context;
use super::{Marker, Placeholder};
use crate::edit::Edit;
use crate::error::{Code, Refusal};
use crate::path::RelPath;

/// What becomes of the comments of a task that is done.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Cleared {
    /// They take the comments out, in the order of the file.
    pub edits: Vec<Edit>,
    /// The comments that somebody edited, which stay.
    pub edited: Vec<Refusal>,
}

impl Marker<'_> {
    /// Finds the comments that name a task, or hold a prompt for its placeholder `id`, by what was
    /// injected before; the placeholder may be gone.
    #[must_use]
    pub fn clear(&self, path: &RelPath, bytes: &[u8], id: &str, task: &str) -> Cleared {
        let mut cleared = Cleared::default();
        if !comment::may_hold(bytes) {
            return cleared;
        }
        let found = self.scanner.find(bytes);
        let ids = found.iter().map(|placeholder| placeholder.id).chain([id]);
        let known = ids.flat_map(|id| self.injected.sums(id).map(str::to_owned));
        let Ok(context) = self.context(path, bytes, &known.collect(), None) else {
            return cleared;
        };
        let existing = comment::all(bytes, &context);
        if existing.is_empty() {
            return cleared;
        }
        let sums: BTreeSet<&str> = self.injected.sums(id).collect();
        let mut near: Option<usize> = None;
        let mut unknown = Vec::new();
        for existing in &existing {
            let span = existing.span();
            let forms = existing.forms(bytes);
            let form = forms.iter().find(|form| match forms.task_of(form) {
                Some((other, _)) if existing.kind == CommentKind::Task => other == task,
                _ => existing.kind == CommentKind::Prompt && is_known(&sums, form),
            });
            if let Some(form) = form {
                if existing.kind == CommentKind::Prompt
                    && self.is_others(bytes, &found, id, form, &context)
                {
                    continue;
                }
                cleared.edits.push(Edit::delete(span.start..form.end));
                near = Some(form.end);
                continue;
            }
            let names = names(existing.kind, forms.words(), id, task);
            // One right below the task's own comment is rather its prompt, too.
            let below = near == Some(span.start) && existing.kind == CommentKind::Prompt;
            let of_nobody = || {
                !found.iter().any(|placeholder| {
                    let sums: BTreeSet<&str> = self.injected.sums(placeholder.id).collect();
                    forms.iter().any(|form| is_known(&sums, form))
                })
            };
            if names || (below && of_nobody()) {
                unknown.push(existing);
            }
        }
        cleared.edited = unknown
            .into_iter()
            .map(|existing| edited(path, bytes, task, existing))
            .collect();
        cleared
    }

    /// Whether a prompt stands above the placeholder of somebody else who was given the same.
    fn is_others(
        &self,
        bytes: &[u8],
        found: &[Placeholder<'_>],
        id: &str,
        form: &comment::Form,
        context: &Context,
    ) -> bool {
        let mut at = form.end;
        // Down over comments like ours and blank lines.
        while at < bytes.len() {
            let end = crate::bytes::find(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1);
            let here = || found.iter().filter(|p| (at..end).contains(&p.span.start));
            if here().next().is_some() {
                let sum = &form.sums[0];
                let is_own = here().any(|placeholder| placeholder.id == id);
                return !is_own
                    && here().any(|p| self.injected.sums(p.id).any(|other| other == sum.as_str()));
            }
            let line = bytes[at..end].trim_ascii();
            if !line.is_empty() && !comment::is_mark(line, context.style_of_line(bytes, at)) {
                return false;
            }
            at = end;
        }
        false
    }
}

fn is_known(sums: &BTreeSet<&str>, form: &comment::Form) -> bool {
    form.sums.iter().any(|sum| sums.contains(sum.as_str()))
}

/// Whether a comment of this kind names the task, or the placeholder that its prompt is for.
fn names(kind: CommentKind, words: &str, id: &str, task: &str) -> bool {
    match kind {
        CommentKind::Task => words
            .strip_prefix(comment::TASK)
            .and_then(|rest| rest.strip_prefix(task))
            .is_some_and(|rest| rest.starts_with(char::is_whitespace) || rest.is_empty()),
        CommentKind::Prompt => comment::name_of(words) == Some(id),
    }
}

fn edited(path: &RelPath, bytes: &[u8], task: &str, existing: &Existing) -> Refusal {
    let span = existing.span();
    let line = crate::text::Text::new(bytes).line_at(span.start);
    let why =
        format!("{path} line {line}: the comment of task {task} was edited by hand; it stays");
    Refusal::new(Code::CommentEdited, why)
        .in_file(path)
        .at_line(line)
        .with_found(&bytes[span])
}
