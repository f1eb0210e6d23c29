//! Looking at the whole tree, through no link and not beyond the root.

use std::io;
use std::sync::{Arc, Mutex};

use super::rules::Rules;
use super::tracked::Tracked;
use super::{Listing, Objects, Row, Within, is_kept};
use crate::digest::Digest;
use crate::error::Error;
use crate::path::RelPath;
use crate::threads;
use crate::workspace::STATE;
use crate::workspace::disk::{Dir, FileKind, Meta, earlier};
use crate::workspace::fault;
use crate::workspace::read::load::{self, MAX_FILE};
use crate::workspace::root::{Root, is_no_directory};
use crate::workspace::state::Held;

/// Name of the listing of the last snapshot.
pub(super) const INDEX: &str = "index";
/// Longest ignore file that is read, in bytes.
const MAX_RULES: u64 = 1 << 20;
/// Longest index of git that is read, in bytes.
const MAX_TRACKED: u64 = 1 << 26;

/// Takes a snapshot of the tree: lists it, and keeps the bytes of every file that is not kept yet.
///
/// Left out is what git ignores (by `.gitignore` files and `.git/info/exclude`, what it tracks
/// aside), every `.git`, the state, and what is neither a regular file nor a link; but not what `base`
/// holds or `also` names. What is tracked only since `base` was taken may have stood there before.
pub(crate) fn take(
    root: &Root,
    held: &Held,
    objects: &Objects<'_>,
    base: Option<&Listing>,
    also: &[RelPath],
) -> Result<Listing, Error> {
    walk(root, held, objects, base, also, Extent::All)
}

/// As [`take`], of these files and what is below these directories alone, ignored or not; it does not
/// count as the last snapshot.
pub(crate) fn take_of(
    root: &Root,
    held: &Held,
    objects: &Objects<'_>,
    paths: &[RelPath],
) -> Result<Listing, Error> {
    walk(root, held, objects, None, paths, Extent::Also)
}

/// As [`take`], of a part of the tree; it does not count as the last snapshot.
pub(crate) fn take_within(
    root: &Root,
    held: &Held,
    objects: &Objects<'_>,
    base: &Listing,
    also: &[RelPath],
    within: &Within,
) -> Result<Listing, Error> {
    walk(root, held, objects, Some(base), also, Extent::Part(within))
}

/// How much of the tree is looked at.
#[derive(Clone, Copy)]
enum Extent<'a> {
    All,
    /// Nothing but what `also` names.
    Also,
    Part(&'a Within),
}

fn walk(
    root: &Root,
    held: &Held,
    objects: &Objects<'_>,
    base: Option<&Listing>,
    also: &[RelPath],
    extent: Extent<'_>,
) -> Result<Listing, Error> {
    let last;
    let known = match (extent, base) {
        (_, Some(base)) => base,
        // Reading it takes longer than reading a few files.
        (Extent::Part(_), None) => &Listing::default(),
        (Extent::All | Extent::Also, None) => {
            last = Listing::read(&objects.dir, INDEX, &held.key)?.unwrap_or_default();
            &last.1
        }
    };
    let taking = Taking {
        root,
        objects,
        known,
        base,
        also,
        extent,
        keeping: Mutex::new(()),
    };
    let taken = taking.listing()?;
    if matches!(extent, Extent::All) && taken.files != known.files {
        taken.write(&objects.dir, INDEX, "", held)?;
    }
    Ok(taken)
}

/// What of a directory is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    /// It is ignored: only what is wanted all the same.
    Wanted,
}

struct Taking<'a> {
    root: &'a Root,
    objects: &'a Objects<'a>,
    /// The base, or the last snapshot: a file that is as it was then need not be read.
    known: &'a Listing,
    base: Option<&'a Listing>,
    also: &'a [RelPath],
    extent: Extent<'a>,
    /// Held while an object is written: the store has one draft.
    keeping: Mutex<()>,
}

/// A directory that is to be listed.
#[derive(Debug)]
struct Below {
    /// `None` stands for the root.
    path: Option<RelPath>,
    /// Its permission bits.
    mode: u32,
    /// The rules of the directories that it lies in.
    rules: Arc<Rules>,
    scope: Scope,
}

/// What was found in a directory.
#[derive(Debug, Default)]
struct Found {
    /// The directory itself, with its permission bits.
    directory: Option<(RelPath, u32)>,
    files: Vec<(RelPath, Row)>,
    below: Vec<Below>,
    left_out: Vec<RelPath>,
}

