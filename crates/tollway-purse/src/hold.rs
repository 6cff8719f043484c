//! What is set aside while the end of a payment is not known. There is no limit on it yet that
//! could refuse a payment; it says what a purse that stops now would leave open.
//!
//! It is a book of this run: the record that outlives a crash is the node's, and it is the node that
//! is asked afterwards. So that the node's answer can be passed on as a promise, the book also knows
//! about what the node does not know yet: orders that are at work, and those still to be read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use l402::{Msat, PaymentHash};
use tokio::sync::watch;

use crate::turn::Turn;

/// Money set aside for one payment: the invoice's amount and the most that routing may cost.
///
/// [`Hold::paid`] and [`Hold::not_paid`] give it back. Dropping one keeps the money set aside, which
/// is right whenever the end of the payment is not known: after a timeout, a lost connection, a
/// panic.
#[derive(Debug)]
#[must_use]
pub(crate) struct Hold {
    hash: PaymentHash,
    turn: Turn,
    holds: Holds,
    end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Unknown,
    Known,
}

/// A payment whose end the purse does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// Which payment. The node can be asked about it after the next start.
    pub hash: PaymentHash,
    /// What it may cost, routing included.
    pub amount: Msat,
}

/// Why an order may not begin a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It took too long to arrive.
    Late,
    /// Somebody may have been told meanwhile that this payment is not made.
    Overtaken,
    /// The purse has said what it leaves open, and begins nothing more.
    Stopping,
}

/// How things stood with a payment when the node was asked about it.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct Question {
    pub(crate) hash: PaymentHash,
    /// Whether an order is at work, perhaps without the node's knowledge yet: its "not paid" is
    /// then not the last word.
    pub(crate) at_work: bool,
    /// How many orders had been taken.
    taken: u64,
}

/// All holds of one purse. Clones are the same book.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holds(Arc<Book>);

#[derive(Debug, Default)]
struct Book {
    pages: Mutex<Pages>,
    /// How many orders the node is working on. Changed under the lock of `pages`.
    working: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Pages {
    entries: HashMap<PaymentHash, Entry>,
    /// The last turn in which somebody asked about a payment or was told that it is not made. No
    /// order of that turn or an earlier one begins it.
    said: HashMap<PaymentHash, Turn>,
    /// How long `said` may grow before what is over is looked for.
    room: usize,
    /// How many orders were ever taken.
    taken: u64,
    closed: bool,
}

/// Several callers may ask for the same payment: it is one hold, and it ends with the node's last
/// word.
#[derive(Debug)]
struct Entry {
    amount: Msat,
    orders: usize,
    /// Which order was the last, counted over all payments.
    last: u64,
}

impl Holds {
    /// Sets `amount` aside for the payment of `hash`, unless it may not be begun any more.
    pub(crate) fn take(
        &self,
        hash: PaymentHash,
        amount: Msat,
        turn: Turn,
    ) -> Result<Hold, NotTaken> {
        let mut pages = self.pages();
        if pages.closed {
            return Err(NotTaken::Stopping);
        }
        if turn.is_over(Instant::now()) {
            return Err(NotTaken::Late);
        }
        if pages.said.get(&hash).is_some_and(|said| turn <= *said) {
            return Err(NotTaken::Overtaken);
        }
        pages.taken += 1;
        let last = pages.taken;
        let entry = pages.entries.entry(hash).or_insert(Entry { amount, orders: 0, last });
        entry.amount = entry.amount.max(amount);
        entry.orders += 1;
        entry.last = last;
        self.0.working.send_modify(|working| *working += 1);
        Ok(Hold { hash, turn, holds: self.clone(), end: End::Unknown })
    }

    /// The node is about to be asked how that payment ended. From now on no earlier order begins it.
    pub(crate) fn question(&self, hash: PaymentHash, turn: Turn) -> Question {
        let mut pages = self.pages();
        pages.say(hash, turn);
        let at_work = pages.entries.get(&hash).is_some_and(|entry| entry.orders > 0);
        Question { hash, at_work, taken: pages.taken }
    }

    /// The node knew how it ended. Lets go of the hold, unless an order came after the question.
    pub(crate) fn answered(&self, question: Question) {
        let mut pages = self.pages();
        let told = |entry: &Entry| entry.orders == 0 && entry.last <= question.taken;
        if pages.entries.get(&question.hash).is_some_and(told) {
            pages.entries.remove(&question.hash);
        }
    }

    /// Every payment without a known end.
    pub(crate) fn unresolved(&self) -> Vec<Unresolved> {
        self.pages().unresolved()
    }

    /// Those of them that no order is working on: only the node can say how they ended.
    pub(crate) fn forsaken(&self) -> Vec<Question> {
        let pages = self.pages();
        let forsaken = pages.entries.iter().filter(|(_, entry)| entry.orders == 0);
        let taken = pages.taken;
        forsaken.map(|(hash, _)| Question { hash: *hash, at_work: false, taken }).collect()
    }

    /// Waits until the node works on no order.
    pub(crate) async fn idle(&self) {
        let mut working = self.0.working.subscribe();
        working.wait_for(|working| *working == 0).await.expect("the book holds the sender");
    }

