//! From nodes to a network: money, channels, blocks. Every step looks first at what is there.

use std::time::Duration;

use bitcoin::ScriptBuf;
use l402::Sat;

use super::{DevnetError, DevnetNode};
use crate::chain::Simulated;

/// Longer than any of it takes, on a slow machine in a debug build.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(1);
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
        join(&pair[0], &pair[1], capacity).await?;
    }
    until(async {
        while !nodes.iter().all(|node| node.node.channels().iter().all(|channel| channel.usable)) {
            if !chain.mempool().is_empty() {
                chain.mine(1).map_err(DevnetError::Mine)?;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Ok(())
    })
    .await?
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

/// Connects two nodes, and opens a channel if there is none.
async fn join(one: &DevnetNode, two: &DevnetNode, capacity: Sat) -> Result<(), DevnetError> {
    let peer = two.node.node_id();
    let address = two.node.address().expect("nodes of a private network listen").to_string();
    one.node.connect(peer, &address, PATIENCE).await?;
    if !one.node.channels().iter().any(|channel| channel.peer == peer) {
        let half = Sat::from_sat(capacity.sat() / 2).to_msat().expect("half a capacity");
        one.node.open_channel(peer, capacity, half)?;
    }
    Ok(())
}
