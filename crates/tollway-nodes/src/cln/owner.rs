//! Core Lightning for its owner: what it is, what it has, and its channels.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use l402::operator::{
    About, Balance, Channel, ChannelOrder, ChannelState, Close, Closing, Direction, Opening,
    OperateError, Quote, Right, Rights, Sent, Transfer, TransferState, Withdrawal,
};
use l402::{Msat, NodeError, Operator, PaymentHash, Sat};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::NAME;
use super::rpc::{Fault, Rpc};
use super::rune::{BUYER, OBSERVER, SELLER};
use super::wire::{Info, msat, some_msat};
use crate::remote::{failed, newest_first};

/// How long the node may take to build and send a transaction.
const SENDING: Duration = Duration::from_secs(60);

/// A Core Lightning node that is asked by its owner.
#[derive(Debug)]
pub(super) struct Owner {
    rpc: Arc<Rpc>,
}

/// `listfunds`, of which the coins on the chain.
#[derive(Debug, Deserialize)]
struct Funds {
    outputs: Vec<Output>,
}

#[derive(Debug, Deserialize)]
struct Output {
    #[serde(deserialize_with = "msat")]
    amount_msat: Msat,
    status: String,
}

/// `listpeerchannels`.
#[derive(Debug, Deserialize)]
struct PeerChannels {
    channels: Vec<PeerChannel>,
}

#[derive(Debug, Deserialize)]
struct PeerChannel {
    peer_id: String,
    peer_connected: bool,
    state: String,
    #[serde(default)]
    channel_id: String,
    #[serde(default)]
    private: bool,
    #[serde(default, deserialize_with = "some_msat")]
    total_msat: Option<Msat>,
    #[serde(default, deserialize_with = "some_msat")]
    to_us_msat: Option<Msat>,
}

impl PeerChannel {
    fn described(self) -> Channel {
        let state = match self.state.as_str() {
            "CHANNELD_NORMAL" | "CHANNELD_AWAITING_SPLICE" if self.peer_connected => {
                ChannelState::Usable
            }
            "CHANNELD_NORMAL" | "CHANNELD_AWAITING_SPLICE" => ChannelState::Offline,
            "OPENINGD"
            | "CHANNELD_AWAITING_LOCKIN"
            | "DUALOPEND_OPEN_INIT"
            | "DUALOPEND_OPEN_COMMITTED"
            | "DUALOPEND_OPEN_COMMIT_READY"
            | "DUALOPEND_AWAITING_LOCKIN" => ChannelState::Opening,
            _ => ChannelState::Closing,
        };
        let total = self.total_msat.unwrap_or(Msat::ZERO);
        let ours = self.to_us_msat.unwrap_or(Msat::ZERO);
        Channel {
            id: self.channel_id,
            peer: self.peer_id.parse().ok(),
            state,
            capacity: Sat::from_sat(total.msat() / 1_000),
            outbound: ours,
            inbound: total.checked_sub(ours).unwrap_or(Msat::ZERO),
            public: !self.private,
        }
    }
}

/// `listpays` and `listinvoices`, as rows of books.
#[derive(Debug, Deserialize)]
struct Pays {
    pays: Vec<Pay>,
}

#[derive(Debug, Deserialize)]
struct Pay {
    payment_hash: PaymentHash,
    status: String,
    created_at: u64,
    #[serde(default, deserialize_with = "some_msat")]
    amount_msat: Option<Msat>,
    #[serde(default, deserialize_with = "some_msat")]
    amount_sent_msat: Option<Msat>,
    description: Option<String>,
}

