//! `preimage=hex`: the proof of payment carried inside the token, as lnget and gRPC clients do.

use super::{Caveat, Facts};
use crate::hash::{PaymentHash, Preimage};

/// The preimage caveat (macaroon-spec.md, "Preimage"): holds when it opens the token's payment hash.
#[derive(Debug)]
pub(super) struct PreimageCaveat;

impl Caveat for PreimageCaveat {
    fn condition(&self) -> &'static str {
        "preimage"
    }

    fn allows(&self, value: &str, _facts: &Facts<'_>, paid: PaymentHash) -> bool {
        value.parse::<Preimage>().is_ok_and(|preimage| preimage.opens(paid))
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        previous.eq_ignore_ascii_case(next)
    }
}
