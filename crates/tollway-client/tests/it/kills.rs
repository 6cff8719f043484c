//! Kills at any moment whatever, many times over: one purchase, one payment.

use std::time::Duration;

use testkit::FakeNetwork;

use crate::child::{Buyer, serve};
use crate::seller::{Door, Offer, Rules, Seller};

/// A few numbers that differ from run to run.
fn random() -> impl Iterator<Item = u64> {
    use std::hash::{BuildHasher, Hasher};

    let state = std::hash::RandomState::new();
    (0u64..).map(move |n| {
        let mut hasher = state.build_hasher();
        hasher.write_u64(n);
        hasher.finish()
    })
}

/// Kills a buyer of each thing up to three times, at any moment, and lets the last one end.
async fn rounds(rounds: u64, method: &str, offer: Offer) {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { door: Door::PerRoute, caveats: vec![], offer, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let address = serve(buyer).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = folder.path().join("wallet.db");
    let more = [("BUYER_METHOD", method)];
    let (mut kills, mut random) = (0, random());
    let mut ends = std::collections::BTreeMap::new();
    for round in 0..rounds {
        let url = seller.url(&format!("/thing/{round}"));
        let start = || Buyer::start_as(&wallet, &address, &url, "", &more);
        for _ in 0..random.next().unwrap() % 3 + 1 {
            let mut killed = start();
            // From the first thing that it does: what comes before that is the system's.
            killed.passed("asking").await;
            tokio::time::sleep(Duration::from_micros(random.next().unwrap() % 20_000)).await;
            killed.kill().await;
            kills += 1;
        }
        let ended = start().ended().await;
        assert!(["bought", "recovered", "token"].contains(&ended.as_str()), "{round}: {ended}");
        *ends.entry(ended).or_insert(0) += 1;
        assert_eq!(node.received().len() as u64, round + 1, "{method}, round {round}");
    }
    println!(
        "{method}: {rounds} purchases, {kills} kills, {} payments, {ends:?}",
        node.received().len()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_that_are_killed_at_any_moment_are_paid_once() {
    for method in ["GET", "POST"] {
        rounds(6, method, Offer::Honest(None)).await;
    }
}

/// The long form: `cargo test -p tollway-client --test it -- --ignored --nocapture two_hundred`. Another
/// number of purchases is in `KILL_ROUNDS`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes some minutes, and prints its counts"]
async fn two_hundred_purchases_that_are_killed_at_any_moment_are_paid_once() {
    let wanted = std::env::var("KILL_ROUNDS").map_or(200, |text| text.parse().unwrap());
    for method in ["GET", "POST"] {
        rounds(wanted, method, Offer::Honest(None)).await;
    }
}
