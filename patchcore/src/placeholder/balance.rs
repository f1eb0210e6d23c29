//! Which placeholders edits add and remove, found without reading what they leave alone.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Scanner;
use crate::edit::EditSet;
use crate::text::Text;

/// How often each id stands in a text more, or less, after edits than before.
///
/// Only the lines that an edit touches are looked at. Sum it over the files of a batch to see that
/// a placeholder was moved, not lost.
///
/// ```
/// use patchcore::edit::{Edit, EditSet};
/// use patchcore::placeholder::{Balance, Scanner};
/// let source = b"a\n###GONE###\n###KEPT###\n";
/// let edits = EditSet::new(vec![Edit::replace(2..13, "done\n")], source.len())?;
/// let balance = Balance::of(&Scanner::new(), source, &edits);
/// assert_eq!(balance.lost().collect::<Vec<_>>(), ["GONE"]);
/// # Ok::<(), patchcore::edit::EditError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Balance {
    counts: BTreeMap<String, i64>,
}

impl Balance {
    /// The balance of edits over the text that they were made for.
    #[must_use]
    pub fn of(scanner: &Scanner, source: &[u8], edits: &EditSet) -> Self {
        let mut balance = Self::default();
        for window in windows(source, edits) {
            balance.add_window(scanner, source, edits, &window);
        }
        balance
    }

    /// The balance of each run of edits that share lines, by their indices in the set; runs that
    /// change nothing are left out.
    #[must_use]
    pub fn parts(scanner: &Scanner, source: &[u8], edits: &EditSet) -> Vec<(Range<usize>, Self)> {
        let part = |window: Window| {
            let mut balance = Self::default();
            balance.add_window(scanner, source, edits, &window);
            let changes = balance.counts.values().any(|count| *count != 0);
            changes.then_some((window.edits, balance))
        };
        windows(source, edits)
            .into_iter()
            .filter_map(part)
            .collect()
    }

    /// Counts every placeholder of a text as new.
    pub fn add_text(&mut self, scanner: &Scanner, bytes: &[u8]) {
        for placeholder in scanner.find(bytes) {
            self.count(placeholder.id, 1);
        }
    }

    /// Adds the balance of other edits, of another file say.
    pub fn add(&mut self, other: &Self) {
        for (id, count) in &other.counts {
            self.count(id, *count);
        }
    }

    /// The ids that stand less often afterwards, sorted.
    pub fn lost(&self) -> impl Iterator<Item = &str> {
        let lost = self.counts.iter().filter(|(_, count)| **count < 0);
        lost.map(|(id, _)| id.as_str())
    }

    /// Whether no id stands less often afterwards.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.counts.values().all(|count| *count >= 0)
    }

    /// How often an id stands more afterwards; negative for less.
    #[must_use]
    pub fn get(&self, id: &str) -> i64 {
        self.counts.get(id).copied().unwrap_or(0)
    }

    fn count(&mut self, id: &str, by: i64) {
        match self.counts.get_mut(id) {
            Some(count) => *count += by,
            None => {
                self.counts.insert(id.to_owned(), by);
            }
        }
    }

    fn add_window(&mut self, scanner: &Scanner, source: &[u8], edits: &EditSet, window: &Window) {
        let old = scanner.find(&source[window.lines.clone()]);
        for placeholder in &old {
            self.count(placeholder.id, -1);
        }
        let mut new = Vec::with_capacity(window.lines.len());
        let mut at = window.lines.start;
        for edit in &edits.as_slice()[window.edits.clone()] {
            new.extend_from_slice(&source[at..edit.span.start]);
            new.extend_from_slice(&edit.text);
            at = edit.span.end;
        }
        new.extend_from_slice(&source[at..window.lines.end]);
        self.add_text(scanner, &new);
    }
}

/// Whole lines of the source, and the edits that lie in them.
struct Window {
    lines: Range<usize>,
    edits: Range<usize>,
}

