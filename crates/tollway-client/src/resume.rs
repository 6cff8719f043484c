//! What earlier calls left behind: payments that were begun and whose end nobody wrote down, because
//! the process died, the node did not answer, or the payment was still on its way. Only the node's
//! word ends them.

use std::time::{Duration, SystemTime};

use l402::{Challenge, Offers, Outcome, Payer, flow};

use crate::ask::Call;
use crate::error::Error;
use crate::fetch::no_word;
use crate::observe::Step;
use crate::wallet::{Claim, Purchase};

/// An invoice that was about to be paid, was not, and still can be. While it can, it is the only one
/// that is paid for its scope: an order that is late to reach the node then pays for what is wanted.
#[derive(Debug)]
pub(crate) struct Unpaid(Purchase);

impl Unpaid {
    /// Its challenge, when today's terms allow it.
    pub(crate) fn within(self, terms: &flow::Terms) -> Result<Challenge, Error> {
        let challenge = self.0.challenge;
        // By the clock of its making: that little time may be left is no reason to pay another one.
        let made = challenge.invoice.created_at();
        let offers = Offers { challenges: vec![challenge], refused: Vec::new() };
        terms.choose(offers, made).map_err(Error::Terms)
    }
}

impl Call<'_> {
    /// Asks the node about every payment that was begun for what is wanted here. One that was paid
    /// becomes a token in the wallet; one that was not, and still can be, is returned.
    ///
    /// While the end of one is not known nothing new is paid: the error says so.
    pub(crate) async fn resume(
        &mut self,
        claim: &Claim,
        payer: &dyn Payer,
        challenge: &Challenge,
    ) -> Result<Option<Unpaid>, Error> {
        let begun = self.shared.wallet.pending(Some(&self.request.origin)).await?;
        let mut unpaid = None;
        for purchase in begun {
            if !self.wanted(Some(challenge)).is_bought_by(&purchase) {
                continue;
            }
            if !self.end(claim, payer, &purchase).await? {
                let live = purchase.challenge.invoice.is_live(SystemTime::now(), Duration::ZERO);
                match live && unpaid.is_none() {
                    true => unpaid = Some(Unpaid(purchase)),
                    false => self.shared.wallet.forget(claim, purchase.hash()).await?,
                }
            }
        }
        Ok(unpaid)
    }

    /// Whether a payment that was begun was made. If it was, the proof is in the wallet.
    async fn end(
        &mut self,
        claim: &Claim,
        payer: &dyn Payer,
        purchase: &Purchase,
    ) -> Result<bool, Error> {
        let (hash, invoice) = (purchase.hash(), &purchase.challenge.invoice);
        self.step(Step::Resuming { hash });
        if invoice.network() != payer.network() {
            // Another node than the one that was told to pay: its word is worth nothing.
            return Err(Error::Unknown { hash, source: None });
        }
        let asked = tokio::time::timeout(self.terms().patience, payer.outcome(hash)).await;
        let outcome = asked.unwrap_or_else(|_| Err(no_word()));
        match outcome {
            Err(source) => Err(Error::Unknown { hash, source: Some(source) }),
            Ok(Outcome::Pending) => Err(Error::Unknown { hash, source: None }),
            Ok(Outcome::NotPaid) => {
                self.shared.budget().resolve(hash, None);
                Ok(false)
            }
            Ok(Outcome::Paid(paid)) if !paid.preimage.opens(hash) => {
                Err(Error::WrongPreimage { hash })
            }
            Ok(Outcome::Paid(paid)) => {
                let cost = invoice.amount().checked_add(paid.fee);
                self.shared.budget().resolve(hash, Some(cost.unwrap_or(l402::Msat::SUPPLY)));
                let finished =
                    self.shared.wallet.finish(claim, hash, &paid, SystemTime::now()).await;
                let receipt = finished.map_err(|source| Error::NotStored { hash, source })?;
                self.recover(&receipt);
                Ok(true)
            }
        }
    }
}
