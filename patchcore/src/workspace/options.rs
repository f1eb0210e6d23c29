//! What the caller of `Workspace::apply` may decide.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::digest::Digest;
use crate::plan::{Policy, Review};

/// Longest wait for the lock unless the caller says otherwise.
pub const LOCK_WAIT: Duration = Duration::from_secs(30);
/// Longest run of a verification command unless the caller says otherwise.
pub const VERIFY_LIMIT: Duration = Duration::from_secs(600);

/// How a batch is applied. The default allows nothing beyond the contract's rules.
///
/// ```
/// use patchcore::workspace::ApplyOptions;
/// let options = ApplyOptions { durable: true, ..ApplyOptions::default() };
/// assert_eq!(options.lock_wait.as_secs(), 30);
/// ```
#[derive(Clone)]
pub struct ApplyOptions<'a> {
    /// What planning lets pass.
    pub policy: Policy,
    /// Wait with the answer until everything has reached the disk, so that a power cut cannot take
    /// it back.
    pub durable: bool,
    /// A command that judges the changed tree; its failure takes the batch back.
    pub verify: Option<Verify>,
    /// The only plan that may be carried out; another is `PLAN_MISMATCH`.
    pub expected_plan: Option<Digest>,
    /// Longest wait for the lock.
    pub lock_wait: Duration,
    /// Replace the named link of a file that has several; the others keep the old bytes.
    pub break_hard_links: bool,
    /// Replace files that are read-only.
    pub force_read_only: bool,
    /// Go on where a file's owner cannot be kept.
    pub allow_owner_change: bool,
    /// Judges the plan before anything is written, and may change the task manifest with it.
    pub review: Option<&'a dyn Review>,
    /// Set from outside (by a signal handler, say) to end a verification command early.
    pub interrupt: Option<Arc<AtomicBool>>,
    /// Apply input without an id also where the same input is applied already.
    pub again: bool,
    /// What the log keeps; it is cleaned up now and then after a commit. `None` keeps everything.
    pub retention: Option<Retention>,
}

impl Default for ApplyOptions<'_> {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            durable: false,
            verify: None,
            expected_plan: None,
            lock_wait: LOCK_WAIT,
            break_hard_links: false,
            force_read_only: false,
            allow_owner_change: false,
            review: None,
            interrupt: None,
            again: false,
            retention: Some(Retention::default()),
        }
    }
}

/// A command that judges the changed tree.
#[derive(Debug, Clone)]
pub struct Verify {
    /// Run by `sh -c` in the root; success is exit status 0.
    pub command: String,
    /// Longest run; afterwards its processes are killed and the batch taken back.
    pub limit: Duration,
    /// Takes out of the command's output what must not be shown or written down.
    pub redact: Option<fn(&str) -> String>,
}

impl Verify {
    /// A command with the default time limit, [`VERIFY_LIMIT`].
    #[must_use]
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            limit: VERIFY_LIMIT,
            redact: None,
        }
    }
}

/// Whether a transaction stays in the log whatever its age and size.
pub type Keep = dyn Fn(&crate::workspace::TransactionId) -> bool + Send + Sync;

/// What the log keeps.
#[derive(Clone)]
pub struct Retention {
    /// Most bytes of records and pre-images; 64 MiB.
    pub max_bytes: u64,
    /// Longest age; 30 days.
    pub max_age: Duration,
    /// Entries that are kept whatever their age and size: those not yet delivered, say.
    pub keep: Option<Arc<Keep>>,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_age: Duration::from_secs(30 * 24 * 60 * 60),
            keep: None,
        }
    }
}
