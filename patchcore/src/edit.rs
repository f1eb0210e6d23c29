//! Edits as values: a byte range and what replaces it.
//!
//! An [`EditSet`] is sorted and disjoint over an untouched original. That is checked once, where
//! the set is made; every later stage relies on it.

use std::ops::Range;

/// One replacement: the bytes of `span` give way to `text`.
///
/// An empty span inserts, an empty text deletes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Byte range in the original.
    pub span: Range<usize>,
    /// The bytes that stand there afterwards.
    pub text: Vec<u8>,
}

impl Edit {
    /// Replaces a byte range.
    #[must_use]
    pub fn replace(span: Range<usize>, text: impl Into<Vec<u8>>) -> Self {
        Self {
            span,
            text: text.into(),
        }
    }

    /// Inserts at a byte offset.
    #[must_use]
    pub fn insert(at: usize, text: impl Into<Vec<u8>>) -> Self {
        Self::replace(at..at, text)
    }

    /// Deletes a byte range.
    #[must_use]
    pub fn delete(span: Range<usize>) -> Self {
        Self::replace(span, Vec::new())
    }
}

/// Why edits do not form an [`EditSet`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Two edits claim the same bytes, or an insertion lies inside a replaced range.
    #[error("edits {first} and {second} overlap")]
    Overlap {
        /// Index of the edit that starts first, in the order given.
        first: usize,
        /// Index of the other.
        second: usize,
    },
    /// A span ends before it starts, or beyond the original.
    #[error("edit {index} spans {start}..{end} of {len} bytes")]
    OutOfBounds {
        /// Index in the order given.
        index: usize,
        /// Start of the span.
        start: usize,
        /// End of the span.
        end: usize,
        /// Length of the original, in bytes.
        len: usize,
    },
}

/// To which side of an insertion a position at its very point belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// Before what is inserted there.
    Before,
    /// Behind what is inserted there.
    After,
}

/// Sorted, disjoint edits of one original.
///
/// Insertions at one point keep the order in which they were given, and go before a replacement
/// that starts there.
///
/// ```
/// use patchcore::edit::{Edit, EditSet};
/// let set = EditSet::new(vec![Edit::insert(6, "new "), Edit::replace(0..5, "Hi,")], 11)?;
/// assert_eq!(set.apply(b"Hello world"), b"Hi, new world");
/// # Ok::<(), patchcore::edit::EditError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EditSet {
    edits: Vec<Edit>,
}

impl EditSet {
    /// Sorts edits and checks that they are disjoint; `len` is the length of the original in bytes.
    ///
    /// # Errors
    /// [`EditError`] names the first edits at fault by their index in `edits`.
    pub fn new(edits: Vec<Edit>, len: usize) -> Result<Self, EditError> {
        for (index, Edit { span, .. }) in edits.iter().enumerate() {
            if span.start > span.end || span.end > len {
                let (start, end) = (span.start, span.end);
                return Err(EditError::OutOfBounds {
                    index,
                    start,
                    end,
                    len,
                });
            }
        }
        if edits.is_sorted_by(|a, b| {
            a.span.end <= b.span.start && (a.span.start, a.span.end) <= (b.span.start, b.span.end)
        }) {
            return Ok(Self { edits });
        }
        let mut order: Vec<usize> = (0..edits.len()).collect();
        order.sort_by_key(|&i| (edits[i].span.start, edits[i].span.end));
        for pair in order.windows(2) {
            if edits[pair[0]].span.end > edits[pair[1]].span.start {
                return Err(EditError::Overlap {
                    first: pair[0],
                    second: pair[1],
                });
            }
        }
        let mut slots: Vec<Option<Edit>> = edits.into_iter().map(Some).collect();
        let edits = order.iter().filter_map(|&i| slots[i].take()).collect();
        Ok(Self { edits })
    }

    /// The edits from the start of the original to its end.
    #[must_use]
    pub fn as_slice(&self) -> &[Edit] {
        &self.edits
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Length of the result in bytes, for an original of `len` bytes.
    #[must_use]
    pub fn output_len(&self, len: usize) -> usize {
        let added: usize = self.edits.iter().map(|edit| edit.text.len()).sum();
        let removed: usize = self.edits.iter().map(|edit| edit.span.len()).sum();
        len + added - removed
    }

    /// The result as pieces of the original and of the edits, none of them empty.
    ///
    /// `source` is the original that the set was made for.
    pub fn chunks<'a>(&'a self, source: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let mut at = 0;
        let kept_and_new = self.edits.iter().flat_map(move |edit| {
            let kept = &source[at..edit.span.start];
            at = edit.span.end;
            [kept, &edit.text]
        });
        let tail = self.edits.last().map_or(0, |edit| edit.span.end);
        kept_and_new
            .chain([&source[tail..]])
            .filter(|chunk| !chunk.is_empty())
    }

