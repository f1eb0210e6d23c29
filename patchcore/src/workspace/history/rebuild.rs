//! The log carried out again: from the first snapshot to what its last transaction left, in another
//! directory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use crate::digest::Digest;
use crate::error::{Code, Error, Refusal, Stop};
use crate::path::RelPath;
use crate::plan::ChangeKind;
use crate::workspace::Workspace;
use crate::workspace::disk::Dir;
use crate::workspace::history::audit::{ForeignChange, History};
use crate::workspace::read::load;
use crate::workspace::state::StateDir;
use crate::workspace::state::chain::{self, End};
use crate::workspace::state::log::Log;
use crate::workspace::state::record::{Identity, Method, Record, TransactionId, TransactionState};
use crate::workspace::state::snapshot::{self, Listing, Stored};
use crate::workspace::state::state_path;

/// What was rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Records that were carried out again.
    pub records: usize,
    /// Regular files and links in the directory.
    pub files: usize,
    /// Whether it began with a snapshot of the whole tree. Without one, it holds the files alone that
    /// the log knows.
    pub from_snapshot: bool,
    /// Changes by somebody else that a later transaction found, and that are taken over from it.
    pub foreign: Vec<ForeignChange>,
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// An object of the snapshots, if anywhere.
    Stored,
    /// A pre-image in the log.
    PreImage(TransactionId, u32),
    /// What a transaction made of its pre-image: the change with this index.
    Made(TransactionId, usize),
}

/// A file as it is by now.
#[derive(Debug, Clone, Copy)]
struct File {
    digest: Digest,
    link: bool,
    mode: u32,
    origin: Origin,
}

impl File {
    fn of(identity: &Identity, origin: Origin) -> Self {
        Self {
            digest: identity.digest,
            link: identity.link,
            mode: identity.mode,
            origin,
        }
    }
}

/// The tree in the course of the log.
#[derive(Debug, Default)]
struct Replay {
    files: BTreeMap<RelPath, File>,
    /// With their permission bits, where these are known.
    directories: BTreeMap<RelPath, Option<u32>>,
    history: History,
    foreign: Vec<ForeignChange>,
    records: usize,
    /// Whether it began with a snapshot of the whole tree.
    from_snapshot: bool,
}

impl Workspace {
    /// Carries the log out again, from the first snapshot of the whole tree where there is one, and
    /// writes what its last transaction left into an empty directory: every file bit for bit, with
    /// its permission bits, and the directories.
    ///
    /// Each record's edits are applied to its pre-images, and must lead to the hashes that it tells.
    ///
    /// # Errors
    /// `FILE_EXISTS` where the directory is not empty; `SNAPSHOT_MISSING` where the log has a gap, or
    /// bytes are in it no longer; `IO` where a record is damaged, or something cannot be read or
    /// written.
    pub fn rebuild(&self, into: &Path) -> Result<Rebuilt, Stop> {
        let failed = |error| Error::io("open", into, error);
        let target = Dir::open_root(into).map_err(failed)?;
        if !target.names().map_err(failed)?.is_empty() {
            let message = format!("{} is not empty; name a new directory", into.display());
            return Err(Refusal::new(Code::FileExists, message).into());
        }
        let replay = self.read_steadily(crate::workspace::LOCK_WAIT, |state| {
            Ok(state.map(|state| self.replay(state)))
        })?;
        let replay = replay.transpose()?.unwrap_or_default();
        if let Some(state) = self.state()? {
            let stored = Stored::open(&state)?;
            replay.write(self, &self.log()?, stored.as_ref(), &target, into)?;
        }
        Ok(Rebuilt {
            records: replay.records,
            files: replay.files.len(),
            from_snapshot: replay.from_snapshot,
            foreign: replay.foreign,
        })
    }

