//! Whether git ignores a path.

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::Error;
use crate::path::RelPath;
use crate::workspace::MAX_FILE;
use crate::workspace::Workspace;

impl Workspace {
    /// Whether git ignores a path, were it not tracked: by the `.gitignore` of a directory above
    /// it, by `.git/info/exclude`, or by the user's own list.
    ///
    /// # Errors
    /// `IO` where a list cannot be read.
    pub fn is_ignored(&self, path: &RelPath) -> Result<bool, Error> {
        let components: Vec<&[u8]> = path.components().collect();
        // The lists that matter, with the number of components that they stand below.
        let mut lists: Vec<(usize, Gitignore)> = vec![
            (0, GitignoreBuilder::new("").build_global().0),
            (0, self.list(&[b".git", b"info", b"exclude"])?),
        ];
        for depth in 0..components.len() {
            let name = [&components[..depth], &[b".gitignore"]].concat();
            lists.push((depth, self.list(&name)?));
        }
        // What lies in a directory that is ignored is, too, whatever else is said of it.
        for end in 1..=components.len() {
            let is_directory = end < components.len();
            let verdict = lists.iter().rev().filter(|(depth, _)| *depth < end);
            let verdict = verdict
                .map(|(depth, list)| {
                    let below = components[*depth..end].join(&b'/');
                    match RelPath::new(below) {
                        Ok(below) => list.matched(below.as_path(), is_directory).map(|_| ()),
                        Err(_) => Match::None,
                    }
                })
                .find(|verdict| !verdict.is_none());
            if verdict.is_some_and(|verdict| verdict.is_ignore()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The list at a path, for paths relative to where it stands; an empty one where no file is.
    fn list(&self, components: &[&[u8]]) -> Result<Gitignore, Error> {
        let Ok(path) = RelPath::new(components.join(&b'/')) else {
            return Ok(Gitignore::empty());
        };
        let io = |error| self.root.error("read", &path, error);
        let bytes = match self.root.file(&path) {
            Ok(Some(file)) => {
                let meta = file.stat().map_err(io)?;
                file.read(meta.size, MAX_FILE)
                    .map_err(io)?
                    .unwrap_or_default()
            }
            Ok(None) => return Ok(Gitignore::empty()),
            Err(error) if crate::workspace::root::is_no_directory(&error) => {
                return Ok(Gitignore::empty());
            }
            Err(error) => return Err(io(error)),
        };
        let mut list = GitignoreBuilder::new("");
        for line in String::from_utf8_lossy(&bytes).lines() {
            // As git does, what is no pattern is passed over.
            let _ = list.add_line(None, line);
        }
        Ok(list.build().unwrap_or_else(|_| Gitignore::empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_count_from_the_root_down() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(".gitignore", "*.log\n/build\nsecret/\n!keep.log\n");
        write("sub/.gitignore", "!debug.log\nlocal\n");
        write(".git/info/exclude", "mine.txt\n");
        let workspace = Workspace::open(dir.path()).unwrap();
        for (path, expected) in [
            ("a.txt", false),
            ("a.log", true),
            ("keep.log", false),
            ("sub/a.log", true),
            ("sub/debug.log", false),
            ("sub/local", true),
            ("local", false),
            ("build/x/y", true),
            ("sub/build/x", false),
            ("secret/keep.log", true),
            ("a/secret/x", true),
            ("secret", false),
            ("deep/mine.txt", true),
        ] {
            let path = RelPath::new(path).unwrap();
            assert_eq!(workspace.is_ignored(&path).unwrap(), expected, "{path}");
        }
    }
}
