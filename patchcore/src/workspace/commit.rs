//! Committing a batch: all of it or nothing, whatever dies.
//!
//! The protocol, a step a module. `.mission_control/txn/current` is the journal's directory.
//!
//! 1. **Lock** ([`state`](super::state)). `flock` on `lock`; the kernel frees it when its holder
//!    dies, and the wait is bounded. What another run left in `txn/current` is finished first
//!    ([`recover`]).
//! 2. **Plan** ([`apply`]). Every path is opened beneath the root without following links; what
//!    stands there is noted with its hash, inode, mode and owner. All refusals fall here: a batch
//!    that is refused leaves one small record and nothing else. [`layout`] decides which slot of the
//!    journal holds what, and [`survey`] whether each later step can work at all: rights, mount
//!    points, room.
//! 3. **Stage** ([`stage`]). Each new file is written in full into a slot: bytes, owner, mode,
//!    extended attributes.
//! 4. **Look again** ([`look`]). What was read must still stand there: by stat, and by hash where
//!    the time of modification is too recent to trust.
//! 5. **Journal** ([`transaction`]). The record, sealed and ended by a checksum, is written beside
//!    the slots. **A valid checksum is the commit point**: before it a crash leaves the old tree,
//!    after it the next run leaves the new one.
//! 6. **Install** ([`install`]). Slot and target change places in one call
//!    (`renameat2(RENAME_EXCHANGE)`), so the old file is in the slot; a new file arrives by a rename
//!    that overwrites nothing; a file that goes moves into its slot. Where a call is missing, the
//!    old file moves aside first. Each step tells by what it finds whether it is done, so it can be
//!    done again after a crash; what a stranger put there meanwhile is kept under `conflicts/`.
//! 7. **Record** ([`outcome`]). `txn/current` is renamed into `log/`: record, pre-images, events and
//!    clean-up in one call.
//!
//! With a command that verifies ([`verify`]) the journal says so, and recovery takes the batch back
//! unless its success was recorded. The lock is held meanwhile. [`memory`] holds what taking back
//! needs where that command removed the journal itself, and [`standing`] makes both again, while the
//! command still runs.
//!
//! # Limitations
//!
//! - Between two installations a reader sees some files old and some new. A reader that takes the
//!   lock, or looks for `txn/current`, does not.
//! - Without [`ApplyOptions::durable`](super::ApplyOptions::durable) a batch survives the death of
//!   any process, but a power cut may lose or tear what the file system has not yet written.
//! - Another program that opened a file before it was exchanged keeps writing to the old one.
//! - Where the file system has neither exchange nor links, nothing stands at a path for the moment
//!   between two renames; a crash there is recovered.

pub(super) mod adopt;
pub(super) mod apply;
pub(super) mod install;
pub(super) mod layout;
pub(super) mod look;
pub(super) mod memory;
pub(super) mod outcome;
pub(super) mod recover;
pub(super) mod replay;
pub(super) mod shown;
pub(super) mod stage;
pub(super) mod standing;
pub(super) mod survey;
pub(super) mod transaction;
pub(super) mod verify;
