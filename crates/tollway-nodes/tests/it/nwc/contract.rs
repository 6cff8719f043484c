//! Both contracts, with each of the two encryptions.

use l402::Msat;
use testkit::FakeNetwork;

use super::open_url;
use super::service::{Reads, Running, Service};
use crate::ends::Ends;

async fn wallets(reads: Reads) -> Ends {
    let (buyer, seller) = FakeNetwork::pair();
    let relay = Running::start().await;
    let paying = Service::over(buyer).reading(reads).serve(relay.port).await;
    let selling = Service::over(seller.clone()).reading(reads).serve(relay.port).await;
    let payer = open_url(&format!("{paying}&fees=wallet")).await.unwrap().payer.unwrap();
    let invoicer = open_url(&selling).await.unwrap().invoicer.unwrap();
    Ends { payer, invoicer, seller, fee: Msat::ZERO, _kept: Box::new(relay) }
}

mod nip44 {
    use super::*;

    async fn made() -> Ends {
        wallets(Reads::Nip44).await
    }

    testkit::payer_contract!(made);
    testkit::invoicer_contract!(made);
}

mod nip04 {
    use super::*;

    async fn made() -> Ends {
        wallets(Reads::Nip04).await
    }

    testkit::payer_contract!(made);
    testkit::invoicer_contract!(made);
}
