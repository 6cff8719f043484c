//! Real payments over real channels, on a private network in this process.

use std::time::{Duration, Instant};

use l402::{Invoicer, Msat, Outcome, PayOrder, Payer};
use tollway_ldk::{Devnet, DevnetConfig};

fn order(invoice: &l402::Invoice) -> PayOrder<'_> {
    PayOrder { invoice, max_fee: Msat::from_msat(10_000), patience: Duration::from_secs(30) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_reaches_the_other_node() {
    let started = Instant::now();
    let devnet = Devnet::start(DevnetConfig::default()).await.unwrap();
    eprintln!("up {:?}", started.elapsed());
    let [alice, bob] = devnet.nodes() else { panic!("two nodes") };
    for _ in 0..20 {
        let started = Instant::now();
        let invoice = bob
            .node
            .invoice(Msat::from_msat(10_000), "a test", Duration::from_secs(600))
            .await
            .unwrap();
        let paid = alice.node.pay(order(&invoice)).await.unwrap();
        eprintln!("paid {:?}", started.elapsed());
        assert!(paid.preimage.opens(invoice.payment_hash()));
        let outcome = alice.node.outcome(invoice.payment_hash()).await.unwrap();
        assert_eq!(outcome, Outcome::Paid(paid));
    }
    devnet.stop().await;
}
