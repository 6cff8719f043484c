//! Paying and being paid through lnd. lnd itself pays a hash once: an order for one that it knows
//! already is refused, and then the payment is followed.

use std::sync::Arc;
use std::time::Duration;

use l402::{Msat, Network, NodeError, NodeErrorKind, PaymentHash, Why};

use super::fault::{self, Fault, Trouble};
use super::rest::Rest;
use super::wire::{AddInvoice, Invoice, Payment, Send, in_a_path};
use super::{NAME, macaroon};
use crate::http::Call;
use crate::remote::{Issuer, News, Order, Ordered, Remote, Word};

/// How long lnd tries new routes at the least. An impatient buyer does not make a hopeless payment.
const SHORTEST_TRY: Duration = Duration::from_secs(5);
/// How long before we stop waiting lnd should stop trying, so that its answer still comes in time.
const MARGIN: Duration = Duration::from_secs(2);
/// How long lnd may take to find a payment in its books.
const ASK: Duration = Duration::from_secs(30);

/// An open node.
#[derive(Debug)]
pub(super) struct Lnd {
    pub(super) rest: Arc<Rest>,
    pub(super) network: Network,
    /// Whether invoices name the node's private channels.
    pub(super) private: bool,
    /// What lnd tells of itself about payments, where it may be asked to.
    pub(super) news: Option<News<Rest>>,
}

impl Lnd {
    /// What lnd says of a payment first: where it stands, or only its end.
    async fn track(&self, hash: PaymentHash, only_its_end: bool) -> Result<Word, NodeError> {
        let path = format!("/v2/router/track/{}", in_a_path(hash));
        let call = Call::get(format!("{path}?no_inflight_updates={only_its_end}"));
        match self.rest.stream::<Payment>(call, macaroon::TRACK).await {
            Ok(payment) => word(&payment),
            Err(fault) if fault.is_not_found() => Ok(Word::NeverHeard),
            Err(fault) => Err(fault.into()),
        }
    }
}

impl Remote for Lnd {
    const NAME: &'static str = NAME;

    fn network(&self) -> Network {
        self.network
    }

    async fn order(&self, order: &Order) -> Ordered {
        let tries = order.patience.saturating_sub(MARGIN).max(SHORTEST_TRY);
        let call = Call::post(
            "/v2/router/send",
            &Send {
                payment_request: order.invoice.as_str(),
                fee_limit_msat: order.max_fee.msat().to_string(),
                timeout_seconds: i32::try_from(tries.as_secs()).unwrap_or(i32::MAX),
                no_inflight_updates: true,
            },
        );
        match self.rest.stream::<Payment>(call, macaroon::SEND).await {
            Ok(payment) => match word(&payment) {
                Ok(word) => Ordered::Taken(word),
                Err(strange) => Ordered::Lost(strange),
            },
            Err(Fault::NoAnswer(no_answer)) if !no_answer.is_lost() => {
                let source = Fault::NoAnswer(no_answer).into();
                Ordered::NotBegun { why: Why::Unreachable, source }
            }
            Err(fault @ Fault::Macaroon(_)) => {
                Ordered::NotBegun { why: Why::Refused, source: fault.into() }
            }
            Err(fault @ Fault::Refused { .. }) => match NodeError::from(fault) {
                // A locked wallet and a macaroon that does not do are found before anything is begun.
                source @ NodeError { kind: NodeErrorKind::Unauthorized, .. } => {
                    Ordered::NotBegun { why: Why::Refused, source }
                }
                source @ NodeError { kind: NodeErrorKind::Unreachable, .. } => {
                    Ordered::NotBegun { why: Why::Unreachable, source }
                }
                source => Ordered::Refused { why: Why::Refused, source },
            },
            Err(fault) => Ordered::Lost(fault.into()),
        }
    }

    async fn ask(&self, hash: PaymentHash) -> Result<Word, NodeError> {
        match tokio::time::timeout(ASK, self.track(hash, false)).await {
            Ok(word) => word,
            Err(_) => Err(NodeError::new(NAME, NodeErrorKind::Timeout)),
        }
    }

    async fn follow(&self, hash: PaymentHash) -> Result<Word, NodeError> {
        self.track(hash, true).await
    }
}

fn word(payment: &Payment) -> Result<Word, NodeError> {
    payment.word().ok_or_else(|| fault::error(NodeErrorKind::Protocol, Trouble::PaymentState))
}

impl Issuer for Lnd {
    const NAME: &'static str = NAME;

    fn network(&self) -> Network {
        self.network
    }

    async fn issue(&self, amount: Msat, memo: &str, expiry: Duration) -> Result<String, NodeError> {
        let invoice = AddInvoice {
            memo,
            value_msat: amount.msat().to_string(),
            expiry: expiry.as_secs().to_string(),
            private: self.private,
        };
        Ok(self.rest.add_invoice(&invoice).await?.payment_request)
    }

    fn has_told_of(&self, hash: PaymentHash) -> bool {
        self.news.as_ref().is_some_and(|news| news.has_told_of(hash))
    }

    async fn settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let call = Call::get(format!("/v1/invoice/{hash}"));
        match self.rest.query::<Invoice>(call, macaroon::LOOKUP).await {
            Ok(invoice) => Ok(invoice.settled()),
            Err(fault) if fault.is_not_found() => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }
}
