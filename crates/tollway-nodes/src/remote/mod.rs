//! What every node at the other end of a wire has in common. A driver says in [`Remote`] how an order
//! is given, how a payment is asked about and how an invoice is made; what these answers mean for
//! money is decided here, once: [`Paying`] is the [`Payer`] and [`Invoicing`] the [`Invoicer`] of all
//! of them.
//!
//! An order runs in a task of its own. Whoever waits for it may stop waiting: the order arrives whole
//! or not at all, and is never cut off between its bytes.

mod invoicing;
mod news;
mod paying;

use std::fmt;
use std::time::Duration;

use l402::operator::{OperateError, Transfer};
use l402::{Invoice, Msat, Network, NodeError, NodeErrorKind, PaymentHash, Preimage, Why};

pub(crate) use invoicing::{Invoicing, Issuer};
pub(crate) use news::{Heard, News, Teller};
pub(crate) use paying::Paying;

use crate::doubt::STILL_ON_ITS_WAY;

/// The longest and the shortest pause between two questions about a payment in flight.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

/// A node that takes orders over a wire.
pub(crate) trait Remote: fmt::Debug + Send + Sync + 'static {
    /// The driver's name in its errors.
    const NAME: &'static str;
    /// How long after an order was lost the node may still be about to begin it.
    const LINGERS: Duration = STILL_ON_ITS_WAY;

    /// The network it pays on.
    fn network(&self) -> Network;

    /// Gives the order, and waits for as long as the node takes to answer it.
    fn order(&self, order: &Order) -> impl Future<Output = Ordered> + Send;

    /// What the node knows of that payment now. Asked on a connection that was made after the
    /// question arose, or is known to be alive.
    fn ask(&self, hash: PaymentHash) -> impl Future<Output = Result<Word, NodeError>> + Send;

    /// Waits for the end of a payment that is in flight. Any other word than [`Word::InFlight`].
    fn follow(&self, hash: PaymentHash) -> impl Future<Output = Result<Word, NodeError>> + Send {
        async move {
            let [mut pause, longest] = PAUSES;
            loop {
                match self.ask(hash).await? {
                    Word::InFlight => tokio::time::sleep(pause).await,
                    ended => return Ok(ended),
                }
                pause = (pause * 2).min(longest);
            }
        }
    }
}

/// An order that outlives the one who waits for it.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) invoice: Invoice,
    pub(crate) max_fee: Msat,
    pub(crate) patience: Duration,
}

/// What a node says of a payment.
#[derive(Debug)]
pub(crate) enum Word {
    /// It has never been asked to make it.
    NeverHeard,
    /// Under way.
    InFlight,
    /// Ended, and nothing was paid.
    NotPaid(Why),
    /// Ended. The preimage is the node's claim and not yet checked.
    Paid { preimage: Preimage, fee: Msat },
}

/// What became of an order.
#[derive(Debug)]
pub(crate) enum Ordered {
    /// The node took it, and this is its word on the payment.
    Taken(Word),
    /// Nothing was begun by it, for certain.
    NotBegun { why: Why, source: NodeError },
    /// The node has answered, and not taken it: for that reason, unless it turns out that it knows
    /// the payment already.
    Refused { why: Why, source: NodeError },
    /// It may have been taken.
    Lost(NodeError),
}

/// What becomes of an order to a node that makes no promise about being ordered twice, when it is known
/// to it already, or cannot be asked: then it is not given.
pub(crate) async fn known_already<R: Remote>(remote: &R, order: &Order) -> Option<Ordered> {
    match remote.ask(order.invoice.payment_hash()).await {
        Ok(Word::NeverHeard | Word::NotPaid(_)) => None,
        Ok(word) => Some(Ordered::Taken(word)),
        Err(source) => Some(Ordered::NotBegun { why: Why::Unreachable, source }),
    }
}

/// How an order of the owner's failed that does more when it is given twice. Where its answer was
/// `lost`, it may have been carried out all the same, and `in_doubt` says so.
pub(crate) fn failed(
    lost: bool,
    error: impl Into<NodeError>,
    in_doubt: fn(NodeError) -> OperateError,
) -> OperateError {
    let error = error.into();
    if lost { in_doubt(error) } else { error.into() }
}

/// Rows of a node's books as they are shown: the last first, and no more than asked for.
pub(crate) fn newest_first(rows: impl Iterator<Item = Transfer>, most: usize) -> Vec<Transfer> {
    let mut rows: Vec<Transfer> = rows.collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    rows.truncate(most);
    rows
}

/// The node's answer is none that makes sense.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Strange {
    #[error("the node says it paid, and its preimage does not open the payment hash")]
    Preimage,
    #[error("the order ended without a word")]
    Silence,
    #[error("the node's invoice cannot be used")]
    Invoice(#[source] l402::InvoiceError),
    #[error("an invoice for {got} on {network} instead of {asked}")]
    OtherInvoice { asked: Msat, got: Msat, network: Network },
}

fn strange(driver: &'static str, what: Strange) -> NodeError {
    NodeError::new(driver, NodeErrorKind::Protocol).because(what)
}
