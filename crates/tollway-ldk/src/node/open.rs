//! Putting a node together from its folder and the chain, in the one order that works: monitors,
//! manager, each brought to the tip, then the network.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::secp256k1::PublicKey;
use bitcoin::{BlockHash, Transaction};
use l402::Network;
use lightning::chain::channelmonitor::{ChannelMonitor, ChannelMonitorUpdate};
use lightning::chain::{BestBlock, ChannelMonitorUpdateStatus, Listen};
use lightning::events::bump_transaction::sync::WalletSync;
use lightning::ln::channelmanager::{ChainParameters, ChannelManagerReadArgs};
use lightning::ln::peer_handler::{IgnoringMessageHandler, MessageHandler};
use lightning::onion_message::messenger::DefaultMessageRouter;
use lightning::routing::scoring::{
    ProbabilisticScorer, ProbabilisticScoringDecayParameters, ProbabilisticScoringFeeParameters,
};
use lightning::sign::{EntropySource, InMemorySigner, KeysManager, NodeSigner, Recipient};
use lightning::util::config::{MaxDustHTLCExposure, UserConfig};
use lightning::util::persist::{
    KVStoreSync, OUTPUT_SWEEPER_PERSISTENCE_KEY, OUTPUT_SWEEPER_PERSISTENCE_PRIMARY_NAMESPACE,
    OUTPUT_SWEEPER_PERSISTENCE_SECONDARY_NAMESPACE,
};
use lightning::util::ser::{Readable, ReadableArgs};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::core::Core;
use super::health::Health;
use super::hints::Hints;
use super::openings::Openings;
use super::pace::Pace;
use super::waits::Waits;
use super::{Config, OpenNodeError};
use crate::broadcast::{Broadcaster, Feerates};
use crate::chain::{ChainError, ChainSource};
use crate::kv::Kv;
use crate::log::Log;
use crate::onchain::Wallet;
use crate::payments::Payments;
use crate::persist::Queue;
use crate::store::{Kept, Store};
use crate::sync::catch_up;
use crate::types::{Gossip, Graph, Manager, Monitors, Peers, Router, Sweeper};

/// A monitor with what it needs to listen to the chain by itself.
type Monitor = (ChannelMonitor<InMemorySigner>, Arc<Broadcaster>, Arc<Feerates>, Arc<Log>);

/// A monitor from the disk, not yet watched, and the block it has seen.
struct Read {
    monitor: Monitor,
    at: BestBlock,
}

/// What a settled payment of others may leave unclaimable in a channel, if it closes at the worst
/// moment: payments for an API call are below the dust limit, and a channel must carry many.
const MOST_DUST_MSAT: u64 = 25_000_000;

/// A node ready to run, the block it has seen, and the transactions it wants sent.
pub(super) struct Opened {
    pub(super) core: Core,
    pub(super) at: BestBlock,
    pub(super) unsent: mpsc::UnboundedReceiver<Vec<Transaction>>,
}

/// What LDK's parts are made with.
struct Ground {
    chain: Arc<dyn ChainSource>,
    store: Arc<Store>,
    queue: Arc<Queue>,
    keys: Arc<KeysManager>,
    log: Arc<Log>,
    feerates: Arc<Feerates>,
    broadcaster: Arc<Broadcaster>,
    wallet: Arc<Wallet>,
    network: bitcoin::Network,
    now: u32,
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
    ground.feerates.refresh(&*ground.chain).await?;
    let (core, at) = ground.build(config.network).await?;
    core.agree_on_payments()?;
    Ok(Opened { core, at, unsent })
}

