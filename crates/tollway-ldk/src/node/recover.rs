//! The money of channels that this node has forgotten, because it was made anew from its words: when the
//! peer closes such a channel, our part of it goes to one of a thousand scripts that the seed
//! knows (LDK's `STATIC_PAYMENT_KEY_COUNT`), each in two forms. Whatever pays to them is swept.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bdk_wallet::KeychainKind;
use bdk_wallet::chain::spk_client::SyncRequest;
use bitcoin::block::Header;
use bitcoin::secp256k1::Secp256k1;
use bitcoin::{Block, Network, OutPoint, ScriptBuf, Transaction, TxOut};
use lightning::chain::transaction::TransactionData;
use lightning::chain::{BestBlock, Listen};
use lightning::ln::chan_utils::{ChannelTransactionParameters, get_countersigner_payment_script};
use lightning::sign::{
    ChannelSigner, EntropySource, KeysManager, SpendableOutputDescriptor,
    StaticPaymentOutputDescriptor,
};
use lightning::types::features::ChannelTypeFeatures;

use tokio::time::Instant;

use super::core::Core;
use crate::chain::{ChainError, Transactions};
use crate::onchain::Wallet;

/// Channels' keys are tried until one has the wanted script: each has one of a thousand.
const MOST_TRIES: usize = 100_000;

/// Two thousand questions are not asked at every block of other people's servers.
const AGAIN: Duration = Duration::from_secs(3600);

/// What pays to the scripts of a node that was made anew. For any other node it is empty and finds
/// nothing.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    scripts: HashSet<ScriptBuf>,
    /// How often a source of transactions is asked.
    again: Duration,
    asked: Mutex<Option<Instant>>,
    found: Mutex<Vec<(OutPoint, TxOut, Arc<Transaction>)>>,
}

impl Recovery {
    pub(super) fn of(keys: &KeysManager, network: Network) -> Self {
        let scripts = keys.possible_v2_counterparty_closed_balance_spks(&Secp256k1::new());
        let again = if network == Network::Regtest { Duration::ZERO } else { AGAIN };
        Self { scripts: scripts.into_iter().collect(), again, ..Self::default() }
    }

    fn found(&self) -> MutexGuard<'_, Vec<(OutPoint, TxOut, Arc<Transaction>)>> {
        self.found.lock().expect("no panic while held")
    }

    pub(super) fn is_looking(&self) -> bool {
        !self.scripts.is_empty()
    }

    fn look_at(&self, tx: &Transaction) {
        let outputs = (0..).zip(&tx.output);
        for (vout, out) in outputs.filter(|(_, out)| self.scripts.contains(&out.script_pubkey)) {
            let outpoint = OutPoint::new(tx.compute_txid(), vout);
            self.found().push((outpoint, out.clone(), Arc::new(tx.clone())));
        }
    }

    /// Asks a source of transactions about all the scripts, if that is due.
    async fn ask(&self, transactions: &dyn Transactions) -> Result<(), ChainError> {
        let asked = *self.asked.lock().expect("no panic while held");
        if asked.is_some_and(|asked| asked.elapsed() < self.again) {
            return Ok(());
        }
        let scripts = (0..).zip(&self.scripts);
        let scripts =
            scripts.map(|(number, script)| ((KeychainKind::External, number), script.clone()));
        let scripts = scripts.collect::<Vec<_>>();
        let request = SyncRequest::builder().spks_with_indexes(scripts).build();
        let update = transactions.wallet(request).await?.tx_update;
        let spent: HashSet<OutPoint> = update
            .txs
            .iter()
            .flat_map(|tx| tx.input.iter().map(|input| input.previous_output))
            .collect();
        let mined: HashSet<_> = update.anchors.iter().map(|(_, txid)| *txid).collect();
        update
            .txs
            .iter()
            .filter(|tx| mined.contains(&tx.compute_txid()))
            .for_each(|tx| self.look_at(tx));
        self.found().retain(|(outpoint, ..)| !spent.contains(outpoint));
        *self.asked.lock().expect("no panic while held") = Some(Instant::now());
        Ok(())
    }
}

impl Listen for Recovery {
    fn filtered_block_connected(&self, _: &Header, txs: &TransactionData<'_>, _: u32) {
        if self.is_looking() {
            txs.iter().for_each(|(_, tx)| self.look_at(tx));
        }
    }

    fn block_connected(&self, block: &Block, _: u32) {
        if self.is_looking() {
            block.txdata.iter().for_each(|tx| self.look_at(tx));
        }
    }

    /// What was found in a block that is left behind will be found again, or was the sweeper's already,
    /// which follows the chain by itself.
    fn blocks_disconnected(&self, _: BestBlock) {}
}

/// The wallet, which begins at the first block that may matter, and what looks along with it.
pub(super) struct Looking<'a> {
    pub(super) wallet: &'a Wallet,
    pub(super) recovery: &'a Recovery,
}

