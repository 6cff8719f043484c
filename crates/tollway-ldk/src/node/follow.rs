//! Follows the chain: every part of the node sees every block, in order, through reorganisations.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bitcoin::block::Header;
use bitcoin::{Block, BlockHash};
use lightning::chain::transaction::TransactionData;
use lightning::chain::{BestBlock, Listen};

use super::core::Core;
use crate::chain::{ChainError, Follow, Part, Transactions};
use crate::onchain::{Wallet, WalletError};
use crate::sync::catch_up;
use crate::types::{Manager, Monitors, Sweeper};

const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How often the wallet asks about its addresses when there is no new block.
const WALLET_AGAIN: Duration = Duration::from_secs(60);

/// Everything that listens to the chain, as one. The monitors come first: what they learn, the
/// manager must find known.
struct Everything<'a>(&'a Core);

impl Listen for Everything<'_> {
    fn filtered_block_connected(&self, header: &Header, txs: &TransactionData<'_>, height: u32) {
        self.0.monitors.filtered_block_connected(header, txs, height);
        self.0.manager.filtered_block_connected(header, txs, height);
        self.0.sweeper.filtered_block_connected(header, txs, height);
        self.0.wallet.filtered_block_connected(header, txs, height);
    }

    fn block_connected(&self, block: &Block, height: u32) {
        self.0.monitors.block_connected(block, height);
        self.0.manager.block_connected(block, height);
        self.0.sweeper.block_connected(block, height);
        self.0.wallet.block_connected(block, height);
        self.0.recovery.block_connected(block, height);
    }

    fn blocks_disconnected(&self, fork: BestBlock) {
        self.0.monitors.blocks_disconnected(fork);
        self.0.manager.blocks_disconnected(fork);
        self.0.sweeper.blocks_disconnected(fork);
        self.0.wallet.blocks_disconnected(fork);
    }
}

/// The parts that a source of transactions tells. The monitors come first here too.
pub(super) fn parts(
    monitors: &Arc<Monitors>,
    manager: &Arc<Manager>,
    sweeper: &Arc<Sweeper>,
) -> Vec<Part> {
    vec![Arc::clone(monitors) as Part, Arc::clone(manager) as Part, Arc::clone(sweeper) as Part]
}

/// Asks a source of transactions for everything that is new.
pub(super) async fn ask(
    transactions: &dyn Transactions,
    parts: Vec<Part>,
    wallet: &Wallet,
) -> Result<(), ChainError> {
    transactions.sync(parts).await?;
    if wallet.is_to_be_found() {
        let found = transactions.scan(wallet.scan_request()).await?;
        keep(wallet.apply(found));
        wallet.found();
    }
    keep(wallet.apply(transactions.wallet(wallet.request()).await?));
    Ok(())
}

fn keep(applied: Result<(), WalletError>) {
    if let Err(error) = applied {
        tracing::error!(%error, "the on-chain wallet cannot take what the chain source says");
    }
}

/// Where the node stands.
struct Place {
    at: BestBlock,
    /// The block for which fees were asked and outputs swept.
    done: Option<BlockHash>,
}

/// Follows the chain from `at`, which all parts have seen, until it is aborted.
pub(super) async fn follow(core: Arc<Core>, at: BestBlock) {
    // Nothing is done yet for this block.
    let mut place = Place { at, done: None };
    loop {
        let waits = ExponentialBuilder::default()
            .with_max_delay(LONGEST_WAIT)
            .with_jitter()
            .without_max_times();
        for wait in waits.build() {
            match advance(&core, &mut place).await {
                Ok(()) => {
                    core.health.well();
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "the chain cannot be followed; trying again");
                    core.health.ill(&error);
                }
            }
            tokio::time::sleep(wait).await;
        }
        let changed = core.chain.changed(place.at.block_hash);
        match core.transactions {
            None => changed.await,
            // A payment to the wallet is worth knowing about before it is in a block.
            Some(_) => drop(tokio::time::timeout(WALLET_AGAIN, changed).await),
        }
    }
}

async fn advance(core: &Arc<Core>, place: &mut Place) -> Result<(), ChainError> {
    match (&core.transactions, core.chain.follow()) {
        (None, Follow::Blocks(blocks)) => {
            catch_up(blocks, &mut place.at, &Everything(core)).await?;
        }
        (Some(transactions), _) => {
            let tip = core.chain.tip().await?;
            let parts = parts(&core.monitors, &core.manager, &core.sweeper);
            ask(&**transactions, parts, &core.wallet).await?;
            // What came after this tip is asked for again, which does no harm.
            place.at = BestBlock::new(tip.hash, tip.height);
        }
        (None, Follow::Transactions(_)) => unreachable!("a source is followed in one way"),
    }
    if place.done != Some(place.at.block_hash) {
        core.feerates.refresh(&*core.chain).await?;
        core.look_for_closed().await?;
        core.sweep();
        core.step();
        core.monitors.archive_fully_resolved_channel_monitors();
        place.done = Some(place.at.block_hash);
    }
    Ok(())
}
