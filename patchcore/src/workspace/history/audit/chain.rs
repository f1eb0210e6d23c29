//! Whether the log's records are those that were written, each behind the one that it names.

use super::Audit;
use crate::digest::Digest;
use crate::error::Error;
use crate::workspace::state::StateDir;
use crate::workspace::state::chain::{self, OnItsWay};
use crate::workspace::state::record::{Previous, Record, TransactionId};
use crate::workspace::state::removed::{self, Removed};

/// The chain of records as far as it was followed.
#[derive(Default)]
pub(super) struct Chain {
    removed: Option<Removed>,
    head: Option<Previous>,
    /// The head's record, where it is not yet in the log.
    on_its_way: OnItsWay,
    /// What the log has, whether it can be read or not, oldest first.
    seen: Vec<TransactionId>,
    /// Entries that were not written here.
    foreign: Vec<TransactionId>,
    /// The last of what was seen, and its digest where it can be read.
    before: Option<(TransactionId, Option<Digest>)>,
}

impl Chain {
    pub(super) fn open(state: Option<&StateDir>) -> Result<Self, Error> {
        let Some(state) = state else {
            return Ok(Self::default());
        };
        let head = chain::head(state)?;
        Ok(Self {
            removed: removed::read(state)?,
            head,
            on_its_way: match &head {
                Some(head) => chain::on_its_way(state, head)?,
                None => OnItsWay::No,
            },
            ..Self::default()
        })
    }

    /// Whether `gc` removed a record, or was about to when it died.
    pub(super) fn was_removed(&self, transaction: &TransactionId) -> bool {
        let removed = self.removed.as_ref();
        removed.is_some_and(|removed| removed.covers(transaction))
    }

    /// Goes past an entry that was not written here. It is no part of the chain.
    pub(super) fn pass(&mut self, transaction: TransactionId) {
        self.foreign.push(transaction);
    }

    /// Goes on to the next entry, which cannot be read.
    pub(super) fn skip(&mut self, transaction: TransactionId) {
        self.seen.push(transaction);
        self.before = Some((transaction, None));
    }

    /// Goes on to the next record. Gives whether records between it and the one before were
    /// removed by `gc`.
    pub(super) fn follow(&mut self, record: &Record, digest: Digest, audit: &mut Audit) -> bool {
        let own = record.transaction;
        let before = self.before.replace((own, Some(digest)));
        self.seen.push(own);
        let Some(named) = &record.previous else {
            if before.is_some() {
                let why = "names no record before it, though there are some";
                audit.damage(own, why);
            }
            return false;
        };
        let name = named.transaction;
        match before {
            Some((transaction, digest)) if transaction == name => {
                check(named, digest, &format!("transaction {own}"), audit);
                false
            }
            Some((transaction, _)) if transaction > name => {
                let why = format!(
                    "has no place in the log: transaction {own} was committed right after {name}"
                );
                audit.damage(transaction, why);
                false
            }
            _ if name >= own => {
                audit.damage(own, format!("was committed after {name}"));
                false
            }
            _ if self.was_removed(&name) => true,
            _ => {
                let why = self.absent(&name);
                let why = format!("{why}; transaction {own} was committed right after it");
                audit.damage(name, why);
                false
            }
        }
    }

    /// What became of a record that must be there.
    fn absent(&self, transaction: &TransactionId) -> &'static str {
        match self.foreign.binary_search(transaction) {
            Ok(_) => "was replaced by what was not written here",
            Err(_) => "is missing",
        }
    }

    /// Compares the end of the chain with the head, and what must be there with what is. Gives
    /// whether records behind the last one were removed by `gc`.
    pub(super) fn end(&mut self, audit: &mut Audit) -> bool {
        // The record on its way names the one before it like any other.
        let mut is_gap = false;
        if let (Some(head), OnItsWay::Written(record)) = (self.head, &self.on_its_way)
            && self.seen.binary_search(&head.transaction).is_err()
        {
            let record = record.clone();
            is_gap = self.follow(&record, head.digest, audit);
        }
        let kept = self.removed.iter().flat_map(|removed| &removed.kept);
        for transaction in kept {
            let is_there = self.seen.binary_search(transaction).is_ok();
            if !is_there && !audit.is_damaged(transaction) {
                let why = self.absent(transaction);
                audit.damage(*transaction, format!("{why}; it was not removed by gc"));
            }
        }
        let Some(head) = &self.head else {
            return is_gap;
        };
        let name = head.transaction;
        match self.before {
            Some((transaction, digest)) if transaction == name => {
                check(head, digest, "the log's head", audit);
                is_gap
            }
            Some((transaction, _)) if transaction > name => false,
            _ if self.was_removed(&name) => true,
            _ if matches!(self.on_its_way, OnItsWay::Torn) || audit.is_damaged(&name) => false,
            _ => {
                let why = self.absent(&name);
                audit.damage(name, format!("{why}; it was the last one"));
                false
            }
        }
    }
}

/// A record that is where it should be must also be the one that was there.
fn check(named: &Previous, digest: Option<Digest>, who: &str, audit: &mut Audit) {
    if digest.is_some_and(|digest| digest != named.digest) {
        let why = format!("was rewritten; {who} knows it by another digest");
        audit.damage(named.transaction, why);
    }
}
