//! From nodes to a network: money, channels, blocks. Every step looks first at what is there.

use std::time::Duration;

use bitcoin::ScriptBuf;
use l402::Sat;
use tokio::time::Instant;

use super::{DevnetError, DevnetNode};
use crate::chain::Simulated;
use crate::node::{Channel, ChannelError};

/// Longer than any of it takes, on a slow machine in a debug build.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// How long a peer that refused a channel is left in peace.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// What each node keeps on the chain to close its channels with, in coins of their own: LDK wants
/// one for each channel.
const RESERVE: Sat = Sat::from_sat(500_000);
const RESERVE_COINS: usize = 3;
/// More than any funding transaction's fee.
const FUNDING_FEE: Sat = Sat::from_sat(10_000);

/// Gives every node money and a channel to the next one.
pub(super) async fn grow(
    chain: &Simulated,
    nodes: &[DevnetNode],
    capacity: Sat,
) -> Result<(), DevnetError> {
    fund(chain, nodes, capacity).await?;
    for pair in nodes.windows(2) {
        connect(&pair[0], &pair[1]).await?;
    }
    let mut pairs: Vec<Pair<'_>> =
        nodes.windows(2).map(|pair| Pair { one: &pair[0], two: &pair[1], tried: None }).collect();
    until(async {
        loop {
            let mut ready = true;
            for pair in &mut pairs {
                ready &= pair.is_joined(capacity)?;
            }
            if ready {
                return Ok(());
            }
            if !chain.mempool().is_empty() {
                chain.mine(1).map_err(DevnetError::Mine)?;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await?
}

/// Two neighbours.
struct Pair<'a> {
    one: &'a DevnetNode,
    two: &'a DevnetNode,
    /// When a channel was last opened.
    tried: Option<Instant>,
}

impl Pair<'_> {
    /// Whether both sides can use a channel between them. Opens one if there is none: also when the
    /// one that was there is given up, as one that only its other side remembers from before a crash.
    fn is_joined(&mut self, capacity: Sat) -> Result<bool, DevnetError> {
        let (left, right) = (channels(self.one, self.two), channels(self.two, self.one));
        let rested = self.tried.is_none_or(|tried| tried.elapsed() >= TRY_AGAIN);
        if left.is_empty() && rested {
            self.tried = Some(Instant::now());
            let half = Sat::from_sat(capacity.sat() / 2).to_msat().expect("half a capacity");
            match self.one.node.open_channel(self.two.node.node_id(), capacity, half) {
                // It is between two connections.
                Ok(()) | Err(ChannelError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let is_ready = |channel: &Channel| channel.usable && channel.introduced;
        Ok(left.iter().any(is_ready) && right.iter().any(is_ready))
    }
}

fn channels(of: &DevnetNode, to: &DevnetNode) -> Vec<Channel> {
    let peer = to.node.node_id();
    of.node.channels().into_iter().filter(|channel| channel.peer == peer).collect()
}

async fn until<T>(what: impl Future<Output = T>) -> Result<T, DevnetError> {
    tokio::time::timeout(PATIENCE, what).await.map_err(|_| DevnetError::Slow(PATIENCE))
}

/// Money for every node that has none, in one block.
async fn fund(chain: &Simulated, nodes: &[DevnetNode], capacity: Sat) -> Result<(), DevnetError> {
    let channel = capacity.checked_add(FUNDING_FEE).unwrap_or(capacity);
    let mut outputs: Vec<(ScriptBuf, Sat)> = Vec::new();
    for DevnetNode { node, .. } in nodes {
        let has = node.balance();
        if has.onchain.confirmed != Sat::default() || !node.channels().is_empty() {
            continue;
        }
        let amounts = std::iter::repeat_n(RESERVE, RESERVE_COINS).chain([channel]);
        for amount in amounts {
            outputs.push((node.new_onchain_address()?.script_pubkey(), amount));
        }
    }
    if outputs.is_empty() {
        return Ok(());
    }
    chain.pay(&outputs)?;
    chain.mine(1).map_err(DevnetError::Mine)?;
    let tip = chain.best().height;
    for node in nodes {
        until(async {
            while node.node.height() < tip {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await?;
    }
    Ok(())
}

async fn connect(one: &DevnetNode, two: &DevnetNode) -> Result<(), DevnetError> {
    let address = two.node.address().expect("nodes of a private network listen").to_string();
    Ok(one.node.connect(two.node.node_id(), &address, PATIENCE).await?)
}
