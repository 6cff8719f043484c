//! Asking: which token a request is sent with, and what is learned about the token from the answer.

use std::collections::HashSet;
use std::time::SystemTime;

use http::StatusCode;
use l402::flow::{FlowError, NotTaken};
use l402::{Challenge, Manner, Offers, PaymentHash};

use crate::client::Shared;
use crate::error::{Error, RedirectError};
use crate::observe::{Headers, Observer, Step};
use crate::request::Request;
use crate::response::{Payment, Response};
use crate::scope::{Fit, Wanted};
use crate::target::Target;
use crate::terms::Terms;
use crate::wallet::{Receipt, Standing, Token, Turn};
use crate::wire::{Answer, Proof};

/// The most tokens that are tried for one request.
const MOST_TRIED: usize = 8;

/// One request on its way.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) request: &'a Request,
    observer: &'a dyn Observer,
    bill: Bill,
    pub(crate) target: Target,
    /// The payment whose token is to be sent, and no other's.
    only: Option<PaymentHash>,
    /// Tokens that were sent, by their payments.
    tried: HashSet<PaymentHash>,
    /// A token that was sent as a guess, and the status of the answer that refused it.
    guessed: Option<(Token, StatusCode)>,
    /// A token that was paid for, never honoured, and refused once more.
    in_vain: Option<(Receipt, StatusCode)>,
    /// Payments of earlier calls whose end this one learned.
    recovered: HashSet<PaymentHash>,
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
    Answered(Box<Response>),
    /// It wants money.
    Wants(Offers),
    /// Nothing was sent, for want of a token to send.
    Nothing,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        request: &'a Request,
        observer: &'a dyn Observer,
        bill: Bill,
    ) -> Self {
        Self {
            shared,
            request,
            observer,
            bill,
            target: request.target(),
            only: None,
            tried: HashSet::new(),
            guessed: None,
            in_vain: None,
            recovered: HashSet::new(),
        }
    }

    /// The same with the token of that payment, and no other.
    pub(crate) fn with_only(self, payment: PaymentHash) -> Self {
        Self { only: Some(payment), ..self }
    }

    pub(crate) fn step(&self, step: Step<'_>) {
        tracing::debug!(step = step.name(), origin = %self.request.origin);
        self.observer.step(&step);
    }

    /// What was agreed to for this request, under the client's policy.
    pub(crate) fn terms(&self) -> Terms {
        let terms = self.request.terms.unwrap_or(self.shared.terms);
        let terms = self.shared.policy.narrow(terms);
        let most = self.request.quoted.map_or(terms.max_cost, |most| most.min(terms.max_cost));
        Terms { max_cost: most, ..terms }
    }

    /// What is wanted, as far as it decides between tokens.
    pub(crate) fn wanted<'c>(&'c self, challenge: Option<&'c Challenge>) -> Wanted<'c> {
        Wanted {
            method: &self.request.method,
            path: self.request.path(),
            target: self.target,
            offered: challenge.map(|challenge| &challenge.token),
            now: SystemTime::now(),
        }
    }

    /// Sends the request with the best token, and with the next one while they are refused; bare
    /// when there is none.
    pub(crate) async fn ask(&mut self, turn: Option<&Turn>) -> Result<Asked, Error> {
        match self.ask_with_tokens(None, turn).await? {
            Asked::Nothing => self.ask_bare().await,
            asked @ (Asked::Answered(_) | Asked::Wants(_)) => Ok(asked),
        }
    }

    /// Under a challenge: sends the request with tokens that should open the door and were not yet
    /// tried, as those that another purchase has brought in the meantime.
    pub(crate) async fn ask_again(
        &mut self,
        challenge: &Challenge,
        turn: Option<&Turn>,
    ) -> Result<Asked, Error> {
        if let Some((token, status)) = self.guessed.take() {
            self.refused(token, Some(challenge), status).await;
        }
        self.ask_with_tokens(Some(challenge), turn).await
    }

    /// Sends the request with no token.
    pub(crate) async fn ask_bare(&mut self) -> Result<Asked, Error> {
        let answer = self.send(None).await?;
        if answer.status() != StatusCode::PAYMENT_REQUIRED {
            return Ok(Asked::Answered(Box::new(self.answered(None, answer).await)));
        }
        Ok(Asked::Wants(Offers::read(&answer.into_headers().await)))
    }

    async fn ask_with_tokens(
        &mut self,
        challenge: Option<&Challenge>,
        turn: Option<&Turn>,
    ) -> Result<Asked, Error> {
        let mut asked = Asked::Nothing;
        while let Some(token) = self.find(challenge, turn).await? {
            let answer = self.send(Some(&token)).await?;
            if !answer.refuses() {
                let response = self.answered(Some(token), answer).await;
                return Ok(Asked::Answered(Box::new(response)));
            }
            let status = answer.status();
            self.refused(token, challenge, status).await;
            if status == StatusCode::PAYMENT_REQUIRED {
                asked = Asked::Wants(Offers::read(&answer.into_headers().await));
            }
        }
        Ok(asked)
    }

    /// The best token that was not yet tried.
    async fn find(
        &mut self,
        challenge: Option<&Challenge>,
        turn: Option<&Turn>,
    ) -> Result<Option<Token>, Error> {
        if !self.may_show_credentials() || self.tried.len() >= MOST_TRIED {
            return Ok(None);
        }
        let Request { origin, .. } = self.request;
        let tokens = self.shared.wallet.find(origin, self.request.path()).await?;
        // Until its buyer has used a token once it is the buyer's: some open one door, one time.
        // Whoever has the turn is the buyer, or the buyer is gone.
        let spare = |token: &Token| {
            let buyers = turn.is_none() && token.standing == Standing::Fresh;
            // Where nothing is asked yet, the request's own line may be all that is needed.
            let in_the_way = challenge.is_none() && self.has_room_for(&token.manner()).is_err();
            let others = self.only.is_some_and(|only| token.hash != only);
            buyers || in_the_way || others || self.tried.contains(&token.hash)
        };
        let guess = self.tried.is_empty() && challenge.is_none();
        let token = self.wanted(challenge).pick(&tokens, spare, guess).cloned();
        if let Some(token) = &token {
            // It was paid for: another one is not, for want of a place to put it.
            let room = self.has_room_for(&token.manner());
            let taken = |why| Error::Terms(FlowError::NoOffer(vec![(token.scheme.name(), why)]));
            room.map_err(taken)?;
        }
        self.tried.extend(token.as_ref().map(|token| token.hash));
        Ok(token)
    }

    /// Whether the header that such a proof goes into is free: of two `Authorization` lines a server
    /// may read the wrong one.
    pub(crate) fn has_room_for(&self, manner: &Manner) -> Result<(), NotTaken> {
        let name = manner.field.name();
        let taken = !self.shared.second_authorization && self.request.headers.contains_key(name);
        if taken { Err(NotTaken::HeaderTaken(name.as_str())) } else { Ok(()) }
    }

    async fn send(&self, token: Option<&Token>) -> Result<Answer, Error> {
        self.step(Step::Asking { token: token.map(|token| token.hash) });
        let sent = self.shared.wire.send(self.request, token.map(Proof::from).as_ref()).await;
        let answer = sent.map_err(|source| match token {
            Some(token) if self.recovered.contains(&token.hash) => {
                Error::NoAnswer { receipt: Box::new(token.receipt()), source }
            }
            _ => source.into(),
        })?;
        let head = answer.head();
        self.step(Step::Answered {
            status: head.status(),
            version: head.version(),
            headers: Headers(head.headers()),
            timings: answer.timings(),
        });
        Ok(answer)
    }

    /// The door is open, or it was never locked.
    async fn answered(&self, token: Option<Token>, answer: Answer) -> Response {
        let Some(mut token) = token else { return Response::new(answer, Payment::None) };
        if token.standing != Standing::Honoured && is_taken(&token.manner(), answer.status()) {
            token.standing = Standing::Honoured;
            self.judge(token.hash, token.standing).await;
        }
        let payment = match self.recovered.contains(&token.hash) {
            true => Payment::Recovered(token.receipt()),
            false => Payment::Token(token.receipt()),
        };
        Response::new(answer, payment)
    }

    /// A token did not open the door. Where it should have, that is written down.
    async fn refused(&mut self, token: Token, challenge: Option<&Challenge>, status: StatusCode) {
        let fit = self.wanted(challenge).fit(&token);
        let was_honoured = token.standing == Standing::Honoured;
        let standing = match fit {
            // That it opens another door than this shows nothing.
            None => return,
            Some(Fit::Offered | Fit::Guess) if was_honoured => return,
            Some(Fit::Guess) => {
                self.guessed = Some((token, status));
                return;
            }
            Some(_) if was_honoured || self.request.buy_again => Standing::Quarantined,
            Some(_) => Standing::InVain,
        };
        self.judge(token.hash, standing).await;
        let receipt = Receipt { standing, ..token.receipt() };
        self.step(Step::Refused { receipt: &receipt, status });
        if standing == Standing::InVain {
            self.in_vain = Some((receipt, status));
        }
    }

    /// An earlier call's payment has turned out to be made.
    pub(crate) fn recover(&mut self, receipt: &Receipt) {
        self.recovered.insert(receipt.hash);
        self.step(Step::Proven { receipt });
    }

    /// Writes down what the server made of a token. Nothing depends on it: at worst a token that is
    /// known to be refused is tried once more.
    pub(crate) async fn judge(&self, hash: PaymentHash, standing: Standing) {
        if let Err(error) = self.shared.wallet.judge(hash, standing).await {
            tracing::warn!(%hash, standing = standing.name(), %error, "the wallet was not written");
        }
    }

    fn may_show_credentials(&self) -> bool {
        let Request { origin, url, .. } = self.request;
        let private = origin.is_kept_private() && self.shared.wire.is_kept_private(url);
        self.shared.allow_plain_http || private
    }

    /// Whether a bill from here may be paid at all.
    pub(crate) fn may_pay_here(&mut self) -> Result<(), Error> {
        let origin = self.request.origin.clone();
        match std::mem::replace(&mut self.bill, Bill::Pay) {
            Bill::Refuse(why) => Err(Error::Redirect { origin, why, receipt: None }),
            Bill::Pay if self.may_show_credentials() => {
                self.shared.policy.may_pay(&origin).map_err(Error::from)
            }
            Bill::Pay => Err(Error::Insecure(origin)),
        }
    }

    /// What was paid for, and is not honoured, is not paid for once more.
    pub(crate) fn may_pay_again(&mut self) -> Result<(), Error> {
        let Some((receipt, status)) = self.in_vain.take() else { return Ok(()) };
        let learned_now = self.recovered.contains(&receipt.hash);
        let receipt = Box::new(receipt);
        Err(match learned_now {
            true => Error::PaidInVain { receipt, status },
            false => Error::StillRefused { receipt, status },
        })
    }
}

/// Whether a proof was taken, as far as a status that does not refuse it shows. One that is good for
/// one request was taken with every answer, unless the server failed.
pub(crate) fn is_taken(manner: &Manner, status: StatusCode) -> bool {
    is_honoured(status) || manner.single_use && !status.is_server_error()
}

/// Whether a status shows that the door was open. A server that fails shows nothing, and a 401 or
/// 403 may come from the door or from behind it.
fn is_honoured(status: StatusCode) -> bool {
    let unclear = [StatusCode::UNAUTHORIZED, StatusCode::PAYMENT_REQUIRED, StatusCode::FORBIDDEN];
    !status.is_server_error() && !unclear.contains(&status)
}
