//! The difference of two listings, as the changes of a batch.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use super::Header;
use crate::bytes;
use crate::diff;
use crate::digest::Digest;
use crate::edit::{Edit, EditSet};
use crate::error::Error;
use crate::operation::{Action, Batch, Operation};
use crate::path::RelPath;
use crate::plan::{After, ChangeKind, FileChange, FileState, Source, Touch, Verdict};
use crate::workspace::commit::layout::{Content, Placement, Wanted};
use crate::workspace::disk::earlier;
use crate::workspace::root::{Root, is_no_directory};
use crate::workspace::state::log::Log;
use crate::workspace::state::record::{
    CommandRecord, DirectoryRecord, Identity, Record, Step, TransactionId, TransactionState,
};
use crate::workspace::state::snapshot::{Listing, Objects, Row};
use crate::workspace::state::state_path;

/// What a command did.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) changes: Vec<FileChange>,
    /// What changed and could not be recorded.
    pub(super) warnings: Vec<String>,
}

impl Observed {
    /// Every path that was changed, and where files came from.
    pub(super) fn paths(&self) -> Vec<RelPath> {
        let changes = self.changes.iter();
        let paths = changes.flat_map(|change| [Some(&change.path), change.from.as_ref()]);
        paths.flatten().cloned().collect()
    }
}

/// Directories that came, parents first, and that went, children first.
pub(super) type Directories = (Vec<DirectoryRecord>, Vec<DirectoryRecord>);

/// The time since a run was begun, as the log shows it.
pub(super) struct Since {
    /// The run's listing, with what was committed since.
    pub(super) listing: Listing,
    /// The records of the run itself, oldest first.
    pub(super) earlier: Vec<Record>,
    /// Files that a transaction found otherwise than they were known, and as what they were known.
    pub(super) hidden: Vec<(RelPath, Row, TransactionId)>,
}

/// A run's listing, with what the log shows to have been committed since.
pub(super) fn with_commits(
    mut listing: Listing,
    log: &Log,
    header: &Header,
) -> Result<Since, Error> {
    let (mut earlier, mut hidden) = (Vec::new(), Vec::new());
    for transaction in log.transactions()? {
        if header.head.is_some_and(|head| transaction <= head) {
            continue;
        }
        match log.read(&transaction)? {
            Some(record) if record.state == TransactionState::Committed => {
                // A run that was begun before ours begins with what was there before.
                let is_older = |run: &CommandRecord| run.id < header.id;
                if !record.command.as_ref().is_some_and(is_older) {
                    hidden.extend(hides(&listing, &record));
                }
                commit(&mut listing, &record);
                if (record.command.as_ref()).is_some_and(|run| run.id == header.id) {
                    earlier.push(record);
                }
            }
            _ => {}
        }
    }
    Ok(Since {
        listing,
        earlier,
        hidden,
    })
}

/// The files that a record found otherwise than the listing has them. What each run did is recorded
/// before another batch changes it, but not what is written in the moment between.
fn hides(listing: &Listing, record: &Record) -> Vec<(RelPath, Row, TransactionId)> {
    let steps = record.journal.steps.iter();
    let hidden = steps.filter_map(|step| {
        let known = listing.files.get(&step.path)?;
        let found = step.old.as_ref().map(|old| row(old, None));
        let is_other = found.is_none_or(|found| !found.is_same(known));
        is_other.then(|| (step.path.clone(), *known, record.transaction))
    });
    hidden.collect()
}

/// What a record found, and what it left, at the paths that it touched.
pub(super) fn around(record: &Record) -> (Listing, Listing) {
    let (mut before, mut after) = (Listing::default(), Listing::default());
    for step in &record.journal.steps {
        for (listing, identity) in [(&mut before, &step.old), (&mut after, &step.new)] {
            if let Some(identity) = identity {
                (listing.files).insert(step.path.clone(), row(identity, None));
            }
        }
    }
    (before, after)
}

/// What a record left at each path.
fn commit(listing: &mut Listing, record: &Record) {
    let journal = &record.journal;
    let state = state_path();
    // The state is no part of a snapshot.
    let steps = (journal.steps.iter()).filter(|step| !step.path.lies_below(&state));
    let comes_from = |path: &RelPath| {
        let mut changes = record.changes.iter();
        let change = changes.find(|change| change.path == *path);
        change.and_then(|change| change.from.as_ref())
    };
    // A new file belongs to whom the one that it replaces belonged to.
    let owner = |step: &Step| {
        let of = |path: &RelPath| listing.files.get(path).map(|row| row.owner);
        let moved = || comes_from(&step.path).and_then(of);
        of(&step.path).or_else(moved).flatten()
    };
    let left: Vec<(RelPath, Option<Row>)> = steps
        .map(|step| {
            let row = step.new.as_ref().map(|new| row(new, owner(step)));
            (step.path.clone(), row)
        })
        .collect();
    for (path, row) in left {
        match row {
            Some(row) => listing.files.insert(path, row),
            None => listing.files.remove(&path),
        };
    }
    for made in &journal.made {
        listing.directories.insert(made.path.clone(), made.mode);
    }
    for emptied in &journal.emptied {
        listing.directories.remove(&emptied.path);
    }
}

