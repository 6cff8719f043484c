//! The node's own log of payments: what it has sent and received, by payment hash. LDK forgets a
//! payment some minutes after its end; this log does not.
//!
//! What has happened and is not yet on the disk is kept here too, so that a question is answered
//! from the present and not from the last commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use l402::{Msat, PaymentHash, Preimage, Why};

use crate::persist::Queue;
use crate::store::{Store, Write};

/// How a payment of ours stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Handed to LDK, or about to be.
    Begun { amount: Msat },
    /// Ended, paid.
    Paid { amount: Msat, preimage: Preimage, fee: Msat },
    /// Ended, not paid: every part of it came back.
    Failed { amount: Msat, why: Why },
}

/// How a payment to us stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// We have decided to take it.
    Claiming(Msat),
    /// It is ours.
    Claimed(Msat),
}

impl Sent {
    pub(crate) const fn amount(&self) -> Msat {
        match self {
            Self::Begun { amount } | Self::Paid { amount, .. } | Self::Failed { amount, .. } => {
                *amount
            }
        }
    }
}

/// The log.
#[derive(Debug)]
pub(crate) struct Payments {
    store: Arc<Store>,
    queue: Arc<Queue>,
    recent: Mutex<Recent>,
}

/// What is not on the disk yet.
#[derive(Debug, Default)]
struct Recent {
    sent: HashMap<PaymentHash, Sent>,
    received: HashMap<PaymentHash, Received>,
}

impl Payments {
    pub(crate) fn new(store: Arc<Store>, queue: Arc<Queue>) -> Self {
        Self { store, queue, recent: Mutex::default() }
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().expect("no panic while held")
    }

    pub(crate) fn sent(&self, hash: PaymentHash) -> rusqlite::Result<Option<Sent>> {
        match self.recent().sent.get(&hash) {
            Some(sent) => Ok(Some(sent.clone())),
            None => self.store.sent(hash),
        }
    }

    pub(crate) fn received(&self, hash: PaymentHash) -> rusqlite::Result<Option<Received>> {
        match self.recent().received.get(&hash) {
            Some(received) => Ok(Some(*received)),
            None => self.store.received(hash),
        }
    }

    /// Notes how a payment of ours stands. It is on the disk with the next commit.
    pub(crate) fn note_sent(&self, hash: PaymentHash, sent: Sent) {
        let mut recent = self.recent();
        recent.sent.insert(hash, sent.clone());
        self.queue.push(Write::Sent { hash, sent });
    }

    /// Notes how a payment to us stands. It is on the disk with the next commit.
    pub(crate) fn note_received(&self, hash: PaymentHash, received: Received) {
        let mut recent = self.recent();
        recent.received.insert(hash, received);
        self.queue.push(Write::Received { hash, received });
    }

    /// A batch is on the disk: what it says need not be kept here, unless it has changed since.
    pub(crate) fn committed(&self, batch: &[Write]) {
        let mut recent = self.recent();
        for write in batch {
            match write {
                Write::Sent { hash, sent } if recent.sent.get(hash) == Some(sent) => {
                    recent.sent.remove(hash);
                }
                Write::Received { hash, received }
                    if recent.received.get(hash) == Some(received) =>
                {
                    recent.received.remove(hash);
                }
                _ => {}
            }
        }
    }
}
