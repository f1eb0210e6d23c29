//! Line endings of a diff and a file that differ throughout.

use crate::diff::parse::Hunk;
use crate::text::LineEnding;

/// The ending that all lines of the hunks have; `None` where they differ, or there are none.
pub(super) fn of_hunks(hunks: &[Hunk<'_>]) -> Option<LineEnding> {
    let endings = hunks
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
    uniform(endings)
}

/// The ending that all lines of a file have; `None` where they differ, or there are none.
pub(super) fn of_file(bytes: &[u8]) -> Option<LineEnding> {
    uniform(crate::bytes::positions(b'\n', bytes).map(|at| {
        if at > 0 && bytes[at - 1] == b'\r' {
            LineEnding::CrLf
        } else {
            LineEnding::Lf
        }
    }))
}

fn uniform(mut endings: impl Iterator<Item = LineEnding>) -> Option<LineEnding> {
    let first = endings.next()?;
    endings.all(|ending| ending == first).then_some(first)
}
