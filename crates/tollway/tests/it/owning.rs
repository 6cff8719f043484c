//! An embedded node of one's own, run by one process and looked after by commands: money in from the
//! chain, a channel opened and closed, money out again; its words kept, and a node made of them.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::market::run;
use crate::run::{Said, plain_http, tollway};
use crate::staying::{Staying, private};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A private network with one node, and a node of our own on its chain.
struct Own {
    home: tempfile::TempDir,
    devnet: Staying,
    running: Option<Staying>,
}

impl Own {
    async fn start() -> Self {
        let home = private();
        let devnet = Staying::start(home.path(), &["devnet", "--nodes", "1"]).await;
        let mut own = Self { home, devnet, running: None };
        own.run().await;
        own
    }

    fn home(&self) -> &Path {
        self.home.path()
    }

    /// The node's own URL.
    fn url(&self) -> String {
        let (folder, chain) = (self.home().join("n"), self.devnet.text("/bitcoind"));
        format!("ldk:{}?network=regtest&bitcoind={chain}", folder.display())
    }

    fn socket(&self) -> String {
        self.home().join("n.sock").display().to_string()
    }

    async fn run(&mut self) {
        let args = ["node", "run", "--node", &self.url(), "--socket", &self.socket()];
        self.running = Some(Staying::start(self.home(), &args).await);
    }

