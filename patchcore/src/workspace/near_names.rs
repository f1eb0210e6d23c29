//! Files that may be meant where a path does not exist.

use super::root::Root;
use crate::error::Code;
use crate::path::RelPath;
use crate::plan::Plan;

/// Most refusals that get candidates: each costs a look into a directory.
const MOST: usize = 20;

/// Adds near names of the same directory to refusals of files that do not exist.
pub(super) fn add(root: &Root, plan: &mut Plan) {
    let refusals = plan
        .verdicts
        .iter_mut()
        .filter_map(|verdict| verdict.refusal.as_mut());
    let missing = refusals
        .filter(|refusal| refusal.code == Code::FileNotFound && refusal.candidates.is_empty());
    for refusal in missing.take(MOST) {
        let Some(Ok(path)) = refusal.file.as_deref().map(RelPath::new) else {
            continue;
        };
        for name in near(root, &path) {
            **refusal = refusal.as_ref().clone().with_candidate(None, &name);
        }
    }
}

/// The nearest names, best first. That a directory cannot be listed only costs a hint.
fn near(root: &Root, path: &RelPath) -> Vec<Vec<u8>> {
    let parent = path.parent();
    let names = root
        .directory(parent.as_ref())
        .and_then(|dir| dir.names())
        .unwrap_or_default();
    let wanted = path.file_name().to_ascii_lowercase();
    let bound = (wanted.len() / 3).max(2);
    let mut ranked: Vec<(usize, Vec<u8>)> = names
        .into_iter()
        .take(10_000)
        .filter_map(|name| {
            let distance = distance(&wanted, &name.to_ascii_lowercase(), bound)?;
            Some((distance, name))
        })
        .collect();
    ranked.sort();
    let full = |name: Vec<u8>| match &parent {
        Some(parent) => [parent.as_bytes(), b"/", &name].concat(),
        None => name,
    };
    ranked
        .into_iter()
        .take(3)
        .map(|(_, name)| full(name))
        .collect()
}

/// Edit distance of two names, if it is within the bound.
fn distance(a: &[u8], b: &[u8], bound: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > bound {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    (row[b.len()] <= bound).then_some(row[b.len()])
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_edits_within_its_bound() {
        assert_eq!(distance(b"agent.ts", b"agnet.ts", 2), Some(2));
        assert_eq!(distance(b"a", b"a", 0), Some(0));
        assert_eq!(distance(b"abc", b"xyz", 2), None);
        assert_eq!(distance(b"abc", b"abcdef", 2), None);
    }
}
