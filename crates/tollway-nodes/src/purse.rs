//! `purse:/path/purse.sock`: another process on this machine that holds a node and lets us use it.
//! The shapes on the wire are [`l402::purse`]'s; the server is `tollway node run`.
//!
//! What this file decides is what a silence means. Before an order was sent it is `not paid`; from
//! the first byte on it is `unknown`, until the purse says otherwise.

mod owner;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use l402::purse::{
    Info, InvoiceReply, InvoiceRequest, OutcomeReply, PayReply, PayRequest, Refusal, SettledReply,
};
use l402::{
    Driver, Invoice, Invoicer, Msat, Network, Node, NodeError, NodeErrorKind, NodeUrl, OpenError,
    Operator, Outcome, Paid, PayError, PayOrder, Payer, PaymentHash, Why,
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::doubt::{Doubts, Order};
use crate::http::{Answer, Call, Http, NoAnswer, UnixSocket};

use owner::Owner;

const NAME: &str = "purse";
/// How long a purse may take for an answer that needs no payment.
const ANSWER: Duration = Duration::from_secs(30);
/// How much longer than the order's patience we wait for the purse to say that it ran out.
const MARGIN: Duration = Duration::from_secs(5);

/// The driver of `purse:` URLs.
#[derive(Clone, Copy, Debug)]
pub struct PurseDriver;

/// A purse that has said what it can do.
#[derive(Debug)]
struct Purse {
    http: Arc<Http<UnixSocket>>,
    network: Network,
    doubts: Arc<Doubts>,
}

/// No connection to the purse, and what to do about it.
#[derive(Debug, thiserror::Error)]
enum NoPurse {
    #[error("there is no purse at {}; start one with `tollway node run`", .0)]
    Absent(String),
    #[error("the purse at {} is not running any more; start it with `tollway node run`", .0)]
    Stopped(String),
    #[error("{} belongs to another user; run a purse of your own with `tollway node run`", .0)]
    OtherUser(String),
}

/// The purse's answer is none that we know.
#[derive(Debug, thiserror::Error)]
enum Strange {
    #[error("status {status} with a body we cannot read")]
    Body { status: StatusCode, source: serde_json::Error },
    #[error("an invoice we cannot read")]
    Invoice(#[source] l402::InvoiceError),
    #[error("an invoice for {got} on {network} instead of {asked}")]
    OtherInvoice { asked: Msat, got: Msat, network: Network },
}

#[async_trait]
impl Driver for PurseDriver {
    fn schemes(&self) -> &'static [&'static str] {
        &["purse"]
    }

    fn example(&self) -> &'static str {
        "purse:/run/user/1000/tollway/purse.sock"
    }

    async fn open(&self, url: &NodeUrl) -> Result<Node, OpenError> {
        let http = connect(url)?;
        let operator = owner(url, Arc::clone(&http))?;
        let info: Info = read(query(&http, &Call::get("/v1/info")).await?)?;
        let purse = Arc::new(Purse { http, network: info.network, doubts: Arc::default() });
        Ok(Node {
            payer: info.can_pay.then(|| Arc::clone(&purse) as Arc<dyn Payer>),
            invoicer: info.can_invoice.then_some(purse as Arc<dyn Invoicer>),
            operator: Some(operator),
        })
    }

    async fn operate(&self, url: &NodeUrl) -> Result<Arc<dyn Operator>, OpenError> {
        Ok(owner(url, connect(url)?)?)
    }
}

fn connect(url: &NodeUrl) -> Result<Arc<Http<UnixSocket>>, OpenError> {
    Ok(Arc::new(Http::new(UnixSocket::new(socket(url)?).map_err(nobody)?)))
}

fn owner(url: &NodeUrl, http: Arc<Http<UnixSocket>>) -> Result<Arc<Owner>, OpenError> {
    Ok(Arc::new(Owner::new(http, socket(url)?).map_err(nobody)?))
}

/// The system does not say who we are.
fn nobody(source: io::Error) -> NodeError {
    NodeError::new(NAME, NodeErrorKind::Refused).because(source)
}

/// The socket's path out of `purse:/path`.
fn socket(url: &NodeUrl) -> Result<PathBuf, OpenError> {
    let bad = |parameter: &str, problem: &str| OpenError::BadUrl {
        driver: NAME,
        parameter: parameter.to_owned(),
        problem: problem.to_owned(),
    };
    let text = url.expose();
    let text = text.split_once(':').map_or(text, |(_scheme, rest)| rest);
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    if let Some(parameter) = query.split('&').find(|parameter| !parameter.is_empty()) {
        let name = parameter.split('=').next().unwrap_or(parameter);
        return Err(bad(name, "is not known; a purse URL takes no parameters"));
    }
    if path.starts_with("//") && !path.starts_with("///") {
        return Err(bad(
            "host",
            "is not possible; a purse is on this machine: purse:/path/to.sock",
        ));
    }
    if !path.starts_with('/') {
        return Err(bad("path", "must begin with `/`, as in purse:/run/user/1000/purse.sock"));
    }
    Ok(PathBuf::from(path))
}

#[async_trait]
impl Payer for Purse {
    fn network(&self) -> Network {
        self.network
    }

