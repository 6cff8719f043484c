//! Which token to send with which request. The client cannot verify a token, but it can read one: it
//! judges the caveats by the server's own rules, and where they say nothing it goes by what the
//! token was bought for.
//!
//! - A token is sent to the origin that issued it and to no other.
//! - Caveats that cannot hold for the request (another path or method, expired, not yet valid) rule a
//!   token out: it is not sent, and does not stand in the way of buying one.
//! - A token *covers* a request that it was bought for (same method and path, whatever the query),
//!   one that its `path_prefix` caveat names, and one whose challenge is for the same `services`.
//! - Any other token of the origin is a *guess*: many servers sell one token for everything. At most
//!   one guess is made for a request, the token whose path has most in common with it, and only in
//!   place of asking with no token at all, so that a wrong guess costs nothing.

use std::time::SystemTime;

use http::Method;
use l402::caveat::{CAVEATS, split};
use l402::{Facts, Macaroon, PaymentHash};

use crate::wallet::{Purchase, Standing, Token};

const SERVICES: &str = "services";
const PATH_PREFIX: &str = "path_prefix";
const VALID_UNTIL: &str = "_valid_until";
/// Only the server knows from where our request comes.
const CLIENT_IP: &str = "client_ip";

/// The request at hand, as far as it decides which token to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    /// The token of the challenge that the request was answered with, once there is one.
    pub(crate) offered: Option<&'a l402::Token>,
    pub(crate) now: SystemTime,
}

impl Wanted<'_> {
    /// Whether nothing that can be read in the token rules this request out.
    pub(crate) fn may_open(&self, purchase: &Purchase) -> bool {
        let hash = purchase.hash();
        match purchase.challenge.token.macaroons() {
            Some(macaroons) => macaroons.iter().any(|macaroon| self.holds(macaroon, hash)),
            None => true,
        }
    }

    /// Whether the token should open this request, not only might. Where it was never honoured at
    /// all the method is left out: what is refused by `GET` is not bought once more by `POST`.
    pub(crate) fn is_covered_by(&self, token: &Token) -> bool {
        let purchase = &token.purchase;
        let same_method = token.standing != Standing::Honoured || purchase.method == *self.method;
        self.may_open(purchase)
            && (same_method && purchase.path == self.path || self.names(purchase))
    }

    /// Whether a payment that was begun is for what is wanted here, so that its end must be known
    /// before anything else is paid.
    pub(crate) fn is_bought_by(&self, purchase: &Purchase) -> bool {
        purchase.path == self.path || self.may_open(purchase) && self.names(purchase)
    }

    /// Picks the token to send; `guess` also allows one that merely might open the request.
    pub(crate) fn pick<'t>(&self, tokens: &'t [Token], guess: bool) -> Option<&'t Token> {
        let usable = tokens.iter().filter(|token| self.may_open(&token.purchase));
        let rank = |token: &&Token| {
            let covers = self.is_covered_by(token);
            let honoured = token.standing == Standing::Honoured;
            (covers, in_common(&token.purchase.path, self.path), honoured, token.paid_at)
        };
        usable.filter(|token| guess || self.is_covered_by(token)).max_by_key(rank)
    }

    /// Whether the token's caveats name this request: by path, or by the services on offer.
    fn names(&self, purchase: &Purchase) -> bool {
        let token = &purchase.challenge.token;
        // That the prefix is one of this path was checked with the other caveats.
        !values(token, PATH_PREFIX).is_empty() || {
            let services = values(token, SERVICES);
            !services.is_empty()
                && self.offered.is_some_and(|offered| values(offered, SERVICES) == services)
        }
    }

    /// Whether all caveats hold for some service that the macaroon could be for.
    fn holds(&self, macaroon: &Macaroon, paid: PaymentHash) -> bool {
        let caveats: Vec<_> = macaroon.caveats().flatten().filter_map(split).collect();
        services(&caveats).iter().any(|service| {
            let facts = Facts {
                service,
                capability: None,
                method: self.method.as_str(),
                path: self.path,
                client_ip: None,
                now: self.now,
            };
            caveats.iter().filter(|(condition, _)| *condition != CLIENT_IP).all(
                |(condition, value)| {
                    CAVEATS
                        .iter()
                        .filter(|kind| kind.knows(condition) && kind.reads(condition, &facts))
                        .all(|kind| kind.allows(value, &facts, paid))
                },
            )
        })
    }
}

/// The services that a macaroon names: in its last `services` caveat, which is the narrowest, or by
/// the conditions of the others. When it names none, one without a name.
fn services<'a>(caveats: &[(&'a str, &'a str)]) -> Vec<&'a str> {
    let listed = caveats.iter().rev().find(|(condition, _)| *condition == SERVICES);
    if let Some((_, list)) = listed {
        return list.split(',').map(|item| item.split(':').next().unwrap_or(item)).collect();
    }
    let named: Vec<_> =
        caveats.iter().filter_map(|(condition, _)| condition.strip_suffix(VALID_UNTIL)).collect();
    if named.is_empty() { vec![""] } else { named }
}

/// The values of all caveats of one condition, in order.
fn values(token: &l402::Token, condition: &str) -> Vec<String> {
    let macaroons = token.macaroons().unwrap_or_default();
    macaroons
        .iter()
        .flat_map(Macaroon::caveats)
        .flatten()
        .filter_map(split)
        .filter(|(name, _)| *name == condition)
        .map(|(_, value)| value.to_owned())
        .collect()
}

/// How many leading segments two paths share.
fn in_common(a: &str, b: &str) -> usize {
    a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b).count()
}
