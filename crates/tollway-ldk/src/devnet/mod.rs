//! A private Lightning network in this process: a simulated chain, nodes with money, and channels
//! between them. In a kept folder it is the same network again after any end of the process.

mod grow;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use l402::{Msat, Network, Sat, Secret};
use tokio_util::task::AbortOnDropHandle;

use crate::chain::{
    ElectrumServer, EsploraServer, FaucetError, OpenChainError, RpcLogin, RpcServer, Simulated,
};
use crate::node::{ChannelError, Config, EmbeddedNode, LspOffer, OpenNodeError};
use crate::onchain::WalletError;

/// The first nodes' names, in the order of the line of channels.
const NAMES: [&str; 8] = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"];

/// What a private network is brought up with.
#[derive(Clone, Debug)]
pub struct DevnetConfig {
    /// Where it is kept; `None` for a folder that goes with it.
    pub folder: Option<PathBuf>,
    /// How many nodes, each with a channel to the next; one to eight.
    pub nodes: usize,
    /// How much is in each channel. Half of it starts at either end.
    pub capacity: Sat,
    /// How long after a transaction comes the block that holds it.
    pub block_after: Duration,
    /// Where the chain's JSON-RPC port is opened, for other programs to join.
    pub rpc: SocketAddr,
    /// Where the chain answers wallets as an Esplora server does.
    pub esplora: SocketAddr,
    /// Where it answers them as an Electrum server does.
    pub electrum: SocketAddr,
}

/// What the last node of the line asks for when it opens a channel as a payment comes.
const OFFER: LspOffer = LspOffer {
    min_fee: Msat::from_msat(100_000),
    fee_ppm: 10_000,
    min_payment: Msat::from_msat(1_000_000),
    max_payment: Msat::from_msat(1_000_000_000),
};

impl Default for DevnetConfig {
    fn default() -> Self {
        Self {
            folder: None,
            nodes: 2,
            capacity: Sat::from_sat(10_000_000),
            block_after: Duration::from_millis(200),
            rpc: (Ipv4Addr::LOCALHOST, 0).into(),
            esplora: (Ipv4Addr::LOCALHOST, 0).into(),
            electrum: (Ipv4Addr::LOCALHOST, 0).into(),
        }
    }
}

