//! JSON as models send it: one value, a list, lines of values, with prose and fences around.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error, MapAccess, Visitor};

use super::Options;
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
