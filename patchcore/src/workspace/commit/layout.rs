//! From the changes of a plan to what happens at each path: which slot holds what, which
//! directories come and go.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Code, Refusal, Stop};
use crate::path::RelPath;
use crate::plan::{After, ChangeKind, FileChange, Obstacle, Source};
use crate::workspace::disk::{FileKind, Meta};
use crate::workspace::read::load::{FileInfo, Loaded};
use crate::workspace::root::{self, Root};
use crate::workspace::state::record::DirectoryRecord;

/// What the file that is written should be beside its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Permission bits, set-id bits included.
    pub(crate) mode: u32,
    /// Owner and group; `None` leaves them to the system.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Wanted {
    /// A file without attributes, like one that stands there.
    pub(crate) fn as_it_was(meta: &Meta) -> Self {
        Self {
            mode: meta.mode,
            owner: Some((meta.uid, meta.gid)),
            attributes: Vec::new(),
        }
    }
}

/// The bytes that a slot gets.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content<'a> {
    /// What a change comes to.
    Change(&'a FileChange),
    /// What a change starts from, kept so that the record can show it.
    Source(&'a Source),
    /// These bytes, with their hash.
    Bytes(&'a [u8], Digest),
    /// A symbolic link with this target, and its hash.
    Link(&'a [u8], Digest),
}

impl Content<'_> {
    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Change(change) => change
                .state_after()
                .map_or_else(|| Digest::of(b""), |after| after.digest),
            Self::Source(source) => source.digest(),
            Self::Bytes(_, digest) | Self::Link(_, digest) => *digest,
        }
    }

    /// Whether it is the target of a symbolic link.
    pub(crate) fn is_link(&self) -> bool {
        match self {
            Self::Change(change) => change.is_link(),
            Self::Source(_) | Self::Bytes(..) => false,
            Self::Link(..) => true,
        }
    }

    /// All of the bytes.
    pub(crate) fn to_vec(self) -> Vec<u8> {
        match self {
            Self::Change(change) => change.chunks().collect::<Vec<_>>().concat(),
            Self::Source(source) => source.bytes().to_vec(),
            Self::Bytes(bytes, _) | Self::Link(bytes, _) => bytes.to_vec(),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        let len = match self {
            Self::Change(change) => change.edits.output_len(change.source_bytes().len()),
            Self::Source(source) => source.bytes().len(),
            Self::Bytes(bytes, _) | Self::Link(bytes, _) => bytes.len(),
        };
        len as u64
    }
}

/// What happens at one path; its slot is its place in the list.
#[derive(Debug)]
pub(crate) struct Placement<'a> {
    /// `None` for a slot that only keeps bytes for the record.
    pub(crate) path: Option<RelPath>,
    /// The file that stands there, with its hash.
    pub(crate) old: Option<(Meta, Digest)>,
    /// The file that will.
    pub(crate) new: Option<(Content<'a>, Option<Wanted>)>,
    /// Whether the file that comes can be executed; counts where nothing else is wanted.
    pub(crate) executable: bool,
}

/// What happens to a tree.
#[derive(Debug, Default)]
pub(crate) struct Layout<'a> {
    pub(crate) places: Vec<Placement<'a>>,
    /// For each change, the slot of what its edits apply to.
    pub(crate) pre_images: Vec<Option<u32>>,
    pub(crate) made: Vec<DirectoryRecord>,
    pub(crate) emptied: Vec<DirectoryRecord>,
    /// Paths at which a file or link gives way to a directory, or the other way around.
    pub(crate) turning: BTreeSet<RelPath>,
}

/// What undoing knows beyond the changes.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// What files were beside their bytes.
    pub(crate) files: HashMap<RelPath, Wanted>,
    /// The permission bits of directories that come back.
    pub(crate) directories: HashMap<RelPath, u32>,
    /// The only directories that may go.
    pub(crate) made: BTreeSet<RelPath>,
}

