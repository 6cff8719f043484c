//! The embedded node for its owner, by the seam that all nodes have.

use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bitcoin::address::{Address, NetworkUnchecked, ParseError};
use l402::operator::{
    About, Balance, Channel, ChannelOrder, ChannelState, Close, Closing, Direction, Opening,
    OperateError, Quote, Right, Rights, Sent, Transfer, TransferState, Withdrawal,
};
use l402::{Msat, NodeError, NodeErrorKind, Operator, Sat};

use crate::node::{
    self, ChannelError, DRIVER, EmbeddedNode, NewChannel, PaymentRecord, PaymentState,
    WithdrawError, WithdrawQuote,
};
use crate::onchain::WalletError;

/// How long a peer may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

impl From<ChannelError> for OperateError {
    fn from(error: ChannelError) -> Self {
        let kind = match &error {
            ChannelError::Unreachable { .. } | ChannelError::ChainDown(_) => {
                NodeErrorKind::Unreachable
            }
            // The peer may still answer, and then it is opened.
            ChannelError::Slow { .. } => {
                let slow = NodeError::new(DRIVER, NodeErrorKind::Timeout).because(error);
                return Self::MayHaveOpened(slow);
            }
            ChannelError::Store(_) | ChannelError::Random(_) => NodeErrorKind::Storage,
            ChannelError::BadNodeId(_)
            | ChannelError::Refused(_)
            | ChannelError::Reserve { .. } => NodeErrorKind::Refused,
        };
        NodeError::new(DRIVER, kind).because(error).into()
    }
}

impl From<WithdrawError> for OperateError {
    fn from(error: WithdrawError) -> Self {
        let kind = match &error {
            WithdrawError::ChainDown(_) => NodeErrorKind::Unreachable,
            WithdrawError::OtherNetwork(_)
            | WithdrawError::Reserve { .. }
            | WithdrawError::Wallet(WalletError::Funds { .. } | WalletError::Dust(_)) => {
                NodeErrorKind::Refused
            }
            WithdrawError::Wallet(_) => NodeErrorKind::Storage,
        };
        NodeError::new(DRIVER, kind).because(error).into()
    }
}

fn described(channel: node::Channel) -> Channel {
    let state = match (channel.ready, channel.usable) {
        (_, true) => ChannelState::Usable,
        (true, false) => ChannelState::Offline,
        (false, false) => ChannelState::Opening,
    };
    Channel {
        id: channel.id,
        peer: Some(channel.peer),
        state,
        capacity: channel.capacity,
        outbound: channel.outbound,
        inbound: channel.inbound,
        public: channel.announced,
    }
}

fn row(record: PaymentRecord) -> Transfer {
    let direction = match record.direction {
        node::Direction::Sent => Direction::Sent,
        node::Direction::Received => Direction::Received,
    };
    let state = match record.state {
        PaymentState::Pending => TransferState::Pending,
        PaymentState::Paid => TransferState::Paid,
        PaymentState::Failed(_) => TransferState::NotPaid,
    };
    let at = record.at.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Transfer {
        direction,
        hash: record.hash,
        state,
        amount: record.amount.unwrap_or(Msat::ZERO),
        fee: record.fee,
        at: at.map(|at| at.as_secs()),
        memo: None,
    }
}

#[async_trait]
impl Operator for EmbeddedNode {
    fn driver(&self) -> &'static str {
        DRIVER
    }

    async fn about(&self) -> Result<About, OperateError> {
        let info = self.info();
        Ok(About {
            id: Some(info.id),
            alias: info.alias,
            version: Some(info.version.to_owned()),
            network: Some(info.network),
            height: Some(info.height),
            synced: Some(info.synced),
            peers: u32::try_from(info.peers).ok(),
            // Its clock is ours.
            clock_ahead_s: Some(0),
        })
    }

    async fn rights(&self) -> Result<Rights, OperateError> {
        // Whoever can open its folder is its owner.
        Ok(Rights { pay: Right::Yes, be_paid: Right::Yes, observe: Right::Yes, too_wide: None })
    }

    async fn balance(&self) -> Result<Balance, OperateError> {
        let has = EmbeddedNode::balance(self);
        let closing = Sat::from_sat(has.closing.sat().saturating_add(has.sweeping.sat()));
        Ok(Balance {
            outbound: Some(has.outbound),
            inbound: Some(has.inbound),
            onchain: Some(has.onchain.confirmed),
            unconfirmed: Some(has.onchain.unconfirmed),
            closing: Some(closing),
        })
    }

    async fn channels(&self) -> Result<Vec<Channel>, OperateError> {
        Ok(EmbeddedNode::channels(self).into_iter().map(described).collect())
    }

    async fn payments(&self, most: usize) -> Result<Vec<Transfer>, OperateError> {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        Ok(EmbeddedNode::payments(self, None, most)?.into_iter().map(row).collect())
    }

    async fn address(&self) -> Result<String, OperateError> {
        let address = self.new_onchain_address();
        let failed = |error| NodeError::new(DRIVER, NodeErrorKind::Storage).because(error);
        Ok(address.map_err(|error| failed(Box::new(error) as Box<_>))?.to_string())
    }

    async fn open_channel(&self, order: &ChannelOrder) -> Result<Opening, OperateError> {
        if let Some(at) = &order.at {
            self.connect(order.peer, at, PATIENCE).await?;
        }
        let channel = NewChannel {
            peer: order.peer,
            amount: order.amount,
            push: order.push.to_msat().unwrap_or(Msat::SUPPLY),
            announced: order.public,
        };
        let id = self.open_new_channel(channel, PATIENCE).await?;
        let funding = self.channel(&id).ok().and_then(|channel| channel.funding);
        let transaction = funding.and_then(|funding| {
            funding.split_once(':').map(|(transaction, _)| transaction.to_owned())
        });
        Ok(Opening { transaction })
    }

    async fn close_channel(&self, id: &str, how: Close) -> Result<Closing, OperateError> {
        let no_such = |_| OperateError::NoSuchChannel { id: id.to_owned() };
        let channel = self.channel(id).map_err(no_such)?;
        match how {
            Close::Together => EmbeddedNode::close_channel(self, &channel, PATIENCE).await?,
            Close::Alone => self.force_close_channel(&channel)?,
        }
        Ok(Closing::default())
    }

    async fn quote(&self, order: &Withdrawal) -> Result<Quote, OperateError> {
        let to = address(&order.address)?;
        let quote = self.quote_withdrawal(to, order.amount, order.sat_per_vbyte)?;
        let WithdrawQuote { amount, fee, sat_per_vbyte } = quote;
        Ok(Quote { amount: Some(amount), fee: Some(fee), sat_per_vbyte: Some(sat_per_vbyte) })
    }

    async fn withdraw(&self, order: &Withdrawal) -> Result<Sent, OperateError> {
        let to = address(&order.address)?;
        let sent = EmbeddedNode::withdraw(self, to, order.amount, order.sat_per_vbyte)?;
        Ok(Sent { transaction: sent.to_string() })
    }
}

/// The text names no place on any chain.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no bitcoin address")]
struct NotAnAddress {
    text: String,
    source: ParseError,
}

fn address(text: &str) -> Result<Address<NetworkUnchecked>, OperateError> {
    Ok(text.trim().parse().map_err(|source| {
        let wrong = NotAnAddress { text: text.to_owned(), source };
        NodeError::new(DRIVER, NodeErrorKind::Refused).because(wrong)
    })?)
}
