//! Two real lnd nodes keep both contracts through the driver.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Invoicer, Msat, Payer};
use testkit::contract::Fixture;
use tokio::sync::MutexGuard;

use super::binary::is_there;
use super::rig::{Pair, pair};

/// Two nodes, and whoever pays by way of the buyer's and is paid on the seller's.
pub(crate) struct Lnds {
    pub(crate) payer: Arc<dyn Payer>,
    pub(crate) invoicer: Arc<dyn Invoicer>,
    pub(crate) pair: MutexGuard<'static, Pair>,
}

impl Lnds {
    /// The seller's own, and this payer.
    pub(crate) async fn paid_by(payer: Arc<dyn Payer>, pair: MutexGuard<'static, Pair>) -> Self {
        let invoicer = pair.seller.open().await.unwrap().invoicer.unwrap();
        Self { payer, invoicer, pair }
    }
}

async fn lnds() -> Lnds {
    let pair = pair().await;
    let payer = pair.buyer.open().await.unwrap().payer.unwrap();
    Lnds::paid_by(payer, pair).await
}

#[async_trait]
impl Fixture for Lnds {
    fn payer(&self) -> Arc<dyn Payer> {
        Arc::clone(&self.payer)
    }

    fn invoicer(&self) -> Arc<dyn Invoicer> {
        Arc::clone(&self.invoicer)
    }

    async fn received(&self) -> Msat {
        self.pair.seller.received().await
    }
}

testkit::payer_contract!(lnds, is_there);
testkit::invoicer_contract!(lnds, is_there);
