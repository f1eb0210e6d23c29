//! A patch of any bytes, read as `mcp-edit`.
#![no_main]

mod dialect;

use libfuzzer_sys::fuzz_target;
use patchcore::dialect::Dialect;

fuzz_target!(|input: &[u8]| dialect::check(Dialect::McpEdit, input));
