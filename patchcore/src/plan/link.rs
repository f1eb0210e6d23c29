//! Where a symbolic link may lead.

use std::collections::HashMap;

use super::{FileChange, Policy, paths};
use crate::error::{Code, Hint, Refusal, excerpt};
use crate::path::{MAX_PATH, RelPath};

/// Most links that a target may lead through: as many as Linux follows.
const MAX_LINKS: usize = 40;

/// The operations that leave a symbolic link which leads out of the tree, or to what only the
/// operator can open.
///
/// A link is judged by where it leads once the batch is through, component by component and through
/// other links, those of the batch included. `standing` tells the target of the link at a path
/// that the batch leaves alone; every component above that path is a directory.
///
/// # Errors
/// Those of `standing`.
pub(crate) fn refusals<E>(
    changes: &[FileChange],
    policy: &Policy,
    mut standing: impl FnMut(&RelPath) -> Result<Option<Vec<u8>>, E>,
) -> Result<Vec<(usize, Refusal)>, E> {
    if !changes.iter().any(FileChange::is_link) {
        return Ok(Vec::new());
    }
    let afterwards = afterwards(changes);
    let mut refused = Vec::new();
    for change in changes.iter().filter(|change| change.is_link()) {
        let (Some(Some(target)), Some(touch)) =
            (afterwards.get(&change.path), change.touches.first())
        else {
            continue;
        };
        let verdict = match spelt(&change.path, target) {
            Ok(()) => {
                let end = follow(&change.path, target, |path| match afterwards.get(path) {
                    Some(target) => Ok(target.clone()),
                    None => standing(path),
                })?;
                judge(&change.path, target, end, policy)
            }
            Err(refusal) => Err(refusal),
        };
        refused.extend(verdict.err().map(|refusal| (touch.operation, refusal)));
    }
    Ok(refused)
}

/// The target of the link at each path that the batch writes to; `None` where it leaves none.
fn afterwards(changes: &[FileChange]) -> HashMap<&RelPath, Option<Vec<u8>>> {
    let mut afterwards: HashMap<&RelPath, Option<Vec<u8>>> = HashMap::new();
    for change in changes {
        if let (super::ChangeKind::Renamed, Some(from)) = (change.kind, &change.from) {
            afterwards.entry(from).or_insert(None);
        }
    }
    for change in changes {
        let target = (change.is_link()).then(|| change.chunks().collect::<Vec<_>>().concat());
        afterwards.insert(&change.path, target);
    }
    afterwards
}

fn refuse(path: &RelPath, target: &[u8], code: Code, why: &str) -> Result<(), Refusal> {
    let shown = excerpt(target, 200);
    let message = format!("the symbolic link {path} to {shown:?} {why}");
    Err(Refusal::new(code, message).in_file(path))
}

/// What can be said of a target by its text.
///
/// It has to lead up first and then down: the components above a link are directories, so every
/// `..` at its start is worth one of them. Behind a name it could be worth more some day, as
/// another link may take the name.
fn spelt(path: &RelPath, target: &[u8]) -> Result<(), Refusal> {
    let refuse = |code, why| refuse(path, target, code, why);
    if target.is_empty() {
        return refuse(Code::InvalidBatch, "leads nowhere; its target is empty");
    }
    if target.contains(&0) {
        return refuse(Code::InvalidBatch, "cannot be made: a target holds no NUL");
    }
    if target.contains(&b'\n') {
        return refuse(
            Code::InvalidBatch,
            "holds a newline; end the hunk with \"\\ No newline at end of file\"",
        );
    }
    if target.len() > MAX_PATH {
        return refuse(Code::LimitExceeded, "is longer than 4095 bytes");
    }
    let mut components = target.split(|&byte| byte == b'/');
    let is_name = |component: &&[u8]| !matches!(*component, b"" | b"." | b"..");
    if components.any(|component| is_name(&component)) && components.any(|it| it == b"..") {
        return refuse(
            Code::PathEscape,
            "goes up again after a name, which may be a link itself; say it without",
        );
    }
    Ok(())
}

