//! What a credential alone cannot say: whether a counted token has a use left, and, where a service
//! wants to hear it from the node, whether the payment is settled. A plain token never comes here.

use std::time::{Instant, SystemTime};

use l402::{NodeError, PaymentHash};

use crate::gate::Conditional;
use crate::store::{StoreError, Take};
use crate::tariff::Tariff;
use crate::till::Till;
use crate::traces::Parent;

/// Proof that nothing stands against a credential any more. Only [`check`] makes one.
#[derive(Debug)]
#[must_use]
pub(crate) struct Checked(());

/// A credential that is good does not open the door all the same.
///
/// Exhaustive on purpose: each has its own answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unchecked {
    /// The store cannot count. Our fault, not theirs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The node cannot say. Our fault, not theirs.
    #[error("the node does not say whether the payment is settled")]
    Node(#[source] Option<NodeError>),
    /// The node says that nothing was paid, or not yet. Asking for money again could ask twice.
    #[error("the node has not seen the payment {0}")]
    Unsettled(PaymentHash),
}

impl Unchecked {
    /// A few words for the access log.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Store(_) => "the store failed",
            Self::Node(_) => "the node failed",
            Self::Unsettled(_) => "the node has not seen the payment",
        }
    }
}

/// Checks what is left to check of a verified credential. The node is asked first: a use is only
/// taken when nothing else can fail. `None`: the token has no use left, and the client may buy again.
pub(crate) async fn check(
    till: &Till,
    tariff: &Tariff,
    credential: &Conditional,
    now: SystemTime,
    parent: Option<&Parent>,
) -> Result<Option<Checked>, Unchecked> {
    let verified = credential.verified();
    if tariff.strict_settlement {
        settled(till, verified.payment_hash(), parent).await?;
    }
    if !verified.counters().is_empty() {
        match till.books.take(verified.counters(), now).await? {
            Take::Taken => {}
            Take::Spent => return Ok(None),
        }
    }
    Ok(Some(Checked(())))
}

/// Whether the node says so. What is settled stays settled, so it is asked once.
pub(crate) async fn settled(
    till: &Till,
    hash: PaymentHash,
    parent: Option<&Parent>,
) -> Result<(), Unchecked> {
    let settled = &till.books.settled;
    if settled.has(hash) {
        return Ok(());
    }
    let (began, step) = (Instant::now(), parent.map(|parent| parent.step("is_settled")));
    let said = tokio::time::timeout(till.patience, till.invoicer.is_settled(hash)).await;
    till.metrics.node.answered(matches!(said, Ok(Ok(_))), began.elapsed());
    if let Some(step) = step {
        step.answered(matches!(said, Ok(Ok(_))), None);
    }
    match said {
        Ok(Ok(true)) => {
            settled.add(hash);
            Ok(())
        }
        Ok(Ok(false)) => Err(Unchecked::Unsettled(hash)),
        Ok(Err(error)) => Err(Unchecked::Node(Some(error))),
        Err(_) => Err(Unchecked::Node(None)),
    }
}
