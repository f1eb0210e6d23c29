//! JSON Schemas (2020-12) of everything that travels.

use schemars::JsonSchema;
use serde_json::Value;

use crate::batch::PatchBatch;
#[cfg(feature = "workspace")]
use crate::event::PatchEvent;
use crate::order::{Order, Payload};
use crate::report::{Reading, Report};
use crate::task::Task;
#[cfg(feature = "workspace")]
use crate::workspace::Snapshot;
#[cfg(feature = "workspace")]
use crate::workspace::record::Record;

type Make = fn() -> Value;

const SCHEMAS: &[(&str, Make)] = &[
    ("PatchBatch", make::<PatchBatch>),
    #[cfg(feature = "workspace")]
    ("PatchEvent", make::<PatchEvent>),
    ("Report", make::<Report>),
    ("Reading", make::<Reading>),
    ("Order", make::<Order>),
    ("Payload", make::<Payload>),
    ("Task", make::<Task>),
    #[cfg(feature = "workspace")]
    ("Record", make::<Record>),
    #[cfg(feature = "workspace")]
    ("Snapshot", make::<Snapshot>),
];

/// The names that [`of`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    SCHEMAS.iter().map(|(name, _)| *name)
}

/// The schema of the type with that name; case and separators make no difference.
///
/// ```
/// let schema = patchcore::schema::of("PatchBatch").expect("a known name");
/// assert_eq!(schema["required"][0], "operations");
/// ```
#[must_use]
pub fn of(name: &str) -> Option<Value> {
    let fold = |name: &str| name.replace(['-', '_'], "").to_ascii_lowercase();
    let wanted = fold(name);
    let (_, make) = SCHEMAS.iter().find(|(name, _)| fold(name) == wanted)?;
    Some(make())
}

fn make<T: JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, instance: &Value) -> Result<(), String> {
        let schema = of(name).expect(name);
        let validator = jsonschema::validator_for(&schema).map_err(|error| error.to_string())?;
        validator
            .validate(instance)
            .map_err(|error| format!("{error} at {}", error.instance_path()))
    }

    #[test]
    fn every_schema_is_one() {
        for name in names() {
            let schema = of(name).unwrap();
            jsonschema::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(schema["title"], name);
            assert!(schema["description"].is_string(), "{name}");
        }
        assert!(of("patch-batch").is_some());
        assert!(of("nothing").is_none());
    }

    /// Batches that parse, and batches that do not: the schema agrees.
    #[test]
    fn the_schema_of_a_batch_says_what_the_parser_does() {
        let cases = include_str!("schema_cases.json");
        let cases: Value = serde_json::from_str(cases).unwrap();
        for (key, valid) in [("valid", true), ("invalid", false)] {
            for case in cases[key].as_array().unwrap() {
                let text = serde_json::to_vec(case).unwrap();
                let parsed = PatchBatch::parse(&text, &crate::batch::Limits::default());
                assert_eq!(parsed.is_ok(), valid, "{case}: {parsed:?}");
                let checked = check("PatchBatch", case);
                assert_eq!(checked.is_ok(), valid, "{case}: {checked:?}");
                if let Ok(batch) = parsed {
                    let written = serde_json::to_value(batch).unwrap();
                    assert_eq!(check("PatchBatch", &written), Ok(()), "{written}");
                }
            }
        }
    }
}
