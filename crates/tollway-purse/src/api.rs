//! The paths under `/v1`, in the order in which `docs/purse-api.md` has them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router, middleware};
use l402::purse::{
    Fault, Info, InvoiceReply, InvoiceRequest, OutcomeReply, PayReply, PayRequest, SettledReply,
    WhyCode,
};
use l402::{Invoice, Invoicer, Msat, Network, Node, NodeErrorKind, PayOrder, Payer, PaymentHash};
use serde::de::DeserializeOwned;

use crate::hold::{Hold, Holds, NotTaken};
use crate::owner;
use crate::peer::{self, MaybeTurn};
use crate::refuse::Refused;
use crate::turn::Turn;

/// The longest body that is read, in bytes. An invoice is below 8 KiB.
pub(crate) const LONGEST_BODY: usize = 16 * 1024;
/// The longest a caller can wait for a payment to end.
const LONGEST_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long `info` may wait for the node's word on payments that nobody asks about any more.
const REVIEW: Duration = Duration::from_secs(1);

/// What all requests share.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) network: Network,
    pub(crate) node: Node,
    pub(crate) holds: Holds,
}

pub(crate) type Reply<T> = Result<Json<T>, Refused>;
pub(crate) type Shared = State<Arc<Service>>;
type Body = Result<Bytes, BytesRejection>;
type Hash = Result<Path<String>, PathRejection>;

/// All paths, for connections of user `own` and no other.
pub(crate) fn router(service: Arc<Service>, own: u32) -> Router {
    Router::new()
        .route("/v1/info", get(info))
        .route("/v1/pay", post(pay))
        .route("/v1/outcome/{hash}", get(outcome))
        .route("/v1/invoice", post(invoice))
        .route("/v1/settled/{hash}", get(settled))
        .route("/v1/node", get(owner::node))
        .route("/v1/balance", get(owner::balance))
        .route("/v1/payments", get(owner::payments))
        .fallback(async || Refused::Path)
        .method_not_allowed_fallback(async || Refused::Method)
        .with_state(service)
        .layer(DefaultBodyLimit::max(LONGEST_BODY))
        .layer(middleware::from_fn_with_state(own, peer::admit))
}

async fn info(State(service): Shared) -> Json<Info> {
    // A node that does not answer leaves the holds as they are.
    let _ = tokio::time::timeout(REVIEW, service.review()).await;
    let unresolved = service.holds.unresolved();
    let sum = |sum: Msat, amount| sum.checked_add(amount).unwrap_or(Msat::from_msat(u64::MAX));
    Json(Info {
        network: service.network,
        can_pay: service.node.payer.is_some(),
        can_invoice: service.node.invoicer.is_some(),
        holds: unresolved.len() as u64,
        held_msat: unresolved.iter().map(|open| open.amount).fold(Msat::ZERO, sum),
    })
}

async fn pay(
    State(service): Shared,
    Extension(MaybeTurn(turn)): Extension<MaybeTurn>,
    body: Body,
) -> Reply<PayReply> {
    let turn = turn.ok_or(Refused::Reused)?;
    let request: PayRequest = read(body)?;
    let payer = Arc::clone(service.payer()?);
    let invoice = Invoice::parse(&request.invoice).map_err(Refused::Invoice)?;
    let (hash, max_fee) = (invoice.payment_hash(), request.max_fee_msat);
    let most = invoice.amount().checked_add(max_fee).filter(|most| *most <= Msat::SUPPLY);
    let most = most.ok_or(Refused::MaxFee)?;
    let patience = Duration::from_millis(request.patience_ms).min(LONGEST_PATIENCE);
    let hold = match service.holds.take(hash, most, turn) {
        Ok(hold) => hold,
        Err(NotTaken::Late) => return Err(Refused::Late),
        Err(NotTaken::Stopping) => return Err(Refused::Stopping),
        Err(NotTaken::Overtaken) => return Ok(Json(overtaken(&service, hash, turn).await)),
    };
    // A task of its own: a caller that hangs up changes nothing about the payment.
    let payment = tokio::spawn(carry_out(payer, hold, invoice, max_fee, patience));
    Ok(Json(payment.await.unwrap_or_else(|broken| {
        tracing::error!(%hash, %broken, "the payment's task broke; its end is not known");
        let error = Fault::new(NodeErrorKind::Protocol, "the purse failed while it paid");
        PayReply::Unknown { hash, error }
    })))
}

