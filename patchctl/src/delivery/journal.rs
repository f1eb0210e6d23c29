//! The log as delivery reads it: which entries there are, and their events as they are sent.

use std::sync::Arc;

use patchcore::Error;
use patchcore::event::{self, PatchEvent};
use patchcore::workspace::{Log, Record, TransactionId, Workspace};

use crate::exit::Failure;
use crate::place::Location;
use crate::redact;
use crate::store::Entry;

/// Reads the log; keeps the entry at hand that it read last, since events are rendered in order.
pub(crate) struct EventLog {
    workspace: Workspace,
    log: Log,
    last: Option<Open>,
}

struct Open {
    id: TransactionId,
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

impl EventLog {
    /// The log of a place.
    ///
    /// # Errors
    /// Where root or log cannot be opened.
    pub(crate) fn open(place: &Location) -> Result<Self, Failure> {
        let workspace = place.open()?;
        Ok(Self {
            log: workspace.log()?,
            workspace,
            last: None,
        })
    }

    /// All entries that there are now, oldest first.
    ///
    /// # Errors
    /// Where the log cannot be listed.
    pub(crate) fn entries(&mut self) -> Result<Vec<TransactionId>, Error> {
        // The first batch makes the log.
        self.log = self.workspace.log()?;
        self.log.transactions()
    }

    /// An entry as the outbox has to know it; `None` where it is gone.
    ///
    /// # Errors
    /// Where it cannot be read or is damaged.
    pub(crate) fn entry(&self, id: &TransactionId) -> Result<Option<Entry>, Error> {
        let Some(record) = self.record(id)? else {
            return Ok(None);
        };
        Ok(Some(Entry {
            transaction: id.to_string(),
            total: event::count(&record),
            bytes: self.log.size(id)?,
            refused: record.changes.is_empty(),
        }))
    }

    /// A record; `None` where it is gone.
    ///
    /// # Errors
    /// Where it cannot be read or is damaged.
    pub(crate) fn record(&self, id: &TransactionId) -> Result<Option<Record>, Error> {
        self.log.read(id)
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
        let body = redact::bytes(&body).into_owned();
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
                .map_err(|_| format!("{transaction} is not a transaction id"))?;
            let record = self
                .record(&id)
                .map_err(|error| error.to_string())?
                .ok_or_else(|| format!("entry {transaction} is gone from the log"))?;
            self.last = Some(Open {
                id,
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
            let (id, record, cache) = (&open.id, &open.record, &mut open.pre_image);
            event::add_diff(&mut event, record, &mut |slot| {
                if let Some((at, bytes)) = cache
                    && *at == slot
                {
                    return Some(Arc::clone(bytes));
                }
                let bytes = Arc::new(log.pre_image(id, slot).ok()??);
                *cache = Some((slot, Arc::clone(&bytes)));
                Some(bytes)
            });
        }
        Ok(event)
    }
}
