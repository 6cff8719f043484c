//! The same gate in front of any tower service, in the same process: no proxy, no second hop. It
//! decides exactly as the proxy does, because it asks the same functions: free paths, rules, freebies,
//! limits, both schemes, revocation, and the documents about itself.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{Either, Full};
use tower::{Layer, Service};

use crate::admit::{Entrance, enter};
use crate::course::Course;
use crate::gateway::{Gateway, Snapshot};
use crate::headers;
use crate::respond::{Ended, Form, respond};
use crate::route::{self, BadRequest};
use crate::taken::Taken;

/// Finds out who is at the other end of the connection that a request came on. What that is worth, when
/// it is a proxy, is decided by the layer's own list of those it trusts.
pub type ClientIp = Arc<dyn Fn(&Parts) -> Option<IpAddr> + Send + Sync>;

/// Puts a price on a tower service: an axum router, a tonic server, or any other.
///
/// A request that may pass reaches the inner service without its credential, and with an
/// `Arc<`[`Permit`](crate::Permit)`>` in its extensions; any other is answered here. What a request
/// took (a use of a counted token, a freebie, a payment for one request) stays taken whatever the inner
/// service answers: only that knows how far it went.
///
/// ```
/// # use std::sync::Arc;
/// # async fn sell(node: Arc<dyn l402::Invoicer>, keyring: l402::Keyring) -> Result<(), Box<dyn std::error::Error>> {
/// use tollway_gateway::{Tariff, TollwayLayer};
/// use tower::{ServiceBuilder, service_fn};
///
/// let tariff = Tariff::new("weather", "10 sat".parse()?)?.free("/health")?;
/// let layer = TollwayLayer::sell(tariff, node, keyring).open().await?;
/// let service = ServiceBuilder::new().layer(layer).service(
///     service_fn(|_request: http::Request<String>| async {
///         Ok::<_, std::io::Error>(http::Response::new(String::from("sunny")))
///     }),
/// );
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TollwayLayer {
    gateway: Gateway,
    client_ip: Option<ClientIp>,
}

/// A tower service behind a [`TollwayLayer`].
#[derive(Clone)]
pub struct Tolled<S> {
    gate: TollwayLayer,
    inner: S,
}

impl TollwayLayer {
    /// A gate in front of the services of a gateway's configuration that say `upstream = "none"`; the
    /// others are not here (404). For one service that is not in a configuration see
    /// [`TollwayLayer::sell`].
    pub fn of(gateway: Gateway) -> Self {
        Self { gateway, client_ip: None }
    }

    /// Tells how to find who sent a request. Without it nobody is known by an address: there are no
    /// freebies, limits by address count everybody together, and tokens with a `client_ip` caveat open
    /// nothing.
    #[must_use]
    pub fn client_ip(
        mut self,
        find: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        self.client_ip = Some(Arc::new(find));
        self
    }

    /// The gateway that decides: for its numbers, its store and revocations.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }
}

impl<S> Layer<S> for TollwayLayer {
    type Service = Tolled<S>;

    fn layer(&self, inner: S) -> Tolled<S> {
        Tolled { gate: self.clone(), inner }
    }
}

impl<S, B, R> Service<Request<B>> for Tolled<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Send,
{
    type Response = Response<Either<R, Full<Bytes>>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gate = self.gate.clone();
        // The one that said it is ready is the one to call.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move { gate.pass(request, |request| inner.call(request)).await })
    }
}

impl TollwayLayer {
    async fn pass<B, R, E, F>(
        &self,
        request: Request<B>,
        inner: impl FnOnce(Request<B>) -> F,
    ) -> Result<Response<Either<R, Full<Bytes>>>, E>
    where
        F: Future<Output = Result<Response<R>, E>>,
    {
        let (mut head, body) = request.into_parts();
        let (till, snapshot) = (self.gateway.till(), self.gateway.snapshot());
        let peer = self.client_ip.as_ref().and_then(|find| find(&head));
        let client = peer.map(|peer| snapshot.proxies.client(peer.to_canonical(), &head.headers));
        let mut course = Course::begin(
            till,
            snapshot.traces.as_ref(),
            client,
            peer.is_some_and(|peer| snapshot.proxies.trust(peer.to_canonical())),
            &head,
            Some("layer"),
        );
        let own = |response: Response<Bytes>| response.map(Full::new).map(Either::Right);
        let response = match self.admit(&snapshot, &head, client, &mut course).await {
            Ok(Entrance::Permitted(_, permit)) => {
                course.passed(&permit);
                let taken = Taken::of(&permit, &head);
                headers::strip_credentials(&mut head.headers);
                let elsewhere: Vec<_> = head
                    .headers
                    .keys()
                    .filter(|name| headers::is_elsewhere(name))
                    .cloned()
                    .collect();
                elsewhere.iter().for_each(|name| drop(head.headers.remove(name)));
                if let Some(parent) = course.parent() {
                    parent.hand_on(&mut head.headers);
                }
                head.extensions.insert(Arc::new(permit));
                let mut response = inner(Request::from_parts(head, body)).await?;
                taken.answered(&till.books, &mut response);
                response.map(Either::Left)
            }
            Ok(Entrance::Document(document)) => {
                course.free();
                own(document)
            }
            Err(ended) => {
                course.ended(&ended);
                own(respond(&ended, &Form::of(&head)))
            }
        };
        // The inner service's own body is not watched, so the line is written when its head is there.
        drop(course.answered(response.status()));
        Ok(response)
    }

    async fn admit<'a>(
        &self,
        snapshot: &'a Snapshot,
        head: &Parts,
        client: Option<IpAddr>,
        course: &mut Course<'a>,
    ) -> Result<Entrance<'a>, Ended> {
        let host = match route::host_of(head) {
            // Calls within a process need none; who reads from a socket has asked for it.
            Err(BadRequest::NoHost) => None,
            host => host?,
        };
        enter(&self.gateway, snapshot, head, host.as_ref(), client, course).await
    }
}

impl fmt::Debug for TollwayLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TollwayLayer").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

impl<S> fmt::Debug for Tolled<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tolled").field("gate", &self.gate).finish_non_exhaustive()
    }
}
