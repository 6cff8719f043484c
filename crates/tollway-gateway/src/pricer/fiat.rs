//! Prices in a currency that bitcoin is traded for. The rate comes from somebody else, is used again
//! until it is some age old, and beyond its greatest age it is none: then there is no price either.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, Uri};
use http_body_util::Full;
use l402::Msat;
use serde_json::Value;

use super::web::Web;
use super::{PriceError, Pricer, Route};
use crate::config::{self, Amount, Decimal};
use crate::upstream::CertificatesError;

/// Millisatoshi in a bitcoin.
const MSAT_PER_BTC: u128 = 100_000_000_000;

/// One price.
#[derive(Debug)]
pub(super) struct Fiat {
    amount: Amount,
    rates: Arc<Rates>,
}

/// What a bitcoin costs, by currency.
#[derive(Debug)]
pub(crate) struct Rates {
    web: Web,
    config: config::Rates,
    /// Never held while waiting.
    known: Mutex<HashMap<String, (Decimal, Instant)>>,
    refreshing: AtomicBool,
}

impl Fiat {
    pub(super) fn new(amount: Amount, rates: Arc<Rates>) -> Self {
        Self { amount, rates }
    }
}

#[async_trait]
impl Pricer for Fiat {
    async fn price(&self, _route: &Route<'_>) -> Result<Msat, PriceError> {
        let rate = Rates::find(&self.rates, &self.amount.currency).await?;
        convert(self.amount.value, rate).ok_or(PriceError::TooMuch)
    }
}

/// Rounds up: what costs something never costs nothing.
fn convert(amount: Decimal, rate: Decimal) -> Option<Msat> {
    let msat = amount.scaled().checked_mul(MSAT_PER_BTC)?.div_ceil(rate.scaled());
    u64::try_from(msat).ok().map(Msat::from_msat)
}

impl Rates {
    pub(super) fn open(config: &config::Rates) -> Result<Self, CertificatesError> {
        Ok(Self {
            web: Web::open(&config.source)?,
            config: config.clone(),
            known: Mutex::new(HashMap::new()),
            refreshing: AtomicBool::new(false),
        })
    }

    /// A rate that is young enough. One that could be younger is asked for on the side.
    async fn find(rates: &Arc<Self>, currency: &str) -> Result<Decimal, PriceError> {
        let known = rates.known().get(currency).copied();
        match known.map(|(rate, at)| (rate, at.elapsed())) {
            Some((rate, age)) if age < rates.config.refresh => Ok(rate),
            Some((rate, age)) if age < rates.config.max_age => {
                if !rates.refreshing.swap(true, Ordering::AcqRel) {
                    let (rates, currency) = (Arc::clone(rates), currency.to_owned());
                    tokio::spawn(async move {
                        if let Err(error) = rates.ask(&currency).await {
                            tracing::warn!(%error, currency, "no new rate");
                        }
                        rates.refreshing.store(false, Ordering::Release);
                    });
                }
                Ok(rate)
            }
            _ => rates.ask(currency).await,
        }
    }

    async fn ask(&self, currency: &str) -> Result<Decimal, PriceError> {
        let uri: Uri = self
            .config
            .url_for(currency)
            .parse()
            .map_err(|_| PriceError::NoRate(currency.to_owned()))?;
        let request = Request::get(uri)
            .header(ACCEPT, "application/json")
            .body(Full::<Bytes>::default())
            .expect("a checked URL makes a request");
        let asked = Instant::now();
        let answer = self.web.ask(request).await?.into_body().to_bytes();
        let answer: Value =
            serde_json::from_slice(&answer).map_err(|_| PriceError::NoPrice("what is not JSON"))?;
        let rate = match answer.pointer(&self.config.pointer_for(currency)) {
            // As it is written, and never reckoned with as a float.
            Some(Value::Number(number)) => Decimal::read(&number.to_string()),
            Some(Value::String(text)) => Decimal::read(text),
            _ => None,
        };
        let rate = rate.filter(|rate| rate.scaled() > 0);
        let rate = rate.ok_or_else(|| PriceError::NoRate(currency.to_owned()))?;
        self.known().insert(currency.to_owned(), (rate, asked));
        Ok(rate)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, (Decimal, Instant)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_converted_exactly_and_rounded_up() {
        let msat = |amount: &str, rate: &str| {
            let decimal = |text| Decimal::read(text).unwrap();
            convert(decimal(amount), decimal(rate)).map(Msat::msat)
        };
        assert_eq!(msat("1", "100000"), Some(1_000_000));
        assert_eq!(msat("0.05", "62500.5"), Some(80_000));
        assert_eq!(msat("0.00000001", "99999999"), Some(1));
        assert_eq!(msat("0", "100000"), Some(0));
        assert_eq!(msat("90000000000", "0.00000001"), None);
    }
}