/// Lays out the changes of a plan.
pub(crate) fn layout<'a>(
    changes: &'a [FileChange],
    loaded: &Loaded,
    restored: Option<&Restored>,
) -> Layout<'a> {
    let mut places: Vec<Placement<'a>> = Vec::with_capacity(changes.len());
    let mut slots: HashMap<&RelPath, usize> = HashMap::with_capacity(changes.len());
    let old_at = |path: &RelPath| {
        let found = loaded.found(path)?;
        Some((found.meta, loaded.tree.standing(path)?.digest()))
    };
    let mut place = |path: &'a RelPath| {
        *slots.entry(path).or_insert_with(|| {
            places.push(Placement {
                path: Some(path.clone()),
                old: old_at(path),
                new: None,
                executable: false,
            });
            places.len() - 1
        })
    };
    let mut comes = Vec::with_capacity(changes.len());
    let mut pre_images = Vec::with_capacity(changes.len());
    for change in changes {
        let slot = place(&change.path);
        if let Some(after) = &change.after {
            let wanted = restored
                .and_then(|restored| restored.files.get(&change.path).cloned())
                .or_else(|| wanted(change, loaded, after));
            comes.push((slot, change, wanted, after.executable));
        }
        let pre_image = match (change.kind, &change.from) {
            (ChangeKind::Renamed, from) => from.as_ref().map(&mut place),
            (ChangeKind::Created | ChangeKind::Copied, _) => None,
            _ => Some(slot),
        };
        pre_images.push(pre_image.and_then(|slot| u32::try_from(slot).ok()));
    }
    for (slot, change, wanted, executable) in comes {
        places[slot].new = Some((Content::Change(change), wanted));
        places[slot].executable = executable;
    }
    let mut layout = Layout {
        places,
        pre_images,
        ..Layout::default()
    };
    layout.keep_copied_sources(changes);
    layout
}

impl<'a> Layout<'a> {
    /// A copy that is edited leaves its source alone, so no slot would hold the bytes that its
    /// edits speak of.
    fn keep_copied_sources(&mut self, changes: &'a [FileChange]) {
        for (change, slot) in changes.iter().zip(&mut self.pre_images) {
            if let (ChangeKind::Copied, false, Some(source)) =
                (change.kind, change.edits.is_empty(), &change.source)
            {
                *slot = u32::try_from(self.places.len()).ok();
                self.places.push(Placement {
                    path: None,
                    old: None,
                    new: Some((Content::Source(Arc::as_ref(source)), None)),
                    executable: false,
                });
            }
        }
    }

    /// Adds a file of the state, the task manifest, to the transaction.
    pub(crate) fn add_state_file(
        &mut self,
        path: RelPath,
        old: Option<(Meta, Digest)>,
        bytes: &'a [u8],
    ) {
        let wanted = old.map(|(meta, _)| Wanted::as_it_was(&meta));
        self.places.push(Placement {
            path: Some(path),
            old,
            new: Some((Content::Bytes(bytes, Digest::of(bytes)), wanted)),
            executable: false,
        });
    }

    /// Finds the directories that come into being and those that become empty.
    ///
    /// A directory whose place a file takes is refused where it does not become empty.
    pub(crate) fn find_directories(
        &mut self,
        root: &Root,
        loaded: &Loaded,
        restored: Option<&Restored>,
    ) -> Result<(), Stop> {
        self.find_made(root, restored)?;
        self.find_emptied(root, restored)?;
        for place in &self.places {
            let (Some(path), None, Some(_)) = (&place.path, &place.old, &place.new) else {
                continue;
            };
            if !matches!(loaded.tree.obstacle(path), Some(Obstacle::Directory(_))) {
                continue;
            }
            if !self.emptied.iter().any(|emptied| emptied.path == *path) {
                let message = format!(
                    "{path} is a directory with other files in it, so no file can take its place"
                );
                return Err(Refusal::new(Code::NotAFile, message).in_file(path).into());
            }
            self.turning.insert(path.clone());
        }
        Ok(())
    }

    /// Whether a path lies below one at which a file gives way to a directory, or the other way
    /// around.
    pub(crate) fn lies_below_turning(&self, path: &RelPath) -> bool {
        self.turning.iter().any(|above| path.lies_below(above))
    }

