//! How one server of an upstream is connected to: over TCP, with or without TLS, or over a Unix socket.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::{TcpStream, UnixStream};
use tower::{BoxError, Service};

use crate::config::Protocol;

type Tcp = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects within a time: the connection and, for `https`, the handshake. (The inner one's own limit
/// is for each of a name's addresses.)
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    way: Way,
    patience: Duration,
}

#[derive(Clone, Debug)]
enum Way {
    Tcp(HttpsConnector<HttpConnector>),
    Unix(Arc<Path>),
}

/// A connection to a server.
pub(crate) enum Stream {
    Tcp(Box<Tcp>),
    Unix(TokioIo<UnixStream>),
}

impl Connector {
    pub(crate) fn tcp(tls: ClientConfig, protocol: Option<Protocol>, patience: Duration) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(patience));
        let tls = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let connector = match protocol {
            Some(Protocol::H1) => tls.enable_http1().wrap_connector(http),
            Some(Protocol::H2) => tls.enable_http2().wrap_connector(http),
            None => tls.enable_all_versions().wrap_connector(http),
        };
        Self { way: Way::Tcp(connector), patience }
    }

    pub(crate) fn unix(path: &Path, patience: Duration) -> Self {
        Self { way: Way::Unix(path.into()), patience }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.way {
            Way::Tcp(connector) => connector.poll_ready(context),
            Way::Unix(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let patience = self.patience;
        let late = |_| BoxError::from(io::Error::from(io::ErrorKind::TimedOut));
        match &mut self.way {
            Way::Tcp(connector) => {
                let connecting = tokio::time::timeout(patience, connector.call(uri));
                Box::pin(async move { Ok(Stream::Tcp(Box::new(connecting.await.map_err(late)??))) })
            }
            Way::Unix(path) => {
                let path = Arc::clone(path);
                Box::pin(async move {
                    let connecting = tokio::time::timeout(patience, UnixStream::connect(path));
                    Ok(Stream::Unix(TokioIo::new(connecting.await.map_err(late)??)))
                })
            }
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        match self {
            Self::Tcp(stream) => stream.connected(),
            Self::Unix(_) => Connected::new(),
        }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl Write for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(&mut **stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(&mut **stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(&mut **stream).poll_write_vectored(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }
}
