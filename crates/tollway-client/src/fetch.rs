//! The whole of a purchase: what happens, in the order in which it happens.
//!
//! A token that we hold is sent with the request. If the answer asks for payment, one of its offers
//! is chosen; nobody else may buy from this origin until we are done; an earlier payment without a
//! known end is ended first; money is set aside; what is about to be paid for is written down; it is
//! paid; the proof is written down; and the same request is sent once more.
//!
//! A crash at any point leaves, at worst, a payment that was begun and not finished. `resume.rs` says
//! what the next call does about it.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use http::StatusCode;
use l402::flow::{Asking, FlowError, Paying, Proving};
use l402::{Challenge, NodeError, NodeErrorKind, Offers, Paid, PayError, Payer, PaymentHash, flow};

use crate::client::Shared;
use crate::error::{Error, RedirectError};
use crate::observe::{Observer, Step};
use crate::request::Request;
use crate::response::{Payment, Response};
use crate::scope::Wanted;
use crate::terms::Terms;
use crate::wallet::{Claim, Purchase, Receipt, Standing, Token};
use crate::wire::Answer;

/// How much longer than an order's patience we wait for the node's word. A node keeps the patience by
/// contract; one that does not must not hold us for ever.
const GRACE: Duration = Duration::from_secs(10);
/// The most tokens that are tried for one request.
const MOST_TRIED: usize = 8;

/// One request on its way.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) request: &'a Request,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) bill: Bill,
    /// Tokens that were sent, by their payments.
    pub(crate) tried: HashSet<PaymentHash>,
    /// Payments of earlier calls whose end this one learned.
    pub(crate) recovered: HashSet<PaymentHash>,
    /// A token that was paid for, never honoured, and refused once more.
    pub(crate) in_vain: Option<(Receipt, StatusCode)>,
}

/// Whether a bill is paid where one is presented.
pub(crate) enum Bill {
    Pay,
    /// It is not, because a redirect led here.
    Refuse(RedirectError),
}

/// What a server said to a request.
pub(crate) enum Asked {
    /// It answered it.
    Answered(Response),
    /// It wants money.
    Wants(Offers),
    /// Nothing was sent, for want of a token to send.
    Nothing,
}

/// Sends the request, and pays for it if that is asked and allowed.
pub(crate) async fn fetch(mut call: Call<'_>) -> Result<Response, Error> {
    let offers = match call.ask(None).await? {
        Asked::Answered(response) => return Ok(call.done(response)),
        Asked::Wants(offers) => offers,
        Asked::Nothing => unreachable!("without a challenge, the bare request is sent"),
    };
    call.may_pay_here()?;
    let payer = call.shared.payer().await?;
    let terms = call.terms().on(payer.network());
    let challenge = call.choose(&terms, offers)?;

    // From here until the server has taken the proof or not, nobody else buys from this origin with
    // this wallet.
    let claim = call.claim().await?;
    let unpaid = call.resume(&claim, &*payer, &challenge).await?;
    let challenge = match call.ask(Some(&challenge)).await? {
        Asked::Answered(response) => return Ok(call.done(response)),
        Asked::Wants(offers) if unpaid.is_none() => call.choose(&terms, offers)?,
        Asked::Wants(_) | Asked::Nothing => challenge,
    };
    call.refuse_to_pay_in_vain()?;
    let challenge = match unpaid {
        Some(unpaid) => unpaid.within(&terms)?,
        None if still_stands(&terms, &challenge) => challenge,
        // It has grown old while we waited for the claim.
        None => match call.ask_bare().await? {
            Asked::Answered(response) => return Ok(call.done(response)),
            Asked::Wants(offers) => call.choose(&terms, offers)?,
            Asked::Nothing => unreachable!("the bare request is sent"),
        },
    };

    let paying = call.hold(terms, challenge)?;
    let (paying, purchase) = call.begin(&claim, paying).await?;
    let proving = call.pay(&claim, &*payer, paying).await?;
    let receipt = call.prove(&claim, &proving).await?;

    let sent = call.shared.wire.send(call.request, Some(proving.authorization())).await;
    let answer =
        sent.map_err(|source| Error::NoAnswer { receipt: Box::new(receipt.clone()), source })?;
    call.step(Step::SentAgain { status: answer.status() });
    call.judge_purchase(&purchase, receipt, answer, proving).await
}

