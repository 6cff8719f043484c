//! What a service or a rule costs: an amount of bitcoin, an amount of another currency, or what somebody
//! says who is asked.

use std::path::PathBuf;
use std::time::Duration;

use l402::Msat;
use url::Url;

use super::duration;
use super::raw::{At, Keys, Reader};
use super::upstream::Protocol;
use crate::rule::Price;
use crate::tariff::TariffError;

/// A price that is not fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quote {
    /// Asked over HTTP, in JSON.
    Http(Source),
    /// Asked over gRPC, as Aperture does.
    Aperture(Source),
    /// In a currency that has a rate.
    Fiat(Amount),
}

/// Somebody to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where.
    pub url: Url,
    /// What it speaks; see [`super::Server`].
    pub protocol: Option<Protocol>,
    /// A PEM file with the certificates to trust instead of the public ones.
    pub ca: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How long an answer is good for.
    pub keep: Duration,
}

/// An amount in a currency that is not bitcoin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// How much.
    pub value: Decimal,
    /// Three capitals, for example `USD`.
    pub currency: String,
}

/// A number with at most eight digits after its point, and no sign. Money is never a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decimal(u128);

const PLACES: u32 = 8;

impl Decimal {
    /// Reads for example `62500.5`.
    pub fn read(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Digits beyond the eighth would have to be rounded; which way is not ours to say.
        let fraction = match fraction.len() > PLACES as usize {
            true => fraction.trim_end_matches('0'),
            false => fraction,
        };
        let places = u32::try_from(fraction.len()).ok().filter(|places| *places <= PLACES)?;
        if !digits(whole) || !digits(fraction) || whole.len() > 20 {
            return None;
        }
        let whole: u128 = whole.parse().ok()?;
        let fraction: u128 = fraction.parse().ok()?;
        let fraction = fraction * 10_u128.pow(PLACES - places);
        Some(Self(whole.checked_mul(10_u128.pow(PLACES))?.checked_add(fraction)?))
    }

    /// A hundred million times the number.
    pub(crate) fn scaled(self) -> u128 {
        self.0
    }
}

/// Reads the price of a service or a rule. What is quoted is added to `quotes`.
pub(super) fn price(
    reader: &mut Reader<'_>,
    keys: &mut Keys<'_>,
    shared: &Shared,
    quotes: &mut Vec<Quote>,
) -> Option<Price> {
    let price = reader.text(keys, "price");
    let pricer = reader.text(keys, "pricer");
    match (price, pricer) {
        (Some(_), Some(at)) => {
            reader.bad("pricer", &at, "there is a `price` too; leave one of them out");
            None
        }
        (Some(at), None) => written(reader, &at, shared, quotes),
        (None, Some(at)) => asked(reader, &at, shared, quotes),
        (None, None) => None,
    }
}

/// What the prices of one service have in common.
pub(super) struct Shared {
    /// Whether the configuration says where rates come from.
    pub(super) has_rates: bool,
    ca: Option<PathBuf>,
    timeout: Duration,
    keep: Duration,
}

impl Shared {
    pub(super) fn read(reader: &mut Reader<'_>, keys: &mut Keys<'_>, has_rates: bool) -> Self {
        let ca = reader.text(keys, "pricer_ca").and_then(|at| ca(reader, "pricer_ca", &at));
        let timeout = duration(reader, keys, "pricer_timeout").unwrap_or(Duration::from_secs(5));
        let keep = duration(reader, keys, "pricer_keep").unwrap_or(Duration::from_secs(10));
        Self { has_rates, ca, timeout, keep }
    }
}

pub(super) fn ca(reader: &mut Reader<'_>, key: &'static str, at: &At<String>) -> Option<PathBuf> {
    match at.value.strip_prefix("file:") {
        Some(path) if !path.is_empty() => Some(PathBuf::from(path)),
        _ => {
            reader.bad(key, at, "write where the certificates are: `file:/path/ca.pem`");
            None
        }
    }
}

