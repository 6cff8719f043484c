//! Other ways to the server than the client's own connections: any tower service.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::rt::TokioExecutor;
use testkit::FakeNetwork;
use tollway_client::{
    BadRequest, Client, Error, Limit, MemoryWallet, PayLayer, Payment, Policy, RequestBody, Window,
};
use tower::{ServiceBuilder, ServiceExt, service_fn};

use crate::buying::{client, get, sat, terms, text};
use crate::seller::{Rules, Seller};

fn hyper() -> Hyper<hyper_util::client::legacy::connect::HttpConnector, RequestBody> {
    Hyper::builder(TokioExecutor::new()).build_http()
}

#[tokio::test]
async fn a_client_pays_by_the_service_that_it_is_given() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let given = client.with_service(hyper());
    let response = given.fetch(&get(&seller.url("/weather"))).await.unwrap();
    assert!(matches!(response.payment(), Payment::Bought(_)));
    assert_eq!(response.url().as_str(), seller.url("/weather"));
    assert_eq!(text(response).await, "GET /weather ");
    // They are one client: one wallet and one budget.
    assert_eq!(client.spent(), sat(10));
    let again = client.fetch(&get(&seller.url("/weather"))).await.unwrap();
    assert!(matches!(again.payment(), Payment::Token(_)));
    assert_eq!(node.received().len(), 1);
}

#[tokio::test]
async fn a_service_pays_under_the_layer() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let limits = vec![Limit::new(sat(20), Window::Day)];
    let builder = Client::builder(Arc::new(MemoryWallet::new()), terms()).payer(buyer.payer());
    let client = builder.policy(Policy { limits, ..Policy::default() }).build().unwrap();
    let service = ServiceBuilder::new().layer(PayLayer::new(client)).service(hyper());
    for n in 0..3 {
        let url = seller.url(&format!("/weather/{n}"));
        let request = Request::post(url).body(Full::new(Bytes::from_static(b"hello"))).unwrap();
        let answer = service.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, format!("POST /weather/{n} hello"));
    }
    assert_eq!(node.received().len(), 1);
    // What the policy does not allow is an error that says so.
    let other = Seller::start(&node, Rules::default()).await;
    let request = Request::get(other.url("/weather")).body(Empty::<Bytes>::new()).unwrap();
    let error = service.clone().oneshot(request).await.unwrap_err();
    assert!(matches!(error, Error::Policy(_)), "{error:?}");
}

#[tokio::test]
async fn a_body_too_long_to_be_kept_is_refused_before_anything_is_sent() {
    let (buyer, _) = FakeNetwork::pair();
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let inner = service_fn(move |_: Request<RequestBody>| {
        called.fetch_add(1, Ordering::Relaxed);
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::new(Bytes::new()))))
    });
    let layer = PayLayer::new(client(&buyer)).longest_body(4);
    let service = ServiceBuilder::new().layer(layer).service(inner);
    let call = async |body: &'static [u8]| {
        let request = Request::post("http://127.0.0.1:1/x").body(Full::new(Bytes::from(body)));
        service.clone().oneshot(request.unwrap()).await
    };
    let error = call(b"hello").await.unwrap_err();
    assert!(
        matches!(error, Error::BadRequest(BadRequest::BodyTooLong { longest: 4 })),
        "{error:?}"
    );
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    call(b"four").await.unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}