    fn find_made(&mut self, root: &Root, restored: Option<&Restored>) -> Result<(), Stop> {
        let mut known: BTreeMap<RelPath, bool> = BTreeMap::new();
        // A file that goes may leave its name to a directory.
        let goes = |place: &&Placement<'_>| place.old.is_some() && place.new.is_none();
        let gone = self.places.iter().filter(goes);
        let gone: BTreeSet<RelPath> = gone.filter_map(|place| place.path.clone()).collect();
        let comes = |place: &Placement<'_>| match (&place.path, &place.old, &place.new) {
            (Some(path), None, Some(_)) => path.parent(),
            _ => None,
        };
        let mut wanted: Vec<RelPath> = self.places.iter().filter_map(comes).collect();
        // Empty ones come back as well.
        wanted.extend(
            restored
                .iter()
                .flat_map(|it| it.directories.keys().cloned()),
        );
        for directory in wanted {
            let mut missing = Vec::new();
            let mut above = Some(directory);
            while let Some(directory) = above {
                let is_there = match known.get(&directory) {
                    Some(&is_there) => is_there,
                    None => {
                        let turns = at_or_above(&directory, &gone);
                        let is_there = turns.is_none() && is_directory(root, &directory)?;
                        self.turning.extend(turns);
                        known.insert(directory.clone(), is_there);
                        is_there
                    }
                };
                if is_there {
                    break;
                }
                above = directory.parent();
                missing.push(directory);
            }
            for path in missing.into_iter().rev() {
                let mode = restored.and_then(|restored| restored.directories.get(&path).copied());
                let exact = mode.is_some();
                let mode = mode.unwrap_or(0o777);
                known.insert(path.clone(), true);
                self.made.push(DirectoryRecord { path, mode, exact });
            }
        }
        Ok(())
    }

    /// The directories that something comes into, with all above them.
    fn filled(&self) -> BTreeSet<RelPath> {
        let mut filled = BTreeSet::new();
        for place in self.places.iter().filter(|place| place.new.is_some()) {
            let mut above = place.path.as_ref().and_then(RelPath::parent);
            while let Some(directory) = above {
                above = directory.parent();
                if !filled.insert(directory) {
                    break;
                }
            }
        }
        filled
    }

    fn find_emptied(&mut self, root: &Root, restored: Option<&Restored>) -> Result<(), Stop> {
        let goes = |place: &&Placement<'_>| place.old.is_some() && place.new.is_none();
        let gone = self
            .places
            .iter()
            .filter(goes)
            .filter_map(|place| place.path.clone());
        let mut gone: BTreeSet<RelPath> = gone.collect();
        // What the batch made goes even where nothing was in it.
        let made: BTreeSet<RelPath> = restored.map_or_else(BTreeSet::new, |it| it.made.clone());
        if gone.is_empty() && made.is_empty() {
            return Ok(());
        }
        let kept = self.filled();
        // A child's end may empty its parent, so the deepest directories come first.
        let mut waiting: BTreeSet<(std::cmp::Reverse<usize>, RelPath)> = BTreeSet::new();
        let depth = |path: &RelPath| std::cmp::Reverse(path.components().count());
        for path in &gone {
            waiting.extend(path.parent().map(|parent| (depth(&parent), parent)));
        }
        waiting.extend(made.into_iter().map(|path| (depth(&path), path)));
        while let Some((_, directory)) = waiting.pop_first() {
            let may_go = restored.is_none_or(|restored| restored.made.contains(&directory));
            if !may_go || kept.contains(&directory) {
                continue;
            }
            let fail = |error| root.stop("list", &directory, error);
            let dir = match root.directory(Some(&directory)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) if root::is_no_directory(&error) => continue,
                result => result.map_err(fail)?,
            };
            let all_gone = dir.names().map_err(fail)?.into_iter().all(|name| {
                let mut path = directory.as_bytes().to_vec();
                path.push(b'/');
                path.extend(name);
                RelPath::new(path).is_ok_and(|path| gone.contains(&path))
            });
            if all_gone {
                let mode = dir.stat_self().map_err(fail)?.mode;
                waiting.extend(directory.parent().map(|parent| (depth(&parent), parent)));
                gone.insert(directory.clone());
                self.emptied.push(DirectoryRecord {
                    path: directory,
                    mode,
                    exact: true,
                });
            }
        }
        Ok(())
    }
}

/// The path or the one above it that is among some.
fn at_or_above(path: &RelPath, some: &BTreeSet<RelPath>) -> Option<RelPath> {
    if some.is_empty() {
        return None;
    }
    std::iter::successors(Some(path.clone()), RelPath::parent).find(|path| some.contains(path))
}

fn is_directory(root: &Root, path: &RelPath) -> Result<bool, Stop> {
    match root.directory(Some(path)) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(match root::refusal(path, &error) {
            Some(refusal) if refusal.code == Code::NotAFile => Refusal::new(
                Code::NotAFile,
                format!("{path} is a file, so nothing can be below it"),
            )
            .in_file(path)
            .into(),
            _ => root.stop("open", path, error),
        }),
    }
}

/// What the new file takes over from the one that its bytes come from.
fn wanted(change: &FileChange, loaded: &Loaded, after: &After) -> Option<Wanted> {
    change.source.as_ref()?;
    let like = change.from.as_ref().or(change.dressed_as.as_ref());
    let FileInfo {
        meta, attributes, ..
    } = loaded.found(like.unwrap_or(&change.path))?;
    // Mode and attributes of a link are nobody's to choose; what becomes one, or ends to be one, is
    // a new file.
    if (meta.kind == FileKind::Symlink) != after.link {
        return None;
    }
    let mode = match (after.executable, meta.mode & 0o100 != 0) {
        _ if after.link => meta.mode,
        (true, false) => meta.mode | (meta.mode & 0o444) >> 2,
        (false, true) => meta.mode & !0o111,
        _ => meta.mode,
    };
    Some(match change.kind {
        // A copy is a file of its own: it belongs to who made it, and is nobody's privilege.
        ChangeKind::Copied => Wanted {
            mode: mode & 0o777,
            owner: None,
            attributes: Vec::new(),
        },
        _ => Wanted {
            mode,
            owner: Some((meta.uid, meta.gid)),
            attributes: attributes.clone(),
        },
    })
}
