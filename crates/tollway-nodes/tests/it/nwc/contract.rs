//! Both contracts, with each of the two encryptions.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Invoicer, Msat, Payer};
use testkit::contract::Fixture;
use testkit::{FakeNetwork, FakeNode};

use super::open_url;
use super::service::{Reads, Running, Service};

struct Wallets {
    payer: Arc<dyn Payer>,
    invoicer: Arc<dyn Invoicer>,
    seller: FakeNode,
    _relay: Running,
}

#[async_trait]
impl Fixture for Wallets {
    fn payer(&self) -> Arc<dyn Payer> {
        Arc::clone(&self.payer)
    }

    fn invoicer(&self) -> Arc<dyn Invoicer> {
        Arc::clone(&self.invoicer)
    }

    async fn received(&self) -> Msat {
        self.seller.received_total()
    }
}

async fn wallets(reads: Reads) -> Wallets {
    let (buyer, seller) = FakeNetwork::pair();
    let relay = Running::start().await;
    let paying = Service::over(buyer).reading(reads).serve(relay.port).await;
    let selling = Service::over(seller.clone()).reading(reads).serve(relay.port).await;
    let payer = open_url(&format!("{paying}&fees=wallet")).await.unwrap().payer.unwrap();
    let invoicer = open_url(&selling).await.unwrap().invoicer.unwrap();
    Wallets { payer, invoicer, seller, _relay: relay }
}

mod nip44 {
    use super::*;

    async fn made() -> Wallets {
        wallets(Reads::Nip44).await
    }

    testkit::payer_contract!(made);
    testkit::invoicer_contract!(made);
}

mod nip04 {
    use super::*;

    async fn made() -> Wallets {
        wallets(Reads::Nip04).await
    }

    testkit::payer_contract!(made);
    testkit::invoicer_contract!(made);
}
