//! `<service>_capabilities=a,b`: what a token may do at one service.

use super::{Caveat, Facts, is_sublist};
use crate::hash::PaymentHash;

const SUFFIX: &str = "_capabilities";

/// The capabilities caveat (macaroon-spec.md, "Service capabilities"). A token without it may do
/// everything; a route that names no capability needs none.
#[derive(Debug)]
pub(super) struct Capabilities;

impl Caveat for Capabilities {
    fn condition(&self) -> &'static str {
        "<service>_capabilities"
    }

    fn knows(&self, condition: &str) -> bool {
        condition.strip_suffix(SUFFIX).is_some_and(|service| !service.is_empty())
    }

    fn reads(&self, condition: &str, facts: &Facts<'_>) -> bool {
        condition.strip_suffix(SUFFIX) == Some(facts.service)
    }

    fn allows(&self, value: &str, facts: &Facts<'_>, _paid: PaymentHash) -> bool {
        facts.capability.is_none_or(|needed| value.split(',').any(|granted| granted == needed))
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        is_sublist(previous, next)
    }
}
