//! What LDK tells, and what is done about it. Everything here may be told twice, after a crash, and
//! doing it twice changes nothing.

use std::collections::HashSet;
use std::sync::{Arc, RwLockWriteGuard};

use bitcoin::Transaction;
use l402::{Msat, PaymentHash, Preimage, Sat, Why};
use lightning::events::{Event, FundingInfo, PaymentPurpose, ReplayEvent};
use lightning::ln::types::ChannelId;
use lightning::routing::scoring::ScoreUpdate;
use lightning::util::config::{ChannelConfigOverrides, ChannelConfigUpdate};

use super::channels::random_number;
use super::core::Core;
use super::upkeep::since_1970;
use crate::payments::{Received, Sent};
use crate::types::Scorer;

type Handled = Result<(), ReplayEvent>;

impl Core {
    /// # Errors
    /// It could not be handled now: LDK tells it again.
    pub(super) fn handle(self: &Arc<Self>, event: Event) -> Handled {
        match event {
            Event::PaymentClaimable {
                payment_hash,
                purpose,
                amount_msat,
                counterparty_skimmed_fee_msat,
                ..
            } => {
                let (hash, kept) = (PaymentHash(payment_hash.0), counterparty_skimmed_fee_msat);
                return self.claimable(hash, &purpose, amount_msat, Msat::from_msat(kept));
            }
            Event::PaymentClaimed { payment_hash, amount_msat, .. } => {
                let received = Received::Claimed(Msat::from_msat(amount_msat));
                self.payments.note_received(PaymentHash(payment_hash.0), received);
                self.forget_fee(PaymentHash(payment_hash.0));
            }
            Event::PaymentSent { payment_hash, payment_preimage, fee_paid_msat, .. } => {
                let fee = Msat::from_msat(fee_paid_msat.unwrap_or_default());
                let preimage = Preimage::new(payment_preimage.0);
                self.payments.note_sent(PaymentHash(payment_hash.0), Sent::Paid { preimage, fee });
                self.pace.finished();
            }
            Event::PaymentFailed { payment_id, reason, .. } => {
                self.came_back(PaymentHash(payment_id.0), reason);
            }
            Event::PaymentPathSuccessful { path, .. } => {
                self.scores().payment_path_successful(&path, since_1970());
            }
            Event::PaymentPathFailed { path, short_channel_id: Some(failed), .. } => {
                self.scores().payment_path_failed(&path, failed, since_1970());
            }
            other => return self.handle_channel(other),
        }
        Ok(())
    }

