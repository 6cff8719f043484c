//! Prices in the user's own currency, beside the price in satoshi. They are shown and nothing is
//! decided by them: without a rate there is just no second number.

use std::sync::Arc;
use std::time::Duration;

use l402::Msat;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tollway_client::{Client, MemoryWallet, Request, Terms, Timeouts};

/// How long a rate may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest answer that is read for one number, in bytes.
const LONGEST: usize = 1 << 20;
/// Millisatoshi in a bitcoin.
const MSAT_PER_BTC: u128 = 100_000_000_000;
/// Rates are kept in hundred-millionths.
const SCALE: u128 = 100_000_000;

/// Where the price of a bitcoin is found, with the same keys as a gateway has for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RateSource {
    /// The currency's code, as `EUR`.
    pub(crate) currency: String,
    /// Whom to ask. `{currency}` in it stands for the code.
    pub(crate) url: String,
    /// Where in the JSON of the answer the number stands (RFC 6901), with the same `{currency}`.
    pub(crate) pointer: String,
}

/// What a bitcoin costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    currency: String,
    /// In hundred-millionths of the currency.
    scaled: u128,
}

impl RateSource {
    /// Asks for the rate. Why there is none is for the log only.
    pub(crate) async fn ask(&self) -> Option<Rate> {
        let found = tokio::time::timeout(PATIENCE, self.find()).await;
        found.inspect_err(|_| tracing::warn!("the source of rates does not answer")).ok().flatten()
    }

    async fn find(&self) -> Option<Rate> {
        let terms = Terms::up_to(Msat::ZERO);
        // Without a node it cannot pay, and with a wallet of its own it has no tokens to show.
        let client = Client::builder(Arc::new(MemoryWallet::new()), terms)
            .timeouts(Timeouts { connect: PATIENCE, answer: PATIENCE, idle: PATIENCE })
            .build()
            .ok()?;
        let request = Request::get(&self.url.replace("{currency}", &self.currency)).ok()?;
        let failed = client.fetch(&request).await;
        let mut response =
            failed.inspect_err(|error| tracing::warn!(%error, "the source of rates")).ok()?;
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.ok()? {
            body.extend_from_slice(&piece);
            if body.len() > LONGEST {
                return None;
            }
        }
        let answer: Value = serde_json::from_slice(&body).ok()?;
        let number = answer.pointer(&self.pointer.replace("{currency}", &self.currency))?;
        let text = number.as_str().map_or_else(|| number.to_string(), str::to_owned);
        let scaled = decimal(&text).filter(|scaled| *scaled > 0)?;
        Some(Rate { currency: self.currency.clone(), scaled })
    }
}

impl Rate {
    /// What that is, to the hundredth of a cent below: `≈ 0.0512 EUR`.
    pub(crate) fn show(&self, amount: Msat) -> String {
        let worth = u128::from(amount.msat()).saturating_mul(self.scaled) / MSAT_PER_BTC;
        let (whole, part) = (worth / SCALE, worth % SCALE / (SCALE / 10_000));
        format!("≈ {whole}.{part:04} {}", self.currency)
    }
}

/// Digits with a point or without, in hundred-millionths.
fn decimal(text: &str) -> Option<u128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 15 || !digits(whole) || !digits(part) {
        return None;
    }
    let part: String = part.chars().chain(std::iter::repeat('0')).take(8).collect();
    whole.parse::<u128>().ok()?.checked_mul(SCALE)?.checked_add(part.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_shown_in_the_users_currency() {
        let rate = Rate { currency: "EUR".into(), scaled: decimal("51234.5").unwrap() };
        assert_eq!(rate.show("100 sat".parse().unwrap()), "≈ 0.0512 EUR");
        assert_eq!(rate.show(Msat::SUPPLY), "≈ 1075924500000.0000 EUR");
        for bad in ["", "-1", "1e5", "1.x", "null", "."] {
            assert_eq!(decimal(bad), None, "{bad}");
        }
    }
}
