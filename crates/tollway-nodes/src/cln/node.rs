//! Paying and being paid through Core Lightning. `pay` pays a hash once, and answers a second time
//! with the end of the first; `listpays` says how it ended.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use l402::{Msat, Network, NodeError, NodeErrorKind, PaymentHash, Why};
use serde_json::json;

use super::NAME;
use super::rpc::{self, Fault, Rpc, Trouble};
use super::wire::{Invoices, Made, Paid, Pays};
use crate::remote::{Issuer, News, Order, Ordered, Remote, Word};

/// How long `pay` may try new routes, in all.
const LONGEST_TRY: Duration = Duration::from_secs(60);
/// And at the least: an impatient buyer does not make a hopeless payment.
const SHORTEST_TRY: Duration = Duration::from_secs(5);
/// How long before we stop waiting `pay` should stop trying, so that its answer still comes in time.
const MARGIN: Duration = Duration::from_secs(2);

/// An open node.
#[derive(Debug)]
pub(super) struct Cln {
    rpc: Arc<Rpc>,
    pub(super) network: Network,
    /// Whether invoices name the node's private channels.
    pub(super) private: bool,
    /// What the node tells of itself about payments, where it may be asked to.
    news: Option<News<Rpc>>,
    past: Past,
}

/// What an earlier process may have ordered just before this one opened the node: `pay` may still be
/// trying. What this process orders, it knows the end of.
#[derive(Debug)]
struct Past {
    opened: SystemTime,
    /// Ordered by this process while that matters.
    ours: Mutex<HashSet<PaymentHash>>,
}

impl Past {
    fn we_order(&self, hash: PaymentHash) {
        if self.opened.elapsed().is_ok_and(|ago| ago <= LONGEST_TRY) {
            self.ours.lock().expect("no code under this lock can panic").insert(hash);
        }
    }

    /// Before when a try is somebody else's.
    fn theirs_until(&self, hash: PaymentHash) -> SystemTime {
        let ours = self.ours.lock().expect("no code under this lock can panic").contains(&hash);
        if ours { SystemTime::UNIX_EPOCH } else { self.opened }
    }
}

impl Cln {
    pub(super) fn new(
        rpc: Arc<Rpc>,
        network: Network,
        private: bool,
        news: Option<News<Rpc>>,
    ) -> Self {
        let past = Past { opened: SystemTime::now(), ours: Mutex::default() };
        Self { rpc, network, private, news, past }
    }

    /// `pay`, or `xpay` where there is no `pay` any more: they take and give the same, but for a name.
    async fn pay(&self, order: &Order) -> Result<Paid, Fault> {
        let tries =
            order.patience.saturating_sub(MARGIN).clamp(SHORTEST_TRY, LONGEST_TRY).as_secs();
        let (invoice, max_fee) = (order.invoice.as_str(), order.max_fee.msat());
        let pay = json!({ "bolt11": invoice, "maxfee": max_fee, "retry_for": tries });
        match self.rpc.order("pay", &pay).await {
            Err(Fault::Refused { refusal, .. }) if refusal.is_no_such_method() => {
                let xpay = json!({ "invstring": invoice, "maxfee": max_fee, "retry_for": tries });
                self.rpc.order("xpay", &xpay).await
            }
            answered => answered,
        }
    }
}

/// `pay`'s codes (its manual page, "ERRORS").
fn why(code: i64) -> Why {
    match code {
        203 => Why::PayeeRefused,
        205 | 206 | 210 => Why::NoRoute,
        207 => Why::Expired,
        _ => Why::Refused,
    }
}

impl Remote for Cln {
    const NAME: &'static str = NAME;
    /// `pay` goes on trying when its caller is gone.
    const LINGERS: Duration = LONGEST_TRY.saturating_add(MARGIN);

    fn network(&self) -> Network {
        self.network
    }

    async fn order(&self, order: &Order) -> Ordered {
        self.past.we_order(order.invoice.payment_hash());
        match self.pay(order).await {
            Ok(paid) => Ordered::Taken(paid.word()),
            Err(Fault::NoAnswer(no_answer)) if !no_answer.is_lost() => {
                let source = Fault::NoAnswer(no_answer).into();
                Ordered::NotBegun { why: Why::Unreachable, source }
            }
            Err(fault @ Fault::Rune(_)) => {
                Ordered::NotBegun { why: Why::Refused, source: fault.into() }
            }
            Err(Fault::Refused { refusal, method }) => {
                let why = why(refusal.code);
                match NodeError::from(Fault::Refused { refusal, method }) {
                    source @ NodeError { kind: NodeErrorKind::Unauthorized, .. } => {
                        Ordered::NotBegun { why: Why::Refused, source }
                    }
                    source => Ordered::Refused { why, source },
                }
            }
            Err(fault) => Ordered::Lost(fault.into()),
        }
    }

    async fn ask(&self, hash: PaymentHash) -> Result<Word, NodeError> {
        let pays: Pays = self.rpc.query("listpays", &json!({ "payment_hash": hash })).await?;
        pays.word(self.past.theirs_until(hash), LONGEST_TRY)
            .ok_or_else(|| rpc::error(NodeErrorKind::Protocol, Trouble::NoPreimage))
    }
}

impl Issuer for Cln {
    const NAME: &'static str = NAME;

    fn network(&self) -> Network {
        self.network
    }

    async fn issue(&self, amount: Msat, memo: &str, expiry: Duration) -> Result<String, NodeError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system has randomness");
        let label = format!("tollway-{}", hex::DisplayHex::as_hex(&random));
        let mut invoice = json!({
            "amount_msat": amount.msat(),
            "label": label,
            "description": memo,
            "expiry": expiry.as_secs(),
        });
        if self.private {
            invoice["exposeprivatechannels"] = true.into();
        }
        let made: Made = self.rpc.query("invoice", &invoice).await?;
        Ok(made.bolt11)
    }

    fn has_told_of(&self, hash: PaymentHash) -> bool {
        self.news.as_ref().is_some_and(|news| news.has_told_of(hash))
    }

    async fn settled(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let invoices: Invoices =
            self.rpc.query("listinvoices", &json!({ "payment_hash": hash })).await?;
        Ok(invoices.settled())
    }
}
