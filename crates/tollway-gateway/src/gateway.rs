//! A gateway: the configuration in force, what is needed to ask for money, and a door to the outside.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use l402::{Invoicer, Keyring, TokenId};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::books::Books;
use crate::config::{Config, Patience, Proxies};
use crate::discovery::{self, DOCUMENTS, Document};
use crate::limits::{Limits, Unpaid};
use crate::matching::{Methods, PathMatch};
use crate::metrics::{Metrics, ServiceMetrics};
use crate::passage::Passage;
use crate::pricer::{self, Prices};
use crate::route::Routes;
use crate::sell::Sale;
use crate::serve::{self, Stopped};
use crate::store::{SharedStore, StoreError};
use crate::tariff::Tariff;
use crate::till::Till;
use crate::tls::Tls;
use crate::traces::Traces;
use crate::upstream::{Condition, OpenError, Upstream};
use crate::workers::Workers;

/// A reverse proxy that asks for money. Clones are the same gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    till: Till,
    patience: Patience,
    environment: Environment,
    /// What begins in the background begins there.
    runtime: Handle,
    snapshot: ArcSwap<Snapshot>,
    /// Started when the first door is opened.
    workers: OnceLock<Workers>,
}

/// Everything a request needs to know of the configuration. It is replaced whole and never changed.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) routes: Routes<Service>,
    /// What is told of it.
    pub(crate) documents: Vec<&'static Document>,
    pub(crate) unpaid: Unpaid,
    pub(crate) proxies: Proxies,
    /// Who is turned away.
    pub(crate) blocked: Vec<IpNet>,
    /// How connections are encrypted, where they are.
    pub(crate) tls: Option<Arc<Tls>>,
    /// Where it is told what became of requests, if anywhere.
    pub(crate) traces: Option<Arc<Traces>>,
}

/// Services that are open and not yet in force.
#[derive(Debug)]
pub(crate) struct Ready(Snapshot);

/// One service, opened.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) tariff: Tariff,
    pub(crate) paths: Vec<PathMatch>,
    pub(crate) passage: Passage,
    pub(crate) prices: Prices,
    pub(crate) limits: Limits,
    /// None where somebody else serves it, and only asks us whether a request may pass.
    pub(crate) upstream: Option<Upstream>,
    pub(crate) metrics: Arc<ServiceMetrics>,
}

/// Reads a variable of the environment, which this library does not touch.
pub type Environment = fn(&str) -> Option<String>;

impl Gateway {
    /// Opens what a configuration describes. `invoicer` is the node to be paid on; `keyring` holds
    /// the master keys (see [`Config::keyring`]). `listen`, `node` and the secrets in the
    /// configuration are for the caller to use.
    ///
    /// # Errors
    /// A file with certificates cannot be used, a header's secret cannot be had (there is no
    /// environment; see [`Gateway::open_with`]), or the store cannot be used. A gateway that does not
    /// know which tokens are revoked does not open.
    pub async fn open(
        config: &Config,
        invoicer: Arc<dyn Invoicer>,
        keyring: Keyring,
    ) -> Result<Self, OpenError> {
        Self::open_with(config, invoicer, keyring, |_| None).await
    }

    /// The same, with an environment from which the secrets in headers can be read, here and in
    /// [`Gateway::replace`].
    ///
    /// # Errors
    /// As [`Gateway::open`].
    pub async fn open_with(
        config: &Config,
        invoicer: Arc<dyn Invoicer>,
        keyring: Keyring,
        environment: Environment,
    ) -> Result<Self, OpenError> {
        let metrics = Arc::new(Metrics::default());
        let runtime = Handle::current();
        let snapshot = Snapshot::open(config, environment, &runtime, &metrics, None)?;
        let store = config.store.open().await?;
        let books = Books::open(store, config.records, Arc::clone(&metrics)).await?;
        let till = Till::new(keyring, invoicer, books, config.patience.node, metrics);
        Ok(Self::of(till, config.patience, environment, snapshot))
    }

    /// To be called within the runtime that serves.
    pub(crate) fn of(
        till: Till,
        patience: Patience,
        environment: Environment,
        snapshot: Snapshot,
    ) -> Self {
        let snapshot = ArcSwap::from_pointee(snapshot);
        let workers = OnceLock::new();
        let runtime = Handle::current();
        let inner = Inner { till, patience, environment, runtime, snapshot, workers };
        Self { inner: Arc::new(inner) }
    }

