//! Where rates come from, for prices in other currencies.

use std::time::Duration;

use super::duration;
use super::mistake::Problem;
use super::pricing::{self, Source};
use super::raw::{Keys, Reader};

/// Where the price of a bitcoin is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Whom to ask. `{currency}` in the URL stands for the currency's code.
    pub source: Source,
    /// The URL as it is written.
    url: String,
    /// Where in the JSON of the answer the number stands (RFC 6901), with the same `{currency}`.
    pointer: String,
    /// After how long a rate is asked for again.
    pub refresh: Duration,
    /// After how long a rate is none.
    pub max_age: Duration,
}

impl Rates {
    pub(crate) fn url_for(&self, currency: &str) -> String {
        self.url.replace("{currency}", currency)
    }

    pub(crate) fn pointer_for(&self, currency: &str) -> String {
        self.pointer.replace("{currency}", currency)
    }
}

/// Reads the keys that concern rates, if there are any.
pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Option<Rates> {
    let line = keys.line;
    let url = reader.text(keys, "rates");
    let pointer = reader.text(keys, "rates_pointer");
    let ca = reader.text(keys, "rates_ca");
    let ca = ca.and_then(|at| pricing::ca(reader, "rates_ca", &at));
    let refresh = duration(reader, keys, "rates_refresh").unwrap_or(Duration::from_secs(60));
    let max_age = duration(reader, keys, "rates_max_age").unwrap_or(Duration::from_secs(600));
    let at = url?;
    let Some(pointer) = pointer else {
        let (place, example) = ("the configuration".to_owned(), "rates_pointer = \"/{currency}\"");
        reader.mistake(line, Problem::Missing { key: "rates_pointer", place, example });
        return None;
    };
    if !pointer.value.starts_with('/') {
        reader.bad("rates_pointer", &pointer, "write for example `/{currency}/last`");
    }
    let Some(url) = pricing::url(&at.value.replace("{currency}", "USD")) else {
        reader.bad("rates", &at, "write for example `https://rates.example.com/ticker`");
        return None;
    };
    let timeout = Duration::from_secs(5);
    let source = Source { url, protocol: None, ca, timeout, keep: refresh };
    Some(Rates { source, url: at.value, pointer: pointer.value, refresh, max_age })
}
