//! What a buyer agrees to. The core's terms name the node's network, which is not known before the
//! node is open: these are the same, one step earlier.

use std::time::Duration;

use l402::{Msat, Network, flow};

/// What the caller agrees to for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The most one invoice may ask for, in millisatoshi.
    pub max_cost: Msat,
    /// The most that routing may cost on top, in millisatoshi.
    pub max_fee: Msat,
    /// How long to wait for the payment to end. A payment that has not ended by then may still end
    /// either way: see [`Error::Unknown`](crate::Error::Unknown).
    pub patience: Duration,
    /// Refuse tokens that do not show which payment they are for.
    pub require_bound: bool,
}

impl Terms {
    /// At most `max_cost` for an invoice. On top of it at most 1 % of `max_cost` for routing, or 10
    /// sat where that is more; one minute for the payment to end.
    pub fn up_to(max_cost: Msat) -> Self {
        let ten_sat = Msat::from_msat(10_000);
        Self {
            max_cost,
            max_fee: max_cost.ppm_ceil(10_000).max(ten_sat),
            patience: Duration::from_secs(60),
            require_bound: false,
        }
    }

    /// The same, for a node on that network.
    pub(crate) const fn on(self, network: Network) -> flow::Terms {
        let Self { max_cost, max_fee, patience, require_bound } = self;
        flow::Terms { max_cost, max_fee, network, patience, require_bound }
    }
}
