//! What was paid and received, as a list.

use std::time::{SystemTime, UNIX_EPOCH};

use l402::{Msat, NodeError, PaymentHash, Why};

use super::EmbeddedNode;
use super::pay::storage;

/// Which way the money went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Out of this node.
    Sent,
    /// To this node.
    Received,
}

/// How a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// Its end is not known yet.
    Pending,
    /// It arrived.
    Paid,
    /// It did not, and all of it came back.
    Failed(Why),
}

/// One payment of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentRecord {
    /// Its payment hash. For the preimage of one that was sent, ask [`l402::Payer::outcome`].
    pub hash: PaymentHash,
    /// Sent or received.
    pub direction: Direction,
    /// How much, without the fee. Unknown of one that a crash cut off in the moment it began.
    pub amount: Option<Msat>,
    /// What was paid to the nodes on the way; of one that was sent and arrived.
    pub fee: Option<Msat>,
    /// How it stands.
    pub state: PaymentState,
    /// When it began, in whole seconds. Unknown of those from before times were kept.
    pub at: Option<SystemTime>,
}

impl PaymentRecord {
    pub(crate) fn page(&self) -> (u64, PaymentHash) {
        let since = |at: SystemTime| at.duration_since(UNIX_EPOCH).map_or(0, |at| at.as_secs());
        (self.at.map_or(0, since), self.hash)
    }
}

impl EmbeddedNode {
    /// Payments sent and received, the newest first: `limit` at most, those after `after`, which is
    /// the last of the page before. An empty page is the end.
    ///
    /// # Errors
    /// [`l402::NodeErrorKind::Storage`]: the node's file failed.
    pub fn payments(
        &self,
        after: Option<&PaymentRecord>,
        limit: u32,
    ) -> Result<Vec<PaymentRecord>, NodeError> {
        let page = after.map(PaymentRecord::page);
        self.core().store.payments(page, limit).map_err(storage)
    }
}
