//! `request_count=10`: for how many requests a token is good.

use super::{Caveat, Facts, decimal};
use crate::hash::PaymentHash;

/// A number of requests. Whether any are left only a store can say: see
/// [`Counter`](super::Counter).
#[derive(Debug)]
pub(super) struct RequestCount;

impl Caveat for RequestCount {
    fn condition(&self) -> &'static str {
        "request_count"
    }

    fn allows(&self, value: &str, _facts: &Facts<'_>, _paid: PaymentHash) -> bool {
        decimal(value).is_some_and(|limit| limit > 0)
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        matches!((decimal(previous), decimal(next)), (Some(before), Some(after)) if after <= before)
    }

    fn counts(&self, value: &str) -> Option<u64> {
        decimal(value)
    }
}
