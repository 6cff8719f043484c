//! What a node says about itself.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bitcoin::secp256k1::PublicKey;
use l402::{Msat, Network, NodeId, Sat};
use lightning::util::sweep::OutputSpendStatus;

use super::{Channel, EmbeddedNode, reserve};
use crate::onchain::OnchainBalance;

/// A node at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its public key.
    pub id: NodeId,
    /// The name it tells the network when it has a public channel.
    pub alias: Option<String>,
    /// The network it is on.
    pub network: Network,
    /// The height of the newest block that every part of it has seen.
    pub height: u32,
    /// Whether it could follow the chain when it last tried.
    pub synced: bool,
    /// Why it could not, in the words of the chain source.
    pub trouble: Option<String>,
    /// Where peers may dial it, if it listens.
    pub address: Option<SocketAddr>,
    /// How many peers are connected.
    pub peers: usize,
    /// How many channels it has, open and opening.
    pub channels: usize,
    /// How many of them can be used now.
    pub usable_channels: usize,
    /// How many channels of others it knows to find routes through.
    pub known_channels: usize,
    /// The version of this program.
    pub version: &'static str,
}

/// Another node that this one is connected to or wants to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its public key.
    pub id: NodeId,
    /// Where it is dialled, or where it has called from.
    pub address: Option<String>,
    /// Whether there is a connection now.
    pub connected: bool,
    /// Whether it is dialled again whenever the connection is lost, and after a restart.
    pub kept: bool,
}

/// What the node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What the channels could send.
    pub outbound: Msat,
    /// What the channels could receive.
    pub inbound: Msat,
    /// What is on the chain.
    pub onchain: OnchainBalance,
    /// What closed channels still owe us: it waits for blocks, or for the other side.
    pub closing: Sat,
    /// What is on its way from closed channels to the on-chain wallet. The wallet may count some of it
    /// as unconfirmed.
    pub sweeping: Sat,
    /// How much of the on-chain money the channels need, to be closed in a hurry. It is not spent on
    /// anything else.
    pub reserve: Sat,
}

impl EmbeddedNode {
    /// The node at a glance. Asks nobody.
    pub fn info(&self) -> Info {
        let channels = self.channels();
        let trouble = self.core().health.trouble();
        Info {
            id: self.node_id(),
            alias: self.core().public.alias.map(|alias| alias.to_string()),
            network: self.core().network,
            height: self.height(),
            synced: trouble.is_none(),
            trouble,
            address: self.address(),
            peers: self.core().peers.list_peers().len(),
            channels: channels.len(),
            usable_channels: channels.iter().filter(|channel| channel.usable).count(),
            known_channels: self.core().graph.read_only().channels().len(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Those it is connected to, and those it keeps dialling.
    pub fn peers(&self) -> Vec<Peer> {
        let mut all: BTreeMap<PublicKey, Peer> = BTreeMap::new();
        for (id, address) in self.kept_peers() {
            let (peer, address) = (NodeId(id.serialize()), Some(address));
            all.insert(id, Peer { id: peer, address, connected: false, kept: true });
        }
        for details in self.core().peers.list_peers() {
            let id = details.counterparty_node_id;
            let address = details.socket_address.map(|address| address.to_string());
            let peer = all.entry(id).or_insert(Peer {
                id: NodeId(id.serialize()),
                address,
                connected: false,
                kept: false,
            });
            peer.connected = true;
        }
        all.into_values().collect()
    }

    /// What it has.
    pub fn balance(&self) -> Balance {
        let channels = self.channels();
        let sum = |amount: fn(&Channel) -> Msat| {
            channels.iter().map(amount).fold(Msat::ZERO, |sum, one| {
                sum.checked_add(one).expect("channels hold less than all bitcoin")
            })
        };
        let core = self.core();
        let open = core.manager.list_channels();
        let closing = core.monitors.get_claimable_balances(&open.iter().collect::<Vec<_>>());
        let closing = closing.iter().map(|balance| balance.claimable_amount_satoshis()).sum();
        let sweeping = core.sweeper.tracked_spendable_outputs().into_iter();
        let sweeping = sweeping.filter(|output| {
            !matches!(output.status, OutputSpendStatus::PendingThresholdConfirmations { .. })
        });
        let sweeping = sweeping.map(|output| value(&output.descriptor)).sum();
        let onchain = core.wallet.balance();
        Balance {
            outbound: sum(|channel| channel.outbound),
            inbound: sum(|channel| channel.inbound),
            onchain,
            closing: Sat::from_sat(closing),
            sweeping: Sat::from_sat(sweeping),
            reserve: reserve::for_channels(channels.len()).min(onchain.confirmed),
        }
    }
}

fn value(output: &lightning::sign::SpendableOutputDescriptor) -> u64 {
    use lightning::sign::SpendableOutputDescriptor as Descriptor;
    match output {
        Descriptor::StaticOutput { output, .. } => output.value,
        Descriptor::DelayedPaymentOutput(descriptor) => descriptor.output.value,
        Descriptor::StaticPaymentOutput(descriptor) => descriptor.output.value,
    }
    .to_sat()
}
