//! `ldk:<folder>?network=regtest&bitcoind=http://user:password@127.0.0.1:18443[&listen=127.0.0.1:9735]`:
//! the node in this process.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use l402::{Driver, Network, Node, NodeError, NodeErrorKind, NodeUrl, OpenError};

use crate::chain::{ChainError, Rpc};
use crate::node::{Config, DRIVER, EmbeddedNode, OpenNodeError};

/// The driver of `ldk:` URLs.
#[derive(Clone, Copy, Debug)]
pub struct Ldk;

#[async_trait]
impl Driver for Ldk {
    fn schemes(&self) -> &'static [&'static str] {
        &["ldk"]
    }

    fn example(&self) -> &'static str {
        "ldk:/var/lib/tollway/node?network=regtest&bitcoind=http://user:password@127.0.0.1:18443"
    }

    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError> {
        let node = Arc::new(Self::open_node(url).await?);
        Ok(Node {
            payer: Some(Arc::clone(&node) as _),
            invoicer: Some(Arc::clone(&node) as _),
            operator: Some(node),
        })
    }
}

impl Ldk {
    /// Opens the node itself, for a program that does more with it than pay and be paid.
    ///
    /// # Errors
    /// [`OpenError::BadUrl`]; [`OpenError::Node`] with an [`OpenNodeError`] as its cause.
    pub async fn open_node(url: &NodeUrl) -> Result<EmbeddedNode, OpenError> {
        let config = config(url.expose())?;
        EmbeddedNode::open(config).await.map_err(|error| NodeError::from(error).into())
    }
}

fn bad(parameter: &str, problem: impl Into<String>) -> OpenError {
    OpenError::BadUrl { driver: DRIVER, parameter: parameter.into(), problem: problem.into() }
}

/// Reads the URL. Nothing that it says about the chain source is in an error: it holds a password.
fn config(url: &str) -> Result<Config, OpenError> {
    let rest = url.split_once(':').map_or(url, |(_scheme, rest)| rest);
    let (folder, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !folder.starts_with('/') {
        return Err(bad("folder", "must be an absolute path: ldk:/path/to/node?..."));
    }
    let (mut network, mut bitcoind, mut listen) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*name {
            "network" => &mut network,
            "bitcoind" => &mut bitcoind,
            "listen" => &mut listen,
            other => {
                return Err(bad(other, "is not known; known are network, bitcoind and listen"));
            }
        };
        if slot.replace(value.into_owned()).is_some() {
            return Err(bad(&name, "is there twice"));
        }
    }
    let network = network.ok_or_else(|| bad("network", "is needed: network=regtest"))?;
    let network =
        network.parse().map_err(|e: l402::UnknownNetwork| bad("network", e.to_string()))?;
    if network != Network::Regtest {
        return Err(bad("network", "can only be regtest in this version"));
    }
    let bitcoind = bitcoind.ok_or_else(|| {
        bad("bitcoind", "is needed: bitcoind=http://user:password@127.0.0.1:18443")
    })?;
    let chain = Rpc::new(&bitcoind).map_err(|e| bad("bitcoind", e.to_string()))?;
    let address = |text: String| text.parse::<SocketAddr>();
    let listen = listen
        .map(address)
        .transpose()
        .map_err(|_| bad("listen", "must be an address and a port: listen=127.0.0.1:9735"))?;
    Ok(Config { folder: PathBuf::from(folder), network, chain: Arc::new(chain), listen })
}

impl From<OpenNodeError> for NodeError {
    fn from(error: OpenNodeError) -> Self {
        let kind = match &error {
            OpenNodeError::Chain(ChainError::Unreachable { .. }) => NodeErrorKind::Unreachable,
            OpenNodeError::Chain(ChainError::Unauthorized { .. }) => NodeErrorKind::Unauthorized,
            OpenNodeError::Chain(_) => NodeErrorKind::Protocol,
            OpenNodeError::OtherNetwork { .. } | OpenNodeError::Listen { .. } => {
                NodeErrorKind::Refused
            }
            OpenNodeError::Store(_)
            | OpenNodeError::Wallet(_)
            | OpenNodeError::Damaged { .. }
            | OpenNodeError::Random(_)
            | OpenNodeError::Thread(_) => NodeErrorKind::Storage,
        };
        Self::new(DRIVER, kind).because(Box::new(error) as Box<dyn Error + Send + Sync>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_url_says_everything() {
        let url = "ldk:/n?network=regtest&bitcoind=http://u:p@127.0.0.1:1&listen=127.0.0.1:9735";
        let config = config(url).unwrap();
        assert_eq!(config.folder, PathBuf::from("/n"));
        assert_eq!(config.network, Network::Regtest);
        assert_eq!(config.listen, Some(([127, 0, 0, 1], 9735).into()));
    }

    #[test]
    fn a_bad_url_is_refused_by_the_part_that_is_bad() {
        let chain = "bitcoind=http://u:hunter2@127.0.0.1:1";
        for (part, url) in [
            ("folder", format!("ldk:node?network=regtest&{chain}")),
            ("network", format!("ldk:/n?{chain}")),
            ("network", format!("ldk:/n?network=mainnet&{chain}")),
            ("network", format!("ldk:/n?network=regtest&network=regtest&{chain}")),
            ("bitcoind", "ldk:/n?network=regtest".to_owned()),
            ("bitcoind", format!("ldk:/n?network=regtest&{chain}/wallet")),
            ("listen", format!("ldk:/n?network=regtest&{chain}&listen=9735")),
            ("colour", format!("ldk:/n?network=regtest&{chain}&colour=red")),
        ] {
            let error = config(&url).unwrap_err();
            assert!(
                matches!(&error, OpenError::BadUrl { parameter, .. } if parameter == part),
                "{url}: {error}"
            );
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
