//! The whole state of the chain, and every way it changes: a transaction comes to wait, a block is
//! added, a better branch takes over. Each change is in the file before it is here.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use bitcoin::{Amount, Block, BlockHash, ScriptBuf, Transaction, Txid};

use super::blocks::{BadBlock, Blocks, Known};
use super::coins::Coins;
use super::file::{ChainFile, Entry, OpenChainError};
use super::mining::{self, Template};
use super::pool::{self, Pool};
use super::rules::{self, Refusal, View};

/// Room for transactions in a block, in weight units: the limit less a generous coinbase.
const BLOCK_WEIGHT: u64 = 3_990_000;

#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) blocks: Blocks,
    pub(super) coins: Coins,
    pub(super) pool: Pool,
    file: Option<ChainFile>,
}

/// What it would mean to take a transaction in.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) fee: Amount,
    replaced: BTreeSet<Txid>,
}

/// A reorganisation that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReorgError {
    /// A branch takes over only when it has more work.
    #[error("{new_blocks} new blocks cannot replace {depth}; ask for at least {}", .depth + 1)]
    NotLonger {
        /// Blocks to be left behind.
        depth: u32,
        /// Blocks to be mined instead.
        new_blocks: u32,
    },
    /// There are not that many blocks.
    #[error("the chain has only {height} blocks above the first one, not {depth}")]
    TooDeep {
        /// Blocks to be left behind.
        depth: u32,
        /// Blocks above the genesis block.
        height: u32,
    },
    /// The chain's file could not be written.
    #[error("the chain file could not be written")]
    File(#[from] io::Error),
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self { blocks: Blocks::new(), coins: Coins::default(), pool: Pool::default(), file: None }
    }

    /// The ledger that a file's records make.
    pub(super) fn open(path: &Path) -> Result<Self, OpenChainError> {
        let (file, records) = ChainFile::open(path)?;
        let mut ledger = Self::new();
        let mut waiting = Vec::new();
        for record in records {
            match record.entry {
                Entry::Block(block) => {
                    ledger.add(block).map_err(|source| OpenChainError::Damaged {
                        path: path.to_owned(),
                        offset: record.offset,
                        source: Some(source),
                    })?;
                }
                Entry::Transaction(tx) => waiting.push(tx),
            }
        }
        ledger.readmit(waiting);
        ledger.file = Some(file);
        Ok(ledger)
    }

    /// Whether a transaction would be taken, and at what price.
    pub(super) fn consider(&self, tx: &Transaction) -> Result<Admission, Refusal> {
        let admission = self.weigh(tx)?;
        rules::check_fee(admission.fee, tx.vsize())?;
        Ok(admission)
    }

    /// Everything but the relay minimum.
    fn weigh(&self, tx: &Transaction) -> Result<Admission, Refusal> {
        if self.blocks.place_of(&tx.compute_txid()).is_some() {
            return Err(Refusal::Mined);
        }
        let conflicts = self.pool.conflicts(tx);
        let replaced = self.pool.with_descendants(&conflicts);
        let view = View {
            blocks: &self.blocks,
            coins: &self.coins,
            pool: &self.pool,
            replaced: &replaced,
        };
        let fee = rules::check(tx, view)?;
        if !conflicts.is_empty() {
            rules::check_replacement(tx, fee, &conflicts, view)?;
        }
        Ok(Admission { fee, replaced })
    }

    /// Takes a transaction into the pool. One that is waiting already is fine.
    pub(super) fn accept(&mut self, tx: &Transaction) -> Result<Txid, Refusal> {
        let txid = tx.compute_txid();
        if self.pool.get(&txid).is_none() {
            let admission = self.consider(tx)?;
            self.admit(tx, &admission);
            self.keep(tx);
        }
        Ok(txid)
    }

    /// Takes transactions that together pay the relay minimum, parents first: all or none.
    pub(super) fn accept_package(&mut self, txs: &[Transaction]) -> Result<(), (Txid, Refusal)> {
        let before = self.pool.clone();
        let result = self.admit_package(txs);
        match &result {
            Ok(()) => txs.iter().for_each(|tx| self.keep(tx)),
            Err(_) => self.pool = before,
        }
        result
    }

    fn admit_package(&mut self, txs: &[Transaction]) -> Result<(), (Txid, Refusal)> {
        let (mut fees, mut vsize, mut last) = (Amount::ZERO, 0, None);
        for tx in txs {
            let txid = tx.compute_txid();
            if self.pool.get(&txid).is_some() || self.blocks.place_of(&txid).is_some() {
                continue;
            }
            let admission = self.weigh(tx).map_err(|refusal| (txid, refusal))?;
            self.admit(tx, &admission);
            fees += admission.fee;
            vsize += tx.vsize();
            last = Some(txid);
        }
        last.map_or(Ok(()), |txid| rules::check_fee(fees, vsize).map_err(|refusal| (txid, refusal)))
    }

    fn admit(&mut self, tx: &Transaction, admission: &Admission) {
        for txid in &admission.replaced {
            self.pool.remove(txid);
        }
        self.pool.insert(tx.clone(), admission.fee, self.blocks.height());
    }

    /// Puts back what waited before. What is mined by now, or holds no longer, is dropped.
    fn readmit(&mut self, txs: Vec<Transaction>) {
        for tx in txs {
            match self.weigh(&tx) {
                Ok(admission) => self.admit(&tx, &admission),
                Err(Refusal::Mined) => {}
                Err(refusal) => {
                    tracing::debug!(txid = %tx.compute_txid(), %refusal, "no longer waiting");
                }
            }
        }
    }

    /// Writes an accepted transaction to the file. A pool is no promise: if that fails, the
    /// transaction waits all the same, until the next start.
    fn keep(&mut self, tx: &Transaction) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.append_transaction(tx) {
            tracing::warn!(%error, "a waiting transaction was not kept");
        }
    }

    /// Mines that many blocks on the tip, with what waits in the first.
    pub(super) fn mine(&mut self, blocks: u32, pay_to: &ScriptBuf) -> io::Result<Vec<BlockHash>> {
        let mut hashes = Vec::new();
        for left in (0..blocks).rev() {
            let (transactions, fees) = self.choose();
            let parent = self.blocks.tip().hash;
            hashes.push(self.mine_on(parent, left, pay_to, transactions, fees)?);
        }
        Ok(hashes)
    }

    /// Leaves the newest `depth` blocks behind for `new_blocks` empty ones.
    pub(super) fn reorg(
        &mut self,
        depth: u32,
        new_blocks: u32,
        pay_to: &ScriptBuf,
    ) -> Result<Vec<BlockHash>, ReorgError> {
        if new_blocks <= depth {
            return Err(ReorgError::NotLonger { depth, new_blocks });
        }
        let height = self.blocks.height();
        let fork = height.checked_sub(depth).and_then(|height| self.blocks.hash_at(height));
        let mut parent = fork.ok_or(ReorgError::TooDeep { depth, height })?;
        let mut hashes = Vec::new();
        for left in (0..new_blocks).rev() {
            parent = self.mine_on(parent, left, pay_to, Vec::new(), Amount::ZERO)?;
            hashes.push(parent);
        }
        Ok(hashes)
    }

    /// The waiting transactions that fit into a block, in the order they came, and their fees.
    fn choose(&self) -> (Vec<Transaction>, Amount) {
        let mut weight = 0;
        let fits = self.pool.iter().map(|(_, waiting)| waiting).take_while(|waiting| {
            weight += waiting.tx.weight().to_wu();
            weight <= BLOCK_WEIGHT
        });
        let (txs, fees): (Vec<_>, Vec<_>) =
            fits.map(|waiting| (waiting.tx.clone(), waiting.fee)).unzip();
        (txs, fees.into_iter().sum())
    }

    /// Mines one block, writes it to the file and adds it. `left` more are to come on top of it:
    /// its time leaves room for theirs, so that many blocks at once do not run ahead of the clock.
    fn mine_on(
        &mut self,
        parent: BlockHash,
        left: u32,
        pay_to: &ScriptBuf,
        transactions: Vec<Transaction>,
        fees: Amount,
    ) -> io::Result<BlockHash> {
        let time = pool::now().saturating_sub(left).max(self.blocks.median_time(&parent) + 1);
        let block = mining::mine(Template {
            parent: self.blocks.get(&parent).expect("mined on known blocks only"),
            time,
            extra_nonce: self.blocks.count() as u64,
            pay_to,
            transactions,
            fees,
        });
        if let Some(file) = &mut self.file {
            file.append_block(&block)?;
        }
        let hash = block.block_hash();
        self.add(block).expect("a block made by the rules follows them");
        Ok(hash)
    }

    /// Adds a block to the tree, and follows it when its branch has the most work.
    fn add(&mut self, block: Block) -> Result<(), BadBlock> {
        let added = self.blocks.add(block)?;
        if !self.blocks.is_better(&added) {
            return Ok(());
        }
        let branch = self.blocks.branch(added.block.block_hash());
        let fork = branch[0].block.header.prev_blockhash;
        let stale = self.go_back_to(fork);
        for block in &branch {
            self.coins.connect(&block.block, block.height)?;
            self.blocks.extend(block);
            for tx in &block.block.txdata {
                self.pool.remove(&tx.compute_txid());
            }
        }
        if !stale.is_empty() {
            let mut returned: Vec<Transaction> = Vec::new();
            for block in stale.iter().rev() {
                returned.extend(block.block.txdata.iter().skip(1).cloned());
            }
            returned.extend(self.pool.drain());
            self.readmit(returned);
        }
        Ok(())
    }

    /// Takes blocks off the best chain, newest first, until `fork` is its tip.
    fn go_back_to(&mut self, fork: BlockHash) -> Vec<Known> {
        let mut stale = Vec::new();
        while self.blocks.tip().hash != fork {
            let block = self.blocks.retract().expect("the fork is on the best chain");
            self.coins.disconnect(&block.block);
            stale.push(block);
        }
        stale
    }
}
