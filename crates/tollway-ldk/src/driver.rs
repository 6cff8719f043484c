//! `ldk:<folder>?network=signet&chain=esplora:https://mempool.space/signet/api[&listen=127.0.0.1:9735]`:
//! the node in this process.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use l402::{Driver, Network, Node, NodeError, NodeErrorKind, NodeUrl, OpenError, Secret};

use crate::chain::{ChainError, ChosenChain};
use crate::digest::DigestUrl;
use crate::node::{Config, DRIVER, EmbeddedNode, Lsp, OpenNodeError, Public};

/// The driver of `ldk:` URLs.
#[derive(Clone, Copy, Debug)]
pub struct Ldk;

#[async_trait]
impl Driver for Ldk {
    fn schemes(&self) -> &'static [&'static str] {
        &["ldk"]
    }

    fn example(&self) -> &'static str {
        "ldk:/var/lib/tollway/node?network=signet&chain=esplora:https://mempool.space/signet/api"
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
    /// Where the node of that URL is kept, and on which network it is. The whole URL is checked, and
    /// nobody is asked anything.
    ///
    /// # Errors
    /// [`OpenError::BadUrl`].
    pub fn place(url: &NodeUrl) -> Result<(PathBuf, Network), OpenError> {
        let Url { folder, network, .. } = read(url.expose())?;
        Ok((folder, network))
    }

    /// Opens the node itself, for a program that does more with it than pay and be paid.
    ///
    /// # Errors
    /// [`OpenError::BadUrl`]; [`OpenError::Node`] with an [`OpenNodeError`] as its cause.
    pub async fn open_node(url: &NodeUrl) -> Result<EmbeddedNode, OpenError> {
        let Url { folder, network, chain, listen, lsp, public, digest } = read(url.expose())?;
        let failed = |error: OpenNodeError| OpenError::from(NodeError::from(error));
        let chain = chain.connect().await.map_err(|error| failed(error.into()))?;
        let config = Config { listen, lsp, public, digest, ..Config::new(folder, network, chain) };
        EmbeddedNode::open(config).await.map_err(failed)
    }
}

fn bad(parameter: &str, problem: impl Into<String>) -> OpenError {
    OpenError::BadUrl { driver: DRIVER, parameter: parameter.into(), problem: problem.into() }
}

/// What a URL says, before anybody is asked anything.
#[derive(Debug)]
struct Url {
    folder: PathBuf,
    network: Network,
    chain: ChosenChain,
    listen: Option<SocketAddr>,
    lsp: Option<Lsp>,
    public: Public,
    digest: Option<DigestUrl>,
}