/// The private network could not be brought up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// More nodes than names, or none.
    #[error("a private network has 1 to 8 nodes, not {0}")]
    Nodes(usize),
    /// A channel must hold more than its fees and reserves.
    #[error("a channel of {0} is too small; use 100000 sat or more")]
    Capacity(Sat),
    /// The folder or its temporary place cannot be used.
    #[error("cannot use the private network's folder {}", folder.display())]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// No temporary folder can be made.
    #[error("no temporary folder can be made; name one to keep the network in")]
    Temporary(#[source] io::Error),
    /// The chain cannot be read.
    #[error(transparent)]
    Chain(#[from] OpenChainError),
    /// The chain's file cannot be written.
    #[error("the simulated chain cannot be written")]
    Mine(#[source] io::Error),
    /// One of the chain's ports cannot be opened.
    #[error("the simulated chain cannot listen on {address}")]
    Rpc {
        /// Where.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The faucet is dry.
    #[error(transparent)]
    Faucet(#[from] FaucetError),
    /// A node did not open.
    #[error("node {name} does not open")]
    Node {
        /// Which.
        name: &'static str,
        /// The cause.
        source: OpenNodeError,
    },
    /// A channel did not open.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// A node's on-chain wallet failed.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for a password")]
    Random(#[source] getrandom::Error),
    /// The channels were not usable in time.
    #[error("the channels are not usable after {} seconds", .0.as_secs())]
    Slow(Duration),
}

/// One node of the network.
#[derive(Clone, Debug)]
pub struct DevnetNode {
    /// Its name, and that of its folder.
    pub name: &'static str,
    /// The node.
    pub node: Arc<EmbeddedNode>,
}

/// A running private network.
pub struct Devnet {
    chain: Simulated,
    rpc: RpcServer,
    esplora: EsploraServer,
    electrum: ElectrumServer,
    nodes: Vec<DevnetNode>,
    folder: Folder,
    /// Ends with this value.
    _miner: AbortOnDropHandle<()>,
}

/// Declared after the nodes in [`Devnet`], so that it goes after them.
enum Folder {
    Kept(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }
}

impl fmt::Debug for Devnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Devnet").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

impl Devnet {
    /// Brings it up, and returns when every channel can be used. What an earlier run in the same
    /// folder has done is not done again, wherever it was stopped.
    ///
    /// # Errors
    /// See [`DevnetError`].
    pub async fn start(config: DevnetConfig) -> Result<Self, DevnetError> {
        let count = config.nodes;
        let names = NAMES.get(..count).filter(|names| !names.is_empty());
        let names = names.ok_or(DevnetError::Nodes(count))?;
        if config.capacity < Sat::from_sat(100_000) {
            return Err(DevnetError::Capacity(config.capacity));
        }
        let folder = match &config.folder {
            Some(folder) => Folder::Kept(folder.clone()),
            None => Folder::Temporary(tempfile::tempdir().map_err(DevnetError::Temporary)?),
        };
        let path = folder.path();
        std::fs::create_dir_all(path)
            .map_err(|source| DevnetError::Folder { folder: path.to_owned(), source })?;
        let chain = Simulated::open(&path.join("chain"))?;
        let rpc = serve(&chain, config.rpc).await?;
        let failed = |address| move |source| DevnetError::Rpc { address, source };
        let esplora = EsploraServer::bind(chain.clone(), config.esplora).await;
        let esplora = esplora.map_err(failed(config.esplora))?;
        let electrum = ElectrumServer::bind(chain.clone(), config.electrum).await;
        let electrum = electrum.map_err(failed(config.electrum))?;
        let nodes = open_nodes(path, names, &chain).await?;
        grow::grow(&chain, &nodes, config.capacity).await?;
        let miner = tokio::spawn(mine(chain.clone(), config.block_after));
        let miner = AbortOnDropHandle::new(miner);
        Ok(Self { chain, rpc, esplora, electrum, nodes, folder, _miner: miner })
    }

    /// The chain.
    pub fn chain(&self) -> &Simulated {
        &self.chain
    }

    /// The chain's JSON-RPC port, as bitcoind's.
    pub fn rpc(&self) -> &RpcServer {
        &self.rpc
    }

    /// The chain's Esplora port, for other nodes and wallets.
    pub fn esplora(&self) -> &EsploraServer {
        &self.esplora
    }

    /// The chain's Electrum port, for the same.
    pub fn electrum(&self) -> &ElectrumServer {
        &self.electrum
    }

    /// The node that opens a channel to whoever is paid through it: the last of the line.
    pub fn provider(&self) -> &DevnetNode {
        self.nodes.last().expect("a network has a node")
    }

    /// The nodes, in the order of the line of channels.
    pub fn nodes(&self) -> &[DevnetNode] {
        &self.nodes
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops every node and closes the RPC port. A temporary folder goes.
    pub async fn stop(self) {
        for DevnetNode { node, .. } in &self.nodes {
            node.stop().await;
        }
        self.rpc.stop().await;
    }
}

async fn mine(chain: Simulated, after: Duration) {
    let Err(error) = chain.mine_when_needed(after, 1).await;
    tracing::error!(%error, "no more blocks: the simulated chain cannot be written");
}

async fn serve(chain: &Simulated, address: SocketAddr) -> Result<RpcServer, DevnetError> {
    let mut password = [0; 16];
    getrandom::fill(&mut password).map_err(DevnetError::Random)?;
    let password = Secret::new(hex::DisplayHex::to_lower_hex_string(&password[..]));
    let login = RpcLogin { user: "tollway".to_owned(), password };
    RpcServer::bind(chain.clone(), address, login)
        .await
        .map_err(|source| DevnetError::Rpc { address, source })
}

async fn open_nodes(
    folder: &Path,
    names: &[&'static str],
    chain: &Simulated,
) -> Result<Vec<DevnetNode>, DevnetError> {
    let mut nodes = Vec::with_capacity(names.len());
    for &name in names {
        let is_last = names.last() == Some(&name);
        let config = Config {
            lsp_offer: is_last.then_some(OFFER),
            listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
            ..Config::new(folder.join(name), Network::Regtest, Arc::new(chain.clone()))
        };
        let node = EmbeddedNode::open(config).await;
        let node = node.map_err(|source| DevnetError::Node { name, source })?;
        nodes.push(DevnetNode { name, node: Arc::new(node) });
    }
    Ok(nodes)
}
