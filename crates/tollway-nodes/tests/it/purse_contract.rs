//! A node behind a purse's socket keeps both contracts as if it were in this process.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Invoicer, Msat, Payer};
use testkit::contract::Fixture;
use testkit::{FakeNetwork, FakeNode};

use crate::running::{Running, private_folder};

struct Sockets {
    payer: Arc<dyn Payer>,
    invoicer: Arc<dyn Invoicer>,
    seller: FakeNode,
    fee: Msat,
    _purses: [Running; 2],
    _folder: tempfile::TempDir,
}

async fn sockets() -> Sockets {
    let (buyer, seller) = FakeNetwork::pair();
    let fee = Msat::from_msat(1_500);
    buyer.on().set_fee(fee);
    let folder = private_folder();
    let buying = Running::start(folder.path().join("buyer.sock"), buyer.both()).await;
    let selling = Running::start(folder.path().join("seller.sock"), seller.both()).await;
    Sockets {
        payer: buying.payer().await,
        invoicer: selling.invoicer().await,
        seller,
        fee,
        _purses: [buying, selling],
        _folder: folder,
    }
}

#[async_trait]
impl Fixture for Sockets {
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

testkit::payer_contract!(sockets);
testkit::invoicer_contract!(sockets);
