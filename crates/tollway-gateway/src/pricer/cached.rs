//! Remembers the price of a route for a while, so that a pricer is not asked for each 402.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use l402::Msat;

use super::{PriceError, Pricer, Route};

/// The most routes that are remembered. Anybody can ask for any path, so there has to be an end.
const MOST: usize = 10_000;

#[derive(Debug)]
pub(super) struct Cached<P> {
    inner: P,
    keep: Duration,
    /// By the route's text, each with the time when it was asked for. Never held while waiting.
    known: Mutex<HashMap<String, (Msat, Instant)>>,
}

impl<P> Cached<P> {
    pub(super) fn new(inner: P, keep: Duration) -> Self {
        Self { inner, keep, known: Mutex::new(HashMap::new()) }
    }
}

#[async_trait]
impl<P: Pricer> Pricer for Cached<P> {
    async fn price(&self, route: &Route<'_>) -> Result<Msat, PriceError> {
        if self.keep.is_zero() {
            return self.inner.price(route).await;
        }
        let host = route.host.unwrap_or_default();
        let key = format!("{} {} {} {host}", route.rule, route.method, route.path);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((price, at)) = known().get(&key)
            && at.elapsed() < self.keep
        {
            return Ok(*price);
        }
        // Not an error: only what is known is kept.
        let price = self.inner.price(route).await?;
        let mut known = known();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, (price, Instant::now()));
        Ok(price)
    }
}
