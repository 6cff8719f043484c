//! What caveats mean: one file each, one table. A caveat is `condition=value` (macaroon-spec.md,
//! "Caveats"), split at the first `=`.
//!
//! Two laws hold for all of them. Every caveat must allow the request, so adding one can only close
//! doors. And each later caveat of one condition must be no wider than the one before it: a token
//! with a caveat that tries to widen is refused, as Aperture's `SatisfyPrevious` does.

mod capabilities;
mod client_ip;
mod method;
mod not_before;
mod path_prefix;
mod preimage;
mod request_count;
mod services;
mod valid_until;

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::hash::PaymentHash;
use crate::macaroon::Macaroon;

/// What is true of the request at hand. Caveats are checked against this and nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The service the route resolved to.
    pub service: &'a str,
    /// The capability that the route needs, when the service names any.
    pub capability: Option<&'a str>,
    /// The HTTP method, in its own case.
    pub method: &'a str,
    /// The path as it will reach the upstream, without the query.
    pub path: &'a str,
    /// Where the request comes from, when that is known.
    pub client_ip: Option<IpAddr>,
    /// The server's clock.
    pub now: SystemTime,
}

/// One kind of restriction. Adding one means one file with one `impl`, and one line in
/// [`CAVEATS`].
pub trait Caveat: fmt::Debug + Send + Sync {
    /// The condition as it is documented, with `<service>` for the service's name.
    fn condition(&self) -> &'static str;

    /// Whether `condition` is of this kind at all, for whatever service.
    fn knows(&self, condition: &str) -> bool {
        condition == self.condition()
    }

    /// Whether `condition` restricts this request.
    fn reads(&self, condition: &str, _facts: &Facts<'_>) -> bool {
        self.knows(condition)
    }

    /// Whether `value` lets this request, made with a credential for `paid`, through. A value that
    /// cannot be read lets nothing through.
    fn allows(&self, value: &str, facts: &Facts<'_>, paid: PaymentHash) -> bool;

    /// Whether everything that `next` allows, `previous` allows too.
    fn narrows(&self, previous: &str, next: &str) -> bool;

    /// How many requests `value` is good for, when this kind counts requests.
    fn counts(&self, _value: &str) -> Option<u64> {
        None
    }
}

/// Every caveat this crate understands.
pub static CAVEATS: &[&dyn Caveat] = &[
    &services::Services,
    &capabilities::Capabilities,
    &valid_until::ValidUntil,
    &preimage::PreimageCaveat,
    &method::Method,
    &path_prefix::PathPrefix,
    &client_ip::ClientIp,
    &not_before::NotBefore,
    &request_count::RequestCount,
];

/// What to do with a caveat whose condition nobody here knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Skip it, as macaroon-spec.md says a server MUST.
    Skip,
    /// Refuse the token: a restriction we do not understand is still a restriction.
    Refuse,
}

/// A counter that a token wants kept: at most `limit` requests for everything that descends from
/// this caveat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Names the counter. It is derived from the signature chain up to the caveat, so narrowing a
    /// counted token further does not start a fresh counter.
    pub key: [u8; 32],
    /// How many requests in all.
    pub limit: u64,
    /// When nothing that descends from this caveat opens anything any more, so that the count may be
    /// forgotten. `None`: never, as far as can be told. Only caveats before this one count here:
    /// whoever holds the token writes those after it.
    pub until: Option<SystemTime>,
}

/// Why a token's caveats do not let a request through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaveatError {
    /// A caveat does not hold for this request.
    #[error("caveat `{0}` does not hold for this request")]
    DoesNotHold(String),
    /// A later caveat is wider than an earlier one.
    #[error("caveat `{0}` is wider than one before it")]
    Widens(String),
    /// A caveat nobody here knows, in strict mode.
    #[error("caveat `{0}` is not known here")]
    NotKnown(String),
}

