//! `path_prefix=/v1/weather`: which part of a service a token opens.

use super::{Caveat, Facts};
use crate::hash::PaymentHash;
use crate::path;

/// A path and everything below it, by whole segments. A path that two programs could read
/// differently (see [`path::is_plain`]) is below nothing.
#[derive(Debug)]
pub(super) struct PathPrefix;

impl Caveat for PathPrefix {
    fn condition(&self) -> &'static str {
        "path_prefix"
    }

    fn allows(&self, value: &str, facts: &Facts<'_>, _paid: PaymentHash) -> bool {
        value.starts_with('/') && path::is_plain(facts.path) && path::is_below(value, facts.path)
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        previous.starts_with('/') && path::is_below(previous, next)
    }
}
