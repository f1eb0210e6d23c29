//! Orders and payloads: what a customer wants of a template, and the mini prompt for each of its
//! placeholders.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::batch::names::nearest;
use crate::error::{Code, Refusal};

/// An order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// The order's id.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub id: String,
    /// The project that it belongs to.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub project_id: String,
    /// The factory that works on it.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub factory: String,
    /// The template that it starts from.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub template_name: String,
    /// What the whole is to become.
    pub overall_prompt: String,
    /// What is to be done at each placeholder.
    pub placeholder_payload: Payload,
    /// Who answers questions; absent where anybody may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ai_provider: Option<String>,
    /// Whatever else is to be kept with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Map<String, Value>>,
}

/// Mini prompts by placeholder id: what `order_<id>_placeholders.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Payload(
    #[cfg_attr(
        feature = "schema",
        schemars(extend("propertyNames" = { "pattern": "^[A-Z][A-Z0-9_]*$" }))
    )]
    BTreeMap<String, String>,
);

/// Something that is wrong with an order or payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where, as a JSON path: `$.placeholder_payload.INIT`.
    pub path: String,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl Order {
    /// Reads an order.
    ///
    /// ```
    /// use patchcore::order::Order;
    /// let violations = Order::parse(br#"{"id": "", "placeholder_payload": {"low": 1}}"#).unwrap_err();
    /// let paths: Vec<&str> = violations.iter().map(|v| v.path.as_str()).collect();
    /// assert!(paths.contains(&"$.id") && paths.contains(&"$.placeholder_payload.low"));
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document's schema.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        let value = parse_value(bytes)?;
        let violations = validate_order(&value);
        if !violations.is_empty() {
            return Err(violations);
        }
        serde_json::from_value(value).map_err(|error| vec![at("$", error.to_string())])
    }
}

impl Payload {
    /// Reads a payload: an object of texts by placeholder id. An order is read for its own.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        Self::read(bytes, Names::BuiltIn)
    }

    /// As [`parse`](Self::parse), for placeholders of any syntax: an id is any text but the empty
    /// one.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse_any(bytes: &[u8]) -> Result<Self, Vec<Violation>> {
        Self::read(bytes, Names::Any)
    }

    fn read(bytes: &[u8], names: Names) -> Result<Self, Vec<Violation>> {
        let value = parse_value(bytes)?;
        let (path, payload) = match value.get("placeholder_payload") {
            Some(payload @ Value::Object(_)) => ("$.placeholder_payload", payload),
            _ => ("$", &value),
        };
        let mut violations = Vec::new();
        validate_payload(path, payload, names, &mut violations);
        if !violations.is_empty() {
            return Err(violations);
        }
        let payload = serde_json::from_value(payload.clone());
        payload.map_err(|error| vec![at("$", error.to_string())])
    }

    /// A payload of these prompts.
    #[must_use]
    pub fn new(prompts: BTreeMap<String, String>) -> Self {
        Self(prompts)
    }

    /// The prompt for a placeholder.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }

    /// All ids and prompts, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(id, prompt)| (id.as_str(), prompt.as_str()))
    }

    /// How many placeholders it speaks of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it speaks of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is wrong with a document, as one refusal.
#[must_use]
pub fn refusal(name: &str, violations: &[Violation]) -> Refusal {
    let first = violations.first().map(ToString::to_string);
    let more = match violations.len() {
        0 | 1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    let message = format!("{name}: {}{more}", first.unwrap_or_default());
    Refusal::new(Code::InvalidBatch, message).in_file(name)
}

/// Everything that is wrong with an order.
fn validate_order(value: &Value) -> Vec<Violation> {
    const TEXTS: [&str; 4] = ["id", "project_id", "factory", "template_name"];
    const KNOWN: [&str; 8] = [
        "id",
        "project_id",
        "factory",
        "template_name",
        "overall_prompt",
        "placeholder_payload",
        "ai_provider",
        "metadata",
    ];
    let mut violations = Vec::new();
    let Value::Object(order) = value else {
        return vec![at(
            "$",
            format!("an order is an object, not {}", kind(value)),
        )];
    };
    for name in TEXTS.into_iter().chain(["overall_prompt"]) {
        let path = format!("$.{name}");
        match order.get(name) {
            None => violations.push(at(path, "is missing")),
            Some(Value::String(text)) if text.trim().is_empty() && name != "overall_prompt" => {
                violations.push(at(path, "is empty"));
            }
            Some(Value::String(_)) => {}
            Some(other) => violations.push(at(path, format!("must be text, not {}", kind(other)))),
        }
    }
    match order.get("placeholder_payload") {
        None => violations.push(at("$.placeholder_payload", "is missing")),
        Some(payload) => validate_payload(
            "$.placeholder_payload",
            payload,
            Names::BuiltIn,
            &mut violations,
        ),
    }
    let mut check_optional = |name: &str, wanted: &str, fits: fn(&Value) -> bool| {
        let value = order.get(name).filter(|value| !value.is_null());
        if let Some(other) = value.filter(|value| !fits(value)) {
            let message = format!("must be {wanted}, not {}", kind(other));
            violations.push(at(format!("$.{name}"), message));
        }
    };
    check_optional("ai_provider", "text", Value::is_string);
    check_optional("metadata", "an object", Value::is_object);
    for name in order.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
        let hint = match nearest(name, &KNOWN) {
            Some(known) => format!("; did you mean {known:?}?"),
            None => String::new(),
        };
        violations.push(at(member("$", name), format!("is unknown{hint}")));
    }
    violations
}

