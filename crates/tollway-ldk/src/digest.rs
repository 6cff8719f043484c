//! The rapid gossip sync: a digest of all public channels from one server, in a few seconds, instead of
//! hundreds of thousands of messages from peers. Whoever serves it can hide channels, and learns when
//! this node is running; it can spend nothing and learns nothing about payments.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use l402::Network;
use lightning_rapid_gossip_sync::RapidGossipSync;
use url::{Host, Url};

use crate::log::Log;
use crate::types::Graph;

/// How long a digest may take to arrive.
const PATIENCE: Duration = Duration::from_secs(120);
/// Ten times the size of a whole one.
const LARGEST: usize = 64 * 1024 * 1024;

/// Where a digest is had from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestUrl(Url);

/// The place of a digest cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DigestUrlError {
    /// Not a URL of http, or with more than a path.
    #[error("must be `ldk` or a URL, as https://rapidsync.lightningdevkit.org/snapshot")]
    NotAUrl,
    /// In the clear, and not from this machine.
    #[error("must be https, or http from this machine")]
    Plain,
    /// The public server has none of this network.
    #[error("`ldk` has digests of mainnet and testnet; name the URL of another server")]
    NotThere,
}

impl DigestUrl {
    /// Reads a URL, or `ldk` for the server of the LDK project.
    ///
    /// # Errors
    /// [`DigestUrlError`].
    pub fn read(text: &str, network: Network) -> Result<Self, DigestUrlError> {
        let text = match (text, network) {
            ("ldk", Network::Mainnet) => "https://rapidsync.lightningdevkit.org/snapshot",
            ("ldk", Network::Testnet) => "https://rapidsync.lightningdevkit.org/testnet/snapshot",
            ("ldk", _) => return Err(DigestUrlError::NotThere),
            (url, _) => url,
        };
        let url = Url::parse(text).map_err(|_| DigestUrlError::NotAUrl)?;
        let is_here = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(DigestUrlError::NotAUrl),
        };
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            return Err(DigestUrlError::NotAUrl);
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_here => Ok(Self(url)),
            "http" => Err(DigestUrlError::Plain),
            _ => Err(DigestUrlError::NotAUrl),
        }
    }
}

/// Reads digests.
pub(crate) struct Digest {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    url: DigestUrl,
}

/// What a server did instead of answering.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it does not answer")]
    Slow(#[from] tokio::time::error::Elapsed),
    #[error("it cannot be reached")]
    Http(#[from] hyper_util::client::legacy::Error),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("its answer is cut off or too long")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("its answer is no digest: {0}")]
    Unread(String),
}

impl Digest {
    pub(crate) fn new(url: DigestUrl) -> Self {
        let tls = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())
            .expect("the provider has the versions of TLS that it is asked for");
        let connector = tls.https_or_http().enable_http1().build();
        Self { client: Client::builder(TokioExecutor::new()).build(connector), url }
    }

    /// Reads what is new since the last digest. `false`: there was none.
    pub(crate) async fn read_into(&self, graph: &Arc<Graph>) -> bool {
        match self.read(graph).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(url = %self.url.0, %error, "no digest of the network's channels");
                false
            }
        }
    }

    async fn read(&self, graph: &Arc<Graph>) -> Result<(), Failure> {
        let last = graph.get_last_rapid_gossip_sync_timestamp().unwrap_or_default();
        let path = format!("{}/{last}", self.url.0.as_str().trim_end_matches('/'));
        let uri: Uri = path.parse().expect("a URL with a number after it");
        let body = tokio::time::timeout(PATIENCE, async {
            let response = self.client.get(uri).await?;
            if response.status() != StatusCode::OK {
                return Err(Failure::Status(response.status()));
            }
            let body = Limited::new(response.into_body(), LARGEST).collect().await;
            Ok(body.map_err(Failure::Body)?.to_bytes())
        })
        .await??;
        let sync = RapidGossipSync::new(Arc::clone(graph), Arc::new(Log));
        // Two seconds of work for the whole network.
        let read = tokio::task::spawn_blocking(move || sync.update_network_graph(&body));
        let read = read.await.map_err(|error| Failure::Unread(error.to_string()))?;
        read.map_err(|error| Failure::Unread(format!("{error:?}")))?;
        tracing::info!(channels = graph.read_only().channels().len(), "the digest is read");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_comes_by_tls_or_from_this_machine() {
        let read = |text, network| DigestUrl::read(text, network).map(|url| url.0.to_string());
        let public = "https://rapidsync.lightningdevkit.org/snapshot";
        assert_eq!(read("ldk", Network::Mainnet).as_deref(), Ok(public));
        assert_eq!(read("ldk", Network::Signet), Err(DigestUrlError::NotThere));
        assert!(read("http://127.0.0.1:3000/snapshot", Network::Regtest).is_ok());
        assert_eq!(read("http://rgs.example/", Network::Mainnet), Err(DigestUrlError::Plain));
        for bad in ["", "rgs", "ftp://h/", "https://u@h/", "https://h/?x=1"] {
            assert_eq!(read(bad, Network::Mainnet), Err(DigestUrlError::NotAUrl), "{bad}");
        }
    }
}
