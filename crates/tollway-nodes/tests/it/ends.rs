//! The two ends that the contracts are asked of, where a fake node is the seller: it keeps the books.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Invoicer, Msat, Payer};
use testkit::FakeNode;
use testkit::contract::Fixture;

/// A payer and an invoicer by way of a driver, or one of them.
pub(crate) struct Ends {
    pub(crate) payer: Arc<dyn Payer>,
    pub(crate) invoicer: Arc<dyn Invoicer>,
    pub(crate) seller: FakeNode,
    /// What each payment costs.
    pub(crate) fee: Msat,
    /// Whatever must live as long as they do.
    pub(crate) _kept: Box<dyn Send + Sync>,
}

#[async_trait]
impl Fixture for Ends {
    fn payer(&self) -> Arc<dyn Payer> {
        Arc::clone(&self.payer)
    }

    fn invoicer(&self) -> Arc<dyn Invoicer> {
        Arc::clone(&self.invoicer)
    }

    async fn received(&self) -> Msat {
        self.seller.received_total()
    }

    fn routing_fee(&self) -> Msat {
        self.fee
    }
}
