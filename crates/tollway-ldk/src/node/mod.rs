//! A Lightning node in this process: its own keys, its own channels, one folder on the disk.

mod channels;
mod core;
mod events;
mod follow;
#[cfg(test)]
mod full_disk;
mod health;
mod hints;
mod history;
mod info;
mod invoices;
mod kept;
mod liquidity;
mod net;
mod open;
mod openings;
mod pace;
mod pay;
mod recover;
mod reserve;
mod terms;
mod upkeep;
mod waits;
mod withdraw;
mod writer;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bitcoin::Address;
use bitcoin::secp256k1::PublicKey;
use l402::{Msat, Network, NodeId};
use tokio::sync::watch;

pub use self::channels::{Channel, ChannelError, NewChannel};
use self::core::Core;
pub use self::history::{Direction, PaymentRecord, PaymentState};
pub use self::info::{Balance, Info, Peer};
pub use self::liquidity::{Lsp, LspOffer};
pub use self::upkeep::{Alias, BadAlias, Public};
pub(crate) use self::waits::End;
pub use self::withdraw::{WithdrawError, WithdrawQuote};
use crate::backup::{Backup, BackupError};
use crate::broadcast;
use crate::chain::{ChainError, ChainSource};
use crate::digest::{Digest, DigestUrl};
use crate::onchain::WalletError;
use crate::store::StoreError;

/// This driver's name in errors.
pub(crate) const DRIVER: &str = "ldk";

/// How often a state that LDK does not announce is looked at while somebody waits for it.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What a node is opened with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where its keys and channels are. Made, private to the user, when it is not there.
    pub folder: PathBuf,
    /// The network it is on. A folder never changes it.
    pub network: Network,
    /// Who answers for the blockchain.
    pub chain: Arc<dyn ChainSource>,
    /// Where peers may dial it, if anywhere. Port 0 lets the system choose.
    pub listen: Option<SocketAddr>,
    /// Who opens a channel to it when a payment comes for which there is no room.
    pub lsp: Option<Lsp>,
    /// What it asks for when it does the same for others; `None`: it does not.
    pub lsp_offer: Option<LspOffer>,
    /// How it is known in public, once it has a public channel.
    pub public: Public,
    /// Where a digest of all public channels is had from; `None`: peers are asked, one by one.
    pub digest: Option<DigestUrl>,
}

impl Config {
    /// A node that listens nowhere, buys no channels and sells none.
    pub fn new(folder: impl Into<PathBuf>, network: Network, chain: Arc<dyn ChainSource>) -> Self {
        Self {
            folder: folder.into(),
            network,
            chain,
            listen: None,
            lsp: None,
            lsp_offer: None,
            public: Public::default(),
            digest: None,
        }
    }
}

/// The node could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenNodeError {
    /// The folder or its file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain could not be asked.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The on-chain wallet could not be opened.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// What the folder holds cannot be read.
    #[error("{what} in the node's folder cannot be read; do not delete it: it holds money")]
    Damaged {
        /// Which part.
        what: &'static str,
    },
    /// The folder belongs to a node on another network.
    #[error("the node's folder is for {theirs}, and {asked} was asked for; use another folder")]
    OtherNetwork {
        /// Its network.
        theirs: String,
        /// What was asked for.
        asked: Network,
    },
    /// The chain source is for another network.
    #[error("the chain source is not one for {asked}; check its address and `network`")]
    OtherChain {
        /// What was asked for.
        asked: Network,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for the node's keys")]
    Random(#[source] getrandom::Error),
    /// Nobody can dial it there.
    #[error("the node cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The cause.
        source: io::Error,
    },
    /// The liquidity provider's id is none.
    #[error("`{0}` is not a node's public key, so it is no liquidity provider")]
    Lsp(NodeId),
    /// The system gives no thread.
    #[error("the node's writer cannot be started")]
    Thread(#[source] io::Error),
}

impl From<rusqlite::Error> for OpenNodeError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A running node. It implements [`l402::Payer`] and [`l402::Invoicer`].
///
/// Dropping it is like killing the process: nothing is lost. [`EmbeddedNode::stop`] lets what is on
/// its way to the disk arrive and says goodbye to the peers.
pub struct EmbeddedNode {
    core: Arc<Core>,
    address: Option<SocketAddr>,
    kept: Mutex<HashMap<PublicKey, watch::Sender<String>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for EmbeddedNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EmbeddedNode({} on {})", self.node_id(), self.core.network)
    }
}