    /// Begins nothing more, and says what is left open.
    pub(crate) fn close(&self) -> Vec<Unresolved> {
        let mut pages = self.pages();
        pages.closed = true;
        pages.unresolved()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.pages.lock().expect("no code under this lock can panic")
    }
}

impl Pages {
    /// Notes that somebody relies on this payment not being begun by an earlier order, and forgets
    /// what no order can come too late for.
    fn say(&mut self, hash: PaymentHash, turn: Turn) {
        if self.said.len() >= self.room {
            let now = Instant::now();
            self.said.retain(|_, said| !said.is_over(now));
            self.room = (2 * self.said.len()).max(64);
        }
        let said = self.said.entry(hash).or_insert(turn);
        *said = turn.max(*said);
    }

    fn unresolved(&self) -> Vec<Unresolved> {
        let unresolved = |(hash, entry): (&PaymentHash, &Entry)| Unresolved {
            hash: *hash,
            amount: entry.amount,
        };
        self.entries.iter().map(unresolved).collect()
    }
}

impl Hold {
    /// The payment was made.
    pub(crate) fn paid(mut self) {
        self.end = End::Known;
    }

    /// The node said to this order that the payment was not made. Whether that is the last word: it
    /// is not while another order for the same payment is at work.
    pub(crate) fn not_paid(mut self) -> bool {
        let mut pages = self.holds.pages();
        let alone = pages.entries.get(&self.hash).is_none_or(|entry| entry.orders == 1);
        if alone {
            pages.say(self.hash, self.turn);
        }
        drop(pages);
        self.end = End::Known;
        alone
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut pages = self.holds.pages();
        if let Some(entry) = pages.entries.get_mut(&self.hash) {
            entry.orders -= 1;
            if self.end == End::Known && entry.orders == 0 {
                pages.entries.remove(&self.hash);
            }
        }
        self.holds.0.working.send_modify(|working| *working -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turn::Connection;

    const HASH: PaymentHash = PaymentHash([7; 32]);

    fn sat(sat: u64) -> Msat {
        Msat::from_sat(sat).unwrap()
    }

    fn turn() -> Turn {
        Connection::new().turn().unwrap()
    }

    fn take(holds: &Holds, amount: u64) -> Hold {
        holds.take(HASH, sat(amount), turn()).unwrap()
    }

    fn held(holds: &Holds) -> Vec<Msat> {
        holds.unresolved().iter().map(|open| open.amount).collect()
    }

    #[test]
    fn a_hold_ends_only_with_a_known_end() {
        let holds = Holds::default();
        take(&holds, 1).paid();
        assert_eq!(held(&holds), []);
        drop(take(&holds, 1));
        assert_eq!(held(&holds), [sat(1)]);
        assert_eq!(holds.forsaken()[0].hash, HASH);
        assert!(take(&holds, 1).not_paid());
        assert_eq!(held(&holds), [], "the node's last word counts");
    }

    #[test]
    fn one_payment_is_one_hold_however_many_ask_for_it() {
        let holds = Holds::default();
        let (first, second) = (take(&holds, 2), take(&holds, 3));
        assert_eq!(held(&holds), [sat(3)]);
        first.paid();
        let question = holds.question(HASH, turn());
        assert!(question.at_work);
        holds.answered(question);
        assert_eq!(held(&holds), [sat(3)], "another order is still being worked on");
        drop(second);
        holds.answered(holds.question(HASH, turn()));
        assert_eq!(held(&holds), []);
    }

    #[test]
    fn not_paid_is_the_last_word_only_of_the_last_order() {
        let holds = Holds::default();
        let (first, second) = (take(&holds, 1), take(&holds, 1));
        assert!(!first.not_paid());
        assert!(second.not_paid());
        assert_eq!(held(&holds), []);
    }

    #[test]
    fn an_answer_says_nothing_about_a_later_order() {
        let holds = Holds::default();
        drop(take(&holds, 1));
        let stale = holds.question(HASH, turn());
        drop(take(&holds, 1));
        holds.answered(stale);
        assert_eq!(held(&holds), [sat(1)]);
        for forsaken in holds.forsaken() {
            holds.answered(forsaken);
        }
        assert_eq!(held(&holds), []);
    }

    #[test]
    fn an_order_before_a_question_or_a_refusal_begins_nothing_after_it() {
        let holds = Holds::default();
        let (overtaken, other, question, later) = (turn(), turn(), turn(), turn());
        let _ = holds.question(HASH, question);
        assert_eq!(holds.take(HASH, sat(1), overtaken).unwrap_err(), NotTaken::Overtaken);
        holds.take(PaymentHash([8; 32]), sat(1), other).unwrap().paid();
        let latest = turn();
        assert!(holds.take(HASH, sat(1), latest).unwrap().not_paid());
        assert_eq!(holds.take(HASH, sat(1), later).unwrap_err(), NotTaken::Overtaken);
        assert_eq!(held(&holds), []);
    }

    #[test]
    fn a_closed_book_takes_nothing() {
        let holds = Holds::default();
        drop(take(&holds, 4));
        assert_eq!(holds.close(), [Unresolved { hash: HASH, amount: sat(4) }]);
        assert_eq!(holds.take(HASH, sat(1), turn()).unwrap_err(), NotTaken::Stopping);
    }

    #[test]
    fn what_was_said_is_forgotten_when_no_order_can_come_too_late_for_it() {
        let long_ago = Instant::now().checked_sub(2 * crate::turn::ARRIVAL).unwrap();
        let late = Turn::at(long_ago);
        let holds = Holds::default();
        for number in 0..200_u8 {
            let _ = holds.question(PaymentHash([number; 32]), late);
        }
        assert!(holds.pages().said.len() < 100);
        assert_eq!(holds.take(HASH, sat(1), late).unwrap_err(), NotTaken::Late);
    }
}
