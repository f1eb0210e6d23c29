//! Whether every step of an installation can work, found out before the first byte is staged.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Code, Error, Hint, Refusal, Stop};
use crate::operation::{Action, Batch};
use crate::path::RelPath;
use crate::plan::Entry;
use crate::workspace::commit::layout::Layout;
use crate::workspace::disk::{self, FileKind, Meta};
use crate::workspace::options::ApplyOptions;
use crate::workspace::read::load::{self, GRAIN, Loaded, PARALLEL};
use crate::workspace::root::{self, Root};
use crate::workspace::state::{Held, fail};

/// How a transaction can be installed.
#[derive(Debug)]
pub(crate) struct Survey {
    /// By place: whether its slot cannot lie in the journal's directory.
    pub(crate) beside: Vec<bool>,
    pub(crate) delays_allocation: bool,
}

/// Takes out of a loaded tree what may be read but not replaced, for the files that a batch
/// writes to.
pub(crate) fn restrict(loaded: &mut Loaded, batch: &Batch, options: &ApplyOptions<'_>) {
    let mut last: Option<&RelPath> = None;
    for operation in &batch.operations {
        // A copy leaves its source alone.
        if matches!(operation.action, Action::CopyFile { .. }) || last == Some(&operation.file) {
            continue;
        }
        last = Some(&operation.file);
        let path = &operation.file;
        restrict_path(loaded, path, operation.link, options);
    }
    if !options.policy.overwrite {
        return;
    }
    for operation in &batch.operations {
        if let Action::RenameFile { to } | Action::CopyFile { to } = &operation.action {
            restrict_path(loaded, to, operation.link, options);
        }
    }
}

fn restrict_path(loaded: &mut Loaded, path: &RelPath, link: bool, options: &ApplyOptions<'_>) {
    let Some(found) = loaded.found(path) else {
        return;
    };
    // What does not mean the link is refused already.
    if found.meta.kind == FileKind::Symlink && !link {
        return;
    }
    if let Some(refusal) = irreplaceable(path, &found.meta, options) {
        let refusal = Entry::Refused(Box::new(refusal));
        loaded.tree.insert(path.clone(), refusal);
    }
}

/// Why no other file may take a file's place.
pub(crate) fn irreplaceable(
    path: &RelPath,
    meta: &Meta,
    options: &ApplyOptions<'_>,
) -> Option<Refusal> {
    let refuse = |code, message: String| Some(Refusal::new(code, message).in_file(path));
    let unless = |hint, code, message| refuse(code, message).map(|it| it.with_hint(hint));
    if meta.mount_root {
        return refuse(
            Code::MountPoint,
            format!("{path} is a mount point, so no other file can take its place"),
        );
    }
    if meta.frozen {
        return refuse(
            Code::ReadOnly,
            format!("{path} is immutable or append-only; clear its attribute first"),
        );
    }
    if meta.links > 1 && !options.break_hard_links {
        return unless(
            Hint::BreakHardLinks,
            Code::HardLinked,
            format!(
                "{path} has {} hard links, and replacing it would detach this one",
                meta.links
            ),
        );
    }
    if meta.mode & 0o200 == 0 && !options.force_read_only {
        return unless(
            Hint::ForceReadOnly,
            Code::ReadOnly,
            format!("{path} is read-only"),
        );
    }
    let user = disk::effective_user();
    if user != 0 && meta.uid != user && !options.allow_owner_change {
        return unless(
            Hint::AllowOwnerChange,
            Code::Ownership,
            format!(
                "{path} is owned by user {}, and its owner cannot be preserved",
                meta.uid
            ),
        );
    }
    None
}

