//! A batch of any bytes: no panic, faults that lie within it, and what parses survives the way
//! there and back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchcore::batch::{self, Limits, PatchBatch};
use patchcore::operation::Batch;

fuzz_target!(|input: &[u8]| {
    let limits = Limits {
        operations: 1000,
        ..Limits::default()
    };
    match PatchBatch::parse(input, &limits) {
        Ok(wire) => {
            let json = serde_json::to_vec(&wire).expect("wire types are JSON");
            let again = PatchBatch::parse(&json, &limits).expect("what was written can be read");
            assert_eq!(wire, again);
            let parsed = batch::parse(input, &limits).expect("both ways in agree");
            assert_eq!(parsed.content, Batch::try_from(wire).expect("one set of rules").content);
        }
        Err(fault) => {
            for fault in fault.all() {
                assert!(fault.span.start <= input.len() && fault.span.start < fault.span.end);
                assert!(fault.line > 0 && fault.column > 0 && !fault.path.is_empty());
            }
            assert_eq!(batch::parse(input, &limits).expect_err("both ways in agree"), fault);
        }
    }
});
