//! The node's own log of payments: what it has sent and received, by payment hash. LDK forgets a
//! payment some minutes after its end; this log does not.
//!
//! What has happened and is not yet on the disk is kept here too, so that nothing is begun twice.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use l402::{Msat, Paid, PaymentHash, Preimage, Why};

use crate::node::End;
use crate::persist::Queue;
use crate::store::{Store, Write};

/// How a payment of ours stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Handed to LDK, or about to be.
    Begun { amount: Msat },
    /// Ended, paid.
    Paid { preimage: Preimage, fee: Msat },
    /// Ended, not paid: every part of it came back.
    Failed { why: Why },
}

/// How a payment of ours stands on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Never begun.
    Unheard,
    /// Begun, and its end is not written.
    Pending,
    /// Ended, paid.
    Paid(Paid),
    /// Ended, not paid.
    NotPaid,
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
    /// What to tell those who wait for it, if it has ended.
    fn end(&self) -> Option<End> {
        match self {
            Self::Begun { .. } => None,
            Self::Paid { preimage, fee } => {
                Some(End::Paid(Paid { preimage: preimage.clone(), fee: *fee }))
            }
            Self::Failed { why } => Some(End::NotPaid(*why)),
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

    /// How a payment of ours stands, as far as the disk knows: an end that is not written yet is
    /// none, because it could still be forgotten.
    pub(crate) fn standing(&self, hash: PaymentHash) -> rusqlite::Result<Standing> {
        if self.recent().sent.contains_key(&hash) {
            return Ok(Standing::Pending);
        }
        Ok(match self.store.sent(hash)? {
            None => Standing::Unheard,
            Some(Sent::Begun { .. }) => Standing::Pending,
            Some(Sent::Paid { preimage, fee }) => Standing::Paid(Paid { preimage, fee }),
            Some(Sent::Failed { .. }) => Standing::NotPaid,
        })
    }

    /// What a payment to us has come to, written or about to be.
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
    /// Gives back the payments that have ended with it.
    pub(crate) fn committed(&self, batch: &[Write]) -> Vec<(PaymentHash, End)> {
        let mut recent = self.recent();
        let mut ended = Vec::new();
        for write in batch {
            match write {
                Write::Sent { hash, sent } if recent.sent.get(hash) == Some(sent) => {
                    recent.sent.remove(hash);
                    ended.extend(sent.end().map(|end| (*hash, end)));
                }
                Write::Received { hash, received }
                    if recent.received.get(hash) == Some(received) =>
                {
                    recent.received.remove(hash);
                }
                _ => {}
            }
        }
        ended
    }
}
