//! One budget and several processes: what one of them holds, all of them count.

use testkit::{Act, FakeNetwork};
use tollway_client::{Ledger, Limit, SqliteWallet, Window};

use crate::buying::{sat, soon};
use crate::child::{Buyer, serve};
use crate::seller::{Rules, Seller};

const LIMIT: &[(&str, &str)] = &[("BUYER_LIMIT", "50 sat")];

/// Each asks 10 sat, and 10 more are held for routing. Sellers of their own, so that nobody waits for
/// another's purchase: all that stands between them is the budget.
#[tokio::test(flavor = "multi_thread")]
async fn processes_that_race_for_one_budget_never_exceed_it() {
    let (buyer, node) = FakeNetwork::pair();
    let address = serve(buyer.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = folder.path().join("wallet.db");
    let mut sellers = Vec::new();
    for _ in 0..8 {
        sellers.push(Seller::start(&node, Rules::default()).await);
    }
    let start =
        |seller: &Seller| Buyer::start_as(&wallet, &address, &seller.url("/weather"), "", LIMIT);
    let racing: Vec<_> = sellers.iter().map(start).collect();
    let mut bought = 0;
    for buyer in racing {
        match soon(buyer.ended()).await.as_str() {
            "bought" => bought += 1,
            ended => assert_eq!(ended, "over limit"),
        }
    }
    // The last 20 that are held must fit: of 50 there is room for two at once, and for four in turn.
    assert!((2..=4).contains(&bought), "{bought}");
    assert_eq!(node.received_total(), sat(10 * bought));
    let wallet = SqliteWallet::open(&wallet).await.unwrap();
    let limit = Limit::new(sat(50), Window::Day);
    let accounts = wallet.accounts(&[limit], std::time::SystemTime::now()).await.unwrap();
    assert_eq!((accounts[0].spent, accounts[0].held), (sat(10 * bought), sat(0)));
}

/// What a killed process held stays held until the node has said how its payment ended.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_held_is_given_back_by_the_nodes_word_only() {
    let (buyer, node) = FakeNetwork::pair();
    let (first, second) = (
        Seller::start(&node, Rules::default()).await,
        Seller::start(&node, Rules::default()).await,
    );
    let late = buyer.next(Act::PayLate);
    let address = serve(buyer.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = folder.path().join("wallet.db");
    let limit = [("BUYER_LIMIT", "30 sat")];
    let start =
        |seller: &Seller| Buyer::start_as(&wallet, &address, &seller.url("/weather"), "", &limit);

    let killed = start(&first);
    soon(late.arrived()).await;
    killed.kill().await;
    // 20 of 30 are held.
    assert_eq!(start(&second).ended().await, "over limit");
    assert_eq!(start(&first).ended().await, "unknown");
    assert_eq!(start(&second).ended().await, "over limit");
    late.proceed();
    assert_eq!(start(&first).ended().await, "recovered");
    // It has cost 10, and the next may hold 20.
    assert_eq!(start(&second).ended().await, "bought");
    assert_eq!(node.received_total(), sat(20));
}
