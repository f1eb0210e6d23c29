//! JSON as models send it: one value, a list, lines of values, with prose and fences around.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::Options;
use crate::batch::names;
use crate::error::{Code, Hint, Refusal};

/// The values among the bytes, lists flattened, in order.
pub(super) fn values<T: DeserializeOwned>(
    bytes: &[u8],
    options: &Options,
) -> Result<Vec<T>, Refusal> {
    let body = bytes.strip_prefix(crate::text::BOM).unwrap_or(bytes);
    let mut values = Vec::new();
    let mut at = 0;
    loop {
        let rest = &body[at..];
        let blank = rest.len() - rest.trim_ascii_start().len();
        at += blank;
        let rest = &body[at..];
        match rest.first() {
            None => break,
            Some(b'{') => {
                let (value, used) = one::<T>(rest, body, at)?;
                values.push(value);
                at += used;
            }
            Some(b'[') => {
                let (list, used) = one::<Vec<T>>(rest, body, at)?;
                values.extend(list);
                at += used;
            }
            Some(b',') if !options.strict => at += 1,
            Some(_) if options.strict => {
                let message = "text beside the JSON is not allowed in strict mode";
                return Err(invalid(body, at, message).with_hint(Hint::Lenient));
            }
            // A line of prose, or a fence.
            Some(_) => at += crate::bytes::find(b'\n', rest).map_or(rest.len(), |end| end + 1),
        }
    }
    if values.is_empty() {
        return Err(Refusal::new(
            Code::InvalidBatch,
            "the patch holds no JSON value that changes a file",
        ));
    }
    Ok(values)
}

/// A parameter that may be missing, or null, which are not the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Field<T> {
    #[default]
    Missing,
    Null,
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Set))
    }
}

impl<T> Field<T> {
    /// The value; without one, what is wrong: the unknown parameters beside it may be this one
    /// misspelt.
    pub(super) fn required(
        self,
        name: &'static str,
        unknown: &HashMap<String, IgnoredAny>,
    ) -> Result<T, String> {
        let what = match self {
            Self::Set(value) => return Ok(value),
            Self::Null => {
                return Err(format!(
                    "parameter {name:?} is null; it has to be a text, which is empty to delete"
                ));
            }
            Self::Missing => format!("parameter {name:?} is missing"),
        };
        let mut unknown: Vec<&String> = unknown.keys().collect();
        unknown.sort();
        // The likest name first.
        let is_near = |key: &str| {
            names::nearest(key, &[name]).is_some() || key.to_lowercase().starts_with("new")
        };
        let near = unknown.iter().find(|key| is_near(key));
        Err(match near.or(unknown.first()) {
            Some(key) => format!("{what}; found the unknown parameter {key:?}, expected {name:?}"),
            None => format!("{what}; send it, empty to delete the text"),
        })
    }
}

/// Reads the parameters of a call: an object, or the text of one, as some interfaces send it.
pub(super) fn parameters<'de, D, T>(deserializer: D) -> Result<Option<Box<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    struct Parameters<T>(PhantomData<T>);

    impl<'de, T: DeserializeOwned> Visitor<'de> for Parameters<T> {
        type Value = Option<Box<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object, or the text of one")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(|value| Some(Box::new(value)))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            if holds_text(text).map_err(E::custom)? {
                return Err(E::custom("the text of a call holds another one"));
            }
            let value = serde_json::from_str(text).map_err(E::custom)?;
            Ok(Some(Box::new(value)))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
    }

    deserializer.deserialize_any(Parameters(PhantomData))
}

/// Whether a call in JSON holds one that is sent as text: nesting goes only so deep in one text,
/// and in texts of texts it would go on.
fn holds_text(text: &str) -> serde_json::Result<bool> {
    let keys = ["input", "arguments", "function", "params", "edit", "result"];
    let value: serde_json::Value = serde_json::from_str(text)?;
    let mut calls = vec![&value];
    while let Some(call) = calls.pop() {
        for inner in keys.iter().filter_map(|key| call.get(key)) {
            if inner.is_string() {
                return Ok(true);
            }
            calls.push(inner);
        }
    }
    Ok(false)
}

fn one<T: DeserializeOwned>(rest: &[u8], body: &[u8], at: usize) -> Result<(T, usize), Refusal> {
    let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
    match stream.next() {
        Some(Ok(value)) => Ok((value, stream.byte_offset())),
        Some(Err(error)) => {
            // Lines and columns count from where the value starts.
            let above = crate::bytes::count(b'\n', &body[..at]);
            let text = error.to_string();
            let why = text.split(" at line ").next().unwrap_or_default();
            Err(Refusal::new(
                Code::InvalidBatch,
                format!("line {} of the patch: {why}", above + error.line().max(1)),
            ))
        }
        None => Err(invalid(body, at, "a JSON value is missing")),
    }
}

fn invalid(body: &[u8], at: usize, message: &str) -> Refusal {
    let line = crate::bytes::count(b'\n', &body[..at]) + 1;
    Refusal::new(
        Code::InvalidBatch,
        format!("line {line} of the patch: {message}"),
    )
}