/// What a placeholder may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// As the built-in syntaxes have it.
    BuiltIn,
    /// As a syntax of the operator's may have it.
    Any,
}

fn validate_payload(path: &str, value: &Value, names: Names, violations: &mut Vec<Violation>) {
    let Value::Object(payload) = value else {
        let message = format!("must be an object of texts, not {}", kind(value));
        violations.push(at(path, message));
        return;
    };
    for (id, prompt) in payload {
        let here = member(path, id);
        if id.is_empty() && names == Names::Any {
            violations.push(at(here.clone(), "is not a placeholder name: it is empty"));
        }
        if !is_name(id) && names == Names::BuiltIn {
            let message =
                "is not a placeholder name: an upper-case letter, then those, digits and _";
            violations.push(at(here.clone(), message));
        }
        if !prompt.is_string() {
            violations.push(at(here, format!("must be text, not {}", kind(prompt))));
        }
    }
}

fn is_name(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_uppercase())
        && id
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// The path of a member: in brackets where its name is no plain word.
fn member(path: &str, name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match plain {
        true => format!("{path}.{name}"),
        false => format!("{path}[{}]", Value::from(name)),
    }
}

fn at(path: impl Into<String>, message: impl Into<String>) -> Violation {
    Violation {
        path: path.into(),
        message: message.into(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn parse_value(bytes: &[u8]) -> Result<Value, Vec<Violation>> {
    serde_json::from_slice(bytes)
        .map_err(|error| vec![at("$", format!("is not valid JSON: {error}"))])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: &str = r#"{
        "id": "ORD-1", "project_id": "p", "factory": "f", "template_name": "t", "overall_prompt": "",
        "placeholder_payload": {"INIT": "start"}, "ai_provider": null, "metadata": {"x": [1]}
    }"#;

    #[test]
    fn an_order_is_read() {
        let order = Order::parse(ORDER.as_bytes()).unwrap();
        assert_eq!(order.placeholder_payload.get("INIT"), Some("start"));
        let payload = Payload::parse(ORDER.as_bytes()).unwrap();
        assert_eq!(payload, order.placeholder_payload);
        assert_eq!(payload.len(), 1);
    }

    #[test]
    fn every_violation_is_named_with_its_path() {
        let text = r#"{
            "id": " ", "project_id": 3, "template_name": "t", "overal_prompt": "x", "a b": 1,
            "placeholder_payload": {"a": 1, "B-1": "x", "C": null}, "ai_provider": 1, "metadata": []
        }"#;
        let violations = Order::parse(text.as_bytes()).unwrap_err();
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        for expected in [
            "$.id: is empty",
            "$.project_id: must be text, not a number",
            "$.factory: is missing",
            "$.overall_prompt: is missing",
            "$.placeholder_payload.a: must be text, not a number",
            "$.placeholder_payload.C: must be text, not null",
            "$.ai_provider: must be text, not a number",
            "$.metadata: must be an object, not a list",
            "$.overal_prompt: is unknown; did you mean \"overall_prompt\"?",
            "$[\"a b\"]: is unknown",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:#?}"
            );
        }
        assert!(
            lines.iter().any(
                |line| line.starts_with("$.placeholder_payload[\"B-1\"]: is not a placeholder")
            )
        );
        assert_eq!(lines.len(), 12);
    }

    #[test]
    fn what_is_no_object_is_named() {
        assert_eq!(Order::parse(b"[]").unwrap_err()[0].path, "$");
        assert!(
            Order::parse(b"{").unwrap_err()[0]
                .message
                .starts_with("is not valid JSON")
        );
        assert_eq!(Payload::parse(b"3").unwrap_err()[0].path, "$");
        assert_eq!(
            refusal("x.json", &Payload::parse(b"3").unwrap_err()).code,
            Code::InvalidBatch
        );
    }

    #[cfg(feature = "schema")]
    #[test]
    fn an_order_passes_its_schema_and_a_wrong_one_does_not() {
        let schema = schemars::schema_for!(Order).to_value();
        let valid =
            |text: &str| jsonschema::is_valid(&schema, &serde_json::from_str(text).unwrap());
        assert!(valid(ORDER));
        assert!(!valid(&ORDER.replace("INIT", "init")));
        assert!(!valid(&ORDER.replace("\"id\"", "\"di\"")));
        let task = schemars::schema_for!(crate::task::Task).to_value();
        assert!(jsonschema::is_valid(
            &task,
            &serde_json::json!({"uuid": "u", "x": 1})
        ));
        assert!(!jsonschema::is_valid(&task, &serde_json::json!({"x": 1})));
    }
}