/// Where a target leads.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// To this path, which need not be there; no component is the root itself.
    Inside(Vec<Vec<u8>>),
    /// Out of the root, there or on the way, perhaps through the link at this path.
    Outside(Option<RelPath>),
    /// Through more links than are followed.
    Endless,
}

/// Follows a target from the directory of its link on.
fn follow<E>(
    path: &RelPath,
    target: &[u8],
    mut link_at: impl FnMut(&RelPath) -> Result<Option<Vec<u8>>, E>,
) -> Result<End, E> {
    let mut at: Vec<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
    at.pop();
    let mut through: Option<RelPath> = None;
    let mut links = 0;
    // What is left to follow, the next component last.
    let mut left: Vec<Vec<u8>> = Vec::new();
    let lay = |left: &mut Vec<Vec<u8>>, target: &[u8]| {
        let components = target.rsplit(|&byte| byte == b'/');
        left.extend(components.map(<[u8]>::to_vec));
    };
    if target.starts_with(b"/") {
        return Ok(End::Outside(None));
    }
    lay(&mut left, target);
    while let Some(component) = left.pop() {
        match &*component {
            b"" | b"." => continue,
            b".." if at.pop().is_none() => return Ok(End::Outside(through)),
            b".." => continue,
            _ => at.push(component),
        }
        // What is no path below the root is no link either.
        let Ok(here) = RelPath::new(at.join(&b'/')) else {
            continue;
        };
        let Some(target) = link_at(&here)? else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Ok(End::Endless);
        }
        if target.starts_with(b"/") {
            return Ok(End::Outside(Some(here)));
        }
        at.pop();
        lay(&mut left, &target);
        through = Some(here);
    }
    Ok(End::Inside(at))
}

