//! A fake node behind Core Lightning's commands, on a Unix socket or by CLNRest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use l402::{
    Invoice, Invoicer as _, Msat, Outcome, PayError, PayOrder, Payer as _, PaymentHash, Why,
};
use serde_json::{Value, json};
use testkit::FakeNode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::fake::{Asked, Fake, Say};

/// Core Lightning's commands, carried out by somebody.
pub(crate) trait Commands: Clone + Send + Sync + 'static {
    fn carry_out(&self, method: &str, parameters: &Value) -> impl Future<Output = Answer> + Send;
}

/// What a command answers: a result, or a code and a message.
pub(crate) type Answer = Result<Value, (i64, String)>;

/// Serves the socket until the task is aborted, which ends all connections, or the test's runtime ends.
pub(crate) fn at_socket(node: impl Commands, path: PathBuf) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut talks = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            talks.spawn(talk(node.clone(), stream));
        }
    })
}

async fn talk(node: impl Commands, mut stream: UnixStream) {
    let mut request = Vec::new();
    while !request.ends_with(b"\n\n") {
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return;
        }
    }
    let request: Value = serde_json::from_slice(&request).unwrap();
    let mut answer = json!({ "jsonrpc": "2.0", "id": request["id"] });
    match node.carry_out(request["method"].as_str().unwrap(), &request["params"]).await {
        Ok(result) => answer["result"] = result,
        Err((code, message)) => answer["error"] = json!({ "code": code, "message": message }),
    }
    let _ = stream.write_all(format!("{answer}\n\n").as_bytes()).await;
}

/// The same by CLNRest, for a rune without restrictions but its number.
pub(crate) async fn by_rest(node: impl Commands) -> Fake {
    Fake::tls(move |asked| rest(node.clone(), asked)).await
}

async fn rest(node: impl Commands, asked: Asked) -> Say {
    assert_eq!(asked.headers["rune"], rune("=1"));
    let method = asked.path.strip_prefix("/v1/").unwrap();
    match node.carry_out(method, &serde_json::from_str(&asked.body).unwrap()).await {
        Ok(result) => Say::Json(201, result.to_string()),
        Err((code, message)) => {
            Say::Json(500, json!({ "code": code, "message": message }).to_string())
        }
    }
}

/// The commands, over a fake node.
#[derive(Clone)]
pub(crate) struct Lightningd {
    node: FakeNode,
    tried: Arc<Mutex<HashMap<PaymentHash, Msat>>>,
    asked: Arc<Mutex<Vec<PaymentHash>>>,
    /// In the order in which they were paid, as far as it was noticed.
    paid: Arc<Mutex<Vec<PaymentHash>>>,
}

impl Lightningd {
    pub(crate) fn over(node: FakeNode) -> Self {
        Self { node, tried: Arc::default(), asked: Arc::default(), paid: Arc::default() }
    }
}

impl Commands for Lightningd {
    async fn carry_out(&self, method: &str, parameters: &Value) -> Answer {
        match method {
            "getinfo" => Ok(json!({ "network": "regtest", "blockheight": 100 })),
            "pay" => self.pay(parameters).await,
            "listpays" => self.list_pays(parameters).await,
            "invoice" => self.invoice(parameters).await,
            "listinvoices" => {
                let hash = parameters["payment_hash"].as_str().unwrap().parse().unwrap();
                let settled = self.node.is_settled(hash).await.unwrap();
                let paid = json!([{ "payment_hash": hash, "status": "paid" }]);
                Ok(json!({ "invoices": if settled { paid } else { json!([]) } }))
            }
            "waitanyinvoice" => self.wait_any_invoice(parameters).await,
            other => Err((-32601, format!("Unknown command '{other}'"))),
        }
    }
}

