//! A fake node behind Core Lightning's commands, on a Unix socket or by CLNRest.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE;
use l402::{
    Invoice, Invoicer as _, Msat, Outcome, PayError, PayOrder, Payer as _, PaymentHash, Why,
};
use serde_json::{Value, json};
use testkit::FakeNode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::fake::{Asked, Fake, Say};

/// The commands, over a fake node.
#[derive(Clone)]
pub(crate) struct Lightningd {
    node: FakeNode,
    tried: Arc<Mutex<HashMap<PaymentHash, Msat>>>,
}

type Answer = Result<Value, (i64, String)>;

impl Lightningd {
    pub(crate) fn over(node: FakeNode) -> Self {
        Self { node, tried: Arc::default() }
    }

    /// Serves the socket until the end of the test's runtime.
    pub(crate) fn at_socket(self, path: PathBuf) {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(self.clone().talk(stream));
            }
        });
    }

    async fn talk(self, mut stream: UnixStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"\n\n") {
            if stream.read_buf(&mut request).await.unwrap() == 0 {
                return;
            }
        }
        let request: Value = serde_json::from_slice(&request).unwrap();
        let mut answer = json!({ "jsonrpc": "2.0", "id": request["id"] });
        match self.carry_out(request["method"].as_str().unwrap(), &request["params"]).await {
            Ok(result) => answer["result"] = result,
            Err((code, message)) => answer["error"] = json!({ "code": code, "message": message }),
        }
        let _ = stream.write_all(format!("{answer}\n\n").as_bytes()).await;
    }

    pub(crate) async fn by_rest(self) -> Fake {
        Fake::tls(move |asked| self.clone().rest(asked)).await
    }

    async fn rest(self, asked: Asked) -> Say {
        assert_eq!(asked.headers["rune"], rune("=1"));
        let method = asked.path.strip_prefix("/v1/").unwrap();
        match self.carry_out(method, &serde_json::from_str(&asked.body).unwrap()).await {
            Ok(result) => Say::Json(201, result.to_string()),
            Err((code, message)) => {
                Say::Json(500, json!({ "code": code, "message": message }).to_string())
            }
        }
    }

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
            other => Err((-32601, format!("Unknown command '{other}'"))),
        }
    }

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
        Ok(json!({ "bolt11": invoice.as_str(), "payment_hash": invoice.payment_hash() }))
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
