//! What holds for a patch in any dialect, whatever its bytes.

use std::sync::Arc;

use patchcore::dialect::{Dialect, Options, parse, to_batch};
use patchcore::operation::Batch;
use patchcore::plan::{Entry, FileChange, Holds, Lowered, Script, Source, Tree, plan};
use patchcore::{Code, Policy, Refusal};

/// Takes the bytes before the first NUL for every file and link that the patch behind it names: no
/// panic; a refused patch changes nothing; what it says as a batch comes to the same plan; no link
/// leads out, and nothing comes below one, or below a file.
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
        (
            path,
            if index % 3 == 2 {
                Entry::Absent
            } else {
                Entry::File(source())
            },
        )
    };
    let mut tree: Tree = script.paths().into_iter().enumerate().map(entry).collect();
    for (index, path) in script.paths().into_iter().enumerate() {
        let refusal = |code| Refusal::new(code, "no regular file").in_file(&path);
        match index % 7 {
            3 => tree.insert_link(path.clone(), text.to_vec(), refusal(Code::Symlink)),
            4 => tree.insert_directory(path.clone(), Holds::Loaded, refusal(Code::NotAFile)),
            _ => {}
        }
    }
    let Ok(Lowered { batch, .. }) = script.lower(&tree) else {
        return;
    };
    let mut policy = Policy::default();
    policy.allow_omission = true;
    let planned = plan(&batch, &tree, &policy);
    if planned
        .verdicts
        .iter()
        .any(|verdict| verdict.refusal.is_some())
    {
        assert!(
            planned.changes.is_empty(),
            "a refused patch changes nothing"
        );
        return;
    }
    for change in planned.changes.iter().filter(|change| change.is_link()) {
        let target: Vec<u8> = change.chunks().flatten().copied().collect();
        assert!(
            !target.is_empty() && !target.starts_with(b"/"),
            "{target:?}"
        );
        let mut depth = change.path.components().count() - 1;
        for component in target.split(|byte| *byte == b'/') {
            match component {
                b".." => depth = depth.checked_sub(1).expect("it stays beneath the root"),
                b"" | b"." => {}
                _ => depth += 1,
            }
        }
    }
    let stands = |change: &&FileChange| change.after.is_some();
    for one in planned.changes.iter().filter(stands) {
        let mut others = planned.changes.iter().filter(stands);
        let below = others.find(|other| other.path.lies_below(&one.path));
        assert!(below.is_none(), "{} is a file and a directory", one.path);
    }
    match to_batch(&planned, &tree, &policy) {
        Ok(wire) => {
            let again = Batch::try_from(wire).expect("what was planned is a valid batch");
            let again = plan(&again, &tree, &policy);
            assert_eq!(again.digest(), planned.digest(), "a batch says the same");
        }
        Err(refusal) => assert_eq!(refusal.code, Code::InvalidBatch, "{refusal}"),
    }
}
