//! Positions in a text that was edited since they were counted.

use std::ops::Range;

use crate::bytes;

/// Whether a position means the same place in both texts, whichever of them it was counted in: its
/// lines and those beside them are there in both under the same numbers, and all that is above them
/// is equal, or all that is below.
pub(super) fn is_same(old: &[u8], now: &[u8], span: &Range<usize>) -> bool {
    if old == now {
        return true;
    }
    let first = start_of_line(now, span.start);
    let above = start_of_line(now, first.saturating_sub(1));
    let below = end_of_line(now, span.end);
    let above_is_equal = { below <= bytes::common_start(old, now) && span.end < now.len() };
    let below_is_equal = || {
        let equal = bytes::common_end(old, now);
        let Some(then) = (above + old.len()).checked_sub(now.len()) else {
            return false;
        };
        now.len() - above <= equal
            && above > 0
            && bytes::count(b'\n', &now[..above]) == bytes::count(b'\n', &old[..then])
    };
    above_is_equal || below_is_equal()
}

fn start_of_line(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1)
}

/// The byte behind the newline of the line in which a byte stands.
fn end_of_line(text: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |newline| at + newline + 1)
}

#[cfg(test)]
mod tests {
    use super::is_same;

    const OLD: &[u8] = b"1\n2\n3\n4\n5\n6\n";

    /// An insert before line `line` of the new text, from 1.
    fn same(now: &[u8], line: usize) -> bool {
        let at = 2 * (line - 1);
        is_same(OLD, now, &(at..at))
    }

    #[test]
    fn a_place_is_the_same_where_nothing_was_moved() {
        for line in 1..=7 {
            assert!(same(OLD, line), "{line}");
        }
    }

    #[test]
    fn above_an_edit_places_are_the_same_and_below_it_they_are_not() {
        let now = b"1\n2\n3\n4\nx\n5\n6\n";
        let places: Vec<bool> = (1..=8).map(|line| same(now, line)).collect();
        assert_eq!(places, [true, true, true, true, false, false, false, false]);
    }

    #[test]
    fn where_lines_gave_way_to_as_many_places_are_the_same_on_both_sides() {
        let now = b"1\n2\nx\n4\n5\n6\n";
        let places: Vec<bool> = (1..=7).map(|line| same(now, line)).collect();
        assert_eq!(places, [true, true, false, false, true, true, true]);
    }

    #[test]
    fn a_line_that_came_and_one_that_went_leave_what_is_between_them_in_doubt() {
        let now = b"1\n3\n4\n5\nx\n6\n";
        let places: Vec<bool> = (2..=6).map(|line| same(now, line)).collect();
        assert_eq!(places, [false; 5]);
    }
}
