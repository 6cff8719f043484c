//! When a request passed which point on its way to a server. It is measured where the transport
//! [says so](crate::Transport::measured): by whoever looks names up, by a layer around whoever
//! connects, and by the memory of TLS sessions, which is asked when a handshake begins.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Instant;

use futures_core::future::BoxFuture;
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use tower::{Layer, Service};

/// The points that one sending of a request passed. What it had no need of is `None`: on a connection
/// that was there nothing is looked up and nobody connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// The host's name was looked up.
    pub looked_up: Option<Instant>,
    /// The connection was there: to the server, or through the proxy to it.
    pub connected: Option<Instant>,
    /// TLS was agreed on.
    pub secured: Option<Instant>,
    /// The request could be sent.
    pub ready: Option<Instant>,
}

impl Timings {
    /// Each point as it was first passed, by this sending or by the one that came after it.
    #[must_use]
    pub fn or(self, later: Self) -> Self {
        Self {
            looked_up: self.looked_up.or(later.looked_up),
            connected: self.connected.or(later.connected),
            secured: self.secured.or(later.secured),
            ready: self.ready.or(later.ready),
        }
    }
}

tokio::task_local! {
    /// Where the points of the sending at hand are written down.
    static POINTS: Arc<Mutex<Timings>>;
}

/// Runs one sending, and says which points it passed.
pub(crate) async fn measure<T>(sending: impl Future<Output = T>) -> (T, Timings) {
    let (begun, points) = (Instant::now(), Arc::new(Mutex::new(Timings::default())));
    let sent = POINTS.scope(Arc::clone(&points), sending).await;
    let mut points = *points.lock().expect("nothing panics under this lock");
    points.ready = Some(points.secured.or(points.connected).unwrap_or(begun));
    (sent, points)
}

/// Writes a point down, where somebody measures.
fn mark(write: impl FnOnce(MutexGuard<'_, Timings>, Instant)) {
    let now = Instant::now();
    // Where a connection is made ahead of its request there is nobody to tell.
    let _ = POINTS.try_with(|points| {
        write(points.lock().expect("nothing panics under this lock"), now);
    });
}

/// A name was looked up.
pub(crate) fn looked_up() {
    mark(|mut points, now| points.looked_up = Some(now));
}

/// Around whoever connects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connecting;

/// Tells when a connection is there.
#[derive(Clone, Debug)]
pub(crate) struct Connector<S>(S);

impl<S> Layer<S> for Connecting {
    type Service = Connector<S>;

    fn layer(&self, inner: S) -> Connector<S> {
        Connector(inner)
    }
}

impl<S, R> Service<R> for Connector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let connecting = self.0.call(request);
        Box::pin(async move {
            let connected = connecting.await?;
            mark(|mut points, now| match points.connected {
                // A handshake has begun on it, and is over.
                Some(_) => points.secured = Some(now),
                None => points.connected = Some(now),
            });
            Ok(connected)
        })
    }
}

/// The memory of TLS sessions, as rustls has it, which tells when a handshake begins.
#[derive(Debug)]
pub(crate) struct Sessions(ClientSessionMemoryCache);

impl Sessions {
    /// As many as rustls keeps.
    pub(crate) fn new() -> Self {
        Self(ClientSessionMemoryCache::new(256))
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(
        &self,
        server_name: ServerName<'static>,
        value: Tls13ClientSessionValue,
    ) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    /// The first that a handshake asks for, whatever version it ends with.
    fn take_tls13_ticket(
        &self,
        server_name: &ServerName<'static>,
    ) -> Option<Tls13ClientSessionValue> {
        mark(|mut points, now| points.connected = Some(now));
        self.0.take_tls13_ticket(server_name)
    }
}
