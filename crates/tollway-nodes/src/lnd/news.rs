//! What lnd tells by itself: which invoices were paid. It is listened to from the first question whether
//! one was, so that the next answers are here already when they are asked for. Nothing depends on it: an
//! invoice that it has not told of is looked up.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use l402::{NodeError, NodeErrorKind, PaymentHash};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::fault::Fault;
use super::macaroon;
use super::rest::Rest;
use super::wire::Changed;
use crate::http::Call;

/// How long to wait before lnd is asked to tell again; twice as long each time.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(30)];
/// A stream that is silent for so long is asked for anew: its connection may be dead without a word.
const QUIET: Duration = Duration::from_secs(300);
/// So many payments are remembered: whoever pays comes to use it within moments.
const MOST: usize = 16 * 1024;

/// The payments that lnd has told of.
#[derive(Debug)]
pub(super) struct News {
    rest: Arc<Rest>,
    heard: Arc<Mutex<Heard>>,
    listening: Mutex<Option<AbortHandle>>,
}

#[derive(Debug, Default)]
struct Heard {
    /// lnd counts payments; from here on it tells them again.
    index: u64,
    paid: HashSet<PaymentHash>,
    in_order: VecDeque<PaymentHash>,
}

impl News {
    pub(super) fn of(rest: Arc<Rest>) -> Self {
        Self { rest, heard: Arc::default(), listening: Mutex::new(None) }
    }

    /// Whether lnd has told that it was paid. The first question makes it tell.
    pub(super) fn has_told_of(&self, hash: PaymentHash) -> bool {
        let mut listening = self.listening.lock().expect("no code under this lock can panic");
        // A runtime that has ended has taken the task along.
        if listening.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = listen(Arc::clone(&self.rest), Arc::clone(&self.heard));
            *listening = Some(tokio::spawn(task).abort_handle());
        }
        lock(&self.heard).paid.contains(&hash)
    }
}

impl Drop for News {
    fn drop(&mut self) {
        if let Some(task) = self.listening.lock().expect("no code under this lock can panic").take()
        {
            task.abort();
        }
    }
}

impl Heard {
    fn add(&mut self, hash: PaymentHash, index: u64) {
        self.index = self.index.max(index);
        if self.paid.insert(hash) {
            self.in_order.push_back(hash);
        }
        if self.in_order.len() > MOST
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.paid.remove(&oldest);
        }
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().expect("no code under this lock can panic")
}

/// Listens for ever, again and again from where it had come to; or until lnd says that it may not.
async fn listen(rest: Arc<Rest>, heard: Arc<Mutex<Heard>>) {
    let [shortest, longest] = PAUSES;
    let mut pause = shortest;
    loop {
        let before = lock(&heard).index;
        match hear(&rest, &heard).await.map_err(NodeError::from) {
            Ok(()) => {}
            Err(error) if error.kind == NodeErrorKind::Unauthorized => {
                tracing::info!(%error, "lnd does not tell which invoices are paid; each is looked up");
                return std::future::pending().await;
            }
            Err(error) => tracing::debug!(%error, "lnd does not tell which invoices are paid"),
        }
        if lock(&heard).index > before {
            pause = shortest;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// One stream, to its end.
async fn hear(rest: &Rest, heard: &Mutex<Heard>) -> Result<(), Fault> {
    let index = lock(heard).index;
    let call = Call::get(format!("/v1/invoices/subscribe?settle_index={index}"));
    let asked = timeout(QUIET, rest.messages(call, macaroon::SUBSCRIBE)).await;
    let Ok(messages) = asked else { return Ok(()) };
    let mut messages = messages?;
    while let Ok(changed) = timeout(QUIET, messages.next::<Changed>()).await {
        let Some(changed) = changed? else { break };
        if let Some((hash, index)) = changed.settled() {
            lock(heard).add(hash, index);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_heard_is_bounded_and_the_count_never_goes_back() {
        let mut heard = Heard::default();
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
        assert_eq!((heard.paid.len(), heard.in_order.len()), (MOST, MOST));
        assert_eq!(heard.index, 2 * MOST as u64 - 1);
        assert!(heard.paid.contains(&hash(2 * MOST as u64 - 1)));
        assert!(!heard.paid.contains(&hash(MOST as u64)));
    }
}
