//! What a [`FakeNode`](crate::FakeNode) does with its next payment, and the handle by which a test
//! makes it happen.

use std::fmt;

use l402::{PaymentHash, Why};
use tokio::sync::watch;

use crate::network::FakeNetwork;

/// What becomes of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Pays at once and says so.
    Pay,
    /// Refuses, and no money moves.
    Refuse(Why),
    /// The order never reaches the node: not paid, for that reason.
    Unreachable,
    /// The money leaves and is neither taken nor given back, for ever.
    Hang,
    /// The money leaves. It arrives at [`Cue::proceed`], or comes back at [`Cue::fail`].
    PayLate,
    /// Pays at once, and the answer is lost: the caller learns that it does not know.
    LoseReply,
    /// Pays at once; the answer leaves at [`Cue::proceed`].
    SlowReply,
    /// Pays at once, and hands out a preimage that opens nothing.
    WrongPreimage,
}

/// A test's hold on one scripted payment.
#[derive(Clone)]
pub struct Cue {
    pub(crate) network: FakeNetwork,
    pub(crate) payer: usize,
    pub(crate) signal: Signal,
}

/// The two channels between a cue and its payment.
#[derive(Clone, Debug)]
pub(crate) struct Signal {
    pub(crate) arrived: watch::Sender<Option<PaymentHash>>,
    pub(crate) gate: watch::Sender<Gate>,
}

/// What the test has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Closed,
    Proceed,
    Fail(Why),
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self { arrived: watch::Sender::new(None), gate: watch::Sender::new(Gate::Closed) }
    }
}

impl Cue {
    /// Waits until the scripted payment has been ordered, and says which it is.
    pub async fn arrived(&self) -> PaymentHash {
        let mut arrived = self.signal.arrived.subscribe();
        let hash = arrived.wait_for(Option::is_some).await.expect("this cue holds the sender");
        hash.expect("waited until it is there")
    }

    /// Lets a late payment arrive, or a slow reply leave. Before the payment was ordered, it makes
    /// it neither late nor slow.
    pub fn proceed(&self) {
        self.network.cue(self.payer, &self.signal, Gate::Proceed);
    }

    /// Sends the money of a late payment back.
    pub fn fail(&self, why: Why) {
        self.network.cue(self.payer, &self.signal, Gate::Fail(why));
    }
}

impl fmt::Debug for Cue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cue").field("signal", &self.signal).finish_non_exhaustive()
    }
}
