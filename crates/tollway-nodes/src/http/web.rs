//! A server at a host and port, by TLS, or in the clear where nobody can listen: on this machine.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{Dial, NoAnswer, Stream, Trust};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// Where, and how to know the right one.
#[derive(Debug)]
pub(crate) struct Web {
    /// As it stands in a certificate: without the brackets of an IPv6 address.
    name: String,
    port: u16,
    authority: String,
    path: String,
    trust: Option<Trust>,
}

impl Web {
    /// Without a `trust` it is spoken to in the clear, and only on this machine. The host is one
    /// that [`crate::address`] has checked.
    pub(crate) fn new(host: &str, port: u16, trust: Option<Trust>) -> Self {
        let authority = format!("{host}:{port}");
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { name, port, authority, path: "/".to_owned(), trust }
    }

    /// The same server, for WebSockets at this path.
    pub(crate) fn at_path(self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self }
    }

    /// What is asked for in a WebSocket's handshake.
    pub(crate) fn websocket_url(&self) -> String {
        let scheme = if self.trust.is_some() { "wss" } else { "ws" };
        format!("{scheme}://{}{}", self.authority, self.path)
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, NoAnswer> {
        let not_connected =
            |source| NoAnswer::NotConnected { place: self.authority.clone(), source };
        let stream = TcpStream::connect((self.name.as_str(), self.port));
        let stream = stream.await.map_err(not_connected)?;
        stream.set_nodelay(true).map_err(not_connected)?;
        let Some(trust) = &self.trust else {
            let there = stream.peer_addr().map_err(not_connected)?;
            if !there.ip().to_canonical().is_loopback() {
                return Err(NoAnswer::Plaintext { place: self.authority.clone() });
            }
            return Ok(Box::new(stream));
        };
        let settings = trust.now().map_err(not_connected)?;
        let name = ServerName::try_from(self.name.clone())
            .map_err(|bad| not_connected(io::Error::new(io::ErrorKind::InvalidInput, bad)))?;
        let connector = TlsConnector::from(Arc::clone(&settings));
        let stream = connector.connect(name, stream).await.map_err(|source| {
            let tls = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            match tls {
                Some(rustls::Error::InvalidCertificate(_)) => {
                    NoAnswer::Impostor { place: self.authority.clone(), source }
                }
                _ => not_connected(source),
            }
        })?;
        Ok(Box::new(stream))
    }
}

impl Dial for Web {
    /// A payment that was tried over many routes is long.
    const LONGEST_ANSWER: usize = 4 * 1024 * 1024;

    fn host(&self) -> &str {
        &self.authority
    }

    async fn dial(&self) -> Result<Box<dyn Stream>, NoAnswer> {
        match timeout(CONNECT, self.connect()).await {
            Ok(connected) => connected,
            Err(_) => Err(NoAnswer::NotConnected {
                place: self.authority.clone(),
                source: io::ErrorKind::TimedOut.into(),
            }),
        }
    }
}
