//! What a hunk does to the blob that its diff names as the old one.

use super::decision::ends_amid;
use super::{HunkOptions, Index, is_nothing, omitted, terminated};
use crate::diff::parse::{Doubt, Hunk, Role};
use crate::edit::Edit;
use crate::operation::{Older, OlderEdit};
use crate::rebase::BaseName;

/// The hunk as edits of the blob; `None` where the diff names none, and where what is wrong with the
/// hunk is not the state of the file.
pub(in super::super) fn older(
    hunk: &Hunk<'_>,
    index: Index<'_>,
    options: HunkOptions,
) -> Option<Older> {
    let (name, _) = index?;
    let base = BaseName::Blob(str::from_utf8(name).ok()?.parse().ok()?);
    let ranges = hunk.ranges?;
    let is_refused = !options.allow_omission && omitted(hunk).is_some();
    let doubt = hunk.doubt.as_deref();
    let is_doubtful = doubt.is_some_and(|doubt| !matches!(doubt, Doubt::Miscounted));
    let is_unclear = is_doubtful || hunk.lines.iter().any(is_nothing) || ends_amid(hunk);
    if is_refused || is_unclear {
        return None;
    }
    let above = match ranges.old_count {
        0 => ranges.old_start,
        _ => ranges.old_start.checked_sub(1)?,
    };
    let (mut old, mut edits) = (Vec::new(), Vec::new());
    // The run of changed lines that is being read.
    let mut run: Option<Edit> = None;
    for line in &hunk.lines {
        let text = terminated(line);
        if line.role == Role::Context {
            edits.extend(run.take());
        } else {
            let at = old.len();
            let run = run.get_or_insert_with(|| Edit::replace(at..at, Vec::new()));
            match line.role {
                Role::Added => run.text.extend_from_slice(&text),
                _ => run.span.end = at + text.len(),
            }
        }
        if line.role != Role::Added {
            old.extend_from_slice(&text);
        }
    }
    edits.extend(run);
    Some(Older {
        base,
        edit: OlderEdit::Hunk {
            above: usize::try_from(above).ok()?,
            old,
            edits,
            strict: options.strict,
        },
    })
}