pub(super) fn row(new: &Identity, owner: Option<(u32, u32)>) -> Row {
    Row {
        link: new.link,
        mode: new.mode,
        owner,
        size: new.size,
        ino: new.ino,
        mtime: new.mtime,
        ctime: [0, 0],
        digest: new.digest,
    }
}

/// What changed between two listings.
pub(super) fn compare(base: &Listing, now: &Listing, objects: &Objects) -> Result<Observed, Error> {
    let mut observed = Observed::default();
    let (mut gone, mut come, mut changed) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut new = now.files.iter().peekable();
    for (path, old) in &base.files {
        while let Some((other, row)) = new.next_if(|(other, _)| *other < path) {
            come.insert(other, row);
        }
        match new.next_if(|(other, _)| *other == path) {
            Some((_, row)) if !old.is_same(row) => changed.push((path, old, row)),
            Some(_) => {}
            None if is_left_out(now, path) => observed.warnings.push(format!(
                "{path} is not a regular file any more, cannot be read, or is larger than 1 GiB; its change is not recorded"
            )),
            None => {
                gone.insert(path, old);
            }
        }
    }
    come.extend(new);
    let renamed = renames(&gone, &come);
    for (from, to) in &renamed {
        gone.remove(from);
        let row = come.remove(to);
        let Some(row) = row else { continue };
        if let Some(old) = source(objects, &base.files[*from])? {
            observed.add(renaming(from, to, old, row));
        } else {
            observed.lose(from);
        }
    }
    for (path, row) in gone {
        match source(objects, row)? {
            Some(old) => observed.add(FileChange::deletion(path.clone(), &old, 0)),
            None => observed.lose(path),
        }
    }
    for (path, row) in come {
        match source(objects, row)? {
            Some(new) => observed.add(creation(path, &new)),
            None => observed.lose(path),
        }
    }
    for (path, old, row) in changed {
        match (source(objects, old)?, source(objects, row)?) {
            (Some(old), Some(new)) => observed.add(modification(path, &old, &new)),
            _ => observed.lose(path),
        }
    }
    observed.changes.sort_by(|a, b| a.path.cmp(&b.path));
    for (index, change) in observed.changes.iter_mut().enumerate() {
        for touch in &mut change.touches {
            touch.operation = index;
        }
    }
    Ok(observed)
}

impl Observed {
    fn add(&mut self, change: FileChange) {
        self.changes.push(change);
    }

    fn lose(&mut self, path: &RelPath) {
        self.warnings.push(format!(
            "{path} changed, but its bytes from before are gone from the snapshot; the change is not recorded"
        ));
    }
}

/// Whether a path, or a directory above it, was not looked at.
fn is_left_out(now: &Listing, path: &RelPath) -> bool {
    let above = std::iter::successors(Some(path.clone()), RelPath::parent);
    above
        .into_iter()
        .any(|path| now.left_out.binary_search(&path).is_ok())
}

/// Files that went from one path and came to another, where bytes tell which: they are not empty,
/// and one file alone went with them and one alone came.
fn renames<'a>(
    gone: &BTreeMap<&'a RelPath, &Row>,
    come: &BTreeMap<&'a RelPath, &Row>,
) -> Vec<(&'a RelPath, &'a RelPath)> {
    type FileInfo<'a> = HashMap<(Digest, bool), Vec<&'a RelPath>>;
    let by_bytes = |files: &BTreeMap<&'a RelPath, &Row>| {
        let mut found: FileInfo<'a> = HashMap::new();
        for (path, row) in files {
            if row.size > 0 {
                found.entry((row.digest, row.link)).or_default().push(path);
            }
        }
        found
    };
    let come = by_bytes(come);
    let mut renames: Vec<_> = by_bytes(gone)
        .into_iter()
        .filter_map(|(bytes, from)| match (&*from, &**come.get(&bytes)?) {
            ([from], [to]) => Some((*from, *to)),
            _ => None,
        })
        .collect();
    renames.sort_unstable();
    renames
}

