//! `pay_invoice`: the one method that spends.
//!
//! In the order in which it happens: is it a payment of ours at all → hold, on the disk → pay → the
//! node's word, on the disk → answer. Taking a hold and beginning to follow its payment are one step
//! under a lock, and so are writing down the end and ceasing to follow it: a payment that the book
//! holds is followed by exactly one task.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use l402::{Invoice, Msat, Outcome, Paid, PayError, PayOrder, Payer, PaymentHash, Why};
use nostr::event::EventId;
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};
use tokio::time::sleep;

use super::book::{Book, Connection, now};
use super::ledger::{Held, Payment, State};
use super::seal::Seal;
use super::service::Wallet;
use super::wire::{self, No, PAY, PayInvoice};

/// How long the node may take before it is asked instead of waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// The shortest and the longest pause between two questions about a payment.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(30)];
/// How old a hold of an earlier run must be before "not paid" is believed: the order may have been on
/// its way to the node when that run was killed.
const ARRIVAL: u64 = 120;

/// Whoever waits for an answer.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    pub(crate) connection: Connection,
    pub(crate) request: EventId,
    pub(crate) seal: Seal,
}

/// The payments that are followed, and who waits for the end of each.
#[derive(Debug, Default)]
pub(crate) struct UnderWay {
    followed: Mutex<HashMap<PaymentHash, Followed>>,
    /// How many of them this run has begun. Those of an earlier run may take for ever.
    begun: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Followed {
    askers: Vec<Asker>,
    begun_here: bool,
}

impl UnderWay {
    /// Waits until every payment that this run has begun has ended.
    pub(crate) async fn idle(&self) {
        let mut begun = self.begun.subscribe();
        begun.wait_for(|begun| *begun == 0).await.expect("this holds the sender");
    }
}

/// The node's word on a payment.
enum End {
    Paid(Paid),
    NotPaid(Why),
}

impl Wallet {
    /// Begins a payment. Nothing, when the answer follows at its end.
    pub(crate) async fn pay(
        self: &Arc<Self>,
        asker: Asker,
        params: Value,
    ) -> Option<Result<Value, No>> {
        match self.begin(asker, params).await {
            Ok(answer) => answer.map(Ok),
            Err(no) => Some(Err(no)),
        }
    }

    async fn begin(self: &Arc<Self>, asker: Asker, params: Value) -> Result<Option<Value>, No> {
        let request: PayInvoice = wire::read(params)?;
        let payer = self.payer(&asker.connection)?;
        let invoice = self.payable(&request)?;
        let hash = invoice.payment_hash();
        self.refuse_what_others_pay(&**payer, hash).await?;
        let max_fee = self.fees.most(invoice.amount());
        let mut followed = self.under_way.followed.lock().await;
        let request = asker.request.to_hex();
        let held = self.book.hold(&asker.connection, request, &invoice, max_fee).await;
        match held.map_err(book_failed)? {
            Held::Taken => {
                followed.insert(hash, Followed { askers: vec![asker], begun_here: true });
                self.under_way.begun.send_modify(|begun| *begun += 1);
                tokio::spawn(Arc::clone(self).carry_out(invoice, max_fee));
                Ok(None)
            }
            Held::UnderWay => {
                if !followed.contains_key(&hash) {
                    // Its end could not be written down.
                    self.follow_again(hash, 0);
                }
                followed.entry(hash).or_default().askers.push(asker);
                Ok(None)
            }
            Held::Repeated => Ok(None),
            Held::PaidBefore => {
                drop(followed);
                self.proof(hash).await.map(Some)
            }
            Held::Elsewhere => Err(elsewhere()),
            Held::OverBudget(left) => Err(No::Quota(format!(
                "{} and up to {max_fee} for routing, with {left} left",
                invoice.amount()
            ))),
            Held::Revoked => Err(No::Unauthorized),
        }
    }

    /// The invoice, if it is one that could be paid now.
    fn payable(&self, request: &PayInvoice) -> Result<Invoice, No> {
        let invoice =
            Invoice::parse(&request.invoice).map_err(|error| No::Other(error.to_string()))?;
        if request.amount.is_some_and(|amount| amount != invoice.amount().msat()) {
            let text = format!("the invoice is for {}, and the request is not", invoice.amount());
            return Err(No::Other(text));
        }
        if invoice.network() != self.network {
            let text =
                format!("the invoice is for {}, the wallet on {}", invoice.network(), self.network);
            return Err(No::Other(text));
        }
        Ok(invoice)
    }

    /// A payment that the node knows and the book does not was ordered by somebody else: its proof is
    /// theirs.
    async fn refuse_what_others_pay(&self, payer: &dyn Payer, hash: PaymentHash) -> Result<(), No> {
        if self.book.is_known(hash).await.map_err(book_failed)? {
            return Ok(());
        }
        match payer.outcome(hash).await {
            Ok(Outcome::NotPaid) => Ok(()),
            Ok(Outcome::Paid(_) | Outcome::Pending) => Err(elsewhere()),
            Err(error) => Err(Self::node_failed(&error)),
        }
    }

