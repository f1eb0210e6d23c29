//! From the log to the outbox: every entry becomes a lane, once.

use super::journal::EventLog;
use crate::store::{DeadLetter, Entry, LaneKind, Store, StoreError};

/// Entries that are taken in within one write.
const CHUNK: usize = 1000;

/// Takes in what the log has and the store does not know, oldest first, and forgets delivered
/// entries that the log no longer has; gives the number of new ones.
pub(crate) fn sync(
    store: &mut Store,
    journal: &mut EventLog,
    note: &mut dyn FnMut(String),
) -> Result<usize, StoreError> {
    let mut known = store.entries()?;
    let present = match journal.entries() {
        Ok(present) => present,
        Err(error) => {
            note(format!("the log cannot be listed: {error}"));
            return Ok(0);
        }
    };
    let mut new = Vec::new();
    for id in present {
        let name = id.to_string();
        if known.remove(&name).is_some() {
            continue;
        }
        match journal.entry(&id) {
            Ok(Some(entry)) => new.push(entry),
            // Another process cleaned it up between listing and reading.
            Ok(None) => {}
            Err(error) => {
                let reason = error.to_string();
                // A damaged record is set aside; the others go on.
                note(format!("entry {name} of the log cannot be read: {reason}"));
                store.add_dead_letter(&DeadLetter {
                    id: format!("record-{name}"),
                    kind: LaneKind::Events,
                    transaction: Some(name.clone()),
                    position: 0,
                    body: None,
                    reason,
                    attempts: 0,
                    at: 0,
                })?;
                new.push(Entry {
                    transaction: name,
                    total: 0,
                    bytes: 0,
                    refused: false,
                });
            }
        }
    }
    for entries in new.chunks(CHUNK) {
        store.add_entries(entries)?;
    }
    for (gone, delivered) in known {
        if delivered {
            store.forget(&gone)?;
        }
    }
    Ok(new.len())
}
