//! Which paths a batch may not name, told without a look at the disk: protected ones, and those
//! that may be one file.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::{Entry as TreeEntry, Policy, Tree};
use crate::error::{Code, Hint, Refusal};
use crate::operation::{Action, Batch, Coordinates, Operation};
use crate::path::RelPath;

/// The operations that are refused for their paths, by index; the first reason of each.
///
/// `PATH_PROTECTED` for a path that the policy does not open; `PATH_COLLISION` where a path equals
/// another of the batch but for case or Unicode normalisation, or would be a file and a directory
/// at once.
pub(crate) fn refusals(batch: &Batch, policy: &Policy) -> Vec<(usize, Refusal)> {
    let mut refused: Vec<(usize, Refusal)> = Vec::new();
    let mut last: Option<&RelPath> = None;
    let mut single = true;
    for (index, operation) in placed(batch) {
        for path in named(operation) {
            if last == Some(path) {
                // Neighbours mostly share a file. What was refused for it is refused again.
                if let Some((at, refusal)) = refused.last()
                    && *at + 1 == index
                    && refusal.code == Code::PathProtected
                {
                    let refusal = refusal.clone();
                    refused.push((index, refusal));
                }
                continue;
            }
            single &= last.is_none();
            last = Some(path);
            if let Some(refusal) = protected(path, policy)
                && refused.last().is_none_or(|(at, _)| *at != index)
            {
                refused.push((index, refusal));
            }
        }
    }
    if !single {
        collisions(batch, &mut refused);
    }
    refused
}

/// The refusal of a path that only the operator can open, unless they did.
pub(crate) fn protected(path: &RelPath, policy: &Policy) -> Option<Refusal> {
    let why = match path.protected_component() {
        Some(component) => {
            let component = String::from_utf8_lossy(component);
            format!("by {component:?} in its path")
        }
        None => format!(
            "by the operator's pattern {:?}",
            policy.protect.covering(path)?
        ),
    };
    closed(path, &why, policy)
}

/// The refusal of a path that is protected in this way, unless the operator opened it.
pub(super) fn closed(path: &RelPath, why: &str, policy: &Policy) -> Option<Refusal> {
    if policy.allow_paths.iter().any(|open| covers(open, path)) {
        return None;
    }
    let message = format!("{path} is protected {why}; only the operator can open it");
    let refusal = Refusal::new(Code::PathProtected, message);
    Some(refusal.with_hint(Hint::AllowPath).in_file(path))
}

/// The operations that would create a file of an odd name, by index; see [`RelPath::oddity`].
///
/// A file that exists may be edited, whatever its name is.
pub(super) fn odd_names(batch: &Batch, tree: &Tree, policy: &Policy) -> Vec<(usize, Refusal)> {
    if policy.allow_odd_names {
        return Vec::new();
    }
    let created = |operation: &'_ Operation| match &operation.action {
        Action::CreateFile { .. } => Some(operation.file.clone()),
        Action::RenameFile { to } | Action::CopyFile { to } => Some(to.clone()),
        _ => None,
    };
    let odd = placed(batch).filter_map(|(index, operation)| {
        let path = created(operation).filter(|_| !operation.exact_name)?;
        let oddity = path.oddity()?;
        matches!(tree.get(&path), TreeEntry::Absent).then(|| (index, oddity.refusal(&path)))
    });
    odd.collect()
}

/// Whether `path` is `open` or lies below it.
fn covers(open: &RelPath, path: &RelPath) -> bool {
    path.as_bytes()
        .strip_prefix(open.as_bytes())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// A path with the operations in a row that name it and no other.
struct Run<'a> {
    operations: Range<usize>,
    path: &'a RelPath,
    key: Vec<u8>,
}

fn runs(batch: &Batch) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for (index, operation) in placed(batch) {
        for path in named(operation) {
            match runs.last_mut() {
                Some(run) if run.path == path => run.operations.end = index + 1,
                _ => runs.push(Run {
                    operations: index..index + 1,
                    path,
                    key: path.collision_key(),
                }),
            }
        }
    }
    runs
}

fn collisions(batch: &Batch, refused: &mut Vec<(usize, Refusal)>) {
    let runs = runs(batch);
    let mut known: HashMap<&[u8], &RelPath> = HashMap::with_capacity(runs.len());
    let mut clashes: Vec<(usize, Refusal)> = Vec::new();
    let mut clash = |run: &Run<'_>, why: String| {
        let operations = run.operations.clone();
        clashes.extend(operations.map(|index| (index, collision(run.path, &why))));
    };
    for run in &runs {
        match known.entry(&run.key) {
            Entry::Vacant(entry) => {
                entry.insert(run.path);
            }
            Entry::Occupied(entry) if *entry.get() == run.path => {}
            Entry::Occupied(entry) => {
                clash(run, format!("and {} may be one file", entry.get()));
            }
        }
    }
    let mut leaving = Leaving::default();
    // The last directory that is no file of the batch, nor below one: neighbours mostly share it.
    let mut free: &[u8] = b"";
    for run in &runs {
        let directory = &run.key[..crate::bytes::rfind(b'/', &run.key).unwrap_or(0)];
        if directory == free {
            continue;
        }
        let slashes = crate::bytes::positions(b'/', &run.key);
        let mut files_above = slashes
            .filter_map(|at| known.get(&run.key[..at]))
            .peekable();
        if files_above.peek().is_none() {
            free = directory;
        }
        if let Some(above) =
            files_above.find(|above| !leaving.of(batch).keeps_apart(above, run.path))
        {
            clash(
                run,
                format!("cannot be below {above}, which the batch names as a file"),
            );
        }
    }
    if clashes.is_empty() {
        return;
    }
    refused.extend(clashes);
    refused.sort_by_key(|(index, _)| *index);
    refused.dedup_by_key(|(index, _)| *index);
}

