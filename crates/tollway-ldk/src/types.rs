//! LDK's types with ours in their many places. Nothing is decided here.

use std::sync::{Arc, RwLock};

use lightning::chain::Filter;
use lightning::chain::chainmonitor::ChainMonitor;
use lightning::events::bump_transaction::sync::{BumpTransactionEventHandlerSync, WalletSync};
use lightning::ln::channelmanager::ChannelManager;
use lightning::ln::peer_handler::{IgnoringMessageHandler, PeerManager};
use lightning::onion_message::messenger::DefaultMessageRouter;
use lightning::routing::gossip::{NetworkGraph, P2PGossipSync};
use lightning::routing::router::DefaultRouter;
use lightning::routing::scoring::{ProbabilisticScorer, ProbabilisticScoringFeeParameters};
use lightning::routing::utxo::UtxoLookup;
use lightning::sign::{InMemorySigner, KeysManager};
use lightning::util::sweep::OutputSweeperSync;
use lightning_net_tokio::SocketDescriptor;

use crate::broadcast::{Broadcaster, Feerates};
use crate::kv::Kv;
use crate::log::Log;
use crate::onchain::Wallet;
use crate::persist::Queue;

type NoFilter = Arc<dyn Filter + Send + Sync>;
type NoLookup = Arc<dyn UtxoLookup + Send + Sync>;
type Nothing = Arc<IgnoringMessageHandler>;

pub(crate) type Monitors = ChainMonitor<
    InMemorySigner,
    NoFilter,
    Arc<Broadcaster>,
    Arc<Feerates>,
    Arc<Log>,
    Arc<Queue>,
    Arc<KeysManager>,
>;
pub(crate) type Graph = NetworkGraph<Arc<Log>>;
pub(crate) type Scorer = ProbabilisticScorer<Arc<Graph>, Arc<Log>>;
pub(crate) type Router = DefaultRouter<
    Arc<Graph>,
    Arc<Log>,
    Arc<KeysManager>,
    Arc<RwLock<Scorer>>,
    ProbabilisticScoringFeeParameters,
    Scorer,
>;
type MessageRouter = DefaultMessageRouter<Arc<Graph>, Arc<Log>, Arc<KeysManager>>;
pub(crate) type Manager = ChannelManager<
    Arc<Monitors>,
    Arc<Broadcaster>,
    Arc<KeysManager>,
    Arc<KeysManager>,
    Arc<KeysManager>,
    Arc<Feerates>,
    Arc<Router>,
    Arc<MessageRouter>,
    Arc<Log>,
>;
pub(crate) type Gossip = P2PGossipSync<Arc<Graph>, NoLookup, Arc<Log>>;
pub(crate) type Peers = PeerManager<
    SocketDescriptor,
    Arc<Manager>,
    Arc<Gossip>,
    Nothing,
    Arc<Log>,
    Nothing,
    Arc<KeysManager>,
    Arc<Monitors>,
>;
pub(crate) type Sweeper = OutputSweeperSync<
    Arc<Broadcaster>,
    Arc<Wallet>,
    Arc<Feerates>,
    NoFilter,
    Arc<Kv>,
    Arc<Log>,
    Arc<KeysManager>,
>;
pub(crate) type Bumper = BumpTransactionEventHandlerSync<
    Arc<Broadcaster>,
    Arc<WalletSync<Arc<Wallet>, Arc<Log>>>,
    Arc<KeysManager>,
    Arc<Log>,
>;
