//! What a node agrees to with its peers, by network.

use l402::Network;
use lightning::util::config::{MaxDustHTLCExposure, UserConfig};

use super::Config;

/// What a settled payment of others may leave unclaimable in a channel, if it closes at the worst
/// moment: payments for an API call are below the dust limit, and a channel must carry many.
const MOST_DUST_MSAT: u64 = 25_000_000;

/// How deep the transaction of a channel to us must be before its money counts. Elsewhere blocks are
/// left behind now and then.
fn depth(network: Network) -> u32 {
    match network {
        Network::Mainnet => 6,
        Network::Testnet | Network::Signet => 3,
        Network::Regtest => 1,
    }
}

pub(super) fn user_config(ours: &Config) -> UserConfig {
    let mut config = UserConfig::default();
    let handshake = &mut config.channel_handshake_config;
    handshake.negotiate_anchors_zero_fee_htlc_tx = true;
    handshake.max_inbound_htlc_value_in_flight_percent_of_channel = 100;
    handshake.minimum_depth = depth(ours.network);
    handshake.our_max_accepted_htlcs = 483;
    config.channel_handshake_limits.force_announced_channel_preference = false;
    config.channel_config.max_dust_htlc_exposure =
        MaxDustHTLCExposure::FixedLimitMsat(MOST_DUST_MSAT);
    config.accept_forwards_to_priv_channels = true;
    config.accept_intercept_htlcs = ours.lsp_offer.is_some();
    // Anchors need a reserve, which is looked at before a channel is taken.
    config.manually_accept_inbound_channels = true;
    config
}

pub(super) fn bitcoin_network(network: Network) -> bitcoin::Network {
    match network {
        Network::Mainnet => bitcoin::Network::Bitcoin,
        Network::Testnet => bitcoin::Network::Testnet,
        Network::Signet => bitcoin::Network::Signet,
        Network::Regtest => bitcoin::Network::Regtest,
    }
}