impl Taking<'_> {
    /// Lists everything, level by level, so that threads share the directories of a level.
    fn listing(&self) -> Result<Listing, Error> {
        let mut taken = Listing {
            began: load::now(),
            ..Listing::default()
        };
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        let inherit = fault::inherit();
        let mut level = vec![Below {
            path: None,
            mode: 0,
            rules: Arc::default(),
            scope: Scope::All,
        }];
        while !level.is_empty() {
            let listed = threads::map(&level, |below| {
                inherit();
                self.directory(below)
            });
            level.clear();
            for found in listed {
                let found = found?;
                files.extend(found.files);
                directories.extend(found.directory);
                taken.left_out.extend(found.left_out);
                level.extend(found.below);
            }
        }
        taken.left_out.sort();
        // A map is built of what is in order without a search for each of them.
        files.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        taken.files = files.into_iter().collect();
        taken.directories = directories.into_iter().collect();
        Ok(taken)
    }

    /// Lists a directory, but not what is below. Of those above it none stays open: there may be
    /// more than a process can have open files.
    fn directory(&self, listed: &Below) -> Result<Found, Error> {
        let mut found = Found::default();
        let at = listed.path.as_ref();
        let denied = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
        let dir = match self.root.directory(at) {
            // It went meanwhile.
            Err(error) if is_gone(&error) => return Ok(found),
            Err(error) if denied(&error) => {
                found.left_out.extend(at.cloned());
                return Ok(found);
            }
            result => result.map_err(|error| self.failed("open", at, error))?,
        };
        found.directory = at.cloned().map(|path| (path, listed.mode));
        let mut names = match dir.names() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) if denied(&error) => {
                found.left_out.extend(at.cloned());
                return Ok(found);
            }
            result => result.map_err(|error| self.failed("list", at, error))?,
        };
        names.sort_unstable();
        let now = self.rules_now(&dir, at, &names)?;
        let earlier = self.rules_earlier(at)?;
        let tracked = self.tracked(at, &names)?;
        let rules = Rules::below(&listed.rules, at, &now, &earlier, tracked);
        for name in names {
            if let Ok(path) = child(at, &name) {
                self.entry(&dir, &name, path, &rules, listed.scope, &mut found)?;
            }
        }
        Ok(found)
    }

    /// Takes what stands at a name.
    fn entry(
        &self,
        dir: &Dir,
        name: &[u8],
        path: RelPath,
        rules: &Arc<Rules>,
        scope: Scope,
        found: &mut Found,
    ) -> Result<(), Error> {
        if name == STATE.as_bytes() {
            return Ok(());
        }
        let meta = match dir.stat(name) {
            Ok(Some(meta)) => meta,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.left_out.push(path);
                return Ok(());
            }
            Err(error) => return Err(self.failed("look at", Some(&path), error)),
        };
        let is_wanted = || {
            self.base.is_some_and(|base| base.has_at_or_below(&path))
                || (name != b".git" && rules.is_tracked(&path))
                || (self.also.iter()).any(|named| {
                    path == *named || path.lies_below(named) || named.lies_below(&path)
                })
        };
        match self.extent {
            Extent::Also if !is_wanted() => return Ok(()),
            Extent::Part(within) if !within.covers(&path) => return Ok(()),
            _ => {}
        }
        let is_dir = meta.kind == FileKind::Directory;
        let is_out = scope == Scope::Wanted || name == b".git" || rules.is_ignored(&path, is_dir);
        if is_out && !is_wanted() {
            if scope == Scope::All {
                found.left_out.push(path);
            }
            return Ok(());
        }
        if is_dir {
            let is_named = (self.also.iter()).any(|named| path == *named || path.lies_below(named));
            let scope = if is_out && !is_named {
                Scope::Wanted
            } else {
                Scope::All
            };
            found.below.push(Below {
                path: Some(path),
                mode: meta.mode,
                rules: Arc::clone(rules),
                scope,
            });
            return Ok(());
        }
        self.file(dir, name, path, &meta, found)
    }

    fn file(
        &self,
        dir: &Dir,
        name: &[u8],
        path: RelPath,
        meta: &Meta,
        found: &mut Found,
    ) -> Result<(), Error> {
        if !is_kept(meta.kind) || meta.size > MAX_FILE {
            found.left_out.push(path);
            return Ok(());
        }
        let settled = earlier(self.known.began);
        if let Some(known) = self.known.files.get(&path)
            && known.is_of(meta)
            && meta.mtime < settled
            && meta.ctime < settled
        {
            found.files.push((path, *known));
            return Ok(());
        }
        let bytes = match read(dir, name, meta) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                found.left_out.push(path);
                return Ok(());
            }
            Err(error) => return Err(self.failed("read", Some(&path), error)),
        };
        let digest = Digest::of(&bytes);
        let keeping = self.keeping.lock().expect("no holder panics");
        self.objects.put(&digest, &bytes)?;
        drop(keeping);
        found.files.push((path, Row::new(meta, digest)));
        Ok(())
    }

    /// The ignore files of a directory as they are.
    fn rules_now(
        &self,
        dir: &Dir,
        at: Option<&RelPath>,
        names: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, Error> {
        let mut found = Vec::new();
        if names.binary_search(&b".gitignore".to_vec()).is_ok() {
            found.extend(rules_of(dir, b".gitignore").map_err(|e| self.failed("read", at, e))?);
        }
        if at.is_none() && names.binary_search(&b".git".to_vec()).is_ok() {
            let exclude = RelPath::new(".git/info").expect("two plain components");
            if let Ok(info) = self.root.directory(Some(&exclude)) {
                found.extend(rules_of(&info, b"exclude").map_err(|e| self.failed("read", at, e))?);
            }
        }
        Ok(found)
    }

    /// What the repository in a directory tracks, where that decides what is looked at.
    fn tracked(&self, at: Option<&RelPath>, names: &[Vec<u8>]) -> Result<Option<Tracked>, Error> {
        let decides = self.base.is_none() && matches!(self.extent, Extent::All);
        if !decides || names.binary_search(&b".git".to_vec()).is_err() {
            return Ok(None);
        }
        let repository = child(at, b".git").ok();
        let repository = repository.and_then(|path| self.root.directory(Some(&path)).ok());
        let Some(repository) = repository else {
            return Ok(None);
        };
        let index = bounded(&repository, b"index", MAX_TRACKED);
        let index = index.map_err(|error| self.failed("read", at, error))?;
        Ok(index.and_then(|bytes| Tracked::parse(&bytes)))
    }

    /// The ignore file of a directory as it was in the base.
    fn rules_earlier(&self, at: Option<&RelPath>) -> Result<Vec<Vec<u8>>, Error> {
        let Some(base) = self.base else {
            return Ok(Vec::new());
        };
        let Ok(path) = child(at, b".gitignore") else {
            return Ok(Vec::new());
        };
        match base.files.get(&path) {
            Some(row) if !row.link && row.size <= MAX_RULES => {
                Ok(self.objects.get(&row.digest)?.into_iter().collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn failed(&self, action: &'static str, path: Option<&RelPath>, error: io::Error) -> Error {
        match path {
            Some(path) => self.root.error(action, path, error),
            None => Error::io(action, &self.root.path, error),
        }
    }
}

/// The bytes of a file, or the target of a link; `None` where it is gone or something else by now.
fn read(dir: &Dir, name: &[u8], meta: &Meta) -> io::Result<Option<Vec<u8>>> {
    if meta.kind == FileKind::Symlink {
        return match dir.read_link(name) {
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(None),
            result => result,
        };
    }
    let file = match dir.file(name) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(None),
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.stat()?.kind != FileKind::File {
        return Ok(None);
    }
    file.read(meta.size, MAX_FILE)
}

/// An ignore file, if it is a regular file of bounded length.
fn rules_of(dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    bounded(dir, name, MAX_RULES)
}

fn bounded(dir: &Dir, name: &[u8], most: u64) -> io::Result<Option<Vec<u8>>> {
    match dir.stat(name)? {
        Some(meta) if meta.kind == FileKind::File && meta.size <= most => read(dir, name, &meta),
        _ => Ok(None),
    }
}

/// Whether what was listed is gone, or something else by now.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || is_no_directory(error)
}

fn child(at: Option<&RelPath>, name: &[u8]) -> Result<RelPath, crate::error::Refusal> {
    match at {
        Some(at) => RelPath::new([at.as_bytes(), b"/", name].concat()),
        None => RelPath::new(name),
    }
}
