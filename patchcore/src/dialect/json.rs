//! JSON as models send it: one value, a list, lines of values, with prose and fences around.

use serde::de::DeserializeOwned;

use super::Options;
use crate::error::{Code, Refusal};

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
                return Err(invalid(
                    body,
                    at,
                    "text beside the JSON; --strict refuses that",
                ));
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
