//! What a gate asks of its store and of its node, and what it does when they are silent.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::{Request, Response};
use l402::caveat::Counter;
use l402::{
    Invoice, Invoicer, Keyring, MasterKey, Msat, Network, NodeError, NodeErrorKind, PaymentHash,
    TokenId,
};
use tollway_gateway::config::{By, Limit};
use tollway_gateway::store::{
    Answer, Bill, Claim, Event, Horizon, OneTime, Pick, Span, StoreError, Take, TokenStore, Total,
    Which,
};
use tollway_gateway::{Tariff, TollwayLayer};
use tower::{Layer, ServiceExt, service_fn};

use crate::shop::{Shop, l402, mint};

/// A store that keeps nothing, cannot count, and must not be asked for more than it must.
#[derive(Debug)]
struct Bare {
    silent: bool,
}

#[async_trait]
impl TokenStore for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    async fn give_back(&self, _: &[Counter]) -> Result<(), StoreError> {
        panic!("nothing was taken")
    }

    async fn claim(&self, _: &OneTime, _: SystemTime) -> Result<Claim, StoreError> {
        panic!("nothing is good for one request")
    }

    async fn answer(&self, _: PaymentHash, _: &Answer) -> Result<(), StoreError> {
        panic!("nothing is good for one request")
    }

    async fn release(&self, _: PaymentHash) -> Result<(), StoreError> {
        panic!("nothing is good for one request")
    }

    async fn revoke(&self, _: TokenId, _: Option<SystemTime>) -> Result<(), StoreError> {
        panic!("nobody revokes")
    }

    async fn revoked(&self) -> Result<Vec<TokenId>, StoreError> {
        Ok(Vec::new())
    }

    async fn record(&self, _: &[Event]) -> Result<(), StoreError> {
        if self.silent { std::future::pending().await } else { Ok(()) }
    }

    async fn bills(&self, _: &Pick) -> Result<Vec<Bill>, StoreError> {
        panic!("nobody reads")
    }

    async fn bill(&self, _: Which) -> Result<Option<Bill>, StoreError> {
        Ok(None)
    }

    async fn totals(&self, _: &Span) -> Result<Vec<Total>, StoreError> {
        panic!("nobody reads")
    }

    async fn prune(&self, _: Horizon) -> Result<(), StoreError> {
        Ok(())
    }
}

async fn through(store: Bare, caveats: &[&str]) -> u16 {
    sold(store, caveats, None).await[0]
}

/// What becomes of three requests with one credential, where there may be a limit.
async fn sold(store: Bare, caveats: &[&str], limit: Option<Limit>) -> [u16; 3] {
    let (_, seller) = testkit::FakeNetwork::pair();
    let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]);
    let tariff = Tariff::new("api", "10 sat".parse().unwrap()).unwrap();
    let mut sale = TollwayLayer::sell(tariff, seller.invoicer(), keyring.clone());
    if let Some(limit) = limit {
        sale = sale.limit(limit);
    }
    let layer = sale.store(Arc::new(store)).open().await.unwrap();
    let service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    }));
    let credential = l402(&mint(&keyring, caveats));
    let mut statuses = [0; 3];
    for status in &mut statuses {
        let request = Request::get("/x").header("authorization", &credential).body(()).unwrap();
        *status = service.clone().oneshot(request).await.unwrap().status().as_u16();
    }
    statuses
}

#[tokio::test]
async fn a_shared_limit_turns_nobody_away_for_a_store_that_is_down() {
    let limit = Limit::new("2/1d".parse().unwrap(), By::Token).shared();
    let bare = Bare { silent: false };
    // As often as this gateway alone allows.
    assert_eq!(sold(bare, &["services=api:0"], Some(limit)).await, [200, 200, 429]);
}

#[tokio::test]
async fn a_plain_token_asks_the_store_nothing_and_waits_for_nothing() {
    for silent in [false, true] {
        assert_eq!(through(Bare { silent }, &["services=api:0"]).await, 200);
    }
}

#[tokio::test]
async fn a_store_that_cannot_count_opens_nothing_for_counted_tokens() {
    let caveats = ["services=api:0", "request_count=1"];
    assert_eq!(through(Bare { silent: false }, &caveats).await, 503);
    let refused = Bare { silent: false }.take(&[], SystemTime::now()).await;
    assert!(matches!(refused, Err(StoreError::NotAtomic { store: "bare" })));
    let _: Option<Take> = refused.ok();
}

/// A node that says what it is told to about what was paid.
#[derive(Debug)]
struct Says {
    inner: Arc<dyn Invoicer>,
    settled: tokio::sync::Mutex<Result<bool, NodeErrorKind>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Invoicer for Says {
    fn network(&self) -> Network {
        self.inner.network()
    }

    async fn invoice(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> Result<Invoice, NodeError> {
        self.inner.invoice(amount, memo, expiry).await
    }

    async fn is_settled(&self, _: PaymentHash) -> Result<bool, NodeError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let settled = *self.settled.lock().await;
        settled.map_err(|kind| NodeError { driver: "test", kind, source: None })
    }
}

#[tokio::test]
async fn with_strict_settlement_the_node_has_the_last_word_and_is_asked_once() {
    let (_, seller) = testkit::FakeNetwork::pair();
    let (inner, settled) = (seller.invoicer(), tokio::sync::Mutex::new(Ok(false)));
    let node = Arc::new(Says { inner, settled, asked: AtomicUsize::new(0) });
    let invoicer: Arc<dyn Invoicer> = node.clone();
    let shop = Shop::paid_on(invoicer, |origin| {
        let url = origin.url("");
        format!(
            "[[service]]\nname='api'\nprice='10 sat'\nupstream='{url}'\nstrict_settlement = true"
        )
    })
    .await;
    let credential = l402(&shop.mint(&["services=api:0", "request_count=2"]));
    let get = async || shop.get("/x", &[("authorization", &credential)]).await;
    for says in [Ok(false), Err(NodeErrorKind::Unreachable)] {
        *node.settled.lock().await = says;
        let refused = get().await;
        assert_eq!(refused.status, 503, "{says:?}: {refused:?}");
        assert!(refused.lines("www-authenticate").is_empty(), "they have paid already");
    }
    assert_eq!((seller.invoices(), shop.hits()), (0, 0));
    *node.settled.lock().await = Ok(true);
    let asked = node.asked.load(Ordering::SeqCst);
    // No use was taken while the node did not say so.
    assert_eq!([get().await.status, get().await.status], [200, 200]);
    assert_eq!(node.asked.load(Ordering::SeqCst), asked + 1);
    assert_eq!(get().await.status, 402);
}
