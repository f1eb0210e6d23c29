//! A transaction's id: a UUIDv7, so that names in the log sort by time and in the order of commits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The id of a transaction, unique and sorted by the order of commits; written as a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransactionId(Uuid);

/// Bits of a UUIDv7 behind its time that may be of any value.
const FREE: u32 = 74;
/// Bits of the last part of a UUIDv7, behind its variant.
const TAIL: u32 = 62;
/// Bits of a UUIDv7's time.
const TIME: u32 = 48;

impl TransactionId {
    /// A new id, of this moment. It is above no other one: for what is not in the log.
    #[must_use]
    pub fn now() -> Self {
        Self(Uuid::now_v7())
    }

    /// A new id above the last one: of this time (in milliseconds since 1970) where that is later,
    /// else a little above the last one. `None` where no id is above it.
    pub(crate) fn after(last: Option<&Self>, millis: u64) -> Option<Self> {
        let millis = millis.min((1 << TIME) - 2);
        let fresh = Self::now().rank() & low(FREE);
        let of_time = |millis: u64| Self::of_rank(u128::from(millis) << FREE | fresh);
        match last {
            Some(last) if millis > last.unix_millis() => of_time(millis),
            // A random step, so that an id which a power cut took back is not given again.
            Some(last) if last.is_regular() => Self::of_rank(last.rank() + 1 + (fresh & low(32))),
            Some(last) => of_time(last.unix_millis() + 1),
            None => of_time(millis),
        }
    }

    /// The 16 bytes of the id.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The time in the id, in milliseconds since 1970: when it was made, or later where the clock
    /// had been set back since the id before.
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        self.0.as_bytes()[..6]
            .iter()
            .fold(0, |millis, &byte| millis << 8 | u64::from(byte))
    }

    /// Whether it is a UUIDv7; what others put into the log may be any UUID.
    fn is_regular(&self) -> bool {
        self.0.get_version_num() == 7 && self.0.get_variant() == uuid::Variant::RFC4122
    }

    /// Whether there are ids enough above it. Those of the last millisecond of all are only made
    /// to leave none.
    pub(crate) fn has_room(&self) -> bool {
        self.unix_millis() < (1 << TIME) - 1
    }

    /// The id as a number, without version and variant.
    fn rank(&self) -> u128 {
        let bits = self.0.as_u128();
        let time = bits >> (128 - TIME);
        let middle = bits >> 64 & low(FREE - TAIL);
        time << FREE | middle << TAIL | bits & low(TAIL)
    }

    fn of_rank(rank: u128) -> Option<Self> {
        if rank >> (TIME + FREE) != 0 {
            return None;
        }
        let (time, middle) = (rank >> FREE, rank >> TAIL & low(FREE - TAIL));
        let (version, variant) = (7 << 76, 2 << 62);
        let bits = time << (128 - TIME) | version | middle << 64 | variant | rank & low(TAIL);
        Some(Self(Uuid::from_u128(bits)))
    }
}

/// A number whose low bits are set.
const fn low(bits: u32) -> u128 {
    (1 << bits) - 1
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// Why a string is no [`TransactionId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a transaction's id is a lower-case UUID with hyphens")]
pub struct InvalidTransactionId;

impl FromStr for TransactionId {
    type Err = InvalidTransactionId;

    /// Reads the one spelling that [`Display`](fmt::Display) writes, since the id names a file.
    fn from_str(text: &str) -> Result<Self, InvalidTransactionId> {
        let is_plain = text.len() == 36 && !text.bytes().any(|byte| byte.is_ascii_uppercase());
        match Uuid::try_parse(text) {
            Ok(uuid) if is_plain => Ok(Self(uuid)),
            _ => Err(InvalidTransactionId),
        }
    }
}

impl Serialize for TransactionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        serializer.serialize_str(self.0.as_hyphenated().encode_lower(&mut buffer))
    }
}

impl<'de> Deserialize<'de> for TransactionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
#[cfg(feature = "schema")]
impl schemars::JsonSchema for TransactionId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TransactionId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "uuid",
            "description": "Unique, and sorted by time.",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(bits: u128) -> TransactionId {
        TransactionId(Uuid::from_u128(bits))
    }

    proptest! {
        #[test]
        fn an_id_is_above_the_one_before_whatever_the_clock_says(
            bits in any::<u128>(),
            regular in any::<bool>(),
            clock in prop_oneof![0..1_u64 << 48, Just(0), Just(u64::MAX), Just((1 << 48) - 1)],
        ) {
            let last = match regular {
                true => TransactionId::of_rank(bits & low(TIME + FREE)).unwrap(),
                false => id(bits),
            };
            let Some(next) = TransactionId::after(Some(&last), clock) else {
                prop_assert!(!last.has_room());
                return Ok(());
            };
            prop_assert!(next > last, "{next} {last}");
            prop_assert!(next.to_string() > last.to_string());
            prop_assert!(next.is_regular());
            let time = clock.min((1 << 48) - 2).max(last.unix_millis());
            prop_assert!(next.unix_millis() - time <= 1, "{next} {last}");
            prop_assert_eq!(TransactionId::of_rank(next.rank()), Some(next));
        }
    }

    #[test]
    fn nothing_is_above_the_last_id_of_all() {
        for last in [
            id(u128::MAX),
            TransactionId::of_rank(low(TIME + FREE)).unwrap(),
        ] {
            assert_eq!(TransactionId::after(Some(&last), 0), None);
            assert_eq!(TransactionId::after(Some(&last), u64::MAX >> 16), None);
        }
        assert!(TransactionId::after(None, u64::MAX).is_some());
    }

    #[test]
    fn ids_of_one_millisecond_carry_into_its_time_and_never_repeat() {
        let mut last = TransactionId::of_rank(low(FREE) - (1 << 34)).unwrap();
        let mut seen = std::collections::BTreeSet::from([last]);
        for _ in 0..64 {
            last = TransactionId::after(Some(&last), 0).unwrap();
            assert!(seen.insert(last) && seen.last() == Some(&last));
        }
        assert_eq!(last.unix_millis(), 1);
    }
}
