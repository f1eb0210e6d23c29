//! The log as delivery reads it: which entries there are, and their events as they are sent.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchcore::event::{self, PatchEvent};
use patchcore::workspace::{Record, TransactionId};

use crate::store::Entry;

/// Reads the log; keeps the entry at hand that it read last, since events are rendered in order.
pub(crate) struct Journal {
    log: PathBuf,
    last: Option<Open>,
}

struct Open {
    name: String,
    record: Record,
    /// The pre-image that was read last, with its slot.
    pre_image: Option<(u32, Arc<Vec<u8>>)>,
}

/// Whether events carry diffs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Diffs {
    /// They do.
    Carried,
    /// They do not.
    LeftOut,
}

/// An event as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

impl Journal {
    /// The log below a root.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            log: root.join(".mission_control/log"),
            last: None,
        }
    }

    /// All entries, oldest first.
    pub(crate) fn entries(&self) -> std::io::Result<Vec<TransactionId>> {
        let listing = match std::fs::read_dir(&self.log) {
            Ok(listing) => listing,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut entries = Vec::new();
        for entry in listing {
            let name = entry?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.parse().ok()) {
                entries.push(id);
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }

    /// An entry as the outbox has to know it; `None` where it is gone.
    pub(crate) fn entry(&self, id: &TransactionId) -> Result<Option<Entry>, String> {
        let Some(record) = self.record(id)? else {
            return Ok(None);
        };
        Ok(Some(Entry {
            transaction: id.to_string(),
            total: event::events(&record).count(),
            bytes: 0,
            refused: record.changes.is_empty(),
        }))
    }

    /// A record; `None` where it is gone, an error where it is damaged.
    pub(crate) fn record(&self, id: &TransactionId) -> Result<Option<Record>, String> {
        let entry = self.log.join(id.to_string());
        for path in [entry.clone(), entry.join("manifest")] {
            match std::fs::read(&path) {
                Ok(bytes) => {
                    return Record::from_bytes(&bytes)
                        .map(Some)
                        .map_err(|refusal| refusal.message);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(None)
    }

    /// The event at a position of an entry, as it is sent; `Err` says why it cannot be made.
    pub(crate) fn render(
        &mut self,
        transaction: &str,
        position: usize,
        form: Diffs,
    ) -> Result<Rendered, String> {
        let event = self.event(transaction, position, form)?;
        let body = serde_json::to_vec(&event).expect("an event serialises");
        let id = event.event_id;
        Ok(Rendered { id, body })
    }

    /// The event at a position of an entry.
    pub(crate) fn event(
        &mut self,
        transaction: &str,
        position: usize,
        diffs: Diffs,
    ) -> Result<PatchEvent, String> {
        if self
            .last
            .as_ref()
            .is_none_or(|open| open.name != transaction)
        {
            let id = transaction
                .parse()
                .map_err(|_| format!("{transaction} is no transaction"))?;
            let record = self
                .record(&id)?
                .ok_or_else(|| format!("entry {transaction} is gone from the log"))?;
            self.last = Some(Open {
                name: transaction.to_owned(),
                record,
                pre_image: None,
            });
        }
        let log = &self.log;
        let open = self.last.as_mut().expect("it was just set");
        let mut event = event::event(&open.record, position)
            .ok_or_else(|| format!("entry {transaction} has no event {position}"))?;
        if diffs == Diffs::Carried {
            let (record, cache) = (&open.record, &mut open.pre_image);
            event::add_diff(&mut event, record, &mut |slot| {
                if let Some((at, bytes)) = cache
                    && *at == slot
                {
                    return Some(Arc::clone(bytes));
                }
                let path = log.join(transaction).join(slot.to_string());
                let bytes = Arc::new(std::fs::read(path).ok()?);
                *cache = Some((slot, Arc::clone(&bytes)));
                Some(bytes)
            });
        }
        Ok(event)
    }
}
