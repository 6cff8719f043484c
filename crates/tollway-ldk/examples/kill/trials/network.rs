//! A line of nodes, each in a process of its own, over a simulated chain in this one.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::Address;
use l402::{Sat, Secret};
use tempfile::TempDir;
use tollway_ldk::chain::{RpcLogin, RpcServer, Simulated};

use super::Failure;
use super::remote::Remote;
use super::words::{Answer, Ask, State};

const NAMES: [&str; 3] = ["alice", "bob", "carol"];
const CAPACITY: Sat = Sat::from_sat(10_000_000);
const START: Duration = Duration::from_secs(30);
const AGAIN: Duration = Duration::from_millis(2);

/// What no node may ever say: a channel lost, or state that was told to a peer and forgotten.
const FORBIDDEN: [&str; 7] =
    ["stale", "fallen behind", "force-clos", "force clos", "channel closed", "panicked", "damaged"];

pub(crate) struct Network {
    chain: Simulated,
    rpc: RpcServer,
    folder: TempDir,
    arguments: Vec<&'static str>,
    nodes: Vec<Node>,
    channels: Vec<Vec<String>>,
}

/// One node's place in the line; the process in it changes.
struct Node {
    name: &'static str,
    id: String,
    address: Mutex<String>,
    life: Mutex<Arc<Remote>>,
}

