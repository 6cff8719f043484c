//! Two real lnd nodes keep both contracts through the driver.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Invoicer, Msat, Payer};
use testkit::contract::Fixture;
use tokio::sync::MutexGuard;

use super::binary::is_there;
use super::rig::{Pair, pair};

struct Lnds {
    payer: Arc<dyn Payer>,
    invoicer: Arc<dyn Invoicer>,
    pair: MutexGuard<'static, Pair>,
}

async fn lnds() -> Lnds {
    let pair = pair().await;
    let (buyer, seller) = (pair.buyer.open().await.unwrap(), pair.seller.open().await.unwrap());
    Lnds { payer: buyer.payer.unwrap(), invoicer: seller.invoicer.unwrap(), pair }
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
