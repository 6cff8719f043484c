//! A node's channels: opened, looked at, closed.

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use l402::{Msat, NodeId, Sat};
use lightning::ln::types::ChannelId;
use lightning::util::errors::APIError;
use tokio::time::Instant;

use super::{EmbeddedNode, LOOK_AGAIN, hints};

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
    /// LDK refuses it.
    #[error("{0}")]
    Refused(String),
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
    /// Its peer has told what it takes for forwarding: an invoice can say how to reach us through it.
    pub introduced: bool,
}

impl EmbeddedNode {
    /// Starts to open a channel to a connected peer, funded from the on-chain wallet; `push` of it
    /// is given to the peer. It is usable when its transaction is in a block.
    ///
    /// # Errors
    /// [`ChannelError::Refused`] in LDK's words: not connected, too small.
    pub fn open_channel(&self, peer: NodeId, amount: Sat, push: Msat) -> Result<(), ChannelError> {
        let id = PublicKey::from_slice(&peer.0).map_err(|_| ChannelError::BadNodeId(peer))?;
        let opened = self.core.manager.create_channel(id, amount.sat(), push.msat(), 0, None, None);
        opened.map(drop).map_err(|error| ChannelError::Refused(format!("{error:?}")))?;
        self.core.peers.process_events();
        Ok(())
    }

    /// Its channels, open and opening.
    pub fn channels(&self) -> Vec<Channel> {
        let channels = self.core.manager.list_channels().into_iter();
        channels
            .map(|channel| Channel {
                id: channel.channel_id.to_string(),
                peer: NodeId(channel.counterparty.node_id.serialize()),
                capacity: Sat::from_sat(channel.channel_value_satoshis),
                outbound: Msat::from_msat(channel.outbound_capacity_msat),
                inbound: Msat::from_msat(channel.inbound_capacity_msat),
                usable: channel.is_usable,
                introduced: hints::is_introduced(&channel),
            })
            .collect()
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
                Err(error) => return Err(ChannelError::Refused(format!("{error:?}"))),
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
        closed.map_err(|error| ChannelError::Refused(format!("{error:?}")))?;
        self.core.peers.process_events();
        Ok(())
    }

    fn find(&self, channel: &Channel) -> Result<(ChannelId, PublicKey), ChannelError> {
        let known = self.core.manager.list_channels().into_iter();
        known
            .map(|known| (known.channel_id, known.counterparty.node_id))
            .find(|(id, _)| id.to_string() == channel.id)
            .ok_or_else(|| ChannelError::Refused(format!("there is no channel {}", channel.id)))
    }
}
