//! The bytes that an edit was made for, where the file has moved on.
//!
//! They are kept by their hashes: as objects of the snapshots, as pre-images in the log, and as what
//! a transaction made of a pre-image. Whatever is found is hashed before it is believed.

use std::collections::{BTreeSet, HashSet};

use crate::digest::Digest;
use crate::edit::{Edit, EditSet};
use crate::error::Error;
use crate::path::RelPath;
use crate::plan::ChangeKind;
use crate::rebase::BaseName;
use crate::workspace::Workspace;
use crate::workspace::state::StateDir;
use crate::workspace::state::log::Log;
use crate::workspace::state::record::{ChangeRecord, Record, TransactionState};
use crate::workspace::state::snapshot::{self, LastRead, Stored};

/// Most transactions that are looked through, the newest first.
const MAX_RECORDS: usize = 4096;
/// Most bytes that are read and hashed in a search.
const MAX_HASHED: u64 = 256 << 20;

/// A file as it was when an edit was made for it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Base {
    /// All of its bytes.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub digest: Digest,
}

impl Base {
    fn of(bytes: Vec<u8>, digest: Digest) -> Self {
        Self { bytes, digest }
    }
}

impl Workspace {
    /// The bytes of a base of a file, from what the snapshots and the log hold; `None` where nobody
    /// kept them, and where a cut name may be that of several. No lock is needed.
    ///
    /// By SHA-256 any content that was kept is found. By git's name or a tag only what the log and the
    /// snapshots know of that path, and of the names that the file had before: of at most the last
    /// 4,096 transactions, and 256 MiB.
    ///
    /// The file as it is now is not looked at.
    ///
    /// # Errors
    /// `IO` where snapshots or log cannot be read. What is damaged is passed over.
    pub fn base(&self, path: &RelPath, name: &BaseName) -> Result<Option<Base>, Error> {
        let Some(state) = self.state()? else {
            return Ok(None);
        };
        let stored = Stored::open(&state)?;
        let mut search = Search {
            name,
            stored: stored.as_ref(),
            looked_at: HashSet::new(),
            hashed: 0,
            found: None,
        };
        if search.in_snapshots(&state, path)? {
            self.in_log(path, &mut search)?;
        }
        Ok(search.found.flatten())
    }

    /// What an agent was shown last of a file; `None` where nothing is known of it. No lock is
    /// needed.
    ///
    /// # Errors
    /// `IO` where the snapshots cannot be read.
    pub fn last_read(&self, agent: &str, path: &RelPath) -> Result<Option<LastRead>, Error> {
        match self.state()? {
            Some(state) => snapshot::last_read(&state, agent, path),
            None => Ok(None),
        }
    }

    fn in_log(&self, path: &RelPath, search: &mut Search<'_>) -> Result<(), Error> {
        let log = self.log()?;
        // What the file was called then.
        let mut names = BTreeSet::from([path.clone()]);
        for transaction in log.transactions()?.into_iter().rev().take(MAX_RECORDS) {
            // A damaged record says nothing.
            let Ok(Some(record)) = log.read(&transaction) else {
                continue;
            };
            if record.state != TransactionState::Committed {
                continue;
            }
            if !search.in_record(&log, &record, &names)? {
                return Ok(());
            }
            let came = record.changes.iter().filter(|change| {
                change.kind == ChangeKind::Renamed && names.contains(&change.path)
            });
            let from: Vec<RelPath> = came.filter_map(|change| change.from.clone()).collect();
            names.extend(from);
        }
        Ok(())
    }
}

/// A search for a base; each step says whether it goes on.
struct Search<'a> {
    name: &'a BaseName,
    stored: Option<&'a Stored>,
    /// Hashes of contents that were looked at.
    looked_at: HashSet<Digest>,
    hashed: u64,
    /// `Some(None)` where several contents have the name.
    found: Option<Option<Base>>,
}

impl Search<'_> {
    fn in_snapshots(&mut self, state: &StateDir, path: &RelPath) -> Result<bool, Error> {
        let Some(stored) = self.stored else {
            return Ok(true);
        };
        let candidates = match self.name {
            BaseName::Content(digest) => vec![*digest],
            BaseName::Blob(_) | BaseName::Tag(_) => snapshot::known_of(state, path)?,
        };
        for digest in candidates {
            let load = || stored.get(&digest);
            if !self.look_at(digest, load)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn in_record(
        &mut self,
        log: &Log,
        record: &Record,
        names: &BTreeSet<RelPath>,
    ) -> Result<bool, Error> {
        for step in &record.journal.steps {
            let Some(old) = step.old.filter(|_| names.contains(&step.path)) else {
                continue;
            };
            let load = || log.pre_image(&record.transaction, step.slot);
            if !old.link && !self.look_at(old.digest, load)? {
                return Ok(false);
            }
        }
        for change in &record.changes {
            let Some(after) = change.after.filter(|_| names.contains(&change.path)) else {
                continue;
            };
            let load = || log.post_image(record, change);
            if !after.link && !self.look_at(after.digest, load)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks at a content, if it may be the one.
    fn look_at(
        &mut self,
        digest: Digest,
        load: impl FnOnce() -> Result<Option<Vec<u8>>, Error>,
    ) -> Result<bool, Error> {
        if !self.name.may_be(&digest) || self.looked_at.contains(&digest) {
            return Ok(true);
        }
        let Some(bytes) = load()?.filter(|bytes| Digest::of(bytes) == digest) else {
            // Elsewhere it may be whole.
            return Ok(true);
        };
        self.looked_at.insert(digest);
        self.hashed += bytes.len() as u64;
        if self.name.is_of(&bytes) {
            let is_first = self.found.is_none();
            self.found = Some(is_first.then(|| Base::of(bytes, digest)));
            return Ok(is_first && self.name.is_cut() && self.hashed < MAX_HASHED);
        }
        Ok(self.hashed < MAX_HASHED)
    }
}

impl Log {
    /// What a change left, made from its pre-image; `None` where that is gone, and where the record
    /// does not hold all of the text.
    ///
    /// # Errors
    /// `IO` where the log cannot be read.
    pub fn post_image(
        &self,
        record: &Record,
        change: &ChangeRecord,
    ) -> Result<Option<Vec<u8>>, Error> {
        let Some(after) = change.after else {
            return Ok(None);
        };
        if change.edits.iter().any(|edit| edit.is_cut()) {
            return Ok(None);
        }
        let before = match change.slot {
            Some(slot) => self.pre_image(&record.transaction, slot)?,
            None => Some(Vec::new()),
        };
        let made = before.and_then(|before| {
            let edits = change.edits.iter();
            let edits =
                edits.map(|edit| Edit::replace(edit.span[0]..edit.span[1], edit.text.clone()));
            let edits = EditSet::new(edits.collect(), before.len()).ok()?;
            Some(edits.apply(&before))
        });
        Ok(made.filter(|made| Digest::of(made) == after.digest))
    }
}
