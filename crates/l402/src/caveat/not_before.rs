//! `not_before=unix seconds`: from when on a token opens anything.

use super::{Caveat, Facts, decimal, unix_time};
use crate::hash::PaymentHash;

/// A token for later: holds once the clock has reached it.
#[derive(Debug)]
pub(super) struct NotBefore;

impl Caveat for NotBefore {
    fn condition(&self) -> &'static str {
        "not_before"
    }

    fn allows(&self, value: &str, facts: &Facts<'_>, _paid: PaymentHash) -> bool {
        unix_time(value).is_some_and(|start| facts.now >= start)
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        matches!((decimal(previous), decimal(next)), (Some(before), Some(after)) if after >= before)
    }
}
