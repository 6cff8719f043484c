//! Putting a node together from its folder and the chain, in the one order that works: monitors,
//! manager, each brought to the tip, then the network.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::constants::genesis_block;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::PublicKey;
use bitcoin::{BlockHash, Transaction};
use l402::Network;
use lightning::chain::channelmonitor::ChannelMonitor;
use lightning::chain::{BestBlock, ChannelMonitorUpdateStatus, Filter, Listen};
use lightning::events::bump_transaction::sync::WalletSync;
use lightning::ln::channelmanager::{ChainParameters, ChannelManagerReadArgs};
use lightning::ln::peer_handler::{IgnoringMessageHandler, MessageHandler};
use lightning::onion_message::messenger::DefaultMessageRouter;
use lightning::routing::scoring::ProbabilisticScoringFeeParameters;
use lightning::sign::{EntropySource, InMemorySigner, KeysManager, NodeSigner, Recipient};
use lightning::util::ser::ReadableArgs;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::Core;
use super::follow::{ask, parts};
use super::health::Health;
use super::hints::Hints;
use super::kept::{remember_network, seed};
use super::liquidity::{self, Liquidity};
use super::openings::Openings;
use super::pace::Pace;
use super::recover::{Looking, Recovery};
use super::terms::{bitcoin_network, user_config};
use super::waits::Waits;
use super::{Config, Lsp, OpenNodeError};
use crate::broadcast::{Broadcaster, Feerates};
use crate::chain::{Blocks, ChainError, ChainSource, Follow, Transactions};
use crate::kv::Kv;
use crate::log::Log;
use crate::onchain::Wallet;
use crate::payments::Payments;
use crate::persist::Queue;
use crate::store::Store;
use crate::sync::catch_up;
use crate::types::{
    Gossip, Graph, Hearsay, LiquidityManager, Manager, Monitors, Peers, Router, Scorer, Sweeper,
};

/// A monitor with what it needs to listen to the chain by itself.
pub(super) type Monitor =
    (ChannelMonitor<InMemorySigner>, Arc<Broadcaster>, Arc<Feerates>, Arc<Log>);

/// A monitor from the disk, not yet watched, and the block it has seen.
pub(super) struct Read {
    pub(super) monitor: Monitor,
    pub(super) at: BestBlock,
}

/// A node ready to run, the block it has seen, and the transactions it wants sent.
pub(super) struct Opened {
    pub(super) core: Core,
    pub(super) at: BestBlock,
    pub(super) unsent: mpsc::UnboundedReceiver<Vec<Transaction>>,
}

/// What LDK's parts are made with.
pub(super) struct Ground {
    pub(super) chain: Arc<dyn ChainSource>,
    /// For a source that is asked about what is ours.
    pub(super) transactions: Option<Arc<dyn Transactions>>,
    pub(super) store: Arc<Store>,
    pub(super) queue: Arc<Queue>,
    pub(super) keys: Arc<KeysManager>,
    pub(super) log: Arc<Log>,
    pub(super) feerates: Arc<Feerates>,
    pub(super) broadcaster: Arc<Broadcaster>,
    pub(super) wallet: Arc<Wallet>,
    pub(super) network: bitcoin::Network,
    pub(super) now: u32,
}

pub(super) async fn open(config: &Config) -> Result<Opened, OpenNodeError> {
    let network = bitcoin_network(config.network);
    let store = Arc::new(Store::open(&config.folder)?);
    remember_network(&store, config.network)?;
    let seed = seed(&store)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let keys = KeysManager::new(&seed, now.as_secs(), now.subsec_nanos(), true);
    let wallet = Arc::new(Wallet::open(&seed, network, Arc::clone(&store))?);
    let (broadcaster, unsent) = Broadcaster::new(&wallet);
    let ground = Ground {
        chain: Arc::clone(&config.chain),
        transactions: match config.chain.follow() {
            Follow::Blocks(_) => None,
            Follow::Transactions(transactions) => Some(transactions.into()),
        },
        queue: Arc::new(Queue::default()),
        keys: Arc::new(keys),
        log: Arc::new(Log),
        feerates: Arc::new(Feerates::new()),
        broadcaster: Arc::new(broadcaster),
        wallet,
        network,
        now: u32::try_from(now.as_secs()).unwrap_or(u32::MAX),
        store,
    };
    check_network(&*ground.chain, config.network).await?;
    ground.feerates.refresh(&*ground.chain).await?;
    let (core, at) = ground.build(config).await?;
    core.agree_on_payments()?;
    Ok(Opened { core, at, unsent })
}

