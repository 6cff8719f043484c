//! The [`Payer`] of every node at the other end of a wire.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use l402::{
    Msat, Network, NodeError, NodeErrorKind, Outcome, Paid, PayError, PayOrder, Payer, PaymentHash,
    Preimage, Why,
};
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

use super::{Order, Ordered, Remote, Strange, Word, strange};
use crate::doubt::{self, Doubts};

/// A remote node as a [`Payer`].
#[derive(Debug)]
pub(crate) struct Paying<R> {
    remote: Arc<R>,
    doubts: Arc<Doubts>,
    turns: Turns,
}

/// One order at a time for each payment: most nodes cannot tell two orders that arrive together.
#[derive(Debug, Default)]
struct Turns(Mutex<HashMap<PaymentHash, Weak<Turn>>>);

type Turn = tokio::sync::Mutex<()>;

impl Turns {
    async fn next(&self, hash: PaymentHash) -> OwnedMutexGuard<()> {
        self.of(hash).lock_owned().await
    }

    fn of(&self, hash: PaymentHash) -> Arc<Turn> {
        let mut turns = self.0.lock().expect("no code under this lock can panic");
        if let Some(turn) = turns.get(&hash).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(hash, Arc::downgrade(&turn));
        turn
    }
}

impl<R: Remote> Paying<R> {
    pub(crate) fn new(remote: Arc<R>) -> Self {
        let doubts = Arc::new(Doubts::lingering(R::LINGERS));
        Self { remote, doubts, turns: Turns::default() }
    }

    /// Waits for this payment's turn, and sees the order through in a task that nobody can cut off.
    async fn see_through(&self, order: Order) -> Result<Paid, PayError> {
        let hash = order.invoice.payment_hash();
        // Whoever stops waiting for a turn has ordered nothing.
        let turn = self.turns.next(hash).await;
        let doubt = self.doubts.order(hash);
        let remote = Arc::clone(&self.remote);
        let task = tokio::spawn(async move {
            let ended = carry_out(&*remote, order, doubt).await;
            drop(turn);
            ended
        });
        task.await.unwrap_or_else(|_| {
            Err(PayError::Unknown { hash, source: strange(R::NAME, Strange::Silence) })
        })
    }
}

#[async_trait]
impl<R: Remote> Payer for Paying<R> {
    fn network(&self) -> Network {
        self.remote.network()
    }

    async fn pay(&self, order: PayOrder<'_>) -> Result<Paid, PayError> {
        if order.invoice.network() != self.remote.network() {
            return Err(PayError::NotPaid { why: Why::WrongNetwork, source: None });
        }
        let hash = order.invoice.payment_hash();
        let (invoice, max_fee) = (order.invoice.clone(), order.max_fee);
        let order = Order { invoice, max_fee, patience: order.patience };
        match timeout(order.patience, self.see_through(order)).await {
            Ok(ended) => ended,
            Err(_) => {
                let source = NodeError::new(R::NAME, NodeErrorKind::Timeout);
                Err(PayError::Unknown { hash, source })
            }
        }
    }

    async fn outcome(&self, hash: PaymentHash) -> Result<Outcome, NodeError> {
        let question = self.doubts.question(hash);
        match self.remote.ask(hash).await? {
            Word::Paid { preimage, fee } => {
                let paid = checked::<R>(hash, preimage, fee)?;
                self.doubts.answered(question);
                Ok(Outcome::Paid(paid))
            }
            Word::InFlight => Ok(Outcome::Pending),
            // The node's word holds only once no order of ours can arrive after it.
            Word::NotPaid(_) | Word::NeverHeard => Ok(match self.doubts.nothing_begun(question) {
                true => Outcome::NotPaid,
                false => Outcome::Pending,
            }),
        }
    }
}

async fn carry_out<R: Remote>(
    remote: &R,
    order: Order,
    doubt: doubt::Order,
) -> Result<Paid, PayError> {
    let hash = order.invoice.payment_hash();
    let unknown = |source| Err(PayError::Unknown { hash, source });
    let ordered = if order.invoice.is_live(SystemTime::now(), Duration::ZERO) {
        remote.order(&order).await
    } else {
        // It is not ordered, but it may have been paid before.
        Ordered::Refused { why: Why::Expired, source: refused::<R>() }
    };
    let word = match ordered {
        Ordered::Taken(word) => word,
        Ordered::NotBegun { why, source } => return never_begun(doubt, hash, why, source),
        Ordered::Refused { why: Why::Expired, source } => match remote.ask(hash).await {
            Ok(Word::NeverHeard | Word::NotPaid(_)) => {
                return never_begun(doubt, hash, Why::Expired, source);
            }
            Ok(word) => word,
            Err(source) => return unknown(source),
        },
        Ordered::Refused { why, source } => match remote.ask(hash).await {
            Ok(Word::NeverHeard) => return never_begun(doubt, hash, why, source),
            // Of the two reasons, the one that says more.
            Ok(Word::NotPaid(Why::Refused)) => Word::NotPaid(why),
            Ok(word) => word,
            Err(source) => return unknown(source),
        },
        Ordered::Lost(lost) => match remote.ask(hash).await {
            Ok(word @ (Word::Paid { .. } | Word::InFlight)) => word,
            // Too early to say: it may still be on its way.
            Ok(Word::NeverHeard | Word::NotPaid(_)) | Err(_) => return unknown(lost),
        },
    };
    let word = match word {
        Word::InFlight => match remote.follow(hash).await {
            Ok(word) => word,
            Err(source) => return unknown(source),
        },
        word => word,
    };
    match word {
        Word::Paid { preimage, fee } => match checked::<R>(hash, preimage, fee) {
            Ok(paid) => {
                doubt.known();
                Ok(paid)
            }
            Err(source) => unknown(source),
        },
        Word::NotPaid(why) => {
            doubt.known();
            Err(PayError::NotPaid { why, source: None })
        }
        Word::NeverHeard | Word::InFlight => unknown(strange(R::NAME, Strange::Silence)),
    }
}

/// This order began nothing. That is the end of the payment only if no other order may have.
fn never_begun(
    doubt: doubt::Order,
    hash: PaymentHash,
    why: Why,
    source: NodeError,
) -> Result<Paid, PayError> {
    if doubt.never_sent() {
        Err(PayError::Unknown { hash, source })
    } else {
        Err(PayError::NotPaid { why, source: Some(source) })
    }
}

fn checked<R: Remote>(hash: PaymentHash, preimage: Preimage, fee: Msat) -> Result<Paid, NodeError> {
    if !preimage.opens(hash) {
        return Err(strange(R::NAME, Strange::Preimage));
    }
    Ok(Paid { preimage, fee })
}

fn refused<R: Remote>() -> NodeError {
    NodeError::new(R::NAME, NodeErrorKind::Refused)
}
