//! `lnbits://host/?key=file:/…&network=…`: a wallet of an LNbits server, by its REST API
//! (the server's own `/docs`).
//!
//! LNbits counts invoices in whole satoshi and takes no limit for a fee, but says what it reserves for
//! one and pays no more. What this file decides is that an order is given only where that reserve fits
//! under the order's own limit.

mod owner;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use l402::{
    Driver, Msat, Network, Node, NodeError, NodeErrorKind, NodeUrl, OpenError, Operator,
    PaymentHash, Why,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::address::{self, bad};
use crate::api::{Api, Fault, Login, preimage, whole_sat};
use crate::http::Call;
use crate::remote::{Invoicing, Issuer, Order, Ordered, Paying, Remote, Word, known_already};

use owner::Owner;

const NAME: &str = "lnbits";
const EXAMPLE: &str = "lnbits://lnbits.example?key=file:/home/me/lnbits.key&network=mainnet";

/// LNbits's status for a payment that was tried and did not succeed.
const PAYMENT_ERROR: u16 = 520;

/// The driver of `lnbits:` and `lnbits+http:` URLs.
///
/// `key` is the `file:/path` of the wallet's admin key, or of its invoice key, which can be paid only.
/// `network` must say which network the server's node is on: LNbits does not. `lnbits:` speaks TLS and
/// takes `cert` as `lnd:` does; `lnbits+http:` speaks in the clear and only on this machine.
#[derive(Clone, Copy, Debug)]
pub struct LnbitsDriver;

/// An open wallet.
#[derive(Debug)]
struct Lnbits {
    api: Arc<Api>,
    network: Network,
}

/// `GET /api/v1/wallet`: only an admin key is told the wallet's id.
#[derive(Debug, Deserialize)]
struct Purse {
    id: Option<String>,
    name: Option<String>,
    /// In millisatoshi.
    balance: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Reserve {
    fee_reserve: u64,
}

/// `GET /api/v1/payments/{hash}`.
#[derive(Debug, Deserialize)]
struct Look {
    paid: bool,
    status: Option<String>,
    preimage: Option<String>,
    details: Option<Payment>,
}

/// A row of the wallet's books. What went out has negative amounts, in millisatoshi.
#[derive(Debug, Deserialize)]
struct Payment {
    amount: i64,
    fee: i64,
}

#[derive(Debug, Deserialize)]
struct Made {
    bolt11: String,
}

#[derive(Debug, thiserror::Error)]
#[error("LNbits reserves {reserve} for the fee, more than the limit of {limit}")]
struct TooDear {
    reserve: Msat,
    limit: Msat,
}

#[async_trait]
impl Driver for LnbitsDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["lnbits", "lnbits+http"]
    }

    fn example(&self) -> &'static str {
        EXAMPLE
    }

    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError> {
        let (api, network) = settings(url)?;
        let operator = Arc::new(Owner { api: Arc::clone(&api), network });
        let purse: Result<Purse, Fault> = api.query(Call::get("/api/v1/wallet")).await;
        let is_admin = purse.map_err(|fault| api.error(fault))?.id.is_some();
        let node = Arc::new(Lnbits { api, network });
        let payer = is_admin.then(|| Arc::new(Paying::new(Arc::clone(&node))) as _);
        let invoicer = Arc::new(Invoicing(node));
        Ok(Node { payer, invoicer: Some(invoicer), operator: Some(operator) })
    }

    async fn operate(&self, url: &NodeUrl) -> Result<Arc<dyn Operator>, OpenError> {
        let (api, network) = settings(url)?;
        Ok(Arc::new(Owner { api, network }))
    }
}

/// The way to the wallet, and the network its server's node is said to be on.
fn settings(url: &NodeUrl) -> Result<(Arc<Api>, Network), OpenError> {
    let (by_tls, port) = match url.scheme() {
        "lnbits+http" => (false, 80),
        _ => (true, 443),
    };
    let (web, mut parameters) = address::server(NAME, url, EXAMPLE, by_tls, port)?;
    let key = parameters.take_secret("key")?;
    let network = parameters.take("network");
    parameters.finish("an lnbits URL takes key, network and cert")?;
    let missing = |name, remedy| bad(NAME, name, format!("is missing: {remedy}"));
    let key = key.ok_or_else(|| {
        missing("key", "put the wallet's key into a file, and give key=file:/path/to/it")
    })?;
    let network = network.ok_or_else(|| {
        missing("network", "LNbits does not say it; network=mainnet if the money is real")
    })?;
    let network = network.parse().map_err(|error| bad(NAME, "network", format!("{error}")))?;
    let api = Api::new(NAME, web, key, Login::Header("x-api-key"));
    Ok((Arc::new(api), network))
}

