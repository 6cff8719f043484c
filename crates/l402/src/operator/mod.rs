//! What a node's owner asks of it beside paying and being paid: who it is, what it has, its channels
//! and its books. Only people's commands and a purse's own answers use it; a gateway and a client
//! never hold one, because it can move money over the chain.
//!
//! Every question but [`Operator::about`] and [`Operator::rights`] has a default: the refusal that
//! names the driver and what it cannot do.

mod orders;

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::hash::PaymentHash;
use crate::invoice::{Network, NodeId};
use crate::money::{Msat, Sat};
use crate::node::NodeError;

pub use orders::{
    ChannelOrder, Close, CloseOrder, Closing, Fresh, Opening, Quote, Sent, Withdrawal, owner_socket,
};

/// The owner's side of a node.
#[async_trait]
pub trait Operator: fmt::Debug + Send + Sync {
    /// The driver's name, for refusals.
    fn driver(&self) -> &'static str;

    /// Who the node is and how it does. Answered also by a node that is behind the chain.
    async fn about(&self) -> Result<About, OperateError>;

    /// What the credential allows, and how to get one that allows what is needed and no more.
    async fn rights(&self) -> Result<Rights, OperateError>;

    /// What the node has.
    async fn balance(&self) -> Result<Balance, OperateError> {
        Err(self.cannot("say its balance"))
    }

    /// Its channels, those that are being opened and closed included.
    async fn channels(&self) -> Result<Vec<Channel>, OperateError> {
        Err(self.cannot("list channels"))
    }

    /// The last `most` payments made and received, the newest first.
    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        let _ = most;
        Err(self.cannot("list payments"))
    }

    /// A fresh address of the node's wallet on the chain.
    async fn address(&self) -> Result<String, OperateError> {
        Err(self.cannot("receive on the chain"))
    }

    /// Begins to open a channel. Called again, it opens another one; so when it may have been opened,
    /// [`OperateError::MayHaveOpened`] says so.
    async fn open_channel(&self, order: &ChannelOrder) -> Result<Opening, OperateError> {
        let _ = order;
        Err(self.cannot("open channels"))
    }

    /// Begins to close the channel that [`Channel::id`] names. Called again, it closes no other one: where
    /// an answer was lost, that can be done without harm.
    async fn close_channel(&self, id: &str, how: Close) -> Result<Closing, OperateError> {
        let _ = (id, how);
        Err(self.cannot("close channels"))
    }

    /// What a withdrawal would cost, as far as the node says it. Nothing is sent and nothing is kept
    /// aside for it.
    async fn quote(&self, order: &Withdrawal) -> Result<Quote, OperateError> {
        let _ = order;
        Err(self.cannot("send money on the chain"))
    }

    /// Sends money from the node's wallet on the chain. Called again, it sends again; so when it may
    /// have been sent, [`OperateError::MayHaveSent`] says so.
    async fn withdraw(&self, order: &Withdrawal) -> Result<Sent, OperateError> {
        let _ = order;
        Err(self.cannot("send money on the chain"))
    }

    /// The refusal that a default gives.
    fn cannot(&self, what: &'static str) -> OperateError {
        OperateError::Cannot { driver: self.driver(), what }
    }
}

/// A question of its owner's that a node did not answer.
#[derive(Debug, thiserror::Error)]
pub enum OperateError {
    /// This kind of node, or the way to it, has no such thing.
    #[error("this {driver} node cannot {what} for us")]
    Cannot {
        /// Which driver.
        driver: &'static str,
        /// What was asked.
        what: &'static str,
    },
    /// No channel of the node has this name.
    #[error("there is no channel `{id}`; `tollway node channels` lists them")]
    NoSuchChannel {
        /// As it was given.
        id: String,
    },
    /// The order to send money was given, and its answer was lost. Whoever orders again may send
    /// twice.
    #[error("the money may have been sent")]
    MayHaveSent(#[source] NodeError),
    /// The order to open a channel was given, and its answer was lost. Whoever orders again may open
    /// two, with money locked up in each.
    #[error("the channel may have been opened")]
    MayHaveOpened(#[source] NodeError),
    /// The node refused, or could not be talked to.
    #[error(transparent)]
    Node(#[from] NodeError),
}

/// Who a node is and how it does. What it does not say is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Its public key.
    #[serde(with = "id", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<NodeId>,
    /// The name it gives itself. Hostile text: escape it before a terminal sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Its program's version, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Which network it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// The last block it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Whether it is in step with the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<bool>,
    /// To how many other nodes it is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peers: Option<u32>,
    /// By how many seconds its clock is ahead of ours; negative when it is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_s: Option<i64>,
}

impl About {
    /// How far a clock that showed `theirs` in the middle of our two looks at ours is ahead, in
    /// whole seconds.
    pub fn clock_ahead(theirs: SystemTime, before: SystemTime, after: SystemTime) -> i64 {
        let ours = before + after.duration_since(before).unwrap_or_default() / 2;
        let seconds = |distance: Duration| i64::try_from(distance.as_secs()).unwrap_or(i64::MAX);
        match theirs.duration_since(ours) {
            Ok(ahead) => seconds(ahead),
            Err(behind) => -seconds(behind.duration()),
        }
    }
}

/// What a node has. What it does not say is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// What is on our side of usable channels, in millisatoshi. A little less of it can be sent:
    /// each channel keeps a reserve.
    #[serde(rename = "outbound_msat", default, skip_serializing_if = "Option::is_none")]
    pub outbound: Option<Msat>,
    /// What is on the other side of usable channels, in millisatoshi: the most that can be received.
    #[serde(rename = "inbound_msat", default, skip_serializing_if = "Option::is_none")]
    pub inbound: Option<Msat>,
    /// What is on the chain and confirmed, in satoshi.
    #[serde(rename = "onchain_sat", default, skip_serializing_if = "Option::is_none")]
    pub onchain: Option<Sat>,
    /// What is on the chain and not yet confirmed, in satoshi.
    #[serde(rename = "unconfirmed_sat", default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed: Option<Sat>,
    /// What is in channels that are being closed and will come back, in satoshi.
    #[serde(rename = "closing_sat", default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Sat>,
}

/// A channel of the node's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Names it to [`Operator::close_channel`].
    pub id: String,
    /// The node at the other end.
    #[serde(with = "id", default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<NodeId>,
    /// How it does.
    pub state: ChannelState,
    /// All that is in it, in satoshi.
    #[serde(rename = "capacity_sat")]
    pub capacity: Sat,
    /// What is on our side, in millisatoshi.
    #[serde(rename = "outbound_msat")]
    pub outbound: Msat,
    /// What is on the other side, in millisatoshi.
    #[serde(rename = "inbound_msat")]
    pub inbound: Msat,
    /// Whether it is announced to the whole network.
    pub public: bool,
}

