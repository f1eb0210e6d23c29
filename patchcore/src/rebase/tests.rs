use proptest::prelude::*;

use super::align::{Alignment, BUDGET, Place};
use super::*;

fn text(lines: &[&str]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\n"].concat())
        .collect()
}

/// The lengths of the longest common subsequences of all prefixes.
fn lengths(old: &[u32], new: &[u32]) -> Vec<Vec<usize>> {
    let mut table = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate() {
        for (j, b) in new.iter().enumerate() {
            table[i + 1][j + 1] = match a == b {
                true => table[i][j] + 1,
                false => table[i][j + 1].max(table[i + 1][j]),
            };
        }
    }
    table
}

/// What all longest common subsequences match each item with, by all lengths.
fn naive(old: &[u32], new: &[u32]) -> Vec<Place> {
    let reversed = |items: &[u32]| items.iter().rev().copied().collect::<Vec<_>>();
    let (before, behind) = (lengths(old, new), lengths(&reversed(old), &reversed(new)));
    let longest = before[old.len()][new.len()];
    let place = |item: usize| {
        let around = |end: usize, start: usize| {
            before[item][end] + behind[old.len() - item - 1][new.len() - start]
        };
        let left_out = (0..=new.len()).any(|at| around(at, at) == longest);
        let found: Vec<usize> = (0..new.len())
            .filter(|&at| new[at] == old[item] && around(at, at + 1) + 1 == longest)
            .collect();
        match found[..] {
            [] => Place::None,
            [at] if !left_out => Place::One(at),
            _ => Place::Many,
        }
    };
    (0..old.len()).map(place).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn an_alignment_knows_what_all_longest_subsequences_agree_on(
        old in prop::collection::vec(0_u32..4, 1..24),
        new in prop::collection::vec(0_u32..4, 0..24),
    ) {
        let wanted: Vec<usize> = (0..old.len()).collect();
        let places = Alignment::of(&old, &new).places(&wanted, BUDGET);
        prop_assert_eq!(places, naive(&old, &new));
    }

    #[test]
    fn rows_over_several_words_are_the_same(
        old in prop::collection::vec(0_u32..9, 60..150),
        cut in 0_usize..55,
        new in prop::collection::vec(0_u32..9, 0..90),
    ) {
        let new = [&old[..cut], &new[..], &old[cut + 5..]].concat();
        let wanted: Vec<usize> = (0..old.len()).step_by(11).collect();
        let places = Alignment::of(&old, &new).places(&wanted, BUDGET);
        let naive = naive(&old, &new);
        for (item, place) in wanted.iter().zip(places) {
            prop_assert_eq!(place, naive[*item]);
        }
    }

    #[test]
    fn a_place_has_the_lines_of_the_range_and_its_neighbours(
        base in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 0..20),
        current in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 0..20),
        ends in (0_usize..20, 0_usize..20),
    ) {
        let map = Map::new(&text(&base), &text(&current));
        let range = ends.0.min(ends.1)..ends.0.max(ends.1);
        if let Ok(to) = map.range(range.clone()) {
            let above = range.start.min(NEIGHBOURS);
            let below = (base.len() - range.end).min(NEIGHBOURS);
            prop_assert_eq!(
                &base[range.start - above..range.end + below],
                &current[to.start - above..to.end + below]
            );
        }
    }

    #[test]
    fn between_equal_files_a_range_is_where_it_was_or_has_two_places(
        base in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..30),
        at in any::<prop::sample::Index>(),
    ) {
        let map = Map::new(&text(&base), &text(&base));
        let line = at.index(base.len());
        prop_assert_eq!(map.range(line..line + 1), Ok(line..line + 1));
        prop_assert_eq!(map.range(line..line), Ok(line..line));
    }
}

const BASE: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Maps lines of [`BASE`], which count from 0.
fn map(current: &[&str], range: Range<usize>) -> Result<Range<usize>, Lost> {
    Map::new(&text(&BASE), &text(current)).range(range)
}

#[test]
fn lines_above_and_below_move_a_range() {
    let current = ["x", "a", "y", "b", "c", "d", "e", "f", "z", "g", "h"];
    assert_eq!(map(&current, 3..4), Ok(5..6));
    assert_eq!(map(&current, 4..4), Ok(6..6));
    let above_is_gone = ["c", "d", "e", "f", "g", "h"];
    assert_eq!(map(&above_is_gone, 4..6), Ok(2..4));
}

