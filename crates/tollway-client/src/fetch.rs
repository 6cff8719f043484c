//! The whole of a purchase: what happens, in the order in which it happens.
//!
//! A token that we hold is sent with the request. If the answer asks for payment, one of its offers
//! is chosen; nobody else may buy from this origin until we are done; an earlier payment without a
//! known end is ended first; money is set aside; what is about to be paid for is written down; it is
//! paid; the proof is written down; and the same request is sent once more.
//!
//! A crash at any point leaves, at worst, a payment that was begun and not finished. `resume.rs` says
//! what the next call does about it.

use std::time::{Duration, SystemTime};

use l402::flow::{FlowError, NotTaken, Proving};
use l402::{Challenge, NodeError, NodeErrorKind, Offers, Paid, PayError, Payer, PaymentHash, flow};

use crate::agree::Agreed;
use crate::ask::{Asked, Call, is_taken};
use crate::error::Error;
use crate::held::Held;
use crate::observe::Step;
use crate::response::{Payment, Response};
use crate::wallet::{Purchase, Receipt, Reserve, Standing, Turn};
use crate::wire::{Answer, Proof};

/// How much longer than an order's patience we wait for the node's word. A node keeps the patience by
/// contract; one that does not must not hold us for ever.
const GRACE: Duration = Duration::from_secs(10);

/// Sends the request, and pays for it if that is asked and allowed.
pub(crate) async fn fetch(mut call: Call<'_>) -> Result<Response, Error> {
    let offers = match call.ask(None).await? {
        Asked::Answered(response) => return Ok(call.done(*response)),
        Asked::Wants(offers) => offers,
        Asked::Nothing => unreachable!("without a token, the bare request is sent"),
    };
    call.may_pay_here()?;
    let payer = call.shared.payer().await?;
    let terms = call.terms().on(payer.network());
    let challenge = call.choose(&terms, offers)?;

    // From here until the server has taken the proof or not, nobody else buys from this origin with
    // this wallet.
    let turn = call.turn().await?;
    let unpaid = call.resume(&turn, &*payer, &challenge).await?;
    let challenge = match call.ask_again(&challenge, Some(&turn)).await? {
        Asked::Answered(response) => return Ok(call.done(*response)),
        Asked::Wants(offers) if unpaid.is_none() => call.choose(&terms, offers)?,
        Asked::Wants(_) | Asked::Nothing => challenge,
    };
    call.may_pay_again()?;
    let agreed = match unpaid {
        Some(unpaid) => {
            let challenge = call.choose_unpaid(&terms, unpaid)?;
            call.agree(&terms, challenge, |_| true).await?
        }
        None => call.agree(&terms, challenge, |challenge| still_stands(&terms, challenge)).await?,
    };
    let challenge = match agreed {
        Agreed::Pay(challenge) => *challenge,
        Agreed::Answered(response) => return Ok(call.done(*response)),
    };

    let held = call.hold(terms, challenge)?;
    let held = call.begin(&turn, held).await?;
    let proving = call.pay(&turn, &*payer, held).await?;
    let receipt = call.prove(&turn, &proving).await?;
    let proof = Proof::of(proving.challenge(), proving.preimage());
    let answer = match call.shared.wire.send(call.request, Some(&proof)).await {
        Ok(answer) => answer,
        Err(source) => return Err(Error::NoAnswer { receipt: Box::new(receipt), source }),
    };
    call.step(Step::SentAgain { status: answer.status() });
    call.deliver(proving, receipt, answer).await
}

