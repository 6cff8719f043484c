//! More callers than a slow node can serve: few of them are before the node at a time, some wait, and
//! the rest are told at once to come again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use l402::{Invoice, Invoicer, Msat, Network, Node, NodeError, PaymentHash};
use testkit::{FakeNetwork, FakeNode, Origin};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tollway_purse::Purse;

use crate::run::plain_http;
use crate::staying::{Staying, private};

/// So many are before the node at a time, and so many more wait.
const AT_ONCE: usize = 32;
const WAITING: usize = 512;
/// So many more come.
const TOO_MANY: usize = 56;

/// A node that makes an invoice only when it is let, and counts who waits for one.
#[derive(Debug)]
struct Slow {
    node: FakeNode,
    let_go: Semaphore,
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Invoicer for Slow {
    fn network(&self) -> Network {
        Network::Regtest
    }

    async fn invoice(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> Result<Invoice, NodeError> {
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        let _go = self.let_go.acquire().await.expect("it is never closed");
        self.now.fetch_sub(1, SeqCst);
        self.node.invoice(amount, memo, expiry).await
    }

    async fn is_settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        self.node.is_settled(hash).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_node_is_not_buried_and_whoever_cannot_wait_is_told_at_once() {
    let (home, origin) = (private(), Origin::start().await);
    let (_, node) = FakeNetwork::pair();
    let [now, most] = [0, 0].map(AtomicUsize::new);
    let slow = Arc::new(Slow { node, let_go: Semaphore::new(0), now, most });
    let socket = home.path().join("slow.sock");
    let till = Node { invoicer: Some(Arc::clone(&slow) as _), ..Node::default() };
    let purse = Purse::bind(&socket, till).await.unwrap();
    tokio::spawn(purse.serve(std::future::pending(), Duration::ZERO));
    let text = format!(
        "listen = \"127.0.0.1:0\"\nnode = \"purse:{}\"\nnode_timeout = \"100s\"\nunpaid_per_ip = \"off\"\nunpaid_total = \"off\"\n\
         [[service]]\nname = \"api\"\nupstream = \"{}\"\nprice = \"10 sat\"\n",
        socket.display(),
        origin.url("")
    );
    std::fs::write(home.path().join("gateway.toml"), text).unwrap();
    let gateway = Staying::start(home.path(), &["serve", "--config", "gateway.toml"]).await;
    let url = format!("{}/page", gateway.text("/listen"));

    let http = plain_http();
    let mut callers = JoinSet::new();
    for _ in 0..AT_ONCE + WAITING + TOO_MANY {
        let asked = http.get(&url).send();
        callers.spawn(async move {
            let answer = asked.await.unwrap();
            (answer.status().as_u16(), answer.headers().contains_key("retry-after"))
        });
    }
    // They are answered although nobody gets an invoice.
    for _ in 0..TOO_MANY {
        let answer = tokio::time::timeout(Duration::from_secs(60), callers.join_next());
        assert_eq!(answer.await.expect("at once").unwrap().unwrap(), (503, true));
    }
    let start = Instant::now();
    while slow.now.load(SeqCst) < AT_ONCE {
        assert!(start.elapsed() < Duration::from_secs(60), "the others wait");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    slow.let_go.add_permits(AT_ONCE);
    let mut billed = 0;
    while let Some(answer) = callers.join_next().await {
        assert_eq!(answer.unwrap(), (402, false));
        billed += 1;
    }
    assert_eq!(billed, AT_ONCE + WAITING);
    assert_eq!(slow.most.load(SeqCst), AT_ONCE);
    assert_eq!(gateway.stop("-TERM").await, 0);
}