/// The touched lines; edits that share a line share a window.
fn windows(source: &[u8], edits: &EditSet) -> Vec<Window> {
    let text = Text::new(source);
    let mut windows: Vec<Window> = Vec::new();
    for (index, edit) in edits.as_slice().iter().enumerate() {
        let start = text.line_start(edit.span.start);
        if let Some(last) = windows.last_mut()
            && start < last.lines.end
        {
            last.lines.end = last.lines.end.max(line_end(source, edit.span.end));
            last.edits.end = index + 1;
            continue;
        }
        windows.push(Window {
            lines: start..line_end(source, edit.span.end),
            edits: index..index + 1,
        });
    }
    windows
}

/// The end of the line that holds an offset, its ending included.
fn line_end(source: &[u8], offset: usize) -> usize {
    crate::bytes::find(b'\n', &source[offset..]).map_or(source.len(), |at| offset + at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::edit::Edit;

    fn lost(source: &str, edits: Vec<Edit>) -> Vec<String> {
        let set = EditSet::new(edits, source.len()).unwrap();
        let balance = Balance::of(&Scanner::new(), source.as_bytes(), &set);
        balance.lost().map(str::to_owned).collect()
    }

    #[test]
    fn a_placeholder_is_lost_by_any_edit_that_breaks_it() {
        let source = "x\n  ###A### ###B###\ny\n";
        assert_eq!(lost(source, vec![Edit::insert(6, " ")]), ["A"]);
        assert_eq!(lost(source, vec![Edit::delete(4..5)]), ["A"]);
        assert_eq!(lost(source, vec![Edit::insert(4, "###B")]), ["A"]);
        assert_eq!(
            lost(source, vec![Edit::delete(0..source.len())]),
            ["A", "B"]
        );
        assert!(lost(source, vec![Edit::insert(4, "// ")]).is_empty());
        assert!(lost(source, vec![Edit::delete(0..2)]).is_empty());
    }

    #[test]
    fn a_moved_placeholder_is_kept_and_one_of_two_is_not() {
        let source = "###A###\n###A###\nz\n";
        assert_eq!(lost(source, vec![Edit::delete(0..8)]), ["A"]);
        let moved = vec![Edit::delete(0..8), Edit::insert(16, "###A###\n")];
        assert!(lost(source, moved).is_empty());
    }

    #[test]
    fn balances_of_two_files_add_up() {
        let scanner = Scanner::new();
        let set = EditSet::new(vec![Edit::delete(0..8)], 8).unwrap();
        let mut sum = Balance::of(&scanner, b"###A###\n", &set);
        assert!(!sum.is_kept());
        sum.add_text(&scanner, b"x ###A###");
        assert!(sum.is_kept());
        assert_eq!(sum.get("A"), 0);
    }

    proptest! {
        #[test]
        fn the_balance_of_the_touched_lines_is_that_of_the_whole(
            pieces in proptest::collection::vec(
                proptest::sample::select(vec!["###", "A", "B", "\n", " ", "###A###", "###B###\n", "/** C **/"]),
                1..30,
            ),
            cuts in proptest::collection::vec((0usize..200, 0usize..12, 0usize..5), 1..4),
        ) {
            let source = pieces.concat();
            let texts = ["", "###", "###A###", "\n", "x"];
            let mut edits: Vec<Edit> = cuts.iter().map(|&(start, len, text)| {
                let start = start.min(source.len());
                Edit::replace(start..(start + len).min(source.len()), texts[text])
            }).collect();
            edits.sort_by_key(|edit| edit.span.start);
            let mut end = 0;
            edits.retain(|edit| {
                let fits = edit.span.start >= end;
                if fits { end = edit.span.end + 1; }
                fits
            });
            let set = EditSet::new(edits, source.len()).unwrap();
            let scanner = Scanner::new();
            let balance = Balance::of(&scanner, source.as_bytes(), &set);
            let after = set.apply(source.as_bytes());
            for id in ["A", "B", "C", "AA", "AB"] {
                let count = |text: &[u8]| {
                    scanner.find(text).iter().filter(|p| p.id == id).count() as i64
                };
                prop_assert_eq!(balance.get(id), count(&after) - count(source.as_bytes()), "{}", id);
            }
        }
    }
}
