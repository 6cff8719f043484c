//! A line of nodes on one chain, each of which can be stopped, crashed and opened again by itself.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use l402::{Invoice, Invoicer, Msat, Network, Outcome, Paid, PayError, PayOrder, Payer, Sat};
use tempfile::TempDir;
use tollway_ldk::chain::{ChainSource, Simulated};
use tollway_ldk::{Channel, Config, EmbeddedNode, OpenNodeError, StoreError};
use tracing_subscriber::EnvFilter;

/// Longer than anything takes that ends well, in a debug build on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const CAPACITY: Sat = Sat::from_sat(10_000_000);
/// Enough for two hops.
pub(crate) const MAX_FEE: Msat = Msat::from_msat(10_000);
const AGAIN: Duration = Duration::from_millis(2);

pub(crate) struct Line {
    pub(crate) chain: Simulated,
    folder: TempDir,
    source: Arc<dyn ChainSource>,
    nodes: Vec<Option<Arc<EmbeddedNode>>>,
}

impl Line {
    /// So many nodes, with half a channel from each to the next.
    pub(crate) async fn start(count: usize) -> Self {
        let chain = Simulated::in_memory();
        Self::over(chain.clone(), Arc::new(chain), count).await
    }

    /// The same, with all nodes behind another source than the chain itself.
    pub(crate) async fn over(chain: Simulated, source: Arc<dyn ChainSource>, count: usize) -> Self {
        log();
        let folder = tempfile::tempdir().unwrap();
        let mut line = Self { chain, folder, source, nodes: Vec::new() };
        for node in 0..count {
            line.nodes.push(Some(Arc::new(EmbeddedNode::open(line.config(node)).await.unwrap())));
        }
        line.fund().await;
        for left in 0..count - 1 {
            line.connect(left).await;
            let peer = line.node(left + 1).node_id();
            let half = Msat::from_msat(CAPACITY.sat() * 500);
            line.node(left).open_channel(peer, CAPACITY, half).unwrap();
        }
        line.mine_until(async || line.is_usable()).await;
        line
    }

    async fn fund(&self) {
        let coins = [500_000, 500_000, 500_000, CAPACITY.sat() + 10_000].map(Sat::from_sat);
        let scripts = self.running().flat_map(|node| {
            coins.map(|coin| (node.new_onchain_address().unwrap().script_pubkey(), coin))
        });
        self.chain.pay(&scripts.collect::<Vec<_>>()).unwrap();
        self.mine(1).await;
    }

    pub(crate) fn config(&self, node: usize) -> Config {
        Config {
            listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
            ..Config::new(self.folder(node), Network::Regtest, Arc::clone(&self.source))
        }
    }

    pub(crate) fn folder(&self, node: usize) -> std::path::PathBuf {
        self.folder.path().join(node.to_string())
    }

    fn running(&self) -> impl Iterator<Item = &Arc<EmbeddedNode>> {
        self.nodes.iter().flatten()
    }

    pub(crate) fn node(&self, node: usize) -> &Arc<EmbeddedNode> {
        self.nodes[node].as_ref().expect("it runs")
    }

    /// The only channel of a node at either end.
    pub(crate) fn channel(&self, node: usize) -> Channel {
        let mut channels = self.node(node).channels();
        assert_eq!(channels.len(), 1, "{channels:?}");
        channels.remove(0)
    }

    async fn connect(&self, left: usize) {
        let right = self.node(left + 1);
        let address = right.address().unwrap().to_string();
        self.node(left).connect(right.node_id(), &address, PATIENCE).await.unwrap();
    }

    /// Whether every node has a usable channel to each neighbour.
    pub(crate) fn is_usable(&self) -> bool {
        self.nodes.iter().enumerate().all(|(at, node)| {
            let neighbours = usize::from(at > 0) + usize::from(at + 1 < self.nodes.len());
            let channels = node.as_ref().map(|node| node.channels()).unwrap_or_default();
            let is_ready = |channel: &&Channel| channel.usable && channel.introduced;
            channels.iter().filter(is_ready).count() == neighbours
        })
    }

    /// Mines, and waits until every running node has seen it.
    pub(crate) async fn mine(&self, blocks: u32) {
        self.chain.mine(blocks).unwrap();
        self.caught_up().await;
    }

    pub(crate) async fn caught_up(&self) {
        let tip = self.chain.best().height;
        until(async || self.running().all(|node| node.height() == tip)).await;
    }

    /// Mines whatever waits for a block, until something is so.
    pub(crate) async fn mine_until(&self, so: impl AsyncFn() -> bool) {
        until(async || {
            if !self.chain.mempool().is_empty() {
                self.mine(1).await;
            }
            so().await
        })
        .await;
    }

    /// Stops a node as its owner does.
    pub(crate) async fn stop(&mut self, node: usize) {
        let stopped = self.nodes[node].take().expect("it runs");
        stopped.stop().await;
        let stopped = Arc::into_inner(stopped);
        assert!(stopped.is_some(), "the test holds the node");
    }

    /// Lets go of a node in the midst of whatever it does.
    pub(crate) fn crash(&mut self, node: usize) {
        let crashed = Arc::into_inner(self.nodes[node].take().expect("it runs"));
        assert!(crashed.is_some(), "the test holds the node");
    }

    /// Opens a node again, when what remains of its last life is gone.
    pub(crate) async fn reopen(&mut self, node: usize) {
        let opened = reopen(|| self.config(node)).await;
        self.nodes[node] = Some(Arc::new(opened));
        if node > 0 && self.nodes[node - 1].is_some() {
            self.connect(node - 1).await;
        }
    }

    pub(crate) async fn usable(&self) {
        until(async || self.is_usable()).await;
    }

    /// Stops all that run.
    pub(crate) async fn end(self) {
        for node in self.running() {
            node.stop().await;
        }
    }
}

/// Shows what nodes log, as `RUST_LOG` says, when a test fails.
pub(crate) fn log() {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_ansi(false)
        .with_test_writer()
        .try_init();
}

/// Opens a folder that a crashed node may still be about to leave.
pub(crate) async fn reopen(config: impl Fn() -> Config) -> EmbeddedNode {
    loop {
        match EmbeddedNode::open(config()).await {
            Ok(node) => return node,
            Err(OpenNodeError::Store(StoreError::InUse { .. })) => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until something is so.
pub(crate) async fn until(so: impl AsyncFn() -> bool) {
    let soon = async {
        while !so().await {
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, soon).await.expect("it is so in time");
}

pub(crate) async fn invoice(node: &EmbeddedNode, msat: u64) -> Invoice {
    let hour = Duration::from_secs(3600);
    node.invoice(Msat::from_msat(msat), "a test", hour).await.unwrap()
}

pub(crate) async fn pay(node: &EmbeddedNode, invoice: &Invoice) -> Result<Paid, PayError> {
    node.pay(PayOrder { invoice, max_fee: MAX_FEE, patience: PATIENCE }).await
}

/// Asks until the payment has ended.
pub(crate) async fn ended(node: &EmbeddedNode, invoice: &Invoice) -> Outcome {
    let hash = invoice.payment_hash();
    until(async || node.outcome(hash).await.unwrap() != Outcome::Pending).await;
    node.outcome(hash).await.unwrap()
}

pub(crate) async fn settled(node: &EmbeddedNode, invoice: &Invoice) {
    until(async || node.is_settled(invoice.payment_hash()).await.unwrap()).await;
}
