//! What a node's owner can order, and what is answered: channels to open and close, money to send on
//! the chain. Each has a form on a wire, JSON, in which unknown fields are refused: one may be a limit.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::invoice::NodeId;
use crate::money::Sat;

/// A channel to open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelOrder {
    /// With whom.
    #[serde(with = "whose")]
    pub peer: NodeId,
    /// Where they are, `host:port`; needed unless the node is connected to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// What we put in, in satoshi.
    #[serde(rename = "amount_sat")]
    pub amount: Sat,
    /// What of that is theirs from the start, in satoshi: a gift, which buys inbound liquidity.
    #[serde(rename = "push_sat")]
    pub push: Sat,
    /// Whether it is announced to the whole network.
    pub public: bool,
}

/// A channel that is being opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// The transaction that opens it, where the node says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
}

/// A channel that is being closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// The transaction that closes it, where the node says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
}

/// How to close a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Close {
    /// Together with the peer: the money is back at once, at a small fee.
    Together,
    /// Alone, when the peer is gone: the money is back after days, at a higher fee.
    Alone,
}

/// A channel to close, for a wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseOrder {
    /// Which, by [`Channel::id`](super::Channel::id).
    pub id: String,
    /// How.
    pub how: Close,
}

/// Money to send from the node's wallet on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawal {
    /// To whom: an address on the node's network.
    pub address: String,
    /// How much, in satoshi, the fee not included; `None`: all there is, less the fee.
    #[serde(rename = "amount_sat", default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Sat>,
    /// The fee in satoshi for each virtual byte; `None`: what the node thinks right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sat_per_vbyte: Option<u32>,
}

/// What a withdrawal would cost. What the node does not say beforehand is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// What would arrive, in satoshi.
    #[serde(rename = "amount_sat", default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Sat>,
    /// The fee, in satoshi.
    #[serde(rename = "fee_sat", default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Sat>,
    /// The rate of that fee, in satoshi for each virtual byte: an order that names it costs as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sat_per_vbyte: Option<u32>,
}

/// Money that was sent on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The transaction that carries it.
    pub transaction: String,
}

/// A fresh address, for a wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fresh {
    /// An address of the node's wallet on the chain.
    pub address: String,
}

/// Where the owner of a purse's node gives these orders, when the purse itself is at `purse`: in a socket
/// of its own, so that whoever is handed the purse can pay and be paid, and nothing more.
pub fn owner_socket(purse: &Path) -> PathBuf {
    let mut name = purse.as_os_str().to_owned();
    name.push(".owner");
    PathBuf::from(name)
}

/// A node's key that is there in any case.
mod whose {
    use serde::{Deserializer, Serializer, de};

    use super::super::id;
    use crate::invoice::NodeId;

    pub(super) fn serialize<S: Serializer>(id: &NodeId, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(id)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<NodeId, D::Error> {
        id::deserialize(from)?.ok_or_else(|| de::Error::custom("a node's key is needed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_the_same_on_the_other_side_of_a_wire() {
        let order = ChannelOrder {
            peer: NodeId([2; 33]),
            at: None,
            amount: Sat::from_sat(5),
            push: Sat::from_sat(0),
            public: true,
        };
        let json = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<ChannelOrder>(&json).unwrap(), order);
        let everything = r#"{"address":"bcrt1q"}"#;
        let read: Withdrawal = serde_json::from_str(everything).unwrap();
        assert_eq!((read.amount, read.sat_per_vbyte), (None, None));
        assert_eq!(serde_json::to_string(&read).unwrap(), everything);
        for unknown in [r#"{"address":"bcrt1q","most_sat":5}"#, r#"{"amount_sat":5}"#] {
            assert!(serde_json::from_str::<Withdrawal>(unknown).is_err(), "{unknown}");
        }
    }
}
