//! The `Payment` scheme as a service sells by it: what a challenge is bound to, who wants one, and who
//! comes back. One payment is good for one request; that is kept in the store, in `claim.rs`.

use std::borrow::Cow;
use std::time::SystemTime;

use hex::DisplayHex;
use http::header::HeaderName;
use http::request::Parts;
use l402::scheme::{ChargeCredential, ChargeKeys, Charged, Field, Offer};
use sha2::{Digest, Sha256};

use crate::gate::Shut;
use crate::route;
use crate::tariff::Tariff;

static ACCEPT_PAYMENT: HeaderName = HeaderName::from_static("accept-payment");
static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// A longer route is named by its hash.
const LONGEST_ROUTE: usize = 256;

/// In which ways a service asks to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schemes {
    /// Tokens, by `L402` and `LSAT`.
    pub l402: bool,
    /// Payments that are each good for one request, by `Payment`, with the credential in that header.
    pub charge: Option<Field>,
}

/// Tokens only.
impl Default for Schemes {
    fn default() -> Self {
        Self { l402: true, charge: None }
    }
}

/// What a challenge for one request is bound to.
#[derive(Debug)]
pub(crate) struct Binding<'a> {
    realm: &'a str,
    service: &'a str,
    route: Cow<'a, str>,
    field: Field,
}

impl<'a> Binding<'a> {
    /// What it would be for this request, if the service takes such payments.
    pub(crate) fn of(tariff: &'a Tariff, head: &'a Parts) -> Option<Self> {
        let field = tariff.schemes.charge?;
        let realm = route::asked_host(head).unwrap_or("tollway");
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let route = format!("{} {target}", head.method);
        let route = match route.len() {
            0..=LONGEST_ROUTE => route,
            _ => format!("sha256:{}", Sha256::digest(route).as_hex()),
        };
        Some(Self { realm, service: tariff.name(), route: route.into(), field })
    }

    pub(crate) fn offer(&self) -> Offer<'_> {
        let Self { realm, service, route, field } = self;
        Offer { realm, service, route, field: *field }
    }

    /// The credential that came for it, if one did.
    ///
    /// # Errors
    /// It cannot be read, or does not open this.
    pub(crate) fn verify(
        &self,
        keys: &ChargeKeys,
        head: &Parts,
        now: SystemTime,
    ) -> Result<Option<Charged>, Shut> {
        let Some(found) = ChargeCredential::read(&head.headers, self.field)? else {
            return Ok(None);
        };
        Ok(Some(found.verify(keys, &self.offer(), now)?))
    }
}

/// Which ways to pay a client wants, of those that a service has. It may say which payments it can
/// make (`Accept-Payment`, section "Payment Preferences"); an invoice it cannot pay need not be made.
/// Who can make none of ours is told all the same what there is.
pub(crate) fn wanted(schemes: Schemes, head: &Parts) -> Schemes {
    let mut said = head.headers.get_all(&ACCEPT_PAYMENT).iter().peekable();
    if schemes.charge.is_none() || said.peek().is_none() {
        return schemes;
    }
    let mut takes = said.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let charge = takes.any(accepts_charge);
    Schemes { charge: schemes.charge.filter(|_| charge || !schemes.l402), ..schemes }
}

/// Whether one item of `Accept-Payment`, as `lightning/charge;q=0.5`, takes what we offer.
fn accepts_charge(item: &str) -> bool {
    let mut parts = item.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
    let refused = parts.any(|parameter| {
        let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
        weight.is_some_and(|weight| weight.trim().parse::<f32>().is_ok_and(|weight| weight == 0.0))
    });
    matches!(&*kind, "lightning/charge" | "lightning/*" | "*/*" | "*") && !refused
}

/// Names a request that says it may be sent again: by its key, its method and its target. Whoever
/// sends it again with the same payment gets the same answer.
pub(crate) fn repeatable(head: &Parts) -> Option<[u8; 32]> {
    let key = head.headers.get(&IDEMPOTENCY_KEY)?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let mut digest = Sha256::new();
    for part in [head.method.as_str().as_bytes(), target.as_bytes(), key.as_bytes()] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    Some(digest.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::post("/a?b=c");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_client_that_says_what_it_can_pay_is_asked_for_that() {
        let both = Schemes { l402: true, charge: Some(Field::Authorization) };
        let charge = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("accept-payment", *line)).collect();
            wanted(both, &head(&lines)).charge.is_some()
        };
        for yes in ["lightning/charge", "tempo/charge, Lightning/*;q=0.5", "*/*", "x/y;q=1,*"] {
            assert!(charge(&[yes]), "{yes}");
        }
        assert!(charge(&[]) && charge(&["tempo/charge", "lightning/charge"]));
        for no in ["", "tempo/charge", "lightning/session", "lightning/charge;q=0", "*/*; q=0.0"] {
            assert!(!charge(&[no]), "{no}");
        }
        let only = Schemes { l402: false, ..both };
        let other = head(&[("accept-payment", "tempo/charge")]);
        assert_eq!(wanted(only, &other), only, "there is nothing else to say");
    }

    #[test]
    fn a_request_is_the_same_when_its_key_method_and_target_are() {
        let name = |key: &str| repeatable(&head(&[("idempotency-key", key)]));
        assert_eq!(name("a"), name("a"));
        assert_ne!(name("a"), name("b"));
        assert_eq!(repeatable(&head(&[])), None);
        let (mut other, _) = http::Request::post("/a?b=d").body(()).unwrap().into_parts();
        other.headers.insert(&IDEMPOTENCY_KEY, "a".parse().unwrap());
        assert_ne!(repeatable(&other), name("a"));
    }
}