impl Ground {
    async fn build(self, config: &Config) -> Result<(Core, BestBlock), OpenNodeError> {
        let tip = self.chain.tip().await?;
        let tip = BestBlock::new(tip.hash, tip.height);
        let monitors = Arc::new(Monitors::new(
            self.filter(),
            Arc::clone(&self.broadcaster),
            Arc::clone(&self.log),
            Arc::clone(&self.feerates),
            Arc::clone(&self.queue),
            Arc::clone(&self.keys),
            self.keys.get_peer_storage_key(),
        ));
        let graph = Arc::new(self.graph()?);
        let scorer = Arc::new(RwLock::new(self.scorer(&graph)?));
        let mut read = self.read_monitors()?;
        let manager = Arc::new(self.manager(tip, &monitors, (&graph, &scorer), &read, config)?);
        let sweeper = Arc::new(self.sweeper(tip)?);
        let recovery = self.recovery()?;
        let restored = self.is_restored()?;
        match (&self.transactions, restored) {
            // It asks about its addresses instead, whatever block they are in.
            (Some(_), true) => self.wallet.find(),
            _ => self.wallet.start_at(self.first_block(tip).await?)?,
        }
        let at = match (&self.transactions, self.chain.follow()) {
            (None, Follow::Blocks(blocks)) => {
                let at =
                    self.catch_all_up(blocks, &mut read, &manager, &sweeper, &recovery).await?;
                load_all(&monitors, read)?;
                at
            }
            (Some(transactions), _) => {
                load_all(&monitors, read)?;
                let parts = parts(&monitors, &manager, &sweeper);
                ask(&**transactions, parts, &self.wallet).await?;
                tip
            }
            (None, Follow::Transactions(_)) => unreachable!("a source is followed in one way"),
        };
        self.broadcaster.send_again(self.wallet.waiting());
        let liquidity = self.liquidity(config, &manager)?;
        let hearsay: Hearsay = match &config.digest {
            Some(_) => Arc::new(IgnoringMessageHandler {}),
            None => Arc::new(Gossip::new(Arc::clone(&graph), None, Arc::clone(&self.log))),
        };
        let peers = self.peers(&manager, &monitors, hearsay, &liquidity);
        let lsp = config.lsp.as_ref().map(provider).transpose()?;
        let id = self.node_id()?;
        let wallet = WalletSync::new(Arc::clone(&self.wallet), Arc::clone(&self.log));
        let bumper = crate::types::Bumper::new(
            Arc::clone(&self.broadcaster),
            Arc::new(wallet),
            Arc::clone(&self.keys),
            Arc::clone(&self.log),
        );
        let core = Core {
            network: config.network,
            id,
            keys: self.keys,
            manager,
            monitors,
            peers,
            wallet: self.wallet,
            sweeper,
            bumper,
            chain: self.chain,
            transactions: self.transactions,
            feerates: self.feerates,
            broadcaster: self.broadcaster,
            payments: Payments::new(Arc::clone(&self.store), Arc::clone(&self.queue)),
            store: self.store,
            queue: self.queue,
            waits: Waits::new(),
            hints: Hints::default(),
            openings: Openings::default(),
            health: Health::default(),
            recovery,
            graph,
            scorer,
            public: config.public.clone(),
            liquidity: Liquidity::new(liquidity, lsp, config.lsp_offer),
            changed: Notify::new(),
            pace: Pace::new(),
            runtime: Handle::current(),
            tasks: TaskTracker::new(),
            stopped: CancellationToken::new(),
            moment: Mutex::new(()),
            failed: AtomicBool::new(false),
        };
        Ok((core, at))
    }

    /// Brings every part from where it was to one and the same block.
    async fn catch_all_up(
        &self,
        blocks: &dyn Blocks,
        monitors: &mut [Read],
        manager: &Manager,
        sweeper: &Sweeper,
        recovery: &Recovery,
    ) -> Result<BestBlock, ChainError> {
        let wallet = Looking { wallet: &self.wallet, recovery };
        let mut heads =
            [manager.current_best_block(), sweeper.current_best_block(), self.wallet.best_block()];
        loop {
            let parts: [&(dyn Listen + Send + Sync); 3] = [manager, sweeper, &wallet];
            for read in &mut *monitors {
                catch_up(blocks, &mut read.at, &read.monitor).await?;
            }
            for (at, part) in heads.iter_mut().zip(parts) {
                catch_up(blocks, at, part).await?;
            }
            let tip = heads[0];
            let all = monitors.iter().map(|read| read.at).chain(heads);
            // A block may have come in between.
            if all.into_iter().all(|at| at.block_hash == tip.block_hash) {
                return Ok(tip);
            }
        }
    }

    pub(super) fn filter(&self) -> Option<Arc<dyn Filter + Send + Sync>> {
        self.transactions.as_ref().map(|transactions| transactions.filter())
    }

