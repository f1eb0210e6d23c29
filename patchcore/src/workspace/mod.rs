//! The tree on disk: reading it, changing it all or nothing, and the log of what was done.

mod options;
pub mod record;

pub use options::{ApplyOptions, LOCK_WAIT, Retention, Review, Reviewed, VERIFY_LIMIT, Verify};
pub use record::{Record, TransactionId};
