//! What holds for a patch in any dialect, whatever its bytes.

use std::sync::Arc;

use patchcore::dialect::{Dialect, Options, parse, to_batch};
use patchcore::operation::Batch;
use patchcore::plan::{Entry, Script, Source, Tree, plan};
use patchcore::{Code, Policy};

/// Takes the bytes before the first NUL for every file that the patch behind it names: no panic;
/// a refused patch changes nothing; what it says as a batch comes to the same plan.
pub fn check(dialect: Dialect, input: &[u8]) {
    let split = input.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (text, patch) = (&input[..split], &input[(split + 1).min(input.len())..]);
    let mut options = Options::default();
    options.dialect = Some(dialect);
    options.unidiff_zero = patch.len() % 2 == 0;
    options.allow_omission = true;
    let Ok(script) = parse(patch, &options) else {
        return;
    };
    let entry = |(index, path)| {
        // Every third name is free.
        let source = || Arc::new(Source::new(text.to_vec(), index % 2 == 0));
        (path, if index % 3 == 2 { Entry::Absent } else { Entry::File(source()) })
    };
    let tree: Tree = script.paths().into_iter().enumerate().map(entry).collect();
    let Ok(batch) = script.lower(&tree) else {
        return;
    };
    let mut policy = Policy::default();
    policy.allow_omission = true;
    let planned = plan(&batch, &tree, &policy);
    if planned.verdicts.iter().any(|verdict| verdict.refusal.is_some()) {
        assert!(planned.changes.is_empty(), "a refused patch changes nothing");
        return;
    }
    match to_batch(&planned, &tree, &policy) {
        Ok(wire) => {
            let again = plan(&Batch::from(wire), &tree, &policy);
            assert_eq!(again.digest(), planned.digest(), "a batch says the same");
        }
        Err(refusal) => assert_eq!(refusal.code, Code::InvalidBatch, "{refusal}"),
    }
}