    /// The one place where a connection's money is spent. The hold is on the disk.
    async fn carry_out(self: Arc<Self>, invoice: Invoice, max_fee: Msat) {
        let hash = invoice.payment_hash();
        let payer = self.node.payer.as_ref().expect("a hold is taken only with a payer");
        let ended = payer.pay(PayOrder { invoice: &invoice, max_fee, patience: PATIENCE }).await;
        let end = match ended {
            Ok(paid) => End::Paid(paid),
            Err(PayError::NotPaid { why, .. }) => End::NotPaid(why),
            Err(PayError::Unknown { source, .. }) => {
                tracing::warn!(%hash, %source, "the end is not known; it is held and asked about");
                self.follow(&**payer, hash, 0).await
            }
        };
        self.finish(hash, end).await;
    }

    /// Asks until the node says how it ended. Before `believed`, in seconds since 1970, "not paid" is
    /// not believed.
    async fn follow(&self, payer: &dyn Payer, hash: PaymentHash, believed: u64) -> End {
        let [mut pause, longest] = PAUSES;
        loop {
            match payer.outcome(hash).await {
                Ok(Outcome::Paid(paid)) => return End::Paid(paid),
                Ok(Outcome::NotPaid) if now() >= believed => return End::NotPaid(Why::Refused),
                Ok(Outcome::NotPaid | Outcome::Pending) => {}
                Err(error) => tracing::warn!(%hash, %error, "the node does not say how it ended"),
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Writes down the end, and tells everybody who waits for it.
    async fn finish(&self, hash: PaymentHash, end: End) {
        let fee = match &end {
            End::Paid(paid) => Some(paid.fee),
            End::NotPaid(_) => None,
        };
        let mut followed = self.under_way.followed.lock().await;
        if let Err(error) = self.book.settle(hash, fee).await {
            // It stays held, which is never too little.
            tracing::error!(%hash, %error, "the end of a payment cannot be written down");
        }
        let Followed { askers, begun_here } = followed.remove(&hash).unwrap_or_default();
        for asker in askers {
            let answer = match &end {
                End::Paid(paid) => Ok(proven(paid)),
                End::NotPaid(Why::Balance) => Err(No::Balance),
                End::NotPaid(why) => Err(No::NotPaid(why.to_string())),
            };
            let name = &asker.connection.name;
            tracing::info!(%hash, connection = name, paid = fee.is_some(), "ended");
            self.answer(&asker, PAY, answer);
        }
        if begun_here {
            self.under_way.begun.send_modify(|begun| *begun -= 1);
        }
    }

    /// The proof of a payment that has been made, asked of the node: the book holds no preimages.
    async fn proof(&self, hash: PaymentHash) -> Result<Value, No> {
        let payer = self.node.payer.as_ref().ok_or(No::Restricted)?;
        match payer.outcome(hash).await {
            Ok(Outcome::Paid(paid)) => Ok(proven(&paid)),
            Ok(Outcome::Pending | Outcome::NotPaid) => {
                Err(No::Internal("the wallet's node does not know this payment".to_owned()))
            }
            Err(error) => Err(Self::node_failed(&error)),
        }
    }

    fn payer(&self, connection: &Connection) -> Result<&Arc<dyn Payer>, No> {
        let payer = self.node.payer.as_ref().ok_or(No::Restricted)?;
        if connection.may_pay() { Ok(payer) } else { Err(No::Restricted) }
    }

    /// Follows what an earlier run has left open.
    pub(crate) async fn resume(self: &Arc<Self>) {
        let held = match self.book.held().await {
            Ok(held) => held,
            Err(error) => {
                tracing::error!(%error, "what is held cannot be read; it stays held");
                return;
            }
        };
        if self.node.payer.is_none() {
            return;
        }
        let mut followed = self.under_way.followed.lock().await;
        for Payment { hash, created, .. } in held {
            followed.insert(hash, Followed::default());
            self.follow_again(hash, created.saturating_add(ARRIVAL));
        }
    }

    /// Follows a payment that is held and that no task follows.
    fn follow_again(self: &Arc<Self>, hash: PaymentHash, believed: u64) {
        let wallet = Arc::clone(self);
        tokio::spawn(async move {
            let payer = wallet.node.payer.as_ref().expect("a hold is taken only with a payer");
            let end = wallet.follow(&**payer, hash, believed).await;
            wallet.finish(hash, end).await;
        });
    }
}

impl Connection {
    /// Whether there is anything it may ever spend.
    pub(crate) fn may_pay(&self) -> bool {
        self.budget.is_none_or(|budget| budget.amount > Msat::ZERO)
    }

    /// What it may use.
    pub(crate) fn methods(&self) -> Vec<&'static str> {
        let pay = self.may_pay().then_some(PAY);
        pay.into_iter().chain(wire::METHODS.iter().copied()).collect()
    }
}

impl Book {
    /// Whether anybody's payment of that hash is, or was, under way by this book.
    pub(crate) async fn is_known(&self, hash: PaymentHash) -> Result<bool, super::book::BookError> {
        Ok(self.any_payment(hash).await?.is_some_and(|state| state != State::NotPaid))
    }
}

fn elsewhere() -> No {
    No::Other("this invoice is, or was, paid by other means than this connection".to_owned())
}

fn proven(paid: &Paid) -> Value {
    json!({ "preimage": paid.preimage.expose_hex(), "fees_paid": paid.fee })
}

pub(crate) fn book_failed(error: super::book::BookError) -> No {
    tracing::error!(%error, "the book failed");
    No::Internal("the wallet cannot write its book; nothing was paid".to_owned())
}
