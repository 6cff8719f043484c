//! What a gateway counts, for Prometheus. Every number is resolved before the first request comes, so
//! that counting one takes neither a lock nor memory; the labels come from the configuration and from
//! lists in this code, never from a request. `text.rs` writes them down.

mod histogram;
mod serve;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use l402::Msat;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use histogram::Histogram;

/// Everything that one gateway counts.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By name; those that the configuration in force has.
    services: RwLock<BTreeMap<String, Arc<ServiceMetrics>>>,
    /// Of requests that belong to no service.
    pub(crate) nobody: ServiceMetrics,
    pub(crate) node: Calls,
    pub(crate) store: Calls,
    pub(crate) connections: Gauge,
    accepted: Counter,
    reloaded: Counter,
    not_reloaded: Counter,
}

/// What is counted for one service. It lives on when the configuration is read again.
#[derive(Debug, Default)]
pub(crate) struct ServiceMetrics {
    requests: [Counter; Outcome::ALL.len()],
    /// Until the head of the answer.
    latency: Histogram,
    tokens_offered: Counter,
    charges_offered: Counter,
    settled: Counter,
    revenue: Counter,
    too_many_requests: Counter,
    too_many_bills: Counter,
}

/// What became of a request. Each has exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Paid,
    Freebie,
    Free,
    Off,
    /// It was asked to pay.
    Asked,
    /// It was refused for what it is.
    Refused,
    /// It came too often.
    Limited,
    /// Something of ours failed: the store, the node, the pricer.
    Failed,
    /// It might pass, and its upstream failed.
    Upstream,
    /// Its client went away before it had an answer.
    Gone,
}

/// What somebody who is asked for something has answered.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    good: Counter,
    failed: Counter,
    /// Failures since the last good answer.
    failing: Gauge,
    latency: Histogram,
}

/// Counts a connection for as long as it is there.
#[derive(Debug)]
pub(crate) struct Open(Gauge);

impl Metrics {
    /// What is counted for the service of that name, from now on.
    pub(crate) fn service(&self, name: &str) -> Arc<ServiceMetrics> {
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(services.entry(name.to_owned()).or_default())
    }

    /// Forgets the services that are gone.
    pub(crate) fn keep_only(&self, names: &[&str]) {
        let mut services = self.services.write().unwrap_or_else(PoisonError::into_inner);
        services.retain(|name, _| names.contains(&name.as_str()));
    }

    /// A payment for a service was seen for the first time.
    pub(crate) fn settled(&self, service: &str, price: Option<Msat>) {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = services.get(service) {
            metrics.settled.inc();
            metrics.revenue.inc_by(price.map_or(0, |price| price.msat()));
        }
    }

    /// A configuration was put in force, or could not be.
    pub(crate) fn reloaded(&self, good: bool) {
        if good {
            self.reloaded.inc()
        } else {
            self.not_reloaded.inc()
        };
    }

    /// A connection was taken.
    pub(crate) fn connected(&self) -> Open {
        self.accepted.inc();
        self.connections.inc();
        Open(self.connections.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ServiceMetrics {
    pub(crate) fn ended(&self, outcome: Outcome, after: Duration) {
        self.requests[outcome as usize].inc();
        self.latency.observe(after);
    }

    /// A bill was written.
    pub(crate) fn asked(&self, token: bool, charge: bool) {
        self.tokens_offered.inc_by(u64::from(token));
        self.charges_offered.inc_by(u64::from(charge));
    }

    pub(crate) fn too_many_requests(&self) {
        self.too_many_requests.inc();
    }

    pub(crate) fn too_many_bills(&self) {
        self.too_many_bills.inc();
    }
}

impl Calls {
    pub(crate) fn answered(&self, good: bool, after: Duration) {
        self.latency.observe(after);
        if good {
            self.good.inc();
            self.failing.set(0);
        } else {
            self.failed.inc();
            self.failing.inc();
        }
    }
}

impl Outcome {
    /// In the order of their numbers.
    const ALL: [Self; 10] = [
        Self::Paid,
        Self::Freebie,
        Self::Free,
        Self::Off,
        Self::Asked,
        Self::Refused,
        Self::Limited,
        Self::Failed,
        Self::Upstream,
        Self::Gone,
    ];

    /// As it is called outside.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Freebie => "freebie",
            Self::Free => "free",
            Self::Off => "off",
            Self::Asked => "asked",
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Failed => "failed",
            Self::Upstream => "upstream_failed",
            Self::Gone => "gone",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_stands_at_its_own_number() {
        for (index, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index);
        }
    }

    #[test]
    fn what_was_counted_survives_a_new_configuration_and_goes_with_its_service() {
        let metrics = Metrics::default();
        metrics.service("a").ended(Outcome::Paid, Duration::ZERO);
        metrics.service("b").ended(Outcome::Paid, Duration::ZERO);
        metrics.keep_only(&["a"]);
        assert_eq!(metrics.service("a").requests[0].get(), 1);
        assert_eq!(metrics.service("b").requests[0].get(), 0);
    }
}
