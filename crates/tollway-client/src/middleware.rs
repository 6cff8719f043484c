//! A middleware of `reqwest-middleware` that pays, beside others that retry, trace or cache.

use std::error::Error as StdError;
use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use http::Extensions;
use reqwest_middleware::{Error, Middleware, Next, Result};
use tokio::sync::{mpsc, oneshot};

use crate::client::Client;
use crate::request::{BadRequest, Request};
use crate::way::{RequestBody, Source, Way};

/// Pays for what is asked through it. Wallet, node, policy and budget are the client's; its
/// connections are not used.
///
/// Give it a `reqwest::Client` that follows no redirects (`redirect::Policy::none()`): an answer that
/// came from another origin than was asked is an error here, because a bill from there is not one to
/// pay.
///
/// ```no_run
/// # async fn run(paying: tollway_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest::redirect::Policy;
/// use reqwest_middleware::ClientBuilder;
/// use tollway_client::PayMiddleware;
///
/// let http = reqwest::Client::builder().redirect(Policy::none()).build()?;
/// let http = ClientBuilder::new(http).with(PayMiddleware::new(paying)).build();
/// let weather = http.get("https://api.example.com/weather").send().await?.text().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PayMiddleware {
    client: Client,
}

impl PayMiddleware {
    /// Pays as `client` does.
    pub const fn new(client: Client) -> Self {
        Self { client }
    }
}

type Sent =
    (http::Request<RequestBody>, oneshot::Sender<std::result::Result<reqwest::Response, Source>>);

/// The rest of the chain, which only the middleware itself may call.
struct Relay(mpsc::Sender<Sent>);

#[async_trait]
impl Way for Relay {
    async fn send(
        &self,
        request: http::Request<RequestBody>,
    ) -> std::result::Result<reqwest::Response, Source> {
        let (reply, answer) = oneshot::channel();
        self.0.send((request, reply)).await?;
        answer.await?
    }
}

#[async_trait]
impl Middleware for PayMiddleware {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<reqwest::Response> {
        let timeout = request.timeout().copied();
        let request = ours(request).map_err(Error::middleware)?;
        let (relay, mut sent) = mpsc::channel(1);
        let client = self.client.with_way(Arc::new(Relay(relay)));
        let mut fetching = pin!(client.fetch(&request));
        loop {
            tokio::select! {
                ended = &mut fetching => {
                    return ended.map(crate::Response::into_reqwest).map_err(Error::middleware);
                }
                Some((request, reply)) = sent.recv() => {
                    let answer = pass_on(request, timeout, extensions, next.clone()).await;
                    // Nobody waits for it when the call was given up.
                    let _ = reply.send(answer);
                }
            }
        }
    }
}

async fn pass_on(
    request: http::Request<RequestBody>,
    timeout: Option<std::time::Duration>,
    extensions: &mut Extensions,
    next: Next<'_>,
) -> std::result::Result<reqwest::Response, Source> {
    let mut request = reqwest::Request::try_from(request)?;
    *request.timeout_mut() = timeout;
    let asked = request.url().origin();
    let answer = next.run(request, extensions).await.map_err(|error| -> Source {
        match error {
            Error::Middleware(error) => error.into(),
            Error::Reqwest(error) => Box::<dyn StdError + Send + Sync>::from(error.without_url()),
        }
    })?;
    if answer.url().origin() == asked {
        return Ok(answer);
    }
    Err("the HTTP client underneath followed a redirect to another origin; build it with \
         `redirect::Policy::none()`"
        .into())
}

/// The request in a form that can be sent again.
fn ours(request: reqwest::Request) -> std::result::Result<Request, BadRequest> {
    let ours = Request::new(request.method().clone(), request.url().clone())?;
    let ours = ours.headers(request.headers().clone());
    let Some(body) = request.body() else { return Ok(ours) };
    let bytes = body.as_bytes().ok_or(BadRequest::NotReplayable)?;
    Ok(ours.body(bytes::Bytes::copy_from_slice(bytes)))
}
