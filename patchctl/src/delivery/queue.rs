//! Messages that are not in the log: the operations log and error batches.

use uuid::Uuid;

use std::time::Duration;

use crate::exit::Failure;
use crate::orchestrator::{FactoryError, OpLog, Remediation, Remediations};
use crate::place::Location;
use crate::redact;
use crate::store::{Check, Class, LaneKind, Message, Store};

/// Puts entries of the operations log into the outbox; the next delivery takes them along, in
/// this order.
///
/// # Errors
/// Where the store cannot be written.
pub(crate) fn queue_operations(
    place: &Location,
    wait: Duration,
    entries: &[OpLog],
) -> Result<(), Failure> {
    let message = |entry: &OpLog| Message {
        id: Uuid::now_v7().to_string(),
        body: redact::bytes(&serde_json::to_vec(entry).expect("an entry serialises")).into_owned(),
    };
    let messages: Vec<Message> = entries.iter().map(message).collect();
    let mut store = Store::open(&place.open()?, Check::Header, wait)?.store;
    store.add_messages(LaneKind::OpsLog, &messages, Class::Kept)?;
    Ok(())
}

/// Puts an error batch into the outbox, for when the orchestrator could not be reached. What it
/// answers later is kept for [`take_remediations`].
///
/// # Errors
/// Where the store cannot be written.
pub(crate) fn queue_errors(
    place: &Location,
    wait: Duration,
    errors: &[FactoryError],
) -> Result<(), Failure> {
    let body = serde_json::to_vec(&serde_json::json!({ "errors": errors }))
        .expect("an error batch serialises");
    let body = redact::bytes(&body).into_owned();
    queue(place, wait, LaneKind::FactoryErrors, body)
}

/// What the orchestrator said about error batches from the outbox, and nobody has acted on; they
/// are handed out once. Opens nothing where there is no store.
///
/// # Errors
/// Where the store cannot be read.
pub(crate) fn take_remediations(
    place: &Location,
    wait: Duration,
) -> Result<Vec<Remediation>, Failure> {
    let Some(mut store) = Store::open_existing(&place.open()?, wait)? else {
        return Ok(Vec::new());
    };
    let answers = store.take_answers()?;
    let parse = |body: &Vec<u8>| serde_json::from_slice::<Remediations>(body).ok();
    Ok(answers
        .iter()
        .filter_map(parse)
        .flat_map(|answer| answer.remediation)
        .collect())
}

fn queue(place: &Location, wait: Duration, kind: LaneKind, body: Vec<u8>) -> Result<(), Failure> {
    let mut store = Store::open(&place.open()?, Check::Header, wait)?.store;
    let id = Uuid::now_v7().to_string();
    store.add_messages(kind, &[Message { id, body }], Class::Kept)?;
    Ok(())
}