/// A file as a listing says it was.
fn source(objects: &Objects<'_>, row: &Row) -> Result<Option<Arc<Source>>, Error> {
    let bytes = objects.get(&row.digest)?;
    Ok(bytes.map(|bytes| {
        Arc::new(match row.link {
            true => Source::link(bytes),
            false => Source::new(bytes, row.mode & 0o100 != 0),
        })
    }))
}

fn blank(path: &RelPath, kind: ChangeKind) -> FileChange {
    FileChange {
        path: path.clone(),
        from: None,
        kind,
        source: None,
        dressed_as: None,
        edits: EditSet::default(),
        before: None,
        after: None,
        touches: Vec::new(),
        lines_added: 0,
        lines_removed: 0,
    }
}

fn renaming(from: &RelPath, to: &RelPath, old: Arc<Source>, row: &Row) -> FileChange {
    let state = FileState {
        executable: !row.link && row.mode & 0o100 != 0,
        ..old.state()
    };
    FileChange {
        from: Some(from.clone()),
        source: Some(old),
        after: Some(After::hashed(state)),
        touches: vec![Touch {
            operation: 0,
            edit: 0,
            added: 0,
            removed: 0,
        }],
        ..blank(to, ChangeKind::Renamed)
    }
}

pub(crate) fn creation(path: &RelPath, new: &Arc<Source>) -> FileChange {
    let edits = match new.bytes() {
        b"" => Vec::new(),
        bytes => vec![Edit::insert(0, bytes)],
    };
    let edits = EditSet::new(edits, 0).expect("one edit");
    change(blank(path, ChangeKind::Created), b"", edits, new)
}

pub(crate) fn modification(path: &RelPath, old: &Arc<Source>, new: &Arc<Source>) -> FileChange {
    let (before, after) = (old.bytes(), new.bytes());
    let edits = match old.is_link() == new.is_link() {
        true => diff::edits(before, after),
        false => EditSet::new(vec![Edit::replace(0..before.len(), after)], before.len())
            .expect("one edit of all bytes"),
    };
    let kind = match edits.is_empty() {
        true => ChangeKind::Mode,
        false => ChangeKind::Modified,
    };
    let blank = FileChange {
        source: Some(old.clone()),
        before: Some(old.clone()),
        ..blank(path, kind)
    };
    change(blank, before, edits, new)
}

fn change(blank: FileChange, before: &[u8], edits: EditSet, new: &Arc<Source>) -> FileChange {
    let touches: Vec<Touch> = edits
        .as_slice()
        .iter()
        .enumerate()
        .map(|(edit, it)| Touch {
            operation: 0,
            edit,
            added: lines(&it.text),
            removed: lines(&before[it.span.clone()]),
        })
        .collect();
    FileChange {
        lines_added: touches.iter().map(|touch| touch.added).sum(),
        lines_removed: touches.iter().map(|touch| touch.removed).sum(),
        edits,
        after: Some(After::hashed(new.state())),
        touches,
        ..blank
    }
}

/// Lines of text; one without a newline at its end counts.
fn lines(text: &[u8]) -> usize {
    bytes::count(b'\n', text) + usize::from(!text.is_empty() && !text.ends_with(b"\n"))
}

/// The batch that would have done the same.
pub(crate) fn batch(changes: &[FileChange], record: &Record) -> Batch {
    let operations = changes.iter().map(operation).collect();
    let mut batch = Batch::new(operations, record.content);
    batch.labels = Arc::new(record.labels.clone());
    batch
}

fn operation(change: &FileChange) -> Operation {
    let executable = change.after.as_ref().is_some_and(|after| after.executable);
    let (file, action) = match (change.kind, &change.from) {
        (ChangeKind::Renamed, Some(from)) => (
            from,
            Action::RenameFile {
                to: change.path.clone(),
            },
        ),
        (ChangeKind::Created, _) => (
            &change.path,
            Action::CreateFile {
                content: Vec::new(),
                executable,
            },
        ),
        (ChangeKind::Deleted, _) => (&change.path, Action::DeleteFile { expect: None }),
        (ChangeKind::Mode, _) => (&change.path, Action::SetMode { executable }),
        _ => (&change.path, Action::Splice(Vec::new())),
    };
    Operation::new(file.clone(), action)
}

/// Everything was done.
pub(crate) fn verdicts(batch: &Batch) -> Vec<Verdict> {
    let operations = batch.operations.iter();
    operations.map(|it| Verdict::passed(batch, it)).collect()
}

