//! Files that may be meant where a path does not exist.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use ignore::DirEntry;

use crate::error::{Code, Refusal, excerpt};
use crate::path::RelPath;
use crate::plan::{Plan, not_found};
use crate::workspace::read::walk::is_skipped;
use crate::workspace::root::Root;

/// Most refusals that get candidates: each costs a look into a directory.
const MOST: usize = 20;
/// Most entries of the tree that are looked at for files that end alike.
const WALKED: usize = 50_000;
/// Most files that are loaded because a patch speaks of them.
const CALLED: usize = 1_000;
/// Most candidates for a path.
const SHOWN: usize = 3;
/// Most bytes of the root's path that a refusal shows.
const MAX_ROOT: usize = 200;

/// Adds to refusals of files that do not exist the root that their paths start at, the files whose
/// paths end alike, and near names of the same directory.
pub(crate) fn add(root: &Root, top: &Path, plan: &mut Plan) {
    let verdicts = plan.verdicts.iter_mut();
    let refusals = verdicts.filter_map(|verdict| verdict.refusal.as_mut());
    let missing = refusals.filter(|refusal| is_bare(refusal));
    add_to(root, top, missing.map(Arc::make_mut));
}

/// As [`add`], to refusals wherever they are.
pub(crate) fn add_to<'r>(root: &Root, top: &Path, refusals: impl Iterator<Item = &'r mut Refusal>) {
    let missing = refusals.filter(|refusal| is_bare(refusal));
    let mut missing: Vec<_> = missing.take(MOST).collect();
    if missing.is_empty() {
        return;
    }
    let wanted: Vec<Vec<Vec<u8>>> = missing
        .iter()
        .map(|refusal| components(refusal.file.as_deref().unwrap_or_default().as_bytes()))
        .collect();
    let alike = ending_alike(top, &wanted);
    for (refusal, mut names) in missing.iter_mut().zip(alike) {
        name_root(refusal, top);
        if let Some(Ok(path)) = refusal.file.as_deref().map(RelPath::new) {
            for name in near(root, &path) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        for name in names.into_iter().take(SHOWN) {
            **refusal = refusal.clone().with_candidate(None, &name);
        }
    }
}

/// Whether it is the refusal of a missing file for which nothing else is named yet.
fn is_bare(refusal: &Refusal) -> bool {
    refusal.code == Code::FileNotFound && refusal.candidates.is_empty()
}

/// Says where the path of a missing file starts.
fn name_root(refusal: &mut Refusal, top: &Path) {
    let path = refusal.file.as_deref().map(RelPath::new);
    if let Some(Ok(path)) = path
        && refusal.message == not_found(&path).message
    {
        let root = excerpt(top.as_os_str().as_bytes(), MAX_ROOT);
        refusal.message = format!("{path} does not exist in the root {root}; check its name");
    }
}

/// The components of a path in lower case, whatever separates them, without what may quote it.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let quotes: &[u8] = b"\"'`<> ";
    let start = path.iter().position(|byte| !quotes.contains(byte));
    let end = path.iter().rposition(|byte| !quotes.contains(byte));
    let (Some(start), Some(end)) = (start, end) else {
        return Vec::new();
    };
    path[start..=end]
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_ascii_lowercase)
        .collect()
}

/// For each wanted path the files below the top that share its last component, best first: those
/// that share most of the components above it, then the shortest. That a directory cannot be listed
/// only costs a hint.
fn ending_alike(top: &Path, wanted: &[Vec<Vec<u8>>]) -> Vec<Vec<Vec<u8>>> {
    let mut found: Vec<Vec<(usize, usize, Vec<u8>)>> = vec![Vec::new(); wanted.len()];
    for entry in walk(top) {
        let name = entry.file_name().as_bytes().to_ascii_lowercase();
        for (wanted, found) in wanted.iter().zip(&mut found) {
            if wanted.last() != Some(&name) {
                continue;
            }
            let Ok(path) = entry.path().strip_prefix(top) else {
                continue;
            };
            let path = path.as_os_str().as_bytes();
            let own = components(path);
            let pairs = own.iter().rev().zip(wanted.iter().rev());
            let shared = pairs.take_while(|(own, wanted)| own == wanted).count();
            found.push((wanted.len() - shared, path.len(), path.to_vec()));
        }
    }
    let paths = found.into_iter().map(|mut found| {
        found.sort();
        found
            .into_iter()
            .take(SHOWN)
            .map(|(.., path)| path)
            .collect()
    });
    paths.collect()
}

