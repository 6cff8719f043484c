//! Two real lnd nodes with a channel between them, on a chain of their own. They are started once for
//! all tests, and lent to one test at a time, because a test counts what the seller has received.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bitcoin::Address;
use bitcoin::address::NetworkUnchecked;
use l402::{Msat, Node, NodeUrl, OpenError, Sat, Secret};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard};
use tollway_ldk::chain::{RpcLogin, RpcServer, Simulated};

use super::binary::{Process, find, free_port};

/// How long anything may take that a real node does; a test that needs it has failed.
const LONG: Duration = Duration::from_secs(90);
/// How often a node is asked whether it has done it.
const OFTEN: Duration = Duration::from_millis(50);

/// One lnd, running or not.
pub(crate) struct Lnd {
    folder: TempDir,
    arguments: Vec<String>,
    pub(crate) rest_port: u16,
    pub(crate) grpc_port: u16,
    p2p_port: u16,
    process: Option<Process>,
    http: reqwest::Client,
}

/// A buyer and a seller with a channel of five million sat between them.
pub(crate) struct Pair {
    pub(crate) buyer: Lnd,
    pub(crate) seller: Lnd,
    pub(crate) chain: Simulated,
    rpc: RpcServer,
}

/// The chain must go on living when a test's own runtime ends.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap());

/// The pair, lent to one test at a time.
pub(crate) async fn pair() -> MutexGuard<'static, Pair> {
    static LENT: LazyLock<Mutex<Pair>> = LazyLock::new(|| {
        let started = std::thread::spawn(|| RUNTIME.block_on(Pair::start()));
        Mutex::new(started.join().unwrap())
    });
    tokio::task::spawn_blocking(|| LazyLock::force(&LENT)).await.unwrap();
    LENT.lock().await
}

impl Pair {
    async fn start() -> Self {
        let chain = Simulated::in_memory();
        let login = RpcLogin { user: "lnd".into(), password: Secret::new("regtest".into()) };
        let any = "127.0.0.1:0".parse().unwrap();
        let rpc = RpcServer::bind(chain.clone(), any, login).await.unwrap();
        let (buyer, seller) = (Lnd::on(&rpc), Lnd::on(&rpc));
        tokio::join!(buyer.synced(), seller.synced());
        let pair = Self { buyer, seller, chain, rpc };
        pair.open_channel().await;
        pair
    }

    /// Another node on the same chain.
    pub(crate) fn another(&self) -> Lnd {
        Lnd::on(&self.rpc)
    }

    async fn open_channel(&self) {
        let (buyer, seller) = (&self.buyer, &self.seller);
        self.fund(buyer).await;
        let key = seller.get("/v1/getinfo").await["identity_pubkey"].as_str().unwrap().to_owned();
        let host = format!("127.0.0.1:{}", seller.p2p_port);
        buyer.post("/v1/peers", json!({ "addr": { "pubkey": key, "host": host } })).await;
        let node =
            BASE64_STANDARD.encode(hex::FromHex::from_hex(&key).map(|k: Vec<u8>| k).unwrap());
        let channel = json!({ "node_pubkey": node, "local_funding_amount": "5000000" });
        buyer.post("/v1/channels", channel).await;
        self.chain.mine(6).unwrap();
        self.usable().await;
        buyer.knows_a_route_to(&key).await;
    }

    /// Waits until the channel can be used from both ends.
    pub(crate) async fn usable(&self) {
        for node in [&self.buyer, &self.seller] {
            node.until("the channel is usable", async || {
                let channels = node.ask(Method::GET, "/v1/channels?active_only=true", None).await;
                channels.is_ok_and(|channels| channels["channels"][0]["active"] == true)
            })
            .await;
        }
    }

    pub(crate) async fn fund(&self, node: &Lnd) {
        let address = node.get("/v1/newaddress").await["address"].as_str().unwrap().to_owned();
        let address: Address<NetworkUnchecked> = address.parse().unwrap();
        let script = address.assume_checked().script_pubkey();
        self.chain.pay(&[(script, Sat::from_sat(10_000_000))]).unwrap();
        self.chain.mine(6).unwrap();
        node.until("the coins have arrived", async || {
            node.get("/v1/balance/blockchain").await["confirmed_balance"] == "10000000"
        })
        .await;
    }
}

impl Lnd {
    fn on(chain: &RpcServer) -> Self {
        let login = chain.login();
        let chain = [
            "--noseedbackup".to_owned(),
            format!("--bitcoind.rpchost={}", chain.address()),
            format!("--bitcoind.rpcuser={}", login.user),
            format!("--bitcoind.rpcpass={}", login.password.expose()),
        ];
        Self::with(&chain)
    }