fn written(
    reader: &mut Reader<'_>,
    at: &At<String>,
    shared: &Shared,
    quotes: &mut Vec<Quote>,
) -> Option<Price> {
    let problem = match amount(&at.value) {
        Some(_) if !shared.has_rates => {
            "a price in another currency needs `rates`, which says where its rate comes from"
                .to_owned()
        }
        Some(amount) => {
            quotes.push(Quote::Fiat(amount));
            return Some(Price::Quoted { by: quotes.len() - 1, per_route: false });
        }
        None => match at.value.parse::<Msat>() {
            Ok(price) if price > Msat::SUPPLY => TariffError::Price.to_string(),
            Ok(price) => return Some(Price::Fixed(price)),
            Err(why) => why.to_string(),
        },
    };
    reader.bad("price", at, problem);
    None
}

/// For example `0.05 USD`. Millisatoshi and satoshi are written in small letters.
fn amount(text: &str) -> Option<Amount> {
    let (value, currency) = text.split_once(' ')?;
    let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
    let value = Decimal::read(value).filter(|_| is_code && currency != "BTC")?;
    Some(Amount { value, currency: currency.to_owned() })
}

fn asked(
    reader: &mut Reader<'_>,
    at: &At<String>,
    shared: &Shared,
    quotes: &mut Vec<Quote>,
) -> Option<Price> {
    match source(&at.value, shared) {
        Ok(quote) => {
            quotes.push(quote);
            Some(Price::Quoted { by: quotes.len() - 1, per_route: true })
        }
        Err(why) => {
            reader.bad("pricer", at, why);
            None
        }
    }
}

fn source(written: &str, shared: &Shared) -> Result<Quote, &'static str> {
    const EXAMPLE: &str = "write for example `http://127.0.0.1:9100/price`, or \
                           `grpc://127.0.0.1:9100` for Aperture's protocol";
    let (scheme, rest) = written.split_once("://").ok_or(EXAMPLE)?;
    let (scheme, protocol) = match scheme {
        "http" | "https" => (scheme, None),
        "grpc" => ("http", Some(Protocol::H2)),
        "grpcs" => ("https", Some(Protocol::H2)),
        _ => return Err(EXAMPLE),
    };
    let url = url(&format!("{scheme}://{rest}")).ok_or(EXAMPLE)?;
    if protocol.is_some() && (url.path() != "/" || url.query().is_some()) {
        return Err("a gRPC pricer is a host and a port; the path is the protocol's");
    }
    let (ca, timeout, keep) = (shared.ca.clone(), shared.timeout, shared.keep);
    let source = Source { url, protocol, ca, timeout, keep };
    Ok(if protocol.is_some() { Quote::Aperture(source) } else { Quote::Http(source) })
}

/// A URL to ask, without a user in it: what is in a URL is soon in a log.
pub(super) fn url(written: &str) -> Option<Url> {
    let url: Url = written.parse().ok()?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    (url.has_host() && plain && matches!(url.scheme(), "http" | "https")).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_or_not_at_all() {
        let scaled = |text| Decimal::read(text).map(Decimal::scaled);
        assert_eq!(scaled("1"), Some(100_000_000));
        assert_eq!(scaled("0.05"), Some(5_000_000));
        assert_eq!(scaled("62500.12345678"), Some(6_250_012_345_678));
        assert_eq!(scaled("1.500000000000"), Some(150_000_000));
        for bad in ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,5", "0.123456789", "1.0.0", "1_0"] {
            assert_eq!(scaled(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_amount_names_its_currency() {
        let read = amount("0.05 USD").unwrap();
        assert_eq!((read.value.scaled(), read.currency.as_str()), (5_000_000, "USD"));
        for bad in ["0.05", "0.05 usd", "0.05 DOLLAR", "USD 0.05", "0.05USD", "1 BTC", "1 sat"] {
            assert_eq!(amount(bad), None, "{bad}");
        }
    }
}