    async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        assert_eq!(running.stop("-TERM").await, 0);
    }

    /// `tollway node …`, by way of whoever runs the node.
    async fn node(&self, args: &[&str]) -> Said {
        self.of(&format!("purse:{}", self.socket()), args).await
    }

    async fn of(&self, node: &str, args: &[&str]) -> Said {
        let args = [&["node"], args, &["--node", node, "--format", "json"]].concat();
        run(tollway(self.home(), args)).await
    }

    async fn told(&self, args: &[&str]) -> Value {
        let said = self.node(args).await;
        assert_eq!(said.code, 0, "{args:?}: {said:?}");
        said.json()
    }

    async fn chain(&self, method: &str, params: Value) {
        let url = self.devnet.text("/bitcoind");
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let asked = plain_http().post(url).body(call.to_string()).send();
        let said: Value =
            serde_json::from_str(&asked.await.unwrap().text().await.unwrap()).unwrap();
        assert!(said["error"].is_null(), "{said}");
    }

    async fn mine(&self, blocks: u32) {
        use bitcoin::hashes::Hash as _;
        let nobody = bitcoin::ScriptBuf::new_p2wpkh(&bitcoin::WPubkeyHash::all_zeros());
        let nobody = bitcoin::Address::from_script(&nobody, bitcoin::Network::Regtest).unwrap();
        let nobody = nobody.to_string();
        self.chain("generatetoaddress", json!([blocks, nobody])).await;
    }

    async fn address_of(&self, node: &str) -> String {
        let said = self.of(node, &["address"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        said.json()["address"].as_str().unwrap().to_owned()
    }

    /// Coins from nowhere, in a block.
    async fn fill(&self, bitcoin: f64) {
        let to = self.address_of(&format!("purse:{}", self.socket())).await;
        self.chain("sendtoaddress", json!([to, bitcoin])).await;
        self.mine(1).await;
    }

    async fn onchain(&self, node: &str) -> u64 {
        let said = self.of(node, &["balance"]).await;
        assert_eq!(said.code, 0, "{said:?}");
        said.json()["onchain_sat"].as_u64().unwrap()
    }

    async fn has(&self, sat: u64) {
        let own = format!("purse:{}", self.socket());
        until("the coins are there", async || self.onchain(&own).await == sat).await;
    }
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_of_a_running_node_opens_and_closes_channels_and_takes_money_out() {
    let mut own = Own::start().await;
    let alice = own.devnet.text("/nodes/0/url");
    own.fill(0.01).await;
    own.has(1_000_000).await;

    let peer =
        format!("{}@{}", own.devnet.text("/nodes/0/node_id"), own.devnet.text("/nodes/0/address"));
    let unnamed = run(tollway(own.home(), ["node", "balance", "--format", "json"])).await;
    assert_eq!(unnamed.code, 2, "nothing runs at the usual place: {unnamed:?}");
    let opening = own.told(&["open-channel", &peer, "300000"]).await;
    assert_eq!(opening["transaction"].as_str().unwrap().len(), 64, "{opening}");
    own.mine(6).await;
    let channel = async || own.told(&["channels"]).await["channels"][0].clone();
    until("the channel is usable", async || channel().await["state"] == "usable").await;

    // Nobody is there to agree to it, so it is only said what it would cost.
    let to = own.address_of(&alice).await;
    let before = own.onchain(&alice).await;
    let refused = own.node(&["withdraw", &to, "50000", "--fee-rate", "3"]).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("50000 sat to bcrt1"), "{refused:?}");
    assert!(refused.stderr.contains("to the miners, at 3 sat"), "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    let all = own.node(&["withdraw", &to, "all", "--yes"]).await;
    assert_eq!(all.code, 1, "what closes the channel must stay: {all:?}");
    assert!(all.stderr.contains("must stay there to close channels with"), "{all:?}");
    let foreign = ["withdraw", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "50000", "--yes"];
    let foreign = own.node(&foreign).await;
    assert!(foreign.stderr.contains("not one of regtest"), "{foreign:?}");

    for (wrong, what) in
        [("nonsense", "`nonsense` is no bitcoin address"), (to.as_str(), "too little")]
    {
        let refused = own.node(&["withdraw", wrong, "100", "--yes"]).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains(what), "{refused:?}");
    }

    let sent = own.told(&["withdraw", &to, "50000", "--fee-rate", "3", "--yes"]).await;
    assert_eq!(
        (&sent["amount_sat"], &sent["sat_per_vbyte"]),
        (&json!(50_000), &json!(3)),
        "{sent}"
    );
    assert!((300..1_000).contains(&sent["fee_sat"].as_u64().unwrap()), "{sent}");
    own.mine(1).await;
    until("it has arrived", async || own.onchain(&alice).await == before + 50_000).await;

    let id = channel().await["id"].as_str().unwrap().to_owned();
    let unknown = own.node(&["close-channel", &"00".repeat(32)]).await;
    assert_eq!(unknown.code, 2, "{unknown:?}");
    own.told(&["close-channel", &id]).await;
    let closed = async || {
        own.mine(1).await;
        own.told(&["channels"]).await["channels"] == json!([])
    };
    until("the channel is closed", closed).await;
    let own_url = format!("purse:{}", own.socket());
    let mut settled = async || {
        own.mine(1).await;
        let balance = own.told(&["balance"]).await;
        balance["closing_sat"] == 0
            && balance["unconfirmed_sat"] == 0
            && balance["onchain_sat"].as_u64().unwrap() > 900_000
    };
    until("its money is in the wallet", &mut settled).await;
    let sent = own.told(&["withdraw", &to, "all", "--yes"]).await;
    own.mine(1).await;
    until("nothing is left", async || own.onchain(&own_url).await == 0).await;
    let arrived = before + 50_000 + sent["amount_sat"].as_u64().unwrap();
    until("all has arrived", async || own.onchain(&alice).await == arrived).await;
    own.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_made_anew_from_its_words_and_never_over_another() {
    let mut own = Own::start().await;
    own.fill(0.005).await;
    own.has(500_000).await;
    let id = own.told(&["info"]).await["id"].clone();
    let (url, file) = (own.url(), own.home().join("words"));
    let name = file.to_str().unwrap();

    let to_nobody = own.of(&url, &["backup"]).await;
    assert_eq!((to_nobody.code, to_nobody.stdout.as_str()), (2, ""), "{to_nobody:?}");
    assert!(to_nobody.stderr.contains("--to FILE"), "{to_nobody:?}");
    let by_purse = own.node(&["backup", "--to", name]).await;
    assert_eq!(by_purse.code, 2, "{by_purse:?}");
    assert!(by_purse.stderr.contains("ldk:/folder"), "{by_purse:?}");
    // While the node runs.
    let kept = own.of(&url, &["backup", "--to", name]).await;
    assert_eq!(kept.code, 0, "{kept:?}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let words = text.lines().find_map(|line| line.strip_prefix("words ")).unwrap();
    assert_eq!(words.split(' ').count(), 24);
    assert!(!format!("{kept:?}").contains(words), "the words are in the file alone");
    assert_eq!(own.of(&url, &["backup", "--to", name]).await.code, 2, "no file is written over");
    let over = own.of(&url, &["restore", "--words-file", name]).await;
    assert_eq!(over.code, 1, "it runs: {over:?}");
    own.stop().await;
    let over = own.of(&url, &["restore", "--words-file", name]).await;
    assert_eq!(over.code, 2, "{over:?}");
    assert!(over.stderr.contains("not written over"), "{over:?}");

    std::fs::remove_dir_all(own.home().join("n")).unwrap();
    let elsewhere = url.replace("network=regtest", "network=signet");
    let elsewhere = own.of(&elsewhere, &["restore", "--words-file", name]).await;
    assert_eq!(elsewhere.code, 2, "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("those of a node on regtest"), "{elsewhere:?}");
    let without = own.of(&url, &["restore"]).await;
    assert_eq!(without.code, 2, "no terminal: {without:?}");
    assert!(!own.home().join("n").exists(), "what was refused has made nothing");
    let made = own.of(&url, &["restore", "--words-file", name]).await;
    assert_eq!(made.code, 0, "{made:?}");
    own.run().await;
    assert_eq!(own.told(&["info"]).await["id"], id);
    own.has(500_000).await;
    own.stop().await;

    // What runs at the usual place is meant where no node is named.
    let usual = Staying::start(own.home(), &["node", "run", "--node", &url]).await;
    let unnamed = run(tollway(own.home(), ["node", "info", "--format", "json"])).await;
    assert_eq!((unnamed.code, &unnamed.json()["id"]), (0, &id), "{unnamed:?}");
    let second = run(tollway(own.home(), ["node", "run"])).await;
    assert_eq!(second.code, 2, "what is to be run must be named: {second:?}");
    assert_eq!(usual.stop("-TERM").await, 0);
}