impl Lightningd {
    async fn pay(&self, parameters: &Value) -> Answer {
        let invoice = Invoice::parse(parameters["bolt11"].as_str().unwrap()).unwrap();
        let max_fee = Msat::from_msat(parameters["maxfee"].as_u64().unwrap());
        let patience = Duration::from_secs(parameters["retry_for"].as_u64().unwrap());
        self.tried.lock().unwrap().insert(invoice.payment_hash(), invoice.amount());
        match self.node.pay(PayOrder { invoice: &invoice, max_fee, patience }).await {
            Ok(paid) => Ok(json!({
                "payment_preimage": paid.preimage.expose_hex(),
                "payment_hash": invoice.payment_hash(),
                "amount_msat": invoice.amount(),
                "amount_sent_msat": invoice.amount().checked_add(paid.fee),
                "created_at": 1_700_000_000.123,
                "parts": 1,
                "status": "complete",
            })),
            Err(PayError::Unknown { .. }) => Err((200, "payment is in progress".to_owned())),
            Err(PayError::NotPaid { why, .. }) => Err((code(why), why.to_string())),
        }
    }

    async fn list_pays(&self, parameters: &Value) -> Answer {
        let hash: PaymentHash = parameters["payment_hash"].as_str().unwrap().parse().unwrap();
        let Some(amount) = self.tried.lock().unwrap().get(&hash).copied() else {
            return Ok(json!({ "pays": [] }));
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let mut pay = json!({ "payment_hash": hash, "created_at": now });
        match self.node.outcome(hash).await.unwrap() {
            Outcome::Pending => pay["status"] = "pending".into(),
            Outcome::NotPaid => pay["status"] = "failed".into(),
            Outcome::Paid(paid) => {
                pay["status"] = "complete".into();
                pay["preimage"] = paid.preimage.expose_hex().into();
                pay["amount_msat"] = json!(amount);
                pay["amount_sent_msat"] = json!(amount.checked_add(paid.fee));
            }
        }
        Ok(json!({ "pays": [pay] }))
    }

    async fn invoice(&self, parameters: &Value) -> Answer {
        let amount = Msat::from_msat(parameters["amount_msat"].as_u64().unwrap());
        let expiry = Duration::from_secs(parameters["expiry"].as_u64().unwrap());
        let memo = parameters["description"].as_str().unwrap();
        assert!(parameters["label"].as_str().unwrap().starts_with("tollway-"));
        let invoice = self.node.invoice(amount, memo, expiry).await.unwrap();
        self.asked.lock().unwrap().push(invoice.payment_hash());
        Ok(json!({ "bolt11": invoice.as_str(), "payment_hash": invoice.payment_hash() }))
    }

    async fn wait_any_invoice(&self, parameters: &Value) -> Answer {
        let after = usize::try_from(parameters["lastpay_index"].as_u64().unwrap()).unwrap();
        let patience = Duration::from_secs(parameters["timeout"].as_u64().unwrap());
        let start = Instant::now();
        loop {
            let asked = self.asked.lock().unwrap().clone();
            for hash in asked {
                let settled = self.node.is_settled(hash).await.unwrap();
                let mut paid = self.paid.lock().unwrap();
                if settled && !paid.contains(&hash) {
                    paid.push(hash);
                }
            }
            if let Some(hash) = self.paid.lock().unwrap().get(after) {
                let paid =
                    json!({ "payment_hash": hash, "status": "paid", "pay_index": after + 1 });
                return Ok(paid);
            }
            if start.elapsed() >= patience {
                return Err((904, "Timed out".to_owned()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// The codes of `lightning-pay(7)`.
fn code(why: Why) -> i64 {
    match why {
        Why::NoRoute => 205,
        Why::Balance => 210,
        Why::Expired => 207,
        Why::PayeeRefused => 203,
        _ => 209,
    }
}

/// A rune with these restrictions, and with an authentication code that nobody checks.
pub(crate) fn rune(restrictions: &str) -> String {
    BASE64_URL_SAFE.encode([&[7; 32][..], restrictions.as_bytes()].concat())
}

/// The URL of a server that speaks CLNRest, with this rune.
pub(crate) fn rest_url(fake: &Fake, rune: &str) -> String {
    let rune = fake.keep("rune", rune);
    format!("cln+https://{}?rune={rune}&cert={}", fake.address, fake.cert().display())
}

pub(crate) fn socket_url(path: &Path) -> String {
    format!("cln:{}", path.display())
}