    /// What payments have taught about other channels.
    fn scores(&self) -> RwLockWriteGuard<'_, Scorer> {
        self.scorer.write().expect("no panic while held")
    }

    fn handle_channel(self: &Arc<Self>, event: Event) -> Handled {
        match event {
            Event::FundingGenerationReady {
                temporary_channel_id,
                counterparty_node_id,
                channel_value_satoshis,
                output_script,
                ..
            } => {
                let amount = Sat::from_sat(channel_value_satoshis);
                let peer = (temporary_channel_id, counterparty_node_id);
                match self.wallet.fund(output_script, amount, self.feerates.soon()) {
                    Ok(transaction) => self.funded(peer, transaction),
                    Err(error) => self.refuse(peer, &error.to_string()),
                }
            }
            Event::OpenChannelRequest { temporary_channel_id, counterparty_node_id, .. } => {
                self.asked_for_channel((temporary_channel_id, counterparty_node_id));
            }
            Event::DiscardFunding { funding_info: FundingInfo::Tx { transaction }, .. } => {
                self.wallet.forget(&transaction);
            }
            Event::ChannelReady { channel_id, user_channel_id, counterparty_node_id, .. } => {
                self.customer_ready(user_channel_id, &channel_id, &counterparty_node_id);
                tracing::info!(channel = %channel_id, peer = %counterparty_node_id, "channel ready");
                self.hints.forget();
            }
            Event::ChannelPending { channel_id, user_channel_id, .. } => {
                tracing::info!(channel = %channel_id, "channel funded");
                self.openings.end(user_channel_id, Ok(channel_id));
            }
            Event::ChannelClosed { channel_id, user_channel_id, reason, .. } => {
                tracing::warn!(channel = %channel_id, %reason, "channel closed");
                self.openings.end(user_channel_id, Err(reason.to_string()));
                self.hints.forget();
            }
            Event::SpendableOutputs { outputs, channel_id } => {
                // Those to plain keys of the seed too: they are none of the wallet's.
                let tracked =
                    self.sweeper.track_spendable_outputs(outputs, channel_id, false, None);
                // A moment later, so that what is told together is swept together.
                let core = Arc::clone(self);
                self.spawn(async move { core.sweep() });
                return tracked.map_err(|()| ReplayEvent());
            }
            Event::HTLCIntercepted {
                requested_next_hop_scid,
                intercept_id,
                expected_outbound_amount_msat,
                payment_hash,
                ..
            } => self.intercepted(
                requested_next_hop_scid,
                intercept_id,
                expected_outbound_amount_msat,
                payment_hash,
            ),
            Event::PaymentForwarded {
                next_channel_id: Some(channel), skimmed_fee_msat, ..
            } => {
                self.forwarded(channel, skimmed_fee_msat.unwrap_or_default());
            }
            Event::HTLCHandlingFailed { failure_type, .. } => self.forwarding_failed(failure_type),
            Event::BumpTransaction(bump) => self.bumper.handle_event(&bump),
            // Told for information, or about features that are not in use.
            _ => {}
        }
        Ok(())
    }

    /// Takes a payment to us, once per payment hash: an invoice that is paid twice by mistake is
    /// refused the second time, and the payer keeps that money.
    ///
    /// Of what the last node before us has `kept` no more is accepted than was agreed with it.
    fn claimable(
        &self,
        hash: PaymentHash,
        purpose: &PaymentPurpose,
        amount_msat: u64,
        kept: Msat,
    ) -> Handled {
        let ldk_hash = lightning::types::payment::PaymentHash(hash.0);
        let looked_up = self.payments.received(hash).and_then(|received| {
            let short = kept > Msat::ZERO && kept > self.agreed_fee(hash)?;
            Ok(received.is_some() || short)
        });
        let taken = match looked_up {
            Ok(taken) => taken,
            Err(error) => {
                tracing::error!(%hash, %error, "the payment log cannot be read");
                return Err(ReplayEvent());
            }
        };
        match purpose {
            PaymentPurpose::Bolt11InvoicePayment { payment_preimage: Some(preimage), .. }
                if !taken =>
            {
                let received = Received::Claiming(Msat::from_msat(amount_msat));
                self.payments.note_received(hash, received);
                self.manager.claim_funds(*preimage);
            }
            _ => {
                tracing::info!(%hash, taken, %kept, "a payment was not taken");
                self.manager.fail_htlc_backwards(&ldk_hash);
            }
        }
        Ok(())
    }

    fn funded(&self, peer: Peer, transaction: Transaction) {
        let (channel, node) = peer;
        let given = self.manager.funding_transaction_generated(channel, node, transaction.clone());
        if let Err(error) = given {
            tracing::warn!(?error, "the peer went away before its channel was funded");
            self.wallet.forget(&transaction);
        }
    }

    /// A peer asks to open a channel to us. It is taken when there is money to bump its fees with,
    /// should it ever have to be closed by us alone.
    fn asked_for_channel(&self, peer: Peer) {
        let (channel, node) = peer;
        let is_provider = self.liquidity.is_provider(&node);
        // A provider's channel is how one begins who has no money on the chain yet.
        if !is_provider && !self.has_reserve_for_another() {
            return self.refuse(peer, "not enough on-chain money in reserve for another channel");
        }
        let number = match random_number() {
            Ok(number) => number,
            Err(error) => return self.refuse(peer, &error.to_string()),
        };
        let accepted = if is_provider {
            // It keeps its price out of a payment, and what it keeps is held against the price.
            let update = ChannelConfigUpdate {
                accept_underpaying_htlcs: Some(true),
                ..ChannelConfigUpdate::default()
            };
            let overrides = ChannelConfigOverrides {
                handshake_overrides: None,
                update_overrides: Some(update),
            };
            self.manager.accept_inbound_channel_from_trusted_peer_0conf(
                &channel,
                &node,
                number,
                Some(overrides),
            )
        } else {
            self.manager.accept_inbound_channel(&channel, &node, number, None)
        };
        if let Err(error) = accepted {
            tracing::warn!(peer = %node, ?error, "a channel was not accepted");
        }
    }

    /// Tells the peer that its channel will not be.
    fn refuse(&self, (channel, node): Peer, why: &str) {
        tracing::warn!(peer = %node, why, "no channel");
        let refused =
            self.manager.force_close_broadcasting_latest_txn(&channel, &node, why.to_owned());
        if let Err(error) = refused {
            tracing::debug!(?error, "there was nothing to refuse");
        }
    }

    /// Brings the payment log and LDK to one mind about what an earlier process left behind. Called
    /// once, before anything is sent or answered.
    ///
    /// A payment that the log has as begun and that LDK never heard of was never sent: the process died
    /// in between. And one that LDK has and the log does not is begun: what is written of the log is
    /// taken a moment before what is written of LDK.
    pub(super) fn agree_on_payments(&self) -> rusqlite::Result<()> {
        use lightning::ln::channelmanager::RecentPaymentDetails as Details;
        let mut known = HashSet::new();
        for details in self.manager.list_recent_payments() {
            let (id, amount) = match details {
                Details::Pending { payment_id, total_msat, .. } => (payment_id, total_msat),
                // How much is not known any more, or not yet, and does not matter.
                Details::AwaitingInvoice { payment_id }
                | Details::Fulfilled { payment_id, .. }
                | Details::Abandoned { payment_id, .. } => (payment_id, 0),
            };
            let hash = PaymentHash(id.0);
            known.insert(hash);
            if self.store.sent(hash)?.is_none() {
                tracing::info!(%hash, "a payment was handed over and not written as begun");
                self.payments.note_sent(hash, Sent::Begun { amount: Msat::from_msat(amount) });
            }
        }
        for hash in self.store.unfinished()? {
            if !known.contains(&hash) {
                tracing::info!(%hash, "a payment was begun and never sent");
                let failed = Sent::Failed { why: Why::Refused };
                self.payments.note_sent(hash, failed);
            }
        }
        Ok(())
    }
}

/// A channel that is not open yet, and whose.
type Peer = (ChannelId, bitcoin::secp256k1::PublicKey);
