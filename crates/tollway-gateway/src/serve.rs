//! The doors to the outside: connections are taken, encrypted where they are to be, spoken to in
//! HTTP/1.1 or HTTP/2, and closed in good order.

use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use http::header::HeaderValue;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::accept;
use crate::client;
use crate::gateway::Gateway;
use crate::handle::handle;
use crate::redirect;
use crate::tls::{Accepted, Identity, Tls};

/// The most headers in one request, and the most bytes that they may take together. A longer one is
/// answered 431.
const MOST_HEADERS: usize = 100;
const MOST_HEADER_BYTES: u32 = 64 * 1024;
/// The most requests at a time on one HTTP/2 connection.
const MOST_STREAMS: u32 = 256;

/// How far a gateway is with stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It is not.
    Open,
    /// Connections finish what they have begun.
    Closing,
    /// Whatever is still there is cut off.
    Over,
}

/// How a gateway stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Stopped {
    /// How many connections had to be cut off because they took longer than `stop_timeout`.
    pub cut: usize,
}

/// What is behind a door.
#[derive(Clone, Copy, Debug)]
enum Door {
    /// The services, over TLS where the configuration says so.
    Services,
    /// The advice to come again over TLS, to this port unless the configuration says another.
    Redirect(u16),
}

/// What a request needs to know of the connection it came on.
#[derive(Debug)]
pub(crate) struct Connection {
    client: IpAddr,
    client_text: HeaderValue,
    security: Security,
    stage: watch::Sender<Stage>,
    /// Whether a request has come on it yet.
    used: AtomicBool,
}

/// What is known of the other end beside its address.
#[derive(Debug)]
enum Security {
    Plain,
    Tls(Option<Box<Identity>>),
}

impl Connection {
    fn new(client: IpAddr, security: Security, stage: watch::Sender<Stage>) -> Self {
        let text = HeaderValue::try_from(client.to_string()).expect("an address is ASCII");
        Self { client, client_text: text, security, stage, used: AtomicBool::new(false) }
    }

    /// Whether it came over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self.security, Security::Tls(_))
    }

    /// Whose certificate it came with.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        match &self.security {
            Security::Plain => None,
            Security::Tls(identity) => identity.as_deref(),
        }
    }

    /// Who is at the other end.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    /// The same as text.
    pub(crate) fn client_text(&self) -> &HeaderValue {
        &self.client_text
    }

    /// How far the gateway is with stopping. It waits for whoever holds one.
    pub(crate) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }
}

/// Sells what there is, until it is told to stop.
pub(crate) async fn serve(
    gateway: &Gateway,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Stopped {
    gateway.snapshot().watch();
    take(gateway, Door::Services, listener, stop).await
}

/// Sends everybody to another port, where TLS is spoken.
pub(crate) async fn redirect(
    gateway: &Gateway,
    listener: TcpListener,
    port: u16,
    stop: impl Future<Output = ()>,
) -> Stopped {
    take(gateway, Door::Redirect(port), listener, stop).await
}

async fn take(
    gateway: &Gateway,
    door: Door,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Stopped {
    // Every connection and every tunnel holds one receiver: when none is left, all is done.
    let stage = watch::Sender::new(Stage::Open);
    let _over = OverOnDrop(stage.clone());
    let builder = Arc::new(builder(gateway.patience().header));
    let mut stop = pin!(stop);
    while let Some((stream, peer)) = accept::next(&listener, stop.as_mut()).await {
        let talk = Talk { gateway: gateway.clone(), builder: Arc::clone(&builder), door };
        let (receiver, stage) = (stage.subscribe(), stage.clone());
        let served = gateway
            .workers()
            .serve(stream, move |stream| welcome(talk, stream, peer, stage, receiver));
        if let Err(error) = served {
            tracing::warn!(%error, client = %peer.ip(), "a connection cannot be served");
        }
    }
    // Before the door is closed: whoever finds it closed may rely on it that every answer from now on
    // says that it is the last of its connection.
    stage.send_replace(Stage::Closing);
    drop(listener);
    if tokio::time::timeout(gateway.patience().stop, stage.closed()).await.is_ok() {
        return Stopped { cut: 0 };
    }
    let cut = stage.receiver_count();
    stage.send_replace(Stage::Over);
    stage.closed().await;
    Stopped { cut }
}

/// A gateway whose [`serve`] is dropped cuts everything off.
struct OverOnDrop(watch::Sender<Stage>);

impl Drop for OverOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(Stage::Over);
    }
}

fn builder(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = accept::builder(header_timeout, MOST_HEADER_BYTES);
    builder.http1().max_headers(MOST_HEADERS);
    builder.http2().max_concurrent_streams(MOST_STREAMS);
    builder
}