    /// Puts other services in force, and with them proxies, rates, limits, documents, certificates and
    /// traces. Requests that have begun go on under the old ones; nobody waits for anybody. The listeners,
    /// the node, the keys, the store and the timeouts stay as they were.
    ///
    /// # Errors
    /// A file that it names cannot be used; then nothing has changed.
    pub fn replace(&self, config: &Config) -> Result<(), OpenError> {
        let ready = self.prepare(config).inspect_err(|_| self.reload_failed())?;
        self.enforce(ready);
        Ok(())
    }

    /// The first half of [`Gateway::replace`]: everything that can fail.
    pub(crate) fn prepare(&self, config: &Config) -> Result<Ready, OpenError> {
        let old = self.snapshot();
        let metrics = &self.inner.till.metrics;
        let Inner { environment, runtime, .. } = &*self.inner;
        Snapshot::open(config, *environment, runtime, metrics, Some(&old)).map(Ready)
    }

    /// The second half.
    pub(crate) fn enforce(&self, Ready(snapshot): Ready) {
        let snapshot = Arc::new(snapshot);
        self.inner.till.metrics.reloaded(true);
        let names: Vec<&str> = snapshot.services().map(|service| service.tariff.name()).collect();
        self.inner.till.metrics.keep_only(&names);
        let _within = self.inner.runtime.enter();
        snapshot.watch();
        self.inner.snapshot.store(snapshot);
    }

    /// Serves HTTP/1.1 and HTTP/2 (chosen by ALPN where the configuration has `[tls]`, else with prior
    /// knowledge) until `stop` is ready. Then it takes no new
    /// connections, tells the ones it has to close, and waits for what is in flight, but not longer
    /// than the configuration's `stop_timeout`. Dropping the future cuts everything off at once.
    pub async fn serve(&self, listener: TcpListener, stop: impl Future<Output = ()>) -> Stopped {
        let stopped = serve::serve(self, listener, stop).await;
        self.inner.till.books.flush().await;
        if let Some(traces) = &self.snapshot().traces {
            traces.flush().await;
        }
        stopped
    }

    /// Tells everybody who comes to `listener` to come again with TLS, to the port that the
    /// configuration says in `redirect_port`, or else to `port`. Stops like [`Gateway::serve`].
    pub async fn redirect(
        &self,
        listener: TcpListener,
        port: u16,
        stop: impl Future<Output = ()>,
    ) -> Stopped {
        serve::redirect(self, listener, port, stop).await
    }

    /// Revokes a token: here at once, and at other gateways with the same store within seconds. When it
    /// expires by itself, say so in `until`, and it will be forgotten then.
    ///
    /// # Errors
    /// The store did not take it; then nothing has changed.
    pub async fn revoke(
        &self,
        token: TokenId,
        until: Option<SystemTime>,
    ) -> Result<(), StoreError> {
        self.inner.till.books.revoke(token, until).await
    }

    /// Counts a configuration that could not even be read, beside those that [`Gateway::replace`] counts.
    pub fn reload_failed(&self) {
        self.inner.till.metrics.reloaded(false);
    }

    /// Everything this gateway has counted, as Prometheus reads it (OpenMetrics text, version 1.0.0).
    /// There is no secret in it, and no label comes from a request.
    pub fn metrics_text(&self) -> String {
        self.inner.till.metrics.text(self.snapshot().upstreams())
    }

    /// Where this gateway remembers what it must.
    pub fn store(&self) -> &SharedStore {
        self.inner.till.books.store()
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.snapshot.load_full()
    }

