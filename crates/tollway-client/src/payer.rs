//! Where the node that pays comes from. It is opened when a payment is needed and not before: most
//! requests are free or have a token already, and must not fail because a node is away.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{OpenError, Payer};

/// Opens the node, once. Implemented by every closure that returns a future of a [`Payer`].
#[async_trait]
pub trait PayerSource: Send + Sync {
    /// Opens the node. Called again only after an error.
    async fn open(&self) -> Result<Arc<dyn Payer>, OpenError>;

    /// Tells this node from others, for as long as it lives, and holds no secret: it is written down
    /// with each payment, and only the node that a payment was begun with is asked how it ended.
    /// `None` where there is never another one.
    fn name(&self) -> Option<String> {
        None
    }
}

#[async_trait]
impl<F, Opening> PayerSource for F
where
    F: Fn() -> Opening + Send + Sync,
    Opening: Future<Output = Result<Arc<dyn Payer>, OpenError>> + Send,
{
    async fn open(&self) -> Result<Arc<dyn Payer>, OpenError> {
        self().await
    }
}

/// A node that is open already.
pub(crate) struct Ready(pub(crate) Arc<dyn Payer>);

#[async_trait]
impl PayerSource for Ready {
    async fn open(&self) -> Result<Arc<dyn Payer>, OpenError> {
        Ok(Arc::clone(&self.0))
    }
}