/// Checks every caveat of `macaroon`, oldest first, and returns the counters it wants kept.
/// `signatures` holds the signature chain after each caveat.
pub(crate) fn check(
    macaroon: &Macaroon,
    signatures: &[[u8; 32]],
    facts: &Facts<'_>,
    paid: PaymentHash,
    unknown: Unknown,
) -> Result<Vec<Counter>, CaveatError> {
    let mut counters = Vec::new();
    for (index, text) in macaroon.caveats().enumerate() {
        let Some((condition, value)) = text.and_then(split) else {
            refuse_unknown(unknown, text.unwrap_or("not text"))?;
            continue;
        };
        let Some(kind) = CAVEATS.iter().find(|kind| kind.knows(condition)) else {
            refuse_unknown(unknown, condition)?;
            continue;
        };
        if !kind.reads(condition, facts) {
            continue;
        }
        if !kind.allows(value, facts, paid) {
            return Err(CaveatError::DoesNotHold(condition.to_owned()));
        }
        if previous(macaroon, index, condition).is_some_and(|before| !kind.narrows(before, value)) {
            return Err(CaveatError::Widens(condition.to_owned()));
        }
        if let Some(limit) = kind.counts(value) {
            let key = Sha256::digest(signatures[index]).into();
            counters.push(Counter { key, limit, until: end(macaroon, index, facts.service) });
        }
    }
    Ok(counters)
}

/// When `macaroon` ends for good, by its caveats before `index`: it opens `service` and no other, and
/// that one until then.
fn end(macaroon: &Macaroon, index: usize, service: &str) -> Option<SystemTime> {
    let services = previous(macaroon, index, "services")?;
    let only = services.split_once(':').is_some_and(|(name, _)| name == service);
    let until = previous(macaroon, index, &format!("{service}_valid_until"))?;
    (only && !services.contains(',')).then(|| unix_time(until)).flatten()
}

/// The value of the caveat of the same condition that stands last before `index`.
fn previous<'a>(macaroon: &'a Macaroon, index: usize, condition: &str) -> Option<&'a str> {
    macaroon.caveats[..index].iter().rev().find_map(|caveat| {
        let (name, value) = split(caveat.text()?)?;
        (name == condition).then_some(value)
    })
}

/// Splits `condition=value` at the first `=`.
pub fn split(caveat: &str) -> Option<(&str, &str)> {
    caveat.split_once('=').filter(|(condition, _)| !condition.is_empty())
}

/// What is the matter with a caveat that a holder wants to add, if anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttenuateError {
    /// No `=`.
    #[error("`{0}` is no caveat; write `condition=value`, for example `method=GET`")]
    NoValue(String),
    /// It would make a token that opens nothing, because it is wider than one that is there.
    #[error("`{new}` is wider than `{old}`, which the token has already; a caveat can only narrow")]
    Widens {
        /// The caveat that is there.
        old: String,
        /// The one to be added.
        new: String,
    },
    /// The macaroon would be larger than anybody reads.
    #[error("the token would have more caveats than any server reads")]
    TooMany,
}

impl Macaroon {
    /// Adds a caveat, after checking that it is one and that it does not widen what is there.
    ///
    /// # Errors
    /// See [`AttenuateError`].
    pub fn narrow(&mut self, caveat: &str) -> Result<(), AttenuateError> {
        let Some((condition, value)) = split(caveat) else {
            return Err(AttenuateError::NoValue(caveat.to_owned()));
        };
        if self.caveats.len() >= crate::macaroon::MOST_CAVEATS {
            return Err(AttenuateError::TooMany);
        }
        let kind = CAVEATS.iter().find(|kind| kind.knows(condition));
        let before = previous(self, self.caveats.len(), condition);
        if let (Some(kind), Some(before)) = (kind, before)
            && !kind.narrows(before, value)
        {
            let old = format!("{condition}={before}");
            return Err(AttenuateError::Widens { old, new: caveat.to_owned() });
        }
        self.attenuate(caveat);
        Ok(())
    }
}

fn refuse_unknown(unknown: Unknown, condition: &str) -> Result<(), CaveatError> {
    match unknown {
        Unknown::Skip => Ok(()),
        Unknown::Refuse => Err(CaveatError::NotKnown(condition.to_owned())),
    }
}

/// `value` as Unix time.
fn unix_time(value: &str) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(decimal(value)?))
}

/// `value` as a decimal number: digits only, no sign.
fn decimal(value: &str) -> Option<u64> {
    value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok()).flatten()
}

/// Whether each item of the comma-separated list `next` is in the list `previous`.
fn is_sublist(previous: &str, next: &str) -> bool {
    next.split(',').all(|item| previous.split(',').any(|other| other == item))
}

#[cfg(test)]
mod tests;
