//! The decision whether a request may pass, with no I/O in it: a tariff, the request's head, the
//! keyring and the time go in, and a [`Permit`] comes out or the reason why there is none.

use std::net::IpAddr;
use std::time::SystemTime;

use http::request::Parts;
use l402::{Credential, Denied, Facts, Keyring, Malformed, Msat, Verified};

use crate::tariff::{Access, Tariff, Terms};

/// Leave to reach the upstream, which takes one with each request. Only this module makes one: by
/// verification, or because nothing is asked.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    basis: Basis,
}

/// Why a request may pass.
///
/// Exhaustive on purpose: a new way in must be named wherever it is written down.
#[derive(Debug)]
pub enum Basis {
    /// A credential was verified.
    Paid(Verified),
    /// The path, or the whole service, costs nothing.
    Free,
    /// The service does not ask.
    Off,
}

/// Why a request may not pass as it came.
///
/// Exhaustive on purpose: each has its own answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Shut {
    /// It came without a credential.
    #[error("payment required")]
    NoCredential,
    /// The credential cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The credential does not open this door.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The token counts its uses, and there is nothing here that keeps count.
    #[error(
        "the token has a `request_count` caveat, and this gateway keeps no count of uses; \
         use a token without one"
    )]
    Counted,
}

impl Permit {
    /// What it rests on.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
}

impl Basis {
    /// One word for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Paid(_) => "paid",
            Self::Free => "free",
            Self::Off => "off",
        }
    }
}

impl Shut {
    /// A few words for the log. Not the error's own text: that may repeat what the client sent.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::NoCredential => "no credential",
            Self::Malformed(_) => "the credential cannot be read",
            Self::Denied(_) => "the credential does not open this",
            Self::Counted => "nobody counts uses",
        }
    }
}

/// Judges one request. The cheapest questions come first; a credential is looked at only where one is
/// needed.
///
/// # Errors
/// It may not pass: why, and the price that would open the door, which is above nothing.
pub(crate) fn judge(
    tariff: &Tariff,
    terms: Terms,
    keyring: &Keyring,
    head: &Parts,
    client_ip: Option<IpAddr>,
    now: SystemTime,
) -> Result<Permit, (Shut, Msat)> {
    let price = match tariff.access {
        Access::Off => return Ok(Permit { basis: Basis::Off }),
        Access::Priced(Msat::ZERO) => return Ok(Permit { basis: Basis::Free }),
        Access::Priced(price) => price,
    };
    if terms.free {
        return Ok(Permit { basis: Basis::Free });
    }
    match verify(tariff, keyring, head, client_ip, now) {
        Ok(verified) => Ok(Permit { basis: Basis::Paid(verified) }),
        Err(why) => Err((why, price)),
    }
}

fn verify(
    tariff: &Tariff,
    keyring: &Keyring,
    head: &Parts,
    client_ip: Option<IpAddr>,
    now: SystemTime,
) -> Result<Verified, Shut> {
    let credential = Credential::read(&head.headers)?.ok_or(Shut::NoCredential)?;
    let facts = Facts {
        service: &tariff.name,
        capability: None,
        method: head.method.as_str(),
        path: head.uri.path(),
        client_ip,
        now,
    };
    let verified = credential.verify(keyring, &facts, tariff.unknown)?;
    // A count that nobody keeps is a restriction that does not hold.
    if !verified.counters().is_empty() {
        return Err(Shut::Counted);
    }
    Ok(verified)
}
