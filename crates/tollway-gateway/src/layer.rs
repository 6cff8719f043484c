//! The same gate in front of any tower service, in the same process: no proxy, no second hop. It
//! decides exactly as the proxy does, because it asks the same function.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{Either, Full};
use l402::{Invoicer, Keyring};
use tower::{Layer, Service};

use crate::admit::Desk;
use crate::books::Books;
use crate::claim::Underway;
use crate::config::Records;
use crate::gate::Basis;
use crate::headers;
use crate::limits::{Limits, Unpaid};
use crate::pricer::{Pricer, Prices};
use crate::reading;
use crate::respond::{Ended, Form, respond};
use crate::route::BadRequest;
use crate::store::{SharedStore, StoreError};
use crate::tariff::Tariff;
use crate::till::Till;

/// How to find out who sent a request, for tokens that may be used from certain addresses only.
pub type ClientIp = fn(&Parts) -> Option<IpAddr>;

/// Puts a price on a tower service.
///
/// A request that may pass reaches the inner service without its credential, and with an
/// `Arc<`[`Permit`](crate::Permit)`>` in its extensions; any other is answered here.
///
/// ```
/// # use std::sync::Arc;
/// # fn sell(node: Arc<dyn l402::Invoicer>, keyring: l402::Keyring) -> Result<(), Box<dyn std::error::Error>> {
/// use tollway_gateway::{GateLayer, Tariff};
/// use tower::{ServiceBuilder, service_fn};
///
/// let tariff = Tariff::new("weather", "10 sat".parse()?)?.free("/health")?;
/// let service = ServiceBuilder::new().layer(GateLayer::new(tariff, node, keyring)).service(
///     service_fn(|_request: http::Request<String>| async {
///         Ok::<_, std::io::Error>(http::Response::new(String::from("sunny")))
///     }),
/// );
/// # let _ = service;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct GateLayer {
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    tariff: Tariff,
    prices: Prices,
    till: Till,
    client_ip: ClientIp,
}

/// A tower service behind a [`GateLayer`].
#[derive(Clone, Debug)]
pub struct Gated<S> {
    gate: Arc<Gate>,
    inner: S,
}

impl GateLayer {
    /// A gate with these terms. `invoicer` is the node to be paid on.
    pub fn new(tariff: Tariff, invoicer: Arc<dyn Invoicer>, keyring: Keyring) -> Self {
        Self::with_books(tariff, invoicer, keyring, Books::in_memory())
    }

    /// The same with a store, which counts uses for longer than this process lives and for others
    /// that share it. [`GateLayer::new`] counts in memory.
    ///
    /// # Errors
    /// The store does not say which tokens are revoked.
    pub async fn with_store(
        tariff: Tariff,
        invoicer: Arc<dyn Invoicer>,
        keyring: Keyring,
        store: SharedStore,
    ) -> Result<Self, StoreError> {
        let books = Books::open(store, Records::default()).await?;
        Ok(Self::with_books(tariff, invoicer, keyring, books))
    }

    fn with_books(
        tariff: Tariff,
        invoicer: Arc<dyn Invoicer>,
        keyring: Keyring,
        books: Arc<Books>,
    ) -> Self {
        let till = Till::new(keyring, invoicer, books, Duration::from_secs(10));
        Self {
            gate: Arc::new(Gate { tariff, prices: Prices::default(), till, client_ip: |_| None }),
        }
    }

    /// Tells how to find a request's sender. Without it, tokens with a `client_ip` caveat open
    /// nothing: a request whose origin is not known is from nowhere.
    ///
    /// # Panics
    /// When the layer has been cloned or used before.
    #[must_use]
    pub fn client_ip(mut self, find: ClientIp) -> Self {
        let gate = Arc::get_mut(&mut self.gate).expect("told before the layer is used");
        gate.client_ip = find;
        self
    }

    /// Names who says the price, for a tariff that is [`Tariff::quoted`]. Without it nobody can buy
    /// there (503).
    ///
    /// # Panics
    /// When the layer has been cloned or used before.
    #[must_use]
    pub fn pricer(mut self, pricer: Arc<dyn Pricer>) -> Self {
        let gate = Arc::get_mut(&mut self.gate).expect("told before the layer is used");
        gate.prices = Prices::one(pricer);
        self
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: Arc::clone(&self.gate), inner }
    }
}

impl<S, B, R> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Either<R, Full<Bytes>>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gate = Arc::clone(&self.gate);
        // The one that said it is ready is the one to call.
        let fresh = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, fresh);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let form = Form::of(&head);
            match gate.admit(&mut head).await {
                Ok(payment) => {
                    let mut response = inner.call(Request::from_parts(head, body)).await?;
                    if let Some(payment) = payment {
                        payment.answered(&gate.till.books, &mut response, SystemTime::now());
                    }
                    Ok(response.map(Either::Left))
                }
                Err(ended) => Ok(respond(&ended, &form).map(Full::new).map(Either::Right)),
            }
        })
    }
}

impl Gate {
    async fn admit(&self, head: &mut Parts) -> Result<Option<Underway>, Ended> {
        if !reading::is_plain(head.uri.path()) {
            return Err(BadRequest::Path.into());
        }
        let (client_ip, now) = ((self.client_ip)(head), SystemTime::now());
        let (limits, unpaid) = (&Limits::default(), &Unpaid::default());
        let Self { till, tariff, prices, .. } = self;
        let desk = Desk { till, tariff, prices, limits, unpaid };
        let permit = desk.admit(head, client_ip, now).await?;
        let payment = match permit.basis() {
            Basis::Once(charged) => Some(Underway::of(charged, head)),
            Basis::Paid(_) | Basis::Freebie | Basis::Free | Basis::Off => None,
        };
        headers::strip_credentials(&mut head.headers);
        head.extensions.insert(Arc::new(permit));
        Ok(payment)
    }
}
