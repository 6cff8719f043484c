//! Payments over somebody between: channels that nobody announced, found by the invoice's hints.

use std::sync::Arc;

use l402::{Msat, Outcome, PayError, PayOrder, Payer, Why};
use tokio::task::JoinSet;

use crate::line::{Line, PATIENCE, invoice, pay, settled, until};

/// What a node takes for forwarding, whatever the amount.
const FEE: Msat = Msat::from_msat(1_000);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_between_is_paid_its_fee() {
    let line = Line::start(3).await;
    let (alice, bob, carol) = (line.node(0), line.node(1), line.node(2));
    let before = bob.balance().outbound;
    let tea = invoice(carol, 10_000).await;
    let paid = pay(alice, &tea).await.unwrap();
    assert!(paid.preimage.opens(tea.payment_hash()));
    assert_eq!(paid.fee, FEE);
    settled(carol, &tea).await;
    assert_eq!(carol.received().unwrap(), (1, Msat::from_msat(10_000)));
    assert_eq!(bob.received().unwrap(), (0, Msat::ZERO), "what goes through is not received");
    until(async || bob.balance().outbound.msat() == before.msat() + FEE.msat()).await;
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_above_the_limit_is_no_route() {
    let line = Line::start(3).await;
    let (alice, carol) = (line.node(0), line.node(2));
    let tea = invoice(carol, 10_000).await;
    for max_fee in [Msat::ZERO, FEE.checked_sub(Msat::from_msat(1)).unwrap()] {
        let ended = alice.pay(PayOrder { invoice: &tea, max_fee, patience: PATIENCE }).await;
        assert!(matches!(ended, Err(PayError::NotPaid { why: Why::NoRoute, .. })), "{ended:?}");
        assert_eq!(alice.outcome(tea.payment_hash()).await.unwrap(), Outcome::NotPaid);
    }
    let order = PayOrder { invoice: &tea, max_fee: FEE, patience: PATIENCE };
    assert_eq!(alice.pay(order).await.unwrap().fee, FEE);
    line.end().await;
}

/// Both at once, and one after the other: one pays, the other keeps its money.
#[tokio::test(flavor = "multi_thread")]
async fn an_invoice_is_paid_by_one_of_two_payers() {
    let line = Line::start(3).await;
    let before = [0, 2].map(|payer| line.channel(payer).outbound.msat());
    let mut total = [0, 0];
    for round in 0..8 {
        let tea = invoice(line.node(1), 10_000).await;
        let mut payers = JoinSet::new();
        for payer in [0, 1] {
            let (node, mine) = (Arc::clone(line.node(2 * payer)), tea.clone());
            payers.spawn(async move { (payer, pay(&node, &mine).await) });
            if round % 2 == 0 {
                // The first has paid before the second begins.
                settled(line.node(1), &tea).await;
            }
        }
        let mut paid = 0;
        for (payer, ended) in payers.join_all().await {
            match ended {
                Ok(proof) => {
                    assert!(proof.preimage.opens(tea.payment_hash()));
                    total[payer] += 10_000;
                    paid += 1;
                }
                Err(PayError::NotPaid { why: Why::PayeeRefused, .. }) => {}
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!(paid, 1, "in round {round}");
    }
    until(async || line.node(1).received().unwrap() == (8, Msat::from_msat(80_000))).await;
    until(async || {
        let now = [0, 2].map(|payer| line.channel(payer).outbound.msat());
        now == [before[0] - total[0], before[1] - total[1]]
    })
    .await;
    line.end().await;
}

/// A payee that is away: its neighbour says so, and the money comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_payee_that_is_away_is_no_route() {
    let mut line = Line::start(3).await;
    let tea = invoice(line.node(2), 10_000).await;
    let before = line.channel(0).outbound;
    line.stop(2).await;
    let bob = Arc::clone(line.node(1));
    until(async || bob.channels().iter().filter(|channel| channel.usable).count() == 1).await;
    let ended = pay(line.node(0), &tea).await;
    assert!(matches!(ended, Err(PayError::NotPaid { why: Why::NoRoute, .. })), "{ended:?}");
    until(async || line.channel(0).outbound == before).await;
    line.reopen(2).await;
    line.usable().await;
    pay(line.node(0), &tea).await.unwrap();
    settled(line.node(2), &tea).await;
    drop(bob);
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_payments_go_through_a_node_in_between() {
    let line = Line::start(3).await;
    let mut tasks = JoinSet::new();
    for number in 0..150 {
        let (from, to) = if number % 3 == 0 { (2, 0) } else { (0, 2) };
        let (from, to) = (Arc::clone(line.node(from)), Arc::clone(line.node(to)));
        tasks.spawn(async move {
            let tea = invoice(&to, 10_000).await;
            assert_eq!(pay(&from, &tea).await.unwrap().fee, FEE);
        });
    }
    tasks.join_all().await;
    line.end().await;
}
