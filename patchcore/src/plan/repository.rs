//! Directories that git would take for a repository, and whose settings it would follow: `HEAD`,
//! `objects` and `refs` side by side, under whatever name.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{ChangeKind, FileChange, Policy, paths};
use crate::error::Refusal;
use crate::path::RelPath;

const HEAD: &str = "head";
const OBJECTS: &str = "objects";
const REFS: &str = "refs";
/// Names the directory that has objects and refs instead.
const COMMON: &str = "commondir";
/// What makes a repository, and what git follows in one. A batch that names none of these neither
/// makes one nor changes what it does.
const NAMES: [&str; 10] = [
    HEAD,
    OBJECTS,
    REFS,
    COMMON,
    "config",
    "config.worktree",
    "hooks",
    "info",
    "modules",
    "worktrees",
];

/// The components of a path that a repository has, each with what is above it.
fn names_in(path: &RelPath) -> impl Iterator<Item = (&[u8], &'static str)> {
    let mut start = 0;
    path.components().filter_map(move |component| {
        let directory = &path.as_bytes()[..start];
        start += component.len() + 1;
        let mut names = NAMES.iter();
        let name = names.find(|name| component.eq_ignore_ascii_case(name.as_bytes()))?;
        Some((directory, *name))
    })
}

/// The operations that put something into a directory which git would then take for a repository.
/// The root is the operator's choice: one that was a repository before may stay one.
///
/// # Errors
/// Those of `stands`, which tells whether anything stands at a path that the batch leaves alone.
pub(super) fn refusals<E>(
    changes: &[FileChange],
    policy: &Policy,
    mut stands: impl FnMut(&RelPath) -> Result<bool, E>,
) -> Result<Vec<(usize, Refusal)>, E> {
    // The names that the batch puts into each directory, and who is the first to.
    let mut brought: BTreeMap<Vec<u8>, HashSet<&'static str>> = BTreeMap::new();
    let mut touching: HashMap<Vec<u8>, Vec<(usize, &RelPath)>> = HashMap::new();
    let mut gone: HashSet<&RelPath> = HashSet::new();
    for change in changes {
        if let (ChangeKind::Renamed, Some(from)) = (change.kind, &change.from) {
            gone.insert(from);
        }
        if change.after.is_none() {
            gone.insert(&change.path);
            continue;
        }
        for (directory, name) in names_in(&change.path) {
            let operation = change.touches.first().map(|touch| touch.operation);
            let touching = touching.entry(directory.to_vec()).or_default();
            touching.extend(operation.map(|operation| (operation, &change.path)));
            brought.entry(directory.to_vec()).or_default().insert(name);
        }
    }
    let mut refused = Vec::new();
    for (directory, names) in &brought {
        let mut has = |name: &'static str, before: bool| -> Result<bool, E> {
            if !before && names.contains(name) {
                return Ok(true);
            }
            let spelt = if name == HEAD { "HEAD" } else { name };
            match RelPath::new([&**directory, spelt.as_bytes()].concat()) {
                Ok(path) => Ok((before || !gone.contains(&path)) && stands(&path)?),
                Err(_) => Ok(false),
            }
        };
        let mut is_repository = |before: bool| -> Result<bool, E> {
            Ok(has(HEAD, before)?
                && (has(COMMON, before)? || has(OBJECTS, before)? && has(REFS, before)?))
        };
        if !is_repository(false)? || directory.is_empty() && is_repository(true)? {
            continue;
        }
        let shown = match String::from_utf8_lossy(directory).trim_end_matches('/') {
            "" => "the root".to_owned(),
            shown => shown.to_owned(),
        };
        let why = format!("since git would take {shown} for a repository");
        for (operation, path) in &touching[directory] {
            refused.extend(paths::closed(path, &why, policy).map(|refusal| (*operation, refusal)));
        }
    }
    Ok(refused)
}
