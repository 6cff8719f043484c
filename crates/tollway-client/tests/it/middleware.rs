//! Paying inside a chain of `reqwest-middleware`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use http::Extensions;
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use testkit::{FakeNetwork, FakeNode};
use tollway_client::PayMiddleware;

use crate::buying::client;
use crate::seller::{Rules, Seller};

/// Counts what passes it.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

#[async_trait]
impl Middleware for Counter {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        self.0.fetch_add(1, Ordering::Relaxed);
        next.run(request, extensions).await
    }
}

fn chain(buyer: &FakeNode, redirects: Policy) -> (ClientWithMiddleware, Counter, Counter) {
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(
            rustls::ClientConfig::builder_with_provider(Arc::new(
                rustls::crypto::ring::default_provider(),
            ))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth(),
        )
        .redirect(redirects)
        .no_proxy()
        .build()
        .unwrap();
    let (before, behind) = (Counter::default(), Counter::default());
    let chain = ClientBuilder::new(http)
        .with(before.clone())
        .with(PayMiddleware::new(client(buyer)))
        .with(behind.clone());
    (chain.build(), before, behind)
}

#[tokio::test]
async fn a_chain_pays_and_all_that_is_sent_goes_through_its_rest() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let (http, before, behind) = chain(&buyer, Policy::none());
    for _ in 0..2 {
        let answer = http.post(seller.url("/order")).body("one").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "POST /order one");
    }
    let count = |counter: &Counter| counter.0.load(Ordering::Relaxed);
    assert_eq!((count(&before), count(&behind), seller.heard().len()), (2, 3, 3));
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn a_bill_from_where_a_redirect_led_is_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let other = Seller::start(&node, Rules::default()).await;
    let seller = Seller::start(&node, Rules::default()).await;
    let to = other.url("/weather");
    seller.rules().free.push("/away".to_owned());
    seller.rules().redirects.insert("/away".to_owned(), (302, to));
    let (http, ..) = chain(&buyer, Policy::default());
    let error = http.get(seller.url("/away")).send().await.unwrap_err();
    assert!(format!("{error:?}").contains("followed a redirect"), "{error:?}");
    assert!(buyer.orders().is_empty());
}