impl Look {
    /// What it says of a payment of ours.
    fn word(&self) -> Result<Word, NodeError> {
        let row = self.details.as_ref();
        if row.is_some_and(|row| row.amount > 0) {
            return Ok(Word::NeverHeard);
        }
        if !self.paid {
            let failed = self.status.as_deref() == Some("failed");
            return Ok(if failed { Word::NotPaid(Why::Refused) } else { Word::InFlight });
        }
        let preimage = preimage(NAME, self.preimage.as_deref())?;
        let fee = Msat::from_msat(row.map_or(0, |row| row.fee.unsigned_abs()));
        Ok(Word::Paid { preimage, fee })
    }

    /// Whether an invoice of ours was paid.
    fn settled(&self) -> bool {
        self.paid && self.details.as_ref().is_some_and(|row| row.amount > 0)
    }
}

impl Lnbits {
    async fn look(&self, hash: PaymentHash) -> Result<Option<Look>, NodeError> {
        match self.api.query(Call::get(format!("/api/v1/payments/{hash}"))).await {
            Ok(look) => Ok(Some(look)),
            Err(Fault::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            Err(fault) => Err(self.api.error(fault)),
        }
    }

    async fn reserve(&self, order: &Order) -> Result<Msat, NodeError> {
        let path = format!("/api/v1/payments/fee-reserve?invoice={}", order.invoice);
        let reserve: Result<Reserve, Fault> = self.api.query(Call::get(path)).await;
        let reserve = reserve.map_err(|fault| self.api.error(fault))?;
        Ok(Msat::from_msat(reserve.fee_reserve))
    }
}

impl Remote for Lnbits {
    const NAME: &'static str = NAME;
    /// It goes on trying when its caller is gone.
    const LINGERS: Duration = Duration::from_secs(60);

    fn network(&self) -> Network {
        self.network
    }

    async fn order(&self, order: &Order) -> Ordered {
        let limit = order.max_fee;
        match self.reserve(order).await {
            Ok(reserve) if reserve <= limit => {}
            Ok(reserve) => {
                let source = NodeError::new(NAME, NodeErrorKind::Refused);
                let source = source.because(TooDear { reserve, limit });
                return Ordered::NotBegun { why: Why::NoRoute, source };
            }
            Err(source) => return Ordered::NotBegun { why: Why::Unreachable, source },
        }
        if let Some(known) = known_already(self, order).await {
            return known;
        }
        let hash = order.invoice.payment_hash();
        let pay = json!({ "out": true, "bolt11": order.invoice.as_str() });
        match self.api.order::<Value>(Call::post("/api/v1/payments", &pay)).await {
            // Its answer has come in many shapes; its books have one.
            Ok(_) => match self.ask(hash).await {
                Ok(word) => Ordered::Taken(word),
                Err(source) => Ordered::Lost(source),
            },
            Err(Fault::Refused { status, words }) if status.as_u16() == PAYMENT_ERROR => {
                let balance = words.to_ascii_lowercase().contains("insufficient balance");
                let why = if balance { Why::Balance } else { Why::NoRoute };
                let source = self.api.error(Fault::Refused { status, words });
                Ordered::Refused { why, source }
            }
            Err(fault) => self.api.ordered(fault),
        }
    }

    async fn ask(&self, hash: PaymentHash) -> Result<Word, NodeError> {
        match self.look(hash).await? {
            None => Ok(Word::NeverHeard),
            Some(look) => look.word(),
        }
    }
}

impl Issuer for Lnbits {
    const NAME: &'static str = NAME;

    fn network(&self) -> Network {
        self.network
    }

    async fn issue(&self, amount: Msat, memo: &str, expiry: Duration) -> Result<String, NodeError> {
        let sat = whole_sat(NAME, amount)?;
        let expiry = expiry.as_secs();
        let invoice =
            json!({ "out": false, "amount": sat, "unit": "sat", "memo": memo, "expiry": expiry });
        let made: Result<Made, Fault> =
            self.api.query(Call::post("/api/v1/payments", &invoice)).await;
        Ok(made.map_err(|fault| self.api.error(fault))?.bolt11)
    }

    async fn settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        Ok(self.look(hash).await?.is_some_and(|look| look.settled()))
    }
}
