//! Being paid without a channel: the provider's price is asked and held against the limits, and the
//! invoice leads to us by way of the provider.

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use l402::{Msat, NodeError, NodeErrorKind, PaymentHash};
use lightning::routing::gossip::RoutingFees;
use lightning::routing::router::{RouteHint, RouteHintHop};
use lightning_liquidity::lsps0::ser::LSPSRequestId;
use lightning_liquidity::lsps2::msgs::LSPS2OpeningFeeParams;
use lightning_liquidity::lsps2::utils::{compute_opening_fee, is_expired_opening_fee_params};
use tokio::sync::oneshot;

use super::{Lsp, Told};
use crate::node::DRIVER;
use crate::node::core::Core;

/// How long the provider may take for one answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Where the price agreed for a payment is kept, by payment hash.
const SPACE: &str = "lsp-fee";

/// The way to us that a provider has sold, and its price.
#[derive(Debug)]
pub(in crate::node) struct Bought {
    pub(in crate::node) hint: RouteHint,
    pub(in crate::node) fee: Msat,
}

fn refused(why: impl Into<String>) -> NodeError {
    NodeError::new(DRIVER, NodeErrorKind::Refused).because(why.into())
}

impl Core {
    /// Whether a payment to us needs a channel that is not there, and there is somebody to open it.
    pub(in crate::node) fn needs_provider(&self, amount: Msat) -> bool {
        if self.liquidity.lsp.is_none() {
            return false;
        }
        // A channel whose peer is away for a moment has room all the same.
        let channels = self.manager.list_channels();
        let ready = channels.iter().filter(|channel| channel.is_channel_ready);
        let room: u64 = ready.map(|channel| channel.inbound_capacity_msat).sum();
        room < amount.msat()
    }

    /// Buys a channel for a payment of this amount. It costs nothing unless the payment comes.
    ///
    /// # Errors
    /// The provider is away, refuses, or wants more than it may.
    pub(in crate::node) async fn buy_channel(&self, amount: Msat) -> Result<Bought, NodeError> {
        let (id, lsp) = self.liquidity.lsp.as_ref().expect("asked when there is one");
        if self.peers.peer_by_node_id(id).is_none() {
            let why = format!("the liquidity provider at {} is not connected", lsp.address);
            return Err(NodeError::new(DRIVER, NodeErrorKind::Unreachable).because(why));
        }
        let client = self.liquidity.manager.lsps2_client_handler().expect("it is configured");
        let token = lsp.token.as_ref().map(|token| token.expose().clone());
        let menu = self.ask(lsp, || Ok(client.request_opening_params(*id, token)));
        let Told::Menu(menu) = menu.await? else { return Err(confused(lsp)) };
        let (terms, fee) = choose(&menu, amount, lsp, self.delay())?;
        let bought = self.ask(lsp, || {
            client
                .select_opening_params(*id, Some(amount.msat()), terms)
                .map_err(|error| refused(format!("{error:?}")))
        });
        let Told::Hop { short_id, cltv_delta } = bought.await? else { return Err(confused(lsp)) };
        let cltv_expiry_delta = u16::try_from(cltv_delta).map_err(|_| {
            refused(format!("the liquidity provider wants {cltv_delta} blocks of time"))
        })?;
        let hint = hint(*id, short_id, cltv_expiry_delta);
        Ok(Bought { hint, fee })
    }

    /// The blocks for which the other side of our channels waits for its money.
    fn delay(&self) -> u32 {
        self.manager.get_current_config().channel_handshake_config.our_to_self_delay.into()
    }

    /// Asks the provider one thing.
    async fn ask(
        &self,
        lsp: &Lsp,
        question: impl FnOnce() -> Result<LSPSRequestId, NodeError>,
    ) -> Result<Told, NodeError> {
        let (sender, receiver) = oneshot::channel();
        let number = {
            // The answer cannot come before it is waited for.
            let mut asked = self.liquidity.asked();
            let number = question()?;
            asked.insert(number.clone(), sender);
            number
        };
        self.peers.process_events();
        let answer = tokio::time::timeout(PATIENCE, receiver).await;
        self.liquidity.asked().remove(&number);
        match answer {
            Ok(Ok(Ok(told))) => Ok(told),
            Ok(Ok(Err(why))) => {
                Err(refused(format!("the liquidity provider at {} refuses: {why}", lsp.address)))
            }
            Ok(Err(_)) | Err(_) => {
                let why = format!("the liquidity provider at {} does not answer", lsp.address);
                Err(NodeError::new(DRIVER, NodeErrorKind::Timeout).because(why))
            }
        }
    }

    /// Writes down what may be kept out of a payment.
    ///
    /// # Errors
    /// The node's file failed.
    pub(in crate::node) fn agree_on_fee(
        &self,
        hash: PaymentHash,
        fee: Msat,
    ) -> rusqlite::Result<()> {
        self.store.put([SPACE, "", &hash.to_string()], &fee.msat().to_be_bytes())
    }

    /// What may be kept out of a payment; nothing unless it was agreed.
    pub(in crate::node) fn agreed_fee(&self, hash: PaymentHash) -> rusqlite::Result<Msat> {
        let kept = self.store.get([SPACE, "", &hash.to_string()])?;
        let kept = kept.and_then(|bytes| bytes.try_into().ok());
        Ok(Msat::from_msat(kept.map_or(0, u64::from_be_bytes)))
    }

    /// The payment has come, and the agreement has served.
    pub(in crate::node) fn forget_fee(&self, hash: PaymentHash) {
        if self.liquidity.lsp.is_some()
            && let Err(error) = self.store.remove([SPACE, "", &hash.to_string()])
        {
            tracing::warn!(%hash, %error, "what was agreed for a payment stays written");
        }
    }
}