    /// The result in one buffer.
    #[must_use]
    pub fn apply(&self, source: &[u8]) -> Vec<u8> {
        let mut result = Vec::with_capacity(self.output_len(source.len()));
        self.chunks(source)
            .for_each(|chunk| result.extend_from_slice(chunk));
        result
    }

    /// Whether the result is `source` again, however many edits lead there.
    #[must_use]
    pub fn is_noop(&self, source: &[u8]) -> bool {
        let mut at = 0;
        self.output_len(source.len()) == source.len()
            && self.chunks(source).all(|chunk| {
                let there = &source[at..at + chunk.len()];
                at += chunk.len();
                // What keeps its place need not be looked at.
                std::ptr::eq(chunk, there) || chunk == there
            })
    }

    /// The edits that lead from the result back to `source`.
    #[must_use]
    pub fn invert(&self, source: &[u8]) -> Self {
        let mut shift = 0isize;
        let edits = self.edits.iter().map(|edit| {
            let start = edit.span.start.wrapping_add_signed(shift);
            shift += edit.text.len() as isize - edit.span.len() as isize;
            Edit::replace(start..start + edit.text.len(), &source[edit.span.clone()])
        });
        Self {
            edits: edits.collect(),
        }
    }

    /// One set that does what this set and then `later`, a set over this one's result, do.
    ///
    /// An edit of `later` that touches what this set wrote is merged with it.
    #[must_use]
    pub fn compose(&self, later: &EditSet) -> Self {
        let mut out: Vec<Edit> = Vec::with_capacity(self.edits.len() + later.edits.len());
        let mut first = self.edits.iter().peekable();
        let mut second = later.edits.iter().peekable();
        // How far a position of the intermediate text lies behind the same one of the original.
        let mut shift = 0isize;
        while let Some(next) = second.peek() {
            match first.peek() {
                // Untouched by `later`: it ends before the next edit starts.
                Some(edit)
                    if edit.span.start.wrapping_add_signed(shift) + edit.text.len()
                        < next.span.start =>
                {
                    shift += edit.text.len() as isize - edit.span.len() as isize;
                    out.extend(first.next().cloned());
                }
                // The next edit of `later` ends before the next edit of this set starts.
                Some(edit) if next.span.end < edit.span.start.wrapping_add_signed(shift) => {
                    out.push(shifted_back(next, shift));
                    second.next();
                }
                None => {
                    out.push(shifted_back(next, shift));
                    second.next();
                }
                Some(_) => out.push(merge_cluster(&mut first, &mut second, &mut shift)),
            }
        }
        out.extend(first.cloned());
        Self { edits: out }
    }

    /// Where a byte offset of the original lies in the result; `None` inside a replaced range.
    #[must_use]
    pub fn map(&self, offset: usize, bias: Bias) -> Option<usize> {
        self.map_all(std::iter::once(offset), bias).next().flatten()
    }

    /// As [`map`](Self::map), for offsets in ascending order, in one pass over the edits.
    pub(crate) fn map_all(
        &self,
        offsets: impl Iterator<Item = usize>,
        bias: Bias,
    ) -> impl Iterator<Item = Option<usize>> {
        let mut edits = self.edits.iter().peekable();
        let mut shift = 0isize;
        offsets.map(move |offset| {
            while let Some(Edit { span, text }) = edits.peek() {
                let behind = span.end < offset
                    || (span.end == offset && (!span.is_empty() || bias == Bias::After));
                if !behind {
                    if span.start < offset {
                        return None;
                    }
                    break;
                }
                shift += text.len() as isize - span.len() as isize;
                edits.next();
            }
            Some(offset.wrapping_add_signed(shift))
        })
    }

    /// The edits, sorted.
    pub(crate) fn into_vec(self) -> Vec<Edit> {
        self.edits
    }
}

fn shifted_back(edit: &Edit, shift: isize) -> Edit {
    let start = edit.span.start.wrapping_add_signed(-shift);
    Edit::replace(start..start + edit.span.len(), edit.text.clone())
}