    /// Follows the log to its end.
    fn replay(&self, state: &StateDir) -> Result<Replay, Stop> {
        let first = snapshot::first(state)?;
        let mut replay = Replay {
            from_snapshot: first.is_some(),
            ..Replay::default()
        };
        let head = first.and_then(|(header, listing)| {
            replay.begin(header.id, listing);
            header.head
        });
        let last = replay.follow_all(&self.log()?, head)?;
        let message = match chain::end(state, last)? {
            // What the snapshot holds is known; and without one, what is known begins with the log.
            End::Removed(end) if last.is_some() && head.is_none_or(|head| end > head) => {
                format!("gc removed the records up to transaction {end} from the log")
            }
            End::Missing(end) => {
                format!("transaction {end} is missing in the log, though it was the last one")
            }
            End::Removed(_) | End::Whole => return Ok(replay),
        };
        Err(Refusal::new(Code::SnapshotMissing, message).into())
    }
}

impl Replay {
    fn begin(&mut self, id: TransactionId, listing: Listing) {
        for (path, row) in listing.files {
            self.history.knows(&path, id, row.digest, row.link);
            let file = File {
                digest: row.digest,
                link: row.link,
                mode: row.mode,
                origin: Origin::Stored,
            };
            self.files.insert(path, file);
        }
        let directories = listing.directories.into_iter();
        self.directories = directories.map(|(path, mode)| (path, Some(mode))).collect();
    }

    /// Carries out what lies behind the snapshot; gives the last record of the log.
    fn follow_all(
        &mut self,
        log: &Log,
        head: Option<TransactionId>,
    ) -> Result<Option<TransactionId>, Stop> {
        let mut before = None;
        for transaction in log.transactions()? {
            // What was not written here says nothing.
            let Some(record) = log.read(&transaction)? else {
                continue;
            };
            let is_behind = head.is_none_or(|head| transaction > head);
            let previous = record.previous.map(|previous| previous.transaction);
            // Without a snapshot, what comes first is where it begins.
            let is_start = before.is_none() && (!self.from_snapshot || previous == head);
            if is_behind && previous != before && !is_start {
                let message = format!(
                    "the log has a gap before transaction {transaction}, so what came of it is not known"
                );
                return Err(Refusal::new(Code::SnapshotMissing, message).into());
            }
            before = Some(transaction);
            if is_behind && record.state == TransactionState::Committed {
                self.follow(log, &record)?;
            }
        }
        Ok(before)
    }

    fn follow(&mut self, log: &Log, record: &Record) -> Result<(), Stop> {
        self.records += 1;
        self.history.follow(record, &mut self.foreign);
        let transaction = record.transaction;
        let state = state_path();
        let steps = || {
            let steps = record.journal.steps.iter();
            steps.filter(|step| !step.path.lies_below(&state))
        };
        let touched: BTreeSet<&RelPath> = steps().map(|step| &step.path).collect();
        // Where a directory had become a file meanwhile, or the other way around, what the log knew
        // there is gone.
        for step in steps().filter(|step| step.old.is_some()) {
            self.make_way(&step.path, transaction, &touched);
        }
        for step in steps() {
            let Some(old) = &step.old else {
                self.files.remove(&step.path);
                continue;
            };
            let known = self.files.get(&step.path);
            if known.is_none_or(|known| (known.digest, known.link) != (old.digest, old.link)) {
                let origin = Origin::PreImage(transaction, step.slot);
                self.files.insert(step.path.clone(), File::of(old, origin));
            }
        }
        let made = self.made(log, record)?;
        let mut left = Vec::new();
        for step in steps() {
            let file = step.new.as_ref().map(|new| {
                let same = self.files.get(&step.path);
                let same = same.filter(|old| (old.digest, old.link) == (new.digest, new.link));
                let same = same.map(|old| old.origin);
                let origin = made.get(&step.path).copied().or(same);
                File::of(new, origin.unwrap_or(Origin::Stored))
            });
            left.push((&step.path, file));
        }
        for (path, file) in left {
            match file {
                Some(file) => {
                    self.make_way(path, transaction, &touched);
                    self.files.insert(path.clone(), file);
                }
                None => drop(self.files.remove(path)),
            }
        }
        self.follow_directories(record);
        Ok(())
    }