impl Call<'_> {
    pub(crate) fn step(&self, step: Step<'_>) {
        tracing::debug!(step = step.name(), origin = %self.request.origin);
        self.observer.step(&step);
    }

    pub(crate) fn terms(&self) -> Terms {
        self.request.terms.unwrap_or(self.shared.terms)
    }

    /// Finds a token, and sends the request with it, or bare. A token that is refused makes room for
    /// the next one. Under a challenge only tokens that cover it are sent, and nothing is when there
    /// are none.
    async fn ask(&mut self, challenge: Option<&Challenge>) -> Result<Asked, Error> {
        let mut offers = None;
        while let Some(token) = self.find(challenge).await? {
            let answer = self.send(Some(&token)).await?;
            if !answer.refuses() {
                return Ok(Asked::Answered(self.answered(Some(token), answer).await));
            }
            let status = answer.status();
            self.refused(&token, challenge, status).await;
            if status == StatusCode::PAYMENT_REQUIRED {
                offers = Some(Offers::read(&answer.into_headers().await));
            }
        }
        match (offers, challenge) {
            (Some(offers), _) => Ok(Asked::Wants(offers)),
            (None, Some(_)) => Ok(Asked::Nothing),
            (None, None) => self.ask_bare().await,
        }
    }

    async fn ask_bare(&mut self) -> Result<Asked, Error> {
        let answer = self.send(None).await?;
        if answer.status() != StatusCode::PAYMENT_REQUIRED {
            return Ok(Asked::Answered(self.answered(None, answer).await));
        }
        Ok(Asked::Wants(Offers::read(&answer.into_headers().await)))
    }

    /// The best token that was not yet tried.
    async fn find(&mut self, challenge: Option<&Challenge>) -> Result<Option<Token>, Error> {
        if !self.may_show_credentials() || self.tried.len() >= MOST_TRIED {
            return Ok(None);
        }
        let mut tokens = self.shared.wallet.find(&self.request.origin).await?;
        // Until its buyer has used a token once it is the buyer's: some open one door, one time.
        // Whoever holds the claim is the buyer, or the buyer is gone.
        let claimed = challenge.is_some();
        tokens.retain(|token| {
            !self.tried.contains(&token.hash()) && (claimed || token.standing != Standing::Fresh)
        });
        let guess = self.tried.is_empty() && challenge.is_none();
        let token = self.wanted(challenge).pick(&tokens, guess).cloned();
        self.tried.extend(token.as_ref().map(Token::hash));
        Ok(token)
    }

    pub(crate) fn wanted<'c>(&'c self, challenge: Option<&'c Challenge>) -> Wanted<'c> {
        Wanted {
            method: &self.request.method,
            path: self.request.path(),
            offered: challenge.map(|challenge| &challenge.token),
            now: SystemTime::now(),
        }
    }

    async fn send(&self, token: Option<&Token>) -> Result<Answer, Error> {
        self.step(Step::Asking { token: token.map(Token::hash) });
        let answer = self.shared.wire.send(self.request, token.map(Token::authorization)).await?;
        self.step(Step::Answered { status: answer.status() });
        Ok(answer)
    }

    /// The door is open, or it was never locked.
    async fn answered(&self, token: Option<Token>, answer: Answer) -> Response {
        let Some(token) = token else { return Response::new(answer, Payment::None) };
        if token.standing != Standing::Honoured && is_honoured(answer.status()) {
            self.judge(token.hash(), Standing::Honoured).await;
        }
        let payment = match self.recovered.contains(&token.hash()) {
            true => Payment::Recovered(token.receipt()),
            false => Payment::Token(token.receipt()),
        };
        Response::new(answer, payment)
    }

    /// A token did not open the door. Where it should have, that is written down.
    async fn refused(&mut self, token: &Token, challenge: Option<&Challenge>, status: StatusCode) {
        if !self.wanted(challenge).is_covered_by(token) {
            return;
        }
        let standing = match token.standing {
            Standing::Fresh | Standing::InVain if !self.request.buy_again => Standing::InVain,
            _ => Standing::Quarantined,
        };
        self.judge(token.hash(), standing).await;
        let receipt = Receipt { standing, ..token.receipt() };
        self.step(Step::Refused { receipt: &receipt, status });
        if standing == Standing::InVain {
            self.in_vain = Some((receipt, status));
        }
    }

    /// What the server made of a token. Nothing depends on its being written: at worst a token that
    /// is known to be refused is tried once more.
    pub(crate) async fn judge(&self, hash: PaymentHash, standing: Standing) {
        if let Err(error) = self.shared.wallet.judge(hash, standing).await {
            tracing::warn!(%hash, standing = standing.name(), %error, "the wallet was not written");
        }
    }

    fn may_show_credentials(&self) -> bool {
        self.shared.allow_plain_http || self.request.origin.is_kept_private()
    }

    fn may_pay_here(&mut self) -> Result<(), Error> {
        let origin = self.request.origin.clone();
        match std::mem::replace(&mut self.bill, Bill::Pay) {
            Bill::Refuse(why) => Err(Error::Redirect { origin, why, receipt: None }),
            Bill::Pay if self.may_show_credentials() => Ok(()),
            Bill::Pay => Err(Error::Insecure(origin)),
        }
    }

    fn choose(&self, terms: &flow::Terms, offers: Offers) -> Result<Challenge, Error> {
        let challenge = terms.choose(offers, SystemTime::now()).map_err(Error::Terms)?;
        self.step(Step::Challenged { challenge: &challenge });
        Ok(challenge)
    }

    async fn claim(&self) -> Result<Claim, Error> {
        let origin = &self.request.origin;
        let waiting = || self.step(Step::Waiting { origin });
        let claim = self.shared.wallet.claim(origin, &waiting).await?;
        self.step(Step::Claimed { origin });
        Ok(claim)
    }

    fn refuse_to_pay_in_vain(&mut self) -> Result<(), Error> {
        match self.in_vain.take() {
            None => Ok(()),
            Some((receipt, status)) => {
                let now = self.recovered.contains(&receipt.hash);
                let receipt = Box::new(receipt);
                Err(match now {
                    true => Error::PaidInVain { receipt, status },
                    false => Error::StillRefused { receipt, status },
                })
            }
        }
    }

    /// Sets the money aside.
    fn hold(&self, terms: flow::Terms, challenge: Challenge) -> Result<Paying, Error> {
        let paying = Asking { terms }.pay(challenge, &mut self.shared.budget())?;
        let amount = paying.challenge().invoice.amount();
        let amount = amount.checked_add(terms.max_fee).unwrap_or(amount);
        self.step(Step::Held { amount });
        Ok(paying)
    }

    /// Writes down what is about to be paid for.
    async fn begin(&self, claim: &Claim, paying: Paying) -> Result<(Paying, Purchase), Error> {
        let purchase = Purchase {
            origin: self.request.origin.clone(),
            method: self.request.method.clone(),
            path: self.request.path().to_owned(),
            challenge: paying.challenge().clone(),
            begun_at: SystemTime::now(),
        };
        if let Err(error) = self.shared.wallet.begin(claim, &purchase).await {
            paying.abandon(&mut self.shared.budget());
            return Err(error.into());
        }
        self.step(Step::Begun { hash: purchase.hash() });
        Ok((paying, purchase))
    }

    /// Pays, and settles the hold by the node's word.
    async fn pay(
        &self,
        claim: &Claim,
        payer: &dyn Payer,
        paying: Paying,
    ) -> Result<Proving, Error> {
        let hash = paying.challenge().invoice.payment_hash();
        let order = paying.order();
        let limit = order.patience.saturating_add(GRACE);
        self.step(Step::Paying { hash });

        let result = tokio::time::timeout(limit, payer.pay(order)).await;

        let result = result.unwrap_or_else(|_| Err(PayError::Unknown { hash, source: no_word() }));
        let settled = paying.settled(result, &mut self.shared.budget());
        match settled {
            Ok(proving) => {
                self.step(Step::Paid { hash, fee: proving.fee() });
                Ok(proving)
            }
            Err(FlowError::Pay(PayError::NotPaid { why, source })) => {
                self.strike_out(claim, hash).await;
                Err(Error::NotPaid { hash, why, source })
            }
            Err(FlowError::WrongPreimage(hash)) => Err(Error::WrongPreimage { hash }),
            Err(FlowError::Pay(PayError::Unknown { hash, source })) => {
                Err(Error::Unknown { hash, source: Some(source) })
            }
            // What cannot happen after an order was given is not taken for "not paid".
            Err(_) => Err(Error::Unknown { hash, source: None }),
        }
    }

    /// The node has said that nothing was paid and nothing will be. If that cannot be written down,
    /// the next call asks the node once more.
    async fn strike_out(&self, claim: &Claim, hash: PaymentHash) {
        if let Err(error) = self.shared.wallet.forget(claim, hash).await {
            tracing::warn!(%hash, %error, "a payment that was not made stays in the wallet");
        }
    }

    /// Writes the proof down.
    async fn prove(&self, claim: &Claim, proving: &Proving) -> Result<Receipt, Error> {
        let hash = proving.challenge().invoice.payment_hash();
        let paid = Paid { preimage: proving.preimage().clone(), fee: proving.fee() };
        let finished = self.shared.wallet.finish(claim, hash, &paid, SystemTime::now()).await;
        let receipt = finished.map_err(|source| Error::NotStored { hash, source })?;
        self.step(Step::Proven { receipt: &receipt });
        Ok(receipt)
    }

    /// The proof was taken, or the payment was in vain.
    async fn judge_purchase(
        &self,
        purchase: &Purchase,
        receipt: Receipt,
        answer: Answer,
        proving: Proving,
    ) -> Result<Response, Error> {
        let status = answer.status();
        if answer.refuses() && proving.response(status).is_err() {
            self.judge(purchase.hash(), Standing::InVain).await;
            let receipt = Box::new(Receipt { standing: Standing::InVain, ..receipt });
            return Err(Error::PaidInVain { receipt, status });
        }
        let mut receipt = receipt;
        if is_honoured(status) {
            self.judge(purchase.hash(), Standing::Honoured).await;
            receipt.standing = Standing::Honoured;
        }
        Ok(self.done(Response::new(answer, Payment::Bought(receipt))))
    }

    fn done(&self, response: Response) -> Response {
        self.step(Step::Done { status: response.status() });
        response
    }
}

/// Whether a challenge that was chosen earlier can still be paid.
fn still_stands(terms: &flow::Terms, challenge: &Challenge) -> bool {
    let offers = Offers { challenges: vec![challenge.clone()], refused: Vec::new() };
    terms.choose(offers, SystemTime::now()).is_ok()
}

/// Whether a status shows that the door was open. A server that fails shows nothing, and a 401 or
/// 403 may come from the door or from behind it.
fn is_honoured(status: StatusCode) -> bool {
    let unclear = [StatusCode::UNAUTHORIZED, StatusCode::PAYMENT_REQUIRED, StatusCode::FORBIDDEN];
    !status.is_server_error() && !unclear.contains(&status)
}

/// The node did not say anything in time.
pub(crate) fn no_word() -> NodeError {
    NodeError::new("node", NodeErrorKind::Timeout)
}
