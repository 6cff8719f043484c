//! Which token to send with which request. The client cannot verify a token, but it can read one: it
//! judges the caveats by the server's own rules, and where they say nothing it goes by what the
//! token was bought for.
//!
//! - A token is sent to the origin that issued it and to no other.
//! - Caveats that cannot hold for the request (another path or method, expired, not yet valid) rule a
//!   token out: it is not sent, and does not stand in the way of buying one.
//! - Otherwise a token fits a request more or less well: see [`Fit`]. The best one is sent first.
//! - A token that is good for one request is sent with that request, and not once it was taken.
//! - Of several tokens for the same `services`, the newest stands for all, but for a request that one
//!   of the others was bought for.

use std::time::SystemTime;

use http::Method;
use l402::caveat::{CAVEATS, split};
use l402::{Facts, Macaroon, PaymentHash};

use crate::target::Target;
use crate::wallet::{Purchase, Standing, Token};

const SERVICES: &str = "services";
const PATH_PREFIX: &str = "path_prefix";
const VALID_UNTIL: &str = "_valid_until";
/// Only the server knows from where our request comes.
const CLIENT_IP: &str = "client_ip";

/// How well a token that nothing rules out fits a request, the best last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fit {
    /// It is for the same origin, and many servers sell one token for everything. One guess is made
    /// for a request, in place of asking with no token at all, so that a wrong one costs nothing.
    Guess,
    /// It names the services that the challenge is for.
    Offered,
    /// It names the path, by a `path_prefix`.
    Named,
    /// It was bought for this method and path, whatever the query. Where it was never honoured the
    /// method is left out: what `GET` refuses is not bought once more by `POST`.
    Exact,
}

/// The request at hand, as far as it decides which token to send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) target: Target,
    /// The token of the challenge that the request was answered with, once there is one.
    pub(crate) offered: Option<&'a l402::Token>,
    pub(crate) now: SystemTime,
}

/// What decides whether something that was bought, or is being bought, opens a request.
#[derive(Clone, Copy)]
struct Good<'a> {
    token: &'a l402::Token,
    hash: PaymentHash,
}

impl<'a> From<&'a Token> for Good<'a> {
    fn from(token: &'a Token) -> Self {
        Self { token: &token.token, hash: token.hash }
    }
}

impl<'a> From<&'a Purchase> for Good<'a> {
    fn from(purchase: &'a Purchase) -> Self {
        Self { token: &purchase.challenge.token, hash: purchase.hash() }
    }
}

impl Wanted<'_> {
    /// How well the token fits; `None` when it is ruled out.
    pub(crate) fn fit(&self, token: &Token) -> Option<Fit> {
        let good = Good::from(token);
        let manner = token.manner();
        if manner.single_use {
            let is_good = token.standing != Standing::Honoured
                && token.target == Some(self.target)
                && manner.expires.is_none_or(|end| self.now < end);
            return is_good.then_some(Fit::Exact);
        }
        if !self.may_open(good) {
            return None;
        }
        let same_method = token.standing != Standing::Honoured || token.method == *self.method;
        Some(if same_method && token.path == self.path {
            Fit::Exact
        } else if self.is_named(good) {
            Fit::Named
        } else if self.is_offered(good) {
            Fit::Offered
        } else {
            Fit::Guess
        })
    }

    /// Whether a payment that was begun is for what is wanted here, so that its end must be known
    /// before anything else is paid.
    pub(crate) fn is_bought_by(&self, purchase: &Purchase) -> bool {
        if purchase.challenge.manner().single_use {
            return purchase.target == Some(self.target);
        }
        let good = Good::from(purchase);
        let by_caveats = || self.is_named(good) || self.is_offered(good);
        purchase.path == self.path || self.may_open(good) && by_caveats()
    }

    /// Picks the token to send out of all there are for the origin, but for those that `spare`
    /// excludes; `guess` allows one that merely might open the request.
    pub(crate) fn pick<'t>(
        &self,
        tokens: &'t [Token],
        spare: impl Fn(&Token) -> bool,
        guess: bool,
    ) -> Option<&'t Token> {
        let ranked = tokens.iter().filter(|token| !spare(token)).filter_map(|token| {
            let fit = self.fit(token)?;
            let sent = match fit {
                Fit::Exact | Fit::Named => true,
                Fit::Offered => !is_superseded(token, tokens),
                Fit::Guess => guess && !is_superseded(token, tokens),
            };
            let honoured = token.standing == Standing::Honoured;
            let common = in_common(&token.path, self.path);
            sent.then_some(((fit, common, honoured, token.paid_at), token))
        });
        ranked.max_by_key(|(rank, _)| *rank).map(|(_, token)| token)
    }

    /// Whether nothing that can be read in the token rules this request out.
    fn may_open(&self, good: Good<'_>) -> bool {
        match good.token.macaroons() {
            Some(macaroons) => macaroons.iter().any(|macaroon| self.holds(macaroon, good.hash)),
            None => true,
        }
    }

    /// That the prefix is one of this path has been checked with the other caveats.
    fn is_named(&self, good: Good<'_>) -> bool {
        !values(good.token, PATH_PREFIX).is_empty() && self.may_open(good)
    }

    fn is_offered(&self, good: Good<'_>) -> bool {
        let services = values(good.token, SERVICES);
        let offered = self.offered.map(|offered| values(offered, SERVICES));
        !services.is_empty() && offered == Some(services)
    }

    /// Whether all caveats hold for some service that the macaroon could be for.
    fn holds(&self, macaroon: &Macaroon, paid: PaymentHash) -> bool {
        let caveats: Vec<_> = macaroon
            .caveats()
            .flatten()
            .filter_map(split)
            .filter(|(condition, _)| *condition != CLIENT_IP)
            .collect();
        services(&caveats).iter().any(|service| {
            let facts = Facts {
                service,
                capability: None,
                method: self.method.as_str(),
                path: self.path,
                client_ip: None,
                now: self.now,
            };
            caveats.iter().all(|(condition, value)| {
                let mut kinds = CAVEATS.iter().filter(|kind| kind.reads(condition, &facts));
                kinds.all(|kind| kind.allows(value, &facts, paid))
            })
        })
    }
}

/// Whether a newer token is for the same services.
fn is_superseded(token: &Token, tokens: &[Token]) -> bool {
    let services = |token: &Token| values(&token.token, SERVICES);
    let own = services(token);
    let newer = |other: &&Token| (other.paid_at, other.hash) > (token.paid_at, token.hash);
    !own.is_empty() && tokens.iter().filter(newer).any(|other| services(other) == own)
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
    let caveats = macaroons.iter().flat_map(Macaroon::caveats).flatten().filter_map(split);
    caveats.filter(|(name, _)| *name == condition).map(|(_, value)| value.to_owned()).collect()
}

/// How many leading segments two paths share.
fn in_common(a: &str, b: &str) -> usize {
    a.split('/').zip(b.split('/')).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests;
