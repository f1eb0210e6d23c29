//! A JSON object that keeps the order of its members and the spelling of their values.

use std::fmt;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// The members of a JSON object, in order, with values as they were written.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, Box<RawValue>)>);

impl Fields {
    /// A member's value, if it is there and of that type.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let raw = self.raw(name)?;
        serde_json::from_str(raw).ok()
    }

    /// A member's value as it was written.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        let member = self.0.iter().rev().find(|(key, _)| key == name);
        member.map(|(_, value)| value.get())
    }

    /// Sets a member, in its place if it is there, else behind the others.
    pub fn set(&mut self, name: &str, value: &impl Serialize) {
        let raw = serde_json::value::to_raw_value(value).expect("these values serialise");
        match self.0.iter_mut().rev().find(|(key, _)| key == name) {
            Some((_, old)) => *old = raw,
            None => self.0.push((name.to_owned(), raw)),
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name);
    }

    /// The names of the members, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        let members = |fields: &'_ Self| -> Vec<(String, String)> {
            let member =
                |(key, value): &(String, Box<RawValue>)| (key.clone(), value.get().to_owned());
            fields.0.iter().map(member).collect()
        };
        members(self) == members(other)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Fields(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}
