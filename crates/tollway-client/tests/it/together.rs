//! Several calls at once, with one wallet.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use l402::Why;
use testkit::{Act, FakeNetwork};
use tokio::task::JoinSet;
use tollway_client::{Client, MemoryWallet, Payment, SqliteWallet, Step};

use crate::buying::{client, get, sat, soon, terms};
use crate::seller::{Door, Rules, Seller};

fn is_bought(payment: &Payment) -> bool {
    matches!(payment, Payment::Bought(_))
}

#[tokio::test]
async fn many_calls_for_one_thing_buy_it_once() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let mut calls = JoinSet::new();
    for n in 0..16 {
        let (client, request) = (client.clone(), get(&seller.url(&format!("/weather/{n}"))));
        calls.spawn(async move { client.fetch(&request).await.unwrap().payment().clone() });
    }
    let payments = calls.join_all().await;
    assert_eq!(payments.iter().filter(|payment| is_bought(payment)).count(), 1);
    assert_eq!(node.received_total(), sat(10));
}

/// Where one token opens one door, every call buys its own, and no call uses another's.
#[tokio::test]
async fn many_calls_for_single_uses_each_get_what_they_paid_for() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { door: Door::Once, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let (client, request) = (client.clone(), get(&seller.url("/weather")));
        calls.spawn(async move { client.fetch(&request).await.unwrap().payment().clone() });
    }
    let payments = calls.join_all().await;
    assert!(payments.iter().all(is_bought), "{payments:?}");
    assert_eq!(node.received().len(), 8);
}

/// Between the stored proof and its first use, a token that opens one door is its buyer's alone.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_uses_a_token_before_its_buyer() {
    let (buyer, node) = FakeNetwork::pair();
    let rules = Rules { door: Door::Once, ..Rules::default() };
    let seller = Seller::start(&node, rules).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));
    let (proven, is_proven) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel();
    let (proven, may_go_on) = (Mutex::new(Some(proven)), Mutex::new(may_go_on));

    let (first, asked) = (client.clone(), request.clone());
    let first = tokio::spawn(async move {
        let watch = |step: &Step<'_>| {
            if step.name() == "proven" {
                proven.lock().unwrap().take().unwrap().send(()).unwrap();
                tokio::task::block_in_place(|| may_go_on.lock().unwrap().recv().unwrap());
            }
        };
        first.fetch_observed(&asked, &watch).await.unwrap().payment().clone()
    });
    soon(is_proven).await.unwrap();
    let watch = |step: &Step<'_>| {
        if matches!(step.name(), "waiting" | "done") {
            // The second time nobody listens.
            let _ = go_on.send(());
        }
    };
    let second = client.fetch_observed(&request, &watch).await.unwrap().payment().clone();
    assert!(is_bought(&second), "{second:?}");
    assert!(is_bought(&first.await.unwrap()));
    assert_eq!(node.received().len(), 2);
}

/// Who waits too long asks for a fresh challenge, and does not pay a stale one.
#[tokio::test]
async fn a_challenge_that_grows_old_while_waiting_is_not_paid() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));
    let late = buyer.next(Act::PayLate);
    let (first, asked) = (client.clone(), request.clone());
    let first = tokio::spawn(async move { first.fetch(&asked).await.map(drop) });
    soon(late.arrived()).await;

    // Half of it must be left when a payment begins.
    let expiry = Duration::from_secs(4);
    seller.rules().expiry = expiry;
    let (waits, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    let watch = move |step: &Step<'_>| {
        if step.name() == "waiting" {
            waits.send(()).unwrap();
        }
    };
    let second = tokio::spawn(async move { client.fetch_observed(&request, &watch).await });
    soon(waiting.recv()).await.unwrap();
    seller.rules().expiry = Duration::from_secs(3600);
    tokio::time::sleep(expiry / 2 + Duration::from_millis(100)).await;
    late.fail(Why::NoRoute);
    soon(first).await.unwrap().unwrap_err();
    let response = soon(second).await.unwrap().unwrap();
    let Payment::Bought(receipt) = response.payment() else { panic!("{response:?}") };
    assert_eq!(node.received(), [(receipt.hash, sat(10))]);
    assert_eq!(node.invoices(), 3, "the first, the stale and the fresh one");
}

#[tokio::test]
async fn two_clients_on_one_wallet_file_buy_once() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let slow = buyer.next(Act::SlowReply);
    let mut calls = Vec::new();
    let (waits, mut waiting) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..2 {
        let wallet = SqliteWallet::open(folder.path().join("wallet.db")).await.unwrap();
        let client = Client::builder(Arc::new(wallet), terms()).payer(buyer.payer());
        let (client, request) = (client.build().unwrap(), get(&seller.url("/weather")));
        let waits = waits.clone();
        calls.push(tokio::spawn(async move {
            let watch = |step: &Step<'_>| {
                if step.name() == "waiting" {
                    waits.send(()).unwrap();
                }
            };
            client.fetch_observed(&request, &watch).await.unwrap().payment().clone()
        }));
    }
    soon(waiting.recv()).await.unwrap();
    soon(slow.arrived()).await;
    slow.proceed();
    let mut bought = 0;
    for call in calls {
        bought += usize::from(is_bought(&soon(call).await.unwrap()));
    }
    assert_eq!((bought, node.received_total()), (1, sat(10)));
}

/// A call that is dropped in the middle of a payment leaves it to the next one.
#[tokio::test]
async fn a_dropped_call_leaves_its_payment_to_the_next() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let client = client(&buyer);
    let request = get(&seller.url("/weather"));
    let late = buyer.next(Act::PayLate);

    let (dropped, asked) = (client.clone(), request.clone());
    let dropped = tokio::spawn(async move { dropped.fetch(&asked).await.map(drop) });
    let hash = soon(late.arrived()).await;
    dropped.abort();
    assert!(dropped.await.unwrap_err().is_cancelled());
    assert_eq!(client.held(), sat(20));
    late.proceed();
    let response = client.fetch(&request).await.unwrap();
    assert!(matches!(response.payment(), Payment::Recovered(receipt) if receipt.hash == hash));
    assert_eq!((client.held(), client.spent()), (sat(0), sat(10)));
    assert_eq!(node.received_total(), sat(10));
}

#[tokio::test]
async fn different_wallets_do_not_wait_for_one_another() {
    let (buyer, node) = FakeNetwork::pair();
    let seller = Seller::start(&node, Rules::default()).await;
    let first = client(&buyer);
    let second = first.with_wallet(Arc::new(MemoryWallet::new()));
    let late = buyer.next(Act::PayLate);
    let request = get(&seller.url("/weather"));
    let asked = request.clone();
    let waiting = tokio::spawn(async move { first.fetch(&asked).await.map(drop) });
    soon(late.arrived()).await;
    soon(second.fetch(&request)).await.unwrap();
    assert!(!waiting.is_finished());
    late.proceed();
    waiting.await.unwrap().unwrap();
    assert_eq!(node.received().len(), 2);
}
