//! What a node tells by itself: which invoices were paid. It is listened to from the first question
//! whether one was, so that the next answers are here already when they are asked for. Nothing depends
//! on it: an invoice that it has not told of is looked up.
//!
//! A node counts its payments, and tells them from a count on. How it is asked for the next one is the
//! driver's, in [`Teller`]; how long it is listened to, and what is remembered, is decided here.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use l402::{NodeError, NodeErrorKind, PaymentHash};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

/// How long to wait before a node is asked to tell again; twice as long each time.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];
/// And where it has refused to: a credential in a file may be another one by then.
const REFUSED: Duration = Duration::from_secs(600);
/// So many payments are remembered: whoever pays comes to use it within moments.
const MOST: usize = 16 * 1024;

/// A node that tells which invoices were paid.
pub(crate) trait Teller: fmt::Debug + Send + Sync + 'static {
    /// The driver's name in the log.
    const NAME: &'static str;

    /// Listens once, from where `heard` had come to, and adds to it what is told. Ends when the node
    /// has said that there is nothing more for now, or without its connection.
    fn tell(&self, heard: &Heard) -> impl Future<Output = Result<(), NodeError>> + Send;
}

/// The payments that a node has told of.
#[derive(Debug)]
pub(crate) struct News<T> {
    teller: Arc<T>,
    heard: Arc<Heard>,
    listening: Mutex<Option<AbortHandle>>,
}

/// What was heard so far.
#[derive(Debug, Default)]
pub(crate) struct Heard(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    /// How many payments the node had counted at the last one; from here on it tells them again.
    count: u64,
    paid: HashSet<PaymentHash>,
    in_order: VecDeque<PaymentHash>,
}

impl<T: Teller> News<T> {
    pub(crate) fn of(teller: Arc<T>) -> Self {
        Self { teller, heard: Arc::default(), listening: Mutex::new(None) }
    }

    /// Whether the node has told that it was paid. The first question makes it tell.
    pub(crate) fn has_told_of(&self, hash: PaymentHash) -> bool {
        let mut listening = self.listening.lock().expect("no code under this lock can panic");
        // A runtime that has ended has taken the task along.
        if listening.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = listen(Arc::clone(&self.teller), Arc::clone(&self.heard));
            *listening = Some(tokio::spawn(task).abort_handle());
        }
        self.heard.book().paid.contains(&hash)
    }
}

impl<T> Drop for News<T> {
    fn drop(&mut self) {
        if let Some(task) = self.listening.lock().expect("no code under this lock can panic").take()
        {
            task.abort();
        }
    }
}

impl Heard {
    /// The count of the last payment that was told of, or where listening began; zero before that.
    pub(crate) fn count(&self) -> u64 {
        self.book().count
    }

    /// Begins after that payment.
    pub(crate) fn begin_after(&self, count: u64) {
        let mut book = self.book();
        book.count = book.count.max(count);
    }

    /// That invoice was paid, and was the `count`th of all.
    pub(crate) fn add(&self, hash: PaymentHash, count: u64) {
        let mut book = self.book();
        book.count = book.count.max(count);
        if book.paid.insert(hash) {
            book.in_order.push_back(hash);
        }
        if book.in_order.len() > MOST
            && let Some(oldest) = book.in_order.pop_front()
        {
            book.paid.remove(&oldest);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().expect("no code under this lock can panic")
    }
}

/// Listens for ever, again and again from where it had come to.
async fn listen<T: Teller>(teller: Arc<T>, heard: Arc<Heard>) {
    let [shortest, longest] = PAUSES;
    let mut pause = shortest;
    loop {
        let (before, began) = (heard.count(), Instant::now());
        match teller.tell(&heard).await {
            Ok(()) => {}
            Err(error) if error.kind == NodeErrorKind::Unauthorized => {
                tracing::info!(
                    %error,
                    "{} does not tell which invoices are paid; each is looked up",
                    T::NAME
                );
                sleep(REFUSED).await;
                continue;
            }
            Err(error) => {
                tracing::debug!(%error, "{} does not tell which invoices are paid", T::NAME);
            }
        }
        // Whoever had nothing to tell for a while did well; who ends at once is not asked at once.
        if heard.count() > before || began.elapsed() >= longest {
            pause = shortest;
        }
        sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_bounded_and_the_count_never_goes_back() {
        let heard = Heard::default();
        let hash = |number: u64| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            PaymentHash(bytes)
        };
        for number in 0..2 * MOST as u64 {
            heard.add(hash(number), number);
            heard.add(hash(number), number);
        }
        heard.add(hash(3), 3);
        heard.begin_after(4);
        let book = heard.book();
        assert_eq!((book.paid.len(), book.in_order.len()), (MOST, MOST));
        assert_eq!(book.count, 2 * MOST as u64 - 1);
        assert!(book.paid.contains(&hash(2 * MOST as u64 - 1)));
        assert!(!book.paid.contains(&hash(MOST as u64)));
    }

    /// A node whose tellings end in these ways, and the last of them for ever.
    #[derive(Debug)]
    struct Ends {
        start: Instant,
        ends: Vec<Option<NodeErrorKind>>,
        at: Mutex<Vec<Duration>>,
    }

    impl Teller for Ends {
        const NAME: &'static str = "test";

        async fn tell(&self, _: &Heard) -> Result<(), NodeError> {
            let told = {
                let mut at = self.at.lock().unwrap();
                at.push(self.start.elapsed());
                at.len()
            };
            if let Some(Some(kind)) = self.ends.get(told - 1) {
                return Err(NodeError::new(Self::NAME, *kind));
            }
            sleep(Duration::from_secs(40)).await;
            Ok(())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_fails_is_asked_ever_more_rarely_and_one_that_was_silent_at_once() {
        let [down, refused] = [NodeErrorKind::Unreachable, NodeErrorKind::Unauthorized].map(Some);
        let ends = vec![down, down, down, None, None, refused];
        let teller = Arc::new(Ends { start: Instant::now(), ends, at: Mutex::default() });
        let news = News::of(Arc::clone(&teller));
        assert!(!news.has_told_of(PaymentHash([0; 32])));
        sleep(Duration::from_secs(700)).await;
        let at: Vec<u128> = teller.at.lock().unwrap().iter().map(Duration::as_millis).collect();
        assert_eq!(at, [0, 100, 300, 700, 40_800, 80_900, 680_900]);
    }
}
