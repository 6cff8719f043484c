//! What must stay on the chain. The transaction that closes a channel pays next to no fee by itself;
//! when it matters, a child of it pays, from a coin of the on-chain wallet. A node without coins
//! cannot hurry a closing, and a peer who cheats then may win.

use bitcoin::FeeRate;
use l402::Sat;
use lightning::util::anchor_channel_reserves::{
    AnchorChannelReserveContext, can_support_additional_anchor_channel, get_reserve_per_channel,
};

use super::core::Core;

/// So many payments of a channel are reckoned to need a transaction of their own when it closes.
/// Payments for a call are below the dust limit and need none.
const PAYMENTS_PER_CHANNEL: u16 = 1;
/// The fee rate that closings are reckoned at, as LDK reckons: what 99 of 100 blocks since 2019 took.
const UPPER_FEERATE: FeeRate = FeeRate::from_sat_per_kwu(12_500);

fn context() -> AnchorChannelReserveContext {
    AnchorChannelReserveContext {
        upper_bound_fee_rate: UPPER_FEERATE,
        expected_accepted_htlcs: PAYMENTS_PER_CHANNEL,
        taproot_wallet: false,
    }
}

/// What is kept on the chain for each channel.
pub(super) fn per_channel() -> Sat {
    Sat::from_sat(get_reserve_per_channel(&context()).to_sat())
}

/// What is kept for so many channels.
pub(super) fn for_channels(channels: usize) -> Sat {
    let channels = u64::try_from(channels).unwrap_or(u64::MAX);
    Sat::from_sat(per_channel().sat().saturating_mul(channels))
}

impl Core {
    /// Whether a channel that a peer asks for could be closed in a hurry: there is a coin for it, of
    /// its own.
    pub(super) fn has_reserve_for_another(&self) -> bool {
        use lightning::events::bump_transaction::sync::WalletSourceSync;
        let coins = self.wallet.list_confirmed_utxos().unwrap_or_default();
        can_support_additional_anchor_channel(&context(), &coins, &*self.manager, &*self.monitors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_tens_of_thousands_of_satoshi() {
        assert!((20_000..60_000).contains(&per_channel().sat()), "{}", per_channel());
        assert_eq!(for_channels(3).sat(), 3 * per_channel().sat());
        assert_eq!(for_channels(usize::MAX).sat(), u64::MAX);
    }
}
