//! Channels that end: the money comes back on the chain, less what the chain costs.

use std::sync::Arc;

use l402::{Outcome, Payer, Sat};
use tollway_ldk::EmbeddedNode;

use crate::line::{CAPACITY, Line, PATIENCE, ended, invoice, pay, until};

/// More than all transactions of a closing cost, fees of anchors included.
const COSTS: Sat = Sat::from_sat(20_000);
/// Blocks until the one who closed alone may have its part (LDK's default), and a few more.
const DELAY: u32 = 150;
/// Blocks after which LDK takes something for final.
const FINAL: u32 = 6;
/// Blocks for which LDK keeps an eye on a channel that is over.
const KEPT: u32 = 4_032;

fn onchain(node: &EmbeddedNode) -> u64 {
    node.balance().onchain.confirmed.sat()
}

/// Waits until a node has this much on the chain, less costs.
async fn has(line: &Line, node: usize, sat: u64) {
    line.mine_until(async || onchain(line.node(node)) + COSTS.sat() >= sat).await;
    assert!(onchain(line.node(node)) <= sat);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_closed_by_both_gives_both_their_money() {
    let line = Line::start(2).await;
    let lot = invoice(line.node(1), 1_000_000_000).await;
    pay(line.node(0), &lot).await.unwrap();
    let before = [onchain(line.node(0)), onchain(line.node(1))];
    line.node(0).close_channel(&line.channel(0), PATIENCE).await.unwrap();
    until(async || !line.chain.mempool().is_empty()).await;
    line.mine(FINAL).await;
    has(&line, 0, before[0] + CAPACITY.sat() / 2 - 1_000_000).await;
    has(&line, 1, before[1] + CAPACITY.sat() / 2 + 1_000_000).await;
    line.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_closed_by_one_alone_gives_both_their_money() {
    let line = Line::start(2).await;
    pay(line.node(0), &invoice(line.node(1), 1_000_000_000).await).await.unwrap();
    let before = [onchain(line.node(0)), onchain(line.node(1))];
    let funding = line.channel(0);
    line.node(0).force_close_channel(&funding).unwrap();
    // The commitment, and the child that pays the fee for both.
    until(async || line.chain.mempool().len() >= 2).await;
    let waiting = line.chain.mempool();
    let commitment = waiting[0].compute_txid();
    let spends = |tx: &bitcoin::Transaction| {
        tx.input.iter().any(|input| input.previous_output.txid == commitment)
    };
    assert!(spends(&waiting[1]), "the anchor of the commitment is spent: {waiting:?}");
    // The other side is told, and closes too: whose commitment comes first, has to wait.
    line.mine(FINAL).await;
    line.mine(DELAY).await;
    has(&line, 0, before[0] + CAPACITY.sat() / 2 - 1_000_000).await;
    has(&line, 1, before[1] + CAPACITY.sat() / 2 + 1_000_000).await;
    line.end().await;
}

/// The payee is gone while a payment is on its way to it, and does not come back: the payment comes
/// back on the chain, and until then its end is said to be unknown.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_on_its_way_when_its_channel_is_closed_ends_on_the_chain() {
    let mut line = Line::start(2).await;
    let before = onchain(line.node(0)) + CAPACITY.sat() / 2;
    let alice = Arc::clone(line.node(0));
    let mut paid = 0;
    // Until one is caught in between.
    let stuck = loop {
        let lot = invoice(line.node(1), 100_000_000).await;
        let outbound = line.channel(0).outbound;
        let paying = tokio::spawn({
            let (alice, lot) = (Arc::clone(&alice), lot.clone());
            async move { pay(&alice, &lot).await }
        });
        until(async || alice.channels()[0].outbound < outbound).await;
        line.crash(1);
        until(async || !alice.channels()[0].usable).await;
        if alice.outcome(lot.payment_hash()).await.unwrap() == Outcome::Pending {
            paying.abort();
            break lot;
        }
        paid += 100_000;
        line.reopen(1).await;
        line.usable().await;
    };
    alice.force_close_channel(&alice.channels()[0]).unwrap();
    until(async || !line.chain.mempool().is_empty()).await;
    line.mine(FINAL).await;
    line.mine(DELAY).await;
    // The payment's own deadline in blocks has passed too; its money is claimed back.
    let outcome = async || alice.outcome(stuck.payment_hash()).await.unwrap();
    line.mine_until(async || {
        line.mine(FINAL).await;
        outcome().await != Outcome::Pending
    })
    .await;
    assert_eq!(ended(&alice, &stuck).await, Outcome::NotPaid);
    has(&line, 0, before - paid).await;
    drop(alice);
    line.end().await;
}

/// The other side closes while we are away: we find our money when we are back.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_closed_while_we_were_away_gives_us_our_money() {
    let mut line = Line::start(2).await;
    let before = onchain(line.node(1));
    line.stop(1).await;
    line.node(0).force_close_channel(&line.channel(0)).unwrap();
    until(async || line.chain.mempool().len() >= 2).await;
    line.mine(FINAL).await;
    line.reopen(1).await;
    line.caught_up().await;
    has(&line, 1, before + CAPACITY.sat() / 2).await;
    line.end().await;
}

/// What is known about a channel is not loaded and looked at for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_long_over_is_put_away() {
    let line = Line::start(2).await;
    let monitors = || {
        let file = rusqlite::Connection::open(line.folder(0).join("node.sqlite")).unwrap();
        let count = |table: &str| {
            let sql = format!("SELECT COUNT(*) FROM {table}");
            file.query_row(&sql, [], |row| row.get::<_, u64>(0)).unwrap()
        };
        (count("monitor"), count("archived_monitor"))
    };
    line.node(0).close_channel(&line.channel(0), PATIENCE).await.unwrap();
    until(async || !line.chain.mempool().is_empty()).await;
    line.mine(2 * FINAL).await;
    assert_eq!(monitors(), (1, 0));
    // It is counted from when the node has seen that nothing is left to do.
    until(async || {
        line.mine(KEPT).await;
        monitors() == (0, 1)
    })
    .await;
    line.end().await;
}
