//! `method=GET,HEAD`: which HTTP methods a token may use.

use super::{Caveat, Facts, is_sublist};
use crate::hash::PaymentHash;

/// A list of methods, compared with their case as RFC 9110 section 9.1 has it.
#[derive(Debug)]
pub(super) struct Method;

impl Caveat for Method {
    fn condition(&self) -> &'static str {
        "method"
    }

    fn allows(&self, value: &str, facts: &Facts<'_>, _paid: PaymentHash) -> bool {
        value.split(',').any(|method| method == facts.method)
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        is_sublist(previous, next)
    }
}
