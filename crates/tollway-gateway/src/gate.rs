//! The decision whether a request may pass, with no I/O in it: a tariff, the request's head, the
//! keys and the time go in, and a [`Permit`] comes out or the reason why there is none.

use std::net::IpAddr;
use std::time::SystemTime;

use http::request::Parts;
use l402::caveat::Counter;
use l402::scheme::{ChargeDenied, ChargeMalformed, Charged};
use l402::{Credential, Denied, Facts, Malformed, Msat, Verified};

use crate::check::Checked;
use crate::claim::First;
use crate::known::Known;
use crate::metrics::Outcome;
use crate::payment::Binding;
use crate::rule::{Price, Terms};
use crate::store::Take;
use crate::tariff::Tariff;
use crate::till::Till;

/// Leave to reach the upstream, which takes one with each request. Only this module makes one: by
/// verification, or because nothing is asked.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    basis: Basis,
    /// What it took of the requests that cost nothing, so that it can be given back.
    freebie: Option<Box<Counter>>,
}

/// What the credential alone says.
///
/// Exhaustive on purpose.
#[derive(Debug)]
#[must_use]
pub(crate) enum Verdict {
    /// It may pass.
    Admit(Permit),
    /// It may pass if the store and the node do not object.
    Check(Conditional),
    /// It may pass if its payment was not used before.
    Claim(Claimable),
}

/// A verified credential that is not enough by itself.
#[derive(Debug)]
#[must_use]
pub(crate) struct Conditional {
    verified: Verified,
}

/// A verified payment that is good for one request: this one, if it is the first.
#[derive(Debug)]
#[must_use]
pub(crate) struct Claimable {
    charged: Charged,
}

/// Why a request may pass.
///
/// Exhaustive on purpose: a new way in must be named wherever it is written down.
#[derive(Debug)]
pub enum Basis {
    /// A credential was verified.
    Paid(Verified),
    /// A payment was verified that is good for this one request.
    Once(Charged),
    /// It is one of the few that cost nothing.
    Freebie,
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
    /// The token was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// The token counts its uses, and all of them are used.
    #[error("the token has no use left")]
    Spent,
    /// The credential of a one-time payment cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ChargeMalformed),
    /// The one-time payment does not open this door.
    #[error(transparent)]
    NotCharged(#[from] ChargeDenied),
    /// The one-time payment was used before.
    #[error("the payment was used for another request")]
    Used,
    /// It came with a token and with a one-time payment.
    #[error("the request has two different credentials; send one")]
    Two,
}

impl Claimable {
    /// What was verified.
    pub(crate) fn charged(&self) -> &Charged {
        &self.charged
    }

    /// The permit, now that [`First`] stands for the claim.
    pub(crate) fn permit(self, _first: First) -> Permit {
        Permit::on(Basis::Once(self.charged))
    }
}

impl Conditional {
    /// What was verified.
    pub(crate) fn verified(&self) -> &Verified {
        &self.verified
    }

    /// The permit, now that everything was checked that [`Checked`] stands for.
    pub(crate) fn permit(self, _checked: Checked) -> Permit {
        Permit::on(Basis::Paid(self.verified))
    }
}

impl Permit {
    fn on(basis: Basis) -> Self {
        Self { basis, freebie: None }
    }

    /// The counter that one of the requests for nothing was taken from, if this is one.
    pub(crate) fn freebie(&self) -> Option<&Counter> {
        self.freebie.as_deref()
    }

    /// What it rests on.
    pub fn basis(&self) -> &Basis {
        &self.basis
    }
}

impl Basis {
    /// What becomes of a request that passes on it.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Paid(_) | Self::Once(_) => Outcome::Paid,
            Self::Freebie => Outcome::Freebie,
            Self::Free => Outcome::Free,
            Self::Off => Outcome::Off,
        }
    }

    /// One word for the log.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Paid(_) | Self::Once(_) => "paid",
            Self::Freebie => "freebie",
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
            Self::Revoked => "the token was revoked",
            Self::Spent => "the token has no use left",
            Self::Unreadable(_) => "the payment cannot be read",
            Self::NotCharged(_) => "the payment does not open this",
            Self::Used => "the payment was used before",
            Self::Two => "two credentials",
        }
    }
}

/// Judges one request. The cheapest questions come first; a credential is looked at only where one is
/// needed.
///
/// # Errors
/// It may not pass, and why.
pub(crate) fn judge(
    tariff: &Tariff,
    terms: &Terms,
    till: &Till,
    head: &Parts,
    client_ip: Option<IpAddr>,
    now: SystemTime,
) -> Result<Verdict, Shut> {
    let admit = |basis| Ok(Verdict::Admit(Permit::on(basis)));
    if !tariff.asks {
        return admit(Basis::Off);
    }
    if terms.free || terms.price == Price::Fixed(Msat::ZERO) {
        return admit(Basis::Free);
    }
    if let Some(binding) = Binding::of(tariff, head)
        && let Some(charged) = binding.verify(&till.charge_keys, head, now)?
    {
        return match Credential::read(&head.headers) {
            Ok(None) => Ok(Verdict::Claim(Claimable { charged })),
            Ok(Some(_)) | Err(_) => Err(Shut::Two),
        };
    }
    if !tariff.schemes.l402 {
        return Err(Shut::NoCredential);
    }
    let verified = verify(tariff, terms, &till.known, head, client_ip, now)?;
    if till.books.is_revoked(verified.token_id()) {
        return Err(Shut::Revoked);
    }
    match tariff.strict_settlement || !verified.counters().is_empty() {
        true => Ok(Verdict::Check(Conditional { verified })),
        false => admit(Basis::Paid(verified)),
    }
}

/// A permit, when one of the requests that cost nothing was left.
pub(crate) fn freebie(taken: Take, counter: Counter) -> Option<Permit> {
    match taken {
        Take::Taken => Some(Permit { basis: Basis::Freebie, freebie: Some(Box::new(counter)) }),
        Take::Spent => None,
    }
}

/// A permit, when what somebody else was asked for turns out to cost nothing.
pub(crate) fn quoted(price: Msat) -> Option<Permit> {
    (price == Msat::ZERO).then(|| Permit::on(Basis::Free))
}

fn verify(
    tariff: &Tariff,
    terms: &Terms,
    known: &Known,
    head: &Parts,
    client_ip: Option<IpAddr>,
    now: SystemTime,
) -> Result<Verified, Shut> {
    let authentic = known.authenticate(&head.headers)?;
    let capability = tariff.capability(terms);
    let facts = Facts {
        service: &tariff.name,
        capability: capability.as_deref(),
        method: head.method.as_str(),
        path: head.uri.path(),
        client_ip,
        now,
    };
    Ok(authentic.verify(&facts, tariff.unknown)?)
}
