//! What a gateway remembers, where, and for how long.

use std::time::Duration;

use super::duration;
use super::raw::{At, Keys, Reader};
use crate::store::StoreUrl;

/// How a gateway uses its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Records {
    /// How long the store may take for one thing.
    pub timeout: Duration,
    /// Whether what was asked for is written down, or only what was paid.
    pub bills: bool,
    /// How long what was never paid is kept.
    pub keep_unpaid: Duration,
    /// How long what was paid is kept.
    pub keep_paid: Duration,
}

impl Default for Records {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        Self {
            timeout: Duration::from_secs(2),
            bills: true,
            keep_unpaid: days(7),
            keep_paid: days(400),
        }
    }
}

pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> (StoreUrl, Records) {
    let store = match reader.text(keys, "store") {
        None => StoreUrl::default(),
        Some(at) => StoreUrl::parse(&at.value).unwrap_or_else(|why| {
            // The value may hold a password.
            let hidden = At { line: at.line, value: "(not shown)".to_owned() };
            reader.bad("store", &hidden, why.to_string());
            StoreUrl::default()
        }),
    };
    let default = Records::default();
    let mut wait = |key, default| duration(reader, keys, key).unwrap_or(default);
    let records = Records {
        timeout: wait("store_timeout", default.timeout),
        keep_unpaid: wait("keep_unpaid", default.keep_unpaid),
        keep_paid: wait("keep_paid", default.keep_paid),
        bills: reader.flag(keys, "record_bills").unwrap_or(default.bills),
    };
    (store, records)
}
