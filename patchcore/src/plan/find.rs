//! Where exact characters occur in a text, a newline standing for any line ending.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind};

use crate::text::Text;

/// What is looked for in one text by many operations is looked for at once: a check of 20,000 that
/// look in 0.9 MB takes 0.15 s, and 4.3 s where each looks alone.
#[derive(Debug, Default)]
pub(super) struct Finds<'f> {
    /// By what is looked for, as the sender wrote it.
    places: HashMap<&'f [u8], Vec<Range<usize>>>,
}

impl<'f> Finds<'f> {
    /// So many searches of one text are worth the time that preparing one search for all takes.
    const MANY: usize = 32;

    /// Bytes that may be looked for at once: each takes about 45 bytes of memory meanwhile.
    const WANTED: usize = 4 << 20;

    /// Places that may be found at once.
    const FOUND: usize = 1 << 22;

    /// Looks for all of these at once where that pays; `wanted` may be iterated twice.
    pub(super) fn of(text: &Text<'_>, wanted: impl Iterator<Item = &'f [u8]> + Clone) -> Self {
        if wanted.clone().nth(Self::MANY - 1).is_none() {
            return Self::default();
        }
        Self::together(text, wanted, Self::at_once(text)).unwrap_or_default()
    }

    /// So many searches that preparing them takes as long as a pass over the text: preparing n of
    /// them takes about n² × 0.5 ns (5 s for 100,000), a pass about 3.5 ns a byte.
    fn at_once(text: &Text<'_>) -> usize {
        (7 * text.bytes().len()).isqrt().max(1 << 10)
    }

    /// Every place of each, so many searches in a pass; `None` where that takes too much memory, or cannot be done at once.
    fn together(
        text: &Text<'_>,
        wanted: impl Iterator<Item = &'f [u8]>,
        at_once: usize,
    ) -> Option<Self> {
        let mut number_of: HashMap<Cow<'f, [u8]>, usize> = HashMap::new();
        let mut sought: Vec<(&'f [u8], usize)> = Vec::new();
        let mut bytes = 0;
        for find in wanted {
            let (needle, _) = fold(find);
            // A carriage return within a line needs the text as it is.
            if needle.is_empty() || crate::bytes::find(b'\r', &needle).is_some() {
                continue;
            }
            let next = number_of.len();
            let number = *number_of.entry(needle).or_insert_with_key(|needle| {
                bytes += needle.len();
                next
            });
            sought.push((find, number));
            if bytes > Self::WANTED {
                return None;
            }
        }
        let mut needles = vec![&[][..]; number_of.len()];
        for (needle, number) in &number_of {
            needles[*number] = needle;
        }
        let folded = Folded::of(text);
        let mut starts: Vec<Vec<usize>> = vec![Vec::new(); needles.len()];
        let mut count = 0;
        for (needles, starts) in needles.chunks(at_once).zip(starts.chunks_mut(at_once)) {
            let automaton = AhoCorasick::builder()
                .kind(Some(AhoCorasickKind::ContiguousNFA))
                .build(needles)
                .ok()?;
            for found in automaton.find_overlapping_iter(&*folded.bytes) {
                count += 1;
                if count > Self::FOUND {
                    return None;
                }
                starts[found.pattern().as_usize()].push(found.start());
            }
        }
        let mut places = HashMap::with_capacity(sought.len());
        for (find, number) in sought {
            let of = || folded.places(&starts[number], needles[number].len());
            places.entry(find).or_insert_with(of);
        }
        Some(Self { places })
    }

    /// Every place of one, if it was looked for with the others, see [`find_text`].
    pub(super) fn of_all(&self, find: &[u8]) -> Option<&[Range<usize>]> {
        self.places.get(find).map(Vec::as_slice)
    }
}

/// A text whose line endings are newlines alone.
struct Folded<'t> {
    bytes: Cow<'t, [u8]>,
    /// Where the newlines are that were more.
    removed: Vec<usize>,
    /// The length of the BOM, which is left out.
    floor: usize,
}

impl<'t> Folded<'t> {
    fn of(text: &Text<'t>) -> Self {
        let floor = text.bom_len();
        let (bytes, removed) = fold(&text.bytes()[floor..]);
        Self {
            bytes,
            removed,
            floor,
        }
    }

    /// The text as it is, for what stays within a line.
    fn plain(text: &Text<'t>) -> Self {
        let floor = text.bom_len();
        Self {
            bytes: Cow::Borrowed(&text.bytes()[floor..]),
            removed: Vec::new(),
            floor,
        }
    }

    /// Where in the text what starts at these offsets, in order, stands.
    fn places(&self, starts: &[usize], length: usize) -> Vec<Range<usize>> {
        // How many carriage returns were removed in front of an offset; asked for in order.
        let unfold = || {
            let first = starts.first().copied().unwrap_or_default();
            let mut before = self.removed.partition_point(|&newline| newline < first);
            move |at: usize| {
                while (self.removed.get(before)).is_some_and(|&newline| newline < at) {
                    before += 1;
                }
                self.floor + at + before
            }
        };
        let (mut start, mut end) = (unfold(), unfold());
        let places = starts.iter().map(|&at| start(at)..end(at + length));
        places.collect()
    }
}