/// What every connection of a door is spoken to with.
struct Talk {
    gateway: Gateway,
    builder: Arc<auto::Builder<TokioExecutor>>,
    door: Door,
}

/// Finds out who is there, and talks to them.
async fn welcome(
    talk: Talk,
    mut stream: TcpStream,
    peer: SocketAddr,
    stage: watch::Sender<Stage>,
    mut receiver: watch::Receiver<Stage>,
) {
    let _counted = talk.gateway.till().metrics.connected();
    let mut client = peer.ip().to_canonical();
    let snapshot = talk.gateway.snapshot();
    // A small answer must not wait for the client's acknowledgement of the one before.
    stream.set_nodelay(true).ok();
    if snapshot.proxies.protocol && snapshot.proxies.trust(client) {
        let patience = talk.gateway.patience().header;
        let named = tokio::select! {
            named = tokio::time::timeout(patience, client::proxied(&mut stream)) => named,
            _ = wait_for(&mut receiver, Stage::Closing) => return,
        };
        match named {
            Ok(Ok(named)) => client = named.unwrap_or(client),
            Ok(Err(error)) => {
                return tracing::warn!(%error, proxy = %client, "a proxy does not say whom it serves");
            }
            Err(_) => return,
        }
    }
    let tls = match talk.door {
        Door::Services => snapshot.tls.clone(),
        Door::Redirect(_) => None,
    };
    drop(snapshot);
    match tls {
        None => {
            let connection = Connection::new(client, Security::Plain, stage);
            talk.converse(stream, connection, receiver).await;
        }
        // In a box of its own, so that a connection without TLS does not carry room for it.
        Some(tls) => Box::pin(encrypted(talk, tls, stream, client, stage, receiver)).await,
    }
}

/// Agrees on keys first.
async fn encrypted(
    talk: Talk,
    tls: Arc<Tls>,
    stream: TcpStream,
    client: IpAddr,
    stage: watch::Sender<Stage>,
    mut receiver: watch::Receiver<Stage>,
) {
    let accepted = tokio::select! {
        accepted = tokio::time::timeout(tls.patience(), tls.accept(stream)) => accepted,
        _ = wait_for(&mut receiver, Stage::Closing) => return,
    };
    drop(tls);
    match accepted {
        Ok(Ok(Some(Accepted { stream, identity }))) => {
            let security = Security::Tls(identity.map(Box::new));
            let connection = Connection::new(client, security, stage);
            talk.converse(stream, connection, receiver).await;
        }
        Ok(Ok(None)) => tracing::debug!(%client, "a name was asked to be proved"),
        Ok(Err(error)) => tracing::debug!(%error, %client, "no TLS with this client"),
        Err(_) => tracing::debug!(%client, "a handshake took too long"),
    }
}

impl Talk {
    /// One connection, from its first byte to its last.
    async fn converse(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        connection: Connection,
        mut stage: watch::Receiver<Stage>,
    ) {
        let Self { gateway, builder, door } = self;
        let connection = Arc::new(connection);
        let header_timeout = gateway.patience().header;
        let service = service_fn(|request: Request<Incoming>| {
            connection.used.store(true, Ordering::Relaxed);
            let (gateway, connection) = (gateway.clone(), Arc::clone(&connection));
            // In a box, so that a connection that lies idle does not keep room for a request.
            Box::pin(async move {
                let snapshot = gateway.snapshot();
                Ok::<_, Infallible>(match door {
                    Door::Services => handle(snapshot, gateway.till(), &connection, request).await,
                    Door::Redirect(port) => redirect::answer(&snapshot, port, request),
                })
            })
        });
        let mut talk = pin!(builder.serve_connection_with_upgrades(TokioIo::new(stream), service));
        // The builder's own timeout begins only when it knows which HTTP is spoken, so whoever sends
        // nothing, or half of an HTTP/2 preface, is waited for here.
        let mut first = pin!(tokio::time::sleep(header_timeout));
        let mut waiting = true;
        let mut next = Stage::Closing;
        loop {
            tokio::select! {
                // The end is looked for first, so that the answer that comes with it is the last.
                biased;
                reached = wait_for(&mut stage, next) => match reached {
                    Stage::Open => {}
                    Stage::Closing => {
                        next = Stage::Over;
                        talk.as_mut().graceful_shutdown();
                    }
                    Stage::Over => return,
                },
                ended = talk.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(error, client = %connection.client, "a connection broke");
                    }
                    return;
                }
                () = first.as_mut(), if waiting => {
                    waiting = false;
                    if !connection.used.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }
        }
    }
}

/// Waits until the gateway is that far with stopping.
pub(crate) async fn wait_for(stage: &mut watch::Receiver<Stage>, least: Stage) -> Stage {
    stage.wait_for(|stage| *stage >= least).await.map_or(Stage::Over, |stage| *stage)
}