/// Looks at the directories that a layout works in.
pub(crate) fn survey(root: &Root, held: &Held, layout: &Layout<'_>) -> Result<Survey, Stop> {
    let io = |error| fail("look at", "txn", error);
    let journal = held.txn.stat_self().map_err(io)?;
    let made: BTreeSet<&RelPath> = layout.made.iter().map(|made| &made.path).collect();
    let mut directories: Vec<Directory<'_>> = Vec::new();
    let mut known: BTreeMap<Option<RelPath>, usize> = BTreeMap::new();
    let mut of_place: Vec<Option<usize>> = Vec::with_capacity(layout.places.len());
    // Neighbours mostly share a directory.
    let mut last: Option<(Option<RelPath>, usize)> = None;
    for place in &layout.places {
        let Some(path) = &place.path else {
            of_place.push(None);
            continue;
        };
        if let Some((parent, index)) = &last
            && path.is_in(parent.as_ref())
        {
            of_place.push(Some(*index));
            continue;
        }
        let mut parent = path.parent();
        let own = parent.clone();
        while let Some(missing) = parent.as_ref().filter(|parent| made.contains(parent)) {
            parent = missing.parent();
        }
        let index = *known.entry(parent).or_insert_with_key(|parent| {
            directories.push(Directory {
                path: parent.clone(),
                first: path,
            });
            directories.len() - 1
        });
        last = Some((own, index));
        of_place.push(Some(index));
    }
    let mut seen = look_at_all(root, &directories, &journal)?;
    seen.sort_unstable_by_key(|seen| seen.index);
    for (place, index) in layout.places.iter().zip(&of_place) {
        if let (Some(path), Some((old, _)), Some(index)) = (&place.path, &place.old, index) {
            check_sticky(path, old, &seen[*index].meta)?;
        }
    }
    let beside = of_place.into_iter();
    Ok(Survey {
        beside: beside
            .map(|index| index.is_some_and(|index| seen[index].is_elsewhere))
            .collect(),
        delays_allocation: held.txn.delays_allocation(),
    })
}

/// A directory in which something changes.
struct Directory<'a> {
    /// `None` for the root.
    path: Option<RelPath>,
    /// The first path that changes in it, for messages.
    first: &'a RelPath,
}

/// What was seen of a directory.
struct Seen {
    index: usize,
    meta: Meta,
    /// Whether it lies on another mount than the journal.
    is_elsewhere: bool,
}

fn look_at_all(
    root: &Root,
    directories: &[Directory<'_>],
    journal: &Meta,
) -> Result<Vec<Seen>, Stop> {
    let look = |index: usize| {
        let Directory { path, first } = &directories[index];
        let meta = look_at(root, path.as_ref(), first)?;
        Ok(Seen {
            index,
            meta,
            is_elsewhere: meta.mount != journal.mount,
        })
    };
    if directories.len() < 4 * PARALLEL {
        return (0..directories.len()).map(look).collect();
    }
    load::in_parallel(directories.len(), GRAIN, look)
}

/// Opens the directory that something changes in, and checks that it can be changed.
fn look_at(root: &Root, parent: Option<&RelPath>, path: &RelPath) -> Result<Meta, Stop> {
    let dir = root.directory(parent).map_err(|error| {
        root::refusal(path, &error).map_or_else(
            || Error::io("open", root.path.join(path.as_path()), error).into(),
            Stop::from,
        )
    })?;
    let io = |error| Error::io("look at", root.path.join(path.as_path()), error);
    let meta = dir.stat_self().map_err(io)?;
    let shown = parent.map_or_else(|| ".".to_owned(), ToString::to_string);
    if meta.frozen || !dir.is_writable(b".").map_err(io)? {
        return Err(Refusal::new(
            Code::ReadOnly,
            format!("{path} cannot be replaced: its directory {shown} is read-only"),
        )
        .in_file(path)
        .into());
    }
    Ok(meta)
}

/// In a directory like `/tmp` only its owner can move a file.
fn check_sticky(path: &RelPath, file: &Meta, directory: &Meta) -> Result<(), Stop> {
    if directory.mode & 0o1000 == 0 {
        return Ok(());
    }
    let user = disk::effective_user();
    if user == 0 || [file.uid, directory.uid].contains(&user) {
        return Ok(());
    }
    Err(Refusal::new(
        Code::Ownership,
        format!("{path} belongs to another user in a directory where only they can replace it"),
    )
    .in_file(path)
    .into())
}
