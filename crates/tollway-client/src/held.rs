//! Money that is set aside for one payment, from the hold to the node's word. A call that is dropped
//! on the way does not drop it: the payment is in doubt then, and the next call that learns its end
//! settles it.

use l402::flow::{Asking, FlowError, Paying, Proving, Terms};
use l402::{Challenge, Msat, OverBudget, Paid, PayError, PayOrder};

use crate::client::Shared;

/// A payment that is about to be made, and the budget that it is made from.
#[must_use]
pub(crate) struct Held<'a> {
    shared: &'a Shared,
    /// There until the end is known.
    paying: Option<Paying>,
}

impl<'a> Held<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        terms: Terms,
        challenge: Challenge,
    ) -> Result<Self, OverBudget> {
        let paying = Asking { terms }.pay(challenge, &mut shared.budget())?;
        Ok(Self { shared, paying: Some(paying) })
    }

    /// How much is set aside, in millisatoshi.
    pub(crate) fn amount(&self) -> Msat {
        let order = self.order();
        // A hold is the checked sum of these two.
        order.invoice.amount().checked_add(order.max_fee).unwrap_or(Msat::SUPPLY)
    }

    fn paying(&self) -> &Paying {
        self.paying.as_ref().expect("only what consumes this takes it out")
    }

    fn take(mut self) -> Paying {
        self.paying.take().expect("only what consumes this takes it out")
    }

    pub(crate) fn challenge(&self) -> &Challenge {
        self.paying().challenge()
    }

    pub(crate) fn order(&self) -> PayOrder<'_> {
        self.paying().order()
    }

    /// Nothing was asked of the node after all.
    pub(crate) fn abandon(self) {
        let shared = self.shared;
        self.take().abandon(&mut shared.budget());
    }

    /// The node has said something, or nothing in time.
    pub(crate) fn settled(self, result: Result<Paid, PayError>) -> Result<Proving, FlowError> {
        let shared = self.shared;
        self.take().settled(result, &mut shared.budget())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(paying) = self.paying.take() {
            paying.lost(&mut self.shared.budget());
        }
    }
}