    async fn pay(&self, order: PayOrder<'_>) -> Result<Paid, PayError> {
        let hash = order.invoice.payment_hash();
        let call = Call::post(
            "/v1/pay",
            &PayRequest {
                invoice: order.invoice.to_string(),
                max_fee_msat: order.max_fee,
                patience_ms: u64::try_from(order.patience.as_millis()).unwrap_or(u64::MAX),
            },
        );
        let sent = self.doubts.order(hash);
        let answer = timeout(order.patience.saturating_add(MARGIN), self.http.ask_once(&call));
        let unknown = |source| Err(PayError::Unknown { hash, source });
        let answer = match answer.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(lost @ NoAnswer::Lost(_))) => return unknown(lost.into()),
            Ok(Err(
                not_sent @ (NoAnswer::NotConnected { .. }
                | NoAnswer::Stranger { .. }
                | NoAnswer::Plaintext { .. }
                | NoAnswer::Impostor { .. }
                | NoAnswer::NotSent(_)),
            )) => return never_begun(sent, hash, Why::Unreachable, not_sent.into()),
            Err(_) => return unknown(NodeError::new(NAME, NodeErrorKind::Timeout)),
        };
        if answer.status != StatusCode::OK {
            return match serde_json::from_slice(&answer.body) {
                Ok(Refusal { error }) => never_begun(sent, hash, Why::Refused, error.into_error()),
                Err(source) => unknown(strange(Strange::Body { status: answer.status, source })),
            };
        }
        let ended = match read::<PayReply>(answer) {
            Ok(reply) => reply.ended(hash),
            Err(source) => return unknown(source),
        };
        match &ended {
            Ok(_) | Err(PayError::NotPaid { .. }) => sent.known(),
            Err(PayError::Unknown { .. }) => drop(sent),
        }
        ended
    }

    async fn outcome(&self, hash: PaymentHash) -> Result<Outcome, NodeError> {
        let question = self.doubts.question(hash);
        // On a connection of its own, behind those of the orders: only so is "not paid" a promise
        // that covers an order whose answer we did not wait for.
        let call = Call::get(format!("/v1/outcome/{hash}"));
        let reply: OutcomeReply = read(within_reason(self.http.ask_once(&call)).await?)?;
        let outcome = reply.outcome(hash)?;
        if outcome != Outcome::Pending {
            self.doubts.answered(question);
        }
        Ok(outcome)
    }
}

/// This order began nothing. That is the end of the payment only if no other order may have.
fn never_begun(
    order: Order,
    hash: PaymentHash,
    why: Why,
    source: NodeError,
) -> Result<Paid, PayError> {
    if order.never_sent() {
        Err(PayError::Unknown { hash, source })
    } else {
        Err(PayError::NotPaid { why, source: Some(source) })
    }
}

#[async_trait]
impl Invoicer for Purse {
    fn network(&self) -> Network {
        self.network
    }

    async fn invoice(
        &self,
        amount: Msat,
        memo: &str,
        expiry: Duration,
    ) -> Result<Invoice, NodeError> {
        let call = Call::post(
            "/v1/invoice",
            &InvoiceRequest {
                amount_msat: amount,
                memo: memo.to_owned(),
                expiry_s: expiry.as_secs(),
            },
        );
        let reply: InvoiceReply = read(query(&self.http, &call).await?)?;
        let invoice =
            Invoice::parse(&reply.invoice).map_err(|error| strange(Strange::Invoice(error)))?;
        let (got, network) = (invoice.amount(), invoice.network());
        if (got, network) != (amount, self.network) {
            return Err(strange(Strange::OtherInvoice { asked: amount, got, network }));
        }
        Ok(invoice)
    }

    async fn is_settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let reply: SettledReply =
            read(query(&self.http, &Call::get(format!("/v1/settled/{hash}"))).await?)?;
        Ok(reply.settled)
    }
}

/// Asks for something that no money hangs on.
async fn query(http: &Http<UnixSocket>, call: &Call) -> Result<Answer, NodeError> {
    within_reason(http.ask(call)).await
}

async fn within_reason(
    answer: impl Future<Output = Result<Answer, NoAnswer>>,
) -> Result<Answer, NodeError> {
    match timeout(ANSWER, answer).await {
        Ok(answer) => answer.map_err(NodeError::from),
        Err(_) => Err(NodeError::new(NAME, NodeErrorKind::Timeout)),
    }
}

/// What was asked for, or the purse's own words why not.
fn read<T: DeserializeOwned>(Answer { status, body, .. }: Answer) -> Result<T, NodeError> {
    if status == StatusCode::OK {
        return serde_json::from_slice(&body)
            .map_err(|source| strange(Strange::Body { status, source }));
    }
    match serde_json::from_slice(&body) {
        Ok(Refusal { error }) => Err(error.into_error()),
        Err(source) => Err(strange(Strange::Body { status, source })),
    }
}

fn strange(what: Strange) -> NodeError {
    NodeError::new(NAME, NodeErrorKind::Protocol).because(what)
}

impl From<NoAnswer> for NodeError {
    fn from(no_answer: NoAnswer) -> Self {
        let unreachable = NodeError::new(NAME, NodeErrorKind::Unreachable);
        let unauthorized = NodeError::new(NAME, NodeErrorKind::Unauthorized);
        let (place, source) = match no_answer {
            NoAnswer::NotConnected { place, source } => (place, source),
            NoAnswer::Stranger { .. } | NoAnswer::Plaintext { .. } | NoAnswer::Impostor { .. } => {
                return unauthorized.because(no_answer);
            }
            NoAnswer::NotSent(_) | NoAnswer::Lost(_) => return unreachable.because(no_answer),
        };
        match source.kind() {
            io::ErrorKind::NotFound => unreachable.because(NoPurse::Absent(place)),
            io::ErrorKind::ConnectionRefused => unreachable.because(NoPurse::Stopped(place)),
            io::ErrorKind::PermissionDenied => unauthorized.because(NoPurse::OtherUser(place)),
            _ => unreachable.because(NoAnswer::NotConnected { place, source }),
        }
    }
}