impl EmbeddedNode {
    /// Opens the folder, catches up with the chain, and starts to run on the current runtime. Peers
    /// that it has channels with are dialled in the background.
    ///
    /// # Errors
    /// See [`OpenNodeError`].
    pub async fn open(config: Config) -> Result<Self, OpenNodeError> {
        let listener = match config.listen {
            Some(address) => {
                let failed = |source| OpenNodeError::Listen { address, source };
                Some(net::bind(address).await.map_err(failed)?)
            }
            None => None,
        };
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let opened = open::open(&config).await?;
        let core = Arc::new(opened.core);
        let writer = writer::start(Arc::clone(&core)).map_err(OpenNodeError::Thread)?;
        let (chain, wallet) = (Arc::clone(&core.chain), Arc::clone(&core.wallet));
        core.spawn(broadcast::send_all(chain, wallet, opened.unsent));
        core.spawn(Arc::clone(&core).beat());
        core.spawn(follow::follow(Arc::clone(&core), opened.at));
        core.spawn(Arc::clone(&core).keep_up(config.digest.clone().map(Digest::new)));
        if let Some(listener) = listener {
            core.spawn(net::listen(Arc::clone(&core), listener));
        }
        let node = Self { core, address, kept: Mutex::default(), writer: Mutex::new(Some(writer)) };
        for (id, address) in node.core.store.peers()? {
            let id = PublicKey::from_slice(&id)
                .map_err(|_| OpenNodeError::Damaged { what: "the list of peers" })?;
            node.keep(id, address);
        }
        if let Some(lsp) = &config.lsp {
            let id = PublicKey::from_slice(&lsp.id.0).map_err(|_| OpenNodeError::Lsp(lsp.id))?;
            // Its channel outlives the word in the URL, and a backup must name it.
            node.core.store.put_peer(&lsp.id.0, &lsp.address)?;
            node.keep(id, lsp.address.clone());
        }
        // Updates that were in flight when the last process died are sent on their way again.
        node.core.step();
        Ok(node)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Keeps a peer connected, at its newest address.
    fn keep(&self, id: PublicKey, address: String) {
        match self.kept.lock().expect("no panic while held").entry(id) {
            Entry::Occupied(known) => drop(known.get().send_replace(address)),
            Entry::Vacant(new) => {
                let (sender, receiver) = watch::channel(address);
                new.insert(sender);
                self.core.spawn(net::keep(Arc::clone(&self.core), id, receiver));
            }
        }
    }

    /// The peers that are dialled, and where.
    fn kept_peers(&self) -> Vec<(PublicKey, String)> {
        let kept = self.kept.lock().expect("no panic while held");
        kept.iter().map(|(id, address)| (*id, address.borrow().clone())).collect()
    }

    /// Its public key.
    pub fn node_id(&self) -> NodeId {
        NodeId(self.core.id.serialize())
    }

    /// Where peers may dial it, if it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Connects to a peer and stays connected, now and after a restart. Returns when it is.
    ///
    /// # Errors
    /// [`ChannelError::BadNodeId`]; [`ChannelError::Unreachable`] after `patience`, though it is
    /// still tried in the background.
    pub async fn connect(
        &self,
        peer: NodeId,
        address: &str,
        patience: Duration,
    ) -> Result<(), ChannelError> {
        let id = PublicKey::from_slice(&peer.0).map_err(|_| ChannelError::BadNodeId(peer))?;
        self.core.store.put_peer(&peer.0, address)?;
        self.keep(id, address.to_owned());
        let connected = async {
            while self.core.peers.peer_by_node_id(&id).is_none() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        let unreachable = |_| ChannelError::Unreachable { peer, address: address.to_owned() };
        tokio::time::timeout(patience, connected).await.map_err(unreachable)
    }

    /// The height of the newest block that every part of it has seen.
    pub fn height(&self) -> u32 {
        let manager = self.core.manager.current_best_block().height;
        manager.min(self.core.wallet.best_block().height)
    }

    /// A fresh address of its on-chain wallet, written down.
    ///
    /// # Errors
    /// [`WalletError::Store`].
    pub fn new_onchain_address(&self) -> Result<Address, WalletError> {
        self.core.wallet.address()
    }

    /// What to keep on paper: its secret in words, and its peers.
    ///
    /// # Errors
    /// [`BackupError::Store`]: its file failed.
    pub fn backup(&self) -> Result<Backup, BackupError> {
        Backup::read(&self.core.store)
    }

    /// How many payments it has received, and how much in all.
    ///
    /// # Errors
    /// The node's file failed.
    pub fn received(&self) -> Result<(u64, Msat), ChannelError> {
        Ok(self.core.store.received_total()?)
    }

    /// Stops: peers are told, what waits for the disk is written. The folder is free when this has
    /// returned and the node is dropped. Payments on their way end by themselves, and how is known at
    /// the next start; whoever waits for one is told that its end is unknown.
    pub async fn stop(&self) {
        self.core.hang_up().await;
        if self.core.check_disk() {
            self.core.keep_scores();
            self.core.keep_graph();
        }
        let writer = self.writer.lock().expect("no panic while held").take();
        self.core.queue.stop();
        if let Some(writer) = writer {
            let joined = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the node's writer did not end well");
            }
        }
        self.core.waits.stop();
    }
}

impl Drop for EmbeddedNode {
    fn drop(&mut self) {
        self.core.queue.stop();
        if !self.core.tasks.is_closed() {
            self.core.drop_everything();
        }
        self.core.waits.stop();
    }
}
