//! `phoenixd://127.0.0.1:9740?password=file:/…`: ACINQ's phoenixd, by its HTTP API
//! (<https://phoenix.acinq.co/server/api>).
//!
//! phoenixd counts in whole satoshi and takes no limit for a fee: its fee is published, 0.4 % and 4 sat.
//! What this file decides is that an order is given only where that fits under the order's own limit.

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

use crate::address::{self, bad};
use crate::api::{Api, Fault, Login, network, preimage, whole_sat};
use crate::http::Call;
use crate::remote::{Invoicing, Issuer, Order, Ordered, Paying, Remote, Word, known_already};

use owner::Owner;

const NAME: &str = "phoenixd";
const EXAMPLE: &str = "phoenixd://127.0.0.1:9740?password=file:/home/me/phoenixd.password";
/// The port that phoenixd has unless told.
const PORT: u16 = 9740;
/// Its published fee for a payment: this share, in millionths, and this much.
const FEE_PPM: u32 = 4_000;
const FEE_BASE: Msat = Msat::from_msat(4_000);

/// The driver of `phoenixd:` and `phoenixd+https:` URLs.
///
/// `password` is the `file:/path` of `http-password`, or of `http-password-limited-access` to be paid
/// only, with `limited=yes`. `phoenixd:` speaks in the clear and only on this machine;
/// `phoenixd+https:` takes `cert` as `lnd:` does.
#[derive(Clone, Copy, Debug)]
pub struct PhoenixdDriver;

/// An open node.
#[derive(Debug)]
struct Phoenixd {
    api: Arc<Api>,
    network: Network,
}

#[derive(Debug, Deserialize)]
struct Info {
    chain: String,
}

/// `POST /payinvoice`: a preimage, or a reason.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paid {
    payment_preimage: Option<String>,
    reason: Option<String>,
}

/// `GET /payments/outgoingbyhash/{hash}`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing {
    is_paid: bool,
    preimage: Option<String>,
    /// In millisatoshi.
    fees: Option<u64>,
    completed_at: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming {
    is_paid: bool,
}

#[derive(Debug, Deserialize)]
struct Made {
    serialized: String,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(
        "phoenixd's fee is {fee}, more than the limit of {limit}, and it cannot be told a limit"
    )]
    Fee { fee: Msat, limit: Msat },
    #[error("phoenixd did not pay: {0}")]
    Failed(String),
}

fn error(kind: NodeErrorKind, trouble: Trouble) -> NodeError {
    NodeError::new(NAME, kind).because(trouble)
}

#[async_trait]
impl Driver for PhoenixdDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["phoenixd", "phoenixd+https"]
    }

    fn example(&self) -> &'static str {
        EXAMPLE
    }

    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError> {
        let (api, limited) = settings(url)?;
        let operator = Arc::new(Owner { api: Arc::clone(&api), limited });
        let info: Result<Info, Fault> = api.query(Call::get("/getinfo")).await;
        let info = info.map_err(|fault| api.error(fault))?;
        let network = network(NAME, &info.chain)?;
        let node = Arc::new(Phoenixd { api, network });
        let payer = (!limited).then(|| Arc::new(Paying::new(Arc::clone(&node))) as _);
        let invoicer = Arc::new(Invoicing(node));
        Ok(Node { payer, invoicer: Some(invoicer), operator: Some(operator) })
    }

    async fn operate(&self, url: &NodeUrl) -> Result<Arc<dyn Operator>, OpenError> {
        let (api, limited) = settings(url)?;
        Ok(Arc::new(Owner { api, limited }))
    }
}

/// The way to the node, and whether the password is the limited one.
fn settings(url: &NodeUrl) -> Result<(Arc<Api>, bool), OpenError> {
    let by_tls = url.scheme() == "phoenixd+https";
    let (web, mut parameters) = address::server(NAME, url, EXAMPLE, by_tls, PORT)?;
    let password = parameters.take_secret("password")?;
    let limited = parameters.take_yes_or_no("limited")?;
    parameters.finish("a phoenixd URL takes password and limited")?;
    let Some(password) = password else {
        let remedy = "is missing: put http-password of ~/.phoenix/phoenix.conf into a file, and \
                      give password=file:/path/to/it";
        return Err(bad(NAME, "password", remedy));
    };
    let api = Api::new(NAME, web, password, Login::Password);
    Ok((Arc::new(api), limited))
}

impl Remote for Phoenixd {
    const NAME: &'static str = NAME;

    fn network(&self) -> Network {
        self.network
    }

    async fn order(&self, order: &Order) -> Ordered {
        let share = order.invoice.amount().ppm_ceil(FEE_PPM);
        let fee = share.checked_add(FEE_BASE).unwrap_or(Msat::SUPPLY);
        if fee > order.max_fee {
            let source = error(NodeErrorKind::Refused, Trouble::Fee { fee, limit: order.max_fee });
            return Ordered::NotBegun { why: Why::NoRoute, source };
        }
        if let Some(known) = known_already(self, order).await {
            return known;
        }
        let hash = order.invoice.payment_hash();
        let call = Call::form("/payinvoice", &[("invoice", order.invoice.as_str())]);
        let answer: Paid = match self.api.order(call).await {
            Ok(answer) => answer,
            Err(fault) => return self.api.ordered(fault),
        };
        if let Paid { payment_preimage: None, reason: Some(reason) } = answer {
            let source = error(NodeErrorKind::Refused, Trouble::Failed(reason));
            return Ordered::Refused { why: Why::NoRoute, source };
        }
        // The answer's fee is rounded to satoshi, and the one in its books is not.
        match self.ask(hash).await {
            Ok(word) => Ordered::Taken(word),
            Err(source) => Ordered::Lost(source),
        }
    }

    async fn ask(&self, hash: PaymentHash) -> Result<Word, NodeError> {
        let call = Call::get(format!("/payments/outgoingbyhash/{hash}"));
        match self.api.query::<Outgoing>(call).await {
            Ok(Outgoing { is_paid: true, preimage: text, fees, .. }) => {
                let preimage = preimage(NAME, text.as_deref())?;
                Ok(Word::Paid { preimage, fee: Msat::from_msat(fees.unwrap_or(0)) })
            }
            Ok(Outgoing { completed_at: Some(_), .. }) => Ok(Word::NotPaid(Why::Refused)),
            Ok(Outgoing { .. }) => Ok(Word::InFlight),
            Err(Fault::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(Word::NeverHeard),
            Err(fault) => Err(self.api.error(fault)),
        }
    }
}

impl Issuer for Phoenixd {
    const NAME: &'static str = NAME;

    fn network(&self) -> Network {
        self.network
    }

    async fn issue(&self, amount: Msat, memo: &str, expiry: Duration) -> Result<String, NodeError> {
        let sat = whole_sat(NAME, amount)?;
        let (sat, expiry) = (sat.to_string(), expiry.as_secs().to_string());
        let fields = [("description", memo), ("amountSat", &sat), ("expirySeconds", &expiry)];
        let made: Result<Made, Fault> = self.api.query(Call::form("/createinvoice", &fields)).await;
        Ok(made.map_err(|fault| self.api.error(fault))?.serialized)
    }

    async fn settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let call = Call::get(format!("/payments/incoming/{hash}"));
        match self.api.query::<Incoming>(call).await {
            Ok(incoming) => Ok(incoming.is_paid),
            Err(Fault::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(false),
            Err(fault) => Err(self.api.error(fault)),
        }
    }
}