impl Listen for Looking<'_> {
    fn filtered_block_connected(&self, header: &Header, txs: &TransactionData<'_>, height: u32) {
        self.wallet.filtered_block_connected(header, txs, height);
        self.recovery.filtered_block_connected(header, txs, height);
    }

    fn block_connected(&self, block: &Block, height: u32) {
        self.wallet.block_connected(block, height);
        self.recovery.block_connected(block, height);
    }

    fn blocks_disconnected(&self, fork: BestBlock) {
        self.wallet.blocks_disconnected(fork);
    }
}

impl Core {
    /// Asks once about what was paid while this node was not there. A source of blocks tells by itself.
    pub(super) async fn look_for_closed(&self) -> Result<(), ChainError> {
        match &self.transactions {
            Some(transactions) if self.recovery.is_looking() => {
                self.recovery.ask(&**transactions).await
            }
            _ => Ok(()),
        }
    }

    /// Hands what was found to the sweeper.
    pub(super) fn recover(&self) {
        let found = std::mem::take(&mut *self.recovery.found());
        if found.is_empty() {
            return;
        }
        let known = self.known_outputs();
        for (outpoint, out, closing) in found {
            // The monitor of a channel that is known sees to it itself.
            let is_ours = closing.input.iter().any(|input| known.contains(&input.previous_output));
            if is_ours || known.contains(&outpoint) {
                continue;
            }
            let Some(descriptor) = descriptor(&self.keys, outpoint, &out) else {
                tracing::error!(%outpoint, "no key for an output that should be ours");
                continue;
            };
            tracing::info!(%outpoint, amount = %out.value, "found our part of a forgotten channel");
            let tracked = self.sweeper.track_spendable_outputs(vec![descriptor], None, false, None);
            if tracked.is_err() {
                tracing::error!(%outpoint, "what was found cannot be written; it is found again");
                self.recovery.found().push((outpoint, out, closing));
            }
        }
    }

    /// The outputs that fund known channels, and those that are being swept.
    fn known_outputs(&self) -> HashSet<OutPoint> {
        let monitors = self.monitors.list_monitors().into_iter();
        let funding = monitors.filter_map(|id| {
            let monitor = self.monitors.get_monitor(id).ok()?;
            Some(monitor.get_funding_txo().into_bitcoin_outpoint())
        });
        let swept = self.sweeper.tracked_spendable_outputs().into_iter();
        funding.chain(swept.map(|output| outpoint(&output.descriptor))).collect()
    }
}

fn outpoint(descriptor: &SpendableOutputDescriptor) -> OutPoint {
    match descriptor {
        SpendableOutputDescriptor::StaticOutput { outpoint, .. } => *outpoint,
        SpendableOutputDescriptor::DelayedPaymentOutput(output) => output.outpoint,
        SpendableOutputDescriptor::StaticPaymentOutput(output) => output.outpoint,
    }
    .into_bitcoin_outpoint()
}

/// How to spend an output. The channel it was paid by is forgotten, and any other whose keys pay to the
/// same script will do.
fn descriptor(
    keys: &KeysManager,
    outpoint: OutPoint,
    out: &TxOut,
) -> Option<SpendableOutputDescriptor> {
    let secp = Secp256k1::new();
    let plain = ChannelTypeFeatures::only_static_remote_key();
    let anchors = ChannelTypeFeatures::anchors_zero_htlc_fee_and_dependencies();
    let mut seen = HashSet::new();
    for _ in 0..MOST_TRIES {
        let id = keys.get_secure_random_bytes();
        let pubkeys = keys.derive_channel_keys(&id).pubkeys(&secp);
        if !seen.insert(pubkeys.payment_point) {
            continue;
        }
        let is_it = |kind: &&ChannelTypeFeatures| {
            get_countersigner_payment_script(kind, &pubkeys.payment_point) == out.script_pubkey
        };
        let Some(kind) = [&anchors, &plain].into_iter().find(is_it) else { continue };
        let parameters = ChannelTransactionParameters {
            holder_pubkeys: pubkeys,
            holder_selected_contest_delay: 0,
            is_outbound_from_holder: false,
            counterparty_parameters: None,
            funding_outpoint: None,
            splice_parent_funding_txid: None,
            channel_type_features: kind.clone(),
            channel_value_satoshis: out.value.to_sat(),
        };
        let index = u16::try_from(outpoint.vout).ok()?;
        return Some(SpendableOutputDescriptor::StaticPaymentOutput(
            StaticPaymentOutputDescriptor {
                outpoint: lightning::chain::transaction::OutPoint { txid: outpoint.txid, index },
                output: out.clone(),
                channel_keys_id: id,
                channel_value_satoshis: out.value.to_sat(),
                channel_transaction_parameters: Some(parameters),
            },
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_of_the_seed_can_be_spent() {
        let keys = KeysManager::new(&[7; 32], 1, 1, true);
        let recovery = Recovery::of(&keys, Network::Regtest);
        assert_eq!(recovery.scripts.len(), 2_000);
        for script in recovery.scripts.iter().take(2) {
            let out = TxOut { value: bitcoin::Amount::from_sat(1), script_pubkey: script.clone() };
            assert!(descriptor(&keys, OutPoint::null(), &out).is_none(), "an index beyond all");
            let outpoint = OutPoint { vout: 1, ..OutPoint::null() };
            assert!(descriptor(&keys, outpoint, &out).is_some());
        }
    }
}
