//! phoenixd for its owner (<https://phoenix.acinq.co/server/api>). It opens and closes channels by
//! itself, and has no wallet on the chain: what is sent there leaves its channel (a splice).
//!
//! phoenixd answers 200 to that order whatever becomes of it: a transaction's id, or why there is none,
//! in words. Those are lightning-kmp's names for what goes wrong before anything is signed, and its
//! own for what it was asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use l402::operator::{
    About, Balance, Channel, ChannelState, Direction, OperateError, Quote, Right, Rights, Sent,
    Transfer, TransferState, Withdrawal,
};
use l402::{Msat, NodeError, NodeErrorKind, Operator, PaymentHash, Sat};
use serde::Deserialize;
use tokio::time::timeout;

use super::NAME;
use crate::api::{Api, Fault};
use crate::http::Call;
use crate::remote::{failed, newest_first};

/// How long phoenixd may take to agree with its peer on a transaction, and to send it.
const SENDING: Duration = Duration::from_secs(60);
/// What phoenixd says when nothing was sent, each in its words or a part of them.
const NOTHING_SENT: &[&str] = &[
    "no channel available",
    "Invalid address",
    "Request parameter",
    "InsufficientFunds",
    "InvalidSpliceOutPubKeyScript",
    "SpliceAlreadyInProgress",
    "ConcurrentRemoteSplice",
    "ChannelNotQuiescent",
    "InvalidChannelParameters",
    "InvalidLiquidityAds",
    "FundingFailure",
    "CannotStartSession",
    "InteractiveTxSessionFailed",
    "CannotCreateCommitTx",
    "AbortedByPeer",
    "Disconnected",
];

/// A phoenixd that is asked by its owner.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) api: Arc<Api>,
    /// The password is the limited one.
    pub(super) limited: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    node_id: Option<String>,
    #[serde(default)]
    channels: Vec<Row>,
    chain: Option<String>,
    block_height: Option<u32>,
    version: Option<String>,
}

/// Amounts in satoshi.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    state: String,
    channel_id: String,
    #[serde(default)]
    balance_sat: u64,
    #[serde(default)]
    inbound_liquidity_sat: u64,
    #[serde(default)]
    capacity_sat: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing {
    payment_hash: Option<PaymentHash>,
    is_paid: bool,
    #[serde(default)]
    sent: u64,
    #[serde(default)]
    fees: u64,
    completed_at: Option<u64>,
    created_at: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming {
    payment_hash: PaymentHash,
    is_paid: bool,
    #[serde(default)]
    is_expired: bool,
    requested_sat: Option<u64>,
    #[serde(default)]
    received_sat: u64,
    created_at: Option<u64>,
    description: Option<String>,
}

fn msat(sat: u64) -> Msat {
    Msat::from_sat(sat).unwrap_or(Msat::SUPPLY)
}

impl Row {
    fn described(self) -> Channel {
        let state = match self.state.to_ascii_lowercase().as_str() {
            "normal" => ChannelState::Usable,
            "offline" | "syncing" => ChannelState::Offline,
            state if state.starts_with("waitfor") => ChannelState::Opening,
            _ => ChannelState::Closing,
        };
        Channel {
            id: self.channel_id,
            peer: None,
            state,
            capacity: Sat::from_sat(self.capacity_sat),
            outbound: msat(self.balance_sat),
            inbound: msat(self.inbound_liquidity_sat),
            public: false,
        }
    }
}

impl Outgoing {
    /// Nothing, for what did not go over Lightning.
    fn row(self) -> Option<Transfer> {
        let state = match (self.is_paid, self.completed_at) {
            (true, _) => TransferState::Paid,
            (false, Some(_)) => TransferState::NotPaid,
            (false, None) => TransferState::Pending,
        };
        let fee = Msat::from_msat(self.fees);
        // What was sent includes the fee, which is in millisatoshi.
        let amount = msat(self.sent).checked_sub(fee).unwrap_or(msat(self.sent));
        Some(Transfer {
            direction: Direction::Sent,
            hash: self.payment_hash?,
            state,
            amount,
            fee: (state == TransferState::Paid).then_some(fee),
            at: self.created_at.map(|at| at / 1_000),
            memo: None,
        })
    }
}

impl From<Incoming> for Transfer {
    fn from(incoming: Incoming) -> Self {
        let state = match (incoming.is_paid, incoming.is_expired) {
            (true, _) => TransferState::Paid,
            (false, true) => TransferState::NotPaid,
            (false, false) => TransferState::Pending,
        };
        let asked = incoming.requested_sat.unwrap_or(0);
        let sat = if incoming.is_paid { incoming.received_sat } else { asked };
        Self {
            direction: Direction::Received,
            hash: incoming.payment_hash,
            state,
            amount: msat(sat),
            fee: None,
            at: incoming.created_at.map(|at| at / 1_000),
            memo: incoming.description,
        }
    }
}

/// Why nothing was sent, or may have been.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("phoenixd sends at the rate that it is told; give one with `--fee-rate`")]
    NoRate,
    #[error("phoenixd said: {0}")]
    Said(String),
}

