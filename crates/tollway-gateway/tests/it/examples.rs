//! The examples are run, not only compiled: each serves in this process, and sells.

#[allow(dead_code, reason = "its `main` is for whoever runs the example")]
#[path = "../../examples/axum.rs"]
mod axum;
#[allow(dead_code, reason = "its `main` is for whoever runs the example")]
#[path = "../../examples/tonic.rs"]
mod tonic;

use std::net::SocketAddr;
use std::time::Duration;

use ::tonic::Code;
use ::tonic::client::Grpc;
use ::tonic::metadata::MetadataValue;
use ::tonic::transport::{Channel, Endpoint};
use http::uri::PathAndQuery;
use l402::{Keyring, MasterKey, Msat, Offers, PayOrder};
use testkit::{FakeNetwork, FakeNode};
use tokio::net::TcpListener;
use tonic_prost::ProstCodec;

use crate::shop::{Answer, client};

fn keyring() -> Keyring {
    Keyring::new(MasterKey::new([7; 32]), vec![])
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Pays the first challenge of an answer; the `Authorization` line.
async fn pay(buyer: &FakeNode, headers: &http::HeaderMap) -> http::HeaderValue {
    let challenge = Offers::read(headers).challenges.remove(0);
    let order = PayOrder {
        invoice: &challenge.invoice,
        max_fee: Msat::ZERO,
        patience: Duration::from_secs(10),
    };
    let preimage = buyer.payer().pay(order).await.unwrap().preimage;
    challenge.authorization(&preimage)
}

#[tokio::test]
async fn an_axum_program_sells_its_routes() {
    let (buyer, seller) = FakeNetwork::pair();
    let (listener, address) = listener().await;
    let serving = tokio::spawn(axum::serve(listener, seller.invoicer(), keyring()));
    let http = client();
    let get = async |path: &str, authorization: Option<&http::HeaderValue>| {
        let mut request = http::Request::get(format!("http://{address}{path}"));
        if let Some(line) = authorization {
            request = request.header("authorization", line);
        }
        let request = request.body(http_body_util::Full::default()).unwrap();
        Answer::read(http.request(request).await.unwrap()).await
    };
    assert_eq!(get("/health", None).await.body, "well");
    for _ in 0..2 {
        assert_eq!(get("/forecast", None).await.body, "sunny; the next one may cost something");
    }
    let asked = get("/forecast", None).await;
    assert_eq!((asked.status.as_u16(), asked.json()["price"].as_str()), (402, Some("10 sat")));
    let paid = pay(&buyer, &asked.headers).await;
    assert!(get("/forecast", Some(&paid)).await.body.starts_with("sunny, says the token "));
    let dear = get("/history", Some(&paid)).await;
    assert_eq!((dear.status.as_u16(), dear.json()["price"].as_str()), (402, Some("100 sat")));
    let dear = pay(&buyer, &dear.headers).await;
    assert_eq!(get("/history", Some(&dear)).await.body, "it rained");
    serving.abort();
}

type Called = Result<tonic::Report, ::tonic::Status>;

async fn call(channel: &Channel, method: &'static str, line: Option<&http::HeaderValue>) -> Called {
    let mut request = ::tonic::Request::new(tonic::Place { name: "Zug".to_owned() });
    if let Some(line) = line {
        let value = MetadataValue::try_from(line.as_bytes()).unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<tonic::Place, tonic::Report>::default();
    let answer = grpc.unary(request, PathAndQuery::from_static(method), codec).await?;
    Ok(answer.into_inner())
}

#[tokio::test]
async fn a_tonic_program_sells_its_methods() {
    const FORECAST: &str = "/weather.Weather/Forecast";
    const HISTORY: &str = "/weather.Weather/History";
    let (buyer, seller) = FakeNetwork::pair();
    let (listener, address) = listener().await;
    let serving = tokio::spawn(tonic::serve(listener, seller.invoicer(), keyring()));
    let channel = Endpoint::new(format!("http://{address}")).unwrap().connect().await.unwrap();
    let asked = call(&channel, FORECAST, None).await.unwrap_err();
    // The protocol's text: status 13 and these very words, in a trailers-only answer.
    assert_eq!((asked.code(), asked.message()), (Code::Internal, "payment required"));
    let paid = pay(&buyer, asked.metadata().as_ref()).await;
    let report = call(&channel, FORECAST, Some(&paid)).await.unwrap();
    assert_eq!(report.text, "it will be sunny in Zug");
    let dear = call(&channel, HISTORY, Some(&paid)).await.unwrap_err();
    let dear = pay(&buyer, dear.metadata().as_ref()).await;
    assert_eq!(call(&channel, HISTORY, Some(&dear)).await.unwrap().text, "it has rained in Zug");
    assert_eq!(seller.invoices(), 2);
    serving.abort();
}
