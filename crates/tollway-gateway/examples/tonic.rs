//! A tonic server that sells its gRPC methods: a call that has to be paid for is answered with
//! `INTERNAL` and `payment required`, and with the challenges in `www-authenticate`, as clients of the
//! L402 protocol expect it.
//!
//! ```sh
//! cargo run -p tollway-gateway --example tonic
//! ```
//!
//! The node here is one that only exists within this process, so that the example runs anywhere; put a
//! driver of `tollway-nodes` or an invoicer of your own in its place.

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use l402::{Invoicer, Keyring, MasterKey};
use tokio::net::TcpListener;
use tollway_gateway::{Rule, Tariff, TollwayLayer};
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::{TcpConnectInfo, TcpIncoming};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (_, seller) = testkit::FakeNetwork::pair();
    let mut key = [0; 32];
    // A program that is to honour its tokens tomorrow keeps this key.
    getrandom::fill(&mut key)?;
    let keyring = Keyring::new(MasterKey::new(key), vec![]);
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    serve(listener, seller.invoicer(), keyring).await
}

/// Serves the program until it is dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    node: Arc<dyn Invoicer>,
    keyring: Keyring,
) -> Result<(), Failure> {
    // A method of gRPC is a path, so each can have a price of its own.
    let dear = Rule::new("history")?.path("exact:/weather.Weather/History")?;
    let tariff = Tariff::new("weather", "10 sat".parse()?)?
        .rule(dear.price("100 sat".parse()?)?)?
        .free("/grpc.health.v1.Health/*")?;
    let layer = TollwayLayer::sell(tariff, node, keyring).open().await?.client_ip(|head| {
        head.extensions.get::<TcpConnectInfo>()?.remote_addr().map(|address| address.ip())
    });
    let incoming = TcpIncoming::from(listener);
    Server::builder().layer(layer).add_service(Weather).serve_with_incoming(incoming).await?;
    Ok(())
}

/// `message Place { string name = 1; }`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Place {
    /// Where.
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}

/// `message Report { string text = 1; }`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Report {
    /// What the weather is.
    #[prost(string, tag = "1")]
    pub(crate) text: String,
}

/// The service `weather.Weather`, with the methods `Forecast` and `History`. This much of it
/// `tonic-prost-build` writes from a `.proto` file; by hand it needs no build script.
#[derive(Clone, Debug)]
struct Weather;

#[derive(Clone, Copy, Debug)]
enum Method {
    Forecast,
    History,
}

impl UnaryService<Place> for Method {
    type Response = Report;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Report>, Status>> + Send>>;

    fn call(&mut self, request: Request<Place>) -> Self::Future {
        let Place { name } = request.into_inner();
        let text = match self {
            Self::Forecast => format!("it will be sunny in {name}"),
            Self::History => format!("it has rained in {name}"),
        };
        Box::pin(async move { Ok(Response::new(Report { text })) })
    }
}

impl NamedService for Weather {
    const NAME: &'static str = "weather.Weather";
}

impl Service<http::Request<tonic::body::Body>> for Weather {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let method = match request.uri().path() {
            "/weather.Weather/Forecast" => Some(Method::Forecast),
            "/weather.Weather/History" => Some(Method::History),
            _ => None,
        };
        Box::pin(async move {
            Ok(match method {
                Some(method) => {
                    Grpc::new(ProstCodec::<Report, Place>::default()).unary(method, request).await
                }
                None => Status::unimplemented("there is no such method").into_http(),
            })
        })
    }
}
