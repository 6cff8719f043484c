//! [`FakeNode`] keeps the contracts that it is used to test others by, with and without fees.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Invoicer, Msat, Payer};
use testkit::contract::Fixture;
use testkit::{FakeNetwork, FakeNode};

struct Pair {
    buyer: FakeNode,
    seller: FakeNode,
    fee: Msat,
}

async fn pair_with_fee(fee: Msat) -> Pair {
    let (buyer, seller) = FakeNetwork::pair();
    buyer.on().set_fee(fee);
    Pair { buyer, seller, fee }
}

#[async_trait]
impl Fixture for Pair {
    fn payer(&self) -> Arc<dyn Payer> {
        self.buyer.payer()
    }

    fn invoicer(&self) -> Arc<dyn Invoicer> {
        self.seller.invoicer()
    }

    async fn received(&self) -> Msat {
        self.seller.received_total()
    }

    fn routing_fee(&self) -> Msat {
        self.fee
    }
}

mod without_fees {
    async fn pair() -> super::Pair {
        super::pair_with_fee(l402::Msat::ZERO).await
    }

    testkit::payer_contract!(pair);
    testkit::invoicer_contract!(pair);
}

mod with_fees {
    async fn pair() -> super::Pair {
        super::pair_with_fee(l402::Msat::from_msat(1_500)).await
    }

    testkit::payer_contract!(pair);
}
