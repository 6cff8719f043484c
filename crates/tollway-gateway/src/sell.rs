//! One service for a [`TollwayLayer`], described in code instead of a configuration file.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use l402::{Invoicer, Keyring};

use crate::books::Books;
use crate::config::{Limit, Patience, Proxies, Records, Told, Unpaid};
use crate::gateway::{Gateway, Snapshot};
use crate::layer::TollwayLayer;
use crate::metrics::Metrics;
use crate::pricer::Pricer;
use crate::store::{MemoryStore, SharedStore, StoreError};
use crate::tariff::Tariff;
use crate::till::Till;

/// What a layer is to sell, and under which limits. What is not said is as in a configuration file that
/// does not say it.
#[must_use]
pub struct Sale {
    pub(crate) tariff: Tariff,
    pub(crate) pricer: Option<Arc<dyn Pricer>>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) unpaid: Unpaid,
    pub(crate) proxies: Proxies,
    invoicer: Arc<dyn Invoicer>,
    keyring: Keyring,
    store: SharedStore,
    node_timeout: Duration,
}

impl TollwayLayer {
    /// Begins a gate with these terms, on every host and path. `invoicer` is the node to be paid on.
    pub fn sell(tariff: Tariff, invoicer: Arc<dyn Invoicer>, keyring: Keyring) -> Sale {
        Sale {
            tariff,
            pricer: None,
            limits: Vec::new(),
            unpaid: Unpaid::default(),
            proxies: Proxies::default(),
            invoicer,
            keyring,
            store: Arc::new(MemoryStore::default()),
            node_timeout: Patience::default().node,
        }
    }
}

impl Sale {
    /// Counts uses, claims and freebies in this store, for longer than this process lives and for
    /// others that share it. In memory unless told.
    pub fn store(mut self, store: SharedStore) -> Self {
        self.store = store;
        self
    }

    /// Adds a limit on how often somebody may come. All that count a request have to allow it.
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limits.push(limit);
        self
    }

    /// Limits how many bills are written for who does not pay.
    pub fn unpaid(mut self, unpaid: Unpaid) -> Self {
        self.unpaid = unpaid;
        self
    }

    /// Believes proxies in these networks, and nobody else, about whom they serve.
    pub fn trusted_proxies(mut self, networks: &[IpNet], told: Told) -> Self {
        self.proxies = Proxies { networks: networks.to_vec(), told, protocol: false };
        self
    }

    /// Names who says the price, for a tariff that is [`Tariff::quoted`]. Without it nobody can buy
    /// there (503).
    pub fn pricer(mut self, pricer: Arc<dyn Pricer>) -> Self {
        self.pricer = Some(pricer);
        self
    }

    /// How long the node may take for an invoice; ten seconds unless told.
    pub fn node_timeout(mut self, time: Duration) -> Self {
        self.node_timeout = time;
        self
    }

    /// Opens the gate. It needs a runtime from here on.
    ///
    /// # Errors
    /// The store does not say which tokens are revoked; nobody passes a gate that does not know.
    pub async fn open(self) -> Result<TollwayLayer, StoreError> {
        let metrics = Arc::new(Metrics::default());
        let snapshot = Snapshot::of_sale(&self, &metrics);
        let books =
            Books::open(Arc::clone(&self.store), Records::default(), Arc::clone(&metrics)).await?;
        let till = Till::new(self.keyring, self.invoicer, books, self.node_timeout, metrics);
        let gateway = Gateway::of(till, Patience::default(), |_| None, snapshot);
        Ok(TollwayLayer::of(gateway))
    }
}

impl fmt::Debug for Sale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sale").field("tariff", &self.tariff).finish_non_exhaustive()
    }
}