/// The paths that a batch takes files from and puts no others at; found out at the first need.
#[derive(Default)]
struct Leaving<'a>(Option<HashSet<&'a RelPath>>);

impl<'a> Leaving<'a> {
    fn of(&mut self, batch: &'a Batch) -> &Self {
        // In sequence a path is what the operations before left there.
        let find = || {
            let mut leaving = HashSet::new();
            if batch.coordinates == Coordinates::Original {
                for (_, operation) in placed(batch) {
                    if matches!(
                        operation.action,
                        Action::DeleteFile { .. } | Action::RenameFile { .. }
                    ) {
                        leaving.insert(&operation.file);
                    }
                }
            }
            for (_, operation) in placed(batch) {
                match &operation.action {
                    Action::CreateFile { .. } => leaving.remove(&operation.file),
                    Action::RenameFile { to } | Action::CopyFile { to } => leaving.remove(to),
                    _ => false,
                };
            }
            leaving
        };
        self.0.get_or_insert_with(find);
        self
    }

    /// Whether a file and one below its path do not meet, since one goes before the other comes.
    fn keeps_apart(&self, above: &RelPath, path: &RelPath) -> bool {
        let goes = |path| {
            self.0
                .as_ref()
                .is_some_and(|leaving| leaving.contains(path))
        };
        path.lies_below(above) && (goes(above) || goes(path))
    }
}

fn collision(path: &RelPath, why: &str) -> Refusal {
    Refusal::new(
        Code::PathCollision,
        format!("{path} {why}; use one spelling of each path"),
    )
    .in_file(path)
}

fn placed(batch: &Batch) -> impl Iterator<Item = (usize, &Operation)> {
    let operations = batch.operations.iter().enumerate();
    operations.filter(|(_, operation)| operation.reading.spelled.is_none())
}

fn named(operation: &Operation) -> impl Iterator<Item = &RelPath> {
    let to = match &operation.action {
        Action::RenameFile { to } | Action::CopyFile { to } => Some(to),
        _ => None,
    };
    std::iter::once(&operation.file).chain(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::operation::Lines;

    fn batch(paths: &[&str]) -> Batch {
        let operations = paths.iter().map(|path| {
            let (file, to) = path.split_once("->").unwrap_or((path, ""));
            let file = RelPath::new(file).unwrap();
            match RelPath::new(to) {
                Ok(to) => Operation::new(file, Action::RenameFile { to }),
                Err(_) => Operation::new(file, Action::Append(Lines::new("x"))),
            }
        });
        Batch::new(operations.collect(), Digest::of(b""))
    }

    fn refused(paths: &[&str], open: &[&str]) -> Vec<(usize, Code)> {
        let policy = Policy {
            allow_paths: open.iter().map(|p| RelPath::new(p).unwrap()).collect(),
            ..Policy::default()
        };
        let refusals = refusals(&batch(paths), &policy);
        refusals.into_iter().map(|(at, r)| (at, r.code)).collect()
    }

    #[test]
    fn r19_protected_paths_are_refused_unless_the_operator_opened_them() {
        use Code::PathProtected as P;
        assert_eq!(refused(&["a", ".git/x", ".git/x"], &[]), [(1, P), (2, P)]);
        assert_eq!(refused(&["a->sub/.GIT/x"], &[]), [(0, P)]);
        assert_eq!(refused(&[".vscode/a", ".vscodex"], &[".vscode"]), []);
        assert_eq!(refused(&[".vscode/a"], &[".vscode/b"]), [(0, P)]);
        assert_eq!(
            refused(&[".envrc", ".envrc", "b", ".envrc"], &[]),
            [(0, P), (1, P), (3, P)]
        );
    }

    #[test]
    fn r20_two_spellings_of_one_file_are_refused() {
        use Code::PathCollision as C;
        assert_eq!(refused(&["a", "A"], &[]), [(1, C)]);
        assert_eq!(refused(&["caf\u{e9}", "x", "cafe\u{301}"], &[]), [(2, C)]);
        assert_eq!(refused(&["readme->README"], &[]), [(0, C)]);
        assert_eq!(refused(&["a", "b", "a", "./a"], &[]), []);
    }

    #[test]
    fn a_file_may_become_a_directory_and_a_directory_a_file() {
        assert_eq!(refused(&["a->a/b"], &[]), []);
        assert_eq!(refused(&["a/b->a"], &[]), []);
        assert_eq!(refused(&["a->x", "y->a/b/c"], &[]), []);
    }

    #[test]
    fn r20_a_path_cannot_be_a_file_and_a_directory() {
        use Code::PathCollision as C;
        assert_eq!(refused(&["a/b/c", "a-b", "a"], &[]), [(0, C)]);
        assert_eq!(refused(&["a/b", "a/c"], &[]), []);
        assert_eq!(refused(&["x->a", "a/b"], &[]), [(1, C)]);
        assert_eq!(refused(&["x->a", "y->a/b"], &[]), [(1, C)]);
        assert_eq!(refused(&["a->x", "y->A/b"], &[]), [(1, C)]);
    }
}
