//! Changes of whole lines, made from edits of bytes.

use std::borrow::Cow;
use std::ops::Range;

use super::compare::changed_lines;
use crate::edit::Edit;

/// Lines that give way to other lines.
///
/// Either side may be empty, not both. Each side ends behind a newline or at the end of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change<'a> {
    /// Byte range in the old text, of whole lines.
    pub(super) old: Range<usize>,
    /// The new lines.
    pub(super) new: Cow<'a, [u8]>,
}

/// How many lines a diff shows as added and as removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineStats {
    /// Lines added.
    pub added: usize,
    /// Lines removed.
    pub removed: usize,
}

impl LineStats {
    /// Counts what a diff of these edits shows; looks at the edited lines alone.
    ///
    /// `edits` are sorted and disjoint, as those of an [`EditSet`](crate::edit::EditSet) are.
    ///
    /// ```
    /// use patchcore::diff::LineStats;
    /// use patchcore::edit::Edit;
    /// let stats = LineStats::of(b"one\ntwo\n", &[Edit::replace(0..3, "1\n1.5")]);
    /// assert_eq!(stats, LineStats { added: 2, removed: 1 });
    /// ```
    #[must_use]
    pub fn of(source: &[u8], edits: &[Edit]) -> Self {
        let mut stats = Self::default();
        for change in changes(source, edits) {
            stats.added += line_count(&change.new);
            stats.removed += line_count(&source[change.old]);
        }
        stats
    }
}

/// How many lines there are; a last one without a newline counts.
pub(super) fn line_count(bytes: &[u8]) -> usize {
    crate::bytes::count(b'\n', bytes) + usize::from(!at_line_start(bytes, bytes.len()))
}

/// The lines that sorted, disjoint edits change, in order, with a line kept between any two.
pub(super) fn changes<'a>(source: &'a [u8], edits: &'a [Edit]) -> impl Iterator<Item = Change<'a>> {
    let mut rest = edits;
    let mut ready = Vec::new().into_iter();
    std::iter::from_fn(move || {
        loop {
            if let Some(change) = ready.next() {
                return Some(change);
            }
            let (cluster, behind) = next_cluster(source, rest)?;
            rest = behind;
            ready = refine(source, cluster).into_iter();
        }
    })
}

/// Joins the edits at the start of `edits` that share or touch lines, and widens them to whole
/// lines.
fn next_cluster<'a>(source: &'a [u8], edits: &'a [Edit]) -> Option<(Change<'a>, &'a [Edit])> {
    let (first, mut rest) = edits.split_first()?;
    let start = line_start(source, first.span.start);
    let mut at = first.span.end;
    let mut new: Cow<'a, [u8]> = if start == first.span.start {
        Cow::Borrowed(&first.text)
    } else {
        Cow::Owned([&source[start..first.span.start], &first.text].concat())
    };
    loop {
        // Behind this offset no line is touched by the edits taken so far.
        let whole = at_line_start(source, at) && at_line_start(&new, new.len());
        let end = if whole {
            at
        } else {
            crate::bytes::find(b'\n', &source[at..])
                .map_or(source.len(), |newline| at + newline + 1)
        };
        match rest.split_first() {
            Some((next, behind)) if line_start(source, next.span.start) <= end => {
                let text = new.to_mut();
                text.extend_from_slice(&source[at..next.span.start]);
                text.extend_from_slice(&next.text);
                at = next.span.end;
                rest = behind;
            }
            _ => {
                if at < end {
                    new.to_mut().extend_from_slice(&source[at..end]);
                }
                return Some((
                    Change {
                        old: start..end,
                        new,
                    },
                    rest,
                ));
            }
        }
    }
}

/// Splits a change into those of its lines that differ.
fn refine<'a>(source: &'a [u8], cluster: Change<'a>) -> Vec<Change<'a>> {
    let old = &source[cluster.old.clone()];
    if old.is_empty() != cluster.new.is_empty() {
        return vec![cluster];
    }
    let start = cluster.old.start;
    let pairs = changed_lines(old, &cluster.new);
    if let [(whole_old, whole_new)] = &pairs[..]
        && whole_old.len() == old.len()
        && whole_new.len() == cluster.new.len()
    {
        return vec![cluster];
    }
    let take = |range: Range<usize>| match &cluster.new {
        Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[range]),
        Cow::Owned(bytes) => Cow::Owned(bytes[range].to_vec()),
    };
    pairs
        .into_iter()
        .map(|(old, new)| Change {
            old: start + old.start..start + old.end,
            new: take(new),
        })
        .collect()
}

/// Where the line that holds an offset starts; a BOM is part of it here.
fn line_start(bytes: &[u8], offset: usize) -> usize {
    crate::bytes::rfind(b'\n', &bytes[..offset]).map_or(0, |newline| newline + 1)
}

/// Whether a line starts at an offset, or would if the text went on there.
pub(super) fn at_line_start(bytes: &[u8], offset: usize) -> bool {
    offset == 0 || bytes[offset - 1] == b'\n'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(source: &str, edits: &[(Range<usize>, &str)]) -> Vec<(String, String)> {
        let edits: Vec<Edit> = edits
            .iter()
            .map(|(span, text)| Edit::replace(span.clone(), *text))
            .collect();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        changes(source.as_bytes(), &edits)
            .map(|change| (text(&source.as_bytes()[change.old]), text(&change.new)))
            .collect()
    }

    fn pair(old: &str, new: &str) -> (String, String) {
        (old.to_owned(), new.to_owned())
    }

    #[test]
    fn edits_grow_to_whole_lines_and_no_further() {
        let source = "one\ntwo\nthree\n";
        for (edits, expected) in [
            (vec![(5..6, "W")], vec![pair("two\n", "tWo\n")]),
            (vec![(4..4, "new\n")], vec![pair("", "new\n")]),
            (vec![(3..3, "\nnew")], vec![pair("", "new\n")]),
            (vec![(4..8, "")], vec![pair("two\n", "")]),
            (vec![(3..7, "")], vec![pair("two\n", "")]),
            (
                vec![(3..8, "")],
                vec![pair("one\ntwo\nthree\n", "onethree\n")],
            ),
            (vec![(4..4, "x")], vec![pair("two\n", "xtwo\n")]),
            (vec![(14..14, "x")], vec![pair("", "x")]),
            (vec![(13..14, "")], vec![pair("three\n", "three")]),
            (vec![(4..8, "two\n")], vec![]),
            (
                vec![(0..1, "O"), (2..3, "E"), (8..8, "x\n")],
                vec![pair("one\n", "OnE\n"), pair("", "x\n")],
            ),
            (
                vec![(0..4, ""), (4..8, "2\n")],
                vec![pair("one\ntwo\n", "2\n")],
            ),
        ] {
            assert_eq!(changed(source, &edits), expected, "{edits:?}");
        }
    }

    #[test]
    fn the_last_line_may_lack_its_newline_on_either_side() {
        assert_eq!(changed("a\nb", &[(3..3, "\n")]), [pair("b", "b\n")]);
        assert_eq!(changed("a\nb", &[(3..3, "\nc")]), [pair("b", "b\nc")],);
        assert_eq!(changed("", &[(0..0, "c")]), [pair("", "c")]);
        assert_eq!(changed("c", &[(0..1, "")]), [pair("c", "")]);
    }
}
