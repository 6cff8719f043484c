//! LDK's two synchronous questions to the chain, answered without waiting: transactions are queued
//! for a task that sends them, fee rates are what that task last heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bitcoin::{FeeRate, Transaction};
use lightning::chain::chaininterface::{
    BroadcasterInterface, ConfirmationTarget, FEERATE_FLOOR_SATS_PER_KW, FeeEstimator,
};
use tokio::sync::mpsc;

use crate::chain::{ChainError, ChainSource};
use crate::onchain::Wallet;

/// Queues transactions for [`send_all`].
#[derive(Debug)]
pub(crate) struct Broadcaster(mpsc::UnboundedSender<Vec<Transaction>>);

impl Broadcaster {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Vec<Transaction>>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }
}

impl BroadcasterInterface for Broadcaster {
    fn broadcast_transactions(&self, transactions: &[&Transaction]) {
        let package = transactions.iter().map(|tx| (*tx).clone()).collect();
        if self.0.send(package).is_err() {
            tracing::warn!(
                "a transaction was not sent: the node is stopping; it is sent again at the next start"
            );
        }
    }
}

/// Sends what is queued, for ever. A refusal is logged: LDK sends again what matters.
pub(crate) async fn send_all(
    chain: Arc<dyn ChainSource>,
    wallet: Arc<Wallet>,
    mut queue: mpsc::UnboundedReceiver<Vec<Transaction>>,
) {
    while let Some(package) = queue.recv().await {
        if let Err(error) = chain.broadcast(&package).await {
            tracing::warn!(%error, "a transaction was not sent");
            continue;
        }
        for transaction in &package {
            if let Err(error) = wallet.sent(transaction) {
                tracing::error!(%error, "the on-chain wallet cannot be written");
            }
        }
    }
}

/// The fee rates last heard, in satoshi per 1,000 weight units.
#[derive(Debug)]
pub(crate) struct Feerates {
    soon: AtomicU32,
    later: AtomicU32,
}

impl Feerates {
    /// The relay minimum until the chain is asked.
    pub(crate) const fn new() -> Self {
        Self {
            soon: AtomicU32::new(FEERATE_FLOOR_SATS_PER_KW),
            later: AtomicU32::new(FEERATE_FLOOR_SATS_PER_KW),
        }
    }

    /// Asks the chain again.
    pub(crate) async fn refresh(&self, chain: &dyn ChainSource) -> Result<(), ChainError> {
        for (blocks, rate) in [(2, &self.soon), (144, &self.later)] {
            let heard = u32::try_from(chain.feerate(blocks).await?.to_sat_per_kwu());
            rate.store(heard.unwrap_or(u32::MAX).max(FEERATE_FLOOR_SATS_PER_KW), Ordering::Relaxed);
        }
        Ok(())
    }

    /// What a transaction that should confirm soon pays.
    pub(crate) fn soon(&self) -> FeeRate {
        FeeRate::from_sat_per_kwu(self.soon.load(Ordering::Relaxed).into())
    }
}

impl FeeEstimator for Feerates {
    fn get_est_sat_per_1000_weight(&self, target: ConfirmationTarget) -> u32 {
        let (soon, later) = (self.soon.load(Ordering::Relaxed), self.later.load(Ordering::Relaxed));
        match target {
            // An upper bound on what a peer may ask us to pay: far above what we would.
            ConfirmationTarget::MaximumFeeEstimate => soon.saturating_mul(10),
            ConfirmationTarget::UrgentOnChainSweep
            | ConfirmationTarget::NonAnchorChannelFee
            | ConfirmationTarget::OutputSpendingFee => soon,
            ConfirmationTarget::ChannelCloseMinimum => later,
            // Anchors are bumped when it matters; the commitment itself must only be relayed.
            ConfirmationTarget::AnchorChannelFee
            | ConfirmationTarget::MinAllowedAnchorChannelRemoteFee
            | ConfirmationTarget::MinAllowedNonAnchorChannelRemoteFee => FEERATE_FLOOR_SATS_PER_KW,
        }
    }
}
