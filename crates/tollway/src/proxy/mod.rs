//! A forward proxy that pays: programs that honour `http_proxy` ask it as they ask any proxy, and
//! where a server wants money it is paid, under the same policy and from the same wallet as by
//! `tollway get`.
//!
//! Plain http is asked on the program's behalf. Of https, only hosts that were named beforehand are
//! opened, by certificates of an authority of the user's own; all other connections pass unread.

pub(crate) mod authority;
mod relay;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tollway_client::Client;

use crate::proxy::authority::Authority;
use crate::shell::Shell;

/// The proxy, and what all its connections have in common.
pub(crate) struct PayProxy {
    pub(crate) client: Client,
    pub(crate) authority: Option<Authority>,
    /// What a program must send as basic authentication, `name:password` in base64.
    pub(crate) password: Option<Vec<u8>>,
    pub(crate) shell: Shell,
}

impl PayProxy {
    /// Takes connections for ever.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                // One that was gone before we came to it. Of others there would be no end: too many
                // open files pass, and so does the wait.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    tracing::warn!(%error, "no connection can be taken");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            };
            tokio::spawn(Arc::clone(&self).connection(TokioIo::new(stream), peer));
        }
    }

    async fn connection(self: Arc<Self>, stream: TokioIo<tokio::net::TcpStream>, peer: SocketAddr) {
        let service = service_fn(move |request| {
            let proxy = Arc::clone(&self);
            async move { Ok::<_, std::convert::Infallible>(proxy.ask(request).await) }
        });
        let mut server = http1::Builder::new();
        let server = server.timer(TokioTimer::new()).preserve_header_case(true);
        if let Err(error) = server.serve_connection(stream, service).with_upgrades().await {
            tracing::debug!(%peer, %error, "a connection broke");
        }
    }

    /// Whether whoever asks may spend.
    fn is_known(&self, headers: &http::HeaderMap) -> bool {
        let Some(password) = &self.password else { return true };
        let given = headers.get(http::header::PROXY_AUTHORIZATION);
        let given = given.and_then(|line| line.as_bytes().strip_prefix(b"Basic "));
        given.is_some_and(|given| given.ct_eq(password).into())
    }
}