/// The files below the top whose paths are one of some names, or end in it. That a directory cannot
/// be listed leaves files out.
pub(crate) fn called(top: &Path, names: &[RelPath]) -> Vec<RelPath> {
    if names.is_empty() {
        return Vec::new();
    }
    let last: HashSet<&[u8]> = names.iter().map(RelPath::file_name).collect();
    let is_called = |path: &RelPath| {
        let mut ends = names
            .iter()
            .map(|name| path.as_bytes().strip_suffix(name.as_bytes()));
        ends.any(|above| above.is_some_and(|above| above.is_empty() || above.ends_with(b"/")))
    };
    let files = walk(top).filter(|entry| last.contains(entry.file_name().as_bytes()));
    let paths = files.filter_map(|entry| {
        let path = entry.path().strip_prefix(top).ok()?;
        RelPath::new(path.as_os_str().as_bytes()).ok()
    });
    paths.filter(is_called).take(CALLED).collect()
}

/// The files below the top, as many as are looked at.
fn walk(top: &Path) -> impl Iterator<Item = DirEntry> {
    let walk = ignore::WalkBuilder::new(top)
        .standard_filters(false)
        .follow_links(false)
        .filter_entry(|entry| !is_skipped(entry))
        .build();
    let is_file = |entry: &DirEntry| entry.file_type().is_some_and(|kind| kind.is_file());
    walk.take(WALKED).flatten().filter(is_file)
}

/// The nearest names, best first. That a directory cannot be listed only costs a hint.
fn near(root: &Root, path: &RelPath) -> Vec<Vec<u8>> {
    let parent = path.parent();
    let names = root
        .directory(parent.as_ref())
        .and_then(|dir| dir.names())
        .unwrap_or_default();
    let folded = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
    let wanted = folded(path.file_name());
    let bound = (wanted.len() / 3).max(2);
    let mut ranked: Vec<(usize, Vec<u8>)> = names
        .into_iter()
        .take(10_000)
        .filter(|name| name.len().abs_diff(wanted.len()) <= bound)
        .map(|name| (strsim::osa_distance(&wanted, &folded(&name)), name))
        .filter(|(distance, _)| *distance <= bound)
        .collect();
    ranked.sort();
    let full = |name: Vec<u8>| match &parent {
        Some(parent) => [parent.as_bytes(), b"/", &name].concat(),
        None => name,
    };
    ranked
        .into_iter()
        .take(SHOWN)
        .map(|(_, name)| full(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_end_alike_are_found_however_the_path_is_spelt() {
        let top = std::env::temp_dir().join(format!("near-names-{}", std::process::id()));
        std::fs::create_dir_all(top.join("src/.git")).unwrap();
        std::fs::create_dir_all(top.join("lib/src")).unwrap();
        for file in ["src/f.ts", "lib/src/f.ts", "f.rs", "src/.git/f.ts"] {
            std::fs::write(top.join(file), "").unwrap();
        }
        for wanted in ["src\\f.ts", "a/src/f.ts", "\"src/f.ts\"", "F.ts"] {
            let found = ending_alike(&top, &[components(wanted.as_bytes())]);
            assert_eq!(
                found,
                [[b"src/f.ts".to_vec(), b"lib/src/f.ts".to_vec()]],
                "{wanted}"
            );
        }
        assert_eq!(
            ending_alike(&top, &[components(b"g.ts")]),
            [Vec::<Vec<u8>>::new()]
        );
        std::fs::remove_dir_all(top).unwrap();
    }
}
