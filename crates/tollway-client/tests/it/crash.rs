//! A crash at every step: whatever happens where, the seller is paid once.

use std::sync::Arc;

use testkit::{Act, FakeNetwork, FakeNode};
use tollway_client::{Client, Payment, SqliteWallet, Step};

use crate::buying::{get, sat, soon, terms};
use crate::child::{Buyer, serve};
use crate::seller::{Rules, Seller};

/// The steps of a purchase from which nothing has gone wrong yet.
const PURCHASE: &[&str] = &[
    "asking",
    "answered",
    "challenged",
    "turn",
    "held",
    "begun",
    "paying",
    "paid",
    "proven",
    "sent-again",
    "done",
];

/// How the next call gets what the one that crashed at this step was about.
fn expected(step: &str) -> &'static str {
    match step {
        "paid" => "recovered",
        "proven" | "sent-again" | "done" => "token",
        _ => "bought",
    }
}

async fn client(folder: &tempfile::TempDir, buyer: &FakeNode) -> Client {
    let wallet = SqliteWallet::open(folder.path().join("wallet.db")).await.unwrap();
    Client::builder(Arc::new(wallet), terms()).payer(buyer.payer()).build().unwrap()
}

fn name(payment: &Payment) -> &'static str {
    match payment {
        Payment::None => "free",
        Payment::Token(_) => "token",
        Payment::Bought(_) => "bought",
        Payment::Recovered(_) => "recovered",
    }
}

#[tokio::test]
async fn a_task_that_panics_at_any_step_pays_once() {
    for step in PURCHASE {
        let (buyer, node) = FakeNetwork::pair();
        let seller = Seller::start(&node, Rules::default()).await;
        let folder = tempfile::tempdir().unwrap();
        let request = get(&seller.url("/weather"));

        let (crashing, asked) = (client(&folder, &buyer).await, request.clone());
        let crash = async move {
            let watch = |passed: &Step<'_>| assert_ne!(passed.name(), *step, "as planned");
            crashing.fetch_observed(&asked, &watch).await.map(drop)
        };
        assert!(tokio::spawn(crash).await.unwrap_err().is_panic(), "{step}");

        let client = client(&folder, &buyer).await;
        let response = client.fetch(&request).await.unwrap();
        assert_eq!(name(response.payment()), expected(step), "{step}");
        assert_eq!(name(client.fetch(&request).await.unwrap().payment()), "token", "{step}");
        assert_eq!(node.received_total(), sat(10), "{step}");
        assert!(client.pending().await.unwrap().is_empty(), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_at_any_step_pays_once() {
    for step in PURCHASE {
        let (buyer, node) = FakeNetwork::pair();
        let seller = Seller::start(&node, Rules::default()).await;
        let address = serve(buyer).await;
        let folder = tempfile::tempdir().unwrap();
        let wallet = folder.path().join("wallet.db");
        let start = |stop| Buyer::start(&wallet, &address, &seller.url("/weather"), stop);

        let mut killed = start(step);
        killed.passed(step).await;
        killed.kill().await;
        assert_eq!(start("").ended().await, expected(step), "{step}");
        assert_eq!(start("").ended().await, "token", "{step}");
        assert_eq!(node.received_total(), sat(10), "{step}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_killed_while_the_payment_is_on_its_way_pays_once() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let late = buyer.next(Act::PayLate);
    let address = serve(buyer).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = folder.path().join("wallet.db");
    let start = || Buyer::start(&wallet, &address, &seller.url("/weather"), "");

    let killed = start();
    soon(late.arrived()).await;
    killed.kill().await;
    assert_eq!(start().ended().await, "unknown");
    late.proceed();
    assert_eq!(start().ended().await, "recovered");
    assert_eq!(node.received_total(), sat(10));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_want_the_same_thing_buy_it_once() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let slow = buyer.next(Act::SlowReply);
    let address = serve(buyer.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = folder.path().join("wallet.db");
    let start = |path| Buyer::start(&wallet, &address, &seller.url(path), "");

    let first = start("/weather/berlin");
    soon(slow.arrived()).await;
    let mut second = start("/weather/paris");
    second.passed("waiting").await;
    slow.proceed();
    assert_eq!(first.ended().await, "bought");
    assert_eq!(second.ended().await, "token");
    assert_eq!((node.received_total(), buyer.orders().len()), (sat(10), 1));
}

/// The one who was waited for dies in the middle of it.
#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_process_that_is_killed_takes_over_its_payment() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let address = serve(buyer.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let wallet = folder.path().join("wallet.db");
    let start = |stop| Buyer::start(&wallet, &address, &seller.url("/weather"), stop);

    let mut first = start("paid");
    first.passed("paid").await;
    let mut second = start("");
    second.passed("waiting").await;
    first.kill().await;
    assert_eq!(second.ended().await, "recovered");
    assert_eq!((node.received_total(), buyer.orders().len()), (sat(10), 1));
}

/// The page on the life of a payment says of each step what is tested above.
#[test]
fn the_documented_table_is_what_happens() {
    let page = include_str!("../../../../docs/life-of-a-payment.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: Vec<_> = rows
        .filter_map(|row| {
            let cells: Vec<_> = row.trim_end_matches(" |").split(" | ").collect();
            let [step, _, _, _, ends] = cells[..] else { return None };
            Some((step.trim_end_matches('`').to_owned(), ends.to_owned()))
        })
        .collect();
    let tested: Vec<_> =
        PURCHASE.iter().map(|step| ((*step).to_owned(), expected(step).to_owned())).collect();
    assert_eq!(told, tested);
    assert!(Step::NAMES.iter().all(|name| page.contains(name)), "{:?}", Step::NAMES);
}
