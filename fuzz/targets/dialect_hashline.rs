//! A patch of any bytes, read as `hashline`.
#![no_main]

mod dialect;

use libfuzzer_sys::fuzz_target;
use patchcore::dialect::Dialect;

fuzz_target!(|input: &[u8]| dialect::check(Dialect::Hashline, input));