    pub(crate) fn till(&self) -> &Till {
        &self.inner.till
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    pub(crate) fn workers(&self) -> &Workers {
        self.inner.workers.get_or_init(Workers::start)
    }

    pub(crate) fn patience(&self) -> &Patience {
        &self.inner.patience
    }
}

impl Snapshot {
    /// Opens a configuration. What was counted under the old one goes on being counted.
    fn open(
        config: &Config,
        environment: Environment,
        runtime: &Handle,
        metrics: &Metrics,
        old: Option<&Self>,
    ) -> Result<Self, OpenError> {
        let mut routes = Routes::new();
        let rates = config.rates.as_ref().map(pricer::rates).transpose();
        let rates = rates.map_err(OpenError::RatesCertificates)?;
        for service in &config.services {
            let name = service.tariff.name();
            let before = old.and_then(|old| old.service(name));
            let upstream = service.upstream.as_ref().map(|upstream| {
                let known = before.and_then(|before| before.upstream.as_ref());
                Upstream::open(upstream, known).map_err(|problem| OpenError::Certificates {
                    service: name.to_owned(),
                    path: upstream.ca.clone().unwrap_or_default(),
                    problem,
                })
            });
            let upstream = upstream.transpose()?;
            let passage = Passage::open(&service.passage, environment)
                .map_err(|problem| OpenError::Header { service: name.to_owned(), problem })?;
            let prices = Prices::open(&service.quotes, rates.as_ref()).map_err(|problem| {
                OpenError::PricerCertificates { service: name.to_owned(), problem }
            })?;
            let limits = Limits::open(&service.limits, before.map(|before| &before.limits));
            let metrics = metrics.service(name);
            let (tariff, paths) = (service.tariff.clone(), service.paths.clone());
            let opened = Service { tariff, paths, passage, prices, limits, upstream, metrics };
            let opened = Arc::new(opened);
            routes.add(&service.hosts, &service.paths, &service.methods, &opened);
        }
        let unpaid = Unpaid::open(&config.unpaid, old.map(|old| &old.unpaid));
        let served = |document: &&Document| {
            document.path == discovery::ALWAYS || config.discovery.contains(&document.path)
        };
        let documents = DOCUMENTS.iter().filter(served).collect();
        let before = old.and_then(|old| old.tls.as_ref());
        let tls = config.tls.as_ref().map(|tls| Tls::open(tls, before)).transpose()?;
        let before = old.and_then(|old| old.traces.as_ref());
        let traces = config.traces.as_ref();
        let traces = traces.map(|to| Traces::open(to, environment, runtime, before)).transpose()?;
        let (proxies, blocked) = (config.proxies.clone(), config.blocked.clone());
        Ok(Self { routes, documents, unpaid, proxies, blocked, tls, traces })
    }

    /// What is sold without a configuration: one service, for every host and path, that somebody else
    /// serves.
    pub(crate) fn of_sale(sale: &Sale, metrics: &Metrics) -> Self {
        let service = Arc::new(Service {
            tariff: sale.tariff.clone(),
            paths: vec![PathMatch::all()],
            passage: Passage::default(),
            prices: sale
                .pricer
                .as_ref()
                .map_or_else(Prices::default, |one| Prices::one(Arc::clone(one))),
            limits: Limits::open(&sale.limits, None),
            upstream: None,
            metrics: metrics.service(sale.tariff.name()),
        });
        let mut routes = Routes::new();
        routes.add(&[], &service.paths, &Methods::default(), &service);
        let documents =
            DOCUMENTS.iter().filter(|document| document.path == discovery::ALWAYS).collect();
        let unpaid = Unpaid::open(&sale.unpaid, None);
        let proxies = sale.proxies.clone();
        let blocked = Vec::new();
        Self { routes, documents, unpaid, proxies, blocked, tls: None, traces: None }
    }

    /// The service of that name.
    fn service(&self, name: &str) -> Option<&Service> {
        self.routes.all().map(|service| &**service).find(|service| service.tariff.name() == name)
    }

    /// Each service, by name.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        let mut services: Vec<_> = self.routes.all().collect();
        services.sort_by_key(|service| service.tariff.name());
        // One service may have many routes.
        services.dedup_by_key(|service| service.tariff.name());
        services.into_iter()
    }

    /// What is told of each server of each service.
    fn upstreams(&self) -> Vec<(String, Condition)> {
        let of = |service: &Arc<Service>| {
            let name = service.tariff.name().to_owned();
            let all = service.upstream.as_ref().map(Upstream::conditions).unwrap_or_default();
            all.into_iter().map(move |one| (name.clone(), one)).collect::<Vec<_>>()
        };
        self.services().flat_map(of).collect()
    }

    /// Begins to ask the upstreams whether they are well, as far as they are to be asked, and to look
    /// after the certificates.
    pub(crate) fn watch(&self) {
        self.tls.iter().for_each(|tls| tls.watch());
        self.routes.all().filter_map(|service| service.upstream.as_ref()).for_each(Upstream::watch);
    }
}
