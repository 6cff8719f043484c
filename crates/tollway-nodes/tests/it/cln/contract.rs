//! Both contracts, by the socket and by CLNRest.

use std::sync::Arc;

use async_trait::async_trait;
use l402::{Invoicer, Msat, Payer};
use testkit::contract::Fixture;
use testkit::{FakeNetwork, FakeNode};

use super::lightningd::{Lightningd, rest_url, rune, socket_url};
use crate::running::open_url;

struct Clns {
    payer: Arc<dyn Payer>,
    invoicer: Arc<dyn Invoicer>,
    seller: FakeNode,
    fee: Msat,
    _folder: Box<dyn Send + Sync>,
}

#[async_trait]
impl Fixture for Clns {
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

fn pair() -> (FakeNode, FakeNode, Msat) {
    let (buyer, seller) = FakeNetwork::pair();
    let fee = Msat::from_msat(1_500);
    buyer.on().set_fee(fee);
    (buyer, seller, fee)
}

mod socket {
    use super::*;

    async fn sockets() -> Clns {
        let (buyer, seller, fee) = pair();
        let folder = tempfile::tempdir().unwrap();
        let paths = ["buyer", "seller"].map(|name| folder.path().join(name));
        Lightningd::over(buyer).at_socket(paths[0].clone());
        Lightningd::over(seller.clone()).at_socket(paths[1].clone());
        let payer = open_url(&socket_url(&paths[0])).await.unwrap().payer.unwrap();
        let invoicer = open_url(&socket_url(&paths[1])).await.unwrap().invoicer.unwrap();
        Clns { payer, invoicer, seller, fee, _folder: Box::new(folder) }
    }

    testkit::payer_contract!(sockets);
    testkit::invoicer_contract!(sockets);
}

mod rest {
    use super::*;

    async fn rests() -> Clns {
        let (buyer, seller, fee) = pair();
        let paying = Lightningd::over(buyer).by_rest().await;
        let selling = Lightningd::over(seller.clone()).by_rest().await;
        let payer = open_url(&rest_url(&paying, &rune("=1"))).await.unwrap().payer.unwrap();
        let invoicer = open_url(&rest_url(&selling, &rune("=1"))).await.unwrap();
        let invoicer = invoicer.invoicer.unwrap();
        Clns { payer, invoicer, seller, fee, _folder: Box::new((paying, selling)) }
    }

    testkit::payer_contract!(rests);
    testkit::invoicer_contract!(rests);
}