/// The parameters by name, each once.
struct Parameters(Vec<(&'static str, Option<String>)>);

/// What may stand in a URL.
const KNOWN: [&str; 10] = [
    "network",
    "chain",
    "bitcoind",
    "listen",
    "lsp",
    "lsp_max_fee",
    "lsp_max_ppm",
    "alias",
    "announce",
    "rgs",
];

impl Parameters {
    fn read(query: &str) -> Result<Self, OpenError> {
        let mut all = Self(KNOWN.iter().map(|name| (*name, None)).collect());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = all.0.iter_mut().find(|(known, _)| *known == name);
            let Some((_, slot)) = slot else {
                let known = KNOWN.join(", ");
                return Err(bad(&name, format!("is not known; known are {known}")));
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(bad(&name, "is there twice"));
            }
        }
        Ok(all)
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.0.iter_mut().find(|(known, _)| *known == name)?.1.take()
    }

    /// One that is read from its text.
    fn parsed<T: FromStr>(
        &mut self,
        name: &'static str,
        problem: &str,
    ) -> Result<Option<T>, OpenError> {
        let text = self.take(name);
        text.map(|text| text.parse().map_err(|_| bad(name, problem))).transpose()
    }
}

/// Reads the URL. Nothing that it says about the chain source is in an error: it may hold a password.
fn read(url: &str) -> Result<Url, OpenError> {
    let rest = url.split_once(':').map_or(url, |(_scheme, rest)| rest);
    let (folder, query) = rest.split_once('?').unwrap_or((rest, ""));
    if !folder.starts_with('/') {
        return Err(bad("folder", "must be an absolute path: ldk:/path/to/node?..."));
    }
    let mut parameters = Parameters::read(query)?;
    let network = parameters.take("network");
    let network = network.ok_or_else(|| bad("network", "is needed: network=signet"))?;
    let network =
        network.parse().map_err(|e: l402::UnknownNetwork| bad("network", e.to_string()))?;
    let chain = match (parameters.take("chain"), parameters.take("bitcoind")) {
        (Some(_), Some(_)) => return Err(bad("bitcoind", "is there beside `chain`; give one")),
        (Some(chain), None) => {
            ChosenChain::read(&chain, network).map_err(|error| bad("chain", error.to_string()))?
        }
        (None, Some(url)) => ChosenChain::read(&format!("bitcoind:{url}"), network)
            .map_err(|error| bad("bitcoind", error.to_string()))?,
        (None, None) => {
            return Err(bad("chain", "is needed: chain=esplora:https://mempool.space/signet/api"));
        }
    };
    let listen =
        parameters.parsed("listen", "must be an address and a port: listen=127.0.0.1:9735")?;
    let digest = parameters.take("rgs").map(|text| DigestUrl::read(&text, network)).transpose();
    let digest = digest.map_err(|error| bad("rgs", error.to_string()))?;
    let lsp = provider(&mut parameters)?;
    let public = public(&mut parameters)?;
    Ok(Url { folder: PathBuf::from(folder), network, chain, listen, lsp, public, digest })
}

/// How the node is known in public.
fn public(parameters: &mut Parameters) -> Result<Public, OpenError> {
    let alias = parameters.parsed("alias", "must be 1 to 32 bytes of text: alias=my-shop")?;
    let addresses = parameters.take("announce").map(|list| {
        let addresses = list.split(',').map(|address| address.trim().parse());
        addresses.collect::<Result<Vec<_>, _>>()
    });
    let example = "must be where others may dial the node: announce=203.0.113.5:9735";
    let addresses = addresses.transpose().map_err(|_| bad("announce", example))?;
    Ok(Public { alias, addresses: addresses.unwrap_or_default() })
}

/// `<pubkey>@host:port[?token=file:/path]`, and what it may cost.
fn provider(parameters: &mut Parameters) -> Result<Option<Lsp>, OpenError> {
    let max_fee = parameters.parsed("lsp_max_fee", "must be an amount: lsp_max_fee=5000sat")?;
    let max_ppm = parameters
        .parsed("lsp_max_ppm", "must be in millionths of the payment: lsp_max_ppm=200000")?;
    let Some(text) = parameters.take("lsp") else {
        let lonely = max_fee.map(|_| "lsp_max_fee").or(max_ppm.map(|_: u32| "lsp_max_ppm"));
        return lonely.map_or(Ok(None), |name| Err(bad(name, "means nothing without `lsp`")));
    };
    let wrong = || bad("lsp", "must be a key and an address: lsp=02ab…@lsp.example:9735");
    let (place, query) = text.split_once('?').unwrap_or((&text, ""));
    let (id, address) = place.split_once('@').ok_or_else(wrong)?;
    let id = id.parse().map_err(|_| wrong())?;
    if !address.contains(':') {
        return Err(wrong());
    }
    let token = match query {
        "" => None,
        query => Some(token(query)?),
    };
    Ok(Some(Lsp {
        id,
        address: address.to_owned(),
        token,
        max_fee: max_fee.unwrap_or(Lsp::MAX_FEE),
        max_fee_ppm: max_ppm.unwrap_or(Lsp::MAX_FEE_PPM),
    }))
}

/// What a provider knows its customer by, from its file.
fn token(query: &str) -> Result<Secret<String>, OpenError> {
    let file = query.strip_prefix("token=file:");
    let file = file.ok_or_else(|| bad("lsp", "after `?` comes token=file:/path, or nothing"))?;
    let read = std::fs::read_to_string(file).map(Secret::new);
    let read = read.map_err(|error| bad("lsp", format!("the token in {file}: {error}")))?;
    Ok(Secret::new(read.expose().trim().to_owned()))
}

impl From<OpenNodeError> for NodeError {
    fn from(error: OpenNodeError) -> Self {
        let kind = match &error {
            OpenNodeError::Chain(ChainError::Unreachable { .. }) => NodeErrorKind::Unreachable,
            OpenNodeError::Chain(ChainError::Unauthorized { .. } | ChainError::NoLogin { .. }) => {
                NodeErrorKind::Unauthorized
            }
            OpenNodeError::Chain(_) => NodeErrorKind::Protocol,
            OpenNodeError::OtherNetwork { .. }
            | OpenNodeError::OtherChain { .. }
            | OpenNodeError::Lsp(_)
            | OpenNodeError::Listen { .. } => NodeErrorKind::Refused,
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
        let url =
            read("ldk:/n?network=regtest&bitcoind=http://u:p@127.0.0.1:1&listen=127.0.0.1:9735");
        let url = url.unwrap();
        assert_eq!(url.folder, PathBuf::from("/n"));
        assert_eq!(url.network, Network::Regtest);
        assert_eq!(url.listen, Some(([127, 0, 0, 1], 9735).into()));
        for network in ["signet", "testnet", "mainnet"] {
            let text = format!("ldk:/n?network={network}&chain=esplora:https://mempool.space/api");
            assert_eq!(read(&text).unwrap().network.to_string(), network);
        }
    }

    #[test]
    fn a_provider_comes_with_what_it_may_cost() {
        let key = "02".repeat(33);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "customer 7\n").unwrap();
        let base = "ldk:/n?network=signet&chain=esplora:https://mempool.space/signet/api";
        let with = |rest: &str| read(&format!("{base}&{rest}"));
        let lsp = with(&format!("lsp={key}@lsp.example:9735")).unwrap().lsp.unwrap();
        assert_eq!((lsp.max_fee, lsp.max_fee_ppm), (Lsp::MAX_FEE, Lsp::MAX_FEE_PPM));
        let token = format!("lsp={key}@lsp.example:9735?token=file:{}", file.display());
        let limits = "lsp_max_fee=2000sat&lsp_max_ppm=10000";
        let lsp = with(&format!("{token}&{limits}")).unwrap().lsp.unwrap();
        assert_eq!(lsp.token.unwrap().expose(), "customer 7");
        assert_eq!((lsp.max_fee.msat(), lsp.max_fee_ppm), (2_000_000, 10_000));
        for (part, rest) in [
            ("lsp", "lsp=lsp.example:9735".to_owned()),
            ("lsp", format!("lsp={key}@lsp.example")),
            ("lsp", format!("lsp={key}@lsp.example:9735?token=hunter2")),
            ("lsp", format!("lsp={key}@lsp.example:9735?token=file:/nowhere/at/all")),
            ("lsp_max_fee", "lsp_max_fee=2000sat".to_owned()),
            ("lsp_max_fee", format!("lsp={key}@lsp.example:9735&lsp_max_fee=much")),
            ("lsp_max_ppm", format!("lsp={key}@lsp.example:9735&lsp_max_ppm=1%")),
            ("alias", format!("alias={}", "x".repeat(33))),
            ("announce", "announce=here".to_owned()),
            ("rgs", "rgs=ldk".to_owned()),
        ] {
            let error = with(&rest).unwrap_err();
            assert!(
                matches!(&error, OpenError::BadUrl { parameter, .. } if parameter == part),
                "{rest}: {error}"
            );
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let known = with("alias=my-shop&announce=203.0.113.5:9735,[2001:db8::1]:9735").unwrap();
        assert_eq!(known.public.addresses.len(), 2);
    }

    #[test]
    fn a_bad_url_is_refused_by_the_part_that_is_bad() {
        let chain = "bitcoind=http://u:hunter2@127.0.0.1:1";
        for (part, url) in [
            ("folder", format!("ldk:node?network=regtest&{chain}")),
            ("network", format!("ldk:/n?{chain}")),
            ("network", format!("ldk:/n?network=venus&{chain}")),
            ("network", format!("ldk:/n?network=regtest&network=regtest&{chain}")),
            ("chain", "ldk:/n?network=regtest".to_owned()),
            ("chain", "ldk:/n?network=mainnet&chain=esplora:http://mempool.space/api".to_owned()),
            ("chain", "ldk:/n?network=mainnet&chain=electrum:tcp://electrum.example:1".to_owned()),
            ("chain", "ldk:/n?network=mainnet&chain=neutrino:x".to_owned()),
            ("bitcoind", format!("ldk:/n?network=regtest&{chain}/wallet")),
            ("bitcoind", format!("ldk:/n?network=regtest&{chain}&chain=esplora:https://h/api")),
            ("listen", format!("ldk:/n?network=regtest&{chain}&listen=9735")),
            ("colour", format!("ldk:/n?network=regtest&{chain}&colour=red")),
        ] {
            let error = read(&url).unwrap_err();
            assert!(
                matches!(&error, OpenError::BadUrl { parameter, .. } if parameter == part),
                "{url}: {error}"
            );
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
