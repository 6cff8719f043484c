//! A node behind a purse's socket keeps both contracts as if it were in this process.

use l402::Msat;
use testkit::FakeNetwork;

use crate::ends::Ends;
use crate::running::{Running, private_folder};

async fn sockets() -> Ends {
    let (buyer, seller) = FakeNetwork::pair();
    let fee = Msat::from_msat(1_500);
    buyer.on().set_fee(fee);
    let folder = private_folder();
    let buying = Running::start(folder.path().join("buyer.sock"), buyer.both()).await;
    let selling = Running::start(folder.path().join("seller.sock"), seller.both()).await;
    let (payer, invoicer) = (buying.payer().await, selling.invoicer().await);
    Ends { payer, invoicer, seller, fee, _kept: Box::new(([buying, selling], folder)) }
}

testkit::payer_contract!(sockets);
testkit::invoicer_contract!(sockets);