    /// Where what a record left can be made again from.
    fn made<'r>(
        &self,
        log: &Log,
        record: &'r Record,
    ) -> Result<BTreeMap<&'r RelPath, Origin>, Stop> {
        let transaction = record.transaction;
        let mut made = BTreeMap::new();
        for (index, change) in record.changes.iter().enumerate() {
            let Some(after) = change.after else { continue };
            let whole = !change.edits.iter().any(|edit| edit.is_cut());
            if whole && change.kind != ChangeKind::Copied && !after.link {
                if log.post_image(record, change)?.is_none() {
                    let message = format!(
                        "the edits of {} in transaction {transaction} do not lead to what it left",
                        change.path
                    );
                    let refusal = Refusal::new(Code::SnapshotMissing, message);
                    return Err(refusal.in_file(&change.path).into());
                }
                made.insert(&change.path, Origin::Made(transaction, index));
            } else if let Some(from) = &change.from
                && let Some(from) = self.files.get(from)
                && from.digest == after.digest
            {
                made.insert(&change.path, from.origin);
            }
        }
        Ok(made)
    }

    fn follow_directories(&mut self, record: &Record) {
        let transaction = record.transaction;
        for emptied in &record.journal.emptied {
            self.directories.remove(&emptied.path);
        }
        let is_observed = record.journal.method == Method::Observed;
        for made in &record.journal.made {
            if self.files.contains_key(&made.path) {
                self.lose(&made.path, transaction);
            }
            // What the umask took away is in no record.
            let is_known = made.exact || is_observed || made.mode != 0o777;
            (self.directories).insert(made.path.clone(), is_known.then_some(made.mode));
        }
    }

    /// Takes out what cannot be there beside a file at a path: files above it, and all below it.
    fn make_way(
        &mut self,
        path: &RelPath,
        transaction: TransactionId,
        touched: &BTreeSet<&RelPath>,
    ) {
        let above = std::iter::successors(path.parent(), RelPath::parent);
        let above = above.filter(|above| self.files.contains_key(above));
        let below = |path: &RelPath, other: &RelPath| other.lies_below(path);
        let starts = |other: &RelPath| other.as_bytes().starts_with(path.as_bytes());
        let files = self.files.range(path.clone()..).map(|(other, _)| other);
        let files = files.take_while(|other| starts(other));
        let in_the_way = above.chain(files.filter(|other| below(path, other)).cloned());
        let in_the_way: Vec<RelPath> = in_the_way
            .filter(|other| !touched.contains(other))
            .collect();
        for other in in_the_way {
            self.lose(&other, transaction);
        }
        let directories = self.directories.range(path.clone()..);
        let directories = directories.map(|(other, _)| other);
        let directories = directories.take_while(|other| starts(other));
        let gone = directories.filter(|other| *other == path || below(path, other));
        let gone: Vec<RelPath> = gone.cloned().collect();
        for directory in gone {
            self.directories.remove(&directory);
        }
    }

    /// Takes out a file that somebody else removed.
    fn lose(&mut self, path: &RelPath, transaction: TransactionId) {
        self.files.remove(path);
        self.history.lose(path, transaction, &mut self.foreign);
    }

    /// The permission bits of a directory: those that the log knows, or else those that it has in the
    /// tree.
    fn mode_of(&self, workspace: &Workspace, path: &RelPath) -> Option<u32> {
        if let Some(mode) = self.directories.get(path).copied().flatten() {
            return Some(mode);
        }
        let there = workspace.root.directory(Some(path)).ok()?;
        Some(there.stat_self().ok()?.mode)
    }

    fn write(
        &self,
        workspace: &Workspace,
        log: &Log,
        stored: Option<&Stored>,
        target: &Dir,
        into: &Path,
    ) -> Result<(), Stop> {
        let io = |path: &RelPath, error| Error::io("write", into.join(path.as_path()), error);
        let mut wanted: BTreeSet<RelPath> = self.directories.keys().cloned().collect();
        for path in self.files.keys() {
            wanted.extend(std::iter::successors(path.parent(), RelPath::parent));
        }
        let modes: BTreeMap<&RelPath, u32> = (wanted.iter())
            .filter_map(|path| Some((path, self.mode_of(workspace, path)?)))
            .collect();
        for path in &wanted {
            let parent = parent_of(target, path).map_err(|error| io(path, error))?;
            let parent = parent.as_ref().unwrap_or(target);
            // Where nobody knows its permission bits, they are those of a new directory.
            let is_known = modes.contains_key(path);
            let mode = if is_known { 0o700 } else { 0o777 };
            parent
                .make_directory(path.file_name(), mode)
                .map_err(|error| io(path, error))?;
        }
        for (path, file) in &self.files {
            let bytes = bytes_of(workspace, log, stored, path, file)?;
            let put = || -> io::Result<()> {
                let parent = parent_of(target, path)?;
                let parent = parent.as_ref().unwrap_or(target);
                if file.link {
                    return parent.make_link(path.file_name(), &bytes);
                }
                let new = parent.create(path.file_name(), 0o600)?;
                new.write_chunks([&*bytes].into_iter())?;
                new.set_mode(file.mode)
            };
            put().map_err(|error| io(path, error))?;
        }
        // Those below come first: a directory may be closed to its owner.
        for (path, mode) in modes.into_iter().rev() {
            let parent = parent_of(target, path).map_err(|error| io(path, error))?;
            let parent = parent.as_ref().unwrap_or(target);
            parent
                .set_directory_mode(path.file_name(), mode)
                .map_err(|error| io(path, error))?;
        }
        Ok(())
    }
}

