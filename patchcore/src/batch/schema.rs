//! JSON Schemas of the pieces whose JSON form is not their Rust form.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::operation::{Occurrence, Pattern};

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A regular expression in the syntax of Rust's regex crate; it compiles to at most 1 MiB.",
        })
    }
}

impl JsonSchema for Occurrence {
    fn schema_name() -> Cow<'static, str> {
        "Occurrence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which of several matches is meant: the only one, the first, the last, all, or the one with this number.",
            "oneOf": [
                { "enum": ["only", "first", "last", "all"] },
                { "type": "integer", "minimum": 1 },
            ],
        })
    }
}

/// An occurrence that is one place.
pub(super) struct OneOccurrence;

impl JsonSchema for OneOccurrence {
    fn schema_name() -> Cow<'static, str> {
        "OneOccurrence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Which of several matches is meant: the only one, the first, the last, or the one with this number.",
            "oneOf": [
                { "enum": ["only", "first", "last"] },
                { "type": "integer", "minimum": 1 },
            ],
        })
    }
}

/// Lets `expect` be empty only where a hash guards the operation: its own, or one of the batch. A
/// schema cannot say that the batch's hash is that of the operation's file.
pub(super) fn empty_only_beside_a_hash(batch: &mut Schema) {
    batch.insert(
        "anyOf".to_owned(),
        serde_json::json!([
            { "required": ["base"], "properties": { "base": { "minProperties": 1 } } },
            { "properties": { "operations": { "items": { "anyOf": [
                { "properties": { "expect": { "minLength": 1 } } },
                { "required": ["base"], "properties": { "base": { "type": "string" } } },
            ] } } } },
        ]),
    );
}