/// How a channel does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChannelState {
    /// Its transaction is not deep enough in the chain yet.
    Opening,
    /// It can be used.
    Usable,
    /// It is open, and the peer is not there.
    Offline,
    /// It is being closed.
    Closing,
}

/// A payment in the node's books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Which way the money goes.
    pub direction: Direction,
    /// Which payment.
    pub hash: PaymentHash,
    /// How it stands.
    pub state: TransferState,
    /// What was or is to be paid, routing not included, in millisatoshi.
    #[serde(rename = "amount_msat")]
    pub amount: Msat,
    /// What routing cost us, in millisatoshi.
    #[serde(rename = "fee_msat", default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Msat>,
    /// When it was begun or asked for, in seconds since 1970.
    #[serde(rename = "at_unix_s", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u64>,
    /// What it is for. Hostile text: escape it before a terminal sees it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memo: Option<String>,
}

/// Which way money goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// We pay.
    Sent,
    /// We are paid.
    Received,
}

/// How a payment stands in the node's books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransferState {
    /// Sent: on its way. Received: not paid yet, and still payable.
    Pending,
    /// Paid.
    Paid,
    /// Not paid, for certain.
    NotPaid,
}

/// What a credential allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Whether it may pay.
    pub pay: Right,
    /// Whether it may be paid.
    pub be_paid: Right,
    /// Whether it may see the balance and the channels.
    pub observe: Right,
    /// When it may do far more than its holder needs: how to get a smaller one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub too_wide: Option<String>,
}

/// Whether a credential allows something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// It does.
    Yes,
    /// It does not; how to get one that does.
    No {
        /// The remedy: a command where there is one.
        remedy: String,
    },
    /// Only the node knows, when it is tried.
    Untold,
}

impl Right {
    /// [`Right::No`] when something is lacking, which names its remedy.
    pub fn unless(lacking: Option<String>) -> Self {
        lacking.map_or(Self::Yes, |remedy| Self::No { remedy })
    }

    /// Whether it is certain that it does not.
    pub const fn is_no(&self) -> bool {
        matches!(self, Self::No { .. })
    }
}

/// A node's key as its 66 hexadecimal digits.
mod id {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::invoice::NodeId;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(id: &Option<NodeId>, to: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => to.collect_str(id),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<NodeId>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Mute;

    #[async_trait]
    impl Operator for Mute {
        fn driver(&self) -> &'static str {
            "mute"
        }

        async fn about(&self) -> Result<About, OperateError> {
            Ok(About::default())
        }

        async fn rights(&self) -> Result<Rights, OperateError> {
            Err(self.cannot("say its rights"))
        }
    }

    #[test]
    fn what_a_node_cannot_do_is_said_by_name() {
        let error = Mute.cannot("open channels").to_string();
        assert_eq!(error, "this mute node cannot open channels for us");
    }

    #[test]
    fn a_clock_is_compared_with_the_middle_of_the_question() {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(About::clock_ahead(at(105), at(100), at(110)), 0);
        assert_eq!(About::clock_ahead(at(165), at(100), at(110)), 60);
        assert_eq!(About::clock_ahead(at(45), at(100), at(110)), -60);
    }

    #[test]
    fn what_is_not_known_is_absent_in_json() {
        let about = About { id: Some(NodeId([2; 33])), ..About::default() };
        let json = serde_json::to_string(&about).unwrap();
        assert_eq!(json, format!(r#"{{"id":"{}"}}"#, "02".repeat(33)));
        assert_eq!(serde_json::from_str::<About>(&json).unwrap(), about);
        assert_eq!(serde_json::from_str::<About>("{}").unwrap(), About::default());
    }
}
