//! Agreement: whoever is to be asked before a payment is asked, and what was agreed to is what is
//! paid.

use l402::flow::{FlowError, NotTaken};
use l402::{Challenge, flow};

use crate::ask::{Asked, Call};
use crate::error::Error;
use crate::policy::{Approval, Denied, Proposal};
use crate::quote::Price;
use crate::response::Response;

/// How many offers that grow old one after the other are followed.
const MOST_OFFERS: usize = 4;

/// What came of it.
pub(crate) enum Agreed {
    /// This offer is to be paid, and can be.
    Pay(Box<Challenge>),
    /// In the meantime the server has stopped asking.
    Answered(Box<Response>),
}

impl Call<'_> {
    /// Asks whoever is to be asked about this offer, and gets another one in its place when it no
    /// longer `stands`: because we waited for our turn, or for the answer.
    pub(crate) async fn agree(
        &mut self,
        terms: &flow::Terms,
        mut challenge: Challenge,
        stands: impl Fn(&Challenge) -> bool,
    ) -> Result<Agreed, Error> {
        let mut agreed: Option<Price> = None;
        for _ in 0..MOST_OFFERS {
            let price = self.price(terms, &challenge, None);
            let covered = agreed
                .as_ref()
                .is_some_and(|agreed| price.amount <= agreed.amount && price.payee == agreed.payee);
            if !covered {
                self.ask_for_approval(&price).await?;
            }
            if stands(&challenge) {
                return Ok(Agreed::Pay(Box::new(challenge)));
            }
            agreed = Some(price);
            challenge = match self.ask_bare().await? {
                Asked::Answered(response) => return Ok(Agreed::Answered(response)),
                Asked::Wants(offers) => self.choose(terms, offers)?,
                Asked::Nothing => unreachable!("the bare request is sent"),
            };
        }
        let reason = (challenge.scheme.name(), NotTaken::Expired);
        Err(Error::Terms(FlowError::NoOffer(vec![reason])))
    }

    async fn ask_for_approval(&self, price: &Price) -> Result<(), Error> {
        let Some(above) = self.shared.policy.asks(price.amount) else { return Ok(()) };
        let Some(approver) = &self.shared.approver else {
            return Err(Denied::NobodyToAsk { amount: price.amount, above }.into());
        };
        let proposal = Proposal {
            origin: self.request.origin.clone(),
            method: self.request.method.clone(),
            path: self.request.path().to_owned(),
            price: price.clone(),
        };
        match approver.approve(&proposal).await {
            Approval::Granted => Ok(()),
            Approval::Refused(reason) => Err(Denied::Declined { reason }.into()),
        }
    }
}
