//! Which payments may have been begun without our knowing how they ended. An order that could not be
//! sent is `not paid`, but only if no earlier order for the same payment is in doubt.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use l402::PaymentHash;

/// The payments in doubt. One that nobody ordered, or whose end is known, is not among them.
#[derive(Debug, Default)]
pub(crate) struct Doubts(Mutex<HashMap<PaymentHash, Doubt>>);

#[derive(Debug, Default)]
struct Doubt {
    /// Orders that wait for an answer now.
    waiting: usize,
    /// Whether an answer was lost since the end was last known.
    lost: bool,
}

/// One order on its way. Dropped without a word, its answer counts as lost.
#[derive(Debug)]
#[must_use]
pub(crate) struct Order<'a> {
    hash: PaymentHash,
    doubts: &'a Doubts,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lost,
    NeverSent,
    Known,
}

impl Doubts {
    /// An order for that payment is about to be sent.
    pub(crate) fn order(&self, hash: PaymentHash) -> Order<'_> {
        self.lock().entry(hash).or_default().waiting += 1;
        Order { hash, doubts: self, end: End::Lost }
    }

    /// The node has said how that payment ended.
    pub(crate) fn found_ended(&self, hash: PaymentHash) {
        let mut doubts = self.lock();
        if doubts.get(&hash).is_some_and(|doubt| doubt.waiting == 0) {
            doubts.remove(&hash);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PaymentHash, Doubt>> {
        self.0.lock().expect("no code under this lock can panic")
    }
}

impl Order<'_> {
    /// Nothing was begun by this order. Whether another one may have begun the same payment.
    pub(crate) fn never_sent(mut self) -> bool {
        self.end = End::NeverSent;
        let doubts = self.doubts.lock();
        doubts.get(&self.hash).is_some_and(|doubt| doubt.lost || doubt.waiting > 1)
    }

    /// The node has said how the payment ended.
    pub(crate) fn known(mut self) {
        self.end = End::Known;
    }
}

impl Drop for Order<'_> {
    fn drop(&mut self) {
        let mut doubts = self.doubts.lock();
        let Some(doubt) = doubts.get_mut(&self.hash) else { return };
        doubt.waiting -= 1;
        match self.end {
            End::Lost => doubt.lost = true,
            End::Known => doubt.lost = false,
            End::NeverSent => {}
        }
        if doubt.waiting == 0 && !doubt.lost {
            doubts.remove(&self.hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: PaymentHash = PaymentHash([7; 32]);

    #[test]
    fn a_lost_answer_leaves_a_doubt_until_the_end_is_known() {
        let doubts = Doubts::default();
        assert!(!doubts.order(HASH).never_sent());
        drop(doubts.order(HASH));
        assert!(doubts.order(HASH).never_sent(), "an earlier order may have paid");
        doubts.order(HASH).known();
        assert!(!doubts.order(HASH).never_sent());
        drop(doubts.order(HASH));
        doubts.found_ended(HASH);
        assert!(!doubts.order(HASH).never_sent());
        assert!(doubts.lock().is_empty());
    }

    #[test]
    fn an_order_that_still_waits_is_a_doubt_too() {
        let doubts = Doubts::default();
        let waiting = doubts.order(HASH);
        assert!(doubts.order(HASH).never_sent());
        doubts.found_ended(HASH);
        assert!(doubts.order(HASH).never_sent(), "it may have begun a new attempt since");
        waiting.known();
        assert!(doubts.lock().is_empty());
    }
}
