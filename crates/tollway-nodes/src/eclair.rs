//! `eclair://127.0.0.1:8080?password=file:/…`: ACINQ's eclair, by its HTTP API
//! (<https://acinq.github.io/eclair/>).
//!
//! What this file decides is how the fee limit is said: eclair takes the larger of a share and of whole
//! satoshi, so the share is zero and the satoshi are those that fit.

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
use crate::api::{self, Api, Fault, Login, network};
use crate::http::Call;
use crate::remote::{Invoicing, Issuer, Order, Ordered, Paying, Remote, Word, known_already};

use owner::Owner;

const NAME: &str = "eclair";
const EXAMPLE: &str = "eclair://127.0.0.1:8080?password=file:/home/me/eclair.password";
/// The port of eclair's API unless told.
const PORT: u16 = 8080;

/// The driver of `eclair:` and `eclair+https:` URLs.
///
/// `password` is the `file:/path` of `eclair.api.password`. `eclair:` speaks in the clear and only on
/// this machine; `eclair+https:` takes `cert` as `lnd:` does.
#[derive(Clone, Copy, Debug)]
pub struct EclairDriver;

/// An open node.
#[derive(Debug)]
struct Eclair {
    api: Arc<Api>,
    network: Network,
}

#[derive(Debug, Deserialize)]
struct Info {
    network: String,
}

/// `payinvoice`, when it waits for the end.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Ended {
    PaymentSent { payment_preimage: String, parts: Vec<Part> },
    PaymentFailed {},
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    fees_paid: u64,
}

/// `getsentinfo`: a row for each part of each try.
#[derive(Debug, Deserialize)]
struct Sent {
    status: SentStatus,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
enum SentStatus {
    Pending {},
    Failed {},
    Sent { payment_preimage: String, fees_paid: u64 },
}

#[derive(Debug, Deserialize)]
struct Received {
    status: ReceivedStatus,
}

#[derive(Debug, Deserialize)]
struct ReceivedStatus {
    r#type: String,
}

#[derive(Debug, Deserialize)]
struct Made {
    serialized: String,
}

#[derive(Debug, thiserror::Error)]
#[error("eclair did not pay")]
struct NotPaid;

#[async_trait]
impl Driver for EclairDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["eclair", "eclair+https"]
    }

    fn example(&self) -> &'static str {
        EXAMPLE
    }

    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError> {
        let api = settings(url)?;
        let operator = Arc::new(Owner { api: Arc::clone(&api) });
        let info: Result<Info, Fault> = api.query(Call::form("/getinfo", &[])).await;
        let info = info.map_err(|fault| api.error(fault))?;
        let network = network(NAME, &info.network)?;
        let node = Arc::new(Eclair { api, network });
        let payer = Arc::new(Paying::new(Arc::clone(&node)));
        let invoicer = Arc::new(Invoicing(node));
        Ok(Node { payer: Some(payer), invoicer: Some(invoicer), operator: Some(operator) })
    }

    async fn operate(&self, url: &NodeUrl) -> Result<Arc<dyn Operator>, OpenError> {
        Ok(Arc::new(Owner { api: settings(url)? }))
    }
}

fn settings(url: &NodeUrl) -> Result<Arc<Api>, OpenError> {
    let by_tls = url.scheme() == "eclair+https";
    let (web, mut parameters) = address::server(NAME, url, EXAMPLE, by_tls, PORT)?;
    let password = parameters.take_secret("password")?;
    parameters.finish("an eclair URL takes password")?;
    let Some(password) = password else {
        let remedy = "is missing: put eclair.api.password of eclair.conf into a file, and give \
                      password=file:/path/to/it";
        return Err(bad(NAME, "password", remedy));
    };
    Ok(Arc::new(Api::new(NAME, web, password, Login::Password)))
}

fn paid(preimage: &str, fees: impl Iterator<Item = u64>) -> Result<Word, NodeError> {
    let preimage = api::preimage(NAME, Some(preimage))?;
    let fee = fees.fold(0u64, u64::saturating_add);
    Ok(Word::Paid { preimage, fee: Msat::from_msat(fee) })
}

impl Remote for Eclair {
    const NAME: &'static str = NAME;
    /// It goes on trying when its caller is gone.
    const LINGERS: Duration = Duration::from_secs(60);

    fn network(&self) -> Network {
        self.network
    }

    async fn order(&self, order: &Order) -> Ordered {
        if let Some(known) = known_already(self, order).await {
            return known;
        }
        let most = (order.max_fee.msat() / 1_000).to_string();
        let fields = [
            ("invoice", order.invoice.as_str()),
            ("maxFeeFlatSat", &most),
            ("maxFeePct", "0"),
            ("blocking", "true"),
        ];
        match self.api.order::<Ended>(Call::form("/payinvoice", &fields)).await {
            Ok(Ended::PaymentSent { payment_preimage, parts }) => {
                match paid(&payment_preimage, parts.iter().map(|part| part.fees_paid)) {
                    Ok(word) => Ordered::Taken(word),
                    Err(source) => Ordered::Lost(source),
                }
            }
            Ok(Ended::PaymentFailed {}) => {
                let source = NodeError::new(NAME, NodeErrorKind::Refused).because(NotPaid);
                Ordered::Refused { why: Why::NoRoute, source }
            }
            Err(fault) => self.api.ordered(fault),
        }
    }

    async fn ask(&self, hash: PaymentHash) -> Result<Word, NodeError> {
        let call = Call::form("/getsentinfo", &[("paymentHash", &hash.to_string())]);
        let rows = match self.api.query::<Vec<Sent>>(call).await {
            Ok(rows) => rows,
            Err(Fault::Refused { status: StatusCode::NOT_FOUND, .. }) => Vec::new(),
            Err(fault) => return Err(self.api.error(fault)),
        };
        let (mut preimage, mut fees, mut pending) = (None, Vec::new(), false);
        for Sent { status } in &rows {
            match status {
                SentStatus::Pending {} => pending = true,
                SentStatus::Failed {} => {}
                SentStatus::Sent { payment_preimage, fees_paid } => {
                    preimage = Some(payment_preimage);
                    fees.push(*fees_paid);
                }
            }
        }
        match preimage {
            Some(preimage) => paid(preimage, fees.into_iter()),
            None if pending => Ok(Word::InFlight),
            None if rows.is_empty() => Ok(Word::NeverHeard),
            None => Ok(Word::NotPaid(Why::Refused)),
        }
    }
}

impl Issuer for Eclair {
    const NAME: &'static str = NAME;

    fn network(&self) -> Network {
        self.network
    }

    async fn issue(&self, amount: Msat, memo: &str, expiry: Duration) -> Result<String, NodeError> {
        let (amount, expiry) = (amount.msat().to_string(), expiry.as_secs().to_string());
        let fields = [("description", memo), ("amountMsat", &amount), ("expireIn", &expiry)];
        let made: Result<Made, Fault> = self.api.query(Call::form("/createinvoice", &fields)).await;
        Ok(made.map_err(|fault| self.api.error(fault))?.serialized)
    }

    async fn settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let call = Call::form("/getreceivedinfo", &[("paymentHash", &hash.to_string())]);
        match self.api.query::<Received>(call).await {
            Ok(received) => Ok(received.status.r#type == "received"),
            Err(Fault::Refused { status: StatusCode::NOT_FOUND, .. }) => Ok(false),
            Err(fault) => Err(self.api.error(fault)),
        }
    }
}