fn error(kind: NodeErrorKind, trouble: Trouble) -> NodeError {
    NodeError::new(NAME, kind).because(trouble)
}

/// What became of an order to send, in phoenixd's words.
fn sent(words: String) -> Result<Sent, OperateError> {
    if words.len() == 64 && words.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Sent { transaction: words });
    }
    if NOTHING_SENT.iter().any(|refusal| words.contains(refusal)) {
        return Err(error(NodeErrorKind::Refused, Trouble::Said(words)).into());
    }
    Err(OperateError::MayHaveSent(error(NodeErrorKind::Protocol, Trouble::Said(words))))
}

impl Owner {
    /// How much is to be sent, and at which rate, where phoenixd can do it.
    fn sendable(&self, order: &Withdrawal) -> Result<(Sat, u32), OperateError> {
        let Some(amount) = order.amount else {
            return Err(self.cannot("send all it has on the chain"));
        };
        let rate = order.sat_per_vbyte;
        Ok((amount, rate.ok_or_else(|| error(NodeErrorKind::Refused, Trouble::NoRate))?))
    }
}

#[async_trait]
impl Operator for Owner {
    fn driver(&self) -> &'static str {
        NAME
    }

    async fn about(&self) -> Result<About, OperateError> {
        let (info, clock_ahead_s) = self.api.info::<Info>(Call::get("/getinfo")).await?;
        Ok(About {
            id: info.node_id.and_then(|id| id.parse().ok()),
            alias: None,
            version: info.version,
            network: info.chain.and_then(|chain| chain.parse().ok()),
            height: info.block_height,
            synced: None,
            peers: None,
            clock_ahead_s,
        })
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        let remedy = "use http-password of ~/.phoenix/phoenix.conf, without limited=yes";
        let smaller = "To be paid only, use http-password-limited-access of \
                       ~/.phoenix/phoenix.conf with limited=yes";
        Ok(Rights {
            pay: Right::unless(self.limited.then(|| remedy.to_owned())),
            be_paid: Right::Yes,
            observe: Right::Yes,
            too_wide: (!self.limited).then(|| smaller.to_owned()),
        })
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        let (mut ours, mut theirs) = (0u64, 0u64);
        let info: Info = self.api.asked(Call::get("/getinfo")).await?;
        for row in info.channels {
            ours = ours.saturating_add(row.balance_sat);
            theirs = theirs.saturating_add(row.inbound_liquidity_sat);
        }
        Ok(Balance {
            outbound: Some(msat(ours)),
            inbound: Some(msat(theirs)),
            ..Balance::default()
        })
    }

    async fn channels(&self) -> Result<Vec<Channel>, OperateError> {
        let info: Info = self.api.asked(Call::get("/getinfo")).await?;
        Ok(info.channels.into_iter().map(Row::described).collect())
    }

    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        let path = format!("/payments/outgoing?all=true&limit={most}");
        let sent: Vec<Outgoing> = self.api.asked(Call::get(path)).await?;
        let path = format!("/payments/incoming?all=true&limit={most}");
        let received: Vec<Incoming> = self.api.asked(Call::get(path)).await?;
        let sent = sent.into_iter().filter_map(Outgoing::row);
        Ok(newest_first(sent.chain(received.into_iter().map(Transfer::from)), most))
    }

    async fn quote(&self, order: &Withdrawal) -> Result<Quote, OperateError> {
        // phoenixd tells no fee before it has agreed on the transaction with its peer.
        let (amount, rate) = self.sendable(order)?;
        Ok(Quote { amount: Some(amount), fee: None, sat_per_vbyte: Some(rate) })
    }

    async fn withdraw(&self, order: &Withdrawal) -> Result<Sent, OperateError> {
        let (amount, rate) = self.sendable(order)?;
        let (amount, rate) = (amount.sat().to_string(), rate.to_string());
        let fields = [
            ("address", order.address.as_str()),
            ("amountSat", &amount),
            ("feerateSatByte", &rate),
        ];
        let words = self.api.order_in_words(Call::form("/sendtoaddress", &fields));
        let words = timeout(SENDING, words).await.unwrap_or(Err(Fault::TimedOut));
        let unsaid = |fault: Fault| {
            failed(fault.is_lost(), self.api.error(fault), OperateError::MayHaveSent)
        };
        sent(words.map_err(unsaid)?)
    }
}
