//! A blockchain in this process, to develop and test against: real blocks, real checks, money from
//! a faucet, and a new block whenever one is asked for.
//!
//! It is a regtest chain with one miner and no peers. Transactions must meet the rules of bitcoind's
//! memory pool that matter to Lightning: existing unspent inputs, amounts, maturity, absolute and
//! relative locks, scripts (by bitcoind's own consensus code, taproot included), the relay minimum
//! for one or for a package, replacement by fee. Blocks can be left behind for a better branch on
//! request; they stay readable, and their transactions wait again.

mod blocks;
mod coins;
mod electrum;
mod esplora;
mod faucet;
mod file;
mod index;
mod ledger;
mod mining;
mod pool;
mod rules;
mod serve;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::block::Header;
use bitcoin::constants::COINBASE_MATURITY;
use bitcoin::{Amount, Block, BlockHash, FeeRate, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use l402::Sat;
use tokio::sync::watch;

pub use self::blocks::BadBlock;
pub use self::electrum::ElectrumServer;
pub use self::esplora::EsploraServer;
pub use self::faucet::FaucetError;
pub use self::file::OpenChainError;
pub use self::ledger::ReorgError;
pub use self::rules::Refusal;
pub use self::serve::{RpcLogin, RpcServer};
use crate::chain::{Blocks, ChainError, ChainSource, Follow, Tip};
use faucet::Faucet;
use ledger::Ledger;

/// Blocks that a new chain starts with, so that the faucet has a ripe coin.
const FIRST_BLOCKS: u32 = COINBASE_MATURITY + 1;
/// Blocks here are never full, so twice the relay minimum is more than enough.
const FEERATE: FeeRate = FeeRate::from_sat_per_vb_u32(2);
/// For whoever has a day, just above the relay minimum.
const PATIENT_FEERATE: FeeRate = FeeRate::from_sat_per_kwu(253);
/// A day, in blocks.
const DAY: u16 = 144;

/// What [`ChainSource::feerate`] says.
const fn feerate(blocks: u16) -> FeeRate {
    if blocks < DAY { FEERATE } else { PATIENT_FEERATE }
}

/// A simulated blockchain. Clones share it.
#[derive(Clone)]
pub struct Simulated(Arc<Shared>);

struct Shared {
    ledger: Mutex<Ledger>,
    faucet: Faucet,
    tips: watch::Sender<Tip>,
    waiting: watch::Sender<usize>,
}

impl Simulated {
    /// A new chain that ends with the process. It has 101 blocks above the first one, so that the
    /// faucet can pay at once.
    pub fn in_memory() -> Self {
        let chain = Self::over(Ledger::new());
        chain.mine_first().expect("there is no file to fail");
        chain
    }

    /// The chain in this file, waiting transactions included; a new one if there is no file. Blocks
    /// survive the death of the process at any moment (not that of the machine).
    ///
    /// # Errors
    /// [`OpenChainError`]: in use, unreadable, or not a chain.
    pub fn open(file: &Path) -> Result<Self, OpenChainError> {
        let chain = Self::over(Ledger::open(file)?);
        chain
            .mine_first()
            .map_err(|source| OpenChainError::Io { path: file.to_owned(), source })?;
        Ok(chain)
    }

    fn over(ledger: Ledger) -> Self {
        let tips = watch::Sender::new(ledger.blocks.tip());
        let waiting = watch::Sender::new(ledger.pool.len());
        let faucet = Faucet::new();
        Self(Arc::new(Shared { ledger: Mutex::new(ledger), faucet, tips, waiting }))
    }

    fn mine_first(&self) -> io::Result<()> {
        self.mine(FIRST_BLOCKS.saturating_sub(self.best().height)).map(drop)
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.ledger.lock().expect("nothing panics while it changes the ledger")
    }

    /// Changes the ledger and tells those who wait for it, also when it fails half way.
    fn change<T>(&self, change: impl FnOnce(&mut Ledger) -> T) -> T {
        let mut ledger = self.ledger();
        let result = change(&mut ledger);
        let (tip, waiting) = (ledger.blocks.tip(), ledger.pool.len());
        self.0.tips.send_if_modified(|seen| std::mem::replace(seen, tip) != tip);
        self.0.waiting.send_if_modified(|seen| std::mem::replace(seen, waiting) != waiting);
        result
    }

    /// The newest block.
    pub fn best(&self) -> Tip {
        self.ledger().blocks.tip()
    }

    /// Follows the newest block.
    pub fn tips(&self) -> watch::Receiver<Tip> {
        self.0.tips.subscribe()
    }

    /// Follows how many transactions wait for a block.
    pub fn waiting(&self) -> watch::Receiver<usize> {
        self.0.waiting.subscribe()
    }

    /// The waiting transactions, parents before children.
    pub fn mempool(&self) -> Vec<Transaction> {
        self.ledger().pool.iter().map(|(_, waiting)| waiting.tx.clone()).collect()
    }

    /// A transaction of the best chain, with its height, or a waiting one, with none.
    pub fn transaction(&self, txid: Txid) -> Option<(Transaction, Option<u32>)> {
        let ledger = self.ledger();
        if let Some(waiting) = ledger.pool.get(&txid) {
            return Some((waiting.tx.clone(), None));
        }
        let place = ledger.blocks.place_of(&txid)?;
        let known = ledger.blocks.best_at(place.height)?;
        Some((known.block.txdata[place.index].clone(), Some(place.height)))
    }

    /// The waiting transaction that spends this output.
    pub fn spender(&self, outpoint: OutPoint) -> Option<Transaction> {
        let ledger = self.ledger();
        let txid = ledger.pool.spender(&outpoint)?;
        Some(ledger.pool.get(txid)?.tx.clone())
    }

    /// Mines blocks for the faucet. The first holds what waits.
    ///
    /// # Errors
    /// The chain's file could not be written. Blocks mined before that stay.
    pub fn mine(&self, blocks: u32) -> io::Result<Vec<BlockHash>> {
        self.mine_to(blocks, self.0.faucet.script())
    }

    /// Mines blocks whose subsidy and fees go to `pay_to`. The first holds what waits.
    ///
    /// # Errors
    /// As [`Self::mine`].
    pub fn mine_to(&self, blocks: u32, pay_to: &ScriptBuf) -> io::Result<Vec<BlockHash>> {
        self.change(|ledger| ledger.mine(blocks, pay_to))
    }

    /// Mines `blocks` blocks `after` a transaction came to wait, for ever. Only an error ends it.
    ///
    /// # Errors
    /// As [`Self::mine`].
    pub async fn mine_when_needed(
        &self,
        after: Duration,
        blocks: u32,
    ) -> io::Result<std::convert::Infallible> {
        let mut waiting = self.waiting();
        loop {
            waiting.wait_for(|waiting| *waiting > 0).await.expect("the sender is in `self`");
            tokio::time::sleep(after).await;
            self.mine(blocks)?;
        }
    }

    /// Leaves the newest `depth` blocks behind: mines `new_blocks` empty ones on the block before
    /// them, which become the best chain. What was in the blocks left behind waits again, unless it
    /// is no longer valid.
    ///
    /// # Errors
    /// [`ReorgError`], and then nothing has changed unless the file failed.
    pub fn reorg(&self, depth: u32, new_blocks: u32) -> Result<Vec<BlockHash>, ReorgError> {
        self.change(|ledger| ledger.reorg(depth, new_blocks, self.0.faucet.script()))
    }

    /// Offers a transaction. One that waits already is fine.
    ///
    /// # Errors
    /// [`Refusal`]: why it may not wait for a block.
    pub fn submit(&self, tx: &Transaction) -> Result<Txid, Refusal> {
        self.change(|ledger| ledger.accept(tx))
    }

    /// Offers transactions that pay the relay minimum together, parents first. All are taken, or
    /// none; those known already count as taken.
    ///
    /// # Errors
    /// The first that is refused, and why.
    pub fn submit_package(&self, txs: &[Transaction]) -> Result<(), (Txid, Refusal)> {
        self.change(|ledger| ledger.accept_package(txs))
    }

    /// Pays from the mined coins. The payment waits for a block when this returns.
    ///
    /// # Errors
    /// [`FaucetError::Empty`] when too few mined coins are ripe.
    pub fn pay(&self, outputs: &[(ScriptBuf, Sat)]) -> Result<Txid, FaucetError> {
        let outputs = outputs.iter().map(|(script, amount)| TxOut {
            value: Amount::from_sat(amount.sat()),
            script_pubkey: script.clone(),
        });
        let outputs = outputs.collect();
        self.change(|ledger| {
            let tx = self.0.faucet.pay(ledger, outputs)?;
            Ok(ledger.accept(&tx)?)
        })
    }
}

impl fmt::Debug for Simulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulated").field("tip", &*self.0.tips.borrow()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ChainSource for Simulated {
    async fn genesis(&self) -> Result<BlockHash, ChainError> {
        self.hash_at(0).await
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        Ok(self.best())
    }

    async fn broadcast(&self, txs: &[Transaction]) -> Result<(), ChainError> {
        let mut refused = None;
        for tx in txs {
            match self.submit(tx) {
                Ok(_) | Err(Refusal::Mined) => {}
                Err(why) => {
                    refused.get_or_insert((tx.compute_txid(), why));
                }
            }
        }
        let Some(refused) = refused else { return Ok(()) };
        if txs.len() > 1 && self.submit_package(txs).is_ok() {
            return Ok(());
        }
        Err(ChainError::Refused { txid: refused.0, why: refused.1.to_string() })
    }

    async fn feerate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        Ok(feerate(blocks))
    }

    async fn changed(&self, seen: BlockHash) {
        let mut tips = self.tips();
        tips.wait_for(|tip| tip.hash != seen).await.expect("the sender is in `self`");
    }

    fn follow(&self) -> Follow<'_> {
        Follow::Blocks(self)
    }
}

#[async_trait]
impl Blocks for Simulated {
    async fn header(&self, hash: BlockHash) -> Result<(Header, u32), ChainError> {
        let ledger = self.ledger();
        let known = ledger.blocks.get(&hash).ok_or_else(|| no_block(&hash))?;
        Ok((known.block.header, known.height))
    }

    async fn block(&self, hash: BlockHash) -> Result<Block, ChainError> {
        let known = self.ledger().blocks.get(&hash).cloned().ok_or_else(|| no_block(&hash))?;
        Ok(Block::clone(&known.block))
    }

    async fn hash_at(&self, height: u32) -> Result<BlockHash, ChainError> {
        self.ledger().blocks.hash_at(height).ok_or_else(|| no_block(&height))
    }
}

fn no_block(block: &dyn fmt::Display) -> ChainError {
    ChainError::NotFound { block: block.to_string() }
}