/// The one place where this process spends.
async fn carry_out(
    payer: Arc<dyn Payer>,
    hold: Hold,
    invoice: Invoice,
    max_fee: Msat,
    patience: Duration,
) -> PayReply {
    let (hash, amount) = (invoice.payment_hash(), invoice.amount());
    let ended = payer.pay(PayOrder { invoice: &invoice, max_fee, patience }).await;
    let reply = PayReply::new(hash, ended);
    match &reply {
        PayReply::Paid(proof) => {
            tracing::info!(%hash, %amount, fee = %proof.fee_msat, "paid");
            hold.paid();
        }
        PayReply::NotPaid { why, .. } => {
            tracing::info!(%hash, %amount, ?why, "not paid");
            if !hold.not_paid() {
                return open_elsewhere(hash);
            }
        }
        PayReply::Unknown { error, .. } => {
            tracing::warn!(%hash, %amount, reason = error.message, "the end is not known");
            drop(hold);
        }
    }
    reply
}

/// The reply to an order that may begin nothing, because somebody may have been told meanwhile that
/// the payment is not made: how it stands with the payment.
async fn overtaken(service: &Service, hash: PaymentHash, turn: Turn) -> PayReply {
    match service.ask(hash, turn).await {
        Ok(OutcomeReply::Paid(proof)) => PayReply::Paid(proof),
        Ok(OutcomeReply::Pending) => open_elsewhere(hash),
        Ok(OutcomeReply::NotPaid) => {
            let message = "this payment was asked about or refused while the order was on its way; \
                           it was not carried out, and can be ordered again";
            let error = Some(Fault::new(NodeErrorKind::Refused, message));
            PayReply::NotPaid { why: WhyCode::Refused, error }
        }
        Err(refused) => PayReply::Unknown { hash, error: refused.fault() },
    }
}

/// This order has ended, and another one for the same payment has not.
fn open_elsewhere(hash: PaymentHash) -> PayReply {
    let message = "another order for the same payment has not ended; ask for the outcome";
    PayReply::Unknown { hash, error: Fault::new(NodeErrorKind::Timeout, message) }
}

async fn outcome(
    State(service): Shared,
    Extension(MaybeTurn(turn)): Extension<MaybeTurn>,
    hash: Hash,
) -> Reply<OutcomeReply> {
    let turn = turn.ok_or(Refused::Reused)?;
    Ok(Json(service.ask(read_hash(hash)?, turn).await?))
}

async fn invoice(State(service): Shared, body: Body) -> Reply<InvoiceReply> {
    let request: InvoiceRequest = read(body)?;
    let expiry = Duration::from_secs(request.expiry_s);
    let invoicer = service.invoicer()?;
    let invoice = invoicer.invoice(request.amount_msat, &request.memo, expiry).await?;
    let hash = invoice.payment_hash();
    Ok(Json(InvoiceReply { invoice: invoice.to_string(), hash }))
}

async fn settled(State(service): Shared, hash: Hash) -> Reply<SettledReply> {
    let settled = service.invoicer()?.is_settled(read_hash(hash)?).await?;
    Ok(Json(SettledReply { settled }))
}

impl Service {
    /// Asks the node about every payment that ended as unknown, and lets go of those it knows the
    /// end of.
    pub(crate) async fn review(&self) {
        let Some(payer) = &self.node.payer else { return };
        for forsaken in self.holds.forsaken() {
            let hash = forsaken.hash;
            match payer.outcome(hash).await.map(|outcome| OutcomeReply::new(hash, outcome)) {
                Ok(Ok(OutcomeReply::Paid(_) | OutcomeReply::NotPaid)) => {
                    self.holds.answered(forsaken);
                }
                Ok(Ok(OutcomeReply::Pending) | Err(_)) | Err(_) => {}
            }
        }
    }

    /// How a payment ended, as a promise: "not paid" also means that no order begins it that was
    /// sent before this question.
    async fn ask(&self, hash: PaymentHash, turn: Turn) -> Result<OutcomeReply, Refused> {
        let payer = self.payer()?;
        let question = self.holds.question(hash, turn);
        let outcome = payer.outcome(hash).await?;
        match OutcomeReply::new(hash, outcome).map_err(Refused::Node)? {
            OutcomeReply::NotPaid if question.at_work => Ok(OutcomeReply::Pending),
            OutcomeReply::Pending => Ok(OutcomeReply::Pending),
            ended @ (OutcomeReply::Paid(_) | OutcomeReply::NotPaid) => {
                self.holds.answered(question);
                Ok(ended)
            }
        }
    }

    fn payer(&self) -> Result<&Arc<dyn Payer>, Refused> {
        self.node.payer.as_ref().ok_or(Refused::Cannot("cannot pay"))
    }

    fn invoicer(&self) -> Result<&Arc<dyn Invoicer>, Refused> {
        self.node.invoicer.as_ref().ok_or(Refused::Cannot("cannot make invoices"))
    }
}

pub(crate) fn read<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    serde_json::from_slice(&body.map_err(Refused::Unread)?).map_err(Refused::Body)
}

fn read_hash(path: Hash) -> Result<PaymentHash, Refused> {
    let Path(text) = path.map_err(|_| Refused::Path)?;
    text.parse().map_err(|problem| Refused::Hash { text, problem })
}
