//! Amounts in a configuration: text with its unit, `10 sat` or `1500 msat`, that reads back as what
//! it was.

use l402::Msat;
use serde::{Deserialize, Deserializer, Serializer};

/// The text, whole in sat where it can be.
pub(crate) fn text(amount: Msat) -> String {
    match amount.msat() % 1000 {
        0 => format!("{} sat", amount.msat() / 1000),
        _ => format!("{} msat", amount.msat()),
    }
}

pub(crate) fn serialize<S: Serializer>(amount: &Msat, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*amount))
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Msat, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

/// The same where there may be none.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Msat, Serializer, text};

    pub(crate) fn serialize<S: Serializer>(
        amount: &Option<Msat>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match amount {
            Some(amount) => serializer.serialize_str(&text(*amount)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Msat>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}
