//! Which comment of a file belongs to which placeholder.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::comment::{self, CommentKind, Existing};
use super::injected::checksum;
use super::mark::Wish;

/// Where a comment is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Right above the line that it should stand above.
    Above,
    /// In the whole file: something may have come between.
    Anywhere,
}

/// What a comment says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    Wanted,
    Older,
}

/// The comments of a file, and which of them are somebody's already.
pub(super) struct Claims<'a> {
    existing: &'a [Existing],
    /// The words of each, in as many lines as it has by its layout.
    words: Vec<String>,
    taken: Vec<bool>,
    /// By checksum: the comments that may have it, in their order, and where they end then.
    by_sum: HashMap<String, Vec<(usize, usize)>>,
    /// What each wish got.
    pub(super) spans: Vec<Option<(Range<usize>, Says)>>,
}

impl<'a> Claims<'a> {
    pub(super) fn new(bytes: &[u8], existing: &'a [Existing], wishes: usize) -> Self {
        let mut by_sum: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
        let mut words = Vec::with_capacity(existing.len());
        for (index, existing) in existing.iter().enumerate() {
            let forms = existing.forms(bytes);
            for form in forms.iter() {
                for sum in &form.sums {
                    let sum = by_sum.entry(sum.clone()).or_default();
                    if sum.last().is_none_or(|(last, _)| *last != index) {
                        sum.push((index, form.end));
                    }
                }
            }
            words.push(forms.words().to_owned());
        }
        Self {
            existing,
            words,
            taken: vec![false; existing.len()],
            by_sum,
            spans: vec![None; wishes],
        }
    }

    /// Gives a wish that has none yet a comment with one of these checksums, the nearest above if
    /// it is looked for anywhere.
    pub(super) fn claim<'s>(
        &mut self,
        index: usize,
        wish: &Wish<'_>,
        reach: Reach,
        sums: impl Iterator<Item = &'s str>,
        says: Says,
    ) {
        if self.spans[index].is_some() || self.existing.is_empty() {
            return;
        }
        for sum in sums {
            let Some(of_sum) = self.by_sum.get_mut(sum) else {
                continue;
            };
            let taken = &self.taken;
            of_sum.retain(|(index, _)| !taken[*index]);
            let is_kind = |(index, _): &&(usize, usize)| self.existing[*index].kind == wish.kind;
            let found = match reach {
                Reach::Above => {
                    let from = of_sum.partition_point(|(index, _)| *index < wish.site.above.start);
                    let here = of_sum[from..].iter();
                    here.take_while(|(index, _)| *index < wish.site.above.end)
                        .find(is_kind)
                }
                Reach::Anywhere => {
                    let middle = of_sum.partition_point(|(index, _)| *index < wish.site.above.end);
                    let above = of_sum[..middle].iter().rev();
                    above.chain(&of_sum[middle..]).find(is_kind)
                }
            };
            if let Some(&(found, end)) = found {
                self.taken[found] = true;
                let start = self.existing[found].span().start;
                self.spans[index] = Some((start..end, says));
                return;
            }
        }
    }

    /// Gives a wish for a task the comment above that names another: it says by itself that nobody
    /// edited it.
    pub(super) fn claim_task(&mut self, index: usize, wish: &Wish<'_>, known: &HashSet<&str>) {
        if self.spans[index].is_some() || wish.kind != CommentKind::Task {
            return;
        }
        let found = wish.site.above.clone().rev().find(|&other| {
            !self.taken[other]
                && self.existing[other].kind == CommentKind::Task
                && comment::task_of(&self.words[other]).is_some_and(|(task, name)| {
                    !task.contains(char::is_whitespace) && name.is_none_or(|name| name == wish.id)
                })
                && !known.contains(checksum(&self.words[other]).as_str())
        });
        if let Some(found) = found {
            self.taken[found] = true;
            self.spans[index] = Some((self.existing[found].span(), Says::Older));
        }
    }

    /// The comment above that looks like ours and is nobody's.
    pub(super) fn claim_foreign(
        &mut self,
        wish: &Wish<'_>,
        known: &HashSet<&str>,
        ids: &HashSet<&str>,
    ) -> Option<Range<usize>> {
        let found = wish.site.above.clone().rev().find(|&other| {
            let words = &self.words[other];
            !self.taken[other]
                && self.existing[other].kind == wish.kind
                && comment::name_of(words).is_none_or(|name| name == wish.id || !ids.contains(name))
                && !known.contains(checksum(words).as_str())
        })?;
        self.taken[found] = true;
        Some(self.existing[found].span())
    }
}
