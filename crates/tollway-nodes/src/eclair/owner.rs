//! eclair for its owner: what it is, what it has, its channels, and its wallet on the chain
//! (<https://acinq.github.io/eclair/>).
//!
//! eclair answers 200 to an order about a channel whatever becomes of it, and says that in words. Why it
//! did not send money it says in its log alone (since 0.13, and in words before), so what it lacks the
//! money for is not ordered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use l402::operator::{
    About, Balance, Channel, ChannelOrder, ChannelState, Close, Closing, Opening, OperateError,
    Quote, Right, Rights, Sent, Withdrawal,
};
use l402::{Msat, NodeError, NodeErrorKind, Operator, Sat};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::NAME;
use crate::api::{Api, Fault};
use crate::http::Call;
use crate::remote::failed;

/// How long eclair may take to build and send a transaction.
const SENDING: Duration = Duration::from_secs(60);
/// Within so many blocks money that is sent should be in one.
const SOON: &str = "6";
/// What eclair says when a channel is being opened.
const CREATED: &str = "created channel";
/// And when one is closed, besides `ok`.
const CLOSED: &str = "closed channel";
/// What it says when it cannot tell whether the channel's transaction is out.
const IN_DOUBT: &str = "while committing funding tx";
/// How bitcoind's own refusals end, where eclair passes them on: nothing was sent then.
const BITCOINDS: &str = "(code: -";

/// An eclair that is asked by its owner.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) api: Arc<Api>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    version: Option<String>,
    node_id: Option<String>,
    alias: Option<String>,
    network: Option<String>,
    block_height: Option<u32>,
}

/// `onchainbalance`, in satoshi.
#[derive(Debug, Deserialize)]
struct Coins {
    confirmed: u64,
    unconfirmed: u64,
}

/// A row of `channels`. Of its data only the last commitment counts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    node_id: String,
    channel_id: String,
    state: String,
    data: Option<Data>,
}

#[derive(Debug, Deserialize)]
struct Data {
    commitments: Option<Commitments>,
}

#[derive(Debug, Deserialize)]
struct Commitments {
    #[serde(default)]
    params: Parameters,
    #[serde(default)]
    active: Vec<Commitment>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Parameters {
    channel_flags: Flags,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Flags {
    announce_channel: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commitment {
    local_commit: LocalCommit,
}

#[derive(Debug, Deserialize)]
struct LocalCommit {
    spec: Spec,
}

/// In millisatoshi.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    to_local: u64,
    to_remote: u64,
}

impl Row {
    fn described(self) -> Channel {
        let state = match self.state.as_str() {
            "NORMAL" => ChannelState::Usable,
            "OFFLINE" | "SYNCING" => ChannelState::Offline,
            state if state.starts_with("WAIT_FOR") => ChannelState::Opening,
            _ => ChannelState::Closing,
        };
        let commitments = self.data.and_then(|data| data.commitments);
        let public = commitments
            .as_ref()
            .is_some_and(|commitments| commitments.params.channel_flags.announce_channel);
        let spec = commitments.and_then(|commitments| commitments.active.into_iter().next());
        let spec = spec.map(|commitment| commitment.local_commit.spec);
        let (ours, theirs) = spec.map_or((0, 0), |spec| (spec.to_local, spec.to_remote));
        Channel {
            id: self.channel_id,
            peer: self.node_id.parse().ok(),
            state,
            capacity: Sat::from_sat(ours.saturating_add(theirs) / 1_000),
            outbound: Msat::from_msat(ours),
            inbound: Msat::from_msat(theirs),
            public,
        }
    }
}

/// Why eclair did not do it, or was not asked to.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("eclair opened no channel: {0}")]
    NotOpened(String),
    #[error("eclair did not close the channel: {0}")]
    NotClosed(String),
    #[error("eclair's wallet has {has} that is confirmed, and {wanted} should be sent")]
    TooLittle { has: Sat, wanted: Sat },
}

fn refusal(trouble: Trouble) -> NodeError {
    NodeError::new(NAME, NodeErrorKind::Refused).because(trouble)
}

impl Owner {
    /// How an order failed that does more when it is given twice.
    fn failed(&self, fault: Fault, in_doubt: fn(NodeError) -> OperateError) -> OperateError {
        let refused = matches!(&fault, Fault::Refused { words, .. } if words.contains(BITCOINDS));
        failed(fault.is_lost() && !refused, self.api.error(fault), in_doubt)
    }

    /// How much is to be sent, where eclair can send it.
    async fn sendable(&self, order: &Withdrawal) -> Result<Sat, OperateError> {
        let Some(wanted) = order.amount else {
            return Err(self.cannot("send all it has on the chain"));
        };
        let coins: Coins = self.api.asked(Call::form("/onchainbalance", &[])).await?;
        let has = Sat::from_sat(coins.confirmed);
        if has < wanted {
            return Err(refusal(Trouble::TooLittle { has, wanted }).into());
        }
        Ok(wanted)
    }
}

#[async_trait]
impl Operator for Owner {
    fn driver(&self) -> &'static str {
        NAME
    }

