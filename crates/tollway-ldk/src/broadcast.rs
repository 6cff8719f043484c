//! LDK's two synchronous questions to the chain, answered without waiting: transactions are queued
//! for a task that sends them, fee rates are what that task last heard.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bitcoin::{FeeRate, Transaction, Txid};
use lightning::chain::chaininterface::{
    BroadcasterInterface, ConfirmationTarget, FEERATE_FLOOR_SATS_PER_KW, FeeEstimator,
};
use tokio::sync::mpsc;

use crate::chain::{ChainError, ChainSource};
use crate::onchain::Wallet;

/// How long to wait before a chain source that did not answer is asked again; twice as long each
/// time.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Queues transactions for [`send_all`]. What the on-chain wallet pays is in its file before it
/// leaves, and is sent again after a crash; what a closed channel needs, LDK makes anew.
#[derive(Debug)]
pub(crate) struct Broadcaster {
    queue: mpsc::UnboundedSender<Vec<Transaction>>,
    /// Weak, because connections hold this until they have ended, and the wallet holds the folder.
    wallet: Weak<Wallet>,
}

impl Broadcaster {
    pub(crate) fn new(wallet: &Arc<Wallet>) -> (Self, mpsc::UnboundedReceiver<Vec<Transaction>>) {
        let (queue, receiver) = mpsc::unbounded_channel();
        (Self { queue, wallet: Arc::downgrade(wallet) }, receiver)
    }

    /// Sends again what the wallet has paid and no block has taken yet.
    pub(crate) fn send_again(&self, waiting: Vec<Transaction>) {
        waiting.into_iter().for_each(|transaction| self.enqueue(vec![transaction]));
    }

    fn enqueue(&self, package: Vec<Transaction>) {
        if self.queue.send(package).is_err() {
            tracing::warn!(
                "a transaction was not sent: the node is stopping; it is sent again at the next start"
            );
        }
    }
}

impl BroadcasterInterface for Broadcaster {
    fn broadcast_transactions(&self, transactions: &[&Transaction]) {
        if let Some(wallet) = self.wallet.upgrade() {
            for transaction in transactions.iter().filter(|tx| wallet.pays(tx)) {
                remember(&wallet, transaction);
            }
        }
        self.enqueue(transactions.iter().map(|tx| (*tx).clone()).collect());
    }
}

/// Sends what is queued, in order, for ever. What the chain source refuses is dropped, for LDK sends
/// again what matters; a source that does not answer is asked until it does.
pub(crate) async fn send_all(
    chain: Arc<dyn ChainSource>,
    wallet: Arc<Wallet>,
    mut queue: mpsc::UnboundedReceiver<Vec<Transaction>>,
) {
    while let Some(package) = queue.recv().await {
        let waits = ExponentialBuilder::default()
            .with_min_delay(FIRST_WAIT)
            .with_max_delay(LONGEST_WAIT)
            .without_max_times();
        for wait in waits.build() {
            match chain.broadcast(&package).await {
                Ok(()) => {
                    package.iter().for_each(|transaction| remember(&wallet, transaction));
                    break;
                }
                Err(
                    error @ (ChainError::Unreachable { .. }
                    | ChainError::Unauthorized { .. }
                    | ChainError::NoLogin { .. }),
                ) => {
                    tracing::warn!(%error, "a transaction is not sent yet; trying again");
                }
                Err(error) => {
                    tracing::warn!(%error, "a transaction was not sent");
                    if let ChainError::Refused { txid, .. } = error {
                        refused(&wallet, &package, txid);
                    }
                    break;
                }
            }
            tokio::time::sleep(wait).await;
        }
    }
}

fn remember(wallet: &Wallet, transaction: &Transaction) {
    if let Err(error) = wallet.sent(transaction) {
        tracing::error!(%error, "the on-chain wallet cannot be written");
    }
}

/// What was refused, and what spends it, has spent nothing of the wallet's.
fn refused(wallet: &Wallet, package: &[Transaction], txid: Txid) {
    let mut gone = vec![txid];
    for transaction in package {
        if transaction.input.iter().any(|input| gone.contains(&input.previous_output.txid)) {
            gone.push(transaction.compute_txid());
        }
    }
    if let Err(error) = wallet.not_sent(&gone) {
        tracing::error!(%error, "the on-chain wallet cannot be written");
    }
}

/// The fee rates last heard, in satoshi per 1,000 weight units.
#[derive(Debug)]
pub(crate) struct Feerates {
    soon: AtomicU32,
    later: AtomicU32,
    /// What a transaction needs to be kept by those who relay it.
    some_day: AtomicU32,
}

impl Feerates {
    /// The relay minimum until the chain is asked.
    pub(crate) const fn new() -> Self {
        Self {
            soon: AtomicU32::new(FEERATE_FLOOR_SATS_PER_KW),
            later: AtomicU32::new(FEERATE_FLOOR_SATS_PER_KW),
            some_day: AtomicU32::new(FEERATE_FLOOR_SATS_PER_KW),
        }
    }

    /// Asks the chain again.
    pub(crate) async fn refresh(&self, chain: &dyn ChainSource) -> Result<(), ChainError> {
        for (blocks, rate) in [(2, &self.soon), (144, &self.later), (1008, &self.some_day)] {
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
        let rates = [&self.soon, &self.later, &self.some_day];
        let [soon, later, some_day] = rates.map(|rate| rate.load(Ordering::Relaxed));
        match target {
            // An upper bound on what a peer may ask us to pay: far above what we would.
            ConfirmationTarget::MaximumFeeEstimate => soon.saturating_mul(10),
            ConfirmationTarget::UrgentOnChainSweep
            | ConfirmationTarget::NonAnchorChannelFee
            | ConfirmationTarget::OutputSpendingFee => soon,
            ConfirmationTarget::ChannelCloseMinimum => later,
            // Anchors are bumped when it matters; the commitment itself must only be relayed.
            ConfirmationTarget::AnchorChannelFee => some_day,
            ConfirmationTarget::MinAllowedAnchorChannelRemoteFee
            | ConfirmationTarget::MinAllowedNonAnchorChannelRemoteFee => FEERATE_FLOOR_SATS_PER_KW,
        }
    }
}
