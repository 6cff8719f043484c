//! Follows the chain: every part of the node sees every block, in order, through reorganisations.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bitcoin::Block;
use bitcoin::block::Header;
use lightning::chain::transaction::TransactionData;
use lightning::chain::{BestBlock, Listen};

use super::core::Core;
use crate::chain::ChainError;
use crate::sync::catch_up;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
    }

    fn blocks_disconnected(&self, fork: BestBlock) {
        self.0.monitors.blocks_disconnected(fork);
        self.0.manager.blocks_disconnected(fork);
        self.0.sweeper.blocks_disconnected(fork);
        self.0.wallet.blocks_disconnected(fork);
    }
}

/// Follows the chain from `at`, which all parts have seen, until it is aborted.
pub(super) async fn follow(core: Arc<Core>, mut at: BestBlock) {
    loop {
        let waits = ExponentialBuilder::default()
            .with_max_delay(LONGEST_WAIT)
            .with_jitter()
            .without_max_times();
        for wait in waits.build() {
            match advance(&core, &mut at).await {
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
        core.chain.changed(at.block_hash).await;
    }
}

async fn advance(core: &Arc<Core>, at: &mut BestBlock) -> Result<(), ChainError> {
    let before = at.block_hash;
    catch_up(&*core.chain, at, &Everything(core)).await?;
    if at.block_hash != before {
        core.feerates.refresh(&*core.chain).await?;
        core.sweep();
        core.step();
        core.monitors.archive_fully_resolved_channel_monitors();
    }
    Ok(())
}