    async fn about(&self) -> Result<About, OperateError> {
        let (info, clock_ahead_s) = self.api.info::<Info>(Call::form("/getinfo", &[])).await?;
        Ok(About {
            id: info.node_id.and_then(|id| id.parse().ok()),
            alias: info.alias,
            version: info.version,
            network: info.network.and_then(|network| network.parse().ok()),
            height: info.block_height,
            synced: None,
            peers: None,
            clock_ahead_s,
        })
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        // eclair has one password, for everything.
        let too_wide = "eclair has no smaller password; let other programs use it by a purse, \
                        `tollway node run`";
        Ok(Rights {
            pay: Right::Yes,
            be_paid: Right::Yes,
            observe: Right::Yes,
            too_wide: Some(too_wide.to_owned()),
        })
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        let coins: Coins = self.api.asked(Call::form("/onchainbalance", &[])).await?;
        let channels = self.channels().await?;
        let open = channels.iter().filter(|channel| {
            matches!(channel.state, ChannelState::Usable | ChannelState::Offline)
        });
        let (mut ours, mut theirs) = (Msat::ZERO, Msat::ZERO);
        for channel in open {
            ours = ours.checked_add(channel.outbound).unwrap_or(Msat::SUPPLY);
            theirs = theirs.checked_add(channel.inbound).unwrap_or(Msat::SUPPLY);
        }
        Ok(Balance {
            outbound: Some(ours),
            inbound: Some(theirs),
            onchain: Some(Sat::from_sat(coins.confirmed)),
            unconfirmed: Some(Sat::from_sat(coins.unconfirmed)),
            closing: None,
        })
    }

    async fn channels(&self) -> Result<Vec<Channel>, OperateError> {
        let rows: Vec<Row> = self.api.asked(Call::form("/channels", &[])).await?;
        Ok(rows.into_iter().map(Row::described).collect())
    }

    async fn address(&self) -> Result<String, OperateError> {
        self.api.asked(Call::form("/getnewaddress", &[])).await
    }

    async fn open_channel(&self, order: &ChannelOrder) -> Result<Opening, OperateError> {
        let peer = order.peer.to_string();
        if let Some(host) = &order.at {
            let uri = format!("{peer}@{host}");
            let _: Value = self.api.asked(Call::form("/connect", &[("uri", &uri)])).await?;
        }
        let push = order.push.to_msat().unwrap_or(Msat::SUPPLY).msat().to_string();
        let (amount, public) = (order.amount.sat().to_string(), order.public.to_string());
        let fields = [
            ("nodeId", peer.as_str()),
            ("fundingSatoshis", &amount),
            ("pushMsat", &push),
            ("announceChannel", &public),
        ];
        let opened = self.api.order::<String>(Call::form("/open", &fields)).await;
        let words = opened.map_err(|fault| self.failed(fault, OperateError::MayHaveOpened))?;
        if !words.starts_with(CREATED) {
            let lost = words.contains(IN_DOUBT);
            let not_opened = refusal(Trouble::NotOpened(words));
            return Err(failed(lost, not_opened, OperateError::MayHaveOpened));
        }
        Ok(Opening { transaction: transaction(&words) })
    }

    async fn close_channel(&self, id: &str, how: Close) -> Result<Closing, OperateError> {
        if !self.channels().await?.iter().any(|channel| channel.id == id) {
            return Err(OperateError::NoSuchChannel { id: id.to_owned() });
        }
        let path = match how {
            Close::Together => "/close",
            Close::Alone => "/forceclose",
        };
        // What became of each channel that was named.
        let closed: Result<HashMap<String, String>, Fault> =
            self.api.order(Call::form(path, &[("channelId", id)])).await;
        let mut said = closed.map_err(|fault| self.api.error(fault))?.into_values();
        match said.find(|words| words != "ok" && !words.starts_with(CLOSED)) {
            Some(words) => Err(refusal(Trouble::NotClosed(words)).into()),
            None => Ok(Closing::default()),
        }
    }

    async fn quote(&self, order: &Withdrawal) -> Result<Quote, OperateError> {
        // eclair says what it cost when the transaction is in its books, and not before.
        let amount = Some(self.sendable(order).await?);
        Ok(Quote { amount, fee: None, sat_per_vbyte: order.sat_per_vbyte })
    }

    async fn withdraw(&self, order: &Withdrawal) -> Result<Sent, OperateError> {
        let amount = self.sendable(order).await?.sat().to_string();
        let rate = order.sat_per_vbyte.map(|rate| rate.to_string());
        // One of the two: an eclair that knows no rates says so instead of leaving it out.
        let fee = match &rate {
            Some(rate) => ("feeRatePerByte", rate.as_str()),
            None => ("confirmationTarget", SOON),
        };
        let fields = [("address", order.address.as_str()), ("amountSatoshis", &amount), fee];
        let sent = self.api.order::<String>(Call::form("/sendonchain", &fields));
        let sent = timeout(SENDING, sent).await.unwrap_or(Err(Fault::TimedOut));
        let transaction = sent.map_err(|fault| self.failed(fault, OperateError::MayHaveSent))?;
        Ok(Sent { transaction })
    }
}

/// The transaction in `created channel … with fundingTxId=… and fees=…`.
fn transaction(words: &str) -> Option<String> {
    let (_, rest) = words.split_once("fundingTxId=")?;
    let id: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    (id.len() == 64).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transaction_is_found_in_eclairs_words() {
        let id = "ab".repeat(32);
        let words = format!("created channel 00 with fundingTxId={id} and fees=300 sat");
        assert_eq!(transaction(&words), Some(id));
        assert_eq!(transaction("ok"), None);
    }
}
