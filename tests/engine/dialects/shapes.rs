//! The calls of edit tools as agents send them: `fixtures/calls/shapes.jsonl`, one a line.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use patchcore::dialect::{Options, parse};
use patchcore::plan::Script;
use serde::Deserialize;

use super::{Files, applied, first_refusal, policy, tree};

/// One input, and what comes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    /// Whose call it is.
    of: String,
    input: String,
    want: Want,
    /// The files that differ afterwards; `null` for one that is gone.
    #[serde(default)]
    after: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Want {
    /// The files that `after` has are changed.
    Edit,
    /// Nothing is to be done, and the report says why.
    Nothing,
    Refused,
}

fn before() -> Files {
    let text = b"one\ntwo\nthree\nfour\nfive\n".to_vec();
    Files::from([(b"src/f.txt".to_vec(), (text, false))])
}

fn check(shape: &Shape) -> Result<(), String> {
    let (before, options) = (before(), Options::default());
    let Ok(script) = parse(shape.input.as_bytes(), &options) else {
        return match shape.want {
            Want::Refused => Ok(()),
            _ => Err("is not read".to_owned()),
        };
    };
    let loaded = tree(&before, &script.paths());
    let lowered = script
        .lower(&loaded)
        .map_err(|refusal| refusal.to_string())?;
    let plan = patchcore::plan::plan(&lowered.batch, &loaded, &policy(&options));
    if shape.want == Want::Refused {
        return match first_refusal(&plan) {
            Some(_) => Ok(()),
            None => Err("passes".to_owned()),
        };
    }
    if shape.want == Want::Nothing && lowered.notes.remarks.is_empty() {
        return Err("says nothing".to_owned());
    }
    let mut expected = before.clone();
    for (path, text) in &shape.after {
        let path = path.as_bytes().to_vec();
        match text {
            Some(text) => expected.insert(path, (text.clone().into_bytes(), false)),
            None => expected.remove(&path),
        };
    }
    match applied(shape.input.as_bytes(), &before, &options) {
        Ok(files) if files == expected => Ok(()),
        Ok(files) => Err(super::shown(&files)),
        Err(refusal) => Err(refusal.to_string()),
    }
}

#[test]
fn calls_of_every_shape_come_out_as_they_say() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/calls");
    let text = fs::read_to_string(fixtures.join("shapes.jsonl")).unwrap();
    let mut count = 0;
    let mut failures = Vec::new();
    for line in text.lines() {
        let shape: Shape = serde_json::from_str(line).unwrap();
        count += 1;
        if let Err(why) = check(&shape) {
            failures.push(format!("{}: {why}", shape.of));
        }
    }
    assert!(count > 140, "{count} shapes");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