impl Network {
    /// Starts so many nodes with a channel from each to the next, half of it at either end.
    /// `arguments` are those that bring this executable to look at [`super::child::VARIABLE`].
    pub(crate) async fn start(count: usize, arguments: &[&'static str]) -> Result<Self, Failure> {
        let chain = Simulated::in_memory();
        let login = RpcLogin { user: "kill".to_owned(), password: Secret::new("kill".to_owned()) };
        let rpc = RpcServer::bind(chain.clone(), (Ipv4Addr::LOCALHOST, 0).into(), login).await?;
        let mut network = Self {
            chain,
            rpc,
            folder: tempfile::tempdir()?,
            arguments: arguments.to_vec(),
            nodes: Vec::new(),
            channels: Vec::new(),
        };
        for name in &NAMES[..count] {
            let (remote, id, address) = network.open(name).await?;
            let (address, life) = (Mutex::new(address), Mutex::new(Arc::new(remote)));
            network.nodes.push(Node { name, id, address, life });
        }
        network.fund().await?;
        for left in 0..count - 1 {
            network.join(left).await?;
            let (sat, push_msat) = (CAPACITY.sat(), CAPACITY.sat() * 500);
            let peer = network.nodes[left + 1].id.clone();
            network.node(left).ask(Ask::Open { peer, sat, push_msat }).await?;
        }
        for (node, channels) in network.usable(&network.line()).await?.into_iter().enumerate() {
            let expected = network.line()[node];
            assert_eq!(channels.len(), expected, "each node has a channel to each neighbour");
            network.channels.push(channels);
        }
        Ok(network)
    }

    /// How many channels each node has.
    fn line(&self) -> Vec<usize> {
        let last = self.nodes.len() - 1;
        (0..=last).map(|node| usize::from(node > 0) + usize::from(node < last)).collect()
    }

    async fn open(&self, name: &str) -> Result<(Remote, String, String), Failure> {
        let (remote, ready) = self.spawn(name)?;
        match tokio::time::timeout(START, ready).await {
            Ok(Ok(Answer::Ready { node, address })) => Ok((remote, node, address)),
            other => Err(format!("{name} did not start: {other:?}; {}", self.kept(name)).into()),
        }
    }

    fn spawn(
        &self,
        name: &str,
    ) -> Result<(Remote, tokio::sync::oneshot::Receiver<Answer>), Failure> {
        let bitcoind: String =
            url::form_urlencoded::byte_serialize(self.rpc.url().expose().as_bytes()).collect();
        let url = format!(
            "ldk:{}?network=regtest&bitcoind={bitcoind}&listen=127.0.0.1:0",
            self.folder.path().join(name).display()
        );
        Remote::start(&self.arguments, &url, &self.log(name))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn kept(&self, name: &str) -> String {
        fs::read_to_string(self.log(name)).unwrap_or_default()
    }

    async fn fund(&self) -> Result<(), Failure> {
        let coins = [500_000, 500_000, CAPACITY.sat() + 10_000].map(Sat::from_sat);
        let mut outputs = Vec::new();
        for node in 0..self.nodes.len() {
            for coin in coins {
                let address = self.node(node).text(Ask::Address).await?;
                let address = Address::from_str(&address)?.assume_checked();
                outputs.push((address.script_pubkey(), coin));
            }
        }
        self.chain.pay(&outputs)?;
        self.chain.mine(1)?;
        let funded: u64 = coins.iter().map(|coin| coin.sat()).sum();
        for node in 0..self.nodes.len() {
            self.until(node, "its money", |state| state.onchain_sat == funded).await?;
        }
        Ok(())
    }

    /// The process in this place now.
    pub(crate) fn node(&self, node: usize) -> Arc<Remote> {
        Arc::clone(&self.nodes[node].life.lock().expect("no panic while held"))
    }

    /// Tells a node where the next one is, and waits until they are connected.
    async fn join(&self, left: usize) -> Result<(), Failure> {
        let right = &self.nodes[left + 1];
        let address = right.address.lock().expect("no panic while held").clone();
        self.node(left).ask(Ask::Connect { peer: right.id.clone(), address }).await?;
        Ok(())
    }

    /// SIGKILL.
    pub(crate) async fn kill(&self, node: usize) -> Result<(), Failure> {
        self.node(node).kill().await
    }

    /// Starts a node that was killed, and kills it again so long after.
    pub(crate) async fn start_and_kill(&self, node: usize, after: Duration) -> Result<(), Failure> {
        let (remote, ready) = self.spawn(self.nodes[node].name)?;
        // Dead or ready before its time, it is killed all the same.
        let _ = tokio::time::timeout(after, ready).await;
        remote.kill().await
    }

    /// Starts a node that was killed, and returns when every channel of the line is as usable as
    /// before.
    pub(crate) async fn restart(&self, node: usize) -> Result<(), Failure> {
        let place = &self.nodes[node];
        let (remote, id, address) = self.open(place.name).await?;
        assert_eq!(id, place.id, "a node's key never changes");
        *place.address.lock().expect("no panic while held") = address;
        *place.life.lock().expect("no panic while held") = Arc::new(remote);
        if node > 0 {
            self.join(node - 1).await?;
        }
        let usable = self.usable(&self.line()).await?;
        if usable != self.channels {
            return Err(format!("channels {usable:?} are not {:?}", self.channels).into());
        }
        Ok(())
    }

    /// Waits until each node has so many usable channels, and names them.
    async fn usable(&self, counts: &[usize]) -> Result<Vec<Vec<String>>, Failure> {
        let mut all = Vec::new();
        for (node, count) in counts.iter().enumerate() {
            let usable = |state: &State| {
                state.channels.iter().filter(|channel| channel.usable).count() == *count
            };
            let state = self.until(node, "its channels", usable).await?;
            let mut ids: Vec<_> = state.channels.into_iter().map(|channel| channel.id).collect();
            ids.sort();
            all.push(ids);
        }
        Ok(all)
    }

    /// Asks a node again until it is as expected.
    pub(crate) async fn until(
        &self,
        node: usize,
        what: &str,
        expected: impl Fn(&State) -> bool,
    ) -> Result<State, Failure> {
        let asked = async {
            loop {
                let state = self.node(node).state().await?;
                if expected(&state) {
                    return Ok(state);
                }
                if !self.chain.mempool().is_empty() {
                    self.chain.mine(1)?;
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        match tokio::time::timeout(START, asked).await {
            Ok(state) => state,
            Err(_) => {
                let (name, state) = (self.nodes[node].name, self.node(node).state().await?);
                Err(format!("{name} is without {what}: {state:?}").into())
            }
        }
    }

    /// What the channels of a node could send, in millisatoshi.
    pub(crate) async fn outbound(&self, node: usize) -> Result<u64, Failure> {
        let state = self.node(node).state().await?;
        Ok(state.channels.iter().map(|channel| channel.outbound_msat).sum())
    }

    /// Searches what the nodes have logged for what they may never say. Gives the number of lines.
    pub(crate) fn search_logs(&self) -> Result<usize, Failure> {
        let mut lines = 0;
        for node in &self.nodes {
            for line in self.kept(node.name).lines() {
                let small = line.to_lowercase();
                if FORBIDDEN.iter().any(|word| small.contains(word)) {
                    return Err(format!("{} says: {line}", node.name).into());
                }
                lines += 1;
            }
        }
        Ok(lines)
    }

    /// Leaves the folders and logs where they are, for a person to look at.
    pub(crate) fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}
