//! A gRPC client that pays: tonic's, under the layer, at a server that asks as gRPC servers do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use l402::caveat::{Facts, Unknown};
use l402::{Credential, Invoicer, Keyring, MasterKey, scheme};
use testkit::{FakeNetwork, FakeNode};
use tokio::net::TcpListener;
use tollway_client::{PayLayer, RequestBody};
use tonic::transport::Channel;
use tower::ServiceBuilder;

use crate::buying::{client, sat};

type Body = BoxBody<Bytes, Infallible>;

/// Sells one method over gRPC; what it heard is in the list.
struct Selling {
    node: FakeNode,
    keyring: Keyring,
    heard: Mutex<Vec<(String, Bytes)>>,
    message: &'static str,
    /// What stands before the trailers; without it, headers stand for them.
    before: Option<&'static [u8]>,
}

impl Selling {
    async fn start(node: &FakeNode, message: &'static str) -> (SocketAddr, Arc<Self>) {
        Self::start_with(node, message, None).await
    }

    async fn start_with(
        node: &FakeNode,
        message: &'static str,
        before: Option<&'static [u8]>,
    ) -> (SocketAddr, Arc<Self>) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let keyring = Keyring::new(MasterKey::new([7; 32]), vec![]);
        let heard = Mutex::default();
        let selling = Arc::new(Self { node: node.clone(), keyring, heard, message, before });
        let shared = Arc::clone(&selling);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(shared.answer(request).await) }
                });
                tokio::spawn(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        (address, selling)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let path = head.uri.path().to_owned();
        self.heard.lock().unwrap().push((path.clone(), body.clone()));
        let facts = Facts {
            service: "weather",
            capability: None,
            method: head.method.as_str(),
            path: &path,
            client_ip: None,
            now: std::time::SystemTime::now(),
        };
        let credential = Credential::read(&head.headers).unwrap();
        let opens = credential.is_some_and(|credential| {
            credential.verify(&self.keyring, &facts, Unknown::Skip).is_ok()
        });
        let mut answer = Response::new(Empty::new().boxed());
        answer.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        if opens {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let frames = [Ok(Frame::data(body)), Ok(Frame::trailers(trailers))];
            *answer.body_mut() = StreamBody::new(futures_util::stream::iter(frames)).boxed();
            return answer;
        }
        let hour = Duration::from_secs(3600);
        let invoice = self.node.invoice(sat(10), "grpc", hour).await.unwrap();
        let token = self.keyring.mint(invoice.payment_hash(), [1; 28], ["services=weather:0"]);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("13"));
        trailers.insert("grpc-message", HeaderValue::from_static(self.message));
        for line in scheme::ask(&token, &invoice) {
            answer.headers_mut().append("www-authenticate", line);
        }
        match self.before {
            None => answer.headers_mut().extend(trailers),
            Some(before) => {
                let frames = [Ok(Frame::data(before.into())), Ok(Frame::trailers(trailers))];
                *answer.body_mut() = StreamBody::new(futures_util::stream::iter(frames)).boxed();
            }
        }
        answer
    }
}

/// Calls a method that gives back what it is sent.
async fn echo(client: tollway_client::Client, to: SocketAddr) -> Result<String, tonic::Status> {
    let origin: url::Url = format!("http://{to}").parse().unwrap();
    let channel = Channel::from_shared(origin.to_string()).unwrap().connect().await.unwrap();
    let paying = ServiceBuilder::new()
        .layer(PayLayer::new(client).origin(origin))
        .map_request(|request: Request<RequestBody>| request.map(tonic::body::Body::new))
        .service(channel);
    let mut grpc = tonic::client::Grpc::new(paying);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<String, String>::default();
    let path = http::uri::PathAndQuery::from_static("/weather.Weather/Echo");
    let asked = tonic::Request::new("berlin".to_owned());
    Ok(grpc.unary(asked, path, codec).await?.into_inner())
}

#[tokio::test]
async fn a_tonic_client_pays_once_and_uses_its_token() {
    let (buyer, node) = FakeNetwork::pair();
    let (address, selling) = Selling::start(&node, "payment required").await;
    let client = client(&buyer);
    for _ in 0..2 {
        assert_eq!(echo(client.clone(), address).await.unwrap(), "berlin");
    }
    assert_eq!(node.received().len(), 1);
    let heard = selling.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 3);
    assert!(heard.iter().all(|call| *call == heard[0] && call.0 == "/weather.Weather/Echo"));
}

/// Trailers that come by themselves, behind a head that has said nothing of a status yet.
#[tokio::test]
async fn a_bill_in_the_trailers_is_paid_and_one_behind_a_message_is_not() {
    for (before, orders) in [(&b""[..], 1), (&b"\0\0\0\0\0"[..], 0)] {
        let (buyer, node) = FakeNetwork::pair();
        let (address, _) = Selling::start_with(&node, "payment required", Some(before)).await;
        let echoed = echo(client(&buyer), address).await;
        assert_eq!(echoed.is_ok(), orders == 1, "{echoed:?}");
        assert_eq!(buyer.orders().len(), orders);
    }
}

/// The same code with another message is the application's own failure.
#[tokio::test]
async fn another_internal_error_is_no_bill() {
    let (buyer, node) = FakeNetwork::pair();
    let (address, _selling) = Selling::start(&node, "the%20disk is full").await;
    let status = echo(client(&buyer), address).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal);
    assert!(buyer.orders().is_empty());
}

#[tokio::test]
async fn what_is_too_dear_is_an_error_and_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let (address, _selling) = Selling::start(&node, "payment required").await;
    let wallet = Arc::new(tollway_client::MemoryWallet::new());
    let terms = tollway_client::Terms::up_to(sat(9));
    let client = tollway_client::Client::builder(wallet, terms).payer(buyer.payer());
    let status = echo(client.build().unwrap(), address).await.unwrap_err();
    let source = std::error::Error::source(&status).expect("the client's own error");
    assert!(source.to_string().contains("at most 9 sat was agreed to"), "{status:?}");
    assert!(buyer.orders().is_empty());
}
