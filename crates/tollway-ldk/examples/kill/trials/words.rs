//! What the parent and its nodes say to each other: one JSON object a line, questions on the node's
//! standard input and answers on its standard output.

use serde::{Deserialize, Serialize};

/// A question and its number, which the answer repeats.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) id: u64,
    pub(crate) ask: Ask,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    Address,
    Connect { peer: String, address: String },
    Open { peer: String, sat: u64, push_msat: u64 },
    Invoice { msat: u64 },
    Pay { invoice: String, max_fee_msat: u64 },
    Outcome { hash: String },
    Settled { hash: String },
    State,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) id: u64,
    pub(crate) answer: Answer,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Said once, as number 0, when the node is open.
    Ready {
        node: String,
        address: String,
    },
    Done,
    Text(String),
    Ended(End),
    Settled(bool),
    State(State),
    Failed(String),
}

/// How a payment stands, by the payer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum End {
    Paid { preimage: String, fee_msat: u64 },
    NotPaid,
    Pending,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) height: u32,
    pub(crate) onchain_sat: u64,
    pub(crate) channels: Vec<ChannelState>,
    pub(crate) received: (u64, u64),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ChannelState {
    pub(crate) id: String,
    pub(crate) usable: bool,
    pub(crate) outbound_msat: u64,
}