    /// A node with these settings besides the ones that all have.
    pub(crate) fn with(settings: &[String]) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let [rest_port, grpc_port, p2p_port] = [free_port(), free_port(), free_port()];
        let mut arguments = vec![
            format!("--lnddir={}", folder.path().display()),
            format!("--restlisten=127.0.0.1:{rest_port}"),
            format!("--rpclisten=127.0.0.1:{grpc_port}"),
            format!("--listen=127.0.0.1:{p2p_port}"),
        ];
        let all = "--bitcoin.regtest --bitcoin.node=bitcoind --bitcoind.rpcpolling --nobootstrap \
                   --bitcoind.blockpollinginterval=200ms --bitcoind.txpollinginterval=200ms \
                   --debuglevel=info --maxlogfiles=0 --logging.file.disable";
        arguments.extend(all.split_whitespace().map(str::to_owned));
        arguments.extend_from_slice(settings);
        let http = reqwest::Client::builder().danger_accept_invalid_certs(true);
        let http = http.build().unwrap();
        let mut lnd =
            Self { folder, arguments, rest_port, grpc_port, p2p_port, process: None, http };
        lnd.start();
        lnd
    }

    pub(crate) fn start(&mut self) {
        let binary = find().unwrap();
        self.process = Some(Process::start(&binary, self.folder.path(), &self.arguments));
    }

    pub(crate) fn kill(&mut self) {
        self.process.take().unwrap().kill();
    }

    pub(crate) fn freeze(&self, still: bool) {
        self.process.as_ref().unwrap().freeze(still);
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.folder.path().join("tls.cert")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn p2p(&self) -> String {
        format!("127.0.0.1:{}", self.p2p_port)
    }

    /// The path of one of the macaroons that lnd writes itself.
    pub(crate) fn macaroon(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("data/chain/bitcoin/regtest/{name}.macaroon"))
    }

    /// Bakes a macaroon that may make exactly these calls, and gives its path.
    pub(crate) async fn bake(&self, name: &str, calls: &[&str]) -> PathBuf {
        let uri = |call: &&str| json!({ "entity": "uri", "action": call });
        let permissions: Vec<Value> = calls.iter().map(uri).collect();
        let baked = self.post("/v1/macaroon", json!({ "permissions": permissions })).await;
        let path = self.folder.path().join(name);
        std::fs::write(&path, baked["macaroon"].as_str().unwrap()).unwrap();
        path
    }

    /// This node's URL, with that macaroon.
    pub(crate) fn url(&self, macaroon: &Path) -> String {
        let (port, cert) = (self.rest_port, self.cert());
        let (cert, macaroon) = (cert.display(), macaroon.display());
        format!("lnd://127.0.0.1:{port}?cert=file:{cert}&macaroon=file:{macaroon}")
    }

    pub(crate) async fn open(&self) -> Result<Node, OpenError> {
        open(&self.url(&self.macaroon("admin"))).await
    }

    pub(crate) async fn synced(&self) {
        self.until("it is in step with the chain", async || {
            let info = self.ask(Method::GET, "/v1/getinfo", None).await;
            info.is_ok_and(|info| info["synced_to_chain"] == true)
        })
        .await;
    }

    /// A usable channel comes into the graph of channels, where routes are sought, a little later.
    pub(crate) async fn knows_a_route_to(&self, node: &str) {
        let path = format!("/v1/graph/routes/{node}/1");
        self.until("a route is known", async || self.ask(Method::GET, &path, None).await.is_ok())
            .await;
    }

    /// All that was ever paid to this node's invoices, by its own books.
    pub(crate) async fn received(&self) -> Msat {
        let books = self.get("/v1/invoices?num_max_invoices=100000").await;
        let paid = books["invoices"].as_array().unwrap().iter();
        let paid = paid.filter(|invoice| invoice["state"] == "SETTLED");
        let amounts = paid.map(|invoice| invoice["amt_paid_msat"].as_str().unwrap());
        Msat::from_msat(amounts.map(|amount| amount.parse::<u64>().unwrap()).sum())
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask(Method::GET, path, None).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        self.ask(Method::POST, path, Some(body)).await.unwrap()
    }

    /// Calls lnd as its owner.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, String> {
        let url = format!("https://127.0.0.1:{}{path}", self.rest_port);
        let mut request = self.http.request(method, url);
        if let Ok(macaroon) = std::fs::read(self.macaroon("admin")) {
            let macaroon = hex::DisplayHex::to_lower_hex_string(&macaroon[..]);
            request = request.header("grpc-metadata-macaroon", macaroon);
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.map_err(|error| error.to_string())?;
        let fine = response.status().is_success();
        let text = response.text().await.map_err(|error| error.to_string())?;
        if fine { serde_json::from_str(&text).map_err(|e| e.to_string()) } else { Err(text) }
    }

    /// Waits for something that a real node does in its own time.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let start = Instant::now();
        while !is_so().await {
            if start.elapsed() > LONG {
                let log = std::fs::read_to_string(self.folder.path().join("log"));
                panic!("in vain it was waited until {what}:\n{}", log.unwrap_or_default());
            }
            tokio::time::sleep(OFTEN).await;
        }
    }
}

pub(crate) async fn open(url: &str) -> Result<Node, OpenError> {
    l402::node::open(&NodeUrl::new(url), tollway_nodes::DRIVERS).await
}
