//! Faults on purpose, for tests: any step of the disk seam fails, stops for good or is torn.
//!
//! Without the feature `fault-injection` all of this is nothing.

/// A call, or a flag of one, that old kernels, sandboxes and some file systems do not have.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `renameat2` with a flag: to exchange, and not to replace.
    Renameat2,
    /// `openat2`.
    Openat2,
    /// `statx`.
    Statx,
    /// `faccessat2`.
    Faccessat2,
    /// `linkat`.
    Link,
    /// Moving the journal's directory, which fails with `EXDEV`: it lies in the lower layer of an
    /// overlay.
    MoveJournal,
}

#[cfg(not(feature = "fault-injection"))]
mod off {
    use std::io::{self, IoSlice};

    use rustix::io::Errno;

    use super::Call;

    #[inline(always)]
    pub(crate) fn step(_: &'static str) -> io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn refused(_: Call) -> Result<(), Errno> {
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn refused_move(_: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    #[inline(always)]
    pub(crate) fn clock(millis: u64) -> u64 {
        millis
    }

    #[inline(always)]
    pub(crate) fn torn<'a>(_: &'a [IoSlice<'a>]) -> Option<&'a [u8]> {
        None
    }

    #[inline(always)]
    pub(crate) fn inherit() -> impl Fn() + Send + Sync + Copy {
        || ()
    }
}

#[cfg(not(feature = "fault-injection"))]
pub(crate) use off::*;

#[cfg(feature = "fault-injection")]
mod on;

#[cfg(feature = "fault-injection")]
pub use on::{Fault, FaultKind, Injected, at_time, inject, observe};
#[cfg(feature = "fault-injection")]
pub(crate) use on::{clock, inherit, refused, refused_move, step, torn};