impl Call<'_> {
    /// Chooses the offer to pay: the cheapest that the terms allow.
    pub(crate) fn choose(&self, terms: &flow::Terms, offers: Offers) -> Result<Challenge, Error> {
        let allowed = |challenge: &Challenge| {
            self.request.has_digest(challenge.manner().digest.as_deref())?;
            self.may_take(challenge)
        };
        let chosen = terms.choose_among(offers, SystemTime::now(), allowed);
        let challenge = chosen.map_err(Error::Terms)?;
        self.step(Step::Challenged { challenge: &challenge });
        Ok(challenge)
    }

    /// Whether an offer may be taken by this request, whatever it costs.
    pub(crate) fn may_take(&self, challenge: &Challenge) -> Result<(), NotTaken> {
        self.has_room_for(&challenge.manner())?;
        self.shared.policy.may_take(challenge)
    }

    /// Waits until nobody else buys from this origin.
    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        let origin = &self.request.origin;
        let waiting = || self.step(Step::Waiting { origin });
        let turn = self.shared.wallet.turn(origin, &waiting).await?;
        self.step(Step::Turn { origin });
        Ok(turn)
    }

    /// Sets the money aside.
    fn hold(&self, terms: flow::Terms, challenge: Challenge) -> Result<Held<'_>, Error> {
        let held = Held::new(self.shared, terms, challenge)?;
        self.step(Step::Held { amount: held.amount() });
        Ok(held)
    }

    /// Writes down what is about to be paid for.
    async fn begin<'h>(&self, turn: &Turn, held: Held<'h>) -> Result<Held<'h>, Error> {
        let purchase = Purchase {
            origin: self.request.origin.clone(),
            method: self.request.method.clone(),
            path: self.request.path().to_owned(),
            target: held.challenge().manner().single_use.then_some(self.target),
            query: self.request.kept_query(),
            challenge: held.challenge().clone(),
            node: self.shared.node_name(),
            begun_at: SystemTime::now(),
        };
        let reserve = Reserve { asked: held.amount(), limits: &self.shared.policy.limits };
        if let Err(error) = self.shared.wallet.begin(turn, &purchase, reserve).await {
            held.abandon();
            return Err(error.into());
        }
        self.step(Step::Begun { hash: purchase.hash() });
        Ok(held)
    }

    /// Pays, and settles the hold by the node's word.
    async fn pay(&self, turn: &Turn, payer: &dyn Payer, held: Held<'_>) -> Result<Proving, Error> {
        let hash = held.challenge().invoice.payment_hash();
        let limit = held.order().patience.saturating_add(GRACE);
        self.step(Step::Paying { hash });

        let result = tokio::time::timeout(limit, payer.pay(held.order())).await;

        let result = result.unwrap_or_else(|_| Err(PayError::Unknown { hash, source: no_word() }));
        match held.settled(result) {
            Ok(proving) => {
                self.step(Step::Paid { hash, fee: proving.fee() });
                Ok(proving)
            }
            Err(FlowError::Pay(PayError::NotPaid { why, source })) => {
                self.strike_out(turn, hash).await;
                Err(Error::NotPaid { hash, why, source })
            }
            Err(FlowError::WrongPreimage(_)) => Err(Error::WrongPreimage { hash }),
            Err(FlowError::Pay(PayError::Unknown { source, .. })) => {
                Err(Error::Unknown { hash, source: Some(source) })
            }
            // No other error can come after an order; if one did, it would not mean "not paid".
            Err(_) => Err(Error::Unknown { hash, source: None }),
        }
    }

    /// The node has said that nothing was paid and nothing will be. If that cannot be written down,
    /// the next call asks the node once more.
    async fn strike_out(&self, turn: &Turn, hash: PaymentHash) {
        if let Err(error) = self.shared.wallet.forget(turn, hash).await {
            tracing::warn!(%hash, %error, "a payment that was not made stays in the wallet");
        }
    }

    /// Writes the proof down.
    async fn prove(&self, turn: &Turn, proving: &Proving) -> Result<Receipt, Error> {
        let hash = proving.challenge().invoice.payment_hash();
        let paid = Paid { preimage: proving.preimage().clone(), fee: proving.fee() };
        let finished = self.shared.wallet.finish(turn, hash, &paid, SystemTime::now()).await;
        let receipt = finished.map_err(|source| Error::NotStored { hash, source })?;
        self.step(Step::Proven { receipt: &receipt });
        Ok(receipt)
    }

    /// The proof was taken, or the payment was in vain.
    async fn deliver(
        &self,
        proving: Proving,
        mut receipt: Receipt,
        answer: Answer,
    ) -> Result<Response, Error> {
        let (status, manner) = (answer.status(), proving.challenge().manner());
        if answer.refuses() && proving.response(status).is_err() {
            receipt.standing = Standing::InVain;
            self.judge(receipt.hash, receipt.standing).await;
            return Err(Error::PaidInVain { receipt: Box::new(receipt), status });
        }
        if is_taken(&manner, status) {
            receipt.standing = Standing::Honoured;
            self.judge(receipt.hash, receipt.standing).await;
        }
        Ok(self.done(Response::new(answer, Payment::Bought(receipt))))
    }

    pub(crate) fn done(&self, response: Response) -> Response {
        self.step(Step::Done { status: response.status() });
        response
    }
}

/// Whether a challenge that was chosen earlier can still be paid.
fn still_stands(terms: &flow::Terms, challenge: &Challenge) -> bool {
    let offers = Offers { challenges: vec![challenge.clone()], refused: Vec::new() };
    terms.choose(offers, SystemTime::now()).is_ok()
}

/// The node did not say anything in time.
pub(crate) fn no_word() -> NodeError {
    NodeError::new("node", NodeErrorKind::Timeout)
}
