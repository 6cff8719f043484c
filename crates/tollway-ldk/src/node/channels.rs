//! A node's channels: opened, looked at, closed.

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use l402::{Msat, NodeId, Sat};
use lightning::ln::channel_state::ChannelDetails;
use lightning::ln::types::ChannelId;
use lightning::util::errors::APIError;
use tokio::time::Instant;

use super::{EmbeddedNode, LOOK_AGAIN, hints, reserve};

/// A channel could not be opened, or something else asked of the node was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// Not a node's public key.
    #[error("{0} is not a node's public key")]
    BadNodeId(NodeId),
    /// The peer did not come, or went.
    #[error("{peer} at {address} cannot be reached; is it running, and is that its key?")]
    Unreachable {
        /// Who.
        peer: NodeId,
        /// Where.
        address: String,
    },
    /// LDK refuses it, or the peer does.
    #[error("{0}")]
    Refused(String),
    /// The wallet would be left without what its channels may need to be closed in a hurry.
    #[error(
        "a channel of {amount} would leave {left} on the chain, and {reserve} must stay there to close \
         channels with; send the node more, or open a smaller one"
    )]
    Reserve {
        /// What the channel should hold.
        amount: Sat,
        /// What would be left after it and its fee.
        left: Sat,
        /// What must be left.
        reserve: Sat,
    },
    /// The chain source does not answer: money must not go where it cannot be watched.
    #[error("no channel is opened while the chain cannot be followed: {0}")]
    ChainDown(String),
    /// The peer has not answered in time. The channel may still come.
    #[error("{peer} has not answered within {} seconds; look at the channels later", .patience.as_secs())]
    Slow {
        /// Who.
        peer: NodeId,
        /// How long it was waited for.
        patience: Duration,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes to number a channel with")]
    Random(#[source] getrandom::Error),
    /// The node's file failed.
    #[error("the node's file failed")]
    Store(#[from] rusqlite::Error),
}

/// One channel, as a person wants to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its id, 64 hexadecimal digits.
    pub id: String,
    /// Who is at the other end.
    pub peer: NodeId,
    /// All the money in it.
    pub capacity: Sat,
    /// What could be sent through it now.
    pub outbound: Msat,
    /// What could be received through it now.
    pub inbound: Msat,
    /// Confirmed, and its peer is connected.
    pub usable: bool,
    /// Confirmed as deep as both sides want.
    pub ready: bool,
    /// Its peer has told what it takes for forwarding: an invoice can say how to reach us through it.
    pub introduced: bool,
    /// The whole network is told about it.
    pub announced: bool,
    /// We opened it.
    pub ours: bool,
    /// The output that funds it, as `txid:index`, when there is one.
    pub funding: Option<String>,
    /// Where the chain holds it, as BOLT 7 writes it: `block x transaction x output`.
    pub short_id: Option<String>,
    /// In how many blocks its funding is, while it is not ready.
    pub confirmations: Option<u32>,
}

/// A channel to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewChannel {
    /// To whom. It must be connected.
    pub peer: NodeId,
    /// How much of the on-chain money goes in.
    pub amount: Sat,
    /// How much of that is the peer's at once.
    pub push: Msat,
    /// Whether the network is told, so that others may pay through it.
    pub announced: bool,
}

/// More than any funding transaction of a few coins weighs, in weight units.
const FUNDING_WEIGHT: u64 = 1_600;

impl EmbeddedNode {
    /// Starts to open a private channel to a connected peer, funded from the on-chain wallet; `push`
    /// of it is given to the peer. It is usable when its transaction is in a block.
    ///
    /// # Errors
    /// As [`Self::open_new_channel`], but for what the peer says later.
    pub fn open_channel(&self, peer: NodeId, amount: Sat, push: Msat) -> Result<(), ChannelError> {
        let channel = NewChannel { peer, amount, push, announced: false };
        self.begin_opening(&channel, random_number()?)
    }

    /// Opens a channel and returns its id when the peer has agreed and its transaction is on its way.
    /// It is usable some blocks later.
    ///
    /// # Errors
    /// [`ChannelError::Refused`] in LDK's or the peer's words: not connected, too small, refused;
    /// [`ChannelError::Reserve`]; [`ChannelError::ChainDown`]; [`ChannelError::Slow`] when the peer has
    /// said nothing within `patience`.
    pub async fn open_new_channel(
        &self,
        channel: NewChannel,
        patience: Duration,
    ) -> Result<String, ChannelError> {
        let number = random_number()?;
        let opened = self.core.openings.begin(number);
        if let Err(error) = self.begin_opening(&channel, number) {
            self.core.openings.end(number, Err(String::new()));
            return Err(error);
        }
        match tokio::time::timeout(patience, opened).await {
            Ok(Ok(Ok(id))) => Ok(id.to_string()),
            Ok(Ok(Err(why))) => Err(ChannelError::Refused(why)),
            Ok(Err(_)) | Err(_) => Err(ChannelError::Slow { peer: channel.peer, patience }),
        }
    }

