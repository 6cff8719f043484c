//! Paying and being paid by a direct channel, and what is refused.

use std::sync::Arc;
use std::time::Duration;

use l402::{Invoicer, Msat, Outcome, PayError, PayOrder, Payer, Why};
use tokio::task::JoinSet;

use crate::line::{Line, MAX_FEE, PATIENCE, ended, invoice, pay, settled, until};

fn refused(ended: Result<l402::Paid, PayError>) -> Why {
    match ended {
        Err(PayError::NotPaid { why, .. }) => why,
        other => panic!("not paid was expected, not {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn money_goes_and_the_proof_comes() {
    let line = Line::start(2).await;
    let (alice, bob) = (line.node(0), line.node(1));
    let before = (line.channel(0).outbound, line.channel(1).outbound);
    let tea = invoice(bob, 10_000).await;
    assert!(!bob.is_settled(tea.payment_hash()).await.unwrap());
    let paid = pay(alice, &tea).await.unwrap();
    assert!(paid.preimage.opens(tea.payment_hash()));
    assert_eq!(paid.fee, Msat::ZERO);
    settled(bob, &tea).await;
    assert_eq!(bob.received().unwrap(), (1, Msat::from_msat(10_000)));
    until(async || {
        line.channel(0).outbound.msat() + 10_000 == before.0.msat()
            && line.channel(1).outbound.msat() == before.1.msat() + 10_000
    })
    .await;
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_invoice_paid_by_many_tasks_is_paid_once() {
    let line = Line::start(2).await;
    let tea = invoice(line.node(1), 10_000).await;
    let mut tasks = JoinSet::new();
    for _ in 0..20 {
        let (alice, tea) = (Arc::clone(line.node(0)), tea.clone());
        tasks.spawn(async move { pay(&alice, &tea).await.unwrap() });
    }
    let all = tasks.join_all().await;
    assert!(all.iter().all(|paid| *paid == all[0]));
    settled(line.node(1), &tea).await;
    assert_eq!(line.node(1).received().unwrap(), (1, Msat::from_msat(10_000)));
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_paid_before_a_restart_is_not_paid_again() {
    let mut line = Line::start(2).await;
    let tea = invoice(line.node(1), 10_000).await;
    let first = pay(line.node(0), &tea).await.unwrap();
    line.stop(0).await;
    line.reopen(0).await;
    let second = pay(line.node(0), &tea).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(line.node(0).outcome(tea.payment_hash()).await.unwrap(), Outcome::Paid(first));
    settled(line.node(1), &tea).await;
    assert_eq!(line.node(1).received().unwrap(), (1, Msat::from_msat(10_000)));
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_in_flight_all_arrive() {
    let line = Line::start(2).await;
    let mut tasks = JoinSet::new();
    for _ in 0..200 {
        let (alice, bob) = (Arc::clone(line.node(0)), Arc::clone(line.node(1)));
        tasks.spawn(async move {
            let tea = invoice(&bob, 10_000).await;
            let paid = pay(&alice, &tea).await.unwrap();
            assert!(paid.preimage.opens(tea.payment_hash()));
        });
    }
    tasks.join_all().await;
    until(async || line.node(1).received().unwrap() == (200, Msat::from_msat(2_000_000))).await;
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_future_changes_nothing_about_the_payment() {
    let line = Line::start(2).await;
    let (alice, bob) = (line.node(0), line.node(1));
    let tea = invoice(bob, 10_000).await;
    let order = PayOrder { invoice: &tea, max_fee: MAX_FEE, patience: PATIENCE };
    // Polled once: the order is taken.
    tokio::select! {
        biased;
        _ = alice.pay(order) => panic!("a payment takes longer than this"),
        () = std::future::ready(()) => {}
    }
    assert!(matches!(ended(alice, &tea).await, Outcome::Paid(_)));
    settled(bob, &tea).await;
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_paid_is_refused_by_its_reason() {
    let line = Line::start(2).await;
    let (alice, bob) = (line.node(0), line.node(1));
    let expired = bob.invoice(MAX_FEE, "", Duration::ZERO).await.unwrap();
    assert_eq!(refused(pay(alice, &expired).await), Why::Expired);
    let fortune = invoice(bob, 10_000_000_000).await;
    assert_eq!(refused(pay(alice, &fortune).await), Why::Balance);
    let own = invoice(alice, 10_000).await;
    assert_eq!(refused(pay(alice, &own).await), Why::NoRoute);
    for unpaid in [&expired, &fortune, &own] {
        assert_eq!(alice.outcome(unpaid.payment_hash()).await.unwrap(), Outcome::NotPaid);
    }
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_stays_away_is_no_route_and_one_that_comes_back_is_paid() {
    let mut line = Line::start(2).await;
    let tea = invoice(line.node(1), 10_000).await;
    line.stop(1).await;
    let alice = Arc::clone(line.node(0));
    until(async || !alice.channels()[0].usable).await;
    let patience = Duration::from_millis(100);
    let order = PayOrder { invoice: &tea, max_fee: MAX_FEE, patience };
    assert_eq!(refused(alice.pay(order).await), Why::NoRoute);
    assert_eq!(alice.outcome(tea.payment_hash()).await.unwrap(), Outcome::NotPaid);
    let waiting = tokio::spawn({
        let (alice, tea) = (Arc::clone(&alice), tea.clone());
        async move { pay(&alice, &tea).await }
    });
    until(async || alice.outcome(tea.payment_hash()).await.unwrap() == Outcome::Pending).await;
    line.reopen(1).await;
    waiting.await.unwrap().unwrap();
    settled(line.node(1), &tea).await;
    drop(alice);
    line.end().await;
}

/// Whoever joins an order waits as long as they said, not as long as the order does.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_order_keeps_its_own_patience() {
    let mut line = Line::start(2).await;
    let tea = invoice(line.node(1), 10_000).await;
    line.stop(1).await;
    let alice = Arc::clone(line.node(0));
    until(async || !alice.channels()[0].usable).await;
    let patient = tokio::spawn({
        let (alice, tea) = (Arc::clone(&alice), tea.clone());
        async move { pay(&alice, &tea).await }
    });
    until(async || alice.outcome(tea.payment_hash()).await.unwrap() == Outcome::Pending).await;
    let order = PayOrder { invoice: &tea, max_fee: MAX_FEE, patience: Duration::from_millis(50) };
    let impatient = tokio::time::timeout(Duration::from_secs(5), alice.pay(order)).await.unwrap();
    assert!(matches!(impatient, Err(PayError::Unknown { .. })), "{impatient:?}");
    line.reopen(1).await;
    patient.await.unwrap().unwrap();
    drop(alice);
    line.end().await;
}

/// Dust and more than dust: what a channel may have under way at once differs.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_of_any_size_all_arrive() {
    let line = Line::start(2).await;
    let mut tasks = JoinSet::new();
    for number in 0..200 {
        let (alice, bob) = (Arc::clone(line.node(0)), Arc::clone(line.node(1)));
        let msat = [350_000, 353_999, 2_000_000, 1][number % 4];
        tasks.spawn(async move {
            let tea = invoice(&bob, msat).await;
            pay(&alice, &tea).await.unwrap();
        });
    }
    tasks.join_all().await;
    until(async || line.node(1).received().unwrap().0 == 200).await;
    line.end().await;
}

/// A node that is stopped does not keep anybody waiting, and knows the end when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_waiting_but_not_the_payment() {
    let mut line = Line::start(2).await;
    let tea = invoice(line.node(1), 10_000).await;
    line.stop(1).await;
    let alice = Arc::clone(line.node(0));
    until(async || !alice.channels()[0].usable).await;
    let waiting = tokio::spawn({
        let (alice, tea) = (Arc::clone(&alice), tea.clone());
        async move { pay(&alice, &tea).await }
    });
    until(async || alice.outcome(tea.payment_hash()).await.unwrap() == Outcome::Pending).await;
    alice.stop().await;
    let told = tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    assert!(matches!(told, Err(PayError::Unknown { .. })), "{told:?}");
    let later = pay(&alice, &tea).await;
    assert!(matches!(later, Err(PayError::Unknown { .. })), "{later:?}");
    drop(alice);
    line.stop(0).await;
    line.reopen(0).await;
    line.reopen(1).await;
    assert_eq!(ended(line.node(0), &tea).await, Outcome::NotPaid, "it was never sent");
    pay(line.node(0), &tea).await.unwrap();
    line.end().await;
}

/// Somebody else took the port at which the peer was, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_at_the_old_address_does_not_keep_the_peer_from_being_found() {
    let mut line = Line::start(2).await;
    let stranger = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = stranger.local_addr().unwrap().to_string();
    let bob = line.node(1).node_id();
    line.stop(1).await;
    let alice = Arc::clone(line.node(0));
    until(async || !alice.channels()[0].usable).await;
    let taken = async {
        let patience = Duration::from_millis(1);
        assert!(alice.connect(bob, &silent, patience).await.is_err());
        stranger.accept().await.unwrap()
    };
    // Held for as long as the test takes.
    let _call = tokio::time::timeout(PATIENCE, taken).await.unwrap();
    let reopened = tokio::time::timeout(Duration::from_secs(5), line.reopen(1));
    reopened.await.expect("it is dialled at its new address at once");
    drop(alice);
    line.usable().await;
    line.end().await;
}