fn judge(path: &RelPath, target: &[u8], end: End, policy: &Policy) -> Result<(), Refusal> {
    let refuse = |code, why: &str| refuse(path, target, code, why);
    let at = match end {
        End::Outside(None) => {
            let why = "leads out of the root; use a relative target below it";
            return refuse(Code::PathEscape, why);
        }
        End::Outside(Some(through)) => {
            let why = format!("leads out of the root through the link {through}");
            return refuse(Code::PathEscape, &why);
        }
        End::Endless => {
            return refuse(
                Code::Symlink,
                "leads through more than 40 links, or to itself",
            );
        }
        End::Inside(at) => at,
    };
    // It may lead to the root itself.
    if at.is_empty() {
        return Ok(());
    }
    let end = RelPath::new(at.join(&b'/'))?;
    match paths::protected(&end, policy) {
        Some(_) => {
            let why = format!("leads to {end}, which is protected; only the operator can open it");
            refuse(Code::PathProtected, &why).map_err(|refusal| refusal.with_hint(Hint::AllowPath))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(path: &str, target: &str, open: &[&str]) -> Result<(), Code> {
        let policy = Policy {
            allow_paths: open.iter().map(|p| RelPath::new(p).unwrap()).collect(),
            ..Policy::default()
        };
        among(path, target, &[], &policy)
    }

    /// As [`judged`], where these links stand, each as `path -> target`.
    fn among(path: &str, target: &str, links: &[&str], policy: &Policy) -> Result<(), Code> {
        let path = RelPath::new(path).unwrap();
        let target = target.as_bytes();
        let links: Vec<_> = links
            .iter()
            .map(|it| it.split_once(" -> ").unwrap())
            .collect();
        let link_at = |at: &RelPath| {
            let link = links.iter().find(|(path, _)| at.as_str() == Some(path));
            Ok::<_, ()>(link.map(|(_, target)| target.as_bytes().to_vec()))
        };
        spelt(&path, target)
            .and_then(|()| {
                judge(
                    &path,
                    target,
                    follow(&path, target, link_at).unwrap(),
                    policy,
                )
            })
            .map_err(|refusal| refusal.code)
    }

    #[test]
    fn a_target_is_followed_through_the_links_on_its_way() {
        let links = [
            "ext -> ../out",
            "abs -> /etc",
            "git -> .git",
            "deep -> a/b/c",
            "a/b/c/up -> ../../../..",
            "a/b/c/top -> ../../..",
            "one -> two",
            "two -> one",
            "back -> ext/../ws/src",
            "away -> .git/../src",
            "tour -> deep/../x",
        ];
        let judged = |path, target| among(path, target, &links, &Policy::default());
        for (path, target, expected) in [
            ("l", "ext", Err(Code::PathEscape)),
            ("l", "ext/s", Err(Code::PathEscape)),
            ("d/l", "../ext/s", Err(Code::PathEscape)),
            ("l", "abs/passwd", Err(Code::PathEscape)),
            ("l", "git", Err(Code::PathProtected)),
            ("l", "git/hooks/pre-commit", Err(Code::PathProtected)),
            ("l", "deep/x", Ok(())),
            ("l", "deep/up", Err(Code::PathEscape)),
            ("l", "deep/top", Ok(())),
            ("l", "deep/top/.git", Err(Code::PathProtected)),
            ("l", "deep/top/git", Err(Code::PathProtected)),
            ("l", "one", Err(Code::Symlink)),
            ("l", "back", Err(Code::PathEscape)),
            ("l", "away/x", Ok(())),
            ("l", "tour", Ok(())),
        ] {
            assert_eq!(judged(path, target), expected, "{path} -> {target}");
        }
    }

    #[test]
    fn a_target_stays_beneath_the_root() {
        for (path, target) in [
            ("l", "f"),
            ("l", "nowhere/yet"),
            ("l", "."),
            ("l", "./d//f/"),
            ("d/l", ".."),
            ("d/l", "../f"),
            ("a/b/l", ".././../c/d"),
            ("l", "..f"),
            ("l", ".github"),
        ] {
            assert_eq!(judged(path, target, &[]), Ok(()), "{path} -> {target}");
        }
    }

    #[test]
    fn a_target_that_leaves_the_root_is_refused() {
        for (path, target) in [
            ("l", "/etc/passwd"),
            ("l", "/"),
            ("l", ".."),
            ("l", "../sibling"),
            ("d/l", "../.."),
            ("d/l", ".././../f"),
            ("l", "d/.."),
            ("l", "d/../../f"),
            ("a/b/l", "../x/../../.."),
        ] {
            let code = judged(path, target, &[]);
            assert_eq!(code, Err(Code::PathEscape), "{path} -> {target}");
        }
    }

    #[test]
    fn a_target_that_is_none_is_refused() {
        assert_eq!(judged("l", "", &[]), Err(Code::InvalidBatch));
        assert_eq!(judged("l", "a\0b", &[]), Err(Code::InvalidBatch));
        assert_eq!(judged("l", "f\n", &[]), Err(Code::InvalidBatch));
        let long = "a/".repeat(2048);
        assert_eq!(judged("l", &long, &[]), Err(Code::LimitExceeded));
        assert_eq!(judged("l", &"a".repeat(256), &[]), Err(Code::PathEscape));
    }

    #[test]
    fn a_protected_target_is_the_operators_to_open() {
        let protected = Err(Code::PathProtected);
        assert_eq!(judged("l", ".git/hooks", &[]), protected);
        assert_eq!(judged("d/l", "../.GIT", &[]), protected);
        assert_eq!(judged("d/l", "../sub/.envrc", &[]), protected);
        assert_eq!(judged("l", ".mission_control/tasks.json", &[]), protected);
        assert_eq!(judged("l", ".vscode/a", &[".vscode"]), Ok(()));
    }
}
