//! One file for each command: resolve the arguments, call the library, hand the result to `report`.

pub(crate) mod convert;
pub(crate) mod demo;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod edit;
pub(crate) mod events;
pub(crate) mod init;
pub(crate) mod inject;
pub(crate) mod log;
pub(crate) mod manifest;
pub(crate) mod meta;
pub(crate) mod operation;
pub(crate) mod order;
pub(crate) mod read;
pub(crate) mod resolve;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod snapshot;
pub(crate) mod task;
