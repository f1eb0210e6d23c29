//! How many leading components the names of a diff carry that no file has: git's prefixes, or the
//! names of two trees.
//!
//! Git's prefixes are taken off wherever they stand, and other names are taken as they are. Where
//! that names a file that does not exist, the tree decides: one level at which all old files exist
//! and all hunks apply, and no other such level. A diff that only creates files proves no level.

use super::{Section, SectionKind, Unified, lower, names};
use crate::dialect::{Options, Unread};
use crate::diff::parse::ParsedFile;
use crate::digest::Digest;
use crate::error::{Hint, Refusal};
use crate::operation::{Action, Batch};
use crate::path::RelPath;
use crate::plan::{Entry, Lowered, Script, Tree};

/// The highest level that is tried.
const HIGHEST: usize = 4;

/// A diff, read at each level that its names may be meant at.
pub(in crate::dialect) struct Levels<'a> {
    guess: Result<Unified<'a>, Unread>,
    /// Other levels, with what the diff is at them.
    others: Vec<(usize, Unified<'a>)>,
}

/// Reads a diff at the level that its names or the options say, and at others if they say none.
pub(super) fn read<'a>(
    files: Vec<ParsedFile<'a>>,
    options: &Options,
    build: impl Fn(Vec<ParsedFile<'a>>, Option<usize>) -> Result<Unified<'a>, Unread>,
) -> Result<Levels<'a>, Unread> {
    let is_said = options.strip.is_some() || options.file.is_some() || options.strict;
    let others = if is_said || files.iter().all(names::has_prefixes) {
        Vec::new()
    } else {
        let levels = 0..=HIGHEST;
        levels
            .filter_map(|level| Some((level, build(files.clone(), Some(level)).ok()?)))
            .collect()
    };
    let guess = build(files, options.strip);
    match guess {
        Err(unread) if others.is_empty() => Err(unread),
        guess => Ok(Levels { guess, others }),
    }
}

impl Levels<'_> {
    /// The levels, beside the guess, at which all old files exist.
    fn existing(&self, tree: &Tree) -> Vec<&(usize, Unified<'_>)> {
        let exist = |(_, diff): &&(usize, Unified<'_>)| all_exist(diff, tree) == Some(true);
        self.others.iter().filter(exist).collect()
    }
}

impl Script for Levels<'_> {
    fn paths(&self) -> Vec<RelPath> {
        let others = self.others.iter().map(|(_, diff)| diff);
        let mut paths = Vec::new();
        for section in self
            .guess
            .iter()
            .chain(others)
            .flat_map(|diff| &diff.sections)
        {
            paths.extend([section.old.clone(), section.new.clone()]);
            paths.extend(section.other.clone());
        }
        // Diffs mostly come in this order, and then it costs next to nothing.
        paths.sort();
        paths.dedup();
        paths
    }

    fn content(&self) -> Option<Digest> {
        let others = self.others.iter().map(|(_, diff)| diff);
        self.guess
            .iter()
            .chain(others)
            .next()
            .map(|diff| diff.content)
    }

    fn lower(&self, tree: &Tree) -> Result<Lowered<'_>, Refusal> {
        if let Ok(guess) = &self.guess
            && (self.others.is_empty() || all_exist(guess, tree) != Some(false))
        {
            return Ok(lower::lower(guess, tree).into());
        }
        let existing = self.existing(tree);
        let mut fitting = Vec::new();
        for (level, diff) in &existing {
            let batch = lower::lower(diff, tree);
            if refusals(&batch).next().is_none() {
                fitting.push((*level, batch));
            }
        }
        if fitting.len() == 1 {
            let (level, mut batch) = fitting.swap_remove(0);
            for operation in &mut batch.operations {
                operation.add_note(format!(
                    "the file names of the patch are read without their first {level} components"
                ));
            }
            return Ok(batch.into());
        }
        let levels: Vec<String> = existing
            .iter()
            .map(|(level, _)| level.to_string())
            .collect();
        let explain = |refusal: &mut Refusal| {
            if !levels.is_empty() {
                refusal.hint = Some(Hint::Strip);
                refusal.message.push_str(&format!(
                    "; its old files exist with {} leading components removed",
                    levels.join(" or ")
                ));
            }
        };
        match &self.guess {
            Ok(guess) => {
                let mut batch = lower::lower(guess, tree);
                for operation in &mut batch.operations {
                    if let Action::Refused(refusal) = &mut operation.action {
                        explain(refusal);
                    }
                }
                Ok(batch.into())
            }
            Err(unread) => {
                let mut refusal = unread.refusal().clone();
                explain(&mut refusal);
                Err(refusal)
            }
        }
    }
}

fn refusals(batch: &Batch) -> impl Iterator<Item = &Refusal> {
    batch
        .operations
        .iter()
        .filter_map(|operation| match &operation.action {
            Action::Refused(refusal) => Some(&**refusal),
            _ => None,
        })
}

/// Whether all old files of a diff exist; `None` where it has none.
fn all_exist(diff: &Unified<'_>, tree: &Tree) -> Option<bool> {
    let made: Vec<&RelPath> = diff
        .sections
        .iter()
        .filter(|section| !matches!(section.kind, SectionKind::Modify | SectionKind::Delete))
        .map(|section| &section.new)
        .collect();
    let is_there =
        |path: &RelPath| !matches!(tree.get(path), Entry::Absent) || tree.link(path).is_some();
    let exists = |section: &Section<'_>| {
        is_there(&section.old)
            || section.other.as_ref().is_some_and(is_there)
            || made.contains(&&section.old)
            // A rename that has happened already.
            || (section.kind == SectionKind::Rename && is_there(&section.new))
    };
    let of_kinds = |wanted: fn(SectionKind) -> bool| {
        let sections = diff.sections.iter();
        sections.filter(move |section| wanted(section.kind))
    };
    let mut old =
        of_kinds(|kind| !matches!(kind, SectionKind::Create | SectionKind::ModifyOrCreate))
            .peekable();
    if old.peek().is_none() {
        // An empty file that gets lines proves a level as well as any, one that is missing none.
        let mut empty = of_kinds(|kind| kind == SectionKind::ModifyOrCreate).peekable();
        return (empty.peek().is_some() && empty.all(exists)).then_some(true);
    }
    Some(old.all(exists))
}
