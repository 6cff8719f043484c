//! The client's half of the conversation, with no I/O in it. Each state is a type; each arrow
//! consumes the state it leaves, so a step cannot be skipped or taken twice.
//!
//! ```text
//!   Asking --402--> Paying --paid--> Proving --any but 401, 402--> the response
//!      \_any other status___________________________________________/
//! ```

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode};

use crate::budget::{Budget, Hold, OverBudget};
use crate::hash::{PaymentHash, Preimage};
use crate::invoice::Network;
use crate::money::Msat;
use crate::node::{Paid, PayError, PayOrder};
use crate::scheme::{Challenge, Offers, Refused};

/// What a buyer agrees to.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The most one invoice may ask for.
    pub max_cost: Msat,
    /// The most that routing may cost on top.
    pub max_fee: Msat,
    /// The network our node is on.
    pub network: Network,
    /// How long to wait for the payment to end.
    pub patience: Duration,
    /// Refuse tokens that do not show which payment they are for.
    pub require_bound: bool,
}

/// A request is on its way, with or without a token from the wallet.
#[derive(Debug)]
#[must_use]
pub struct Asking {
    /// What the buyer agrees to.
    pub terms: Terms,
}

/// What a response means.
#[derive(Debug)]
pub enum Answer {
    /// It is what the caller wanted.
    Response,
    /// It asks for money, and the terms and the budget allow it.
    Pay(Box<Paying>),
}

/// Money is set aside for one invoice.
#[derive(Debug)]
#[must_use]
pub struct Paying {
    challenge: Challenge,
    hold: Hold,
    terms: Terms,
}

/// The invoice is paid, and the server has yet to honour it.
#[derive(Debug)]
#[must_use]
pub struct Proving {
    challenge: Challenge,
    paid: Paid,
}