fn confused(lsp: &Lsp) -> NodeError {
    let why = format!("the liquidity provider at {} answered another question", lsp.address);
    NodeError::new(DRIVER, NodeErrorKind::Protocol).because(why)
}

fn hint(lsp: PublicKey, short_channel_id: u64, cltv_expiry_delta: u16) -> RouteHint {
    RouteHint(vec![RouteHintHop {
        src_node_id: lsp,
        short_channel_id,
        fees: RoutingFees { base_msat: 0, proportional_millionths: 0 },
        cltv_expiry_delta,
        htlc_minimum_msat: None,
        htlc_maximum_msat: None,
    }])
}

/// The cheapest terms for a payment, if they are within the limits.
fn choose(
    menu: &[LSPS2OpeningFeeParams],
    amount: Msat,
    lsp: &Lsp,
    delay: u32,
) -> Result<(LSPS2OpeningFeeParams, Msat), NodeError> {
    let takes = |terms: &&LSPS2OpeningFeeParams| {
        let range = terms.min_payment_size_msat..=terms.max_payment_size_msat;
        range.contains(&amount.msat())
    };
    let live = menu.iter().filter(|terms| !is_expired_opening_fee_params(terms));
    let live: Vec<_> = live.filter(|terms| terms.max_client_to_self_delay >= delay).collect();
    let least = live.iter().map(|terms| terms.min_payment_size_msat).min();
    let fee = |terms: &LSPS2OpeningFeeParams| {
        compute_opening_fee(amount.msat(), terms.min_fee_msat, terms.proportional.into())
    };
    let priced = live.into_iter().filter(takes).filter_map(|terms| Some((terms, fee(terms)?)));
    let Some((terms, fee)) = priced.min_by_key(|(_, fee)| *fee) else {
        return Err(refused(match least.map(Msat::from_msat) {
            Some(least) if amount < least => format!(
                "no channel has room for {amount}, and the liquidity provider at {} opens one for \
                 payments of {least} and more: be paid that much once",
                lsp.address
            ),
            _ => format!(
                "no channel has room for {amount}, and the liquidity provider at {} opens none \
                 for a payment of that size",
                lsp.address
            ),
        }));
    };
    let fee = Msat::from_msat(fee);
    let share = amount.ppm_ceil(lsp.max_fee_ppm);
    if fee > lsp.max_fee || fee > share || fee >= amount {
        return Err(refused(format!(
            "the liquidity provider at {} wants {fee} to open a channel for a payment of {amount}; the \
             limits are lsp_max_fee={} and {share}, which is lsp_max_ppm={} of the payment",
            lsp.address, lsp.max_fee, lsp.max_fee_ppm
        )));
    }
    Ok((terms.clone(), fee))
}

#[cfg(test)]
mod tests {
    use l402::NodeId;
    use lightning_liquidity::lsps0::ser::LSPSDateTime;

    use super::*;

    fn terms(min_fee: u64, ppm: u32, payments: (u64, u64), live: bool) -> LSPS2OpeningFeeParams {
        let until = Duration::from_secs(if live { 4_000_000_000 } else { 1_000_000_000 });
        LSPS2OpeningFeeParams {
            min_fee_msat: min_fee,
            proportional: ppm,
            valid_until: LSPSDateTime::new_from_duration_since_epoch(until),
            min_lifetime: 4_320,
            max_client_to_self_delay: 144,
            min_payment_size_msat: payments.0,
            max_payment_size_msat: payments.1,
            promise: String::new(),
        }
    }

    fn lsp() -> Lsp {
        Lsp {
            id: NodeId([2; 33]),
            address: "lsp:9735".to_owned(),
            token: None,
            max_fee: Lsp::MAX_FEE,
            max_fee_ppm: Lsp::MAX_FEE_PPM,
        }
    }

    fn price(menu: &[LSPS2OpeningFeeParams], msat: u64) -> Result<u64, String> {
        use std::error::Error;
        let chosen = choose(menu, Msat::from_msat(msat), &lsp(), 144);
        chosen
            .map(|(_, fee)| fee.msat())
            .map_err(|error| error.source().expect("it says why").to_string())
    }

    #[test]
    fn the_cheapest_terms_that_hold_are_taken() {
        let wide = (1_000, 10_000_000_000);
        let menu = [
            terms(1_000_000, 0, wide, true),
            terms(1, 0, wide, false),
            terms(500_000, 10_000, wide, true),
            terms(1, 0, (1, 2), true),
        ];
        assert_eq!(price(&menu, 20_000_000), Ok(500_000));
        assert_eq!(price(&menu, 90_000_001), Ok(900_001));
        assert_eq!(price(&menu, 200_000_000), Ok(1_000_000));
    }

    #[test]
    fn a_price_above_a_limit_is_refused_and_both_are_named() {
        let menu = [terms(4_000_000, 20_000, (1_000_000, 10_000_000_000), true)];
        assert_eq!(price(&menu, 20_000_000), Ok(4_000_000));
        for dear in [19_999_000, 300_000_000] {
            let why = price(&menu, dear).unwrap_err();
            assert!(why.contains("lsp_max_fee") && why.contains("lsp_max_ppm"), "{why}");
        }
        let why = price(&menu, 10_000).unwrap_err();
        assert!(why.contains("1000000 msat") || why.contains("1000 sat"), "{why}");
        assert!(price(&[], 1).is_err());
        assert!(price(&[terms(0, 0, (0, u64::MAX), true)], u64::MAX).is_ok());
    }
}
