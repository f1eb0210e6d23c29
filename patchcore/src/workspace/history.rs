//! What the log tells afterwards: what was done, by whom, whether it still holds, and how to take
//! it back.

pub(super) mod audit;
pub(super) mod landed;
pub(super) mod log_diff;
pub(super) mod rebuild;
pub(super) mod status;
pub(super) mod undo;
pub(super) mod undo_to;