    fn begin_opening(&self, channel: &NewChannel, number: u128) -> Result<(), ChannelError> {
        let &NewChannel { peer, amount, push, announced } = channel;
        let id = PublicKey::from_slice(&peer.0).map_err(|_| ChannelError::BadNodeId(peer))?;
        if let Some(trouble) = self.core.health.trouble() {
            return Err(ChannelError::ChainDown(trouble));
        }
        self.check_reserve(amount)?;
        let mut config = self.core.manager.get_current_config();
        config.channel_handshake_config.announce_for_forwarding = announced;
        let (amount, push) = (amount.sat(), push.msat());
        let opened = self.core.manager.create_channel(id, amount, push, number, None, Some(config));
        opened.map(drop).map_err(refused)?;
        self.core.peers.process_events();
        Ok(())
    }

    /// Whether enough stays on the chain for all channels and this one.
    fn check_reserve(&self, amount: Sat) -> Result<(), ChannelError> {
        let fee = self.core.feerates.soon().to_sat_per_kwu().saturating_mul(FUNDING_WEIGHT) / 1_000;
        let has = self.core.wallet.balance().confirmed;
        let reserve = reserve::for_channels(self.core.manager.list_channels().len() + 1);
        let left = Sat::from_sat(has.sat().saturating_sub(amount.sat()).saturating_sub(fee));
        match left >= reserve {
            true => Ok(()),
            false => Err(ChannelError::Reserve { amount, left, reserve }),
        }
    }

    /// Its channels, open and opening.
    pub fn channels(&self) -> Vec<Channel> {
        self.core.manager.list_channels().iter().map(channel).collect()
    }

    /// The channel with this id.
    ///
    /// # Errors
    /// [`ChannelError::Refused`]: there is none.
    pub fn channel(&self, id: &str) -> Result<Channel, ChannelError> {
        let mut channels = self.channels().into_iter();
        channels.find(|channel| channel.id == id).ok_or_else(|| no_channel(id))
    }

    /// Returns when there are so many usable channels.
    pub async fn usable(&self, channels: usize) {
        while self.core.manager.list_usable_channels().len() < channels {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Asks the peer to close a channel and to settle on the chain. Returns when the peer is asked,
    /// which it cannot be while it is away or something is on its way to the disk.
    ///
    /// # Errors
    /// [`ChannelError::Refused`]: there is no such channel, or it could not be done within `patience`.
    pub async fn close_channel(
        &self,
        channel: &Channel,
        patience: Duration,
    ) -> Result<(), ChannelError> {
        let deadline = Instant::now() + patience;
        loop {
            let (id, peer) = self.find(channel)?;
            match self.core.manager.close_channel(&id, &peer) {
                Ok(()) => break,
                Err(APIError::ChannelUnavailable { .. }) if Instant::now() < deadline => {}
                Err(error) => return Err(refused(error)),
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        self.core.peers.process_events();
        Ok(())
    }

    /// Closes a channel without asking: the money comes back after the delay that the peer set.
    ///
    /// # Errors
    /// [`ChannelError::Refused`]: there is no such channel.
    pub fn force_close_channel(&self, channel: &Channel) -> Result<(), ChannelError> {
        let (id, peer) = self.find(channel)?;
        let why = "closed by its owner".to_owned();
        let closed = self.core.manager.force_close_broadcasting_latest_txn(&id, &peer, why);
        closed.map_err(refused)?;
        self.core.peers.process_events();
        Ok(())
    }

    fn find(&self, channel: &Channel) -> Result<(ChannelId, PublicKey), ChannelError> {
        let known = self.core.manager.list_channels().into_iter();
        known
            .map(|known| (known.channel_id, known.counterparty.node_id))
            .find(|(id, _)| id.to_string() == channel.id)
            .ok_or_else(|| no_channel(&channel.id))
    }
}

fn channel(details: &ChannelDetails) -> Channel {
    let short = |id: u64| format!("{}x{}x{}", id >> 40, (id >> 16) & 0xff_ffff, id & 0xffff);
    Channel {
        id: details.channel_id.to_string(),
        peer: NodeId(details.counterparty.node_id.serialize()),
        capacity: Sat::from_sat(details.channel_value_satoshis),
        outbound: Msat::from_msat(details.outbound_capacity_msat),
        inbound: Msat::from_msat(details.inbound_capacity_msat),
        usable: details.is_usable,
        ready: details.is_channel_ready,
        introduced: hints::is_introduced(details),
        announced: details.is_announced,
        ours: details.is_outbound,
        funding: details.funding_txo.map(|output| format!("{}:{}", output.txid, output.index)),
        short_id: details.short_channel_id.map(short),
        confirmations: details.confirmations,
    }
}

fn no_channel(id: &str) -> ChannelError {
    ChannelError::Refused(format!("there is no channel {id}"))
}

/// LDK's words alone: its type names mean nothing to whoever reads them.
fn refused(error: APIError) -> ChannelError {
    ChannelError::Refused(match error {
        APIError::APIMisuseError { err } | APIError::ChannelUnavailable { err } => err,
        APIError::FeeRateTooHigh { err, .. } => err,
        other => format!("{other:?}"),
    })
}

pub(super) fn random_number() -> Result<u128, ChannelError> {
    let mut number = [0; 16];
    getrandom::fill(&mut number).map_err(ChannelError::Random)?;
    Ok(u128::from_be_bytes(number))
}
