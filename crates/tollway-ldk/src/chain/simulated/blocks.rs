//! Every block the chain has ever had, and which of them are the best chain. Knows headers, work and
//! places; what a transaction may spend is for others to say.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::block::Header;
use bitcoin::constants::genesis_block;
use bitcoin::{Block, BlockHash, Network, Txid, Work};

use crate::chain::Tip;

/// The tree of blocks, and the branch of it that counts.
#[derive(Debug)]
pub(super) struct Blocks {
    known: HashMap<BlockHash, Known>,
    best: Vec<BlockHash>,
    mined: HashMap<Txid, Place>,
}

/// A block and where it stands in the tree.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) block: Arc<Block>,
    pub(super) height: u32,
    /// Of this block and all before it.
    pub(super) work: Work,
}

/// Where the best chain holds a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) height: u32,
    pub(super) index: usize,
}

/// A block that cannot be part of any chain. Ours never are; one in a damaged file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadBlock {
    /// Its parent is not known.
    #[error("its parent block is missing")]
    NoParent,
    /// Its hash does not meet its target, or the target is not this network's.
    #[error("its proof of work does not hold")]
    Work,
    /// Header and transactions do not belong together.
    #[error("its merkle root or witness commitment does not match its transactions")]
    Commitment,
    /// It spends what is not there.
    #[error("it spends an output that does not exist or is spent already")]
    Spends,
}

impl Blocks {
    /// The genesis block alone.
    pub(super) fn new() -> Self {
        let block = genesis_block(Network::Regtest);
        let hash = block.block_hash();
        let work = block.header.work();
        let known = Known { block: Arc::new(block), height: 0, work };
        Self { known: HashMap::from([(hash, known)]), best: vec![hash], mined: HashMap::new() }
    }

    /// The newest block of the best chain.
    pub(super) fn tip(&self) -> Tip {
        let hash = *self.best.last().expect("the genesis block is never removed");
        Tip { hash, height: self.height() }
    }

    pub(super) fn height(&self) -> u32 {
        u32::try_from(self.best.len() - 1).expect("fewer blocks than 2^32 fit in memory")
    }

    /// How many blocks there are, stale ones included.
    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    pub(super) fn get(&self, hash: &BlockHash) -> Option<&Known> {
        self.known.get(hash)
    }

    pub(super) fn hash_at(&self, height: u32) -> Option<BlockHash> {
        self.best.get(height as usize).copied()
    }

    /// The block at a height that the best chain has.
    pub(super) fn best_at(&self, height: u32) -> Option<&Known> {
        self.known.get(self.best.get(height as usize)?)
    }

    pub(super) fn is_best(&self, hash: &BlockHash) -> bool {
        self.get(hash).is_some_and(|known| self.hash_at(known.height) == Some(*hash))
    }

    pub(super) fn place_of(&self, txid: &Txid) -> Option<Place> {
        self.mined.get(txid).copied()
    }

    /// The median time of a block and the ten before it (BIP 113): what time locks are held to.
    pub(super) fn median_time(&self, hash: &BlockHash) -> u32 {
        let mut times: Vec<u32> = self.ancestors(hash).take(11).map(|header| header.time).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    /// [`Self::median_time`] at a height of the best chain, or at its tip when that is lower.
    pub(super) fn median_time_at(&self, height: u32) -> u32 {
        let hash = self.hash_at(height).unwrap_or(self.tip().hash);
        self.median_time(&hash)
    }

    fn ancestors(&self, hash: &BlockHash) -> impl Iterator<Item = &Header> {
        let mut next = self.get(hash);
        std::iter::from_fn(move || {
            let header = &next?.block.header;
            next = self.get(&header.prev_blockhash);
            Some(header)
        })
    }

    /// Puts a block into the tree, beside the best chain until [`Self::extend`] says otherwise.
    pub(super) fn add(&mut self, block: Block) -> Result<Known, BadBlock> {
        let parent = self.get(&block.header.prev_blockhash).ok_or(BadBlock::NoParent)?;
        if block.header.bits != parent.block.header.bits
            || block.header.validate_pow(block.header.target()).is_err()
        {
            return Err(BadBlock::Work);
        }
        if !block.check_merkle_root() || !block.check_witness_commitment() {
            return Err(BadBlock::Commitment);
        }
        let work = parent.work + block.header.work();
        let known = Known { height: parent.height + 1, work, block: Arc::new(block) };
        self.known.insert(known.block.block_hash(), known.clone());
        Ok(known)
    }

    /// Whether a chain ending in this block has more work than the best one.
    pub(super) fn is_better(&self, block: &Known) -> bool {
        self.get(&self.tip().hash).is_none_or(|tip| block.work > tip.work)
    }

    /// The blocks from where the best chain and the one ending in `hash` part, oldest first.
    pub(super) fn branch(&self, hash: BlockHash) -> Vec<Known> {
        let mut branch = Vec::new();
        let mut next = hash;
        while !self.is_best(&next) {
            let known = self.get(&next).expect("a known block's ancestors are known");
            next = known.block.header.prev_blockhash;
            branch.push(known.clone());
        }
        branch.reverse();
        branch
    }

    /// Makes a child of the tip the new tip.
    pub(super) fn extend(&mut self, block: &Known) {
        debug_assert_eq!(block.block.header.prev_blockhash, self.tip().hash);
        self.best.push(block.block.block_hash());
        for (index, tx) in block.block.txdata.iter().enumerate() {
            self.mined.insert(tx.compute_txid(), Place { height: block.height, index });
        }
    }

    /// Takes the tip off the best chain; it stays in the tree. `None` at the genesis block.
    pub(super) fn retract(&mut self) -> Option<Known> {
        if self.best.len() == 1 {
            return None;
        }
        let known = self.known.get(&self.best.pop()?)?.clone();
        for tx in &known.block.txdata {
            self.mined.remove(&tx.compute_txid());
        }
        Some(known)
    }
}
