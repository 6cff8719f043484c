//! Opening channels to customers as payments to them arrive. The payment waits at this node until the
//! channel is there, and goes on less the price.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bitcoin::secp256k1::PublicKey;
use l402::Sat;
use lightning::ln::types::ChannelId;
use lightning::util::errors::APIError;
use lightning_liquidity::lsps0::ser::LSPSDateTime;
use lightning_liquidity::lsps2::event::LSPS2ServiceEvent;
use lightning_liquidity::lsps2::msgs::LSPS2RawOpeningFeeParams;

use super::LspOffer;
use crate::node::channels::random_number;
use crate::node::core::Core;

/// How long an offer holds.
const VALID: Duration = Duration::from_secs(24 * 3600);
/// For so many blocks a channel is kept, at the least.
const LIFETIME: u32 = 4_320;
/// The longest that a customer may have us wait for our money, in blocks.
const MAX_DELAY: u32 = 2_016;
/// The blocks of time a payment may take beyond this node.
const CLTV_DELTA: u32 = 144;
/// The smallest channel, and what is put in beyond the payment: for reserves and fees, and so that a
/// second payment fits.
const SMALLEST: Sat = Sat::from_sat(200_000);

fn terms(offer: &LspOffer) -> LSPS2RawOpeningFeeParams {
    let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + VALID;
    LSPS2RawOpeningFeeParams {
        min_fee_msat: offer.min_fee.msat(),
        proportional: offer.fee_ppm,
        valid_until: LSPSDateTime::new_from_duration_since_epoch(until),
        min_lifetime: LIFETIME,
        max_client_to_self_delay: MAX_DELAY,
        min_payment_size_msat: offer.min_payment.msat(),
        max_payment_size_msat: offer.max_payment.msat(),
    }
}

impl Core {
    pub(super) fn serve_liquidity(self: &Arc<Self>, event: LSPS2ServiceEvent) {
        let Some(offer) = &self.liquidity.offer else { return };
        let Some(service) = self.liquidity.manager.lsps2_service_handler() else { return };
        let done = match event {
            LSPS2ServiceEvent::GetInfo { request_id, counterparty_node_id, .. } => {
                let menu = vec![terms(offer)];
                service.opening_fee_params_generated(&counterparty_node_id, request_id, menu)
            }
            LSPS2ServiceEvent::BuyRequest { request_id, counterparty_node_id, .. } => {
                match random_number() {
                    Ok(number) => service.invoice_parameters_generated(
                        &counterparty_node_id,
                        request_id,
                        self.manager.get_intercept_scid(),
                        CLTV_DELTA,
                        true,
                        number,
                    ),
                    Err(error) => Err(APIError::APIMisuseError { err: error.to_string() }),
                }
            }
            LSPS2ServiceEvent::OpenChannel {
                their_network_key,
                amt_to_forward_msat,
                user_channel_id,
                ..
            } => {
                let opened = self.open_for(their_network_key, amt_to_forward_msat, user_channel_id);
                opened.or_else(|error| {
                    tracing::warn!(customer = %their_network_key, ?error, "no channel was opened");
                    service.channel_open_failed(&their_network_key, user_channel_id)
                })
            }
        };
        said(done);
    }

    /// Opens a channel with room for a payment and as much again. Told again after a crash, it opens
    /// no second one.
    fn open_for(&self, customer: PublicKey, msat: u64, number: u128) -> Result<(), APIError> {
        let channels = self.manager.list_channels_with_counterparty(&customer);
        if channels.iter().any(|channel| channel.user_channel_id == number) {
            return Ok(());
        }
        let capacity = (msat / 1_000).saturating_mul(2).saturating_add(SMALLEST.sat());
        let mut config = self.manager.get_current_config();
        config.channel_handshake_config.announce_for_forwarding = false;
        let opened = self.manager.create_channel(customer, capacity, 0, number, None, Some(config));
        opened.map(drop)
    }

    /// Payments for customers who have no channel yet are told to the service.
    pub(in crate::node) fn intercepted(
        &self,
        short_id: u64,
        id: lightning::ln::channelmanager::InterceptId,
        msat: u64,
        hash: lightning::types::payment::PaymentHash,
    ) {
        let service = self.liquidity.manager.lsps2_service_handler();
        let taken = service.map(|service| service.htlc_intercepted(short_id, id, msat, hash));
        if !matches!(taken, Some(Ok(()))) {
            // Held for nobody, it would block the channel it came by until it times out.
            tracing::debug!(short_id, ?taken, "a payment for nobody's channel goes back");
            if let Err(error) = self.manager.fail_intercepted_htlc(id) {
                tracing::warn!(?error, "a payment for nobody's channel is gone already");
            }
        }
    }

    /// A channel can be used: what waits for it goes on.
    pub(in crate::node) fn customer_ready(
        &self,
        number: u128,
        channel: &ChannelId,
        customer: &PublicKey,
    ) {
        if self.liquidity.offer.is_some()
            && let Some(service) = self.liquidity.manager.lsps2_service_handler()
        {
            // An error means that it is not one of those.
            let _ = service.channel_ready(number, channel, customer);
        }
    }

    /// A payment went on by a channel, less what was kept.
    pub(in crate::node) fn forwarded(&self, channel: ChannelId, kept_msat: u64) {
        if let Some(service) = self.liquidity.manager.lsps2_service_handler() {
            said(service.payment_forwarded(channel, kept_msat));
        }
    }

    /// A payment came back from the next node.
    pub(in crate::node) fn forwarding_failed(
        &self,
        how: lightning::events::HTLCHandlingFailureType,
    ) {
        if let Some(service) = self.liquidity.manager.lsps2_service_handler() {
            said(service.htlc_handling_failed(how));
        }
    }
}

fn said(done: Result<(), APIError>) {
    if let Err(error) = done {
        tracing::warn!(?error, "a customer's request for a channel came to nothing");
    }
}
