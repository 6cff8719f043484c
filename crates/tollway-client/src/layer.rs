//! A tower layer that pays: around any HTTP service, and so around a tonic client's channel.

use std::error::Error as StdError;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_core::future::BoxFuture;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tower::{Layer, Service};
use url::Url;

use crate::client::Client;
use crate::error::Error;
use crate::request::{BadRequest, Request};
use crate::way::{Given, RequestBody, ResponseBody};

/// How long a request's body may be unless it is said, in bytes: it is kept to be sent again.
const LONGEST: usize = 4 * 1024 * 1024;

/// Makes services that pay. Wallet, node, policy and budget are the client's; its connections are not
/// used.
///
/// A request's body is read whole before anything is sent, because it must be possible to send it
/// again; one that is longer than [`PayLayer::longest_body`] is an error before a cent is spent.
///
/// With a tonic client:
///
/// ```no_run
/// # async fn run(paying: tollway_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use tollway_client::{PayLayer, RequestBody};
/// use tonic::transport::Channel;
/// use tower::ServiceBuilder;
///
/// let channel = Channel::from_static("https://api.example.com").connect().await?;
/// let paying = ServiceBuilder::new()
///     .layer(PayLayer::new(paying).origin("https://api.example.com".parse()?))
///     .map_request(|request: http::Request<RequestBody>| request.map(tonic::body::Body::new))
///     .service(channel);
/// let mut grpc = tonic::client::Grpc::new(paying); // or `WeatherClient::new(paying)`
/// # grpc.ready().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PayLayer {
    client: Client,
    origin: Option<Url>,
    longest: usize,
}

/// An HTTP service that pays for what it asks.
#[derive(Clone, Debug)]
pub struct PayService {
    client: Client,
    origin: Option<Url>,
    longest: usize,
}

impl PayLayer {
    /// Pays as `client` does.
    pub const fn new(client: Client) -> Self {
        Self { client, origin: None, longest: LONGEST }
    }

    /// Where requests go that name a path only, as those of a tonic client.
    #[must_use]
    pub fn origin(self, origin: Url) -> Self {
        Self { origin: Some(origin), ..self }
    }

    /// How long a request's body may be, in bytes. 4 MiB unless set.
    #[must_use]
    pub const fn longest_body(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }
}

impl<S, B> Layer<S> for PayLayer
where
    S: Service<http::Request<RequestBody>, Response = http::Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Service = PayService;

    fn layer(&self, inner: S) -> PayService {
        let client = self.client.with_way(Arc::new(Given::new(inner)));
        PayService { client, origin: self.origin.clone(), longest: self.longest }
    }
}

impl<B> Service<http::Request<B>> for PayService
where
    B: http_body::Body + Send + 'static,
    B::Data: Buf + Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = http::Response<ResponseBody>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Self::Response, Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        // Each request waits for the service itself when it is sent.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Self { client, origin, longest } = self.clone();
        Box::pin(async move {
            let request = ours(request, origin.as_ref(), longest).await?;
            Ok(client.fetch(&request).await?.into_http())
        })
    }
}

/// The request in a form that can be sent again.
async fn ours<B>(
    request: http::Request<B>,
    origin: Option<&Url>,
    longest: usize,
) -> Result<Request, BadRequest>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let text = head.uri.to_string();
    let url = match origin {
        Some(origin) if head.uri.scheme().is_none() => origin.join(&text),
        _ => text.parse(),
    };
    let url = url.map_err(|_| BadRequest::Url { problem: "it is no URL" })?;
    let body = Limited::new(body, longest).collect().await.map_err(|error| match error
        .is::<LengthLimitError>(
    ) {
        true => BadRequest::BodyTooLong { longest },
        false => BadRequest::BodyBroke,
    })?;
    Ok(Request::new(head.method, url)?.headers(head.headers).body(body.to_bytes()))
}
