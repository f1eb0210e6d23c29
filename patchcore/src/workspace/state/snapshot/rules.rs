//! What git ignores in the directories of a walk.

use std::path::Path;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::tracked::Tracked;
use crate::path::RelPath;

/// The rules of one directory, and by `above` those of the directories it lies in.
///
/// Two sets stand side by side: a path is left out if either says so. The rules of an earlier
/// snapshot keep what it left out from looking like a new file when the rules were changed since.
#[derive(Debug, Default)]
pub(super) struct Rules {
    now: Option<Gitignore>,
    earlier: Option<Gitignore>,
    /// Of the repository in this directory.
    tracked: Option<(Option<RelPath>, Tracked)>,
    above: Option<Arc<Rules>>,
}

impl Rules {
    /// The rules in a directory, from those above it and the bytes of its ignore files; `None` stands
    /// for the root.
    pub(super) fn below(
        above: &Arc<Self>,
        directory: Option<&RelPath>,
        now: &[Vec<u8>],
        earlier: &[Vec<u8>],
        tracked: Option<Tracked>,
    ) -> Arc<Self> {
        if now.is_empty() && earlier.is_empty() && tracked.is_none() {
            return Arc::clone(above);
        }
        Arc::new(Self {
            now: matcher(directory, now),
            earlier: matcher(directory, earlier),
            tracked: tracked.map(|tracked| (directory.cloned(), tracked)),
            above: Some(Arc::clone(above)),
        })
    }

    pub(super) fn is_ignored(&self, path: &RelPath, is_dir: bool) -> bool {
        [true, false]
            .into_iter()
            .any(|now| self.says(path.as_path(), is_dir, now))
    }

    /// Whether the repository that a path lies in tracks it, or something below it.
    pub(super) fn is_tracked(&self, path: &RelPath) -> bool {
        let rules = std::iter::successors(Some(self), |rules| rules.above.as_deref());
        let mut tracked = rules.filter_map(|rules| rules.tracked.as_ref());
        (tracked.next()).is_some_and(|(repository, tracked)| tracked.has(repository.as_ref(), path))
    }

    /// The nearest rule that matches decides.
    fn says(&self, path: &Path, is_dir: bool, now: bool) -> bool {
        let mut rules = Some(self);
        while let Some(here) = rules {
            let matcher = if now { &here.now } else { &here.earlier };
            match matcher.as_ref().map(|it| it.matched(path, is_dir)) {
                Some(Match::Ignore(_)) => return true,
                Some(Match::Whitelist(_)) => return false,
                _ => rules = here.above.as_deref(),
            }
        }
        false
    }
}

fn matcher(directory: Option<&RelPath>, files: &[Vec<u8>]) -> Option<Gitignore> {
    if files.is_empty() {
        return None;
    }
    let root = directory.map_or(Path::new(""), RelPath::as_path);
    let mut builder = GitignoreBuilder::new(root);
    for bytes in files {
        for line in String::from_utf8_lossy(bytes).lines() {
            // A line that is no rule is none for git, either.
            let _ = builder.add_line(None, line);
        }
    }
    builder.build().ok()
}
