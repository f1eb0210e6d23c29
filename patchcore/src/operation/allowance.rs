//! What the sender of an operation lets pass.

use std::fmt;
use std::ops::BitOr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What the sender of an operation lets pass on its own responsibility: something that is refused
/// because it is most likely a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Allowance {
    /// New lines that look as if they stood for code that was left out.
    Omission,
}

impl Allowance {
    /// All allowances by the names that a sender gives them.
    pub(crate) const NAMES: [(&str, Self); 1] = [("omission", Self::Omission)];

    /// The name that a sender gives it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Omission => "omission",
        }
    }
}

/// What a sender lets pass; in JSON a list. Nearly always it is nothing, which takes one byte.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Allowances(u8);

impl Allowances {
    /// Whether nothing is let pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Whether one of them is let pass.
    #[must_use]
    pub fn contains(self, allowance: Allowance) -> bool {
        self.0 & Self::bit(allowance) != 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Allowance> {
        let all = Allowance::NAMES.into_iter().map(|(_, allowance)| allowance);
        all.filter(move |allowance| self.contains(*allowance))
    }

    fn bit(allowance: Allowance) -> u8 {
        1 << allowance as u8
    }
}

impl FromIterator<Allowance> for Allowances {
    fn from_iter<I: IntoIterator<Item = Allowance>>(all: I) -> Self {
        Self(all.into_iter().map(Self::bit).fold(0, BitOr::bitor))
    }
}

impl fmt::Debug for Allowances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Allowances {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Allowances {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Allowance>::deserialize(deserializer).map(Self::from_iter)
    }
}