/// Merges the edits of two layers that touch one another into one edit of the original.
fn merge_cluster<'a>(
    first: &mut std::iter::Peekable<impl Iterator<Item = &'a Edit>>,
    second: &mut std::iter::Peekable<impl Iterator<Item = &'a Edit>>,
    shift: &mut isize,
) -> Edit {
    // The cluster's extent in the intermediate text, and the edits of both layers in it.
    let mut lower: Vec<(usize, &Edit)> = Vec::new();
    let mut upper: Vec<&Edit> = Vec::new();
    let entry_shift = *shift;
    let (mut start, mut end) = (usize::MAX, 0);
    loop {
        let mut grown = false;
        if let Some(edit) = first.peek() {
            let at = edit.span.start.wrapping_add_signed(*shift);
            if upper.is_empty() && lower.is_empty() || at <= end {
                (start, end) = (start.min(at), end.max(at + edit.text.len()));
                lower.push((at, edit));
                *shift += edit.text.len() as isize - edit.span.len() as isize;
                first.next();
                grown = true;
            }
        }
        if let Some(edit) = second.peek()
            && edit.span.start <= end
        {
            (start, end) = (start.min(edit.span.start), end.max(edit.span.end));
            upper.push(edit);
            second.next();
            grown = true;
        }
        if !grown {
            break;
        }
    }
    let text = merged_text(&lower, &upper, start..end);
    let original_start = start.wrapping_add_signed(-entry_shift);
    let original_end = end.wrapping_add_signed(-*shift);
    Edit::replace(original_start..original_end, text)
}

/// What two layers of edits, each in order, make of an extent of the text between them.
///
/// The extent holds nothing but what the lower edits wrote and what the upper edits replace:
///
/// ```text
/// lower    [wrote][wrote]   [wrote]
/// upper       [replaces........]
/// text     [kep   upper text   ept]
/// ```
///
/// Both come in order, so one pass takes what is kept of the lower edits between the upper ones.
fn merged_text(lower: &[(usize, &Edit)], upper: &[&Edit], extent: Range<usize>) -> Vec<u8> {
    let mut text = Vec::new();
    let mut rest = lower.iter().peekable();
    let mut keep = |text: &mut Vec<u8>, from: usize, to: usize| {
        while let Some((at, edit)) = rest.peek() {
            let (first, last) = (from.max(*at), to.min(at + edit.text.len()));
            if first < last {
                text.extend_from_slice(&edit.text[first - at..last - at]);
            }
            if at + edit.text.len() > to {
                break;
            }
            rest.next();
        }
    };
    let mut at = extent.start;
    for edit in upper {
        keep(&mut text, at, edit.span.start);
        text.extend_from_slice(&edit.text);
        at = edit.span.end;
    }
    keep(&mut text, at, extent.end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(edits: &[(Range<usize>, &str)], len: usize) -> EditSet {
        EditSet::new(
            edits
                .iter()
                .map(|(s, t)| Edit::replace(s.clone(), *t))
                .collect(),
            len,
        )
        .unwrap()
    }

    #[test]
    fn order_does_not_matter_but_insertions_at_one_point_keep_theirs() {
        let set = set(&[(3..3, "1"), (5..6, "X"), (3..3, "2"), (0..1, "")], 6);
        assert_eq!(set.apply(b"abcdef"), b"bc12deX");
        assert_eq!(set.output_len(6), 7);
    }

    #[test]
    fn overlaps_and_spans_out_of_bounds_are_named() {
        let edits = vec![Edit::delete(2..4), Edit::delete(0..3)];
        assert_eq!(
            EditSet::new(edits, 9),
            Err(EditError::Overlap {
                first: 1,
                second: 0
            })
        );
        let edits = vec![Edit::delete(2..4), Edit::insert(3, "x")];
        assert_eq!(
            EditSet::new(edits, 9),
            Err(EditError::Overlap {
                first: 0,
                second: 1
            })
        );
        assert!(EditSet::new(vec![Edit::delete(2..10)], 9).is_err());
    }

    #[test]
    fn edits_that_cancel_out_are_idle() {
        assert!(set(&[(1..2, ""), (3..3, "b")], 3).is_noop(b"abb"));
        assert!(set(&[(0..2, "ab")], 3).is_noop(b"abc"));
        assert!(!set(&[(1..2, ""), (3..3, "b")], 3).is_noop(b"abc"));
        assert!(!set(&[(3..3, "c")], 3).is_noop(b"abc"));
    }

    #[test]
    fn an_edge_of_a_replaced_range_maps_but_its_inside_does_not() {
        let set = set(&[(2..4, "xyz"), (6..6, "ii")], 8);
        assert_eq!(set.map(2, Bias::After), Some(2));
        assert_eq!(set.map(3, Bias::After), None);
        assert_eq!(set.map(4, Bias::After), Some(5));
        assert_eq!(set.map(6, Bias::Before), Some(7));
        assert_eq!(set.map(6, Bias::After), Some(9));
        for bias in [Bias::Before, Bias::After] {
            let one_by_one: Vec<_> = (0..=8).map(|at| set.map(at, bias)).collect();
            assert_eq!(set.map_all(0..=8, bias).collect::<Vec<_>>(), one_by_one);
        }
    }
}