/// What was left out of a listing and is nowhere any more, where files came that are older than the
/// listing: they may have come of it.
pub(super) fn gone<'a>(base: &'a Listing, now: &'a Listing) -> impl Iterator<Item = &'a RelPath> {
    let settled = earlier(base.began);
    let is_old =
        |(path, row): (&RelPath, &Row)| !base.files.contains_key(path) && row.mtime < settled;
    let may_have_moved = now.files.iter().any(is_old);
    let is_there = |path: &RelPath| {
        now.files.contains_key(path) || now.directories.contains_key(path) || is_left_out(now, path)
    };
    let left_out = base.left_out.iter().filter(move |_| may_have_moved);
    left_out.filter(move |path| !is_there(path))
}

/// The directories that came and went.
pub(super) fn directories(base: &Listing, now: &Listing) -> Directories {
    let record = |(path, mode): (&RelPath, &u32)| DirectoryRecord {
        path: path.clone(),
        mode: *mode,
        exact: true,
    };
    let mut made: Vec<_> = (now.directories.iter())
        .filter(|(path, _)| !base.directories.contains_key(*path))
        .map(record)
        .collect();
    let mut emptied: Vec<_> = (base.directories.iter())
        .filter(|(path, _)| !now.directories.contains_key(*path) && !is_left_out(now, path))
        .map(record)
        .collect();
    let depth = |directory: &DirectoryRecord| directory.path.components().count();
    made.sort_by_key(depth);
    emptied.sort_by_key(|directory| std::cmp::Reverse(depth(directory)));
    (made, emptied)
}

/// Which slot of the log's entry holds what.
#[derive(Debug, Default)]
pub(super) struct Layout<'a> {
    pub(super) places: Vec<Placement<'a>>,
    /// What stands at each place now.
    now: Vec<Option<Identity>>,
    /// For each change, the slot of what its edits apply to.
    pub(super) pre_images: Vec<Option<u32>>,
}

/// Lays out the pre-images: a slot for each path, empty where nothing stood.
///
/// Extended attributes are not in a listing: a file that is still there lends its own.
pub(super) fn layout<'a>(
    root: &Root,
    changes: &'a [FileChange],
    base: &Listing,
    now: &Listing,
) -> io::Result<Layout<'a>> {
    let mut layout = Layout::default();
    for change in changes {
        let attributes = match (&change.source, &change.after) {
            (Some(_), Some(_)) => attributes_of(root, &change.path)?,
            _ => Vec::new(),
        };
        let stands = now.files.get(&change.path);
        let old = match &change.from {
            Some(from) => {
                layout.add(&change.path, stands, None);
                let old = base.files.get(from).zip(change.source.as_deref());
                layout.add(from, None, old.map(|(row, old)| (row, old, attributes)))
            }
            None => {
                let old = base.files.get(&change.path).zip(change.source.as_deref());
                let old = old.map(|(row, old)| (row, old, attributes));
                layout.add(&change.path, stands, old)
            }
        };
        let has_old = change.source.is_some();
        layout
            .pre_images
            .push(u32::try_from(old).ok().filter(|_| has_old));
    }
    Ok(layout)
}

type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The extended attributes of a file; none of a link.
fn attributes_of(root: &Root, path: &RelPath) -> io::Result<Attributes> {
    match root.file(path) {
        Ok(Some(file)) => file.attributes(),
        Ok(None) => Ok(Vec::new()),
        Err(error) if is_no_directory(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl<'a> Layout<'a> {
    fn add(
        &mut self,
        path: &RelPath,
        now: Option<&Row>,
        old: Option<(&Row, &'a Source, Attributes)>,
    ) -> usize {
        let new = old.map(|(row, source, attributes)| {
            let content = match row.link {
                true => Content::Link(source.bytes(), row.digest),
                false => Content::Bytes(source.bytes(), row.digest),
            };
            let wanted = Wanted {
                mode: row.mode,
                owner: row.owner,
                attributes,
            };
            (content, Some(wanted))
        });
        self.places.push(Placement {
            path: Some(path.clone()),
            old: None,
            new,
            executable: false,
        });
        self.now.push(now.map(identity));
        self.places.len() - 1
    }

    /// What the journal says of each place.
    pub(super) fn steps(&self, staged: &[Option<Identity>]) -> Vec<Step> {
        let places = self.places.iter().zip(&self.now).zip(staged).enumerate();
        places
            .filter_map(|(slot, ((place, now), old))| {
                Some(Step {
                    path: place.path.clone()?,
                    slot: u32::try_from(slot).expect("at most as many slots as files"),
                    beside: false,
                    old: *old,
                    new: *now,
                })
            })
            .collect()
    }
}

fn identity(row: &Row) -> Identity {
    Identity {
        ino: row.ino,
        size: row.size,
        mtime: row.mtime,
        mode: row.mode,
        digest: row.digest,
        link: row.link,
    }
}
