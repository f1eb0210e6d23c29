//! What may judge a plan before it is committed.

use crate::error::Refusal;

use super::{Lowered, Plan, Tree};

/// Judges a plan under the lock, before anything is written.
///
/// The task rules of a manifest are one: they see what a batch would do, refuse what is another
/// task's, and may hand back a new manifest, which is then part of the transaction.
pub trait Review {
    /// Judges the plan of what was lowered. `tasks` holds the bytes of
    /// `.mission_control/tasks.json`, if there is one; gives its new bytes, if they change with the
    /// plan.
    ///
    /// To refuse single operations, change their verdicts in the plan and take its changes out.
    ///
    /// # Errors
    /// A refusal of the whole batch.
    fn review(
        &self,
        lowered: &Lowered<'_>,
        tree: &Tree,
        plan: &mut Plan,
        tasks: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, Refusal>;
}