    fn manager(
        &self,
        tip: BestBlock,
        monitors: &Arc<Monitors>,
        (graph, scorer): (&Arc<Graph>, &Arc<RwLock<Scorer>>),
        read: &[Read],
        config: &Config,
    ) -> Result<Manager, OpenNodeError> {
        let log = || Arc::clone(&self.log);
        let keys = || Arc::clone(&self.keys);
        let parameters = ProbabilisticScoringFeeParameters::default();
        let scorer = Arc::clone(scorer);
        let router = Router::new(Arc::clone(graph), log(), keys(), scorer, parameters);
        let messages = Arc::new(DefaultMessageRouter::new(Arc::clone(graph), keys()));
        let Some(body) = self.store.get(["node", "", "manager"])? else {
            return Ok(Manager::new(
                Arc::clone(&self.feerates),
                Arc::clone(monitors),
                Arc::clone(&self.broadcaster),
                Arc::new(router),
                messages,
                log(),
                keys(),
                keys(),
                keys(),
                user_config(config),
                ChainParameters { network: self.network, best_block: tip },
                self.now,
            ));
        };
        let args = ChannelManagerReadArgs::new(
            keys(),
            keys(),
            keys(),
            Arc::clone(&self.feerates),
            Arc::clone(monitors),
            Arc::clone(&self.broadcaster),
            Arc::new(router),
            messages,
            log(),
            user_config(config),
            read.iter().map(|read| &read.monitor.0).collect(),
        );
        match <(BlockHash, Manager)>::read(&mut &body[..], args) {
            Ok((_, manager)) => Ok(manager),
            Err(error) => {
                tracing::error!(?error, "the channel manager cannot be read");
                Err(OpenNodeError::Damaged { what: "the channel manager" })
            }
        }
    }

    fn peers(
        &self,
        manager: &Arc<Manager>,
        monitors: &Arc<Monitors>,
        hearsay: Hearsay,
        liquidity: &Arc<LiquidityManager>,
    ) -> Arc<Peers> {
        let nothing = || Arc::new(IgnoringMessageHandler {});
        let handler = MessageHandler {
            chan_handler: Arc::clone(manager),
            route_handler: hearsay,
            onion_message_handler: nothing(),
            custom_message_handler: Arc::clone(liquidity),
            send_only_message_handler: Arc::clone(monitors),
        };
        let random = self.keys.get_secure_random_bytes();
        let (log, keys) = (Arc::clone(&self.log), Arc::clone(&self.keys));
        Arc::new(Peers::new(handler, self.now, &random, log, keys))
    }

    fn liquidity(
        &self,
        config: &Config,
        manager: &Arc<Manager>,
    ) -> Result<Arc<LiquidityManager>, OpenNodeError> {
        // What was promised stands after a restart.
        let secret = sha256::Hash::hash(&self.keys.get_peer_storage_key().inner).to_byte_array();
        let service = config.lsp_offer.map(|_| liquidity::service_config(secret));
        let client = config.lsp.as_ref().map(|_| liquidity::client_config());
        let made = LiquidityManager::new(
            Arc::clone(&self.keys),
            Arc::clone(&self.keys),
            Arc::clone(manager),
            None,
            None,
            Arc::new(Kv(Arc::clone(&self.store))),
            Arc::clone(&self.broadcaster),
            service,
            client,
        );
        let damaged = OpenNodeError::Damaged { what: "what was agreed with customers" };
        Ok(Arc::new(made.map_err(|_| damaged)?))
    }

    fn node_id(&self) -> Result<PublicKey, OpenNodeError> {
        let id = self.keys.get_node_id(Recipient::Node);
        id.map_err(|()| OpenNodeError::Damaged { what: "the seed" })
    }
}

fn provider(lsp: &Lsp) -> Result<(PublicKey, Lsp), OpenNodeError> {
    let id = PublicKey::from_slice(&lsp.id.0).map_err(|_| OpenNodeError::Lsp(lsp.id))?;
    Ok((id, lsp.clone()))
}

/// Watches all channels again.
fn load_all(monitors: &Monitors, read: Vec<Read>) -> Result<(), OpenNodeError> {
    read.into_iter().try_for_each(|Read { monitor: (monitor, ..), .. }| load(monitors, monitor))
}

/// Watches a channel again.
fn load(monitors: &Monitors, monitor: ChannelMonitor<InMemorySigner>) -> Result<(), OpenNodeError> {
    let damaged = OpenNodeError::Damaged { what: "a channel's monitor" };
    let (channel, update) = (monitor.channel_id(), monitor.get_latest_update_id());
    match monitors.load_existing_monitor(channel, monitor) {
        Ok(ChannelMonitorUpdateStatus::Completed) => {}
        _ => return Err(damaged),
    }
    // A manager that was written in the same moment as a new monitor waits for that monitor, and
    // `lightning` 0.2 resumes a channel by itself only when it waits for an update of one. Without
    // this word, such a channel would never become ready.
    if update == 0 {
        monitors.channel_monitor_updated(channel, update).map_err(|_| damaged)?;
    }
    Ok(())
}

/// A source that tells of another network would have every channel taken for unfunded.
async fn check_network(chain: &dyn ChainSource, network: Network) -> Result<(), OpenNodeError> {
    let ours = genesis_block(bitcoin_network(network)).block_hash();
    match chain.genesis().await? == ours {
        true => Ok(()),
        false => Err(OpenNodeError::OtherChain { asked: network }),
    }
}
