//! Both contracts, by the socket and by CLNRest.

use l402::Msat;
use testkit::{FakeNetwork, FakeNode};

use super::lightningd::{Lightningd, at_socket, by_rest, rest_url, rune, socket_url};
use crate::ends::Ends;
use crate::running::open_url;

fn pair() -> (FakeNode, FakeNode, Msat) {
    let (buyer, seller) = FakeNetwork::pair();
    let fee = Msat::from_msat(1_500);
    buyer.on().set_fee(fee);
    (buyer, seller, fee)
}

mod socket {
    use super::*;

    async fn sockets() -> Ends {
        let (buyer, seller, fee) = pair();
        let folder = tempfile::tempdir().unwrap();
        let paths = ["buyer", "seller"].map(|name| folder.path().join(name));
        at_socket(Lightningd::over(buyer), paths[0].clone());
        at_socket(Lightningd::over(seller.clone()), paths[1].clone());
        let payer = open_url(&socket_url(&paths[0])).await.unwrap().payer.unwrap();
        let invoicer = open_url(&socket_url(&paths[1])).await.unwrap().invoicer.unwrap();
        Ends { payer, invoicer, seller, fee, _kept: Box::new(folder) }
    }

    testkit::payer_contract!(sockets);
    testkit::invoicer_contract!(sockets);
}

mod rest {
    use super::*;

    async fn rests() -> Ends {
        let (buyer, seller, fee) = pair();
        let paying = by_rest(Lightningd::over(buyer)).await;
        let selling = by_rest(Lightningd::over(seller.clone())).await;
        let payer = open_url(&rest_url(&paying, &rune("=1"))).await.unwrap().payer.unwrap();
        let invoicer = open_url(&rest_url(&selling, &rune("=1"))).await.unwrap();
        let invoicer = invoicer.invoicer.unwrap();
        Ends { payer, invoicer, seller, fee, _kept: Box::new((paying, selling)) }
    }

    testkit::payer_contract!(rests);
    testkit::invoicer_contract!(rests);
}
