//! What `gc` removed from the log, so that a record which somebody else removed can be told from
//! one that was too old.
//!
//! `.mission_control/removed` is a JSON document and, in its last line, the seal over it. It is
//! replaced before the first entry goes: a run that dies leaves entries that may go, and the next
//! run removes them.

use std::io;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::Error;
use crate::workspace::disk;
use crate::workspace::root::is_no_directory;
use crate::workspace::state::journal::MAX_RECORD;
use crate::workspace::state::key::Seal;
use crate::workspace::state::record::TransactionId;
use crate::workspace::state::{Held, StateDir, fail};

const NAME: &[u8] = b"removed";
const DRAFT: &[u8] = b"removed.new";
const PURPOSE: &str = "removed";
const VERSION: u32 = 1;

/// What was removed from the log: everything up to one record, but those that were kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removed {
    version: u32,
    /// The last record that was removed.
    pub(crate) last: TransactionId,
    /// The digest in its last line, where it could be read.
    pub(crate) digest: Option<Digest>,
    /// The records before that one that were not removed by `gc`, sorted.
    pub(crate) kept: Vec<TransactionId>,
}

impl Removed {
    pub(crate) fn new(
        last: TransactionId,
        digest: Option<Digest>,
        kept: Vec<TransactionId>,
    ) -> Self {
        Self {
            version: VERSION,
            last,
            digest,
            kept,
        }
    }

    /// Whether a record was removed, or would be if the run that meant to had not died.
    pub(crate) fn covers(&self, transaction: &TransactionId) -> bool {
        *transaction <= self.last && self.kept.binary_search(transaction).is_err()
    }
}

/// What is known of removed records; `None` where nothing was removed, or where what
/// stands there is not sealed by this workspace's key.
pub(crate) fn read(state: &StateDir) -> Result<Option<Removed>, Error> {
    let io = |error| fail("read", "removed", error);
    let file = match state.dir.file(NAME) {
        // A link, or something else that was never written here.
        Err(error) if is_no_directory(&error) => None,
        result => result.map_err(io)?,
    };
    let Some(file) = file else { return Ok(None) };
    let meta = file.stat().map_err(io)?;
    if meta.kind != disk::FileKind::File {
        return Ok(None);
    }
    let bytes = file.read(meta.size, MAX_RECORD).map_err(io)?;
    Ok(bytes.and_then(|bytes| {
        let at = bytes.len().checked_sub(Seal::TEXT + 1)?;
        let (body, last) = bytes.split_at(at);
        let seal = str::from_utf8(last)
            .ok()?
            .strip_suffix('\n')?
            .parse()
            .ok()?;
        let is_ours = state.key.as_ref()?.verify(&seal, PURPOSE, &[body]);
        let removed: Removed = serde_json::from_slice(body).ok().filter(|_| is_ours)?;
        let is_sorted = removed.kept.is_sorted();
        (removed.version == VERSION && is_sorted && removed.last.has_room()).then_some(removed)
    }))
}

/// Writes it down, and waits until it has reached the disk: what follows cannot be taken back.
pub(crate) fn write(held: &Held, removed: &Removed) -> Result<(), Error> {
    let mut body = serde_json::to_vec(removed).expect("ids and a digest");
    body.push(b'\n');
    let last = format!("{}\n", held.key.seal(PURPOSE, &[&body]));
    let dir = &held.state.dir;
    let replace = || -> io::Result<()> {
        dir.clear(DRAFT)?;
        let file = dir.create(DRAFT, 0o600)?;
        file.write_chunks([&*body, last.as_bytes()].into_iter())?;
        file.sync()?;
        match dir.rename(DRAFT, dir, NAME) {
            // Nothing that was ever made here.
            Err(error) if disk::is_directory(&error) => {
                dir.clear(NAME)?;
                dir.rename(DRAFT, dir, NAME)?;
            }
            result => result?,
        }
        dir.sync()
    };
    replace().map_err(|error| fail("write", "removed", error))
}
