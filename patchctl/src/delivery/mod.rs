//! Delivery: at least once, in order per batch, whatever dies in between.

mod retry;

pub(crate) use retry::retry_after;
