//! Which payments may have been begun without our knowing how they ended. An order that could not be
//! sent is `not paid`, but only if no earlier order for the same payment is in doubt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use l402::PaymentHash;
use tokio::time::Instant;

/// How long after its connection broke an order may still reach the node that it was sent to.
pub(crate) const STILL_ON_ITS_WAY: Duration = Duration::from_secs(5);

/// The payments in doubt. One that nobody ordered, or whose end is known, is not among them.
#[derive(Debug)]
pub(crate) struct Doubts {
    /// How long a lost order may still begin something.
    lingers: Duration,
    book: Mutex<Book>,
}

impl Default for Doubts {
    fn default() -> Self {
        Self::lingering(STILL_ON_ITS_WAY)
    }
}

#[derive(Debug, Default)]
struct Book {
    doubts: HashMap<PaymentHash, Doubt>,
    /// Counts what happens, so that it can be told what happened first.
    moment: u64,
}

#[derive(Debug, Default)]
struct Doubt {
    /// Orders that wait for an answer now.
    waiting: usize,
    /// When an answer was lost, if that was since the end was last known.
    lost: Option<(u64, Instant)>,
}

/// One order on its way. Dropped without a word, its answer counts as lost.
#[derive(Debug)]
#[must_use]
pub(crate) struct Order {
    hash: PaymentHash,
    since: u64,
    doubts: Arc<Doubts>,
    end: End,
}

/// A question to the node about a payment. Its answer, as an order's, says nothing about orders
/// that were still on their way when it was asked.
#[derive(Debug)]
#[must_use]
pub(crate) struct Question {
    hash: PaymentHash,
    since: u64,
    /// An order could still arrive after the node had answered.
    early: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Lost,
    NeverSent,
    Known,
}

impl Doubts {
    pub(crate) fn lingering(lingers: Duration) -> Self {
        Self { lingers, book: Mutex::default() }
    }

    /// An order for that payment is about to be sent.
    pub(crate) fn order(self: &Arc<Self>, hash: PaymentHash) -> Order {
        let mut book = self.lock();
        book.doubts.entry(hash).or_default().waiting += 1;
        Order { hash, since: book.tick(), doubts: Arc::clone(self), end: End::Lost }
    }

    /// The node is about to be asked how that payment ended.
    pub(crate) fn question(&self, hash: PaymentHash) -> Question {
        let mut book = self.lock();
        Question { hash, since: book.tick(), early: book.may_begin(hash, self.lingers) }
    }

    /// The node has said that nothing is under way for that payment. Whether that is the end: not
    /// while an order may still be on its way to it.
    pub(crate) fn nothing_begun(&self, question: Question) -> bool {
        let mut book = self.lock();
        if question.early || book.may_begin(question.hash, self.lingers) {
            return false;
        }
        book.settle(question.hash, question.since);
        true
    }

    /// The node has said how that payment ended.
    pub(crate) fn answered(&self, question: Question) {
        self.lock().settle(question.hash, question.since);
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().expect("no code under this lock can panic")
    }
}

impl Book {
    fn tick(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    fn may_begin(&self, hash: PaymentHash, lingers: Duration) -> bool {
        let recently = |lost: &(u64, Instant)| lost.1.elapsed() < lingers;
        let doubt = self.doubts.get(&hash);
        doubt.is_some_and(|doubt| doubt.waiting > 0 || doubt.lost.as_ref().is_some_and(recently))
    }

    /// The node has given its word on a payment to one who asked at that moment.
    fn settle(&mut self, hash: PaymentHash, asked: u64) {
        if let Some(doubt) = self.doubts.get_mut(&hash) {
            doubt.lost = doubt.lost.filter(|(lost, _)| *lost > asked);
        }
        self.forget_if_clear(hash);
    }

    fn forget_if_clear(&mut self, hash: PaymentHash) {
        let clear = |doubt: &Doubt| doubt.waiting == 0 && doubt.lost.is_none();
        if self.doubts.get(&hash).is_some_and(clear) {
            self.doubts.remove(&hash);
        }
    }
}

impl Order {
    /// Nothing was begun by this order. Whether another one may have begun the same payment.
    pub(crate) fn never_sent(mut self) -> bool {
        self.end = End::NeverSent;
        let book = self.doubts.lock();
        book.doubts.get(&self.hash).is_some_and(|doubt| doubt.lost.is_some() || doubt.waiting > 1)
    }

    /// The node has said how the payment ended.
    pub(crate) fn known(mut self) {
        self.end = End::Known;
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        let mut book = self.doubts.lock();
        let now = book.tick();
        if let Some(doubt) = book.doubts.get_mut(&self.hash) {
            doubt.waiting -= 1;
            if self.end == End::Lost {
                doubt.lost = Some((now, Instant::now()));
            }
        }
        match self.end {
            End::Known => book.settle(self.hash, self.since),
            End::Lost | End::NeverSent => book.forget_if_clear(self.hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: PaymentHash = PaymentHash([7; 32]);

    #[test]
    fn a_lost_answer_leaves_a_doubt_until_the_end_is_known() {
        let doubts = Arc::new(Doubts::default());
        assert!(!doubts.order(HASH).never_sent());
        drop(doubts.order(HASH));
        assert!(doubts.order(HASH).never_sent(), "an earlier order may have paid");
        doubts.order(HASH).known();
        assert!(!doubts.order(HASH).never_sent());
        drop(doubts.order(HASH));
        doubts.answered(doubts.question(HASH));
        assert!(!doubts.order(HASH).never_sent());
        assert!(doubts.lock().doubts.is_empty());
    }

    #[test]
    fn an_order_that_still_waits_is_a_doubt_too() {
        let doubts = Arc::new(Doubts::default());
        let waiting = doubts.order(HASH);
        assert!(doubts.order(HASH).never_sent());
        doubts.answered(doubts.question(HASH));
        assert!(doubts.order(HASH).never_sent(), "it may have begun a new attempt since");
        waiting.known();
        assert!(doubts.lock().doubts.is_empty());
    }

    #[test]
    fn an_answer_says_nothing_about_an_order_that_was_still_on_its_way() {
        let doubts = Arc::new(Doubts::default());
        let sent_before = doubts.order(HASH);
        let (question, answer) = (doubts.question(HASH), doubts.order(HASH));
        drop(sent_before);
        doubts.answered(question);
        answer.known();
        assert!(doubts.order(HASH).never_sent());
        doubts.answered(doubts.question(HASH));
        assert!(!doubts.order(HASH).never_sent());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_begun_is_the_end_once_no_order_is_on_its_way() {
        let doubts = Arc::new(Doubts::default());
        assert!(doubts.nothing_begun(doubts.question(HASH)));
        let asked_before = doubts.question(HASH);
        let order = doubts.order(HASH);
        assert!(!doubts.nothing_begun(asked_before), "the order is on its way");
        let asked_meanwhile = doubts.question(HASH);
        order.known();
        assert!(!doubts.nothing_begun(asked_meanwhile), "it may have arrived after the answer");
        assert!(doubts.nothing_begun(doubts.question(HASH)));
        drop(doubts.order(HASH));
        assert!(!doubts.nothing_begun(doubts.question(HASH)), "it may still arrive");
        tokio::time::advance(STILL_ON_ITS_WAY).await;
        assert!(doubts.nothing_begun(doubts.question(HASH)));
        assert!(doubts.lock().doubts.is_empty());
    }
}