/// The directory of a path that was written before; `None` for the target itself.
fn parent_of(target: &Dir, path: &RelPath) -> io::Result<Option<Dir>> {
    let mut dir: Option<Dir> = None;
    let Some(parent) = path.parent() else {
        return Ok(None);
    };
    for component in parent.components() {
        let open = dir.as_ref().unwrap_or(target);
        let fd = open.open_at(component, crate::workspace::disk::Open::Directory)?;
        dir = Some(Dir(fd));
    }
    Ok(dir)
}

/// The bytes of a file, from wherever they are whole: what a record makes of its pre-image, the
/// snapshots, the tree as it is.
fn bytes_of(
    workspace: &Workspace,
    log: &Log,
    stored: Option<&Stored>,
    path: &RelPath,
    file: &File,
) -> Result<Vec<u8>, Stop> {
    let by_origin = match file.origin {
        Origin::Stored => None,
        Origin::PreImage(transaction, slot) => log.pre_image(&transaction, slot)?,
        Origin::Made(transaction, index) => match log.read(&transaction)? {
            Some(record) => log.post_image(&record, &record.changes[index])?,
            None => None,
        },
    };
    let is_it = |bytes: &Vec<u8>| Digest::of(bytes) == file.digest;
    if let Some(bytes) = by_origin.filter(is_it) {
        return Ok(bytes);
    }
    if let Some(stored) = stored
        && let Some(bytes) = stored.get(&file.digest)?
    {
        return Ok(bytes);
    }
    let tree = load::load(&workspace.root, std::slice::from_ref(path))?.tree;
    let standing = tree.standing(path).map(|source| source.bytes().to_vec());
    if let Some(bytes) = standing.filter(is_it) {
        return Ok(bytes);
    }
    let message = format!("nothing holds {path} any longer as the log left it");
    Err(Refusal::new(Code::SnapshotMissing, message)
        .in_file(path)
        .into())
}
