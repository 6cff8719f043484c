//! LDK's types with ours in their many places. Nothing is decided here.

use std::sync::{Arc, RwLock};

use lightning::chain::Filter;
use lightning::chain::chainmonitor::ChainMonitor;
use lightning::events::bump_transaction::sync::{BumpTransactionEventHandlerSync, WalletSync};
use lightning::ln::channelmanager::ChannelManager;
use lightning::ln::msgs::RoutingMessageHandler;
use lightning::ln::peer_handler::{IgnoringMessageHandler, PeerManager};
use lightning::onion_message::messenger::DefaultMessageRouter;
use lightning::routing::gossip::{NetworkGraph, P2PGossipSync};
use lightning::routing::router::DefaultRouter;
use lightning::routing::scoring::{ProbabilisticScorer, ProbabilisticScoringFeeParameters};
use lightning::routing::utxo::UtxoLookup;
use lightning::sign::{InMemorySigner, KeysManager};
use lightning::util::sweep::OutputSweeperSync;
use lightning_liquidity::LiquidityManagerSync;
use lightning_liquidity::utils::time::DefaultTimeProvider;
use lightning_net_tokio::SocketDescriptor;

use crate::broadcast::{Broadcaster, Feerates};
use crate::kv::Kv;
use crate::log::Log;
use crate::onchain::Wallet;
use crate::persist::Queue;

type MaybeFilter = Arc<dyn Filter + Send + Sync>;
type NoLookup = Arc<dyn UtxoLookup + Send + Sync>;
type Nothing = Arc<IgnoringMessageHandler>;

pub(crate) type Monitors = ChainMonitor<
    InMemorySigner,
    MaybeFilter,
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
/// What peers say about channels of others: heard, or not.
pub(crate) type Hearsay = Arc<dyn RoutingMessageHandler + Send + Sync>;
pub(crate) type Peers = PeerManager<
    SocketDescriptor,
    Arc<Manager>,
    Hearsay,
    Nothing,
    Arc<Log>,
    Arc<LiquidityManager>,
    Arc<KeysManager>,
    Arc<Monitors>,
>;
pub(crate) type LiquidityManager = LiquidityManagerSync<
    Arc<KeysManager>,
    Arc<KeysManager>,
    Arc<Manager>,
    MaybeFilter,
    Arc<Kv>,
    DefaultTimeProvider,
    Arc<Broadcaster>,
>;
pub(crate) type Sweeper = OutputSweeperSync<
    Arc<Broadcaster>,
    Arc<Wallet>,
    Arc<Feerates>,
    MaybeFilter,
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