impl Ground {
    async fn build(self, network: Network) -> Result<(Core, BestBlock), OpenNodeError> {
        let tip = self.chain.tip().await?;
        let tip = BestBlock::new(tip.hash, tip.height);
        let monitors = Arc::new(Monitors::new(
            None,
            Arc::clone(&self.broadcaster),
            Arc::clone(&self.log),
            Arc::clone(&self.feerates),
            Arc::clone(&self.queue),
            Arc::clone(&self.keys),
            self.keys.get_peer_storage_key(),
        ));
        let graph = Arc::new(Graph::new(self.network, Arc::clone(&self.log)));
        let mut read = self.read_monitors()?;
        let manager = Arc::new(self.manager(tip, &monitors, &graph, &read)?);
        let sweeper = Arc::new(self.sweeper(tip)?);
        self.wallet.start_at(tip)?;
        let at = self.catch_all_up(&mut read, &manager, &sweeper).await?;
        self.broadcaster.send_again(self.wallet.waiting());
        for Read { monitor: (monitor, ..), .. } in read {
            load(&monitors, monitor)?;
        }
        let peers = self.peers(&manager, &monitors, graph);
        let id = self.node_id()?;
        let wallet = WalletSync::new(Arc::clone(&self.wallet), Arc::clone(&self.log));
        let bumper = crate::types::Bumper::new(
            Arc::clone(&self.broadcaster),
            Arc::new(wallet),
            Arc::clone(&self.keys),
            Arc::clone(&self.log),
        );
        let core = Core {
            network,
            id,
            keys: self.keys,
            manager,
            monitors,
            peers,
            wallet: self.wallet,
            sweeper,
            bumper,
            chain: self.chain,
            feerates: self.feerates,
            payments: Payments::new(Arc::clone(&self.store), Arc::clone(&self.queue)),
            store: self.store,
            queue: self.queue,
            waits: Waits::new(),
            hints: Hints::default(),
            openings: Openings::default(),
            health: Health::default(),
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
        monitors: &mut [Read],
        manager: &Manager,
        sweeper: &Sweeper,
    ) -> Result<BestBlock, ChainError> {
        let mut heads =
            [manager.current_best_block(), sweeper.current_best_block(), self.wallet.best_block()];
        loop {
            let parts: [&(dyn Listen + Send + Sync); 3] = [manager, sweeper, &*self.wallet];
            for read in &mut *monitors {
                catch_up(&*self.chain, &mut read.at, &read.monitor).await?;
            }
            for (at, part) in heads.iter_mut().zip(parts) {
                catch_up(&*self.chain, at, part).await?;
            }
            let tip = heads[0];
            let all = monitors.iter().map(|read| read.at).chain(heads);
            // A block may have come in between.
            if all.into_iter().all(|at| at.block_hash == tip.block_hash) {
                return Ok(tip);
            }
        }
    }

    fn read_monitors(&self) -> Result<Vec<Read>, OpenNodeError> {
        let damaged = OpenNodeError::Damaged { what: "a channel's monitor" };
        let mut all = Vec::new();
        for Kept { name, body, updates } in self.store.monitors()? {
            let args = (&*self.keys, &*self.keys);
            let read = <(BlockHash, ChannelMonitor<InMemorySigner>)>::read(&mut &body[..], args);
            let Ok((_, monitor)) = read else { return Err(damaged) };
            let since = updates.iter().map(Vec::len).sum();
            self.queue.loaded(&name, body.len(), since);
            for update in updates {
                let update = ChannelMonitorUpdate::read(&mut &update[..]);
                let Ok(update) = update else { return Err(damaged) };
                let (broadcaster, fees) = (&self.broadcaster, &self.feerates);
                if monitor.update_monitor(&update, broadcaster, fees, &self.log).is_err() {
                    return Err(damaged);
                }
            }
            let at = monitor.current_best_block();
            let (broadcaster, fees) = (Arc::clone(&self.broadcaster), Arc::clone(&self.feerates));
            all.push(Read { monitor: (monitor, broadcaster, fees, Arc::clone(&self.log)), at });
        }
        Ok(all)
    }

    fn manager(
        &self,
        tip: BestBlock,
        monitors: &Arc<Monitors>,
        graph: &Arc<Graph>,
        read: &[Read],
    ) -> Result<Manager, OpenNodeError> {
        let scoring = ProbabilisticScoringDecayParameters::default();
        let log = || Arc::clone(&self.log);
        let keys = || Arc::clone(&self.keys);
        let scorer = ProbabilisticScorer::new(scoring, Arc::clone(graph), log());
        let parameters = ProbabilisticScoringFeeParameters::default();
        let scorer = Arc::new(RwLock::new(scorer));
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
                user_config(),
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
            user_config(),
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

    fn sweeper(&self, tip: BestBlock) -> Result<Sweeper, OpenNodeError> {
        let kv = Arc::new(Kv(Arc::clone(&self.store)));
        let kept = kv.read(
            OUTPUT_SWEEPER_PERSISTENCE_PRIMARY_NAMESPACE,
            OUTPUT_SWEEPER_PERSISTENCE_SECONDARY_NAMESPACE,
            OUTPUT_SWEEPER_PERSISTENCE_KEY,
        );
        let (broadcaster, fees) = (Arc::clone(&self.broadcaster), Arc::clone(&self.feerates));
        let (keys, wallet) = (Arc::clone(&self.keys), Arc::clone(&self.wallet));
        let log = Arc::clone(&self.log);
        match kept {
            Err(error) if error.kind() == lightning::io::ErrorKind::NotFound => {
                Ok(Sweeper::new(tip, broadcaster, fees, None, keys, wallet, kv, log))
            }
            Err(_) => Err(OpenNodeError::Damaged { what: "the sweeper's state" }),
            Ok(body) => {
                let args = (broadcaster, fees, None, keys, wallet, kv, log);
                let read = <(BestBlock, Sweeper)>::read(&mut &body[..], args);
                read.map(|(_, sweeper)| sweeper)
                    .map_err(|_| OpenNodeError::Damaged { what: "the sweeper's state" })
            }
        }
    }

    fn peers(
        &self,
        manager: &Arc<Manager>,
        monitors: &Arc<Monitors>,
        graph: Arc<Graph>,
    ) -> Arc<Peers> {
        let nothing = || Arc::new(IgnoringMessageHandler {});
        let handler = MessageHandler {
            chan_handler: Arc::clone(manager),
            route_handler: Arc::new(Gossip::new(graph, None, Arc::clone(&self.log))),
            onion_message_handler: nothing(),
            custom_message_handler: nothing(),
            send_only_message_handler: Arc::clone(monitors),
        };
        let random = self.keys.get_secure_random_bytes();
        let (log, keys) = (Arc::clone(&self.log), Arc::clone(&self.keys));
        Arc::new(Peers::new(handler, self.now, &random, log, keys))
    }

    fn node_id(&self) -> Result<PublicKey, OpenNodeError> {
        let id = self.keys.get_node_id(Recipient::Node);
        id.map_err(|()| OpenNodeError::Damaged { what: "the seed" })
    }
}

/// The node's thirty-two secret bytes: made once, and on the disk before anything is derived.
fn seed(store: &Store) -> Result<[u8; 32], OpenNodeError> {
    const SEED: [&str; 3] = ["node", "", "seed"];
    match store.get(SEED)? {
        Some(kept) => kept.try_into().map_err(|_| OpenNodeError::Damaged { what: "the seed" }),
        None => {
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(OpenNodeError::Random)?;
            store.put(SEED, &seed)?;
            Ok(seed)
        }
    }
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

/// A folder belongs to one network for ever.
fn remember_network(store: &Store, network: Network) -> Result<(), OpenNodeError> {
    const NETWORK: [&str; 3] = ["node", "", "network"];
    match store.get(NETWORK)? {
        None => store.put(NETWORK, network.to_string().as_bytes())?,
        Some(kept) if kept == network.to_string().as_bytes() => {}
        Some(kept) => {
            let theirs = String::from_utf8_lossy(&kept).into_owned();
            return Err(OpenNodeError::OtherNetwork { theirs, asked: network });
        }
    }
    Ok(())
}

fn bitcoin_network(network: Network) -> bitcoin::Network {
    match network {
        Network::Mainnet => bitcoin::Network::Bitcoin,
        Network::Testnet => bitcoin::Network::Testnet,
        Network::Signet => bitcoin::Network::Signet,
        Network::Regtest => bitcoin::Network::Regtest,
    }
}

fn user_config() -> UserConfig {
    let mut config = UserConfig::default();
    let handshake = &mut config.channel_handshake_config;
    handshake.negotiate_anchors_zero_fee_htlc_tx = true;
    handshake.max_inbound_htlc_value_in_flight_percent_of_channel = 100;
    handshake.minimum_depth = 1;
    handshake.our_max_accepted_htlcs = 483;
    config.channel_handshake_limits.force_announced_channel_preference = false;
    config.channel_config.max_dust_htlc_exposure =
        MaxDustHTLCExposure::FixedLimitMsat(MOST_DUST_MSAT);
    config.accept_forwards_to_priv_channels = true;
    // Anchors need a reserve, which is looked at before a channel is taken.
    config.manually_accept_inbound_channels = true;
    config
}
