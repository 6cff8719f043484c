//! What a node's folder holds, read back.

use std::sync::Arc;

use bitcoin::BlockHash;
use l402::Network;
use lightning::chain::BestBlock;
use lightning::chain::channelmonitor::{ChannelMonitor, ChannelMonitorUpdate};
use lightning::routing::scoring::ProbabilisticScoringDecayParameters;
use lightning::sign::InMemorySigner;
use lightning::util::persist::{
    KVStoreSync, OUTPUT_SWEEPER_PERSISTENCE_KEY, OUTPUT_SWEEPER_PERSISTENCE_PRIMARY_NAMESPACE,
    OUTPUT_SWEEPER_PERSISTENCE_SECONDARY_NAMESPACE,
};
use lightning::util::ser::{Readable, ReadableArgs};

use super::OpenNodeError;
use super::open::{Ground, Read};
use super::recover::Recovery;
use crate::backup::{BORN, NETWORK, RESTORED, SEED, is_looking, number};
use crate::chain::Follow;
use crate::kv::Kv;
use crate::store::{Kept, Store};
use crate::types::{Graph, Scorer, Sweeper};

impl Ground {
    pub(super) fn read_monitors(&self) -> Result<Vec<Read>, OpenNodeError> {
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

    /// What was known about channels of others. What cannot be read is learnt again.
    pub(super) fn graph(&self) -> Result<Graph, OpenNodeError> {
        let kept = self.store.get(["node", "", "graph"])?;
        let read = kept.map(|body| Graph::read(&mut &body[..], Arc::clone(&self.log)));
        Ok(match read {
            Some(Ok(graph)) => graph,
            Some(Err(_)) | None => Graph::new(self.network, Arc::clone(&self.log)),
        })
    }

    /// What payments had taught about them.
    pub(super) fn scorer(&self, graph: &Arc<Graph>) -> Result<Scorer, OpenNodeError> {
        let decay = ProbabilisticScoringDecayParameters::default();
        let parts = || (decay, Arc::clone(graph), Arc::clone(&self.log));
        let kept = self.store.get(["node", "", "scores"])?;
        let read = kept.map(|body| Scorer::read(&mut &body[..], parts()));
        Ok(match read {
            Some(Ok(scorer)) => scorer,
            Some(Err(_)) | None => Scorer::new(decay, Arc::clone(graph), Arc::clone(&self.log)),
        })
    }

    pub(super) fn sweeper(&self, tip: BestBlock) -> Result<Sweeper, OpenNodeError> {
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
                Ok(Sweeper::new(tip, broadcaster, fees, self.filter(), keys, wallet, kv, log))
            }
            Err(_) => Err(OpenNodeError::Damaged { what: "the sweeper's state" }),
            Ok(body) => {
                let args = (broadcaster, fees, self.filter(), keys, wallet, kv, log);
                let read = <(BestBlock, Sweeper)>::read(&mut &body[..], args);
                read.map(|(_, sweeper)| sweeper)
                    .map_err(|_| OpenNodeError::Damaged { what: "the sweeper's state" })
            }
        }
    }
}

/// The node's thirty-two secret bytes: made once, and on the disk before anything is derived.
pub(super) fn seed(store: &Store) -> Result<[u8; 32], OpenNodeError> {
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

/// A folder belongs to one network for ever.
pub(super) fn remember_network(store: &Store, network: Network) -> Result<(), OpenNodeError> {
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

impl Ground {
    /// Whether the node was made from its words, and still looks for what was its before.
    pub(super) fn is_restored(&self) -> Result<bool, OpenNodeError> {
        Ok(is_looking(self.store.get(RESTORED)?))
    }

    /// What a node that was made from its words looks for.
    pub(super) fn recovery(&self) -> Result<Recovery, OpenNodeError> {
        let is_restored = self.is_restored()?;
        Ok(if is_restored { Recovery::of(&self.keys, self.network) } else { Recovery::default() })
    }

    /// The block at which the on-chain wallet begins: where the node was new.
    pub(super) async fn first_block(&self, tip: BestBlock) -> Result<BestBlock, OpenNodeError> {
        let Some(born) = self.store.get(BORN)? else {
            self.store.put(BORN, &tip.height.to_be_bytes())?;
            return Ok(tip);
        };
        let born = number(Some(born)).min(tip.height);
        match self.chain.follow() {
            Follow::Blocks(blocks) if self.is_restored()? => {
                Ok(BestBlock::new(blocks.hash_at(born).await?, born))
            }
            _ => Ok(tip),
        }
    }
}