/// Every place where exact characters occur, overlapping ones included, in order; a newline in
/// `find` matches any line ending. Takes time in proportion to both lengths.
pub(super) fn find_text(text: &Text<'_>, find: &[u8]) -> Vec<Range<usize>> {
    let needle = fold(find).0;
    let folded = match crate::bytes::find(b'\n', &needle) {
        Some(_) => Folded::of(text),
        None => Folded::plain(text),
    };
    if !folded.removed.is_empty() && crate::bytes::find(b'\r', &needle).is_some() {
        return raw_places(&text.bytes()[folded.floor..], &needle, folded.floor);
    }
    folded.places(
        &crate::bytes::occurrences(&folded.bytes, &needle),
        needle.len(),
    )
}

/// The places of characters that hold a carriage return within a line: as they are, or with the
/// other line ending.
fn raw_places(bytes: &[u8], needle: &[u8], floor: usize) -> Vec<Range<usize>> {
    let mut other = Vec::with_capacity(needle.len() + 16);
    for line in crate::text::split_lines(needle) {
        match line.strip_suffix(b"\n") {
            Some(line) => other.extend_from_slice(&[line, b"\r\n"].concat()),
            None => other.extend_from_slice(line),
        }
    }
    let of = |needle: &[u8]| -> Vec<Range<usize>> {
        let starts = crate::bytes::occurrences(bytes, needle).into_iter();
        starts
            .map(|at| floor + at..floor + at + needle.len())
            .collect()
    };
    let mut places = [of(needle), of(&other)].concat();
    places.sort_unstable_by_key(|place| (place.start, place.end));
    places
}

/// Text whose line endings are newlines alone, and where the newlines are that were more.
fn fold(bytes: &[u8]) -> (Cow<'_, [u8]>, Vec<usize>) {
    let mut folded = Vec::new();
    let mut removed = Vec::new();
    let mut from = 0;
    for newline in crate::bytes::positions(b'\n', bytes) {
        if newline > 0 && bytes[newline - 1] == b'\r' {
            if folded.capacity() == 0 {
                folded.reserve(bytes.len());
            }
            folded.extend_from_slice(&bytes[from..newline - 1]);
            removed.push(folded.len());
            from = newline;
        }
    }
    if removed.is_empty() {
        return (Cow::Borrowed(bytes), removed);
    }
    folded.extend_from_slice(&bytes[from..]);
    (Cow::Owned(folded), removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where `find` ends if it starts at an offset, byte by byte.
    fn end_at(bytes: &[u8], start: usize, find: &[u8]) -> Option<usize> {
        let mut at = start;
        for &byte in find {
            at += match &bytes[at..] {
                [b'\r', b'\n', ..] if byte == b'\n' => 2,
                [first, ..] if *first == byte => 1,
                _ => return None,
            };
        }
        // A line ending is not taken apart.
        let inside = |at: usize| at > 0 && bytes[at - 1] == b'\r' && bytes.get(at) == Some(&b'\n');
        (!(find[0] == b'\n' && inside(start))).then_some(at)
    }

    fn naive(bytes: &[u8], floor: usize, find: &[u8]) -> Vec<Range<usize>> {
        let starts = floor..bytes.len();
        let places = starts.filter_map(|at| Some(at..end_at(bytes, at, find)?));
        places.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn it_finds_what_a_naive_search_finds(
            bom: bool,
            text in prop::collection::vec(prop::sample::select(vec!["a", "b", "\n", "\r\n"]), 0..24),
            find in prop::collection::vec(prop::sample::select(vec!["a", "b", "\n", "\r\n"]), 1..7),
        ) {
            let bytes = [if bom { "\u{feff}" } else { "" }, &text.concat()].concat();
            let text = Text::new(bytes.as_bytes());
            let find = find.concat();
            let expected = naive(bytes.as_bytes(), text.bom_len(), find.replace("\r\n", "\n").as_bytes());
            prop_assert_eq!(find_text(&text, find.as_bytes()), expected);
        }

        #[test]
        fn together_they_find_what_each_finds(
            bom: bool,
            text in prop::collection::vec(prop::sample::select(vec!["a", "b", "\n", "\r\n", "\r"]), 0..24),
            finds in prop::collection::vec(prop::collection::vec(prop::sample::select(vec!["a", "b", "\n", "\r\n", "\r"]), 1..5), 1..12),
            at_once in 1_usize..6,
        ) {
            let bytes = [if bom { "\u{feff}" } else { "" }, &text.concat()].concat();
            let text = Text::new(bytes.as_bytes());
            let finds: Vec<String> = finds.into_iter().map(|find| find.concat()).collect();
            let together = Finds::together(&text, finds.iter().map(String::as_bytes), at_once).unwrap();
            for find in &finds {
                let find = find.as_bytes();
                if let Some(places) = together.of_all(find) {
                    prop_assert_eq!(places, find_text(&text, find));
                }
            }
        }
    }

    #[test]
    fn a_needle_of_one_letter_is_found_in_linear_time() {
        let bytes = vec![b'a'; 2_000_000];
        let found = find_text(&Text::new(&bytes), &bytes[..100_000]);
        assert_eq!(found.len(), 1_900_001);
        // Lines alike, with either ending.
        let lines = "a\n".repeat(200_000).into_bytes();
        let found = find_text(&Text::new(&lines), &lines[..100_000]);
        assert_eq!(found.len(), 150_001);
    }

    #[test]
    fn a_carriage_return_within_a_line_is_a_character() {
        let bytes = b"a\rb\r\na\rb\n";
        assert_eq!(find_text(&Text::new(bytes), b"\rb\n"), [1..5, 6..9]);
        assert_eq!(find_text(&Text::new(bytes), b"\r"), [1..2, 3..4, 6..7]);
    }
}