#[test]
fn a_change_in_the_range_or_next_to_it_loses_it() {
    let changed = ["a", "b", "c", "D", "e", "f", "g", "h"];
    for range in [3..4, 2..5, 4..5, 5..6, 1..2, 4..4, 5..5] {
        assert_eq!(
            map(&changed, range.clone()),
            Err(Lost::Changed),
            "{range:?}"
        );
    }
    assert_eq!(map(&changed, 6..7), Ok(6..7));
    assert_eq!(map(&changed, 6..6), Ok(6..6));
}

#[test]
fn a_copy_elsewhere_does_not_stand_for_a_range_that_was_changed() {
    let current = [
        "b", "c", "d", "e", "f", "a", "b", "c", "D", "e", "f", "g", "h",
    ];
    assert_eq!(map(&current, 3..4), Err(Lost::Ambiguous));
    let clear = [
        "b", "c", "d", "e", "f", "x", "a", "b", "c", "D", "e", "f", "g", "h",
    ];
    assert!(map(&clear, 3..4).is_err());
}

#[test]
fn of_two_copies_side_by_side_none_is_taken() {
    let twice = [
        "a", "b", "c", "d", "e", "f", "b", "c", "d", "e", "f", "g", "h",
    ];
    assert_eq!(map(&twice, 3..4), Err(Lost::Ambiguous));
}

#[test]
fn an_end_of_the_file_stays_one() {
    assert_eq!(map(&["a", "b", "c", "g", "h"], 8..8), Ok(5..5));
    assert_eq!(map(&["a", "b", "g", "h", "i"], 8..8), Err(Lost::Changed));
    assert_eq!(map(&["a", "b", "g", "h"], 0..0), Ok(0..0));
    assert_eq!(map(&["0", "a", "b", "g", "h"], 0..0), Err(Lost::Changed));
    assert_eq!(map(&["0", "a", "b", "c", "h"], 0..1), Ok(1..2));
    let empty = Map::new(b"", b"");
    assert_eq!(empty.range(0..0), Ok(0..0));
    assert_eq!(Map::new(b"", b"a\n").range(0..0), Err(Lost::Changed));
    assert_eq!(map(&BASE, 8..9), Err(Lost::Changed));
}

#[test]
fn line_endings_and_a_byte_order_mark_do_not_count() {
    let base = b"a\nb\nc\n";
    let map = Map::new(base, b"\xef\xbb\xbfa\r\nb\r\nc");
    assert_eq!(map.range(0..1), Ok(0..1));
    assert_eq!(map.range(2..3), Ok(2..3));
}

#[test]
fn long_files_are_compared_in_bounded_time() {
    let long = |line: &dyn Fn(usize) -> String, count: usize| {
        (0..count).fold(String::new(), |text, at| text + &line(at) + "\n")
    };
    let base = long(&|at| format!("line {}", at / 2 % 7_000), 200_000);
    let current = format!("new\n{base}");
    let map = Map::new(base.as_bytes(), current.as_bytes());
    assert_eq!(map.range(0..1), Ok(1..2));
    // Each line stands there many times, and so do the windows.
    let same = "x\n".repeat(300_000);
    let map = Map::new(same.as_bytes(), &same.as_bytes()[2..]);
    for line in [0, 1_000, 150_000, 299_999] {
        assert!(map.range(line..line + 1).is_err(), "{line}");
    }
    let items: Vec<u32> = (0..9_000).map(|at| at * at % 17).collect();
    let others: Vec<u32> = items.iter().rev().copied().collect();
    assert_eq!(
        Alignment::of(&items, &others).places(&[70], 100_000),
        [Place::Unknown]
    );
}

#[test]
fn many_ranges_at_once_have_the_places_of_each_alone() {
    let base: Vec<String> = (0..500).map(|at| format!("{}", at * at % 211)).collect();
    let mut current = base.clone();
    current.splice(100..120, base[300..340].to_vec());
    current.splice(400..400, base[20..60].to_vec());
    let [base, current] = [base, current].map(|lines| lines.join("\n"));
    let map = Map::new(base.as_bytes(), current.as_bytes());
    let ranges: Vec<Range<usize>> = (0..499).map(|at| at..at + at % 3).collect();
    let together = map.ranges(&ranges);
    for (range, place) in ranges.into_iter().zip(together) {
        assert_eq!(map.range(range.clone()), place, "{range:?}");
    }
}
