//! What senders of edits have seen: the files that were shown to them, and the older bytes that their
//! edits were made for.

pub(super) mod bases;
pub(super) mod stale;
pub(super) mod view;
