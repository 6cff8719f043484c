//! How often somebody may come, and how many requests cost nothing.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::raw::{At, Keys, Reader};
use super::service;
use super::values;
use crate::matching::PathMatch;

/// Every key of `[[service.limit]]`.
pub(crate) static LIMIT_KEYS: &[&str] = &["rate", "burst", "by", "path", "shared"];

/// So many in so long a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: NonZeroU32,
    /// In how long.
    pub per: Duration,
    /// How many at once, when none came for a while.
    pub burst: NonZeroU32,
}

/// One limit of a service.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The paths that it counts.
    pub paths: Vec<PathMatch>,
    /// How often.
    pub rate: Rate,
    /// Whose requests are counted together.
    pub by: By,
    /// Whether all gateways with the same store count together, in windows of the rate's time that follow
    /// one another.
    pub shared: bool,
}

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Those from one address (one /64 of IPv6).
    Address,
    /// Those with one token; without a token, those from one address.
    Token,
}

/// How many bills may be written for who does not pay; `None` is any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpaid {
    /// For one address (one /64 of IPv6).
    pub by_address: Option<Rate>,
    /// For all together.
    pub total: Option<Rate>,
    /// Whether all gateways with the same store count together, as in [`Limit::shared`].
    pub shared: bool,
}

/// A few requests for nothing, for each neighbourhood (a /24 of IPv4, a /48 of IPv6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freebie {
    /// How many.
    pub requests: NonZeroU32,
    /// In how long.
    pub window: Duration,
}

/// Not how many in how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{EXAMPLE}")]
pub struct BadRate;

/// Reads `100/1m` or `10/s`; as many at once as in that time.
impl FromStr for Rate {
    type Err = BadRate;

    fn from_str(written: &str) -> Result<Self, BadRate> {
        rate(written).ok_or(BadRate)
    }
}

impl Limit {
    /// A limit on the requests to every path.
    pub fn new(rate: Rate, by: By) -> Self {
        Self { paths: vec![PathMatch::all()], rate, by, shared: false }
    }

    /// The same for one path and all below it, or as else the path of a service is written.
    ///
    /// # Errors
    /// That is no path; says what one looks like.
    pub fn on(rate: Rate, by: By, path: &str) -> Result<Self, String> {
        Ok(Self { paths: vec![PathMatch::read(path)?], rate, by, shared: false })
    }

    /// The same, counted in the store: by all gateways together that have it, in windows of the rate's
    /// time, which is a second at least. Each request that it counts asks the store then.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { shared: true, ..self }
    }
}

impl Default for Unpaid {
    fn default() -> Self {
        let by_address = rate("600/1m").expect("a rate");
        let total = rate("1000/1s").expect("a rate");
        Self { by_address: Some(by_address), total: Some(total), shared: false }
    }
}

/// Reads `100/1m` or `10/s`.
fn rate(written: &str) -> Option<Rate> {
    let (count, per) = written.split_once('/')?;
    let count = count.trim().parse().ok()?;
    let per = per.trim();
    let one = matches!(per, "s" | "m" | "h" | "d");
    let per = if one { values::duration(&format!("1{per}")) } else { values::duration(per) };
    Some(Rate { count, per: per.ok()?, burst: count })
}

const EXAMPLE: &str = "write how many in how long: `100/1m` or `10/s`";

const TOO_SHORT: &str = "a shared limit is counted by the second, or in a longer time";

/// Reads the two limits on bills that are not paid.
pub(super) fn unpaid(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Unpaid {
    let default = Unpaid::default();
    let shared = reader.flag(keys, "unpaid_shared").unwrap_or(default.shared);
    let mut read = |key, default| match reader.text(keys, key) {
        None => default,
        Some(at) if at.value == "off" => None,
        Some(at) => {
            let read = rate(&at.value);
            match read {
                None => reader.bad(key, &at, format!("{EXAMPLE}, or `off`")),
                Some(rate) if shared && rate.per < Duration::from_secs(1) => {
                    reader.bad(key, &at, TOO_SHORT);
                }
                Some(_) => {}
            }
            read
        }
    };
    Unpaid {
        by_address: read("unpaid_per_ip", default.by_address),
        total: read("unpaid_total", default.total),
        shared,
    }
}

/// Reads every `[[service.limit]]`.
pub(super) fn read_all(reader: &mut Reader<'_>, keys: &mut Keys<'_>) -> Vec<Limit> {
    let tables = reader.tables(keys, "limit", "one or more `[[service.limit]]` tables");
    tables.into_iter().filter_map(|table| read(reader, table)).collect()
}

fn read(reader: &mut Reader<'_>, mut keys: Keys<'_>) -> Option<Limit> {
    let line = keys.line;
    let written = reader.text(&mut keys, "rate");
    let burst = reader.number(&mut keys, "burst", 1..=u64::from(u32::MAX));
    let by = match reader.text(&mut keys, "by") {
        None => By::Address,
        Some(at) => by(reader, &at),
    };
    let paths = service::paths(reader, &mut keys);
    let shared = reader.flag(&mut keys, "shared").unwrap_or(false);
    reader.end(keys, "[[service.limit]]", LIMIT_KEYS);
    let Some(at) = written else {
        let (place, example) = ("the limit".to_owned(), "rate = \"100/1m\"");
        reader.mistake(line, super::Problem::Missing { key: "rate", place, example });
        return None;
    };
    let Some(mut rate) = rate(&at.value) else {
        reader.bad("rate", &at, EXAMPLE);
        return None;
    };
    if shared && rate.per < Duration::from_secs(1) {
        reader.bad("rate", &at, TOO_SHORT);
    }
    if shared && burst.is_some() {
        let because = "a `shared` limit is so many in each window, at once or not";
        reader.mistake(line, super::Problem::Idle { key: "burst", because });
    }
    let burst = burst.and_then(|burst| u32::try_from(burst).ok()).and_then(NonZeroU32::new);
    rate.burst = burst.unwrap_or(rate.burst);
    Some(Limit { paths, rate, by, shared })
}

fn by(reader: &mut Reader<'_>, at: &At<String>) -> By {
    match at.value.as_str() {
        "ip" => By::Address,
        "token" => By::Token,
        _ => {
            reader.bad("by", at, "write `ip` or `token`");
            By::Address
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        let read = |text| rate(text).map(|rate| (rate.count.get(), rate.per.as_millis()));
        assert_eq!(read("100/1m"), Some((100, 60_000)));
        assert_eq!(read("10/s"), Some((10, 1000)));
        assert_eq!(read("1 / 250ms"), Some((1, 250)));
        for bad in ["", "10", "0/s", "-1/s", "10/", "10/0s", "x/s", "1.5/s", "10/x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
