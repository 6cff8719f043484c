//! An embedded node and a real lnd, each looked after by `tollway node …` alone: a channel between them,
//! paid through both ways, closed, and its money taken out again.

use std::path::Path;
use std::time::{Duration, Instant};

use bitcoin::address::NetworkUnchecked;
use l402::{Sat, Secret};
use serde_json::Value;
use tollway_ldk::chain::{RpcLogin, RpcServer};

use super::binary::is_there;
use super::rig::{Lnd, Pair, pair};
use crate::market::run;
use crate::run::tollway;
use crate::staying::{Staying, private};

const PATIENCE: Duration = Duration::from_secs(90);

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// `tollway node …` of one node.
struct By<'a> {
    home: &'a Path,
    url: String,
}

impl By<'_> {
    async fn told(&self, args: &[&str]) -> Value {
        let args = [&["node"], args, &["--node", &self.url, "--format", "json"]].concat();
        let said = run(tollway(self.home, &args)).await;
        assert_eq!(said.code, 0, "{args:?}: {said:?}");
        said.json()
    }

    async fn channels(&self) -> Value {
        self.told(&["channels"]).await["channels"].clone()
    }

    async fn can_use_a_channel(&self) -> bool {
        self.channels().await[0]["state"] == "usable"
    }

    /// Asks to be paid that much by another one, and is.
    async fn is_paid_by(&self, payer: &By<'_>, amount: &str) {
        let invoice = self.told(&["invoice", amount]).await["invoice"].as_str().unwrap().to_owned();
        let paid = payer.told(&["pay", &invoice, "--max-fee", "0"]).await;
        assert_eq!(paid["paid"], true, "{paid}");
    }
}

/// Coins for a node, in blocks.
async fn fill(pair: &Pair, node: &By<'_>, sat: u64) {
    let address = node.told(&["address"]).await["address"].as_str().unwrap().to_owned();
    let address: bitcoin::Address<NetworkUnchecked> = address.parse().unwrap();
    let script = address.assume_checked().script_pubkey();
    pair.chain.pay(&[(script, Sat::from_sat(sat))]).unwrap();
    pair.chain.mine(6).unwrap();
    until("the coins are there", async || node.told(&["balance"]).await["onchain_sat"] == sat)
        .await;
}

async fn in_step(pair: &Pair, lnd: &Lnd) {
    lnd.until("it has every block", async || {
        let info = lnd.get("/v1/getinfo").await;
        info["synced_to_chain"] == true && info["block_height"] == pair.chain.best().height
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_between_the_embedded_node_and_lnd_is_opened_used_and_closed_by_commands() {
    if !is_there() {
        return;
    }
    let pair = pair().await;
    let home = private();
    let login = RpcLogin { user: "u".into(), password: Secret::new("p".into()) };
    let any = "127.0.0.1:0".parse().unwrap();
    let rpc = RpcServer::bind(pair.chain.clone(), any, login).await.unwrap();
    let own = format!(
        "ldk:{}?network=regtest&bitcoind={}",
        home.path().join("n").display(),
        rpc.url().expose()
    );
    let socket = home.path().join("n.sock").display().to_string();
    let args = ["node", "run", "--node", &own, "--socket", &socket];
    let running = Staying::start(home.path(), &args).await;
    let ldk = By { home: home.path(), url: running.text("/node") };
    let lnd_itself = pair.another();
    lnd_itself.synced().await;
    let url = lnd_itself.url(&lnd_itself.macaroon("admin"));
    let lnd = By { home: home.path(), url };

    fill(&pair, &ldk, 3_000_000).await;
    in_step(&pair, &lnd_itself).await;
    let id = lnd.told(&["info"]).await["id"].as_str().unwrap().to_owned();
    let peer = format!("{id}@{}", lnd_itself.p2p());
    ldk.told(&["open-channel", &peer, "1000000", "--push", "400000"]).await;
    until("it is sent", async || !pair.chain.mempool().is_empty()).await;
    pair.chain.mine(6).unwrap();
    for node in [&ldk, &lnd] {
        until("the channel is usable", async || node.can_use_a_channel().await).await;
    }
    let key = ldk.told(&["info"]).await["id"].as_str().unwrap().to_owned();
    lnd_itself.knows_a_route_to(&key).await;
    for amount in ["1234 msat", "25000"] {
        lnd.is_paid_by(&ldk, amount).await;
        ldk.is_paid_by(&lnd, amount).await;
    }

    let channel = lnd.channels().await[0]["id"].as_str().unwrap().to_owned();
    until("nothing is under way in it", async || {
        let closed = ["node", "close-channel", &channel, "--node", &lnd.url];
        run(tollway(home.path(), closed)).await.code == 0
    })
    .await;
    until("the channel is gone", async || {
        pair.chain.mine(1).unwrap();
        ldk.channels().await == Value::Array(vec![]) && lnd.channels().await == Value::Array(vec![])
    })
    .await;

    // What lnd got by the channel goes to the embedded node, in whole.
    in_step(&pair, &lnd_itself).await;
    let balance = |of: &Value| of["onchain_sat"].as_u64().unwrap();
    until("lnd has its part", async || balance(&lnd.told(&["balance"]).await) > 390_000).await;
    until("ldk has its part", async || {
        pair.chain.mine(1).unwrap();
        balance(&ldk.told(&["balance"]).await) > 2_500_000
    })
    .await;
    let (before, to) = (balance(&ldk.told(&["balance"]).await), ldk.told(&["address"]).await);
    let to = to["address"].as_str().unwrap();
    in_step(&pair, &lnd_itself).await;
    let sent = lnd.told(&["withdraw", to, "100000", "--yes"]).await;
    assert_eq!(sent["transaction"].as_str().unwrap().len(), 64, "{sent}");
    assert!(sent["fee_sat"].as_u64().unwrap() > 0, "{sent}");
    pair.chain.mine(1).unwrap();
    until("it has arrived", async || balance(&ldk.told(&["balance"]).await) == before + 100_000)
        .await;
    in_step(&pair, &lnd_itself).await;
    lnd.told(&["withdraw", to, "all", "--fee-rate", "2", "--yes"]).await;
    pair.chain.mine(1).unwrap();
    until("nothing is left", async || balance(&lnd.told(&["balance"]).await) == 0).await;
    assert_eq!(running.stop("-TERM").await, 0);
}
