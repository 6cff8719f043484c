//! `<service>_valid_until=unix seconds`: until when a token opens one service.

use super::{Caveat, Facts, unix_time};
use crate::hash::PaymentHash;

const SUFFIX: &str = "_valid_until";

/// The expiry caveat (macaroon-spec.md, "Service constraints"): holds while the clock is before it.
#[derive(Debug)]
pub(super) struct ValidUntil;

impl Caveat for ValidUntil {
    fn condition(&self) -> &'static str {
        "<service>_valid_until"
    }

    fn knows(&self, condition: &str) -> bool {
        condition.strip_suffix(SUFFIX).is_some_and(|service| !service.is_empty())
    }

    fn reads(&self, condition: &str, facts: &Facts<'_>) -> bool {
        condition.strip_suffix(SUFFIX) == Some(facts.service)
    }

    fn allows(&self, value: &str, facts: &Facts<'_>, _paid: PaymentHash) -> bool {
        unix_time(value).is_some_and(|end| facts.now < end)
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        // As times, not as numbers: a number beyond all clocks allows nothing, whatever follows it.
        matches!((unix_time(previous), unix_time(next)), (Some(before), Some(after)) if after <= before)
    }
}
