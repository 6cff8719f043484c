//! A real LNbits over a real lnd, where there are both: the payer's contract, and being paid.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use l402::{Msat, PayOrder};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::lnd::binary::{self, Process, free_port};
use crate::lnd::contract::Lnds;
use crate::lnd::rig::{Lnd, Pair, pair};
use crate::running::open_url;

/// LNbits imports a great deal before it answers.
const LONG: Duration = Duration::from_secs(120);

/// Whether there is an LNbits to test against, and an lnd for it. Says so loudly where there is none.
fn is_there() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    binary::is_there() && *FOUND.get_or_init(|| {
        let found = find().is_some();
        if !found {
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED: no LNbits to test against; get it by tests/interop/lnbits.sh ***\n"
            );
        }
        found
    })
}

/// The folder of its Python environment.
fn find() -> Option<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop/lnbits.sh");
    let built = Command::new("bash").args([script, "--if-built"]).output().ok()?;
    let path = String::from_utf8(built.stdout).ok()?;
    built.status.success().then(|| PathBuf::from(path.trim()))
}

/// A running LNbits whose coins are those of an lnd, and a wallet in it.
struct Lnbits {
    folder: TempDir,
    port: u16,
    http: Client,
    wallet: Value,
    _process: Process,
}

impl Lnbits {
    async fn over(lnd: &Lnd) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let environment = [
            ("LNBITS_BACKEND_WALLET_CLASS", "LndRestWallet".to_owned()),
            ("LND_REST_ENDPOINT", format!("https://127.0.0.1:{}", lnd.rest_port)),
            ("LND_REST_CERT", lnd.cert().display().to_string()),
            ("LND_REST_MACAROON", lnd.macaroon("admin").display().to_string()),
            ("LNBITS_DATA_FOLDER", folder.path().join("data").display().to_string()),
            ("LNBITS_ADMIN_UI", "true".to_owned()),
            ("LNBITS_RESERVE_FEE_MIN", "0".to_owned()),
            ("LNBITS_RESERVE_FEE_PERCENT", "0".to_owned()),
        ];
        // It finds its own files by where it is started.
        let start = r#"cd "$1"/lib/python3*/site-packages; shift; exec env "$@""#;
        let installed = find().unwrap().display().to_string();
        let mut arguments =
            vec!["-c".to_owned(), start.to_owned(), "sh".to_owned(), installed.clone()];
        arguments.extend(environment.map(|(name, value)| format!("{name}={value}")));
        arguments.extend([format!("{installed}/bin/lnbits"), "--host".into(), "127.0.0.1".into()]);
        arguments.extend(["--port".to_owned(), port.to_string()]);
        let process = Process::start("/bin/sh".as_ref(), folder.path(), &arguments);
        let http = Client::new();
        let mut this = Self { folder, port, http, wallet: Value::Null, _process: process };
        this.until("it answers", async |this: &Self| {
            this.ask(Method::GET, "/api/v1/health", None, None).await.is_ok()
        })
        .await;
        this.wallet = this.new_wallet().await;
        this
    }

    /// Makes the first user, and one with a wallet of a million satoshi.
    async fn new_wallet(&self) -> Value {
        let first = json!({ "username": "first1", "password": "a password", "password_repeat": "a password" });
        let first = self.ask(Method::PUT, "/api/v1/auth/first_install", Some(first), None).await;
        let token = first.unwrap()["access_token"].as_str().unwrap().to_owned();
        let wallet = json!({ "name": "till" });
        let wallet = self.ask(Method::POST, "/api/v1/account", Some(wallet), None).await.unwrap();
        let coins = json!({ "id": wallet["id"], "amount": 1_000_000 });
        let credit =
            self.ask(Method::PUT, "/users/api/v1/balance", Some(coins), Some(&token)).await;
        credit.unwrap();
        wallet
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        token: Option<&str>,
    ) -> Result<Value, String> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let mut request = self.http.request(method, url);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let fine = answer.status().is_success();
        let text = answer.text().await.map_err(|error| error.to_string())?;
        // Before the first user is made, every path leads to a page that makes one.
        let value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if fine { Ok(value) } else { Err(text) }
    }

    async fn until(&self, what: &str, is_so: impl AsyncFn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self).await {
            let log = || std::fs::read_to_string(self.folder.path().join("log"));
            assert!(start.elapsed() < LONG, "never: {what}\n{}", log().unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn url(&self, key: &str) -> String {
        let file = self.folder.path().join(key);
        std::fs::write(&file, self.wallet[key].as_str().unwrap()).unwrap();
        format!("lnbits+http://127.0.0.1:{}?network=regtest&key=file:{}", self.port, file.display())
    }
}

/// It is started once.
static STARTED: LazyLock<Mutex<Option<Lnbits>>> = LazyLock::new(Mutex::default);

async fn url(pair: &Pair, key: &str) -> String {
    let mut started = STARTED.lock().await;
    if started.is_none() {
        *started = Some(Lnbits::over(&pair.buyer).await);
    }
    started.as_ref().unwrap().url(key)
}

/// Both nodes, the buyer's behind an LNbits.
async fn bought() -> Lnds {
    let pair = pair().await;
    let payer = open_url(&url(&pair, "adminkey").await).await.unwrap().payer.unwrap();
    Lnds::paid_by(payer, pair).await
}

testkit::payer_contract!(bought, is_there);

#[tokio::test(flavor = "multi_thread")]
async fn a_real_lnbits_is_paid_by_another_node_and_tells_its_books() {
    if !is_there() {
        return;
    }
    let Lnds { payer, invoicer: seller, pair } = bought().await;
    let minute = Duration::from_secs(60);
    // So that the seller's side of the channel has something to pay with.
    let much = seller.invoice(Msat::from_sat(300_000).unwrap(), "", minute).await.unwrap();
    payer.pay(PayOrder { invoice: &much, max_fee: Msat::ZERO, patience: minute }).await.unwrap();

    let till = open_url(&url(&pair, "inkey").await).await.unwrap();
    assert!(till.payer.is_none(), "an invoice key pays nothing");
    let invoicer = till.invoicer.unwrap();
    let amount = Msat::from_sat(21).unwrap();
    let invoice = invoicer.invoice(amount, "tea", minute).await.unwrap();
    assert!(!invoicer.is_settled(invoice.payment_hash()).await.unwrap());
    let other = pair.seller.open().await.unwrap().payer.unwrap();
    other.pay(PayOrder { invoice: &invoice, max_fee: Msat::ZERO, patience: minute }).await.unwrap();
    let start = Instant::now();
    while !invoicer.is_settled(invoice.payment_hash()).await.unwrap() {
        assert!(start.elapsed() < LONG, "never settled");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let rows = till.operator.unwrap().payments(5).await.unwrap();
    assert!(rows.iter().any(|row| row.hash == invoice.payment_hash() && row.amount == amount));
}
