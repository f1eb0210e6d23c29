//! Where a symbolic link may lead.

use super::{FileChange, Policy, paths};
use crate::error::{Code, Hint, Refusal, excerpt};
use crate::path::{MAX_PATH, RelPath};

/// The refusal of a change that leaves a symbolic link which leads out of the tree, or to what only
/// the operator can open.
///
/// A target has to lead up first and then down: the components above a link are directories, so
/// every `..` at its start is worth one of them. Behind a name it could be worth more, as the name
/// may be another link.
pub(super) fn refusal(change: &FileChange, policy: &Policy) -> Option<Refusal> {
    if !change.is_link() {
        return None;
    }
    let target = change.chunks().collect::<Vec<_>>().concat();
    check(&change.path, &target, policy).err()
}

fn check(path: &RelPath, target: &[u8], policy: &Policy) -> Result<(), Refusal> {
    let refuse = |code: Code, why: &str| {
        let shown = excerpt(target, 200);
        let message = format!("the symbolic link {path} to {shown:?} {why}");
        Err(Refusal::new(code, message).in_file(path))
    };
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
    const OUT: &str = "leads out of the root; use a relative target below it";
    if target.starts_with(b"/") {
        return refuse(Code::PathEscape, OUT);
    }
    let mut at: Vec<&[u8]> = path.components().collect();
    at.pop();
    let mut goes_down = false;
    for component in target.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if goes_down => {
                return refuse(
                    Code::PathEscape,
                    "goes up again behind a name, which may be a link itself; say it without",
                );
            }
            b".." if at.pop().is_none() => return refuse(Code::PathEscape, OUT),
            b".." => {}
            name => {
                goes_down = true;
                at.push(name);
            }
        }
    }
    // It may lead to the root itself.
    if at.is_empty() {
        return Ok(());
    }
    let end = RelPath::new(at.join(&b'/'))?;
    match paths::protected(&end, policy) {
        Some(_) => refuse(
            Code::PathProtected,
            "leads to a protected path; only the operator can open it",
        )
        .map_err(|refusal| refusal.with_hint(Hint::AllowPath)),
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
        let path = RelPath::new(path).unwrap();
        check(&path, target.as_bytes(), &policy).map_err(|refusal| refusal.code)
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
