//! `services=name:tier,...`: which services a token opens.

use super::{Caveat, Facts, is_sublist};
use crate::hash::PaymentHash;

/// The `services` caveat (macaroon-spec.md, "Target services"). Tiers are read and compared when
/// narrowing; which tier a route needs is not a thing that any deployed server says.
#[derive(Debug)]
pub(super) struct Services;

impl Caveat for Services {
    fn condition(&self) -> &'static str {
        "services"
    }

    fn allows(&self, value: &str, facts: &Facts<'_>, _paid: PaymentHash) -> bool {
        services(value).is_some_and(|mut names| names.any(|name| name == facts.service))
    }

    fn narrows(&self, previous: &str, next: &str) -> bool {
        services(previous).is_some() && is_sublist(previous, next)
    }
}

/// The names in the list, or `None` when any item is not `name:tier`.
fn services(value: &str) -> Option<impl Iterator<Item = &str>> {
    let item = |item| service(item).map(|(name, _)| name);
    value.split(',').all(|text| item(text).is_some()).then(|| value.split(',').filter_map(item))
}

fn service(item: &str) -> Option<(&str, u8)> {
    let (name, tier) = item.split_once(':')?;
    let tier_is_decimal = !tier.is_empty() && tier.bytes().all(|byte| byte.is_ascii_digit());
    (!name.is_empty() && tier_is_decimal).then_some((name, tier.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_name_and_a_tier() {
        let names = |value| services(value).map(Iterator::collect::<Vec<_>>);
        assert_eq!(names("a:0"), Some(vec!["a"]));
        assert_eq!(names("a:0,b:1,c:0"), Some(vec!["a", "b", "c"]));
        for bad in ["", ":0", "a", "a:", "a:b", ",,", "a:256", "a:+1", "a:0,"] {
            assert_eq!(names(bad), None, "{bad}");
        }
    }
}
