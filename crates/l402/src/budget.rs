//! What may still be spent, and what is set aside while a payment's end is not known.

use std::collections::BTreeMap;

use crate::hash::PaymentHash;
use crate::money::Msat;

/// Money set aside for one payment: the invoice's amount and the most that routing may cost.
///
/// It is spent or released once. Dropping one keeps the money set aside, which is right when the
/// end of the payment is not known.
#[derive(Debug)]
#[must_use]
pub struct Hold {
    amount: Msat,
}

/// What may still be spent. `left + held + spent` never changes.
#[derive(Debug, Default)]
pub struct Budget {
    left: Msat,
    held: Msat,
    spent: Msat,
    doubts: BTreeMap<PaymentHash, Hold>,
}

/// The budget does not allow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{asked} is asked (fee limit included), and {left} is left")]
pub struct OverBudget {
    /// What was asked for, with the most that routing may cost.
    pub asked: Msat,
    /// What the budget still allows.
    pub left: Msat,
}

impl Hold {
    /// How much is set aside.
    pub const fn amount(&self) -> Msat {
        self.amount
    }
}

impl Budget {
    /// So much, once.
    pub fn new(left: Msat) -> Self {
        Self { left, ..Self::default() }
    }

    /// Sets money aside.
    ///
    /// # Errors
    /// There is less left than that.
    pub fn hold(&mut self, amount: Msat, max_fee: Msat) -> Result<Hold, OverBudget> {
        let over = |asked| OverBudget { asked, left: self.left };
        let asked = amount.checked_add(max_fee).ok_or_else(|| over(amount))?;
        let left = self.left.checked_sub(asked).ok_or_else(|| over(asked))?;
        let held = self.held.checked_add(asked).ok_or_else(|| over(asked))?;
        (self.left, self.held) = (left, held);
        Ok(Hold { amount: asked })
    }

    /// The money went: `cost` of it (never counted as more than was set aside), and the rest is
    /// free again.
    pub fn spend(&mut self, hold: Hold, cost: Msat) {
        let cost = cost.min(hold.amount);
        let rest = hold.amount.checked_sub(cost).expect("the cost is at most the hold");
        self.held = self.held.checked_sub(hold.amount).expect("a hold is held until it ends");
        self.left = self.left.checked_add(rest).expect("it was there before");
        self.spent = self.spent.checked_add(cost).expect("it was left before");
    }

    /// The money stayed.
    pub fn release(&mut self, hold: Hold) {
        self.spend(hold, Msat::ZERO);
    }

    /// The end of this payment is not known: its money stays set aside until [`Budget::resolve`].
    pub fn doubt(&mut self, hash: PaymentHash, hold: Hold) {
        // Two holds of one payment: one order joined the other, and the node was allowed the larger
        // fee of the two.
        let kept = match self.doubts.remove(&hash) {
            None => hold,
            Some(earlier) => {
                let (larger, smaller) =
                    if earlier.amount < hold.amount { (hold, earlier) } else { (earlier, hold) };
                self.release(smaller);
                larger
            }
        };
        self.doubts.insert(hash, kept);
    }

    /// The node has said how a payment in doubt ended: what it cost, routing included, or `None`
    /// when it was not paid. A payment that is not in doubt here changes nothing.
    pub fn resolve(&mut self, hash: PaymentHash, cost: Option<Msat>) {
        if let Some(hold) = self.doubts.remove(&hash) {
            self.spend(hold, cost.unwrap_or(Msat::ZERO));
        }
    }

    /// How much there was at first: what is left, set aside and spent.
    pub fn whole(&self) -> Msat {
        let mut parts = [self.left, self.held, self.spent].into_iter();
        let whole = parts.try_fold(Msat::ZERO, Msat::checked_add);
        whole.expect("the three together never change")
    }

    /// What may still be spent.
    pub const fn left(&self) -> Msat {
        self.left
    }

    /// What is set aside.
    pub const fn held(&self) -> Msat {
        self.held
    }

    /// What has gone.
    pub const fn spent(&self) -> Msat {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_in_doubt_is_neither_spent_nor_left() {
        let sat = |n| Msat::from_sat(n).unwrap();
        let mut budget = Budget::new(sat(100));
        let (paid, unpaid) = (PaymentHash([1; 32]), PaymentHash([2; 32]));
        for hash in [paid, unpaid] {
            let hold = budget.hold(sat(20), sat(5)).unwrap();
            budget.doubt(hash, hold);
        }
        assert_eq!((budget.left(), budget.held(), budget.spent()), (sat(50), sat(50), sat(0)));

        budget.resolve(paid, Some(sat(21)));
        budget.resolve(unpaid, None);
        budget.resolve(unpaid, Some(sat(25)));
        assert_eq!((budget.left(), budget.held(), budget.spent()), (sat(79), sat(0), sat(21)));
    }

    #[test]
    fn of_two_holds_of_one_payment_the_larger_is_kept() {
        let sat = |n| Msat::from_sat(n).unwrap();
        for fees in [[1, 9], [9, 1]] {
            let mut budget = Budget::new(sat(100));
            for fee in fees {
                let hold = budget.hold(sat(20), sat(fee)).unwrap();
                budget.doubt(PaymentHash([1; 32]), hold);
            }
            assert_eq!((budget.left(), budget.held()), (sat(71), sat(29)), "{fees:?}");
        }
    }

    #[test]
    fn one_payment_is_in_doubt_once() {
        let sat = |n| Msat::from_sat(n).unwrap();
        let mut budget = Budget::new(sat(100));
        for _ in 0..2 {
            let hold = budget.hold(sat(20), sat(0)).unwrap();
            budget.doubt(PaymentHash([1; 32]), hold);
        }
        assert_eq!((budget.left(), budget.held()), (sat(80), sat(20)));
    }
}
