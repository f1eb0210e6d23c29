//! Faults on purpose, for tests: any step of the disk seam fails, stops for good or is torn.
//!
//! Without the feature `fault-injection` all of this is nothing.

#[cfg(not(feature = "fault-injection"))]
mod off {
    use std::io::{self, IoSlice};

    #[inline(always)]
    pub(in super::super) fn step(_: &'static str) -> io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub(in super::super) fn refuse_exchange() -> io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub(in super::super) fn refuse_openat2() -> bool {
        false
    }

    #[inline(always)]
    pub(in super::super) fn clock(millis: u64) -> u64 {
        millis
    }

    #[inline(always)]
    pub(in super::super) fn torn<'a>(_: &'a [IoSlice<'a>]) -> Option<&'a [u8]> {
        None
    }

    #[inline(always)]
    pub(in super::super) fn inherit() -> impl Fn() + Send + Sync + Copy {
        || ()
    }
}

#[cfg(not(feature = "fault-injection"))]
pub(super) use off::*;

#[cfg(feature = "fault-injection")]
mod on;

#[cfg(feature = "fault-injection")]
pub use on::{Fault, Injected, Kind, at_time, inject, observe};
#[cfg(feature = "fault-injection")]
pub(super) use on::{clock, inherit, refuse_exchange, refuse_openat2, step, torn};
