//! What is looked at in a caller's JSON before anything else reads it.

use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Most values in a text, each with its key: what is read of it takes many times the room of its
/// shortest form.
pub(crate) const MAX_VALUES: usize = 1_000_000;

/// Whether a text is JSON of a bounded number of values in which no object has a key twice. Of two
/// equal keys most readers take one without a word.
///
/// # Errors
/// What is wrong, and where; [`is_json`] tells whether it is JSON at all.
pub(crate) fn check(text: &[u8]) -> Result<(), serde_json::Error> {
    let left = Cell::new(MAX_VALUES);
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    Unique(&left).deserialize(&mut deserializer)?;
    deserializer.end()
}

/// Whether a text is JSON that [`check`] finds fault with.
#[cfg(feature = "mcp")]
pub(crate) fn is_json(fault: &serde_json::Error) -> bool {
    fault.is_data()
}

/// Reads a value and keeps nothing of it; knows how many more there may be.
#[derive(Clone, Copy)]
struct Unique<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.0.get().checked_sub(1) {
            Some(left) => self.0.set(left),
            None => {
                return Err(D::Error::custom(format_args!(
                    "there are more than {MAX_VALUES} values"
                )));
            }
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut keys: HashSet<String> = HashSet::new();
        while let Some(key) = object.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!(
                    "the key {key:?} appears twice"
                )));
            }
            keys.insert(key);
            object.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// The `id` of a message that cannot be read as JSON, as far as it can be seen: a number or a
/// string at the top level.
#[cfg(feature = "mcp")]
pub(crate) fn id_of(text: &[u8]) -> Option<serde_json::Value> {
    let (mut depth, mut at) = (0_usize, 0);
    let mut is_key = false;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                is_key = byte == b'{';
            }
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' => is_key = depth == 1,
            b':' => is_key = false,
            b'"' => {
                let end = end_of_string(text, at)?;
                if depth == 1 && is_key && &text[at..end] == b"\"id\"" {
                    let rest = &text[end..];
                    let value = rest.trim_ascii_start().strip_prefix(b":")?;
                    let mut values = serde_json::Deserializer::from_slice(value).into_iter();
                    let value: serde_json::Value = values.next()?.ok()?;
                    return (value.is_number() || value.is_string()).then_some(value);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the string ends that begins here, behind its quote.
#[cfg(feature = "mcp")]
fn end_of_string(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "mcp")]
    use serde_json::json;

    #[test]
    fn a_key_that_appears_twice_is_found_at_any_depth() {
        assert!(check(br#"{"a": [{"b": 1, "c": {"b": 2}}], "d": null}"#).is_ok());
        let error = check(br#"{"a": [{"b": 1, "\u0062": 2}]}"#).unwrap_err();
        assert!(error.to_string().contains("\"b\" appears twice"), "{error}");
        assert!(check(b"{} x").is_err());
        assert!(check(b"{").is_err_and(|fault| fault.is_eof()));
    }

    #[test]
    fn values_are_counted() {
        let list = |n: usize| format!("[{}0]", "[],".repeat(n - 2));
        assert!(check(list(MAX_VALUES).as_bytes()).is_ok());
        let error = check(list(MAX_VALUES + 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains("more than 1000000"), "{error}");
    }

    #[cfg(feature = "mcp")]
    #[test]
    fn the_id_of_what_cannot_be_read_is_found() {
        let id = |text: &str| id_of(text.as_bytes());
        assert_eq!(
            id(r#"{"jsonrpc":"2.0","id":7,"params":{"x":"\ud800"}}"#),
            Some(json!(7))
        );
        assert_eq!(
            id(r#"{"params":{"id":1,"a":["id",{}]},"id" : "x" ,"#),
            Some(json!("x"))
        );
        assert_eq!(id(r#"{"id":{"a":1}}"#), None);
        assert_eq!(id(r#"{"x":"id","y":3"#), None);
        assert_eq!(id("]"), None);
        assert_eq!(id(r#"{"id"#), None);
    }
}
