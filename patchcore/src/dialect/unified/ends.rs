//! The line endings of a diff, which may differ from its file's throughout.

use crate::diff::parse::Hunk;
use crate::text::LineEnding;

/// The ending that all lines of the hunks have; `None` where they differ, or there are none.
pub(super) fn of_hunks(hunks: &[Hunk<'_>]) -> Option<LineEnding> {
    let mut endings = hunks
        .iter()
        .flat_map(|hunk| &hunk.lines)
        .filter(|line| line.newline)
        .map(|line| {
            if line.text.ends_with(b"\r") {
                LineEnding::CrLf
            } else {
                LineEnding::Lf
            }
        });
    let first = endings.next()?;
    endings.all(|ending| ending == first).then_some(first)
}
