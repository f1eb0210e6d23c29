//! Which directory is the root of a tree, seen from a directory in it.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::workspace::disk::{self, Dir};
use crate::workspace::state::STATE;
use crate::workspace::state::key;

const GIT: &str = ".git";

/// A directory on the way up that may be the root.
#[derive(Debug)]
struct Candidate<'a> {
    path: &'a Path,
    has_state: bool,
    has_git: bool,
}

/// The root that belongs to a directory: see [`Workspace::find`](crate::workspace::Workspace::find).
pub(crate) fn root_of(start: &Path) -> Result<PathBuf, Error> {
    let mut candidates = start.ancestors().map(Candidate::of);
    let nearest = loop {
        match candidates.next().transpose()? {
            Some(candidate) if candidate.is_one() => break candidate,
            Some(_) => {}
            None => return Ok(start.to_owned()),
        }
    };
    // A state directory alone may have come with the tree that it lies in.
    if !nearest.has_git && !nearest.has_own_key()? {
        let above = candidates.find(|above| above.as_ref().is_ok_and(Candidate::is_one));
        if let Some(Ok(above)) = above {
            return Err(Error::Foreign {
                path: nearest.path.join(STATE),
                why: format!(
                    "was not made here, and lies in the tree of {}; either may be the root",
                    above.path.display()
                ),
                hint: None,
            });
        }
    }
    Ok(nearest.path.to_owned())
}

impl<'a> Candidate<'a> {
    /// Looks at a directory; an error where another user marked it as a root.
    fn of(path: &'a Path) -> Result<Self, Error> {
        let has = |name: &str| {
            let marker = path.join(name);
            let owner =
                disk::owner_of(&marker).map_err(|error| Error::io("look at", &marker, error))?;
            match owner {
                Some(owner) if !disk::is_ours(owner) => Err(Error::Foreign {
                    path: marker,
                    why: format!("belongs to user {owner}, so the tree is not treated as yours"),
                    hint: None,
                }),
                owner => Ok(owner.is_some()),
            }
        };
        Ok(Self {
            path,
            has_state: has(STATE)?,
            has_git: has(GIT)?,
        })
    }

    fn is_one(&self) -> bool {
        self.has_state || self.has_git
    }

    /// Whether the state was made here: it has a key that is not a copy.
    fn has_own_key(&self) -> Result<bool, Error> {
        let path = self.path.join(STATE);
        match Dir::open_root(&path) {
            Ok(dir) => Ok(key::open(&dir)?.is_some()),
            Err(_) => Ok(false),
        }
    }
}
