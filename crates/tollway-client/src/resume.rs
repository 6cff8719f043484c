//! What earlier calls left behind: payments that were begun and whose end nobody wrote down, because
//! the process died, the node did not answer, or the payment was still on its way. Only the node's
//! word ends them.

use std::time::{Duration, SystemTime};

use l402::{Challenge, Msat, NodeError, NodeErrorKind, Offers, Outcome, Payer, PaymentHash, flow};

use crate::ask::Call;
use crate::client::Shared;
use crate::error::Error;
use crate::fetch::no_word;
use crate::observe::Step;
use crate::wallet::{Purchase, Receipt, Turn};

/// An invoice that was about to be paid, was not, and still can be. While it can, it is the only one
/// that is paid for its scope: an order that is late to reach the node then pays for what is wanted.
#[derive(Debug)]
pub(crate) struct Unpaid(Purchase);

/// What the node said of a payment that was begun earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was made. The proof is in the wallet now.
    Paid(Receipt),
    /// It was not made. While its invoice can be paid it stays in the wallet: a call that wants what
    /// it is for pays it.
    NotPaid(PaymentHash),
    /// It is still on its way, or the node cannot say.
    Unknown(PaymentHash),
}

impl Call<'_> {
    /// An unpaid invoice's challenge, when today's terms and policy allow it.
    pub(crate) fn choose_unpaid(
        &self,
        terms: &flow::Terms,
        unpaid: Unpaid,
    ) -> Result<Challenge, Error> {
        let challenge = unpaid.0.challenge;
        // By the clock of its making: that little time may be left is no reason to pay another one.
        let made = challenge.invoice.created_at();
        let offers = Offers { challenges: vec![challenge], refused: Vec::new() };
        let allowed = |challenge: &Challenge| self.may_take(challenge);
        terms.choose_among(offers, made, allowed).map_err(Error::Terms)
    }

    /// Asks the node about every payment that was begun for what is wanted here. One that was paid
    /// becomes a token in the wallet; one that was not, and still can be, is returned.
    ///
    /// While the end of one is not known nothing new is paid: the error says so.
    pub(crate) async fn resume(
        &mut self,
        turn: &Turn,
        payer: &dyn Payer,
        challenge: &Challenge,
    ) -> Result<Option<Unpaid>, Error> {
        let begun = self.shared.wallet.pending(Some(&self.request.origin)).await?;
        let mut unpaid = None;
        for purchase in begun {
            if !self.wanted(Some(challenge)).is_bought_by(&purchase) {
                continue;
            }
            self.step(Step::Resuming { hash: purchase.hash() });
            let patience = self.terms().patience;
            match self.shared.end(turn, payer, &purchase, patience).await? {
                Some(receipt) => self.recover(&receipt),
                None if unpaid.is_none() && is_live(&purchase) => unpaid = Some(Unpaid(purchase)),
                None => self.shared.wallet.forget(turn, purchase.hash()).await?,
            }
        }
        Ok(unpaid)
    }
}

impl Shared {
    /// Asks the node about everything that was begun, and writes down what it says.
    pub(crate) async fn settle(&self) -> Result<Vec<Ending>, Error> {
        let mut endings = Vec::new();
        for purchase in self.wallet.pending(None).await? {
            let payer = self.payer().await?;
            let turn = self.wallet.turn(&purchase.origin, &|| {}).await?;
            // Whoever had the turn may have ended it.
            let begun = self.wallet.pending(Some(&purchase.origin)).await?;
            let hash = purchase.hash();
            if begun.iter().all(|begun| begun.hash() != hash) {
                continue;
            }
            endings.push(match self.end(&turn, &*payer, &purchase, self.terms.patience).await {
                Ok(Some(receipt)) => Ending::Paid(receipt),
                Ok(None) => {
                    if !is_live(&purchase) {
                        self.wallet.forget(&turn, hash).await?;
                    }
                    Ending::NotPaid(hash)
                }
                Err(Error::Unknown { .. } | Error::WrongPreimage { .. }) => Ending::Unknown(hash),
                Err(error) => return Err(error),
            });
        }
        Ok(endings)
    }

    /// How a payment that was begun has ended, by the node's word: with a receipt, when the proof is
    /// in the wallet now, or with `None` when it was not made.
    async fn end(
        &self,
        turn: &Turn,
        payer: &dyn Payer,
        purchase: &Purchase,
        patience: Duration,
    ) -> Result<Option<Receipt>, Error> {
        let (hash, invoice) = (purchase.hash(), &purchase.challenge.invoice);
        let unknown = |source| Error::Unknown { hash, source };
        if !self.is_begun_with_our_node(purchase) || invoice.network() != payer.network() {
            return Err(unknown(Some(another_node())));
        }
        let asked = tokio::time::timeout(patience, payer.outcome(hash)).await;
        match asked.unwrap_or_else(|_| Err(no_word())) {
            Err(source) => Err(unknown(Some(source))),
            Ok(Outcome::Pending) => Err(unknown(None)),
            Ok(Outcome::NotPaid) => {
                self.budget().resolve(hash, None);
                Ok(None)
            }
            Ok(Outcome::Paid(paid)) if !paid.preimage.opens(hash) => {
                Err(Error::WrongPreimage { hash })
            }
            Ok(Outcome::Paid(paid)) => {
                let cost = invoice.amount().checked_add(paid.fee).unwrap_or(Msat::SUPPLY);
                self.budget().resolve(hash, Some(cost));
                let finished = self.wallet.finish(turn, hash, &paid, SystemTime::now()).await;
                finished.map(Some).map_err(|source| Error::NotStored { hash, source })
            }
        }
    }

    /// Another node's "never heard of it" would read as "not paid".
    fn is_begun_with_our_node(&self, purchase: &Purchase) -> bool {
        match (&purchase.node, self.node_name()) {
            (Some(theirs), Some(ours)) => *theirs == ours,
            (None, _) | (_, None) => true,
        }
    }
}

fn is_live(purchase: &Purchase) -> bool {
    let (now, challenge) = (SystemTime::now(), &purchase.challenge);
    let is_taken = challenge.expires.is_none_or(|end| now < end);
    is_taken && challenge.invoice.is_live(now, Duration::ZERO)
}

fn another_node() -> NodeError {
    let remedy = "it was begun with another node than the client has now: ask with that one";
    NodeError::new("node", NodeErrorKind::Refused).because(remedy)
}
