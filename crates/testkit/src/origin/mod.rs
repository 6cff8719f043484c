//! A small web server to put behind a gateway. It records every request it gets, answers each path
//! in one fixed way, and does what is slow or endless only as far as the test lets it.
//!
//! | path | answer |
//! |---|---|
//! | `/echo` | 200, JSON: method, path, headers and body as they arrived |
//! | `/mirror` | 200, the request's body, byte by byte as it arrives |
//! | `/status/<code>` | that status and a short text |
//! | `/stream` | 200, chunks without end |
//! | `/drip` | 200, one chunk for each [`Origin::drip`], ended by [`Origin::end_drips`] |
//! | `/slow` | 200, when [`Origin::release`] is called |
//! | `/fail` | none: the connection is closed |
//! | `/broken` | 200 with a length, half of the body, then the connection is closed |
//! | `/trailers` | 200, a body and a trailer `x-checksum` |
//! | any other | 200, `origin: <method> <path>` |

mod answer;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// An upstream server on a port of its own. Dropping it closes all its connections.
pub struct Origin {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

/// One request as it arrived. For `/mirror` the body is left out: it was never held whole.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its method.
    pub method: Method,
    /// Its target, as it stood in the request.
    pub uri: Uri,
    /// HTTP/1.1, or HTTP/2 without TLS.
    pub version: Version,
    /// Its headers, in order.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

/// What the connections and the test's handles share.
#[derive(Debug)]
struct Shared {
    received: Mutex<Vec<Received>>,
    arrived: watch::Sender<usize>,
    released: watch::Sender<bool>,
    drips: watch::Sender<Drips>,
    open_bodies: watch::Sender<usize>,
}

/// How far `/drip` may go.
#[derive(Clone, Copy, Debug, Default)]
struct Drips {
    allowed: usize,
    ended: bool,
}

impl Origin {
    /// Listens on a free port of 127.0.0.1, for HTTP/1.1 and for HTTP/2 without TLS.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            received: Mutex::new(Vec::new()),
            arrived: watch::Sender::new(0),
            released: watch::Sender::new(false),
            drips: watch::Sender::new(Drips::default()),
            open_bodies: watch::Sender::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a path that begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Every request so far, in the order in which they were complete.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received().clone()
    }

    /// How many requests for that path arrived, whatever their query.
    pub fn count(&self, path: &str) -> usize {
        self.shared.received().iter().filter(|request| request.uri.path() == path).count()
    }

    /// Waits until that many requests have arrived in all.
    pub async fn arrived(&self, requests: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        arrived.wait_for(|count| *count >= requests).await.expect("the sender is held here");
    }

    /// Lets every `/slow` answer leave, from now on.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Lets every `/drip` body send one chunk more.
    pub fn drip(&self) {
        self.shared.drips.send_modify(|drips| drips.allowed += 1);
    }

    /// Lets every `/drip` body end, after the chunks it may still send.
    pub fn end_drips(&self) {
        self.shared.drips.send_modify(|drips| drips.ended = true);
    }

    /// Waits until no streamed body is being sent: all are complete, or their readers are gone.
    pub async fn quiet(&self) {
        let mut open = self.shared.open_bodies.subscribe();
        open.wait_for(|open| *open == 0).await.expect("the sender is held here");
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({})", self.address)
    }
}

impl Shared {
    fn received(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().expect("a panic under this lock already failed the test")
    }

    fn record(&self, request: Received) {
        self.received().push(request);
        self.arrived.send_modify(|count| *count += 1);
    }
}

/// Serves connections until the origin is dropped; the set takes them with it.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
            Some(_) = connections.join_next() => continue,
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request: http::Request<Incoming>| {
                answer::answer(Arc::clone(&shared), request)
            });
            // What goes wrong on a connection is what the test's own end of it sees.
            let builder = auto::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
