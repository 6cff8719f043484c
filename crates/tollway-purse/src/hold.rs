//! What is set aside while the end of a payment is not known. There is no limit on it yet that
//! could refuse a payment; it says what a purse that stops now would leave open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use l402::{Msat, PaymentHash};
use tokio::sync::watch;

/// Money set aside for one payment: the invoice's amount and the most that routing may cost.
///
/// [`Hold::ended`] gives it back. Dropping one keeps the money set aside, which is right whenever
/// the end of the payment is not known: after a timeout, a lost connection, a panic.
#[derive(Debug)]
#[must_use]
pub(crate) struct Hold {
    hash: PaymentHash,
    holds: Holds,
    known: bool,
}

/// A payment whose end the purse does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Which payment. The node can be asked about it after the next start.
    pub hash: PaymentHash,
    /// What it may cost, routing included.
    pub amount: Msat,
}

/// All holds of one purse. Clones are the same book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds(Arc<Book>);

#[derive(Debug, Default)]
struct Book {
    entries: Mutex<HashMap<PaymentHash, Entry>>,
    /// How many orders the node is working on. Changed under the lock of `entries`.
    working: watch::Sender<usize>,
}

/// Several callers may ask for the same payment: it is one hold, and it ends with the node's last
/// word.
#[derive(Debug)]
struct Entry {
    amount: Msat,
    orders: usize,
}

impl Holds {
    /// Sets `amount` aside for the payment of `hash`.
    pub(crate) fn take(&self, hash: PaymentHash, amount: Msat) -> Hold {
        let mut entries = self.entries();
        let entry = entries.entry(hash).or_insert(Entry { amount, orders: 0 });
        entry.amount = entry.amount.max(amount);
        entry.orders += 1;
        self.0.working.send_modify(|working| *working += 1);
        Hold { hash, holds: self.clone(), known: false }
    }

    /// Lets go of a hold that no order is working on: the node was asked how it ended, and knew.
    pub(crate) fn found_ended(&self, hash: PaymentHash) {
        let mut entries = self.entries();
        if entries.get(&hash).is_some_and(|entry| entry.orders == 0) {
            entries.remove(&hash);
        }
    }

    /// Every payment without a known end.
    pub(crate) fn unresolved(&self) -> Vec<Unresolved> {
        let unresolved = |(hash, entry): (&PaymentHash, &Entry)| Unresolved {
            hash: *hash,
            amount: entry.amount,
        };
        self.entries().iter().map(unresolved).collect()
    }

    /// Those of them that no order is working on: only the node can say how they ended.
    pub(crate) fn forsaken(&self) -> Vec<PaymentHash> {
        let entries = self.entries();
        entries.iter().filter(|(_, entry)| entry.orders == 0).map(|(hash, _)| *hash).collect()
    }

    /// Waits until the node works on no order.
    pub(crate) async fn idle(&self) {
        let mut working = self.0.working.subscribe();
        working.wait_for(|working| *working == 0).await.expect("the book holds the sender");
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<PaymentHash, Entry>> {
        self.0.entries.lock().expect("no code under this lock can panic")
    }

    /// One order less for `hash`. `known` is whether it ended.
    fn leave(&self, hash: PaymentHash, known: bool) {
        let mut entries = self.entries();
        if let Some(entry) = entries.get_mut(&hash) {
            entry.orders -= 1;
            if known && entry.orders == 0 {
                entries.remove(&hash);
            }
        }
        self.0.working.send_modify(|working| *working -= 1);
    }
}

impl Hold {
    /// The payment is known to have ended, one way or the other.
    pub(crate) fn ended(mut self) {
        self.known = true;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.holds.leave(self.hash, self.known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: PaymentHash = PaymentHash([7; 32]);

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    fn held(holds: &Holds) -> Vec<Msat> {
        holds.unresolved().iter().map(|open| open.amount).collect()
    }

    #[test]
    fn a_hold_ends_only_with_a_known_end() {
        let holds = Holds::default();
        holds.take(HASH, sat(1)).ended();
        assert_eq!(held(&holds), []);
        drop(holds.take(HASH, sat(1)));
        assert_eq!(held(&holds), [sat(1)]);
        assert_eq!(holds.forsaken(), [HASH]);
        holds.take(HASH, sat(1)).ended();
        assert_eq!(held(&holds), [], "the node's last word counts");
    }

    #[test]
    fn one_payment_is_one_hold_however_many_ask_for_it() {
        let holds = Holds::default();
        let (first, second) = (holds.take(HASH, sat(2)), holds.take(HASH, sat(3)));
        assert_eq!(held(&holds), [sat(3)]);
        first.ended();
        holds.found_ended(HASH);
        assert_eq!(held(&holds), [sat(3)], "another order is still being worked on");
        drop(second);
        holds.found_ended(HASH);
        assert_eq!(held(&holds), []);
    }
}