impl From<Pay> for Transfer {
    fn from(pay: Pay) -> Self {
        let state = match pay.status.as_str() {
            "complete" => TransferState::Paid,
            "failed" => TransferState::NotPaid,
            _ => TransferState::Pending,
        };
        let amount = pay.amount_msat.or(pay.amount_sent_msat).unwrap_or(Msat::ZERO);
        let fee = pay.amount_sent_msat.and_then(|sent| sent.checked_sub(amount));
        Self {
            direction: Direction::Sent,
            hash: pay.payment_hash,
            state,
            amount,
            fee: fee.filter(|_| state == TransferState::Paid),
            at: Some(pay.created_at),
            memo: pay.description,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Invoices {
    invoices: Vec<Asked>,
}

#[derive(Debug, Deserialize)]
struct Asked {
    payment_hash: PaymentHash,
    status: String,
    expires_at: u64,
    paid_at: Option<u64>,
    #[serde(default, deserialize_with = "some_msat")]
    amount_msat: Option<Msat>,
    description: Option<String>,
}

impl From<Asked> for Transfer {
    fn from(asked: Asked) -> Self {
        let state = match asked.status.as_str() {
            "paid" => TransferState::Paid,
            "expired" => TransferState::NotPaid,
            _ => TransferState::Pending,
        };
        Self {
            direction: Direction::Received,
            hash: asked.payment_hash,
            state,
            amount: asked.amount_msat.unwrap_or(Msat::ZERO),
            fee: None,
            // When it was made is not in the books.
            at: Some(asked.paid_at.unwrap_or(asked.expires_at)),
            memo: asked.description,
        }
    }
}

#[derive(Debug, Deserialize)]
struct NewAddress {
    bech32: String,
}

#[derive(Debug, Deserialize)]
struct Made {
    txid: Option<String>,
}

/// `withdraw`.
#[derive(Debug, Deserialize)]
struct CoinsSent {
    txid: String,
}

impl Owner {
    pub(super) fn new(rpc: Arc<Rpc>) -> Self {
        Self { rpc }
    }
}

#[async_trait]
impl Operator for Owner {
    fn driver(&self) -> &'static str {
        NAME
    }

    async fn about(&self) -> Result<About, OperateError> {
        let before = SystemTime::now();
        let asked = self.rpc.dated::<Info>("getinfo", &json!({})).await;
        let (info, clock) = asked.map_err(NodeError::from)?;
        let ahead = clock.map(|clock| About::clock_ahead(clock, before, SystemTime::now()));
        Ok(About { clock_ahead_s: ahead, ..info.about() })
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        Ok(Rights {
            pay: Right::unless(self.rpc.lacks(&BUYER)?),
            be_paid: Right::unless(self.rpc.lacks(&SELLER)?),
            observe: Right::unless(self.rpc.lacks(&OBSERVER)?),
            too_wide: self.rpc.too_wide()?,
        })
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        let funds: Funds =
            self.rpc.query("listfunds", &json!({})).await.map_err(NodeError::from)?;
        let channels = self.channels().await?;
        let coins = |status: &[&str]| {
            let of = funds.outputs.iter().filter(|output| status.contains(&output.status.as_str()));
            Sat::from_sat(sum(of.map(|output| output.amount_msat)).msat() / 1_000)
        };
        let open = |channel: &&Channel| {
            matches!(channel.state, ChannelState::Usable | ChannelState::Offline)
        };
        let closing = channels.iter().filter(|channel| channel.state == ChannelState::Closing);
        let closing = sum(closing.map(|channel| channel.outbound));
        Ok(Balance {
            outbound: Some(sum(channels.iter().filter(open).map(|channel| channel.outbound))),
            inbound: Some(sum(channels.iter().filter(open).map(|channel| channel.inbound))),
            onchain: Some(coins(&["confirmed"])),
            unconfirmed: Some(coins(&["unconfirmed", "immature"])),
            closing: Some(Sat::from_sat(closing.msat() / 1_000)),
        })
    }

    async fn channels(&self) -> Result<Vec<Channel>, OperateError> {
        let listed = self.rpc.query("listpeerchannels", &json!({})).await;
        let listed: PeerChannels = listed.map_err(NodeError::from)?;
        Ok(listed.channels.into_iter().map(PeerChannel::described).collect())
    }

    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        let pays: Pays = self.rpc.query("listpays", &json!({})).await.map_err(NodeError::from)?;
        let invoices = self.rpc.query("listinvoices", &json!({})).await;
        let invoices: Invoices = invoices.map_err(NodeError::from)?;
        let sent = pays.pays.into_iter().map(Transfer::from);
        Ok(newest_first(sent.chain(invoices.invoices.into_iter().map(Transfer::from)), most))
    }

    async fn address(&self) -> Result<String, OperateError> {
        let kind = json!({ "addresstype": "bech32" });
        let made: NewAddress = self.rpc.query("newaddr", &kind).await.map_err(NodeError::from)?;
        Ok(made.bech32)
    }

    async fn open_channel(&self, order: &ChannelOrder) -> Result<Opening, OperateError> {
        if let Some(host) = &order.at {
            let to = json!({ "id": format!("{}@{host}", order.peer) });
            let _: Value = self.rpc.query("connect", &to).await.map_err(NodeError::from)?;
        }
        let push = order.push.to_msat().unwrap_or(Msat::SUPPLY);
        let channel = json!({
            "id": order.peer.to_string(),
            "amount": order.amount.sat(),
            "push_msat": push.msat(),
            "announce": order.public,
        });
        let opened = self.rpc.order("fundchannel", &channel).await;
        let opened: Made = opened
            .map_err(|fault: Fault| failed(fault.is_lost(), fault, OperateError::MayHaveOpened))?;
        Ok(Opening { transaction: opened.txid })
    }

    async fn close_channel(&self, id: &str, how: Close) -> Result<Closing, OperateError> {
        if !self.channels().await?.iter().any(|channel| channel.id == id) {
            return Err(OperateError::NoSuchChannel { id: id.to_owned() });
        }
        // Without the peer's part within that many seconds it is closed alone; 0 waits for ever.
        let alone_after = if how == Close::Alone { 1 } else { 0 };
        let close = json!({ "id": id, "unilateraltimeout": alone_after });
        let closed: Made = self.rpc.order("close", &close).await.map_err(NodeError::from)?;
        Ok(Closing { transaction: closed.txid })
    }

    async fn quote(&self, order: &Withdrawal) -> Result<Quote, OperateError> {
        // The node says what it cost when it has built the transaction, and not before.
        let Withdrawal { address: _, amount, sat_per_vbyte } = *order;
        Ok(Quote { amount, fee: None, sat_per_vbyte })
    }

    async fn withdraw(&self, order: &Withdrawal) -> Result<Sent, OperateError> {
        let amount = order.amount.map_or_else(|| json!("all"), |amount| json!(amount.sat()));
        let mut coins = json!({ "destination": order.address, "satoshi": amount });
        if let Some(rate) = order.sat_per_vbyte {
            coins["feerate"] = format!("{}perkb", u64::from(rate) * 1_000).into();
        }
        let sent = timeout(SENDING, self.rpc.order("withdraw", &coins)).await;
        let CoinsSent { txid } = sent
            .unwrap_or(Err(Fault::TimedOut))
            .map_err(|fault| failed(fault.is_lost(), fault, OperateError::MayHaveSent))?;
        Ok(Sent { transaction: txid })
    }
}

fn sum(mut amounts: impl Iterator<Item = Msat>) -> Msat {
    amounts.try_fold(Msat::ZERO, Msat::checked_add).unwrap_or(Msat::SUPPLY)
}