/// Why one offer was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotTaken {
    /// The challenge cannot be read, or is a trap.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// More than the buyer agreed to.
    #[error("it asks {asked}, and at most {max_cost} was agreed to")]
    TooDear {
        /// What the invoice asks.
        asked: Msat,
        /// What was agreed to.
        max_cost: Msat,
    },
    /// Too little time is left to pay it.
    #[error("the invoice has expired, or will before the payment can end")]
    Expired,
    /// Our node cannot pay it.
    #[error("the invoice is for {invoice}, and our node is on {ours}")]
    WrongNetwork {
        /// The invoice's network.
        invoice: Network,
        /// Our node's.
        ours: Network,
    },
    /// It is for a request with another body than the one that was sent.
    #[error("it is for another body than was sent")]
    OtherBody,
    /// The header that its proof goes into has something else in it, and a request has only one.
    #[error("its proof goes into the `{0}` header, and the request has one of its own")]
    HeaderTaken(&'static str),
    /// The buyer's own rules do not allow its scheme, its network or its payee.
    #[error("its {0} is not one that may be paid")]
    NotAllowed(&'static str),
    /// Nothing shows that the token is for the invoice, and that was required.
    #[error("nothing in the token shows that it is for this invoice")]
    Unbound,
}

/// Why the conversation stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlowError {
    /// A 402 in no scheme we speak.
    #[error("the server asks for payment in no scheme we speak")]
    NoChallenge,
    /// No offer can be taken; each with its reason, by scheme.
    #[error("{}", list(.0))]
    NoOffer(Vec<(&'static str, NotTaken)>),
    /// The budget does not allow it.
    #[error(transparent)]
    OverBudget(#[from] OverBudget),
    /// The node did not pay, or may have.
    #[error(transparent)]
    Pay(#[from] PayError),
    /// The node says paid, and its preimage does not open the invoice: it may have been paid.
    #[error("the node's preimage does not open {0}: it may have been paid")]
    WrongPreimage(PaymentHash),
    /// We paid, and the server still asks. The proof stays in the wallet.
    #[error("{hash} is paid, and the server answers {status}")]
    PaidInVain {
        /// The payment.
        hash: PaymentHash,
        /// What the server answered to the proof.
        status: StatusCode,
    },
}

fn list(reasons: &[(&'static str, NotTaken)]) -> String {
    match reasons {
        [(_, only)] => only.to_string(),
        many => {
            let each: Vec<_> =
                many.iter().map(|(scheme, why)| format!("{scheme}: {why}")).collect();
            format!("no offer can be taken: {}", each.join("; "))
        }
    }
}

impl Terms {
    /// Picks the offer to pay: the cheapest that the terms allow, and of equals the scheme we
    /// prefer.
    ///
    /// # Errors
    /// [`FlowError::NoChallenge`] or [`FlowError::NoOffer`].
    pub fn choose(&self, offers: Offers, now: SystemTime) -> Result<Challenge, FlowError> {
        self.choose_among(offers, now, |_| Ok(()))
    }

    /// As [`Terms::choose`], among those offers only that `allows` has nothing against.
    ///
    /// # Errors
    /// As [`Terms::choose`].
    pub fn choose_among(
        &self,
        offers: Offers,
        now: SystemTime,
        allows: impl Fn(&Challenge) -> Result<(), NotTaken>,
    ) -> Result<Challenge, FlowError> {
        let mut not_taken: Vec<_> =
            offers.refused.into_iter().map(|(scheme, why)| (scheme, why.into())).collect();
        let mut allowed = Vec::new();
        for challenge in offers.challenges {
            match allows(&challenge).and_then(|()| self.check(&challenge, now)) {
                Ok(()) => allowed.push(challenge),
                Err(why) => not_taken.push((challenge.scheme.name(), why)),
            }
        }
        match allowed.into_iter().min_by_key(|c| (c.invoice.amount(), c.scheme.rank())) {
            Some(challenge) => Ok(challenge),
            None if not_taken.is_empty() => Err(FlowError::NoChallenge),
            None => Err(FlowError::NoOffer(not_taken)),
        }
    }

    fn check(&self, challenge: &Challenge, now: SystemTime) -> Result<(), NotTaken> {
        let invoice = &challenge.invoice;
        if invoice.network() != self.network {
            let (invoice, ours) = (invoice.network(), self.network);
            return Err(NotTaken::WrongNetwork { invoice, ours });
        }
        // A payment that starts just before the expiry ends after it.
        let margin = self.patience.min(invoice.expiry() / 2).min(Duration::from_secs(30));
        let ends =
            challenge.expires.is_some_and(|end| now.checked_add(margin).is_none_or(|at| at >= end));
        if ends || !invoice.is_live(now, margin) {
            return Err(NotTaken::Expired);
        }
        if invoice.amount() > self.max_cost {
            return Err(NotTaken::TooDear { asked: invoice.amount(), max_cost: self.max_cost });
        }
        if self.require_bound && !challenge.bound {
            return Err(NotTaken::Unbound);
        }
        Ok(())
    }
}

impl Asking {
    /// Reads a response: done, or pay this.
    ///
    /// # Errors
    /// Payment is asked and none of it can be taken, or the budget does not allow it.
    pub fn response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        budget: &mut Budget,
        now: SystemTime,
    ) -> Result<Answer, FlowError> {
        if status != StatusCode::PAYMENT_REQUIRED {
            return Ok(Answer::Response);
        }
        let challenge = self.terms.choose(Offers::read(headers), now)?;
        Ok(Answer::Pay(Box::new(self.pay(challenge, budget)?)))
    }

    /// Sets money aside for a challenge that [`Terms::choose`] picked, now or in an earlier run.
    ///
    /// # Errors
    /// The budget does not allow it.
    pub fn pay(self, challenge: Challenge, budget: &mut Budget) -> Result<Paying, OverBudget> {
        let hold = budget.hold(challenge.invoice.amount(), self.terms.max_fee)?;
        Ok(Paying { challenge, hold, terms: self.terms })
    }
}

impl Paying {
    /// What is about to be paid for. Write it down first.
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// What to give the node.
    pub const fn order(&self) -> PayOrder<'_> {
        let Terms { max_fee, patience, .. } = self.terms;
        PayOrder { invoice: &self.challenge.invoice, max_fee, patience }
    }

    /// Nothing was asked of the node after all: the money stays.
    pub fn abandon(self, budget: &mut Budget) {
        budget.release(self.hold);
    }

    /// Nobody listens for the node's answer any more, which may or may not have been asked for: the
    /// hold stays, in doubt, until [`Budget::resolve`].
    pub fn lost(self, budget: &mut Budget) {
        budget.doubt(self.challenge.invoice.payment_hash(), self.hold);
    }

    /// Reads the node's answer, and settles the hold accordingly.
    ///
    /// # Errors
    /// Not paid (the hold is released), or unknown (the hold stays, in doubt, until
    /// [`Budget::resolve`]).
    pub fn settled(
        self,
        result: Result<Paid, PayError>,
        budget: &mut Budget,
    ) -> Result<Proving, FlowError> {
        let hash = self.challenge.invoice.payment_hash();
        match result {
            Ok(paid) if paid.preimage.opens(hash) => {
                let cost = self.challenge.invoice.amount().checked_add(paid.fee);
                budget.spend(self.hold, cost.unwrap_or(Msat::SUPPLY));
                Ok(Proving { challenge: self.challenge, paid })
            }
            // Whether the money is gone, only the node's later word can say: it stays set aside.
            Ok(_) => {
                budget.doubt(hash, self.hold);
                Err(FlowError::WrongPreimage(hash))
            }
            Err(error @ PayError::NotPaid { .. }) => {
                budget.release(self.hold);
                Err(error.into())
            }
            Err(error @ PayError::Unknown { .. }) => {
                budget.doubt(hash, self.hold);
                Err(error.into())
            }
        }
    }
}

impl Proving {
    /// A payment that an earlier run made for this challenge.
    pub const fn resume(challenge: Challenge, paid: Paid) -> Self {
        Self { challenge, paid }
    }

    /// What was paid for.
    pub const fn challenge(&self) -> &Challenge {
        &self.challenge
    }

    /// The proof. Write it down before using it.
    pub const fn preimage(&self) -> &Preimage {
        &self.paid.preimage
    }

    /// What routing cost.
    pub const fn fee(&self) -> Msat {
        self.paid.fee
    }

    /// The `Authorization` value to send the same request with.
    pub fn authorization(&self) -> HeaderValue {
        self.challenge.authorization(&self.paid.preimage)
    }

    /// Reads the response to the paid request.
    ///
    /// # Errors
    /// The server does not honour the payment: it answers 402, or 401 as some texts have it.
    pub fn response(self, status: StatusCode) -> Result<(), FlowError> {
        match status {
            StatusCode::PAYMENT_REQUIRED | StatusCode::UNAUTHORIZED => {
                Err(FlowError::PaidInVain { hash: self.challenge.invoice.payment_hash(), status })
            }
            _ => Ok(()),
        }
    }
}
