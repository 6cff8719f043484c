//! lnd's messages about what it has and what it did, as far as its owner's commands read them. 64-bit
//! numbers are strings, as everywhere in lnd's JSON.

use l402::operator::{Channel, ChannelState, Direction, Transfer, TransferState};
use l402::{Msat, NodeId, PaymentHash, Sat};
use serde::{Deserialize, Deserializer, de};

/// `GET /v1/balance/channels`.
#[derive(Debug, Deserialize)]
pub(super) struct Liquidity {
    pub(super) local_balance: Amount,
    pub(super) remote_balance: Amount,
}

#[derive(Debug, Deserialize)]
pub(super) struct Amount {
    #[serde(deserialize_with = "number")]
    pub(super) msat: u64,
}

/// `GET /v1/balance/blockchain`.
#[derive(Debug, Deserialize)]
pub(super) struct Coins {
    #[serde(deserialize_with = "number")]
    pub(super) confirmed_balance: u64,
    #[serde(deserialize_with = "number")]
    pub(super) unconfirmed_balance: u64,
}

/// `GET /v1/channels`.
#[derive(Debug, Deserialize)]
pub(super) struct Channels {
    #[serde(default)]
    pub(super) channels: Vec<Open>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Open {
    active: bool,
    #[serde(flatten)]
    body: Body,
}

impl From<Open> for Channel {
    fn from(open: Open) -> Self {
        let state = if open.active { ChannelState::Usable } else { ChannelState::Offline };
        open.body.described(state)
    }
}

/// `GET /v1/channels/pending`.
#[derive(Debug, Deserialize)]
pub(super) struct Pending {
    /// Ours, in channels that are being closed, in satoshi.
    #[serde(deserialize_with = "number")]
    pub(super) total_limbo_balance: u64,
    #[serde(default)]
    pending_open_channels: Vec<Wrapped>,
    #[serde(default)]
    pending_force_closing_channels: Vec<Wrapped>,
    #[serde(default)]
    waiting_close_channels: Vec<Wrapped>,
}

#[derive(Debug, Deserialize)]
struct Wrapped {
    channel: Body,
}

/// What an open channel and a pending one have in common.
#[derive(Debug, Deserialize)]
struct Body {
    #[serde(alias = "remote_pubkey")]
    remote_node_pub: String,
    channel_point: String,
    #[serde(deserialize_with = "number")]
    capacity: u64,
    #[serde(deserialize_with = "number")]
    local_balance: u64,
    #[serde(deserialize_with = "number")]
    remote_balance: u64,
    #[serde(default)]
    private: bool,
}

impl Pending {
    pub(super) fn channels(self) -> impl Iterator<Item = Channel> {
        let opening = self.pending_open_channels.into_iter();
        let closing =
            self.pending_force_closing_channels.into_iter().chain(self.waiting_close_channels);
        let opening = opening.map(|wrapped| wrapped.channel.described(ChannelState::Opening));
        opening.chain(closing.map(|wrapped| wrapped.channel.described(ChannelState::Closing)))
    }
}

impl Body {
    fn described(self, state: ChannelState) -> Channel {
        Channel {
            id: self.channel_point,
            peer: self.remote_node_pub.parse::<NodeId>().ok(),
            state,
            capacity: Sat::from_sat(self.capacity),
            outbound: msat(self.local_balance),
            inbound: msat(self.remote_balance),
            public: !self.private,
        }
    }
}

/// `GET /v1/payments`.
#[derive(Debug, Deserialize)]
pub(super) struct Payments {
    #[serde(default)]
    pub(super) payments: Vec<Sent>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    payment_hash: PaymentHash,
    status: String,
    #[serde(deserialize_with = "number")]
    value_msat: u64,
    #[serde(deserialize_with = "number")]
    fee_msat: u64,
    #[serde(deserialize_with = "number")]
    creation_date: u64,
}

impl From<Sent> for Transfer {
    fn from(sent: Sent) -> Self {
        let state = match sent.status.as_str() {
            "SUCCEEDED" => TransferState::Paid,
            "FAILED" => TransferState::NotPaid,
            _ => TransferState::Pending,
        };
        Self {
            direction: Direction::Sent,
            hash: sent.payment_hash,
            state,
            amount: Msat::from_msat(sent.value_msat),
            fee: (state == TransferState::Paid).then_some(Msat::from_msat(sent.fee_msat)),
            at: Some(sent.creation_date),
            memo: None,
        }
    }
}

/// `GET /v1/invoices`.
#[derive(Debug, Deserialize)]
pub(super) struct Invoices {
    #[serde(default)]
    pub(super) invoices: Vec<Asked>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    memo: String,
    #[serde(deserialize_with = "hash_in_base64")]
    r_hash: PaymentHash,
    #[serde(deserialize_with = "number")]
    value_msat: u64,
    #[serde(deserialize_with = "number")]
    creation_date: u64,
    #[serde(deserialize_with = "number")]
    expiry: u64,
    state: String,
    #[serde(default, deserialize_with = "number")]
    amt_paid_msat: u64,
}

impl Asked {
    /// A row of the books at that second since 1970: lnd keeps an invoice open that has expired.
    pub(super) fn seen_at(self, now: u64) -> Transfer {
        let over = self.creation_date.saturating_add(self.expiry) <= now;
        let state = match self.state.as_str() {
            "SETTLED" => TransferState::Paid,
            "CANCELED" => TransferState::NotPaid,
            "OPEN" if over => TransferState::NotPaid,
            _ => TransferState::Pending,
        };
        let paid = state == TransferState::Paid;
        Transfer {
            direction: Direction::Received,
            hash: self.r_hash,
            state,
            amount: Msat::from_msat(if paid { self.amt_paid_msat } else { self.value_msat }),
            fee: None,
            at: Some(self.creation_date),
            memo: Some(self.memo).filter(|memo| !memo.is_empty()),
        }
    }
}

/// `GET /v1/newaddress`.
#[derive(Debug, Deserialize)]
pub(super) struct NewAddress {
    pub(super) address: String,
}

/// `GET /v1/transactions/fee`.
#[derive(Debug, Deserialize)]
pub(super) struct FeeEstimate {
    #[serde(deserialize_with = "number")]
    pub(super) fee_sat: u64,
    #[serde(deserialize_with = "number")]
    pub(super) sat_per_vbyte: u64,
}

/// `POST /v1/transactions`.
#[derive(Debug, Deserialize)]
pub(super) struct CoinsSent {
    pub(super) txid: String,
}

/// `POST /v1/channels`.
#[derive(Debug, Deserialize)]
pub(super) struct Opened {
    #[serde(default)]
    funding_txid_bytes: String,
    #[serde(default)]
    funding_txid_str: String,
}

impl Opened {
    /// The transaction's id. As bytes it comes in the order in which it is hashed, not printed.
    pub(super) fn transaction(self) -> Option<String> {
        if !self.funding_txid_str.is_empty() {
            return Some(self.funding_txid_str);
        }
        transaction_in_base64(&self.funding_txid_bytes)
    }
}

fn transaction_in_base64(text: &str) -> Option<String> {
    use base64::Engine;
    let mut bytes = base64::prelude::BASE64_STANDARD.decode(text).ok()?;
    bytes.reverse();
    (bytes.len() == 32).then(|| hex::DisplayHex::to_lower_hex_string(&bytes[..]))
}

/// A line of `DELETE /v1/channels/{point}`.
#[derive(Debug, Deserialize)]
pub(super) struct CloseUpdate {
    close_pending: Option<ClosePending>,
}

#[derive(Debug, Deserialize)]
struct ClosePending {
    #[serde(default)]
    txid: String,
}

impl CloseUpdate {
    pub(super) fn transaction(self) -> Option<String> {
        transaction_in_base64(&self.close_pending?.txid)
    }
}

/// `{}`, or anything else that says nothing.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

fn msat(sat: u64) -> Msat {
    Sat::from_sat(sat).to_msat().unwrap_or(Msat::SUPPLY)
}

/// A number in a string.
fn number<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(de::Error::custom)
}

fn hash_in_base64<'de, D: Deserializer<'de>>(from: D) -> Result<PaymentHash, D::Error> {
    use base64::Engine;
    let text = String::deserialize(from)?;
    let bytes = base64::prelude::BASE64_STANDARD.decode(text).map_err(de::Error::custom)?;
    let bytes = <[u8; 32]>::try_from(bytes).map_err(|_| de::Error::custom("not 32 bytes"))?;
    Ok(PaymentHash(bytes))
}
